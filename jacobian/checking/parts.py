"""Slips in a part of the Jacobian: one entry, one row or one column, or their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jacobian.checking import slips
from jacobian.checking.cuts import convolves
from jacobian.checking.derivation import Derivation
from jacobian.checking.proportions import is_nice, number, ratio
from jacobian.checking.slips import Mutation
from jacobian.checking.whole import Axes

if TYPE_CHECKING:
    from jacobian.checking.diagnosis import Suspect

Array = np.ndarray[Any, np.dtype[Any]]

MAX_LISTED = 16
"""Of an axis longer than this nobody lists the entries by hand."""


class Part(NamedTuple):
    """One row, one column, or the one entry where they meet."""

    row: int | None
    column: int | None

    @property
    def key(self) -> tuple[slice | int, slice | int]:
        """What reads it from a matrix."""
        return (slice(None) if self.row is None else self.row), (slice(None) if self.column is None else self.column)

    def told(self, axes: Axes) -> str:
        """`∂y[1]/∂x[0]`, or with letters for what is not one alone."""
        places: dict[int, int] = {}
        for k, shape, first in ((self.row, axes.out, 0), (self.column, axes.into, len(axes.out))):
            if k is not None:
                places |= {first + axis: int(place) for axis, place in enumerate(np.unravel_index(k, shape))}
        return axes.placed(places)


def _wrong_parts(suspect: Suspect) -> Iterator[tuple[int, Part]]:
    """In every layout the parts, none of them the whole, in which all lies that is wrong: the smallest first."""
    for layout, near in enumerate(suspect.nearness[0]):
        off = np.isfinite(near.most)
        rows, columns = np.flatnonzero(off.any(axis=1)), np.flatnonzero(off.any(axis=0))
        row = int(rows[0]) if len(rows) == 1 else None
        column = int(columns[0]) if len(columns) == 1 else None
        for part in dict.fromkeys((Part(row, column), Part(row, None), Part(None, column))):
            if np.count_nonzero(suspect.truths[0]) > np.count_nonzero(suspect.truths[0][part.key]) > 0:
                yield layout, part


def _times(part: Part, c: float) -> Callable[[Array], Array]:
    def scaled(T: Array) -> Array:
        T = T.copy()
        T[part.key] *= c
        return T

    return scaled


def turned(D: Derivation, suspect: Suspect) -> Iterator[Mutation]:
    """The sign of one entry, row or column."""
    for _, part in _wrong_parts(suspect):
        told = part.told(suspect.axes)
        yield Mutation(
            slips.SIGN, ("turned", part), partial(str, f"The sign of {told} is wrong: put a minus in front."),
            whole=_times(part, -1.0),
        )  # fmt: skip


def scaled(D: Derivation, suspect: Suspect) -> Iterator[Mutation]:
    """A constant factor in one entry, row or column; at one point only a simple number is believed to be."""
    for layout, part in _wrong_parts(suspect):
        c = ratio(suspect.claims[0][layout][part.key], suspect.truths[0][part.key])
        if c is None or abs(abs(c) - 1) < 1e-6 or not (is_nice(c) or len(suspect.runs) > 1):
            continue
        told, by = part.told(suspect.axes), number(1 / c)
        yield Mutation(
            slips.CONSTANT, ("scaled", part, f"{c:.5g}"),
            partial(str, f"{told} is taken {number(c)} times, the rest once: multiply it by {by}."),
            whole=_times(part, c),
        )  # fmt: skip


def listed_otherwise(D: Derivation, suspect: Suspect) -> Iterator[Mutation]:
    """The entries along one axis in another order: rows or columns exchanged."""
    axes = suspect.axes
    if not D.is_whole:
        return
    convolved = convolves(D)
    for claims in suspect.claims[0]:
        for axis, size in enumerate(axes.shape):
            order = None if not 1 < size <= MAX_LISTED else _order(claims, suspect.truths[0], axes, axis)
            if order is not None:
                backwards = convolved and list(order) == list(range(size))[::-1]
                yield Mutation(
                    slips.FLIPPED if backwards else slips.ORDER, ("order", axis, order),
                    partial(_backwards_sentence if backwards else _order_sentence, axes, axis, order),
                    whole=axes.lifted(partial(np.take, indices=np.array(order), axis=axis)),
                )  # fmt: skip


def _order(claim: Array, true: Array, axes: Axes, axis: int) -> tuple[int, ...] | None:
    """Which slice of the truth stands at each place along an axis; None where they are not all there, or in order."""
    mine, theirs = (np.moveaxis(T.reshape(axes.shape), axis, 0).reshape(axes.shape[axis], -1) for T in (claim, true))
    left, order = list(range(len(theirs))), []
    for row in mine:
        found = next((k for k in left if np.allclose(row, theirs[k], rtol=1e-6, atol=1e-12 * np.abs(row).max())), None)
        if found is None:
            return None
        left.remove(found)
        order.append(found)
    return tuple(order) if order != sorted(order) else None


def _backwards_sentence(axes: Axes, axis: int, order: tuple[int, ...]) -> str:
    name = axes.names[axis >= len(axes.out)]
    return (
        f"{name} is read backwards in {axes.quotient}: convolution and correlation are exchanged; turn it along "
        f"{axes.letters[axis]}."
    )


def _order_sentence(axes: Axes, axis: int, order: tuple[int, ...]) -> str:
    of_input = axis >= len(axes.out)
    name, rank = (axes.names[1], len(axes.into)) if of_input else (axes.names[0], len(axes.out))
    what = f"slices along {axes.letters[axis]}" if rank > 1 else "columns" if of_input else "rows"
    first = next(k for k, found in enumerate(order) if found != k)
    there, here = (axes.placed({axis: k}) for k in (order[first], first))
    exchanged = sum(k != found for k, found in enumerate(order)) == 2
    verb = "are exchanged" if exchanged else "stand in another order"
    return f"The {what} {verb}: {there} stands where {here} belongs; list them in the order of {name}."
