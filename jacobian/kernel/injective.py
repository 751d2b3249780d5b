"""Whether a term provably writes to every entry once: no two assignments of its indices reach the same one."""

from __future__ import annotations

from collections.abc import Collection
from math import prod

from jacobian.kernel.access import Form, Lookup, indices, inside
from jacobian.kernel.pattern import Pattern, Shape
from jacobian.kernel.views import steps_of


def is_injective(pattern: Pattern) -> bool:
    """Whether different assignments of the free indices provably reach different entries."""
    return not overlapping(pattern, (*pattern.out_shape, *pattern.in_shape))


def overlapping(pattern: Pattern, shape: Shape) -> list[int]:
    """Free indices to write one after another, because without that two assignments might share a position.

    The others provably reach different positions.
    """
    return [] if _is_told_by_axes(pattern) else _without_digits(pattern, shape)


def _is_told_by_axes(pattern: Pattern) -> bool:
    """Whether one axis after another tells the value of an index."""
    known = {index for index in pattern.free if pattern.sizes[index] == 1}
    waiting = [*pattern.out, *pattern.into]
    while True:
        left: list[Form] = []
        for form in waiting:
            unknown = {index for index in indices(form) if index not in known}
            if len(unknown) == 1 and _tells(form, min(unknown), pattern):
                known |= unknown
            elif unknown:
                left.append(form)
        if len(left) == len(waiting):
            return known >= set(pattern.free)
        waiting = left


def _tells(form: Form, index: int, pattern: Pattern) -> bool:
    """Whether a position tells an index, where all others in its form are known: it stands there once."""
    if sum(one == index for one in indices(form)) != 1:
        return False
    [atom] = [atom for atom, _ in form.parts if index in _within(atom)]
    return not isinstance(atom, Lookup) or _looks_up_apart(atom, index, pattern)


def _within(atom: int | Lookup) -> Collection[int]:
    return set(indices(*atom.args)) if isinstance(atom, Lookup) else (atom,)


def _looks_up_apart(lookup: Lookup, index: int, pattern: Pattern) -> bool:
    """Whether a table says something else for every value of an index; beyond its ends it may say anything."""
    table = pattern.tables[lookup.table]
    if table.distinct is None:
        return False
    asked = lookup.args[table.distinct]
    return dict(asked.parts).get(index, 0) != 0 and all(
        inside(arg, extent, pattern.sizes, pattern.tables) for arg, extent in zip(lookup.args, table.shape, strict=True)
    )


def _without_digits(pattern: Pattern, shape: Shape) -> list[int]:
    """The free indices that are no digits of a position, as if shapes were those of digits.

    Look-ups are left out of the proof, which makes it only harder.
    """
    steps = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
    axes = [(f, s) for f, s in zip((*pattern.out, *pattern.into), steps, strict=True) if not f.has_lookup]
    strides = steps_of([form for form, _ in axes], [step for _, step in axes])
    reach = 0
    clash: list[int] = []
    for index in sorted(pattern.free, key=lambda k: abs(strides.get(k, 0))):
        stride, size = abs(strides.get(index, 0)), pattern.sizes[index]
        if size > 1 and stride <= reach:
            clash.append(index)
        else:
            reach += stride * (size - 1)
    return clash
