"""Claims of a shape that no layout has: an axis that is not summed, a derivative of something else."""

from __future__ import annotations

import warnings
from itertools import combinations, permutations
from typing import Any

import numpy as np

from jacobian.checking import slips
from jacobian.checking.derivation import Run
from jacobian.checking.tolerance import Tolerance
from jacobian.checking.whole import Axes

Array = np.ndarray[Any, np.dtype[Any]]

MAX_RANK = 6


def explain(run: Run, claimed: Array, tolerance: Tolerance, axes: Axes) -> tuple[str, str] | None:
    """The slip behind a claim that cannot be compared entry by entry, and its sentence."""
    for attempt in (_not_summed, _other_order, _other_node):
        found = attempt(run, claimed, tolerance, axes)
        if found is not None:
            return found
    return None


def _same(claimed: Array, true: Array, tolerance: Tolerance) -> bool:
    return claimed.shape == true.shape and tolerance.same(np.atleast_1d(claimed), np.atleast_1d(true))


def _not_summed(run: Run, claimed: Array, tolerance: Tolerance, axes: Axes) -> tuple[str, str] | None:
    """Summing axes that the input does not have makes it right."""
    extra = claimed.ndim - len(axes.shape)
    sizes = claimed.shape
    for count in range(1, extra + 1) if claimed.ndim <= MAX_RANK + 2 else ():
        for group in combinations(range(len(axes.out), claimed.ndim), count):
            if _same(claimed.sum(axis=group), run.tensor, tolerance):
                which = " and ".join(str(a - len(axes.out)) for a in group)
                length = " and ".join(str(sizes[a]) for a in group)
                return slips.NOT_SUMMED, (
                    f"{axes.names[1]} is broadcast: the claim still has the axis {which} of length {length}, over "
                    f"which {axes.names[1]} was repeated; sum over it, .sum(axis={which})."
                )
    for axis, size in enumerate(sizes):  # kept with length 1 in the input
        if axis >= len(axes.shape) or axes.shape[axis] != 1 or size == 1:
            continue
        if _same(claimed.sum(axis=axis, keepdims=True), run.tensor, tolerance):
            own = axis - len(axes.out)
            return slips.NOT_SUMMED, (
                f"{axes.names[1]} is broadcast along the axis {own}, of length {size} in the claim: sum over it, "
                f".sum(axis={own}, keepdims=True)."
            )
    return None


def _other_order(run: Run, claimed: Array, tolerance: Tolerance, axes: Axes) -> tuple[str, str] | None:
    """The full tensor with its axes in another order."""
    if claimed.ndim != len(axes.shape) or claimed.ndim > MAX_RANK:
        return None
    for order in permutations(range(claimed.ndim)):
        if _same(claimed.transpose(order), run.tensor, tolerance):
            return slips.AXES, (
                f"The axes are in another order: the claim has the shape {claimed.shape}, {axes.quotient} has "
                f"{axes.shape}; transpose it, C.transpose({', '.join(map(str, order))})."
            )
    return None


def _other_node(run: Run, claimed: Array, tolerance: Tolerance, axes: Axes) -> tuple[str, str] | None:
    """The derivative of the output by a node on the way, or of such a node by the input."""
    if isinstance(run.of, np.ndarray):
        return None
    on_the_way = {node.index for node in run.of.trace.between(run.of, [run.wrt])}
    for node in run.trace.nodes:
        if node.op is None or node is run.of or node.index not in on_the_way:
            continue
        for of, wrt in ((run.of, node), (node, run.wrt)):
            if tuple(of.shape) + tuple(wrt.shape) != claimed.shape:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = np.asarray(run.trace.jacobian(of, wrt))
            if _same(claimed, found, tolerance):
                rest = f"∂{node.name}/∂{run.wrt.name}" if wrt is node else f"∂{run.of.name}/∂{node.name}"
                return slips.LINK_OUT, (
                    f"The claim is ∂{of.name}/∂{wrt.name}: the link {rest} of the chain is left out; multiply by it."
                )
    return None
