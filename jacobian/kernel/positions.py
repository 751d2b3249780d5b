"""The positions that a form runs through, as integer arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import prod
from types import EllipsisType
from typing import Any, NamedTuple

import numpy as np

from jacobian.kernel.access import Form, Lookup, combine, indices
from jacobian.kernel.pattern import CACHE, Shape
from jacobian.kernel.places import Labels

KEPT = 2**16  # positions that a program may keep


class Places(NamedTuple):
    """Where entries lie in an array seen as one axis: positions looked up, and those known beforehand."""

    looked_up: Form
    known: Any
    order: Labels
    sizes: Shape

    @classmethod
    def of(cls, forms: Sequence[Form], shape: Shape, order: Labels, sizes: Shape) -> Places:
        """Of an array of that shape, for every assignment of the indices in `order`."""
        steps = (prod(shape[axis + 1 :]) for axis in range(len(shape)))
        flat = combine(*zip(steps, forms, strict=True))
        affine = Form(flat.offset, tuple(part for part in flat.parts if not isinstance(part[0], Lookup)))
        rest = Form(0, tuple(part for part in flat.parts if isinstance(part[0], Lookup)))
        is_short = bool(rest.parts) and not affine.parts
        if is_short or prod(sizes[index] for index in indices(affine)) > KEPT:
            return cls(flat, None, order, sizes)
        return cls(rest, positions(affine, order, sizes, ()), order, sizes)

    def settled(self, tables: Sequence[np.ndarray] | None) -> Places:
        """The same with nothing to look up any more, where the tables are known and the positions are not too many."""
        if tables is None or prod(self.sizes[index] for index in self.order) > KEPT:
            return self
        return self._replace(looked_up=Form(0, ()), known=self.at(tables))

    @property
    def is_settled(self) -> bool:
        """Whether nothing is looked up any more."""
        return not self.looked_up.parts and self.known is not None

    def at(self, tables: Sequence[np.ndarray]) -> np.ndarray:
        """The positions with these tables, an axis for every index."""
        if self.is_settled:
            return np.asarray(self.known)
        where = positions(self.looked_up, self.order, self.sizes, tables)
        if self.known is not None:
            where = where + self.known
        shape = tuple(self.sizes[index] for index in self.order)
        return where if where.shape == shape else np.broadcast_to(where, shape)


def positions(form: Form, order: Labels, sizes: Shape, tables: Sequence[np.ndarray]) -> Any:
    """The form's value for every assignment of the indices in `order`: an integer array that broadcasts over them.

    It may be a table itself, and is not to be written to.

    A look-up may ask beyond its table only where a guard makes the term zero; it may then say anything.
    """
    total: Any = np.intp(form.offset) if form.offset or not form.parts else None
    for atom, stride in form.parts:
        if isinstance(atom, Lookup):
            value = _looked_up(tables[atom.table], atom.args, order, sizes, tables)
        else:
            axis = order.index(atom)
            value = np.arange(sizes[atom], dtype=np.intp).reshape((-1,) + (1,) * (len(order) - axis - 1))
        scaled = value if stride == 1 else stride * value
        total = scaled if total is None else total + scaled
    return total


def _looked_up(
    table: np.ndarray, args: tuple[Form, ...], order: Labels, sizes: Shape, tables: Sequence[np.ndarray]
) -> Any:
    """What a table says, with an axis for every index; a view of it, where it is read in order."""
    part = _part_read(args, table.shape, order, sizes)
    if part is not None:
        return table[part.key].reshape(part.shape)
    where = (positions(arg, order, sizes, tables) for arg in args)
    return table[tuple(np.clip(w, 0, extent - 1) for w, extent in zip(where, table.shape, strict=True))]


class _Part(NamedTuple):
    """A part of a table, and the shape in which it is read."""

    key: slice | EllipsisType
    shape: Shape


@lru_cache(maxsize=CACHE)
def _part_read(args: tuple[Form, ...], shape: Shape, order: Labels, sizes: Shape) -> _Part | None:
    """What is read of a table of that shape: all of it, or entries at even distances; None where it is neither."""
    places = [order.index(index) for index in indices(*args)] if all(arg.is_plain for arg in args) else []
    whole = len(places) == len(args) and shape == tuple(sizes[order[place]] for place in places)
    if whole and places == sorted(set(places)):
        first = places[0] if places else len(order)
        return _Part(..., tuple(sizes[order[k]] if k in places else 1 for k in range(first, len(order))))
    if len(args) != 1 or len(args[0].parts) != 1 or args[0].has_lookup:
        return None
    [(first, [(index, stride)])] = args
    assert isinstance(index, int)
    last = first + stride * (sizes[index] - 1)
    if not 0 <= min(first, last) <= max(first, last) < shape[0]:
        return None
    beyond = last + (1 if stride > 0 else -1)
    rest = (1,) * (len(order) - order.index(index) - 1)
    return _Part(slice(first, None if beyond < 0 else beyond, stride), (sizes[index], *rest))


def values_at(form: Form, index: Mapping[int, np.ndarray], tables: Sequence[np.ndarray]) -> Any:
    """The form's value for assignments that are listed: one array of values for every index."""
    total: Any = np.intp(form.offset)
    for atom, stride in form.parts:
        if isinstance(atom, Lookup):
            table = tables[atom.table]
            where = (values_at(arg, index, tables) for arg in atom.args)
            value = table[tuple(np.clip(w, 0, extent - 1) for w, extent in zip(where, table.shape, strict=True))]
        else:
            value = index[atom]
        total = total + stride * value
    return total
