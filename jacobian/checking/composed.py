"""Slips in the way rules are put together: sums, products and compositions differentiated as if they were linear.

`f'g'` for a product, `f'/g'` for a quotient, `f(g')` and `f'(g')` for a composition, arguments or functions exchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from typing import Any

import numpy as np

from jacobian.checking import slips
from jacobian.checking.cuts import MAX_SIZE, SUMS, ancestors, at, node_text, say, told
from jacobian.checking.derivation import Changes, Derivation, Edge
from jacobian.checking.revalued import changed
from jacobian.checking.rules import FAILURES, local_at, point_of
from jacobian.checking.slips import Mutation
from jacobian.ops import texts
from jacobian.ops.registry import REGISTRY, Op, Point
from jacobian.tracing.stripped import strip_all

Array = np.ndarray[Any, np.dtype[Any]]

MAX_STARTS, MAX_NODES = 4, 60
"""From so many values on the way the inner derivative is taken, in graphs of up to so many nodes; else by the input."""

MAX_COLUMNS = 4000
"""So many columns are computed at most, of all nodes together."""

EXCHANGED = (("sin", "cos"), ("sinh", "cosh"))
"""Functions that are taken for each other."""


# -- rules of composition that nobody has proved ----------------------------------------------------------------------


def linear_products(D: Derivation) -> Iterator[Mutation]:
    """A product or a quotient of what depends on the input, taken of the derivatives: `f'g'`, `f'/g'`."""
    return _linear(D, lambda operands: operands > 1)


def linear_functions(D: Derivation) -> Iterator[Mutation]:
    """A function of one such operand, taken of its derivative: `f(g')`."""
    return _linear(D, lambda operands: operands == 1)


def _linear(D: Derivation, wanted: Callable[[int], bool]) -> Iterator[Mutation]:
    """An op applied to the derivatives of its operands, as if it were linear."""
    done = 0
    for index in reversed(D.nodes):
        op = D.nodes[index].op
        done += len(D.columns)
        if done > MAX_COLUMNS:
            return
        if op is None or op.name in SUMS or op.family not in ("elementwise", "multilinear"):
            continue
        inner = {edge.operand: D.down[edge.parent] for edge in D.into[index]}
        found = _of_derivatives(D, index, op, inner) if wanted(len(inner)) else None
        if found is not None and not np.array_equal(found, D.down[index]):
            yield Mutation(
                slips.LINEAR, ("linear", index), partial(_linear_sentence, D, index),
                delta=D.up[index] @ (found - D.down[index]), alone=True,
            )  # fmt: skip


def _of_derivatives(D: Derivation, index: int, op: Op, inner: dict[int, Array]) -> Array | None:
    """The node's op, column by column, on the derivatives of what is differentiated; None where nobody takes them.

    The derivative of the input by itself is 1, which nobody puts into a function.
    """
    node = D.nodes[index]
    columns = next(iter(inner.values())).shape[1]
    if columns > MAX_SIZE or (len(inner) == 1 and _copies(*inner.values())):
        return None
    D.count(steps=columns)
    found = np.zeros((prod(node.shape), columns))
    for column in range(columns):
        operands = _operands(D, index, {k: local[:, column] for k, local in inner.items()})
        try:
            value = np.asarray(op.compute(operands, node.params), float)
        except FAILURES:
            return None
        if value.shape != node.shape:
            return None
        if op.family == "elementwise":  # what does not depend on this entry has no derivative to put in
            value = np.where(np.any([np.broadcast_to(operands[k] != 0, value.shape) for k in inner], axis=0), value, 0)
        found[:, column] = value.reshape(-1)
    return found if np.isfinite(found).all() else None


def _copies(local: Array) -> bool:
    return bool(np.all((local == 0) | (local == 1)))


def _operands(D: Derivation, index: int, others: dict[int, Array]) -> list[Any]:
    """The operands of a node, some of them others."""
    operands = [strip_all(operand) for operand in D.nodes[index].operands]
    return [others[k].reshape(np.shape(x)) if k in others else x for k, x in enumerate(operands)]


def _linear_sentence(D: Derivation, index: int) -> str:
    into = D.into[index]
    inner = " and ".join(dict.fromkeys(f"∂{D.name(edge.parent)}/∂{D.wrt.name}" for edge in into))
    op = D.nodes[index].op
    rules = {"multiply": "product rule", "divide": "quotient rule"}
    rule = "chain rule" if len(into) == 1 else rules.get("" if op is None else op.name, "product rule")
    terms = ", ".join(dict.fromkeys(told(D, edge) for edge in into))
    return (
        f"{at(D, index)}it is applied to {inner}, as if it were linear: use the {rule}, with {terms}."
    )  # fmt: skip


def inside(D: Derivation) -> Iterator[Mutation]:
    """The outer derivative at the inner one: `f'(g')` for `f'(g) g'`, and `f'(g') g'`."""
    done, from_start = 0, {D.wrt.index: D.down}
    for edge in reversed(D.edges):
        op = D.nodes[edge.node].op
        if op is None or op.family != "elementwise" or len(D.into[edge.node]) > 1:
            continue
        for start in _starts(D, edge.parent):
            if start not in from_start:
                from_start[start] = D.forward({}, start=start)
            inner = from_start[start][edge.parent]
            done += inner.shape[1]
            if done > MAX_COLUMNS:
                return
            outer = None if _copies(inner) or inner.shape[1] > MAX_SIZE else _at_derivatives(D, edge, op, inner)
            if outer is None:
                continue
            true = D.locals[edge] @ inner
            for slip, found in ((slips.INSIDE, outer), (slips.WRONG_POINT, outer * inner)):
                yield Mutation(
                    slip, ("inside", slip, start, edge), partial(_inside_sentence, D, edge, start, slip),
                    delta=D.up[edge.node] @ (found - true) @ D.down[start], alone=True,
                )  # fmt: skip


def _starts(D: Derivation, index: int) -> list[int]:
    """The input, and the values before a node that are nearest to it."""
    before = sorted(ancestors(D, index) - {index, D.wrt.index}, reverse=True) if len(D.nodes) <= MAX_NODES else []
    return [*([D.wrt.index] if index != D.wrt.index else []), *before[:MAX_STARTS]]


def _at_derivatives(D: Derivation, edge: Edge, op: Op, inner: Array) -> Array | None:
    """The derivative of an elementwise op, column by column, at the derivatives of its operand."""
    node, point = D.nodes[edge.node], point_of(D, edge)
    D.count(steps=inner.shape[1])
    found = np.zeros((prod(node.shape), inner.shape[1]))
    own = np.ravel(point.x[edge.operand])
    for column in range(inner.shape[1]):
        values = np.where(inner[:, column] != 0, inner[:, column], own)
        operands = tuple(_operands(D, edge.node, {edge.operand: values}))
        local = _moved(op, point, operands, edge.operand)
        if local is None or local.shape[0] != local.shape[1]:
            return None
        found[:, column] = np.where(inner[:, column] != 0, np.diag(local), 0.0)
    return found


def _moved(op: Op, point: Point, operands: tuple[Any, ...], operand: int) -> Array | None:
    """The rule where the operands are others; None where it cannot be evaluated."""
    try:
        y = np.asarray(op.compute(operands, point.params))
    except FAILURES:
        return None
    return local_at(op, point._replace(y=y, x=operands), operand)


def _inside_sentence(D: Derivation, edge: Edge, start: int, slip: str) -> str:
    name = D.name(edge.parent)
    inner = f"∂{name}/∂{D.name(start)}"
    if slip == slips.WRONG_POINT:
        return say(D, edge, f"the derivative is taken at the wrong point, at {inner} instead of {name}")()
    outer = f"∂{D.name(edge.node)}/∂{name}"
    return say(D, edge, f"{inner} is put in where {name} belongs, and not multiplied by: take {outer} · {inner}")()


# -- exchanges --------------------------------------------------------------------------------------------------------


def arguments_exchanged(D: Derivation) -> Iterator[Mutation]:
    """The operands of an op each in the other's place, or each with the other's derivative."""
    for index, node in D.nodes.items():
        into = D.into[index]
        if not into or node.op is None or node.op.family != "elementwise" or len(node.operands) != 2:
            continue
        point = point_of(D, into[0])
        if np.shape(point.x[0]) != np.shape(point.x[1]):
            continue
        turned = point.x[::-1]
        for how, operands, other in (("values", turned, False), ("rules", point.x, True), ("both", turned, True)):
            found = {e: _moved(node.op, point, operands, 1 - e.operand if other else e.operand) for e in into}
            changes = {edge: local for edge, local in found.items() if local is not None}
            if len(changes) == len(into) and _changes_something(D, changes):
                yield Mutation(
                    slips.EXCHANGED, ("exchanged", how, index), partial(_exchanged_sentence, D, index, how),
                    changes=changes, alone=True,
                )  # fmt: skip


def _changes_something(D: Derivation, changes: Changes) -> bool:
    return any(not np.array_equal(local, D.locals[edge]) for edge, local in changes.items())


def _exchanged_sentence(D: Derivation, index: int, how: str) -> str:
    one, other = D.nodes[index].operand_names
    told_as = {
        "values": f"{one} and {other} are exchanged, each stands where the other belongs",
        "rules": f"the derivatives by {one} and by {other} are exchanged",
        "both": f"it is differentiated as if its arguments were {other} and {one}, in this order",
    }[how]
    return f"{at(D, index)}{told_as}: exchange them, {', '.join(told(D, edge) for edge in D.into[index])}."


def functions_exchanged(D: Derivation) -> Iterator[Mutation]:
    """Sine and cosine exchanged throughout: in the derivatives alone, and in what they are multiplied with as well."""
    for names in EXCHANGED:
        nodes = [node for node in D.of.trace.nodes if node.op is not None and node.op.name in names]
        others = {node.index: _other_function(names, node.op.name) for node in nodes if node.op is not None}
        own = _own_rules(D, others)
        if not own or len(set(others.values())) < 2:  # of one alone it is a wrong rule
            continue
        first = min(others)
        values = {node.index: _value(others[node.index], strip_all(node.operands[0])) for node in nodes}
        following = changed(D, values) or {}
        for how, changes in (("rules", own), ("values", {**following, **own})):
            yield Mutation(
                slips.FUNCTIONS, ("functions", how, names), partial(_functions_sentence, D, first, names),
                changes=changes, alone=True,
            )  # fmt: skip


def _other_function(names: tuple[str, str], name: str) -> str:
    return names[1 - names.index(name)]


def _value(name: str, x: Any) -> Any:
    return REGISTRY[name].compute((x,), {})


def _own_rules(D: Derivation, others: dict[int, str]) -> Changes:
    """Of every sine and cosine on the way its derivative with the other one in it."""
    found: dict[Edge, Array] = {}
    for index, other in others.items():
        for edge in D.into.get(index, ()):
            op, point = D.nodes[index].op, point_of(D, edge)
            assert op is not None
            text = op.derivative.partition(" = ")[2]
            factor = texts.evaluate(text.replace(other, op.name), x=point.x[0], y=point.y)
            found[edge] = np.diag(np.broadcast_to(factor, np.shape(point.y)).reshape(-1))
    return found


def _functions_sentence(D: Derivation, index: int, names: tuple[str, str]) -> str:
    one, other = names
    terms = ", ".join(dict.fromkeys(told(D, edge) for edge in D.into.get(index, ())))
    return f"At {node_text(D, index)}, and wherever else they stand: {one} and {other} are exchanged" + (
        f": exchange them, {terms}." if terms else ": exchange them."
    )


# -- nothing differentiated -------------------------------------------------------------------------------------------


def not_differentiated(D: Derivation) -> Iterator[Mutation]:
    """The function itself for its derivative: by one number, or entry by entry."""
    value = np.asarray(strip_all(D.of.value), float).reshape(-1)
    by_entry = D.truth.shape == (value.size, value.size) and not np.any(D.truth[~np.eye(value.size, dtype=bool)])
    if not D.is_whole or not (by_entry or D.truth.shape[1] == 1):
        return
    itself = np.diag(value) if by_entry else value.reshape(-1, 1)
    yield Mutation(
        slips.NOT_TAKEN, ("itself",), lambda: f"The claim is {D.of.name} itself: differentiate it.",
        delta=itself - D.truth, alone=True,
    )  # fmt: skip
