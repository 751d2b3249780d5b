"""What is seen of a Jacobian while one moves about in it: a window of its matrix, one entry and what is known of it.

Everything is computed from the terms when it is asked for; the full tensor is never made. What is given is plain data
(numbers as text, so that NaN is one too), ready for a browser.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from jacobian.display.edges import changes, part
from jacobian.display.entry_paths import Feeds
from jacobian.display.heatmap import Scale, cells_in
from jacobian.display.nudge import nudge
from jacobian.display.numbers import number
from jacobian.display.page import PIXELS
from jacobian.display.raster import is_symbolic, raster
from jacobian.display.titles import axes_letters, quotient, shapes, title
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.indexing import selection
from jacobian.kernel.notation import at
from jacobian.kernel.pattern import Shape

ROWS, COLUMNS = 24, 24
"""Entries that a window has along either side."""
MOST_WORK = 2**25  # multiplications that a window may cost: some hundredths of a second
MOST_LISTED = 12  # inputs of an output that are named one by one
MOST_INPUTS = 2**16  # inputs of an output that are counted one by one
LONGEST = 600  # characters of a formula
ALL = -1
"""An axis that is not held fixed."""


class Explorer:
    """A Jacobian and what is asked about it.

    Rows and columns are those of the flattened matrix. `fixed` holds for every axis, output axes first, the position
    at which it is cut, or `ALL`.

    >>> import numpy as np, jacobian as jac
    >>> E = Explorer(jac.jacobian(lambda x: x**2)(np.array([1.0, 3.0])))
    >>> E.entry(1, 1)["label"], E.entry(1, 1)["value"], E.entry(1, 1)["formula"]
    ('∂y[1]/∂x[1]', '6', '2 * x[1]')
    """

    def __init__(self, J: Jacobian) -> None:
        self.J = J

    @cached_property
    def feeds(self) -> Feeds:
        """The paths through the function's graph; the function is run again when they are asked for."""
        return Feeds(self.J)

    @cached_property
    def scale(self) -> Scale:
        """One scale of colours for all windows."""
        return Scale.of(raster(self.J, cells_in(PIXELS)).values) if self.J.size else Scale(0.0, 0.0)

    def head(self) -> dict[str, Any]:
        """What never changes: title, formula, structure, axes."""
        J = self.J
        letters = [letter for side in axes_letters(J) for letter in side.split(",") if letter]
        sides = ["input", "output"] if J.denominator else ["output", "input"]
        sides = [sides[0]] * len(J.out_shape) + [sides[1]] * len(J.in_shape)
        return {
            "title": title(J), "formula": _clipped(J.formula), "structure": str(J.structure), "shapes": shapes(J),
            "rows": "inputs" if J.denominator else "outputs", "columns": "outputs" if J.denominator else "inputs",
            "axes": [{"letter": a, "size": n, "side": s} for a, n, s in zip(letters, J.shape, sides, strict=True)],
            "quotient": quotient(J), "names": list(J.names), "denominator": J.denominator,
            "corner": " \\ ".join(letters for letters in axes_letters(J) if letters),
        }  # fmt: skip

    @property
    def nudges(self) -> bool:
        """Whether its function is known, so that y + J·Δx can be held against f(x+Δx)."""
        J = self.J
        return J.origin is not None and J.dtype.kind == "f" and not J.denominator and not is_symbolic(J)

    def first_cut(self) -> list[int]:
        """Leading axes are held at 0 until what is left along either side fits in a window."""
        return [*_cut(self.J.out_shape, ROWS), *_cut(self.J.in_shape, COLUMNS)]

    def valid_cut(self, fixed: Sequence[int]) -> list[int]:
        """Positions within their axes."""
        if len(fixed) != self.J.ndim:
            return self.first_cut()
        return [max(ALL, min(int(place), n - 1)) for place, n in zip(fixed, self.J.shape, strict=True)]

    def window(self, fixed: Sequence[int], offset: Sequence[int]) -> dict[str, Any]:
        """Rows and columns from `offset` on among those that the cut leaves, with their index vectors and cells.

        A cell has a text, a strength between -1 and 1, and a kind: `value`, `zero` by structure, `chance` for a
        zero by value, `nan`, `complex`, or `unknown` where computing it costs too much.
        """
        fixed = self.valid_cut(fixed)
        out, into = fixed[: len(self.J.out_shape)], fixed[len(self.J.out_shape) :]
        rows, row_offset, row_count = _positions(self.J.out_shape, out, offset[0], ROWS)
        cols, col_offset, col_count = _positions(self.J.in_shape, into, offset[1], COLUMNS)
        found = part(self.J, rows, cols, MOST_WORK) if rows and cols else None
        cells = [[["", 0.0, "unknown"] for _ in cols] for _ in rows]
        if found is not None:
            strengths = self.scale.strength(found.values)
            cells = [
                [_cell(*three) for three in zip(*line, strict=True)]
                for line in zip(found.values, strengths, found.reached, strict=True)
            ]
        return {
            "rows": [_line(k, rows[k], rows, self.J.out_shape) for k in range(len(rows))],
            "cols": [_line(k, cols[k], cols, self.J.in_shape) for k in range(len(cols))],
            "cells": cells, "offset": [row_offset, col_offset], "count": [row_count, col_count], "fixed": fixed,
        }  # fmt: skip

    def entry(self, row: int, col: int) -> dict[str, Any]:
        """Label, value, formula, the inputs on which its output depends, the paths that feed it, and Δx."""
        J = self.J
        j, i = _vector(row, J.out_shape), _vector(col, J.in_shape)
        found = part(J, [row], [col], MOST_WORK)
        reached = found is None or bool(found.reached[0, 0])
        value = None if found is None else found.values[0, 0]
        answer: dict[str, Any] = {
            "row": row, "col": col, "label": self.label(j, i), "zero": not reached,
            "value": "not computed" if value is None else number(value, 6),
            "formula": self._formula(j, i) if reached else "0, by structure: no path leads there",
            "inputs": self._inputs(row), "paths": None, "nudge": None,
        }  # fmt: skip
        if value is not None and not J.denominator:
            answer["paths"] = self.feeds.of(j, i, value) if reached else {"paths": [], "more": 0}
            if self.nudges:
                answer["nudge"] = nudge(J, j, i, float(value))
        return answer

    def label(self, j: Shape, i: Shape) -> str:
        """∂Y[1,2]/∂X[0,3] of a row and a column, as index vectors."""
        above, below = (i, j) if self.J.denominator else (j, i)
        sign = "∂" if above or below else "d"
        return f"{sign}{at(self.J.names[0], above)}/{sign}{at(self.J.names[1], below)}"

    def _formula(self, j: Shape, i: Shape) -> str:
        """The formula with its indices put in."""
        J = self.J
        rows, cols = selection(j, J.out_shape, J.dtype), selection(i, J.in_shape, J.dtype)
        few = rows.after(J).after(cols.T)
        return _clipped(Jacobian(few.terms, (), (), J.dtype, J.names).formula.partition(" = ")[2]) or "0"

    def _inputs(self, row: int) -> dict[str, Any] | None:
        """The columns that the row reaches by structure; None when there are too many to look at."""
        J = self.J
        width = prod(J.in_shape)
        if width > MOST_INPUTS or is_symbolic(J):
            return None
        found = part(J, [row], list(range(width)), MOST_WORK)
        if found is None:
            return None
        places = np.flatnonzero(found.reached[0])
        name = J.names[0] if J.denominator else J.names[1]
        named = [at(name, _vector(int(place), J.in_shape)) for place in places[:MOST_LISTED]]
        return {
            "of": at(J.names[1] if J.denominator else J.names[0], _vector(row, J.out_shape)),
            "count": int(places.size), "total": width, "named": named,
        }  # fmt: skip


