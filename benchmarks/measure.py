"""Time: contestants take turns, so that a noisy machine is noisy for all of them; medians count."""

from __future__ import annotations

import mmap
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

import jacobian as jac
from benchmarks.workloads import Workload
from jacobian import replay
from jacobian.kernel import reuse
from jacobian.programs import Memory

Call = Callable[[], Any]


@dataclass(frozen=True)
class Effort:
    """How long to measure: at least some rounds, at most others, and within a budget of seconds in between."""

    least: int = 5
    most: int = 25
    budget: float = 4.0


LARGE = 2**22  # bytes from which on NumPy asks for large pages

FAST = 0.05  # seconds
SLOW_TO_BEGIN = 1.0  # seconds of a first call after which it is not told by a second one whether it is fast

FULL = Effort()
QUICK = Effort(least=2, most=5, budget=0.5)


def timed(call: Call) -> float:
    """Seconds of one call; what it returns is freed after the clock has stopped."""
    start = time.perf_counter()
    result = call()
    stop = time.perf_counter()
    del result
    return stop - start


def interleaved(
    contestants: dict[str, Call], effort: Effort = FULL, calls: int | Mapping[str, int] = 1
) -> dict[str, float]:  # fmt: skip
    """Median seconds per call of every contestant, measured in turns of `calls` calls each, after one to warm up.

    A turn of a fast contestant begins with a call that does not count: until it is over, threads of the one before may
    still be waiting for work on the cores. What the caches hold depends on whose turn was the last: every round has
    another sequence.
    """
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    fast = {name for name, call in contestants.items() if _is_fast(call)}
    shuffled = random.Random(0)
    end = time.perf_counter() + effort.budget
    for turn in range(effort.most):
        if turn >= effort.least and time.perf_counter() > end:
            break
        for name in shuffled.sample(list(contestants), len(contestants)):
            if name in fast:
                timed(contestants[name])
            count = calls if isinstance(calls, int) else calls[name]
            samples[name].append(_repeated(contestants[name], count))
    return {name: statistics.median(times) for name, times in samples.items()}


def _is_fast(call: Call) -> bool:
    first = timed(call)
    return first < FAST or (first < SLOW_TO_BEGIN and timed(call) < FAST)


def _repeated(call: Call, calls: int) -> float:
    if calls == 1:
        return timed(call)
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def ours(workload: Workload, order: str = "auto") -> Callable[..., tuple[Any, ...]]:
    """The function that returns our Jacobians, not yet dense."""
    return jac.jacobian(workload.plain, workload.argnums, order)  # type: ignore[no-any-return]


@contextmanager
def nothing_known() -> Iterator[None]:
    """As if nothing had been called yet: every call begins with memory of its own."""
    known, replay.SCRIPTS = replay.SCRIPTS, Memory(replay.Kind, replay.REMEMBERED)
    reuse.WAITING.give_up()
    try:
        yield
    finally:
        replay.SCRIPTS = known


class Anew:
    """A function that is traced at every call: what an object does is not known beforehand, so nothing is played."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)


def agree(found: Sequence[Any], expected: Sequence[Any], tolerance: float = 1e-9) -> str | None:
    """None when the arrays are equal but for rounding, else what is different."""
    if len(found) != len(expected):
        return f"{len(found)} results instead of {len(expected)}"
    for position, (one, other) in enumerate(zip(map(np.asarray, found), map(np.asarray, expected), strict=True)):
        if one.shape != other.shape:
            return f"result {position} has the shape {one.shape} instead of {other.shape}"
        scale = max(float(np.max(other, initial=0.0)), -float(np.min(other, initial=0.0))) or 1.0
        difference = np.asarray(one - other)
        largest = float(np.max(np.abs(difference, out=difference), initial=0.0)) / scale
        if not largest <= tolerance:  # so that NaN is different, too
            return f"result {position} differs by {largest:.1e} of the largest entry"
    return None


def write_seconds(nbytes: int) -> float:
    """Seconds to fill that many bytes of fresh memory, page faults included.

    It comes from the system, as large arrays do; an allocator that hands out what was freed before can be faster.
    """
    size = max(nbytes, 8)

    def fill() -> np.ndarray:
        memory = mmap.mmap(-1, size)
        if size >= LARGE and hasattr(mmap, "MADV_HUGEPAGE"):
            memory.madvise(mmap.MADV_HUGEPAGE)
        fresh = np.frombuffer(memory, count=size // 8)
        fresh.fill(1.0)
        return fresh

    return interleaved({"fill": fill}, Effort(5, 15, 0.5))["fill"]


def peak_multiplications(n: int = 1000) -> float:
    """Multiplications (each with its addition) per second in a product of two n×n matrices."""
    rng = np.random.default_rng(0)
    A, B, C = rng.normal(size=(n, n)), rng.normal(size=(n, n)), np.empty((n, n))
    return float(n**3 / interleaved({"gemm": lambda: np.matmul(A, B, out=C)}, Effort(5, 20, 2.0))["gemm"])
