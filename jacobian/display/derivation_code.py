"""The last line of a derivation as NumPy code: einsums where all positions are plain, index grids elsewhere."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from jacobian.display.derivation_deltas import settled
from jacobian.display.derivation_nodes import HELPERS
from jacobian.display.derivation_terms import Book, Product, Read, Sum, over_and_under
from jacobian.kernel import notation, syntax
from jacobian.kernel.access import Form, indices
from jacobian.kernel.pattern import Shape
from jacobian.kernel.term import Scalar
from jacobian.ops import REGISTRY

Labels = tuple[str, ...]
WIDTH = 100


class NotPlainError(Exception):
    """A label or a position that an einsum does not have; index grids do. Never leaves this file."""


def aligned(code: str, labels: Labels, order: Labels) -> str:
    """The code of an array with its axes in that order, missing ones having length 1."""
    wanted = [label for label in order if label in labels]
    if tuple(wanted) != labels:
        turned = [labels.index(label) for label in wanted]
        code = f"{wrapped(code)}.T" if turned == [1, 0] else f"{wrapped(code)}.transpose({', '.join(map(str, turned))})"
    first = next((k for k, label in enumerate(order) if label in labels), len(order))
    rest = order[first:]
    if not labels or all(label in labels for label in rest):
        return code
    return f"{wrapped(code)}[{', '.join(':' if label in labels else 'None' for label in rest)}]"


def wrapped(code: str) -> str:
    """In brackets, if it is an operation."""
    try:
        body = syntax.expression(code).body
    except SyntaxError:
        return f"({code})"
    simple = isinstance(body, ast.Name | ast.Call | ast.Subscript | ast.Attribute)
    return code if simple or (isinstance(body, ast.Constant)) else f"({code})"


def labelled(node: ast.expr, order: Labels, known: Iterable[str]) -> tuple[str, Labels]:
    """Code for an expression of entries, and the labels of its axes."""
    match node:
        case ast.Constant():
            return ast.unparse(node), ()
        case ast.Name(id=name):
            return (name if name in known else _numpy(name)), ()
        case ast.Subscript(value=value):
            return _read(node, value, known)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            code, labels = labelled(operand, order, known)
            return f"-{_factor(code)}", labels
        case ast.BinOp(left=left, op=op, right=right):
            parts = [labelled(left, order, known), labelled(right, order, known)]
            merged = _merged([labels for _, labels in parts], order)
            codes = [aligned(code, labels, merged) for code, labels in parts]
            return _joined(op, codes), merged
        case ast.Call(func=func, args=args, keywords=[]):
            found = [labelled(arg, order, known) for arg in args]
            merged = _merged([labels for _, labels in found], order)
            inner = ", ".join(_bare(aligned(code, labels, merged)) for code, labels in found)
            return f"{_numpy(ast.unparse(func))}({inner})", merged
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            parts = [labelled(left, order, known), labelled(right, order, known)]
            merged = _merged([labels for _, labels in parts], order)
            codes = [aligned(code, labels, merged) for code, labels in parts]
            return f"({codes[0]} {_COMPARED[type(op)]} {codes[1]})", merged
    raise NotPlainError


def _bare(code: str) -> str:
    """A comparison as an argument needs no brackets of its own."""
    inner = code[1:-1]
    if code.startswith("(") and code.endswith(")"):
        try:
            return inner if isinstance(syntax.expression(inner).body, ast.Compare) else code
        except SyntaxError:
            return code
    return code


def _merged(every: Sequence[Labels], order: Labels) -> Labels:
    """All labels: as the array that has them all has them, else in the order given."""
    found = {label for labels in every for label in labels}
    whole = next((labels for labels in every if len(labels) == len(found)), None)
    return whole if whole is not None else tuple(label for label in order if label in found)


_COMPARED: Mapping[type[ast.cmpop], str] = {
    ast.Gt: ">", ast.Lt: "<", ast.GtE: ">=", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
_SIGNS: Mapping[type[ast.operator], str] = {
    ast.Add: " + ", ast.Sub: " - ", ast.Mult: " * ", ast.Div: " / ", ast.Pow: "**", ast.Mod: " % ",
}  # fmt: skip


def _joined(op: ast.operator, codes: Sequence[str]) -> str:
    sign = _SIGNS.get(type(op))
    if sign is None:
        raise NotPlainError
    if isinstance(op, ast.Add | ast.Sub):
        right = codes[1] if isinstance(op, ast.Add) else _factor(codes[1])
        return f"{codes[0]}{sign}{right}"
    if isinstance(op, ast.Mult):
        return f"{_factor(codes[0])}{sign}{_factor(codes[1])}"
    if isinstance(op, ast.Pow):
        return f"{wrapped(codes[0])}{sign}{wrapped(codes[1])}"
    return f"{_factor(codes[0])}{sign}{wrapped(codes[1])}"


def _factor(code: str) -> str:
    """In brackets if it is a sum or begins with a minus."""
    return f"({code})" if _is_loose(code) else code


def _is_loose(code: str) -> bool:
    body = syntax.expression(code).body
    return isinstance(body, ast.UnaryOp | ast.Compare) or (
        isinstance(body, ast.BinOp) and isinstance(body.op, ast.Add | ast.Sub)
    )


def _read(node: ast.Subscript, value: ast.expr, known: Iterable[str]) -> tuple[str, Labels]:
    base = plain_code(value, known)
    places = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    labels: list[str] = []
    picked: list[str] = []
    for place in places:
        if isinstance(place, ast.Name):
            labels.append(place.id)
            picked.append(":")
        elif isinstance(place, ast.Constant):
            picked.append(str(place.value))
        else:
            raise NotPlainError
    if len(set(labels)) < len(labels):
        raise NotPlainError
    if all(one == ":" for one in picked):
        return base, tuple(labels)
    while picked[-1] == ":":
        picked.pop()
    return f"{wrapped(base)}[{', '.join(picked)}]", tuple(labels)


def plain_code(node: ast.expr, known: Iterable[str]) -> str:
    """An expression without labels, with NumPy's functions by their full names."""

    class Named(ast.NodeTransformer):
        def visit_Call(self, call: ast.Call) -> ast.AST:
            self.generic_visit(call)
            return ast.Call(syntax.expression(_numpy(ast.unparse(call.func))).body, call.args, call.keywords)

        def visit_Name(self, name: ast.Name) -> ast.AST:
            return name if name.id in known or name.id not in ("pi", "e") else ast.Name(f"np.{name.id}")

    return ast.unparse(ast.fix_missing_locations(Named().visit(copy.deepcopy(node))))


