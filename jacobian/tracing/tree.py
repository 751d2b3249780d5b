"""Tuples, lists and dicts of arrays, as arguments and as results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_CONTAINERS = (tuple, list, dict)


def is_container(value: Any) -> bool:
    """Whether a value is a tuple, a list or a dict."""
    return isinstance(value, _CONTAINERS)


def is_array_list(value: Any) -> bool:
    """Whether a value is a list that NumPy reads as one array of numbers: `[1.0, 2.0]`."""
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(item, int | float | complex) or is_array_list(item) for item in value)


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
