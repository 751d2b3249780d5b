"""Reading tables and pictures of graphs in tests."""

from __future__ import annotations

from base64 import b64decode
from xml.etree import ElementTree as ET

from display.html_reader import Element


def svg_of(image: Element) -> ET.Element:
    head, _, data = image.attrs["src"].partition(",")
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
        assert image.attrs["alt"] and image.attrs["src"].startswith("data:")
    for table in root.all("table"):
        assert table.all("caption") and all("scope" in cell.attrs for cell in table.all("th"))

    def walk(element: Element) -> None:
        style = element.attrs.get("style", "")
        assert "background" not in style and not style.startswith("color") and ";color" not in style
        assert not {name for name in element.attrs if name.startswith("on")}
        for child in element.children:
            if isinstance(child, Element):
                walk(child)

    walk(root)
