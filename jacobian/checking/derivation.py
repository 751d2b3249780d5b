"""One run of a function, and its derivation in numbers: every local Jacobian as a matrix, and what they add up to.

`Run` is the graph as it was traced, its nodes called by the function's own variables. `Derivation` holds, for output
`y` and input `x`, the matrices `∂y/∂v` and `∂v/∂x` of every node `v` between them, so that a change of one local
Jacobian costs two products.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from math import inf, prod
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from jacobian.chain import Trace
from jacobian.errors import ArgumentError, report
from jacobian.kernel.expression import Jacobian
from jacobian.tracing.graph import Node
from jacobian.tracing.run import argument_names, run
from jacobian.tracing.stripped import strip_all
from jacobian.tracing.tracer import Tracer
from jacobian.tracing.tree import is_container

Array = np.ndarray[Any, np.dtype[Any]]

MAX_WORK, SAMPLE = 2e8, 16
"""So many multiplications for one pass over the graph, then only some rows and columns are looked at."""

STEP = 5e4
"""So many multiplications take as long as what is around one small product; a search is counted in such steps."""

COMPARED = 10
"""Multiplications that take as long as comparing one number."""

MAX_ENTRIES = 2**22
"""A local Jacobian with more entries than this is not made dense; the derivation is then not searched."""


class EndlessError(Exception):
    """A function calls others far more often than it does at the given point. It never leaves the checking room."""


class Run:
    """A function traced at one point, for one of its inputs."""

    def __init__(
        self, f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], argnum: int, output_name: str = "",
        most_calls: float = inf, *, as_alone: bool = False,
    ) -> None:  # fmt: skip
        """Run it; operations are numbered as where only that input is traced, if they are to be.

        Raises:
            EndlessError: there are more than `most_calls` of others.
        """
        traced = [number for number, value in enumerate(args) if number == argnum or _is_floating(value)]
        with _watching(f, most_calls) as watched:
            recording = run(f, traced, args, kwargs)
        variables, lines, self.calls = watched.variables, watched.lines, watched.calls
        self.trace = Trace(recording)
        self.args = args
        self.of, self.wrt = self._ends(recording.inputs[argnum])
        if as_alone:
            self.trace._graph.naming.numbers = self.numbers_alone
        if output_name and isinstance(self.of, Node) and self.of.op is not None:
            self.of.name_hint = output_name
        self.variables = self._called(variables)
        self.lines: Mapping[Node, int] = lines if len(set(lines.values())) > 1 else {}
        self.input_names = tuple(argument_names(f, len(args))[: len(args)])

    def _ends(self, wrt: Any) -> tuple[Node | Array, Node]:
        of = self.trace.output
        if not isinstance(of, Node | np.ndarray):
            raise ArgumentError(report("the function must return one array", fix="return the one that is meant"))
        if not isinstance(wrt, Node):
            raise ArgumentError(
                report("the argument that is differentiated by must be one array", got=type(wrt).__name__)
            )
        return of, wrt

    @property
    def numbers_alone(self) -> Mapping[int, int]:
        """What operations are numbered by where the input alone is traced: those that depend on it, then the others."""
        reached = {self.wrt.index}
        for node in self.trace.nodes:
            if any(parent.index in reached for _, parent in node.parents):
                reached.add(node.index)
        made = [node.index for node in self.trace.nodes if node.op is not None]
        return {index: 1 + n for n, index in enumerate(sorted(made, key=lambda index: (index not in reached, index)))}

    def _called(self, variables: dict[str, Any]) -> dict[str, Node]:
        """Nodes by the variables that held them at the end; formulas call them so from now on."""
        taken = {node.name_hint for node in self.trace.nodes}
        found: dict[str, Node] = {}
        for name, value in variables.items():
            if not isinstance(value, Tracer) or value.graph is not self.trace._graph or name in taken:
                continue
            found[name] = value.node
            if not value.node.name_hint:
                value.node.name_hint = name
        return found

    @property
    def out_shape(self) -> tuple[int, ...]:
        """The output's shape."""
        return tuple(self.of.shape)

    @property
    def has_branches(self) -> bool:
        """Whether the function may be another one elsewhere: it has kinks, or looked at its numbers."""
        ops = [node.op for node in self.trace.nodes if node.op is not None]
        return self.trace._graph.seen or any(op.kinks or op.name == "where" for op in ops)

    @property
    def output_name(self) -> str:
        """What formulas call the output."""
        return self.of.name if isinstance(self.of, Node) else "y"

    @cached_property
    def jacobian(self) -> Jacobian:
        """The true Jacobian, with its structure."""
        if isinstance(self.of, Node):
            return self.trace.jacobian(self.of, self.wrt)
        return Jacobian.zero(self.out_shape, self.wrt.shape, float, ("y", self.wrt.name))

    @cached_property
    def tensor(self) -> Array:
        """The true Jacobian as an array."""
        return np.asarray(self.jacobian)

    @property
    def captured(self) -> Mapping[str, Any]:
        """The arrays that the function captures, by name."""
        return {name: strip_all(array) for name, array in self.trace._graph.naming.captured.items()}

    @property
    def values(self) -> Mapping[str, Any]:
        """What a claim may use: inputs, output, what was computed on the way and what is captured, by name."""
        found: dict[str, Any] = {node.name: strip_all(node.value) for node in self.trace.nodes if node.op is not None}
        found |= {name: strip_all(node.value) for name, node in self.variables.items()}
        found[self.output_name] = strip_all(self.of.value) if isinstance(self.of, Node) else self.of
        return {**self.captured, **found, **dict(zip(self.input_names, self.args, strict=True))}


