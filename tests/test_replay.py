"""Calls played from a script: the same numbers as tracing, and never played where the function might do otherwise."""

from __future__ import annotations

import functools
import math
import os
import random
import signal
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian import programs, replay
from jacobian.chain import accumulate
from jacobian.errors import KinkWarning, NonFiniteError, NonFiniteWarning
from jacobian.ops.registry import Op, Sample
from jacobian.tracing.graph import Node
from tests.sampled import at_points, every_sample
from tests.written import texts_of

pytestmark = pytest.mark.usefixtures("no_scripts")

FACTOR = 2.0
TABLE = [1.0, 2.0]
COUNT = 0


def scripts() -> list[replay.Kind]:
    return [kind for kind in replay.SCRIPTS if kind.scripts]


def played(f: Callable[..., Any], *points: Any, argnums: Any = 0) -> list[Any]:
    """The Jacobians at points, of which the first is asked for twice before; checks that a script was there to play."""
    g = jac.jacobian(f, argnums)
    for _ in range(2):
        g(*points[0]) if isinstance(points[0], tuple) else g(points[0])
    assert len(scripts()) == 1
    found = [g(*point) if isinstance(point, tuple) else g(point) for point in points]
    assert all(kind.failures == 0 for kind in scripts())
    return found


def never_played(f: Callable[..., Any], *args: Any) -> list[np.ndarray]:
    """The Jacobians of four calls; checks that none was played."""
    g = jac.jacobian(f)
    found = [np.asarray(g(*args)) for _ in range(4)]
    assert not scripts()
    return found


