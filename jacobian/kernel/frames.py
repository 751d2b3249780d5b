"""What contracting leaves of a pattern: where the contracted term writes, and which of its factors belong together."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from jacobian.kernel.access import Form, indices, lookups, relabel
from jacobian.kernel.equations import Guard
from jacobian.kernel.pattern import CACHE, Access, Pattern, open_guards
from jacobian.kernel.places import Labels


class Frame(NamedTuple):
    """What contracting a pattern leaves.

    `bare` says where the contracted term writes, without its array: free indices only, numbered in their order.
    `inner` are the guards to contract, `slots` the tables that stay, `position` the new number of each free index;
    `settled` means that there is nothing to contract. `is_filled` that factors have as many entries as stand between
    the guards that stay and beyond them: zeros put there make a plain term, which is as large.
    """

    bare: Pattern
    inner: tuple[Guard, ...]
    slots: tuple[int, ...]
    position: dict[int, int]
    settled: bool
    is_filled: bool
    parts: tuple[Part, ...]


class Part(NamedTuple):
    """Factors connected by indices, as a pattern of their own; what they contract to carries `labels`."""

    factors: tuple[int, ...]
    pattern: Pattern
    labels: Labels


def _parts(pattern: Pattern, bare: Pattern, inner: tuple[Guard, ...]) -> tuple[Part, ...]:
    """The factors in groups without a common index: an outer or a Kronecker product, whose product is never made."""
    if inner:
        return ()
    groups: list[tuple[set[int], list[int]]] = []
    for position, access in enumerate(pattern.factors):
        group = set(indices(*access.forms))
        touching = [other for other in groups if other[0] & group]
        joined = sorted([position, *(number for other in touching for number in other[1])])
        groups = [other for other in groups if other not in touching]
        groups.append((group.union(*(other[0] for other in touching)), joined))
    found: list[Part] = []
    for used, positions in sorted(groups, key=lambda group: group[1]):
        kept = [*pattern.free, *sorted(used - set(pattern.free))]
        number = {index: place for place, index in enumerate(kept)}

        def rename(form: Form, number: dict[int, int] = number) -> Form:
            return relabel(form, number.__getitem__, lambda slot: slot)

        part = Pattern(
            tuple(pattern.sizes[index] for index in kept), tuple(map(rename, pattern.out)),
            tuple(map(rename, pattern.into)), pattern.out_shape, pattern.in_shape,
            tuple(Access(tuple(map(rename, pattern.factors[k].forms)), pattern.factors[k].shape) for k in positions),
            (), pattern.tables,
        )  # fmt: skip
        found.append(Part(tuple(positions), part, tuple(k for k, index in enumerate(pattern.free) if index in used)))
    return tuple(found) if sum(bool(part.labels) for part in found) > 1 else ()


@lru_cache(maxsize=CACHE)
def frame_of(pattern: Pattern) -> Frame:
    """The frame of a pattern."""
    guards = open_guards(pattern)
    number = {index: position for position, index in enumerate(pattern.free)}
    slots = tuple(dict.fromkeys(lookups(*pattern.out, *pattern.into)))
    used = {slot: position for position, slot in enumerate(slots)}

    def rename(form: Form) -> Form:
        return relabel(form, number.__getitem__, used.__getitem__)

    bare = Pattern(
        tuple(pattern.sizes[index] for index in pattern.free), tuple(map(rename, pattern.out)),
        tuple(map(rename, pattern.into)), pattern.out_shape, pattern.in_shape, (),
        tuple(Guard(rename(g.form), g.extent) for g in guards), tuple(pattern.tables[slot] for slot in used),
    )  # fmt: skip
    inner = tuple(guard for guard in pattern.guards if guard not in guards)
    settled = not inner and len(pattern.free) == len(pattern.sizes) and _reads_plainly(pattern)
    is_filled = bool(guards) and pattern.carried(inner) == pattern.free
    return Frame(bare, inner, slots, number, settled, is_filled, _parts(pattern, bare, inner))


def _reads_plainly(pattern: Pattern) -> bool:
    """Whether there is at most one factor, read along free indices in their order."""
    if len(pattern.factors) != 1:
        return not pattern.factors
    (access,) = pattern.factors
    read = [next(indices(form), -1) for form in access.forms]
    whole = all(
        form.is_plain and pattern.sizes[index] == extent
        for form, index, extent in zip(access.forms, read, access.shape, strict=True)
    )
    places = [pattern.free.index(index) for index in read if index in pattern.free]
    return whole and len(places) == len(read) and places == sorted(set(places))
