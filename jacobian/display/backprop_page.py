"""Backpropagation as a piece of a page: a picture of what flows back, and for every node a table to unfold."""

from __future__ import annotations

from html import escape

from jacobian.backpropagation import Backpropagation, Step
from jacobian.display.drawing import shortened, svg
from jacobian.display.graph_page import LONGEST_FORMULA, pictured
from jacobian.display.heatmap import thumbnail
from jacobian.display.page import numbers
from jacobian.display.sheets import dtype_of, handed_on, made, of_backpropagation, quiet
from jacobian.display.tables import Head, Html, Spanning, code, details, stacked, table
from jacobian.display.words import einsum_text, shape_text, sides, value_text
from jacobian.kernel.expression import Jacobian

MOST_STEPS = 120  # whose tables are written
UNFOLDED = 6  # steps: when there are no more, all are unfolded
WITH_NUMBERS = 12  # steps: when there are no more, small Jacobians have their numbers
FEW_NUMBERS = 64
THUMBNAIL = 56


def mimebundle(found: Backpropagation) -> dict[str, str]:
    """Text and HTML."""
    return {"text/plain": repr(found), "text/html": html(found)}


def html(found: Backpropagation) -> str:
    """The picture, then node by node upstream · local = downstream."""
    with quiet():
        count = len(found.steps)
        caption = f"Backpropagation through {count} nodes: upstream · local = downstream"
        picture = pictured(lambda: of_backpropagation(found), count, caption)
        steps = "".join(step_html(step, count) for step in found.steps[:MOST_STEPS])
    left = count - MOST_STEPS
    more = f"<p>… and {left} more nodes: index the object by a node's name to see it.</p>" if left > 0 else ""
    return f'<div class="jacobian">{picture}{steps}{more}</div>'


def picture_file(found: Backpropagation) -> str:
    """The picture as the text of an SVG file."""
    with quiet():
        return svg(of_backpropagation(found))


def step_mimebundle(step: Step) -> dict[str, str]:
    """Text and HTML of one step."""
    with quiet():
        return {"text/plain": str(step), "text/html": f'<div class="jacobian">{step_html(step, 1)}</div>'}


def step_html(step: Step, count: int) -> Html:
    """One node: a line, and a table to unfold; `count` steps are shown together."""
    node = step.node
    onward = f"downstream to {', '.join(step.local)}" if step.local else "an input: this is the Jacobian"
    line = f"<code>{escape(made(node))}</code> {shape_text(node.shape)}, value {escape(value_text(node.value))}"
    back = f"upstream {sides(step.upstream)}; {escape(onward)}"
    return details(Html(f"{line}; {back}"), _step_table(step, count), unfolded=count <= UNFOLDED)


def _step_table(step: Step, count: int) -> Html:
    node, with_numbers = step.node, count <= WITH_NUMBERS
    about = f"{node.name}: {shape_text(node.shape)} {dtype_of(node)}, value {value_text(node.value)}"
    upstream = _cell(step.upstream, with_numbers)
    if not step.local:
        arrives = ("input", "upstream: what arrives from all its uses, the Jacobian")
        return table(about, arrives, [(Head(code(node.name)), upstream)])
    head = ("back to", "upstream", "· local", "= downstream", "einsum")
    keys = [key for key, _ in handed_on(step)]
    rows = []
    for k, key in enumerate(keys):
        arriving = (Spanning(upstream, len(keys)),) if k == 0 else ()
        local, downstream = step.local[key], step.downstream[key]
        cells = (_cell(local, with_numbers), _cell(downstream, with_numbers), code(einsum_text(downstream)))
        rows.append((Head(code(key)), *arriving, *cells))
    return table(about, head, rows)


def _cell(J: Jacobian, with_numbers: bool) -> Html:
    """Thumbnail, formula, shapes and structure, and the numbers of a small one to unfold."""
    formula = code(shortened(J.formula, LONGEST_FORMULA))
    parts = [Html(thumbnail(J, THUMBNAIL)), formula, f"{sides(J)} {J.structure}"]
    inside = numbers(J) if with_numbers and 0 < J.size <= FEW_NUMBERS else ""
    return Html(f"{stacked(parts)}{inside}")
