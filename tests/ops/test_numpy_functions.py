"""What the generated tests do not see: NaN that is left out, ties, refusals, structure, and conventions."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.errors import ArgumentError, KinkWarning, ShapeError
from tests.differences import central

RNG = np.random.default_rng(5)
HOLES = np.array([[0.5, np.nan, -1.0, 0.7], [2.0, 0.1, 0.3, np.nan], [1.0, -0.4, 0.2, 3.0]])


def tensor(f: Callable[[Any], Any], x: Any) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KinkWarning)
        return np.asarray(jac.jacobian(f)(x))


def agrees(f: Callable[[Any], Any], x: Any) -> None:
    np.testing.assert_allclose(tensor(f, x), central(f, x), rtol=1e-6, atol=1e-8)


# -- NaN on the way ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [
        np.nansum, np.nanmean, np.nanstd, np.nanvar, np.nanmax, np.nanmin, np.nanprod, np.nanmedian,
        lambda a: np.nanquantile(a, [0.2, 0.7], axis=1), lambda a: np.nanpercentile(a, 35, axis=0),
        lambda a: np.nancumsum(a, axis=1), lambda a: np.nancumprod(a, axis=0), lambda a: np.nanmean(a, axis=1),
        lambda a: np.nanstd(a, axis=0, ddof=1), lambda a: np.nanmedian(a, axis=1, keepdims=True),
        lambda a: np.nanmax(a, axis=1), lambda a: np.nansum(a, 1), lambda a: np.nanmin(a, axis=(0, 1)),
        lambda a: np.nanquantile(a, 0.4, weights=np.ones((3, 4)), method="inverted_cdf"),
        lambda a: np.nanvar(a, axis=1, where=np.array([True, True, True, False])),
        lambda a: np.nanprod(a, axis=1, initial=2.0), np.nan_to_num,
    ],
)  # fmt: skip
def test_nan_is_left_out(f: Callable[[Any], Any]) -> None:
    """The input is finite; NaN comes in on the way, and goes again."""

    def masked(x: Any) -> Any:
        return f(np.where(np.isnan(HOLES), np.nan, x))

    agrees(masked, np.where(np.isnan(HOLES), 9.0, HOLES))


def test_nothing_but_nan() -> None:
    x = np.ones((2, 2))

    def rows(x: Any) -> Any:
        return np.nanmax(np.where([[True, True], [False, False]], x * [1.0, 2.0], np.nan), axis=1)[:1]

    np.testing.assert_array_equal(tensor(rows, x), [[[0, 2], [0, 0]]])


# -- ties and kinks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "x", "text"),
    [
        (np.median, np.array([1.0, 2.0, 2.0]), "median is not differentiable at entry [0]"),
        (lambda x: np.interp(x, [0.0, 1.0, 2.0], [0.0, 1.0, 4.0]), np.array([0.5, 1.0]), "interp is not"),
        (np.unique, np.array([1.0, 2.0, 1.0]), "unique is not differentiable at entry [0]"),
        (lambda x: np.quantile(np.arange(5.0), x), np.array(0.5), "quantile is not differentiable"),
        (lambda x: np.unwrap(x, period=2.0), np.array([0.0, 1.0]), "unwrap is not"),
        (lambda x: np.roots(x), np.array([1.0, 0.0, 0.0]), "roots is not differentiable at entries [0], [1]"),
        (lambda x: np.linalg.svd(x).U, RNG.normal(size=(4, 2)), "svd is not differentiable here; the least turn"),
        (lambda x: np.intersect1d(x, [1.0, 5.0]), np.array([1.0, 2.0]), "intersect1d is not"),
    ],
)  # fmt: skip
def test_kinks_are_told(f: Callable[[Any], Any], x: Any, text: str) -> None:
    with pytest.warns(KinkWarning) as caught:
        np.asarray(jac.jacobian(f)(x))
    assert any(text in str(warning.message) for warning in caught)


@pytest.mark.filterwarnings("error")
def test_ties_elsewhere_do_not_matter() -> None:
    x = np.array([1.0, 1.0, 2.0, 3.0, 3.0])
    np.testing.assert_array_equal(np.asarray(jac.jacobian(np.median)(x)), [0, 0, 1, 0, 0])


@pytest.mark.filterwarnings("ignore::jacobian.errors.KinkWarning")
def test_what_is_taken_at_ties() -> None:
    np.testing.assert_array_equal(tensor(np.median, np.array([2.0, 1.0, 2.0])), [1, 0, 0])
    np.testing.assert_array_equal(tensor(np.unique, np.array([2.0, 1.0, 2.0])), [[0, 1, 0], [1, 0, 0]])
    J = tensor(lambda x: np.interp(x, [0.0, 1.0, 2.0], [0.0, 1.0, 4.0]), np.array([0.0, 1.0, 2.0]))
    np.testing.assert_array_equal(J, np.diag([1.0, 3.0, 3.0]))


SMOOTH_COUNT = """\
histogram: a depends on the input, but a count jumps from bin to bin and has the derivative 0
  fix:   a smooth count: np.exp(-(((x[:, None] - centres) / width) ** 2)).sum(axis=0)"""

# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "x", "text"),
    [
        (lambda x: np.histogram(x, 3), np.ones(3),
         SMOOTH_COUNT),
        (lambda x: np.histogram([1.0], bins=x), np.arange(3.0), "histogram: bins depends on the input"),
        (lambda x: np.linalg.qr(x, "raw"), np.eye(2), "qr: mode 'raw' is not traced"),
        (lambda x: np.quantile(np.ones(3), 0.5, weights=x), np.ones(3), "quantile: weights depends on the input"),
        (lambda x: np.quantile(x, 2.0), np.ones(3), "quantile: quantiles lie between 0 and 1"),
        (lambda x: np.quantile(x, 0.5, method="best"), np.ones(3), "quantile: there is no method 'best'"),
        (lambda x: np.choose(x, [x, x]), np.ones(2), "choose: a depends on the input"),
        (lambda x: np.geomspace(x, 1.0, 3), np.array(0.0), "geomspace: a geometric sequence cannot include 0"),
        (lambda x: np.convolve(x, x, "most"), np.ones(2), "convolve: mode must be one of full, same, valid"),
        (lambda x: np.cov(x[:1]), np.ones(3), "cov: there are no degrees of freedom left"),
        (lambda x: np.median(x, out=np.zeros(())), np.ones(3), "out= cannot be traced"),
        (lambda x: np.piecewise(x, [x > 0], [1, 2, 3]), np.ones(3), "piecewise: 1 conditions and 3 functions"),
        (lambda x: np.polyint(x, 3, [1.0, 2.0]), np.ones(2), "polyint: 2 constants for 3 integrals"),
        (lambda x: np.interp(x, [1.0, 0.0], [0.0, 1.0]), np.ones(2), "interp: xp must rise"),
    ],
)  # fmt: skip
def test_refused(f: Callable[[Any], Any], x: Any, text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(jac.errors.JacobianError) as caught:
            jac.jacobian(f)(x)
    assert text in str(caught.value)
    assert "line:" in str(caught.value)


def test_shapes_that_do_not_fit() -> None:
    for f in (
        lambda x: np.gradient(x[:1]), lambda x: np.gradient(x, np.ones(2)), lambda x: np.convolve(x, x[:0]),
        lambda x: np.vander(np.outer(x, x)), lambda x: np.linalg.lstsq(np.eye(2), x), lambda x: np.polyfit(x[:2], x, 1),
        lambda x: np.ix_(np.outer(x, x)), lambda x: np.interp(x, x, x[:2]), lambda x: np.poly(np.outer(x[:2], x)),
    ):  # fmt: skip
        with pytest.raises(ShapeError):
            jac.jacobian(f)(np.ones(3))


# -- arguments that samples cannot give -------------------------------------------------------------------------------


def test_selections_by_value() -> None:
    x = np.array([0.0, 0.0, 1.5, 0.0, 2.0, 0.0])
    np.testing.assert_array_equal(tensor(np.trim_zeros, x), np.eye(6)[2:5])
    np.testing.assert_array_equal(tensor(lambda x: np.trim_zeros(x, "f"), x), np.eye(6)[2:])
    np.testing.assert_array_equal(tensor(lambda x: np.select([x > 1], [x * 2], x), x), np.diag([1, 1, 2, 1, 2, 1]))
    agrees(lambda x: np.piecewise(x, [x > 0, x > 1], [np.sin, np.exp, lambda v: v**2]), RNG.normal(size=5))
    agrees(lambda x: np.unique(x[[0, 1, 1]], return_counts=True)[0], np.array([2.0, 1.0]))


def test_a_polynomial_and_its_roots() -> None:
    p = np.array([1.0, -3.0, 2.0])
    np.testing.assert_allclose(tensor(lambda p: np.poly(np.roots(p)), p)[:, 1:], [[0, 0], [1, 0], [0, 1]], atol=1e-12)
    np.testing.assert_allclose(tensor(np.roots, np.array([1.0, -1.0, 0.0]))[:, 2], [-1, 1])
    c, x = np.array([1.0, 2.0, 0.5]), RNG.normal(size=3)
    polynomial = np.polynomial
    for f in (
        polynomial.polynomial.polyval, polynomial.chebyshev.chebval, polynomial.legendre.legval,
        polynomial.hermite.hermval, polynomial.hermite_e.hermeval, polynomial.laguerre.lagval,
    ):  # fmt: skip
        agrees(lambda x, f=f: f(x, c), x)
    agrees(lambda c: polynomial.chebyshev.chebvander(x, 2) @ c, c)
    agrees(lambda x: np.poly1d(c)(x), x)
    agrees(lambda x: np.polyadd(np.poly1d(c), x), x)


def test_weights_of_histograms() -> None:
    places = RNG.normal(size=20)
    for f in (
        lambda w: np.histogram(places, 4, weights=w)[0],
        lambda w: np.histogram(places, [-1.0, 0.0, 1.0], density=True, weights=w)[0],
        lambda w: np.histogram2d(places, places**2, [3, 2], weights=w)[0],
        lambda w: np.histogramdd((places, places), 2, weights=w)[0],
    ):
        agrees(f, RNG.uniform(0.5, 1.0, 20))
    agrees(lambda x: np.histogram_bin_edges(x, "sqrt"), places)


def test_eigenvectors_of_complex_pairs() -> None:
    A = np.array([[0.3, -2.0, 0.4], [1.5, 0.5, 0.6], [0.7, -0.5, 1.2]])
    for f in (
        lambda A: np.abs(np.linalg.eig(A).eigenvectors), lambda A: np.real(np.linalg.eig(A).eigenvalues),
        lambda A: np.imag(np.linalg.eig(A)[1][:, 0] * np.linalg.eig(A)[0][0]),
    ):  # fmt: skip
        agrees(f, A)


# -- what is determined up to a rotation ------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::jacobian.errors.KinkWarning")
@pytest.mark.parametrize("shape", [(4, 2), (2, 4), (5, 2)])
def test_complete_bases_by_what_does_not_depend_on_them(shape: tuple[int, int]) -> None:
    """The projector onto the completing vectors, and whatever else a rotation among them leaves alone."""
    A = RNG.normal(size=shape)
    k = min(shape)

    def from_svd(A: Any) -> Any:
        U, s, Vh = np.linalg.svd(A)
        rest = U[:, k:] if shape[0] > k else Vh[k:].T
        return np.concatenate([np.ravel(rest @ rest.T), s])

    agrees(from_svd, A)
    if shape[0] > shape[1]:
        agrees(lambda A: (lambda Q: Q[:, k:] @ Q[:, k:].T)(np.linalg.qr(A, "complete").Q), A)
        agrees(lambda A: (lambda Q, R: Q @ R)(*np.linalg.qr(A, "complete")), A)
    H = np.asarray(jac.jacobian(jac.jacobian(from_svd))(A))
    expected = central(lambda A: np.asarray(jac.jacobian(from_svd)(A)), A)
    np.testing.assert_allclose(H, expected, rtol=1e-5, atol=1e-6)


BETWEEN = np.linspace(0.1, 39.9, 10_000)

# -- structure --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "x", "structure", "held"),
    [
        (lambda x: np.convolve(x, np.ones(5), "same"), np.ones(10_000), None, 1e5),
        (lambda x: np.unwrap(x), np.linspace(0, 9, 10_000), "identity", 1e5),
        (lambda x: np.gradient(x), np.ones(10_000), None, 1e6),
        (lambda x: np.trapezoid(x), np.ones(10_000), None, 1e6),
        (lambda x: np.interp(x, np.arange(50.0), np.arange(50.0) ** 2), BETWEEN, "diagonal", 1e6),
        (lambda x: np.median(x.reshape(101, -1), axis=0), RNG.normal(size=10_100), "selection", 1e5),
        (lambda x: np.nansum(x.reshape(100, -1), axis=1), np.ones(10_000), None, 1e3),
        (lambda x: np.diagflat(x), np.ones(1000), None, 1e3),
        (lambda x: np.insert(x, 3, 1.0), np.ones(10_000), None, 1e6),
        (lambda x: np.histogram(np.linspace(0, 1, 10_000), weights=x)[0], np.ones(10_000), None, 1e6),
    ],
)  # fmt: skip
def test_structure_is_kept(f: Callable[[Any], Any], x: Any, structure: str | None, held: float) -> None:
    """A dense array of these Jacobians would have between 8 MB and 800 MB."""
    J = jac.jacobian(f)(x)
    assert J.nbytes < held
    if structure is not None:
        assert J.structure == structure


# -- numbers that decide ----------------------------------------------------------------------------------------------


def test_functions_that_turn_complex_are_not_played() -> None:
    """Real eigenvalues first: what was planned for them is not used for complex ones."""
    real, turning = np.array([[1.0, 0.1], [0.2, 3.0]]), np.array([[1.0, -2.0], [3.0, 1.5]])
    for function, points in (
        (lambda A: np.linalg.eigvals(A) * 2, (real, turning)),
        (lambda A: np.linalg.eig(A).eigenvectors, (real, turning)),
        (lambda A: np.roots(A[0]), (np.array([[1.0, -3.0, 2.0]]), np.array([[1.0, 0.2, 2.0]]))),
        (lambda A: np.poly(A), (real, turning)),
    ):
        g = jac.jacobian(function)
        for A in (*points[:1] * 4, *points[1:] * 3, points[0]):
            found = np.asarray(g(A))
            assert found.dtype == np.asarray(function(A)).dtype
            np.testing.assert_allclose(found, central(function, A), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "f",
    [
        np.median, lambda x: np.interp(0.5, np.sort(x), x**2), lambda x: np.sum(np.unique(x) * np.arange(4)), np.ptp,
        lambda x: np.sum(np.insert(x, 1, 2.0) * np.arange(5)), lambda x: np.nanmax(x), lambda x: np.quantile(x, 0.3),
        lambda x: np.sum(np.setdiff1d(x, [0.0]) * np.arange(4)), lambda x: np.sum(np.trim_zeros(x) * np.arange(4)),
    ],
)  # fmt: skip
def test_another_order_of_the_numbers_is_another_jacobian(f: Callable[[Any], Any]) -> None:
    g = jac.jacobian(f)
    for order in ([0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 3, 2], [0, 2, 1, 3]):
        x = np.array([-1.0, 0.4, 0.8, 2.0])[order]
        np.testing.assert_allclose(np.asarray(g(x)), central(f, x), rtol=1e-6, atol=1e-8)


def test_a_maximum_with_an_initial_value() -> None:
    for x in (1.0, 9.0):
        assert tensor(lambda x: np.max(x, initial=5.0), np.array(x)) == (x > 5)


def test_complex_inverse_functions_stay_on_their_branch() -> None:
    x = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
    for f in (np.arcsin, np.arccos, np.arccosh, np.arctanh, np.sqrt, np.log):
        agrees(lambda x, f=f: f(x + 0j), x)
    for f in (np.arcsinh, np.arctan):
        agrees(lambda x, f=f: f(1j * x), x)


def test_arguments_have_their_names() -> None:
    with pytest.raises(ArgumentError, match="interp: period depends on the input"):
        jac.jacobian(lambda x: np.interp(x, [0.0, 1.0], [0.0, 1.0], period=x[0]))(np.ones(2))


@pytest.mark.parametrize(
    ("f", "formula"),
    [
        (lambda x: 2**x, "log(2) * y[i]"),
        (lambda x: x**-1, "-x[i]**(-2)"),
        (lambda x: x**0.5, "0.5 * x[i]**(-0.5)"),
        (lambda x: x**-1.5, "-1.5 * x[i]**(-2.5)"),
        (lambda x: x**2.5, "2.5 * x[i]**1.5"),
        (lambda x: x**1.1, "1.1 * x[i]**(1.1 - 1)"),
    ],
)
def test_powers_of_numbers_are_written_short(f, formula) -> None:
    x = np.array([0.5, 1.0, 3.0])
    J = jac.jacobian(f)(x)
    assert J.formula == f"∂y[i]/∂x[i] = {formula}"
    written = formula.replace("[i]", "")
    assert np.array_equal(np.diag(J.tensor()), eval(written, {"log": np.log, "x": x, "y": f(x)}))


def test_powers_of_zero_and_of_huge_numbers_keep_their_derivatives() -> None:
    x = np.array([1.0, 2.0])
    assert np.array_equal(jac.jacobian(lambda x: 0**x)(x).tensor(), np.zeros((2, 2)))
    assert np.allclose(np.diag(jac.jacobian(lambda x: (10**30) ** x)(x).tensor()), np.log(1e30) * 1e30**x)


@pytest.mark.parametrize("order", ["auto", "forward", "reverse"])
@pytest.mark.parametrize(
    "product",
    [
        lambda x: np.dot(2, x), lambda x: np.inner(x, 2.0), lambda x: np.tensordot(2.0, x, axes=0),
        lambda x: np.einsum(",ij->ij", 2, x),
    ],
)  # fmt: skip
def test_numbers_written_in_products(product: Callable[[Any], Any], order: str) -> None:
    for dtype in (np.float64, np.float32):
        x = np.arange(1, 7, dtype=dtype).reshape(2, 3)
        J = jac.jacobian(lambda x: product(x)[[0, 0]] * np.sum(product(x), axis=1), order=order)(x[:, :2])
        plain = jac.jacobian(lambda x: (2 * x)[[0, 0]] * np.sum(2 * x, axis=1), order=order)(x[:, :2])
        np.testing.assert_allclose(np.asarray(J), np.asarray(plain), rtol=1e-6)
        whole = jac.jacobian(product, order=order)(x)
        np.testing.assert_array_equal(np.asarray(whole).reshape(6, 6), 2 * np.eye(6))
        assert whole.dtype == product(x).dtype
        assert "multiplications" in whole.explain()


@pytest.mark.filterwarnings("ignore::jacobian.errors.KinkWarning")
@pytest.mark.parametrize("points", [[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0], [2.0, 2.0], [0.0, 1.0, 1.0, 3.0]])
@pytest.mark.parametrize("beyond", [{}, {"left": 0.5, "right": -2.0}])
def test_steps_between_points_that_are_equal(points: list[float], beyond: dict[str, float]) -> None:
    x, values = np.arange(-1.0, 4.0, 0.5), np.arange(1.0, len(points) + 1) ** 2
    value, J = jac.value_and_jacobian(lambda x, y: np.interp(x, points, y, **beyond), (0, 1))(x, values)
    np.testing.assert_allclose(value, np.interp(x, points, values, **beyond), rtol=1e-15)
    unit = [np.interp(x, points, row, **dict.fromkeys(beyond, 0.0)) for row in np.eye(len(points))]
    np.testing.assert_allclose(np.asarray(J[1]), np.transpose(unit), atol=1e-15)
    assert np.isfinite(np.asarray(J[0])).all()
