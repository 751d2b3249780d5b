"""Medians, quantiles and percentiles: entries of the sorted array are looked up, and neighbours are averaged."""

from __future__ import annotations

from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, report
from jacobian.kernel.expression import Jacobian
from jacobian.ops.families import along, composite, reduced_axes
from jacobian.ops.kinks import warn_kink
from jacobian.ops.registry import SAME, Kink, Op, Point, refuse_out, register, sample
from jacobian.ops.terms import shape_of
from jacobian.ops.values import dtype_of, floating, given, is_traced, look, refuse_complex, refuse_traced

# -- entries of the sorted array --------------------------------------------------------------------------------------


def _at_last_axis(array: Any, k: np.ndarray) -> Any:
    """Entries k of the last axis: the same ones for every line, or a row of them for each."""
    return array[..., k] if k.ndim == 1 else np.take_along_axis(array, k, -1)


def _order_statistics(x: Any, k: np.ndarray, of: str) -> Any:
    """The entries as if the last axis were sorted; a line that holds NaN gives NaN, as in NumPy."""
    ordered = np.sort(x, axis=-1)
    return np.where(np.isnan(ordered[..., -1:]), ordered[..., -1:], _at_last_axis(ordered, k))


def _order_statistics_rule(point: Point, j: int) -> Jacobian:
    """An input axis that is a table: where the sorted entries came from."""
    x, k, shape = point.x[0], point.params["k"], shape_of(point.x[0])
    ordered, size = np.sort(x, axis=-1), shape[-1]
    below, above = _at_last_axis(ordered, np.maximum(k - 1, 0)), _at_last_axis(ordered, np.minimum(k + 1, size - 1))
    tied = ((point.y == below) & (k > 0)) | ((point.y == above) & (k < size - 1))
    warn_kink(point.params["of"], tied, "the first of the equal entries in the stable order")
    order = np.argsort(x, axis=-1, kind="stable")
    return along(_at_last_axis(order, k), len(shape) - 1, shape, shape_of(point.y))


order_statistics = register(
    Op(
        "order_statistics", _order_statistics, _order_statistics_rule, family="layout",
        normalise=lambda x, k, of="order_statistics": ((x,), {"k": np.asarray(k), "of": of}),
        formula="an input axis table[k], table = argsort(x)",
        note="the k-th smallest entries of the last axis.",
        kinks=[
            Kink(
                "entries are equal", "the first in the stable order", sample(np.array([1.0, 1.0]), np.array([0])),
                torch={"torch.sort(x, stable=True).values[:1]": SAME, "torch.median(x)": [0.5, 0.5]},
            ),
        ],
        samples=[
            sample((5,), np.array([0, 3])), sample((2, 4), np.array([1])), sample((2, 3), np.array([[0, 2], [1, 1]])),
        ],
    )
)  # fmt: skip


def _lines(a: Any, axis: Any, name: str) -> tuple[Any, tuple[int, ...]]:
    """The reduced axes as one last axis, and which ones they are."""
    shape = shape_of(a)
    axes = reduced_axes(axis, len(shape), name)
    rest = [at for at in range(len(shape)) if at not in axes]
    moved = np.transpose(a, (*rest, *axes))
    count = int(np.prod([shape[at] for at in axes], dtype=int))
    if count == 0:
        raise ArgumentError(report(f"{name}: there are no entries along the axes", got=f"an array of shape {shape}"))
    return np.reshape(moved, (*(shape[at] for at in rest), count)), axes


# -- where a quantile lies --------------------------------------------------------------------------------------------

CONTINUOUS = {
    "linear": (1.0, 1.0), "interpolated_inverted_cdf": (0.0, 1.0), "hazen": (0.5, 0.5), "weibull": (0.0, 0.0),
    "median_unbiased": (1 / 3, 1 / 3), "normal_unbiased": (3 / 8, 3 / 8),
}  # fmt: skip
"""The numbers α and β of the methods that are continuous, as Hyndman and Fan (1996) call them."""


def _place(n: int, q: np.ndarray, method: Any) -> np.ndarray:
    """Where among n sorted entries the quantiles lie: asked of NumPy, with the positions in the place of entries."""
    return np.asarray(np.quantile(np.arange(float(n)), q, method=method), float) if n else np.zeros(q.shape)


def _speed(n: int, q: np.ndarray, method: str) -> np.ndarray:
    """How fast that place moves with the quantile: not at all beyond the first and the last entry."""
    if method not in CONTINUOUS:
        return np.zeros(q.shape)
    alpha, beta = CONTINUOUS[method]
    speed = n + 1 - alpha - beta
    place = speed * q + alpha - 1
    return np.where((place < 0) | (place > n - 1), 0.0, speed)


