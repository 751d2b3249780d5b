"""Where a Jacobian comes from: the function, the point and the value, for first-order approximation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.kernel.operands import as_numbers
from jacobian.kernel.term import Array

if TYPE_CHECKING:
    from jacobian.kernel.expression import Jacobian


class Prediction(NamedTuple):
    """`y + J·Δx` beside `f(x + Δx)`.

    `remainder` is their difference; `order` is how its size falls when Δx is halved: about 2 for a smooth function,
    infinite for an affine one, 1 where the Jacobian is wrong, NaN where Δx is zero.
    """

    linear: np.ndarray
    actual: np.ndarray
    remainder: np.ndarray
    order: float

    def __str__(self) -> str:
        """Three lines: both values and the remainder."""
        worst = float(np.max(np.abs(self.remainder), initial=0.0))
        order = "Δx is zero" if np.isnan(self.order) else f"of order {self.order:.2f} in Δx"
        return (
            f"y + J·Δx = {np.array2string(self.linear, threshold=20, precision=6)}\n"
            f"f(x+Δx)  = {np.array2string(self.actual, threshold=20, precision=6)}\n"
            f"remainder: at most {worst:.3g}, {order}"
        )


class Origin:
    """The function of the differentiated argument alone, the point, the value there, and the orders compared.

    `of` is the function as the user gave it; `retrace` runs it again and gives the nodes of output and input, `tangent`
    does so and gives `J·Δx`.
    """

    __slots__ = ("_value", "function", "of", "orders", "point", "retrace", "tangent")

    def __init__(
        self, function: Callable[[np.ndarray], np.ndarray], point: Array, value: Callable[[], Array],
        orders: Callable[[], str] | None = None, of: Callable[..., Any] | None = None,
        retrace: Callable[[], tuple[Any, Any]] | None = None, tangent: Callable[[np.ndarray], Array] | None = None,
    ) -> None:  # fmt: skip
        self.function = function
        self.point = point
        self._value = value
        self.orders = orders
        self.of = of
        self.retrace = retrace
        self.tangent = tangent

    @property
    def value(self) -> Array:
        """The value at the point."""
        return self._value()

    def predict(self, J: Jacobian, dx: Any) -> Prediction:
        """First-order approximation at the point, and the observed order of its remainder."""
        dtype = np.result_type(
            np.asarray(self.point).dtype, np.float32
        )  # the output may be complex where the input is not
        step = as_numbers(dx, "predict: dx must be an array of numbers", dtype)
        if step.shape != J.in_shape:
            raise ShapeError(
                report("predict: dx must have the input's shape", got=step.shape, fix=f"give it the shape {J.in_shape}")
            )
        value, moved = self.value, J @ step
        self._refuse_another_function(value, moved, step)
        linear = value + moved
        actual = np.asarray(self.function(self.point + step))
        return Prediction(linear, actual, actual - linear, self._order(J, step, value))

    def _refuse_another_function(self, value: Array, moved: Array, step: np.ndarray) -> None:
        """What the function reads may have changed since it was differentiated: then it is another one now.

        It may have the same value at the point all the same, or its value was not asked for before it changed.
        """
        fix = "differentiate it again: an array that it reads has changed, or it draws random numbers"
        now = np.asarray(self.function(self.point))
        if now.shape != np.shape(value) or not np.allclose(now, value, rtol=1e-6, atol=0, equal_nan=True):
            headline = "predict: the function gives another value at the point than when it was differentiated"
            raise ArgumentError(report(headline, fix=fix))
        if self.tangent is not None and not _is_near(self.tangent(step), moved):
            headline = "predict: the function has another derivative at the point than when it was differentiated"
            raise ArgumentError(report(headline, fix=fix))

    def _order(self, J: Jacobian, step: np.ndarray, value: Array) -> float:
        """The slope of log remainder against log step, over halvings while the remainder stands out of rounding."""
        if not step.any():
            return float("nan")
        direction = J @ step
        floor = 64 * float(np.finfo(J.dtype).eps) * float(np.max(np.abs(value), initial=1e-300))
        sizes: list[float] = []
        for halvings in range(12):
            h = 0.5**halvings
            rest = np.asarray(self.function(self.point + h * step)) - value - h * direction
            size = float(np.max(np.abs(rest), initial=0.0))
            if size <= floor:
                break
            sizes.append(size)
        if len(sizes) < 2:
            return float("inf")
        slopes = np.log2(np.array(sizes[:-1]) / np.array(sizes[1:]))
        return float(np.median(slopes[-3:]))


def _is_near(one: Array, other: Array) -> bool:
    """Whether two arrays are one but for rounding, which is as large as their entries are."""
    size = float(np.max(np.abs(other), initial=0.0))
    slack = 1e-6 if np.result_type(other).itemsize > 4 else 1e-3
    return bool(np.allclose(one, other, rtol=slack, atol=slack * size if np.isfinite(size) else 0.0, equal_nan=True))
