"""Values that nobody asked for: not computed where they are known to be finite, and never missed where they are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian import replay
from jacobian.errors import JacobianError, NonFiniteError
from jacobian.kernel.finite import BITS, FEW, MANY, all_finite, is_bounded
from jacobian.ops.growth import bits_of
from jacobian.ops.registry import Op, Sample
from tests.sampled import every_sample
from tests.written import texts_of

pytestmark = pytest.mark.usefixtures("no_scripts")

RNG = np.random.default_rng(0)


@every_sample
def test_results_are_as_large_as_an_op_says_at_most(op: Op, sample: Sample) -> None:
    if op.growth is None:
        return
    for exponent in (0, 40, 100, 160):
        args, kwargs = sample.draw(exponent)
        operands, params = op.bind(args, kwargs)
        scaled = [
            np.where(RNG.random(x.shape) < 0.7, x * 2.0**exponent, x)
            if isinstance(x, np.ndarray) and x.dtype.char == "d"
            else x
            for x in operands
        ]
        bits = max(op.growth([bits_of(x) for x in scaled], scaled, params), bits_of(params)) + 1
        if bits > 1000 or np.asarray(op.compute(scaled, params)).dtype.char != "d":
            continue
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            result = np.asarray(op.compute(scaled, params))
        assert np.max(np.abs(result), initial=0.0) <= 2.0**bits


@pytest.mark.parametrize("size", [1, FEW, FEW + 1, MANY, MANY + 1])
def test_one_number_decides(size: int) -> None:
    x = np.full(size, -1e3)
    assert is_bounded(x) and all_finite(x)
    for place in {0, size // 2, size - 1}:
        for number in (np.nan, np.inf, -np.inf, 2.0**BITS, -(2.0**BITS)):
            x[place] = number
            assert not is_bounded(x)
            assert all_finite(x) == np.isfinite(number)
        x[place] = 1.0
    assert is_bounded(x[::-1]) and is_bounded(x.reshape(1, -1).T) and is_bounded(np.float64(2.0))
    assert not is_bounded(np.float64(np.nan)) and not is_bounded(np.array(np.inf))
    assert is_bounded(np.zeros(0)) and all_finite(np.zeros((3, 0)))


def test_squares_that_overflow_say_nothing_of_the_numbers() -> None:
    for number, kind in ((1e200, np.float64), (1e30, np.float32), (6e4, np.float16)):
        assert all_finite(np.full(100, number, kind))
        assert all_finite(np.full((40, 5), number, kind).T)


X = np.linspace(0.5, 1.5, 6)
M = np.eye(6) + np.outer(X, X) / 9
UNASKED: list[tuple[Callable[..., Any], str]] = [
    (lambda x: np.sum(np.tanh(x)), "add_reduce"),
    (lambda x: np.linalg.slogdet(M * x)[1], "slogdet"),
    (lambda x: x @ M @ x, "@ t1"),
    (lambda x: np.outer(x, x), "outer"),
    (lambda x: np.kron(x, X), "einsum"),
    (lambda x: np.stack([x[0] * x[1], np.sin(x[2]) - x[3]]), "array("),
    (lambda x: np.sum(1 / x), "add_reduce"),
    (lambda x: np.mean((M @ x) ** 2), "** (2)"),
    (lambda x: np.where(x > 1, x, x**2).sum(), "add_reduce"),
]


@pytest.mark.parametrize(("f", "line"), UNASKED)
def test_only_those_who_ask_have_the_value_computed(
    f: Callable[..., Any], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    both, alone = jac.value_and_jacobian(f), jac.jacobian(f)
    (with_value,) = texts_of(both, X, monkeypatch=monkeypatch)
    (without,) = texts_of(alone, X, monkeypatch=monkeypatch)
    assert line in with_value and "bounded" not in with_value
    assert line not in without and "bounded" in without
    (value, expected), J = both(2 * X), alone(2 * X)
    np.testing.assert_array_equal(value, f(2 * X))
    np.testing.assert_allclose(J, expected, rtol=1e-13)
    np.testing.assert_allclose(J.predict(X / 1e3).linear, value + expected @ (X / 1e3), rtol=1e-13)


GOOD = np.array([1.5, 2.0, 3.0, 1.2, 5.0, 1.7])
AT_THE_END: list[tuple[Callable[..., Any], Any]] = [
    (lambda x: x @ x, np.full(6, 1e200)),
    (lambda x: np.sum(x), np.full(6, 1e308)),
    (lambda x: np.prod(x[:2]) * x[3] ** 4, np.full(6, 1e70)),
    (lambda x: np.sum(np.log(x)), -GOOD),
    (lambda x: np.sum(1 / x), np.zeros(6)),
    (lambda x: np.sum(np.exp(x)), 1e3 * GOOD),
    (lambda x: 3 * x, np.array([1, 2, np.nan, 1, 1, 1])),
    (lambda x: np.linalg.slogdet(x[:4].reshape(2, 2))[1], np.ones(6)),
    (lambda x: np.sum(np.sqrt(x - 1)), X),
    (lambda x: x[0] ** 2 * x[1] ** 2 * x[2] ** 2, np.full(6, 1e60)),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("f", "bad"), AT_THE_END)
def test_a_result_that_is_not_finite_is_told_at_every_call(f: Callable[..., Any], bad: Any) -> None:
    with pytest.raises(JacobianError) as first:
        jac.jacobian(f)(bad)
    g = jac.jacobian(f)
    for k in range(4):
        g(GOOD + k)
    assert all(kind.plays for kind in replay.SCRIPTS)
    for _ in range(3):
        with pytest.raises(type(first.value)) as later:
            g(bad)
        assert str(later.value) == str(first.value)


def test_data_that_is_not_finite_is_told_where_it_is_taken_as_it_comes() -> None:
    g = jac.jacobian(lambda w, data: np.sum(data @ w))
    for k in range(4):
        np.testing.assert_array_equal(g(np.ones(3), np.full((4, 3), k + 1.0)), np.full(3, 4.0 * (k + 1)))
    assert [kind.failures for kind in replay.SCRIPTS] == [0]
    broken = np.ones((4, 3))
    broken[2, 1] = np.nan
    with pytest.raises(NonFiniteError):
        g(np.ones(3), broken)


def test_numbers_too_large_to_be_sure_of_are_traced() -> None:
    g = jac.jacobian(lambda x: np.sum(x * X))
    for _ in range(4):
        g(X)
    np.testing.assert_array_equal(g(1e100 * X), X)
    assert [kind.failures for kind in replay.SCRIPTS] == [1]


def test_a_small_number_of_looks_is_weighed_against_the_value() -> None:
    """A sum of many is quicker to compute than all of them are to look at."""

    def f(x: Any) -> Any:
        return sum((1 / x[k] for k in range(6)), 0.0)

    g = jac.jacobian(f)
    for k in range(4):
        np.testing.assert_allclose(g(X + k), -1 / (X + k) ** 2)
