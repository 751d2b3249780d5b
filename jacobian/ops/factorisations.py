"""QR, least squares, and the eigenvectors of any square matrix. Leading axes are a batch.

Sources: J. Townsend, Differentiating the QR decomposition (2018); S. F. Walter, L. Lehmann, R. Lamour, On evaluating
higher-order derivatives of the QR decomposition (2012); M. B. Giles, An extended collection of matrix derivative
results (2008), section 3.1, for eigenvectors; G. Golub, V. Pereyra (1973) for the pseudo-inverse.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, ShapeError, SingularError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.term import Array, Factor
from jacobian.ops.complements import qr_complement, tall, tall_matrix
from jacobian.ops.families import composite
from jacobian.ops.kinks import warn_kink
from jacobian.ops.linalg import beside_text, inv, pinv, require_square, transposed_text
from jacobian.ops.registry import Kink, Op, Point, describe, register, sample
from jacobian.ops.spectral import GENERAL, REPEATED, inverse_gaps, svdvals
from jacobian.ops.terms import shape_of, summed, written
from jacobian.ops.values import floating, laid_like, look, memory_axes, refuse_complex, refuse_traced

# -- QR ---------------------------------------------------------------------------------------------------------------


def _strict(n: int) -> Factor:
    return Factor(np.tril(np.ones((n, n)), -1), "[@0 > @1]")


def _inverse(R: Array, point: Point) -> Array:
    """The inverse of the factor R, where there is one."""
    try:
        return inv(R)
    except SingularError:
        name = point.names[0]
        headline = f"qr: the columns of {name} depend on one another, where Q and R have no derivative"
        raise SingularError(report(headline, got=describe(name, point.x[0]))) from None


def _orthonormal_rule(point: Point, k: int) -> Jacobian:
    """Differential: dQ = Q (L∘B - (L∘B)ᵀ) + (1 - Q Qᵀ) dA R⁻¹, B = Qᵀ dA R⁻¹; L is 1 below the diagonal."""
    A, Q = point.x[0], point.y
    rows, n = shape_of(A)[-2:]
    shape, q, L = shape_of(A), Factor(Q, point.out_name), _strict(n)
    inverse = Factor(_inverse(triangular(A), point), f"inv(R({point.names[0]}))")
    parts = [
        written("im,mk,pm,lk->ik|pl", q, L, q, inverse, into=shape),
        written("im,km,pk,lm->ik|pl", q, L, q, inverse, into=shape, scale=-1),
    ]
    if rows > n:
        projection = f"{point.out_name} @ {transposed_text(point.out_name, len(shape))}"
        beside = Factor(np.eye(rows) - np.matmul(Q, np.matrix_transpose(Q)), beside_text(projection, len(shape)))
        parts.append(written("ip,lk->ik|pl", beside, inverse, into=shape))
    return summed(*parts)


def _triangular_rule(point: Point, k: int) -> Jacobian:
    """Differential: dR = (B - L∘B + (L∘B)ᵀ) R, which is upper triangular."""
    A, R = point.x[0], point.y
    n = shape_of(A)[-1]
    shape, q, r = shape_of(A), Factor(orthonormal(A), f"Q({point.names[0]})"), Factor(R, point.out_name)
    inverse, U = Factor(_inverse(R, point), f"inv({point.out_name})"), Factor(np.triu(np.ones((n, n))), "[@0 <= @1]")
    strict = Factor(np.triu(np.ones((n, n)), 1), "[@0 < @1]")
    return summed(
        written("mn,pm,ln,nj->mj|pl", U, q, inverse, r, into=shape),
        written("mn,pn,lm,nj->mj|pl", strict, q, inverse, r, into=shape),
    )


def _tall_or_any(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return tall_matrix(generator, shape) if len(shape) > 1 else np.asarray(generator.uniform(-1.0, 1.0, shape))


TALL = [sample(shape, domain=tall_matrix) for shape in ((3, 3), (4, 2), (2, 3, 2), (1, 1))]
orthonormal = register(
    Op(
        "orthonormal", lambda A: np.linalg.qr(A).Q, _orthonormal_rule, normalise=tall("qr"), operands=("A",),
        out_name="Q", family="linalg", formula="∂Q = Q (L∘B - (L∘B)ᵀ) + (1 - Q Qᵀ) ∂A inv(R), B = Qᵀ ∂A inv(R)",
        samples=TALL,
        note="the factor Q of A = Q R, for a matrix of independent columns.",
    )
)  # fmt: skip
triangular = register(
    Op(
        "triangular", lambda A: np.linalg.qr(A, mode="r"), _triangular_rule, normalise=tall("qr"), operands=("A",),
        out_name="R", family="linalg", formula="∂R = (B - L∘B + (L∘B)ᵀ) R, B = Qᵀ ∂A inv(R)", samples=TALL,
        note="the factor R of A = Q R, for a matrix of independent columns.",
    )
)  # fmt: skip


def _qr(a: Any, mode: str = "reduced") -> Any:
    """Of a wide matrix, the first square part decides Q; the rest of R is Qᵀ times the rest of A."""
    a = floating(a)
    refuse_complex("qr", A=a)
    if mode not in ("reduced", "complete", "r"):
        raise ArgumentError(
            report(f"qr: mode {mode!r} is not traced", fix="'reduced', 'complete' or 'r': reflectors are not unique")
        )
    rows, cols = shape_of(a)[-2:]
    square = a if rows >= cols else a[..., :rows]
    R = triangular(square)
    if rows < cols:
        R = np.concatenate([R, np.matmul(np.matrix_transpose(orthonormal(square)), a[..., rows:])], axis=-1)
        R = R if memory_axes(a) is None else np.triu(laid_like(R, a))  # in memory as NumPy's result
    if mode == "r":
        return R
    Q = orthonormal(square)
    if mode == "complete" and rows > cols:
        Q = np.concatenate([Q, qr_complement(a)], axis=-1)
        R = np.concatenate([R, np.zeros((*shape_of(a)[:-2], rows - cols, cols), R.dtype)], axis=-2)
    return _QR(Q, R)


_QR = type(np.linalg.qr(np.eye(1)))
qr = composite(
    "qr", _qr, answers=(np.linalg.qr,),
    note="for a matrix of independent columns, or rows. With mode='complete' the vectors beyond the columns are "
    "determined up to a rotation among themselves: what turns least is taken.",
    samples=[
        *(sample(shape, domain=tall_matrix) for shape in ((3, 3), (4, 2), (2, 3), (2, 2, 3))),
        sample((3, 2), "complete", domain=tall_matrix), sample((2, 3), mode="complete", domain=tall_matrix),
        sample((4, 2), mode="r", domain=tall_matrix), sample((2, 3), mode="r", domain=tall_matrix),
    ],
)  # fmt: skip

# -- eigenvectors -----------------------------------------------------------------------------------------------------


def _right_inverse(V: Array, name: str) -> tuple[Factor, Factor]:
    return Factor(V, name), Factor(inv(V), f"inv({name})")


def _real_matrix(a: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    a = floating(a)
    refuse_complex("eig", A=a)
    return (a,), {}


def _eigenvalues_rule(point: Point, k: int) -> Jacobian:
    """dw[k] = (V⁻¹ dA V)[k,k]."""
    A = point.x[0]
    inverse_gaps("eig", point.y)
    v, w = _right_inverse(eigenvectors(A), f"V({point.names[0]})")
    return written("ki,jk->k|ij", w, v, into=shape_of(A))


def _conjugate(z: Array) -> Array:
    """Without `np.conjugate`, which has no complex derivative."""
    return 2 * np.real(z) - z if z.dtype.kind == "c" else z


def _eigenvectors_rule(point: Point, k: int) -> Jacobian:
    """Differential: dv = u + c v, u = V (F ∘ V⁻¹ dA V), F[m,k] = 1 / (w[k] - w[m]), c such that |v| = 1 stays.

    LAPACK also keeps the largest entry r of a complex vector real, so that
    c = -Re(vᴴ u) - i Im(u[r]) / v[r] = -(vᴴ u + u[r] / v[r]) / 2 + the conjugate of (u[r] / v[r] - vᴴ u) / 2.
    """
    A, V, name = point.x[0], point.y, point.names[0]
    shape = shape_of(A)
    v, w = _right_inverse(V, point.out_name)
    F = inverse_gaps("eig", eigenvalues(A))
    H = np.matmul(np.matrix_transpose(V), _conjugate(V)) * F  # v_kᴴ v_m at [m, k]
    u = written("im,mk,mp,qk->ik|pq", v, Factor(F, f"F({name})"), w, v, into=shape)
    text = "ik,mk,mp,qk->ik|pq"
    if V.dtype.kind != "c":
        return summed(u, written(text, v, Factor(H, f"H({name})"), w, v, into=shape, scale=-1))
    E = _over_largest(V) * F
    straight = written(text, v, Factor(H + E, f"(H({name}) + E({name}))"), w, v, into=shape, scale=-0.5)
    mirrored = (Factor(_conjugate(part)) for part in (E - H, w.array, V))
    return summed(u, straight, written(text, v, *mirrored, into=shape, scale=0.5))


def _over_largest(V: Array) -> Array:
    """`V[r,m] / V[r,k]` at [m, k], r being the place of the largest entry of column k."""
    size = np.abs(look(V))
    r = np.argmax(size, axis=-2)
    largest = np.take_along_axis(size, r[..., None, :], -2)
    tied = np.sum(size > largest * (1 - 1e-12), axis=-2) > 1
    warn_kink("eig", tied & np.any(look(V).imag != 0, axis=-2), "the first of the largest entries kept real")
    rows = np.take_along_axis(V, np.broadcast_to(r[..., :, None], size.shape), -2)  # row k is row r of V
    own = np.take_along_axis(V, r[..., None, :], -2)
    return np.matrix_transpose(rows) / own


def _pair(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A complex pair of eigenvalues, and no entry near the points at which LAPACK turns a vector round."""
    turn = np.array([[0.3, -2.0, 0.4], [1.5, 0.5, 0.6], [0.7, -0.5, 1.2]])
    return np.asarray(generator.uniform(-0.1, 0.1, shape) + turn)


