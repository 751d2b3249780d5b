"""How far the values of a function are off: its noise floor, from values at points close together.

Source: J. J. Moré and S. M. Wild, "Estimating computational noise", SIAM Journal on Scientific Computing 33 (2011)
1292-1314.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np

from jacobian.checking.probe import Array, Probe

POINTS = 8
"""Values in a row; their differences up to order seven are looked at."""

SPACINGS = {8: (40, 27, 17, 12, 8), 4: (19, 14, 10, 7), 2: (8, 6, 4)}
"""By bytes of the input: how many halvings below its size the points lie apart. They are close, so that nothing but
noise can change there; and farther apart where nothing changes at all, as of results that are rounded to few digits."""

STAIRS = 3
"""So many different values among the points are several; fewer may be a flat part of the function and its end."""

PLATEAU = 4.0
"""Differences of three orders in a row tell the same noise when they agree within this factor."""

HIGH_ORDERS, LAST_DIGITS, ROUNDED = (4, 5, 6), 64, 2
"""Differences of these orders show nothing but rounding where they are no larger than so many last digits. They are
looked at for so many spacings: points very close together are often rounded alike."""

ROUNDING = 0.5
"""Of the last digit: what every value is taken to be off by at least."""


def noise_floor(probe: Probe, moved: int, scales: Array) -> Array:
    """For every entry of the value its noise near the point, as a standard deviation; at least what repeats show."""
    value = probe.inputs[moved].value
    x = value.reshape(-1)
    found, still = probe.scatter, np.ones(probe.base.shape, bool)
    if not x.size:
        return found
    generator = np.random.default_rng(0)
    nearest = SPACINGS[min(8, max(2, value.dtype.itemsize))][0]
    for number, halvings in enumerate(SPACINGS[min(8, max(2, value.dtype.itemsize))]):
        uneven = generator.integers(8, 16, x.size) / 8 * generator.choice([-1, 1], x.size)
        spacing = uneven * np.exp2(np.frexp(scales)[1] - 1.0 - halvings)
        for side in (1.0, -1.0):  # the other side, where the function ends here
            points = [(x + side * k * spacing).astype(value.dtype) for k in range(1, POINTS)]
            values = np.stack([probe.base, *(probe(moved, point, "near it") for point in points)])
            if np.isfinite(values).all():
                stairs = still & _stairs(probe, moved, points, values, scales, nearest)
                counted = still if halvings == nearest else stairs
                found = np.where(counted, np.maximum(found, estimate(values)), found)
                found = np.maximum(found, _last_digits(values, probe.eps)) if number < ROUNDED else found
                still &= ~_several(values) | stairs
                break
        if not still.any() and number >= ROUNDED - 1:
            break
    return np.asarray(found)


def _last_digits(values: Array, eps: Array) -> Array:
    """The rounding of large numbers on the way to the values; zero where there is more than that."""
    found = np.max([_scaled(np.diff(values, order, axis=0), order) for order in HIGH_ORDERS], axis=0)
    return np.where(found <= LAST_DIGITS * eps * np.max(np.abs(values), axis=0), found, 0.0)


def _scaled(differences: Array, order: int) -> Array:
    """As a standard deviation of the values."""
    return np.asarray(np.sqrt(np.mean(np.abs(differences) ** 2, axis=0) / comb(2 * order, order)))


def _stairs(probe: Probe, moved: int, points: Sequence[Array], values: Array, scales: Array, halvings: int) -> Array:
    """Where a function takes several values at the points, yet does not change close to any of them.

    A function that is flat at the point alone, as below a threshold, has no noise.
    """
    found = _several(values)
    for k in (2, POINTS - 2):
        if found.any():
            nudged = points[k] + np.exp2(np.frexp(scales)[1] - 1.0 - halvings)
            found &= probe(moved, nudged.astype(points[k].dtype), "near it") == values[k + 1]
    return np.asarray(found)


def _several(values: Array) -> Array:
    """Where the points have several different values."""
    return np.asarray(np.count_nonzero(np.diff(np.sort(np.real(values), axis=0), axis=0), axis=0) >= STAIRS - 1)


def noise_at(probe: Probe, moved: int, point: Array, scales: Array) -> Array:
    """The noise around another point: far from the first one there may be more of it."""
    nearest = SPACINGS[min(8, max(2, point.dtype.itemsize))][0]
    generator = np.random.default_rng(2)
    uneven = generator.integers(8, 16, point.size) / 8 * generator.choice([-1, 1], point.size)
    spacing = uneven * np.exp2(np.frexp(scales)[1] - 1.0 - nearest)
    points = [(point + k * spacing).astype(point.dtype) for k in range(POINTS)]
    values = np.stack([probe(moved, one, "far from it") for one in points])
    return np.where(np.isfinite(values).all(axis=0), estimate(values), 0.0)


def estimate(values: Array) -> Array:
    """The noise in values at equidistant points, along axis 0; zero where no three orders of differences agree.

    >>> float(estimate(np.array([1.0, 2, 3, 4, 5, 6, 7, 8])))
    0.0
    >>> noisy = np.arange(8.0) + 0.01 * np.random.default_rng(0).normal(size=8)
    >>> bool(0.002 < estimate(noisy) < 0.05)
    True
    """
    scale = np.max(np.abs(values), axis=0)
    scale = np.where(scale > 0, scale, 1.0)  # squares of very small and very large values are no numbers
    differences = values / scale
    sizes, turns = [], []
    for order in range(1, len(values)):
        differences = np.diff(differences, axis=0)
        sizes.append(_scaled(differences, order))
        real = np.real(differences)
        turns.append((np.max(real, axis=0) > 0) & (np.min(real, axis=0) < 0))
    noise, told = np.zeros(values.shape[1:]), np.zeros(values.shape[1:], bool)
    for order in range(len(sizes) - 2):
        three = np.stack(sizes[order : order + 3])
        agree = turns[order] & (np.max(three, axis=0) <= PLATEAU * np.min(three, axis=0)) & ~told
        noise, told = np.where(agree, three[0], noise), told | agree
    return np.asarray(noise * scale)
