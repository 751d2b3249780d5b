"""Shifts that cancel: a maximum subtracted inside a softmax, and added again outside of a log-sum-exp.

Such code is shifted for the sake of numerics only, and its result does not depend on the shift. Then nothing has to be
differentiated through the maximum, neither its ties nor the look-up of its place. Whether that is so is proved from the
graph alone, whatever the numbers: when a maximum m is moved by a small d, every node v after it either moves by c·d
or is multiplied by exp(c·d), and at the end of the graph c is 0. Where a node does neither, nothing is proved.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from fractions import Fraction
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from jacobian.kernel.pattern import Shape
from jacobian.ops.families import reduced_axes
from jacobian.ops.indexing import is_basic, origins
from jacobian.tracing.graph import Node

Coefficient = Mapping[int, Fraction]
"""c as a sum of unknown numbers: -1 for 1, and a node's index for the number that it multiplies by."""

_PLAIN = {"axis", "keepdims"}  # a reduction without initial= and where=


def may_cancel(node: Node) -> bool:
    """Whether it is worth a look: the node is a maximum or a minimum of an array."""
    op = node.op
    return op is not None and op.built_in and op.name in ("max", "min") and 0 not in node.shape


class Moved(NamedTuple):
    """How a node follows the maximum: `v + c·d` or, when it is scaled, `v · exp(c·d)`.

    `reads` has the node's shape, and its strides say which entry of d is meant at each of its entries: it is a view of
    as many bytes as d has entries, of which nobody looks at the contents.
    """

    scaled: bool
    c: Coefficient
    reads: np.ndarray


Users = Mapping[int, Sequence[Node]]
"""The nodes that every node, by its number, is an operand of."""

Operands = Sequence["Moved | None"]
"""What is known of a node's operands; None of one that does not follow."""


def cancelling(nodes: Sequence[Node], of: Node, users: Users) -> set[int]:
    """Those of the nodes, maxima and minima, on which `of` provably does not depend.

    What is computed twice, as in `exp(x - max(x)) / sum(exp(x - max(x)))`, is the same maximum.
    """
    alike: dict[Hashable, list[Node]] = {}
    for node in nodes:
        alike.setdefault(_what(node), []).append(node)
    found: set[int] = set()
    for group in alike.values():
        together = _cancel(group, of, users)
        found.update(node.index for node in group if together or (len(group) > 1 and _cancel([node], of, users)))
    return found


def _what(node: Node) -> Hashable:
    """Equal for nodes of the same value, but for axes of size 1."""
    ((_, parent),) = node.parents
    if node.op is None or not _PLAIN.issuperset(node.params):
        return node.index
    return node.op.name, _which(parent), reduced_axes(node.params["axis"], len(parent.shape), node.op.name)


def _which(node: Node) -> Hashable:
    """Equal for a node and for the same part of it that is picked anew."""
    if node.op is None or node.op.name != "getitem" or len(node.operands) > 1 or not is_basic(node.params["key"]):
        return node.index
    return repr(node.params["key"]), _which(node.parents[0][1])


def _cancel(nodes: Sequence[Node], of: Node, users: Users) -> bool:
    """Whether `of` stays when these nodes, all of the same value, are moved by the same d."""
    d = np.zeros(nodes[0].value.size, np.int8)
    found = {node.index: Moved(False, {-1: Fraction(1)}, _read(d, node.shape)) for node in nodes}
    waiting: list[int] = []
    known: dict[int, Node] = {}

    def go_on(node: Node) -> None:
        for user in users.get(node.index, ()):
            if user.index not in known and user.index not in found:
                known[user.index] = user
                heappush(waiting, user.index)

    for node in nodes:
        go_on(node)
    while waiting:
        user = known[heappop(waiting)]
        parents = {position: parent.index for position, parent in user.parents}
        operands = [found.get(parents.get(position, -1)) for position in range(len(user.operands))]
        moved = _follow(user, operands)
        if moved is None:
            return False
        if not any(moved.c.values()):
            continue
        found[user.index] = moved
        go_on(user)
    return of.index not in found


