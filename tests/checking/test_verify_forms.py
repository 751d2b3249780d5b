"""Every form and layout of a claim, and what the verdict says."""

import cProfile
import pstats
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.checking import diagnosis
from jacobian.checking.layouts import downstream_layouts, layouts
from jacobian.checking.points import near
from jacobian.checking.tolerance import Tolerance
from jacobian.errors import ShapeError

RNG = np.random.default_rng(2026)


def draw(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


# -- layouts ----------------------------------------------------------------------------------------------------------

A_B = (lambda A, B: A @ B, (2, 3), (3, 4))

LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "numerator layout": lambda J: J.tensor(),
    "denominator layout": lambda J: J.T.tensor(),
    "matrix, row-major": lambda J: J.matrix(),
    "transposed matrix, row-major": lambda J: J.matrix().T,
    "matrix, column-major vec": lambda J: J.matrix(order="F"),
    "transposed matrix, column-major vec": lambda J: J.matrix(order="F").T,
    "flattened input, row-major": lambda J: J.tensor().reshape(2, 4, 6),
    "flattened input, column-major vec": lambda J: J.tensor().transpose(0, 1, 3, 2).reshape(2, 4, 6),
    "flattened output, row-major": lambda J: J.tensor().reshape(8, 2, 3),
    "flattened output, column-major vec": lambda J: J.tensor().transpose(1, 0, 2, 3).reshape(8, 2, 3),
    "blocks, as J.blocks()": lambda J: np.array([list(row) for row in J.blocks()]),
    "a block ∂y[i,j]/∂X for every i, j": lambda J: J.tensor().transpose(0, 2, 1, 3).reshape(4, 12),
    "a block ∂Y/∂x[i,j] for every i, j": lambda J: J.tensor().transpose(2, 0, 3, 1).reshape(4, 12),
    "one block for each index of the shared axes": lambda J: np.einsum("ijik->ijk", J.tensor()),
    "axes of length 1 more or less": lambda J: J.tensor()[None, ..., None],
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_recognised_and_the_conversion_is_true(name: str) -> None:
    f, *shapes = A_B
    args = [draw(*shape) for shape in shapes]
    J = jac.jacobian(f)(*args)
    C = LAYOUTS[name](J)
    verdict = jac.verify(f, *args, claim=C)
    assert verdict.layout == name
    assert verdict.verdict == ("right" if name == "numerator layout" else "right, in another layout")
    if verdict.conversion.startswith("C"):
        np.testing.assert_array_equal(eval(verdict.conversion, {"C": C}), J)
    as_function = jac.verify(f, *args, claim=lambda A, B: LAYOUTS[name](jac.jacobian(f)(A, B)))
    assert as_function.layout == name


def test_the_diagonal_alone_is_a_layout_of_elementwise_functions_only() -> None:
    x = draw(4)
    assert jac.verify(np.tanh, x, claim=lambda x: 1 - np.tanh(x) ** 2).layout == "the diagonal alone"
    verdict = jac.verify(jac.ops.softmax, x, claim=lambda x: jac.ops.softmax(x) * (1 - jac.ops.softmax(x)))
    assert not verdict
    assert verdict.slip == "term left out"


@pytest.mark.parametrize(
    ("shape", "name"),
    [((1, 12), "matrix, row-major"), ((12,), "flattened input, row-major"), ((12, 1), "transposed matrix, row-major")],
)
def test_a_scalar_by_a_matrix(shape: tuple[int, ...], name: str) -> None:
    X, A = draw(3, 4), draw(4, 3)
    verdict = jac.verify(lambda X, A: np.trace(X @ A), X, A, claim=lambda X, A: A.T.reshape(shape))
    assert verdict.layout == name


def test_a_scalar_by_a_matrix_in_the_textbooks_numerator_layout() -> None:
    X, A = draw(3, 4), draw(4, 3)
    verdict = jac.verify(lambda X, A: np.trace(X @ A), X, A, claim=lambda X, A: A)
    assert str(verdict) == (
        "right, in another layout: ∂y/∂X[i,j], all 12 entries at 3 points\n"
        "  layout   numerator layout of a scalar by a matrix (n×m for m×n)\n"
        "  convert  J = C.T"
    )
    assert jac.verify(lambda X, A: np.trace(X @ A), X, A, claim=lambda X, A: 2 * A).slip == "constant factor"


@pytest.mark.parametrize("layout", [None, "numerator", "denominator"])
def test_a_square_gradient_that_is_transposed_is_right_only_where_the_layout_is_named(layout: str | None) -> None:
    X, A = draw(3, 3), draw(3, 3)
    transposed = jac.verify(lambda X, A: np.trace(X @ A), X, A, claim=lambda X, A: A, layout=layout)
    assert bool(transposed) == (layout == "numerator")
    assert transposed.verdict == ("right, in another layout" if layout == "numerator" else "wrong")
    assert jac.verify(lambda X, A: np.trace(X @ A), X, A, claim=lambda X, A: A.T, layout=layout).verdict == "right"


def test_what_a_node_hands_on_has_the_shape_of_its_input() -> None:
    X, W = draw(2, 4), draw(3, 4)
    verdict = jac.verify(lambda X, W: X @ W.T, X, W, claim=lambda X, W, G: X.T @ G, argnums=1, kind="downstream")
    assert verdict.slip == "axes permuted"


def test_the_report_of_another_layout() -> None:
    W, x = draw(3, 4), draw(4)
    assert str(jac.verify(lambda W, x: W @ x, W, x, claim=lambda W, x: W.T, argnums=1)) == (
        "right, in another layout: ∂y[i]/∂x[j], all 12 entries at 3 points\n"
        "  layout   denominator layout\n"
        "  convert  J = C.transpose(1, 0)"
    )


def test_a_layout_can_be_insisted_on() -> None:
    W, x = draw(3, 3), draw(3)
    options: dict[str, Any] = {"argnums": 1, "claim": lambda W, x: W.T}
    assert jac.verify(lambda W, x: W @ x, W, x, **options)
    assert jac.verify(lambda W, x: W @ x, W, x, layout="denominator", **options)
    verdict = jac.verify(lambda W, x: W @ x, W, x, layout="numerator", **options)
    assert verdict.slip == "W instead of Wᵀ"


def test_downstream_layouts() -> None:
    A, B = draw(2, 3), draw(3, 4)
    f = A_B[0]
    flat = jac.verify(f, A, B, claim=lambda A, B, G: (G @ B.T).ravel(), kind="downstream")
    assert flat.layout == "flattened, row-major"
    by_columns = jac.verify(f, A, B, claim=lambda A, B, G: (G @ B.T).ravel(order="F"), kind="downstream")
    assert by_columns.layout == "flattened, column-major vec"
    assert [layout.name for layout in downstream_layouts((3, 1), (), (3,))] == ["axes of length 1 more or less"]


def test_no_layout_fits_a_shape_of_another_size() -> None:
    assert layouts((5,), (2,), (3,)) == []


# -- index notation ---------------------------------------------------------------------------------------------------

x, W, A, B = np.array([0.3, -0.5, 0.8]), draw(3, 3), draw(2, 3), draw(3, 4)

FORMULAS: list[tuple[Callable[..., Any], tuple[Any, ...], str]] = [
    (A_B[0], (A, B), "dY[i,k]/dA[p,q] = δ[i,p] * B[q,k]"),
    (A_B[0], (A, B), "∂Y[i,k]/∂A[p,q] = delta(i,p) * B[q,k]"),
    (A_B[0], (A, B), "dY[i,k]/dA[p,q] = B[q,k] * δ_{ip}"),
    (A_B[0], (A, B), "dY[i,k]/dA[p,q] = [i == p] * B[q,k]"),
    (A_B[0], (A, B), "dY[i,k]/dA[p,q] = [i = p] * B.T[k,q]"),
    (A_B[0], (A, B), "dY[i,k]/dA[i,q] = B[q,k]"),
    (A_B[0], (A, B), "dY[i,k]/dB[p,q] = A[i,p] * δ[k,q]"),
    (np.tanh, (x,), "dy[i]/dx[j] = δ[i,j] * (1 - y[i]**2)"),
    (np.tanh, (x,), "dy[i]/dx[j] = δ[i,j] - tanh(x[i])^2 * δ[i,j]"),
    (np.tanh, (x,), "dy[i]/dx[j] = δ[i,j] * (1 - y[i]²)"),
    (lambda x: np.sum(x**2), (x,), "dy/dx[i] = 2 * x[i]"),
    (lambda x: np.sqrt(np.sum(x**2)), (x,), "dy/dx[i] = x[i] / sqrt(x[k] * x[k])"),
    (lambda x: np.sqrt(np.sum(x**2)), (x,), "dy/dx[i] = x[i] / sqrt(Σ_k x[k]**2)"),
    (lambda x: np.sqrt(np.sum(x**2)), (x,), "dy/dx[i] = x[i] / norm(x)"),
    (jac.ops.softmax, (x,), "dy[i]/dx[j] = δ[i,j] * exp(x[i]) / Σ_k exp(x[k]) - y[i] * y[j]"),
    (jac.ops.softmax, (x,), "dy[i]/dx[j] = softmax(x)[i] * (δ[i,j] - softmax(x)[j])"),
    (jac.ops.softmax, (x,), "dy[i]/dx[j] = y[i] * δ[i,j] - sum(k, y[i] * y[k] * δ[k,j])"),
    (lambda x, W: np.tanh(W @ x), (x, W), "dy[i]/dx[j] = (1 - tanh(W[i,k] * x[k])**2) * W[i,j]"),
    (lambda x, W: x @ W @ x, (x, W), "dy/dx[i] = (W[i,j] + W[j,i]) * x[j]"),
    (lambda x, W: x @ W @ x, (x, W), "dy/dx[i] = W[i,j] * x[j] + W[j,i] * x[j]"),
    (lambda x, W: x @ W @ x, (x, W), "d2y/dx[i]dx[j] = W[i,j] + W[j,i]"),
    (lambda x, W: x @ W @ x, (x, W), "dy/dW[i,j] = x[i] * x[j]"),
    (np.linalg.inv, (W + 4 * np.eye(3),), "dy[k,l]/da[i,j] = -inv(a)[k,i] * inv(a)[j,l]"),
    (np.linalg.det, (W + 4 * np.eye(3),), "dy/da[i,j] = det(a) * inv(a).T[i,j]"),
    (np.mean, (x,), "dy/da[i] = 1/3"),
    (np.cumsum, (x,), "dy[i]/da[j] = [j <= i]"),
    (lambda x: x[1:] - x[:-1], (x,), "dy[i]/dx[j] = δ[j,i+1] - δ[j,i]"),
    (lambda x: x[1:] * 2, (x,), "dy[i]/dx[i+1] = 2"),
    (lambda w, x: w[0] * x[:-1] + w[1] * x[1:], (x[:2], x), "dy[i]/dx[j] = w[j-i]"),
    (lambda w, x: w[0] * x[:-1] + w[1] * x[1:], (x[:2], x), "dy[i]/dw[k] = x[i + k]"),
    (lambda k, i: k * i, (x, x[::-1].copy()), "dy[i]/dk[j] = δ[i,j] * i[j]"),
    (lambda s: s**3, (2.0,), "dy/ds = 3 * s**2"),
    (lambda x: x**1.5 * np.pi, (np.abs(x),), "dy[i]/dx[j] = 1.5e0 * pi * x[i]**0.5 * δ[i,j]"),
]


@pytest.mark.parametrize(("f", "args", "claim"), FORMULAS, ids=[claim for _, _, claim in FORMULAS])
def test_formulas(f: Callable[..., Any], args: tuple[Any, ...], claim: str) -> None:
    verdict = jac.verify(f, *args, claim=claim)
    assert verdict.verdict == "right", verdict


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (lambda W, x: np.tanh(W @ x), (W, x)), (lambda x: x @ x, (x,)), (lambda A, B: A @ B, (A, B)),
        (lambda x: np.cumsum(np.exp(x)), (x,)), (lambda x: x / np.sum(x), (np.abs(x),)), (lambda X: X.T @ X, (A,)),
        (jac.ops.softmax, (x,)), (lambda x: np.outer(x, x), (x,)),
    ],
)  # fmt: skip
def test_what_the_package_prints_is_right(f: Callable[..., Any], args: tuple[Any, ...]) -> None:
    for argnum in range(len(args)):
        formula = jac.jacobian(f, argnums=argnum)(*args).formula
        if "v" in formula.partition("=")[2]:
            continue  # nodes that have no name in a lambda
        assert jac.verify(f, *args, claim=formula).verdict == "right", formula


