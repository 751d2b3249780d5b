"""Slips in one local Jacobian: a factor left out or used twice, the wrong point, a transpose, a constant."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from jacobian.checking import slips
from jacobian.checking.cuts import MAX_SIZE, convolves, node_text, say, without_places
from jacobian.checking.derivation import Derivation, Edge, matrix
from jacobian.checking.slips import Mutation
from jacobian.errors import JacobianError
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.notation import factor_text, letters_of
from jacobian.kernel.term import Factor, Operator, Term
from jacobian.ops.registry import REGISTRY, Op, Point
from jacobian.tracing.graph import Node
from jacobian.tracing.stripped import strip_all

Array = np.ndarray[Any, np.dtype[Any]]

MAX_CANDIDATES = 24
MAX_TOGETHER = 10
LOOK_UPS = frozenset({"take", "getitem", "embedding", "take_along_axis"})
POOLING = {"divisor_override": None, "count_include_pad": True}
"""What a pooling by means needs to be told besides what one by maxima is."""
FAILURES = (JacobianError, ArithmeticError, ValueError, TypeError, IndexError, np.linalg.LinAlgError)


def mutation(
    D: Derivation, slip: str, edge: Edge, detail: Hashable, local: Array, sentence: Callable[[], str]
) -> Mutation:
    """Another local Jacobian at one edge; `detail` tells it from others there."""
    op = D.nodes[edge.node].op
    name = "" if op is None else op.name
    return Mutation(slip, (detail, edge), sentence, changes={edge: local}, kin=(slip, name, edge.operand, detail))


def local_at(op: Op, point: Point, operand: int) -> Array | None:
    """The rule at another point; None where it cannot be evaluated."""
    try:
        found = matrix(op.local(point, operand))
    except FAILURES:
        return None
    return found if np.isfinite(found).all() else None


def point_of(D: Derivation, edge: Edge) -> Point:
    """What the rule of an edge's node is evaluated at, in plain arrays."""
    point = D.nodes[edge.node].point
    return point._replace(y=strip_all(point.y), x=tuple(strip_all(x) for x in point.x))


# -- constants --------------------------------------------------------------------------------------------------------


def constants(D: Derivation, edge: Edge) -> Iterator[Mutation]:
    """A number of one node left out or used twice: the 1/n of a mean, a coefficient, the 2 of a square."""
    node = D.nodes[edge.node]
    local, name = D.locals[edge], node.op.name if node.op else ""
    if name == "mean":
        count = float(np.size(D.nodes[edge.parent].value)) / max(float(np.size(node.value)), 1.0)
        yield from _scaled(D, edge, count, f"1/{count:g}", slips.MEAN_OUT, slips.MEAN_TWICE)
    elif (count := _is_mean(local)) > 1:
        yield from _scaled(D, edge, count, f"1/{count:g}", slips.MEAN_OUT, slips.MEAN_TWICE)
    constants = [x for k, x in enumerate(node.operands) if k not in dict(node.parents)]
    numbers = [x for x in constants if np.ndim(x) == 0 and isinstance(x, int | float)]
    for number in numbers:
        if number in (0, 1, -1):
            continue
        if name in ("multiply", "divide"):
            count = 1 / number if name == "multiply" else number
            out, twice = _mean_or_constant(D, edge, count)
            yield from _scaled(D, edge, count, f"{number:g}" if name == "multiply" else f"1/{number:g}", out, twice)
            for length in _lengths(D.nodes[edge.parent]):  # of a 1/(2n) the 1/n alone
                if length > 1 and count > length and abs(count / length - round(count / length)) < 1e-9:
                    yield from _scaled(D, edge, length, f"1/{length:g}", slips.MEAN_OUT, slips.MEAN_TWICE)
        elif name == "power":
            yield from _of_power(D, edge, number)
    if name == "square":
        yield from _scaled(D, edge, 0.5, "2", slips.CONSTANT, slips.CONSTANT)
    if name == "sqrt":
        yield from _scaled(D, edge, 2.0, "1/2", slips.CONSTANT, slips.CONSTANT)


