"""Where the time of a workload goes: `python -m benchmarks.profile [names...] [--write]`.

A call that is played from a script spends its time in the script's lines; each is timed here by itself, and what is
left is spent around them: comparing what the function reads, copying the arguments, handing out Jacobians.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jacobian as jac
from benchmarks.dense import ours_dense
from benchmarks.measure import timed
from benchmarks.report import seconds, table
from benchmarks.workloads import DENSE, SMALL, Workload
from jacobian.kernel.code import Code

PAGE = Path(__file__).parent / "results" / "profile.md"
ROUNDS = 15
SHOWN = 4  # lines of a workload

_STATEMENT = re.compile(r"^(\s+)(?!def |return |del |in_parts)(\S.*)$")


class Watch:
    """Seconds of every line of the scripts that are compiled while it watches."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.spent: list[float] = []
        self._compile = Code.compile

    def __enter__(self) -> Watch:
        """From now on scripts are compiled with a clock."""

        def compile_with_clock(code: Code, text: str) -> Callable[..., Any]:
            if not text.startswith("def program(inputs)"):
                return self._compile(code, text)
            code.constants |= {"_spent": self.spent, "_now": time.perf_counter}
            return self._compile(code, "\n".join(map(self._clocked, text.split("\n"))))

        Code.compile = compile_with_clock  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        Code.compile = self._compile  # type: ignore[method-assign]

    def _clocked(self, line: str) -> str:
        match = _STATEMENT.match(line)
        if match is None:
            return line
        number = len(self.texts)
        self.texts.append(match.group(2))
        self.spent.append(0.0)
        space = match.group(1)
        after = f"{space}_spent[{number}] += _now() - _start"
        return f"{space}_start = _now()\n{line}\n{after}"


def profile(workload: Workload) -> list[str]:
    """One row: the call, what is spent around the script, and the lines that take longest."""
    watch = Watch()
    call = ours_dense(workload)
    with watch:
        for _ in range(3):
            call()
    if not watch.texts:
        return [workload.name, seconds(min(timed(call) for _ in range(ROUNDS))), "–", "traced at every call"]
    watch.spent[:] = [0.0] * len(watch.spent)
    whole = [timed(call) for _ in range(ROUNDS)]
    lines = sorted(zip(watch.spent, watch.texts, strict=True), reverse=True)
    inside = sum(watch.spent) / ROUNDS
    total = max(statistics.fmean(whole), inside)
    shown = [
        f"{share:.0%} `{_short(text)}`" for spent, text in lines[:SHOWN] if (share := spent / ROUNDS / total) > 0.03
    ]
    return [workload.name, seconds(total), f"{1 - inside / total:.0%}", ", ".join(shown)]


def _short(text: str) -> str:
    text = re.sub(r"^\w+ = ", "", text).replace("|", "¦")
    return text if len(text) <= 70 else text[:69] + "…"


def page(names: Sequence[str]) -> str:
    """The profiles of the named workloads as a page."""
    rows = [profile(workload) for name, workload in (DENSE | SMALL).items() if not names or name in names]
    return "\n".join([
        "# Where the time goes", "",
        "Calls after the second, from the function to dense arrays; every line of a script timed by itself, clock",
        "included. `around` is what is not spent in the script. Memory that is written for the first time is slow:",
        "what `zeros` leaves to the system is paid by the line that writes to it.", "",
        table(["workload", "call", "around", "lines that take longest"], rows),
    ]) + "\n"  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__.partition(":")[0])
    parser.add_argument("names", nargs="*", help="which workloads (all unless given)")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} beside the other results")
    options = parser.parse_args(argv)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jac.errors.KinkWarning)
        text = page(options.names)
    print(text)
    if options.write:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