def _is_floating(value: Any) -> bool:
    """Whether an argument holds numbers that can be differentiated by; whole numbers are labels and positions."""
    if is_container(value):
        return all(map(_is_floating, value.values() if isinstance(value, dict) else value))
    return np.asarray(value).dtype.kind in "fc"


@dataclass
class _Watched:
    """What a function's local variables hold at its end, which of its lines made what, and how often it calls."""

    variables: dict[str, Any]
    lines: dict[Node, int]
    calls: int = 0


@contextmanager
def _watching(f: Callable[..., Any], most_calls: float) -> Iterator[_Watched]:
    """While this lasts, it is noted what a function does."""
    code = getattr(inspect.unwrap(f), "__code__", None)
    watched = _Watched({}, {})

    def look(frame: FrameType, event: str, result: Any) -> None:
        if event != "return":
            watched.calls += event != "c_return"
            if watched.calls > most_calls:
                raise EndlessError
        elif frame.f_code is code:
            watched.variables.update(frame.f_locals)
        elif isinstance(result, Tracer) and frame.f_back is not None and frame.f_back.f_code is code:
            watched.lines.setdefault(result.node, frame.f_back.f_lineno)

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        yield watched
    finally:
        go_on = getattr(before, "enable", None)  # cProfile's object is no function that could be set again
        sys.setprofile(before) if go_on is None else go_on()


class Edge(NamedTuple):
    """A node, which of its operands, and the node that operand came from."""

    node: int
    operand: int
    parent: int


Changes = Mapping[Edge, Array]
"""Other local Jacobians, as matrices, in place of the true ones."""


