"""The variables around a function: what they hold, and the same function with others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

MAX_WRAPPERS = 20
MOST_HELD = 200
"""So many things are looked at in search of what holds an array."""

_NO_HOLDERS = (np.ndarray, np.generic, str, bytes, int, float, complex, type, ModuleType, BuiltinFunctionType, np.ufunc)


def code_of(f: Any) -> CodeType | None:
    """The code whose variables are a function's own: of what it wraps, or of how an object is called."""
    for _ in range(MAX_WRAPPERS):
        if type(f) is partial:
            f = f.func
        elif "__wrapped__" in getattr(f, "__dict__", ()):
            f = f.__wrapped__
        else:
            break
    code = getattr(f if hasattr(f, "__code__") else type(f).__call__, "__code__", None)
    return code if isinstance(code, CodeType) else None


def held_by(holders: Iterable[Any]) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """The arrays in attributes of objects, under the keys of dicts and around functions, in the outer ones first."""
    waiting, seen = list(holders), set()
    for one in waiting:  # which grows
        if id(one) in seen or isinstance(one, _NO_HOLDERS) or _is_ours(one):
            continue
        seen.add(id(one))
        if len(seen) > MOST_HELD:
            return
        for name, value in _held(one):
            if isinstance(value, np.ndarray) and name:
                yield name, value
            else:
                waiting.append(value)


def _held(holder: Any) -> Iterator[tuple[str, Any]]:
    """What is in one holder, by name; without one where it is only part of it."""
    if isinstance(holder, FunctionType):
        yield from values_around(holder, names_around(holder))
    elif isinstance(holder, MethodType):
        yield from (("", holder.__self__), ("", holder.__func__))
    elif isinstance(holder, partial):
        yield from (("", holder.func), *(("", one) for one in holder.args), *holder.keywords.items())
    elif isinstance(holder, dict):
        yield from ((str(key) if str(key).isidentifier() else "", value) for key, value in holder.items())
    elif isinstance(holder, tuple | list):
        names = getattr(holder, "_fields", ("",) * len(holder))
        yield from zip(names, holder, strict=False)
    elif type(getattr(holder, "__dict__", None)) is dict:
        yield from ((name.lstrip("_"), value) for name, value in vars(holder).items())


def _is_ours(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == __name__.partition(".")[0]


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
