"""Ops that only move entries. Most return views: their affine forms are read off NumPy's own strides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from jacobian.errors import ArgumentError, report
from jacobian.kernel.access import affine, plain
from jacobian.kernel.equations import Guard
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Pattern, Shape
from jacobian.kernel.term import Term
from jacobian.ops.families import layout, moved
from jacobian.ops.registry import Op, Params, Point, register, sample

# -- views --------------------------------------------------------------------------------------------------------

transpose = layout(
    "transpose", np.transpose, normalise=lambda a, axes=None: ((a,), {"axes": axes}),
    samples=[sample((2, 3)), sample((2, 3, 4), axes=(1, 2, 0)), sample((3,)), sample((2, 3), axes=(-1, 0))],
)  # fmt: skip
matrix_transpose = layout(
    "matrix_transpose", np.matrix_transpose, answers=(np.matrix_transpose, np.linalg.matrix_transpose),
    samples=[sample((2, 3)), sample((2, 3, 4))],
)  # fmt: skip
swapaxes = layout(
    "swapaxes", np.swapaxes, normalise=lambda a, axis1, axis2: ((a,), {"axis1": axis1, "axis2": axis2}),
    samples=[sample((2, 3, 4), 0, -1)],
)  # fmt: skip
moveaxis = layout(
    "moveaxis", np.moveaxis,
    normalise=lambda a, source, destination: ((a,), {"source": source, "destination": destination}),
    samples=[sample((2, 3, 4), 0, -1), sample((2, 3, 4), [0, 1], [-1, 0])],
)  # fmt: skip
rollaxis = layout(
    "rollaxis", np.rollaxis, normalise=lambda a, axis, start=0: ((a,), {"axis": axis, "start": start}),
    samples=[sample((2, 3, 4), 2), sample((2, 3, 4), 1, 3)],
)  # fmt: skip
squeeze = layout(
    "squeeze", np.squeeze, normalise=lambda a, axis=None: ((a,), {"axis": axis}),
    samples=[sample((1, 3, 1)), sample((1, 3, 1), axis=0), sample((1, 3, 1), axis=(0, -1))],
)  # fmt: skip
expand_dims = layout(
    "expand_dims", np.expand_dims, normalise=lambda a, axis: ((a,), {"axis": axis}),
    samples=[sample((3,), 0), sample((2, 3), -1), sample((3,), axis=(0, 2))],
)  # fmt: skip
broadcast_to = layout(
    "broadcast_to", np.broadcast_to, normalise=lambda array, shape, subok=False: ((array,), {"shape": shape}),
    samples=[sample((3,), np.array([2, 3])), sample((2, 1), shape=[2, 3]), sample((), shape=[2])],
)  # fmt: skip
diagonal = layout(
    "diagonal", np.diagonal, answers=(np.diagonal,),
    normalise=lambda a, offset=0, axis1=0, axis2=1: ((a,), {"offset": offset, "axis1": axis1, "axis2": axis2}),
    samples=[sample((3, 3)), sample((2, 3), 1), sample((3, 2, 3), axis1=0, axis2=2), sample((3, 3), offset=-1)],
)  # fmt: skip
linalg_diagonal = layout(
    "linalg_diagonal", np.linalg.diagonal, normalise=lambda x, offset=0: ((x,), {"offset": offset}),
    samples=[sample((2, 3, 3)), sample((3, 3), offset=1)],
)  # fmt: skip
flip = layout(
    "flip", np.flip, normalise=lambda m, axis=None: ((m,), {"axis": axis}),
    samples=[sample((3,)), sample((2, 3), axis=1), sample((2, 3), axis=(0, 1))],
)  # fmt: skip
fliplr = layout("fliplr", np.fliplr, samples=[sample((2, 3))])
flipud = layout("flipud", np.flipud, samples=[sample((2, 3))])
rot90 = layout(
    "rot90", np.rot90, normalise=lambda m, k=1, axes=(0, 1): ((m,), {"k": k, "axes": axes}),
    samples=[sample((2, 3)), sample((2, 3), 2), sample((2, 3), k=-1)],
)  # fmt: skip
sliding_windows = layout(
    "sliding_window_view", sliding_window_view,
    normalise=lambda x, window_shape, axis=None, subok=False, writeable=False: (
        (x,), {"window_shape": window_shape, "axis": axis},
    ),
    samples=[sample((6,), 3), sample((4, 5), window_shape=[2, 3]), sample((4, 3), 2, axis=0)],
    note="windows overlap: two output entries may read the same input entry.",
)  # fmt: skip
real = layout("real", np.real, samples=[sample((3,))], of_complex="real part")
copy = register(
    Op(
        "copy", np.copy, lambda point, k: Jacobian.identity(tuple(np.shape(point.y))), answers=(np.copy,),
        normalise=lambda a, order="K", subok=False: ((a,), {} if order == "K" else {"order": order}), family="layout",
        formula="δ", samples=[sample((2, 3)), sample((2, 3), order="F")],
    )
)  # fmt: skip


def _reshape_arguments(
    a: Any, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None
) -> tuple[tuple[Any, ...], Params]:
    if order not in ("C", "F"):
        raise ArgumentError(report(f"reshape: order must be 'C' or 'F' here, not {order!r}"))
    params = {"shape": newshape if shape is None else shape, "order": order}
    return (a,), params if copy is None else params | {"copy": copy}


def _reshape_rule(point: Point, k: int) -> Jacobian:
    """`order="F"` is C-order between two transpositions, so that everything stays affine."""
    shape, out = tuple(np.shape(point.x[0])), tuple(np.shape(point.y))
    if point.params["order"] == "C":
        return moved(lambda positions: positions.reshape(out), shape, views=True)
    first = moved(np.transpose, shape, views=True)
    middle = moved(lambda positions: positions.reshape(out[::-1]), shape[::-1], views=True)
    return moved(np.transpose, out[::-1], views=True).after(middle).after(first)


def _reshape(a: Any, shape: Any, order: Any = "C", copy: Any = None) -> Any:
    result = np.reshape(a, _sizes(shape), order=order)
    if copy is None:
        return result
    if copy:
        return np.copy(result)
    if not np.may_share_memory(a, result):
        raise ValueError("it cannot be done without a copy")
    return result


reshape = register(
    Op(
        "reshape", _reshape, _reshape_rule,
        answers=(np.reshape,), normalise=_reshape_arguments, family="layout", formula="δ between the positions",
        views=True,
        samples=[
            sample((4, 6), [8, 3]), sample((2, 3), -1), sample((6,), [2, -1]), sample((4, 6), [3, 8]), sample((), [1]),
            sample((2, 3, 4), [4, 6], order="F"), sample((1,), []), sample((4,), [2, 2], copy=True),
        ],
    )
)  # fmt: skip


def _sizes(shape: Any) -> Any:
    return shape if isinstance(shape, int | np.integer) else tuple(shape)


ravel = register(
    Op(
        "ravel", lambda a, shape=-1, order="C": np.ravel(a, order=order), _reshape_rule, answers=(np.ravel,),
        normalise=lambda a, order="C": _reshape_arguments(a, -1, order), family="layout", views=True,
        formula="δ between the positions", samples=[sample((2, 3)), sample(()), sample((2, 3), order="F")],
    )
)  # fmt: skip

# -- copies that read every output entry from one place ----------------------------------------------------------

roll = layout(
    "roll", np.roll, normalise=lambda a, shift, axis=None: ((a,), {"shift": shift, "axis": axis}), views=False,
    samples=[sample((4,), 1), sample((2, 3), -1, axis=1), sample((2, 3), shift=2)],
)  # fmt: skip
resize = layout(
    "resize", np.resize, normalise=lambda a, new_shape: ((a,), {"new_shape": new_shape}), views=False,
    samples=[sample((3,), [2, 4])],
)  # fmt: skip
delete = layout(
    "delete", np.delete, normalise=lambda arr, obj, axis=None: ((arr,), {"obj": obj, "axis": axis}), views=False,
    samples=[sample((4,), 1), sample((3, 4), [0, 2], axis=1)],
)  # fmt: skip


def _repeat_rule(point: Point, k: int) -> Jacobian:
    shape, out = tuple(np.shape(point.x[0])), tuple(np.shape(point.y))
    count, axis = point.params["repeats"], point.params["axis"]
    if np.ndim(count) or axis is None or not shape:
        return moved(lambda positions: np.repeat(positions, count, axis), shape, views=False)
    axis = axis % len(shape)
    number = int(count)
    sizes = (*shape, number)
    forms = tuple(plain(a) for a in range(len(shape)))
    inner = affine(0, [(axis, number), (len(shape), 1)])
    pattern = Pattern(sizes, (*forms[:axis], inner, *forms[axis + 1 :]), forms, out, shape)
    return Jacobian((Term(pattern),), out, shape)


repeat = register(
    Op(
        "repeat", np.repeat, _repeat_rule, answers=(np.repeat,), family="layout", formula="an output axis n·i + r",
        normalise=lambda a, repeats, axis=None: ((a,), {"repeats": repeats, "axis": axis}),
        samples=[
            sample((3,), 2, axis=0), sample((2, 3), 2), sample((2, 3), 2, axis=-1),
            sample((3,), np.array([1, 0, 2]), axis=0),
        ],
    )
)  # fmt: skip


def _tile_rule(point: Point, k: int) -> Jacobian:
    shape, out = tuple(np.shape(point.x[0])), tuple(np.shape(point.y))
    wide = (1,) * (len(out) - len(shape)) + shape
    rank = len(out)
    sizes = (*wide, *(total // max(size, 1) for total, size in zip(out, wide, strict=True)))
    forms = tuple(affine(0, [(axis, 1), (rank + axis, size)]) for axis, size in enumerate(wide))
    into = tuple(plain(axis) for axis in range(rank - len(shape), rank))
    return Jacobian((Term(Pattern(sizes, forms, into, out, shape)),), out, shape)


tile = register(
    Op(
        "tile", np.tile, _tile_rule, answers=(np.tile,), family="layout", formula="an output axis n·r + i",
        normalise=lambda A, reps: ((A,), {"reps": reps}),
        samples=[sample((3,), 2), sample((2, 3), np.array([2, 1])), sample((3,), np.array([2, 2])), sample((2, 3), 2)],
    )
)  # fmt: skip


def _triangle(name: str, function: Callable[..., Any], sign: int) -> Op:
    """A δ times a guard: the entry stays where `0 <= sign·(i − j + k) < ∞`."""

    def rule(point: Point, k: int) -> Jacobian:
        shape = tuple(np.shape(point.x[0]))
        if len(shape) == 1:  # NumPy spreads a vector over the rows first
            wide = moved(lambda positions: np.broadcast_to(positions, shape * 2), shape, views=True)
            return Jacobian((Term(_masked(shape * 2, sign, point.params["k"])),), shape * 2, shape * 2).after(wide)
        return Jacobian((Term(_masked(shape, sign, point.params["k"])),), shape, shape)

    return register(
        Op(
            name, function, rule, answers=(function,), normalise=lambda m, k=0: ((m,), {"k": k}), family="layout",
            formula="δ where the entry is kept", samples=[sample((3, 3)), sample((2, 3), 1), sample((2, 3, 3), k=-1)],
        )
    )  # fmt: skip


def _masked(shape: Shape, sign: int, offset: int) -> Pattern:
    rank = len(shape)
    forms = tuple(plain(axis) for axis in range(rank))
    inside = affine(sign * offset, [(rank - 2, sign), (rank - 1, -sign)])
    guard = Guard(inside, shape[-2] + shape[-1] + abs(offset))
    return Pattern(shape, forms, forms, shape, shape, (), (guard,))


tril = _triangle("tril", np.tril, 1)
triu = _triangle("triu", np.triu, -1)


def _diag_rule(point: Point, k: int) -> Jacobian:
    shape, offset = tuple(np.shape(point.x[0])), point.params["k"]
    if len(shape) == 2:
        return moved(lambda positions: np.diagonal(positions, offset), shape, views=True)
    out = tuple(np.shape(point.y))
    row, col = affine(max(0, -offset), [(0, 1)]), affine(max(0, offset), [(0, 1)])
    return Jacobian((Term(Pattern(shape, (row, col), (plain(0),), out, shape)),), out, shape)


diag = register(
    Op(
        "diag", np.diag, _diag_rule, answers=(np.diag,), normalise=lambda v, k=0: ((v,), {"k": k}), family="layout",
        formula="∂y[i,i]/∂x[i] = 1", samples=[sample((3,)), sample((3, 3)), sample((2,), 1), sample((3, 4), k=-1)],
    )
)  # fmt: skip


def _astype(x: Any, dtype: Any) -> Any:
    return x.astype(dtype)


def _astype_arguments(
    x: Any, dtype: Any = float, copy: bool = True, device: Any = None
) -> tuple[tuple[Any, ...], Params]:
    if np.dtype(dtype).kind not in "fc":
        raise ArgumentError(
            report(
                f"astype({np.dtype(dtype)}) ends the trace: its result is not smooth",
                fix="np.floor(x), np.trunc(x), np.round(x) stay traced; np.digitize(x, bins) gives whole numbers",
            )
        )
    return (x,), {"dtype": dtype}


astype = register(
    Op(
        "astype", _astype, lambda point, k: Jacobian.identity(tuple(np.shape(point.y))), normalise=_astype_arguments,
        answers=(np.astype,), family="layout", formula="δ", samples=[sample((3,), np.float64)],
        of_complex="real part",
    )
)  # fmt: skip
