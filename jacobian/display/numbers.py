"""Numbers as they stand in a small table."""

from __future__ import annotations

from typing import Any

import numpy as np

ZERO = "·"


def number(value: Any, digits: int = 4) -> str:
    """A number in few characters.

    >>> number(np.float64(-0.5)), number(1e-300), number(2 - 1j), number(np.nan), number(-np.inf)
    ('-0.5', '1e-300', '2-1j', 'NaN', '-∞')
    """
    if isinstance(value, complex | np.complexfloating):
        imaginary = number(value.imag, digits)
        return f"{number(value.real, digits)}{'' if imaginary.startswith('-') else '+'}{imaginary}j"
    if np.isnan(value):
        return "NaN"
    if np.isinf(value):
        return "∞" if value > 0 else "-∞"
    text = f"{value:.{digits}g}".removeprefix("-" if value == 0 else "")
    return text.replace("e+", "e").replace("e0", "e").replace("e-0", "e-")
