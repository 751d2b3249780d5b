"""Terms that differ only in which arrays they read, from where, and where they are written: one product of all."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from math import isfinite, prod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from jacobian.kernel.access import Form, affine, indices, plain
from jacobian.kernel.code import Code, Symbol
from jacobian.kernel.facts import LARGE, common_kind
from jacobian.kernel.injective import overlapping
from jacobian.kernel.pattern import Access, Pattern, Shape
from jacobian.kernel.places import reshaped
from jacobian.kernel.views import is_whole

if TYPE_CHECKING:
    from jacobian.kernel.lower import Given

FEW_ALIKE = 3  # terms from which on they are stacked
WORTH_A_PRODUCT = 2**8  # entries of all terms together for which a product of matrices is worth a call
SMALL = 2**12  # entries that are copied in less time than a call takes
MOST_MISSING = 4  # one of so many places in a stack may stay empty

T = TypeVar("T")
Offsets = tuple[int, ...]


def stacked_alike(code: Code, terms: Sequence[Given]) -> list[Given]:
    """Terms of one kind as one term with further indices: one matrix product instead of many, or of many sums.

    One index goes through the places where they are written, one through what is summed there. What was stacked may be
    alike again: the gates of a recurrent step first, then the steps.
    """
    found = _stacked_once(code, terms)
    return found if len(found) == len(terms) else stacked_alike(code, found)


def _stacked_once(code: Code, terms: Sequence[Given]) -> list[Given]:
    found: list[Given] = []
    for group in _grouped(terms, _kind):
        for part in _sharing(group):
            stack = _stack(code, part)
            if stack is not None:
                found.append(stack)
                continue
            for place in _grouped(part, lambda term: term.pattern):
                stack = _stack(code, place)
                found += place if stack is None else [stack]
    return found


def _grouped(terms: Sequence[T], key: Callable[[T], Hashable]) -> list[list[T]]:
    groups: dict[Hashable, list[T]] = {}
    for term in terms:
        groups.setdefault(key(term), []).append(term)
    return list(groups.values())


def _kind(term: Given) -> Hashable:
    """All of a term but its arrays and where they are read and written: for what has no look-up and no guard."""
    if _is_special(term):
        return id(term)
    pattern = term.pattern
    forms = [(*pattern.out, *pattern.into), *(access.forms for access in pattern.factors)]
    return (
        pattern.sizes, tuple(tuple(form.parts for form in group) for group in forms), pattern.out_shape,
        pattern.in_shape, tuple(access.shape for access in pattern.factors), term.scale,
    )  # fmt: skip


def _is_special(term: Given) -> bool:
    return any(term.operators) or bool(term.pattern.guards or term.pattern.tables)


def _sharing(group: list[Given]) -> list[list[Given]]:
    """The terms that read one array, at whatever place in it, put together; all of them where there is none such."""
    for position in range(len(group[0].factors)):
        parts = _grouped(group, lambda term: term.factors[position].name)  # noqa: B023 - called at once
        if any(len(part) >= FEW_ALIKE for part in parts):
            rest = [term for part in parts if len(part) < FEW_ALIKE for term in part]
            return [*(part for part in parts if len(part) >= FEW_ALIKE), *([rest] if rest else [])]
    return [group]


class Course(NamedTuple):
    """Positions one after another: the first, how far apart they are along every axis, and how many there are."""

    start: Offsets
    step: Offsets
    size: int

    @classmethod
    def staying(cls, at: Offsets, size: int) -> Course:
        """The same position again and again."""
        return cls(at, (0,) * len(at), size)

    @classmethod
    def through(cls, positions: Sequence[Offsets]) -> Course | None:
        """The course through positions, sorted ones; None where they do not lie at regular distances."""
        start, *others = positions
        step = tuple(b - a for a, b in zip(start, others[0], strict=True)) if others else (0,) * len(start)
        regular = all(
            at == tuple(a + number * s for a, s in zip(start, step, strict=True)) for number, at in enumerate(positions)
        )
        return cls(start, step, len(positions)) if regular else None

    def forms(self, forms: Sequence[Form], index: int) -> tuple[Form, ...]:
        """The forms from the first position on, going along with an index."""
        steps = zip(forms, self.start, self.step, strict=True)
        return tuple(affine(start, [*form.parts, (index, step)]) for form, start, step in steps)


def _stack(code: Code, group: Sequence[Given]) -> Given | None:
    """The terms as one; None where they do not fit together, or where that is not worth it."""
    pattern, count = group[0].pattern, len(group[0].factors)
    if len(group) < FEW_ALIKE or count < 2 or _is_special(group[0]):
        return None
    shared = [len({term.factors[k].name for term in group}) == 1 for k in range(count)]
    if not all(one or is_whole(access, pattern) for one, access in zip(shared, pattern.factors, strict=True)):
        return None
    grid = _grid(group, shared)
    if grid is None:
        return None
    places, reads, terms = grid
    found, cells = _pattern(pattern, shared, places, reads), places.size * reads.size
    if not _is_worthwhile(pattern, shared, places.size, len(group)) or not _keeps_apart(pattern, found):
        return None
    if len(group) < cells and not _may_miss(code, group, shared, cells):
        return None
    every = [terms.get((place, read)) for place in range(places.size) for read in range(reads.size)]
    front = tuple(course.size for course in (places, reads) if course.size > 1)
    factors = [
        group[0].factors[k] if one else _one_array(code, [term and term.factors[k] for term in every], front)
        for k, one in enumerate(shared)
    ]
    return group[0]._replace(pattern=found, factors=tuple(factors))


Grid = tuple[Course, Course, "dict[tuple[int, int], Given]"]


def _grid(group: Sequence[Given], shared: Sequence[bool]) -> Grid | None:
    """Where terms are written, where they read what they share, and which is which, by the numbers of both."""
    written, read = [_written(term.pattern) for term in group], [_read(term.pattern, shared) for term in group]
    if len({*written}) == len({*read}) == 1:
        # They are summed, in any order. Backpropagation meets the first inputs last: in this order results by these
        # have their blocks, and may want the same arrays as a stack.
        places, reads = Course.staying(written[0], 1), Course.staying(read[0], len(group))
        return places, reads, {(0, number): term for number, term in enumerate(reversed(group))}
    at, of = sorted({*written}), sorted({*read})
    lines = Course.through(at), Course.through(of)
    terms = {(at.index(one), of.index(other)): term for one, other, term in zip(written, read, group, strict=True)}
    if lines[0] is None or lines[1] is None or len(terms) < len(group):
        return None
    return lines[0], lines[1], terms


def _written(pattern: Pattern) -> Offsets:
    return tuple(form.offset for form in (*pattern.out, *pattern.into))


def _read(pattern: Pattern, shared: Sequence[bool]) -> Offsets:
    accesses = [access for access, one in zip(pattern.factors, shared, strict=True) if one]
    return tuple(form.offset for access in accesses for form in access.forms)


def _pattern(pattern: Pattern, shared: Sequence[bool], places: Course, reads: Course) -> Pattern:
    """The pattern of all terms together: an index for each course that has more than one position."""
    sizes = pattern.sizes
    axes: list[tuple[Form, int]] = []
    numbers: list[int] = []
    for course in (places, reads):
        numbers.append(len(sizes))
        if course.size > 1:
            axes.append((plain(len(sizes)), course.size))
            sizes = (*sizes, course.size)
    more, lengths = tuple(form for form, _ in axes), tuple(size for _, size in axes)
    at = places.forms((*pattern.out, *pattern.into), numbers[0])
    moving = [form for access, one in zip(pattern.factors, shared, strict=True) if one for form in access.forms]
    left = iter(reads.forms(moving, numbers[1]))
    factors = [
        access._replace(forms=tuple(next(left) for _ in access.forms)) if one
        else Access((*more, *access.forms), (*lengths, *access.shape))
        for access, one in zip(pattern.factors, shared, strict=True)
    ]  # fmt: skip
    rank = len(pattern.out)
    return Pattern(sizes, at[:rank], at[rank:], pattern.out_shape, pattern.in_shape, tuple(factors))


def _is_worthwhile(pattern: Pattern, shared: Sequence[bool], places: int, count: int) -> bool:
    """Whether less is stacked than is written, and products are large enough where there is one for every entry."""
    if places > 1 and not any(shared):
        return False
    entries = pattern.entries
    held = sum(prod(access.shape) for access, one in zip(pattern.factors, shared, strict=True) if not one)
    everywhere = set(pattern.free).intersection(*(indices(*access.forms) for access in pattern.factors))
    calls = prod(pattern.sizes[index] for index in everywhere)
    return held <= max(entries, SMALL) and (calls == 1 or entries * count >= calls * WORTH_A_PRODUCT)


def _keeps_apart(pattern: Pattern, stacked: Pattern) -> bool:
    """Whether the places do not overlap, as far as that is known."""
    shape = (*pattern.out_shape, *pattern.in_shape)
    return len(overlapping(stacked, shape)) <= len(overlapping(pattern, shape))


def _may_miss(code: Code, group: Sequence[Given], shared: Sequence[bool], cells: int) -> bool:
    """Whether zeros may stand for terms that are missing: where few are, and zero times what is shared is zero."""
    if code.reused is None or MOST_MISSING * (cells - len(group)) > cells:  # nobody goes another way for that program
        return False
    for symbol, one in zip(group[0].factors, shared, strict=True):
        if one:
            finite = code.constant(_is_finite, "finite")
            code.refuse_unless(f"{finite}({symbol})", symbol)
    return True


def _is_finite(array: Any) -> bool:
    """Told by the sum, for which no array is made; where that is too large it is taken for infinite."""
    return isfinite(np.add.reduce(array, axis=None))


def _one_array(code: Code, symbols: Sequence[Symbol | None], front: Shape) -> Symbol:
    """Arrays of one shape as one array, zero where there is none; its first axes are `front`."""
    given = [symbol for symbol in symbols if symbol is not None]
    shape = (*front, *given[0].shape)
    if given[0].size >= LARGE and len(given) == len(symbols) and common_kind(given) is not None:
        return code.stack(given, shape)
    zeros = partial(np.zeros, given[0].shape, bool)  # no number takes another dtype of them
    filled = [code.made_once(("zeros", given[0].shape), zeros) if symbol is None else symbol for symbol in symbols]
    text = f"array([{', '.join(map(str, filled))}])"
    whole = code.let(text, filled, (len(symbols), *given[0].shape), new=True, kind=common_kind(filled))
    return reshaped(code, whole, shape)