def _read(d: np.ndarray, shape: Shape) -> np.ndarray:
    """All entries in their order, with no stride along axes of size 1."""
    whole = d.reshape(shape)
    return as_strided(whole, shape, [0 if n == 1 else step for n, step in zip(shape, whole.strides, strict=True)])


def _follow(node: Node, operands: Operands) -> Moved | None:
    """How a node follows when its operands do; None when that is neither by a shift nor by a factor."""
    op = node.op
    if op is None or not op.built_in:
        return None
    rule = _RULES.get(op.name)
    if rule is not None:
        return rule(node, operands)
    if op.family == "layout" and op.views and len(operands) == 1 and operands[0] is not None:
        scaled, c, reads = operands[0]
        view = op.forward(reads, **node.params)
        inside = np.may_share_memory(view, reads)  # else it was copied, and its strides say nothing
        return Moved(scaled, c, view) if inside and tuple(view.shape) == node.shape else _picked(node, operands)
    return _picked(node, operands) if op.name in _PICKING else None


# -- elementwise ------------------------------------------------------------------------------------------------------


def _spread(node: Node, operands: Operands) -> np.ndarray | None:
    """What the node reads when it is broadcast from operands that all read the same there."""
    views = [np.broadcast_to(one.reads, node.shape) for one in operands if one is not None]
    first, *others = views
    same = all(_address(view) == _address(first) for view in others)
    return first if same else None


def _address(view: np.ndarray) -> tuple[int, ...]:
    """Where a view reads: its start, and its strides, which say nothing along axes of size 1."""
    steps = (stride for stride, size in zip(view.strides, view.shape, strict=True) if size > 1)
    return (int(view.__array_interface__["data"][0]), *steps)


def _sum(first: Coefficient, second: Coefficient, sign: int = 1) -> Coefficient:
    return {key: first.get(key, Fraction(0)) + sign * second.get(key, Fraction(0)) for key in {*first, *second}}


def _times(c: Coefficient, by: Fraction | int) -> Coefficient:
    return {key: by * value for key, value in c.items()}


def _added(sign: int) -> Callable[[Node, Operands], Moved | None]:
    def rule(node: Node, operands: Operands) -> Moved | None:
        """Shifts add up; two factors stay one if they are the same."""
        reads, (a, b) = _spread(node, operands), operands
        if reads is None:
            return None
        if a is not None and b is not None and a.scaled and b.scaled:
            return Moved(True, a.c, reads) if not any(_sum(a.c, b.c, -1).values()) else None
        if any(one is not None and one.scaled for one in operands):
            return None
        return Moved(False, _sum(a.c if a else {}, b.c if b else {}, sign), reads)

    return rule


def _multiplied(sign: int) -> Callable[[Node, Operands], Moved | None]:
    def rule(node: Node, operands: Operands) -> Moved | None:
        """Factors multiply; a shift may be multiplied by one number, whatever it is."""
        reads, (a, b) = _spread(node, operands), operands
        if reads is None:
            return None
        if all(one is None or one.scaled for one in operands):
            return Moved(True, _sum(a.c if a else {}, b.c if b else {}, sign), reads)
        number = node.operands[1 if a is not None else 0]
        if (a is not None and b is not None) or np.size(number) != 1 or (a is None and sign < 0):
            return None
        return Moved(False, {node.index: Fraction(1)}, reads)

    return rule


def _negative(node: Node, operands: Operands) -> Moved | None:
    (one,) = operands
    assert one is not None
    return one if one.scaled else Moved(False, _times(one.c, -1), one.reads)


def _exp(node: Node, operands: Operands) -> Moved | None:
    (one,) = operands
    assert one is not None
    return None if one.scaled else Moved(True, one.c, one.reads)


def _log(node: Node, operands: Operands) -> Moved | None:
    (one,) = operands
    assert one is not None
    return Moved(False, one.c, one.reads) if one.scaled else None


def _sqrt(node: Node, operands: Operands) -> Moved | None:
    (one,) = operands
    assert one is not None
    return Moved(True, _times(one.c, Fraction(1, 2)), one.reads) if one.scaled else None


