"""Another value in the place of one: everything that follows is differentiated there.

Whoever writes `inv(A)` for the derivative of `log(det(A + B))` has differentiated at A throughout, and whoever leaves
out the scale of `g * x / norm(x)` has left it out everywhere. So the forward is computed again from one place on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np

from jacobian.checking import slips
from jacobian.checking.cuts import PRODUCTS, at, has_windows, say, told
from jacobian.checking.derivation import Changes, Derivation, Edge, matrix
from jacobian.checking.proportions import is_nice, ratio
from jacobian.checking.rules import FAILURES
from jacobian.checking.slips import Mutation
from jacobian.kernel.notation import at as at_places
from jacobian.tracing.graph import Node
from jacobian.tracing.stripped import strip_all

Array = np.ndarray[Any, np.dtype[Any]]

MAX_NODES, MAX_VALUES, MAX_WORK = 40, 6, 400
"""So many nodes the graph may have; so many values are tried in the place of one; so many forwards are computed."""

_SIGNS = {"add": ("+", "-"), "subtract": ("-", "+")}
"""Of an op its own sign, and the other one."""

MATRIX_PRODUCTS = PRODUCTS - {"multiply", "divide", "power"}


def revalued(D: Derivation) -> Iterator[Mutation]:
    """Every value replaced by others of its shape, and by 1, in everything that follows."""
    nodes = D.of.trace.nodes
    if len(nodes) > MAX_NODES:
        return
    users = {node.index: [other for other in nodes if _uses(other, node)] for node in nodes}
    done = 0
    for node in reversed(nodes):
        if node is D.of or not users[node.index]:
            continue
        for name, value in _values(D, node, users[node.index]):
            changes = changed(D, {node.index: value})
            done += 1
            if changes:
                yield _mutation(D, node, name, changes)
            if done > MAX_WORK:
                return


def signs_turned(D: Derivation) -> Iterator[Mutation]:
    """A sum for a difference, or the other way round, in everything that follows."""
    nodes = D.of.trace.nodes
    if len(nodes) > MAX_NODES:
        return
    for node in nodes:
        kind = "" if node.op is None else node.op.name
        if kind not in _SIGNS or node is D.of:
            continue
        left, right = (np.asarray(strip_all(operand)) for operand in node.operands)
        value = left - right if kind == "add" else left + right
        changes = None if is_multiple(value, np.asarray(strip_all(node.value))) else changed(D, {node.index: value})
        if changes:
            one, other = node.operand_names
            own, turned = (f"{one} {sign} {other}" for sign in _SIGNS[kind])
            text = f"{turned} stands where {own} belongs, here and in what follows: the sign is the wrong one"
            yield Mutation(slips.SIGN, ("sign turned", node.index), say(D, _first(changes), text), changes=changes)


def inputs_turned(D: Derivation) -> Iterator[Mutation]:
    """A square input for its transpose throughout, or two of them each in the other's place.

    Products that do not depend on what is differentiated by are no links of the chain, but they are slipped in as well.
    """
    inputs = [node for node in D.of.trace.nodes if node.op is None and node is not D.wrt and _is_square(node)]
    for node in inputs[:MAX_VALUES]:
        value = np.asarray(strip_all(node.value))
        turned = np.swapaxes(value, -1, -2)
        changes = None if np.array_equal(value, turned) else changed(D, {node.index: turned})
        if changes:
            text = f"{node.name} stands where its transpose belongs (W instead of Wᵀ): exchange its two labels"
            yield Mutation(slips.TRANSPOSE, ("turned", node.index), say(D, _first(changes), text), changes=changes)
    for one, other in combinations(inputs[:MAX_VALUES], 2):
        if one.shape != other.shape:
            continue
        changes = changed(D, {one.index: strip_all(other.value), other.index: strip_all(one.value)})
        if changes:
            text = f"{one.name} and {other.name} are multiplied in the wrong order, each where the other belongs"
            yield Mutation(
                slips.LINK_ORDER, ("exchanged", one.index, other.index), say(D, _first(changes), text), changes=changes
            )


def _is_square(node: Node) -> bool:
    return len(node.shape) >= 2 and node.shape[-1] == node.shape[-2] > 1


def _first(changes: Changes) -> Edge:
    """The first place at which something changes."""
    return min(changes, key=lambda edge: edge.node)


def _uses(node: Node, other: Node) -> bool:
    return any(parent is other for _, parent in node.parents)


def _values(D: Derivation, node: Node, users: list[Node]) -> Iterator[tuple[str, Array]]:
    """What may stand in a node's place: ones in a product, the identity in a matrix product, its neighbours."""
    shape, own = node.shape, np.asarray(strip_all(node.value))
    if own.dtype.kind != "f":
        return
    ops = {user.op.name for user in users if user.op is not None}
    if ops & PRODUCTS and not np.all(own == 1):
        yield "1", np.ones(shape)
    if ops & MATRIX_PRODUCTS and len(shape) >= 2 and shape[-1] == shape[-2] > 1:
        yield "the identity", np.broadcast_to(np.eye(shape[-1]), shape).copy()
    seen = [own]
    nodes = D.of.trace.nodes
    for other in sorted(nodes, key=lambda other: (abs(other.index - node.index), other.index)):
        if len(seen) > MAX_VALUES:
            return
        value = strip_all(other.value)
        fits = (isinstance(value, np.ndarray) or (_is_entry(node) and _is_entry(other))) and np.shape(value) == shape
        fits = fits and other is not D.of
        if fits and not is_multiple(value, own) and not any(np.array_equal(value, known) for known in seen):
            seen.append(value)
            yield _called(other), value


