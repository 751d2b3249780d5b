"""Look-ups of look-ups worked out: terms that read the same places are then recognised, however they came about.

Composition leaves `t1[t2[i] + 1]` as it is. After some steps of a recurrence there are many such forms, most of them
equal; without this the number of terms would grow like a power of the number of steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jacobian.kernel.access import Form, Lookup, Table, constant, indices, plain
from jacobian.kernel.pattern import Pattern, Shape
from jacobian.kernel.positions import positions
from jacobian.kernel.term import Term

Pool = dict[tuple[Shape, bytes], np.ndarray]
"""Tables by content: equal ones are one object."""


def resolved(term: Term, pool: Pool) -> Term:
    """The term with every form that looks something up replaced by one table; unchanged where a form may overhang."""
    pattern = term.pattern
    if not pattern.tables or pattern.factors or any(guard.form.has_lookup for guard in pattern.guards):
        return term
    if not all(isinstance(table, np.ndarray) for table in term.tables):  # symbols: nobody knows what they hold
        return term
    tables: list[np.ndarray] = []
    bounds: list[int] = []

    import hashlib

    def worked_out(forms: Sequence[Form], shape: Shape) -> list[Form] | None:
        found: list[Form] = []
        for form, extent in zip(forms, shape, strict=True):
            if not form.has_lookup:
                found.append(form)
                continue
            order = tuple(sorted(set(indices(form))))
            sizes = tuple(pattern.sizes[index] for index in order)
            values = np.array(np.broadcast_to(positions(form, order, pattern.sizes, term.tables), sizes), order="C")
            if values.min() < 0 or values.max() >= extent:
                return None
            if not order:
                found.append(constant(int(values)))
                continue
            key = (values.shape, hashlib.blake2b(values.tobytes(), digest_size=16).digest())
            tables.append(pool.setdefault(key, values))
            bounds.append(extent)
            found.append(Form(0, ((Lookup(len(tables) - 1, tuple(map(plain, order))), 1),)))
        return found

    out = worked_out(pattern.out, pattern.out_shape)
    into = worked_out(pattern.into, pattern.in_shape) if out is not None else None
    if out is None or into is None:
        return term
    known = tuple(Table(table.shape, bound) for table, bound in zip(tables, bounds, strict=True))
    plainer = Pattern(
        pattern.sizes, tuple(out), tuple(into), pattern.out_shape, pattern.in_shape, (), pattern.guards, known
    )
    return Term(plainer, (), tuple(tables), term.scale)
