"""Whether a matrix is a mixture of some others: they are weighed, no weight is negative, and the weights sum to 1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

NEAR = 1e-6
MAX_ROUNDS = 500


def is_mixture(points: Array, wanted: Array) -> bool:
    """Whether one vector is a mixture of the rows of `points`.

    >>> square = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    >>> is_mixture(square, np.array([0.5, 0.25])), is_mixture(square, np.array([0.5, 1.25]))
    (True, False)
    """
    sizes = np.abs(points).max(axis=0)
    sizes[sizes == 0] = 1.0
    columns, goal = np.vstack([(points / sizes).T, np.ones(len(points))]), np.append(wanted / sizes, 1.0)
    small = np.asarray(
        np.linalg.qr(np.column_stack([columns, goal]), mode="r")
    )  # with few rows, however many there were
    weights = _weights(small[:, :-1], small[:, -1])
    return bool(np.all(np.abs(columns @ weights - goal) <= NEAR))


def _weights(columns: Array, goal: Array) -> Array:
    """Least squares in which no weight is negative.

    Source: C. L. Lawson and R. J. Hanson, "Solving Least Squares Problems" (1974), chapter 23.
    """
    weights, used = np.zeros(columns.shape[1]), np.zeros(columns.shape[1], bool)
    for _ in range(MAX_ROUNDS):
        slopes = np.where(used, -np.inf, columns.T @ (goal - columns @ weights))
        if used.all() or slopes.max() <= 1e-12:
            break
        used[int(np.argmax(slopes))] = True
        weights = _without_negative_ones(columns, goal, weights, used)
    return weights


def _without_negative_ones(columns: Array, goal: Array, weights: Array, used: Array) -> Array:
    """The best weights of the columns in use; what would be negative is left out of use on the way there."""
    while True:
        best = np.zeros(len(weights))
        best[used] = np.linalg.lstsq(columns[:, used], goal)[0]
        below = used & (best <= 0)
        if not below.any():
            return best
        part = np.min(weights[below] / np.maximum(weights[below] - best[below], 1e-300))
        weights = weights + part * (best - weights)
        used &= ~(below & (weights <= 1e-15))
        weights = np.where(used, weights, 0.0)


def distinct(points: Array) -> tuple[Array, bool]:
    """The different rows of `points`, and whether these are likely all there are: none was seen only once."""
    sizes = np.abs(points).max(axis=0)
    sizes[sizes == 0] = 1.0
    rounded = np.round(points / sizes / NEAR) + 0.0
    _, first, counts = np.unique(rounded, axis=0, return_index=True, return_counts=True)
    return points[first], bool(counts.min() > 1)


def blocks(mask: Array) -> Iterator[Array]:
    """The parts of a mask that have no row and no column in common, each as a mask."""
    left = mask.copy()
    while left.any():
        rows = np.zeros(len(mask), bool)
        rows[int(np.argmax(left.any(axis=1)))] = True
        while True:
            wider = np.asarray(mask[:, mask[rows].any(axis=0)].any(axis=1))
            if np.array_equal(wider, rows):
                break
            rows = wider
        yield mask & rows[:, None]
        left &= ~rows[:, None]
