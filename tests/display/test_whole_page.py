"""The page that stands alone: what is on it, that it needs nothing else, and where it cannot be written."""

import re
from pathlib import Path

import numpy as np
import pytest
from display.html_reader import Element, read
from display.pieces import rows_of

import jacobian as jac
from jacobian.__main__ import main
from jacobian.errors import ArgumentError, FileError

RNG = np.random.default_rng(0)
W, X, B = RNG.normal(size=(3, 4)), RNG.normal(size=4), RNG.normal(size=3)
SECTIONS = ["function", "jacobians", "derivation", "graph", "chain", "backpropagation", "check"]


def layer(W, x, b):
    z = W @ x + b
    return np.tanh(z)


def opened(path: Path) -> Element:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>\n")
    return read(text)


def section(root: Element, name: str) -> Element:
    (found,) = [part for part in root.all("section") if part.attrs["id"] == name]
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Element:
    where = tmp_path_factory.mktemp("page") / "layer.html"
    assert jac.report(layer, W, X, B, path=where) == where
    assert where.stat().st_size < 300_000
    return opened(where)


def check_stands_alone(root: Element) -> None:
    """No script, nothing from elsewhere, an alternative for every image, a caption for every table."""
    for tag in ("script", "link", "iframe", "object", "form"):
        assert not root.all(tag)
    for image in root.all("img"):
        assert image.attrs["alt"] and image.attrs["src"].startswith("data:image/")
    for table in root.all("table"):
        assert table.all("caption") and all("scope" in cell.attrs for cell in table.all("th"))
    (style,) = root.all("style")
    assert "url(" not in style.text and "@import" not in style.text
    assert "@media print" in style.text and "color-scheme: light dark" in style.text
    assert all(link.attrs["href"].startswith("#") for link in root.all("a"))


def check_has_an_outline(root: Element) -> None:
    """One h1; no level is left out; landmarks; every fragment is there, once."""
    (html,) = root.all("html")
    assert html.attrs["lang"] == "en"
    for landmark in ("header", "nav", "main", "footer", "title", "h1"):
        assert len(root.all(landmark)) == 1
    level = 1
    for heading in re.findall(r"h[1-4]", " ".join(_tags(html))):
        assert int(heading[1]) <= level + 1
        level = int(heading[1])
    ids = [part.attrs["id"] for part in root.all("section")]
    assert [link.attrs["href"][1:] for link in root.all("a")] == ids and len(set(ids)) == len(ids)


def _tags(element: Element) -> list[str]:
    inside = [tag for child in element.children if isinstance(child, Element) for tag in _tags(child)]
    return [*([element.tag] if re.fullmatch(r"h\d", element.tag) else []), *inside]


def test_the_page_needs_nothing_but_itself(page: Element) -> None:
    check_stands_alone(page)
    check_has_an_outline(page)
    assert [part.attrs["id"] for part in page.all("section")] == SECTIONS
    assert page.all("title")[0].text == page.all("h1")[0].text == "y = layer(W, x, b)"
    (verdict,) = page.all("header")[0].all("p")
    assert verdict.text.startswith("✓ The Jacobians are right: all 57 entries agree with finite differences")


def test_the_function_and_its_numbers(page: Element) -> None:
    part = section(page, "function")
    assert part.all("pre")[0].text == "def layer(W, x, b):\n    z = W @ x + b\n    return np.tanh(z)"
    rows = rows_of(part.all("table")[0])
    assert [row[:4] for row in rows[1:]] == [
        ["W", "input", "(3,4)", "float64"],
        ["x", "input", "(4)", "float64"],
        ["b", "input", "(3)", "float64"],
        ["y", "output", "(3)", "float64"],
    ]


