"""Random terms, random Jacobians and random layout maps, and the dense tensors they stand for, by definition alone."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from jacobian.kernel.access import Form, Lookup, Table, affine, combine, constant, plain
from jacobian.kernel.equations import Guard
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.indexing import basic_index
from jacobian.kernel.pattern import Access, Pattern, Shape, solve
from jacobian.kernel.term import Factor, Term

EFFORT = int(os.environ.get("JACOBIAN_TEST_EFFORT", "1"))  # multiplies the number of examples


def peak(function: Callable[[], Any]) -> int:
    """The most memory a call had in use, in bytes."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def examples(count: int) -> Any:
    """Settings for a property that is tried on that many examples."""
    return settings(
        max_examples=count * EFFORT,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


# -- the definition --------


def value_of(form: Form, index: Sequence[Any], tables: Sequence[np.ndarray]) -> Any:
    """The form's value; each index is a number, or an array of numbers, one per assignment.

    Where a look-up asks beyond its table a guard makes the term zero, so any answer will do.
    """
    total = form.offset
    for atom, stride in form.parts:
        if isinstance(atom, Lookup):
            table = tables[atom.table]
            where = [value_of(arg, index, tables) for arg in atom.args]
            at = tuple(np.clip(w, 0, extent - 1) for w, extent in zip(where, table.shape, strict=True))
            total = total + stride * table[at]
        else:
            total = total + stride * index[atom]
    return total


def by_loops(J: Jacobian) -> np.ndarray:
    """The tensor entry by entry: a loop over every assignment of every term's indices."""
    dense = np.zeros(J.shape, np.result_type(J.dtype, np.float64))
    for term in J.terms:
        p = term.pattern
        for index in product(*map(range, p.sizes)):
            amount: Any = term.scale
            for guard in p.guards:
                amount *= 0 <= value_of(guard.form, index, term.tables) < guard.extent
            for factor, access in zip(term.factors, p.factors, strict=True):
                at = tuple(int(value_of(form, index, term.tables)) for form in access.forms)
                inside = all(0 <= k < n for k, n in zip(at, access.shape, strict=True))
                amount *= np.asarray(factor.array)[at] if inside else 0
            to = tuple(int(value_of(form, index, term.tables)) for form in (*p.out, *p.into))
            if all(0 <= k < n for k, n in zip(to, J.shape, strict=True)):
                dense[to] += amount
    return dense


def _assignments(J: Jacobian, term: Term) -> tuple[np.ndarray, np.ndarray]:
    """Of all assignments that leave no axis: where they write in the flat tensor, and the product of the factors."""
    p = term.pattern
    count = prod(p.sizes)
    index = np.indices(p.sizes).reshape(len(p.sizes), count)

    def values(form: Form) -> np.ndarray:
        return np.broadcast_to(value_of(form, index, term.tables), (count,))

    valid = np.ones(count, bool)
    amount = np.full(count, term.scale, np.result_type(J.dtype, np.float64))
    for guard in p.guards:
        valid &= (values(guard.form) >= 0) & (values(guard.form) < guard.extent)
    for factor, access in zip(term.factors, p.factors, strict=True):
        read = [values(form) for form in access.forms]
        here = np.ones(count, bool)
        for at, extent in zip(read, access.shape, strict=True):
            here &= (at >= 0) & (at < extent)
        valid &= here
        array = np.asarray(factor.array)
        amount[here] *= array[tuple(at[here] for at in read)] if array.size else 0
    flat = np.zeros(count, np.intp)
    for form, extent in zip((*p.out, *p.into), J.shape, strict=True):
        at = values(form)
        valid &= (at >= 0) & (at < extent)
        flat = flat * extent + at
    return flat[valid], amount[valid]


def dense_of(J: Jacobian) -> np.ndarray:
    """The same as `by_loops`, over all assignments at once."""
    dense = np.zeros(prod(J.shape), np.result_type(J.dtype, np.float64))
    for term in J.terms:
        np.add.at(dense, *_assignments(J, term))
    return dense.reshape(J.shape)


def reached_of(J: Jacobian) -> np.ndarray:
    """Which entries some assignment reaches without leaving an axis anywhere."""
    mask = np.zeros(prod(J.shape), bool)
    for term in J.terms:
        mask[_assignments(J, term)[0]] = True
    return mask.reshape(J.shape)


# -- random terms --------

SIZES = st.sampled_from([2, 3, 1, 2, 2, 3, 4, 5, 1])
RARELY = st.integers(0, 30).map(lambda k: k == 17)  # not at an end of the range: those are drawn often


def numbers(draw: st.DrawFn, shape: Shape, dtype: Any = np.float64) -> np.ndarray:
    """Small whole numbers, so that every order of summation gives the same result."""
    generator = np.random.default_rng(draw(st.integers(0, 2**16)))
    return generator.integers(-3, 4, shape).astype(dtype)


@dataclass
class _Draft:
    """What is being made of a term: its sizes and the tables asked for so far."""

    draw: st.DrawFn
    sizes: Shape
    tables: list[np.ndarray]

    def form(self, extent: int | None = None) -> tuple[Form, int]:
        """A form and the extent of an axis for it, the given one if there is one."""
        draw = self.draw
        kind = draw(st.sampled_from(["plain", "plain", "affine", "pair", "table", "plain", "constant"]))
        if not self.sizes or kind == "constant":
            n = draw(SIZES) if extent is None else extent
            return constant(draw(st.integers(-1, n) if draw(RARELY) else st.integers(0, max(n - 1, 0)))), n
        i = draw(st.integers(0, len(self.sizes) - 1))
        if kind == "plain":
            return plain(i), self.sizes[i] if extent is None else extent
        if kind == "table":
            form, bound = self._lookup(i, extent)
            return form, bound if extent is None else extent
        parts = [(i, draw(st.sampled_from([1, -1, 2, -2, 3])))]
        if kind == "pair":
            parts.append((draw(st.integers(0, len(self.sizes) - 1)), draw(st.sampled_from([1, -1, 2, 3, -3, 4]))))
        fitting = -sum(stride * (self.sizes[k] - 1) for k, stride in parts if stride < 0)
        offset = draw(st.integers(-3, 4)) if draw(st.booleans()) else fitting
        reach = sum(abs(stride) * (self.sizes[k] - 1) for k, stride in parts) + 1
        return affine(offset, parts), min(max(reach, 0), 7) if extent is None else extent

    def _lookup(self, i: int, extent: int | None) -> tuple[Form, int]:
        bound = extent or self.draw(SIZES)
        axes = [i]
        if self.draw(st.booleans()):
            axes.append(self.draw(st.integers(0, len(self.sizes) - 1)))
        shape = tuple(self.sizes[k] for k in axes)
        generator = np.random.default_rng(self.draw(st.integers(0, 99)))
        self.tables.append(generator.integers(0, bound, shape))
        parts: list[tuple[Any, int]] = [(Lookup(len(self.tables) - 1, tuple(plain(k) for k in axes)), 1)]
        if self.draw(RARELY):
            parts.append((i, self.draw(st.sampled_from([-1, 1, 2]))))
        return affine(0, parts), bound

    def access(self) -> Access:
        pairs = [self.form() for _ in range(self.draw(st.integers(0, 2)))]
        return Access(tuple(form for form, _ in pairs), tuple(extent for _, extent in pairs))

    def guard(self) -> Guard:
        form, extent = self.form()
        return Guard(form, self.draw(st.integers(1, max(extent, 1))))


@st.composite
def terms(draw: st.DrawFn, out_shape: Shape, in_shape: Shape, dtype: Any = np.float64, rich: bool = True) -> Term:
    """A random term of a Jacobian of those shapes."""
    fitting = [n for n in (*out_shape, *in_shape) if n]
    size = st.one_of(st.sampled_from(fitting), SIZES) if fitting else SIZES
    sizes = tuple(draw(st.lists(size, min_size=min(1, len(fitting)), max_size=4 if rich else 3)))
    if draw(RARELY):
        sizes = (*sizes[:2], 0)
    draft = _Draft(draw, sizes, [])
    out = tuple(draft.form(extent)[0] for extent in out_shape)
    into = tuple(draft.form(extent)[0] for extent in in_shape)
    accesses = tuple(draft.access() for _ in range(draw(st.integers(0, 3 if rich else 2))))
    guards = tuple(draft.guard() for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2] if rich else [0, 0, 1]))))
    facts = tuple(Table(table.shape, int(table.max(initial=0)) + 1) for table in draft.tables)
    pattern = Pattern(sizes, out, into, out_shape, in_shape, accesses, guards, facts)
    factors = tuple(Factor(numbers(draw, access.shape, dtype), chr(65 + k)) for k, access in enumerate(accesses))
    return Term(pattern, factors, tuple(draft.tables), draw(st.sampled_from([1, 1, 1, -1, 2, 0.5])))


