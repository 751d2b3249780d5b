"""Random programs in plain NumPy: layout, products, reductions and elementwise steps, reusing what came before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import jacobian as jac
from jacobian.tracing.tree import leaves
from tests.differences import central

Step = Callable[[Any, Any], Any]
LIMIT = 40  # entries an intermediate may have, so that the differences stay cheap


def smooth(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def mixed(x: Any, y: Any) -> Any:
    """A second value brought to the shape of the first, whatever its own."""
    return x * np.mean(np.sin(y)) + np.ravel(y)[-1]


STEPS: dict[str, Step] = {
    "tanh": lambda x, y: np.tanh(x),
    "twice": lambda x, y: np.dot(2, x),
    "sin": lambda x, y: np.sin(x) + 1,
    "quadratic": lambda x, y: 0.3 * x * x - x,
    "rational": lambda x, y: x / (1 + x**2),
    "exp": lambda x, y: np.exp(-(x**2)),
    "where": lambda x, y: np.where(np.arange(x.size).reshape(x.shape) % 2 == 0, x, -2 * x),
    "transpose": lambda x, y: x.T,
    "flatten": lambda x, y: x.reshape(-1),
    "column": lambda x, y: x.reshape(-1, 1),
    "regroup": lambda x, y: x.reshape(2, -1) if x.size % 2 == 0 else x.reshape(-1, 1),
    "fortran": lambda x, y: x.reshape((-1,), order="F"),
    "reverse": lambda x, y: np.flip(x, -1) if x.ndim else x,
    "every other": lambda x, y: x[..., ::2] if x.ndim else x,
    "tail": lambda x, y: x[..., 1:] if x.ndim and x.shape[-1] > 1 else x,
    "roll": lambda x, y: np.roll(x, 1, -1) if x.ndim else x,
    "pick": lambda x, y: np.take(x, [0, -1, 0], axis=-1) if x.ndim else x,
    "pad": lambda x, y: np.pad(x, 1) if x.ndim and x.size < 12 else x,
    "windows": lambda x, y: np.lib.stride_tricks.sliding_window_view(x.ravel(), 2) if x.size > 1 else x,
    "repeat": lambda x, y: np.repeat(x, 2, axis=-1) if x.ndim else x,
    "tile": lambda x, y: np.tile(x, 2),
    "diagonal": lambda x, y: np.diagonal(x) if x.ndim > 1 else x,
    "triangle": lambda x, y: np.tril(x) if x.ndim > 1 else x,
    "expand": lambda x, y: x[None],
    "squeeze": lambda x, y: np.squeeze(x),
    "sum": lambda x, y: x.sum(axis=-1, keepdims=True) + x if x.ndim else x,
    "mean": lambda x, y: x - x.mean(axis=0) if x.ndim else x,
    "reduce": lambda x, y: x.sum(axis=0) if x.ndim else x,
    "cumsum": lambda x, y: np.cumsum(x, axis=-1) if x.ndim else x,
    "softmax": lambda x, y: (lambda e: e / e.sum(axis=-1, keepdims=True))(np.exp(x)) if x.ndim else x,
    "norm": lambda x, y: x / np.sqrt(np.sum(x**2) + 1),
    "matrix": lambda x, y: x @ smooth(3, x.shape[-1], 2) if x.ndim else x,
    "gram": lambda x, y: np.einsum("...i,...j->...ij", x, x) if x.ndim else x * x,
    "tensordot": lambda x, y: np.tensordot(smooth(4, 2, x.shape[0]), x, 1) if x.ndim else x,
    "join": lambda x, y: np.concatenate([x.ravel(), y.ravel()]),
    "stack": lambda x, y: np.stack([x, 2 * x, mixed(x, y)], axis=-1),
    "add earlier": lambda x, y: x + mixed(x, y),
    "times earlier": lambda x, y: x * mixed(x, y),
    "outer earlier": lambda x, y: np.multiply.outer(x, y.ravel()[:2]),
}


def program(names: list[str]) -> Callable[[Any], Any]:
    """The steps in a row; every step also sees the value two steps back. What would grow too large is left out."""

    def f(x: Any) -> Any:
        before, value = x, x
        for name in names:
            after = STEPS[name](value, before)
            if after.size <= LIMIT and after.ndim <= 4:
                before, value = value, after
        return value

    return f


PROGRAMS = st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=7)
SHAPES = st.sampled_from([(), (1,), (3,), (2, 2), (2, 3), (1, 3), (2, 1, 2), (4,)])
QUICK = settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@QUICK
@given(PROGRAMS, SHAPES, st.sampled_from(["auto", "forward", "reverse"]))
def test_first_order(names: list[str], shape: tuple[int, ...], order: str) -> None:
    f, x = program(names), smooth(1, *shape)
    y, J = jac.value_and_jacobian(f, order=order)(x)
    np.testing.assert_allclose(y, f(x), rtol=1e-12)
    expected = central(f, x)
    scale = 1 + np.max(np.abs(expected), initial=0)
    np.testing.assert_allclose(np.asarray(J), expected, atol=1e-7 * scale)
    mask = np.asarray(J) != 0
    assert J.nnz >= mask.sum()
    dx, u = smooth(2, *shape), smooth(3, *np.shape(y))
    np.testing.assert_allclose(J @ dx, np.tensordot(expected, dx, len(shape)), atol=1e-6 * scale)
    np.testing.assert_allclose(u @ J, np.tensordot(u, expected, np.ndim(y)), atol=1e-6 * scale)
    assert J.formula and J.explain() and J.latex


@settings(QUICK, max_examples=120)
@given(PROGRAMS, SHAPES)
def test_second_order(names: list[str], shape: tuple[int, ...]) -> None:
    f, x = program(names), smooth(1, *shape)
    H = np.asarray(jac.hessian(f)(x))
    expected = central(lambda v: np.asarray(jac.jacobian(f)(v)), x)
    scale = 1 + np.max(np.abs(expected), initial=0)
    np.testing.assert_allclose(H, expected, atol=1e-6 * scale)


def test_the_shape_of_an_input_that_nothing_depends_on_is_part_of_what_is_planned() -> None:
    for shape in ((6, 4), (4,), (3, 2), (), (2, 0)):
        for f in (lambda x, w: x, lambda x, w: {"twice": x, "other": w}):
            found = jac.jacobian(f, argnums=(0, 1))(np.ones(6), np.ones(shape))
            for J in leaves(found):
                assert np.asarray(J).shape == J.shape