def _numpy(name: str) -> str:
    if name in HELPERS or name.startswith("np."):
        return name
    for space, module in (("np", np), ("np.linalg", np.linalg), ("np.fft", np.fft)):
        if hasattr(module, name):
            return f"{space}.{name}"
    if name in REGISTRY:
        return f"jac.ops.{name}"
    raise NotPlainError


# -- products ----------------------------------------------------------------------------------------------------------


class Writer:
    """Writes sums as code; `known` are the names of arrays, `table` gives a table's name."""

    def __init__(self, book: Book, known: Iterable[str]) -> None:
        self.book = book
        self.known = set(known)

    def groups(self, product: Product, names: Callable[[int], str], order: Labels) -> tuple[dict[Labels, str], Scalar]:
        """The factors of a product by the labels of their axes, multiplied entry by entry; and the number in front."""
        texts = [notation.factor_text(read.label, read.forms, names, nth + 1) for nth, read in enumerate(product.reads)]
        if isinstance(product.scale, complex):
            raise NotPlainError
        number, texts = notation.without_numbers(product.scale, texts)
        over, under, scale = over_and_under(texts, number)
        found: dict[Labels, list[str]] = {}
        for text in over:
            code, labels = labelled(_parsed(text), order, self.known)
            known = next((one for one in found if set(one) == set(labels)), labels)
            found.setdefault(known, []).append(aligned(code, labels, known))
        merged = {labels: multiplied(codes) for labels, codes in found.items()}
        for text in under:
            code, labels = labelled(_parsed(text), order, self.known)
            home = next((one for one in merged if labels and set(labels) <= set(one)), None)
            if home is not None:
                merged[home] = f"{_factor(merged[home])} / {wrapped(aligned(code, labels, home))}"
            else:
                before = merged.get(labels)
                merged[labels] = f"{_factor(before) if before else 1} / {wrapped(code)}"
        return merged, scale

    def value(self, product: Product, names: Callable[[int], str], free: Labels) -> tuple[str, Labels]:
        """A product with plain positions: its code, and the labels of its axes in the order of `free`.

        Raises:
            NotPlainError: it has other positions.
        """
        if product.deltas or product.guards or not all(map(self._is_whole, product.reads)):
            raise NotPlainError
        summed = tuple(names(index) for index in product.summed)
        groups, scale = self.groups(product, names, (*free, *summed))
        scalar = groups.pop((), "")
        carried = tuple(label for label in free if any(label in labels for labels in groups))
        operands = [(code, labels) for labels, code in groups.items()]
        if not summed:
            pieces = [aligned(code, labels, carried) for code, labels in operands]
        elif len(operands) == 1 and len(operands[0][1]) == len(carried) + len(summed):
            code, labels = operands[0]
            axes = [k for k, label in enumerate(labels) if label in summed]
            rest = tuple(label for label in labels if label in carried)
            where = "" if not rest else f", axis={axes[0] if len(axes) == 1 else tuple(axes)}"
            pieces = [aligned(f"np.sum({code}{where})", rest, carried)]
        else:
            letters = _einsum_letters((*carried, *summed))
            spec = ",".join("".join(letters[label] for label in labels) for _, labels in operands)
            out = "".join(letters[label] for label in carried)
            pieces = [f'np.einsum("{spec}->{out}", {", ".join(code for code, _ in operands)})']
        return with_number(times_scalar(multiplied(pieces), scalar), scale), carried

    def _is_whole(self, read: Read) -> bool:
        """Whether every index runs along the whole axis at which it stands alone."""
        axes = zip(read.forms, np.shape(read.array), strict=True)
        return all(self.book.sizes[next(indices(form))] == size for form, size in axes if form.is_plain)

    def grid(self, product: Product, names: Callable[[int], str], free: Labels) -> str:
        """A product as it is written, on index grids; a number where none is free."""
        pieces: list[str] = []
        inside: dict[str, None] = {}

        def place(form: Form, extent: int) -> str:
            text = form_code(form, names)
            if self.book.stays(form, extent):
                return text
            inside[f"(0 <= {text}) * ({text} < {extent})"] = None
            return f"({text}) % {extent}"

        for a, b in product.deltas:
            pieces.append(f"({form_code(a, names)} == {form_code(b, names)})")
        for form, extent in product.guards:
            text = form_code(form, names)
            pieces.append(f"({text} == 0)" if extent == 1 else f"(0 <= {text}) * ({text} < {extent})")
        reads = [_factor(self._on_grid(read, place)) for read in product.reads]
        pieces += reads
        pieces += inside
        scale = product.scale
        if not isinstance(scale, complex) and scale < 0 and pieces[0] not in reads:
            pieces.insert(0, "-1.0")  # what is true or false has no minus
            scale = -scale
        code = with_number(" * ".join(pieces), scale)
        if product.summed and not free:
            code = f"np.sum({code})"
        elif product.summed:
            axes = tuple(range(-len(product.summed), 0))
            code = f"np.sum({code}, axis={axes[0] if len(axes) == 1 else axes}, keepdims=True)"
        return code

    def _on_grid(self, read: Read, place: Callable[[Form, int], str]) -> str:
        shape = np.shape(read.array)
        marks = {
            f"P{axis}_": place(form, size) for axis, (form, size) in enumerate(zip(read.forms, shape, strict=True))
        }
        label = read.label if notation.is_placed(read.label) else notation.indexed_label(read.label, len(shape))
        text = plain_code(_parsed(re.sub(r"@(\d+)", r"P\1_", label)), self.known)
        for mark, position in marks.items():
            text = text.replace(mark, position)
        return text


