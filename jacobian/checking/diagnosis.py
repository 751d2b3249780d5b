"""Which slip turns the true derivation into the claim: every single one is tried, then pairs, the cheapest first."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np

from jacobian.checking import (
    composed,
    cuts,
    miswritten,
    order,
    pairs,
    parts,
    proportions,
    revalued,
    rules,
    slips,
    whole,
)
from jacobian.checking.derivation import Derivation, Run, matrix
from jacobian.checking.recognised import recognised
from jacobian.checking.refine import refined
from jacobian.checking.slips import Mutation
from jacobian.checking.tolerance import Nearness
from jacobian.checking.unshared import unshared
from jacobian.checking.whole import Axes
from jacobian.errors import JacobianError
from jacobian.plan import is_complex
from jacobian.tracing.graph import Node

Array = np.ndarray[Any, np.dtype[Any]]

BUDGET = 60_000
"""Steps (each a small product) after which no further slip is tried: about a second."""

ALSO_BUDGET = 30_000
"""The same, for further slips that give the same numbers."""

SLIP = 6
"""Steps that it takes to think of a slip and to compare what it gives."""

REFINING_FAILS = (JacobianError, ArithmeticError, KeyError, IndexError, TypeError, ValueError, AttributeError)
"""A layer whose parameters are not those that are known is taken as it is."""


@dataclass(frozen=True)
class Diagnosis:
    """What slipped: the name of the slip (two for a pair), one sentence, and other slips that give the same numbers."""

    slips: tuple[str, ...]
    sentence: str
    also: tuple[str, ...] = ()
    layout: int = 0

    @property
    def slip(self) -> str:
        """The first slip's name."""
        return self.slips[0]

    def __str__(self) -> str:
        return self.sentence


class Suspect:
    """A wrong claim at the points where it is compared: runs, and at each the claim in every layout, as matrices."""

    def __init__(
        self, runs: Sequence[Run], claims: Sequence[Sequence[Array]], axes: Axes,
        nearness: Sequence[Sequence[Nearness]], *,
        second_order: bool, is_array: bool, symmetric: Callable[[], str | None],
        right_here: bool = False,
    ) -> None:  # fmt: skip
        self.runs, self.claims, self.axes, self.nearness = runs, claims, axes, nearness
        self.second_order, self.is_array, self.symmetric = second_order, is_array, symmetric
        self.right_here = right_here  # the claim is right at the given point, the last of the runs if it is one
        rows, columns = prod(axes.out), prod(axes.into)
        self.truths = [run.tensor.reshape(rows, columns).astype(float, copy=False) for run in runs]
        self._derivations: dict[int, Derivation | None] = {}
        self._twins: dict[int, dict[Hashable, Mutation]] = {}

    def derivation(self, place: int = 0) -> Derivation | None:
        """The derivation at one of the points; None where there is none that could be searched."""
        if place not in self._derivations:
            self._derivations[place] = derivation_of(self.runs[place])
        return self._derivations[place]

    @property
    def D(self) -> Derivation:
        """The derivation at the first point."""
        found = self.derivation()
        assert found is not None
        return found

    def at_all_points(self, right: Callable[[int, Derivation], bool]) -> bool:
        """Whether something holds at every point but the first, at which it was found."""
        for place in range(1, len(self.runs)):
            D = self.derivation(place)
            if D is None or not right(place, D):
                return False
        return True

    def same(self, value: Array, place: int = 0, layout: int = 0) -> bool:
        """Whether a slip gives the claim at a point, in a layout; a claim of zeros is nobody's slip."""
        claim, near = self.claims[place][layout], self.nearness[place][layout]
        is_sampled = claim.shape != value.shape
        claim = self.D.part(claim) if is_sampled else claim
        self.D.count(compared=value.size, steps=0)
        scale = float(np.abs(value).max(initial=0.0))
        limit = (1e-4 + near.tolerance.rtol) * scale
        if not scale and self.right_here and place == len(self.runs) - 1:  # right, and nothing to see
            return not np.any(claim)
        if not scale or float(np.abs(claim - value).max(initial=0.0)) > limit:
            return False
        return near.holds(claim, value, self.D.part if is_sampled else np.asarray)

    def twin(self, mutation: Mutation, place: int) -> Mutation | None:
        """The same slip at another point."""
        D = self.derivation(place)
        if place not in self._twins and D is not None:
            self._twins[place] = {found.key: found for stage in STAGES for found in stage(D, self)}
        return self._twins.get(place, {}).get(mutation.key)