def test_a_label_that_is_not_summed_is_a_slip() -> None:
    X, b = draw(4, 3), draw(3)
    verdict = jac.verify(lambda X, b: X + b, X, b, claim="dL/db[j] = G[n,j]", kind="downstream")
    assert verdict.slip == "broadcast axis not summed"
    assert str(verdict.diagnosis) == ("The label n stands on the right alone and is not summed: write Σ_n in front.")
    assert jac.verify(lambda X, b: X + b, X, b, claim="dL/db[j] = Σ_n G[n,j]", kind="downstream")


# -- functions --------------------------------------------------------------------------------------------------------


def network(W1: Any, W2: Any, x: Any) -> Any:
    z = W1 @ x
    h = np.tanh(z)
    return W2 @ h


NETWORK = (draw(4, 3), draw(2, 4), draw(3))


def test_a_function_may_ask_for_what_the_function_calls_its_intermediates() -> None:
    claim = lambda W2, h, W1: W2 @ np.diag(1 - h**2) @ W1  # noqa: E731
    assert jac.verify(network, *NETWORK, claim=claim, argnums=2).verdict == "right"
    assert jac.verify(network, *NETWORK, claim="W2 @ diag(1 - h**2) @ W1", argnums=2).verdict == "right"
    assert jac.verify(network, *NETWORK, claim="dy[i]/dx[j] = W2[i,k]*(1 - h[k]**2)*W1[k,j]").verdict == "right"


