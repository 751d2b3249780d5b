"""What a node is, as a short text of entries of what has a name: `x[0]`, `sin(x[@0])`, `x[@0] > 0`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jacobian.kernel.access import Form, indices
from jacobian.kernel.notation import array_text, digits, form_text
from jacobian.kernel.term import Term
from jacobian.kernel.written import COMPARISON, NEGATIVE, POWER, PRODUCT, SUM, WHOLE, Written
from jacobian.ops import texts
from jacobian.ops.families.elementwise import aligned
from jacobian.tracing.graph import Compared, Graph, Node, shape_of
from jacobian.tracing.stripped import strip_all

LONGEST = 24
"""Characters of what is written out: a longer text is called by its name."""

DEEPEST = 6
"""Operations that are written into one another."""

_SIGNS = {
    "add": (" + ", SUM), "subtract": (" - ", SUM), "multiply": (" * ", PRODUCT), "divide": (" / ", PRODUCT),
    "power": ("**", POWER), "greater": (" > ", COMPARISON), "less": (" < ", COMPARISON),
    "greater_equal": (" >= ", COMPARISON), "less_equal": (" <= ", COMPARISON), "equal": (" == ", COMPARISON),
    "not_equal": (" != ", COMPARISON),
}  # fmt: skip

_LEAST = {
    COMPARISON: (SUM, SUM), SUM: (SUM, PRODUCT), PRODUCT: (NEGATIVE, POWER), POWER: (WHOLE, WHOLE)
}  # fmt: skip
"""How well what stands on the left and on the right of a sign must hold together."""


def node_entry(node: Node, depth: int = DEEPEST) -> Written | None:
    """A node entry by entry; None where that is no short text."""
    if node.name_hint:
        return _named(node.name, len(node.shape))
    if node.op is None or depth == 0:
        return None
    if node.op.family == "layout":
        return _moved(node, depth)
    if node.op.family != "elementwise" or node.params:
        return None
    parents = dict(node.parents)
    operands = [parents.get(k, operand) for k, operand in enumerate(node.operands)]
    return _computed(node.trace, node.op.name, _function(node), operands, node.shape, depth)


def compared_entry(graph: Graph, found: Compared) -> Written | None:
    """The same of a comparison, if the array still is what that gives."""
    values = [strip_all(one.value) if isinstance(one, Node) else one for one in found.operands]
    if found.name not in _SIGNS or not np.array_equal(getattr(np, found.name)(*values), found.array):
        return None
    return _computed(graph, found.name, None, found.operands, found.array.shape, DEEPEST)


def _named(name: str, rank: int) -> Written:
    return Written(texts.at(name, range(rank)), rank)


def _short(text: str, rank: int, holds: int) -> Written | None:
    return Written(text, rank, holds) if len(text) <= LONGEST else None


def _computed(
    graph: Graph, name: str, function: str | None, operands: Sequence[Any], out: tuple[int, ...], depth: int
) -> Written | None:  # fmt: skip
    found = [_operand(graph, operand, out, depth) for operand in operands]
    parts = [one for one in found if one is not None]
    if len(parts) < len(found):
        return None
    if name in _SIGNS and len(parts) == 2:
        sign, holds = _SIGNS[name]
        left, right = (parts[k].within(least) for k, least in enumerate(_LEAST[holds]))
        text = f"{left}{sign}{right}"
        return _short(text, len(out), NEGATIVE if holds == PRODUCT and text.startswith("-") else holds)
    if name == "negative":
        return _short(f"-{parts[0].within(PRODUCT)}", len(out), NEGATIVE)
    return None if function is None else _short(f"{function}({', '.join(one.text for one in parts)})", len(out), WHOLE)


def _function(node: Node) -> str | None:
    """What formulas call the function that an op is, if they know it by its name alone."""
    assert node.op is not None
    name = node.op.name
    known = getattr(np, name, None) in node.op.answers or node.op.module.endswith(".activations")
    return name if known and node.op.built_in else None


def _operand(graph: Graph, operand: Any, out: tuple[int, ...], depth: int) -> Written | None:
    """An operand at the positions of the output."""
    if isinstance(operand, Node):
        found = node_entry(operand, depth - 1)
        shape = operand.shape
    else:
        found, shape = _constant(graph, operand), shape_of(operand)
    return None if found is None else found.at([_place(form) for form in aligned(shape, out)])


def _constant(graph: Graph, value: Any) -> Written | None:
    if np.ndim(value):
        return _named(graph.constant_name(value), np.ndim(value)) if graph.naming.is_users(value) else None
    bare = np.asarray(strip_all(value))
    if bare.dtype.kind not in "iuf":
        return None
    return Written(digits(bare.item()), 0, WHOLE if bare >= 0 else NEGATIVE)


def _moved(node: Node, depth: int) -> Written | None:
    """An op that only moves entries: its Jacobian says from where."""
    if len(node.operands) != 1 or len(node.parents) != 1:
        return None
    found, terms = node_entry(node.parents[0][1], depth - 1), node.local(0).terms
    if found is None or len(terms) != 1:
        return None
    (term,) = terms
    pattern = term.pattern
    axes = [next(indices(form), -1) for form in pattern.out]
    plain = all(
        form.is_plain and pattern.sizes[k] == n for form, k, n in zip(pattern.out, axes, node.shape, strict=True)
    )
    if term.factors or term.tables or term.scale != 1 or pattern.guards or not plain or len(set(axes)) < len(axes):
        return None
    if not set(indices(*pattern.into)) <= set(axes) or not _reads_simply(term, node.operands[0]):
        return None
    place = {index: f"@{axis}" for axis, index in enumerate(axes)}
    moved = found.at([form_text(form, place.__getitem__) for form in pattern.into])
    return _short(moved.text, len(axes), moved.holds)


def _reads_simply(term: Term, operand: Any) -> bool:
    """Whether every position is one index, or a number beside one or alone.

    An index that stands for a position by itself runs over the whole axis: it is read as one that does.
    """
    pairs = list(zip(term.pattern.into, shape_of(operand), strict=True))
    whole = all(term.pattern.sizes[next(indices(form))] == size for form, size in pairs if form.is_plain)
    return whole and all([abs(stride) for _, stride in form.parts] in ([], [1]) for form, _ in pairs)


def _place(form: Form) -> str:
    return form_text(form, lambda axis: f"@{axis}")


# -- what is told below a formula --------------------------------------------------------------------------------------

_PRODUCTS = frozenset({"matmul", "matvec", "vecmat"})


def definition(node: Node) -> str | None:
    """A node as it was computed, from what has a name; None of what has one of the user's."""
    return None if node.op is None or node.name_hint else as_computed(node)


