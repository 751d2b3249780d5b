"""Random chains of matrices: what our order of multiplication costs, next to the optimum and to the pure orders."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

import jacobian as jac
from benchmarks.matrix_chain import best_order, one_sided
from jacobian.kernel.explain import multiplications


def random_chains(count: int = 40, seed: int = 0) -> list[dict[str, Any]]:
    """Chains of 5 to 50 links with sizes from 5 to 500; only shapes matter, so all entries are one number."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        sizes = rng.integers(5, 501, size=rng.integers(5, 51) + 1).tolist()
        links = [np.broadcast_to(np.float64(1), shape) for shape in pairwise(sizes)]
        product = jac.compose(*[jac.Jacobian.from_array(link, 1) for link in links])
        ours = sum(multiplications(term) for term in product.terms)
        best = best_order(sizes)[0]
        forward, reverse = one_sided(sizes, forward=True), one_sided(sizes, forward=False)
        rows.append({"links": len(links), "ours": ours, "best": best, "forward": forward, "reverse": reverse})
    return rows
