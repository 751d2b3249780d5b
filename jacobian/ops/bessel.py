"""The modified Bessel functions of NumPy's `i0`, and the one that is its derivative."""

from __future__ import annotations

import numpy as np

from jacobian.kernel.expression import Jacobian
from jacobian.kernel.term import Array
from jacobian.ops.families import diagonal, elementwise
from jacobian.ops.registry import Op, Point, register, sample


def _i1(x: Array) -> Array:
    """Half of x times a series of positive terms; beyond 30, where it would be long, the asymptotic one."""
    x = np.asarray(x)
    small, far = np.minimum(np.abs(x), 30.0), np.maximum(np.abs(x), 30.0)
    quarter, series = (small / 2) ** 2, np.ones_like(small)
    for k in range(70, 0, -1):
        series = 1 + series * quarter / (k * (k + 1))
    tail = np.ones_like(far)
    for k in range(20, 0, -1):
        tail = 1 - tail * (4 - (2 * k - 1) ** 2) / (8 * far * k)
    asymptotic = np.exp(far / 2) / np.sqrt(2 * np.pi * far) * np.exp(far / 2) * tail  # exp(far) may be too large
    size = np.where(np.abs(x) <= 30.0, small / 2 * series, asymptotic)
    return np.asarray(np.copysign(size, x), dtype=x.dtype)[()]


i1 = elementwise(
    _i1, "i0(x) - where(x == 0, 0.5, y / where(x == 0, 1.0, x))", name="i1", answers=(),
    note="the modified Bessel function of order 1.",
)  # fmt: skip


def _i0_rule(point: Point, k: int) -> Jacobian:
    return diagonal(np.shape(point.y), np.shape(point.x[0]), i1(point.x[0]), f"i1({point.names[0]})")


i0 = register(
    Op(
        "i0", np.i0, _i0_rule, answers=(np.i0,), family="elementwise", formula="∂y/∂x = i1(x)",
        note="the modified Bessel function of order 0.",
        samples=[sample((3,)), sample((2, 3)), sample((2,), domain=(20.0, 40.0))],
    )
)  # fmt: skip
