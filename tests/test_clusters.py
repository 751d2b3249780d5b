"""Functions written number by number: the numbers between arrays are eliminated before the arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian import clusters, plan, replay
from jacobian.chain import Trace
from jacobian.programs import Memory
from jacobian.tracing.run import run
from tests.differences import central
from tests.written import texts_of

RNG = np.random.default_rng(0)


def times(p: Any, q: Any) -> Any:
    """The product of two quaternions."""
    return np.stack([
        p[0] * q[0] - p[1] * q[1] - p[2] * q[2] - p[3] * q[3], p[0] * q[1] + p[1] * q[0] + p[2] * q[3] - p[3] * q[2],
        p[0] * q[2] - p[1] * q[3] + p[2] * q[0] + p[3] * q[1], p[0] * q[3] + p[1] * q[2] - p[2] * q[1] + p[3] * q[0],
    ])  # fmt: skip


def composed(Q: Any) -> Any:
    p = Q[0]
    for q in Q[1:]:
        p = times(p, q / np.sqrt(np.sum(q**2)))
    return p


def rotated(x: Any) -> Any:
    c, s, t = np.cos(x[0]), np.sin(x[0]), x[1] * x[2]
    rows = [[c * t, -s * t, c * s], [s / t, c + t, s - t], [c - t * s, t * t, s * s]]
    R = np.stack([np.stack(row) for row in rows])
    return R @ x + np.stack([t, s, c]) * np.max(R)


def shared(x: Any) -> Any:
    a, b = x[0] * x[1], x[1] - x[2]
    first = np.stack([a * b + a, a / b, np.sin(a) * b, a * a - b, b * b])
    return np.stack([a * b, *(first[:3] * x)]) * np.exp(first[1] - first[2]), first


def shifted(x: Any) -> Any:
    m = np.max(x[:2], keepdims=True)
    s = m[0] * 2 - m[0] + x[2] * 0 + np.sin(x[2]) * 0 - x[1] * 0 + x[0] * 0
    y = np.exp(x - s)
    return y / np.sum(y) * x


FUNCTIONS: list[tuple[Callable[[Any], Any], Any]] = [
    (composed, RNG.normal(size=(3, 4))), (composed, RNG.normal(size=(9, 4))), (rotated, np.array([0.3, 1.2, 0.7])),
    (shared, np.array([0.3, 1.2, 0.7])), (shifted, np.array([0.3, 1.2, 0.7])),
]  # fmt: skip


@pytest.fixture(autouse=True)
def anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "SCRIPTS", Memory(replay.Kind, replay.REMEMBERED))


@pytest.mark.parametrize(("f", "x"), FUNCTIONS)
@pytest.mark.parametrize("order", ["lazy reverse", "lazy forward", "reverse", "forward"])
def test_every_order_gives_the_jacobian(
    f: Callable[[Any], Any], x: Any, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[str] = []

    def always(graph: plan.Paths) -> tuple[str]:
        chosen.append(clusters.FIRST + order)
        return (chosen[-1],)

    monkeypatch.setattr(clusters, "FEWEST", 1)
    monkeypatch.setattr(clusters, "contenders", always)
    first = lambda *given: np.concatenate([np.ravel(y) for y in as_tuple(f(*given))])  # noqa: E731
    g = jac.value_and_jacobian(f)
    for k in range(4):
        point = x + k / 8
        values, jacobians = (as_tuple(one) for one in g(point))
        np.testing.assert_allclose(np.concatenate([np.ravel(y) for y in values]), first(point), rtol=1e-12)
        found = np.concatenate([np.reshape(np.asarray(J), (-1, *x.shape)) for J in jacobians])
        np.testing.assert_allclose(found, central(first, point), rtol=1e-6, atol=1e-7)
    assert chosen


def as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def graph_of(f: Callable[[Any], Any], x: Any) -> plan.Paths:
    recording = run(f, [0], [x], {})
    of = Trace(recording).output
    return plan.paths(of, [recording.inputs[0]])


def test_what_is_in_a_cluster() -> None:
    graph = graph_of(composed, FUNCTIONS[0][1])
    found = clusters._clusters(graph)
    assert [group.nodes[0].op.name for group in found] == ["stack", "stack"]
    for group in found:
        assert all(node.shape == () for node in group.nodes[1:])
        assert {source.shape for source in group.sources} == {(4,)}
    assert graph.of is found[0].nodes[0]
    assert found[1].nodes[0] in found[0].sources


def test_numbers_made_for_two_arrays_are_in_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "FEWEST", 1)
    graph = graph_of(lambda x: shared(x)[0], FUNCTIONS[3][1])
    inside = {node.index for group in clusters._clusters(graph) for node in group.nodes[1:]}
    for group in clusters._clusters(graph):
        for source in group.sources:
            assert source.index not in inside


def test_with_one_number_at_an_end_nothing_is_gained() -> None:
    graph = graph_of(lambda Q: np.sum(composed(Q)), FUNCTIONS[0][1])
    assert not any(order.startswith(clusters.FIRST) for order in clusters.contenders(graph))


def test_a_long_product_of_quaternions_is_one_of_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    g = jac.jacobian(composed)
    [text] = texts_of(lambda Q: g(Q).tensor(), FUNCTIONS[1][1], monkeypatch=monkeypatch)
    assert text.count(".dot(") >= 8
