"""Traced arrays lie in memory as NumPy's do: what is a view, what is a number, and in which order the entries are."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.ops import REGISTRY, Op, Sample
from jacobian.tracing.stripped import strip_all
from jacobian.tracing.tracer import Tracer, is_number
from jacobian.tracing.tree import leaves
from tests.ops.test_rules import flat_inputs, with_input

CASES = [
    pytest.param(op, sample, order, id=f"{op.name}-{n}-{sample}-{order}")
    for op in REGISTRY
    for n, sample in enumerate(op.samples)
    for order in "CF"
    if op.answers and getattr(op.answers[0], "__module__", "").startswith("numpy")
]


def laid_out(array: Any) -> Any:
    """The steps along axes that lead anywhere, in entries."""
    array = np.asarray(array)
    if 0 in array.shape:
        return ()
    return tuple(step // array.itemsize for size, step in zip(array.shape, array.strides, strict=True) if size > 1)


@pytest.mark.parametrize(("op", "sample", "order"), CASES)
def test_results_share_memory_where_numpys_do(op: Op, sample: Sample, order: Any) -> None:
    args, kwargs = sample.draw(1)
    function = op.answers[0]
    for k, x in enumerate(flat_inputs(args, kwargs)):
        x = np.array(x, order=order)
        expected = leaves(function(*with_input(args, k, x), **kwargs))
        found: list[Any] = []

        def f(value: Any, k: int = k, found: list[Any] = found) -> Any:
            for result in leaves(function(*with_input(args, k, value), **kwargs)):
                if isinstance(result, Tracer):
                    shares = result is value or (result._memory is not None and result._memory is value._memory)
                    found.append((shares, is_number(result), laid_out(strip_all(result.value))))
                else:
                    found.append(None)
            return value

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", jac.errors.KinkWarning)
            jac.trace(f, x)
        for known, result in zip(found, expected, strict=True):
            if known is not None:
                assert known == (np.may_share_memory(result, x), isinstance(result, np.generic), laid_out(result))
