"""What a notebook and a terminal show of a Jacobian, piece by piece."""

import sys
import time

import numpy as np
import pytest
from display.html_reader import pixels_of, read

import jacobian as jac

RNG = np.random.default_rng(0)
W = np.array([[1.0, 2.0], [3.0, 4.0]])
X = np.ones((2, 3))


def linear(X: np.ndarray) -> np.ndarray:
    return X.T @ W


def bundle(J: object) -> dict[str, str]:
    return J._repr_mimebundle_()  # type: ignore[attr-defined, no-any-return]


def facts(J: jac.Jacobian) -> dict[str, str]:
    table = read(bundle(J)["text/html"]).all("table")[0]
    return {row.all("th")[0].text: row.all("td")[0].text for row in table.all("tr")}


def test_the_header_says_what_is_known() -> None:
    J = jac.jacobian(linear)(X)
    table = read(bundle(J)["text/html"]).all("table")[0]
    assert table.all("caption")[0].text == "Jacobian ∂y[i,j]/∂X[k,l] (3,2)×(2,3) of X.T @ W"
    assert all(head.attrs["scope"] == "row" for head in table.all("th"))
    assert facts(J) == {
        "formula": J.formula,
        "structure": "block-diagonal over axis 0|1",
        "nnz": "12 of 36 entries (33.3 %) by structure",
        "range": "values from 1 to 4",
        "cost": "288 B dense (float64), 32 B held as terms",
    }


def test_what_is_not_finite_is_flagged() -> None:
    J = jac.Jacobian.einsum("i->i|i", np.array([np.nan, np.inf, -np.inf, 1.0]))
    assert facts(J)["not finite"] == "1 NaN and 2 Inf"
    assert facts(J)["range"] == "values from 1 to 1"


def test_a_number_by_a_number_is_one_line() -> None:
    J = jac.jacobian(lambda x: x**2 * 0.8)(2.0)
    page = read(bundle(J)["text/html"])
    assert page.all("p")[0].text == "dy/dx = 3.2"
    assert not page.all("img")
    assert repr(J).splitlines()[1] == "  3.2"


def test_the_picture_stands_under_index_vectors() -> None:
    page = read(bundle(jac.jacobian(linear)(X))["text/html"])
    figure = page.all("table")[1]
    heads = figure.all("th")
    down = [head for head in heads if head.attrs["scope"] == "row"]
    across = [head for head in heads if head.attrs["scope"] == "col"]
    assert [head.text for head in down] == ["0,0", "0,1", "1,0", "1,1", "2,0", "2,1"]
    assert [head.text for head in across] == ["00", "01", "02", "10", "11", "12"]  # one index below the other
    pixels = pixels_of(figure.all("img")[0])
    assert sum(int(head.attrs["height"]) for head in down) == pixels.shape[0]
    assert sum(int(head.attrs["width"]) for head in across) == pixels.shape[1]
    assert figure.all("caption")[0].text == "Rows are outputs, columns inputs"
    assert page.all("img")[0].attrs["alt"] == "Heat map of ∂y/∂X, 6 × 6: block-diagonal over axis 0|1"


def test_a_longer_side_is_labelled_by_its_leading_axis() -> None:
    page = read(bundle(jac.jacobian(lambda X: X * 2)(np.ones((3, 20))))["text/html"])
    assert [head.text for head in page.all("table")[1].all("th")] == ["0", "1", "2", "0", "1", "2"]


def test_the_numbers_are_in_a_table_to_unfold() -> None:
    J = jac.jacobian(linear)(X)
    (details,) = read(bundle(J)["text/html"]).all("details")
    assert details.all("summary")[0].text == "All entries"
    assert details.all("caption")[0].text == "All entries of ∂y[i,j]/∂X[k,l]. · is zero by structure."
    rows = [row for row in details.all("tr") if row.all("th")[0].attrs["scope"] == "row"]
    shown = [[cell.text for cell in row.all("td")] for row in rows]
    matrix = J.matrix()
    assert [[0.0 if text == "·" else float(text) for text in row] for row in shown] == matrix.tolist()
    assert ["border-top:2px" in row.all("td")[0].attrs["style"] for row in rows] == [
        False,
        False,
        True,
        False,
        True,
        False,
    ]
    across = [head.text for head in details.all("th") if head.attrs["scope"] == "col"]
    assert across == ["0,0", "0,1", "0,2", "1,0", "1,1", "1,2"]


def test_zeros_by_value_are_told_from_zeros_by_structure() -> None:
    J = jac.Jacobian.einsum("i->i|i", np.array([0.0, 1.5]))
    (details,) = read(bundle(J)["text/html"]).all("details")
    cells = [cell.text for row in details.all("tr")[1:] for cell in row.all("td")]
    assert cells == ["0", "·", "·", "1.5"]
    assert details.all("caption")[0].text.endswith("· is zero by structure, 0 happens to be zero.")


def test_256_entries_are_written_out_and_no_more() -> None:
    for size, summary in ((16, "All entries"), (17, "First and last rows and columns")):
        page = read(bundle(jac.jacobian(np.tanh)(np.ones(size)))["text/html"])
        assert page.all("summary")[0].text == summary


