"""Fourier transforms: what the generated tests do not cover. Complex on the way, real at both ends, never built."""

from __future__ import annotations

import pickle
import time
import tracemalloc
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jacobian as jac
from jacobian.errors import ArgumentError, JacobianError, KinkWarning, MemoryLimitError, ShapeError, TraceError
from jacobian.kernel import real, simplify
from jacobian.kernel.term import Operator
from jacobian.ops.fft import Fourier
from tests.differences import central

RNG = np.random.default_rng(3)
X, H, C = RNG.normal(size=6), RNG.normal(size=4) + 1j * RNG.normal(size=4), RNG.normal(size=6) + 1j * RNG.normal(size=6)
LARGE = 100_000
ORDERS = ["forward", "reverse", "auto"]


def both_ways(x: Any) -> Any:
    spectrum = np.fft.rfft(x)
    return np.fft.irfft(spectrum * np.conj(spectrum) ** 2, 6)


def conjugate_at_the_end(x: Any) -> Any:
    z = np.fft.rfft(x)
    return z * np.conj(z) * z


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "power spectrum": lambda x: np.abs(np.fft.rfft(x)) ** 2,
    "sum of powers": lambda x: np.sum(np.abs(np.fft.fft(x)) ** 1.5),
    "filter": lambda x: np.fft.irfft(np.fft.rfft(x) * H, 6),
    "filter of odd length": lambda x: np.sum(np.fft.irfft(np.fft.rfft(x) * H, 7) ** 3),
    "there and back": lambda x: np.sum(np.real(np.fft.ifft(np.fft.fft(x) * np.exp(1j * np.arange(6)))) ** 2),
    "phase": lambda x: np.angle(np.fft.fft(x) * C),
    "phase in degrees": lambda x: np.sum(np.angle(np.fft.fft(x) * C, deg=True) ** 2),
    "imaginary part": lambda x: np.fft.fft(x).imag * np.fft.fft(x).real,
    "conjugate": lambda x: np.real(conjugate_at_the_end(x)),
    "complex at both ends of a conjugate": conjugate_at_the_end,
    "autocorrelation": both_ways,
    "sum of that": lambda x: np.sum(both_ways(x) ** 3),
    "complex output": lambda x: np.fft.fft(np.abs(np.fft.fft(x * C))),
    "complex input of irfft": lambda x: np.fft.irfft(x * C, 11),
    "more bins than irfft reads": lambda x: np.fft.irfft(x * C, 5),
    "its length even": lambda x: np.sum(np.fft.irfft(x * C, 10) ** 2),
    "hfft": lambda x: np.fft.hfft(x * C, 7),
    "ihfft": lambda x: np.fft.ihfft(np.sin(x)),
    "twice": lambda x: np.sum(np.abs(np.fft.fft(np.abs(np.fft.fft(x * C)) * C))),
    "some bins": lambda x: np.sum(np.abs(np.fft.rfft(x)[1:3]) ** 3),
    "every other bin": lambda x: np.sum(np.abs(np.fft.rfft(x)[::-2]) ** 3),
    "one bin": lambda x: np.abs(np.fft.rfft(x)[2]),
    "some samples": lambda x: np.sum(np.abs(np.fft.rfft(x[1:5])) ** 3),
    "looked up": lambda x: np.sum(np.abs(np.fft.rfft(x[[1, 1, 4, 2]])[[2, 0, 2]]) ** 3),
    "padded": lambda x: np.sum(np.abs(np.fft.fft(np.pad(x, 2))) ** 3),
    "padded spectrum": lambda x: np.sum(np.abs(np.fft.fft(np.pad(np.fft.rfft(x), 2))) ** 3),
    "shifted": lambda x: np.sum(np.abs(np.fft.fftshift(np.fft.fft(np.fft.ifftshift(x)))) * np.arange(6) ** 2),
    "two axes": lambda x: np.abs(np.fft.fft2(x.reshape(2, 3))) ** 1.5,
    "an image": lambda x: np.sum(np.fft.irfft2(np.fft.rfft2(x.reshape(2, 3)) * H[:2], s=(2, 3)) ** 3),
    "reshaped between": lambda x: np.sum(np.abs(np.fft.fft(np.fft.fft(x).reshape(2, 3) * C[:3], axis=0)) ** 3),
    "flattened between": lambda x: np.sum(np.abs(np.fft.fft(np.fft.fft(x.reshape(2, 3) * C[:3], axis=0).ravel())) ** 3),
    "norm": lambda x: np.linalg.norm(np.fft.rfft(x)) + np.linalg.norm(np.fft.rfft(x), 3),
    "spread": lambda x: np.var(np.fft.fft(x * C)) * np.std(np.fft.fft(x)),
    "inner product": lambda x: np.abs(np.vecdot(np.fft.rfft(x), H)) + np.vdot(np.fft.rfft(x), H).imag,
    "scaled": lambda x: np.sum(np.fft.fft(x, norm="ortho").imag ** 2 + np.fft.rfft(x, 4, norm="forward").real[0]),
    "windows": lambda x: np.sum(np.abs(np.fft.rfft(np.lib.stride_tricks.sliding_window_view(x, 4) * H.real)) ** 2),
    "batch": lambda x: np.abs(np.fft.rfft(x.reshape(2, 3) * H[:3].real, axis=1)),
}  # fmt: skip


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS)
def test_complex_on_the_way(f: Callable[[Any], Any], order: str) -> None:
    J = jac.jacobian(f, order=order)(X)
    assert J.dtype == f(X).dtype
    assert np.asarray(J).dtype == J.dtype
    assert_allclose(np.asarray(J), central(f, X), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS)
