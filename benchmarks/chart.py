"""The dense workloads at a glance: how ours compares with the best peer and with NumPy by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from benchmarks.report import ratio

AHEAD, BEHIND = "#0072B2", "#D55E00"  # told apart with every kind of colour vision, and in grey


def draw(results: dict[str, Any], folder: Path) -> None:
    """Write `chart.svg` and `chart.png`."""
    rows = [row for row in results.get("dense", []) if "failed" not in row]
    if not rows:
        return
    rows.sort(key=lambda row: row.get("peer/ours") or 0.0)
    mpl.rcParams["svg.hashsalt"] = "jacobian"  # the same picture for the same numbers
    figure = Figure(figsize=(11, 1.4 + 0.235 * len(rows)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.5, 1))
    names = [row["name"] for row in rows]
    _panel(left, [row.get("peer/ours") for row in rows], "best peer / ours: right of the line, ours is faster", up=True)
    by_hand = [row.get("ours/hand") for row in rows]
    _panel(right, by_hand, "ours / NumPy by hand: left of the line, ours is faster", up=False)
    left.set_yticks(range(len(rows)), names)
    left.set_ylim(-0.7, len(rows) - 0.3)
    for row, y in zip(rows, range(len(rows)), strict=True):
        if "best peer" in row:
            left.annotate(
                f"{ratio(row['peer/ours'])}  {row['best peer'].removesuffix(', no_grad')}", (row["peer/ours"], y),
                xytext=(7, 0) if row["peer/ours"] >= 1 else (-7, 0), textcoords="offset points", va="center",
                ha="left" if row["peer/ours"] >= 1 else "right", fontsize=7, color="#444444",
            )  # fmt: skip
    figure.savefig(folder / "chart.svg", metadata={"Date": None})
    figure.savefig(folder / "chart.png", dpi=130, metadata={"Software": None})


def _panel(axes: Axes, values: list[float | None], title: str, *, up: bool) -> None:
    """One dot per workload on a logarithmic axis, with a stem from the line where both are equal."""
    for y, value in enumerate(values):
        if value is None:
            continue
        colour = AHEAD if (value >= 1) == up else BEHIND
        axes.plot([1, value], [y, y], color=colour, linewidth=1.6, alpha=0.5, solid_capstyle="butt")
        axes.plot(value, y, "o" if colour == AHEAD else "D", color=colour, markersize=5)
    known = [1.0, *(value for value in values if value is not None)]
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    low, high = math.log10(min(known)), math.log10(max(known))
    room = (0.3 if up else 0.05) * (high - low) + 0.05  # for what is written beside the dots of the first panel
    axes.set_xlim(10 ** (low - (room if low < 0 else 0.05)), 10 ** (high + room))
    decades = high - low + 2 * room
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 3 else (1.0,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(labelsize=8)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title(title, fontsize=9, loc="left")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
