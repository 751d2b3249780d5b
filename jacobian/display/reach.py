"""Which cells of a grid over the flattened matrix a term may reach, by interval arithmetic on its axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from jacobian.kernel.access import Form, Lookup, indices
from jacobian.kernel.pattern import Shape
from jacobian.kernel.positions import values_at
from jacobian.kernel.term import Term

MOST_BOXES = 2**17

Bounds = tuple[np.ndarray, np.ndarray]


def boxes(term: Term, grid: Shape, entries: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A mask of the grid; every cell that the term reaches is in it, and it may hold neighbours of those.

    The ranges of the free indices are cut so finely that within a piece a position moves by a cell at most; for each
    box of pieces the rows and columns lie in intervals. What a box cannot reach for its guards is left out.
    Also gives the row and the column of one entry in every box where its first corner is one.
    """
    pattern = term.pattern
    free = pattern.free
    pieces = _pieces(term, entries)
    ranges: dict[int, Bounds] = {}
    for index, size in enumerate(pattern.sizes):
        if index in free:
            cuts = np.linspace(0, size, pieces[index] + 1).astype(np.int64)
            shape = [-1 if other == index else 1 for other in free]
            ranges[index] = cuts[:-1].reshape(shape), (cuts[1:] - 1).reshape(shape)
        else:
            ranges[index] = np.zeros((), np.int64), np.array(size - 1)
    full = tuple(pieces[index] for index in free)
    alive = np.ones(full, bool)
    for guard in pattern.guards:
        low, high = _bounds(guard.form, ranges, term)
        alive = alive & (high >= 0) & (low < guard.extent)
    sides: list[Bounds] = []
    for forms, extents, width in (
        (pattern.out, pattern.out_shape, entries[0]), (pattern.into, pattern.in_shape, entries[1])
    ):  # fmt: skip
        first, last = np.zeros((), np.int64), np.zeros((), np.int64)
        for form, extent in zip(forms, extents, strict=True):
            low, high = _bounds(form, ranges, term)
            alive = alive & (high >= 0) & (low < extent)
            first = first * extent + np.clip(low, 0, extent - 1)
            last = last * extent + np.clip(high, 0, extent - 1)
        sides.append((first // width, last // width))
    places = [tuple(np.broadcast_to(end, full)[alive] for end in side) for side in sides]
    corner = {k: np.broadcast_to(ranges[k][0], full)[alive] for k in free}
    return _painted(places[0], places[1], grid), *_positions(term, corner, int(alive.sum()))


def _positions(term: Term, corner: dict[int, np.ndarray], size: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows and columns of assignments that are listed, without those that leave the matrix."""
    pattern = term.pattern
    inside, flats = np.ones(size, bool), []
    for guard in pattern.guards:
        if set(indices(guard.form)) <= set(pattern.free):
            value = values_at(guard.form, corner, term.tables)
            inside &= (value >= 0) & (value < guard.extent)
    for forms, extents in ((pattern.out, pattern.out_shape), (pattern.into, pattern.in_shape)):
        flat = np.zeros(size, np.int64)
        for form, extent in zip(forms, extents, strict=True):
            value = values_at(form, corner, term.tables)
            inside &= (value >= 0) & (value < extent)
            flat = flat * extent + value
        flats.append(flat)
    return flats[0][inside], flats[1][inside]


def _painted(rows: Sequence[np.ndarray], cols: Sequence[np.ndarray], grid: Shape) -> np.ndarray:
    """The union of rectangles of cells, from first to last: their corners, summed twice."""
    (top, bottom), (left, right) = rows, cols
    corners = np.zeros((grid[0] + 1, grid[1] + 1), np.int64)
    for row, col, sign in ((top, left, 1), (bottom + 1, left, -1), (top, right + 1, -1), (bottom + 1, right + 1, 1)):
        np.add.at(corners, (row, col), sign)
    painted: np.ndarray = corners.cumsum(0).cumsum(1)[:-1, :-1] > 0
    return painted


def _pieces(term: Term, entries: tuple[int, int]) -> dict[int, int]:
    """In how many pieces the range of every free index is cut."""
    pattern = term.pattern
    moves = dict.fromkeys(pattern.free, 0.0)  # by how many cells a position moves when the index moves by one
    for forms, extents, width in (
        (pattern.out, pattern.out_shape, entries[0]), (pattern.into, pattern.in_shape, entries[1])
    ):  # fmt: skip
        for axis, form in enumerate(forms):
            step = prod(extents[axis + 1 :]) / width
            for atom, stride in form.parts:
                for index in indices(*atom.args) if isinstance(atom, Lookup) else (atom,):
                    moves[index] = max(moves[index], 1.0 if isinstance(atom, Lookup) else abs(stride) * step)
    pieces = {k: max(1, min(pattern.sizes[k], int(np.ceil(pattern.sizes[k] * moves[k])))) for k in pattern.free}
    while prod(pieces.values()) > MOST_BOXES:
        widest = max(pieces, key=lambda k: pieces[k])
        pieces[widest] = -(-pieces[widest] // 2)
    return pieces


def _bounds(form: Form, ranges: dict[int, Bounds], term: Term) -> Bounds:
    """The least and the greatest value of the form in every box."""
    low = high = np.array(form.offset)
    for atom, stride in form.parts:
        least, most = _looked_up(atom, ranges, term) if isinstance(atom, Lookup) else ranges[atom]
        if stride < 0:
            least, most = most, least
        low, high = low + stride * least, high + stride * most
    return low, high


def _looked_up(atom: Lookup, ranges: dict[int, Bounds], term: Term) -> Bounds:
    """What a table says in every box: exact for a table along one index, else anything that stands in it."""
    table = term.tables[atom.table]
    if table.ndim == 1 and atom.args[0].is_plain:
        first, last = ranges[next(indices(*atom.args))]
        starts = np.clip(first.reshape(-1), 0, table.size - 1)
        if first.size > 1 and last.reshape(-1)[-1] < table.size:
            cut = table[: int(last.reshape(-1)[-1]) + 1]
            return (
                np.minimum.reduceat(cut, starts).reshape(first.shape),
                np.maximum.reduceat(cut, starts).reshape(first.shape),
            )
    return np.array(table.min(initial=2**62)), np.array(table.max(initial=-(2**62)))
