"""Sums of products with every δ written out: what a derivation on paper is about, and how its δ are eliminated.

A Jacobian of the kernel has its δ as shared indices already. Here every axis of the output and of the input has an
index of its own at first, so that the derivation can show where each δ comes from and where it goes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from jacobian.kernel import notation
from jacobian.kernel.access import (
    Form,
    Table,
    combine,
    constant,
    indices,
    inside,
    plain,
    relabel,
    substitute,
)
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Shape
from jacobian.kernel.term import Scalar, Term

Axes = tuple[Form, ...]
Delta = tuple[Form, Form]
Range = tuple[Form, int]
Names = Callable[[int], str]


class Book:
    """The indices of a derivation and the tables that positions are looked up in: sizes, and names when printed."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.sizes: list[int] = []
        self.tables: list[Any] = []  # of integers
        self.taken = frozenset(taken)

    def index(self, size: int) -> int:
        """A new index."""
        self.sizes.append(size)
        return len(self.sizes) - 1

    def axes(self, shape: Shape) -> Axes:
        """One index for each axis; an axis of length 1 is always at 0."""
        return tuple(constant(0) if size == 1 else plain(self.index(size)) for size in shape)

    def table(self, array: Any) -> int:
        """The number of a table, the same for the same table."""
        for number, known in enumerate(self.tables):
            if known is array or (known.size and np.array_equal(known, array)):
                return number
        self.tables.append(array)
        return len(self.tables) - 1

    def stays(self, form: Form, extent: int) -> bool:
        """Whether a position provably lies on an axis of that length."""
        tables = [Table(table.shape, int(table.max(initial=-1)) + 1) for table in self.tables]
        return inside(form, extent, self.sizes, tables)

    def names(self, order: Iterable[int]) -> dict[int, str]:
        """Letters for indices in the order given; none that an array bears."""
        letters = (notation.letter(k) for k in range(10_000))
        free = (letter for letter in letters if letter not in self.taken)
        return {index: next(free) for index in dict.fromkeys(order)}


@dataclass(frozen=True)
class Read:
    """An array that is read at some positions, and how it is written: `@0`, … stand for the positions."""

    label: str
    array: Any
    forms: Axes

    def moved(self, bindings: Mapping[int, Form]) -> Read:
        """The same at other positions."""
        return replace(self, forms=tuple(substitute(form, bindings) for form in self.forms))


@dataclass(frozen=True)
class Product:
    """`scale · δ … · [0 <= …] · factors`, summed over some indices."""

    scale: Scalar = 1
    deltas: tuple[Delta, ...] = ()
    guards: tuple[Range, ...] = ()
    reads: tuple[Read, ...] = ()
    summed: tuple[int, ...] = ()

    @property
    def forms(self) -> Iterator[Form]:
        """Every position in it."""
        for delta in self.deltas:
            yield from delta
        for form, _ in self.guards:
            yield form
        for read in self.reads:
            yield from read.forms

    def bound(self, bindings: Mapping[int, Form]) -> Product:
        """Indices replaced by positions; δ of equals are gone."""
        deltas = [(substitute(a, bindings), substitute(b, bindings)) for a, b in self.deltas]
        kept = {frozenset(pair): pair for pair in deltas if pair[0] != pair[1]}
        guards = [(substitute(form, bindings), extent) for form, extent in self.guards]
        return Product(
            self.scale, tuple(kept.values()),
            tuple(dict.fromkeys(one for one in guards if one[0].parts or not 0 <= one[0].offset < one[1])),
            tuple(read.moved(bindings) for read in self.reads),
            tuple(index for index in self.summed if index not in bindings),
        )  # fmt: skip

    def times(self, other: Product) -> Product:
        """The product of two, whose summed indices are their own."""
        return Product(
            self.scale * other.scale, self.deltas + other.deltas, self.guards + other.guards, self.reads + other.reads,
            self.summed + other.summed,
        )  # fmt: skip

    def text(self, names: Names) -> str:
        """As it is written; the sign stands in front."""
        pieces = [delta_text(a, b, names) for a, b in self.deltas]
        for nth, read in enumerate(self.reads):
            piece = notation.factor_text(read.label, read.forms, names, nth + 1)
            pieces.append(piece)
        scale = self.scale
        if not isinstance(scale, complex):
            scale, pieces = notation.without_numbers(scale, pieces)
        pieces, under, scale = over_and_under(pieces, scale)
        fraction = under and not isinstance(scale, complex) and re.fullmatch(r"-?1/\d+", notation.number_text(scale))
        if fraction:  # 1/5 * a / b is a / (5 * b)
            under, scale = [notation.number_text(scale).partition("/")[2], *under], scale * abs(1 / scale)
        below = _below(under)
        alone = len(pieces) == 1 and not self.guards and scale == 1 and not self.summed and not below
        pieces = [f"({piece})" if not alone and notation.is_sum(piece) else piece for piece in pieces]
        for form, extent in self.guards:
            pieces.append(guard_text(form, extent, names))
        sign = "-" if not isinstance(scale, complex) and scale < 0 else ""
        size = abs(scale) if sign else scale
        if size != 1 or not pieces:
            pieces.insert(0, notation.number_text(size))
        body = " * ".join(pieces) + (f" / {below}" if below else "")
        if self.summed:
            body = f"Σ_{','.join(names(index) for index in self.summed)} {body}"
        return sign + body


