"""Slips in one local Jacobian: a factor left out or used twice, the wrong point, a transpose, a constant."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import numpy as np

from jacobian.checking import slips
from jacobian.checking.cuts import MAX_SIZE, at, told
from jacobian.checking.derivation import Derivation, Edge, matrix
from jacobian.checking.slips import Mutation
from jacobian.errors import JacobianError
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.notation import factor_text, letters_of
from jacobian.kernel.term import Factor, Operator, Term
from jacobian.ops import texts
from jacobian.ops.registry import Op, Point
from jacobian.tracing.tracer import strip_all

Array = np.ndarray[Any, np.dtype[Any]]

MAX_CANDIDATES = 24
_FAILURES = (JacobianError, ArithmeticError, ValueError, TypeError, IndexError, np.linalg.LinAlgError)


def _mutation(
    D: Derivation, slip: str, edge: Edge, detail: Hashable, local: Array, sentence: Callable[[], str]
) -> Mutation:
    op = D.nodes[edge.node].op
    name = "" if op is None else op.name
    return Mutation(slip, (detail, edge), sentence, changes={edge: local}, kin=(slip, name, edge.operand, detail))


def _local(op: Op, point: Point, operand: int) -> Array | None:
    """The rule at another point; None where it cannot be evaluated."""
    try:
        found = matrix(op.local(point, operand))
    except _FAILURES:
        return None
    return found if np.isfinite(found).all() else None


def _point(D: Derivation, edge: Edge) -> Point:
    point = D.nodes[edge.node].point
    return point._replace(y=strip_all(point.y), x=tuple(strip_all(x) for x in point.x))


# -- constants --------------------------------------------------------------------------------------------------------


def constants(D: Derivation, edge: Edge) -> Iterator[Mutation]:
    """A number of one node left out or used twice: the 1/n of a mean, a coefficient, the 2 of a square."""
    node = D.nodes[edge.node]
    local, name = D.locals[edge], node.op.name if node.op else ""
    if name == "mean":
        count = float(np.size(D.nodes[edge.parent].value)) / max(float(np.size(node.value)), 1.0)
        yield from _scaled(D, edge, count, f"1/{count:g}", slips.MEAN_OUT, slips.MEAN_TWICE)
    numbers = [
        x for k, x in enumerate(node.operands) if k != edge.operand and np.ndim(x) == 0 and isinstance(x, int | float)
    ]
    for number in numbers:
        if number in (0, 1, -1):
            continue
        if name in ("multiply", "divide"):
            count = 1 / number if name == "multiply" else number
            out, twice = _mean_or_constant(D, edge, count)
            yield from _scaled(D, edge, count, f"{number:g}" if name == "multiply" else f"1/{number:g}", out, twice)
        elif name == "power":
            yield from _scaled(D, edge, 1 / number, f"{number:g}", slips.CONSTANT, slips.CONSTANT)
            power = local * np.reshape(np.broadcast_to(strip_all(node.operands[0]), node.shape), (-1, 1))
            yield _mutation(
                D, slips.POWER, edge, "power", power,
                lambda: f"{at(D, edge.node)}the exponent does not go down by 1: {told(D, edge)}.",
            )  # fmt: skip
    if name == "square":
        yield from _scaled(D, edge, 0.5, "2", slips.CONSTANT, slips.CONSTANT)
    if name == "sqrt":
        yield from _scaled(D, edge, 2.0, "1/2", slips.CONSTANT, slips.CONSTANT)


def _mean_or_constant(D: Derivation, edge: Edge, count: float) -> tuple[str, str]:
    """Whether a number is the 1/n of a mean that is written out: n is the length of what was summed just before."""
    summed = D.nodes[edge.parent]
    lengths: set[float] = set()
    if summed.op is not None and summed.op.name == "sum":
        lengths = {np.size(summed.operands[0]) / max(np.size(summed.value), 1)}
    elif summed.op is not None and summed.op.name in ("matmul", "dot"):
        lengths = {float(np.shape(summed.operands[0])[-1])}
    is_mean = count > 1 and any(abs(count - length) < 1e-9 for length in lengths)
    return (slips.MEAN_OUT, slips.MEAN_TWICE) if is_mean else (slips.CONSTANT, slips.CONSTANT)


def _scaled(D: Derivation, edge: Edge, by: float, text: str, out: str, twice: str) -> Iterator[Mutation]:
    local = D.locals[edge]
    yield _mutation(
        D, out, edge, ("scale", out, "out"), local * by,
        lambda: f"{at(D, edge.node)}the factor {text} is left out: multiply by it, {told(D, edge)}.",
    )  # fmt: skip
    yield _mutation(
        D, twice, edge, ("scale", twice, "twice"), local / by,
        lambda: f"{at(D, edge.node)}the factor {text} is applied twice: once is enough, {told(D, edge)}.",
    )  # fmt: skip


# -- factors ----------------------------------------------------------------------------------------------------------


def factors(D: Derivation, edge: Edge) -> Iterator[Mutation]:
    """Each array in the terms of a local Jacobian left out, used twice, or transposed."""
    J = D.nodes[edge.node].local(edge.operand)
    for nth, term in enumerate(J.terms):
        for place, factor in enumerate(term.factors):
            array = strip_all(factor.array)
            if isinstance(array, Operator) or not isinstance(array, np.ndarray):
                continue
            text = factor_text(factor.text, term.pattern.factors[place].forms, letters_of(term), place + 1)
            for slip, other, told_as in (
                (slips.FACTOR_OUT, np.ones_like(array), "is left out: multiply by it"),
                (slips.FACTOR_TWICE, array * array, "is used twice: once is enough"),
            ):
                local = matrix(_with(J, nth, place, other))
                yield _mutation(
                    D, slip, edge, (slip, nth, place), local,
                    lambda text=text, told_as=told_as: f"{at(D, edge.node)}the factor {text} {told_as}, {told(D, edge)}.",
                )  # fmt: skip
    local = D.locals[edge]
    if local.shape[0] == local.shape[1] and 1 < len(local) <= MAX_SIZE and J.structure not in ("diagonal", "identity"):
        yield _mutation(
            D, slips.FACTOR_TWICE, edge, "twice", local @ local,
            lambda: f"{at(D, edge.node)}the link is multiplied in twice: once is enough, {told(D, edge)}.",
        )  # fmt: skip


def _with(J: Jacobian, nth: int, place: int, array: Array) -> Jacobian:
    """A Jacobian with one factor of one term exchanged."""
    terms = list(J.terms)
    found = list(terms[nth].factors)
    found[place] = Factor(array, found[place].label)
    terms[nth] = terms[nth].with_factors(tuple(found))
    return Jacobian(terms, J.out_shape, J.in_shape, J.dtype, J.names)


def transposes(D: Derivation, edge: Edge) -> Iterator[Mutation]:
    """A square matrix where its transpose belongs, a product from the other side, a kernel the wrong way round."""
    node = D.nodes[edge.node]
    J, point = node.local(edge.operand), _point(D, edge)
    assert node.op is not None
    for nth, term in enumerate(J.terms):
        square = [k for k, f in enumerate(term.factors) if _is_square(strip_all(f.array))]
        for places in [[k] for k in square] + ([square] if len(square) > 1 else []):
            turned = J
            for place in places:
                turned = _with(turned, nth, place, np.swapaxes(strip_all(term.factors[place].array), -1, -2))
            names = " and ".join(dict.fromkeys(_bare(term, place) for place in places))
            yield _mutation(
                D, slips.TRANSPOSE, edge, ("transpose", nth, tuple(places)), matrix(turned),
                lambda names=names: f"{at(D, edge.node)}{names} stands where its transpose belongs (W instead of Wᵀ): "
                f"exchange its two labels, {told(D, edge)}.",
            )  # fmt: skip
    if (
        node.op.name in ("matmul", "dot")
        and len(point.x) == 2
        and np.shape(point.x[0]) == np.shape(point.x[1])
        and np.ndim(point.x[0]) >= 2
    ):
        swapped = point._replace(x=point.x[::-1], names=point.names[::-1])
        local = _local(node.op, swapped, 1 - edge.operand)
        if local is not None:
            other = point.names[1 - edge.operand]
            yield _mutation(
                D, slips.LINK_ORDER, edge, "side", local,
                lambda: f"{at(D, edge.node)}{other} stands on the wrong side: matrices do not commute, {told(D, edge)}.",
            )  # fmt: skip
    local = D.locals[edge]
    if local.shape[0] == local.shape[1] and not np.array_equal(local, local.T):
        yield _mutation(
            D, slips.AXES, edge, "whole", local.T,
            lambda: f"{at(D, edge.node)}output and input are exchanged (transposed): {told(D, edge)}.",
        )  # fmt: skip
    yield from _flipped(D, edge, J)


def _flipped(D: Derivation, edge: Edge, J: Jacobian) -> Iterator[Mutation]:
    windows = any(not form.is_plain for t in J.terms for form in (*t.pattern.out, *t.pattern.into))
    for nth, term in enumerate(J.terms):
        for place, factor in enumerate(term.factors):
            array = strip_all(factor.array)
            if not isinstance(array, np.ndarray) or array.ndim == 0 or not (windows or array.ndim == 1):
                continue
            axes = tuple(range(max(array.ndim - 2, 0), array.ndim))
            yield _mutation(
                D, slips.FLIPPED, edge, ("flip", nth, place), matrix(_with(J, nth, place, np.flip(array, axes))),
                lambda term=term, place=place: f"{at(D, edge.node)}{_bare(term, place)} is read backwards: convolution and "
                f"correlation are exchanged, {told(D, edge)}.",
            )  # fmt: skip


def _is_square(array: Any) -> bool:
    return isinstance(array, np.ndarray) and array.ndim >= 2 and array.shape[-1] == array.shape[-2] > 1


def _bare(term: Term, place: int) -> str:
    return re.sub(r"\[@.*", "", term.factors[place].text) or f"factor {place + 1}"


# -- the point --------------------------------------------------------------------------------------------------------


def wrong_points(D: Derivation, edge: Edge) -> Iterator[Mutation]:
    """The derivative taken at another value of the same shape: at y instead of x, before instead of after the activation."""
    node = D.nodes[edge.node]
    op, point = node.op, _point(D, edge)
    assert op is not None
    if op.family == "elementwise" and len(node.parents) == 1:
        yield from _elementwise_points(D, edge, op, point)
    yield from _factor_points(D, edge)
    for position, x in enumerate(point.x):
        if position == edge.operand or not isinstance(x, np.ndarray) or x.ndim == 0:
            continue
        for name, value in _candidates(D, edge, x, point.names[position]):
            replaced = (*point.x[:position], value, *point.x[position + 1 :])
            local = _local(op, point._replace(x=replaced), edge.operand)
            if local is not None:
                yield _mutation(
                    D, slips.WRONG_POINT, edge, ("operand", position, name), local,
                    lambda name=name, position=position: f"{at(D, edge.node)}{name} stands where {point.names[position]} "
                    f"belongs: the derivative is taken at the wrong point, {told(D, edge)}.",
                )  # fmt: skip


def _factor_points(D: Derivation, edge: Edge) -> Iterator[Mutation]:
    """Where a rule reads one array, such as the inverse, another of the same shape, such as the matrix itself."""
    J = D.nodes[edge.node].local(edge.operand)
    arrays = {id(factor.array): factor for term in J.terms for factor in term.factors}
    for key, factor in arrays.items():
        array = strip_all(factor.array)
        if not isinstance(array, np.ndarray) or array.ndim < 2:
            continue
        own = re.sub(r"\[@.*", "", factor.text)
        for name, value in _candidates(D, edge, array, own):
            turned = J
            for nth, term in enumerate(J.terms):
                for place, other in enumerate(term.factors):
                    if id(other.array) == key:
                        turned = _with(turned, nth, place, value)
            yield _mutation(
                D, slips.WRONG_POINT, edge, ("factor", own, name), matrix(turned),
                lambda own=own, name=name: f"{at(D, edge.node)}{name} stands where {own} belongs, {told(D, edge)}.",
            )  # fmt: skip


def _elementwise_points(D: Derivation, edge: Edge, op: Op, point: Point) -> Iterator[Mutation]:
    k = edge.operand
    x, y = point.x[k], point.y

    def told_as(name: str) -> Callable[[], str]:
        return lambda: (
            f"{at(D, edge.node)}the derivative is taken at {name} instead of {point.names[k]}: {told(D, edge)}."
        )

    if np.shape(x) == np.shape(y):
        local = _local(op, point._replace(y=x), k)
        if local is not None:
            yield _mutation(
                D, slips.WRONG_POINT, edge, "x for y", local, told_as(f"{point.names[k]} for {point.out_name}")
            )
        local = _local(op, point._replace(x=(*point.x[:k], y, *point.x[k + 1 :])), k)
        if local is not None:
            yield _mutation(
                D, slips.WRONG_POINT, edge, "y for x", local, told_as(f"{point.out_name} for {point.names[k]}")
            )
    for name, value in _candidates(D, edge, x, point.names[k]):
        if np.shape(value) == np.shape(y):
            local = _local(op, point._replace(y=value), k)
            if local is not None:
                yield _mutation(D, slips.WRONG_POINT, edge, ("output", name), local, told_as(f"{name} for {point.out_name}"))
        operands = (*point.x[:k], value, *point.x[k + 1 :])
        try:
            moved = point._replace(x=operands, y=np.asarray(op.compute(operands, point.params)))
        except _FAILURES:
            continue
        local = _local(op, moved, k)
        if local is not None:
            yield _mutation(D, slips.WRONG_POINT, edge, ("at", name), local, told_as(name))


def _candidates(D: Derivation, edge: Edge, x: Any, own: str) -> Iterator[tuple[str, Array]]:
    """Values of the same shape, from the neighbourhood of the node first."""
    shape, seen = np.shape(x), [x]
    nodes = sorted(D.of.trace.nodes, key=lambda node: (abs(node.index - edge.node), node.index))
    values = [(node.name, strip_all(node.value)) for node in nodes]
    for node in nodes:
        values += [(name, strip_all(value)) for name, value in zip(node.operand_names, node.operands, strict=True)]
    for name, value in values:
        if len(seen) > MAX_CANDIDATES:
            return
        if isinstance(value, np.ndarray | np.floating) and np.shape(value) == shape and name != own:
            if not any(value is known or np.array_equal(value, known) for known in seen):
                seen.append(value)
                yield name, np.asarray(value)


# -- the text of a derivative -----------------------------------------------------------------------------------------

_GENERAL = {"power": ("x2 * x1**(x2 - 1)", "log(x1) * y")}


def derivative_texts(D: Derivation, edge: Edge) -> Iterator[Mutation]:
    """The derivative of an elementwise op, such as `1 - y**2`, miswritten in one place."""
    op, point = D.nodes[edge.node].op, _point(D, edge)
    if op is None or op.family != "elementwise" or not op.derivative:
        return
    known = _GENERAL.get(op.name) or re.split(r",? ?∂y/∂\w+ = ", op.derivative)[1:]
    if edge.operand >= len(known) or "where" in known[edge.operand]:
        return
    words = ("x",) if len(known) == 1 else tuple(f"x{k + 1}" for k in range(len(known)))
    values = dict(zip(words, point.x, strict=False)) | {"y": point.y}
    for slip, text in _miswritten(known[edge.operand]):
        try:
            with np.errstate(all="ignore"):
                factor = np.asarray(texts.evaluate(text, **values), float)
        except _FAILURES:
            continue
        if not np.isfinite(factor).all():
            continue
        column = np.broadcast_to(factor, np.shape(point.y)).reshape(-1, 1)
        yield _mutation(
            D, slip, edge, ("text", text), _pattern(D, edge) * column,
            lambda text=text: f"{at(D, edge.node)}the derivative is written as {text}, but it is {told(D, edge)}.",
        )  # fmt: skip


def _pattern(D: Derivation, edge: Edge) -> Array:
    """Where an elementwise op's Jacobian may have entries: 1 there, 0 elsewhere."""
    out, into = D.nodes[edge.node].shape, D.nodes[edge.parent].shape
    positions = np.broadcast_to(np.arange(int(np.prod(into, dtype=int))).reshape(into), out).reshape(-1, 1)
    return (positions == np.arange(int(np.prod(into, dtype=int)))).astype(float)


