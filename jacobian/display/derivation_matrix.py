"""The matrix form of a derivation where there is one: `Xᵀ G`, `diag(d) W`, `u vᵀ`, `B ⊗ A`, each run and compared."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jacobian.display.derivation_code import (
    NotPlainError,
    Writer,
    aligned,
    exact,
    multiplied,
    names_for,
    wrapped,
)
from jacobian.display.derivation_terms import Product, Read, Sum, settled
from jacobian.kernel.access import Form, indices
from jacobian.kernel.latex import name_latex

Labels = tuple[str, ...]


class Form2(NamedTuple):
    """A matrix form: its left side, its right side as code, and what it is the form of."""

    left: str
    code: str
    what: str


def matrix_forms(
    total: Sum, names: tuple[str, str], shapes: tuple[tuple[int, ...], tuple[int, ...]], writer: Writer
) -> list[Form2]:
    """Candidates, the caller runs each: `J` flattened in both orders, or the gradient, and the downstream form."""
    out, into = shapes
    found: list[Form2] = []
    left = f"∂{names[0]}/∂{names[1]}"
    try:
        if 1 in (*out, *into):
            return []
        if len(out) + len(into) <= 2:
            found.append(Form2(left, _whole(total, writer), "J"))
        elif len(out) == len(into) == 2:
            found += _kronecker(total, names, writer)
    except NotPlainError:
        pass
    try:
        if out and 1 not in (*out, *into) and len(into) in (1, 2):
            loss, upstream = _loss_and_upstream(names, writer)
            code = _whole(_downstream(total, upstream, out), writer, {upstream})
            found.append(Form2(f"∂{loss}/∂{names[1]}", code, upstream))
    except NotPlainError:
        pass
    return found


def _loss_and_upstream(names: tuple[str, str], writer: Writer) -> tuple[str, str]:
    taken = {*writer.known, *names}
    pick = [next(name for name in choice if name not in taken) for choice in (("L", "loss", "L_"), ("G", "upstream", "G_"))]
    return pick[0], pick[1]


def _downstream(total: Sum, upstream: str, shape: tuple[int, ...]) -> Sum:
    """The upstream times the Jacobian: every output index is summed, and its δ are gone."""
    products = []
    for product in total.products:
        read = Read(upstream, np.zeros(shape), total.out)
        one = Product(
            product.scale, product.deltas, product.guards, (read, *product.reads),
            (*dict.fromkeys(indices(*total.out)), *product.summed),
        )  # fmt: skip
        single = Sum((), total.into, (one,), total.book)
        from jacobian.display.derivation_terms import eliminate

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
    groups = {key: multiplied(codes) for key, codes in writer.groups(product, names, (*distinct, *summed)).items()}
    if any(len(key) > 2 for key in groups):
        raise NotPlainError
    scalar = groups.pop((), "")
    scale = product.scale
    pieces = _Pieces(groups)
    if len(labels) == 2 and len(distinct) == 1:
        body = _diagonal(pieces.vector(labels[0]), writer, names, product, labels[0])
    elif len(labels) == 2:
        body = pieces.matrix(*labels)
    elif labels:
        body = pieces.vector(labels[0]) or ""
    else:
        body = pieces.number()
    if pieces.groups or not body:
        raise NotPlainError
    sign = "-" if scale < 0 else ""  # type: ignore[operator]
    size = "" if abs(scale) == 1 else exact(abs(scale)) if abs(scale) != int(abs(scale).real) else str(int(abs(scale)))  # type: ignore[arg-type]
    front = multiplied([one for one in (size, scalar) if one])
    return f"{sign}{multiplied([front, _as_factor(body)]) if front else _as_term(body)}"


def _as_factor(body: str) -> str:
    node = ast.parse(body, mode="eval").body
    loose = isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult | ast.Add | ast.Sub)
    return f"({body})" if loose else body


def _as_term(body: str) -> str:
    node = ast.parse(body, mode="eval").body
    return f"({body})" if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub) else body


def _diagonal(vector: str | None, writer: Writer, names: Any, product: Product, label: str) -> str:
    if vector:
        return f"np.diag({vector})"
    size = next(writer.book.sizes[index] for index in range(len(writer.book.sizes)) if _called(names, index) == label)
    return f"np.eye({size})"


def _called(names: Callable[[int], str], index: int) -> str | None:
    try:
        return names(index)
    except KeyError:
        return None


class _Pieces:
    """Matrices and vectors by their labels, taken one after the other."""

    def __init__(self, groups: dict[Labels, str]) -> None:
        self.groups = dict(groups)

    def number(self) -> str:
        """All labels summed: u · v, or the sum of a vector."""
        label = next((key[0] for key in self.groups if len(key) == 1), None)
        if label is None:
            raise NotPlainError
        left = self.groups.pop((label,))
        right = self.vector(label)
        return f"{wrapped(left)} @ {wrapped(right)}" if right else f"np.sum({left})"

    def vector(self, label: str) -> str | None:
        """What is left over one label: a vector, a matrix times a vector, or a row sum."""
        own = self.groups.pop((label,), None)
        key = next((key for key in self.groups if label in key), None)
        if key is None:
            return own
        code, other = self.groups.pop(key), key[1 - key.index(label)]
        if any(label in one for one in self.groups):
            raise NotPlainError
        rest = self.vector(other)
        if rest is None:
            product = f"np.sum({code}, axis={key.index(other)})"
        elif key[0] == label:
            product = f"{wrapped(code)} @ {wrapped(rest)}"
        else:
            product = f"{wrapped(code)}.T @ {wrapped(rest)}"
        return product if own is None else f"{wrapped(own)} * ({product})"

    def matrix(self, row: str, column: str) -> str:
        """A chain of matrices from one label to the other, or an outer product; times what has both labels."""
        both = self.groups.pop((row, column), None)
        if both is None and (column, row) in self.groups:
            both = f"{wrapped(self.groups.pop((column, row)))}.T"
        chain = self._chain(row, column) if any(self.groups) else None
        if both is None:
            if chain is None:
                raise NotPlainError
            return chain
        return both if chain is None else f"{wrapped(both)} * ({chain})"

    def _chain(self, row: str, column: str) -> str:
        steps: list[str] = []
        at = row
        while True:
            scale = self.groups.pop((at,), None)
            touching = [key for key in self.groups if at in key]
            if scale is not None:
                steps.append(f"np.diag({scale})" if touching or steps else scale)
            if at == column:
                return " @ ".join(steps) if len(steps) > 1 or not steps else steps[0]
            if not touching:
                return self._outer(steps, row, column, scale)
            if len(touching) > 1:
                raise NotPlainError
            key = touching[0]
            code = wrapped(self.groups.pop(key))
            steps.append(code if key[0] == at else f"{code}.T")
            at = key[1 - key.index(at)]

    def _outer(self, steps: list[str], row: str, column: str, last: str | None) -> str:
        """No way from row to column: two vectors."""
        if len(steps) == 1 and last is not None:
            left = steps[0]
        elif len(steps) > 1 and last is not None:  # a diagonal that stands last is a vector
            left = " @ ".join([*steps[:-1], wrapped(last)])
        elif steps:
            left = f"np.sum({' @ '.join(steps)}, axis=1)"
        else:
            raise NotPlainError
        right = self.vector(column)
        if right is None:
            raise NotPlainError
        return f"np.outer({left}, {right})"


def _kronecker(total: Sum, names: tuple[str, str], writer: Writer) -> list[Form2]:
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
        if single.deltas or single.guards or single.scale not in (1, -1):
            raise NotPlainError
        summed = tuple(letters[index] for index in single.summed)
        groups = {
            key: multiplied(codes)
            for key, codes in writer.groups(single, letters.__getitem__, (*dict.fromkeys((i, j, k, m)), *summed)).items()
        }
        if (i, j) == (k, m):
            whole = groups.pop((i, j), None)
            if groups or whole is None:
                raise NotPlainError
            first, second = f"np.diag({_flat(whole)})", f'np.diag({wrapped(whole)}.ravel("F"))'
        elif len({i, j, k, m}) < 3 or i == m or j == k:
            raise NotPlainError
        else:
            pieces = _Pieces(groups)
            rows = _eye(one.out[0], writer) if i == k else pieces.matrix(i, k)
            columns = _eye(one.out[1], writer) if j == m else pieces.matrix(j, m)
            if pieces.groups:
                raise NotPlainError
            first, second = f"np.kron({rows}, {columns})", f"np.kron({columns}, {rows})"
        sign = "-" if single.scale == -1 else ""
        by_rows.append(sign + first)
        by_columns.append(sign + second)
    left_side = f"∂vec({names[0]})/∂vec({names[1]})"
    return [Form2(left_side, _sum(by_columns), "F"), Form2(left_side, _sum(by_rows), "C")]


def _flat(code: str) -> str:
    return f"{wrapped(code)}.ravel()"


def _eye(form: Form, writer: Writer) -> str:
    return f"np.eye({writer.book.sizes[next(indices(form))]})"


# -- as it is written on paper -----------------------------------------------------------------------------------------


def on_paper(code: str, *, latex: bool = False) -> str:
    """A matrix form as mathematics: `X.T @ G` is `Xᵀ G`."""
    return _Paper(latex=latex).show(ast.parse(code, mode="eval").body)


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
            case ast.Attribute(value=value, attr="T"):
                return self._raised(value, self.pick(r"^{\top}", "ᵀ"))
            case ast.UnaryOp(operand=operand):
                return f"-{self._closed(operand)}"
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(left, op, right)
            case ast.Call():
                return self._call(node)
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
                return f"{self.show(left)} - {self._factor(right)}"
            case ast.MatMult():
                return self._factor(left) + self.pick(r"\,", " ") + self._factor(right)
            case ast.Mult():
                by_number = isinstance(left, ast.Constant) or isinstance(right, ast.Constant) or _is_quotient(left)
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


def _is_product(node: ast.expr) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div | ast.Pow)


def _is_quotient(node: ast.expr) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and isinstance(node.left, ast.Constant)


__all__ = ["Form2", "aligned", "matrix_forms", "on_paper"]
