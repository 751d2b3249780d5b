"""How a Jacobian is shown; what shows it is imported when it is."""

from __future__ import annotations

from typing import Any

from jacobian.kernel.tensor import Tensor


class Shown(Tensor):
    """The part of a `Jacobian` that hands it to the room that shows things."""

    __slots__ = ()

    def __repr__(self: Any) -> str:
        """Shape first, then the formula and, where they cost next to nothing, the numbers; one screen at most."""
        from jacobian.display.text import text

        return text(self)

    def _repr_mimebundle_(self: Any, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows: text and html always, LaTeX when it is small."""
        from jacobian.display.page import mimebundle

        return mimebundle(self)

    @property
    def legend(self: Any) -> list[str]:
        """What the names in the formula stand for that nobody gave, in the order in which they are needed.

        >>> import numpy as np, jacobian as jac
        >>> J = jac.jacobian(lambda x: x * np.sum(x))(np.ones(2))
        >>> J.formula, J.legend
        ('∂y[i]/∂x[j] = δ[j,i] * v1 + x[i]', ['v1 = sum(x)'])
        """
        found: list[str] = self.spelling.legend
        return found

    def plot(self: Any, ax: Any = None, **kwargs: Any) -> Any:
        """The heat map of the flattened matrix, drawn by matplotlib into `ax` or the current axes.

        Further arguments are those of `ax.imshow`, whose image is returned. A large matrix is drawn in blocks, each
        showing its entry of greatest magnitude.
        """
        from jacobian.display.plots import plot

        return plot(self, ax, **kwargs)

    def spy(self: Any, ax: Any = None, **kwargs: Any) -> Any:
        """Which entries the structure allows to be other than zero, drawn by matplotlib into `ax` or the current axes.

        Further arguments are those of `ax.imshow`, whose image is returned.
        """
        from jacobian.display.plots import spy

        return spy(self, ax, **kwargs)

    def widget(self: Any) -> Any:
        """The heat map to move about in, in a notebook; needs anywidget (`pip install "jacobian[widgets]"`).

        Hover an entry, or walk to it with the arrow keys, and see its name, its value, its formula, the inputs on
        which its output depends and the paths through the function that feed it; press Enter to keep it, and drag Δx
        to watch `y + J·Δx` beside `f(x+Δx)`. Axes can be cut at a position. The kernel serves what is in view, computed
        from the terms. An export shows what the Jacobian itself would.

        Raises:
            MissingExtraError: anywidget is not installed.
        """
        from jacobian.display.widget import widget

        return widget(self)