def _of_power(D: Derivation, edge: Edge, number: float) -> Iterator[Mutation]:
    """The factor that a power brings down left out, or one off; the exponent left as it is."""
    node, local = D.nodes[edge.node], D.locals[edge]
    if edge.operand == 1:  # by the exponent, of a number to that power
        if number > 0:
            yield from _scaled(D, edge, 1 / np.log(number), f"log({number:g})", slips.CONSTANT, slips.CONSTANT)
        return
    yield from _scaled(D, edge, 1 / number, f"{number:g}", slips.CONSTANT, slips.CONSTANT)
    for other in {number - 1, number + 1} - {0, 1}:  # what 1 is brought down by is left out
        yield mutation(
            D, slips.POWER, edge, ("brought down", other), local * (other / number),
            say(D, edge, f"{other:g} is brought down in front, not the exponent {number:g}: take that"),
        )  # fmt: skip
    power = local * np.reshape(np.broadcast_to(strip_all(node.operands[0]), node.shape), (-1, 1))
    yield mutation(
        D, slips.POWER, edge, "power", power,
        say(D, edge, "the exponent does not go down by 1: take one off"),
    )  # fmt: skip


def _mean_or_constant(D: Derivation, edge: Edge, count: float) -> tuple[str, str]:
    """Whether a number is the 1/n of a mean that is written out: n is the length of what was summed just before."""
    lengths = _lengths(D.nodes[edge.parent])
    is_mean = count > 1 and any(abs(count - length) < 1e-9 for length in lengths)
    return (slips.MEAN_OUT, slips.MEAN_TWICE) if is_mean else (slips.CONSTANT, slips.CONSTANT)


def _lengths(summed: Node) -> set[float]:
    """Over how many entries a node sums."""
    if summed.op is not None and summed.op.name == "sum":
        return {np.size(summed.operands[0]) / max(np.size(summed.value), 1)}
    if summed.op is not None and summed.op.name in ("matmul", "dot"):
        return {float(np.shape(summed.operands[0])[-1])}
    return set()


def _is_mean(local: Array) -> float:
    """Over how many entries every row takes the mean: equal entries that sum to 1; 0 where it is none."""
    rows = np.count_nonzero(local, axis=1)
    if not local.size or rows.min() < 2 or rows.min() != rows.max():
        return 0.0
    count = float(rows[0])
    return count if np.allclose(local[local != 0], 1 / count, rtol=1e-12) else 0.0


def _scaled(D: Derivation, edge: Edge, by: float, text: str, out: str, twice: str) -> Iterator[Mutation]:
    local = D.locals[edge]
    yield mutation(
        D, out, edge, ("scale", out, "out"), local * by,
        say(D, edge, f"the factor {text} is left out: multiply by it"),
    )  # fmt: skip
    yield mutation(
        D, twice, edge, ("scale", twice, "twice"), local / by,
        say(D, edge, f"the factor {text} is applied twice: once is enough"),
    )  # fmt: skip


# -- factors ----------------------------------------------------------------------------------------------------------


def factors(D: Derivation, edge: Edge) -> Iterator[Mutation]:
    """Each array in the terms of a local Jacobian left out, used twice, or transposed."""
    node = D.nodes[edge.node]
    J, is_product = node.local(edge.operand), node.op is not None and node.op.family == "multilinear"
    for nth, term in enumerate(J.terms):
        for place, factor in enumerate(term.factors):
            array = strip_all(factor.array)
            if isinstance(array, Operator) or not isinstance(array, np.ndarray):
                continue
            text = factor_text(factor.text, term.pattern.factors[place].forms, letters_of(term), place + 1)
            others = [
                (slips.FACTOR_OUT, "", np.ones_like(array), "is left out: multiply by it"),
                (slips.FACTOR_TWICE, "", array * array, "is used twice: once is enough"),
            ]
            if is_square(array) and not is_product:  # of a product it is the link that is left out
                eye = np.broadcast_to(np.eye(array.shape[-1]), array.shape)
                others.append((slips.FACTOR_OUT, "eye", eye, "is left out: multiply by it"))
            for slip, how, other, told_as in others:
                local = matrix(_with(J, nth, place, other))
                yield mutation(
                    D, slip, edge, (slip, nth, place, how), local,
                    say(D, edge, f"the factor {text} {told_as}"),
                )  # fmt: skip
    yield from _common_factors(D, edge, J)
    local = D.locals[edge]
    if local.shape[0] == local.shape[1] and 1 < len(local) <= MAX_SIZE and J.structure not in ("diagonal", "identity"):
        yield mutation(
            D, slips.FACTOR_TWICE, edge, "twice", local @ local,
            say(D, edge, "the link is multiplied in twice: once is enough"),
        )  # fmt: skip


