"""Slips in the derivative of an elementwise op, which is known as text: `1 - y**2` without its square, say."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jacobian.checking import slips
from jacobian.checking.cuts import say
from jacobian.checking.derivation import Derivation, Edge
from jacobian.checking.rules import FAILURES, mutation, point_of
from jacobian.checking.slips import Mutation
from jacobian.ops import texts

Array = np.ndarray[Any, np.dtype[Any]]

Changes = tuple[tuple[str, Callable[[ast.AST, ast.AST], bool]], ...]

_GENERAL = {"power": ("x2 * x1**(x2 - 1)", "log(x1) * y")}


def derivative_texts(D: Derivation, edge: Edge) -> Iterator[Mutation]:
    """The derivative of an elementwise op, such as `1 - y**2`, miswritten in one place."""
    return _written(D, edge, _CHANGES)


def higher_powers(D: Derivation, edge: Edge) -> Iterator[Mutation]:
    """Divided by the square of what a derivative is divided by, as in `x / norm(x)**2`."""
    return _written(D, edge, _POWERS)


def _written(D: Derivation, edge: Edge, changes: Changes) -> Iterator[Mutation]:
    op, point = D.nodes[edge.node].op, point_of(D, edge)
    if op is None or op.family != "elementwise" or not op.derivative:
        return
    known = _GENERAL.get(op.name) or re.split(r",? ?∂y/∂\w+ = ", op.derivative)[1:]
    if edge.operand >= len(known) or "where" in known[edge.operand]:
        return
    words = ("x",) if len(known) == 1 else tuple(f"x{k + 1}" for k in range(len(known)))
    values = dict(zip(words, point.x, strict=False)) | {"y": point.y}
    for slip, text in _miswritten(known[edge.operand], changes):
        try:
            with np.errstate(all="ignore"):
                factor = np.asarray(texts.evaluate(text, **values), float)
        except FAILURES:
            continue
        if not np.isfinite(factor).all():
            continue
        column = np.broadcast_to(factor, np.shape(point.y)).reshape(-1, 1)
        yield mutation(
            D, slip, edge, ("text", text), _pattern(D, edge) * column,
            say(D, edge, f"{text} stands where the derivative belongs: put in the right one"),
        )  # fmt: skip


def _pattern(D: Derivation, edge: Edge) -> Array:
    """Where an elementwise op's Jacobian may have entries: 1 there, 0 elsewhere."""
    out, into = D.nodes[edge.node].shape, D.nodes[edge.parent].shape
    positions = np.broadcast_to(np.arange(int(np.prod(into, dtype=int))).reshape(into), out).reshape(-1, 1)
    return np.asarray(positions == np.arange(int(np.prod(into, dtype=int))), float)


def _miswritten(text: str, changes: Changes) -> Iterator[tuple[str, str]]:
    """The text with one thing wrong in it, and what that is called."""
    tree = ast.parse(text, mode="eval")
    seen = {ast.unparse(tree)}
    for slip, change in changes:
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


def _divisor_squared(tree: ast.AST, node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and isinstance(node.right, ast.Name):
        node.right = ast.BinOp(node.right, ast.Pow(), ast.Constant(2))
        return True
    return False


def _inverse_dropped(tree: ast.AST, node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        node.op = ast.Mult()
        return True
    return False


_CHANGES: Changes = (
    (slips.SIGN, _sign_turned),
    (slips.FACTOR_OUT, _side_dropped((ast.Mult, ast.Div), "left")),
    (slips.FACTOR_OUT, _side_dropped((ast.Mult, ast.Div), "right")),
    (slips.TERM_OUT, _side_dropped((ast.Add, ast.Sub), "left")),
    (slips.TERM_OUT, _side_dropped((ast.Add, ast.Sub), "right")),
    (slips.POWER, _power_dropped),
    (slips.POWER, _inverse_dropped),
)

_POWERS: Changes = ((slips.POWER, _divisor_squared),)
