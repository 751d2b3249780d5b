"""Titled entries of text, as the command line prints them: a Jacobian, values."""

from __future__ import annotations

from typing import Any

import numpy as np

from jacobian.display.text import legend
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.memory import human

SMALL = 16
"""A matrix with more rows or columns than this is not printed; nor are values of more entries than its square."""


def entry(title: str, text: str) -> str:
    """A titled entry; further lines stand under the first.

    >>> print(entry("shape", "(2,)"))
      shape      (2,)
    """
    first, *rest = text.split("\n")
    return "\n".join([f"  {title:<10} {first}", *((" " * 13 + line).rstrip() for line in rest)])


def jacobian_entries(J: Jacobian) -> str:
    """Formula, shape, structure and matrix.

    >>> import jacobian as jac
    >>> print(jacobian_entries(jac.Jacobian.einsum("i->i|i", np.array([1.0, 2.0]))))
      formula    ∂y[i]/∂x[i] = A[i]
      shape      (2,) × (2,)
      structure  diagonal
      matrix     2 × 2
                 [[1. 0.]
                  [0. 2.]]
    """
    rows, columns = int(np.prod(J.out_shape, dtype=int)), int(np.prod(J.in_shape, dtype=int))
    if max(rows, columns) <= SMALL:
        matrix = f"{rows} × {columns}\n{values(J.matrix())}"
    else:
        matrix = f"{rows} × {columns}, not shown: {human(J.dense_nbytes)} dense, {human(J.nbytes)} held as terms"
    lines = [
        entry("formula", J.formula),
        *([entry("where", where)] if (where := legend(J)) else []),
        entry("shape", f"{J.out_shape} × {J.in_shape}"),
        entry("structure", str(J.structure)),
        entry("matrix", matrix),
    ]
    return "\n".join(lines)


def values(array: np.ndarray[Any, Any]) -> str:
    """The values when they are few, else their range."""
    if array.size <= SMALL**2:
        return np.array2string(array, precision=4, suppress_small=True, max_line_width=120, threshold=SMALL**2)
    if array.dtype.kind not in "iuf":
        return f"{array.size} values"
    return f"{array.size} values from {array.min():.4g} to {array.max():.4g}"