def as_computed(node: Node) -> str:
    """The same of any node that is no input."""
    assert node.op is not None
    name, parents = node.op.name, dict(node.parents)
    operands = [_told(parents.get(k, operand), node.trace) for k, operand in enumerate(node.operands)]
    if len(operands) == 2 and (name in _SIGNS or name in _PRODUCTS):
        sign, _ = _SIGNS.get(name, (" @ ", PRODUCT))
        return sign.join(one.within(WHOLE) for one in operands)
    plain = [one.text for one in operands]
    if name == "getitem":
        return f"{plain[0]}[{_key(node.params['key'])}]"
    called = node.trace.called(node.params)
    words = [f"{word}={called.get(word) or _key(value)}" for word, value in node.params.items() if _is_said(value)]
    return f"{node.op.called}({', '.join([*plain, *words])})"


def _told(operand: Any, graph: Graph) -> Written:
    """An operand by its name; a number that is short, as it is."""
    if not isinstance(operand, Node):
        text = graph.constant_name(operand)
        return Written(text, 0, NEGATIVE if text.startswith("-") else WHOLE)
    short = node_entry(operand) if not operand.shape else None
    return Written(operand.name, 0) if short is None else short


def _is_said(value: Any) -> bool:
    return value is not None and value is not False and (not isinstance(value, tuple) or value != ())


def _key(key: Any) -> str:
    """An index, or another argument."""
    if isinstance(key, tuple):
        return ",".join(map(_key, key))
    if isinstance(key, slice):
        ends = ["" if end is None else str(end) for end in (key.start, key.stop, key.step)]
        return ":".join(ends if ends[2] else ends[:2])
    if key is Ellipsis:
        return "..."
    return array_text(np.asarray(key)) if isinstance(key, list | np.ndarray) else repr(key)
