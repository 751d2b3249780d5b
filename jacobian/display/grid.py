"""Numbers of the flattened matrix as an HTML table: index vectors as headings, heavy rules between blocks."""

from __future__ import annotations

from html import escape

from jacobian.display.edges import Part, changes, index_vectors
from jacobian.display.numbers import ZERO, number
from jacobian.display.titles import axes_letters
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Shape

HEAD = "1px solid"
RULES = ("", "2px solid", "3px solid")


def grid(J: Jacobian, found: Part, caption: str) -> str:
    """The table; where rows or columns are left out, an ellipsis stands for them."""
    cols = _headed(found.cols, J.in_shape)
    heads = "".join(
        f'<th scope="col" style="{_style("right", left=rule)}">{label}</th>'
        if position is not None else _gap("…")
        for position, label, rule in cols
    )  # fmt: skip
    body: list[str] = []
    place = {position: k for k, position in enumerate(found.cols)}
    for row, label, rule in _headed(found.rows, J.out_shape):
        if row is None:
            body.append("<tr>" + _gap("⋮") * (len(cols) + 1) + "</tr>")
            continue
        where = found.rows.index(row)
        cells = "".join(
            _gap("…") if col is None else _entry(found, where, place[col], rule, left)
            for col, _, left in cols
        )  # fmt: skip
        body.append(f'<tr><th scope="row" style="{_style("right", top=rule)}">{label}</th>{cells}</tr>')
    table = 'style="border-collapse:collapse;border:0;margin:.4em 0"'
    style = "text-align:left;caption-side:top;padding:.2em 0;white-space:nowrap"
    top = f'<caption style="{style}">{escape(caption)}</caption>'
    rest = '<td style="width:100%;border:0;padding:0"></td>'  # takes what the caption is wider than the numbers
    head = f"<thead><tr>{_corner(J)}{heads}{rest}</tr></thead>"
    return f"<table {table}>{top}{head}<tbody>{''.join(body)}</tbody></table>"


def _corner(J: Jacobian) -> str:
    """Which letters run down and which run across."""
    down, across = axes_letters(J)
    text = " \\ ".join(letters for letters in (down, across) if letters) if down and across else down or across
    return f'<td style="{_style("right")}"><em>{escape(text)}</em></td>'


def _headed(positions: list[int], shape: Shape) -> list[tuple[int | None, str, str]]:
    """Positions with their index vectors and the rule before them; None where some are left out."""
    found: list[tuple[int | None, str, str]] = []
    for k, (position, vector) in enumerate(zip(positions, index_vectors(positions, shape), strict=True)):
        rule = RULES[changes(positions[k - 1], position, shape)] if k else HEAD
        if k and position != positions[k - 1] + 1:
            found.append((None, "", ""))
            rule = ""
        found.append((position, ",".join(map(str, vector)), rule))
    return found


def _entry(found: Part, row: int, col: int, top: str, left: str) -> str:
    value = found.values[row, col]
    text = number(value) if found.reached[row, col] or value != 0 else ZERO
    return f'<td style="{_style("right", top=top, left=left)}">{text}</td>'


def _gap(text: str) -> str:
    return f'<td style="{_style("center")}">{text}</td>'


def _style(align: str, top: str = "", left: str = "") -> str:
    rules = "".join(f";border-{side}:{rule}" for side, rule in (("top", top), ("left", left)) if rule)
    return f"text-align:{align};padding:.1em .5em;white-space:nowrap;border:0{rules}"
