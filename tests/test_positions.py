"""Whole numbers that are computed from what is differentiated by, and looked up with: such calls are played, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.errors import IndexingError
from tests.test_free import plays, traced

pytestmark = pytest.mark.usefixtures("no_scripts")

IMAGE = np.random.default_rng(7).normal(size=(8, 9))
EDGES = np.array([0.0, 0.5, 1.0, 2.0])


def between(x: Any) -> Any:
    low = np.floor(np.abs(x))
    k, part = low.astype(int), np.abs(x) - low
    return x[k] * (1 - part) + x[k + 1] * part


def sampled(p: Any, image: Any) -> Any:
    low = np.floor(p)
    k, (s, t) = low.astype(int), (p - low).T
    upper = image[k[:, 0], k[:, 1]] * (1 - t) + image[k[:, 0], k[:, 1] + 1] * t
    return upper * (1 - s) + image[k[:, 0] + 1, k[:, 1]] * s


PLAYED: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "between": (between, (6,)),
    "argsort": (lambda x: x[np.argsort(x)] * np.arange(1, 6), (5,)),
    "a method": (lambda x: x[x.argsort()] ** 2, (5,)),
    "argmax": (lambda x: x[np.argmax(x)] * x, (5,)),
    "from the end": (lambda x: x[-1 - np.argsort(x)] ** 2, (5,)),
    "columns": (lambda x: x[:, x.argsort(axis=1)[0]] * 3, (3, 4)),
    "apart": (lambda x: x[np.argsort(x[:, 0, 0]), :, np.array([0, 1, 1, 0])] ** 2, (4, 3, 2)),
    "with a number": (lambda x: x[1, :, np.argsort(x[0, 0])] ** 2, (2, 3, 4)),
    "a number beside it": (lambda x: x[:, 1, np.argsort(x[0, 0])] ** 2, (2, 3, 4)),
    "take_along_axis": (lambda x: np.take_along_axis(x, np.argsort(x, axis=1), axis=1) ** 2, (3, 4)),
    "take_along_axis flat": (lambda x: np.take_along_axis(x, np.argsort(np.ravel(x)), axis=None) ** 2, (3, 4)),
    "computed with": (lambda x: x[(2 * np.abs(x).astype(int) + 1) % 6], (6,)),
    "clipped": (lambda x: x[np.clip(x.astype(int) - 1, 0, 4)] * x, (6,)),
    "new axes": (lambda x: x[None, :, None, np.argsort(x[0])] * x[:, 0].sum(), (3, 4)),
    "ellipsis": (lambda x: x[..., np.argsort(x[0, 0])] ** 2, (2, 3, 4)),
    "a mask beside it": (lambda x: x[np.array([True, False, True]), np.argsort(x[0])[:2]] ** 2, (3, 4)),
    "two tables": (lambda x: x[np.argsort(x[:, 0])[:, None], np.argsort(x[0])] ** 2, (3, 4)),
    "small numbers": (lambda x: x[np.abs(x).astype(np.uint8)], (6,)),
    "take": (lambda x: np.take(x, np.argsort(x[0]), axis=1) ** 2, (3, 4)),
    "take, flat": (lambda x: x.take(np.abs(x[0]).astype(int) - 3), (3, 4)),
    "take, wrapped": (lambda x: np.take(x, np.argsort(x[0]) + 7, axis=1, mode="wrap") ** 2, (3, 4)),
    "take, clipped": (lambda x: np.take(x, np.argsort(x[0]) + 2, axis=1, mode="clip") ** 2, (3, 4)),
    "captured": (lambda x: IMAGE[np.abs(x).astype(int), 2] * x, (5,)),
    "searchsorted": (lambda x: np.sin(x) * IMAGE[0][np.searchsorted(EDGES, x, side="right")], (5,)),
    "digitize": (lambda x: x * IMAGE[0, np.digitize(x, EDGES)], (5,)),
    "as numbers": (lambda x: x * np.floor(x).astype(int) + np.argmax(x), (5,)),
}
LOOKING: dict[str, Callable[[Any], Any]] = {
    "a row, which is a view": lambda x: x[np.argmax(x[:, 0])] ** 2,
    "a size": lambda x: x * np.arange(np.argmax(x[0]) + 1).size,
    "a loop": lambda x: x * sum(1 for _ in range(int(np.argmax(x)))),
    "a condition": lambda x: x if np.argmax(x) == 1 else 2 * x,
    "a mask": lambda x: x[x > 0].sum(),
    "a plain array made inside": lambda x: np.arange(12.0)[np.argsort(x[0])] * x[0],
}


@pytest.mark.parametrize("name", [*PLAYED, *LOOKING])
def test_numbers_and_formulas_are_those_of_tracing(name: str) -> None:
    f, shape = PLAYED[name] if name in PLAYED else (LOOKING[name], (3, 4))
    rng = np.random.default_rng(1)
    for _ in range(8):
        x = rng.uniform(-3.9, 3.9, size=shape)
        (value, J), (expected, other) = jac.value_and_jacobian(f)(x), traced(f, x)
        np.testing.assert_allclose(value, expected, rtol=1e-13)
        np.testing.assert_allclose(np.asarray(J), np.asarray(other), rtol=1e-13)
        assert J.dtype == other.dtype
    assert J.formula == other.formula
    assert bool(plays()) is (name in PLAYED)


def test_what_is_looked_up_in_is_differentiated_by() -> None:
    rng = np.random.default_rng(1)
    g = jac.jacobian(sampled, argnums=(0, 1))
    for _ in range(5):
        args = rng.uniform(0, 6, size=(10, 2)), rng.normal(size=(8, 8))
        _, expected = traced(sampled, *args, argnums=(0, 1))
        for J, other in zip(g(*args), expected, strict=True):
            np.testing.assert_allclose(np.asarray(J), np.asarray(other), rtol=1e-13)
    assert plays() == 3


def test_second_order() -> None:
    def f(x: Any) -> Any:
        return np.sum(between(x) ** 2)

    rng = np.random.default_rng(1)
    hessian = jac.hessian(f)
    for _ in range(4):
        x = rng.uniform(0, 4, size=6)
        _, expected = traced(jac.jacobian(f), x)
        np.testing.assert_allclose(np.asarray(hessian(x)), np.asarray(expected), rtol=1e-12, atol=1e-12)


def test_beyond_the_end_is_the_error_of_a_first_call() -> None:
    g = jac.jacobian(between)
    for k in range(4):
        g(np.linspace(0.1, 3.2, 5) + k / 10)
    x = np.array([0.0, 1.0, 9.0, 1.0, 2.0])
    told = []
    for f in (g, lambda x: traced(between, x)):
        with pytest.raises(IndexingError) as error:
            f(x)
        told.append(str(error.value))
    assert told[0] == told[1]
    assert told[0].startswith("getitem: index 9 is out of bounds for axis 0 with size 5")


def test_kinks_of_rounding_are_told_by_every_call() -> None:
    g = jac.jacobian(between)
    for k in range(5):
        with pytest.warns(jac.errors.KinkWarning, match="floor is not differentiable at entry \\[1\\]"):
            g(np.array([0.5, 2.0, 0.7, 1.1]) + np.array([0.01 * k, 0, 0, 0]))
    assert plays() == 3


NARROW: dict[str, Callable[[Any, Any], Any]] = {
    "index": lambda x, i: x[i],
    "axes": lambda x, i: x.reshape(30, 10)[np.arange(4), i % 10],
    "take": lambda x, i: np.take(x, i),
    "take, clipped": lambda x, i: np.take(x, i, mode="clip"),
    "take, wrapped": lambda x, i: np.take(x, i, mode="wrap"),
    "take_along_axis": lambda x, i: np.take_along_axis(x, i, axis=0),
}


@pytest.mark.parametrize("name", NARROW)
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint64, np.int32])
def test_an_axis_that_is_longer_than_the_dtype_of_positions(name: str, dtype: Any) -> None:
    f, rng = NARROW[name], np.random.default_rng(1)
    for sign in (1, 1, 1, 1, *((-1, -1) if np.dtype(dtype).kind == "i" else ())):
        x, i = rng.normal(size=300), (sign * rng.integers(1, 120, size=4)).astype(dtype)
        found, expected = jac.jacobian(f)(x, i), traced(f, x, i)[1]
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
    assert plays() >= 1


def test_places_are_those_of_numpy_where_the_last_digit_decides() -> None:
    """To the bit, although only the derivative is asked for, in which x**3 may be x * x * x."""
    point, by = 2.2739233746429086, 2.041191559083977
    assert int(point**3 * by) == 1 + int(point * point * point * by)
    table = np.arange(40.0) ** 2
    g = jac.jacobian(lambda x, table: x * table[(x**3 * by).astype(int)])
    for k in range(5):
        x = np.array([point, 0.5 + k / 10, 1.0])
        expected = np.diag(table[[24, *(int(one) for one in x[1:] ** 3 * by)]])
        np.testing.assert_array_equal(np.asarray(g(x, table)), expected)
    assert plays() == 3