# -- over several entries ---------------------------------------------------------------------------------------------


def _reduced(node: Node, operands: Operands) -> Moved | None:
    """A sum, a mean or an extreme of entries that all follow alike."""
    (one,) = operands
    assert one is not None
    assert node.op is not None
    if not _PLAIN.issuperset(node.params):
        return None
    axes = reduced_axes(node.params["axis"], one.reads.ndim, node.op.name)
    if any(one.reads.strides[axis] for axis in axes if one.reads.shape[axis] > 1):
        return None
    first = one.reads[tuple(slice(0, 1) if axis in axes else slice(None) for axis in range(one.reads.ndim))]
    reads = first if node.params["keepdims"] else np.squeeze(first, axes)
    count = one.reads.size // max(reads.size, 1)
    return Moved(one.scaled, one.c if one.scaled or node.op.name != "sum" else _times(one.c, count), reads)


def _matmul(node: Node, operands: Operands) -> Moved | None:
    """Rows that are multiplied stay so, when each as a whole is multiplied alike."""
    left, right = operands
    if left is None or right is not None or not left.scaled:
        return None
    rank, other = left.reads.ndim, np.ndim(node.operands[1])
    if rank < 2 or other not in (1, 2, rank) or (left.reads.shape[-1] > 1 and left.reads.strides[-1]):
        return None
    rows = left.reads[..., 0] if other == 1 else left.reads[..., :1]
    return Moved(True, left.c, np.broadcast_to(rows, node.shape))


def _picked(node: Node, operands: Operands) -> Moved | None:
    """Entries at listed positions, which may be known at every call only: those of the shift must be the same ones.

    Where a row has one shift it does not matter which of its entries is picked.
    """
    one, *lists = operands
    if one is None or any(lists) or 0 in node.shape or node.params.get("mode", "raise") != "raise":
        return None
    tables = [np.zeros(np.shape(table), np.intp) for table in node.operands[1:]]
    found = _indices(node, one.reads.shape, tables)
    steps = list(zip(found, one.reads.strides, strict=True))
    places = _affine(np.zeros(node.shape, np.intp) + sum(table * step for table, step in steps))
    for number, table in enumerate(tables):
        others = _indices(node, one.reads.shape, [*tables[:number], table - 1, *tables[number + 1 :]])
        if any(step and not np.array_equal(a, b) for (a, step), b in zip(steps, others, strict=True)):
            return None
    if places is None:
        return None
    first = tuple(slice(index := int(table.flat[0]), index + 1) for table in found)
    return Moved(one.scaled, one.c, as_strided(one.reads[first], node.shape, places))


def _indices(node: Node, shape: Shape, tables: Sequence[np.ndarray]) -> list[np.ndarray]:
    """For every axis of an operand of that shape, where the node's entries come from, with these lists of positions."""
    op = node.op
    assert op is not None
    return origins(shape, lambda ruler: op.forward(ruler, *tables, **node.params))


def _affine(places: np.ndarray) -> list[int] | None:
    """How far one step along every axis moves, if it is as far everywhere."""
    first = (0,) * places.ndim
    steps = [
        int(places[(*first[:axis], 1, *first[axis + 1 :])] - places[first]) if size > 1 else 0
        for axis, size in enumerate(places.shape)
    ]
    rulers = np.ogrid[tuple(slice(size) for size in places.shape)]
    expected = places[first] + sum(ruler * step for ruler, step in zip(rulers, steps, strict=True))
    return steps if np.array_equal(places, expected) else None


_PICKING = {"getitem", "take"}
_RULES: dict[str, Callable[[Node, Operands], Moved | None]] = {
    "add": _added(1), "subtract": _added(-1), "multiply": _multiplied(1), "divide": _multiplied(-1),
    "negative": _negative, "exp": _exp, "log": _log, "sqrt": _sqrt, "sum": _reduced, "mean": _reduced, "max": _reduced,
    "min": _reduced, "matmul": _matmul,
}  # fmt: skip
