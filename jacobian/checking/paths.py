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

ROUNDED = 16 * float(np.finfo(float).eps)
"""What is so small beside the largest of some numbers that are added up is rounding."""


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


def bundles(D: Derivation, row: int, column: int) -> list[tuple[float, str]]:
    """The same where there are too many: paths with the same last steps are taken together, the largest first."""
    seed, start = np.zeros((prod(D.wrt.shape), 1)), np.zeros(prod(D.of.shape))
    seed[column], start[row] = 1.0, 1.0
    reached = D.forward({}, seed=seed)
    open_ends: list[tuple[Array, tuple[int, ...]]] = [(start, (D.of.index,))]
    while True:
        place = max(range(len(open_ends)), key=lambda k: open_ends[k][1][-1])
        arriving, nodes = open_ends[place]
        into = D.into[nodes[-1]]
        if not into or len(open_ends) + len(into) - 1 > SHOWN_PATHS:
            break
        steps = [(arriving @ D.locals[edge], (*nodes, edge.parent)) for edge in into]
        open_ends[place : place + 1] = steps
    found = []
    for arriving, nodes in open_ends:
        rest = () if nodes[-1] == D.wrt.index else ("…", D.wrt.name)
        value = float(arriving @ reached[nodes[-1]][:, 0])
        found.append((value, " ← ".join((*(D.name(index) for index in nodes), *rest))))
    return sorted(found, key=lambda one: -abs(one[0]))


def explain(D: Derivation, row: int, column: int, true: float) -> str:
    """The paths behind an entry as lines."""
    found = contributions(D, row, column) or bundles(D, row, column)
    told = found[:SHOWN_PATHS]
    if len(found) > SHOWN_PATHS:
        told.append((sum(value for value, _ in found[SHOWN_PATHS:]), f"{len(found) - SHOWN_PATHS} more paths"))
    nothing = ROUNDED * max((abs(value) for value, _ in found), default=0.0)
    lines = [*told, (true, "in all")]
    return "\n".join(f"{value if abs(value) > nothing else 0:>12.6g}  {path}" for value, path in lines)
