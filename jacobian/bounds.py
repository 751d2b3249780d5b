"""What has to be looked at to know that a function's results are finite: not all of it need be computed for that.

A sum of finite numbers that are no larger than `2**finite.BITS` cannot become infinite, nor can a product of a few of
them, a sine, or the logarithm of a determinant whose matrix has an inverse. What ops say of their growth is followed
from the inputs on; where it is not known, or may be too large, or is not worth while, the numbers are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np

from jacobian.kernel.finite import BITS
from jacobian.ops.growth import bits_of
from jacobian.tracing.graph import Node

MOST = 1000.0  # bits; a float64 holds 1023
MOST_LOOKS = 8  # instead of one


class Effort(NamedTuple):
    """What it takes to look at a value, and to make it from those before, unless it is there anyway."""

    look: float
    make: float


def decisive(
    outputs: Sequence[Node], starts: Collection[Node], nodes: Sequence[Node], effort: Callable[[Node], Effort]
) -> list[Node] | None:  # fmt: skip
    """The nodes which, if they are bounded, leave no doubt that the outputs are finite; None where none do.

    `nodes` are all that the outputs are computed from, first ones first, and `starts` those from outside.
    """
    if any(node.value.dtype not in (np.float64, np.bool_) for node in nodes):
        return None
    begin = {node.index for node in starts}
    bits: dict[int, float] = {}
    looks: dict[int, dict[int, float]] = {}  # at which nodes, so that this many bits are sure, with their efforts
    making: dict[int, float] = {}
    for node in nodes:
        before = [parent.index for _, parent in (*node.parents, *node.given)]
        look, make = effort(node)
        making[node.index] = make + sum(making[index] for index in before) if make else 0.0
        itself = {node.index: look + making[node.index]}
        grown = np.inf if node.index in begin else _grown(node, bits)
        earlier: dict[int, float] = {}
        for index in before if grown <= MOST else ():
            earlier |= looks[index]
        is_known = grown <= MOST and len(earlier) <= MOST_LOOKS and sum(earlier.values()) <= itself[node.index]
        bits[node.index], looks[node.index] = (grown, earlier) if is_known else (BITS, itself)
    found = {index for node in outputs for index in looks[node.index]}
    return [node for node in nodes if node.index in found]


def _grown(node: Node, bits: dict[int, float]) -> float:
    """How large a node's value may be, in bits, when those before it are as large as they may be."""
    if node.op is None or node.op.growth is None:
        return np.inf
    before = dict((*node.parents, *node.given))
    of_operands = [
        bits[before[k].index] if k in before else bits_of(operand) for k, operand in enumerate(node.operands)
    ]
    of_params = bits_of({name: value for name, value in node.params.items() if name not in before})
    return max(node.op.growth(of_operands, node.operands, node.params), of_params) + (1 if of_params else 0)
