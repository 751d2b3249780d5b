"""Derivatives in index notation as text: `"dY[i,k]/dA[p,q] = δ[i,p] * B[q,k]"`.

Labels that stand on the right and not on the left are summed, as `Σ_j` says explicitly: over the product in which they
are repeated, which may be the argument of a function. What holds no label is an ordinary expression: `inv(X)[i,j]`,
`softmax(W @ x)[i]`, `det(X)`.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jacobian.errors import ExpressionError, report
from jacobian.kernel import syntax

GREEK = {
    "δ": "delta", "∂": "d", "·": "*", "×": "*", "⋅": "*", "−": "-", "²": "**2", "³": "**3", "ᵀ": ".T", "⁻¹": "**(-1)",
    "^": "**", "Σ": "Σ", "∑": "Σ", "σ": "sigmoid", "≤": "<=", "≥": ">=",
}  # fmt: skip

DELTAS = frozenset({"delta", "kron", "kronecker", "I", "eye"})

_LEFT = re.compile(
    r"^\s*(?:d|∂|partial)\s*(?P<out>[^\W\d]\w*|\(∂[^()]*\))(?P<outs>\[[^\]]*\])?"
    r"\s*/\s*(?:d|∂|partial)\s*(?P<into>[^\W\d]\w*)"
    r"(?P<ins>\[[^\]]*\])?\s*=(?!=)\s*(?P<right>.*)$",
    re.DOTALL,
)
_SECOND = re.compile(
    r"^\s*(?:d|∂)(?:2|\^2|²|\*\*2)(?P<out>[^\W\d]\w*)(?P<outs>\[[^\]]*\])?\s*/\s*(?:d|∂)(?P<into>[^\W\d]\w*?)"
    r"(?P<first>\[[^\]]*\])\s*(?:d|∂)(?P=into)(?P<ins>\[[^\]]*\])\s*=(?!=)\s*(?P<right>.*)$",
    re.DOTALL,
)
_SHORT = re.compile(r"^\s*(?:d|∂)(?P<into>[^\W\d]\w*)(?P<ins>\[[^\]]*\])?\s*=(?!=)\s*(?P<right>.*)$", re.DOTALL)
_LIKE = re.compile(r"^\s*(?:d|∂|partial)[^=<>!]*=(?!=)")
_SUM = re.compile(r"(?:Σ|\bsum|\\sum)_(?:\{([\w,\s]+)\}|\(([\w,\s]+)\)|(\w+(?:,\w+)*))")


@dataclass(frozen=True)
class Sides:
    """A formula taken apart: what is differentiated, by what, at which positions, and the right side."""

    text: str
    out: str
    into: str
    outs: tuple[ast.expr, ...]
    ins: tuple[ast.expr, ...]
    right: ast.expr

    @property
    def free(self) -> frozenset[str]:
        """The labels on the left."""
        return frozenset(label for form in (*self.outs, *self.ins) for label in _labels_of_position(form))


def is_formula(text: str) -> bool:
    """Whether a text has the left side of a derivative; anything else is an expression.

    >>> is_formula("dy[i]/dx[j] = W[i,j]"), is_formula("W.T @ G")
    (True, False)
    """
    return bool(_LIKE.match(text))


def is_second_order(text: str) -> bool:
    """Whether the left side is a second derivative: `d2y/dx[i]dx[j] = …`."""
    return bool(_SECOND.match(text))


def parse(text: str, output: str) -> Sides:
    """Take a formula apart; `dA[p,q] = …` is short for the derivative of `output`.

    Raises:
        ExpressionError: a side cannot be read.

    >>> sides = parse("dy[i]/dx[j] = δ[i,j]", "y")
    >>> sides.into, sorted(sides.free)
    ('x', ['i', 'j'])
    """
    match = _SECOND.match(text) or _LEFT.match(text) or _SHORT.match(text)
    if match is None:
        raise unreadable(text, "its left side is no derivative", "begin with what it is: dY[i,k]/dA[p,q] = …")
    parts = match.groupdict()
    right = _python(parts["right"].strip())
    try:
        body = _Logical().visit(syntax.expression(right).body)
        outs, first, ins = (_positions(parts.get(side) or "") for side in ("outs", "first", "ins"))
    except (SyntaxError, ValueError, RecursionError) as error:
        detail = error.msg if isinstance(error, SyntaxError) else str(error)
        raise unreadable(
            text, detail, "δ[i,j], A[i,j], *, Σ_j and functions of NumPy; every factor with its *"
        ) from None
    return Sides(" ".join(text.split()), parts.get("out") or output, parts["into"], outs + first, ins, body)


class _Logical(ast.NodeTransformer):
    """`a & b` and `a | b`, which our own formulas write, as the functions that they are."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.op, ast.BitAnd | ast.BitOr):
            return node
        name = "logical_and" if isinstance(node.op, ast.BitAnd) else "logical_or"
        return ast.Call(ast.Name(name, ast.Load()), [node.left, node.right], [])


