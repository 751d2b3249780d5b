"""What is done on all cores gives the same numbers, and nobody can tell it from what one core does."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jacobian as jac
from jacobian.kernel import places, threads
from jacobian.kernel.buffers import ENTRIES, with_short_buffers
from jacobian.kernel.threads import Helpers, cores, is_worthwhile, on_all_cores, touched
from tests.kernel.test_buffers import NEW

WAIT = 20  # seconds after which something is wrong
A, B = np.random.default_rng(0).normal(size=(2, 60, 40))


@pytest.fixture(autouse=True)
def _three_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """On three cores, wherever the tests run."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(3), raising=False)
    for name in threads.LIMITS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "WORTHWHILE", 0)


def both(caller: Callable[[], Any], helper: Callable[[], Any]) -> list[Callable[[], Any]]:
    """Two steps, one for the thread that calls and one for a helper, whichever takes which."""
    main, meeting = threading.get_ident(), threading.Barrier(2)

    def step() -> None:
        meeting.wait(WAIT)
        (caller if threading.get_ident() == main else helper)()

    return [step, step]


def run(steps: list[Callable[[], Any]]) -> None:
    with np.errstate(all="ignore"):
        threads.run(steps, threads.WORTHWHILE)


def nothing() -> None:
    pass


# -- the same numbers ------------------------------------------------------------------------------------------------

sizes = st.lists(st.integers(1, 7), max_size=4)


@st.composite
def operands(draw: st.DrawFn) -> tuple[list[Any], tuple[int, ...]]:
    """Arrays and numbers that broadcast to a shape, some of them transposed."""
    shape = tuple(draw(sizes))
    found: list[Any] = []
    for _ in range(2):
        own = [size if draw(st.booleans()) else 1 for size in shape][draw(st.integers(0, len(shape))) :]
        array = np.random.default_rng(draw(st.integers(0, 9))).normal(size=own[::-1]).T
        found.append(draw(st.sampled_from([array, np.array(array, order="C"), 3.0])))
    return found, shape


@given(operands(), st.integers(1, 9))
def test_parts_are_the_whole(drawn: Any, most: int) -> None:
    arguments, shape = drawn
    expected, found, added = (np.ones(shape[::-1]).T for _ in range(3))
    np.multiply(*arguments, out=expected)
    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        patch.setattr(threads, "cores", lambda: 3)
        assert on_all_cores(np.multiply, *arguments, out=found) is found
        np.testing.assert_array_equal(found, expected)
        on_all_cores(np.add, *arguments, out=found, most=most)
        np.testing.assert_array_equal(found, np.broadcast_to(np.add(*arguments), shape))
        on_all_cores(partial(places._add, np.multiply), *arguments, out=added, most=most)
        on_all_cores(np.maximum, *arguments, out=found, most=most)  # which deprecates a place without its name
        np.testing.assert_array_equal(found, np.broadcast_to(np.maximum(*arguments), shape))
        np.testing.assert_array_equal(added, 1 + expected)
        on_all_cores(np.copyto, arguments[0], out=found)
        np.testing.assert_array_equal(found, np.broadcast_to(arguments[0], shape))


def test_a_long_axis_is_cut_and_so_is_a_short_one_if_there_is_no_other():
    for shape in ((3, 100, 200), (2, 3), (5, 1, 4), (1, 1), ()):
        out = np.zeros(shape)
        parts: list[np.ndarray] = []
        with np.errstate(all="ignore"):
            on_all_cores(lambda out, parts=parts: parts.append(out), out=out)
        seen = [part.shape for part in parts]
        longest = 1 if shape == (3, 100, 200) else int(np.argmax(shape)) if shape else None
        cut = {axis for part in seen for axis, size in enumerate(part) if size < shape[axis]}
        assert cut <= {longest}
        assert sum(int(np.prod(part)) for part in seen) == out.size
        assert len(seen) == (1 if longest is None else min(12, shape[longest]))


def product(A: Any, B: Any) -> Any:
    return A @ B


