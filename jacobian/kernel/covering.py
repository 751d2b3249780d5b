"""Where an index runs over fewer positions than a formula lets it, the formula says so: `2 * δ[j,i] * [i < 2]`.

In a formula an index begins at 0 and goes as far as the axes go on which it stands. That of a term may end earlier:
what is assigned, padded or put together covers a part of an axis. Such a term is told over the whole axis, and guards
say where it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from math import inf

from jacobian.kernel.access import Atom, Form, Lookup, affine, inside, span, substitute
from jacobian.kernel.equations import Guard
from jacobian.kernel.pattern import Access, Pattern
from jacobian.kernel.term import Term

Spot = tuple[Form, int]
"""Where an index stands: the form and how many positions the axis has."""


def ends(pattern: Pattern) -> list[Spot]:
    """The axes of the output and of the input."""
    return list(zip((*pattern.out, *pattern.into), (*pattern.out_shape, *pattern.in_shape), strict=True))


def reads_elsewhere(pattern: Pattern, known: Sequence[bool]) -> Iterator[Spot]:
    """The axes of arrays that formulas show on which indices stand alone that do so nowhere on output and input."""
    at_ends = {form for form, _ in ends(pattern) if form.is_plain}
    for access, is_known in zip(pattern.factors, known, strict=True):
        for form, extent in zip(access.forms, access.shape, strict=True):
            if is_known and form.is_plain and form not in at_ends:
                yield form, extent


def looked_up(pattern: Pattern, named: Collection[int]) -> Iterator[Spot]:
    """The axes of the tables that a formula calls by a name, which are as long as they are."""
    waiting = [form for form, _ in ends(pattern)] + [form for access in pattern.factors for form in access.forms]
    waiting += [guard.form for guard in pattern.guards]
    for form in waiting:  # which grows
        for lookup in (atom for atom, _ in form.parts if isinstance(atom, Lookup)):
            waiting += lookup.args
            if lookup.table in named:
                yield from zip(lookup.args, pattern.tables[lookup.table].shape, strict=True)


def reach(index: int, spots: Iterable[Spot], pattern: Pattern) -> float:
    """How far an index goes until it leaves one of the axes, wherever in their ranges the others are."""
    found = inf
    for form, extent in spots:
        for atom, stride in form.parts:
            if atom == index:
                rest = Form(form.offset, tuple(part for part in form.parts if part[0] != index))
                low, high = span(rest, pattern.sizes, pattern.tables)
                most = extent - 1 - low if stride > 0 else high
                found = min(found, most // abs(stride) + 1)
    return found


def told(term: Term, wanted: Iterable[int], spots: Sequence[Spot]) -> Term:
    """The term with guards for the indices that these axes would let go further than they do."""
    pattern = term.pattern
    sizes, guards = list(pattern.sizes), list(pattern.guards)
    for index in wanted:
        far = reach(index, spots, pattern)
        if far > pattern.sizes[index]:
            guards.append(Guard(Form(0, ((index, 1),)), pattern.sizes[index]))
            sizes[index] = pattern.sizes[index] + 1 if far == inf else int(far)
    return term if tuple(guards) == pattern.guards else _over(term, sizes, guards)


def inside_only(term: Term, wanted: Sequence[bool]) -> Term:
    """The term with guards that keep the wanted factors from being read beyond their ends, where they count as 0."""
    pattern = term.pattern
    reads = [access for access, is_wanted in zip(pattern.factors, wanted, strict=True) if is_wanted]
    spots = [spot for access in reads for spot in zip(access.forms, access.shape, strict=True)]
    guards = [Guard(*spot) for spot in dict.fromkeys(spots) if not inside(*spot, pattern.sizes, pattern.tables)]
    new = [guard for guard in guards if guard not in pattern.guards]
    return _over(term, pattern.sizes, [*pattern.guards, *new]) if new else term


def standing(term: Term) -> Term:
    """The term with the position along an axis as index, where one steps along it from elsewhere: i for k + 1."""
    for form, extent in ends(term.pattern):
        index = _stepping(form)
        if index is not None and not any(one.is_plain and one.parts[0][0] == index for one, _ in ends(term.pattern)):
            term = _moved(term, index, form, extent)
    return term


def _stepping(form: Form) -> int | None:
    """The index of a form that goes step by step."""
    if len(form.parts) != 1:
        return None
    ((atom, stride),) = form.parts
    return atom if isinstance(atom, int) and abs(stride) == 1 else None


def _moved(term: Term, index: int, form: Form, extent: int) -> Term:
    pattern, ((_, step),) = term.pattern, form.parts
    strides: dict[Atom, int] = {index: step}
    back = affine(-step * form.offset, strides)  # k = i - 1 where i = k + 1
    sizes = list(pattern.sizes)
    size, sizes[index] = sizes[index], extent
    moved = _over(term, sizes, [*pattern.guards, Guard(Form(0, ((index, 1),)), size)])
    return Term(_replaced(moved.pattern, index, back), term.factors, term.tables, term.scale, term.letters)


def _replaced(pattern: Pattern, index: int, by: Form) -> Pattern:
    def new(forms: Iterable[Form]) -> tuple[Form, ...]:
        return tuple(substitute(form, {index: by}) for form in forms)

    return Pattern(
        pattern.sizes, new(pattern.out), new(pattern.into), pattern.out_shape, pattern.in_shape,
        tuple(Access(new(access.forms), access.shape) for access in pattern.factors),
        tuple(Guard(substitute(guard.form, {index: by}), guard.extent) for guard in pattern.guards), pattern.tables,
    )  # fmt: skip


def _over(term: Term, sizes: Sequence[int], guards: Sequence[Guard]) -> Term:
    pattern = term.pattern
    wider = Pattern(
        tuple(sizes), pattern.out, pattern.into, pattern.out_shape, pattern.in_shape, pattern.factors, tuple(guards),
        pattern.tables,
    )  # fmt: skip
    return Term(wider, term.factors, term.tables, term.scale, term.letters)


def range_text(guard: Guard, name: str, size: int) -> str | None:
    """A guard over one index, which goes step by step below `size`: `i < 2`; empty where it always holds.

    >>> range_text(Guard(Form(-1, ((0, 1),)), 2), "i", 3), range_text(Guard(Form(-1, ((0, 1),)), 2), "i", 4)
    ('i >= 1', '1 <= i < 3')
    """
    if _stepping(guard.form) is None:
        return None
    offset, step = guard.form.offset, guard.form.parts[0][1]
    first = max(0, -offset if step > 0 else offset - guard.extent + 1)
    stop = min(size, guard.extent - offset if step > 0 else offset + 1)
    if stop - first == 1 and size > 1:
        return f"{name} = {first}"
    if first and stop < size:
        return f"{first} <= {name} < {stop}"
    return f"{name} >= {first}" if first else f"{name} < {stop}" if stop < size else ""
