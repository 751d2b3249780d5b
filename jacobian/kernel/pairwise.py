"""Two arrays contracted, as a line of a program: a broadcast product, a BLAS call, or a batch of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

import numpy as np

from jacobian.kernel.code import LARGE, Code, Symbol, common_kind
from jacobian.kernel.pattern import Shape
from jacobian.kernel.pieces import Piece, write_pieces
from jacobian.kernel.threads import is_worthwhile

Labels = tuple[int, ...]
Sizes = Mapping[int, int]

WORTH_A_CALL = 2**12  # entries of a matrix for which BLAS is worth a call of its own
WORTH_A_TURN = 2**9  # the same where they would be copied twice otherwise
LARGE_PRODUCT = 2**12  # entries of a matrix product that is not to be written twice
LONG_LOOP = 2**8  # entries that NumPy's inner loop should run over
SHORT_ROW = 2**6  # entries of a last axis that NumPy copies rows of to its buffer, if it finds no longer one
WIDE = 2**14  # entries of a product for which its operands are written out
CHEAP = 8  # times as many entries a product must have as what is written out for it
THIN = 2**15  # entries that are added at once to what is there already


class Named(NamedTuple):
    """An array of a program whose axes carry labels."""

    symbol: Symbol
    labels: Labels


class Target(NamedTuple):
    """Where a result is to be written: a view of a C-contiguous array, given by strides and offset in bytes.

    What is there already is added to, unless nobody wrote there yet. `pieces` says where alone something is written.
    """

    whole: Symbol
    labels: Labels
    strides: Shape
    offset: int
    dtype: Symbol
    itemsize: int
    fresh: bool = True
    pieces: tuple[Piece, ...] | None = None

    def place(self, code: Code, sizes: Sizes) -> Symbol:
        """The place itself, an axis for every label."""
        return self.view(code, tuple(sizes[label] for label in self.labels), self.strides)

    def view(self, code: Code, shape: Shape, strides: Shape) -> Symbol:
        """The place, its axes merged or reordered as the strides say."""
        return code.place(self.whole, shape, self.offset, strides, self.dtype)

    def call(self, function: str, arguments: Sequence[Symbol], place: Symbol) -> str:
        """The text that has a function of entries write to the place, an axis for every label."""
        given = ", ".join(map(str, arguments))
        if is_worthwhile(place.shape, self.strides):
            return f"on_all_cores({function}, {given}, out={place})"
        return f"copyto({place}, {given})" if function == "copyto" else f"{function}({given}, out={place})"


def arranged(code: Code, array: Named, order: Labels) -> Symbol:
    """The array with its axes in that order: a view."""
    if array.labels == order:
        return array.symbol
    axes = tuple(array.labels.index(label) for label in order)
    shape = tuple(array.symbol.shape[axis] for axis in axes)
    text = f"{array.symbol}.T" if axes == (1, 0) else f"{array.symbol}.transpose{axes}"
    rough = array.symbol.rough or axes[-1] != len(axes) - 1
    return code.let(text, [array.symbol], shape, rough=rough, view_of=array.symbol)


def reshaped(code: Code, symbol: Symbol, shape: Shape) -> Symbol:
    """The array in another shape."""
    if symbol.shape == shape:
        return symbol
    return code.let(f"{symbol}.reshape({shape})", [symbol], shape, rough=symbol.rough, view_of=symbol)


def aligned(code: Code, array: Named, order: Labels) -> Symbol:
    """The array over all labels of `order`, with axes of size 1 for those it does not carry."""
    own = tuple(label for label in order if label in array.labels)
    symbol = arranged(code, array, own)
    if own == order:
        return symbol
    first = next(position for position, label in enumerate(order) if label in own) if own else len(order)
    if own == order[first:]:  # broadcasting puts missing axes in front by itself
        return symbol
    picks = ",".join(":" if label in own else "None" for label in order)
    sizes = dict(zip(own, symbol.shape, strict=True))
    return code.let(
        f"{symbol}[{picks}]", [symbol], tuple(sizes.get(label, 1) for label in order), rough=symbol.rough,
        view_of=symbol,
    )  # fmt: skip


def product(code: Code, a: Named, b: Named, out: Labels, sizes: Sizes, target: Target | None) -> Named:
    """A product without a sum, in the order of `out`."""
    shape = tuple(sizes[label] for label in out)
    strides = tuple(_strides(out, sizes, target)[label] for label in out)
    left, right = _widened(code, [aligned(code, a, out), aligned(code, b, out)], shape, strides)
    if target is not None:
        return written(code, "multiply", (left, right), target, sizes)
    ordered = bool(shape) and left.size >= LARGE
    text = f"multiply({left}, {right}, order='C')" if ordered else f"{left} * {right}"
    return Named(code.apply(text, "multiply", [left, right], shape), out)


def _widened(code: Code, operands: Sequence[Symbol], shape: Shape, strides: Shape) -> list[Symbol]:
    """Operands of a large product with their last axes written out, so that NumPy's inner loop is long.

    Where one operand carries the last axis and the other the one before, every inner loop would be as short as that
    last axis. Writing both axes out costs little when the result has many more. Where it does not, for the other
    operand, it helps to do so for the one that carries the last axis, if that is short.
    """
    if not shape or prod(shape) < WIDE:
        return list(operands)
    longest = _last_axes(shape, strides)
    choices = [[_wide(operand, shape, count) for operand in operands] for count in range(longest, 0, -1)]
    if shape[-1] < SHORT_ROW:
        carry_last = [operand.ndim > 0 and operand.shape[-1] == shape[-1] for operand in operands]
        choices.insert(-1, [new if one else None for new, one in zip(choices[0], carry_last, strict=True)])
    for wide in choices:
        if CHEAP * sum(prod(new) for new in wide if new is not None) <= prod(shape):
            pairs = zip(operands, wide, strict=True)
            return [operand if new is None else _written_out(code, operand, new) for operand, new in pairs]
    return list(operands)


def _last_axes(shape: Shape, strides: Shape) -> int:
    """How many last axes make a long loop, as far as they lie one behind the other in the result."""
    count = 1
    while (
        count < len(shape)
        and prod(shape[-count:]) < LONG_LOOP
        and strides[-count - 1] == strides[-count] * shape[-count]
    ):
        count += 1
    return count


def _wide(operand: Symbol, shape: Shape, count: int) -> Shape | None:
    """The operand's shape with so many last axes of a product written out; None if that would change nothing."""
    own = (1,) * (len(shape) - len(operand.shape)) + operand.shape
    tail = shape[-count:]
    if (own[-count:] == tail and not operand.rough) or prod(own[-count:]) == 1:
        return None
    return (*own[:-count], *tail)


