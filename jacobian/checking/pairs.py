"""Two slips at once, and one slip made at every node of a kind."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobian.checking import slips, whole
from jacobian.checking.proportions import constant_ratio, number, ratio
from jacobian.checking.slips import Mutation

if TYPE_CHECKING:
    from jacobian.checking.diagnosis import Suspect

Array = np.ndarray[Any, np.dtype[Any]]
Atoms = Sequence[tuple[Mutation, Array]]
Pair = tuple[Mutation, Mutation, int]

CHECKED_EVERY = 64


def groups(suspect: Suspect, atoms: Atoms) -> Iterator[tuple[str, str, int]]:
    """The same slip at all nodes of a kind."""
    kin: dict[Hashable, list[Mutation]] = {}
    for mutation, _ in atoms:
        if mutation.kin is not None and mutation.changes is not None:
            kin.setdefault(mutation.kin, []).append(mutation)
    for members in kin.values():
        changes: dict[Any, Array] = {}
        for member in members:
            assert member.changes is not None
            changes |= {edge: local for edge, local in member.changes.items() if edge not in changes}
        if len(members) < 2 or len(changes) < 2:
            continue
        value = suspect.derivations[0].total(changes)
        for layout, claim in enumerate(suspect.claims[0]):
            if _same(suspect, claim, value):
                first = members[0]
                yield first.slip, f"{first.sentence()} The same slip is made at {len(members)} nodes.", layout


def _same(suspect: Suspect, claim: Array, value: Array) -> bool:
    from jacobian.checking.diagnosis import same

    return same(suspect.tolerance, claim, value)


def search(suspect: Suspect, atoms: Atoms, late: Callable[..., bool]) -> Pair | None:
    """The first pair that explains the claim."""
    for strategy in (_times_a_number, _then_the_whole, _added, _one_after_the_other):
        found = strategy(suspect, atoms, late)
        if found is not None:
            return found
    return None


def _times_a_number(suspect: Suspect, atoms: Atoms, late: Callable[..., bool]) -> Pair | None:
    """A slip, and a constant factor or a sign."""
    for mutation, value in atoms:
        if mutation.slip in (slips.CONSTANT, slips.SIGN, slips.SECOND_ORDER):
            continue
        for layout, claim in enumerate(suspect.claims[0]):
            c = ratio(claim, value)
            if c is None or claim.size < 2 or not _nice(suspect, c):
                continue
            second = whole.sign(suspect.axes) if abs(c + 1) < 1e-6 else _factor(c)
            return mutation, second, layout
    return None


def _nice(suspect: Suspect, c: float) -> bool:
    sizes = {1, 2, 3, 4, *suspect.axes.shape}
    return any(abs(abs(c) - k) < 1e-6 * k or abs(abs(c) * k - 1) < 1e-6 for k in sizes)


def _factor(c: float) -> Mutation:
    text = f"Besides, the constant factor {number(1 / c)} is missing: multiply by it."
    return Mutation(slips.CONSTANT, ("ratio", c), lambda: text, whole=lambda T: c * T)


def _then_the_whole(suspect: Suspect, atoms: Atoms, late: Callable[..., bool]) -> Pair | None:
    """A slip, and then one in the whole: axes permuted, vec, a δ."""
    turns = [mutation for mutation, _ in atoms if mutation.whole is not None and mutation.slip != slips.SIGN]
    for turn in turns:
        assert turn.whole is not None
        for count, (mutation, value) in enumerate(atoms):
            if mutation is turn:
                continue
            turned = turn.whole(value)
            for layout, claim in enumerate(suspect.claims[0]):
                if _same(suspect, claim, turned):
                    return mutation, turn, layout
            if count % CHECKED_EVERY == 0 and late():
                return None
    return None


def _added(suspect: Suspect, atoms: Atoms, late: Callable[..., bool]) -> Pair | None:
    """Two slips on paths that do not meet: what they change adds up. Found by one projection, then compared in full."""
    truth = suspect.derivations[0].truth
    weights = np.random.default_rng(0).standard_normal(truth.size)
    deltas = [value - truth for _, value in atoms]
    if not deltas:
        return None
    projected = np.array([float(np.vdot(weights, delta)) for delta in deltas])
    order = np.argsort(projected)
    ranked = projected[order]
    for layout, claim in enumerate(suspect.claims[0]):
        rest = claim - truth
        wanted = float(np.vdot(weights, rest))
        slack = 1e-6 * (abs(wanted) + np.abs(projected))
        for place, value in enumerate(projected):
            low, high = np.searchsorted(ranked, [wanted - value - slack[place], wanted - value + slack[place]])
            for other in order[low : min(high, low + 8)]:
                if other != place and _same(suspect, claim, truth + deltas[place] + deltas[other]):
                    return atoms[min(place, other)][0], atoms[max(place, other)][0], layout
    return None


def _one_after_the_other(suspect: Suspect, atoms: Atoms, late: Callable[..., bool]) -> Pair | None:
    """Two slips on one path, the likelier ones first."""
    D = suspect.derivations[0]
    local = [mutation for mutation, _ in atoms if mutation.changes is not None]
    count = 0
    for reach in range(1, 2 * len(local)):
        for first in range(max(0, reach - len(local) + 1), (reach + 1) // 2):
            one, other = local[first], local[reach - first]
            assert one.changes is not None and other.changes is not None
            if set(one.changes) & set(other.changes):
                continue
            count += 1
            if count % CHECKED_EVERY == 0 and late():
                return None
            value = D.total({**one.changes, **other.changes})
            for layout, claim in enumerate(suspect.claims[0]):
                if _same(suspect, claim, value):
                    return one, other, layout
    return None


__all__ = ["constant_ratio", "groups", "search"]