def test_a_function_with_names_of_its_own_gets_the_inputs_by_position() -> None:
    assert jac.verify(lambda A, B: A @ B, A, B, claim=lambda P, Q, up: up @ Q.T, kind="downstream")
    assert jac.verify(lambda A, B: A @ B, A, B, claim=lambda *args: np.kron(np.eye(2), args[1].T))


def test_the_upstream_may_have_any_name() -> None:
    assert jac.verify(lambda A, B: A @ B, A, B, claim=lambda B, dY: dY @ B.T, kind="downstream")


def test_a_jacobian_is_a_claim() -> None:
    J = jac.Jacobian.einsum("jk->ik|ij", B, i=2)
    assert jac.verify(lambda A, B: A @ B, A, B, claim=J)
    assert jac.verify(lambda A, B: A @ B, A, B, claim=lambda A, B: jac.Jacobian.einsum("jk->ik|ij", B, i=2))


def test_a_claim_that_is_not_linear_in_the_upstream_is_wrong() -> None:
    verdict = jac.verify(np.exp, x, claim=lambda x, y, G: G**3 * y, kind="downstream")  # right for 0 and 1
    assert not verdict
    assert str(verdict.diagnosis) == (
        "The claim is not linear in the upstream G: what a node hands on is upstream · local, so G stands in every "
        "term exactly once."
    )


def test_a_claim_that_is_right_at_the_given_point_only() -> None:
    J = np.diag(np.cos(x))
    verdict = jac.verify(np.sin, x, claim=lambda x: J)
    assert verdict.slip == "right at the given point only"
    assert jac.verify(np.sin, x, claim=J)


def test_the_point_where_a_claim_right_at_the_given_one_is_wrong_is_named() -> None:
    verdict = jac.verify(lambda x: x**2, 2.0, claim="dy/dx = 4")
    assert verdict.slip == "right at the given point only"
    assert verdict.note == "the claim is right at the given point; the numbers shown are those of another, x = 2.05093"
    assert verdict.worst[0].true == pytest.approx(2 * 2.05093, rel=1e-5)
    verdict = jac.verify(lambda x: x**2, np.ones(3), claim="dy[i]/dx[j] = 2 * δ[i,j]")
    assert not verdict
    assert verdict.note.startswith(
        "the claim is right at the given point; the numbers shown are those of another, x = ["
    )


def test_accidents_of_the_given_point_are_excluded() -> None:
    verdict = jac.verify(
        lambda W, x: W @ x, np.eye(3), np.ones(3), claim=lambda W, x, G: W @ G, argnums=1, kind="downstream"
    )
    assert verdict.slip == "W instead of Wᵀ"
    assert not jac.verify(lambda x: x**2, np.ones(3), claim=lambda x: np.diag(2 * x**2))


def test_a_relu_that_is_open_everywhere_does_not_hide_what_is_forgotten() -> None:
    W, x = np.array([[1.0, -1.0], [2.0, 1.0]]), np.array([3.0, 1.0])
    verdict = jac.verify(lambda W, x: jac.ops.relu(W @ x), W, x, claim="dy[i]/dx[j] = W[i,j]")
    assert verdict.verdict == "wrong"


def test_whole_numbers_are_labels() -> None:
    logits, labels = draw(4, 3), np.array([0, 2, 1, 1])
    claim = lambda z, t: (jac.ops.softmax(z) - np.eye(3)[t]) / 4  # noqa: E731
    assert jac.verify(lambda z, t: jac.ops.cross_entropy(z, t), logits, labels, claim=claim).verdict == "right"


def test_keyword_arguments_go_to_the_function() -> None:
    f = lambda x, axis: np.sum(x**2, axis=axis)  # noqa: E731
    assert jac.verify(f, A, claim=lambda x: np.einsum("ij,jk->jik", 2 * x, np.eye(3)), axis=0)


def test_a_gradient_function_is_of_second_order() -> None:
    verdict = jac.verify(jac.jacobian(lambda x: x @ x), x, claim=lambda x: np.eye(3))
    assert verdict.slip == "second-order factor 2"
    assert jac.verify(lambda x: np.sum(np.exp(x)), x, claim=lambda x: np.diag(np.exp(x)), kind="hessian")


# -- what is said -----------------------------------------------------------------------------------------------------


def test_the_report_of_a_wrong_claim() -> None:
    W, x = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.1, 0.2])
    verdict = jac.verify(lambda W, x: np.tanh(W @ x), W, x, claim=np.array([[1.0, 2.0], [3.0, 4.0]]), argnums=1)
    assert str(verdict) == (
        "wrong: ∂y[i]/∂x[j], 0 of 4 entries are right (0 %)\n"
        "  worst    ∂y[1]/∂x[1] = 4 is claimed, but it is 1.43681\n"
        "           ∂y[1]/∂x[0] = 3 is claimed, but it is 1.0776\n"
        "           ∂y[0]/∂x[1] = 2 is claimed, but it is 1.5729\n"
        "  slip     factor left out\n"
        "  why      At y = tanh(v1): its derivative is left out: multiply by ∂y[i]/∂v1[i] = 1 - y[i]**2.\n"
        "  correct  ∂y[i]/∂x[j] = (1 - y[i]**2) * W[i,j]\n"
        "  where    v1 = W @ x"
    )
    assert verdict.share == 0
    assert verdict.worst[0].out == (1,) and verdict.worst[0].into == (1,)


