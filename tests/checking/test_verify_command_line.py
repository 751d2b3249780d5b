"""Claims on the command line: verdicts, exit statuses, errors."""

import pytest

from jacobian.__main__ import main

WRONG = """\
wrong: ∂y[i]/∂x[j], 0 of 12 entries are right (0 %)
  worst    ∂y[2]/∂x[1] = -1.21145 is claimed, but it is -0.0562825
           ∂y[2]/∂x[0] = -0.673722 is claimed, but it is -0.0204569
           ∂y[2]/∂x[2] = -0.596693 is claimed, but it is -0.0650501
  slip     normalisation treated as constant
"""


def test_a_wrong_claim_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["softmax(W @ x)", "W=3,4", "x=4", "--claim", "dy[i]/dx[j] = y[i]*W[i,j]", "--wrt", "x"]
    assert main(words) == 1
    printed = capsys.readouterr().out
    assert printed.startswith(WRONG)
    assert printed.endswith("  correct  ∂y[i]/∂x[j] = y[i] * W[i,j] - Σ_k y[i] * y[k] * W[k,j]\n")


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["--claim", "dy[i]/dx[j] = y[i]*(W[i,j] - y[k]*W[k,j])"], "right: ∂y[i]/∂x[j], all 12 entries at 3 points\n"),
        (["--claim", "(diag(y) - outer(y, y)) @ W", "--wrt", "x"], "right: ∂y[i]/∂x[j], all 12 entries at 3 points\n"),
        (
            ["--claim", "outer(y*(G - y @ G), x)", "--wrt", "W", "--kind", "downstream"],
            "right: ∂y[i]/∂W[j,k], all 36 entries at 3 points\n",
        ),
    ],
)
def test_a_right_claim_exits_with_0(words: list[str], printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["softmax(W @ x)", "W=3,4", "x=4", *words]) == 0
    assert capsys.readouterr().out == printed


def test_a_second_derivative(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sum(x**3)", "x=3", "--claim", "6*diag(x)", "--kind", "hessian"]) == 0
    assert capsys.readouterr().out == "right: ∂(∂y/∂x)[i]/∂x[j], all 9 entries at 5 points\n"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--claim", "W"], "UsageError: say by what the claim differentiates\n  fix:   --wrt W\n"),
        (["--claim", "W", "--wrt", "W,x"], "UsageError: a claim differentiates by one input\n  got:   --wrt W,x\n"),
        (
            ["--kind", "hessian"],
            "UsageError: --kind hessian says what a claim is\n  fix:   give the claim: --claim TEXT\n",
        ),
        (
            ["--claim", "V", "--wrt", "x"],
            (
                "LabelError: the claim uses V, which is not known\n  claim: V\n  known: W, x, y, v2\n"
                "  fix:   make V an argument of the function, or pass the claim as an array\n"
            ),
        ),
    ],
)
def test_errors_exit_with_2(words: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["softmax(W @ x)", "W=3,4", "x=4", *words]) == 2
    assert capsys.readouterr().err == error
