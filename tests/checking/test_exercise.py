"""Exercises: the blank is hidden, answers are judged and not given away."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian import errors

W, X = np.array([[1.0, -2.0, 0.5], [0.3, 0.8, -1.0]]), np.array([0.5, 0.1, -0.4])


def layer(W: Any, x: Any) -> Any:
    a = W @ x
    h = np.tanh(a)
    return h * h


def test_the_task_shows_everything_but_the_blank() -> None:
    assert str(jac.exercise(layer, W, X, blank="h")) == (
        "Find ∂h/∂a, of the shape (2, 2).\n"
        "  W  (2, 3)\n"
        "  x  (3,)\n"
        "  a = matmul(W, x)  (2,)     ∂a[i]/∂W[i,j] = x[j],  ∂a[i]/∂x[j] = W[i,j]\n"
        "  h = tanh(a)  (2,)          ∂h/∂a = ?\n"
        "  y = multiply(h, h)  (2,)   ∂y[i]/∂h[i] = h[i]"
    )


@pytest.mark.parametrize(
    "claim",
    [
        "dh[i]/da[j] = δ[i,j] * (1 - h[i]**2)",
        lambda a: np.diag(1 - np.tanh(a) ** 2),
        lambda h: 1 - h**2,
        np.diag(1 - np.tanh(W @ X) ** 2),
        "diag(1 - h**2)",
    ],
)
def test_every_form_of_an_answer(claim: Any) -> None:
    task = jac.exercise(layer, W, X, blank="h")
    assert task.answer(claim)
    assert task.hint() == "the last answer is right"


def test_a_wrong_answer_does_not_hold_the_solution() -> None:
    task = jac.exercise(layer, W, X, blank="h")
    answer = task.answer("dh[i]/da[j] = 1 - h[i]**2")
    assert not answer
    assert (
        repr(answer)
        == str(answer)
        == ("wrong: 2 of 4 entries of ∂h/∂a are right; ∂h[0]/∂a[1] is not. task.hint() says what slipped.")
    )
    assert task.hint() == "δ left out"
    assert task.solution() == "∂h[i]/∂a[i] = 1 - h[i]**2"
    assert "  correct  ∂h[i]/∂a[i] = 1 - h[i]**2" in task.explanation()


def test_a_downstream_answer() -> None:
    task = jac.exercise(layer, W, X, blank="a")
    assert task.answer(lambda W, x, G: np.outer(G, x), wrt="W", kind="downstream")
    assert task.answer(lambda W, x, G: W.T @ G, wrt="x", kind="downstream")
    assert not task.answer(lambda W, x, G: np.outer(x, x)[:, :2] @ G, wrt="x", kind="downstream")


def test_a_blank_with_two_operands() -> None:
    task = jac.exercise(layer, W, X, blank="a")
    assert task.asked == ("W", "x")
    assert task.answer("da[i]/dx[j] = W[i,j]")
    assert task.answer("da[i]/dW[p,q] = δ[i,p] * x[q]")
    assert not task.answer("da[i]/dW[p,q] = x[q]")
    assert task.answer(W, wrt="x")
    in_layout = task.answer(W.T, wrt="x")
    assert str(in_layout) == ("right, in another layout: ∂a/∂x in denominator layout; J = C.transpose(1, 0)")
    assert task.solution("x") == "∂a[i]/∂x[j] = W[i,j]"
    assert task.solution() == "∂a[i]/∂W[i,j] = x[j]\n∂a[i]/∂x[j] = W[i,j]"
    assert str(task).startswith("Find ∂a/∂W and ∂a/∂x.\n")


def test_an_operand_that_is_used_twice_counts_in_both_places() -> None:
    task = jac.exercise(layer, W, X, blank="y")
    assert task.answer("dy[i]/dh[j] = 2 * h[i] * δ[i,j]")
    assert not task.answer("dy[i]/dh[j] = h[i] * δ[i,j]")


def test_the_whole_function_is_asked_for_without_a_blank() -> None:
    task = jac.exercise(layer, W, X, argnums=1)
    assert str(task).startswith("Find ∂y/∂x, of the shape (2, 3).\n")
    assert "=" not in str(task).splitlines()[-1].partition("(2,)")[2]
    assert task.answer("dy[i]/dx[j] = 2 * h[i] * (1 - h[i]**2) * W[i,j]")
    assert str(task.answer(lambda h, W: (2 * h)[:, None] * W)).startswith("wrong: 0 of 6 entries of ∂y/∂x are right")
    assert task.hint() == "factor left out"


def test_nodes_by_number_and_by_the_trace_s_name() -> None:
    f = lambda x: np.exp(-x)  # noqa: E731
    assert jac.exercise(f, X, blank=1).asked == ("x",)
    assert jac.exercise(f, X, blank="v1").answer(-np.eye(3))
    assert jac.exercise(f, X, blank=2).answer("dy[i]/dv1[j] = y[i] * δ[i,j]")


def test_before_an_answer() -> None:
    task = jac.exercise(layer, W, X, blank="h")
    assert task.hint() == task.explanation() == "give an answer first"


ERRORS = [
    (lambda: jac.exercise(layer, W, X, blank="W"), "exercise: W is an input and has no Jacobian\n  nodes: a, h, y"),
    (lambda: jac.exercise(layer, W, X, blank="z"), "there is no node 'z' in this trace\n  nodes: W, x, a, h, y"),
    (lambda: jac.exercise(lambda x: np.ones(2), X), "exercise: the function does not depend on its arguments"),
    (
        lambda: jac.exercise(layer, W, X, blank="a").answer(W),
        "say by what the answer differentiates\n  fix:   answer(claim, wrt='W')",
    ),
    (
        lambda: jac.exercise(layer, W, X, blank="a").answer(W, wrt="b"),
        "this exercise does not ask for ∂/∂b\n  fix:   one of W, x",
    ),
]


@pytest.mark.parametrize(("call", "text"), ERRORS, ids=[text.split("\n")[0] for _, text in ERRORS])
def test_errors(call: Any, text: str) -> None:
    with pytest.raises(errors.ArgumentError) as caught:
        call()
    assert str(caught.value) == text


NBGRADER = """
import numpy as np, jacobian as jac

task = jac.exercise(lambda x: np.tanh(x), np.array([0.1, 0.2]))

def answer(x):
    ### BEGIN SOLUTION
    {body}
    ### END SOLUTION

### BEGIN HIDDEN TESTS
assert task.answer(answer), task.hint()
### END HIDDEN TESTS
"""


@pytest.mark.parametrize(
    ("body", "status"), [("return np.diag(1 - np.tanh(x) ** 2)", 0), ("return np.diag(np.tanh(x))", 1)]
)
def test_an_assert_grades_it_in_a_plain_script(body: str, status: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NBGRADER.format(body=body)], check=False, capture_output=True, text=True
    )
    assert done.returncode == status, done.stderr
    if status:
        assert "AssertionError" in done.stderr
