"""The textbook's optimal order of a matrix chain, by dynamic programming over intervals."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

Order = tuple[int, dict[tuple[int, int], int]]


def best_order(sizes: Sequence[int]) -> Order:
    """The fewest multiplications for matrices of `sizes[k] × sizes[k+1]`, and where each interval is cut."""
    count = len(sizes) - 1
    cost = {(k, k + 1): 0 for k in range(count)}
    cut: dict[tuple[int, int], int] = {}
    for length in range(2, count + 1):
        for start in range(count - length + 1):
            stop = start + length
            cost[start, stop], cut[start, stop] = min(
                (cost[start, k] + cost[k, stop] + int(sizes[start]) * int(sizes[k]) * int(sizes[stop]), k)
                for k in range(start + 1, stop)
            )
    return cost[0, count], cut


def one_sided(sizes: Sequence[int], *, forward: bool) -> int:
    """Multiplications when the product grows from the input on (forward) or from the output back."""
    sizes = [int(size) for size in (sizes[::-1] if forward else sizes)]
    return sum(sizes[0] * a * b for a, b in pairwise(sizes[1:]))


def multiply(matrices: Sequence[np.ndarray], order: Order) -> np.ndarray:
    """The product in that order."""

    def product(start: int, stop: int) -> np.ndarray:
        if stop - start == 1:
            return matrices[start]
        middle = order[1][start, stop]
        return product(start, middle) @ product(middle, stop)

    return product(0, len(matrices))
