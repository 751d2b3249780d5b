"""Large results are written on all cores: one core alone does not use what the memory can do.

A write is cut into steps, which lie in one list: the thread that calls takes them from there, and so do a few helpers,
until none is left. Nothing is waited for but a step that somebody is at. A helper that comes late, or never, as at the
end of the interpreter, costs time and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from functools import partial
from itertools import pairwise
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, NamedTuple

import numpy as np

from jacobian.kernel.pattern import Shape

WORTHWHILE = 2**23  # bytes of memory from which on waking a helper is made up for, whatever the caches hold
LINE = 64  # bytes that are read and written together, however few of them are wanted
JUMP = 2**9  # bytes that could be written while the next row is found, where that lies elsewhere
MOST = 4  # cores: memory is no quicker for more
STEPS = 4  # for every core, so that one which is busy with something else leaves its share to the others
LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
LONG = 64  # rows that are cut evenly enough

_SILENT = frozenset({"ignore", "raise"})

Step = Callable[[], object]


def touched(shape: Shape, strides: Shape) -> int:
    """Bytes of memory that are gone through for entries of that shape and strides; the way to a row counts as some."""
    axes = sorted((abs(step), size) for step, size in zip(strides, shape, strict=True) if size > 1)
    inner = axes[0][0] if axes else LINE
    run = rows = 1
    for step, size in axes:
        if rows == 1 and step == inner * run:
            run *= size
        else:
            rows *= size
    return rows * (run * min(LINE, inner) + JUMP)


def is_worthwhile(shape: Shape, strides: Shape) -> bool:
    """Whether such entries are better written on all cores."""
    return touched(shape, strides) >= WORTHWHILE


def cores() -> int:
    """How many cores this thread may use now.

    As many as the process may, unless BLAS is told to use less. It is one where NumPy is to warn of errors: it would do
    so for every part of a result.
    """
    if not _SILENT.issuperset(np.geterr().values()):
        return 1
    try:
        own = len(os.sched_getaffinity(0))
    except AttributeError:
        own = os.cpu_count() or 1
    told = [os.environ.get(name, "").partition(",")[0].strip() for name in LIMITS]  # of OpenMP one for every level
    return min(MOST, own, *(int(limit) for limit in told if limit.isdecimal() and int(limit) > 0))


def on_all_cores(function: Callable[..., Any], *arguments: Any, out: np.ndarray, most: int | None = None) -> np.ndarray:
    """`function(*arguments, out=out)`, for a function of entries, or for `copyto`: the same in parts done at once.

    A part has `most` entries, if that is given.
    """
    count = cores()
    cuts = 1 if count == 1 else count * STEPS
    parts = _parts(out, arguments, cuts if most is None else max(cuts, out.size // most))
    steps: list[Step] = [
        partial(function, place, *given) if function is np.copyto else partial(function, *given, out=place)
        for place, given in parts
    ]
    _run(steps, count)
    return out


def _parts(out: np.ndarray, arguments: tuple[Any, ...], count: int) -> list[tuple[np.ndarray, tuple[Any, ...]]]:
    """The result and all arguments, cut along the first axis that is long."""
    if count == 1 or not out.ndim:
        return [(out, arguments)]
    axis = max(range(out.ndim), key=lambda axis: min(out.shape[axis], LONG))
    behind, size = out.ndim - axis, out.shape[axis]
    cut = [np.ndim(one) >= behind and one.shape[-behind] == size for one in arguments]
    bounds = [size * k // count for k in range(count + 1)]
    found = []
    for start, stop in pairwise(bounds):
        if start < stop:
            part: tuple[Any, ...] = (..., slice(start, stop), *[slice(None)] * (behind - 1))
            given = [one[part] if has_axis else one for one, has_axis in zip(arguments, cut, strict=True)]
            found.append((out[part], tuple(given)))
    return found


def run(steps: list[Step], nbytes: int) -> None:
    """Run steps that go through so many bytes, in any order; on all cores, if that is worthwhile."""
    _run(steps, cores() if nbytes >= WORTHWHILE else 1)


Part = Callable[[int, int], Sequence[tuple[np.ndarray, Any]]]
"""A function of where a part starts and stops: pairs of a total and what is to be added to that."""


def in_parts(part: Part, steps: int, size: int) -> None:
    """Go through parts in turn."""
    for start in range(0, steps, size):
        _add(part(start, start + size))


def in_parts_at_once(part: Part, steps: int, size: int) -> None:
    """Go through parts on all cores. What they give is added in turn, so that the totals are the same every time."""
    count = cores()
    if count == 1:
        in_parts(part, steps, size)
        return
    turns, starts = _Turns(), range(0, steps, size)
    run: list[Step] = [partial(turns.take, turn, part, start, start + size) for turn, start in enumerate(starts)]
    _run(run[::-1], count)  # the first ones first


class _Turns:
    """Adds what parts give, in turn."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: dict[int, Sequence[tuple[np.ndarray, Any]]] = {}
        self._next = 0

    def take(self, turn: int, part: Part, start: int, stop: int) -> None:
        """Go through a part."""
        found = part(start, stop)
        with self._lock:
            self._waiting[turn] = found
            while self._next in self._waiting:
                _add(self._waiting.pop(self._next))
                self._next += 1