def test_the_share_of_right_entries() -> None:
    J = np.diag(np.cos(x))
    J[1, 1] += 0.5
    verdict = jac.verify(np.sin, x, claim=J)
    assert verdict.right_entries == 8 and verdict.entries == 9
    assert [(entry.out, entry.into) for entry in verdict.worst] == [((1,), (1,))]


def test_entries_that_are_zero_by_structure_are_counted_apart() -> None:
    many = np.linspace(0.1, 1, 300)
    verdict = jac.verify(np.sin, many, claim=np.zeros((300, 300)))
    first = "wrong: ∂y[i]/∂x[j], 0 of 300 entries that are not zero by structure are right (0 %)"
    assert str(verdict).splitlines()[0] == first
    assert (verdict.right_entries, verdict.entries, verdict.zeros) == (89700, 90000, (89700, 89700))
    dense = jac.verify(np.sin, many, claim=np.ones((300, 300)))
    first = (
        "wrong: ∂y[i]/∂x[j], 0 of 300 entries that are not zero by structure are right (0 %), and 0 of 89700 that are"
    )
    assert str(dense).splitlines()[0] == first


@pytest.mark.parametrize(
    ("wrong", "told"), [(1, "399 of 400 entries are right (99 %)"), (399, "1 of 400 entries are right (1 %)")]
)
def test_a_share_is_never_rounded_to_all_or_nothing(wrong: int, told: str) -> None:
    W = np.arange(400.0).reshape(20, 20)
    claim = W.copy()
    claim.flat[:wrong] += 1
    assert told in str(jac.verify(lambda z: W @ z, np.ones(20), claim=claim)).splitlines()[0]


def test_pieces_of_large_arrays_are_all_compared() -> None:
    true = np.ones((300, 400))
    claimed = true.copy()
    claimed[299, 399] = 2
    assert np.argwhere(Tolerance().wrong(claimed, true)).tolist() == [[299, 399]]


def test_what_nothing_explains_is_shown_path_by_path() -> None:
    J = np.diag(np.cos(x) * x + np.sin(x))
    J[1, 1] = 0.7
    verdict = jac.verify(lambda x: x * np.sin(x), x, claim=J)
    assert verdict.diagnosis is None
    assert verdict.unexplained == (
        "No single slip and no pair of slips explains the claim. The first wrong entry ∂y[1]/∂x[1] comes from:\n"
        "   -0.479426  y ← x\n"
        "   -0.438791  y ← v1 ← x\n"
        "   -0.918217  in all"
    )


def test_rounded_numbers_are_told_from_wrong_ones() -> None:
    claim = np.diag(np.cos(x)).round(4)
    verdict = jac.verify(np.sin, x, claim=claim)
    assert verdict.note == "it is the truth rounded to 4 decimals: give rtol=1e-4"
    assert jac.verify(np.sin, x, claim=claim, rtol=1e-4)


@pytest.mark.parametrize(
    ("f", "x", "claim", "note"),
    [
        (lambda x: np.sin(x) ** 2, 1.0, 0.909, "it is the truth rounded to 3 decimals: give rtol=1e-3"),
        (np.sin, x, np.diag(np.cos(x)).round(2), "it is the truth rounded to 2 decimals: give rtol=1e-2"),
        (lambda x: 12345.678 * x, 1.0, 12346, "it is the truth rounded to whole numbers: give rtol=1e-4"),
        (
            np.sin, np.array([0.3, 1.57]), np.diag([0.96, 0.0]),
            "it is the truth rounded to 2 decimals, and some entries become 0: give more digits",
        ),
    ],
)  # fmt: skip
def test_a_rounded_claim_has_no_slip_and_is_right_within_the_tolerance_named(
    f: Any, x: Any, claim: Any, note: str
) -> None:
    verdict = jac.verify(f, x, claim=claim)
    assert (verdict.slip, verdict.unexplained, verdict.note) == (None, "", note)
    if "rtol=" in note:
        assert jac.verify(f, x, claim=claim, rtol=float(note.partition("rtol=")[2]))


def test_a_number_of_one_digit_was_not_rounded() -> None:
    assert jac.verify(np.sin, np.array([0.2, 0.1]), claim=np.eye(2)).slip == "factor left out"


def test_all_digits_are_no_rounding() -> None:
    claim = np.diag(np.cos(x))
    claim[0, 0] *= 1 + 1e-5
    assert "rounded to" not in jac.verify(np.sin, x, claim=claim).note


def test_constants_that_were_rounded_are_told() -> None:
    verdict = jac.verify(lambda x: x**2 / 3, x, claim=lambda x: np.diag(x) * 0.6667)
    note = "it agrees to 4 digits in every entry; if numbers in it were rounded, give rtol=1e-4"
    assert verdict.note == note
    assert jac.verify(lambda x: x**2 / 3, x, claim=lambda x: np.diag(x) * 0.6667, rtol=1e-4)


@pytest.mark.parametrize("claim", [-np.diag(np.cos(x)).round(3), np.diag(np.cos(x)).round(3)[::-1], np.eye(3)])
def test_what_is_wrong_outright_was_not_rounded(claim: Any) -> None:
    assert jac.verify(np.sin, x, claim=claim).note == ""


def test_two_slips() -> None:
    W1, W2, x = draw(3, 3), draw(3, 3), draw(3)
    f = lambda W1, W2, x: W2 @ np.tanh(W1 @ x)  # noqa: E731
    verdict = jac.verify(f, W1, W2, x, claim=lambda W1, W2, x: -W2 @ W1, argnums=2)
    assert verdict.diagnosis is not None
    assert verdict.diagnosis.slips == ("factor left out", "sign")
    other = jac.verify(f, W1, W2, x, claim=lambda W1, W2, x: W2.T @ W1, argnums=2, layout="numerator")
    assert other.diagnosis is not None
    assert set(other.diagnosis.slips) == {"factor left out", "W instead of Wᵀ"}
    everywhere = jac.verify(
        f,
        W1,
        W2,
        x,
        argnums=2,
        kind="downstream",
        claim=lambda W1, W2, x, G: W1 @ ((1 - np.tanh(W1 @ x) ** 2) * (W2 @ G)),
    )
    assert everywhere.slip == "W instead of Wᵀ"
    assert str(everywhere.diagnosis).endswith("; the same slip is made at v1 = matmul(W1, x).")