@every_sample
def test_every_sample(op: Op, sample: Sample) -> None:
    f, points = at_points(op, sample, (1, 2, 3))
    if not points[0]:
        return

    g = jac.value_and_jacobian(f, tuple(range(len(points[0]))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KinkWarning)
        for arrays in points:
            value, found = g(*arrays)
            trace = jac.trace(f, *arrays)
            if not isinstance(trace.output, Node) or trace.output.op is None:
                continue
            trace.output.name_hint = "y"
            np.testing.assert_allclose(value, trace.output.value, rtol=1e-12, atol=1e-12)
            nodes = list(trace.inputs.values())
            for J, node, one in zip(found, nodes, accumulate(trace.output, nodes), strict=True):
                expected = one.named("y", node.name)
                np.testing.assert_allclose(np.asarray(J), expected.tensor(), rtol=1e-12, atol=1e-12)
                assert J.dtype == expected.dtype
                assert J.formula == expected.formula


def newton(x: Any) -> Any:
    a, b, c = x[0], x[1], x[2]
    return np.stack([3 * a - np.cos(b * c), a**2 - 81 * (b + 0.1) ** 2 + np.sin(c), np.exp(-a * b) + 20 * c])


def test_the_second_call_writes_a_script_and_the_next_ones_play_it() -> None:
    points = [np.array([0.1, 0.2, 0.3]) * k for k in range(1, 5)]
    plain = jac.jacobian(newton)(points[0])
    for J, point in zip(played(newton, *points), points, strict=True):
        expected = np.asarray(jac.jacobian(newton, order="forward")(point))
        np.testing.assert_allclose(np.asarray(J), expected, rtol=1e-13)
        assert J.formula == plain.formula
        assert J.structure == plain.structure
        assert J.names == plain.names
        assert not np.asarray(J).flags.writeable


def test_what_is_asked_of_a_played_jacobian() -> None:
    W = np.arange(6.0).reshape(2, 3)
    x = np.array([0.1, 0.2, -0.3])
    g = jac.jacobian(lambda x: np.tanh(W @ x))
    plain = g(x)
    (J,) = played(lambda x: np.tanh(W @ x), x)
    assert repr(J) == repr(plain)
    assert J.explain() == plain.explain()
    assert str(J.predict(x / 100)) == str(plain.predict(x / 100))
    np.testing.assert_allclose(J @ x, plain @ x)


def test_large_results_are_computed_when_they_are_asked_for() -> None:
    def f(x: Any, b: Any) -> Any:
        return np.tanh(np.cumsum(x)[:, None] * np.sin(x) + b) ** 2

    x, b = np.linspace(0, 1, 50), np.linspace(0, 1, 50)
    expected = jac.jacobian(f, (0, 1), order="forward")(x, b)
    (found,) = played(f, (x, b), argnums=(0, 1))
    for J, plain in zip(found[::-1], expected[::-1], strict=True):
        np.testing.assert_allclose(J.tensor(), plain.tensor(), rtol=1e-12)


def test_a_jacobian_is_a_snapshot_although_its_terms_come_later() -> None:
    W, x = np.eye(3) * 2, np.ones(3)
    (J,) = played(lambda x: np.tanh(W @ x), x)
    expected = np.diag(2 * (1 - np.tanh(2.0) ** 2) * np.ones(3))
    x[:], W[:] = 5.0, 7.0
    np.testing.assert_allclose(J @ np.eye(3), expected)
    np.testing.assert_allclose(np.asarray(J), expected)


def test_values() -> None:
    g = jac.value_and_jacobian(lambda x: x.T)
    x = np.arange(6.0).reshape(2, 3)
    for _ in range(4):
        y, _ = g(x)
        y[0, 0] = 99.0  # it is the caller's own
        assert x[0, 0] == 0
    assert len(scripts()) == 1


# -- what a function reads -------------------------------------------------------------------------------------------


def test_captured_arrays_may_change() -> None:
    c = np.array([1.0, 2.0])
    g = jac.jacobian(lambda x: c * np.sin(x))
    for factor in (1.0, 1.0, 1.0, 2.0, 3.0, 3.0, 3.0, 4.0):
        c[:] = [factor, 2 * factor]
        np.testing.assert_array_equal(np.asarray(g(np.zeros(2))), np.diag(c))


@pytest.mark.parametrize(
    "kind", [float, np.float64, np.float32, lambda v: np.array(v), lambda v: [v], lambda v: {0: v}]
)
def test_captured_numbers_may_change(kind: Callable[[float], Any]) -> None:
    c: Any = None

    def f(x: Any) -> Any:
        return x * (c[0] if isinstance(c, list | dict) else c)

    g = jac.jacobian(f)
    for factor in (1.0, 1.0, 1.0, 2.0, 2.0, 2.0, -0.0, 0.0, 3.0):
        c = kind(factor)
        assert float(g(np.array(1.0))) == factor


def test_globals_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    def f(x: Any) -> Any:
        return x * FACTOR + TABLE[0] * x

    g = jac.jacobian(f)
    for factor in (2.0, 2.0, 2.0, 5.0, 5.0, 5.0):
        monkeypatch.setitem(globals(), "FACTOR", factor)
        assert float(g(np.array(1.0))) == factor + 1
    for table in ([7.0, 0.0], [8.0]):
        monkeypatch.setitem(globals(), "TABLE", table)
        assert float(g(np.array(1.0))) == 5 + table[0]


def test_a_list_may_change() -> None:
    weights = [np.ones(2), np.ones(2)]
    g = jac.jacobian(lambda x: sum(w * x for w in weights))
    for count in (2, 2, 2, 3, 4, 4, 4):
        del weights[2:]
        weights.extend(np.ones(2) for _ in range(count - 2))
        np.testing.assert_array_equal(np.asarray(g(np.zeros(2))), count * np.eye(2))


def test_functions_that_are_called_may_change() -> None:
    def make(k: float) -> Callable[[Any], Any]:
        return lambda x: k * x

    inner = make(1.0)
    g = jac.jacobian(lambda x: inner(x))
    for k in (1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0):
        inner = make(k)
        assert float(g(np.array(1.0))) == k


def test_defaults_may_change() -> None:
    def f(x: Any, k: float = 1.0, *, m: float = 1.0) -> Any:
        return x * k * m

    g = jac.jacobian(f)
    for k, m in ((1.0, 1.0), (1.0, 1.0), (1.0, 1.0), (2.0, 1.0), (2.0, 1.0), (2.0, 1.0), (2.0, 3.0)):
        f.__defaults__, f.__kwdefaults__ = (k,), {"m": m}
        assert float(g(np.array(1.0))) == k * m


def test_other_arguments_may_change() -> None:
    g = jac.jacobian(lambda x, w, *, b: x * w + b * x)
    for w, b in ((1.0, 1.0), (1.0, 1.0), (1.0, 1.0), (2.0, 1.0), (2.0, 2.0)):
        np.testing.assert_array_equal(np.asarray(g(np.ones(2), np.full(2, w), b=b)), (w + b) * np.eye(2))


def test_keywords_may_come_and_go() -> None:
    def f(x: Any, k: float = 1.0, **others: float) -> Any:
        return x * k * sum([1.0, *others.values()])

    g = jac.jacobian(f)
    for _ in range(3):
        assert float(g(2.0)) == 1
        assert float(g(2.0, k=3.0)) == 3
        assert float(g(2.0, k=3.0, m=4.0)) == 15
        assert float(g(2.0, m=4.0)) == 5
    assert len(scripts()) == 4


def test_an_op_may_be_declared_meanwhile() -> None:
    def twice(x: Any) -> Any:
        return 2 * x

    g = jac.jacobian(lambda x: twice(x) + np.sinc(x))
    for _ in range(3):
        assert float(g(1.5)) == pytest.approx(2 + float(jac.ops.sinc.jacobian(1.5)))
    assert scripts()
    jac.primitive(twice, lambda y, x: np.asarray(7.0), name="declared_meanwhile")
    for _ in range(3):
        assert float(g(1.5)) == pytest.approx(2 + float(jac.ops.sinc.jacobian(1.5)))


def test_the_function_that_returns_its_argument() -> None:
    for x in (np.ones((2, 2)), np.float64(2.0), np.float32(2.0), 3):
        g = jac.jacobian(lambda x: x)
        for _ in range(4):
            assert g(x).structure == "identity"


def test_the_function_that_returns_its_first_argument_by_all() -> None:
    for found in played(lambda x, y: x, (np.ones(2), np.zeros(3)), argnums=(0, 1)):
        assert [J.structure for J in found] == ["identity", "zero"]
        np.testing.assert_array_equal(found[1] @ np.ones(3), [0.0, 0.0])


def test_functions_of_one_text_are_told_apart() -> None:
    for _ in range(3):
        for k in (1.0, 2.0, 3.0):
            assert float(jac.jacobian(lambda x, k=k: x * k)(np.array(1.0))) == k


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: np.pad(np.where(x > x, x, x), 1) ** 2 + 1, np.zeros((0, 70))),
        (lambda x: np.diff(np.minimum(np.zeros((0, 70)), np.prod(x, axis=(1, 0)))), np.ones((7, 33))),
        (lambda x: np.tanh(x) * np.ones(3) @ np.ones((3, 2)), np.zeros((0, 3))),
    ],
)  # fmt: skip
def test_arrays_that_are_empty(f: Callable[[Any], Any], x: Any) -> None:
    (J,) = played(f, x)
    assert J.shape == np.shape(f(x)) + x.shape
    assert J.tensor().shape == J.shape


