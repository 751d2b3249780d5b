"""NumPy's functions that assign into an array, and those that make an array to be assigned into, for traced arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.ops import layout
from jacobian.ops.assignment import Path, axes_in_memory
from jacobian.ops.registry import REGISTRY, Op, Params, as_operand
from jacobian.tracing.assignment import FLAT, holds_traced, replace, stacked, write
from jacobian.tracing.graph import Node
from jacobian.tracing.refusals import refuse, refuse_assignment
from jacobian.tracing.stripped import seen, strip_all
from jacobian.tracing.tracer import MAKERS, WRITERS, Tracer, at_users_line, record

# -- assigning --------------------------------------------------------------------------------------------------------


def _writer(function: Callable[..., Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let a function do what NumPy's does, where the array assigned into is traced."""

    def declare(ours: Callable[..., None]) -> Callable[..., None]:
        def checked(array: Any, *args: Any, **kwargs: Any) -> None:
            if not isinstance(array, Tracer):
                refuse_assignment(f"np.{function.__name__}(out, …) where out is a plain array")
            ours(array, *args, **kwargs)

        WRITERS[function] = checked
        return ours

    return declare


@_writer(np.copyto)
def _copyto(dst: Tracer, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    src = as_operand(stacked(src))
    if where is True:
        replace(dst, src, "np.copyto", casting)
        return
    mask = np.broadcast_to(np.asarray(seen(where)), dst.shape)
    write(dst, mask, np.broadcast_to(src, dst.shape)[mask] if np.ndim(src) else src)


@_writer(np.put)
def _put(a: Tracer, ind: Any, v: Any, mode: str = "raise") -> None:
    places = np.ravel(np.asarray(seen(ind)))
    if mode in ("wrap", "clip") and a.size:
        places = places % a.size if mode == "wrap" else np.clip(places, 0, a.size - 1)
    values = as_operand(stacked(v))
    if len(places) and np.size(values):
        write(a, places, _repeated(values, len(places)), FLAT)


@_writer(np.place)
def _place(arr: Tracer, mask: Any, vals: Any) -> None:
    chosen = _flat_mask("place", arr, mask)
    values, count = as_operand(stacked(vals)), int(np.count_nonzero(chosen))
    if count and not np.size(values):
        raise at_users_line(ArgumentError(report("place: there are no values to insert")))
    write(arr, chosen, _repeated(values, count), FLAT)


@_writer(np.putmask)
def _putmask(a: Tracer, mask: Any, values: Any) -> None:
    chosen = _flat_mask("putmask", a, mask)
    values = as_operand(stacked(values))
    if np.size(values):
        write(a, chosen, np.ravel(values)[np.flatnonzero(chosen) % np.size(values)], FLAT)


def _flat_mask(name: str, array: Tracer, mask: Any) -> np.ndarray:
    chosen = np.asarray(seen(mask), bool)
    if chosen.size != array.size:
        raise at_users_line(
            ShapeError(report(f"{name}: the mask has the shape {chosen.shape}, the array {array.shape}"))
        )
    return np.ravel(chosen)


@_writer(np.fill_diagonal)
def _fill_diagonal(a: Tracer, val: Any, wrap: bool = False) -> None:
    shape = a.shape
    if len(shape) < 2 or (len(shape) > 2 and len(set(shape)) > 1):
        raise at_users_line(
            ShapeError(report(f"fill_diagonal: it needs a matrix, or axes of one length, not the shape {shape}"))
        )
    values = as_operand(stacked(val))
    if len(shape) == 2 and shape[0] == shape[1]:
        diagonal: Path = (("einsum", (("subscripts", "ii->i"),)),)
        write(a, ..., _repeated(values, shape[0]), diagonal)
        return
    step = shape[1] + 1 if len(shape) == 2 else 1 + int(np.cumprod(shape[:-1]).sum())
    assign_flat(a, slice(None, shape[1] * shape[1] if len(shape) == 2 and not wrap else None, step), values)


@_writer(np.put_along_axis)
def _put_along_axis(arr: Tracer, indices: Any, values: Any, axis: Any) -> None:
    places = np.asarray(seen(indices))
    if axis is None:
        write(arr, places, values, FLAT)
        return
    rank = arr.ndim
    rulers = [np.arange(n).reshape((-1,) + (1,) * (rank - a - 1)) for a, n in enumerate(arr.shape)]
    write(arr, tuple(places if a == axis % rank else rulers[a] for a in range(rank)), values)


def assign_flat(array: Tracer, key: Any, value: Any) -> None:
    """`array.flat[key] = value`: values are repeated, or left over."""
    key = seen(key)
    values = as_operand(stacked(value))
    try:
        picked = np.arange(array.size)[key]
    except IndexError as error:
        raise at_users_line(ArgumentError(report(f"x.flat[…] = v: {error}"))) from None
    if np.size(values):
        values = _repeated(values, np.size(picked))
        write(array, key, np.reshape(values, picked.shape) if np.ndim(values) else values, FLAT)


def _repeated(values: Any, count: int) -> Any:
    """So many values, from the first one again when they are used up."""
    if not np.ndim(values):
        return values
    size = int(np.size(values))
    flat = np.ravel(values)
    if size >= count:
        return flat if size == count else flat[:count]
    return flat[0] if size == 1 else np.tile(flat, math.ceil(count / size))[:count]


# -- arrays to be assigned into ----------------------------------------------------------------------------------------


def _filled(like: Tracer, shape: Any, fill: Any, dtype: Any, order: Any = "C") -> Any:
    """An array of one number in a trace, so that traced values can be assigned into it; a plain one of integers."""
    shape = tuple(int(n) for n in ((shape,) if np.ndim(shape) == 0 else shape))
    dtype = np.dtype(dtype)
    if holds_traced(fill) or np.ndim(fill):
        array = layout.copy(np.broadcast_to(as_operand(stacked(fill)), shape))
        return array if array.dtype == dtype else layout.astype(array, dtype)
    if dtype.kind not in "fc":
        return np.full(shape, fill, dtype)
    axes = _axes_in_memory(np.full_like(strip_all(like.value), 0, order=order, shape=shape))
    params: Params = {"shape": shape, "fill": fill, "dtype": dtype, "axes": axes}
    return _constant(like, REGISTRY["full"], params)


def _axes_in_memory(array: np.ndarray) -> tuple[int, ...] | None:
    """The axes, the one of the longest steps first; None when they are in order."""
    return None if array.flags.c_contiguous else axes_in_memory(array.strides)


def _constant(like: Tracer, op: Op, params: Params) -> Tracer:
    value = op.compute((), params)
    return Tracer(like.graph, Node(like.graph, op, value, (), params, (), ()), value)


def _maker(fill: float) -> Callable[..., Any]:
    """`np.zeros(shape, like=x)` and its like."""

    def make(like: Tracer, shape: Any, dtype: Any = None, order: Any = "C", *, device: Any = None) -> Any:
        return _filled(like, shape, fill, float if dtype is None else dtype, order)

    return make


def _maker_alike(fill: float) -> Callable[..., Any]:
    """`np.zeros_like(x)` and its like."""

    def make(
        like: Tracer, a: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None, *,
        device: Any = None,
    ) -> Any:  # fmt: skip
        return _filled(like, a.shape if shape is None else shape, fill, a.dtype if dtype is None else dtype, order)

    return make


def _full(like: Tracer, shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C", *, device: Any = None) -> Any:
    return _filled(like, shape, fill_value, np.result_type(stacked(fill_value)) if dtype is None else dtype, order)


def _full_like(
    like: Tracer, a: Any, fill_value: Any, dtype: Any = None, order: Any = "K", subok: bool = True,
    shape: Any = None, *, device: Any = None,
) -> Any:  # fmt: skip
    return _filled(like, a.shape if shape is None else shape, fill_value, a.dtype if dtype is None else dtype, order)


def _array(like: Tracer, values: Any, dtype: Any = None, **options: Any) -> Any:
    """`np.array([x0, x1], like=x)`: a list of traced values, stacked."""
    if set(options) - {"copy"}:
        refuse(f"np.array(…, {', '.join(options)}=…) cannot be traced", "np.stack([x0, x1])")
    found = stacked(values)
    if not isinstance(found, Tracer):
        return np.array(found, dtype)
    found = layout.copy(found) if found is values else found
    return found if dtype is None or found.dtype == dtype else found.astype(dtype)


def _nan_to_num(x: Any, copy: bool = True, **limits: Any) -> Any:
    result = record(REGISTRY["nan_to_num"], (x,), limits)
    if copy or not isinstance(x, Tracer):
        return result
    replace(x, result, "np.nan_to_num")
    return x


MAKERS |= {
    np.zeros: _maker(0.0), np.ones: _maker(1.0), np.empty: _maker(0.0), np.full: _full,
    np.zeros_like: _maker_alike(0.0), np.ones_like: _maker_alike(1.0),
    np.empty_like: _maker_alike(0.0), np.full_like: _full_like, np.array: _array,
}  # fmt: skip
WRITERS[np.nan_to_num] = _nan_to_num
