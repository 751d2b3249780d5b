"""The flattened matrix for `scipy.sparse`, built from the terms: only entries they reach are stored."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobian.errors import ArgumentError, report
from jacobian.kernel.lower import core, spread
from jacobian.kernel.structure import reached

if TYPE_CHECKING:
    from jacobian.kernel.expression import Jacobian


def to_scipy(J: Jacobian, format: str) -> Any:  # noqa: A002
    """A `scipy.sparse` array of shape (∏M, ∏N)."""
    try:
        from scipy import sparse
    except ImportError as error:
        raise ArgumentError(report("to_scipy needs SciPy", fix="pip install 'jacobian[scipy]'")) from error
    columns = prod(J.in_shape)
    data: list[np.ndarray] = []
    rows: list[np.ndarray] = []
    cols: list[np.ndarray] = []
    for term in J.terms:
        flat, valid = reached(term, J.shape)
        data.append(spread(*core(term, J.dtype), term.pattern)[valid])
        rows.append(flat[valid] // columns)
        cols.append(flat[valid] % columns)
    size = (prod(J.out_shape), columns)
    if not data:
        return sparse.coo_array(size, dtype=J.dtype).asformat(format)
    triples = (np.concatenate(data).astype(J.dtype), (np.concatenate(rows), np.concatenate(cols)))
    return sparse.coo_array(triples, shape=size).asformat(format)
