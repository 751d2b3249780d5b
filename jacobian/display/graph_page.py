"""The graph of a trace as a piece of a page: a picture, and the same in a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape

from jacobian.chain import Trace
from jacobian.display.drawing import Sheet, image, shortened, svg
from jacobian.display.sheets import dtype_of, local_of, made, of_trace, quiet
from jacobian.display.tables import Head, Html, Spanning, code, details, table
from jacobian.display.words import shape_text, sides, value_text
from jacobian.errors import MissingExtraError
from jacobian.kernel.expression import Jacobian
from jacobian.tracing.graph import Node

MOST_DRAWN = 300  # nodes of a picture
MOST_ROWS = 200  # nodes of a table
LONGEST_FORMULA = 120


def mimebundle(trace: Trace) -> dict[str, str]:
    """Text and HTML."""
    return {"text/plain": repr(trace), "text/html": html(trace)}


def html(trace: Trace) -> str:
    """The picture, and the table to unfold; the table alone where there can be no picture."""
    with quiet():
        caption = f"Graph of {len(trace.nodes)} nodes, values flowing down, at every edge the local Jacobian"
        picture = pictured(lambda: of_trace(trace), len(trace.nodes), caption)
        unfolded = "<img" not in picture
        rows = details("Nodes and edges in a table", node_table(trace.nodes), unfolded=unfolded)
    return f'<div class="jacobian">{picture}{rows}</div>'


def picture_file(trace: Trace) -> str:
    """The picture as the text of an SVG file."""
    with quiet():
        return svg(of_trace(trace))


def pictured(sheet: Callable[[], Sheet], count: int, caption: str) -> Html:
    """The picture with its caption, or why there is none."""
    if count > MOST_DRAWN:
        return Html(f"<p>{escape(caption)}: more than the {MOST_DRAWN} that a picture can show.</p>")
    try:
        img = image(sheet())
    except MissingExtraError as error:
        return Html(f"<p>{escape(caption)}</p><pre>{escape(str(error))}</pre>")
    return Html(
        f'<figure style="margin:.4em 0"><figcaption style="margin-bottom:.6em"><strong>{escape(caption)}</strong>'
        f"</figcaption>{img}</figure>"
    )


def node_table(nodes: Sequence[Node]) -> Html:
    """A row for every edge: the node it leads to, and the local Jacobian."""
    head = ("node", "shape", "value", "by", "local Jacobian", "shapes", "structure")
    shown: Iterable[Node] = nodes
    caption = f"{len(nodes)} nodes"
    if len(nodes) > MOST_ROWS:
        half = MOST_ROWS // 2
        shown, caption = (*nodes[:half], *nodes[-half:]), f"{caption}, the first and last {half} of them"
    return table(caption, head, (row for node in shown for row in _rows(node)))


def _rows(node: Node) -> Iterable[Sequence[object]]:
    edges = [(parent.name, local_of(node, operand)) for operand, parent in node.parents]
    span = max(1, len(edges))
    about = (code(made(node)), f"{shape_text(node.shape)} {dtype_of(node)}", value_text(node.value))
    first = (Head(about[0], span), *(Spanning(value, span) for value in about[1:]))
    if not edges:
        yield (*first, "", "", "", "")
    for k, (name, J) in enumerate(edges):
        yield (*(first if k == 0 else ()), code(name), *_local(J))


def _local(J: Jacobian | None) -> tuple[object, object, object]:
    if J is None:
        return ("no derivative", "", "")
    return code(shortened(J.formula, LONGEST_FORMULA)), sides(J), str(J.structure)
