"""Warnings at points where an op has no derivative."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from jacobian.errors import KinkWarning


def warn_kink(name: str, condition: Any, taken: str) -> None:
    """Warn that the op is not differentiable where the condition holds, naming the entries and what is taken."""
    mask = np.asarray(condition)
    if not mask.any():
        return
    if mask.ndim == 0:
        where = "here"
    else:
        entries = [f"[{','.join(map(str, entry))}]" for entry in np.argwhere(mask)[:4]]
        count = int(mask.sum())
        more = f" and {count - 4} more" if count > 4 else ""
        where = f"at entr{'y' if count == 1 else 'ies'} {', '.join(entries)}{more}"
    warnings.warn(KinkWarning(f"{name} is not differentiable {where}; {taken} is taken"), stacklevel=2)
