"""Formulas in index notation as MathML, which browsers draw by themselves: no script, no font, no network."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from html import escape

from jacobian.display.tables import Html, code
from jacobian.kernel.latex import QUOTIENT, parsed, split_positions, with_sums

TIMES = "<mo>&#8290;</mo>"  # a product that is not written
LONGEST = 400  # characters of a formula that is still read as one
_SIGNS = {ast.Eq: "=", ast.LtE: "≤", ast.Lt: "<", ast.Gt: ">", ast.GtE: "≥", ast.NotEq: "≠"}
_GREEK = {
    **dict(
        zip("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu".split(), "αβγδεζηθικλμ", strict=True)
    ),
    **dict(zip("nu xi pi rho sigma tau phi chi psi omega".split(), "νξπρστφχψω", strict=True)),
    **dict(zip("Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega".split(), "ΓΔΘΛΞΠΣΦΨΩ", strict=True)),
}


def formula(text: str) -> Html:
    """The formula as MathML; as text where it is none that can be read, or very long."""
    return mathml(text) or code(text)


def mathml(text: str) -> Html | None:
    """A formula, or one side of it; None where it is not written as Python reads it.

    >>> mathml("δ[i,j]")[-80:]
    '<msub><mi>δ</mi><mrow><mi>i</mi><mo>,</mo><mi>j</mi></mrow></msub></mrow></math>'
    """
    if len(text) > LONGEST:
        return None
    marks: dict[str, str] = {}

    def quotient(match: re.Match[str]) -> str:
        mark = f"Q_{len(marks)}_Q"
        marks[mark] = _fraction(match)
        return mark

    plain = text.replace("|direct", " * DIRECT_MARK").replace(" · ", " * DOT_MARK * ")
    try:
        sides = [with_sums(QUOTIENT.sub(quotient, side)) for side in re.split(r" = (?![^\[]*\])", plain)]
        shown = "<mo>=</mo>".join(_Printer(marks).show(parsed(side)) for side in sides)
    except (SyntaxError, ValueError, KeyError, RecursionError):
        return None
    return Html(f'<math displaystyle="true" alttext="{escape(text)}"><mrow>{shown}</mrow></math>')


def _fraction(quotient: re.Match[str]) -> str:
    over, under = (f"<mrow><mo>∂</mo>{_at(quotient[k], quotient[k + 1])}</mrow>" for k in (1, 3))
    return f"<mfrac>{over}{under}</mfrac>"


def _at(name: str, positions: str | None) -> str:
    inner = QUOTIENT.fullmatch(name[1:-1])
    shown = _bracketed(_fraction(inner)) if inner else _name(name)
    if not positions:
        return shown
    places = [_Printer({}).show(parsed(one)) for one in split_positions(positions[1:-1])]
    return f"<msub>{shown}{_listed(places)}</msub>"


def _listed(shown: Iterable[str]) -> str:
    return f"<mrow>{'<mo>,</mo>'.join(shown)}</mrow>"


def _name(name: str) -> str:
    return f"<mi>{escape(_GREEK.get(name, name))}</mi>"


def _row(*parts: str) -> str:
    return f"<mrow>{''.join(parts)}</mrow>"


def _bracketed(inside: str) -> str:
    return _row("<mo>(</mo>", inside, "<mo>)</mo>")


class _Printer:
    """Expressions as MathML."""

    def __init__(self, marks: dict[str, str]) -> None:
        self.marks = {"DOT_MARK": "<mo>·</mo>", "DIRECT_MARK": "<msub><mo>|</mo><mtext>direct</mtext></msub>", **marks}

    def show(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=complex() as value):
                return _row(f"<mn>{value.imag:g}</mn>", "<mi>i</mi>")
            case ast.Constant(value=value):
                return f"<mn>{escape(str(value))}</mn>"
            case ast.Name(id=name):
                return self.marks.get(name) or _name(name)
            case ast.Subscript():
                return self._subscript(node)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _row("<mo>−</mo>", self._factor(operand))
            case ast.BinOp():
                return self._binary(node)
            case ast.List(elts=[ast.Compare() as inside]):
                return _row("<mo>[</mo>", self.show(inside), "<mo>]</mo>")
            case ast.Compare(left=left, ops=ops, comparators=right):
                rest = (
                    f"<mo>{escape(_SIGNS[type(op)])}</mo>{self.show(one)}" for op, one in zip(ops, right, strict=True)
                )
                return _row(self.show(left), *rest)
            case ast.Call():
                return self._call(node)
            case ast.Attribute(value=value, attr="T"):
                return f"<msup>{self._factor(value)}<mo>⊤</mo></msup>"
        raise ValueError(ast.dump(node))

    def _subscript(self, node: ast.Subscript) -> str:
        base = self.show(node.value)
        if not isinstance(node.value, ast.Name):
            base = _bracketed(base) if isinstance(node.value, ast.BinOp) else _row(base)
        return f"<msub>{base}{self._places(node)}</msub>"

    def _places(self, node: ast.Subscript) -> str:
        places = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return _listed(self.show(place) for place in places)

    def _binary(self, node: ast.BinOp) -> str:
        left, right = node.left, node.right
        match node.op:
            case ast.Add():
                return _row(self.show(left), "<mo>+</mo>", self.show(right))
            case ast.Sub():
                return _row(self.show(left), "<mo>−</mo>", self._factor(right))
            case ast.Mult() | ast.MatMult():
                return _row(self._factor(left), TIMES, self._factor(right))
            case ast.Div():
                return self._fraction(left, right)
            case ast.Pow() if isinstance(left, ast.Subscript) and isinstance(left.value, ast.Name):
                base, places = _name(left.value.id), self._places(left)
                return f"<msubsup>{base}{places}{self.show(right)}</msubsup>"
            case ast.Pow():
                loose = isinstance(left, ast.BinOp | ast.UnaryOp | ast.Call)
                base = _bracketed(self.show(left)) if loose else self.show(left)
                return f"<msup>{base}{self.show(right)}</msup>"
            case ast.Mod():
                return _row(self._factor(left), "<mo>mod</mo>", self._factor(right))
            case ast.FloorDiv():
                return _row("<mo>⌊</mo>", self.show(left), "<mo>/</mo>", self.show(right), "<mo>⌋</mo>")
        raise ValueError(ast.dump(node))

    def _fraction(self, left: ast.expr, right: ast.expr) -> str:
        """Of `a * b / c`, what comes last before the bar stands above it."""
        if isinstance(left, ast.BinOp) and isinstance(left.op, ast.Mult):
            above = self.show(left.right)
            return _row(self._factor(left.left), TIMES, f"<mfrac>{above}{self.show(right)}</mfrac>")
        return f"<mfrac>{self.show(left)}{self.show(right)}</mfrac>"

    def _factor(self, node: ast.expr) -> str:
        loose = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)
        return _bracketed(self.show(node)) if loose or isinstance(node, ast.UnaryOp) else self.show(node)

    def _call(self, node: ast.Call) -> str:
        name = ast.unparse(node.func).rpartition(".")[2]
        if node.keywords:
            raise ValueError(ast.dump(node))
        if name == "Σ":
            first = node.args[0]
            assert isinstance(first, ast.Constant)
            return _row(f"<munder><mo>∑</mo><mi>{escape(str(first.value))}</mi></munder>", self.show(node.args[1]))
        inner = "<mo>,</mo>".join(self.show(one) for one in node.args)
        if name == "sqrt":
            return f"<msqrt>{inner}</msqrt>"
        if name in ("abs", "absolute"):
            return _row("<mo>|</mo>", inner, "<mo>|</mo>")
        if name == "inv" and len(node.args) == 1:
            return f"<msup>{self._factor(node.args[0])}<mrow><mo>−</mo><mn>1</mn></mrow></msup>"
        return _row(f"<mi>{escape(name)}</mi>", "<mo>&#8289;</mo>", _bracketed(inner))
