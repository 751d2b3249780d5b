"""Claims that are the truth times a number, or differ from it by one path times a number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobian.checking import slips
from jacobian.checking.cuts import at, passes_nothing, say, through, told, wrong_sign
from jacobian.checking.derivation import Derivation, Edge, Run
from jacobian.checking.slips import Mutation
from jacobian.checking.tolerance import slack_of
from jacobian.checking.whole import Axes
from jacobian.kernel.access import indices
from jacobian.tracing.graph import Node
from jacobian.tracing.stripped import strip_all

if TYPE_CHECKING:
    from jacobian.checking.diagnosis import Suspect

Array = np.ndarray[Any, np.dtype[Any]]

MAX_MERGES = 40

Found = tuple[str, str, int]
"""A slip, its sentence, and in which layout."""


def ratio(claim: Array, value: Array, beside: Array | float = 0.0) -> float | None:
    """The number c with `claim = c · value`, if there is one, entry by entry.

    What the claim was left from when a part was taken away is `beside` it: its rounding is in every entry.
    """
    norm = float(np.vdot(value, value))
    if not norm:
        return None
    c = float(np.vdot(value, claim)) / norm
    slack = 1e-12 * np.abs(beside) + slack_of(c * np.atleast_1d(value)).reshape(np.shape(value))
    return c if c and bool(np.all(np.abs(claim - c * value) <= 1e-7 * np.abs(c * value) + slack)) else None


def number(value: float) -> str:
    """A number as a person would write it; of one that is nearly 1 enough digits to see that it is not."""
    fraction = Fraction(value).limit_denominator(64)
    off = abs(abs(value) - 1)
    if abs(float(fraction) - value) < min(1e-7 * abs(value), off or 1.0):
        return str(fraction)
    return next(text for digits in range(6, 18) if abs(float(text := f"{value:.{digits}g}") - value) <= 0.1 * off)


def _ratios(suspect: Suspect) -> Iterator[tuple[int, list[float]]]:
    """For every layout the ratio of claim and truth at every point; what is 1 to the tolerance explains nothing."""
    for layout in range(len(suspect.claims[0])):
        found = [ratio(claims[layout], true) for claims, true in zip(suspect.claims, suspect.truths, strict=True)]
        if all(c is not None and abs(c - 1) > suspect.nearness[0][layout].tolerance.rtol for c in found):
            yield layout, [c for c in found if c is not None]


def is_nice(value: float) -> bool:
    """Whether a number is a simple fraction."""
    fraction = Fraction(value).limit_denominator(24)
    return abs(fraction.numerator) <= 64 and abs(float(fraction) - value) < 1e-7 * abs(value)


def constant_ratio(D: Derivation, suspect: Suspect) -> Iterator[Mutation]:
    """The truth times a number that is the same everywhere; at one point only a simple number is believed to be."""
    for _, found in _ratios(suspect):
        c = found[0]
        if len(found) > 1 and max(found) - min(found) > 1e-6 * abs(c):
            continue
        if len(found) == 1 and not is_nice(c):
            continue
        yield _constant(suspect, c)


def _constant(suspect: Suspect, c: float) -> Mutation:
    quotient = suspect.axes.quotient
    second = suspect.second_order and any(abs(c - k) < 1e-6 for k in (2.0, 0.5))
    if second:
        told_as = (
            "the factor 2 of the second order is left out" if c < 1 else "a factor 2 of the second order is too much"
        )
    elif c == 0:
        told_as = "everything is missing"
    else:
        told_as = f"the constant factor {number(1 / c)} is missing"
    slip = slips.SECOND_ORDER if second else slips.CONSTANT
    return Mutation(
        slip, ("ratio",), lambda: f"The claim is {number(c)} times {quotient}: {told_as}; multiply by {number(1 / c)}.",
        whole=lambda T: c * T,
    )  # fmt: skip


def second_order(D: Derivation, suspect: Suspect) -> Iterator[Mutation]:
    """Twice or half a second derivative."""
    for _, found in _ratios(suspect):
        if (
            suspect.second_order
            and all(abs(c - found[0]) < 1e-6 for c in found)
            and abs(abs(np.log2(abs(found[0]))) - 1) < 1e-6
        ):
            yield _constant(suspect, found[0])


def any_ratio(suspect: Suspect) -> Found | None:
    """The truth times a number that depends on the point: a scalar of the derivation left out or used twice."""
    for layout, found in _ratios(suspect):
        named = _scalar_named(suspect, found)
        if named is not None:
            slip, text = named
            return slip, f"The factor {text} {_TOLD[slip]}, in {suspect.axes.quotient}.", layout
        c = found[0]
        if len(found) == 1:
            return slips.CONSTANT, _constant(suspect, c).sentence(), layout
        if suspect.right_here:  # then a number stands for what depends on the inputs, and no factor is missing
            continue
        text = (
            f"The claim is {number(c)} times {suspect.axes.quotient} at one point and {number(found[1])} times at "
            f"another: a scalar factor that depends on the inputs is left out, {number(1 / c)} at the first."
        )
        return slips.FACTOR_OUT, text, layout
    return None


_TOLD = {slips.FACTOR_OUT: "is left out: multiply by it", slips.FACTOR_TWICE: "is used twice: once is enough"}


def _scalar_named(suspect: Suspect, found: list[float]) -> tuple[str, str] | None:
    """Which scalar of the graph, in which power, the ratio is at every point."""
    first = suspect.D.of.trace.nodes
    for place, node in enumerate(first):
        if np.size(node.value) != 1:
            continue
        values = []
        for nth in range(len(suspect.runs)):
            D = suspect.derivation(nth)
            nodes = [] if D is None else D.of.trace.nodes
            if place < len(nodes) and np.size(nodes[place].value) == 1:
                values.append(float(np.reshape(strip_all(nodes[place].value), ())))
        if len(values) != len(found) or not all(values) or np.allclose(values, 1.0, rtol=1e-6, atol=0):
            continue  # it is not known, or a factor that is 1 is no factor
        inverse = _divides(node)
        for power in (1, 2, 3):
            text = (f"1/{node.name}" if inverse else node.name) + ("" if power == 1 else f"**{power}")
            exponent = -power if inverse else power
            if all(abs(c * v**exponent - 1) <= 1e-6 for c, v in zip(found, values, strict=True)):
                return slips.FACTOR_OUT, text
            if all(abs(c - v**exponent) <= 1e-6 * abs(c) for c, v in zip(found, values, strict=True)):
                return slips.FACTOR_TWICE, text
    return None


def _divides(node: Node) -> bool:
    """Whether a derivative holds 1/v rather than v: of a root by itself, and where something is divided by it."""
    if node.op is not None and node.op.name in ("sqrt", "vector_norm", "cbrt"):
        return True
    users = [other for other in node.trace.nodes if any(parent is node for _, parent in other.parents)]
    return any(user.op is not None and user.op.name == "divide" and user.parents[-1][1] is node for user in users)


def named_factors(D: Derivation, suspect: Suspect) -> Iterator[Mutation]:
    """The whole times or by an array of the derivation that has the output's axes, or the input's."""
    axes = suspect.axes
    outs, rank = len(axes.out), len(axes.shape)
    for node in D.of.trace.nodes:
        value = np.asarray(strip_all(node.value))
        if value.dtype.kind != "f" or not value.ndim or not value.all():
            continue
        for shape, wide in ((axes.out, value.reshape(*value.shape, *[1] * (rank - outs))), (axes.into, value)):
            if node.shape != shape:
                continue
            for text, factor in ((node.name, 1 / wide), (f"1/{node.name}", wide)):
                yield Mutation(
                    slips.FACTOR_OUT, ("named", text, shape is axes.out),
                    partial(_named_sentence, axes, text), whole=axes.lifted(partial(np.multiply, factor)),
                )  # fmt: skip


def _named_sentence(axes: Axes, text: str) -> str:
    return f"The factor {text} is left out, entry by entry, in {axes.quotient}: multiply by it."


# -- one path ---------------------------------------------------------------------------------------------------------


def edge_ratio(suspect: Suspect) -> Found | None:
    """What passes over one edge times a number."""
    for layout, claim in enumerate(suspect.claims[0]):
        D = suspect.D
        for edge in D.edges:
            if passes_nothing(D, edge):
                continue
            c = ratio(D.part(claim) - D.truth, D.contribution(edge), D.truth)
            if c is None or abs(c + 1) < 1e-6 or abs(c) <= suspect.nearness[0][layout].tolerance.rtol:
                continue
            if not _everywhere(suspect, edge, layout, c):
                named = _edge_times_scalar(suspect, edge, layout)
                if named is not None:
                    slip, factor = named
                    text = f"in the term through {D.name(edge.parent)} the factor {factor} {_TOLD[slip]}"
                    return slip, say(D, edge, text)(), layout
                continue
            if abs(c + 2) < 1e-6:
                return slips.SIGN, wrong_sign(D, edge)(), layout
            edge = through(D, edge)
            text = f"the term through {D.name(edge.parent)} is taken {number(1 + c)} times: take it once"
            return slips.CONSTANT, say(D, edge, text)(), layout
    return None


def _edge_times_scalar(suspect: Suspect, edge: Edge, layout: int) -> tuple[str, str] | None:
    """Which scalar is left out of what passes over one edge, or is too much there."""
    found: list[float] = []
    for place in range(len(suspect.runs)):
        D = suspect.derivation(place)
        if D is None or edge not in D.locals:
            return None
        c = ratio(D.part(suspect.claims[place][layout]) - D.truth, D.contribution(edge), D.truth)
        if c is None:
            return None
        found.append(1 + c)
    return _scalar_named(suspect, found)


def _everywhere(suspect: Suspect, edge: Edge, layout: int, c: float) -> bool:
    if len(suspect.runs) == 1:
        return is_nice(c)

    def right(place: int, D: Derivation) -> bool:
        if edge not in D.locals:
            return False
        other = ratio(D.part(suspect.claims[place][layout]) - D.truth, D.contribution(edge), D.truth)
        return other is not None and abs(other - c) <= 1e-6 * abs(c)

    return suspect.at_all_points(right)


def halved(D: Derivation, suspect: Suspect) -> Iterator[Mutation]:
    """Of two equal terms of a second derivative one: the 2 of `2 g' + x g''` is left out."""
    merges = [edge for edge in D.edges if len(D.into[edge.node]) > 1 or len(D.uses[edge.parent]) > 1]
    if not suspect.second_order or len(merges) > MAX_MERGES:
        return
    found = {edge: D.contribution(edge) for edge in merges}
    scale = float(np.abs(D.truth).max(initial=0.0))
    for one, other in combinations(merges, 2):
        same = np.allclose(found[one], found[other], rtol=1e-9, atol=1e-12 * scale)
        if same and one.parent == other.parent and found[one].any() and not np.allclose(2 * found[one], D.truth):
            yield Mutation(
                slips.SECOND_ORDER, ("halved", one, other),
                say(D, one, "this term comes twice in the second derivative, and its factor 2 is left out: double it"),
                delta=-found[one],
            )  # fmt: skip


def doubled(D: Derivation, suspect: Suspect) -> Iterator[Mutation]:
    """One of two terms taken twice in place of both, as for a symmetric matrix: 2 A x for (A + Aᵀ) x."""
    merges = [edge for edge in D.edges if len(D.into[edge.node]) > 1 or len(D.uses[edge.parent]) > 1]
    if len(merges) > MAX_MERGES:
        return
    found = {edge: D.contribution(edge) for edge in merges}
    for one in merges:
        for other in merges:
            if one == other or found[one].shape != D.truth.shape:
                continue
            both = found[one] + found[other]
            is_all = np.allclose(both, D.truth, rtol=1e-9, atol=1e-12 * float(np.abs(D.truth).max(initial=0.0)))
            if not is_all and not _is_square_form(D, one, other):
                continue
            if D.is_whole and _mirrored(suspect.axes, found[one], found[other]):
                yield Mutation(
                    slips.NO_SYMMETRY, ("mirrored", one, other), partial(_mirrored_sentence, suspect.axes.names[1]),
                    delta=found[one] - found[other],
                )  # fmt: skip
                continue
            yield Mutation(
                slips.SYMMETRY if _has_products_of_matrices(D) else slips.TERM_OUT, ("doubled", one, other),
                partial(_doubled_sentence, D, one, other),
                delta=found[one] - found[other],
            )  # fmt: skip


def _doubled_sentence(D: Derivation, one: Edge, other: Edge) -> str:
    mine, theirs = D.name(one.parent), D.name(other.parent)
    why = ", as if the matrix were symmetric" if _has_products_of_matrices(D) else ""
    return (
        f"{at(D, one.node)}the term through {mine} is taken twice and the one through {theirs} at {D.name(other.node)} "
        f"is left out{why}: add {told(D, other)} instead."
    )


def _has_products_of_matrices(D: Derivation) -> bool:
    """Whether anything is more than entry by entry: a matrix that could be symmetric."""
    ops = [node.op for node in D.nodes.values()]
    return any(op is not None and op.family not in ("elementwise", "layout", "reduction") for op in ops)


def _mirrored_sentence(name: str) -> str:
    return (
        f"Only the symmetric part of {name} enters, which is not taken into account: take (∂/∂{name} + (∂/∂{name})ᵀ)/2."
    )


def _is_square_form(D: Derivation, one: Edge, other: Edge) -> bool:
    """Whether two edges lead from the same node into products, as in x A x."""
    ops = [D.nodes[edge.node].op for edge in (one, other)]
    return one.parent == other.parent and all(op is not None and op.family == "multilinear" for op in ops)


def _mirrored(axes: Axes, one: Array, other: Array) -> bool:
    """Whether two terms are each other's transposes in a square matrix input."""
    if len(axes.into) < 2 or axes.into[-1] != axes.into[-2]:
        return False
    return np.allclose(np.swapaxes(one.reshape(axes.shape), -1, -2), other.reshape(axes.shape), rtol=1e-9)


