"""What is said of a wrong claim makes sense: no factor of 1, no advice where nothing depends on it, no long search."""

from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.checking import diagnosis
from jacobian.checking.proportions import number
from jacobian.errors import ArgumentError

X = np.array([1.0, 2.0, 3.0])


def square(x: Any) -> Any:
    return x**2


def with_stray(J: Any, index: tuple[int, ...], value: float) -> Any:
    J = np.array(J)
    J[index] = value
    return J


@pytest.mark.parametrize("value", [1e-13, 0.7])
def test_a_stray_number_is_named(value: float) -> None:
    verdict = jac.verify(square, X, claim=with_stray(np.diag(2 * X), (2, 0), value))
    assert verdict.slip is None
    assert verdict.unexplained == (
        "∂y[2]/∂x[0] is zero by structure, but not in the claim; all other entries are right."
    )


def test_of_a_matrix_too() -> None:
    J = jac.jacobian(lambda W: np.tanh(W @ X))(np.eye(3)).tensor()
    verdict = jac.verify(lambda W: np.tanh(W @ X), np.eye(3), claim=with_stray(J, (0, 1, 2), 1e-13))
    assert verdict.slip is None
    assert verdict.unexplained == (
        "∂y[0]/∂W[1,2] is zero by structure, but not in the claim; all other entries are right."
    )


@pytest.mark.parametrize(
    ("c", "rtol", "text", "inverse"),
    [(3e-6, None, "1.000003", "0.999997"), (3e-9, 1e-10, "1.000000003", "0.999999997")],
)
def test_a_factor_is_never_written_as_one(c: float, rtol: float | None, text: str, inverse: str) -> None:
    verdict = jac.verify(square, X, claim=np.diag(2 * X * (1 + c)), rtol=rtol)
    assert str(verdict.diagnosis) == (
        f"The claim is {text} times ∂y[i]/∂x[j]: the constant factor {inverse} is missing; multiply by {inverse}."
    )
    claimed, true = verdict.entry_text(verdict.worst[0]).split(" is claimed, but it is ")
    assert claimed.rpartition(" = ")[2] != true


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (-0.5, "-1/2"), (0.123456789, "0.123457"), (1 + 3e-6, "1.000003"), (-1 - 4e-8, "-1.00000004")],
)
def test_numbers_have_as_many_digits_as_are_needed(value: float, text: str) -> None:
    assert number(value) == text


def test_nothing_is_advised_where_the_derivative_cancels() -> None:
    def ce(z: Any) -> Any:
        p = np.exp(z - z.max())
        p = p / p.sum()
        return -np.log(p[1])

    verdict = jac.verify(ce, np.array([0.3, 1.0, -2.0]), claim="exp(z)/sum(exp(z))")
    assert verdict.verdict == "wrong"
    assert "v1" not in str(verdict.diagnosis)
    verdict = jac.verify(ce, np.array([0.2, 1.0, -0.4]), claim="exp(z)/sum(exp(z))")
    assert verdict.verdict == "wrong"
    assert "times" not in str(verdict.diagnosis)


