"""Entries that are NaN are told of, and errors of linear algebra are those that NumPy's users catch."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.errors import ConvergenceError, NonFiniteWarning, SingularError


def said(J: Callable[..., Any], *arguments: Any) -> list[str]:
    """What is warned of when the tensor is computed, and in which file."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        np.asarray(J(*arguments))
    assert all(one.filename == __file__ for one in found if one.category is NonFiniteWarning)
    return [str(one.message) for one in found if issubclass(one.category, NonFiniteWarning)]


def test_infinity_times_zero() -> None:
    def sigmoid(x: Any) -> Any:
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-x))

    text = """∂y/∂x holds an entry that is NaN
  first: ∂y[0]/∂x[0]
  why:   something is infinite or NaN on the way, and infinity times 0 is NaN
  fix:   [v for v in jac.trace(f, x).nodes if not np.isfinite(v.value).all()] shows where"""
    x = np.array([-800.0, 1.0])
    J = jac.jacobian(sigmoid)
    for _ in range(4):
        assert said(J, x) == [text]
    assert said(J, np.array([-1.0, 1.0])) == []
    shown = [v for v in jac.trace(sigmoid, x).nodes if not np.isfinite(v.value).all()]
    assert [node.name for node in shown] == ["v2", "v3"]


def test_nothing_else_is_said_of_it() -> None:
    """No warning of NumPy's comes from inside."""
    x = np.array([np.inf, 1.0])
    J = jac.jacobian(lambda W: np.tanh(W * x))
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        assert np.isnan(np.asarray(J(np.ones(2)))[0, 0])
    assert [one.category for one in found] == [NonFiniteWarning]


def test_nan_that_is_a_constant() -> None:
    J = jac.jacobian(lambda x: np.nansum(np.where(x > 0, x, np.nan) ** 2))
    assert said(J, np.array([1.0, -2.0, 3.0]))[0].startswith("∂y/∂x holds an entry that is NaN\n  first: ∂y/∂x[1]\n")


def test_a_number_in_front_that_is_infinite() -> None:
    with np.errstate(over="ignore"):
        told = said(jac.jacobian(lambda x: np.tanh(x * 1e200 * 1e200)), np.array([2.0, 1.0]))
    assert [text.partition("\n")[0] for text in told] == ["∂y/∂x holds 2 entries that are NaN"]


def test_what_is_infinite_alone_is_told_by_the_op() -> None:
    assert said(jac.jacobian(np.sqrt), np.array([0.0, 1.0])) == ["the derivative of sqrt is not finite at entry [0]"]


def jittered(K: Any) -> Any:
    try:
        return np.linalg.cholesky(K)
    except np.linalg.LinAlgError:
        return np.linalg.cholesky(K + 5 * np.eye(2))


def inverted(K: Any) -> Any:
    try:
        return np.linalg.inv(K)
    except np.linalg.LinAlgError:
        return K


@pytest.mark.parametrize("f", [jittered, inverted])
def test_functions_that_catch_what_numpy_raises(f: Callable[[Any], Any]) -> None:
    """The way out of the first calls is not that of later ones."""
    J = jac.jacobian(f)
    good, bad = np.diag([2.0, 3.0]), np.zeros((2, 2))
    for K in (bad, bad, bad, good, good, good, bad, good):
        expected = jac.finite_difference(f, K).values
        np.testing.assert_allclose(np.asarray(J(K)), expected, atol=1e-6)


def test_a_singular_matrix_is_an_error_of_numpys_as_well() -> None:
    with pytest.raises(np.linalg.LinAlgError) as caught:
        jac.jacobian(np.linalg.inv)(np.zeros((2, 2)))
    assert type(caught.value) is SingularError


def test_what_does_not_converge() -> None:
    def f(x: Any, A: Any) -> Any:
        return np.linalg.svd(A * x, compute_uv=False)

    with pytest.raises(np.linalg.LinAlgError) as caught:
        jac.jacobian(f)(np.array(1.0), np.full((2, 2), np.nan))
    assert type(caught.value) is ConvergenceError
    assert str(caught.value).startswith("svd: SVD did not converge")


def test_qr_of_dependent_columns_speaks_of_qr() -> None:
    with pytest.raises(SingularError) as caught:
        jac.jacobian(lambda A: np.linalg.qr(A)[0])(np.zeros((3, 2)))
    assert str(caught.value) == (
        "qr: the columns of A depend on one another, where Q and R have no derivative\n  got:   A float64[3,2]"
    )
