"""What transformers are made of: attention, its heads, and rotary positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.term import Array, Factor
from jacobian.ops.registry import Op, Params, Point, describe, register, sample
from jacobian.ops.softmaxes import softmax
from jacobian.ops.terms import require, shape_of, summed, written

# -- attention --------------------------------------------------------------------------------------------------------


def _weights(q: Any, k: Any, bias: Any, scale: float, keep: Any) -> Any:
    scores = np.matmul(q, np.matrix_transpose(k)) * scale
    if bias is not None:
        scores = scores + bias
    return softmax(scores if keep is None else np.where(keep, scores, -np.inf))


def _attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, *bias: np.ndarray, scale: float, keep: Any) -> Any:
    given: dict[str, tuple[str, Array]] = {"q": ("...id", q), "k": ("...jd", k), "v": ("...jc", v)}
    if keep is not None and not np.all(np.any(keep, axis=-1)):
        headline = "attention: the mask leaves a query nothing to attend to"
        raise ArgumentError(report(headline, got=describe("mask", keep)))
    require("attention", "q[...,i,d], k[...,j,d], v[...,j,c] -> y[...,i,c]", **given)
    return np.matmul(_weights(q, k, bias[0] if bias else None, scale, keep), v)


def _attention_rule(point: Point, number: int) -> Jacobian:
    """Through P = softmax(scale q kᵀ): its `δ P - P P` gives two terms, of which the second has the output in it."""
    q, k, _, *bias = point.x
    scale, into = point.params["scale"], shape_of(point.x[number])
    P = _weights(q, k, bias[0] if bias else None, scale, point.params["keep"])
    p, y = Factor(P, "P"), Factor(point.y, point.out_name)
    named = [Factor(array, name) for array, name in zip(point.x, point.names, strict=True)]
    if number == 0:
        mean = Factor(np.matmul(P, k), f"(P {point.names[1]})")
        straight = written("ij,jc,jd->ic|id", p, named[2], named[1], into=into, scale=scale)
        return summed(straight, written("ic,id->ic|id", y, mean, into=into, scale=-scale))
    if number == 1:
        straight = written("ij,id,jc->ic|jd", p, named[0], named[2], into=into, scale=scale)
        return summed(straight, written("ij,id,ic->ic|jd", p, named[0], y, into=into, scale=-scale))
    if number == 2:
        return written("ij->ic|jc", p, into=into)
    straight = written("ij,jc->ic|ij", p, named[2], into=into)
    return summed(straight, written("ij,ic->ic|ij", p, y, into=into, scale=-1))


def _attention_arguments(
    q: Any, k: Any, v: Any, mask: Any = None, scale: float | None = None
) -> tuple[tuple[Any, ...], Params]:
    """A mask of booleans is a parameter; one of numbers is added to the scores, and an operand like any other."""
    scale = float(shape_of(q)[-1]) ** -0.5 if scale is None else scale
    keep = None
    if mask is not None and not _is_traced(mask):
        mask = np.asarray(mask)
        if mask.dtype.kind == "b":
            mask, keep = None, mask
    return (q, k, v) if mask is None else (q, k, v, mask), {"scale": scale, "keep": keep}


def _is_traced(value: Any) -> bool:
    return hasattr(value, "__array_function__") and not isinstance(value, np.ndarray | np.generic)


attention = register(
    Op(
        "attention", _attention, _attention_rule, normalise=_attention_arguments, operands=("q", "k", "v", "mask"),
        family="network",
        formula="∂y[i,c]/∂v[j,c] = P[i,j], ∂y[i,c]/∂q[i,d] = s Σ_j P[i,j] (v[j,c] - y[i,c]) k[j,d], "
        "∂y[i,c]/∂k[j,d] = s P[i,j] q[i,d] (v[j,c] - y[i,c]), P = softmax(s q kᵀ)",
        note="softmax(s q kᵀ + mask) v, s = 1/√d unless given; leading axes are a batch. A mask of booleans says which "
        "keys take part.",
        samples=[
            sample((3, 2), (4, 2), (4, 3)), sample((2, 3, 2), (2, 3, 2), (2, 3, 1), np.tri(3, dtype=bool)),
            sample((2, 2), (3, 2), (3, 2), (2, 3), scale=0.7), sample((2, 1, 2, 2), (1, 3, 2), (2, 2, 3, 2)),
        ],
    )
)  # fmt: skip
