"""An entry is judged by itself: not by the largest of its row, but by what rounding can have left of it."""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jacobian as jac
from jacobian.checking import diagnosis
from jacobian.checking.tolerance import Tolerance

# -- wrong, however small ---------------------------------------------------------------------------------------------

LARGE = [
    (
        lambda q: np.stack([2.1e11 * q[0], q[0] * q[1]]), np.array([1e-4, 2.0]),
        lambda q: np.array([[2.1e11, 0], [q[1], -q[0]]]), None,
    ),
    (lambda x: np.exp(-x), np.array([35.0, 1.0]), lambda x: np.diag(np.array([7.0, -1.0]) * np.exp(-x)), None),
    (lambda x: np.stack([1e9 * x[0], 1e-3 * x[1]]), np.array([1.0, 2.0]), "array([[1e9, 0], [0, 2e-3]])", None),
    (lambda q: 2e5 * q[0] + q[1] ** 2 / 2, np.array([0.1, 0.9]), [2e5, -0.9], 1e-2),
]  # fmt: skip


@pytest.mark.parametrize(("f", "x", "claim", "rtol"), LARGE, ids=["stiffness", "decay", "units", "rtol"])
def test_an_entry_that_is_small_beside_others_is_wrong_all_the_same(f: Any, x: Any, claim: Any, rtol: Any) -> None:
    verdict = jac.verify(f, x, claim=claim, rtol=rtol)
    assert verdict.verdict == "wrong"
    assert verdict.entries - verdict.right_entries == 1
    if callable(claim):
        assert not jac.verify(f, x, claim=claim(x), rtol=rtol)
    assert not jac.exercise(f, x).answer(claim, rtol=rtol)


def test_the_slip_in_a_small_entry_is_found() -> None:
    f, x, claim, _ = LARGE[0]
    assert jac.verify(f, x, claim=claim).slip == "sign"
    f, x, claim, _ = LARGE[2]
    assert jac.verify(f, x, claim=claim).slip == "constant factor"


def test_the_tolerance_is_that_of_the_entry() -> None:
    true = np.array([[1.0, 1e-3], [1e-8, 0.0]])
    tolerance = Tolerance()
    assert tolerance.same(true * (1 + 1e-7), true)
    assert not tolerance.same(true + [[0, 1e-8], [0, 0]], true)
    assert not tolerance.same(true + [[0, 0], [1e-13, 0]], true)
    assert tolerance.same(true + [[0, 0], [0, 1e-26]], true)
    assert not Tolerance(None, np.float64).same(np.array([[1 + 1e-5]]), np.array([[1.0]]))
    assert Tolerance(None, np.float32).same(np.array([[1 + 1e-5]]), np.array([[1.0]]))


# -- right, whatever cancels ------------------------------------------------------------------------------------------


def layer_norm(x: Any) -> Any:
    d = x - np.mean(x)
    return d / np.sqrt(np.mean(d**2) + 1e-5)


def of_layer_norm(x: Any) -> Any:
    n, s = len(x), np.sqrt(np.var(x) + 1e-5)
    h = (x - np.mean(x)) / s
    return (np.eye(n) - 1 / n - np.outer(h, h) / n) / s


def softmax(x: Any) -> Any:
    e = np.exp(x - np.max(x))
    return e / np.sum(e)


def logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def variance(x: Any) -> Any:
    return np.mean(x**2) - np.mean(x) ** 2


FORMS: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (
        logistic,
        (lambda x, y: np.diag(y * (1 - y)), lambda x: np.diag(np.exp(-x) / (1 + np.exp(-x)) ** 2),
         "dy[i]/dx[i] = y[i] - y[i]**2", "diag(exp(-x) * y**2)", lambda x: np.diag(1 / (2 + np.exp(x) + np.exp(-x)))),
    ),
    (
        np.tanh,
        (lambda y: np.diag(1 - y**2), lambda x: np.diag(1 / np.cosh(x) ** 2), "dy[i]/dx[i] = (1 - y[i])*(1 + y[i])",
         "diag(4 / (exp(x) + exp(-x))**2)", lambda x: np.diag(1 - np.tanh(x) ** 2)),
    ),
    (
        lambda x: np.sinh(x) / np.cosh(x),
        (lambda y: np.diag(1 - y**2), "diag(cosh(x)**-2)", "diag((cosh(x)**2 - sinh(x)**2)/cosh(x)**2)"),
    ),
    (
        softmax,
        (lambda y: np.diag(y) - np.outer(y, y), "dy[i]/dx[j] = y[i] * (δ[i,j] - y[j])",
         lambda x: np.diag(softmax(x)) - softmax(x)[:, None] * softmax(x), "(eye(5) - y[:, None]) .T * y[:, None]"),
    ),
    (lambda x: np.sum(softmax(x)), (lambda y: np.zeros(5), lambda x: softmax(x) - softmax(x) * np.sum(softmax(x)))),
    (layer_norm, (of_layer_norm, lambda x, y: (np.eye(5) - 0.2 - np.outer(y, y) / 5) / np.sqrt(np.var(x) + 1e-5))),
    (lambda x: np.sum(layer_norm(x)), (lambda x: of_layer_norm(x).sum(axis=0), lambda x: np.zeros(5))),
    (lambda x: np.sum(x - np.mean(x)), (lambda x: (np.eye(5) - 0.2).sum(axis=0), lambda x: np.zeros(5))),
    (
        variance,
        (lambda x: 2 * (x - np.mean(x)) / 5, "dy/dx[i] = 2*x[i]/5 - 2*mean(x)/5", lambda x: 0.4 * x - 0.4 * np.mean(x)),
    ),
    (
        lambda x: (x - 1) ** 3,
        (lambda x: np.diag(3 * (x - 1) ** 2), "dy[i]/dx[i] = 3*x[i]**2 - 6*x[i] + 3",
         lambda x: np.diag(3 * x * (x - 1) - 3 * (x - 1))),
    ),
    (lambda x: np.log1p(x**2), (lambda x: np.diag(2 * x / (1 + x**2)), "dy[i]/dx[i] = 2*x[i]*exp(-y[i])")),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(FORMS)))