def test_variants_are_played_in_turns() -> None:
    for _ in range(4):
        for k in (1.0, 2.0, 3.0):
            for _ in range(2):
                assert float(jac.jacobian(lambda x, k=k: x * k)(np.array(1.0))) == k
    (kind,) = scripts()
    assert len(kind.scripts) == 3


def test_what_changes_at_every_call_is_not_written_down() -> None:
    for k in range(100):
        assert float(jac.jacobian(lambda x, k=k: x * k)(np.array(1.0))) == k
    (kind,) = replay.SCRIPTS
    assert kind.hopeless
    assert kind.written == 0


def test_functions_that_import_what_they_use() -> None:
    def f(x: Any) -> Any:
        import numpy as other  # noqa: ICN001
        from numpy import exp

        from jacobian import ops

        return ops.relu(x) * exp(other.sin(x))

    (J,) = played(f, np.array([0.5, -1.0]))
    slope = np.exp(np.sin(0.5)) * (1 + 0.5 * np.cos(0.5))
    np.testing.assert_allclose(J.tensor(), np.diag([slope, 0.0]))


def test_functions_that_import_anything_else() -> None:
    def f(x: Any) -> Any:
        from random import random

        return x * random()

    def g(x: Any) -> Any:
        import numpy.random as several

        return x * several.rand()  # noqa: NPY002

    for one in (f, g):
        assert len({float(J) for J in never_played(one, np.array(1.0))}) == 4


