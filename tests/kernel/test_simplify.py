"""Contracting terms keeps their values and their structure; the costs are counted on the same shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from numpy.testing import assert_array_equal

from jacobian.kernel.access import indices
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.simplify import MANY_TERMS, collapsed, contracted, shapes_only

from .strategies import as_ducks, chains, cumulative, dense_of, examples, jacobians, product_of, selecting


def layout(J: Jacobian) -> list[Any]:
    """Patterns and shapes, in an order of their own."""
    return sorted((repr(t.pattern.key), [np.shape(f.array) for f in t.factors]) for t in J.terms)


@given(jacobians(max_terms=6, rich=False))
@examples(150)
def test_contracting_changes_no_entry(J: Jacobian) -> None:
    expected = dense_of(J)
    short = contracted(J)
    assert_array_equal(np.asarray(short), expected)
    assert_array_equal(dense_of(short), expected)
    for term in short.terms:  # what is left apart has no index in common
        labels = [set(indices(*access.forms)) for access in term.pattern.factors]
        assert sum(map(len, labels)) == len(set().union(*labels))
    assert len(short.terms) <= MANY_TERMS
    assert_array_equal(np.asarray(collapsed(J)), expected)
    assert_array_equal(np.asarray(contracted(as_ducks(J))), expected)


@given(chains())
@examples(100)
def test_contracting_a_chain_changes_no_entry(chain: Any) -> None:
    J = product_of(chain)
    assert_array_equal(np.asarray(contracted(J)), np.asarray(J))
    assert_array_equal(np.asarray(contracted(J + J)), 2 * np.asarray(J))


@given(jacobians(max_terms=2, rich=False))
@examples(150)
def test_costs_are_counted_on_the_shapes_that_come(J: Jacobian) -> None:
    short, ghost = contracted(J), shapes_only(J)
    if not any(term.tables for term in J.terms) and len(short.terms) == len(ghost.terms):
        assert layout(ghost) == layout(short)
    assert ghost.shape == short.shape


def test_structure_survives_contraction() -> None:
    d, W = np.arange(4.0), np.arange(12.0).reshape(4, 3)
    J = Jacobian.einsum("i->bi|bi", d, b=5) @ Jacobian.einsum("ij->bi|bj", W, b=5)
    short = contracted(J + 2 * J)
    assert short.structure == "block-diagonal over axis 0"
    assert [np.shape(f.array) for t in short.terms for f in t.factors] == [(4, 3)]
    assert contracted(cumulative(5)).structure == "triangular"
    assert contracted(Jacobian.identity((3,))).structure == "identity"


def test_many_terms_become_one_within_the_blocks_they_share() -> None:
    n = 8
    shifts = [k * selecting((n,), slice(k, None)).T @ selecting((n,), slice(None, n - k)) for k in range(1, 7)]
    total = sum(shifts[1:], shifts[0])
    batched = [Jacobian.einsum("ij->bi|bj", np.eye(3) * k, b=100) for k in range(1, 7)]
    both = sum(batched[1:], batched[0])
    for J in (total, both):
        assert len(J.terms) > MANY_TERMS
        short = contracted(J)
        assert len(short.terms) == 1
        assert_array_equal(np.asarray(short), np.asarray(J))
    assert contracted(both).nbytes == 9 * 8


def test_nothing_to_contract() -> None:
    zero = Jacobian.zero((2,), (3,))
    assert contracted(zero).terms == collapsed(zero).terms == shapes_only(zero).terms == ()
