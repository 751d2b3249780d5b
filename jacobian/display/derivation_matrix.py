"""The matrix form of a derivation where there is one: `Xᵀ G`, `diag(d) W`, `u vᵀ`, `B ⊗ A`, each run and compared."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jacobian.display.derivation_code import (
    NotPlainError,
    Writer,
    names_for,
    times_scalar,
    with_number,
    wrapped,
)
from jacobian.display.derivation_deltas import eliminate, settled
from jacobian.display.derivation_terms import Product, Read, Sum
from jacobian.kernel import syntax
from jacobian.kernel.access import Form, indices
from jacobian.kernel.latex import name_latex

Labels = tuple[str, ...]


class MatrixForm(NamedTuple):
    """A matrix form: its left side, its right side as code, and what it is the form of."""

    left: str
    code: str
    what: str


def matrix_forms(
    total: Sum, names: tuple[str, str], shapes: tuple[tuple[int, ...], tuple[int, ...]], writer: Writer
) -> list[MatrixForm]:
    """Candidates, the caller runs each: `J` flattened in both orders, or the gradient, and the downstream form."""
    out, into = shapes
    found: list[MatrixForm] = []
    left = f"∂{names[0]}/∂{names[1]}"
    try:
        if 1 in (*out, *into) or not total.products:
            return []
        if len(out) + len(into) <= 2:
            found.append(MatrixForm(left, _whole(total, writer), "J"))
        elif len(out) == len(into) == 2:
            found += _kronecker(total, names, writer)
    except NotPlainError:
        pass
    try:
        if out and 1 not in (*out, *into) and len(into) in (1, 2):
            loss, upstream = _loss_and_upstream(names, writer)
            code = _whole(_downstream(total, upstream, out), writer, {upstream})
            found.append(MatrixForm(f"∂{loss}/∂{names[1]}", code, upstream))
    except NotPlainError:
        pass
    return found


def _loss_and_upstream(names: tuple[str, str], writer: Writer) -> tuple[str, str]:
    taken = {*writer.known, *names}
    pick = [
        next(name for name in choice if name not in taken) for choice in (("L", "loss", "L_"), ("G", "upstream", "G_"))
    ]
    return pick[0], pick[1]


def _downstream(total: Sum, upstream: str, shape: tuple[int, ...]) -> Sum:
    """The upstream times the Jacobian: every output index is summed, and its δ are gone."""
    products: list[Product] = []
    for product in total.products:
        read = Read(upstream, np.zeros(shape), total.out)
        one = Product(
            product.scale, product.deltas, product.guards, (read, *product.reads),
            (*dict.fromkeys(indices(*total.out)), *product.summed),
        )  # fmt: skip
        single = Sum((), total.into, (one,), total.book)
        while (step := eliminate(single)) is not None:
            single = step.result
        products += single.products
    return Sum((), total.into, tuple(products), total.book)


def _whole(total: Sum, writer: Writer, extra: set[str] | None = None) -> str:
    """A sum with at most two axes as code."""
    if not total.products:
        raise NotPlainError
    known = writer.known | (extra or set())
    writer = Writer(writer.book, known)
    pieces = []
    for product in total.products:
        one = settled(total.with_products([product]))
        left = [form for form in (*one.out, *one.into) if form.parts]
        if not all(form.is_plain for form in left):
            raise NotPlainError
        names = names_for(one)
        labels = tuple(names[next(indices(form))] for form in left)
        pieces.append(_product(one.products[0], labels, names.__getitem__, writer))
    return _sum(pieces)


def _sum(pieces: Sequence[str]) -> str:
    total = pieces[0]
    for piece in pieces[1:]:
        total += f" - {piece[1:]}" if piece.startswith("-") else f" + {piece}"
    return total


def _product(product: Product, labels: Labels, names: Callable[[int], str], writer: Writer) -> str:
    if product.deltas or product.guards:
        raise NotPlainError
    distinct = tuple(dict.fromkeys(labels))
    summed = tuple(names(index) for index in product.summed)
    groups, scale = writer.groups(product, names, (*distinct, *summed))
    scalar = groups.pop((), "")
    pieces = _Pieces(groups, summed, distinct)
    if len(labels) == 2 and len(distinct) == 1:
        vector = pieces.vector(labels[0])
        body = f"np.diag({vector})" if vector else _eye_of(labels[0], names, writer)
    elif len(labels) == 2:
        body = pieces.matrix(*labels)
    elif labels:
        body = pieces.vector(labels[0]) or ""
    else:
        body = pieces.number()
    if pieces.groups or (labels and not body):
        raise NotPlainError
    if not scalar and _is_matmul(body or "0") and scale == int(scale.real):
        return body if scale == 1 else f"-{body}" if scale == -1 else f"{int(scale)} * {body}"  # type: ignore[arg-type]
    return with_number(times_scalar(_as_factor(body), scalar), scale)


def _as_factor(body: str) -> str:
    if not body:
        return ""
    node = syntax.expression(body).body
    loose = isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult | ast.Add | ast.Sub)
    return f"({body})" if loose else body


def _eye_of(label: str, names: Callable[[int], str], writer: Writer) -> str:
    for index, size in enumerate(writer.book.sizes):
        try:
            if names(index) == label:
                return f"np.eye({size})"
        except KeyError:
            continue
    raise NotPlainError


class _Pieces:
    """Matrices and vectors by their labels. Summed labels are contracted one after the other."""

    def __init__(self, groups: dict[Labels, str], summed: Sequence[str], ends: Sequence[str]) -> None:
        if any(len(key) > 2 for key in groups):
            raise NotPlainError
        self.groups = dict(groups)
        self.row, self.column = ends[0] if ends else "", ends[-1] if ends else ""
        waiting = list(summed)
        while waiting:
            label = min(waiting, key=lambda one: len(self._matrices(one)))
            waiting.remove(label)
            self._contract(label)

    def _matrices(self, label: str) -> list[Labels]:
        return [key for key in self.groups if label in key and len(key) == 2]

    def _contract(self, label: str) -> None:
        matrices, vector = self._matrices(label), self.groups.pop((label,), None)
        if len(matrices) == 2:
            left, right = (self._turned(key, label) for key in matrices)
            if right[1] == self.row or (left[1] == self.column and left[1] != self.row):
                left, right = right, left
            middle = f"{left[0]} @ np.diag({vector})" if vector else left[0]
            if left[1] == right[1]:
                raise NotPlainError
            self._put((left[1], right[1]), f"{middle} @ {_turned_back(right[0])}")
        elif len(matrices) == 1:
            key = matrices[0]
            code, other = self._turned(key, label)
            if vector is None:
                base = code.removesuffix(".T") if code.endswith(".T") else code
                self._put((other,), f"np.sum({base}, axis={0 if code.endswith('.T') else 1})")
            else:
                self._put((other,), f"{code} @ {wrapped(vector)}")
        else:
            raise NotPlainError

    def _turned(self, key: Labels, label: str) -> tuple[str, str]:
        """A matrix with that label last, and its other label."""
        code = wrapped(self.groups.pop(key))
        return (code, key[0]) if key[1] == label else (f"{code}.T", key[1])

    def _put(self, key: Labels, code: str) -> None:
        known = next((one for one in self.groups if set(one) == set(key)), None)
        if known is None:
            self.groups[key] = code
            return
        turned = code if known == key else f"({code}).T"
        before = self.groups[known]
        self.groups[known] = (
            f"{wrapped(turned)} * {before if _is_product(syntax.expression(before).body) else wrapped(before)}"
        )

    def number(self) -> str:
        """Nothing is left but a number."""
        raise NotPlainError

    def vector(self, label: str) -> str | None:
        """What is left over one label."""
        return self.groups.pop((label,), None)

    def matrix(self, row: str, column: str) -> str:
        """What is left over two labels: a matrix, rows and columns scaled, or an outer product."""
        left, right = self.vector(row), self.vector(column)
        both = self.groups.pop((row, column), None)
        if both is None and (column, row) in self.groups:
            both = self._transposed(self.groups.pop((column, row)))
        if both is None:
            if left is None or right is None:
                raise NotPlainError
            return f"np.outer({left}, {right})"
        if left or right:
            both = wrapped(both) if not _is_matmul(both) else both
        both = f"np.diag({left}) @ {both}" if left else both
        return f"{both} @ np.diag({right})" if right else both

    def _transposed(self, code: str) -> str:
        """`(A.T @ B).T` is `B.T @ A`."""
        node = syntax.expression(code).body
        factors: list[ast.expr] = []
        while isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            factors.append(node.right)
            node = node.left
        factors.append(node)
        return " @ ".join(_turned_back(wrapped(ast.unparse(factor))) for factor in factors)


def _turned_back(code: str) -> str:
    """The transpose of a factor; a diagonal matrix is its own."""
    if code.startswith("np.diag("):
        return code
    return code.removesuffix(".T") if code.endswith(".T") else f"{code}.T"


def _is_matmul(code: str) -> bool:
    node = syntax.expression(code).body
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult)


def _kronecker(total: Sum, names: tuple[str, str], writer: Writer) -> list[MatrixForm]:
    """Both ways to flatten a Jacobian of a matrix by a matrix."""
    by_rows, by_columns = [], []
    for product in total.products:
        one = settled(total.with_products([product]))
        left = [*one.out, *one.into]
        if not all(form.is_plain for form in left):
            raise NotPlainError
        letters = names_for(one)
        i, j, k, m = (letters[next(indices(form))] for form in left)
        single = one.products[0]
        summed = tuple(letters[index] for index in single.summed)
        groups, scale = writer.groups(single, letters.__getitem__, (*dict.fromkeys((i, j, k, m)), *summed))
        scalar = groups.pop((), "")
        if single.deltas or single.guards or scale not in (1, -1) or scalar:
            raise NotPlainError
        pieces = _Pieces(groups, summed, (i, j))
        if (i, j) == (k, m):
            whole = pieces.matrix(i, j)
            first, second = f"np.diag({_flat(whole)})", f'np.diag({wrapped(whole)}.ravel("F"))'
        elif len({i, j, k, m}) < 3 or i == m or j == k:
            raise NotPlainError
        else:
            rows = _eye(one.out[0], writer) if i == k else pieces.matrix(i, k)
            columns = _eye(one.out[1], writer) if j == m else pieces.matrix(j, m)
            first, second = f"np.kron({rows}, {columns})", f"np.kron({columns}, {rows})"
        if pieces.groups:
            raise NotPlainError
        sign = "-" if scale == -1 else ""
        by_rows.append(sign + first)
        by_columns.append(sign + second)
    left_side = f"∂vec({names[0]})/∂vec({names[1]})"
    return [MatrixForm(left_side, _sum(by_columns), "F"), MatrixForm(left_side, _sum(by_rows), "C")]


def _flat(code: str) -> str:
    return f"{wrapped(code)}.ravel()"


def _eye(form: Form, writer: Writer) -> str:
    return f"np.eye({writer.book.sizes[next(indices(form))]})"


# -- as it is written on paper -----------------------------------------------------------------------------------------


def on_paper(code: str, *, latex: bool = False) -> str:
    """A matrix form as mathematics: `X.T @ G` is `Xᵀ G`."""
    return _Paper(latex=latex).show(syntax.expression(code).body)


_RELATIONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Gt: (r"\gt", ">"), ast.Lt: (r"\lt", "<"), ast.GtE: (r"\ge", ">="), ast.LtE: (r"\le", "<="),
    ast.Eq: ("=", "=="), ast.NotEq: (r"\ne", "!="),
}  # fmt: skip


class _Paper:
    def __init__(self, *, latex: bool) -> None:
        self.latex = latex

    def pick(self, tex: str, plain: str) -> str:
        return tex if self.latex else plain

    def show(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=value):
                return str(value)
            case ast.Name(id=name):
                return self.pick(name_latex(name), name)
            case ast.Attribute(value=ast.Name(id="np"), attr="pi"):
                return self.pick(r"\pi", "π")
            case ast.Attribute(value=value, attr="T"):
                return self._raised(value, self.pick(r"^{\top}", "ᵀ"))
            case ast.UnaryOp(operand=operand):
                return f"-{self._closed(operand)}"
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(left, op, right)
            case ast.Call():
                return self._call(node)
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _RELATIONS:
                return f"{self.show(left)} {self.pick(*_RELATIONS[type(op)])} {self.show(right)}"
        return self.pick(rf"\texttt{{{ast.unparse(node)}}}".replace("_", r"\_"), ast.unparse(node))

    def _raised(self, value: ast.expr, sign: str) -> str:
        if isinstance(value, ast.Call) and ast.unparse(value.func) == "np.linalg.inv":
            return self._closed(value.args[0]) + self.pick(r"^{-\top}", "⁻ᵀ")
        return self._closed(value) + sign

    def _closed(self, node: ast.expr) -> str:
        text = self.show(node)
        if isinstance(node, ast.BinOp | ast.UnaryOp):
            return self.pick(rf"\left({text}\right)", f"({text})")
        return text

    def _factor(self, node: ast.expr) -> str:
        loose = isinstance(node, ast.UnaryOp) or (isinstance(node, ast.BinOp) and not isinstance(node.op, ast.MatMult))
        return self._closed(node) if loose else self.show(node)

    def _binary(self, left: ast.expr, op: ast.operator, right: ast.expr) -> str:
        match op:
            case ast.Add():
                return f"{self.show(left)} + {self.show(right)}"
            case ast.Sub():
                loose = isinstance(right, ast.UnaryOp) or (
                    isinstance(right, ast.BinOp) and isinstance(right.op, ast.Add | ast.Sub)
                )
                return f"{self.show(left)} - {self._closed(right) if loose else self.show(right)}"
            case ast.MatMult():
                first = self.show(left) if _is_signed(left) else self._factor(left)
                return first + self.pick(r"\,", " ") + self._factor(right)
            case ast.Mult():
                by_number = _is_number(left) or _is_number(right)
                sign = self.pick(r"\,", " ") if by_number else self.pick(r" \odot ", " ⊙ ")
                one, other = (self.show(n) if _is_product(n) else self._closed(n) for n in (left, right))
                return f"{one}{sign}{other}"
            case ast.Div():
                if self.latex:
                    return rf"\frac{{{self.show(left)}}}{{{self.show(right)}}}"
                return f"{self.show(left) if _is_product(left) else self._closed(left)} / {self._closed(right)}"
            case ast.Pow():
                return self._closed(left) + self.pick(rf"^{{\circ {self.show(right)}}}", f"**{self._closed(right)}")
        return ast.unparse(ast.BinOp(left, op, right))

    def _call(self, node: ast.Call) -> str:
        name, args = ast.unparse(node.func), node.args
        inner = [self.show(arg) for arg in args]
        if name == "np.kron":
            one, other = map(self._closed, args)
            return one + self.pick(r" \otimes ", " ⊗ ") + other
        if name == "np.outer":
            one, other = map(self._closed, args)
            return one + self.pick(r"\,", " ") + other + self.pick(r"^{\top}", "ᵀ")
        if name == "np.eye":
            return self.pick(f"I_{{{inner[0]}}}", f"I_{inner[0]}")
        if name == "np.linalg.inv":
            return self._closed(args[0]) + self.pick("^{-1}", "⁻¹")
        if name == "np.sum":
            return self._sum(node, args)
        if name == "np.sqrt" and self.latex:
            return rf"\sqrt{{{inner[0]}}}"
        if name.endswith(".ravel") and isinstance(node.func, ast.Attribute):
            return self.pick(r"\operatorname{vec}", "vec") + f"({self.show(node.func.value)})"
        word = name.rpartition(".")[2]
        shown = rf"\operatorname{{{word}}}".replace("_", r"\_") if self.latex else word
        return f"{shown}({', '.join(inner)})"

    def _sum(self, node: ast.Call, args: Sequence[ast.expr]) -> str:
        """Sums over rows and columns are products with a vector of ones."""
        one = self.pick(r"\mathbf{1}", "1")
        space, turned = self.pick(r"\,", " "), self.pick(r"^{\top}", "ᵀ")
        axis = next((ast.unparse(k.value) for k in node.keywords if k.arg == "axis"), None)
        if axis == "1":
            return f"{self._closed(args[0])}{space}{one}"
        if axis == "0":
            return self._closed(args[0]) + turned + space + one
        return one + turned + space + self._closed(args[0])


def _is_signed(node: ast.expr) -> bool:
    """Whether a matrix has a sign or a number in front."""
    return isinstance(node, ast.UnaryOp) or (
        isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and _is_number(node.left)
    )


def _is_product(node: ast.expr) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div | ast.Pow)


def _is_number(node: ast.expr) -> bool:
    """Whether it is made of numbers alone, as `2 / 3` and `np.sqrt(2 / np.pi)` are."""
    match node:
        case ast.Constant():
            return True
        case ast.BinOp(left=left, right=right):
            return _is_number(left) and _is_number(right)
    return ast.unparse(node) == "np.pi" or (
        isinstance(node, ast.Call) and ast.unparse(node.func) == "np.sqrt" and _is_number(node.args[0])
    )
