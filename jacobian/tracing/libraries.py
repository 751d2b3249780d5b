"""SciPy's functions that take plain numbers only: what to write instead of each of them."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from jacobian.kernel.callers import is_library, nearest_frame, user_frame
from jacobian.ops.registry import REGISTRY

_LINALG = {
    "block_diag": "np.block with np.zeros",
    "cho_factor": "np.linalg.cholesky",
    "cho_solve": "np.linalg.solve",
    "expm": "jac.ops.expm",
    "lu_solve": "np.linalg.solve",
    "solve_triangular": "np.linalg.solve",
    "svdvals": "np.linalg.svd(A, compute_uv=False)",
}
"""Those of `scipy.linalg` that NumPy has under another name, or that are ops here."""


def instead(called: str) -> tuple[str, str] | None:
    """The SciPy function that was given a traced array, and what to write instead; `called` as the user wrote it."""
    for module, name in _candidates(called):
        way_out = _way_out(module, name)
        if way_out is not None:
            return f"{'.'.join(module.split('.')[:2])}.{name}", way_out
    return None


def _candidates(called: str) -> Iterator[tuple[str, str]]:
    """Modules and names of functions: the one that the user called, then those it called in its turn."""
    function = _meant(called)
    yield str(getattr(function, "__module__", "")), str(getattr(function, "__name__", ""))
    frames: list[tuple[str, str]] = []
    frame = nearest_frame()
    while frame is not None and is_library(frame.f_code.co_filename):
        frames.append((str(frame.f_globals.get("__name__", "")), frame.f_code.co_name))
        frame = frame.f_back
    yield from reversed(frames)


def _meant(called: str) -> Any:
    """What a name on the user's line stands for, such as `linalg.inv`; None where that cannot be told."""
    frame = user_frame()
    first, *rest = called.split(".")
    if frame is None:
        return None
    value = frame.f_locals.get(first, frame.f_globals.get(first))
    for name in rest:
        value = getattr(value, name, None) if isinstance(value, ModuleType) else None
    return value


def _way_out(module: str, name: str) -> str | None:
    if module.startswith("scipy.linalg"):
        return _LINALG.get(name) or _numpys(np.linalg, "np.linalg", name)
    if module.startswith("scipy.fft"):
        return _numpys(np.fft, "np.fft", name)
    if module.startswith("scipy.special") and name in REGISTRY:
        return f"jac.ops.{name}"
    return None


def _numpys(space: Any, prefix: str, name: str) -> str | None:
    function = getattr(space, name, None)
    return f"{prefix}.{name}" if function is not None and REGISTRY.find(function) is not None else None
