"""A graph as SVG: cards for nodes, wires between them, each with a few lines of text.

The picture stands in a page as an image that carries its own data, so it needs neither network nor script. It paints no
background; its colours are of middle lightness and can be read on white as well as on black.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from html import escape
from math import ceil
from typing import NamedTuple

from jacobian.display.placement import Placement, place

COLOURS = {"input": "#2c7d6b", "op": "#4a6c9b", "output": "#8d5596"}
WIRE, FLOW = "#808080", "#b8651b"  # of values, and of what flows back
LABEL = "#7a7a7a"
FONT = "system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif"

ARROW = 'viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse"'

BIG, SMALL = 13, 11  # sizes of type
CHARACTER = 0.58  # of the size, how wide a character is, generously
LINE, ROW = 15, 13  # between lines of a card, and of the text at a wire
PAD = 8
GAP = 26  # between columns, at least
MARGIN = 6
TALLEST = 1600  # pixels that are shown without being scrolled
NARROWEST, WIDEST = 96, 220
LONGEST_LABEL = 26  # characters of a line at a wire


class Card(NamedTuple):
    """A node: its first line is its title."""

    kind: str
    lines: tuple[str, ...]


class Wire(NamedTuple):
    """An edge from one card to another, with its text."""

    start: int
    stop: int
    lines: tuple[str, ...] = ()


class Sheet(NamedTuple):
    """What is drawn: cards, wires, a sentence for those who do not see it, and which way arrows point."""

    cards: tuple[Card, ...]
    wires: tuple[Wire, ...]
    sentence: str
    backwards: bool = False


class Frame(NamedTuple):
    """Sizes in pixels: of a card, of the room for it, the distance of columns and of layers, and the whole."""

    wide: float
    tall: float
    slot: float
    across: float
    down: float
    width: float
    height: float

    def middle(self, spot: tuple[float, int]) -> tuple[float, float]:
        """The middle of a card at a place."""
        return MARGIN + self.slot / 2 + spot[0] * self.across, MARGIN + self.tall / 2 + spot[1] * self.down


def image(sheet: Sheet) -> str:
    """The picture as an `<img>` that carries its own data, in its own size; a very tall one is scrolled."""
    text, frame = _drawn(sheet)
    data = b64encode(text.encode()).decode("ascii")
    img = (
        f'<img src="data:image/svg+xml;base64,{data}" width="{ceil(frame.width)}" height="{ceil(frame.height)}" '
        f'style="max-width:none" alt="{escape(sheet.sentence)}">'
    )
    style = "overflow:auto;max-height:90vh" if frame.height > TALLEST else "overflow-x:auto"
    return f'<div style="{style}">{img}</div>'


def svg(sheet: Sheet) -> str:
    """The picture as the text of an SVG file.

    >>> svg(Sheet((Card("input", ("x", "(2,)")),), (), "one node"))[:39]
    '<svg xmlns="http://www.w3.org/2000/svg"'
    """
    return _drawn(sheet)[0]


def _drawn(sheet: Sheet) -> tuple[str, Frame]:
    found = place(len(sheet.cards), [(wire.start, wire.stop) for wire in sheet.wires])
    frame = frame_of(sheet, found)
    colour = FLOW if sheet.backwards else WIRE
    spots = label_spots(sheet, found, frame)
    size = f'width="{frame.width:.0f}" height="{frame.height:.0f}"'
    box = f'viewBox="0 0 {frame.width:.0f} {frame.height:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box} role="img" font-family="{FONT}">',
        f"<title>{clean(sheet.sentence)}</title>",
        f'<defs><marker id="a" {ARROW}><path d="M0 0L8 4L0 8z" fill="{colour}"/></marker></defs>',
        *(_wire(sheet, found, frame, k, spots[k], colour) for k in range(len(sheet.wires))),
        *(_card(card, frame, frame.middle(spot)) for card, spot in zip(sheet.cards, found.nodes, strict=True)),
        "</svg>",
    ]
    return "".join(parts), frame


def frame_of(sheet: Sheet, found: Placement) -> Frame:
    """How large everything is: as wide as the longest text asks for, within bounds."""
    lines = [(line, SMALL if k else BIG) for card in sheet.cards for k, line in enumerate(card.lines)]
    widest = max((text_width(line, size) for line, size in lines), default=0.0)
    wide = min(max(widest + 2 * PAD, NARROWEST), WIDEST)
    labels = [shortened(line, LONGEST_LABEL) for wire in sheet.wires for line in wire.lines]
    label = max((text_width(line, SMALL) for line in labels), default=0.0)
    tall = PAD + LINE * max((len(card.lines) for card in sheet.cards), default=0) + PAD / 2
    slot = max(wide, label)
    across = slot + GAP
    rows = max((len(wire.lines) for wire in sheet.wires), default=0)
    down = tall + 48 + ROW * rows
    width, height = slot + found.columns * across, tall + (found.layers - 1) * down
    return Frame(wide, tall, slot, across, down, width + 2 * MARGIN, height + 2 * MARGIN)


def text_width(text: str, size: int) -> float:
    """How wide a text is, about."""
    return len(text) * CHARACTER * size


def shortened(text: str, most: int) -> str:
    """The text, or its beginning.

    >>> shortened("block-diagonal", 8)
    'block-d…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def clean(text: str) -> str:
    """Escaped, without the characters that XML does not allow."""
    return escape(re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "�", text))