def _miswritten(text: str) -> Iterator[tuple[str, str]]:
    """The text with one thing wrong in it, and what that is called."""
    tree = ast.parse(text, mode="eval")
    seen = {ast.unparse(tree)}
    for slip, change in _CHANGES:
        for place in range(sum(1 for _ in ast.walk(tree))):
            other = copy.deepcopy(tree)
            node = list(ast.walk(other))[place]
            if change(other, node):
                written = ast.unparse(ast.fix_missing_locations(other))
                if written not in seen and not isinstance(other.body, ast.Constant):
                    seen.add(written)
                    yield slip, written


def _replace(tree: ast.AST, old: ast.AST, new: ast.AST) -> bool:
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, field, new)
                return True
    return False


def _side_dropped(kinds: tuple[type[ast.operator], ...], side: str) -> Callable[[ast.AST, ast.AST], bool]:
    def change(tree: ast.AST, node: ast.AST) -> bool:
        if not (isinstance(node, ast.BinOp) and isinstance(node.op, kinds)):
            return False
        if isinstance(node.op, ast.Div) and side == "right":  # 1 / x without its 1 is not what anybody leaves out
            return False
        return _replace(tree, node, getattr(node, side))

    return change


def _sign_turned(tree: ast.AST, node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        return True
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and _replace(tree, node, node.operand)


def _power_dropped(tree: ast.AST, node: ast.AST) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and _replace(tree, node, node.left)


def _inverse_dropped(tree: ast.AST, node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        node.op = ast.Mult()
        return True
    return False


_CHANGES: tuple[tuple[str, Callable[[ast.AST, ast.AST], bool]], ...] = (
    (slips.SIGN, _sign_turned),
    (slips.FACTOR_OUT, _side_dropped((ast.Mult, ast.Div), "left")),
    (slips.FACTOR_OUT, _side_dropped((ast.Mult, ast.Div), "right")),
    (slips.TERM_OUT, _side_dropped((ast.Add, ast.Sub), "left")),
    (slips.TERM_OUT, _side_dropped((ast.Add, ast.Sub), "right")),
    (slips.POWER, _power_dropped),
    (slips.POWER, _inverse_dropped),
)


def spread_deltas(D: Derivation, edge: Edge) -> Iterator[Mutation]:
    """An elementwise op taken for a dense one: its derivative at every entry of a row."""
    op, local = D.nodes[edge.node].op, D.locals[edge]
    if op is None or op.family != "elementwise" or local.shape[0] != local.shape[1] or len(local) < 2:
        return
    diagonal = np.diag(local)
    yield _mutation(
        D, slips.DELTA_OUT, edge, "spread", np.broadcast_to(diagonal[:, None], local.shape).copy(),
        lambda: f"{at(D, edge.node)}δ is left out: it works entry by entry, {told(D, edge)}.",
    )  # fmt: skip
