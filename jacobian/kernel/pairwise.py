"""Two arrays contracted, as a line of a program: a broadcast product, a BLAS call, or a batch of them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import prod

import numpy as np

from jacobian.kernel.code import Code, Symbol
from jacobian.kernel.facts import common_kind
from jacobian.kernel.places import (
    Labels,
    Named,
    Sizes,
    Target,
    aligned,
    arranged,
    contiguous,
    copied,
    put,
    reshaped,
    strides_of,
)
from jacobian.kernel.products import product

WORTH_A_CALL = 2**12  # entries of a matrix for which BLAS is worth a call of its own
WORTH_A_TURN = 2**9  # the same where they would be copied twice otherwise
LONG = 16  # entries from which on a dot product is worth beginning
FEW_ENTRIES = 2**10  # of both arrays: what begins most quickly is quickest
THIN_PRODUCT = 4  # entries of a matrix product that is made of so many dot products
LARGE_PRODUCT = 2**12  # entries of a matrix product that is not to be written twice


def dot(left: object, right: object) -> str:
    """A product of vectors or matrices: the method begins in a third of the time that `@` takes."""
    return f"{left}.dot({right})"


def dots(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Dot products of the vectors along the last axis: of complex ones, too, none of which NumPy is to conjugate."""
    found: np.ndarray = np.vecdot(left.conj() if left.dtype.kind == "c" else left, right)
    return found


def pair(
    code: Code, a: Named, b: Named, kept: set[int], out: Labels | None, sizes: Sizes, target: Target | None = None,
    later: Labels = (),
) -> Named:  # fmt: skip
    """Contract two arrays over the labels that are not kept; `out` is the order wanted of the axes, if any.

    `later` are the labels that the next step sums over: a product is made such that they are its last axes.
    """
    a, b = code.as_it_lies(a), code.as_it_lies(b)
    both = [label for label in a.labels if label in b.labels]
    summed = tuple(label for label in both if label not in kept)
    if not summed:
        order = out or _ending_in(_natural(a, b), later)
        return product(code, a, b, order, sizes, target)
    batch = tuple(label for label in both if label in kept)
    rows = tuple(label for label in a.labels if label not in both)
    cols = tuple(label for label in b.labels if label not in both)
    if out is not None:
        place = out.index
        batch, rows, cols = (tuple(sorted(group, key=place)) for group in (batch, rows, cols))
        stride = strides_of(out, sizes, target)
        batch, rows, cols = _loops(out, stride, batch, rows, cols, sizes)
        if target is not None and not batch:
            batch, rows, cols = _one_by_one(stride, a, b, rows, cols, sizes)
        if out == (*batch, *cols, *rows) and rows:
            a, b, rows, cols = b, a, cols, rows
    elif not batch and a.labels == (*summed, *rows) and b.labels == (*cols, *summed):
        a, b, rows, cols = b, a, cols, rows  # then neither need be transposed
    larger = a if a.symbol.size >= b.symbol.size else b
    summed = tuple(label for label in larger.labels if label in summed)
    return _matmul(code, a, b, batch, rows, cols, summed, out, sizes, target)


def _natural(a: Named, b: Named) -> Labels:
    """The larger array's axes first or last, whichever leaves it as it lies in memory."""
    small, large = (a, b) if a.symbol.size < b.symbol.size else (b, a)
    return (*(label for label in small.labels if label not in large.labels), *large.labels)


def _ending_in(order: Labels, last: Labels) -> Labels:
    """The order with some labels at its end, unless they stand together at its beginning already."""
    end = tuple(label for label in order if label in last)
    if not end or order[: len(end)] == end:
        return order
    return (*(label for label in order if label not in last), *end)


