"""NumPy functions written as what they are made of: the same numbers, by less."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jacobian.kernel.code import Code
from jacobian.kernel.facts import LARGE
from jacobian.kernel.recorded import Recorded

X = np.random.default_rng(0).normal(size=(3, 4, 5))


def written(f: Callable[[Any], Any], x: np.ndarray, *, exact: bool = False) -> tuple[str, Any]:
    """The program for a function of one array, and what it gives."""
    code = Code()
    code.exact = exact
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
    text, found = written(f, X, exact=True)
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
        assert "add_reduce" in written(lambda a: np.sum(a, axis=-1), x, exact=True)[0]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 1), (1, 2), (2, 1), (0, 2), (0, 1, 2), ()])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("f", [np.sum, np.mean])
def test_sums_within_rounding(f: Any, axis: Any, keepdims: bool, dtype: Any) -> None:
    for x in (X.astype(dtype), X[:1, ::2, ::-1].astype(dtype), X.T.astype(dtype), np.ones((2, 3, 600), dtype)):
        _, found = written(lambda a: f(a, axis=axis, keepdims=keepdims), x)
        expected = f(x, axis=axis, keepdims=keepdims)
        assert type(found) is type(expected)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        slack = 1e-5 if dtype is np.float32 else 1e-13
        assert_allclose(found, expected, rtol=slack, atol=slack)
    is_by_ones = dtype is np.float64 or f is np.sum
    if is_by_ones and axis in (None, 0, -1, (0, 1), (1, 2), (2, 1), (0, 1, 2)):
        text, _ = written(lambda a: f(a, axis=axis, keepdims=keepdims), X.astype(dtype))
        assert ".dot(" in text and "ones" in text


def test_a_long_sum_is_made_in_pairs() -> None:
    x = np.random.default_rng(0).normal(size=600)
    text, found = written(np.sum, x)
    assert "add_reduce" in text
    assert found == np.sum(x)


def test_by_one_by_something_is_a_quotient() -> None:
    X2 = np.abs(X) + 1
    code = Code()
    a, b = (Recorded(code, name, X2) for name in "ab")
    product = code.times(b, 1 / a, X2.shape)
    text = code.text(["a", "b"], [str(product)])
    assert "b / a" in text
    assert text.count("/") == 1
    assert_allclose(code.compile(text)(X2, X), X / X2, rtol=1e-15)
    large = np.ones(LARGE)
    a, b = (Recorded(code, name, large) for name in "cd")
    assert "*" in code.text(["c", "d"], [str(code.times(b, 1 / a, large.shape))])


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
    for f in (np.stack, lambda a: np.stack([a, a], dtype=np.float32, casting="same_kind")):
        text, found = written(f, X)
        assert "stack" in text
        assert found.dtype == f(X).dtype
        assert_array_equal(found, f(X))


def test_a_power_is_left_as_it_is_where_the_last_bit_counts() -> None:
    code = Code()
    code.exact = True
    assert (Recorded(code, "x", X) ** 3).name in code.symbols
    assert [line.text for line in code.lines] == ["t1 = x ** (3)"]


A, B = (np.random.default_rng(k).normal(size=(4, 3)) for k in (1, 2))


@pytest.mark.parametrize("f", [
    lambda x: np.stack([x, x + 1], 1), lambda x: np.stack((x, A, x), axis=-1), lambda x: np.stack([B, x], axis=0),
    lambda x: np.stack([x], axis=-3), lambda x: np.stack([x > 0, x], axis=2), lambda x: np.stack([x[0], x[1]], 1),
    lambda x: np.cross(x, B), lambda x: np.cross(A, x), lambda x: np.cross(x[:, None], B), lambda x: np.cross(x[0], x),
    lambda x: np.expand_dims(x, 1), lambda x: np.expand_dims(x, (0, -1)), lambda x: np.expand_dims(x, -3),
    lambda x: np.reshape(x, (2, 6)), lambda x: np.reshape(x, (-1,)), lambda x: np.reshape(x.T, (2, -1)),
])  # fmt: skip
def test_what_is_as_well_an_index_or_an_assignment(f: Callable[[Any], Any]) -> None:
    text, found = written(f, B * 3)
    expected = f(B * 3)
    called = re.findall(r"[a-z_]+(?=\d+\()", text)
    assert not {"stack", "cross", "expand_dims", "reshape"} & set(called)
    assert found.dtype == expected.dtype
    assert_array_equal(found, expected)


def left_as_it_is(f: Callable[[Any], Any], name: str) -> None:
    x = np.random.default_rng(5).normal(size=(3, 3))
    text, found = written(f, x)
    assert name in text
    assert_array_equal(found, f(x))


@pytest.mark.parametrize("f", [
    lambda x: np.cross(x, x + 1, axis=0), lambda x: np.cross(x, x + 1, axisc=0), lambda x: np.cross(x, B[:3], axisa=0),
])  # fmt: skip
def test_a_cross_product_of_other_axes_is_left_as_it_is(f: Callable[[Any], Any]) -> None:
    left_as_it_is(f, "cross")


EINSUMS = ["ij,kj,kl->il", "ij,kj->ik", "ij,kj->k", "ij,ij->", "ij,kl,kl->jik", " ij , kj -> ki "]


@pytest.mark.parametrize("equation", EINSUMS)
def test_einsums_are_contracted_by_the_kernel_unless_they_are_to_be_exact(equation: str) -> None:
    def f(x: Any) -> Any:
        return np.einsum(equation, *[x, A, B][: equation.count(",") + 1], optimize=True)

    text, found = written(f, B + 1)
    assert "optimize" not in text
    np.testing.assert_allclose(found, f(B + 1), rtol=1e-13)
    code = Code()
    code.exact = True
    x = Recorded(code, "x", B + 1)
    text = code.text(["x"], [f(x).name])
    assert "optimize" in text
    assert_array_equal(code.compile(text)(B + 1), f(B + 1))


@pytest.mark.parametrize("f", [
    lambda x: np.einsum("ii,ij->j", x, x), lambda x: np.einsum("...j,jk->...k", x, x),
    lambda x: np.einsum("ij,jk", x, x), lambda x: np.einsum("ij,jk->ik", x, x[:1]), lambda x: np.einsum("ij->j", x),
    lambda x: np.einsum("ij,jk->ik", x, np.ones((3, 3), np.float32)),
])  # fmt: skip
def test_einsums_that_do_more_are_left_as_they_are(f: Callable[[Any], Any]) -> None:
    left_as_it_is(f, "einsum")


def test_equal_indices_are_one() -> None:
    text, _ = written(lambda x: (1 - x[:, 0]) * (1 - x[:, 0]) + x[1:, None, ..., 0] * (1 - x[:, 0])[1:, None], A)
    assert text.count(" - ") == 1


def test_equal_stacks_are_one() -> None:
    text, found = written(lambda x: np.stack([x, x + 1], 1) * np.stack([x, x + 1], 1), A)
    assert text.count("empty") == 1
    assert_array_equal(found, np.stack([A, A + 1], 1) ** 2)


LONG = np.random.default_rng(3).normal(size=(2, 60, 3))


@pytest.mark.parametrize("f", [
    lambda x: x[0][:, None] - x[1], lambda x: x[0] / x[1][:, None], lambda x: x[:, :, None] + x[1][None, None],
    lambda x: LONG[0][:, None] * x[1],
])  # fmt: skip
def test_short_rows_that_are_broadcast_are_taken_column_by_column(f: Callable[[Any], Any]) -> None:
    text, found = written(f, LONG)
    assert ".transpose(" in text
    assert_array_equal(found, f(LONG))
    code = Code()
    code.exact = True  # sums of it may be taken in the order of its entries in memory
    assert "transpose" not in code.text(["x"], [f(Recorded(code, "x", LONG)).name])


@pytest.mark.parametrize("f", [
    lambda x: x[0][:, None] - x[1][..., :1], lambda x: x + x, lambda x: x[:, :20, None] - x[0, :20],
    lambda x: x[0].T[:, None] - x[1].T, lambda x: np.reshape(x, (-1, 3)) * 2.0,
])  # fmt: skip
def test_other_broadcasts_are_left_as_they_are(f: Callable[[Any], Any]) -> None:
    text, found = written(f, LONG)
    assert ".transpose(" not in text
    assert_array_equal(found, f(LONG))


def with_ties(x: np.ndarray) -> np.ndarray:
    return np.round(x, 1)


def with_nan(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x[3:9] = np.nan
    return x


@pytest.mark.parametrize("shape", [(7,), (1500,), (40, 50), (3, 700)])
@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("of", [lambda x: x, with_ties, with_nan, lambda x: np.round(9 * x).astype(int)])
def test_a_stable_order(shape: tuple[int, ...], axis: int, of: Callable[[np.ndarray], np.ndarray]) -> None:
    x = of(np.random.default_rng(0).normal(size=shape))
    text, found = written(lambda a: np.argsort(a, axis=axis, kind="stable"), x, exact=True)
    assert "stable_order" in text
    assert_array_equal(found, np.argsort(x, axis=axis, kind="stable"))


@pytest.mark.parametrize("f", [
    np.argsort, lambda x: np.argsort(x, axis=None, kind="stable"), lambda x: np.argsort(x, 0, "heapsort"),
    lambda x: np.argsort(x, stable=True),
])  # fmt: skip
def test_other_orders_are_numpys(f: Callable[[Any], Any]) -> None:
    text, found = written(f, X, exact=True)
    assert "stable_order" not in text
    assert_array_equal(found, f(X))
