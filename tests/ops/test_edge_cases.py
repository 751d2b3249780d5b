"""Generated from the registry: what must not change a Jacobian, and what NumPy allows at the edges."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.ops import REGISTRY, Op, Sample
from jacobian.ops.registry import Params
from jacobian.tracing.tree import map_leaves
from tests.differences import central
from tests.ops.test_rules import CASES, flat_inputs, one_array, through_numpy, with_input

def jacobian_of(op: Op, args: tuple[Any, ...], kwargs: Params, k: int, x: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return jac.jacobian(lambda v: one_array(through_numpy(op, with_input(args, k, v), kwargs)))(x)


def spaced(x: np.ndarray) -> np.ndarray:
    """The same numbers with gaps between them."""
    wide = np.full(tuple(3 * size + 1 for size in x.shape), np.nan)
    view = wide[(*(slice(1, 3 * size + 1, 3) for size in x.shape), ...)]
    view[...] = x
    return view


def backwards(x: np.ndarray) -> np.ndarray:
    """The same numbers, with negative strides."""
    flip = (slice(None, None, -1),) * x.ndim
    return np.asarray(x[flip].copy()[flip])


def frozen(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "spaced": spaced, "backwards": backwards, "Fortran": np.asfortranarray, "read-only": frozen,
}  # fmt: skip


@pytest.mark.parametrize(("op", "sample"), CASES)
def test_memory_layout_does_not_matter(op: Op, sample: Sample) -> None:
    args, kwargs = sample.draw(4)
    for k, x in enumerate(flat_inputs(args, kwargs)):
        expected = np.asarray(jacobian_of(op, args, kwargs, k, x))
        for name, arranged in LAYOUTS.items():
            found = np.asarray(jacobian_of(op, args, kwargs, k, arranged(x)))
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11, err_msg=name)


def single(args: tuple[Any, ...]) -> tuple[Any, ...]:
    def lower(leaf: Any, _: str) -> Any:
        return leaf.astype(np.float32) if isinstance(leaf, np.ndarray) and leaf.dtype == float else leaf

    return map_leaves(lower, args)


@pytest.mark.parametrize(("op", "sample"), CASES)
def test_single_precision_stays(op: Op, sample: Sample) -> None:
    """The Jacobian has the dtype that the result has in NumPy, and nearly the same numbers."""
    args, kwargs = sample.draw(4)
    low = single(args)
    for k, x in enumerate(flat_inputs(low, kwargs)):
        if x.dtype != np.float32:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = np.asarray(one_array(through_numpy(op, low, kwargs)))
        J = jacobian_of(op, low, kwargs, k, x)
        if y.dtype.kind in "fc":
            assert J.dtype == y.dtype
            assert np.asarray(J).dtype == y.dtype
        expected = np.asarray(jacobian_of(op, args, kwargs, k, flat_inputs(args, kwargs)[k]))
        if expected.shape != np.shape(J):
            continue  # what is cut off by its value is cut off elsewhere
        scale = 1 + np.abs(expected).max(initial=0.0)
        np.testing.assert_allclose(np.asarray(J) / scale, expected / scale, rtol=0, atol=2e-3)
