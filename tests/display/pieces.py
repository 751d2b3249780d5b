"""Reading HTML and SVG in tests."""

from __future__ import annotations

from base64 import b64decode
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

VOID = {"img", "br"}


class Element:
    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag, self.attributes = tag, attributes
        self.children: list[Element | str] = []

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def all(self, tag: str) -> list[Element]:
        found = [self] if self.tag == tag else []
        return found + [e for child in self.children if isinstance(child, Element) for e in child.all(tag)]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.stack = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.stack[-1].children.append(element)
        if tag not in VOID:
            self.stack.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack[-1].tag == tag, f"</{tag}> closes <{self.stack[-1].tag}>"
        self.stack.pop()

    def handle_data(self, data: str) -> None:
        self.stack[-1].children.append(data)


def read(html: str) -> Element:
    """The tree; every element must be closed where it was opened."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert len(reader.stack) == 1, f"<{reader.stack[-1].tag}> is not closed"
    return reader.stack[0]


def svg_of(image: Element) -> ET.Element:
    head, _, data = image.attributes["src"].partition(",")
    assert head == "data:image/svg+xml;base64"
    return ET.fromstring(b64decode(data))


def svg_texts(root: ET.Element) -> list[str]:
    return [text.text or "" for text in root.iter("{http://www.w3.org/2000/svg}text")]


def rows_of(table: Element) -> list[list[str]]:
    return [[cell.text for cell in row.children if isinstance(cell, Element)] for row in table.all("tr")]


def check_is_at_home_anywhere(root: Element) -> None:
    """No script, nothing from the network, no colour of text or page, an alternative for every image."""
    for tag in ("script", "link", "iframe", "style"):
        assert not root.all(tag)
    for image in root.all("img"):
        assert image.attributes["alt"] and image.attributes["src"].startswith("data:")
    for table in root.all("table"):
        assert table.all("caption") and all("scope" in cell.attributes for cell in table.all("th"))

    def walk(element: Element) -> None:
        style = element.attributes.get("style", "")
        assert "background" not in style and not style.startswith("color") and ";color" not in style
        assert not {name for name in element.attributes if name.startswith("on")}
        for child in element.children:
            if isinstance(child, Element):
                walk(child)

    walk(root)
