"""The operators and methods of a `Tracer`: those of an ndarray, each by NumPy's function of the same meaning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jacobian.kernel.expression import Jacobian
from jacobian.ops.registry import REGISTRY
from jacobian.tracing.assignment import in_place
from jacobian.tracing.graph import PYTHON_NUMBERS
from jacobian.tracing.refusals import refuse
from jacobian.tracing.stripped import seen
from jacobian.tracing.tracer import Tracer, note_comparison, record

PLAIN = PYTHON_NUMBERS | {Tracer, np.ndarray, *(np.dtype(code).type for code in "?bhilqBHILQefdgFDG")}
"""Types that leave it to a tracer what is done to both."""


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Tracer, *args: Any, **kwargs: Any) -> Any:
        op = None if args or kwargs else REGISTRY.find(function)
        return function(self, *args, **kwargs) if op is None else record(op, (self,), {})

    method.__name__ = function.__name__
    method.__doc__ = f"`np.{function.__name__}`."
    return method


def _operator(function: Callable[..., Any], *, reflected: bool) -> Callable[..., Any]:
    def operate(self: Tracer, other: Any) -> Any:
        operands = (other, self) if reflected else (self, other)
        if type(other) in PLAIN:
            op = REGISTRY.find(function)
            if op is not None:
                return record(op, operands, {})
        elif isinstance(other, Jacobian):
            return NotImplemented
        return function(*operands)

    operate.__doc__ = f"`np.{function.__name__}`."
    return operate


def _comparison(function: np.ufunc) -> Callable[..., Any]:
    def operate(self: Tracer, other: Any) -> Any:
        if type(other) in PLAIN and not self.graph.is_open and REGISTRY.find(function) is None:
            return note_comparison(self.graph, function, (self, other), function(seen(self), seen(other)))
        return NotImplemented if isinstance(other, Jacobian) else function(self, other)

    operate.__doc__ = f"`np.{function.__name__}`, on the values."
    return operate


def _rounding(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Tracer, *digits: int | None) -> Any:
        return function(self, *(count for count in digits if count is not None))

    method.__doc__ = f"`np.{function.__name__}`; the result stays an array."
    return method


def _in_place_operator(function: Callable[..., Any]) -> Callable[..., Any]:
    def operate(self: Tracer, other: Any) -> Any:
        return in_place(self, function, other)

    operate.__doc__ = f"`np.{function.__name__}` into the array itself."
    return operate


_METHODS = (
    "sum mean prod var std max min cumsum cumprod dot ravel swapaxes squeeze take repeat diagonal trace clip round "
    "argmax argmin argsort argpartition any all nonzero searchsorted"
).split()
for _name in _METHODS:
    setattr(Tracer, _name, _method(getattr(np, _name)))

_BINARY: dict[str, np.ufunc] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.divide, "floordiv": np.floor_divide,
    "mod": np.remainder, "pow": np.power, "matmul": np.matmul,
}  # fmt: skip
_ROUNDING: dict[str, Callable[..., Any]] = {
    "round": np.round, "trunc": np.trunc, "floor": np.floor, "ceil": np.ceil,
}  # fmt: skip
for _name, _rounded in _ROUNDING.items():
    setattr(Tracer, f"__{_name}__", _rounding(_rounded))
for _name, _function in {**_BINARY, "divmod": np.divmod}.items():
    setattr(Tracer, f"__{_name}__", _operator(_function, reflected=False))
    setattr(Tracer, f"__r{_name}__", _operator(_function, reflected=True))
for _name, _function in _BINARY.items():
    setattr(Tracer, f"__i{_name}__", _in_place_operator(_function))
_COMPARISONS: dict[str, np.ufunc] = {
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal,
}  # fmt: skip
for _name, _function in _COMPARISONS.items():
    setattr(Tracer, f"__{_name}__", _comparison(_function))
for _name, _function in {"neg": np.negative, "pos": np.positive, "abs": np.absolute}.items():
    setattr(Tracer, f"__{_name}__", _method(_function))


def _for_booleans(symbol: str, function: np.ufunc) -> Callable[..., Any]:
    def operate(self: Tracer, *other: Any) -> Any:
        if self.dtype.kind == "b":  # a comparison that is part of the trace
            return function(self, *other)
        fix = "np.logical_and, or, xor, not ask whether entries are 0; comparisons such as x > 0 give plain arrays"
        refuse(f"{symbol} is for whole numbers and booleans, a traced array holds neither", fix)

    operate.__doc__ = "Refused: a traced array that the function has hold of holds neither integers nor booleans."
    return operate


_BITWISE: dict[str, tuple[str, np.ufunc]] = {
    "and": ("x & y", np.bitwise_and), "or": ("x | y", np.bitwise_or), "xor": ("x ^ y", np.bitwise_xor),
    "lshift": ("x << y", np.left_shift), "rshift": ("x >> y", np.right_shift),
}  # fmt: skip
for _name, (_symbol, _function) in _BITWISE.items():
    for _prefix in ("", "r", "i"):
        setattr(Tracer, f"__{_prefix}{_name}__", _for_booleans(_symbol, _function))
setattr(Tracer, "__invert__", _for_booleans("~x", np.invert))  # noqa: B010


def _contains(self: Tracer, value: Any) -> bool:
    """Whether an entry has that value."""
    return bool(np.any(np.equal(seen(self), seen(value))))


def _delete(self: Tracer, key: Any) -> None:
    """Refused, as NumPy does."""
    refuse("del x[…]: the entries of an array cannot be deleted", "np.delete(x, index) returns a new array")


setattr(Tracer, "__contains__", _contains)  # noqa: B010
setattr(Tracer, "__delitem__", _delete)  # noqa: B010
