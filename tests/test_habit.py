"""Tensors come with the call where callers always ask for them, and data need not be read once more for that."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian import replay
from jacobian.habit import ENOUGH, Habit
from jacobian.script import Script
from jacobian.tracing.snapshots import BORROWED

pytestmark = pytest.mark.usefixtures("no_scripts")

RNG = np.random.default_rng(3)
W = RNG.normal(size=(200, 100)) / 10
V = RNG.normal(size=(300, 200)) / 10
X = RNG.normal(size=100)
assert W.nbytes >= BORROWED and V.nbytes >= BORROWED


def layers(x: Any, W: Any, V: Any) -> Any:
    return V @ np.tanh(W @ x)


def script() -> Script:
    (kind,) = (kind for kind in replay.SCRIPTS if kind.scripts)
    return kind.scripts[0]


def by_hand(x: np.ndarray, W: np.ndarray, V: np.ndarray) -> np.ndarray:
    return (V * (1 - np.tanh(W @ x) ** 2)) @ W


def test_a_habit_is_a_row_of_calls_whose_tensors_were_all_asked_for() -> None:
    habit = Habit(2)
    for asked, expected in ((2, False), (2, False), (2, True), (3, True), (1, False), (2, False)):
        habit.asked = asked
        assert habit.after_a_call() is expected
    for position in range(2 * ENOUGH - 1):  # having ended, it takes twice as long
        habit.asked = 2
        assert habit.after_a_call() is (position == 2 * ENOUGH - 2)


def test_tensors_that_are_always_asked_for_come_with_the_call() -> None:
    g = jac.jacobian(layers)
    formula = g(X, W, V).formula
    for k in range(3 + ENOUGH):
        np.testing.assert_allclose(g(X * k, W, V), by_hand(X * k, W, V), rtol=1e-12, atol=1e-14)
    assert script().is_at_once
    J = g(X, W, V)
    np.testing.assert_allclose(J, by_hand(X, W, V), rtol=1e-12, atol=1e-14)
    assert J.formula == formula


def test_data_that_changes_after_the_call_changes_no_jacobian() -> None:
    g, data = jac.jacobian(layers), W.copy()
    for k in range(2 + 2 * ENOUGH):
        data[0] += 1.0
        expected = by_hand(X, data, V)
        J = g(X, data, V)
        if k > 1 + ENOUGH:
            assert script().is_at_once
            data[1] -= 1.0
        np.testing.assert_allclose(J, expected, rtol=1e-11, atol=1e-14)


def test_who_does_not_ask_is_not_made_to_wait() -> None:
    g = jac.jacobian(layers)
    for _ in range(3 + ENOUGH):
        np.asarray(g(X, W, V))
    assert script().is_at_once
    for _ in range(2):
        g(X, W, V)
    assert not script().is_at_once
    np.testing.assert_allclose(g(X, W, V) @ X, by_hand(X, W, V) @ X, rtol=1e-12, atol=1e-14)
    for _ in range(ENOUGH + 1):
        np.asarray(g(X, W, V))
    assert not script().is_at_once


def test_jacobians_that_are_collected_before_they_are_looked_at_are_computed_later() -> None:
    g = jac.jacobian(layers)
    found = [g(X * k, W, V) for k in range(8)]
    assert not script().is_at_once
    for k, J in enumerate(found):
        np.testing.assert_allclose(J, by_hand(X * k, W, V), rtol=1e-12, atol=1e-14)


def test_what_would_have_to_be_copied_is_compared_instead() -> None:
    """The Jacobian of a linear map is the matrix itself, which the user may change."""
    g, data = jac.jacobian(lambda x, W: W @ x), RNG.normal(size=(1400, 100))
    for _ in range(4 + 4 * ENOUGH):
        J = g(X, data)
        expected = data.copy()
        data[0, 0] += 1.0
        np.testing.assert_array_equal(J, expected)
    assert not script().is_at_once


def test_small_arrays_are_compared_as_ever() -> None:
    g = jac.jacobian(lambda x, W: np.outer(np.tanh(W @ x), np.ones(500)))
    for _ in range(3 + ENOUGH):
        np.asarray(g(X[:40], W[:40, :40]))
    assert not script().is_at_once
