"""Terms to numbers by dispatched NumPy calls, for arrays that are not NumPy's own (tracers, Dask, CuPy, …).

Everything becomes one `np.einsum`: accesses that strides cannot say are gathered with `np.take`, and every output
position that is not one plain index is a one-hot array. Slower than views, with the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jacobian.kernel.access import Form, indices
from jacobian.kernel.equations import Guard
from jacobian.kernel.network import equation_of
from jacobian.kernel.pattern import Access, Pattern, Shape
from jacobian.kernel.places import Labels
from jacobian.kernel.positions import positions
from jacobian.kernel.specials import Means, Placed, Special, without_specials
from jacobian.kernel.term import Array, Operator, Term
from jacobian.kernel.views import read_guard

_OWN = (np.ndarray, np.generic, Operator)


def is_foreign(array: Array) -> bool:
    """Whether an array has to be lowered by dispatched calls."""
    return not isinstance(array, _OWN)


def _read(array: Array, access: Access, pattern: Pattern, tables: Sequence[np.ndarray]) -> tuple[Array, Labels]:
    forms, shape = access
    if all(form.is_plain for form in forms):
        labels = tuple(indices(*forms))
        if tuple(pattern.sizes[label] for label in labels) == shape:
            return array, labels
    labels = tuple(dict.fromkeys(indices(*forms)))
    sizes = tuple(pattern.sizes[label] for label in labels)
    flat = np.zeros(sizes, np.intp)
    valid = np.ones(sizes, bool)
    for form, extent in zip(forms, shape, strict=True):
        value = positions(form, labels, pattern.sizes, tables)
        valid &= (value >= 0) & (value < extent)
        flat = flat * extent + np.clip(value, 0, max(extent - 1, 0))
    if not valid.any():
        return np.zeros(sizes, array.dtype), labels
    picked = np.take(np.reshape(array, (-1,)), flat)
    return (picked if valid.all() else np.where(valid, picked, 0)), labels


def _one_hot(form: Form, extent: int, pattern: Pattern, tables: Sequence[np.ndarray], dtype: Any) -> tuple[Any, Labels]:
    labels = tuple(dict.fromkeys(indices(form)))
    value = np.broadcast_to(positions(form, labels, pattern.sizes, tables), [pattern.sizes[k] for k in labels])
    return (value[..., None] == np.arange(extent)).astype(dtype), labels


def materialise_by_calls(terms: Sequence[Term], shape: Shape, dtype: np.dtype[Any]) -> Array:
    """The tensor that the terms add up to, by dispatched NumPy calls only."""
    total: Any = None
    for term in terms:
        value = _term(term, shape, dtype)
        total = value if total is None else total + value
    return np.zeros(shape, dtype) if total is None else total


def _operands(term: Term, guards: Sequence[Guard], dtype: np.dtype[Any]) -> tuple[list[Array], list[Labels]]:
    pattern = term.pattern
    pairs: list[tuple[Array, Labels]] = []
    specials: list[tuple[Special, Labels]] = []
    for factor, access in zip(term.factors, pattern.factors, strict=True):
        if isinstance(factor.array, Operator):
            specials.append((Placed(factor.array, access), tuple(dict.fromkeys(indices(*access.forms)))))
        else:
            pairs.append(_read(factor.array, access, pattern, term.tables))
    pairs += [read_guard(guard, pattern, term.tables, dtype) for guard in guards]
    arrays, labels = [array for array, _ in pairs], [labels for _, labels in pairs]
    if isinstance(term.scale, complex):  # it comes last, so no real part may be taken before
        dtype = np.result_type(dtype, np.complex64)
    without_specials(specials, arrays, labels, pattern, term.tables, dtype, Means(_einsum))
    return arrays, labels


def _einsum(arrays: Sequence[Array], labels: Sequence[Labels], out: Labels) -> Array:
    if len(arrays) == 1 and labels[0] == out:
        return arrays[0]
    return np.einsum(equation_of(tuple(labels), out), *arrays)


def core_by_calls(term: Term, dtype: np.dtype[Any], guards: Sequence[Guard] | None = None) -> tuple[Array, Labels]:
    """What `lower.core` computes, by dispatched calls."""
    arrays, labels = _operands(term, term.pattern.guards if guards is None else guards, dtype)
    carried = {label for axes in labels for label in axes}
    out = tuple(index for index in term.pattern.free if index in carried)
    if len(arrays) == 1 and labels[0] == out:
        value = arrays[0]
    elif arrays:
        value = np.einsum(equation_of(tuple(labels), out), *arrays)
    else:
        return np.asarray(term.scale * term.pattern.idle, dtype), ()
    return _scaled(value, term), out


def _scaled(value: Array, term: Term) -> Array:
    scale = term.scale * term.pattern.idle
    return value if scale == 1 else value * scale


def _term(term: Term, shape: Shape, dtype: np.dtype[Any]) -> Array:
    pattern = term.pattern
    arrays, labels = _operands(term, pattern.guards, dtype)
    out: list[int] = []
    following = len(pattern.sizes)
    carried = {label for axes in labels for label in axes}
    for form, extent in zip((*pattern.out, *pattern.into), shape, strict=True):
        index = form.parts[0][0] if form.is_plain else None
        if isinstance(index, int) and index not in out and index in carried and pattern.sizes[index] == extent:
            out.append(index)
            continue
        array, axes = _one_hot(form, extent, pattern, term.tables, dtype)
        arrays.append(array)
        labels.append((*axes, following))
        out.append(following)
        following += 1
    if not arrays:
        return np.asarray(term.scale * pattern.idle, dtype)
    return _scaled(np.einsum(equation_of(tuple(labels), tuple(out)), *arrays), term)
