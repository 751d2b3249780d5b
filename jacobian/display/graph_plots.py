"""Graphs and chains drawn by matplotlib, after its conventions: into `ax`, giving back artists, without `show`."""

from __future__ import annotations

from typing import Any

from jacobian.backpropagation import Backpropagation
from jacobian.chain import Chain, Trace
from jacobian.display.drawing import BIG, COLOURS, FLOW, LONGEST_LABEL, WIRE, Sheet, frame_of, label_spots, shortened
from jacobian.display.orders import orders
from jacobian.display.placement import place
from jacobian.display.plots import axes
from jacobian.display.sheets import of_backpropagation, of_trace, quiet


def plot_chain(chain: Chain, x: Any, ax: Any = None, **kwargs: Any) -> Any:
    """The multiplications of every order as bars; the container of the bars is returned."""
    ax = axes(ax, "Chain.plot")
    with quiet():
        found = orders(chain.locals(x))
    names = [f"{order.name}\n{shortened(order.bracketing, 30)}" for order in found]
    bars = ax.bar(range(len(found)), [order.cost.multiplications for order in found], **kwargs)
    ax.set_xticks(range(len(found)), names)
    ax.bar_label(bars, [f"{order.cost.multiplications:,}" for order in found])
    ax.margins(y=0.1)
    ax.set_ylabel("multiplications")
    ax.set_title(repr(chain).replace("$", r"\$"))
    return bars


def plot_trace(trace: Trace, ax: Any = None, **kwargs: Any) -> Any:
    """The graph; the texts in its nodes are returned."""
    ax = axes(ax, "Trace.plot")
    with quiet():
        return _drawn(of_trace(trace), ax, kwargs)


def plot_backpropagation(found: Backpropagation, ax: Any = None, **kwargs: Any) -> Any:
    """The graph with what flows back; the texts in its nodes are returned."""
    ax = axes(ax, "backprop(...).plot")
    with quiet():
        return _drawn(of_backpropagation(found), ax, kwargs)


def _drawn(sheet: Sheet, ax: Any, kwargs: dict[str, Any]) -> list[Any]:
    """Cards as texts in boxes and wires as arrows between them, in the places of the picture on a page."""
    found = place(len(sheet.cards), [(wire.start, wire.stop) for wire in sheet.wires])
    frame = frame_of(sheet, found)
    size = kwargs.pop("fontsize", kwargs.pop("size", _fitting_size(ax, frame.width, frame.height)))
    colour = FLOW if sheet.backwards else WIRE
    for wire, way, spot in zip(sheet.wires, found.ways, label_spots(sheet, found, frame), strict=True):
        (x1, y1), (x2, y2) = (frame.middle(found.nodes[end]) for end in (wire.start, wire.stop))
        stations = [(x1, y1 + frame.tall / 2), *([frame.middle(p) for p in way] or [spot]), (x2, y2 - frame.tall / 2)]
        if sheet.backwards:
            stations.reverse()
        *bends, before, end = stations
        ax.plot(*zip(*bends, before, strict=True), color=colour, linewidth=1, zorder=1)
        ax.annotate(
            "", end, before, arrowprops={"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0}, zorder=1
        )
        text = "\n".join(shortened(line, LONGEST_LABEL) for line in wire.lines)
        ax.text(
            *spot, _plain(text), ha="center", va="center", fontsize=0.85 * size, zorder=2,
            bbox={"facecolor": ax.get_facecolor(), "edgecolor": "none", "pad": 1},
        )  # fmt: skip
    texts = []
    for card, spot in zip(sheet.cards, found.nodes, strict=True):
        box = {"boxstyle": "round,pad=0.5", "facecolor": COLOURS[card.kind], "edgecolor": "none"}
        given = {"ha": "center", "va": "center", "color": "white", "zorder": 3, "bbox": box, **kwargs}
        texts.append(ax.text(*frame.middle(spot), _plain("\n".join(card.lines)), fontsize=size, **given))
    ax.set_xlim(0, frame.width)
    ax.set_ylim(frame.height, 0)
    ax.set_axis_off()
    return texts


def _fitting_size(ax: Any, width: float, height: float) -> float:
    """The size of type in points at which texts are as large beside the cards as on a page."""
    box = ax.get_window_extent()
    points = 72 / ax.get_figure().dpi
    return float(BIG * min(box.width / width, box.height / height) * points)


def _plain(text: str) -> str:
    """Text that matplotlib does not take for mathematics."""
    return text.replace("$", r"\$")
