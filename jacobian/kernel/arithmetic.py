"""What is done to arrays where terms are contracted: computed, counted on shapes alone, or written into a program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from jacobian.kernel.code import Code, Symbol
from jacobian.kernel.dispatch import core_by_calls, is_foreign
from jacobian.kernel.equations import Guard
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.lower import Given, core, write_core, write_tensor
from jacobian.kernel.pattern import Shape
from jacobian.kernel.places import Labels, Named, aligned
from jacobian.kernel.recorded import NotRecordableError
from jacobian.kernel.term import Array, Term


class Arithmetic(Protocol):
    """What is done to arrays where terms are contracted and added.

    `few` is the number of entries up to which an outer product in a sum is made, to be added to other terms.
    """

    few: int

    def core(self, term: Term, dtype: np.dtype[Any], guards: Sequence[Guard]) -> tuple[Array, Labels]:
        """The contracted factors of a term, and the free indices that its axes stand for."""

    def add(self, first: Array, second: Array) -> Array:
        """The sum."""

    def multiply(self, first: Array, second: Array) -> Array:
        """The product, entry by entry."""

    def aligned(self, array: Array, labels: Labels, every: Labels, sizes: Shape) -> Array:
        """The array with axes in the order of `every`, of size 1 where it does not carry the label."""

    def broadcast(self, array: Array, shape: Shape) -> Array:
        """The array, constant along further axes."""

    def tensor(self, J: Jacobian) -> Array:
        """The full tensor."""


class Values:
    """The arithmetic of contraction: computes."""

    few = 0  # what a Jacobian consists of is its structure, which is to be seen

    @staticmethod
    def core(term: Term, dtype: np.dtype[Any], guards: Sequence[Guard]) -> tuple[Array, Labels]:
        """The contracted factors of a term."""
        foreign = any(is_foreign(factor.array) for factor in term.factors)
        return (core_by_calls if foreign else core)(term, dtype, guards)

    @staticmethod
    def add(first: Array, second: Array) -> Array:
        """Their sum."""
        return first + second

    @staticmethod
    def multiply(first: Array, second: Array) -> Array:
        """Their product."""
        return first * second

    @staticmethod
    def aligned(array: Array, labels: Labels, every: Labels, sizes: Shape) -> Array:
        """Transposed and reshaped."""
        array = np.transpose(array, sorted(range(len(labels)), key=labels.__getitem__))
        return np.reshape(array, tuple(sizes[k] if k in labels else 1 for k in every))

    @staticmethod
    def broadcast(array: Array, shape: Shape) -> Array:
        """Constant along further axes."""
        return np.broadcast_to(array, shape)

    @staticmethod
    def tensor(J: Jacobian) -> Array:
        """The full tensor."""
        return J.tensor()


class Shapes(Values):
    """The arithmetic of contraction without numbers: arrays of the right shape, of which only one entry exists."""

    @staticmethod
    def core(term: Term, dtype: np.dtype[Any], guards: Sequence[Guard]) -> tuple[Array, Labels]:
        """What the contracted factors of a term would carry."""
        labels = term.pattern.carried(guards)
        return ghost(tuple(term.pattern.sizes[index] for index in labels), dtype), labels

    @staticmethod
    def add(first: Array, second: Array) -> Array:
        """The shape of their sum."""
        return ghost(np.broadcast_shapes(first.shape, second.shape), first.dtype)

    @staticmethod
    def multiply(first: Array, second: Array) -> Array:
        """The shape of their product."""
        return ghost(np.broadcast_shapes(first.shape, second.shape), first.dtype)

    @staticmethod
    def tensor(J: Jacobian) -> Array:
        """The shape of the full tensor."""
        return ghost(J.shape, J.dtype)


def ghost(shape: Shape, dtype: np.dtype[Any]) -> np.ndarray:
    """An array of a shape, of which only one entry exists."""
    return np.broadcast_to(np.ones((), dtype), shape)


VALUES, SHAPES = Values(), Shapes()


class Written:
    """The arithmetic of contraction as lines of a program."""

    few = 2**9  # entries that take less time than the lines do which every further term needs

    def __init__(self, code: Code) -> None:
        self.code = code

    def given(self, term: Term) -> Given:
        """The term with symbols for its arrays; arrays that are no symbols are constants."""
        if term.has_operator:
            raise NotRecordableError("an operator")
        factors = tuple(map(self.symbol, (factor.array for factor in term.factors)))
        tables = tuple(map(self.symbol, term.tables))
        return Given(term.pattern, factors, tables, self._scale(term.scale), (False,) * len(factors))

    def _scale(self, scale: Any) -> str:
        if scale == 1:
            return ""
        return self.code.literal(scale.item() if isinstance(scale, np.generic | np.ndarray) else scale)

    def symbol(self, array: Array) -> Symbol:
        """The array's symbol."""
        return array if isinstance(array, Symbol) else self.code.constant(array)

    def core(self, term: Term, dtype: np.dtype[Any], guards: Sequence[Guard]) -> tuple[Array, Labels]:
        """Written; what has no factor is a number already."""
        if not term.factors and not guards:
            return np.asarray(term.scale * term.pattern.idle, dtype), ()
        named = write_core(self.code, self.given(term), dtype, guards)
        return named.symbol, named.labels

    def add(self, first: Array, second: Array) -> Array:
        """Written, unless both are numbers."""
        if not isinstance(first, Symbol) and not isinstance(second, Symbol):
            return first + second
        left, right = self.symbol(first), self.symbol(second)
        if self.code.multiple(left)[0] == -1:
            left, right = right, left
        shape = np.broadcast_shapes(left.shape, right.shape)
        chosen = self._chosen(left, right, shape)
        if chosen is not None:
            return chosen
        number, bare = self.code.multiple(right)
        if number == -1:
            return self.code.apply(f"{left} - {bare}", "subtract", [left, bare], shape)
        return self.code.apply(f"{left} + {right}", "add", [left, right], shape)

    def _chosen(self, left: Symbol, right: Symbol, shape: Shape) -> Symbol | None:
        """The sum of what is kept where a condition holds and where it does not, as a choice."""
        first, second = self.code.masked(left), self.code.masked(right)
        if first is None or second is None:
            return None
        choice = first.choice(second)
        if choice is None:
            return None
        symbols = self.code.symbols
        uses = [symbols[name] for name in (first.mask, first.kept, second.kept) if name in symbols]
        where = self.code.constant(np.where, "where")
        return self.code.let(f"{where}{choice}", uses, shape, new=True, kind=np.dtype(np.float64))

    def multiply(self, first: Array, second: Array) -> Array:
        """Written."""
        left, right = self.symbol(first), self.symbol(second)
        return self.code.times(left, right, np.broadcast_shapes(left.shape, right.shape))

    def aligned(self, array: Array, labels: Labels, every: Labels, sizes: Shape) -> Array:
        """Written."""
        return aligned(self.code, Named(self.symbol(array), labels), every)

    def broadcast(self, array: Array, shape: Shape) -> Array:
        """Written."""
        symbol = self.symbol(array)
        return self.code.let(f"broadcast_to({symbol}, {shape})", [symbol], shape, rough=True)

    def tensor(self, J: Jacobian) -> Array:
        """Written."""
        return write_tensor(self.code, [self.given(term) for term in J.terms], J.shape, J.dtype)
