"""What is looked up gathered before it is multiplied: the rows of a product instead of those of all its entries.

Where `J[t[n], b] = Σ_k g[n, k] w[b, k]` for many n, as behind `(x @ w.T)[t]`, the entries of g that belong to one row
are added first. Then there is one product for every row, and nothing larger is ever scattered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from jacobian.kernel.access import Form, Lookup, indices, lookups, plain, relabel
from jacobian.kernel.arithmetic import Arithmetic
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Access, Pattern, Shape
from jacobian.kernel.term import Factor, Term

SCATTERED = 10  # multiplications that take as long as to add one entry where it belongs
WORTHWHILE = 2  # times as long


class _Split(NamedTuple):
    """An axis that is looked up, the factors to gather along it, and the indices that are gone or left then."""

    axis: int
    lookup: Form
    gathered: tuple[int, ...]
    others: tuple[int, ...]
    gone: tuple[int, ...]
    rest: tuple[int, ...]


def gathered(J: Jacobian, arithmetic: Arithmetic) -> Jacobian:
    """The same Jacobian, with factors gathered where that is less work."""
    terms = [_gathered(term, J.dtype, arithmetic) if term.tables else term for term in J.terms]
    if all(one is other for one, other in zip(terms, J.terms, strict=True)):
        return J
    return Jacobian(terms, J.out_shape, J.in_shape, J.dtype, J.names)


def _gathered(term: Term, dtype: np.dtype[Any], arithmetic: Arithmetic) -> Term:
    pattern = term.pattern
    if len(term.factors) < 2 or pattern.guards or pattern.idle != 1:
        return term
    split = next((one for one in _splits(pattern) if _is_worthwhile(pattern, one)), None)
    if split is None:
        return term
    inner = _inner(term, split)
    array = arithmetic.tensor(Jacobian((inner,), inner.pattern.out_shape, inner.pattern.in_shape, dtype))
    return _outer(term, split, Factor(array))


def _splits(pattern: Pattern) -> Iterable[_Split]:
    """The ways to gather: for every axis that is nothing but a look-up, by each of the factors that are looked up."""
    axes, used = (*pattern.out, *pattern.into), [set(_of(access.forms)) for access in pattern.factors]
    for axis, form in enumerate(axes):
        if not _is_lookup(form):
            continue
        places = tuple(dict.fromkeys(indices(form)))
        elsewhere = set(_of(one for other, one in enumerate(axes) if other != axis))
        for seed in places:
            mine = tuple(k for k, one in enumerate(used) if seed in one)
            others = tuple(k for k in range(len(used)) if k not in mine)
            needed = elsewhere.union(*(used[k] for k in others))
            if seed in needed or not mine or not others or any(_looks(pattern.factors[k]) for k in mine):
                continue
            inside = tuple(dict.fromkeys((*places, *(i for k in mine for i in sorted(used[k])))))
            rest = tuple(index for index in inside if index in needed)
            yield _Split(axis, form, mine, others, tuple(i for i in inside if i not in needed), rest)


def _of(forms: Iterable[Form]) -> list[int]:
    return list(indices(*forms))


def _is_lookup(form: Form) -> bool:
    """Whether it is one table, read entry by entry."""
    if form.offset or len(form.parts) != 1:
        return False
    atom, stride = form.parts[0]
    return stride == 1 and isinstance(atom, Lookup) and all(one.is_plain for one in atom.args)


def _looks(access: Access) -> bool:
    return any(form.has_lookup for form in access.forms)


def _is_worthwhile(pattern: Pattern, split: _Split) -> bool:
    """Whether it is much less work than to multiply first."""
    extent = (*pattern.out_shape, *pattern.in_shape)[split.axis]
    inside = {*split.gone, *split.rest}
    kept = set(range(len(pattern.sizes))) - set(split.gone)

    def count(group: Iterable[int]) -> int:
        return prod(pattern.sizes[index] for index in group)

    first = count(range(len(pattern.sizes))) + SCATTERED * pattern.entries
    return WORTHWHILE * (count(inside) * (1 + SCATTERED) + extent * count(kept)) < first


def _inner(term: Term, split: _Split) -> Term:
    """What is gathered: an axis for the place, and one for every index that is left."""
    pattern = term.pattern
    shapes = ((*pattern.out_shape, *pattern.in_shape)[split.axis],), tuple(pattern.sizes[k] for k in split.rest)
    accesses = [pattern.factors[k] for k in split.gathered]
    found, tables = _numbered(term, pattern.sizes, [split.lookup], list(map(plain, split.rest)), shapes, accesses)
    return Term(found, tuple(term.factors[k] for k in split.gathered), tables)


def _outer(term: Term, split: _Split, gathered: Factor) -> Term:
    """The term with what was gathered in place of its factors, and an index in place of the look-up."""
    pattern, axis = term.pattern, split.axis
    place, extent = len(pattern.sizes), (*pattern.out_shape, *pattern.in_shape)[axis]
    forms = [plain(place) if k == axis else form for k, form in enumerate((*pattern.out, *pattern.into))]
    out, into, sizes = forms[: len(pattern.out)], forms[len(pattern.out) :], (*pattern.sizes, extent)
    own = Access(tuple(map(plain, (place, *split.rest))), tuple(sizes[index] for index in (place, *split.rest)))
    accesses = [*(pattern.factors[k] for k in split.others), own]
    found, tables = _numbered(term, sizes, out, into, (pattern.out_shape, pattern.in_shape), accesses)
    return Term(found, (*(term.factors[k] for k in split.others), gathered), tables, term.scale)


def _numbered(
    term: Term, sizes: Shape, out: Sequence[Form], into: Sequence[Form], shapes: tuple[Shape, Shape],
    accesses: Sequence[Access],
) -> tuple[Pattern, tuple[Any, ...]]:  # fmt: skip
    """A pattern of these, with the indices and tables that they mention numbered anew, and the tables."""
    every = [*out, *into, *(form for access in accesses for form in access.forms)]
    number = {index: k for k, index in enumerate(sorted(set(_of(every))))}
    slots = {slot: k for k, slot in enumerate(dict.fromkeys(lookups(*every)))}

    def renamed(forms: Sequence[Form]) -> tuple[Form, ...]:
        return tuple(relabel(form, number.__getitem__, slots.__getitem__) for form in forms)

    found = Pattern(
        tuple(sizes[index] for index in number), renamed(out), renamed(into), *shapes,
        tuple(Access(renamed(access.forms), access.shape) for access in accesses), (),
        tuple(term.pattern.tables[slot] for slot in slots),
    )  # fmt: skip
    return found, tuple(term.tables[slot] for slot in slots)
