"""Differences of neighbours, and what sampled functions have instead of slopes and areas: sums of shifted slices."""

from __future__ import annotations

from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.ops.families import composite, reduced_axes
from jacobian.ops.registry import describe, sample
from jacobian.ops.values import array_of, floating, is_traced, laid_like


def _diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = np._NoValue, append: Any = np._NoValue) -> Any:
    a = array_of(a)
    if n == 0:
        return a
    (at,) = reduced_axes(axis, np.ndim(a), "diff")
    if n < 0:
        raise ArgumentError(report(f"diff: the order must not be negative, but it is {n}"))
    beside = tuple(1 if k == at else size for k, size in enumerate(np.shape(a)))
    parts = [
        np.broadcast_to(part, beside) if np.ndim(part) == 0 else part
        for part in (prepend, a, append)
        if part is not np._NoValue
    ]
    a = np.concatenate(parts, axis=at) if len(parts) > 1 else a
    front = (slice(None),) * at
    for _ in range(n):
        a = a[(*front, slice(1, None))] - a[(*front, slice(None, -1))]
    return a


def _ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    parts = [part if part is None else np.ravel(array_of(part)) for part in (to_begin, _diff(np.ravel(ary)), to_end)]
    kept_parts = [part for part in parts if part is not None]
    return np.concatenate(kept_parts) if len(kept_parts) > 1 else kept_parts[0]


composite(
    "diff", _diff, answers=(np.diff,),
    samples=[
        sample((5,)), sample((2, 4), axis=0), sample((5,), n=2), sample((3,), 1, -1, (), (2,)),
        sample((2, 3), 2, 0, (1, 3)),
    ],
)  # fmt: skip
composite(
    "ediff1d", _ediff1d, answers=(np.ediff1d,), samples=[sample((2, 3)), sample((3,), (2,), ()), sample((1,))],
)  # fmt: skip

# -- sampled functions ------------------------------------------------------------------------------------------------


def _entries(array: Any, axis: int, key: Any) -> Any:
    return array[(*(slice(None),) * axis, key)]


def _trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Half the sum of neighbours, times the steps between them."""
    y = array_of(y)
    (at,) = reduced_axes(axis, np.ndim(y), "trapezoid")
    if x is None:
        steps = array_of(dx) if not isinstance(dx, int | float) else dx
    else:
        x = array_of(x)
        steps = np.diff(x) if np.ndim(x) == 1 else np.diff(x, axis=axis)
        if np.ndim(x) == 1:
            steps = np.reshape(steps, (-1,) + (1,) * (np.ndim(y) - at - 1))
    return np.sum(steps * (_entries(y, at, slice(1, None)) + _entries(y, at, slice(None, -1))) / 2.0, axis=at)


trapezoid = composite(
    "trapezoid", _trapezoid, answers=(np.trapezoid,),
    samples=[
        sample((5,)), sample((2, 4), dx=0.5), sample((4, 2), axis=0), sample((4,), (4,)), sample((2, 4), (4,)),
        sample((3, 2), (3, 2), axis=0), sample((3, 2), (3,), axis=0), sample((1,)),
    ],
)  # fmt: skip


def _gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Second-order differences inside, one-sided ones at the edges, as `np.gradient` defines them."""
    f = floating(f)
    axes = reduced_axes(axis, np.ndim(f), "gradient") if axis is None else _in_order(axis, np.ndim(f))
    if edge_order not in (1, 2):
        raise ArgumentError(report(f"gradient: edge_order must be 1 or 2, not {edge_order!r}"))
    spacings = [1.0] if not varargs else list(varargs)
    if len(spacings) == 1 and (not varargs or np.ndim(spacings[0]) == 0):
        spacings = spacings * len(axes)
    if len(spacings) != len(axes):
        raise ArgumentError(
            report(f"gradient: {len(varargs)} spacings for {len(axes)} axes", fix="one number, or one for every axis")
        )
    found = tuple(_slope(f, at, array_of(s), edge_order) for at, s in zip(axes, spacings, strict=True))
    return found[0] if len(axes) == 1 else found


def _in_order(axis: Any, rank: int) -> tuple[int, ...]:
    """The axes as they were given, which is the order of the results."""
    given_axes = axis if isinstance(axis, tuple | list) else (axis,)
    return tuple(reduced_axes(one, rank, "gradient")[0] for one in given_axes)


def _slope(f: Any, at: int, spacing: Any, edge_order: int) -> Any:
    size = np.shape(f)[at]
    if size < edge_order + 1:
        raise ShapeError(
            report(f"gradient: {size} entries along axis {at} are too few", got=describe("f", f),
                   fix=f"edge_order={edge_order} needs {edge_order + 1}")
        )  # fmt: skip
    if np.ndim(spacing) == 0:
        steps = np.broadcast_to(spacing, (size - 1,))
        even = True
    elif np.ndim(spacing) == 1 and np.size(spacing) == size:
        steps, even = np.diff(spacing), False
    else:
        raise ShapeError(
            report(f"gradient: axis {at} has {size} entries, its coordinates {np.size(spacing)}",
                   fix="a number, or a vector of coordinates")
        )  # fmt: skip
    if f.dtype == np.float32 and even and not is_traced(spacing):
        steps = np.astype(steps, np.float32)

    def line(values: Any) -> Any:
        return np.reshape(values, (-1,) + (1,) * (np.ndim(f) - at - 1))

    def part(low: int | None, high: int | None) -> Any:
        return _entries(f, at, slice(low, high))

    before, after = line(steps[:-1]), line(steps[1:])
    if even:
        inner = (part(2, None) - part(None, -2)) / (before + after)
    else:
        inner = (
            -after / (before * (before + after)) * part(None, -2)
            + (after - before) / (before * after) * part(1, -1)
            + before / (after * (before + after)) * part(2, None)
        )
    if edge_order == 1:
        first = (part(1, 2) - part(0, 1)) / line(steps[:1])
        last = (part(-1, None) - part(-2, -1)) / line(steps[-1:])
    else:
        first = _one_sided(part(0, 1), part(1, 2), part(2, 3), line(steps[:1]), line(steps[1:2]))
        back = (part(-1, None), part(-2, -1), part(-3, -2))
        last = -_one_sided(*back, line(steps[-1:]), line(steps[-2:-1]))
    return laid_like(np.concatenate([first, inner, last], axis=at), f)


def _one_sided(f0: Any, f1: Any, f2: Any, h1: Any, h2: Any) -> Any:
    """The slope at f0 of the parabola through f0, f1 and f2, which lie h1 and h2 apart."""
    return -(2.0 * h1 + h2) / (h1 * (h1 + h2)) * f0 + (h1 + h2) / (h1 * h2) * f1 - h1 / (h2 * (h1 + h2)) * f2


gradient = composite(
    "gradient", _gradient, answers=(np.gradient,),
    samples=[
        sample((5,)), sample((5,), 0.5), sample((5,), np.array([0.0, 1.0, 1.5, 3.0, 3.5])), sample((2,)),
        sample((5,), np.array([0.0, 1.0, 1.5, 3.0, 3.5]), edge_order=2), sample((4,), edge_order=2),
        sample((3, 4)), sample((3, 4), 2.0, np.array([0.0, 1.0, 3.0, 3.5])), sample((3, 4), axis=-1),
        sample((3, 4), axis=(1, 0)), sample((3, 4), np.array(0.5), axis=0, edge_order=2),
    ],
)  # fmt: skip