def guard_text(form: Form, extent: int, names: Names) -> str:
    """An Iverson bracket."""
    text = notation.form_text(form, names)
    return f"[{text} = 0]" if extent == 1 else f"[0 <= {text} < {extent}]"


def delta_text(a: Form, b: Form, names: Names) -> str:
    """`δ[i,j]`, in the order of the letters; what is more than a letter stands last."""
    pair = sorted([(not form.is_plain, notation.form_text(form, names)) for form in (a, b)])
    return f"δ[{pair[0][1]},{pair[1][1]}]"


def over_and_under(pieces: Sequence[str], scale: Scalar) -> tuple[list[str], list[str], Scalar]:
    """Quotients among the factors become one: what stands above, what stands below, and the number in front."""
    over: list[str] = []
    under: list[str] = []
    for piece in map(_unwrapped, pieces):
        above, below = _quotient(piece)
        number = re.fullmatch(r"\d+(\.\d+)?", above)
        if number and not isinstance(scale, complex):
            scale = scale * float(above)
        else:
            over += [above] if notation.is_sum(above) else _split(above, " * ")
        if re.fullmatch(r"\d+(\.\d+)?", below) and not isinstance(scale, complex) and float(below):
            scale = scale / float(below)
        elif below:
            under.append(below)
    for piece in list(under):
        if piece in over:
            over.remove(piece)
            under.remove(piece)
    return over, under, scale


def _below(under: Sequence[str]) -> str:
    """What stands below the line."""
    counts = {piece: under.count(piece) for piece in dict.fromkeys(under)}
    shown = [f"{_in_brackets(piece)}**{count}" if count > 1 else piece for piece, count in counts.items()]
    below = shown[0] if len(shown) == 1 and not _is_product(shown[0]) else f"({' * '.join(map(_loose, shown))})"
    return below if shown else ""


def _unwrapped(piece: str) -> str:
    """`(1 / s)` without its brackets; a sum keeps them."""
    inner = piece[1:-1]
    whole = piece.startswith("(") and piece.endswith(")")
    if not whole or inner.count("(") != inner.count(")") or notation.is_sum(inner):
        return piece
    depth = 0
    for character in inner:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            return piece
    return inner


def _split(text: str, sign: str) -> list[str]:
    """A text taken apart at a sign outside of all brackets."""
    found, depth, start = [], 0, 0
    for place, character in enumerate(text):
        depth += character in "([{"
        depth -= character in ")]}"
        if depth == 0 and text.startswith(sign, place):
            found.append(text[start:place])
            start = place + len(sign)
    return [*found, text[start:]]


def _loose(piece: str) -> str:
    return f"({piece})" if notation.is_sum(piece) else piece


def _is_product(text: str) -> bool:
    outside = _outside_brackets(text)
    return " * " in outside or " / " in outside or notation.is_sum(text)


def _in_brackets(text: str) -> str:
    return f"({text})" if _is_product(text) or "**" in _outside_brackets(text) else text


def _quotient(piece: str) -> tuple[str, str]:
    """A factor's last division at the top: what stands above and what below."""
    if notation.is_sum(piece):
        return piece, ""
    depth = 0
    for place in range(len(piece) - 1, -1, -1):
        depth += piece[place] in ")]}"
        depth -= piece[place] in "([{"
        if depth == 0 and piece.startswith(" * ", place):
            return piece, ""
        if depth == 0 and piece.startswith(" / ", place):
            return piece[:place], piece[place + 3 :]
    return piece, ""


def _outside_brackets(text: str) -> str:
    depth, kept = 0, []
    for character in text:
        depth += character in "([{"
        if depth == 0:
            kept.append(character)
        depth -= character in ")]}"
    return "".join(kept)


