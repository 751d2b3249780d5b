"""Guards and operators next to something contracted: applied in linear time, never built where that can be avoided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations
from math import prod
from typing import Any, NamedTuple

import numpy as np

from jacobian.kernel import memory
from jacobian.kernel.access import Form, indices
from jacobian.kernel.equations import Guard
from jacobian.kernel.guards import apply_guard
from jacobian.kernel.network import contract
from jacobian.kernel.pattern import Access, Pattern, Shape
from jacobian.kernel.places import Labels
from jacobian.kernel.positions import positions
from jacobian.kernel.term import Array, Operator
from jacobian.kernel.views import read, read_guard


class Placed(NamedTuple):
    """An operator and where it is read."""

    operator: Operator
    access: Access


Special = Guard | Placed
Contract = Callable[[Sequence[Array], Sequence[Labels], Labels], Array]


class Means(NamedTuple):
    """How arrays are contracted, what sums over an axis to which no array belongs, and how guards are applied."""

    contract: Contract = contract
    ones: Callable[[Shape, np.dtype[Any]], Array] = np.ones
    guarded: Callable[[Guard, Array, int, Labels, Pattern, Sequence[Any]], Array | None] = apply_guard


COMPUTED = Means()


def without_specials(
    specials: list[tuple[Special, Labels]],
    arrays: list[Array],
    labels: list[Labels],
    pattern: Pattern,
    tables: Sequence[np.ndarray],
    dtype: np.dtype[Any],
    means: Means = COMPUTED,
) -> None:
    """Apply every guard and operator to what it is contracted with; one that cannot be applied becomes an array.

    A real dtype says that of complex numbers only the real part of the product is wanted.
    """
    while specials:
        if apply_one(specials, arrays, labels, pattern, tables, dtype, means):
            continue
        if _apply_two(specials, arrays, labels, pattern, dtype):
            continue
        special, axes = specials.pop()
        if isinstance(special, Placed):
            array, axes = built(special, pattern, tables)
        else:
            array, axes = read_guard(special, pattern, tables, dtype)
        arrays.append(array)
        labels.append(axes)


def built(placed: Placed, pattern: Pattern, tables: Sequence[np.ndarray]) -> tuple[np.ndarray, Labels]:
    """The operator as an array, with an axis for every index that it is read along."""
    operator, access = placed
    size = prod(operator.shape) * operator.dtype.itemsize
    memory.check(size, f"{operator.shape} {operator.dtype}", "an operator", "its matrix", "J @ dx, u @ J")
    return read(operator.dense(), access, pattern, tables)


def apply_one(
    specials: list[tuple[Special, Labels]],
    arrays: list[Array],
    labels: list[Labels],
    pattern: Pattern,
    tables: Sequence[Any],
    dtype: np.dtype[Any],
    means: Means = COMPUTED,
) -> bool:
    """Apply one guard or operator to what is contracted with it; False when that is not possible."""
    sizes = pattern.sizes
    for position, (special, ends) in enumerate(specials):
        others = {label for k, (_, axes) in enumerate(specials) if k != position for label in axes}
        for end, side in enumerate(_sides(special, ends)):
            far = tuple(end for end in ends if end not in side)
            if any(index in pattern.free or index in others for index in side) or _is_on_both(special, side, end):
                continue
            touching = [k for k, axes in enumerate(labels) if set(side) & set(axes)]
            around = {label for k, axes in enumerate(labels) if k not in touching for label in axes}
            kept = tuple(dict.fromkeys(
                label for k in touching for label in labels[k]
                if label not in side and (label in around or label in pattern.free or label in others or label in ends)
            ))  # fmt: skip
            if set(kept) & set(far):
                continue
            if prod(sizes[k] for k in (*kept, *side)) > 16 * _extent(special, ends, sizes):
                continue
            chosen, axes = [arrays[k] for k in touching], [labels[k] for k in touching]
            missing = tuple(index for index in side if not any(index in own for own in axes))
            if missing or not touching:
                chosen.append(means.ones(tuple(sizes[index] for index in missing), dtype))
                axes.append(missing)
            near = means.contract(chosen, axes, (*kept, *side))
            if isinstance(special, Placed):
                left = [array for k, array in enumerate(arrays) if k not in touching]
                real = dtype.kind != "c" and len(specials) == 1 and all(array.dtype.kind != "c" for array in left)
                applied = _operated(special, near, end, (side, far), pattern, tables, real=real)
            else:
                applied = means.guarded(special, near, side[0], far, pattern, tables)
            if applied is None:
                continue
            for k in reversed(touching):
                del arrays[k], labels[k]
            arrays.append(applied)
            labels.append((*kept, *far))
            del specials[position]
            return True
    return False


def _apply_two(
    specials: list[tuple[Special, Labels]], arrays: list[Array], labels: list[Labels], pattern: Pattern,
    dtype: np.dtype[Any],
) -> bool:  # fmt: skip
    """Contract two operators that meet along an index with each other, and what lies between; False where none can."""
    placed = [(k, special) for k, (special, _) in enumerate(specials) if isinstance(special, Placed)]
    for (one, left), (other, right) in permutations(placed, 2):
        others = {label for k, (_, axes) in enumerate(specials) if k not in (one, other) for label in axes}
        meeting = _meeting(left, right, pattern)
        if meeting is None or not others.isdisjoint(meeting):
            continue
        far, between, beyond = meeting
        touching = [k for k, axes in enumerate(labels) if between in axes]
        chosen, axes = [arrays[k] for k in touching], [labels[k] for k in touching]
        kept = tuple(dict.fromkeys(label for own in axes for label in own if label != between))
        if far in kept or beyond in kept or not all(type(array) is np.ndarray for array in chosen):
            continue
        left_over = [array for k, array in enumerate(arrays) if k not in touching]
        is_real = dtype.kind != "c" and len(specials) == 2 and all(array.dtype.kind != "c" for array in left_over)
        if not touching:
            chosen, axes = [np.ones(pattern.sizes[between], np.zeros((), dtype).real.dtype)], [(between,)]
        near = contract(chosen, axes, (*kept, between))
        found = left.operator.between(near, right.operator, is_real=is_real)
        if found is None:
            continue
        for k in reversed(touching):
            del arrays[k], labels[k]
        for k in sorted((one, other), reverse=True):
            del specials[k]
        arrays.append(found)
        labels.append((*kept, far, beyond))
        return True
    return False


def _meeting(left: Placed, right: Placed, pattern: Pattern) -> tuple[int, int, int] | None:
    """The row of one operator, the index that is its column and the other's row, and that one's column: all of each.

    The first and the last are free, the one between is summed. None where it is not so.
    """
    forms = [*zip(*left.access, strict=True), *zip(*right.access, strict=True)]
    if not all(_is_all(form, extent, pattern) for form, extent in forms):
        return None
    far, column, row, beyond = (next(indices(form)) for form, _ in forms)
    is_between = column == row and column not in pattern.free and len({far, column, beyond}) == 3
    return (far, column, beyond) if is_between and {far, beyond} <= set(pattern.free) else None


def _sides(special: Special, ends: Labels) -> tuple[Labels, ...]:
    """The groups of indices that it may be contracted over: those of either axis of an operator, one of a guard."""
    if isinstance(special, Guard):
        return tuple((index,) for index in ends)
    return tuple(tuple(dict.fromkeys(indices(form))) for form in special.access.forms)


def _is_on_both(special: Special, side: Labels, end: int) -> bool:
    """Whether an operator's other axis runs along an index of this one."""
    return isinstance(special, Placed) and bool(set(side) & set(indices(special.access.forms[1 - end])))


