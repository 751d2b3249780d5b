"""What tells one graph from another without looking at its numbers: a hashable key for every node."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

MAX_ENTRIES = 256
"""A parameter with more entries is not worth comparing."""

_EXACT = frozenset({type(None), type(Ellipsis), bool, int, str, bytes, type})
_ROUNDED = frozenset({float, complex})
_NUMERIC = "biufcSUmM"


class NoKeyError(Exception):
    """Something that no key can stand for."""


def params_key(params: dict[str, Any], *, arrays_by_shape: bool = False) -> Hashable:
    """The parameters of an op, equal only for parameters that mean the same; arrays may count by their shape alone.

    Raises:
        NoKeyError: one of them cannot be compared, or only at a cost.
    """
    if arrays_by_shape:
        params = {
            name: (value.shape, value.dtype) if type(value) is np.ndarray else value for name, value in params.items()
        }
    return tuple([(name, canonical(value)) for name, value in params.items()])


def canonical(value: Any) -> Hashable:
    """A value and its type, so that `True`, `1` and `1.0` differ; arrays by their entries, containers by theirs."""
    kind = type(value)
    if kind in _EXACT:
        return (kind, value)
    if kind in _ROUNDED:
        return (kind, repr(value))  # 0.0 == -0.0, and nan is not equal to itself
    if kind is slice:
        return ("slice", canonical(value.start), canonical(value.stop), canonical(value.step))
    if isinstance(value, tuple | list):
        return (kind, *map(canonical, value))
    if isinstance(value, dict):
        return (kind, *((canonical(name), canonical(item)) for name, item in value.items()))
    if kind is np.ndarray or isinstance(value, np.generic):
        return _entries(value)
    try:
        hash(value)
    except TypeError:
        raise NoKeyError from None
    return (kind, value)


def _entries(array: Any) -> Hashable:
    if array.size > MAX_ENTRIES or array.dtype.kind not in _NUMERIC:
        raise NoKeyError
    return (type(array), array.shape, array.dtype.str, array.tobytes())
