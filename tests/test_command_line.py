"""The command line: full texts of what it prints, its errors, its exit statuses."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import jacobian as jac
from jacobian.__main__ import main
from jacobian.checking.comparison import compare
from jacobian.kernel.expression import Jacobian
from tests.conftest import Run

ERRORS = {
    ("tahn(x)", "x=3"): """\
ExpressionError: tahn is not a function that an expression may call
    tahn(x)
    ^^^^
  fix:   did you mean tanh or tan or atan?
""",
    ("W @ x", "x=3"): """\
ExpressionError: W is not given
    W @ x
    ^
  fix:   give its shape, W=3,4, or its value, W=2.5
""",
    ("x + 1", "x=3", "y=3"): """\
UsageError: y is given, but the expression does not use it
  fix:   leave it out, or use it
""",
    ("weights + 1", "weights=3", "weight=3"): """\
UsageError: weight is given, but the expression does not use it
  fix:   did you mean weights?
""",
    ("x", "x=3", "x=4"): "UsageError: x is given twice: 3 and 4\n",
    ("x", "x"): """\
UsageError: 'x' is not an input
  fix:   write name=shape, name=value or name=file.npy
""",
    ("x",): """\
UsageError: no inputs are given
  fix:   give each a shape, x=3,4, or a value, x=2.5
""",
    ("x", "x=abc"): """\
UsageError: x=abc cannot be read
  give:  a shape (3,4), a value (2.5 or [1,2,3]) or a file (A.npy)
""",
    ("x", "x=3", "--wrt", "z"): """\
UsageError: --wrt z: there is no such input
  fix:   one of x
""",
    ("x", "np=3"): """\
ExpressionError: 'np' cannot be the name of an input
  fix:   use a letter followed by letters, digits and underscores, such as x or W1
""",
    ("x", "x=3", "--seed", "-1"): "UsageError: --seed must not be negative, not -1\n",
    ("x", "x=nothing.npy"): "UsageError: x: there is no file nothing.npy\n",
    ("(x, x)", "x=3"): """\
ArgumentError: the expression gives 2 values, not one array
  fix:   stack them: stack([a, b])
""",
    ("x", "x=3", "--wrt", ", "): """\
UsageError: --wrt names no input
  fix:   one of x
""",
    ("x", "x=[1,nan]"): """\
UsageError: x=[1,nan] is not finite
  give:  a shape (3,4), a value (2.5 or [1,2,3]) or a file (A.npy)
""",
    ("linalg.nrm(x)", "x=3"): """\
ExpressionError: linalg.nrm is not a function that an expression may call
    linalg.nrm(x)
    ^^^^^^^^^^
  fix:   did you mean norm?
""",
    ("x", "x=3", "--upstream", "4"): """\
ShapeError: upstream: its last axes must be those of the output
  got:   upstream (4,), output (3,)
  fix:   leave it out, write --upstream ones, or give that shape
""",
    ("x", "x=3", "--exp"): """\
UsageError: unrecognized arguments: --exp
  fix:   python -m jacobian --help shows examples
""",
    (): """\
UsageError: the following arguments are required: expression, name=value
  fix:   python -m jacobian --help shows examples
""",
    ("y = x", "x=3"): """\
ExpressionError: cannot be read: invalid syntax
    y = x
      ^
  fix:   leave the assignment out: write the expression, then the inputs as x=3 W=2,3
""",
}


@pytest.mark.parametrize("words", ERRORS, ids=lambda words: " ".join(words) or "nothing")
def test_errors(words: tuple[str, ...], run: Run) -> None:
    assert run(*words) == (2, "", ERRORS[words])


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ("tanh(W @ x)", "W=2,3", "x=4"),
            """\
ShapeError: matmul: label j is 3 in A but 4 in B
    tanh(W @ x)
         ^^^^^
  spec:  A[i,j], B[j] -> Y[i]
  got:   A float64[2,3], B float64[4]
  bound: i=2, j=3 (from A)
  fix:   B's first axis must be 3
""",
        ),
        (
            ("1 + gcd(x, 2)", "x=3"),
            """\
TraceError: numpy.gcd cannot be traced: it works on whole numbers, which have no derivative
    1 + gcd(x, 2)
        ^^^^^^^^^
  fix:   give it plain arrays, such as np.argmax(x) returns
""",
        ),
        (
            ("x * 2", "x=nan"),
            """\
NonFiniteError: x holds 1 value that is not finite
  first: x = nan
  why:   the Jacobian there would mean nothing
