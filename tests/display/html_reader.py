"""Reads pages and pictures back, with the standard library alone."""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass, field
from html.parser import HTMLParser

import numpy as np

VOID = {"img", "br", "meta"}


@dataclass
class Element:
    tag: str
    attrs: dict[str, str]
    children: list[Element | str] = field(default_factory=list)

    def all(self, tag: str) -> list[Element]:
        found = [self] if self.tag == tag else []
        for child in self.children:
            if isinstance(child, Element):
                found += child.all(tag)
        return found

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("page", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"<{self.open[-1].tag}> is closed by </{tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read(html: str) -> Element:
    """The page as a tree; every element must be closed in order."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    (page,) = reader.open
    return page


def decode(png: bytes) -> np.ndarray:
    """The pixels of a PNG file without interlacing, its lines unfiltered; checks every checksum."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    place, data, size = 8, b"", (0, 0)
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        kind, body = png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        assert struct.unpack(">I", png[place + 8 + length : place + 12 + length])[0] == zlib.crc32(kind + body)
        if kind == b"IHDR":
            *size, depth, colours, _, _, _ = struct.unpack(">IIBBBBB", body)
            assert (depth, colours) == (8, 6)
        data += body if kind == b"IDAT" else b""
        place += 12 + length
    assert kind == b"IEND"
    lines = np.frombuffer(zlib.decompress(data), np.uint8).reshape(size[1], 1 + 4 * size[0])
    assert not lines[:, 0].any()
    return lines[:, 1:].reshape(size[1], size[0], 4)


def pixels_of(image: Element) -> np.ndarray:
    """The pixels of an `<img>` that carries its own data; their number is what its attributes say."""
    kind, _, data = image.attrs["src"].partition(",")
    assert kind == "data:image/png;base64"
    pixels = decode(base64.b64decode(data, validate=True))
    assert (int(image.attrs["height"]), int(image.attrs["width"])) == pixels.shape[:2]
    return pixels
