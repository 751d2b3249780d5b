"""Functions of entries, and reductions."""

from __future__ import annotations

import numpy

from benchmarks.workloads.workload import Arrays, Collection, diagonal, logsumexp, softmax

WORKLOADS = Collection()


@WORKLOADS.add("elementwise-chain", "tanh(sin(x)·x) + exp(-x²), n=2048", (2048,))
def elementwise(np, x):
    return np.tanh(np.sin(x) * x) + np.exp(-(x**2))


@elementwise.by_hand
def _(x) -> Arrays:
    s = numpy.sin(x)
    t, e = numpy.tanh(s * x), numpy.exp(-x * x)
    J = numpy.zeros((x.size, x.size))
    J.reshape(-1)[:: x.size + 1] = (1 - t * t) * (s + x * numpy.cos(x)) - 2 * x * e
    return [J]


@WORKLOADS.add("stencil", "nonlinear second difference, n=4096", (4096,))
def stencil(np, x):
    return x[:-2] - 2 * x[1:-1] + x[2:] + x[1:-1] * (x[2:] - x[:-2])


@stencil.by_hand
def _(x) -> Arrays:
    n, (left, middle, right) = x.size, (x[:-2], x[1:-1], x[2:])
    slope = right - left
    J = numpy.zeros((n - 2, n))
    flat = J.reshape(-1)
    flat[0 :: n + 1] = 1 - middle
    flat[1 :: n + 1] = slope - 2
    flat[2 :: n + 1] = 1 + middle
    return [J]


@WORKLOADS.add("pad-and-roll", "pad, roll and shifted products, n=1500", (1500,))
def pad_and_roll(np, x):
    p = np.pad(x, (2, 2))
    return p[2:-2] * np.roll(x, 1) + p[4:] - p[:-4]


@pad_and_roll.variant("autograd")
def _(np, x):
    p = np.pad(x, (2, 2), "constant")
    return p[2:-2] * np.roll(x, 1) + p[4:] - p[:-4]


@pad_and_roll.by_hand
def _(x) -> Arrays:
    n, before = x.size, numpy.roll(x, 1)
    J = numpy.zeros((n, n))
    flat = J.reshape(-1)
    flat[:: n + 1] = before
    flat[n :: n + 1] = x[1:]
    flat[n - 1] = x[0]
    flat[2 : n * (n - 2) : n + 1] = 1
    flat[2 * n :: n + 1] = -1
    return [J]


@WORKLOADS.add("layer-norm", "(x - mean) / √(var + ε) of rows, 64×96", (64, 96))
def layer_norm(np, x):
    centred = x - np.mean(x, axis=1, keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, axis=1, keepdims=True) + 1e-5)


@layer_norm.by_hand
def _(x) -> Arrays:
    rows, n = x.shape
    centred = x - x.mean(axis=1, keepdims=True)
    scale = 1 / numpy.sqrt(numpy.mean(centred * centred, axis=1, keepdims=True) + 1e-5)
    y = centred * scale
    core = numpy.multiply(y[:, :, None], (y * (-scale / n))[:, None, :])
    core -= (scale / n)[:, :, None]
    core.reshape(rows, -1)[:, :: n + 1] += scale
    J = numpy.zeros((rows, n, rows, n))
    diagonal(J, "ninj", "nij")[...] = core
    return [J]


@WORKLOADS.add("batch-norm", "(x - mean) / √(var + ε) of columns, 128×40", (128, 40))
def batch_norm(np, x):
    centred = x - np.mean(x, axis=0)
    return centred / np.sqrt(np.mean(centred**2, axis=0) + 1e-5)


@batch_norm.by_hand
def _(x) -> Arrays:
    n, columns = x.shape
    centred = x - x.mean(axis=0)
    scale = 1 / numpy.sqrt(numpy.mean(centred * centred, axis=0) + 1e-5)
    y = (centred * scale).T
    core = numpy.multiply(y[:, :, None], (y * (-scale / n)[:, None])[:, None, :])
    core -= (scale / n)[:, None, None]
    core.reshape(columns, -1)[:, :: n + 1] += scale[:, None]
    J = numpy.zeros((n, columns, n, columns))
    diagonal(J, "nkmk", "knm")[...] = core
    return [J]


@WORKLOADS.add("softmax", "softmax, n=1000", (1000,))
def soft(np, x):
    return softmax(np, x)


@soft.by_hand
def _(x) -> Arrays:
    e = numpy.exp(x - x.max())
    p = e / e.sum()
    J = numpy.multiply(p[:, None], -p)
    J.reshape(-1)[:: x.size + 1] += p
    return [J]


