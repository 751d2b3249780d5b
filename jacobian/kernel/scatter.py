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
from jacobian.kernel.injective import overlapping
from jacobian.kernel.pattern import Pattern, Shape
from jacobian.kernel.places import Labels
from jacobian.kernel.positions import Places
from jacobian.kernel.views import steps_of

MANY_LOOPS = 4096
FEW_PLACES = 4  # times as many as what is added there


def listed_writer(
    pattern: Pattern, starts: Sequence[int], labels: Labels, shape: Shape, dtype: np.dtype[Any], *, fresh: bool,
    tables: Sequence[np.ndarray] | None = None,
) -> Callable[..., np.ndarray | None] | None:  # fmt: skip
    """A function that adds an array with axes `labels` into a result of that kind: `write(full, array, *tables)`.

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
    adding = partial(_adding, clash=bool(clash), fresh=fresh, size=prod(shape), dtype=dtype)
    if places.is_settled:
        return partial(_write_at_known, pattern, labels, places.at(()), adding(places.at(())))
    return partial(_write_listed, pattern, labels, places, adding)


def spread(array: np.ndarray, labels: Labels, pattern: Pattern) -> np.ndarray:
    """The contracted array over all free indices, constant along those it does not carry."""
    if labels == pattern.free:
        return array
    shape = tuple(pattern.sizes[index] if index in labels else 1 for index in pattern.free)
    return np.broadcast_to(array.reshape(shape), tuple(pattern.sizes[index] for index in pattern.free))


Adding = Callable[[np.ndarray, np.ndarray], None]
"""Adds an array to a result that is seen as one axis."""


def _write_listed(
    pattern: Pattern, labels: Labels, places: Places, adding: Callable[[np.ndarray], Adding], full: np.ndarray,
    array: Any, *tables: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Where positions are looked up: all of them as numbers along the result as one axis."""
    where = places.at(tables)
    return _write_at_known(pattern, labels, where, adding(where), full, array)


def _write_at_known(
    pattern: Pattern, labels: Labels, where: np.ndarray, add: Adding, full: np.ndarray, array: Any, *_: np.ndarray
) -> np.ndarray:
    add(full.reshape(-1), spread(np.asarray(array), labels, pattern))
    return where


def _adding(where: np.ndarray, *, clash: bool, fresh: bool, size: int, dtype: np.dtype[Any]) -> Adding:
    """How to add an array at positions along a result of that size, as quickly as these allow."""
    if not clash:
        return partial(_put if fresh else _add_apart, where)
    if where.ndim == 1 and where.size and (where[1:] >= where[:-1]).all():
        first = np.flatnonzero(np.diff(where, prepend=where[0] - 1))  # of every run: equal positions lie together
        return partial(_add_runs, where[first], first)
    if dtype == np.float64 and size <= FEW_PLACES * where.size:
        return partial(_add_counted, where.reshape(-1))  # quicker than `add.at`
    return partial(_add_at, where)


def _put(where: np.ndarray, line: np.ndarray, array: np.ndarray) -> None:
    line[where] = array


def _add_apart(where: np.ndarray, line: np.ndarray, array: np.ndarray) -> None:
    line[where] += array


def _add_runs(where: np.ndarray, first: np.ndarray, line: np.ndarray, array: np.ndarray) -> None:
    line[where] += np.add.reduceat(array, first)


def _add_counted(where: np.ndarray, line: np.ndarray, array: np.ndarray) -> None:
    line += np.bincount(where, array.reshape(-1), line.size)


def _add_at(where: np.ndarray, line: np.ndarray, array: np.ndarray) -> None:
    np.add.at(line, where, array)


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
