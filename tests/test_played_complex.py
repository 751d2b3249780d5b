"""Complex numbers between real ones: such calls are played, too, their contractions made by the kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian import replay
from jacobian.errors import KinkWarning
from tests.differences import central

pytestmark = pytest.mark.usefixtures("no_scripts")

RNG = np.random.default_rng(3)
SIGNAL, KERNEL, LONG = RNG.normal(size=12), RNG.normal(size=12), RNG.normal(size=90)


def is_played() -> bool:
    return any(kind.scripts and not kind.failures for kind in replay.SCRIPTS)


def convolved(x: Any, k: Any) -> Any:
    return np.real(np.fft.ifft(np.fft.fft(x) * np.fft.fft(k)))


@pytest.mark.parametrize(("f", "arguments"), [
    (convolved, (SIGNAL, KERNEL)),
    (convolved, (LONG, LONG[::-1].copy())),
    (lambda x: np.abs(np.fft.rfft(x)) ** 2, (SIGNAL,)),
    (lambda x: np.abs(np.fft.rfft(x)) ** 2, (LONG,)),
    (lambda x: np.fft.irfft(np.fft.rfft(x) * np.exp(-np.arange(7.0)), 12), (SIGNAL,)),
    (lambda x: np.abs(np.fft.fft2(x)).sum(), (LONG.reshape(9, 10),)),
    (lambda x: np.angle(x + 1j * np.sin(x)) + np.imag((x + 2j) ** 3), (SIGNAL,)),
    (lambda x, y: np.abs(np.sum((x + 1j * y) * KERNEL)), (SIGNAL, KERNEL)),
])  # fmt: skip
def test_the_same_numbers(f: Callable[..., Any], arguments: tuple[np.ndarray, ...]) -> None:
    g = jac.value_and_jacobian(f, tuple(range(len(arguments))))
    for _ in range(2):
        g(*arguments)
    assert is_played()
    for scale in (1.0, 0.7, 1.3):
        points = [scale * one for one in arguments]
        value, found = g(*points)
        np.testing.assert_allclose(value, f(*points), rtol=1e-12, atol=1e-12)
        for k, J in enumerate(found):
            expected = central(lambda x, k=k, p=points: f(*p[:k], x, *p[k + 1 :]), points[k])
            np.testing.assert_allclose(np.asarray(J), expected, rtol=1e-6, atol=1e-6)
    assert is_played()


def test_a_kink_is_told() -> None:
    g = jac.jacobian(lambda x: np.abs(np.fft.rfft(x)))
    for _ in range(3):
        g(SIGNAL)
    assert is_played()
    with pytest.warns(KinkWarning, match="absolute"):
        J = g(np.zeros(12))
    assert not np.asarray(J).any()


def test_what_ends_in_complex_numbers_is_traced() -> None:
    g = jac.jacobian(np.fft.rfft)
    for _ in range(3):
        found = g(SIGNAL)
    assert not is_played()
    np.testing.assert_allclose(np.asarray(found), np.fft.rfft(np.eye(12), axis=0), rtol=1e-12, atol=1e-12)
