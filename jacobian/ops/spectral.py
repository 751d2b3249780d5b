"""Eigenvalues, singular values and their vectors. Leading axes are a batch, shared by output and input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.term import Array, Factor
from jacobian.ops.complements import svd_complement
from jacobian.ops.families import composite
from jacobian.ops.kinks import warn_kink
from jacobian.ops.linalg import inv, invertible, require_square
from jacobian.ops.registry import Kink, Op, Point, is_complex, register, sample
from jacobian.ops.terms import shape_of, summed, symmetrised, written

# -- symmetric matrices -----------------------------------------------------------------------------------------------


def inverse_gaps(name: str, values: Array) -> Array:
    """`1 / (v[k] - v[m])` at [m, k], and 0 where the two are equal up to rounding."""
    n = shape_of(values)[-1]
    difference = np.expand_dims(values, -2) - np.expand_dims(values, -1)
    size = np.max(np.abs(values), axis=-1, keepdims=True) if n else np.abs(values)
    close = np.abs(difference) <= np.expand_dims(size, -1) * 16 * n * np.finfo(values.dtype).eps
    ties = (close & ~np.eye(n, dtype=bool)).any(axis=-1)
    warn_kink(name, ties, "what the formula gives for the vectors at hand")
    return np.where(close, 0.0, 1.0 / np.where(close, 1.0, difference))


def _symmetric_values_rule(point: Point, k: int) -> Jacobian:
    """∂w[k]/∂S = v_k v_kᵀ for the symmetric matrix that is read from one triangle."""
    A, triangle = point.x[0], point.params["UPLO"]
    inverse_gaps("eigvalsh", point.y)
    v = Factor(np.linalg.eigh(A, UPLO=triangle).eigenvectors, f"V({point.names[0]})")
    if is_complex(A):  # ∂w = real(vᴴ ∂S v), where an entry beside the diagonal counts with its conjugate
        counts = np.tri(shape_of(A)[-1]) + np.tri(shape_of(A)[-1], k=-1)
        read = Factor(counts if triangle == "L" else counts.T, "C")
        return written("ik,jk,ij->k|ij", Factor(np.conj(v.array), f"conj({v.text})"), v, read, into=shape_of(A))
    J: Jacobian = written("ik,jk->k|ij", v, v, into=shape_of(A)) @ symmetrised(shape_of(A), triangle)
    return J


def _symmetric_vectors_rule(point: Point, k: int) -> Jacobian:
    """The differential dV = V (F ∘ (Vᵀ dS V)) with F[m,k] = 1 / (w[k] - w[m])."""
    A, triangle = point.x[0], point.params["UPLO"]
    v = Factor(point.y, point.out_name)
    gaps = Factor(inverse_gaps("eigh", np.linalg.eigvalsh(A, UPLO=triangle)), f"F({point.names[0]})")
    of_symmetric = written("im,mk,pm,qk->ik|pq", v, gaps, v, v, into=shape_of(A))
    J: Jacobian = of_symmetric @ symmetrised(shape_of(A), triangle)
    return J


def _triangle_arguments(a: Any, UPLO: str = "L") -> Any:
    if UPLO.upper() not in ("L", "U"):
        raise ArgumentError(report(f"UPLO must be 'L' or 'U', not {UPLO!r}"))
    return (a,), {"UPLO": UPLO.upper()}


ONE_TRIANGLE = (
    "NumPy reads one triangle only, the lower one unless UPLO='U', and so does the derivative: it is 0 with respect to "
    "the other triangle, and an entry beside the diagonal counts for both."
)
GILES = "M. Giles, An extended collection of matrix derivative results (2008)"
AT_HAND = "what the formula gives for the vectors at hand"
REPEATED = Kink("eigenvalues are equal", AT_HAND, sample(np.eye(2)))
REPEATED_VALUES = Kink("singular values are equal", AT_HAND, sample(np.eye(2)))
SYMMETRIC = [sample((3, 3)), sample((2, 2, 2)), sample((3, 3), UPLO="U")]

eigvalsh = register(
    Op(
        "eigvalsh", np.linalg.eigvalsh, _symmetric_values_rule, answers=(np.linalg.eigvalsh,), operands=("A",),
        normalise=_triangle_arguments, out_name="w", family="linalg", formula="∂w[k]/∂S[i,j] = V[i,k] V[j,k]",
        explain_failure=require_square, note=ONE_TRIANGLE, samples=SYMMETRIC, kinks=[REPEATED], source=GILES,
        of_complex="real part",
    )
)  # fmt: skip
symmetric_vectors = register(
    Op(
        "symmetric_vectors", lambda a, UPLO: np.linalg.eigh(a, UPLO=UPLO).eigenvectors, _symmetric_vectors_rule,
        operands=("A",), normalise=_triangle_arguments, out_name="V", family="linalg", explain_failure=require_square,
        of_complex="refused",
        formula="∂V[i,k]/∂S[p,q] = Σ_m V[i,m] F[m,k] V[p,m] V[q,k], F[m,k] = 1 / (w[k] - w[m])", samples=SYMMETRIC,
        note="the eigenvectors of `np.linalg.eigh`. " + ONE_TRIANGLE, kinks=[REPEATED], source=GILES,
    )
)  # fmt: skip
_EIGH = type(np.linalg.eigh(np.eye(1)))
eigh = composite(
    "eigh", lambda a, UPLO="L": _EIGH(eigvalsh(a, UPLO=UPLO), symmetric_vectors(a, UPLO=UPLO)),
    answers=(np.linalg.eigh,), samples=SYMMETRIC, note=ONE_TRIANGLE,
)  # fmt: skip

# -- any square matrix ------------------------------------------------------------------------------------------------


def _values_rule(point: Point, k: int) -> Jacobian:
    """∂w[k]/∂A = the transposed projector onto the k-th eigenspace."""
    A = point.x[0]
    inverse_gaps("eigvals", point.y)
    return written("kji->k|ij", Factor(projectors(A), f"P({point.names[0]})"), into=shape_of(A))


def _projectors(A: np.ndarray) -> np.ndarray:
    """A right eigenvector times the left one, in the order of `np.linalg.eigvals`; that of `eig` may be another."""
    values, (others, vectors) = np.linalg.eigvals(A), np.linalg.eig(A)
    distance = np.abs(values[..., :, None] - others[..., None, :])
    order = np.zeros(values.shape, np.intp)
    for k in range(values.shape[-1]):  # the nearest one that is left, so that equal ones are taken one after another
        order[..., k] = np.argmin(distance[..., k, :], axis=-1)
        np.put_along_axis(distance, order[..., None, k, None], np.inf, axis=-1)
    right = np.take_along_axis(vectors, order[..., None, :], axis=-1)
    return np.asarray(np.einsum("...ik,...kj->...kij", right, inv(right)))


def _projectors_rule(point: Point, k: int) -> Jacobian:
    """The differential dP_k = Σ_m F[m,k] (P_m dA P_k + P_k dA P_m) with F[m,k] = 1 / (w[k] - w[m])."""
    A = point.x[0]
    P = Factor(point.y, point.out_name)
    gaps = Factor(inverse_gaps("projectors", np.linalg.eigvals(A)), f"F({point.names[0]})")
    J = written("mk,mip,kqj->kij|pq", gaps, P, P, into=shape_of(A))
    return summed(J, written("mk,kip,mqj->kij|pq", gaps, P, P, into=shape_of(A)))


def _distinct(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(generator.uniform(-0.3, 0.3, shape)) + np.diag(np.arange(1.0, 1.0 + shape[-1]))


def _rotating(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    turn = np.array([[0.0, -2.0, 0.0], [2.0, 0.5, 0.0], [0.0, 0.0, 1.0]])
    return np.asarray(generator.uniform(-0.2, 0.2, shape) + turn)


GENERAL = [sample((3, 3), domain=_distinct), sample((3, 3), domain=_rotating), sample((2, 2, 2), domain=_distinct)]

eigvals = register(
    Op(
        "eigvals", np.linalg.eigvals, _values_rule, answers=(np.linalg.eigvals,), operands=("A",), out_name="w",
        family="linalg", formula="∂w[k]/∂A[i,j] = P[k,j,i], P[k] = v uᵀ, v and u right and left eigenvectors, uᵀ v = 1",
        explain_failure=require_square, samples=GENERAL, dtype_by_value=True,
        note="complex when an eigenvalue is, and then the Jacobian is complex as well.",
        kinks=[REPEATED], source=GILES,
    )
)  # fmt: skip
projectors = register(
    Op(
        "projectors", _projectors, _projectors_rule, operands=("A",), out_name="P", family="linalg", samples=GENERAL,
        formula="∂P[k,i,j]/∂A[p,q] = Σ_m F[m,k] (P[m,i,p] P[k,q,j] + P[k,i,p] P[m,q,j]), F[m,k] = 1 / (w[k] - w[m])",
        explain_failure=require_square, dtype_by_value=True,
        note="onto the eigenspaces, in the order of `np.linalg.eigvals`.",
        kinks=[REPEATED],
    )
)  # fmt: skip

# -- singular values --------------------------------------------------------------------------------------------------


def _conjugated(vectors: Array, name: str) -> Factor:
    return Factor(np.conj(vectors), f"conj({name})") if is_complex(vectors) else Factor(vectors, name)


def pairs_of_singular_vectors(A: Array, name: str) -> tuple[Factor, Factor]:
    """U and V such that the differential of a singular value is u[i] ∂A[i,j] v[j], of complex ones its real part."""
    U, _, V = _thin(A)
    return _conjugated(U, f"U({name})"), _conjugated(V, f"V({name})")


def vanishing(values: Array) -> Any:
    """Which singular values are 0 up to rounding."""
    return values <= values[..., :1] * shape_of(values)[-1] * np.finfo(values.dtype).eps


def _singular_values_rule(point: Point, k: int) -> Jacobian:
    A = point.x[0]
    inverse_gaps("svdvals", point.y)
    warn_kink("svdvals", vanishing(point.y), "u vᵀ for the singular vectors at hand")
    return written("ik,jk->k|ij", *pairs_of_singular_vectors(A, point.names[0]), into=shape_of(A))


def _singular_vectors_rule(side: str) -> Any:
    """The differential dU = U (F ∘ (Uᵀ dA V S + S Vᵀ dAᵀ U)) + (1 - U Uᵀ) dA V S⁻¹; V by transposition.

    F[m,k] = 1 / (s[k]² - s[m]²).
    """

    def rule(point: Point, k: int) -> Jacobian:
        A, name = point.x[0], point.names[0]
        shape, (U, s, V) = shape_of(A), _thin(A)
        pair = Factor(U, f"U({name})"), Factor(V, f"V({name})")
        (u, v), rows = (pair, shape[-2]) if side == "U" else (pair[::-1], shape[-1])
        into = "pq" if side == "U" else "qp"
        gaps = inverse_gaps("svd", s**2)
        scaled = (
            Factor(gaps * np.expand_dims(s, -2), f"F({name})"), Factor(gaps * np.expand_dims(s, -1), f"G({name})")
        )  # fmt: skip
        parts = [
            written(f"im,mk,pm,qk->ik|{into}", u, scaled[0], u, v, into=shape),
            written(f"im,mk,qm,pk->ik|{into}", u, scaled[1], v, u, into=shape),
        ]
        if rows > shape_of(s)[-1]:
            beside = Factor(np.eye(rows) - np.matmul(u.array, np.matrix_transpose(u.array)), f"N({name})")
            zero = vanishing(s)
            warn_kink("svd", zero, "what the formula gives without the vectors that vanish")
            over = Factor(np.where(zero, 0.0, 1.0 / np.where(zero, 1.0, s)), f"1 / s({name})")
            parts.append(written(f"ip,qk,k->ik|{into}", beside, v, over, into=shape))
        return summed(*parts)

    return rule


def _thin(A: Array) -> tuple[Array, Array, Array]:
    """Singular vectors and values, in one call for all who need some of them."""
    U, values, Vh = np.linalg.svd(A, full_matrices=False)
    return U, values, np.swapaxes(Vh, -1, -2)


def _spread(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    drawn = np.asarray(generator.uniform(-0.3, 0.3, shape))
    return np.asarray(drawn + np.eye(shape[-2], shape[-1]) * np.arange(1.0, 1.0 + shape[-1]))


RECTANGLES: Sequence[Any] = [sample(shape, domain=_spread) for shape in ((3, 3), (3, 2), (2, 3), (2, 2, 2))]
svdvals = register(
    Op(
        "svdvals", lambda x: np.linalg.svd(x, compute_uv=False), _singular_values_rule, answers=(np.linalg.svdvals,),
        operands=("A",), out_name="s", family="linalg", formula="∂s[k]/∂A[i,j] = U[i,k] V[j,k]", samples=RECTANGLES,
        beside_rule=lambda x: _thin(x)[1],
        kinks=[REPEATED_VALUES, Kink("a singular value is 0", AT_HAND, sample(np.diag([1.0, 0.0])))], source=GILES,
        of_complex="real part",
    )
)  # fmt: skip
TALL = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])


def _vanishing_of(A: np.ndarray) -> list[Kink]:
    return [Kink("a singular value is 0", "what the formula gives without its vectors", sample(A))]


left_vectors = register(
    Op(
        "left_vectors", lambda x: _thin(x)[0], _singular_vectors_rule("U"), operands=("A",), out_name="U",
        family="linalg", samples=RECTANGLES, note="the left singular vectors, one for every singular value.",
        kinks=[REPEATED_VALUES, *_vanishing_of(TALL)], source=GILES,
        of_complex="refused",
        formula="∂U = U (F ∘ (Uᵀ ∂A V S + S Vᵀ ∂Aᵀ U)) + (1 - U Uᵀ) ∂A V S⁻¹, F[m,k] = 1 / (s[k]² - s[m]²)",
    )
)  # fmt: skip
right_vectors = register(
    Op(
        "right_vectors", lambda x: _thin(x)[2], _singular_vectors_rule("V"), operands=("A",), out_name="V",
        family="linalg", samples=RECTANGLES, note="the right singular vectors, one for every singular value.",
        kinks=[REPEATED_VALUES, *_vanishing_of(TALL.T)], source=GILES,
        of_complex="refused",
        formula="∂V = V (F ∘ (Vᵀ ∂Aᵀ U S + S Uᵀ ∂A V)) + (1 - V Vᵀ) ∂Aᵀ U S⁻¹, F[m,k] = 1 / (s[k]² - s[m]²)",
    )
)  # fmt: skip
_SVD = type(np.linalg.svd(np.eye(1)))


def _svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    if hermitian:
        raise ArgumentError(report("svd: hermitian=True is not traced", fix="leave it out: the result is the same"))
    if not compute_uv:
        return svdvals(a)
    rows, cols = shape_of(a)[-2:]
    U, V = left_vectors(a), right_vectors(a)
    if full_matrices and rows > cols:
        U = np.concatenate([U, svd_complement(a)], axis=-1)
    if full_matrices and rows < cols:
        V = np.concatenate([V, svd_complement(np.matrix_transpose(a))], axis=-1)
    return _SVD(U, svdvals(a), np.matrix_transpose(V))


svd = composite(
    "svd", _svd, answers=(np.linalg.svd,),
    note="The vectors beyond the singular values are determined up to a rotation among themselves: what turns least "
    "is taken.",
    samples=[
        sample((3, 3), domain=_spread), sample((3, 2), full_matrices=False, domain=_spread),
        sample((3, 2), domain=_spread), sample((4, 2), True, False, domain=_spread),
    ],
)  # fmt: skip


def _cond(x: Any, p: Any = None) -> Any:
    if p is None or p in (2, -2):
        values = svdvals(x)
        largest, least = values[..., 0], values[..., -1]
        return least / largest if p == -2 else largest / least
    return np.linalg.norm(x, p, axis=(-2, -1)) * np.linalg.norm(np.linalg.inv(x), p, axis=(-2, -1))


cond = composite(
    "cond", _cond, answers=(np.linalg.cond,),
    samples=[
        sample((3, 3), domain=invertible), sample((2, 2), "fro", domain=invertible), sample((3, 2), -2, domain=_spread),
    ],
)  # fmt: skip
