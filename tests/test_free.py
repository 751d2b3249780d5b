"""Numbers that are not differentiated by: taken by a script as they come, where a function only computes with them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian import replay
from jacobian.errors import JacobianError, KinkWarning
from jacobian.ops.registry import Op, Sample
from jacobian.programs import Memory
from jacobian.tracing.tree import leaves
from tests.sampled import at_points, every_sample

pytestmark = pytest.mark.usefixtures("no_scripts")

SCALE = np.array([1.0, 2.0, 3.0])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def traced(f: Callable[..., Any], *args: Any, argnums: Any = 0) -> Any:
    """Value and Jacobian as at a first call, which is never played."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replay, "SCRIPTS", Memory(replay.Kind, replay.REMEMBERED))
        return jac.value_and_jacobian(f, argnums)(*args)


def plays() -> int:
    return sum(kind.plays for kind in replay.SCRIPTS)


def assert_same(found: Any, expected: Any) -> None:
    for one, other in zip(leaves(found), leaves(expected), strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=1e-12, atol=1e-12)
        assert one.dtype == other.dtype


def compared(f: Callable[..., Any], calls: list[tuple[Any, ...]], argnums: Any = 0) -> int:
    """How many of the calls were played; all of them are compared with tracing."""
    before = plays()
    g = jac.value_and_jacobian(f, argnums)
    for args in calls:
        assert_same(g(*args), traced(f, *args, argnums=argnums))
    return plays() - before


@every_sample
def test_every_sample_by_its_first_array(op: Op, sample: Sample) -> None:
    f, points = at_points(op, sample, (1, 2, 3, 4))
    if len(points[0]) < 2:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KinkWarning)
        for arrays in points:
            found, expected = jac.value_and_jacobian(f)(*arrays), traced(f, *arrays)
            assert_same(found, expected)
            for J, other in zip(leaves(found[1]), leaves(expected[1]), strict=True):
                assert (
                    J.formula == other.formula or op.name == "convolve"
                )  # which calls atleast_1d: as it is, or a view
                np.testing.assert_allclose((J @ np.ones(J.in_shape)), (other @ np.ones(J.in_shape)), atol=1e-12)


def pendulum(t: float, y: Any, damping: float) -> Any:
    return np.stack([y[1], -damping * y[1] - np.sin(y[0]) + np.cos(t)])


def test_a_right_hand_side_at_ever_other_times() -> None:
    calls = [(0.1 * k, np.array([0.1 * k, 1.0]), 0.2 + k) for k in range(8)]
    assert compared(pendulum, calls, 1) == 6


def test_a_loss_on_ever_other_batches(rng: np.random.Generator) -> None:
    def loss(w: Any, batch: Any) -> Any:
        X, y = batch
        return np.mean((np.tanh(X @ w) - y) ** 2)

    calls = [(rng.normal(size=3), (rng.normal(size=(5, 3)), rng.normal(size=5))) for _ in range(6)]
    assert compared(loss, calls) == 4


def test_parameters_in_dicts_and_lists(rng: np.random.Generator) -> None:
    def f(x: Any, layers: Any) -> Any:
        for layer in layers:
            x = np.tanh(layer["W"] @ x + layer["b"])
        return x

    def layers() -> Any:
        return [{"W": rng.normal(size=(3, 3)), "b": rng.normal(size=3)} for _ in range(2)]

    assert compared(f, [(rng.normal(size=3), layers()) for _ in range(5)]) == 3


def test_formulas_are_those_of_tracing() -> None:
    def f(x: Any, A: Any, t: float) -> Any:
        return np.sin(t * (A.T @ x)) + 2 * t

    g, x = jac.jacobian(f), np.array([0.1, 0.2, 0.3])
    for k in range(1, 4):
        A, t = np.arange(9.0).reshape(3, 3) / k, 0.5 * k
        J, other = g(x, A, t), traced(f, x, A, t)[1]
        assert (J.formula, J.explain(), repr(J)) == (other.formula, other.explain(), repr(other))
    assert plays() == 1


@pytest.mark.parametrize("look", [lambda t: t > 0, lambda t: int(t), lambda t: math.sin(t) > 0, lambda t: f"{t:.1f}"])
def test_what_is_looked_at_is_compared(look: Callable[[float], Any]) -> None:
    def f(x: Any, a: float, t: float) -> Any:
        return a * x if look(t) else x**2

    x = np.array([1.0, 2.0])
    calls = [(x, 0.1 * k, 0.3) for k in range(6)]
    assert compared(f, calls) == 3  # one call more than usual, until it is known which of the two is looked at
    assert compared(f, [(x, 0.1, -0.3), (x, 0.1, 0.0), (x, 0.7, 0.3)]) == 1


