"""Terms that differ in one guard alone: what they add up to is a window, or all, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import jacobian as jac
from jacobian.kernel.access import Form, affine, plain
from jacobian.kernel.equations import Guard
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.intervals import joined
from jacobian.kernel.pattern import Access, Pattern
from jacobian.kernel.term import Factor, Term

X = np.random.default_rng(0).normal(size=(5, 7))
ROW = np.random.default_rng(1).normal(size=6)
FORMS = [
    affine(0, {0: 1, 1: -1}), affine(0, {0: 1, 1: 1}), affine(0, {0: 2, 1: -1}), affine(0, {1: 1}),
    affine(0, {0: -1, 1: 1}),
]  # fmt: skip


def term(guards: list[tuple[int, int, int]], scale: float) -> Term:
    """A term of a 5 × 6 Jacobian over one array, between two indices, under conditions."""
    conditions = tuple(Guard(Form(offset, FORMS[which].parts), extent) for which, offset, extent in guards)
    pattern = Pattern(
        (5, 6), (plain(0),), (plain(1),), (5,), (6,), (Access((plain(1),), (6,)),), conditions
    )  # fmt: skip
    return Term(pattern, (FACTOR,), (), scale)


FACTOR = Factor(ROW)
GUARDS = st.lists(st.tuples(st.integers(0, 4), st.integers(-6, 6), st.integers(1, 8)), max_size=2, unique=True)


@given(st.lists(st.tuples(GUARDS, st.sampled_from([1.0, -1.0, 0.5])), min_size=1, max_size=5))
def test_the_sum_is_the_same(parts: list[tuple[list[tuple[int, int, int]], float]]) -> None:
    terms = [term(guards, scale) for guards, scale in parts]
    less = joined(terms)
    assert len(less) <= len(terms)
    assert_allclose(
        Jacobian(less, (5,), (6,)).tensor(), sum(Jacobian([one], (5,), (6,)).tensor() for one in terms), atol=1e-15
    )


def windows(c: Any) -> Any:
    return c[..., 3:] - c[..., :-3]


CASES: dict[str, tuple[Callable[[Any], Any], int]] = {
    "window": (lambda x: windows(np.cumsum(np.sin(x), axis=1)), 1),
    "window after zeros": (lambda x: windows(np.cumsum(np.pad(np.sin(x), ((0, 0), (1, 0))), axis=1)), 1),
    "what is left": (lambda x: (lambda s: np.sum(s, axis=1)[:, None] - np.cumsum(s, axis=1))(np.sin(x)), 1),
    "from both ends": (lambda x: (lambda s: np.cumsum(s, 1) + np.cumsum(s[:, ::-1], 1)[:, ::-1])(np.sin(x)), 2),
    "one after another": (lambda x: np.diff(np.cumsum(np.sin(x), axis=1), axis=1), 1),
    "integral image": (lambda x: windows(windows(np.cumsum(np.cumsum(np.sin(x), 0), 1)).T[:, :]), 1),
}


@pytest.mark.parametrize("name", CASES)
def test_running_sums(name: str) -> None:
    f, terms = CASES[name]
    J = jac.jacobian(f)(X)
    assert len(J.terms) == terms
    assert jac.check(f, X)
    dx = np.random.default_rng(2).normal(size=X.shape)
    assert_allclose(J @ dx, np.tensordot(J.tensor(), dx, 2), atol=1e-12)
    again = jac.jacobian(f)
    for _ in range(3):
        assert_allclose(np.asarray(again(X)), J.tensor(), rtol=1e-12, atol=1e-13)


def test_the_formula_of_a_moving_sum() -> None:
    J = jac.jacobian(lambda x: windows(np.cumsum(x)))(np.ones(8))
    assert (J.structure, J.formula) == ("banded", "∂y[i]/∂x[j] = [0 <= i - j + 3 < 3]")
    assert_array_equal(J.tensor(), np.tril(np.ones((5, 8)), 3) - np.tril(np.ones((5, 8))))
    J = jac.jacobian(lambda x: np.diff(np.cumsum(x)))(np.ones(4))
    assert (J.structure, J.formula) == ("selection", "∂y[i]/∂x[i + 1] = 1")


def test_what_cancels_leaves_nothing() -> None:
    J = jac.jacobian(lambda x: (lambda c: c - c)(np.cumsum(x)))(np.ones(4))
    assert J.nnz == 0


def between(offset: int, sign: int, scale: float) -> Term:
    """A term where `sign · (i - j)` is at least so much."""
    return term([(0 if sign > 0 else 4, -offset, 6)], scale)


def test_a_triangle_and_the_one_above_it_are_all() -> None:
    [one] = joined([between(0, 1, 0.5), between(1, 1, 0.5), between(0, -1, 0.5), between(1, -1, 0.5)])
    assert (one.pattern.guards, one.scale) == ((), 1.0)


def test_slopes_of_eigenvalues_of_a_symmetric_part() -> None:
    A = np.random.default_rng(2).normal(size=(6, 6))
    J = jac.jacobian(lambda A: np.linalg.eigvalsh((A + A.T) / 2), order="forward")(A)
    assert J.formula == "∂y[i]/∂A[j,k] = V(v3)[j,i] * V(v3)[k,i]"
    V = np.linalg.eigh((A + A.T) / 2).eigenvectors
    assert_allclose(np.asarray(J), V.T[:, :, None] * V.T[:, None, :], atol=1e-14)


def test_products_of_an_array_with_itself_are_equal_in_any_order() -> None:
    x = np.arange(1.0, 5.0)
    J = Jacobian.einsum("i,j->i|j", x, x)
    one = J.terms[0].pattern
    two = one.with_factors(one.factors[::-1])
    f = Factor(x)
    both = Jacobian([Term(one, (f, f)), Term(two, (f, f))], (4,), (4,))
    total = Jacobian.total([both, both])
    assert [term.scale for term in total.terms] == [4]
    assert_array_equal(np.asarray(total), 4 * np.outer(x, x))
