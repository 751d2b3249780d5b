"""Every notebook, exported by nbconvert as it lies there, stays readable: HTML, Markdown, LaTeX."""

from __future__ import annotations

import base64
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from browser import missing

nbconvert = pytest.importorskip("nbconvert")

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem),
]


class Page(HTMLParser):
    """Images and tables of a page, whatever else it holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[dict[str, str]] = []
        self.tables: list[int] = []  # how many rows each has
        self.open: list[int] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.images.append({name: value or "" for name, value in attrs})
        elif tag == "table":
            self.open.append(0)
        elif tag == "tr":
            self.open[-1] += 1

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self.tables.append(self.open.pop())


def code_of(path: Path) -> list[Any]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def bundles(path: Path) -> list[Any]:
    return [output.data for cell in code_of(path) for output in cell.outputs if "data" in output]


def test_a_committed_notebook_holds_no_state_of_widgets(path: Path) -> None:
    assert "widgets" not in nbformat.read(path, as_version=4).metadata
    for bundle in bundles(path):
        assert WIDGET_VIEW not in bundle
        assert "text/plain" in bundle


@pytest.mark.parametrize("template", ["lab", "classic"])
def test_html(path: Path, template: str) -> None:
    text, _ = nbconvert.HTMLExporter(template_name=template).from_filename(str(path))
    assert WIDGET_VIEW not in text
    page = Page(text)
    for image in page.images:
        assert image["src"].startswith("data:image/"), "an image is not embedded"
        alt = image.get("alt", "").strip()
        assert alt, "an image says nothing to those who do not see it"
        if template == "classic":  # the other forgets what a figure's metadata say
            assert not alt.startswith("No description")
    for bundle in bundles(path):
        inside = Page(bundle.get("text/html", ""))
        for image in inside.images:  # nbconvert writes the HTML anew
            assert image["src"] in {other["src"] for other in page.images}
            assert image["alt"] in {other["alt"] for other in page.images}
        assert len(inside.tables) <= len(page.tables)
    assert all(rows for rows in page.tables), "a table without rows"
    assert not page.open, "a table is cut off"


def test_markdown(path: Path) -> None:
    text, resources = nbconvert.MarkdownExporter().from_filename(str(path))
    assert WIDGET_VIEW not in text
    assert "model_id" not in text
    for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
        assert target in resources["outputs"] or (path.parent / target).exists()
    assert len(re.findall(r"^```", text, re.MULTILINE)) % 2 == 0, "a block of code is cut off"
    for data in re.findall(r'src="data:image/png;base64,([^"]+)"', text):
        assert base64.b64decode(data).startswith(b"\x89PNG")


def test_latex(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find_pandoc(monkeypatch)
    text, resources = nbconvert.LatexExporter().from_filename(str(path))
    assert "model\\_id" not in text
    assert "widget-view" not in text
    assert "<table" not in text, "HTML is no LaTeX"
    for name in re.findall(
        r"\\(?:adjustimage|includegraphics)(?:\[[^\]]*\])?(?:\{[^}]*\})?\{([^}]+\.(?:png|pdf))\}", text
    ):
        assert name in resources["outputs"]
    opened, closed = (re.findall(rf"\\{word}\{{(\w+\*?)\}}", text) for word in ("begin", "end"))
    assert sorted(opened) == sorted(closed)


def find_pandoc(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one on the PATH, else that which comes with pypandoc_binary."""
    if shutil.which("pandoc"):
        return
    try:
        import pypandoc

        found = Path(pypandoc.get_pandoc_path())
    except (ImportError, OSError):
        missing("no pandoc, without which nbconvert writes no LaTeX: pip install 'jacobian[dev]'")
    monkeypatch.setenv("PATH", str(found.parent), prepend=os.pathsep)
