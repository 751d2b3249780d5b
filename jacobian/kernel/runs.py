"""Look-ups that count evenly for long, as those of `roll` do: a term is then a few slices, and nothing is looked up.

Slices are written through views, entries whose positions are listed one by one: that takes ten times as long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from jacobian.kernel.access import Form, Lookup, affine, combine, constant, indices, substitute
from jacobian.kernel.equations import Guard
from jacobian.kernel.pattern import Access, Pattern
from jacobian.kernel.positions import positions

FEW = 4  # slices that are written sooner than a list of positions, however short
MANY = 32  # slices above which no more are made
PER_SLICE = 2**11  # entries of a list that take longer than one slice more


class Run(NamedTuple):
    """Values that a look-up gives one after another, at even distances: where they begin, and how many there are."""

    first: int
    value: int
    step: int
    size: int


def in_runs(pattern: Pattern, tables: Sequence[np.ndarray]) -> list[Pattern] | None:
    """Patterns that add up to this one, and write where nothing is looked up; None where there would be too many.

    They read the same factors and tables.
    """
    most = min(MANY, FEW + prod(pattern.sizes) // PER_SLICE)
    found, waiting = [], [pattern]
    while waiting:
        one = waiting.pop()
        lookup = next(_written_lookups(one), None)
        if lookup is None:
            found.append(one)
            continue
        runs = _runs(one, lookup, tables, most)
        if runs is None or len(found) + len(waiting) + len(runs) > most:
            return None
        waiting += [_along(one, lookup, run) for run in reversed(runs)]
    return found


def _written_lookups(pattern: Pattern) -> Iterator[Lookup]:
    return (atom for form in (*pattern.out, *pattern.into) for atom, _ in form.parts if isinstance(atom, Lookup))


def _runs(pattern: Pattern, lookup: Lookup, tables: Sequence[np.ndarray], most: int) -> list[Run] | None:
    """What a look-up gives as runs; None if it goes along with more than one index, or there are too many."""
    index, *others = set(indices(*lookup.args)) or (None,)
    if index is None or others:
        return None
    form, size = Form(0, ((lookup, 1),)), pattern.sizes[index]
    values = np.broadcast_to(positions(form, (index,), pattern.sizes, tables), (size,))
    steps = np.diff(values)
    found: list[Run] = []
    start = 0
    while start < size:
        if len(found) == most:
            return None
        step = int(steps[start]) if start < size - 1 else 0
        breaks = np.flatnonzero(steps[start:] != step)
        stop = start + int(breaks[0]) + 1 if breaks.size else size
        found.append(Run(start, int(values[start]), step, stop - start))
        start = stop
    return found


def _along(pattern: Pattern, lookup: Lookup, run: Run) -> Pattern:
    """The pattern over the part of an index where a look-up is a run."""
    (index,) = set(indices(*lookup.args))
    values = affine(run.value, {index: run.step})
    moved = {index: affine(run.first, {index: 1})}

    def restricted(form: Form) -> Form:
        parts = [(s, values if atom == lookup else substitute(affine(0, {atom: 1}), moved)) for atom, s in form.parts]
        return combine((1, constant(form.offset)), *parts)

    def all_of(forms: Sequence[Form]) -> tuple[Form, ...]:
        return tuple(map(restricted, forms))

    return Pattern(
        tuple(run.size if k == index else size for k, size in enumerate(pattern.sizes)),
        all_of(pattern.out), all_of(pattern.into), pattern.out_shape, pattern.in_shape,
        tuple(Access(all_of(access.forms), access.shape) for access in pattern.factors),
        tuple(Guard(restricted(guard.form), guard.extent) for guard in pattern.guards), pattern.tables,
    )  # fmt: skip
