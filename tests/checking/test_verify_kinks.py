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
                "It lies on a kink, where any mixture of the derivatives beside it is right; the entries lie between "
                "these, but together they are no mixture: ∂y/∂a[0] is between 0 and 1, 1 is claimed, 1 is taken; "
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


@pytest.mark.parametrize(
    ("f", "claim"),
    [
        (lambda x: 1e6 * np.maximum(x, 0) ** 2, np.diag([3e-3, 2e6, 0])),
        (lambda x: x * np.abs(x), np.diag([5e-9, 2, 4])),
        (lambda x: np.abs(x) ** 1.5, np.diag([1e-5, 1.5, -1.5 * np.sqrt(2)])),
    ],
)
def test_where_derivatives_come_together_at_the_point_there_is_no_kink(f: Any, claim: Any) -> None:
    x = np.array([0.0, 1.0, -2.0])
    verdict = jac.verify(f, x, claim=claim)
    assert verdict.verdict == "wrong"
    assert "between" not in str(verdict)
    assert jac.verify(f, x, claim=np.where(np.abs(claim) < 0.1, 0, claim))


NO_MIXTURE = "; the entries lie between these, but together they are no mixture: "


@pytest.mark.parametrize(
    ("f", "x", "wrong", "right"),
    [
        (
            lambda x: np.stack([np.abs(x[0]), np.abs(x[0])]), np.array([0.0, 1.0]), [[1, 0], [-1, 0]],
            [[0.3, 0], [0.3, 0]],
        ),
        (
            np.sort, np.array([2.0, 1, 2]), [[0, 1, 0], [1, 0, 0], [1, 0, 0]],
            [[0, 1, 0], [0.5, 0, 0.5], [0.5, 0, 0.5]],
        ),
        (np.linalg.norm, np.zeros(2), [0.9, 0.9], [0.6, 0.8]),
        (lambda x: np.sqrt(np.sum(x**2)), np.zeros(2), [0.6, 0.9], [0.6, 0.8]),
        (np.linalg.norm, np.zeros(3), [0.6, 0.8, 0.01], [0.6, 0.0, -0.8]),
    ],
)  # fmt: skip
def test_all_entries_of_a_claim_are_one_mixture(f: Any, x: Any, wrong: Any, right: Any) -> None:
    verdict = jac.verify(f, x, claim=np.array(wrong, float))
    assert verdict.verdict == "wrong"
    assert verdict.slip is None
    assert verdict.unexplained.startswith(f"It lies on a kink, where {AS_GOOD[17:-2]}{NO_MIXTURE}")
    assert jac.verify(f, x, claim=np.array(right, float)).verdict == "right"


def test_with_many_derivatives_beside_the_point_parts_and_rows_are_looked_at_one_by_one() -> None:
    W = np.random.default_rng(1).normal(size=(10, 10))
    by_row = AS_GOOD.replace(": ", ", which is looked at row by row: ")
    right = jac.verify(lambda x: relu(W @ x), np.zeros(10), claim=W)
    assert right.verdict == "right"
    assert right.note.startswith(by_row)
    assert not jac.verify(lambda x: relu(W @ x), np.zeros(10), claim=1.2 * W)
    each = jac.verify(relu, np.zeros(10), claim=np.diag(np.linspace(0, 1, 10)))  # every entry is a part by itself
    assert each.verdict == "right"
    assert each.note.startswith(AS_GOOD.replace(": ", ", which is looked at part by part: "))


def test_where_the_chain_rule_gives_no_value_a_kink_is_one_all_the_same() -> None:
    assert jac.verify(lambda x: np.sqrt(np.sum(x**2)), np.zeros(1), claim=[0.5]).note == (
        f"{AS_GOOD}∂y/∂x[0] is between -1 and 1, 0.5 is claimed, the chain rule gives no value"
    )
