"""Functions that are traced again and again: the program that runs from the second call on gives the same numbers.

Calls that need not even be traced are in `test_replay.py`; here none are.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian import programs, replay
from jacobian.chain import accumulate
from jacobian.errors import KinkWarning, NonFiniteWarning
from jacobian.kernel.code import OtherwiseError
from jacobian.ops.registry import Op, Sample
from jacobian.tracing.graph import Node
from tests.sampled import at_points, every_sample


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "PROGRAMS", programs.Memory(programs.Program, programs.REMEMBERED))
    monkeypatch.setattr(replay.Caller, "call", lambda *_: None)


def running() -> list[programs.Program]:
    """The programs that run."""
    return [program for program in programs.PROGRAMS if program.is_written]


@every_sample
def test_every_sample(op: Op, sample: Sample) -> None:
    f, points = at_points(op, sample, (1, 2, 3))
    if not points[0]:
        return

    g = jac.jacobian(f, tuple(range(len(points[0]))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KinkWarning)
        for arrays in points:
            found, trace = g(*arrays), jac.trace(f, *arrays)
            if not isinstance(trace.output, Node) or trace.output.op is None:
                continue
            trace.output.name_hint = "y"
            nodes = list(trace.inputs.values())
            for J, node, plain in zip(found, nodes, accumulate(trace.output, nodes), strict=True):
                expected = plain.named("y", node.name)
                np.testing.assert_allclose(np.asarray(J), expected.tensor(), rtol=1e-12, atol=1e-12)
                assert J.dtype == expected.dtype
                assert J.formula == expected.formula


def newton(x: Any) -> Any:
    a, b, c = x[0], x[1], x[2]
    return np.stack([3 * a - np.cos(b * c), a**2 - 81 * (b + 0.1) ** 2 + np.sin(c), np.exp(-a * b) + 20 * c])


def test_the_second_call_writes_a_program_and_the_next_ones_run_it() -> None:
    g = jac.jacobian(newton)
    first = g(np.array([0.4, 0.5, 0.6]))
    assert not running()
    g(np.array([0.1, 0.2, 0.3]))
    (program,) = running()
    J = g(np.array([0.4, 0.5, 0.6]))
    assert running() == [program]
    assert program.failures == 0
    np.testing.assert_allclose(np.asarray(J), np.asarray(jac.jacobian(newton, order="forward")([0.4, 0.5, 0.6])))
    assert J.formula == first.formula
    assert not np.asarray(J).flags.writeable


def thrice(f: Callable[[Any], Any], *points: Any) -> Iterator[np.ndarray]:
    g = jac.jacobian(f)
    for _ in range(2):
        g(points[0])
    for point in points:
        yield np.asarray(g(point))


def test_captured_arrays_may_change_between_calls() -> None:
    c = np.array([1.0, 2.0])
    g = jac.jacobian(lambda x: c * np.sin(x))
    for factor in (1.0, 2.0, 3.0, 4.0):
        c[:] = [factor, 2 * factor]
        np.testing.assert_array_equal(np.asarray(g(np.zeros(2))), np.diag(c))


def test_numbers_may_change_between_calls() -> None:
    for step in (1.0, 2.0, 3.0, 4.0):
        J = jac.jacobian(lambda x, step=step: x + step * np.sin(x))(np.zeros(2))
        np.testing.assert_array_equal(np.asarray(J), (1 + step) * np.eye(2))
    assert len(programs.PROGRAMS) == 1


def test_an_exponent_is_part_of_the_formula_and_therefore_of_the_program() -> None:
    for exponent in (1, 2, 3, 2, 3, 2, 3):
        J = jac.jacobian(lambda x, n=exponent: x**n)(np.array(2.0))
        assert float(J) == exponent * 2.0 ** (exponent - 1)


def test_control_flow_follows_the_value() -> None:
    found = list(thrice(lambda x: x * 2 if x > 0 else np.sin(x), np.array(1.0), np.array(-1.0), np.array(2.0)))
    np.testing.assert_array_equal(found, [2, np.cos(-1.0), 2])


def test_a_sort_in_another_order() -> None:
    found = list(thrice(lambda x: np.sort(x)[0] * 2, np.array([1.0, 2.0]), np.array([2.0, 1.0]), np.array([3.0, 1.0])))
    np.testing.assert_array_equal(found, [[2, 0], [0, 2], [0, 2]])


def test_a_kink_warns_every_time() -> None:
    g = jac.jacobian(lambda x: np.abs(x) * 3)
    for _ in range(3):
        g(np.array([1.0, 2.0]))
    for _ in range(2):
        with pytest.warns(KinkWarning, match="absolute is not differentiable at entry"):
            J = g(np.array([1.0, 0.0]))
        np.testing.assert_array_equal(np.asarray(J), np.diag([3.0, 0.0]))


def test_a_kink_warns_once_while_the_program_is_written() -> None:
    """Choosing among orders evaluates the rules, too."""

    def elu(w: Any, v: Any, x: Any) -> Any:
        z = x @ w
        return np.mean(np.where(z > 0, z, np.exp(np.minimum(z, 0)) - 1) @ v)

    rng = np.random.default_rng(0)
    w, v, x = np.zeros((3, 33)), rng.normal(size=(33, 33)), rng.normal(size=(257, 3))
    for other in (lambda w: elu(w, v, x), lambda w: elu(w, v, x), lambda w: elu(w, v, x)):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            np.asarray(jac.jacobian(other)(w))
        assert [one.category for one in told] == [KinkWarning]


def test_an_infinite_derivative_warns_every_time() -> None:
    g = jac.jacobian(lambda x: np.sqrt(x) + 1)
    for _ in range(3):
        g(np.array([1.0, 2.0]))
    with pytest.warns(NonFiniteWarning, match="the derivative of sqrt is not finite at entry"):
        g(np.array([1.0, 0.0]))


def test_a_users_rule_may_look_at_anything() -> None:
    scale = 1.0
    op = jac.primitive(lambda x: scale * x, lambda y, x: scale * np.eye(len(x)), name="scaled")
    for scale in (1.0, 2.0, 3.0, 4.0):
        np.testing.assert_array_equal(np.asarray(jac.jacobian(lambda x: op(x) * 1.0)(np.zeros(2))), scale * np.eye(2))


def test_single_precision_stays() -> None:
    for J in thrice(lambda x: np.tanh(x) * 2 + x, np.zeros(2, np.float32)):
        assert J.dtype == np.float32


def test_several_arguments_and_nested_results() -> None:
    def f(a: Any, b: Any) -> dict[str, Any]:
        return {"sum": a + b, "product": a * b}

    for factor in (1.0, 2.0, 3.0):
        J = jac.jacobian(f, argnums=(0, 1))(np.array([factor]), np.array([5.0]))
        assert float(J["product"][0]) == 5.0
        assert float(J["product"][1]) == factor
        assert float(J["sum"][0]) == 1.0


def test_what_is_asked_of_a_computed_jacobian() -> None:
    W = np.arange(6.0).reshape(2, 3)
    g = jac.jacobian(lambda x: np.tanh(W @ x))
    x = np.array([0.1, 0.2, -0.3])
    plain = g(x)
    g(x)
    J = g(x)
    assert repr(J) == repr(plain)
    assert J.explain() == plain.explain()
    assert J.nnz == plain.nnz
    assert J.structure == plain.structure
    np.testing.assert_allclose(J @ x, plain @ x)
    np.testing.assert_allclose((J.T @ J).tensor(), (plain.T @ plain).tensor())
    np.testing.assert_allclose((2 * J + J).tensor(), 3 * plain.tensor())


def test_large_results_are_computed_when_they_are_asked_for() -> None:
    calls = 0

    def watched(y: Any, x: Any) -> Any:
        nonlocal calls
        calls += 1
        return np.diag(np.cos(x))

    op = jac.primitive(np.sin, watched, name="watched_sine")
    g = jac.jacobian(lambda x: op(x) * 2)
    x = np.linspace(0, 1, 100)
    for _ in range(2):
        g(x)
    J = g(x + 1)
    np.testing.assert_allclose(np.asarray(J), np.diag(2 * np.cos(x + 1)))
    assert J.formula == g(x).formula


def test_results_that_share_work_are_computed_apart() -> None:
    W = np.linspace(-1, 1, 60 * 70).reshape(60, 70)

    def f(x: Any, b: Any) -> Any:
        return np.tanh(W @ np.sin(x) + b) ** 2

    g = jac.jacobian(f, argnums=(0, 1))
    x, b = np.linspace(0, 1, 70), np.linspace(0, 1, 60)
    expected = g(x, b)
    for _ in range(2):
        by_x, by_b = g(x, b)
        np.testing.assert_allclose(by_b.tensor(), expected[1].tensor())
        np.testing.assert_allclose(by_x.tensor(), expected[0].tensor())


def test_a_mask_may_change_between_calls() -> None:
    g = jac.jacobian(lambda x, mask: np.where(mask, x, 2 * x))
    for seed in range(4):
        mask = np.random.default_rng(seed).random(300) > 0.5
        np.testing.assert_array_equal(np.asarray(g(np.zeros(300), mask)), np.diag(np.where(mask, 1.0, 2.0)))
    assert len(running()) == 1


def test_a_large_overflow_is_found_when_the_tensor_is_asked_for() -> None:
    g = jac.jacobian(lambda x: np.sqrt(x) + 1)
    for _ in range(3):
        g(np.ones(100))
    J = g(np.zeros(100))
    with pytest.warns(NonFiniteWarning, match="the derivative of sqrt is not finite at entries"):
        assert np.isinf(np.diag(np.asarray(J))).all()


def test_many_graphs_keep_memory_bounded() -> None:
    def many(count: int) -> Callable[[Any], Any]:
        def f(x: Any) -> Any:
            for _ in range(count):
                x = x * 1.5
            return x

        return f

    for count in range(1, 601):  # 180,000 nodes
        jac.jacobian(many(count))(np.array(1.0))
    assert programs.PROGRAMS.weight == sum(program.weight for program in programs.PROGRAMS) <= programs.REMEMBERED


def test_threads_share_programs() -> None:
    g = jac.jacobian(newton)
    points = [np.array([0.1, 0.2, 0.3]) * k for k in range(1, 40)]
    expected = [np.asarray(jac.jacobian(newton, order="forward")(point)) for point in points]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda point: np.asarray(g(point)), points))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_threads_may_look_at_one_jacobian() -> None:
    g = jac.jacobian(lambda x: np.tanh(x) * np.sum(x))
    x = np.linspace(0, 1, 100)
    expected = g(x).tensor()
    formula = g(x).formula
    for _ in range(20):
        J = g(x)
        with ThreadPoolExecutor(8) as pool:
            looks = [pool.submit(lambda J=J: (J.tensor(), J.formula)) for _ in range(8)]
        for look in looks:
            tensor, told = look.result()
            np.testing.assert_allclose(tensor, expected, rtol=1e-12)
            assert told == formula


# -- rules that look at numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.max(x * x, axis=1), lambda x: np.min(x, axis=(0, 1)), lambda x: np.sort(x, axis=0) ** 2,
        lambda x: np.sort(x, axis=None), lambda x: np.max(x, axis=0, initial=0.3), lambda x: np.cumprod(x, axis=1),
        lambda x: np.prod(x, axis=0), lambda x: jac.ops.max_pool2d(x, 2), lambda x: jac.ops.max_pool2d(x, 2, 1),
        lambda x: np.linalg.norm(x, np.inf), lambda x: np.linalg.det(x), lambda x: np.std(x, axis=1),
    ],
)  # fmt: skip
def test_what_is_looked_up_may_lie_elsewhere_at_every_call(f: Callable[[Any], Any]) -> None:
    g = jac.jacobian(f)
    for seed in range(6):
        x = np.random.default_rng(seed).normal(size=(4, 4))
        expected = accumulate((t := jac.trace(f, x)).output, [t.inputs[0]])[0].tensor()
        np.testing.assert_allclose(np.asarray(g(x)), expected, rtol=1e-12, atol=1e-12)


def test_ties_warn_while_the_program_goes_on() -> None:
    g = jac.jacobian(lambda x: jac.ops.max_pool2d(jac.ops.relu(x), 2))
    for _ in range(3):
        g(np.arange(1.0, 17.0).reshape(4, 4))
    for _ in range(20):  # more than failures are allowed
        with pytest.warns(KinkWarning, match="max_pool2d is not differentiable at entry \\[0,0\\]; the first of the"):
            J = g(np.where(np.arange(16).reshape(4, 4) < 6, -1.0, np.arange(16.0).reshape(4, 4)))
        np.testing.assert_array_equal(np.asarray(J).sum(axis=(2, 3)), [[0, 1], [1, 1]])


def test_zeros_in_a_product_are_a_rare_case() -> None:
    g = jac.jacobian(lambda x: np.cumprod(x) + np.prod(x))
    for k in range(6):
        x = np.array([2.0, float(k % 2), 3.0])
        np.testing.assert_allclose(
            np.asarray(g(x)), [[1 + 3 * x[1], 6, 2 * x[1]], [4 * x[1], 8, 2 * x[1]], [6 * x[1], 12, 4 * x[1]]]
        )


def test_every_part_of_a_program_runs_once() -> None:
    """What a part has read is given up: who asks again is told that the program does not apply."""
    calls = []

    def start() -> list[Callable[[], Any]]:
        calls.append("start")
        return [lambda: np.ones(2), lambda: np.zeros(3)]

    pending = programs.Pending(start, [np.dtype(float)] * 2, [None] * 2)
    np.testing.assert_array_equal(pending.tensor(1), np.zeros(3))
    assert pending.tensor(1) is None
    np.testing.assert_array_equal(pending.tensor(0), np.ones(2))
    assert calls == ["start"]


def test_a_program_that_does_not_apply_is_not_started_again() -> None:
    calls = []

    def start() -> list[Callable[[], Any]]:
        calls.append("start")
        raise OtherwiseError

    pending = programs.Pending(start, [np.dtype(float)] * 2, [None] * 2)
    assert pending.tensor(0) is None
    assert pending.tensor(1) is None
    assert calls == ["start"]