@WORKLOADS.add("cross-entropy", "softmax cross-entropy of 128 rows by the logits, 50 classes", (128, 50),
    make=lambda rng: [rng.normal(size=(128, 50)), numpy.eye(50)[rng.integers(50, size=128)]])  # fmt: skip
def cross_entropy(np, z, labels):
    return logsumexp(np, z) - np.sum(labels * z, axis=1)


@cross_entropy.by_hand
def _(z, labels) -> Arrays:
    m = z.max(axis=1, keepdims=True)
    e = numpy.exp(z - m)
    total = e.sum(axis=1, keepdims=True)
    J = numpy.zeros((len(z), *z.shape))
    diagonal(J, "nnk", "nk")[...] = e / total - labels
    return [J]


@WORKLOADS.add("cumsum", "cumsum(x²), n=2000", (2000,))
def cumsum(np, x):
    return np.cumsum(x**2, axis=0)


@cumsum.by_hand
def _(x) -> Arrays:
    d, n = 2 * x, x.size
    J = numpy.zeros((n, n))
    for i in range(n):
        J[i, : i + 1] = d[: i + 1]
    return [J]


@WORKLOADS.add("cumprod", "cumprod(x), n=1000", make=lambda rng: [numpy.exp(0.1 * rng.normal(size=1000))])
def cumprod(np, x):
    return np.cumprod(x, axis=0)


@cumprod.by_hand
def _(x) -> Arrays:
    y, r, n = numpy.cumprod(x), 1 / x, x.size
    J = numpy.zeros((n, n))
    for i in range(n):
        numpy.multiply(r[: i + 1], y[i], out=J[i, : i + 1])
    return [J]


@WORKLOADS.add("standard-deviation", "standard deviation of columns, 400×60", (400, 60))
def standard_deviation(np, X):
    return np.std(X, axis=0)


@standard_deviation.by_hand
def _(X) -> Arrays:
    n, k = X.shape
    centred = X - X.mean(axis=0)
    y = numpy.sqrt(numpy.einsum("nk,nk->k", centred, centred) / n)
    J = numpy.zeros((k, n, k))
    diagonal(J, "knk", "nk")[...] = centred / (n * y)
    return [J]


@WORKLOADS.add("row-norms", "Euclidean norms of rows, 200×50", (200, 50))
def row_norms(np, X):
    return np.linalg.norm(X, axis=1)


@row_norms.by_hand
def _(X) -> Arrays:
    y = numpy.sqrt(numpy.einsum("ni,ni->n", X, X))
    J = numpy.zeros((len(X), *X.shape))
    diagonal(J, "nni", "ni")[...] = X / y[:, None]
    return [J]


@WORKLOADS.add("n-body", "gravity between 40 bodies by their places", (40, 3))
def n_body(np, x):
    way = x[None, :, :] - x[:, None, :]
    square = np.sum(way**2, axis=2) + 0.05
    return np.sum(way / (square * np.sqrt(square))[:, :, None], axis=1)


@n_body.by_hand
def _(x) -> Arrays:
    way = x[None] - x[:, None]
    square = numpy.einsum("ijk,ijk->ij", way, way) + 0.05
    weight = 1 / (square * numpy.sqrt(square))
    pull = way[..., :, None] * (way * (-3 * weight / square)[..., None])[..., None, :]
    diagonal(pull, "ijkk", "ijk")[...] += weight[..., None]
    J = numpy.ascontiguousarray(pull.transpose(0, 2, 1, 3))
    diagonal(J, "ikil", "ikl")[...] -= pull.sum(axis=1)
    return [J]


WORKLOADS.larger("n-body", "the same between 160 bodies", lambda rng: [rng.normal(size=(160, 3))])


@WORKLOADS.add("pairwise-distances", "distances between 96 points in 8 dimensions", (96, 8))
def pairwise_distances(np, X):
    difference = X[:, None, :] - X[None, :, :]
    return np.sqrt(np.sum(difference**2, axis=2) + 1e-3)


@pairwise_distances.by_hand
def _(X) -> Arrays:
    n, k = X.shape
    difference = X[:, None, :] - X[None, :, :]
    y = numpy.sqrt(numpy.einsum("ijk,ijk->ij", difference, difference) + 1e-3)
    difference /= y[:, :, None]
    J = numpy.zeros((n, n, n, k))
    diagonal(J, "ijik", "ijk")[...] = difference
    diagonal(J, "ijjk", "ijk")[...] -= difference
    return [J]
