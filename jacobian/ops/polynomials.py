"""Polynomials as vectors of coefficients, the highest power first: values, products, roots, fits."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.term import Factor
from jacobian.ops.factorisations import lstsq
from jacobian.ops.families import composite
from jacobian.ops.kinks import warn_kink
from jacobian.ops.registry import Kink, Op, Point, describe, register, sample
from jacobian.ops.terms import shape_of, written
from jacobian.ops.values import array_of, doubled, floating, look, refuse_traced

# -- values and sums --------------------------------------------------------------------------------------------------


def _coefficients(p: Any) -> Any:
    """A vector of coefficients, also of a `poly1d`."""
    return np.atleast_1d(floating(p.coeffs if isinstance(p, np.poly1d) else p))


def _polyval(p: Any, x: Any) -> Any:
    """Horner's scheme."""
    p, x = _coefficients(p), array_of(x)
    y = x * 0.0
    for k in range(np.shape(p)[0]):
        y = y * x + p[k] if k else y + p[0]
    return y


def _polyadd(a1: Any, a2: Any) -> Any:
    a1, a2 = _coefficients(a1), _coefficients(a2)
    size = max(np.shape(a1)[0], np.shape(a2)[0])
    return _padded(a1, size) + _padded(a2, size)


def _padded(p: Any, size: int) -> Any:
    missing = size - np.shape(p)[0]
    return np.pad(p, (missing, 0)) if missing else p


def _polymul(a1: Any, a2: Any) -> Any:
    return np.convolve(_trimmed(a1), _trimmed(a2))


def _trimmed(p: Any) -> Any:
    """Without coefficients in front that are 0, which NumPy leaves out of a product."""
    p = np.trim_zeros(_coefficients(p), "f")
    return p if np.shape(p)[0] else np.zeros(1, p.dtype)


def _polydiv(u: Any, v: Any) -> tuple[Any, Any]:
    """Long division; a remainder that begins with zeros is cut as NumPy cuts it, by its value."""
    u, v = _coefficients(u), _coefficients(v)
    m, n = np.shape(u)[0] - 1, np.shape(v)[0] - 1
    quotient, rest = [], u + 0.0 * v[0]
    for k in range(m - n + 1):
        factor = rest[k] / v[0]
        quotient.append(factor)
        rest = rest - np.pad(factor * v, (k, m - n - k))
    cut = 0
    while cut < m and np.allclose(rest[cut], 0, rtol=1e-14):
        cut += 1
    return np.stack(quotient) if quotient else 0.0 * u[:1] * v[0], rest[cut:]


def _polyder(p: Any, m: int = 1) -> Any:
    if int(m) < 0:
        raise ArgumentError(report("polyder: the order must not be negative", fix="np.polyint"))
    p = _coefficients(p)
    for _ in range(min(int(m), np.shape(p)[0])):
        p = p[:-1] * np.arange(np.shape(p)[0] - 1, 0, -1.0)
    return p


def _polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    m = int(m)
    if m < 0:
        raise ArgumentError(report("polyint: the order must not be negative", fix="np.polyder"))
    if m == 0:
        return array_of(p)
    p = _coefficients(p)
    constants = np.zeros(m) if k is None else np.atleast_1d(floating(k))
    if np.shape(constants) == (1,) and m > 1:
        constants = np.broadcast_to(constants, (m,))
    if np.shape(constants)[0] < m:
        raise ArgumentError(report(f"polyint: {np.shape(constants)[0]} constants for {m} integrals"))
    for step in range(m):
        p = np.concatenate([p / np.arange(np.shape(p)[0], 0, -1.0), constants[step : step + 1]])
    return p


