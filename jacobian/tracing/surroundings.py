"""What a function reads besides its arguments: whether that is all there is, and whether it is as it was.

A function need not be run again where it would do the same again. What it reaches - its code, the functions it calls,
captured arrays and numbers - is remembered and compared. Where any of it may do more than compute, or is of a kind that
cannot be compared, the answer is no, and the function is run as ever.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Hashable, Iterable, Sequence
from functools import cached_property, partial
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from jacobian.tracing.conditions import Conditions
from jacobian.tracing.harmless import BUILTINS, global_names, is_harmless, names_within
from jacobian.tracing.snapshots import MIDDLING, comparison, kept_snapshot

DIFFERENTIATES = "__differentiates__"
"""The attribute by which a function such as `jacobian(f)` tells what it depends on."""

_EXACT = frozenset({int, bool, str, bytes, range, slice})
_ROUNDED = frozenset({float, complex})

MOST = 2000  # values to compare at every call


class UnknownError(Exception):
    """It cannot be told what a function does: it may read or change anything."""


class Surroundings:
    """Functions and arguments, and everything they reach, as they were at one moment."""

    def __init__(self, values: Sequence[Any], free: tuple[Hashable, ...] = ()) -> None:
        """Look at all of it; of the first function's variables that are free, only shapes and dtypes count.

        What else is free is not among the values.

        Raises:
            UnknownError: some of it is of a kind of which it is not known what it does.
        """
        self.nbytes = 0  # of the arrays that are remembered
        self.count = 0
        self.free = free
        self.conditions = Conditions()
        self.names = [f"value{position}" for position in range(len(values))]
        self.places: dict[Hashable, str] = {}  # what the conditions call variables that are free
        self._inside: list[CodeType] = []
        self._modules: list[ModuleType] = []
        self._spoken_of: set[str] = set()  # by code: names in modules, among others
        self._free_here: Collection[Hashable] = free
        try:
            for name, value in zip(self.names, values, strict=True):
                self._compare(name, value)
                self._free_here = ()
        except RecursionError:  # something that holds itself
            raise UnknownError from None
        self._look_into_modules()

    def are_those_of(self, values: Sequence[Any], free: tuple[Hashable, ...] = ()) -> bool:
        """Whether these functions and arguments, and all they reach, are as they were, and the same is free.

        What is free may change while another thread makes the same call.
        """
        return free == self.free and self._same(*values) is not None

    @cached_property
    def _same(self) -> Any:
        return self.conditions.function(self.names, "True")

    def _compare(self, name: str, value: Any) -> None:
        """Demand that what has that name is the same as this value."""
        self.count += 1
        if self.count > MOST:
            raise UnknownError
        kind: Any = type(value)
        write = self.conditions
        if kind in _EXACT:
            known, kind = map(write.hold, (value, kind))
            write.refuse(f"{name} is not {known} and (type({name}) is not {kind} or {name} != {known})")
        elif kind in _ROUNDED:  # 0.0 == -0.0
            known, text = write.hold(value), write.hold(repr(value))
            write.refuse(
                f"{name} is not {known} and (type({name}) is not {write.hold(kind)} or repr({name}) != {text})"
            )
        elif kind is np.ndarray:
            self._array(name, value)
        elif isinstance(value, np.generic) and value.dtype.kind in "biufc":
            write.refuse(f"not {write.hold(_same_scalar)}({write.hold(value)}, {name})")
        elif kind in (tuple, list):
            write.refuse(f"type({name}) is not {write.hold(kind)} or len({name}) != {len(value)}")
            self._items(name, enumerate(value))
        elif kind is dict:
            write.refuse(f"type({name}) is not dict or list({name}) != {write.hold(list(value))}")
            self._items(name, value.items())
        elif kind is partial:
            write.refuse(f"type({name}) is not {write.hold(partial)}")
            for part in ("func", "args", "keywords"):
                self._compare(write.let(f"{name}.{part}"), getattr(value, part))
        elif value is None or value is Ellipsis or is_harmless(value):
            write.refuse(f"{name} is not {write.hold(value)}")
            self._note_module(value)
        elif kind is FunctionType:
            self._function(name, value)
        else:
            raise UnknownError

    def _items(self, name: str, items: Iterable[tuple[Any, Any]]) -> None:
        for key, item in items:
            self._compare(self.conditions.let(f"{name}[{self.conditions.hold(key)}]"), item)

    def _array(self, name: str, array: np.ndarray) -> None:
        if array.dtype.kind not in "biufc":
            raise UnknownError
        copy, write = kept_snapshot(array, MIDDLING), self.conditions  # so that a script holds the same copy
        self.nbytes += copy.nbytes
        write.refuse(f"type({name}) is not {write.hold(np.ndarray)} or {name}.strides != {array.strides}")
        write.refuse(f"{name} is not {write.hold(copy)} and not {write.hold(comparison(copy))}({name})")

    def _function(self, name: str, f: Any) -> None:
        write = self.conditions
        write.refuse(f"type({name}) is not {write.hold(FunctionType)}")
        if DIFFERENTIATES in f.__dict__:
            return self._compare(write.let(f"{name}.__dict__.get({DIFFERENTIATES!r})"), f.__dict__[DIFFERENTIATES])
        code, scope = f.__code__, f.__globals__
        names = global_names(code)
        if names is None or code in self._inside or f.__dict__:  # unknown, or it calls itself
            raise UnknownError
        write.refuse(f"{name}.__code__ is not {write.hold(code)} or {name}.__globals__ is not {write.hold(scope)}")
        self._inside.append(code)
        free = self._free_here if len(self._inside) == 1 else ()
        for variable in names:
            self._read(name, variable, scope, f.__builtins__, is_free=variable in free)
        self._spoken_of |= names_within(code)
        for module in map(sys.modules.get, names_within(code)):  # what it imports, or others of the same name
            self._note_module(module)
        if f.__closure__:
            held = write.let(f"{name}.__closure__")
            contents = [_content(cell) for cell in f.__closure__]
            found = write.let_all(
                [f"{held}[{position}].cell_contents" for position in range(len(contents))], "ValueError"
            )
            for variable, place, value in zip(code.co_freevars, found, contents, strict=True):
                self._variable(place, variable, value, is_free=variable in free)
        self._inside.pop()
        for attribute in ("__defaults__", "__kwdefaults__"):
            self._compare(write.let(f"{name}.{attribute}"), getattr(f, attribute))

    def _look_into_modules(self) -> None:
        """What is read from modules: somebody may have put another function in the place of one."""
        write = self.conditions
        for module in self._modules:  # grows by those within others
            found = {name: value for name, value in vars(module).items() if name in self._spoken_of}
            parts = write.let_all([f"{write.hold(module)}.{name}" for name in found], "AttributeError")
            for part, value in zip(parts, found.values(), strict=True):
                write.refuse(f"{part} is not {write.hold(value)}")
                self._note_module(value)

    def _note_module(self, value: Any) -> None:
        if isinstance(value, ModuleType) and value not in self._modules and is_harmless(value):
            self._modules.append(value)

    def _read(
        self, name: str, variable: str, scope: dict[str, Any], built_in: dict[str, Any], *, is_free: bool
    ) -> None:
        """What a function of that name finds in its module, or among what Python has built in."""
        write, place = self.conditions, f"{self.conditions.hold(scope)}.get({variable!r}"
        if variable in scope:
            self._variable(write.let(f"{place}, {write.hold(_NOTHING)})"), variable, scope[variable], is_free=is_free)
            return
        value = built_in.get(variable)
        if value not in BUILTINS:
            raise UnknownError
        known = write.hold(value)
        write.refuse(f"{place}, {known}) is not {known} or {name}.__builtins__.get({variable!r}) is not {known}")

    def _variable(self, place: str, variable: str, value: Any, *, is_free: bool) -> None:
        if not is_free:
            return self._compare(place, value)
        self.places[variable] = place
        self.conditions.refuse_other_kind(place, value)


_NOTHING = object()


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        raise UnknownError from None


def _same_scalar(value: np.generic, other: Any) -> bool:
    return other is value or (
        type(other) is type(value) and other.dtype == value.dtype and other.tobytes() == value.tobytes()
    )