@st.composite
def shapes(draw: st.DrawFn, max_rank: int = 2) -> Shape:
    """A small shape; now and then an axis is empty."""
    shape = draw(st.lists(SIZES, max_size=max_rank))
    if shape and draw(RARELY):
        shape[-1] = 0
    return tuple(shape)


@st.composite
def jacobians(
    draw: st.DrawFn,
    out_shape: Shape | None = None,
    in_shape: Shape | None = None,
    dtype: Any = np.float64,
    rich: bool = True,
    max_terms: int = 2,
) -> Jacobian:
    """A random sum of random terms."""
    out = draw(shapes()) if out_shape is None else out_shape
    into = draw(shapes()) if in_shape is None else in_shape
    count = 0 if draw(RARELY) else draw(st.integers(1, max_terms))
    return Jacobian([draw(terms(out, into, dtype, rich)) for _ in range(count)], out, into, dtype)


# -- random linear maps with a NumPy function that says what they do --------


@dataclass
class Map:
    """A linear map twice: as a Jacobian, and as a NumPy function."""

    name: str
    J: Jacobian
    function: Callable[[np.ndarray], np.ndarray]

    @property
    def dense(self) -> np.ndarray:
        """The tensor, from what the function does to every basis vector."""
        columns = [self.function(row.reshape(self.J.in_shape)) for row in np.eye(prod(self.J.in_shape))]
        flat = np.array(columns).reshape(prod(self.J.in_shape), prod(self.J.out_shape)).T
        return flat.reshape(self.J.shape)