def _clipped(formula: str) -> str:
    return formula if len(formula) <= LONGEST else f"{formula[: LONGEST - 2]} …"


def _vector(position: int, shape: Shape) -> Shape:
    return tuple(map(int, np.unravel_index(position, shape))) if shape else ()


def _cut(shape: Shape, most: int) -> list[int]:
    cut = [ALL] * len(shape)
    for axis in range(len(shape) - 1):
        if prod(shape[axis:]) <= most:
            break
        cut[axis] = 0
    return cut


def _positions(shape: Shape, cut: Sequence[int], offset: int, most: int) -> tuple[list[int], int, int]:
    """Flat positions in the window, where it starts, and how many the cut leaves in all."""
    free = tuple(n for n, place in zip(shape, cut, strict=True) if place == ALL)
    count = prod(free)
    offset = max(0, min(int(offset), count - most))
    inner = np.arange(offset, min(offset + most, count))
    if not shape:
        return inner.tolist(), offset, count
    walking = iter(np.unravel_index(inner, free) if free else ())
    axes = [next(walking) if place == ALL else np.full(inner.shape, place) for place in cut]
    flat = np.ravel_multi_index(axes, shape) if inner.size else inner
    return [int(place) for place in flat], offset, count


def _line(k: int, place: int, places: Sequence[int], shape: Shape) -> dict[str, Any]:
    """The flat position and index vector of a row or column, and whether a leading axis changes before it."""
    before = places[k - 1] if k else place
    return {"at": place, "index": list(_vector(place, shape)), "rule": changes(before, place, shape)}


def _cell(value: Any, strength: float, reached: bool) -> list[Any]:
    if not reached:
        return ["0", 0.0, "zero"]
    if value == 0:
        return ["0", 0.0, "chance"]
    if np.isnan(value):
        return [number(value), 1.0, "nan"]
    complex_ = isinstance(value, complex | np.complexfloating)
    sign = 1.0 if complex_ or value > 0 else -1.0
    return [number(value, 3), round(sign * float(strength), 3), "complex" if complex_ else "value"]
