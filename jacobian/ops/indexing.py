"""Ops that pick entries: indexing of every kind, take, where, sort, clip and what depends on an order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from jacobian.errors import ArgumentError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.indexing import basic_index
from jacobian.kernel.pattern import Shape
from jacobian.kernel.recorded import Recorded
from jacobian.kernel.term import Term
from jacobian.ops.families import along, composite, elementwise, gather, moved
from jacobian.ops.growth import largest
from jacobian.ops.kinks import warn_kink, warn_ties
from jacobian.ops.registry import SAME, Kink, Op, Point, refuse_out, register, sample
from jacobian.ops.terms import is_traced


def is_basic(key: Any) -> bool:
    """Whether an index has only integers, slices, `...` and None, so that NumPy would return a view."""
    keys = key if isinstance(key, tuple) else (key,)
    return all(
        k is None
        or k is Ellipsis
        or isinstance(k, slice)
        or (isinstance(k, int | np.integer) and not isinstance(k, bool))
        for k in keys
    )


class Place(NamedTuple):
    """Where an index has one of the arrays that were taken out of it."""

    number: int


def picked_by(x: Any, key: Any, is_position: Callable[[Any], bool]) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """The operands and parameters of `getitem` for an index that has arrays of positions; None where it has none.

    None, too, where NumPy would give a view, or go through a list.
    """
    keys = key if type(key) is tuple else (key,)
    tables = [one for one in keys if is_position(one)]
    if not tables or any(isinstance(one, list | tuple) for one in keys):
        return None
    numbers = iter(range(len(tables)))
    bare: list[Any] = []
    for one in keys:
        is_mask = isinstance(one, np.ndarray) and one.dtype.kind == "b"
        bare += one.nonzero() if is_mask else [Place(next(numbers)) if is_position(one) else one]
    if not any(map(np.ndim, (*tables, *(one for one in bare if isinstance(one, np.ndarray))))) and len(bare) < x.ndim:
        return None
    return (x, *tables), {"key": tuple(bare)}


def _filled(key: Sequence[Any], tables: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(tables[one.number] if type(one) is Place else one for one in key)


def _entries(x: Any, *tables: Any, key: Any) -> Any:
    if not tables:
        return x[key]
    whole = _filled(key, tables)
    recorded = next((one for one in tables if isinstance(one, Recorded)), None)
    return x[whole] if recorded is None else recorded.entries_of(x, whole)


def _settled(operands: Sequence[Any], params: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    x, *tables = operands
    return (x,), {"key": _filled(params["key"], tables)} if tables else params


def _picked(point: Point) -> Jacobian:
    x, *tables = point.x
    shape, out, key = tuple(np.shape(x)), tuple(np.shape(point.y)), point.params["key"]
    hollow = _filled(key, [np.zeros(table.shape, np.intp) for table in tables])
    found: list[Any] = [np.broadcast_to(table, out) for table in origins(shape, lambda ruler: ruler[hollow])]
    for number, (axis, at) in enumerate(_axes_of_places(shape, key, [table.ndim for table in tables])):
        table = _wide(tables[number]) % shape[axis]  # which may be counted from the end
        found[axis] = np.reshape(table, (1,) * (at - table.ndim) + table.shape + (1,) * (len(out) - at))
    return gather(out, shape, found)


def _wide(table: Any) -> Any:
    """Positions in the dtype of NumPy's own: an axis may be longer than others can tell."""
    return table if table.dtype == np.intp else table.astype(np.intp)


