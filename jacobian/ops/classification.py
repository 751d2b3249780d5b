"""Losses of scores for several classes: cross-entropy, the negative log-likelihood, the hinge loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, DTypeError, IndexingError, ShapeError, report
from jacobian.kernel.access import Lookup, affine, constant, plain
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Access
from jacobian.kernel.term import Factor
from jacobian.ops import texts
from jacobian.ops.activations import number
from jacobian.ops.contraction import LETTERS
from jacobian.ops.families import from_tables
from jacobian.ops.kinks import warn_kink
from jacobian.ops.losses import checked_reduction, jacobian_of_losses, reduce_losses
from jacobian.ops.registry import Kink, Op, Params, Point, describe, register, sample
from jacobian.ops.softmaxes import log_softmax, softmax, softmax_text
from jacobian.ops.terms import constant_array, is_traced, require, shape_of

# -- classes ----------------------------------------------------------------------------------------------------------


def _class_axis(name: str, scores: Any, axis: Any) -> int:
    """Where the classes are: along axis 1, as PyTorch has it, or the only axis, unless told otherwise."""
    rank = len(shape_of(scores))
    if not rank:
        raise ShapeError(report(f"{name}: the scores must have an axis for the classes", got="a number"))
    if axis is None:
        return 1 if rank > 1 else 0
    if not isinstance(axis, int | np.integer):
        raise ArgumentError(report(f"{name}: axis must be a whole number, not {axis!r}"))
    if not -rank <= axis < rank:
        raise ShapeError(report(f"{name}: axis {axis} does not exist", got=f"an array of {rank} axes"))
    return int(axis) % rank


def _rows(rank: int, axis: int) -> str:
    return LETTERS[:axis] + LETTERS[axis + 1 : rank]


def _check_labels(name: str, operand: str, scores: Any, labels: np.ndarray, axis: int, ignored: int) -> None:
    rank = len(shape_of(scores))
    every, rows = LETTERS[:rank], _rows(rank, axis)
    spec = f"{operand}[{','.join(every)}], labels[{','.join(rows)}]"
    require(name, spec, **{operand: (every, scores), "labels": (rows, labels)})
    classes = shape_of(scores)[axis]
    outside = np.argwhere(((labels < 0) | (labels >= classes)) & (labels != ignored))
    if len(outside):
        entry = ",".join(map(str, outside[0]))
        place = f"labels[{entry}]" if entry else "labels"
        raise IndexingError(
            report(
                f"{name}: {place} is {labels[tuple(outside[0])]}, but there are {classes} classes",
                got=f"{describe(operand, scores)}, {describe('labels', labels)}",
                fix=f"labels from 0 to {classes - 1}",
            )
        )  # fmt: skip


def _labels(name: str, labels: Any) -> np.ndarray:
    found = constant_array(name, "labels", labels)
    if found.dtype.kind not in "iu" and found.size:
        raise DTypeError(report(f"{name}: labels must be class numbers", got=describe("labels", found)))
    return found.astype(np.intp)


def _class_weights(name: str, weight: Any, scores: Any, axis: int) -> np.ndarray | None:
    if weight is None:
        return None
    weights = constant_array(name, "weight", weight)
    classes = shape_of(scores)[axis]
    if weights.shape != (classes,):
        got = describe("weight", weights)
        raise ShapeError(report(f"{name}: weight must have one number for each of the {classes} classes", got=got))
    return weights


def _along(vector: np.ndarray, rank: int, axis: int) -> np.ndarray:
    """A vector that lies along one axis, so that it broadcasts."""
    return np.expand_dims(vector, [other for other in range(rank) if other != axis])


def _importance(labels: np.ndarray, params: Params, dtype: Any) -> np.ndarray:
    """What the loss of every row is multiplied by: the weight of its class, 0 where it is ignored."""
    counted = (labels != params["ignore_index"]).astype(dtype)
    weight: np.ndarray | None = params["weight"]
    return counted if weight is None else np.asarray(counted * weight.astype(dtype)[_in_range(labels, params)])


def _in_range(labels: np.ndarray, params: Params) -> np.ndarray:
    """The labels with any class for those that are ignored."""
    return np.where(labels == params["ignore_index"], 0, labels)


def _dtype(scores: Any) -> Any:
    dtype = np.dtype(getattr(scores, "dtype", np.float64))
    return dtype if dtype.kind == "f" else np.dtype(np.float64)


# -- cross-entropy ----------------------------------------------------------------------------------------------------


def _is_plain(params: Params) -> bool:
    return params["weight"] is None and not params["label_smoothing"]


def _smoothed(logits: Any, target: Any, params: Params) -> Any:
    """What the loss has in place of the target: smoothed, weighted, nothing where it is ignored."""
    axis, shape, dtype = params["axis"], shape_of(logits), _dtype(logits)
    classes, smoothing, labels = shape[axis], params["label_smoothing"], params["labels"]
    if labels is not None:
        target = (np.expand_dims(labels, axis) == _along(np.arange(classes), len(shape), axis)).astype(dtype)
    if smoothing:
        target = target * (1 - smoothing) + smoothing / classes
    if labels is not None:
        target = target * np.expand_dims(labels != params["ignore_index"], axis)
    weight = params["weight"]
    return target if weight is None else target * _along(weight.astype(dtype), len(shape), axis)


def _total(logits: Any, params: Params) -> float:
    """What the mean divides the sum of the losses by: how many rows there are, or their classes' weights."""
    labels = params["labels"]
    if labels is not None:
        return float(_importance(labels, params, np.float64).sum())
    shape = shape_of(logits)
    return float(np.prod([size for axis, size in enumerate(shape) if axis != params["axis"]]))


