"""What NumPy has as well, and what is close to it."""

from __future__ import annotations

import scipy.special as sp

from jacobian.ops.families import elementwise
from jacobian.ops.registry import REGISTRY

for _name, _twin in {"cbrt": "cbrt", "exp2": "exp2", "expm1": "expm1", "log1p": "log1p", "round": "rint"}.items():
    REGISTRY.also(REGISTRY[_twin], getattr(sp, _name))

exp10 = elementwise(sp.exp10, "y * log(10)")
cosm1 = elementwise(sp.cosm1, "-sin(x)")
sindg = elementwise(sp.sindg, "pi / 180 * cosdg(x)", domain=(-80.0, 80.0))
cosdg = elementwise(sp.cosdg, "-pi / 180 * sindg(x)", domain=(-80.0, 80.0))
tandg = elementwise(sp.tandg, "pi / 180 * (1 + y**2)", domain=(-50.0, 50.0))
cotdg = elementwise(sp.cotdg, "-pi / 180 * (1 + y**2)", domain=(30.0, 80.0))
radian = elementwise(
    sp.radian, "pi / 180 + 0 * x1", "pi / 10800 + 0 * x1", "pi / 648000 + 0 * x1", operands=("d", "m", "s"),
)  # fmt: skip
