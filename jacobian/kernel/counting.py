"""How many entries terms reach, by arithmetic on their patterns: no pair of positions is ever listed.

What a term reaches is the set of assignments of its free indices that satisfy linear inequalities. Summed indices are
eliminated (Fourier and Motzkin; exact for integers where of two bounds one has the stride ±1, as in Pugh's Omega test,
Comm. ACM 35, 1992). Indices without a common inequality are counted apart, and of each group one index is an interval
for every value of the others. Unions are counted by inclusion and exclusion; an intersection is a composed pattern.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from jacobian.kernel.access import Form, Lookup, combine, constant, indices, relabel, span
from jacobian.kernel.equations import Guard
from jacobian.kernel.injective import is_injective
from jacobian.kernel.pattern import Pattern, Shape, solve
from jacobian.kernel.positions import positions
from jacobian.kernel.term import Term

MOST_INEQUALITIES = 64
MOST_WORK = 20_000_000  # values of an index that are looked at one by one
MOST_INTERSECTIONS = 512


class Region(NamedTuple):
    """Assignments of the free indices with `form >= 0` for all forms."""

    free: tuple[int, ...]
    sizes: Shape
    forms: tuple[Form, ...]
    tables: tuple[np.ndarray, ...]


class Reach(NamedTuple):
    """How many entries are reached; not more than that where it is not exact."""

    entries: int
    exact: bool


def mask(term: Term) -> Term:
    """The term without its numbers: where a factor is read beyond its edge, and so is zero, a guard says so."""
    p = term.pattern
    read = [pair for a in p.factors for pair in zip(a.forms, a.shape, strict=True)]
    guards = [Guard(form, extent) for form, extent in read if not _always(form, extent, p)]
    bare = Pattern(
        p.sizes, p.out, p.into, p.out_shape, p.in_shape, (), tuple(dict.fromkeys((*p.guards, *guards))), p.tables
    )
    return Term(bare, (), term.tables)


def _always(form: Form, extent: int, pattern: Pattern) -> bool:
    low, high = span(form, pattern.sizes, pattern.tables)
    return low >= 0 and high < extent


def region(term: Term) -> Region | None:
    """The assignments of a term's free indices that reach an entry; None when inequalities cannot say it."""
    p = mask(term).pattern
    axes = zip((*p.out, *p.into), (*p.out_shape, *p.in_shape), strict=True)
    forms: list[Form] = []
    for form, extent in (*((g.form, g.extent) for g in p.guards), *axes):
        forms += [form, combine((-1, form), offset=extent - 1)]
    forms = _telling(forms, term)
    for index in dict.fromkeys(indices(*forms)):
        if index in p.free:
            continue
        reduced = _eliminated(forms, index, p)
        if reduced is None:
            return None
        forms = _telling(reduced, term)
        if len(forms) > MOST_INEQUALITIES:
            return None
    return Region(p.free, p.sizes, tuple(forms), term.tables)


def _telling(forms: Sequence[Form], term: Term) -> list[Form]:
    """The forms that are not at least 0 anyway; those without an index as numbers."""
    p = term.pattern
    fixed = [
        form if any(True for _ in indices(form)) else constant(int(positions(form, (), p.sizes, term.tables)))
        for form in forms
    ]
    return [form for form in dict.fromkeys(fixed) if span(form, p.sizes, p.tables)[0] < 0]


def _eliminated(forms: Sequence[Form], index: int, pattern: Pattern) -> list[Form] | None:
    """Inequalities that hold where some value of the index satisfies the given ones."""
    kept: list[Form] = []
    lower: list[tuple[int, Form]] = [(1, constant(0))]  # stride·index + rest >= 0
    upper: list[tuple[int, Form]] = [(1, constant(pattern.sizes[index] - 1))]  # rest - stride·index >= 0
    for form in forms:
        stride, rest = _parted(form, index)
        if index in indices(rest):
            return None
        if not stride:
            kept.append(form)
        else:
            (lower if stride > 0 else upper).append((abs(stride), rest))
    for below, low in lower:
        for above, high in upper:
            if below > 1 and above > 1:
                return None
            kept.append(combine((above, low), (below, high)))
    return kept


def _parted(form: Form, index: int) -> tuple[int, Form]:
    """The stride of the index and the rest of the form."""
    return dict(form.parts).get(index, 0), Form(form.offset, tuple(part for part in form.parts if part[0] != index))


class Group(NamedTuple):
    """Indices that inequalities connect: `inner`, if any, is an interval for every value of the others."""

    outer: tuple[int, ...]
    inner: int | None
    forms: tuple[Form, ...]


def groups(found: Region) -> list[Group]:
    """The free indices by what connects them."""
    parts: list[set[int]] = [{index} for index in found.free]
    for form in found.forms:
        touched = set(indices(form))
        meeting = [part for part in parts if part & touched]
        if meeting:
            parts = [part for part in parts if not part & touched] + [set().union(*meeting)]
    result: list[Group] = []
    for part in parts:
        forms = tuple(form for form in found.forms if part & set(indices(form)))
        fixed = {k for f in forms for atom, _ in f.parts if isinstance(atom, Lookup) for k in indices(*atom.args)}
        inner = max(part - fixed, key=lambda k: (found.sizes[k], -k), default=None)
        result.append(Group(tuple(sorted(part - {inner})), inner, forms))
    return result