VECTORS = [GENERAL[0], sample((3, 3), domain=_pair), GENERAL[2]]
EIGEN = "of a real matrix."
CIRCLE = np.array([[0.0, -1.0], [1.0, 0.0]])
"""Both entries of its eigenvectors are of the same size."""
eigenvalues = register(
    Op(
        "eigenvalues", lambda A: np.linalg.eig(A).eigenvalues, _eigenvalues_rule, normalise=_real_matrix,
        operands=("A",), out_name="w", family="linalg", formula="∂w[k]/∂A[i,j] = inv(V)[k,i] V[j,k]",
        note="in the order of `np.linalg.eig`, " + EIGEN, explain_failure=require_square, samples=GENERAL,
        dtype_by_value=True, kinks=[REPEATED],
    )
)  # fmt: skip
eigenvectors = register(
    Op(
        "eigenvectors", lambda A: np.linalg.eig(A).eigenvectors, _eigenvectors_rule, normalise=_real_matrix,
        operands=("A",), out_name="V", family="linalg",
        formula="∂v = u - (vᵀ u) v, u[k] = Σ_m V[m] F[m,k] (inv(V) ∂A V)[m,k], F[m,k] = 1 / (w[k] - w[m])",
        note="of length 1, and where they are complex with a real largest entry, as in `np.linalg.eig`, " + EIGEN,
        explain_failure=require_square, samples=VECTORS, dtype_by_value=True,
        kinks=[
            REPEATED,
            Kink(
                "several entries of a complex vector are the largest", "the first of them, as the one kept real,",
                sample(CIRCLE),
            ),
        ],
    )
)  # fmt: skip
_EIG = type(np.linalg.eig(np.eye(1)))
eig = composite(
    "eig", lambda a: _EIG(eigenvalues(a), eigenvectors(a)), answers=(np.linalg.eig,), samples=VECTORS, note=EIGEN
)

