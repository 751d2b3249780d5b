"""Comparisons that stay part of a trace: `x > 0` as a node, where it is only computed with.

As a rule a comparison gives a plain array, and the function has looked at a number. While a script is tried (`is_open`)
it gives a traced array of booleans instead. `np.where` and products take it like any other; whatever looks at its
entries, or is not made for booleans, ends the attempt. It is a node without a derivative: nothing leads through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from jacobian.errors import TraceError
from jacobian.ops.registry import NO_PARAMS, Op, Point, as_operand
from jacobian.tracing.constants import CONSTANT_FUNCTIONS
from jacobian.tracing.graph import Graph, Node

LOGICAL: dict[np.ufunc, np.ufunc] = {
    np.bitwise_and: np.logical_and, np.bitwise_or: np.logical_or, np.bitwise_xor: np.logical_xor,
    np.invert: np.logical_not,
}  # fmt: skip
"""What they do to booleans."""


def open_graph(ufunc: np.ufunc, operands: Sequence[Any], tracer: Any) -> Graph | None:
    """The trace that keeps a comparison, or what a comparison is combined with; None where it gives a plain array."""
    traced = [one for one in operands if type(one) is tracer]
    if not all(one.graph.is_open and one.graph is traced[0].graph for one in traced):
        return None
    if ufunc in LOGICAL and not all(np.result_type(one).kind == "b" for one in operands):
        return None
    found: Graph = traced[0].graph
    return found if LOGICAL.get(ufunc, ufunc) in CONSTANT_FUNCTIONS else None


def mask(graph: Graph, ufunc: np.ufunc, operands: Sequence[Any], tracer: Any) -> Node:
    """The node of a comparison."""
    given = tuple((k, one.node) for k, one in enumerate(operands) if type(one) is tracer)
    values = tuple(one.value if type(one) is tracer else graph.constant(as_operand(one)) for one in operands)
    op = _op(LOGICAL.get(ufunc, ufunc))
    node = Node(graph, op, op.compute(values, NO_PARAMS), values, descriptors=None)
    node.given = given
    return node


@cache
def _op(ufunc: np.ufunc) -> Op:
    op = Op(ufunc.__name__, ufunc, _no_rule, family="mask")
    op.built_in = True
    return op


def _no_rule(point: Point, k: int) -> Any:
    raise TraceError("a comparison has no derivative")
