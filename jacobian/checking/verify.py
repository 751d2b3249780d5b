"""`verify`: is a derivative from paper right, and if not, what slipped?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jacobian.checking import infinite, wrong
from jacobian.checking.case import Case
from jacobian.checking.kinked import Kink, kinks_noted
from jacobian.checking.layouts import Layout
from jacobian.checking.verdict import ELSEWHERE, RIGHT, Verdict
from jacobian.errors import ArgumentError, report

LARGE = 2**24
"""So many entries are compared at other points only where the claim is right at the given one."""


def verify(
    f: Callable[..., Any],
    *args: Any,
    claim: Any = ...,
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
            returns one; index notation, `"dY[i,k]/dA[p,q] = δ[i,p] * B[q,k]"`, which speaks of some entries alone where
            its left side has numbers, `"dy[0]/dx[1] = 0"`; or an expression as text.
        argnums: the argument that is differentiated by; a formula says it itself.
        kind: `"jacobian"`; `"downstream"` for what the node hands on, a function of the upstream as well, checked for
            every upstream of a basis and for its linearity; `"hessian"` for the Jacobian of the Jacobian.
        layout: `"numerator"` or `"denominator"`, where only this one is to count.
        rtol: how far an entry may be off, relative to itself, 1e-6 unless given; 1e-3 for numbers that were rounded.
            What rounding leaves where large terms cancel is allowed besides.
        **kwargs: passed to `f`.

    Raises:
        ShapeError: the claim has a shape that no layout has.
        ExpressionError, LabelError: a formula that cannot be read, or with a name that is not known.
        NonFiniteError: the claim holds NaN or infinity where the whole derivative is finite.
        ArgumentError: the claim is missing or cannot be evaluated, or `f` does not give the same value twice.

    >>> import numpy as np, jacobian as jac
    >>> W, x = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.1, 0.2])
    >>> verdict = jac.verify(lambda W, x: np.tanh(W @ x), W, x, claim="dy[i]/dx[j] = W[i,j]")
    >>> bool(verdict), verdict.slip
    (False, 'factor left out')
    >>> print(verdict.diagnosis)
    At y = tanh(v1): its derivative is left out: multiply by ∂y[i]/∂v1[i] = 1 - y[i]**2.
    >>> bool(jac.verify(lambda A, B: A @ B, W, W, claim=lambda A, B, G: G @ B.T, kind="downstream"))
    True
    """
    if claim is ...:
        fix = "jac.verify(f, x, claim=C): an array without the name is an argument of f"
        raise ArgumentError(report("verify: there is no claim", arguments=len(args), fix=fix))
    case = Case(f, args, kwargs, claim, argnums, kind, layout, rtol)
    verdict = judge(case)
    if verdict or not case.is_ambiguous:
        return verdict
    return judge(Case(f, args, kwargs, claim, argnums, kind, layout, rtol, as_alone=True)) or verdict


def judge(case: Case) -> Verdict:
    """Compare at the given point, then near it; say what slipped when the claim is wrong."""
    with (
        kinks_noted(not_finite=True),
        np.errstate(all="ignore"),
    ):  # the verdict tells of them, and of what is not finite
        return _judged(case)


def _judged(case: Case) -> Verdict:
    told = case.kinks_here  # these are told of once, when the truth is computed
    claimed = case.claimed(case.here)
    if case.upstream is not None and case.upstream.forgotten is not None:
        return wrong.not_linear(case)
    found = case.layouts(claimed)
    if not found:
        return wrong.of_impossible_shape(case, claimed)
    runs = [case.here]
    tensors = [[layout.expand(claimed) for layout in found]]
    off = [[case.wrong(case.here, *one) for one in zip(found, tensors[0], strict=True)]]
    kinks = [case.kink(case.here, *one) for one in zip(tensors[0], off[0], strict=True)]
    for place, kink in enumerate(kinks):
        if kink is not None:  # what is as good as the truth counts as the truth
            tensors[0][place], off[0][place] = kink.accepted, off[0][place] & ~kink.good
    if case.here.tensor.size > LARGE and all(one.any() for one in off[0]):  # one point shows it, and takes a while
        return wrong.Wrong(case, found, runs, tensors, off, kinks).verdict(case.claim.unbalanced)
    for run in case.others:
        other = case.claimed_near(run)
        if other is not None and other.shape == claimed.shape:
            runs.append(run)
            tensors.append([layout.expand(other) for layout in found])
            off.append([case.wrong(run, *one) for one in zip(found, tensors[-1], strict=True)])
    unbalanced = case.claim.unbalanced
    for place, layout in enumerate(found):
        if not unbalanced and not any(row[place].any() for row in off):
            return _right(case, layout, len(runs), kinks[place], told)
    beside = wrong.Wrong(case, found, runs, tensors, off, kinks)
    for place, layout in enumerate(found):
        branch = "" if unbalanced else beside.branch(place)
        if branch:
            points = sum(not row[place].any() for row in off)
            return _right(case, layout, points, kinks[place], told, branch)
    return beside.verdict(unbalanced)


def _on_kink(kink: Kink | None, told: Sequence[str]) -> str:
    """On which kink the point lies, and by which convention the claim is right there."""
    if kink is not None:
        return f"on a kink, where {kink.rule}: {kink.note(kink.good)}"
    return f"on a kink: {'; '.join(told)}" if told else ""


def _right(
    case: Case, layout: Layout, points: int, kink: Kink | None, told: Sequence[str], branch: str = ""
) -> Verdict:  # fmt: skip
    spoken = case.spoken(case.here)
    entries = int(case.here.tensor.size if spoken is None else np.count_nonzero(spoken))
    nothing = "0" if not case.here.tensor.any() else "smaller than its rounding" if case.is_rounding(layout) else ""
    compared = "at the given point" if points == 1 else f"at {points} points"
    return Verdict(
        RIGHT if layout.is_standard else ELSEWHERE, case.axes.quotient, case.axes.names, layout.name, layout.convert,
        branch or case.condition(layout), entries, entries,
        note="\n".join(filter(None, (
            f"every entry is {nothing} here: another point would say more" if entries and nothing else "",
            f"nothing is claimed of the other {case.here.tensor.size - entries} entries" if spoken is not None else "",
            _on_kink(kink, told), infinite.as_claimed(case, None if kink is None else kink.good),
        ))),
        compared=f"all {entries} entries {compared}" if entries != 1 else f"its entry {compared}",
    )  # fmt: skip
