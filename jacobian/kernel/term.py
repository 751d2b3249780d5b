"""A term with its numbers: a pattern, the arrays it reads, its tables and a scalar in front."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple, Protocol

import numpy as np

from jacobian.kernel.pattern import Access, Pattern, compose

Array = Any
"""An ndarray, an operator, or anything that speaks NumPy's protocols (a tracer, a Dask array)."""

Scalar = complex | float | int


Label = str | Callable[[], str]


class Scope(Protocol):
    """What the words in labels stand for, within one run of a function."""

    @property
    def decimals(self) -> frozenset[float]:
        """The short decimals that the function was written with, which formulas leave as they are."""

    def holds(self, word: str) -> Any:
        """The array of that name, or what stands for it; None for a word that is a function's, say."""

    def written(self, word: str) -> Any:
        """The array of a name that nobody gave, written out (`kernel/written.py`); None where that is not short."""

    def defined(self, word: str) -> str | None:
        """What a name that nobody gave stands for, to be told below a formula; None of any other word."""


class Factor(NamedTuple):
    """One array of a term and how formulas write it.

    In the label `@0`, `@1`, … stand for the position along each axis: `"cos(x[@0])"`. It may be a function that
    makes the label, so that nobody pays for a formula that is never read. What the words in it stand for is known to
    its scope.
    """

    array: Array
    label: Label = ""
    scope: Scope | None = None

    @property
    def text(self) -> str:
        """The label, made if need be."""
        return self.label if isinstance(self.label, str) else self.label()


class Term:
    """`scale ·` the factors, read and written as the pattern says. Immutable."""

    __slots__ = ("factors", "letters", "pattern", "scale", "tables")

    def __init__(
        self,
        pattern: Pattern,
        factors: tuple[Factor, ...] = (),
        tables: tuple[np.ndarray, ...] = (),
        scale: Scalar = 1,
        letters: tuple[str, ...] = (),
    ) -> None:
        self.pattern = pattern
        self.factors = factors
        self.tables = tables
        self.scale = scale
        self.letters = letters  # how formulas call the indices; a composition names them anew

    def after(self, first: Term) -> Term | None:
        """The chain rule for two terms, `self @ first`: moves indices, not numbers; None when it is zero."""
        if self.pattern.is_identity and self.scale == 1:
            return first
        if first.pattern.is_identity and first.scale == 1:
            return self
        composed = compose(self.pattern, first.pattern)
        if composed is None:
            return None
        scale = self.scale * first.scale
        return Term(
            composed.pattern,
            self.factors + first.factors,
            self.tables + first.tables,
            scale * composed.times if composed.times != 1 else scale,
        )

    @property
    def numbers(self) -> list[Any]:
        """The arrays of the factors, then the tables."""
        return [*(factor.array for factor in self.factors), *self.tables]

    @property
    def has_operator(self) -> bool:
        """Whether a factor is known by its action alone."""
        return any(isinstance(factor.array, Operator) for factor in self.factors)

    @property
    def by_access(self) -> dict[Access, list[Factor]]:
        """The factors, by how they are read."""
        read: dict[Access, list[Factor]] = {}
        for factor, access in zip(self.factors, self.pattern.factors, strict=True):
            read.setdefault(access, []).append(factor)
        return read

    @property
    def in_one_order(self) -> Term:
        """The same term with factors over one array in one order, so that `x[i] x[j]` and `x[j] x[i]` are equal."""
        places: dict[int, list[int]] = {}
        for place, factor in enumerate(self.factors):
            places.setdefault(id(factor.array), []).append(place)
        if len(places) == len(self.factors):
            return self
        accesses = list(self.pattern.factors)
        for same in places.values():
            for place, access in zip(same, sorted((accesses[place] for place in same), key=repr), strict=True):
                accesses[place] = access
        pattern = self.pattern.with_factors(tuple(accesses))
        return Term(pattern, self.factors, self.tables, self.scale, self.letters)

    @property
    def is_entry_by_entry(self) -> bool:
        """Whether there are factors, each with as many entries as the term, which looks nothing up."""
        pattern = self.pattern
        whole = all(prod(access.shape) == pattern.entries for access in pattern.factors)
        return whole and bool(pattern.factors) and not pattern.guards and not self.tables

    def scaled(self, by: Scalar) -> Term:
        """The term times a number."""
        return Term(self.pattern, self.factors, self.tables, self.scale * by, self.letters)

    @property
    def transposed(self) -> Term:
        """Output and input exchanged."""
        return Term(self.pattern.transposed, self.factors, self.tables, self.scale, self.letters)

    def over(self, pattern: Pattern) -> Term:
        """The same factors read and written by another pattern."""
        return Term(pattern, self.factors, self.tables, self.scale)

    def with_factors(self, factors: tuple[Factor, ...]) -> Term:
        """The same term over other arrays of the same shapes."""
        return Term(self.pattern, factors, self.tables, self.scale, self.letters)


class Operator:
    """A matrix known by its action: applied where something is contracted with it, built only when looked at.

    A subclass gives `apply` (the matrix times the array along one axis), `apply_transposed` and `dense`.
    """

    shape: tuple[int, int]
    dtype: np.dtype[Any]

    def apply(self, array: np.ndarray, axis: int) -> np.ndarray:
        """Contract the operator's second axis with that axis of the array; the first takes its place."""
        raise NotImplementedError

    def apply_transposed(self, array: np.ndarray, axis: int) -> np.ndarray:
        """Contract the operator's first axis with that axis of the array; the second takes its place."""
        raise NotImplementedError

    def real_apply(self, array: np.ndarray, axis: int) -> np.ndarray:
        """The real part of what `apply` gives; it may be had for less."""
        return np.real(self.apply(array, axis))

    def real_apply_transposed(self, array: np.ndarray, axis: int) -> np.ndarray:
        """The real part of what `apply_transposed` gives; it may be had for less."""
        return np.real(self.apply_transposed(array, axis))

    def between(self, array: np.ndarray, other: Operator, *, is_real: bool) -> np.ndarray | None:
        """The sum over the last axis of an array, with this matrix before and another one behind it, for all entries.

        Its rows and the other's columns take the place of that axis; of a real result the real part is all that is
        wanted. None where it is best to apply one after the other.
        """
        return None

    def dense(self) -> np.ndarray:
        """The matrix itself."""
        return self.apply(np.eye(self.shape[1], dtype=self.dtype), 0)

    @property
    def nbytes(self) -> int:
        """What the operator holds."""
        return 0