def _add(pairs: Sequence[tuple[np.ndarray, Any]]) -> None:
    for total, one in pairs:
        np.add(total, one, out=total)


def _run(steps: list[Step], count: int) -> None:
    """Run all steps on so many cores; what one of them raises is raised when all are over."""
    failed: list[BaseException] = []
    wanted = min(count, len(steps)) - 1
    helpers = HELPERS.called(wanted, steps, failed) if wanted > 0 else []
    try:
        _work(steps, failed)
    finally:
        steps.clear()
        _wait(helpers)
    if failed:
        raise failed.pop()  # so that it is not held by this frame, which it holds


def _work(steps: list[Step], failed: list[BaseException]) -> None:
    """Take steps until none is left, or one has failed."""
    while True:
        try:
            step = steps.pop()
        except IndexError:
            return
        try:
            step()
        except BaseException as error:  # whatever it is, it is for the thread that has called
            failed.insert(0 if isinstance(error, Exception) else len(failed), error)  # an interrupt is the one to raise
            steps.clear()


def _wait(helpers: list[Lock]) -> None:
    """Wait until no helper works; an interrupt has to wait, too."""
    try:
        for busy in helpers:
            with busy:
                pass
    except BaseException:
        _wait(helpers)
        raise


class Job(NamedTuple):
    """Steps to help with. While a helper does so it holds the lock; when it is done it holds no array."""

    context: Context  # where NumPy keeps how errors are handled, and how long buffers are
    busy: Lock
    steps: list[Step]
    failed: list[BaseException]


class Helpers:
    """Threads that wait for jobs. There are none before the first job, and none in a process that was forked."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Know of no thread."""
        self._lock = Lock()
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._count = 0

    def called(self, wanted: int, steps: list[Step], failed: list[BaseException]) -> list[Lock]:
        """Have steps done by so many helpers, too; for each a lock that is free when it is not at it."""
        jobs = [Job(copy_context(), Lock(), steps, failed) for _ in range(self._started(wanted))]
        for job in jobs:
            self._jobs.put(job)
        return [job.busy for job in jobs]

    def _started(self, wanted: int) -> int:
        """How many helpers there are of those wanted."""
        with self._lock:
            try:
                while self._count < wanted:
                    Thread(target=_help, args=(self._jobs,), name="jacobian", daemon=True).start()
                    self._count += 1
            except RuntimeError:  # too many threads, or the interpreter ends
                pass
            return min(wanted, self._count)


def _help(jobs: SimpleQueue[Job]) -> None:
    """Wait for jobs, and do them."""
    while True:
        job = jobs.get()
        with job.busy:
            job.context.run(_work, job.steps, job.failed)
        del job


HELPERS = Helpers()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=HELPERS.forget)
