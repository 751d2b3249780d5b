"""Slips in the shape of the derivation: paths and terms left out, links left out or in the wrong order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from typing import Any

import numpy as np

from jacobian.checking import slips
from jacobian.checking.derivation import Derivation, Edge
from jacobian.checking.slips import Mutation
from jacobian.kernel.access import indices
from jacobian.kernel.expression import Jacobian
from jacobian.tracing.stripped import strip_all

Array = np.ndarray[Any, np.dtype[Any]]

PRODUCTS = frozenset(
    "multiply divide matmul dot inner outer vecdot matvec vecmat tensordot einsum kron_blocks power cross".split()
)
SUMS = frozenset({"add", "subtract", "concatenate", "stack"})
REDUCTIONS = frozenset("sum mean max min prod vector_norm var std logsumexp trace".split())
CANCELLED = 1e-12
"""What is so small beside its terms is what rounding leaves of nothing."""

MAX_PAIRS = 400
MAX_SYMMETRISING = 4
MAX_SIZE = 128
"""Products of two local Jacobians are made up to this size."""


def told(D: Derivation, edge: Edge) -> str:
    """An edge's local Jacobian in index notation."""
    return D.nodes[edge.node].local(edge.operand).formula


def node_text(D: Derivation, index: int) -> str:
    """`v2 = tanh(v1)`."""
    return repr(D.nodes[index]).rpartition(" ")[0]


def at(D: Derivation, index: int) -> str:
    """How a sentence begins that speaks of a node."""
    return f"At {node_text(D, index)}: "


def say(D: Derivation, edge: Edge, text: str) -> Callable[[], str]:
    """A sentence on a node, made when it is asked for: what slipped there, and the local Jacobian."""
    return lambda: f"{at(D, edge.node)}{text}, {told(D, edge)}."


def without_places(text: str) -> str:
    """A label as the name of a whole array.

    >>> without_places("inv(S)[@0,@1]"), without_places("(x[@0] - mean(x))")
    ('inv(S)', 'x - mean(x)')
    """
    return re.sub(r"^\(([^()]*(?:\([^()]*\)[^()]*)*)\)$", r"\1", re.sub(r"\[@[^\[\]]*\]", "", text))


def has_windows(J: Jacobian) -> bool:
    """Whether something is read at the sum of two labels, `x[i+k]`, as in a convolution."""
    patterns = [term.pattern for term in J.terms]
    read = [form for pattern in patterns for access in pattern.factors for form in access.forms]
    return any(len(set(indices(form))) > 1 for form in (*read, *(f for p in patterns for f in (*p.out, *p.into))))


def convolves(D: Derivation) -> bool:
    """Whether something on the way is read in windows."""
    return any(has_windows(D.nodes[edge.node].local(edge.operand)) for edge in D.edges)


def through(D: Derivation, edge: Edge) -> Edge:
    """Where what passes over an edge is computed with: what only picks or moves entries is no term of its own."""
    op, uses = D.nodes[edge.node].op, D.uses[edge.node]
    if op is None or (op.family != "layout" and op.name != "getitem") or len(uses) != 1:
        return edge
    return through(D, uses[0])


# -- paths ------------------------------------------------------------------------------------------------------------


def paths_left_out(D: Derivation) -> Iterator[Mutation]:
    """Every edge cut, then every node with several uses treated as a constant, then all edges to a node but one."""
    for edge in sorted(D.edges, key=lambda edge: (not is_normaliser(D, edge), len(D.into[edge.node]) < 2)):
        if len(D.edges) > 1 and (len(D.into[edge.node]) > 1 or len(D.uses[edge.parent]) > 1 or _forks(D, edge)):
            yield _cut(D, (edge,))
    statistics = tuple(edge for edge in D.edges if is_normaliser(D, edge))
    if len(statistics) > 1:
        yield _cut(D, statistics)
    for index, uses in D.uses.items():
        if len(uses) > 1 and index != D.wrt.index:
            yield _cut(D, tuple(uses))
    for uses in (D.uses[D.wrt.index], *(found for found in D.into.values() if len(found) > 2)):
        if len(uses) > 2:
            for kept in uses:
                yield _cut(D, tuple(edge for edge in uses if edge != kept))


def _forks(D: Derivation, edge: Edge) -> bool:
    """Whether there is another way round an edge."""
    return bool(np.any(D.truth != D.contribution(edge)))


def _cut(D: Derivation, edges: tuple[Edge, ...]) -> Mutation:
    slip = cut_slip(D, edges)
    changes = {edge: np.zeros_like(D.locals[edge]) for edge in edges}
    return Mutation(slip, ("cut", edges), lambda: _cut_sentence(D, edges, slip), changes=changes, kin=("cut", slip))


