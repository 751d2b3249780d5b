"""Layers with weights: linear and bilinear maps, embeddings; and dropout, whose mask is given."""

from __future__ import annotations

from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, DTypeError, IndexingError, ShapeError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.term import Factor
from jacobian.ops.activations import number
from jacobian.ops.families import composite, diagonal, elementwise
from jacobian.ops.registry import Op, Params, Point, describe, register, sample
from jacobian.ops.terms import constant_array, given, require, shape_of, written

# -- linear -----------------------------------------------------------------------------------------------------------


def _linear(x: np.ndarray, W: np.ndarray, *b: np.ndarray) -> Any:
    bias = {"b": ("o", b[0])} if b else {}
    require("linear", "x[...,i], W[o,i]" + (", b[o]" if b else "") + " -> y[...,o]", x=("...i", x), W=("oi", W), **bias)
    y = np.matmul(x, W.T)
    return y + b[0] if b else y


def _linear_rule(point: Point, k: int) -> Jacobian:
    shape = shape_of(point.x[k])
    if k == 0:
        return written("oi->o|i", Factor(point.x[1], point.names[1]), into=shape)
    if k == 1:
        return written("i->o|oi", Factor(point.x[0], point.names[0]), into=shape)
    return diagonal(shape_of(point.y), shape, 1)


linear = register(
    Op(
        "linear", _linear, _linear_rule, family="network",
        normalise=lambda x, weight, bias=None: (given(x, weight, bias), {}),
        operands=("x", "W", "b"), formula="∂y[o]/∂x[i] = W[o,i], ∂y[o]/∂W[o,i] = x[i], ∂y[o]/∂b[o] = 1",
        note="y = x Wᵀ + b with W of shape (out, in), as PyTorch has it; leading axes of x are a batch.",
        samples=[sample((4, 3), (2, 3), (2,)), sample((3,), (2, 3)), sample((2, 2, 3), (1, 3), (1,))],
    )
)  # fmt: skip

# -- bilinear ---------------------------------------------------------------------------------------------------------


def _bilinear(x1: np.ndarray, x2: np.ndarray, W: np.ndarray, *b: np.ndarray) -> Any:
    bias = {"b": ("o", b[0])} if b else {}
    spec = "x1[...,i], x2[...,j], W[o,i,j]" + (", b[o]" if b else "") + " -> y[...,o]"
    require("bilinear", spec, x1=("...i", x1), x2=("...j", x2), W=("oij", W), **bias)
    if x1.shape[:-1] != x2.shape[:-1]:
        got = ", ".join(describe(name, value) for name, value in (("x1", x1), ("x2", x2), ("W", W)))
        headline = f"bilinear: the batch is {x1.shape[:-1]} in x1 but {x2.shape[:-1]} in x2"
        raise ShapeError(report(headline, spec=spec, got=got))
    y = np.einsum("...i,oij,...j->...o", x1, W, x2, optimize=True)
    return y + b[0] if b else y


def _bilinear_rule(point: Point, k: int) -> Jacobian:
    shape = shape_of(point.x[k])
    if k == 3:
        return diagonal(shape_of(point.y), shape, 1)
    x1, x2, W = (Factor(array, name) for array, name in zip(point.x[:3], point.names[:3], strict=True))
    if k == 2:
        return written("i,j->o|oij", x1, x2, into=shape)
    return written("oij,j->o|i", W, x2, into=shape) if k == 0 else written("oij,i->o|j", W, x1, into=shape)


bilinear = register(
    Op(
        "bilinear", _bilinear, _bilinear_rule, family="network", operands=("x1", "x2", "W", "b"),
        normalise=lambda x1, x2, weight, bias=None: (given(x1, x2, weight, bias), {}),
        formula="∂y[o]/∂x1[i] = Σ_j W[o,i,j] x2[j], ∂y[o]/∂x2[j] = Σ_i W[o,i,j] x1[i], ∂y[o]/∂W[o,i,j] = x1[i] x2[j], "
        "∂y[o]/∂b[o] = 1",
        note="y[o] = x1ᵀ W[o] x2 + b[o]; leading axes of x1 and x2 are a batch.",
        samples=[
            sample((4, 3), (4, 2), (2, 3, 2), (2,)), sample((3,), (2,), (1, 3, 2)),
            sample((2, 1, 3), (2, 1, 3), (2, 3, 3)),
        ],
    )
)  # fmt: skip