def test_names_are_escaped_everywhere() -> None:
    J = jac.Jacobian.einsum("i->i|i", np.ones(2), names=("<script>alert(1)</script>", 'W_1"&'))
    html = bundle(J)["text/html"]
    assert "<script" not in html
    assert '∂<script>alert(1)</script>[i]/∂W_1"&[j]' in read(html).text
    assert "text/latex" not in bundle(J)


@pytest.mark.parametrize("f", [np.tanh, np.sum, np.fft.fft, lambda x: x[:0], lambda x: np.outer(x, x)])
def test_pages_set_no_colours_and_need_no_script(f: object) -> None:
    html = bundle(jac.jacobian(f)(np.arange(4.0)))["text/html"]  # type: ignore[arg-type]
    page = read(html)
    assert not page.all("script")
    assert not page.all("style")
    for tag in ("div", "table", "td", "th", "p", "caption", "img", "details", "code"):
        for element in page.all(tag):
            style = element.attrs.get("style", "")
            assert "color" not in style
            assert "background" not in style
    assert all(table.all("caption") for table in page.all("table"))
    assert all(head.attrs["scope"] in ("row", "col") for head in page.all("th"))
    assert all(image.attrs["alt"] for image in page.all("img"))


BIG = {
    "diagonal": np.sin,
    "three diagonals": lambda x: np.roll(x, 1) - 2 * x + np.roll(x, -1),
    "triangle": np.cumsum,
    "permutation": np.sort,
    "rank one": lambda x: x * np.sum(x),
}


@pytest.mark.parametrize("name", BIG)
def test_ten_thousand_squared_in_a_moment_and_a_few_kilobytes(name: str) -> None:
    J = jac.jacobian(BIG[name])(RNG.normal(size=10_000))
    J.structure  # noqa: B018 - terms are found when they are asked for
    took = []
    for _ in range(3):
        begin = time.perf_counter()
        found = bundle(J)
        took.append(time.perf_counter() - begin)
    assert min(took) < 0.2
    assert len(found["text/html"]) < 60_000
    assert J._dense is None  # nothing was materialised
    html = found["text/html"]
    assert read(html).all("summary")[0].text == "First and last rows and columns"
    assert "9999" in html


def test_the_edges_of_a_large_one_are_true() -> None:
    x = RNG.normal(size=10_000)
    lines = repr(jac.jacobian(np.sin)(x)).splitlines()
    assert lines[0] == "Jacobian (10000,) × (10000,) float64, diagonal: ∂y[i]/∂x[i] = cos(x[i])"
    assert lines[1].split() == ["0", "1", "2", "…", "9997", "9998", "9999"]
    assert lines[3].split() == ["1", "·", f"{np.cos(x[1]):.4g}", "·", "…", "·", "·", "·"]
    assert lines[5] == "⋮"
    assert lines[-1].split()[-1] == f"{np.cos(x[-1]):.4g}"


def test_the_text_of_a_small_one() -> None:
    assert repr(jac.jacobian(linear)(X)) == (
        "Jacobian (3, 2) × (2, 3) float64, block-diagonal over axis 0|1: ∂y[i,j]/∂X[k,i] = W[k,j]\n"
        "     0,0  0,1  0,2 │  1,0  1,1  1,2\n"
        "0,0    1    ·    · │    3    ·    ·\n"
        "0,1    2    ·    · │    4    ·    ·\n"
        "\n"
        "1,0    ·    1    · │    ·    3    ·\n"
        "1,1    ·    2    · │    ·    4    ·\n"
        "\n"
        "2,0    ·    ·    1 │    ·    ·    3\n"
        "2,1    ·    ·    2 │    ·    ·    4"
    )


@pytest.mark.parametrize("shape", [(), (5,), (16,), (17,), (4, 4), (2, 2, 4), (3, 1, 40), (200, 200)])
def test_the_text_fits_on_one_screen(shape: tuple[int, ...]) -> None:
    first, *lines = repr(jac.jacobian(lambda x: x * 1.23456789e-77)(RNG.normal(size=shape))).splitlines()
    assert first.startswith(f"Jacobian {shape} × {shape} float64, ")
    assert len(lines) <= 40
    assert all(len(line) <= 110 for line in lines)


def test_a_costly_one_shows_no_numbers_in_a_text() -> None:
    D = RNG.normal(size=(2000, 2000))
    text = repr(jac.jacobian(lambda x: D @ np.tanh(D @ np.tanh(D @ x)))(np.ones(2000)))
    assert text.splitlines()[1:] == ["  where v2 = tanh(v1), v4 = tanh(v3), v1 = D @ x, v3 = D @ v2"]


def test_latex_of_small_ones() -> None:
    J = jac.Jacobian.einsum("i->i|i", np.array([1e-30, -2.0]))
    assert bundle(J)["text/latex"] == (
        r"$\displaystyle \frac{\partial y_{i}}{\partial x_{i}} = A_{i} \qquad "
        r"\begin{bmatrix} 1 \cdot 10^{-30} & 0 \\ 0 & -2 \end{bmatrix}$"
    )
    assert "text/latex" not in bundle(jac.jacobian(np.sin)(np.ones(50)))


