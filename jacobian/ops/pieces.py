"""Functions that put pieces together: insert and choose, functions applied to slices, and small selections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.ops.families import composite, reduced_axes
from jacobian.ops.registry import describe, refuse_out, sample
from jacobian.ops.values import array_of, floating, is_traced, laid_like, look, refuse_traced

# -- insert and choose ------------------------------------------------------------------------------------------------


def _insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    """Both arrays one after the other, and then in the order in which `np.insert` puts their positions."""
    refuse_traced("insert", obj=obj)
    arr, values = array_of(arr), array_of(values)
    if axis is None:
        arr, axis = np.ravel(arr), 0
    (axis,) = reduced_axes(axis, np.ndim(arr), "insert")
    shape = tuple(np.shape(arr))
    size = shape[axis]
    indices = np.arange(size)[obj] if isinstance(obj, slice) else np.asarray(obj)
    if indices.dtype == bool:
        indices = np.flatnonzero(indices)
    block = _inserted_block(values, indices, shape, axis)
    count = np.shape(block)[axis]
    marks = np.arange(size, size + count)
    if indices.size == 1:
        order = np.insert(np.arange(size), np.full(count, indices.item()), marks)
    else:
        order = np.insert(np.arange(size), indices.astype(int), marks)
    both = np.concatenate([arr, block if block.dtype == arr.dtype else np.astype(block, arr.dtype)], axis=axis)
    return laid_like(np.take(both, order, axis=axis), arr)


def _inserted_block(values: Any, indices: np.ndarray, shape: tuple[int, ...], axis: int) -> Any:
    """The values as an array that differs from the other one along the axis only."""
    if indices.ndim > 1:
        raise ShapeError(report("insert: the positions must be a number or a vector", got=describe("obj", indices)))
    rank = len(shape)
    wide = np.reshape(values, (1,) * (rank - np.ndim(values)) + tuple(np.shape(values)))
    if indices.ndim == 0:
        wide = np.moveaxis(wide, 0, axis)
    count = np.shape(wide)[axis] if indices.size == 1 else indices.size
    return np.broadcast_to(wide, (*shape[:axis], count, *shape[axis + 1 :]))


composite(
    "insert", _insert, answers=(np.insert,),
    samples=[
        sample((4,), 1, ()), sample((2, 3), 1, (2,), axis=1), sample((2, 3), [0, 2], (2,)), sample((3,), [1, 1], (2,)),
        sample((2, 3), [0, 2], (2, 1), axis=1), sample((4,), slice(None, None, 2), (2,)), sample((3,), -1, (2,)),
        sample((2, 3), [1], (2, 1), axis=1), sample((3,), [], []),
    ],
)  # fmt: skip


def _choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    """One mask for every choice."""
    refuse_out("choose", out)
    refuse_traced("choose", fix="the numbers of the choices are plain whole numbers", a=a)
    options = [array_of(choice) for choice in choices]
    numbers = np.asarray(a)
    shape = np.broadcast_shapes(numbers.shape, *map(np.shape, options))
    _refuse_outside(numbers, len(options), mode)
    picked = np.choose(np.broadcast_to(numbers, shape), list(np.arange(len(options))), mode=mode)  # type: ignore[call-overload]
    result = np.broadcast_to(options[0], shape)
    for number, option in enumerate(options[1:], 1):
        result = np.where(picked == number, option, result)
    return result


def _refuse_outside(numbers: np.ndarray, count: int, mode: str) -> None:
    """Raise the error for numbers that no choice has; NumPy's names neither."""
    outside = numbers[(numbers < 0) | (numbers >= count)] if mode == "raise" else numbers[:0]
    if outside.size:
        raise ValueError(f"index {outside.flat[0]} is out of bounds for {count} choices")


composite(
    "choose", _choose, answers=(np.choose,), note="one mask for every choice.",
    samples=[
        sample(np.array([0, 2, 1]), [(3,), (3,), (3,)]), sample(np.array([[0], [1]]), [(3,), ()]),
        sample(np.array([-1, 4, 1]), [(3,), (3,)], mode="wrap"), sample(np.array([-1, 4]), [(2,), ()], mode="clip"),
    ],
)  # fmt: skip

# -- functions of slices ----------------------------------------------------------------------------------------------