def test_partial_functions() -> None:
    def f(a: Any, x: Any, b: Any = 0.0) -> Any:
        return a * x + b * x

    (J,) = played(functools.partial(f, 1.0, b=3.0), np.ones(2))
    np.testing.assert_array_equal(np.asarray(J), 4 * np.eye(2))
    J = jac.jacobian(functools.partial(f, 2.0, b=3.0))(np.ones(2))
    np.testing.assert_array_equal(np.asarray(J), 5 * np.eye(2))


# -- what must never be played ---------------------------------------------------------------------------------------


def test_a_function_that_counts() -> None:
    calls = 0

    def f(x: Any) -> Any:
        nonlocal calls
        calls += 1
        return x * calls

    assert [float(J) for J in never_played(f, np.array(1.0))] == [1, 2, 3, 4]


def test_a_function_that_counts_in_a_global() -> None:
    def f(x: Any) -> Any:
        global COUNT  # noqa: PLW0603
        COUNT += 1
        return x * COUNT

    assert [float(J) for J in never_played(f, np.array(1.0))] == [1, 2, 3, 4]


def test_a_function_that_collects() -> None:
    seen: list[Any] = []

    def f(x: Any) -> Any:
        seen.append(1)
        return x * len(seen)

    assert [float(J) for J in never_played(f, np.array(1.0))] == [1, 2, 3, 4]


def test_a_function_that_changes_what_it_captured() -> None:
    c = np.ones(2)

    def f(x: Any) -> Any:
        np.add(c, 1.0, out=c)
        c[0] = c[1]
        return x * c

    assert [J[0, 0] for J in never_played(f, np.ones(2))] == [2, 3, 4, 5]


def test_functions_that_assign_into_what_they_captured() -> None:
    c = np.ones(2)

    def f(x: Any) -> Any:
        np.copyto(c, c + 1)
        return x * c

    def g(x: Any) -> Any:
        np.add.at(c, [0], 1)
        np.put(c, [1], c[0])
        return x * c

    assert [J[0, 0] for J in never_played(f, np.ones(2))] == [2, 3, 4, 5]
    assert [J[1, 1] for J in never_played(g, np.ones(2))] == [6, 7, 8, 9]


def test_a_function_that_changes_an_argument() -> None:
    w = np.ones(2)

    def f(x: Any, w: Any) -> Any:
        w *= 2
        return x * w

    assert [J[0, 0] for J in never_played(f, np.ones(2), w)] == [2, 4, 8, 16]


def test_a_mutable_default() -> None:
    def f(x: Any, seen: Any = []) -> Any:  # noqa: B006
        seen.append(1)
        return x * len(seen)

    assert [float(J) for J in never_played(f, np.array(1.0))] == [1, 2, 3, 4]


def test_iterators() -> None:
    numbers = iter(range(1, 100))
    assert [float(J) for J in never_played(lambda x: x * next(numbers), np.array(1.0))] == [1, 2, 3, 4]


def test_objects_methods_chance_and_time() -> None:
    model = SimpleNamespace(w=1.0)
    rng = np.random.default_rng(0)

    class Model:
        def __init__(self) -> None:
            self.w = 0.0

        def __call__(self, x: Any) -> Any:
            self.w += 1
            return x * self.w

        def method(self, x: Any) -> Any:
            return self(x)

    for f in (
        lambda x: x * model.w,
        lambda x: x * rng.normal(),
        lambda x: x * np.random.rand(),  # noqa: NPY002
        lambda x: x * random.random(),
        lambda x: x * time.perf_counter(),
        Model(),
        Model().method,
        lambda x, m=Model(): m(x),  # noqa: B008
    ):
        never_played(f, np.array(1.0))
    assert [float(J) for J in never_played(Model().method, np.array(1.0))] == [1, 2, 3, 4]


