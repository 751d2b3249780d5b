"""A Jacobian that answers in a notebook: `J.widget()`, built on anywidget. What it shows is computed by `Explorer`."""

from __future__ import annotations

from functools import cache
from math import prod
from pathlib import Path
from typing import Any

from jacobian.display.explorer import Explorer
from jacobian.display.page import mimebundle
from jacobian.errors import MissingExtraError, report
from jacobian.kernel.expression import Jacobian

HERE = Path(__file__).parent


def widget(J: Jacobian) -> Any:
    """The widget of a Jacobian.

    Raises:
        MissingExtraError: anywidget is not installed.
    """
    return _kind()(Explorer(J))


@cache
def _kind() -> Any:
    """The class, made once anywidget is needed."""
    try:
        import anywidget
        import traitlets
    except ImportError as error:
        raise MissingExtraError(report("J.widget needs anywidget", fix="pip install 'jacobian[widgets]'")) from error

    class JacobianWidget(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
        """The view asks by `fixed`, `offset` and `focus`, the kernel answers by `window` and `detail`."""

        _esm = (HERE / "widget.js").read_text(encoding="utf-8")
        _css = (HERE / "widget.css").read_text(encoding="utf-8")

        head = traitlets.Dict().tag(sync=True)
        fixed = traitlets.List(traitlets.Int()).tag(sync=True)
        offset = traitlets.List(traitlets.Int(), minlen=2, maxlen=2).tag(sync=True)
        focus = traitlets.List(traitlets.Int(), maxlen=2).tag(sync=True)
        window = traitlets.Dict().tag(sync=True)
        detail = traitlets.Dict().tag(sync=True)

        def __init__(self, explorer: Explorer) -> None:
            self.explorer = explorer
            cut = explorer.first_cut()
            super().__init__(
                head=explorer.head(), fixed=cut, offset=[0, 0], focus=[], window=explorer.window(cut, [0, 0])
            )
            self.observe(self._move, ["fixed", "offset"])
            self.observe(self._look, ["focus"])

        def _move(self, _: Any) -> None:
            self.window = self.explorer.window(self.fixed, self.offset)

        def _look(self, _: Any) -> None:
            J = self.explorer.J
            rows, cols = prod(J.out_shape), prod(J.in_shape)
            inside = len(self.focus) == 2 and 0 <= self.focus[0] < rows and 0 <= self.focus[1] < cols
            self.detail = self.explorer.entry(*self.focus) if inside else {}

        def _repr_mimebundle_(self, **kwargs: Any) -> Any:
            """The live view, and what stands in for it where no kernel is: an export, a page of GitHub's."""
            live: Any = super()._repr_mimebundle_(**kwargs)  # of one kind or another, by version
            if live is None:
                return mimebundle(self.explorer.J)
            data, metadata = live if isinstance(live, tuple) else (live, {})
            return {**data, **mimebundle(self.explorer.J)}, metadata

        def __repr__(self) -> str:
            return repr(self.explorer.J)

    return JacobianWidget
