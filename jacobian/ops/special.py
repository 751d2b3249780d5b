"""Functions that NumPy does not have."""

from __future__ import annotations

from math import factorial, pi, sqrt
from typing import Any

import numpy as np

from jacobian.kernel.expression import Jacobian
from jacobian.kernel.term import Array
from jacobian.ops.families import diagonal, elementwise, reduction
from jacobian.ops.registry import Op, Point, register, sample


def _logsumexp(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    high = np.max(x, axis=axis, keepdims=True)
    high = np.where(np.isfinite(high), high, 0.0)
    total = np.log(np.sum(np.exp(x - high), axis=axis, keepdims=True)) + high
    return total if keepdims else np.squeeze(total, axis=axis) if axis is not None else np.reshape(total, ())


logsumexp = reduction(
    "logsumexp", _logsumexp, "exp(x - y)", answers=(), note="log Σ exp(x), shifted by the maximum.",
    normalise=lambda x, axis=None, keepdims=False: ((x,), {"axis": axis, "keepdims": keepdims}),
)  # fmt: skip

# -- the error function -----------------------------------------------------------------------------------------------

_TAYLOR = [2 / sqrt(pi) * (-1) ** n / (factorial(n) * (2 * n + 1)) for n in range(20)]
"""erf(x) / x as a polynomial in x², for |x| < 1."""

_SCALED = [
    1.17756257419656, 0.005353904539615676, -0.09377550342284209, 0.05436652555744322, -0.018976596707845208,
    0.004453426061462712, -0.0006335531710553147, 1.7661719523171593e-05, 1.2841532864056671e-05,
    -2.0072285659059913e-06, -1.807522790414837e-07, 7.549828343825093e-08, 1.885668523838603e-09,
    -2.699519049798364e-09, -1.460079119939105e-11, 1.0361607445969489e-10, 1.475715976623473e-12,
    -4.277340064396911e-12, -2.07922492859799e-13, 1.8134502003176963e-13, 1.973425574544739e-14,
    -7.287943737592673e-15, -1.5169878690228116e-15, 2.3514112258781403e-16, 1.0006111691821667e-16,
    -2.0572528169538546e-18, -5.608608218863183e-18,
]  # fmt: skip
"""(1 + 2x) exp(x²) erfc(x) for x >= 0 as a Chebyshev series in (x - 3) / (x + 3), computed with forty digits.

Source: M. M. Shepherd, J. G. Laframboise, "Chebyshev approximation of (1 + 2x) exp(x²) erfc x", Math. Comp. 36 (1981).
"""


def _double(x: Any) -> np.ndarray:
    """In double precision, whatever it was: the series would lose digits in any other."""
    if np.iscomplexobj(x):
        raise TypeError("the error function of complex numbers is not there")
    return np.asarray(x, np.float64)


def _near_zero(x: np.ndarray) -> np.ndarray:
    """Erf where |x| < 1."""
    from numpy.polynomial.polynomial import polyval  # not there until it is needed: `import numpy` leaves it out

    small = np.clip(x, -1.0, 1.0)
    return np.asarray(small * polyval(small * small, _TAYLOR))


def _tail(x: np.ndarray) -> np.ndarray:
    """Erfc where x >= 0. x² is split in two, because the exponential function magnifies its rounding."""
    from numpy.polynomial.chebyshev import chebval

    x = np.minimum(x, 30.0)
    coarse = x.astype(np.float32).astype(np.float64)
    decay = np.exp(-coarse * coarse) * np.exp((coarse - x) * (coarse + x))
    return np.asarray(decay * chebval((x - 3) / (x + 3), _SCALED) / (1 + 2 * x))


def _erf(x: Any) -> Any:
    double = _double(x)
    size = np.abs(double)
    far = np.sign(double) * (1 - _tail(size))
    return np.where(size < 1, _near_zero(double), far).astype(_dtype_of(x))[()]


def _erfc(x: Any) -> Any:
    double = _double(x)
    tail = _tail(np.abs(double))
    y = np.where(np.abs(double) < 0.5, 1 - _near_zero(double), np.where(double < 0, 2 - tail, tail))
    return y.astype(_dtype_of(x))[()]


def _dtype_of(x: Any) -> Any:
    dtype = getattr(x, "dtype", np.dtype(np.float64))
    return dtype if dtype.kind == "f" else np.float64


erf = elementwise(
    _erf, "2 / sqrt(pi) * exp(-x**2)", name="erf", answers=(), note="2/√π ∫ exp(-t²) dt from 0 to x.",
)  # fmt: skip
erfc = elementwise(
    _erfc, "-2 / sqrt(pi) * exp(-x**2)", name="erfc", answers=(),
    note="1 - erf(x), without the loss of digits that the difference has where x is large.",
)  # fmt: skip


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
