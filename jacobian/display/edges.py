"""Some rows and columns of the flattened matrix, computed from the terms alone."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np

from jacobian.display.raster import cost, is_symbolic, looked_up
from jacobian.kernel.access import plain
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Pattern, Shape
from jacobian.kernel.structure import reached
from jacobian.kernel.term import Term

EDGE = 3  # rows and columns that are shown at either end


class Part(NamedTuple):
    """Rows and columns of the matrix: their positions, the values, and whether the terms reach them."""

    rows: list[int]
    cols: list[int]
    values: np.ndarray
    reached: np.ndarray


def part(J: Jacobian, rows: list[int], cols: list[int], most_work: int) -> Part | None:
    """Those rows and columns; None when computing them takes more multiplications than that."""
    if is_symbolic(J):
        return None
    if len(rows) * len(cols) == J.size:
        few = J
    else:
        few = _selection(rows, J.out_shape, J.dtype).after(J).after(_selection(cols, J.in_shape, J.dtype).T)
    if cost(few) > most_work:
        return None
    mask = np.zeros(few.size, bool)
    for term in few.terms:
        flat, valid = reached(term, few.shape)
        mask[np.broadcast_to(flat, valid.shape)[valid]] = True
    return Part(rows, cols, np.asarray(few.matrix()), mask.reshape(len(rows), len(cols)))


def _selection(positions: list[int], shape: Shape, dtype: np.dtype[np.generic]) -> Jacobian:
    """The Jacobian of `x -> x.ravel()[positions]`; of a number there is one position."""
    if not shape:
        return Jacobian((Term(Pattern((1,), (plain(0),), (), (1,), ())),), (1,), (), dtype)
    return looked_up(np.unravel_index(positions, shape), shape, dtype)


def shown(count: int, most: int) -> list[int]:
    """The positions that are shown of `count` when there is room for `most`: all, or the edges.

    >>> shown(100, 16)
    [0, 1, 2, 97, 98, 99]
    """
    return list(range(count)) if count <= most else [*range(EDGE), *range(count - EDGE, count)]


def index_vectors(positions: list[int], shape: Shape) -> list[tuple[int, ...]]:
    """The index vectors of flat positions."""
    if not shape or not positions:
        return [() for _ in positions]
    return [tuple(map(int, vector)) for vector in zip(*np.unravel_index(positions, shape), strict=True)]


def changes(before: int, position: int, shape: Shape) -> int:
    """How heavy the rule between two rows is: 0 while the last axis alone changes, 1 for the one before it, else 2."""
    for level, axis in ((2, len(shape) - 2), (1, len(shape) - 1)):
        inner = prod(shape[axis:]) if axis > 0 else 0
        if inner and before // inner != position // inner:
            return level
    return 0
