"""Jacobians computed by programs: a function called again and again is planned once.

Graphs whose nodes have equal keys differ in their numbers only. When such a graph is seen for the second time, the
chain rule is run once on symbols instead of arrays, and all the contractions it asks for are written into one
straight-line NumPy program; from then on only that program runs. Where it was not written for the numbers at hand (a
kink, an overflow, another order of a sort) the chain rule is run as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from threading import Lock
from typing import Any

import numpy as np

from jacobian import plan
from jacobian.errors import JacobianError
from jacobian.kernel.arithmetic import Written
from jacobian.kernel.code import Code, OtherwiseError
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.recorded import NotRecordableError, Recorded
from jacobian.kernel.simplify import contracted, fused
from jacobian.kernel.term import Factor, Term
from jacobian.ops.registry import Op, Point
from jacobian.tracing.graph import Node

SMALL_RESULT = 2**12  # entries of all Jacobians together: so few that they are computed without being asked for
MOST_NODES = 2000
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
            with np.errstate(**RAISING):
                found = start(nodes)
        except (OtherwiseError, ArithmeticError):
            self.failures += 1
            if self.failures == MOST_FAILURES:
                self.all = self.check = self.parts = None
            return None
        self.failures = 0
        if everything is not None:
            results = found if len(self.dtypes) > 1 else (found,)
            return [
                (partial(np.asarray, array, dtype), dtype) for array, dtype in zip(results, self.dtypes, strict=True)
            ]
        assert parts is not None
        pending = Pending(parts, nodes, self.dtypes)
        return [(partial(pending.tensor, k), dtype) for k, dtype in enumerate(self.dtypes)]


class Pending:
    """A program whose tensors are computed one by one, when they are asked for; what they share only once."""

    def __init__(
        self, start: Callable[[Sequence[Node]], Any], nodes: Sequence[Node], dtypes: Sequence[np.dtype[Any]]
    ) -> None:
        self._start = start
        self._nodes = nodes
        self._dtypes = dtypes
        self._parts: Sequence[Callable[[], Any]] | None = None
        self._lock = Lock()

    def tensor(self, k: int) -> np.ndarray | None:
        """One of the tensors; None where the program does not apply after all."""
        try:
            with np.errstate(**RAISING):
                with self._lock:
                    if self._parts is None:
                        self._parts = self._start(self._nodes)
                return np.asarray(self._parts[k](), self._dtypes[k])
        except (OtherwiseError, ArithmeticError):
            return None


RAISING: dict[str, Any] = {"divide": "raise", "invalid": "raise", "over": "raise"}
"""Where a number is not finite the chain rule is run as ever: it says which op, and at which entry."""


class Programs:
    """The programs of this process, those used last; as many as `REMEMBERED` allows."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Program] = {}
        self._lock = Lock()
        self.weight = 0

    def __len__(self) -> int:
        """How many graphs are remembered."""
        return len(self._known)

    def __iter__(self) -> Iterator[Program]:
        """The programs, the one used last at the end."""
        return iter(list(self._known.values()))

    def find(self, key: Hashable, nodes: int) -> Program:
        """The program of that key, now the one used last; made when it is not known, and seen once more."""
        with self._lock:
            program = self._known.pop(key, None)
            if program is None:
                program = Program(nodes)
                self._make_room(nodes)
            self._known[key] = program
            program.seen += 1
            return program

    def grow(self, program: Program, weight: int) -> None:
        """A program has become heavier."""
        with self._lock:
            if program in self._known.values():
                program.weight += weight
                self._make_room(weight)

    def _make_room(self, weight: int) -> None:
        self.weight += weight
        while self.weight > REMEMBERED and self._known:
            self.weight -= self._known.pop(next(iter(self._known))).weight


PROGRAMS = Programs()


def tensors(of: Node, wrt: Sequence[Node], order: str) -> Tensors | None:
    """The full Jacobians of one node with respect to others, when there is a program for them."""
    count = of.index + 1
    if count > MOST_NODES:
        return None
    nodes = of.trace.nodes
    keys = tuple([node.key for node in nodes[:count]])
    if None in keys:
        return None
    program = PROGRAMS.find((order, tuple([node.index for node in wrt]), keys), count)
    if program.seen > 1 and not program.tried:
        program.tried = True
        _write(program, of, wrt, order)
    return program.run(nodes)


def _write(program: Program, of: Node, wrt: Sequence[Node], order: str) -> None:
    """Write the program, if that can be done."""
    graph = plan.paths(of, wrt)
    values = [of, *(parent for node in graph.nodes for _, parent in node.parents)]
    if any(node.value.dtype.kind != "f" for node in values):
        return
    try:
        writing = Writing()
        found = plan.accumulate(graph, writing, order)
        results = [str(writing.arithmetic.tensor(J)) for J in found]
    except NotRecordableError:
        return
    code = writing.code
    weight = code.nbytes // 256
    if weight > HEAVIEST:
        return
    PROGRAMS.grow(program, weight)
    program.dtypes = tuple(J.dtype for J in found)
    if sum(J.size for J in found) <= SMALL_RESULT:
        program.all = code.compile(code.text(["nodes"], results))
        return
    program.parts = code.compile(code.text_of_parts(["nodes"], results))
    program.check = code.compile(code.text(["nodes"], ["None"]))


