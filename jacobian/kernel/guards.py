"""Contracting with a guard `[0 <= form < extent]` in linear time: it picks a range of entries, so it sums a range.

For `form = stride·k + rest` the k that a guard lets through lie side by side. Sums over them come from running sums
within blocks as long as the longest range, from the left and from the right: a range ends in the block it begins in or
in the next. Nothing is ever subtracted, so nothing cancels (van Herk, Pattern Recognition Letters 13, 1992, for sums).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from jacobian.kernel.access import Form, Lookup, indices
from jacobian.kernel.equations import Guard
from jacobian.kernel.pattern import Pattern, Shape
from jacobian.kernel.places import Labels
from jacobian.kernel.positions import positions

MOST_BINS = 16  # times as many as there are entries to sum and to give


def apply_guard(
    guard: Guard, near: np.ndarray, index: int, far: Labels, pattern: Pattern, tables: Sequence[np.ndarray]
) -> np.ndarray | None:
    """Sum the last axis of `near` over what the guard lets through; its other indices take the place of that axis.

    None when the guard looks the index up together with others.
    """
    own = tuple(part for part in guard.form.parts if index in indices(Form(0, (part,))))
    rest = Form(guard.form.offset, tuple(part for part in guard.form.parts if part not in own))
    sizes = pattern.sizes
    scan = scan_of(guard, index, far, sizes)
    if scan is not None:
        return scan.of(near)
    value = np.broadcast_to(positions(rest, far, sizes, tables), tuple(sizes[k] for k in far))
    if len(own) == 1 and not isinstance(own[0][0], Lookup):
        stride = own[0][1]
    else:
        binned = _binned(near, Form(0, own), index, sizes, tables, MOST_BINS * (sizes[index] + value.size))
        if binned is None:
            return None
        near, low = binned
        value, stride = value + low, 1
    first, stop = allowed(value, stride, guard.extent, near.shape[-1])
    return range_sums(near, first, stop, -(-guard.extent // abs(stride)))


class Scan(NamedTuple):
    """A running sum of a last axis: whether it begins at its end, and whether its sums are in the other order."""

    from_end: bool
    turned: bool

    def of(self, near: np.ndarray) -> np.ndarray:
        """The sums."""
        sums = np.cumsum(near[..., ::-1] if self.from_end else near, axis=-1)
        return sums[..., ::-1] if self.turned else sums


def scan_of(guard: Guard, index: int, far: Labels, sizes: Shape) -> Scan | None:
    """A guard between two indices, step by step, that picks all entries up to one or all from one on: a running sum.

    None where it picks anything else.
    """
    steps = dict(guard.form.parts)
    if len(far) != 1 or set(steps) != {index, far[0]} or any(abs(step) != 1 for step in steps.values()):
        return None
    size, count, step = sizes[index], sizes[far[0]], steps[far[0]]
    # The range of k at the first and at the last position of the far index; between them it moves step by step.
    ends = [guard.form.offset, guard.form.offset + step * (count - 1)]
    if steps[index] == 1:
        first, stop = [-value for value in ends], [guard.extent - value for value in ends]
    else:
        first, stop = [value - guard.extent + 1 for value in ends], [value + 1 for value in ends]
    if max(first) <= 0 and [1, size] in (stop, stop[::-1]):
        return Scan(from_end=False, turned=stop[0] != 1 and size != 1)
    if min(stop) >= size and [0, size - 1] in (first, first[::-1]):
        return Scan(from_end=True, turned=first[0] == 0)
    return None


def allowed(value: np.ndarray, stride: int, extent: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The range `first <= k < stop` of all k below size with `0 <= stride·k + value < extent`."""
    step = abs(stride)
    low, high = (-value, extent - 1 - value) if stride > 0 else (value - extent + 1, value)
    return np.clip(-(-low // step), 0, size), np.clip(high // step + 1, 0, size)


def _binned(
    near: np.ndarray, own: Form, index: int, sizes: Shape, tables: Sequence[np.ndarray], most: int
) -> tuple[np.ndarray, int] | None:
    """The last axis of `near` summed into bins, one for every value of the form, and the value of the first bin."""
    if set(indices(own)) != {index} or near.shape[-1] == 0:
        return None
    value = np.broadcast_to(positions(own, (index,), sizes, tables), (sizes[index],))
    low = int(value.min())
    bins = int(value.max()) - low + 1
    if bins > most:
        return None
    binned = np.zeros((*near.shape[:-1], bins), near.dtype)
    where: Any = (..., value - low)
    np.add.at(binned, where, near)
    return binned, low


def range_sums(array: np.ndarray, first: np.ndarray, stop: np.ndarray, width: int) -> np.ndarray:
    """Sums of the last axis from first to stop, where every range that touches no end is `width` or one less long."""
    size = array.shape[-1]
    width = max(1, min(width, size))
    empty = stop <= first
    first, last = np.where(empty, 0, first), np.where(empty, 0, stop - 1)
    crossing = first // width != last // width
    at_start = first % width == 0
    from_left, from_right = (crossing | at_start) & ~empty, (crossing | ~at_start) & ~empty
    shape = (*array.shape[:-1], *first.shape)
    if width == 1:
        picked: np.ndarray = array[..., first] if size else np.zeros(shape, array.dtype)
        return np.where(empty, np.zeros((), array.dtype), picked) if empty.any() else picked
    total: np.ndarray | None = None
    for wanted, at, backwards in ((from_left, last, False), (from_right, first, True)):
        if wanted.any():
            sums = _block_sums(array, width, backwards=backwards)[..., at]
            if not wanted.all():
                sums[..., ~wanted] = 0
            total = sums if total is None else np.add(total, sums, out=total)
    return np.zeros(shape, array.dtype) if total is None else total


def _block_sums(array: np.ndarray, width: int, *, backwards: bool) -> np.ndarray:
    """For every entry of the last axis the sum of its block from the block's start to it, or from it to the end."""
    size = array.shape[-1]
    blocks = -(-size // width)
    sums = np.zeros((*array.shape[:-1], blocks * width), array.dtype)
    sums[..., :size] = array
    lines = sums.reshape(prod(array.shape[:-1]) * blocks, width)
    if backwards:
        lines = lines[:, ::-1]
    np.cumsum(lines, axis=-1, out=lines)
    return sums
