"""Parts of complex numbers, which may appear between a real input and a real output."""

from __future__ import annotations

from typing import Any

import numpy as np

from jacobian.ops.families import composite
from jacobian.ops.registry import sample


def _imag(val: Any) -> Any:
    """Re(-i z); 0 for real numbers."""
    return np.real(val * -1j if val.dtype.kind == "c" else val * 0.0)


imag = composite("imag", _imag, answers=(np.imag,), samples=[sample((3,))])