def _written_out(code: Code, operand: Symbol, shape: Shape) -> Symbol:
    if operand.shape == shape:
        return _contiguous(code, operand)
    text = f"array(broadcast_to({operand}, {shape}), order='C')"
    return code.let(text, [operand], shape, new=True, kind=operand.kind)


def pair(
    code: Code, a: Named, b: Named, kept: set[int], out: Labels | None, sizes: Sizes, target: Target | None = None,
    later: Labels = (),
) -> Named:  # fmt: skip
    """Contract two arrays over the labels that are not kept; `out` is the order wanted of the axes, if any.

    `later` are the labels that the next step sums over: a product is made such that they are its last axes.
    """
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
        stride = _strides(out, sizes, target)
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

    if not rows and not cols and batch:
        return _inner(code, a, b, batch, summed, out, sizes, target)
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
            _put(code, "matmul", (left, right), place, target, products)
            return Named(target.whole, order)
    call = "matmul" if batch or prod(merged) >= LARGE_PRODUCT else "dot"  # which is quick to begin, but zeroes first
    kind = common_kind([left, right])
    result = code.let(f"{call}({left}, {right})", [left, right], merged, new=True, kind=kind, products=products)
    named = Named(reshaped(code, result, tuple(sizes[label] for label in natural)), natural)
    return copied(code, named, target, sizes) if target is not None else Named(arranged(code, named, order), order)


def written(code: Code, function: str, arguments: Sequence[Symbol], target: Target, sizes: Sizes) -> Named:
    """Call a function of entries that writes its result, its axes in the target's order, to the target."""
    place = target.place(code, sizes)
    uses = [*arguments, place]
    if target.pieces is not None:
        _put_pieces(code, getattr(np, function), arguments, place, target)
    elif target.fresh:
        code.do(target.call(function, arguments, place), uses, target.whole)
    elif is_worthwhile(place.shape, target.strides):
        adding = code.constant(partial(_add, getattr(np, function)), "add")
        given = ", ".join(map(str, arguments))
        code.do(f"on_all_cores({adding}, {given}, out={place}, most={THIN})", uses, target.whole, adds=True)
    else:
        _add_slices(code, function, arguments, place, target)
    return Named(target.whole, target.labels)


def _add(function: Callable[..., Any], *arguments: Any) -> None:
    """Add a function of all arguments but the last to that one."""
    *given, place = arguments
    np.add(place, function(*given), out=place)


