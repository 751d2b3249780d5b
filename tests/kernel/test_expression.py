"""`Jacobian` as a user holds it: snapshots, read-only results, NumPy's protocols, what errors say."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import jacobian as jac
from jacobian.errors import ArgumentError, IndexingError, MemoryLimitError, ShapeError
from jacobian.kernel import memory
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.memory import human, memory_limit
from jacobian.kernel.notation import number_text
from jacobian.kernel.origin import Origin

from .strategies import Duck, cumulative, selecting

einsum = Jacobian.einsum
A = np.arange(6.0).reshape(2, 3)


@pytest.fixture
def J() -> Jacobian:
    return einsum("ij->i|j", A)


# -- what one can ask without building it --------


def test_shapes_and_sizes(J: Jacobian) -> None:
    big = einsum("ij->bi|bj", A.astype(np.float32), b=1000)
    assert (J.shape, J.out_shape, J.in_shape, J.ndim, J.size) == ((2, 3), (2,), (3,), 2, 6)
    assert (big.shape, big.ndim, big.size) == ((1000, 2, 1000, 3), 4, 6 * 10**6)
    assert (big.nbytes, big.dense_nbytes, big.nnz) == (24, 24 * 10**6, 6000)
    assert (big + big).nbytes == 24
    assert repr(J).splitlines()[0] == "Jacobian (2,) × (3,) float64, dense: ∂y[i]/∂x[j] = A[i,j]"


def test_names_in_formulas(J: Jacobian) -> None:
    assert J.named("z", "W").formula == "∂z[i]/∂W[j] = A[i,j]"
    assert einsum("ij->i|j", A, names=("z", "W")).formula == "∂z[i]/∂W[j] = A[i,j]"
    chain = einsum("i->|i", np.ones(2), names=("L", "y")) @ J
    assert chain.names == ("L", "x")


def test_formulas(J: Jacobian) -> None:
    assert (2 * J).formula == "∂y[i]/∂x[j] = 2 * A[i,j]"
    assert (-J).formula == "∂y[i]/∂x[j] = -A[i,j]"
    assert (J / 3).formula == "∂y[i]/∂x[j] = 1/3 * A[i,j]"
    assert (1e-320 * J).formula == "∂y[i]/∂x[j] = 9.99989e-321 * A[i,j]"
    assert (np.inf * J).formula == "∂y[i]/∂x[j] = inf * A[i,j]"
    assert (J + einsum("ij->i|j", A)).formula == "∂y[i]/∂x[j] = A[i,j] + A[i,j]"
    assert (J + J).formula == "∂y[i]/∂x[j] = 2 * A[i,j]"
    assert Jacobian.zero((2,), (3,)).formula == "∂y[i]/∂x[j] = 0"
    assert cumulative(3).formula == "∂y[i]/∂x[j] = [0 <= i - j < 3]"
    assert (selecting((5,), slice(1, None)) - selecting((5,), slice(None, -1))).formula == (
        "∂y[i]/∂x[j] = δ[j,i + 1] - δ[j,i]"
    )
    assert J.latex == r"\frac{\partial y_{i}}{\partial x_{j}} = A_{i,j}"


def test_explain_names_terms_path_and_cost() -> None:
    B = np.arange(12.0).reshape(3, 4)
    text = (einsum("ij->i|j", A) @ einsum("jk->j|k", B)).explain()
    assert "Jacobian (2,) × (4,) float64: 1 term, dense" in text
    assert "∂y[i]/∂x[j] = Σ_k A2[i,k] * A[k,j]" in text
    assert "factor 1: array (2, 3) read at [i,k]: A" in text
    assert "path: " in text
    assert "no array: the indices say it all" in Jacobian.identity((2,)).explain()
    assert "guard [0 <= i - j < 3]: ones and zeros, no array" in cumulative(3).explain()


# -- arrays that come out --------


def test_results_are_read_only(J: Jacobian) -> None:
    square = einsum("ij->i|j", np.ones((2, 2)))
    results = [np.asarray(J), J.tensor(), J.matrix(), J.matrix("F"), J[0], J[...], J @ np.ones(3), np.ones(2) @ J,
               square.diagonal(), J.blocks()[0, 0]]  # fmt: skip
    for result in results:
        assert not result.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            result[...] = 1


def test_copies_are_the_users_own(J: Jacobian) -> None:
    own = np.array(J, copy=True)
    own[:] = 0
    assert_array_equal(np.asarray(J), A)
    assert np.asarray(J, np.float32).dtype == np.float32
    assert np.array(J) is not np.array(J)


def test_a_product_with_an_array_is_a_snapshot() -> None:
    x = np.ones(3)
    for result in (Jacobian.identity((3,)) @ x, x @ Jacobian.identity((3,)), selecting((3,), slice(1, 3)) @ x):
        before = result.copy()
        assert not np.shares_memory(result, x)
        assert_array_equal(result, before)
    assert x.flags.writeable


def test_numpy_functions_see_the_tensor(J: Jacobian) -> None:
    assert_array_equal(np.transpose(J), A.T)
    assert_array_equal(np.concatenate([J, J]), np.concatenate([A, A]))
    assert_array_equal(np.einsum("ij,j->i", J, np.ones(3)), A.sum(1))
    assert_array_equal(np.exp(J), np.exp(A))
    assert_array_equal(np.subtract(J, A), 0 * A)
    assert_array_equal(np.subtract(A, 2 * J), -A)
    assert np.allclose(J, A)


def test_ufuncs_that_keep_the_terms(J: Jacobian) -> None:
    for product in (np.float64(2) * J, np.multiply(2, J), np.multiply(J, 2), J * np.array(2)):
        assert isinstance(product, Jacobian)
        assert_array_equal(np.asarray(product), 2 * A)
    assert_array_equal(np.ones(2) @ J, A.sum(0))
    assert_array_equal(np.matmul(np.ones(2), J), A.sum(0))
    assert_array_equal(np.matmul(J, np.ones(3)), A.sum(1))
    wide = einsum("ij->bi|bj", A, b=4)
    assert_array_equal(np.matmul(wide, np.ones((4, 3))), np.tile(A.sum(1), (4, 1)))
    assert isinstance(np.matmul(J, J.T), Jacobian)


def test_a_jacobian_of_shape_nothing() -> None:
    J = einsum("->|", 3.0)
    assert J.shape == ()
    assert np.asarray(J).shape == np.asarray(J + J).shape == J.matrix()[0, 0].shape == ()
    assert J.matrix().shape == J.blocks().shape == (1, 1)
    assert J[()] == 3
    assert J @ 2.0 == 6
    assert 2.0 @ J == 6
    assert np.float64(2) @ J == 6
    assert_array_equal(J @ np.ones(4), np.full(4, 3.0))
    assert_array_equal(np.ones((2, 2)) @ J, np.full((2, 2), 3.0))
    assert np.asarray(J @ J) == 9
    assert np.asarray(J.T) == J.diagonal() == 3
    assert np.asarray(J * J) == 9


def test_an_empty_jacobian() -> None:
    J = einsum("ij->i|j", np.ones((0, 3), np.float32))
    assert np.asarray(J).shape == (0, 3)
    assert J.nnz == 0
    assert (J @ np.ones(3)).shape == (0,)
    assert_array_equal(np.ones(0) @ J, np.zeros(3))
    assert_array_equal(np.asarray(J.T @ J), np.zeros((3, 3)))
    assert J.matrix().shape == (0, 3)
    assert J.blocks().shape == (1, 1)
    assert J[:, 1].shape == (0,)
    assert J.to_scipy().shape == (0, 3)
    assert np.asarray(J).dtype == J.to_scipy().dtype == np.float32
    assert einsum("->i|i", i=0).diagonal().shape == (0,)


def test_types_of_products() -> None:
    single = einsum("ij->i|j", A.astype(np.float32))
    assert (single @ np.ones(3, np.float32)).dtype == np.float32
    assert (single @ np.ones(3)).dtype == np.float64
    assert (single @ [1, 2, 3]).dtype == np.float64
    assert (single @ einsum("ij->j|i", A)).dtype == np.float64
    assert (single + einsum("ij->i|j", A)).dtype == np.float64
    assert (2.5 * single).dtype == np.asarray(2.5 * single).dtype == np.float32
    assert (1j * single).dtype == np.asarray(1j * single).dtype == np.complex64
    assert_array_equal(np.asarray(1j * single), 1j * A)
    assert (np.float64(2) * single).dtype == np.float32


def test_sums_merge_terms_over_the_same_arrays(J: Jacobian) -> None:
    assert len((J + J + 2 * J).terms) == 1
    assert (J - J).terms == ()
    assert len((J + einsum("ij->i|j", A)).terms) == 2


def test_blocks_are_a_matrix_of_matrices() -> None:
    J = einsum("->ij|ji", i=2, j=3)  # the transposition of a 3 by 2 matrix
    blocks = J.blocks()
    assert blocks.shape == (2, 3)
    assert blocks.dtype == object
    assert_array_equal(blocks[1, 0], [[0, 1], [0, 0], [0, 0]])


def test_the_column_major_matrix() -> None:
    X = np.arange(6.0).reshape(2, 3)
    J = einsum("->ji|ij", i=2, j=3)
    assert_array_equal(J.matrix(order="F") @ X.ravel(order="F"), X.T.ravel(order="F"))
    assert_array_equal(J.matrix() @ X.ravel(), X.T.ravel())


def test_indexing_takes_numpys_integers_and_none(J: Jacobian) -> None:
    assert J[np.int64(1), -1] == 5
    assert J[None, 1].shape == (1, 3)
    assert_array_equal(J[..., 0], A[:, 0])
    assert_array_equal(J[::-1, ::2], A[::-1, ::2])


def test_scipy_stores_only_what_is_reached() -> None:
    sparse = cumulative(4).to_scipy()
    assert sparse.nnz == 10
    assert_array_equal(sparse.toarray(), np.tril(np.ones((4, 4))))
    assert einsum("->i|i", i=1000).to_scipy("csc").nnz == 1000


# -- the bill --------


def test_the_bill_is_shown_before_anything_is_built() -> None:
    J = einsum("ij->bi|bj", A, b=1000)
    with memory_limit(10e6), pytest.raises(MemoryLimitError) as caught:
        np.asarray(J)
    assert str(caught.value) == (
        "materialising this Jacobian needs 48.0 MB, the limit is 10.0 MB\n"
        "  shape:   (1000, 2) × (1000, 3) float64\n"
        "  holds:   48 B, block-diagonal over axis 0\n"
        "  instead: J @ dx, u @ J, J[index], J.diagonal(), J.to_scipy()\n"
        "  limit:   half of the memory available, or what jac.memory_limit says"
    )
    assert np.asarray(J).nbytes == 48 * 10**6
    with memory_limit(10e6):
        assert J[5, 1, 5].shape == (3,)


def test_limits_nest_and_end() -> None:
    J = einsum("->i|i", i=100)
    with memory_limit(1000):
        with memory_limit(1e9):
            assert J.tensor().shape == (100, 100)
        with pytest.raises(MemoryLimitError):
            (2 * J).tensor()
    assert (2 * J).tensor().shape == (100, 100)


def test_without_a_limit_half_of_what_is_free_is_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 10**8)
    monkeypatch.setattr(memory, "free", lambda: 10**8)
    with pytest.raises(MemoryLimitError, match=r"needs 72\.0 MB, the limit is 50\.0 MB"):
        einsum("->i|i", i=3000).tensor()


def test_what_the_machine_says_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 10**6 < memory.available() < 10**15
    assert 0 <= memory.free() < memory.installed()  # type: ignore[operator]

    def missing(*args: Any, **kwargs: Any) -> Any:
        raise OSError

    monkeypatch.setattr("builtins.open", missing)
    assert 10**6 < memory.available() < 10**15
    monkeypatch.setattr(memory.os, "sysconf", missing)
    assert memory.available() == 8 * 2**30
    assert memory.free() == 0


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (99_949, "100 kB"), (123_456, "123 kB"), (999_600, "1.0 MB"),
     (274877906944, "275 GB"), (3.2e12, "3.2 TB"), (5e15, "5.0 PB"), (5e18, "5000 PB")],
)  # fmt: skip
def test_bytes_as_a_person_writes_them(count: float, text: str) -> None:
    assert human(count) == text


# -- what a mistake says --------

M = einsum("ij->i|j", A)

MISTAKES: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: M.matrix(order="A"),
        ArgumentError,
        "order must be 'C' or 'F', not 'A'\n  C:     row-major\n  F:     column-major vec",
    ),
    (
        M.diagonal,
        ShapeError,
        "diagonal: output and input differ in shape\n  out:   (2,)\n  input: (3,)",
    ),
    (
        lambda: M @ np.ones((2, 3)),
        ShapeError,
        "J @ dx: dx must have the input's shape\n  got:   J (2,) × (3,), dx (2, 3)\n  fix:   give dx the shape (3,)",
    ),
    (
        lambda: np.ones(3) @ M,
        ShapeError,
        "u @ J: u must have the output's shape\n  got:   u (3,), J (2,) × (3,)\n  fix:   give u the shape (2,)",
    ),
    (
        lambda: np.float64(2) @ M,
        ShapeError,
        "u @ J: u must have the output's shape\n  got:   u (), J (2,) × (3,)\n  fix:   give u the shape (2,)",
    ),
    (
        lambda: M @ M,
        ShapeError,
        (
            "J2 @ J1: the input of J2 must have the shape of the output of J1\n"
            "  got:   J2 (2,) × (3,), J1 (2,) × (3,)\n"
            "  fix:   write the outer function's Jacobian on the left: ∂z/∂x = ∂z/∂y @ ∂y/∂x"
        ),
    ),
    (
        lambda: M + M.T,
        ShapeError,
        "J1 + J2: the shapes differ\n  got:   J1 (2,) × (3,), J2 (3,) × (2,)",
    ),
    (
        lambda: einsum("ij->ij|", A) - M,
        ShapeError,
        "J1 + J2: the shapes differ\n  got:   J1 (2, 3) × (), J2 (2,) × (3,)",
    ),
    (
        lambda: M * np.ones(3),
        ShapeError,
        (
            "c * J: c must be a scalar, not of shape (3,)\n"
            "  fix:   np.asarray(J) for elementwise products, @ for dot products"
        ),
    ),
    (lambda: M * "two", ArgumentError, "c * J: c must be a number, not str"),
    (
        lambda: M / np.ones(3),
        ShapeError,
        "J / c: c must be a scalar, not of shape (3,)\n  fix:   np.asarray(J) / c for elementwise quotients",
    ),
    (lambda: M * None, ArgumentError, "c * J: c must be a number, not NoneType"),
    (lambda: M @ "dx", ArgumentError, "@ needs a Jacobian or an array of numbers, not str"),
    (lambda: M @ None, ArgumentError, "@ needs a Jacobian or an array of numbers, not NoneType"),
    (lambda: M @ [[1, 2], [3]], ArgumentError, "@ needs a Jacobian or an array of numbers, not list"),
    (
        lambda: M.predict(np.ones(3)),
        ArgumentError,
        "predict: this Jacobian does not know its function\n  fix:   take it from jac.jacobian(f)(x)",
    ),
    (
        lambda: Jacobian(M.terms, (2,), (3,), origin=Origin(lambda x: A @ x, np.ones(3), lambda: A.sum(1))).predict(
            [1, 2]
        ),
        ShapeError,
        "predict: dx must have the input's shape\n  got:   (2,)\n  fix:   give it the shape (3,)",
    ),
    (
        lambda: M[0, 1, 2],
        IndexingError,
        "too many indices: 3 for an array of 2 axes\n  shape: (2, 3)",
    ),
    (
        lambda: M[0, 3],
        IndexingError,
        "index 3 is out of bounds for axis 1 of size 3\n  shape: (2, 3)",
    ),
    (
        lambda: M[-3],
        IndexingError,
        "index -3 is out of bounds for axis 0 of size 2\n  shape: (2, 3)",
    ),
    (
        lambda: M[..., ...],
        IndexingError,
        "an index has room for one '...' only\n  shape: (2, 3)",
    ),
    (
        lambda: M[[0, 1]],
        IndexingError,
        (
            "entries are picked with integers, slices and '...', not with list\n"
            "  fix:   np.asarray(J)[...] takes every index NumPy knows"
        ),
    ),
    (
        lambda: M[np.array([True, False])],
        IndexingError,
        (
            "entries are picked with integers, slices and '...', not with ndarray\n"
            "  fix:   np.asarray(J)[...] takes every index NumPy knows"
        ),
    ),
    (
        lambda: M[True],
        IndexingError,
        (
            "entries are picked with integers, slices and '...', not with bool\n"
            "  fix:   np.asarray(J)[...] takes every index NumPy knows"
        ),
    ),
    (
        lambda: M[0.5],
        IndexingError,
        (
            "entries are picked with integers, slices and '...', not with float\n"
            "  fix:   np.asarray(J)[...] takes every index NumPy knows"
        ),
    ),
]


@pytest.mark.parametrize(("mistake", "kind", "text"), MISTAKES)
def test_what_a_mistake_says(mistake: Callable[[], Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        mistake()
    assert type(caught.value) is kind
    assert str(caught.value) == text


def test_without_scipy_the_way_to_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "scipy", None)
    with pytest.raises(ArgumentError) as caught:
        M.to_scipy()
    assert str(caught.value) == "to_scipy needs SciPy\n  fix:   pip install 'jacobian[scipy]'"


def test_sums_and_powers_with_something_else_see_the_full_tensor() -> None:
    assert_array_equal(M + 1, np.asarray(M) + 1)
    assert_array_equal(M - np.ones(M.shape), np.asarray(M) - 1)
    assert_array_equal(np.ones(M.shape) - M, 1 - np.asarray(M))
    assert +M is M


@pytest.mark.parametrize("operate", [pow, operator.mod, operator.floordiv, divmod, operator.truediv])
@pytest.mark.parametrize("other", [2, np.full(M.shape, 0.5)], ids=["a number", "an array"])
def test_other_operators_see_the_full_tensor_on_either_side(operate: Callable[[Any, Any], Any], other: Any) -> None:
    N = Jacobian.einsum("ij->i|j", np.exp(A))
    assert_array_equal(operate(other, N), operate(other, np.exp(A)))
    if operate is not operator.truediv:  # a number divides the terms; an array is refused
        assert_array_equal(operate(N, other), operate(np.exp(A), other))


# -- the first-order approximation --------


def test_prediction_shows_value_and_order() -> None:
    x, dx = np.array([1.0, 2.0, 3.0]), np.array([0.1, -0.1, 0.2])
    J = Jacobian(einsum("i->i|i", 2 * x).terms, (3,), (3,), origin=Origin(np.square, x, lambda: x**2))
    seen = J.predict(dx)
    assert_array_equal(seen.linear, x**2 + 2 * x * dx)
    assert_array_equal(seen.actual, (x + dx) ** 2)
    assert abs(seen.order - 2) < 1e-6
    assert "remainder: at most 0.04, of order 2.00 in Δx" in str(seen)
    wrong = Jacobian((3 * J).terms, (3,), (3,), origin=Origin(np.square, x, lambda: x**2)).predict(dx)
    assert abs(wrong.order - 1) < 0.05
    linear = Jacobian(M.terms, (2,), (3,), origin=Origin(lambda v: A @ v, x, lambda: A @ x)).predict(dx)
    assert linear.order == np.inf


def test_a_foreign_scalar_becomes_a_factor() -> None:
    J = M * Duck(np.array(2.0))
    assert isinstance(J.tensor(), Duck)
    assert J.formula == "∂y[i]/∂x[j] = A[i,j] * c"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1e-9, "1e-09"),
        (1 / 999999999999999, "1.000000000000001e-15"),
        (1 - 1e-14, "0.99999999999999"),
        (0.1 + 0.2, "0.3"),
        (1e20, "1e+20"),
        (-1 / 3, "-1/3"),
        (1 / 65536, "1/65536"),
        (2 / 3, "2/3"),
        (1.2345678, "1.2345678"),
        (2**0.5, "sqrt(2)"),
        (1 / 12**0.5, "1/sqrt(12)"),
        (8**0.5 / 3, "2*sqrt(2)/3"),
        (2 * np.pi, "2*pi"),
        (4 * np.pi**2, "4*pi**2"),
        (0.5 / np.pi, "1/(2*pi)"),
        (np.sqrt(2 / np.pi), "sqrt(2/pi)"),
        (1 / np.sqrt(2 * np.pi), "1/sqrt(2*pi)"),
        (0.044715 * np.sqrt(2 / np.pi), "0.044715*sqrt(2/pi)"),
        (2j * np.pi, "(0.0+6.283185307179586j)"),
        (1j, "(0+1j)"),
        (np.inf, "inf"),
    ],
)
def test_a_number_is_written_as_a_person_writes_it(number: complex, text: str) -> None:
    assert number_text(number) == text


def test_every_number_is_written_so_that_it_can_be_read_again() -> None:
    rng = np.random.default_rng(0)
    roots = np.sqrt(rng.integers(1, 30, 300) * np.pi ** rng.integers(-2, 3, 300) / rng.integers(1, 30, 300))
    for number in [*np.exp(rng.uniform(-20, 20, 300)), *roots, *(roots * rng.integers(1, 40, 300) / 7)]:
        assert eval(number_text(number), {"pi": np.pi, "sqrt": np.sqrt}) == pytest.approx(number, rel=1e-15)


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda p: np.stack([p[0] * np.cos(p[1]), p[0] * np.sin(p[1])]), [2.0, 0.7]),
        (lambda x: np.sum(np.sin(x)) * x[::-1], [1.0, 2.0, 3.0]),
        (lambda x: np.sin(np.sum(np.exp(x))) * np.arange(4.0), [1.0, 2.0, 3.0]),
        (lambda x: np.sum(np.cos(x)) * np.sum(np.sin(x)), [1.0, 2.0, 3.0]),
        (lambda x: np.sin(np.cos(x)), [1.0, 2.0, 3.0]),
    ],
)
def test_the_terms_multiply_as_often_as_the_order_that_was_chosen(f: Any, x: list[float]) -> None:
    text = jac.jacobian(f)(np.array(x)).explain()
    of_terms = [int(number) for number in re.findall(r"^  multiplications: (\d+)", text, re.MULTILINE)]
    (chosen,) = re.findall(r"(\d+) multiplications .*<- chosen", text)
    assert sum(of_terms) == int(chosen) > 0


def test_one_entry_is_written() -> None:
    text = jac.jacobian(lambda x: 2 * x[1])(np.ones(3)).explain()
    assert "  writes 1 entry\n" in text and "1 entries" not in text


def test_jacobians_are_compared_as_arrays_are() -> None:
    J, K = einsum("ij->i|j", A), einsum("ij->i|j", A[::-1])
    for how in (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge):
        assert_array_equal(how(J, K), how(A, A[::-1]))
        assert_array_equal(how(J, A[0]), how(A, A[0]))
        assert_array_equal(how(A[0], J), how(A[0], A))
        assert_array_equal(how(J, 2), how(A, 2))
    assert not np.any(J == None) and np.all(J != None)  # noqa: E711 - as of an array
    assert len({J, K, J}) == 2 and hash(J) == hash(J)
    with pytest.raises(ShapeError) as caught:
        operator.eq(J, einsum("ij->i|j", A.T))
    assert str(caught.value) == (
        "a Jacobian is compared entry by entry: operands could not be broadcast together with shapes (2,3) (3,2)\n"
        "  got:   (2, 3) and (3, 2)\n"
        "  fix:   compare arrays whose shapes fit together; J1 is J2 asks for the same object"
    )
    with pytest.raises(ArgumentError, match="a Jacobian is compared entry by entry: '<' not supported between"):
        _ = J < None


def test_truth_length_and_magnitude_are_those_of_the_array() -> None:
    J, number = einsum("ij->i|j", A - 2), jac.jacobian(lambda x: x**2)
    assert bool(number(3.0)) and not number(0.0)
    with pytest.raises(ShapeError) as caught:
        bool(J)
    assert str(caught.value) == (
        "a Jacobian of 6 entries is neither true nor false\n  fix:   np.any(J) or np.all(J); J is None, len(J) or J.nnz"
    )
    assert len(J) == 2
    assert_array_equal(abs(J), np.abs(A - 2))
    assert_array_equal(list(J), A - 2)
    for ask in (len, list):
        with pytest.raises(ArgumentError) as refused:
            ask(number(3.0))
        assert str(refused.value) == (
            "a Jacobian of a number by a number has no length\n  fix:   J.item() is the number"
        )
