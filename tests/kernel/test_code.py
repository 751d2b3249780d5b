"""Programs under construction: names."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

import jacobian as jac
from jacobian.kernel.code import Code


def test_no_two_values_have_one_name() -> None:
    """`exp2` and 6 are not `exp` and 26."""
    code, prefixes = Code(), ["exp2", "log2", "log10", "exp", "log", "t", "t1", "full"]
    names = [code.fresh(prefixes[k]) for k in np.random.default_rng(0).integers(len(prefixes), size=2000)]
    assert len(set(names)) == len(names)


def test_functions_whose_names_begin_alike_in_one_program() -> None:
    """Whatever number each of them happens to get."""
    x = np.array([0.5, 1.5])
    for steps in range(24):

        def f(x: np.ndarray, steps: int = steps) -> np.ndarray:
            y = np.exp2(0.2 * x)
            for k in range(steps):
                y = y * (1 + 0.01 * (k + x))
            return np.logaddexp(y, 0.3) + np.log(y) + np.log2(1 + y) + np.exp(-y)

        J = jac.jacobian(f)
        expected = np.asarray(J(x))
        for _ in range(3):
            assert_allclose(np.asarray(J(x)), expected, rtol=1e-12)