def reshaping(shape: Shape, new: Shape) -> Jacobian:
    """Reshape: both flat positions are equal."""
    pattern = Pattern(
        new + shape, tuple(map(plain, range(len(new)))), tuple(map(plain, range(len(new), len(new) + len(shape)))),
        new, shape,
    )  # fmt: skip

    def flat(first: int, axes: Shape) -> Form:
        return affine(0, [(first + axis, prod(axes[axis + 1 :])) for axis in range(len(axes))])

    solved = solve(pattern, [combine((1, flat(0, new)), (-1, flat(len(new), shape)))])
    assert solved is not None
    return Jacobian([Term(solved.pattern, (), (), solved.times)], new, shape)


def selecting(shape: Shape, key: Any) -> Jacobian:
    """`x[key]` for a basic index."""
    pattern = basic_index(key, shape)
    return Jacobian([Term(pattern)], pattern.out_shape, shape)


def placed(shape: Shape, axis: int, offset: int, extent: int, step: int = 1) -> Jacobian:
    """`x` written to `offset + step·i` along one axis of zeros of that extent."""
    forms = tuple(map(plain, range(len(shape))))
    out = (*forms[:axis], affine(offset, [(axis, step)]), *forms[axis + 1 :])
    new = (*shape[:axis], extent, *shape[axis + 1 :])
    return Jacobian([Term(Pattern(shape, out, forms, new, shape))], new, shape)


def windows(shape: Shape, axis: int, count: int, width: int, stride: int, step: int, pad: int) -> Jacobian:
    """Windows along one axis, hanging over the edge by `pad`: the axis becomes (count, width)."""
    sizes = (*shape[:axis], count, width, *shape[axis + 1 :])
    out = tuple(map(plain, range(len(sizes))))
    into = (*out[:axis], affine(-pad, [(axis, stride), (axis + 1, step)]), *out[axis + 2 :])
    return Jacobian([Term(Pattern(sizes, out, into, sizes, shape))], sizes, shape)


def cumulative(n: int) -> Jacobian:
    """Cumulative sum of a vector."""
    guard = Guard(affine(0, [(0, 1), (1, -1)]), n)
    return Jacobian([Term(Pattern((n, n), (plain(0),), (plain(1),), (n,), (n,), (), (guard,)))], (n,), (n,))


def taking(shape: Shape, axis: int, table: np.ndarray) -> Jacobian:
    """`np.take(x, table, axis)`."""
    sizes = (*shape[:axis], *table.shape, *shape[axis + 1 :])
    out = tuple(map(plain, range(len(sizes))))
    lookup = Lookup(0, out[axis : axis + table.ndim])
    into = (*out[:axis], affine(0, [(lookup, 1)]), *out[axis + table.ndim :])
    facts = (Table(table.shape, shape[axis]),)
    return Jacobian([Term(Pattern(sizes, out, into, sizes, shape, (), (), facts), (), (table,))], sizes, shape)


