"""A function, a point and a claim: where they are compared, and in which layouts."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from math import inf, prod
from typing import Any

import numpy as np

from jacobian.checking import claims as reading
from jacobian.checking import layouts, rounding
from jacobian.checking.branches import apart, holds_where
from jacobian.checking.derivation import Run
from jacobian.checking.kinked import Beside, Kink, kinks_noted
from jacobian.checking.layouts import NUMERATOR, Layout
from jacobian.checking.points import is_symmetric, near
from jacobian.checking.rounding import Rounding
from jacobian.checking.tolerance import Tolerance, refuse_odd
from jacobian.checking.upstream import Downstream
from jacobian.checking.whole import Axes
from jacobian.errors import ArgumentError, DTypeError, report
from jacobian.functional import jacobian
from jacobian.kernel.notation import at
from jacobian.tracing.run import argument_names, numbers_of
from jacobian.tracing.surroundings import DIFFERENTIATES

Array = np.ndarray[Any, np.dtype[Any]]

KINDS = ("jacobian", "downstream", "hessian")
POINTS = 2
"""How many points near the given one a claim that can be evaluated there is compared at."""

LONGER, FEW_CALLS = 20, 1000
"""Times as many calls of other functions as at the given point, and some: a function that makes more has no end."""

SPREADS = (0.2, 0.02, 0.002)
"""How far away they are; the next where the function or its derivative does not exist there."""


class Case:
    """A function, a point and a claim."""

    def __init__(
        self, f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], claim: Any, argnums: int = 0,
        kind: str = "jacobian", layout: str | None = None, rtol: float | None = None, output_name: str = "",
        *, as_alone: bool = False,
    ) -> None:  # fmt: skip
        """Read the claim; names that nobody gave are those of all inputs traced, or of the one input alone."""
        if kind not in KINDS:
            raise ArgumentError(report(f"verify: kind must be one of {', '.join(KINDS)}, not {kind!r}"))
        if layout not in (None, "numerator", "denominator"):
            raise ArgumentError(report(f"verify: layout must be 'numerator' or 'denominator', not {layout!r}"))
        if not isinstance(argnums, int | np.integer):
            raise ArgumentError(report(f"verify: argnums must be one whole number, not {argnums!r}"))
        refuse_odd("verify", rtol=rtol)
        (self.argnum,) = numbers_of(int(argnums), len(args))
        if kind == "jacobian" and reading.is_second_order(claim):
            kind = "hessian"
        self.second_order = kind == "hessian" or hasattr(f, DIFFERENTIATES)
        self.downstream = kind == "downstream"
        self.kind, self.given, self.output_name, self.as_alone = kind, f, output_name, as_alone
        self.args, self.kwargs, self.wanted_layout, self.rtol = tuple(args), kwargs, layout, rtol
        self.claimed_as = claim
        self._roundings: dict[int, tuple[Run, Rounding, Rounding | None]] = {}
        with kinks_noted(not_finite=True):  # of the derivative itself, where it is that which is differentiated
            self._run_here()
            self._check_repeats()
        self.claim = reading.read(claim, self._names(), downstream=self.downstream)
        if self.claim.argnum not in (None, self.argnum):
            self._differentiate_by(int(self.claim.argnum or 0), argnums)
        self.axes = Axes(self.here.out_shape, self.here.wrt.shape, (self.here.output_name, self.here.wrt.name))
        self.upstream = Downstream(self.claim) if self.downstream else None

    def _run_here(self) -> None:
        self.f = self.given
        if self.kind == "hessian":
            self.f = jacobian(self.given, argnums=self.argnum)
            names = argument_names(self.given, len(self.args))
            self.output_name = f"(∂y/∂{names[self.argnum]})"
        self.here = self._run(self.args)

    def _run(self, args: Sequence[Any], most_calls: float = inf) -> Run:
        return Run(self.f, args, self.kwargs, self.argnum, self.output_name, most_calls, as_alone=self.as_alone)

    def _differentiate_by(self, argnum: int, given: int) -> None:
        if given != 0:
            names = self.here.input_names
            headline = f"the formula differentiates by {names[argnum]}, but argnums={given} is {names[self.argnum]}"
            raise ArgumentError(report(headline, fix=f"argnums={argnum}"))
        self.argnum = argnum
        self._run_here()

    @property
    def is_ambiguous(self) -> bool:
        """Whether a name in the claim that nobody gave is that of something else where the input alone is traced."""
        naming = self.here.trace._graph.naming
        alone = self.here.numbers_alone
        others = {number for index, number in alone.items() if naming.of_node(index) != f"{naming.letter}{number}"}
        text = self.claimed_as if isinstance(self.claimed_as, str) else ""
        return any(re.search(rf"\b{naming.letter}{number}\b", text) for number in others)

    def _names(self) -> reading.Names:
        run = self.here
        inner = [node.name for node in run.trace.nodes if node.op is not None] + list(run.variables)
        inner += ["y"] if self.kind == "hessian" else []
        inner += run.captured
        of_output = [name for name, node in run.variables.items() if node is run.of]
        of_output += ["y"] if self.kind == "hessian" else []
        return reading.Names(
            run.input_names, run.output_name, tuple(dict.fromkeys(inner)), self._left, tuple(of_output)
        )

    def _left(self, labels: Sequence[str]) -> str:
        """`dy[i]/dx[j]`, as a formula of this claim begins."""
        out, into = (0 if self.downstream else len(self.here.out_shape)), len(self.here.wrt.shape)
        letters = labels if len(labels) == out + into else "ijklmnpqrs"[: out + into]
        name = self.here.wrt.name
        ins = at(f"d{name}", letters[out:])
        if self.downstream:
            return ins
        if self.kind == "hessian":
            return f"{at('d2y', letters[: out - into])}/{at(f'd{name}', letters[out - into : out])}{ins}"
        return f"{at(f'd{self.here.output_name}', letters[:out])}/{ins}"

    def _check_repeats(self) -> None:
        """Nothing can be said of a function that does not give the same value twice."""
        first, second = (np.asarray(run.values[run.output_name]) for run in (self.here, self._run(self.args)))
        if first.shape != second.shape or not np.array_equal(first, second, equal_nan=True):
            raise ArgumentError(
                report(
                    "verify: the function gives another value at every call",
                    got=f"{brief(first)}, then {brief(second)}",
                    fix="draw random numbers outside and pass them in, or seed the generator inside",
                )
            )

    # -- points -----------------------------------------------------------------------------------------------------

    @cached_property
    def others(self) -> list[Run]:
        """Runs near the given point, where the claim can be evaluated there."""
        if not self.claim.moves:
            return []
        found = self.near(self.args, POINTS, seed=0)
        if self.here.has_branches:  # a relu that is open, or shut, at all points hides what is forgotten of it
            found += self.near(self.args, POINTS, seed=11, fresh=True)
        return found

    def near(
        self, args: Sequence[Any], count: int, seed: int, free: Sequence[int] = (), *, fresh: bool = False
    ) -> list[Run]:
        """Runs near some arguments; inputs numbered in `free` do not stay symmetric, `fresh` ones change signs."""
        found: list[Run] = []
        for number in range(count):
            for spread in SPREADS:
                rng = np.random.default_rng([seed, number])
                run = self._try(near(args, self.argnum, rng, spread, free, fresh=fresh))
                if run is not None:
                    found.append(run)
                    break
        return found

    def _try(self, args: Sequence[Any]) -> Run | None:
        """A run, if the function and its derivative exist there: at points nobody asked for it may end in anything."""
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                run = self._run(args, LONGER * (self.here.calls + FEW_CALLS))
                finite = run.out_shape == self.here.out_shape and bool(np.isfinite(run.tensor).all())
        except (Exception, SystemExit):
            return None
        return run if finite else None

    def claimed(self, run: Run) -> Array:
        """The claim at a point, as it stands; stacked over the upstreams for a downstream claim."""
        found = self._claimed(run)
        if found.dtype.kind == "c" and run.tensor.dtype.kind != "c":
            what = "claim=C.real" if isinstance(self.claim, reading.Values) else "take the real part"
            headline = f"the claim holds complex numbers, but {self.axes.quotient} is real"
            raise DTypeError(report(headline, fix=f"{what}, if nothing is lost"))
        return found

    def _claimed(self, run: Run, shake: rounding.Shake | None = None) -> Array:
        found = self._as_claimed(run, shake)
        return reading.checked(found) if np.isfinite(run.tensor).all() else found

    def _as_claimed(self, run: Run, shake: rounding.Shake | None) -> Array:
        shapes, args, values = (run.out_shape, run.wrt.shape), run.args, {**self.here.captured, **run.values}
        if self.kind == "hessian":  # there y is the value, not the first derivative
            values = {"y": np.asarray(self.given(*run.args, **self.kwargs)), **values}
        if shake is not None:
            args, values = rounding.given(shake, args, values, (*run.input_names, *run.captured))
        if self.upstream is None:
            found = self.claim.at(args, values, shapes, None)
        else:
            upstream = self.upstream if shake is None else Downstream(self.claim)  # what is shaken is not judged
            found = upstream.stacked(args, values, shapes)
        spoken = self.spoken(run)
        return found if spoken is None else np.where(spoken, found, run.tensor)

    def spoken(self, run: Run) -> Array | None:
        """Of which entries the claim speaks, where it does not of others that are not zero."""
        if not isinstance(self.claim, reading.Formula):
            return None
        spoken = self.claim.spoken(run.out_shape, run.wrt.shape)
        return None if spoken is None or not np.any(run.tensor[~spoken]) else spoken

    def claimed_near(self, run: Run) -> Array | None:
        """The same where it may be that the claim cannot be evaluated."""
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                return self.claimed(run)
        except Exception:
            return None

    # -- comparing --------------------------------------------------------------------------------------------------

    def layouts(self, claimed: Array) -> list[Layout]:
        """The layouts that the claim may be in."""
        out, into = self.here.out_shape, self.here.wrt.shape
        if self.claim.is_exact:
            return [Layout(NUMERATOR, lambda C: C, "C")]
        if self.downstream:
            return layouts.downstream_layouts(claimed.shape[len(out) :], out, into)
        return layouts.layouts(claimed.shape, out, into, self.wanted_layout)

    def wrong(self, run: Run, layout: Layout, tensor: Array) -> Array:
        """Which entries of a claim, brought from a layout to the full tensor, differ from the truth at a point."""
        shape = prod(run.out_shape), prod(run.wrt.shape)
        if self.claim.moves:  # beside an infinite entry, δ times infinity
            tensor = np.where(np.isnan(tensor) & np.isfinite(run.tensor), 0.0, tensor)
        return self.tolerance(tensor, run.tensor).wrong(
            tensor.reshape(shape), run.tensor.reshape(shape), lambda beyond: self.rounding(run, layout, beyond)
        )

    def rounding(self, run: Run, layout: Layout, beyond: Array) -> Array:
        """How far rounding may have moved the entries of truth and claim together, as a matrix like `beyond`."""
        key = id(run)
        if key not in self._roundings:  # the run is kept with it, so that no other gets its id
            self._roundings[key] = run, rounding.of_truth(run), self._rounding_of_claim(run)
        _, truth, claimed = self._roundings[key]
        found = rounding.enough(truth, claimed, lambda found: layout.expand(found).reshape(beyond.shape), beyond)
        if self.claim.moves:
            return found
        return found + rounding.unseen(run, layout.expand(self._claimed(run)).reshape(beyond.shape))

    def is_rounding(self, layout: Layout) -> bool:
        """Whether no entry at the given point is larger than what rounding leaves of it, as far as this was asked."""
        known, size = self._roundings.get(id(self.here)), np.abs(self.here.tensor)
        return known is not None and bool(np.all(size <= rounding.enough(*known[1:], layout.expand, size)))

    def _rounding_of_claim(self, run: Run) -> Rounding | None:
        """The same for the claim as it stands; None where it is numbers alone, which do not say how they came about."""
        plain = self.claimed_near(run) if self.claim.moves else None
        return None if plain is None else Rounding(partial(self._claimed, run), plain)

    def tolerance(self, claimed: Array, true: Array) -> Tolerance:
        """How far entries may be off."""
        return Tolerance(self.rtol, claimed.dtype, true.dtype)

    def is_right(self, run: Run) -> bool:
        """Whether the claim is right at a point, in some layout."""
        claimed = self.claimed_near(run)
        if claimed is None:
            return False
        return any(not self.wrong(run, layout, layout.expand(claimed)).any() for layout in self.layouts(claimed))

    def kink(self, run: Run, claimed: Array, off: Array) -> Kink | None:
        """The kink on which the entries that are off lie; None where there is none at that point."""
        columns = np.flatnonzero(off.any(axis=0))
        if not columns.size:
            return None
        beside = Beside(run, self.argnum, self._try, self.kinks_here, self.axes.names)
        around = beside.around(columns, claimed.reshape(off.shape))
        return None if around is None else Kink(beside, around, claimed.reshape(off.shape), off)

    @cached_property
    def kinks_here(self) -> tuple[str, ...]:
        """What is told of the kinks at the given point."""
        with kinks_noted() as told:
            np.asarray(self.here.tensor)
        return tuple(dict.fromkeys(told))

    # -- conditions -------------------------------------------------------------------------------------------------

    def condition(self, layout: Layout) -> str:
        """For which inputs alone a right claim is right."""
        if not self.claim.moves:
            return ""
        return "\n".join(filter(None, (self._when_symmetric(layout), self._on_branch(layout))))

    def _on_branch(self, layout: Layout) -> str:
        """On which side of its kinks the function has the derivative that is claimed."""

        def is_off(run: Run) -> Array | None:
            claimed = self.claimed_near(run)
            if claimed is None:
                return None
            tensor = layout.expand(claimed)
            kink = self.kink(run, tensor, self.wrong(run, layout, tensor))
            return np.asarray(np.abs((tensor if kink is None else kink.accepted) - run.tensor))

        return holds_where(self.here, self.argnum, self._try, is_off)

    def branch_apart(self, right: Sequence[Run], wrong: Sequence[Run]) -> str:
        """On which branch alone a claim is right that is wrong at some points: those must all lie on other ones."""
        is_here = any(not apart(self.here, [run]) for run in right if run is not self.here)
        return apart(self.here, wrong) if is_here else ""

    def _when_symmetric(self, layout: Layout) -> str:
        """For inputs that stay symmetric near the given point."""
        names = [
            self.here.input_names[number]
            for number, value in enumerate(self.args)
            if is_symmetric(value) and not self._holds(layout, number)
        ]
        return f"for symmetric {' and '.join(names)}; for others it is wrong" if names else ""

    def _holds(self, layout: Layout, number: int) -> bool:
        """Whether the claim is still right when one input is not symmetric any more."""
        for run in self.near(self.args, 1, seed=7, free=(number,)):
            other = self.claimed_near(run)
            if other is not None and self.wrong(run, layout, layout.expand(other)).any():
                return False
        return True

    def right_when_symmetric(self) -> str | None:
        """The square inputs that make a wrong claim right by being symmetric: one alone, or all."""
        if not self.claim.moves:
            return None
        square = [
            number
            for number, value in enumerate(self.args)
            if isinstance(value, np.ndarray) and value.ndim >= 2 and value.shape[-1] == value.shape[-2] > 1
        ]
        for numbers in [*([n] for n in square), *([square] if len(square) > 1 else [])]:
            args = list(self.args)
            for number in numbers:
                value = np.asarray(args[number], float)
                args[number] = (value + np.swapaxes(value, -1, -2)) / 2
            runs = self.near(args, 2, seed=3)
            if runs and all(map(self.is_right, runs)):
                return " and ".join(self.here.input_names[number] for number in numbers)
        return None


def brief(array: Array) -> str:
    """The first numbers of an array."""
    if not array.ndim:
        return f"{array:.6g}"
    return np.array2string(array.reshape(-1)[:3], precision=6) + ("" if array.size <= 3 else " …")
