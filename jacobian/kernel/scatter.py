"""Writing an array to positions that are looked up, or that some assignments of the indices share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from jacobian.kernel.access import combine
from jacobian.kernel.pattern import Pattern, Shape
from jacobian.kernel.places import Labels
from jacobian.kernel.positions import Places
from jacobian.kernel.views import steps_of

MANY_LOOPS = 4096
FEW_PLACES = 4  # times as many as what is added there


def overlapping(pattern: Pattern, shape: Shape) -> list[int]:
    """Free indices to write one after another, because without that two assignments might share a position.

    The others provably reach different positions. Look-ups are left out of the proof, which makes it only harder.
    """
    steps = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
    axes = [(f, s) for f, s in zip((*pattern.out, *pattern.into), steps, strict=True) if not f.has_lookup]
    strides = steps_of([form for form, _ in axes], [step for _, step in axes])
    reach = 0
    clash: list[int] = []
    for index in sorted(pattern.free, key=lambda k: abs(strides.get(k, 0))):
        stride, size = abs(strides.get(index, 0)), pattern.sizes[index]
        if size > 1 and stride <= reach:
            clash.append(index)
        else:
            reach += stride * (size - 1)
    return clash


def listed_writer(
    pattern: Pattern, starts: Sequence[int], labels: Labels, shape: Shape, *, fresh: bool,
    tables: Sequence[np.ndarray] | None = None,
) -> Callable[..., np.ndarray | None] | None:  # fmt: skip
    """A function that adds an array with axes `labels` into a result of that shape: `write(full, array, *tables)`.

    It returns the positions, along the result as one axis, where these are looked up: once and for all where the tables
    are known beforehand.

    None where neither a look-up nor a shared position is involved: then a strided view does it.
    """
    forms = (*pattern.out, *pattern.into)
    clash = overlapping(pattern, shape)
    looks_up = any(form.has_lookup for form in forms)
    if not looks_up and not clash:
        return None
    if not looks_up and prod(pattern.sizes[index] for index in clash) <= MANY_LOOPS:
        return partial(_write_in_turn, pattern, tuple(starts), labels, clash)
    shifted = [combine((1, form), offset=start) for form, start in zip(forms, starts, strict=True)]
    places = Places.of(shifted, shape, pattern.free, pattern.sizes).settled(tables)
    return partial(_write_listed, pattern, labels, places, bool(clash), fresh)


def spread(array: np.ndarray, labels: Labels, pattern: Pattern) -> np.ndarray:
    """The contracted array over all free indices, constant along those it does not carry."""
    if labels == pattern.free:
        return array
    shape = tuple(pattern.sizes[index] if index in labels else 1 for index in pattern.free)
    return np.broadcast_to(array.reshape(shape), tuple(pattern.sizes[index] for index in pattern.free))


def _write_listed(
    pattern: Pattern, labels: Labels, places: Places, clash: bool, fresh: bool, full: np.ndarray, array: Any,
    *tables: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Where positions are looked up: all of them as numbers along the result as one axis."""
    where = places.at(tables)
    array, line = spread(np.asarray(array), labels, pattern), full.reshape(-1)
    if clash and where.ndim == 1 and where.size and (where[1:] >= where[:-1]).all():
        first = np.flatnonzero(np.diff(where, prepend=where[0] - 1))  # of every run: equal positions lie together
        line[where[first]] += np.add.reduceat(array, first)
    elif clash and array.dtype == line.dtype == np.float64 and line.size <= FEW_PLACES * where.size:
        line += np.bincount(where.reshape(-1), array.reshape(-1), line.size)  # quicker than `add.at`
    elif clash:
        np.add.at(line, where, array)
    elif fresh:
        line[where] = array
    else:
        line[where] += array
    return where


def _write_in_turn(
    pattern: Pattern, starts: tuple[int, ...], labels: Labels, clash: Sequence[int], full: np.ndarray, array: Any,
    *tables: np.ndarray,
) -> None:  # fmt: skip
    """Where assignments share positions: one slice after another, each through a view."""
    array = spread(np.asarray(array), labels, pattern)
    forms = (*pattern.out, *pattern.into)
    steps = steps_of(forms, full.strides)
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
        view += array[choice]