def test_slips_that_give_the_same_numbers_are_told() -> None:
    verdict = jac.verify(np.linalg.det, W + 4 * np.eye(3), claim="dy/da[i,j] = det(a) * inv(a)[i,j]")
    assert verdict.diagnosis is not None
    assert verdict.slip == "axes permuted"
    assert "W instead of Wᵀ" in verdict.diagnosis.also
    assert "  or       the same numbers as: " in str(verdict)


MORE_SLIPS: list[tuple[str, Callable[..., Any], tuple[Any, ...], Any, str]] = [
    ("wrong power", lambda x: x**3, (x,), lambda x: np.diag(3 * x**3), "jacobian"),
    ("wrong power", lambda x: x**3, (x,), lambda x: np.diag(3 * x), "jacobian"),
    ("wrong power", lambda x: 2**x, (x,), lambda x: np.diag(x * 2 ** (x - 1)), "jacobian"),
    ("wrong power", lambda x: np.exp(x), (x,), lambda x: np.diag(x * np.exp(x - 1)), "jacobian"),
    ("derivative not taken", lambda x: x * np.sin(x), (x,), lambda x: np.diag((1 + x) * np.sin(x)), "jacobian"),
    ("kernel flipped", lambda x, w: np.lib.stride_tricks.sliding_window_view(x, 3) @ w, (draw(6), draw(3)),
     lambda x, w, G: np.convolve(G, w[::-1]), "downstream"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("slip", "f", "args", "claim", "kind"), MORE_SLIPS, ids=[f"{k}-{one[0]}" for k, one in enumerate(MORE_SLIPS)]
)
def test_more_slips(slip: str, f: Callable[..., Any], args: tuple[Any, ...], claim: Any, kind: str) -> None:
    assert jac.verify(f, *args, claim=claim, kind=kind).slip == slip


# -- the parts --------------------------------------------------------------------------------------------------------


def test_points_nearby_keep_what_an_input_visibly_is() -> None:
    S, p, one_hot, labels = A @ A.T, np.array([0.2, 0.8]), np.eye(3)[[0, 2]], np.array([1, 2])
    moved = near([S, p, one_hot, labels, 2.0], 4, np.random.default_rng(0))
    np.testing.assert_array_equal(moved[0], moved[0].T)
    assert moved[1].sum() == pytest.approx(1) and np.all(moved[1] > 0)
    np.testing.assert_allclose(moved[2].sum(axis=-1), 1)
    assert moved[3] is labels
    free = near([S], 0, np.random.default_rng(0), free=(0,))[0]
    assert not np.array_equal(free, free.T)
    np.testing.assert_array_equal(np.sign(near([x], 0, np.random.default_rng(0))[0]), np.sign(x))


def test_a_profiler_goes_on() -> None:
    seen: list[str] = []
    sys.setprofile(lambda frame, event, arg: seen.append(event))
    try:
        jac.verify(np.sin, x, claim=lambda x: np.diag(np.cos(x)))
        assert sys.getprofile() is not None
    finally:
        sys.setprofile(None)


def test_a_profile_of_c_goes_on() -> None:
    profile = cProfile.Profile()
    with profile:
        assert jac.verify(np.sin, x, claim=lambda x: np.diag(np.cos(x)))
        sum(range(3))
    assert any(name == "<built-in method builtins.sum>" for _, _, name in pstats.Stats(profile).stats)


def test_a_search_ends_by_what_it_has_done(monkeypatch: pytest.MonkeyPatch) -> None:
    f = lambda x: np.exp(np.sin(x) ** 2)  # noqa: E731
    two_slips = lambda x: np.diag(np.exp(np.sin(x)) * 2 * np.cos(x))  # noqa: E731
    assert len(jac.verify(f, x, claim=two_slips).diagnosis.slips) == 2
    monkeypatch.setattr(diagnosis, "BUDGET", 200)
    assert jac.verify(f, x, claim=two_slips).diagnosis is None


def test_complex_numbers_on_the_way() -> None:
    f = lambda x: np.abs(np.fft.fft(x)) ** 2  # noqa: E731
    J = np.asarray(jac.jacobian(f)(x))
    assert jac.verify(f, x, claim=J)
    assert not jac.verify(f, x, claim=J + 1)


Z = np.array([1.0 + 1.0j, -2.0 + 0.5j, 0.0])


@pytest.mark.parametrize(
    ("f", "args", "claim", "options"),
    [
        (np.square, (Z,), lambda z: np.diag(2 * z), {}),
        (np.square, (Z,), np.diag(2 * Z), {}),
        (lambda z: z**3, (Z,), "dy[i]/dz[i] = 3 * z[i]**2", {}),
        (lambda z: z**3, (2 + 1j,), "dy/dz = 3 * z**2", {}),
        (lambda A, z: np.exp(A @ z), (A, Z), lambda A, z, y, G: A.T @ (G * y), {"argnums": 1, "kind": "downstream"}),
        (lambda z: np.sum(z**3), (Z,), lambda z: np.diag(6 * z), {"kind": "hessian"}),
        (lambda x: np.fft.fft(x), (x,), lambda x: np.fft.fft(np.eye(3)), {}),
    ],
    ids=["function", "array", "formula", "number", "downstream", "hessian", "of a real input"],
)  # fmt: skip
def test_complex_derivatives(f: Any, args: Any, claim: Any, options: Any) -> None:
    verdict = jac.verify(f, *args, claim=claim, **options)
    assert verdict.verdict == "right"
    if not isinstance(claim, np.ndarray):
        assert verdict.compared.endswith(("3 points", "5 points"))


def test_wrong_complex_derivatives() -> None:
    f, right = lambda z: z**2, 2 * Z
    assert jac.verify(f, Z, claim=lambda z: -np.diag(2 * z)).slip == "sign"
    conjugate = jac.verify(f, Z, claim=lambda z: np.diag(2 * z.conj()))
    assert str(conjugate.diagnosis) == "It is the conjugate of ∂y[i]/∂z[j]: leave the bar out."
    assert jac.verify(f, np.ones(2) + 0j, claim=lambda z: 2 * np.eye(2)).slip == "right at the given point only"
    other = jac.verify(f, Z, claim=np.diag(right.real))
    assert other.worst[0] == ((0,), (0,), 2.0, 2.0 + 2.0j)
    assert str(other).splitlines()[1:4] == [
        "  worst    ∂y[0]/∂z[0] = 2 is claimed, but it is 2+2j",
        "           ∂y[1]/∂z[1] = -4 is claimed, but it is -4+1j",
        "  why      What slipped is looked for in real numbers only.",
    ]


def test_a_complex_claim_of_a_real_derivative() -> None:
    with pytest.raises(jac.errors.DTypeError) as caught:
        jac.verify(lambda x: np.abs(np.fft.fft(x)), x, claim=lambda x: np.fft.fft(np.eye(3)))
    text = "the claim holds complex numbers, but ∂y[i]/∂x[j] is real\n  fix:   take the real part, if nothing is lost"
    assert str(caught.value) == text


# -- what else is told ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("indicator", ["(x[i] > 0)", "[0 < x[j]]", "[y[i] > 0.0]", "where(x[i] > 0, 1, 0)"])
def test_a_condition_on_values_is_one_on_values(indicator: str) -> None:
    x = np.array([0.5, -0.25, 1.5, -2.0])
    assert jac.verify(jac.ops.relu, x, claim=f"dy[i]/dx[j] = δ[i,j] * {indicator}").verdict == "right"
    assert jac.verify(jac.ops.relu, x, claim=f"dy[i]/dx[j] = {indicator}").slip == "δ left out"


def test_links_with_others_between_them_are_told() -> None:
    W1, W2, x = draw(3, 3), draw(3, 3), draw(3)
    verdict = jac.verify(
        lambda W1, W2, x: W2 @ np.tanh(W1 @ x), W1, W2, x, argnums=2,
        claim=lambda W1, W2, x: W1 @ np.diag(1 - np.tanh(W1 @ x) ** 2) @ W2,
    )  # fmt: skip
    assert str(verdict.diagnosis) == (
        "The links y = matmul(W2, v2) and v1 = matmul(W1, x) are multiplied in the wrong order: ∂y/∂v2 belongs on the "
        "left, ∂v1/∂x on the right."
    )


def test_a_chain_from_back_to_front() -> None:
    A, B, C, x = draw(3, 3), draw(3, 3), draw(3, 3), draw(3)
    verdict = jac.verify(
        lambda A, B, C, x: C @ (B @ np.sin(A @ x)), A, B, C, x, argnums=3,
        claim=lambda A, B, C, x: A @ np.diag(np.cos(A @ x)) @ B @ C,
    )  # fmt: skip
    assert verdict.slip == "links in the wrong order"
    assert "from back to front" in str(verdict.diagnosis)


def test_matrices_that_are_no_links_of_the_chain() -> None:
    A, C, x = draw(3, 3), draw(3, 3), draw(3)
    swapped = jac.verify(lambda A, C, x: C @ A @ x, A, C, x, argnums=2, claim=lambda A, C, x: A @ C)
    assert swapped.slip == "links in the wrong order"
    turned = jac.verify(lambda A, C, x: C[0] @ A @ x, A, C, x, argnums=2, claim=lambda A, C, x: A @ C[0])
    assert turned.slip == "W instead of Wᵀ"


def test_a_look_up_that_repeats_is_counted_once() -> None:
    E, ids = draw(4, 3), np.array([0, 2, 2])

    def assigned(E: Any, G: Any) -> Any:
        found = np.zeros(E.shape)
        found[ids] = G
        return found

    verdict = jac.verify(lambda E: E[ids], E, claim=assigned, kind="downstream")
    assert verdict.slip == "term left out"
    assert "counted once, the last time: add up what comes from all, as np.add.at does" in str(verdict.diagnosis)


def test_a_mirrored_triangle() -> None:
    A, x = draw(3, 3), draw(3)

    def f(A: Any, x: Any) -> Any:
        S = np.tril(A) + np.tril(A, -1).T
        return x @ S @ x

    verdict = jac.verify(f, A, x, claim=lambda A, x: np.outer(x, x))
    assert verdict.slip == "symmetry not assumed"
    assert str(verdict.diagnosis).startswith("S is symmetric whatever A is, which is left out")


@pytest.mark.parametrize("value", [np.array([-0.1, 0.1, 0.4, -3.5, 4.0]), np.float64(0.4)], ids=["array", "scalar"])
@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.maximum(x, 0.3), jac.ops.relu, jac.ops.elu, jac.ops.leaky_relu, jac.ops.selu, jac.ops.hardtanh,
        jac.ops.relu6, jac.ops.hardsigmoid, jac.ops.softshrink, lambda x: np.clip(x, -0.3, 0.6), np.abs,
    ],
    ids=["maximum", "relu", "elu", "leaky", "selu", "hardtanh", "relu6", "hardsigmoid", "softshrink", "clip", "abs"],
)  # fmt: skip
def test_our_formula_of_a_function_with_branches_is_a_claim(f: Any, value: Any) -> None:
    assert jac.verify(f, value, claim=jac.jacobian(f)(value).formula)