""",
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_errors_of_the_package_show_their_place_in_the_expression(words: tuple[str, ...], text: str, run: Run) -> None:
    assert run(*words) == (2, "", text)


def test_what_is_not_holomorphic_is_shown_in_the_expression(run: Run) -> None:
    _, _, errors = run("1 + abs(z)", "z=[1+2j]")
    assert errors == (
        "ArgumentError: absolute is not holomorphic: there is no derivative with respect to the complex z\n"
        "  got:   z complex128[1]\n"
        "  line:  1 + abs(z)\n"
        "             ^^^^^^\n"
        "  fix:   write it in real and imaginary part, f(x + 1j*y), and differentiate by the real x and y\n"
    )


def test_a_traced_value_where_numpy_needs_a_plain_one(run: Run) -> None:
    status, out, err = run("exp(array([x[0], x[1]]))", "x=3")
    assert (status, out) == (2, "")
    first, text, caret, *_ = err.splitlines()
    assert first.startswith("TraceError: ")
    assert (text, caret) == ("    exp(array([x[0], x[1]]))", "        ^^^^^^^^^^^^^^^^^^^")
    assert "np.stack" in err


FULL = """\
y = tanh(W @ x + b)
  shape      (2,) float64
  value      [0.6044 0.3095]
  upstream   shape (2,)
             [1. 2.]

∂y/∂W
  formula    ∂y[i]/∂W[i,j] = (1 - y[i]**2) * x[j]
  shape      (2,) × (2, 2)
  structure  block-diagonal over axis 0
  matrix     2 × 4
             [[0.3174 0.6347 0.     0.    ]
              [0.     0.     0.4521 0.9042]]
  downstream upstream·J, shape (2, 2)
             [[0.3174 0.6347]
              [0.9042 1.8084]]
  check      agrees with central differences in all 8 entries; largest difference …

∂y/∂b
  formula    ∂y[i]/∂b[i] = 1 - y[i]**2
  shape      (2,) × (2,)
  structure  diagonal
  matrix     2 × 2
             [[0.6347 0.    ]
              [0.     0.9042]]
  downstream upstream·J, shape (2,)
             [0.6347 1.8084]
  check      agrees with central differences in all 4 entries; largest difference …
