"""The documentation of all ops: made from the registry, complete, and as it stands in `docs/`."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jacobian.__main__ import main
from jacobian.display import declared, ops_page
from jacobian.ops import REGISTRY, Op
from tests.conftest import Run

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(("page", "option"), [("ops.md", "--markdown"), ("kinks.md", "--kinks")])
def test_the_pages_in_docs_are_what_the_registry_gives(page: str, option: str, run: Run) -> None:
    """After a change: `python -m jacobian ops --markdown > docs/ops.md`, and `--kinks > docs/kinks.md`."""
    text = (ROOT / "docs" / page).read_text()
    if ops_page.made_with() not in text:
        pytest.skip("NumPy's functions differ from version to version, and so do the pages")
    assert run("ops", option) == (0, text, "")


def test_pages_do_not_depend_on_the_process() -> None:
    """Not on the order of sets."""
    code = (
        "import sys\n"
        "from jacobian.display.ops_page import kinks_markdown, ops_markdown\n"
        "sys.stdout.reconfigure(encoding='utf-8')\n"
        "print(ops_markdown() + kinks_markdown(), end='')"
    )
    for seed in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True, cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert found.stdout == ops_page.ops_markdown() + ops_page.kinks_markdown()


def test_without_scipy_there_is_a_page_too() -> None:
    code = (
        "import sys; sys.modules['scipy'] = sys.modules['scipy.special'] = None\n"
        "from jacobian.display.ops_page import all_ops\nprint(all_ops())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True, cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert "inv  np.linalg.inv" in found.stdout
    assert "expm" not in found.stdout.split()


def test_every_op_is_on_the_page(run: Run) -> None:
    status, text, _ = run("ops")
    lines = text.splitlines()
    names = {op.name for op in REGISTRY if op.built_in}
    assert status == 0
    assert names <= {line.partition(" ")[0] for line in lines if line and not line.startswith(" ")}
    assert lines[-1] == "python -m jacobian ops NAME shows one of them with an example."
    assert "inv  np.linalg.inv\n    ∂Y[i,l]/∂A[j,k] = -Y[i,j] Y[k,l]\n    Kronecker\n    a Kronecker product" in text


@pytest.mark.parametrize("op", declared.known_ops(), ids=lambda op: op.name)
def test_every_op_can_be_shown(op: Op) -> None:
    text = ops_page.one_op(op)
    assert text.startswith(f"{op.name}\n  answers    ")
    assert f"  signature  {op.name}(" in text
    assert op.module.startswith("jacobian.ops.") and f"  declared   {op.module.replace('.', '/')}.py" in text
    if op.samples and op.name != "full":
        assert "  structure  " in text and "\n  matrix     " in text


ONE_OP = """\
absolute
  answers    np.abs, np.absolute, np.fabs
  signature  absolute(x)
  derivative ∂y/∂x = sign(x)
  structure  diagonal
  note       Of a complex z: real(conjugate(z) / y dz). Where x == 0: 0 is taken.
  kinks      where x == 0: 0 is taken, with a KinkWarning
  complex    dy = real(J dz): not holomorphic where y is real
  declared   jacobian/ops/elementwise.py

an example
  x          [ 0.5478 -0.9209 -1.8361]

∂y/∂x
  formula    ∂y[i]/∂x[i] = sign(x[i])
  shape      (3,) × (3,)
  structure  diagonal
  matrix     3 × 3
             [[ 1.  0.  0.]
              [ 0. -1.  0.]
              [ 0.  0. -1.]]
"""


def test_one_op(run: Run) -> None:
    assert run("ops", "absolute") == (0, ONE_OP, "")


def test_several_ops(run: Run) -> None:
    status, text, _ = run("ops", "absolute", "angle")
    assert status == 0
    assert text.startswith(ONE_OP + "\nangle\n  answers    np.angle\n  signature  angle(z, deg=False)\n")
    assert "  derivative by multiply, phase\n" in text
    assert "  kinks      those of phase\n" in text


ERRORS = {
    ("invv",): "UsageError: there is no op 'invv'\n  fix:   did you mean inv or pinv?\n",
    ("inv", "qqqq"): "UsageError: there is no op 'qqqq'\n  fix:   python -m jacobian ops names them all\n",
    ("inv", "--kinks"): "UsageError: a page in Markdown is one of all ops\n  fix:   give no names\n",
    ("--markdown", "--kinks"): (
        "UsageError: argument --kinks: not allowed with argument --markdown\n"
        "  fix:   python -m jacobian --help shows examples\n"
    ),
}


@pytest.mark.parametrize("words", ERRORS, ids=" ".join)
def test_refusals(words: tuple[str, ...], run: Run) -> None:
    assert run("ops", *words) == (2, "", ERRORS[words])


def test_help_mentions_the_pages(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "documentation of all ops, of some of them with examples" in capsys.readouterr().out


def test_an_input_may_be_called_ops(run: Run) -> None:
    status, text, _ = run("ops", "ops=[1,2]")
    assert status == 0 and text.startswith("y = ops\n  shape      (2,) float64\n")


def test_sources_are_shown() -> None:
    assert "  source     The Matrix Cookbook (2012), eq. 60\n" in ops_page.one_op(REGISTRY["inv"])


def test_what_an_op_answers_for_is_named_as_users_do() -> None:
    assert declared.answers(REGISTRY["trace"]) == ["np.trace"]
    assert declared.answers(REGISTRY["relu"]) == []
    assert declared.answered(np.linalg.trace) == ["np.linalg.trace"]
