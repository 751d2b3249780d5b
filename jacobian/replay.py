"""Calls that repeat an earlier one with other numbers are played from a script: none of the user's code is run again.

A script is one straight-line NumPy program for the values and their Jacobians. It is written when a function is called
a second time with arguments of the same shapes, if the function's code and all it reads are known to decide alone what
it does (`tracing/surroundings.py`), and if it looked at no number on its way. What it reads is compared at every call.
Where the script does not apply, the function is traced as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from jacobian import plan
from jacobian.errors import JacobianError
from jacobian.kernel.buffers import RAISING, ShortBuffers
from jacobian.kernel.code import OtherwiseError
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.recorded import NotRecordableError
from jacobian.kernel.term import Array, Term
from jacobian.ops.registry import REGISTRY, Op, Params, promoted
from jacobian.programs import MOST_FAILURES, MOST_NODES, SMALL_RESULT, Memory, Pending
from jacobian.tracing.graph import Node
from jacobian.tracing.snapshots import kept_snapshot
from jacobian.tracing.surroundings import DIFFERENTIATES, Surroundings, UnknownError
from jacobian.tracing.tree import is_array_list
from jacobian.writing import Scripting

REMEMBERED = 250_000  # weight of all scripts together: their steps, and the arrays they hold in units of 256 bytes
HEAVIEST = 125_000  # weight of one script
MOST_VARIANTS = 4  # scripts that differ only in what the function reads, such as captured numbers
MOST_MISSES = 16  # calls for which none of them was written, beside a quarter of the others
PLAYS_TO_EARN = 64  # calls that make up for writing one script more
MANY_LOOKS = 4  # at the terms of played Jacobians: where most calls need the graph, it is better made at once


_NUMBERS = frozenset({float, int, np.float64, np.float32})


class Output(NamedTuple):
    """A node that a function returns, what formulas call it, and where it stands in the result."""

    node: Node
    name: str
    path: str


class Step(NamedTuple):
    """A node without its numbers: how it is made from those before."""

    op: Op | None
    operands: tuple[Any, ...]  # the constants among them
    params: Params
    parents: tuple[tuple[int, int], ...]
    descriptors: tuple[Hashable, ...] | None
    name: str

    @classmethod
    def of(cls, node: Node) -> Step:
        """How a node was made."""
        parents = tuple((k, parent.index) for k, parent in node.parents)
        traced = dict(parents)
        operands = tuple(None if k in traced else operand for k, operand in enumerate(node.operands))
        return cls(node.op, operands, node.params, parents, node.descriptors, node.name_hint)


class Script:
    """The program for one kind of call, and the steps from which its graph can be made again."""

    def __init__(
        self, surroundings: Surroundings, outputs: Sequence[Output], inputs: Sequence[Node], result: Any, order: str,
        leaves: Sequence[Any],
    ) -> None:  # fmt: skip
        """Write it.

        Raises:
            NotRecordableError: something on the way cannot be written down.
        """
        nodes = [output.node for output in outputs]
        writing = Scripting(nodes, inputs)
        for node in inputs:
            writing.checked(node)
        found = [J for node in nodes for J in plan.accumulate(plan.paths(node, inputs), writing, order)]
        values = [writing.checked(node) for node in nodes]
        tensors = [str(writing.arithmetic.tensor(J)) for J in found]
        self.surroundings = surroundings
        self.order = order
        self.result = result  # with a number for every output, as they are nested
        self.outputs = [(node.index, node.shape, name, path) for node, name, path in outputs]
        self.inputs = [(node.index, node.shape, node.name) for node in inputs]
        self.dtypes = [J.dtype for J in found]
        graph = nodes[0].trace
        self.strides = _strides(leaves) if graph.assigned else None
        self.graph = graph.without_nodes()
        self.steps = list(map(Step.of, graph.nodes[: max(node.index for node in nodes) + 1]))
        self.is_small = sum(J.size for J in found) <= SMALL_RESULT
        code = writing.code
        held = max(code.nbytes, surroundings.nbytes)  # mostly the same arrays
        self.weight = len(self.steps) + held // 256
        if self.is_small:
            text = code.text(["inputs"], [*values, *tensors])
        else:
            text = code.text_in_stages(["inputs"], values, tensors)
        self.program = code.compile(text)
        self.memories = code.memories(tensors)

    def is_for(self, leaves: Sequence[Any]) -> bool:
        """Whether arguments lie in memory as they must: that decides what is a view, and so what is assigned to."""
        return self.strides is None or self.strides == _strides(leaves)

    def play(self, inputs: Sequence[Array]) -> tuple[Sequence[Array], list[Callable[[], Any]]]:
        """The values at these inputs, and a function for each Jacobian's tensor."""
        with np.errstate(**RAISING) if self.is_small else ShortBuffers(**RAISING):
            found = self.program(inputs)
        count = len(self.outputs)
        if self.is_small:
            tensors = zip(found[count:], self.dtypes, strict=True)
            return found[:count], [partial(np.asarray, array, dtype) for array, dtype in tensors]
        pending = Pending(found[count], self.dtypes, self.memories)
        return found[:count], [partial(pending.tensor, k) for k in range(len(self.dtypes))]

    def nodes_at(self, inputs: Sequence[Array]) -> list[Node]:
        """The nodes of the graph at these inputs."""
        graph = self.graph.without_nodes()
        given = {index: array for (index, _, _), array in zip(self.inputs, inputs, strict=True)}
        for index, step in enumerate(self.steps):
            parents = tuple((k, graph.nodes[parent]) for k, parent in step.parents)
            operands = list(step.operands)
            for k, parent in parents:
                operands[k] = parent.value
            value = given[index] if step.op is None else step.op.compute(operands, step.params)
            Node(graph, step.op, value, tuple(operands), step.params, parents, step.descriptors, step.name)
        return graph.nodes


