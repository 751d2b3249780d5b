"""The error functions, the normal distribution's, and the logistic ones."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import scipy.special as sp

from jacobian.ops import texts
from jacobian.ops.families import elementwise
from jacobian.ops.registry import Point, is_complex, sample

FAR = 20.0  # from where on nine terms of the asymptotic series have all digits, and the closed form loses some

_ODD_PRODUCTS = [prod(range(1, 2 * n + 2, 2)) / 2**n for n in range(9)]  # (2n + 1)!! / 2**n


def _tail(x: Any, sign: float) -> Any:
    """1/x² Σ (2n+1)!!/2**n (sign/x²)**n where |x| is large, where the closed form is a difference of equal numbers."""
    inverse = 1.0 / np.where(np.abs(x) > FAR, x, FAR) ** 2
    total: Any = 0.0
    for coefficient in reversed(_ODD_PRODUCTS):
        total = coefficient + sign * inverse * total
    return inverse * total


def erfcx_tail(x: Any) -> Any:
    """The derivative of erfcx for large x: DLMF 7.12.1, term by term."""
    return -_tail(x, -1.0) / np.sqrt(np.pi)


def dawsn_tail(x: Any) -> Any:
    """The derivative of Dawson's integral for large |x|, likewise."""
    return -_tail(x, 1.0) / 2


texts.TAUGHT.update(erfcx_tail=erfcx_tail, dawsn_tail=dawsn_tail)


def closed_form(text: str) -> Any:
    """The derivative at complex numbers, where that of real ones asks how large they are."""

    def special(point: Point, k: int) -> str | None:
        return text if is_complex(point.x[0]) else None

    return special


WIDE = [sample((3,), domain=(-30.0, -21.0)), sample((3,), domain=(21.0, 60.0))]

erf = elementwise(sp.erf, "2 / sqrt(pi) * exp(-x**2)")
erfc = elementwise(sp.erfc, "-2 / sqrt(pi) * exp(-x**2)")
erfi = elementwise(sp.erfi, "2 / sqrt(pi) * exp(x**2)")
erfinv = elementwise(sp.erfinv, "sqrt(pi) / 2 * exp(y**2)", domain=(-0.9, 0.9))
erfcinv = elementwise(sp.erfcinv, "-sqrt(pi) / 2 * exp(y**2)", domain=(0.2, 1.8))
erfcx = elementwise(
    sp.erfcx, "where(x > 20, erfcx_tail(x), 2 * x * y - 2 / sqrt(pi))", special=closed_form("2 * x * y - 2 / sqrt(pi)"),
    samples=WIDE[1:], note="beyond 20 its derivative is the asymptotic series, erfcx_tail(x).",
)  # fmt: skip
dawsn = elementwise(
    sp.dawsn, "where(abs(x) > 20, dawsn_tail(x), 1 - 2 * x * y)", special=closed_form("1 - 2 * x * y"), samples=WIDE,
    note="beyond ±20 its derivative is the asymptotic series, dawsn_tail(x).",
)  # fmt: skip

# -- the normal distribution ------------------------------------------------------------------------------------------

ndtr = elementwise(sp.ndtr, "exp(-x**2 / 2) / sqrt(2 * pi)")
ndtri = elementwise(sp.ndtri, "sqrt(2 * pi) * exp(y**2 / 2)", domain=(0.1, 0.9))
log_ndtr = elementwise(
    sp.log_ndtr,
    "where(x > 0, exp(-x**2 / 2) / sqrt(2 * pi) / ndtr(where(x > 0, x, 0.0)), "
    "sqrt(2 / pi) / erfcx(where(x > 0, 0.0, -x) / sqrt(2)))",
    samples=[sample((3,), domain=(-32.0, -20.0)), sample((3,), domain=(4.0, 7.0))],
    note="density over distribution function, in a form that holds in both tails.",
)  # fmt: skip
owens_t = elementwise(
    sp.owens_t, "-exp(-x1**2 / 2) * erf(x1 * x2 / sqrt(2)) / sqrt(8 * pi)",
    "exp(-x1**2 * (1 + x2**2) / 2) / (2 * pi * (1 + x2**2))", operands=("h", "a"),
)  # fmt: skip

# -- the logistic function --------------------------------------------------------------------------------------------

SATURATED = [sample((3,), domain=(-40.0, -20.0)), sample((3,), domain=(20.0, 40.0))]
expit = elementwise(sp.expit, "y * expit(-x)", samples=SATURATED)
log_expit = elementwise(sp.log_expit, "expit(-x)", samples=SATURATED)
logit = elementwise(sp.logit, "1 / (x * (1 - x))", domain=(0.1, 0.9))