# -- embedding --------------------------------------------------------------------------------------------------------


def whole_numbers(name: str, what: str, value: Any, count: int, rows: str) -> np.ndarray:
    """Positions along an axis of `count` entries; negative ones are refused, as PyTorch has it.

    Raises:
        DTypeError: they are no whole numbers.
        IndexingError: one is outside.
    """
    positions = constant_array(name, what, value)
    if positions.dtype.kind not in "iu" and positions.size:
        raise DTypeError(report(f"{name}: {what} must be whole numbers", got=describe(what, positions)))
    positions = positions.astype(np.intp)
    outside = np.argwhere((positions < 0) | (positions >= count))
    if len(outside):
        entry = ",".join(map(str, outside[0]))
        place = f"{what}[{entry}]" if entry else what
        raise IndexingError(
            report(
                f"{name}: {place} is {positions[tuple(outside[0])]}, but there are {count} {rows}",
                got=describe(what, positions), fix=f"whole numbers from 0 to {count - 1}",
            )
        )  # fmt: skip
    return positions


def _embedding(indices: Any, weight: Any) -> Any:
    require("embedding", "indices[...], W[n,d] -> y[...,d]", W=("nd", weight))
    return np.take(weight, whole_numbers("embedding", "indices", indices, shape_of(weight)[0], "rows in W"), axis=0)


embedding = composite(
    "embedding", _embedding, formula="∂y[i,d]/∂W[indices[i],d] = 1, a look-up",
    note="the rows of W[n,d] that indices name. The derivative of PyTorch's padding_idx, which leaves one row out, is "
    "no derivative of this function and not offered.",
    samples=[sample(np.array([0, 2, 2]), (3, 2)), sample(np.array([[1, 0], [2, 1]]), (3, 2)), sample(1, (2, 3))],
)  # fmt: skip

# -- dropout ----------------------------------------------------------------------------------------------------------


def _dropout_arguments(x: Any, mask: Any, p: Any = 0.5) -> tuple[tuple[Any, ...], Params]:
    p = number("dropout: p", p)
    if not 0 <= p <= 1:
        raise ArgumentError(report(f"dropout: p must be between 0 and 1, not {p:g}"))
    mask = constant_array("dropout", "the mask", mask)
    if mask.dtype.kind not in "biuf" or not np.isin(mask, (0, 1)).all():
        raise DTypeError(report("dropout: the mask must hold booleans, or zeros and ones", got=describe("mask", mask)))
    try:
        fits = np.broadcast_shapes(shape_of(x), mask.shape) == shape_of(x)
    except ValueError:
        fits = False
    if not fits:
        got = f"x of shape {shape_of(x)}, {describe('mask', mask)}"
        raise ShapeError(report("dropout: the mask does not broadcast to the shape of x", got=got))
    return (x,), {"mask": mask != 0, "kept": 1 / (1 - p) if p < 1 else 0.0}


dropout = elementwise(
    lambda x, mask, kept: np.where(mask, x * kept, 0), "where(mask, kept, 0.0)", name="dropout", answers=(),
    normalise=_dropout_arguments, shapes=(),
    note="x / (1 - p) where the mask is true, 0 elsewhere; kept is 1 / (1 - p). PyTorch draws the mask, here it is "
    "given.",
    samples=[
        sample((2, 3), np.array([[True, False, True], [False, True, True]])), sample((2, 3), np.array([1, 0, 1]), 0.2),
        sample((3,), np.ones(3, int), p=0.0), sample((), True, p=0.25), sample((2, 2), np.eye(2, dtype=bool), p=1.0),
    ],
)  # fmt: skip
