"""Memory of large results is used again, and never while anybody can see what was in it."""

import gc
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian import programs, replay
from jacobian.chain import accumulate
from jacobian.errors import KinkWarning
from jacobian.kernel import code, reuse
from jacobian.ops.registry import Op, Sample
from jacobian.programs import Memory
from jacobian.tracing.graph import Node
from tests.sampled import at_points, every_sample

X = np.random.default_rng(1).normal(size=(60, 5))


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """No programs from before; all results count as large."""
    monkeypatch.setattr(replay, "SCRIPTS", Memory(replay.Kind, replay.REMEMBERED))
    monkeypatch.setattr(programs, "PROGRAMS", Memory(programs.Program, programs.REMEMBERED))
    monkeypatch.setattr(reuse, "WAITING", reuse.Waiting())
    monkeypatch.setattr(programs, "SMALL_RESULT", 0)
    monkeypatch.setattr(code, "WORTHWHILE", 1), (code, "FILLED", 1)
    monkeypatch.setattr(code, "FILLED", 1)


def warmed(f: Callable[..., Any], *args: Any, argnums: Any = 0) -> Callable[..., Any]:
    g = jac.jacobian(f, argnums)
    for _ in range(3):
        found = g(*args)
        for J in found if isinstance(found, tuple) else (found,):
            np.asarray(J)
    return g


def rows(X: Any) -> Any:
    return np.tanh(X).sum(axis=1)


def address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


@every_sample
def test_every_sample(op: Op, sample: Sample) -> None:
    """Other numbers into the same memory give the Jacobian that the chain rule gives."""
    f, points = at_points(op, sample, (1, 2, 3, 1))
    if not points[0]:
        return

    g = jac.jacobian(f, tuple(range(len(points[0]))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KinkWarning)
        for arrays in points:
            trace = jac.trace(f, *arrays)
            if not isinstance(trace.output, Node) or trace.output.op is None:
                return
            nodes = list(trace.inputs.values())
            for J, one in zip(g(*arrays), accumulate(trace.output, nodes), strict=True):
                np.testing.assert_allclose(np.asarray(J), one.tensor(), rtol=1e-12, atol=1e-12)


def test_memory_that_nobody_holds_is_used_again() -> None:
    g = warmed(rows, X)
    places = set()
    for k in range(5):
        array = np.asarray(g(X + k))
        places.add(address(array))
        del array
    assert len(places) == 1
    assert [memory.nbytes for memory in reuse.WAITING.order] == [60 * 60 * 5 * 8]


@pytest.mark.parametrize(
    "hold",
    [
        pytest.param(lambda J: J, id="the Jacobian"), pytest.param(np.asarray, id="the array"),
        pytest.param(lambda J: np.asarray(J)[3], id="a view"), pytest.param(lambda J: np.asarray(J).T, id="transposed"),
        pytest.param(lambda J: memoryview(np.asarray(J).data), id="a memoryview"),
        pytest.param(lambda J: J.matrix(), id="the matrix"), pytest.param(lambda J: np.asarray(J).base, id="the base"),
        pytest.param(lambda J: J.blocks(), id="blocks"),
    ],
)  # fmt: skip
def test_what_somebody_holds_does_not_change(hold: Callable[[Any], Any]) -> None:
    def numbers(held: Any) -> Any:
        return np.array(held.tolist() if isinstance(held, np.ndarray) and held.dtype == object else held, dtype=float)

    g = warmed(rows, X)
    held = hold(g(X))
    before = numbers(held)
    for k in range(4):
        np.testing.assert_allclose(np.asarray(g(X * k)).sum(axis=0), 1 - np.tanh(X * k) ** 2)
    np.testing.assert_array_equal(numbers(held), before)


def test_nobody_can_write_to_it() -> None:
    J = warmed(rows, X)(X)
    for array in (np.asarray(J), J.tensor(), np.asarray(J)[0]):
        assert not array.flags.writeable
        with pytest.raises(ValueError, match="cannot set WRITEABLE flag to True"):
            array.flags.writeable = True


def test_terms_that_add_begin_at_zero() -> None:
    """The diagonal blocks of the Gram matrix's Jacobian are the sum of two terms, at entries that both write to."""
    points = [np.random.default_rng(k).normal(size=(7, 4)) for k in range(5)]
    g = warmed(lambda X: X @ X.T, points[0])
    for X in points:
        expected = np.einsum("ik,jl->ijkl", np.eye(7), X) + np.einsum("jk,il->ijkl", np.eye(7), X)
        np.testing.assert_allclose(np.asarray(g(X)), expected)


def test_entries_that_depend_on_the_numbers_are_not_left_behind() -> None:
    g = warmed(np.sort, np.array([3.0, 1.0, 2.0]))
    for order in ([0.0, 1.0, 2.0], [2.0, 1.0, 0.0], [1.0, 2.0, 0.0]):
        np.testing.assert_array_equal(np.asarray(g(np.array(order))), np.eye(3)[np.argsort(order)])


def test_several_results_have_memory_of_their_own() -> None:
    def f(A: Any, B: Any) -> Any:
        return A @ B

    A, B = X, X.T.copy()
    g = warmed(f, A, B, argnums=(0, 1))
    for k in range(3):
        first, second = map(np.asarray, g(A + k, B - k))
        np.testing.assert_allclose(first, np.einsum("im,jk->ikmj", np.eye(60), B - k))
        np.testing.assert_allclose(second, np.einsum("ij,kn->ikjn", A + k, np.eye(60)))


def test_only_so_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reuse, "most", lambda: 200_000)
    functions = [warmed(lambda x, k=k: np.sin((k + 1) * x), np.ones(100 + k)) for k in range(4)]
    for k, g in enumerate(functions):
        np.asarray(g(np.ones(100 + k)))
    assert [memory.shape[0] for memory in reuse.WAITING.order] == [102, 103]
    monkeypatch.setattr(reuse, "most", lambda: 0)
    np.asarray(functions[0](np.ones(100)))
    assert not reuse.WAITING.order


