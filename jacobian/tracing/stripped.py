"""The numbers at the bottom of nested traces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jacobian.tracing.methods import Methods

_SEQUENCES = (tuple, list)


def strip(value: Any) -> Any:
    """The value at the bottom of nested traces, through tuples, lists and dicts."""
    return _through(strip_all, value)


def seen(value: Any) -> Any:
    """The same where the function goes on with the numbers: what it does may be otherwise with others."""
    return _through(_look, value)


def _through(bottom: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, Methods):
        return bottom(value)
    if isinstance(value, _SEQUENCES):
        items = (_through(bottom, item) for item in value)
        return type(value)(items) if not hasattr(value, "_fields") else type(value)(*items)
    if isinstance(value, dict):
        return {name: _through(bottom, item) for name, item in value.items()}
    return value


def _look(value: Any) -> Any:
    while isinstance(value, Methods):
        value.graph.seen = True
        value = value.value
    return value


def strip_all(value: Any) -> Any:
    """The ndarray at the bottom of nested traces."""
    while isinstance(value, Methods):
        value = value.value
    return value
