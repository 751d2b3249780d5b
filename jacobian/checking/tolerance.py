"""When two Jacobians count as equal: entry by entry, each against itself and its own rounding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, report

Array = np.ndarray[Any, np.dtype[Any]]

Told = Callable[[Array], Array]
"""What rounding leaves of every entry, told by how much each is wrong."""

RTOL = 1e-6
LAST_DIGITS, SEARCHED_DIGITS = 16, 4096
NEARER = 0.01
PIECE = 2**16
"""So many entries are compared at a time."""


def in_pieces(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """Arrays of one length, some rows at a time where they are large: what is made of each stays in the cache."""
    one = arrays[0]
    if not one.ndim or one.size <= PIECE or len({array.shape[:1] for array in arrays}) > 1:
        yield arrays
        return
    rows = max(PIECE // max(one[0].size, 1), 1)
    for start in range(0, len(one), rows):
        yield tuple(array[start : start + rows] for array in arrays)


def refuse_odd(called: str, **tolerances: Any) -> None:
    """Raise the error for a tolerance that is no number, or that nothing lies within; None is a tolerance of ours."""
    for name, value in tolerances.items():
        if value is None:
            continue
        if not isinstance(value, int | float | np.integer | np.floating) or not 0 <= value < np.inf:
            raise ArgumentError(report(f"{called}: {name} must be a number that is not negative, not {value!r}"))


class Tolerance:
    """How far an entry may be off: `rtol` of itself, and what rounding leaves of it.

    An array does not say how it was computed. A few last digits of what an entry would be if only its row and its
    column decided how large it is are rounding in any case: the zero that comes out as 1e-17.
    """

    def __init__(self, rtol: float | None = None, *dtypes: Any) -> None:
        kinds = [np.dtype(dtype) for dtype in dtypes if np.dtype(dtype).kind in "fc"]
        self.eps = max([float(np.finfo(kind).eps) for kind in kinds], default=float(np.finfo(float).eps))
        self.rtol = max(RTOL, 1e3 * self.eps if self.eps > 1e-10 else 0.0) if rtol is None else rtol

    def wrong(self, claimed: Array, true: Array, rounding: Told | None = None) -> Array:
        """Where a matrix differs from the true one; `rounding` is asked only if something does.

        It is told by how much each entry is wrong. What is not finite, in either, is right where both are the same.
        """
        odd = ~(np.isfinite(claimed) & np.isfinite(true))
        if odd.any():
            off = self.wrong(np.where(odd, 0.0, claimed), np.where(odd, 0.0, true), rounding)
            same = (claimed == true) | (np.isnan(claimed) & np.isnan(true))
            return np.where(odd, ~same, off)
        digits = LAST_DIGITS * self.eps
        rows, columns = _scales(true)
        found = [
            ~(np.abs(one - other) <= self.rtol * np.abs(other) + digits * (row * columns))
            for one, other, row in in_pieces(claimed, true, rows)
        ]
        off = found[0] if len(found) == 1 else np.concatenate(found)
        if rounding is not None and off.any():
            beyond = np.where(off, np.abs(claimed - true) - self.rtol * np.abs(true), 0.0)
            off &= ~(beyond <= rounding(beyond))
        return off

    def same(self, claimed: Array, true: Array, rounding: Told | None = None) -> bool:
        """Whether nothing differs."""
        return not self.wrong(claimed, true, rounding).any()


class Nearness:
    """How near the numbers that a slip gives must come to a claim.

    What explains a claim must be nearer to it than the truth is at every entry that is wrong, however small it is.
    """

    def __init__(self, tolerance: Tolerance, claimed: Array, true: Array, rounding: Array, off: Array) -> None:
        self.tolerance = tolerance
        # a slip may put small numbers in the places of large ones: only what is nothing but rounding has some to spare
        self.rounding = np.where(np.abs(true) <= rounding, rounding, 0.0)
        self.most = np.where(off, NEARER * np.abs(claimed - true), np.inf)

    def leaves(self, beyond: Array) -> Array:
        """What rounding leaves of every entry."""
        return self.rounding

    def holds(self, claimed: Array, value: Array, part: Callable[[Array], Array]) -> bool:
        """Whether what a slip gives is the claim; `part` takes of a matrix what of it is looked at."""
        slack = part(self.rounding) + slack_of(value, self.tolerance.eps)
        allowed = np.minimum(self.tolerance.rtol * np.abs(value) + slack, part(self.most))
        return bool(np.all(np.abs(claimed - value) <= allowed))


def slack_of(value: Array, eps: float = float(np.finfo(float).eps)) -> Array:
    """What the rounding of a search may leave of every entry, which is as large as its row and its column."""
    rows, columns = _scales(value)
    return np.asarray(SEARCHED_DIGITS * eps * (rows * columns))


def _scales(true: Array) -> tuple[Array, Array]:
    """How large the entries of every row and column are, so that the product of the two is as large as an entry."""
    rows = _largest(true, (-1,))
    columns = _largest(true, tuple(range(true.ndim - 1)))
    largest = float(columns.max(initial=0.0))
    return rows, columns / largest if largest else columns


def _largest(array: Array, axes: tuple[int, ...]) -> Array:
    """The largest absolute value along some axes, without an array of absolute values where the numbers are real."""
    if array.dtype.kind == "c":
        return np.asarray(np.abs(array).max(axis=axes, keepdims=True, initial=0.0))
    high, low = (function(array, axis=axes, keepdims=True, initial=0.0) for function in (np.max, np.min))
    return np.asarray(np.maximum(high, -low))