def _extent(special: Special, ends: Labels, sizes: Shape) -> int:
    """Entries of it as an array."""
    return prod(special.operator.shape) if isinstance(special, Placed) else prod(sizes[end] for end in ends)


def _operated(
    placed: Placed, near: Array, end: int, order: tuple[Labels, Labels], pattern: Pattern, tables: Sequence[np.ndarray],
    *, real: bool,
) -> Array | None:  # fmt: skip
    """The operator, its axis `end` contracted with the last axes of `near`; the indices of the other take their place.

    `order` has the indices of this axis and of the other. What is read at some positions only is first written there,
    into zeros. Where nothing complex follows and the real part is wanted, it is all that is computed.
    """
    (operator, (forms, shape)), (side, far) = placed, order
    whole = _written_at(near, forms[end], side, shape[end], pattern, tables)
    if whole is None:
        return None
    axis = whole.ndim - 1
    if end == 0:
        result = (operator.real_apply_transposed if real else operator.apply_transposed)(whole, axis)
    else:
        result = (operator.real_apply if real else operator.apply)(whole, axis)
    return _read_at(result, forms[1 - end], far, shape[1 - end], pattern, tables)


def _is_all(form: Form, extent: int, pattern: Pattern) -> bool:
    """Whether a form runs through an axis from its first to its last position."""
    return form.is_plain and pattern.sizes[next(indices(form))] == extent


def _places(form: Form, order: Labels, pattern: Pattern, tables: Sequence[np.ndarray]) -> np.ndarray:
    sizes = tuple(pattern.sizes[index] for index in order)
    return np.broadcast_to(positions(form, order, pattern.sizes, tables), sizes)


def _written_at(
    near: Array, form: Form, side: Labels, extent: int, pattern: Pattern, tables: Sequence[np.ndarray]
) -> Array | None:
    """The axes of `side` as one axis of all positions; None where two entries meet and the array is not NumPy's own."""
    if _is_all(form, extent, pattern):
        return near
    front = tuple(near.shape[: near.ndim - len(side)])
    where = _places(form, side, pattern, tables).reshape(-1)
    inside = (where >= 0) & (where < extent)
    listed = np.flatnonzero(inside)
    source = np.full(extent, where.size)
    source[where[listed]] = listed
    flat = np.reshape(near, (*front, where.size))
    if np.unique(where[listed]).size == listed.size:
        return np.take(np.concatenate([flat, np.zeros((*front, 1), near.dtype)], axis=-1), source, axis=-1)
    if not isinstance(near, np.ndarray):
        return None
    whole = np.zeros((*front, extent), near.dtype)
    picks: Any = (..., where[listed])
    np.add.at(whole, picks, flat[..., listed])
    return whole


def _read_at(
    array: Array, form: Form, far: Labels, extent: int, pattern: Pattern, tables: Sequence[np.ndarray]
) -> Array:
    """The last axis read at the form's positions, with an axis for every one of its indices."""
    if _is_all(form, extent, pattern):
        return array
    where = _places(form, far, pattern, tables)
    inside = (where >= 0) & (where < extent)
    picked = np.take(array, np.clip(where, 0, max(extent - 1, 0)), axis=-1)
    return picked if inside.all() else np.where(inside, picked, 0)
