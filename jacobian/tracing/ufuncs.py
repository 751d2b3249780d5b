"""The methods of ufuncs: `reduce`, `accumulate`, `reduceat` and `outer`, by what does the same, or step by step."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, IndexingError, report
from jacobian.ops import reduction
from jacobian.ops.registry import describe
from jacobian.ops.values import look

REDUCE: dict[np.ufunc, Callable[..., Any]] = {
    np.add: np.sum, np.multiply: np.prod, np.maximum: np.max, np.minimum: np.min,
}  # fmt: skip
ACCUMULATE: dict[np.ufunc, Callable[..., Any]] = {
    np.add: np.cumsum, np.multiply: np.cumprod, np.maximum: reduction.running_max, np.minimum: reduction.running_min,
}  # fmt: skip


def ufunc_method(ufunc: np.ufunc, method: str, inputs: Any, kwargs: Any, refuse: Callable[[Any], Any]) -> Any:
    """`ufunc.reduce(x)` and its like for traced arrays."""
    if method == "outer":
        return _outer(ufunc, *inputs)
    if method == "reduceat":
        return _reduceat(ufunc, *inputs, **kwargs)
    if method not in ("reduce", "accumulate"):
        return refuse(getattr(ufunc, method))
    array, *rest = inputs
    names = ("axis", "dtype", "out", "keepdims", "initial", "where")
    options = {"axis": 0} | dict(zip(names, rest, strict=False)) | kwargs
    options = {name: value for name, value in options.items() if value is not None or name == "axis"}
    known = (REDUCE if method == "reduce" else ACCUMULATE).get(ufunc)
    if known is not None:
        return known(array, **options)
    if set(options) - {"axis", "keepdims"} or ufunc.nin != 2:
        return refuse(getattr(ufunc, method))
    return _fold(ufunc, method, array, options["axis"], bool(options.get("keepdims", False)))


def _fold(ufunc: np.ufunc, method: str, array: Any, axis: Any, keepdims: bool) -> Any:
    axes = range(array.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if method == "accumulate":
        (axis,) = axes
        if not array.shape[axis]:
            return array
        parts = [np.moveaxis(array, axis, 0)[0]]
        for row in np.moveaxis(array, axis, 0)[1:]:
            parts.append(ufunc(parts[-1], row))
        return np.stack(parts, axis=axis)
    for one in sorted({one % array.ndim for one in axes}, reverse=True):
        rows = np.moveaxis(array, one, 0)
        array = reduce(ufunc, rows) if len(rows) else ufunc.reduce(np.zeros(rows.shape))
        if keepdims:
            array = np.expand_dims(array, one)
    return array


def _reduceat(ufunc: np.ufunc, array: Any, indices: Any, axis: int = 0, dtype: Any = None) -> Any:
    """Runs of an axis reduced: from each index to the next, to the end from the last; a run of none is its entry."""
    if dtype is not None:
        raise ArgumentError(report(f"{ufunc.__name__}.reduceat: dtype= is not traced", fix="leave it out"))
    if not -array.ndim <= axis < array.ndim:
        got = describe("array", array)
        raise IndexingError(report(f"{ufunc.__name__}.reduceat: axis {axis} does not exist", got=got))
    moved = np.moveaxis(array, axis, 0)
    starts = np.asarray(look(indices))
    try:
        ufunc.reduceat(np.ones(moved.shape[0]), starts)  # refuses indices that are none
    except (IndexError, TypeError, ValueError) as error:
        raise IndexingError(report(f"{ufunc.__name__}.reduceat: {error}", axis=f"{moved.shape[0]} entries")) from None
    runs = [
        range(first, stop) if first < stop else range(first, first + 1)
        for first, stop in zip(starts.tolist(), [*starts[1:].tolist(), moved.shape[0]], strict=True)
    ]
    if ufunc is np.add:
        found = np.zeros((len(runs), *moved.shape[1:]), like=array)
        np.add.at(found, np.repeat(np.arange(len(runs)), list(map(len, runs))), moved[[k for run in runs for k in run]])
    else:
        reduced: Callable[..., Any] = REDUCE.get(ufunc, ufunc.reduce)
        found = np.stack([reduced(moved[run.start : run.stop], axis=0) for run in runs])
    return np.moveaxis(found, 0, axis)


def _outer(ufunc: np.ufunc, left: Any, right: Any) -> Any:
    left_shape, right_shape = np.shape(left), np.shape(right)
    return ufunc(np.reshape(left, (*left_shape, *(1,) * len(right_shape))), right)