def _axes_of_places(shape: Shape, key: Sequence[Any], dims: Sequence[int]) -> list[tuple[int, int]]:
    """For every array of positions the axis it picks from, and before which axis of the result those of arrays end."""
    rest = [slice(None)] * (len(shape) - sum(one is not None and one is not Ellipsis for one in key))
    spread: list[Any] = []
    for one in key if any(one is Ellipsis for one in key) else (*key, Ellipsis):
        spread += rest if one is Ellipsis else [one]
    picking = [k for k, one in enumerate(spread) if not (one is None or isinstance(one, slice))]  # numbers, too
    together = picking[-1] - picking[0] == len(picking) - 1
    length = max(dims[one.number] if type(one) is Place else np.ndim(one) for one in map(spread.__getitem__, picking))
    end = length + (picking[0] if together and length else 0)
    axes = np.cumsum([one is not None for one in spread]) - 1
    return [(int(axes[k]), end) for k in picking if type(spread[k]) is Place]


def _getitem_rule(point: Point, k: int) -> Jacobian:
    if len(point.x) > 1:
        return _picked(point)
    shape, key = tuple(np.shape(point.x[0])), point.params["key"]
    if is_basic(key):
        pattern = basic_index(key, shape)
        return Jacobian((Term(pattern),), pattern.out_shape, shape)
    out = tuple(np.shape(point.y))
    return gather(out, shape, [np.broadcast_to(table, out) for table in origins(shape, lambda ruler: ruler[key])])


def origins(shape: Shape, pick: Callable[[np.ndarray], Any]) -> list[np.ndarray]:
    """For every axis of an array the position that each entry picked from it has; memory only for what is picked."""
    rulers = (np.arange(size).reshape((-1,) + (1,) * (len(shape) - axis - 1)) for axis, size in enumerate(shape))
    return [np.asarray(pick(np.broadcast_to(ruler, shape))) for ruler in rulers]


getitem = register(
    Op(
        "getitem", _entries, _getitem_rule, family="layout", settled=_settled,
        formula="an input axis start + step·i or table[i]",
        normalise=lambda x, key: ((x,), {"key": key}), views=True,
        samples=[
            sample((4,), 1), sample((3, 4), (slice(None), slice(1, None, 2))), sample((5,), slice(None, None, -1)),
            sample((3, 4), (Ellipsis, None, 2)), sample((4,), [0, 2, 2]), sample((3, 4), ([0, 2], [1, 3])),
            sample((3, 4), np.array([True, False, True])), sample((3, 4), (slice(None), [3, 0])),
            sample((2, 3), np.array([[True, False, True], [False, True, True]])), sample((3, 4), (1, [0, 2])),
            sample((4,), slice(2, 2)), sample((2, 3, 4), ([0, 1], slice(None), [1, 2])),
        ],
    )
)  # fmt: skip


