"""Jumps: at the point, where there is no derivative; and near it, where what looks smooth is a piece between jumps.

A function that has lost most of its digits, such as `(1 - cos(x)) / x**2` near zero, is smooth between its jumps, and
its small steps tell the slope of a piece. Fine oscillations look alike, and there the small steps are right. So the
interval is halved where the values depart from the slope: a jump stays, however small the interval.
"""

from __future__ import annotations

import numpy as np

from jacobian.checking.ladder import Found, Ladder
from jacobian.checking.probe import Array

APART = 10
"""So many error bars lie between what large and small steps say, where both are sure."""

HALVINGS, MOST_HALVINGS = 12, 60
"""Over so many halvings a jump stays as high, while what is steep becomes small; and when to stop."""

ROUNDING = 16
"""So many last digits of the value are no jump."""

MOST = 8
"""Of a column no more entries are looked at."""


def at_the_point(ladder: Ladder) -> Array:
    """For every column and entry whether the function jumps right at the point: to its right, to its left, or at it.

    However small the step is, the value does not come closer to the one at the point.
    """
    rows = [ladder.levels.index(level) for level in ladder.sentinels if level in ladder.levels]
    found = np.zeros(ladder.up.shape[1:], bool)
    for side, values in ((1.0, ladder.up), (-1.0, ladder.down)):
        nearest = values[rows[-1]]
        gap = np.abs(nearest - ladder.probe.base)
        jumps = gap > 4 * ROUNDING * ladder.probe.eps * np.maximum(np.abs(nearest), np.abs(ladder.probe.base))
        for row, part in zip(rows, (0.1, 0.01, 1.0), strict=False):
            jumps &= np.abs(values[row] - nearest) <= part * gap
        for column in np.flatnonzero(jumps.any(axis=1)):
            step = side * float(np.exp2(ladder.exponents[column] - ladder.deepest))
            off = np.abs(ladder.value_at(int(column), step) - nearest[column])
            found[column] |= jumps[column] & (off <= 0.01 * gap[column])
    return found


def jump_sizes(ladder: Ladder, found: Found, coarse: Found) -> Array:
    """For every column and entry how high the jumps on both sides are; zero where there are none."""
    sizes = np.zeros(found.values.shape)
    off = np.abs(found.values - coarse.values)
    finest = np.nanmin(np.where(np.isfinite(coarse.steps), coarse.steps, np.inf), axis=1, initial=np.inf)
    apart = (off > APART * (found.errors + coarse.errors)) & (found.steps < finest[:, None])
    apart |= np.isfinite(coarse.errors) & (off > APART * coarse.errors) & (found.errors > 0.5 * off)
    apart |= (coarse.errors > 0.5 * np.abs(found.values)) & (found.steps < finest[:, None])
    for column in np.flatnonzero(apart.any(axis=1)):
        for entry in np.flatnonzero(apart[column] & ~found.kinks[column])[:MOST]:
            right = _jump(ladder, int(column), int(entry), found, 1.0)
            sizes[column, entry] = min(right, _jump(ladder, int(column), int(entry), found, -1.0)) if right else 0.0
    return sizes


def _jump(ladder: Ladder, column: int, entry: int, found: Found, side: float) -> float:
    """The jump between the step taken and the largest one, zero if there is none."""
    slope = found.values[column, entry]

    def departure(t: float) -> complex:
        value = ladder.value_at(column, side * t)[entry]
        return complex(value - slope * side * t)

    low, high = float(found.steps[column, entry]), float(ladder.steps()[ladder.levels.index(0), column])
    at_low, at_high = departure(low), departure(high)
    digit = float(np.spacing(np.abs(ladder.x[ladder.columns[column]])))
    rounding = ROUNDING * float(ladder.probe.eps[entry]) * abs(ladder.probe.base[entry])
    heights: list[float] = []
    while high - low > 4 * digit and len(heights) < MOST_HALVINGS:
        middle = (low + high) / 2
        at_middle = departure(middle)
        if abs(at_middle - at_low) >= abs(at_high - at_middle):
            high, at_high = middle, at_middle
        else:
            low, at_low = middle, at_middle
        heights.append(abs(at_high - at_low))
        if not np.isfinite(heights[-1]) or heights[-1] <= rounding:
            return 0.0
    stays = len(heights) > HALVINGS and heights[-1] >= 0.5 * heights[-1 - HALVINGS]
    return heights[-1] if stays else 0.0
