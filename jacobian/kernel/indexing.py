"""Indexing with integers, slices, `...` and None, as terms: `x[key]` reads `start + step·i` along each axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jacobian.errors import IndexingError, report
from jacobian.kernel.access import Form, affine, constant
from jacobian.kernel.pattern import Pattern, Shape
from jacobian.kernel.term import Term

if TYPE_CHECKING:
    from jacobian.kernel.expression import Jacobian


def basic_index(key: Any, shape: Shape) -> Pattern:
    """The pattern of `x[key]` for a basic index."""
    keys = list(key) if isinstance(key, tuple) else [key]
    if sum(item is Ellipsis for item in keys) > 1:
        raise IndexingError(report("an index has room for one '...' only", shape=shape))
    used = sum(item is not None and item is not Ellipsis for item in keys)
    if used > len(shape):
        raise IndexingError(report(f"too many indices: {used} for an array of {len(shape)} axes", shape=shape))
    if not any(item is Ellipsis for item in keys):
        keys.append(Ellipsis)
    where = next(k for k, item in enumerate(keys) if item is Ellipsis)
    keys[where : where + 1] = [slice(None)] * (len(shape) - used)
    sizes: list[int] = []
    out: list[Form] = []
    into: list[Form] = []
    for item in keys:
        if item is None:
            sizes.append(1)
            out.append(affine(0, [(len(sizes) - 1, 1)]))
            continue
        extent = shape[len(into)]
        if isinstance(item, slice):
            start, stop, step = _bounds(item, extent, len(into), shape)
            sizes.append(len(range(start, stop, step)))
            out.append(affine(0, [(len(sizes) - 1, 1)]))
            into.append(affine(start, [(len(sizes) - 1, step)]))
        else:
            into.append(constant(_position(item, extent, len(into), shape)))
    return Pattern(tuple(sizes), tuple(out), tuple(into), tuple(sizes), shape)


def _bounds(item: slice, extent: int, axis: int, shape: Shape) -> tuple[int, int, int]:
    try:
        return item.indices(extent)
    except (ValueError, TypeError) as error:
        raise IndexingError(report(f"axis {axis} cannot be sliced: {error}", shape=shape)) from None


def _position(item: Any, extent: int, axis: int, shape: Shape) -> int:
    if isinstance(item, bool | np.bool_) or not isinstance(item, int | np.integer):
        raise IndexingError(
            report(
                f"entries are picked with integers, slices and '...', not with {type(item).__name__}",
                fix="np.asarray(J)[...] takes every index NumPy knows",
            )
        )
    place = int(item)
    if not -extent <= place < extent:
        raise IndexingError(report(f"index {place} is out of bounds for axis {axis} of size {extent}", shape=shape))
    return place % extent


def selection(key: Any, shape: Shape, dtype: np.dtype[Any]) -> Jacobian:
    """The Jacobian of `x -> x[key]`."""
    from jacobian.kernel.expression import Jacobian

    pattern = basic_index(key, shape)
    return Jacobian((Term(pattern),), pattern.out_shape, shape, dtype)
