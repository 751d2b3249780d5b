"""Determinants, their logarithms, and the cofactors that they are differentiated by; leading axes are a batch."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from jacobian.kernel.expression import Jacobian
from jacobian.kernel.recorded import Recorded
from jacobian.kernel.term import Array, Factor
from jacobian.ops.families import composite
from jacobian.ops.growth import at_most
from jacobian.ops.kinks import nowhere, usually
from jacobian.ops.linalg import inv, invertible, require_square
from jacobian.ops.registry import Op, Point, register, sample
from jacobian.ops.terms import shape_of, summed, written


def _products_without(values: np.ndarray, left_out: int) -> np.ndarray:
    """Products of the last axis without one entry, or without two: an array over the entries left out."""
    n = values.shape[-1]
    itself = np.eye(n, dtype=bool)
    if left_out == 1:
        return np.asarray(np.prod(np.where(itself, 1.0, values[..., None, :]), axis=-1))
    gone = itself[:, None, :] | itself[None, :, :]
    return np.asarray(np.prod(np.where(gone, 1.0, values[..., None, None, :]), axis=-1) * ~itself)


def _oriented(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The singular value decomposition U, s, V, and det(U) det(V), which is 1 or -1."""
    U, s, Vh = np.linalg.svd(X)
    return U, s, np.swapaxes(Vh, -1, -2), np.sign(np.linalg.det(U) * np.linalg.det(Vh))


def _cofactors(X: np.ndarray, det: Any = None) -> np.ndarray:
    """det(X) inv(X)ᵀ where X is far from singular, else U cof(S) Vᵀ: no division, so that it holds there as well."""
    found = _by_inverse(X, np.linalg.det(X) if det is None else det)
    return _by_singular_values(X) if found is None else found


def _by_inverse(X: Array, det: Any) -> Any:
    """det(X) inv(X)ᵀ; None unless every matrix has a determinant in range and is well enough conditioned for it."""
    try:
        inverse = np.linalg.inv(X)
    except np.linalg.LinAlgError:
        return None
    if not usually(_is_far_from_singular, X, inverse, det):
        return None
    scaled = inverse * (det if np.ndim(det) == 0 else np.reshape(det, (*np.shape(det), 1, 1)))
    return np.swapaxes(scaled, -1, -2)


def _is_far_from_singular(X: np.ndarray, inverse: np.ndarray, det: Any) -> bool:
    """Whether determinants are in range, and half of the digits are left in every inverse."""
    least, most, eps = _limits(X.dtype)
    size = abs(det)
    if not _everywhere((size >= least) & (size <= most)):
        return False
    return _everywhere(_squares(X) * _squares(inverse) * eps <= 1.0)  # the square of the condition


@cache
def _limits(dtype: np.dtype[Any]) -> tuple[Any, Any, Any]:
    limits = np.finfo(dtype)
    return limits.tiny, limits.max, limits.eps


def _everywhere(condition: Any) -> bool:
    """Whether a condition holds at every entry; of a single one it is told in a tenth of the time of `np.all`."""
    return bool(np.all(condition) if np.ndim(condition) else condition)


def _squares(X: np.ndarray) -> Any:
    """The sum of the squared absolute values of every matrix's entries."""
    return np.vdot(X, X).real if X.ndim == 2 else np.einsum("...ij,...ij->...", X, np.conj(X)).real


def _by_singular_values(X: np.ndarray) -> np.ndarray:
    U, s, V, sign = _oriented(X)
    scaled = np.conj(U) * (_products_without(s, 1) * sign[..., None]).astype(X.dtype)[..., None, :]
    return np.asarray(scaled @ np.conj(np.swapaxes(V, -1, -2)))


