"""A Jacobian in a terminal: shape first, the formula, and the matrix with `·` for exact zeros."""

from __future__ import annotations

from math import prod

from jacobian.display.edges import Part, changes, index_vectors, part, shown
from jacobian.display.numbers import ZERO, number
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Shape

ROWS, COLUMNS = 16, 16
WIDTH = 100
LONGEST = 400  # characters of a formula
CHEAP = 2**17
"""Multiplications that numbers may cost for the sake of a text: a fraction of a millisecond."""


def text(J: Jacobian) -> str:
    """Shape, structure and formula; below them the matrix or its edges, unless they cost more than a text may.

    >>> import numpy as np, jacobian as jac
    >>> print(text(jac.jacobian(lambda x: x**2)(np.array([1.0, 0.0, -2.0]))))
    Jacobian (3,) × (3,) float64, diagonal: ∂y[i]/∂x[i] = 2 * x[i]
       0  1   2
    0  2  ·   ·
    1  ·  ·   ·
    2  ·  ·  -4
    """
    head = f"Jacobian {J.out_shape} × {J.in_shape} {J.dtype}, {J.structure}: {clipped(J.formula)}{_below(J)}"
    found = edges_of(J, CHEAP) if J.terms else None
    return head if found is None else f"{head}\n{matrix(found, J.out_shape, J.in_shape)}"


def _below(J: Jacobian) -> str:
    where = legend(J)
    return f"\n  where {where}" if where else ""


def legend(J: Jacobian) -> str:
    """What the names in the formula stand for that nobody gave, on one line; empty where there are none."""
    return clipped(", ".join(J.legend))


def clipped(formula: str) -> str:
    """The formula, or its beginning."""
    return formula if len(formula) <= LONGEST else f"{formula[: LONGEST - 2]} …"


def edges_of(J: Jacobian, most_work: int) -> Part | None:
    """The matrix, or its first and last rows and columns; None when that would cost too much."""
    rows, cols = shown(prod(J.out_shape), ROWS), shown(prod(J.in_shape), COLUMNS)
    return part(J, rows, cols, most_work) if rows and cols else None


def matrix(found: Part, out_shape: Shape, in_shape: Shape) -> str:
    """Rows and columns under their index vectors; bars and blank lines where a leading axis changes."""
    if not out_shape and not in_shape:
        return f"  {number(found.values[0, 0])}"
    lines = [["", *_labels(found.cols, in_shape)]]
    for label, row in zip(_labels(found.rows, out_shape), found.values, strict=True):
        lines.append([label, *(ZERO if value == 0 else number(value) for value in row)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines, cols, gap = _narrowed(lines, widths, found.cols)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [_line(line, widths, cols, in_shape, gap) for line in lines]
    for position in range(len(found.rows) - 1, 0, -1):
        before, now = found.rows[position - 1 : position + 1]
        if now != before + 1:
            text.insert(position + 1, "⋮")
        elif changes(before, now, out_shape) and len(text) < 2 * ROWS:
            text.insert(position + 1, "")
    return "\n".join(line.rstrip() for line in text)


def _labels(positions: list[int], shape: Shape) -> list[str]:
    return [",".join(map(str, vector)) for vector in index_vectors(positions, shape)]


def _narrowed(
    lines: list[list[str]], widths: list[int], cols: list[int]
) -> tuple[list[list[str]], list[int], int | None]:
    """Without columns from the middle, so that the line is narrow enough; also says before which one there is a gap."""
    total, keep = sum(widths) + 3 * len(widths), list(range(len(cols)))
    while total > WIDTH and len(keep) > 2:
        middle = keep.pop(len(keep) // 2)
        total -= widths[middle + 1] + 3
    kept = [[line[0], *(line[k + 1] for k in keep)] for line in lines]
    left = [cols[k] for k in keep]
    gap = next((k for k in range(1, len(left)) if left[k] != left[k - 1] + 1), None)
    return kept, left, gap


def _line(line: list[str], widths: list[int], cols: list[int], shape: Shape, gap: int | None) -> str:
    text = line[0].ljust(widths[0])
    for k, (entry, width) in enumerate(zip(line[1:], widths[1:], strict=True)):
        if k == gap:
            text += " …"
        elif k and changes(cols[k - 1], cols[k], shape):
            text += " │"
        text += "  " + entry.rjust(width)
    return text
