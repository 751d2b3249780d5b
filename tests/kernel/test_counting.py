"""Entries are counted by arithmetic on patterns: exactly as many as a list of them has, without the list."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_array_equal

from jacobian.errors import MemoryLimitError
from jacobian.kernel.access import Lookup, Table, affine, plain
from jacobian.kernel.counting import count_union, distinct, reach
from jacobian.kernel.equations import Guard
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.memory import memory_limit
from jacobian.kernel.pattern import Access, Pattern
from jacobian.kernel.term import Factor, Term

from .strategies import (
    chains,
    cumulative,
    dense_of,
    examples,
    jacobians,
    peak,
    product_of,
    reached_of,
    selecting,
    taking,
)


@given(jacobians(max_terms=4))
@examples(300)
def test_whatever_arithmetic_says_is_true(J: Jacobian) -> None:
    expected = int(reached_of(J).sum())
    masks = distinct(J.terms)
    assert count_union(masks, J.shape) in {None, expected}
    for mask in masks:
        alone = Jacobian([mask], J.out_shape, J.in_shape)
        assert count_union([mask], J.shape) in {None, int(reached_of(alone).sum())}
    found = reach(J.terms, J.shape)
    assert found.entries == expected if found.exact else found.entries >= expected


@given(chains())
@examples(150)
def test_what_arithmetic_says_of_a_chain_is_true(chain: Any) -> None:
    J = product_of(chain)
    expected = int(reached_of(J).sum())
    assert count_union(distinct(J.terms), J.shape) in {None, expected}
    assert_array_equal(J.to_scipy().toarray().reshape(J.shape), dense_of(J))


def moving_average(n: int, width: int) -> Jacobian:
    run = cumulative(n)
    return (selecting((n,), slice(width, None)) @ run - selecting((n,), slice(None, -width)) @ run) / width


def backwards(n: int) -> Jacobian:
    turned = selecting((n,), slice(None, None, -1))
    return Jacobian.einsum("i->i|i", np.ones(n)) @ turned @ cumulative(n) @ turned


def both_axes(n: int) -> Jacobian:
    guards = (Guard(affine(0, [(0, 1), (2, -1)]), n), Guard(affine(0, [(1, 1), (3, -1)]), n))
    pattern = Pattern((n,) * 4, (plain(0), plain(1)), (plain(2), plain(3)), (n, n), (n, n), (), guards)
    return Jacobian([Term(pattern)], (n, n), (n, n))


def looked_up(n: int) -> Jacobian:
    return taking((n,), 0, np.arange(n)[::-1].copy()) @ cumulative(n)


SCANS = [
    (lambda n: moving_average(n, 5), lambda n: n * (n - 1) // 2 - (n - 5) * (n - 6) // 2 + (n - 5) * (n - 4) // 2 - 4),
    (cumulative, lambda n: n * (n + 1) // 2),
    (lambda n: cumulative(n) @ cumulative(n), lambda n: n * (n + 1) // 2),
    (lambda n: selecting((n,), slice(None, None, 10)) @ cumulative(n), lambda n: sum(range(1, n + 1, 10))),
    (backwards, lambda n: n * (n + 1) // 2),
    (looked_up, lambda n: n * (n + 1) // 2),
]


@pytest.mark.parametrize("make", [make for make, _ in SCANS])
def test_scans_are_counted_as_they_are_listed(make: Callable[[int], Jacobian]) -> None:
    J = make(23)
    assert J.nnz == int(reached_of(J).sum())
    assert reach(J.terms, J.shape).exact
    assert f"reaches {J.nnz} of {J.size} entries" in J.explain()
    assert_array_equal(J.to_scipy().toarray(), dense_of(J))


@pytest.mark.parametrize(("make", "count"), SCANS[1:])
def test_large_scans_are_counted_in_linear_memory(make: Callable[[int], Jacobian], count: Callable[[int], int]) -> None:
    n = 4 * 10**4
    J = make(n)
    found: list[Any] = []
    assert peak(lambda: found.append(J.nnz)) < 400 * n
    assert found == [count(n)]
    assert peak(J.explain) < 400 * n
    with memory_limit(1e9), pytest.raises(MemoryLimitError, match="entries and their positions needs"):
        J.to_scipy()


def test_a_large_moving_average_is_counted() -> None:
    n, width = 2 * 10**4, 50
    J = moving_average(n, width)
    found: list[Any] = []
    assert peak(lambda: found.append(J.nnz)) < 400 * n
    assert found == [(n - width) * width]
    assert f"reaches {found[0]} of" in J.explain()


def test_scans_along_two_axes() -> None:
    small = both_axes(4)
    assert small.nnz == 100 == int(reached_of(small).sum())
    assert_array_equal(small.to_scipy().toarray(), dense_of(small).reshape(16, 16))
    n = 1000
    assert peak(lambda: both_axes(n).nnz) < 1e6
    assert both_axes(n).nnz == (n * (n + 1) // 2) ** 2


def test_factors_beside_a_guard_are_never_multiplied_out() -> None:
    n, width = 20_000, 3
    a, b = np.arange(1.0, n + 1), np.arange(n, 0.0, -1)
    accesses = (Access((plain(0),), (n,)), Access((plain(1),), (n,)))
    guard = Guard(affine(0, [(0, 1), (1, -1)]), width)
    pattern = Pattern((n, n), (plain(0),), (plain(1),), (n,), (n,), accesses, (guard,))
    J = Jacobian([Term(pattern, (Factor(a), Factor(b)))], (n,), (n,))
    found: list[Any] = []
    assert J.nnz == 3 * n - 3
    assert peak(lambda: found.append(J.to_scipy())) < 10e6
    assert_array_equal(found[0].diagonal(-2), a[2:] * b[:-2])
    assert found[0].nnz == J.nnz


def test_differences_of_a_million_are_counted_without_a_list() -> None:
    n = 10**6
    D = selecting((n,), slice(1, None)) - selecting((n,), slice(None, -1))
    assert peak(lambda: D.nnz) < 1e5
    assert peak(D.explain) < 1e5
    assert D.nnz == 2 * n - 2
    assert D.to_scipy().nnz == D.nnz


def test_what_is_too_much_to_list_is_refused_with_the_bill() -> None:
    n = 3000
    table = np.arange(n) % 7  # summed behind a table: inequalities do not say what is reached
    form = affine(0, [(0, 1), (1, -1), (Lookup(0, (plain(2),)), 1)])
    pattern = Pattern((n,) * 3, (plain(0),), (plain(1),), (n,), (n,), (), (Guard(form, 2),), (Table((n,), 7),))
    J = Jacobian([Term(pattern, (), (table,))], (n,), (n,))
    with memory_limit(1e8), pytest.raises(MemoryLimitError, match="9,000,000 entries to list"):
        _ = J.nnz
    assert peak(J.explain) < 1e6
    assert f"reaches at most {n * n} of {n * n} entries" in J.explain()
    assert prod(J.shape) == n * n


def test_tables_shared_by_two_terms_are_one() -> None:
    table = np.array([2, 0, 1, 2])
    one, two = taking((3,), 0, table), taking((3,), 0, table)
    J = one + 2 * two + taking((3,), 0, np.array([2, 1, 1, 0]))
    assert J.nnz == 6 == int(reached_of(J).sum())
