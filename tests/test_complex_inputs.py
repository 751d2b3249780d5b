"""Functions of complex inputs: the complex derivative, or an error that names what is not holomorphic."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.errors import ArgumentError, JacobianError
from jacobian.ops import Op, Sample
from tests.ops.test_rules import CASES, flat_inputs, one_array, through_numpy, with_input

ORDERS = ("auto", "forward", "reverse")
Z = np.array([1 + 2j, 0.5 - 1j, -0.3 + 0.4j])
REFUSED = "there is no derivative with respect to the complex"


def quotients(f: Callable[[Any], Any], z: np.ndarray, unit: complex, h: float = 1e-6) -> np.ndarray:
    """Central difference quotients along 1 or along i."""
    columns = []
    for entry in np.ndindex(z.shape):
        step = np.zeros_like(z)
        step[entry] = h * unit
        columns.append((np.asarray(f(z + step)) - np.asarray(f(z - step))) / (2 * h * unit))
    shape = np.shape(f(z))
    return np.stack(columns, axis=-1).reshape(shape + z.shape) if columns else np.zeros(shape + z.shape)


@pytest.mark.parametrize(("op", "sample"), CASES)
def test_every_op_of_a_complex_input(op: Op, sample: Sample) -> None:
    """In every order the same: the complex derivative, in first and second order, or the error that there is none."""
    args, kwargs = sample.draw(4)
    for k, x in enumerate(flat_inputs(args, kwargs)):
        z = x * (1 + 0.3j * np.random.default_rng(5).normal(size=x.shape))

        def f(value: Any, k: int = k) -> Any:
            return one_array(through_numpy(op, with_input(args, k, value), kwargs))

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", jac.errors.KinkWarning)
            try:
                f(z)
            except (TypeError, np.exceptions.ComplexWarning, JacobianError):
                continue  # NumPy has it for real numbers only
            found = [outcome(f, order, z) for order in ORDERS]
            along, across = quotients(f, z, 1), quotients(f, z, 1j)
            if any(isinstance(one, str) for one in found):
                assert len(set(map(str, found))) == 1
                continue
            np.testing.assert_allclose(across, along, rtol=1e-5, atol=1e-6)
            for J in found:
                np.testing.assert_allclose(J, along, rtol=1e-5, atol=1e-6)
            try:
                H = jac.jacobian(jac.jacobian(f))(z).tensor()
            except ArgumentError as error:
                if REFUSED in str(error):  # SciPy has psi of complex numbers, and no derivative of that
                    continue
                raise
            second = quotients(lambda value: jac.jacobian(f)(value).tensor(), z, 1j)
            np.testing.assert_allclose(H, second, rtol=1e-4, atol=1e-5)


def outcome(f: Callable[[Any], Any], order: str, z: np.ndarray) -> Any:
    try:
        return jac.jacobian(f, order=order)(z).tensor()
    except ArgumentError as error:
        if REFUSED not in str(error):
            raise
        return str(error)


HOLOMORPHIC: dict[str, Callable[[Any], Any]] = {
    "polynomial": lambda z: z**3 - 2 * z + 1j,
    "Möbius": lambda z: (2 * z + 1j) / (z - 3),
    "exp, log, sqrt": lambda z: np.exp(z) * np.log(z + 3) + np.sqrt(z + 2),
    "matrices": lambda z: np.linalg.inv(np.outer(z, z) + np.eye(3)) @ np.sin(z),
    "fft": lambda z: np.fft.fft(np.tanh(z))[1:],
    "softmax": lambda z: np.exp(z - np.max(z)) / np.sum(np.exp(z - np.max(z))),
    "control flow by what is not holomorphic": lambda z: z * z if np.abs(z[0]) > 1 else z,
    "a choice by what is not holomorphic": lambda z: np.where(z.real > 0, z, -z),
    "abs that does not reach the result": lambda z: (np.abs(z), z * 1j)[1],
    "constant": lambda z: np.ones(2),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", HOLOMORPHIC)
def test_holomorphic_functions(name: str, order: str) -> None:
    f = HOLOMORPHIC[name]
    for _ in range(4):  # traced, planned, and as often as a real one needs to be played
        J = jac.jacobian(f, order=order)(Z)
        np.testing.assert_allclose(J.tensor(), quotients(f, Z, 1), rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(J.tensor(), quotients(f, Z, 1j), rtol=1e-6, atol=1e-7)
        assert J.dtype == np.complex128
    H = jac.hessian(f)(Z)
    np.testing.assert_allclose(H, quotients(lambda z: jac.jacobian(f)(z).tensor(), Z, 1j), rtol=1e-5, atol=1e-6)


def conjugated(z: Any) -> Any:
    return z * np.conj(z)


def energy(z: Any) -> Any:
    return np.sum(np.abs(z) ** 2)


def real_part(z: Any) -> Any:
    return np.exp(z).real + 0j


def imaginary_part(z: Any) -> Any:
    return np.imag(z)


def length(z: Any) -> Any:
    return np.linalg.norm(z)


def turned(z: Any) -> Any:
    return np.angle(z)


def inner_product(z: Any) -> Any:
    return np.vdot(z, z)


def spread(z: Any) -> Any:
    return np.var(z)


FIX = "write it in real and imaginary part, f(x + 1j*y), and differentiate by the real x and y"
NOT_HOLOMORPHIC = {
    conjugated: ("conjugate", "return z * np.conj(z)"), energy: ("absolute", "return np.sum(np.abs(z) ** 2)"),
    real_part: ("real", "return np.exp(z).real + 0j"), imaginary_part: ("imag", "return np.imag(z)"),
    length: ("norm", "return np.linalg.norm(z)"), turned: ("angle", "return np.angle(z)"),
    inner_product: ("vdot", "return np.vdot(z, z)"), spread: ("var", "return np.var(z)"),
}  # fmt: skip


@pytest.mark.parametrize("f", NOT_HOLOMORPHIC, ids=lambda f: f.__name__)
def test_what_is_not_holomorphic_is_refused(f: Callable[[Any], Any]) -> None:
    called, line = NOT_HOLOMORPHIC[f]
    number = f.__code__.co_firstlineno + 1
    expected = (
        f"{called} is not holomorphic: {REFUSED} z\n  got:   z complex128[3]\n"
        f"  line:  test_complex_inputs.py:{number}: {line}\n  fix:   {FIX}"
    )
    ways: list[Callable[[Any], Any]] = [*(jac.jacobian(f, order=order) for order in ORDERS), jac.hessian(f)]
    ways += [lambda z: jac.backprop(f, z), lambda z: jac.trace(f, z).jacobian()]
    for way in ways * 3:
        with pytest.raises(ArgumentError) as raised:
            way(Z)
        assert str(raised.value) == expected
    with pytest.raises(ArgumentError) as raised:
        jac.Chain(np.exp, f).jacobian(Z)
    assert str(raised.value) == expected.replace(
        "complex z\n  got:   z", "complex x\n  got:   x"
    )  # as a chain calls its input


@pytest.mark.parametrize("f", NOT_HOLOMORPHIC, ids=lambda f: f.__name__)
def test_the_advice_works(f: Callable[[Any], Any]) -> None:
    x, y = Z.real, Z.imag
    by_x, by_y = jac.jacobian(lambda x, y: f(x + 1j * y), argnums=(0, 1))(x, y)
    np.testing.assert_allclose(by_x, quotients(f, Z, 1), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(by_y, 1j * quotients(f, Z, 1j), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("order", ORDERS)
def test_only_what_is_differentiated_by_matters(order: str) -> None:
    def f(x: Any, z: Any) -> Any:
        return np.abs(x * z)

    x = np.array([1.0, 2.0, -1.0])
    np.testing.assert_allclose(jac.jacobian(f, order=order)(x, Z), np.diag(np.sign(x) * np.abs(Z)))
    with pytest.raises(ArgumentError, match=r"absolute is not holomorphic: .* complex z\n"):
        jac.jacobian(f, argnums=(0, 1), order=order)(x, Z)
    by_x, by_z = jac.jacobian(lambda x, z: np.sum(x * z), argnums=(0, 1), order=order)(x, Z)
    np.testing.assert_allclose(by_x, Z)
    np.testing.assert_allclose(by_z, x)


def test_a_list_of_complex_numbers_is_not_played_by_a_script_for_real_ones() -> None:
    def f(z: Any) -> Any:
        return np.sum(z * z)

    for _ in range(5):
        np.testing.assert_allclose(jac.jacobian(f)([1.0, 2.0]), [2.0, 4.0])
    np.testing.assert_allclose(jac.jacobian(f)([1.0, 2j]), [2.0, 4j])
    np.testing.assert_allclose(jac.jacobian(f)([1.0, 2.0]), [2.0, 4.0])


def test_numbers_and_single_precision() -> None:
    assert jac.jacobian(lambda z: z**2)(1 + 2j).tensor() == 2 + 4j
    J = jac.jacobian(np.exp)(Z.astype(np.complex64))
    assert J.dtype == np.complex64 and J.tensor().dtype == np.complex64


def test_an_op_alone() -> None:
    np.testing.assert_allclose(jac.ops.sin.jacobian(Z), np.diag(np.cos(Z)))
    with pytest.raises(ArgumentError) as raised:
        jac.ops.absolute.jacobian(Z)
    assert str(raised.value) == (f"absolute is not holomorphic: {REFUSED} x\n  got:   x complex128[3]\n  fix:   {FIX}")


def test_a_rule_for_real_numbers_only() -> None:
    def volume(z: Any) -> Any:
        return jac.ops.cofactors(np.outer(z, z) + np.eye(3))

    with pytest.raises(ArgumentError) as raised:
        jac.jacobian(volume)(Z)
    assert str(raised.value) == (
        f"cofactors: {REFUSED} z\n  got:   z complex128[3]\n"
        f"  line:  test_complex_inputs.py:{volume.__code__.co_firstlineno + 1}: "
        "return jac.ops.cofactors(np.outer(z, z) + np.eye(3))\n"
        "  fix:   write it with the real and the imaginary part, z.real and z.imag"
    )


@pytest.mark.parametrize("method", ["forward", "central", "richardson"])
def test_differences_in_the_complex_plane(method: str) -> None:
    d = jac.finite_difference(lambda z: np.exp(z) * z, Z, method=method)
    exact = np.diag(np.exp(Z) * (1 + Z))
    assert np.all(np.abs(d.values - exact) <= d.errors + 1e-12) and d.errors.max() < 1e-5
    along_i = jac.finite_difference(np.conj, Z, method=method)
    np.testing.assert_allclose(np.diag(along_i.errors), 2.0, rtol=1e-5)  # 1 along 1, and -1 along i


def test_first_order_approximation() -> None:
    prediction = jac.jacobian(lambda z: z**2)(Z).predict(np.full(3, 1e-3j))
    assert prediction.order == pytest.approx(2.0, abs=0.01)


C, D = np.random.default_rng(7).normal(size=(2, 4, 3)) + 1j * np.random.default_rng(8).normal(size=(2, 4, 3))


@pytest.mark.parametrize(
    "f",
    [
        lambda A: np.linalg.eigvalsh(A[:3]), lambda A: np.linalg.eigvalsh(A[:3], UPLO="U"), np.linalg.svdvals,
        lambda A: np.linalg.svdvals(A.T), lambda A: np.linalg.svdvals(np.stack([A, 1j * A])),
        lambda A: np.real(np.linalg.det(A[:3])), lambda A: np.imag(np.linalg.det(np.stack([A[:3], A[1:]]))),
        lambda A: np.real(np.linalg.det(A[:3] @ A[1:])), lambda A: np.linalg.norm(A, "nuc"),
        lambda A: np.linalg.norm(A, 2), lambda A: np.linalg.cond(A),
    ],
)  # fmt: skip
def test_spectra_of_complex_matrices(f: Callable[[Any], Any]) -> None:
    """Of a real input, through complex matrices, to real numbers."""

    def through(x: Any) -> Any:
        return f(C * x[0] + D * x[1] ** 2)

    x = np.array([0.7, 1.3])
    found = jac.jacobian(through)(x).tensor()
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, quotients(through, x, 1).real, rtol=1e-6, atol=1e-8)