def test_complex_float32_greek_and_the_denominator_layout() -> None:
    assert facts(jac.jacobian(np.fft.fft)(np.ones(4)))["range"] == "magnitudes from 1 to 1"
    assert facts(jac.jacobian(np.exp)(np.ones(4, np.float32)))["cost"].startswith("64 B dense (float32)")
    page = read(bundle(jac.jacobian(np.sin)(np.ones(2)).named("y", "θ"))["text/html"])
    assert "∂y[i]/∂θ[j]" in page.text
    turned = read(bundle(jac.jacobian(linear)(X).T)["text/html"])
    assert turned.all("caption")[0].text == "Jacobian ∂y[i,j]/∂X[k,l] (2,3)×(3,2), input axes first"
    assert turned.all("table")[1].all("caption")[0].text == "Rows are inputs, columns outputs"


def test_second_derivatives_tuples_and_no_entries() -> None:
    H = jac.hessian(lambda x: np.sum(x**3))(np.array([1.0, 2.0]))
    assert repr(H).splitlines()[1:] == ["   0   1", "0  6   ·", "1  ·  12"]
    assert "(2)×(2)" in bundle(H)["text/html"]
    both = jac.jacobian(lambda a, b: a * b, argnums=(0, 1))(np.ones(2), np.ones(2))
    assert repr(both).count("Jacobian (2,) × (2,)") == 2
    empty = jac.jacobian(lambda x: x[:0])(np.ones(3))
    assert facts(empty)["nnz"] == "no entries"
    assert repr(empty) == "Jacobian (0,) × (3,) float64, zero: ∂y[i]/∂x[j] = 0"


def test_blocks_are_a_table_of_tables() -> None:
    J = jac.jacobian(linear)(X)
    blocks = J.blocks()
    (page,) = read(bundle(blocks)["text/html"]).all("table")[:1]
    assert page.all("caption")[0].text == "Blocks of ∂y[i,j]/∂X[k,l]: within a block rows are j, columns l"
    assert [head.text for head in page.all("th")] == ["k=0", "k=1", "i=0", "i=1", "i=2"]
    inner = page.all("table")[1:]
    assert len(inner) == 6
    for table, block in zip(inner, blocks.ravel(), strict=True):
        shown = [[0.0 if c.text == "·" else float(c.text) for c in row.all("td")] for row in table.all("tr")]
        assert shown == block.tolist()


def test_larger_blocks_are_heat_maps_and_cut_ones_are_text() -> None:
    blocks = jac.jacobian(lambda X: X @ X.T)(RNG.normal(size=(4, 6))).blocks()
    page = read(bundle(blocks)["text/html"])
    assert len(page.all("img")) == 16
    assert all(image.attrs["alt"].startswith("Block (") for image in page.all("img"))
    strongest = [pixels_of(image)[1:-1, 1:-1, 3].max() for image in page.all("img")]
    assert sorted(strongest)[-1] == 255  # of all blocks: they have one scale
    assert sum(peak == 255 for peak in strongest) < 16
    assert list(bundle(blocks[:1])) == ["text/plain"]
    assert type(blocks[0, 0]) is np.ndarray


def test_plots_follow_matplotlib() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots()
    try:
        J = jac.jacobian(linear)(X)
        image = J.plot(ax=ax)
        assert image is ax.images[0]
        assert np.array_equal(np.ma.getmaskarray(image.get_array()), J.matrix() == 0)
        assert image.get_clim() == (-4.0, 4.0)
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("X[k,l]", "y[i,j]")
        assert ax.get_xlim() == (-0.5, 5.5)
        spied = J.spy(ax=ax, alpha=0.5)
        assert spied.get_alpha() == 0.5
        assert np.array_equal(np.ma.getmaskarray(spied.get_array()), J.matrix() == 0)
        plt.sca(ax)
        assert J.plot().axes is ax  # the current axes
        big = jac.jacobian(np.sin)(RNG.normal(size=10_000)).spy(ax=ax)
        assert max(big.get_array().shape) <= 512
        jac.jacobian(lambda x: x**2)(2.0).plot(ax=ax)
        jac.jacobian(lambda x: x[:0])(np.ones(3)).plot(ax=ax)
        jac.jacobian(np.fft.fft)(np.ones(3)).plot(ax=ax)
        figure.canvas.draw()
    finally:
        plt.close(figure)


def test_without_matplotlib_plots_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    J = jac.jacobian(np.sin)(np.ones(2))
    for draw, name in ((J.plot, "J.plot"), (J.spy, "J.spy")):
        with pytest.raises(ImportError) as caught:
            draw()
        assert isinstance(caught.value, jac.errors.MissingExtraError)
        assert str(caught.value) == f"{name} needs matplotlib\n  fix:   pip install 'jacobian[plot]'"
