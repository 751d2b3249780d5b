"""A traced function takes the course that it takes on plain arrays, whatever it asks of them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from numbers import Number
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.errors import DTypeError

X = np.array([0.3, -0.7, 1.2])
with warnings.catch_warnings(action="ignore"):
    MATRIX = np.asmatrix(np.eye(3))
MASKED = np.ma.masked_array([1.0, 2.0, 3.0], mask=[False, True, False])


def by_length(x: Any) -> Any:
    try:
        return x[: len(x[0])]
    except TypeError:
        return x**3


def columns(x: Any) -> Any:
    return np.polynomial.polynomial.polyval(x, np.ones((3, 2)))


COURSES: dict[str, Callable[[Any], Any]] = {
    "ndarray": lambda x: x**2 if isinstance(x, np.ndarray) else x,
    "one of several": lambda x: x**2 if isinstance(x, list | np.ndarray) else x,
    "a result": lambda x: x**2 if isinstance(np.sin(x), np.ndarray) else x,
    "np.isscalar": lambda x: x[0] ** 2 if np.isscalar(x[0]) else x[0],
    "float": lambda x: x[0] ** 2 if isinstance(x[0], float) else x[0],
    "Number": lambda x: x[0] ** 2 if isinstance(x[0], Number) else x[0],
    "np.iterable": lambda x: x if np.iterable(x[0]) else x**2,
    "length": by_length,
    "coefficients in columns": columns,
    "list beside": lambda x: x * [x[0], x[1], 2.0],
    "list in front": lambda x: [1.0, x[1], x[0] ** 2] - x,
    "list joined": lambda x: np.concatenate([[x[0]], x[1:] ** 2]),
    "tuple in a ufunc": lambda x: np.maximum(x, (x[1], 0.1, x[0])),
}


@pytest.mark.parametrize("name", COURSES)
def test_the_same_course(name: str) -> None:
    f = COURSES[name]
    step = 1e-6
    for k in range(3):  # traced, planned, played
        x = X + 0.01 * k
        value, J = jac.value_and_jacobian(f)(x)
        np.testing.assert_array_equal(value, f(x))
        sides = [(f(x + d) - f(x - d)) / (2 * step) for d in step * np.eye(3)]
        np.testing.assert_allclose(J.tensor(), np.stack(sides, -1), atol=1e-8)
        second = [
            (jac.jacobian(f)(x + d).tensor() - jac.jacobian(f)(x - d).tensor()) / (2 * step) for d in step * np.eye(3)
        ]
        np.testing.assert_allclose(jac.hessian(f)(x).tensor(), np.stack(second, -1), atol=1e-7)


@pytest.mark.parametrize(
    ("f", "headline"),
    [
        (lambda x: x * MASKED, "masked arrays are not taken: the mask would be lost"),
        (lambda x: np.dot(MASKED, x), "masked arrays are not taken: the mask would be lost"),
        (lambda x: x @ MATRIX, "np.matrix is not taken: its * is a matrix product"),
        (lambda x: x[None] * MATRIX, "np.matrix is not taken: its * is a matrix product"),
        (lambda x: x * np.array([1, None, 2]), "an operand holds Python objects"),
    ],
)
def test_arrays_that_mean_something_else(f: Callable[[Any], Any], headline: str) -> None:
    with pytest.raises(DTypeError, match=re.escape(headline)):
        jac.jacobian(f)(X)
