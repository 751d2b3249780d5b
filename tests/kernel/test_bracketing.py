"""Chains are multiplied in the best order there is."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

import jacobian as jac
from jacobian.kernel.explain import multiplications


def least_multiplications(sizes: list[int]) -> int:
    """The textbook's matrix chain: sizes of the matrices' sides, by dynamic programming written anew."""

    @cache
    def best(first: int, last: int) -> int:
        if last - first < 2:
            return 0
        return min(
            best(first, k) + best(k, last) + sizes[first] * sizes[k] * sizes[last] for k in range(first + 1, last)
        )

    return best(0, len(sizes) - 1)


@pytest.mark.parametrize("links", [2, 3, 5, 8, 13, 21, 34, 50])
@pytest.mark.parametrize("seed", [0, 1])
def test_compose_equals_the_best_bracketing(links: int, seed: int) -> None:
    sizes = np.random.default_rng(seed + 10 * links).integers(5, 500, links + 1).tolist()
    chain = [jac.Jacobian.from_array(np.zeros(pair), 1) for pair in pairwise(sizes)]
    J = jac.compose(*chain)
    assert multiplications(J.terms[0]) == least_multiplications(sizes)


def test_the_product_is_right_and_cheaper_than_either_pure_order() -> None:
    rng = np.random.default_rng(3)
    sizes = [30, 4, 25, 3, 40, 5, 20]
    matrices = [rng.normal(size=pair) for pair in pairwise(sizes)]
    J = jac.compose(*(jac.Jacobian.from_array(m, 1) for m in matrices))
    np.testing.assert_allclose(np.asarray(J), np.linalg.multi_dot(matrices))
    forward = sum(a * b * sizes[-1] for a, b in pairwise(sizes[:-1]))
    reverse = sum(sizes[0] * a * b for a, b in pairwise(sizes[1:]))
    assert multiplications(J.terms[0]) < min(forward, reverse)


def test_diagonal_links_between_matrices_do_not_spoil_the_order() -> None:
    rng = np.random.default_rng(4)
    W = [rng.normal(size=pair) for pair in pairwise([50, 2, 60, 3])]

    def f(x: np.ndarray) -> np.ndarray:
        return W[0] @ np.tanh(W[1] @ np.tanh(W[2] @ x))

    J = jac.jacobian(f)(np.zeros(3))
    term = J.terms[0]
    # 2·60 and 2·60·3 for the middle, 2·3 for a diagonal next to it, 50·2·3 for the outer matrix, in some order
    assert multiplications(term) <= 60 * 3 + 2 * 60 * 3 + 2 * 3 + 50 * 2 * 3
