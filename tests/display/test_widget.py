"""What the kernel answers to the widget, and what stands in for it where no kernel is. No browser is needed."""

from __future__ import annotations

import builtins
import json
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.display import widget as room
from jacobian.display.explorer import ALL, COLUMNS, ROWS, Explorer
from jacobian.errors import MissingExtraError

RNG = np.random.default_rng(0)
W = RNG.normal(size=(3, 4))


def gated(x: np.ndarray) -> np.ndarray:
    h = np.tanh(W @ x)
    return h * np.sum(h)


def of(f: Any, *shape: int) -> jac.Jacobian:
    return jac.jacobian(f)(np.random.default_rng(1).normal(size=shape))


def live(J: jac.Jacobian) -> Any:
    pytest.importorskip("anywidget")
    return J.widget()


def numbers_of(window: dict[str, Any]) -> np.ndarray:
    return np.array([[float(text) for text, _, _ in line] for line in window["cells"]])


def test_without_anywidget_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    room._kind.cache_clear()
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "anywidget":
            raise ModuleNotFoundError("No module named 'anywidget'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError) as caught:
        of(np.tanh, 2).widget()
    assert str(caught.value) == "J.widget needs anywidget\n  fix:   pip install 'jacobian[widgets]'"
    monkeypatch.undo()
    room._kind.cache_clear()


def test_the_script_and_the_style_are_files_of_the_package() -> None:
    script, style = ((room.HERE / f"widget.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))
    assert "export default { render }" in script
    assert "http" not in script.replace("http://www.w3.org/2000/svg", "")  # nothing from a network
    assert "innerHTML" not in script  # names are text, whatever they are
    assert "@import" not in style
    assert "url(" not in style


@pytest.mark.parametrize(
    "J",
    [of(np.tanh, 4), of(gated, 4), of(np.sum, 3), of(lambda x: x @ x.T, 2, 3), of(np.sin), of(np.sort, 5)],
    ids=lambda J: f"{J.out_shape}x{J.in_shape}",
)
def test_a_window_shows_the_matrix(J: jac.Jacobian) -> None:
    window = Explorer(J).window([ALL] * J.ndim, [0, 0])
    np.testing.assert_allclose(numbers_of(window), J.matrix(), rtol=5e-3)
    json.dumps(window, allow_nan=False)
    for row in window["rows"]:
        for col in window["cols"]:
            told = Explorer(J).entry(row["at"], col["at"])
            assert float(told["value"]) == pytest.approx(J[tuple(row["index"] + col["index"])], rel=1e-5)
            json.dumps(told, allow_nan=False)


def test_cells_tell_zeros_by_structure_from_zeros_by_value_and_nan() -> None:
    J = jac.Jacobian.einsum("i->i|i", np.array([2.0, 0.0, np.nan, -4.0]))
    cells = Explorer(J).window([ALL, ALL], [0, 0])["cells"]
    assert [cells[k][k] for k in range(4)] == [
        ["2", 0.5, "value"], ["0", 0.0, "chance"], ["NaN", 1.0, "nan"], ["-4", -1.0, "value"]
    ]  # fmt: skip
    assert cells[0][1] == ["0", 0.0, "zero"]


def test_cutting_an_axis_leaves_the_rows_at_that_position() -> None:
    J = of(lambda X: np.tanh(X) @ X.T, 3, 4)
    window = Explorer(J).window([2, ALL, ALL, 1], [0, 0])
    np.testing.assert_allclose(numbers_of(window), np.asarray(J)[2, :, :, 1], rtol=5e-3)
    assert [row["index"] for row in window["rows"]] == [[2, 0], [2, 1], [2, 2]]
    assert [col["index"] for col in window["cols"]] == [[0, 1], [1, 1], [2, 1]]
    assert window["count"] == [3, 3]


def test_leading_axes_of_a_large_tensor_are_cut_at_first() -> None:
    J = of(lambda X: X * 2, 8, 9, 5)
    widget = live(J)
    assert widget.fixed == [0, 0, ALL, 0, 0, ALL]
    np.testing.assert_allclose(numbers_of(widget.window), 2 * np.eye(5))
    widget.fixed = [1, 99, ALL, 1, -7, ALL]  # out of range: the last position, and the whole axis
    assert widget.window["fixed"] == [1, 8, ALL, 1, ALL, ALL]
    assert widget.window["count"] == [5, 45]
    widget.fixed = [0]
    assert widget.window["fixed"] == [0, 0, ALL, 0, 0, ALL]


def test_a_large_jacobian_is_served_in_windows() -> None:
    n = 10_000
    J = jac.jacobian(lambda x: np.cumsum(np.tanh(x)))(np.linspace(-1, 1, n))
    widget = live(J)
    assert np.shape(widget.window["cells"]) == (ROWS, COLUMNS, 3)
    with jac.memory_limit(1e6):  # the full tensor would take 800 MB
        widget.offset = [n, 4990]
        assert widget.window["offset"] == [n - ROWS, 4990]
        widget.focus = [n - 1, 5000]
    assert widget.window["cols"][0]["index"] == [4990]
    assert widget.detail["inputs"]["count"] == n
    assert widget.detail["inputs"]["named"][:2] == ["x[0]", "x[1]"]
    assert widget.detail["paths"]["paths"][0]["share"] == widget.detail["value"]
    widget.focus = [0, 5000]
    assert widget.detail["value"] == "0"
    assert widget.detail["formula"] == "0, by structure: no path leads there"
    assert widget.detail["inputs"] == {"of": "y[0]", "count": 1, "total": n, "named": ["x[0]"]}


def test_an_entry_tells_its_formula_and_every_path() -> None:
    J = of(gated, 4)
    told = Explorer(J).entry(1, 2)
    assert told["label"] == "∂y[1]/∂x[2]"
    assert told["formula"] == "v3 * (1 - h[1]**2) * W[1,2] + Σ_i h[1] * (1 - h[i]**2) * W[i,2]"
    ways = {" ".join(step["name"] for step in path["steps"]): float(path["share"]) for path in told["paths"]["paths"]}
    assert set(ways) == {"x v1 h y", "x v1 h v3 y"}
    assert sum(ways.values()) == pytest.approx(float(told["value"]), rel=1e-5)
    x = np.random.default_rng(1).normal(size=4)
    h = np.tanh(W @ x)
    assert ways["x v1 h y"] == pytest.approx(np.sum(h) * (1 - h[1] ** 2) * W[1, 2], rel=1e-5)


def test_paths_of_each_argument_when_it_is_called_again() -> None:
    f = jac.jacobian(lambda A, x: np.sin(A @ x), argnums=(0, 1))
    A, x = RNG.normal(size=(2, 3)), RNG.normal(size=3)
    for _ in range(3):  # traced, planned, played
        JA, Jx = f(A, x)
        assert [step["name"] for step in Explorer(JA).entry(1, 4)["paths"]["paths"][0]["steps"]] == ["A", "v1", "y"]
        assert [step["name"] for step in Explorer(Jx).entry(1, 1)["paths"]["paths"][0]["steps"]] == ["x", "v1", "y"]


def test_too_many_paths_are_counted() -> None:
    def doubling(x: np.ndarray) -> np.ndarray:
        for _ in range(20):
            x = np.sin(x) + np.cos(x)
        return x

    assert Explorer(of(doubling, 2)).entry(0, 0)["paths"] == {"paths": [], "more": 2**20}


def test_a_function_that_goes_another_way_when_run_again_has_no_paths() -> None:
    calls = []

    def fickle(x: np.ndarray) -> np.ndarray:
        calls.append(1)
        return len(calls) * np.sin(x)

    told = Explorer(of(fickle, 2)).entry(0, 0)
    assert told["paths"] is None
    assert float(told["value"]) != 0


def test_the_line_is_held_against_the_function() -> None:
    J = of(gated, 4)
    moved = Explorer(J).entry(2, 1)["nudge"]
    x = np.random.default_rng(1).normal(size=4)
    for dx, linear, actual in zip(moved["dx"], moved["linear"], moved["actual"], strict=True):
        step = dx * np.eye(4)[1]
        np.testing.assert_allclose(linear, (gated(x) + J @ step)[2], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(actual, gated(x + step)[2])
    assert 0.0 in moved["dx"]


def test_where_the_function_is_not_defined_there_is_nothing() -> None:
    J = jac.jacobian(np.log)(np.array([0.5]))
    actual = Explorer(J).entry(0, 0)["nudge"]["actual"]
    assert actual[0] is None
    assert actual[-1] is not None


def test_by_hand_there_is_no_function_to_ask() -> None:
    told = Explorer(jac.Jacobian.einsum("ij->i|j", W)).entry(1, 2)
    assert told["paths"] is None
    assert told["nudge"] is None
    assert told["formula"] == "A[1,2]"


def test_the_denominator_layout_keeps_its_names() -> None:
    J = of(lambda x: W @ x, 4)
    told = Explorer(J.T).entry(2, 1)
    assert told["label"] == "∂y[1]/∂x[2]"
    assert float(told["value"]) == pytest.approx(W[1, 2], rel=1e-5)
    head = Explorer(J.T).head()
    assert (head["rows"], head["columns"]) == ("inputs", "outputs")
    assert [axis["side"] for axis in head["axes"]] == ["input", "output"]


def test_complex_numbers_have_a_value_and_no_line() -> None:
    told = Explorer(jac.jacobian(lambda z: z**2)(np.array([1 + 2j]))).entry(0, 0)
    assert told["value"] == "2+4j"
    assert told["nudge"] is None


def test_a_focus_that_is_no_entry_is_none() -> None:
    widget = live(of(np.tanh, 2))
    widget.focus = [0, 1]
    assert widget.detail["label"] == "∂y[0]/∂x[1]"
    widget.focus = [0, 2]
    assert widget.detail == {}
    widget.focus = []
    assert widget.detail == {}


def test_without_entries_there_is_an_empty_grid() -> None:
    window = Explorer(of(np.tanh, 0)).window([ALL, ALL], [0, 0])
    assert window["cells"] == []
    assert window["count"] == [0, 0]


def test_an_export_shows_what_the_jacobian_would() -> None:
    J = of(gated, 4)
    widget = live(J)
    bundle, _ = widget._repr_mimebundle_()
    assert {name: bundle[name] for name in J._repr_mimebundle_()} == J._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert repr(widget) == repr(J)
