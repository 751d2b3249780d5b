"""Arrays as sets: the distinct entries are looked up where they first stand; counts and positions are constant."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from jacobian.ops.families import composite
from jacobian.ops.kinks import warn_kink
from jacobian.ops.registry import Kink, sample
from jacobian.ops.values import array_of, doubled, look, refuse_complex

NOTE = "Equal entries are one; they part when they are moved."
EQUAL = [Kink("entries are equal", "the first of them", sample(np.array([1.0, 1.0])))]
EQUAL_IN_ONE = [Kink("entries are equal", "the first of them", sample(np.array([1.0, 1.0]), np.array([2.0])))]
IN_BOTH = [Kink("an entry is in both", "the entry of the first array", sample(np.array([1.0]), np.array([1.0])))]


class _All(NamedTuple):
    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class _Counts(NamedTuple):
    values: Any
    counts: Any


class _Inverse(NamedTuple):
    values: Any
    inverse_indices: Any


def _result_type(name: str, ours: type) -> Any:
    """NumPy's own named tuple, where it has one."""
    function = getattr(np, name, None)
    return ours if function is None else type(function(np.zeros(1)))


def _picked(name: str, array: Any, first: np.ndarray, axis: Any, counts: np.ndarray) -> Any:
    """The entries, or slices, at the first places of each."""
    warn_kink(name, counts > 1, "the first of the equal entries")
    if axis is None:
        return np.take(np.ravel(array), first)
    return np.moveaxis(np.take(np.moveaxis(array, axis, 0), first, axis=0), 0, axis)  # in memory as NumPy's result


def _unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False, axis: Any = None,
    *, equal_nan: bool = True, sorted: bool = True,  # noqa: A002 - NumPy's own name
) -> Any:  # fmt: skip
    array = array_of(ar)
    _, first, inverse, counts = np.unique(look(array), True, True, True, axis, equal_nan=equal_nan)
    values = _picked("unique", array, first, axis, counts)
    wanted = ((return_index, first), (return_inverse, inverse), (return_counts, counts))
    more = [part for asked, part in wanted if asked]
    return (values, *more) if more else values


def _unique_all(x: Any) -> Any:
    return _result_type("unique_all", _All)(*_unique_parts("unique_all", x))


def _unique_counts(x: Any) -> Any:
    values, _, _, counts = _unique_parts("unique_counts", x)
    return _result_type("unique_counts", _Counts)(values, counts)


def _unique_inverse(x: Any) -> Any:
    values, _, inverse, _ = _unique_parts("unique_inverse", x)
    return _result_type("unique_inverse", _Inverse)(values, inverse)


def _unique_values(x: Any) -> Any:
    """In the order in which NumPy happens to return them."""
    array = array_of(x)
    refuse_complex("unique_values", x=array)  # their order is that of a hash
    seen = look(array)
    values = np.unique_values(seen)
    distinct, first, counts = np.unique(seen, True, False, True, equal_nan=False)
    place = np.searchsorted(distinct, values)
    return _picked("unique_values", array, first[place], None, counts[place])


def _unique_parts(name: str, x: Any) -> tuple[Any, ...]:
    array = array_of(x)
    _, first, inverse, counts = np.unique(look(array), True, True, True, equal_nan=False)
    return _picked(name, array, first, None, counts), first, inverse.reshape(np.shape(array)), counts


def _distinct(name: str, array: Any) -> Any:
    _, first, counts = np.unique(look(array), return_index=True, return_counts=True)
    return _picked(name, array, first, None, counts)


def _union(ar1: Any, ar2: Any) -> Any:
    return _distinct("union1d", np.concatenate([np.ravel(array_of(ar1)), np.ravel(array_of(ar2))]))


def _intersection(ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False) -> Any:
    """What both have is taken from the first one."""
    array = np.ravel(array_of(ar1))
    _, first, second = np.intersect1d(look(array), look(ar2).ravel(), assume_unique, return_indices=True)
    warn_kink("intersect1d", np.ones(len(first), bool), "the entries of the first array")
    values = np.take(array, first)
    return (values, first, second) if return_indices else values


def _difference(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    array = np.ravel(array_of(ar1))
    array = array if assume_unique else _distinct("setdiff1d", array)
    return np.take(array, np.flatnonzero(~np.isin(look(array), look(ar2))))


def _exclusive(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """What is in one of both only, in order."""
    one, two = (np.ravel(array_of(array)) for array in (ar1, ar2))
    if not assume_unique:
        one, two = _distinct("setxor1d", one), _distinct("setxor1d", two)
    both = np.concatenate([one, two])
    seen = look(both)
    distinct, counts = np.unique(seen, return_counts=True)
    alone = np.flatnonzero(np.isin(seen, distinct[counts == 1]))
    return np.take(both, alone[np.argsort(seen[alone], kind="stable")])


def _sort_complex(a: Any) -> Any:
    array = np.copy(array_of(a))
    wide = array if array.dtype.kind == "c" else doubled(array) + 0j
    return np.sort(wide, axis=-1)


def _add(name: str, function: Any, *samples: Any, kinks: Any = EQUAL) -> None:
    answers = (getattr(np, name),) if hasattr(np, name) else ()
    composite(name, function, answers=answers, samples=samples, note=NOTE, kinks=kinks)


_add(
    "unique", _unique, sample((4,)), sample((2, 3)), sample((3, 2), axis=0), sample((2, 3), axis=-1),
    sample((3,), True, True, True), sample((3,), return_counts=True), sample(()),
)  # fmt: skip
_add("unique_all", _unique_all, sample((4,)), sample((2, 2)))
_add("unique_counts", _unique_counts, sample((4,)), sample((2, 2)))
_add("unique_inverse", _unique_inverse, sample((4,)), sample((2, 2)))
_add("unique_values", _unique_values, sample((4,)), sample((2, 2)))
_add("union1d", _union, sample((3,), (2,)), sample((2, 2), (2,)), kinks=EQUAL_IN_ONE)
_add("intersect1d", _intersection, sample((3,), (2,)), sample((2, 2), (2,), assume_unique=True), kinks=IN_BOTH)
_add(
    "setdiff1d", _difference, sample((3,), (2,)), sample((2, 2), (2,), assume_unique=True), kinks=EQUAL_IN_ONE,
)  # fmt: skip
_add("setxor1d", _exclusive, sample((3,), (2,)), sample((2, 2), (2,), assume_unique=True), kinks=EQUAL_IN_ONE)
composite("sort_complex", _sort_complex, answers=(np.sort_complex,), samples=[sample((4,)), sample((2, 3))])