def cut_slip(D: Derivation, edges: tuple[Edge, ...]) -> str:
    """What leaving these edges out is called."""
    if all(is_normaliser(D, edge) for edge in edges):
        return slips.NORMALISER
    edge = edges[0]
    others = [other for other in D.into[edge.node] if other not in edges]
    if not others:
        return slips.PATH_OUT
    fork = _fork(D, edge, others)
    if (len(edges) > 1 and edge.parent != D.wrt.index) or _is_recurrent(D, edges):
        return slips.PATH_OUT
    name = _op(D, edge.node)
    within = D.owners.get(fork, fork) == D.owners.get(edge.node, -1)  # between the steps of one layer
    return slips.TERM_OUT if name in PRODUCTS or fork == D.wrt.index or within else slips.PATH_OUT


def _op(D: Derivation, index: int) -> str:
    op = D.nodes[index].op
    return "" if op is None else op.name


def _is_recurrent(D: Derivation, edges: tuple[Edge, ...]) -> bool:
    """Whether the input stands in one place of a product again and again, as shared weights do."""
    uses = [use for use in D.uses[D.wrt.index] if _op(D, use.node) in PRODUCTS - {"multiply", "divide", "power"}]
    for first in uses:
        for second in uses:
            if first.node != second.node and (_op(D, first.node), first.operand) == (
                _op(D, second.node),
                second.operand,
            ):
                between = {k for k in ancestors(D, second.node) if first.node in ancestors(D, k)}
                if any(getattr(D.nodes[k].op, "family", "") not in ("multilinear", "layout") for k in between):
                    return True
    return False


def _fork(D: Derivation, edge: Edge, others: list[Edge]) -> int:
    """The last node from which both the edge and the others come."""
    mine = ancestors(D, edge.parent)
    theirs = set().union(*(ancestors(D, other.parent) for other in others))
    return max(mine & theirs, default=D.wrt.index)


def ancestors(D: Derivation, index: int) -> set[int]:
    """All nodes from which one comes, itself among them."""
    found, waiting = set(), [index]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += [edge.parent for edge in D.into[node]]
    return found


def is_normaliser(D: Derivation, edge: Edge) -> bool:
    """Whether over this edge arrives what is divided by or subtracted, and was reduced from the same input."""
    name = _op(D, edge.node)
    others = [other for other in D.into[edge.node] if other != edge]
    if not others:
        return False
    if name in ("divide", "subtract"):
        return edge.operand == 1 and _comes_from_reduction(D, edge.parent)
    return name == "multiply" and _is_inverse(D, edge.parent) and _comes_from_reduction(D, edge.parent)


def _is_inverse(D: Derivation, index: int) -> bool:
    """Whether a node is one over something."""
    name = _op(D, index)
    if len(D.into[index]) != 1 or name not in ("reciprocal", "divide", "power"):
        return False
    if name == "reciprocal":
        return True
    edge, operands = D.into[index][0], D.nodes[index].operands
    if name == "divide":
        return edge.operand == 1
    return edge.operand == 0 and bool(np.all(np.asarray(strip_all(operands[1]), float) < 0))


def _comes_from_reduction(D: Derivation, index: int) -> bool:
    """Whether a node is a reduction, or follows on one entry by entry."""
    for _ in range(len(D.nodes)):
        into = D.into[index]
        if not into:
            return False
        parents = {edge.parent for edge in into}
        op = D.nodes[index].op
        if op is not None and op.name in REDUCTIONS:
            return True
        if (
            op is not None
            and op.family == "multilinear"
            and prod(D.nodes[index].shape) < prod(D.nodes[into[0].parent].shape)
        ):
            return len(into) > 1 and D.nodes[index].shape == ()
        if op is None or op.family not in ("elementwise", "layout"):
            return False
        if len(parents) != 1:  # such as the largest less the smallest
            return D.wrt.index not in parents and all(_comes_from_reduction(D, parent) for parent in parents)
        (index,) = parents
    return False


def _cut_sentence(D: Derivation, edges: tuple[Edge, ...], slip: str) -> str:
    edge = edges[0]
    nodes = " and ".join(dict.fromkeys(D.name(e.parent) for e in edges))
    terms = ", ".join(dict.fromkeys(told(D, e) for e in edges))
    verb = "are" if " and " in nodes else "is"
    if slip == slips.NORMALISER:
        subtracted = all(_op(D, e.node) == "subtract" for e in edges)
        what = "what is subtracted" if subtracted else "the normalisation"
        return (
            f"{at(D, edge.node)}{nodes} {verb} treated as constant, but {what} depends on {D.wrt.name} too: "
            f"add the path through {nodes}, {terms}."
        )
    if slip == slips.TERM_OUT:
        kind = "product rule" if _op(D, edge.node) in PRODUCTS else "sum"
        kind = "quotient rule" if _op(D, edge.node) == "divide" else kind
        return f"{at(D, edge.node)}a term of the {kind} is left out, the path through {nodes}: add {terms}."
    return f"{at(D, edge.node)}the path through {nodes} is left out: add what comes over {terms}."


