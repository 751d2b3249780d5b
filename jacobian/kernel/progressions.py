"""Tables of positions that a formula need not name: `(i + 2) % 3` in place of `t[i]`."""

from __future__ import annotations

import numpy as np


def progression(table: np.ndarray, bound: int) -> str | None:
    """The table at a position `{}`: steps of one length, or of one that begin anew at the bound; None of others.

    >>> progression(np.array([2, 0, 1]), 3), progression(np.array([1, 3, 5]), 6), progression(np.array([1, 0, 0]), 2)
    ('({} + 2) % 3', '2*({}) + 1', None)
    """
    if table.ndim != 1 or len(table) < 2:
        return None
    first, step, places = int(table[0]), int(table[1]) - int(table[0]), np.arange(len(table))
    if step and np.array_equal(first + step * places, table):
        return _sum("{}" if step == 1 else "-({})" if step == -1 else f"{step}*({{}})", first)
    if step % bound in (1, bound - 1):
        sign = 1 if step % bound == 1 else -1
        if np.array_equal((first + sign * places) % bound, table):
            return f"({_sum('{}' if sign == 1 else '-({})', first)}) % {bound}"
    return None


def _sum(text: str, offset: int) -> str:
    return f"{text} + {offset}" if offset else text