def _cross_entropy(logits: np.ndarray, *target: np.ndarray, **params: Any) -> Any:
    axis, labels, reduction = params["axis"], params["labels"], params["reduction"]
    if labels is None:
        letters = LETTERS[: logits.ndim]
        spec = f"logits[{','.join(letters)}], target[{','.join(letters)}]"
        require("cross_entropy", spec, logits=(letters, logits), target=(letters, target[0]))
    else:
        _check_labels("cross_entropy", "logits", logits, labels, axis, params["ignore_index"])
    logs = log_softmax.forward(logits, axis=axis)
    if labels is not None and _is_plain(params):
        picked = np.take_along_axis(logs, np.expand_dims(_in_range(labels, params), axis), axis=axis)
        losses = np.where(labels == params["ignore_index"], 0, -np.squeeze(picked, axis=axis))
    else:
        losses = -np.sum(_smoothed(logits, target[0] if target else None, params) * logs, axis=axis)
    return reduce_losses("cross_entropy", np.asarray(losses), reduction, _total(logits, params))


def _cross_entropy_rule(point: Point, k: int) -> Jacobian:
    """softmax(logits) Σt - t with respect to the logits, -log softmax(logits) with respect to the target."""
    logits, params = point.x[0], point.params
    axis, rank = params["axis"], np.ndim(logits)
    rows, total = _rows(rank, axis), _total(logits, params)
    entry, name = ",".join(f"@{position}" for position in range(rank)), point.names[0]
    if k == 1:
        factor, scale = log_softmax(logits, axis=axis), params["label_smoothing"] - 1.0
        label = f"{softmax_text(name, axis, rank, 'log_softmax')}[{entry}]"
        if params["weight"] is not None:
            factor = factor * _along(params["weight"], rank, axis)
            label = f"{point.called.get('weight', 'weight')}[@{axis}] * {label}"
        return jacobian_of_losses(Factor(factor, label), rows, params["reduction"], scale, total)
    p, target = softmax(logits, axis=axis), _smoothed(logits, point.x[1] if len(point.x) > 1 else None, params)
    if params["labels"] is not None and _is_plain(params):
        counted = np.expand_dims(params["labels"] != params["ignore_index"], axis)
        factor = p - target if counted.all() else p * counted - target
        label = f"({softmax_text(name, axis, rank)}[{entry}] - onehot[{entry}])" if counted.all() else ""
    else:
        factor = p * np.sum(target, axis=axis, keepdims=True) - target
        label = ""
        if len(point.x) > 1 and _is_plain(params):
            whole = texts.over("sum", point.names[1], (axis,), rank)
            label = f"({softmax_text(name, axis, rank)}[{entry}] * {whole} - {point.names[1]}[{entry}])"
    return jacobian_of_losses(Factor(factor, label), rows, params["reduction"], 1.0, total)


