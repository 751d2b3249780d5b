"""The variables around a function: what they hold, and the same function with others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from types import CellType, FunctionType
from typing import Any


def names_around(f: Any) -> tuple[str, ...]:
    """What a function's own code may read from around it, attributes among them: the innermost variables last."""
    inner = f.__code__.co_freevars
    return (*(name for name in f.__code__.co_names if name not in inner), *inner)


def values_around(f: Any, names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Those of the variables that there are, and what they hold."""
    cells = dict(zip(f.__code__.co_freevars, f.__closure__ or (), strict=False))
    scope = getattr(f, "__globals__", {})
    for name in names:
        if name in cells:
            with suppress(ValueError):  # not assigned yet
                yield name, cells[name].cell_contents
        elif name in scope:
            yield name, scope[name]


def around(f: FunctionType, values: Mapping[str, Any]) -> FunctionType:
    """The function with other values in variables around it; what it calls sees the old ones."""
    code = f.__code__
    outside = {name: value for name, value in values.items() if name not in code.co_freevars}
    scope = {**f.__globals__, **outside} if outside else f.__globals__
    cells = zip(code.co_freevars, f.__closure__ or (), strict=True)
    closure = tuple(CellType(values[name]) if name in values else cell for name, cell in cells)
    found = FunctionType(code, scope, f.__name__, f.__defaults__, closure)
    found.__kwdefaults__ = f.__kwdefaults__
    return found
