"""The heat map of a Jacobian, rows being outputs: `png` and `thumbnail`.

Red is positive, blue negative, and the stronger the larger; exact zeros are transparent. A zero that the structure
does not prove, one that merely happens to be zero, bears a grey dot. Amber is NaN, grey an entry whose value was not
computed. Where a number is complex, only its magnitude is shown, in violet.

No background is painted, so that the picture is at home on a light and on a dark page.
"""

from __future__ import annotations

from base64 import b64encode
from html import escape
from math import prod
from typing import NamedTuple

import numpy as np

from jacobian.display.png import encode
from jacobian.display.raster import Raster, raster
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Shape

POSITIVE, NEGATIVE, COMPLEX = (214, 64, 69), (52, 116, 214), (146, 82, 196)
NOT_A_NUMBER, UNKNOWN = (240, 160, 0, 255), (128, 128, 128, 120)
DOT, RULE, FRAME = (128, 128, 128, 200), (128, 128, 128, 255), (128, 128, 128, 160)

FAINTEST = 0.22  # opacity of the smallest number: still no zero
LARGEST_CELL = 24
STRIP = 16  # pixels that even a single row of cells is high
SMALLEST_CELL = 3  # a cell needs that many pixels for its dot to be seen
RULED_CELL = 6  # where cells are smaller, rules would be most of the picture
DECADES = 3.0  # when magnitudes span more, the scale is logarithmic


class Scale(NamedTuple):
    """How magnitudes become strengths of colour."""

    least: float
    peak: float

    @property
    def logarithmic(self) -> bool:
        """Whether magnitudes are compared by their logarithms."""
        return self.peak > 0 and bool(np.log10(self.peak) - np.log10(self.least) > DECADES)

    @classmethod
    def of(cls, values: np.ndarray) -> Scale:
        """From almost the least to the greatest magnitude that is neither zero nor infinite."""
        size = magnitudes(values)
        size = size[(size > 0) & np.isfinite(size)]
        return cls(float(np.quantile(size, 0.05, method="lower")), float(size.max())) if size.size else cls(0.0, 0.0)

    def strength(self, values: np.ndarray) -> np.ndarray:
        """From 0 to 1; infinite numbers are as strong as the greatest finite one."""
        size = np.nan_to_num(magnitudes(values), nan=0.0, posinf=self.peak)
        if self.peak == 0:
            return np.ones(size.shape)
        if not self.logarithmic:
            return np.asarray(size / self.peak)
        low, high = np.log10(self.least), np.log10(self.peak)
        strengths: np.ndarray = (np.log10(np.clip(size, self.least, self.peak)) - low) / (high - low)
        return strengths