def _apply_along_axis(func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """The function is traced once for every slice."""
    arr = array_of(arr)
    (axis,) = reduced_axes(axis, np.ndim(arr), "apply_along_axis")
    lines = np.moveaxis(arr, axis, -1)
    places = tuple(np.shape(lines)[:-1])
    if 0 in places:
        raise ShapeError(
            report("apply_along_axis: there is no slice to apply the function to", got=describe("arr", arr))
        )
    parts = [array_of(func1d(lines[place], *args, **kwargs)) for place in np.ndindex(places)]
    stacked = np.reshape(np.stack(parts), (*places, *np.shape(parts[0])))
    if np.ndim(parts[0]) == 0:
        return stacked
    added = range(len(places), np.ndim(stacked))
    return np.moveaxis(stacked, list(added), list(range(axis, axis + len(added))))


def _apply_over_axes(func: Callable[..., Any], a: Any, axes: Any) -> Any:
    value = array_of(a)
    rank = np.ndim(value)
    for axis in (axes,) if np.ndim(axes) == 0 else axes:
        (at,) = reduced_axes(axis, rank, "apply_over_axes")
        result = func(value, at)
        if np.ndim(result) != rank:
            result = np.expand_dims(result, at)
            if np.ndim(result) != rank:
                raise ShapeError(report("apply_over_axes: the function changed the number of axes"))
        value = result
    return value


def _piecewise(x: Any, condlist: Any, funclist: Sequence[Any], *args: Any, **kw: Any) -> Any:
    """Every function on the entries where its condition holds; then the entries in their places."""
    x = floating(x)
    shape = tuple(np.shape(x))
    masks = [np.broadcast_to(np.asarray(look(one), bool), shape) for one in _listed(condlist, shape)]
    if len(masks) == len(funclist) - 1:
        masks.append(~np.any(masks, axis=0))
    if len(masks) != len(funclist):
        raise ArgumentError(
            report(f"piecewise: {len(masks)} conditions and {len(funclist)} functions",
                   fix="as many functions as conditions, or one more for all other entries")
        )  # fmt: skip
    number = np.full(shape, -1)
    for k, mask in enumerate(masks):
        number[mask] = k  # a later condition goes first
    parts: list[Any] = [np.zeros(int((number == -1).sum()), x.dtype)]
    places = [np.flatnonzero(number == -1)]
    for k, (mask, function) in enumerate(zip(masks, funclist, strict=True)):
        if not mask.any():
            continue
        values = array_of(function(x[mask], *args, **kw) if callable(function) else function)
        values = np.broadcast_to(values, (int(mask.sum()),))
        parts.append(np.astype(values[np.flatnonzero(number[mask] == k)], x.dtype))
        places.append(np.flatnonzero(number == k))
    order = np.argsort(np.concatenate(places), kind="stable")
    return laid_like(np.reshape(np.take(np.concatenate(parts), order), shape), x)


def _listed(conditions: Any, shape: tuple[int, ...]) -> list[Any]:
    """The conditions one by one; a single one may stand for itself."""
    if isinstance(conditions, bool | np.bool):
        return [conditions]
    first = conditions[0]
    return list(conditions) if isinstance(first, list | np.ndarray) or is_traced(first) or not shape else [conditions]


def _twice(line: Any) -> Any:
    return np.stack([np.sum(line), line[0] * line[1]])


composite(
    "apply_along_axis", _apply_along_axis, answers=(np.apply_along_axis,),
    note="the function is traced once for every slice.",
    samples=[
        sample(np.cumsum, 0, (2, 3)), sample(np.prod, -1, (2, 3)), sample(np.multiply.outer, 1, (2, 2, 2), [1.0, 2.0]),
        sample(_twice, 0, (2, 3, 2)), sample(np.cumsum, 1, (2, 3)),
    ],
)  # fmt: skip
composite(
    "apply_over_axes", _apply_over_axes, answers=(np.apply_over_axes,),
    samples=[sample(np.sum, (2, 3, 2), [0, 2]), sample(np.prod, (2, 3), [1]), sample(np.cumsum, (2, 3), [0, -1])],
)  # fmt: skip
composite(
    "piecewise", _piecewise, answers=(np.piecewise,), note="every function is traced on its own entries.",
    samples=[
        sample((4,), [[True, False, True, False]], [np.sin, np.exp]),
        sample((4,), [[True, False, True, False], [False, False, True, False]], [np.sin, 2.0]),
        sample((2, 2), [[[True, False], [True, False]]], [np.square, np.negative]), sample((), True, [np.sin, 1.0]),
    ],
)  # fmt: skip

# -- small selections -------------------------------------------------------------------------------------------------


def _trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    array = array_of(filt)
    sides = trim.lower()
    if sides not in ("f", "b", "fb", "bf"):
        raise ArgumentError(report(f"trim_zeros: trim must be made of 'f' and 'b', not {trim!r}"))
    axes = reduced_axes(axis, np.ndim(array), "trim_zeros")
    where = np.argwhere(look(array))
    key = [slice(None)] * np.ndim(array)
    for at in axes:
        if not len(where):
            key[at] = slice(0, 0)
            continue
        low, high = int(where[:, at].min()), int(where[:, at].max()) + 1
        key[at] = slice(low if "f" in sides else None, high if "b" in sides else None)
    return array[tuple(key)]


def _ix(*args: Any) -> tuple[Any, ...]:
    lines = [array_of(arg) for arg in args]
    for line in lines:
        if np.ndim(line) != 1:
            raise ShapeError(report("ix_: every argument must have one axis", got=describe("x", line)))
    return tuple(
        np.reshape(np.flatnonzero(line) if line.dtype == bool else line, (1,) * k + (-1,) + (1,) * (len(lines) - k - 1))
        for k, line in enumerate(lines)
    )


def _real_if_close(a: Any, tol: Any = 100) -> Any:
    array = array_of(a)
    if array.dtype.kind != "c":
        return array
    return np.real(array) if np.isrealobj(np.real_if_close(look(array), tol)) else array


composite(
    "trim_zeros", _trim_zeros, answers=(np.trim_zeros,),
    samples=[sample((3,)), sample((3,), trim="b")],
)  # fmt: skip
composite("ix_", _ix, answers=(np.ix_,), samples=[sample((2,), (3,)), sample((3,))])
composite(
    "diagflat", lambda v, k=0: np.diag(np.ravel(array_of(v)), k), answers=(np.diagflat,),
    samples=[sample((3,)), sample((2, 2), 1), sample((2,), k=-1), sample(())],
)  # fmt: skip
composite("real_if_close", _real_if_close, answers=(np.real_if_close,), samples=[sample((3,)), sample(())])
