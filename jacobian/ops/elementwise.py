"""Ops that work entry by entry: one line each, with the derivative as text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jacobian.ops.families import composite, elementwise
from jacobian.ops.growth import at_most, largest, one_more, raised, together
from jacobian.ops.registry import SAME, Point, is_complex, sample

POSITIVE = (0.3, 2.5)
UNIT = (-0.9, 0.9)
LONG_NUMBER = 5  # characters of an exponent


def _on_this_branch(text: str) -> Callable[[Point, int], str | None]:
    """Another text for complex numbers, of which a square root may lie on another branch than the result."""
    return lambda point, k: text if getattr(point.x[0], "dtype", np.dtype(float)).kind == "c" else None


# one operand
positive = elementwise(np.positive, "1", growth=largest)
negative = elementwise(np.negative, "-1", growth=largest)
exp = elementwise(np.exp, "y")
exp2 = elementwise(np.exp2, "y * log(2)")
expm1 = elementwise(np.expm1, "exp(x)")
log = elementwise(np.log, "1 / x", domain=POSITIVE)
log2 = elementwise(np.log2, "1 / (x * log(2))", domain=POSITIVE)
log10 = elementwise(np.log10, "1 / (x * log(10))", domain=POSITIVE)
log1p = elementwise(np.log1p, "1 / (1 + x)", domain=(-0.7, 2.0))
sqrt = elementwise(
    np.sqrt, "0.5 / y", domain=POSITIVE, singular="x == 0", at_singular="infinity", torch={"torch.sqrt(x)": SAME},
)  # fmt: skip
cbrt = elementwise(np.cbrt, "1 / (3 * y**2)", domain=POSITIVE, singular="x == 0", at_singular="infinity")
square = elementwise(np.square, "2 * x", growth=lambda bits, *_: 2 * bits[0])
reciprocal = elementwise(np.reciprocal, "-y**2", domain=POSITIVE)
sin = elementwise(np.sin, "cos(x)", growth=at_most(1))
cos = elementwise(np.cos, "-sin(x)", growth=at_most(1))
tan = elementwise(np.tan, "1 + y**2", domain=(-1.2, 1.2))
arcsin = elementwise(
    np.arcsin, "1 / sqrt(1 - x**2)", domain=UNIT, singular="abs(x) == 1", at_singular="infinity",
    torch={"torch.arcsin(x)": SAME}, special=_on_this_branch("1 / cos(y)"),
)  # fmt: skip
arccos = elementwise(
    np.arccos, "-1 / sqrt(1 - x**2)", domain=UNIT, singular="abs(x) == 1", at_singular="minus infinity",
    torch={"torch.arccos(x)": SAME}, special=_on_this_branch("-1 / sin(y)"),
)  # fmt: skip
arctan = elementwise(np.arctan, "1 / (1 + x**2)", growth=at_most(1))
sinh = elementwise(np.sinh, "cosh(x)")
cosh = elementwise(np.cosh, "sinh(x)")
tanh = elementwise(np.tanh, "1 - y**2", growth=at_most(1))
arcsinh = elementwise(np.arcsinh, "1 / sqrt(1 + x**2)", special=_on_this_branch("1 / cosh(y)"))
arccosh = elementwise(
    np.arccosh, "1 / sqrt(x**2 - 1)", domain=(1.2, 3.0), singular="x == 1", at_singular="infinity",
    torch={"torch.arccosh(x)": SAME}, special=_on_this_branch("1 / sinh(y)"),
)  # fmt: skip
arctanh = elementwise(np.arctanh, "1 / (1 - x**2)", domain=UNIT)
deg2rad = elementwise(np.deg2rad, "pi / 180 + 0 * x")
radians = elementwise(np.radians, "pi / 180 + 0 * x")
rad2deg = elementwise(np.rad2deg, "180 / pi + 0 * x")
degrees = elementwise(np.degrees, "180 / pi + 0 * x")
sinc = elementwise(
    np.sinc,
    "where(abs(x) < 1e-2, -pi**2 * x / 3 * (1 - (pi * x)**2 / 10 * (1 - (pi * x)**2 / 28 * (1 - (pi * x)**2 / 54))), "
    "(cos(pi * x) - y) / where(abs(x) < 1e-2, 1.0, x))",
    note="sin(πx)/(πx); near 0 its derivative is the series.",
    samples=[sample((3,), domain=(0.2, 2.0))],
)


# one operand, with kinks or steps
def _of_complex(text: str) -> Callable[[Point, int], str | None]:
    """The derivative by a complex number, where it is another."""
    return lambda point, k: text if is_complex(point.x[0]) else None


absolute = elementwise(
    np.absolute, "sign(x)", answers=(np.absolute, np.fabs), kink="x == 0", at_kink="0", of_complex="real part",
    special=_of_complex("conjugate(x) / where(y == 0, 1.0, y)"), note="Of a complex z: real(conjugate(z) / y dz).",
    torch={"torch.abs(x)": SAME}, growth=largest,
)  # fmt: skip
sign = elementwise(
    np.sign, "0", kink="x == 0", at_kink="0", of_complex="refused", torch={"torch.sign(x)": SAME},
    growth=at_most(1),
)  # fmt: skip
floor = elementwise(
    np.floor, "0", kink="x == floor(x)", at_kink="0", domain=(0.1, 0.9), torch={"torch.floor(x)": SAME},
)  # fmt: skip
ceil = elementwise(
    np.ceil, "0", kink="x == floor(x)", at_kink="0", domain=(0.1, 0.9), torch={"torch.ceil(x)": SAME},
)  # fmt: skip
trunc = elementwise(
    np.trunc, "0", answers=(np.trunc, np.fix), kink="(x == floor(x)) & (x != 0)", at_kink="0",
    torch={"torch.trunc(x)": SAME},
)  # fmt: skip
rint = elementwise(
    np.rint, "0", kink="abs(x - trunc(x)) == 0.5", at_kink="0", of_complex="refused", torch={"torch.round(x)": SAME},
)  # fmt: skip
nan_to_num = elementwise(
    np.nan_to_num, "isfinite(x) * 1.0", name="nan_to_num",
    answers=(np.nan_to_num,), normalise=lambda x, **limits: ((x,), limits),
)  # fmt: skip

# two operands
add = elementwise(np.add, "1", "1", samples=[sample((2, 1), (1, 3))], growth=one_more)
subtract = elementwise(np.subtract, "1", "-1", samples=[sample((2, 1), (1, 3))], growth=one_more)
multiply = elementwise(np.multiply, "x2", "x1", samples=[sample((2, 1), (1, 3))], growth=together)
divide = elementwise(np.divide, "1 / x2", "-y / x2", domain=POSITIVE, samples=[sample((2, 1), (1, 3), domain=POSITIVE)])


def _power_by_a_number(point: Point, k: int) -> str | None:
    """`"3 * x1**2"` or `"log(x1) * y"`, where exponent or base is a number written in the code."""
    base, exponent = point.x
    if k:
        written = type(base) in (int, float)  # what is differentiated by may be a NumPy number
        return "log(x1) * y" if written and 0 < abs(base) < 2**63 else None  # log takes no larger int
    if not isinstance(exponent, int | float) or isinstance(exponent, bool):
        return None
    exponent = exponent if type(exponent) is int else float(exponent)  # NumPy's float64 prints its type
    if exponent in (0, 1):
        return str(int(exponent))
    if exponent == 2:
        return "2 * x1"
    less = repr(exponent - 1)
    if len(less) > LONG_NUMBER:  # 1.1 - 1 is 0.10000000000000009
        less = f"{exponent!r} - 1"
    factor = "-" if exponent == -1 else f"{exponent!r} * "
    return f"{factor}x1**{less if exponent > 1 and ' ' not in less else f'({less})'}"


BASE = "x2 * x1 ** where(x2 == 0, 1.0, x2 - 1)"
EXPONENT = "where(x1 == 0, 0.0, log(where(x1 == 0, 1.0, x1))) * y"
AT_ZERO: dict[str, Any] = {
    "singular": "(x1 == 0) & (x2 < 1) & (x2 != 0)", "at_singular": "infinity by x1, 0 by x2", "kink_at": (0.0, 0.5),
    "torch": {"torch.pow(x1, x2)": SAME},
}  # fmt: skip
power = elementwise(
    np.power, BASE, EXPONENT, domain=POSITIVE, special=_power_by_a_number,
    samples=[sample((3,), 2), sample((3,), 0), sample((2,), 3.0), sample((3,), -1.5, domain=POSITIVE)],
    note="the derivative by the exponent needs a positive base; at base 0 it is taken as 0.", growth=raised, **AT_ZERO,
)  # fmt: skip
float_power = elementwise(
    np.float_power, BASE, EXPONENT, domain=POSITIVE, special=_power_by_a_number, **AT_ZERO,
)  # fmt: skip
arctan2 = elementwise(
    np.arctan2, "x2 / (x1**2 + x2**2)", "-x1 / (x1**2 + x2**2)", domain=POSITIVE,
    singular="(x1 == 0) & (x2 == 0)", at_singular="NaN", torch={"torch.atan2(x1, x2)": [0, 0]},
    growth=at_most(2),
)  # fmt: skip
hypot = elementwise(
    np.hypot, "x1 / where(y == 0, 1.0, y)", "x2 / where(y == 0, 1.0, y)", domain=POSITIVE,
    kink="y == 0", at_kink="0", torch={"torch.hypot(x1, x2)": [np.nan, np.nan]}, growth=one_more,
)  # fmt: skip
logaddexp = elementwise(np.logaddexp, "exp(x1 - y)", "exp(x2 - y)", growth=one_more)
logaddexp2 = elementwise(np.logaddexp2, "exp2(x1 - y)", "exp2(x2 - y)")
copysign = elementwise(
    np.copysign, "where(signbit(x1) == signbit(x2), 1.0, -1.0)", "0", domain=POSITIVE,
    kink="x1 == 0", at_kink="the derivative on the side of its sign bit", torch={"torch.copysign(x1, x2)": [0, 0]},
)  # fmt: skip
maximum = elementwise(
    np.maximum, "where(x1 > x2, 1.0, where(x1 == x2, 0.5, 0.0))", "where(x2 > x1, 1.0, where(x1 == x2, 0.5, 0.0))",
    answers=(np.maximum, np.fmax), kink="x1 == x2", at_kink="one half for each",
    torch={"torch.maximum(x1, x2)": SAME}, growth=largest,
)  # fmt: skip
minimum = elementwise(
    np.minimum, "where(x1 < x2, 1.0, where(x1 == x2, 0.5, 0.0))", "where(x2 < x1, 1.0, where(x1 == x2, 0.5, 0.0))",
    answers=(np.minimum, np.fmin), kink="x1 == x2", at_kink="one half for each",
    torch={"torch.minimum(x1, x2)": SAME}, growth=largest,
)  # fmt: skip
remainder = elementwise(
    np.remainder, "1", "-floor(x1 / x2)", answers=(np.remainder, np.mod), domain=POSITIVE,
    kink="remainder(x1, x2) == 0", at_kink="the derivative from above", kink_at=(4.0, 2.0),
    torch={"torch.remainder(x1, x2)": SAME},
)  # fmt: skip
fmod = elementwise(
    np.fmod, "1", "-trunc(x1 / x2)", domain=POSITIVE, kink="fmod(x1, x2) == 0",
    at_kink="the derivative from above", kink_at=(4.0, 2.0), torch={"torch.fmod(x1, x2)": SAME},
)  # fmt: skip
floor_divide = elementwise(
    np.floor_divide, "0", "0", domain=POSITIVE, kink="remainder(x1, x2) == 0", at_kink="0", kink_at=(4.0, 2.0)
)  # fmt: skip
heaviside = elementwise(np.heaviside, "0", "where(x1 == 0, 1.0, 0.0)", kink="x1 == 0", at_kink="0")


composite(
    "divmod", lambda x1, x2: (np.floor_divide(x1, x2), np.remainder(x1, x2)), answers=(np.divmod,),
    samples=[sample((3,), (3,), domain=POSITIVE)],
)  # fmt: skip
composite(
    "modf", lambda x: (np.fmod(x, 1.0), np.trunc(x)), answers=(np.modf,), samples=[sample((3,), domain=(0.2, 0.8))],
)  # fmt: skip


def _ldexp(x: Any, exponent: Any) -> Any:
    return np.ldexp(x, exponent)  # a ufunc takes its operands by position only


ldexp = elementwise(
    _ldexp, "exp2(exponent)", name="ldexp", answers=(np.ldexp,),
    normalise=lambda x, exponent: ((x,), {"exponent": exponent}), samples=[sample((3,), 2)], shapes=(),
)  # fmt: skip