class Derivation:
    """Every local Jacobian between `wrt` and `of` as a matrix."""

    full: Array
    """The matrix of the whole, all of it."""

    jacobian: Jacobian
    """The whole with its structure."""

    coarser: Derivation | None = None
    """The same in the steps that were traced, where this one is in smaller ones."""

    def __init__(
        self, of: Node, wrt: Node, owners: Mapping[int, int] | None = None, constant: Collection[int] = ()
    ) -> None:  # fmt: skip
        self.of, self.wrt = of, wrt
        self.owners = owners or {}  # of the steps of a layer, the layer
        self.steps = 0.0
        self.cancelled: dict[int, bool] = {}
        self.others: dict[str, Derivation | None] = {}  # of the same: in other steps, or with something constant
        self.nodes = _between(of, wrt, constant)
        self.edges: list[Edge] = []
        self.into: dict[int, list[Edge]] = {index: [] for index in self.nodes}
        self.uses: dict[int, list[Edge]] = {index: [] for index in self.nodes}
        self.locals: dict[Edge, Array] = {}
        for node in self.nodes.values():
            if node is wrt:
                continue
            for operand, parent in node.parents:
                if parent.index in self.nodes:
                    edge = Edge(node.index, operand, parent.index)
                    self.edges.append(edge)
                    self.into[node.index].append(edge)
                    self.uses[parent.index].append(edge)
        if any(prod(self.nodes[e.node].shape) * prod(self.nodes[e.parent].shape) > MAX_ENTRIES for e in self.edges):
            raise MemoryError  # whoever asked goes without
        for edge in self.edges:
            self.locals[edge] = matrix(self.nodes[edge.node].local(edge.operand))
        self.rows, self.columns = (self._sampled(prod(node.shape)) for node in (of, wrt))
        self.down = self.forward({})
        self.up = self._backward()

    def _sampled(self, size: int) -> Array:
        """Which rows or columns of the whole are looked at: all, unless that is too much work."""
        work = size * sum(local.size for local in self.locals.values())
        if work <= MAX_WORK or size <= SAMPLE:
            return np.arange(size)
        return np.sort(np.random.default_rng(size).choice(size, SAMPLE, replace=False))

    def count(self, multiplications: int = 0, compared: int = 0, *, steps: int = 1) -> None:
        """Notes what a part of a search takes; it ends by this, at the same place on every machine."""
        self.steps += steps + (multiplications + COMPARED * compared) / STEP

    def part(self, matrix: Array) -> Array:
        """The rows and columns of a full matrix that are looked at; a matrix of these is handed back."""
        if matrix.shape == (len(self.rows), len(self.columns)):
            return matrix
        picked: Array = matrix[np.ix_(self.rows, self.columns)]
        return picked

    @property
    def is_whole(self) -> bool:
        """Whether all rows and columns are looked at."""
        return (len(self.rows), len(self.columns)) == (prod(self.of.shape), prod(self.wrt.shape))

    @cached_property
    def truth(self) -> Array:
        """The matrix of the whole, as far as it is looked at."""
        return self.down[self.of.index][self.rows]

    @property
    def shape(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Output and input shape."""
        return tuple(self.of.shape), tuple(self.wrt.shape)

    def forward(self, changes: Changes, start: int | None = None, seed: Array | None = None) -> dict[int, Array]:
        """`∂v/∂start` for every node after `start` (the input unless given), with some local Jacobians changed."""
        start = self.wrt.index if start is None else start
        if seed is None:
            seed = np.eye(prod(self.nodes[start].shape))
            seed = seed[:, self.columns] if start == self.wrt.index else seed
        reached = {start: seed}
        for index in self.nodes:
            if index <= start:
                continue
            total: Array | None = None
            for edge in self.into[index]:
                before = reached.get(edge.parent)
                if before is None:
                    continue
                changed = changes.get(edge)
                local = self.locals[edge] if changed is None else changed
                self.count(local.size * before.shape[1])
                step = local @ before
                total = step if total is None else total + step
            if total is not None:
                reached[index] = total
        return reached

    def _backward(self) -> dict[int, Array]:
        arrived: dict[int, Array] = {self.of.index: np.eye(prod(self.of.shape))[self.rows]}
        for index in reversed(self.nodes):
            for edge in self.into[index]:
                step = arrived[index] @ self.locals[edge]
                known = arrived.get(edge.parent)
                arrived[edge.parent] = step if known is None else known + step
        return arrived

    def contribution(self, edge: Edge, local: Array | None = None) -> Array:
        """What passes over one edge, with its own local Jacobian or another."""
        local = self.locals[edge] if local is None else local
        arrived, left = self.up[edge.node], self.down[edge.parent]
        self.count(local.size * len(arrived) + arrived.shape[0] * left.size)
        return arrived @ local @ left

    def total(self, changes: Changes) -> Array:
        """The whole with some local Jacobians changed."""
        if len(changes) == 1:
            ((edge, local),) = changes.items()
            return self.truth + self.contribution(edge, local - self.locals[edge])
        return self.forward(changes)[self.of.index][self.rows]

    def name(self, index: int) -> str:
        """What a node is called."""
        return self.nodes[index].name


def _between(of: Node, wrt: Node, constant: Collection[int]) -> dict[int, Node]:
    """The nodes on the way by number, in the order in which they ran, without those that count as constant."""
    found: dict[int, Node] = {}
    for node in reversed(list(of.trace.between(of, [wrt]))):
        follows = node is wrt or any(parent.index in found for _, parent in node.parents)
        if follows and node.index not in constant:
            found[node.index] = node
    return found


def matrix(J: Jacobian) -> Array:
    """A Jacobian as a matrix of floats."""
    return np.asarray(J, float).reshape(prod(J.out_shape), prod(J.in_shape))
