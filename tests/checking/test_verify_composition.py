"""Slips in the way rules are put together, on functions put together for the test: every outer one with every inner."""

from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest

import jacobian as jac
from jacobian.checking.diagnosis import Diagnosis

X = np.array([0.4, 0.75, 1.3])


class Known(NamedTuple):
    """A function with its derivative, as they stand in any table."""

    f: Callable[[Any], Any]
    d: Callable[[Any], Any]


INNER = {
    "x**2": Known(lambda x: x**2, lambda x: 2 * x),
    "sin(x)": Known(np.sin, np.cos),
    "exp(x/2)": Known(lambda x: np.exp(x / 2), lambda x: np.exp(x / 2) / 2),
    "1 + x**3": Known(lambda x: 1 + x**3, lambda x: 3 * x**2),
    "3*x + 1": Known(lambda x: 3 * x + 1, lambda x: 3 + 0 * x),
    "sqrt(x)": Known(np.sqrt, lambda x: 0.5 / np.sqrt(x)),
}
OUTER = {
    "cos": Known(np.cos, lambda u: -np.sin(u)),
    "log": Known(np.log, lambda u: 1 / u),
    "tanh": Known(np.tanh, lambda u: 1 - np.tanh(u) ** 2),
    "arctan": Known(np.arctan, lambda u: 1 / (1 + u**2)),
    "u**4": Known(lambda u: u**4, lambda u: 4 * u**3),
    "reciprocal": Known(lambda u: 1 / u, lambda u: -1 / u**2),
    "sigmoid": Known(lambda u: 1 / (1 + np.exp(-u)), lambda u: np.exp(-u) / (1 + np.exp(-u)) ** 2),
}
PAIRS = list(product(OUTER, INNER))


def diagnosed(f: Any, args: Any, claim: Any, **options: Any) -> Diagnosis:
    verdict = jac.verify(f, *args, claim=claim, **options)
    assert verdict.verdict == "wrong", verdict
    assert verdict.diagnosis is not None, verdict
    return verdict.diagnosis


def assert_single(slip: str, f: Any, args: Any, claim: Any, **options: Any) -> None:
    """The slip is found alone, be it first or among those that give the same numbers."""
    found = diagnosed(f, args, claim, **options)
    assert len(found.slips) == 1, found
    assert slip in (found.slip, *found.also), (found, found.slip, found.also)


