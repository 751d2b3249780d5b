"""NumPy functions as what they are made of: on small arrays most of their time is spent on the way there.

`np.sum(x)` looks at its arguments, calls a function, which calls a method, which calls `add.reduce`. What is written
down for every later call does that at once; the numbers are the same to the last bit, those of powers to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from math import prod
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from jacobian.kernel.choices import Masked
from jacobian.kernel.network import summed_by_product
from jacobian.kernel.places import reshaped

Axis = int | tuple[int, ...] | None

HIGHEST = 8  # exponent that takes a few products
SHORT = 7  # entries of a row that NumPy adds one after another
LARGE = 2**12  # entries of a broadcast for which its axes are turned
MANY = 64  # rows for each of its columns from which on columns are quicker
MANY_SORTED = 2**10  # entries from which on a stable order takes longer than to sort them in two other ways

_REDUCING: dict[Any, np.ufunc] = {np.sum: np.add, np.prod: np.multiply, np.max: np.maximum, np.min: np.minimum}


def by_primitives(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The result of a function of an array that is recorded; None where it is as well called itself."""
    if function in _REDUCING:
        return _reduced(_REDUCING[function], *args, **kwargs) if kwargs.keys() <= {"axis", "keepdims"} else None
    if function is np.mean and kwargs.keys() <= {"axis", "keepdims"}:
        return _mean(*args, **kwargs)
    if function is np.linalg.eigvalsh and not args[0].code.exact:
        return np.linalg.eigh(*args, **kwargs).eigenvalues  # slopes need the vectors, too
    if function is np.roll:
        return _rolled(*args, **kwargs)
    if function is np.where and len(args) == 3:
        return _chosen(*args)
    if function is np.expand_dims:
        return _with_axes(*args, **kwargs)
    if function is np.cross:
        return _cross(*args, **kwargs)
    if function is np.argsort:
        return _sorted_stably(*args, **kwargs)
    return None


def by_squares(x: Any, exponent: Any) -> Any:
    """A power as squares and products, as it is within rounding; None where `power` is as good.

    Where a base is negative that takes a hundred times as long, even for a cube.
    """
    if not x.shape or x.dtype.char not in "fd" or type(exponent) not in (int, float):
        return None
    return _raised(x, int(exponent)) if 3 <= exponent <= HIGHEST and exponent == int(exponent) else None


def by_long_rows(ufunc: np.ufunc, *operands: Any) -> Any:
    """A broadcast of rows, short ones, for each of which NumPy would begin a loop, with their axis first.

    What it gives lies in memory otherwise than it would. None where NumPy's loops are long, or one operand has no rows.
    """
    shape = np.broadcast_shapes(*map(np.shape, operands))
    if len(shape) < 2 or prod(shape) < LARGE or not 1 < shape[-1] <= SHORT or shape[-2] <= SHORT:
        return None
    wide = [one if np.ndim(one) == len(shape) else one[(None,) * (len(shape) - np.ndim(one))] for one in operands]
    rows, row = ([one.shape[axis] == 1 for one in wide] for axis in (-2, -1))
    if any(row) or not any(rows):
        return None
    order = (len(shape) - 1, *range(len(shape) - 1))
    turned = ufunc(*[np.transpose(one, axes=order) for one in wide], order="C")
    return np.transpose(turned, axes=(*range(1, len(shape)), 0))


