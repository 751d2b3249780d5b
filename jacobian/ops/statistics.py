"""Covariances and correlations: products of centred rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.ops.families import composite
from jacobian.ops.registry import describe, sample
from jacobian.ops.values import array_of, floating, refuse_traced


def _variables(m: Any, y: Any, rowvar: bool, dtype: Any, name: str) -> Any:
    """One row for every variable."""
    parts: list[Any] = []
    for argument, array in (("m", m), ("y", y)):
        if array is None or (parts and np.shape(parts[0])[0] == 0):
            continue
        array = floating(array)
        if np.ndim(array) > 2:
            raise ShapeError(report(f"{name}: {argument} has more than two axes", got=describe(argument, array)))
        wide = np.reshape(array, (1,) * (2 - np.ndim(array)) + tuple(np.shape(array)))
        columns = np.ndim(array) != 1 if argument == "m" else np.shape(wide)[0] != 1
        parts.append(np.transpose(wide) if not rowvar and columns else wide)
    rows = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=0)
    wanted = np.result_type(rows.dtype, np.float64) if dtype is None else np.dtype(dtype)
    return rows if rows.dtype == wanted else np.astype(rows, wanted)


def _cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: Any = None, fweights: Any = None,
    aweights: Any = None, *, dtype: Any = None,
) -> Any:  # fmt: skip
    refuse_traced("cov", fix="frequencies are whole numbers", fweights=fweights)
    rows = _variables(m, y, rowvar, dtype, "cov")
    ddof = (0 if bias else 1) if ddof is None else ddof
    if ddof != int(ddof):
        raise ArgumentError(report(f"cov: ddof must be a whole number, not {ddof!r}"))
    count = np.shape(rows)[1]
    if fweights is None and aweights is None:
        centred = rows - np.mean(rows, axis=1, keepdims=True)
        divisor: Any = count - ddof
        weighted = centred
    else:
        frequencies: Any = np.ones(count) if fweights is None else _frequencies(fweights)
        importance: Any = 1.0 if aweights is None else array_of(aweights)
        weights = frequencies * importance
        if np.shape(weights) != (count,) or np.any(weights < 0):
            raise ArgumentError(report(f"cov: weights must be {count} numbers that are not negative"))
        total = np.sum(weights)
        centred = rows - np.sum(rows * weights, axis=1, keepdims=True) / total
        divisor = total if ddof == 0 else total - ddof * np.sum(weights * importance) / total
        weighted = centred * weights
    if np.any(divisor <= 0):
        raise ArgumentError(
            report("cov: there are no degrees of freedom left", got=f"{count} observations and ddof={ddof}")
        )
    other = np.conjugate(weighted) if weighted.dtype.kind == "c" else weighted
    return np.squeeze(np.matmul(centred, np.transpose(other)) / divisor)


def _frequencies(fweights: Any) -> np.ndarray:
    counts = np.asarray(fweights, float)
    if not np.all(counts == np.round(counts)):
        raise ArgumentError(report("cov: fweights must be whole numbers"))
    return counts


def _corrcoef(
    x: Any, y: Any = None, rowvar: bool = True, bias: Any = None, ddof: Any = None, *, dtype: Any = None
) -> Any:
    """Covariances over both standard deviations; bias= and ddof= cancel. NumPy clips what rounding takes beyond 1."""
    covariance = _cov(x, y, rowvar, dtype=dtype)
    if np.ndim(covariance) == 0:
        return covariance / covariance
    deviation = np.sqrt(np.real(np.diag(covariance)))
    return covariance / deviation[:, None] / deviation[None, :]


WEIGHTS = np.array([0.5, 1.0, 2.0, 0.3])
cov = composite(
    "cov", _cov, answers=(np.cov,), note="products of centred rows.",
    samples=[
        sample((2, 4)), sample((4,)), sample((3, 2), rowvar=False), sample((4,), (4,)), sample((2, 4), (4,)),
        sample((2, 4), bias=True), sample((2, 4), ddof=0), sample((2, 4), fweights=np.array([1, 2, 1, 3])),
        sample((2, 4), aweights=WEIGHTS), sample((2, 4), fweights=[1, 2, 1, 3], aweights=WEIGHTS, ddof=0),
        sample((4, 2), (4, 1), False), sample((2, 4), None, True, False, 1, [1, 2, 1, 3], WEIGHTS),
    ],
)  # fmt: skip
corrcoef = composite(
    "corrcoef", _corrcoef, answers=(np.corrcoef,), note="covariances over both standard deviations.",
    samples=[sample((2, 4)), sample((4,), (4,)), sample((4, 2), rowvar=False), sample((3, 4), (4,))],
)  # fmt: skip
