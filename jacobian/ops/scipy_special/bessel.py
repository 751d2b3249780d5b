"""Bessel functions, spherical ones and Airy's. Of the order there is no derivative."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special as sp

from jacobian.ops import texts
from jacobian.ops.families import composite, elementwise
from jacobian.ops.registry import REGISTRY, SAME, Op, Params, sample

POSITIVE = (0.4, 6.0)
ANY = (-6.0, 6.0)

if REGISTRY.find(np.i0) is None:  # NumPy's cannot be traced
    texts.TAUGHT["i0"] = sp.i0


def _of_order(function: Any, derivative: str, orders: tuple[Any, ...], **options: Any) -> Op:
    """An op by its second operand, whose first one is the order."""
    shapes = ((3,), (2, 3), ())
    samples = [sample(order, shapes[k % 3], domain=POSITIVE) for k, order in enumerate(orders)]
    return elementwise(function, None, derivative, operands=("v", "x"), shapes=(), samples=samples, **options)


REAL = (0.5, 1.0, 2.7, [[0.0], [1.5]])
WHOLE = (0, 1, 3, np.array([[0], [2]]))

j0 = elementwise(sp.j0, "-j1(x)", domain=ANY)
j1 = elementwise(sp.j1, "0.5 * (j0(x) - jv(2, x))", domain=ANY, samples=[sample(np.zeros(2))])
jv = _of_order(sp.jv, "0.5 * (jv(x1 - 1, x2) - jv(x1 + 1, x2))", REAL)
y0 = elementwise(sp.y0, "-y1(x)", domain=POSITIVE)
y1 = elementwise(sp.y1, "0.5 * (y0(x) - yv(2, x))", domain=POSITIVE)
yn = _of_order(sp.yn, "0.5 * (yv(x1 - 1, x2) - yv(x1 + 1, x2))", WHOLE)
yv = _of_order(sp.yv, "0.5 * (yv(x1 - 1, x2) - yv(x1 + 1, x2))", REAL)
i0 = elementwise(sp.i0, "i1(x)", domain=ANY)
i1 = elementwise(sp.i1, "0.5 * (i0(x) + iv(2, x))", domain=ANY, samples=[sample(np.zeros(2))])
iv = _of_order(sp.iv, "0.5 * (iv(x1 - 1, x2) + iv(x1 + 1, x2))", REAL)
k0 = elementwise(sp.k0, "-k1(x)", domain=POSITIVE)
k1 = elementwise(sp.k1, "-0.5 * (k0(x) + kv(2, x))", domain=POSITIVE)
kn = _of_order(sp.kn, "-0.5 * (kv(x1 - 1, x2) + kv(x1 + 1, x2))", WHOLE)
kv = _of_order(sp.kv, "-0.5 * (kv(x1 - 1, x2) + kv(x1 + 1, x2))", REAL)

# -- with the exponential taken out -----------------------------------------------------------------------------------

i0e = elementwise(
    sp.i0e, "i1e(x) - sign(x) * y", domain=ANY, kink="x == 0", at_kink="0", torch={"torch.special.i0e(x)": SAME}
)
i1e = elementwise(sp.i1e, "0.5 * (i0e(x) + ive(2, x)) - sign(x) * y", domain=ANY)
ive = _of_order(
    sp.ive, "0.5 * (ive(x1 - 1, x2) + ive(x1 + 1, x2)) - sign(x2) * y", REAL, of_complex="refused",
    kink="(x1 == 0) & (x2 == 0)", at_kink="0",
)  # fmt: skip
k0e = elementwise(sp.k0e, "y - k1e(x)", domain=POSITIVE)
k1e = elementwise(sp.k1e, "y - 0.5 * (k0e(x) + kve(2, x))", domain=POSITIVE)
kve = _of_order(sp.kve, "y - 0.5 * (kve(x1 - 1, x2) + kve(x1 + 1, x2))", REAL)

# -- spherical ones ---------------------------------------------------------------------------------------------------


def _spherical(name: str) -> Op:
    function = getattr(sp, name)

    def normalise(n: Any, z: Any, derivative: bool = False) -> tuple[tuple[Any, ...], Params]:
        return (n, z), {"derivative": bool(derivative)}

    def forward(n: Any, z: Any, derivative: bool = False) -> Any:
        return function(n, z, derivative)

    orders: tuple[tuple[Any, tuple[int, ...]], ...] = ((0, (3,)), (2, (2, 3)), (np.array([0, 1, 4]), (3,)))
    samples = [sample(n, shape, domain=POSITIVE) for n, shape in orders]
    samples += [sample(n, (3,), domain=POSITIVE, derivative=True) for n in (0, 1)]
    op = elementwise(
        forward, None, f"(x1 * {name}(abs(x1 - 1), x2, derivative) - (x1 + 1) * {name}(x1 + 1, x2, derivative)) "
        "/ (2 * x1 + 1)",
        name=name, answers=(), operands=("n", "z"), normalise=normalise, shapes=(), samples=samples,
        note=f"SciPy's function does not take part in NumPy's dispatch, jac.ops.{name}(n, z) does.",
    )  # fmt: skip
    texts.TAUGHT[name] = op
    return op


spherical_jn = _spherical("spherical_jn")
spherical_yn = _spherical("spherical_yn")

# -- Airy's -----------------------------------------------------------------------------------------------------------


def _airy(part: int, name: str, derivative: str) -> Op:
    return elementwise(lambda z: sp.airy(z)[part], derivative, name=name, answers=(), operands=("z",))


airy_ai = _airy(0, "airy_ai", "airy(x)[1]")
airy_aip = _airy(1, "airy_aip", "x * airy(x)[0]")
airy_bi = _airy(2, "airy_bi", "airy(x)[3]")
airy_bip = _airy(3, "airy_bip", "x * airy(x)[2]")
airy = composite(
    "airy", lambda z: (airy_ai(z), airy_aip(z), airy_bi(z), airy_bip(z)), answers=(sp.airy,),
    samples=[sample((3,)), sample(())], note="Ai, Ai', Bi, Bi'.",
)  # fmt: skip
