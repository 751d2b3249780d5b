"""Bad claims and bad functions: the full text of every error."""

import time
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian import errors

A, B, X = np.ones((2, 3)), np.ones((3, 4)), np.array([1.0, 2.0, 3.0])


def product(A: Any, B: Any) -> Any:
    return A @ B


SHAPE = """\
the claim has the shape (5, 5), in which ∂y[i,j]/∂A[k,l] cannot be written
  output: y (2, 4)
  input:  A (2, 3)
  fix:    one of (2, 4, 2, 3), (2, 3, 2, 4), (8, 6), (6, 8)"""

MATMUL = (
    "the claim cannot be evaluated: matmul: Input operand 1 has a mismatch in its core dimension 0, with gufunc "
    "signature (n?,k),(k,m?)->(n?,m?) (size 3 is different from 4)\n  got:   A (2, 3), B (3, 4), G (2, 4)"
)

CASES: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    (np.zeros((5, 5)), {}, errors.ShapeError, SHAPE),
    (lambda A, B: np.zeros((5, 5)), {}, errors.ShapeError, SHAPE),
    (
        lambda A, B, G: G, {"kind": "downstream"}, errors.ShapeError,
        ("the claim hands on an array of the shape (2, 4)\n  needed: (2, 3)\n"
        "  fix:    return what has the shape of A, (2, 3)"),
    ),
    (lambda A, B, G: G @ B, {"kind": "downstream"}, errors.ArgumentError, MATMUL),
    (
        B, {"kind": "downstream"}, errors.ArgumentError,
        "a downstream claim is a function of the upstream, not an array\n  fix:   claim=lambda A, B, G: G @ B.T",
    ),
    (
        "dY[i,k]/dA[p,q] = δ[i,p] * C[q,k]", {}, errors.LabelError,
        ("C is not known\n  formula: dY[i,k]/dA[p,q] = δ[i,p] * C[q,k]\n  known:   y, A, B, Y"
        "\n  fix:     make C an argument of the function, or pass the claim as an array"),
    ),
    (
        "dY[i,k]/dA[p,q] = tahn(B[q,k])", {}, errors.LabelError,
        ("tahn is not a function a formula may use\n  formula: dY[i,k]/dA[p,q] = tahn(B[q,k])\n"
        "  fix:     did you mean tanh or tan or atan?"),
    ),
    (
        "dY[i,k]/dA[p,q] = softmax(B[q,k])", {}, errors.LabelError,
        ("softmax works on whole arrays, not on entries\n  formula: dY[i,k]/dA[p,q] = softmax(B[q,k])\n"
        "  fix:     take the entry outside: softmax(x)[i]"),
    ),
    (
        "dY[i,k]/dC[p,q] = B[q,k]", {}, errors.LabelError,
        "there is no input C\n  formula: dY[i,k]/dC[p,q] = B[q,k]\n  fix:     one of A, B",
    ),
    (
        "dY[i,k]/dA[p,q] = δ[i,p] * B[k,q]", {}, errors.ShapeError,
        ("label k is 4 in Y but 3 in B\n  formula: dY[i,k]/dA[p,q] = δ[i,p] * B[k,q]\n"
        "  bound:   i=2 (from Y), k=4 (from Y), p=2 (from A), q=3 (from A)"),
    ),
    (
        "dY[i,k]/dA[p,q] = δ[i,p] * B[q]", {}, errors.ShapeError,
        "B has 2 axes, but 1 positions are given: B[q]\n  formula: dY[i,k]/dA[p,q] = δ[i,p] * B[q]\n  shape:   (3, 4)",
    ),
    (
        "dY[i,k]/dA[p,q] = δ[i,p] * B", {}, errors.ShapeError,
        ("B has 2 axes, but no positions are given\n  formula: dY[i,k]/dA[p,q] = δ[i,p] * B\n  shape:   (3, 4)\n"
        "  fix:     B[i,j]"),
    ),
    (
        "dY[i]/dA[p,q] = B[q,i]", {}, errors.ShapeError,
        ("Y has 2 axes, but 1 positions are given\n  formula: dY[i]/dA[p,q] = B[q,i]\n  shape:   (2, 4)\n"
        "  fix:     dY[i,j]"),
    ),
    (
        "dY[i,k]/dA[p,q] = B[q + z,k] * δ[i,p]", {}, errors.LabelError,
        ("label z has no size: no axis is indexed by it alone\n  formula: dY[i,k]/dA[p,q] = B[q + z,k] * δ[i,p]\n"
        "  fix:     let it stand alone at an axis, as in A[z]"),
    ),
    (
        "dY[i,k]/dA[p,q] = δ[i] * B[q,k]", {}, errors.LabelError,
        "δ takes two positions, not 1\n  formula: dY[i,k]/dA[p,q] = δ[i] * B[q,k]",
    ),
    (
        "dY[i,k]/dA[p,q] = B[q/2,k]", {}, errors.LabelError,
        "q / 2 is not a position\n  formula: dY[i,k]/dA[p,q] = B[q/2,k]\n  fix:     labels, whole numbers, +, - and *",
    ),
    (
        "dY[i,k]/dA[p,q] = δ[i,p] *", {}, errors.ExpressionError,
        ("the formula cannot be read: invalid syntax\n  formula: dY[i,k]/dA[p,q] = δ[i,p] *\n"
        "  fix:     δ[i,j], A[i,j], *, Σ_j and functions of NumPy; every factor with its *"),
    ),
    (
        "dY[i,k]/A[p,q] = B[q,k]", {}, errors.ExpressionError,
        ("the formula cannot be read: its left side is no derivative\n  formula: dY[i,k]/A[p,q] = B[q,k]\n"
        "  fix:     begin with what it is: dY[i,k]/dA[p,q] = …"),
    ),
    (
        "dB[i,k]/dA[p,q] = δ[i,p] * B[q,k]", {}, errors.LabelError,
        ("the formula differentiates B, but what the function returns is y\n"
        "  formula: dB[i,k]/dA[p,q] = δ[i,p] * B[q,k]\n  fix:     dy in place of dB"),
    ),
    (
        "2B", {}, errors.ExpressionError,
        ("cannot be read: invalid decimal literal\n    2B\n    ^\n  fix:   write every product with its *: 2*B"),
    ),
    (
        "2*(A) B", {}, errors.ExpressionError,
        ("cannot be read: invalid syntax\n    2*(A) B\n          ^\n"
        "  fix:   write every product with its *: 2*(A)*B"),
    ),
    (
        r"\frac{1}{A}", {}, errors.ExpressionError,
        ("cannot be read: unexpected character after line continuation character\n    \\frac{1}{A}\n     ^\n"
        r"  fix:   write it as in Python, not in LaTeX: (a)/(b) for \frac{a}{b}, * for \cdot, x**2 for x^2"),
    ),
    (
        "dY[i,k]/dA[p,q] = δ[i,p] * B[q,k]", {"argnums": 1}, errors.ArgumentError,
        "the formula differentiates by A, but argnums=1 is B\n  fix:   argnums=0",
    ),
    (
        "G @ C.T", {"kind": "downstream"}, errors.LabelError,
        ("the claim uses C, which is not known\n  claim: G @ C.T\n  known: A, B, y"
        "\n  fix:   make C an argument of the function, or pass the claim as an array"),
    ),
    (
        np.full((2, 4, 2, 3), np.nan), {}, errors.NonFiniteError,
        "the claim holds 48 values that are not finite\n  first: claim[0,0,0,0] = nan",
    ),
    (
        lambda A, B: np.where(np.arange(6) == 3, np.inf, np.ones((8, 6))), {}, errors.NonFiniteError,
        "the claim holds 8 values that are not finite\n  first: claim[0,3] = inf",
    ),
    (lambda A, Z: B, {}, errors.ArgumentError, "the claim asks for Z, which there is not\n  known: A, B, y"),
    (
        lambda A, B: np.linalg.inv(A), {}, errors.ArgumentError,
        "the claim cannot be evaluated: Last 2 dimensions of the array must be square\n  got:   A (2, 3), B (3, 4)",
    ),
    (lambda A, B: None, {}, errors.DTypeError, "the claim returns None, not an array of numbers"),
    (lambda A, B: "W", {}, errors.DTypeError, "the claim returns str, not an array of numbers"),
    (
        None, {}, errors.ArgumentError,
        ("a claim is an array, a function or a text, not NoneType\n"
        '  fix:   claim=W, claim=lambda W, x: W, or claim="dy[i]/dx[j] = W[i,j]"'),
    ),
    (
        np.ones((8, 6)) * 1j, {}, errors.DTypeError,
        "the claim holds complex numbers, but ∂y[i,j]/∂A[k,l] is real\n  fix:   claim=C.real, if nothing is lost",
    ),
    (np.array([["a", "b"]]), {}, errors.DTypeError, "the claim holds text, not numbers"),
    (
        "qqqqqqq", {}, errors.LabelError,
        ("the claim uses qqqqqqq, which is not known\n  claim: qqqqqqq\n  known: A, B, y"
        "\n  fix:   make qqqqqqq an argument of the function, or pass the claim as an array"),
    ),
    ([[1, 2], [3]], {}, errors.ShapeError, "the claim is not an array: its rows differ in length"),
    (
        lambda A, B: [[1, 2], [3]], {}, errors.ShapeError,
        "the claim does not return an array: its rows differ in length",
    ),
    (
        B, {"kind": "upstream"}, errors.ArgumentError,
        "verify: kind must be one of jacobian, downstream, hessian, not 'upstream'",
    ),
    (
        B, {"layout": "F"}, errors.ArgumentError,
        "verify: layout must be 'numerator' or 'denominator', not 'F'",
    ),
    (B, {"argnums": (0, 1)}, errors.ArgumentError, "verify: argnums must be one whole number, not (0, 1)"),
    (
        B, {"argnums": 2}, errors.ArgumentError,
        "argnums=2, but the function was called with 2 positional arguments",
    ),
]  # fmt: skip


