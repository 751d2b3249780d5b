"""The gamma function and what is made of it: digamma, beta, the incomplete ones, and zeta."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special as sp
from scipy.special import _ufuncs as private

from jacobian.ops import texts
from jacobian.ops.families import elementwise
from jacobian.ops.registry import sample

POSITIVE = (0.4, 4.0)
NEGATIVE = [sample((3,), domain=(-0.8, -0.2)), sample((3,), domain=(-2.8, -2.2))]

gamma = elementwise(sp.gamma, "y * digamma(x)", domain=POSITIVE, samples=NEGATIVE)
gammaln = elementwise(sp.gammaln, "digamma(x)", domain=POSITIVE, samples=NEGATIVE)
loggamma = elementwise(sp.loggamma, "digamma(x)", domain=POSITIVE)
gammasgn = elementwise(
    sp.gammasgn, "0", domain=POSITIVE, samples=NEGATIVE, kink="(x <= 0) & (x == floor(x))", at_kink="0",
)  # fmt: skip
digamma = elementwise(
    sp.digamma, "polygamma(1, x)", name="digamma", answers=(sp.digamma,), domain=POSITIVE, samples=NEGATIVE,
    of_complex="refused",
)  # fmt: skip
rgamma = elementwise(
    sp.rgamma,
    "where(x < 0.5, gamma(where(x < 0.5, 1 - x, 1.0)) * (cos(pi * x) - sin(pi * x) / pi * "
    "digamma(where(x < 0.5, 1 - x, 1.0))), -y * digamma(where(x < 0.5, 1.0, x)))",
    domain=POSITIVE, samples=[*NEGATIVE, sample(np.array([0.0, -1.0, -2.0])), sample((3,), domain=(0.45, 0.55))],
    note="1/Γ has no poles, and neither has its derivative: below 1/2 it is written by the reflection formula.",
)  # fmt: skip


def _polygamma(n: Any, x: Any) -> Any:
    return sp.polygamma(n, x)


polygamma = elementwise(
    _polygamma, None, "polygamma(x1 + 1, x2)", name="polygamma", answers=(), operands=("n", "x"), shapes=(),
    samples=[sample(n, shape, domain=POSITIVE) for n, shape in ((0, (3,)), (1, (2, 3)), (2, ()))]
    + [sample(np.array([0, 1, 3]), (2, 3), domain=POSITIVE), sample(1, (3,), domain=(-0.8, -0.2))],
    note="SciPy's function does not take part in NumPy's dispatch, jac.ops.polygamma(n, x) does.",
)  # fmt: skip
texts.TAUGHT["polygamma"] = polygamma

# -- incomplete gamma functions ---------------------------------------------------------------------------------------

OF_SHAPE = [sample(0.7, (3,), domain=POSITIVE), sample(np.array([[1.0], [3.5]]).tolist(), (3,), domain=POSITIVE)]
DENSITY = "exp(xlogy(x1 - 1, x2) - x2 - gammaln(x1))"
TO_INVERT = [sample(2.5, (3,), domain=(0.1, 0.9)), sample(0.7, (), domain=(0.1, 0.9))]
INVERSE = "exp(y + gammaln(x1) - xlogy(x1 - 1, y))"

gammainc = elementwise(sp.gammainc, None, DENSITY, operands=("a", "x"), shapes=(), samples=OF_SHAPE)
gammaincc = elementwise(sp.gammaincc, None, f"-{DENSITY}", operands=("a", "x"), shapes=(), samples=OF_SHAPE)
gammaincinv = elementwise(sp.gammaincinv, None, INVERSE, operands=("a", "p"), shapes=(), samples=TO_INVERT)
gammainccinv = elementwise(sp.gammainccinv, None, f"-{INVERSE}", operands=("a", "p"), shapes=(), samples=TO_INVERT)

# -- beta -------------------------------------------------------------------------------------------------------------

beta = elementwise(
    sp.beta, "y * (digamma(x1) - digamma(x1 + x2))", "y * (digamma(x2) - digamma(x1 + x2))", operands=("a", "b"),
    domain=POSITIVE,
)  # fmt: skip
betaln = elementwise(
    sp.betaln, "digamma(x1) - digamma(x1 + x2)", "digamma(x2) - digamma(x1 + x2)", operands=("a", "b"),
    domain=POSITIVE,
)  # fmt: skip
BETA_DENSITY = "exp(xlogy(x1 - 1, x3) + xlog1py(x2 - 1, -x3) - betaln(x1, x2))"
BETA_INVERSE = "exp(betaln(x1, x2) - xlogy(x1 - 1, y) - xlog1py(x2 - 1, -y))"
OF_BETA = [sample(a, b, shape, domain=(0.15, 0.85)) for a, b, shape in ((2.0, 3.5, (3,)), (0.7, 1.0, (2, 3)))]

betainc = elementwise(sp.betainc, None, None, BETA_DENSITY, operands=("a", "b", "x"), shapes=(), samples=OF_BETA)
betaincc = elementwise(
    sp.betaincc, None, None, f"-{BETA_DENSITY}", operands=("a", "b", "x"), shapes=(), samples=OF_BETA
)  # fmt: skip
betaincinv = elementwise(
    sp.betaincinv, None, None, BETA_INVERSE, operands=("a", "b", "p"), shapes=(), samples=OF_BETA
)  # fmt: skip

# -- zeta -------------------------------------------------------------------------------------------------------------

hurwitz_zeta = elementwise(
    private._zeta, None, "-x1 * zeta(x1 + 1, x2)", name="hurwitz_zeta", operands=("x", "q"), shapes=(),
    samples=[sample(2.5, (3,), domain=(0.8, 3.0)), sample(3.0, (2, 3), domain=(0.8, 3.0))],
    note="scipy.special.zeta(x, q), by q.",
)  # fmt: skip