def test_an_exponent_decides_about_the_rule() -> None:
    calls = [(np.array([0.0, -1.0, 2.0]), p) for p in (2.0, 2.0, 2.0, 2.0, 3.0, 1.0, 0.0)]
    assert compared(lambda x, p: x**p, calls) == 1


def test_numbers_keep_their_way_with_dtypes() -> None:
    x = np.ones(3, dtype=np.float32)
    calls: list[Any] = [(x, 0.5), (x, 0.5), (x, 0.5), (x, 0.5), (x, 0.7)]
    assert compared(lambda x, t: x * t, calls) == 1
    assert compared(lambda x, t: x * t, [(x, np.float32(k)) for k in range(4)]) == 2


def test_a_list_that_the_function_changes() -> None:
    def f(x: Any, state: dict[str, Any]) -> Any:
        state["last"] = state["first"] * 2
        return x * state["last"]

    g = jac.jacobian(f)
    for k in range(6):
        state = {"first": np.full(2, 1.0 + k), "last": np.zeros(2)}
        np.testing.assert_array_equal(g(np.ones(2), state).tensor(), np.diag(state["first"] * 2))
        np.testing.assert_array_equal(state["last"], state["first"] * 2)


def test_an_array_that_the_function_changes() -> None:
    def f(x: Any, work: Any) -> Any:
        work[0] = 7.0
        return x * work

    g = jac.jacobian(f)
    for k in range(6):
        work = np.full(2, 1.0 + k)
        np.testing.assert_array_equal(g(np.ones(2), work).tensor(), np.diag([7.0, 1.0 + k]))
        np.testing.assert_array_equal(work, [7.0, 1.0 + k])


def test_the_same_array_twice() -> None:
    f = lambda x, y: x * y  # noqa: E731
    points = [np.full(2, 1.0 + k) for k in range(4)]
    assert compared(f, [(x, x) for x in points]) == 2


def test_captured_numbers_that_change_are_free() -> None:
    def at(t: float) -> Callable[[Any], Any]:
        return lambda x: np.sin(t * x) * SCALE

    x, found = np.array([0.1, 0.2, 0.3]), []
    for k in range(8):
        t = 0.5 * k
        found.append(jac.jacobian(at(t))(x).tensor())
        np.testing.assert_allclose(found[-1], np.diag(t * np.cos(t * x) * SCALE), atol=1e-15)
    assert plays() >= 4


def test_what_is_free_may_change_when_there_are_scripts_already() -> None:
    def at(t: float, n: int) -> Callable[[Any, float], Any]:
        return lambda x, a: a * np.sin(t * x) ** n

    x, ts, ns = np.array([0.1, 0.2]), (1, 1, 1, 1, 2, 3, 1, 1, 4, 5, 1, 1), (2, 2, 2, 3, 3, 2, 2)
    turns = [(float(t), 2) for t in ts] + [(1.0, n) for n in ns]
    for a, (t, n) in enumerate(turns):
        J = jac.jacobian(at(t, n))(x, float(a))
        expected = np.diag(a * n * t * np.sin(t * x) ** (n - 1) * np.cos(t * x))
        np.testing.assert_allclose(J.tensor(), expected, atol=1e-13)
        if a in (6, 7):
            assert "cos" in J.formula
    assert plays() > 5


def inner(x: Any) -> Any:
    return x * SCALE


