"""Where an entry comes from, path by path."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from jacobian.checking.derivation import Derivation

Array = np.ndarray[Any, np.dtype[Any]]

MAX_PATHS = 200
SHOWN_PATHS = 8


def contributions(D: Derivation, row: int, column: int) -> list[tuple[float, str]]:
    """What each path adds to one entry of the matrix, the largest first; nothing when there are too many paths."""
    start = np.zeros(prod(D.of.shape))
    start[row] = 1.0
    found: list[tuple[float, str]] = []
    for value, nodes in _walk(D, D.of.index, start, (D.of.index,), column):
        found.append((value, " ← ".join(D.name(index) for index in nodes)))
        if len(found) > MAX_PATHS:
            return []
    return sorted(found, key=lambda one: -abs(one[0]))


def _walk(
    D: Derivation, index: int, arriving: Array, nodes: tuple[int, ...], column: int
) -> Iterator[tuple[float, tuple[int, ...]]]:
    if index == D.wrt.index:
        yield float(arriving[column]), nodes
        return
    for edge in D.into[index]:
        yield from _walk(D, edge.parent, arriving @ D.locals[edge], (*nodes, edge.parent), column)


def explain(D: Derivation, row: int, column: int, true: float) -> str:
    """The paths behind an entry as lines."""
    found = contributions(D, row, column)
    if not found:
        into = D.into[D.of.index]
        return "there are too many paths to list; the last steps are " + ", ".join(
            D.nodes[edge.node].local(edge.operand).formula for edge in into
        )
    lines = [f"{value:>12.6g}  {path}" for value, path in found[:SHOWN_PATHS]]
    if len(found) > SHOWN_PATHS:
        rest = sum(value for value, _ in found[SHOWN_PATHS:])
        lines.append(f"{rest:>12.6g}  {len(found) - SHOWN_PATHS} more paths")
    return "\n".join([*lines, f"{true:>12.6g}  in all"])
