"""Tuples, lists and dicts of arrays, as arguments and as results."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

FLOATS = frozenset({float, np.float64, np.float32})
_CONTAINERS = (tuple, list, dict)


def is_container(value: Any) -> bool:
    """Whether a value is a tuple, a list or a dict."""
    return isinstance(value, _CONTAINERS)


def is_array_list(value: Any) -> bool:
    """Whether a value is a list that NumPy reads as one array of numbers: `[1.0, 2.0]`."""
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(item, int | float | complex) or is_array_list(item) for item in value)


def nested_shapes(value: Any, found: list[Any], *, whole: bool) -> Hashable:
    """Nesting, shapes and dtypes of numbers, which are collected; None for anything but plain ones.

    Whole numbers are plain if that is said; a list that NumPy reads as one array is only then.
    """
    kind: Any = type(value)
    if kind is np.ndarray:
        found.append(value)
        return (value.shape, value.dtype) if value.dtype.kind in ("fiu" if whole else "f") else None
    if kind in FLOATS or (whole and kind is int):
        found.append(value)
        return kind  # type: ignore[no-any-return]
    if kind in _CONTAINERS and (whole or not is_array_list(value)):
        keys = tuple(value) if kind is dict else len(value)
        items = value.values() if kind is dict else value
        parts = tuple([nested_shapes(item, found, whole=whole) for item in items])
        return None if None in parts else (kind, keys, parts)
    return None


def map_leaves(function: Callable[[Any, str], Any], value: Any, path: str = "") -> Any:
    """The same nesting with every leaf replaced; the function also gets the path, such as `params['W'][0]`."""
    if isinstance(value, dict):
        return {key: map_leaves(function, item, f"{path}[{key!r}]") for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        pairs = zip(value._fields, value, strict=True)
        return type(value)(*(map_leaves(function, item, f"{path}.{name}") for name, item in pairs))
    if isinstance(value, tuple | list):
        return type(value)(map_leaves(function, item, f"{path}[{k}]") for k, item in enumerate(value))
    return function(value, path)


def leaves(value: Any) -> list[Any]:
    """Every leaf, in order."""
    if not isinstance(value, _CONTAINERS):
        return [value]
    found: list[Any] = []
    map_leaves(lambda leaf, _: found.append(leaf), value)
    return found


def map_arrays(function: Callable[[Any, str], Any], tree: Any) -> Any:
    """The same for every array of an argument, where a list of numbers is one."""
    return function(tree, "") if is_array_list(tree) else map_leaves(function, tree)