def test_a_helper_that_reads_the_same_variable_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    f = lambda x: inner(x) + x * SCALE  # noqa: E731
    x = np.ones(3)
    for k in range(8):
        monkeypatch.setitem(globals(), "SCALE", np.full(3, 1.0 + k // 3))
        np.testing.assert_array_equal(jac.jacobian(f)(x).tensor(), np.diag(2 * SCALE))


def quadratic(x: Any, A: Any) -> Any:
    return x @ A @ x


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jacobian.tracing.snapshots.BORROWED", 1)
    monkeypatch.setattr("jacobian.tracing.snapshots.CAPTURED", 1)


@pytest.mark.parametrize("is_captured", [False, True])
def test_a_large_array_is_neither_copied_nor_compared(
    large: None, rng: np.random.Generator, *, is_captured: bool
) -> None:
    A, x = rng.normal(size=(4, 4)), rng.normal(size=4)
    g = jac.jacobian(lambda x: x @ A @ x) if is_captured else jac.jacobian(lambda x: quadratic(x, A))
    if not is_captured:
        g = lambda x: jac.jacobian(quadratic)(x, A)  # noqa: E731
    for _ in range(4):
        g(x)
    assert plays() >= 1
    before = plays()
    kept, looked_at = g(x), g(x)
    formula = looked_at.formula
    expected = A @ x + x @ A
    A[0] += 1.0
    np.testing.assert_allclose(g(x).tensor(), A @ x + x @ A)
    assert plays() == before + 3
    for J in (kept, looked_at):
        np.testing.assert_allclose(J.tensor(), expected)
        np.testing.assert_allclose(J @ x, expected @ x)
        np.testing.assert_allclose((2 * J).tensor(), 2 * expected)
    assert "A[" in formula
    assert looked_at.formula == formula
    assert kept.formula == "∂y/∂x[i] = J[i]"  # nobody knows any more what it was made from
    assert "forward" in kept.explain()


def test_a_result_that_is_part_of_a_large_array_is_a_copy(large: None) -> None:
    A, x = np.arange(16.0).reshape(4, 4), np.ones(2)
    g = jac.jacobian(lambda x, A: A[:2, :2] @ x)
    for _ in range(3):
        J = g(x, A)
    assert plays() == 1
    A[:] = 0.0
    np.testing.assert_array_equal(J.tensor(), [[0.0, 1.0], [4.0, 5.0]])
    assert not J.tensor().flags.writeable


def test_a_large_array_that_cannot_be_used_any_more(large: None) -> None:
    A, x = np.eye(3), np.ones(3)
    g = jac.jacobian(lambda x, A: np.linalg.solve(A, x))
    for _ in range(3):
        J = g(x, A)
    assert plays() == 1
    A[:] = 0.0
    np.testing.assert_array_equal(J.tensor(), np.eye(3))
    assert J.formula == "∂y[i]/∂x[j] = J[i,j]"
    with pytest.raises(jac.errors.JacobianError):
        g(x, A)


def test_nan_in_a_free_array_is_told() -> None:
    g = jac.jacobian(lambda x, c: x * c)
    for k in range(4):
        g(np.ones(2), np.full(2, float(k)))
    with pytest.raises(jac.errors.NonFiniteError):
        g(np.ones(2), np.array([np.nan, 1.0]))


def test_a_call_that_began_before_something_else_was_free() -> None:
    """As calls in several threads do: what it takes as free decides which scripts are for it."""

    def at(scale: float) -> Callable[..., Any]:
        return lambda x, t, s: x * scale * t if s > 0 else x

    def began(scale: float, t: float) -> replay.Call:
        call = replay.Caller(at(scale), 0, "auto", with_values=False).call((x, t, 1.0), {})
        assert call is not None
        return call

    x, early = np.ones(2), {}
    for k in range(12):
        scale = 1.0 + max(0, k - 4)
        call = began(scale, 2.0)
        early[call.keys] = call
        jac.jacobian(at(scale))(x, 0.5 + k, 1.0)
    assert list(early) == [(1, 2), (1,), (1, "scale")]
    assert began(7.0, 3.0).play() is not None
    for keys in ((1, 2), (1,)):
        assert early[keys].play() is None
        assert not early[keys].look_around()
    for k in range(4):
        np.testing.assert_array_equal(jac.jacobian(at(5.0 + k))(x, 3.0, 1.0).tensor(), np.diag([15.0 + 3 * k] * 2))


def test_an_argument_named_twice_leaves_the_others_compared() -> None:
    g = jac.jacobian(lambda x, n: x**n, argnums=(0, 0))
    for n in (2, 2, 2, 3, 3, 3, 2, 4):
        assert [float(J) for J in g(np.array(2.0), n)] == [n * 2.0 ** (n - 1)] * 2


def test_calls_of_other_kinds_in_turns() -> None:
    """What tells at a glance that a call is like the last one sees every difference that there can be."""
    g = jac.jacobian(lambda x, c: np.sum(x) * c)
    arguments: list[tuple[Any, Any]] = [
        (np.ones(2), 2.0), (np.ones(2), 2), (np.ones(3), 2.0), (np.ones(2, np.float32), 2.0),
        (np.ones(2), np.array(2.0)),
        ([1.0, 1.0], 2.0), (np.ones(2), np.float32(2)), (np.ones((2, 1)), 2.0), (np.ones(2), True),
    ]  # fmt: skip
    for _ in range(2):
        for one in arguments:
            for _ in range(4):
                J = g(*one)
                expected = jac.jacobian(lambda x, one=one: np.sum(x) * one[1])(one[0])
                assert (J.shape, J.dtype) == (expected.shape, expected.dtype)
                np.testing.assert_array_equal(J.tensor(), expected.tensor())


@pytest.mark.parametrize("others", [(3,), ((1.0, 2.0, 3.0),), ([1.0, 2.0, 3.0],), (3, SCALE), (True, np.arange(3) * 2)])
@pytest.mark.parametrize("f", [lambda k, x: np.sin(k * x) + k, lambda k, x: np.maximum(x, k) ** 2 + k])
def test_a_captured_number_that_is_now_and_then_something_else(f: Any, others: tuple[Any, ...]) -> None:
    k: Any = 2.0
    g = jac.value_and_jacobian(lambda x: f(np.asarray(k) if type(k) in (tuple, list) else k, x))
    bare = jac.value_and_jacobian(lambda x: np.add(k, x) ** 2)
    for k in (*others, 2.0, *others, *others, 3.0, 4.0, 5.0, *others, *others, 2.0):  # noqa: B007 - captured
        assert_same(g(SCALE / 1.7), traced(g.__wrapped__, SCALE / 1.7))
        assert_same(bare(SCALE / 1.7), traced(bare.__wrapped__, SCALE / 1.7))


OF_A_BATCH: dict[str, Callable[[Any, Any, Any], Any]] = {
    "labels": lambda W, X, t: np.mean(np.log(np.exp(X @ W).sum(1)) - (X @ W)[np.arange(len(t)), t]),
    "onehot": lambda W, X, t: np.sum(np.where(t[:, None] == np.arange(3), X @ W, 0) ** 2),
    "factors": lambda W, X, t: np.sum((t[:, None] * (X @ W)) ** 2) + (t // 2).sum(),
    "rows": lambda W, X, t: W[t] * X[0, 0],
    "rows and columns": lambda W, X, t: (X @ W)[t][:, t % 2],
    "an exponent": lambda W, X, t: W ** (t[0] + 1),
    "taken": lambda W, X, t: np.take(X @ W, t, axis=0),
    "sorted by": lambda W, X, t: np.sum((X @ W)[np.argsort(t)] ** 2 * np.arange(5)[:, None]),
}
THAT_LOOK: dict[str, Callable[[Any, Any, Any], Any]] = {
    "a mask": lambda W, X, t: np.sum((X @ W)[t > 0]),
    "a size": lambda W, X, t: np.linspace(0, 1, t[0] + 2).sum() * W,
    "a number": lambda W, X, t: np.mean(X @ W, axis=0) * float(t.max()),
    "a plain array": lambda W, X, t: np.sum((np.eye(3)[t] - X @ W) ** 2),
}


@pytest.mark.parametrize("name", [*OF_A_BATCH, *THAT_LOOK])
def test_whole_numbers_that_change_are_free(name: str) -> None:
    f = (OF_A_BATCH | THAT_LOOK)[name]
    rng = np.random.default_rng(1)
    for _ in range(8):
        args = rng.normal(size=(4, 3)), rng.normal(size=(5, 4)), rng.integers(0, 3, size=5)
        (value, J), (expected, other) = jac.value_and_jacobian(f)(*args), traced(f, *args)
        np.testing.assert_allclose(value, expected, rtol=1e-13)
        np.testing.assert_allclose(np.asarray(J), np.asarray(other), rtol=1e-12, atol=1e-14)
    assert J.formula == other.formula
    assert plays() == (5 if name in OF_A_BATCH else 0)


def test_masks_that_change_are_free_and_other_sizes_are_another_kind() -> None:
    def f(x: Any, mask: Any) -> Any:
        return np.where(mask, np.sin(x), x**2) * np.sum(mask)

    rng = np.random.default_rng(1)
    for k in range(16):
        args = rng.normal(size=4 + k % 2), rng.normal(size=4 + k % 2) > 0
        np.testing.assert_allclose(np.asarray(jac.jacobian(f)(*args)), np.asarray(traced(f, *args)[1]), rtol=1e-13)
    assert plays() == 10
    with pytest.raises(JacobianError):
        jac.jacobian(f)(np.ones(4), np.ones(5) > 0)


def test_whole_numbers_that_stay_are_constants_of_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.array([0, 2, 1])
    g = jac.jacobian(lambda x, t: x[t] ** 2)
    for k in range(4):
        g(np.arange(3.0) + k, labels)
    (kind,) = replay.SCRIPTS
    assert kind.plays == 2
    assert not kind.changing
    for _ in range(6):
        expected = np.zeros((3, 3))
        labels = np.roll(labels, 1)
        expected[np.arange(3), labels] = 2 * labels
        np.testing.assert_array_equal(np.asarray(g(np.arange(3.0), labels)), expected)
    assert kind.plays > 4
    assert kind.changing == {1}
