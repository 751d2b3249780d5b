"""How large the results of ops can be, told from how large their operands are: in bits, so that 10 means below 2**10.

A value that cannot become infinite need not be computed to find out that it is finite. What is said here holds for
finite operands; where an op says nothing, its results are not known beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import frexp, inf, log2, prod
from typing import Any

import numpy as np

Growth = Callable[[Sequence[float], Sequence[Any], dict[str, Any]], float]
"""From the bits of the operands, at least 0 each, the operands, of which only shapes and plain numbers count, and what
else the op is given. Numbers among that are taken care of: the result is never less."""


_NO_NUMBERS = (bool, str, slice, type(Ellipsis), type, np.dtype)


def bits_of(value: Any) -> float:
    """The bits of a number, or of the largest entry of an array, at least 0; infinite where they are not known."""
    if value is None or isinstance(value, _NO_NUMBERS):
        return 0.0
    if isinstance(value, dict):
        return bits_of(tuple(value.values()))
    if isinstance(value, list | tuple):
        return max(map(bits_of, value), default=0.0)
    array = np.asarray(value) if isinstance(value, int | float | np.generic | np.ndarray) else np.empty(1, object)
    if array.dtype.kind not in "fiub":
        return inf
    largest = float(np.max(np.abs(array), initial=0.0))
    return max(0.0, frexp(largest)[1]) if largest < inf else inf


def largest(bits: Sequence[float], operands: Sequence[Any], params: dict[str, Any]) -> float:
    """No larger than the operands."""
    return max(bits, default=0.0)


def one_more(bits: Sequence[float], operands: Sequence[Any], params: dict[str, Any]) -> float:
    """A sum of two, or a number rounded up."""
    return max(bits) + 1


def together(bits: Sequence[float], operands: Sequence[Any], params: dict[str, Any]) -> float:
    """A product."""
    return sum(bits)


def at_most(bound: float) -> Growth:
    """As many bits, whatever the operands are."""
    return lambda bits, operands, params: bound


def raised(bits: Sequence[float], operands: Sequence[Any], params: dict[str, Any]) -> float:
    """A power, where the exponent is a whole number written in the code."""
    exponent = operands[1]
    whole = type(exponent) in (int, float) and exponent >= 0 and exponent == int(exponent)
    return bits[0] * exponent if whole else inf


def averaged(bits: Sequence[float], operands: Sequence[Any], params: dict[str, Any]) -> float:
    """A mean, unless it may be one of nothing."""
    return summed(largest)(bits, operands, params) if np.size(operands[0]) and "where" not in params else inf


def summed(growth: Growth) -> Growth:
    """The same for sums: of no more summands than there are ways to pick an entry of every operand."""
    return lambda bits, operands, params: growth(bits, operands, params) + log2(
        max(1, prod(map(np.size, operands)))
    )  # fmt: skip


OF_FAMILIES: dict[str, Growth] = {"layout": summed(largest), "multilinear": summed(together), "mask": at_most(1)}
"""What moves entries adds some of them at most."""
