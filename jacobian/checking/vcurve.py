"""The V-curve: the error of plain differences against the step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobian.errors import ArgumentError, IndexingError, report

if TYPE_CHECKING:
    from jacobian.checking.differences import Differences

PER_DECADE = 4
DECADES = 16


def draw(found: Differences, entry: Sequence[int] | int | None, ax: Any, options: dict[str, Any]) -> list[Any]:
    """Draw the errors of forward and central differences of one entry, and its error bar; returns the lines."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ArgumentError(
            report("plot needs matplotlib, which is not installed", fix="pip install matplotlib")
        ) from None
    index = _index(found, entry)
    if ax is None:
        ax = plt.gca()
    steps, forward, central = errors_by_step(found, index)
    lines = []
    for errors, label in ((forward, "forward"), (central, "central")):
        seen = np.isfinite(errors) & (errors > 0)  # an error of zero has no logarithm
        lines += ax.loglog(steps[seen], errors[seen], marker=".", **{"label": label, **options})
    bar = float(found.errors[index])
    if np.isfinite(bar) and bar > 0:
        lines.append(ax.axhline(bar, color="grey", linestyle="--", label=f"error bar, {found.method}"))
    ax.set_xlabel("step")
    ax.set_ylabel(f"error of {found.entry(index)}")
    ax.legend()
    return lines


def errors_by_step(found: Differences, index: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """Steps from large to small, and how far forward and central differences are off the value found."""
    split = found.noise.ndim
    row = int(np.ravel_multi_index(index[:split], found.values.shape[:split])) if split else 0
    column = int(np.ravel_multi_index(index[split:], found.values.shape[split:])) if index[split:] else 0
    start = float(found.steps[index])
    top = np.ceil(np.log2(4 * start)) if np.isfinite(start) and start > 0 else 0.0
    steps = np.exp2(np.arange(top + 4, top + 4 - DECADES * np.log2(10), -np.log2(10) / PER_DECADE))
    value = complex(found.values[index])
    with np.errstate(all="ignore"):
        here = found._along(column, 0.0, row)
        up, down = (np.array([found._along(column, side * float(h), row) for h in steps]) for side in (1, -1))
        return steps, np.abs((up - here) / steps - value), np.abs((up - down) / (2 * steps) - value)


def _index(found: Differences, entry: Sequence[int] | int | None) -> tuple[int, ...]:
    """The entry asked for, checked; the one with the widest bar unless one is."""
    if not found.values.size:
        raise IndexingError(report("plot: there are no entries", got=f"shape {found.values.shape}"))
    if entry is None:
        widest = np.nan_to_num(found.errors, nan=np.inf, posinf=np.inf)
        return tuple(map(int, np.unravel_index(int(np.argmax(widest)), widest.shape)))
    index = (entry,) if isinstance(entry, int | np.integer) else tuple(entry)
    shape = found.values.shape
    fits = len(index) == len(shape) and all(-size <= k < size for k, size in zip(index, shape, strict=True))
    if not fits:
        raise IndexingError(
            report(
                f"plot: there is no entry {list(index)}", got=f"shape {shape}", fix="both index vectors in one tuple"
            )
        )
    return tuple(int(k) % size for k, size in zip(index, shape, strict=True))
