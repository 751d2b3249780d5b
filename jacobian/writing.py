"""The chain rule written down: the algebra of Jacobians on the symbols of a program instead of arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from jacobian.algebra import are_alike
from jacobian.errors import JacobianError
from jacobian.kernel.arithmetic import Written
from jacobian.kernel.buffers import with_errors_ignored
from jacobian.kernel.code import Code, OtherwiseError, Symbol
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.factored import factored, made_once, scaled_once
from jacobian.kernel.frames import frame_of
from jacobian.kernel.gathered import gathered
from jacobian.kernel.recorded import NotRecordableError, Recorded
from jacobian.kernel.simplify import contracted, fused, takes_in
from jacobian.kernel.stacking import FEW_ALIKE
from jacobian.kernel.term import Factor, Operator, Term
from jacobian.ops.registry import Op, Point
from jacobian.tracing.graph import Node

LOOKED = (NotRecordableError, JacobianError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError)
"""What is raised by NumPy code that looked at a number, or wanted an ndarray itself, where it was given a symbol."""


class Writing:
    """The algebra of Jacobians whose factors are symbols of a program."""

    def __init__(self) -> None:
        self.code = Code(reused={})
        self.arithmetic = Written(self.code)
        self._locals: dict[tuple[int, int], Jacobian] = {}
        self._points: dict[int, Point] = {}

    def contract(self, J: Jacobian) -> Jacobian:
        """Write the contraction."""
        return contracted(self._arranged(J), self.arithmetic)

    def _arranged(self, J: Jacobian) -> Jacobian:
        """The Jacobian with its products in an order that is less work."""
        return made_once(factored(gathered(J, self.arithmetic), self.arithmetic), self.arithmetic)

    def merges(self, J: Jacobian) -> bool:
        """Whether some terms write to the same places, or one of them takes the others in."""
        return are_alike(J) or takes_in(J)

    def before(self, J: Jacobian, uses: Sequence[Jacobian]) -> Jacobian:
        """Write the product with a number in front, where that is less work."""
        return scaled_once(J, uses, self.arithmetic)

    def shorten(self, J: Jacobian) -> Jacobian:
        """Write the products of factors that are read alike."""
        return fused(J, self.arithmetic)

    def tensor(self, J: Jacobian) -> str:
        """Write the full tensor; tell its name."""
        return str(self.arithmetic.tensor(self._added_alike(self._arranged(J))))

    def settle(self) -> None:
        """Tell what is the same at every run, when all is written: nothing, as all is read from a graph's nodes."""

    def _added_alike(self, J: Jacobian) -> Jacobian:
        """Terms that are written to the same places added before: going through these takes longest.

        Only where they are made entry by entry, are few, or are single arrays that go along the same axes: other
        products of rows and columns are best made where they stay, or all at once.
        """
        groups: dict[Any, list[Term]] = {}
        for term in J.terms:
            groups.setdefault(self._added_with(term), []).append(term)
        if len(groups) == len(J.terms):
            return J
        like = (Jacobian(terms, J.out_shape, J.in_shape, J.dtype, J.names) for terms in groups.values())
        return Jacobian.total([self.contract(one) if self._is_sum(one.terms) else one for one in like])

    def _added_with(self, term: Term) -> Any:
        """Equal for terms that are added before they are written."""
        pattern = term.pattern
        is_bare = not (pattern.guards or term.tables)
        if term.is_entry_by_entry or (is_bare and pattern.entries <= self.arithmetic.few):
            return pattern.out, pattern.into
        is_single = is_bare and len(term.factors) == 1
        return (pattern.out, pattern.into, pattern.carried(())) if is_single else id(term)

    @staticmethod
    def _is_sum(terms: Sequence[Term]) -> bool:
        """Whether terms written to the same places are better added than stacked."""
        return len(terms) > 1 and sum(len(frame_of(term.pattern).parts) > 1 for term in terms) < FEW_ALIKE

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
            return self._with_signs_in_front(with_errors_ignored(node.op.local, point, operand))
        except LOOKED:
            self.code.back_to(mark)
            return None

    def _with_signs_in_front(self, J: Jacobian) -> Jacobian:
        """The minus of a factor as that of its term: on the way to the result it may meet another one."""
        terms = [self._with_sign_in_front(term) for term in J.terms]
        return Jacobian(terms, J.out_shape, J.in_shape, J.dtype, J.names)

    def _with_sign_in_front(self, term: Term) -> Term:
        factors, scale = [], term.scale
        for factor in term.factors:
            symbol = factor.array
            number, bare = self.code.multiple(symbol) if isinstance(symbol, Recorded) else (1, symbol)
            is_negative = number == -1 and isinstance(bare, Recorded)
            factors.append(Factor(bare) if is_negative else factor)
            scale = -scale if is_negative else scale
        return Term(term.pattern, tuple(factors), term.tables, scale, term.letters)

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

    def _constant(self, node: Node, k: int) -> Any:
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
        if any(not isinstance(factor.array, np.ndarray | np.generic) for term in J.terms for factor in term.factors):
            raise NotRecordableError("an operator")
        return self._read(self._arrays(node, operand, Expected(J)), J)

    def _read(self, arrays: Symbol, J: Jacobian) -> Jacobian:
        """The Jacobian on symbols for its arrays, which are found in a list of all of them; operators stay the same."""

        def symbol(place: int, number: Any) -> Any:
            if isinstance(number, Operator):
                return number
            symbol = self.code.let(f"{arrays}[{place}]", [arrays], tuple(np.shape(number)), rough=True)
            return Recorded(self.code, symbol.name, number)

        return with_numbers(J, [symbol(*one) for one in enumerate(numbers_of(J))])

    def _arrays(self, node: Node, operand: int, expected: Expected) -> Symbol:
        """The arrays of a local Jacobian at the node, which is to be as it was expected."""
        local = self.code.constant(partial(_local_at_node, expected), "local")
        return self.code.let(f"{local}(nodes[{node.index}], {operand})", (), (), check=True)


def numbers_of(J: Jacobian) -> list[Any]:
    """The arrays of all terms."""
    return [number for term in J.terms for number in term.numbers]


def with_numbers(J: Jacobian, numbers: Iterable[Any]) -> Jacobian:
    """The Jacobian with other arrays, or symbols for them."""
    rest = iter(numbers)
    terms = [
        Term(
            term.pattern, tuple(Factor(next(rest)) for _ in term.factors), tuple(next(rest) for _ in term.tables),
            term.scale,
        )
        for term in J.terms
    ]  # fmt: skip
    return Jacobian(terms, J.out_shape, J.in_shape, J.dtype, J.names)


class Expected:
    """A Jacobian as far as it is known beforehand: everything but its arrays."""

    def __init__(self, J: Jacobian) -> None:
        self.terms = [(term.pattern, term.scale) for term in J.terms]

    def arrays(self, J: Jacobian) -> list[np.ndarray]:
        """The arrays of another one."""
        if [(term.pattern, term.scale) for term in J.terms] != self.terms:
            raise OtherwiseError
        return numbers_of(J)


def _local_at_node(expected: Expected, node: Node, operand: int) -> list[np.ndarray]:
    return expected.arrays(node.local(operand))


def _is_fixed(op: Op | None) -> bool:
    """Whether a rule can only depend on what it is given: a user's own may look at anything."""
    return op is not None and (op.built_in or op.family == "elementwise")
