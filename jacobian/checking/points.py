"""Points near a given one, at which accidents of the given numbers do not repeat.

Signs are kept, and so is what an input visibly is: a symmetric matrix stays symmetric, rows that sum to 1 go on doing
so, whole numbers stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jacobian.tracing.tree import is_array_list, is_container, map_leaves

Array = np.ndarray[Any, np.dtype[Any]]

SPREAD = 0.2


def is_symmetric(value: Any) -> bool:
    """Whether a value is a symmetric matrix, and not one that is so by being trivial: `c · I`, or all entries equal.

    >>> is_symmetric(np.array([[1.0, 2.0], [2.0, 5.0]])), is_symmetric(np.eye(3))
    (True, False)
    """
    if not isinstance(value, np.ndarray) or value.ndim < 2 or value.shape[-1] != value.shape[-2] or value.shape[-1] < 2:
        return False
    if not np.array_equal(value, np.swapaxes(value, -1, -2)):
        return False
    return bool(np.ptp(value) > 0 and not np.array_equal(value, value[..., :1, :1] * np.eye(value.shape[-1])))


def sums_to_one(value: Any) -> bool:
    """Whether a value holds probabilities along its last axis, such as one-hot targets."""
    if not isinstance(value, np.ndarray) or value.ndim < 1 or value.shape[-1] < 2 or value.dtype.kind != "f":
        return False
    return bool(np.all(value >= 0) and np.allclose(value.sum(axis=-1), 1.0, rtol=0, atol=1e-12))


def near(
    args: Sequence[Any],
    argnum: int,
    rng: np.random.Generator,
    spread: float = SPREAD,
    free: Sequence[int] = (),
    *,
    fresh: bool = False,
) -> list[Any]:
    """Arguments near the given ones. Those numbered in `free` do not stay symmetric, nor sum to 1.

    With `fresh`, arrays of both signs are drawn anew, of the same size: another point of the same kind.
    """

    def moved(value: Any, number: int) -> Any:
        if is_container(value) and not is_array_list(value):
            return map_leaves(lambda leaf, _: moved(leaf, number), value)
        if not isinstance(value, np.ndarray | np.inexact | float | complex | list):
            return np.asarray(value, float) * (1 + spread * rng.standard_normal()) if number == argnum else value
        array = np.asarray(value)
        if array.dtype.kind == "c":
            return _turned(array, rng, spread)
        if array.dtype.kind != "f":
            if number != argnum:
                return value
            array = array.astype(float)
        if fresh and np.any(array > 0) and np.any(array < 0):
            array = np.where(rng.random(array.shape) < 0.5, array, -array) if not is_symmetric(array) else array
        return _moved(array, rng, spread, held=number not in free, differentiated=number == argnum)

    return [moved(value, number) for number, value in enumerate(args)]


def _turned(array: Array, rng: np.random.Generator, spread: float) -> Array:
    """Complex numbers, each a little longer or shorter and turned a little; what is 0 gets as large a step."""
    scale = float(np.sqrt(np.mean(np.abs(array) ** 2))) or 1.0
    drawn = spread * (rng.standard_normal(array.shape) + 1j * rng.standard_normal(array.shape))
    return np.asarray(np.where(array == 0, scale * drawn, array * np.exp(drawn)), array.dtype)


def _moved(array: Array, rng: np.random.Generator, spread: float, *, held: bool, differentiated: bool) -> Any:
    if not array.size:
        return array
    scale = float(np.sqrt(np.mean(np.square(array, dtype=float)))) or 1.0
    result = array * np.exp(spread * rng.standard_normal(array.shape))
    step = spread * scale * rng.standard_normal(array.shape)
    result = np.where(array == 0, np.abs(step) if np.all(array >= 0) and np.any(array) else step, result)
    if held and is_symmetric(array):
        result = (result + np.swapaxes(result, -1, -2)) / 2
    elif held and not differentiated and sums_to_one(array):
        result = result / result.sum(axis=-1, keepdims=True)
    return np.asarray(result, array.dtype)