def test_a_search_counts_what_it_compares(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    same = diagnosis.Suspect.same

    def counted(self: Any, *args: Any, **kwargs: Any) -> bool:
        nonlocal asked
        asked += 1
        return same(self, *args, **kwargs)

    monkeypatch.setattr(diagnosis.Suspect, "same", counted)
    rng = np.random.default_rng(0)
    Y = rng.normal(size=(12, 12))
    assert not jac.verify(lambda A: np.linalg.inv(A) @ Y @ A, Y, claim=rng.normal(size=(12, 12, 12, 12)))
    assert asked < 10_000


@pytest.mark.parametrize("more", [(), (np.eye(3),)])
def test_a_claim_has_to_be_named(more: Any) -> None:
    with pytest.raises(ArgumentError) as error:
        jac.verify(square, X, *more)
    assert str(error.value) == (
        f"verify: there is no claim\n  arguments: {1 + len(more)}\n"
        "  fix:       jac.verify(f, x, claim=C): an array without the name is an argument of f"
    )


# -- what is nothing is written as 0 -----------------------------------------------------------------------------------


def test_what_rounding_leaves_of_nothing_is_0() -> None:
    W = np.ones((3, 3))
    verdict = jac.verify(lambda x: jac.ops.softmax(W @ x), np.array([0.3, 0.7, 1.2]), claim="dy[i]/dx[j] = y[i]")
    assert [entry.true for entry in verdict.worst] == [0.0] * 9
    assert verdict.entry_text(verdict.worst[0]).endswith("is claimed, but it is 0")


def test_where_large_terms_cancel_what_is_left_is_0() -> None:
    def f(x: Any) -> Any:
        return 1e6 * (np.sin(x) ** 2 + np.cos(x) ** 2)

    verdict = jac.verify(f, np.array([0.3, 0.7, 1.2]), claim=np.eye(3))
    assert {entry.true for entry in verdict.worst} == {0.0}
    assert verdict.entry_text(verdict.worst[0]) == "∂y[0]/∂x[0] = 1 is claimed, but it is 0"


def test_a_small_number_that_is_no_rounding_is_shown() -> None:
    verdict = jac.verify(lambda x: 1e-12 * x, X, claim=np.eye(3))
    assert verdict.entry_text(verdict.worst[0]) == "∂y[0]/∂x[0] = 1 is claimed, but it is 1e-12"
    claimed = jac.verify(np.positive, X, claim=1e-17 * np.eye(3))
    assert claimed.entry_text(claimed.worst[0]) == "∂y[0]/∂x[0] = 0 is claimed, but it is 1"


def test_a_path_over_which_nothing_comes_is_0() -> None:
    verdict = jac.verify(lambda x: np.var(np.tanh(x)), np.array([0.3, 0.7, 1.2]), claim=np.cos)
    assert verdict.unexplained.splitlines()[2] == "           0  y ← y.power ← y.subtract ← μ ← v1 ← x"


# -- names that nobody gave are explained ------------------------------------------------------------------------------


def of_several_lines(x: Any) -> Any:
    a = np.sin(x)
    b = np.sum(a * np.exp(-x)) + np.sum(x**2)
    return b / (1 + np.sum(a))


def test_a_verdict_says_what_its_names_are_and_on_which_line() -> None:
    verdict = jac.verify(of_several_lines, np.array([0.3, 0.7, 1.2]), claim=np.cos)
    first = of_several_lines.__code__.co_firstlineno
    assert "v10" in str(verdict.diagnosis)
    assert f"v10 = 1 + v9 (line {first + 3})" in verdict.legend
    assert f"v9 = sum(a) (line {first + 3})" in verdict.legend
    assert not any(line.startswith(("a =", "b =", "x =")) for line in verdict.legend)


def test_of_one_line_no_line_is_told_and_of_names_alone_nothing() -> None:
    verdict = jac.verify(lambda x: np.sin(x**2), X, claim=lambda x: np.diag(np.cos(2 * x)))
    assert verdict.legend == ("v1 = x**2",)
    assert str(verdict).splitlines()[-1] == "  where    v1 = x**2"
    assert jac.verify(square, X, claim=np.diag(X)).legend == ()


def test_names_of_smaller_steps_and_of_arrays_without_a_name_are_told() -> None:
    verdict = jac.verify(lambda x: jac.ops.softmax(x + np.array([1.0, 2, 3])), X, claim="dy[i]/dx[j] = δ[i,j] * y[i]")
    assert verdict.legend == (
        "e = exp(s)", "Z = sum(e, axis=-1, keepdims=True)", "s = v1 - max(v1)", "v1 = x + c", "c = [1, 2, 3]",
    )  # fmt: skip
