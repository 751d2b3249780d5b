"""Factors and guards as arrays with one axis per index: strided views wherever strides can say it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from jacobian.kernel.access import Form, combine, indices, span
from jacobian.kernel.code import Code, Symbol
from jacobian.kernel.equations import Guard
from jacobian.kernel.pattern import Access, Pattern, Shape
from jacobian.kernel.picks import Picks, is_quick, taken
from jacobian.kernel.places import Labels, Named, reshaped
from jacobian.kernel.positions import Places, positions


def steps_of(forms: Sequence[Form], steps: Sequence[int]) -> dict[int, int]:
    """How far one step of each index moves, given how far one step along each axis moves."""
    total: dict[int, int] = {}
    for form, step in zip(forms, steps, strict=True):
        for atom, stride in form.parts:
            assert isinstance(atom, int)
            total[atom] = total.get(atom, 0) + stride * step
    return total


def margins_of(pattern: Pattern, forms: Sequence[Form], shape: Shape) -> list[tuple[int, int]]:
    """How far every form leaves its axis at the low and at the high end."""
    spans = [span(form, pattern.sizes, pattern.tables) for form in forms]
    return [(max(0, -low), max(0, high + 1 - extent)) for (low, high), extent in zip(spans, shape, strict=True)]


def read(
    array: np.ndarray, access: Access, pattern: Pattern, tables: Sequence[np.ndarray]
) -> tuple[np.ndarray, Labels]:
    """A factor as an array with one axis per index: a view wherever strides can say it."""
    forms, shape = access
    labels: Labels = tuple(dict.fromkeys(indices(*forms)))
    if is_whole(access, pattern):
        return array, labels
    margins = margins_of(pattern, forms, shape)
    if any(map(any, margins)):
        array = _padded(_inner(margins, shape), _widened(margins, shape), array)
    starts = [low for low, _ in margins]
    if any(form.has_lookup for form in forms):
        shifted = [combine((1, form), offset=start) for form, start in zip(forms, starts, strict=True)]
        return _read_listed(*_looked_up(shifted, array.shape, labels, pattern.sizes), array, *tables), labels
    steps = steps_of(forms, array.strides)
    corner = array[tuple(slice(form.offset + s, form.offset + s + 1) for form, s in zip(forms, starts, strict=True))]
    sizes, strides = [pattern.sizes[label] for label in labels], [steps[label] for label in labels]
    return as_strided(corner, sizes, strides, writeable=False), labels


def _widened(margins: Sequence[tuple[int, int]], shape: Shape) -> Shape:
    return tuple(low + extent + high for (low, high), extent in zip(margins, shape, strict=True))


def _inner(margins: Sequence[tuple[int, int]], shape: Shape) -> tuple[slice, ...]:
    return tuple(slice(low, low + extent) for (low, _), extent in zip(margins, shape, strict=True))


def _padded(inner: tuple[slice, ...], shape: Shape, array: np.ndarray) -> np.ndarray:
    """The array within zeros; `np.pad` takes ten times as long to begin."""
    whole = np.zeros(shape, array.dtype)
    whole[inner] = array
    return whole


def _looked_up(
    forms: Sequence[Form], shape: Shape, labels: Labels, sizes: Shape, known: Sequence[np.ndarray] | None = None
) -> tuple[int | None, Places]:  # fmt: skip
    """Where to read what is looked up: slices along one axis, or entry by entry, along the array as one axis.

    The tables may be known beforehand.
    """
    (axis, *others) = [axis for axis, form in enumerate(forms) if form.has_lookup]
    own = tuple(dict.fromkeys(indices(forms[axis])))
    rest = [(form, extent) for k, (form, extent) in enumerate(zip(forms, shape, strict=True)) if k != axis]
    whole = all(form.is_plain and sizes[next(indices(form))] == extent for form, extent in rest)
    if not others and whole and len(own) + len(rest) == len(labels):
        return axis, Places.of([forms[axis]], (shape[axis],), own, sizes).settled(known)
    return None, Places.of(forms, shape, labels, sizes).settled(known)


def _read_listed(axis: int | None, places: Places, array: np.ndarray, *tables: np.ndarray) -> np.ndarray:
    where = places.at(tables)
    if axis is None and not is_quick(array, where):
        return np.asarray(array[np.unravel_index(where, array.shape)])
    return array.take(where, axis)


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
    steps = steps_of([guard.form], buffer.strides)
    corner = buffer[guard.form.offset - low :]
    return as_strided(corner, sizes, [steps[label] for label in labels], writeable=False), labels


def is_whole(access: Access, pattern: Pattern) -> bool:
    """Whether a factor is read entry by entry, every axis along an index of its own."""
    forms, shape = access
    labels = tuple(indices(*forms))
    return len(set(labels)) == len(forms) and all(
        form.is_plain and pattern.sizes[label] == extent
        for form, label, extent in zip(forms, labels, shape, strict=True)
    )


def write_read(code: Code, array: Symbol, access: Access, pattern: Pattern, tables: Sequence[Symbol]) -> Named:
    """What `read` does, as a line of a program."""
    labels: Labels = tuple(dict.fromkeys(indices(*access.forms)))
    if is_whole(access, pattern):
        return Named(array, labels)
    slices = _slices(access, pattern)
    if slices is not None:
        picks, order = slices
        sizes = [prod(pattern.sizes[label] for label in digits) for digits in order if digits]
        part = code.let(f"{array}[{picks}]", [array], tuple(sizes), rough=True, kind=array.kind)
        found = tuple(label for digits in order for label in digits)
        return Named(reshaped(code, part, tuple(pattern.sizes[label] for label in found)), found)
    forms, extents = access
    margins = margins_of(pattern, forms, extents)
    if any(map(any, margins)):
        shifted = tuple(combine((1, form), offset=low) for form, (low, _) in zip(forms, margins, strict=True))
        wide = Access(shifted, _widened(margins, extents))
        inner = _inner(margins, extents)
        pad = code.made_once(("padded", *margins, wide.shape), lambda: partial(_padded, inner, wide.shape), "padded")
        padded = code.let(f"{pad}({array})", [array], wide.shape, new=True, kind=array.kind)
        return write_read(code, padded, wide, pattern, tables)
    if not any(form.has_lookup for form in forms):
        reading = code.constant(partial(_read_only, access, pattern), "read")
    else:
        axis, places = _looked_up(forms, extents, labels, pattern.sizes, code.arrays(tables))
        if places.is_settled and (axis is not None or is_quick(array, places.known)):
            return Named(taken(code, array, Picks(places.known, axis)), labels)
        reading = code.constant(partial(_read_listed, axis, places), "read")
    shape = tuple(pattern.sizes[label] for label in labels)
    arguments = [array, *tables]
    return Named(code.let(f"{reading}({', '.join(map(str, arguments))})", arguments, shape, rough=True), labels)


def _read_only(access: Access, pattern: Pattern, array: np.ndarray, *tables: np.ndarray) -> np.ndarray:
    return read(np.asarray(array), access, pattern, tables)[0]


def _slices(access: Access, pattern: Pattern) -> tuple[str, list[Labels]] | None:
    """The subscript that reads the factor, when no index is met twice, and the indices that every axis follows.

    Several may follow one axis like the digits of a number, the last one quickest: it can be split into them.
    """
    used = list(indices(*access.forms))
    looks_up = any(form.has_lookup for form in access.forms)
    if looks_up or len(set(used)) < len(used) or any(map(any, margins_of(pattern, *access))):
        return None
    picks: list[str] = []
    order: list[Labels] = []
    for form in access.forms:
        digits = _digits(form, pattern)
        if digits is None:
            return None
        order.append(digits)
        if not digits:
            picks.append(str(form.offset))
            continue
        step = dict(form.parts)[digits[-1]]
        stop = form.offset + step * prod(pattern.sizes[index] for index in digits)
        picks.append(f"{form.offset}:{'' if stop < 0 else stop}:{step}")
    return ", ".join(picks), order


def _digits(form: Form, pattern: Pattern) -> Labels | None:
    """The indices of a form from the slowest to the quickest, each stepping over all that those behind it reach."""
    parts = sorted(form.parts, key=lambda part: -abs(part[1]))
    for (_, slow), (index, quick) in pairwise(parts):
        assert isinstance(index, int)
        if slow != quick * pattern.sizes[index]:
            return None
    return tuple(index for index, _ in parts if isinstance(index, int))
