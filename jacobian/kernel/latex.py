"""Formulas in index notation as LaTeX that MathJax and KaTeX render."""

from __future__ import annotations

import ast
import re

from jacobian.kernel import syntax

_SUM = re.compile(r"Σ_([\w,]+) ")
_PLACES = r"(\[(?:[^\[\]]|\[[^\[\]]*\])*\])?"  # positions, among them look-ups: [i,t[j]]
_WHOLE = r"(\w+|\(∂(?:[^()]|\([^()]*\))*\))"  # a name, or the quotient that is differentiated once more
QUOTIENT = re.compile(rf"∂{_WHOLE}{_PLACES}/∂(\w+){_PLACES}")
_LETTERS = dict(zip("αβγδεζηθικλμνξπρστφχψωΓΔΘΛΞΠΣΦΨΩ", (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau phi chi psi omega "
    "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
).split(), strict=True))  # fmt: skip
_FUNCTIONS = frozenset("sin cos tan exp log tanh sinh cosh det max min".split())
_NAMED = {"inv": r"\operatorname{inv}", "sqrt": r"\sqrt", "abs": r"\left|"}


def latex(text: str) -> str | None:
    r"""A formula, or one side of it, as LaTeX; None where it is not written as Python reads it.

    >>> print(latex("Σ_k 1 / s[k,0] * A[k,i]"))
    \sum_{k} \frac{1}{s_{k,0}}\,A_{k,i}
    """
    marks: dict[str, str] = {}

    def quotient(match: re.Match[str]) -> str:
        mark = f"Q_{len(marks)}_Q"
        marks[mark] = _fraction(match)
        return mark

    sides = [with_sums(QUOTIENT.sub(quotient, side)) for side in re.split(r" = (?![^\[]*\])", text)]
    try:
        return " = ".join(_Printer(marks).show(parsed(side)) for side in sides)
    except (SyntaxError, ValueError, KeyError, RecursionError):
        return None


def _fraction(quotient: re.Match[str]) -> str:
    over, under = (_at(quotient[k], quotient[k + 1]) for k in (1, 3))
    return rf"\frac{{\partial {over}}}{{\partial {under}}}"


def _at(name: str, positions: str | None) -> str:
    inner = QUOTIENT.fullmatch(name[1:-1])
    shown = rf"\left({_fraction(inner)}\right)" if inner else name_latex(name)
    return f"{shown}_{{{_inner(positions[1:-1])}}}" if positions else shown


def _inner(positions: str) -> str:
    printer = _Printer({})
    return ",".join(printer.show(parsed(one)) for one in split_positions(positions))


def split_positions(text: str) -> list[str]:
    """The positions between brackets, one by one."""
    pieces, depth, start = [], 0, 0
    for place, character in enumerate(text):
        depth += character in "([{"
        depth -= character in ")]}"
        if character == "," and depth == 0:
            pieces.append(text[start:place])
            start = place + 1
    return [*pieces, text[start:]]


def parsed(text: str) -> ast.expr:
    """One side of a formula as Python reads it; `[i = j]` is a comparison."""
    equal = re.sub(r"\[([^\[\]]*) = ([^\[\]]*)\]", r"[\1 == \2]", text.strip())
    return syntax.expression(equal).body


def with_sums(text: str) -> str:
    """`Σ_j a * b + c` as `Σ("j", (a * b)) + c`: a sum reaches to the next plus or minus, or bracket."""
    found = list(_SUM.finditer(text))
    if not found:
        return text
    match = found[-1]
    end = _extent(text, match.end())
    return with_sums(f'{text[: match.start()]}Σ("{match[1]}", ({text[match.end() : end].strip()})){text[end:]}')


def _extent(text: str, start: int) -> int:
    depth = 0
    for place in range(start, len(text)):
        character = text[place]
        depth += character in "([{"
        depth -= character in ")]}"
        if depth < 0 or (depth == 0 and character in "+-" and text[place - 1] == " " and text[place + 1] == " "):
            return place
    return len(text)


def name_latex(name: str) -> str:
    r"""A name: `mu` and `μ` are `\mu`, more than one letter stands upright.

    >>> print(name_latex("λ"), name_latex("lambda"), name_latex("Δx"), name_latex("dx_1"))
    \lambda \lambda \mathrm{{\Delta}x} \mathrm{dx\_1}
    """
    if name in _LETTERS or name in _LETTERS.values():
        return rf"\{_LETTERS.get(name, name)}"
    upright = "".join(rf"{{\{_LETTERS[sign]}}}" if sign in _LETTERS else sign for sign in name)
    return name if len(name) == 1 else rf"\mathrm{{{upright.replace('_', chr(92) + '_')}}}"


def roughly(text: str) -> str:
    """The same for labels that are not written as Python reads them, piece by piece."""
    left, _, right = text.partition(" = ")
    out, _, into = left.partition("/∂")
    head = rf"\frac{{{_pieces(out)}}}{{{_pieces('∂' + into)}}}"
    return f"{head} = {_pieces(right)}"


