"""What a derivation is made of: lines under titles, names that are defined, labels as they may be read, paths."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from jacobian import plan
from jacobian.display.derivation_terms import Sum
from jacobian.kernel import notation
from jacobian.ops.families.reduction import reduced_axes
from jacobian.tracing.graph import Node


class Line(NamedTuple):
    """One line: a formula, or a remark when `formula` is empty; `why` says how it comes from the line before."""

    formula: str
    why: str = ""


class Part(NamedTuple):
    """Some lines under a title."""

    title: str
    lines: tuple[Line, ...]


class Definition(NamedTuple):
    """A name for what arrives at a node, or for a rule that is no short formula."""

    name: str
    array: Any
    total: Sum | None  # over its own axes
    code: str = ""


def readings(label: str, node: Node) -> Iterator[str]:
    """A label as it may be written, the most readable first: each is tried."""
    if match := re.fullmatch(r"cof\((\w+)\)(\[@0,@1\])?", label):
        yield f"{node.name} * inv({match[1]})[@1,@0]"
    if node.op is not None and node.op.name in _OF_A_LINE:
        label = _along_axes(node, label)
    if label:
        yield re.sub(r"where\(\S+ == 0, 0\.5, 0\.0\)", "0.0", label)
        yield label


_OF_A_LINE = frozenset({"prod", "std", "var", "vector_norm"})
"""Their rules speak of the line that an entry lies in: of its mean, or of what it is reduced to."""


def _along_axes(node: Node, label: str) -> str:
    """The label of a rule of theirs with the positions of its line in it."""
    assert node.op is not None
    x, shape, axis = node.operand_names[0], np.shape(node.operands[0]), node.params.get("axis")
    reduced = reduced_axes(axis, len(shape), node.op.name)
    line = _positions(len(shape), reduced, kept=False)
    result = node.name + _positions(len(shape), reduced, kept=bool(node.params.get("keepdims")))
    entry, mean = notation.indexed_label(x, len(shape)), f"mean({x}{'' if axis is None else f', axis={axis}'}){line}"
    if node.op.name == "prod":  # where no entry is 0
        return label or f"{result} / {entry}"
    label = label.replace(f"mean({x})", mean)
    return re.sub(rf"(?<![\w.]){re.escape(node.name)}(?![\w\[])", result, label)


def _positions(rank: int, reduced: tuple[int, ...], *, kept: bool) -> str:
    at = ["0" if axis in reduced else f"@{axis}" for axis in range(rank) if kept or axis not in reduced]
    return f"[{','.join(at)}]" if at else ""


def all_paths(graph: plan.Paths, of: Node, wrt: Node, limit: int) -> list[list[Node]]:
    """Paths from the output back, at most so many."""
    found: list[list[Node]] = []
    waiting: list[list[Node]] = [[of]]
    while waiting and len(found) < limit:
        path = waiting.pop()
        if path[-1] is wrt:
            found.append(path)
            continue
        edges = graph.edges.get(path[-1].index, ())
        waiting += [[*path, parent] for _, parent in reversed(edges)]
    return found
