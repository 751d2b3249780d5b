"""Methods of ufuncs on traced arrays: runs of an axis reduced."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.errors import ArgumentError, IndexingError

X = np.random.default_rng(0).normal(size=(6, 4))
STARTS = [[0, 2, 5], [0, 4, 2, 2], [3], [5, 0, 5]]


@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.maximum, np.minimum, np.logaddexp, np.subtract])
@pytest.mark.parametrize("starts", STARTS, ids=str)
def test_runs_reduced(ufunc: np.ufunc, starts: list[int]) -> None:
    def f(x: Any) -> Any:
        return ufunc.reduceat(np.sin(x), starts)

    value, J = jac.value_and_jacobian(f)(X)
    np.testing.assert_allclose(value, f(X), rtol=1e-13, atol=1e-14)
    assert jac.check(f, X)
    again = jac.jacobian(f)
    for _ in range(4):
        np.testing.assert_allclose(np.asarray(again(X)), np.asarray(J), atol=1e-13)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_along_any_axis(axis: int) -> None:
    J = jac.jacobian(lambda x: np.add.reduceat(x * x, np.array([0, 2]), axis=axis))(X)
    assert J.shape == np.add.reduceat(X, [0, 2], axis=axis).shape + X.shape
    assert jac.check(lambda x: np.add.reduceat(x * x, [0, 2], axis), X)


def test_sums_of_runs_stay_sparse() -> None:
    J = jac.jacobian(lambda x: np.add.reduceat(x * x, [0, 2], axis=1))(X)
    assert (J.structure, len(J.terms)) == ("block-diagonal over axis 0", 1)


@pytest.mark.parametrize(("call", "kind", "text"), [
    (
        lambda x: np.add.reduceat(x, [0, 9]), IndexingError,
        "add.reduceat: index 9 out-of-bounds in add.reduceat [0, 6)\n  axis:  6 entries",
    ),
    (
        lambda x: np.add.reduceat(x, [0], axis=2), IndexingError,
        "add.reduceat: axis 2 does not exist\n  got:   array float64[6,4]",
    ),
    (
        lambda x: np.add.reduceat(x, [0], dtype=float), ArgumentError,
        "add.reduceat: dtype= is not traced\n  fix:   leave it out",
    ),
])  # fmt: skip
def test_what_is_refused(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        jac.jacobian(call)(X)
    assert str(caught.value) == text


@pytest.mark.parametrize("shape", [(0,), (2, 0)])
@pytest.mark.parametrize("ufunc", [np.logaddexp, np.hypot, np.subtract])
def test_of_nothing(ufunc: np.ufunc, shape: tuple[int, ...]) -> None:
    x = np.zeros(shape)
    value, J = jac.value_and_jacobian(lambda x: ufunc.accumulate(x, axis=-1))(x)
    assert value.shape == shape and J.shape == shape + shape
    if ufunc is np.hypot:  # of nothing it is 0
        np.testing.assert_array_equal(
            jac.jacobian(lambda x: np.sum(x) + ufunc.reduce(np.exp(x), axis=-1))(np.ones((3, 0))).shape, (3, 3, 0)
        )
