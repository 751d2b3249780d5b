"""Snapshots of arrays that their owners could still change.

A Jacobian does not change with the user's arrays, so a trace copies them. A large array that is seen again is compared
with its last copy instead, entry by entry: that reads memory, but asks for none.
"""

from __future__ import annotations

import ctypes  # which NumPy has imported
import sys
import weakref
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from jacobian.kernel.term import Array
from jacobian.ops.registry import snapshot

LARGE = 2**20  # bytes from which on a copy is worth keeping
MIDDLING = 2**13  # the same for an array that is going to be compared at every call, whatever becomes of the copy
SMALL = 2**14  # bytes up to which arrays are compared as Python's bytes
MOST = 2**28  # bytes of all copies that are kept
BORROWED = 2**14  # from which on to read an array once more takes as long as much of what is done with it
CAPTURED = 2**17  # the same for what a function captures, of which a script knows more as long as it is constant
CHUNK = 2**18  # bytes compared at once, so that they stay in the cache

_KEPT: dict[int, tuple[weakref.ref[np.ndarray], np.ndarray, Callable[[np.ndarray], bool]]] = {}


def kept_snapshot(array: Array, least: int = LARGE) -> Array:
    """The array if nobody can change it, else a read-only copy: the last one if it still is one.

    Copies from `least` bytes on are kept for the next time.
    """
    if type(array) is not np.ndarray or array.nbytes < MIDDLING or array.dtype.hasobject or not array.flags.writeable:
        return snapshot(array)
    known = _KEPT.get(id(array))
    if known is not None and known[0]() is array and known[2](array):
        return known[1]
    copy = snapshot(array)
    if array.nbytes >= least:
        _keep(array, copy)
    return copy


def _keep(array: np.ndarray, copy: np.ndarray) -> None:
    key = id(array)
    _KEPT.pop(key, None)
    _KEPT[key] = (weakref.ref(array, lambda _: _KEPT.pop(key, None)), copy, comparison(copy))
    held = 0
    for number, (_, other, _) in reversed(
        _KEPT.copy().items()
    ):  # the last ones first; a copy, as others may go meanwhile
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


def comparison(copy: np.ndarray) -> Callable[[np.ndarray], bool]:
    """`unchanged` of that copy, for many calls: where it lies in memory is asked for once."""
    compare = _memcmp()
    if copy.nbytes <= SMALL or not copy.flags.c_contiguous or copy.dtype.hasobject or compare is None:
        return partial(unchanged, copy)
    address, nbytes, shape, dtype = copy.ctypes.data, copy.nbytes, copy.shape, copy.dtype

    def is_unchanged(array: np.ndarray) -> bool:
        if array.shape == shape and array.dtype == dtype and array.flags.c_contiguous:
            return compare(address, _place(array), nbytes) == 0
        return unchanged(copy, array)

    return is_unchanged


def _same_memory(one: np.ndarray, other: np.ndarray) -> bool:
    compare = _memcmp()
    if compare is not None:
        return compare(_place(one), _place(other), one.nbytes) == 0
    left, right = one.reshape(-1).view(np.uint8), other.reshape(-1).view(np.uint8)
    starts = range(0, left.size, CHUNK)
    return all(bool((left[start : start + CHUNK] == right[start : start + CHUNK]).all()) for start in starts)


def _place(array: np.ndarray) -> Any:
    """Where a contiguous array lies in memory, as C is told."""
    # A quarter of the time that `array.ctypes` takes, but not for an array that is read-only.
    return ctypes.byref(ctypes.c_char.from_buffer(array.data)) if array.flags.writeable else array.ctypes.data


@cache
def _memcmp() -> Callable[[Any, Any, int], int] | None:
    """The C library's function, twice as fast as what NumPy offers; None where it cannot be found."""
    try:
        function = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None).memcmp
    except (OSError, AttributeError, TypeError):
        return None
    function.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
    function.restype = ctypes.c_int
    found: Callable[[Any, Any, int], int] = function
    return found
