"""Explicit generalized Jacobians of plain NumPy functions.

`J = jac.jacobian(f)(x)` has the shape `y.shape + x.shape`, holds its structure, prints its formula and composes by
the generalized dot product.
"""

from __future__ import annotations

from jacobian import errors, ops
from jacobian.backpropagation import backprop
from jacobian.chain import Chain, compose, trace
from jacobian.checking.finite_differences import Differences, finite_difference
from jacobian.checking.verdict import Verdict
from jacobian.checking.verify import verify
from jacobian.functional import hessian, jacobian, value_and_jacobian
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.memory import memory_limit
from jacobian.ops import primitive, sample

__version__ = "0.1.0"

__all__ = [
    "Chain",
    "Differences",
    "Jacobian",
    "Verdict",
    "backprop",
    "compose",
    "errors",
    "finite_difference",
    "hessian",
    "jacobian",
    "memory_limit",
    "ops",
    "primitive",
    "sample",
    "trace",
    "value_and_jacobian",
    "verify",
]
