"""The pixels of heat maps: colours, zeros, dots, rules and strips."""

import numpy as np
import pytest
from display.html_reader import pixels_of, read

import jacobian as jac
from jacobian.display import heatmap
from jacobian.display.heatmap import DOT, FRAME, NEGATIVE, NOT_A_NUMBER, POSITIVE, RULE, UNKNOWN, Scale, thumbnail

CELL = 24


def cell(pixels: np.ndarray, row: int, col: int, rules: int = 0) -> np.ndarray:
    """The pixels of one cell of a picture of few cells."""
    top, left = 1 + row * CELL + rules, 1 + col * CELL
    return pixels[top : top + CELL, left : left + CELL]


def test_red_is_positive_blue_negative_and_zeros_are_transparent() -> None:
    J = jac.Jacobian.einsum("i->i|i", np.array([2.0, -1.0, 0.0]))
    pixels = heatmap.picture(J, 320)
    assert pixels.shape == (2 + 3 * CELL, 2 + 3 * CELL, 4)
    assert (cell(pixels, 0, 0) == (*POSITIVE, 255)).all()
    assert (cell(pixels, 1, 1)[..., :3] == NEGATIVE).all()
    assert 100 < cell(pixels, 1, 1)[0, 0, 3] < 255
    assert (cell(pixels, 0, 1) == 0).all()
    assert (pixels[0] == FRAME).all()


def test_a_zero_by_value_is_transparent_but_for_a_dot() -> None:
    J = jac.Jacobian.einsum("i->i|i", np.array([2.0, 0.0]))
    pixels = cell(heatmap.picture(J, 320), 1, 1)
    assert (pixels[10:14, 10:14] == DOT).all()
    rest = pixels.copy()
    rest[10:14, 10:14] = 0
    assert not rest.any()


def test_nan_is_amber_and_infinity_as_strong_as_can_be() -> None:
    J = jac.Jacobian.einsum("i->i|i", np.array([np.nan, -np.inf, 1.0]))
    pixels = heatmap.picture(J, 320)
    assert (cell(pixels, 0, 0) == NOT_A_NUMBER).all()
    assert (cell(pixels, 1, 1) == (*NEGATIVE, 255)).all()


@pytest.mark.parametrize("factor", [1e-300, 1.0, 1e300])
def test_no_number_is_too_small_to_be_seen(factor: float) -> None:
    with np.errstate(under="ignore"):
        J = jac.Jacobian.einsum("i->i|i", np.array([1.0, 1e-8]) * factor)
    assert cell(heatmap.picture(J, 320), 1, 1)[0, 0, 3] >= 40


def test_scales() -> None:
    assert not Scale.of(np.array([1.0, -2.0, 0.0, np.nan, np.inf])).logarithmic
    assert Scale.of(np.array([1e-30, 1e30])).logarithmic
    assert Scale.of(np.zeros(3)) == (0.0, 0.0)
    assert Scale.of(np.array([1.0, -2.0])).strength(np.array([1.0, -2.0, np.inf])).tolist() == [0.5, 1.0, 1.0]
    assert Scale.of(np.array([3e38, 1.0], np.float32)).peak == pytest.approx(3e38, rel=1e-6)


def test_rules_stand_where_a_leading_axis_changes() -> None:
    J = jac.jacobian(lambda X: X.T)(np.ones((2, 3)))
    pixels = heatmap.picture(J, 320)  # rows (3, 2), columns (2, 3)
    assert pixels.shape == (2 + 6 * CELL + 2, 2 + 6 * CELL + 1, 4)
    for top in (1 + 2 * CELL, 1 + 4 * CELL + 1):
        assert (pixels[top, 1:-1] == RULE).all()
    assert (pixels[1:-1, 1 + 3 * CELL] == RULE).all()


def test_a_rule_of_the_first_of_three_axes_is_heavier() -> None:
    J = jac.jacobian(lambda X: X * 2)(np.ones((2, 2, 2)))
    pixels = heatmap.picture(J, 400)
    line = (pixels[:, 1 + CELL // 2] == RULE).all(axis=1)
    assert np.flatnonzero(line).tolist() == [49, 98, 99, 100, 149]


@pytest.mark.parametrize(
    ("f", "x", "shape"),
    [
        (np.sum, np.ones(3), (2 + CELL, 2 + 3 * CELL)),
        (lambda x: x * np.ones(3), np.float64(1.0), (2 + 3 * CELL, 2 + CELL)),
        (np.sum, np.ones(100_000), (2 + 16, 302)),
    ],
)
def test_strips_have_the_shape_of_the_side_with_the_axis(f: object, x: np.ndarray, shape: tuple[int, int]) -> None:
    pixels = heatmap.picture(jac.jacobian(f)(x), 320)  # type: ignore[arg-type]
    assert pixels.shape[0] == shape[0]
    assert abs(pixels.shape[1] - shape[1]) <= 20


def test_what_is_not_computed_is_grey() -> None:
    J = jac.jacobian(np.fft.rfft)(np.ones(10_000))
    pixels = heatmap.picture(J, 320)
    assert (pixels[1:-1, 1:-1] == UNKNOWN).all()


def test_no_entries_are_an_empty_frame() -> None:
    pixels = heatmap.picture(jac.jacobian(lambda x: x[:0])(np.ones(3)), 320)
    assert not pixels[1:-1, 1:-1].any()


def test_a_thumbnail_is_an_image_with_a_sentence() -> None:
    J = jac.Jacobian.einsum("i->i|i", np.ones(500), names=('<b>"y"', "x"))
    (image,) = read(thumbnail(J, 64)).all("img")
    assert image.attrs["alt"] == 'Heat map of ∂<b>"y"/∂x, 500 × 500: diagonal'
    assert max(pixels_of(image).shape) <= 64
    assert "pixelated" in image.attrs["style"]
    assert read(thumbnail(J, 64, alt="a < b")).all("img")[0].attrs["alt"] == "a < b"


@pytest.mark.parametrize("size", [1, 2, 16, 64, 320])
@pytest.mark.parametrize("shape", [(), (1,), (7, 3), (40, 30, 2), (0,)])
def test_every_size_holds_every_shape(size: int, shape: tuple[int, ...]) -> None:
    pixels = heatmap.picture(jac.jacobian(lambda x: x * 2)(np.ones(shape)), size)
    assert max(pixels.shape[:2]) <= max(size, 14)
    assert heatmap.cells_in(size) >= 1