def lacks_symmetry(suspect: Suspect) -> str | None:
    """Whether the truth is the claim made symmetric in a square matrix input."""
    axes = suspect.axes
    if len(axes.into) < 2 or axes.into[-1] != axes.into[-2]:
        return None
    eye = np.eye(axes.into[-1], dtype=bool)
    forms: tuple[Callable[[Array], Array], ...] = (
        lambda C: (C + np.swapaxes(C, -1, -2)) / 2,
        lambda C: C + np.swapaxes(C, -1, -2),
        lambda C: np.where(eye, C, C + np.swapaxes(C, -1, -2)),
        lambda C: np.tril(np.where(eye, C, C + np.swapaxes(C, -1, -2))),
    )
    for form in forms:
        if all(
            near[0].tolerance.same(form(claims[0].reshape(axes.shape)).reshape(true.shape), true, near[0].leaves)
            for claims, true, near in zip(suspect.claims, suspect.truths, suspect.nearness, strict=True)
        ):
            name = axes.names[1]
            return (
                f"{name} enters symmetrically, which is not taken into account: an entry and its mirror image move "
                f"together, so add the transpose of ∂/∂{name}."
            )
    return None


def shared_axes(run: Run, axes: Axes) -> tuple[frozenset[tuple[int, int]], frozenset[tuple[int, int]]]:
    """The pairs of axes on whose diagonal all of the truth lies, and those on whose diagonal some of its terms lie."""
    from jacobian.checking.whole import mask_of

    tensor = run.tensor
    shared = {
        pair for pair in (*axes.pairs(), *axes.inner_pairs()) if not np.any(tensor * ~mask_of(tensor.shape, (pair,)))
    }
    split: set[tuple[int, int]] = set()
    for a, b in axes.pairs():
        for term in run.jacobian.terms:
            out, into = term.pattern.out[a], term.pattern.into[b - len(axes.out)]
            if set(indices(out)) & set(indices(into)):
                split.add((a, b))
    return frozenset(shared), frozenset(split)
