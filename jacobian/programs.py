"""Small Jacobians computed by programs: a function called again and again is planned once.

Graphs whose nodes have equal keys differ in their numbers only. When such a graph is seen for the second time, the
chain rule is run once on symbols instead of arrays, and all the contractions it asks for are written into one
straight-line NumPy program; from then on only that program runs. Where it was not written for the numbers at hand (a
kink, an overflow, another order of a sort) the chain rule is run as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from math import prod
from typing import Any

import numpy as np

from jacobian import plan
from jacobian.kernel.arithmetic import Written
from jacobian.kernel.code import Code, OtherwiseError
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.recorded import NotRecordableError, Recorded
from jacobian.kernel.simplify import contracted, fused
from jacobian.kernel.term import Factor, Term
from jacobian.ops.registry import Op, Point
from jacobian.tracing.graph import Node

SMALL_RESULT = 2**13  # entries of all Jacobians together: so few that they are made without being asked for
SMALL_NODE = 2**14  # entries of a node
MOST_NODES = 2000
REMEMBERED_NODES = 100_000  # of all graphs together
MOST_FAILURES = 16  # in a row: then the numbers differ each time, and the program is given up


class Program:
    """The compiled program of one kind of graph; None as long as the graph was seen only once, or cannot have one."""

    def __init__(self, nodes: int) -> None:
        self.nodes = nodes
        self.seen = 0
        self.failures = 0
        self.run: Callable[[Sequence[Node]], tuple[Any, ...]] | None = None
        self.dtypes: tuple[np.dtype[Any], ...] = ()


class Programs:
    """The programs of this process, those used last; as many as `REMEMBERED_NODES` allows."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Program] = {}
        self._nodes = 0

    def __len__(self) -> int:
        """How many graphs are remembered."""
        return len(self._known)

    def find(self, key: Hashable, nodes: int) -> Program:
        """The program of that key, now the one used last; made when it is not known."""
        program = self._known.pop(key, None)
        if program is None:
            program = Program(nodes)
            self._nodes += nodes
            while self._nodes > REMEMBERED_NODES and self._known:
                oldest = self._known.pop(next(iter(self._known)), None)
                self._nodes -= oldest.nodes if oldest else 0
        self._known[key] = program
        return program


PROGRAMS = Programs()


def tensors(of: Node, wrt: Sequence[Node], order: str) -> list[np.ndarray] | None:
    """The full Jacobians of one node with respect to others, when there is a program for them."""
    count = of.index + 1
    entries = prod(of.shape) * sum(prod(node.shape) for node in wrt)
    if entries > SMALL_RESULT or count > MOST_NODES:
        return None
    nodes = of.trace.nodes
    keys = tuple([node.key for node in nodes[:count]])
    if None in keys:
        return None
    program = PROGRAMS.find((order, tuple([node.index for node in wrt]), keys), count)
    program.seen += 1
    if program.seen == 2:
        _write(program, of, wrt, order)
    if program.run is None:
        return None
    try:
        with np.errstate(divide="raise", invalid="raise", over="raise"):
            found = program.run(nodes)
    except (OtherwiseError, ArithmeticError):
        program.failures += 1
        if program.failures == MOST_FAILURES:
            program.run = None
        return None
    program.failures = 0
    return [np.asarray(tensor, dtype) for tensor, dtype in zip(found, program.dtypes, strict=True)]


def _write(program: Program, of: Node, wrt: Sequence[Node], order: str) -> None:
    """Write the program, if that can be done."""
    graph = plan.paths(of, wrt)
    values = [of, *(parent for node in graph.nodes for _, parent in node.parents)]
    if any(node.value.size > SMALL_NODE or node.value.dtype.kind != "f" for node in values):
        return
    chosen = plan.choose(graph) if order == "auto" else order
    try:
        writing = Writing()
        run = plan.forward if chosen.endswith("forward") else plan.reverse
        found = run(graph, writing, eager=chosen in ("forward", "reverse"))
        results = [writing.arithmetic.tensor(J) for J in found]
    except NotRecordableError:
        return
    program.dtypes = tuple(J.dtype for J in found)
    program.run = writing.code.compile(["nodes"], f"({', '.join(map(str, results))},)")


class Writing:
    """The algebra of Jacobians whose factors are symbols of a program."""

    def __init__(self) -> None:
        self.code = Code()
        self.arithmetic = Written(self.code)
        self._locals: dict[tuple[int, int], Jacobian] = {}

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
        decided = None if node.op.decides is None else node.op.decides(node.operands, node.params)
        parents = dict(node.parents)
        operands = tuple(
            self._value(parents[k]) if k in parents else self._constant(node, k) for k in range(len(node.operands))
        )
        point = Point(self._value(node), operands, node.params, node.operand_names, node.name, decided)
        mark = self.code.mark()
        try:
            with np.errstate(all="ignore"):
                return node.op.local(point, operand)
        except (NotRecordableError, TypeError, ValueError, AttributeError, IndexError):  # it wanted an ndarray itself
            self.code.back_to(mark)
            return None

    def _value(self, node: Node) -> Recorded:
        symbol = self.code.let(f"nodes[{node.index}].value", (), node.shape)
        return Recorded(self.code, symbol.name, node.value)

    def _constant(self, node: Node, k: int) -> Recorded:
        value = node.operands[k]
        symbol = self.code.let(f"nodes[{node.index}].operands[{k}]", (), tuple(np.shape(value)))
        return Recorded(self.code, symbol.name, value)

    def _outside(self, node: Node, operand: int) -> Jacobian:
        """The arrays of a rule that looks at numbers; the program ends if anything but the arrays is different."""
        J = node.local(operand)
        check = self.code.constant(_Expected(J), "local")
        arrays = self.code.let(f"{check}(nodes[{node.index}], {operand})", (), (), always=True)
        terms: list[Term] = []
        count = 0
        for term in J.terms:
            factors: list[Factor] = []
            for factor in term.factors:
                shape = tuple(np.shape(factor.array))
                symbol = self.code.let(f"{arrays}[{count}]", [arrays], shape, rough=True)
                factors.append(Factor(symbol))
                count += 1
            terms.append(term.with_factors(tuple(factors)))
        return Jacobian(terms, J.out_shape, J.in_shape, J.dtype)


class _Expected:
    """A local Jacobian as far as it is known beforehand: everything but its arrays."""

    def __init__(self, J: Jacobian) -> None:
        if any(not isinstance(factor.array, np.ndarray | np.generic) for term in J.terms for factor in term.factors):
            raise NotRecordableError("an operator")
        self.terms = [(term.pattern, term.scale, term.tables) for term in J.terms]

    def __call__(self, node: Node, operand: int) -> list[np.ndarray]:
        """The arrays of the local Jacobian at this node."""
        terms = node.local(operand).terms
        if len(terms) != len(self.terms):
            raise OtherwiseError
        arrays: list[np.ndarray] = []
        for term, (pattern, scale, tables) in zip(terms, self.terms, strict=True):
            if term.pattern != pattern or term.scale != scale:
                raise OtherwiseError
            if not all(map(np.array_equal, term.tables, tables)):
                raise OtherwiseError
            arrays += [factor.array for factor in term.factors]
        return arrays


def _is_fixed(op: Op | None) -> bool:
    """Whether a rule can only depend on what it is given: a user's own may look at anything."""
    return op is not None and (op.built_in or op.family == "elementwise")
