"""No false alarm: every published identity is judged right; what the Cookbook prints wrongly is judged wrong."""

from typing import Any

import numpy as np
import pytest
from published import Identity, load, matrix_power_by_products

import jacobian as jac

IDENTITIES = load()
inv, outer = np.linalg.inv, np.outer


def derivative(identity: Identity) -> Any:
    return jac.jacobian(identity.function, argnums=identity.argnum) if identity.is_hessian else identity.function


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("identity", IDENTITIES, ids=[identity.name for identity in IDENTITIES])
def test_every_published_identity_is_right(identity: Identity, seed: int) -> None:
    args = identity.draw(seed)
    verdict = jac.verify(derivative(identity), *args, claim=identity.jacobian, argnums=identity.argnum)
    assert verdict.verdict == "right", verdict
    as_array = jac.verify(derivative(identity), *args, claim=identity.jacobian(*args), argnums=identity.argnum)
    assert as_array.verdict == "right", as_array


def test_the_hessians_are_right_as_hessians() -> None:
    for identity in (identity for identity in IDENTITIES if identity.is_hessian):
        args = identity.draw(0)
        verdict = jac.verify(identity.function, *args, claim=identity.jacobian, argnums=identity.argnum, kind="hessian")
        assert verdict.verdict == "right", verdict


def test_of_two_layouts_that_are_right_the_one_of_the_books_is_named() -> None:
    X = np.random.default_rng(0).normal(size=(3, 3)) + 3 * np.eye(3)
    verdict = jac.verify(inv, X, claim=lambda y: -np.kron(y.T, y))  # also the transposed matrix of rows
    assert verdict.layout == "matrix, column-major vec"


# -- the Matrix Cookbook, version of 15 November 2012 -----------------------------------------------------------------


def norm_of_powers(X: Any, a: Any, b: Any) -> Any:
    """The left side of eq. 92 with n = 2."""
    Y = matrix_power_by_products(X, 2)
    return a @ Y.T @ Y @ b


def eq_92_as_printed(X: Any, a: Any, b: Any) -> Any:
    n, power = 2, matrix_power_by_products
    return sum(
        power(X, n - 1 - r) @ outer(a, b) @ power(X, n).T @ power(X, r)
        + power(X, r).T @ power(X, n) @ outer(a, b) @ power(X, n - 1 - r).T
        for r in range(n)
    )


def test_eq_92_as_printed_is_wrong_in_one_term() -> None:
    rng = np.random.default_rng(0)
    verdict = jac.verify(
        norm_of_powers, *(rng.normal(size=shape) for shape in ((3, 3), (3,), (3,))), claim=eq_92_as_printed
    )
    assert verdict.verdict == "wrong"
    assert verdict.slip == "axes permuted"
    assert str(verdict).startswith("wrong: ∂y/∂X[i,j], 3 of 9 entries are right (33 %)\n")
    assert str(verdict.diagnosis) == (
        "At v3 = transpose(Y): the term through Y is transposed: exchange X's two axes, ∂v3[i,j]/∂Y[j,i] = 1."
    )
    identity = next(identity for identity in IDENTITIES if identity.name == "cookbook:92")
    args = identity.draw(0)
    assert jac.verify(identity.function, *args, claim=identity.claim).verdict == "wrong"
    assert [identity.name for identity in IDENTITIES if identity.as_printed] == ["cookbook:92"]
    assert jac.verify(identity.function, *args, claim=identity.jacobian).verdict == "right"


def quotient_of_forms(X: Any, A: Any, B: Any, C: Any) -> Any:
    """The left side of eq. 127."""
    return np.trace(inv(A + X.T @ C @ X) @ (X.T @ B @ X))


def eq_127_as_printed(X: Any, A: Any, B: Any, C: Any) -> Any:
    M = inv(A + X.T @ C @ X)
    return -2 * C @ X @ M @ X.T @ B @ X @ M + 2 * B @ X @ M


@pytest.fixture
def arguments_of_eq_127() -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    B, C = rng.normal(size=(2, 4, 4))
    A = 4 * np.eye(3) + rng.normal(size=(3, 3))
    return rng.normal(size=(4, 3)), A, B + B.T, 4 * np.eye(4) + 0.2 * (C + C.T)


def test_eq_127_is_wrong_when_only_b_and_c_are_symmetric(arguments_of_eq_127: tuple[Any, ...]) -> None:
    verdict = jac.verify(quotient_of_forms, *arguments_of_eq_127, claim=eq_127_as_printed)
    assert verdict.verdict == "wrong"
    assert verdict.slip == "symmetry assumed"
    assert str(verdict.diagnosis) == (
        "A is assumed to be symmetric: for a symmetric A the claim is right, for others it is not; tell A and Aᵀ apart."
    )


def test_eq_127_is_right_for_a_symmetric_a_and_the_report_says_so(arguments_of_eq_127: tuple[Any, ...]) -> None:
    X, A, B, C = arguments_of_eq_127
    verdict = jac.verify(quotient_of_forms, X, A + A.T, B, C, claim=eq_127_as_printed)
    assert str(verdict) == (
        "right: ∂y/∂X[i,j], all 12 entries at 3 points\n  only     for symmetric A and B and C; for others it is wrong"
    )
