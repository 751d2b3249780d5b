"""Whether numbers are finite, or smaller than some bound: asked of every array that a program is given."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np

FEW = 16  # entries that Python looks at more quickly than NumPy does
MANY = 10_000  # entries from which on a dot product may be split among threads, which takes longer than it saves
BITS = 200
"""How large a bounded number may be: products of four are far from an overflow, and nobody's numbers are larger."""

BOUND = 2.0**BITS
SQUARE = BOUND**2
_ARRAYS = (np.ndarray, np.generic)


def all_finite(value: Any) -> bool:
    """Whether no entry is NaN or infinite; what is no array is taken to be."""
    if type(value) in (float, np.float64):
        return isfinite(value)
    if not isinstance(value, _ARRAYS):
        return True
    if (
        type(value) is np.ndarray and value.size <= FEW and value.dtype.char in "efd"
    ):  # an extended one may be finite and too large for Python
        return all(map(isfinite, value.ravel().tolist()))
    if value.dtype.kind == "f" and _is_quick(value) and _sum_of_squares(value) < np.inf:
        return True
    return bool(np.count_nonzero(np.isfinite(value)) == np.size(value))  # half the time of `all`


def is_bounded(value: Any) -> bool:
    """Whether every entry of a float64 array is below `2**BITS` in magnitude: then none is NaN or infinite, either."""
    if type(value) is float or not value.ndim:
        return -BOUND < float(value) < BOUND
    if value.size <= FEW:
        return float(sum(map(abs, value.ravel().tolist()))) < BOUND
    if _is_quick(value):
        return _sum_of_squares(value) < SQUARE
    return bool(np.maximum.reduce(value, None) < BOUND and np.minimum.reduce(value, None) > -BOUND)


def _is_quick(value: Any) -> bool:
    """Whether the sum of the squares of all entries is the quickest way to look at them: it needs no further array."""
    return bool(value.size <= MANY and value.flags.c_contiguous)


def _sum_of_squares(value: Any) -> float:
    return float(np.vdot(value, value))
