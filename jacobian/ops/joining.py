"""Ops that put arrays together or take them apart: concatenate, stack, pad, split and what is written with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.kernel.access import Form, affine, constant, plain
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Pattern, Shape
from jacobian.kernel.term import Term
from jacobian.ops.families import composite, gather, moved
from jacobian.ops.registry import Op, Params, Point, register, sample

# -- several operands -------------------------------------------------------------------------------------------------


def _joined(arrays: Any, axis: Any = 0, out: Any = None, **rest: Any) -> tuple[tuple[Any, ...], Params]:
    if out is not None:
        raise ArgumentError(report("concatenate: out= cannot be traced"))
    return tuple(arrays), {"axis": axis}


def _concatenate_rule(point: Point, k: int) -> Jacobian:
    shape, out, axis = tuple(np.shape(point.x[k])), tuple(np.shape(point.y)), point.params["axis"]
    if axis is None:
        flat = moved(lambda positions: positions.reshape(-1), shape, views=True)
        start = sum(int(np.size(x)) for x in point.x[:k])
        return _placed(flat.out_shape, out, {0: start}).after(flat)
    start = sum(np.shape(x)[axis] for x in point.x[:k])
    return _placed(shape, out, {axis % len(shape): start})


def _placed(shape: Shape, out: Shape, starts: dict[int, int]) -> Jacobian:
    """The input stands in the output, moved by `starts` along some axes."""
    forms = tuple(affine(starts.get(axis, 0), [(axis, 1)]) for axis in range(len(shape)))
    into = tuple(plain(axis) for axis in range(len(shape)))
    return Jacobian((Term(Pattern(shape, forms, into, out, shape)),), out, shape)


concatenate = register(
    Op(
        "concatenate", lambda *arrays, axis=0: np.concatenate(arrays, axis), _concatenate_rule,
        answers=(np.concatenate,), normalise=_joined, family="layout", formula="an output axis offset + i",
        operands=("x1", "x2", "x3"),
        samples=[sample([(2,), (3,)]), sample([(2, 3), (2, 1)], axis=-1), sample([(2, 3), (2, 1)], axis=None)],
    )
)  # fmt: skip


_DOUBLES = {np.float64, float}


def _stack(*arrays: Any, axis: Any = 0) -> Any:
    """`np.stack`, which is slow for numbers: every one becomes an array first."""
    if type(axis) is int and axis in (0, -1) and arrays and _DOUBLES.issuperset(map(type, arrays)):
        return np.array(arrays)
    return np.stack(arrays, axis)


def _stack_rule(point: Point, k: int) -> Jacobian:
    shape, out = tuple(np.shape(point.x[k])), tuple(np.shape(point.y))
    axis = point.params["axis"] % len(out)
    into = tuple(plain(a) for a in range(len(shape)))
    forms: tuple[Form, ...] = (*into[:axis], constant(k), *into[axis:])
    return Jacobian((Term(Pattern(shape, forms, into, out, shape)),), out, shape)


stack = register(
    Op(
        "stack", _stack, _stack_rule, answers=(np.stack,), normalise=_joined,
        family="layout", formula="an output axis that is the operand's number", operands=("x1", "x2", "x3"),
        samples=[sample([(3,), (3,)]), sample([(2, 3), (2, 3)], axis=-1), sample([(), ()])],
    )
)  # fmt: skip


def _pad_rule(point: Point, k: int) -> Jacobian:
    shape, out = tuple(np.shape(point.x[0])), tuple(np.shape(point.y))
    params = point.params
    widths = np.broadcast_to(np.asarray(params["pad_width"]), (len(shape), 2))
    if params["mode"] == "constant":
        return _placed(shape, out, {axis: int(before) for axis, (before, _) in enumerate(widths)})
    if params["mode"] not in ("edge", "reflect", "symmetric", "wrap") or params["options"].get("reflect_type") == "odd":
        raise ArgumentError(
            report(f"pad: mode {params['mode']!r} has no Jacobian here", fix="constant, edge, reflect, symmetric, wrap")
        )
    grid = np.pad(np.arange(int(np.prod(shape))).reshape(shape), params["pad_width"], mode=params["mode"])
    return gather(out, shape, np.unravel_index(grid, shape))


pad = register(
    Op(
        "pad", lambda array, pad_width, mode, options: np.pad(array, pad_width, mode, **options), _pad_rule,
        answers=(np.pad,), family="layout", formula="an output axis offset + i",
        normalise=lambda array, pad_width, mode="constant", **options: (
            (array,), {"pad_width": pad_width, "mode": mode, "options": options},
        ),
        samples=[
            sample((3,), 1), sample((2, 3), np.array([[1, 0], [0, 2]])), sample((3,), 2, mode="edge"),
            sample((3,), 2, "reflect"), sample((3,), 1, constant_values=4.0),
        ],
    )
)  # fmt: skip


# -- written in terms of others ----------------------------------------------------------------------------------


def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    pieces = np.array_split(np.arange(np.shape(ary)[axis]), indices_or_sections)
    if isinstance(indices_or_sections, int | np.integer) and len({len(piece) for piece in pieces}) > 1:
        size, sections = np.shape(ary)[axis], int(indices_or_sections)
        raise ShapeError(
            report(
                f"split: {size} entries along axis {axis} cannot be cut into {sections} equal sections",
                fix="np.array_split allows unequal ones",
            )
        )
    return _array_split(ary, indices_or_sections, axis)


def _array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    pieces = np.array_split(np.arange(np.shape(ary)[axis]), indices_or_sections)
    front = (slice(None),) * (axis % np.ndim(ary))
    return [ary[(*front, slice(int(p[0]), int(p[-1]) + 1) if len(p) else slice(0, 0))] for p in pieces]


def _at_least(rank: int) -> Callable[..., Any]:
    reference = (np.atleast_1d, np.atleast_2d, np.atleast_3d)[rank - 1]

    def one(array: Any) -> Any:
        return np.reshape(array, reference(np.empty(np.shape(array), np.int8)).shape)

    def function(*arrays: Any) -> Any:
        return one(arrays[0]) if len(arrays) == 1 else tuple(map(one, arrays))

    return function


def _broadcast_arrays(*arrays: Any, subok: bool = False) -> tuple[Any, ...]:
    shape = np.broadcast_shapes(*map(np.shape, arrays))
    return tuple(np.broadcast_to(array, shape) for array in arrays)


def _append(arr: Any, values: Any, axis: int | None = None) -> Any:
    return np.concatenate([np.ravel(arr), np.ravel(values)] if axis is None else [arr, values], axis=axis or 0)


def _meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Any, ...]:
    rank = len(xi)
    sizes = [int(np.size(x)) for x in xi]
    order = [1, 0, *range(2, rank)] if indexing == "xy" and rank > 1 else list(range(rank))
    full = tuple(sizes[k] for k in order)
    grids = [np.reshape(x, tuple(-1 if order[a] == k else 1 for a in range(rank))) for k, x in enumerate(xi)]
    grids = grids if sparse else [np.broadcast_to(grid, full) for grid in grids]
    return tuple(np.copy(grid, order="C") if copy else grid for grid in grids)


def _rows(tup: Sequence[Any]) -> list[Any]:
    return [np.atleast_2d(array) for array in tup]


composite(
    "vstack", lambda tup, **_: np.concatenate(_rows(tup), 0), answers=(np.vstack,), samples=[sample([(3,), (3,)])]
)
composite(
    "hstack", lambda tup, **_: np.concatenate(_hcolumns(tup), 0 if np.ndim(_hcolumns(tup)[0]) == 1 else 1),
    answers=(np.hstack,), samples=[sample([(3,), (2,)]), sample([(2, 3), (2, 1)])],
)  # fmt: skip


def _hcolumns(tup: Sequence[Any]) -> list[Any]:
    return [np.atleast_1d(array) for array in tup]


composite(
    "dstack", lambda tup: np.concatenate([np.atleast_3d(array) for array in tup], 2), answers=(np.dstack,),
    samples=[sample([(3,), (3,)])],
)  # fmt: skip
composite(
    "column_stack",
    lambda tup: np.concatenate([np.reshape(a, (-1, 1)) if np.ndim(a) < 2 else a for a in tup], 1),
    answers=(np.column_stack,), samples=[sample([(3,), (3,)]), sample([(3, 2), (3,)])],
)  # fmt: skip
composite("split", _split, answers=(np.split,), samples=[sample((6,), 3), sample((4, 3), [1, 3])])
composite("array_split", _array_split, answers=(np.array_split,), samples=[sample((7,), 3)])
composite(
    "hsplit",
    lambda ary, n: _split(ary, n, 1 if np.ndim(ary) > 1 else 0),
    answers=(np.hsplit,),
    samples=[sample((2, 4), 2)],
)
composite("vsplit", lambda ary, n: _split(ary, n, 0), answers=(np.vsplit,), samples=[sample((4, 2), 2)])
composite("dsplit", lambda ary, n: _split(ary, n, 2), answers=(np.dsplit,), samples=[sample((2, 2, 4), 2)])
composite(
    "unstack",
    lambda x, /, *, axis=0: tuple(np.moveaxis(x, axis, 0)),
    answers=(np.unstack,) if hasattr(np, "unstack") else (),
    samples=[sample((2, 3))],
)
composite("atleast_1d", _at_least(1), answers=(np.atleast_1d,), samples=[sample(()), sample((2, 3))])
composite("atleast_2d", _at_least(2), answers=(np.atleast_2d,), samples=[sample((3,)), sample((2, 3))])
composite("atleast_3d", _at_least(3), answers=(np.atleast_3d,), samples=[sample((3,)), sample((2, 3))])
composite("broadcast_arrays", _broadcast_arrays, answers=(np.broadcast_arrays,), samples=[sample((3,), (2, 1))])
composite("append", _append, answers=(np.append,), samples=[sample((3,), (2,)), sample((2, 3), (1, 3), axis=0)])
composite("meshgrid", _meshgrid, answers=(np.meshgrid,), samples=[sample((3,), (2,))])
composite(
    "block", lambda arrays: _block(arrays, _depth(arrays)), answers=(np.block,),
    samples=[sample([(2, 2), (2, 1)])],
)  # fmt: skip


def _full_like(a: Any, fill_value: Any, dtype: Any = None, order: Any = "K", subok: bool = True, **rest: Any) -> Any:
    shape = np.shape(a) if rest.get("shape") is None else rest["shape"]
    if not hasattr(fill_value, "__array_function__"):
        return np.full(shape, fill_value, dtype=a.dtype if dtype is None else dtype)
    return np.copy(np.broadcast_to(fill_value, shape))


composite("full_like", _full_like, answers=(np.full_like,), samples=[sample((2, 2), 2.0)])


def _depth(arrays: Any) -> int:
    return 1 + max(map(_depth, arrays)) if isinstance(arrays, list) else 0


def _block(arrays: Any, depth: int) -> Any:
    rank = max(depth, _rank(arrays))
    return _join(arrays, depth, rank) if depth else np.copy(arrays)


def _rank(arrays: Any) -> int:
    return max(map(_rank, arrays)) if isinstance(arrays, list) else np.ndim(arrays)


def _join(arrays: Any, depth: int, rank: int) -> Any:
    if not isinstance(arrays, list):
        return np.reshape(arrays, (1,) * (rank - np.ndim(arrays)) + tuple(np.shape(arrays)))
    return np.concatenate([_join(part, depth - 1, rank) for part in arrays], axis=-depth)
