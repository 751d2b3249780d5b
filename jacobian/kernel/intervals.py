"""Terms that differ in one guard alone, added: the difference of two running sums is a window.

A guard `[0 <= form < extent]` lets an interval of positions through. Where terms over the same arrays have guards that
differ in their intervals only, what they add up to is a step function; it is one term wherever that is not zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from jacobian.kernel.access import Form, combine, span
from jacobian.kernel.equations import Guard
from jacobian.kernel.pattern import solve
from jacobian.kernel.term import Scalar, Term

FEW = 8  # terms among which others like them are looked for


class Step(NamedTuple):
    """A range of positions, `first <= position < stop`, and the number in front of the terms there."""

    first: int
    stop: int
    scale: Scalar


def joined(terms: Sequence[Term]) -> list[Term]:
    """Terms with fewer of those that differ in one guard alone."""
    found = [term.in_one_order for term in terms] if len(terms) > 1 else list(terms)
    while len(found) > 1 and any(term.pattern.guards for term in found):
        changed = next((less for group in _alike(found) if (less := _fewer(group)) is not None), None)
        if changed is None:
            break
        group, instead = changed
        found = [term for term in found if term not in group] + instead
    return found


def _alike(terms: Sequence[Term]) -> Iterator[list[Term]]:
    """Groups of terms that are equal but for guards and numbers in front, with guards in some of them."""
    groups: dict[Any, list[Term]] = {}
    for term in terms:
        groups.setdefault((term.pattern.with_guards(()), *map(id, term.numbers)), []).append(term)
    for group in groups.values():
        if 1 < len(group) <= FEW and any(term.pattern.guards for term in group):
            yield group


def _fewer(group: Sequence[Term]) -> tuple[list[Term], list[Term]] | None:
    """Some terms of a group, and fewer that are the same; None where there are no such."""
    for term in group:
        for guard in term.pattern.guards:
            others = tuple(one for one in term.pattern.guards if one is not guard)
            members = [(one, steps) for one in group if (steps := _interval(one, guard, others)) is not None]
            runs = _added([step for _, step in members])
            if len(runs) < len(members):
                return [one for one, _ in members], [
                    one for run in runs if (one := _over(term, guard, others, run)) is not None
                ]
    return None


def _interval(term: Term, guard: Guard, others: tuple[Guard, ...]) -> Step | None:
    """Where a term with just one guard that is like this one, or with none, is which number."""
    pattern = term.pattern
    if guard.form.has_lookup:
        return None
    low, high = span(Form(0, guard.form.parts), pattern.sizes, pattern.tables)
    if pattern.guards == others:
        return Step(low, high + 1, term.scale)
    rest = [one for one in pattern.guards if one not in others]
    if len(rest) != 1 or len(pattern.guards) != len(others) + 1:
        return None
    [(form, extent)] = rest
    if form.parts == guard.form.parts:
        first = -form.offset
    elif form.parts == combine((-1, guard.form)).parts:
        first = form.offset + 1 - extent
    else:
        return None
    return Step(max(low, first), min(high + 1, first + extent), term.scale)


def _added(steps: Sequence[Step]) -> list[Step]:
    """The sum of steps, as those that it consists of."""
    found: list[Step] = []
    ends = sorted({end for step in steps for end in (step.first, step.stop)})
    for first, stop in pairwise(ends):
        scale = sum(step.scale for step in steps if step.first <= first and stop <= step.stop)
        if scale and found and found[-1].stop == first and found[-1].scale == scale:
            found[-1] = Step(found[-1].first, stop, scale)
        elif scale:
            found.append(Step(first, stop, scale))
    return found


def _over(term: Term, guard: Guard, others: tuple[Guard, ...], run: Step) -> Term | None:
    """The term with another interval for a guard, and with another number in front."""
    form, extent = Form(-run.first, guard.form.parts), run.stop - run.first
    bare = term.pattern.with_guards(others)
    found = solve(bare, [form]) if extent == 1 else solve(bare, [], [(form, extent)])
    return None if found is None else Term(found.pattern, term.factors, term.tables, run.scale * found.times)
