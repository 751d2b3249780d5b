"""A chain at a point as a piece of a page: a row per link, and the orders of multiplication side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jacobian.chain import Chain
from jacobian.display.drawing import shortened
from jacobian.display.graph_page import LONGEST_FORMULA
from jacobian.display.heatmap import thumbnail
from jacobian.display.orders import Order, orders
from jacobian.display.sheets import quiet
from jacobian.display.tables import Head, Html, code, details, stacked, table
from jacobian.display.words import einsum_text, shape_text, sides
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.memory import human

MOST_LINKS = 100
MOST_BRACKETS = 60  # characters of a bracketing
THUMBNAIL = 56


class Explanation(str):
    """Text that a notebook shows as tables."""

    __slots__ = ("_html",)
    _html: Callable[[], str]

    @classmethod
    def of(cls, text: str, html: Callable[[], str]) -> Explanation:
        """The text, with what a notebook shows of it."""
        made = cls(text)
        made._html = html
        return made

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """Text and HTML."""
        return {"text/plain": str(self), "text/html": self._html()}


def html(chain: Chain, x: object) -> str:
    """Links, orders, and the products of each order to unfold."""
    with quiet():
        locals_ = chain.locals(x)
        found = orders(locals_)
        links = [(link.name, link.ops) for link in chain.links]
        pieces = link_table(f"{chain!r}", links, locals_) + order_table(found) + product_tables(found)
    return f'<div class="jacobian">{pieces}</div>'


def unevaluated(chain: Chain) -> str:
    """The links of a chain that no point is known of."""
    rows = [(Head(f"J{len(chain) - k}"), code(link.name)) for k, link in enumerate(chain.links[:MOST_LINKS])]
    found = table(f"{chain!r}, outermost link first", ("link", "function"), rows)
    return f'<div class="jacobian">{found}<p>Its Jacobians: <code>chain.explain(x)</code></p></div>'


def link_table(title: str, links: Sequence[tuple[str, str]], locals_: Sequence[Jacobian]) -> Html:
    """A row for every link, which has a name and ops: local Jacobian, thumbnail, einsum."""
    count = len(links)
    rows = [
        (
            Head(f"J{count - k}"),
            stacked([code(name), *([] if ops in ("", name) else [ops])]),
            f"{shape_text(J.in_shape)} → {shape_text(J.out_shape)}",
            stacked([code(shortened(J.formula, LONGEST_FORMULA)), f"{sides(J)} {J.structure}"]),
            Html(thumbnail(J, THUMBNAIL)),
            code(einsum_text(J)),
            human(J.nbytes),
        )
        for k, ((name, ops), J) in enumerate(zip(links[:MOST_LINKS], locals_, strict=False))
    ]
    more = "" if count <= MOST_LINKS else f", the first {MOST_LINKS} of {count}"
    head = ("link", "op", "maps", "local Jacobian", "heat map", "einsum", "holds")
    return table(f"{title}, outermost link first{more}", head, rows)


def order_table(found: Sequence[Order]) -> Html:
    """The orders side by side; fewest and least are in bold."""
    rows: list[tuple[object, ...]] = [
        (Head("bracketing"), *(code(shortened(order.bracketing, MOST_BRACKETS)) for order in found)),
        _figures("multiplications", [order.cost.multiplications for order in found], "{:,}".format),
        _figures("bytes made", [order.cost.nbytes for order in found], human),
        _figures("largest array", [order.cost.largest for order in found], human),
    ]
    head = ("order", "forward", "reverse", "best bracketing", "as one network")
    return table("What multiplying the links costs; the least in bold", head, rows)


def _figures(name: str, numbers: Sequence[int], text: Callable[[int], str]) -> tuple[object, ...]:
    least = min(numbers)
    cells = [Html(f"<strong>{text(n)}</strong>") if n == least else text(n) for n in numbers]
    return (Head(name), *cells)


def product_tables(found: Sequence[Order]) -> Html:
    """The products of every order, one after another."""
    head = ("product", "shapes", "einsum", "multiplications")
    tables = [
        table(
            f"{order.name}: {shortened(order.bracketing, MOST_BRACKETS)}",
            head,
            [(Head(step.text), step.shapes, code(step.einsum or "nothing to contract"), f"{step.multiplications:,}")
             for step in order.products],
        )
        for order in found if order.products
    ]  # fmt: skip
    return details("The products of each order", "".join(tables)) if tables else Html("")
