"""The flattened matrix of a Jacobian as a grid of cells, computed from the terms: what a picture of it needs.

A matrix that has more rows or columns than cells is pooled: a cell stands for a block of entries and shows the one
of greatest magnitude. The full tensor of a large Jacobian is never made. What is done, by what it costs:

1. few entries and cheap to contract: the matrix itself;
2. few entries that the terms reach: those are listed, with their values;
3. else: which cells the terms may reach, by interval arithmetic on their axes (no cell they do reach is left out), and
   the values of a sample of entries, if even that is cheap.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from jacobian.display.reach import boxes
from jacobian.kernel.access import Form, Lookup, Table, plain
from jacobian.kernel.dispatch import is_foreign
from jacobian.kernel.explain import multiplications
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.indexing import selection
from jacobian.kernel.pattern import Pattern, Shape
from jacobian.kernel.sparse import entries_of, triples
from jacobian.kernel.structure import reached
from jacobian.kernel.term import Operator, Term

DENSE_ENTRIES = 2**14
LISTED_ENTRIES = 2**18
MOST_WORK = 2**24  # multiplications that a look may cost: some hundredths of a second


Entries = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Values, rows and columns."""


class Summary(NamedTuple):
    """What is known of the values: the least and greatest finite one that the terms reach, and those not finite.

    Of complex numbers it is the magnitudes. `whole` says whether all entries were looked at, and not a sample.
    """

    low: float
    high: float
    nans: int
    infinities: int
    whole: bool

    @classmethod
    def of(cls, values: np.ndarray, *, whole: bool) -> Summary | None:
        """Of a list of values; None when there are none."""
        if not values.size:
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            size = np.abs(values) if values.dtype.kind == "c" else values
        nans = np.isnan(size)
        finite = size[np.isfinite(size)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (np.nan, np.nan)
        return cls(low, high, int(nans.sum()), int(np.isinf(size).sum()), whole)


class Raster(NamedTuple):
    """A grid of cells; `entries` says how many rows and columns of the matrix one cell stands for."""

    values: np.ndarray
    """The entry of greatest magnitude in every cell; zero where nothing is known to be there."""
    reached: np.ndarray
    """Whether the terms reach the cell; where they do not, its entries are zero by structure."""
    known: np.ndarray
    """Whether the values of the cell were looked at."""
    entries: tuple[int, int]
    summary: Summary | None

    @property
    def pooled(self) -> bool:
        """Whether a cell stands for more than one entry."""
        return self.entries != (1, 1)


def raster(J: Jacobian, cells: int) -> Raster:
    """The matrix with at most that many cells along either side; both sides must have entries."""
    size = (prod(J.out_shape), prod(J.in_shape))
    entries = (block_of(J.out_shape, cells), block_of(J.in_shape, cells))
    grid = (-(-size[0] // entries[0]), -(-size[1] // entries[1]))
    if is_symbolic(J):
        return Raster(np.zeros(grid), *_unseen(J, grid, entries), entries, None)
    cheap = cost(J) <= MOST_WORK
    if cheap and J.size <= DENSE_ENTRIES:
        return _pooled(np.asarray(J.matrix()).ravel(), *_everywhere(size), _mask(J).ravel(), grid, entries)
    if not J.terms:
        return Raster(np.zeros(grid, J.dtype), np.zeros(grid, bool), np.ones(grid, bool), entries, None)
    if cheap and sum(entries_of(term, LISTED_ENTRIES) for term in J.terms) <= LISTED_ENTRIES:
        values, rows, cols = _added(*triples(J), size[1])
        return _pooled(values, rows, cols, np.ones(values.shape, bool), grid, entries)
    return _sampled(J, grid, entries)


def is_symbolic(J: Jacobian) -> bool:
    """Whether its numbers are not NumPy's, so that nothing is computed for the sake of a look."""
    return any(is_foreign(factor.array) for term in J.terms for factor in term.factors)


def cost(J: Jacobian) -> int:
    """Multiplications that computing its numbers takes, near enough to decide whether to."""
    built = sum(prod(f.array.shape) for t in J.terms for f in t.factors if isinstance(f.array, Operator))
    return built + sum(multiplications(term) for term in J.terms)


def _mask(J: Jacobian) -> np.ndarray:
    """Which entries of the matrix the terms reach, one by one."""
    mask = np.zeros(J.size, bool)
    for term in J.terms:
        flat, valid = reached(term, J.shape)
        mask[np.broadcast_to(flat, valid.shape)[valid]] = True
    return mask.reshape(prod(J.out_shape), prod(J.in_shape))


def _everywhere(size: Shape) -> tuple[np.ndarray, np.ndarray]:
    rows, cols = np.indices(size)
    return rows.ravel(), cols.ravel()


def _added(
    values: np.ndarray, rows: np.ndarray, cols: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Entries that share a place as one."""
    flat = rows.astype(np.int64) * width + cols
    places, where = np.unique(flat, return_inverse=True)
    if places.size == flat.size:
        return values, rows, cols
    total = np.zeros(places.shape, values.dtype)
    np.add.at(total, where, values)
    return total, places // width, places % width


def _pooled(
    values: np.ndarray, rows: np.ndarray, cols: np.ndarray, mask: np.ndarray, grid: Shape, entries: tuple[int, int]
) -> Raster:
    """Listed entries in their cells. NaN counts as greater than anything."""
    cell = (rows // entries[0]) * grid[1] + cols // entries[1]
    total, hit = np.zeros(prod(grid), values.dtype), np.zeros(prod(grid), bool)
    hit[cell[mask]] = True
    with np.errstate(over="ignore"):
        size = np.abs(values)
    order = np.argsort(np.where(np.isnan(size), np.inf, size), kind="stable")
    order = np.concatenate([order[~np.isnan(size[order])], order[np.isnan(size[order])]])
    total[cell[order]] = values[order]  # the last one written stays
    summary = Summary.of(values[mask], whole=True)
    return Raster(total.reshape(grid), hit.reshape(grid), np.ones(grid, bool), entries, summary)


def _unseen(J: Jacobian, grid: Shape, entries: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Which cells may be reached, and that of those no value is known."""
    mask = np.zeros(grid, bool)
    for term in J.terms:
        mask |= boxes(term, grid, entries)[0]
    return mask, ~mask


def _sampled(J: Jacobian, grid: Shape, entries: tuple[int, int]) -> Raster:
    """Where entries may be, and the values of one entry in a cell where that is cheap."""
    found = [boxes(term, grid, entries) for term in J.terms]
    mask = np.logical_or.reduce([cells for cells, _, _ in found])
    seen: list[Entries] = []
    out, into = sample_of(J.out_shape, grid[0]), sample_of(J.in_shape, grid[1])
    few = picked(J, out, into)
    if cost(few) <= MOST_WORK:
        rows, cols = np.meshgrid(_flat(J.out_shape, out), _flat(J.in_shape, into), indexing="ij")
        seen.append((few.matrix().ravel(), rows.ravel(), cols.ravel()))
    known = _cells(seen, grid, entries)
    rows, cols = (np.concatenate([place[side] for place in found]) for side in (1, 2))
    cell = (rows // entries[0]) * grid[1] + cols // entries[1]
    _, first = np.unique(cell, return_index=True)  # one entry in every cell that is not known yet
    first = first[~known.ravel()[cell[first]]]
    if first.size:
        few = listed(J, rows[first], cols[first])
        if cost(few) <= MOST_WORK:
            seen.append((few.matrix().ravel(), rows[first], cols[first]))
            known |= _cells(seen[-1:], grid, entries)
    if not seen:
        return Raster(np.zeros(grid, J.dtype), mask, ~mask, entries, None)
    values, rows, cols = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    pooled = _pooled(values, rows, cols, np.ones(values.size, bool), grid, entries)
    known |= ~mask
    return Raster(pooled.values, mask, known, entries, Summary.of(values[values != 0], whole=False))


def _cells(seen: Sequence[Entries], grid: Shape, entries: tuple[int, int]) -> np.ndarray:
    """The cells in which an entry other than zero was seen."""
    known = np.zeros(grid, bool)
    for values, rows, cols in seen:
        there = values != 0
        known[rows[there] // entries[0], cols[there] // entries[1]] = True
    return known


def listed(J: Jacobian, rows: np.ndarray, cols: np.ndarray) -> Jacobian:
    """The entries at listed rows and columns of the matrix, held as terms: a column."""
    axes = [
        *(np.unravel_index(rows, J.out_shape) if J.out_shape else ()),
        *(np.unravel_index(cols, J.in_shape) if J.in_shape else ()),
    ]
    return looked_up(axes, J.shape, J.dtype).after(J._flattened())


def looked_up(axes: Sequence[np.ndarray], shape: Shape, dtype: np.dtype[Any]) -> Jacobian:
    """The Jacobian of `x -> x[axes]`, an integer array of one length for every axis of x."""
    size = len(axes[0]) if axes else 1
    into = tuple(Form(0, ((Lookup(axis, (plain(0),)), 1),)) for axis in range(len(shape)))
    known = tuple(Table((size,), extent) for extent in shape)
    pattern = Pattern((size,), (plain(0),), into, (size,), shape, (), (), known)
    return Jacobian((Term(pattern, (), tuple(np.asarray(axis, np.intp) for axis in axes)),), (size,), shape, dtype)


def sample_of(shape: Shape, most: int) -> tuple[slice, ...]:
    """Slices that pick about `most` positions, evenly along the leading axes first."""
    slices: list[slice] = []
    for extent in shape:
        step = max(1, -(-extent // max(1, most)))
        slices.append(slice(0, extent, step))
        most //= len(range(0, extent, step))
    return tuple(slices)


def picked(J: Jacobian, out: tuple[slice, ...], into: tuple[slice, ...]) -> Jacobian:
    """The Jacobian of some outputs by some inputs, held as terms."""
    rows, cols = selection(out, J.out_shape, J.dtype), selection(into, J.in_shape, J.dtype)
    return rows.after(J).after(cols.T)


def block_of(shape: Shape, cells: int) -> int:
    """How many positions along one side a cell takes: whole blocks of the inner axes where they are of about a size."""
    needed = -(-prod(shape) // cells)
    for axis in range(1, len(shape)):
        inner = prod(shape[axis:])
        if needed > 1 and inner <= 2 * needed:
            return -(-needed // inner) * inner
    return needed


def _flat(shape: Shape, slices: Sequence[slice]) -> np.ndarray:
    """The flat positions of what slices pick."""
    axes = [np.arange(extent)[piece] for extent, piece in zip(shape, slices, strict=True)]
    flat = np.zeros((), np.int64)
    for extent, axis in zip(shape, axes, strict=True):
        flat = flat[..., None] * extent + axis
    return flat.ravel()