def test_a_comparison_may_hold_a_scalar_input_and_a_bar() -> None:
    c = np.array([0.2, -0.3, 0.6])
    claim = "dy[i]/dx = where(x > c[i], 1.0, 0.0)"
    assert jac.verify(lambda x, c: np.maximum(x, c), 0.5, c, claim=claim)
    claim = "dy[i]/dx[j] = δ[i,j] * where((x[i] > 0.5) | (x[i] < 0.1), 1, 0)"
    assert jac.verify(lambda x: x - np.clip(x, 0.1, 0.5), c, claim=claim)


MINUS = "is left out: multiply by -1,"
RIDGE = np.array([0.3, -1.2, 0.8])


@pytest.mark.parametrize(
    ("f", "args", "claim", "why"),
    [
        (
            lambda x: x**2 - np.sin(x), (x,), "dy[i]/dx[i] = 2*x[i] + cos(x[i])",
            f"At y = subtract(v1, v2): the minus in front of v2 {MINUS} ∂y[i]/∂v2[i] = -1.",
        ),
        (
            lambda x: np.exp(-x) - x, (x,), "dy[i]/dx[i] = exp(-x[i]) - 1",
            f"At v1 = negative(x): its minus {MINUS} ∂v1[i]/∂x[i] = -1.",
        ),
        (
            lambda s: np.sum(-np.log(s) - RIDGE**2 / (2 * s**2)), (1.4,), lambda s: -3 / s - np.sum(RIDGE**2) / s**3,
            f"At v6 = subtract(v2, v5): the minus in front of v5 {MINUS} ∂v6[i]/∂v5[i] = -1.",
        ),
    ],
)  # fmt: skip
def test_the_operand_whose_minus_is_left_out_is_named(f: Any, args: Any, claim: Any, why: str) -> None:
    verdict = jac.verify(f, *args, claim=claim)
    assert verdict.slip == "sign"
    assert verdict.diagnosis is not None
    assert str(verdict.diagnosis) == why