def copied(code: Code, named: Named, target: Target, sizes: Sizes) -> Named:
    """Write a result to the target."""
    place, symbol = target.place(code, sizes), aligned(code, named, target.labels)
    if target.pieces is not None:
        _put_pieces(code, None, [symbol], place, target)
        return Named(target.whole, target.labels)
    if target.fresh:
        code.copy(target.call("copyto", [symbol], place), symbol, place, target.whole)
    else:
        code.do(target.call("add", [place, symbol], place), [symbol, place], target.whole, adds=True)
    return Named(target.whole, target.labels)


def _put_pieces(
    code: Code, function: Callable[..., Any] | None, arguments: Sequence[Symbol], place: Symbol, target: Target
) -> None:
    """Write only where the target's pieces are."""
    assert target.pieces is not None
    writing = code.constant(partial(write_pieces, function, target.pieces, target.fresh), "write")
    texts = ", ".join(map(str, (place, *arguments)))
    code.do(f"{writing}({texts})", [*arguments, place], target.whole, adds=not target.fresh)


def _put(
    code: Code, function: str, arguments: Sequence[Symbol], place: Symbol, target: Target, products: int
) -> None:  # fmt: skip
    """Write a result to a place, or add it there."""
    if not target.fresh:
        _add_slices(code, function, arguments, place, target, products)
        return
    text = f"{function}({', '.join(map(str, arguments))}, out={place})"
    code.do(text, [*arguments, place], target.whole, products=products)


def _add_slices(
    code: Code, function: str, arguments: Sequence[Symbol], place: Symbol, target: Target, products: int = 0
) -> None:
    """Add a result to a place, in slices so thin that they stay in the cache."""
    uses = [*arguments, place]
    texts = [str(argument) for argument in arguments]
    count = place.shape[0]
    thin = max(1, THIN // max(1, place.size // count))
    sliced = _sliced(function, arguments, place)
    if thin >= count or not sliced:
        code.do(f"{place} += {function}({', '.join(texts)})", uses, target.whole, adds=True, products=products)
        return
    thin_texts = [f"{text}[s:s+{thin}]" if which else text for text, which in zip(texts, sliced, strict=True)]
    text = f"for s in range(0, {count}, {thin}): {place}[s:s+{thin}] += {function}({', '.join(thin_texts)})"
    code.do(text, uses, target.whole, adds=True, products=products)


def _sliced(function: str, arguments: Sequence[Symbol], place: Symbol) -> list[bool]:
    """Which arguments have the first axis of the result; none when it cannot be told."""
    if function == "matmul" and place.ndim == 2:
        return [True, False] if arguments[0].ndim == 2 and arguments[1].ndim == 2 else []
    found = [argument.ndim == place.ndim and argument.shape[0] == place.shape[0] for argument in arguments]
    return found if any(found) and place.ndim > 1 else []


def _stacked(code: Code, array: Named, batch: Labels, groups: tuple[Labels, Labels], sizes: Sizes) -> Symbol:
    """The array as a stack of matrices, or as one vector or matrix when there is no batch."""
    own = tuple(label for label in batch if label in array.labels)
    unit = [group[-1] for group in groups if group]
    strided = bool(unit) and array.labels[-1] not in unit
    if batch and array.symbol.rough and not strided:  # it may well be contiguous: then nothing is copied
        array = array._replace(symbol=_contiguous(code, array.symbol))
    symbol = arranged(code, array, (*own, *groups[0], *groups[1]))
    if batch and strided:
        # One copy, where matmul would not call BLAS at all otherwise: it needs a unit stride in every matrix.
        symbol = _contiguous(code, symbol)
    matrix = tuple(prod(sizes[label] for label in group) for group in groups)
    if not batch:
        return reshaped(code, symbol, tuple(size for size, group in zip(matrix, groups, strict=True) if group))
    first = batch.index(own[0]) if own else len(batch)
    front = tuple(sizes[label] if label in own else 1 for label in batch[first:])
    return reshaped(code, symbol, (*front, *matrix))


def _contiguous(code: Code, symbol: Symbol) -> Symbol:
    return code.let(f"ascontiguousarray({symbol})", [symbol], symbol.shape, kind=symbol.kind)


def _inner(
    code: Code, a: Named, b: Named, batch: Labels, summed: Labels, out: Labels | None, sizes: Sizes,
    target: Target | None,
) -> Named:  # fmt: skip
    """Dot products of vectors, a batch of them: nothing BLAS would do better."""
    order = out if out is not None else batch
    letters = {label: chr(ord("a") + k) for k, label in enumerate((*batch, *summed))}

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


def _strides(out: Labels, sizes: Sizes, target: Target | None) -> dict[int, int]:
    """How far apart entries of the result lie: in the target, or in an array of its own."""
    if target is not None:
        return dict(zip(target.labels, target.strides, strict=True))
    return {label: prod(sizes[after] for after in out[place + 1 :]) for place, label in enumerate(out)}


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