def derivation_of(run: Run) -> Derivation | None:
    """The derivation in small steps; in the traced ones where the small ones give other numbers."""
    if isinstance(run.of, np.ndarray) or any(is_complex(node) for node in run.trace.nodes):
        return None
    attempts: tuple[Callable[[], Any], ...] = (lambda: refined(run), lambda: (run.of, run.wrt))
    for ends in attempts:
        try:
            found = Derivation(*ends())
        except (MemoryError, *REFINING_FAILS):
            continue
        full = run.tensor.reshape(prod(run.out_shape), prod(run.wrt.shape)).astype(float, copy=False)
        scale = float(np.abs(full).max(initial=0.0)) or 1.0
        found.full, found.jacobian = full, run.jacobian
        if found.of.index in found.down and np.allclose(found.truth, found.part(full), rtol=1e-6, atol=1e-8 * scale):
            if found.of is not run.of and len(found.of.trace.nodes) > len(run.trace.nodes):
                found.coarser = _as_traced(run)
            return found
    return None


def _as_traced(run: Run) -> Derivation | None:
    """The derivation in the steps that were traced: a slip in the formula of a layer is one in these."""
    assert isinstance(run.of, Node)
    try:
        return Derivation(run.of, run.wrt)
    except (MemoryError, *REFINING_FAILS):
        return None


