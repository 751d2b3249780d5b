"""Entropies, divergences, losses and the transformations of Box and Cox."""

from __future__ import annotations

import math

import numpy as np
import scipy.special as sp

from jacobian.ops.families import elementwise
from jacobian.ops.registry import sample

POSITIVE = (0.3, 2.5)
AT_ZERO = sample(np.zeros(1).tolist(), (3,), domain=POSITIVE)

xlogy = elementwise(
    sp.xlogy, "log(where((x1 == 0) & (x2 == 0), 1.0, x2))", "x1 / where((x1 == 0) & (x2 == 0), 1.0, x2)",
    domain=POSITIVE, samples=[AT_ZERO], kink="(x1 == 0) & (x2 == 0)", at_kink="0 by both",
    torch={"torch.special.xlogy(x1, x2)": [0.0, math.nan]},
)  # fmt: skip
xlog1py = elementwise(
    sp.xlog1py, "log1p(where((x1 == 0) & (x2 == -1), 0.0, x2))", "x1 / where((x1 == 0) & (x2 == -1), 1.0, 1 + x2)",
    domain=POSITIVE, samples=[AT_ZERO], kink="(x1 == 0) & (x2 == -1)", kink_at=(0.0, -1.0), at_kink="0 by both",
    torch={"torch.special.xlog1py(x1, x2)": [0.0, math.nan]},
)  # fmt: skip
entr = elementwise(sp.entr, "-1 - log(x)", domain=POSITIVE)
rel_entr = elementwise(sp.rel_entr, "1 + log(x1 / x2)", "-x1 / x2", domain=POSITIVE)
kl_div = elementwise(sp.kl_div, "log(x1 / x2)", "1 - x1 / x2", domain=POSITIVE)
huber = elementwise(
    sp.huber, "where(abs(x2) <= x1, 0.0, abs(x2) - x1)", "where(abs(x2) <= x1, x2, x1 * sign(x2))",
    operands=("delta", "r"), domain=POSITIVE, samples=[sample(1.0, (3,), domain=(-4.0, -1.2)), sample(3.0, (3,))],
)  # fmt: skip
pseudo_huber = elementwise(
    sp.pseudo_huber,
    "x1 * ((x2 / x1)**2 / (1 + sqrt(1 + (x2 / x1)**2)))**2 / sqrt(1 + (x2 / x1)**2)",
    "x2 / sqrt(1 + (x2 / x1)**2)", operands=("delta", "r"), domain=POSITIVE,
)  # fmt: skip

# -- Box and Cox ------------------------------------------------------------------------------------------------------

TO_ZERO = [sample((3,), power, domain=POSITIVE) for power in (0.0, 1e-9, -0.5)]
boxcox = elementwise(
    sp.boxcox, "x1**(x2 - 1)", "log(x1)**2 / 2 * hyp1f1(2, 3, x2 * log(x1))", operands=("x", "lmbda"),
    domain=POSITIVE, samples=TO_ZERO,
)  # fmt: skip
boxcox1p = elementwise(
    sp.boxcox1p, "(1 + x1)**(x2 - 1)", "log1p(x1)**2 / 2 * hyp1f1(2, 3, x2 * log1p(x1))", operands=("x", "lmbda"),
    domain=POSITIVE, samples=TO_ZERO,
)  # fmt: skip
inv_boxcox = elementwise(
    sp.inv_boxcox, "y**(1 - x2)", "-log(y)**2 / 2 * hyp1f1(2, 3, x2 * log(y)) * y**(1 - x2)",
    operands=("y", "lmbda"), domain=POSITIVE, samples=[sample((3,), power, domain=POSITIVE) for power in (0.0, 1e-9)],
)  # fmt: skip
inv_boxcox1p = elementwise(
    sp.inv_boxcox1p, "(1 + y)**(1 - x2)", "-log1p(y)**2 / 2 * hyp1f1(2, 3, x2 * log1p(y)) * (1 + y)**(1 - x2)",
    operands=("y", "lmbda"), domain=POSITIVE, samples=[sample((3,), power, domain=POSITIVE) for power in (0.0, 1e-9)],
)  # fmt: skip