composite(
    "polyval", _polyval, answers=(np.polyval,), note="Horner's scheme.",
    samples=[sample((4,), (3,)), sample((3,), ()), sample((1,), (2, 2)), sample((3,), 2.0)],
)  # fmt: skip
composite(
    "polyadd", _polyadd, answers=(np.polyadd,), samples=[sample((4,), (2,)), sample((2,), (3,)), sample((), (2,))]
)
composite(
    "polysub", lambda a1, a2: _polyadd(a1, -_coefficients(a2)), answers=(np.polysub,),
    samples=[sample((4,), (2,)), sample((2,), (3,))],
)  # fmt: skip
composite("polymul", _polymul, answers=(np.polymul,), samples=[sample((4,), (2,)), sample((2,), (3,))])
POSITIVE = (0.5, 2.0)
composite(
    "polydiv", _polydiv, answers=(np.polydiv,), note="long division; the remainder's length is constant.",
    samples=[
        sample((4,), (2,), domain=POSITIVE), sample((3,), (3,), domain=POSITIVE), sample((2,), (3,), domain=POSITIVE),
    ],
)  # fmt: skip
composite("polyder", _polyder, answers=(np.polyder,), samples=[sample((4,)), sample((4,), 2), sample((2,), m=3)])
composite(
    "polyint", _polyint, answers=(np.polyint,),
    samples=[sample((3,)), sample((3,), 2), sample((2,), 2, [1.0, 2.0]), sample((2,), 2, k=3.0)],
)  # fmt: skip


def _vander(x: Any, N: Any = None, increasing: bool = False) -> Any:
    x = array_of(x)
    if np.ndim(x) != 1:
        raise ShapeError(report("vander: x must have one axis", got=describe("x", x)))
    powers = np.arange(np.shape(x)[0] if N is None else N)
    powers = powers if increasing else powers[::-1]
    return np.power(doubled(x)[:, None], powers.astype(float))


composite(
    "vander", _vander, answers=(np.vander,),
    samples=[sample((3,)), sample((3,), 2), sample((2,), 4, True), sample(np.array([0.0, 1.5]), increasing=True)],
)  # fmt: skip

# -- roots ------------------------------------------------------------------------------------------------------------


def _roots_rule(point: Point, k: int) -> Jacobian:
    """p(r) = 0 stays true: ∂r/∂p[j] = -rⁿ⁻ʲ / p′(r), n being the degree."""
    p, r = point.x[0], point.y
    size = shape_of(p)[0]
    if not shape_of(r)[0]:
        return Jacobian.zero((0,), (size,))
    slope = np.polyval(np.polyder(p), r)
    warn_kink("roots", slope == 0, "0: equal roots part in no direction of their own")
    safe = np.where(slope == 0, np.inf, slope)
    powers = Factor(np.vander(r, size), f"{point.out_name}[@0]**({size - 1} - @1)")
    over = Factor(1.0 / safe, f"1 / polyval(polyder({point.names[0]}), {point.out_name})[@0]")
    return written("kj,k->k|j", powers, over, into=(size,), scale=-1)


