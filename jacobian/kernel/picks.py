"""Entries at listed positions by `take`: of rows, or by several lists, it picks in a quarter of a subscript's time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jacobian.kernel.code import Code, Symbol

SHORT = 2**8  # positions along the only axis up to which a subscript is as quick
FEW = 2**9  # entries that are quickly copied, as `take` does where they do not lie one after another
PER_POSITION = 4  # more of them for every position


class Picks(NamedTuple):
    """Positions along an axis, or along the array seen as one axis."""

    positions: np.ndarray
    axis: int | None


def picks(array: np.ndarray, key: Any, *, exact: bool) -> Picks | None:
    """What a subscript says, for arrays of that shape; None where it does more, or is as quick.

    What NumPy gives for a subscript lies in memory as it happens to; where sums are to be exact, it is to lie the same.
    """
    parts = [*key] if isinstance(key, tuple) else [key]
    lists = [axis for axis, one in enumerate(parts) if _is_list(one)]
    if not lists:
        return None
    if len(lists) == 1 and all(_is_whole(one) for axis, one in enumerate(parts) if axis != lists[0]):
        [axis] = lists
        is_short, may_differ = array.ndim == 1 and parts[axis].size < SHORT, axis > 0 or array.ndim > 2
        return None if is_short or (exact and may_differ) else Picks(parts[axis], axis)
    positions = None if exact else _flat(parts, array.shape)
    return None if positions is None or not is_quick(array, positions) else Picks(positions, None)


def may_be_taken(array: Any, rows: Any, *, exact: bool) -> bool:
    """Whether rows of an array are as well picked by `take`, at positions that are not known yet."""
    is_list = np.ndim(rows) > 0 and np.can_cast(rows.dtype, np.intp)
    return is_list and np.ndim(array) > 1 and not (exact and np.ndim(array) > 2)


def is_quick(array: np.ndarray | Symbol, positions: np.ndarray) -> bool:
    """Whether an array is quickly seen as one axis: it is copied unless its entries lie one after another."""
    lies_so = isinstance(array, np.ndarray) and array.flags.c_contiguous
    return lies_so or array.size <= FEW + PER_POSITION * positions.size


def taken(code: Code, array: Symbol, where: Picks) -> Symbol:
    """What is picked, as a line of a program."""
    positions = np.array(where.positions, np.intp)
    listed = code.made_once(("positions", positions.shape, positions.tobytes()), lambda: positions)
    given = f"{listed}" if where.axis is None else f"{listed}, {where.axis}"
    axis = 0 if where.axis is None else where.axis
    shape = positions.shape if where.axis is None else (*array.shape[:axis], *positions.shape, *array.shape[axis + 1 :])
    return code.let(f"{array}.take({given})", [array], shape, new=True, kind=array.kind)


def _is_list(one: Any) -> bool:
    """Whether it has positions as `take` has them."""
    return isinstance(one, np.ndarray) and one.ndim > 0 and one.dtype.kind in "iu" and np.can_cast(one.dtype, np.intp)


def _is_whole(one: Any) -> bool:
    return isinstance(one, slice) and one == slice(None)


def _flat(parts: Sequence[Any], shape: tuple[int, ...]) -> np.ndarray | None:
    """The positions along the array seen as one axis, where every axis has one or a list of them."""
    if len(parts) != len(shape) or not all(_is_list(one) or type(one) is int for one in parts):
        return None
    if not all(np.all((-extent <= one) & (one < extent)) for one, extent in zip(parts, shape, strict=True)):
        return None
    positions: np.ndarray = np.zeros((), np.intp)
    for one, extent in zip(parts, shape, strict=True):
        positions = positions * extent + one % extent
    return positions
