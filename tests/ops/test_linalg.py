"""Linear algebra: against textbook formulas, at singular and repeated points, and what it refuses."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import jacobian as jac
from jacobian.errors import ArgumentError, KinkWarning, ShapeError, SingularError
from tests.differences import central

RNG = np.random.default_rng(7)
X = RNG.normal(size=(3, 3)) + 2 * np.eye(3)
S = X @ X.T + np.diag([0.0, 1.0, 3.0])
TURN = np.array([[1.0, -2.0, 0.3], [2.0, 0.5, 0.1], [0.2, 0.4, 1.0]])
"""Two of its eigenvalues are complex."""


def text_of(error: type[Exception], f: Any, *args: Any, **kwargs: Any) -> str:
    """The message without the line of this file."""
    with pytest.raises(error) as caught:
        f(*args, **kwargs)
    return re.sub(r"\n  line: .*", "", str(caught.value))


def dense(f: Any, *args: Any, argnums: int = 0) -> np.ndarray:
    return np.asarray(jac.jacobian(f, argnums=argnums)(*args))


# -- published formulas -----------------------------------------------------------------------------------------------


def test_inverse_is_minus_a_kronecker_product() -> None:
    Y = np.linalg.inv(X)
    J = jac.ops.inv.jacobian(X)
    assert_allclose(J.matrix(), -np.kron(Y, Y.T))
    assert_allclose(J.matrix(order="F"), -np.kron(Y.T, Y))
    assert J.structure == "Kronecker"
    assert J.formula == "∂Y[i,l]/∂A[j,k] = -Y[i,j] * Y[k,l]"
    assert J.nbytes == Y.nbytes


def test_a_batch_of_inverses_shares_its_index() -> None:
    J = jac.ops.inv.jacobian(np.stack([X, X + 1, X.T]))
    assert J.structure == "block-diagonal over axis 0"
    assert J.formula == "∂Y[b,i,l]/∂A[b,j,k] = -Y[b,i,j] * Y[b,k,l]"


def test_solve_shares_the_columns_of_b() -> None:
    by_A, by_b = jac.ops.solve.jacobian(X, np.ones((3, 2)), argnums=(0, 1))
    assert by_b.structure == "block-diagonal over axis 1"
    assert by_b.formula == "∂Y[j,k]/∂b[i,k] = inv(A)[j,i]"
    assert by_A.structure == "Kronecker"
    assert by_A.formula == "∂Y[j,k]/∂A[i,l] = -inv(A)[j,i] * Y[l,k]"


def test_determinant_and_its_logarithm() -> None:
    inverse = np.linalg.inv(X)
    assert_allclose(dense(np.linalg.det, X), np.linalg.det(X) * inverse.T)
    sign, log = jac.jacobian(np.linalg.slogdet)(X)
    assert_allclose(np.asarray(log), inverse.T)
    assert sign.structure == "zero"


def test_slogdet_unpacks_and_has_names() -> None:
    assert_allclose(dense(lambda a: np.linalg.slogdet(a).logabsdet, X), np.linalg.inv(X).T)
    assert_allclose(dense(lambda a: np.linalg.slogdet(a)[0] * np.linalg.slogdet(a)[1], X), np.linalg.inv(X).T)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_the_determinant_of_singular_matrices(rank: int) -> None:
    singular = X[:, :rank] @ X[:rank, :]
    cofactors = np.array(
        [
            [(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(singular, i, 0), j, 1)) for j in range(3)]
            for i in range(3)
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_allclose(dense(np.linalg.det, singular), cofactors, atol=1e-12)
        second = np.asarray(jac.hessian(np.linalg.det)(singular))
    assert_allclose(second, central(lambda a: dense(np.linalg.det, a), singular), atol=1e-8)


@pytest.mark.parametrize("least", [1.0, 1e-3, 1e-7, 1e-12, 0.0])
@pytest.mark.parametrize("scale", [1.0, 1e-110, 1e100])
def test_cofactors_near_singular_matrices_and_out_of_range(least: float, scale: float) -> None:
    """U diag(s) Vᵀ has the cofactors det(U) det(V) U diag(products of the other s) Vᵀ."""
    U, V = (np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0] for seed in (1, 2))
    s = np.array([1.0, 0.5, least])
    others = np.array([0.5 * least, least, 0.5]) * scale**2
    expected = np.linalg.det(U) * np.linalg.det(V) * (U * others) @ V.T
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = dense(np.linalg.det, (U * s) @ V.T * scale)
    assert_allclose(found, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


def test_the_third_derivative_of_a_determinant() -> None:
    third = np.asarray(jac.jacobian(jac.hessian(np.linalg.det))(X))
    assert_allclose(third, central(lambda a: np.asarray(jac.hessian(np.linalg.det)(a)), X), atol=1e-8)


def test_powers() -> None:
    square = jac.ops.matrix_power.jacobian(X, 2)
    assert_allclose(square.matrix(), np.kron(X, np.eye(3)) + np.kron(np.eye(3), X.T))
    assert square.nnz < square.size
    cube = jac.ops.matrix_power.jacobian(X, 4)
    assert cube.formula == (
        "∂Y[i,j]/∂A[k,l] = δ[k,i] * matrix_power(A, 3)[l,j] + δ[l,j] * matrix_power(A, 3)[i,k]"
        " + Σ_m matrix_power(A, m + 1)[i,k] * matrix_power(A, 2 - m)[l,j] * [m < 2]"
    )
    assert jac.ops.matrix_power.jacobian(X, 0).structure == "zero"
    assert jac.ops.matrix_power.jacobian(X, 1).structure == "identity"
    assert_allclose(dense(lambda a: np.linalg.matrix_power(a, -1), X), np.asarray(jac.ops.inv.jacobian(X)))


def test_only_one_triangle_is_read() -> None:
    above, below = np.triu(np.ones((3, 3), bool), 1), np.tril(np.ones((3, 3), bool), -1)
    for f in (np.linalg.cholesky, np.linalg.eigvalsh, lambda a: np.linalg.eigh(a).eigenvectors):
        J = dense(f, S)
        assert_allclose(J, central(f, S), rtol=1e-6, atol=1e-9)
        assert not J[..., above].any()
    for f in (lambda a: np.linalg.cholesky(a, upper=True), lambda a: np.linalg.eigvalsh(a, UPLO="U")):
        J = dense(f, S)
        assert_allclose(J, central(f, S), rtol=1e-6, atol=1e-9)
        assert not J[..., below].any()


def test_eigenvalues_of_a_symmetrised_matrix() -> None:
    J = dense(lambda a: np.linalg.eigvalsh((a + a.T) / 2), S)
    vectors = np.linalg.eigh(S)[1]
    assert_allclose(J, np.einsum("ik,jk->kij", vectors, vectors))


def test_decompositions_return_what_numpy_returns() -> None:
    seen: list[Any] = []

    def f(a: Any) -> Any:
        eigen, singular = np.linalg.eigh(a), np.linalg.svd(a)
        seen.extend([eigen, singular])
        return eigen.eigenvalues.sum() + singular.S.sum()

    J = dense(f, S)
    assert type(seen[0]) is type(np.linalg.eigh(S))
    assert type(seen[1]) is type(np.linalg.svd(S))
    assert_allclose(J, np.diag([1.0, 1, 1]) + np.linalg.svd(S)[0] @ np.linalg.svd(S)[2], atol=1e-12)


@pytest.mark.parametrize("order", ["forward", "reverse", "auto"])
def test_the_product_of_complex_eigenvalues_is_the_determinant(order: str) -> None:
    J = jac.jacobian(lambda a: np.prod(np.linalg.eigvals(a)).real, order=order)(TURN)
    assert J.dtype == np.float64
    assert_allclose(np.asarray(J), np.linalg.det(TURN) * np.linalg.inv(TURN).T)


@pytest.mark.parametrize("order", ["forward", "reverse"])
def test_complex_numbers_on_the_way(order: str) -> None:
    def there_and_back(a: Any) -> Any:
        w = np.linalg.eigvals(a)
        return (np.exp(1j * w.real) * w).imag

    def complex_at_the_end(a: Any) -> Any:
        w = np.linalg.eigvals(a)
        return np.exp(1j * w.real * w.imag) * w

    for f in (there_and_back, complex_at_the_end):
        J = jac.jacobian(f, order=order)(TURN)
        assert_allclose(np.asarray(J), central(f, TURN), atol=1e-9)
    steps = jac.backprop(there_and_back, TURN)
    assert_allclose(np.asarray(steps.jacobians["a"]), central(there_and_back, TURN), atol=1e-9)
    assert text_of(ArgumentError, jac.backprop, complex_at_the_end, TURN) == (
        "backprop: the output is complex and a real part lies on the way, which cannot be seen from behind\n"
        "  fix:   return the real and the imaginary part, or take jac.jacobian(f)"
    )


@pytest.mark.parametrize("order", ["forward", "reverse"])
def test_the_absolute_value_of_complex_eigenvalues(order: str) -> None:
    def f(a: Any) -> Any:
        return np.abs(np.linalg.eigvals(a))

    J = jac.jacobian(f, order=order)(TURN)
    assert J.dtype == np.float64
    assert_allclose(np.asarray(J), central(f, TURN), atol=1e-9)


def test_what_has_no_complex_derivative_is_refused() -> None:
    message = text_of(ArgumentError, jac.jacobian(lambda a: np.sign(np.linalg.eigvals(a))), TURN)
    assert message == (
        "sign: there is no derivative with respect to the complex v1\n"
        "  got:   v1 complex128[3]\n"
        "  fix:   write it with the real and the imaginary part, z.real and z.imag"
    )


def test_the_rank_is_a_constant() -> None:
    assert_allclose(dense(lambda a: a / np.linalg.matrix_rank(a), X), dense(lambda a: a / 3, X))


def test_composites_have_jacobians_too() -> None:
    assert jac.ops.norm.jacobian(X[0]).formula == "∂y/∂x[i] = x[i] / y"
    values, vectors = jac.ops.eigh.jacobian(S)
    assert values.shape == (3, 3, 3)
    assert vectors.shape == (3, 3, 3, 3)
    assert jac.ops.slogdet([[2.0, 0.0], [0.0, 3.0]]).sign == 1.0


# -- products and the trace -------------------------------------------------------------------------------------------


def test_the_trace_is_a_delta() -> None:
    J = jac.ops.trace.jacobian(X)
    assert J.formula == "∂y/∂A[i,i] = 1"
    assert J.nnz == 3
    assert J.nbytes == 0


def test_kronecker_products_stay_symbolic() -> None:
    J = jac.jacobian(np.kron)(X, np.ones((2, 2)))
    assert_allclose(np.asarray(J), central(lambda a: np.kron(a, np.ones((2, 2))), X), atol=1e-9)
    assert J.nnz == 36


def test_functions_of_numpy_linalg_that_other_ops_answer_for() -> None:
    a, b = RNG.normal(size=3), RNG.normal(size=3)
    assert_allclose(dense(np.linalg.outer, a, b), dense(np.outer, a, b))
    assert_allclose(dense(np.linalg.cross, a, b), dense(np.cross, a, b))
    assert_allclose(dense(np.linalg.vecdot, a, b), b)
    assert_allclose(dense(np.linalg.matmul, X, X), dense(np.matmul, X, X))
    assert_allclose(dense(np.linalg.tensordot, X, X), X)
    assert_allclose(dense(np.linalg.trace, X), np.eye(3))


def test_the_cross_product_by_its_matrix() -> None:
    a, b = RNG.normal(size=3), RNG.normal(size=3)
    turned = np.array([[0, b[2], -b[1]], [-b[2], 0, b[0]], [b[1], -b[0], 0]])
    assert_allclose(dense(np.cross, a, b), turned)
    assert jac.ops.cross.jacobian(a, b).formula == "∂y[i]/∂a[j] = Σ_k ε[i,j,k] * b[k]"
    assert jac.ops.cross.jacobian(np.ones((4, 3)), b).structure == "block-diagonal over axis 0"


# -- points without a derivative --------------------------------------------------------------------------------------


def test_norm_at_zero_and_at_corners() -> None:
    with pytest.warns(KinkWarning, match="norm is not differentiable here; 0 is taken"):
        assert not dense(np.linalg.norm, np.zeros(3)).any()
    with pytest.warns(KinkWarning, match=re.escape("norm of order 1 is not differentiable at entry [1]; 0 is taken")):
        assert dense(lambda x: np.linalg.norm(x, 1), np.array([1.0, 0.0, -2.0])).tolist() == [1.0, 0.0, -1.0]
    with pytest.warns(KinkWarning, match="the first of the equal entries is taken"):
        assert dense(lambda x: np.linalg.norm(x, np.inf), np.array([1.0, -2.0, 2.0])).tolist() == [0.0, -1.0, 0.0]
    with pytest.warns(KinkWarning, match=re.escape("at entry [1]; 0 is taken")):
        found = dense(lambda x: np.linalg.norm(x, axis=1), np.array([[3.0, 4.0], [0.0, 0.0]]))
    assert_allclose(found[0, 0], [0.6, 0.8])
    assert not found[1].any()


def test_repeated_eigenvalues_warn() -> None:
    taken = "what the formula gives for the vectors at hand is taken"
    with pytest.warns(KinkWarning, match=re.escape(f"eigvalsh is not differentiable at entries [0], [1]; {taken}")):
        jac.jacobian(np.linalg.eigvalsh)(np.diag([1.0, 1.0, 2.0])).tensor()
    with pytest.warns(KinkWarning, match="eigh is not differentiable"):
        J = dense(lambda a: np.linalg.eigh(a)[1], np.eye(2))
    assert np.isfinite(J).all()
    with pytest.warns(KinkWarning, match="eigvals is not differentiable"):
        jac.jacobian(np.linalg.eigvals)(np.eye(2)).tensor()
    with pytest.warns(KinkWarning, match="svdvals is not differentiable"):
        jac.jacobian(np.linalg.svdvals)(np.eye(2)).tensor()
    with pytest.warns(KinkWarning, match="the nuclear norm is not differentiable here; U Vᵀ for the singular vectors"):
        jac.jacobian(lambda a: np.linalg.norm(a, "nuc"))(np.outer([1.0, 2.0], [3.0, 1.0])).tensor()


def test_pinv_where_the_rank_is_not_full() -> None:
    with pytest.warns(KinkWarning, match="pinv is not differentiable here; the derivative among matrices of the same"):
        J = jac.jacobian(np.linalg.pinv)(np.outer([1.0, 2.0, 0.0], [1.0, 1.0]))
    step = np.outer([1.0, 2.0, 0.0], [0.0, 1.0])  # keeps the rank
    A, h = np.outer([1.0, 2.0, 0.0], [1.0, 1.0]), 1e-6
    expected = (np.linalg.pinv(A + h * step) - np.linalg.pinv(A - h * step)) / (2 * h)
    assert_allclose(J @ step, expected, atol=1e-8)


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_singular_matrices() -> None:
    fix = "  fix:   np.linalg.pinv and np.linalg.det are defined for singular matrices as well"
    assert text_of(SingularError, jac.ops.inv, np.ones((2, 2))) == (
        f"inv: A is singular: 2 × 2, of rank 1\n  got:   A float64[2,2]\n{fix}"
    )
    assert text_of(SingularError, jac.ops.solve, np.stack([np.eye(2), np.zeros((2, 2))]), np.ones((2, 1))) == (
        f"solve: A[1] is singular: 2 × 2, of rank 0\n  got:   A float64[2,2,2]\n{fix}"
    )
    assert text_of(SingularError, jac.ops.matrix_power, np.ones((2, 2)), -2) == (
        f"matrix_power: A is singular: 2 × 2, of rank 1\n  got:   A float64[2,2]\n{fix}"
    )
    assert text_of(SingularError, jac.ops.cholesky, -np.eye(2)) == (
        "cholesky: A is not positive definite: its least eigenvalue is -1\n"
        "  got:   A float64[2,2]\n"
        "  fix:   A @ A.T + c * np.eye(n) is positive definite for every c > 0"
    )


def test_shapes_that_do_not_fit() -> None:
    assert text_of(ShapeError, jac.ops.inv, np.ones((2, 3))) == (
        "inv: A must be square, but it is 2 × 3\n  got:   A float64[2,3]"
    )
    assert text_of(ShapeError, jac.ops.det, np.ones(3)) == (
        "det: X must be a matrix or a stack of matrices\n  got:   X float64[3]"
    )
    assert text_of(ShapeError, jac.ops.solve, np.eye(3), np.ones((2, 4))) == (
        "solve: label i is 3 in A but 2 in b\n"
        "  spec:  A[i,j], b[i,k] -> Y[j,k]\n"
        "  got:   A float64[3,3], b float64[2,4]\n"
        "  bound: i=3, j=3 (from A)\n"
        "  fix:   b's first axis must be 3"
    )


def test_arguments_without_a_meaning() -> None:
    norm = jac.jacobian(lambda x: np.linalg.norm(x, 3))
    assert text_of(ArgumentError, norm, X) == (
        "norm: a matrix has no norm of order 3\n  fix:   'fro', 'nuc', 1, -1, 2, -2, np.inf, -np.inf"
    )
    assert text_of(ShapeError, norm, np.ones((2, 2, 2))) == (
        "norm: order 3 needs one axis or two, not 3\n"
        "  got:   an array of 3 axes\n"
        "  fix:   give axis=, or leave ord out for the root of the sum of squares"
    )
    assert text_of(ShapeError, jac.ops.norm, X, 2, (0, 0)) == "norm: the two axes are the same: (0, 0)"
    assert text_of(ArgumentError, jac.ops.eigvalsh, X, UPLO="M") == "UPLO must be 'L' or 'U', not 'M'"
    for function in (np.linalg.pinv, np.linalg.svd):
        with pytest.raises(ArgumentError, match="hermitian=True is not traced"):
            jac.jacobian(lambda a, f=function: f(a, hermitian=True))(S)


# -- properties -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [
        np.linalg.inv, np.linalg.det, np.linalg.pinv, np.linalg.eigvalsh, np.linalg.cholesky, np.linalg.norm, np.trace,
        lambda a: np.linalg.norm(a, 2), lambda a: np.linalg.norm(a, "nuc"), lambda a: np.linalg.matrix_power(a, 3),
        lambda a: np.linalg.slogdet(a)[1], lambda a: np.linalg.solve(a, a[0]), lambda a: np.cross(a, a[::-1]),
    ],
)  # fmt: skip
def test_float32_stays_float32(f: Any) -> None:
    J = jac.jacobian(f)(S.astype(np.float32))
    assert J.dtype == np.float32
    assert np.asarray(J).dtype == np.float32
    assert_allclose(np.asarray(J), dense(f, S), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("function", [np.linalg.inv, np.linalg.det, np.linalg.eigvalsh, np.linalg.cholesky])
def test_empty_matrices(function: Any) -> None:
    for shape in ((0, 3, 3), (0, 0)):
        y, J = jac.value_and_jacobian(function)(np.zeros(shape))
        assert J.shape == np.shape(y) + shape
        assert np.asarray(J).shape == J.shape
