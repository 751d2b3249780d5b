"""Claims at a point where the derivative is infinite, or has no value: no crash, no raw warning, and it is told."""

from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.errors import NonFiniteError

X = np.array([0.0, 4.0])
INFINITE = "∂y[0]/∂x[0] is infinite"


@pytest.mark.parametrize(
    ("f", "x", "claim", "why"),
    [
        (np.sqrt, X, np.diag([0, 0.25]), INFINITE),
        (np.sqrt, X, np.diag([-np.inf, 0.25]), INFINITE),
        (np.sqrt, X, np.diag([np.nan, 0.25]), INFINITE),
        (np.cbrt, np.array([0.0, 8.0]), np.diag([0, 1 / 12]), INFINITE),
        (np.sqrt, 0.0, 3.0, "∂y/∂x is infinite"),
        (lambda x: -np.sqrt(x), X, np.diag([0, -0.25]), "∂y[0]/∂x[0] is minus infinity"),
        (lambda x: np.sqrt(np.abs(x)), X, np.diag([0, 0.25]), "∂y[0]/∂x[0] has no value"),
        (
            lambda x: np.ones((5, 2)) @ np.sqrt(x), X, np.ones((5, 2)),
            "∂y[0]/∂x[0] is infinite; ∂y[1]/∂x[0] is infinite; ∂y[2]/∂x[0] is infinite and 2 more",
        ),
    ],
)  # fmt: skip
def test_no_finite_number_is_right_there(f: Any, x: Any, claim: Any, why: str) -> None:
    verdict = jac.verify(f, x, claim=claim)
    assert verdict.verdict == "wrong"
    assert verdict.slip is None
    assert verdict.unexplained == f"{why}: no finite number is right there."


@pytest.mark.parametrize(
    ("claim", "kind"),
    [
        (np.diag([np.inf, 0.25]), "jacobian"),
        (lambda x: np.diag(0.5 / np.sqrt(x)), "jacobian"),
        ("diag(0.5/sqrt(x))", "jacobian"),
        ("dy[i]/dx[j] = δ[i,j]*0.5/sqrt(x[i])", "jacobian"),
        (lambda x, G: G * 0.5 / np.sqrt(x), "downstream"),
    ],
)
def test_infinity_is_right_there_in_every_form(claim: Any, kind: str) -> None:
    verdict = jac.verify(np.sqrt, X, claim=claim, kind=kind)
    assert verdict.verdict == "right"
    assert "is infinite, as claimed" in verdict.note


def test_what_is_wrong_elsewhere_is_still_found() -> None:
    verdict = jac.verify(np.sqrt, X, claim=lambda x: np.diag(-0.5 / np.sqrt(x)))
    assert verdict.slip == "sign"
    assert verdict.note == f"{INFINITE}: no finite number is right there"
    second = jac.verify(lambda x: np.sum(x**1.5), X, claim=np.diag([0, 0.375]), kind="hessian")
    assert second.unexplained == "∂(∂y/∂x)[0]/∂x[0] is infinite: no finite number is right there."


def test_infinity_is_no_claim_where_the_derivative_is_finite() -> None:
    with pytest.raises(NonFiniteError) as error:
        jac.verify(np.sin, X, claim=np.diag([np.inf, 1.0]))
    assert str(error.value) == "the claim holds 1 value that is not finite\n  first: claim[0,0] = inf"
