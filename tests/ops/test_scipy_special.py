"""SciPy's special functions: where their derivatives are delicate, what is refused, and when their ops arrive."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.errors import ArgumentError, KinkWarning, ShapeError, TraceError
from tests.differences import central
from tests.written import texts_of

sp = pytest.importorskip("scipy.special")
from scipy import fft, linalg  # noqa: E402

X = np.array([0.5, 1.0])

# first and second derivative, by 60 digits
POINTS = [
    ("erfcx", 0.0, -1.1283791670955126, 2.0),
    ("erfcx", 19.0, -0.00155640272755036, 0.00016315763561064938),
    ("erfcx", 50.0, -0.00022554056313532387, 9.016217115157223e-06),
    ("erfcx", 10000.0, -5.641895750849127e-09, 1.1283791332441388e-12),
    ("dawsn", 0.0, 1.0, 0.0),
    ("dawsn", -50.0, -0.00020012012016830307, -8.00961442694064e-06),
    ("dawsn", 1000.0, -5.00000750001875e-07, 1.00000300001125e-09),
    ("log_ndtr", -60.0, 60.016657420241124, -0.9997226841165853),
    ("log_ndtr", -30.0, 30.033259667433676, -0.9988962284881099),
    ("log_ndtr", 0.0, 0.7978845608028654, -0.6366197723675814),
    ("log_ndtr", 8.0, 5.052271083536895e-15, -4.0418168668295186e-14),
    ("expit", -800.0, 0.0, 0.0),
    ("expit", -40.0, 4.248354255291589e-18, 4.248354255291589e-18),
    ("expit", 40.0, 4.248354255291589e-18, -4.248354255291589e-18),
    ("expit", 800.0, 0.0, 0.0),
    ("log_expit", -800.0, 1.0, 0.0),
    ("log_expit", 40.0, 4.248354255291589e-18, -4.248354255291589e-18),
    ("exprel", -700.0, 2.040816326530612e-06, 5.830903790087464e-09),
    ("exprel", 1e-09, 0.5000000003333334, 0.33333333358333334),
    ("exprel", 0.001, 0.5003334583666736, 0.33358343336111707),
    ("rgamma", 0.0, 1.0, 1.1544313298030657),
    ("rgamma", -1.0, -1.0, 0.8455686701969343),
    ("rgamma", -3.0, -6.0, 15.073412021181605),
    ("rgamma", 0.5, 1.107791903872871, -0.6090034884161106),
    ("ellipk", 0.0, 0.39269908169872414, 0.44178646691106466),
    ("ellipk", 1e-09, 0.39269908214051064, 0.44178646783145314),
    ("ellipk", -0.0199, 0.384086143492696, 0.42401422445654446),
    ("ellipk", 0.999, 499.1639931300771, 499875.8241080621),
    ("ellipe", 0.0, -0.39269908169872414, -0.14726215563702155),
    ("ellipe", 1e-09, -0.3926990818459863, -0.14726215582109925),
    ("ellipe", -0.0201, -0.389775760483918, -0.14364185348039915),
    ("ellipe", 0.999, -1.9214022871450709, -248.87016558705307),
    ("k0e", 100.0, -0.0006243288204519505, 9.341863891884426e-06),
    ("j1", 0.0, 0.5, 0.0),
]


@pytest.mark.parametrize(("name", "x", "first", "second"), POINTS)
def test_special_points(name: str, x: float, first: float, second: float) -> None:
    def f(x: Any) -> Any:
        return getattr(sp, name)(x)

    np.testing.assert_allclose(float(jac.jacobian(f)(x)), first, rtol=1e-11, atol=1e-300)
    np.testing.assert_allclose(float(jac.hessian(f)(x)), second, rtol=1e-9, atol=1e-300)


def test_structure_formula_and_dtype() -> None:
    J = jac.jacobian(lambda x: sp.jv(2, x))(X)
    assert J.structure == "diagonal"
    assert J.formula == "∂y[i]/∂x[i] = 0.5 * (jv(1, x[i]) - jv(3, x[i]))"
    J = jac.jacobian(lambda x: sp.log_ndtr(sp.erf(x)))(X.astype(np.float32))
    assert J.dtype == np.float32 and np.asarray(J).dtype == np.float32


@pytest.mark.parametrize("name", ["log1p", "expm1", "exp2", "cbrt"])
def test_what_numpy_has_as_well(name: str) -> None:
    J = jac.jacobian(lambda x: getattr(sp, name)(x))(X)
    np.testing.assert_array_equal(np.asarray(J), np.asarray(jac.jacobian(lambda x: getattr(np, name)(x))(X)))


def test_functions_with_several_results() -> None:
    def of_airy(x: Any) -> Any:
        ai, aip, bi, bip = sp.airy(x)
        return ai * bip - aip * bi  # Wronski's determinant is 1/π

    np.testing.assert_allclose(np.asarray(jac.jacobian(of_airy)(X)), np.zeros((2, 2)), atol=1e-14)

    def of_ellipj(u: Any) -> Any:
        sn, cn, dn, ph = sp.ellipj(u, 0.3)
        return np.stack([sn**2 + cn**2, dn**2 + 0.3 * sn**2, np.sin(ph) - sn])

    np.testing.assert_allclose(np.asarray(jac.jacobian(of_ellipj)(X)), np.zeros((3, 2, 2)), atol=1e-14)


def test_lambert_on_its_real_branches() -> None:
    for k, x in ((0, np.array([0.0, 1.0, 1e6])), (-1, np.array([-0.3, -0.01]))):
        J = jac.jacobian(lambda x, k=k: sp.lambertw(x, k).real)(x)
        w = sp.lambertw(x, k).real
        assert J.dtype == np.float64
        np.testing.assert_allclose(np.diag(np.asarray(J)), 1 / (np.exp(w) * (1 + w)), rtol=1e-13)


def test_methods_of_scipys_ufuncs() -> None:
    J = jac.jacobian(lambda x: sp.xlogy.outer(x, x))(X)
    np.testing.assert_allclose(np.asarray(J), central(lambda x: sp.xlogy.outer(x, x), X), atol=1e-9)


def test_ops_of_the_same_name_stay_what_they_are() -> None:
    """`jac.ops.huber` is the loss of neural networks, whether SciPy is there or not."""
    assert jac.ops.huber is jac.ops.huber_loss and jac.ops.scipy_huber.answers == (sp.huber,)
    J = jac.jacobian(lambda x: sp.huber(0.7, x))(X)
    np.testing.assert_allclose(np.asarray(J), np.diag([0.5, 0.7]))


# -- kinks ------------------------------------------------------------------------------------------------------------


def test_xlogy_at_zero() -> None:
    zero = np.zeros(1)
    text = r"xlogy is not differentiable at entry \[0\]; 0 by both is taken"
    with pytest.warns(KinkWarning, match=text):
        assert np.asarray(jac.jacobian(lambda x: sp.xlogy(0.0, x))(zero)) == 0.0
    with pytest.warns(KinkWarning, match=text):
        assert np.asarray(jac.jacobian(lambda x: sp.xlogy(x, 0.0))(zero)) == 0.0
    J = jac.jacobian(jac.jacobian(lambda x: sp.xlogy(x[0], x[1])))(np.array([0.0, 2.0]))
    np.testing.assert_allclose(np.asarray(J), [[0.0, 0.5], [0.5, 0.0]])


def test_kinks() -> None:
    with pytest.warns(KinkWarning, match="i0e is not differentiable here; 0 is taken"):
        assert float(jac.jacobian(lambda x: sp.i0e(x))(0.0)) == 0.0
    with pytest.warns(KinkWarning, match="gammasgn is not differentiable here; 0 is taken"):
        jac.jacobian(lambda x: jac.ops.gammasgn(x))(0.0)


# -- what is refused --------------------------------------------------------------------------------------------------


def text_of(error: type[Exception], f: Any, x: Any) -> str:
    with pytest.raises(error) as caught:
        jac.jacobian(f)(x)
    return re.sub(r"test_scipy_special\.py:\d+: .*", "the line", str(caught.value))


# fmt: off
PLAIN_ONLY = [
    (lambda x: sp.logsumexp(x), "scipy.special.logsumexp", "jac.ops.logsumexp"),
    (lambda x: sp.softmax(x), "scipy.special.softmax", "jac.ops.softmax"),
    (lambda x: sp.log_softmax(x), "scipy.special.log_softmax", "jac.ops.log_softmax"),
    (lambda x: sp.polygamma(1, x), "scipy.special.polygamma", "jac.ops.polygamma"),
    (lambda x: sp.spherical_jn(1, x), "scipy.special.spherical_jn", "jac.ops.spherical_jn"),
    (lambda A: linalg.solve(A, X), "scipy.linalg.solve", "np.linalg.solve"),
    (lambda A: linalg.inv(A), "scipy.linalg.inv", "np.linalg.inv"),
    (lambda A: linalg.det(A), "scipy.linalg.det", "np.linalg.det"),
    (lambda A: linalg.expm(A), "scipy.linalg.expm", "jac.ops.expm"),
    (lambda A: linalg.cholesky(A), "scipy.linalg.cholesky", "np.linalg.cholesky"),
    (lambda A: linalg.eigh(A), "scipy.linalg.eigh", "np.linalg.eigh"),
    (lambda A: linalg.solve_triangular(A, X), "scipy.linalg.solve_triangular", "np.linalg.solve"),
    (lambda A: linalg.svdvals(A), "scipy.linalg.svdvals", "np.linalg.svd(A, compute_uv=False)"),
    (lambda x: fft.fft(x), "scipy.fft.fft", "np.fft.fft"),
]
# fmt: on


@pytest.mark.parametrize(("f", "name", "way_out"), PLAIN_ONLY, ids=[name for _, name, _ in PLAIN_ONLY])
def test_functions_that_take_plain_numbers_only(f: Any, name: str, way_out: str) -> None:
    assert text_of(TraceError, f, np.eye(2) + 0.1) == (
        f"{name} takes plain numbers only, no traced array\n"
        f"  line:  the line\n  fix:   use {way_out}, which can be traced"
    )


def test_functions_without_a_derivative() -> None:
    assert text_of(TraceError, lambda x: sp.wofz(x), X) == (
        "scipy.special.wofz cannot be traced: no op answers for it\n  line:  the line\n"
        "  fix:   wofz(x) is np.exp(-x**2) + 2j / np.sqrt(np.pi) * scipy.special.dawsn(x), "
        "wofz(1j * x) scipy.special.erfcx(x)"
    )
    assert text_of(TraceError, lambda x: sp.zeta(x), X) == (
        "scipy.special.riemann_zeta cannot be traced: SciPy has no derivative of zeta(x) by x\n  line:  the line\n"
        "  fix:   scipy.special.zeta(x, q) has one by q; or declare yours with jac.primitive(forward, rule)"
    )
    assert text_of(TraceError, lambda x: sp.kolmogorov(x), X) == (
        "scipy.special.kolmogorov cannot be traced: no op answers for it\n  line:  the line\n"
        "  fix:   write it with NumPy functions that can be traced, or declare it with jac.primitive(forward, rule)"
    )
    assert text_of(ArgumentError, lambda v: sp.jv(v, 2.0), X) == (
        "jv: there is no derivative with respect to v\n  fix:   v must not depend on what is differentiated by"
    )
    z = np.sqrt(np.pi)  # the ways out
    np.testing.assert_allclose(np.exp(-(X**2)) + 2j / z * sp.dawsn(X), sp.wofz(X), rtol=1e-14)
    np.testing.assert_allclose(sp.erfcx(X), sp.wofz(1j * X).real, rtol=1e-14)


# -- an op of one's own, and the exponential of a matrix --------------------------------------------------------------


def test_a_derivative_as_text_may_name_scipys_functions() -> None:
    own = jac.primitive(sp.loggamma, "polygamma(0, x)", name="own")
    H = jac.hessian(lambda x: own(x).sum())(X)
    np.testing.assert_allclose(np.asarray(H), np.diag(sp.polygamma(1, X)), rtol=1e-13)


def test_the_exponential_of_a_matrix() -> None:
    A, E = np.array([[0.1, 2.0], [-1.0, 0.5]]), np.array([[1.0, -2.0], [0.5, 3.0]])
    J = jac.ops.expm.jacobian(A)
    np.testing.assert_allclose(J @ E, linalg.expm_frechet(A, E, compute_expm=False), rtol=1e-12)
    batch = jac.ops.expm.jacobian(np.stack([A, E]))
    assert batch.structure == "block-diagonal over axis 0"
    np.testing.assert_allclose(np.asarray(batch)[0, :, :, 0], np.asarray(J), rtol=1e-12)
    assert text_of(ShapeError, lambda A: jac.ops.expm(A), np.ones((2, 3))) == (
        "expm: A must be square, but it is 2 × 3\n  got:   A float64[2,3]\n  line:  the line"
    )


# -- when the ops arrive, each in a process of its own ----------------------------------------------------------------


def run(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_scipy_all_else_works() -> None:
    run("""
        import sys
        sys.modules["scipy"] = sys.modules["scipy.special"] = sys.modules["scipy.linalg"] = None
        import numpy as np, jacobian as jac
        J = jac.jacobian(lambda x: np.tanh(x) * jac.ops.sigmoid(x))
        for _ in range(4):
            assert J(np.ones(2)).structure == "diagonal"
        assert "digamma" not in jac.ops.REGISTRY
        try:
            jac.ops.expm(np.eye(2))
        except jac.errors.ArgumentError as error:
            assert str(error) == "expm needs SciPy\\n  fix:   pip install 'jacobian[scipy]'", error
        else:
            raise AssertionError
    """)


def test_scipy_is_not_imported_and_its_ops_come_after_it() -> None:
    run("""
        import sys, numpy as np, jacobian as jac
        jac.jacobian(lambda x: np.sin(x))(np.ones(2))
        try:
            jac.ops.digamma
        except AttributeError:
            pass
        else:
            raise AssertionError
        assert "scipy" not in sys.modules and "jacobian.ops.scipy_special" not in sys.modules
        import scipy.special
        assert "jacobian.ops.scipy_special" not in sys.modules
        changes = jac.ops.REGISTRY.changes
        J = jac.jacobian(lambda x: scipy.special.erf(x))(np.zeros(1))
        assert abs(float(J[0, 0]) - 2 / np.pi**0.5) < 1e-15
        assert jac.ops.digamma.built_in and jac.ops.REGISTRY.changes == changes
    """)


def test_an_op_of_the_users_stays_when_scipys_arrive() -> None:
    run("""
        import numpy as np, jacobian as jac, scipy.special as sp
        mine = jac.primitive(lambda x: sp.erf(x), lambda y, x: np.diag(7 * np.ones(2)), answers=(sp.erf,), name="mine")
        assert "digamma" not in jac.ops.REGISTRY
        jac.jacobian(lambda x: sp.erfc(x))(np.ones(2))
        assert np.asarray(jac.jacobian(lambda x: sp.erf(x))(np.ones(2)))[0, 0] == 7
    """)


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("import scipy.special", "scipy.special.erf(x)"),
        ("import scipy.special as sp", "sp.erf(x)"),
        ("from scipy import special", "special.erf(x)"),
        ("from scipy.special import erf", "erf(x)"),
    ],
)
def test_calls_are_played_from_the_third_on(line: str, call: str) -> None:
    run(f"""
        import numpy as np, jacobian as jac
        {line}
        from jacobian import replay
        def f(x):
            return {call} * x
        J = jac.jacobian(f)
        found = [np.asarray(J(np.array([0.1, 0.2]) * k)) for k in (1, 1, 1, 3)]
        (kind,) = [kind for kind in replay.SCRIPTS if kind.scripts]
        assert (kind.plays, kind.failures) == (2, 0)
        np.testing.assert_array_equal(found[2], found[0])
        slow = jac.jacobian(f, order="forward")(np.array([0.1, 0.2]) * 3)
        np.testing.assert_allclose(found[3], np.asarray(slow), rtol=1e-14)
    """)


def test_derivatives_are_lines_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that calls functions of SciPy's is written down, and does not run anew at every call."""
    functions = (lambda x: sp.gammaln(x), lambda x: sp.erf(x) * sp.gamma(x), lambda x: sp.betaln(x, 1.5))
    for f in functions:
        J = jac.jacobian(f)
        (text,) = texts_of(J, np.array([0.5, 1.5]), monkeypatch=monkeypatch)
        assert "local" not in text, text
        np.testing.assert_allclose(np.asarray(J(np.array([0.7, 2.5]))), central(f, np.array([0.7, 2.5])), atol=1e-8)


def test_threads_that_meet_scipy_at_once() -> None:
    run("""
        import numpy as np, jacobian as jac, scipy.special as sp
        from concurrent.futures import ThreadPoolExecutor
        names = ["erf", "gamma", "j0", "ellipk", "xlogy", "hyp0f1", "exp10", "expit"] * 2
        def one(name):
            f = getattr(sp, name)
            return jac.jacobian(lambda x: f(*([1.5] * (f.nin - 1)), x))(np.array(0.5)).tensor()
        with ThreadPoolExecutor(8) as pool:
            first = list(pool.map(one, names))
        np.testing.assert_array_equal(first, [one(name) for name in names])
    """)
