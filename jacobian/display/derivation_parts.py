"""What a derivation is made of: lines under titles, names that are defined, labels as they may be read, paths."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import prod
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
    if node.op is not None and node.op.name == "var" and node.params.get("axis") is None:
        x, shape = node.operand_names[0], np.shape(node.operands[0])
        count = prod(shape) - node.params.get("ddof", 0)
        yield f"2/{count} * ({notation.indexed_label(x, len(shape))} - mean({x}))"
    if node.op is not None and node.op.name == "prod" and not label:
        yield _product_of_others(node)
    if label:
        yield re.sub(r"where\(\S+ == 0, 0\.5, 0\.0\)", "0.0", label)
        yield re.sub(r"\((\d+) (?=\w)", r"(\1 * ", label)
        yield label


def _product_of_others(node: Node) -> str:
    """The product over the entry itself, where that is not 0."""
    rank = np.ndim(node.operands[0])
    reduced = reduced_axes(node.params.get("axis"), rank, "prod")
    kept = bool(node.params.get("keepdims"))
    at = ["0" if axis in reduced else f"@{axis}" for axis in range(rank) if kept or axis not in reduced]
    product = f"{node.name}[{','.join(at)}]" if at else node.name
    return f"{product} / {notation.indexed_label(node.operand_names[0], rank)}"


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