def _is_entry(node: Node) -> bool:
    """Whether a node is one entry of another, as `u[0]` is."""
    return node.op is not None and node.op.name == "getitem" and node.shape == ()


def _called(node: Node) -> str:
    """What a node is called; an entry that has no name of its own as it is written, `u[0]`."""
    if not _is_entry(node) or not re.fullmatch(rf"{node.trace.naming.letter}\d+'*", node.name):
        return node.name
    key = node.params["key"]
    return at_places(node.operand_names[0], key if isinstance(key, tuple) else (key,))


def is_multiple(value: Array, own: Array) -> bool:
    """Whether one value is a plain number times another: a constant is another slip."""
    c = ratio(value, own)
    return c is not None and is_nice(c)


def changed(D: Derivation, others: Mapping[int, Any]) -> Changes | None:
    """The local Jacobians of all that follows some nodes, were their values others."""
    values = dict(others)
    changes: dict[Edge, Array] = {}
    for later in D.of.trace.nodes[min(others) + 1 : D.of.index + 1]:
        if later.op is None or not any(parent.index in values for _, parent in later.parents):
            continue
        try:
            point = _moved(later, values)
            values[later.index] = point.y
            for edge in D.into.get(later.index, ()):
                local = matrix(later.op.local(point, edge.operand))
                if local.shape != D.locals[edge].shape or not np.isfinite(local).all():
                    return None
                if not np.array_equal(local, D.locals[edge]):
                    changes[edge] = local
        except FAILURES:
            return None
    return changes


def _moved(node: Node, values: Mapping[int, Any]) -> Any:
    """What a node's rule is evaluated at where some operands have other values."""
    operands = [strip_all(operand) for operand in node.operands]
    for position, parent in node.parents:
        operands[position] = values.get(parent.index, operands[position])
    assert node.op is not None
    y = np.asarray(node.op.compute(operands, node.params))
    return node.point._replace(y=y, x=tuple(operands))


def _mutation(D: Derivation, node: Node, name: str, changes: Changes) -> Mutation:
    edge = _first(changes)
    if name in ("1", "the identity"):
        slip = slips.FACTOR_OUT
        text = f"the factor {node.name} is left out here and in what follows, as if it were {name}: put it back"
    else:
        slip = slips.WRONG_POINT
        text = f"{name} stands where {_called(node)} belongs, here and in what follows: the point is the wrong one"
    return Mutation(slip, ("revalued", node.index, name), say(D, edge, text), changes=changes)


def transposed_on_the_way(D: Derivation) -> Iterator[Mutation]:
    """What arrives at a square node is taken for its transpose: `dS` where `dSᵀ` belongs."""
    for index, node in D.nodes.items():
        shape = node.shape
        if len(shape) < 2 or shape[-1] != shape[-2] or shape[-1] < 2 or node in (D.of, D.wrt):
            continue
        order = np.swapaxes(np.arange(int(np.prod(shape))).reshape(shape), -1, -2).reshape(-1)
        delta = (D.up[index][:, order] - D.up[index]) @ D.down[index]

        def sentence(index: int = index) -> str:
            name, of, wrt = D.name(index), D.of.name, D.wrt.name
            return (
                f"{at(D, index)}what arrives, ∂{of}/∂{name}, is taken for its transpose on the way to {wrt}: exchange "
                f"the two labels of {name}."
            )

        yield Mutation(slips.TRANSPOSE, ("on the way", index), sentence, delta=delta)


def reversed_on_the_way(D: Derivation) -> Iterator[Mutation]:
    """What arrives at a convolution read backwards."""
    for index, node in D.nodes.items():
        into = D.into[index]
        if not any(has_windows(node.local(edge.operand)) for edge in into):
            continue
        axes = tuple(range(len(node.shape)))[2:] if len(node.shape) > 2 else tuple(range(len(node.shape)))
        order = np.flip(np.arange(int(np.prod(node.shape, dtype=int))).reshape(node.shape), axes).reshape(-1)
        through = sum(D.locals[edge] @ D.down[edge.parent] for edge in into)

        def sentence(index: int = index) -> str:
            return (
                f"{at(D, index)}what arrives, ∂{D.of.name}/∂{D.name(index)}, is read backwards: convolution and "
                f"correlation are exchanged, turn it, {told(D, D.into[index][0])}."
            )

        delta = (D.up[index][:, order] - D.up[index]) @ through
        yield Mutation(slips.FLIPPED, ("backwards", index), sentence, delta=delta)
