"""Graphs and chains drawn by matplotlib."""

import sys

import numpy as np
import pytest

import jacobian as jac

pytest.importorskip("igraph")
matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")
from matplotlib import pyplot as plt  # noqa: E402

X = np.array([0.5, -1.0, 2.0])


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def f(x):
    return np.sum(np.sin(x) * x)


@pytest.mark.parametrize("shown", [jac.trace(f, X), jac.backprop(f, X)])
def test_graphs_are_drawn_into_axes(shown) -> None:
    figure, (left, right) = plt.subplots(1, 2)
    texts = shown.plot(ax=left, fontsize=5)
    figure.canvas.draw()
    assert [text.get_text().splitlines()[0] for text in texts] == [
        "x",
        "v1 = sin(x)",
        "v2 = multiply(v1, x)",
        "y = sum(v2)",
    ]
    assert all(text.axes is left and text.get_fontsize() == 5 for text in texts) and not right.texts
    plt.sca(right)
    assert shown.plot()[0].axes is right


def test_a_chain_is_drawn_as_bars() -> None:
    net = jac.Chain(np.sum, lambda v: np.ones((4, 3)) @ v, np.tanh)
    _, ax = plt.subplots()
    bars = net.plot(X, ax=ax, color="0.5")
    assert len(bars) == 4 and bars[0].axes is ax
    costs = net.costs(X)
    assert [bar.get_height() for bar in bars[:2]] == [
        costs["forward"].multiplications,
        costs["reverse"].multiplications,
    ]
    assert ax.get_ylabel() == "multiplications"


@pytest.mark.parametrize(
    ("plot", "name"),
    [
        (lambda: jac.trace(f, X).plot(), "Trace.plot"), (lambda: jac.backprop(f, X).plot(), "backprop(...).plot"),
        (lambda: jac.Chain(np.sin).plot(X), "Chain.plot"),
    ],
)  # fmt: skip
def test_without_matplotlib_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, plot, name: str) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if it were not installed
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(jac.errors.MissingExtraError) as caught:
        plot()
    assert str(caught.value) == f"{name} needs matplotlib\n  fix:   pip install 'jacobian[plot]'"
