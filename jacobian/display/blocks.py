"""A matrix of matrices as HTML: a table of tables, or of heat maps where there are many numbers."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from jacobian.display.edges import index_vectors
from jacobian.display.heatmap import Scale, draw, image, layout
from jacobian.display.numbers import ZERO, number
from jacobian.display.raster import raster
from jacobian.display.titles import axes_letters, quotient
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Shape
from jacobian.kernel.tensor import Blocks

MOST_NUMBERS = 256
MOST_BLOCKS = 144
PIXELS = 64

BLOCK = "border:2px solid;padding:.3em;text-align:right;vertical-align:top"
INNER = "border:0;padding:.1em .4em;text-align:right"
REST = '<td style="width:100%;border:0;padding:0"></td>'  # takes what the caption is wider than the blocks
TABLE = "border-collapse:collapse;border:0;margin:0"


def mimebundle(blocks: Blocks) -> dict[str, str]:
    """Text always; HTML as long as the matrix has not been cut or computed with, and is not too large for a page."""
    bundle = {"text/plain": repr(blocks)}
    J = blocks.whole
    if not isinstance(J, Jacobian) or blocks.ndim != 2 or not 0 < blocks.size <= MOST_BLOCKS:
        return bundle
    return {**bundle, "text/html": html(J, blocks)}


def html(J: Jacobian, blocks: Blocks) -> str:
    """One block for every index vector of the leading axes; inside are the last output and the last input axis."""
    outer = J.out_shape[:-1], J.in_shape[:-1]
    scale = Scale.of(J.matrix())  # one for all blocks, so that they can be compared
    down, across = (index_vectors(list(range(count)), shape) for count, shape in zip(blocks.shape, outer, strict=True))
    letters = [text.split(",") for text in axes_letters(J)]
    heads = "".join(f'<th scope="col" style="{INNER};text-align:center">{_named(letters[1], v)}</th>' for v in across)
    lines = [f'<tr><td style="border:0"></td>{heads}{REST}</tr>']
    for row, vector in enumerate(down):
        cells = "".join(
            f'<td style="{BLOCK}">{_block(J, blocks[row, col], (vector, other), scale)}</td>'
            for col, other in enumerate(across)
        )  # fmt: skip
        lines.append(f'<tr><th scope="row" style="{INNER}">{_named(letters[0], vector)}</th>{cells}</tr>')
    text = f"Blocks of {quotient(J)}: within a block rows are {letters[0][-1] or '–'}, columns {letters[1][-1] or '–'}"
    caption = (
        f'<caption style="text-align:left;caption-side:top;padding:.2em 0;white-space:nowrap">{escape(text)}</caption>'
    )
    return f'<table style="{TABLE}">{caption}<tbody>{"".join(lines)}</tbody></table>'


def _named(letters: list[str], vector: tuple[int, ...]) -> str:
    """The leading indices with their letters: i=0, j=2."""
    return ", ".join(f"{name}={value}" for name, value in zip(letters, vector, strict=False))


def _block(J: Jacobian, block: Any, place: tuple[Shape, Shape], scale: Scale) -> str:
    array = np.asarray(block)
    inner: tuple[Shape, Shape] = J.out_shape[-1:], J.in_shape[-1:]
    if J.size > MOST_NUMBERS:
        part = Jacobian.from_array(array, len(inner[0]))
        cells = raster(part, PIXELS // 3)
        alt = f"Block {place[0]} {place[1]} of ∂{J.names[0]}/∂{J.names[1]}, {array.size} entries"
        cells = cells._replace(reached=cells.values != 0)  # a dense array does not say which zeros are structural
        return image(draw(cells, layout(cells, *inner, PIXELS), scale), alt)
    matrix = array.reshape([*(inner[0] or (1,)), *(inner[1] or (1,))])
    lines = "".join(f"<tr>{''.join(map(_entry, line))}</tr>" for line in matrix)
    return f'<table role="presentation" style="{TABLE}"><tbody>{lines}</tbody></table>'


def _entry(value: Any) -> str:
    return f'<td style="{INNER}">{ZERO if value == 0 else number(value)}</td>'
