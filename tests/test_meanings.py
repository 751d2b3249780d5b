"""One formula from several runs: no name in it stands for two arrays, and equal arrays share one."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.tracing import scope

X = np.array([0.3, 0.5])
A = np.array([[1.0, 2.0], [3.0, 4.0]])


def times(W: np.ndarray) -> Callable[[Any], Any]:
    return lambda x: W @ x


def by(f: Callable[[Any], Any], x: np.ndarray = X) -> Any:
    return jac.jacobian(f)(x)


def twice(x: Any) -> Any:
    cube = jac.primitive(lambda x: x**3, lambda y, x: np.diag(3 * x**2), name="cubed")
    return cube(cube(x))


def squares(x: np.ndarray) -> Any:
    return by(lambda x: x**2, x)


FORMULAS: dict[str, tuple[Callable[[], Any], str]] = {
    "a difference": (lambda: squares(X) - squares(X + 1), "∂y[i]/∂x[i] = 2 * x[i] - 2 * x2[i]"),
    "a product": (lambda: squares(X) @ squares(X + 1), "∂y[i]/∂x[i] = 4 * x2[i] * x[i]"),
    "the same point": (lambda: squares(X) + by(np.sin), "∂y[i]/∂x[i] = 2 * x[i] + cos(x[i])"),
    "compose": (lambda: jac.compose(by(np.sin, X + 1), by(np.cos)), "∂y[i]/∂x[i] = -cos(x2[i]) * sin(x[i])"),
    "captured arrays": (
        lambda: jac.Chain(times(A), times(A + 1)).jacobian(X), "∂z[i]/∂x[j] = Σ_k W2[i,k] * W[k,j]"
    ),
    "one captured array": (lambda: jac.Chain(times(A), times(A)).jacobian(X), "∂z[i]/∂x[j] = Σ_k W[i,k] * W[k,j]"),
    "values between": (lambda: by(np.exp, np.exp(X)) @ by(np.exp), "∂y[i]/∂x[i] = y[i] * y2[i]"),
    "links of a chain": (lambda: jac.Chain(np.sin, np.exp).jacobian(X), "∂z[i]/∂x[i] = cos(y1[i]) * y1[i]"),
    "operands of an einsum": (
        lambda: jac.Jacobian.einsum("ij->i|j", A) @ jac.Jacobian.einsum("ij->i|j", A + 1),
        "∂y[i]/∂x[j] = Σ_k A2[i,k] * A[k,j]",
    ),
    "by hand and of a function": (
        lambda: jac.Jacobian.einsum("ij->i|j", A) @ by(np.exp), "∂y[i]/∂x[j] = A[i,j] * y2[j]"
    ),
    "of ops": (
        lambda: jac.ops.sin.jacobian(X) + jac.ops.sin.jacobian(X + 1), "∂y[i]/∂x[i] = cos(x[i]) + cos(x2[i])"
    ),
    "a linear function first": (
        lambda: by(np.sin, X[::-1]) @ by(lambda x: x[::-1]), "∂y[i]/∂x[-i + 1] = cos(x2[i])"
    ),
    "arrays in an argument": (
        lambda: by(lambda p: np.sin(p["b"]), {"b": X})["b"] @ by(lambda p: np.cos(p["b"]), {"b": X + 1})["b"],
        "∂y[i]/∂p['b'][i] = -cos(p2['b'][i]) * sin(p['b'][i])",
    ),
    "a primitive called twice": (
        lambda: by(twice), "∂y[i]/∂x[j] = Σ_k ∂cubed2[i,k] * ∂cubed[k,j]"
    ),
    "nodes of one trace": (
        lambda: of_one_trace("v2", "v1") @ of_one_trace("v1", "x"), "∂v2[i]/∂x[i] = 2 * sin(x[i]) * cos(x[i])"
    ),
}  # fmt: skip

TRACE = jac.trace(lambda x: 2 * np.sin(x) ** 2, X)


def of_one_trace(of: str, wrt: str) -> Any:
    return TRACE.jacobian(of=of, wrt=wrt)


@pytest.mark.parametrize("name", FORMULAS)
def test_no_name_stands_for_two_arrays(name: str) -> None:
    make, expected = FORMULAS[name]
    assert make().formula == expected


def test_explain_uses_the_names_of_the_whole_formula() -> None:
    text = (by(np.exp, X + 1) + by(lambda x: x * np.exp(x), X)).explain()
    terms = [line for line in text.splitlines() if line.startswith("term ")]
    assert terms == [
        "term 1: ∂y[i]/∂x[i] = y[i]",
        "term 2: ∂y[i]/∂x[i] = exp(x2[i])",
        "term 3: ∂y[i]/∂x[i] = x2[i] * exp(x2[i])",
    ]


def test_pickled_jacobians_know_what_their_names_stand_for() -> None:
    one, other = (pickle.loads(pickle.dumps(squares(x))) for x in (X, X + 1))
    assert (one - other).formula == "∂y[i]/∂x[i] = 2 * x[i] - 2 * x2[i]"
    assert (one - squares(X + 1)).formula == (one - other).formula
    assert (one + by(np.sin)).formula == "∂y[i]/∂x[i] = 2 * x[i] + cos(x[i])"


def test_played_jacobians_too() -> None:
    g = jac.jacobian(lambda x: x**2)
    first, *_, last = [g(X + k) for k in range(4)]
    assert (first - last).formula == "∂y[i]/∂x[i] = 2 * x[i] - 2 * x2[i]"


def test_no_large_run_is_kept_for_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scope, "SMALL", 0)
    x = np.array(X)
    x.setflags(write=False)
    seen = by(np.sin, x) + by(lambda x: x * np.sin(x), x + 1) + by(lambda x: x * np.cos(x), x)
    gc.collect()
    assert seen.formula == ("∂y[i]/∂x[i] = cos(x[i]) + v1[i] + x2[i] * cos(x2[i]) + v1_2[i] - x[i] * sin(x[i])")
    assert all(factor.scope.holds("np") is None for term in seen.terms for factor in term.factors)


def test_renamed_ends_are_called_as_they_are_told() -> None:
    assert by(np.sin).named("L", "x").formula == "∂L[i]/∂x[i] = cos(x[i])"