def _parsed(text: str) -> ast.expr:
    try:
        return syntax.expression(text).body
    except SyntaxError:
        raise NotPlainError from None


def _einsum_letters(labels: Labels) -> dict[str, str]:
    spare = iter("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    free = [letter for letter in spare if letter not in labels]
    return {label: label if len(label) == 1 else free.pop(0) for label in labels}


def multiplied(codes: Sequence[str], always: str = "") -> str:
    """Codes as one product."""
    shown = [code for code in codes if code]
    if not shown:
        return always
    if len(shown) == 1:
        return shown[0]
    first, *rest = shown
    body = f"({first})" if _is_loose(first) and not first.startswith("-") else first
    return " * ".join([body, *(_factor(code) for code in rest)])


def times_scalar(code: str, scalar: str) -> str:
    """Times a scalar factor; `1 / s` divides."""
    if scalar.startswith("1 / ") and code:
        return f"{_factor(code)} / {scalar[4:]}"
    return multiplied([one for one in (scalar, code) if one])


def with_number(code: str, scale: Scalar) -> str:
    """A number times a product: `2 * code`, `-code`, `code / 5`."""
    if isinstance(scale, complex):
        raise NotPlainError
    sign, size = "-" if scale < 0 else "", abs(scale)
    number = number_code(notation.number_text(size))
    if not code:
        return sign + number
    if size == 1:
        return f"-{_factor(code)}" if sign else code
    if number.startswith("1 / "):
        return f"{sign}{_factor(code)} / {number[4:]}"
    return f"{sign}{number} * {_factor(code)}"


def number_code(text: str) -> str:
    """A number as code: `2*pi` is `2 * np.pi`."""
    return plain_code(syntax.expression(text).body, ())


def form_code(form: Form, names: Callable[[int], str]) -> str:
    """A position as code."""
    return notation.form_text(form, names)


def tensor_lines(total: Sum, shape: Shape, name: str, writer: Writer) -> list[str]:
    """Statements after which `name` is the full tensor."""
    parts = [settled(total.with_products([product]), tables=True) for product in total.products]
    if not parts:
        return [f"{name} = np.zeros({shape})"]
    joint = settled(total, tables=True)
    if not any(product.deltas for product in joint.products):
        parts = [joint.with_products([product]) for product in joint.products]
    dense = _dense(parts, shape, name, writer)
    if dense is not None:
        return dense
    written: dict[tuple[str, str], list[str]] = {}
    for part in parts:
        grid, place, code = _written(part, writer)
        written.setdefault((grid, place), []).append(code)
    lines, before = [f"{name} = np.zeros({shape})"], ""
    for (grid, place), codes in written.items():
        if grid and grid != before:
            lines.append(grid)
        before = grid
        value = _added(codes)
        sign = "=" if len(written) == 1 else "+="
        if sign == "+=" and len(codes) == 1 and value.startswith("-") and not _is_sum(value):
            sign, value = "-=", value[1:]
        lines.append(f"{name}[{place}] {sign} {value}")
    return lines


def _dense(parts: Sequence[Sum], shape: Shape, name: str, writer: Writer) -> list[str] | None:
    """One expression, where every axis is an index of its own."""
    left = [*parts[0].out, *parts[0].into]
    plain = all(form.is_plain or (not form.parts and size == 1) for form, size in zip(left, shape, strict=True))
    same = all((part.out, part.into) == (parts[0].out, parts[0].into) for part in parts)
    if not plain or not same:
        return None
    free_indices = [next(indices(form)) for form in left if form.parts]
    if len(set(free_indices)) < len(free_indices):
        return None
    names = names_for(parts[0].with_products(p for part in parts for p in part.products))
    free = tuple(names[index] for index in free_indices)
    try:
        found = [writer.value(part.products[0], names.__getitem__, free) for part in parts]
    except NotPlainError:
        return None
    codes = [aligned(code, carried, free) if carried else code for code, carried in found]
    total = _added(codes)
    whole = tuple(size for size in shape if size != 1)
    if not any(carried == free for _, carried in found):
        total = f"np.broadcast_to({total}, {whole})" if whole else total
    if whole != shape:
        total = f"np.reshape({total}, {shape})"
    return [f"{name} = {total}"]


def _added(codes: Sequence[str]) -> str:
    if len(codes) > 1:  # two truths have no sum
        codes = [f"1.0 * {code}" if _is_truth(syntax.expression(code).body) else code for code in codes]
    total = codes[0]
    for code in codes[1:]:
        total += f" - {code[1:]}" if code.startswith("-") and not _is_sum(code) else f" + {code}"
    return total


def _is_truth(node: ast.expr) -> bool:
    """Whether it is true or false, entry by entry."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return _is_truth(node.left) and _is_truth(node.right)
    return isinstance(node, ast.Compare)


def _is_sum(code: str) -> bool:
    body = syntax.expression(code).body
    return isinstance(body, ast.BinOp) and isinstance(body.op, ast.Add | ast.Sub)


def _written(part: Sum, writer: Writer) -> tuple[str, str, str]:
    """One product where it belongs: the index grids, the positions, and the values."""
    product = part.products[0]
    names = names_for(part)
    left = [*part.out, *part.into]
    free_indices = list(dict.fromkeys(indices(*left)))
    free = tuple(names[index] for index in free_indices)
    place = ", ".join(form_code(form, names.__getitem__) for form in left) or "..."  # a number has no positions
    try:
        code, carried = writer.value(product, names.__getitem__, free)
        code, grid = aligned(code, carried, free) if carried else code, free_indices
    except NotPlainError:
        code, grid = writer.grid(product, names.__getitem__, free), [*free_indices, *product.summed]
    if not grid:
        return "", place, code
    if len(grid) == 1:
        return f"{names[grid[0]]} = np.arange({writer.book.sizes[grid[0]]})", place, code
    sizes = ", ".join(f":{writer.book.sizes[index]}" for index in grid)
    return f"{', '.join(names[index] for index in grid)} = np.ogrid[{sizes}]", place, code


def names_for(total: Sum) -> dict[int, str]:
    """Letters for what is written."""
    return total.book.names(total.order())
