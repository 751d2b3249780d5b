"""What nobody gave a name is written out in formulas while it is short; a long chain is none."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jacobian as jac

X = np.array([2.0, -3.0, 1.0])
P = np.array([2.0, 0.7])


def rosenbrock(x: Any) -> Any:
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def polar(p: Any) -> Any:
    return np.stack([p[0] * np.cos(p[1]), p[0] * np.sin(p[1])])


def deep(x: Any) -> Any:
    for _ in range(200):
        x = np.sin(x)
    return x * x


def with_a_name(x: Any) -> Any:
    inside = x > 0
    return np.where(inside, x**2, x)


def overwritten(x: Any) -> Any:
    inside = [x > 0]
    inside[0][0] = False
    return np.where(inside[0], x**2, x)


FORMULAS: dict[str, tuple[Callable[[Any], Any], np.ndarray, str]] = {
    "entries": (lambda x: x[0] * x[1], P, "∂y/∂x[i] = δ[i,1] * x[0] + δ[i,0] * x[1]"),
    "entries from the end": (lambda x: x[-1] ** 2, X, "∂y/∂x[2] = 2 * x[2]"),
    "rosenbrock": (
        rosenbrock, X,
        (
            "∂y/∂x[i] = 200 * δ[i,1] * (x[1] - x[0]**2) - 2 * δ[i,0] * (1 - x[0]) "
            "- 400 * δ[i,0] * (x[1] - x[0]**2) * x[0]"
        ),
    ),
    "polar coordinates": (
        polar, P,
        (
            "∂y[i]/∂p[j] = δ[i,1] * δ[j,1] * p[0] * cos(p[1]) + δ[i,1] * δ[j,0] * sin(p[1]) "
            "+ δ[i,0] * δ[j,0] * cos(p[1]) - δ[i,0] * δ[j,1] * p[0] * sin(p[1])"
        ),
    ),
    "a choice": (
        lambda x: np.where(x > 0, x, 0.1 * x), X,
        "∂y[i]/∂x[i] = where(x[i] > 0, 1.0, 0.0) + 0.1 * where(x[i] > 0, 0.0, 1.0)",
    ),
    "a mask": (lambda x: (x > 0) * x, X, "∂y[i]/∂x[i] = (x[i] > 0)"),
    "a choice with a name": (
        with_a_name, X, "∂y[i]/∂x[i] = where(inside[i], 0.0, 1.0) + 2 * where(inside[i], 1.0, 0.0) * x[i]"
    ),
    "a choice that was changed": (
        overwritten, X, "∂y[i]/∂x[i] = where(condition[i], 0.0, 1.0) + 2 * where(condition[i], 1.0, 0.0) * x[i]"
    ),
    "signs": (
        lambda x: np.exp(-x[0] / x[1]), P,
        "∂y/∂x[i] = -δ[i,1] * y * (-x[0] / x[1]) / x[1] - δ[i,0] * y / x[1]",
    ),
    "a transposed matrix": (
        lambda X: np.sin(X.T) @ np.ones((2, 2)), np.ones((2, 3)), "∂y[i,j]/∂X[k,i] = c[k,j] * cos(X[k,i])"
    ),
    "broadcasting": (lambda x: np.exp(x[:, None] * np.ones(2)), X, "∂y[i,j]/∂x[i] = y[i,j] * c[j]"),
    "shifted": (lambda x: np.roll(x, 1), X, "∂y[i]/∂x[(i + 2) % 3] = 1"),
    "a stencil": (
        lambda x: np.roll(x, 1) - 2 * x + np.roll(x, -1), np.append(X, 5.0),
        "∂y[i]/∂x[j] = δ[j,(i + 1) % 4] + δ[j,(i + 3) % 4] - 2 * δ[j,i]",
    ),
    "a part of a shift": (
        lambda x: np.concatenate([np.roll(x, 1), np.zeros(2)]), X, "∂y[i]/∂x[t[i]] = 1"
    ),
}  # fmt: skip
UNREADABLE = {"a part of a shift"}  # `verify` knows no tables


@pytest.mark.parametrize("name", FORMULAS)
def test_what_is_short_is_written_out(name: str) -> None:
    f, x, expected = FORMULAS[name]
    J = jac.jacobian(f)(x)
    assert J.formula == expected
    if name not in UNREADABLE:
        assert jac.verify(f, x, claim=J.formula).verdict == "right"


def test_formulas_of_played_calls_are_the_same() -> None:
    for name in ("a choice", "a mask", "polar coordinates", "a choice with a name"):
        f, x, expected = FORMULAS[name]
        g = jac.jacobian(f)
        assert {g(x + k).formula for k in range(5)} == {expected}


def test_long_chains_stay_short() -> None:
    assert jac.jacobian(deep)(X).formula == "∂y[i]/∂x[i] = F1[i] * cos(sin(x[i])) * cos(x[i])"
    few = jac.jacobian(lambda x: np.sin(np.sin(np.sin(np.sin(np.sin(np.sin(x)))))))(X)
    assert few.formula.startswith("∂y[i]/∂x[i] = cos(v5[i]) * cos(v4[i]) * cos(sin(sin(sin(x[i])))) * cos(")


def test_what_stands_on_the_left_keeps_its_name() -> None:
    trace = jac.trace(lambda x: np.sin(x) ** 2, X)
    assert trace.jacobian(of="y", wrt="v1").formula == "∂y[i]/∂v1[i] = 2 * v1[i]"
    assert trace.jacobian().formula == "∂y[i]/∂x[i] = 2 * sin(x[i]) * cos(x[i])"


LEGENDS: dict[str, tuple[Callable[[Any], Any], np.ndarray, list[str]]] = {
    "a sum": (lambda x: x * np.sum(x), X, ["v1 = sum(x)"]),
    "one after another": (
        lambda x: np.exp(np.mean(x[:, None] * x, axis=0) * x[0]), X,
        ["v3 = mean(v2, axis=0)", "v2 = v1 * x", "v1 = x[:,None]"],
    ),
    "a product": (lambda x: np.tanh(np.tanh(A @ x)), P, ["v2 = tanh(v1)", "v1 = A @ x"]),
    "entries": (lambda x: x[1:] * x[:-1], X, ["v2 = x[:-1]"]),
    "entries from a list": (lambda x: x[[0, 2]] ** 2, X, ["v1 = x[[0, 2]]"]),
    "a table": (lambda x: np.concatenate([np.roll(x, 1), x]), X, ["t = [2, 0, 1]"]),
    "truths": (lambda x: np.where(~(x > 0), x, 2 * x), X, ["condition = [False, True, False]"]),
    "an array without a name": (lambda x: (2 * A) @ x, P, ["c = an array (2, 2)"]),
    "a long chain": (deep, X, ["F1 = an array (3,)"]),
    "nothing": (polar, P, []),
}  # fmt: skip
A = np.array([[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize("name", LEGENDS)
def test_what_nobody_named_is_told_below(name: str) -> None:
    f, x, expected = LEGENDS[name]
    assert jac.jacobian(f)(x).legend == expected


def test_the_legend_of_several_runs_uses_the_names_of_the_formula() -> None:
    one, other = (jac.jacobian(lambda x: x * np.sum(x))(x) for x in (P, P + 1))
    J = one + other
    assert J.formula == "∂y[i]/∂x[j] = δ[j,i] * v1 + x[i] + δ[j,i] * v1_2 + x2[i]"
    assert J.legend == ["v1 = sum(x)", "v1_2 = sum(x2)", "x2 = [3, 1.7]"]


def test_the_legend_is_shown_wherever_people_read_the_formula() -> None:
    J = jac.jacobian(lambda x: x * np.sum(x))(P)
    assert str(J).splitlines()[:2] == [
        "Jacobian (2,) × (2,) float64, dense: ∂y[i]/∂x[j] = δ[j,i] * v1 + x[i]", "  where v1 = sum(x)"
    ]  # fmt: skip
    assert J.explain().splitlines()[2] == "  where v1 = sum(x)"
    bundle = J._repr_mimebundle_()
    assert "<code>v1 = sum(x)</code>" in bundle["text/html"]
    assert r"\end{bmatrix} \quad \text{where } \mathrm{v1} = \operatorname{sum}\left(x\right)$" in bundle["text/latex"]


@pytest.mark.parametrize(
    ("f", "told"),
    [
        (lambda x: 0.1 * x, "0.1"), (lambda x: 0.4 * x, "0.4"), (lambda x: 0.25 * x, "0.25"),
        (lambda x: x * np.float64(0.15), "0.15"), (lambda x: -0.5 * x, "-0.5"),
        (lambda x: x / 3, "1/3"), (lambda x: 1 / 3 * x, "1/3"), (lambda x: 2 * x / 3, "2/3"), (lambda x: x / 4, "1/4"),
    ],
)  # fmt: skip
def test_a_decimal_stays_a_decimal_and_a_fraction_a_fraction(f: Any, told: str) -> None:
    for name in ("direct", "pickled"):
        J = jac.jacobian(f)(X)
        J = pickle.loads(pickle.dumps(J)) if name == "pickled" else J
        assert J.formula == f"∂y[i]/∂x[i] = {told}"


def test_a_mean_is_a_fraction() -> None:
    assert jac.jacobian(lambda x: np.mean(x) + 0.25 * x)(np.ones(5)).formula == "∂y[i]/∂x[j] = 0.25 * δ[j,i] + 1/5"


def test_greek_letters_in_latex() -> None:
    J = jac.jacobian(lambda λ, θ: np.sin(λ) * θ)(np.ones(2), np.ones(2))  # noqa: PLC2401
    assert J.formula == "∂y[i]/∂λ[i] = θ[i] * cos(λ[i])"
    assert J.latex == r"\frac{\partial y_{i}}{\partial \lambda_{i}} = \theta_{i}\,\cos\left(\lambda_{i}\right)"


@pytest.mark.parametrize(
    ("f", "formula"),
    [
        (lambda x: np.log(np.sum(np.exp(x))), "∂y/∂x[i] = exp(x[i]) / v2"),
        (lambda x: x / np.sum(x), "∂y[i]/∂x[j] = δ[j,i] / v1 - y[i] / v1"),
        (lambda x: np.sum(np.exp(2 * x) / (1 + np.sum(x))), "∂y/∂x[i] = 2 * exp(2 * x[i]) / v4 - Σ_j v5[j] / v4"),
        (
            lambda x: np.sin(x) / (1 + x**2),
            "∂y[i]/∂x[i] = cos(x[i]) / (1 + x[i]**2) - 2 * y[i] / (1 + x[i]**2) * x[i]",
        ),
    ],
)
def test_a_reciprocal_beside_other_factors_divides_them(f: Any, formula: str) -> None:
    assert jac.jacobian(f)(np.array([0.3, 0.7, 1.2])).formula == formula
