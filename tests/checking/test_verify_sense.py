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
