"""The exponential of a matrix. It is SciPy's, and only there when SciPy is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.term import Array, Factor
from jacobian.ops.linalg import require_square
from jacobian.ops.registry import Op, Params, Point, describe, register, sample
from jacobian.ops.terms import shape_of, written


def _expm(A: Any) -> Any:
    try:
        from scipy.linalg import expm
    except ImportError:
        raise ArgumentError(report("expm needs SciPy", fix="pip install 'jacobian[scipy]'")) from None
    return expm(A)


def _in_every_direction(A: Array) -> Array:
    """The derivative of exp(A) along every entry k, l, as an array over (k, l, i, j).

    It is the upper right block of the exponential of `[[A, E], [0, A]]`, E being 1 at k, l and 0 elsewhere (Van Loan
    1978): exact, and again an exponential, so that it can itself be differentiated.
    """
    n = shape_of(A)[-1]
    shape = (*shape_of(A)[:-2], n, n, n, n)
    directions = np.broadcast_to(np.eye(n * n).reshape(n, n, n, n), shape)
    spread = np.broadcast_to(np.expand_dims(A, (-4, -3)), shape)
    upper = np.concatenate([spread, directions], axis=-1)
    lower = np.concatenate([np.zeros(shape), spread], axis=-1)
    return expm(np.concatenate([upper, lower], axis=-2))[..., :n, n:]


def _expm_rule(point: Point, k: int) -> Jacobian:
    A, name = point.x[0], point.names[0]
    if shape_of(A)[-1] == 0:
        return Jacobian.zero(shape_of(A), shape_of(A))
    return written("klij->ij|kl", Factor(_in_every_direction(A), f"Dexp({name})"), into=shape_of(A))


def _one(A: Any) -> tuple[tuple[Any, ...], Params]:
    if np.ndim(A) < 2:  # SciPy makes a matrix of a number
        raise ShapeError(report("expm: A must be a matrix or a stack of matrices", got=describe("A", A)))
    return (A,), {}


def _explain(op: Op, values: Sequence[Array], params: Params) -> None:
    require_square(op, values, params)


expm = register(
    Op(
        "expm", _expm, _expm_rule, normalise=_one, operands=("A",), out_name="Y", family="linalg", needs="scipy",
        formula="∂Y[i,j]/∂A[k,l] = Σ_m 1/m! Σ_r A**r[i,k] A**(m-1-r)[l,j]", explain_failure=_explain,
        note="the exponential of a matrix, by SciPy. Where A and dA commute its differential is exp(A) dA.",
        samples=[sample(shape) for shape in ((2, 2), (3, 3), (2, 2, 2), (1, 1))] + [sample(np.zeros((2, 2)))],
    )
)  # fmt: skip
