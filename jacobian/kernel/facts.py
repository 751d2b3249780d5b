"""What is known of the arrays of a program, so that it need not compute more than is left to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jacobian.kernel.choices import Masked
    from jacobian.kernel.code import Symbol
    from jacobian.kernel.places import Named

LARGE = 2**10  # entries from which on memory is written again as soon as that can be done
SEVERAL = 2**2  # entries from which on it is given back: so the next array finds it in the cache


class Facts:
    """Which array is a number times another one, one by another one, or another one where a condition holds."""

    def __init__(self) -> None:
        self._plain: dict[str, int | float] = {}  # numbers, by what the text says
        self._multiples: dict[str, tuple[int | float, Symbol]] = {}
        self._reciprocals: dict[str, Symbol] = {}
        self._masked: dict[str, Masked] = {}
        self._kept: dict[str, tuple[Symbol, float]] = {}
        self._zeros: dict[str, Symbol] = {}
        self._transposed: dict[str, tuple[Symbol, tuple[int, ...]]] = {}

    def number(self, text: str) -> int | float | None:
        """The plain number that a text says; None where it is the name of one."""
        return self._plain.get(text)

    def note_multiple(self, symbol: Symbol, number: float, of: Symbol) -> None:
        """Say that an array is a plain number times another one."""
        self._multiples[symbol.name] = (number, of)

    def multiple(self, symbol: Symbol) -> tuple[int | float, Symbol]:
        """An array as a plain number times another one, as far as that is known."""
        total: int | float = 1
        while symbol.name in self._multiples:
            number, symbol = self._multiples[symbol.name]
            total *= number
        return total, symbol

    def note_reciprocal(self, symbol: Symbol, of: Symbol) -> None:
        """Say that an array is one by another."""
        self._reciprocals[symbol.name] = of

    def reciprocal(self, symbol: Symbol) -> Symbol | None:
        """What an array is one by, where dividing by that is no more than multiplying: in a small array."""
        return self._reciprocals.get(symbol.name) if symbol.size < LARGE else None

    def note_transposed(self, symbol: Symbol, of: Symbol, axes: tuple[int, ...]) -> None:
        """Say that an array is another one with its axes in that order."""
        self._transposed[symbol.name] = (of, axes)

    def as_it_lies(self, array: Named) -> Named:
        """An array without the transposition by which it was made, as far as that is known: how it lies in memory."""
        known = self._transposed.get(array.symbol.name)
        if known is None:
            return array
        of, axes = known
        labels = dict(zip(axes, array.labels, strict=True))
        return array._replace(symbol=of, labels=tuple(labels[axis] for axis in range(len(axes))))

    def note_zero(self, symbol: Symbol, of: Symbol) -> None:
        """Say that an array of truths tells where another array is zero."""
        self._zeros[symbol.name] = of

    def anywhere(self, condition: Symbol) -> tuple[str, str, Symbol]:
        """The text that asks whether a condition holds at any entry, that of the condition, and what both are made of.

        To count what is not zero takes less than to find out where a small array is zero.
        """
        of = self._zeros.get(condition.name)
        if of is not None and of.size < LARGE:
            return f"count_nonzero({of}) != {of.size}", f"{of} == 0", of
        return f"count_nonzero({condition})" if condition.shape else str(condition), str(condition), condition

    def note_masked(self, symbol: Symbol, masked: Masked) -> None:
        """Say that an array is another one, or one everywhere, where a condition holds or does not, and else zero."""
        self._masked[symbol.name] = masked

    def note_kept(self, symbol: Symbol, condition: Symbol, number: float) -> None:
        """Say that an array is a number where a condition holds, and else zero."""
        self._kept[symbol.name] = (condition, number)

    def kept(self, symbol: Symbol) -> tuple[Symbol, float] | None:
        """Where an array is which number, if it is zero elsewhere."""
        return self._kept.get(symbol.name)


def common_kind(symbols: Sequence[Symbol]) -> np.dtype[Any] | None:
    """The dtype of all of them, if it is known and the same."""
    kinds = {symbol.kind for symbol in symbols}
    return kinds.pop() if len(kinds) == 1 else None


def kind_beside(symbols: Sequence[Symbol]) -> np.dtype[Any] | None:
    """The dtype of what is computed of them, if it is known: truths beside numbers become such."""
    return common_kind([one for one in symbols if one.kind != np.bool_] or symbols)
