"""Writing only where a mask is true, in pieces: most of a triangle or a band is rectangles, which need no mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from jacobian.kernel.threads import Step, run, touched

BLOCK = 64  # rows that are cut alike
MANY_RUNS = 8  # in one block: then it is no band
SMALL = 2**14  # entries of a mask that is not worth cutting

Piece = tuple[tuple[slice, ...], "np.ndarray | None"]
"""Where something is written, and the mask there; None where it is true everywhere."""


def pieces_of(mask: np.ndarray) -> list[Piece]:
    """The mask as rectangles; an axis of size 1 is one along which it does not change."""
    axes = [axis for axis, size in enumerate(mask.shape) if size > 1]
    if len(axes) != 2 or mask.size < SMALL:
        return [((slice(None),) * mask.ndim, mask)]
    rows, cols = axes
    lines = mask.reshape(mask.shape[rows], mask.shape[cols])
    found: list[Piece] = []
    for start in range(0, len(lines), BLOCK):
        block = lines[start : start + BLOCK]
        for first, stop, masked in _runs(block):
            where = [slice(None)] * mask.ndim
            where[rows], where[cols] = slice(start, start + len(block)), slice(first, stop)
            shape = [1] * mask.ndim
            shape[rows], shape[cols] = len(block), stop - first
            found.append((tuple(where), block[:, first:stop].copy().reshape(shape) if masked else None))
    return found


def _runs(block: np.ndarray) -> list[tuple[int, int, bool]]:
    """Neighbouring columns of a block that are true throughout, or only in some rows: first, stop, whether masked."""
    kind = np.where(block.all(axis=0), 2, block.any(axis=0))
    starts = [0, *map(int, np.flatnonzero(np.diff(kind)) + 1)]
    if len(starts) > MANY_RUNS:
        return [(0, len(kind), True)]
    runs = zip(starts, [*starts[1:], len(kind)], strict=True)
    return [(first, stop, bool(kind[first] == 1)) for first, stop in runs if kind[first]]


def write_pieces(
    function: Callable[..., Any] | None, pieces: Sequence[Piece], fresh: bool, place: np.ndarray, *arrays: Any
) -> None:
    """Write a function of arrays that broadcast to the place, or one array itself; added unless nobody wrote there."""
    spread = [np.broadcast_to(array, place.shape) for array in arrays]
    places = [place[where] for where, _ in pieces]
    steps: list[Step] = [
        partial(_write_piece, function, fresh, True if mask is None else mask, to, *[array[where] for array in spread])
        for (where, mask), to in zip(pieces, places, strict=True)
    ]
    run(steps, sum(touched(to.shape, to.strides) for to in places))


def _write_piece(
    function: Callable[..., Any] | None, fresh: bool, only: Any, to: np.ndarray, *values: np.ndarray
) -> None:
    if not fresh:
        np.add(to, values[0] if function is None else function(*values), out=to, where=only)
    elif function is None:
        np.copyto(to, values[0], where=only)
    else:
        function(*values, out=to, where=only)