def _for_each_count(function: Any, counts: Any, q: np.ndarray, method: str) -> np.ndarray:
    """`function` for one number of entries, or for each line's own number: then lines first, quantiles last."""
    if isinstance(counts, int):
        return np.asarray(function(counts, q, method))
    found = np.zeros((*counts.shape, q.size))
    for n in np.unique(counts):
        found[counts == n] = function(int(n), q, method)
    return found


def _between(lines: Any, q: Any, counts: Any, method: str, name: str, dtype: Any) -> Any:
    """The sorted entry below the place and the one above it, weighted by how near they are."""
    seen = look(q)
    place = _for_each_count(_place, counts, seen, method)
    low = np.floor(place).astype(int)
    part: Any = place - low
    high = low + (part > 0)
    if is_traced(q):
        speed = _for_each_count(_speed, counts, seen, method)
        warn_kink(name, (part == 0) & (speed != 0), "the slope above the entry")
        high = np.minimum(low + 1, shape_of(lines)[-1] - 1 if isinstance(counts, int) else counts[..., None] - 1)
        part = part.astype(dtype) + speed.astype(dtype) * (q - seen)
    below = order_statistics(lines, low, name)
    if not is_traced(q) and not part.any():
        return below
    part = part if is_traced(part) else part.astype(dtype)
    return (1 - part) * below + part * order_statistics(lines, high, name)


def _by_weights(lines: Any, q: np.ndarray, weights: np.ndarray, name: str) -> Any:
    """The first entry at which the weights of the sorted entries have reached the quantile of their sum."""
    order = np.argsort(look(lines), axis=-1, kind="stable")
    reached = np.cumsum(np.take_along_axis(weights, order, -1), axis=-1)
    reached = reached / reached[..., -1:]
    reached[reached == 0] = -1
    k = np.zeros((*reached.shape[:-1], q.size), int)
    for line in np.ndindex(reached.shape[:-1]):
        k[line] = np.minimum(np.searchsorted(reached[line], q, side="left"), reached.shape[-1] - 1)
    return order_statistics(lines, k, name)


# -- the functions --------------------------------------------------------------------------------------------------


def quantile_of(
    name: str, a: Any, q: Any, axis: Any, method: str, keepdims: Any, weights: Any, *, skip_nan: bool = False
) -> Any:
    """`np.quantile`, and `np.nanquantile` where NaN is skipped."""
    refuse_traced(name, fix="weights of plain numbers", weights=weights)
    a = floating(a)
    refuse_complex(name, a=a)
    dtype = a.dtype if isinstance(q, int | float) else dtype_of(a, floating(q))
    q = floating(q)
    if np.any((q < 0) | (q > 1)):
        raise ArgumentError(report(f"{name}: quantiles lie between 0 and 1", got=str(look(q))))
    if method not in CONTINUOUS:
        _known(method, name)
    lines, axes = _lines(a, axis, name)
    flat = np.reshape(q, (-1,))
    counts: Any = shape_of(lines)[-1]
    missing = np.isnan(lines) if skip_nan else None
    if missing is not None and missing.any():
        lines, counts = np.where(missing, np.inf, lines), np.asarray(np.sum(~missing, axis=-1))
    if weights is not None:
        found = _by_weights(lines, look(flat), _line_weights(a, weights, axes, axis, missing, method, name), name)
    else:
        found = _between(lines, flat, counts, method, name, dtype)
    if not isinstance(counts, int) and not counts.all():
        found = np.where(counts[..., None] == 0, np.nan, found)
    if skip_nan and axis is not None:
        found = np.copy(found, order="C")  # NumPy has the quantiles of a line side by side in memory here
    if np.ndim(q) == 0 and weights is None and not (given(keepdims) and keepdims):
        return found[0] if np.ndim(found) == 1 else found[..., 0]
    kept = [1 if at in axes else size for at, size in enumerate(shape_of(a))]
    shape = kept if given(keepdims) and keepdims else list(shape_of(lines)[:-1])
    return np.reshape(np.moveaxis(found, -1, 0), (*shape_of(q), *shape))


def _known(method: str, name: str) -> None:
    try:
        np.quantile(np.zeros(1), 0.5, method=method)  # type: ignore[call-overload]
    except (ValueError, TypeError):
        raise ArgumentError(report(f"{name}: there is no method {method!r}", known=", ".join(CONTINUOUS))) from None


