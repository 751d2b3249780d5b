"""The orders in which the local Jacobians of a chain can be multiplied, and what each costs, on shapes alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jacobian import algebra, plan
from jacobian.chain import compose
from jacobian.display.words import sides
from jacobian.kernel.explain import plan_of
from jacobian.kernel.expression import Jacobian

MOST_LINKS = 24  # the cube of it is how many products are tried


class Product(NamedTuple):
    """One product of two Jacobians: which, of what shapes, the einsum, and the multiplications of numbers."""

    text: str
    shapes: str
    einsum: str
    multiplications: int


class Order(NamedTuple):
    """An order: its bracketing, its products one after another, and what they cost together."""

    name: str
    bracketing: str
    products: tuple[Product, ...]
    cost: plan.Cost


class _Part(NamedTuple):
    """Neighbouring links multiplied."""

    text: str
    J: Jacobian
    products: tuple[Product, ...]
    multiplications: int
    nbytes: int
    largest: int

    @property
    def work(self) -> tuple[int, int]:
        return self.multiplications, self.nbytes


def orders(locals_: Sequence[Jacobian]) -> list[Order]:
    """Forward, reverse, the best bracketing, and all at once as one network, as `Chain.jacobian` does it.

    Two links have one bracketing; so have more than can be tried: then the best is that of the network.
    """
    parts = [_Part(f"J{len(locals_) - k}", J, (), 0, 0, 0) for k, J in enumerate(locals_)]
    forward, reverse = _forward(parts), _reverse(parts)
    found = [_order("forward", forward), _order("reverse", reverse)]
    best = min((reverse, forward, *([_best(parts)] if len(parts) <= MOST_LINKS else [])), key=lambda part: part.work)
    return [*found, _order("best", best), _network(locals_)]


def _order(name: str, part: _Part) -> Order:
    cost = plan.Cost(name, part.multiplications, part.nbytes, part.largest)
    return Order(name, part.text, part.products, cost)


def _forward(parts: Sequence[_Part]) -> _Part:
    total = parts[-1]
    for part in reversed(parts[:-1]):
        total = _product(part, total)
    return total


def _reverse(parts: Sequence[_Part]) -> _Part:
    total = parts[0]
    for part in parts[1:]:
        total = _product(total, part)
    return total


def _best(parts: Sequence[_Part]) -> _Part:
    """Dynamic programming over all intervals of the chain."""
    best = {(k, k + 1): part for k, part in enumerate(parts)}
    for length in range(2, len(parts) + 1):
        for start in range(len(parts) - length + 1):
            stop = start + length
            tried = [_product(best[start, cut], best[cut, stop]) for cut in range(start + 1, stop)]
            best[start, stop] = min(tried, key=lambda part: part.work)
    return best[0, len(parts)]


def _product(left: _Part, right: _Part) -> _Part:
    counting = algebra.Counting()
    product = left.J @ right.J
    result = counting.contract(product)
    text = "·".join(f"({part.text})" if "·" in part.text else part.text for part in (left, right))
    step = Product(text, f"{sides(left.J)} · {sides(right.J)}", equation(product), counting.multiplications)
    return _Part(
        text, result, (*left.products, *right.products, step),
        left.multiplications + right.multiplications + counting.multiplications,
        left.nbytes + right.nbytes + counting.nbytes, max(left.largest, right.largest, counting.largest),
    )  # fmt: skip


def _network(locals_: Sequence[Jacobian]) -> Order:
    counting = algebra.Counting()
    product = compose(*locals_)
    counting.contract(product)
    text = "·".join(f"J{len(locals_) - k}" for k in range(len(locals_)))
    step = Product(text, sides(product), equation(product), counting.multiplications)
    cost = plan.Cost("as one", counting.multiplications, counting.nbytes, counting.largest)
    return Order("as one", f"{text} at once", (step,) if len(locals_) > 1 else (), cost)


def equation(J: Jacobian) -> str:
    """The einsums that contract the terms; empty where there is nothing to contract."""
    plans = [plan_of(term) for term in J.terms]
    texts = dict.fromkeys(found.equation for found in plans if found is not None)
    return " + ".join(texts)