def _reshape(draw: st.DrawFn, shape: Shape) -> Map | None:
    size = prod(shape)
    if size == 0:
        return None
    new: list[int] = []
    rest = size
    while rest > 1 and len(new) < 3:
        new.append(draw(st.sampled_from([d for d in range(2, rest + 1) if rest % d == 0])))
        rest //= new[-1]
    if rest > 1:
        new[-1] *= rest
    target = tuple(new)
    return Map(f"reshape{target}", reshaping(shape, target), lambda x: x.reshape(target))


def _slice(draw: st.DrawFn, shape: Shape) -> Map | None:
    bound = st.one_of(st.none(), st.integers(-5, 5))
    step = st.sampled_from([None, 1, 2, -1, -2, 3])
    entry = st.one_of(st.builds(slice, bound, bound, step), st.integers(-5, 4))
    key = tuple(
        item if isinstance(item, slice) or -extent <= item < extent else slice(None, None, -1)
        for item, extent in ((draw(entry), extent) for extent in shape)
    )
    return Map(f"[{key}]", selecting(shape, key), lambda x: np.asarray(x[key]))


def _pad(draw: st.DrawFn, shape: Shape) -> Map | None:
    if not shape:
        return None
    axis = draw(st.integers(0, len(shape) - 1))
    low, high = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    width = [(low, high) if k == axis else (0, 0) for k in range(len(shape))]
    J = placed(shape, axis, low, low + shape[axis] + high)
    return Map(f"pad {width}", J, lambda x: np.pad(x, width))


def _concatenate(draw: st.DrawFn, shape: Shape) -> Map | None:
    """The array beside itself times a number: a sum of two terms with offsets."""
    if not shape:
        return None
    axis, factor = draw(st.integers(0, len(shape) - 1)), draw(st.sampled_from([2, -1]))
    n = shape[axis]
    J = placed(shape, axis, 0, 2 * n) + factor * placed(shape, axis, n, 2 * n)
    return Map(f"concatenate {axis}", J, lambda x: np.concatenate([x, factor * x], axis))


def _window(draw: st.DrawFn, shape: Shape) -> Map | None:
    if not shape or 0 in shape:
        return None
    axis = draw(st.integers(0, len(shape) - 1))
    width, stride, step = (draw(st.integers(1, 3)) for _ in range(3))
    pad = draw(st.sampled_from([0, 0, 1, 2]))
    n = shape[axis]
    spare = n + 2 * pad - step * (width - 1) - 1
    if spare < 0:
        return None
    count = spare // stride + 1

    def function(x: np.ndarray) -> np.ndarray:
        width_of = [(pad, pad) if k == axis else (0, 0) for k in range(x.ndim)]
        at = stride * np.arange(count)[:, None] + step * np.arange(width)
        return np.take(np.pad(x, width_of), at, axis)

    return Map(f"window {axis, count, width, stride, step, pad}", windows(shape, axis, count, width, stride, step, pad),
               function)  # fmt: skip


def _take(draw: st.DrawFn, shape: Shape) -> Map | None:
    if not shape or 0 in shape:
        return None
    axis = draw(st.integers(0, len(shape) - 1))
    positions = draw(st.lists(st.integers(0, shape[axis] - 1), min_size=1, max_size=4))
    table = np.array(positions)
    if draw(st.booleans()):
        table = table[:, None]
    return Map(f"take {axis} {positions}", taking(shape, axis, table), lambda x: np.take(x, table, axis))


def _transpose(draw: st.DrawFn, shape: Shape) -> Map | None:
    order = draw(st.permutations(range(len(shape))))
    forms = tuple(map(plain, range(len(shape))))
    new = tuple(shape[axis] for axis in order)
    pattern = Pattern(shape, tuple(forms[axis] for axis in order), forms, new, shape)
    return Map(f"transpose {order}", Jacobian([Term(pattern)], new, shape), lambda x: x.transpose(order))


def _broadcast(draw: st.DrawFn, shape: Shape) -> Map | None:
    n = draw(st.integers(0, 3) if draw(RARELY) else st.integers(1, 3))
    into = tuple(map(plain, range(1, len(shape) + 1)))
    new = (n, *shape)
    J = Jacobian([Term(Pattern(new, (plain(0), *into), into, new, shape))], new, shape)
    return Map(f"broadcast {n}", J, lambda x: np.broadcast_to(x, new))


