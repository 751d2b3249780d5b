"""NumPy functions written as what they are made of: the same numbers, by less."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from jacobian.kernel.code import Code
from jacobian.kernel.recorded import Recorded

X = np.random.default_rng(0).normal(size=(3, 4, 5))


def written(f: Callable[[Any], Any], x: np.ndarray) -> tuple[str, Any]:
    """The program for a function of one array, and what it gives."""
    code = Code()
    x_symbol = Recorded(code, "x", x)
    text = code.text(["x"], [f(x_symbol).name])
    return text, code.compile(text)(x)


@pytest.mark.parametrize("f", [
    np.sum, np.prod, np.max, np.min, np.mean, lambda x: np.mean(x, axis=1), lambda x: np.sum(x, axis=(0, -1)),
    lambda x: np.max(x, -1, keepdims=True), lambda x: np.mean(x, axis=(1, 2), keepdims=True),
    lambda x: np.roll(x, 2, axis=1), lambda x: np.roll(x, -7, 0), lambda x: np.roll(x[0, 0], 3),
    lambda x: np.sum(x, axis=()), lambda x: np.mean(x, axis=()),
])  # fmt: skip
def test_the_same_by_what_it_is_made_of(f: Callable[[Any], Any]) -> None:
    text, found = written(f, X)
    expected = f(X)
    assert any(word in text for word in ("_reduce", "concatenate"))
    assert type(found) is type(expected)
    assert found.dtype == expected.dtype
    assert_array_equal(found, expected)


@pytest.mark.parametrize(("f", "x"), [
    (lambda x: np.sum(x, where=x > 0), X), (lambda x: np.max(x, initial=3.0), X),
    (lambda x: np.sum(x, dtype=np.float32), X), (np.mean, X.astype(np.float32)), (np.mean, X > 0),
    (lambda x: np.roll(x, (1, 2), (0, 1)), X), (lambda x: np.roll(x, 1), X), (lambda x: np.roll(x, 6, axis=0), X),
])  # fmt: skip
def test_left_as_it_is_where_it_does_more(f: Callable[[Any], Any], x: np.ndarray) -> None:
    text, found = written(f, x)
    assert "_reduce" not in text
    assert "concatenate" not in text
    assert found.dtype == f(x).dtype
    assert_array_equal(found, f(x))


def test_a_roll_by_nothing_is_a_copy() -> None:
    x = X.copy()
    assert not np.shares_memory(written(lambda a: np.roll(a, 3, axis=0), x)[1], x)


@pytest.mark.parametrize("count", range(2, 8))
@pytest.mark.parametrize("f", [np.sum, np.mean, np.max, np.prod])
def test_many_short_rows_are_taken_column_by_column(f: Any, count: int) -> None:
    x = np.random.default_rng(count).normal(size=(50, 64, count))
    for keepdims in (False, True):
        text, found = written(lambda a: f(a, axis=-1, keepdims=keepdims), x)  # noqa: B023 - called at once
        assert "_reduce" not in text
        assert_array_equal(found, f(x, axis=2, keepdims=keepdims))


def test_few_or_long_rows_are_reduced() -> None:
    for x in (np.ones((20, 3)), np.ones((1000, 8)), np.ones((1000, 1))):
        assert "add_reduce" in written(lambda a: np.sum(a, axis=-1), x)[0]


@pytest.mark.parametrize(("one", "other"), [(1.0, 0.0), (0.0, 0.5), (-1.0, 0.0), (1.0, 2.0), (0.0, 0.0), (1, 0)])
def test_numbers_by_a_condition(one: float, other: float) -> None:
    text, found = written(lambda a: np.where(a > 0, one, other), X)
    assert ("where" in text) == ((one, other) not in [(1.0, 0.0), (0.0, 0.5)] or type(one) is int)
    assert found.dtype == np.where(X > 0, one, other).dtype
    assert_array_equal(found, np.where(X > 0, one, other))


@pytest.mark.parametrize("f", [
    lambda a: np.where(a > 0, 1.0, 0.0), lambda a: np.where(a > 0, a, 0.5),
    lambda a: np.where(a > 0, 1.0, np.where(a == 0, 0.5, 0.0)),
])  # fmt: skip
def test_one_of_two_numbers_is_chosen_by_python(f: Callable[[Any], Any]) -> None:
    for number in (-1.0, 0.0, 2.0):
        text, found = written(f, np.float64(number))
        assert "where" not in text
        assert type(found) is np.float64
        assert found == f(number)


def test_other_kinds_of_numbers_are_chosen_by_numpy() -> None:
    text, found = written(lambda a: np.where(a > 0, 1, 2), np.float64(3.0))
    assert "where" in text
    assert found.dtype == np.where(True, 1, 2).dtype


@pytest.mark.parametrize("exponent", [3, 4, 5, 6, 7, 8, 3.0])
def test_powers_by_squares(exponent: float) -> None:
    text, found = written(lambda a: a**exponent, X)
    assert f"** ({exponent!r})" not in text
    np.testing.assert_allclose(found, X**exponent, rtol=4e-15)


@pytest.mark.parametrize(("x", "exponent"), [
    (X, 9), (X, -3), (np.abs(X), 2.5), (np.float64(2.0), 3), (X.astype(int), 3),
])  # fmt: skip
def test_other_powers_are_left_as_they_are(x: np.ndarray, exponent: float) -> None:
    text, found = written(lambda a: a**exponent, x)
    assert f"** ({exponent!r})" in text
    assert_array_equal(found, x**exponent)


def test_stacks_along_the_first_axis_are_made_by_array() -> None:
    for f in (lambda a: np.stack([a, 2 * a]), lambda a: np.stack((a, a, a), axis=0)):
        text, found = written(f, X)
        assert "stack" not in text
        assert_array_equal(found, f(X))


def test_other_stacks_are_left_as_they_are() -> None:
    for f in (lambda a: np.stack([a, 2 * a], axis=-1), lambda a: np.stack([a, a > 0]), np.stack):
        text, found = written(f, X)
        assert "stack" in text
        assert found.dtype == f(X).dtype
        assert_array_equal(found, f(X))


def test_a_power_is_left_as_it_is_where_the_last_bit_counts() -> None:
    code = Code()
    code.exact = True
    assert (Recorded(code, "x", X) ** 3).name in code.symbols
    assert [line.text for line in code.lines] == ["t1 = x ** (3)"]