def test_control_flow_that_follows_the_value() -> None:
    g = jac.jacobian(lambda x: x * 2 if x > 0 else np.sin(x))
    for point in (1.0, 1.0, 1.0, -1.0, 2.0, -2.0):
        assert float(g(np.array(point))) == (2 if point > 0 else math.cos(point))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.arange(3)[np.argsort(x)] * x,
        lambda x: max(x[0], x[1]) * x,
        lambda x: sorted(x)[0] * x,
        lambda x: x * len(f"{x[0]:.0f}"),
        lambda x: x * len(str(x)),
        lambda x: x * int(x.argmax()),
        lambda x: x * np.count_nonzero(x),
        lambda x: x[np.nonzero(x)[0]],
        lambda x: x * (3 if np.all(np.isfinite(x)) and x[0] else 4),
    ],
)  # fmt: skip
def test_functions_that_look_at_numbers(f: Callable[[Any], Any]) -> None:
    never_played(f, np.array([1.0, 2.0, -3.0]))


def test_a_function_that_calls_itself() -> None:
    def power(x: Any, n: int) -> Any:
        return x if n == 1 else x * power(x, n - 1)

    assert float(never_played(lambda x: power(x, 3), np.array(2.0))[-1]) == 12


def test_a_users_op_may_look_at_anything() -> None:
    scale = 1.0
    op = jac.primitive(lambda x: scale * x, lambda y, x: scale * np.eye(len(x)), name="scaled_for_replay")
    g = jac.jacobian(lambda x: op(x) * 1.0)
    for scale in (1.0, 2.0, 3.0, 4.0):
        np.testing.assert_array_equal(np.asarray(g(np.zeros(2))), scale * np.eye(2))
    assert not scripts()


# -- where a script does not apply -----------------------------------------------------------------------------------


def test_another_shape_or_dtype_is_another_script() -> None:
    g = jac.jacobian(lambda x: np.tanh(x) * 2 + x)
    for _ in range(3):
        for x in (np.zeros(2), np.zeros(3), np.zeros(2, np.float32), 0.0, 0, [0.0, 0.0]):
            J = g(x)
            assert J.dtype == (np.float32 if getattr(x, "dtype", None) == np.float32 else np.float64)
            np.testing.assert_array_equal(np.asarray(J), 3 * np.eye(np.size(x)).reshape(2 * np.shape(x)))
    assert len(scripts()) == 6


def test_a_kink_warns_every_time() -> None:
    g = jac.jacobian(lambda x: np.abs(x) * 3)
    for _ in range(3):
        g(np.array([1.0, 2.0]))
    assert scripts()
    for _ in range(2):
        with pytest.warns(KinkWarning, match="absolute is not differentiable at entry"):
            J = g(np.array([1.0, 0.0]))
        np.testing.assert_array_equal(np.asarray(J), np.diag([3.0, 0.0]))


