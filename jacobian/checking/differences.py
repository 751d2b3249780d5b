"""What finite differences found: values, error bars, and what is odd about the function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jacobian.checking.probe import indexed
from jacobian.kernel.expression import Jacobian

Array = np.ndarray[Any, np.dtype[Any]]

NAMED = 4
"""So many entries are named; the others are counted."""


def _empty() -> Array:
    return np.zeros(0)


def _nowhere(*_: Any) -> complex:
    """The function of differences that were not made by this package."""
    return complex("nan")


@dataclass(frozen=True)
class Differences:
    """`values` and `errors`, arrays of shape output + input, the method taken and why.

    An error bar bounds truncation, rounding and noise together as far as the function's own values show them; an
    infinite bar means that no step gave a usable value. `print` shows what is odd: noise, kinks, useless bars.

    Attributes:
        values: the derivatives; at a kink the mean of both sides.
        errors: the error bar of every entry.
        method: what was taken.
        reason: why.
        steps: the step every entry rests on.
        noise: how far each entry of the function's value is off, as a standard deviation; 0 where nothing shows.
        noisy: whether that is more than rounding, for any entry.
        kinks: where one-sided differences disagree however small the step is.
        left: the derivative from the left, where there is a kink.
        right: the derivative from the right.
        useless: where the error bar is too large to say anything.
        one_sided: where the function ends and only one side was to be had.
        jumps: where the function jumps right at the point, so that there is no derivative; NaN is given.
        evaluations: how often the function was called.

    >>> import numpy as np, jacobian as jac
    >>> d = jac.finite_difference(lambda x: x**2, np.array([3.0]))
    >>> d.values.shape, bool(d.errors[0, 0] < 1e-9)
    ((1, 1), True)
    >>> d = jac.finite_difference(np.abs, np.array([0.0, 2.0]), method="richardson")
    >>> d.kinks.tolist(), float(d.left[0, 0]), float(d.right[0, 0])
    ([[True, False], [False, False]], -1.0, 1.0)
    """

    values: Array
    errors: Array
    method: str
    reason: str
    steps: Array = field(default_factory=_empty)
    noise: Array = field(default_factory=_empty)
    noisy: bool = False
    kinks: Array = field(default_factory=_empty)
    left: Array = field(default_factory=_empty)
    right: Array = field(default_factory=_empty)
    useless: Array = field(default_factory=_empty)
    one_sided: Array = field(default_factory=_empty)
    jumps: Array = field(default_factory=_empty)
    names: tuple[str, str] = ("y", "x")
    evaluations: int = 0
    failure: Exception | None = None
    _along: Callable[[int, float, int], complex] = field(default=_nowhere, compare=False)

    def __repr__(self) -> str:
        """Shape, method and the largest bar."""
        worst = float(np.max(self.errors, initial=0.0))
        return f"Differences {self.values.shape} by {self.method} ({self.reason}), largest error bar {worst:.1e}"

    def __str__(self) -> str:
        """The values or their edges, and a few lines: the method and why, the bars, and what is odd."""
        lines = [
            f"∂{self.names[0]}/∂{self.names[1]} {self.values.shape} by {self.method}, {self.evaluations} evaluations"
        ]
        lines += str(Jacobian.from_array(self.values, self.noise.ndim, "J")).split("\n")[1:]
        lines.append(f"  why        {self.reason}")
        finite = self.errors[np.isfinite(self.errors)]
        if finite.size:
            infinite = self.errors.size - finite.size
            but = f"; infinite in {infinite} of {self.errors.size} entries" if infinite else ""
            lines.append(f"  error bars {np.median(finite):.1e} in the median, {np.max(finite):.1e} at most{but}")
        if self.noisy and np.any(self.noise > 0):
            place = np.unravel_index(int(np.argmax(self.noise)), self.noise.shape)
            lines.append(f"  noise      {np.max(self.noise):.1e} at most, in {indexed(self.names[0], place)}")
        if np.any(self.kinks):
            sides = lambda k: f"{self.left[k]:.4g} from the left, {self.right[k]:.4g} from the right"  # noqa: E731
            lines.append(f"  kinks      {self._named(self.kinks, sides)}")
        if np.any(self.one_sided):
            lines.append(f"  one-sided  {self._named(self.one_sided, lambda _: 'the function ends there')}")
        if np.any(self.jumps):
            lines.append(f"  jumps      {self._named(self.jumps, lambda _: 'the function jumps at the point')}")
        if np.any(self.useless & ~self.jumps):
            lines.append(
                f"  useless    {self._named(self.useless & ~self.jumps, lambda k: f'error bar {self.errors[k]:.1e}')}"
            )
        if self.failure is not None:
            told = str(self.failure).partition("\n")[0]
            lines.append(f"  raised     {type(self.failure).__name__}: {told} (away from the point)")
        return "\n".join(lines)

    def _named(self, mask: Array, told: Callable[[tuple[int, ...]], str]) -> str:
        places = [tuple(map(int, place)) for place in np.argwhere(mask)]
        shown = "; ".join(f"{self.entry(place)}: {told(place)}" for place in places[:NAMED])
        more = len(places) - NAMED
        return shown + (f"; and {more} more" if more > 0 else "")

    def entry(self, index: Sequence[int]) -> str:
        """An entry by both index vectors: `∂y[0]/∂x[1, 2]`."""
        split = self.noise.ndim
        return f"∂{indexed(self.names[0], index[:split])}/∂{indexed(self.names[1], index[split:])}"

    def plot(self, entry: Sequence[int] | int | None = None, ax: Any = None, **kwargs: Any) -> Any:
        """The V-curve of one entry: the error of plain differences against the step, in logarithmic axes.

        To the left rounding and noise rule, to the right truncation. Errors are counted from the value found here;
        the horizontal line is its error bar.

        Args:
            entry: the index vector of the entry; the one with the largest error bar unless given.
            ax: the axes to draw on; the current ones unless given.
            **kwargs: for `Axes.loglog`.

        Returns:
            The lines drawn, as `Axes.loglog` returns them: forward differences, central differences, error bar.
        """
        from jacobian.checking.vcurve import draw

        return draw(self, entry, ax, kwargs)