"""


def test_all_that_is_printed(run: Run) -> None:
    words = ("tanh(W @ x + b)", "W=[[1.,-1],[0,0.12]]", "x=[0.5,1]", "b=[1.2,0.2]")
    status, out, err = run(*words, "--wrt", "W,b", "--upstream", "[1,2]")
    assert (status, err) == (0, "")
    assert re.sub("largest difference .*", "largest difference …", out) == FULL


@pytest.mark.parametrize(
    ("words", "start"),
    [
        (("x", "x=3", "--order", "sideways"), "UsageError: argument --order: invalid choice: 'sideways'"),
        (("x", "x=3", "--seed", "a"), "UsageError: argument --seed: invalid int value: 'a'"),
        (("x", "x=3", "--wrt"), "UsageError: argument --wrt: expected one argument"),
    ],
)
def test_errors_in_part(words: tuple[str, ...], start: str, run: Run) -> None:
    status, out, err = run(*words)
    assert (status, out) == (2, "")
    assert err.startswith(start)


def test_help(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for part in ("examples:", "exit status:", "--wrt", "--upstream", "--order", "--explain", "--seed", "W=3,4"):
        assert part in text


def test_examples_of_the_help_run(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # files that they read and write
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    np.save("A.npy", np.array([[2.0, 0.5, 0.0], [0.1, 1.0, 0.3], [0.0, 0.2, 3.0]]))
    lines = [line for line in text.splitlines() if line.startswith("  python -m jacobian ")]
    assert len(lines) >= 5
    for line in lines:
        status, _, err = run(*shlex.split(line)[3:])
        assert (status, err) == (0, ""), line
    assert Path("report.html").exists()


def test_wrt_and_order(run: Run) -> None:
    _, everything, _ = run("W @ x", "W=2,3", "x=3")
    assert "∂y/∂W\n" in everything
    assert "∂y/∂x\n" in everything
    _, only_x, _ = run("W @ x", "W=2,3", "x=3", "--wrt", "x")
    assert "∂y/∂x\n" in only_x
    assert "∂y/∂W\n" not in only_x
    _, turned, _ = run("W @ x", "W=2,3", "x=3", "--wrt", "x,W", "--wrt", "x")
    assert turned.index("∂y/∂x\n") < turned.index("∂y/∂W\n")
    matrices = set()
    for order in ("forward", "reverse", "auto"):
        status, text, err = run("sum(tanh(W @ x))", "W=2,3", "x=3", "--order", order)
        assert (status, err) == (0, "")
        matrices.add(tuple(line for line in text.splitlines() if line.startswith(" " * 13)))
    assert len(matrices) == 1


def test_seed(run: Run) -> None:
    assert run("x * x", "x=3") == run("x * x", "x=3", "--seed", "0")
    assert run("x * x", "x=3") != run("x * x", "x=3", "--seed", "1")


def test_explain(run: Run) -> None:
    _, text, _ = run("tanh(W @ x)", "W=2,3", "x=3", "--wrt", "W", "--explain")
    J = jac.jacobian(lambda W, x: np.tanh(W @ x))(np.ones((2, 3)), np.ones(3))
    assert "  explain    " in text
    assert text.count("\n") > len(J.explain().splitlines())


def test_an_expression_may_begin_with_a_minus(run: Run) -> None:
    status, text, err = run("-x", "x=[1,2]", "--upstream", "[-1,0]")
    assert (status, err) == (0, "")
    assert text.startswith("y = -x\n")


def test_files_are_read(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([1, 2, 3], np.float32))
    status, text, err = run("x * x", f"x={tmp_path / 'x.npy'}")
    assert (status, err) == (0, "")
    assert "shape      (3,) float32\n" in text


def test_empty_and_scalar_inputs(run: Run) -> None:
    status, text, err = run("x * s", "x=0", "s=()")
    assert (status, err) == (0, "")
    assert text.count("check      nothing to compare: the Jacobian has no entries\n") == 2
    status, text, err = run("s * s", "s=3.")
    assert (status, err) == (0, "")
    assert "  matrix     1 × 1\n             [[6.]]\n" in text


def test_kinks_are_warned_of_on_the_error_stream(run: Run) -> None:
    status, _, err = run("abs(x)", "x=[0.,1.]")
    assert status == 0
    assert err.startswith("KinkWarning: ")
    assert err.count("KinkWarning") == 1


def test_many_columns_are_sampled(run: Run) -> None:
    status, text, err = run("(x[1:] - x[:-1])**2", "x=100000")
    assert (status, err) == (0, "")
    assert "check      agrees with central differences in 16 of 100000 columns, drawn at random; " in text
    assert "matrix     99999 × 100000, not shown: 80.0 GB dense, " in text


def test_a_wrong_jacobian_is_found() -> None:
    x = np.array([1.0, 3.0])
    J = jac.jacobian(np.square)(x)
    assert compare(np.square, [x], 0, J)
    wrong = compare(np.square, [x], 0, 2 * J)
    assert not wrong
    assert str(wrong) == (
        "differs from central differences in 2 of 4 entries; largest difference 6.0e+00 at J[1, 1]: 12, not 6"
    )


def test_a_wrong_jacobian_is_found_among_sampled_columns() -> None:
    x = np.linspace(0.5, 1.5, 2000)
    J = jac.jacobian(np.square)(x)
    assert compare(np.square, [x], 0, J)
    wrong = compare(np.square, [x], 0, 2 * J)
    assert wrong.differing == 16
    assert wrong.worst[0] == wrong.worst[1]


def test_a_jacobian_between_the_one_sided_differences_at_a_kink_is_not_called_wrong(run: Run) -> None:
    status, text, err = run("max(x)", "x=[1,2,2]")
    assert status == 0
    assert "  check      agrees with central differences in 1 of 3 entries; " in text
    assert text.endswith("; undecided in 2 of 3 entries\n")
    assert err.startswith("KinkWarning: max")
    outside = Jacobian.einsum("i->|i", np.array([0.0, 2.0, -1.0]))
    assert compare(np.max, [np.array([1.0, 2.0, 2.0])], 0, outside).differing == 2


def test_where_the_function_is_not_finite_nothing_is_decided(run: Run) -> None:
    status, text, _ = run("sqrt(x)", "x=[0.,1]")
    assert status == 0
    assert text.endswith("; undecided in 1 of 4 entries\n")


def test_float32(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([0.3, -1.2, 2.0], np.float32))
    status, text, err = run("tanh(x) * x", f"x={tmp_path / 'x.npy'}")
    assert (status, err) == (0, "")
    assert "agrees with central differences in all 9 entries" in text


def test_comparisons_are_a_function_of_position(run: Run) -> None:
    status, text, err = run("x > 0", "x=3")
    assert (status, err) == (0, "")
    assert "structure  zero" in text


def test_exit_status_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = jac.value_and_jacobian

    def wrong(*args: object, **kwargs: object) -> object:
        def call(*inputs: object) -> object:
            y, jacobians = honest(*args, **kwargs)(*inputs)
            return y, tuple(2 * J for J in jacobians)

        return call

    monkeypatch.setattr(jac, "value_and_jacobian", wrong)
    status, text, _ = run("x * x", "x=[1,2]")
    assert status == 1
    assert "  check      differs from central differences in 2 of 4 entries; " in text


def test_as_a_process() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "jacobian", "tanh(W @ x + b)", "W=3,4", "x=4", "b=3"]
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert done.returncode == 0
    assert done.stderr == b""
    assert done.stdout.decode().startswith("y = tanh(W @ x + b)\n")
    assert "∂y/∂W" in done.stdout.decode()
    done = subprocess.run([*command[:3], "tahn(x)", "x=3"], capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stdout == b""
    assert b"Traceback" not in done.stderr


def test_headings_say_what_formulas_say(run: Run) -> None:
    _, out, _ = run("x * y", "x=2", "y=2", "--wrt", "x, ")
    assert [line for line in out.splitlines() if line.startswith(("z", "∂", "  formula"))] == [
        "z = x * y", "∂z/∂x", "  formula    ∂z[i]/∂x[i] = y[i]",
    ]  # fmt: skip


def test_modules_may_be_named_without_np(run: Run) -> None:
    assert run("linalg.norm(x)", "x=[3,4]")[1].splitlines()[2] == "  value      5."
    assert run("fft.fftfreq(3) * x", "x=3")[0] == 0
