"""What is done to the arrays that meet a Jacobian: checked, copied, made read-only; and sums of like terms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, DTypeError, report
from jacobian.kernel.dispatch import is_foreign
from jacobian.kernel.intervals import joined
from jacobian.kernel.pattern import Access, Pattern
from jacobian.kernel.term import Array, Factor, Term


def with_scalar(term: Term, scalar: Array) -> Term:
    """The term times a scalar that is an array of its own."""
    pattern = term.pattern
    access = Access((), ())
    wider = Pattern(
        pattern.sizes, pattern.out, pattern.into, pattern.out_shape, pattern.in_shape,
        (*pattern.factors, access), pattern.guards, pattern.tables,
    )  # fmt: skip
    return Term(wider, (*term.factors, Factor(scalar, "c")), term.tables, term.scale)


def merged(terms: Sequence[Term]) -> list[Term]:
    """Add terms over the same arrays with the same pattern, or with guards that add up to fewer ones."""
    total: dict[Any, Term] = {}
    for one in terms:
        term = one.in_one_order
        key = (term.pattern, *map(id, term.numbers))
        old = total.get(key)
        total[key] = (
            term if old is None else Term(term.pattern, term.factors, term.tables, old.scale + term.scale, old.letters)
        )
    return joined(list(total.values()))


def holds_complex(terms: Iterable[Term]) -> bool:
    """Whether one of the terms has complex numbers. Those of a real Jacobian come in pairs that add up to real ones."""
    return any(isinstance(term.scale, complex) or any(map(is_complex, term.factors)) for term in terms)


def is_complex(factor: Factor) -> bool:
    """Whether a factor holds complex numbers."""
    dtype = getattr(factor.array, "dtype", None)
    return isinstance(factor.array, complex) or (dtype is not None and np.dtype(dtype).kind == "c")


def is_foreign_array(value: Any) -> bool:
    """Whether a value is an array, but neither NumPy's own nor a Jacobian."""
    return hasattr(value, "__array_function__") and is_foreign(value) and not hasattr(value, "in_shape")


def as_array(value: Any, needed: str = "@ needs a Jacobian or an array of numbers") -> Array:
    """What stands beside `@`, as an array of numbers; the error begins with what is needed."""
    if is_foreign_array(value):
        return value
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):
        array = np.asarray(None)
    if array.dtype.kind not in "biufc":
        raise ArgumentError(report(f"{needed}, not {type(value).__name__}"))
    return array.astype(float) if array.dtype.kind in "biu" else array


def as_numbers(value: Any, needed: str, dtype: np.dtype[Any]) -> Array:
    """An array of that dtype, a copy; complex numbers do not become real ones."""
    array = as_array(value, needed)
    if array.dtype.kind == "c" and dtype.kind != "c":
        raise ArgumentError(report(f"{needed} of {dtype}, not complex"))
    return array.astype(dtype)


def copied_operand(value: Any, position: int) -> Array:
    """An operand of `einsum`, copied; integers become float64."""
    if is_foreign_array(value):
        return copy(value)
    try:
        array = np.array(value)
    except ValueError:  # lists of unequal length
        array = np.array(None)
    if array.dtype.kind not in "iufc":
        raise DTypeError(
            report(
                f"einsum: operand {position} must hold numbers, not {array.dtype}",
                fix="convert it first, for example with np.asarray(operand, float)",
            )
        )
    return array.astype(float) if array.dtype.kind in "iu" else array


def snapshot(result: Array, operand: Array) -> Array:
    """The result, copied when it is a view of the user's own array, whose values may change later."""
    if isinstance(result, np.ndarray) and isinstance(operand, np.ndarray) and np.may_share_memory(result, operand):
        return read_only(result.copy())
    return result


def read_only(array: Array) -> Array:
    """A view that cannot be written through."""
    if isinstance(array, np.ndarray):
        if array.base is None:  # nobody else holds it: then no view of it can be made writeable again
            array.flags.writeable = False
        array = view_of(array)
    return array


def view_of(array: np.ndarray) -> np.ndarray:
    """A view that cannot be written through, of an array which may be the user's own."""
    view = array.view()
    view.setflags(write=False)
    return view