# -- links ------------------------------------------------------------------------------------------------------------


def links_left_out(D: Derivation) -> Iterator[Mutation]:
    """`∂b/∂a` replaced by δ, for every two nodes of one shape on a path; the shortest stretches first."""
    nodes = list(D.nodes)
    places = {index: place for place, index in enumerate(nodes)}
    pairs = [
        (a, b) for k, a in enumerate(nodes) for b in nodes[k + 1 :]
        if D.nodes[a].shape == D.nodes[b].shape and (a, b) != (D.wrt.index, D.of.index)
    ]  # fmt: skip
    if len(nodes) > 1 and D.nodes[nodes[0]].shape == D.nodes[nodes[-1]].shape:
        pairs.append((nodes[0], nodes[-1]))
    above = {index: ancestors(D, index) for index in nodes}
    after: dict[int, dict[int, Array]] = {}
    for a, b in sorted(pairs, key=lambda pair: (places[pair[1]] - places[pair[0]], pair))[:MAX_PAIRS]:
        if a not in above[b] or cancels(D, a):
            continue
        if a not in after:
            after[a] = D.forward({}, start=a, seed=D.down[a])
        steps = [index for index in nodes[places[a] + 1 : places[b] + 1] if a in above[index] and index in above[b]]
        delta = D.up[b] @ (D.down[a] - after[a][b])
        slip = _link_slip(D, a, steps)
        yield Mutation(
            slip, ("link", a, b), partial(_link_sentence, D, a, b, steps, slip), delta=delta,
            kin=("link", tuple(_op(D, index) for index in steps)),
        )  # fmt: skip


def cancels(D: Derivation, index: int) -> bool:
    """Whether all that arrives at a node adds up to nothing, as at the maximum that a softmax takes away."""
    if index == D.of.index:
        return False
    if index not in D.cancelled:
        D.cancelled[index] = _cancels(D, index)
    return D.cancelled[index]


def _cancels(D: Derivation, index: int) -> bool:
    sizes: Any = sum(np.abs(D.up[edge.node]) @ np.abs(D.locals[edge]) for edge in D.uses[index] if edge.node in D.up)
    return bool(np.any(sizes) and np.all(np.abs(D.up[index]) <= CANCELLED * sizes))


def quieter(D: Derivation) -> Derivation | None:
    """The derivation in which that is a constant of which all adds up to nothing; None where there is no such thing.

    Nobody differentiates the maximum that is subtracted in a softmax: whoever then leaves out another path has left it
    out as well, and there the maximum no longer cancels.
    """
    nothing = {index for index in D.nodes if index != D.wrt.index and cancels(D, index)}
    if not nothing:
        return None
    found = Derivation(D.of, D.wrt, D.owners, constant=nothing)
    if D.of.index not in found.down:
        return None
    scale = float(np.abs(D.truth).max(initial=0.0))
    return found if np.allclose(found.truth, D.truth, rtol=1e-9, atol=1e-12 * scale) else None


def passes_nothing(D: Derivation, edge: Edge) -> bool:
    """Whether what passes over an edge adds up to nothing but rounding, of which anything is a multiple."""
    sizes = np.abs(D.up[edge.node]) @ np.abs(D.locals[edge]) @ np.abs(D.down[edge.parent])
    return cancels(D, edge.node) or bool(np.all(np.abs(D.contribution(edge)) <= CANCELLED * sizes))


def _link_slip(D: Derivation, a: int, steps: list[int]) -> str:
    last = steps[-1]
    edges = [edge for edge in D.into[last] if edge.parent == a]
    if len(steps) == 1 and len(edges) == 1:
        edge, op = edges[0], D.nodes[last].op
        if np.array_equal(D.locals[edge], -np.eye(len(D.locals[edge]))):
            return slips.SIGN
        if len(D.into[last]) == 1 and op is not None and op.family == "elementwise":
            return slips.FACTOR_OUT if _has_factor(D, edge) else slips.CONSTANT
    transposed = len(steps) <= MAX_SYMMETRISING and any("transpose" in _op(D, step) for step in steps)
    if transposed and _is_mirrored(D, last, between(D, a, last)):
        return slips.NO_SYMMETRY
    return slips.LINK_OUT


def between(D: Derivation, a: int, b: int) -> Array:
    """`∂b/∂a`."""
    return D.forward({}, start=a, seed=np.eye(prod(D.nodes[a].shape)))[b]


