"""Eliminating δ, collecting what is equal, and moving the δ that stay to the left side."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from jacobian.display.derivation_terms import Book, Product, Range, Sum, guard_text
from jacobian.kernel import notation
from jacobian.kernel.access import Form, Lookup, combine, constant, indices, plain, substitute


@dataclass(frozen=True)
class Elimination:
    """What one step replaced: the index by the position, because of which δ."""

    index: int
    form: Form
    result: Sum


def eliminate(total: Sum) -> Elimination | None:
    """Carry out one sum that a δ decides, in every product where it is the same; None when there is none."""
    for product in total.products:
        found = _decided(product, total.book)
        if found is None:
            continue
        index, form = found
        products = []
        for one in total.products:
            meant = combine((1, plain(index)), (-1, form))
            same = index in one.summed and any(
                combine((sign, a), (-sign, b)) == meant for a, b in one.deltas for sign in (1, -1)
            )
            products.append(_carried_out(one, index, form, total.book) if same else one)
        return Elimination(index, form, total.with_products(products))
    return None


def _decided(product: Product, book: Book) -> tuple[int, Form] | None:
    for a, b in product.deltas:
        for one, other in ((a, b), (b, a)):
            if one.is_plain and next(indices(one)) in product.summed and next(indices(one)) not in set(indices(other)):
                return next(indices(one)), other
    for a, b in product.deltas:  # i - k = j: the sum over k leaves k = i - j
        parts = combine((1, a), (-1, b)).parts
        if any(isinstance(atom, Lookup) or abs(stride) != 1 for atom, stride in parts):
            continue
        for atom, stride in parts:
            if atom in product.summed:
                return atom, combine((-stride, a), (stride, b), (1, plain(atom)))
    return None


def _carried_out(product: Product, index: int, form: Form, book: Book) -> Product:
    done = product.bound({index: form})
    if book.stays(form, book.sizes[index]):
        return done
    return replace(done, guards=(*done.guards, (form, book.sizes[index])))


def simplified(total: Sum) -> Sum:
    """Sums over indices that nothing holds are numbers; equal products are added; brackets that always hold go."""
    merged: dict[str, Product] = {}
    for product in total.products:
        idle = [index for index in product.summed if not _says(product, index)]
        scale = product.scale
        product = product.bound(dict.fromkeys(set(idle) & set(indices(*product.forms)), constant(0)))
        for index in idle:
            scale = scale * total.book.sizes[index]
        guards = tuple(one for one in product.guards if not _is_implied(one, product, total.book))
        kept = tuple(index for index in product.summed if index not in idle)
        product = replace(product, scale=scale, guards=guards, summed=kept)
        key = _key(total, product)
        before = merged.get(key)
        merged[key] = product if before is None else replace(before, scale=before.scale + product.scale)
    return total.with_products(product for product in merged.values() if product.scale != 0)


def _says(product: Product, index: int) -> bool:
    """Whether an index stands in a product as it is written, where equal factors above and below the line are gone."""
    if index not in set(indices(*product.forms)):
        return False
    return f"Index{index}_" in replace(product, summed=()).text(lambda one: f"Index{one}_")


def _is_implied(guard: Range, product: Product, book: Book) -> bool:
    """Whether a bracket says nothing new: an entry outside its array is 0, and δ are between places on axes."""
    form, extent = guard
    if book.stays(form, extent):
        return True
    for read in product.reads:
        for axis, (one, size) in enumerate(zip(read.forms, np.shape(read.array), strict=True)):
            if one == form and size <= extent and _vanishes_outside(read.label, axis):
                return True
    return any(form in pair and all(book.stays(one, extent) for one in pair if one != form) for pair in product.deltas)


_POWER = re.compile(r"\w+\[[@\d,]+\](\*\*[1-9])?")


def _vanishes_outside(label: str, axis: int) -> bool:
    """Whether a factor is 0 where its array has no entry along an axis: `2 * x[i]**2` is, but not `cos(x[i])`."""
    pieces = label.split(" * ")
    return "@" not in label or any(f"@{axis}" in piece and _POWER.fullmatch(piece) for piece in pieces)


def _key(total: Sum, product: Product) -> str:
    """Equal for products that differ in their number and in the names of summed indices only."""
    fixed = total.book.names(indices(*total.out, *total.into))

    def rough(index: int) -> str:
        return fixed.get(index, "?")

    bare = replace(product, scale=1, summed=())
    reads = sorted(bare.reads, key=lambda read: notation.factor_text(read.label, read.forms, rough, 1))
    ordered = replace(bare, reads=tuple(reads))
    order = [*indices(*total.out, *total.into), *indices(*ordered.forms)]
    names = total.book.names(order)
    pieces = [notation.factor_text(read.label, read.forms, names.__getitem__, 1) for read in ordered.reads]
    deltas = sorted(sorted(notation.form_text(form, names.__getitem__) for form in pair) for pair in ordered.deltas)
    guards = sorted(guard_text(form, extent, names.__getitem__) for form, extent in ordered.guards)
    return repr((sorted(pieces), deltas, guards, len(product.summed)))


def settled(total: Sum, *, tables: bool = False) -> Sum:
    """The δ between free indices moved to the left side, where all products have the same ones.

    Positions from tables are moved only if that is asked for.
    """
    if not total.products:
        return total
    first = total.products[0].deltas
    if any({frozenset(d) for d in product.deltas} != {frozenset(d) for d in first} for product in total.products):
        return total
    out, into, products = total.out, total.into, total.products
    for a, b in first:
        for one, other in ((b, a), (a, b)):
            index = next(indices(one), -1)
            if other.has_lookup and not tables:
                continue
            if not one.is_plain or index in set(indices(other)) or not total.book.stays(other, total.book.sizes[index]):
                continue
            free = set(indices(*out, *into))
            if index not in free or not set(indices(other)) <= free:
                continue
            bindings = {index: other}
            out, into = (tuple(substitute(form, bindings) for form in side) for side in (out, into))
            products = tuple(product.bound(bindings) for product in products)
            return settled(Sum(out, into, products, total.book), tables=tables)
    return total
