"""The flattened matrix for `scipy.sparse`, built from the terms: only entries they reach are listed and stored."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobian.errors import ArgumentError, report
from jacobian.kernel import memory
from jacobian.kernel.access import Form, indices
from jacobian.kernel.counting import MOST_WORK, Region, groups, intervals, points, region
from jacobian.kernel.dispatch import is_foreign
from jacobian.kernel.lower import core
from jacobian.kernel.operands import holds_complex
from jacobian.kernel.pattern import Shape
from jacobian.kernel.positions import values_at
from jacobian.kernel.structure import reached
from jacobian.kernel.term import Term
from jacobian.kernel.views import read

if TYPE_CHECKING:
    from jacobian.kernel.expression import Jacobian

Listed = dict[int, np.ndarray]
INDEX = np.dtype(np.intp).itemsize


def to_scipy(J: Jacobian, format: str) -> Any:  # noqa: A002
    """A `scipy.sparse` array of shape (∏M, ∏N)."""
    try:
        from scipy import sparse
    except ImportError as error:
        raise ArgumentError(report("to_scipy needs SciPy", fix="pip install 'jacobian[scipy]'")) from error
    size = (prod(J.out_shape), prod(J.in_shape))
    if not J.terms:
        return sparse.coo_array(size, dtype=J.dtype).asformat(format)
    data, rows, cols = triples(J)
    return sparse.coo_array((data, (rows, cols)), shape=size).asformat(format)


def triples(J: Jacobian) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, rows and columns of what the terms reach in the flattened matrix; what shares a place is to be added.

    There must be a term.
    """
    terms = [_plain(term) for term in J.terms]
    index = np.dtype(np.int32 if max(prod(J.out_shape), prod(J.in_shape)) < 2**31 else np.int64)
    entries = sum(map(entries_of, terms))
    kept = J.dtype.itemsize + 2 * index.itemsize  # as triples, and once more in the format asked for
    listed = INDEX * (2 + max(len(term.pattern.free) for term in terms))
    memory.check(
        entries * (2 * kept + listed), f"{J.out_shape} × {J.in_shape} {J.dtype}",
        f"{memory.human(J.nbytes)}, {J.structure}", f"{entries:,} entries and their positions",
        "J @ dx, u @ J, J[index], J.diagonal()",
    )  # fmt: skip
    halves = J.dtype.kind != "c" and holds_complex(J.terms)  # what `real_part` leaves: their sum is real
    data: list[np.ndarray] = []
    rows: list[np.ndarray] = []
    cols: list[np.ndarray] = []
    for term in terms:
        assignments, count = _listed(term, J.shape)
        values = _values(term, assignments, count, np.result_type(J.dtype, np.complex64) if halves else J.dtype)
        data.append(values.real if halves else values)
        for flat, forms, shape in ((rows, term.pattern.out, J.out_shape), (cols, term.pattern.into, J.in_shape)):
            flat.append(_flat(forms, shape, term, assignments, count).astype(index))
    return _joined(data), _joined(rows), _joined(cols)


def _plain(term: Term) -> Term:
    """The term with NumPy's own arrays for foreign ones."""
    if not any(is_foreign(factor.array) for factor in term.factors):
        return term
    return term.with_factors(
        tuple(f._replace(array=f.array.__array__()) if is_foreign(f.array) else f for f in term.factors)
    )


def entries_of(term: Term, most_work: int = MOST_WORK) -> int:
    """How many entries are to be listed; all assignments where arithmetic does not tell."""
    found = region(term)
    count = None if found is None else points(found, most_work)
    return term.pattern.entries if count is None else count


def _listed(term: Term, shape: Shape) -> tuple[Listed, int]:
    """The assignments of the free indices that reach an entry: for every index its values, and how many there are."""
    pattern = term.pattern
    found = region(term)
    if found is None or points(found) is None:
        sizes = [pattern.sizes[index] for index in pattern.free]
        where = np.flatnonzero(np.broadcast_to(reached(term, shape)[1], sizes))
        return (dict(zip(pattern.free, np.unravel_index(where, sizes), strict=True)) if sizes else {}), where.size
    if any(not form.parts for form in found.forms):
        return {index: np.zeros(0, np.intp) for index in pattern.free}, 0
    parts = [_listed_group(found, position) for position in range(len(groups(found)))]
    counts = [next(iter(part.values())).size for part in parts]
    if len(parts) == 1:
        return parts[0], counts[0]
    listed = {
        index: np.tile(np.repeat(values, prod(counts[position + 1 :])), prod(counts[:position]))
        for position, part in enumerate(parts)
        for index, values in part.items()
    }
    return listed, prod(counts)


def _listed_group(found: Region, position: int) -> Listed:
    group = groups(found)[position]
    sizes = tuple(found.sizes[k] for k in group.outer)
    first, count = (array.reshape(-1) for array in intervals(group, found))
    line = np.repeat(np.arange(count.size), count)
    listed = dict(zip(group.outer, np.unravel_index(line, sizes), strict=True)) if sizes else {}
    if group.inner is not None:
        start = np.cumsum(count) - count
        listed[group.inner] = np.arange(line.size) + (first - start)[line]
    return listed


def _values(term: Term, listed: Listed, size: int, dtype: np.dtype[Any]) -> np.ndarray:
    """The term's number for every assignment listed; factors over free indices are never multiplied out."""
    pattern = term.pattern
    free = set(pattern.free)
    beside = all(set(indices(*access.forms)) <= free for access in pattern.factors)
    closed = [guard for guard in pattern.guards if not set(indices(guard.form)) <= free]
    if beside and not closed and not term.has_operator:
        total = np.full(size, term.scale * pattern.idle, np.result_type(dtype, np.asarray(term.scale).dtype))
        for factor, access in zip(term.factors, pattern.factors, strict=True):
            array, labels = read(factor.array, access, pattern, term.tables)
            total = total * (array[tuple(listed[label] for label in labels)] if labels else array)
        return total.astype(dtype, copy=False)
    array, labels = core(term, dtype, closed)
    values = array[tuple(listed[label] for label in labels)]
    return np.broadcast_to(values, (size,)).astype(dtype, copy=False)


def _flat(forms: tuple[Form, ...], shape: Shape, term: Term, listed: Listed, size: int) -> np.ndarray:
    """The position in the flattened group of axes for every assignment listed."""
    flat: Any = np.intp(0)
    for form, extent in zip(forms, shape, strict=True):
        flat = flat * extent + values_at(form, listed, term.tables)
    return np.broadcast_to(flat, (size,))


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
