"""A maximum that is subtracted for the sake of numerics only is not differentiated through; any other one is."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian import plan
from tests.differences import central

Function = Callable[[Any], Any]
LABELS = np.array([2, 0, 4, 2])
V = np.linspace(-1, 1, 15).reshape(5, 3)


def top(x: Any, **kwargs: Any) -> Any:
    return np.max(x, axis=-1, keepdims=True, **kwargs)


def powers(x: Any) -> Any:
    return np.exp(x - top(x))


CANCEL: dict[str, Function] = {
    "softmax": lambda x: powers(x) / np.sum(powers(x), axis=-1, keepdims=True),
    "in one of two": lambda x: (lambda e: e / e.sum(axis=-1, keepdims=True))(powers(x)) * top(x),
    "one softmax": lambda x: (lambda e: e / e.sum(axis=-1, keepdims=True))(powers(x)),
    "of all": lambda x: (lambda e: e / e.sum())(np.exp(x - np.max(x))),
    "by columns": lambda x: (lambda e: e / e.sum(axis=0))(np.exp(x - np.max(x, axis=0))),
    "log-sum-exp": lambda x: np.log(np.sum(powers(x), axis=-1)) + top(x)[..., 0],
    "squeezed": lambda x: np.squeeze(top(x), -1) + np.log(powers(x).sum(axis=-1)),
    "reshaped": lambda x: np.log(powers(x).sum(axis=-1)) + np.max(x, axis=-1).reshape(-1),
    "log-softmax": lambda x: (lambda z: z - np.log(np.exp(z).sum(axis=-1, keepdims=True)))(x - top(x)),
    "by the least": lambda x: (lambda e: e / e.sum(axis=-1, keepdims=True))(np.exp(x - np.min(x))),
    "at a temperature": lambda x: (lambda e: e / e.sum(axis=-1, keepdims=True))(np.exp((x - top(x)) / 3.0)),
    "mean of values": lambda x: (lambda e: (e @ V) / e.sum(axis=-1, keepdims=True))(powers(x)),
    "mean of one value": lambda x: (lambda e: (e @ V[:, 0]) / e.sum(axis=-1))(powers(x)),
    "root mean": lambda x: (lambda e: np.sqrt(e) / np.sqrt(np.mean(e, axis=-1, keepdims=True)))(powers(x)),
    "difference": lambda x: (x - top(x)) - np.mean(x - top(x), axis=-1, keepdims=True),
    "cross-entropy": lambda x: (lambda z: np.log(np.exp(z).sum(axis=-1)) - z[np.arange(4), LABELS])(x - top(x)),
    "one row": lambda x: np.log(np.exp(x - top(x)).sum(axis=-1))[1:2] - (x - top(x))[1, LABELS],
    "every other row": lambda x: (lambda z: np.log(np.exp(z).sum(axis=-1))[::2] - z[[0, 2], [4, 1]])(x - top(x)),
    "along an axis": lambda x: (
        lambda z: np.log(np.exp(z).sum(axis=-1)) - np.take_along_axis(z, LABELS[:, None], 1)[:, 0]
    )(x - top(x)),
    "row by row": lambda x: sum(
        (x[i] - x[i].max())[LABELS[i]] - np.log(np.exp(x[i] - x[i].max()).sum()) for i in range(4)
    ),
    "taken": lambda x: (lambda z: np.log(np.exp(z).sum(axis=-1, keepdims=True)) - np.take(z, [3, 1, 1], axis=1))(
        x - top(x)
    ),
}
REMAIN: dict[str, Function] = {
    "sum": lambda x: np.sum(powers(x), axis=-1),
    "difference": lambda x: x - top(x),
    "square": lambda x: (lambda e: e**2 / e.sum(axis=-1, keepdims=True))(powers(x)),
    "other rows": lambda x: (lambda e: e / e.sum())(powers(x)),
    "other columns": lambda x: (lambda e: e / e.sum(axis=0))(powers(x)),
    "next row": lambda x: (lambda e: e / np.roll(e, 1, axis=0))(powers(x).sum(axis=-1)),
    "shifted rows": lambda x: (lambda m: np.log(np.exp(x - m[:, None]).sum(axis=-1))[:-1] + m[1:])(np.max(x, axis=-1)),
    "first row": lambda x: (lambda m: np.log(np.exp(x - m[:, None]).sum(axis=-1)) + m[0])(np.max(x, axis=-1)),
    "twice": lambda x: np.log(np.sum(powers(x), axis=-1)) + 2 * top(x)[..., 0],
    "wrong temperature": lambda x: 3.0 * np.log(np.sum(np.exp((x - top(x)) / 2.0), axis=-1)) + top(x)[..., 0],
    "factors added": lambda x: powers(x) + 1 / powers(x),
    "exchanged rows": lambda x: (lambda z: np.log(np.exp(z).sum(axis=-1)) - z[[1, 0, 3, 2], LABELS])(x - top(x)),
    "another row": lambda x: (x[0] - x[0].max())[2] - np.log(np.exp(x[0] - x[1].max()).sum()),
    "the same row": lambda x: (lambda z: np.log(np.exp(z).sum(axis=-1)) - z[[1, 1, 1, 1], LABELS])(x - top(x)),
    "wrapped": lambda x: (lambda z: np.log(np.exp(z).sum(axis=-1)) - z.take([0, -1, 7, 8], mode="clip"))(x - top(x)),
    "initial": lambda x: x - np.max(x - top(x), axis=-1, initial=-0.1, keepdims=True),
}
X = np.random.default_rng(5).normal(size=(4, 5))


def shifted(f: Function, x: np.ndarray) -> bool:
    """Whether some path through a maximum was left out."""
    traced = jac.trace(f, x)
    graph = plan.paths(traced.output, [traced.inputs[0]])
    return plan.without_shifts(graph) is not graph


@pytest.mark.parametrize("name", CANCEL)
def test_shifts_that_cancel(name: str) -> None:
    f = CANCEL[name]
    assert shifted(f, X)
    for order in ("auto", "forward", "reverse"):
        for x in (X, 2 * X, X[::-1], X + 1):
            np.testing.assert_allclose(np.asarray(jac.jacobian(f, order=order)(x)), central(f, x), atol=1e-8)
    np.testing.assert_allclose(
        np.asarray(jac.hessian(f)(X)), central(lambda v: np.asarray(jac.jacobian(f)(v)), X), atol=1e-7
    )


@pytest.mark.parametrize("name", REMAIN)
def test_shifts_that_do_not(name: str) -> None:
    f = REMAIN[name]
    assert not shifted(f, X)
    for x in (X, 2 * X, X[::-1], X + 1):
        np.testing.assert_allclose(np.asarray(jac.jacobian(f)(x)), central(f, x), atol=1e-7)


def test_a_factor_may_change_although_the_program_stays() -> None:
    """Numbers are no part of a program: what it leaves out must be zero whatever they are."""
    for outer, inner in ((2.0, 2.0), (2.0, 2.0), (3.0, 2.0), (2.0, 5.0)):

        def f(x: Any, outer: float = outer, inner: float = inner) -> Any:
            return outer * np.log(np.sum(np.exp((x - top(x)) / inner), axis=-1)) + top(x)[..., 0]

        np.testing.assert_allclose(np.asarray(jac.jacobian(f)(X)), central(f, X), atol=1e-7)


def test_ties_do_not_matter_where_the_shift_cancels() -> None:
    x = np.zeros((2, 5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        J = jac.jacobian(CANCEL["softmax"])(x)
    np.testing.assert_allclose(np.asarray(J)[0, :, 0], np.eye(5) / 5 - 1 / 25)


def test_the_jacobian_by_the_maximum_itself() -> None:
    traced = jac.trace(CANCEL["one softmax"], X)
    J = traced.jacobian(wrt=next(node for node in traced.nodes if node.op and node.op.name == "max"))
    np.testing.assert_allclose(J.tensor(), 0, atol=1e-15)


def test_several_maxima() -> None:
    def f(x: Any) -> Any:
        e = powers(x)
        return np.max(e / e.sum(axis=-1, keepdims=True), axis=-1) * top(x)[:, 0]

    np.testing.assert_allclose(np.asarray(jac.jacobian(f)(X)), central(f, X), atol=1e-8)


@pytest.mark.parametrize("same_rows", [True, False])
def test_entries_that_are_picked_at_every_call(same_rows: bool) -> None:
    """Which entries of a row are picked does not matter to the row's own shift; which rows are does."""

    def loss(x: Any, rows: Any, labels: Any) -> Any:
        z = x - top(x)
        return np.log(np.exp(z).sum(axis=-1)) - z[rows, labels]

    rng, J = np.random.default_rng(8), jac.jacobian(loss)
    for _ in range(8):
        x, labels = rng.normal(size=(4, 5)), rng.integers(0, 5, 4)
        rows = np.arange(4) if same_rows else rng.integers(0, 4, 4)
        np.testing.assert_allclose(
            np.asarray(J(x, rows, labels)), central(lambda x, r=rows, k=labels: loss(x, r, k), x), atol=1e-8
        )


def test_ties_are_not_told_of_later_either_where_the_shift_cancels() -> None:
    J, x = jac.jacobian(CANCEL["cross-entropy"]), np.zeros((4, 5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = [np.asarray(J(x)) for _ in range(4)]
    expected = np.zeros((4, 4, 5))
    expected[np.arange(4), np.arange(4)] = 1 / 5 - np.eye(5)[LABELS]
    for one in found:
        np.testing.assert_allclose(one, expected, atol=1e-15)
