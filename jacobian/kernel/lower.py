"""Terms to numbers: accesses become strided views, the network is contracted, the result written through a view.

Terms whose arrays are NumPy's own take the way of views; any other array type that speaks NumPy's protocols takes
the way of dispatched NumPy calls (`dispatch.py`). Both give the same numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from jacobian.kernel.access import Form, indices, span
from jacobian.kernel.equations import Guard
from jacobian.kernel.guards import apply_guard
from jacobian.kernel.network import Labels, contract
from jacobian.kernel.pattern import Access, Pattern, Shape
from jacobian.kernel.positions import positions
from jacobian.kernel.term import Operator, Term


def _strides(forms: Sequence[Form], steps: Sequence[int]) -> dict[int, int]:
    """How far one step of each index moves, given how far one step along each axis moves."""
    total: dict[int, int] = {}
    for form, step in zip(forms, steps, strict=True):
        for atom, stride in form.parts:
            assert isinstance(atom, int)
            total[atom] = total.get(atom, 0) + stride * step
    return total


def _margins(pattern: Pattern, forms: Sequence[Form], shape: Shape) -> list[tuple[int, int]]:
    """How far every form leaves its axis at the low and at the high end."""
    spans = [span(form, pattern.sizes, pattern.tables) for form in forms]
    return [(max(0, -low), max(0, high + 1 - extent)) for (low, high), extent in zip(spans, shape, strict=True)]


def read(
    array: np.ndarray, access: Access, pattern: Pattern, tables: Sequence[np.ndarray]
) -> tuple[np.ndarray, Labels]:
    """A factor as an array with one axis per index: a view wherever strides can say it."""
    forms, shape = access
    labels: Labels = tuple(dict.fromkeys(indices(*forms)))
    if len(labels) == len(forms) and all(
        form.is_plain and pattern.sizes[label] == extent
        for form, label, extent in zip(forms, labels, shape, strict=True)
    ):
        return array, labels
    margins = _margins(pattern, forms, shape)
    if any(low or high for low, high in margins):
        array = np.pad(array, margins)
    starts = [low for low, _ in margins]
    if any(form.has_lookup for form in forms):
        where = (positions(f, labels, pattern.sizes, tables) + s for f, s in zip(forms, starts, strict=True))
        full = tuple(pattern.sizes[label] for label in labels)
        return np.broadcast_to(array[tuple(where)], full), labels
    steps = _strides(forms, array.strides)
    corner = array[tuple(slice(form.offset + s, form.offset + s + 1) for form, s in zip(forms, starts, strict=True))]
    sizes, strides = [pattern.sizes[label] for label in labels], [steps[label] for label in labels]
    return as_strided(corner, sizes, strides, writeable=False), labels


def read_guard(
    guard: Guard, pattern: Pattern, tables: Sequence[np.ndarray], dtype: np.dtype[Any]
) -> tuple[np.ndarray, Labels]:
    """A guard as an array of zeros and ones over its indices: a view of a short buffer."""
    labels: Labels = tuple(dict.fromkeys(indices(guard.form)))
    sizes = tuple(pattern.sizes[label] for label in labels)
    if guard.form.has_lookup:
        value = positions(guard.form, labels, pattern.sizes, tables)
        return np.broadcast_to(((value >= 0) & (value < guard.extent)).astype(dtype), sizes), labels
    low, high = span(guard.form, pattern.sizes, pattern.tables)
    buffer = np.zeros(high - low + 1, dtype)
    buffer[max(0, -low) : max(0, guard.extent - low)] = 1
    steps = _strides([guard.form], buffer.strides)
    corner = buffer[guard.form.offset - low :]
    return as_strided(corner, sizes, [steps[label] for label in labels], writeable=False), labels


def core(term: Term, dtype: np.dtype[Any], guards: Sequence[Guard] | None = None) -> tuple[np.ndarray, Labels]:
    """Contract a term's factors; returns the array and the free indices its axes stand for.

    A free index that no factor carries is left out: the result is constant along it. `guards` are those to
    contract as well, all of them unless told otherwise.
    """
    pattern = term.pattern
    arrays: list[np.ndarray] = []
    labels: list[Labels] = []
    specials: list[tuple[Guard | Operator, Labels]] = []
    scale = term.scale * pattern.idle
    for factor, access in zip(term.factors, pattern.factors, strict=True):
        if isinstance(factor.array, Operator):
            ends = tuple(dict.fromkeys(indices(*access.forms)))
            if all(f.is_plain for f in access.forms) and tuple(pattern.sizes[i] for i in ends) == access.shape:
                specials.append((factor.array, ends))
                continue
        array = factor.array.dense() if isinstance(factor.array, Operator) else factor.array
        array, axes = read(array, access, pattern, term.tables)
        if array.ndim == 0:  # a number: it joins the scalar in front
            scale = scale * array.item()
            continue
        arrays.append(array)
        labels.append(axes)
    wanted = pattern.guards if guards is None else guards
    specials += [(guard, tuple(dict.fromkeys(indices(guard.form)))) for guard in wanted]
    while specials:
        if not _apply_one(specials, arrays, labels, pattern, term.tables, dtype):
            special, axes = specials.pop()
            if isinstance(special, Operator):
                array = special.dense()
            else:
                array, axes = read_guard(special, pattern, term.tables, dtype)
            arrays.append(array)
            labels.append(axes)
    arrays, labels = _products_of_alike(arrays, labels)
    carried = {label for axes in labels for label in axes}
    out = tuple(index for index in pattern.free if index in carried)
    arrays, labels = _summed_alone(arrays, labels, set(out))
    scale = scale * prod(array.item() for array in arrays if array.ndim == 0)
    labels = [axes for axes in labels if axes]
    arrays = [array for array in arrays if array.ndim]
    if not arrays:
        return np.asarray(scale, dtype), ()
    return np.asarray(contract(_scale_smallest(arrays, scale), labels, out)), out


def _products_of_alike(arrays: list[np.ndarray], labels: list[Labels]) -> tuple[list[np.ndarray], list[Labels]]:
    """Arrays over the same indices, multiplied: a chain of elementwise maps is one array before any path is sought."""
    if len(set(labels)) == len(labels):
        return arrays, labels
    product: dict[Labels, np.ndarray] = {}
    fresh: set[Labels] = set()
    for array, axes in zip(arrays, labels, strict=True):
        old = product.get(axes)
        if old is None:
            product[axes] = array
        elif axes in fresh and old.dtype == array.dtype:
            np.multiply(old, array, out=old)
        else:
            product[axes] = np.asarray(old * array)  # of two without axes NumPy makes a scalar
            fresh.add(axes)
    return list(product.values()), list(product)


def _summed_alone(
    arrays: list[np.ndarray], labels: list[Labels], kept: set[int]
) -> tuple[list[np.ndarray], list[Labels]]:
    """Sum every array over the indices that it alone carries: no product with another array is wanted of them."""
    count = Counter(label for axes in labels for label in axes)
    sums: list[np.ndarray] = []
    left: list[Labels] = []
    for array, axes in zip(arrays, labels, strict=True):
        alone = tuple(axis for axis, label in enumerate(axes) if count[label] == 1 and label not in kept)
        sums.append(np.asarray(array.sum(axis=alone)) if alone else array)
        left.append(tuple(label for axis, label in enumerate(axes) if axis not in alone))
    return sums, left


def _scale_smallest(arrays: list[np.ndarray], scale: complex) -> list[np.ndarray]:
    """Put the scalar into the smallest array, where it costs least."""
    if scale == 1:
        return arrays
    smallest = min(range(len(arrays)), key=lambda k: arrays[k].size)
    return [array * scale if k == smallest else array for k, array in enumerate(arrays)]


def _apply_one(
    specials: list[tuple[Guard | Operator, Labels]],
    arrays: list[np.ndarray],
    labels: list[Labels],
    pattern: Pattern,
    tables: Sequence[np.ndarray],
    dtype: np.dtype[Any],
) -> bool:
    """Apply one guard or operator to what is contracted with it; False when that is not possible."""
    for position, (special, ends) in enumerate(specials):
        others = {label for k, (_, axes) in enumerate(specials) if k != position for label in axes}
        for index in ends:
            if index in pattern.free or index in others:
                continue
            touching = [k for k, axes in enumerate(labels) if index in axes]
            around = {label for k, axes in enumerate(labels) if k not in touching for label in axes}
            kept = tuple(dict.fromkeys(
                label for k in touching for label in labels[k]
                if label != index and (label in around or label in pattern.free or label in others or label in ends)
            ))  # fmt: skip
            far = tuple(end for end in ends if end != index)
            if set(kept) & set(far):
                continue
            if prod(pattern.sizes[k] for k in (*kept, index)) > 16 * prod(pattern.sizes[end] for end in ends):
                continue
            if touching:
                near = contract(
                    *_summed_alone([arrays[k] for k in touching], [labels[k] for k in touching], {*kept, index}),
                    (*kept, index),
                )
            else:
                near = np.ones(pattern.sizes[index], dtype)
            applied = _applied(special, near, index, far, ends, pattern, tables)
            if applied is None:
                continue
            for k in reversed(touching):
                del arrays[k], labels[k]
            arrays.append(applied)
            labels.append((*kept, *far))
            del specials[position]
            return True
    return False


def _applied(
    special: Guard | Operator,
    near: np.ndarray,
    index: int,
    far: Labels,
    ends: Labels,
    pattern: Pattern,
    tables: Sequence[np.ndarray],
) -> np.ndarray | None:
    """Contract the last axis of `near` with the special's index; the special's other indices take its place."""
    if isinstance(special, Operator):
        apply_to = special.apply if ends[1] == index else special.apply_transposed
        return apply_to(near, near.ndim - 1)
    return apply_guard(special, near, index, far, pattern, tables)


def spread(array: np.ndarray, labels: Labels, pattern: Pattern) -> np.ndarray:
    """The contracted array over all free indices, constant along those it does not carry."""
    if labels == pattern.free:
        return array
    shape = tuple(pattern.sizes[index] if index in labels else 1 for index in pattern.free)
    return np.broadcast_to(array.reshape(shape), tuple(pattern.sizes[index] for index in pattern.free))


def materialise(terms: Sequence[Term], shape: Shape, dtype: np.dtype[Any]) -> np.ndarray:
    """The tensor that the terms add up to; `shape` is the output's followed by the input's."""
    if len(terms) == 1 and terms[0].pattern.is_plain:
        pattern = terms[0].pattern
        if tuple(pattern.sizes[index] for index in pattern.free) == shape:
            return spread(*core(terms[0], dtype), pattern).astype(dtype, copy=False)
    margins = [(0, 0)] * len(shape)
    for term in terms:
        found = _margins(term.pattern, (*term.pattern.out, *term.pattern.into), shape)
        margins = [(max(a, c), max(b, d)) for (a, b), (c, d) in zip(margins, found, strict=True)]
    full = np.zeros([low + extent + high for (low, high), extent in zip(margins, shape, strict=True)], dtype)
    for position, term in enumerate(terms):
        array = spread(*core(term, dtype), term.pattern)
        _write(full, term, array, [low for low, _ in margins], fresh=position == 0)
    if all(margin == (0, 0) for margin in margins):
        return full
    return full[tuple(slice(low, low + extent) for (low, _), extent in zip(margins, shape, strict=True))]


def overlapping(pattern: Pattern, shape: Shape) -> list[int]:
    """Free indices to write one after another, because without that two assignments might share a position.

    The others provably reach different positions. Look-ups are left out of the proof, which makes it only harder.
    """
    steps = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
    axes = [(f, s) for f, s in zip((*pattern.out, *pattern.into), steps, strict=True) if not f.has_lookup]
    strides = _strides([form for form, _ in axes], [step for _, step in axes])
    reach = 0
    clash: list[int] = []
    for index in sorted(pattern.free, key=lambda k: abs(strides.get(k, 0))):
        stride, size = abs(strides.get(index, 0)), pattern.sizes[index]
        if size > 1 and stride <= reach:
            clash.append(index)
        else:
            reach += stride * (size - 1)
    return clash


def _write(full: np.ndarray, term: Term, array: np.ndarray, starts: Sequence[int], *, fresh: bool) -> None:
    """Add the contracted term into the result, through a strided view of it."""
    pattern = term.pattern
    forms = (*pattern.out, *pattern.into)
    clash = overlapping(pattern, full.shape)
    loops = prod(pattern.sizes[index] for index in clash)
    if any(form.has_lookup for form in forms) or loops > 4096:
        where = tuple(
            positions(form, pattern.free, pattern.sizes, term.tables) + start
            for form, start in zip(forms, starts, strict=True)
        )
        if not clash and fresh:
            full[where] = array
        elif not clash:
            full[where] += array
        else:
            np.add.at(full, where, array)
        return
    steps = _strides(forms, full.strides)
    at = [form.offset + start for form, start in zip(forms, starts, strict=True)]
    inner = [axis for axis, index in enumerate(pattern.free) if index not in clash]
    outer = [axis for axis, index in enumerate(pattern.free) if index in clash]
    array = array.transpose(*outer, *inner)
    shape = [pattern.sizes[pattern.free[axis]] for axis in inner]
    strides = [steps[pattern.free[axis]] for axis in inner]
    for choice in product(*(range(pattern.sizes[pattern.free[axis]]) for axis in outer)):
        shift = list(at)
        for axis, value in zip(outer, choice, strict=True):
            for position, form in enumerate(forms):
                shift[position] += dict(form.parts).get(pattern.free[axis], 0) * value
        corner: tuple[Any, ...] = (..., *(slice(s, s + 1) for s in shift))
        view = as_strided(full[corner], shape, strides, writeable=True)
        if fresh and not clash:
            view[...] = array
        else:
            view += array[choice]
