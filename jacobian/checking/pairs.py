"""Two slips at once, and one slip made at every node of a kind."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jacobian.checking import slips, whole
from jacobian.checking.derivation import Derivation
from jacobian.checking.proportions import number, ratio
from jacobian.checking.slips import Mutation

if TYPE_CHECKING:
    from jacobian.checking.diagnosis import Suspect

Array = np.ndarray[Any, np.dtype[Any]]
Atoms = Sequence[tuple[Mutation, Array]]
Compose = Callable[[Derivation, Mutation, Mutation], Array]
Late = Callable[[], bool]

RATIO = 8
"""So many comparisons take as long as looking for the factor between two arrays."""

NEIGHBOURS = 8
"""How many pairs with the same projection are compared in full."""


class Pair(NamedTuple):
    """Two slips, how they come together, and in which layout they give the claim."""

    first: Mutation
    second: Mutation
    compose: Compose
    layout: int


def groups(suspect: Suspect, atoms: Atoms) -> Iterator[tuple[Mutation, int, int]]:
    """The same slip at all nodes of a kind: one of them, how many, and the layout."""
    kin: dict[Hashable, list[Mutation]] = {}
    for mutation, _ in atoms:
        if mutation.kin is not None and mutation.changes is not None:
            kin.setdefault(mutation.kin, []).append(mutation)
    for members in kin.values():
        value = _together(suspect.D, members)
        if value is None:
            continue
        for layout in range(len(suspect.claims[0])):
            if suspect.same(value, layout=layout) and _group_confirmed(suspect, members, layout):
                yield members[0], len(members), layout


def _together(D: Derivation, members: Sequence[Mutation]) -> Array | None:
    changes: dict[Any, Array] = {}
    for member in members:
        assert member.changes is not None
        changes |= {edge: local for edge, local in member.changes.items() if edge not in changes}
    return D.total(changes) if len(members) > 1 and len(changes) > 1 else None


def _group_confirmed(suspect: Suspect, members: Sequence[Mutation], layout: int) -> bool:
    def right(place: int, D: Derivation) -> bool:
        twins = [suspect.twin(member, place) for member in members]
        found = [twin for twin in twins if twin is not None]
        value = _together(D, found) if len(found) == len(twins) else None
        return value is not None and suspect.same(value, place, layout)

    return suspect.at_all_points(right)


def search(suspect: Suspect, atoms: Atoms, late: Late) -> Pair | None:
    """The first pair that explains the claim at every point."""
    paired = [(mutation, value) for mutation, value in atoms if not mutation.alone]
    strategies = ((_times_a_number, atoms), (_then_the_whole, paired), (_added, paired), (_one_after_the_other, paired))
    for strategy, among in strategies:
        for pair in strategy(suspect, among, late):
            if _confirmed(suspect, pair):
                return pair
    return None


def _confirmed(suspect: Suspect, pair: Pair) -> bool:
    def right(place: int, D: Derivation) -> bool:
        first = suspect.twin(pair.first, place)
        second = pair.second if pair.second.whole is not None else suspect.twin(pair.second, place)
        if first is None or second is None:
            return False
        return suspect.same(pair.compose(D, first, second), place, pair.layout)

    return suspect.at_all_points(right)


def _in_turn(D: Derivation, first: Mutation, second: Mutation) -> Array:
    assert second.whole is not None
    if second.slip in (slips.CONSTANT, slips.SIGN) or D.is_whole:
        return second.whole(first.of(D))
    return np.full_like(D.truth, np.nan)  # some rows and columns are not enough to turn the whole


def _sum(D: Derivation, first: Mutation, second: Mutation) -> Array:
    return D.part(first.of(D)) + D.part(second.of(D)) - D.truth


def _both(D: Derivation, first: Mutation, second: Mutation) -> Array:
    assert first.changes is not None
    assert second.changes is not None
    return D.total({**first.changes, **second.changes})


def _times_a_number(suspect: Suspect, atoms: Atoms, late: Late) -> Iterator[Pair]:
    """A slip, and a constant factor or a sign."""
    for mutation, value in atoms:
        if mutation.slip in (slips.CONSTANT, slips.SIGN, slips.SECOND_ORDER):
            continue
        if late():
            return
        for layout, claim in enumerate(suspect.claims[0]):
            suspect.D.count(compared=RATIO * value.size)
            c = (
                ratio(suspect.D.part(claim), suspect.D.part(value))
                if claim.size > 1 or len(suspect.claims) > 1
                else None
            )
            if c is not None and abs(c - 1) > 1e-6 and _nice(suspect, c):
                second = whole.sign(suspect.axes) if abs(c + 1) < 1e-6 else _factor(c)
                yield Pair(mutation, second, _in_turn, layout)


def _nice(suspect: Suspect, c: float) -> bool:
    sizes = {1, 2, 3, 4, *suspect.axes.shape}
    return any(abs(abs(c) - k) < 1e-6 * k or abs(abs(c) * k - 1) < 1e-6 for k in sizes if k)


def _factor(c: float) -> Mutation:
    text = f"Besides, the constant factor {number(1 / c)} is missing: multiply by it."
    return Mutation(slips.CONSTANT, ("ratio", c), lambda: text, whole=lambda T: c * T)


def _then_the_whole(suspect: Suspect, atoms: Atoms, late: Late) -> Iterator[Pair]:
    """A slip, and then one in the whole: axes permuted, vec, a δ."""
    if not suspect.D.is_whole:
        return
    turns = [mutation for mutation, _ in atoms if mutation.whole is not None and mutation.slip != slips.SIGN]
    for turn in turns:
        assert turn.whole is not None
        for mutation, value in atoms:
            if mutation is turn:
                continue
            if late():
                return
            turned = turn.whole(value)
            suspect.D.count(compared=turned.size)
            for layout in range(len(suspect.claims[0])):
                if suspect.same(turned, layout=layout):
                    yield Pair(mutation, turn, _in_turn, layout)


def _added(suspect: Suspect, atoms: Atoms, late: Late) -> Iterator[Pair]:
    """Two slips on paths that do not meet: what they change adds up. Found by one projection, then compared in full."""
    D = suspect.D
    truth = D.truth
    weights = np.random.default_rng(0).standard_normal(truth.shape)
    values = [D.part(value) for _, value in atoms]
    projected = np.array([float(np.vdot(weights, value - truth)) for value in values])
    order = np.argsort(projected)
    ranked = projected[order]
    for layout, claim in enumerate(suspect.claims[0]):
        wanted = float(np.vdot(weights, D.part(claim) - truth))
        slack = 1e-6 * (abs(wanted) + np.abs(projected))
        for place, value in enumerate(projected):
            low, high = np.searchsorted(ranked, [wanted - value - slack[place], wanted - value + slack[place]])
            for other in order[low : min(high, low + NEIGHBOURS)]:
                D.count(compared=truth.size)
                one, two = atoms[min(place, other)][0], atoms[max(place, other)][0]
                if other == place or _meet(one, two):
                    continue
                if suspect.same(values[place] + values[other] - truth, layout=layout):
                    yield Pair(one, two, _sum, layout)
            if late():
                return


def _meet(one: Mutation, other: Mutation) -> bool:
    """Whether two slips put something else in the same place."""
    return bool(set(one.changes or ()) & set(other.changes or ()))


def _one_after_the_other(suspect: Suspect, atoms: Atoms, late: Late) -> Iterator[Pair]:
    """Two slips on one path, the likelier ones first."""
    D = suspect.D
    local = [mutation for mutation, _ in atoms if mutation.changes is not None]
    for one, other in _by_likelihood(local):
        if late():
            return
        D.count()
        assert one.changes is not None
        assert other.changes is not None
        if _meet(one, other):
            continue
        value = _both(D, one, other)
        for layout in range(len(suspect.claims[0])):
            if suspect.same(value, layout=layout):
                yield Pair(one, other, _both, layout)


def _by_likelihood(mutations: Sequence[Mutation]) -> Iterator[tuple[Mutation, Mutation]]:
    """Every pair, the sum of the two places rising."""
    count = len(mutations)
    for reach in range(1, 2 * count - 2):
        for first in range(max(0, reach - count + 1), (reach + 1) // 2):
            yield mutations[first], mutations[reach - first]