Point = tuple[float, float]


def label_spots(sheet: Sheet, found: Placement, frame: Frame) -> list[Point]:
    """Where the text of every wire stands: at a place that the wire passes, else between its cards.

    There, it stands straight below or above the card at which fewer wires meet, so that texts keep clear of each other.
    """
    fan_out = Counter(wire.start for wire in sheet.wires)
    fan_in = Counter(wire.stop for wire in sheet.wires)
    spots: list[Point] = []
    for wire, way in zip(sheet.wires, found.ways, strict=True):
        if way:
            spots.append(frame.middle(way[len(way) // 2]))
            continue
        (x1, y1), (x2, y2) = (frame.middle(found.nodes[end]) for end in (wire.start, wire.stop))
        many, few = fan_in[wire.stop] > 1, fan_out[wire.start] > 1
        share = 0.5 if many == few else 0.0 if many else 1.0
        spots.append((x1 + share * (x2 - x1), (y1 + y2) / 2))
    return spots


def _wire(sheet: Sheet, found: Placement, frame: Frame, number: int, spot: Point, colour: str) -> str:
    """The line with a gap for its text, the arrow at one end, and the text."""
    wire = sheet.wires[number]
    paths = _strokes(wire, found, frame, number, spot)
    arrow = 0 if sheet.backwards else len(paths) - 1
    marker = f' marker-{"start" if sheet.backwards else "end"}="url(#a)"'
    lines = "".join(
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.4"{marker if k == arrow else ""}/>'
        for k, path in enumerate(paths)
    )
    return lines + _text(wire.lines, spot)


def _strokes(wire: Wire, found: Placement, frame: Frame, number: int, spot: Point) -> list[str]:
    """Curves from the lower edge of one card to the upper edge of the other, past all places on the way."""
    (x, y), (x2, y2) = (frame.middle(found.nodes[end]) for end in (wire.start, wire.stop))
    passed = [frame.middle(place) for place in found.ways[number]] or [spot]
    y, y2 = y + frame.tall / 2, y2 - frame.tall / 2
    gap = ROW / 2 * len(wire.lines) + 3 if wire.lines else 0.0
    paths = [f"M{x:.1f} {y:.1f}"]
    for px, py in passed:
        here = gap if (px, py) == spot else 0.0
        paths[-1] += _curve(x, y, px, py - here)
        if here:
            paths.append(f"M{px:.1f} {py + here:.1f}")
        x, y = px, py + here
    paths[-1] += _curve(x, y, x2, y2)
    return paths


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    """A curve that leaves and arrives upright."""
    bend = (y1 + y2) / 2
    return f"C{x1:.1f} {bend:.1f} {x2:.1f} {bend:.1f} {x2:.1f} {y2:.1f}"


def _card(card: Card, frame: Frame, middle: Point) -> str:
    x, y = middle[0] - frame.wide / 2, middle[1] - frame.tall / 2
    rect = (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{frame.wide:.1f}" height="{frame.tall:.1f}" rx="6" '
        f'fill="{COLOURS[card.kind]}"/>'
    )
    room = frame.wide - 2 * PAD
    title, *rest = card.lines
    lines = _line(shortened(title, fitting(room, BIG)), middle[0], y + PAD + 11, BIG, "#ffffff", bold=True)
    for k, text in enumerate(rest, start=1):
        lines += _line(shortened(text, fitting(room, SMALL)), middle[0], y + PAD + LINE * k + 11, SMALL, "#ffffff")
    return f"<g><title>{clean(' · '.join(card.lines))}</title>{rect}{lines}</g>"


def fitting(room: float, size: int) -> int:
    """How many characters fit."""
    return int(room / (CHARACTER * size) + 1e-6)


def _text(lines: Sequence[str], spot: Point) -> str:
    top = spot[1] - ROW / 2 * len(lines)
    return "".join(
        _line(shortened(text, LONGEST_LABEL), spot[0], top + ROW * k + 10, SMALL, LABEL) for k, text in enumerate(lines)
    )


def _line(text: str, x: float, y: float, size: int, colour: str, *, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" fill="{colour}" font-size="{size}"{weight}>'
        f"{clean(text)}</text>"
    )
