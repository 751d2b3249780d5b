"""A script: the program for one kind of call, and the steps from which the graph of such a call can be made again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jacobian import bounds, clusters, plan, programs
from jacobian.habit import Habit, Noted, Tensors
from jacobian.kernel.buffers import with_errors_raised, with_short_buffers
from jacobian.kernel.code import NOT_PLAYED, Code
from jacobian.kernel.effort import effort
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.lines import Line
from jacobian.kernel.operands import view_of
from jacobian.kernel.scalars import with_floats
from jacobian.kernel.settled import settle
from jacobian.kernel.term import Array
from jacobian.kernel.tiles import text_in_tiles
from jacobian.ops.registry import Op, Params
from jacobian.programs import Pending
from jacobian.scripting import Scripting
from jacobian.tracing import snapshots
from jacobian.tracing.graph import Node
from jacobian.tracing.surroundings import Surroundings
from jacobian.tracing.tree import is_container

MIDDLING = 32  # times as many entries as are few
MANY = 2048  # times as many
AS_LONG = 5  # times the effort of the values that all takes which is computed at once: a tanh counts as a product there
PER_STEP = 2**10  # bytes of arrays that weigh as much as a step, which takes about so many itself


Taken = tuple[list[Any], list[Any], list[Any]]
"""What a script is played with: its inputs, what else is given, and both as numbers of its program."""

Glance = Callable[[Any, Sequence[Any]], Taken | None]
"""From a function and its positional arguments: what a script is played with; None for other calls."""


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
    given: tuple[tuple[int | str, int], ...]
    descriptors: tuple[Hashable, ...] | None
    name: str

    @classmethod
    def of(cls, node: Node) -> Step:
        """How a node was made."""
        parents = tuple((k, parent.index) for k, parent in node.parents)
        given = tuple((key, other.index) for key, other in node.given)
        traced = dict((*parents, *given))
        operands = tuple(None if k in traced else operand for k, operand in enumerate(node.operands))
        return cls(node.op, operands, node.params, parents, given, node.descriptors, node.name_hint)


class Ready:
    """Tensors that have been computed."""

    __slots__ = ("_are_own", "_arrays", "_dtypes")

    def __init__(self, arrays: Sequence[Any], dtypes: Sequence[np.dtype[Any]], *, are_own: bool = False) -> None:
        self._arrays, self._dtypes = arrays, dtypes
        self._are_own = are_own  # nobody else has them

    def tensor(self, k: int) -> np.ndarray:
        """One of them."""
        found, dtype = self._arrays[k], self._dtypes[k]
        is_right = type(found) is np.ndarray and found.dtype is dtype
        array: np.ndarray = found if is_right else np.asarray(found, dtype)
        if not self._are_own:
            return view_of(array)
        array.setflags(write=False)
        return array.view()  # which nobody can make writeable


class Script:
    """The program for one kind of call, and the steps from which its graph can be made again."""

    def __init__(
        self, surroundings: Surroundings, outputs: Sequence[Output], inputs: Sequence[Node], given: Sequence[Node],
        result: Any, order: str, trees: Sequence[Any], leaves: Sequence[Any], *, with_values: bool,
    ) -> None:  # fmt: skip
        """Write it: the Jacobians by the inputs, for any numbers of these and of what else is given.

        The inputs are nested as trees, whose arrays are the leaves.

        Without values only as much of these is computed as the Jacobians need, or as is needed to know them finite.

        Raises:
            NotRecordableError: something on the way cannot be written down.
        """
        nodes = [output.node for output in outputs]
        starts = [*inputs, *given]
        results = [*nodes, *nodes[0].trace.finite]  # of all functions that are differentiated, this one or within it
        writing = Scripting(results, starts, exact=with_values)
        code, start = writing.code, len(writing.code.lines)
        found = [J for node in nodes for J in _accumulated(plan.paths(node, inputs), writing, order, starts)]
        values, tensors = list(map(writing.value, nodes)), [writing.tensor(J) for J in found]
        size = sum(J.size for J in found)
        writing.settle()
        self.is_at_once = _is_at_once(code, values, tensors, size)
        code.lines[start:start] = _checks(writing, inputs, results, tensors, starts, with_values=with_values)
        settle(code, [*values, *tensors])
        self.with_values = with_values
        self.surroundings = surroundings
        self.glance: Glance | None = None  # by which calls that it is for are known
        self.order = order
        self.result = result  # with a number for every output, as they are nested
        self.is_flat = not any(map(is_container, (result, *trees)))
        self.outputs = [(node.index, node.shape, name, path) for node, name, path in outputs]
        self.inputs = [(node.index, node.shape, node.name) for node in inputs]
        self.given = [(node.index, node.name) for node in given]
        names = [(name, node.name) for _, name, _ in outputs for node in inputs]
        self.jacobians = [
            (number, J.out_shape, J.in_shape, J.dtype, pair)
            for number, (J, pair) in enumerate(zip(found, names, strict=True))
        ]
        self.dtypes = [J.dtype for J in found]
        graph = nodes[0].trace
        self.strides = _strides(leaves) if graph.assigned else None
        self.graph = graph.without_nodes()
        last = max(node.index for node in (*nodes, *inputs))  # an output may be an input, and stand before others
        self.steps = list(map(Step.of, graph.nodes[: last + 1]))
        held = max(code.nbytes, surroundings.nbytes)  # mostly the same arrays
        self.weight = len(self.steps) + held // PER_STEP
        wanted = values if with_values else []
        may_be_wanted = size <= programs.SMALL_RESULT * MANY
        self.may_share = not all(map(code.is_own, tensors))  # memory with what is given
        self._may_copy_late = not with_values and not self.may_share and _has_large(inputs)
        copied = 0 if self._may_copy_late else _copied(inputs)
        tiled = text_in_tiles(code, ["inputs"], tensors, copied) if may_be_wanted and not with_values else None
        may_turn = may_be_wanted and not self.is_at_once and (tiled is not None or _has_large(given))
        self._habit = Habit(len(tensors)) if may_turn else None
        self._programs: dict[bool, Callable[..., Any]] = {}
        if self.is_at_once or may_turn:
            text = code.text(["inputs"], [*wanted, *tensors], always_several=True)
            whole = code.compile(with_floats(text, code, exact=writing.has_exact))
            self._programs[True] = whole if tiled is None else _or_else(code.compile(tiled), whole)
        if not self.is_at_once:
            self._programs[False] = code.compile(code.text_in_stages(["inputs"], wanted, tensors))
        self.program = self._programs[self.is_at_once]
        self.memories = code.memories(tensors)
        self._lends = any(memory is not None for memory in self.memories)
        self._count = len(self.outputs) if with_values else 0
        self._is_plain = self.is_at_once and not (may_turn or self._lends or self.may_share)
        is_tiny = size <= programs.SMALL_RESULT
        self._call: Callable[..., Any] = with_errors_raised if is_tiny else with_short_buffers

    @property
    def copies_late(self) -> bool:
        """Whether large inputs are copied when the program has run: it needs memory itself, and gives none of them."""
        return self.is_at_once and self._may_copy_late

    def is_for(self, leaves: Sequence[Any]) -> bool:
        """Whether arguments lie in memory as they must: that decides what is a view, and so what is assigned to."""
        return self.strides is None or self.strides == _strides(leaves)

    def play(self, inputs: Sequence[Array], borrowed: Sequence[Any] = ()) -> tuple[Sequence[Array], Tensors]:
        """The values at these inputs, and at what else is given, if there are any; and what has the Jacobians' tensors.

        These share no memory with what is borrowed, which need only be told where they may.
        """
        found = self._call(self.program, inputs)
        if self._is_plain:
            tensors = found[self._count :] if self._count else found
            return found[: self._count], Ready(tensors, self.dtypes, are_own=True)
        values, tensors = found[: self._count], self._tensors(found[self._count :], borrowed)
        return values, tensors if self._habit is None else Noted(tensors, self._habit)

    def _tensors(self, found: Sequence[Any], borrowed: Sequence[Any]) -> Tensors:
        """What the program gives beside the values, as what has the tensors."""
        if not self.is_at_once:
            return Pending(found[0], self.dtypes, self.memories)
        arrays = [_apart(array, borrowed) for array in found] if borrowed else found
        if self._habit is not None and any(one is not other for one, other in zip(arrays, found, strict=True)):
            self._habit.give_up()  # to copy what is borrowed takes as long as to compare it
        if self._lends:
            lent = zip(arrays, self.memories, strict=True)
            arrays = [array if memory is None else memory.lend(array) for array, memory in lent]
        return Ready(arrays, self.dtypes)

    def turn(self) -> bool:
        """After a call: compute tensors at once from now on, or later again, as its callers do; tell if that is new."""
        if self._habit is None or self._habit.after_a_call() == self.is_at_once:
            return False
        self.is_at_once = not self.is_at_once
        self.program = self._programs[self.is_at_once]
        return True

    def nodes_at(self, inputs: Sequence[Array], given: Sequence[Any]) -> dict[int, Node]:
        """The nodes of the graph at these numbers, by their steps; what depends on no input is constant there."""
        graph = self.graph.again()
        starts = dict(zip([index for index, _, _ in self.inputs], inputs, strict=True))
        constants = dict(zip([index for index, _ in self.given], given, strict=True))
        held = [(name, one) for (_, name), one in zip(self.given, given, strict=True)]
        nodes: dict[int, Node] = {}
        for index, step in enumerate(self.steps):
            if index in constants:
                continue
            parents = tuple((k, nodes[parent]) for k, parent in step.parents if parent in nodes)
            given, params = list(step.operands), step.params
            for key, parent in (*step.parents, *step.given):
                one = nodes[parent].value if parent in nodes else constants[parent]
                if isinstance(key, int):
                    given[key] = one
                else:
                    params = {**params, key: one}
            operands = tuple(given)
            value = starts[index] if step.op is None else step.op.compute(operands, params)
            if step.op is not None and step.op.settled is not None and len(operands) > 1:
                operands, params = step.op.settled(operands, params)
            if parents or index in starts:
                nodes[index] = Node(
                    graph, step.op, value, operands, params, parents, step.descriptors, step.name
                )  # fmt: skip
            else:
                constants[index] = value
                held.append((step.name, value))
        graph.naming.call((name, one) for name, one in held if name)
        return nodes


def _or_else(tiled: Callable[..., Any], whole: Callable[..., Any]) -> Callable[..., Any]:
    """A program in tiles, or the whole one where that has something to say; always that one if it has every time."""
    failures = 0

    def program(inputs: Any) -> Any:
        nonlocal failures
        if failures < programs.MOST_FAILURES:
            try:
                found = tiled(inputs)
            except NOT_PLAYED:
                failures += 1
            else:
                failures = 0
                return found
        return whole(inputs)

    return program


def _apart(array: Any, others: Sequence[Any]) -> Any:
    if getattr(array, "base", None) is None and all(array is not other for other in others):
        return array
    return np.array(array)


def _is_at_once(code: Code, values: Sequence[str], tensors: Sequence[str], size: int) -> bool:
    """Whether Jacobians are computed without being asked for: they are small, or take about as long as the values.

    Then nothing need be kept for later, nor looked at whether it is as it was.
    """
    few = programs.SMALL_RESULT
    return size <= few or (
        size <= MIDDLING * few and effort(code, [*values, *tensors]) <= AS_LONG * effort(code, values)
    )  # fmt: skip


def _has_large(starts: Sequence[Node]) -> bool:
    """Whether there are arrays that need not be read once more where tensors are computed at once."""
    return any(node.value.nbytes >= snapshots.BORROWED for node in starts)


def _copied(inputs: Sequence[Node]) -> int:
    """How many bytes are copied at every call; of large arrays there is a copy already, as long as they stay."""
    return sum(node.value.nbytes for node in inputs if node.value.nbytes < snapshots.LARGE)


def _checks(
    writing: Scripting, inputs: Sequence[Node], outputs: Sequence[Node], tensors: Sequence[str],
    starts: Collection[Node], *, with_values: bool,
) -> list[Line]:  # fmt: skip
    """The lines that end a program where inputs or outputs are not finite: all are looked at, or what decides it."""
    whole = writing.checks([*inputs, *outputs])
    if with_values:
        return whole
    decisive = bounds.decisive(outputs, starts, writing.nodes, writing.efforts(tensors, inputs))
    if decisive is None:
        return whole
    few = writing.checks([node for node in inputs if node not in decisive], decisive)
    return min(few, whole, key=lambda checks: effort(writing.code, tensors, checks))


def _accumulated(graph: plan.Paths, writing: Scripting, order: str, starts: Sequence[Node]) -> list[Jacobian]:
    chosen = clusters.quickest(graph, order, lambda: Scripting([graph.of], starts))
    return clusters.accumulate(graph, writing, chosen)


def _strides(leaves: Sequence[Any]) -> list[tuple[int, ...]]:
    return [getattr(leaf, "strides", ()) for leaf in leaves]
