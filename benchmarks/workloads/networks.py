"""Neural networks, whole and in parts."""

from __future__ import annotations

import functools
import math

import numpy
from numpy.lib.stride_tricks import sliding_window_view

from benchmarks.matrix_chain import best_order, multiply
from benchmarks.workloads.workload import Arrays, Collection, diagonal, logsumexp, softmax, weights

WORKLOADS = Collection()


@WORKLOADS.add("mlp", "MLP 512→1024→1024→512 by x", make=lambda rng: [
    rng.normal(size=512), *weights(rng, (1024, 512), (1024, 1024), (512, 1024))])  # fmt: skip
def mlp(np, x, W1, W2, W3):
    return W3 @ np.tanh(W2 @ np.tanh(W1 @ x))


@mlp.by_hand
def _(x, W1, W2, W3) -> Arrays:
    h1 = numpy.tanh(W1 @ x)
    h2 = numpy.tanh(W2 @ h1)
    J = (W3 * (1 - h2 * h2)) @ W2
    J *= 1 - h1 * h1
    return [J @ W1]


@WORKLOADS.add("gelu-mlp", "MLP 300→400→200 with GELU by x", make=lambda rng: [
    rng.normal(size=300), *weights(rng, (400, 300), (200, 400))])  # fmt: skip
def gelu_mlp(np, x, W1, W2):
    h = W1 @ x
    return W2 @ (0.5 * h * (1 + np.tanh(0.8 * (h + 0.045 * h**3))))


@gelu_mlp.by_hand
def _(x, W1, W2) -> Arrays:
    h = W1 @ x
    square = h * h
    t = numpy.tanh(0.8 * h * (1 + 0.045 * square))
    return [(W2 * (0.5 * (1 + t) + 0.4 * h * (1 - t * t) * (1 + 0.135 * square))) @ W1]


@WORKLOADS.add("batched-mlp", "MLP 64→128→32 by X, batch 32", make=lambda rng: [
    rng.normal(size=(32, 64)), rng.normal(size=(64, 128)) / 8, rng.normal(size=(128, 32)) / 11])  # fmt: skip
def batched_mlp(np, X, W1, W2):
    return np.tanh(X @ W1) @ W2


@batched_mlp.by_hand
def _(X, W1, W2) -> Arrays:
    h = numpy.tanh(X @ W1)
    y = h @ W2
    d = 1 - h * h
    core = (d[:, None, :] * W2.T).reshape(y.size, -1) @ W1.T
    J = numpy.zeros((*y.shape, *X.shape))
    diagonal(J, "nkni", "nki")[...] = core.reshape(*y.shape, -1)
    return [J]


@WORKLOADS.add("bottleneck", "2048→8→2048 by x", make=lambda rng: [
    rng.normal(size=2048), *weights(rng, (8, 2048), (2048, 8))])  # fmt: skip
def bottleneck(np, x, W1, W2):
    return W2 @ np.tanh(W1 @ x)


@bottleneck.by_hand
def _(x, W1, W2) -> Arrays:
    h = numpy.tanh(W1 @ x)
    return [(W2 * (1 - h * h)) @ W1]


@WORKLOADS.add("wide-narrow-wide", "600→12→600→12→600 by x", make=lambda rng: [
    rng.normal(size=600), *weights(rng, (12, 600), (600, 12), (12, 600), (600, 12))])  # fmt: skip
def wide_narrow_wide(np, x, *layers):
    for W in layers:
        x = np.tanh(W @ x)
    return x


@wide_narrow_wide.by_hand
def _(x, W1, W2, W3, W4) -> Arrays:
    a = numpy.tanh(W1 @ x)
    b = numpy.tanh(W2 @ a)
    c = numpy.tanh(W3 @ b)
    y = numpy.tanh(W4 @ c)
    middle = (W3 * (1 - b * b)) @ W2
    middle *= numpy.multiply.outer(1 - c * c, 1 - a * a)
    return [((1 - y * y)[:, None] * W4) @ (middle @ W1)]


def _deep(rng: numpy.random.Generator) -> Arrays:
    sizes = rng.integers(5, 501, size=51)
    return [rng.normal(size=sizes[0]), *weights(rng, *zip(sizes[1:], sizes[:-1], strict=True))]


@WORKLOADS.add("deep-chain", "50 layers tanh(W x) of 5 to 500 by x", make=_deep)
def deep_chain(np, x, *layers):
    for W in layers:
        x = np.tanh(W @ x)
    return x


@deep_chain.by_hand
def _(x, *layers) -> Arrays:
    local = []
    for W in layers:
        x = numpy.tanh(W @ x)
        local.append((1 - x * x)[:, None] * W)
    sizes = (*(J.shape[0] for J in local[::-1]), local[0].shape[1])
    return [multiply(local[::-1], _known_order(sizes))]


_known_order = functools.cache(best_order)  # a person works the order out once