def _cross_entropy_arguments(
    logits: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean",
    label_smoothing: float = 0.0, axis: int | None = None,
) -> tuple[tuple[Any, ...], Params]:  # fmt: skip
    name = "cross_entropy"
    axis = _class_axis(name, logits, axis)
    smoothing = number(f"{name}: label_smoothing", label_smoothing)
    if not 0 <= smoothing <= 1:
        raise ArgumentError(report(f"{name}: label_smoothing must be between 0 and 1, not {smoothing:g}"))
    params = {
        "labels": None, "weight": _class_weights(name, weight, logits, axis), "ignore_index": ignore_index,
        "reduction": checked_reduction(name, reduction), "label_smoothing": smoothing, "axis": axis,
    }  # fmt: skip
    if is_traced(target):
        return (logits, target), params
    target = np.asarray(target)
    if target.dtype.kind in "iu":
        return (logits,), params | {"labels": target.astype(np.intp)}
    if target.dtype.kind != "f":
        raise DTypeError(
            report(f"{name}: the target must hold class numbers or probabilities", got=describe("target", target))
        )
    return (logits, target), params


cross_entropy = register(
    Op(
        "cross_entropy", _cross_entropy, _cross_entropy_rule, normalise=_cross_entropy_arguments, family="network",
        operands=("logits", "target"),
        formula="∂y/∂logits = softmax(logits) Σt - t, ∂y/∂target = -log_softmax(logits), t being the target",
        note="-Σ target · log softmax(logits) along axis 1 (or the only axis) unless told otherwise, then the mean, "
        "the sum or none of them. The target is class numbers (integers) or probabilities; weight holds a number for "
        "each class, rows labelled ignore_index do not count, label_smoothing mixes the target with equal "
        "probabilities.",
        samples=[
            sample((4, 3), np.array([0, 2, 1, 1])), sample((2, 3), (2, 3)), sample((3,), 1),
            sample((2, 3), (2, 3), reduction="none"),
            sample((2, 3, 2), np.array([[0, 2], [1, 1]]), axis=1, reduction="sum"),
            sample((3, 3), np.array([0, -100, 1]), np.array([1, 2, 4])),
            sample((3, 2), np.array([0, 1, 1]), ignore_index=0, reduction="none"),
            sample((2, 3), np.array([2, 0]), np.array([1, 2, 4]), label_smoothing=0.3),
            sample((2, 3), (2, 3), np.array([1, 2, 4]), label_smoothing=0.3),
            sample((2, 2, 3), np.array([[0, 2], [1, 1]]), axis=-1),
        ],
    )
)  # fmt: skip

# -- the negative log-likelihood --------------------------------------------------------------------------------------


def _nll_loss(logs: np.ndarray, *, labels: np.ndarray, reduction: str, axis: int, **rest: Any) -> Any:
    params = rest | {"labels": labels}
    _check_labels("nll_loss", "x", logs, labels, axis, rest["ignore_index"])
    picked = np.take_along_axis(logs, np.expand_dims(_in_range(labels, params), axis), axis=axis)
    importance = _importance(labels, params, _dtype(logs))
    losses = np.where(importance == 0, 0, -np.squeeze(picked, axis=axis) * importance)
    return reduce_losses("nll_loss", np.asarray(losses), reduction, float(importance.sum()))


def _nll_loss_rule(point: Point, k: int) -> Jacobian:
    """A look-up: in every row one entry, that of its class."""
    params, shape = point.params, shape_of(point.x[0])
    labels, axis = params["labels"], params["axis"]
    rows = tuple(size for position, size in enumerate(shape) if position != axis)
    every = tuple(plain(position) for position in range(len(rows)))
    of_class = affine(0, [(Lookup(0, every), 1)]) if rows else constant(int(_in_range(labels, params)))
    into = (*every[:axis], of_class, *every[axis:])
    importance = _importance(labels, params, _dtype(point.x[0]))
    entry = ",".join(f"@{position}" for position in range(len(rows)))

    def called(word: str) -> str:
        return point.called.get(word, word)

    weight = Factor(importance, f"{called('weight')}[{called('labels')}[{entry}]]")
    factors = () if (importance == 1).all() else ((weight, Access(every, rows)),)
    separate = params["reduction"] == "none"
    J = from_tables(
        rows, every if separate else (), into, rows if separate else (), shape,
        [_in_range(labels, params)] if rows else [], factors=factors,
    )  # fmt: skip
    return J * (-1.0 / float(importance.sum()) if params["reduction"] == "mean" else -1.0)


def _nll_loss_arguments(
    x: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean", axis: int | None = None
) -> tuple[tuple[Any, ...], Params]:
    name = "nll_loss"
    axis = _class_axis(name, x, axis)
    return (x,), {
        "labels": _labels(name, target), "weight": _class_weights(name, weight, x, axis), "ignore_index": ignore_index,
        "reduction": checked_reduction(name, reduction), "axis": axis,
    }  # fmt: skip