def test_every_jacobian_has_formula_heat_map_and_numbers(page: Element) -> None:
    part = section(page, "jacobians")
    assert [heading.text for heading in part.all("h3")] == ["∂y/∂W", "∂y/∂x", "∂y/∂b"]
    assert [math.attrs["alttext"] for math in part.all("math")] == [
        "∂y[i]/∂W[i,j] = (1 - y[i]**2) * x[j]",
        "∂y[i]/∂x[j] = (1 - y[i]**2) * W[i,j]",
        "∂y[i]/∂b[i] = 1 - y[i]**2",
    ]
    assert len(part.all("img")) == 3
    assert all("open" in unfolded.attrs for unfolded in part.all("details"))
    numbers = rows_of(part.all("details")[2].all("table")[0])
    J = jac.jacobian(layer, argnums=2)(W, X, B)
    assert [numbers[k + 1][k + 1] for k in range(3)] == [f"{J[k, k]:.4g}" for k in range(3)]


def test_the_derivation_is_written_out_and_its_code_runs(page: Element) -> None:
    part = section(page, "derivation")
    titles = [heading.text for heading in part.all("h4")]
    for title in ("Local Jacobians", "The chain rule", "Result", "In matrices", "In NumPy"):
        assert titles.count(title) == 3
    assert "∂L/∂W = (G ⊙ (1 - y**2)) xᵀ" in [code.text for code in part.all("code")]
    scope = {"W": W, "x": X, "b": B}
    exec(part.all("pre")[1].text, scope)
    np.testing.assert_allclose(scope["J"], jac.jacobian(layer)(W, X, B))


def test_graph_chain_and_backpropagation(page: Element) -> None:
    assert section(page, "graph").all("img")[0].attrs["alt"].startswith("Graph of 6 nodes: inputs W, x, b, then")
    chain = section(page, "chain")
    links, orders = (rows_of(table) for table in chain.all("table")[:2])
    assert [row[:2] for row in links[1:]] == [
        ["J3", "y = tanh(z)"],
        ["J2", "z = add(v1, b)"],
        ["J1", "v1 = matmul(W, x)"],
    ]
    assert orders[0] == ["order", "forward", "reverse", "best bracketing", "as one network"]
    steps = [summary.text.split(" (")[0] for summary in section(page, "backpropagation").all("summary")]
    for node in ("y = tanh", "z = add", "v1 = matmul", "W", "x", "b"):
        assert any(step.startswith(node) for step in steps)


def test_the_check_has_a_row_for_every_jacobian(page: Element) -> None:
    rows = rows_of(section(page, "check").all("table")[0])
    assert [row[:6] for row in rows[1:]] == [
        ["∂y/∂W", "36", "36", "0", "0", "0"],
        ["∂y/∂x", "12", "12", "0", "0", "0"],
        ["∂y/∂b", "9", "9", "0", "0", "0"],
    ]


def test_a_claim_is_judged_first(tmp_path: Path) -> None:
    where = jac.report(layer, W, X, B, path=tmp_path / "a.html", argnums=1, claim="dy[i]/dx[j] = W[i,j]")
    root = opened(where)
    part = section(root, "claim")
    assert part.all("math")[0].attrs["alttext"] == "dy[i]/dx[j] = W[i,j]"
    assert "slip     factor left out" in part.all("pre")[0].text
    assert root.all("header")[0].all("p")[0].text.startswith("✗ The claim is wrong: ∂y[i]/∂x[j], 0 of 12")
    assert [heading.text for heading in section(root, "jacobians").all("h3")] == ["∂y/∂x"]


