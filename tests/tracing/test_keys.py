"""Keys of nodes: equal for graphs that differ in their numbers only."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.ops.registry import REGISTRY
from jacobian.tracing.graph import Graph
from jacobian.tracing.keys import MAX_ENTRIES, canonical

X, V, S = np.ones((2, 3)), np.ones(3), np.float64(0.5)


def keys(f: Any, *args: Any) -> list[Hashable]:
    found = [node.key for node in jac.trace(f, *args).nodes]
    hash(tuple(found))
    return found


def net(x: Any) -> Any:
    return np.tanh(np.ones((2, 2)) @ x)[0, 1:] * 2.0 + x.sum(axis=0, keepdims=True)[:, 1:]


def test_the_same_for_other_numbers() -> None:
    first = keys(net, X)
    assert None not in first and first == keys(net, X * 0.3)
    assert keys(lambda x: x * 2.0, V) == keys(lambda x: x * 3.0, V)
    assert keys(lambda x: x * V, V) == keys(lambda x: x * (5 * V), V)
    assert keys(lambda x: x * S, V) == keys(lambda x: x * np.array(0.5), V)
    assert keys(lambda x: np.where(x > 0, x, 1.0), V) == keys(lambda x: np.where(x > 0, x, 2.0), 2 * V)


DIFFERENT = {
    "shape of the input": (lambda x: x * 2, V, lambda x: x * 2, X),
    "dtype of the input": (lambda x: x * 2, V, lambda x: x * 2, V.astype(np.float32)),
    "op": (np.sin, V, np.cos, V),
    "wiring": (lambda x: (x + 1) * x, V, lambda x: (x + 1) * (x + 1), V),
    "order of operands": (lambda x: np.sin(x) / x, V, lambda x: x / np.sin(x), V),
    "traced or not": (lambda x: x * x, V, lambda x: x * V, V),
    "shape of a constant": (lambda x: x * V, V, lambda x: x * V[:1], V),
    "dtype of a constant": (lambda x: x * V, V, lambda x: x * V.astype(np.float32), V),
    "array or number": (lambda x: x * S, V, lambda x: x * 0.5, V),
    "int or float": (lambda x: x * 2, V, lambda x: x * 2.0, V),
    "bool or int": (lambda x: x * 1, V, lambda x: x * True, V),
    "axis": (lambda x: np.sum(x, axis=0), np.ones((3, 3)), lambda x: np.sum(x, axis=1), np.ones((3, 3))),
    "keepdims": (lambda x: np.sum(x, axis=0, keepdims=True), X, lambda x: np.sum(x, axis=0), X),
    "bounds of a slice": (lambda x: x[0:2], V, lambda x: x[1:3], V),
    "step of a slice": (lambda x: x[::1], V, lambda x: x[::-1], V),
    "index": (lambda x: x[0], V, lambda x: x[1], V),
    "int or slice": (lambda x: x[0:1], V, lambda x: x[[0]], V),
    "table": (lambda x: x[[0, 1]], V, lambda x: x[[0, 2]], V),
    "list or tuple": (lambda x: x[[0, 1]], np.ones((2, 2)), lambda x: x[0, 1], np.ones((2, 2))),
    "True or 1": (lambda x: x[True], V, lambda x: x[1], V),
    "mask": (lambda x: np.where(V > 0, x, 0.0), V, lambda x: np.where(V[:1] > 0, x, 0.0), V),
    "number of operands": (lambda x: np.stack([x, x]), V, lambda x: np.stack([x, x, x]), V),
    "shape asked for": (lambda x: np.reshape(x, (3, 1)), V, lambda x: np.reshape(x, (1, 3)), V),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_different_for_another(name: str) -> None:
    f, x, g, y = DIFFERENT[name]
    first, second = keys(f, x), keys(g, y)
    assert None not in first and None not in second
    assert first != second


def test_none_for_what_cannot_be_told() -> None:
    long = np.arange(MAX_ENTRIES + 1)
    assert keys(lambda x: x[long % 3], V)[1] is None
    assert keys(lambda x: x[long[:-1] % 3], V)[1] is not None


def test_none_in_a_trace_of_a_trace() -> None:
    seen: list[Any] = []

    def outer(x: Any) -> Any:
        inner = jac.trace(lambda y: y * x, 2 * x)
        seen.extend(node.key for node in inner.nodes)
        return x * 2

    outermost = keys(outer, V)
    assert seen == [None, None]
    assert None not in outermost


def test_an_op_says_what_its_rule_decides_by_values(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def decides(values: Any, params: Any) -> Hashable:
        calls.append(params)
        return bool(values[1] == 2)

    monkeypatch.setattr(REGISTRY["power"], "decides", decides)
    square, cube = keys(lambda x: x**2, V), keys(lambda x: x**3, V)
    assert square != cube and square == keys(lambda x: x**2, 3 * V)
    assert calls == [{}, {}, {}]


def test_a_parameter_counts_as_it_was_when_the_op_ran() -> None:
    index, flags = np.array([0, 1]), np.array([True, False, True])

    def f(x: Any) -> Any:
        first, second = x[index], np.where(flags, x, 0.0)
        index[:], flags[:] = 2, False
        return np.sum(first) + np.sum(second)

    np.testing.assert_array_equal(jac.jacobian(f)(V).tensor(), [2.0, 1.0, 1.0])
    index[:], flags[:] = [0, 1], [True, False, True]
    before = keys(f, V)
    index[:], flags[:] = [0, 1], [True, False, True]
    assert keys(f, V) == before


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (True, 1), (1, 1.0), (0.0, -0.0), ((1,), [1]), (slice(1), (None, 1, None)), (None, "None"),
        (np.float64(1), 1.0), (np.ones(1), np.ones((1, 1))), (np.ones(1), np.ones(1, np.float32)),
        (np.dtype(float), "float64"), ({"a": 1}, {"a": True}), (Ellipsis, None), (np.array(1.0), np.float64(1.0)),
    ],
)  # fmt: skip
def test_equality_of_parameters_is_not_pythons(one: Any, other: Any) -> None:
    assert canonical(one) != canonical(other)
    assert canonical(one) == canonical(one)


def test_not_a_number_is_itself() -> None:
    assert canonical(float("nan")) == canonical(float("nan"))


def test_a_graph_compares_captured_arrays_by_all_their_bytes() -> None:
    graph, array = Graph(), np.array([0.0, 1.0])
    first = graph.constant(array)
    assert graph.constant(array) is first and not first.flags.writeable
    array[0] = -0.0
    assert np.signbit(graph.constant(array)[0])
    array.shape = (2, 1)
    assert graph.constant(array).shape == (2, 1)
