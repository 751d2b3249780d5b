"""Slips in one entry, in one row, or in the order in which they are listed."""

from typing import Any

import numpy as np
import pytest

import jacobian as jac

S = np.array([1.0, 2.0])


def oscillator(s: Any, c: float = 0.2, k: float = 4.0, m: float = 1.0) -> Any:
    pos, vel = s[0], s[1]
    acc = -(c * vel + k * pos) / m
    return np.stack([vel, acc])


def pendulum(th: Any) -> Any:
    return np.stack([th[1], -9.81 * np.sin(th[0])])


def of_three(x: Any) -> Any:
    return np.stack([x[0] * x[1], np.sin(x[2]), x[0] ** 2])


@pytest.mark.parametrize(
    ("f", "x", "claim", "slip", "why"),
    [
        (
            oscillator, S, [[-4, -0.2], [0, 1]], "entries in another order",
            "The rows are exchanged: ∂y[1]/∂s[j] stands where ∂y[0]/∂s[j] belongs; list them in the order of y.",
        ),
        (
            oscillator, S, [[1, 0], [-0.2, -4]], "entries in another order",
            "The columns are exchanged: ∂y[i]/∂s[1] stands where ∂y[i]/∂s[0] belongs; list them in the order of s.",
        ),
        (
            of_three, np.array([1.0, 2.0, 3.0]),
            lambda x: np.array([[0, 0, np.cos(x[2])], [2 * x[0], 0, 0], [x[1], x[0], 0]]), "entries in another order",
            (
                "The rows stand in another order: ∂y[1]/∂x[j] stands where ∂y[0]/∂x[j] belongs; list them in the order "
                "of y."
            ),
        ),
        (
            lambda A: np.sin(A[:, :2]), np.arange(6.0).reshape(2, 3),
            lambda A: jac.jacobian(lambda A: np.sin(A[:, :2]))(A).tensor()[..., ::-1], "entries in another order",
            (
                "The slices along l are exchanged: ∂y[i,j]/∂A[k,2] stands where ∂y[i,j]/∂A[k,0] belongs; list them in "
                "the order of A."
            ),
        ),
        (
            pendulum, S, lambda th: np.array([[0, 1], [9.81 * np.cos(th[0]), 0]]), "sign",
            "The sign of ∂y[1]/∂th[0] is wrong: put a minus in front.",
        ),
        (
            oscillator, S, [[0, 1], [4, -0.2]], "sign", "The sign of ∂y[1]/∂s[0] is wrong: put a minus in front.",
        ),
        (
            oscillator, S, [[0, 1], [4, 0.2]], "sign", "The sign of ∂y[1]/∂s[j] is wrong: put a minus in front.",
        ),
        (
            lambda x: np.exp(-x), np.array([25.0, 1.0]), lambda x: np.diag(np.array([-2.0, -1.0]) * np.exp(-x)),
            "constant factor", "∂y[0]/∂x[0] is taken 2 times, the rest once: multiply it by 1/2.",
        ),
        (
            lambda u: np.stack([1.1 * u[0] - 0.4 * u[0] * u[1], u[1]]), S,
            lambda u: np.array([[1.1 + 0.4 * u[1], -0.4 * u[0]], [0, 1]]), "sign",
            "At v4 = multiply(0.4, v3): the term that comes through v3 has the wrong sign: turn it, ∂v4/∂v3 = 0.4.",
        ),
        (
            lambda u: np.stack([1.1 * u[0] - 0.4 * u[0] * u[1], u[1]]), S,
            lambda u: np.array([[1.1 - 0.4 * u[1], -0.4 * u[1]], [0, 1]]), "wrong point",
            (
                "At v6 = multiply(v4, v5): u[1] stands where u[0] belongs, here and in what follows: the point is the "
                "wrong one, ∂v6/∂v5 = v4."
            ),
        ),
    ],
)  # fmt: skip
def test_the_part_is_named(f: Any, x: Any, claim: Any, slip: str, why: str) -> None:
    verdict = jac.verify(f, x, claim=claim)
    assert verdict.slip == slip
    assert str(verdict.diagnosis) == why


def test_a_kernel_is_read_backwards_only_where_there_is_one() -> None:
    x, w = np.array([1.0, -2.0, 0.5, 0.3]), np.array([1.0, 2.0, 4.0])
    verdict = jac.verify(lambda w: w * np.array([3.0, 5.0, 7.0]), w, claim=np.diag([7.0, 5.0, 3.0]))
    assert verdict.slip != "kernel flipped"
    convolved = jac.verify(lambda w, x: np.convolve(x, w, "valid"), w, x, claim=[[1, -2, 0.5], [-2, 0.5, 0.3]])
    assert convolved.slip == "kernel flipped"
