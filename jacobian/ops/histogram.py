"""Histograms: linear in the weights, each of which is written where its bin is. Positions decide the bins only."""

from __future__ import annotations

from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, report
from jacobian.ops.families import composite
from jacobian.ops.kinks import warn_kink
from jacobian.ops.registry import Kink, sample
from jacobian.ops.values import array_of, floating, is_traced, look, refuse_traced

SMOOTH = "a smooth count: np.exp(-(((x[:, None] - centres) / width) ** 2)).sum(axis=0)"
JUMPS = "but a count jumps from bin to bin and has the derivative 0"


def _refuse(name: str, bins: Any, limits: Any, **positions: Any) -> None:
    refuse_traced(name, SMOOTH, JUMPS, **positions)
    refuse_traced(name, SMOOTH, JUMPS, bins=bins, range=limits)


def _counted(places: np.ndarray, inside: np.ndarray, count: int, weights: Any) -> Any:
    """The weights of each bin, or how many entries there are."""
    if weights is None:
        return np.bincount(places[inside], minlength=count)
    chosen = np.ravel(array_of(weights))[inside]
    if chosen.dtype.kind == "c":
        real, imaginary = (np.bincount(places[inside], part, count) for part in (np.real(chosen), np.imag(chosen)))
        return real + 1j * imaginary
    return np.bincount(places[inside], chosen, count)


def _histogram(
    a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None  # noqa: A002
) -> tuple[Any, Any]:  # fmt: skip
    _refuse("histogram", bins, range, a=a)
    positions = np.ravel(np.asarray(a))
    if weights is not None and np.shape(weights) != np.shape(a):
        raise ArgumentError(
            report(f"histogram: {np.shape(a)} positions have {np.shape(weights)} weights", fix="one weight for each")
        )
    edges = np.histogram_bin_edges(positions, bins, range, None if weights is None else look(weights))
    places = np.asarray(_bins(positions, edges))
    found = _counted(places, (places >= 0) & (places < len(edges) - 1), len(edges) - 1, weights)
    if density:
        found = found / np.diff(edges) / np.sum(found)
    return found, edges


def _bins(positions: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The number of the bin; the last one holds its right edge. Outside: -1, or one too many."""
    return np.asarray(np.searchsorted(edges, positions, side="right") - 1 - (positions == edges[-1]))


def _histogramdd(
    sample: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None  # noqa: A002
) -> tuple[Any, Any]:  # fmt: skip
    _refuse("histogramdd", bins, range, sample=sample)
    positions = sample if isinstance(sample, np.ndarray) and sample.ndim == 2 else np.atleast_2d(sample).T
    _, edges = np.histogramdd(positions, bins, range)
    sizes = tuple(len(edge) + 1 for edge in edges)  # with what lies outside, on either side
    places = [_bins(line, edge) + 1 for line, edge in zip(positions.T, edges, strict=True)]
    flat = np.ravel_multi_index(places, sizes)
    counted = _counted(flat, np.ones(len(flat), bool), int(np.prod(sizes)), weights)
    found = (np.reshape(counted, sizes) * 1.0)[(slice(1, -1),) * len(sizes)]
    if density:
        total = np.sum(found)
        for axis, edge in enumerate(edges):
            found = found / np.diff(edge).reshape((-1,) + (1,) * (len(edges) - axis - 1))
        found = found / total
    return found, edges


def _histogram2d(
    x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None  # noqa: A002
) -> tuple[Any, Any, Any]:  # fmt: skip
    _refuse("histogram2d", bins, range, x=x, y=y)
    try:
        pair = len(bins) == 2
    except TypeError:
        pair = True
    both = bins if pair else [np.asarray(bins)] * 2
    found, edges = _histogramdd(np.stack([np.asarray(x), np.asarray(y)], axis=1), both, range, density, weights)
    return found, edges[0], edges[1]


def _histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:  # noqa: A002
    """Evenly between the least and the largest position; how many there are is constant."""
    refuse_traced("histogram_bin_edges", bins=bins)
    array = np.ravel(array_of(a))
    edges = np.histogram_bin_edges(look(array), bins, look(range) if is_traced(range) else range, _plain(weights))
    if np.ndim(bins) == 1:
        return edges
    if range is None:
        if not np.size(array):
            return edges
        low, high = np.min(floating(array)), np.max(floating(array))
    else:
        low, high = range
    warn_kink("histogram_bin_edges", np.asarray(low == high), "the edges around a single position")
    if np.any(low == high):
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, len(edges)) if is_traced(low) or is_traced(high) else edges


def _plain(weights: Any) -> Any:
    return None if weights is None else look(weights)


PLACES = [0.1, 0.5, 0.9, 0.55, 2.0]
PAIRS = np.array([[0, 1], [2, 2], [1, 0], [2, 0], [5, 5]])
WEIGHTED = "linear in the weights; the positions must be plain numbers."
composite(
    "histogram", _histogram, answers=(np.histogram,), note=WEIGHTED,
    samples=[
        sample(PLACES, 3, None, None, (5,)), sample(PLACES, [0.0, 0.5, 1.0], None, True, (5,), domain=(0.5, 2.0)),
        sample(PLACES, 4, (0.2, 0.95), False, (5,)), sample(PLACES, 2),
    ],
)  # fmt: skip
composite(
    "histogram2d", _histogram2d, answers=(np.histogram2d,), note=WEIGHTED,
    samples=[
        sample(PLACES, PLACES, 2, None, None, (5,)), sample(PLACES, PLACES, [2, 3], None, True, (5,), domain=(0.5, 2)),
    ],
)  # fmt: skip
composite(
    "histogramdd", _histogramdd, answers=(np.histogramdd,), note=WEIGHTED,
    samples=[
        sample(PAIRS, 2, None, None, (5,)), sample(PAIRS, [[0, 1, 3], [0, 2, 3]], None, True, (5,), domain=(1, 2)),
    ],
)  # fmt: skip
composite(
    "histogram_bin_edges", _histogram_bin_edges, answers=(np.histogram_bin_edges,),
    kinks=[Kink("all positions are equal", "the edges around a single one", sample(np.array([1.0, 1.0]), 2))],
    note="between the least and the largest position; their number is constant.",
    samples=[sample((5,), 3), sample((2, 3)), sample((5,), 2, (0.0, 1.0)), sample((6,), "auto")],
)  # fmt: skip