class Writing:
    """The algebra of Jacobians whose factors are symbols of a program."""

    def __init__(self) -> None:
        self.code = Code()
        self.arithmetic = Written(self.code)
        self._locals: dict[tuple[int, int], Jacobian] = {}
        self._points: dict[int, Point] = {}

    def contract(self, J: Jacobian) -> Jacobian:
        """Write the contraction."""
        return contracted(J, self.arithmetic)

    def shorten(self, J: Jacobian) -> Jacobian:
        """Write the products of factors that are read alike."""
        return fused(J, self.arithmetic)

    def real_part(self, J: Jacobian) -> Jacobian:
        """Complex numbers have no programs."""
        raise NotRecordableError("complex numbers")

    def local(self, node: Node, operand: int) -> Jacobian:
        """The local Jacobian on symbols: the rule written down, or its arrays, found anew whenever the program runs."""
        key = (node.index, operand)
        if key not in self._locals:
            written = self._rule(node, operand) if _is_fixed(node.op) else None
            self._locals[key] = self._outside(node, operand) if written is None else written
        return self._locals[key]

    def _rule(self, node: Node, operand: int) -> Jacobian | None:
        assert node.op is not None
        if node.index not in self._points:  # one for all operands: there may be hundreds
            self._points[node.index] = self._point(node, node.op)
        point = self._points[node.index]
        mark = self.code.mark()
        try:
            with np.errstate(all="ignore"):
                return node.op.local(point, operand)
        except (NotRecordableError, JacobianError, TypeError, ValueError, AttributeError, IndexError):
            # It looked at a number, or wanted an ndarray itself.
            self.code.back_to(mark)
            return None

    def _point(self, node: Node, op: Op) -> Point:
        """What the rule is evaluated at, with symbols for all numbers."""
        decided = None if op.decides is None else op.decides(node.operands, node.params)
        parents = dict(node.parents)
        operands = tuple(
            self._value(parents[k]) if k in parents else self._constant(node, k) for k in range(len(node.operands))
        )
        params = {name: self._param(node, name, value) for name, value in node.params.items()}
        return Point(self._value(node), operands, params, node.operand_names, node.name, decided)

    def _value(self, node: Node) -> Recorded:
        symbol = self.code.let(f"nodes[{node.index}].value", (), node.shape)
        return Recorded(self.code, symbol.name, node.value)

    def _constant(self, node: Node, k: int) -> Recorded:
        value = node.operands[k]
        symbol = self.code.let(f"nodes[{node.index}].operands[{k}]", (), tuple(np.shape(value)))
        return Recorded(self.code, symbol.name, value)

    def _param(self, node: Node, name: str, value: Any) -> Any:
        """A parameter: an array of numbers where only its shape is part of the node's key."""
        if not isinstance(value, np.ndarray) or node.op is None or node.op.family != "elementwise":
            return value
        symbol = self.code.let(f"nodes[{node.index}].params[{name!r}]", (), value.shape)
        return Recorded(self.code, symbol.name, value)

    def _outside(self, node: Node, operand: int) -> Jacobian:
        """The arrays of a rule that looks at numbers; the program ends if anything but the arrays is different."""
        J = node.local(operand)
        expected = self.code.constant(_Expected(J), "local")
        arrays = self.code.let(f"{expected}(nodes[{node.index}], {operand})", (), (), check=True)
        numbers = enumerate(number for term in J.terms for number in term.numbers)
        symbols: Iterator[Any] = iter(
            [self.code.let(f"{arrays}[{k}]", [arrays], tuple(np.shape(one)), rough=True) for k, one in numbers]
        )
        terms = [
            Term(
                term.pattern, tuple(Factor(next(symbols)) for _ in term.factors),
                tuple(next(symbols) for _ in term.tables), term.scale,
            )
            for term in J.terms
        ]  # fmt: skip
        return Jacobian(terms, J.out_shape, J.in_shape, J.dtype)


class _Expected:
    """A local Jacobian as far as it is known beforehand: everything but its arrays."""

    def __init__(self, J: Jacobian) -> None:
        if any(not isinstance(factor.array, np.ndarray | np.generic) for term in J.terms for factor in term.factors):
            raise NotRecordableError("an operator")
        self.terms = [(term.pattern, term.scale) for term in J.terms]

    def __call__(self, node: Node, operand: int) -> list[np.ndarray]:
        """The arrays of the local Jacobian at this node."""
        terms = node.local(operand).terms
        if [(term.pattern, term.scale) for term in terms] != self.terms:
            raise OtherwiseError
        return [number for term in terms for number in term.numbers]


def _is_fixed(op: Op | None) -> bool:
    """Whether a rule can only depend on what it is given: a user's own may look at anything."""
    return op is not None and (op.built_in or op.family == "elementwise")
