"""Comparisons and whole numbers that stay part of a trace, where they are only computed with, or looked up by.

As a rule `x > 0`, `x.astype(int)` and `np.argsort(x)` give plain arrays, and the function has looked at numbers. While
a script is tried (`is_open`) they give traced arrays of booleans or whole numbers instead. `np.where`, products and
indices take these like any others; whatever looks at their entries, or is not made for them, ends the attempt. Each is
a node without a derivative: nothing leads through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np

from jacobian.errors import TraceError
from jacobian.ops.growth import at_most
from jacobian.ops.registry import NO_PARAMS, Op, Params, Point, as_operand
from jacobian.tracing.constants import CONSTANT_FUNCTIONS
from jacobian.tracing.graph import Graph, Node

LOGICAL: dict[np.ufunc, np.ufunc] = {
    np.bitwise_and: np.logical_and, np.bitwise_or: np.logical_or, np.bitwise_xor: np.logical_xor,
    np.invert: np.logical_not,
}  # fmt: skip
"""What they do to booleans."""

WHOLE: frozenset[Callable[..., Any]] = frozenset(
    {np.argmax, np.argmin, np.argsort, np.argpartition, np.searchsorted, np.digitize, np.isclose, np.isin}
)
"""Functions whose results are whole numbers or booleans, of shapes that depend on shapes alone."""

INDICES = "iu"
"""The dtypes of positions."""
DISCRETE = "biu"
"""Those of whole numbers and booleans."""
BITS = 64.0  # of the largest one


def converted(x: Any, dtype: np.dtype[Any]) -> Any:
    """An array as whole numbers or booleans."""
    return x.astype(dtype)


def open_graph(function: Callable[..., Any], operands: Sequence[Any], tracer: Any) -> Graph | None:
    """The trace that keeps what a function gives as a node without a derivative; None where it gives a plain array."""
    traced = [one for one in operands if type(one) is tracer]
    if not traced or not all(one.graph.is_open and one.graph is traced[0].graph for one in traced):
        return None
    found: Graph = traced[0].graph
    if function in WHOLE or function is converted:
        return found
    if function in LOGICAL and not all(np.result_type(one).kind == "b" for one in operands):
        return None
    is_entry_by_entry = isinstance(function, np.ufunc) and LOGICAL.get(function, function) in CONSTANT_FUNCTIONS
    return found if is_entry_by_entry else None


def discrete(
    graph: Graph, function: Callable[..., Any], operands: Sequence[Any], tracer: Any, params: Params = NO_PARAMS
) -> Node:  # fmt: skip
    """The node of a comparison, or of whole numbers."""
    given = tuple((k, one.node) for k, one in enumerate(operands) if type(one) is tracer)
    values = tuple(one.value if type(one) is tracer else graph.constant(as_operand(one)) for one in operands)
    op = _op(LOGICAL.get(function, function) if isinstance(function, np.ufunc) else function)
    if params:
        params = graph.fixed(params)
    node = Node(graph, op, op.compute(values, params), values, params, descriptors=None)
    node.given = given
    return node


def are_plain(values: Iterable[Any], tracer: Any) -> bool:
    """Whether nothing among these is traced, at any depth."""
    return not any(
        type(one) is tracer or (isinstance(one, list | tuple) and not are_plain(one, tracer)) for one in values
    )


def behind_positions(nodes: Sequence[Node]) -> set[int]:
    """The nodes from which whole numbers are computed: where their last digits differ, something else is looked up."""
    found: set[int] = set()
    for node in reversed(nodes):
        is_whole = node.op is not None and node.op.family == "mask" and node.value.dtype.kind in INDICES
        if is_whole or node.index in found:
            found.update(before.index for _, before in (*node.parents, *node.given))
    return found


@cache
def _op(function: Callable[..., Any]) -> Op:
    is_logical = isinstance(function, np.ufunc)
    op = Op(function.__name__, function, _no_rule, family="mask", growth=None if is_logical else at_most(BITS))
    op.built_in = True
    return op


def _no_rule(point: Point, k: int) -> Any:
    raise TraceError("whole numbers and comparisons have no derivative")