def test_results_are_written_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first term, one that is added to it, one that is not everywhere, and memory that is used again."""
    seen: list[Any] = []
    run_steps = threads._run

    def watched(steps: list[Any], count: int) -> None:
        seen.extend(getattr(step.func, "__name__", step.func) for step in steps)
        run_steps(steps, count)

    monkeypatch.setattr(threads, "_run", watched)
    monkeypatch.setattr("jacobian.kernel.code.WORTHWHILE", 1)
    rng = np.random.default_rng(0)
    C, D = rng.normal(size=(2, 20, 20))

    def sylvester(X: Any) -> Any:
        return C @ X @ D + D @ X @ C

    for f, x, expected in (
        (sylvester, C, {"multiply", "_add"}),
        (lambda x: np.cumsum(x**2), C[0], {"_write_piece"}),
        (lambda X: X @ X.T, C, {"copyto", "add"}),
    ):
        seen.clear()
        g = jac.jacobian(f)
        results = [np.array(g(x)) for _ in range(4)]
        assert expected <= set(seen)
        for result in results[1:]:
            np.testing.assert_allclose(result, results[0], rtol=1e-12, atol=1e-12)


# -- when ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, 3), ({"OMP_NUM_THREADS": "1"}, 1), ({"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "8"}, 2),
        ({"MKL_NUM_THREADS": "1"}, 1), ({"OMP_NUM_THREADS": " 2, 4"}, 2), ({"OMP_NUM_THREADS": ""}, 3),
        ({"OMP_NUM_THREADS": "0"}, 3), ({"OMP_NUM_THREADS": "all"}, 3), ({"OMP_NUM_THREADS": "-1"}, 3),
    ],
)  # fmt: skip
def test_who_limits_blas_limits_this(told: dict[str, str], expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with np.errstate(all="ignore"):
        assert cores() == expected


def test_cores_are_those_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    with np.errstate(all="raise"):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(64), raising=False)
        assert cores() == threads.MOST
        monkeypatch.delattr(os, "sched_getaffinity")
        monkeypatch.setattr(os, "cpu_count", lambda: None)
        assert cores() == 1


def test_one_core_has_no_helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(threads, "HELPERS", None)
    out = np.zeros((60, 60))
    calls: list[np.ndarray] = []
    with np.errstate(all="ignore"):
        on_all_cores(lambda out: calls.append(out), out=out)
    assert len(calls) == 1 and calls[0] is out


@pytest.mark.parametrize(
    ("shape", "strides", "expected"),
    [
        ((100, 100), (800, 8), 80_000 + threads.JUMP),
        ((100, 100), (8, 800), 80_000 + threads.JUMP),  # the order of the axes is not that of the memory
        ((10, 1, 10), (80, 7, 8), 800 + threads.JUMP), ((), (), threads.LINE + threads.JUMP),
        ((100,), (808,), 100 * threads.LINE + threads.JUMP), ((50, 100), (8000, 8), 50 * (800 + threads.JUMP)),
        ((2, 50, 100), (1_000_000, 8000, 8), 100 * (800 + threads.JUMP)),
    ],
)  # fmt: skip
def test_what_is_gone_through(shape: Any, strides: Any, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert touched(shape, strides) == expected
    for least in (expected, expected + 1):
        monkeypatch.setattr(threads, "WORTHWHILE", least)
        assert is_worthwhile(shape, strides) == (least == expected)


# -- what NumPy is told ----------------------------------------------------------------------------------------------


def test_helpers_work_as_the_caller_told_numpy() -> None:
    seen: list[Any] = []

    def look() -> None:
        seen.append((np.geterr(), np.getbufsize()))

    def call() -> None:
        threads.run(both(look, look), threads.WORTHWHILE)
        assert seen[0] == seen[1] == (np.geterr(), np.getbufsize())

    with np.errstate(divide="raise", over="ignore", under="raise", invalid="ignore"):
        with_short_buffers(call, errors_raised=False)
    assert seen[0][1] == (ENTRIES if NEW else np.getbufsize())
    seen.clear()
    run(both(look, look))  # the same helper is told anew
    assert [state["divide"] for state, _ in seen] == ["ignore", "ignore"]


def test_an_error_anywhere_is_raised() -> None:
    for place in range(0, 60, 7):
        divisor = np.ones((60, 40))
        divisor[place, 3] = 0
        with np.errstate(all="raise"), pytest.raises(FloatingPointError, match=r"^divide by zero encountered in div"):
            on_all_cores(np.divide, A, divisor, out=np.zeros_like(A))


def test_where_numpy_warns_it_does_so_once() -> None:
    """Of a result as a whole, also of one that is made from terms."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        on_all_cores(np.multiply, A * 1e200, 1e200, out=np.zeros((60, 40)))
    assert [str(one.message) for one in found] == ["overflow encountered in multiply"]
    J = jac.jacobian(lambda X: (1e200 * A.T) @ X @ (1e200 * A))(np.zeros((60, 60)))
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        assert np.isinf(np.asarray(J)).all()
    assert [str(one.message) for one in found] == ["overflow encountered in multiply"]


