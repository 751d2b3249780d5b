"""Products of vectors and matrices that are not one einsum of their arguments as they come, and the trace."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, report
from jacobian.kernel.access import Form, affine, plain
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Pattern
from jacobian.kernel.term import Factor, Term
from jacobian.ops.contraction import batch_labels, kron_blocks, outer
from jacobian.ops.families import Einsum, composite
from jacobian.ops.registry import Op, Params, Point, register, sample
from jacobian.ops.terms import labelled, shape_of

# -- trace ------------------------------------------------------------------------------------------------------------


def _trace_rule(point: Point, k: int) -> Jacobian:
    """A δ between the two axes, and no array."""
    shape, params = shape_of(point.x[0]), point.params
    first, second, offset = params["axis1"] % len(shape), params["axis2"] % len(shape), params["offset"]
    kept = [axis for axis in range(len(shape)) if axis not in (first, second)]
    below, above = max(0, -offset), max(0, offset)
    length = max(0, min(shape[first] - below, shape[second] - above))
    number: dict[int, Form] = {axis: plain(place) for place, axis in enumerate(kept)}
    number |= {first: affine(below, [(len(kept), 1)]), second: affine(above, [(len(kept), 1)])}
    out = tuple(shape[axis] for axis in kept)
    pattern = Pattern(
        (*out, length), tuple(plain(place) for place in range(len(kept))),
        tuple(number[axis] for axis in range(len(shape))), out, shape,
    )  # fmt: skip
    return Jacobian((Term(pattern),), out, shape)


def _trace_arguments(
    a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None
) -> tuple[tuple[Any, ...], Params]:
    if dtype is not None or out is not None:
        raise ArgumentError(report("trace: dtype= and out= cannot be traced", fix="np.trace(x.astype(dtype))"))
    return (a,), {"offset": offset, "axis1": axis1, "axis2": axis2}


trace = register(
    Op(
        "trace", np.trace, _trace_rule, answers=(np.trace,), normalise=_trace_arguments, operands=("A",),
        family="multilinear", formula="∂y/∂A[i,i] = 1",
        samples=[
            sample((3, 3)), sample((2, 3), 1), sample((3, 2), offset=-1), sample((3, 2, 3), axis1=0, axis2=2),
            sample((2, 3, 4, 3), 0, 1, 3),
        ],
    )
)  # fmt: skip
linalg_trace = composite(
    "linalg_trace", lambda x, /, *, offset=0, dtype=None: trace(x, offset, -2, -1, dtype), answers=(np.linalg.trace,),
    samples=[sample((3, 3)), sample((2, 3, 3), offset=1)], note="of the last two axes.",
)  # fmt: skip

# -- cross ------------------------------------------------------------------------------------------------------------

LEVI_CIVITA = np.zeros((3, 3, 3))
for _i, _j, _k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
    LEVI_CIVITA[_i, _j, _k], LEVI_CIVITA[_i, _k, _j] = 1.0, -1.0


def _placed(label: str, batch: tuple[str, ...], axis: int) -> tuple[str, ...]:
    place = axis % (len(batch) + 1)
    return (*batch[:place], label, *batch[place:])


def _cross_rule(point: Point, k: int) -> Jacobian:
    """y[i] = ε[i,j,k] a[j] b[k]; a vector of two components has a third one that is 0."""
    a, b, params = *map(shape_of, point.x), point.params
    axes = (params["axisa"], params["axisb"], params["axisc"]) if params["axis"] is None else (params["axis"],) * 3
    first, second = batch_labels([len(a) - 1, len(b) - 1], "ijk")
    longest = max(first, second, key=len)
    labels = [_placed("j", first, axes[0]), _placed("k", second, axes[1])]
    sizes = a[axes[0]], b[axes[1]]
    epsilon, out = LEVI_CIVITA[:, : sizes[0], : sizes[1]], _placed("i", longest, axes[2])
    of_epsilon: tuple[str, ...] = ("i", "j", "k")
    if sizes == (2, 2):
        epsilon, out, of_epsilon = epsilon[2], longest, ("j", "k")
    factors = (Factor(epsilon, "ε"), Factor(point.x[1 - k], point.names[1 - k]))
    return labelled(Einsum((of_epsilon, labels[1 - k], labels[k], out)), factors, shape_of(point.x[k]))


def _cross_arguments(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> tuple[tuple[Any, ...], Params]:
    return (a, b), {"axisa": axisa, "axisb": axisb, "axisc": axisc, "axis": axis}


cross = register(
    Op(
        "cross", np.cross, _cross_rule, answers=(np.cross, np.linalg.cross), normalise=_cross_arguments,
        operands=("a", "b"), family="multilinear",
        formula="∂y[i]/∂a[j] = ε[i,j,k] b[k], ∂y[i]/∂b[k] = ε[i,j,k] a[j], ε of Levi and Civita",
        samples=[
            sample((3,), (3,)), sample((2, 3), (3,)), sample((2, 1, 3), (4, 3)), sample((3, 2), (3, 2), axis=0),
            sample((3, 2), (2, 3), axisa=0, axisc=0),
        ],
    )
)  # fmt: skip

# -- written in terms of others ---------------------------------------------------------------------------------------


def _flat(array: Any) -> Any:
    return array if np.ndim(array) == 1 else np.ravel(array)


def _kron(a: Any, b: Any) -> Any:
    rank = max(np.ndim(a), np.ndim(b))
    a, b = _with_rank(a, rank), _with_rank(b, rank)
    joined = tuple(m * n for m, n in zip(shape_of(a), shape_of(b), strict=True))
    return np.reshape(kron_blocks(a, b), joined)


def _with_rank(array: Any, rank: int) -> Any:
    shape = shape_of(array)
    return array if len(shape) == rank else np.reshape(array, (1,) * (rank - len(shape)) + shape)


def _multi_dot(arrays: Any, *, out: Any = None) -> Any:
    """From the side on which a vector stands, so that no two matrices are multiplied for nothing."""
    if out is not None:
        raise ArgumentError(report("multi_dot: out= cannot be traced", fix="use the returned array"))
    parts = list(arrays)
    if np.ndim(parts[-1]) == 1:
        return reduce(lambda right, left: np.matmul(left, right), reversed(parts))
    return reduce(np.matmul, parts)


flat_outer = composite(
    "flat_outer", lambda a, b: outer(_flat(a), _flat(b)), answers=(np.outer, np.linalg.outer),
    samples=[sample((2,), (3,)), sample((2, 2), (3,)), sample((), (2,))],
    note="`np.outer`, which flattens its arguments.",
)  # fmt: skip
kron = composite(
    "kron", _kron, answers=(np.kron,), note="Y[i n + k, j q + l] = A[i,j] B[k,l] for B of shape (n, q).",
    samples=[sample((2, 3), (3, 2)), sample((2,), (2, 3)), sample((), (2,)), sample((2, 1, 2), (2, 2))],
)  # fmt: skip
vdot = composite(
    "vdot", lambda a, b: np.dot(np.conjugate(_flat(a)), _flat(b)), answers=(np.vdot,),
    samples=[sample((3,), (3,)), sample((2, 3), (2, 3))],
)  # fmt: skip
multi_dot = composite(
    "multi_dot", _multi_dot, answers=(np.linalg.multi_dot,),
    samples=[sample([(2, 3), (3, 2), (2, 2)]), sample([(3,), (3, 2), (2, 2)]), sample([(2, 3), (3, 2), (2,)])],
)  # fmt: skip
