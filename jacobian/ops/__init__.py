"""All operations: one declaration each, one file per family. Every module found here is imported and its ops known.

Those for the functions of another library stand in a package, which is imported once a trace meets such a function.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from jacobian.ops.families import primitive
from jacobian.ops.registry import REGISTRY, Op, Sample, sample

for _module in pkgutil.iter_modules(__path__):
    if not _module.ispkg:
        importlib.import_module(f"{__name__}.{_module.name}")
REGISTRY.seal()
REGISTRY.later.after("scipy.special", f"{__name__}.scipy_special")


def __getattr__(name: str) -> Any:
    """`jac.ops.matmul`: every op by its name."""
    if name in REGISTRY or (not name.startswith("_") and REGISTRY.later.arrive() and name in REGISTRY):
        return REGISTRY[name]
    raise AttributeError(f"there is no op {name!r}; list(jac.ops.REGISTRY) names them all")


def __dir__() -> list[str]:
    """The names of all ops."""
    return [*globals(), *REGISTRY.names]


__all__ = ["REGISTRY", "Op", "Sample", "primitive", "sample"]
