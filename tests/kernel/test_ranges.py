"""Guards beside vectors are ranges: summed in linear time and without cancellation, whatever their strides."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from jacobian.kernel.access import Form, Lookup, Table, affine, plain
from jacobian.kernel.equations import Guard
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.guards import range_sums
from jacobian.kernel.pattern import Access, Pattern
from jacobian.kernel.term import Factor, Term

from .strategies import cumulative, dense_of, peak, selecting


def guarded(rows: int, columns: int, form: Form, extent: int) -> Jacobian:
    pattern = Pattern((rows, columns), (plain(0),), (plain(1),), (rows,), (columns,), (), (Guard(form, extent),))
    return Jacobian([Term(pattern)], (rows,), (columns,))


@pytest.mark.parametrize("offset", [-7, -1, 0, 2, 5])
@pytest.mark.parametrize("strides", [(1, -1), (3, -1), (-2, 3), (1, 4), (-1, -2), (5, -3)])
@pytest.mark.parametrize("extent", [1, 2, 3, 4, 7, 40])
def test_a_guard_of_any_strides_beside_a_vector(offset: int, strides: tuple[int, int], extent: int) -> None:
    J = guarded(7, 11, affine(offset, [(0, strides[0]), (1, strides[1])]), extent)
    dense = dense_of(J)
    dx, u = np.arange(1.0, 12), np.arange(1.0, 8)
    assert_array_equal(J @ dx, dense @ dx)
    assert_array_equal(u @ J, u @ dense)
    assert_array_equal(J @ np.outer(dx, [1, 10]), dense @ np.outer(dx, [1, 10]))
    assert_array_equal(np.outer([1, 10], u) @ J, np.outer([1, 10], u) @ dense)


@pytest.mark.parametrize("size", [1, 2, 7, 12])
@pytest.mark.parametrize("width", [1, 2, 3, 5, 20])
def test_sums_over_windows(size: int, width: int) -> None:
    values = np.arange(1.0, 2 * size + 1).reshape(2, size)
    begin = np.arange(-width, size + 2)
    for length in {width, max(width - 1, 1)}:
        first, stop = np.clip(begin, 0, size), np.clip(begin + length, 0, size)
        expected = np.array([[row[a:b].sum() for a, b in zip(first, stop, strict=True)] for row in values])
        assert_array_equal(range_sums(values, first, stop, width), expected)


@pytest.mark.parametrize("width", [50, 10**5])
def test_a_band_of_a_million_costs_its_vectors(width: int) -> None:
    n = 10**6
    x = np.arange(n, dtype=float)
    J = guarded(n, n, affine(0, [(0, 1), (1, -1)]), width)
    found: list[np.ndarray] = []
    assert peak(lambda: found.append(J @ x)) < 150e6
    assert peak(lambda: found.append(x @ J)) < 150e6
    total = np.concatenate([[0.0], np.cumsum(x)])
    i = np.arange(n)
    assert_array_equal(found[0], total[i + 1] - total[np.maximum(i + 1 - width, 0)])
    assert_array_equal(found[1], total[np.minimum(i + width, n)] - total[i])


def test_nothing_cancels_in_a_band() -> None:
    x = np.full(1000, 1e-3)
    x[0] = 1e17
    J = guarded(1000, 1000, affine(0, [(0, 1), (1, -1)]), 7)
    np.testing.assert_allclose((J @ x)[7:], 7e-3, rtol=1e-12)


def test_a_strided_running_sum_of_a_million_from_both_sides() -> None:
    n, step = 10**6, 1000
    J = selecting((n,), slice(None, None, step)) @ cumulative(n)
    dx, u = np.arange(n, dtype=float), np.arange(1.0, n // step + 1)
    found: list[np.ndarray] = []
    assert peak(lambda: found.append(J @ dx)) < 100e6
    assert peak(lambda: found.append(u @ J)) < 100e6
    assert_array_equal(found[0], np.cumsum(dx)[::step])
    later = np.concatenate([np.cumsum(u[::-1])[::-1], [0.0]])
    assert_array_equal(found[1], later[-(-np.arange(n) // step)])


def looked_up(table: np.ndarray, columns: int, bound: int) -> Jacobian:
    """A running sum read at the table's entries."""
    rows = len(table)
    form = affine(0, [(Lookup(0, (plain(0),)), 1), (1, -1)])
    facts = (Table((rows,), bound),)
    pattern = Pattern((rows, columns), (plain(0),), (plain(1),), (rows,), (columns,), (), (Guard(form, bound),), facts)
    return Jacobian([Term(pattern, (), (table,))], (rows,), (columns,))


def test_a_running_sum_read_through_a_table() -> None:
    table = np.array([3, 0, 3, 5])
    J = looked_up(table, 6, 6)
    dense = dense_of(J)
    assert_array_equal(J @ np.arange(1.0, 7), dense @ np.arange(1.0, 7))
    assert_array_equal(np.arange(1.0, 5) @ J, np.arange(1.0, 5) @ dense)
    assert_array_equal(np.ones((2, 4)) @ J, np.ones((2, 4)) @ dense)
    n = 10**5
    far = looked_up(np.arange(n)[::-1].copy(), n, n)
    for product in (lambda: far @ np.ones(n), lambda: np.ones(n) @ far):
        assert peak(product) < 20e6


def test_an_outer_product_beside_a_vector_is_never_multiplied_out() -> None:
    n = 10**5
    a, b, c = np.arange(1.0, n + 1), np.full(n, 2.0), np.full(n, 0.5)
    J = Jacobian.einsum("i,j->i|j", a, b)
    assert_array_equal(J @ c, a * n)
    assert_array_equal(c @ J, np.full(n, a.sum()))
    access = Access((plain(1),), (n,))
    lonely = Pattern((n, n), (plain(0),), (), (n,), (), (Access((plain(0),), (n,)), access))
    total = Jacobian([Term(lonely, (Factor(a), Factor(b)))], (n,), ())
    assert peak(total.tensor) < 10 * n * 8
    assert_array_equal(np.asarray(total), a * 2 * n)


def test_a_factor_that_only_adds_up_to_a_number() -> None:
    a = np.arange(3.0)
    pattern = Pattern((3, 4), (plain(0),), (), (3,), (), (Access((plain(0),), (3,)), Access((plain(1),), (4,))))
    guard = Guard(affine(-1, [(1, 1), (0, -1)]), 4)
    for guards in ((), (guard,)):
        p = Pattern(pattern.sizes, pattern.out, (), (3,), (), pattern.factors, guards)
        J = Jacobian([Term(p, (Factor(a), Factor(np.arange(4.0))))], (3,), ())
        assert_array_equal(np.asarray(J), dense_of(J))
    lone = Pattern((3,), (), (), (), (), (Access((plain(0),), (3,)),))
    assert Jacobian([Term(lone, (Factor(a),))], (), ()).item() == 3
