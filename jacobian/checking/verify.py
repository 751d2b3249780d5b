"""`verify`: is a derivative from paper right, and if not, what slipped?"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from jacobian.checking import claims as reading
from jacobian.checking import paths, slips
from jacobian.checking.derivation import Run
from jacobian.checking.diagnosis import Diagnosis, Suspect, derivation_of, diagnose
from jacobian.checking.layouts import DENOMINATOR, NUMERATOR, Layout, accepted, downstream_layouts, layouts
from jacobian.checking.points import is_symmetric, near
from jacobian.checking.tolerance import Tolerance
from jacobian.checking.upstream import Downstream
from jacobian.checking.verdict import ELSEWHERE, RIGHT, WRONG, Entry, Verdict
from jacobian.checking.whole import Axes
from jacobian.errors import ArgumentError, JacobianError, ShapeError, report
from jacobian.functional import jacobian
from jacobian.tracing.run import numbers_of
from jacobian.tracing.surroundings import DIFFERENTIATES

Array = np.ndarray[Any, np.dtype[Any]]

KINDS = ("jacobian", "downstream", "hessian")
POINTS = 2
"""How many points near the given one a claim that can be evaluated there is compared at."""

SHRINK = (1.0, 0.1, 0.01)
LONG_FORMULA = 600


def verify(
    f: Callable[..., Any],
    *args: Any,
    claim: Any,
    argnums: int = 0,
    kind: str = "jacobian",
    layout: str | None = None,
    rtol: float | None = None,
    **kwargs: Any,
) -> Verdict:
    """Compare a derivative from paper with the true one: a verdict, and what slipped.

    Args:
        f: written in plain NumPy; returns one array.
        *args: the point. A claim that can be evaluated elsewhere is also compared near it.
        claim: an array in any layout; a function of the inputs (and of `y` and what `f` calls its intermediates) that
            returns one; index notation, `"dY[i,k]/dA[p,q] = δ[i,p] * B[q,k]"`; or an expression as text.
        argnums: the argument that is differentiated by; a formula says it itself.
        kind: `"jacobian"`; `"downstream"` for what the node hands on, a function of the upstream as well, checked for
            every upstream of a basis and for its linearity; `"hessian"` for the Jacobian of the Jacobian.
        layout: `"numerator"` or `"denominator"`, where only this one is to count.
        rtol: how far an entry may be off, 1e-6 unless given; say 1e-3 for numbers that were rounded.
        **kwargs: passed to `f`.

    Raises:
        ShapeError: the claim has a shape that no layout has.
        ExpressionError, LabelError: a formula that cannot be read, or with a name that is not known.
        NonFiniteError: the claim holds NaN or infinity.
        ArgumentError: the claim cannot be evaluated, or `f` does not give the same value twice.

    >>> import numpy as np, jacobian as jac
    >>> W, x = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.1, 0.2])
    >>> print(jac.verify(lambda W, x: np.tanh(W @ x), W, x, claim="dy[i]/dx[j] = W[i,j]", argnums=1))
    wrong: ∂y[i]/∂x[j], 0 of 4 entries are right (0 %)
      worst    ∂y[1]/∂x[1] = 4 is claimed, but it is 1.43...
               ∂y[1]/∂x[0] = 3 is claimed, but it is 1.07...
               ∂y[0]/∂x[1] = 2 is claimed, but it is 1.57...
      slip     factor left out
      why      At y = tanh(v2): its derivative is left out: multiply by ∂y[i]/∂v2[i] = 1 - y[i]**2.
      correct  ∂y[i]/∂x[j] = (1 - y[i]**2) * W[i,j]
    >>> bool(jac.verify(lambda A, B: A @ B, W, W, claim=lambda A, B, G: G @ B.T, kind="downstream"))
    True
    """
    return Case(f, args, kwargs, claim, argnums, kind, layout, rtol).verdict()


class Case:
    """A function, a point and a claim."""

    def __init__(
        self, f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], claim: Any, argnums: int, kind: str,
        layout: str | None, rtol: float | None,
    ) -> None:  # fmt: skip
        if kind not in KINDS:
            raise ArgumentError(report(f"verify: kind must be one of {', '.join(KINDS)}, not {kind!r}"))
        if layout not in (None, "numerator", "denominator"):
            raise ArgumentError(report(f"verify: layout must be 'numerator' or 'denominator', not {layout!r}"))
        if not isinstance(argnums, int | np.integer):
            raise ArgumentError(report(f"verify: argnums must be one whole number, not {argnums!r}"))
        (self.argnum,) = numbers_of(int(argnums), len(args))
        self.second_order = kind == "hessian" or hasattr(f, DIFFERENTIATES)
        self.f = jacobian(f, argnums=self.argnum) if kind == "hessian" else f
        self.args, self.kwargs, self.wanted_layout, self.rtol = tuple(args), kwargs, layout, rtol
        self.downstream = kind == "downstream"
        self.here = Run(self.f, self.args, kwargs, self.argnum)
        self._check_repeats()
        self.claim = reading.read(claim, self._names(self.here), downstream=self.downstream)
        if self.claim.argnum not in (None, self.argnum):
            self._differentiate_by(int(self.claim.argnum or 0), argnums)
        self.axes = Axes(self.here.out_shape, self.here.wrt.shape, (self.here.output_name, self.here.wrt.name))
        self.upstream = Downstream(self.claim) if self.downstream else None

    def _differentiate_by(self, argnum: int, given: int) -> None:
        if given != 0:
            raise ArgumentError(
                report(
                    f"the formula differentiates by {self.here.input_names[argnum]}, but argnums={given} is "
                    f"{self.here.input_names[self.argnum]}", fix=f"argnums={argnum}",
                )
            )  # fmt: skip
        self.argnum = argnum
        self.here = Run(self.f, self.args, self.kwargs, argnum)

    def _names(self, run: Run) -> reading.Names:
        inner = [node.name for node in run.trace.nodes if node.op is not None] + list(run.variables)
        return reading.Names(run.input_names, run.output_name, tuple(dict.fromkeys(inner)))

    def _check_repeats(self) -> None:
        """Differences of the function would say nothing if it does not give the same value twice."""
        first = np.asarray(self.here.values[self.here.output_name])
        again = Run(self.f, self.args, self.kwargs, self.argnum)
        second = np.asarray(again.values[again.output_name])
        if first.shape != second.shape or not np.array_equal(first, second):
            raise ArgumentError(
                report(
                    "verify: the function gives another value at every call",
                    got=f"{_brief(first)}, then {_brief(second)}",
                    fix="draw random numbers outside and pass them in, or seed the generator inside",
                )
            )

    # -- points -----------------------------------------------------------------------------------------------------

    @cached_property
    def others(self) -> list[Run]:
        """Runs near the given point, where the claim can be evaluated there."""
        return self._near(self.args, POINTS, seed=0) if self.claim.moves else []

    def _near(self, args: Sequence[Any], count: int, seed: int, free: Sequence[int] = ()) -> list[Run]:
        found: list[Run] = []
        for number in range(count):
            for shrink in SHRINK:
                rng = np.random.default_rng([seed, number])
                run = self._try(near(args, self.argnum, rng, 0.2 * shrink, free))
                if run is not None:
                    found.append(run)
                    break
        return found

    def _try(self, args: Sequence[Any]) -> Run | None:
        """A run, if the function and its derivative exist there."""
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                run = Run(self.f, args, self.kwargs, self.argnum)
                finite = run.out_shape == self.here.out_shape and bool(np.isfinite(run.tensor).all())
        except (JacobianError, ValueError, ArithmeticError, np.linalg.LinAlgError):
            return None
        return run if finite else None

    def claimed(self, run: Run) -> Array:
        """The claim at a point, as it stands; stacked over the upstreams for a downstream claim."""
        shapes = (run.out_shape, run.wrt.shape)
        if self.upstream is not None:
            return self.upstream.stacked(run, shapes)
        return self.claim.at(run.args, run.values, shapes, None)

    # -- the verdict ------------------------------------------------------------------------------------------------

    def verdict(self) -> Verdict:
        """Compare at the given point, then near it; say what slipped when it is wrong."""
        claimed = self.claimed(self.here)
        if self.upstream is not None and self.upstream.forgotten is not None:
            return self._wrong_without_layout(slips.UPSTREAM, self.upstream.forgotten, claimed)
        found = self._layouts(claimed)
        if not found:
            return self._of_impossible_shape(claimed)
        runs = [self.here]
        tensors = [[layout.expand(claimed) for layout in found]]
        for run in self.others:
            other = self._claimed_near(run)
            if other is not None and other.shape == claimed.shape:
                runs.append(run)
                tensors.append([layout.expand(other) for layout in found])
        wrong = [[self._wrong(run, tensor) for tensor in row] for run, row in zip(runs, tensors, strict=True)]
        unbalanced = self.claim.unbalanced
        for place, layout in enumerate(found):
            if not any(row[place].any() for row in wrong) and not unbalanced:
                return self._right(layout, len(runs))
        return self._wrong_verdict(found, runs, tensors, wrong, unbalanced)

    def _claimed_near(self, run: Run) -> Array | None:
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                return self.claimed(run)
        except (JacobianError, ValueError, ArithmeticError):
            return None

    def _layouts(self, claimed: Array) -> list[Layout]:
        out, into = self.here.out_shape, self.here.wrt.shape
        if self.claim.is_exact:
            return [Layout(NUMERATOR, lambda C: C, "C")]
        if self.downstream:
            return downstream_layouts(claimed.shape[len(out) :], out, into)
        found = layouts(claimed.shape, out, into)
        if self.wanted_layout is not None:
            name = {"numerator": NUMERATOR, "denominator": DENOMINATOR}[self.wanted_layout]
            found = [layout for layout in found if layout.name.startswith(name)]
        return found

    def _wrong(self, run: Run, tensor: Array) -> Array:
        tolerance = self._tolerance(tensor, run.tensor)
        rows, columns = prod(run.out_shape), prod(run.wrt.shape)
        noise = self._noise(run)
        return tolerance.wrong(tensor.reshape(rows, columns), run.tensor.reshape(rows, columns), noise)

    def _noise(self, run: Run) -> float:
        """How large the quotients of this function are where what cancels leaves rounding behind."""
        value = np.abs(np.asarray(run.values[run.output_name], float)).max(initial=0.0)
        size = np.abs(np.asarray(run.wrt.value, float)).max(initial=0.0)
        return float(value / size) if size > 0 else 0.0

    def _tolerance(self, claimed: Array, true: Array) -> Tolerance:
        return Tolerance(self.rtol, claimed.dtype, true.dtype)

    def _right(self, layout: Layout, points: int) -> Verdict:
        verdict = RIGHT if layout.is_standard else ELSEWHERE
        entries = self.here.tensor.size
        compared = "at the given point" if points == 1 else f"at {points} points"
        return Verdict(
            verdict, self.axes.quotient, self.axes.names, layout.name, layout.convert, self._condition(layout), entries,
            entries, compared=f"all {entries} entries {compared}" if entries != 1 else f"its entry {compared}",
        )  # fmt: skip

    def _condition(self, layout: Layout) -> str:
        """For which inputs alone the claim is right: those that stay symmetric near the given point."""
        if not self.claim.moves:
            return ""
        names = []
        for number, value in enumerate(self.args):
            if is_symmetric(value) and not self._holds(layout, number):
                names.append(self.here.input_names[number])
        return f"for symmetric {' and '.join(names)}; for others it is wrong" if names else ""

    def _holds(self, layout: Layout, number: int) -> bool:
        """Whether the claim is still right when one input is not symmetric any more."""
        for run in self._near(self.args, 1, seed=7, free=(number,)):
            other = self._claimed_near(run)
            if other is not None and self._wrong(run, layout.expand(other)).any():
                return False
        return True

    # -- what is wrong ------------------------------------------------------------------------------------------------

    def _wrong_verdict(
        self, found: Sequence[Layout], runs: Sequence[Run], tensors: Sequence[Sequence[Array]],
        wrong: Sequence[Sequence[Array]], unbalanced: tuple[str, ...],
    ) -> Verdict:  # fmt: skip
        diagnosis: Diagnosis | None
        place = int(np.argmin([np.count_nonzero(one) for one in wrong[0]]))
        everywhere = any(one.any() for one in wrong[0]) and all(one.any() for one in wrong[0])
        if unbalanced and not any(row[0].any() for row in wrong):
            labels = ", ".join(unbalanced)
            diagnosis = Diagnosis(
                (slips.NOT_SUMMED,),
                f"The label {labels} stands on the right alone and is not summed: write Σ_{labels} in front.",
            )
        elif not everywhere:
            diagnosis = Diagnosis(
                (slips.POINT_ONLY,), "The claim is right at the given point and wrong next to it: something in it is a number "
                "that should depend on the inputs.",
            )  # fmt: skip
            diagnosis = self._diagnose(runs[1:], tensors[1:]) or diagnosis
        else:
            several = runs[1:] if len(runs) > 2 else runs
            diagnosis = self._diagnose(several, tensors[1:] if len(runs) > 2 else tensors)
        if diagnosis is not None:
            place = diagnosis.layout
        shown = 0 if wrong[0][place].any() or len(runs) == 1 else 1
        return self._told(runs[shown], tensors[shown][place], wrong[shown][place], diagnosis)

    def _diagnose(self, runs: Sequence[Run], tensors: Sequence[Sequence[Array]]) -> Diagnosis | None:
        rows, columns = prod(self.axes.out), prod(self.axes.into)
        matrices = [[tensor.reshape(rows, columns).astype(float) for tensor in row] for row in tensors]
        suspect = Suspect(
            runs, matrices, self.axes, self._tolerance(tensors[0][0], runs[0].tensor),
            second_order=self.second_order, symmetric=self._right_when_symmetric,
        )  # fmt: skip
        return diagnose(suspect)

    def _right_when_symmetric(self) -> str | None:
        """The square inputs that make the claim right by being symmetric; each alone, then all."""
        if not self.claim.moves:
            return None
        square = [
            number for number, value in enumerate(self.args)
            if isinstance(value, np.ndarray) and value.ndim >= 2 and value.shape[-1] == value.shape[-2] > 1
        ]  # fmt: skip
        for numbers in [*([n] for n in square), *([square] if len(square) > 1 else [])]:
            args = list(self.args)
            for number in numbers:
                value = np.asarray(args[number], float)
                args[number] = (value + np.swapaxes(value, -1, -2)) / 2
            if all(self._is_right(run) for run in self._near(args, 2, seed=3)):
                return " and ".join(self.here.input_names[number] for number in numbers)
        return None

    def _is_right(self, run: Run) -> bool:
        claimed = self._claimed_near(run)
        if claimed is None:
            return False
        return any(not self._wrong(run, layout.expand(claimed)).any() for layout in self._layouts(claimed))

    def _told(self, run: Run, tensor: Array, wrong: Array, diagnosis: Diagnosis | None) -> Verdict:
        true, claimed = run.tensor, np.asarray(tensor)
        off = np.where(wrong, np.abs(claimed - true).reshape(wrong.shape), -1.0).reshape(-1)
        order = [int(k) for k in np.argsort(-off, kind="stable")[:10] if off[k] >= 0]
        outs = len(run.out_shape)
        worst = []
        for flat in order:
            index = tuple(map(int, np.unravel_index(flat, true.shape))) if true.shape else ()
            worst.append(Entry(index[:outs], index[outs:], float(claimed[index]), float(true[index])))
        return Verdict(
            WRONG, self.axes.quotient, self.axes.names, right_entries=int(wrong.size - np.count_nonzero(wrong)),
            entries=wrong.size, worst=tuple(worst), diagnosis=diagnosis, formula=self.formula,
            unexplained=self._unexplained(run, wrong) if diagnosis is None else "", note=self._note(claimed, true),
        )  # fmt: skip

    @cached_property
    def formula(self) -> str:
        """The truth in index notation; for a downstream claim what is handed on."""
        J = self.here.jacobian
        if self.downstream and not isinstance(self.here.of, np.ndarray):
            from jacobian.kernel.expression import Jacobian

            name = self.upstream.name if self.upstream is not None else "G"
            G = Jacobian.from_array(np.ones(self.here.out_shape), 0, name).named("L", self.here.output_name)
            J = (G @ J).named("L", self.here.wrt.name)
        text = J.formula
        return text if len(text) <= LONG_FORMULA else text[:LONG_FORMULA] + " …"

    def _unexplained(self, run: Run, wrong: Array) -> str:
        row, column = (int(k) for k in np.argwhere(wrong)[0]) if wrong.any() else (0, 0)
        head = "No single slip and no pair of slips explains the claim."
        D = derivation_of(run)
        if D is None:
            return head
        true = float(run.tensor.reshape(wrong.shape)[row, column])
        outs = len(run.out_shape)
        index = np.unravel_index(row * wrong.shape[1] + column, run.tensor.shape) if run.tensor.shape else ()
        entry = Entry(tuple(map(int, index[:outs])), tuple(map(int, index[outs:])), 0.0, true)
        from jacobian.checking.verdict import place

        return f"{head} The first wrong entry {place(self.axes.names, entry)} comes from:\n" + paths.explain(
            D, row, column, true
        )

    def _note(self, claimed: Array, true: Array) -> str:
        """Whether only the last digits are wrong."""
        scale = float(np.abs(true).max(initial=0.0))
        off = float(np.abs(claimed - true).max(initial=0.0))
        if not scale or off > 2e-3 * scale:
            return ""
        digits = int(-np.log10(off / scale)) if off else 6
        return (
            f"it agrees to {digits} digits of the largest entry; if it was rounded, give rtol=1e-{max(digits - 1, 1)}"
        )

    def _wrong_without_layout(self, slip: str, sentence: str, claimed: Array) -> Verdict:
        return Verdict(
            WRONG, self.axes.quotient, self.axes.names, entries=self.here.tensor.size, formula=self.formula,
            diagnosis=Diagnosis((slip,), sentence),
        )  # fmt: skip

    def _of_impossible_shape(self, claimed: Array) -> Verdict:
        """A shape that no layout has: a slip may explain it, such as an axis that is not summed; else it is an error."""
        from jacobian.checking.misshapen import explain

        outs = len(self.here.out_shape) if self.downstream else 0
        found = explain(self.here, claimed, self._tolerance(claimed, self.here.tensor), self.axes)
        if found is not None:
            return self._wrong_without_layout(found[0], found[1], claimed)
        shape = claimed.shape[outs:]
        if self.downstream:
            fix = f"return what has the shape of {self.here.wrt.name}, {self.here.wrt.shape}"
            raise ShapeError(report(f"the claim hands on an array of shape {shape}", got=shape, fix=fix))
        raise ShapeError(
            report(
                f"the claim has the shape {shape}, in which {self.axes.quotient} cannot be written",
                output=f"{self.here.output_name} {self.here.out_shape}",
                input=f"{self.here.wrt.name} {self.here.wrt.shape}",
                fix=f"one of {accepted(self.here.out_shape, self.here.wrt.shape)}",
            )
        )


def _brief(array: Array) -> str:
    return np.array2string(array.reshape(-1)[:3], precision=6) + ("" if array.size <= 3 else " …")
