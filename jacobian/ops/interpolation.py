"""Values between given points: look-ups in the values, weighted by how near the points are."""

from __future__ import annotations

from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.ops.families import composite
from jacobian.ops.kinks import warn_kink
from jacobian.ops.registry import Kink, describe, sample
from jacobian.ops.values import doubled, look, refuse_complex, refuse_traced


def _interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """The line between the two neighbours; `left` and `right` beyond the ends. At a point: the line above it."""
    refuse_traced("interp", period=period)
    x, xp, fp = doubled(x), doubled(xp), doubled(fp)
    refuse_complex("interp", x=x, xp=xp)
    if np.ndim(xp) != 1 or np.shape(xp) != np.shape(fp) or not np.size(xp):
        got = f"{describe('xp', xp)}, {describe('fp', fp)}"
        raise ShapeError(report("interp: xp and fp must be vectors of the same length", got=got))
    if period is not None:
        x, xp, fp = _periodic(x, xp, fp, period)
        left = right = None
    points, at = look(xp), look(x)
    if np.any(points[1:] < points[:-1]):
        raise ArgumentError(report("interp: xp must rise", fix="np.interp(x, xp[order], fp[order])"))
    last = points.size - 1
    if last == 0:
        inside = fp[np.zeros(at.shape, int)] + 0.0 * x
    else:
        low = np.clip(np.searchsorted(points, at, side="right") - 1, 0, last - 1)
        first, width = low, xp[low + 1] - xp[low]
        flat = points[low] == points[low + 1]  # at the ends, where points may be equal: the last one counts
        if flat.any():
            first, width = np.where(flat, low + 1, low), np.where(flat, 1.0, width)
        part = (x - xp[low]) / width
        inside = fp[first] * (1 - part) + fp[low + 1] * part
    warn_kink("interp", np.isin(at, points), "the slope above the point, at the last one that below")
    return _beyond(inside, at, points, fp[0] if left is None else left, fp[-1] if right is None else right)


def _beyond(inside: Any, at: np.ndarray, points: np.ndarray, left: Any, right: Any) -> Any:
    below, above = at < points[0], at > points[-1]
    if below.any():
        inside = np.where(below, left, inside)
    return np.where(above, right, inside) if above.any() else inside


def _periodic(x: Any, xp: Any, fp: Any, period: float) -> tuple[Any, Any, Any]:
    """The points of one period, and the neighbour on either side."""
    if period == 0:
        raise ArgumentError(report("interp: the period must not be 0"))
    period = abs(period)
    x = x - np.floor(look(x) / period) * period
    xp = xp - np.floor(look(xp) / period) * period
    order = np.argsort(look(xp))
    xp, fp = xp[order], fp[order]
    return x, np.concatenate([xp[-1:] - period, xp, xp[:1] + period]), np.concatenate([fp[-1:], fp, fp[:1]])


POINTS = np.array([-1.5, -0.4, 0.1, 1.3])
interp = composite(
    "interp", _interp, answers=(np.interp,),
    note="affine in the values, with the slope of the line for the position.",
    kinks=[
        Kink(
            "x is one of xp", "the slope above it, at the last one that below",
            sample(np.array([0.1]), POINTS, np.array([1.0, 2.0, 0.0, 1.0])),
        )
    ],
    samples=[
        sample((5,), POINTS, (4,)), sample((), POINTS, (4,)), sample((2, 3), POINTS, (4,), left=0.5, right=-2.0),
        sample((5,), POINTS, (4,), period=2.5), sample((3,), [0.0], (1,)),
        sample((3,), np.array([2.0, 0.3, 1.1]), (3,), period=-3.0),
    ],
)  # fmt: skip
