"""What several terms have in common, made once: `f g h + f k h` as `f (g + k) h`.

So it is where a function reads something twice, as `x * tanh(x)` does: what arrives there is multiplied with the sum of
what both ways do, which has the entries of `x` and not those of the Jacobian.
"""

from __future__ import annotations

import operator
from collections.abc import Hashable, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from jacobian.kernel.access import plain
from jacobian.kernel.arithmetic import Arithmetic
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.frames import frame_of
from jacobian.kernel.pattern import Access, Pattern, Shape
from jacobian.kernel.simplify import contracted
from jacobian.kernel.term import Array, Factor, Operator, Term

WORTHWHILE = 4  # multiplications for every entry of a sum, where a product is summed itself


class _Way(NamedTuple):
    """All of a term but the factors that are read in one way."""

    frame: Hashable
    rest: Hashable
    access: Access


def factored(J: Jacobian, arithmetic: Arithmetic) -> Jacobian:
    """The same Jacobian, with terms made one that differ in what is read in one way only."""
    terms, last = list(J.terms), 0
    while len(terms) not in {1, last}:
        last, terms = len(terms), _in_groups(terms, J.dtype, arithmetic)
    return J if len(terms) == len(J.terms) else Jacobian(terms, J.out_shape, J.in_shape, J.dtype, J.names)


def made_once(J: Jacobian, arithmetic: Arithmetic) -> Jacobian:
    """The same Jacobian, with what terms have in common that differ in sign and tables contracted once.

    They are what is made of `x[i] - x[j]`: the same entries in other places, some with a minus.
    """
    groups: dict[Hashable, list[int]] = {}
    for k, term in enumerate(J.terms):
        if term.tables and isinstance(term.scale, int | float) and not _looks(term):
            groups.setdefault((term.pattern, _names(term.factors), abs(term.scale)), []).append(k)
    terms = list(J.terms)
    for members in groups.values():
        if len(members) > 1:
            for k, term in zip(members, _with_one_array([terms[k] for k in members], J, arithmetic), strict=True):
                terms[k] = term
    return J if all(map(operator.is_, terms, J.terms)) else Jacobian(terms, J.out_shape, J.in_shape, J.dtype, J.names)


def _with_one_array(members: Sequence[Term], J: Jacobian, arithmetic: Arithmetic) -> Sequence[Term]:
    """Terms of equal factors with what these contract to in their place, if there is something to contract."""
    first, scale = members[0], abs(members[0].scale)
    if not scale or (len(first.factors) < 2 and scale == 1):
        return members
    one = Jacobian((Term(first.pattern, first.factors, first.tables, scale),), J.out_shape, J.in_shape, J.dtype)
    [found, *others] = contracted(one, arithmetic).terms
    if others or found.scale != 1:
        return members
    slots = frame_of(first.pattern).slots
    return [
        Term(found.pattern, found.factors, tuple(term.tables[slot] for slot in slots), 1 if term.scale == scale else -1)
        for term in members
    ]


def _looks(term: Term) -> bool:
    """Whether a factor is read at positions in a table, or under a condition about these, or is an operator."""
    forms = [form for access in term.pattern.factors for form in access.forms]
    looks = any(form.has_lookup for form in (*forms, *(guard.form for guard in term.pattern.guards)))
    return looks or term.has_operator


def scaled_once(J: Jacobian, uses: Sequence[Jacobian], arithmetic: Arithmetic) -> Jacobian:
    """The same Jacobian with a number in front multiplied in, where every product with it would have to do that.

    A product multiplies the smallest array that it has.
    """
    [term, *others] = J.terms or [None]
    if term is None or others or abs(term.scale) in {0, 1} or len(term.factors) != 1 or term.pattern.guards:
        return J
    [access] = term.pattern.factors
    size = prod(access.shape)
    arrays = ([prod(one.shape) for other in use.terms for one in other.pattern.factors] for use in uses)
    if isinstance(term.factors[0].array, Operator) or size > sum(min([size, *sizes]) for sizes in arrays):
        return J
    array, labels = arithmetic.core(_entries(term.factors, access.shape, term.scale), J.dtype, ())
    if labels != tuple(range(len(access.shape))):
        return J
    scaled = Term(term.pattern, (Factor(array),), term.tables)
    return Jacobian((scaled,), J.out_shape, J.in_shape, J.dtype, J.names)


def _in_groups(terms: Sequence[Term], dtype: np.dtype[Any], arithmetic: Arithmetic) -> list[Term]:
    """The terms, each with those that it can be made one with; larger groups come first."""
    groups: dict[_Way, list[int]] = {}
    for k, term in enumerate(terms):
        for way in _ways(term):
            groups.setdefault(way, []).append(k)
    found: dict[int, Term] = dict(enumerate(terms))
    rest = set(found)
    for way, members in sorted(groups.items(), key=lambda group: -len(group[1])):
        if len(members) > 1 and rest.issuperset(members):
            rest.difference_update(members)
            found[members[0]] = _one([found.pop(k) for k in members], way.access, dtype, arithmetic)
    return [term for _, term in sorted(found.items())]


def _ways(term: Term) -> Sequence[_Way]:
    """In which ways a term may be told from others."""
    pattern = term.pattern
    if len(term.factors) < 2 or term.has_operator:
        return ()
    frame = (pattern.sizes, pattern.out, pattern.into, pattern.guards, tuple(map(id, term.tables)))
    every = {access: _names(factors) for access, factors in term.by_access.items()}
    return [
        _Way(frame, frozenset((one, names) for one, names in every.items() if one != access), access)
        for access in every
        if len(every) > 1 and _is_worthwhile(pattern, access)
    ]


def _names(factors: Sequence[Factor]) -> tuple[Hashable, ...]:
    """What is equal for the same arrays, in whatever order."""
    return tuple(sorted((_name(factor.array) for factor in factors), key=str))


def _name(array: Array) -> Hashable:
    if isinstance(array, np.ndarray):
        return array.__array_interface__["data"], array.shape, array.strides, array.dtype
    return getattr(array, "name", id(array))


def _is_worthwhile(pattern: Pattern, access: Access) -> bool:
    """Whether adding arrays that are read so is less than to multiply them one by one, and to add what that gives."""
    entries, count = prod(access.shape), prod(pattern.sizes)
    return count >= WORTHWHILE * entries or (count == pattern.entries and count >= entries)


def _one(members: Sequence[Term], access: Access, dtype: np.dtype[Any], arithmetic: Arithmetic) -> Term:
    """Several terms as one."""
    first, scale = members[0], members[0].scale or 1
    added = [_entries(member.by_access[access], access.shape, member.scale / scale) for member in members]
    [total] = contracted(Jacobian(added, access.shape, (), dtype), arithmetic).terms
    read = first.by_access | {access: list(total.factors)}
    pairs = [(one, factor) for one, factors in read.items() for factor in factors]
    found = first.pattern.with_factors(tuple(one for one, _ in pairs))
    return Term(found, tuple(factor for _, factor in pairs), first.tables, scale)


def _entries(factors: Sequence[Factor], shape: Shape, scale: Any) -> Term:
    """The product of arrays, entry by entry."""
    axes = tuple(map(plain, range(len(shape))))
    return Term(Pattern(shape, axes, (), shape, (), (Access(axes, shape),) * len(factors)), tuple(factors), (), scale)