def test_second_derivatives(f: Callable[[Any], Any]) -> None:
    expected = central(lambda x: np.asarray(jac.jacobian(f)(x)), X)
    assert_allclose(np.asarray(jac.hessian(f)(X)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS)
def test_operators_that_are_kept(f: Callable[[Any], Any], order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens with very many entries: a real part is half of a term and half of its conjugate."""

    def is_kept(term: Any) -> bool:
        return any(isinstance(factor.array, Operator) for factor in term.factors)

    monkeypatch.setattr(real, "is_kept", is_kept)
    monkeypatch.setattr(simplify, "is_kept", is_kept)
    J = jac.jacobian(f, order=order)(X)
    assert_allclose(np.asarray(J), central(f, X), rtol=1e-7, atol=1e-7)
    assert_allclose(J @ X, central(f, X) @ X, rtol=1e-6, atol=1e-6)
    assert_allclose(J.to_scipy().toarray(), J.matrix(), rtol=1e-12, atol=1e-12)
    assert_allclose(np.asarray(jac.hessian(f)(X)), central(lambda x: jac.jacobian(f)(x), X), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("f", [f for f in FUNCTIONS.values() if f(X).dtype.kind == "f"])
def test_backpropagation(f: Callable[[Any], Any]) -> None:
    assert_allclose(np.asarray(jac.backprop(f, X).jacobians["x"]), central(f, X), rtol=1e-7, atol=1e-7)


# -- the operator -----------------------------------------------------------------------------------------------------


def matrix_of(operator: Fourier) -> np.ndarray:
    """The matrix by its formula."""
    rows, cols = operator.shape
    k, j = np.indices((rows, cols))
    n, sign = operator.n, 1 if operator.inverse else -1
    scale = {"ortho": n**-0.5, "forward": 1.0 if operator.inverse else 1 / n}
    entries = np.exp(sign * 2j * np.pi * k * j / n) * scale.get(operator.norm or "", 1 / n if operator.inverse else 1.0)
    return entries * (j < n) * (1 if operator.times is None else operator.times)


@pytest.mark.parametrize("norm", [None, "backward", "ortho", "forward"])
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("half", ["", "rows", "columns"])
def test_an_operator_is_its_matrix(n: int, norm: str | None, inverse: bool, half: str) -> None:
    for extent in (1, 2, 3, 6, 9):
        rows = n // 2 + 1 if half == "rows" else n
        operator = Fourier(n, (rows, extent), np.dtype(complex), norm, inverse=inverse, half=half == "columns")
        F = matrix_of(operator)
        if half == "columns":
            F[:, n // 2 + 1 :] = 0
        assert_allclose(operator.dense(), F, atol=1e-12)
        for axis, kind in product((0, 1, 2), (float, complex)):
            a, b = (drawn((2, 3), axis, size, kind) for size in (extent, rows))
            checks = [(operator, F), (real.RealPart(operator), F.real), (real.Conjugate(operator), F.conj())]
            for one, M in checks:
                assert_allclose(one.apply(a, axis), along(M, a, axis), atol=1e-12)
                assert_allclose(one.apply_transposed(b, axis), along(M.T, b, axis), atol=1e-12)
            assert_allclose(operator.real_apply(a, axis), along(F, a, axis).real, atol=1e-12)
            assert_allclose(operator.real_apply_transposed(b, axis), along(F.T, b, axis).real, atol=1e-12)


def drawn(others: tuple[int, int], axis: int, size: int, kind: type) -> np.ndarray:
    """Random numbers with so many entries along one of three axes."""
    shape = (*others[:axis], size, *others[axis:])
    return RNG.normal(size=shape) + (1j * RNG.normal(size=shape) if kind is complex else 0)


def along(M: np.ndarray, array: np.ndarray, axis: int) -> np.ndarray:
    """A matrix applied along one axis."""
    return np.moveaxis(np.tensordot(M, array, (1, axis)), 0, axis)


@pytest.mark.parametrize("m", [1, 3, 6])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 8])
@pytest.mark.parametrize("name", ["irfft", "hfft"])
def test_half_a_spectrum_of_any_complex_numbers(name: str, n: int, m: int) -> None:
    """NumPy reads no imaginary part of the first bin and, for even n, of the one in the middle."""
    function, z = getattr(np.fft, name), RNG.normal(size=m) + 1j * RNG.normal(size=m)
    for order in ORDERS:
        J = jac.jacobian(lambda t: function(t[0] * z + 1j * t[1] * z, n), order=order)(np.ones(2))
        assert_allclose(np.asarray(J), np.stack([function(z, n), function(1j * z, n)], axis=1), atol=1e-12)


# -- structure --------------------------------------------------------------------------------------------------------


def test_the_jacobian_of_a_transform_is_its_matrix() -> None:
    J = jac.jacobian(np.fft.fft)(X)
    assert J.dtype == np.complex128
    assert_allclose(np.asarray(J), np.fft.fft(np.eye(6)), atol=1e-12)
    assert J.formula == "∂y[i]/∂a[j] = exp(-2j * pi * i * j / 6)"
    assert (J.nbytes, J.structure) == (0, "dense")
    assert_array_equal(np.asarray(pickle.loads(pickle.dumps(J))), np.asarray(J))
    assert (
        jac.jacobian(lambda x: np.fft.ifft(x, norm="ortho"))(X).formula
        == "∂y[i]/∂x[j] = exp(2j * pi * i * j / 6) / sqrt(6)"
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_stays(dtype: Any) -> None:
    x = X.astype(dtype)
    assert jac.jacobian(np.fft.fft)(x).dtype == np.result_type(dtype, np.complex64)
    for f in (
        FUNCTIONS["power spectrum"],
        lambda x: np.fft.irfft(np.fft.rfft(x)),
        lambda x: np.sum(np.abs(np.fft.fft2(x.reshape(2, 3)))),
    ):
        J = jac.jacobian(f)(x)
        assert np.asarray(J).dtype == J.dtype == f(x).dtype == dtype


def test_other_axes_are_shared_indices() -> None:
    batch = jac.jacobian(lambda X: np.fft.rfft(X, axis=1))(X.reshape(2, 3))
    assert (batch.structure, batch.nnz, batch.nbytes) == ("block-diagonal over axis 0", 12, 0)
    assert batch.formula == "∂y[i,j]/∂X[i,k] = exp(-2j * pi * j * k / 3)"
    image = jac.jacobian(np.fft.fft2)(X.reshape(2, 3))
    assert (image.structure, image.nbytes) == ("Kronecker", 0)
    assert image.formula == "∂y[i,j]/∂a[k,l] = exp(-2j * pi * i * k / 2) * exp(-2j * pi * j * l / 3)"


def test_formulas_tell_of_real_parts() -> None:
    assert jac.ops.irfft.jacobian(X[:4]).formula == (
        "∂y[i]/∂x[j] = real((2 - (j % 3 == 0)) * exp(2j * pi * i * j / 6) / 6)"
    )
    assert jac.jacobian(lambda x: np.real(np.fft.fft(x)))(X).formula == "∂y[i]/∂x[j] = real(exp(-2j * pi * i * j / 6))"
    assert jac.jacobian(FUNCTIONS["filter"])(X).formula == (
        "∂y[i]/∂x[j] = real(Σ_a (2 - (a % 3 == 0)) * exp(2j * pi * i * a / 6) / 6 * H[a] * exp(-2j * pi * a * j / 6))"
    )
    steps = jac.backprop(lambda x: np.sum(np.abs(np.fft.rfft(x))), X)
    assert steps["v2"].local["v1"].formula == "∂v2[i]/∂v1[i] = conjugate(v1[i]) / where(v2[i] == 0, 1.0, v2[i])"
    assert steps["x"].upstream.formula == "∂y/∂x[i] = real(Σ_a ∂y/∂v1[a] * exp(-2j * pi * a * i / 6))"


# -- large transforms -------------------------------------------------------------------------------------------------

BINS = np.exp(-np.linspace(0, 3, LARGE // 2 + 1)) * np.exp(1j * np.arange(LARGE // 2 + 1))
GRADIENTS: dict[str, Callable[[Any], Any]] = {
    "rfft": lambda x: np.sum(np.abs(np.fft.rfft(x)) ** 1.5),
    "there and back": lambda x: np.sum(np.real(np.fft.ifft(np.fft.fft(x) * np.exp(1j * np.arange(x.size)))) ** 2),
    "filter": lambda x: np.sum(np.fft.irfft(np.fft.rfft(x) * BINS, LARGE) ** 2),
    "slice": lambda x: np.sum(np.abs(np.fft.rfft(x)[1:]) ** 2),
    "padded": lambda x: np.sum(np.abs(np.fft.rfft(np.pad(x, 10))) ** 3),
    "image": lambda x: np.sum(np.abs(np.fft.rfft2(x.reshape(200, 500)))),
}


@pytest.mark.parametrize("f", GRADIENTS.values(), ids=GRADIENTS)
def test_a_gradient_builds_no_matrix(f: Callable[[Any], Any]) -> None:
    x, direction = RNG.normal(size=(2, LARGE))
    g = jac.jacobian(f)
    tracemalloc.start()
    gradient = np.asarray(g(x))
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
    slope = (f(x + 1e-5 * direction) - f(x - 1e-5 * direction)) / 2e-5
    assert_allclose(gradient @ direction, slope, rtol=1e-6)
    start = time.perf_counter()
    g(x).tensor()
    assert time.perf_counter() - start < 1


def test_a_large_filter_is_applied() -> None:
    x, dx = RNG.normal(size=(2, LARGE))

    def filtered(x: Any) -> Any:
        return np.fft.irfft(np.fft.rfft(x) * BINS, LARGE)

    J = jac.jacobian(filtered)(x)
    assert J.dtype == np.float64
    assert_allclose(J @ dx, filtered(dx), atol=1e-12)
    assert_allclose((x @ J) @ dx, x @ filtered(dx))
    assert_allclose(J[5, :3], [filtered(np.eye(1, LARGE, k)[0])[5] for k in range(3)], atol=1e-15)
    assert_allclose(
        jac.jacobian(lambda x: np.tanh(filtered(np.sin(x))))(x) @ dx,
        filtered(np.cos(x) * dx) / np.cosh(filtered(np.sin(x))) ** 2,
        atol=1e-12,
    )
    with pytest.raises(MemoryLimitError):
        np.asarray(J)
    K = jac.jacobian(np.fft.fft)(x)
    with pytest.raises(MemoryLimitError) as caught:
        (K @ K)[:2]  # fmt: skip
    assert str(caught.value).startswith("materialising its matrix needs 160 GB, the limit is ")


# -- what is refused --------------------------------------------------------------------------------------------------

NO_DERIVATIVE = """sign: there is no derivative with respect to the complex v1
  got:   v1 complex128[6]
  fix:   write it with the real and the imaginary part, z.real and z.imag"""
REFUSED: list[tuple[Callable[[Any], Any], type[JacobianError], str]] = [
    (
        lambda x: np.fft.fft(x, out=np.zeros(6, complex)), TraceError,
        "fft(…, out=…) cannot be traced where out is a plain array\n  fix:   leave out= out and use the returned array",
    ),
    (
        lambda x: np.fft.ifft(x, None, -1, None, np.zeros(6, complex)), ArgumentError,
        "ifft: out= cannot be traced\n  fix:   use the returned array",
    ),
    (
        lambda x: np.fft.rfft2(x.reshape(2, 3), None, (-2, -1), None, np.zeros((2, 2), complex)), ArgumentError,
        "rfft2: out= cannot be traced\n  fix:   use the returned array",
    ),
    (
        lambda x: np.fft.fft(x, norm="both"), ArgumentError,
        "fft: norm must be 'backward', 'ortho' or 'forward', not 'both'",
    ),
    (lambda x: np.fft.fft(x, 0), ArgumentError, "fft: n must be at least 1, not 0\n  got:   x float64[6]"),
    (lambda x: np.fft.ifft(x, axis=1), ShapeError, "ifft: axis 1 does not exist\n  got:   x float64[6]"),
    (
        lambda x: np.fft.rfft(x * 1j), ArgumentError,
        "rfft: x must be real\n  got:   x complex128[6]\n  fix:   np.fft.fft(x), or the real part of x, x.real",
    ),
    (
        lambda x: np.fft.irfft(x[:1]), ShapeError,
        "irfft: there are no points along axis -1\n  got:   x float64[1]\n  fix:   give n=",
    ),
    (
        lambda x: np.fft.fftn(x, s=(2, 3), axes=(0,)), ShapeError,
        "fftn: s and axes differ in length\n  s:     (2, 3)\n  axes:  (0,)",
    ),
    (
        lambda x: np.fft.rfftn(x, axes=()), ArgumentError,
        "rfftn: there must be an axis to transform\n  got:   a float64[6]",
    ),
    (
        lambda x: np.sign(np.fft.fft(x)), ArgumentError,
        NO_DERIVATIVE,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("f", "kind", "text"), REFUSED)
def test_errors(f: Callable[[Any], Any], kind: type[JacobianError], text: str) -> None:
    with pytest.raises(kind) as caught:
        jac.jacobian(f)(X)
    lines = [line for line in str(caught.value).splitlines() if not line.startswith("  line:")]
    assert "\n".join(lines) == text


def test_zeros_of_a_spectrum_are_kinks() -> None:
    """|z| has no derivative at 0; 0 is taken, and for |z|² that is right."""
    with pytest.warns(KinkWarning, match="absolute"):
        J = jac.jacobian(lambda x: np.sum(np.abs(np.fft.fft(x)) ** 2))(np.ones(4))
    assert_allclose(np.asarray(J), 8 * np.ones(4))
    with pytest.warns(KinkWarning, match="phase"):
        jac.jacobian(lambda x: np.angle(np.fft.fft(x)))(np.ones(4))


def test_frequencies_and_shapes_are_numpys() -> None:
    x = RNG.normal(size=(2, 3, 4))
    for name, kwargs in [
        ("fftn", {"axes": (0, 2)}), ("fftn", {"s": (3, 3), "axes": (1, 2)}), ("ifftn", {}),
        ("rfftn", {"norm": "ortho"}), ("irfftn", {"axes": (2, 0)}), ("irfftn", {"s": (5, 7), "axes": (1, 2)}),
        ("irfft2", {}), ("fftn", {"axes": ()}),
        ("fftn", {"axes": (1, 1)}), ("rfft2", {"s": (-1, 3)}), ("fftshift", {"axes": (0, 2)}),
        ("ifftshift", {"axes": 1}),
    ]:  # fmt: skip
        function = getattr(np.fft, name)
        seen: list[Any] = []

        def f(x: Any, function: Any = function, kwargs: Any = kwargs, seen: list[Any] = seen) -> Any:
            seen.append(function(x, **kwargs))
            return seen[-1]

        J = jac.jacobian(f)(x)
        assert_allclose(seen[0].value, function(x, **kwargs), atol=1e-14)
        assert_allclose(np.tensordot(np.asarray(J), x, 3), function(x, **kwargs), atol=1e-12)  # it is linear


FILTERS: dict[str, Callable[[Any, int], Any]] = {
    "half a spectrum": lambda x, n: np.fft.irfft(np.fft.rfft(x) * np.arange(1.0, n // 2 + 2), n),
    "whole": lambda x, n: np.real(np.fft.ifft(np.fft.fft(x) * np.exp(1j * np.arange(n)))),
    "other norms": lambda x, n: np.fft.irfft(np.fft.rfft(x, norm="forward") * np.arange(n // 2 + 1), n, norm="ortho"),
    "there and on": lambda x, n: np.imag(np.fft.fft(np.fft.fft(x, norm="ortho") * np.exp(1j * np.arange(n)))),
    "complex": lambda x, n: np.abs(np.fft.fft(np.fft.ifft(x) * np.exp(2j * np.arange(n)))),
    "between others": lambda x, n: np.sin(x) * np.real(np.fft.ifft(np.fft.fft(np.cos(x)) * 1j * np.arange(n))) / x,
    "longer": lambda x, n: np.fft.irfft(np.fft.rfft(x, n - 1), n + 2),
    "cut off": lambda x, n: np.fft.irfft(np.fft.rfft(x, n + 3)[: n // 2 + 1], n),
    "rows": lambda x, n: np.fft.irfft(np.fft.rfft(np.outer([1.0, 2.0], x) ** 2, axis=1) * np.arange(n // 2 + 1), n),
}


@pytest.mark.parametrize("n", [5, 6])
@pytest.mark.parametrize("name", FILTERS)
def test_what_lies_between_two_transforms(name: str, n: int) -> None:
    x = np.random.default_rng(5).uniform(0.5, 1.5, n)

    def f(x: Any) -> Any:
        return FILTERS[name](x, n)

    J = jac.jacobian(f)
    for _ in range(4):
        assert_allclose(np.asarray(J(x)), central(f, x), atol=1e-7)


@pytest.mark.parametrize("f", [
    lambda x: np.fft.irfft(np.fft.rfft(x) * np.arange(151.0), 300),
    lambda x: np.real(np.fft.ifft(np.fft.fft(x) * np.exp(1j * np.arange(300)))),
])  # fmt: skip
def test_a_filter_takes_no_more_memory_than_its_matrix(
    f: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of its entries are those of one transform: neither of the two is built, nor applied to all columns."""
    monkeypatch.setattr(Fourier, "dense", lambda self: pytest.fail("a transform is built"))
    x = np.random.default_rng(6).normal(size=300)
    J = jac.jacobian(f)
    for _ in range(4):
        np.asarray(J(x))
    tracemalloc.start()
    try:
        found = np.asarray(J(x))
        assert tracemalloc.get_traced_memory()[1] < 1.2 * found.nbytes
    finally:
        tracemalloc.stop()
    assert found.flags.c_contiguous
    assert_allclose(found @ x, f(x), atol=1e-9)
