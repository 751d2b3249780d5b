"""Contraction of a network of arrays: `opt_einsum` finds the order, once per network of shapes."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np
import opt_einsum

from jacobian.kernel.bracketing import LONGEST, best_bracketing
from jacobian.kernel.pattern import CACHE, Shape

Labels = tuple[int, ...]

MANY_ARRAYS = 10  # above that many one search has to do


class Plan(NamedTuple):
    """How a network is contracted: the einsum, and opt_einsum's account of it."""

    equation: str
    expression: Any
    info: Any

    @property
    def steps(self) -> tuple[str, ...]:
        """The einsums of the chosen order, one after another."""
        return tuple(contraction[2] for contraction in self.info.contraction_list)

    @property
    def multiplications(self) -> int:
        """Multiplications of numbers in the chosen order; additions are not counted."""
        return sum(self._multiplications(step) for step in self.steps)

    @property
    def naive_multiplications(self) -> int:
        """Multiplications when all arrays are multiplied at once, for every assignment of all labels."""
        return self._multiplications(self.equation)

    def _multiplications(self, equation: str) -> int:
        labels = set(equation) - set(",->")
        return equation.count(",") * prod(int(self.info.size_dict[label]) for label in labels)


def equation_of(labels: tuple[Labels, ...], out: Labels) -> str:
    """The einsum string of a network, lettered by first appearance."""
    symbol: dict[int, str] = {}
    for label in (label for operand in (*labels, out) for label in operand):
        symbol.setdefault(label, opt_einsum.get_symbol(len(symbol)))
    inputs = ",".join("".join(symbol[label] for label in operand) for operand in labels)
    return f"{inputs}->{''.join(symbol[label] for label in out)}"


@lru_cache(maxsize=CACHE)
def plan(labels: tuple[Labels, ...], shapes: tuple[Shape, ...], out: Labels) -> Plan:
    """The plan for a network of those shapes."""
    equation = equation_of(labels, out)
    # "auto" calls a search whose costs are wrong when a label stands on three arrays, as next to every diagonal factor;
    # dynamic programming counts them right, but is slow on large networks.
    searches: tuple[Any, ...] = ("auto", "dp") if 2 < len(labels) <= MANY_ARRAYS else ("auto",)
    if 2 < len(labels) <= LONGEST:  # and for chains, however long, the best bracketing is found directly
        sizes = {
            label: size
            for axes, shape in zip(labels, shapes, strict=True)
            for label, size in zip(axes, shape, strict=True)
        }
        searches = (
            *searches,
            best_bracketing([frozenset(axes) for axes in labels], sizes, frozenset(out)),
        )
    found = [opt_einsum.contract_path(equation, *shapes, shapes=True, optimize=search)[1] for search in searches]
    info = min(found, key=lambda info: Plan(equation, None, info).multiplications)
    return Plan(equation, opt_einsum.contract_expression(equation, *shapes, optimize=info.path), info)


def contract(arrays: list[np.ndarray], labels: list[Labels], out: Labels) -> np.ndarray:
    """Contract arrays whose axes carry labels; labels not in `out` are summed."""
    if len(arrays) == 1 and labels[0] == out:
        return arrays[0]
    if len(arrays) == 1 and len(out) == len(labels[0]) == len(set(out)):
        return arrays[0].transpose([labels[0].index(label) for label in out])
    result: np.ndarray = plan(tuple(labels), tuple(array.shape for array in arrays), out).expression(*arrays)
    return result