def _raised(x: Any, exponent: int) -> Any:
    if exponent == 1:
        return x
    square = _raised(x, exponent // 2) ** 2
    return square * x if exponent % 2 else square


def _reduced(ufunc: np.ufunc, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """A reduction; of many short rows, for each of which NumPy begins a loop, column by column in the same order."""
    count = x.shape[-1] if x.ndim else 0
    is_last = type(axis) is int and axis in (-1, x.ndim - 1)
    if ufunc is np.add and not x.code.exact:
        found = _added(x, axis, keepdims)
        if found is not None:
            return found
    if is_last and 1 < count <= SHORT and x.size >= MANY * count**2 and x.dtype.char in "fd":
        columns = [x[..., k : k + 1] if keepdims else x[..., k] for k in range(count)]
        return reduce(ufunc, columns)
    return ufunc.reduce(x, axis, keepdims=True) if keepdims else ufunc.reduce(x, axis)


def _added(x: Any, axis: Axis, keepdims: bool) -> Any:
    """A sum as a product with ones, as it is within rounding; None where `add.reduce` is as good."""
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    found = summed_by_product(x.code, x, sorted(axes)) if axes else None
    value = np.sum(x.value, axis=axis, keepdims=keepdims)
    return None if found is None else type(x)(x.code, reshaped(x.code, found, value.shape).name, value)


def _mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The sum by the number of entries, unless `np.mean` works in another dtype, or warns that there are none."""
    if x.dtype != np.float64 or not x.size:
        return None
    total = _reduced(np.add, x, axis, keepdims)
    return total / (x.size // total.size)


def _chosen(condition: Any, one: Any, other: Any) -> Any:
    """A number where a condition holds, or where it does not, and zero elsewhere: their product."""
    if condition.dtype != bool or type(one) is not float:
        return None
    tie = condition.code.kept(other) if isinstance(other, type(condition)) else None
    if tie is not None and one > 0 and other.shape == condition.shape:
        return condition.call(number_or_tie, condition, one, *tie)
    if type(other) is not float:
        return None
    if one > 0 and other == 0:
        return _masked(condition, condition, one, is_opposite=False)
    if one == 0 and other > 0:
        return _masked(condition, np.logical_not(condition), other, is_opposite=True)
    return None


def _masked(condition: Any, holds: Any, number: float, *, is_opposite: bool) -> Any:
    found = holds * number
    if number == 1:
        found.code.note_masked(found, Masked(condition.name, is_opposite))
    elif not is_opposite:
        found.code.note_kept(found, condition, number)
    return found


def number_or_tie(condition: np.ndarray, one: float, tie: np.ndarray, other: float) -> np.ndarray:
    """A number where a condition holds, and another one at ties, of which there are hardly ever any."""
    return np.where(condition, one, other * tie) if np.count_nonzero(tie) else condition * one


def _sorted_stably(x: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    is_stable = kind == "stable" and order is None and stable is None
    return x.call(stable_order, x, axis) if is_stable and type(axis) is int and x.shape else None


def stable_order(x: np.ndarray, axis: int) -> np.ndarray:
    """`np.argsort(x, axis, kind="stable")`: where no entries are equal, any way of sorting gives that order."""
    return np.argsort(x, axis, kind="stable" if x.size < MANY_SORTED or _has_ties(x, axis) else None)


def _has_ties(x: np.ndarray, axis: int) -> bool:
    lines = np.sort(x, axis).swapaxes(axis, -1)
    return bool((lines[..., 1:] == lines[..., :-1]).any() or np.isnan(lines[..., -1]).any())


def _rolled(x: Any, shift: Any, axis: Any = None) -> Any:
    """Two slices, one behind the other."""
    if type(shift) is not int or not (type(axis) is int or (axis is None and x.ndim == 1)):
        return None
    axis = 0 if axis is None else axis % x.ndim
    cut = -shift % max(x.shape[axis], 1)
    if not cut:  # then it is a copy
        return None
    before = (slice(None),) * axis
    return np.concatenate((x[(*before, slice(cut, None))], x[(*before, slice(0, cut))]), axis)


def _with_axes(x: Any, axis: Any) -> Any:
    """Further axes, by an index."""
    axes = axis if isinstance(axis, tuple) else (axis,)
    rank = x.ndim + len(axes)
    if not all(type(one) is int and -rank <= one < rank for one in axes):
        return None
    new = {one % rank for one in axes}
    return x[tuple(None if place in new else slice(None) for place in range(rank))] if len(new) == len(axes) else None


def _cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """Of last axes of three entries: column by column, in which `np.cross` does the same."""
    are_last = axis is None and axisa == axisb == axisc == -1
    if not are_last or not np.shape(a)[-1:] == np.shape(b)[-1:] == (3,):
        return None
    first, second = ([one[..., k] for k in range(3)] for one in (a, b))
    columns = [first[k - 2] * second[k - 1] - first[k - 1] * second[k - 2] for k in range(3)]
    return np.stack(columns, -1)
