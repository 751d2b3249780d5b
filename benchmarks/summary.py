"""What the README tells of the measurements: written into it by `python -m benchmarks`, between two marks."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS, measured, ratio, seconds, table

README = Path(__file__).parent.parent / "README.md"
START, END = "<!-- measured by python -m benchmarks -->\n", "<!-- end of what is measured -->\n"
CLOSE = 1.3  # times NumPy by hand
PAGES = """\
[All tables](benchmarks/results/table.md); [where the time goes](benchmarks/results/profile.md), line by line;
[what is behind, and why](benchmarks/README.md)."""


def block(results: dict[str, Any]) -> str:
    """The block of the README for these results."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if name != "jacobian")
    parts = [
        f"On {machine['cores']} cores ({machine['processor']}), float64, Python {machine['python']}, {versions}:",
        _dense(measured(results.get("dense", []))),
        "![Dense Jacobians: best peer and NumPy by hand, against ours](benchmarks/results/chart.svg)",
        _small(measured(results.get("small", []))),
        _others(results),
        PAGES,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _dense(rows: list[dict[str, Any]]) -> str:
    compared = [row for row in rows if row.get("peer") and row.get("hand")]
    if not compared:
        return ""
    behind = sorted((row for row in compared if row["peer/ours"] <= 1), key=lambda row: row["peer/ours"])
    far = sorted((row for row in compared if row["ours/hand"] > CLOSE), key=lambda row: -row["ours/hand"])
    mean = statistics.geometric_mean(row["peer/ours"] for row in compared)
    reach = statistics.geometric_mean(row["peer"] / row["hand"] for row in compared)
    cost = statistics.geometric_mean(row["ours/hand"] for row in compared)
    ahead, near = len(compared) - len(behind), len(compared) - len(far)
    return "\n".join([
        f"- {len(compared)} dense workloads against the best of compiled JAX, PyTorch and Autograd: ahead on {ahead},",
        f"  {ratio(mean)} in the geometric mean.{_named(' Behind', behind, 'peer/ours')}",
        f"- Against the fastest formula by hand, itself {ratio(reach)} ahead of the best peer: {ratio(cost)} its time",
        f"  in the geometric mean, at most {CLOSE}× on {near}.{_named(' Above', far, 'ours/hand')}",
    ])  # fmt: skip


def _named(what: str, rows: list[dict[str, Any]], key: str) -> str:
    return f"{what}: {', '.join(f'{name} {ratio(value)}' for name, value in _pairs(rows, key))}." if rows else ""


def _pairs(rows: list[dict[str, Any]], key: str) -> list[tuple[str, float]]:
    return [(row["name"], row[key]) for row in rows]


def _small(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    libraries = ("Autograd", "PyTorch", "JAX")
    lines = [
        [row["title"], seconds(row["seconds"]["ours"]), seconds(row["seconds"].get("hand")),
         *(seconds(row.get(library, {}).get("seconds")) for library in libraries)]
        for row in rows
    ]  # fmt: skip
    return table(
        ["small functions, time per call", "ours", "by hand", "Autograd", "torch.func", "JAX, compiled"], lines
    )


def _others(results: dict[str, Any]) -> str:
    lines: list[str] = []
    for row in measured(results.get("structured", [])):
        share = ratio(row["times"]["the Jacobian"] / row["times"]["forward"])
        lines.append(
            f"- The structured Jacobian of a batch of 4096 through an MLP: {share} the time of the forward pass."
        )
    for row in measured(results.get("sweeps", [])):
        slopes = {name: slope for name, slope in row["exponents"].items() if name != "forward"}
        grown = ", ".join(f"{slope:.2f}" + (f" ({name})" if len(slopes) > 1 else "") for name, slope in slopes.items())
        lines.append(f"- {row['title']}: time grows with exponent {grown}; forward {row['exponents']['forward']:.2f}.")
    rows = [entry for row in measured(results.get("scans", [])) for entry in measured(row["rows"])]
    if rows:
        told = ", ".join(f"{entry['name'].removeprefix('np.')} {ratio(entry['ratio'])}" for entry in rows)
        lines.append(f"- Gradients through 100,000 entries, in forward passes: {told}.")
    return "\n".join(lines)


def update(results: dict[str, Any], readme: Path = README) -> None:
    """Write the block into the README."""
    text = readme.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    readme.write_text(f"{before}{START}{block(results)}{END}{after}", encoding="utf-8")


def measured_block() -> str:
    """The block for the results that are kept in the repository."""
    return block(json.loads((RESULTS / "results.json").read_text(encoding="utf-8")))
