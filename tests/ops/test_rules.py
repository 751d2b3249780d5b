"""Generated from the registry: every rule on every sample, first and second order, entry by entry."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.ops import REGISTRY, Op, Sample
from jacobian.ops.registry import Params
from jacobian.tracing.tree import map_leaves
from tests.differences import central

CASES = [
    pytest.param(op, sample, id=f"{op.name}-{n}-{sample}") for op in REGISTRY for n, sample in enumerate(op.samples)
]


def through_numpy(op: Op, args: tuple[Any, ...], kwargs: Params) -> Any:
    """Call what a user would call: the NumPy function the op answers for, or the op itself."""
    function = op.answers[0] if op.answers and op.name not in ("tensor",) else op
    return function(*args, **kwargs)


def flat_inputs(args: tuple[Any, ...], kwargs: Params) -> list[np.ndarray]:
    """The drawn arrays among the arguments: what can be differentiated."""
    found: list[np.ndarray] = []

    def collect(leaf: Any, _: str) -> None:
        if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f":
            found.append(leaf)

    map_leaves(collect, args)
    return found


def with_input(args: tuple[Any, ...], k: int, value: Any) -> tuple[Any, ...]:
    """The arguments with the k-th differentiable array replaced."""
    number = iter(range(10**6))

    def swap(leaf: Any, _: str) -> Any:
        if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f" and next(number) == k:
            return value
        return leaf

    return map_leaves(swap, args)


def one_array(result: Any) -> Any:
    """Several outputs as one flat array, so that one comparison covers them."""
    if isinstance(result, tuple | list):
        return np.concatenate([np.ravel(part) for part in result])
    return result


@pytest.mark.parametrize(("op", "sample"), CASES)
def test_first_order(op: Op, sample: Sample) -> None:
    args, kwargs = sample.draw(1)
    for k, x in enumerate(flat_inputs(args, kwargs)):

        def f(value: Any, k: int = k) -> Any:
            return one_array(through_numpy(op, with_input(args, k, value), kwargs))

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", jac.errors.KinkWarning)
            y, J = jac.value_and_jacobian(f)(x)
        np.testing.assert_allclose(y, f(x), rtol=1e-12, atol=1e-12)
        assert J.shape == np.shape(y) + x.shape
        np.testing.assert_allclose(np.asarray(J), central(f, x), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("op", "sample"), CASES)
def test_second_order(op: Op, sample: Sample) -> None:
    args, kwargs = sample.draw(2)
    for k, x in enumerate(flat_inputs(args, kwargs)):

        def f(value: Any, k: int = k) -> Any:
            return one_array(through_numpy(op, with_input(args, k, value), kwargs))

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", jac.errors.KinkWarning)
            H = jac.jacobian(jac.jacobian(f))(x)
            expected = central(lambda value: np.asarray(jac.jacobian(f)(value)), x)
        assert H.shape == np.shape(f(x)) + x.shape + x.shape
        np.testing.assert_allclose(np.asarray(H), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("op", "sample"), CASES)
def test_of_complex_numbers(op: Op, sample: Sample) -> None:
    """Between a real input and the output: the right derivative in every order, or the error that there is none."""
    args, kwargs = sample.draw(4)
    for k, x in enumerate(flat_inputs(args, kwargs)):
        factor = 1 + 0.3j * np.random.default_rng(5).normal(size=x.shape)

        def f(value: Any, k: int = k, factor: Any = factor) -> Any:
            return one_array(through_numpy(op, with_input(args, k, value * factor), kwargs))

        try:
            f(x)
        except (TypeError, np.exceptions.ComplexWarning, jac.errors.JacobianError):
            continue  # NumPy has it for real numbers only
        for order in ("forward", "reverse"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", jac.errors.KinkWarning)
                try:
                    J = jac.jacobian(f, order=order)(x)
                except jac.errors.ArgumentError as error:
                    if "there is no derivative with respect to the complex" not in str(error):
                        raise
                    continue
            np.testing.assert_allclose(np.asarray(J), central(f, x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("op", "sample"), CASES)
def test_op_called_directly(op: Op, sample: Sample) -> None:
    """`op(…)` computes and `op.jacobian(…)` returns what the traced function's Jacobian is."""
    if op.family == "composite":
        return
    args, kwargs = sample.draw(3)
    operands, _ = op.bind(args, kwargs)
    for k, x in enumerate(operands):
        if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", jac.errors.KinkWarning)
            J = op.jacobian(*args, argnums=k, **kwargs)
        assert J.shape == np.shape(op(*args, **kwargs)) + x.shape
        assert J.formula.startswith("∂")
        assert J.latex.startswith(r"\frac{\partial")
