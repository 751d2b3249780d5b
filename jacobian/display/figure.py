"""The heat map of a Jacobian in a frame of index vectors, as HTML."""

from __future__ import annotations

from html import escape
from math import prod
from typing import NamedTuple

import numpy as np

from jacobian.display.edges import index_vectors
from jacobian.display.heatmap import Scale, draw, image, layout
from jacobian.display.raster import Raster
from jacobian.display.titles import axes_letters
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Shape

LEAST_HEIGHT, LEAST_WIDTH = 13, 15  # pixels that the label of a row and of a column needs
BARE = "padding:0;border:0;line-height:1;font-size:10px;font-weight:normal"


class Label(NamedTuple):
    """The index vector, or its beginning, of some neighbouring rows, and how many pixels they take."""

    vector: tuple[int, ...]
    pixels: int


def figure(J: Jacobian, cells: Raster, size: int, alt: str) -> str:
    """The heat map, with the index vectors of rows and columns where there is room for them."""
    plan = layout(cells, J.out_shape, J.in_shape, size)
    picture = image(draw(cells, plan), alt)
    rows = cols = None
    if not cells.pooled:
        rows = labels(J.out_shape, plan.row_rules, plan.tall, LEAST_HEIGHT)
        cols = labels(J.in_shape, plan.col_rules, plan.wide, LEAST_WIDTH)
    down, across = axes_letters(J)
    top = "".join(
        f'<th scope="col" width="{label.pixels}" style="width:{label.pixels}px;text-align:center;'
        f'vertical-align:bottom;{BARE}">{"<br>".join(map(str, label.vector))}</th>'
        for label in cols or []
    )
    side = [
        f'<th scope="row" height="{label.pixels}" style="height:{label.pixels}px;text-align:right;'
        f'vertical-align:middle;{BARE};padding-right:4px">{",".join(map(str, label.vector))}</th>'
        for label in rows or []
    ]
    top = top or "<td></td>"
    span = f'rowspan="{max(1, len(side))}" colspan="{max(1, len(cols or []))}"'
    body = f'<td {span} style="{BARE};text-align:left;vertical-align:top;font-size:0">{picture}</td>'
    corner = (
        f'<td style="{BARE};text-align:right;vertical-align:bottom;padding-right:4px;white-space:nowrap">'
        f"<em>{escape(_corner(down, across))}</em></td>"
    )
    rest = '<td style="width:100%;border:0;padding:0"></td>'  # takes what the caption is wider than the picture
    first = side[0] if side else f'<td style="{BARE}"></td>'
    lines = [f"<tr>{corner}{top}{rest}</tr>", f"<tr>{first}{body}</tr>", *(f"<tr>{label}</tr>" for label in side[1:])]
    rows_are, cols_are = ("inputs", "outputs") if J.denominator else ("outputs", "inputs")
    caption = (
        '<caption style="text-align:left;caption-side:top;padding:0;white-space:nowrap">'
        f"Rows are {rows_are}, columns {cols_are}</caption>"
    )
    style = "border-collapse:separate;border-spacing:0;border:0;margin:.4em 0;table-layout:auto"
    table = f'<table cellspacing="0" cellpadding="0" style="{style}">{caption}<tbody>{"".join(lines)}</tbody></table>'
    return f'{table}<p style="margin:.2em 0;max-width:48em;font-size:.9em">{escape(legend(cells))}</p>'


def _corner(down: str, across: str) -> str:
    return f"{down} \\ {across}" if down and across else down or across


def labels(shape: Shape, rules: np.ndarray, side: int, least: int) -> list[Label] | None:
    """Labels for single rows, or for the blocks of leading axes, whichever has room; None when nothing has."""
    for depth in range(len(shape), 0, -1):
        inner = prod(shape[depth:])
        if inner * side < least:
            continue
        starts = range(0, rules.size, inner)
        pixels = [int(rules[start : start + inner].sum()) + inner * side for start in starts]
        pixels[0] += 1  # the frame
        pixels[-1] += 1
        vectors = index_vectors(list(starts), shape)
        return [Label(vector[:depth], count) for vector, count in zip(vectors, pixels, strict=True)]
    return None


def legend(cells: Raster) -> str:
    """How the picture is to be read: what stands in it, no more."""
    values = cells.values
    scale = Scale.of(values)
    parts = []
    if cells.pooled:
        rows, cols = cells.entries
        whole = cells.summary is not None and cells.summary.whole
        shown = "the one of greatest magnitude" if whole else "one of them"
        parts.append(f"A cell stands for {rows:,} × {cols:,} entries{f' and shows {shown}' if scale.peak else ''}.")
    if scale.peak > 0:
        colours = "Violet is magnitude" if values.dtype.kind == "c" else _signs(values)
        parts.append(f"{colours}, strongest at {scale.peak:.3g}{', logarithmic' if scale.logarithmic else ''}.")
    if np.any(cells.known & cells.reached & (values == 0)):
        parts.append("A dot is a zero by value.")
    if not cells.reached.all():
        parts.append("Empty is zero by structure.")
    if np.isnan(values).any():
        parts.append("Amber is NaN.")
    if np.any(cells.reached & ~cells.known):
        parts.append("Grey may be other than zero; its values were not computed.")
    return " ".join(parts)


def _signs(values: np.ndarray) -> str:
    words = [word for word, there in (("red is positive", values > 0), ("blue is negative", values < 0)) if there.any()]
    return ", ".join(words).capitalize()
