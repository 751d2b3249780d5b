"""A whole call written down: the values as well as the chain rule, for any numbers of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from jacobian.bounds import Effort
from jacobian.kernel.arithmetic import Written
from jacobian.kernel.buffers import with_errors_ignored
from jacobian.kernel.code import Code, Symbol
from jacobian.kernel.effort import effort_to_look, line_effort
from jacobian.kernel.explain import multiplications
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.finite import MANY, SQUARE, all_finite, is_bounded
from jacobian.kernel.lines import Line
from jacobian.kernel.operands import holds_complex
from jacobian.kernel.real import real_part
from jacobian.kernel.recorded import NotRecordableError, Recorded, of_linear_algebra
from jacobian.kernel.settled import settled
from jacobian.kernel.simplify import contracted
from jacobian.kernel.term import Array, Operator
from jacobian.ops.registry import Op, Params, Point
from jacobian.tracing.discrete import behind_positions
from jacobian.tracing.graph import Node
from jacobian.writing import LOOKED, Expected, Writing, numbers_of, with_numbers


class Scripting(Writing):
    """The same for a whole call: the values, too, are computed by the program, and all that is captured is constant."""

    def __init__(self, outputs: Sequence[Node], inputs: Sequence[Node], *, exact: bool = True) -> None:
        """Write down how the outputs are computed from the inputs: to the last bit as NumPy does, or about so.

        Raises:
            NotRecordableError: not all of it is known to be the same at every call.
        """
        super().__init__()
        self._values: dict[int, Recorded] = {}
        self._made_by: dict[int, list[Line]] = {}
        kinds = {node.value.dtype.kind for node in outputs}
        if kinds - {"f", "b"} or any(node.value.dtype.kind == "c" for node in inputs):
            raise NotRecordableError("complex numbers")
        self.nodes = nodes = _ancestors(outputs)
        self._calls_kernel = any(node.value.dtype.kind == "c" or _is_of(node, "fft") for node in nodes)
        if self._calls_kernel:
            self.arithmetic = _Contracting(self.code, self._called)
        for place, node in enumerate(inputs):
            symbol = self.code.let(f"inputs[{place}]", (), node.shape, kind=node.value.dtype)
            self._values[node.index] = Recorded(self.code, symbol.name, node.value)
        self._given = [value.name for value in self._values.values()]
        positions = behind_positions(nodes)
        self.has_exact = exact or bool(positions)  # lines that give what NumPy does to the last bit
        for node in nodes:
            start = len(self.code.lines)
            self.code.exact = exact or node.index in positions
            if node.index not in self._values:
                self._values[node.index] = self._forward(node)
            self._made_by[node.index] = self.code.lines[start:]
        self.code.exact = False

    def contract(self, J: Jacobian) -> Jacobian:
        """Write the contraction: with complex numbers, or transforms, as a call of the kernel."""
        return self._called(contracted, J) if self._calls_kernel else super().contract(J)

    def shorten(self, J: Jacobian) -> Jacobian:
        """Write the products, unless it is the kernel that contracts them later."""
        return J if self._calls_kernel else super().shorten(J)

    def before(self, J: Jacobian, uses: Sequence[Jacobian]) -> Jacobian:
        """Write the product with a number, unless it is the kernel that contracts it later."""
        return J if self._calls_kernel else super().before(J, uses)

    def real_part(self, J: Jacobian) -> Jacobian:
        """Write a call of the kernel."""
        return self._called(real_part, J)

    def _called(self, function: Callable[[Jacobian], Jacobian], J: Jacobian) -> Jacobian:
        """What the kernel makes of a Jacobian, as a line that calls it."""
        given = [one for one in numbers_of(J) if isinstance(one, Recorded)]
        contraction = _Contraction(function, J)
        result = with_errors_ignored(contraction.first, [one.value for one in given])
        text = f"{self.code.constant(contraction, 'contract')}({', '.join(map(str, given))})"
        products = sum(map(multiplications, J.terms))
        return self._read(self.code.let(text, given, (), new=True, products=products), result)

    def settle(self) -> None:
        """Tell what is the same at every run, when all is written."""
        self.code.settled = settled(self.code, self._given)

    def value(self, node: Node) -> str:
        """The value of a node."""
        return self._values[node.index].name

    def efforts(self, results: Iterable[str], looked_at: Iterable[Node]) -> Callable[[Node], Effort]:
        """What it takes to look at a node's value, and to make it, beside results and what is looked at anyway."""
        code, needed, free = self.code, self.code.names_for(results), {node.index for node in looked_at}

        def effort_of(node: Node) -> Effort:
            if node.index in free:
                return Effort(0.0, 0.0)
            beside = [line for line in self._made_by[node.index] if line.target not in needed]
            return Effort(effort_to_look(self._values[node.index]), sum(line_effort(code, line) for line in beside))

        return effort_of

    def checks(self, finite: Iterable[Node], bounded: Iterable[Node] = ()) -> list[Line]:
        """The lines that end the program if a value is not finite, or not bounded; to be put where they belong."""
        end = len(self.code.lines)
        for node in finite:
            self._check(node, all_finite if node.shape else isfinite, "finite", np.inf)
        for node in bounded:
            self._check(node, is_bounded, "bounded", SQUARE)
        lines = list(dict.fromkeys(self.code.lines[end:]))  # nodes of equal values have one symbol
        del self.code.lines[end:]
        return lines

    def _check(self, node: Node, condition: Callable[[Any], bool], name: str, square: float) -> None:
        """End the program unless a condition holds, as it does where the sum of the squares of all entries is less."""
        value, text = self._values[node.index], f"{self.code.constant(condition, name)}({self._values[node.index]})"
        if node.shape and node.value.size <= MANY and node.value.dtype == np.float64:  # asked where it is written
            squares = f"{value}.dot({value})" if len(node.shape) == 1 else f"vdot({value}, {value})"
            text = f"({squares} < {self.code.constant(square, name)} or {text})"
        self.code.refuse_unless(text, value)

    def _forward(self, node: Node) -> Recorded:
        """What the op does, written down, or its call."""
        op = node.op
        if op is None or not op.built_in:
            raise NotRecordableError("an op that may look at anything")
        if op.dtype_by_value:
            raise NotRecordableError("an op that may turn to complex numbers")
        operands, compute = self._operands(node), op.forward
        if op.beside_rule is not None and not self.code.exact:
            compute = op.beside_rule
        params = {name: self._param(node, name, value) for name, value in node.params.items()}
        mark = self.code.mark()
        try:
            result = with_errors_ignored(partial(compute, *operands, **params))
        except LOOKED:
            result = None
        if isinstance(result, Recorded) and (result.shape, result.dtype) == (node.shape, node.value.dtype):
            return result
        self.code.back_to(mark)
        self._refuse_given_params(node)
        forward = self.code.constant(partial(op.forward, **node.params), op.name)
        given = [one if isinstance(one, Recorded) else self.code.literal(one) for one in operands]
        uses = [one for one in operands if isinstance(one, Recorded)]
        products = of_linear_algebra(np.shape(node.operands[0])) if _is_of(node, "linalg") else 0
        text = f"{forward}({', '.join(map(str, given))})"
        symbol = self.code.let(text, uses, node.shape, rough=True, products=products)
        return Recorded(self.code, symbol.name, node.value)

    def _operands(self, node: Node) -> list[Any]:
        """The operands: symbols of those that are part of the trace, and the constants."""
        traced = dict((*node.parents, *node.given))
        return [self._values[traced[k].index] if k in traced else x for k, x in enumerate(node.operands)]

    def _refuse_given_params(self, node: Node) -> None:
        """What is not written down takes parameters as they are."""
        if any(isinstance(key, str) for key, _ in node.given):
            raise NotRecordableError("a comparison as a parameter")

    def _point(self, node: Node, op: Op) -> Point:
        if op.decides is not None:
            # What is decided must not depend on the numbers of this call; a number that is traced is no number.
            traced = dict(node.parents)
            hidden = tuple(np.asarray(x) if k in traced else x for k, x in enumerate(node.operands))
            if op.decides(hidden, node.params) != op.decides(node.operands, node.params):
                raise NotRecordableError("a rule that decides by its numbers")
        return super()._point(node, op)

    def _value(self, node: Node) -> Recorded:
        return self._values[node.index]

    def _constant(self, node: Node, k: int) -> Any:
        return node.operands[k]

    def _param(self, node: Node, name: str, value: Any) -> Any:
        given = dict(node.given)
        return self._values[given[name].index] if name in given else value

    def _arrays(self, node: Node, operand: int, expected: Expected) -> Symbol:
        assert node.op is not None
        self._refuse_given_params(node)
        bare = _Bare(node.op, node.params, node.operand_names, node.name)
        local = self.code.constant(partial(_local_at_point, expected, bare, operand), "local")
        numbers = self._operands(node)
        texts = [one.name if isinstance(one, Recorded) else self.code.literal(one) for one in numbers]
        value = self._values[node.index]
        uses = [value, *(one for one in numbers if isinstance(one, Recorded))]
        return self.code.let(f"{local}({', '.join([value.name, *texts])})", uses, (), check=True)


