"""Arrays of a program whose axes carry labels, and places in larger arrays that results are written to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any, NamedTuple

import numpy as np

from jacobian.kernel.code import Code, Symbol
from jacobian.kernel.lines import Call
from jacobian.kernel.pattern import Shape
from jacobian.kernel.pieces import Piece, write_pieces
from jacobian.kernel.threads import is_worthwhile

Labels = tuple[int, ...]
Sizes = Mapping[int, int]

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

    def arranged(self, order: Labels) -> Target:
        """The same place with its axes in that order."""
        stride = dict(zip(self.labels, self.strides, strict=True))
        return self._replace(labels=order, strides=tuple(stride[label] for label in order))

    def call(self, function: str, arguments: Sequence[Symbol], place: Symbol) -> str:
        """The text that has a function of entries write to the place, an axis for every label."""
        given, on_all_cores = ", ".join(map(str, arguments)), is_worthwhile(place.shape, self.strides)
        if function == "copyto" and not on_all_cores:
            same = arguments[0].kind is not None and arguments[0].kind == place.kind
            return f"{place}[...] = {given}" if same else f"copyto({place}, {given})"
        return Call(function, given).into(place.name, on_all_cores=on_all_cores)


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


def contiguous(code: Code, symbol: Symbol) -> Symbol:
    """The array, its entries one after another in memory."""
    return code.let(f"ascontiguousarray({symbol})", [symbol], symbol.shape, kind=symbol.kind)


def strides_of(out: Labels, sizes: Sizes, target: Target | None) -> dict[int, int]:
    """How far apart entries of the result lie: in the target, or in an array of its own."""
    if target is not None:
        return dict(zip(target.labels, target.strides, strict=True))
    return {label: prod(sizes[after] for after in out[place + 1 :]) for place, label in enumerate(out)}


def written(
    code: Code, function: str, arguments: Sequence[Symbol], target: Target, sizes: Sizes, products: int = 0
) -> Named:  # fmt: skip
    """Call a function of entries that writes its result, its axes in the target's order, to the target."""
    place = target.place(code, sizes)
    uses = [*arguments, place]
    if target.pieces is not None:
        _put_pieces(code, getattr(np, function), arguments, place, target)
    elif target.fresh:
        call = Call(function, ", ".join(map(str, arguments)), place.name)
        code.do(target.call(function, arguments, place), uses, target.whole, products=products, call=call)
    elif is_worthwhile(place.shape, target.strides):
        adding = code.constant(partial(_add, getattr(np, function)), "add")
        given = ", ".join(map(str, arguments))
        code.do(f"on_all_cores({adding}, {given}, out={place}, most={THIN})", uses, target.whole, adds=True)
    else:
        _add_slices(code, function, arguments, place, target)
    return Named(target.whole, target.labels)


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


def put(
    code: Code, function: str, arguments: Sequence[Symbol], place: Symbol, target: Target, products: int
) -> None:  # fmt: skip
    """Write a result to a place, or add it there."""
    if not target.fresh:
        _add_slices(code, function, arguments, place, target, products)
        return
    text = f"{function}({', '.join(map(str, arguments))}, out={place})"
    code.do(text, [*arguments, place], target.whole, products=products)


def _add(function: Callable[..., Any], *given: Any, out: np.ndarray) -> None:
    """Add a function of what is given to what is there."""
    np.add(out, function(*given), out=out)


def _put_pieces(
    code: Code, function: Callable[..., Any] | None, arguments: Sequence[Symbol], place: Symbol, target: Target
) -> None:
    """Write only where the target's pieces are."""
    assert target.pieces is not None
    writing = code.constant(partial(write_pieces, function, target.pieces, target.fresh), "write")
    texts = ", ".join(map(str, (place, *arguments)))
    code.do(f"{writing}({texts})", [*arguments, place], target.whole, adds=not target.fresh)


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