def test_what_waits_for_long_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reuse, "PATIENCE", 5)
    first, second = warmed(np.sin, np.ones(50)), warmed(np.cos, np.ones(60))
    for calls, g, n in ((1, first, 50), (5, second, 60)):
        for _ in range(calls):
            np.asarray(g(np.ones(n)))
    assert [memory.shape for memory in reuse.WAITING.order] == [(50, 50), (60, 60)]
    np.asarray(second(np.ones(60)))
    assert [memory.shape for memory in reuse.WAITING.order] == [(60, 60)]


def test_what_is_overwritten_takes_the_memory_that_was_in_use_last() -> None:
    functions = [warmed(lambda x, k=k: np.outer(x, x * k).sum(axis=0) * np.sin(x), X[:, 0]) for k in range(2)]
    places = [address(np.asarray(g(X[:, 0]))) for g in (*functions, *functions)]
    assert len(set(places)) == 1
    held = np.asarray(functions[0](X[:, 0]))
    expected = held.copy()
    other = np.asarray(functions[1](X[:, 0]))
    assert address(other) != address(held)
    np.testing.assert_array_equal(held, expected)


def test_threads_do_not_share_it() -> None:
    g = warmed(rows, X)
    wrong: list[int] = []

    def work(k: int) -> None:
        for step in range(40):
            x = X + k + step
            if not np.allclose(np.asarray(g(x)).sum(axis=0), 1 - np.tanh(x) ** 2):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_programs_that_are_forgotten_keep_no_memory() -> None:
    g = warmed(rows, X)
    held = np.asarray(g(X))
    replay.SCRIPTS = Memory(replay.Kind, replay.REMEMBERED)
    reuse.WAITING.order.clear()
    gc.collect()
    np.testing.assert_allclose(held.sum(axis=0), 1 - np.tanh(X) ** 2)
