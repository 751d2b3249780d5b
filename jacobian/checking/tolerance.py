"""When two Jacobians count as equal: entry by entry, against the entry, its row, and the whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, report

Array = np.ndarray[Any, np.dtype[Any]]

RTOL = 1e-6
ROW, WHOLE = 1e-9, 1e-12
PIECE = 2**16
"""So many entries are compared at a time."""


def in_pieces(one: Array, other: Array) -> Iterator[tuple[Array, Array]]:
    """Two arrays of one shape, some rows at a time where they are large: what is made of each stays in the cache."""
    rows = max(PIECE // max(one[0].size, 1), 1) if one.ndim and one.size > PIECE and one.shape == other.shape else 0
    if not rows:
        yield one, other
        return
    for start in range(0, len(one), rows):
        yield one[start : start + rows], other[start : start + rows]


def refuse_odd(called: str, **tolerances: Any) -> None:
    """Raise the error for a tolerance that is no number, or that nothing lies within; None is a tolerance of ours."""
    for name, value in tolerances.items():
        if value is None:
            continue
        if not isinstance(value, int | float | np.integer | np.floating) or not 0 <= value < np.inf:
            raise ArgumentError(report(f"{called}: {name} must be a number that is not negative, not {value!r}"))


class Tolerance:
    """How far an entry may be off: `rtol` of itself, a thousandth of that of the largest in its row, less of the whole.

    `noise` is how large the numbers were of which the entries are sums: what cancels leaves rounding behind.
    """

    def __init__(self, rtol: float | None = None, *dtypes: Any) -> None:
        kinds = [np.dtype(dtype) for dtype in dtypes if np.dtype(dtype).kind in "fc"]
        eps = max([float(np.finfo(kind).eps) for kind in kinds], default=0.0)
        self.rtol = max(RTOL, 1e3 * eps if eps > 1e-10 else 0.0) if rtol is None else rtol

    def wrong(self, claimed: Array, true: Array, noise: float = 0.0) -> Array:
        """Where a matrix differs from the true one."""
        whole = max((float(np.abs(one).max(initial=0.0)) for one, _ in in_pieces(true, true)), default=0.0)
        factor = max(self.rtol / RTOL, 1.0)
        found = [
            ~self._within(one, other, factor, WHOLE * whole + 1e-14 * noise) for one, other in in_pieces(claimed, true)
        ]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _within(self, claimed: Array, true: Array, factor: float, everywhere: float) -> Array:
        size = np.abs(true)
        row = size.max(axis=-1, keepdims=True, initial=0.0)
        within: Array = np.abs(claimed - true) <= self.rtol * size + factor * (ROW * row + everywhere)
        return within

    def same(self, claimed: Array, true: Array, noise: float = 0.0) -> bool:
        """Whether nothing differs."""
        return not self.wrong(claimed, true, noise).any()