def intervals(group: Group, found: Region) -> tuple[np.ndarray, np.ndarray]:
    """For every value of the outer indices: the first value of the inner one, and how many follow one another."""
    sizes = tuple(found.sizes[k] for k in group.outer)
    first = np.zeros(sizes, np.intp)
    last = np.full(sizes, 0 if group.inner is None else found.sizes[group.inner] - 1, np.intp)
    for form in group.forms:
        stride, rest = (0, form) if group.inner is None else _parted(form, group.inner)
        value = positions(rest, group.outer, found.sizes, found.tables)
        if stride > 0:
            first = np.maximum(first, -(value // stride))
        elif stride < 0:
            last = np.minimum(last, value // -stride)
        else:
            last = np.where(value >= 0, last, -1)
    return first, np.maximum(last - first + 1, 0)


def points(found: Region, most_work: int = MOST_WORK) -> int | None:
    """How many assignments the region has; None when that takes too much work."""
    if any(not form.parts and form.offset < 0 for form in found.forms):
        return 0
    total = 1
    for group in groups(found):
        if not group.forms:
            total *= prod(found.sizes[k] for k in (*group.outer, *(() if group.inner is None else (group.inner,))))
        elif prod(found.sizes[k] for k in group.outer) * len(group.forms) > most_work:
            return None
        else:
            total *= int(intervals(group, found)[1].sum())
    return total


def intersection(a: Term, b: Term) -> Term | None:
    """A term that reaches exactly what both masks reach; None when that is nothing."""
    p, q = a.pattern, b.pattern
    tables = {id(table): table for table in (*a.tables, *b.tables)}
    slots = {key: slot for slot, key in enumerate(tables)}
    facts = {id(table): fact for term in (a, b) for table, fact in zip(term.tables, term.pattern.tables, strict=True)}

    def moved(form: Form, by: int, own: tuple[np.ndarray, ...]) -> Form:
        return relabel(form, lambda index: index + by, lambda slot: slots[id(own[slot])])

    by = len(p.sizes)
    out, into = (tuple(moved(form, 0, a.tables) for form in forms) for forms in (p.out, p.into))
    guards = [Guard(moved(guard.form, 0, a.tables), guard.extent) for guard in p.guards]
    guards += [Guard(moved(guard.form, by, b.tables), guard.extent) for guard in q.guards]
    joined = Pattern(
        p.sizes + q.sizes, out, into, p.out_shape, p.in_shape, (), tuple(guards), tuple(facts[key] for key in tables)
    )
    others = (moved(form, by, b.tables) for form in (*q.out, *q.into))
    solved = solve(joined, [combine((1, one), (-1, two)) for one, two in zip((*out, *into), others, strict=True)])
    return None if solved is None else Term(solved.pattern, (), tuple(tables.values()))


def distinct(terms: Sequence[Term]) -> list[Term]:
    """The masks of the terms, each once."""
    found = {(one.pattern, tuple(map(id, one.tables))): one for one in map(mask, terms)}
    return list(found.values())


def covers_all(one: Term, shape: Shape) -> bool:
    """Whether a mask reaches every entry, each axis being an index of its own."""
    p = one.pattern
    return not p.guards and p.is_plain and tuple(p.sizes[index] for index in p.free) == shape


def count_union(
    masks: Sequence[Term], shape: Shape, most_work: int = MOST_WORK, most_intersections: int = MOST_INTERSECTIONS
) -> int | None:
    """How many entries the masks reach together, each counted once; None when arithmetic alone does not tell."""
    if any(covers_all(one, shape) for one in masks):
        return prod(shape)
    if not all(is_injective(one.pattern) for one in masks):
        return None
    total, tried = 0, 0
    waiting: list[tuple[Term, int, int]] = [(one, position + 1, 1) for position, one in enumerate(masks)]
    while waiting:
        one, following, sign = waiting.pop()
        found = region(one)
        count = None if found is None else points(found, most_work)
        if count is None:
            return None
        total += sign * count
        for position in range(following, len(masks) if count else 0):
            tried += 1
            if tried > most_intersections:
                return None
            both = intersection(one, masks[position])
            if both is not None:
                waiting.append((both, position + 1, -sign))
    return total


def reach(terms: Sequence[Term], shape: Shape) -> Reach:
    """The number of entries reached where it is known at next to no cost, else a bound."""
    masks = distinct(terms)
    count = count_union(masks, shape, most_work=2**22, most_intersections=16)
    if count is not None:
        return Reach(count, exact=True)
    most = sum(one.pattern.entries for one in masks)
    return Reach(min(most, prod(shape)), exact=False)