def _cofactors_rule(point: Point, k: int) -> Jacobian:
    """All minors without two rows and two columns; the products of two cofactors over det(X) where that is not 0."""
    X, C = point.x[0], point.y
    shape = shape_of(X)
    if k == 1:  # C is a function of X alone: the determinant only saves finding it again
        return Jacobian.zero(shape, shape_of(point.x[1]))
    det = np.sum(X * C, axis=(-2, -1)) / max(shape[-1], 1)
    size = np.sum(X**2, axis=(-2, -1)) * np.sum(C**2, axis=(-2, -1))
    if nowhere(det**2 <= 1e-16 * size):
        c, d = Factor(C, point.out_name), Factor(1 / det, f"1/det({point.names[0]})")
        straight = written("ij,kl,->ij|kl", c, c, d, into=shape)
        return summed(straight, written("il,kj,->ij|kl", c, c, d, into=shape, scale=-1))
    U, s, V, sign = _oriented(np.asarray(X))
    u, v = Factor(U, "U"), Factor(V, "V")
    p = Factor(_products_without(s, 2) * sign[..., None, None], "P")
    straight = written("pq,ip,jp,kq,lq->ij|kl", p, u, v, u, v, into=shape)
    return summed(straight, written("pq,ip,jq,kq,lp->ij|kl", p, u, v, u, v, into=shape, scale=-1))


def _singular_matrix(*_: Any) -> np.ndarray:
    return np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, -1.0]])


cofactors = register(
    Op(
        "cofactors", _cofactors, _cofactors_rule, operands=("X", "det"), out_name="C", family="linalg",
        normalise=lambda X, det=None: ((X,) if det is None else (X, det), {}), of_complex="refused",
        formula="∂C[i,j]/∂X[k,l] = (C[i,j] C[k,l] - C[i,l] C[k,j]) / det(X)", explain_failure=require_square,
        note="the matrix det(X) inv(X)ᵀ, also where X is singular: the transpose of the adjugate. det(X) may be "
        "given where it is known; nothing is differentiated with respect to it.",
        samples=[sample((3, 3), domain=invertible), sample((2, 2, 2), domain=invertible)],
    )
)  # fmt: skip


def _det_rule(point: Point, k: int) -> Jacobian:
    X, name = point.x[0], point.names[0]
    found = _by_inverse(X, point.y) if isinstance(X, Recorded) else None
    found = cofactors(X, point.y) if found is None else found
    return written("ij->|ij", Factor(found, f"cof({name})"), into=shape_of(X))


det = register(
    Op(
        "det", np.linalg.det, _det_rule, answers=(np.linalg.det,), operands=("X",), family="linalg",
        formula="∂y/∂X[i,j] = cof(X)[i,j] = y inv(X)[j,i]", explain_failure=require_square,
        source="The Matrix Cookbook (2012), eq. 49",
        note="the derivative is the matrix of cofactors, so that it also holds where X is singular.",
        samples=[
            sample((3, 3), domain=invertible), sample((2, 2, 2), domain=invertible), sample((1, 1), domain=invertible),
            sample((3, 3), domain=_singular_matrix), sample(np.zeros((3, 3))),
        ],
    )
)  # fmt: skip


def _logabsdet_rule(point: Point, k: int) -> Jacobian:
    X, name = point.x[0], point.names[0]
    return written("ji->|ij", Factor(inv(X), f"inv({name})"), into=shape_of(X))


logabsdet = register(
    Op(
        "logabsdet", lambda X: np.linalg.slogdet(X).logabsdet, _logabsdet_rule, operands=("X",), family="linalg",
        formula="∂y/∂X[i,j] = inv(X)[j,i]", note="log |det(X)|.", explain_failure=require_square,
        growth=at_most(64),  # unless X is singular, of which the derivative tells
        samples=[sample((3, 3), domain=invertible), sample((2, 2, 2), domain=invertible)], of_complex="real part",
    )
)  # fmt: skip
sign_of_det = register(
    Op(
        "sign_of_det", lambda X: np.linalg.slogdet(X).sign,
        lambda point, k: Jacobian.zero(shape_of(point.y), shape_of(point.x[0])), operands=("X",), family="linalg",
        formula="0", explain_failure=require_square, samples=[sample((3, 3), domain=invertible)], of_complex="refused",
    )
)  # fmt: skip
_SLOGDET = type(np.linalg.slogdet(np.eye(1)))
slogdet = composite(
    "slogdet", lambda a: _SLOGDET(sign_of_det(a), logabsdet(a)), answers=(np.linalg.slogdet,),
    samples=[sample((3, 3), domain=invertible)], note="the sign has the derivative 0.",
)  # fmt: skip