class _Contracting(Written):
    """What is written at the end is contracted before, and operators that stand alone are made arrays."""

    def __init__(self, code: Code, called: Callable[[Callable[[Jacobian], Jacobian], Jacobian], Jacobian]) -> None:
        super().__init__(code)
        self._called = called

    def tensor(self, J: Jacobian) -> Array:
        """Written."""
        J = self._called(contracted, J)
        if holds_complex(J.terms) or _operators(J):
            J = self._called(_dense, J)
        return super().tensor(J)


def _operators(J: Jacobian) -> list[Operator]:
    return [one for one in numbers_of(J) if isinstance(one, Operator)]


def _dense(J: Jacobian) -> Jacobian:
    return Jacobian.from_array(J.tensor(), len(J.out_shape), dtype=J.dtype)


def _ancestors(outputs: Sequence[Node]) -> list[Node]:
    """Every node that the outputs are computed from, first ones first, the outputs included."""
    wanted = {node.index for node in outputs}
    nodes = outputs[0].trace.nodes
    found: list[Node] = []
    for index in range(max(wanted), -1, -1):
        if index in wanted:
            found.append(nodes[index])
            wanted.update(parent.index for _, parent in (*nodes[index].parents, *nodes[index].given))
    return found[::-1]


def _is_of(node: Node, family: str) -> bool:
    return node.op is not None and node.op.family == family