def _distinct_roots(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    found = np.ones(1)
    for k in range(shape[0] - 1):
        found = np.convolve(found, [1.0, -(k + generator.uniform(0.2, 0.6))])
    return found


def _complex_roots(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.convolve([1.0, generator.uniform(0.2, 0.4), 2.0], _distinct_roots(generator, (shape[0] - 2,)))


def _companion_roots(p: Any) -> Any:
    """`np.roots`; a vanishing last coefficient is a root at 0 like any other."""
    return np.roots(p)


roots = register(
    Op(
        "roots", _companion_roots, _roots_rule, answers=(np.roots,), operands=("p",), out_name="r", family="linalg",
        formula="∂r[k]/∂p[j] = -r[k]**(n-j) / p′(r[k])",
        normalise=lambda p: ((floating(p),), {}), dtype_by_value=True,
        note="of a polynomial of degree n, the highest power first; their number is constant.",
        kinks=[Kink("roots are equal", "0", sample(np.array([1.0, 0.0, 0.0])))],
        samples=[sample((4,), domain=_distinct_roots), sample((5,), domain=_complex_roots), sample((2,)), sample((1,))],
    )
)  # fmt: skip


def _poly(seq_of_zeros: Any) -> Any:
    """The product of all (x - root); of a matrix its characteristic polynomial."""
    zeros = np.atleast_1d(array_of(seq_of_zeros))
    if np.ndim(zeros) == 2 and np.shape(zeros)[0] == np.shape(zeros)[1] and np.size(zeros):
        zeros = np.linalg.eigvals(zeros)
    elif np.ndim(zeros) != 1:
        raise ShapeError(report("poly: needs a vector of roots or a square matrix", got=describe("roots", zeros)))
    coefficients: Any = np.ones(1, zeros.dtype)
    for k in range(np.shape(zeros)[0]):
        coefficients = np.convolve(coefficients, np.stack([zeros[k] * 0 + 1, -zeros[k]]))
    if zeros.dtype.kind == "c":
        seen = look(zeros)
        if np.all(np.sort(seen) == np.sort(seen.conjugate())):
            return np.copy(np.real(coefficients), order="C")
    return coefficients


def _spread_matrix(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(generator.uniform(-0.3, 0.3, shape) + np.diag(np.arange(1.0, 1.0 + shape[-1])))


def _turning_matrix(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.array([[0.3, -2.0, 0.1], [1.5, 0.5, 0.0], [0.2, 0.0, 1.0]])


composite(
    "poly", _poly, answers=(np.poly,), note="of a matrix: its characteristic polynomial, by its eigenvalues.",
    samples=[
        sample((3,)), sample((1,)), sample((3, 3), domain=_spread_matrix), sample((3, 3), domain=_turning_matrix),
    ],
)  # fmt: skip

# -- fits -------------------------------------------------------------------------------------------------------------


def _polyfit(x: Any, y: Any, deg: int, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False) -> Any:
    """Least squares in the powers of x, each scaled to length 1."""
    refuse_traced("polyfit", deg=deg, rcond=rcond)
    x, y, order = floating(x), floating(y), int(deg) + 1
    _check_fit(x, y, deg)
    rcond = np.shape(x)[0] * np.finfo(x.dtype).eps if rcond is None else rcond
    left, right = np.vander(x, order), y
    if w is not None:
        w = floating(w)
        if np.shape(w) != np.shape(x):
            raise ShapeError(report("polyfit: one weight for every point is needed", got=describe("w", w)))
        left = left * w[:, None]
        right = right * (w[:, None] if np.ndim(y) == 2 else w)
    scale = np.sqrt(np.sum(left * left, axis=0))
    c, residuals, rank, s = lstsq(left / scale, right, rcond)
    c = c / (scale[:, None] if np.ndim(y) == 2 else scale)
    if full:
        return c, residuals, rank, s, rcond
    if rank != order:
        warnings.warn("Polyfit may be poorly conditioned", np.exceptions.RankWarning, stacklevel=2)
    return (c, _fit_covariance(left / scale, scale, residuals, y, cov)) if cov else c


def _check_fit(x: Any, y: Any, deg: int) -> None:
    if deg < 0:
        raise ArgumentError(report(f"polyfit: the degree must not be negative, but it is {deg}"))
    if np.ndim(x) != 1 or np.ndim(y) not in (1, 2) or np.shape(x)[0] != np.shape(y)[0] or not np.size(x):
        got = f"{describe('x', x)}, {describe('y', y)}"
        raise ShapeError(report("polyfit: x must be a vector and y as long as x", got=got))


def _fit_covariance(left: Any, scale: Any, residuals: Any, y: Any, cov: Any) -> Any:
    base = np.linalg.inv(np.matmul(np.transpose(left), left)) / (scale[:, None] * scale)
    if cov == "unscaled":
        factor: Any = 1
    else:
        count, order = np.shape(left)
        if count <= order:
            raise ArgumentError(report(f"polyfit: {count} points are too few for the covariance of {order} numbers"))
        factor = residuals / (count - order)
    return base * factor if np.ndim(y) == 1 else base[:, :, None] * factor


PLACES = np.array([-1.0, -0.3, 0.4, 1.1, 2.0])
composite(
    "polyfit", _polyfit, answers=(np.polyfit,), note="least squares in the powers of x.",
    samples=[
        sample(PLACES, (5,), 2), sample(PLACES, (5, 2), 1), sample(PLACES, (5,), 1, None, True),
        sample(PLACES, (5,), 2, None, False, np.array([1.0, 2.0, 0.5, 1.0, 1.5])),
        sample(PLACES, (5,), 1, cov=True), sample(PLACES, (5, 2), 1, cov="unscaled"),
    ],
)  # fmt: skip