# -- on which branch --------------------------------------------------------------------------------------------------


def by_a_look(x: Any) -> Any:
    return x**2 if x[0] > 0 else -x


def huber_by_hand(x: Any) -> Any:
    return np.sum(np.where(np.abs(x) < 1, x**2 / 2, np.abs(x) - 0.5))


ONE_SIDED = np.array([1.0, 2.0])
MIXING = np.array([[1.0, 2.0], [3.0, 1.0]])


@pytest.mark.parametrize(
    ("f", "args", "claim", "only"),
    [
        (jac.ops.relu, (ONE_SIDED,), "dy[i]/dx[i] = 1", "where x > 0"),
        (lambda x: jac.ops.relu(x), (2.0,), "dy/dx = 1", "where x > 0"),
        (jac.ops.relu, (-ONE_SIDED,), "dy[i]/dx[i] = 0 * x[i]", "where x < 0"),
        (lambda x: np.abs(x) ** 3, (-ONE_SIDED,), "dy[i]/dx[i] = -3 * x[i]**2", "where x < 0"),
        (lambda x: np.maximum(x, 0.5) * np.abs(x), (ONE_SIDED,), "dy[i]/dx[i] = 2 * x[i]", "where x > 0.5"),
        (lambda W, x: jac.ops.relu(W @ x), (MIXING, ONE_SIDED), "dy[i]/dx[j] = W[i,j]", "where v1 > 0"),
        (lambda x: jac.ops.huber_loss(x, np.zeros(2)), (ONE_SIDED / 5,), "dy/dx[i] = x[i] / 2", "where x - c < 1"),
        (
            lambda x: np.clip(x, -1, 1), (np.array([0.2, -3.0]),), "dy[i]/dx[i] = δ[i,0]",
            "where x > -1 at the same entries as at the given point",
        ),
        (
            lambda x: x * np.abs(x), (np.array([0.2, 3.0]),), lambda x: np.diag([2 * x[0], 2 * x[1]]), "where x > 0",
        ),
        (
            huber_by_hand, (ONE_SIDED / 5,), "dy/dx[i] = x[i]",
            "where the condition of where(v3, v5) holds at the same entries as at the given point",
        ),
        (
            lambda x: np.max(x), (np.array([1.0, 2.0, 3.0]),), "dy/dx[i] = δ[i,2]",
            "where max(x) takes the same entries as at the given point",
        ),
        (
            lambda x: np.sort(x), (np.array([1.0, 2.0, 3.0]),), "dy[i]/dx[i] = 1",
            "where sort(x) takes the same entries as at the given point",
        ),
        (
            by_a_look, (ONE_SIDED,), "dy[i]/dx[i] = 2 * x[i]",
            "where the function, which looks at its numbers, takes the same course as at the given point",
        ),
    ],
)  # fmt: skip
def test_a_claim_that_is_right_on_one_branch_only_says_on_which(f: Any, args: Any, claim: Any, only: str) -> None:
    verdict = jac.verify(f, *args, claim=claim)
    assert verdict
    assert verdict.condition == f"{only}; elsewhere it is wrong"
    assert str(verdict).splitlines()[1] == f"  only     {verdict.condition}"


@pytest.mark.parametrize(
    ("f", "claim"),
    [
        (jac.ops.relu, "dy[i]/dx[i] = where(x[i] > 0, 1, 0)"),
        (np.abs, "dy[i]/dx[i] = sign(x[i])"),
        (lambda x: np.log(np.abs(x)), "dy[i]/dx[i] = 1 / x[i]"),
        (np.sqrt, "dy[i]/dx[i] = 1 / (2 * y[i])"),
        (lambda x: np.linalg.norm(x), "dy/dx[i] = x[i] / y"),
        (lambda x: np.exp(x - np.max(x)) / np.sum(np.exp(x - np.max(x))), "dy[i]/dx[j] = y[i]*δ[i,j] - y[i]*y[j]"),
        (lambda x: x**2 if x[0] > -5 else x * x, "dy[i]/dx[i] = 2*x[i]"),
        (huber_by_hand, "dy/dx[i] = where(abs(x[i]) < 1, x[i], sign(x[i]))"),
    ],
)  # fmt: skip
def test_a_claim_that_is_right_on_all_branches_is_right(f: Any, claim: Any) -> None:
    assert jac.verify(f, ONE_SIDED, claim=claim).condition == ""


def test_an_answer_to_an_exercise_says_on_which_branch_it_is_right() -> None:
    task = jac.exercise(lambda x: np.exp(jac.ops.relu(x)), ONE_SIDED, blank="v1")
    assert str(task.answer("dv1[i]/dx[i] = 1")) == "right: ∂v1/∂x; only where x > 0; elsewhere it is wrong"


def test_captured_arrays_may_be_named() -> None:
    Xd = np.arange(6.0).reshape(2, 3)

    def f(w: Any) -> Any:
        return np.tanh(Xd @ w / 10)

    w = np.array([0.3, -1.2, 0.8])
    assert jac.verify(f, w, claim=jac.jacobian(f)(w).formula).verdict == "right"
    assert jac.verify(f, w, claim="(1 - y**2)[:, None] * Xd / 10").verdict == "right"
    assert jac.verify(f, w, claim=lambda Xd, y: (1 - y**2)[:, None] * Xd / 10).verdict == "right"