def _matmul(
    code: Code, a: Named, b: Named, batch: Labels, rows: Labels, cols: Labels, summed: Labels, out: Labels | None,
    sizes: Sizes, target: Target | None,
) -> Named:  # fmt: skip
    def extent(labels: Labels) -> int:
        return prod(sizes[label] for label in labels)

    if batch and _are_inner(a, b, rows, cols, summed, sizes):
        return _inner(code, a, b, (*batch, *rows, *cols), summed, out, sizes, target)
    left = _stacked(code, a, batch, (rows, summed), sizes)
    right = _stacked(code, b, batch, (summed, cols), sizes)
    natural = (*batch, *rows, *cols)
    merged = (*(sizes[label] for label in batch), *([extent(rows)] if rows or batch else []),
              *([extent(cols)] if cols or batch else []))  # fmt: skip
    order = out if out is not None else natural
    products = extent((*natural, *summed))
    if target is not None:
        place = _writable(code, target, batch, rows, cols, sizes) if target.pieces is None else None
        if place is not None:
            put(code, "matmul", (left, right), place, target, products)
            return Named(target.whole, order)
    is_large = batch or prod(merged) >= LARGE_PRODUCT
    text = f"matmul({left}, {right})" if is_large else dot(left, right)  # which is quick to begin, but zeroes first
    kind = common_kind([left, right])
    result = code.let(text, [left, right], merged, new=True, kind=kind, products=products)
    named = Named(reshaped(code, result, tuple(sizes[label] for label in natural)), natural)
    return copied(code, named, target, sizes) if target is not None else Named(arranged(code, named, order), order)


def _stacked(code: Code, array: Named, batch: Labels, groups: tuple[Labels, Labels], sizes: Sizes) -> Symbol:
    """The array as a stack of matrices, or as one vector or matrix when there is no batch."""
    own = tuple(label for label in batch if label in array.labels)
    unit = [group[-1] for group in groups if group]
    strided = bool(unit) and array.labels[-1] not in unit
    if batch and array.symbol.rough and not strided:  # it may well be contiguous: then nothing is copied
        array = array._replace(symbol=contiguous(code, array.symbol))
    matrix = tuple(prod(sizes[label] for label in group) for group in groups)
    if not batch:
        whole = tuple(size for size, group in zip(matrix, groups, strict=True) if group)
        if len(whole) == 2 and array.labels == (*groups[1], *groups[0]):  # nothing is copied for it to be transposed
            return arranged(code, Named(reshaped(code, array.symbol, whole[::-1]), (1, 0)), (0, 1))
        return reshaped(code, arranged(code, array, (*groups[0], *groups[1])), whole)
    symbol = arranged(code, array, (*own, *groups[0], *groups[1]))
    if strided:
        # One copy, where matmul would not call BLAS at all otherwise: it needs a unit stride in every matrix.
        symbol = contiguous(code, symbol)
    first = batch.index(own[0]) if own else len(batch)
    front = tuple(sizes[label] if label in own else 1 for label in batch[first:])
    return reshaped(code, symbol, (*front, *matrix))


def _are_inner(a: Named, b: Named, rows: Labels, cols: Labels, summed: Labels, sizes: Sizes) -> bool:
    """Whether a batch of products is better made entry by entry: of vectors, or small ones that lie across."""
    if not rows and not cols:
        return True
    is_thin = prod(sizes[label] for label in (*rows, *cols)) <= THIN_PRODUCT
    if not is_thin or len(summed) > 1 or sizes[summed[0]] < LONG:
        return False
    return any(group and array.labels[-1] not in group for array, group in ((a, rows), (b, cols)))


def _inner(
    code: Code, a: Named, b: Named, kept: Labels, summed: Labels, out: Labels | None, sizes: Sizes,
    target: Target | None,
) -> Named:  # fmt: skip
    """Dot products of vectors, a batch of them: nothing BLAS would do better."""
    if len(summed) == 1 and (sizes[summed[0]] >= LONG or a.symbol.size + b.symbol.size <= FEW_ENTRIES):
        result = _dots(code, a, b, kept, summed, out, sizes)
        return result if target is None else copied(code, result, target, sizes)
    order = out if out is not None else kept
    letters = {label: chr(ord("a") + k) for k, label in enumerate((*kept, *summed))}

    def spelled(labels: Labels) -> str:
        return "".join(letters[label] for label in labels)

    equation = f"{spelled(a.labels)},{spelled(b.labels)}->{spelled(order)}"
    uses = [a.symbol, b.symbol]
    if target is not None and target.fresh and target.pieces is None:
        place = target.place(code, sizes)
        code.do(f"einsum({equation!r}, {a.symbol}, {b.symbol}, out={place})", [*uses, place], target.whole)
        return Named(target.whole, order)
    shape = tuple(sizes[label] for label in order)
    result = Named(code.let(f"einsum({equation!r}, {a.symbol}, {b.symbol})", uses, shape, new=True), order)
    return result if target is None else copied(code, result, target, sizes)


