"""Jacobians computed by programs: a function called again and again is planned once.

Graphs whose nodes have equal keys differ in their numbers only. When such a graph is seen for the second time, the
chain rule is run once on symbols instead of arrays, and all the contractions it asks for are written into one
straight-line NumPy program; from then on only that program runs. Where it was not written for the numbers at hand (a
kink, an overflow, another order of a sort) the chain rule is run as ever.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from jacobian import clusters, plan
from jacobian.kernel.buffers import with_errors_raised, with_short_buffers
from jacobian.kernel.code import OTHERWISE, OtherwiseError
from jacobian.kernel.operands import view_of
from jacobian.kernel.recorded import NotRecordableError
from jacobian.kernel.reuse import Reused
from jacobian.ops.kinks import told_later
from jacobian.tracing.graph import Node
from jacobian.writing import Writing

SMALL_RESULT = 2**12  # entries of all Jacobians together: so few that they are computed without being asked for
MOST_NODES = 10_000
REMEMBERED = 100_000  # weight of all programs together: their nodes, and the constants they hold in units of 256 bytes
HEAVIEST = 20_000  # weight of one program
MOST_FAILURES = 16  # in a row: then the numbers differ each time, and the program is given up

Tensors = list[tuple[Callable[[], "np.ndarray | None"], "np.dtype[Any]"]]


class Program:
    """The compiled program of one kind of graph, if it has been seen more than once and can have one.

    A small one is a function of the nodes that returns all tensors. A large one comes in two functions: one that only
    checks whether the numbers are those it was written for, and one that returns a function for every tensor.
    """

    def __init__(self, weight: int) -> None:
        self.weight = weight
        self.seen = 0
        self.tried = False  # to write it
        self.failures = 0
        self.all: Callable[[Sequence[Node]], Any] | None = None
        self.check: Callable[[Sequence[Node]], Any] | None = None
        self.parts: Callable[[Sequence[Node]], Any] | None = None
        self.dtypes: tuple[np.dtype[Any], ...] = ()
        self.memories: list[Reused | None] = []

    @property
    def is_written(self) -> bool:
        """Whether it can run."""
        return self.all is not None or self.parts is not None

    def run(self, nodes: Sequence[Node]) -> Tensors | None:
        """The tensors at these nodes, each as a function that gives it; None where the program does not apply."""
        everything, check, parts = self.all, self.check, self.parts  # another thread may give the program up
        start = everything or (check if parts is not None else None)
        if start is None:
            return None
        try:
            found = with_errors_raised(start, nodes)
        except OTHERWISE:
            self.failures += 1
            if self.failures == MOST_FAILURES:
                self.all = self.check = self.parts = None
            return None
        self.failures = 0
        if everything is not None:
            results = found if len(self.dtypes) > 1 else (found,)
            return [(partial(_seen, array, dtype), dtype) for array, dtype in zip(results, self.dtypes, strict=True)]
        assert parts is not None
        pending = Pending(partial(parts, nodes), self.dtypes, self.memories)
        return [(partial(pending.tensor, k), dtype) for k, dtype in enumerate(self.dtypes)]


class Pending:
    """A program whose tensors are computed one by one, when they are asked for; what they share only once."""

    def __init__(
        self, start: Callable[[], Any], dtypes: Sequence[np.dtype[Any]], memories: Sequence[Reused | None]
    ) -> None:  # fmt: skip
        self._start: Callable[[], Any] | None = start
        self._dtypes = dtypes
        self._memories = memories
        self._parts: list[Callable[[], Any] | None] = []
        self._lock = Lock()

    def tensor(self, k: int) -> np.ndarray | None:
        """One of the tensors; None where the program does not apply after all."""
        try:
            array, memory = with_short_buffers(self._computed, k), self._memories[k]
        except OTHERWISE:
            return None
        return _seen(array, self._dtypes[k]) if memory is None else view_of(memory.lend(array))

    def _computed(self, k: int) -> Any:
        """What a part gives. All parts run once and are forgotten: they give up what they have read."""
        with self._lock:
            start, self._start = self._start, None
            if start is not None:
                self._parts = list(start())
            part = self._parts[k] if self._parts else None
            if part is None:
                raise OtherwiseError
            self._parts[k] = None
        return part()


def _seen(array: Any, dtype: np.dtype[Any]) -> np.ndarray:
    return view_of(np.asarray(array, dtype))


class Weighed(Protocol):
    """Something that is remembered."""

    weight: int
    seen: int


T = TypeVar("T", bound=Weighed)


class Memory(Generic[T]):
    """What is remembered in this process by a key: what was used last, and no more than a given weight."""

    def __init__(self, make: Callable[[int], T], most: int) -> None:
        self._make = make
        self._most = most
        self._known: dict[Hashable, T] = {}
        self._lock = Lock()
        self.weight = 0

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._known)

    def __iter__(self) -> Iterator[T]:
        """All of them, the one used last at the end."""
        return iter(list(self._known.values()))

    def find(self, key: Hashable, weight: int) -> T:
        """What has that key, now the one used last; made when it is not known, and seen once more."""
        with self._lock:
            found = self._known.pop(key, None)
            if found is None:
                found = self._make(weight)
                self._make_room(weight)
            self._known[key] = found
            found.seen += 1
            return found

    def grow(self, one: T, weight: int) -> None:
        """One of them has become heavier, or lighter."""
        with self._lock:
            if one in self._known.values():
                one.weight += weight
                self._make_room(weight)

    def unlock(self) -> None:
        """Wait for nobody: in a process that was forked, the thread that was at it is not there."""
        self._lock = Lock()

    def _make_room(self, weight: int) -> None:
        self.weight += weight
        while self.weight > self._most and self._known:
            self.weight -= self._known.pop(next(iter(self._known))).weight


PROGRAMS: Memory[Program] = Memory(Program, REMEMBERED)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=PROGRAMS.unlock)


def tensors(of: Node, wrt: Sequence[Node], order: str) -> Tensors | None:
    """The full Jacobians of one node with respect to others, when there is a program for them."""
    count = of.index + 1
    if count > MOST_NODES:
        return None
    nodes = of.trace.nodes
    keys = tuple([node.key for node in nodes[:count]])
    if None in keys:
        return None
    by = tuple([(node.index, node.shape, node.value.dtype) for node in wrt])  # one may stand after all that is used
    program = PROGRAMS.find((order, by, keys), count)
    if program.seen > 1 and not program.tried:
        program.tried = True
        told_later(_write, program, of, wrt, order)
        for node in nodes[:count]:
            node.forget_locals()
    return program.run(nodes)


def _write(program: Program, of: Node, wrt: Sequence[Node], order: str) -> None:
    """Write the program, if that can be done."""
    graph = plan.paths(of, wrt)
    values = [of, *(parent for node in graph.nodes for _, parent in node.parents)]
    if any(node.value.dtype.kind != "f" for node in values):
        return
    try:
        order, writing = clusters.quickest(graph, order, Writing), Writing()
        found = clusters.accumulate(graph, writing, order)
        results = [writing.tensor(J) for J in found]
    except NotRecordableError:
        return
    code = writing.code
    weight = code.nbytes // 256
    if weight > HEAVIEST:
        return
    PROGRAMS.grow(program, weight)
    program.dtypes = tuple(J.dtype for J in found)
    program.memories = code.memories(results)
    if sum(J.size for J in found) <= SMALL_RESULT:
        program.all = code.compile(code.text(["nodes"], results))
        return
    program.parts = code.compile(code.text_of_parts(["nodes"], results))
    program.check = code.compile(code.text(["nodes"], ["None"]))
