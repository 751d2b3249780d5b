"""Elliptic integrals and functions, and the arithmetic-geometric mean."""

from __future__ import annotations

from math import comb, pi
from typing import Any

import numpy as np
import scipy.special as sp

from jacobian.ops import texts
from jacobian.ops.families import composite, elementwise
from jacobian.ops.registry import Op, sample

PARAMETER = (-1.5, 0.8)
NEAR = 0.02  # up to where ten terms of the series have all digits, and the closed form loses some
_SERIES = [pi / 2 * (n + 2) * (n + 1) * (comb(2 * n + 4, n + 2) / 4 ** (n + 2)) ** 2 for n in range(10)]


def ellipk_series(x: Any) -> Any:
    """The second derivative of K by its parameter near 0: DLMF 19.5.1, term by term."""
    near = np.where(np.abs(x) < NEAR, x, 0.0)
    total: Any = 0.0
    for coefficient in reversed(_SERIES):
        total = coefficient + near * total
    return total


texts.TAUGHT["ellipk_series"] = ellipk_series

ellipk_prime = elementwise(
    lambda m: sp.elliprd(0.0, 1.0, 1 - m) / 6,
    "where(abs(x) < 0.02, ellipk_series(x), "
    "(ellipk(x) / 4 - (1 - 2 * x) * y) / (where(abs(x) < 0.02, 1.0, x) * (1 - x)))",
    name="ellipk_prime", answers=(), operands=("m",), domain=PARAMETER, of_complex="refused",
    samples=[sample((3,), domain=(-0.01, 0.01)), sample(np.zeros(1))],
    note="dK/dm, the derivative of the complete elliptic integral; by Carlson's R_D, which is stable at 0.",
)  # fmt: skip
texts.TAUGHT["ellipk_prime"] = ellipk_prime
NEAR_ZERO = [sample((3,), domain=(-1e-3, 1e-3)), sample(np.zeros(1))]
ellipk = elementwise(sp.ellipk, "ellipk_prime(x)", operands=("m",), domain=PARAMETER, samples=NEAR_ZERO)
ellipe = elementwise(
    sp.ellipe, "(1 - x) * ellipk_prime(x) - ellipk(x) / 2", operands=("m",), domain=PARAMETER, samples=NEAR_ZERO,
)  # fmt: skip

OF_ANGLE = [sample((3,), 0.6), sample((2, 3), -1.5), sample((), [0.0, 0.5])]
ellipkinc = elementwise(
    sp.ellipkinc, "1 / sqrt(1 - x2 * sin(x1)**2)", None, operands=("phi", "m"), shapes=(), samples=OF_ANGLE,
)  # fmt: skip
ellipeinc = elementwise(
    sp.ellipeinc, "sqrt(1 - x2 * sin(x1)**2)", None, operands=("phi", "m"), shapes=(), samples=OF_ANGLE,
)  # fmt: skip

_RATIO = "pi * (x1 + x2)**3) * ellipk_prime(((x1 - x2) / (x1 + x2))**2)"
agm = elementwise(
    sp.agm, f"y / (x1 + x2) * (1 - 16 * y * x2 * (x1 - x2) / ({_RATIO})",
    f"y / (x1 + x2) * (1 + 16 * y * x1 * (x1 - x2) / ({_RATIO})", operands=("a", "b"), domain=(0.4, 3.0),
    note="π/4 (a + b) / K(((a - b)/(a + b))²).",
)  # fmt: skip

# -- Jacobi's functions -----------------------------------------------------------------------------------------------


def _ellipj(part: int, name: str, derivative: str) -> Op:
    return elementwise(
        lambda u, m: sp.ellipj(u, m)[part], derivative, None, name=name, answers=(), operands=("u", "m"),
        shapes=(), samples=[sample((3,), 0.4), sample((), 0.9)],
    )  # fmt: skip


ellipj_sn = _ellipj(0, "ellipj_sn", "ellipj(x1, x2)[1] * ellipj(x1, x2)[2]")
ellipj_cn = _ellipj(1, "ellipj_cn", "-ellipj(x1, x2)[0] * ellipj(x1, x2)[2]")
ellipj_dn = _ellipj(2, "ellipj_dn", "-x2 * ellipj(x1, x2)[0] * ellipj(x1, x2)[1]")
ellipj_ph = _ellipj(3, "ellipj_ph", "ellipj(x1, x2)[2]")
ellipj = composite(
    "ellipj", lambda u, m: (ellipj_sn(u, m), ellipj_cn(u, m), ellipj_dn(u, m), ellipj_ph(u, m)), answers=(sp.ellipj,),
    samples=[sample((3,), 0.4)], note="sn, cn, dn and the amplitude, by u.",
)  # fmt: skip
