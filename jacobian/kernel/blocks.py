"""Terms that are written to where the same is looked up: added up first, in an array of all that goes to one place.

A list of positions is gone through for every term that is written there. In the array they are added through views.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from jacobian.kernel.access import Form, Table, indices, lookups, plain, relabel
from jacobian.kernel.code import Code, Symbol
from jacobian.kernel.pattern import Access, Pattern, Shape

if TYPE_CHECKING:
    from jacobian.kernel.lower import Given

PER_WRITE = 2**8  # entries that could be written to a list of positions while another such write begins


class Place(NamedTuple):
    """Where a term is written, as an array of it: how it is written there, and from there to the result.

    Every axis of the result without a look-up is one of the array; so is every index that a look-up goes along with,
    unless it runs through such an axis. They stand in the order in which the result has them.
    """

    local: tuple[Form, ...]  # over the term's indices
    shape: Shape
    forms: tuple[Form, ...]  # the result's, over the axes of the array
    tables: tuple[Symbol, ...]
    facts: tuple[Table, ...]

    @property
    def key(self) -> Hashable:
        """What makes two places the same."""
        return self.shape, self.forms, tuple(map(str, self.tables)), self.facts


def in_blocks(
    code: Code, terms: Sequence[Given], shape: Shape, write: Callable[[Sequence[Given], Shape], Symbol]
) -> list[Given]:  # fmt: skip
    """The terms, those that are written to where the same is looked up as one; `write` makes the array of these."""
    groups: dict[Hashable, list[tuple[Place, Given]]] = {}
    found: list[Given] = []
    for term in terms:
        place = _place(term, shape)
        if place is None:
            found.append(term)
        else:
            groups.setdefault(place.key, []).append((place, term))
    for group in groups.values():
        (place, _), members = group[0], [term for _, term in group]
        if len(group) > 1 and _is_worthwhile(place, members):
            array = write([_locally(*one) for one in group], place.shape)
            members = [_from(place, members[0], array)]
        found += members
    return found


def _place(term: Given, shape: Shape) -> Place | None:
    """Where a term is written; None where nothing is looked up for that."""
    pattern = term.pattern
    forms = (*pattern.out, *pattern.into)
    looked_up = [form for form in forms if form.has_lookup]
    if not looked_up or any(term.operators):
        return None
    through = {
        index for form, extent in zip(forms, shape, strict=True) if form.is_plain
        for index in indices(form) if pattern.sizes[index] == extent
    }  # fmt: skip
    axes: list[tuple[Form, int]] = []
    straight: list[int] = []  # which of them are axes of the result
    for form, extent in zip(forms, shape, strict=True):
        if not form.has_lookup:
            straight.append(len(axes))
            axes.append((form, extent))
            continue
        more = [(plain(index), pattern.sizes[index]) for index in indices(form) if index not in through]
        axes += [axis for axis in dict.fromkeys(more) if axis not in axes]
    number = {
        index: k for k, (form, extent) in enumerate(axes) if form.is_plain
        for index in indices(form) if pattern.sizes[index] == extent
    }  # fmt: skip
    slots = tuple(dict.fromkeys(lookups(*looked_up)))
    rest = iter(straight)
    written = tuple(
        relabel(form, number.__getitem__, slots.index) if form.has_lookup else plain(next(rest)) for form in forms
    )
    local, sizes = tuple(form for form, _ in axes), tuple(extent for _, extent in axes)
    tables, facts = tuple(term.tables[slot] for slot in slots), tuple(pattern.tables[slot] for slot in slots)
    return Place(local, sizes, written, tables, facts)


def _is_worthwhile(place: Place, terms: Sequence[Given]) -> bool:
    """Whether hardly more is written to the list of positions at once than it is one after another."""
    entries = [term.pattern.entries for term in terms]
    return prod(place.shape) <= sum(entries) + PER_WRITE * (len(terms) - 1)


def _locally(place: Place, term: Given) -> Given:
    """The term as it is written to the array."""
    pattern = term.pattern
    local = Pattern(pattern.sizes, (), place.local, (), place.shape, pattern.factors, pattern.guards, pattern.tables)
    return term._replace(pattern=local)


def _from(place: Place, term: Given, array: Symbol) -> Given:
    """The array as a term, written to where all of them are."""
    out_shape, in_shape = term.pattern.out_shape, term.pattern.in_shape
    out, into = place.forms[: len(out_shape)], place.forms[len(out_shape) :]
    access = Access(tuple(map(plain, range(len(place.shape)))), place.shape)
    whole = Pattern(place.shape, out, into, out_shape, in_shape, (access,), (), place.facts)
    return term._replace(pattern=whole, factors=(array,), tables=place.tables, scale="", operators=(False,))
