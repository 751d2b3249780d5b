"""Numbers as they are written on paper: `2/3`, `2*pi`, `1/sqrt(3)`, `sqrt(2/pi)`; others with all their digits."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from math import isfinite, isqrt, pi, sqrt

LARGEST_DENOMINATOR = 1_000_000
"""A number is written as 1/k up to this k."""

ROUNDED = 2.0**-50
"""Two numbers are the same if they differ by what a few operations round away: four units in the last place."""

LARGEST_FRACTION, LARGEST_ROOT = 1000, 10_000
"""Above and below the line, and under a root, stand no larger numbers: by accident no number is so close to one."""

_POWERS = {0: "", 1: "pi", 2: "pi**2"}

_USUAL = {
    "pi": pi, "1/pi": 1 / pi, "sqrt(2/pi)": sqrt(2 / pi), "sqrt(2)": sqrt(2), "1/sqrt(2)": 1 / sqrt(2),
    "sqrt(3)": sqrt(3), "1/sqrt(3)": 1 / sqrt(3), "sqrt(pi)": sqrt(pi), "1/sqrt(pi)": 1 / sqrt(pi),
    "sqrt(2*pi)": sqrt(2 * pi), "1/sqrt(2*pi)": 1 / sqrt(2 * pi),
}  # fmt: skip


@lru_cache(maxsize=4096)
def number(value: float) -> str:
    """A real number as short as it can be written exactly, up to rounding, in the words of index notation.

    >>> [number(value) for value in (3.0, 0.25, 2 / 3, 2 * pi, sqrt(2 / pi), -1 / sqrt(12), 0.044715)]
    ['3', '1/4', '2/3', '2*pi', 'sqrt(2/pi)', '-1/sqrt(12)', '0.044715']
    """
    if not isfinite(value):
        return f"{value}"
    return f"{'-' if value < 0 else ''}{_positive(abs(value))}"


def _positive(size: float) -> str:
    if size == int(size) and size < 1e15:
        return str(int(size))
    if 1 / LARGEST_DENOMINATOR <= size < 1 and _same(1 / round(1 / size), size):
        return f"1/{round(1 / size)}"
    found = _decimal(size, 6) or _fraction(size) or _root(size, 10) or _times(size) or _root(size, LARGEST_FRACTION)
    return found or _decimal(size, 15) or repr(size)


def _decimal(size: float, digits: int) -> str:
    short = f"{size:.{digits}g}"
    return short if _same(float(short), size) else ""


def _same(candidate: float, size: float) -> bool:
    return abs(candidate - size) <= ROUNDED * size


def _near(size: float, limit: int) -> Fraction | None:
    """The one fraction with small numbers above and below the line that is near."""
    if not 1 / limit <= size <= limit:
        return None
    found = Fraction(size).limit_denominator(limit)
    return found if found.numerator <= limit and abs(float(found) - size) <= 4 * ROUNDED * size else None


def _fraction(size: float) -> str:
    """Whole numbers above and below the line, and pi or its square with one of them."""
    for power in (0, 1, -1, 2, -2):
        found = _near(size / pi**power, LARGEST_FRACTION)
        if found is not None and _same(float(found) * pi**power, size):
            over = _product(found.numerator, _POWERS[max(power, 0)])
            return _quotient(over, _product(found.denominator, _POWERS[max(-power, 0)]))
    return ""


def _root(size: float, largest: int) -> str:
    """The root of a fraction, with pi above or below the line or beside it, times a fraction of small numbers."""
    for power in (0, 1, -1, 2, -2):
        square = _near(size**2 / pi**power, LARGEST_ROOT)
        if square is None or not _same(sqrt(float(square) * pi**power), size):
            continue
        (c, n), (d, k) = (_taken_out(part) for part in (square.numerator, square.denominator))
        if min(c, d) > 1 and d >= largest:
            continue
        outer, inner = (power // 2, 0) if power % 2 == 0 else (0, power)
        over, under = (_product(part, "pi" * (sign * inner > 0)) for part, sign in ((n, 1), (k, -1)))
        if over == "1":  # 1/sqrt(12), not 1/(2*sqrt(3))
            under = _product(k * d * d, "pi" * (inner < 0))
            return _quotient(_product(c, "pi" * (outer > 0)), _product(1, f"sqrt({under})", "pi" * (outer < 0)))
        above = _product(c, f"sqrt({_quotient(over, under)})", "pi" * (outer > 0))
        return _quotient(above, _product(d, "pi" * (outer < 0)))
    return ""


def _times(size: float) -> str:
    """A short decimal times one of the usual constants: what a GELU has in it."""
    for text, constant in _USUAL.items():
        short = _decimal(size / constant, 6)
        if short and _same(float(short) * constant, size):
            over, _, under = text.partition("/") if text.startswith("1/") else (text, "", "1")
            return _quotient(short if over == "1" else f"{short}*{over}", under)
    return ""


def _taken_out(whole: int) -> tuple[int, int]:
    """A whole number as `c**2 * n` with the largest c."""
    for c in range(isqrt(whole), 1, -1):
        if whole % (c * c) == 0:
            return c, whole // (c * c)
    return 1, whole


def _product(whole: int, *words: str) -> str:
    factors = [*([str(whole)] if whole != 1 else []), *(word for word in words if word)]
    return "*".join(factors) or "1"


def _quotient(over: str, under: str) -> str:
    if under == "1":
        return over
    is_product = "*" in re.sub(r"\(.*\)|\*\*", "", under)
    return f"{over}/({under})" if is_product else f"{over}/{under}"
