"""Comparisons that only decide entry by entry do not keep a call from being played."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.tracing.run import run
from tests.test_free import plays, traced
from tests.written import texts_of

pytestmark = pytest.mark.usefixtures("no_scripts")


def huber(r: Any) -> Any:
    return np.mean(np.where(np.abs(r) <= 1.0, 0.5 * r**2, np.abs(r) - 0.5))


COMPUTING: dict[str, Callable[[Any], Any]] = {
    "huber": huber,
    "relu": lambda x: np.where(x > 0, x, 0.0),
    "product": lambda x: x * (x > 0),
    "count": lambda x: x * np.sum(x > 0),
    "reflected": lambda x: np.less(0, x) * x + (1.0 - (x > 0)) * np.sin(x),
    "and": lambda x: np.where((x > 0) & (x < 1), x**2, 0.1 * x),
    "or, not": lambda x: np.where(~(x > 0.5) | (x == 2), x**2, 3 * x),
    "xor": lambda x: np.where((x > 0) ^ (x[::-1] > 0), x**2, 3 * x),
    "with a plain one": lambda x: np.where(np.array([True, False, True, False, True]) & (x > 0), x, 0),
    "logical": lambda x: np.where(np.logical_and(x > -1, np.logical_not(x > 2)), np.sin(x), x),
    "between entries": lambda x: np.where(x > x[::-1], x, x[::-1]),
    "with a reduction": lambda x: np.sum(np.where(x > np.mean(x), x, 0 * x)),
    "nested": lambda x: np.where(x > 1, x**2, np.where(x < -1, -x, x**3)),
    "constants": lambda x: x * np.where(x > 0, 1.0, -2.0),
    "a condition of numbers": lambda x: np.where(np.maximum(x, 0), x**2, 1.0 + x),
    "one number": lambda x: np.where(x[0] > x[1], x[0] * x, x[1] * x),
    "select": lambda x: np.select([x > 1, x < -1], [x**2, -x], x),
    "finite": lambda x: np.where(np.isfinite(x), x, 0.0) ** 2,
    "astype": lambda x: x * (x > 0).astype(float),
    "mean": lambda x: np.mean((x > 0) * x) / (1 + np.mean(x > 0)),
}
LOOKING: dict[str, Callable[[Any], Any]] = {
    "if": lambda x: x if x[0] > 0 else 2 * x,
    "and of two": lambda x: x if x[0] > 0 and x[1] > 0 else 2 * x,
    "any": lambda x: x if np.any(x > 0) else 2 * x,
    "all": lambda x: x * (2 if (x > -9).all() else 3),
    "float": lambda x: x * float((x > 0)[0]),
    "constants that leave": lambda x: x * float(np.where(x > 0, 1.0, 2.0)[0]),
    "list": lambda x: x * len([True for one in (x > 0) if one]),
    "index": lambda x: np.sum(x[x > 0]),
    "nonzero": lambda x: np.sum(x[np.flatnonzero(x > 0)]),
    "array": lambda x: np.where(np.asarray(x > 0), x, 2 * x) if isinstance(x, np.ndarray) else x,
    "text": lambda x: x * len(str(x > 0)),
}


@pytest.mark.parametrize("name", [*COMPUTING, *LOOKING])
def test_numbers_and_formulas_are_those_of_tracing(name: str) -> None:
    f = (COMPUTING | LOOKING)[name]
    rng = np.random.default_rng(1)
    for _ in range(8):
        x = rng.normal(size=5) * 1.5
        (value, J), (expected, other) = jac.value_and_jacobian(f)(x), traced(f, x)
        np.testing.assert_allclose(value, expected, rtol=1e-13)
        np.testing.assert_allclose(np.asarray(J), np.asarray(other), rtol=1e-13)
        assert J.dtype == other.dtype
    assert J.formula == other.formula
    assert plays() == (6 if name in COMPUTING else 0)


def test_with_free_numbers() -> None:
    def f(x: Any, level: float, weights: Any) -> Any:
        return np.where(x > level, weights * x, level)

    rng = np.random.default_rng(1)
    for _ in range(6):
        args = rng.normal(size=4), float(rng.normal()), rng.normal(size=4)
        np.testing.assert_array_equal(jac.jacobian(f)(*args).tensor(), traced(f, *args)[1].tensor())
    assert plays() == 4


def test_one_who_looks_at_what_is_free_plays_for_equal_ones() -> None:
    def f(x: Any, level: float) -> Any:
        return np.where(x > 0, x, level * x) if level > 0 else x

    x = np.array([1.0, -1.0])
    for level in (0.5, 0.5, 0.5, 0.5, -0.5, 0.5):
        expected = np.diag([1.0, level if level > 0 else 1.0])
        np.testing.assert_array_equal(jac.jacobian(f)(x, level).tensor(), expected)
    assert plays() >= 2


def test_large_results_and_second_order() -> None:
    def f(x: Any) -> Any:
        return np.where(x > 0, x[:, None] * x**2, np.sin(x))

    rng = np.random.default_rng(1)
    for _ in range(4):
        x = rng.normal(size=20)
        np.testing.assert_allclose(jac.jacobian(f)(x).tensor(), traced(f, x)[1].tensor(), rtol=1e-13)
    assert plays() == 2
    hessian = jac.hessian(huber)
    for _ in range(3):
        x = rng.normal(size=4) * 2
        np.testing.assert_allclose(hessian(x).tensor(), np.diag((np.abs(x) <= 1) / 4))


def test_as_a_rule_a_comparison_is_a_plain_array() -> None:
    kinds: list[type] = []

    def f(x: Any) -> Any:
        kinds.append(type(x > 0))
        return np.where(x > 0, x, 0)

    recording = run(f, [0], [np.ones(2)], {})
    assert kinds == [np.ndarray]
    assert recording.graph.seen
    assert not run(f, [0], [np.ones(2)], {}, free=()).graph.seen


CHOICES: dict[str, Callable[[Any], Any]] = {
    "two functions": lambda x: np.where(x > 0.1, np.exp(-x), 1 / (1 + x**2)),
    "a slope": lambda x: np.where(x > 0.1, x, 0.3 * x),
    "numbers": lambda x: np.where(x > 0.1, 2 * x, -3 * x),
    "one of them constant": lambda x: np.sum(np.where(x > 0.1, np.sin(x), 1.0) * x),
    "two conditions": lambda x: np.where(x > 0.1, x**2, 3 * x) * np.where(x > 0.6, x, np.cos(x)),
    "a row": lambda x: np.where((x > 0.1)[None, :], x * x[:, None], x - x[:, None]),
}


@pytest.mark.parametrize("name", CHOICES)
def test_what_is_kept_on_either_side_of_a_condition(name: str) -> None:
    f, x = CHOICES[name], np.array([-1.3, 0.2, 0.7, -0.4, 1.9])
    g = jac.jacobian(f)
    for k in range(5):
        expected = np.asarray(jac.jacobian(f, order="forward")(x * (1 + k)))
        np.testing.assert_allclose(g(x * (1 + k)), expected, rtol=1e-13, atol=1e-13)


def test_a_sum_of_masked_products_is_a_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.linspace(-2, 2, 50)
    (text,) = texts_of(jac.jacobian(lambda x: np.sum(np.where(x > 0.1, np.exp(x), x**2))), x, monkeypatch=monkeypatch)
    assert "where" in text and "logical_not" not in text
    (text,) = texts_of(jac.jacobian(CHOICES["a slope"]), x, monkeypatch=monkeypatch)
    assert "(1.0), (0.3))" in text


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_derivative_that_is_infinite_where_it_is_not_kept_is_told_as_ever() -> None:
    def f(x: Any) -> Any:
        return np.where(x > 0, np.sqrt(np.abs(x)), 2 * x)

    g = jac.jacobian(f)
    for k in range(4):
        g(np.array([1.0, -2.0, 3.0]) + k / 8)
    with pytest.warns(jac.errors.JacobianWarning) as played:
        found = np.asarray(g(np.array([1.0, 0.0, 3.0])))
    with pytest.warns(jac.errors.JacobianWarning) as first:
        expected = np.asarray(jac.jacobian(f, order="forward")(np.array([1.0, 0.0, 3.0])))
    np.testing.assert_array_equal(found, expected)
    told = [{str(one.message) for one in told if "program" not in one.filename} for told in (played, first)]
    assert told[0] == told[1] and len(told[0]) == 3  # the kink, what is infinite, and the entry that is NaN for that
