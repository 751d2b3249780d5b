"""Matrix algebra."""

from __future__ import annotations

import numpy

from benchmarks.workloads.workload import Arrays, Collection, diagonal

WORKLOADS = Collection()


def well_conditioned(count: int, n: int):
    """A draw of matrices that are safely invertible."""
    return lambda rng: [rng.normal(size=(n, n)) / numpy.sqrt(n) + 2 * numpy.eye(n) for _ in range(count)]


def both_sides(left: numpy.ndarray, right: numpy.ndarray) -> numpy.ndarray:
    """The Jacobian of `left @ X @ right` by X."""
    return numpy.multiply(left[:, None, :, None], right.T[None, :, None, :])


@WORKLOADS.add("matrix-product", "A X B by X, 48×48", (48, 48), (48, 48), (48, 48))
def matrix_product(np, X, A, B):
    return A @ X @ B


@matrix_product.by_hand
def _(X, A, B) -> Arrays:
    return [both_sides(A, B)]


@WORKLOADS.add("inverse", "inverse of 48×48", make=well_conditioned(1, 48))
def inverse(np, A):
    return np.linalg.inv(A)


@inverse.by_hand
def _(A) -> Arrays:
    Y = numpy.linalg.inv(A)
    return [both_sides(-Y, Y)]


@WORKLOADS.add("solve", "solve A X = B by A and B, 48×48", argnums=(0, 1), make=well_conditioned(2, 48))
def solve(np, A, B):
    return np.linalg.solve(A, B)


@solve.by_hand
def _(A, B) -> Arrays:
    inv = numpy.linalg.inv(A)
    X = inv @ B
    by_b = numpy.zeros((*X.shape, *B.shape))
    diagonal(by_b, "ijkj", "ijk")[...] = inv[:, None, :]
    return [both_sides(-inv, X), by_b]


@WORKLOADS.add("determinant", "determinant of 100×100", make=lambda rng: [rng.normal(size=(100, 100)) / 10])
def determinant(np, A):
    return np.linalg.det(A)


@determinant.by_hand
def _(A) -> Arrays:
    return [numpy.linalg.det(A) * numpy.linalg.inv(A).T]


@WORKLOADS.add("log-determinant", "log |det A| of 200×200", make=well_conditioned(1, 200))
def log_determinant(np, A):
    return np.linalg.slogdet(A)[1]


@log_determinant.by_hand
def _(A) -> Arrays:
    return [numpy.linalg.inv(A).T]


def points(count: int):
    """A mean and a factor in 40 dimensions, and points."""
    return lambda rng: [
        rng.normal(size=40),
        rng.normal(size=(40, 40)) / 9 + numpy.eye(40),
        rng.normal(size=(count, 40)),
    ]


@WORKLOADS.add("log-likelihood", "Gaussian log-likelihood of 200 points in 40 dimensions by mean and factor",
    argnums=(0, 1), make=points(200))  # fmt: skip
def log_likelihood(np, mean, L, X):
    z = np.linalg.solve(L, (X - mean).T)
    return -0.5 * np.sum(z**2) - X.shape[0] * np.linalg.slogdet(L)[1]


@log_likelihood.by_hand
def _(mean, L, X) -> Arrays:
    inv = numpy.linalg.inv(L)
    z = inv @ (X - mean).T
    by_z = inv.T @ z
    return [by_z.sum(axis=1), by_z @ z.T - len(X) * inv.T]


WORKLOADS.larger("log-likelihood", "the same of 4000 points", points(4000))


@WORKLOADS.add("matrix-power", "A³ of 40×40", make=well_conditioned(1, 40))
def matrix_power(np, A):
    return np.linalg.matrix_power(A, 3)


@matrix_power.variant("autograd")
def _(np, A):
    return A @ A @ A


@matrix_power.by_hand
def _(A) -> Arrays:
    A2 = A @ A
    J = both_sides(A, A)
    diagonal(J, "ijkj", "ijk")[...] += A2[:, None, :]
    diagonal(J, "ijil", "ijl")[...] += A2.T[None]
    return [J]


@WORKLOADS.add("linear-map", "W x, 1500×1500", (1500,), (1500, 1500))
def linear_map(np, x, W):
    return W @ x


@linear_map.by_hand
def _(x, W) -> Arrays:
    return [W.copy()]


@WORKLOADS.add("quadratic-form", "xᵀ A x by x, n=1000", (1000,), (1000, 1000))
def quadratic_form(np, x, A):
    return x @ A @ x


@quadratic_form.by_hand
def _(x, A) -> Arrays:
    from_left = x @ A
    return [from_left + A @ x]
