"""Any graph as a chain: its links lie between the nodes that every path passes; and what its orders cost."""

from __future__ import annotations

from html import escape
from itertools import pairwise

from jacobian import plan
from jacobian.chain import Trace
from jacobian.display.chain_page import link_table, order_table, product_tables
from jacobian.display.orders import orders
from jacobian.display.sheets import made
from jacobian.display.tables import Head, Html, table
from jacobian.kernel.memory import human
from jacobian.tracing.graph import Node

MOST_OPS = 6  # of a link that are named
MOST_SIMULATED = 60  # nodes of a graph of which every order is tried on shapes


def chain_section(trace: Trace, wrt: Node) -> str:
    """The links from the output back to one input, the orders of multiplying them, and those of the whole graph."""
    outputs = [of for of in (trace.output,) if isinstance(of, Node)]
    if not outputs:
        return '<p class="note">The function gives more than one array, or one that depends on no input.</p>'
    (of,) = outputs
    heading = f"<h3>{escape(f'∂{of.name}/∂{wrt.name}')}</h3>"
    graph = plan.paths(of, [wrt])
    passed = passed_by_all(graph)
    if passed[-1] is not wrt:
        return (
            f'{heading}<p class="note">{escape(of.name)} does not depend on {escape(wrt.name)}: the Jacobian is 0.</p>'
        )
    if of is wrt:
        return f'{heading}<p class="note">The output is the input itself: the Jacobian is a δ.</p>'
    return f'{heading}<div class="wide">{_links(trace, graph, passed)}{_whole(graph)}</div>'


def passed_by_all(graph: plan.Paths) -> list[Node]:
    """The nodes on every path, output first: while walking back, nothing else is waiting when one is reached."""
    found, waiting = [], {graph.of.index: graph.of}
    while waiting:
        node = waiting.pop(max(waiting))
        if not waiting:
            found.append(node)
        waiting.update((parent.index, parent) for _, parent in graph.edges.get(node.index, ()))
    return found


def _links(trace: Trace, graph: plan.Paths, passed: list[Node]) -> str:
    pairs = list(pairwise(passed))
    locals_ = [trace.jacobian(after, before) for after, before in pairs]
    names = [_name(graph, after, before) for after, before in pairs]
    title = f"{len(pairs)} link{'s' if len(pairs) > 1 else ''} between the nodes that every path passes"
    shown = link_table(title, names, locals_)
    if len(pairs) == 1:
        return shown
    found = orders(locals_)
    return shown + order_table(found) + product_tables(found)


def _name(graph: plan.Paths, after: Node, before: Node) -> tuple[str, str]:
    """A link and the ops in it, if there are several."""
    inside = [node for node in graph.nodes if before.index < node.index <= after.index and node.op is not None]
    ops = [node.op.name for node in reversed(inside) if node.op is not None]
    if len(ops) == 1:
        return made(after), ""
    more = [f"{len(ops) - MOST_OPS} more"] if len(ops) > MOST_OPS else []
    return f"{after.name} from {before.name}", ", ".join([*ops[:MOST_OPS], *more])


def _whole(graph: plan.Paths) -> Html:
    """Where several paths meet: what eliminating all nodes costs, in each order."""
    if graph.is_chain or len(graph.nodes) > MOST_SIMULATED:
        return Html("")
    chosen = plan.choose(graph)
    costs = [plan.cost(graph, order) for order in dict.fromkeys(("forward", "reverse", chosen))]
    rows = [
        (
            Head(f"{cost.order}{', chosen' if cost.order == chosen else ''}"),
            f"{cost.multiplications:,}", human(cost.nbytes), human(cost.largest),
        )
        for cost in costs
    ]  # fmt: skip
    head = ("order", "multiplications", "bytes made", "largest array")
    return table("What eliminating every node of the graph costs, several paths and all", head, rows)