def on_the_diagonal(derivative: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: np.diag(derivative(x))


# -- compositions -----------------------------------------------------------------------------------------------------

COMPOSED: dict[str, Callable[[Known, Known], Callable[[Any], Any]]] = {
    "inner derivative put inside": lambda f, g: lambda x: f.d(g.d(x)),
    "product or chain rule not used": lambda f, g: lambda x: f.f(g.d(x)),
    "wrong point": lambda f, g: lambda x: f.d(x) * g.d(x),
    "wrong point, the inner derivative": lambda f, g: lambda x: f.d(g.d(x)) * g.d(x),
}


@pytest.mark.parametrize("how", COMPOSED)
@pytest.mark.parametrize(("outer", "inner"), PAIRS)
def test_compositions(outer: str, inner: str, how: str) -> None:
    f, g = OUTER[outer], INNER[inner]
    assert_single(how.partition(",")[0], lambda x: f.f(g.f(x)), (X,), on_the_diagonal(COMPOSED[how](f, g)))


@pytest.mark.parametrize(("outer", "inner"), PAIRS)
def test_compositions_within_others(outer: str, inner: str) -> None:
    f, g = OUTER[outer], INNER[inner]

    def h(x: Any) -> Any:
        return np.sum(np.sin(2 * f.f(g.f(x))))

    assert_single(
        "inner derivative put inside", h, (X,), lambda x: 2 * np.cos(2 * f.f(g.f(x))) * f.d(g.d(x))
    )  # fmt: skip


# -- products and quotients -------------------------------------------------------------------------------------------

FACTORS = [(one, other) for one, other in product(INNER, INNER) if one < other]


@pytest.mark.parametrize(("one", "other"), FACTORS)
@pytest.mark.parametrize("divided", [False, True])
def test_products_of_derivatives(one: str, other: str, divided: bool) -> None:
    f, g = INNER[one], INNER[other]
    function = (lambda x: f.f(x) / g.f(x)) if divided else (lambda x: f.f(x) * g.f(x))
    claim = (lambda x: f.d(x) / g.d(x)) if divided else (lambda x: f.d(x) * g.d(x))
    assert_single("product or chain rule not used", function, (X,), on_the_diagonal(claim))
    assert_single("product or chain rule not used", lambda x: np.sum(function(x)), (X,), claim)


def test_a_product_of_matrices_that_depend_on_one_number() -> None:
    A = np.array([[1.0, 2.0], [0.5, -1.0]])
    B = np.array([[0.3, 1.0], [2.0, 0.7]])
    f = lambda t: np.sin(t * A) @ np.exp(t * B)  # noqa: E731
    assert_single("product or chain rule not used", f, (0.6,), lambda t: (A * np.cos(t * A)) @ (B * np.exp(t * B)))


def test_what_is_said_of_derivatives_that_are_multiplied() -> None:
    found = diagnosed(lambda x: x**2 * np.sin(x), (X,), lambda x: np.diag(2 * x * np.cos(x)))
    assert found.slips == ("product or chain rule not used",)
    assert str(found) == (
        "At y = multiply(v1, v2): it is applied to ∂v1/∂x and ∂v2/∂x, as if it were linear: use the product rule, with "
        "∂y[i]/∂v1[i] = v2[i], ∂y[i]/∂v2[i] = v1[i]."
    )
    found = diagnosed(lambda x: np.sin(x) / (1 + x**2), (X,), lambda x: np.diag(np.cos(x) / (2 * x)))
    assert str(found) == (
        "At y = divide(v1, v3): it is applied to ∂v1/∂x and ∂v3/∂x, as if it were linear: use the quotient rule, with "
        "∂y[i]/∂v1[i] = 1 / v3[i], ∂y[i]/∂v3[i] = -y[i] / v3[i]."
    )
    found = diagnosed(lambda x: np.sin(x**2), (X,), lambda x: np.diag(np.cos(2 * x)))
    assert str(found) == (
        "At y = sin(v1): ∂v1/∂x is put in where v1 belongs, and not multiplied by: take ∂y/∂v1 · ∂v1/∂x, "
        "∂y[i]/∂v1[i] = cos(v1[i])."
    )


def test_a_term_of_an_elementwise_product_taken_twice_is_no_symmetry() -> None:
    found = diagnosed(lambda x: x**2 * np.sin(x), (X,), lambda x: np.diag(4 * x * np.sin(x)))
    assert found.slips == ("term left out",)
    assert str(found) == (
        "At v1 = power(x, 2): the term through x is taken twice and the one through x at v2 is left out: add "
        "∂v2[i]/∂x[i] = cos(x[i]) instead."
    )


# -- functions that are written out -----------------------------------------------------------------------------------

WRITTEN_OUT = {
    "sigmoid": Known(lambda u: 1 / (1 + np.exp(-u)), lambda y: y * (1 - y)),
    "sigmoid by exp(u)": Known(lambda u: np.exp(u) / (1 + np.exp(u)), lambda y: y * (1 - y)),
    "sigmoid by tanh": Known(lambda u: 0.5 * (1 + np.tanh(u / 2)), lambda y: y * (1 - y)),
    "tanh": Known(lambda u: (np.exp(u) - np.exp(-u)) / (np.exp(u) + np.exp(-u)), lambda y: 1 - y**2),
    "tanh by exp(2u)": Known(lambda u: 1 - 2 / (np.exp(2 * u) + 1), lambda y: 1 - y**2),
}
IN_THE_OUTPUT: dict[str, list[tuple[str, Callable[[Any], Any]]]] = {
    "sigmoid": [
        ("sign", lambda y: y * (1 + y)),
        ("factor left out", lambda y: 1 - y),
        ("factor left out", lambda y: y),
        ("derivative of another function", lambda y: 1 - y**2),
    ],
    "tanh": [
        ("sign", lambda y: 1 + y**2),
        ("wrong power", lambda y: 1 - y),
        ("derivative of another function", lambda y: y * (1 - y)),
    ],
}


@pytest.mark.parametrize("name", WRITTEN_OUT)
@pytest.mark.parametrize("place", ["alone", "a layer", "summed"])
def test_rules_in_the_output(name: str, place: str) -> None:
    h = WRITTEN_OUT[name].f
    W = np.array([[0.4, -1.0, 0.3], [1.2, 0.5, -0.7]])
    for slip, d in IN_THE_OUTPUT[name.partition(" ")[0]]:
        if place == "alone":
            assert_single(slip, h, (X,), lambda x, d=d: np.diag(d(h(x))))
        elif place == "a layer":
            assert_single(slip, lambda x: h(W @ x), (X,), lambda x, d=d: d(h(W @ x))[:, None] * W)
        else:
            assert_single(slip, lambda x: np.sum(h(x) ** 2), (X,), lambda x, d=d: 2 * h(x) * d(h(x)))


def test_what_is_said_of_a_sigmoid_written_out() -> None:
    h = WRITTEN_OUT["sigmoid"].f
    found = diagnosed(h, (X,), lambda x: np.diag(h(x) * (1 + h(x))))
    assert found.slips == ("sign",)
    assert str(found) == (
        "At y = sigmoid(u): y * (1 + y) stands where the derivative belongs: put in the right one, "
        "∂y[i]/∂u[i] = y[i] * (1 - y[i])."
    )


# -- derivatives of kindred functions ---------------------------------------------------------------------------------

KINDRED = {
    "sin": {"cos": lambda x: -np.sin(x), "sinh": np.cosh, "tan": lambda x: 1 / np.cos(x) ** 2},
    "tan": {"tanh": lambda x: 1 - np.tanh(x) ** 2, "sin": np.cos},
    "cosh": {"sinh": np.cosh, "tanh": lambda x: 1 - np.tanh(x) ** 2},
    "arctan": {
        "arctanh": lambda x: 1 / (1 - x**2), "arcsin": lambda x: 1 / np.sqrt(1 - x**2),
        "arccos": lambda x: -1 / np.sqrt(1 - x**2),
    },
    "arcsin": {"arctan": lambda x: 1 / (1 + x**2), "arcsinh": lambda x: 1 / np.sqrt(1 + x**2)},
    "log1p": {"log": lambda x: 1 / x},
}  # fmt: skip


@pytest.mark.parametrize(("name", "other"), [(name, other) for name in KINDRED for other in KINDRED[name]])
def test_derivatives_of_kindred_functions(name: str, other: str) -> None:
    f, d = getattr(np, name), KINDRED[name][other]
    x = X / 2
    slip = "derivative of another function"
    assert_single(slip, f, (x,), on_the_diagonal(d))
    assert_single(slip, lambda x: np.sum(f(x) ** 2 / 3), (x,), lambda x: 2 * f(x) * d(x) / 3)


# -- powers -----------------------------------------------------------------------------------------------------------

POWERS: dict[str, tuple[str, Callable[[Any, float], Any]]] = {
    "n x^n": ("wrong power", lambda x, n: n * x**n),
    "x^(n-1)": ("constant factor", lambda x, n: x ** (n - 1)),
    "n x^(n-2)": ("wrong power", lambda x, n: n * x ** (n - 2)),
    "(n-1) x^(n-1)": ("wrong power", lambda x, n: (n - 1) * x ** (n - 1)),
    "(n+1) x^(n-1)": ("wrong power", lambda x, n: (n + 1) * x ** (n - 1)),
    "(n-1) x^(n-2)": ("wrong power", lambda x, n: (n - 1) * x ** (n - 2)),
    "n x^(n+1)": ("wrong power", lambda x, n: n * x ** (n + 1)),
    "(n+1) x^n": ("wrong power", lambda x, n: (n + 1) * x**n),
    "x^(n+1)/(n+1)": ("integrated", lambda x, n: x ** (n + 1) / (n + 1)),
}


@pytest.mark.parametrize("n", [3, 5, 7, -2, -3, 1.5, 0.5, 2.5])
@pytest.mark.parametrize("how", POWERS)
def test_the_power_rule(how: str, n: float) -> None:
    slip, d = POWERS[how]
    assert_single(slip, lambda x: x**n, (X,), lambda x: np.diag(d(x, n)))
    if how != "x^(n-1)":  # where more follows, the factor may be missing anywhere
        assert_single(
            slip, lambda x: np.cos(np.sin(x) ** n), (X,),
            lambda x: np.diag(-np.sin(np.sin(x) ** n) * d(np.sin(x), n) * np.cos(x)),
        )  # fmt: skip


def test_what_is_said_of_powers() -> None:
    found = diagnosed(lambda x: x**5, (X,), lambda x: np.diag(4 * x**4))
    assert str(found) == (
        "At y = power(x, 5): 4 is brought down in front, not the exponent 5: take that, ∂y[i]/∂x[i] = 5 * x[i]**4."
    )
    found = diagnosed(lambda x: 2**x, (X,), lambda x: np.diag(2**x))
    assert str(found) == (
        "At y = power(2, x): the factor log(2) is left out: multiply by it, ∂y[i]/∂x[i] = log(2) * y[i]."
    )


# -- exchanges --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inner", INNER)
def test_arguments_of_arctan2_exchanged(inner: str) -> None:
    g = INNER[inner]

    def f(x: Any) -> Any:
        return np.arctan2(g.f(x), 2 + x)

    def exchanged(x: Any) -> Any:
        a, b = g.f(x), 2 + x
        return np.diag((a * g.d(x) - b) / (a**2 + b**2))

    assert_single("arguments exchanged", f, (X,), exchanged)


def test_arguments_exchanged_as_they_are_told() -> None:
    def angle(v: Any) -> Any:
        return np.arctan2(v[1], v[0])

    found = diagnosed(angle, (np.array([0.4, 1.3]),), lambda v: np.array([-v[0], v[1]]) / (v @ v))
    assert found.slips == ("arguments exchanged",)
    assert str(found) == (
        "At y = arctan2(v1, v2): v1 and v2 are exchanged, each stands where the other belongs: exchange them, "
        "∂y/∂v1 = v2 / (v1**2 + v2**2), ∂y/∂v2 = -v1 / (v1**2 + v2**2)."
    )


def turned(t: Any) -> Any:
    c, s = np.cos(t), np.sin(t)
    return np.stack([np.stack([c, -s]), np.stack([s, c])])


def about_an_axis(t: Any) -> Any:
    c, s = np.cos(2 * t), np.sin(2 * t)
    return np.stack([c - 3 * s, 0.5 * t, s + 3 * c])


def sphere(p: Any) -> Any:
    return np.stack([np.sin(p[0]) * np.cos(p[1]), np.sin(p[0]) * np.sin(p[1]), np.cos(p[0])])


@pytest.mark.parametrize(
    ("f", "x", "claim"),
    [
        (turned, 0.4, lambda t: np.array([[-np.cos(t), -np.sin(t)], [np.sin(t), -np.cos(t)]])),
        (
            about_an_axis, 0.3,
            lambda t: np.array(
                [-2 * np.cos(2 * t) - 6 * np.sin(2 * t), 0.5, 2 * np.sin(2 * t) - 6 * np.cos(2 * t)]
            ),
        ),
        (
            sphere, np.array([0.5, 1.1]),
            lambda p: np.array([
                [np.sin(p[0]) * np.sin(p[1]), -np.cos(p[0]) * np.cos(p[1])],
                [np.sin(p[0]) * np.cos(p[1]), np.cos(p[0]) * np.sin(p[1])],
                [-np.cos(p[0]), 0],
            ]),
        ),
    ],
)  # fmt: skip
def test_sine_and_cosine_exchanged(f: Any, x: Any, claim: Any) -> None:
    found = diagnosed(f, (x,), claim)
    assert found.slips == ("functions exchanged",)
    assert "sin and cos are exchanged: exchange them" in str(found)


@pytest.mark.parametrize("f", [turned, about_an_axis])
def test_nothing_differentiated(f: Any) -> None:
    assert str(diagnosed(f, (0.4,), f)) == "The claim is y itself: differentiate it."


# -- what cancels is nobody's path ------------------------------------------------------------------------------------

LABELS = np.array([0, 2, 1, 1])
LOGITS = np.array([[0.2, 1.0, -0.5], [1.5, 0.1, 0.3], [-0.2, 0.4, 0.9], [0.3, 0.6, -1.1]])


def probabilities(Z: Any) -> Any:
    E = np.exp(Z)
    return E / np.sum(E, axis=1, keepdims=True)


def losses(Z: Any, shift: Callable[[Any], Any]) -> Any:
    m = Z - shift(Z)
    return np.log(np.sum(np.exp(m), axis=1)) - m[np.arange(4), LABELS]


SHIFTS: dict[str, Callable[[Any], Any]] = {
    "the largest": lambda Z: Z.max(axis=1, keepdims=True),
    "the mean": lambda Z: np.mean(Z, axis=1, keepdims=True),
    "the first": lambda Z: Z[:, :1],
    "nothing": lambda Z: 0.0,
}


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("reduced", [np.mean, np.sum])
def test_a_one_hot_is_left_out(shift: str, reduced: Any) -> None:
    scale = 1 / 4 if reduced is np.mean else 1.0
    found = diagnosed(
        lambda Z: reduced(losses(Z, SHIFTS[shift])), (LOGITS,), lambda Z: scale * probabilities(Z)
    )  # fmt: skip
    assert found.slips in (("path left out",), ("term left out",))
    assert "is left out" in str(found)


def test_a_sign_is_wrong_where_something_cancels() -> None:
    one_hot = np.eye(3)[LABELS]
    found = diagnosed(
        lambda Z: np.sum(losses(Z, SHIFTS["the largest"])), (LOGITS,), lambda Z: probabilities(Z) + one_hot
    )
    assert found.slips == ("sign",)


# -- nobody is blamed for what does not explain the claim -------------------------------------------------------------

UNRELATED: list[Callable[[Any], Any]] = [
    lambda x: np.sin(3 * x + 1) + x**2,
    lambda x: np.log(1 + x) * np.exp(-x) + 0.3,
    lambda x: 1 / (2 + np.cos(5 * x)),
    lambda x: x**3 - np.sqrt(2 + x),
]


@pytest.mark.parametrize("nth", range(len(UNRELATED)))
@pytest.mark.parametrize(("outer", "inner"), PAIRS)
def test_an_unrelated_claim_is_explained_by_nothing(outer: str, inner: str, nth: int) -> None:
    f, g = OUTER[outer], INNER[inner]
    verdict = jac.verify(lambda x: f.f(g.f(x)) * x, X, claim=on_the_diagonal(UNRELATED[nth]))
    assert verdict.verdict == "wrong"
    assert verdict.diagnosis is None, verdict
