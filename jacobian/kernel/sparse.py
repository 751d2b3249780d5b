"""The flattened matrix for `scipy.sparse`, built from the terms: only entries they reach are stored."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobian.errors import ArgumentError, report
from jacobian.kernel.lower import core, positions, spread

if TYPE_CHECKING:
    from jacobian.kernel.expression import Jacobian


def to_scipy(J: Jacobian, format: str) -> Any:  # noqa: A002
    """A `scipy.sparse` array of shape (∏M, ∏N)."""
    try:
        from scipy import sparse
    except ImportError as error:
        raise ArgumentError(report("to_scipy needs SciPy", fix="pip install 'jacobian[scipy]'")) from error
    rows: list[np.ndarray] = []
    cols: list[np.ndarray] = []
    data: list[np.ndarray] = []
    for term in J.terms:
        pattern = term.pattern
        values = spread(*core(term, J.dtype), pattern)
        row, row_valid = _flat(pattern.out, J.out_shape, term)
        col, col_valid = _flat(pattern.into, J.in_shape, term)
        row, col, valid = np.broadcast_arrays(row, col, row_valid & col_valid)
        shape = tuple(pattern.sizes[index] for index in pattern.free)
        keep = np.broadcast_to(valid, shape)
        rows.append(np.broadcast_to(row, shape)[keep])
        cols.append(np.broadcast_to(col, shape)[keep])
        data.append(np.broadcast_to(values, shape)[keep])
    size = (prod(J.out_shape), prod(J.in_shape))
    if not data:
        return sparse.coo_array(size, dtype=J.dtype).asformat(format)
    triples = (np.concatenate(data).astype(J.dtype), (np.concatenate(rows), np.concatenate(cols)))
    return sparse.coo_array(triples, shape=size).asformat(format)


def _flat(forms: Any, shape: Any, term: Any) -> tuple[Any, Any]:
    pattern = term.pattern
    flat: Any = np.intp(0)
    valid: Any = np.True_
    for form, extent in zip(forms, shape, strict=True):
        value = positions(form, pattern.free, pattern.sizes, term.tables)
        valid = valid & (value >= 0) & (value < extent)
        flat = flat * extent + value
    return flat, valid
