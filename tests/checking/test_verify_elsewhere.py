"""Claims are compared at points nobody asked for, where the function may be another one, raise, or never end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import jacobian as jac

X = np.array([0.5, 1.0, -1.0])
ROOTS = np.array([2.0, 3.0])
COURSE = "where the function, which looks at its numbers, takes the same course as at the given point; "
WRONG = "elsewhere it is wrong"


def newton(a: Any) -> Any:
    z = np.ones_like(a)
    while np.max(np.abs(z * z - a)) > 1e-12:  # for negative numbers for ever
        z = z - (z * z - a) / (2 * z)
    return z


def bounded_newton(a: Any) -> Any:
    z, steps = np.ones_like(a), 0
    while np.max(np.abs(z * z - a)) > 1e-12:
        z, steps = z - (z * z - a) / (2 * z), steps + 1
        if steps > 50:
            raise RuntimeError("no convergence")
    return z


def refusing(a: Any) -> Any:
    if np.any(a < 0):
        raise KeyError("negative")
    return np.sqrt(a) if a[0] > 0 else a


@pytest.mark.parametrize("f", [newton, bounded_newton, refusing])
@pytest.mark.parametrize("claim", ["1/(2*sqrt(a))", lambda a: 1 / (2 * np.sqrt(a))])
def test_what_happens_elsewhere_is_no_matter(f: Any, claim: Any) -> None:
    assert jac.verify(f, ROOTS, claim=claim)
    assert not jac.verify(f, ROOTS, claim="1/sqrt(a)")


def test_a_claim_may_raise_anything_elsewhere() -> None:
    def claim(a: Any) -> Any:
        if not np.array_equal(a, ROOTS):
            raise RuntimeError("only there")
        return 1 / (2 * np.sqrt(a))

    assert jac.verify(np.sqrt, ROOTS, claim=claim)


def test_what_the_function_raises_at_the_given_point_is_passed_on() -> None:
    with pytest.raises(KeyError, match="negative"):
        jac.verify(refusing, -ROOTS, claim="1/(2*sqrt(a))")


def three(x: Any) -> Any:
    if x.sum() > 0:
        return x**2
    if x[0] > 0:
        return np.sin(x) * x[0]
    return np.exp(x)


def looping(x: Any) -> Any:
    s = x * 0
    while np.sum(s) < 3:
        s = s + x**2
    return s


@pytest.mark.parametrize(("f", "x", "claim", "only"), [
    (lambda x: np.max(x), X, "dy/dx[i] = δ[i,1]", "where max(x) takes the same entries as at the given point; "),
    (lambda x: np.max(x) - np.min(x), X, "dy/dx[i] = δ[i,1] - δ[i,2]", "the same entries as at the given point; "),
    (lambda x: np.sort(x), np.array([0.5, 0.3, -1.0]), "dy[i]/dx[j] = δ[i+j,2]", "as at the given point; "),
    (three, np.array([0.8, -0.9, -0.7]), "dy[i]/dx[j] = δ[j,0]*sin(x[i]) + δ[i,j]*x[0]*cos(x[i])", COURSE),
    (looping, np.array([0.5, 0.3]), "diag(18*x)", COURSE),
])  # fmt: skip
def test_a_claim_is_right_on_its_branch(f: Any, x: np.ndarray, claim: str, only: str) -> None:
    verdict = jac.verify(f, x, claim=claim)
    assert verdict
    assert verdict.condition.endswith(only + WRONG)


def test_what_is_forgotten_is_wrong_where_it_is_1() -> None:
    W, x = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.5, -0.1])  # both open here
    verdict = jac.verify(lambda W, x: np.maximum(W @ x, 0), W, x, claim="dy[i]/dx[j] = W[i,j]")
    assert verdict.slip == "factor left out"


def test_a_number_that_should_depend_on_the_inputs_is_wrong_on_the_branch() -> None:
    verdict = jac.verify(lambda x: np.abs(x) * x, np.array([0.5, -1.0]), claim="dy[i]/dx[j] = δ[i,j] * (2 - δ[i,0])")
    assert not verdict
    assert verdict.slip == "right at the given point only"


@pytest.mark.parametrize(("claim", "slip"), [
    ("dy[i]/dx[j] = 1", "δ left out"), (2 * np.eye(3), "constant factor"), (-np.eye(3), "sign"),
    (np.zeros((3, 3)), None), ("dy[i]/dx[i] = x[i]", "derivative not taken"),
])  # fmt: skip
def test_wrong_claims_about_the_identity(claim: Any, slip: str | None) -> None:
    verdict = jac.verify(lambda x: x, X, claim=claim)
    assert not verdict
    assert verdict.slip == slip


@pytest.mark.parametrize(("shape", "claim"), [
    ((0,), np.zeros((0, 0))), ((0,), "dy[i]/dx[j] = 2 * δ[i,j] * x[i]"), ((0,), "2*diag(x)"), ((0,), "dy[i]/dx[j] = 0"),
    ((0, 3), "dy[i,j]/dx[k,l] = 2 * δ[i,k] * δ[j,l] * x[i,j]"),
])  # fmt: skip
def test_claims_about_nothing(shape: tuple[int, ...], claim: Any) -> None:
    assert jac.verify(lambda x: x**2, np.zeros(shape), claim=claim)


def test_names_that_nobody_gave_are_those_of_the_jacobian() -> None:
    def likelihood(m: Any, S: Any, x: Any) -> Any:
        return -0.5 * (x - m) @ np.linalg.solve(S, x - m)

    args = np.array([0.1, 0.2]), np.array([[2.0, 0.3], [0.3, 1.0]]), np.array([1.0, 0.5])
    J = jac.jacobian(likelihood)(*args)
    assert "v4" in J.formula
    assert J.legend == ["v4 = solve(S, v3)", "v3 = x - m"]
    assert jac.verify(likelihood, *args, claim=J.formula)


def test_captured_arrays_keep_their_underscores() -> None:
    y_, _b = np.array([1.0, 2.0, 3.0]), 2 * X

    def f(x: Any) -> Any:
        return np.sum((x - y_) ** 2 * _b)

    assert jac.jacobian(f)(X).formula == "∂y/∂x[i] = 2 * b[i] * (x[i] - y_[i])"
    assert jac.verify(f, X, claim="2*(x-y_)*b")


def test_captured_arrays_may_be_named_of_a_second_derivative() -> None:
    A = np.sqrt(np.arange(9.0)).reshape(3, 3)

    def form(x: Any) -> Any:
        return x @ A @ x

    assert jac.verify(form, X, claim="A+A.T", kind="hessian")
    assert jac.verify(lambda x: np.sum((A @ x - 1) ** 2), X, claim="2*A.T@A", kind="hessian")
    assert "v1 = matmul(x, A)" in str(jac.trace(jac.jacobian(form), X))


MATRIX = np.arange(9.0).reshape(3, 3)
POINT = np.array([0.7, -1.2, 2.3])


@pytest.mark.parametrize(("f", "claim"), [
    (lambda x: MATRIX @ x if x[0] > 0 else MATRIX.T @ x, "dy[i]/dx[j] = MATRIX[i,j]"),
    (lambda x: 2 * x if x[0] > 0 else 3 * x, "dy[i]/dx[j] = 2*δ[i,j]"),
    (lambda x: x[int(np.argmax(x))] ** 2, "dy/dx[i] = 2*x[2]*δ[i,2]"),
    (lambda x: x**2 * (2 if x[1] < 0 else 5), "dy[i]/dx[j] = 4*x[i]*δ[i,j]"),
    (lambda x: x ** (2 if x[1] < 0 else 4), "dy[i]/dx[j] = 2*x[i]*δ[i,j]"),
    (lambda x: 2 * x[x > 0], "dy[i]/dx[j] = 2*(δ[i,0]*δ[j,0] + δ[i,1]*δ[j,2])"),
])  # fmt: skip
def test_another_course_may_differ_in_constants_alone(f: Any, claim: str) -> None:
    verdict = jac.verify(f, POINT, claim=claim)
    assert verdict
    assert verdict.condition == COURSE + WRONG


@pytest.mark.parametrize("seed", range(6))
def test_a_mask_that_is_right_here_is_no_slip(seed: int) -> None:
    A = np.random.default_rng(seed).normal(size=(3, 3))
    opened = 1.0 * (A @ POINT > 0)
    verdict = jac.verify(lambda x: np.sum(np.maximum(A @ x, 0)), POINT, claim=lambda x: opened @ A)
    assert verdict


@pytest.mark.parametrize(("entry", "slope"), [(0, 1), (1, -1), (2, 1)])
def test_an_entry_is_right_on_its_branch(entry: int, slope: int) -> None:
    verdict = jac.verify(np.abs, POINT, claim=f"dy[{entry}]/dx[{entry}] = {slope}")
    assert verdict.condition == f"where x has the signs that it has at the given point; {WRONG}"
    assert not jac.verify(np.abs, POINT, claim=f"dy[{entry}]/dx[{entry}] = {-slope}")


def test_names_are_those_of_one_input_or_of_all() -> None:
    def f(x: Any, b: Any) -> Any:
        return np.tanh(np.sinh(x) * np.cosh(b)) ** 2 * 1.0

    args = np.array([0.3, 0.8]), np.array([0.2, -0.4])
    every = jac.jacobian(f, (0, 1))(*args)
    for number in (0, 1):
        alone = jac.jacobian(f, number)(*args)
        assert jac.verify(f, *args, argnums=number, claim=every[number].formula)
        assert not jac.verify(f, *args, argnums=number, claim=every[number].formula + " * 2")
        assert alone.formula != every[number].formula
    assert jac.verify(f, *args, claim=jac.jacobian(f)(*args).formula.replace("c[i]", "cosh(b[i])"))
    assert "v1 = np.sinh(x)" in jac.derive(f, *args).code


def leaving(a: Any) -> Any:
    if np.any(a < 0):
        raise SystemExit("bad input")
    return np.sqrt(a) if a[0] > 0 else a


def test_a_function_may_leave_elsewhere() -> None:
    assert jac.verify(leaving, ROOTS, claim="1/(2*sqrt(a))")


@pytest.mark.parametrize(("claim", "text"), [
    ("dy[-1]/dx[2] = 5", "there is no position -1 on an axis of y that has 3\n  formula: dy[-1]/dx[2] = 5"),
    ("dy[1]/dx[True] = 5",
     "True is not a position\n  formula: dy[1]/dx[True] = 5\n  fix:     labels, whole numbers, +, - and *"),
])  # fmt: skip
def test_positions_that_are_none(claim: str, text: str) -> None:
    with pytest.raises(jac.errors.JacobianError) as caught:
        jac.verify(lambda x: MATRIX @ x, POINT, claim=claim)
    assert str(caught.value) == text


def test_entries_of_what_is_handed_on() -> None:
    assert jac.verify(lambda x: MATRIX @ x, POINT, claim="dL/dx[1] = G[i]*MATRIX[i,1]", kind="downstream")
    wrong = jac.verify(lambda x: MATRIX @ x, POINT, claim="dL/dx[1] = G[i]*MATRIX[1,i]", kind="downstream")
    assert (wrong.right_entries, wrong.entries) == (1, 3)


def test_of_entries_that_are_not_claimed_nothing_is_said() -> None:
    verdict = jac.verify(np.sqrt, np.array([0.0, 1.0, 4.0]), claim="dy[1]/dx[1] = 1/(2*sqrt(x[1]))")
    assert verdict.note == "nothing is claimed of the other 8 entries"
    wrong = jac.verify(lambda x: np.tanh(MATRIX @ x / 9), POINT, claim="dy[0]/dx[1] = x[1]")
    assert (wrong.right_entries, wrong.entries, wrong.slip) == (0, 1, None)