def _common_factors(D: Derivation, edge: Edge, J: Jacobian) -> Iterator[Mutation]:
    """What stands in every term at the same labels, such as `y[i]` in `δ y - y y`, left out of all of them."""
    if len(J.terms) < 2:
        return
    places = [_placed(term) for term in J.terms]
    for key in [key for key in places[0] if all(key in other for other in places[1:])]:
        turned = J
        for nth, found in enumerate(places):
            turned = _with(turned, nth, found[key], np.ones_like(strip_all(J.terms[nth].factors[found[key]].array)))
        term, place = J.terms[0], places[0][key]
        text = factor_text(term.factors[place].text, term.pattern.factors[place].forms, letters_of(term), place + 1)
        yield mutation(
            D, slips.FACTOR_OUT, edge, ("common", key[1]), matrix(turned),
            say(D, edge, f"the factor {text} of all terms is left out: multiply by it"),
        )  # fmt: skip


def _placed(term: Term) -> dict[tuple[int, Hashable], int]:
    """The arrays of a term and at which axes of output and input they are read: which factor that is."""
    found: dict[tuple[int, Hashable], int] = {}
    axes = [*(("out", k, form) for k, form in enumerate(term.pattern.out))]
    axes += [("in", k, form) for k, form in enumerate(term.pattern.into)]
    for place, factor in enumerate(term.factors):
        forms = term.pattern.factors[place].forms
        read = tuple(next(((side, k) for side, k, own in axes if own == form), None) for form in forms)
        if isinstance(strip_all(factor.array), np.ndarray) and None not in read:
            found[id(factor.array), read] = place
    return found


def spread_choices(D: Derivation, edge: Edge) -> Iterator[Mutation]:
    """A maximum taken for a sum: every entry gets what only the chosen one does."""
    op, params = D.nodes[edge.node].op, D.nodes[edge.node].params
    if op is None or len(D.nodes[edge.node].operands) > 1:
        return
    if op.name.startswith("max_pool"):  # the windows are those of the mean
        mean = REGISTRY[f"avg{op.name.removeprefix('max')}"]
        point = point_of(D, edge)
        own = local_at(mean, point._replace(params={**POOLING, **point.params}), 0)
        if own is not None:
            yield _all_chosen(D, edge, np.asarray(own != 0, float))
        return
    if op.name not in ("max", "min"):
        return
    into, out = D.nodes[edge.parent].shape, D.nodes[edge.node].shape
    try:
        kept = np.sum(np.empty(into), axis=params.get("axis"), keepdims=True).shape
    except FAILURES:
        return
    rows = np.broadcast_to(np.arange(int(np.prod(out, dtype=int))).reshape(kept), into).reshape(-1)
    local = np.asarray(rows == np.arange(int(np.prod(out, dtype=int)))[:, None], float)
    yield _all_chosen(D, edge, local)


def _all_chosen(D: Derivation, edge: Edge, local: Array) -> Mutation:
    told_as = say(D, edge, "the choice is left out: only the entry that is chosen gets anything, multiply by 0 or 1")
    return mutation(D, slips.FACTOR_OUT, edge, "all chosen", local, told_as)


def _with(J: Jacobian, nth: int, place: int, array: Array) -> Jacobian:
    """A Jacobian with one factor of one term exchanged."""
    terms = list(J.terms)
    found = list(terms[nth].factors)
    found[place] = Factor(array, found[place].label)
    terms[nth] = terms[nth].with_factors(tuple(found))
    return Jacobian(terms, J.out_shape, J.in_shape, J.dtype, J.names)


def transposes(D: Derivation, edge: Edge) -> Iterator[Mutation]:
    """A square matrix where its transpose belongs, a product from the other side, a kernel the wrong way round."""
    node = D.nodes[edge.node]
    J, point = node.local(edge.operand), point_of(D, edge)
    assert node.op is not None
    for nth, term in enumerate(J.terms):
        square = [k for k, f in enumerate(term.factors) if is_square(strip_all(f.array))]
        for places in [[k] for k in square] + ([square] if len(square) > 1 else []):
            turned = J
            for place in places:
                turned = _with(turned, nth, place, np.swapaxes(strip_all(term.factors[place].array), -1, -2))
            names = " and ".join(dict.fromkeys(_bare(term, place) for place in places))
            yield mutation(
                D, slips.TRANSPOSE, edge, ("transpose", nth, tuple(places)), matrix(turned),
                say(D, edge, f"{names} stands where its transpose belongs (W instead of Wᵀ): exchange its two labels"),
            )  # fmt: skip
    if (
        node.op.name in ("matmul", "dot")
        and len(point.x) == 2
        and np.shape(point.x[0]) == np.shape(point.x[1])
        and np.ndim(point.x[0]) >= 2
    ):
        swapped = point._replace(x=point.x[::-1], names=point.names[::-1])
        local = local_at(node.op, swapped, 1 - edge.operand)
        if local is not None:
            other = point.names[1 - edge.operand]
            yield mutation(
                D, slips.LINK_ORDER, edge, "side", local,
                say(D, edge, f"{other} stands on the wrong side: matrices do not commute"),
            )  # fmt: skip
    local = D.locals[edge]
    if local.shape[0] == local.shape[1] and not np.array_equal(local, local.T):
        yield mutation(
            D, slips.AXES, edge, "whole", local.T,
            say(D, edge, "output and input are exchanged: transpose it"),
        )  # fmt: skip
    yield from _flipped(D, edge, J)


