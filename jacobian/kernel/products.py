"""Two arrays multiplied without a sum, as a line of a program.

NumPy's loop begins anew for every row of the result along which its operands do not go on alike. For short rows that
takes several times as long as the products. Then last axes of the operands are written out, where that costs little;
else BLAS is called for matrices, each of a column and a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from math import prod

import numpy as np

from jacobian.kernel.code import Code, Symbol
from jacobian.kernel.facts import LARGE, common_kind
from jacobian.kernel.lines import Call
from jacobian.kernel.pattern import Shape
from jacobian.kernel.places import Labels, Named, Sizes, Target, aligned, contiguous, strides_of, written

LONG_LOOP = 2**8  # entries that NumPy's inner loop should run over
SHORT_ROW = 2**6  # entries of a last axis that NumPy copies rows of to its buffer, if it finds no longer one
WIDE = 2**14  # entries of a product for which its operands are written out
CHEAP = 8  # times as many entries a product must have as what is written out for it
ROWS = 16  # of a matrix: where there are so many, those that lie next to each other are taken
START = 16  # entries that could be copied while an inner loop begins

_ZERO, _ONE = np.zeros(()), np.ones(())


def product(code: Code, a: Named, b: Named, out: Labels, sizes: Sizes, target: Target | None) -> Named:
    """A product without a sum, in the order of `out`."""
    shape = tuple(sizes[label] for label in out)
    stride = strides_of(out, sizes, target)
    strides = tuple(stride[label] for label in out)
    (left, right), loop = _widened(code, [aligned(code, a, out), aligned(code, b, out)], shape, strides)
    if loop < LONG_LOOP and prod(shape) >= WIDE:
        made = _by_matrices(code, a, b, out, sizes, target)
        if made is not None:
            return made
    if target is not None:
        return written(code, "multiply", (left, right), target, sizes)
    if shape and left.size >= LARGE:
        text = f"multiply({left}, {right}, order='C')"
        return Named(code.apply(text, "multiply", [left, right], shape), out)
    return Named(code.times(left, right, shape), out)


def _by_matrices(
    code: Code, a: Named, b: Named, out: Labels, sizes: Sizes, target: Target | None
) -> Named | None:  # fmt: skip
    """A product as matrices, each of a column and a row; None where that is not worth it."""
    kind = common_kind([a.symbol, b.symbol])
    if kind is None or kind.char not in "fd" or (target is not None and not (target.fresh and target.pieces is None)):
        return None
    unit = 1 if target is None else target.itemsize
    matrix = _matrix_axes(a.labels, b.labels, strides_of(out, sizes, target), unit, sizes)
    order = (*(label for label in out if label not in matrix), *matrix)
    if not matrix or (target is None and order != out and sizes[matrix[0]] < ROWS):
        return None
    column, row = (a, b) if matrix[0] in a.labels else (b, a)
    given = [aligned(code, column, order), aligned(code, row, order)]
    function, shape = str(code.constant(outer, "outer")), tuple(sizes[label] for label in order)
    products = 2 * prod(shape)
    if target is not None:
        return written(code, function, given, target.arranged(order), sizes, products)
    if order != out:
        axes = tuple(map(out.index, order))
        function = str(code.made_once(("outer", axes), lambda: partial(outer_in, axes), "outer"))
        text = f"{function}({given[0]}, {given[1]})"
        shape = tuple(sizes[label] for label in out)
        return Named(code.let(text, given, shape, new=True, kind=kind, products=products), out)
    text = f"{function}({given[0]}, {given[1]})"
    return Named(code.apply(text, function, given, shape, products=products), out)


def _matrix_axes(a: Labels, b: Labels, strides: Mapping[int, int], unit: int, sizes: Sizes) -> Labels:
    """Which axes of a product are those of matrices, each of a column and a row; none where that is not worth it.

    `strides` are those of the result, `unit` is the one of neighbours.
    """
    last = next((label for label, step in strides.items() if step == unit and sizes[label] > 1), None)
    if last is None or (last in a) == (last in b) or sizes[last] >= LONG_LOOP:
        return ()
    columns, rows = (b, a) if last in a else (a, b)
    others = [label for label in columns if label not in rows and strides[label] >= unit * sizes[last]]
    first = max(others, key=lambda label: (min(sizes[label], ROWS), -strides[label]), default=last)
    loops = prod(sizes[label] for label in strides) // sizes[last]
    copied = sum(prod(sizes[label] for label in labels) for labels in (a, b))
    return (first, last) if first != last and sizes[first] > 1 and copied <= START * loops else ()


def outer(column: np.ndarray, row: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """`multiply(column, row, out)`, where one is of size 1 along the last axis and the other along the last but one."""
    found: np.ndarray
    if out is not None and out.strides[-1] != out.itemsize:  # not for BLAS
        found = np.multiply(column, row, out=out)
    elif column.ndim == 2 and row.size == row.shape[-1] and (out is None or out.flags.c_contiguous):
        found = np.dot(column, row.reshape(1, -1), out)
    else:
        found = _two(column, _ZERO, row, _ZERO, out)
    return found


def outer_in(axes: Sequence[int], column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """The same as a new array, of which it is a view with its axes in that order."""
    shape = np.broadcast_shapes(column.shape, row.shape)
    found = np.empty([shape[axes.index(axis)] for axis in range(len(axes))], np.result_type(column, row))
    outer(column, row, found.transpose(axes))
    return found


def outer_and(column: np.ndarray, row: np.ndarray, more: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The same, added to what is another column or another row of the matrix."""
    if more.ndim and more.shape[-1] > 1:
        return _two(column, _ONE, row, more, out)
    return _two(column, more, row, _ONE, out)