def diagnose(suspect: Suspect) -> Diagnosis | None:
    """The first slip, or pair of slips, that explains the claim; None when none does."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if suspect.derivation() is None:
            return None
        return _Search(suspect).run()


Stage = Callable[[Derivation, "Suspect"], Iterator[Mutation]]


def _each_edge(rule: Callable[[Derivation, Any], Iterator[Mutation]]) -> Stage:
    def stage(D: Derivation, suspect: Suspect) -> Iterator[Mutation]:
        for edge in reversed(D.edges):
            yield from rule(D, edge)

    return stage


def _on_axes(rule: Callable[[Axes], Iterator[Mutation]]) -> Stage:
    return lambda D, suspect: rule(suspect.axes)


def _on_graph(rule: Callable[[Derivation], Iterator[Mutation]]) -> Stage:
    return lambda D, suspect: rule(D)


def _elsewhere(
    name: str, other: Callable[[Derivation], Derivation | None], *stages: Stage, alone: bool = True
) -> Stage:  # fmt: skip
    """Slips in another derivation of the same: in other steps, or with something constant."""

    def stage(D: Derivation, suspect: Suspect) -> Iterator[Mutation]:
        if name not in D.others:
            D.others[name] = _made(other, D)
        C = D.others[name]
        if C is None or not (C.is_whole and D.is_whole):
            return
        for each in stages:
            for found in each(C, suspect):
                delta = found.of(C) - C.truth
                yield Mutation(found.slip, (name, found.key), found.sentence, delta=delta, alone=alone)

    return stage


def _made(other: Callable[[Derivation], Derivation | None], D: Derivation) -> Derivation | None:
    try:
        return other(D)
    except (MemoryError, *REFINING_FAILS):
        return None


_AS_LAYERS = _elsewhere(
    "layer", lambda D: D.coarser, _each_edge(rules.factors), _each_edge(rules.wrong_points), alone=False
)  # fmt: skip
"""Factors of the Jacobians of whole layers, where these are searched in smaller steps."""

_RECOGNISED = _elsewhere("known", recognised, _each_edge(miswritten.derivative_texts))
"""Slips in the rule of a function that is written out, such as `y * (1 - y)` of a sigmoid."""

_COMPOSED: tuple[Stage, ...] = (
    _on_graph(composed.inside),
    _on_graph(composed.linear_functions),
    _on_graph(composed.arguments_exchanged),
)
"""Rules put together wrongly."""

_RECOGNISED_OTHERWISE = _elsewhere(
    "known", recognised, _each_edge(miswritten.other_rules), _each_edge(rules.wrong_points), *_COMPOSED
)

_QUIETER = _elsewhere(
    "constant", cuts.quieter, lambda D, suspect: cuts.paths_left_out(D), _each_edge(rules.constants),
    _each_edge(miswritten.derivative_texts), lambda D, suspect: cuts.terms_turned(D),
)  # fmt: skip
"""What is slipped in where something is a constant because it cancels, such as the maximum that a softmax subtracts."""


def _flattened(D: Derivation, suspect: Suspect) -> Iterator[Mutation]:
    """Column-major `vec` on both sides, where the claim is an array whose axes have no names."""
    if not suspect.is_array:
        return
    found = next(whole.column_major(suspect.axes), None)
    if found is not None and min(len(suspect.axes.out), len(suspect.axes.into)) > 1:
        yield found


def _deltas(D: Derivation, suspect: Suspect) -> Iterator[Mutation]:
    shared, split = proportions.shared_axes(suspect.runs[0], suspect.axes)
    return whole.deltas(suspect.axes, shared, split)


def other_inputs(D: Derivation, suspect: Suspect) -> Iterator[Mutation]:
    """The derivative by another input of the same shape."""
    run = next(run for place, run in enumerate(suspect.runs) if suspect.derivation(place) is D)
    for node in run.trace.nodes:
        if node.op is not None or node is run.wrt or node.shape != run.wrt.shape or not isinstance(run.of, Node):
            continue
        found = matrix(run.trace.jacobian(run.of, node))
        yield Mutation(
            slips.OTHER_INPUT, ("input", node.name),
            partial(_other_input_sentence, run.of.name, run.wrt.name, node.name), delta=D.part(found) - D.truth,
        )  # fmt: skip


def _other_input_sentence(of: str, wrt: str, other: str) -> str:
    return f"The claim is ∂{of}/∂{other}, not ∂{of}/∂{wrt}: differentiate by {wrt}, holding {other} constant."


def _links(kinds: tuple[str, ...], *, whole_chain: bool = False) -> Stage:
    """Links left out; all of the chain is the last that somebody leaves out without another reason."""

    def stage(D: Derivation, suspect: Suspect) -> Iterator[Mutation]:
        everything = ("link", D.wrt.index, D.of.index)
        for found in cuts.links_left_out(D):
            late = found.slip == slips.LINK_OUT and found.key == everything
            if found.slip in kinds and late == whole_chain:
                yield found

    return stage


STAGES: tuple[Stage, ...] = (
    lambda D, suspect: iter((whole.sign(suspect.axes),)),
    parts.turned,
    proportions.second_order,
    _each_edge(rules.constants),
    proportions.constant_ratio,
    _on_axes(partial(whole.permuted, across=False)),
    _flattened,
    parts.listed_otherwise,
    proportions.halved,
    _on_graph(cuts.paths_left_out),
    _on_graph(composed.linear_products),
    proportions.doubled,
    _links((slips.SIGN, slips.FACTOR_OUT, slips.CONSTANT)),
    _each_edge(rules.transposes),
    _on_graph(order.links_exchanged),
    _on_graph(order.distant_links_exchanged),
    _on_graph(order.operands_exchanged),
    _on_graph(rules.transposed_twice),
    _on_axes(whole.column_major),
    _on_axes(partial(whole.permuted, across=True)),
    _RECOGNISED,
    _each_edge(miswritten.derivative_texts),
    _each_edge(rules.factors),
    _each_edge(rules.counted_once),
    _AS_LAYERS,
    _each_edge(miswritten.higher_powers),
    _on_graph(revalued.transposed_on_the_way),
    _on_graph(revalued.reversed_on_the_way),
    _links((slips.LINK_OUT, slips.NO_SYMMETRY)),
    _each_edge(rules.wrong_points),
    _deltas,
    lambda D, suspect: unshared(D, D.jacobian, suspect.axes),
    _on_graph(cuts.diagonals_only),
    _links((slips.LINK_OUT,), whole_chain=True),
    _each_edge(miswritten.other_rules),
    _RECOGNISED_OTHERWISE,
    *_COMPOSED,
    _on_graph(composed.not_differentiated),
    _on_graph(composed.functions_exchanged),
    _each_edge(rules.spread_deltas),
    _each_edge(rules.spread_choices),
    _QUIETER,
    _on_graph(revalued.inputs_turned),
    _on_axes(whole.symmetries),
    _on_graph(cuts.terms_turned),
    other_inputs,
    proportions.named_factors,
    parts.scaled,
    _on_graph(revalued.signs_turned),
    _on_graph(revalued.revalued),
)


class _Search:
    def __init__(self, suspect: Suspect) -> None:
        self.suspect = suspect
        self.D = suspect.D
        self.begun = self.D.steps
        self.atoms: list[tuple[Mutation, Array]] = []

    def late(self, budget: int | None = None) -> bool:
        budget = BUDGET if budget is None else budget
        return self.D.steps - self.begun > budget

    def run(self) -> Diagnosis | None:
        found: Diagnosis | None = None
        also: list[str] = []
        for stage in STAGES:
            if found is not None and self.late(ALSO_BUDGET):
                break
            for mutation, value in self._made(stage):
                layout = self._explains(stage, mutation, value)
                if layout is None:
                    self.atoms.append((mutation, value))
                elif found is None or layout < found.layout:  # the likelier layout is the better explanation
                    also = [] if found is None else [slip for slip in (found.slip, *also) if slip != mutation.slip]
                    found = Diagnosis((mutation.slip,), mutation.sentence(), layout=layout)
                elif mutation.slip != found.slip and mutation.slip not in also:
                    also.append(mutation.slip)
                if found is None and self.late():
                    return self._without_single()
        if found is not None:
            return Diagnosis(found.slips, found.sentence, tuple(also), found.layout)
        return self._without_single()

    def _made(self, stage: Stage) -> Iterator[tuple[Mutation, Array]]:
        for mutation in stage(self.D, self.suspect):
            if any(
                cuts.cancels(self.D, index) for edge in mutation.changes or () for index in (edge.node, edge.parent)
            ):
                continue  # whatever is done there makes no difference
            value = mutation.of(self.D)
            self.D.count(compared=value.size, steps=SLIP)
            if np.isfinite(value).all():
                yield mutation, value

    def _explains(self, stage: Stage | None, mutation: Mutation, value: Array) -> int | None:
        """In which layout the slip gives the claim, at every point."""
        for layout in range(len(self.suspect.claims[0])):
            if self.suspect.same(value, layout=layout) and (stage is None or self._confirmed(stage, mutation, layout)):
                return layout
        return None

    def _confirmed(self, stage: Stage, mutation: Mutation, layout: int) -> bool:
        """Whether the same slip gives the claim at the other points as well."""

        def right(place: int, D: Derivation) -> bool:
            twin = next((m for m in stage(D, self.suspect) if m.key == mutation.key), None)
            return twin is not None and self.suspect.same(twin.of(D), place, layout)

        return self.suspect.at_all_points(right)

    def _without_single(self) -> Diagnosis | None:
        for member, count, layout in pairs.groups(self.suspect, self.atoms):
            sentence = f"{member.sentence()[:-1]}; the same slip is made at {count} nodes."
            return Diagnosis((member.slip,), sentence, layout=layout)
        symmetric = self._symmetric()
        if symmetric is not None:
            return symmetric
        explained = proportions.edge_ratio(self.suspect)
        if explained is not None:
            return Diagnosis((explained[0],), explained[1], layout=explained[2])
        explained = proportions.any_ratio(self.suspect)
        if explained is not None:
            return Diagnosis((explained[0],), explained[1], layout=explained[2])
        pair = pairs.search(self.suspect, self.atoms, self.late)
        if pair is None:
            return None
        first, second = pair.first, pair.second
        sentence = f"Two slips. {first.sentence()} {second.sentence()}"
        return Diagnosis((first.slip, second.slip), sentence, layout=pair.layout)

    def _symmetric(self) -> Diagnosis | None:
        name = self.suspect.symmetric()
        if name is not None:
            return Diagnosis(
                (slips.SYMMETRY,),
                f"{name} is assumed to be symmetric: for a symmetric {name} the claim is right, for others it is not; "
                f"tell {name} and {name}ᵀ apart.",
            )
        lacking = proportions.lacks_symmetry(self.suspect)
        return None if lacking is None else Diagnosis((slips.NO_SYMMETRY,), lacking)
