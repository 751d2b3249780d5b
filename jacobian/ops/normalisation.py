"""Normalisations: mean 0 and variance 1 along some axes, then a scale and a shift."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jacobian.errors import ShapeError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Shape
from jacobian.kernel.term import Array, Factor
from jacobian.ops.activations import sides
from jacobian.ops.families import Einsum, moved, reduced_axes
from jacobian.ops.registry import Op, Params, Point, Sample, describe, register, sample
from jacobian.ops.terms import labelled, shape_of, summed

Axes = tuple[int, ...]


def _arguments(default: int) -> Callable[..., tuple[tuple[Any, ...], Params]]:
    def normalise(
        x: Any, gamma: Any = None, beta: Any = None, axis: Any = default, eps: float = 1e-5
    ) -> tuple[tuple[Any, ...], Params]:
        params = {"axis": tuple(axis) if isinstance(axis, list) else axis, "eps": eps}
        if beta is not None:
            return (x, 1.0 if gamma is None else gamma, beta), params
        return (x,) if gamma is None else (x, gamma), params

    return normalise


def _inverse_deviation(x: Array, axes: Axes, eps: float) -> Array:
    return 1.0 / np.sqrt(np.var(x, axis=axes, keepdims=True) + eps)


def _normalised(x: Array, axes: Axes, eps: float) -> Array:
    return (x - np.mean(x, axis=axes, keepdims=True)) * _inverse_deviation(x, axes, eps)


def _spread_shape(shape: Shape, own: Axes) -> Shape:
    """The shape in which gamma and beta broadcast: their axes where they belong, 1 elsewhere."""
    return tuple(size if axis in own else 1 for axis, size in enumerate(shape))


def normalisation(
    name: str, owned: Callable[[Axes, int], Axes], default: int, samples: list[Sample], formula: str, note: str
) -> Op:
    """A normalisation whose gamma and beta have the axes `owned(axes normalised over, rank)`, or are numbers."""

    def forward(x: np.ndarray, gamma: Any = 1.0, beta: Any = 0.0, *, axis: Any, eps: float) -> Any:
        axes = reduced_axes(axis, x.ndim, name)
        own = owned(axes, x.ndim)
        needed = tuple(x.shape[a] for a in own)
        for what, value in (("gamma", gamma), ("beta", beta)):
            if np.ndim(value) and np.shape(value) != needed:
                raise ShapeError(
                    report(
                        f"{name}: {what} must have the shape {needed}, that of axes {own} of x, not {np.shape(value)}",
                        got=f"{describe('x', x)}, {describe(what, value)}, axis={axis}",
                    )
                )
        spread = _spread_shape(x.shape, own)
        scale, shift = (np.reshape(value, spread) if np.ndim(value) else value for value in (gamma, beta))
        return _normalised(x, axes, eps) * scale + shift

    def rule(point: Point, k: int) -> Jacobian:
        x, eps = point.x[0], point.params["eps"]
        shape = shape_of(x)
        axes = reduced_axes(point.params["axis"], len(shape), name)
        own = owned(axes, len(shape))
        if 0 in shape:
            return Jacobian.zero(shape, shape_of(point.x[k]))
        if k == 0:
            return _of_input(point, axes, own)
        into = shape_of(point.x[k])
        if k == 2:
            spread = _spread_shape(shape, own) if into else (1,) * len(shape)
            return moved(lambda positions: np.broadcast_to(positions.reshape(spread), shape), into, views=True)
        out, _ = sides(len(shape), ())
        labels = tuple(out[axis] for axis in own) if into else ()
        return labelled(Einsum((out, labels, out)), (Factor(_normalised(x, axes, eps), "x̂"),), into)

    return register(
        Op(
            name, forward, rule, normalise=_arguments(default), operands=("x", "gamma", "beta"), family="network",
            formula=formula, note=note, samples=samples, of_complex="refused",
        )
    )  # fmt: skip


def _of_input(point: Point, axes: Axes, own: Axes) -> Jacobian:
    """`γ/σ (δ - 1/n - x̂ x̂ / n)`: three terms, diagonal along every axis that is not normalised over."""
    x, eps = point.x[0], point.params["eps"]
    shape = shape_of(x)
    count = int(np.prod([shape[axis] for axis in axes]))
    out, into = sides(len(shape), axes)
    kept = tuple(label for axis, label in enumerate(out) if axis not in axes)
    inverse = np.reshape(_inverse_deviation(x, axes, eps), tuple(n for axis, n in enumerate(shape) if axis not in axes))
    factors, labels = [Factor(inverse, "(1/σ)")], [kept]
    if len(point.x) > 1:
        gamma = point.x[1]
        factors.insert(0, Factor(np.asarray(gamma) if isinstance(gamma, int | float) else gamma, point.names[1]))
        labels.insert(0, tuple(out[axis] for axis in own) if np.ndim(gamma) else ())
    itself = labelled(Einsum((*labels, out, out)), tuple(factors), shape)
    mean = labelled(Einsum((*labels, into, out)), tuple(factors), shape, -1 / count, shape)
    hat = Factor(_normalised(x, axes, eps), "x̂")
    spread = labelled(Einsum((*labels, out, into, into, out)), (*factors, hat, hat), shape, -1 / count)
    return summed(itself, mean, spread)


def _rest(axes: Axes, rank: int) -> Axes:
    return tuple(axis for axis in range(rank) if axis not in axes)


FORMULA = "∂y[i]/∂x[k] = γ[i]/σ (δ[i,k] - 1/n - x̂[i] x̂[k] / n), ∂y[i]/∂γ[i] = x̂[i], ∂y[i]/∂β[i] = 1"

layer_norm = normalisation(
    "layer_norm", lambda axes, rank: axes, -1,
    [sample((2, 4), (4,), (4,)), sample((3,)), sample((2, 2, 3), (2, 3), axis=(1, 2)), sample((2, 3), 2.0, (3,))],
    FORMULA, "(x - mean) / sqrt(variance + eps) along the last axis, or those of axis; gamma and beta have these axes.",
)  # fmt: skip
batch_norm = normalisation(
    "batch_norm", _rest, 0,
    [
        sample((4, 2), (2,), (2,)), sample((3, 2)), sample((2, 3, 2, 2), (3,), (3,), axis=(0, 2, 3)),
        sample((3,), 0.5, axis=0),
    ],
    FORMULA, "with the statistics of the batch at hand, as in training: along axis 0, or (0, 2, 3) for images; gamma "
    "and beta have the remaining axes.",
)  # fmt: skip
