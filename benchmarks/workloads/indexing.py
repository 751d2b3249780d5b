"""Code that moves entries about, and products that are mostly zeros."""

from __future__ import annotations

import numpy

from benchmarks.workloads.workload import Arrays, Collection, diagonal

WORKLOADS = Collection()


@WORKLOADS.add("reshape-transpose", "reshape, transpose, flip and slices of 48×64", (48, 64))
def reshape_transpose(np, X):
    blocks = np.transpose(np.reshape(X, (16, 3, 64)), (1, 2, 0))
    rows = np.reshape(np.flip(blocks, 1), (48, 64)).T
    return np.sin(np.concatenate([rows[::2], rows[1::2]], axis=0))


@reshape_transpose.variant("autograd")
def _(np, X):
    blocks = np.transpose(np.reshape(X, (16, 3, 64)), (1, 2, 0))
    rows = np.reshape(blocks[:, ::-1], (48, 64)).T
    return np.sin(np.concatenate([rows[::2], rows[1::2]], axis=0))


@reshape_transpose.by_hand
def _(X) -> Arrays:
    places = numpy.arange(X.size).reshape(16, 3, 64).transpose(1, 2, 0)[:, ::-1].reshape(48, 64).T
    places = numpy.concatenate([places[::2], places[1::2]], axis=0)
    moved = X.reshape(-1)[places]
    J = numpy.zeros((*places.shape, *X.shape))
    J.reshape(-1)[numpy.arange(0, X.size**2, X.size) + places.reshape(-1)] = numpy.cos(moved).reshape(-1)
    return [J]


@WORKLOADS.add("sort", "sort(x)², n=2000", (2000,))
def sort(np, x):
    return np.sort(x) ** 2


@sort.by_hand
def _(x) -> Arrays:
    order = numpy.argsort(x)
    y = x[order]
    J = numpy.zeros((x.size, x.size))
    J[numpy.arange(x.size), order] = 2 * y
    return [J]


@WORKLOADS.add("kronecker", "kron(A, B) by A, both 12×12", (12, 12), (12, 12))
def kronecker(np, A, B):
    return np.kron(A, B)


@kronecker.by_hand
def _(A, B) -> Arrays:
    J = numpy.zeros((A.shape[0], B.shape[0], A.shape[1], B.shape[1], *A.shape))
    diagonal(J, "ikjlij", "ikjl")[...] = B[:, None, :]
    return [J.reshape(A.shape[0] * B.shape[0], A.shape[1] * B.shape[1], *A.shape)]


@WORKLOADS.add("outer", "outer(x, y) by x and y, n=150", (150,), (150,), argnums=(0, 1))
def outer(np, x, y):
    return np.outer(x, y)


@outer.by_hand
def _(x, y) -> Arrays:
    by_x, by_y = numpy.zeros((x.size, y.size, x.size)), numpy.zeros((x.size, y.size, y.size))
    diagonal(by_x, "iji", "ij")[...] = y
    diagonal(by_y, "ijj", "ij")[...] = x[:, None]
    return [by_x, by_y]


@WORKLOADS.add("gram", "XᵀX, X 60×40", (60, 40))
def gram(np, X):
    return X.T @ X


@gram.by_hand
def _(X) -> Arrays:
    n, k = X.shape
    J = numpy.zeros((k, k, n, k))
    diagonal(J, "ijni", "jni")[...] = X.T[:, :, None]
    diagonal(J, "ijnj", "ijn")[...] += X.T[:, None, :]
    return [J]


@WORKLOADS.add("batched-matmul", "A @ B by A and B, batch 12 of 16×16", (12, 16, 16), (12, 16, 16), argnums=(0, 1))
def batched_matmul(np, A, B):
    return A @ B


@batched_matmul.by_hand
def _(A, B) -> Arrays:
    (n, i, j), k = A.shape, B.shape[2]
    by_a, by_b = numpy.zeros((n, i, k, n, i, j)), numpy.zeros((n, i, k, n, j, k))
    diagonal(by_a, "niknij", "nikj")[...] = B.transpose(0, 2, 1)[:, None]
    diagonal(by_b, "niknjk", "nikj")[...] = A[:, :, None, :]
    return [by_a, by_b]


@WORKLOADS.add("einsum", "einsum of 20×16, 16×12×10 and 12×14 by the middle one",
    (20, 16), (16, 12, 10), (12, 14), argnums=(1,))  # fmt: skip
def einsum(np, A, T, C):
    return np.einsum("ab,bcd,ce->ade", A, T, C)


@einsum.by_hand
def _(A, T, C) -> Arrays:
    J = numpy.zeros((A.shape[0], T.shape[2], C.shape[1], *T.shape))
    products = A[:, None, :, None] * C.T[None, :, None, :]
    diagonal(J, "adebcd", "adebc")[...] = products[:, None]
    return [J]


@WORKLOADS.add("layer-weights", "tanh(X W + b) by W and b, 32×32 → 48",
    (32, 32), (32, 48), (48,), argnums=(1, 2), scale=0.4)  # fmt: skip
def layer_weights(np, X, W, b):
    return np.tanh(X @ W + b)


@layer_weights.by_hand
def _(X, W, b) -> Arrays:
    y = numpy.tanh(X @ W + b)
    d = 1 - y * y
    by_W, by_b = numpy.zeros((*y.shape, *W.shape)), numpy.zeros((*y.shape, *b.shape))
    numpy.multiply(d[:, :, None], X[:, None, :], out=diagonal(by_W, "nkik", "nki"))
    diagonal(by_b, "nkk", "nk")[...] = d
    return [by_W, by_b]
