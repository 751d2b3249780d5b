"""Slips in derivatives of plain Python functions, claimed as Python functions and in index notation."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy import diag, eye, outer
from numpy import trace as tr
from numpy.linalg import det, inv, norm

import jacobian as jac
from jacobian.ops.network import (
    attention,
    batch_norm,
    cross_entropy,
    layer_norm,
    linear,
    mse,
    relu,
    sigmoid,
    softmax,
)

RNG = np.random.default_rng(11)
D = "downstream"
CASES: list[tuple[str, Callable[..., Any], tuple[Any, ...], Any, int, str]] = []


def R(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def c(slip: str, f: Any, args: tuple[Any, ...], claim: Any, argnums: int = 0, kind: str = "jacobian") -> None:
    CASES.append((slip, f, args, claim, argnums, kind))


# axes
c(
    "axes permuted",
    lambda X: X.T @ X,
    (R(3, 3),),
    lambda X: np.einsum("ja,bk->jkab", eye(3), X) + np.einsum("bj,ka->jkab", X, eye(3)),
)
c("axes permuted", lambda x, W: linear(x, W), (R(3), R(3, 3)), lambda x, W, G: outer(x, G), 1, D)
c("axes permuted", lambda X, a, b: a @ X @ b, (R(3, 3), R(3), R(3)), lambda X, a, b: outer(b, a))
c("axes permuted", lambda X: np.log(abs(det(X))), (R(3, 3),), "dy/dX[i,j] = inv(X)[i,j]")
c("column-major vec", lambda X, A: A @ X, (R(3, 2), R(2, 3)), lambda X, A: np.kron(eye(2), A).reshape(2, 2, 3, 2))
# sign
c("sign", lambda x: np.cos(x), (R(4),), "dy[i]/dx[j] = sin(x[i])*δ[i,j]")
c("sign", lambda a, b: mse(a, b), (R(3, 2), R(3, 2)), lambda a, b: 2 * (a - b) / 6, 1)
c("sign", lambda x: 1 / (1 + np.exp(x)), (R(3),), lambda x, y: diag(y * (1 - y)))
c("sign", lambda A: inv(A), (R(3, 3) + 3 * eye(3),), lambda A, G, y: y.T @ G @ y.T, 0, D)
# constant
c("constant factor", lambda x: np.sum(x**4), (R(4),), lambda x: x**3)
c(
    "constant factor",
    lambda A, x, b: 0.5 * np.sum((A @ x - b) ** 2),
    (R(4, 3), R(3), R(4)),
    lambda A, x, b: 2 * A.T @ (A @ x - b),
    1,
)
c(
    "constant factor",
    lambda q, k, v: attention(q, k, v),
    (R(3, 4), R(5, 4), R(5, 2)),
    lambda q, k, v, G: softmax(q @ k.T / 2).T @ G * 2,
    2,
    D,
)
# factor
c("factor left out", lambda W, b, x: sigmoid(W @ x + b), (R(3, 4), R(3), R(4)), lambda W, b, x, G: W.T @ G, 2, D)
c("factor left out", lambda x: np.sqrt(np.sum(x**2)), (R(4),), lambda x: x)
c("factor left out", lambda X: det(X), (R(3, 3),), lambda X: inv(X).T)
c("factor left out", lambda g, x: layer_norm(x, 5, g), (R(5), R(2, 5)), lambda g, x, G: np.sum(G, axis=0), 0, D)
c("factor used twice", lambda W, x: np.tanh(W @ x), (R(3, 4), R(4)), lambda W, x, y: ((1 - y**2) ** 2)[:, None] * W, 1)
c("factor used twice", lambda x, A: np.exp(A @ x), (R(3), R(2, 3)), "dy[i]/dx[j] = y[i]**2*A[i,j]")
# wrong point
c(
    "wrong point",
    lambda W, x: sigmoid(W @ x),
    (R(3, 4), R(4)),
    lambda W, x, y: (sigmoid(y) * (1 - sigmoid(y)))[:, None] * W,
    1,
)
c("wrong point", lambda x: np.tanh(x) ** 2, (R(4),), lambda x: diag(2 * x * (1 - np.tanh(x) ** 2)))


def mlp(W1, W2, x):
    z = W1 @ x
    h = relu(z)
    return W2 @ h


c("wrong point", mlp, (R(4, 3), R(2, 4), R(3)), lambda W1, W2, x, G, z: outer(G, z), 1, D)
c("wrong point", lambda x: np.exp(np.sin(x)), (R(4),), "dy[i]/dx[j] = exp(x[i])*cos(x[i])*δ[i,j]")
# link
c("constant factor", lambda x: np.log(np.sum(np.exp(3 * x))), (R(4),), lambda x: softmax(3 * x))
c("link left out", mlp, (R(4, 4), R(4, 4), R(4)), lambda W1, W2, x, z: diag(1.0 * (z > 0)) @ W1, 2)
c("link left out", lambda W, x: softmax(W @ x), (R(3, 3), R(3)), lambda W, x, y, G: y * (G - y @ G), 1, D)
c("links in the wrong order", lambda A, B, x: A @ (B @ x), (R(3, 3), R(3, 3), R(3)), "dy[i]/dx[j] = B[i,k]*A[k,j]", 2)
c(
    "links in the wrong order",
    lambda A, B, x: A @ (B @ x),
    (R(3, 3), R(3, 3), R(3)),
    lambda A, B, x, G: A.T @ (B.T @ G),
    2,
    D,
)
c("links in the wrong order", lambda A, X: A @ X, (R(3, 3), R(3, 3)), lambda A, X, G: G @ A.T, 1, D)
c("W instead of Wᵀ", lambda X, W: X @ W, (R(5, 3), R(3, 3)), lambda X, W, G: G @ W, 0, D)
c("W instead of Wᵀ", lambda W, h: relu(W @ h), (R(3, 3), R(3)), lambda W, h, G: W @ (G * (W @ h > 0)), 1, D)
c("W instead of Wᵀ", lambda A, b: np.linalg.solve(A, b), (R(3, 3) + 3 * eye(3), R(3)), lambda A, b, G: inv(A) @ G, 1, D)
# terms
c("term left out", lambda x: softmax(x), (R(4),), lambda x, y: diag(y - y**2))
c("term left out", lambda x: x**2 * np.sin(x), (R(4),), lambda x: diag(2 * x * np.sin(x)))
c("term left out", lambda X, A: tr(X @ A @ X.T), (R(3, 4), R(4, 4)), lambda X, A: X @ A)
c("term left out", lambda x: np.sin(x) / x, (R(4) + 3,), lambda x: diag(np.cos(x) / x))
c("term left out", lambda z, t: cross_entropy(z, t), (R(3, 4), np.array([0, 2, 1])), lambda z, t: softmax(z) / 3)


def resid(W, x):
    h = np.tanh(W @ x)
    return h + h**2


c("path left out", resid, (R(3, 4), R(4)), lambda W, x, h: (1 - h**2)[:, None] * W, 1)


def rnn(W, h, x1, x2):
    h1 = np.tanh(W @ h + x1)
    return np.tanh(W @ h1 + x2)


c("path left out", rnn, (R(3, 3), R(3), R(3), R(3)), lambda G, h1, y: outer(G * (1 - y**2), h1), 0, D)
c("δ left out", lambda x: np.exp(x), (R(3),), "dy[i]/dx[j] = exp(x[i])")
c("δ left out", lambda A, B: A @ B, (R(2, 3), R(3, 4)), "dy[i,k]/dB[p,q] = A[i,p]", 1)
c(
    "δ left out",
    lambda X: batch_norm(X),
    (R(6, 2),),
    "dy[n,i]/dX[m,j] = (δ[n,m] - 1/6 - y[n,i]*y[m,j]/6)/sqrt(var(X,axis=0)[i]+1e-5)",
)
c("δ put in", lambda W, x: W @ x, (R(3, 3), R(3)), lambda W, x: diag(diag(W)), 1)
c("δ put in", lambda A: inv(A), (R(3, 3) + 3 * eye(3),), "dy[i,j]/dA[k,l] = -y[i,k]*y[l,j]*δ[i,k]*δ[j,l]")
c("broadcast axis not summed", lambda X, b: relu(X + b), (R(4, 3), R(3)), lambda X, b, G: G * (X + b > 0), 1, D)
c("broadcast axis not summed", lambda X, s: X * s, (R(4, 3), np.array(2.0)), lambda X, s, G: G * X, 1, D)
c("broadcast axis not summed", lambda X, b: X + b, (R(4, 3), R(4, 1)), lambda X, b, G: G, 1, D)
c(
    "1/n left out",
    lambda X, w, y: np.mean((X @ w - y) ** 2),
    (R(6, 3), R(3), R(6)),
    lambda X, w, y: 2 * X.T @ (X @ w - y),
    1,
)
c("1/n left out", lambda x: np.var(x), (R(6),), "dy/dx[i] = 2*(x[i]-mean(x))")
c(
    "1/n applied twice",
    lambda z, t: cross_entropy(z, t),
    (R(3, 4), np.array([0, 2, 1])),
    lambda z, t: (softmax(z) - eye(4)[t]) / 9,
)
c("normalisation treated as constant", lambda x: layer_norm(x), (R(5),), "dy[i]/dx[j] = δ[i,j]/sqrt(var(x)+1e-5)")
c(
    "normalisation treated as constant",
    lambda X: batch_norm(X),
    (R(6, 2),),
    lambda X, G: (G - G.mean(0)) / np.sqrt(X.var(0) + 1e-5),
    0,
    D,
)
c("normalisation treated as constant", lambda x: softmax(x), (R(4),), lambda x, G, y: y * G, 0, D)
c("normalisation treated as constant", lambda x: x / norm(x), (R(4),), lambda x: eye(4) / norm(x))
c("symmetry assumed", lambda x, A: x @ A @ x, (R(3), R(3, 3)), "dy/dx[i] = 2*A[i,j]*x[j]")
c("symmetry assumed", lambda X, B: tr(X.T @ B @ X), (R(3, 2), R(3, 3)), lambda X, B: 2 * B @ X)
S = R(3, 3)
S = S @ S.T + eye(3)
c("symmetry assumed", lambda X: np.log(det(X)), (S,), lambda X: 2 * inv(X) - diag(diag(inv(X))))
c("symmetry not assumed", lambda X, A: tr(A @ (X + X.T)) / 2, (R(3, 3), R(3, 3)), lambda X, A: A.T)
c("upstream forgotten", lambda W, x: np.tanh(W @ x), (R(3, 4), R(4)), lambda W, x, y, G: W.T @ (1 - y**2), 1, D)
c("upstream forgotten", lambda A, B: A @ B, (R(2, 3), R(3, 4)), lambda A, B, G: A.T @ np.ones((2, 4)), 1, D)
c("upstream forgotten", lambda x: np.sum(x**2), (R(4),), lambda x, G: 2 * x, 0, D)
c("second-order factor 2", lambda x, A: x @ A @ x, (R(3), S), lambda x, A: A, 0, "hessian")
c("second-order factor 2", lambda x: np.sum(x**2), (R(3),), lambda x: eye(3), 0, "hessian")
c("second-order factor 2", jac.jacobian(lambda x: x @ x), (R(3),), lambda x: 4 * eye(3))


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{k}-{case[0]}" for k, case in enumerate(CASES)])
def test_the_slip_is_found(number: int) -> None:
    slip, f, args, claim, argnums, kind = CASES[number]
    verdict = jac.verify(f, *args, claim=claim, argnums=argnums, kind=kind)
    assert verdict.verdict == "wrong"
    assert verdict.slip == slip, verdict
