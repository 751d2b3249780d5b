"""End to end: a real JupyterLab runs the lecture in a real browser, and the widget in it answers."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from browser import browser, missing

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "notebooks" / "01_the_lecture.ipynb"
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},  # all cells are in the page
}
PATIENCE = 20_000  # milliseconds

pytestmark = pytest.mark.filterwarnings("default")


class Server(NamedTuple):
    url: str
    token: str


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A JupyterLab of its own: port, token, settings and files."""
    try:
        import anywidget  # noqa: F401
        import jupyterlab  # noqa: F401
    except ImportError as error:
        missing(f"{error.name} is not installed: pip install 'jacobian[dev]'")
    home = tmp_path_factory.mktemp("lab")
    files, settings = home / "files", home / "settings"
    files.mkdir()
    shutil.copy(NOTEBOOK, files / NOTEBOOK.name)
    for name, values in SETTINGS.items():
        file = settings / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    places = {f"JUPYTER_{kind}_DIR": str(home / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
    environment = {**os.environ, **places, "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(home / "ipython")}
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser",
        "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={files}", f"--IdentityProvider.token={token}",
        f"--LabApp.user_settings_dir={settings}", f"--LabApp.workspaces_dir={home / 'workspaces'}",
    ]  # fmt: skip
    log = home / "log.txt"
    with log.open("w") as written:
        process = subprocess.Popen(command, env=environment, stdout=written, stderr=subprocess.STDOUT)
    try:
        wait_for(f"http://127.0.0.1:{port}/api/status?token={token}", process, log)
        yield Server(f"http://127.0.0.1:{port}", token)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")


@pytest.fixture(scope="module")
def page(lab: Server) -> Iterator[Any]:
    """The lecture in JupyterLab, run from top to bottom."""
    with browser() as chromium:
        page = chromium.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(PATIENCE)
        page.goto(f"{lab.url}/lab/tree/{NOTEBOOK.name}?reset&token={lab.token}")
        page.wait_for_function(
            "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
        )
        page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
        page.wait_for_selector(".jacobian-widget td", state="attached")
        page.wait_for_function(  # the last cell of code has run, and none is running
            """() => {
                const cells = [...document.querySelectorAll('.jp-CodeCell')];
                const prompts = cells.map(cell => cell.querySelector('.jp-InputPrompt').textContent);
                return prompts.length > 20 && prompts.every(text => /\\[\\d+\\]/.test(text));
            }"""
        )
        yield page


@pytest.fixture
def widget(page: Any) -> Any:
    found = page.locator(".jacobian-widget").first
    found.scroll_into_view_if_needed()
    if page.locator(".jacobian-widget.pinned").count():  # as a test before left it
        found.locator("td.here").focus()
        page.keyboard.press("Escape")
    return found


def entry(widget: Any, row: int, col: int) -> Any:
    return widget.locator(f'td[data-r="{row}"][data-c="{col}"]')


def slope_of_the_lecture() -> tuple[np.ndarray, np.ndarray]:
    """W and the slopes 1 - y² of the notebook's layer, by running the notebook's own cells up to it."""
    scope: dict[str, Any] = {"display": lambda *_: None}
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and "widget()" in source:
            break
        if cell["cell_type"] == "code":
            with np.printoptions():  # which the notebook sets as it likes
                exec(source, scope)
    return scope["W"], 1 - scope["layer"](scope["x"]) ** 2


def test_no_cell_of_the_lecture_fails(page: Any) -> None:
    assert page.locator('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"]').count() == 0
    assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.error']").count() == 0


def test_hovering_an_entry_tells_all_of_it(widget: Any) -> None:
    W, slopes = slope_of_the_lecture()
    entry(widget, 1, 2).hover()
    label = widget.locator(".label")
    label.filter(has_text="∂y[1]/∂x[2]").wait_for()
    value = float(label.inner_text().partition(" = ")[2].replace("−", "-"))
    assert value == pytest.approx(slopes[1] * W[1, 2], rel=1e-5)
    assert widget.locator(".entry code").inner_text() == "= (1 - y[1]**2) * W[1,2]"
    assert widget.locator(".inputs").inner_text() == "y[1] depends on 4 of 4: x[0], x[1], x[2], x[3]"
    path = widget.locator(".paths li").all_inner_texts()
    assert [text.partition(" gives ")[0] for text in path] == ["x matmul → v1 add → v2 tanh → y"]
    assert widget.locator("thead th.feeds").count() == 4
    assert "depends" in widget.locator(".detail").inner_text()


def test_the_keyboard_reaches_everything(page: Any, widget: Any) -> None:
    entry(widget, 0, 0).click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    widget.locator(".label").filter(has_text="∂y[1]/∂x[1]").wait_for()
    here = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert here.startswith("∂y[1]/∂x[1] = ")
    assert page.evaluate("document.activeElement.getAttribute('aria-selected')") == "true"
    entry(widget, 2, 3).hover()  # it is kept, whatever the pointer does
    page.wait_for_timeout(150)
    assert "∂y[1]/∂x[1]" in widget.locator(".label").inner_text()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Δx[1]"
    before = widget.locator("dl").inner_text()
    page.keyboard.press("ArrowRight")
    assert widget.locator("dl").inner_text() != before
    entry(widget, 1, 1).focus()
    page.keyboard.press("Escape")
    entry(widget, 2, 2).hover()
    widget.locator(".label").filter(has_text="∂y[2]/∂x[2]").wait_for()


def test_dragging_the_input_holds_the_line_against_the_function(page: Any, widget: Any) -> None:
    entry(widget, 1, 2).click()
    widget.locator(".label").filter(has_text="∂y[1]/∂x[2]").wait_for()
    plot = widget.locator("svg[role=img]").bounding_box()
    middle = plot["y"] + plot["height"] / 2
    apart = []
    for share in (0.5, 0.6, 0.95):
        page.mouse.move(plot["x"] + plot["width"] * 0.3, middle)
        page.mouse.down()
        page.mouse.move(plot["x"] + plot["width"] * share, middle)
        page.mouse.up()
        linear, actual, off = (float(text.replace("−", "-")) for text in widget.locator("dl dd").all_inner_texts())
        assert off == pytest.approx(actual - linear, abs=2e-4)
        apart.append(abs(off))
    assert apart[0] == 0
    assert apart[0] < apart[1] < apart[2]


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_it_is_legible_in_both_themes(page: Any, widget: Any, theme: str, tmp_path: Path) -> None:
    page.evaluate(f"window.jupyterapp.commands.execute('apputils:change-theme', {{theme: '{theme}'}})")
    page.wait_for_function(f"document.body.dataset.jpThemeName === '{theme}'")
    page.wait_for_timeout(300)
    entry(widget, 1, 2).hover()
    widget.locator(".label").filter(has_text="∂y[1]/∂x[2]").wait_for()
    folder = Path(os.environ.get("JACOBIAN_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"widget_{theme.rsplit(maxsplit=1)[-1].lower()}.png"
    widget.screenshot(path=file)
    page.screenshot(path=folder / f"page_{theme.rsplit(maxsplit=1)[-1].lower()}.png")
    image = pixels(file)
    background = np.median(image.reshape(-1, 3), axis=0)
    assert (background.mean() < 0.3) == (theme == "JupyterLab Dark")
    for selector in (".label", ".inputs", ".formula", ".hint", "tbody th", ".paths code", "dd", "td.value"):
        assert contrast(widget.locator(selector).first) >= 4.5, selector
    red, blue = image[..., 0] - image[..., 2] > 0.25, image[..., 2] - image[..., 0] > 0.25
    assert red.sum() > 500, "positive entries are red"
    assert blue.sum() > 500, "negative entries are blue"


def pixels(file: Path) -> np.ndarray:
    from matplotlib.image import imread

    return np.asarray(imread(file))[..., :3]


def contrast(element: Any) -> float:
    """The ratio of WCAG between text and what is behind it, opacities and all."""
    text, behind = element.evaluate(
        """element => {
            const parse = colour => {
                const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number);
                return [r, g, b, a];
            };
            const over = (top, under) => [0, 1, 2].map(k => top[k] * top[3] + under[k] * (1 - top[3]));
            const layers = [];
            let opacity = 1;
            for (let node = element; node; node = node.parentElement) {
                const style = getComputedStyle(node);
                layers.push(parse(style.backgroundColor));
                opacity *= Number(style.opacity);
            }
            const behind = layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255]);
            const [r, g, b, a] = parse(getComputedStyle(element).color);
            return [over([r, g, b, a * opacity], behind), behind];
        }"""
    )

    def luminance(colour: list[float]) -> float:
        c = np.array(colour) / 255
        return float(np.where(c <= 0.03928, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])

    light, dark = sorted((luminance(text), luminance(behind)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
