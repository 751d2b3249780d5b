"""Looking at the numbers of an array that may be traced: where a composite decides what to select, or refuses."""

from __future__ import annotations

from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, report
from jacobian.kernel.expression import Jacobian
from jacobian.ops.assignment import axes_in_memory
from jacobian.ops.registry import as_operand

_PLAIN = (np.ndarray, np.generic, int, float, complex, bool, str, bytes, type(None))


def is_traced(value: Any) -> bool:
    """Whether a value stands in for an array, or is a list or tuple that holds such a one."""
    if isinstance(value, list | tuple):
        return any(map(is_traced, value))
    return not isinstance(value, (*_PLAIN, Jacobian)) and hasattr(type(value), "__array_function__")


def look(value: Any) -> Any:
    """The numbers as a plain array. What is decided by them is the same only for these numbers."""
    if not isinstance(value, _PLAIN):
        handler = getattr(type(value), "__array_function__", None)
        if handler is not None:
            return handler(value, look, (type(value),), (value,), {})
        if isinstance(value, list | tuple):
            return np.asarray([look(item) for item in value])
    return np.asarray(value)


def memory_axes(value: Any) -> tuple[int, ...] | None:
    """The axes of an array, those of the longest steps in memory first; None where that is their own order."""
    if isinstance(value, np.ndarray):
        return None if value.flags.c_contiguous else axes_in_memory(value.strides)
    handler = getattr(type(value), "__array_function__", None)
    found: tuple[int, ...] | None = (
        None if handler is None else handler(value, memory_axes, (type(value),), (value,), {})
    )
    return found


def laid_like(result: Any, array: Any) -> Any:
    """A new array that lies in memory as another one does, as NumPy's are made by `np.empty_like`."""
    axes = memory_axes(array)
    if axes is None or not is_traced(result):
        return result
    return np.transpose(np.copy(np.transpose(result, axes), order="C"), np.argsort(axes))


def array_of(value: Any) -> Any:
    """A list or a number as an array; an array of any kind is left as it is."""
    if isinstance(value, list | tuple) and is_traced(value):
        return np.stack([array_of(item) for item in value])
    if isinstance(value, Jacobian):
        return value.tensor()
    return value if is_traced(value) else as_operand(value if isinstance(value, np.ndarray) else np.asarray(value))


def doubled(value: Any) -> Any:
    """The same in double precision, where NumPy goes on with that."""
    array = array_of(value)
    wanted = np.result_type(array.dtype, np.float64)
    return array if array.dtype == wanted else np.astype(array, wanted)


def floating(value: Any) -> Any:
    """The same with whole numbers and booleans as float64."""
    array = array_of(value)
    return array if array.dtype.kind in "fc" else array.astype(np.float64)


def dtype_of(*values: Any) -> np.dtype[Any]:
    """The dtype of a result made of these; a number written in the code does not count."""
    kinds = [v if isinstance(v, int | float | complex) else array_of(v).dtype for v in values]
    found: np.dtype[Any] = np.result_type(*kinds)
    return found if found.kind in "fc" else np.dtype(np.float64)


def refuse_traced(name: str, fix: str | None = None, why: str = "", **arguments: Any) -> None:
    """Raise the error for an argument that cannot be differentiated, naming it."""
    for argument, value in arguments.items():
        if is_traced(value):
            raise ArgumentError(report(f"{name}: {argument} depends on the input{', ' + why if why else ''}", fix=fix))


def refuse_complex(name: str, **arguments: Any) -> None:
    """Raise the error for a complex operand of a function that has no complex derivative."""
    for argument, value in arguments.items():
        if getattr(value, "dtype", None) is not None and value.dtype.kind == "c":
            raise ArgumentError(
                report(
                    f"{name}: there is no derivative with respect to the complex {argument}",
                    fix="write it with the real and the imaginary part, z.real and z.imag",
                )
            )


def given(value: Any) -> bool:
    """Whether an argument was given: neither None nor NumPy's mark of an absent one."""
    return value is not None and value is not np._NoValue