@pytest.mark.parametrize(
    ("f", "claim", "why"),
    [
        (
            lambda x: x - np.mean(x), lambda x: np.eye(3),
            ("At y = subtract(x, v1): v1 is treated as constant, but what is subtracted depends on x too: add the path "
            "through v1, ∂y[i]/∂v1 = -1."),
        ),
        (
            lambda x: np.exp(x) / (1 + x**2), lambda x: np.diag(np.exp(x) * ((1 + x**2) + 2 * x) / (1 + x**2) ** 2),
            ("At y = divide(v1, v3): y / v3 stands where the derivative belongs: put in the right one, "
            "∂y[i]/∂v3[i] = -y[i] / v3[i]."),
        ),
        (
            lambda x: np.sin(x) ** 2, lambda x: np.diag(2 * np.cos(x)),
            ("At y = power(v1, 2): 2 stands where the derivative belongs: put in the right one, "
            "∂y[i]/∂v1[i] = 2 * v1[i]."),
        ),
        (
            lambda x: np.sin(x) / x, lambda x: np.diag(np.cos(x) / x + np.sin(x) / x**2),
            ("At y = divide(v1, x): y / x stands where the derivative belongs: put in the right one, "
            "∂y[i]/∂x[i] = -y[i] / x[i]."),
        ),
        (
            lambda x: x**3, lambda x: np.diag(3 * x),
            ("At y = power(x, 3): 3 * x stands where the derivative belongs: put in the right one, "
            "∂y[i]/∂x[i] = 3 * x[i]**2."),
        ),
        (
            lambda x: 2**x, lambda x: np.diag(x * 2 ** (x - 1)),
            ("At y = power(2, x): x * 2 ** (x - 1) stands where the derivative belongs: put in the right one, "
            "∂y[i]/∂x[i] = log(2) * y[i]."),
        ),
        (
            lambda x: np.exp(x), lambda x: np.diag(x * np.exp(x - 1)),
            ("At y = exp(x): x * exp(x - 1) stands where the derivative belongs: put in the right one, "
            "∂y[i]/∂x[i] = y[i]."),
        ),
        (
            lambda x: x * np.sin(x), lambda x: np.diag(np.sin(x) + x * np.sin(x)),
            ("At v1 = sin(x): v1 stands where the derivative belongs: put in the right one, "
            "∂v1[i]/∂x[i] = cos(x[i])."),
        ),
    ],
)  # fmt: skip
def test_a_diagnosis_is_a_sentence(f: Any, claim: Any, why: str) -> None:
    verdict = jac.verify(f, np.array([0.3, -1.2, 0.8]), claim=claim)
    assert str(verdict.diagnosis) == why


M3 = np.array([[1.0, -0.5, 2.0], [0.3, 0.8, -0.7], [0.2, 0.1, 0.9]])
T3 = np.array([0.4, -0.3, 0.2])


@pytest.mark.parametrize(("f", "claim", "turned", "own"), [
    (lambda x: (x - 1) ** 2, "2*(x+1)", "x + 1", "x - 1"),
    (lambda x: np.sum((M3 @ x - T3) ** 2), "2*M3.T@(M3@x+T3)", "v1 + T3", "v1 - T3"),
    (lambda x: np.tanh(M3 @ x + T3), "diag(1-tanh(M3@x-T3)**2)@M3", "v1 - T3", "v1 + T3"),
])  # fmt: skip
def test_a_sign_turned_where_the_derivative_is_taken(f: Any, claim: str, turned: str, own: str) -> None:
    verdict = jac.verify(f, np.array([0.5, 1.0, -1.0]), claim=claim)
    assert verdict.diagnosis is not None
    assert verdict.diagnosis.slips == ("sign",)
    text = f"{turned} stands where {own} belongs, here and in what follows: the sign is the wrong one, "
    assert text in verdict.diagnosis.sentence


def test_a_point_that_is_an_expression_is_told_whole() -> None:
    verdict = jac.verify(lambda x: np.var(x), np.array([0.5, 1.0, -1.0]), claim="2*x/3")
    assert verdict.diagnosis is not None
    assert verdict.diagnosis.sentence.startswith("At y = var(x): x stands where x - mean(x) belongs: ")


def test_a_number_that_is_computed_is_no_constant() -> None:
    verdict = jac.verify(
        lambda q: np.stack([q[0] * np.cos(q[1]), q[0] * np.sin(q[1])]), np.array([1.6, 0.4]),
        claim=lambda q: np.array([[np.cos(q[1]), -np.sin(q[1])], [np.sin(q[1]), np.cos(q[1])]]),
    )  # fmt: skip
    assert verdict.slip == "factor left out"
    assert "the factor v5 is left out" in str(verdict.diagnosis)
    assert "v5 = q[0]" in verdict.legend


@pytest.mark.parametrize(("claim", "is_right"), [
    ("dy[0]/dx[0] = 2*x[0]", True), ("dy[0]/dx[1] = 0", True), ("dy[0]/dx[j] = 2*δ[0,j]*x[0]", True),
    ("dy[i]/dx[1] = 2*δ[i,1]*x[1]", True), ("dy[0]/dx[0] = 3*x[0]", False), ("dy[i]/dx[1] = 2*x[1]", False),
])  # fmt: skip
def test_a_claim_about_some_entries_speaks_of_these(claim: str, is_right: bool) -> None:
    verdict = jac.verify(lambda x: x**2, np.array([0.5, 1.0, -1.0]), claim=claim)
    assert bool(verdict) == is_right
    if is_right:
        others = {"dy[0]/dx[0]": 8, "dy[0]/dx[1]": 8}.get(claim.partition(" ")[0], 6)
        assert verdict.note == f"nothing is claimed of the other {others} entries"


def test_an_entry_claimed_of_a_second_derivative() -> None:
    x = np.array([0.5, 1.0, -1.0])
    assert jac.verify(lambda x: x[0] * x[1] ** 2, x, claim="d2y/dx[0]dx[1] = 2*x[1]")
    assert not jac.verify(lambda x: x[0] * x[1] ** 2, x, claim="d2y/dx[0]dx[1] = x[1]")


def test_a_position_beyond_an_axis_is_refused() -> None:
    with pytest.raises(ShapeError) as caught:
        jac.verify(lambda x: x**2, np.ones(3), claim="dy[7]/dx[0] = 1")
    assert str(caught.value) == (
        "there is no position 7 on an axis of y that has 3\n  formula: dy[7]/dx[0] = 1"
    )  # fmt: skip
