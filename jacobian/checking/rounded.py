"""Numbers that were rounded: whether a claim is the truth to the digits that it gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

MOST = 9
"""A number with more decimals than these was not rounded by hand."""

CLOSE = 2e-3
"""A claim whose wrong entries are all as near as this may hold numbers that were rounded."""

FEWEST = 2
"""So many digits of the largest entry must be given: of one digit alone nobody knows what it was."""


def decimals(claimed: Array, true: Array) -> int | None:
    """To how many decimals a claim is the truth rounded; None where it is not."""
    if true.dtype.kind == "c" or claimed.dtype.kind == "c" or not true.any() or not _is_finite(claimed, true):
        return None
    size = float(np.abs(true).max())
    fewest = FEWEST - 1 - int(np.floor(np.log10(size)))
    for count in range(MOST):
        written = np.abs(claimed) * 10.0**count
        if np.all(np.abs(written - np.round(written)) <= 4 * np.finfo(float).eps * written):
            near = np.all(np.abs(claimed - true) <= (0.5 + 1e-6) * 10.0**-count)
            return count if near and count >= fewest else None
    return None


def note(claims: Sequence[tuple[Array, Array]]) -> str:
    """What is said of a claim that is near the truth at every point: pairs of what is claimed and what is true."""
    if not all(_is_finite(*claim) for claim in claims):
        return ""
    worst = max(_farthest(claimed, true) for claimed, true in claims)
    counted = decimals(*claims[0]) if len(claims) == 1 else None
    if counted is not None:
        head = f"it is the truth rounded to {f'{counted} decimals' if counted else 'whole numbers'}"
        return f"{head}: {_tolerance(worst)}" if worst < 1 else f"{head}, and some entries become 0: give more digits"
    if not 0 < worst <= CLOSE:
        return ""
    digits = int(-np.log10(worst))
    return f"it agrees to {digits} digits in every entry; if numbers in it were rounded, {_tolerance(worst)}"


def _is_finite(claimed: Array, true: Array) -> bool:
    return bool(np.isfinite(claimed).all() and np.isfinite(true).all())


def _tolerance(worst: float) -> str:
    """The tolerance, a power of ten, that lets pass what is off by no more."""
    return f"give rtol=1e-{int(np.floor(-np.log10(worst)))}"


def _farthest(claimed: Array, true: Array) -> float:
    """By how much the entry that is farthest off is, relative to itself."""
    off, size = np.abs(claimed - true), np.abs(true)
    return float(np.max(np.divide(off, size, out=np.where(off > 0, np.inf, 0.0), where=size > 0), initial=0.0))
