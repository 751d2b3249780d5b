"""The paths through a function's graph that feed one entry of its Jacobian, and what each contributes.

By the chain rule the entry is a sum over all paths from the input to the output, each giving the product of the local
Jacobians along it. That they add up to the entry is checked; where they do not, none is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from jacobian import plan
from jacobian.display.numbers import number
from jacobian.display.raster import cost, is_symbolic
from jacobian.errors import JacobianError
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.indexing import selection
from jacobian.kernel.pattern import Shape
from jacobian.kernel.simplify import contracted
from jacobian.tracing.graph import Node

MOST_PATHS = 64  # beyond, they are only counted
SHOWN = 6
MOST_ENTRIES = 2**20  # of all values on the way
MOST_WORK = 2**22  # multiplications of one step

Path = tuple[tuple[Node, int], ...]
"""Every node from the output on with the operand through which the path goes on; the last one has none: -1."""


class Feeds:
    """All paths from the input to the output of the function a Jacobian comes from."""

    def __init__(self, J: Jacobian) -> None:
        self.J = J

    def of(self, j: Shape, i: Shape, value: Any) -> dict[str, Any] | None:
        """The paths that feed the entry of this value, the strongest first; None when they cannot be told."""
        graph = self._graph
        if graph is None:
            return None
        if self._count > MOST_PATHS:
            return {"paths": [], "more": self._count}
        told: list[tuple[Any, Path]] = []
        for path in self._paths:
            try:
                share = contribution(path, j, i)
            except (JacobianError, FloatingPointError):
                return None
            if share is None:
                return None
            told.append((share, path))
        total = sum(share for share, _ in told)
        size = max([abs(share) for share, _ in told], default=0.0)
        slack = np.sqrt(np.finfo(self.J.dtype).eps) * max(size, abs(value))
        if not abs(total - value) <= slack:  # another course this time, or not finite: nothing to be sure of
            return None
        told = sorted((one for one in told if one[0] != 0), key=lambda one: -abs(one[0]))
        lines = [{"share": number(share, 6), "steps": steps(path)} for share, path in told[:SHOWN]]
        return {"paths": lines, "more": max(0, len(told) - SHOWN)}

    @cached_property
    def _graph(self) -> plan.Paths | None:
        origin = self.J.origin
        if origin is None or origin.retrace is None or is_symbolic(self.J):
            return None
        try:
            of, wrt = origin.retrace()
        except Exception:  # the user's function, run once more, may do anything; the entry is known without it
            return None
        if not isinstance(of, Node) or of.shape != self.J.out_shape or wrt.shape != self.J.in_shape:
            return None
        graph = plan.paths(of, [wrt])
        heavy = sum(prod(node.shape) for node in graph.nodes) > MOST_ENTRIES
        return None if heavy or any(map(plan.is_complex, graph.nodes)) else graph

    @cached_property
    def _count(self) -> int:
        """How many paths there are, without walking them."""
        graph = self._graph
        if graph is None:
            return 0
        arriving = {graph.of.index: 1}
        for node in graph.nodes:
            for _, parent in graph.edges[node.index]:
                arriving[parent.index] = arriving.get(parent.index, 0) + arriving.get(node.index, 0)
        return arriving.get(graph.wrt[0].index, 0)

    @cached_property
    def _paths(self) -> list[Path]:
        graph = self._graph
        return [] if graph is None else list(_walks(graph, graph.of))


def _walks(graph: plan.Paths, node: Node) -> Iterator[Path]:
    if node is graph.wrt[0]:
        yield ((node, -1),)
        return
    for operand, parent in graph.edges[node.index]:
        for rest in _walks(graph, parent):
            yield ((node, operand), *rest)


def contribution(path: Path, j: Shape, i: Shape) -> Any:
    """The entry (j, i) of the product of the local Jacobians along a path; None when that costs too much."""
    of, wrt = path[0][0], path[-1][0]
    row = selection(j, of.shape, plan.seed(of).dtype)
    for node, operand in path[:-1]:
        row = row.after(node.local(operand))
        if cost(row) > MOST_WORK:
            return None
        row = contracted(row)
    return np.asarray(row[i] if i else row.tensor())[()] if wrt.shape else np.asarray(row.tensor())[()]


def steps(path: Path) -> list[dict[str, str]]:
    """The nodes of a path from the input on: name, and the op that makes it."""
    return [{"name": node.name, "op": node.op.name if node.op else "input"} for node, _ in reversed(path)]