class _Bare(NamedTuple):
    """What a rule needs to know of a node beside its numbers."""

    op: Op
    params: Params
    names: tuple[str, ...]
    name: str


class _Contraction:
    """What the kernel itself does to a Jacobian whenever the program runs: it is called with the arrays that differ."""

    def __init__(self, function: Callable[[Jacobian], Jacobian], J: Jacobian) -> None:
        self._function = function
        self._known = [None if isinstance(one, Recorded) else one for one in numbers_of(J)]
        self._bare = with_numbers(J, self._known)
        self._expected: Expected | None = None

    def first(self, arrays: Sequence[Any]) -> Jacobian:
        """The result for the first time: it will always be like this."""
        result = self._result(arrays)
        self._expected = Expected(result)
        return result

    def _result(self, arrays: Sequence[Any]) -> Jacobian:
        rest = iter(arrays)
        return self._function(with_numbers(self._bare, [next(rest) if one is None else one for one in self._known]))

    def __call__(self, *arrays: Any) -> list[np.ndarray]:
        """The arrays of the result."""
        assert self._expected is not None
        return self._expected.arrays(self._result(arrays))


def _local_at_point(expected: Expected, node: _Bare, operand: int, y: Any, *x: Any) -> list[np.ndarray]:
    return expected.arrays(node.op.local(Point(y, x, node.params, node.names, node.name), operand))
