"""The corpus: no right claim is called wrong, no wrong one right, and the slip is named first in 95 of 100."""

import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from benchmarks import diagnosis
from benchmarks.diagnosis import Case, load, main
from jacobian.checking.slips import SLIPS

WRONG, RIGHT = load("derivations.json"), load("derivations_right.json")


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.name)
def test_a_wrong_claim_is_called_wrong(case: Case) -> None:
    verdict = case.judge(0)
    assert verdict.verdict == "wrong"
    assert not verdict
    assert verdict.formula


@pytest.mark.parametrize("case", RIGHT, ids=lambda case: case.name)
def test_a_right_claim_is_called_right(case: Case) -> None:
    verdict = case.judge(0)
    assert verdict.verdict == (case.layout or "right"), verdict
    assert bool(verdict)


@pytest.mark.parametrize("case", [case for case in RIGHT if case.can_be_array], ids=lambda case: case.name)
def test_a_right_array_is_called_right(case: Case) -> None:
    assert case.judge(1, as_array=True)


@pytest.mark.parametrize("case", [case for case in WRONG if case.can_be_array], ids=lambda case: case.name)
def test_a_wrong_array_is_called_wrong(case: Case) -> None:
    assert not case.judge(1, as_array=True)


def test_the_slip_is_named_first_in_one_sentence_with_the_fix() -> None:
    named = 0
    for case in WRONG:
        found = case.judge(1).diagnosis
        assert found is not None, case.name
        assert found.sentence.endswith(".")
        assert "\n" not in found.sentence
        named += found.slip == case.slip
    assert named >= 0.95 * len(WRONG)


def test_the_corpus_is_large_and_holds_every_slip() -> None:
    assert len(WRONG) >= 120
    assert len({case.f for case in WRONG}) >= 25
    assert len(RIGHT) >= 40
    assert len({(case.name, str(case.args)) for case in (*WRONG, *RIGHT)}) == len(WRONG) + len(RIGHT)
    counts = Counter(case.slip for case in WRONG)
    assert set(counts) <= set(SLIPS)
    extra = {"wrong power", "kernel flipped", "by another input", "right at the given point only", "conjugate"}
    extra |= {"derivative not taken", "derivative of another function", "integrated", "product or chain rule not used"}
    extra |= {"inner derivative put inside", "arguments exchanged", "functions exchanged"}
    assert set(SLIPS) - extra <= set(counts)


def test_the_benchmark_prints_the_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "load", lambda name: load(name)[::8])
    assert main(["--seed", "2"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("slip ")
    assert "right claims; 0 verdicts that are wrong" in printed