# -- least squares ----------------------------------------------------------------------------------------------------


def _lstsq(a: Any, b: Any, rcond: Any = None) -> tuple[Any, Any, Any, Any]:
    """The pseudo-inverse times b; the rank is constant."""
    refuse_traced("lstsq", rcond=rcond)
    a, b = floating(a), floating(b)
    if np.ndim(a) != 2 or np.ndim(b) not in (1, 2) or np.shape(a)[0] != np.shape(b)[0]:
        got = f"{describe('a', a)}, {describe('b', b)}"
        raise ShapeError(report("lstsq: a must be a matrix and b as long as its columns", got=got))
    rows, cols = np.shape(a)
    limit = float(np.finfo(a.dtype).eps * max(rows, cols) if rcond is None else rcond)
    values = svdvals(a)
    seen = look(values)
    rank = int(np.sum(seen > max(limit, 0.0) * seen[:1])) if seen.size else 0
    x = np.matmul(pinv(a, max(limit, 0.0)), b)
    if rank < cols or rows <= cols:
        residuals: Any = np.zeros(0, look(x).dtype)
    else:
        rest = b - np.matmul(a, x)
        residuals = np.sum(np.square(np.real(rest)), axis=0)
        if rest.dtype.kind == "c":
            residuals = residuals + np.sum(np.square(np.imag(rest)), axis=0)
        residuals = residuals if np.ndim(b) == 2 else np.reshape(residuals, (1,))
    return x, residuals, rank, values


lstsq = composite(
    "lstsq", _lstsq, answers=(np.linalg.lstsq,),
    note="the pseudo-inverse times b. Where the rank is not full: the derivative among matrices of the same rank.",
    samples=[
        sample(*shapes, domain=_tall_or_any)
        for shapes in (((4, 2), (4,)), ((3, 3), (3, 2)), ((2, 3), (2,)), ((4, 2), (4, 3)))
    ],
)  # fmt: skip
