"""Links in the wrong order: neighbours of a chain, links with others between them, matrices of two products."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from jacobian.checking import slips
from jacobian.checking.cuts import MAX_SIZE, ancestors, node_text
from jacobian.checking.derivation import Derivation, Edge
from jacobian.checking.rules import is_square, local_at, point_of
from jacobian.checking.slips import Mutation
from jacobian.tracing.stripped import strip_all

Array = np.ndarray[Any, np.dtype[Any]]

MAX_EXCHANGES, MAX_PAIRS = 100, 24
"""So many pairs of links, and of matrices, are tried."""


def links_exchanged(D: Derivation) -> Iterator[Mutation]:
    """Two neighbours of a chain in the other order, where their shapes allow it."""
    for first in D.edges:
        for second in D.uses[first.node]:
            outer, inner = D.locals[second], D.locals[first]
            if not _exchangeable(D, first, second):
                continue
            delta = D.up[second.node] @ (inner @ outer - outer @ inner) @ D.down[first.parent]

            def sentence(first: Edge = first, second: Edge = second) -> str:
                return (
                    f"The links {node_text(D, second.node)} and {node_text(D, first.node)} are multiplied in the wrong "
                    f"order: ∂{D.name(second.node)}/∂{D.name(first.node)} stands on the left of "
                    f"∂{D.name(first.node)}/∂{D.name(first.parent)}."
                )

            yield Mutation(slips.LINK_ORDER, ("order", first, second), sentence, delta=delta, kin=("order",))


def _exchangeable(D: Derivation, first: Edge, second: Edge) -> bool:
    """Whether two links can be confused: square, of one size, and neither a mere move of entries."""
    outer, inner = D.locals[second], D.locals[first]
    if outer.shape != inner.shape or outer.shape[0] != outer.shape[1] or not 2 <= len(outer) <= MAX_SIZE:
        return False
    return not (_moves_only(D, first) or _moves_only(D, second))


def _moves_only(D: Derivation, edge: Edge) -> bool:
    """Whether a link only moves entries, or hands them on, as transposing and adding do."""
    op, local = D.nodes[edge.node].op, D.locals[edge]
    return (op is not None and op.family == "layout") or np.array_equal(np.abs(local), np.eye(len(local)))


def distant_links_exchanged(D: Derivation) -> Iterator[Mutation]:
    """Two links of a chain with others between them, each in the other's place; and a chain from back to front."""
    above = {index: ancestors(D, index) for index in D.nodes}
    pairs = [
        (first, second) for first in D.edges for second in D.edges
        if second.parent != first.node and first.node in above[second.parent] and _exchangeable(D, first, second)
        and not np.array_equal(D.locals[first], D.locals[second])
    ]  # fmt: skip
    for first, second in sorted(pairs, key=lambda pair: pair[1].node - pair[0].node)[:MAX_EXCHANGES]:
        yield Mutation(
            slips.LINK_ORDER, ("order", first, second), partial(_exchanged_sentence, D, first, second),
            changes={first: D.locals[second], second: D.locals[first]},
        )  # fmt: skip
    links = [D.locals[edge] for edge in D.edges]
    is_chain = all(len(edges) <= 1 for edges in D.into.values()) and len({link.shape for link in links}) == 1
    if is_chain and D.is_whole and len(links) > 2 and links[0].shape[0] == links[0].shape[1] <= MAX_SIZE:
        yield Mutation(
            slips.LINK_ORDER, ("backwards",), partial(_backwards_sentence, D),
            delta=np.linalg.multi_dot(links) - D.truth,
        )  # fmt: skip


def _exchanged_sentence(D: Derivation, first: Edge, second: Edge) -> str:
    outer, inner = (f"∂{D.name(e.node)}/∂{D.name(e.parent)}" for e in (second, first))
    return (
        f"The links {node_text(D, second.node)} and {node_text(D, first.node)} are multiplied in the wrong order: "
        f"{outer} belongs on the left, {inner} on the right."
    )


def _backwards_sentence(D: Derivation) -> str:
    factors = " ".join(f"∂{D.name(e.node)}/∂{D.name(e.parent)}" for e in reversed(D.edges))
    return f"All links are multiplied in the wrong order, from back to front: it is {factors}."


def operands_exchanged(D: Derivation) -> Iterator[Mutation]:
    """Two matrices of two products, each where the other belongs: `W1 G W2` for `W2 G W1`."""
    found = [edge for edge in D.edges if _other_matrix(D, edge) is not None]
    for one, other in list(combinations(found, 2))[:MAX_PAIRS]:
        first, second = _other_matrix(D, one), _other_matrix(D, other)
        assert first is not None
        assert second is not None
        if one.node == other.node or first[1].shape != second[1].shape:
            continue
        if any(np.array_equal(first[1], same) for same in (second[1], np.swapaxes(second[1], -1, -2))):
            continue
        changes: dict[Edge, Array] = {}
        for edge, (_, value) in ((one, second), (other, first)):
            op, point = D.nodes[edge.node].op, point_of(D, edge)
            assert op is not None
            place = 1 - edge.operand
            local = local_at(op, point._replace(x=(*point.x[:place], value, *point.x[place + 1 :])), edge.operand)
            if local is not None:
                changes[edge] = local
        if len(changes) == 2:
            yield Mutation(
                slips.LINK_ORDER, ("operands", one, other),
                partial(_operands_sentence, D, one, other, first[0], second[0]), changes=changes,
            )  # fmt: skip


def _other_matrix(D: Derivation, edge: Edge) -> tuple[str, Array] | None:
    """The square matrix that an edge's node multiplies by, and what it is called."""
    node = D.nodes[edge.node]
    if node.op is None or node.op.name not in ("matmul", "dot") or len(node.operands) != 2:
        return None
    value = strip_all(node.operands[1 - edge.operand])
    return (node.operand_names[1 - edge.operand], value) if is_square(value) else None


def _operands_sentence(D: Derivation, one: Edge, other: Edge, first: str, second: str) -> str:
    return (
        f"{first} and {second} are multiplied in the wrong order, each where the other belongs: {first} at "
        f"{node_text(D, one.node)}, {second} at {node_text(D, other.node)}; exchange them."
    )