def counted_once(D: Derivation, edge: Edge) -> Iterator[Mutation]:
    """Entries that are looked up several times, of which only one look-up counts: `dE[ids] = G`."""
    op, local = D.nodes[edge.node].op, D.locals[edge]
    if op is None or op.name not in LOOK_UPS or not np.any(np.count_nonzero(local, axis=0) > 1):
        return
    for which, rows in (("last", local[::-1]), ("first", local)):
        kept = rows * (np.cumsum(rows != 0, axis=0) == 1)
        yield mutation(
            D, slips.TERM_OUT, edge, ("once", which), kept[::-1] if which == "last" else kept,
            say(D, edge, f"entries that are looked up several times are counted once, the {which} time: add up what "
                "comes from all, as np.add.at does"),
        )  # fmt: skip


def transposed_twice(D: Derivation) -> Iterator[Mutation]:
    """A square matrix transposed at two nodes, as in `A G Aᵀ` where `Aᵀ G A` belongs."""
    single = [m for edge in reversed(D.edges) for m in transposes(D, edge) if m.slip == slips.TRANSPOSE]
    if len(single) > MAX_TOGETHER:
        return
    for one, other in combinations(single, 2):
        assert one.changes is not None
        assert other.changes is not None
        if not set(one.changes) & set(other.changes):
            yield Mutation(
                slips.TRANSPOSE, ("twice", one.key, other.key), partial(_both_sentence, D, one, other),
                changes={**one.changes, **other.changes},
            )  # fmt: skip


def _both_sentence(D: Derivation, one: Mutation, other: Mutation) -> str:
    where = " and ".join(node_text(D, edge.node) for edge in other.changes or ())
    return f"{one.sentence()[:-1]}; the same slip is made at {where}."


def _flipped(D: Derivation, edge: Edge, J: Jacobian) -> Iterator[Mutation]:
    if not convolves(D):
        return
    for nth, term in enumerate(J.terms):
        for place, factor in enumerate(term.factors):
            array = strip_all(factor.array)
            if not isinstance(array, np.ndarray) or array.ndim == 0:
                continue
            axes = tuple(range(max(array.ndim - 2, 0), array.ndim))
            yield mutation(
                D, slips.FLIPPED, edge, ("flip", nth, place), matrix(_with(J, nth, place, np.flip(array, axes))),
                say(D, edge, f"{_bare(term, place)} is read backwards: convolution and correlation are exchanged"),
            )  # fmt: skip


def is_square(array: Any) -> bool:
    """Whether an array is a square matrix, or a stack of them."""
    return isinstance(array, np.ndarray) and array.ndim >= 2 and array.shape[-1] == array.shape[-2] > 1


def _bare(term: Term, place: int) -> str:
    return re.sub(r"\[@.*", "", term.factors[place].text) or f"factor {place + 1}"


# -- the point --------------------------------------------------------------------------------------------------------


def wrong_points(D: Derivation, edge: Edge) -> Iterator[Mutation]:
    """The derivative taken at another value of the same shape: at y instead of x, before the activation or after."""
    node = D.nodes[edge.node]
    op, point = node.op, point_of(D, edge)
    assert op is not None
    if op.family == "elementwise" and len(node.parents) == 1:
        yield from _elementwise_points(D, edge, op, point)
    yield from _factor_points(D, edge)
    for position, x in enumerate(point.x):
        if position == edge.operand or not isinstance(x, np.ndarray) or x.ndim == 0:
            continue
        for name, value in _candidates(D, edge, x, point.names[position]):
            replaced = (*point.x[:position], value, *point.x[position + 1 :])
            local = local_at(op, point._replace(x=replaced), edge.operand)
            if local is not None:
                yield mutation(
                    D, slips.WRONG_POINT, edge, ("operand", position, name), local,
                    say(D, edge, f"{name} stands where {point.names[position]} belongs: the point is the wrong one"),
                )  # fmt: skip