def _pieces(text: str) -> str:
    text = re.sub(r"Σ_([\w,]+) ", r"\\sum_{\1} ", text)
    previous = ""
    while previous != text:  # innermost brackets first
        previous = text
        text = re.sub(r"([A-Za-z_δ][\w'.]*)\[([^\[\]]*)\]", lambda m: f"{name_latex(m[1])}_{{{m[2]}}}", text)
    text = re.sub(r"\[([^\[\]]*(?:<|=)[^\[\]]*)\]", r"\\left[\1\\right]", text)
    text = re.sub(r"\*\*\(([^()]*)\)", r"^{(\1)}", text)
    text = re.sub(r"\*\*(-?[\w.]+)", r"^{\1}", text)
    text = re.sub(r"\b(sin|cos|tan|exp|log|tanh|sinh|cosh)\(", r"\\\1(", text)
    text = text.replace(" * ", r"\,").replace("*", r"\,").replace("<=", r"\le ")
    return text.replace("∂", r"\partial ").replace("δ", r"\delta").replace("·", r"\cdot ")


class _Printer:
    """Expressions as LaTeX."""

    def __init__(self, marks: dict[str, str]) -> None:
        self.marks = marks

    def show(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=value):
                return str(value) if not isinstance(value, complex) else f"{value.imag:g}\\mathrm{{i}}"
            case ast.Name(id=name):
                return self.marks.get(name) or name_latex(name)
            case ast.Subscript(value=value):
                return self._subscript(node, value)
            case ast.UnaryOp(operand=operand):
                return f"-{self._factor(operand)}"
            case ast.BinOp():
                return self._binary(node)
            case ast.List(elts=[ast.Compare(left=left, ops=ops, comparators=right)]):
                return rf"\left[{self._comparison(left, ops, right)}\right]"
            case ast.Compare(left=left, ops=ops, comparators=right):
                return self._comparison(left, ops, right)
            case ast.Call():
                return self._call(node)
            case ast.Attribute(value=value, attr="T"):
                return f"{self._factor(value)}^{{\\top}}"
        raise ValueError(ast.dump(node))

    def _subscript(self, node: ast.Subscript, value: ast.expr) -> str:
        places = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        base = self.show(value)
        if not isinstance(value, ast.Name):
            base = rf"\left({base}\right)" if isinstance(value, ast.BinOp) else rf"{{{base}}}"
        return f"{base}_{{{','.join(self.show(place) for place in places)}}}"

    def _binary(self, node: ast.BinOp) -> str:
        left, right = node.left, node.right
        match node.op:
            case ast.Add():
                return f"{self.show(left)} + {self.show(right)}"
            case ast.Sub():
                return f"{self.show(left)} - {self._factor(right)}"
            case ast.Mult():
                return rf"{self._factor(left)}\,{self._factor(right)}"
            case ast.Div():
                return self._fraction(left, right)
            case ast.Pow():
                base = self.show(left)
                if isinstance(left, ast.BinOp | ast.UnaryOp | ast.Call):
                    base = rf"\left({base}\right)"
                return f"{{{base}}}^{{{self.show(right)}}}"
            case ast.MatMult():
                return rf"{self._factor(left)}\,{self._factor(right)}"
            case ast.Mod():
                return rf"{self._factor(left)} \bmod {self._factor(right)}"
            case ast.FloorDiv():
                return rf"\lfloor {self.show(left)} / {self.show(right)} \rfloor"
        raise ValueError(ast.dump(node))

    def _fraction(self, left: ast.expr, right: ast.expr) -> str:
        """`a * b / c` is a times the fraction where a is a sum or a δ; else all of it stands above."""
        if isinstance(left, ast.BinOp) and isinstance(left.op, ast.Mult):
            return rf"{self._factor(left.left)}\,\frac{{{self.show(left.right)}}}{{{self.show(right)}}}"
        return rf"\frac{{{self.show(left)}}}{{{self.show(right)}}}"

    def _factor(self, node: ast.expr) -> str:
        text = self.show(node)
        loose = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)
        return rf"\left({text}\right)" if loose or isinstance(node, ast.UnaryOp) else text

    def _comparison(self, left: ast.expr, ops: list[ast.cmpop], right: list[ast.expr]) -> str:
        signs = {ast.Eq: "=", ast.LtE: r"\le", ast.Lt: r"\lt", ast.Gt: r"\gt", ast.GtE: r"\ge", ast.NotEq: r"\ne"}
        pieces = [self.show(left)]
        for op, one in zip(ops, right, strict=True):
            pieces += [signs[type(op)], self.show(one)]
        return " ".join(pieces)

    def _call(self, node: ast.Call) -> str:
        name = ast.unparse(node.func).rpartition(".")[2]
        if name == "Σ":
            first = node.args[0]
            assert isinstance(first, ast.Constant)
            return rf"\sum_{{{first.value!s}}} {self.show(node.args[1])}"
        inner = ", ".join(self.show(one) for one in node.args)
        if name == "sqrt":
            return rf"\sqrt{{{inner}}}"
        if name in ("abs", "absolute"):
            return rf"\left|{inner}\right|"
        if name == "inv" and len(node.args) == 1:
            return rf"{self._factor(node.args[0])}^{{-1}}"
        shown = rf"\{name}" if name in _FUNCTIONS else rf"\operatorname{{{name.replace('_', chr(92) + '_')}}}"
        return rf"{shown}\left({inner}\right)"
