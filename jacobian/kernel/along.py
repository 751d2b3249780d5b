"""Which axes of arrays go along with each other when something is made of these.

Two axes go along if a part of the one is computed from the same part of the other: those of `a + b`, the rows of
`a @ b` and those of `a`. The axis that a product sums over goes along in both of its factors, and what parts of these
give adds up. An axis of which all is needed at once goes along with none: that of a maximum, or of a running sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import prod
from typing import Any, NamedTuple

import numpy as np

from jacobian.kernel.pattern import Shape


class UnknownError(Exception):
    """Something is made in a way that is not told apart here."""


class Along(NamedTuple):
    """What an axis goes along with: all that has that label; and how many of its entries to each step of that."""

    label: int
    factor: Fraction = Fraction(1)


Axes = tuple[Along | None, ...]
"""One for each axis of an array; None for those of size 1, which are read again and again."""


class Labelled(NamedTuple):
    """The shape of an array, its axes, and the labels that it is a sum over."""

    shape: Shape
    axes: Axes
    summed: frozenset[int] = frozenset()


class Labels:
    """Labels of axes, which turn out to be the same, or to be of axes that are needed as a whole."""

    def __init__(self) -> None:
        self._same: list[int] = []  # for each label one that it is the same as
        self._whole: set[int] = set()

    def array(self, shape: Shape, *, whole: bool = False) -> Labelled:
        """An array that nothing is known of yet."""
        return Labelled(shape, tuple(self._fresh(size, whole=whole) for size in shape))

    def root(self, label: int) -> int:
        """One label for all that are the same."""
        while self._same[label] != label:
            label = self._same[label]
        return label

    def rooted(self, axes: Axes) -> Axes:
        """Axes with such labels."""
        return tuple(None if one is None else one._replace(label=self.root(one.label)) for one in axes)

    @property
    def whole(self) -> frozenset[int]:
        """The labels of axes that are needed as a whole."""
        return frozenset(map(self.root, self._whole))

    def _fresh(self, size: int, *, whole: bool) -> Along | None:
        if size == 1:
            return None
        self._same.append(len(self._same))
        if whole:
            self._whole.add(len(self._same) - 1)
        return Along(len(self._same) - 1)

    def _unite(self, one: Along | None, other: Along | None) -> Along | None:
        """What two axes in the same place go along with: one of size 1 with all."""
        if one is None or other is None:
            return one or other
        if one.factor != other.factor:
            self._keep_whole((one, other))
        self._same[self.root(other.label)] = self.root(one.label)
        return one

    def _keep_whole(self, axes: Sequence[Along | None]) -> None:
        self._whole.update(labels_of(axes))

    # -- entry by entry, and sums -----------------------------------------------------------------------------------

    def by_entry(self, operands: Sequence[Labelled]) -> Labelled:
        """A function of entries: of what is a sum all is needed first."""
        shape = np.broadcast_shapes(*(one.shape for one in operands))
        axes: list[Along | None] = [None] * len(shape)
        for operand in operands:
            self._whole |= operand.summed
            for axis, one in enumerate(operand.axes, len(shape) - len(operand.axes)):
                axes[axis] = self._unite(axes[axis], one)
        return Labelled(shape, tuple(axes))

    def product(self, left: Labelled, right: Labelled) -> Labelled:
        """What `matmul` makes of arrays, and `dot` of numbers, vectors and matrices."""
        if not left.shape or not right.shape:
            return self.by_entry([left, right])
        self._whole |= left.summed | right.summed
        inner = self._unite(left.axes[-1], right.axes[-2:][0])
        batch = self.by_entry([Labelled(one.shape[:-2], one.axes[:-2]) for one in (left, right)])
        columns = slice(-1, None) if len(right.shape) > 1 else slice(0)
        shape = (*batch.shape, *left.shape[-2:-1], *right.shape[columns])
        return Labelled(shape, (*batch.axes, *left.axes[-2:-1], *right.axes[columns]), labels_of([inner]))

    def inner(self, left: Labelled, right: Labelled, count: int) -> Labelled:
        """Products summed over so many last axes."""
        both = self.by_entry([left, right])
        kept = len(both.shape) - count
        return Labelled(both.shape[:kept], both.axes[:kept], labels_of(both.axes[kept:]))

    def einsum(self, equation: str, operands: Sequence[Labelled]) -> Labelled:
        """A sum of products by its letters."""
        given, out = equation.split("->")
        axes: dict[str, Along | None] = {}
        sizes: dict[str, int] = {}
        for letters, operand in zip(given.split(","), operands, strict=True):
            self._whole |= operand.summed
            for letter, one, size in zip(letters, operand.axes, operand.shape, strict=True):
                axes[letter] = self._unite(axes.get(letter), one)
                sizes[letter] = max(size, sizes.get(letter, 1))
        summed = labels_of([one for letter, one in axes.items() if letter not in out])
        return Labelled(tuple(sizes[letter] for letter in out), tuple(axes[letter] for letter in out), summed)

    def reduced(self, array: Labelled, axis: Any, *, adds: bool, keepdims: bool = False) -> Labelled:
        """What `reduce` gives: a sum adds up, of anything else the axis is needed as a whole."""
        self._whole |= array.summed
        every = range(len(array.shape))
        gone = set(every if axis is None else (axis % len(every),) if isinstance(axis, int) else axis)
        away = [array.axes[k] for k in every if k in gone]
        if not adds:
            self._keep_whole(away)
        kept = [(1, None) if k in gone else (array.shape[k], array.axes[k]) for k in every if keepdims or k not in gone]
        summed = labels_of(away) if adds else frozenset[int]()
        return Labelled(tuple(size for size, _ in kept), tuple(one for _, one in kept), summed)

    def along(self, array: Labelled, axis: int | None) -> Labelled:
        """What has the shape of an array, of which all is needed along an axis; without one it is to be a vector."""
        found = self.by_entry([array])
        if not found.shape or (axis is None and len(found.shape) != 1):
            raise UnknownError
        self._keep_whole([found.axes[axis or 0]])
        return found

    def joined(self, arrays: Sequence[Labelled], axis: int = 0) -> Labelled:
        """Arrays one behind the other along an axis, of which all is needed."""
        rank = len(arrays[0].shape)
        size = sum(array.shape[axis] for array in arrays)
        self._keep_whole([array.axes[axis] for array in arrays])
        away = axis % rank
        rest = self.by_entry([
            array._replace(shape=_with(array.shape, away, 1), axes=_with(array.axes, away, None)) for array in arrays
        ])  # fmt: skip
        return Labelled(_with(rest.shape, away, size), _with(rest.axes, away, self._fresh(size, whole=True)))

    # -- other shapes, and entries at positions ---------------------------------------------------------------------

    def turned(self, array: Labelled, order: Sequence[int]) -> Labelled:
        """An array with its axes in that order."""
        return array._replace(shape=tuple(array.shape[k] for k in order), axes=tuple(array.axes[k] for k in order))

    def reshaped(self, array: Labelled, shape: Shape) -> Labelled:
        """In each run of axes that becomes another run the first ones go along, the first in steps of the other."""
        if prod(shape) != prod(array.shape) or 0 in shape:
            raise UnknownError
        axes: list[Along | None] = [None] * len(shape)
        old = [k for k, size in enumerate(array.shape) if size > 1]
        new = [k for k, size in enumerate(shape) if size > 1]
        while old and new:
            before, after = [old.pop(0)], [new.pop(0)]
            while prod(array.shape[k] for k in before) != prod(shape[k] for k in after):
                is_less = prod(array.shape[k] for k in before) < prod(shape[k] for k in after)
                (before if is_less else after).append((old if is_less else new).pop(0))
            first, other = before[0], after[0]
            self._keep_whole([array.axes[k] for k in before[1:]])
            for k in after[1:]:
                axes[k] = self._fresh(shape[k], whole=True)
            one = array.axes[first]
            axes[other] = one and one._replace(factor=one.factor * Fraction(shape[other], array.shape[first]))
        return array._replace(shape=shape, axes=tuple(axes))

    def taken(self, array: Labelled, positions: Sequence[Labelled]) -> Labelled:
        """Entries at listed positions along the first axes."""
        count = len(positions)
        self._keep_whole(array.axes[:count])
        listed = self.by_entry(positions)
        return array._replace(shape=(*listed.shape, *array.shape[count:]), axes=(*listed.axes, *array.axes[count:]))

    def picked(self, array: Labelled, key: Sequence[Any]) -> Labelled:
        """What an index of numbers, slices, `...` and None picks."""
        named = sum(one is not None and one is not Ellipsis for one in key)
        if named > len(array.shape):  # several results of one function
            raise UnknownError
        parts = list(key) if Ellipsis in key else [*key, Ellipsis]
        cut = parts.index(Ellipsis)
        parts[cut : cut + 1] = [slice(None)] * (len(array.shape) - named)
        old = iter(zip(array.shape, array.axes, strict=True))
        new = [(1, None) if one is None else self._part(*next(old), one) for one in parts]
        kept = [one for one in new if one is not None]
        return array._replace(shape=tuple(size for size, _ in kept), axes=tuple(one for _, one in kept))

    def _part(self, size: int, axis: Along | None, part: int | slice) -> tuple[int, Along | None] | None:
        """What is left of an axis."""
        count = len(range(size)[part]) if isinstance(part, slice) else 0
        if isinstance(part, slice) and part.step in (None, 1) and count == size:
            return size, axis
        self._keep_whole([axis])
        return (count, self._fresh(count, whole=True)) if isinstance(part, slice) else None


def _with(parts: tuple[Any, ...], place: int, part: Any) -> tuple[Any, ...]:
    return (*parts[:place], part, *parts[place + 1 :])


def labels_of(axes: Sequence[Along | None]) -> frozenset[int]:
    """The labels of axes."""
    return frozenset(one.label for one in axes if one is not None)