def _take_arguments(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    refuse_out("take", out)
    if is_traced(indices) and indices.dtype.kind in "iu":  # whole numbers that are part of a trace
        return (a, indices), {"axis": axis, "mode": mode}
    return (a,), {"indices": np.asarray(indices), "axis": axis, "mode": mode}


take = register(
    Op(
        "take", np.take, lambda point, k: _taken(point), answers=(np.take,), family="layout",
        normalise=_take_arguments, settled=lambda operands, params: _take_arguments(*operands, **params),
        formula="an input axis table[i]",
        samples=[
            sample((5,), np.array([0, 3, 3])), sample((3, 4), np.array([[0, 2], [1, 1]]), axis=1), sample((2, 3), 4),
            sample((3,), np.array([-1, 5]), mode="wrap"),
        ],
    )
)  # fmt: skip


def _taken(point: Point) -> Jacobian:
    params, shape, out = point.params, tuple(np.shape(point.x[0])), tuple(np.shape(point.y))
    axis, mode = params["axis"], params["mode"]
    indices = params["indices"] if len(point.x) == 1 else point.x[1]
    if axis is None:
        flat = _positions(int(np.prod(shape)), indices, mode)
        steps = [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
        return gather(out, shape, [flat // step % size for step, size in zip(steps, shape, strict=True)])
    axis %= len(shape)
    picked = _positions(shape[axis], indices, mode)
    tables: list[Any] = []
    for position, size in enumerate(shape):
        if position == axis:
            tables.append(picked.reshape((1,) * axis + picked.shape + (1,) * (len(shape) - axis - 1)))
            continue
        place = position if position < axis else position + picked.ndim - 1
        table = np.arange(size).reshape((-1,) + (1,) * (len(out) - place - 1))
        tables.append(np.broadcast_to(table, out))
    return gather(out, shape, tables)


def _positions(size: int, indices: Any, mode: Any) -> Any:
    """The positions along an axis of that size which indices mean."""
    if isinstance(indices, np.ndarray):
        return np.take(np.arange(size), indices, mode=mode)
    return np.clip(_wide(indices), 0, size - 1) if mode == "clip" else _wide(indices) % size


def _sort_rule(point: Point, k: int) -> Jacobian:
    x, axis = point.x[0], point.params["axis"]
    if axis is None:
        flat = moved(lambda positions: positions.reshape(-1), tuple(np.shape(x)), views=True)
        order = _stable_order(np.reshape(x, (-1,)), point.y, 0)
        return gather(flat.out_shape, flat.out_shape, [order], distinct=0).after(flat)
    shape = tuple(np.shape(x))
    axis %= len(shape)
    return along(_stable_order(x, point.y, axis), axis, shape, shape, distinct=True)


def _stable_order(x: Any, y: Any, axis: int) -> Any:
    front = (slice(None),) * axis
    warn_kink("sort", y[(*front, slice(1, None))] == y[(*front, slice(None, -1))], "the stable order")
    return np.argsort(x, axis=axis, kind="stable")


sort = register(
    Op(
        "sort", lambda a, axis=-1, kind=None: np.sort(a, axis=axis), _sort_rule, answers=(np.sort,),
        normalise=lambda a, axis=-1, kind=None, order=None, stable=None: ((a,), {"axis": axis}), family="layout",
        formula="an input axis table[i], table = argsort(x)",
        kinks=[
            Kink("entries are equal", "the stable order", sample(np.array([1.0, 1.0])),
                 torch={"torch.sort(x, stable=True).values": SAME})
        ],
        samples=[sample((4,)), sample((2, 3), axis=0), sample((2, 3), axis=None), sample((3, 2))],
    )
)  # fmt: skip


def _partition(a: Any, kth: Any, axis: int) -> Any:
    result = np.take_along_axis(a, np.argpartition(a, kth, axis=axis), axis=axis)
    if not isinstance(a, np.ndarray) or a.flags.c_contiguous:
        return result
    alike = np.empty_like(a)  # NumPy's lies in memory as `a` does
    alike[...] = result
    return alike


def _partition_rule(point: Point, k: int) -> Jacobian:
    x = point.x[0]
    shape, axis = tuple(np.shape(x)), point.params["axis"] % np.ndim(x)
    for kth in np.atleast_1d(point.params["kth"]) if shape[axis] else ():
        pivot = np.take(point.y, [int(kth)], axis=axis)
        warn_ties("partition", np.moveaxis(x == pivot, axis, -1), "the order of np.argpartition")
    order = np.argpartition(x, point.params["kth"], axis=axis)
    return along(order, axis, shape, shape, distinct=True)


partition = register(
    Op(
        "partition", _partition, _partition_rule,
        answers=(np.partition,), family="layout", formula="an input axis table[i]",
        kinks=[Kink("entries are equal to the kth", "the order of np.argpartition", sample(np.array([1.0, 1.0]), 0))],
        normalise=lambda a, kth, axis=-1, kind="introselect", order=None: ((a,), {"kth": kth, "axis": axis}),
        samples=[sample((5,), 2), sample((2, 4), 1, axis=1)],
    )
)  # fmt: skip


def _take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    indices = indices if is_traced(indices) else np.asarray(indices)
    if axis is None:
        return np.ravel(arr)[indices]
    axis = normalize_axis_index(axis, np.ndim(arr))
    if np.ndim(indices) != np.ndim(arr):
        raise ValueError("`indices` and `arr` must have the same number of dimensions")  # as NumPy says it
    shape = tuple(np.shape(arr))
    rulers = [np.arange(n).reshape((-1,) + (1,) * (len(shape) - a - 1)) for a, n in enumerate(shape)]
    return arr[tuple(indices if a == axis else rulers[a] for a in range(len(shape)))]


composite(
    "take_along_axis", _take_along_axis, answers=(np.take_along_axis,),
    samples=[sample((2, 3), np.array([[0, 2], [1, 1]]), axis=1)],
)  # fmt: skip
composite(
    "compress", lambda condition, a, axis=None, out=None: np.take(a, np.flatnonzero(condition), axis=axis),
    answers=(np.compress,),
    samples=[sample(np.array([True, False, True]), (3,)), sample(np.array([False, True]), (2, 3), axis=0)],
)  # fmt: skip
composite(
    "extract", lambda condition, arr: np.ravel(arr)[np.flatnonzero(np.ravel(condition))], answers=(np.extract,),
    samples=[sample(np.array([True, False, True]), (3,))],
)  # fmt: skip


def _where(condition: Any, *choices: Any) -> tuple[tuple[Any, ...], Any]:
    if len(choices) != 2:
        raise ArgumentError(
            report("where: one argument gives positions, which are not traced", fix="np.where(c, a, b)")
        )
    plain = _plain(condition)
    return choices, {"condition": plain if is_traced(plain) else np.asarray(plain)}


_PLAIN = (np.ndarray, np.generic, bool, list)


def _plain(condition: Any) -> Any:
    is_boolean = getattr(condition, "dtype", np.dtype(float)).kind == "b"  # a comparison that is part of a trace
    return condition if isinstance(condition, _PLAIN) or is_boolean else condition != 0


where = elementwise(
    lambda x1, x2, condition: np.where(condition, x1, x2), "where(condition, 1.0, 0.0)", "where(condition, 0.0, 1.0)",
    name="where", answers=(np.where,), normalise=_where, note="the condition is not differentiated.", shapes=(),
    growth=largest,
    samples=[
        sample(np.arange(6).reshape(2, 3) % 2 == 0, *shapes)
        for shapes in (((2, 3), (2, 3)), ((3,), ()), ((2, 1), (2, 3)))
    ],
)  # fmt: skip


def _clip_arguments(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, **limits: Any) -> Any:
    refuse_out("clip", out)
    low, high = limits.get("min", a_min), limits.get("max", a_max)
    return (a, -np.inf if low is None else low, np.inf if high is None else high), {}


def _one_bound(point: Point, k: int) -> str | None:
    """The derivative where only one bound was given, or none."""
    given = [not (isinstance(bound, float) and np.isinf(bound)) for bound in point.x[1:]]
    if k or all(given):
        return None
    return "where(x1 >= x2, 1.0, 0.0)" if given[0] else "where(x1 <= x3, 1.0, 0.0)" if given[1] else "1"


clip = elementwise(
    lambda x1, x2, x3: np.minimum(np.maximum(x1, x2), x3),
    "where((x1 >= x2) & (x1 <= x3), 1.0, 0.0)", "where((x1 < x2) & (x2 < x3), 1.0, 0.0)",
    "where((x1 > x3) | (x2 >= x3), 1.0, 0.0)",
    name="clip", answers=(np.clip,), normalise=_clip_arguments, special=_one_bound,
    kink="(x1 == x2) | (x1 == x3)", at_kink="1",
    kink_at=(0.0, 0.0, 1.0), torch={"torch.clamp(x1, x2, x3)": [0.5, 0.5, 0]},  # before its version 2.14: the same
    shapes=(), samples=[sample((5,), -1.0, 1.0), sample((2, 3), -0.5, None), sample((3,), None, (3,))],
)  # fmt: skip


def _select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")  # as NumPy says it
    result = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        result = np.where(condition, choice, result)
    return result


composite(
    "select", lambda condlist, choicelist, default=0: _select(condlist, choicelist, default), answers=(np.select,),
    samples=[],
)  # fmt: skip
