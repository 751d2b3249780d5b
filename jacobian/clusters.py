"""Numbers on the way between arrays, eliminated first: what they are computed from and what is made of them is left.

A function that is written number by number, `np.stack([p[0] * q[0] - p[1] * q[1], …])`, has many nodes of one entry
between few arrays. With the Jacobian of a whole output every one of them takes an operation on vectors. To find the
Jacobian of what is made of them by what they come from takes one on a number, and then one product is left.

That is one more order beside those of `plan.py`; which is the quickest the programs tell that are written in them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import NamedTuple

from jacobian import plan
from jacobian.algebra import Algebra
from jacobian.kernel.effort import effort
from jacobian.kernel.expression import Jacobian
from jacobian.tracing.graph import Node
from jacobian.writing import Writing

FEWEST = 8  # numbers that are worth a product
FIRST = "numbers first, "
_BEYOND = 10**6  # what operands are numbered from that stand for all on the way


class Cluster(NamedTuple):
    """A node with the numbers that it alone is made of, last ones first, and what these are computed from."""

    nodes: tuple[Node, ...]
    sources: tuple[Node, ...]


class _Eliminated:
    """An algebra in which some nodes have one Jacobian for all that lies between them and earlier ones."""

    def __init__(self, algebra: Algebra, found: dict[tuple[int, int], Jacobian]) -> None:
        self.contract, self.shorten, self.real_part = algebra.contract, algebra.shorten, algebra.real_part
        self.merges, self.before = algebra.merges, algebra.before
        self._local, self._found = algebra.local, found

    def local(self, node: Node, operand: int) -> Jacobian:
        """The one for all, or the local Jacobian."""
        found = self._found.get((node.index, operand))
        return self._local(node, operand) if found is None else found


def contenders(graph: plan.Paths) -> Sequence[str]:
    """The orders of which one is the quickest: those of the graph, or with its numbers first."""
    out, into = prod(graph.of.shape), sum(prod(node.shape) for node in graph.wrt)
    groups = _clusters(graph) if min(out, into) > 1 and not any(map(plan.is_complex, graph.nodes)) else []
    if not groups:
        return plan.contenders(graph)
    inner = f"{FIRST}lazy {'reverse' if out <= into else 'forward'}"
    if 2 * sum(len(group.nodes) for group in groups) < len(graph.nodes) or not graph.is_hard_to_try:
        return (*plan.contenders(graph), inner)
    return (inner,)


def accumulate(graph: plan.Paths, algebra: Algebra, order: str) -> list[Jacobian]:
    """The chain rule over the graph in one of the orders."""
    if not order.startswith(FIRST):
        return plan.accumulate(graph, algebra, order)
    graph = plan.without_shifts(graph)
    groups = _clusters(graph)
    edges, found = dict(graph.edges), dict[tuple[int, int], Jacobian]()
    for group in groups:
        of = group.nodes[0]
        jacobians = plan.reverse(plan.paths_within(group.nodes, group.sources, graph.edges), algebra, eager=False)
        edges[of.index] = tuple((_BEYOND + k, source) for k, source in enumerate(group.sources))
        found |= {(of.index, _BEYOND + k): algebra.contract(J) for k, J in enumerate(jacobians)}
    gone = {node.index for group in groups for node in group.nodes[1:]}
    rest = plan.paths_within([node for node in graph.nodes if node.index not in gone], graph.wrt, edges)
    return plan.in_order(rest, _Eliminated(algebra, found), order.removeprefix(FIRST))


def quickest(graph: plan.Paths, order: str, begin: Callable[[], Writing]) -> str:
    """The order to write the chain rule in: where it is `auto`, the one whose program takes the least effort.

    Raises:
        NotRecordableError: the chain rule cannot be written down.
    """
    graph = plan.without_shifts(graph)  # whose ties would be told, though nothing is differentiated through them
    orders = contenders(graph) if order == "auto" else (order,)
    return orders[0] if len(orders) == 1 else min(orders, key=lambda one: _effort(graph, one, begin()))


def _effort(graph: plan.Paths, order: str, writing: Writing) -> float:
    tensors = [writing.tensor(J) for J in accumulate(graph, writing, order)]
    writing.settle()
    return effort(writing.code, tensors)


def _clusters(graph: plan.Paths) -> list[Cluster]:
    """The clusters of a graph."""
    kept = {node.index for node in (graph.of, *graph.wrt)}
    made_for: dict[int, set[int]] = {}  # of every node, for which others
    members: dict[int, list[Node]] = {}
    for node in graph.nodes:  # after all that are made of it
        reached = made_for.get(node.index, set())
        is_inside = prod(node.shape) == 1 and len(reached) == 1 and node.index not in kept
        root = next(iter(reached)) if is_inside else node.index
        members.setdefault(root, []).append(node)
        for _, parent in graph.edges[node.index]:
            made_for.setdefault(parent.index, set()).add(root)
    groups = (group for group in members.values() if len(group) > FEWEST and prod(group[0].shape) > 1)
    return [Cluster(tuple(group), _sources(group, graph.edges)) for group in groups]


def _sources(group: Sequence[Node], edges: plan.Edges) -> tuple[Node, ...]:
    inside = {node.index for node in group}
    parents = {parent.index: parent for node in group for _, parent in edges[node.index]}
    return tuple(parent for index, parent in sorted(parents.items()) if index not in inside)
