"""Which order of elimination is chosen: for a program that is run often, the one that its lines say is the quickest."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import jacobian as jac
from jacobian import algebra, plan
from jacobian.clusters import quickest
from jacobian.kernel.effort import effort
from jacobian.kernel.explain import multiplications
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.simplify import shapes_only
from jacobian.scripting import Scripting
from jacobian.tracing.graph import Node

from .kernel.strategies import Map, chains, product_of


def stencil(x: Any) -> Any:
    return x[:-2] - 2 * x[1:-1] + x[2:] + x[1:-1] * (x[2:] - x[:-2])


def normalised(x: Any) -> Any:
    centred = x - np.mean(x, axis=0)
    return centred / np.sqrt(np.mean(centred**2, axis=0) + 1e-5)


def residual(x: Any) -> Any:
    return x + np.tanh(x + np.sin(x))


def loss(x: Any) -> Any:
    return np.sum(np.tanh(x) ** 2) / np.sum(x**2)


CASES = [(stencil, (4096,)), (normalised, (48, 30)), (residual, (500,)), (loss, (5000,))]


def graph_of(f: Callable[..., Any], shape: tuple[int, ...]) -> tuple[plan.Paths, Sequence[Node]]:
    traced = jac.trace(f, np.random.default_rng(0).normal(size=shape))
    inputs = list(traced.inputs.values())
    return plan.paths(traced.output, inputs), inputs


def program_for(graph: plan.Paths, inputs: Sequence[Node], order: str) -> tuple[Scripting, str]:
    writing = Scripting([graph.of], inputs)
    (J,) = plan.accumulate(graph, writing, order)
    return writing, writing.tensor(J)


@pytest.mark.parametrize(("f", "shape"), CASES)
def test_auto_takes_no_more_effort_than_forward_or_reverse(f: Callable[..., Any], shape: tuple[int, ...]) -> None:
    graph, inputs = graph_of(f, shape)
    chosen = quickest(graph, "auto", lambda: Scripting([graph.of], inputs))
    efforts = {}
    for order in ("forward", "reverse", chosen):
        writing, result = program_for(graph, inputs, order)
        efforts[order] = effort(writing.code, [result])
    assert efforts[chosen] == min(efforts.values())


@pytest.mark.parametrize("n", [4096, 6000])
def test_diagonals_of_a_large_result_are_written_once_each(n: int) -> None:
    graph, inputs = graph_of(stencil, (n,))
    chosen = quickest(graph, "auto", lambda: Scripting([graph.of], inputs))
    writing, result = program_for(graph, inputs, chosen)
    assert sum(line.changes for line in writing.code.lines_for([result])) == 3


def test_an_order_that_is_told_is_taken() -> None:
    graph, inputs = graph_of(stencil, (4096,))
    assert quickest(graph, "reverse", lambda: Scripting([graph.of], inputs)) == "reverse"


def test_orders_that_are_far_too_dear_are_not_written() -> None:
    X = np.random.default_rng(2).normal(size=(100, 40))
    graph, _ = graph_of(lambda W: np.mean((np.tanh(X @ W) - X @ W) ** 2), (40, 50))
    assert "lazy reverse" in plan.contenders(graph)
    assert "forward" not in plan.contenders(graph)


def test_a_chain_has_one_contender() -> None:
    graph, _ = graph_of(lambda x: np.tanh(np.sin(x)), (5000,))
    assert plan.contenders(graph) == ("lazy reverse",)


@pytest.mark.parametrize(("f", "shape"), CASES[:3])
def test_the_chosen_program_gives_the_same_numbers(f: Callable[..., Any], shape: tuple[int, ...]) -> None:
    shape = tuple(min(size, 300) for size in shape)
    x = np.random.default_rng(1).normal(size=shape)
    found = jac.jacobian(f)
    expected = np.asarray(jac.jacobian(f, order="reverse")(x))
    for _ in range(3):
        np.testing.assert_allclose(np.asarray(found(x)), expected, rtol=1e-12, atol=1e-12)


def gated(x: Any) -> Any:
    h = WEIGHTS[0] @ x
    return WEIGHTS[1] @ (h * (1 + np.tanh(h)))


def blocks(x: Any) -> Any:
    for W in WEIGHTS[2:]:
        x = x + np.tanh(W @ np.sin(x))
    return x


WEIGHTS = [np.random.default_rng(3).normal(size=shape) / 9 for shape in ((200, 80), (170, 200), (80, 80), (80, 80))]


@pytest.mark.parametrize(("f", "count"), [(gated, 4), (blocks, 3)])
def test_segments_meet_where_all_paths_go_through(f: Callable[..., Any], count: int) -> None:
    graph, _ = graph_of(f, (80,))
    parts = graph.segments
    assert len(parts) == count
    assert [part.of.index for part in parts[1:]] == [part.wrt[0].index for part in parts[:-1]]
    assert parts[0].of is graph.of
    assert parts[-1].wrt == graph.wrt


@pytest.mark.parametrize("f", [gated, blocks, loss, residual])
def test_segments_give_the_same_numbers(f: Callable[..., Any]) -> None:
    graph, _ = graph_of(f, (80,))
    [expected] = plan.accumulate(graph, algebra.Numeric(), "forward")
    [found] = plan.accumulate(graph, algebra.Numeric(), "segments")
    np.testing.assert_allclose(found.tensor(), expected.tensor(), rtol=1e-12, atol=1e-12)


def test_a_gate_is_multiplied_out_before_it_meets_the_weights() -> None:
    graph, inputs = graph_of(gated, (80,))
    assert quickest(graph, "auto", lambda: Scripting([graph.of], inputs)) in {"segments", "lazy forward"}
    segments, reverse = (plan.cost(graph, order) for order in ("segments", "reverse"))
    assert segments.multiplications < reverse.multiplications


def test_an_input_within_a_segment_ends_them() -> None:
    traced = jac.trace(lambda x: np.tanh(np.sin(x) * x), np.ones(5))
    middle = traced.output.parents[0][1]
    source = next(iter(traced.inputs.values()))
    graph = plan.paths(traced.output, [source, middle])
    for found, expected in zip(
        plan.accumulate(graph, algebra.Numeric(), "segments"), plan.accumulate(graph, algebra.Numeric(), "forward"),
        strict=True,
    ):  # fmt: skip
        np.testing.assert_allclose(found.tensor(), expected.tensor(), rtol=1e-12, atol=1e-12)


def kuramoto(x: Any) -> Any:
    """Four coupled steps: every phase is read by all others, and by itself."""
    for _ in range(2):
        x = x + 0.1 * np.mean(np.sin(x[None, :] - x[:, None]), axis=1)
    return x


def test_products_that_only_grow_may_be_left_open() -> None:
    graph, inputs = graph_of(kuramoto, (40,))
    assert "lean reverse" in plan.contenders(graph)
    efforts = {}
    for order in ("lean reverse", "lazy reverse"):
        writing, result = program_for(graph, inputs, order)
        efforts[order] = effort(writing.code, [result])
    assert efforts["lean reverse"] < 0.7 * efforts["lazy reverse"]
    x = np.random.default_rng(4).normal(size=40)
    expected = np.asarray(jac.jacobian(kuramoto, order="forward")(x))
    for order in ("lean reverse", "lean forward"):
        traced = jac.trace(kuramoto, x)
        [J] = plan.accumulate(plan.paths(traced.output, list(traced.inputs.values())), algebra.Numeric(), order)
        np.testing.assert_allclose(J.tensor(), expected, rtol=1e-12, atol=1e-15)
    g = jac.jacobian(kuramoto)
    for _ in range(3):
        np.testing.assert_allclose(g(x), expected, rtol=1e-12, atol=1e-15)


def test_small_graphs_with_many_nodes_have_contenders() -> None:
    def rays(x: Any) -> Any:
        for k in range(8):
            x = np.array([[1.0, 0.1 * k], [0.2, 1.0]]) @ x + np.sin(x)
        return np.sum(x**2)

    graph, _ = graph_of(rays, (2, 6))
    assert len(plan.contenders(graph)) > 1
    tiny, _ = graph_of(lambda x: np.stack([x[0] * x[1], x[1] - x[2]]), (3,))
    assert len(plan.contenders(tiny)) == 1


def test_where_nothing_only_grows_nothing_is_left_open() -> None:
    graph, _ = graph_of(residual, (500,))
    assert not any(order.startswith("lean") for order in plan.contenders(graph))


def test_a_result_that_depends_on_no_input_has_one_contender() -> None:
    g = jac.jacobian(lambda x, v: v + 0 * np.zeros(3))
    for _ in range(4):
        np.testing.assert_array_equal(g(np.ones(2), np.ones(3)), np.zeros((3, 2)))
    g = jac.jacobian(lambda x: np.full_like(x, 2.0) * 3)
    for _ in range(4):
        np.testing.assert_array_equal(g(np.ones((2, 2))), np.zeros((2, 2, 2, 2)))


@given(chains())
def test_counting_again_counts_the_same(maps: list[Map]) -> None:
    J = product_of(maps)
    first, again = algebra.Counting(), algebra.Counting()
    results = [first.contract(J), again.contract(J)]
    assert (first.multiplications, first.nbytes, first.largest) == (again.multiplications, again.nbytes, again.largest)
    assert first.multiplications == sum(multiplications(term) for term in J.terms)
    assert [term.pattern for term in results[0].terms] == [term.pattern for term in shapes_only(J).terms]


def test_equal_products_of_different_arrays_are_counted_each() -> None:
    rng = np.random.default_rng(0)
    A, B, C, D = (Jacobian.from_array(rng.normal(size=(8, 8)), 1) for _ in range(4))
    counting = algebra.Counting()
    both = Jacobian.total([counting.contract(A @ B), counting.contract(C @ D)])
    assert len(both.terms) == 2
    assert counting.multiplications == 2 * 8**3


def test_of_long_functions_only_lazy_orders_are_tried() -> None:
    def steps(count: int) -> plan.Paths:
        def f(x: Any) -> Any:
            for _ in range(count):
                x = x + 0.01 * np.sin(np.roll(x, 1)) * x
            return x

        trace = jac.trace(f, np.linspace(0.1, 1, 40))
        assert isinstance(trace.output, Node)
        return plan.paths(trace.output, [trace.nodes[0]])

    assert {"reverse", "forward"} & set(plan.contenders(steps(5)))
    long = plan.contenders(steps(20))
    assert len(long) > 1
    assert all(order.startswith("lazy") or order == "segments" for order in long)