def labels_without_left_side(text: str, known: Collection[str]) -> list[str]:
    """The labels of what can only be index notation, though it does not say what it is the derivative of.

    >>> labels_without_left_side("y[i]*δ[i,j] - y[i]*y[j]", {"x", "y"}), labels_without_left_side("x[0] * y", {"x"})
    (['i', 'j'], [])
    """
    try:
        right = parse(f"dy = {text}", "y").right
    except ExpressionError:
        return []
    return [label for label in labels_in(right, dict.fromkeys(known)) if label not in known]


def unreadable(text: str, detail: str, fix: str | None = None) -> ExpressionError:
    """The error for a formula that cannot be read."""
    return ExpressionError(report(f"the formula cannot be read: {detail}", formula=" ".join(text.split()), fix=fix))


def captured(name: str) -> str:
    """The way out where a claim speaks of an array that the function has from elsewhere."""
    return f"make {name} an argument of the function, or pass the claim as an array"


def _positions(text: str) -> tuple[ast.expr, ...]:
    inner = text.strip()[1:-1].strip()
    if not inner:
        return ()
    return tuple(syntax.expression(f"({_python(inner)},)").body.elts)  # type: ignore[attr-defined]


def _python(text: str) -> str:
    for sign, word in GREEK.items():
        text = text.replace(sign, word)
    text = re.sub(
        r"\bdelta_(?:\{\s*(\w)\s*,?\s*(\w)\s*\}|(\w)(\w)\b)", lambda m: f"delta[{m[1] or m[3]},{m[2] or m[4]}]", text
    )
    text = re.sub(r"\[([^\[\]()]*[^=<>!\[\]()])=(?!=)([^\[\]()]*)\]", r"[\1==\2]", text)
    text = re.sub(r"\bln\(", "log(", text)
    return _with_sums(text)


def _with_sums(text: str) -> str:
    """`Σ_j a * b + c` as `Σ("j", a * b) + c`: a sum reaches to the next plus or minus, or bracket."""
    found = list(_SUM.finditer(text))
    if not found:
        return text
    match = found[-1]  # it cannot hold another
    labels = re.sub(r"\s", "", match[1] or match[2] or match[3])
    end = _extent(text, match.end())
    inner = text[match.end() : end].strip()
    return _with_sums(f'{text[: match.start()]}Σ("{labels}", ({inner})){text[end:]}')


def _extent(text: str, start: int) -> int:
    depth = 0
    for place in range(start, len(text)):
        character = text[place]
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
            if depth < 0:
                return place
        elif depth == 0 and (character == "," or (character in "+-" and _is_binary(text[start:place]))):
            return place
    return len(text)


def _is_binary(before: str) -> bool:
    """Whether a sign after this text adds or subtracts, rather than standing in front of a number."""
    before = before.rstrip()
    return bool(before) and before[-1] not in "*/+-(,[=<>" and not re.search(r"\d[eE]$", before)


# -- which labels are summed where -----------------------------------------------------------------------------------


