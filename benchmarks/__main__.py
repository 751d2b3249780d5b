"""The command line: `python -m benchmarks [names...] [--quick] [--no-peers] [--list] [--write]`."""

from __future__ import annotations

import argparse
import difflib
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jacobian as jac
from benchmarks import calls, chains, dense, machine, overhead, peers, report, summary, sweeps
from benchmarks.measure import FULL, QUICK, Effort, peak_multiplications
from benchmarks.workloads import DENSE, SMALL

BUSY = 0.5  # load from which on somebody is told

SECTIONS = {
    "large-batch": "structured Jacobian of a batch of 4096", "scans": "scans and transforms of 100000 entries",
    "chains": "multiplications of random matrix chains", "overhead": "tracing per node", "imports": "import time",
}  # fmt: skip
TITLES = {
    **{name: workload.title for name, workload in (DENSE | SMALL).items()},
    **{name: entry[0] for name, entry in sweeps.SWEEPS.items()},
    **SECTIONS,
}


def unknown(names: Sequence[str]) -> str | None:
    """What is wrong with the names, and which there are; None when nothing is."""
    wrong = [name for name in names if name not in TITLES]
    if not wrong:
        return None
    lines = [f"there is no benchmark {', '.join(map(repr, wrong))}"]
    close = [match for name in wrong for match in difflib.get_close_matches(name, TITLES, 1)]
    if close:
        lines.append(f"  did you mean: {', '.join(close)}")
    return "\n".join([*lines, f"  there are: {', '.join(TITLES)}"])


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for, print it, and write it down when it was everything."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition(":")[0])
    parser.add_argument("names", nargs="*", help="which to run (all unless given; see --list)")
    parser.add_argument("--quick", action="store_true", help="few repeats")
    parser.add_argument("--no-peers", action="store_true", help="without the other tools")
    parser.add_argument("--list", action="store_true", help="name all benchmarks and stop")
    parser.add_argument("--write", action="store_true", help="write the results even of a part, or of a quick run")
    options = parser.parse_args(argv)
    if options.list:
        print("\n".join(f"{name:<24} {title}" for name, title in TITLES.items()))
        return 0
    complaint = unknown(options.names)
    if complaint is not None:
        print(complaint, file=sys.stderr)
        return 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jac.errors.KinkWarning)  # relu before pooling makes ties that do not matter
        results = run(set(options.names or TITLES), quick=options.quick, with_peers=not options.no_peers)
    print(report.markdown(results))
    if options.write or not (options.names or options.quick or options.no_peers):
        report.write(results)
    if not (options.names or options.quick or options.no_peers):
        summary.update(results)
    return 0


def run(names: set[str], *, quick: bool, with_peers: bool) -> dict[str, Any]:
    """Measure the named benchmarks."""
    effort = QUICK if quick else FULL
    libraries = peers.installed() if with_peers else []
    missing = [name for name in peers.LIBRARIES if name not in libraries]
    if (machine.load() or 0.0) > BUSY:
        print("the machine is busy: products in several threads lose whole time slices to others", file=sys.stderr)
    peak = peak_multiplications()
    results: dict[str, Any] = {"machine": machine.describe(libraries, peak)}
    if with_peers and missing:
        results["note"] = f"not installed, and left out: {', '.join(missing)}"
    steps = _dense_steps(names, libraries, effort, peak) | _other_steps(names, libraries, effort, quick=quick)
    for (section, name), step in steps.items():
        start = time.perf_counter()
        results.setdefault(section, []).append(_attempt(name, step))
        print(f"{section}: {name}  {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
    return results


Steps = dict[tuple[str, str], Callable[[], Any]]


def _dense_steps(names: set[str], libraries: list[str], effort: Effort, peak: float) -> Steps:
    chosen = {name: workload for name, workload in DENSE.items() if name in names}
    steps: Steps = {}
    for name, workload in chosen.items():
        steps["dense", name] = lambda workload=workload: dense.run(workload, libraries, effort, peak)
    for name, workload in chosen.items():
        steps["orders", name] = lambda workload=workload: dense.orders(workload, effort)
    return steps


def _other_steps(names: set[str], libraries: list[str], effort: Effort, *, quick: bool) -> Steps:
    steps: Steps = {}
    for name, workload in SMALL.items():
        steps["small", name] = lambda workload=workload: calls.run(workload, libraries, quick=quick)
    for name in sweeps.SWEEPS:
        steps["sweeps", name] = lambda name=name: sweeps.sweep(name, effort, quick=quick)
    steps["structured", "large-batch"] = lambda: sweeps.large_batch(effort)
    steps["scans", "scans"] = lambda: {"rows": sweeps.scans(effort)}
    steps["chains", "chains"] = lambda: {"rows": chains.random_chains(5 if quick else 40)}
    steps["overhead", "overhead"] = lambda: {"rows": overhead.per_node(libraries, effort)}
    steps["imports", "imports"] = lambda: {"seconds": overhead.imports(3 if quick else 15)}
    return {key: step for key, step in steps.items() if key[1] in names}


def _attempt(name: str, step: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a step found, or what it failed with: one failure does not end the run."""
    try:
        return step()
    except Exception as error:  # whatever it is, it is in the report
        print(f"  failed: {type(error).__name__}: {error}", file=sys.stderr)
        return {"name": name, "failed": f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"}


if __name__ == "__main__":
    sys.exit(main())
