"""Losses: cross-entropy and the mean squared error."""

from __future__ import annotations

from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, DTypeError, IndexingError, ShapeError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.term import Factor
from jacobian.ops.activations import log_softmax, softmax
from jacobian.ops.contraction import LETTERS
from jacobian.ops.families import Einsum
from jacobian.ops.registry import Op, Params, Point, describe, register, sample
from jacobian.ops.terms import labelled, require, shape_of

REDUCTIONS = ("mean", "sum", "none")


def _checked(name: str, reduction: str) -> str:
    if reduction not in REDUCTIONS:
        raise ArgumentError(report(f"{name}: reduction must be 'mean', 'sum' or 'none', not {reduction!r}"))
    return reduction


def _reduce(losses: np.ndarray, reduction: str) -> Any:
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()


def _rule(point: Point, factor: Factor, losses: str, scale: float = 1.0) -> Jacobian:
    """The Jacobian of all losses, which have the axes `losses`, or of their sum or mean; the factor has every axis."""
    shape, reduction = shape_of(factor.array), point.params["reduction"]
    every = tuple(LETTERS[: len(shape)])
    out = tuple(losses) if reduction == "none" else ()
    if reduction == "mean":
        scale /= max(int(np.prod([size for letter, size in zip(every, shape, strict=True) if letter in losses])), 1)
    return labelled(Einsum((every, every, out)), (factor,), shape, scale)


# -- cross-entropy ----------------------------------------------------------------------------------------------------


def _cross_entropy(
    logits: np.ndarray, *target: np.ndarray, labels: np.ndarray | None, reduction: str, axis: int
) -> Any:  # fmt: skip
    if not np.ndim(logits):
        raise ShapeError(report("cross_entropy: logits must have at least one axis", got=describe("logits", logits)))
    logs = log_softmax(logits, axis=axis)
    if labels is None:
        letters = LETTERS[: logits.ndim]
        spec = f"logits[{','.join(letters)}], target[{','.join(letters)}]"
        require("cross_entropy", spec, logits=(letters, logits), target=(letters, target[0]))
        return _reduce(-np.sum(target[0] * logs, axis=axis), reduction)
    _check_labels(logits, labels, axis)
    picked = np.take_along_axis(logs, np.expand_dims(labels, axis), axis=axis)
    return _reduce(-np.squeeze(picked, axis=axis), reduction)


def _check_labels(logits: np.ndarray, labels: np.ndarray, axis: int) -> None:
    every = LETTERS[: logits.ndim]
    rows = every.replace(every[axis], "")
    spec = f"logits[{','.join(every)}], labels[{','.join(rows)}]"
    require("cross_entropy", spec, logits=(every, logits), labels=(rows, labels))
    classes = logits.shape[axis]
    outside = np.argwhere((labels < 0) | (labels >= classes))
    if len(outside):
        entry = ",".join(map(str, outside[0]))
        raise IndexingError(
            report(
                f"cross_entropy: labels[{entry}] is {labels[tuple(outside[0])]}, but there are {classes} classes",
                got=f"{describe('logits', logits)}, {describe('labels', labels)}",
                fix=f"labels from 0 to {classes - 1}",
            )
        )  # fmt: skip


def _cross_entropy_rule(point: Point, k: int) -> Jacobian:
    """softmax(logits) - target with respect to the logits, -log softmax(logits) with respect to the target."""
    logits, axis = point.x[0], point.params["axis"]
    rank = np.ndim(logits)
    rows = LETTERS[:rank].replace(LETTERS[:rank][axis], "")
    entry = ",".join(f"@{position}" for position in range(rank))
    name = point.names[0]
    if k == 1:
        return _rule(point, Factor(log_softmax(logits, axis=axis), f"log_softmax({name})[{entry}]"), rows, -1.0)
    p = softmax(logits, axis=axis)
    labels = point.params["labels"]
    if labels is not None:
        hot = np.expand_dims(labels, axis) == _ruler(np.shape(logits), axis)
        return _rule(point, Factor(p - hot.astype(p.dtype), f"(softmax({name})[{entry}] - onehot[{entry}])"), rows)
    target, total = point.x[1], np.sum(point.x[1], axis=axis, keepdims=True)
    label = f"(softmax({name})[{entry}] Σ{point.names[1]} - {point.names[1]}[{entry}])"
    return _rule(point, Factor(p * total - target, label), rows)


def _ruler(shape: tuple[int, ...], axis: int) -> np.ndarray:
    """0, 1, 2, … along one axis."""
    return np.expand_dims(np.arange(shape[axis]), [other for other in range(len(shape)) if other != axis % len(shape)])


def _cross_entropy_arguments(
    logits: Any, target: Any, reduction: str = "mean", axis: int = -1
) -> tuple[tuple[Any, ...], Params]:
    params = {"labels": None, "reduction": _checked("cross_entropy", reduction), "axis": axis}
    if hasattr(target, "__array_function__") and not isinstance(target, np.ndarray | np.generic):
        return (logits, target), params
    target = np.asarray(target)
    if target.dtype.kind in "iu":
        return (logits,), params | {"labels": target}
    if target.dtype.kind != "f":
        raise DTypeError(
            report("cross_entropy: the target must hold class numbers or probabilities", got=describe("target", target))
        )
    return (logits, target), params


cross_entropy = register(
    Op(
        "cross_entropy", _cross_entropy, _cross_entropy_rule, normalise=_cross_entropy_arguments, family="network",
        operands=("logits", "target"),
        formula="∂y/∂logits = softmax(logits) - target, ∂y/∂target = -log_softmax(logits)",
        note="-Σ target · log softmax(logits) along an axis, the last unless told otherwise, then the mean, the sum or "
        "none of them. The target is class numbers (integers) or probabilities.",
        samples=[
            sample((4, 3), np.array([0, 2, 1, 1])), sample((2, 3), (2, 3)), sample((3,), 1),
            sample((2, 3), (2, 3), reduction="none"),
            sample((2, 3, 2), np.array([[0, 2], [1, 1]]), axis=1, reduction="sum"),
        ],
    )
)  # fmt: skip

# -- mean squared error -----------------------------------------------------------------------------------------------


def _mse(x: np.ndarray, target: np.ndarray, reduction: str) -> Any:
    letters = LETTERS[: x.ndim]
    spec = f"x[{','.join(letters)}], target[{','.join(letters)}]"
    require("mse", spec, x=(letters, x), target=(letters, target))
    return _reduce((x - target) ** 2, reduction)


def _mse_rule(point: Point, k: int) -> Jacobian:
    x, target = point.x
    letters = LETTERS[: np.ndim(x)]
    entry = ",".join(f"@{axis}" for axis in range(len(letters)))
    first, second = (f"{name}[{entry}]" if entry else name for name in point.names)
    return _rule(point, Factor(x - target, f"({first} - {second})"), letters, -2.0 if k else 2.0)


mse = register(
    Op(
        "mse", _mse, _mse_rule, family="network", operands=("x", "target"),
        normalise=lambda x, target, reduction="mean": ((x, target), {"reduction": _checked("mse", reduction)}),
        formula="∂y/∂x = 2 (x - target) / n, ∂y/∂target = -2 (x - target) / n",
        note="(x - target)², then the mean over all entries, the sum or none of them.",
        samples=[
            sample((2, 3), (2, 3)), sample((3,), (3,), reduction="none"), sample((3,), (3,), "sum"), sample((), ()),
        ],
    )
)  # fmt: skip
