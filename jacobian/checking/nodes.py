"""Every node's local Jacobian against differences of its op: where in a large function a rule is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jacobian.checking.judging import Judged, judge
from jacobian.checking.probe import Array, Probe
from jacobian.kernel.expression import Jacobian
from jacobian.ops.registry import Op
from jacobian.tracing.graph import Node
from jacobian.tracing.run import run
from jacobian.tracing.tracer import Tracer, record_bound

FULL_ENTRIES, FULL_COLUMNS = 2**20, 512
"""Of a larger local Jacobian columns drawn at random are compared."""


@dataclass(frozen=True)
class Nodes:
    """How many nodes were checked, and the first whose local Jacobian is wrong: the node, the operand, the entries."""

    checked: int
    skipped: int = 0
    node: str = ""
    operand: str = ""
    judged: Judged | None = None

    def __bool__(self) -> bool:
        """Whether no node is wrong."""
        return self.judged is None


def check_nodes(
    f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], numbers: Sequence[int],
    rtol: float | None, atol: float,
) -> Nodes:  # fmt: skip
    """Check the nodes in the order in which they ran, up to the first wrong one."""
    graph = run(f, numbers, args, kwargs).graph
    checked = skipped = 0
    for node in graph.nodes:
        if node.op is None or not node.parents or not np.size(node.value):  # it has no local Jacobian, or an empty one
            continue
        counted = False
        for operand, parent in node.parents:
            for function, point, J in _parts(node, operand):
                found = judge(
                    Probe(function, (point,), {}, (0,), "check"), J.named(node.name, parent.name), "auto",
                    FULL_ENTRIES, FULL_COLUMNS, rtol, atol,
                )  # fmt: skip
                counted = True
                if found.differ.any():
                    return Nodes(checked + 1, skipped, repr(node), parent.name, found)
        checked, skipped = checked + counted, skipped + (not counted)
    return Nodes(checked, skipped)


def _parts(node: Node, operand: int) -> list[tuple[Callable[[Array], Any], Array, Jacobian]]:
    """The op as a function of one operand, the point, and our Jacobian there; by both parts of a complex operand.

    Moving `z` along the real axis changes the value by `J`, along the imaginary one by `1j * J`; an op that returns
    real numbers takes real parts of that.
    """
    op, x = node.op, node.operands[operand]
    assert op is not None
    if not isinstance(x, np.ndarray | np.generic) or not np.size(node.value) or not np.size(x):
        return []

    def at(value: Any) -> Any:
        operands = list(node.operands)
        operands[operand] = value
        compute = record_bound if isinstance(value, Tracer) else Op.compute
        return compute(op, operands, node.params)

    J = node.local(operand)
    if np.asarray(x).dtype.kind != "c":
        return [(at, np.asarray(x), J)]
    of_real = np.asarray(node.value).dtype.kind != "c"
    tensor = np.asarray(J)
    along = [np.real(tensor), -np.imag(tensor)] if of_real else [tensor, 1j * tensor]
    ndim = np.ndim(node.value)
    by_real, by_imaginary = (Jacobian.from_array(one, ndim) for one in along)
    return [
        (lambda re: at(re + 1j * np.imag(x)), np.real(np.asarray(x)), by_real),
        (lambda im: at(np.real(x) + 1j * im), np.imag(np.asarray(x)), by_imaginary),
    ]
