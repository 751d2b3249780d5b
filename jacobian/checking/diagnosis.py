"""Which slip turns the true derivation into the claim: every single one is tried, then pairs, the cheapest first."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from jacobian.checking import cuts, pairs, proportions, rules, slips, whole
from jacobian.checking.derivation import Derivation, Run
from jacobian.checking.refine import refined
from jacobian.checking.slips import Mutation
from jacobian.checking.tolerance import Tolerance
from jacobian.checking.whole import Axes

Array = np.ndarray[Any, np.dtype[Any]]

BUDGET = 1.2
"""Seconds after which no further pair is begun."""

ALSO_BUDGET = 0.4


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


@dataclass
class Suspect:
    """A wrong claim at the points where it is compared: runs, and at each the claim in every layout, as matrices."""

    runs: Sequence[Run]
    claims: Sequence[Sequence[Array]]
    axes: Axes
    tolerance: Tolerance
    second_order: bool = False
    symmetric: Callable[[], str | None] = lambda: None
    derivations: list[Derivation] = field(default_factory=list)

    def prepare(self) -> bool:
        """Build the derivations; false where there is none that could be searched."""
        for run in self.runs:
            found = derivation_of(run)
            if found is None:
                return False
            self.derivations.append(found)
        return True


def derivation_of(run: Run) -> Derivation | None:
    """The derivation in small steps; in the traced ones where the small ones give other numbers."""
    if isinstance(run.of, np.ndarray) or any(
        getattr(node.value, "dtype", run.wrt.value.dtype).kind == "c" for node in run.trace.nodes
    ):
        return None
    truth = run.tensor.reshape(-1)
    scale = float(np.abs(truth).max(initial=0.0)) or 1.0
    for ends in (lambda: refined(run), lambda: (run.of, run.wrt)):
        try:
            found = Derivation(*ends())
        except (MemoryError, KeyError):
            continue
        except Exception:  # noqa: BLE001 - a layer that cannot be written out is taken as it is
            continue
        if found.of.index in found.down and np.allclose(found.truth.reshape(-1), truth, rtol=1e-6, atol=1e-8 * scale):
            return found
    return None


def diagnose(suspect: Suspect) -> Diagnosis | None:
    """The first slip, or pair of slips, that explains the claim; None when none does."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if not suspect.prepare():
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


def _deltas(D: Derivation, suspect: Suspect) -> Iterator[Mutation]:
    shared, split = proportions.shared_axes(suspect.runs[0], suspect.axes)
    return whole.deltas(suspect.axes, shared, split)


def _links(kinds: tuple[str, ...]) -> Stage:
    return lambda D, suspect: (m for m in cuts.links_left_out(D) if m.slip in kinds)


STAGES: tuple[Stage, ...] = (
    lambda D, suspect: iter((whole.sign(suspect.axes),)),
    proportions.second_order,
    _each_edge(rules.constants),
    proportions.constant_ratio,
    _on_axes(partial(whole.permuted, across=False)),
    _on_graph(cuts.paths_left_out),
    proportions.doubled,
    _links((slips.SIGN, slips.FACTOR_OUT, slips.CONSTANT)),
    _each_edge(rules.transposes),
    _on_graph(cuts.links_exchanged),
    _on_axes(whole.column_major),
    _on_axes(partial(whole.permuted, across=True)),
    _each_edge(rules.derivative_texts),
    _each_edge(rules.factors),
    _links((slips.LINK_OUT, slips.NO_SYMMETRY)),
    _each_edge(rules.wrong_points),
    _deltas,
    _on_graph(cuts.diagonals_only),
    _each_edge(rules.spread_deltas),
    _on_axes(whole.symmetries),
    _on_graph(cuts.terms_turned),
)


class _Search:
    def __init__(self, suspect: Suspect) -> None:
        self.suspect = suspect
        self.D = suspect.derivations[0]
        self.started = time.perf_counter()
        self.atoms: list[tuple[Mutation, Array]] = []

    def late(self, budget: float = BUDGET) -> bool:
        return time.perf_counter() - self.started > budget

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
                elif found is None:
                    found = Diagnosis((mutation.slip,), mutation.sentence(), layout=layout)
                elif mutation.slip != found.slip and mutation.slip not in also:
                    also.append(mutation.slip)
                if found is None and self.late(2 * BUDGET):
                    return None
        if found is not None:
            return Diagnosis(found.slips, found.sentence, tuple(also), found.layout)
        return self._without_single()

    def _made(self, stage: Stage) -> Iterator[tuple[Mutation, Array]]:
        for mutation in stage(self.D, self.suspect):
            value = mutation.of(self.D)
            if np.isfinite(value).all():
                yield mutation, value

    def _explains(self, stage: Stage | None, mutation: Mutation, value: Array) -> int | None:
        """In which layout the slip gives the claim, at every point."""
        for layout, claim in enumerate(self.suspect.claims[0]):
            if self.same(claim, value) and (stage is None or self._confirmed(stage, mutation, layout)):
                return layout
        return None

    def same(self, claim: Array, value: Array) -> bool:
        return same(self.suspect.tolerance, claim, value)

    def _confirmed(self, stage: Stage, mutation: Mutation, layout: int) -> bool:
        """Whether the same slip gives the claim at the other points as well."""
        for D, claims in zip(self.suspect.derivations[1:], self.suspect.claims[1:], strict=True):
            twin = next((m for m in stage(D, self.suspect) if m.key == mutation.key), None)
            if twin is None or not same(self.suspect.tolerance, claims[layout], twin.of(D)):
                return False
        return True

    def _without_single(self) -> Diagnosis | None:
        for slip, sentence, layout in pairs.groups(self.suspect, self.atoms):
            return Diagnosis((slip,), sentence, layout=layout)
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
        first, second, layout = pair
        sentence = f"Two slips. {first.sentence()} {second.sentence()}"
        return Diagnosis((first.slip, second.slip), sentence, layout=layout)

    def _symmetric(self) -> Diagnosis | None:
        name = self.suspect.symmetric()
        if name is not None:
            return Diagnosis(
                (slips.SYMMETRY,),
                f"{name} is assumed to be symmetric: for a symmetric {name} the claim is right, for others it is not; tell "
                f"{name} and {name}ᵀ apart.",
            )
        lacking = proportions.lacks_symmetry(self.suspect)
        return None if lacking is None else Diagnosis((slips.NO_SYMMETRY,), lacking)


def same(tolerance: Tolerance, claim: Array, value: Array) -> bool:
    """Whether a slip gives the claim; the claim of all zeros is nobody's slip."""
    if claim.shape != value.shape:
        return False
    scale = float(np.abs(value).max(initial=0.0))
    if not scale or float(np.abs(claim - value).max(initial=0.0)) > 1e-4 * scale + tolerance.rtol * scale:
        return False
    return tolerance.same(claim, value, scale)
