"""Hypergeometric functions, Lambert's, exponential integrals, and what else is written with them."""

from __future__ import annotations

import scipy.special as sp
from scipy.special import _ufuncs as private

from jacobian.ops.families import elementwise
from jacobian.ops.registry import sample

SMALL = (-0.8, 0.8)
POSITIVE = (0.4, 3.0)

hyp0f1 = elementwise(
    sp.hyp0f1, None, "hyp0f1(x1 + 1, x2) / x1", operands=("v", "z"), shapes=(),
    samples=[sample(1.5, (3,)), sample(0.7, (2, 3)), sample([[1.0], [2.0]], ())],
)  # fmt: skip
hyp1f1 = elementwise(
    sp.hyp1f1, None, None, "x1 / x2 * hyp1f1(x1 + 1, x2 + 1, x3)", operands=("a", "b", "x"), shapes=(),
    samples=[sample(0.5, 1.5, (3,)), sample(2.0, 3.0, (2, 3)), sample(-1.5, 0.7, ())],
)  # fmt: skip
hyp2f1 = elementwise(
    sp.hyp2f1, None, None, None, "x1 * x2 / x3 * hyp2f1(x1 + 1, x2 + 1, x3 + 1, x4)", operands=("a", "b", "c", "z"),
    shapes=(), samples=[sample(0.5, 1.0, 1.5, (3,), domain=SMALL), sample(2.0, -0.3, 0.9, (2, 2), domain=SMALL)],
)  # fmt: skip
exprel = elementwise(
    sp.exprel, "hyp1f1(2, 3, x) / 2", samples=[sample((3,), domain=(-1e-6, 1e-6)), sample((3,), domain=(-40.0, -30.0))],
    note="(exp(x) - 1) / x.",
)  # fmt: skip
lambertw = elementwise(
    private._lambertw, "exp(-y) / (1 + y)", None, None, name="lambertw", operands=("z", "k", "tol"), shapes=(),
    samples=[sample((3,), 0, 1e-8, domain=POSITIVE), sample((2, 2), -1, 1e-8, domain=(-0.3, -0.1))],
    note="complex, as SciPy's: .real takes the real branch.",
)  # fmt: skip
exp1 = elementwise(sp.exp1, "-exp(-x) / x", domain=POSITIVE)
expi = elementwise(sp.expi, "exp(x) / x", domain=POSITIVE)
expn = elementwise(
    sp.expn, None, "-expn(x1 - 1, x2)", operands=("n", "x"), shapes=(),
    samples=[sample(3, (3,), domain=POSITIVE), sample(2, (), domain=POSITIVE)],
)  # fmt: skip
