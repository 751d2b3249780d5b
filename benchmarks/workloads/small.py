"""Small functions that are called thousands of times."""

from __future__ import annotations

import math

import numpy

from benchmarks.workloads.workload import Arrays, Collection

WORKLOADS = Collection()

LENGTHS = (0.4, 0.35, 0.3, 0.2, 0.15, 0.1)
TWISTS = (math.pi / 2, 0.0, -math.pi / 2, math.pi / 2, -math.pi / 2, 0.0)


@WORKLOADS.add("arm-scalar", "robot arm of 6 joints, scalar by scalar", (6,))
def arm_scalar(np, q):
    """The hand's place, joint by joint from the tip: rotate about z, step along x, twist about x."""
    x, y, z = 0.0, 0.0, 0.0
    for k in range(5, -1, -1):
        x = x + LENGTHS[k]
        y, z = (
            math.cos(TWISTS[k]) * y - math.sin(TWISTS[k]) * z,
            math.sin(TWISTS[k]) * y + math.cos(TWISTS[k]) * z,
        )
        c, s = np.cos(q[k]), np.sin(q[k])
        x, y = c * x - s * y, s * x + c * y
    return np.stack([x, y, z + 0 * x])


@arm_scalar.by_hand
def arm_by_hand(q) -> Arrays:
    """The geometric Jacobian: every joint's axis crossed with the way from it to the hand."""
    frame, place, axes, places = numpy.eye(3), numpy.zeros(3), [], []
    for k in range(6):
        axes.append(frame[:, 2])
        places.append(place)
        c, s = math.cos(q[k]), math.sin(q[k])
        frame = frame @ numpy.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        place = place + frame[:, 0] * LENGTHS[k]
        frame = frame @ TWISTED[k]
    (a, b, c), (x, y, z) = numpy.array(axes).T, (place - numpy.array(places)).T
    return [numpy.array([b * z - c * y, c * x - a * z, a * y - b * x])]


TWISTED = [
    numpy.array([[1.0, 0.0, 0.0], [0.0, math.cos(a), -math.sin(a)], [0.0, math.sin(a), math.cos(a)]]) for a in TWISTS
]


def _place(length: float, twist: numpy.ndarray) -> numpy.ndarray:
    return numpy.block([[twist, numpy.array([[length], [0.0], [0.0]])], [numpy.zeros((1, 3)), numpy.ones((1, 1))]])


LINKS = numpy.array([_place(length, twist) for length, twist in zip(LENGTHS, TWISTED, strict=True)])
TIP = numpy.array([0.0, 0.0, 0.0, 1.0])


@WORKLOADS.add("arm-matrices", "robot arm of 6 joints, 4×4 matrices", make=lambda rng: [rng.normal(size=6), LINKS, TIP])
def arm_matrices(np, q, links, tip):
    """The hand's place by homogeneous matrices."""
    for k in range(5, -1, -1):
        c, s, zero = np.cos(q[k]), np.sin(q[k]), 0 * q[k]
        turn = np.stack([
            np.stack([c, -s, zero, zero]), np.stack([s, c, zero, zero]),
            np.stack([zero, zero, zero + 1, zero]), np.stack([zero, zero, zero, zero + 1]),
        ])  # fmt: skip
        tip = turn @ (links[k] @ tip)
    return tip[:3]


@arm_matrices.by_hand
def _(q, links, tip) -> Arrays:
    return arm_by_hand(q)


def _euler_flux(np, u):
    velocity = u[1] / u[0]
    pressure = 0.4 * (u[2] - 0.5 * u[1] * velocity)
    return velocity, pressure, np.stack([u[1], u[1] * velocity + pressure, velocity * (u[2] + pressure)])


@WORKLOADS.add("roe-flux", "Roe's flux of the 1-d Euler equations by both states", argnums=(0, 1),
    make=lambda rng: [numpy.array([1.0, 0.4, 2.5]), numpy.array([0.6, 0.1, 1.7])])  # fmt: skip
def roe_flux(np, left, right):
    """Roe's approximate Riemann solver for the conserved quantities density, momentum and energy."""
    (u1, p1, f1), (u2, p2, f2) = _euler_flux(np, left), _euler_flux(np, right)
    w1, w2 = np.sqrt(left[0]), np.sqrt(right[0])
    u = (w1 * u1 + w2 * u2) / (w1 + w2)
    h = (w1 * (left[2] + p1) / left[0] + w2 * (right[2] + p2) / right[0]) / (w1 + w2)
    c2 = 0.4 * (h - 0.5 * u * u)
    c = np.sqrt(c2)
    d_rho, d_u, d_p = right[0] - left[0], u2 - u1, p2 - p1
    a1 = np.abs(u - c) * (d_p - w1 * w2 * c * d_u) / (2 * c2)
    a2 = np.abs(u) * (d_rho - d_p / c2)
    a3 = np.abs(u + c) * (d_p + w1 * w2 * c * d_u) / (2 * c2)
    jump = np.stack([
        a1 + a2 + a3,
        a1 * (u - c) + a2 * u + a3 * (u + c),
        a1 * (h - u * c) + a2 * u * u / 2 + a3 * (h + u * c),
    ])  # fmt: skip
    return 0.5 * (f1 + f2 - jump)


@WORKLOADS.add("newton-step", "Newton step of 4 equations: Jacobian and solve", make=lambda rng: [
    numpy.array([0.5, -0.3, 0.8, 0.2])])  # fmt: skip
def newton(np, x):
    a, b, c, d = x[0], x[1], x[2], x[3]
    return np.stack([a + 10 * b - c * d, np.sin(c) - d + a * a, (b - 2 * c) ** 2 + d, np.exp(a - d) * b - c])


def _newton_step(np, jacobians, x):
    """The next iterate."""
    return x - np.linalg.solve(jacobians[0], newton.function(np, x))


newton.finish = _newton_step


@newton.by_hand
def _(x) -> Arrays:
    a, b, c, d = x.tolist()
    e, s = math.exp(a - d), 2 * (b - 2 * c)
    return [numpy.array([[1, 10, -d, -c], [2 * a, 0, math.cos(c), -1], [0, s, -2 * s, 1], [e * b, e, -1, -e * b]])]


@WORKLOADS.add("rosenbrock", "Rosenbrock's function of 5 variables", (5,))
def rosenbrock(np, x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@rosenbrock.by_hand
def _(x) -> Arrays:
    low, gap = x[:-1], x[1:] - x[:-1] ** 2
    J = numpy.zeros(x.size)
    J[:-1] = -400 * low * gap - 2 * (1 - low)
    J[1:] += 200 * gap
    return [J]


@WORKLOADS.add("lorenz", "right-hand side of Lorenz's equations", (3,))
def lorenz(np, s):
    x, y, z = s[0], s[1], s[2]
    return np.stack([10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z])


@lorenz.by_hand
def _(s) -> Arrays:
    x, y, z = s.tolist()
    return [numpy.array([[-10.0, 10.0, 0.0], [28.0 - z, -1.0, -x], [y, x, -8.0 / 3.0]])]


@WORKLOADS.add("van-der-pol", "right-hand side of van der Pol's equation", (2,))
def van_der_pol(np, s):
    return np.stack([s[1], 5.0 * (1 - s[0] ** 2) * s[1] - s[0]])


@van_der_pol.by_hand
def _(s) -> Arrays:
    x, v = s.tolist()
    return [numpy.array([[0.0, 1.0], [-10.0 * x * v - 1, 5.0 * (1 - x * x)]])]
