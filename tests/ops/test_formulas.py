"""Generated from the registry: what a formula says, read as `verify` reads it, is what the Jacobian holds."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.checking.case import Case
from jacobian.errors import DTypeError, ExpressionError, LabelError, NonFiniteError, ShapeError
from jacobian.ops import REGISTRY, Op, Sample
from jacobian.ops.registry import Params
from tests.ops.test_rules import flat_inputs, one_array, through_numpy, with_input

CASES = [
    pytest.param(op, sample, id=f"{op.name}-{n}-{sample}") for op in REGISTRY for n, sample in enumerate(op.samples)
]
UNREADABLE = (LabelError, ExpressionError, ShapeError, DTypeError, NonFiniteError)
"""What is raised by a formula that names a function, or an array, that `verify` does not know."""

READ = {"cumprod", "logsumexp", "vector_norm", "softmax", "log_softmax", "std", "tanh", "multiply", "matmul"}
"""Ops whose first sample is known to be read: the test would say nothing if none were."""


def between(op: Op, args: tuple[Any, ...], kwargs: Params, k: int, x: np.ndarray) -> Callable[[Any], Any]:
    """The op between two others, so that neither its operand nor its result bears a name of the function's ends."""
    sine = np.sin(x)
    scale = np.where(sine == 0, 1.0, x / np.where(sine == 0, 1.0, sine))

    def f(p: Any) -> Any:
        inner = np.sin(p) * scale if np.all(sine) else 1.0 * p
        outer = one_array(through_numpy(op, with_input(args, k, inner), kwargs))
        return 2.0 * outer

    return f


def stated(f: Callable[[Any], Any], x: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """What the formula of a Jacobian says, as an array, and what it holds; None where it cannot be read."""
    try:
        J = jac.jacobian(f)(x)
        case = Case(f, (x,), {}, J.formula)
        return case.claimed(case.here), np.asarray(J)
    except UNREADABLE:
        return None


@pytest.mark.parametrize(("op", "sample"), CASES)
def test_the_formula_says_what_the_jacobian_holds(op: Op, sample: Sample) -> None:
    args, kwargs = sample.draw(1)
    for k, x in enumerate(flat_inputs(args, kwargs)):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = stated(between(op, args, kwargs, k, x), x)
        if found is not None:
            np.testing.assert_allclose(*found, rtol=1e-7, atol=1e-9)
        assert found is not None or op.name not in READ or sample is not op.samples[0]
