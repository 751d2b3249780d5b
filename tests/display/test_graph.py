"""The graph of a trace and of backpropagation: picture, tables, text."""

import sys
import time
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from display.html_reader import read
from display.pieces import check_is_at_home_anywhere, rows_of, svg_of, svg_texts

import jacobian as jac
from jacobian.display.drawing import Card, Sheet, Wire, frame_of, label_spots, svg
from jacobian.display.placement import layers_of, place
from jacobian.display.sheets import of_backpropagation, of_trace
from jacobian.display.words import value_text

pytest.importorskip("igraph")

RNG = np.random.default_rng(5)
W, X = RNG.normal(size=(3, 4)), RNG.normal(size=4)


def layer(W, x):
    return np.sum(np.tanh(W @ x) ** 2)


def html_of(shown) -> str:
    bundle = shown._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    return bundle["text/html"]


def residual(x):
    for k in range(33):
        x = x + np.tanh(np.sin(x) * k)
    return np.sum(x)


def test_every_edge_leads_down_and_passes_one_place_in_every_layer_between() -> None:
    edges = [(0, 1), (1, 2), (2, 3), (0, 3), (3, 5), (4, 5)]
    found = place(6, edges)
    layers = [layer for _, layer in found.nodes]
    assert layers == layers_of(6, edges) == [0, 1, 2, 3, 3, 4]
    for (start, stop), way in zip(edges, found.ways, strict=True):
        assert [layer for _, layer in way] == list(range(layers[start] + 1, layers[stop]))
    spots = [*found.nodes, *(spot for way in found.ways for spot in way)]
    assert len(set(spots)) == len(spots) and min(column for column, _ in spots) == 0
    assert place(0, []).layers == 0 and place(1, []).nodes == ((0.0, 0),)


def test_cards_and_texts_keep_clear_of_each_other() -> None:
    for f, args in ((layer, (W, X)), (residual, (X,))):
        sheet = of_trace(jac.trace(f, *args))
        found = place(len(sheet.cards), [(wire.start, wire.stop) for wire in sheet.wires])
        frame = frame_of(sheet, found)
        spots = sorted(frame.middle(spot) for spot in found.nodes)
        for k, (x, y) in enumerate(spots):
            assert frame.wide / 2 <= x <= frame.width - frame.wide / 2 and y <= frame.height
            assert all(abs(x - u) >= frame.wide or abs(y - v) >= frame.tall for u, v in spots[k + 1 :])
        labels = label_spots(sheet, found, frame)
        widest = 0.58 * 11 * 26
        for k, (x, y) in enumerate(labels):
            assert all(abs(x - u) >= min(frame.slot, widest) / 2 or abs(y - v) > 20 for u, v in labels[k + 1 :])


def test_the_picture_shows_ops_shapes_values_and_local_jacobians() -> None:
    root = read(html_of(jac.trace(layer, W, X)))
    check_is_at_home_anywhere(root)
    (image,) = root.all("img")
    assert image.attrs["alt"] == (
        "Graph of 6 nodes: inputs W, x, then v1 = matmul(W, x); v2 = tanh(v1); v3 = power(v2, 2); y = sum(v3)"
    )
    drawn = svg_of(image)
    texts = svg_texts(drawn)
    assert {"W", "x", "v1 = matmul(W, x)", "(3,4) float64", value_text(W), "y = sum(v3)"} <= set(texts)
    assert {"∂ (3)×(3,4)", "block-diagonal over axis 0", "∂ (3)×(4)", "∂ ()×(3)", "diagonal"} <= set(texts)
    assert float(image.attrs["width"]) >= float(drawn.attrib["width"]) > 0
    rects = drawn.findall(".//{http://www.w3.org/2000/svg}rect")
    assert len(rects) == 6, "a card for every node, and no background"


def test_the_table_has_a_row_for_every_edge() -> None:
    root = read(html_of(jac.trace(layer, W, X)))
    (table,) = root.all("table")
    rows = rows_of(table)
    assert rows[0] == ["node", "shape", "value", "by", "local Jacobian", "shapes", "structure"]
    assert rows[3][0] == "v1 = matmul(W, x)" and rows[3][3:] == [
        "W", "∂v1[i]/∂W[i,j] = x[j]", "(3)×(3,4)", "block-diagonal over axis 0",
    ]  # fmt: skip
    assert rows[4] == ["x", "∂v1[i]/∂x[j] = W[i,j]", "(3)×(4)", "dense"], "node, shape and value span both rows"
    (head,) = [cell for cell in table.all("th") if cell.attrs["scope"] == "rowgroup"]
    assert head.attrs["rowspan"] == "2"
    assert len(root.all("details")) == 1 and "open" not in root.all("details")[0].attrs


def test_an_operand_used_twice_has_one_wire() -> None:
    sheet = of_trace(jac.trace(lambda x: x * x, X))
    assert sheet.wires == (Wire(0, 1, ("∂ (4)×(4)", "diagonal", "and as 1 more operand")),)


def test_a_hundred_nodes_are_drawn_within_a_second() -> None:
    t = jac.trace(residual, X)
    assert len(t.nodes) > 100
    html_of(t)
    start = time.perf_counter()
    text = html_of(t)
    assert time.perf_counter() - start < 1
    root = read(text)
    (image,) = root.all("img")
    assert len(svg_of(image).findall(".//{http://www.w3.org/2000/svg}rect")) == len(t.nodes)
    assert " and " in image.attrs["alt"] and len(image.attrs["alt"]) < 600
    assert len(repr(t).splitlines()) < 45


