"""Short texts of values, shapes, structures and einsums, for cards, wires and cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jacobian.display.numbers import number
from jacobian.kernel.access import Form
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.notation import Names, form_text, letters_of
from jacobian.kernel.term import Term
from jacobian.tracing.stripped import strip_all

FEW = 4  # values that are all written out
MOST_TERMS = 3  # of a sum of einsums


def shape_text(shape: Sequence[int]) -> str:
    """A shape without spaces.

    >>> shape_text((2, 3)), shape_text(())
    ('(2,3)', '()')
    """
    return f"({','.join(map(str, shape))})"


def value_text(value: Any) -> str:
    """All values where they are few, else their range, and whether some are not finite.

    >>> value_text(np.array([0.5, -1.0])), value_text(np.arange(9.0)), value_text(np.full(8, np.nan))
    ('[0.5 -1]', '0 … 8', '8 NaN')
    """
    array = np.asarray(strip_all(value))
    if array.dtype.kind not in "biufc":
        return str(array.dtype)
    if array.ndim == 0:
        return number(array[()])
    if 0 < array.size <= FEW and array.ndim == 1:
        return f"[{' '.join(number(entry, 3) for entry in array)}]"
    return _range(array)


def _range(array: np.ndarray) -> str:
    if not array.size:
        return "empty"
    with np.errstate(over="ignore", invalid="ignore"):
        size = np.abs(array) if array.dtype.kind == "c" else array
    finite = size[np.isfinite(size)]
    counts = ((np.isnan(size).sum(), "NaN"), (np.isinf(size).sum(), "Inf"))
    flags = [f"{count} {word}" for count, word in counts if count]
    if not finite.size:
        return ", ".join(flags)
    low, high = finite.min(), finite.max()
    span = number(low, 3) if low == high else f"{number(low, 3)} … {number(high, 3)}"
    return ", ".join([f"|·| {span}" if array.dtype.kind == "c" else span, *flags])


def sides(J: Jacobian) -> str:
    """Both shapes: (2,3)×(4)."""
    return f"{shape_text(J.out_shape)}×{shape_text(J.in_shape)}"


def einsum_text(J: Jacobian) -> str:
    """What the terms say in the notation of `Jacobian.einsum`: operands -> output axes | input axes.

    An axis at a position that is no single index stands in brackets.

    >>> einsum_text(Jacobian.einsum("jk->ik|ij", np.ones((2, 3)), i=4))
    'jk->ik|ij'
    """
    texts = list(dict.fromkeys(_einsum(term) for term in J.terms))
    if not texts:
        return "0"
    more = len(texts) - MOST_TERMS
    shown = " + ".join(texts[:MOST_TERMS])
    return f"{shown} + {more} more" if more > 0 else shown


def _einsum(term: Term) -> str:
    pattern, names = term.pattern, letters_of(term)
    operands = [_axes(access.forms, names) for access in pattern.factors]
    guards = [
        f"[{form_text(guard.form, names)}=0]" if guard.extent == 1
        else f"[0≤{form_text(guard.form, names)}<{guard.extent}]"
        for guard in pattern.guards
    ]  # fmt: skip
    left = ",".join([*operands, *guards])
    return f"{left}->{_axes(pattern.out, names)}|{_axes(pattern.into, names)}"


def _axes(forms: Sequence[Form], names: Names) -> str:
    texts = [form_text(form, names).replace(" ", "") for form in forms]
    return "".join(text if len(text) == 1 and text.isalpha() else f"[{text}]" for text in texts)