def _strides(leaves: Sequence[Any]) -> list[tuple[int, ...]]:
    return [getattr(leaf, "strides", ()) for leaf in leaves]


class Kind:
    """Calls of one function with arguments of the same shapes."""

    def __init__(self, weight: int) -> None:
        self.weight = weight
        self.seen = 0
        self.scripts: tuple[Script, ...] = ()  # the one written last first
        self.hopeless = False
        self.candidate: Surroundings | None = None  # of the last call that was not played
        self.plays = self.misses = self.written = 0
        self.failures = 0  # in a row
        self.looks = 0  # at terms, less the calls without a look
        self.code: Any = None  # kept alive, as its id is part of the key

    def give_up(self) -> None:
        """Calls of this kind are traced from now on."""
        self.hopeless, self.candidate = True, None
        self.replace(())

    def add(self, script: Script) -> None:
        """One more script; the oldest one goes when there are many."""
        self.written += 1
        self.replace((script, *self.scripts[: MOST_VARIANTS - 1]))

    def replace(self, scripts: tuple[Script, ...]) -> None:
        """Have other scripts."""
        SCRIPTS.grow(self, sum(one.weight for one in scripts) - sum(one.weight for one in self.scripts))
        self.scripts = scripts

    def may_be_written(self) -> bool:
        """Whether another script is worth its while."""
        return self.written < MOST_VARIANTS + self.plays // PLAYS_TO_EARN


SCRIPTS: Memory[Kind] = Memory(Kind, REMEMBERED)


class Call:
    """One call: the arrays to differentiate by, and all other things that it depends on."""

    def __init__(self, kind: Kind, leaves: list[Any], others: list[Any], order: str) -> None:
        self.kind = kind
        self.leaves = leaves
        self.others = others
        self.order = order

    def play(self) -> Played | None:
        """The values and Jacobians from the script; None where there is none that applies."""
        kind = self.kind
        for script in kind.scripts:
            if script.is_for(self.leaves) and script.surroundings.are_those_of(self.others):
                break
        else:
            return None
        inputs = [kept_snapshot(promoted(leaf, "x")) for leaf in self.leaves]
        if any(x.dtype.kind == "c" for x in inputs):  # a list of numbers, whose kinds the key does not tell
            return None
        try:
            played = Played(kind, script, inputs)
        except (OtherwiseError, ArithmeticError, ValueError, JacobianError):  # tracing will tell
            played = None
        kind.plays += 1
        kind.failures = 0 if played is not None else kind.failures + 1
        if kind.failures >= MOST_FAILURES:
            kind.give_up()
        return played

    def look_around(self) -> bool:
        """Before a call that was not played: whether a script is to be written after it.

        It is when the last such call found all it reads as it is now.
        """
        kind = self.kind
        if kind.hopeless or kind.failures:
            return False
        if kind.candidate is not None and kind.candidate.are_those_of(self.others):
            return kind.may_be_written()
        kind.misses += 1
        try:
            kind.candidate = Surroundings(self.others)
        except UnknownError:
            kind.give_up()
        if kind.misses > MOST_MISSES + kind.plays // 4:
            kind.give_up()
        return False

    def write(self, outputs: Sequence[Output | None], inputs: Sequence[Node], result: Any) -> None:
        """After such a call: write the script, if the function did nothing that is not in the graph."""
        kind, surroundings = self.kind, self.kind.candidate
        kind.candidate = None
        nodes = [output for output in outputs if output is not None]
        if surroundings is None or not nodes or len(nodes) < len(outputs):
            return kind.give_up()
        graph = nodes[0].node.trace
        heavy = len(graph.nodes) > MOST_NODES or surroundings.nbytes // 256 > HEAVIEST
        if heavy or graph.seen or not surroundings.are_those_of(self.others):
            return kind.give_up()
        try:
            script = Script(surroundings, nodes, inputs, result, self.order, self.leaves)
        except NotRecordableError:
            return kind.give_up()
        return kind.add(script) if script.weight <= HEAVIEST else kind.give_up()


