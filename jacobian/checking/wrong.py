"""What is said of a wrong claim: the worst entries, what slipped, or where the first wrong entry comes from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from jacobian.checking import infinite, misshapen, paths, rounded, slips
from jacobian.checking.branches import ITSELF
from jacobian.checking.case import Case, brief
from jacobian.checking.derivation import Derivation, Run
from jacobian.checking.diagnosis import Diagnosis, Suspect, derivation_of, diagnose
from jacobian.checking.kinked import Kink
from jacobian.checking.layouts import Layout, accepted
from jacobian.checking.legend import legend
from jacobian.checking.tolerance import Nearness
from jacobian.checking.verdict import WRONG, Entry, Verdict, place
from jacobian.errors import JacobianError, ShapeError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.sparse import triples

Array = np.ndarray[Any, np.dtype[Any]]

WORST = 10
CONFIRMED_AT = 2
"""At how many points a slip must give the claim."""

LONG_FORMULA, SHOWN = 600, 3

STRAY = 1e-6
"""What is so small beside the largest entry was not derived."""

FAINT = 1e-6
"""What is so small beside what is claimed is nothing, or rounding has to be asked."""

UNEXPLAINED = "No single slip and no pair of slips explains the claim."
ONLY_HERE = Diagnosis(
    (slips.POINT_ONLY,),
    "The claim is right at the given point and wrong next to it: something in it is a number that should depend on the "
    "inputs.",
)


class Wrong:
    """A claim at several points, in every layout its shape allows, and the entries that are off."""

    def __init__(
        self, case: Case, layouts: Sequence[Layout], runs: Sequence[Run], tensors: Sequence[Sequence[Array]],
        off: Sequence[Sequence[Array]], kinks: Sequence[Kink | None],
    ) -> None:  # fmt: skip
        self.kinks = kinks
        self._derivation: Derivation | None = None  # in which what is wrong was looked for
        self.case, self.layouts, self.runs, self.tensors, self.off = case, layouts, runs, tensors, off

    def verdict(self, unbalanced: Sequence[str]) -> Verdict:
        """The whole verdict. Labels that are not summed are the slip where their sum would be right."""
        diagnosis = (
            None if self._on_kink is not None or self._is_rounded() or self._is_stray() else self._diagnosis(unbalanced)
        )
        if self._on_kink is not None:
            layout = self._on_kink
        elif diagnosis is None and self._is_stray():
            layout = 0
        elif diagnosis is None:
            layout = int(np.argmin([np.count_nonzero(one) for one in self.off[0]]))
        else:
            layout = diagnosis.layout
        shown = next((k for k, row in enumerate(self.off) if row[layout].any()), 0)
        run, claimed, off = self.runs[shown], self.tensors[shown][layout], self.off[shown][layout]
        spoken = self.case.spoken(run)
        count = off.size if spoken is None else int(np.count_nonzero(spoken))
        unexplained = self._unexplained(run, off, layout) if diagnosis is None and not self._is_rounded() else ""
        why = unexplained if diagnosis is None else diagnosis.sentence
        return Verdict(
            WRONG, self.case.axes.quotient, self.case.axes.names, right_entries=int(count - np.count_nonzero(off)),
            entries=count, worst=self._worst(run, claimed, off, layout),
            zeros=_zeros(run, off) if spoken is None else (0, 0),
            diagnosis=diagnosis, unexplained=unexplained, formula=formula(self.case),
            legend=legend(self.case.here, self._derivation, why),
            note=_elsewhere(run) if shown else self._noted(claimed, off, layout, diagnosis),
        )  # fmt: skip

    def branch(self, layout: int) -> str:
        """On which branch alone the claim is right, in one layout; empty where it is wrong there, too.

        Not where a slip explains what is claimed: what is forgotten of a derivative may happen to be 1 there, or what
        is exchanged 0. That entries stand in another order is none: on another branch others are the largest.
        """
        if self.off[0][layout].any():
            return ""
        wrong = [run for run, row in zip(self.runs, self.off, strict=True) if row[layout].any()]
        told = self.case.branch_apart([run for run in self.runs if run not in wrong], wrong)
        if not told or told.startswith(ITSELF):  # there it is another function
            return told
        slip = self._slip
        return told if slip is None or set(slip.slips) <= {slips.ORDER, slips.POINT_ONLY} else ""

    def _rounded(self, layout: int) -> str:
        """Whether the claim is the truth but for digits that are not given; entries that are right count as such."""
        return rounded.note([
            (np.where(row[layout].reshape(run.tensor.shape), tensors[layout], run.tensor), run.tensor)
            for run, tensors, row in zip(self.runs, self.tensors, self.off, strict=True)
        ])  # fmt: skip

    def _is_rounded(self) -> bool:
        """Whether the claim, at the one point where it is given, is the truth rounded: then nothing slipped."""
        return len(self.runs) == 1 and any(
            rounded.decimals(tensor, self.runs[0].tensor) is not None for tensor in self.tensors[0]
        )

    def _is_stray(self) -> bool:
        """Whether all that is wrong are tiny numbers where nothing is by structure: no slip makes them."""
        for run, tensors, row in zip(self.runs, self.tensors, self.off, strict=True):
            off, size = row[0], np.abs(run.tensor).max(initial=0.0)
            fine, zeros = _zeros(run, off)
            tiny = np.abs(tensors[0].reshape(off.shape)[off]).max(initial=0.0) <= STRAY * size
            if not off.any() or not tiny or zeros - fine != np.count_nonzero(off):
                return False
        return True

    @cached_property
    def _on_kink(self) -> int | None:
        """The layout in which all that is wrong lies on a kink: there no slip is needed."""
        if any(one.any() for row in self.off[1:] for one in row):
            return None
        pairs = enumerate(zip(self.kinks, self.off[0], strict=True))
        return next((nth for nth, (kink, off) in pairs if kink is not None and not np.any(off & ~kink.on)), None)

    def _noted(self, claimed: Array, off: Array, layout: int, diagnosis: Diagnosis | None) -> str:
        if diagnosis is not None and infinite.entries(self.runs[0], off).any():
            return infinite.told(self.case, off)
        kink = self.kinks[layout]
        if kink is None or self._on_kink is not None or not np.any(off & kink.on):
            return self._rounded(layout)
        return f"on a kink: {kink.note(off & kink.on)}"

    def _diagnosis(self, unbalanced: Sequence[str]) -> Diagnosis | None:
        if unbalanced and not any(row[0].any() for row in self.off):
            labels = ", ".join(unbalanced)
            text = f"The label {labels} stands on the right alone and is not summed: write Σ_{labels} in front."
            return Diagnosis((slips.NOT_SUMMED,), text)
        return self._slip

    @cached_property
    def _slip(self) -> Diagnosis | None:
        """What slipped, labels apart; looking for it takes a while."""
        off = [k for k, row in enumerate(self.off) if all(one.any() for one in row)]
        if 0 in off and not np.isfinite(self.runs[0].tensor).all():  # nothing can be told from infinite numbers
            return self._searched([k for k in off if k])
        if self.runs[0].tensor.dtype.kind == "c":
            return self._of_complex(off) if 0 in off else ONLY_HERE
        if 0 not in off:
            found = self._searched(off, right_here=True)
            return found if found is not None and len(found.slips) == 1 else ONLY_HERE  # two slips do not cancel here
        return self._searched([k for k in off if k] or off)  # what is accidental at the given point is not near it

    def _of_complex(self, places: Sequence[int]) -> Diagnosis | None:
        """Of complex numbers what is wrong with the whole alone: its sign, or that it is the conjugate."""
        quotient = self.case.axes.quotient
        for slip, turned, sentence in (
            (slips.SIGN, np.negative, f"The sign of {quotient} is wrong: put a minus in front."),
            (slips.CONJUGATE, np.conj, f"It is the conjugate of {quotient}: leave the bar out."),
        ):
            for nth, layout in enumerate(self.layouts):
                pairs = [(self.runs[k], turned(self.tensors[k][nth])) for k in places]
                if not any(self.case.wrong(run, layout, tensor).any() for run, tensor in pairs):
                    return Diagnosis((slip,), sentence, layout=nth)
        return None

    def _searched(self, places: Sequence[int], *, right_here: bool = False) -> Diagnosis | None:
        """The search at some of the points, those with most to see first."""
        if not places:
            return None
        if len(places) > 1:
            places = sorted(places, key=lambda k: -np.count_nonzero(self.runs[k].tensor))[:CONFIRMED_AT]
        if right_here and np.isfinite(self.runs[0].tensor).all():  # whoever slipped so has the truth there
            places = [*places, 0]
        case, runs, tensors = self.case, [self.runs[k] for k in places], [self.tensors[k] for k in places]
        shape = prod(case.axes.out), prod(case.axes.into)
        matrices = [[tensor.reshape(shape).astype(float, copy=False) for tensor in row] for row in tensors]
        suspect = Suspect(
            runs, matrices, case.axes, self._nearness(places),
            second_order=case.second_order, is_array=not (case.claim.is_exact or case.downstream),
            symmetric=case.right_when_symmetric, right_here=right_here,
        )  # fmt: skip
        found = diagnose(suspect)
        self._derivation = suspect.derivation()
        return found

    def _nearness(self, places: Sequence[int]) -> list[list[Nearness]]:
        """How near a slip must come to the claim, at each point and in each layout."""

        def one(k: int, nth: int) -> Nearness:
            run, claimed = self.runs[k], self.tensors[k][nth]
            off = self.off[k][nth]
            shape, tolerance = off.shape, self.case.tolerance(claimed, run.tensor)
            claim, true = claimed.reshape(shape), run.tensor.reshape(shape)
            rounding = self.case.rounding(run, self.layouts[nth], np.where(off, np.abs(claim - true), 0.0))
            return Nearness(tolerance, claim, true, rounding, off)

        return [[one(k, nth) for nth in range(len(self.layouts))] for k in places]

    def _unexplained(self, run: Run, off: Array, layout: int) -> str:
        kink = self.kinks[layout]
        if kink is not None and self._on_kink == layout:
            return f"It lies on a kink, where {kink.reason(off)}."
        if infinite.entries(run, off).any():
            return f"{infinite.told(self.case, off)}."
        fine, zeros = _zeros(run, off)
        if off.any() and zeros - fine == np.count_nonzero(off):
            return self._not_zero(run, off)
        if run.tensor.dtype.kind == "c":
            return "What slipped is looked for in real numbers only."
        D = self._derivation = derivation_of(run)
        if D is None or not off.any():
            return UNEXPLAINED
        row, column = (int(k) for k in np.argwhere(off)[0])
        true = float(run.tensor.reshape(off.shape)[row, column])
        entry = _entry(run, run.tensor, row * off.shape[1] + column)
        head = f"{UNEXPLAINED} The first wrong entry {place(self.case.axes.names, entry)} comes from:"
        return f"{head}\n{paths.explain(D, row, column, true)}"

    def _worst(self, run: Run, claimed: Array, off: Array, layout: int) -> tuple[Entry, ...]:
        """The entries that are off by most; what rounding leaves of nothing is 0."""
        places = np.flatnonzero(off)  # few, where a large Jacobian is mostly zero
        sizes = np.abs(claimed.reshape(-1)[places] - run.tensor.reshape(-1)[places])
        sizes = np.where(np.isnan(sizes), np.inf, sizes)
        found = [_entry(run, claimed, int(flat)) for flat in places[np.argsort(-sizes, kind="stable")[:WORST]]]
        eps = self.case.tolerance(claimed, run.tensor).eps
        if not any(0 < abs(one.true) < FAINT * abs(one.claimed) for one in found):
            return tuple(entry.without_rounding(eps) for entry in found)
        left = self.case.rounding(run, self.layouts[layout], np.where(off, np.abs(run.tensor.reshape(off.shape)), 0.0))
        left = left.reshape(run.tensor.shape)
        return tuple(entry.without_rounding(eps, float(left[entry.out + entry.into])) for entry in found)

    def _not_zero(self, run: Run, off: Array) -> str:
        """All that is wrong is claimed where nothing is, whatever the numbers are."""
        flat = np.flatnonzero(off)
        found = [place(self.case.axes.names, _entry(run, run.tensor, int(k))) for k in flat[:SHOWN]]
        more = f" and {len(flat) - SHOWN} more" if len(flat) > SHOWN else ""
        verb = "is" if len(flat) == 1 else "are"
        return f"{', '.join(found)}{more} {verb} zero by structure, but not in the claim; all other entries are right."


def _zeros(run: Run, off: Array) -> tuple[int, int]:
    """Of the entries that are zero by structure, how many are right, and how many there are."""
    J = run.jacobian
    try:
        if not J.terms or J.nnz == J.size:
            return 0, 0
        _, rows, columns = triples(J)
    except JacobianError:  # they are too many to be listed
        return 0, 0
    own = np.unique(rows.astype(np.int64) * off.shape[1] + columns)
    wrong = int(np.count_nonzero(off)) - int(np.count_nonzero(off.reshape(-1)[own]))
    return off.size - own.size - wrong, off.size - own.size


def _entry(run: Run, claimed: Array, flat: int) -> Entry:
    index = tuple(map(int, np.unravel_index(flat, run.tensor.shape))) if run.tensor.shape else ()
    outs = len(run.out_shape)
    return Entry(index[:outs], index[outs:], claimed[index].item(), run.tensor[index].item())


def _elsewhere(run: Run) -> str:
    """At which point the entries shown are wrong, since the claim is right at the given one."""
    point = ", ".join(
        f"{name} = {brief(np.asarray(value))}"
        for name, value in zip(run.input_names, run.args, strict=False)
        if isinstance(value, np.ndarray | np.inexact | float | complex)
    )
    return f"the claim is right at the given point; the numbers shown are those of another, {point}"


def formula(case: Case) -> str:
    """The truth in index notation; for a downstream claim what is handed on."""
    J = case.here.jacobian
    if case.upstream is not None and not isinstance(case.here.of, np.ndarray):
        G = Jacobian.from_array(np.ones(case.here.out_shape), 0, case.upstream.name)
        J = (G.named("L", case.here.output_name) @ J).named("L", case.here.wrt.name)
    text = J.formula
    return text if len(text) <= LONG_FORMULA else text[:LONG_FORMULA] + " …"


# -- claims that cannot be compared entry by entry --------------------------------------------------------------------


def not_linear(case: Case) -> Verdict:
    """A downstream claim that has forgotten the upstream, or is not linear in it."""
    assert case.upstream is not None
    assert case.upstream.forgotten is not None
    return _without_entries(case, slips.UPSTREAM, case.upstream.forgotten)


def of_impossible_shape(case: Case, claimed: Array) -> Verdict:
    """A shape that no layout has: a slip may explain it, such as an axis that is not summed; else it is an error."""
    found = misshapen.explain(case.here, claimed, case.tolerance(claimed, case.here.tensor), case.axes)
    if found is not None:
        return _without_entries(case, *found)
    output, into = case.here.output_name, case.here.wrt
    if case.downstream:
        shape = claimed.shape[len(case.here.out_shape) :]
        fix = f"return what has the shape of {into.name}, {into.shape}"
        raise ShapeError(report(f"the claim hands on an array of the shape {shape}", needed=into.shape, fix=fix))
    raise ShapeError(
        report(
            f"the claim has the shape {claimed.shape}, in which {case.axes.quotient} cannot be written",
            output=f"{output} {case.here.out_shape}", input=f"{into.name} {into.shape}",
            fix=f"one of {accepted(case.here.out_shape, into.shape)}",
        )
    )  # fmt: skip


def _without_entries(case: Case, slip: str, sentence: str) -> Verdict:
    return Verdict(
        WRONG, case.axes.quotient, case.axes.names, entries=int(case.here.tensor.size), formula=formula(case),
        diagnosis=Diagnosis((slip,), sentence),
    )  # fmt: skip