@pytest.mark.parametrize("scale", [1e-3, 1.0, 20.0, 40.0])
def test_every_form_of_a_right_claim_is_right(number: int, scale: float) -> None:
    f, claims = FORMS[number]
    x = scale * np.array([1.0, -0.4, 0.03, 0.7, -1.1])
    for claim in claims:
        verdict = jac.verify(f, x, claim=claim)
        assert verdict, (claim, str(verdict))


DECADES = st.lists(st.integers(-12, 12), min_size=3, max_size=3)


@settings(max_examples=25, deadline=None)
@given(DECADES, DECADES, st.integers(0, 8), st.sampled_from([1 + 1e-4, 1 - 1e-4, -1.0, 0.0, 2.0]), st.integers(0, 99))
def test_one_wrong_entry_is_found_whatever_the_units(
    outputs: list[int], inputs: list[int], entry: int, times: float, seed: int
) -> None:
    units = 10.0 ** np.array(outputs), 10.0 ** np.array(inputs)
    rng = np.random.default_rng(seed)
    A, u = rng.choice([-1.0, 1.0], (3, 3)) * rng.uniform(0.5, 2, (3, 3)), rng.uniform(-2, 2, 3)

    def f(x: Any) -> Any:
        return units[0] * np.tanh(A @ (x / units[1]))

    def right(x: Any) -> Any:
        return units[0][:, None] * (1 - np.tanh(A @ (x / units[1])) ** 2)[:, None] * A / units[1]

    def wrong(x: Any) -> Any:
        return right(x) * np.where(np.arange(9).reshape(3, 3) == entry, times, 1.0)

    x = u * units[1]
    assert jac.verify(f, x, claim=right)
    assert jac.verify(f, x, claim=np.asarray(right(x)))
    for claim in (wrong, wrong(x)):
        with patch.object(diagnosis, "BUDGET", 0):  # no slip is looked for
            verdict = jac.verify(f, x, claim=claim)
        assert verdict.verdict == "wrong"
        assert verdict.right_entries == 8


def test_a_claim_of_which_rounding_leaves_nothing_says_so() -> None:
    verdict = jac.verify(logistic, 50.0, claim=lambda y: 7 * y * (1 - y))
    assert verdict
    assert verdict.note == "every entry is smaller than its rounding here: another point would say more"


def test_a_jump_is_not_taken_for_rounding() -> None:
    f = lambda x: np.where(x - np.mean(x) > 0, 5 * x, x)  # noqa: E731
    x = np.array([1.0, 1.0, 1.0, 4.0])
    assert jac.verify(f, x, claim=lambda x: np.diag(np.where(x > np.mean(x), 5.0, 1.0)))
    assert not jac.verify(f, np.full(3, 0.1), claim=lambda x: np.diag(np.where(x == np.max(x), 5.0, 2.0)))
    spread = lambda x: np.max(x * 3) - np.min(x)  # noqa: E731
    assert not jac.verify(spread, np.array([0.1, 0.2, 0.3]), claim=lambda x: 3.0 * (x == np.max(x)))


def test_an_array_may_hold_a_zero_for_what_nobody_sees() -> None:
    x = np.array([0.3, 40.0])
    y = logistic(x)
    assert jac.verify(logistic, x, claim=np.diag(y * (1 - y)))
    assert not jac.verify(logistic, x, claim=np.diag([0.0, np.exp(-40.0)]))
    assert not jac.verify(lambda x: np.exp(-x), x, claim=np.diag([-np.exp(-0.3), 0.0]))
