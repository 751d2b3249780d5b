"""Functions that are written out and have a rule of their own: of `1 / (1 + exp(-x))` people know `y * (1 - y)`.

They are recognised by their numbers, and a slip in the rule they have as one step is a slip like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from jacobian.checking.derivation import Derivation
from jacobian.checking.refine import input_again, operands_again
from jacobian.ops.registry import REGISTRY, Op
from jacobian.tracing.graph import Graph, Node
from jacobian.tracing.stripped import strip_all
from jacobian.tracing.tracer import Tracer, record_bound

Array = np.ndarray[Any, np.dtype[Any]]

MAX_NODES, MAX_STEPS = 60, 10
"""So many nodes a graph may have, and so many steps a function that is written out."""

SAME = 1e-12


def recognised(D: Derivation) -> Derivation | None:
    """The derivation with every function that is recognised as one step; None where there is none."""
    nodes = D.of.trace.nodes
    if len(nodes) > MAX_NODES:
        return None
    found = {node.index: match for node in nodes if (match := _match(D, node)) is not None}
    if not found:
        return None
    graph = D.of.trace.without_nodes()
    made: dict[int, Any] = {}
    for node in nodes:
        made[node.index] = _made(graph, node, made, found.get(node.index))
    return Derivation(made[D.of.index].node, made[D.wrt.index].node)


def _made(graph: Graph, node: Node, made: dict[int, Any], match: tuple[int, Op] | None) -> Any:
    """A node of the other graph: the function that it is recognised as, or the step that it was."""
    if node.op is None:
        return input_again(graph, node)
    if match is None:
        result = record_bound(node.op, operands_again(node, made), node.params)
    else:
        argument, op = match
        result = record_bound(op, [made[argument]], {})
    if isinstance(result, Tracer):
        result.node.name_hint = node.name_hint or node.name
    return result


def _match(D: Derivation, node: Node) -> tuple[int, Op] | None:
    """From which value a node is a known function in several steps, and which one."""
    if node.index not in D.nodes or node.op is None or np.asarray(node.value).dtype.kind != "f":
        return None
    for argument in _arguments(D, node):
        x, y = np.asarray(strip_all(argument.value), float), np.asarray(strip_all(node.value), float)
        for op in _known(len(REGISTRY)):
            if op.name != node.op.name and _is(op, x, y) and _has_slope(D, op, argument, node, x):
                return argument.index, op
    return None


def _arguments(D: Derivation, node: Node) -> Iterator[Node]:
    """Values of the same shape from which a node follows by several steps that work entry by entry."""
    before, steps = {edge.parent for edge in D.into[node.index]}, 0
    while before and steps < MAX_STEPS:
        index = max(before)
        before.remove(index)
        candidate, steps = D.nodes[index], steps + 1
        if not before and steps > 1 and candidate.shape == node.shape and candidate is not node:
            yield candidate
        if candidate.op is None or candidate.op.family != "elementwise":
            return
        before |= {edge.parent for edge in D.into[index]}


def _is(op: Op, x: Array, y: Array) -> bool:
    try:
        value = np.asarray(op.compute((x,), {}), float)
    except (ArithmeticError, ValueError, TypeError):
        return False
    return value.shape == y.shape and np.allclose(value, y, rtol=SAME, atol=SAME)


def _has_slope(D: Derivation, op: Op, argument: Node, node: Node, x: Array) -> bool:
    """Whether the derivative agrees as well: numbers alone may agree where a function only looks like another."""
    between = D.forward({}, start=argument.index)[node.index]
    point = node.point._replace(y=np.asarray(op.compute((x,), {})), x=(x,), params={}, names=("x",))
    return np.allclose(np.asarray(op.local(point, 0)).reshape(between.shape), between, rtol=1e-9, atol=1e-12)


@cache
def _known(count: int) -> tuple[Op, ...]:
    """Functions of one operand whose rule is a short text without cases, in the operand or in the value.

    Of two names for one function the one with the shorter rule comes first. `count` is how many ops there are by now.
    """
    found = [op for op in REGISTRY if op.built_in and op.family == "elementwise" and len(op.operands) == 1]
    known = [op for op in found if _has_text(op) and not _has_parameters(op)]
    return tuple(sorted(known, key=lambda op: (len(op.derivative), op.name)))


def _has_text(op: Op) -> bool:
    text = op.derivative.partition(" = ")[2]
    return bool(re.search(r"\b[xy]\b", text)) and not re.search(r"\bwhere\b|\b0 \* x\b", text)


def _has_parameters(op: Op) -> bool:
    return any(sample.kwargs or len(sample.args) > 1 for sample in op.samples)