@WORKLOADS.add("residual-network", "3 blocks x + tanh(x W₁) W₂ of 64→128→64 by x, batch 32", make=lambda rng: [
    rng.normal(size=(32, 64)), *weights(rng, *[(64, 128), (128, 64)] * 3)])  # fmt: skip
def residual_network(np, X, *layers):
    for W1, W2 in zip(layers[::2], layers[1::2], strict=True):
        X = X + np.tanh(X @ W1) @ W2
    return X


@residual_network.by_hand
def _(X, *layers) -> Arrays:
    (batch, n), total = X.shape, None
    for W1, W2 in zip(layers[::2], layers[1::2], strict=True):
        h = numpy.tanh(X @ W1)
        X = X + h @ W2
        local = (((1 - h * h)[:, None, :] * W2.T).reshape(batch * n, -1) @ W1.T).reshape(batch, n, n)
        local.reshape(batch, -1)[:, :: n + 1] += 1
        total = local if total is None else local @ total
    J = numpy.zeros((batch, n, batch, n))
    diagonal(J, "ninj", "nij")[...] = total
    return [J]


@WORKLOADS.add("attention", "softmax(Q Kᵀ/√d) V by Q, K and V, 48×32", (48, 32), (48, 32), (48, 32), argnums=(0, 1, 2))
def attention(np, Q, K, V):
    return softmax(np, Q @ K.T / math.sqrt(Q.shape[1])) @ V


@attention.by_hand
def _(Q, K, V) -> Arrays:
    scale = 1 / math.sqrt(Q.shape[1])
    scores = Q @ K.T * scale
    e = numpy.exp(scores - scores.max(axis=1, keepdims=True))
    P = e / e.sum(axis=1, keepdims=True)
    y = P @ V
    by_Q, by_V = numpy.zeros((*y.shape, *Q.shape)), numpy.zeros((*y.shape, *V.shape))
    spread = V.T - y[:, :, None]
    spread *= (scale * P)[:, None, :]
    diagonal(by_Q, "icid", "icd")[...] = (spread.reshape(-1, len(K)) @ K).reshape(*y.shape, -1)
    diagonal(by_V, "icjc", "icj")[...] = P[:, None, :]
    return [by_Q, spread[..., None] * Q[:, None, None, :], by_V]


@WORKLOADS.add("cross-entropy-weights", "softmax cross-entropy of 256 rows by the weights, 64→50", make=lambda rng: [
    rng.normal(size=(64, 50)) / 8, rng.normal(size=(256, 64)), numpy.eye(50)[rng.integers(50, size=256)]])  # fmt: skip
def cross_entropy_weights(np, W, X, labels):
    z = X @ W
    return logsumexp(np, z) - np.sum(labels * z, axis=1)


@cross_entropy_weights.by_hand
def _(W, X, labels) -> Arrays:
    z = X @ W
    m = z.max(axis=1, keepdims=True)
    e = numpy.exp(z - m)
    total = e.sum(axis=1, keepdims=True)
    return [X[:, :, None] * (e / total - labels)[:, None, :]]


def a_batch(rows: int):
    """Weights of an MLP 64→128→32, inputs and targets."""
    return lambda rng: [rng.normal(size=(64, 128)) / 8, rng.normal(size=(128, 32)) / 11, rng.normal(size=(rows, 64)),
                        rng.normal(size=(rows, 32))]  # fmt: skip


@WORKLOADS.add("loss-gradient", "mean squared loss of an MLP 64→128→32 by its weights, batch 256", argnums=(0, 1),
    make=a_batch(256))  # fmt: skip
def loss_gradient(np, W1, W2, X, target):
    return np.mean((np.tanh(X @ W1) @ W2 - target) ** 2)


@loss_gradient.by_hand
def _(W1, W2, X, target) -> Arrays:
    h = numpy.tanh(X @ W1)
    residual = h @ W2 - target
    residual *= 2 / residual.size
    return [X.T @ ((residual @ W2.T) * (1 - h * h)), h.T @ residual]


WORKLOADS.larger("loss-gradient", "the same, batch 8192", a_batch(8192))


@WORKLOADS.add("huber-loss", "Huber's loss of a linear model of 300 by its weights, 400 rows", make=lambda rng: [
    rng.normal(size=300), rng.normal(size=(400, 300)), rng.normal(size=400)])  # fmt: skip
def huber_loss(np, w, X, target):
    residual = X @ w - target
    size = np.abs(residual)
    return np.sum(np.where(size < 1, 0.5 * residual**2, size - 0.5))


@huber_loss.by_hand
def _(w, X, target) -> Arrays:
    residual = X @ w - target
    return [numpy.clip(residual, -1, 1) @ X]


@WORKLOADS.add("recurrent-network", "12 steps tanh(W h + U x) of 48, by W and the 24 inputs", argnums=(0, 2),
    make=lambda rng: [*weights(rng, (48, 48), (48, 24)), rng.normal(size=(12, 24))])  # fmt: skip
def recurrent_network(np, W, U, X):
    h = np.tanh(U @ X[0])
    for t in range(1, 12):
        h = np.tanh(W @ h + U @ X[t])
    return h


