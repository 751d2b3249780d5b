"""Ops that only move entries: the Jacobian follows from running them on positions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from jacobian.kernel.access import Form, Lookup, Table, affine, combine, constant, inside, lookups, plain
from jacobian.kernel.code import Symbol
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import CACHE, Access, Pattern, Shape, solve
from jacobian.kernel.term import Factor, Term
from jacobian.ops.registry import Normalise, Op, Params, Point, Sample, register


def gather(
    out: Shape, into: Shape, tables: Sequence[Any], dtype: Any = np.float64, *, distinct: int | None = None
) -> Jacobian:
    """The Jacobian of a map that only moves entries: output position o reads input position `tables[axis][o]`.

    Along the axis `distinct` the table for that axis has no value twice.

    Each table is replaced by an affine form where it is one, which is checked on all its entries. One that stands in
    a program has no entries yet: it is looked up.
    """
    forms: list[Form] = []
    kept: list[Any] = []
    apart: dict[int, int] = {}
    for position, table in enumerate(tables):
        form = None if isinstance(table, Symbol) else _affine_of(np.broadcast_to(table, out))
        if form is None:
            axes = [axis for axis in range(len(out)) if not _constant_along(table, axis)]
            if len(axes) < len(out):
                table = table[tuple(slice(None) if axis in axes else 0 for axis in range(len(out)))]
            kept.append(table)
            if position == distinct and distinct in axes:
                apart[len(kept) - 1] = axes.index(distinct)
            form = affine(0, [(Lookup(len(kept) - 1, tuple(plain(axis) for axis in axes)), 1)])
        forms.append(form)
    axes_of_out = tuple(plain(axis) for axis in range(len(out)))
    return from_tables(out, axes_of_out, tuple(forms), out, into, kept, dtype, distinct=apart)


def along(order: Any, axis: int, shape: Shape, out: Shape, *, distinct: bool = False) -> Jacobian:
    """Entries picked along one axis by a table as large as the output, which may be known to have no value twice."""
    tables: list[Any] = []
    for position, size in enumerate(shape):
        if position == axis:
            tables.append(order)
            continue
        ruler = np.arange(size).reshape((-1,) + (1,) * (len(shape) - position - 1))
        tables.append(np.broadcast_to(ruler, out))
    return gather(out, shape, tables, distinct=axis if distinct else None)


def from_tables(
    sizes: Shape, out_forms: tuple[Form, ...], in_forms: tuple[Form, ...], out: Shape, into: Shape,
    tables: Sequence[Any], dtype: Any = np.float64, factors: tuple[tuple[Factor, Access], ...] = (),
    distinct: Mapping[int, int] = MappingProxyType({}),
) -> Jacobian:  # fmt: skip
    """A term with look-ups: table t holds positions on the axis whose form uses it, each once along `distinct[t]`."""
    bounds: dict[int, int] = {}
    axes = [*zip(out_forms, out, strict=True), *zip(in_forms, into, strict=True)]
    for form, extent in [
        *axes,
        *(pair for _, access in factors for pair in zip(access.forms, access.shape, strict=True)),
    ]:
        for slot in lookups(form):
            bounds[slot] = extent
    owned: tuple[Any, ...] = tuple(t if isinstance(t, Symbol) else np.ascontiguousarray(t, np.intp) for t in tables)
    known = tuple(Table(table.shape, bounds[slot], distinct.get(slot)) for slot, table in enumerate(owned))
    accesses = tuple(access for _, access in factors)
    pattern = Pattern(sizes, out_forms, in_forms, out, into, accesses, (), known)
    return Jacobian((Term(pattern, tuple(factor for factor, _ in factors), owned),), out, into, dtype)


def _constant_along(table: Any, axis: int) -> bool:
    if table.shape[axis] <= 1 or (not isinstance(table, Symbol) and table.strides[axis] == 0):
        return True
    if isinstance(table, Symbol):
        return False
    if (table.take(0, axis) != table.take(-1, axis)).any():
        return False
    return bool((np.diff(table, axis=axis) == 0).all())


def _affine_of(table: np.ndarray) -> Form | None:
    """The affine form that the integer table is, checked on every entry; None when it is none."""
    if table.size == 0:
        return constant(0)
    corner = (0,) * table.ndim
    offset = int(table[corner])
    moving = [axis for axis, size in enumerate(table.shape) if size > 1]
    strides: list[tuple[Any, int]] = [
        (axis, int(table[tuple(int(a == axis) for a in range(table.ndim))]) - offset) for axis in moving
    ]
    if table[(-1,) * table.ndim] != offset + sum(step * (table.shape[axis] - 1) for axis, step in strides):
        return None  # the last entry tells most tables
    rebuilt: Any = np.intp(offset)
    for axis, stride in strides:
        rebuilt = rebuilt + stride * np.arange(table.shape[axis]).reshape((-1,) + (1,) * (table.ndim - axis - 1))
    return affine(offset, strides) if bool((table == rebuilt).all()) else None


def moved(function: Callable[[np.ndarray], Any], shape: Shape, *, views: bool) -> Jacobian:
    """The Jacobian of a function that only moves entries, found by running it on positions instead of numbers.

    A function known to return views tells its offset and strides, and no memory is touched: the equation
    `flat position read = flat position of the input` is then solved like any other between indices. Any other
    function is run on the array of all positions.
    """
    if 0 in shape or not views:
        count = prod(shape)
        table = np.asarray(function(np.arange(count, dtype=np.intp).reshape(shape)))
        if table.size == 0 or count == 0:  # what reads nothing is filled with zeros
            return Jacobian.zero(table.shape, shape)
        return gather(table.shape, shape, np.unravel_index(table, shape) if shape else ())
    ghost = as_strided(np.zeros(1, np.int8), shape, _contiguous_steps(shape), writeable=False)
    view = function(ghost)  # one byte pretends to be the whole array: only addresses are looked at
    offset = view.__array_interface__["data"][0] - ghost.__array_interface__["data"][0]
    pattern = None if view.size == 0 else _view_pattern(shape, view.shape, int(offset), tuple(view.strides))
    return Jacobian((Term(pattern),) if pattern else (), view.shape, shape)


def _contiguous_steps(shape: Shape) -> Shape:
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


@lru_cache(maxsize=CACHE)
def _view_pattern(shape: Shape, out: Shape, offset: int, strides: Shape) -> Pattern | None:
    """Solve `Σ stride·o + offset = Σ step·i` between output index vector o and input index vector i."""
    direct = _direct_pattern(shape, out, offset, strides)
    if direct is not None:
        return direct
    rank = len(out)

    def axis_form(index: int, size: int) -> Form:
        return constant(0) if size == 1 else plain(index)

    pattern = Pattern(
        out + shape, tuple(axis_form(axis, size) for axis, size in enumerate(out)),
        tuple(axis_form(rank + axis, size) for axis, size in enumerate(shape)), out, shape,
    )  # fmt: skip
    read = affine(offset, [(axis, step) for axis, step in enumerate(strides) if out[axis] > 1])
    steps = enumerate(_contiguous_steps(shape))
    position = affine(0, [(rank + axis, step) for axis, step in steps if shape[axis] > 1])
    solved = solve(pattern, [combine((1, read), (-1, position))])
    return solved.pattern if solved else None


def _direct_pattern(shape: Shape, out: Shape, offset: int, strides: Shape) -> Pattern | None:
    """One affine form per input axis, if no step along an output axis carries over the edge of an input axis."""
    moving = [axis for axis, size in enumerate(out) if size > 1]
    sizes = tuple(out[axis] for axis in moving)
    start = _coordinates(offset, shape)
    ends = [_coordinates(offset + strides[axis], shape) for axis in moving]
    into = tuple(
        affine(first, [(index, end[axis] - first) for index, end in enumerate(ends)])
        for axis, first in enumerate(start)
    )
    if not all(inside(form, extent, sizes, ()) for form, extent in zip(into, shape, strict=True)):
        return None
    number = {axis: index for index, axis in enumerate(moving)}
    written = tuple(plain(number[axis]) if axis in number else constant(0) for axis in range(len(out)))
    return Pattern(sizes, written, into, out, shape)


def _coordinates(position: int, shape: Shape) -> Shape:
    """Where a flat position lies; the first coordinate is not bounded."""
    found: list[int] = []
    for size in reversed(shape[1:]):
        position, place = divmod(position, size)
        found.append(place)
    return (position, *reversed(found)) if shape else ()


def layout(
    name: str,
    function: Callable[..., Any],
    *,
    answers: Iterable[Callable[..., Any]] | None = None,
    normalise: Normalise | None = None,
    samples: Sequence[Sample],
    views: bool = True,
    note: str = "",
    of_complex: str = "complex",
) -> Op:
    """An op that only moves entries; its Jacobian follows from running it on positions.

    `views` says that the function returns a view of any contiguous array.
    """

    def rule(point: Point, k: int) -> Jacobian:
        shape = tuple(np.shape(point.x[k]))
        return moved(lambda positions: function(positions, **point.params), shape, views=views)

    return register(
        Op(
            name, function, rule, answers=(function,) if answers is None else answers,
            normalise=normalise or first_is_operand, samples=samples, family="layout",
            formula="δ between the positions", note=note, views=views,
            of_complex=of_complex,
        )
    )  # fmt: skip


def first_is_operand(x: Any, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], Params]:
    """Normalise by keyword: everything behind the first argument must be given by name."""
    if args:
        raise TypeError("further arguments must be given by name")
    return (x,), kwargs