def magnitudes(values: np.ndarray) -> np.ndarray:
    """Absolute values, as float64 or wider."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.abs(values.astype(np.result_type(values.dtype, np.float64))))


def thumbnail(J: Jacobian, size: int = 64, alt: str | None = None) -> str:
    """The heat map as an `<img>` of at most `size` pixels along either side; it carries its own data.

    >>> import numpy as np, jacobian as jac
    >>> thumbnail(jac.jacobian(np.sin)(np.zeros(3)))[:32]
    '<img src="data:image/png;base64,'
    """
    return image(picture(J, size), alt or sentence(J))


def image(pixels: np.ndarray, alt: str) -> str:
    """Pixels as an `<img>`."""
    data = b64encode(encode(pixels)).decode("ascii")
    height, width, _ = pixels.shape
    return (
        f'<img src="data:image/png;base64,{data}" width="{width}" height="{height}" '
        f'style="image-rendering:pixelated;max-width:none" alt="{escape(alt)}">'
    )


def sentence(J: Jacobian) -> str:
    """What the picture shows, for those who do not see it."""
    rows, cols = prod(J.out_shape), prod(J.in_shape)
    return f"Heat map of ∂{J.names[0]}/∂{J.names[1]}, {rows} × {cols}: {J.structure}"


def picture(J: Jacobian, size: int) -> np.ndarray:
    """The heat map as pixels; the frame alone where one side has no entries."""
    if J.size == 0:
        return _frame(np.zeros((12, 12, 4), np.uint8))
    cells = raster(J, cells_in(size))
    return draw(cells, layout(cells, J.out_shape, J.in_shape, size))


def cells_in(size: int) -> int:
    """How many cells there are along a side of that many pixels, at most."""
    return max(1, (size - 2) // SMALLEST_CELL)


class Layout(NamedTuple):
    """How many pixels a cell is high and wide, and how thick a rule stands before every row and column of cells."""

    tall: int
    wide: int
    row_rules: np.ndarray
    col_rules: np.ndarray


def layout(cells: Raster, out_shape: Shape, in_shape: Shape, size: int) -> Layout:
    """Square cells, unless there are few along one side only; rules where cells are entries and there is room."""
    grid = cells.values.shape
    rules = [_rules(shape, count) for shape, count in zip((out_shape, in_shape), grid, strict=True)]
    bare = [np.zeros(count, int) for count in grid]
    if cells.pooled:
        rules = bare
    side = min((size - 2 - int(rule.sum())) // count for rule, count in zip(rules, grid, strict=True))
    if side < RULED_CELL:
        rules = bare
        side = max(1, min((size - 2) // count for count in grid))
    sides = [max(min(side, LARGEST_CELL), min(STRIP, size - 2) // count) for count in grid]
    return Layout(*sides, *rules)


def draw(cells: Raster, plan: Layout, scale: Scale | None = None) -> np.ndarray:
    """Cells as pixels; by a scale of their own unless one is given."""
    rows, cols = _line(plan.row_rules, plan.tall), _line(plan.col_rules, plan.wide)
    colours = np.zeros((cells.values.shape[0] + 1, cells.values.shape[1] + 1, 4), np.uint8)
    colours[:-1, :-1] = _colours(cells, scale or Scale.of(cells.values))
    pixels = colours[rows][:, cols]  # the last row and column are those of rules
    pixels[(rows < 0)[:, None] | (cols < 0)[None, :]] = RULE
    _dot(pixels, cells, rows, cols, plan)
    return _frame(pixels)


def _rules(shape: Shape, count: int) -> np.ndarray:
    """How thick a rule stands before every row: 1 where the axis before last changes, 3 where one before that does."""
    thick = np.zeros(count, int)
    for level, axis in enumerate(range(len(shape) - 1, 0, -1)):
        thick[:: max(1, prod(shape[axis:]))] = 3 if level else 1
    thick[0] = 0
    return thick


def _line(rules: np.ndarray, wide: int) -> np.ndarray:
    """For every pixel along one side the cell it belongs to, -1 in rules."""
    parts = np.stack([np.full(rules.shape, -1), np.arange(rules.size)], axis=1).ravel()
    return np.repeat(parts, np.stack([rules, np.full(rules.shape, wide)], axis=1).ravel())


def _colours(cells: Raster, scale: Scale) -> np.ndarray:
    values = cells.values
    colours = np.zeros((*values.shape, 4), np.uint8)
    if values.dtype.kind == "c":
        colours[..., :3] = COMPLEX
    else:
        colours[..., :3] = np.where((values > 0)[..., None], POSITIVE, NEGATIVE)
    opacity = FAINTEST + (1 - FAINTEST) * scale.strength(values)
    colours[..., 3] = np.where(values == 0, 0, np.rint(255 * opacity)).astype(np.uint8)
    colours[values == 0] = 0
    colours[np.isnan(values)] = NOT_A_NUMBER
    colours[cells.reached & ~cells.known] = UNKNOWN
    return colours


def _dot(pixels: np.ndarray, cells: Raster, rows: np.ndarray, cols: np.ndarray, plan: Layout) -> None:
    """A dot in the middle of every cell whose entries are zero though no structure says so."""
    zero = np.zeros((cells.values.shape[0] + 1, cells.values.shape[1] + 1), bool)
    zero[:-1, :-1] = cells.reached & cells.known & (cells.values == 0)
    thick = max(1, min(plan.tall, plan.wide) // 5)
    middle = [_middle(line, side, thick) for line, side in ((rows, plan.tall), (cols, plan.wide))]
    pixels[zero[rows][:, cols] & middle[0][:, None] & middle[1][None, :]] = DOT


def _middle(line: np.ndarray, wide: int, thick: int) -> np.ndarray:
    """Which pixels along one side are in the middle of their cell."""
    place = np.arange(line.size)
    start = np.maximum.accumulate(np.where(np.diff(line, prepend=-2) != 0, place, 0))
    offset = place - start
    first = (wide - thick) // 2
    return (line >= 0) & (offset >= first) & (offset < first + thick)


def _frame(pixels: np.ndarray) -> np.ndarray:
    framed = np.empty((pixels.shape[0] + 2, pixels.shape[1] + 2, 4), np.uint8)
    framed[...] = FRAME
    framed[1:-1, 1:-1] = pixels
    return framed