# -- errors and interrupts -------------------------------------------------------------------------------------------


def test_an_error_of_a_helper_reaches_the_caller() -> None:
    def fail() -> None:
        raise FloatingPointError("here")

    with pytest.raises(FloatingPointError, match="here"):
        run(both(nothing, fail))
    run(both(nothing, nothing))  # the helper goes on


def test_an_interrupt_is_not_lost_to_an_error() -> None:
    def fail() -> None:
        raise FloatingPointError

    def interrupt() -> None:
        raise KeyboardInterrupt

    for steps in (both(interrupt, fail), both(fail, interrupt)):
        with pytest.raises(KeyboardInterrupt):
            run(steps)


def slowly(done: list[bool]) -> Callable[[], None]:
    def step() -> None:
        time.sleep(0.3)
        done.append(True)

    return step


def test_nothing_is_raised_before_all_is_over() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    done: list[bool] = []
    with pytest.raises(ZeroDivisionError):
        run(both(fail, slowly(done)))
    assert done == [True]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no such signals")
def test_an_interrupt_waits_too() -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals are the main thread's")
    before = signal.signal(signal.SIGALRM, interrupt)
    done: list[bool] = []
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            run(both(nothing, slowly(done)))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert done == [True]


def test_arrays_are_let_go_when_it_is_over() -> None:
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            out = np.zeros((60, 40))
            gone = weakref.ref(out)
            with np.errstate(all="ignore"):
                on_all_cores(np.multiply, A, B, out=out)
            del out
            assert gone() is None
    finally:
        gc.enable()


# -- threads and processes -------------------------------------------------------------------------------------------


def test_threads_at_once() -> None:
    wrong: list[int] = []

    def work(k: int) -> None:
        out = np.zeros((60, 40))
        with np.errstate(all="raise"):
            for _ in range(50):
                on_all_cores(np.multiply, A, k, out=out)
                if not np.array_equal(out, A * k):
                    wrong.append(k)

    workers = [threading.Thread(target=work, args=(k,), daemon=bool(k % 2)) for k in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_steps_that_have_steps() -> None:
    seen: list[int] = []

    def inner() -> None:
        run(both(nothing, nothing))
        seen.append(1)

    run(both(inner, inner))
    assert seen == [1, 1]


def test_where_no_thread_can_be_started_the_caller_does_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> Any:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "Thread", refused)
    monkeypatch.setattr(threads, "HELPERS", Helpers())
    out = np.zeros((60, 40))
    with np.errstate(all="ignore"):
        on_all_cores(np.multiply, A, B, out=out)
    np.testing.assert_array_equal(out, A * B)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_has_helpers_of_its_own() -> None:
    run(both(nothing, nothing))
    child = os.fork()
    if child == 0:
        try:
            run(both(nothing, nothing))  # breaks where nobody comes
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_the_interpreter_can_end() -> None:
    code = """
import atexit, os, sys
import numpy as np
from jacobian.kernel import threads
os.sched_getaffinity = lambda pid: range(3)
a = np.ones((400, 400))
def use(*_):
    with np.errstate(all="raise"):
        threads.on_all_cores(np.add, a, 1, out=a)
class Late:
    __del__ = use
sys.late = Late()
atexit.register(use)
use()
"""
    found = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=3 * WAIT,
        env={name: value for name, value in os.environ.items() if name not in threads.LIMITS},
    )  # fmt: skip
    assert (found.returncode, found.stderr) == (0, "")
