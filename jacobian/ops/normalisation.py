"""Normalisations: mean 0 and variance 1 along some axes, then a scale and a shift."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.notation import digits
from jacobian.kernel.pattern import Shape
from jacobian.kernel.term import Array, Factor
from jacobian.ops import texts
from jacobian.ops.activations import number
from jacobian.ops.families import Einsum, moved
from jacobian.ops.registry import Normalise, Op, Params, Point, Sample, describe, register, sample
from jacobian.ops.softmaxes import sides
from jacobian.ops.terms import constant_array, given, labelled, shape_of, summed

Axes = tuple[int, ...]


class View(NamedTuple):
    """How a normalisation sees its input: in which shape, over which axes, and which axes weight and bias have."""

    shape: Shape
    axes: Axes
    own: Axes
    centred: bool = True

    @property
    def over(self) -> int:
        """Over how many entries a mean is taken."""
        return prod(self.shape[axis] for axis in self.axes)

    @property
    def spread(self) -> Shape:
        """The shape in which weight and bias broadcast: their axes where they belong, 1 elsewhere."""
        return tuple(size if axis in self.own else 1 for axis, size in enumerate(self.shape))


Seen = Callable[[Shape, Params], View]
"""What a normalisation makes of a shape."""

VIEWS: dict[str, Seen] = {}
"""How each normalisation sees its input, by name, for whoever writes it out in smaller steps."""


# -- the numbers ------------------------------------------------------------------------------------------------------


def _inverse_deviation(x: Array, view: View, params: Params) -> Array:
    """1/σ, with the axes that are normalised over kept."""
    eps = params["eps"]
    if params.get("statistics") is not None:
        return np.reshape(1.0 / np.sqrt(params["statistics"][1] + eps), view.spread)
    if view.centred:
        return 1.0 / np.sqrt(np.var(x, axis=view.axes, keepdims=True) + eps)
    return 1.0 / np.sqrt(np.mean(x * x, axis=view.axes, keepdims=True) + eps)


def _normalised(x: Array, view: View, params: Params) -> Array:
    """x̂."""
    if params.get("statistics") is not None:
        x = x - np.reshape(params["statistics"][0], view.spread)
    elif view.centred:
        x = x - np.mean(x, axis=view.axes, keepdims=True)
    return x * _inverse_deviation(x, view, params)


def _check(name: str, x: Any, given: dict[str, Any], shape: Shape) -> None:
    """Weight and bias are numbers, or have the shape they need."""
    for what, value in given.items():
        if np.ndim(value) and np.shape(value) != shape:
            got = f"{describe('x', x)}, {describe(what, value)}"
            headline = f"{name}: {what} must have the shape {shape}, not {np.shape(value)}"
            raise ShapeError(report(headline, got=got))


# -- the family -------------------------------------------------------------------------------------------------------


def normalisation(
    name: str, seen: Seen, normalise: Normalise, samples: Sequence[Sample], formula: str, note: str,
    channels: bool = False,
) -> Op:  # fmt: skip
    """A normalisation of what `seen` makes of the input.

    Weight and bias are numbers, or have their axes in that view; where they have `channels`, axis 1 of the input.
    """
    VIEWS[name] = seen

    def forward(x: np.ndarray, weight: Any = 1.0, bias: Any = 0.0, **params: Any) -> Any:
        view = seen(x.shape, params)
        needed = (x.shape[1],) if channels else tuple(view.shape[axis] for axis in view.own)
        _check(name, x, {"weight": weight, "bias": bias}, needed)
        if not x.size:
            return x.copy()
        scale, shift = (np.reshape(value, view.spread) if np.ndim(value) else value for value in (weight, bias))
        return np.reshape(_normalised(np.reshape(x, view.shape), view, params) * scale + shift, x.shape)

    def rule(point: Point, k: int) -> Jacobian:
        shape, into = shape_of(point.x[0]), shape_of(point.x[k])
        view = seen(shape, point.params)
        if not prod(shape):
            return Jacobian.zero(shape, into)
        if k == 2:
            spread = view.spread if into else (1,) * len(view.shape)
            return moved(lambda at: np.broadcast_to(at.reshape(spread), view.shape).reshape(shape), into, views=False)
        x = np.reshape(point.x[0], view.shape) if view.shape != shape else point.x[0]
        J = _of_input(point, x, view) if k == 0 else _of_weight(point, x, view)
        if view.shape == shape:
            return J
        back = moved(lambda at: at.reshape(shape), view.shape, views=True)
        there = moved(lambda at: at.reshape(J.in_shape), into, views=True)
        return back.after(J).after(there)

    return register(
        Op(
            name, forward, rule, normalise=normalise, operands=("x", "weight", "bias"), family="network",
            formula=formula, note=note, samples=samples, of_complex="refused",
        )
    )  # fmt: skip


def _hat(point: Point, view: View) -> str:
    """What formulas call the normalised input: the output, where there is neither weight nor bias."""
    if len(point.x) == 1 and view.shape == shape_of(point.y):
        return point.out_name
    return f"{point.names[0]}\N{COMBINING CIRCUMFLEX ACCENT}"


def _deviation(point: Point, view: View) -> str:
    """Its standard deviation as they write it; a name for it where it is seen in another shape, or is given."""
    name, rank = point.names[0], len(view.shape)
    if view.shape != shape_of(point.x[0]) or point.params.get("statistics") is not None:
        return f"deviation({name})"
    whole = ("var", name) if view.centred else ("mean", f"{name}**2")
    over = texts.over(*whole, view.axes, rank).partition("[")[0]
    return f"sqrt({texts.at(over, range(rank - len(view.axes)))} + {digits(point.params['eps'])})"


def _of_weight(point: Point, x: Array, view: View) -> Jacobian:
    """x̂, diagonal along the axes of the weight."""
    out, _ = sides(len(view.shape), ())
    number_only = not shape_of(point.x[1])
    own, labels = ((), ()) if number_only else (view.own, tuple(out[axis] for axis in view.own))
    factor = Factor(_normalised(x, view, point.params), _hat(point, view))
    return labelled(Einsum((out, labels, out)), (factor,), tuple(view.shape[axis] for axis in own))


def _of_input(point: Point, x: Array, view: View) -> Jacobian:
    """`γ/σ (δ - 1/n - x̂ x̂ / n)`: three terms, diagonal along every axis that is not normalised over.

    Without a mean there are two, with given statistics only one.
    """
    shape, params = view.shape, point.params
    fixed = params.get("statistics") is not None
    out, into = sides(len(shape), () if fixed else view.axes)
    kept = view.own if fixed else tuple(axis for axis in range(len(shape)) if axis not in view.axes)
    inverse = np.reshape(_inverse_deviation(x, view, params), tuple(shape[axis] for axis in kept))
    factors, labels = [Factor(inverse, f"1 / {_deviation(point, view)}")], [tuple(out[axis] for axis in kept)]
    if len(point.x) > 1:
        weight = np.asarray(point.x[1]) if isinstance(point.x[1], int | float) else point.x[1]
        own = view.own if shape_of(weight) else ()
        sizes = tuple(shape[axis] for axis in own)
        label = point.names[1] if sizes == shape_of(weight) else texts.at_flat(point.names[1], sizes)
        factors.insert(0, Factor(np.reshape(weight, sizes) if own else weight, label))
        labels.insert(0, tuple(out[axis] for axis in own))
    itself = labelled(Einsum((*labels, out, out)), tuple(factors), shape)
    if fixed:
        return itself
    hat = Factor(_normalised(x, view, params), _hat(point, view))
    spread = labelled(Einsum((*labels, out, into, into, out)), (*factors, hat, hat), shape, -1 / view.over)
    if not view.centred:
        return summed(itself, spread)
    mean = labelled(Einsum((*labels, into, out)), tuple(factors), shape, -1 / view.over, shape)
    return summed(itself, mean, spread)


def _operands(x: Any, weight: Any, bias: Any) -> tuple[Any, ...]:
    """A bias without a weight has the weight 1."""
    return given(x, 1.0 if weight is None and bias is not None else weight, bias)


FORMULA = (
    "∂y[i]/∂x[k] = γ[i]/σ (δ[i,k] - 1/n - x̂[i] x̂[k] / n), ∂y[i]/∂γ[i] = x̂[i], ∂y[i]/∂β[i] = 1, where γ is the weight, "
    "β the bias and x̂ = (x - mean)/σ"
)

# -- over the last axes -----------------------------------------------------------------------------------------------


def _last_axes(name: str, x: Any, normalized_shape: Any) -> Shape:
    """The shape of the last axes, which are normalised over; the last one unless told otherwise."""
    shape = shape_of(x)
    if normalized_shape is None:
        normalized_shape = shape[-1:]
    if isinstance(normalized_shape, int | np.integer):
        normalized_shape = (normalized_shape,)
    if not isinstance(normalized_shape, tuple | list) or not all(
        isinstance(size, int | np.integer) for size in normalized_shape
    ):
        what = getattr(normalized_shape, "shape", None)
        got = f"an array of shape {what}" if what is not None else repr(normalized_shape)
        headline = f"{name}: normalized_shape must be the sizes of the last axes of x, not {got}"
        raise ArgumentError(report(headline, fix=f"{name}(x, x.shape[-1:], weight)"))
    last = tuple(int(size) for size in normalized_shape)
    if not last or shape[len(shape) - len(last) :] != last or len(last) > len(shape):
        headline = f"{name}: normalized_shape {last} is not the shape of the last axes of x"
        raise ShapeError(report(headline, got=f"x of shape {shape}"))
    return last


def _seen_from_the_end(centred: bool) -> Seen:
    def seen(shape: Shape, params: Params) -> View:
        axes = tuple(range(len(shape) - len(params["normalized_shape"]), len(shape)))
        return View(shape, axes, axes, centred)

    return seen


def _layer_norm_arguments(
    x: Any, normalized_shape: Any = None, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> tuple[tuple[Any, ...], Params]:
    last = _last_axes("layer_norm", x, normalized_shape)
    return _operands(x, weight, bias), {"normalized_shape": last, "eps": number("layer_norm: eps", eps)}


layer_norm = normalisation(
    "layer_norm", _seen_from_the_end(True), _layer_norm_arguments,
    [
        sample((2, 4), 4, (4,), (4,)), sample((3,)), sample((2, 2, 3), [2, 3], (2, 3)), sample((2, 3), 3, 2.0, (3,)),
        sample((2, 3), None, None, (3,), eps=0.1),
    ],
    FORMULA,
    "(x - mean) / sqrt(variance + eps) along the last axes, whose sizes are normalized_shape (the last axis unless "
    "given), times weight plus bias, which have these axes.",
)  # fmt: skip


def _rms_norm_arguments(
    x: Any, normalized_shape: Any = None, weight: Any = None, eps: float | None = None
) -> tuple[tuple[Any, ...], Params]:
    dtype = np.dtype(getattr(x, "dtype", np.float64))
    least = float(np.finfo(dtype if dtype.kind == "f" else np.float64).eps)
    return given(x, weight), {
        "normalized_shape": _last_axes("rms_norm", x, normalized_shape),
        "eps": least if eps is None else number("rms_norm: eps", eps),
    }


rms_norm = normalisation(
    "rms_norm", _seen_from_the_end(False), _rms_norm_arguments,
    [sample((2, 4), 4, (4,)), sample((3,)), sample((2, 2, 3), [2, 3], (2, 3), 0.1), sample((2, 1), 1, eps=0.5)],
    "∂y[i]/∂x[k] = γ[i]/σ (δ[i,k] - x̂[i] x̂[k] / n), ∂y[i]/∂γ[i] = x̂[i], where γ is the weight and x̂ = x/σ",
    "x / σ, σ = sqrt(mean(x²) + eps), along the last axes, whose sizes are normalized_shape (the last axis unless "
    "given), times weight; eps is that of the dtype unless given.",
)  # fmt: skip

# -- channels ---------------------------------------------------------------------------------------------------------


def _statistics(
    name: str, x: Any, mean: Any, variance: Any, training: bool, view: View
) -> tuple[np.ndarray, np.ndarray] | None:
    """The running statistics that are to be used; None where those of x are."""
    if training or (mean is None and variance is None):
        if view.over == 1 and 0 not in view.shape:
            headline = f"{name}: a single value has no variance, each mean must be over at least two"
            raise ArgumentError(report(headline, got=f"x of shape {shape_of(x)}"))
        return None
    if mean is None or variance is None:
        raise ArgumentError(report(f"{name}: running_mean and running_var must be given together"))
    found = (constant_array(name, "running_mean", mean), constant_array(name, "running_var", variance))
    channels = shape_of(x)[1]
    for what, value in zip(("running_mean", "running_var"), found, strict=True):
        if value.shape != (channels,):
            headline = f"{name}: {what} must have the shape ({channels},), not {value.shape}"
            raise ShapeError(report(headline, got=f"x of shape {shape_of(x)}"))
    if (found[1] < 0).any():
        raise ArgumentError(report(f"{name}: running_var holds numbers below 0"))
    dtype = np.dtype(getattr(x, "dtype", np.float64))
    if dtype.kind != "f":
        return found
    return found[0].astype(dtype), found[1].astype(dtype)


def _has_channels(name: str, x: Any, least: int) -> None:
    if len(shape_of(x)) < least:
        wanted = "x[n,c,…]" if least == 2 else "x[n,c,h,…]"
        raise ShapeError(report(f"{name}: {wanted} must have at least {least} axes", got=f"x of shape {shape_of(x)}"))


def _seen_by_channel(shape: Shape, params: Params) -> View:
    return View(shape, tuple(axis for axis in range(len(shape)) if axis != 1), (1,))


def _batch_norm_arguments(
    x: Any, running_mean: Any = None, running_var: Any = None, weight: Any = None, bias: Any = None,
    training: bool = False, *, eps: float = 1e-5,
) -> tuple[tuple[Any, ...], Params]:  # fmt: skip
    _has_channels("batch_norm", x, 2)
    statistics = _statistics("batch_norm", x, running_mean, running_var, training, _seen_by_channel(shape_of(x), {}))
    return _operands(x, weight, bias), {"eps": number("batch_norm: eps", eps), "statistics": statistics}


MEANS, VARIANCES = np.array([1, -1]), np.array([2, 3])
batch_norm = normalisation(
    "batch_norm", _seen_by_channel, _batch_norm_arguments,
    [
        sample((4, 2), None, None, (2,), (2,)), sample((3, 2)), sample((2, 3, 2, 2), None, None, (3,), (3,)),
        sample((3, 1), weight=0.5), sample((4, 2), MEANS, VARIANCES, (2,), (2,)), sample((1, 2, 3), MEANS, VARIANCES),
        sample((3, 2), MEANS, VARIANCES, training=True),
    ],
    FORMULA,
    "(x - mean) / sqrt(variance + eps) along every axis but axis 1, that of the channels, times weight plus bias. The "
    "statistics are those of x when training or when no others are given; running_mean and running_var are constants "
    "and never changed, which PyTorch does when training.",
)  # fmt: skip


def _seen_by_instance(shape: Shape, params: Params) -> View:
    return View(shape, tuple(range(2, len(shape))), (1,))


def _instance_norm_arguments(
    x: Any, running_mean: Any = None, running_var: Any = None, weight: Any = None, bias: Any = None,
    use_input_stats: bool = True, *, eps: float = 1e-5,
) -> tuple[tuple[Any, ...], Params]:  # fmt: skip
    _has_channels("instance_norm", x, 3)
    statistics = _statistics(
        "instance_norm", x, running_mean, running_var, use_input_stats, _seen_by_instance(shape_of(x), {})
    )
    return _operands(x, weight, bias), {"eps": number("instance_norm: eps", eps), "statistics": statistics}


instance_norm = normalisation(
    "instance_norm", _seen_by_instance, _instance_norm_arguments,
    [
        sample((2, 2, 3), None, None, (2,), (2,)), sample((1, 2, 2, 2)), sample((2, 1, 4), weight=0.5),
        sample((2, 2, 3), MEANS, VARIANCES, (2,), use_input_stats=False),
    ],
    FORMULA,
    "(x - mean) / sqrt(variance + eps) along every axis but the first two, those of batch and channels, times weight "
    "plus bias, which have the channels. The statistics are those of x, or running_mean and running_var where "
    "use_input_stats is false; these are constants and never changed.",
)  # fmt: skip


def _seen_in_groups(shape: Shape, params: Params) -> View:
    groups = params["num_groups"]
    split = (shape[0], groups, shape[1] // groups, *shape[2:])
    return View(split, tuple(range(2, len(split))), (1, 2))


def _group_norm_arguments(
    x: Any, num_groups: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> tuple[tuple[Any, ...], Params]:
    _has_channels("group_norm", x, 2)
    if not isinstance(num_groups, int | np.integer) or num_groups < 1:
        raise ArgumentError(report(f"group_norm: num_groups must be a whole number of at least 1, not {num_groups!r}"))
    channels = shape_of(x)[1]
    if channels % num_groups:
        headline = f"group_norm: {channels} channels cannot be divided into {num_groups} groups"
        raise ShapeError(report(headline, got=f"x of shape {shape_of(x)}"))
    return _operands(x, weight, bias), {"num_groups": int(num_groups), "eps": number("group_norm: eps", eps)}


group_norm = normalisation(
    "group_norm", _seen_in_groups, _group_norm_arguments,
    [
        sample((2, 4), 2, (4,), (4,)), sample((1, 4, 3), 2), sample((2, 2, 3), 2, (2,)),
        sample((1, 6, 2, 2), 3, (6,), (6,)), sample((2, 3, 2), 1, 0.5, (3,)),
    ],
    FORMULA + ", within each group",
    "the channels along axis 1 are divided into num_groups; (x - mean) / sqrt(variance + eps) over each group and all "
    "further axes, times weight plus bias, which have the channels.",
    channels=True,
)  # fmt: skip
