"""Explicit generalized Jacobians of plain NumPy functions.

`J = jac.jacobian(f)(x)` has the shape `y.shape + x.shape`, holds its structure, prints its formula and composes by
the generalized dot product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jacobian import errors

if TYPE_CHECKING:
    from jacobian import ops
    from jacobian.backpropagation import backprop
    from jacobian.chain import Chain, compose, trace
    from jacobian.checking.check import check
    from jacobian.checking.differences import Differences
    from jacobian.checking.exercise import Exercise, exercise
    from jacobian.checking.finite_differences import finite_difference
    from jacobian.checking.report import Report
    from jacobian.checking.verdict import Verdict
    from jacobian.checking.verify import verify
    from jacobian.display.derivation import Derivation, derive
    from jacobian.display.whole_page import report
    from jacobian.functional import hessian, jacobian, value_and_jacobian
    from jacobian.kernel.expression import Jacobian
    from jacobian.kernel.memory import memory_limit
    from jacobian.ops import primitive, sample

__version__ = "0.1.0"

_LATER = {
    "jacobian": "jacobian.functional",
    "value_and_jacobian": "jacobian.functional",
    "hessian": "jacobian.functional",
    "Jacobian": "jacobian.kernel.expression",
    "memory_limit": "jacobian.kernel.memory",
    "primitive": "jacobian.ops",
    "sample": "jacobian.ops",
    "Chain": "jacobian.chain",
    "compose": "jacobian.chain",
    "trace": "jacobian.chain",
    "backprop": "jacobian.backpropagation",
    "Derivation": "jacobian.display.derivation",
    "derive": "jacobian.display.derivation",
    "check": "jacobian.checking.check",
    "Differences": "jacobian.checking.differences",
    "Report": "jacobian.checking.report",
    "finite_difference": "jacobian.checking.finite_differences",
    "Exercise": "jacobian.checking.exercise",
    "exercise": "jacobian.checking.exercise",
    "Verdict": "jacobian.checking.verdict",
    "report": "jacobian.display.whole_page",
    "verify": "jacobian.checking.verify",
}
"""Names that are imported when they are first asked for: importing the package costs nothing that is not needed."""


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "ops":
        return import_module("jacobian.ops")
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_LATER[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, "ops"} - {"Any", "TYPE_CHECKING", "annotations"})


__all__ = [
    "Chain",
    "Derivation",
    "Differences",
    "Exercise",
    "Jacobian",
    "Report",
    "Verdict",
    "backprop",
    "check",
    "compose",
    "derive",
    "errors",
    "exercise",
    "finite_difference",
    "hessian",
    "jacobian",
    "memory_limit",
    "ops",
    "primitive",
    "report",
    "sample",
    "trace",
    "value_and_jacobian",
    "verify",
]
