"""A function as differences see it: one input moved, all outputs in one flat vector, every call checked."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, DTypeError, NoiseError, NonFiniteError, ShapeError, report
from jacobian.ops.registry import promoted
from jacobian.tracing.run import argument_names
from jacobian.tracing.tree import is_array_list, is_container, map_leaves

Array = np.ndarray[Any, np.dtype[Any]]

REPEATS = 8
"""So often a function that gives different values at one point is called there to see how far they scatter."""

FAR_APART = 1e-2
"""Values at one point that scatter more than this, compared with the largest of them, are refused."""


@dataclass(frozen=True)
class Input:
    """An array to differentiate by: its name, its values, and whether the function gets a number in its place."""

    name: str
    value: Array
    is_number: bool


@dataclass(frozen=True)
class Output:
    """One array of the result: its path, such as `['a'][0]`, its shape and its dtype."""

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """How many entries."""
        return prod(self.shape)


class Probe:
    """`f` at a point, and near it.

    `base` is its value there; calling the probe moves one input and returns the value there, NaN where `f` raises.
    """

    def __init__(
        self, f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], numbers: Sequence[int],
        caller: str = "finite_difference",
    ) -> None:  # fmt: skip
        if not callable(f):
            raise ArgumentError(report(f"{caller}: the first argument must be a function, not {type(f).__name__}"))
        self.f, self._args, self.kwargs, self.caller = f, tuple(args), kwargs, caller
        self.numbers = tuple(dict.fromkeys(numbers))
        self.inputs: list[Input] = []
        self.first: dict[int, int] = {}
        names = argument_names(f, len(args))
        for number in self.numbers:
            self.first[number] = len(self.inputs)
            map_arrays(lambda leaf, path: self._add(leaf, f"{names[number]}{path}"), args[number])  # noqa: B023
        self.evaluations = 0
        self.failure: Exception | None = None
        self.outputs: list[Output] = []
        self.result: Any = None
        with np.errstate(all="ignore"):
            self.base = self._at_the_point()
            self.scatter = self._repeated()

    def _add(self, leaf: Any, name: str) -> None:
        value = np.array(promoted(leaf, name))
        if not np.isfinite(value).all():
            raise NonFiniteError(_not_finite(f"{self.caller}: {name}", name, value))
        self.inputs.append(Input(name, value, not isinstance(leaf, np.ndarray) and value.ndim == 0))

    # -- calling ------------------------------------------------------------------------------------------------------

    def _call(self, moved: int, flat: Array | None) -> Any:
        """The function's own result with fresh copies of its inputs, so that it may change them."""
        values = [one.value.copy() for one in self.inputs]
        if flat is not None:
            values[moved] = flat.reshape(self.inputs[moved].value.shape)
        self.evaluations += 1
        return self.f(*self.arguments(values), **self.kwargs)

    def arguments(self, values: Sequence[Array]) -> list[Any]:
        """The arguments with other values of the inputs."""
        given = iter([v[()] if one.is_number else v for v, one in zip(values, self.inputs, strict=True)])
        call = list(self._args)
        for number in self.numbers:
            call[number] = map_arrays(lambda _, __: next(given), call[number])
        return call

    def _read(self, result: Any) -> tuple[list[Output], list[Array]]:
        found: list[Output] = []
        values: list[Array] = []

        def read(leaf: Any, path: str) -> None:
            y = self._numbers(leaf, path)
            found.append(Output(path, y.shape, y.dtype))
            values.append(y.ravel())

        map_leaves(read, result)
        return found, values

    def _numbers(self, leaf: Any, path: str) -> Array:
        try:
            y = np.asarray(leaf)
        except ValueError:
            y = np.asarray(None)
        if y.dtype.kind not in "iufcb":
            raise DTypeError(
                report(
                    f"{self.caller}: the function returned {type(leaf).__name__}, not an array of numbers",
                    at=f"output{path}" if path else None,
                    fix="return an array, or a tuple, list or dict of arrays",
                )
            )
        return y if y.dtype.kind in "fc" else y.astype(float)

    def _at_the_point(self) -> Array:
        self.result = self._call(0, None)
        self.outputs, values = self._read(self.result)
        if not values:
            raise DTypeError(report(f"{self.caller}: the function returned no array at all"))
        y = np.concatenate(values).astype(np.result_type(float, *values))
        for one, value in zip(self.outputs, values, strict=True):
            if not np.isfinite(value).all():
                what = f"{self.caller}: the function's value{one.path} at this point"
                raise NonFiniteError(_not_finite(what, f"value{one.path}", value.reshape(one.shape)))
        return np.array(y)

    def _repeated(self) -> Array:
        """How far values at one point scatter: zero unless the function gives another value when called again."""
        again = self._value(0, None, "called again at the same point")
        if np.array_equal(again, self.base):
            return np.zeros(self.base.shape)
        values = [self.base, again] + [self._value(0, None, "called again") for _ in range(REPEATS - 2)]
        spread = np.std(values, axis=0, ddof=1)
        worst, scale = float(np.max(spread)), float(np.max(np.abs(values)))
        if not worst <= FAR_APART * scale:
            place = int(np.argmax(spread))
            raise NoiseError(
                report(
                    f"{self.caller}: the function gives another value each time it is called at the same point",
                    entry=self.entry_name(place),
                    got=", ".join(f"{np.real(value[place]):.6g}" for value in values[:3]) + ", …",
                    fix="make it deterministic: seed its random numbers inside it, and let it change nothing",
                )
            )
        return np.asarray(spread)

    def __call__(self, moved: int, flat: Array, where: str = "") -> Array:
        """All outputs as one vector with input number `moved` at another place; NaN where the function raises."""
        try:
            return self._value(moved, flat, where)
        except (ShapeError, DTypeError) as error:
            if str(error).startswith(f"{self.caller}:"):
                raise
            return self._failed(error)
        except Exception as error:  # anything may go wrong outside a function's domain
            return self._failed(error)

    def _failed(self, error: Exception) -> Array:
        self.failure = self.failure or error
        return np.full(self.base.shape, np.nan, self.base.dtype)

    def _value(self, moved: int, flat: Array | None, where: str) -> Array:
        found, values = self._read(self._call(moved, flat))
        if [(one.path, one.shape) for one in found] != [(one.path, one.shape) for one in self.outputs]:
            raise ShapeError(
                report(
                    f"{self.caller}: the shape of the function's result depends on the values of its arguments",
                    got=f"{_shapes(self.outputs)} at the point, {_shapes(found)} {where}",
                    fix="differentiate a function whose result keeps its shape",
                )
            )
        y = np.concatenate(values)
        return y if self.base.dtype.kind == "c" or y.dtype.kind != "c" else np.where(y.imag == 0, y.real, np.nan)

    def complex_value(self, moved: int, flat: Array) -> Array | str:
        """The value at a complex point; a text that says why when there is none."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                found, values = self._read(self._call(moved, flat))
        except Exception as error:
            told = str(error).partition("\n")[0]
            return f"{type(error).__name__}: {told}" if told else type(error).__name__
        if [one.shape for one in found] != [one.shape for one in self.outputs]:
            return "its result takes another shape"
        if not any(one.dtype.kind == "c" for one in found):
            return "its result stays real"
        return np.concatenate(values)

    # -- names --------------------------------------------------------------------------------------------------------

    @property
    def eps(self) -> Array:
        """Of every entry of the value: the relative rounding of its dtype."""
        return np.concatenate([np.full(one.size, float(np.finfo(one.dtype).eps)) for one in self.outputs])

    def entry_name(self, place: int) -> str:
        """An entry of the value by its index vector: `y['a'][0, 2]`."""
        for one in self.outputs:
            if place < one.size:
                return indexed(f"y{one.path}", np.unravel_index(place, one.shape) if one.shape else ())
            place -= one.size
        raise AssertionError


def map_arrays(function: Callable[[Any, str], Any], tree: Any) -> Any:
    """The same for every array of an argument, where a list of numbers is one."""
    return function(tree, "") if is_array_list(tree) or not is_container(tree) else map_leaves(function, tree)


def indexed(name: str, index: Sequence[Any]) -> str:
    """`W[0, 2]`; the name alone of a scalar."""
    return f"{name}[{', '.join(str(int(k)) for k in index)}]" if len(index) else name


def _shapes(outputs: Sequence[Output]) -> str:
    shown = [str(one.shape) for one in outputs]
    return ", ".join(shown[:4]) + (f" and {len(shown) - 4} more" if len(shown) > 4 else "") if shown else "nothing"


def _not_finite(what: str, name: str, value: Array) -> str:
    bad = np.argwhere(~np.isfinite(value))
    several = f"{len(bad)} values that are" if len(bad) > 1 else "1 value that is"
    return report(
        f"{what} holds {several} not finite",
        first=f"{indexed(name, bad[0])} = {value[tuple(bad[0])]}",
        why="a difference there would mean nothing",
    )