def test_more_nodes_than_can_be_seen_are_told() -> None:
    def long(x):
        for _ in range(400):
            x = np.sin(x)
        return x

    t = jac.trace(long, X)
    root = read(html_of(t))
    assert not root.all("img") and "more than the 300 that a picture can show" in root.text
    assert "401 nodes, the first and last 100 of them" in root.all("caption")[0].text
    assert "open" in root.all("details")[0].attrs
    b = jac.backprop(long, X)
    assert "… and 281 more nodes" in read(html_of(b)).text
    assert repr(b).splitlines()[-1].startswith("… ") and len(repr(b).splitlines()) <= 41
    assert len(str(b).splitlines()) > 1000


def test_names_are_escaped() -> None:
    t = jac.trace(lambda p: np.sin(p["<script>alert(1)</script>"]), {"<script>alert(1)</script>": X})
    check_is_at_home_anywhere(read(html_of(t)))
    assert "<script" not in html_of(t) and "&lt;script&gt;" in html_of(t)
    text = svg(Sheet((Card("op", ("a<b & \x00\x1b",)),), (), "less < more"))
    assert ET.fromstring(text) is not None and "a&lt;b &amp; ��" in text


def test_without_igraph_there_are_tables_and_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "igraph", None)  # as if it were not installed
    t = jac.trace(layer, W, X)
    root = read(html_of(t))
    assert not root.all("img") and "pip install 'jacobian[graph]'" in root.text
    assert "open" in root.all("details")[0].attrs and root.all("table")
    assert "v1 = matmul(W, x)" in t._repr_mimebundle_()["text/plain"]
    with pytest.raises(jac.errors.MissingExtraError) as caught:
        t.svg()
    assert str(caught.value) == (
        "the picture of a graph needs igraph, which lays it out\n  fix:   pip install 'jacobian[graph]'"
    )
    assert read(html_of(jac.backprop(layer, W, X))).all("table")


def test_backpropagation_shows_upstream_local_and_downstream() -> None:
    b = jac.backprop(layer, W, X)
    root = read(html_of(b))
    check_is_at_home_anywhere(root)
    picture = root.all("figure")[0].all("img")[0]
    texts = svg_texts(svg_of(picture))
    assert {"upstream ()×(3,4)", "local (3)×(3,4)", "downstream ()×(3,4)"} <= set(texts)
    assert 'marker-start="url(#a)"' in b.svg() and "marker-end" not in b.svg()
    steps = [element for element in root.children[0].children if getattr(element, "tag", "") == "details"]
    assert len(steps) == 6 and all("open" in step.attrs for step in steps)
    rows = rows_of(steps[3].all("table")[0])
    assert steps[3].all("summary")[0].text.startswith("v1 = matmul(W, x) (3), value [")
    assert rows[0] == ["back to", "upstream", "· local", "= downstream", "einsum"]
    assert rows[1][0] == "W" and rows[1][4] == "i,j->|ij"
    images = steps[3].all("table")[0].all("img")
    assert len(images) == 5, "one upstream for both rows; for each a local and a downstream"
    assert "∂v1[i]/∂W[i,j] = x[j]" in rows[1][2] and "∂y/∂W[i,j] = ∂y/∂v1[i] * x[j]" in rows[1][3]
    assert "this is the Jacobian" in steps[-1].all("summary")[0].text


def test_one_step_is_shown_by_itself() -> None:
    step = jac.backprop(layer, W, X)["v1"]
    bundle = step._repr_mimebundle_()
    assert bundle["text/plain"] == str(step)
    check_is_at_home_anywhere(read(bundle["text/html"]))


def test_inputs_without_a_way_to_the_output_stand_by_themselves() -> None:
    b = jac.backprop(lambda x, unused: np.sin(x), X, X)
    sheet = of_backpropagation(b)
    assert len(sheet.cards) == 3 and len(sheet.wires) == 1
    assert "zero" in read(html_of(b)).text


@pytest.mark.parametrize(
    "f", [
        lambda x: np.fft.rfft(x), lambda x: np.abs(np.fft.fft(x)), lambda x: np.cumsum(x), lambda x: x[[2, 0]],
        lambda x: np.convolve(x, [1.0, 2.0]), lambda x: np.sort(x), lambda x: (x, np.sum(x)), lambda x: 3.0,
        lambda x: {"a": np.log(x**2 + 1)}, lambda x: x,
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_every_kind_of_local_jacobian_is_shown(f) -> None:
    check_is_at_home_anywhere(read(html_of(jac.trace(f, np.array([0.5, -1.0, 2.0])))))


def test_looking_warns_of_nothing() -> None:
    t = jac.trace(lambda x: np.abs(x), np.zeros(2))
    assert "diagonal" in html_of(t)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.25, "3.25"), (np.zeros(0), "empty"), (np.array([1.0, np.nan]), "[1 NaN]"), (np.full((2, 2), 7.0), "7"),
        (np.array([[1.0, np.inf, -2.0, np.nan, np.nan]]), "-2 … 1, 2 NaN, 1 Inf"),
        (np.array([3 + 4j, 0, 0, 0, 0]), "|·| 0 … 5"),
    ],
)  # fmt: skip
def test_values_are_told_in_a_few_words(value, text: str) -> None:
    assert value_text(value) == text
