"""Softmax and its logarithm, along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jacobian.kernel.expression import Jacobian
from jacobian.kernel.term import Factor
from jacobian.ops.contraction import LETTERS
from jacobian.ops.families import Einsum, reduced_axes
from jacobian.ops.registry import Op, Params, Point, register, sample
from jacobian.ops.terms import labelled, shape_of, summed


def sides(rank: int, axes: Sequence[int]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Labels of output and input, different along `axes` and shared along all others."""
    spare = iter(LETTERS[rank:])
    out = tuple(LETTERS[:rank])
    return out, tuple(next(spare) if axis in axes else label for axis, label in enumerate(out))


def softmax_text(name: str, axis: Any, rank: int, function: str = "softmax") -> str:
    """The softmax of an array, as a label; along the last axis unless it says so."""
    return f"{function}({name})" if axis in (-1, rank - 1) else f"{function}({name}, {axis})"


def _softmax(x: Any, axis: Any) -> Any:
    powers = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return powers / np.sum(powers, axis=axis, keepdims=True)


def _softmax_rule(point: Point, k: int) -> Jacobian:
    """`δ y - y y`: diagonal along every axis but those of the softmax."""
    shape = shape_of(point.y)
    out, into = sides(len(shape), reduced_axes(point.params["axis"], len(shape), "softmax"))
    y = Factor(point.y, point.out_name)
    itself = labelled(Einsum((out, out, out)), (y,), shape)
    return summed(itself, labelled(Einsum((out, into, into, out)), (y, y), shape, -1))


def _log_softmax(x: Any, axis: Any) -> Any:
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def _log_softmax_rule(point: Point, k: int) -> Jacobian:
    shape = shape_of(point.y)
    out, into = sides(len(shape), reduced_axes(point.params["axis"], len(shape), "log_softmax"))
    p = Factor(np.exp(point.y), softmax_text(point.names[0], point.params["axis"], len(shape)))
    return summed(Jacobian.identity(shape), labelled(Einsum((into, into, out)), (p,), shape, -1, shape))


def _along_axis(x: Any, axis: Any = -1) -> tuple[tuple[Any, ...], Params]:
    return (x,), {"axis": tuple(axis) if isinstance(axis, list) else axis}


SOFT = [sample((3,)), sample((2, 3)), sample((2, 3), axis=0), sample((2, 3, 2), axis=1), sample((2, 3), axis=None)]
softmax = register(
    Op(
        "softmax", _softmax, _softmax_rule, normalise=_along_axis, family="network", samples=SOFT,
        formula="∂y[i]/∂x[j] = δ[i,j] y[i] - y[i] y[j]",
        note="exp(x) / Σ exp(x) along an axis, shifted by the maximum.",
    )
)  # fmt: skip
log_softmax = register(
    Op(
        "log_softmax", _log_softmax, _log_softmax_rule, normalise=_along_axis, family="network", samples=SOFT,
        formula="∂y[i]/∂x[j] = δ[i,j] - softmax(x)[j]", note="x - log Σ exp(x) along an axis, shifted by the maximum.",
    )
)  # fmt: skip
