"""Assignment into traced arrays: `x[i] = v`, `x += y`, `np.add(x, y, out=x)`, `np.put` and their like.

What is assigned through a view is assigned into the array that owns the memory: it becomes another node, and every
array that lies in its memory is read from that again. What NumPy would do is done, or refused; the arrays that the
user handed over never change.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, DTypeError, JacobianError, ShapeError, report
from jacobian.kernel.expression import Jacobian
from jacobian.ops import assignment, indexing, layout
from jacobian.ops.assignment import Path
from jacobian.ops.registry import REGISTRY, Op, Params, as_operand, describe
from jacobian.tracing.graph import Node
from jacobian.tracing.keys import NoKeyError, canonical
from jacobian.tracing.refusals import refuse, refuse_assignment, refuse_out
from jacobian.tracing.tracer import (
    MAKERS, WRITERS, Tracer, at_users_line, is_number, is_outdated, record, record_bound, seen, strip_all,
)  # fmt: skip

READ_ONLY = {
    "broadcast_to": "x = x.copy() gives an array of that shape that can be changed",
    "sliding_window_view": "assign into the array that the windows are of",
    "diagonal": "np.fill_diagonal(x, v), or np.einsum('ii->i', x)[...] = v",
    "linalg_diagonal": "np.einsum('...ii->...i', x)[...] = v",
    "diag": "np.fill_diagonal(x, v), or np.einsum('ii->i', x)[...] = v",
}
"""Views that NumPy does not let anyone write through, and what to do instead."""

_FLAT: Path = (("ravel", (("shape", -1), ("order", "C"))),)

# -- where -------------------------------------------------------------------------------------------------------------


def place(array: Tracer) -> tuple[Tracer, Path]:
    """The array that owns the memory, and the path from there to this one.

    Raises:
        TraceError: nothing can be assigned here.
    """
    why = why_not_writeable(array)
    if why is not None:
        headline, fix = why
        refuse(headline, fix)
    path: list[Any] = []
    while array._step is not None:
        path.append((array._step.op.name, tuple(array._step.params.items())))
        array = array._step.parent
    return array, tuple(reversed(path))


def why_not_writeable(array: Tracer) -> tuple[str, str] | None:
    """Why nothing can be assigned into an array, and the way out."""
    memory = array._memory
    if is_number(array):
        return "x[…] = v where x is a number cannot be traced: numbers do not change", "x = v, or y = x + 1"
    if memory is not None and memory.closed:
        return f"an array is assigned into, but {memory.closed}", "x = x.copy() gives an array that can be changed"
    if memory is not None and memory.unsure:
        return (
            "a reshaped array is assigned into: whether it is a view depends on how the argument lies in memory",
            "x = x.copy() before it is reshaped, or hand over np.ascontiguousarray(x)",
        )
    while array._step is not None:
        op, parent = array._step.op, array._step.parent
        if op.name in READ_ONLY:
            return f"an array is assigned into that np.{op.called} made: it is read-only", READ_ONLY[op.name]
        if op.name == "real" and parent.dtype.kind == "c":
            return "z.real[…] = v cannot be traced where z is complex", "z = v + 1j * z.imag"
        if not op.built_in or len(array._step.operands) != 1:
            return f"an array is assigned into that is a view made by {op.called}", "x = x.copy() before that"
        array = parent
    return None


# -- what --------------------------------------------------------------------------------------------------------------


def write(array: Tracer, key: Any, value: Any, more: Path = (), op: Op = assignment.set_item) -> None:
    """`array[key] = value`, behind the views `more`."""
    owner, path = place(array)
    path = (*path, *more)
    if key is Ellipsis and path and path[-1][0] == "getitem":
        ((_, key),) = path[-1][1]
        path = path[:-1]
    value = _fitting(owner, value)
    try:
        found = record_bound(op, (owner, value), {"key": key, "path": path})
    except JacobianError as error:
        raise at_users_line(error) from None
    _become(owner, found)


def _fitting(owner: Tracer, value: Any) -> Any:
    """A value as an operand whose numbers the array can hold."""
    value = as_operand(_stacked(value))
    dtype = np.result_type(value)
    if dtype.kind not in "biufc":
        raise at_users_line(DTypeError(report(f"{dtype} is assigned into an array of {owner.dtype}")))
    if dtype.kind == "c" and owner.dtype.kind != "c":
        raise at_users_line(
            DTypeError(
                report(
                    f"complex numbers are assigned into an array of {owner.dtype}",
                    fix="x = x.astype(complex) before that, or assign v.real",
                )
            )
        )
    return value


def _stacked(value: Any) -> Any:
    """A list that holds traced arrays as one array."""
    if isinstance(value, Jacobian):
        return value.tensor()
    if isinstance(value, list | tuple) and _holds_traced(value):
        return np.stack([_stacked(item) for item in value])
    return value


def _holds_traced(value: Any) -> bool:
    return isinstance(value, Tracer) or (isinstance(value, list | tuple) and any(map(_holds_traced, value)))


def _become(owner: Tracer, found: Tracer) -> None:
    """Let an array stand for another node; its views are read from that when they are looked at."""
    if found.graph is not owner.graph:
        refuse(
            "an array of the function around is assigned what a function computes while it is differentiated",
            "let the inner function return it, or make the array there: np.zeros(shape, like=v)",
        )
    owner.graph.assigned = True
    owner.node, owner.value = found.node, found.value
    memory = owner._memory
    if memory is None:
        return
    live: list[weakref.ref[Any]] = []
    for reference in memory.views:
        view = reference()
        if view is not None:
            live.append(reference)
            if not is_outdated(view):
                del view.node, view.value
    memory.views = live


def set_item(array: Tracer, key: Any, value: Any) -> None:
    """`array[key] = value`."""
    key = seen(key)
    if not _is_itself(array, key, value):
        write(array, key, value)


def _is_itself(array: Tracer, key: Any, value: Any) -> bool:
    """Whether the value is what stands there: `x[i] += v` ends by assigning `x[i]`, which has changed, to `x[i]`."""
    step = value._step if isinstance(value, Tracer) else None
    if step is None or step.parent is not array or step.op is not indexing.getitem:
        return False
    try:
        return canonical(step.params["key"]) == canonical(key)
    except NoKeyError:
        return False


def in_place(array: Tracer, function: Callable[..., Any], other: Any) -> Any:
    """`array += other` and its like; a number makes place for another one."""
    if is_number(array):
        return function(array, other)
    place(array)
    _replace(array, function(array, other), f"np.{function.__name__}")
    return array


def _replace(array: Tracer, result: Any, called: str, casting: str = "same_kind") -> None:
    """Assign a result to all of an array, which must not be cast beyond what NumPy allows."""
    result = as_operand(_stacked(result))
    shape, dtype = tuple(np.shape(result)), np.result_type(result)
    if _broadcast(shape, array.shape) != array.shape:
        raise at_users_line(
            ShapeError(
                report(
                    f"{called}: a result of shape {shape} does not fit into the array of shape {array.shape}",
                    got=f"{describe('result', result)}, {describe('x', array)}",
                )
            )
        )
    if not np.can_cast(dtype, array.dtype, casting):  # type: ignore[arg-type]
        raise at_users_line(
            DTypeError(report(f"{called}: a result of {dtype} is not cast to {array.dtype} with casting={casting!r}"))
        )
    if _takes_its_place(array, result):
        _become(array, result)
    else:
        write(array, ..., result)


def _broadcast(shape: Any, other: Any) -> Any:
    try:
        return np.broadcast_shapes(shape, other)
    except ValueError:
        return None


def _takes_its_place(array: Tracer, result: Any) -> bool:
    """Whether an array can stand for a result as it is: of the same kind, and lying in memory as the array does."""
    if not isinstance(result, Tracer) or array._step is not None or result.graph is not array.graph:
        return False
    old, new = strip_all(array.value), strip_all(result.value)
    return type(new) is np.ndarray and (new.shape, new.dtype, new.strides) == (old.shape, old.dtype, old.strides)


# -- out= --------------------------------------------------------------------------------------------------------------


def result_into(called: str, out: Any, compute: Callable[[], Any]) -> Any:
    """What a function computes, put where `out=` says."""
    (out,) = out if isinstance(out, tuple) else (out,)
    if not isinstance(out, Tracer):
        refuse_out(called)
    place(out)
    result = compute()
    if np.shape(result) != out.shape:
        raise at_users_line(
            ShapeError(report(f"{called}: out= has the shape {out.shape}, the result {tuple(np.shape(result))}"))
        )
    _replace(out, result, called)
    return out


def ufunc_into(ufunc: np.ufunc, inputs: Any, out: Any, where: Any = True, casting: str = "same_kind", **rest: Any) -> Any:
    """A ufunc with `out=`, and with `where=`: it is computed where it is wanted only."""
    called = f"np.{ufunc.__name__}"
    for one in out:
        if one is not None and not isinstance(one, Tracer):
            refuse_out(called, ufunc=True)
        if one is not None:
            place(one)
    if where is True:
        results = ufunc(*inputs, **rest)
        results = results if isinstance(results, tuple) else (results,)
        for one, result in zip(out, results, strict=True):
            if one is not None:
                _replace(one, result, called, casting)
        found = tuple(result if one is None else one for one, result in zip(out, results, strict=True))
        return found if len(found) > 1 else found[0]
    if len(out) > 1 or ufunc.signature is not None:
        refuse(f"{called}(…, out=…, where=…) cannot be traced", "out[mask] = … for every result")
    mask = np.broadcast_to(np.asarray(seen(where)), out[0].shape)
    out[0][mask] = ufunc(*(np.broadcast_to(one, out[0].shape)[mask] for one in inputs), **rest)
    return out[0]


def ufunc_at(ufunc: np.ufunc, array: Any, indices: Any, *values: Any) -> None:
    """`ufunc.at(array, indices, values)`: once for every time that an entry is picked, one after the other."""
    if not isinstance(array, Tracer):
        refuse_assignment(f"np.{ufunc.__name__}.at(out, …)")
    owner, path = place(array)
    key = seen(indices)
    if ufunc in (np.add, np.subtract):
        value = _stacked(values[0])
        write(array, key, value if ufunc is np.add else -value, op=assignment.add_at)
        return
    try:
        at = np.asarray(assignment.places(owner.shape, key, path))
    except IndexError as error:
        raise at_users_line(ArgumentError(report(f"np.{ufunc.__name__}.at: {error}"))) from None
    operands = [np.ravel(np.broadcast_to(as_operand(_stacked(value)), at.shape)) for value in values]
    flat = at.ravel()
    for turn in _turns(flat):
        entries = np.unravel_index(flat[turn], owner.shape)
        write(owner, entries, ufunc(record(indexing.getitem, (owner, entries), {}), *(one[turn] for one in operands)))


def _turns(places: np.ndarray) -> list[np.ndarray]:
    """Which entries can be done at once: the first ones of every place, the second ones, and so on."""
    order = np.argsort(places, kind="stable")
    ranked = places[order]
    first = np.r_[True, ranked[1:] != ranked[:-1]] if len(places) else np.zeros(0, bool)
    start = np.maximum.accumulate(np.where(first, np.arange(len(places)), 0)) if len(places) else first
    turn = np.empty(len(places), int)
    turn[order] = np.arange(len(places)) - start
    return [np.flatnonzero(turn == k) for k in range(int(turn.max(initial=-1)) + 1)]


# -- NumPy's functions that assign -------------------------------------------------------------------------------------


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
    src = as_operand(_stacked(src))
    if where is True:
        _replace(dst, src, "np.copyto", casting)
        return
    mask = np.broadcast_to(np.asarray(seen(where)), dst.shape)
    write(dst, mask, np.broadcast_to(src, dst.shape)[mask] if np.ndim(src) else src)


@_writer(np.put)
def _put(a: Tracer, ind: Any, v: Any, mode: str = "raise") -> None:
    places = np.ravel(np.asarray(seen(ind)))
    if mode in ("wrap", "clip") and a.size:
        places = places % a.size if mode == "wrap" else np.clip(places, 0, a.size - 1)
    values = as_operand(_stacked(v))
    if len(places) and np.size(values):
        write(a, places, _repeated(values, len(places)), _FLAT)


@_writer(np.place)
def _place(arr: Tracer, mask: Any, vals: Any) -> None:
    chosen = _flat_mask("place", arr, mask)
    values, count = as_operand(_stacked(vals)), int(np.count_nonzero(chosen))
    if count and not np.size(values):
        raise at_users_line(ArgumentError(report("place: there are no values to insert")))
    write(arr, chosen, _repeated(values, count), _FLAT)


@_writer(np.putmask)
def _putmask(a: Tracer, mask: Any, values: Any) -> None:
    chosen = _flat_mask("putmask", a, mask)
    values = as_operand(_stacked(values))
    if np.size(values):
        write(a, chosen, np.ravel(values)[np.flatnonzero(chosen) % np.size(values)], _FLAT)


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
    values = as_operand(_stacked(val))
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
        write(arr, places, values, _FLAT)
        return
    rank = arr.ndim
    rulers = [np.arange(n).reshape((-1,) + (1,) * (rank - a - 1)) for a, n in enumerate(arr.shape)]
    write(arr, tuple(places if a == axis % rank else rulers[a] for a in range(rank)), values)


def assign_flat(array: Tracer, key: Any, value: Any) -> None:
    """`array.flat[key] = value`: values are repeated, or left over."""
    key = seen(key)
    values = as_operand(_stacked(value))
    try:
        picked = np.arange(array.size)[key]
    except IndexError as error:
        raise at_users_line(ArgumentError(report(f"x.flat[…] = v: {error}"))) from None
    if np.size(values):
        values = _repeated(values, np.size(picked))
        write(array, key, np.reshape(values, picked.shape) if np.ndim(values) else values, _FLAT)


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
    if _holds_traced(fill) or np.ndim(fill):
        array = layout.copy(np.broadcast_to(as_operand(_stacked(fill)), shape))
        return array if array.dtype == dtype else layout.astype(array, dtype)
    if dtype.kind not in "fc":
        return np.full(shape, fill, dtype)
    axes = _axes_in_memory(np.full_like(strip_all(like.value), 0, order=order, shape=shape))
    params: Params = {"shape": shape, "fill": fill, "dtype": dtype, "axes": axes}
    return _constant(like, REGISTRY["full"], params)


def _axes_in_memory(array: np.ndarray) -> tuple[int, ...] | None:
    """The axes, the one of the longest steps first; None when they are in order."""
    if array.flags.c_contiguous:
        return None
    return tuple(sorted(range(array.ndim), key=lambda axis: (-array.strides[axis], axis)))


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


def _full(
    like: Tracer, shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C", *, device: Any = None
) -> Any:
    return _filled(like, shape, fill_value, np.result_type(_stacked(fill_value)) if dtype is None else dtype, order)


def _full_like(
    like: Tracer, a: Any, fill_value: Any, dtype: Any = None, order: Any = "K", subok: bool = True,
    shape: Any = None, *, device: Any = None,
) -> Any:  # fmt: skip
    return _filled(like, a.shape if shape is None else shape, fill_value, a.dtype if dtype is None else dtype, order)


def _array(like: Tracer, values: Any, dtype: Any = None, **options: Any) -> Any:
    """`np.array([x0, x1], like=x)`: a list of traced values, stacked."""
    if set(options) - {"copy"}:
        refuse(f"np.array(…, {', '.join(options)}=…) cannot be traced", "np.stack([x0, x1])")
    found = _stacked(values)
    if not isinstance(found, Tracer):
        return np.array(found, dtype)
    found = layout.copy(found) if found is values else found
    return found if dtype is None or found.dtype == dtype else found.astype(dtype)


def _nan_to_num(x: Any, copy: bool = True, **limits: Any) -> Any:
    result = record(REGISTRY["nan_to_num"], (x,), limits)
    if copy or not isinstance(x, Tracer):
        return result
    _replace(x, result, "np.nan_to_num")
    return x


MAKERS |= {
    np.zeros: _maker(0.0), np.ones: _maker(1.0), np.empty: _maker(0.0), np.full: _full,
    np.zeros_like: _maker_alike(0.0), np.ones_like: _maker_alike(1.0),
    np.empty_like: _maker_alike(0.0), np.full_like: _full_like, np.array: _array,
}  # fmt: skip
WRITERS[np.nan_to_num] = _nan_to_num

setattr(Tracer, "__setitem__", set_item)  # noqa: B010 - as the operators are given
