"""`jacobian`, `value_and_jacobian`, `hessian` on the functions people write."""

from __future__ import annotations

import copy
import math
import pickle
import threading
from typing import Any, NamedTuple

import numpy as np
import pytest

import jacobian as jac
from jacobian.errors import ArgumentError
from tests.differences import central

RNG = np.random.default_rng(0)
W, B = RNG.normal(size=(3, 4)), RNG.normal(size=3)


def agrees(f: Any, x: np.ndarray, J: Any = None, rtol: float = 1e-7) -> None:
    J = jac.jacobian(f)(x) if J is None else J
    np.testing.assert_allclose(np.asarray(J), central(f, x), rtol=rtol, atol=1e-8)


def branch(x: Any) -> Any:
    if x.sum() > 0:
        return x * 2
    return -x


def loop(x: Any) -> Any:
    total = 0.0
    for row in x:
        for entry in row:
            total = total + np.sin(entry) * entry
    return total


def newton(x: Any) -> Any:
    guess = x
    while np.max(np.abs(guess * guess - x)) > 1e-12:
        guess = 0.5 * (guess + x / guess)
    return guess


def nested(x: Any) -> Any:
    def inner(y: Any) -> Any:
        return np.tanh(W @ y) + B

    return inner(inner(x)[:1].repeat(4)) * x[0]


