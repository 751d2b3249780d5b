"""Finite differences with an error bar for every entry, for any callable, traced or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from jacobian.errors import ArgumentError, DTypeError, report
from jacobian.ops.registry import promoted
from jacobian.tracing.run import numbers_of

METHODS = ("auto", "forward", "central", "richardson")
LEVELS, SHRINK = 10, 2.0


@dataclass(frozen=True)
class Differences:
    """`values` and `errors`, arrays of shape output + input, the method taken and why.

    An error bar bounds truncation and rounding together as far as the function's own values show them; an infinite
    or NaN bar means that no step gave a usable value. At a complex point the bar also holds how far the quotients
    along 1 and along i lie apart, which is not small where the function has no complex derivative.

    >>> import numpy as np, jacobian as jac
    >>> d = jac.finite_difference(lambda x: x**2, np.array([3.0]))
    >>> d.values.shape, bool(d.errors[0, 0] < 1e-9)
    ((1, 1), True)
    """

    values: np.ndarray
    errors: np.ndarray
    method: str
    reason: str

    def __repr__(self) -> str:
        """Shape, method and the largest bar."""
        worst = float(np.max(self.errors, initial=0.0))
        return f"Differences {self.values.shape} by {self.method} ({self.reason}), largest error bar {worst:.1e}"


@overload
def finite_difference(
    f: Callable[..., Any], *args: Any, argnums: int = 0, method: str = "auto", **kwargs: Any
) -> Differences: ...


@overload
def finite_difference(
    f: Callable[..., Any], *args: Any, argnums: Sequence[int], method: str = "auto", **kwargs: Any
) -> tuple[Differences, ...]: ...


def finite_difference(
    f: Callable[..., Any], *args: Any, argnums: int | Sequence[int] = 0, method: str = "auto", **kwargs: Any
) -> Differences | tuple[Differences, ...]:
    """∂f/∂(argument `argnums`) by differences, with an error bar for every entry; a tuple for a tuple of argnums.

    Methods: `"forward"` and `"central"` with the step that balances truncation and rounding; `"richardson"`
    extrapolates central differences over a series of steps and takes, entry by entry, the one with the smallest
    error bar; `"auto"` is Richardson's.

    Raises:
        ArgumentError: there is no such method or argument.
        DTypeError: the argument or the result is not an array of numbers.

    Source: C. J. F. Ridders, "Accurate computation of F′(x) and F′(x) F″(x)", Advances in Engineering Software 4
    (1982) 75-76.

    >>> import numpy as np, jacobian as jac
    >>> d = jac.finite_difference(np.sin, np.array([0.0, 1.0]))
    >>> bool(np.all(np.abs(d.values - np.diag(np.cos([0.0, 1.0]))) <= d.errors + 1e-15))
    True
    """
    if method not in METHODS:
        raise ArgumentError(report(f"finite_difference: method must be one of {', '.join(METHODS)}, not {method!r}"))
    found = tuple(_by_argument(f, args, number, method, kwargs) for number in numbers_of(argnums, len(args)))
    return found if isinstance(argnums, tuple | list) else found[0]


def _by_argument(
    f: Callable[..., Any], args: Sequence[Any], number: int, method: str, kwargs: dict[str, Any]
) -> Differences:
    x = np.array(promoted(args[number], f"argument {number}"))
    if x.dtype.itemsize < 8:
        reason = f"{x.dtype} input: steps and error bars are wide"
    else:
        reason = "smallest error bar of all steps" if method in ("auto", "richardson") else "asked for"

    def at(point: np.ndarray) -> np.ndarray:
        return _values(f(*args[:number], point.astype(x.dtype), *args[number + 1 :], **kwargs))

    base = at(x.copy())
    column = {"forward": _forward, "central": _central}.get(method, _richardson)
    eps = float(np.finfo(np.result_type(x.dtype, np.float16 if base.dtype.itemsize >= x.itemsize else base.dtype)).eps)
    shape = (*base.shape, *x.shape)
    kind = np.result_type(base.dtype, x.dtype) if x.dtype.kind == "c" else base.dtype
    values, errors = np.zeros(shape, kind), np.zeros(shape)
    with np.errstate(all="ignore"):
        for entry in np.ndindex(x.shape):
            value, error = _quotient(column, at, x, entry, base, eps)
            values[(..., *entry)] = value
            errors[(..., *entry)] = error
    return Differences(values, errors, "richardson" if method == "auto" else method, reason)


def _values(result: Any) -> np.ndarray:
    try:
        y = np.asarray(result)
    except ValueError:
        y = np.asarray(None)
    if y.dtype.kind not in "iufc":
        raise DTypeError(
            report(f"finite_difference: the function returned {type(result).__name__}, not an array of numbers")
        )
    return y if y.dtype.kind in "fc" else y.astype(float)


Column = tuple[np.ndarray, np.ndarray]
Function = Callable[[np.ndarray], np.ndarray]


def _quotient(column: Any, at: Function, x: np.ndarray, entry: tuple[int, ...], base: np.ndarray, eps: float) -> Column:
    """One column. In the complex plane it is the same along 1 and along i, if there is a derivative."""
    if x.dtype.kind != "c":
        found: Column = column(at, x.astype(float), entry, base, eps)
        return found
    wide = x.astype(complex)
    value, error = column(at, wide, entry, base, eps)
    imaginary, other = column(at, wide, entry, base, eps, 1j)
    return value, np.maximum(error, other) + np.abs(value - imaginary)


def _moved(x: np.ndarray, entry: tuple[int, ...], step: complex) -> np.ndarray:
    point = x.copy()
    point[entry] += step
    return point


def _scale(x: np.ndarray, entry: tuple[int, ...]) -> float:
    return max(float(abs(x[entry])), 1e-2)


def _forward(
    at: Function, x: np.ndarray, entry: tuple[int, ...], base: np.ndarray, eps: float, unit: complex = 1
) -> Column:
    step = np.sqrt(eps) * _scale(x, entry)
    near = (at(_moved(x, entry, step * unit)) - base) / (step * unit)
    far = (at(_moved(x, entry, 2 * step * unit)) - base) / (2 * step * unit)
    return near, 2 * np.abs(far - near) + 4 * eps * np.abs(base) / step


def _central(
    at: Function, x: np.ndarray, entry: tuple[int, ...], base: np.ndarray, eps: float, unit: complex = 1
) -> Column:
    step = np.cbrt(eps) * _scale(x, entry)
    near, far = _slope(at, x, entry, step * unit), _slope(at, x, entry, 2 * step * unit)
    return near, np.abs(far - near) + 4 * eps * np.abs(base) / step


def _slope(at: Function, x: np.ndarray, entry: tuple[int, ...], step: complex) -> np.ndarray:
    return np.asarray((at(_moved(x, entry, step)) - at(_moved(x, entry, -step))) / (2 * step))


def _richardson(
    at: Function, x: np.ndarray, entry: tuple[int, ...], base: np.ndarray, eps: float, unit: complex = 1
) -> Column:
    """Neville's table over steps h, h/2, …; entry by entry the value whose neighbours agree best."""
    step = (0.1 if eps < 1e-10 else 0.3) * _scale(x, entry)
    best = np.full(base.shape, np.nan, np.result_type(base.dtype, type(unit)))
    bar = np.full(base.shape, np.inf)
    previous: list[np.ndarray] = []
    for level in range(LEVELS):
        h = step / SHRINK**level
        rounding = 4 * eps * np.abs(base) / h
        row = [_slope(at, x, entry, h * unit)]
        for order, old in enumerate(previous):
            weight = SHRINK ** (2 * (order + 1))
            row.append((weight * row[order] - old) / (weight - 1))
            spread = np.maximum(np.abs(row[-1] - row[-2]), np.abs(row[-1] - old)) + rounding
            better = spread < bar
            best, bar = np.where(better, row[-1], best), np.where(better, spread, bar)
        previous = row
    return best, bar
