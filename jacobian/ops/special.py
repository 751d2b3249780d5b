"""Functions that NumPy does not have."""

from __future__ import annotations

from math import factorial, pi, sqrt
from typing import Any

import numpy as np
from numpy.polynomial.chebyshev import chebval
from numpy.polynomial.polynomial import polyval

from jacobian.kernel.term import Array
from jacobian.ops.families import elementwise, reduction


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
    return np.asarray(x, np.float64)


def _near_zero(x: np.ndarray) -> np.ndarray:
    """Erf where |x| < 1."""
    small = np.clip(x, -1.0, 1.0)
    return np.asarray(small * polyval(small * small, _TAYLOR))


def _tail(x: np.ndarray) -> np.ndarray:
    """Erfc where x >= 0. x² is split in two, because the exponential function magnifies its rounding."""
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