@pytest.mark.parametrize("are_large", [False, True])
@pytest.mark.parametrize("is_played", [False, True])
def test_a_kink_warns_once_a_call(*, are_large: bool, is_played: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the terms come later, by scripts and by programs."""
    monkeypatch.setattr(programs, "SMALL_RESULT", 0 if are_large else 100)
    f = lambda x: np.sin(np.abs(x)) * np.maximum(x, 0)  # noqa: E731
    g = jac.jacobian(f if is_played else lambda x: f(x) if x[0] > -9 else x)
    for _ in range(4):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            J = g(np.array([1.0, 0.0]))
            told = [str(one.message).partition(" ")[0] for one in found]
            np.asarray(J)
            J @ np.ones(2)
            assert J.formula
        assert sorted(told) == ["absolute", "maximum"]
        assert len(found) == len(told)
    assert bool(scripts()) is is_played


def test_an_infinite_derivative_warns_every_time() -> None:
    g = jac.jacobian(lambda x: np.sqrt(x) + 1)
    for _ in range(3):
        g(np.array([1.0, 2.0]))
    assert scripts()
    for _ in range(2):
        with pytest.warns(NonFiniteWarning, match="the derivative of sqrt is not finite at entry"):
            g(np.array([1.0, 0.0]))


def test_what_is_not_finite_is_refused_every_time() -> None:
    g = jac.jacobian(lambda x: np.exp(x))
    for _ in range(3):
        g(np.zeros(2))
    assert scripts()
    for bad in (np.nan, np.inf):
        with pytest.raises(NonFiniteError, match="x holds 1 value that is not finite"):
            g(np.array([0.0, bad]))
    with pytest.warns(RuntimeWarning, match="overflow"), pytest.raises(NonFiniteError, match=r"exp\(…\) holds 1 value"):
        g(np.array([0.0, 1e4]))


def test_what_numpy_refuses_is_refused_every_time() -> None:
    g = jac.jacobian(lambda A: np.linalg.inv(A))
    for _ in range(3):
        g(np.eye(2))
    assert scripts()
    with pytest.raises(jac.errors.JacobianError, match="inv"):
        g(np.zeros((2, 2)))


def test_a_script_that_fails_again_and_again_is_given_up() -> None:
    g = jac.jacobian(lambda x: np.sqrt(x) + 1)
    for _ in range(3):
        g(np.ones(2))
    assert scripts()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NonFiniteWarning)
        for _ in range(replay.MOST_FAILURES):
            assert np.isinf(np.asarray(g(np.zeros(2)))[0, 0])
    assert not scripts()


def test_at_a_kink_a_script_is_played_and_warns() -> None:
    g = jac.jacobian(lambda x: np.maximum(x, 0) * 3)
    for _ in range(2):
        g(np.ones(2))
    for _ in range(20):
        with pytest.warns(
            KinkWarning, match=r"maximum is not differentiable at entry \[1\]; one half for each is taken"
        ):
            J = g(np.array([1.0, 0.0]))
        np.testing.assert_array_equal(np.asarray(J), np.diag([3.0, 1.5]))
    (kind,) = scripts()
    assert kind.failures == 0


# -- arguments and results -------------------------------------------------------------------------------------------


def test_nested_arguments_and_results() -> None:
    def f(params: Any, x: Any) -> dict[str, Any]:
        return {"sum": params["a"][0] + params["b"] * x, "parts": [params["a"][1] * x, x]}

    g = jac.jacobian(f, argnums=(0, 1))
    for k in (1.0, 1.0, 1.0, 2.0, 3.0):
        found = g({"a": (np.full(2, k), np.full(2, k)), "b": k}, np.full(2, 5.0))
        np.testing.assert_array_equal(np.asarray(found["sum"][0]["b"]), [5.0, 5.0])
        np.testing.assert_array_equal(np.asarray(found["parts"][0][1]), k * np.eye(2))
        np.testing.assert_array_equal(np.asarray(found["parts"][1][1]), np.eye(2))
        np.testing.assert_array_equal(np.asarray(found["parts"][1][0]["a"][0]), np.zeros((2, 2)))
    assert len(scripts()) == 1


def test_a_constant_result_is_traced() -> None:
    for J in never_played(lambda x: np.ones(2), np.zeros(3)):
        np.testing.assert_array_equal(J, np.zeros((2, 3)))


def test_strides_do_not_matter() -> None:
    def f(A: Any) -> Any:
        return np.tanh(A @ A)

    x = np.arange(9.0).reshape(3, 3) / 9
    wide = np.zeros((6, 6))
    wide[::2, ::2] = x
    read_only = x.copy()
    read_only.flags.writeable = False
    expected = np.asarray(jac.jacobian(f, order="forward")(x))
    for J in played(f, x, np.asfortranarray(x), wide[::2, ::2], read_only):
        np.testing.assert_allclose(np.asarray(J), expected, rtol=1e-12)


def test_hessians_are_played() -> None:
    def rosenbrock(x: Any) -> Any:
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    H = jac.hessian(rosenbrock)
    points = [np.linspace(0.1, 1, 4) * k for k in (1, 1, 2, 3)]
    for point in points:
        expected = jac.finite_difference(jac.jacobian(rosenbrock), point).values
        np.testing.assert_allclose(np.asarray(H(point)), expected, rtol=1e-5, atol=1e-4)
    assert any(kind.failures == 0 for kind in scripts())


def test_derivatives_of_different_functions_are_told_apart() -> None:
    for _ in range(3):
        for k in (2, 3, 4):
            H = jac.hessian(lambda x, k=k: x**k)(np.array(2.0))
            assert float(H) == k * (k - 1) * 2.0 ** (k - 2)


def test_many_looks_at_the_terms_end_it() -> None:
    g = jac.jacobian(newton)
    for k in range(10):
        assert g(np.array([0.1, 0.2, 0.3 * k])).structure.startswith("sum of")
    assert not scripts()


def test_memory_is_bounded() -> None:
    for count in range(1, 1001):
        g = jac.jacobian(lambda x: np.sin(x) * 2)
        for _ in range(2):
            g(np.zeros(count))
    kinds = list(replay.SCRIPTS)
    assert replay.SCRIPTS.weight == sum(kind.weight for kind in kinds) <= replay.REMEMBERED


def test_functions_that_read_some_ten_megabytes_are_remembered_side_by_side() -> None:
    weights = np.random.default_rng(0).normal(size=(3000, 1000))
    several = [jac.jacobian(lambda x, W: np.tanh(x) + W[0, 0], order=order) for order in ("auto", "forward", "reverse")]
    for _ in range(3):
        for g in several:
            g(np.ones(3), weights)
    assert len(scripts()) == len(several)


def test_threads() -> None:
    g = jac.jacobian(newton)
    points = [np.array([0.1, 0.2, 0.3]) * k for k in range(1, 60)]
    expected = [np.asarray(jac.jacobian(newton, order="forward")(point)) for point in points]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda point: np.asarray(g(point)), points))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_process_forked_while_another_thread_looks_something_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # it is about what all threads share
    g, x = jac.jacobian(newton), np.ones(3)
    for _ in range(3):
        g(x)
    with replay.SCRIPTS._lock, programs.PROGRAMS._lock:
        child = os.fork()
        if child == 0:
            signal.alarm(20)  # ends it where it waits
            try:
                g(x)
                jac.jacobian(newton, order="reverse")(x)
                jac.jacobian(newton, order="reverse")(x)
            except BaseException:
                os._exit(1)
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_a_maximum_of_entries_that_stand_there_twice() -> None:
    """The chain rule counts by a table how often the input reaches the largest entry: a number of the program."""
    rng = np.random.default_rng(0)

    def f(x: Any) -> Any:
        return np.concatenate([x[:2], x]).max() * x[1]

    for order in ("auto", "forward", "reverse"):
        g = jac.jacobian(f, order=order)
        for _ in range(12):
            x = rng.normal(size=4)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", KinkWarning)
                found = np.asarray(g(x))
            largest = np.eye(4)[np.argmax(x)]
            np.testing.assert_allclose(found, largest * x[1] + np.eye(4)[1] * x.max())


def test_a_limit_of_memory_holds_for_what_is_there_already() -> None:
    g = jac.jacobian(newton)
    for _ in range(4):
        J = g(np.array([0.1, 0.2, 0.3]))
        with (
            pytest.raises(
                jac.errors.MemoryLimitError, match="materialising this Jacobian needs 72 B, the limit is 50 B"
            ),
            jac.memory_limit(50),
        ):
            J.tensor()
        assert J.tensor().shape == (3, 3)


def _over_modules(np: Any) -> Callable[[Any], Any]:
    return lambda x: np.linalg.inv(np.diag(np.tanh(x)))


def _importing(x: Any) -> Any:
    from numpy import linalg, tanh

    return linalg.norm(tanh(x)) * 2


def _through_another(x: Any) -> Any:
    return _tanh_of(x, np)


def _tanh_of(x: Any, module: Any) -> Any:
    return module.tanh(x) ** 2


@pytest.mark.parametrize("f", [_over_modules(np), _importing, _through_another])
def test_functions_of_modules_may_be_replaced(f: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.array([0.3, 0.5])
    g, before = jac.jacobian(f), np.asarray(jac.jacobian(f, order="forward")(x))
    for _ in range(4):
        np.testing.assert_allclose(g(x), before)
    monkeypatch.setattr(np, "tanh", np.sin)
    after = np.asarray(jac.jacobian(f, order="reverse")(x))
    assert abs(after - before).max() > 0.01
    for _ in range(3):
        np.testing.assert_allclose(g(x), after)
    monkeypatch.undo()
    np.testing.assert_allclose(g(x), before)
    monkeypatch.delattr(np, "tanh")
    with pytest.raises((AttributeError, ImportError)):
        g(x)


def test_a_solution_is_taken_from_the_inverse_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    A, b = np.eye(4) + np.arange(16.0).reshape(4, 4) / 20, np.arange(8.0).reshape(4, 2)
    g = jac.jacobian(lambda A: np.sum(np.linalg.solve(A, b) ** 2))
    (text,) = texts_of(g, A, monkeypatch=monkeypatch)
    assert "inv" in text and "solve" not in text
    expected = np.asarray(jac.jacobian(lambda A: np.sum(np.linalg.solve(A, b) ** 2), order="forward")(2 * A))
    np.testing.assert_allclose(g(2 * A), expected, rtol=1e-12)
    (text,) = texts_of(jac.value_and_jacobian(lambda A: np.linalg.solve(A, b)), A, monkeypatch=monkeypatch)
    assert "solve" in text


def test_a_determinant_is_differentiated_by_the_inverse_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def f(A: Any) -> Any:
        return np.linalg.det(A) * np.sum(np.linalg.inv(A))

    A = np.eye(3) + np.arange(9.0).reshape(3, 3) / 10
    g = jac.jacobian(f)
    (text,) = texts_of(g, A, monkeypatch=monkeypatch)
    assert text.count(" = inv") == 1
    near = np.diag([1.0, 1.0, 1e-9])  # where the program does not apply
    for point in (2 * A, near, A):
        np.testing.assert_allclose(g(point), np.asarray(jac.jacobian(f, order="forward")(point)), rtol=1e-9)
    h = jac.jacobian(np.linalg.det)
    for point in (A, A, A, np.ones((3, 3)), np.zeros((3, 3)), A):
        np.testing.assert_allclose(
            h(point), np.asarray(jac.jacobian(np.linalg.det, order="forward")(point)), atol=1e-14
        )


def test_second_derivatives_of_what_has_no_value() -> None:
    """The function itself is looked at, too, although nothing depends on its value."""
    H = jac.hessian(lambda x: np.sum(np.log(x)))
    for k in range(5):
        np.testing.assert_allclose(H(np.array([1.0, 2.0 + k])).tensor(), np.diag([-1.0, -1 / (2.0 + k) ** 2]))
    with pytest.raises(NonFiniteError, match="log"), np.errstate(all="ignore"):
        H(np.array([-1.0, 1.0]))


def series(A: Any) -> Any:
    term = total = np.eye(len(A))
    for k in range(1, 7):
        term = term @ A / k
        total = total + term
    return total


def test_what_goes_along_the_same_axes_is_added_before_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    A = np.random.default_rng(0).normal(size=(12, 12))
    g = jac.jacobian(series)
    *_, text = texts_of(g, A, monkeypatch=monkeypatch)
    assert 1 <= text.count("add(") <= 3  # not once for every power
    np.testing.assert_allclose(g(A), np.asarray(jac.jacobian(series, order="forward")(A)), rtol=1e-12, atol=1e-15)


def test_values_that_are_added_at_more_positions_than_there_are() -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        np.add.at(y, np.array([[0, 1], [1, 2]]), x[:2])
        return y * x

    g = jac.value_and_jacobian(f)
    x = np.array([1.0, 10.0, 3.0])
    for k in range(4):
        y, J = g(x + k)
        a, b, c = x + k
        np.testing.assert_allclose(y, np.array([a, a + b, b]) * (x + k))
        expected = [[2 * a, 0, 0], [b, a + 2 * b, 0], [0, c, b]]
        np.testing.assert_allclose(np.asarray(J), expected)