def _dots(
    code: Code, a: Named, b: Named, kept: Labels, summed: Labels, out: Labels | None, sizes: Sizes
) -> Named:  # fmt: skip
    """The same as NumPy's dot products, in the order in which the larger array lies unless another is wanted."""
    larger = a.labels if a.symbol.size >= b.symbol.size else b.labels
    order = out or (*(one for one in kept if one not in larger), *(one for one in larger if one in kept))
    left, right = (aligned(code, one, (*order, *summed)) for one in (a, b))
    shape, products = tuple(sizes[label] for label in order), prod(sizes[label] for label in (*kept, *summed))
    text, kind = f"{code.constant(dots, 'dots')}({left}, {right})", common_kind([left, right])
    return Named(code.let(text, [left, right], shape, new=True, kind=kind, products=products), order)


def _loops(
    out: Labels, stride: Mapping[int, int], batch: Labels, rows: Labels, cols: Labels, sizes: Sizes
) -> tuple[Labels, Labels, Labels]:
    """Rows and columns that lie in the result as one axis each; leading ones that do not become a batch."""
    first, second = _tail(rows, stride, sizes), _tail(cols, stride, sizes)
    more = sorted((*batch, *rows[:first], *cols[:second]), key=out.index)
    inner = prod(sizes[label] for label in (*rows[first:], *cols[second:]))
    return (tuple(more), rows[first:], cols[second:]) if inner >= WORTH_A_CALL else (batch, rows, cols)


def _tail(group: Labels, stride: Mapping[int, int], sizes: Sizes) -> int:
    """Where the labels begin that lie in the result as one axis, the last one among them."""
    start = max(0, len(group) - 1)
    while start and stride[group[start - 1]] == stride[group[start]] * sizes[group[start]]:
        start -= 1
    return start


def _one_by_one(
    stride: Mapping[int, int], a: Named, b: Named, rows: Labels, cols: Labels, sizes: Sizes
) -> tuple[Labels, Labels, Labels]:
    """Matrices of a stack one by one, where neither the stack nor the result has their rows as one axis.

    All at once, the stack would be copied, and the product, too.
    """
    entries = prod(sizes[label] for label in (*rows, *cols))
    for array, group in ((a, rows), (b, cols)):
        label = array.labels[0]
        rest = tuple(one for one in group if one != label)
        is_stack = label in group and tuple(one for one in array.labels if one in group) != group
        is_split = rest and _tail(group, stride, sizes) > 0 and _tail(rest, stride, sizes) == 0
        if is_stack and is_split and entries >= WORTH_A_TURN * sizes[label]:
            return (label,), *((rest, cols) if group is rows else (rows, rest))
    return (), rows, cols


def _writable(code: Code, target: Target, batch: Labels, rows: Labels, cols: Labels, sizes: Sizes) -> Symbol | None:
    """The target as a stack of matrices that BLAS can write to; None when its strides do not allow it."""
    stride = dict(zip(target.labels, target.strides, strict=True))
    merged: list[int] = []
    for group in (rows, cols):
        for outer, inner in pairwise(group):
            if stride[outer] != stride[inner] * sizes[inner]:
                return None
        merged.append(stride[group[-1]] if group else 0)
    if target.itemsize not in merged:
        return None
    merged = [step or target.itemsize * max(1, prod(sizes[k] for k in (*rows, *cols))) for step in merged]
    stacked = [sizes[k] for k in batch], [stride[k] for k in batch]
    for group, step in zip((rows, cols), merged, strict=True):
        if group or batch:
            stacked[0].append(prod(sizes[k] for k in group))
            stacked[1].append(step)
    return target.view(code, tuple(stacked[0]), tuple(stacked[1]))
