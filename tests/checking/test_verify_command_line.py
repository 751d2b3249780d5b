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
    correct, where = printed.splitlines()[-2:]
    assert correct == "  correct  ∂y[i]/∂x[j] = y[i] * W[i,j] - Σ_k y[i] * y[k] * W[k,j]"
    assert where == ("  where    e = exp(s), Z = sum(e, axis=-1, keepdims=True), s = v1 - max(v1), v1 = W @ x")


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
            ["--layout", "numerator"],
            "UsageError: --layout numerator says how a claim is judged\n  fix:   give the claim: --claim TEXT\n",
        ),
        (
            ["--rtol", "1e-3"],
            "UsageError: --rtol 0.001 says how a claim is judged\n  fix:   give the claim: --claim TEXT\n",
        ),
        (
            ["--claim", "W", "--wrt", "x", "--rtol", "-1"],
            "ArgumentError: verify: rtol must be a number that is not negative, not -1.0\n",
        ),
        (
            ["--claim", "W", "--wrt", "x", "--rtol", "a"],
            (
                "UsageError: argument --rtol: invalid float value: 'a'\n"
                "  fix:   python -m jacobian --help shows examples\n"
            ),
        ),
        (
            ["--claim", "y[i]*W[i,j]", "--wrt", "x"],
            (
                "LabelError: the claim is index notation without its left side\n  claim: y[i]*W[i,j]\n"
                "  fix:   put in front what it is: dy[i]/dx[j] = …\n"
            ),
        ),
        (
            ["--claim", "V", "--wrt", "x"],
            (
                "LabelError: the claim uses V, which is not known\n  claim: V\n  known: W, x, y, v1\n"
                "  fix:   make V an argument of the function, or pass the claim as an array\n"
            ),
        ),
    ],
)
def test_errors_exit_with_2(words: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["softmax(W @ x)", "W=3,4", "x=4", *words]) == 2
    assert capsys.readouterr().err == error


TRANSPOSED = """\
right, in another layout: ∂y[i]/∂x[j], all 9 entries at 3 points
  layout   denominator layout
  convert  J = C.transpose(1, 0)
"""


def test_a_layout_can_be_insisted_on(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["W @ x", "W=3,3", "x=3", "--wrt", "x", "--claim", "W.T"]
    assert main(words) == 0
    assert capsys.readouterr().out == TRANSPOSED
    assert main([*words, "--layout", "numerator"]) == 1
    assert "  slip     W instead of Wᵀ\n" in capsys.readouterr().out
    assert main([*words, "--layout", "denominator"]) == 0


def test_rounded_numbers_are_right_within_a_tolerance(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sin(x)", "x=[0.5,1]", "--claim", "diag(array([0.8776, 0.5403]))"]
    assert main(words) == 1
    assert main([*words, "--rtol", "1e-3"]) == 1
    assert "right at the given point only" in capsys.readouterr().out
    assert main(["2.00001 * x", "x=2", "--claim", "2 * eye(2)", "--rtol", "1e-3"]) == 0


@pytest.mark.parametrize("value", ["[1+2j, 3]", "1-2j"])
def test_complex_inputs(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    claim = "dy[i]/dz[i] = 2*z[i]" if "[" in value else "dy/dz = 2*z"
    assert main(["z**2", f"z={value}", "--claim", claim]) == 0
    assert main(["z**2", f"z={value}"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "  check      agrees with central differences" in printed.out


def test_a_claim_with_its_derivation_and_what_it_costs(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["tanh(W @ x)", "W=2,3", "x=3", "--claim", "dy[i]/dx[j] = (1 - y[i]**2) * W[i,j]"]
    assert main(words) == 0
    alone = capsys.readouterr().out
    assert main([*words, "--derive"]) == 0
    derived = capsys.readouterr().out
    assert derived.startswith(f"{alone}\n")
    assert "∂y[i]/∂x[j]" in derived.removeprefix(alone)
    assert main([*words, "--derive", "--explain"]) == 0
    explained = capsys.readouterr().out
    assert explained.startswith(derived)
    assert "multiplications" in explained.removeprefix(derived)
    assert main(["tanh(W @ x)", "W=2,3", "x=3", "--wrt", "x", "--derive", "--explain"]) == 0
    assert capsys.readouterr().out == explained.removeprefix(f"{alone}\n")