def names_in(node: ast.AST) -> Iterator[str]:
    """Every name below a node, with repeats."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            yield inner.id


def is_delta(node: ast.AST, known: Mapping[str, Any]) -> bool:
    """Whether a node is the name of a Kronecker δ."""
    return isinstance(node, ast.Name) and node.id in DELTAS and node.id not in known


def positions_of(node: ast.Subscript | ast.Call) -> list[ast.expr]:
    """The positions of `A[i,j]` or `delta(i,j)`."""
    if isinstance(node, ast.Call):
        return list(node.args)
    return list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]


def labels_in(node: ast.AST, known: Mapping[str, Any]) -> Counter[str]:
    """How often each label stands in positions below a node; those of an explicit sum do not count."""
    found: Counter[str] = Counter()
    if isinstance(node, ast.Call) and is_sum(node):
        found = labels_in(node.args[1], known)
        for label in summed_labels(node):
            found.pop(label, None)
        return found
    if isinstance(node, ast.Subscript | ast.Call) and (isinstance(node, ast.Subscript) or is_delta(node.func, known)):
        for position in positions_of(node):
            if not isinstance(position, ast.Slice):
                found.update(_labels_of_position(position))
        base = node.value if isinstance(node, ast.Subscript) else None
        return found + labels_in(base, known) if base is not None else found
    if isinstance(node, ast.List):  # an Iverson bracket
        found.update(_labels_of_position(node))
        return found
    for child in ast.iter_child_nodes(node):
        found += labels_in(child, known)
    return found


def _labels_of_position(position: ast.AST) -> Iterator[str]:
    """The labels in a position; the `t` of `A[t[i]]` is none."""
    tables = {id(inner.value) for inner in ast.walk(position) if isinstance(inner, ast.Subscript)}
    for inner in ast.walk(position):
        if isinstance(inner, ast.Name) and id(inner) not in tables:
            yield inner.id


def number_of(position: ast.AST) -> int | None:
    """The whole number that a position is, such as `2` or `-1`; None where it has labels."""
    match position:
        case ast.Constant(value=value) if type(value) is int:
            return value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = number_of(operand)
            return None if inner is None else -inner
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            one, other = number_of(left), number_of(right)
            if one is None or other is None:
                return None
            return one + other if isinstance(op, ast.Add) else one - other
    return None


def is_sum(node: ast.AST) -> bool:
    """Whether a node is an explicit sum over labels."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 2):
        return False
    first = node.args[0]
    if node.func.id == "Σ":
        return True
    return node.func.id == "sum" and isinstance(first, ast.Name) and len(first.id) <= 2


def summed_labels(node: ast.Call) -> list[str]:
    """The labels of an explicit sum."""
    first = node.args[0]
    return str(first.value).split(",") if isinstance(first, ast.Constant) else [first.id]  # type: ignore[attr-defined]


def factors_of(node: ast.AST) -> list[tuple[ast.AST, bool]]:
    """A product taken apart: its factors, and whether each divides."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
        divides = isinstance(node.op, ast.Div)
        right = [(factor, below != divides) for factor, below in factors_of(node.right)]
        return [*factors_of(node.left), *right]
    return [(node, False)]


def is_repeated(node: ast.AST, label: str, known: Mapping[str, Any]) -> bool:
    """Whether a label is repeated in one of the products inside a node."""
    holders = [factor for factor, _ in factors_of(node) if labels_in(factor, known)[label]]
    if len(holders) > 1:
        return True
    return bool(holders) and _is_repeated_in(holders[0], label, known)


def _is_repeated_in(factor: ast.AST, label: str, known: Mapping[str, Any]) -> bool:
    if isinstance(factor, ast.Subscript):
        return labels_in(factor, known)[label] > 1
    if isinstance(factor, ast.BinOp) and isinstance(factor.op, ast.Pow) and isinstance(factor.right, ast.Constant):
        power = factor.right.value
        if isinstance(factor.left, ast.Subscript) and isinstance(power, int) and power > 1:
            return True
    return is_repeated_inside(factor, label, known)


def is_repeated_inside(factor: ast.AST, label: str, known: Mapping[str, Any]) -> bool:
    """Whether a label is repeated strictly inside a factor: in the argument of a function, or within a bracket."""
    if isinstance(factor, ast.Subscript | ast.Name | ast.Constant):
        return False
    children = factor.args if isinstance(factor, ast.Call) else ast.iter_child_nodes(factor)
    return any(is_repeated(child, label, known) for child in children if isinstance(child, ast.expr))
