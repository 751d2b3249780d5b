"""Slips in the derivative of an elementwise op, which is known as text: `1 - y**2` without its square, say."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from jacobian.checking import slips
from jacobian.checking.cuts import say
from jacobian.checking.derivation import Derivation, Edge
from jacobian.checking.rules import FAILURES, mutation, point_of
from jacobian.checking.slips import Mutation
from jacobian.kernel import syntax
from jacobian.ops import texts
from jacobian.ops.registry import REGISTRY

Array = np.ndarray[Any, np.dtype[Any]]

Changes = tuple[tuple[str, Callable[[ast.AST, ast.AST], bool]], ...]

_GENERAL = {"power": ("x2 * x1**(x2 - 1)", "log(x1) * y")}


def derivative_texts(D: Derivation, edge: Edge) -> Iterator[Mutation]:
    """The derivative of an elementwise op, such as `1 - y**2`, miswritten in one place."""
    return _written(D, edge, _CHANGES)


_OTHER_RULES = {
    ("power", 0): (
        (slips.POWER, "x2 * x1**(x2 - 2)"), (slips.POWER, "(x2 - 1) * x1**(x2 - 2)"),
        (slips.POWER, "(x2 + 1) * x1**x2"), (slips.INTEGRATED, "x1**(x2 + 1) / (x2 + 1)"),
    ),
    ("power", 1): ((slips.POWER, "x2 * x1**(x2 - 1)"),),
    ("divide", 1): ((slips.INTEGRATED, "x1 * log(x2)"),),
    ("exp", 0): ((slips.POWER, "x * exp(x - 1)"),),
    ("exp2", 0): ((slips.POWER, "x * exp2(x - 1)"),),
}  # fmt: skip
"""The power rule with one too much or too little, or backwards, or where the exponent is what is differentiated by."""

_ALIKE = (
    ("sin", "cos", "tan", "sinh", "cosh", "tanh"),
    ("arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh"),
    ("log", "log2", "log10", "log1p"),
    ("exp", "exp2", "expm1"),
    ("sigmoid", "tanh"),
)
"""Functions whose derivatives are taken for each other's."""


def other_rules(D: Derivation, edge: Edge) -> Iterator[Mutation]:
    """A rule that is another's: the power rule for an exponential, the function itself, a kindred function's."""
    op = D.nodes[edge.node].op
    if op is None:
        return
    made_of_itself = re.search(r"\by\b", op.derivative.partition(" = ")[2])  # there y is a factor, as in 1 / (2 * y)
    kept = () if made_of_itself else ((slips.NOT_TAKEN, "y"),)
    yield from _made(D, edge, (*_OTHER_RULES.get((op.name, edge.operand), ()), *kept))
    for other in _kindred(op.name):
        yield from _made(D, edge, [(slips.OTHER_FUNCTION, text) for text in _texts_of(other)], other)


def _kindred(name: str) -> list[str]:
    """Functions whose derivatives may be taken for one's own."""
    return list(dict.fromkeys(other for group in _ALIKE if name in group for other in group if other != name))


def _texts_of(name: str) -> list[str]:
    """The derivative of a function of one operand: with its value as `y`, and with that written out."""
    text = REGISTRY[name].derivative.partition(" = ")[2]
    return list(dict.fromkeys((text, re.sub(r"\by\b", f"{name}(x)", text))))


def higher_powers(D: Derivation, edge: Edge) -> Iterator[Mutation]:
    """Divided by the square of what a derivative is divided by, as in `x / norm(x)**2`."""
    return _written(D, edge, _POWERS)


def _written(D: Derivation, edge: Edge, changes: Changes) -> Iterator[Mutation]:
    op = D.nodes[edge.node].op
    known = [] if op is None else _GENERAL.get(op.name) or re.split(r",? ?∂y/∂\w+ = ", op.derivative)[1:]
    if edge.operand < len(known) and "where" not in known[edge.operand]:
        yield from _made(D, edge, _miswritten(known[edge.operand], changes))


def _made(
    D: Derivation, edge: Edge, texts_of: Iterable[tuple[str, str]], other: str = ""
) -> Iterator[Mutation]:  # fmt: skip
    """Texts in the place of an elementwise op's derivative; they may be those of another function."""
    op, point = D.nodes[edge.node].op, point_of(D, edge)
    if op is None or op.family != "elementwise" or not op.derivative:
        return
    words = ("x",) if len(point.x) == 1 else tuple(f"x{k + 1}" for k in range(len(point.x)))
    values = dict(zip(words, point.x, strict=True)) | {"y": point.y}
    names = dict(zip(words, point.names, strict=True)) | {"y": point.out_name}
    for slip, text in texts_of:
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
            partial(_sentence, D, edge, text, names, other),
        )  # fmt: skip


def _sentence(D: Derivation, edge: Edge, text: str, names: Mapping[str, str], other: str) -> str:
    op = D.nodes[edge.node].op
    where = "stands where the derivative belongs"
    if other and op is not None:
        where = f"is the derivative of {other}, and stands where that of {op.name} belongs"
    return say(D, edge, f"{_called(text, names)} {where}: put in the right one")()


def _called(text: str, names: Mapping[str, str]) -> str:
    """The text in the names of the function, shortened where numbers stand in it.

    >>> _called("x2 * x1 ** (x2 - 1)", {"x1": "u", "x2": "2"}), _called("y / x2", {"y": "y", "x2": "v3"})
    ('2 * u', 'y / v3')
    """
    named = re.sub(r"\b[A-Za-z_]\w*\b", lambda word: names.get(word[0], word[0]), text)
    try:
        return ast.unparse(_Shorter().visit(syntax.expression(named)))
    except SyntaxError:  # a name that is none in Python, such as that of a derivative
        return named


class _Shorter(ast.NodeTransformer):
    """Numbers computed, and powers of 1 left out."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        left, right = _number(node.left), _number(node.right)
        if right == 1 and isinstance(node.op, ast.Pow | ast.Mult | ast.Div):
            return node.left
        if left == 1 and isinstance(node.op, ast.Mult):
            return node.right
        if left is not None and right is not None and isinstance(node.op, ast.Add | ast.Sub):
            return ast.Constant(left + right if isinstance(node.op, ast.Add) else left - right)
        return node


def _number(node: ast.expr) -> float | None:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, int | float) else None


def _pattern(D: Derivation, edge: Edge) -> Array:
    """Where an elementwise op's Jacobian may have entries: 1 there, 0 elsewhere."""
    out, into = D.nodes[edge.node].shape, D.nodes[edge.parent].shape
    positions = np.broadcast_to(np.arange(int(np.prod(into, dtype=int))).reshape(into), out).reshape(-1, 1)
    return np.asarray(positions == np.arange(int(np.prod(into, dtype=int))), float)


def _miswritten(text: str, changes: Changes) -> Iterator[tuple[str, str]]:
    """The text with one thing wrong in it, and what that is called."""
    tree = syntax.expression(text)
    seen = {ast.unparse(tree)}
    for kind, change in changes:
        for place in range(sum(1 for _ in ast.walk(tree))):
            other = copy.deepcopy(tree)
            node = list(ast.walk(other))[place]
            in_exponent = any(node is inner for power in _powers(other) for inner in ast.walk(power.right))
            if change(other, node):
                slip = slips.POWER if in_exponent else kind
                written = ast.unparse(ast.fix_missing_locations(other))
                if written not in seen and not isinstance(other.body, ast.Constant):
                    seen.add(written)
                    yield slip, written


def _powers(tree: ast.AST) -> list[ast.BinOp]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow)]


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
