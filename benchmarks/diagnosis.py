"""How well slips are found: every derivation of the corpus is judged, and the first diagnosis compared with the slip.

`python -m benchmarks.diagnosis [--seed N] [--arrays]` prints the table. With `--arrays` a claim that is a function is
handed over as the array it gives, at one point.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import jacobian as jac
from jacobian.checking.index_notation import is_formula
from jacobian.expressions import Expression
from jacobian.expressions.vocabulary import functions

DATA = Path(__file__).parent.parent / "tests" / "data"
SLOW = 2.0


@dataclass(frozen=True)
class Case:
    """One entry of the corpus."""

    f: str
    args: dict[str, Any]
    wrt: str
    kind: str
    claim: str
    slip: str = ""
    layout: str = ""

    @property
    def name(self) -> str:
        """The function and the claim, for reports."""
        return f"{self.f} | {self.wrt} | {self.kind} | {self.claim}"

    def function(self) -> Any:
        """The function: an expression, or several lines of which the last is returned."""
        if ";" not in self.f:
            return Expression(self.f, tuple(self.args))
        *lines, last = (line.strip() for line in self.f.split(";"))
        body = "\n".join(f"    {line}" for line in (*lines, f"return {last}"))
        scope = dict(functions())
        exec(f"def f({', '.join(self.args)}):\n{body}", scope)
        return scope["f"]

    def judge(self, seed: int = 0, *, as_array: bool = False) -> jac.Verdict:
        """The verdict on the claim, at arguments drawn from a seed."""
        f = self.function()
        rng = np.random.default_rng(seed)
        args = [draw(rng, given) for given in self.args.values()]
        argnum = list(self.args).index(self.wrt)
        claim: Any = self.claim
        if as_array and self.can_be_array:
            names = [*self.args, "y"]
            claim = Expression(self.claim, names)(*args, f(*args))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", jac.errors.KinkWarning)
            return jac.verify(f, *args, claim=claim, argnums=argnum, kind=self.kind)

    @property
    def can_be_array(self) -> bool:
        """Whether the claim is an expression of the inputs alone."""
        return self.kind != "downstream" and ";" not in self.f and not is_formula(self.claim)


def draw(rng: np.random.Generator, given: Any) -> Any:
    """An argument: a shape, or a kind and a shape such as `"spd 3,3"`."""
    if isinstance(given, list):
        return rng.standard_normal(given)
    if given == "scalar":
        return np.asarray(rng.uniform(0.5, 2.0))
    kind, _, text = given.partition(" ")
    shape = tuple(int(size) for size in text.split(","))
    X = rng.standard_normal(shape)
    if kind == "pos":
        return np.exp(0.5 * X)
    if kind == "unit":
        return 1 / (1 + np.exp(-X))
    if kind == "signs":
        return np.sign(X)
    if kind == "causal":
        return np.tri(*shape)
    if kind == "onehot":
        return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
    if kind == "sym":
        return (X + X.T) / 2
    if kind == "spd":
        return X @ X.T / shape[0] + np.eye(shape[0])
    if kind == "inv":
        return X + 2.5 * np.eye(shape[0])
    if kind == "posdet":
        return X @ X.T / shape[0] + np.eye(shape[0]) + 0.3 * (np.triu(X) - np.triu(X).T)
    raise ValueError(f"unknown kind {kind}")


def load(name: str) -> list[Case]:
    """The entries of one file of the corpus."""
    return [Case(**entry) for entry in json.loads((DATA / name).read_text())["derivations"]]


def main(argv: Sequence[str] | None = None) -> int:
    """Judge everything and print the table; 1 when a right claim is called wrong, or a wrong one right."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.diagnosis")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--arrays", action="store_true", help="hand functions over as arrays")
    options = parser.parse_args(argv)
    wrong, right = load("derivations.json"), load("derivations_right.json")
    found: dict[str, Counter[str]] = defaultdict(Counter)
    alarms: list[str] = []
    missed: list[str] = []
    times: list[float] = []
    for case in (*wrong, *right):
        if options.arrays and not case.can_be_array:
            continue
        start = time.perf_counter()
        try:
            verdict = case.judge(options.seed, as_array=options.arrays)
        except jac.errors.JacobianError as error:
            alarms.append(f"{case.name}: {error}")
            continue
        times.append(time.perf_counter() - start)
        if bool(verdict) == bool(case.slip) or (not case.slip and verdict.verdict != (case.layout or "right")):
            alarms.append(f"{case.name}: {verdict.verdict}")
        if case.slip:
            found[case.slip][verdict.slip or "nothing"] += 1
            if verdict.slip != case.slip:
                also = ", ".join(verdict.diagnosis.also) if verdict.diagnosis else ""
                missed.append(f"{case.slip} -> {verdict.slip} ({also}): {case.name}")
    print(table(found))
    total = sum(counter.total() for counter in found.values())
    hit = sum(counter[slip] for slip, counter in found.items())
    functions = len({case.f for case in wrong})
    print(f"\n{hit} of {total} slips named first ({100 * hit / total:.1f} %), over {functions} functions")
    print(f"{len(right)} right claims; {len(alarms)} verdicts that are wrong")
    print(f"time of a verdict: median {1e3 * np.median(times):.0f} ms, longest {max(times):.2f} s")
    for title, lines in (("verdicts that are wrong", alarms), ("slips named otherwise", missed)):
        if lines:
            print(f"\n{title}:", *lines, sep="\n  ")
    return 1 if alarms else 0


def table(found: dict[str, Counter[str]]) -> str:
    """A row for every slip: how often it stands in the corpus, how often it is named, and what else is named."""
    rows = [f"{'slip':<34} {'cases':>5} {'named':>5}  else"]
    for slip, counter in sorted(found.items()):
        rest = ", ".join(f"{name} {count}" for name, count in counter.most_common() if name != slip)
        rows.append(f"{slip:<34} {counter.total():>5} {counter[slip]:>5}  {rest}")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
