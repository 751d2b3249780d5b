"""Losses that compare a prediction with a target of the same shape, entry by entry: the derivatives are texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.term import Factor
from jacobian.ops import texts
from jacobian.ops.activations import number
from jacobian.ops.contraction import LETTERS
from jacobian.ops.families import Einsum
from jacobian.ops.kinks import warn_kink
from jacobian.ops.registry import Kink, Normalise, Op, Params, Point, Sample, describe, register, sample
from jacobian.ops.terms import constant_array, labelled, require, shape_of

REDUCTIONS = ("mean", "sum", "none")


def checked_reduction(name: str, reduction: Any, known: Sequence[str] = REDUCTIONS) -> str:
    """One of the reductions that the loss has.

    Raises:
        ArgumentError: it is none of them.
    """
    if reduction in known and isinstance(reduction, str):
        return reduction
    words = [repr(word) for word in known]
    listed = f"{', '.join(words[:-1])} or {words[-1]}"
    raise ArgumentError(report(f"{name}: reduction must be {listed}, not {reduction!r}"))


def reduce_losses(name: str, losses: np.ndarray, reduction: str, count: float | None = None) -> Any:
    """The losses themselves, their sum, or their sum over `count`, which is how many there are unless given.

    Raises:
        ArgumentError: there is nothing to take the mean of.
    """
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    count = losses.size if count is None else count
    if not count:
        fix = "reduction='sum', which is 0"
        raise ArgumentError(report(f"{name}: there is no mean of no losses", got=describe("losses", losses), fix=fix))
    return losses.sum() / losses.dtype.type(count)


def jacobian_of_losses(factor: Factor, rows: str, reduction: str, scale: float, count: float) -> Jacobian:
    """The Jacobian of all losses, which have the axes `rows`, or of their sum or mean; the factor has every axis."""
    shape = shape_of(factor.array)
    every = tuple(LETTERS[: len(shape)])
    out = tuple(rows) if reduction == "none" else ()
    scale = scale if reduction in ("none", "sum") else scale / count
    return labelled(Einsum((every, every, out)), (factor,), shape, scale)


# -- the family -------------------------------------------------------------------------------------------------------


class By(NamedTuple):
    """A derivative as text in `x`, `target` and the parameters; a number in front; what formulas show instead."""

    text: str
    scale: float = 1.0
    shown: str = ""


Derivatives = tuple[By, By]


class Loss(NamedTuple):
    """Everything that one loss states."""

    name: str
    aliases: tuple[str, ...]
    function: Callable[..., Any]  # of the prediction, the target and the parameters: all losses
    derivatives: Callable[[Params], Derivatives]
    normalise: Normalise
    formula: str
    note: str
    samples: Sequence[Sample]
    kink: str = ""
    at_kink: str = ""
    kink_at: Sample | None = None
    of_complex: str = "refused"


def _count(shape: tuple[int, ...], reduction: str) -> int:
    """What the sum of the losses is divided by."""
    return shape[0] if reduction == "batchmean" and shape else int(np.prod(shape))


def loss(stated: Loss) -> Op:
    """An op from what a loss states; `reduction` and `weight` are among the parameters of all of them."""
    name = stated.name

    def forward(x: Any, target: Any, *, reduction: str, weight: Any = None, **params: Any) -> Any:
        letters = LETTERS[: np.ndim(x)]
        spec = f"x[{','.join(letters)}], target[{','.join(letters)}]"
        require(name, spec, x=(letters, x), target=(letters, target))
        losses = np.asarray(stated.function(x, target, **params))
        if weight is not None:
            losses = losses * _fitting(name, "weight", weight, losses)
        return reduce_losses(name, losses, reduction, _count(losses.shape, reduction))

    def rule(point: Point, k: int) -> Jacobian:
        by = stated.derivatives(point.params)[k]
        params = {word: value for word, value in point.params.items() if word not in ("reduction",)}
        values = params | {"x": point.x[0], "target": point.x[1]}
        if stated.kink:
            warn_kink(name, texts.evaluate(stated.kink, **values), stated.at_kink)
        factor, shape = texts.evaluate_finite(name, by.text, values), shape_of(point.x[0])
        text = by.shown or by.text
        if point.params.get("weight") is not None:
            factor, text = point.params["weight"] * factor, f"weight * ({text})"
        named = {"x": point.names[0], "target": point.names[1]}
        named |= texts.names_of(params)
        shapes = {word: shape_of(values[word]) for word in named}
        label = partial(texts.label, text, named, shapes, shape)
        reduction = point.params["reduction"]
        if shape_of(factor) != shape or not hasattr(factor, "dtype"):
            factor = np.broadcast_to(factor, shape)
        every, count = LETTERS[: len(shape)], _count(shape, reduction)
        return jacobian_of_losses(Factor(factor, label), every, reduction, by.scale, count)

    return register(
        Op(
            name, forward, rule, family="network", operands=("x", "target"), normalise=stated.normalise,
            formula=stated.formula, samples=stated.samples,
            aliases=stated.aliases, of_complex=stated.of_complex,
            note=stated.note, kinks=[Kink(stated.kink, stated.at_kink, stated.kink_at)] if stated.kink else (),
        )
    )  # fmt: skip


def _fitting(name: str, what: str, value: np.ndarray, losses: np.ndarray) -> np.ndarray:
    try:
        if np.broadcast_shapes(losses.shape, value.shape) == losses.shape:
            return value
    except ValueError:
        pass
    got = f"x of shape {losses.shape}, {describe(what, value)}"
    raise ShapeError(report(f"{name}: {what} does not broadcast to the shape of x", got=got))


def _constant(name: str, what: str, value: Any, x: Any) -> Any:
    """An array that is not differentiated, of the dtype of x where that is floating; or nothing."""
    if value is None:
        return None
    dtype = np.dtype(getattr(x, "dtype", np.float64))
    return constant_array(name, what, value).astype(dtype if dtype.kind == "f" else np.float64)


# -- differences ------------------------------------------------------------------------------------------------------

PAIRS = [sample((2, 3), (2, 3)), sample((3,), (3,), "none"), sample((3,), (3,), reduction="sum"), sample((), ())]


def _plain(name: str) -> Normalise:
    def normalise(x: Any, target: Any, reduction: str = "mean") -> tuple[tuple[Any, ...], Params]:
        return (x, target), {"reduction": checked_reduction(name, reduction)}

    return normalise


def _huber_arguments(
    x: Any, target: Any, reduction: str = "mean", delta: float = 1.0
) -> tuple[tuple[Any, ...], Params]:  # fmt: skip
    delta = number("huber_loss: delta", delta)
    if delta <= 0:
        raise ArgumentError(report(f"huber_loss: delta must be positive, not {delta:g}"))
    return (x, target), {"reduction": checked_reduction("huber_loss", reduction), "delta": delta}


def _smooth_l1_arguments(
    x: Any, target: Any, reduction: str = "mean", beta: float = 1.0
) -> tuple[tuple[Any, ...], Params]:  # fmt: skip
    beta = number("smooth_l1_loss: beta", beta)
    if beta < 0:
        raise ArgumentError(report(f"smooth_l1_loss: beta must not be negative, but is {beta:g}"))
    return (x, target), {"reduction": checked_reduction("smooth_l1_loss", reduction), "beta": beta}


mse = loss(
    Loss(
        "mse", ("mse_loss",), lambda x, target: (x - target) ** 2,
        lambda params: (By("x - target", 2.0), By("x - target", -2.0)), _plain("mse"),
        "∂y/∂x = 2 (x - target) / n, ∂y/∂target = -2 (x - target) / n",
        "(x - target)², then the mean over all entries, the sum or none of them.", PAIRS,
        of_complex="complex",
    )
)  # fmt: skip
l1_loss = loss(
    Loss(
        "l1_loss", ("mae", "l1"), lambda x, target: np.abs(x - target),
        lambda params: (By("sign(x - target)"), By("sign(x - target)", -1.0)), _plain("l1_loss"),
        "∂y/∂x = sign(x - target) / n, ∂y/∂target = -sign(x - target) / n",
        "|x - target|, then the mean over all entries, the sum or none of them.", PAIRS, "x == target", "0",
    )
)  # fmt: skip


def _huber(x: Any, target: Any, delta: float) -> Any:
    size = np.abs(x - target)
    return np.where(size <= delta, 0.5 * size * size, delta * (size - 0.5 * delta))


huber_loss = loss(
    Loss(
        "huber_loss", ("huber",), _huber,
        lambda params: (By("clip(x - target, -delta, delta)"), By("clip(x - target, -delta, delta)", -1.0)),
        _huber_arguments, "∂y/∂x = clip(x - target, -delta, delta) / n, ∂y/∂target the same, negative",
        "(x - target)² / 2 where |x - target| <= delta, delta (|x - target| - delta / 2) elsewhere; then the mean, the "
        "sum or none of them.",
        [*PAIRS, sample((2, 3), (2, 3), delta=0.4), sample((5,), (5,), "sum", 2.0)],
    )
)  # fmt: skip


def _smooth_l1(x: Any, target: Any, beta: float) -> Any:
    return _huber(x, target, beta) / beta if beta else np.abs(x - target)


def _by_smooth_l1(params: Params) -> Derivatives:
    text = "clip((x - target) / beta, -1.0, 1.0)" if params["beta"] else "sign(x - target)"
    return By(text), By(text, -1.0)


smooth_l1_loss = loss(
    Loss(
        "smooth_l1_loss", ("smooth_l1",), _smooth_l1, _by_smooth_l1, _smooth_l1_arguments,
        "∂y/∂x = clip((x - target) / beta, -1, 1) / n, ∂y/∂target the same, negative",
        "(x - target)² / (2 beta) where |x - target| < beta, |x - target| - beta / 2 elsewhere; then the mean, the sum "
        "or none of them.",
        [*PAIRS, sample((2, 3), (2, 3), beta=0.4), sample((5,), (5,), "sum", 0.0)], "(x == target) & (beta == 0)", "0",
        sample(np.zeros(1), np.zeros(1), beta=0.0),
    )
)  # fmt: skip

# -- probabilities ----------------------------------------------------------------------------------------------------

PROBABILITY = (0.05, 0.95)
CUT = -100.0
"""Where PyTorch cuts logarithms of probabilities off."""
LEAST = 4e-44
"""A probability whose logarithm is above that."""


def _bce_arguments(
    x: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> tuple[tuple[Any, ...], Params]:  # fmt: skip
    name = "binary_cross_entropy"
    weight = _constant(name, "weight", weight, x)
    return (x, target), {"weight": weight, "reduction": checked_reduction(name, reduction)}


def _bce(x: Any, target: Any) -> Any:
    outside = np.argwhere((np.asarray(x) < 0) | (np.asarray(x) > 1))
    if len(outside):
        entry = ",".join(map(str, outside[0]))
        headline = f"binary_cross_entropy: x{f'[{entry}]' * bool(entry)} is {x[tuple(outside[0])]:g}, no probability"
        raise ArgumentError(report(headline, fix="binary_cross_entropy_with_logits takes scores of any size"))
    with np.errstate(divide="ignore"):
        return -(target * np.maximum(np.log(x), CUT) + (1 - target) * np.maximum(np.log1p(-x), CUT))


binary_cross_entropy = loss(
    Loss(
        "binary_cross_entropy", ("bce",), _bce,
        lambda params: (
            By(
                f"(x - target) / where((x > {LEAST}) & (x < 1), x * (1 - x), 1e-12)",
                shown="(x - target) / (x * (1 - x))",
            ),
            By(f"maximum(log1p(-x), {CUT}) - maximum(log(x), {CUT})", shown="log(1 - x) - log(x)"),
        ),
        _bce_arguments, "∂y/∂x = (x - target) / (x (1 - x)) / n, ∂y/∂target = (log(1 - x) - log(x)) / n",
        "-target · log(x) - (1 - target) · log(1 - x), the logarithms cut off at -100; then the mean, the sum or none "
        "of them. PyTorch puts 1e-12 for x (1 - x) wherever that is smaller, here only where x is 0 or 1.",
        [
            sample((2, 3), (2, 3), domain=PROBABILITY), sample((3,), (3,), reduction="none", domain=PROBABILITY),
            sample((2, 3), (2, 3), np.array([1, 2, 3]), "sum", domain=PROBABILITY), sample((), (), domain=PROBABILITY),
        ],
        f"(x < {LEAST}) | (x == 1)", "(x - target) / 1e-12",
    )
)  # fmt: skip


def _logits_arguments(
    x: Any, target: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
) -> tuple[tuple[Any, ...], Params]:
    name = "binary_cross_entropy_with_logits"
    return (x, target), {
        "weight": _constant(name, "weight", weight, x), "reduction": checked_reduction(name, reduction),
        "pos_weight": _constant(name, "pos_weight", pos_weight, x),
    }  # fmt: skip


def _bce_with_logits(x: Any, target: Any, pos_weight: Any) -> Any:
    if pos_weight is None:
        return np.maximum(x, 0) - x * target + np.log1p(np.exp(-np.abs(x)))
    ours = _fitting("binary_cross_entropy_with_logits", "pos_weight", pos_weight, np.asarray(x))
    return (1 - target) * x + (1 + (ours - 1) * target) * np.logaddexp(0, -x)


def _by_logits(params: Params) -> Derivatives:
    if params["pos_weight"] is None:
        return By("sigmoid(x) - target"), By("x", -1.0)
    by_x = "1 - target - (1 + (pos_weight - 1) * target) * sigmoid(-x)"
    return By(by_x), By("(pos_weight - 1) * softplus(-x) - x")


binary_cross_entropy_with_logits = loss(
    Loss(
        "binary_cross_entropy_with_logits", ("bce_with_logits",), _bce_with_logits, _by_logits, _logits_arguments,
        "∂y/∂x = (sigmoid(x) - target) / n, ∂y/∂target = -x / n",
        "-target · log sigmoid(x) - (1 - target) · log sigmoid(-x), stable, the first part times pos_weight; then the "
        "mean, the sum or none of them.",
        [
            sample((2, 3), (2, 3)), sample((3,), (3,), reduction="none"), sample((), ()),
            sample((2, 3), (2, 3), np.array([1, 2, 3]), "sum", np.array([2, 1, 3])),
            sample((2, 3), (2, 3), domain=(-30.0, 30.0)),
        ],
    )
)  # fmt: skip


def _kl_arguments(
    x: Any, target: Any, reduction: str = "mean", log_target: bool = False
) -> tuple[tuple[Any, ...], Params]:
    reduction = checked_reduction("kl_div", reduction, ("mean", "batchmean", "sum", "none"))
    return (x, target), {"reduction": reduction, "log_target": bool(log_target)}


def _kl_div(x: Any, target: Any, log_target: bool) -> Any:
    if log_target:
        return np.exp(target) * (target - x)
    if np.any(np.asarray(target) < 0):
        raise ArgumentError(report("kl_div: the target holds probabilities below 0", fix="log_target=True?"))
    return target * (np.log(np.where(target > 0, target, 1.0)) - x)


def _by_kl(params: Params) -> Derivatives:
    if params["log_target"]:
        return By("exp(target)", -1.0), By("exp(target) * (1 + target - x)")
    return By("target", -1.0), By("log(target) + 1 - x")


kl_div = loss(
    Loss(
        "kl_div", ("kl_divergence",), _kl_div, _by_kl, _kl_arguments,
        "∂y/∂x = -target / n, ∂y/∂target = (log(target) + 1 - x) / n",
        "target · (log(target) - x), x being a logarithm of probabilities; with log_target the target is one, too. "
        "Then the mean over all entries, batchmean (the sum over the length of the first axis), the sum or none of "
        "them. By a target of 0 the derivative is infinite; PyTorch says NaN.",
        [
            sample((2, 3), (2, 3), domain=PROBABILITY), sample((3,), (3,), reduction="none", domain=PROBABILITY),
            sample((2, 3), (2, 3), "batchmean", domain=PROBABILITY), sample((2, 3), (2, 3), "sum", True),
        ],
    )
)  # fmt: skip
