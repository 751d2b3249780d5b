"""Views of an array by their offset and strides, told as an index of numbers and slices."""

from __future__ import annotations

from math import prod
from types import EllipsisType

from jacobian.kernel.pattern import Shape

Subscript = tuple[int | slice | EllipsisType, ...]


def subscript(shape: Shape, offset: int, strides: Shape, whole: Shape) -> Subscript | None:
    """The index that picks a view of a C-contiguous array, all counted in entries; None where no index does.

    None does where one step goes along two axes, as on a diagonal, or where two axes are gone through as one.

    >>> subscript((2, 3), 4, (8, 1), (5, 4))
    (slice(1, 4, 2), slice(0, 3, 1))
    >>> subscript((4,), 0, (5,), (4, 4)) is None
    True
    """
    picks: list[int | slice | EllipsisType] = []
    done = 0
    for axis, extent in enumerate(whole):
        step = prod(whole[axis + 1 :])
        start, offset = divmod(offset, step)
        if done < len(shape) and strides[done] % step == 0 and strides[done] > 0:
            stride = strides[done] // step
            stop = start + stride * (shape[done] - 1) + 1
            if stop <= extent:
                picks.append(slice(start, stop, stride))
                done += 1
                continue
        picks.append(start)
    if done < len(shape):
        return None
    return tuple(picks) if shape else (*picks, ...)
