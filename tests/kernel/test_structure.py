"""What the terms claim about a Jacobian is never contradicted by its entries, and is as strong as it should be."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jacobian.kernel.access import affine, plain
from jacobian.kernel.equations import Guard
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Access, Pattern
from jacobian.kernel.term import Factor, Term

from .strategies import chains, cumulative, dense_of, examples, jacobians, numbers, product_of, selecting, windows


def contradicts(J: Jacobian, dense: np.ndarray) -> str | None:
    """How the entries contradict `J.structure`, if they do."""
    kind, axes = J.structure.kind, J.structure.axes
    matrix = dense.reshape(prod(J.out_shape), prod(J.in_shape))
    rows, cols = matrix.shape
    reached = np.argwhere(dense)
    for out, into in axes:
        if (reached[:, out] != reached[:, len(J.out_shape) + into]).any():
            return f"an entry off the diagonal of axes {out}|{into}"
    claims = {
        "zero": lambda: dense.size == 0 or dense.max() == dense.min() == 0,
        "identity": lambda: np.array_equal(matrix, np.eye(rows)),
        "diagonal": lambda: rows == cols and not (matrix - np.diag(np.diag(matrix))).any(),
        "permuted diagonal": lambda: (np.count_nonzero(matrix, 0) <= 1).all() and len(axes) == len(J.out_shape),
        "permutation": lambda: (np.count_nonzero(matrix, 0) == 1).all() and (matrix.sum(1) == 1).all(),
        "selection": lambda: (np.count_nonzero(matrix, 1) <= 1).all() and np.isin(matrix, [0, 1]).all(),
        "one entry per row": lambda: not (np.count_nonzero(matrix, 1) > 1).any(),
        "triangular": lambda: not np.triu(matrix, 1).any() or not np.tril(matrix, -1).any(),
        "constant": lambda: matrix.min() == matrix.max(),
        "outer product": lambda: np.linalg.matrix_rank(matrix) <= 1,
        "block-diagonal": lambda: len(axes) > 0,
    }
    weak = {"dense", "sparse", "windows", "banded", "Kronecker", "sum"}
    if kind in weak:
        return None
    return None if claims[kind]() else f"{kind} is wrong"


@given(jacobians())
@examples(200)
def test_no_random_sum_contradicts_its_structure(J: Jacobian) -> None:
    assert contradicts(J, dense_of(J)) is None
    assert contradicts(J.T, dense_of(J.T)) is None


@given(chains())
@examples(200)
def test_no_chain_contradicts_its_structure(chain: Any) -> None:
    J = product_of(chain)
    for one in (J, J.T, J @ J.T, *(link.J for link in chain)):
        assert contradicts(one, np.asarray(one)) is None


@st.composite
def specs(draw: st.DrawFn) -> Jacobian:
    """A random index notation with δ, and operands to it."""
    sizes = {label: draw(st.integers(1, 3)) for label in "ijkl"}
    group = st.lists(st.sampled_from("ijkl"), max_size=3, unique=True).map("".join)
    operands = draw(st.lists(st.lists(st.sampled_from("ijkl"), max_size=2).map("".join), max_size=3))
    out, into = draw(group), draw(group)
    used = {*out, *into, *"".join(operands)}
    arrays = [numbers(draw, tuple(sizes[label] for label in labels)) for labels in operands]
    if operands in ([], [""]):
        arrays = arrays[: len(operands)]
    free = {label: sizes[label] for label in used}
    return Jacobian.einsum(f"{','.join(operands)}->{out}|{into}", *arrays, **free)


@given(specs())
@examples(200)
def test_no_index_notation_contradicts_its_structure(J: Jacobian) -> None:
    dense = dense_of(J)
    assert np.array_equal(np.asarray(J), dense)
    for one, expected in ((J, dense), (J + J, 2 * dense), (-J, -dense)):
        assert contradicts(one, expected) is None


def guarded(form: Any, extent: int, n: int = 3) -> Jacobian:
    pattern = Pattern((n, n), (plain(0),), (plain(1),), (n,), (n,), (), (Guard(form, extent),))
    return Jacobian([Term(pattern)], (n,), (n,))


LATER, EARLIER = selecting((5,), slice(1, None)), selecting((5,), slice(None, -1))


@pytest.mark.parametrize(
    ("J", "said"),
    [
        (Jacobian.identity((2, 3)), "identity"),
        (2 * Jacobian.identity((2, 3)), "diagonal"),
        (Jacobian.zero((2,), (3,)), "zero"),
        (Jacobian.einsum("i->i|i", np.ones(3)), "diagonal"),
        (Jacobian.einsum("i->i|i", np.ones(3)) + Jacobian.identity((3,)), "diagonal"),
        (Jacobian.einsum("->ij|ji", i=2, j=3), "permutation"),
        (Jacobian.einsum("ij->ij|ji", np.ones((2, 3))), "permuted diagonal"),
        (Jacobian.einsum("jk->ik|ij", np.ones((3, 2)), i=2), "block-diagonal over axis 0"),
        (Jacobian.einsum("abij->abi|abj", np.ones((2, 3, 4, 5))), "block-diagonal over axes 0, 1"),
        (Jacobian.einsum("ij->bi|jb", np.ones((2, 3)), b=4), "block-diagonal over axis 0|1"),
        (Jacobian.einsum("ia,jb->ij|ab", np.ones((2, 3)), np.ones((4, 5))), "Kronecker"),
        (Jacobian.einsum("i,j->i|j", np.ones(2), np.ones(3)), "outer product"),
        (Jacobian.einsum("ij->i|j", np.ones((2, 3))), "dense"),
        (Jacobian.einsum("->i|j", i=2, j=3), "constant"),
        (selecting((5,), slice(1, 4)), "selection"),
        (2 * selecting((5,), slice(1, 4)), "one entry per row"),
        (LATER - EARLIER, "sum of 2 terms: selection, one entry per row"),
        (LATER + EARLIER, "sum of 2 terms: selection"),
        (windows((6,), 0, 3, 2, 2, 1, 0), "selection"),
        (windows((6,), 0, 3, 2, 2, 1, 0).T, "selection"),
        (windows((6,), 0, 5, 2, 1, 1, 0).T, "sparse"),
        (Jacobian.einsum("k->h|hk", np.ones(2), h=3) @ windows((5,), 0, 3, 2, 2, 1, 0), "windows"),
        (cumulative(4), "triangular"),
        (cumulative(4).T, "triangular"),
        (guarded(affine(0, [(0, 1), (1, 1)]), 2), "sparse"),
        (guarded(affine(1, [(0, 1), (1, -1)]), 3), "banded"),
        (guarded(affine(-1, [(0, 1), (1, -1)]), 5), "triangular"),
        (guarded(affine(-1, [(0, -1), (1, 1)]), 5), "triangular"),
        (guarded(affine(1, [(0, 1), (1, -1)]), 2), "banded"),
        (guarded(affine(-2, [(0, 1), (1, -1)]), 5), "triangular"),
    ],
)  # fmt: skip
def test_each_structure_is_recognised(J: Jacobian, said: str) -> None:
    assert J.structure == said
    assert contradicts(J, dense_of(J)) is None


def test_structure_carries_kind_and_axes() -> None:
    structure = Jacobian.einsum("ij->bi|jb", np.ones((2, 3)), b=4).structure
    assert (structure.kind, structure.axes) == ("block-diagonal", ((0, 1),))


def test_a_guard_over_a_summed_index_is_no_triangle() -> None:
    sizes = (3, 3, 3)
    access = Access((plain(0), plain(1), plain(2)), sizes)
    pattern = Pattern(sizes, (plain(0),), (plain(1),), (3,), (3,), (access,), (Guard(affine(-1, [(2, 1)]), 1),))
    J = Jacobian([Term(pattern, (Factor(np.ones(sizes)),))], (3,), (3,))
    assert np.asarray(J).all()
    assert J.structure.kind != "triangular"


def test_values_are_never_looked_at() -> None:
    assert Jacobian.einsum("ij->i|j", np.eye(3)).structure == "dense"
    assert Jacobian.einsum("i->i|i", np.zeros(3)).nnz == 3


def test_nnz_of_large_structures_takes_no_memory_of_their_size() -> None:
    n = 10**5
    assert Jacobian.einsum("->i|i", i=n).nnz == n
    assert Jacobian.einsum("i,j->i|j", np.ones(n), np.ones(n)).nnz == n * n
    assert (selecting((n,), slice(1, None)) - selecting((n,), slice(None, -1))).nnz == 2 * n - 2
    assert Jacobian.einsum("i->|i", np.ones(n)).nnz == n
