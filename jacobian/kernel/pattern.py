"""The pattern of a term: everything about it but its numbers. Hashable, so that work on patterns is done once.

    J[out(ι), in(ι)] += scale · Π_f f[access_f(ι)] · Π_g [0 <= form_g(ι) < extent_g]

`compose` is the chain rule on patterns: it joins two of them and solves `in2 = out1`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from itertools import permutations
from math import prod
from typing import NamedTuple

from jacobian.kernel.access import Form, Table, combine, constant, indices, inside, layers, plain, relabel, substitute
from jacobian.kernel.equations import Guard, NoSolutionError, System

Shape = tuple[int, ...]

REMEMBERED_FACTORS = 32  # longer products are composed anew each time: they would fill the cache
CACHE = 4096  # how many patterns and plans each cache keeps: enough for a large program, small enough never to matter

PROGRAMS = 512  # how many compiled programs are kept


class Access(NamedTuple):
    """How a term reads one factor: a form for every axis of its array."""

    forms: tuple[Form, ...]
    shape: Shape


class Pattern:
    """A term without its numbers. `out` and `into` are the forms of the output's and the input's axes.

    It never changes.
    """

    def __init__(
        self, sizes: Shape, out: tuple[Form, ...], into: tuple[Form, ...], out_shape: Shape, in_shape: Shape,
        factors: tuple[Access, ...] = (), guards: tuple[Guard, ...] = (), tables: tuple[Table, ...] = (),
    ) -> None:  # fmt: skip
        self.sizes = sizes
        self.out = out
        self.into = into
        self.out_shape = out_shape
        self.in_shape = in_shape
        self.factors = factors
        self.guards = guards
        self.tables = tables

    def __repr__(self) -> str:
        """Every part."""
        return f"Pattern{self.key!r}"

    def with_factors(self, factors: tuple[Access, ...]) -> Pattern:
        """The same pattern over factors that are read in these ways."""
        return Pattern(
            self.sizes, self.out, self.into, self.out_shape, self.in_shape, factors, self.guards, self.tables
        )  # fmt: skip

    def with_guards(self, guards: tuple[Guard, ...]) -> Pattern:
        """The same pattern under other conditions."""
        return Pattern(
            self.sizes, self.out, self.into, self.out_shape, self.in_shape, self.factors, guards, self.tables
        )  # fmt: skip

    @cached_property
    def key(self) -> tuple[object, ...]:
        """What makes two patterns equal."""
        return (
            self.sizes, self.out, self.into, self.out_shape, self.in_shape, self.factors, self.guards, self.tables,
        )  # fmt: skip

    @cached_property
    def _hash(self) -> int:
        return hash(self.key)

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[type[Pattern], tuple[object, ...]]:
        """Pickled without what is remembered: a hash holds within one process only."""
        return Pattern, self.key

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Pattern) and self._hash == other._hash and self.key == other.key)

    @cached_property
    def free(self) -> tuple[int, ...]:
        """The indices that `out` or `into` mention, in that order; all others are summed."""
        return tuple(dict.fromkeys(indices(*self.out, *self.into)))

    def carried(self, guards: Sequence[Guard]) -> tuple[int, ...]:
        """The free indices that a factor or one of the guards carries: along the others the term is constant."""
        forms = [form for access in self.factors for form in access.forms]
        used = {*indices(*forms, *(guard.form for guard in guards))}
        return tuple(index for index in self.free if index in used)

    @cached_property
    def entries(self) -> int:
        """How many entries it writes."""
        return prod(self.sizes[index] for index in self.free)

    @cached_property
    def idle(self) -> int:
        """How often every entry is summed for nothing: the sizes of the indices that nobody mentions, multiplied."""
        forms = [form for access in self.factors for form in access.forms]
        used = {*self.free, *indices(*forms, *(guard.form for guard in self.guards))}
        return prod(size for index, size in enumerate(self.sizes) if index not in used)

    @cached_property
    def is_plain(self) -> bool:
        """Whether every axis is an index of its own: the contracted term is then the result itself."""
        axes = [*self.out, *self.into]
        return all(form.is_plain for form in axes) and len(self.free) == len(axes)

    @cached_property
    def is_identity(self) -> bool:
        """Whether the term is a δ on every axis with no factor."""
        return (
            not self.factors and not self.guards and not self.tables
            and self.out == self.into and self.out_shape == self.in_shape
            and all(form.is_plain for form in self.out) and len(self.free) == len(self.out) == len(self.sizes)
            and tuple(self.sizes[i] for i in self.free) == self.out_shape
        )  # fmt: skip

    @cached_property
    def transposed(self) -> Pattern:
        """`out` and `into` exchanged."""
        return Pattern(
            self.sizes, self.into, self.out, self.in_shape, self.out_shape, self.factors, self.guards, self.tables
        )


def identity(shape: Shape) -> Pattern:
    """δ on every axis."""
    forms = tuple(plain(k) for k in range(len(shape)))
    return Pattern(shape, forms, forms, shape, shape)


class Composed(NamedTuple):
    """A pattern that was put together, and the number of times each of its entries is summed."""

    pattern: Pattern
    times: int


def compose(second: Pattern, first: Pattern) -> Composed | None:
    """The pattern of `second @ first`, or None when the product is zero by its indices alone.

    Factors and tables of the result are those of `second`, then those of `first`.
    """
    short = len(second.factors) + len(first.factors) <= REMEMBERED_FACTORS
    return _compose_once(second, first) if short else _compose(second, first)


def _compose(second: Pattern, first: Pattern) -> Composed | None:
    assert second.in_shape == first.out_shape
    if second.is_identity:
        return Composed(first, 1)
    if first.is_identity:
        return Composed(second, 1)
    by, slots = len(second.sizes), len(second.tables)

    def move(form: Form) -> Form:
        return relabel(form, lambda index: index + by, lambda slot: slot + slots)

    def moved(forms: Iterable[Form]) -> tuple[Form, ...]:
        return tuple(move(form) for form in forms)

    first_out = moved(first.out)
    joined = Pattern(
        second.sizes + first.sizes, second.out, moved(first.into), second.out_shape, first.in_shape,
        second.factors + tuple(Access(moved(access.forms), access.shape) for access in first.factors),
        second.guards + tuple(Guard(move(guard.form), guard.extent) for guard in first.guards),
        second.tables + first.tables,
    )  # fmt: skip
    meeting = list(zip(second.into, first_out, second.in_shape, strict=True))
    equations = [combine((1, left), (-1, right)) for left, right, _ in meeting]
    # Equal positions lie inside the axis as soon as either side provably does.
    ranges = [
        (left, extent) for left, right, extent in meeting
        if 0 not in joined.sizes
        and not inside(left, extent, joined.sizes, joined.tables)
        and not inside(right, extent, joined.sizes, joined.tables)
    ]  # fmt: skip
    return solve(joined, equations, ranges)


_compose_once = lru_cache(maxsize=CACHE)(_compose)


def solve(pattern: Pattern, equations: Sequence[Form], ranges: Sequence[tuple[Form, int]] = ()) -> Composed | None:
    """The pattern restricted to the assignments that satisfy all equations and ranges; None when there are none."""
    if 0 in pattern.sizes or 0 in pattern.out_shape or 0 in pattern.in_shape:
        return None
    system = System(pattern.sizes, pattern.tables)
    system.guards = list(pattern.guards)
    try:
        system.solve(equations)
        for form, extent in ranges:
            system.restrict(form, extent)
        for form, extent in _lone_axes(pattern):
            system.restrict_alone(form, extent)
        system.settle_guards()
    except NoSolutionError:
        return None
    return _tidy(pattern, system)


def _lone_axes(pattern: Pattern) -> Iterable[tuple[Form, int]]:
    """Every axis of the pattern: a form over one index that leaves its axis makes the index smaller."""
    yield from zip(pattern.out, pattern.out_shape, strict=True)
    yield from zip(pattern.into, pattern.in_shape, strict=True)
    for access in pattern.factors:
        yield from zip(access.forms, access.shape, strict=True)


def _tidy(pattern: Pattern, system: System) -> Composed:
    """Apply the solution, drop what is implied, and number indices by first appearance."""
    out = tuple(system.apply(form) for form in pattern.out)
    into = tuple(system.apply(form) for form in pattern.into)
    factors = [Access(tuple(system.apply(form) for form in a.forms), a.shape) for a in pattern.factors]
    axes = {
        *zip(out, pattern.out_shape, strict=True),
        *zip(into, pattern.in_shape, strict=True),
        *(pair for access in factors for pair in zip(access.forms, access.shape, strict=True)),
    }
    guards = [guard for guard in system.guards if (guard.form, guard.extent) not in axes]
    forms = [*out, *into, *(form for access in factors for form in access.forms), *(guard.form for guard in guards)]
    used = dict.fromkeys(indices(*forms))
    gone = set(range(len(system.sizes))) - set(used) - set(system.bindings)
    sizes, joins = _joined_digits(forms, system.sizes)
    number = {index: position for position, index in enumerate(index for index in used if index not in joins)}

    def rename(form: Form) -> Form:
        return relabel(substitute(form, joins), number.__getitem__, lambda slot: slot)

    tidy = Pattern(
        tuple(sizes[index] for index in number),
        tuple(rename(form) for form in out),
        tuple(rename(form) for form in into),
        pattern.out_shape,
        pattern.in_shape,
        tuple(Access(tuple(rename(form) for form in access.forms), access.shape) for access in factors),
        tuple(Guard(rename(guard.form), guard.extent) for guard in guards),
        pattern.tables,
    )
    return Composed(tidy, prod(system.sizes[index] for index in gone))


def _joined_digits(forms: Sequence[Form], old: Sequence[int]) -> tuple[list[int], dict[int, Form]]:
    """Digits that stand together wherever they stand, `n·high + low` with low < n, are one index.

    It takes the place of the low one; returns the sizes after that, and zero for every high digit.
    """
    sizes = list(old)
    strides = [dict(layer.parts) for layer in layers(*forms)]
    joins: dict[int, Form] = {}
    alone = {atom for parts in strides if len(parts) == 1 for atom in parts}
    together = {atom for parts in strides if len(parts) > 1 for atom in parts if isinstance(atom, int)}
    for high, low in permutations(sorted(together - alone), 2):
        if high in joins or low in joins:
            continue
        if all(parts.get(high, 0) == sizes[low] * parts.get(low, 0) for parts in strides):
            sizes[low] *= sizes[high]
            joins[high] = constant(0)
    return sizes, joins


def open_guards(pattern: Pattern) -> tuple[Guard, ...]:
    """Guards over free indices only: they need not be contracted with anything."""
    free = set(pattern.free)
    return tuple(guard for guard in pattern.guards if set(indices(guard.form)) <= free and not guard.form.has_lookup)
