"""Norms of vectors and matrices, with every order that has a derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.term import Array
from jacobian.ops import elementwise, reduction, texts
from jacobian.ops.families import composite, kept, reduced, reduced_axes, spelled_output
from jacobian.ops.kinks import warn_kink
from jacobian.ops.registry import SAME, Kink, Op, Params, Point, is_complex, register, sample
from jacobian.ops.spectral import pairs_of_singular_vectors, svdvals, vanishing
from jacobian.ops.terms import shape_of, written

# -- vectors ----------------------------------------------------------------------------------------------------------


def _vector_rule(point: Point, k: int) -> Jacobian:
    order = point.params["ord"]
    if order == 0:
        return Jacobian.zero(shape_of(point.y), shape_of(point.x[0]))
    if np.isinf(order):
        return _largest(point)
    x, y, name = point.x[0], kept(point), point.names[0]
    if is_complex(x):
        x, name = np.conjugate(x), f"conjugate({name})"
    rank = np.ndim(x)
    entry, out = texts.at(name, range(rank)), spelled_output(point, rank)
    if order == 1:
        warn_kink("norm of order 1", x == 0, "0")
        return reduced(point, _sign(x), f"sign({entry})")
    warn_kink("norm", point.y == 0, "0")
    ratio = x / np.where(y == 0, 1.0, y)
    if order == 2:
        return reduced(point, ratio, f"{entry} / {out}")
    return reduced(point, _powered(ratio, order), f"sign({entry}) * (abs({entry}) / {out})**{order - 1:g}")


def _powered(ratio: Array, order: float) -> Array:
    """sign(r) |r|^(p-1), which is 0 at 0 for every p."""
    if order < 1:
        warn_kink(f"norm of order {order:g}", ratio == 0, "0")
    nothing = ratio == 0
    return np.where(nothing, 0.0, _sign(ratio) * np.abs(np.where(nothing, 1.0, ratio)) ** (order - 1))


def _sign(x: Array) -> Array:
    """`sign(x)`; that of complex numbers is written in what has a derivative."""
    return x / np.where(x == 0, 1.0, np.abs(x)) if is_complex(x) else np.sign(x)


def _largest(point: Point) -> Jacobian:
    """The entry of largest, or least, absolute value: a look-up and a sign."""
    x, params = point.x[0], point.params
    size = np.abs(x)
    rule: Any = (reduction.max if params["ord"] > 0 else reduction.min).rule
    axes = {"axis": params["axis"], "keepdims": params["keepdims"]}
    outer = rule(Point(point.y, (size,), axes, (f"|{point.names[0]}|",)), 0, f"norm of order {params['ord']:g}")
    inner = elementwise.absolute.rule(Point(size, (x,), {}, point.names, f"|{point.names[0]}|"), 0)
    J: Jacobian = outer @ inner
    return J


def _vector_arguments(
    x: Any, /, *, axis: Any = None, keepdims: Any = False, ord: Any = 2  # noqa: A002 - NumPy's own name
) -> tuple[tuple[Any, ...], Params]:  # fmt: skip
    if not isinstance(ord, int | float | np.number):
        raise ArgumentError(report(f"vector_norm: ord must be a number, not {ord!r}"))
    axis = tuple(axis) if isinstance(axis, list) else axis
    return (x,), {"axis": axis, "keepdims": bool(keepdims), "ord": ord}


def _vector_forward(x: np.ndarray, axis: Any, keepdims: bool, ord: Any) -> Any:  # noqa: A002
    return np.linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord)


KINKS = [
    Kink("y == 0", "0", sample(np.zeros(2)), torch={"torch.linalg.vector_norm(x)": SAME}),
    Kink(
        "x == 0 and ord <= 1", "0", sample(np.array([0.0, 1.0]), ord=1), torch={"torch.linalg.vector_norm(x, 1)": SAME},
    ),
    Kink(
        "ord = ±inf and entries are equal", "the first of them", sample(np.array([1.0, 1.0]), ord=np.inf),
        torch={"torch.linalg.vector_norm(x, float('inf'))": [0.5, 0.5]},
    ),
]  # fmt: skip
vector_norm = register(
    Op(
        "vector_norm", _vector_forward, _vector_rule, answers=(np.linalg.vector_norm,), normalise=_vector_arguments,
        family="reduction", formula="∂y/∂x = sign(x) (|x| / y)**(p - 1), which is x / y for p = 2", kinks=KINKS,
        of_complex="real part",
        note="Of complex numbers: the real part of that with the conjugate of x.",
        samples=[
            sample((3,)), sample((2, 3)), sample((2, 3), axis=1), sample((2, 3), axis=0, keepdims=True),
            *(sample((4,), ord=p) for p in (0, 1, 3, 2.5, 0.5, -2, np.inf, -np.inf)),
            sample((2, 3), axis=-1, ord=np.inf), sample((2, 3, 2), axis=(0, 2), ord=3), sample(()),
        ],
    )
)  # fmt: skip

# -- matrices ---------------------------------------------------------------------------------------------------------


def _nuclear_rule(point: Point, k: int) -> Jacobian:
    """U Vᵀ, which does not depend on the choice of the singular vectors."""
    A = point.x[0]
    warn_kink("the nuclear norm", vanishing(svdvals(A)).any(axis=-1), "U Vᵀ for the singular vectors at hand")
    return written("ik,jk->|ij", *pairs_of_singular_vectors(A, point.names[0]), into=shape_of(A))


nuclear_norm = register(
    Op(
        "nuclear_norm", lambda A: np.linalg.svd(A, compute_uv=False).sum(axis=-1), _nuclear_rule, operands=("A",),
        family="linalg", formula="∂y/∂A[i,j] = Σ_k U[i,k] V[j,k]",
        note="the sum of the singular values.",
        kinks=[
            Kink(
                "a singular value is 0", "U Vᵀ for the singular vectors at hand", sample(np.diag([1.0, 0.0])),
                torch={"torch.linalg.matrix_norm(A, 'nuc')": SAME},
            )
        ],
        samples=[sample((2, 3)), sample((2, 2, 2))], of_complex="real part",
    )
)  # fmt: skip


def _matrix_norm(x: Any, order: Any) -> Any:
    """Of the last two axes."""
    if np.size(x) == 0 and order in (1, 2, np.inf):
        return np.sum(x, axis=(-2, -1))  # nothing is of size 0
    if order == "fro":
        return vector_norm(x, axis=(-2, -1))
    if order == "nuc":
        return nuclear_norm(x)
    if order in (2, -2):
        return np.take(svdvals(x), 0 if order > 0 else -1, axis=-1)
    if order in (1, -1, np.inf, -np.inf):
        sums = np.sum(np.abs(x), axis=-2 if abs(order) == 1 else -1)
        return np.max(sums, axis=-1) if order > 0 else np.min(sums, axis=-1)
    raise ArgumentError(
        report(f"norm: a matrix has no norm of order {order!r}", fix="'fro', 'nuc', 1, -1, 2, -2, np.inf, -np.inf")
    )


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:  # noqa: A002
    rank = np.ndim(x)
    axes = reduced_axes(None, rank, "norm") if axis is None else (axis,) if np.ndim(axis) == 0 else tuple(axis)
    if ord is None or (ord == "fro" and len(axes) == 2):
        return vector_norm(x, axis=axes if axis is not None else None, keepdims=keepdims)
    if len(axes) == 1:
        return vector_norm(x, axis=axes, keepdims=keepdims, ord=ord)
    if len(axes) != 2:
        raise ShapeError(
            report(
                f"norm: order {ord!r} needs one axis or two, not {len(axes)}", got=f"an array of {rank} axes",
                fix="give axis=, or leave ord out for the root of the sum of squares",
            )
        )  # fmt: skip
    if len(reduced_axes(axes, rank, "norm")) == 1:
        raise ShapeError(report(f"norm: the two axes are the same: {axes}"))
    y = _matrix_norm(x if axes in ((0, 1), (-2, -1)) and rank == 2 else np.moveaxis(x, axes, (-2, -1)), ord)
    return np.expand_dims(y, reduced_axes(axes, rank, "norm")) if keepdims else y


norm = composite(
    "norm", _norm, answers=(np.linalg.norm,),
    note="of a vector or a matrix, by `vector_norm`, `nuclear_norm`, `svdvals`, or sums of absolute values.",
    samples=[
        sample((3,)), sample((2, 3)), sample((2, 3, 2)), sample((3,), 3), sample((3,), np.inf), sample((2, 3), axis=1),
        *(sample((2, 3), p) for p in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)),
        sample((2, 3), 1, 0, keepdims=True), sample((2, 3, 2), "fro", axis=(0, 2)), sample((2, 3), keepdims=True),
        sample((2, 2, 3), 2, axis=(2, 0), keepdims=True), sample((2, 2, 2), "nuc", axis=(0, 2), keepdims=True),
    ],
)  # fmt: skip


def _norm_of_matrices(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:  # noqa: A002
    return _norm(x, ord, (-2, -1), keepdims)


matrix_norm = composite(
    "matrix_norm", _norm_of_matrices, answers=(np.linalg.matrix_norm,),
    samples=[sample((2, 3)), sample((2, 2, 3), ord=1, keepdims=True)],
)  # fmt: skip