@recurrent_network.by_hand
def _(W, U, X) -> Arrays:
    driven = X @ U.T
    h = [numpy.tanh(driven[0])]
    for step in driven[1:]:
        h.append(numpy.tanh(W @ h[-1] + step))
    states = numpy.array(h)
    slopes = 1 - states * states
    arriving = numpy.empty((W.shape[0], *states.shape))  # ∂y/∂(W h + U x) at every step
    arriving[:, -1] = numpy.diag(slopes[-1])
    for t in range(len(h) - 2, -1, -1):
        numpy.multiply(arriving[:, t + 1] @ W, slopes[t], out=arriving[:, t])
    by_W = arriving[:, 1:].transpose(0, 2, 1).reshape(W.size, -1) @ states[:-1]
    return [by_W.reshape(-1, *W.shape), (arriving.reshape(-1, W.shape[0]) @ U).reshape(-1, *X.shape)]


def _sigmoid(np, z):
    return 1 / (1 + np.exp(-z))


@WORKLOADS.add("lstm-cell", "LSTM cell of 128, (h', c') by x, h and c", argnums=(0, 1, 2), make=lambda rng: [
    *rng.normal(size=(3, 128)), *weights(rng, (512, 128), (512, 128))])  # fmt: skip
def lstm_cell(np, x, h, c, W, U):
    z, n = W @ x + U @ h, c.shape[0]
    i, f, o = (_sigmoid(np, z[k * n : (k + 1) * n]) for k in range(3))
    new = f * c + i * np.tanh(z[3 * n :])
    return np.concatenate([o * np.tanh(new), new])


@lstm_cell.by_hand
def _(x, h, c, W, U) -> Arrays:
    n = c.size
    z = (W @ x + U @ h).reshape(4, n)
    i, f, o = 1 / (1 + numpy.exp(-z[:3]))
    g = numpy.tanh(z[3])
    t = numpy.tanh(f * c + i * g)
    through = o * (1 - t * t)
    gates = (i * (1 - i) * g, f * (1 - f) * c, t * o * (1 - o), i * (1 - g * g))
    found = []
    for M in (W, U):
        J = numpy.empty((2 * n, n))
        top, bottom = J[:n], J[n:]
        numpy.multiply(gates[0][:, None], M[:n], out=bottom)
        bottom += gates[1][:, None] * M[n : 2 * n]
        bottom += gates[3][:, None] * M[3 * n :]
        numpy.multiply(through[:, None], bottom, out=top)
        top += gates[2][:, None] * M[2 * n : 3 * n]
        found.append(J)
    by_c = numpy.zeros((2 * n, n))
    by_c.reshape(-1)[: n * n : n + 1] = through * f
    by_c.reshape(-1)[n * n :: n + 1] = f
    return [*found, by_c]


@WORKLOADS.add("convolution", "conv2d 3×3, relu and 2×2 max-pool of 8×3×16×16 by x, 6 filters",
    (8, 3, 16, 16), (6, 3, 3, 3), scale=0.5)  # fmt: skip
def convolution(np, x, W):
    from jacobian import ops

    return ops.max_pool2d(ops.relu(ops.conv2d(x, W)), 2)


convolution.without("autograd")


@convolution.variant("jax")
def _(np, x, W):
    import jax

    y = jax.nn.relu(jax.lax.conv_general_dilated(x, W, (1, 1), "VALID"))
    return np.max(np.reshape(y, (8, 6, 7, 2, 7, 2)), axis=(3, 5))


@convolution.variant("torch")
def _(np, x, W):
    from torch.nn import functional

    return functional.max_pool2d(functional.relu(functional.conv2d(x, W)), 2)


@convolution.by_hand
def _(x, W) -> Arrays:
    batch, channels, height, width = x.shape
    y = numpy.moveaxis(numpy.tensordot(sliding_window_view(x, (3, 3), (2, 3)), W, ((1, 4, 5), (1, 2, 3))), -1, 1)
    windows = y.reshape(batch, 6, 7, 2, 7, 2).transpose(0, 1, 2, 4, 3, 5).reshape(batch, 6, 7, 7, 4)
    best = windows.argmax(axis=-1)
    pooled = numpy.maximum(windows.max(axis=-1), 0)
    row = 2 * numpy.arange(7)[:, None] + best // 2
    column = 2 * numpy.arange(7) + best % 2
    corner = (numpy.arange(batch)[:, None, None, None] * channels * height + row) * width + column
    inside = numpy.ravel_multi_index(numpy.indices((channels, 3, 3)).reshape(3, -1), (channels, height, width))
    J = numpy.zeros((*pooled.shape, *x.shape))
    first = numpy.arange(pooled.size).reshape(pooled.shape) * x.size + corner
    live = pooled > 0
    values = numpy.broadcast_to(W.reshape(6, 1, 1, -1), (*pooled.shape, inside.size))
    J.reshape(-1)[first[live][:, None] + inside] = values[live]
    return [J]