def _two(
    column: np.ndarray, other_column: np.ndarray, row: np.ndarray, other_row: np.ndarray, out: np.ndarray | None
) -> np.ndarray:  # fmt: skip
    """Two columns times two rows: for these NumPy calls BLAS, and not for one of each."""
    columns, rows = _both(column, other_column, -1), _both(row, other_row, -2)
    found: np.ndarray = np.matmul(columns, rows, out=out)
    return found


def _both(one: np.ndarray, other: np.ndarray, axis: int) -> np.ndarray:
    """Two arrays of size 1 along one of the last two axes as one of size 2."""
    shape = list(np.broadcast_shapes(one.shape, other.shape, (1, 1)))
    shape[axis] = 2
    found = np.empty(shape, one.dtype)
    if axis == -1:
        found[..., :1], found[..., 1:] = one, other
    else:
        found[..., :1, :], found[..., 1:, :] = one, other
    return found


def added_to_matrices(code: Code, named: Named, target: Target, sizes: Sizes) -> bool:
    """Have an array added to matrices as they are made, where it is a column or a row of them; tell whether it is."""
    position = max((k for k, line in enumerate(code.lines) if line.target == target.whole.name), default=-1)
    line = code.lines[position]
    if line.call is None or code.constants.get(line.call.function) is not outer or target.pieces is not None:
        return False
    if any(target.whole.name in later.uses for later in code.lines[position + 1 :]):
        return False
    place = code.symbols[line.call.place]
    label_of = dict(zip(target.strides, target.labels, strict=True))
    order = tuple(label_of.get(step, -1) for step in place.strides or ())
    if sorted(order) != sorted(target.labels) or target.arranged(order).place(code, sizes) is not place:
        return False
    more = aligned(code, named, order)
    if min((1, 1, *more.shape)[-2:]) > 1 or more.kind != place.kind:
        return False
    call = Call(str(code.constant(outer_and, "outer")), f"{line.call.given}, {more}", place.name)
    text = call.into(place.name, on_all_cores=line.text.startswith("on_all_cores"))
    del code.lines[position]
    code.lines.append(line._replace(text=text, uses=line.uses | {more.name}, call=call))
    return True


def _widened(
    code: Code, operands: Sequence[Symbol], shape: Shape, strides: Shape
) -> tuple[Sequence[Symbol], int]:  # fmt: skip
    """Operands of a large product with their last axes written out, so that NumPy's inner loop is long; and how long.

    Where one operand carries the last axis and the other the one before, every inner loop would be as short as that
    last axis. Writing both axes out costs little when the result has many more. Where it does not, for the other
    operand, it helps to do so for the one that carries the last axis, if that is short.
    """
    if not shape or prod(shape) < WIDE:
        return operands, 1
    longest = _last_axes(shape, strides)
    choices = [
        (prod(shape[-count:]), [_wide(operand, shape, count) for operand in operands])
        for count in range(longest, 0, -1)
    ]
    if shape[-1] < SHORT_ROW:
        carry_last = [operand.ndim > 0 and operand.shape[-1] == shape[-1] for operand in operands]
        every = choices[0][1]
        choices.insert(-1, (shape[-1], [new if one else None for new, one in zip(every, carry_last, strict=True)]))
    for loop, wide in choices:
        if CHEAP * sum(prod(new) for new in wide if new is not None) <= prod(shape):
            pairs = zip(operands, wide, strict=True)
            return [operand if new is None else _written_out(code, operand, new) for operand, new in pairs], loop
    return operands, shape[-1]


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
        return contiguous(code, operand)
    text = f"array(broadcast_to({operand}, {shape}), order='C')"
    return code.let(text, [operand], shape, new=True, kind=operand.kind)