FUNCTIONS = {
    "affine": (lambda x: W @ x + B, (4,)),
    "tanh layer": (lambda x: np.tanh(W @ x + B), (4,)),
    "branch": (branch, (3,)),
    "other branch": (lambda x: branch(x - 10), (3,)),
    "loop over entries": (loop, (2, 3)),
    "nested calls": (nested, (4,)),
    "broadcast": (lambda x: x[:, None] * x[None, :] + x, (3,)),
    "scalar": (lambda x: x**3 + 2 / (1 + x * x), ()),
    "methods": (lambda x: x.T.reshape(-1).cumsum().clip(-1, 2).mean(axis=0) + x.std() + x.max(), (2, 3)),
    "softmax by hand": (lambda x: np.exp(x - x.max()) / np.exp(x - x.max()).sum(), (4,)),
    "residual": (lambda x: x + np.tanh(x @ W.T) @ W, (2, 4)),
    "attention": (lambda x: (lambda s: np.exp(s) / np.exp(s).sum(-1, keepdims=True))(x @ x.T) @ x, (3, 2)),
    "pairwise distances": (lambda x: np.sum((x[:, None] - x[None]) ** 2, -1), (3, 2)),
    "stencil": (lambda x: x[2:] - 2 * x[1:-1] + x[:-2], (6,)),
    "recurrent": (lambda x: [h := np.zeros(3), *(h := np.tanh(W @ x + 0.5 * h) for _ in range(4))][-1], (4,)),
    "one path of many": (lambda x: x * x * x + np.sin(x) * x - x, (3,)),
    "swap": (lambda x: np.concatenate([x[2:], x[:2]])[::-1] * np.roll(x, 1), (5,)),
    "windows": (lambda x: np.lib.stride_tricks.sliding_window_view(np.pad(x, 1), 3) @ np.array([1.0, -2.0, 1.0]), (5,)),
    "sorted": (lambda x: np.sort(x)[::2] * np.arange(3), (5,)),
    "indices": (lambda x: x[[0, 2, 2]] + x[x > -10][:3], (4,)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("order", ["auto", "forward", "reverse"])
def test_functions_people_write(name: str, order: str) -> None:
    f, shape = FUNCTIONS[name]
    x = RNG.normal(size=shape)
    agrees(f, x, jac.jacobian(f, order=order)(x))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_second_derivatives_of_them(name: str) -> None:
    f, shape = FUNCTIONS[name]
    x = RNG.normal(size=shape)
    H = jac.hessian(f)(x)
    assert H.shape == np.shape(f(x)) + shape + shape
    expected = central(lambda v: np.asarray(jac.jacobian(f)(v)), x)
    np.testing.assert_allclose(np.asarray(H), expected, rtol=1e-5, atol=1e-6)


def test_control_flow_on_values_runs_to_convergence() -> None:
    x = np.array([2.0, 3.0])
    np.testing.assert_allclose(np.asarray(jac.jacobian(newton)(x)), np.diag(0.5 / np.sqrt(x)), rtol=1e-10)


def test_several_arguments_and_keywords() -> None:
    def f(a: Any, b: Any, *, scale: float) -> Any:
        return scale * (a @ b)

    a, b = RNG.normal(size=(2, 3)), RNG.normal(size=3)
    Ja, Jb = jac.jacobian(f, argnums=(0, 1))(a, b, scale=3.0)
    np.testing.assert_allclose(np.asarray(Jb), 3 * a)
    np.testing.assert_allclose(np.asarray(Ja), 3 * np.einsum("ik,j->ikj", np.eye(2), b))
    assert isinstance(jac.jacobian(f, argnums=(1,))(a, b, scale=3.0), tuple)
    np.testing.assert_allclose(np.asarray(jac.jacobian(f, argnums=-1)(a, b, scale=1.0)), a)


class Pair(NamedTuple):
    left: Any
    right: Any


def test_containers_nest_as_output_then_argument() -> None:
    def f(p: Any) -> Any:
        return {"sum": p["W"] @ p["x"], "pair": (p["x"] * 2, 3.0)}

    J = jac.jacobian(f)({"W": W, "x": np.ones(4)})
    assert set(J) == {"sum", "pair"} and isinstance(J["pair"], tuple)
    assert J["sum"]["W"].shape == (3, 3, 4)
    np.testing.assert_allclose(np.asarray(J["sum"]["x"]), W)
    assert J["pair"][1]["x"].structure == "zero" and J["pair"][1]["x"].shape == (4,)
    named = jac.jacobian(lambda p: Pair(p.left * 2, p.right))(Pair(np.ones(2), np.ones(3)))
    assert isinstance(named, Pair) and isinstance(named.left, Pair)
    assert named.left.left.shape == (2, 2) and named.left.right.structure == "zero"


def test_a_list_of_numbers_is_an_array_and_a_list_of_arrays_a_container() -> None:
    assert jac.jacobian(lambda x: x**2)([1.0, 2.0]).shape == (2, 2)
    J = jac.jacobian(lambda xs: xs[0] * xs[1])([np.ones(2), np.ones(2)])
    assert isinstance(J, list) and len(J) == 2 and J[0].shape == (2, 2)


def test_an_output_that_does_not_depend_on_the_input_gives_a_zero_jacobian() -> None:
    J = jac.jacobian(lambda x: np.ones((3, 2)))(np.ones(4))
    assert J.structure == "zero" and J.shape == (3, 2, 4) and not np.asarray(J).any()
    J = jac.jacobian(lambda x: np.sign(x) * 0 + np.floor(x + 0.5))(np.full(2, 0.3))
    assert not np.asarray(J).any()


def test_dtypes() -> None:
    J = jac.jacobian(lambda x: np.tanh(x) * 2.0 + 1)(np.ones(2, np.float32))
    assert J.dtype == np.float32 and np.asarray(J).dtype == np.float32
    assert jac.jacobian(lambda x: x**2)(np.array([1, 2])).dtype == np.float64
    assert jac.jacobian(lambda x: W.astype(np.float32) @ x)(np.ones(4, np.float32)).dtype == np.float32
    assert jac.jacobian(lambda x: x @ x)(np.ones(3, np.float16)).dtype == np.float16


def test_empty_and_scalar_shapes() -> None:
    assert jac.jacobian(lambda x: x * x)(3.0).shape == ()
    assert float(np.asarray(jac.jacobian(lambda x: x * x)(3.0))) == 6.0
    J = jac.jacobian(lambda x: np.concatenate([x, 2 * x]))(np.ones((0, 3)))
    assert J.shape == (0, 3, 0, 3) and np.asarray(J).size == 0
    assert np.asarray(jac.jacobian(lambda x: x.sum())(np.ones((0, 2)))).shape == (0, 2)
    assert jac.jacobian(lambda x: x[1:1])(np.ones(3)).shape == (0, 3)


@pytest.mark.parametrize("layout", ["C", "F", "strided", "read-only", "reversed"])
def test_memory_layout_of_the_input_does_not_matter(layout: str) -> None:
    x = RNG.normal(size=(3, 4))
    variants = {
        "C": x, "F": np.asfortranarray(x), "strided": np.repeat(x, 2, 1)[:, ::2],
        "reversed": x[::-1, ::-1].copy()[::-1, ::-1], "read-only": x.copy(),
    }  # fmt: skip
    given = variants[layout]
    given.flags.writeable = layout != "read-only"
    agrees(lambda v: np.sin(v.T.reshape(4, 3)) @ W, given)


def test_snapshot_of_arguments_captured_arrays_and_values() -> None:
    captured, x = W.copy(), np.ones(4)
    y, J = jac.value_and_jacobian(lambda v: captured @ np.tanh(v))(x)
    before = np.asarray(J @ np.ones(4))
    captured[:] = 0
    x[:] = 100
    y[:] = -1
    np.testing.assert_array_equal(J @ np.ones(4), before)
    np.testing.assert_allclose(np.asarray(J), W * (1 - np.tanh(1) ** 2))


def test_a_buffer_refilled_while_tracing_counts_with_its_value_at_each_use() -> None:
    buffer = np.zeros(2)

    def f(x: Any) -> Any:
        buffer[:] = 2
        first = x * buffer
        buffer[:] = 5
        return first + x * buffer

    np.testing.assert_allclose(np.asarray(jac.jacobian(f)(np.ones(2))), 7 * np.eye(2))


def test_results_cannot_be_written_to() -> None:
    J = jac.jacobian(lambda x: W @ x)(np.ones(4))
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(J)[0, 0] = 1
    assert np.array(J).flags.writeable


def test_formula_names_arguments_captured_arrays_and_intermediates() -> None:
    weights = W
    assert jac.jacobian(lambda x: weights @ x)(np.ones(4)).formula == "∂y[i]/∂x[j] = weights[i,j]"
    assert jac.jacobian(lambda A, B: A @ B)(W, W.T).formula == "∂y[i,k]/∂A[i,j] = B[j,k]"
    assert jac.jacobian(lambda x: np.sin(x))(np.ones(2)).formula == "∂y[i]/∂x[i] = cos(x[i])"
    assert jac.jacobian(lambda y: 3 * y)(np.ones(2)).formula == "∂z[i]/∂y[i] = 3"
    assert jac.jacobian(lambda x: x[1:] - x[:-1])(np.ones(3)).formula == (
        "∂y[i]/∂x[j] = δ[j,i + 1] - δ[j,i]"
    )  # fmt: skip


def test_nested_jacobians_do_not_mix_their_traces() -> None:
    def outer(x: Any) -> Any:
        J = jac.jacobian(lambda y: np.sin(y) * x)(2 * x)
        return J @ x

    agrees(outer, np.array([0.3, 1.1]))
    third = jac.jacobian(jac.jacobian(jac.jacobian(lambda x: np.sum(x**4))))(np.array([1.0, 2.0]))
    expected = np.zeros((2, 2, 2))
    expected[0, 0, 0], expected[1, 1, 1] = 24, 48
    np.testing.assert_allclose(np.asarray(third), expected)
    assert third.nnz == 2


def test_the_hessian_keeps_structure() -> None:
    H = jac.hessian(lambda x: np.sum(x**3))(np.ones(1000))
    assert H.structure == "diagonal" and H.nbytes < 100_000


def test_a_traced_jacobian_can_be_used_like_an_array() -> None:
    def f(x: Any) -> Any:
        J = jac.jacobian(lambda v: np.outer(v, v) @ v)(x)
        return np.trace(J) + np.sum(J**2) + (2 * J)[0, 1]

    agrees(f, np.array([0.5, -1.0, 2.0]), rtol=1e-6)


def test_two_threads_trace_at_once() -> None:
    results: dict[int, np.ndarray] = {}

    def work(seed: int) -> None:
        x = np.random.default_rng(seed).normal(size=4)
        for _ in range(20):
            results[seed] = np.asarray(jac.hessian(lambda v: np.sum(np.tanh(W @ v) ** 2))(x))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(4):
        x = np.random.default_rng(seed).normal(size=4)
        expected = np.asarray(jac.hessian(lambda v: np.sum(np.tanh(W @ v) ** 2))(x))
        np.testing.assert_allclose(results[seed], expected, rtol=1e-12)


def test_in_place_arithmetic_changes_every_name_of_the_array() -> None:
    def f(x: Any) -> Any:
        y = x * 1
        alias = y
        y += x
        y *= 2
        return alias

    np.testing.assert_allclose(np.asarray(jac.jacobian(f)(np.ones(2))), 4 * np.eye(2))


def test_prediction_of_complex_numbers_at_a_real_point() -> None:
    J = jac.jacobian(lambda x: np.fft.rfft(x) ** 2)(np.arange(4.0))
    p = J.predict(np.full(4, 1e-3))
    assert p.order == pytest.approx(2.0, abs=0.01)
    with pytest.raises(ArgumentError) as caught:
        J.predict(np.full(4, 1e-3j))
    assert str(caught.value) == "predict: dx must be an array of numbers of float64, not complex"


def test_prediction() -> None:
    x, dx = np.array([0.5, 1.0]), np.array([0.01, -0.02])
    p = jac.jacobian(np.sin)(x).predict(dx)
    np.testing.assert_allclose(p.linear, np.sin(x) + np.cos(x) * dx)
    np.testing.assert_allclose(p.actual, np.sin(x + dx))
    np.testing.assert_allclose(p.remainder, p.actual - p.linear)
    assert abs(p.order - 2) < 0.05
    assert jac.jacobian(lambda v: W @ v)(np.ones(4)).predict(np.ones(4)).order == np.inf
    assert str(p).splitlines()[2] == "remainder: at most 0.000168, of order 2.00 in Δx"


# -- the sizes the package is for ---------------------------------------------------------------------------------


def test_a_million_differences_need_nothing_square() -> None:
    x = RNG.normal(size=1_000_000)
    J = jac.jacobian(lambda v: np.sum((v[1:] - v[:-1]) ** 2))(x)
    d = np.diff(x)
    expected = np.concatenate([[0], 2 * d]) - np.concatenate([2 * d, [0]])
    np.testing.assert_allclose(np.asarray(J), expected)
    assert J.nbytes < 50_000_000


def test_a_million_running_sums_need_nothing_square() -> None:
    x = RNG.normal(size=1_000_000)
    J = jac.jacobian(lambda v: np.sum(np.cumsum(v) ** 2))(x)
    np.testing.assert_allclose(np.asarray(J), np.cumsum(2 * np.cumsum(x)[::-1])[::-1], rtol=1e-9)


def test_a_batch_through_a_network_is_answered_without_its_tensor() -> None:
    X, W1, W2 = RNG.normal(size=(4096, 64)), RNG.normal(size=(64, 128)) / 8, RNG.normal(size=(128, 32))
    J = jac.jacobian(lambda X: np.tanh(X @ W1) @ W2)(X)
    assert J.dense_nbytes == 4096 * 32 * 4096 * 64 * 8
    assert J.structure == "block-diagonal over axis 0"
    one = (W1 * (1 - np.tanh(X[5] @ W1) ** 2)) @ W2
    np.testing.assert_allclose(J[5, 3, 5, :], one[:, 3])
    assert not J[5, 3, 6, :].any()
    V = RNG.normal(size=X.shape)
    np.testing.assert_allclose(J @ V, (V @ W1 * (1 - np.tanh(X @ W1) ** 2)) @ W2)
    with pytest.raises(jac.errors.MemoryLimitError) as caught, jac.memory_limit(12e9):
        np.asarray(J)
    assert str(caught.value) == (
        "materialising this Jacobian needs 275 GB, the limit is 12.0 GB\n"
        "  shape:   (4096, 32) × (4096, 64) float64\n"
        "  holds:   4.3 MB, block-diagonal over axis 0\n"
        "  instead: J @ dx, u @ J, J[index], J.diagonal(), J.to_scipy()\n"
        "  limit:   half of the memory available, or what jac.memory_limit says"
    )


def test_a_product_on_the_way_that_is_too_large_is_refused() -> None:
    X, W1, W2 = RNG.normal(size=(2000, 8)), RNG.normal(size=(8, 128)), RNG.normal(size=(128, 32))

    def loss(W1: Any) -> Any:
        return np.sum(np.sum(np.tanh(X @ W1) @ W2, axis=1) ** 2)

    with pytest.raises(jac.errors.MemoryLimitError) as caught, jac.memory_limit(2e8):
        jac.jacobian(lambda W1: np.tanh(np.tanh(X @ W1) @ W2) ** 2, order="forward")(W1)
    assert str(caught.value) == (
        "materialising a product of Jacobians on the way to this one needs 524 MB, the limit is 200 MB\n"
        "  shape:   2000×32×8×128\n"
        '  instead: order="auto" or "reverse", which go another way; a batch in parts\n'
        "  limit:   half of the memory available, or what jac.memory_limit says"
    )
    with jac.memory_limit(2e8):
        np.testing.assert_allclose(jac.jacobian(loss)(W1), jac.jacobian(loss, order="reverse")(W1))


def test_a_sum_of_sums_keeps_its_brackets() -> None:
    X = np.arange(6.0).reshape(3, 2)

    def f(b: Any) -> Any:
        v = X + b
        return np.sum(v * X + np.sin(v))

    assert jac.jacobian(f, order="forward")(np.ones(2)).formula == "∂y/∂b[i] = Σ_a (X[a,i] + cos(v[a,i]))"


# -- what is shared and what is not ---------------------------------------------------------------------------------

VIEWS = {
    "T": lambda y: y.T,
    "swapaxes": lambda y: np.swapaxes(y, 0, 1),
    "ravel": lambda y: y.ravel(),
    "squeeze": lambda y: np.squeeze(y),
    "slice": lambda y: y[1:],
    "reshape": lambda y: y.reshape(4, 1),
    "diagonal": lambda y: np.diagonal(y),
    "broadcast": lambda y: np.broadcast_to(y, (3, 2, 2)),
    "expand_dims": lambda y: np.expand_dims(y, 0),
}


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("change", ["the view", "the base"])
def test_what_shares_memory_is_changed_together(name: str, change: str) -> None:
    def f(x: Any) -> Any:
        y = x * x
        view = VIEWS[name](y)
        if change == "the view":
            view *= 3
        else:
            y *= 3
        return np.concatenate([np.ravel(y), np.ravel(view)])

    x = np.arange(1.0, 5.0).reshape(2, 2)
    if change == "the view" and name in ("diagonal", "broadcast"):
        with pytest.raises(jac.errors.TraceError, match="it is read-only"):
            jac.jacobian(f)(x)
    else:
        agrees(f, x)


@pytest.mark.parametrize("own", [np.copy, copy.copy, copy.deepcopy, lambda y: y.copy(), lambda y: y.flatten(), np.exp])
def test_copies_may_be_changed_in_place(own: Any) -> None:
    def f(x: Any) -> Any:
        y = x * 1
        mine = own(y)
        mine *= 3
        return np.ravel(mine) + 0 * np.ravel(y)

    agrees(f, np.array([0.5, 2.0]))
    agrees(lambda x: f(x) * np.ravel(x), np.array([0.5, 2.0]))


def test_arrays_that_a_function_would_fill_are_refused() -> None:
    for fill in (
        lambda x, b: np.clip(x, 0, 1, out=b), lambda x, b: np.clip(x, 0, 1, b), lambda x, b: x.clip(0, 1, out=b),
        lambda x, b: np.take(x, [0, 1], out=b), lambda x, b: np.compress([True, True], x, out=b),
        lambda x, b: np.sum(x, out=b), lambda x, b: np.cumsum(x, out=b), lambda x, b: np.ptp(x, out=b),
    ):  # fmt: skip
        with pytest.raises((jac.errors.TraceError, jac.errors.ArgumentError), match="out"):
            jac.jacobian(lambda x, fill=fill: fill(x, np.zeros(2)))(np.ones(2))


def test_weights_of_bincount_and_values_of_full_like_are_not_lost() -> None:
    agrees(lambda x: np.bincount([0, 1, 0, 2], weights=x), np.arange(4.0))
    agrees(lambda x: np.full_like(x, x[0]) * x[1], np.arange(1.0, 3.0))


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_a_matrix_of_numpys_is_refused() -> None:
    text = (
        "cannot differentiate with respect to x: np.matrix is not taken, its * is a matrix product\n"
        "  fix: np.asarray(x), and @ for matrix products"
    )
    with pytest.raises(jac.errors.DTypeError) as caught:
        jac.jacobian(lambda x: x**2)(np.matrix([[1.0, 2.0], [3.0, 4.0]]))
    assert " ".join(str(caught.value).split()) == " ".join(text.split())


def test_a_masked_array_is_refused() -> None:
    with pytest.raises(jac.errors.DTypeError, match="cannot differentiate with respect to x: it is masked"):
        jac.jacobian(np.sin)(np.ma.array([1.0, 2.0], mask=[False, True]))


def test_the_tensor_cannot_be_made_writeable_again() -> None:
    J = jac.jacobian(lambda x: np.tanh(W @ x))(np.ones(4))
    with pytest.raises(ValueError, match="WRITEABLE"):
        np.asarray(J).setflags(write=True)


def test_sinc_is_smooth_at_zero() -> None:
    assert abs(float(np.asarray(jac.hessian(np.sinc)(0.0))) + np.pi**2 / 3) < 1e-12
    x = np.array([1e-9, 1e-5, 0.00999, 0.01001])
    np.testing.assert_allclose(np.diag(np.asarray(jac.jacobian(np.sinc)(x))), -(np.pi**2) * x / 3, rtol=2e-4)


def test_running_extremes_of_long_arrays() -> None:
    x = RNG.normal(size=100_000)
    J = jac.jacobian(np.maximum.accumulate)(x)
    assert J.nnz == 100_000
    np.testing.assert_array_equal(J @ x, np.maximum.accumulate(x))
    u = RNG.normal(size=x.size)
    np.testing.assert_allclose(u @ J, np.asarray(u @ J.to_scipy()), atol=1e-9)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("ufunc", [np.maximum, np.minimum])
def test_running_extremes_along_an_axis(ufunc: np.ufunc, axis: int) -> None:
    """Of equal entries the last is taken."""
    x = RNG.integers(0, 4, size=(2, 5, 3)).astype(float)
    expected = np.zeros(x.shape + x.shape)
    y = ufunc.accumulate(x, axis=axis)
    for place in np.ndindex(x.shape):
        line = tuple(slice(None) if a == axis else k for a, k in enumerate(place))
        best = np.flatnonzero(x[line][: place[axis] + 1] == y[place])[-1]
        expected[place][(*place[:axis], best, *place[axis + 1 :])] = 1
    with pytest.warns(jac.errors.KinkWarning, match=f"{ufunc.__name__}.accumulate is not differentiable at entr"):
        J = jac.jacobian(lambda x: ufunc.accumulate(x, axis=axis))(x)
    np.testing.assert_array_equal(np.asarray(J), expected)


def test_shifted_softmax_keeps_its_structure() -> None:
    x = RNG.normal(size=20_000)

    def f(x: Any) -> Any:
        return np.exp(x - x.max()) / np.sum(np.exp(x - x.max()))

    y, J = jac.value_and_jacobian(f)(x)
    assert J.nbytes < 10_000_000
    np.testing.assert_allclose(J @ x, y * x - y * (y @ x), atol=1e-12)
    agrees(f, x[:5])


def test_loops_over_entries_take_time_in_proportion() -> None:
    def f(x: Any) -> Any:
        total = 0.0
        for i in range(len(x)):
            total = total + x[i] * np.sin(x[i - 1])
        return total

    x = RNG.normal(size=300)
    J = jac.jacobian(f)(x)
    np.testing.assert_allclose(np.asarray(J), np.sin(np.roll(x, 1)) + np.roll(x, -1) * np.cos(x), atol=1e-12)


@pytest.mark.parametrize("order", ["auto", "forward", "reverse"])
def test_long_chains_can_be_told(order: str) -> None:
    small = W[:, :3] / 3

    def f(x: Any) -> Any:
        for _ in range(150):
            x = np.tanh(small @ x)
        return x

    J = jac.jacobian(f, order=order)(np.ones(3))
    assert J.formula and repr(J) and J.explain()


# -- small points of the algebra ------------------------------------------------------------------------------------


def test_entries_keep_the_dtype() -> None:
    J = jac.jacobian(np.sin)(np.ones(3, np.float16))
    assert {J.dtype, J[0, 0].dtype, J[0].dtype, J.diagonal().dtype, np.asarray(J).dtype} == {np.dtype(np.float16)}


def test_jacobians_can_be_summed_by_sum() -> None:
    J = jac.jacobian(np.sin)(np.ones(3))
    assert sum([J, J]).structure == "diagonal"
    np.testing.assert_array_equal(sum([J, J]), 2 * np.asarray(J))
    np.testing.assert_array_equal(1 - J, 1 - np.asarray(J))
    np.testing.assert_array_equal(1 + J, 1 + np.asarray(J))


def test_second_derivatives_of_what_does_not_depend_on_the_input() -> None:
    for f in (np.spacing, lambda x: np.ones(2)):
        H = jac.hessian(f)(np.ones(3))
        assert H.structure == "zero" and H.shape[1:] == (3, 3)


def test_a_step_of_zero_has_no_order() -> None:
    found = jac.jacobian(np.sin)(np.zeros(2)).predict(np.zeros(2))
    assert np.isnan(found.order)
    assert str(found) == "y + J·Δx = [0. 0.]\nf(x+Δx)  = [0. 0.]\nremainder: at most 0, Δx is zero"


@pytest.mark.parametrize("periodic", [True, False])
def test_steps_of_a_recurrence_do_not_multiply_the_terms(periodic: bool) -> None:
    def step(u: Any) -> Any:
        if periodic:
            return u + 0.1 * (np.roll(u, -1) - 2 * u + np.roll(u, 1))
        wide = np.pad(u, 1)
        return u + 0.1 * (wide[2:] - 2 * u + wide[:-2])

    def f(u: Any) -> Any:
        for _ in range(8):
            u = step(u)
        return u

    J = jac.jacobian(f)(np.linspace(0, 1, 100_000))
    assert len(J.terms) < 250
    agrees(f, np.linspace(0, 1, 12))


def test_rounding_and_division_with_remainder_by_pythons_own_functions() -> None:
    quotient, rest = jac.jacobian(lambda x: divmod(x, 0.3))(np.ones(2))
    assert (quotient.structure, rest.structure) == ("zero", "identity")
    _, rest = jac.jacobian(lambda x: divmod(5.0, x))(np.array([2.0, 3.0]))
    np.testing.assert_array_equal(rest, [[-2.0, 0.0], [0.0, -1.0]])
    x = np.array([1.26, 2.5])
    for f in (lambda x: round(x[0]), lambda x: round(x[0], 1), lambda x: math.floor(x[0]), lambda x: math.trunc(x[0])):
        y, J = jac.value_and_jacobian(lambda x, f=f: f(x) * x[1])(x)
        assert y == f(x) * x[1]
        np.testing.assert_array_equal(J, [0.0, f(x)])


def test_jacobians_can_be_pickled() -> None:
    x = np.array([[0.5, 2.0], [1.0, 3.0]])
    chain, cumulative, chosen = (lambda x: np.tanh(W[:, :2] @ x) * 2), np.cumprod, (lambda x: np.where(x > 1, x, 0))
    for f in (chain, cumulative, chosen, np.sort, np.linalg.inv):
        J = jac.jacobian(f)(x)
        loaded = pickle.loads(pickle.dumps(J))
        assert (loaded.shape, loaded.names, loaded.dtype) == (J.shape, J.names, J.dtype)
        assert (loaded.structure, loaded.formula) == (J.structure, J.formula)
        np.testing.assert_array_equal(loaded, J)
        assert pickle.loads(pickle.dumps(J.T)).formula == J.T.formula
        assert copy.deepcopy(J) is copy.copy(J) is J


def test_formulas_of_choices_and_bounds() -> None:
    x, c = np.array([0.5, 2.0]), np.ones(2)
    for f, told in (
        (lambda x: np.where(x > 1, x, 0), "where(x[i] > 1, 1.0, 0.0)"),
        (lambda x: np.clip(x, 0.0, None), "where(x[i] >= 0, 1.0, 0.0)"),
        (lambda x: np.clip(x, None, c), "where(x[i] <= c[i], 1.0, 0.0)"),
        (lambda x: np.clip(x, 0.0, 1.0), "where((x[i] >= 0) & (x[i] <= 1), 1.0, 0.0)"),
    ):
        J = jac.jacobian(f)(x)
        assert J.formula == f"∂y[i]/∂x[i] = {told}"
        agrees(f, x, J)


def test_finite_differences_by_several_arguments() -> None:
    found = jac.finite_difference(lambda a, b: a * b, np.array([2.0]), np.array([3.0]), argnums=(0, -1))
    np.testing.assert_allclose([one.values[0, 0] for one in found], [3.0, 2.0])
