"""A small Jacobian in LaTeX: its formula and, if it has few entries, the matrix."""

from __future__ import annotations

from math import prod

import numpy as np

from jacobian.display.edges import part
from jacobian.display.numbers import number
from jacobian.display.text import CHEAP, LONGEST
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.latex import latex as parsed

MOST_ROWS = 8
MOST_ENTRIES = 64


def latex(J: Jacobian) -> str:
    r"""The formula and the matrix; empty when it is not small, or its names are none that LaTeX can have.

    >>> print(latex(Jacobian.identity((2,))))
    $\displaystyle \frac{\partial y_{i}}{\partial x_{i}} = 1 \qquad \begin{bmatrix} 1 & 0 \\ 0 & 1 \end{bmatrix}$
    """
    rows, cols = prod(J.out_shape), prod(J.in_shape)
    small = max(rows, cols) <= MOST_ROWS and 0 < rows * cols <= MOST_ENTRIES
    found = part(J, list(range(rows)), list(range(cols)), CHEAP) if small else None
    if found is None or len(J.formula) > LONGEST or not all(map(str.isidentifier, J.names)):
        return ""
    if J.ndim == 0:
        return rf"$\displaystyle {J.latex} = {_entry(found.values[0, 0])}{_where(J)}$"
    lines = r" \\ ".join(" & ".join(map(_entry, row)) for row in found.values)
    return rf"$\displaystyle {J.latex} \qquad \begin{{bmatrix}} {lines} \end{{bmatrix}}{_where(J)}$"


def _where(J: Jacobian) -> str:
    """What the names stand for that nobody gave, behind the rest."""
    texts = [parsed(one) or rf"\text{{{one.replace('_', chr(92) + '_')}}}" for one in J.legend]
    return rf" \quad \text{{where }} {', '.join(texts)}" if texts else ""


def _entry(value: np.generic) -> str:
    """A number as LaTeX has it."""
    if np.iscomplexobj(value):
        return number(value).replace("j", r"\,\mathrm{i}").replace("NaN", r"\mathrm{NaN}").replace("∞", r"\infty")
    text = number(value).replace("NaN", r"\mathrm{NaN}").replace("∞", r"\infty")
    mantissa, _, exponent = text.partition("e")
    return rf"{mantissa} \cdot 10^{{{exponent}}}" if exponent else text
