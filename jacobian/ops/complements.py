"""Vectors that complete an orthonormal basis: what complete factorisations have beyond the columns of the matrix.

The space they span has a derivative. Which of its bases they are is decided by nothing the matrix holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jacobian.errors import ShapeError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.term import Factor
from jacobian.ops.kinks import warn_kink
from jacobian.ops.linalg import pinv
from jacobian.ops.registry import Kink, Normalise, Op, Params, Point, describe, register, sample
from jacobian.ops.terms import shape_of, written
from jacobian.ops.values import floating, refuse_complex


def tall(name: str) -> Normalise:
    """The arguments of an op of one real matrix that has at least as many rows as columns."""

    def normalise(A: Any) -> tuple[tuple[Any, ...], Params]:
        A = floating(A)
        refuse_complex(name, A=A)
        rows, cols = shape_of(A)[-2:] if np.ndim(A) > 1 else (0, 1)
        if rows < cols:
            headline = f"{name}: a matrix with at least as many rows as columns is needed"
            raise ShapeError(report(headline, got=describe("A", A)))
        return (A,), {}

    return normalise


def tall_matrix(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Columns that are far from dependent."""
    return np.asarray(generator.uniform(-1.0, 1.0, shape)) + 1.5 * np.eye(shape[-2], shape[-1])


def _complement(name: str, forward: Callable[[np.ndarray], Any]) -> Op:
    """N stays orthogonal to the columns and does not turn in its own space: dN = -(A⁺)ᵀ dAᵀ N."""

    def rule(point: Point, k: int) -> Jacobian:
        A = point.x[0]
        if shape_of(point.y)[-1] > 1:
            taken = "the least turn of the last vectors, which are determined up to a rotation among themselves,"
            warn_kink(name, True, taken)
        P = Factor(pinv(A), f"pinv({point.names[0]})")
        return written("li,pk->ik|pl", P, Factor(point.y, point.out_name), into=shape_of(A), scale=-1)

    return register(
        Op(
            f"{name}_complement", forward, rule, normalise=tall(name), operands=("A",), out_name="N", family="linalg",
            formula="∂N = -pinv(A)ᵀ ∂Aᵀ N",
            note="orthonormal vectors that complete the basis of a matrix of independent columns. Several of them are "
            "determined up to a rotation among themselves.",
            kinks=[Kink("there are several of them", "what turns least", sample(np.eye(3, 1)))],
            samples=[sample(shape, domain=tall_matrix) for shape in ((3, 2), (2, 1), (2, 3, 2))],
        )
    )  # fmt: skip


qr_complement = _complement("qr", lambda A: np.linalg.qr(A, mode="complete").Q[..., A.shape[-1] :])
svd_complement = _complement("svd", lambda A: np.linalg.svd(A).U[..., A.shape[-1] :])
