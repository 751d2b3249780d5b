"""The algebra of Jacobians against dense tensors, on random sums of random terms and random chains of maps."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from jacobian.kernel.dispatch import materialise_by_calls
from jacobian.kernel.expression import Jacobian

from .strategies import (
    SIZES,
    Duck,
    as_ducks,
    by_loops,
    chains,
    dense_of,
    examples,
    jacobians,
    numbers,
    product_of,
    reached_of,
    run,
    shapes,
)


def same(J: Jacobian, expected: np.ndarray) -> None:
    """Both lowerings give the tensor expected, exactly."""
    assert J.shape == expected.shape
    assert_array_equal(np.asarray(J), expected)
    assert_array_equal(np.asarray(materialise_by_calls(J.terms, J.shape, J.dtype)), expected)


def dot(left: np.ndarray, right: np.ndarray, axes: int) -> np.ndarray:
    return np.tensordot(left, right, axes)


@given(jacobians())
@examples(150)
def test_the_definition_is_evaluated_alike_one_by_one_and_all_at_once(J: Jacobian) -> None:
    assert_array_equal(by_loops(J), dense_of(J))


@given(jacobians())
@examples(350)
def test_materialising_follows_the_definition(J: Jacobian) -> None:
    same(J, dense_of(J))
    assert np.asarray(J).dtype == J.dtype
    assert not np.asarray(J).flags.writeable


@given(st.data())
@examples(250)
def test_composition_is_the_generalized_dot_product(data: st.DataObject) -> None:
    first = data.draw(jacobians(rich=False, max_terms=1))
    second = data.draw(jacobians(in_shape=first.out_shape, rich=False))
    expected = dot(dense_of(second), dense_of(first), len(first.out_shape))
    J = second @ first
    assert_array_equal(dense_of(J), expected)
    same(J, expected)


@given(st.data())
@examples(150)
def test_composition_is_associative(data: st.DataObject) -> None:
    first = data.draw(jacobians(rich=False, max_terms=1))
    second = data.draw(jacobians(in_shape=first.out_shape, rich=False, max_terms=1))
    third = data.draw(jacobians(in_shape=second.out_shape, rich=False, max_terms=1))
    expected = dot(dense_of(third), dot(dense_of(second), dense_of(first), len(first.out_shape)), len(second.out_shape))
    same((third @ second) @ first, expected)
    same(third @ (second @ first), expected)


@given(st.data())
@examples(200)
def test_transposition_exchanges_output_and_input(data: st.DataObject) -> None:
    first = data.draw(jacobians(rich=False, max_terms=1))
    second = data.draw(jacobians(in_shape=first.out_shape, rich=False, max_terms=1))
    outs, ins = len(first.out_shape), len(first.in_shape)
    same(first.T, dense_of(first).transpose([*range(outs, outs + ins), *range(outs)]))
    left, right = (second @ first).T, first.T @ second.T
    assert left.out_shape == right.out_shape == first.in_shape
    assert_array_equal(np.asarray(left), np.asarray(right))
    assert_array_equal(np.asarray(left.T), np.asarray(second @ first))


@given(st.data())
@examples(200)
def test_sums_and_multiples(data: st.DataObject) -> None:
    J = data.draw(jacobians(rich=False))
    other = data.draw(jacobians(J.out_shape, J.in_shape, rich=False))
    c = data.draw(st.sampled_from([0, 1, -2, 0.5, np.float64(3)]))
    a, b = dense_of(J), dense_of(other)
    same(J + other, a + b)
    same(J - other, a - b)
    same(J + J, 2 * a)
    same(c * J, c * a)
    same(J * c, c * a)
    same(-J, -a)
    same(J / 2, a / 2)
    assert (J - J).structure == "zero"


@given(st.data())
@examples(200)
def test_indexing_is_that_of_the_tensor(data: st.DataObject) -> None:
    J = data.draw(jacobians())
    entries: list[Any] = []
    left = data.draw(st.integers(0, len(J.shape)))
    right = data.draw(st.integers(left, len(J.shape)))
    for extent in J.shape[:left] + J.shape[right:]:
        bound = st.one_of(st.none(), st.integers(-extent - 1, extent + 1))
        options: list[Any] = [st.builds(slice, bound, bound, st.sampled_from([None, 1, 2, -1, -3]))]
        if extent:
            options.append(st.integers(-extent, extent - 1))
        entries.append(data.draw(st.one_of(options)))
    if right < len(J.shape) or data.draw(st.booleans()):
        entries.insert(left, Ellipsis)
    if data.draw(st.booleans()):
        entries.insert(data.draw(st.integers(0, len(entries))), None)
    key = tuple(entries)
    assert_array_equal(J[key], dense_of(J)[key])
    if len(key) == 1:
        assert_array_equal(J[key[0]], dense_of(J)[key[0]])


@given(st.data())
@examples(150)
def test_diagonal(data: st.DataObject) -> None:
    shape = data.draw(shapes())
    J = data.draw(jacobians(shape, shape))
    matrix = dense_of(J).reshape(prod(shape), prod(shape))
    assert_array_equal(J.diagonal(), np.diagonal(matrix).reshape(shape))


@given(st.data())
@examples(250)
def test_products_with_arrays(data: st.DataObject) -> None:
    J = data.draw(jacobians())
    more = tuple(data.draw(st.lists(SIZES, max_size=2)))
    dx = numbers(data.draw, J.in_shape + more)
    u = numbers(data.draw, more + J.out_shape)
    dense = dense_of(J)
    right, left = dot(dense, dx, len(J.in_shape)), dot(u, dense, len(J.out_shape))
    assert_array_equal(J @ dx, right)
    assert_array_equal(u @ J, left)
    ducks = as_ducks(J)
    assert_array_equal(np.asarray(ducks @ dx), right)
    assert_array_equal(np.asarray(u @ ducks), left)
    assert_array_equal(np.asarray(J @ Duck(dx)), right)
    assert_array_equal(np.asarray(J.__rmatmul__(Duck(u))), left)


@given(jacobians())
@examples(250)
def test_nnz_counts_the_positions_reached(J: Jacobian) -> None:
    assert J.nnz == int(reached_of(J).sum())


@given(jacobians())
@examples(150)
def test_matrix_and_blocks(J: Jacobian) -> None:
    dense = dense_of(J)
    rows, cols = prod(J.out_shape), prod(J.in_shape)
    assert_array_equal(J.matrix(), dense.reshape(rows, cols))
    vec = np.zeros((rows, cols))
    for out in np.ndindex(J.out_shape):
        for into in np.ndindex(J.in_shape):
            row = np.ravel_multi_index(out, J.out_shape, order="F") if out else 0
            col = np.ravel_multi_index(into, J.in_shape, order="F") if into else 0
            vec[row, col] = dense[out + into]
    assert_array_equal(J.matrix(order="F"), vec)
    blocks = J.blocks()
    assert blocks.shape == (prod(J.out_shape[:-1]), prod(J.in_shape[:-1]))
    for row, out in enumerate(np.ndindex(J.out_shape[:-1])):
        for col, into in enumerate(np.ndindex(J.in_shape[:-1])):
            key = (*out, *([slice(None)] if J.out_shape else []), *into)
            assert_array_equal(blocks[row, col], dense[key])


@given(jacobians())
@examples(150)
def test_to_scipy(J: Jacobian) -> None:
    for kind in ("csr", "coo"):
        sparse = J.to_scipy(kind)
        assert sparse.format == kind
        assert sparse.dtype == J.dtype
        assert_array_equal(sparse.toarray(), dense_of(J).reshape(prod(J.out_shape), prod(J.in_shape)))
    assert J.to_scipy().nnz <= J.nnz


@given(st.data())
@examples(250)
def test_both_lowerings_agree_on_foreign_arrays(data: st.DataObject) -> None:
    J = data.draw(jacobians())
    ducks = as_ducks(J)
    assert_array_equal(np.asarray(ducks), np.asarray(J))
    if J.nnz and all(term.factors for term in ducks.terms):
        assert isinstance(ducks.tensor(), Duck)


@given(jacobians(dtype=np.float32))
@examples(100)
def test_single_precision_stays(J: Jacobian) -> None:
    u, dx = np.ones(J.out_shape, np.float32), np.ones(J.in_shape, np.float32)
    for value in (np.asarray(J), J.matrix(), J[...], J @ dx, u @ J, np.asarray(2 * J), np.asarray(J + J)):
        assert value.dtype == np.float32
    assert_array_equal(np.asarray(J), dense_of(J))


@given(chains())
@examples(250)
def test_a_chain_of_maps_does_what_numpy_does(chain: Any) -> None:
    J = product_of(chain)
    for link in chain:
        assert_array_equal(np.asarray(link.J), link.dense)
    expected = chain[0].dense
    for link in chain[1:]:
        expected = dot(link.dense, expected, len(link.J.in_shape))
    same(J, expected)
    x = np.arange(1.0, prod(J.in_shape) + 1).reshape(J.in_shape)
    assert_array_equal(J @ x, run(chain, x))
    u = np.arange(1.0, prod(J.out_shape) + 1).reshape(J.out_shape)
    assert_array_equal(u @ J, dot(u, expected, u.ndim))
    assert J.nnz == int(reached_of(J).sum())


@given(chains(most=3))
@examples(150)
def test_a_chain_is_associative_and_transposes_in_reverse(chain: Any) -> None:
    forward = product_of(chain)
    reverse = chain[-1].J
    for link in chain[-2::-1]:
        reverse = reverse @ link.J
    transposed = chain[-1].J.T
    for link in chain[-2::-1]:
        transposed = link.J.T @ transposed
    assert_array_equal(np.asarray(forward), np.asarray(reverse))
    assert_array_equal(np.asarray(forward.T), np.asarray(transposed))


@given(chains(most=3), st.data())
@examples(150)
def test_a_gram_matrix_of_a_chain(chain: Any, data: st.DataObject) -> None:
    J = product_of(chain)
    dense = np.asarray(J)
    flat = dense.reshape(prod(J.out_shape), prod(J.in_shape))
    assert_array_equal((J @ J.T).matrix(), flat @ flat.T)
    assert_array_equal((J.T @ J).matrix(), flat.T @ flat)
