"""Terms to numbers: what is a view stays one, what needs no memory takes none, and both lowerings say the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from jacobian.kernel.access import Form, Lookup, Table, affine, constant, plain
from jacobian.kernel.code import Code, Symbol
from jacobian.kernel.dispatch import core_by_calls, materialise_by_calls
from jacobian.kernel.equations import Guard
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.lower import Given, core, write_tensor
from jacobian.kernel.network import equation_of
from jacobian.kernel.pattern import Access, Pattern
from jacobian.kernel.positions import positions
from jacobian.kernel.term import Factor, Operator, Term

from .strategies import Duck, as_ducks, cumulative, dense_of, peak, selecting

LARGE = 1_000_000


def test_gradient_through_a_cumulative_sum_of_a_million() -> None:
    u = np.arange(LARGE, dtype=float)
    J = Jacobian.einsum("i->|i", u) @ cumulative(LARGE)
    assert peak(J.tensor) < 200e6
    assert_array_equal(np.asarray(J), np.cumsum(u[::-1])[::-1])


def test_tangent_through_a_cumulative_sum_of_a_million() -> None:
    dx = np.arange(LARGE, dtype=float)
    J = cumulative(LARGE)
    results: list[np.ndarray] = []
    assert peak(lambda: results.append(J @ dx)) < 200e6
    assert_array_equal(results[0], np.cumsum(dx))
    assert peak(lambda: results.append(dx @ J)) < 200e6
    assert_array_equal(results[1], np.cumsum(dx[::-1])[::-1])


def test_a_sum_of_a_cumulative_sum_of_a_million() -> None:
    J = Jacobian.einsum("->|i", i=LARGE) @ cumulative(LARGE)
    assert peak(J.tensor) < 200e6
    assert_array_equal(np.asarray(J), np.arange(LARGE, 0, -1))


def test_two_cumulative_sums_of_a_million() -> None:
    n = 10**6
    J = Jacobian.einsum("i->|i", np.ones(n)) @ cumulative(n) @ cumulative(n)
    assert peak(J.tensor) < 200e6
    rest = np.arange(n, 0, -1)
    assert_array_equal(np.asarray(J), rest * (rest + 1) / 2)


def test_differences_of_a_million() -> None:
    x = np.arange(LARGE, dtype=float)
    D = selecting((LARGE,), slice(1, None)) - selecting((LARGE,), slice(None, -1))
    J = Jacobian.einsum("i->|i", 2 * np.diff(x)) @ D
    assert peak(J.tensor) < 200e6
    expected = np.zeros(LARGE)
    expected[0], expected[-1] = -2, 2
    assert_array_equal(np.asarray(J), expected)


def test_the_bigger_jacobian_is_never_built() -> None:
    rows, width, hidden = 4096, 64, 128
    W, d = np.ones((hidden, width), np.float32), np.ones((rows, hidden), np.float32)
    J = Jacobian.einsum("bh->bh|bh", d) @ Jacobian.einsum("hw->bh|bw", W, b=rows)
    assert J.dense_nbytes > 500e9
    assert peak(lambda: J[5, 3, 5, :]) < 1e6
    dx = np.ones((rows, width), np.float32)
    assert peak(lambda: J @ dx) < 20e6
    assert J.structure == "block-diagonal over axis 0"


def test_a_plain_term_is_the_result_and_is_not_copied() -> None:
    J = Jacobian.einsum("ij->i|j", np.ones((3, 4)))
    assert np.shares_memory(np.asarray(J), J.terms[0].factors[0].array)
    assert not np.asarray(J).flags.writeable


def test_the_tensor_is_made_once() -> None:
    J = Jacobian.einsum("i->i|i", np.ones(3))
    assert J.tensor() is J.tensor()


def test_overlapping_writes_add() -> None:
    pattern = Pattern((3, 4), (affine(0, [(0, 1), (1, 1)]),), (), (6,), (), (Access((plain(0),), (3,)),))
    J = Jacobian([Term(pattern, (Factor(np.array([1.0, 10, 100])),))], (6,), ())
    assert_array_equal(np.asarray(J), [1, 11, 111, 111, 110, 100])


def test_many_overlapping_writes_add() -> None:
    n = 5000  # more than anyone would loop over
    pattern = Pattern((n, 2), (affine(0, [(1, 1)]),), (), (2,), (), (Access((plain(0),), (n,)),))
    J = Jacobian([Term(pattern, (Factor(np.ones(n)),))], (2,), ())
    assert_array_equal(np.asarray(J), [n, n])
    wide = Pattern((n, 2), (affine(0, [(0, 1), (1, 1)]),), (), (n + 1,), (), (Access((plain(0),), (n,)),))
    J = Jacobian([Term(wide, (Factor(np.ones(n)),))], (n + 1,), ())
    assert_array_equal(np.asarray(J), [1, *[2] * (n - 1), 1])
    diagonal = Pattern((n, n), (plain(0), constant(0)), (), (n, 1), (), (Access((plain(0), plain(1)), (n, n)),))
    assert materialise_by_calls([], diagonal.out_shape, np.dtype(float)).shape == (n, 1)


def test_an_index_that_nobody_mentions_is_summed() -> None:
    pattern = Pattern((2, 3), (plain(0),), (plain(0),), (2,), (2,))
    J = Jacobian([Term(pattern)], (2,), (2,))
    assert_array_equal(np.asarray(J), 3 * np.eye(2))
    assert_array_equal(materialise_by_calls(J.terms, J.shape, J.dtype), 3 * np.eye(2))
    assert_array_equal(np.asarray(J @ J), 9 * np.eye(2))
    assert J.structure == "diagonal"


class Running(Operator):
    """A cumulative sum as an operator that counts its calls."""

    dtype = np.dtype(float)

    def __init__(self, n: int) -> None:
        self.shape = (n, n)
        self.calls: list[str] = []

    def apply(self, array: np.ndarray, axis: int) -> np.ndarray:
        self.calls.append("apply")
        return np.cumsum(array, axis)

    def apply_transposed(self, array: np.ndarray, axis: int) -> np.ndarray:
        self.calls.append("apply_transposed")
        return np.flip(np.cumsum(np.flip(array, axis), axis), axis)


def running(n: int) -> tuple[Jacobian, Running]:
    operator = Running(n)
    access = Access((plain(0), plain(1)), (n, n))
    pattern = Pattern((n, n), (plain(0),), (plain(1),), (n,), (n,), (access,))
    return Jacobian([Term(pattern, (Factor(operator, "L"),))], (n,), (n,)), operator


def test_an_operator_is_applied_not_built() -> None:
    J, operator = running(LARGE)
    x = np.ones(LARGE)
    assert_array_equal(J @ x, np.cumsum(x))
    assert_array_equal(x @ J, np.cumsum(x)[::-1])
    assert operator.calls == ["apply", "apply_transposed"]
    two = Jacobian.einsum("i->|i", x) @ J @ J
    assert peak(two.tensor) < 200e6
    rest = np.arange(LARGE, 0, -1)
    assert_array_equal(np.asarray(two), rest * (rest + 1) / 2)


def test_an_operator_that_is_looked_at_is_its_matrix() -> None:
    J, _ = running(4)
    L = np.tril(np.ones((4, 4)))
    assert_array_equal(np.asarray(J), L)
    assert_array_equal(J.diagonal(), np.ones(4))
    assert_array_equal(J[2], L[2])
    assert_array_equal(J[1:3, ::-1], L[1:3, ::-1])
    assert_array_equal(np.asarray(J @ J.T), L @ L.T)
    assert_array_equal(np.asarray(J.T @ J @ J), L.T @ L @ L)
    assert_array_equal(materialise_by_calls(J.terms, J.shape, J.dtype), L)
    assert_array_equal(np.asarray(Jacobian.einsum("->|i", i=4) @ J), L.sum(0))
    assert J.nbytes == 0


LOOKUP = Lookup(0, (plain(1),))
READS: list[tuple[Form, tuple[int, ...], tuple[np.ndarray, ...]]] = [
    (affine(1, [(1, 1)]), (3,), ()), (affine(4, [(1, -2)]), (3,), ()), (affine(-1, [(1, 2)]), (4,), ()),
    (affine(0, [(1, 3), (2, 1)]), (2, 3), ()), (affine(0, [(1, 1), (2, 1)]), (3, 4), ()), (constant(2), (), ()),
    (affine(0, [(LOOKUP, 1)]), (3,), (np.array([5, 0, 2]),)), (affine(0, [(LOOKUP, 1)]), (3,), (np.array([1, 4, 1]),)),
]  # fmt: skip


@pytest.mark.parametrize("end", [0, 1])
@pytest.mark.parametrize(("form", "sizes", "tables"), READS)
def test_an_operator_read_in_parts_is_applied(
    form: Form, sizes: tuple[int, ...], tables: tuple[np.ndarray, ...], end: int
) -> None:
    """Slices, steps, padding, blocks, overlapping windows, one entry and look-ups, of either axis."""
    operator = Running(6)
    forms = (form, plain(0)) if end == 0 else (plain(0), form)
    outs = tuple(plain(k + 1) for k in range(len(sizes)))
    known = tuple(Table(table.shape, 6) for table in tables)
    pattern = Pattern((6, *sizes), outs, (plain(0),), sizes, (6,), (Access(forms, (6, 6)),), (), known)
    J = Jacobian([Term(pattern, (Factor(operator, "L"),), tables)], sizes, (6,))
    L = np.tril(np.ones((6, 6)))
    where = np.broadcast_to(positions(form, tuple(range(1, len(sizes) + 1)), (6, *sizes), tables), sizes)
    picked = np.take(L if end == 0 else L.T, np.clip(where, 0, 5), axis=0) * ((where >= 0) & (where < 6))[..., None]
    x, u = np.arange(1.0, 7), np.arange(1.0, 1 + np.prod(sizes, dtype=int)).reshape(sizes)
    assert_array_equal(J @ x, picked @ x)
    assert_array_equal(u @ J, np.tensordot(u, picked, u.ndim))
    assert len(operator.calls) == 2
    assert_array_equal(np.asarray(J), picked)
    assert_array_equal(np.asarray(J @ Duck(x)), picked @ x)
    assert_array_equal(np.asarray(Duck(u) @ J), np.tensordot(u, picked, u.ndim))


@pytest.mark.parametrize("offset", [-2, -1, 0, 1, 2])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("extent", [1, 2, 3, 9])
@pytest.mark.parametrize("shape", [(4, 3), (3, 3), (1, 1)])
def test_a_guard_beside_a_vector(offset: int, sign: int, extent: int, shape: tuple[int, int]) -> None:
    n, m = shape
    guard = Guard(affine(offset, [(0, sign), (1, -sign)]), extent)
    J = Jacobian([Term(Pattern((n, m), (plain(0),), (plain(1),), (n,), (m,), (), (guard,)))], (n,), (m,))
    i, j = np.indices((n, m))
    dense = ((offset + sign * (i - j) >= 0) & (offset + sign * (i - j) < extent)).astype(float)
    assert_array_equal(np.asarray(J), dense)
    for width in ((), (2,)):
        x = np.arange(1.0, 1 + m * (2 if width else 1)).reshape(m, *width)
        assert_array_equal(J @ x, np.tensordot(dense, x, 1))
    assert_array_equal(np.ones(n) @ J, dense.sum(0))
    assert_array_equal(np.asarray(Jacobian.einsum("->|i", i=n) @ J), dense.sum(0))


def test_a_guard_whose_lookup_asks_beyond_its_table() -> None:
    table = np.array([2, 0, 1])
    lookup = Lookup(0, (plain(0),))
    take = Pattern((3,), (plain(0),), (affine(0, [(lookup, 1)]),), (3,), (3,), (), (), (Table((3,), 3),))
    shift = Pattern((5,), (affine(-1, [(0, 1)]),), (plain(0),), (3,), (5,))
    J = Jacobian([Term(take, (), (table,))], (3,), (3,)) @ Jacobian([Term(shift)], (3,), (5,))
    expected = np.zeros((3, 5))
    for i in range(5):
        if 0 <= i - 1 < 3:
            expected[np.argwhere(table == i - 1), i] = 1
    assert_array_equal(np.asarray(J), expected)


def test_positions_of_a_form() -> None:
    form = affine(1, [(0, 2), (Lookup(0, (plain(1),)), 3)])
    assert_array_equal(positions(form, (0, 1), (2, 3), [np.array([0, 5, 1])]), [[1, 16, 4], [3, 18, 6]])
    assert positions(Form(7, ()), (), (), []) == 7


def test_both_cores_contract_alike() -> None:
    A, B = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    J = 2 * Jacobian.einsum("ij,jk->i|kl", A, B, l=2)
    left, left_labels = core(J.terms[0], J.dtype)
    right, right_labels = core_by_calls(as_ducks(J).terms[0], J.dtype)
    assert left_labels == right_labels
    assert isinstance(right, Duck)
    assert_array_equal(left, np.asarray(right))
    assert_array_equal(left, 2 * A @ B)
    bare = Term(Pattern((2,), (plain(0),), (), (2,), ()), scale=3)
    assert core(bare, J.dtype) == (3, ())
    assert core_by_calls(bare, J.dtype) == (3, ())


def test_foreign_arrays_stay_foreign() -> None:
    W = Duck(np.arange(6.0).reshape(2, 3))
    J = Jacobian.einsum("ij->bi|bj", W, b=2)
    assert isinstance(J.tensor(), Duck)
    assert isinstance(J[0, 1], Duck)
    assert isinstance(J @ np.ones((2, 3)), Duck)
    assert isinstance((J * Duck(2.0)).tensor(), Duck)
    assert isinstance(J.diagonal() if J.out_shape == J.in_shape else J[:, 0, :, 0], Duck)
    assert_array_equal(np.asarray(J * Duck(2.0)), 2 * dense_of(J))
    assert_array_equal(np.asarray(J), dense_of(J))
    assert J.structure == "block-diagonal over axis 0"
    assert_array_equal(J.to_scipy().toarray(), dense_of(J).reshape(4, 6))


def test_a_foreign_array_may_take_over_the_materialising() -> None:
    seen: list[Any] = []

    class Tracer(Duck):
        def __jacobian_tensor__(self, J: Jacobian) -> Any:
            seen.append(J)
            return "traced"

    J = Jacobian.einsum("i->i|i", Tracer(np.ones(2)))
    assert J.tensor() == "traced"
    assert seen == [J]


def test_reading_beyond_an_empty_axis_is_zero() -> None:
    pattern = Pattern((2,), (plain(0),), (), (2,), (), (Access((plain(0),), (0,)),))
    J = Jacobian([Term(pattern, (Factor(np.ones(0)),))], (2,), ())
    assert_array_equal(np.asarray(J), [0, 0])
    assert_array_equal(np.asarray(as_ducks(J)), [0, 0])


def test_an_array_that_is_read_beyond_its_edge_is_padded_once() -> None:
    array = np.arange(1.0, 6.0)
    windows = Pattern((5, 3), (plain(0),), (plain(1),), (5,), (3,), (Access((affine(-1, {0: 1, 1: 1}),), (5,)),))
    looked_up = affine(-1, {Lookup(0, (plain(0),)): 1, 1: 1})
    beside = Pattern((5, 3), (plain(0),), (plain(1),), (5,), (3,), (Access((looked_up,), (5,)),), (), (Table((5,), 5),))
    table, code = np.array([4, 0, 0, 3, 1]), Code()
    a = Symbol("a", (5,), rough=True)
    found = [Given(windows, (a,), (), "", (False,)), Given(beside, (a,), (code.constant(table),), "", (False,))]
    text = code.text(["a"], [str(write_tensor(code, found, (5, 3), np.dtype(float)))])
    assert text.count("padded") == 1
    J = Jacobian([Term(windows, (Factor(array),)), Term(beside, (Factor(array),), (table,))], (5,), (3,))
    assert_array_equal(code.compile(text)(array), dense_of(J))


def test_infinite_entries_are_not_smeared_over_the_edge() -> None:
    pattern = Pattern((3,), (plain(0),), (), (3,), (), (Access((affine(-1, [(0, 1)]),), (1,)),))
    J = Jacobian([Term(pattern, (Factor(np.array([np.inf])),))], (3,), ())
    assert_array_equal(np.asarray(J), [0, np.inf, 0])
    assert_array_equal(np.asarray(as_ducks(J)), [0, np.inf, 0])


def test_equations_are_lettered_by_first_appearance() -> None:
    assert equation_of(((7, 3), (3, 5)), (7, 5)) == "ab,bc->ac"


def test_several_factors_without_axes() -> None:
    factors = [np.asarray(2.0)] * 4
    assert Jacobian.einsum(",,,->|", *factors).item() == 16.0


@pytest.mark.parametrize(
    "labels", ["bj,bj->b|", "bj,bjk->bk|", "bj,kbj->bk|", "bj,kjb->k|b", "bjk,bj->|kb", "j,bj->b|"]
)
@pytest.mark.parametrize("dtypes", ["dd", "Dd", "dD", "DD", "ff"])
@pytest.mark.parametrize("size", [2, 20])
def test_batches_of_dot_products(labels: str, dtypes: str, size: int) -> None:
    rng, sizes = np.random.default_rng(0), {"b": 5, "j": size, "k": 3}
    given, _, result = labels.partition("->")

    def array(letters: str, dtype: str) -> np.ndarray:
        shape = [sizes[letter] for letter in letters]
        return (
            (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)
            if dtype == "D"
            else rng.normal(size=shape).astype(dtype)
        )

    arrays = [array(letters, dtype) for letters, dtype in zip(given.split(","), dtypes, strict=True)]
    J = Jacobian.einsum(labels, *arrays)
    expected = np.einsum(f"{given}->{result.replace('|', '')}", *arrays)
    np.testing.assert_allclose(J.tensor(), expected, rtol=1e-4 if dtypes == "ff" else 1e-12)
