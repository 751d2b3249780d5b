"""The benchmark's own formulas are right, and what it prints can be read. Nothing here is timed."""

import json
import sys
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

import jacobian as jac
from benchmarks import __main__ as command
from benchmarks import report, summary
from benchmarks.matrix_chain import best_order, multiply, one_sided
from benchmarks.measure import agree, ours
from benchmarks.profile import profile
from benchmarks.sweeps import exponent
from benchmarks.workloads import DENSE, SMALL, Workload

BY_HAND = [workload for workload in (*DENSE.values(), *SMALL.values()) if workload.hand is not None]


@pytest.mark.parametrize("workload", BY_HAND, ids=lambda workload: workload.name)
def test_by_hand_and_ours_agree(workload: Workload) -> None:
    assert workload.hand is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jac.errors.KinkWarning)
        found = [np.asarray(J) for J in ours(workload)(*workload.arguments)]
    assert agree(found, workload.hand(*workload.arguments)) is None


def test_an_unknown_name_is_told_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["atention"]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("there is no benchmark 'atention'\n  did you mean: attention\n  there are: ")
    assert "lorenz" in complaint


def test_the_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list"]) == 0
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines()}
    assert {*DENSE, *SMALL, "mlp-batch", "chains", "imports"} <= listed


MADE_UP = {
    "machine": {
        "processor": "abacus", "cores": 2, "system": "wood", "python": "3.11", "versions": {"numpy": "2.0"},
        "multiplications per second": 4e9,
    },
    "dense": [
        {
            "name": "one", "title": "one", "first": {"ours": 0.5, "JAX jacfwd": 2.0}, "ours": 0.002, "hand": 0.001,
            "bytes": 800, "peers": {"JAX jacfwd": {"seconds": 0.004, "timed": True}, "torch": {"failed": "no torch"}},
            "best peer": "JAX jacfwd", "peer": 0.004, "peer/ours": 2.0, "ours/hand": 2.0, "multiplications": 120000,
            "limit": 0.0005,
            "memory": {"peak": 900, "forward": 100, "dense": 800, "inputs": 100, "structured": 80, "ratio": 1.0,
                       "by_hand": 1800, "ratio_by_hand": 2.0},
        },
        {"name": "two", "failed": "ValueError: no"},
    ],
}  # fmt: skip


def test_tables_of_made_up_results() -> None:
    text = report.markdown(MADE_UP)
    assert "| one      | 2 ms |      4 ms | JAX jacfwd |     2.00× |    1 ms |     2.00× | 800 B |" in text
    assert "- one: torch: no torch" in text
    assert "- two: ValueError: no" in text
    assert "4 thousand million" in text


def test_results_are_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    report.write(MADE_UP, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"results.json", "table.md", "chart.svg", "chart.png"}
    assert json.loads((tmp_path / "results.json").read_text())["dense"][0]["ours"] == 0.002


def test_the_textbook_order_of_a_matrix_chain() -> None:
    sizes = [30, 35, 15, 5, 10, 20, 25]  # Cormen et al., Introduction to Algorithms, section on matrix chains
    cost, _ = best_order(sizes)
    assert cost == 15125
    matrices = [np.random.default_rng(0).normal(size=shape) for shape in pairwise(sizes)]
    assert np.allclose(multiply(matrices, best_order(sizes)), np.linalg.multi_dot(matrices))
    assert one_sided([2, 3, 4, 5], forward=False) == 2 * 3 * 4 + 2 * 4 * 5
    assert one_sided([2, 3, 4, 5], forward=True) == 5 * 4 * 3 + 5 * 3 * 2


def test_exponents() -> None:
    sizes = [10, 100, 1000, 10000]
    assert exponent(sizes, [1.0, 1.0, 10.0, 100.0]) == pytest.approx(1)


def test_the_readme_tells_the_last_measurement() -> None:
    text = summary.README.read_text(encoding="utf-8")
    assert text.partition(summary.START)[2].partition(summary.END)[0] == summary.measured_block()


@pytest.mark.parametrize("workload", [SMALL["arm-scalar"], DENSE["huber-loss"]], ids=lambda one: one.name)
def test_a_profile_tells_what_is_spent_in_a_script(workload: Workload) -> None:
    name, _, around, lines = profile(workload)
    assert name == workload.name and around.endswith("%")
    assert "`" in lines or workload.name == "arm-scalar"  # of whose many lines none takes long