def test_where_paths_meet_the_links_lie_between_the_nodes_that_all_pass(tmp_path: Path) -> None:
    where = jac.report(lambda x: np.sum(np.sin(x) * np.cos(x)), X, path=tmp_path / "a.html")
    tables = section(opened(where), "chain").all("table")
    links = rows_of(tables[0])
    assert [row[0] for row in links[1:]] == ["J2", "J1"] and "sin, cos, multiply" in links[2][1]
    assert rows_of(tables[-1])[0] == ["order", "multiplications", "bytes made", "largest array"]
    assert any("chosen" in row[0] for row in rows_of(tables[-1])[1:])


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (lambda x: (x, 2 * x), (X,)),
        (lambda p: p["a"] * p["b"], ({"a": X, "b": np.array(2.0)},)),
        (lambda x: 3.0, (X,)),
        (lambda x: x, (X,)),
        (np.sin, (0.5,)),
        (lambda x: x[:0], (X,)),
        (lambda z: np.abs(z), (X + 1j,)),
        (lambda x: np.cumprod(x), (X,)),
    ],
    ids=["two outputs", "a dict", "constant", "identity", "a number", "empty", "complex", "no short formula"],
)
def test_what_cannot_be_shown_says_so_and_the_rest_stands(f: object, args: tuple, tmp_path: Path) -> None:
    try:
        where = jac.report(f, *args, path=tmp_path / "a.html")
    except jac.errors.JacobianError as error:  # there is no Jacobian at all
        with pytest.raises(type(error)):
            jac.jacobian(f)(*args)
        return
    root = opened(where)
    check_stands_alone(root)
    check_has_an_outline(root)


def test_names_are_escaped(tmp_path: Path) -> None:
    text = "<b>&"
    where = jac.report(lambda p: p[text] * 2, {text: X}, path=tmp_path / "a.html")
    assert not opened(where).all("b")


def test_a_large_function_has_a_small_page(tmp_path: Path) -> None:
    x = np.linspace(0, 1, 20_000)
    where = jac.report(lambda x: (x[1:] - x[:-1]) ** 2, x, path=tmp_path / "a.html")
    assert where.stat().st_size < 150_000
    assert "This part cannot be made here:" in section(opened(where), "derivation").text


REFUSED = {
    "folder": ("{tmp}", "report: {tmp} is a folder\n  fix:   name a file in it: {tmp}/report.html"),
    "no folder": (
        "{tmp}/no/a.html",
        "report: there is no folder {tmp}/no\n  fix:   make it first, or give another path",
    ),
}


@pytest.mark.parametrize(("path", "message"), REFUSED.values(), ids=REFUSED)
def test_paths_that_cannot_be_written(path: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(FileError) as caught:
        jac.report(np.sin, 1.0, path=path.format(tmp=tmp_path))
    assert str(caught.value) == message.format(tmp=tmp_path)
    assert isinstance(caught.value, OSError)


@pytest.mark.parametrize("name", ["a" * 300, "a\0b"], ids=["too long", "a null character"])
def test_a_file_that_the_system_refuses(name: str, tmp_path: Path) -> None:
    name = f"{tmp_path}/{name}.html"
    with pytest.raises(FileError, match=r"cannot be written: .*\n  fix:   give another path"):
        jac.report(np.sin, 1.0, path=name)


@pytest.mark.parametrize("path", ["", 3, None])
def test_what_is_no_path(path: object) -> None:
    with pytest.raises(ArgumentError) as caught:
        jac.report(np.sin, 1.0, path=path)
    assert str(caught.value) == (
        f'report: path must be the name of a file\n  got:   {path!r}\n  fix:   path="report.html"'
    )


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = tmp_path / "report.html"
    assert main(["softmax(W @ x)", "W=3,4", "x=4", "--html", str(where)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("y = softmax(W @ x)\n")
    assert re.fullmatch(rf"page written to {re.escape(str(where))} \([\d.]+ kB\)", out.splitlines()[-1])
    root = opened(where)
    assert root.all("h1")[0].text == "y = softmax(W @ x)"
    command = "python -m jacobian 'softmax(W @ x)' W=3,4 x=4 --seed 0"
    assert command in root.all("footer")[0].text


def test_a_wrong_claim_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = tmp_path / "report.html"
    claim = "dy[i]/dx[j] = W[i,j]"
    assert main(["tanh(W @ x)", "W=3,4", "x=4", "--claim", claim, "--html", str(where)]) == 1
    assert capsys.readouterr().out.startswith("wrong: ∂y[i]/∂x[j]")
    assert section(opened(where), "claim").all("pre")


def test_the_command_line_refuses_before_it_computes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["x", "x=3", "--html", f"{tmp_path}/no/a.html"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("FileError: report: there is no folder")
