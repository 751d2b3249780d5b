"""`compose`, `Chain`, `trace` and `backprop`: the chain rule as generalized dot products."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import jacobian as jac
from tests.differences import central

RNG = np.random.default_rng(1)
W1, W2 = RNG.normal(size=(5, 4)), RNG.normal(size=(3, 5))
X = RNG.normal(size=4)


def f1(x: Any) -> Any:
    return W1 @ x


def f2(x: Any) -> Any:
    return np.tanh(x)


def f3(x: Any) -> Any:
    return W2 @ x


def test_compose_is_the_chain_rule_for_tensors_of_any_shape() -> None:
    dense = [RNG.normal(size=s) for s in ((2, 3, 4), (4, 5, 2), (5, 2, 3, 2))]
    J3, J2, J1 = (jac.Jacobian.from_array(a, n) for a, n in zip(dense, (2, 1, 2), strict=True))
    product = jac.compose(J3, J2, J1)
    expected = np.tensordot(np.tensordot(dense[0], dense[1], 1), dense[2], 2)
    assert product.shape == (2, 3, 3, 2)
    np.testing.assert_allclose(np.asarray(product), expected)
    assert "einsum: " in product.explain() and "multiplications: " in product.explain()


def test_compose_finds_the_best_order() -> None:
    a, b, c = RNG.normal(size=(40, 2)), RNG.normal(size=(2, 40)), RNG.normal(size=(40, 1))
    J = jac.compose(*(jac.Jacobian.from_array(m, 1) for m in (a, b, c)))
    assert "multiplications: 160 " in J.explain()  # 2·40·1 + 40·2·1, not 40·2·40 + 40·40·1


def test_compose_errors() -> None:
    J = jac.Jacobian.identity((3,))
    with pytest.raises(jac.errors.ShapeError) as caught:
        jac.compose(J, jac.Jacobian.identity((2,)))
    assert str(caught.value) == (
        "compose: arguments 0 and 1 do not fit\n"
        "  got:   (3,) × (3,) and (2,) × (2,)\n"
        "  fix:   outermost first: the input of each is the output of the next"
    )
    with pytest.raises(jac.errors.ArgumentError, match="compose needs at least one Jacobian"):
        jac.compose()
    with pytest.raises(jac.errors.ArgumentError, match="compose: argument 1 is not a Jacobian but a ndarray"):
        jac.compose(J, np.eye(3))  # type: ignore[arg-type]


def test_chain_values_locals_upstreams_downstreams() -> None:
    net = jac.Chain(f3, f2, f1)
    np.testing.assert_allclose(net(X), f3(f2(f1(X))))
    np.testing.assert_allclose(net.values(X)[1], f2(f1(X)))
    local = net.locals(X)
    assert [J.shape for J in local] == [(3, 5), (5, 5), (5, 4)]
    assert local[1].structure == "diagonal"
    J = net.jacobian(X)
    np.testing.assert_allclose(np.asarray(J), central(net, X), rtol=1e-8, atol=1e-10)
    up, down = net.upstreams(X), net.downstreams(X)
    assert up[0].structure == "identity"
    np.testing.assert_allclose(np.asarray(up[2]), W2 * (1 - np.tanh(W1 @ X) ** 2))
    np.testing.assert_allclose(np.asarray(down[2]), np.asarray(J))
    for above, below in zip(down, up[1:], strict=False):
        np.testing.assert_allclose(np.asarray(above), np.asarray(below))


def test_replacing_a_function_leaves_the_other_locals_the_identical_objects() -> None:
    net = jac.Chain(f3, f2, f1)
    before = net.locals(X)
    other = net.replace(0, lambda y: np.sum(y**2))
    after = other.locals(X)
    assert after[1] is before[1] and after[2] is before[2] and after[0] is not before[0]
    same_values = net.replace(2, lambda x: (2 * W1) @ (x / 2))
    again = same_values.locals(X)
    assert again[2] is not before[2]
    np.testing.assert_allclose(np.asarray(other.jacobian(X)), central(other, X), rtol=1e-7, atol=1e-9)
    with pytest.raises(jac.errors.ArgumentError, match="replace: there is no link 7"):
        net.replace(7, f1)


def test_chain_explains_orders() -> None:
    text = jac.Chain(f3, f2, f1).explain(X)
    assert text.splitlines()[0] == "Chain of 3: z = f3(f2(f1(x)))"
    for word in ("forward", "reverse", "best", "einsum: ", "diagonal"):
        assert word in text


def test_trace_gives_the_jacobian_between_any_two_nodes() -> None:
    t = jac.trace(lambda x, w: np.sum(np.tanh(w * x) ** 2) + x[0], X, X + 1)
    names = [node.name for node in t.nodes]
    assert names[:2] == ["x", "w"] and t.output.name == "y"
    product = next(n for n in t.nodes if n.op is not None and n.op.name == "multiply")
    squashed = next(n for n in t.nodes if n.op is not None and n.op.name == "tanh")
    np.testing.assert_allclose(np.asarray(t.jacobian(of=squashed, wrt=product)), np.diag(1 - np.tanh(X * (X + 1)) ** 2))
    full = t.jacobian(of=t.output, wrt="x")
    through = t.jacobian(of=t.output, wrt=product) @ t.jacobian(of=product, wrt="x")
    np.testing.assert_allclose(np.asarray(full), np.asarray(through) + np.eye(4)[0])
    assert t.jacobian(of=product, wrt=squashed).structure == "zero"
    np.testing.assert_allclose(np.asarray(t.jacobian(wrt="w")), np.asarray(t.jacobian(of="y", wrt=1)))
    with pytest.raises(jac.errors.ArgumentError, match="there is no node 'nowhere' in this trace"):
        t.jacobian(wrt="nowhere")
    assert repr(t).startswith("Trace of ")


@pytest.mark.parametrize("tensor", [False, True])
def test_backprop_upstream_times_local_is_downstream_everywhere(tensor: bool) -> None:
    def f(W: Any, x: Any) -> Any:
        h = np.tanh(W @ x)
        y = h * h + h
        return y if tensor else np.sum(y)

    b = jac.backprop(f, W1, X)
    assert b.steps[0].node.name == ("y" if tensor else "z") and b.steps[0].upstream.structure == "identity"
    for step in b:
        for name, local in step.local.items():
            expected = np.tensordot(np.asarray(step.upstream), np.asarray(local), len(step.node.shape))
            np.testing.assert_allclose(np.asarray(step.downstream[name]), expected, atol=1e-14)
    for name, number in (("W", 0), ("x", 1)):
        np.testing.assert_allclose(
            np.asarray(b.jacobians[name]), np.asarray(jac.jacobian(f, argnums=number)(W1, X)), atol=1e-14
        )
    assert b["x"].upstream.shape == np.shape(f(W1, X)) + (4,)


def test_backprop_with_an_upstream_hands_on_its_products() -> None:
    G = RNG.normal(size=5)
    b = jac.backprop(lambda W, x: W @ x, W1, X, upstream=G)
    np.testing.assert_allclose(np.asarray(b.jacobians["W"]), np.outer(G, X))
    np.testing.assert_allclose(np.asarray(b.jacobians["x"]), W1.T @ G)
    with pytest.raises(jac.errors.ShapeError, match="backprop: upstream must have the output's shape"):
        jac.backprop(lambda W, x: W @ x, W1, X, upstream=np.ones(4))
    with pytest.raises(jac.errors.ArgumentError, match="backprop needs a function that returns one array"):
        jac.backprop(lambda x: (x, x), X)


def test_an_input_that_is_not_used_gets_a_zero() -> None:
    b = jac.backprop(lambda x, w: x * 2, X, X)
    assert b.jacobians["w"].structure == "zero" and b.jacobians["w"].shape == (4, 4)


def test_explain_compares_the_orders() -> None:
    J = jac.jacobian(lambda x: f3(f2(f1(x))))(X)
    text = J.explain()
    assert "orders of elimination:" in text
    for order in ("forward", "reverse", "<- chosen"):
        assert order in text
    assert "multiplications" in text and "made" in text


def test_many_paths_merge_instead_of_multiplying() -> None:
    def f(x: Any) -> Any:
        for _ in range(30):
            x = x + np.tanh(x) * x
        return x

    J = jac.jacobian(f)(X * 0.01)
    assert len(J.terms) <= 4 and J.structure == "diagonal"


def test_the_best_order_is_never_worse_than_forward_or_reverse() -> None:
    wide = RNG.normal(size=(50, 200))
    text = jac.Chain(lambda a: np.sum(a**2), np.tanh, lambda x: wide @ x).explain(RNG.normal(size=200))
    rows = {row.split()[0]: int(row.split()[1].replace(",", "")) for row in text.splitlines() if " made " in row}
    assert rows["best"] <= min(rows["forward"], rows["reverse"]) == 50 + 50 * 200


def test_a_step_reads_as_upstream_times_local() -> None:
    b = jac.backprop(lambda W, x: np.sum(np.sin(W @ x)), W1, X)
    assert str(b["v1"]) == (
        "v1 = matmul(W, x) float64[5]\n"
        "  upstream   ∂y/∂v1[i] = cos(v1[i])\n"
        "  local      ∂v1[i]/∂W[i,j] = x[j]\n"
        "  downstream ∂y/∂W[i,j] = ∂y/∂v1[i] * x[j]\n"
        "  local      ∂v1[i]/∂x[j] = W[i,j]\n"
        "  downstream ∂y/∂x[i] = Σ_j ∂y/∂v1[j] * W[j,i]"
    )


def test_explain_tells_what_runs_before_the_einsum() -> None:
    J = jac.jacobian(lambda x: W2 @ np.tanh(np.sin(W1 @ x)))(X)
    text = J.explain()
    assert "first: 2 factors over [k] are multiplied into one" in text
    assert text.count("einsum: ") == 1 and "path: " in text
    lone = jac.Jacobian.einsum("i,j->i|", np.ones(3), np.ones(4)).explain()
    assert "first: the only factor with it is summed over j" in lone


def test_explain_shows_the_program_that_runs() -> None:
    W1, W2 = np.ones((8, 64)), np.ones((64, 8))
    text = jac.jacobian(lambda x: W2 @ np.tanh(W1 @ x))(np.ones(64)).explain()
    assert text.split("made dense by:\n")[1].split("\norders")[0].splitlines() == [
        "  t1 = term1.factor2[:,None]",
        "  t2 = t1 * term1.factor3",
        "  t3 = matmul(term1.factor1, t2)",
        "  return t3",
    ]
    many = jac.jacobian(lambda x: np.stack([np.sin(x[k]) for k in range(30)]))(np.ones(30)).explain()
    assert "more lines\n" in many
