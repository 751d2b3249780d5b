"""Tables as HTML: a caption, headings that say what they head, everything escaped unless it is marked as HTML.

No colour is set: the page's own are used.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

TABLE = "border-collapse:collapse;border:0;margin:.4em 0"
CELL = "text-align:left;vertical-align:top;padding:.25em .9em .25em 0;border:0"
ONE_LINE = 40  # characters
RULE = "border-bottom:1px solid rgba(128,128,128,.5)"


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def to_html(value: object) -> str:
    """The value as HTML: escaped, unless it is HTML."""
    return str(value) if isinstance(value, Html) else escape(str(value))


def code(text: str) -> Html:
    """Text in the type of code; a short one stays on one line."""
    style = ' style="white-space:nowrap"' if len(text) <= ONE_LINE else ""
    return Html(f"<code{style}>{escape(text)}</code>")


def stacked(parts: Iterable[object]) -> Html:
    """Values under each other in one cell."""
    return Html("<br>".join(to_html(part) for part in parts if part != ""))


class Spanning(NamedTuple):
    """A cell that is several rows tall."""

    value: object
    rows: int


class Head(NamedTuple):
    """A cell that heads its row, or several rows."""

    value: object
    rows: int = 1


def table(caption: str, head: Sequence[object], rows: Iterable[Sequence[object]]) -> Html:
    """A table; a `Head` in a row heads it, a `Spanning` cell is left out of the rows below that it spans.

    >>> table("Names", ["name"], [[Head("x")]])[:61]
    '<table style="border-collapse:collapse;border:0;margin:.4em 0'
    """
    top = f'<caption style="text-align:left;caption-side:top;padding:0"><strong>{escape(caption)}</strong></caption>'
    heading = "".join(f'<th scope="col" style="{CELL};{RULE};white-space:nowrap">{to_html(name)}</th>' for name in head)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return Html(f'<table style="{TABLE}">{top}<thead><tr>{heading}</tr></thead><tbody>{body}</tbody></table>')


def _cell(value: object) -> str:
    rows = value.rows if isinstance(value, Spanning | Head) else 1
    inside = to_html(value.value if isinstance(value, Spanning | Head) else value)
    span = f' rowspan="{rows}"' if rows > 1 else ""
    if isinstance(value, Head):
        return f'<th scope="{"rowgroup" if rows > 1 else "row"}"{span} style="{CELL}">{inside}</th>'
    return f'<td{span} style="{CELL}">{inside}</td>'


def details(summary: object, inside: str, *, unfolded: bool = False) -> Html:
    """What can be unfolded, without a script."""
    return Html(f"<details{' open' if unfolded else ''}><summary>{to_html(summary)}</summary>{inside}</details>")
