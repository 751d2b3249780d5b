"""Complex inputs: the same differences along 1 and along i, which agree where there is a complex derivative."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from jacobian.checking.measured import Measured
from jacobian.checking.probe import Array, Input, Probe


class Part(Probe):
    """A function of the real or of the imaginary part of one of its inputs, the other part kept as it is."""

    def __init__(self, whole: Probe, moved: int, unit: complex) -> None:
        self.__dict__.update(whole.__dict__)
        self._whole, self._moved, self._unit = whole, moved, unit
        one = whole.inputs[moved]
        self._at = one.value
        part = one.value.real if unit == 1 else one.value.imag
        self.inputs = [Input(one.name, part.copy(), one.is_number) if k == moved else other
                       for k, other in enumerate(whole.inputs)]  # fmt: skip

    def _call(self, moved: int, flat: Array | None) -> Any:
        if flat is None:
            return self._whole._call(moved, None)
        at = self._at.reshape(-1)
        point = flat + 1j * at.imag if self._unit == 1 else at.real + 1j * flat
        return self._whole._call(moved, point.astype(at.dtype))

    def _failed(self, error: Exception) -> Array:
        self._whole.failure = self._whole.failure or error
        return super()._failed(error)


def joined(real: Measured, imaginary: Measured) -> Measured:
    """What was measured along 1, with bars that hold how far along i is from it; and what is said when it is far.

    Moved along i by h, an analytic function changes by i h times its derivative.
    """
    along_i = {name: getattr(imaginary, name) / 1j for name in ("values", "left", "right")}
    with np.errstate(invalid="ignore"):
        apart = np.abs(real.values - along_i["values"])
        bars = np.maximum(real.errors, imaginary.errors)
        none = np.isfinite(apart) & (apart > 10 * (real.errors + imaginary.errors))
    kinks = real.kinks | imaginary.kinks
    count = int(np.count_nonzero(none))
    told = f", and along 1 and along i {count} of {none.size} entries differ: they have no complex derivative"
    return replace(
        real,
        values=real.values.astype(np.result_type(real.values.dtype, np.complex64)),
        errors=bars + np.where(np.isnan(apart), np.inf, apart),
        noise=np.maximum(real.noise, imaginary.noise),
        noisy=real.noisy or imaginary.noisy,
        kinks=kinks,
        left=np.where(real.kinks, real.left, along_i["left"]),
        right=np.where(real.kinks, real.right, along_i["right"]),
        one_sided=real.one_sided | imaginary.one_sided,
        jumps=real.jumps | imaginary.jumps,
        useless=real.useless | imaginary.useless | (none & ~kinks),
        natural=np.maximum(real.natural, imaginary.natural),
        reason=f"{real.reason}; the input is complex" + (told if none.any() else ""),
    )