CASES += [
    (
        np.zeros((2, 4, 2, 3)), {"rtol": rtol}, errors.ArgumentError,
        f"verify: rtol must be a number that is not negative, not {shown}",
    ) for rtol, shown in (("a", "'a'"), (-1, "-1"), (np.nan, "nan"), (np.inf, "inf"), ([1], "[1]"))
]  # fmt: skip
WITHOUT_LEFT = "the claim is index notation without its left side"
CASES += [
    (
        claim, options, errors.LabelError,
        f"{WITHOUT_LEFT}\n  claim: {claim}\n  fix:   put in front what it is: {left} = …",
    ) for claim, options, left in (
        ("δ[i,p]*B[q,k]", {}, "dy[i,p]/dA[q,k]"), ("B[q,k]", {}, "dy[i,j]/dA[k,l]"),
        ("δ[i,k]*A[p,q]", {"argnums": 1}, "dy[i,k]/dB[p,q]"), ("Σ_k G[i,k]*B[q,k]", {"kind": "downstream"}, "dA[i,q]"),
    )
]  # fmt: skip


@pytest.mark.parametrize(("claim", "options", "kind", "text"), CASES, ids=[text.split("\n")[0] for *_, text in CASES])
def test_errors(claim: Any, options: dict[str, Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        jac.verify(product, A, B, claim=claim, **options)
    assert str(caught.value) == text
    assert type(caught.value) is kind


def test_a_function_that_gives_another_value_at_every_call() -> None:
    values = iter([2.0, 3.0, 4.0])
    with pytest.raises(errors.ArgumentError) as caught:
        jac.verify(lambda x: x * next(values), X, claim=np.eye(3))
    assert str(caught.value) == (
        "verify: the function gives another value at every call\n"
        "  got:   [2. 4. 6.], then [3. 6. 9.]\n"
        "  fix:   draw random numbers outside and pass them in, or seed the generator inside"
    )


@pytest.mark.parametrize("f", [lambda x: (x, x), lambda x: {"a": x}])
def test_a_function_of_several_results(f: Any) -> None:
    with pytest.raises(errors.ArgumentError) as caught:
        jac.verify(f, X, claim=np.eye(3))
    assert str(caught.value) == "the function must return one array\n  fix:   return the one that is meant"


def test_an_argument_that_is_no_array() -> None:
    with pytest.raises(errors.ArgumentError) as caught:
        jac.verify(lambda p: p["x"] * 2, {"x": X}, claim=np.eye(3))
    assert str(caught.value) == "the argument that is differentiated by must be one array\n  got:   dict"


def test_a_function_that_cannot_be_traced_says_where() -> None:
    with pytest.raises(errors.TraceError, match="float"):
        jac.verify(lambda x: float(x[0]) * x, X, claim=np.eye(3))


def test_very_many_upstreams() -> None:
    with pytest.raises(errors.ShapeError) as caught:
        jac.verify(lambda x: x * 2, np.ones((100, 100)), claim=lambda x, G: 2 * G, kind="downstream")
    assert str(caught.value) == (
        "a downstream claim is checked for every entry of the upstream, and there are 10000\n"
        "  limit: 4096\n"
        "  fix:   check it on smaller arrays: the formula is the same"
    )


def test_what_the_claim_cannot_do_next_to_the_point_is_left_out() -> None:
    def claim(x: Any) -> Any:
        if not np.array_equal(x, X):
            raise ValueError("elsewhere")
        return np.diag(np.cos(x))

    verdict = jac.verify(np.sin, X, claim=claim)
    assert str(verdict) == "right: ∂y[i]/∂x[j], all 9 entries at the given point"


def test_many_paths_are_told_by_their_last_steps() -> None:
    def f(x: Any) -> Any:
        for _ in range(9):
            x = np.sin(x) + x
        return x

    verdict = jac.verify(f, X[:2], claim=np.array([[1.0, 2.0], [3.0, 4.0]]))
    head, *lines, total = verdict.unexplained.splitlines()
    assert head == (
        "No single slip and no pair of slips explains the claim. The first wrong entry ∂y[0]/∂x[0] comes from:"
    )
    assert len(lines) == 8
    assert all(line.endswith(" ← … ← x") for line in lines)
    assert np.isclose(sum(float(line.split()[0]) for line in lines), float(total.split()[0]), rtol=1e-4)
    assert total.endswith("  in all")


def test_a_verdict_on_fifty_nodes_takes_less_than_two_seconds() -> None:
    def f(x: Any) -> Any:
        for _ in range(17):
            x = np.tanh(x) + np.sin(x)
        return x

    x = np.linspace(-1, 1, 8)
    assert len(jac.trace(f, x).nodes) > 50
    true = np.asarray(jac.jacobian(f)(x))
    for claim, right in ((true, True), (-true, False), (np.outer(x, x), False), (lambda x: np.outer(x, x), False)):
        start = time.perf_counter()
        assert bool(jac.verify(f, x, claim=claim)) is right
        assert time.perf_counter() - start < 2


def test_index_notation_without_its_left_side_in_an_exercise_and_of_a_hessian() -> None:
    task = jac.exercise(lambda x: np.exp(np.tanh(x)), X, blank="v1")
    fix = "put in front what it is"
    text = f"the claim is index notation without its left side\n  claim: δ[i,j]*x[i]\n  fix:   {fix}: dv1[i]/dx[j] = …"
    with pytest.raises(errors.LabelError) as caught:
        task.answer("δ[i,j]*x[i]")
    assert str(caught.value) == text
    with pytest.raises(errors.LabelError) as caught:
        jac.verify(lambda x: np.sum(x**3), X, claim="6*x[i]*δ[i,j]", kind="hessian")
    assert str(caught.value).splitlines()[2] == f"  fix:   {fix}: d2y/dx[i]dx[j] = …"


def test_positions_that_are_numbers_or_arrays_make_no_index_notation() -> None:
    i = np.array([2, 0])
    assert jac.verify(lambda x, i: x[i], X, i, claim="eye(3)[i]")
    assert jac.verify(lambda x: x[0] * x[1], X, claim="x[1] * array([1, 0, 0]) + x[0] * array([0, 1, 0])")


def named(x: Any) -> Any:
    v = 2 * x
    out = np.sin(v)
    return out  # noqa: RET504 - the claim calls it so


@pytest.mark.parametrize("left", ["out[i]", "y[i]", "z[i]", "f[i]"])
def test_what_is_differentiated_may_have_any_name_that_is_nothing_else(left: str) -> None:
    assert jac.verify(named, np.array([0.3, 0.4]), claim=f"d{left}/dx[j] = δ[i,j] * 2 * cos(2 * x[i])")


@pytest.mark.parametrize("left", ["v[i]", "x[i]"])
def test_what_is_differentiated_is_what_the_function_returns(left: str) -> None:
    with pytest.raises(errors.LabelError) as caught:
        jac.verify(named, np.array([0.3, 0.4]), claim=f"d{left}/dx[j] = δ[i,j] * 2 * cos(2 * x[i])")
    assert str(caught.value) == (
        f"the formula differentiates {left[0]}, but what the function returns is y\n"
        f"  formula: d{left}/dx[j] = δ[i,j] * 2 * cos(2 * x[i])\n  fix:     dy in place of d{left[0]}"
    )