def _sum(draw: st.DrawFn, shape: Shape) -> Map | None:
    if not shape:
        return None
    axis = draw(st.integers(0, len(shape) - 1))
    forms = tuple(map(plain, range(len(shape))))
    new = shape[:axis] + shape[axis + 1 :]
    pattern = Pattern(shape, forms[:axis] + forms[axis + 1 :], forms, new, shape)
    return Map(f"sum {axis}", Jacobian([Term(pattern)], new, shape), lambda x: x.sum(axis))


def _elementwise(draw: st.DrawFn, shape: Shape) -> Map | None:
    d = numbers(draw, shape)
    labels = "ijklmn"[: len(shape)]
    return Map("elementwise", Jacobian.einsum(f"{labels}->{labels}|{labels}", d), lambda x: d * x)


def _contract(draw: st.DrawFn, shape: Shape) -> Map | None:
    """Multiply the last axis by a matrix."""
    if not shape:
        return None
    B = numbers(draw, (shape[-1], draw(st.integers(1, 3))))
    lead = "ijklmn"[: len(shape) - 1]
    sizes = dict(zip(lead, shape, strict=False))
    return Map("matmul", Jacobian.einsum(f"xy->{lead}y|{lead}x", B, **sizes), lambda x: x @ B)


def _running_sum(draw: st.DrawFn, shape: Shape) -> Map | None:
    return Map("cumsum", cumulative(shape[0]), np.cumsum) if len(shape) == 1 and shape[0] else None


KINDS = [
    _reshape, _reshape, _slice, _slice, _pad, _concatenate, _window, _window, _take, _transpose, _broadcast, _sum,
    _elementwise, _contract, _running_sum,
]  # fmt: skip


LAYOUT_KINDS = [_slice, _pad, _transpose, _broadcast]
RESHAPE_KINDS = [_reshape, _transpose]


@st.composite
def chains(draw: st.DrawFn, start: Shape | None = None, most: int = 4, kinds: Any = None) -> list[Map]:
    """Maps that follow one another, the first one first. No array in between has more than 60 entries."""
    shape = draw(st.sampled_from([(4, 6), (8, 3), (24,), (2, 3, 4), (5,), (6,), (2, 2), (1, 3), (), (0, 2), (12,)]))
    shape = shape if start is None else start
    chain: list[Map] = []
    for _ in range(draw(st.integers(1, most))):
        made = draw(st.sampled_from(kinds or KINDS))(draw, shape)
        if made is None or prod(made.J.out_shape) > 60 or len(made.J.out_shape) > 5:
            continue
        if made.name == "cumsum" and any(link.name == "cumsum" for link in chain):
            continue  # every further one multiplies the assignments to go through
        chain.append(made)
        shape = made.J.out_shape
    return chain or [Map("identity", Jacobian.identity(shape), lambda x: x)]


def run(chain: Sequence[Map], x: np.ndarray) -> np.ndarray:
    """What the chain does to an array."""
    for link in chain:
        x = link.function(x)
    return x


def product_of(chain: Sequence[Map]) -> Jacobian:
    """The chain rule, from the last map to the first."""
    J = chain[0].J
    for link in chain[1:]:
        J = link.J @ J
    return J


# -- an array that is not NumPy's own --------


class Duck:
    """The least an array can be that speaks NumPy's protocols: it holds an ndarray and wraps every result."""

    def __init__(self, value: Any) -> None:
        self.value = np.asarray(value)
        self.calls: list[str] = []

    shape = property(lambda self: self.value.shape)
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    nbytes = property(lambda self: self.value.nbytes)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.value, dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return Duck(getattr(ufunc, method)(*map(_bare, inputs), **kwargs))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if not func.__module__.startswith("numpy"):
            return NotImplemented
        result = func(*_bare(args), **kwargs)
        return Duck(result) if isinstance(result, np.ndarray | np.generic) else result

    def __mul__(self, other: Any) -> Any:
        return np.multiply(self, other)

    def __add__(self, other: Any) -> Any:
        return np.add(self, other)

    __rmul__, __radd__ = __mul__, __add__


def _bare(value: Any) -> Any:
    if isinstance(value, Duck):
        return value.value
    return type(value)(map(_bare, value)) if isinstance(value, list | tuple) else value


def as_ducks(J: Jacobian) -> Jacobian:
    """The same Jacobian over arrays that are not NumPy's own."""
    swapped = [term.with_factors(tuple(Factor(Duck(f.array), f.label) for f in term.factors)) for term in J.terms]
    return Jacobian(swapped, J.out_shape, J.in_shape, J.dtype, J.names)
