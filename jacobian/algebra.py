"""Algebras of Jacobians: the chain rule is written once over one; it computes, counts, or leaves products open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple, Protocol

import numpy as np

from jacobian.kernel.access import indices
from jacobian.kernel.arithmetic import ghost
from jacobian.kernel.explain import multiplications
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.operands import holds_complex
from jacobian.kernel.pattern import CACHE, Pattern, Shape
from jacobian.kernel.real import real_part
from jacobian.kernel.simplify import contracted, fused, shapes_only
from jacobian.kernel.term import Factor, Term
from jacobian.tracing.graph import Node

LARGER = 2  # times the entries of all factors together


class Algebra(Protocol):
    """What accumulation needs of Jacobians beyond `@` and `+`."""

    def local(self, node: Node, operand: int) -> Jacobian:
        """The local Jacobian of a node with respect to one operand."""

    def contract(self, J: Jacobian) -> Jacobian:
        """The Jacobian with its terms contracted and merged."""

    def merges(self, J: Jacobian) -> bool:
        """Whether there are fewer terms once they are contracted."""

    def before(self, J: Jacobian, uses: Sequence[Jacobian]) -> Jacobian:
        """The Jacobian as it is to be multiplied with several others."""

    def shorten(self, J: Jacobian) -> Jacobian:
        """The Jacobian with factors that are read alike made one."""

    def real_part(self, J: Jacobian) -> Jacobian:
        """The real part of a complex Jacobian."""


class Numeric:
    """Computes."""

    def local(self, node: Node, operand: int) -> Jacobian:
        """Evaluate the rule."""
        return node.local(operand)

    def contract(self, J: Jacobian) -> Jacobian:
        """Contract the terms."""
        return contracted(J)

    def merges(self, J: Jacobian) -> bool:
        """Whether some terms write to the same places."""
        return are_alike(J)

    def before(self, J: Jacobian, uses: Sequence[Jacobian]) -> Jacobian:
        """As it is."""
        return J

    def shorten(self, J: Jacobian) -> Jacobian:
        """Multiply factors that are read alike."""
        return fused(J)

    def real_part(self, J: Jacobian) -> Jacobian:
        """Contract the terms and take the real part."""
        return real_part(J)


class Counting(Numeric):
    """Counts multiplications and the bytes of every array that would be made."""

    def __init__(self) -> None:
        self.multiplications = 0
        self.nbytes = 0
        self.largest = 0

    def contract(self, J: Jacobian) -> Jacobian:
        """Count, and hand on a Jacobian of the same pattern without numbers."""
        decided = any(term.tables or term.has_operator for term in J.terms) or holds_complex(J.terms)
        found = _counted(J) if decided else _counted_alike(J)
        self.multiplications += found.multiplications
        self.nbytes += sum(found.sizes)
        self.largest = max(self.largest, 0, *found.sizes)
        return J if found.result is None else found.result

    def shorten(self, J: Jacobian) -> Jacobian:
        """Only the shapes count."""
        return J

    def real_part(self, J: Jacobian) -> Jacobian:
        """Count the contraction; the result is real."""
        result = self.contract(J)
        return Jacobian(result.terms, J.out_shape, J.in_shape, np.zeros((), J.dtype).real.dtype, J.names)


class _Counted(NamedTuple):
    """What contracting takes, the bytes of the arrays that are left, and the result; None where nothing is done."""

    multiplications: int
    sizes: Sequence[int]
    result: Jacobian | None


def _counted(J: Jacobian) -> _Counted:
    result = shapes_only(J)
    left = [prod(access.shape) for term in result.terms for access in term.pattern.factors]
    products = sum(multiplications(term) for term in J.terms)
    return _Counted(products, [size * J.dtype.itemsize for size in left], None if result is J else result)


def _counted_alike(J: Jacobian) -> _Counted:
    """The same where patterns decide: the steps of a function are alike as a rule, and all its orders make them."""
    found = _counted_once(tuple([term.pattern for term in J.terms]), J.out_shape, J.in_shape, J.dtype)
    if found.result is None:
        return found
    # Terms over the same arrays are told to be equal: what is handed out is nobody else's.
    own = (term.with_factors(tuple(Factor(f.array.view()) for f in term.factors)) for term in found.result.terms)
    return found._replace(result=_like(J, own))


@lru_cache(maxsize=CACHE)
def _counted_once(patterns: Sequence[Pattern], out: Shape, into: Shape, dtype: np.dtype[Any]) -> _Counted:
    terms = [Term(one, tuple(Factor(ghost(access.shape, dtype)) for access in one.factors)) for one in patterns]
    return _counted(Jacobian(terms, out, into, dtype))


class Lean:
    """Another algebra, but products that only grow by being multiplied out are left as they are: `d[i] M[i,j] c[j]`.

    Where a Jacobian is used more than once it is contracted before, as a rule. But where nothing is summed nothing is
    saved: the product has more entries than its factors together, and the next step may sum one of their indices.
    """

    def __init__(self, algebra: Algebra) -> None:
        self.local, self.shorten, self.real_part = algebra.local, algebra.shorten, algebra.real_part
        self._contract, self.merges, self.before = algebra.contract, algebra.merges, algebra.before
        self.kept = 0  # terms that were left as they are

    def contract(self, J: Jacobian) -> Jacobian:
        """Contract what does not grow by it."""
        growing = [term for term in J.terms if _grows(term)]
        if not growing:
            return self._contract(J)
        self.kept += len(growing)
        left = self.shorten(_like(J, growing))
        rest = [term for term in J.terms if not _grows(term)]
        return Jacobian.total([self._contract(_like(J, rest)), left]) if rest else left


def are_alike(J: Jacobian) -> bool:
    """Whether some terms write to the same places, so that they may become one."""
    return len({(term.pattern.out, term.pattern.into) for term in J.terms}) < len(J.terms)


def _like(J: Jacobian, terms: Iterable[Term]) -> Jacobian:
    return Jacobian(terms, J.out_shape, J.in_shape, J.dtype, J.names)


def _grows(term: Term) -> bool:
    """Whether a product of several factors sums nothing, and has more entries than these have."""
    pattern = term.pattern
    if len(pattern.factors) < 2 or pattern.guards:
        return False
    used = {index for access in pattern.factors for index in indices(*access.forms)}
    entries = sum(prod(access.shape) for access in pattern.factors)
    return used <= {*pattern.free} and prod(pattern.sizes[index] for index in used) > LARGER * entries
