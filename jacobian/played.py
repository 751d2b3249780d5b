"""What a script gave: values and Jacobians, and the graph where it is asked for after all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np

from jacobian import algebra, free, plan
from jacobian.kernel.code import NOT_PLAYED
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.operands import read_only
from jacobian.kernel.origin import Origin
from jacobian.kernel.term import Array
from jacobian.ops.kinks import once_told
from jacobian.place import Place
from jacobian.script import Script, Step, Taken
from jacobian.tracing.graph import Compared, Node
from jacobian.tracing.scope import said
from jacobian.tracing.snapshots import kept_snapshot


class Watched(Protocol):
    """Something that wants to know whether the graph is looked at."""

    def looked(self) -> None:
        """It was."""


Calling = tuple[Callable[..., Any], Sequence[int], Sequence[Any], dict[str, Any]]
"""A function, the numbers of the arguments that it is differentiated by, and what it was called with."""


class Played:
    """What a script gave; the source of its Jacobians, whose numbers there go through the inputs of every output."""

    _nodes: dict[int, Node] | None = None

    def __init__(self, call: Calling, script: Script, taken: Taken, watched: Watched) -> None:
        self._call, self.script, self._watched = call, script, watched
        self.is_ready = script.is_at_once
        self._inputs, self._given, numbers = taken
        borrowed = list(filter(free.is_borrowed, self._given)) if script.may_share else ()
        self.values, self._tensors = script.play(numbers, borrowed)
        if script.copies_late:
            self._inputs = [kept_snapshot(one) if free.is_borrowed(one) else one for one in self._inputs]

    @cached_property
    def inputs(self) -> list[Array]:
        """What is differentiated by, which nobody changes."""
        return list(map(read_only, self._inputs))

    @property
    def _place(self) -> Place:
        return Place(*self._call, "")

    def jacobians(self) -> list[Jacobian]:
        """The Jacobians of every output by every input."""
        return [Jacobian.computed(self, *one) for one in self.script.jacobians]

    def tensor(self, number: int) -> np.ndarray | None:
        """What the program gives."""
        return self._tensors.tensor(number)

    def told(self, number: int) -> Jacobian:
        """What the chain rule over the graph gives."""
        names = self.script.jacobians[number][-1]
        if self._is_overtaken:
            return self._opaque(number).named(*names)
        place, k = divmod(number, len(self.inputs))
        return self._accumulated(place)[k].named(*names)

    def origin(self, number: int) -> Origin:
        """The function and the point."""
        output, k = divmod(number, len(self.inputs))
        at = self._place._replace(path=self.script.outputs[output][3])
        return at.origin(self.inputs, k, partial(self._value, output), partial(self._orders, output, k))

    def _value(self, output: int) -> Array:
        """The value of an output, which the script may not have computed."""
        return self.values[output] if self.values else self.node(output).value

    def _orders(self, place: int, k: int) -> str:
        """What each order of elimination costs, side by side."""
        return plan.compare(plan.paths(self.node(place), [self.input_nodes()[k]]))

    def node(self, place: int) -> Node:
        """The node of an output."""
        return self._graph()[self.script.outputs[place][0]]

    def input_nodes(self) -> list[Node]:
        """The nodes of the inputs."""
        nodes = self._graph()
        return [nodes[index] for index, _, _ in self.script.inputs]

    def _graph(self) -> dict[int, Node]:
        if self._nodes is None:
            self._nodes = self.script.nodes_at(self.inputs, self._kept)
            _note_comparisons(self.script.steps, self._nodes)
            self._watched.looked()
        return self._nodes

    def _accumulated(self, place: int) -> list[Jacobian]:
        """The Jacobians of one output, by the chain rule."""
        if place not in self._found:
            of, inputs = self.node(place), self.input_nodes()
            found = once_told(plan.accumulate, plan.paths(of, inputs), algebra.Numeric(), self.script.order)
            self._found[place] = said(found, of, inputs)
        return self._found[place]

    @cached_property
    def _found(self) -> dict[int, list[Jacobian]]:
        return {}

    @cached_property
    def _kept(self) -> list[Any]:
        """What is given, safe from later changes."""
        return [free.taken(one, borrow=False) for one in self._given]

    @cached_property
    def _is_overtaken(self) -> bool:
        """Whether a borrowed array was changed, so that nobody knows any more what the Jacobians were made from."""
        if not any(map(free.is_borrowed, self._given)):
            return False
        try:
            values, tensors = self.script.play([*self.inputs, *free.as_inputs(self._kept)])
            arrays = [(tensors.tensor(number), self.tensor(number)) for number in range(len(self.script.jacobians))]
        except NOT_PLAYED:
            return True
        return not all(np.array_equal(*pair) for pair in [*zip(values, self.values, strict=True), *arrays])

    def _opaque(self, number: int) -> Jacobian:
        """The tensor itself as a term."""
        _, out_shape, *_ = self.script.jacobians[number]
        return Jacobian.from_array(self.tensor(number), len(out_shape), "J")


def _note_comparisons(steps: Sequence[Step], nodes: Mapping[int, Node]) -> None:
    """Tell the graph what its arrays of truths are: a comparison is no node of it."""
    for index, node in nodes.items():
        for key, number in (*steps[index].parents, *steps[index].given):
            compared, told = steps[number], dict(steps[number].given)
            array = node.params.get(key) if isinstance(key, str) else dict(enumerate(node.operands)).get(key)
            if compared.op is None or compared.op.family != "mask" or not nodes.keys() >= set(told.values()):
                continue
            if isinstance(array, np.ndarray) and array.dtype.kind == "b":
                operands = tuple(
                    nodes[told[k]] if k in told else operand for k, operand in enumerate(compared.operands)
                )
                node.trace.compared[id(array)] = Compared(array, compared.op.name, operands)
