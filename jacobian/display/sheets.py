"""What the pictures of a trace and of backpropagation consist of: cards for nodes, wires for local Jacobians."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from jacobian.backpropagation import Backpropagation, Step
from jacobian.chain import Trace
from jacobian.display.drawing import Card, Sheet, Wire
from jacobian.display.words import shape_text, sides, value_text
from jacobian.errors import JacobianError
from jacobian.kernel.expression import Jacobian
from jacobian.tracing.graph import Node
from jacobian.tracing.tree import leaves

MOST_NAMED = 12  # nodes that a sentence names


@contextmanager
def quiet() -> Iterator[None]:
    """Looking at something warns of nothing: whoever differentiates is warned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def local_of(node: Node, operand: int) -> Jacobian | None:
    """The local Jacobian; None where there is none, as of a real part of something complex."""
    try:
        return node.local(operand)
    except JacobianError:
        return None


def made(node: Node) -> str:
    """The node as it was computed: `v3 = tanh(v2)`; an input by its name.

    >>> import jacobian as jac
    >>> made(jac.trace(lambda x: 2 * x, 1.0).nodes[-1])
    'y = multiply(2, x)'
    """
    return node.name if node.op is None else f"{node.name} = {node.op.name}({', '.join(node.operand_names)})"


def dtype_of(node: Node) -> str:
    """The type of the numbers."""
    return str(getattr(node.value, "dtype", type(node.value).__name__))


def of_trace(trace: Trace) -> Sheet:
    """A card for every node: what it is, its shape, its values; at every wire the local Jacobian."""
    outputs = {node.index for node in leaves(trace.output) if isinstance(node, Node)}
    cards = tuple(
        Card(_kind(node, outputs), (made(node), f"{shape_text(node.shape)} {dtype_of(node)}", value_text(node.value)))
        for node in trace.nodes
    )
    found = [
        Wire(parent.index, node.index, _local_lines(local_of(node, operand)))
        for node in trace.nodes
        for operand, parent in node.parents
    ]
    return Sheet(cards, _merged(found), sentence(trace.nodes))


def of_backpropagation(found: Backpropagation) -> Sheet:
    """The same with what flows back: the upstream on every card, local and downstream at every wire."""
    steps = sorted(found.steps, key=lambda step: step.node.index)
    place = {step.node.index: k for k, step in enumerate(steps)}
    last = {found.steps[0].node.index}
    cards = tuple(
        Card(
            _kind(step.node, last),
            (
                made(step.node),
                f"{shape_text(step.node.shape)}  {value_text(step.node.value)}",
                f"upstream {sides(step.upstream)}",
                str(step.upstream.structure),
            ),
        )
        for step in steps
    )
    wires = [
        Wire(
            place[parent.index],
            place[step.node.index],
            (*_local_lines(step.local[key], "local"), f"downstream {sides(step.downstream[key])}"),
        )
        for step in steps
        for key, parent in handed_on(step)
    ]
    return Sheet(cards, _merged(wires), f"Backpropagation, arrows pointing back. {sentence(found.nodes)}", True)


def handed_on(step: Step) -> Iterator[tuple[str, Node]]:
    """The names of a step's local Jacobians and the node that each leads back to."""
    for operand, parent in step.node.parents:
        if (key := f"{parent.name} (operand {operand})") in step.local or (key := parent.name) in step.local:
            yield key, parent


def sentence(nodes: Sequence[Node]) -> str:
    """The graph for those who do not see it."""
    inputs = [node.name for node in nodes if node.op is None]
    ops = [made(node) for node in nodes if node.op is not None]
    count = f"{len(nodes)} node{'' if len(nodes) == 1 else 's'}"
    more = f" and {len(ops) - MOST_NAMED} more" if len(ops) > MOST_NAMED else ""
    then = f", then {'; '.join(ops[:MOST_NAMED])}{more}" if ops else ""
    return f"Graph of {count}: {_listed(inputs)}{then}"


def _listed(inputs: Sequence[str]) -> str:
    more = f" and {len(inputs) - MOST_NAMED} more" if len(inputs) > MOST_NAMED else ""
    return f"input{'' if len(inputs) == 1 else 's'} {', '.join(inputs[:MOST_NAMED]) or 'none'}{more}"


def _kind(node: Node, outputs: set[int]) -> str:
    return "output" if node.index in outputs else "input" if node.op is None else "op"


def _local_lines(J: Jacobian | None, called: str = "∂") -> tuple[str, ...]:
    return ("no derivative",) if J is None else (f"{called} {sides(J)}", str(J.structure))


def _merged(wires: Iterable[Wire]) -> tuple[Wire, ...]:
    """One wire between two cards, however many operands it stands for."""
    groups: dict[tuple[int, int], list[Wire]] = {}
    for wire in wires:
        groups.setdefault((wire.start, wire.stop), []).append(wire)
    return tuple(
        first._replace(lines=(*first.lines, f"and as {len(rest)} more operand{'' if len(rest) == 1 else 's'}"))
        if rest else first
        for first, *rest in groups.values()
    )  # fmt: skip
