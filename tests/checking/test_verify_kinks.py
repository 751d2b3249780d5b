"""Claims at a point that lies on a kink: a mixture of the derivatives beside it is right, and the verdict says so."""

import warnings
from typing import Any

import numpy as np
import pytest

import jacobian as jac

ON = np.array([0.0, -2.0])
TIED = np.array([2.0, 2.0])
AS_GOOD = "on a kink, where any mixture of the derivatives beside it is right: "
FIRST = "max is not differentiable here; the first of the equal entries is taken"
TAKEN = "(maximum is not differentiable at entry [0]; one half for each is taken)"


def relu(x: Any) -> Any:
    return np.maximum(x, 0)


@pytest.mark.parametrize(
    ("f", "x", "claim", "note"),
    [
        (
            relu, ON, lambda x: np.diag((x > 0) * 1.0),
            f"{AS_GOOD}∂y[0]/∂x[0] is between 0 and 1, 0 is claimed, 0.5 is taken {TAKEN}",
        ),
        (
            relu, ON, "dy[i]/dx[i] = where(x[i] >= 0, 1, 0)",
            f"{AS_GOOD}∂y[0]/∂x[0] is between 0 and 1, 1 is claimed, 0.5 is taken {TAKEN}",
        ),
        (
            np.max, TIED, [0.5, 0.5],
            (
                f"{AS_GOOD}∂y/∂a[0] is between 0 and 1, 0.5 is claimed, 1 is taken; ∂y/∂a[1] is between 0 and 1, "
                f"0.5 is claimed, 0 is taken ({FIRST})"
            ),
        ),
        (np.max, TIED, [1.0, 0.0], f"on a kink: {FIRST}"),
        (
            lambda x: np.where(x > 0, x**2, 3 * x), ON, lambda x: np.diag(np.where(x >= 0, 2 * x, 3.0)),
            f"{AS_GOOD}∂y[0]/∂x[0] is between 0 and 3, 0 is claimed, 3 is taken",
        ),
        (
            lambda x: np.abs(x[0]) + x[1] ** 2, ON, [1.0, -4.0],
            (
                f"{AS_GOOD}∂y/∂x[0] is between -1 and 1, 1 is claimed, 0 is taken "
                "(absolute is not differentiable here; 0 is taken)"
            ),
        ),
    ],
)  # fmt: skip
def test_a_mixture_of_the_derivatives_beside_a_kink_is_right(f: Any, x: Any, claim: Any, note: str) -> None:
    verdict = jac.verify(f, x, claim=claim)
    assert verdict.verdict == "right"
    assert verdict.condition == ""
    assert verdict.note == note


@pytest.mark.parametrize(
    ("f", "x", "claim", "why"),
    [
        (
            relu, ON, np.diag([2.0, 0.0]),
            (
                "It lies on a kink, where any mixture of the derivatives beside it is right: "
                f"∂y[0]/∂x[0] is between 0 and 1, 2 is claimed, 0.5 is taken {TAKEN}."
            ),
        ),
        (
            np.max, TIED, [1.0, 1.0],
            (
                "It lies on a kink, where any mixture of the derivatives beside it is right: "
                f"∂y/∂a[1] is between 0 and 1, 1 is claimed, 0 is taken ({FIRST})."
            ),
        ),
    ],
)  # fmt: skip
def test_what_is_no_such_mixture_is_wrong_and_no_slip(f: Any, x: Any, claim: Any, why: str) -> None:
    verdict = jac.verify(f, x, claim=claim)
    assert verdict.verdict == "wrong"
    assert verdict.slip is None
    assert verdict.unexplained == why


def test_what_is_wrong_beside_the_kink_is_still_found() -> None:
    verdict = jac.verify(lambda x: np.abs(x[0]) + x[1] ** 2, ON, claim=[0.3, 4.0])
    assert verdict.slip == "sign"
    assert verdict.right_entries == 1
    everywhere = jac.verify(relu, ON, claim=lambda x: 2 * np.diag((x >= 0) * 1.0))
    assert everywhere.slip == "constant factor"
    assert everywhere.note == f"on a kink: ∂y[0]/∂x[0] is between 0 and 1, 2 is claimed, 0.5 is taken {TAKEN}"


def test_a_verdict_tells_of_kinks_instead_of_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert jac.verify(relu, ON, claim=lambda x: np.diag((x > 0) * 1.0))
        assert not jac.verify(relu, ON, claim=lambda x: np.diag((x > 0) * 3.0))
        assert not jac.verify(relu, ON, claim=np.ones((2, 2)))
        assert jac.verify(lambda x: np.sum(relu(x) ** 2), ON, claim=np.zeros((2, 2)), kind="hessian")
