"""Assignment into traced arrays: `x[i] = v`, `x += y`, `np.add(x, y, out=x)`, `np.put` and their like.

What is assigned through a view is assigned into the array that owns the memory: it becomes another node, and every
array that lies in its memory is read from that again. What NumPy would do is done, or refused; the arrays that the
user handed over never change.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, DTypeError, JacobianError, ShapeError, report
from jacobian.kernel.expression import Jacobian
from jacobian.ops import assignment, indexing
from jacobian.ops.assignment import Path
from jacobian.ops.registry import Op, as_operand, describe
from jacobian.tracing.flat import Flat
from jacobian.tracing.keys import NoKeyError, canonical
from jacobian.tracing.refusals import refuse, refuse_assignment, refuse_out
from jacobian.tracing.stripped import seen, strip_all
from jacobian.tracing.tracer import (
    Tracer,
    at_users_line,
    is_number,
    is_outdated,
    record,
    record_bound,
)  # fmt: skip

READ_ONLY = {
    "broadcast_to": "x = x.copy() gives an array of that shape that can be changed",
    "sliding_window_view": "assign into the array that the windows are of",
    "diagonal": "np.fill_diagonal(x, v), or np.einsum('ii->i', x)[...] = v",
    "linalg_diagonal": "np.einsum('...ii->...i', x)[...] = v",
    "diag": "np.fill_diagonal(x, v), or np.einsum('ii->i', x)[...] = v",
}
"""Views that NumPy does not let anyone write through, and what to do instead."""

FLAT: Path = (("ravel", (("shape", -1), ("order", "C"))),)

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
    value = as_operand(stacked(value))
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


def stacked(value: Any) -> Any:
    """A list that holds traced arrays as one array."""
    if isinstance(value, Jacobian):
        return value.tensor()
    if isinstance(value, Flat):
        return value.copy()
    if isinstance(value, list | tuple) and holds_traced(value):
        return np.stack([stacked(item) for item in value])
    return value


def holds_traced(value: Any) -> bool:
    """Whether a value is a traced array, or a list with one in it."""
    return isinstance(value, Tracer) or (isinstance(value, list | tuple) and any(map(holds_traced, value)))


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
    replace(array, function(array, other), f"np.{function.__name__}")
    return array


def replace(array: Tracer, result: Any, called: str, casting: str = "same_kind") -> None:
    """Assign a result to all of an array, which must not be cast beyond what NumPy allows."""
    result = as_operand(stacked(result))
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
    replace(out, result, called)
    return out


def ufunc_into(
    ufunc: np.ufunc, inputs: Any, out: Any, where: Any = True, casting: str = "same_kind", **rest: Any
) -> Any:
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
                replace(one, result, called, casting)
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
        refuse_assignment(f"np.{ufunc.__name__}.at(out, …) where out is a plain array")
    owner, path = place(array)
    key = seen(indices)
    if ufunc in (np.add, np.subtract):
        value = as_operand(stacked(values[0]))
        write(array, key, value if ufunc is np.add else np.multiply(value, -1.0), op=assignment.add_at)
        return
    try:
        at = np.asarray(assignment.places(owner.shape, key, path))
    except IndexError as error:
        raise at_users_line(ArgumentError(report(f"np.{ufunc.__name__}.at: {error}"))) from None
    operands = [np.ravel(np.broadcast_to(as_operand(stacked(value)), at.shape)) for value in values]
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


setattr(Tracer, "__setitem__", set_item)  # noqa: B010 - as the operators are given