def _line_weights(
    a: Any, weights: Any, axes: tuple[int, ...], axis: Any, missing: Any, method: str, name: str
) -> np.ndarray:
    if method != "inverted_cdf":
        raise ArgumentError(report(f"{name}: weights= goes with method='inverted_cdf' only, as in NumPy"))
    weights = np.asarray(weights, float)
    if weights.shape != shape_of(a):
        sizes = [1] * np.ndim(a)
        given_axes = (axis,) if np.ndim(axis) == 0 else tuple(axis)
        for size, at in zip(weights.shape, given_axes, strict=True):
            sizes[at] = size
        order = np.argsort([at % np.ndim(a) for at in given_axes])
        weights = np.transpose(weights, order).reshape(sizes)
    lines, _ = _lines(np.broadcast_to(weights, shape_of(a)), axes, name)
    return np.array(lines if missing is None else np.where(missing, 0.0, lines))


def _quantile_like(name: str, *, percent: bool, skip_nan: bool) -> Any:
    def function(
        a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, method: str = "linear",
        keepdims: Any = False, *, weights: Any = None, interpolation: Any = None,
    ) -> Any:  # fmt: skip
        refuse_out(name, out)
        method = method if interpolation is None else interpolation
        if percent:
            q = q / 100 if isinstance(q, int | float) else floating(q) / 100
        return quantile_of(name, a, q, axis, method, keepdims, weights, skip_nan=skip_nan)

    return function


def _median_like(name: str, *, skip_nan: bool) -> Any:
    def function(
        a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False
    ) -> Any:
        refuse_out(name, out)
        return quantile_of(name, a, 0.5, axis, "linear", keepdims, None, skip_nan=skip_nan)

    return function


METHODS = (
    "inverted_cdf averaged_inverted_cdf closest_observation interpolated_inverted_cdf hazen weibull linear "
    "median_unbiased normal_unbiased lower higher midpoint nearest"
).split()
TIES = "A quantile is an entry of the sorted array or lies between two."


def _at_entries(half: float) -> list[Kink]:
    point = sample(np.array([1.0, 2.0, 4.0]), np.array([half]))
    return [Kink("q hits an entry and is differentiated by", "the slope above the entry", point)]


MEDIANS = [
    sample((5,)), sample((4,)), sample((2, 3)), sample((2, 3), axis=0), sample((3, 4), axis=-1, keepdims=True),
    sample((2, 3, 2), axis=(0, -1)), sample((1,)), sample(()),
]  # fmt: skip
median = composite("median", _median_like("median", skip_nan=False), answers=(np.median,), samples=MEDIANS, note=TIES)
nanmedian = composite(
    "nanmedian", _median_like("nanmedian", skip_nan=True), answers=(np.nanmedian,), samples=MEDIANS, note=TIES
)
QUANTILES = [
    *(sample((5,), 0.3, method=method) for method in METHODS), sample((2, 4), [0.2, 0.9], axis=1),
    sample((5,), (), domain=(0.1, 0.24)), sample((2, 3), 0.4, axis=0, keepdims=True), sample((4,), 0.0),
    sample((2, 3, 2), [0.1, 1.0], axis=(0, 2)), sample((4,), (2,), method="hazen", domain=(0.3, 0.35)),
    sample((4,), 0.6, weights=[1, 2, 3, 4], method="inverted_cdf"), sample((4,), 1),
]  # fmt: skip
PERCENTILES = [
    sample((5,), 30), sample((2, 4), [20.0, 90.0], axis=1), sample((4,), 45.0, method="hazen"),
    sample((2, 3), 25, axis=0, keepdims=True),
]  # fmt: skip
quantile = composite(
    "quantile", _quantile_like("quantile", percent=False, skip_nan=False), answers=(np.quantile,), note=TIES,
    kinks=_at_entries(0.5),
    samples=[*QUANTILES, sample((2, 3), 0.5, axis=1, weights=[1, 2, 1], method="inverted_cdf")],
)  # fmt: skip
nanquantile = composite(
    "nanquantile", _quantile_like("nanquantile", percent=False, skip_nan=True), answers=(np.nanquantile,), note=TIES,
    kinks=_at_entries(0.5),
    samples=QUANTILES,
)  # fmt: skip
percentile = composite(
    "percentile", _quantile_like("percentile", percent=True, skip_nan=False), answers=(np.percentile,), note=TIES,
    kinks=_at_entries(50.0),
    samples=PERCENTILES,
)  # fmt: skip
nanpercentile = composite(
    "nanpercentile", _quantile_like("nanpercentile", percent=True, skip_nan=True), answers=(np.nanpercentile,),
    note=TIES, samples=PERCENTILES, kinks=_at_entries(50.0),
)  # fmt: skip