@dataclass(frozen=True)
class Sum:
    """A Jacobian as a sum of products; `out` and `into` are the positions on its left side."""

    out: Axes
    into: Axes
    products: tuple[Product, ...]
    book: Book = field(repr=False)

    def order(self) -> list[int]:
        """Every index, those of the left side first."""
        found = list(indices(*self.out, *self.into))
        for product in self.products:
            found += [*indices(*product.forms), *product.summed]
        return list(dict.fromkeys(found))

    def right(self, names: Names) -> str:
        """The right side."""
        return notation.sum_text(product.text(names) for product in self.products) or "0"

    def with_products(self, products: Iterable[Product]) -> Sum:
        """Another right side."""
        return replace(self, products=tuple(products))

    def with_axes(self, out: Axes, into: Axes) -> Sum:
        """The same with other indices on the left; summed ones become new ones, so that nothing is mixed up."""
        bindings = dict(_renaming(self.out, out)) | dict(_renaming(self.into, into))
        products = []
        for product in self.products:
            fresh = {index: plain(self.book.index(self.book.sizes[index])) for index in product.summed}
            moved = product.bound({**bindings, **fresh})
            products.append(replace(moved, summed=tuple(next(indices(form)) for form in fresh.values())))
        return Sum(out, into, tuple(products), self.book)


def _renaming(old: Axes, new: Axes) -> Iterator[tuple[int, Form]]:
    for before, after in zip(old, new, strict=True):
        if before.is_plain:
            yield next(indices(before)), after


def of_jacobian(J: Jacobian, book: Book, out: Axes, into: Axes, labels: Callable[[Term, int], str]) -> Sum:
    """A Jacobian with an index of its own for each axis; δ wherever its terms share indices."""
    return Sum(out, into, tuple(_of_term(term, J, book, out, into, labels) for term in J.terms), book)


def _of_term(term: Term, J: Jacobian, book: Book, out: Axes, into: Axes, labels: Callable[[Term, int], str]) -> Product:
    pattern = term.pattern
    ends = list(zip((*out, *into), (*pattern.out, *pattern.into), (*J.out_shape, *J.in_shape), strict=True))
    known: dict[int, Form] = {index: constant(0) for index, size in enumerate(pattern.sizes) if size == 1}
    pending: list[Delta] = []
    for axis, form, extent in ends:
        index = next(indices(form), -1)
        if form.is_plain and index not in known and pattern.sizes[index] == extent:
            known[index] = axis
        else:
            pending.append((axis, form))
    summed: list[int] = []
    for index, size in enumerate(pattern.sizes):
        if index not in known:
            summed.append(book.index(size))
            known[index] = plain(summed[-1])
    slots = {slot: book.table(table) for slot, table in enumerate(term.tables)}

    def moved(form: Form) -> Form:
        shifted = relabel(form, lambda index: index + _FAR, slots.__getitem__)
        return substitute(shifted, {index + _FAR: new for index, new in known.items()})

    deltas = tuple((axis, moved(form)) for axis, form in pending)
    reads = tuple(
        Read(labels(term, k), factor.array, tuple(moved(form) for form in access.forms))
        for k, (factor, access) in enumerate(zip(term.factors, pattern.factors, strict=True))
    )
    guards = tuple((moved(guard.form), guard.extent) for guard in pattern.guards)
    return Product(term.scale, deltas, guards, reads, tuple(summed)).bound({})


_FAR = 1 << 40
"""Indices of a term are moved out of the way of those of the book before they are replaced."""


def of_reshape(out_shape: Shape, in_shape: Shape, book: Book, out: Axes, into: Axes) -> Sum:
    """Positions counted in C-order are equal, group by group of axes that go together."""
    deltas: list[Delta] = []
    a = b = 0
    while a < len(out_shape) or b < len(in_shape):
        left, right = ([], 1), ([], 1)  # type: tuple[list[int], int], tuple[list[int], int]
        left, a = _taken(out_shape, a)
        right, b = _taken(in_shape, b)
        while left[1] != right[1]:
            if left[1] < right[1]:
                more, a = _taken(out_shape, a)
                left = (left[0] + more[0], left[1] * more[1])
            else:
                more, b = _taken(in_shape, b)
                right = (right[0] + more[0], right[1] * more[1])
        one, other = _counted(out, left[0], out_shape), _counted(into, right[0], in_shape)
        deltas.append((one, other))
    return Sum(out, into, (Product(deltas=tuple(deltas)).bound({}),), book)


def _taken(shape: Shape, place: int) -> tuple[tuple[list[int], int], int]:
    """The next axis, if there is one."""
    return (([place], shape[place]), place + 1) if place < len(shape) else (([], 1), place)


def _counted(axes: Axes, places: Sequence[int], shape: Shape) -> Form:
    total = constant(0)
    for place in places:
        total = combine((shape[place], total), (1, axes[place]))
    return total
