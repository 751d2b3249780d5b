"""Assignment into traced arrays does what NumPy does, with the Jacobian that follows; or says why it cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian import replay
from jacobian.errors import JacobianError, TraceError
from tests.differences import central

V = np.array([0.5, 2.0, -1.0, 3.0])
M = np.array([[1.0, 2.0, -0.5], [0.3, 4.0, 1.5], [2.5, -2.0, 0.7]])
MASK = np.array([True, False, True, True])
BITS = np.array([[True, False, True], [False, False, True], [True, True, False]])


def agrees(f: Callable[[Any], Any], x: Any) -> None:
    """Values and Jacobians are those of NumPy, at first and at later calls, and so are second derivatives."""
    x = np.asarray(x)
    kept = x.copy()

    def alike(value: Any) -> Any:
        """A copy that lies in memory as x does."""
        copy = np.empty_like(x)
        copy[...] = value
        return copy

    def plain(value: Any) -> Any:
        return f(alike(value))

    g, expected = jac.value_and_jacobian(f), central(plain, x)
    for _ in range(3):
        value, J = g(x)
        np.testing.assert_array_equal(x, kept)
        np.testing.assert_allclose(value, plain(x), rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(np.asarray(J), expected, rtol=1e-7, atol=1e-8)
    second = central(lambda value: np.asarray(jac.jacobian(f)(alike(value))), x)
    h = jac.jacobian(jac.jacobian(f))
    for _ in range(3):
        np.testing.assert_allclose(np.asarray(h(x)), second, rtol=1e-5, atol=1e-6)


def does(*statements: str) -> Callable[[Any], Any]:
    """A function that runs these on `x` and `y = x**2`, and returns both."""
    lines = "\n    ".join(["y = x**2", *statements, "return np.concatenate([np.ravel(x), np.ravel(y)])"])
    space: dict[str, Any] = {"np": np, "MASK": MASK, "BITS": BITS}
    exec(f"def f(x):\n    {lines}", space)
    return space["f"]  # type: ignore[no-any-return]


ON_VECTORS = [
    "x[1] = 5.0", "x[1] = y[0]", "x[1:3] += y[:2]", "x += 1", "x *= y", "x -= x[0]", "x /= y", "x **= 2", "x %= 0.7",
    "x[[0, 2]] *= 2", "x[MASK] = y[MASK]", "x[MASK] = 0", "x[MASK] += y[1:]", "x[1:] = x[:-1]", "x[:-1] = x[1:]",
    "x[::-1] = x", "x[::2] = y[1::2]", "x[...] = y", "x[:] = [y[0], 1.0, y[1], 2]", "x[[0, 0, 1]] = y[:3]",
    "x[[0, 0]] += y[:2]", "x[-1], x[0] = x[0], x[-1]", "z = x[1:]; z[0] = 5; z += y[1:]",
    "z = x[1:][::2]; z[:] = y[2]", "z = x.reshape(2, 2); z[:, 0] = y[:2]", "z = x.reshape(2, 2).T; z[0] *= z[1]",
    "z = x[None]; z[0, 1] = y[0]", "z = x[MASK]; z[0] = 9; y[0] = z[0] * z[1]", "z = x.copy(); z[0] = 9; y *= z",
    "z = +x; z += 1; y *= z", "np.add(x, y, out=x)", "np.add(x[:-1], 1, out=x[1:])", "np.sin(y, out=x[:])",
    "np.cumsum(y, out=x)", "np.multiply.accumulate(y, out=x)", "np.clip(y, 0.5, 2.5, out=x)",
    "np.add.reduce(x.reshape(2, 2), out=y[:2])", "np.divide(y, x, out=x, where=x > 0)",
    "np.sqrt(np.abs(x), out=y, where=MASK)", "np.greater(y, 2, out=x)", "np.copyto(x, y)",
    "np.copyto(x, y, where=MASK)", "np.copyto(x, 2.0, where=MASK)", "np.copyto(x, y[0])",
    "np.put(x, [0, 5, 2], y, mode='wrap')", "np.put(x, [0, -1, 2], y[:2])", "x.put([1, 9], y[0], mode='clip')",
    "np.place(x, MASK, y[:2])", "np.putmask(x, MASK, y[:3])", "np.putmask(x, MASK, 7.0)", "x.fill(y[0])", "x.fill(3)",
    "np.put_along_axis(x, np.array([2, 0]), y[:2], 0)", "np.put_along_axis(x, np.array([3]), y[0], None)", "x.sort()",
    "x[::-1].sort()", "x.partition(2)", "np.add.at(x, [0, 0, 2], y[:3])", "np.subtract.at(x, [1, 1], y[0])",
    "np.subtract.at(x, [1, 0], [1, 2])", "np.multiply.at(x, [1, 1, 0], y[:3])", "np.maximum.at(x, [3, 3, 0], y[:3])",
    "np.negative.at(x, [0, 0, 1])", "np.add.at(x[1:], [0, 0], 2.0)", "x.flat[2] = y[0]", "x[1:] = y.flat[1:]",
    "x[:] = y.flat", "x += y.flat", "x.flat = y[:2]", "x.flat[::2] *= 3", "x.real = y", "x.real[1] = y[0]",
    "np.nan_to_num(x, copy=False)", "z = np.zeros_like(x); z[1:] = y[1:]; x *= z",
    "z = np.zeros(6, like=x); z[1:5] = y; x += z[2:]", "z = np.ones((2, 2), like=x); z[0] = y[:2]; x *= z.ravel()",
    "z = np.full(4, y[0], like=x); z[0] = 1; x *= z", "z = np.full_like(x, 2.0); z[0] = x[1]; x *= z",
    "z = np.empty_like(x); z[:] = y; x += z", "z = np.array([y[0], 1.0, x[1], 2.0], like=x); z[1] = 3; x *= z",
    "z = np.array(x, like=x); z[0] = 9; y *= z", "a = x[0]; b = a; b += 1; y *= a; x *= b",
    "for row in x.reshape(2, 2): row *= row[0]", "x[x > 1] = 0.25", "z = x.astype(float, copy=False); z[0] = 1",
    "z = x.view(); z[0] = y[1]", "z = x.squeeze(); z[1] = 0", "z = x.conj(); z[0] = 1", "z = x[1]; x[1] = 7; y *= z",
    "z = np.broadcast_to(x, (2, 4)); x[0] = 7; y += z[1]", "z = x + 0; x[0] = 9; y *= z",
    "z = x; z = z + 1; z[0] = 0; y *= z", "z = x.reshape(2, 2, copy=True); z[0] = 0",
    "z = x[[True, False, True, True]]; z[0] = 5", "x[np.newaxis, 1:] = y[1:]", "x[()] = y", "x[1:1] = []",
    "x[np.int64(2)] = 1",
]  # fmt: skip

ON_MATRICES = [
    "x[1] = x[0]", "x[:, 1] *= 3", "x[0], x[1] = x[1], x[0]", "x.T[0] = y[0]", "x.T[:, 1] += y[:, 1]", "x += x.T",
    "x @= y", "x.diagonal(); np.fill_diagonal(x, y[0])", "np.fill_diagonal(x, 2.0)",
    "np.fill_diagonal(x[:2], y[0, 0])", "z = np.einsum('ii->i', x); z *= 2", "np.einsum('ii->i', x)[...] = y[0]",
    "z = x.ravel(); z[4] = 9", "z = x.T.ravel(); z[4] = 9; y *= z[4]", "x.T.flat[1] = 9",
    "x.T.flat[[1, 5]] = y[0, :2]", "x[BITS] = y[BITS]", "x[BITS] *= 2", "x[[0, 2], 1:] = y[:2, :2]",
    "x[[[0], [2]], [0, 1]] = y[:2, :2]", "x[:, [0, 0]] = y[:, 1:]", "x[..., 0] = y[0]",
    "x[:, None, 1] = y[:, 0, None]", "x[np.arange(3), [2, 0, 1]] += y[0]", "x.sort(axis=0)", "x.sort()",
    "np.put_along_axis(x, np.array([[0], [2], [1]]), y[:, :1], axis=1)", "np.put(x, [0, 4], y[0])",
    "np.put(x.T, [1, 5], y[0])", "np.place(x, BITS, y[0])", "np.putmask(x, BITS, y)", "np.copyto(x, y[0])",
    "np.copyto(x, y, where=BITS)", "np.add(y[0], y[1], out=x)", "np.matmul(y, y, out=x)", "np.add.at(x, [0, 0], y[0])",
    "np.add.at(x, ([0, 0], [1, 1]), y[0, :2])", "np.multiply.at(x.T, ([0, 0], [1, 1]), y[0, :2])",
    "np.take(y, [1, 0, 1], axis=0, out=x)", "np.einsum('ij,jk->ik', y, y, out=x)", "np.sum(y, axis=0, out=x[1])",
    "x.partition(1, axis=0)", "np.add(x, 1, out=x, where=BITS)", "x.real *= 2", "x[1:, 1:] = x[:-1, :-1]",
    "x[::2, ::-1] *= 2", "z = x.swapaxes(0, 1)[1:]; z[0, 1] = 4; x[2, 2] = 5; z *= y[1:]",
    "z = x[1]; w = z[1:]; x[1, 1] = 8; w *= w", "x[np.int64(1), :] = 0",
    "z = x.reshape(9); w = z.reshape(3, 3); w[1] = y[0]; z[0] = 5", "z = x.flatten(); z[0] = 5; y *= z[0]",
    "x -= x.mean(axis=0)", "z = np.zeros_like(x.T); z.reshape(-1)[0] = 3; z[1] = y[0]; y += z", "x[1, ...][...] = 3",
    "x[:2, :2] = x[1:, 1:].T",
]  # fmt: skip


@pytest.mark.parametrize("statement", ON_VECTORS)
def test_on_vectors(statement: str) -> None:
    agrees(does(statement), V)


@pytest.mark.parametrize("statement", ON_MATRICES)
@pytest.mark.parametrize("order", ["C", "F"])
def test_on_matrices(statement: str, order: Any) -> None:
    agrees(does(statement), np.array(M, order=order))


@pytest.mark.parametrize(
    "statement",
    ["x[()] = 3", "x[...] = y * 2", "x += 1", "z = x; z *= 2", "z = x[...]; z += 1", "z = x.reshape(1); z[0] = 2"],
)
@pytest.mark.parametrize("number", [np.array(1.5), 1.5, np.float64(1.5), 2])
def test_on_numbers(statement: str, number: Any) -> None:
    f = does(statement)
    if isinstance(number, np.ndarray):
        agrees(f, number)
        return
    try:
        expected = f(np.float64(number))
    except TypeError:
        with pytest.raises(TraceError, match="numbers do not change"):
            jac.jacobian(f)(number)
        return
    np.testing.assert_allclose(jac.value_and_jacobian(f)(number)[0], expected)
    np.testing.assert_allclose(
        np.asarray(jac.jacobian(f)(number)), central(lambda v: f(v[()]), np.array(float(number)))
    )


def test_results_that_were_used_before_do_not_change() -> None:
    def f(x: Any) -> Any:
        first = np.sum(x * x)
        x[0] = 7.0
        second = np.sum(x * x)
        x[1:] *= x[0]
        return np.stack([first, second, np.sum(x * x)])

    agrees(f, V)
    np.testing.assert_allclose(np.asarray(jac.jacobian(f)(V))[0], 2 * V)


def test_what_is_overwritten_has_no_influence_however_large_its_derivative_was() -> None:
    def f(x: Any) -> Any:
        y = np.sqrt(x)
        y[0] = x[1]
        return np.sum(y) + np.cumsum(y)

    with pytest.warns(jac.errors.NonFiniteWarning):
        J = np.asarray(jac.jacobian(f)(np.array([0.0, 1.0, 4.0])))
    assert np.isfinite(J).all()
    np.testing.assert_allclose(J[0], [0, 1 + 0.5 + 1, 0.25])


def test_structure_is_kept() -> None:
    x = np.linspace(0.0, 1.0, 100_000)

    def f(x: Any) -> Any:
        x[1:-1] = np.sin(x[1:-1])
        x[0] = 3.0
        return x

    J = jac.jacobian(f)(x)
    assert J.nbytes < 10_000_000
    assert J.nnz == 99_999
    np.testing.assert_allclose(J @ np.ones_like(x), np.r_[0.0, np.cos(x[1:-1]), 1.0])


def test_a_loop_that_fills_an_array() -> None:
    def f(x: Any) -> Any:
        out = np.zeros_like(x)
        out[0] = x[0]
        for i in range(1, len(x)):
            out[i] = out[i - 1] * 0.5 + x[i] ** 2
        return out

    agrees(f, np.linspace(0.5, 1.5, 12))


def test_arguments_are_never_changed() -> None:
    x, w = V.copy(), {"a": M.copy(), "b": [V.copy(), V.copy()]}

    def f(x: Any, w: Any) -> Any:
        x[0] = 1
        w["a"][:] = 0
        w["b"][1] *= x
        w["b"][0] += 1
        return np.sum(x) + np.sum(w["a"]) + np.sum(w["b"][0]) + np.sum(w["b"][1])

    for _ in range(4):
        jac.jacobian(f, (0, 1))(x, w)
        np.testing.assert_array_equal(x, V)
        np.testing.assert_array_equal(w["a"], M)
        np.testing.assert_array_equal(w["b"], [V, V])


def test_captured_arrays_are_not_changed() -> None:
    c = M.copy()

    def f(x: Any) -> Any:
        y = np.broadcast_to(x, (3, 3)) + c
        y[0] = c[0]
        z = c.T + 0 * x
        z[1] = 0
        return y @ z

    agrees(f, V[:3])
    np.testing.assert_array_equal(c, M)


def test_float32_stays_float32() -> None:
    def f(x: Any) -> Any:
        x[0] = np.float64(1) / 3
        x[1:] += np.linspace(0, 1, 3)
        x *= 2.0
        np.add(x, np.ones(4), out=x)
        return x

    value, _ = jac.value_and_jacobian(f)(V.astype(np.float32))
    assert value.dtype == np.float32
    np.testing.assert_array_equal(value, f(V.astype(np.float32)))


def test_complex_arrays_take_real_numbers() -> None:
    def f(x: Any) -> Any:
        z = x * np.array([1j, 2.0, 1.0 - 1j, 1.0])
        z[1:] = x[::-1][1:]
        z[0] *= 1j
        return z.real + z.imag

    agrees(f, V)


def test_writes_in_every_way_of_calling() -> None:
    def f(x: Any) -> Any:
        y = x.reshape(2, 2)
        y[0] *= y[1]
        return x

    def g(x: Any) -> Any:
        return np.sum(f(x) ** 2)

    expected = central(lambda v: f(v.copy()), V)
    for order in ("forward", "reverse", "auto"):
        np.testing.assert_allclose(np.asarray(jac.jacobian(f, order=order)(V)), expected, atol=1e-9)
    np.testing.assert_allclose(np.asarray(jac.Chain(np.sum, f).jacobian(V)), expected.sum(axis=0), atol=1e-9)
    assert "set_item" in [step.node.op.name for step in jac.backprop(f, V) if step.node.op]
    np.testing.assert_allclose(
        np.asarray(jac.hessian(g)(V)), central(lambda v: np.asarray(jac.jacobian(g)(v)), V), atol=1e-6
    )


# -- calls that are played --------------------------------------------------------------------------------------------


@pytest.fixture
def scripts(no_scripts: None) -> Callable[[], list[replay.Kind]]:
    return lambda: [kind for kind in replay.SCRIPTS if kind.scripts]


def shifts(x: Any) -> Any:
    out = np.zeros_like(x)
    out[1:] = x[:-1] ** 2
    out[0] += x[-1]
    np.fill_diagonal(out.reshape(2, 2), x[:2])
    np.add.at(out, [0, 0], x[1])
    out.sort()
    out *= 2
    return out


def test_calls_are_played(scripts: Any) -> None:
    g = jac.jacobian(shifts)
    for k in range(5):
        x = V * (k + 1)
        np.testing.assert_allclose(np.asarray(g(x)), central(shifts, x), atol=1e-6)
    assert len(scripts()) == 1 and all(kind.failures == 0 and kind.plays >= 2 for kind in scripts())


def test_calls_are_played_for_arrays_that_lie_alike(scripts: Any) -> None:
    """`x.reshape(-1)` is a view or a copy, which decides what is assigned to."""

    def f(x: Any) -> Any:
        x.reshape(-1)[0] = 5.0
        return x * 2

    g = jac.value_and_jacobian(f)
    fortran, plain = np.asfortranarray(M), M.copy()
    for x in (plain, plain, plain, fortran, plain, fortran, fortran, fortran):
        value, J = g(x)
        np.testing.assert_array_equal(value, f(x.copy(order="K")))
        assert np.count_nonzero(J) == (9 if x is fortran else 8)
    assert len(scripts()[0].scripts) == 2


def test_captured_arrays_that_lie_otherwise_are_noticed() -> None:
    c = np.zeros((3, 3))

    def f(x: Any) -> Any:
        y = c + x
        y.reshape(-1)[0] = 5.0
        return y

    g = jac.value_and_jacobian(f)
    for order in "CCCFFF":
        c = np.zeros((3, 3), order=order)  # type: ignore[call-overload]
        np.testing.assert_array_equal(g(V[:3])[0], f(V[:3]))


def test_the_last_of_several_values_remains_in_the_order_in_which_they_lie() -> None:
    """NumPy goes through index and value as they lie in memory, where both lie alike."""
    places = {order: np.array([[0, 1], [1, 0]], order=order) for order in "CF"}

    def make(order: Any) -> Callable[[Any], Any]:
        def f(x: Any) -> Any:
            y = np.zeros(2, like=x) if type(x) is not np.ndarray else np.zeros(2)
            y[places[order]] = x if order == "C" else x.T.copy().T
            return y * x[0]

        return f

    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    for order in "CFCFCF":
        f = make(order)
        value, J = jac.value_and_jacobian(f)(x)
        np.testing.assert_array_equal(value, f(x))
        np.testing.assert_allclose(np.asarray(J), central(f, x), atol=1e-9)
        np.testing.assert_allclose(
            np.asarray(jac.hessian(f)(x)), central(lambda v, f=f: jac.jacobian(f)(v), x), atol=1e-8
        )


# -- nested ------------------------------------------------------------------------------------------------------------


def test_derivatives_inside_that_assign() -> None:
    def inner(z: Any, w: Any) -> Any:
        z[0] = w[1]
        w = w * 2
        w[1:] *= z[1:]
        return z * w

    def f(x: Any) -> Any:
        J = jac.jacobian(inner, (0, 1))(x, x)
        x[1] = 2.0
        return np.sum(J[0] + 2 * J[1], axis=0) * x

    agrees(f, V)


def test_a_jacobian_is_a_snapshot_of_traced_arrays_too() -> None:
    def f(x: Any) -> Any:
        y = x * 1
        value, J = jac.value_and_jacobian(lambda z: z * y)(x)
        by_hand = jac.Jacobian.einsum("i->i|i", y)
        y[0] = 100.0
        value += 1
        x[1] = 50.0
        return J @ V + by_hand @ V + value

    agrees(lambda x: f(x), V)


def test_an_array_of_the_function_around_is_changed_by_its_own_values_only() -> None:
    def f(x: Any) -> Any:
        y = x * 1

        def inner(z: Any) -> Any:
            y[0] = 3.0
            return z * y

        return jac.jacobian(inner)(x) @ V

    def g(x: Any) -> Any:
        y = x * 1
        jac.jacobian(lambda z: y.__setitem__(0, z[0]))(x)
        return y

    np.testing.assert_allclose(np.asarray(jac.jacobian(f)(V)), np.diag([0.0, *V[1:]]))
    with pytest.raises(TraceError, match="an array of the function around is assigned what a function computes"):
        jac.jacobian(g)(V)


def test_views_are_followed_through_many_steps() -> None:
    def f(x: Any) -> Any:
        y = x * 1
        z = y
        for _ in range(3000):
            z = z[:]
        y[0] = 5.0
        return z * x

    np.testing.assert_allclose(np.asarray(jac.jacobian(f)(V)), np.diag([5.0, *2 * V[1:]]))


def test_what_a_jacobian_keeps_is_read_only() -> None:
    def f(x: Any) -> Any:
        J = jac.jacobian(lambda z: np.sum(z * x))(x)
        np.asarray(J) if type(x) is np.ndarray else J.tensor().__setitem__(0, 1.0)
        return J @ x

    with pytest.raises(JacobianError, match="it is kept by a graph or a Jacobian"):
        jac.jacobian(f)(V)


def test_what_depends_on_no_input_may_leave_the_trace() -> None:
    def f(x: Any) -> Any:
        z = np.zeros_like(x)
        z[1] = 2.0
        assert float(z[1]) == 2.0 and int(z[1]) == 2 and complex(z[1]) == 2 and z.tolist() == [0, 2, 0, 0]
        assert z[1].item() == z.item(1) == 2.0 and np.asarray(z).sum() == 2.0
        z[0] = x[0]
        with pytest.raises(TraceError, match="a traced array is turned into float"):
            float(z[0])
        return z

    np.testing.assert_array_equal(np.asarray(jac.jacobian(f)(V)), np.diag([1.0, 0, 0, 0]))
