"""Parts of complex numbers, which may appear between a real input and a real output.

None of them has a complex derivative. But the differential of each is the real part of a complex factor times dz, or
is made of such; and between real numbers it is enough to take the real part where the numbers are real again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jacobian.kernel.expression import Jacobian
from jacobian.ops.families import composite, elementwise
from jacobian.ops.registry import Op, Point, is_complex, register, sample
from jacobian.ops.terms import shape_of


def _imag_rule(point: Point, k: int) -> Jacobian:
    shape = shape_of(point.y)
    return Jacobian.identity(shape) * -1j if is_complex(point.x[0]) else Jacobian.zero(shape, shape)


imag = register(
    Op(
        "imag", np.imag, _imag_rule, answers=(np.imag,), family="layout", samples=[sample((3,)), sample((2, 3))],
        formula="dy = real(-i dz)", note="0 for real numbers.", of_complex="real part",
    )
)  # fmt: skip


def _conjugate(x: Any) -> Any:
    """Re(z) - i Im(z); a real array is its own."""
    return np.real(x) - 1j * np.imag(x) if is_complex(x) else +x


conjugate = composite(
    "conjugate", _conjugate, answers=(np.conjugate,), samples=[sample((3,)), sample((2, 3))],
    note="the real part less i times the imaginary one; of a real array: the array itself.",
)  # fmt: skip


def _phase_of_complex(point: Point, k: int) -> str | None:
    return "-1j * (x != 0) / where(x == 0, 1.0, x)" if is_complex(point.x[0]) else None


phase = elementwise(
    np.angle, "0", name="phase", answers=(), special=_phase_of_complex, kink="x == 0", at_kink="0",
    of_complex="real part", note="`np.angle` in radians. Of a complex z: dy = real(-i / z dz).",
)  # fmt: skip
angle = composite(
    "angle", lambda z, deg=False: phase(z) * (180 / np.pi) if deg else phase(z), answers=(np.angle,),
    samples=[sample((3,)), sample((2, 2), deg=True)], note="by `phase`; constant for real numbers.",
)  # fmt: skip