def _is_mirrored(D: Derivation, index: int, local: Array) -> bool:
    """Whether a node is a symmetric matrix whatever it was made of."""
    shape = D.nodes[index].shape
    if len(shape) != 2 or shape[0] != shape[1]:
        return False
    return np.allclose(local, local[np.arange(len(local)).reshape(shape).T.reshape(-1)])


def _has_factor(D: Derivation, edge: Edge) -> bool:
    """Whether the local Jacobian is more than a number times δ."""
    return any(term.factors for term in D.nodes[edge.node].local(edge.operand).terms)


def _link_sentence(D: Derivation, a: int, b: int, steps: list[int], slip: str) -> str:
    if slip in (slips.SIGN, slips.FACTOR_OUT, slips.CONSTANT):
        edge = next(edge for edge in D.into[b] if edge.parent == a)
        if slip != slips.SIGN:
            return f"{at(D, b)}its derivative is left out: multiply by {told(D, edge)}."
        minus = "its minus" if len(D.nodes[b].operands) == 1 else f"the minus in front of {D.name(a)}"
        return f"{at(D, b)}{minus} is left out: multiply by -1, {told(D, edge)}."
    names = ", ".join(node_text(D, step) for step in steps)
    if slip == slips.NO_SYMMETRY:
        local = between(D, a, b)
        if not np.allclose(local @ local, local) or not np.allclose(local, local.T):
            return (
                f"{D.name(b)} is symmetric whatever {D.name(a)} is, which is left out ({names}): an entry of "
                f"{D.name(b)} and its mirror image move together; multiply by ∂{D.name(b)}/∂{D.name(a)}."
            )
        return (
            f"{D.name(b)} is the symmetric part of {D.name(a)}, which is left out: take (∂/∂{D.name(b)} + "
            f"(∂/∂{D.name(b)})ᵀ)/2."
        )
    return f"The chain from {D.name(b)} to {D.name(a)} is left out ({names}): multiply by ∂{D.name(b)}/∂{D.name(a)}."


def diagonals_only(D: Derivation) -> Iterator[Mutation]:
    """Of `∂b/∂a` on the way only the diagonal, for two nodes of one shape."""
    nodes = list(D.nodes)
    if len(nodes) > 60 or max(prod(node.shape) for node in D.nodes.values()) > MAX_SIZE:
        return
    for k, a in enumerate(nodes):
        between = D.forward({}, start=a, seed=np.eye(prod(D.nodes[a].shape)))
        for b in nodes[k + 1 :]:
            local = between.get(b)
            if local is None or D.nodes[a].shape != D.nodes[b].shape or (a, b) == (D.wrt.index, D.of.index):
                continue
            diagonal = np.diag(np.diag(local))
            if np.array_equal(diagonal, local) or not diagonal.any():
                continue
            mixed = np.count_nonzero(local) > len(local) and any(len(D.into[i]) > 1 for i in nodes if a < i <= b)
            slip = slips.TERM_OUT if mixed else slips.DELTA_IN
            yield Mutation(
                slip, ("diagonal", a, b),
                partial(_diagonal_sentence, D, a, b),
                delta=D.up[b] @ (diagonal - local) @ D.down[a], kin=("diagonal", _op(D, b)),
            )  # fmt: skip


def _diagonal_sentence(D: Derivation, a: int, b: int) -> str:
    return (
        f"Of ∂{D.name(b)}/∂{D.name(a)} ({node_text(D, b)}) only the diagonal is taken: the entries off the diagonal "
        "are left out; add them."
    )


def wrong_sign(D: Derivation, edge: Edge) -> Callable[[], str]:
    """What is said of a term with the wrong sign."""
    edge = through(D, edge)
    return say(D, edge, f"the term that comes through {D.name(edge.parent)} has the wrong sign: turn it")


def terms_turned(D: Derivation) -> Iterator[Mutation]:
    """One path's contribution with the wrong sign, or with the axes of the input exchanged."""
    merges = [edge for edge in D.edges if len(D.into[edge.node]) > 1 or len(D.uses[edge.parent]) > 1]
    out, into = D.shape
    for edge in merges:
        found = D.contribution(edge)
        if D.is_whole and len(into) >= 2 and into[-1] == into[-2] > 1:
            swapped = np.swapaxes(found.reshape(out + into), -1, -2).reshape(found.shape)
            yield Mutation(
                slips.AXES, ("turned", edge),
                say(D, edge, f"the term through {D.name(edge.parent)} is transposed: exchange {D.wrt.name}'s two axes"),
                delta=swapped - found, kin=("turned",),
            )  # fmt: skip
    for edge in merges:
        yield Mutation(
            slips.SIGN, ("sign", edge), wrong_sign(D, edge),
            changes={edge: -D.locals[edge]}, kin=("sign", _op(D, edge.node)),
        )  # fmt: skip
