"""Every notebook, exported by nbconvert as it lies there, stays readable: HTML, Markdown, LaTeX."""

from __future__ import annotations

import base64
import os
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from browser import missing
from display.html_reader import read

nbconvert = pytest.importorskip("nbconvert")

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem),
]


def code_of(path: Path) -> list[Any]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def bundles(path: Path) -> list[Any]:
    return [output.data for cell in code_of(path) for output in cell.outputs if "data" in output]


def test_a_committed_notebook_holds_no_state_of_widgets(path: Path) -> None:
    assert "widgets" not in nbformat.read(path, as_version=4).metadata
    for bundle in bundles(path):
        assert WIDGET_VIEW not in bundle
        assert "text/plain" in bundle


def test_html(path: Path) -> None:
    text, _ = nbconvert.HTMLExporter().from_filename(str(path))
    assert WIDGET_VIEW not in text
    page = read(text)
    for image in page.all("img"):
        assert image.attrs["src"].startswith("data:image/"), "an image is not embedded"
        assert image.attrs.get("alt", "").strip(), "an image says nothing to those who do not see it"
    shown = [bundle for bundle in bundles(path) if 'class="jacobian' in bundle.get("text/html", "")]
    assert text.count('class="jacobian"') >= len(shown)
    for table in page.all("table"):
        rows = [row for row in table.all("tr") if row.children]
        assert rows, "a table without rows"


def test_markdown(path: Path) -> None:
    text, resources = nbconvert.MarkdownExporter().from_filename(str(path))
    assert WIDGET_VIEW not in text
    assert "model_id" not in text
    for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
        assert target in resources["outputs"] or (path.parent / target).exists()
    for fence in ("```",):
        assert len(re.findall(rf"^{fence}", text, re.MULTILINE)) % 2 == 0
    for data in re.findall(r'src="data:image/png;base64,([^"]+)"', text):
        assert base64.b64decode(data).startswith(b"\x89PNG")


def test_latex(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find_pandoc(monkeypatch)
    text, resources = nbconvert.LatexExporter().from_filename(str(path))
    assert "model\\_id" not in text
    assert "widget-view" not in text
    assert "<table" not in text, "HTML is no LaTeX"
    for name in re.findall(r"\\(?:adjustimage|includegraphics)(?:\[[^\]]*\])?(?:\{[^}]*\})?\{([^}]+\.(?:png|pdf))\}", text):
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