class Played:
    """What a script gave: values and Jacobians, and the graph where it is asked for after all."""

    def __init__(self, kind: Kind, script: Script, inputs: list[Array]) -> None:
        self.kind = kind
        self.script = script
        self.inputs = inputs
        self.values, self._tensors = script.play(inputs)
        self._nodes: list[Node] | None = None
        self._found: dict[int, list[Jacobian]] = {}
        kind.looks = max(0, kind.looks - 1)

    def jacobians(self, place: int) -> list[Jacobian]:
        """The Jacobians of one of the outputs, by every input."""
        _, out_shape, name, _ = self.script.outputs[place]
        first = place * len(self.inputs)
        return [
            Jacobian.computed(
                self._tensors[first + k], partial(self.terms, place, k), out_shape, in_shape,
                self.script.dtypes[first + k], (name, into),
            )
            for k, (_, in_shape, into) in enumerate(self.script.inputs)
        ]  # fmt: skip

    def terms(self, place: int, k: int) -> tuple[Term, ...]:
        """The terms of one Jacobian, by the chain rule over the graph."""
        if place not in self._found:
            paths = plan.paths(self.node(place), self.input_nodes())
            self._found[place] = plan.accumulate(paths, plan.Numeric(), self.script.order)
        return self._found[place][k].terms

    def orders(self, place: int, k: int) -> str:
        """What each order of elimination costs, side by side."""
        return plan.compare(plan.paths(self.node(place), [self.input_nodes()[k]]))

    def node(self, place: int) -> Node:
        """The node of an output."""
        return self._graph()[self.script.outputs[place][0]]

    def input_nodes(self) -> list[Node]:
        """The nodes of the inputs."""
        nodes = self._graph()
        return [nodes[index] for index, _, _ in self.script.inputs]

    def _graph(self) -> list[Node]:
        if self._nodes is None:
            self._nodes = self.script.nodes_at(self.inputs)
            self.kind.looks += 2
            if self.kind.looks >= MANY_LOOKS:
                self.kind.give_up()
        return self._nodes


def call_of(
    f: Callable[..., Any], numbers: tuple[int, ...], order: str, args: Sequence[Any], kwargs: dict[str, Any]
) -> Call | None:
    """The call, if it can be one of a kind: of plain arrays, by a function whose code can be looked at."""
    function = _function_key(f)
    if function is None:
        return None
    leaves: list[Any] = []
    shapes = tuple([_shapes(args[number], leaves) for number in numbers])
    if None in shapes:
        return None
    kind = SCRIPTS.find((function, order, numbers, len(args), shapes, tuple(kwargs), REGISTRY.changes), 1)
    if kind.hopeless:
        return None
    if kind.code is None:
        kind.code = _code(f)
    others = [f, *(arg for number, arg in enumerate(args) if number not in numbers)]
    return Call(kind, leaves, [*others, kwargs] if kwargs else others, order)


def _shapes(value: Any, leaves: list[Any]) -> Hashable:
    """Nesting, shapes and dtypes of an argument, whose arrays are collected; None for anything but plain numbers."""
    if is_array_list(value):
        leaves.append(value)
        return None if any(isinstance(item, list) for item in value) else len(value)
    return _nested_shapes(value, leaves)


def _nested_shapes(value: Any, leaves: list[Any]) -> Hashable:
    kind: Any = type(value)
    if kind is np.ndarray:
        leaves.append(value)
        return (value.shape, value.dtype) if value.dtype.kind in "fiu" else None
    if kind in _NUMBERS:
        leaves.append(value)
        return kind  # type: ignore[no-any-return]
    if kind in (tuple, list, dict):
        keys = tuple(value) if kind is dict else len(value)
        parts = tuple([_nested_shapes(item, leaves) for item in (value.values() if kind is dict else value)])
        return None if None in parts else (kind, keys, parts)
    return None


def _code(f: Any) -> Any:
    """What an id in a key belongs to."""
    if type(f) is partial:
        return _code(f.func)
    if type(f) is FunctionType and DIFFERENTIATES not in f.__dict__:
        return f.__code__
    return _code(f.__dict__[DIFFERENTIATES][0]) if type(f) is FunctionType else f


def _function_key(f: Any) -> Hashable:
    """A function, as far as keys tell them apart; None for what is never looked at more closely."""
    kind: Any = type(f)
    if kind is FunctionType:
        if DIFFERENTIATES not in f.__dict__:
            return id(f.__code__)
        inner_function, *options = f.__dict__[DIFFERENTIATES]
        inner = _function_key(inner_function)
        return None if inner is None else (inner, *map(repr, options))
    if kind is partial:
        inner = _function_key(f.func)
        return None if inner is None else (inner, len(f.args))
    return id(f) if kind is Op or kind is np.ufunc else None
