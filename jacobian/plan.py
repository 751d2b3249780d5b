"""Elimination orders over a graph, and what each would cost, on shapes alone.

Forward accumulation multiplies local Jacobians from the inputs on, reverse accumulation from the output back. Both
are written once here, over an `Algebra`; the numeric one computes, the counting one only adds up multiplications and
bytes, moving no number. Which of the orders left over is the quickest their programs tell (`writing.quickest`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from functools import cached_property
from math import prod
from typing import NamedTuple

import numpy as np

from jacobian.algebra import Algebra, Counting, Lean
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.memory import human
from jacobian.kernel.pattern import CACHE
from jacobian.ops.registry import no_complex_derivative, not_holomorphic
from jacobian.shifts import cancelling, may_cancel
from jacobian.tracing.graph import Node

SIMULATED_NODES = 200  # above that many nodes the sizes of output and input decide
MANY_NODES = 48  # above that many only orders are tried that leave products to the contraction
MANY_FACTORS = 128  # a lazy product this long is contracted: its best order is no longer sought as a whole
FEW_FACTORS = 12
SHORTENED_EVERY = 16
MUCH_THE_SAME = 1.5  # times the bytes
FAR_TOO_MANY = 8  # times the multiplications, or the bytes: no program of that order is the quickest
TINY = 2**7  # entries of all values together: whatever the order, a program takes as long as there are nodes
SMALL = 2**14  # as long as every product has fewer entries, planning costs more than any order


_COSTS: dict[Hashable, Sequence[Cost]] = {}  # graphs that look alike are planned once


class Cost(NamedTuple):
    """What an order costs: multiplications, bytes of all arrays made on the way, bytes of the largest."""

    order: str
    multiplications: int
    nbytes: int
    largest: int

    def __str__(self) -> str:
        """One row."""
        return (
            f"{self.order:<12} {self.multiplications:>18,} multiplications  "
            f"{human(self.nbytes):>8} made  {human(self.largest):>8} largest"
        )


Edges = dict[int, tuple[tuple[int, Node], ...]]
"""For every node, which operand came from which node."""


class Paths:
    """The nodes between `wrt` and `of`, last first, and for each the edges that lead back to `wrt`."""

    def __init__(
        self, of: Node, wrt: tuple[Node, ...], nodes: tuple[Node, ...], edges: Edges, uses: dict[int, int]
    ) -> None:
        self.of = of
        self.wrt = wrt
        self.nodes = nodes
        self.edges = edges
        self.uses = uses

    @property
    def signature(self) -> Hashable:
        """Equal for graphs with the same nodes, edges and local patterns: all that costs depend on."""
        edges = tuple(
            (node.index, operand, parent.index, tuple(term.pattern for term in node.local(operand).terms))
            for node in self.nodes
            for operand, parent in self.edges[node.index]
        )
        return (self.of.index, tuple(node.index for node in self.wrt), edges)

    @cached_property
    def longest_product(self) -> int:
        """How many factors a lazy product may have: where every order is cheap, planning a long one is not worth it."""
        widest = max((prod(node.shape) for node in self.nodes), default=1)
        ends = max(prod(self.of.shape), *(prod(node.shape) for node in self.wrt), 1)
        return FEW_FACTORS if widest * ends < SMALL else MANY_FACTORS

    @property
    def is_hard_to_try(self) -> bool:
        """Whether trying out orders is work itself: of many nodes, or where merging means comparing large tables."""
        if len(self.nodes) > SIMULATED_NODES:
            return True
        tables = (
            table
            for node in self.nodes
            for operand, _ in self.edges[node.index]
            for term in node.local(operand).terms
            for table in term.tables
        )
        return any(table.size > SMALL for table in tables)

    @property
    def is_chain(self) -> bool:
        """Whether there is one path only."""
        return all(len(edges) <= 1 for edges in self.edges.values()) and max(self.uses.values(), default=0) <= 1

    @cached_property
    def segments(self) -> Sequence[Paths]:
        """The graph cut at every node that all paths go through, last segment first; itself where nothing is gained."""
        wanted = {node.index for node in self.wrt}
        waiting, cuts = {self.of.index}, [0]
        for place, node in enumerate(self.nodes):
            if waiting == {node.index} and place:
                cuts.append(place)
            if node.index in wanted:
                break
            waiting.discard(node.index)
            waiting.update(parent.index for _, parent in self.edges[node.index])
        parts = [self._between(first, last) for first, last in zip(cuts, [*cuts[1:], None], strict=True)]
        parts = [part for part in parts if len(part.nodes) > 1 or part.of.index in wanted]
        return parts if len(parts) > 1 and any(not part.is_chain for part in parts[:-1]) else [self]

    def _between(self, first: int, last: int | None) -> Paths:
        """The part from one cut to the next, or to the end."""
        if last is None:
            return _paths(self.nodes[first], self.wrt, self.nodes[first:], self.edges)
        end = self.nodes[last]
        nodes = self.nodes[first : last + 1]
        edges = {node.index: self.edges[node.index] for node in nodes} | {end.index: ()}
        return _paths(self.nodes[first], (end,), nodes, edges)


def paths(of: Node, wrt: Sequence[Node]) -> Paths:
    """Collect what lies between."""
    nodes = tuple(of.trace.between(of, wrt))
    known = {node.index for node in nodes}
    edges = {node.index: tuple(edge for edge in node.parents if edge[1].index in known) for node in nodes}
    return _paths(of, tuple(wrt), nodes, edges)


def paths_within(nodes: Sequence[Node], wrt: Sequence[Node], edges: Edges) -> Paths:
    """The paths from the first of the nodes to others by these edges; what is not among the nodes has none."""
    own = {node.index: edges[node.index] for node in nodes}
    more = [node for node in wrt if node.index not in own]
    own |= {node.index: () for node in more}
    return _paths(nodes[0], tuple(wrt), (*nodes, *sorted(more, key=lambda node: -node.index)), own)


def _paths(of: Node, wrt: tuple[Node, ...], nodes: tuple[Node, ...], edges: Edges) -> Paths:
    uses = Counter(parent.index for found in edges.values() for _, parent in found)
    sources = {node.index for node in wrt}
    return Paths(of, wrt, nodes, edges, {k: n for k, n in uses.items() if k not in sources or edges.get(k)})


def without_shifts(graph: Paths) -> Paths:
    """The graph without the paths through shifts that cancel, on which every Jacobian is zero."""
    candidates = [node for node in graph.nodes if may_cancel(node) and graph.edges[node.index]]
    if not candidates:
        return graph
    users: dict[int, list[Node]] = {}
    for node in graph.nodes:
        for _, parent in graph.edges[node.index]:
            users.setdefault(parent.index, []).append(node)
    dropped = cancelling(candidates, graph.of, users)
    if not dropped:
        return graph
    wanted = {node.index for node in graph.wrt}
    edges = {
        index: tuple(e for e in found if index not in dropped and (e[1].index not in dropped or e[1].index in wanted))
        for index, found in graph.edges.items()
    }
    return _paths(graph.of, graph.wrt, graph.nodes, edges)


def seed(node: Node) -> Jacobian:
    """∂node/∂node."""
    return Jacobian.identity(node.shape, _dtype(node), (node.name, node.name))


def _dtype(node: Node) -> np.dtype[np.float64]:
    return np.dtype(getattr(node.value, "dtype", np.float64))


def is_complex(node: Node) -> bool:
    """Whether the node's value is complex. A real node's Jacobian is real: it is the real part of what arrives."""
    return _dtype(node).kind == "c"


def becomes_real(node: Node) -> bool:
    """Whether the node takes the real part of something complex."""
    return not is_complex(node) and any(is_complex(parent) for _, parent in node.parents)


def refuse_not_holomorphic(graph: Paths) -> None:
    """A function of a complex input has a derivative if every op on the way has a complex one.

    Raises:
        ArgumentError: an op takes a real part, an absolute value or the like of what depends on a complex input.
    """
    reached = {node.index: node for node in graph.wrt if is_complex(node)}
    if not reached:
        return
    for node in reversed(graph.nodes):
        for _, parent in graph.edges[node.index]:
            source = reached.get(parent.index)
            if source is None or node.op is None:
                continue
            if not is_complex(node) or node.op.of_complex == "refused":
                called, line = node.trace.notes.get(node.index, (node.op.called, None))
                if not is_complex(node):
                    raise not_holomorphic(called, source.name, source.value, line)
                raise no_complex_derivative(node.op, called, source.name, source.value, line)
            reached[node.index] = source


def reverse(graph: Paths, algebra: Algebra, *, eager: bool, upstream: Jacobian | None = None) -> list[Jacobian]:
    """From the output back. Unless eager, what arrives is contracted only where it is used more than once."""
    if is_complex(graph.of) and any(map(becomes_real, graph.nodes)):
        return forward(graph, algebra, eager=eager)  # Re(…) of what comes before cannot be told from behind
    start = seed(graph.of) if upstream is None else upstream
    arrived: dict[int, list[Jacobian]] = {graph.of.index: [start]}
    result: dict[int, Jacobian] = {}
    wanted = {node.index for node in graph.wrt}
    for node in graph.nodes:
        if node.index not in arrived:
            continue
        J = Jacobian.total(arrived.pop(node.index))
        if J.dtype.kind == "c" and not is_complex(graph.of) and not is_complex(node):
            J = algebra.real_part(J)
        edges = graph.edges[node.index]
        if len(edges) > 1 or (edges and algebra.merges(J) and not _only_moves(algebra.local(node, edges[0][0]))):
            J = algebra.contract(J)
        if node.index in wanted:
            result[node.index] = J
        locals_ = [algebra.local(node, operand) for operand, _ in edges]
        J = algebra.before(J, locals_) if len(edges) > 1 else J
        for local, (_, parent) in zip(locals_, edges, strict=True):
            step = _kept_short(J @ local, algebra, graph.longest_product)
            if eager:
                step = algebra.contract(step)
            arrived.setdefault(parent.index, []).append(step)
    return [result.get(node.index, Jacobian.zero(start.out_shape, node.shape, start.dtype)) for node in graph.wrt]


def _only_moves(local: Jacobian) -> bool:
    """Whether an op only moves entries: then nothing is gained by contracting the terms before it."""
    return len(local.terms) == 1 and not local.terms[0].factors and not local.terms[0].pattern.guards


def _kept_short(J: Jacobian, algebra: Algebra, limit: int) -> Jacobian:
    """A product of very many factors is shortened, so that planning stays linear in the length of a chain."""
    longest = max((len(term.factors) for term in J.terms), default=0)
    if longest >= limit:
        return algebra.contract(J)
    return algebra.shorten(J) if longest and longest % SHORTENED_EVERY == 0 else J


def forward(graph: Paths, algebra: Algebra, *, eager: bool) -> list[Jacobian]:
    """From every input on. Unless eager, what was reached is contracted only where it is used more than once."""
    return [_forward_from(graph, node, algebra, eager=eager) for node in graph.wrt]


def _forward_from(graph: Paths, wrt: Node, algebra: Algebra, *, eager: bool) -> Jacobian:
    reached: dict[int, Jacobian] = {wrt.index: seed(wrt)}
    for node in reversed(graph.nodes):
        if node.index == wrt.index:
            continue
        steps: list[Jacobian] = []
        for operand, parent in graph.edges[node.index]:
            if parent.index not in reached:
                continue
            step = _kept_short(algebra.local(node, operand) @ reached[parent.index], algebra, graph.longest_product)
            steps.append(step)
        if not steps:
            continue
        total = Jacobian.total(steps)
        if total.dtype.kind == "c" and not is_complex(node):
            total = algebra.real_part(total)
        edges = graph.edges[node.index]
        moves = len(edges) == 1 and _only_moves(algebra.local(node, edges[0][0]))
        several = graph.uses.get(node.index, 0) > 1 or (algebra.merges(total) and not moves)
        if eager or (node is not graph.of and several):
            total = algebra.contract(total)
        reached[node.index] = total
    zero = Jacobian.zero(graph.of.shape, wrt.shape, _dtype(graph.of))
    return reached.get(graph.of.index, zero)


def by_segments(graph: Paths, algebra: Algebra) -> list[Jacobian]:
    """Every segment between two nodes that all paths go through by itself, then their product: it is left lazy."""
    *segments, end = graph.segments
    total: Jacobian | None = None
    for segment in segments:
        [J] = reverse(segment, algebra, eager=False)
        if not segment.is_chain:
            J = algebra.contract(J)
        if total is not None:
            J = _kept_short(total @ J, algebra, graph.longest_product)
        total = algebra.contract(J) if len(J.terms) > 1 else J
    return reverse(end, algebra, eager=False, upstream=total)


def accumulate(graph: Paths, algebra: Algebra, order: str) -> list[Jacobian]:
    """The chain rule over the graph in one of the orders; `auto` is the cheapest."""
    refuse_not_holomorphic(graph)
    graph = without_shifts(graph)
    return in_order(graph, algebra, choose(graph) if order == "auto" else order)


def in_order(graph: Paths, algebra: Algebra, chosen: str) -> list[Jacobian]:
    """The chain rule over all of a graph, in an order that is chosen."""
    if chosen == "segments":
        return by_segments(graph, algebra)
    if chosen.startswith("lean"):
        algebra = Lean(algebra)
    run = forward if chosen.endswith("forward") else reverse
    return run(graph, algebra, eager=chosen in ("forward", "reverse"))


def cost(graph: Paths, order: str) -> Cost:
    """What an order would cost, the final contraction included."""
    counting = Counting()
    return _cost(order, counting, accumulate(graph, counting, order))


def _cost(order: str, counting: Counting, found: Sequence[Jacobian]) -> Cost:
    for J in found:
        counting.contract(J)
    return Cost(order, counting.multiplications, counting.nbytes, counting.largest)


def choose(graph: Paths) -> str:
    """The cheapest order: `lazy reverse` and `lazy forward` leave chains to the contraction, which finds a mix."""
    return _settled(graph) or _best(_costs(graph))


def contenders(graph: Paths) -> Sequence[str]:
    """The orders of which one is the quickest, for all that is known from shapes alone: for a program that is kept."""
    least_work = len(graph.nodes) * max((prod(node.shape) for node in graph.nodes), default=0)
    if graph.is_chain or least_work < TINY or graph.is_hard_to_try:
        return (choose(graph),)
    is_long = len(graph.nodes) > MANY_NODES
    costs = [*_costs(graph), *(() if is_long else _lean(graph))]
    fewest, least = min(cost.multiplications for cost in costs), min(cost.nbytes for cost in costs)
    worth = [c.order for c in costs if max(c.multiplications, c.nbytes) <= FAR_TOO_MANY * max(fewest, least)]
    if is_long:
        worth = [order for order in worth if order not in ("forward", "reverse") or order == _best(costs)]
    return worth or (_best(costs),)


def _settled(graph: Paths) -> str | None:
    """The order where none need be tried out; None where they are to be compared."""
    if graph.is_chain:
        return "lazy reverse"
    out, into = prod(graph.of.shape), sum(prod(node.shape) for node in graph.wrt)
    widest = max((prod(node.shape) for node in graph.nodes), default=1)
    if widest * max(out, into) < SMALL or graph.is_hard_to_try:
        return "lazy reverse" if out <= into else "lazy forward"
    return None


def _costs(graph: Paths) -> Sequence[Cost]:
    key = graph.signature
    found = _COSTS.get(key)
    if found is None:
        if len(_COSTS) >= CACHE:
            _COSTS.clear()
        orders = ["lazy reverse", "lazy forward", "reverse", "forward"]
        if len(graph.segments) > 1 and not any(map(is_complex, graph.nodes)):
            orders.append("segments")
        found = _COSTS[key] = [cost(graph, order) for order in orders]
    return found


def _lean(graph: Paths) -> list[Cost]:
    """The orders in which products that only grow are left as they are, if there are any."""
    if any(map(is_complex, graph.nodes)):
        return []
    graph, costs = without_shifts(graph), []
    for run in (reverse, forward):
        counting = Counting()
        lean = Lean(counting)
        found = run(graph, lean, eager=False)
        costs += [_cost(f"lean {run.__name__}", counting, found)] if lean.kept else []
    return costs


def _best(costs: Sequence[Cost]) -> str:
    """The fewest multiplications, then the fewest bytes; where these are much the same, what is named first.

    That is reverse, which sums over last axes: one matrix product, where forward needs one for every sample of a batch.
    """
    fewest = min(cost.multiplications for cost in costs)
    equal = [cost for cost in costs if cost.multiplications == fewest]
    least = min(cost.nbytes for cost in equal)
    return next(cost.order for cost in equal if cost.nbytes <= MUCH_THE_SAME * least)


def compare(graph: Paths) -> str:
    """The orders side by side, the chosen one marked."""
    chosen = choose(graph)
    rows = [cost(graph, order) for order in dict.fromkeys(("forward", "reverse", chosen))]
    return "\n".join(f"{row}{'  <- chosen' if row.order == chosen else ''}" for row in rows)
