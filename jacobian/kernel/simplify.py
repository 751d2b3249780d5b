"""Contracting the terms of a Jacobian without giving up their structure, and merging what then looks the same."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from jacobian.kernel.access import Form, indices, lookups, plain, relabel
from jacobian.kernel.dispatch import core_by_calls, is_foreign
from jacobian.kernel.equations import Guard
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.lower import core
from jacobian.kernel.memory import available
from jacobian.kernel.network import Labels
from jacobian.kernel.pattern import Access, Pattern
from jacobian.kernel.structure import common_axes
from jacobian.kernel.term import Array, Factor, Operator, Term

MANY_TERMS = 4


def contracted(J: Jacobian) -> Jacobian:
    """The same Jacobian with one array per term; terms that read and write alike become one."""
    groups: dict[Any, list[tuple[Array, Labels, Term]]] = {}
    loose: list[Term] = []
    for term in J.terms:
        if _has_open_operator(term):
            loose.append(term)
            continue
        guards = open_guards(term)
        inner = [guard for guard in term.pattern.guards if guard not in guards]
        foreign = any(is_foreign(factor.array) for factor in term.factors)
        array, labels = (core_by_calls if foreign else core)(term, J.dtype, inner)
        used = tuple(term.tables[slot] for slot in dict.fromkeys(lookups(*term.pattern.out, *term.pattern.into)))
        key = (frame(term.pattern, guards), tuple(map(id, used)))
        position = {index: number for number, index in enumerate(term.pattern.free)}
        groups.setdefault(key, []).append((array, tuple(position[label] for label in labels), Term(key[0], (), used)))
    terms = [_sum_of(members) for members in groups.values()]
    result = Jacobian([*terms, *loose], J.out_shape, J.in_shape, J.dtype, J.names)
    if len(result.terms) > MANY_TERMS:
        return collapsed(result)
    return result


def _has_open_operator(term: Term) -> bool:
    return any(
        isinstance(factor.array, Operator) and set(indices(*access.forms)) <= set(term.pattern.free)
        for factor, access in zip(term.factors, term.pattern.factors, strict=True)
    )


def open_guards(term: Term) -> tuple[Guard, ...]:
    """Guards over free indices only: they need not be contracted with anything."""
    free = set(term.pattern.free)
    return tuple(
        guard for guard in term.pattern.guards if set(indices(guard.form)) <= free and not guard.form.has_lookup
    )


def frame(pattern: Pattern, guards: tuple[Guard, ...] = ()) -> Pattern:
    """Where a contracted term writes, without its array: free indices only, numbered in their order."""
    number = {index: position for position, index in enumerate(pattern.free)}
    used = {slot: position for position, slot in enumerate(dict.fromkeys(lookups(*pattern.out, *pattern.into)))}

    def rename(form: Form) -> Form:
        return relabel(form, number.__getitem__, used.__getitem__)

    return Pattern(
        tuple(pattern.sizes[index] for index in pattern.free), tuple(map(rename, pattern.out)),
        tuple(map(rename, pattern.into)), pattern.out_shape, pattern.in_shape, (),
        tuple(Guard(rename(g.form), g.extent) for g in guards), tuple(pattern.tables[slot] for slot in used),
    )  # fmt: skip


def _sum_of(members: list[tuple[Array, Labels, Term]]) -> Term:
    bare = members[0][2]
    every: Labels = tuple(sorted({label for _, labels, _ in members for label in labels}))
    total: Any = None
    for array, labels, _ in members:
        if labels != every and np.ndim(array):
            order = sorted(range(len(labels)), key=labels.__getitem__)
            array = np.transpose(array, order)
            array = np.reshape(array, tuple(bare.pattern.sizes[k] if k in labels else 1 for k in every))
        total = array if total is None else total + array
    if not every:
        if is_foreign(total):
            return Term(_with_factor(bare.pattern, Access((), ())), (Factor(total),), bare.tables)
        return Term(bare.pattern, (), bare.tables, np.asarray(total).item())
    shape = tuple(bare.pattern.sizes[k] for k in every)
    if tuple(np.shape(total)) != shape:
        total = np.broadcast_to(total, shape)
    access = Access(tuple(plain(k) for k in every), shape)
    return Term(_with_factor(bare.pattern, access), (Factor(total),), bare.tables)


def _with_factor(pattern: Pattern, access: Access) -> Pattern:
    return Pattern(
        pattern.sizes, pattern.out, pattern.into, pattern.out_shape, pattern.in_shape, (access,), pattern.guards,
        pattern.tables,
    )  # fmt: skip


def collapsed(J: Jacobian) -> Jacobian:
    """One term instead of many: dense within the blocks that all terms share, block-diagonal between them."""
    if not J.terms:
        return J
    shared = dict(common_axes([term.pattern for term in J.terms]))
    kept = [axis for axis in range(len(J.in_shape)) if axis not in shared.values()]
    block_shape = J.out_shape + tuple(J.in_shape[axis] for axis in kept)
    if prod(block_shape) * J.dtype.itemsize > min(available() // 4, 2**33):
        return J
    terms = [
        Term(
            Pattern(
                t.pattern.sizes, t.pattern.out, tuple(t.pattern.into[axis] for axis in kept), J.out_shape,
                tuple(J.in_shape[axis] for axis in kept), t.pattern.factors, t.pattern.guards, t.pattern.tables,
            ), t.factors, t.tables, t.scale,
        )
        for t in J.terms
    ]  # fmt: skip
    block = Jacobian(terms, J.out_shape, tuple(J.in_shape[axis] for axis in kept), J.dtype).tensor()
    return _block(J, block, kept, shared)


def _block(J: Jacobian, block: Array, kept: list[int], shared: dict[int, int]) -> Jacobian:
    """The array of all blocks as a Jacobian; `shared` maps output axes to the input axes that equal them."""
    outs, shape = len(J.out_shape), tuple(block.shape)
    number = {axis: outs + position for position, axis in enumerate(kept)} | {i: o for o, i in shared.items()}
    pattern = Pattern(
        shape, tuple(plain(k) for k in range(outs)), tuple(plain(number[axis]) for axis in range(len(J.in_shape))),
        J.out_shape, J.in_shape, (Access(tuple(plain(k) for k in range(len(shape))), shape),),
    )  # fmt: skip
    return Jacobian((Term(pattern, (Factor(block),)),), J.out_shape, J.in_shape, J.dtype, J.names)


def shapes_only(J: Jacobian) -> Jacobian:
    """What `contracted` would return, with arrays that have a shape but no numbers: for counting costs."""
    groups: dict[Pattern, Term] = {}
    loose: list[Term] = []
    for term in J.terms:
        if _has_open_operator(term):
            loose.append(term)
            continue
        guards = open_guards(term)
        bare = frame(term.pattern, guards)
        inner = [guard for guard in term.pattern.guards if guard not in guards]
        carried = {k for access in term.pattern.factors for k in indices(*access.forms)}
        carried.update(k for guard in inner for k in indices(guard.form))
        labels = {position for position, index in enumerate(term.pattern.free) if index in carried}
        if bare in groups:
            labels |= set(indices(*(f for access in groups[bare].pattern.factors for f in access.forms)))
        shape = tuple(bare.sizes[k] for k in sorted(labels))
        access = Access(tuple(plain(k) for k in sorted(labels)), shape)
        pattern = _with_factor(bare, access) if labels else bare
        ghost = np.broadcast_to(np.zeros((), J.dtype), shape)
        groups[bare] = Term(pattern, (Factor(ghost),) if labels else ())
    result = Jacobian([*groups.values(), *loose], J.out_shape, J.in_shape, J.dtype, J.names)
    return _collapsed_shape(result) if len(result.terms) > MANY_TERMS else result


def _collapsed_shape(J: Jacobian) -> Jacobian:
    shared = dict(common_axes([term.pattern for term in J.terms]))
    kept = [axis for axis in range(len(J.in_shape)) if axis not in shared.values()]
    shape = J.out_shape + tuple(J.in_shape[axis] for axis in kept)
    return _block(J, np.broadcast_to(np.zeros((), J.dtype), shape), kept, shared)
