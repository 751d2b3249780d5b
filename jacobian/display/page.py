"""A Jacobian as HTML: what is known of it, its heat map under index vectors, its numbers. Read without any script.

No colour of text or background is set: it is at home on a light and on a dark page.
"""

from __future__ import annotations

from html import escape
from math import prod

import numpy as np

from jacobian.display.edges import Part, part, shown
from jacobian.display.figure import figure
from jacobian.display.grid import grid
from jacobian.display.heatmap import cells_in, sentence
from jacobian.display.latex import latex
from jacobian.display.numbers import number
from jacobian.display.raster import MOST_WORK, raster
from jacobian.display.titles import facts, quotient, title
from jacobian.kernel.expression import Jacobian

PIXELS = 340  # the longer side of a heat map
MOST_NUMBERS = 256  # entries that are written out in full
EDGE_ROWS = 12

PLAIN = "border-collapse:collapse;border:0;margin:.4em 0"
CELL = "text-align:left;vertical-align:top;padding:.1em 1em .1em 0;border:0"


def mimebundle(J: Jacobian) -> dict[str, str]:
    """Text and HTML, and LaTeX when it is small."""
    bundle = {"text/plain": repr(J), "text/html": html(J)}
    formula = latex(J)
    return {**bundle, "text/latex": formula} if formula else bundle


def html(J: Jacobian) -> str:
    """The Jacobian as a piece of a page.

    >>> html(Jacobian.identity((2,)))[:62]
    '<div class="jacobian"><table style="border-collapse:collapse;b'
    """
    cells = raster(J, cells_in(PIXELS)) if J.size else None
    head = header(title(J), facts(J, None if cells is None else cells.summary))
    if cells is None:
        return f'<div class="jacobian">{head}</div>'
    if J.ndim == 0:
        return f'<div class="jacobian">{scalar(J, MOST_WORK)}{head}</div>'
    return f'<div class="jacobian">{head}{figure(J, cells, PIXELS, sentence(J))}{numbers(J)}</div>'


def header(caption: str, lines: list[tuple[str, str]]) -> str:
    """A table of what is known, one line each."""
    rows = "".join(
        f'<tr><th scope="row" style="{CELL}">{escape(name)}</th><td style="{CELL}">{_code(name, value)}</td></tr>'
        for name, value in lines
    )
    top = f'<caption style="text-align:left;caption-side:top;padding:0"><strong>{escape(caption)}</strong></caption>'
    return f'<table style="{PLAIN}">{top}<tbody>{rows}</tbody></table>'


def _code(name: str, value: str) -> str:
    return f"<code>{escape(value)}</code>" if name in ("formula", "where") else escape(value)


def scalar(J: Jacobian, most_work: int) -> str:
    """The derivative of a number by a number: dy/dx = 3.2."""
    found = part(J, [0], [0], most_work)
    value = "…" if found is None else number(found.values[0, 0])
    return f'<p style="font-size:1.2em;margin:.4em 0">{escape(quotient(J))} = {value}</p>'


def numbers(J: Jacobian) -> str:
    """All entries of a small Jacobian in a table to unfold; the edges of a larger one, computed from the terms."""
    rows, cols = prod(J.out_shape), prod(J.in_shape)
    if J.size <= MOST_NUMBERS:
        found = part(J, list(range(rows)), list(range(cols)), MOST_WORK)
        what = "All entries" if J.size > 1 else "The entry"
    else:
        found = part(J, shown(rows, EDGE_ROWS), shown(cols, EDGE_ROWS), MOST_WORK)
        what = "First and last rows and columns"
    if found is None:
        return ""
    caption = f"{what} of {quotient(J)}.{_legend(found)}"
    table = f'<div style="overflow-x:auto">{grid(J, found, caption)}</div>'
    return f"<details><summary>{what}</summary>{table}</details>"


def _legend(found: Part) -> str:
    """What dots and zeros mean, where there are some."""
    dots = " · is zero by structure" if not found.reached.all() else ""
    zeros = " 0 happens to be zero" if np.any(found.reached & (found.values == 0)) else ""
    return f"{dots}{',' if dots and zeros else ''}{zeros}{'.' if dots or zeros else ''}"
