"""The positions that a form runs through, as integer arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jacobian.kernel.access import Form, Lookup
from jacobian.kernel.pairwise import Labels
from jacobian.kernel.pattern import Shape


def positions(form: Form, order: Labels, sizes: Shape, tables: Sequence[np.ndarray]) -> Any:
    """The form's value for every assignment of the indices in `order`: an integer array that broadcasts over them.

    A look-up may ask beyond its table only where a guard makes the term zero; it may then say anything.
    """
    total: Any = np.intp(form.offset)
    for atom, stride in form.parts:
        if isinstance(atom, Lookup):
            table = tables[atom.table]
            where = (positions(arg, order, sizes, tables) for arg in atom.args)
            value = table[tuple(np.clip(w, 0, extent - 1) for w, extent in zip(where, table.shape, strict=True))]
        else:
            axis = order.index(atom)
            value = np.arange(sizes[atom], dtype=np.intp).reshape((-1,) + (1,) * (len(order) - axis - 1))
        total = total + stride * value
    return total


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