nll_loss = register(
    Op(
        "nll_loss", _nll_loss, _nll_loss_rule, normalise=_nll_loss_arguments, family="network", aliases=("nll",),
        formula="∂y[i]/∂x[i,labels[i]] = -weight[labels[i]]",
        note="-x[i,labels[i]], x being a logarithm of probabilities with classes along axis 1 (or the only axis) "
        "unless told otherwise, times the weight of the class; rows labelled ignore_index do not count. Then the mean, "
        "the sum or none of them.",
        samples=[
            sample((4, 3), np.array([0, 2, 1, 1])), sample((3,), 1), sample((2, 3), np.array([1, 0]), reduction="none"),
            sample((2, 3, 2), np.array([[0, 2], [1, 1]]), reduction="sum"),
            sample((3, 3), np.array([0, -100, 1]), np.array([1, 2, 4])),
            sample((2, 2, 3), np.array([[0, 2], [1, 1]]), axis=-1, reduction="none"),
        ],
    )
)  # fmt: skip

# -- the hinge loss ---------------------------------------------------------------------------------------------------


def _margins(scores: Any, params: Params) -> Any:
    """By how much every wrong class comes too near to the right one; below 0 where it does not."""
    axis, labels = params["axis"], np.expand_dims(params["labels"], params["axis"])
    return scores - np.take_along_axis(scores, labels, axis=axis) + params["margin"]


def _is_right(shape: tuple[int, ...], params: Params) -> np.ndarray:
    axis: int = params["axis"]
    return np.asarray(np.expand_dims(params["labels"], axis) == _along(np.arange(shape[axis]), len(shape), axis))


def _hinge(scores: np.ndarray, **params: Any) -> Any:
    axis = params["axis"]
    _check_labels("hinge", "scores", scores, params["labels"], axis, 0)
    margins = np.where(_is_right(scores.shape, params), 0, np.maximum(_margins(scores, params), 0))
    return reduce_losses("hinge", np.asarray(margins.sum(axis=axis)), params["reduction"])


def _hinge_rule(point: Point, k: int) -> Jacobian:
    """1 for every wrong class within the margin, and for the right one minus how many these are."""
    params, scores = point.params, point.x[0]
    axis, shape = params["axis"], shape_of(scores)
    margins, right = _margins(scores, params), _is_right(shape, params)
    warn_kink("hinge", (margins == 0) & ~right, "0")
    near = ((margins > 0) & ~right) * np.ones((), _dtype(scores))
    factor = near - right * np.sum(near, axis=axis, keepdims=True)
    rows = _rows(len(shape), axis)
    count = float(np.prod([size for position, size in enumerate(shape) if position != axis]))
    return jacobian_of_losses(Factor(factor, f"near({point.names[0]})"), rows, params["reduction"], 1.0, count)


def _hinge_arguments(
    scores: Any, target: Any, margin: float = 1.0, reduction: str = "mean", axis: int | None = None
) -> tuple[tuple[Any, ...], Params]:
    return (scores,), {
        "labels": _labels("hinge", target), "margin": number("hinge: margin", margin),
        "reduction": checked_reduction("hinge", reduction), "axis": _class_axis("hinge", scores, axis),
    }  # fmt: skip


hinge = register(
    Op(
        "hinge", _hinge, _hinge_rule, normalise=_hinge_arguments, family="network", operands=("scores",),
        of_complex="refused", aliases=("hinge_loss", "multiclass_svm"),
        formula="∂y/∂scores[j] = 1 where scores[j] - scores[label] + margin > 0 and j ≠ label, at the label minus the "
        "number of these",
        note="Σ_j max(0, scores[j] - scores[label] + margin) over the wrong classes j, along axis 1 (or the only axis) "
        "unless told otherwise, then the mean, the sum or none of them: the multiclass SVM loss. PyTorch's "
        "multi_margin_loss divides by the number of classes.",
        kinks=[Kink("a margin is 0", "0", sample(np.array([[1.0, 0.0]]), np.array([0])))],
        samples=[
            sample((4, 3), np.array([0, 2, 1, 1])), sample((3,), 1), sample((2, 3), np.array([1, 0]), reduction="none"),
            sample((2, 3, 2), np.array([[0, 2], [1, 1]]), 0.3, "sum"),
            sample((2, 2, 3), np.array([[0, 2], [1, 1]]), axis=-1),
        ],
    )
)  # fmt: skip
