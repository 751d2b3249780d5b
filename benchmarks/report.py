"""The results as tables that read well as text and as Markdown, and as files."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
NONE = "–"
Row = dict[str, Any]


def seconds(value: float | None) -> str:
    """A time with three digits.

    >>> seconds(0.00123)
    '1.23 ms'
    """
    if value is None:
        return NONE
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= 0.9995 * size:
            return f"{value / size:.3g} {unit}" if value < 999.5 * size else f"{value / size:.0f} {unit}"
    return f"{value * 1e9:.0f} ns"


def ratio(value: float | None) -> str:
    """A ratio with two digits behind the point, or fewer when it is large."""
    if value is None:
        return NONE
    return f"{value:.2f}×" if value < 9.995 else f"{value:.1f}×" if value < 99.95 else f"{value:.0f}×"


def nbytes(value: float) -> str:
    """A number of bytes."""
    for unit in ("B", "kB", "MB"):
        if value < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"


def count(value: float) -> str:
    """A count, in powers of ten when it is large."""
    return f"{value:.0f}" if value < 1e4 else f"{value:.2g}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns are aligned in plain text too: the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        aligned = [c.ljust(w) if n == 0 else c.rjust(w) for n, (c, w) in enumerate(zip(cells, widths, strict=True))]
        return f"| {' | '.join(aligned)} |"

    rule = "|".join("-" * (w + 2) if n == 0 else "-" * (w + 1) + ":" for n, w in enumerate(widths))
    return "\n".join([line(header), f"|{rule}|", *map(line, rows)])


def _failed(rows: Sequence[Row]) -> list[str]:
    return [f"- {row.get('name', 'one')}: {row['failed']}" for row in rows if isinstance(row.get("failed"), str)]


def measured(rows: Sequence[Row]) -> list[Row]:
    """The rows that did not fail."""
    return [row for row in rows if not isinstance(row.get("failed"), str)]


def _left_out(row: Row) -> list[str]:
    """The peers that have no time, those with the same reason together."""
    reasons: dict[str, list[str]] = {}
    for label, entry in row["peers"].items():
        if "failed" in entry:
            reasons.setdefault(entry["failed"], []).append(label.removesuffix(", no_grad"))
    return [f"- {row['name']}: {', '.join(dict.fromkeys(labels))}: {why}" for why, labels in reasons.items()]


def _dense(rows: Sequence[Row]) -> str:
    header = "workload|ours|best peer|which|peer/ours|by hand|ours/hand|bytes|mult.|limit|ours/limit".split("|")
    lines = [
        [
            row["name"], seconds(row["ours"]), seconds(row.get("peer")), row.get("best peer", NONE),
            ratio(row.get("peer/ours")), seconds(row["hand"]), ratio(row.get("ours/hand")), nbytes(row["bytes"]),
            count(row["multiplications"]), seconds(row["limit"]), ratio(row["ours"] / row["limit"]),
        ]
        for row in measured(rows)
    ]  # fmt: skip
    notes = [note for row in measured(rows) for note in _left_out(row)]
    notes += [
        f"- {row['name']}: by hand: {row['by hand']}"
        for row in measured(rows)
        if row.get("by hand", "agrees") != "agrees"
    ]
    return "\n".join([table(header, lines), "", *_means(measured(rows)), "", *notes, *_failed(rows)])


def _means(rows: Sequence[Row]) -> list[str]:
    """Geometric means, and what the formula by hand would reach where ours is to be ahead of the peers."""
    compared = [row for row in rows if row.get("peer") and row.get("hand")]
    if not compared:
        return []
    ahead = sum(row["peer/ours"] > 1 for row in compared)
    ours = statistics.geometric_mean(row["peer/ours"] for row in compared)
    hand = statistics.geometric_mean(row["peer"] / row["hand"] for row in compared)
    cost = statistics.geometric_mean(row["ours/hand"] for row in compared)
    means = f"best peer / ours {ratio(ours)}, best peer / by hand {ratio(hand)}, ours / by hand {ratio(cost)}"
    return [f"Ahead of the best peer on {ahead} of {len(compared)}. Geometric means: {means}."]


def _all_peers(rows: Sequence[Row]) -> str:
    rows = measured(rows)
    labels = list(dict.fromkeys(label for row in rows for label in row["peers"] if " " in label or label == "Autograd"))
    lines = []
    for row in rows:
        entries = [row["peers"].get(label, {}) for label in labels]
        shown = [
            seconds(entry.get("seconds")) + ("*" if entry.get("seconds") and not entry["timed"] else "")
            for entry in entries
        ]
        lines.append([row["name"], seconds(row["ours"]), *shown])
    note = "\\* not timed on: more than 2 times slower than another mode of its library, or 20 times slower than ours."
    return f"{table(['workload', 'ours', *labels], lines)}\n\n{note}"


def _first(rows: Sequence[Row]) -> str:
    rows = measured(rows)
    labels = list(dict.fromkeys(label for row in rows for label in row["first"]))
    return table(
        ["workload", *labels],
        [[row["name"], *(seconds(row["first"].get(label)) for label in labels)] for row in rows],
    )


def _memory(rows: Sequence[Row]) -> str:
    sizes = ["dense", "inputs", "forward alone", "peak of ours"]
    header = ["workload", *sizes, "peak / (dense + inputs)", "the same by hand", "structured"]
    return table(header, [
        [row["name"], *(nbytes(row["memory"][key]) for key in ("dense", "inputs", "forward", "peak")),
         ratio(row["memory"]["ratio"]), ratio(row["memory"]["ratio_by_hand"]), nbytes(row["memory"]["structured"])]
        for row in measured(rows)
    ])  # fmt: skip


def _orders(rows: Sequence[Row]) -> str:
    names = ("auto", "forward", "reverse")
    lines = []
    for row in rows:
        if isinstance(row.get("failed"), str):
            continue
        lines.append([row["name"], *(seconds(row.get(name)) for name in names), ratio(row.get("auto/best"))])
    notes = [
        f"- {row['name']}: {order}: {text}"
        for row in measured(rows)
        for order, text in row["failed"].items()
    ]  # fmt: skip
    return "\n".join([table(["workload", *names, "auto / better of the two"], lines), "", *notes, *_failed(rows)])


def _chains(rows: Sequence[Row]) -> str:
    chains = [chain for row in measured(rows) for chain in row["rows"]]
    worst = {key: max(chain["ours"] / chain[key] for chain in chains) for key in ("best", "forward", "reverse")}
    saved = sorted(min(chain["forward"], chain["reverse"]) / chain["ours"] for chain in chains)
    lines = [
        ["largest ours / optimum", ratio(worst["best"])],
        ["largest ours / forward", ratio(worst["forward"])],
        ["largest ours / reverse", ratio(worst["reverse"])],
        ["median better of forward and reverse / ours", ratio(saved[len(saved) // 2])],
    ]
    return table([f"multiplications of {len(chains)} random chains", ""], lines)


def _small(rows: Sequence[Row]) -> str:
    libraries = ("Autograd", "PyTorch", "JAX")
    header = ["function", "ours", "by hand", *libraries, *(f"{name}/ours" for name in libraries)]
    lines = [
        [row["name"], seconds(row["seconds"]["ours"]), seconds(row["seconds"].get("hand")),
         *(seconds(row.get(name, {}).get("seconds")) for name in libraries),
         *(ratio(row.get(name, {}).get("ratio")) for name in libraries)]
        for row in measured(rows)
    ]  # fmt: skip
    notes = [f"- {row['name']}: {label}: {text}" for row in measured(rows) for label, text in row["failed"].items()]
    return "\n".join([table(header, lines), "", *notes, *_failed(rows)])


def _sweeps(rows: Sequence[Row]) -> str:
    parts = []
    for row in measured(rows):
        grown = [f"{name} {slope:.2f}" for name, slope in row["exponents"].items()]
        parts.append(f"{row['title']}; exponents of growth: {', '.join(grown)}\n")
        names = list(row["exponents"])
        lines = [
            [count(entry["size"]), *(seconds(entry[name]) for name in names),
             *(ratio(entry[name] / entry["forward"]) for name in names if name != "forward"), nbytes(entry["bytes"])]
            for entry in row["rows"]
        ]  # fmt: skip
        ratios = [f"{name} / forward" for name in names if name != "forward"]
        parts.append(table(["size", *names, *ratios, "held"], lines) + "\n")
    return "\n".join([*parts, *_failed(rows)])


def _structured(rows: Sequence[Row]) -> str:
    lines = [[name, seconds(time), ratio(time / row["times"]["forward"])]
             for row in measured(rows) for name, time in row["times"].items()]  # fmt: skip
    notes = [f"Held: {nbytes(row['bytes'])}; dense it would be {nbytes(row['dense'])}." for row in measured(rows)]
    return "\n".join([table(["MLP 64→128→32, batch 4096", "time", "/ forward"], lines), "", *notes, *_failed(rows)])


def _scans(rows: Sequence[Row]) -> str:
    lines = [
        [entry["name"], seconds(entry.get("ours")), seconds(entry.get("forward")), ratio(entry.get("ratio"))]
        for row in measured(rows)
        for entry in row["rows"]
    ]
    inner = [entry for row in measured(rows) for entry in row["rows"]]
    header = ["100000 entries to one number", "ours, dense", "forward pass", "ratio"]
    return "\n".join([table(header, lines), "", *_failed(inner), *_failed(rows)])


def _overhead(rows: Sequence[Row]) -> str:
    entries = [entry for row in measured(rows) for entry in row["rows"]]
    names = [name for name in entries[0] if name != "title"]
    lines = [[name, *(seconds(entry[name]) for entry in entries)] for name in names]
    return table(["seconds per node", *(entry["title"] for entry in entries)], lines)


def _imports(rows: Sequence[Row]) -> str:
    lines = [[name, seconds(time)] for row in measured(rows) for name, time in row["seconds"].items()]
    return table(["import", "time"], lines)


DENSE_EXPLAINED = """\
From the call to dense float64 arrays, medians of interleaved rounds. `peer/ours` above 1 means ours is faster. `limit`
is what the machine needs to write the result into fresh memory and to do the multiplications of our plan at the peak of
its matrix product; a sparse result need not touch all of its memory, and freed memory is faster than fresh one."""

SECTIONS: list[tuple[str, str, str, Callable[[Sequence[Row]], str]]] = [
    ("dense", "Dense Jacobians", DENSE_EXPLAINED, _dense),
    ("dense", "Every peer", "", _all_peers),
    ("dense", "First call", "Compilation included.", _first),
    ("dense", "Memory", "What NumPy allocates at the highest point, beside the result and the inputs.", _memory),
    ("orders", "Orders of elimination", "", _orders),
    ("chains", "Matrix chains", "", _chains),
    ("small", "Small functions", "Seconds per call, of a thousand calls.", _small),
    ("structured", "A large batch, structured", "", _structured),
    ("sweeps", "Growth", "Structured Jacobians, products computed; nothing is made dense.", _sweeps),
    ("scans", "Scans and transforms", "", _scans),
    ("overhead", "Overhead per node", "A chain of 400 cheap operations.", _overhead),
    ("imports", "Import", "", _imports),
]  # fmt: skip


def markdown(results: dict[str, Any]) -> str:
    """All tables of what was measured."""
    parts = ["# Results", _machine(results["machine"])]
    if "note" in results:
        parts.append(f"Note: {results['note']}.")
    for key, title, explanation, render in SECTIONS:
        rows = results.get(key)
        if not rows:
            continue
        body = render(rows) if measured(rows) else "\n".join(_failed(rows))
        parts += [f"## {title}", *([explanation] if explanation else []), body.strip()]
    return "\n\n".join(parts) + "\n"


def _machine(machine: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    peak = machine["multiplications per second"] / 1e9
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']}; "
        f"{versions}. Peak of a matrix product: {peak:.0f} thousand million multiplications per second."
        + (f" Load at the start: {machine['load']:.1f}." if machine.get("load") is not None else "")
    )


def write(results: dict[str, Any], folder: Path = RESULTS) -> None:
    """The results as JSON, as Markdown, and as a chart where matplotlib is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "table.md").write_text(markdown(results), encoding="utf-8")
    try:
        from benchmarks.chart import draw
    except ImportError:
        return
    draw(results, folder)