def _factor_points(D: Derivation, edge: Edge) -> Iterator[Mutation]:
    """Where a rule reads one array, such as the inverse, another of the same shape, such as the matrix itself."""
    J, op = D.nodes[edge.node].local(edge.operand), D.nodes[edge.node].op
    fewest = 2 if op is None or op.family in ("elementwise", "multilinear") else 1  # of these it is tried as an operand
    arrays = {id(factor.array): factor for term in J.terms for factor in term.factors}
    for key, factor in arrays.items():
        array = strip_all(factor.array)
        if not isinstance(array, np.ndarray) or array.ndim < fewest:
            continue
        own = without_places(factor.text)
        for name, value in _candidates(D, edge, array, own):
            turned = J
            for nth, term in enumerate(J.terms):
                for place, other in enumerate(term.factors):
                    if id(other.array) == key:
                        turned = _with(turned, nth, place, value)
            yield mutation(
                D, slips.WRONG_POINT, edge, ("factor", own, name), matrix(turned),
                say(D, edge, f"{name} stands where {own} belongs: the point is the wrong one"),
            )  # fmt: skip


def _elementwise_points(D: Derivation, edge: Edge, op: Op, point: Point) -> Iterator[Mutation]:
    k = edge.operand
    x, y = point.x[k], point.y

    def told_as(name: str, instead_of: str) -> Callable[[], str]:
        return say(D, edge, f"the derivative is taken at the wrong point, at {name} instead of {instead_of}")

    if np.shape(x) == np.shape(y):
        local = local_at(op, point._replace(y=x), k)
        if local is not None:
            yield mutation(D, slips.WRONG_POINT, edge, "x for y", local, told_as(point.names[k], point.out_name))
        local = local_at(op, point._replace(x=(*point.x[:k], y, *point.x[k + 1 :])), k)
        if local is not None:
            yield mutation(D, slips.WRONG_POINT, edge, "y for x", local, told_as(point.out_name, point.names[k]))
    for name, value in _candidates(D, edge, x, point.names[k]):
        if np.shape(value) == np.shape(y):
            local = local_at(op, point._replace(y=value), k)
            if local is not None:
                yield mutation(D, slips.WRONG_POINT, edge, ("output", name), local, told_as(name, point.out_name))
        operands = (*point.x[:k], value, *point.x[k + 1 :])
        try:
            moved = point._replace(x=operands, y=np.asarray(op.compute(operands, point.params)))
        except FAILURES:
            continue
        local = local_at(op, moved, k)
        if local is not None:
            yield mutation(D, slips.WRONG_POINT, edge, ("at", name), local, told_as(name, point.names[k]))


def _candidates(D: Derivation, edge: Edge, x: Any, own: str) -> Iterator[tuple[str, Array]]:
    """Values of the same shape, from the neighbourhood of the node first."""
    shape, seen = np.shape(x), [x]
    nodes = sorted(D.of.trace.nodes, key=lambda node: (abs(node.index - edge.node), node.index))
    values = [(node.name, strip_all(node.value)) for node in nodes]
    for node in nodes:
        values += [(name, strip_all(value)) for name, value in zip(node.operand_names, node.operands, strict=True)]
    for name, value in values:
        if len(seen) > MAX_CANDIDATES:
            return
        if not isinstance(value, np.ndarray | np.floating) or np.shape(value) != shape or name == own:
            continue
        if not any(value is known or np.array_equal(value, known) for known in seen):
            seen.append(value)
            yield name, np.asarray(value)


def spread_deltas(D: Derivation, edge: Edge) -> Iterator[Mutation]:
    """An elementwise op taken for a dense one: its derivative at every entry of a row."""
    op, local = D.nodes[edge.node].op, D.locals[edge]
    if op is None or op.family != "elementwise" or local.shape[0] != local.shape[1] or len(local) < 2:
        return
    diagonal = np.diag(local)
    yield mutation(
        D, slips.DELTA_OUT, edge, "spread", np.broadcast_to(diagonal[:, None], local.shape).copy(),
        say(D, edge, "δ is left out: it works entry by entry"),
    )  # fmt: skip
