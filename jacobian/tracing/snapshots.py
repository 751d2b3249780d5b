"""Snapshots of arrays that their owners could still change.

A Jacobian does not change with the user's arrays, so a trace copies them. A large array that is seen again is compared
with its last copy instead, entry by entry: that reads memory, but asks for none.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from jacobian.kernel.term import Array
from jacobian.ops.registry import snapshot

LARGE = 2**16  # bytes from which on comparing is quicker than copying
MOST = 2**28  # bytes of all copies that are kept
CHUNK = 2**14  # entries compared at once, so that they stay in the cache

_KEPT: dict[int, tuple[weakref.ref[np.ndarray], np.ndarray]] = {}


def kept_snapshot(array: Array) -> Array:
    """The array if nobody can change it, else a read-only copy: the last one if it still is one."""
    if type(array) is not np.ndarray or array.nbytes < LARGE or not array.flags.writeable:
        return snapshot(array)
    known = _KEPT.get(id(array))
    if known is not None and known[0]() is array and unchanged(known[1], array):
        return known[1]
    copy = snapshot(array)
    if array.flags.c_contiguous and not array.dtype.hasobject:
        _keep(array, copy)
    return copy


def _keep(array: np.ndarray, copy: np.ndarray) -> None:
    key = id(array)
    _KEPT.pop(key, None)
    _KEPT[key] = (weakref.ref(array, lambda _: _KEPT.pop(key, None)), copy)
    held = 0
    for number, (_, other) in reversed(_KEPT.copy().items()):  # the last ones first; a copy, as others may go meanwhile
        held += other.nbytes
        if held > MOST:
            _KEPT.pop(number, None)


def unchanged(copy: np.ndarray, array: np.ndarray) -> bool:
    """Whether an array still has the entries of its copy: to the bit, where that can be told from its memory."""
    if copy.shape != array.shape or copy.dtype != array.dtype:
        return False
    if array.dtype.hasobject:
        return np.array_equal(copy, array)
    if type(array) is np.ndarray and array.nbytes <= LARGE:  # as bytes, which needs none of NumPy's functions
        return copy.tobytes() == array.tobytes()
    return same_entries(copy, array) if copy.flags.c_contiguous else np.array_equal(copy, array)


def same_entries(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays agree in shape, dtype and every bit; the first is C-contiguous."""
    if one.shape != other.shape or one.dtype != other.dtype or not other.flags.c_contiguous:
        return False
    word: Any = np.int64 if one.dtype.itemsize % 8 == 0 else np.uint8
    left, right = one.reshape(-1).view(word), other.reshape(-1).view(word)
    starts = range(0, left.size, CHUNK)
    return all(bool((left[start : start + CHUNK] == right[start : start + CHUNK]).all()) for start in starts)
