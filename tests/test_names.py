"""What formulas call things: no two bear one name, in `J.formula`, `derive` and `verify` alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jacobian as jac

X = np.array([0.5, 1.0, 2.0])
A = np.arange(9.0).reshape(3, 3) / 9


class Net:
    """Arrays in attributes."""

    def __init__(self) -> None:
        self.W1, self.W2 = A + 1, np.ones((2, 3)) + np.arange(3)

    def __call__(self, x: Any) -> Any:
        return self.W2 @ np.tanh(self.W1 @ x)


def local(x: Any) -> Any:
    M = np.eye(3) * 2
    return M @ np.sin(x)


def named_like_the_output(x: Any) -> Any:
    y = x**2
    return np.sin(y) * y


def normalised(x: Any) -> Any:
    mu = np.mean(x)
    s = np.sqrt(np.mean((x - mu) ** 2))
    return (x - mu) / s


def gated(x: Any) -> Any:
    i, g = np.tanh(x), np.tanh(2 * x)
    return i * g


def numbered(v1: Any) -> Any:
    return np.exp(np.sum(v1) * v1)


FORMULAS: dict[str, tuple[Callable[..., Any], np.ndarray, str]] = {
    "attributes": (Net(), X, "∂y[i]/∂x[j] = Σ_k W2[i,k] * (1 - v2[k]**2) * W1[k,j]"),
    "a local variable": (local, X, "∂y[i]/∂x[j] = M[i,j] * cos(x[j])"),
    "nothing holds them": (
        lambda x: (2 * A) @ np.sin(x) + (A * A) @ np.cos(x), X, "∂y[i]/∂x[j] = c[i,j] * cos(x[j]) - c2[i,j] * sin(x[j])"
    ),
    "a variable called y": (named_like_the_output, X, "∂z[i]/∂x[i] = 2 * (sin(y[i]) + y[i] * cos(y[i])) * x[i]"),
    "the argument is captured": (lambda X: A @ X, A, "∂y[i,k]/∂X[j,k] = A[i,j]"),
    "numbers of the point": (
        normalised, X,
        (
            "∂y[i]/∂x[j] = δ[j,i] / s + Σ_k 1/9 * y[i] / s * (x[k] - mu) / s - 1/3 * y[i] / s * (x[j] - mu) / s "
            "- 1/3 * 1 / s"
        ),
    ),
    "cumprod": (
        lambda x: 2 * np.cumprod(np.sin(x)), X, "∂y[i]/∂x[j] = 2 * v2[i] * cos(x[j]) * [0 <= i - j < 3] / sin(x[j])"
    ),
    "keepdims": (lambda x: x / np.mean(x, keepdims=True), X, "∂y[i]/∂x[j] = δ[j,i] / v1[0] - 1/3 * y[i] / v1[0]"),
    "one entry of more": (lambda x: np.exp(x[:1]), X, "∂y[0]/∂x[0] = y[0]"),
    "an index letter": (gated, X, "∂y[j]/∂x[j] = 2 * i[j] * (1 - g[j]**2) + g[j] * (1 - i[j]**2)"),
    "a node's number": (numbered, X, "∂y[i]/∂v1[j] = δ[j,i] * y[i] * u1 + y[i] * v1[i]"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_formulas_say_what_holds(name: str) -> None:
    f, x, expected = FORMULAS[name]
    J = jac.jacobian(f)(x)
    assert J.formula == expected
    assert jac.verify(f, x, claim=J.formula).verdict == "right"
    wrong = jac.verify(f, x, claim=np.asarray(J) + 1)
    assert wrong.formula == J.formula
    quotient = jac.derive(f, x).title.partition(":")[0]
    assert quotient == f"∂{J.names[0]}/∂{J.names[1]}"


def test_positions_are_bracketed_where_something_binds_more_tightly() -> None:
    J = jac.jacobian(lambda X: np.fft.fft(X.ravel()))(np.ones((2, 3)))
    assert J.formula == "∂y[i]/∂X[j,k] = exp(-2j * pi * i * (3*j + k) / 6)"


def test_played_jacobians_bear_the_same_names() -> None:
    net, rng = Net(), np.random.default_rng(0)
    for f in (net, local, lambda x: (2 * A) @ np.sin(x), lambda x: np.where(A[0] > 0.1, np.sin(x), x)):
        g = jac.jacobian(f)
        assert len({g(rng.normal(size=3)).formula for _ in range(4)}) == 1


def test_the_arrays_of_an_argument_bear_their_path() -> None:
    def f(x: Any, p: Any) -> Any:
        return p["W"] @ np.tanh(p["V"] @ x)

    g = jac.jacobian(f)
    formulas = {g(X + k, {"W": A, "V": A + 1}).formula for k in range(4)}
    assert formulas == {"∂y[i]/∂x[j] = Σ_k p_W[i,k] * (1 - v2[k]**2) * p_V[k,j]"}


def test_a_hessian_is_named_by_what_it_differentiates() -> None:
    def f(x: Any) -> Any:
        return np.sum(x**3)

    H = jac.hessian(f)(X)
    assert H.formula == "∂(∂y/∂x)[i]/∂x[i] = 6 * x[i]"
    assert H.latex.startswith(r"\frac{\partial \left(\frac{\partial y}{\partial x}\right)_{i}}{\partial x_{i}}")
    assert jac.verify(f, X, claim=H.formula, kind="hessian").verdict == "right"
