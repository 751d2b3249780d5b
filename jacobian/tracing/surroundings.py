"""What a function reads besides its arguments: whether that is all there is, and whether it is as it was.

A function need not be run again where it would do the same again. What it reaches - its code, the functions it calls,
captured arrays and numbers - is remembered and compared. Where any of it may do more than compute, or is of a kind that
cannot be compared, the answer is no, and the function is run as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from functools import partial
from operator import is_
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from jacobian.tracing.harmless import BUILTINS, global_names, is_harmless
from jacobian.tracing.snapshots import MIDDLING, comparison, kept_snapshot

Test = Callable[[Any], bool]

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
        self._inside: list[CodeType] = []
        self.free = free
        self._free_here: Collection[Hashable] = free
        try:
            self._tests = [self._test(value) for value in values[:1]]
            self._free_here = ()
            self._tests += [self._test(value) for value in values[1:]]
        except RecursionError:  # something that holds itself
            raise UnknownError from None

    def are_those_of(self, values: Sequence[Any], free: tuple[Hashable, ...] = ()) -> bool:
        """Whether these functions and arguments, and all they reach, are as they were, and the same is free.

        What is free may change while another thread makes the same call.
        """
        return free == self.free and _all_pass(self._tests, values)

    def _test(self, value: Any) -> Test:
        """Whether another value is the same as this one, as a function of the other."""
        self.count += 1
        if self.count > MOST:
            raise UnknownError
        kind = type(value)
        if value is None or value is Ellipsis:
            return partial(is_, value)
        if kind in _EXACT:
            return partial(_same, value)
        if kind in _ROUNDED:
            return partial(_same_number, value)
        if kind is np.ndarray:
            return self._array(value)
        if isinstance(value, np.generic) and value.dtype.kind in "biufc":
            return partial(_same_scalar, value)
        if kind in (tuple, list):
            return partial(_same_items, kind, [self._test(item) for item in value])
        if kind is dict:
            return partial(_same_entries, list(value), [self._test(item) for item in value.values()])
        if kind is partial:
            return partial(_same_partial, self._test(value.func), self._test(value.args), self._test(value.keywords))
        if kind is FunctionType and not is_harmless(value):
            return self._function(value)
        if is_harmless(value):
            return partial(is_, value)
        raise UnknownError

    def _array(self, array: np.ndarray) -> Test:
        if array.dtype.kind not in "biufc":
            raise UnknownError
        copy = kept_snapshot(array, MIDDLING)  # so that a script holds the same copy
        self.nbytes += copy.nbytes
        return partial(_same_array, copy, array.strides, comparison(copy))

    def _function(self, f: Any) -> Test:
        if DIFFERENTIATES in f.__dict__:
            return partial(_same_derivative, self._test(f.__dict__[DIFFERENTIATES]))
        code, scope = f.__code__, f.__globals__
        names = global_names(code)
        if names is None or code in self._inside or f.__dict__:  # unknown, or it calls itself
            raise UnknownError
        self._inside.append(code)
        try:
            free = self._free_here if len(self._inside) == 1 else ()
            reads = [
                (name, _kind_test(scope[name]) if name in free else self._read(scope, f.__builtins__, name))
                for name in names
            ]
            held = [(name, _content(cell)) for name, cell in zip(code.co_freevars, f.__closure__ or (), strict=True)]
            cells = [_kind_test(value) if name in free else self._test(value) for name, value in held]
            given = (f.__defaults__, f.__kwdefaults__)
            defaults = None if given == (None, None) else self._test(given)
        finally:
            self._inside.pop()
        return partial(_same_function, code, scope, reads, cells, defaults)

    def _read(self, scope: dict[str, Any], built_in: dict[str, Any], name: str) -> Test:
        if name in scope:
            return self._test(scope[name])
        value = built_in.get(name)
        if value not in BUILTINS:
            raise UnknownError
        return partial(is_, value)


def _all_pass(tests: Sequence[Test], values: Sequence[Any]) -> bool:
    for test, value in zip(tests, values, strict=True):  # noqa: SIM110 - a generator for `all` takes longer to start
        if not test(value):
            return False
    return True


def _kind_test(value: Any) -> Test:
    """Whether another value is of the same type, shape and dtype."""
    return partial(_same_kind, type(value), getattr(value, "shape", None), getattr(value, "dtype", None))


def _same_kind(kind: type, shape: Any, dtype: Any, other: Any) -> bool:
    found: Any = type(other)
    return found is kind and (shape is None or (other.shape == shape and other.dtype == dtype))


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        raise UnknownError from None


def _same(value: Any, other: Any) -> bool:
    return other is value or (type(other) is type(value) and bool(other == value))


def _same_number(value: Any, other: Any) -> bool:
    return other is value or (type(other) is type(value) and repr(other) == repr(value))  # 0.0 == -0.0


def _same_scalar(value: np.generic, other: Any) -> bool:
    return other is value or (
        type(other) is type(value) and other.dtype == value.dtype and other.tobytes() == value.tobytes()
    )


def _same_array(
    copy: np.ndarray, strides: tuple[int, ...], is_unchanged: Callable[[np.ndarray], bool], other: Any
) -> bool:  # fmt: skip
    return type(other) is np.ndarray and other.strides == strides and (other is copy or is_unchanged(other))


def _same_items(kind: type, tests: list[Test], other: Any) -> bool:
    if type(other) is not kind:
        return False
    assert isinstance(other, tuple | list)
    return len(other) == len(tests) and _all_pass(tests, other)


def _same_entries(keys: list[Any], tests: list[Test], other: Any) -> bool:
    if type(other) is not dict or list(other) != keys:
        return False
    return _same_items(list, tests, list(other.values()))


def _same_partial(function: Test, args: Test, keywords: Test, other: Any) -> bool:
    return type(other) is partial and function(other.func) and args(other.args) and keywords(other.keywords)


def _same_derivative(test: Test, other: Any) -> bool:
    return type(other) is FunctionType and test(other.__dict__.get(DIFFERENTIATES))


def _same_function(
    code: CodeType, scope: dict[str, Any], reads: list[tuple[str, Test]], cells: list[Test], defaults: Test | None,
    other: Any,
) -> bool:  # fmt: skip
    """Whether a function has the same code, and all that it reads is the same."""
    kind: Any = type(other)
    if kind is not FunctionType or other.__code__ is not code or other.__globals__ is not scope:
        return False
    for name, test in reads:
        if not test(scope[name] if name in scope else other.__builtins__.get(name)):
            return False
    if cells:
        try:
            for cell, test in zip(other.__closure__, cells, strict=True):
                if not test(cell.cell_contents):
                    return False
        except ValueError:  # not assigned any more
            return False
    if defaults is None:
        return other.__defaults__ is None and other.__kwdefaults__ is None
    return defaults((other.__defaults__, other.__kwdefaults__))
