"""Snapshots of arrays that their owners could still change.

A Jacobian does not change with the user's arrays, so a trace copies them. A large array that is seen again is compared
with its last copy instead, entry by entry: that reads memory, but asks for none.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from functools import cache

import numpy as np

from jacobian.kernel.term import Array
from jacobian.ops.registry import snapshot

LARGE = 2**20  # bytes from which on a copy is worth keeping
SMALL = 2**15  # bytes up to which arrays are compared as Python's bytes
MOST = 2**28  # bytes of all copies that are kept
CHUNK = 2**18  # bytes compared at once, so that they stay in the cache

_KEPT: dict[int, tuple[weakref.ref[np.ndarray], np.ndarray]] = {}


def kept_snapshot(array: Array) -> Array:
    """The array if nobody can change it, else a read-only copy: the last one if it still is one."""
    if type(array) is not np.ndarray or array.nbytes < LARGE or not array.flags.writeable:
        return snapshot(array)
    known = _KEPT.get(id(array))
    if known is not None and known[0]() is array and unchanged(known[1], array):
        return known[1]
    copy = snapshot(array)
    if not array.dtype.hasobject:
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
    """Whether an array still has the entries of its copy: to the bit."""
    if copy.shape != array.shape or copy.dtype != array.dtype:
        return False
    if array.dtype.hasobject:
        return np.array_equal(copy, array)
    if array.nbytes > SMALL and copy.flags.c_contiguous and array.flags.c_contiguous:
        return _same_memory(copy, array)
    rows = max(1, len(copy) * CHUNK // array.nbytes) if array.nbytes > CHUNK else 0
    if not rows:
        return copy.tobytes() == array.tobytes()
    starts = range(0, len(copy), rows)
    return all(copy[start : start + rows].tobytes() == array[start : start + rows].tobytes() for start in starts)


def _same_memory(one: np.ndarray, other: np.ndarray) -> bool:
    compare = _memcmp()
    if compare is not None:
        return bool(compare(one.ctypes.data, other.ctypes.data, one.nbytes) == 0)
    left, right = one.reshape(-1).view(np.uint8), other.reshape(-1).view(np.uint8)
    starts = range(0, left.size, CHUNK)
    return all(bool((left[start : start + CHUNK] == right[start : start + CHUNK]).all()) for start in starts)


@cache
def _memcmp() -> Callable[[int, int, int], int] | None:
    """The C library's function, twice as fast as what NumPy offers; None where it cannot be found."""
    import ctypes

    try:
        function = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None).memcmp
    except (OSError, AttributeError, TypeError):
        return None
    function.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
    function.restype = ctypes.c_int
    found: Callable[[int, int, int], int] = function
    return found
