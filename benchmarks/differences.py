"""Are the error bars of `jac.finite_difference` honest? `python -m benchmarks.differences` counts.

Functions whose Jacobians are known in closed form: smooth, oscillating, badly scaled (inputs and outputs from 1e-8 to
1e8), float32, nearly singular and noisy ones. An entry counts as right when |value - truth| is within its error bar;
entries that are zero are left out, they are too easy. Beside it: SciPy's `scipy.differentiate.jacobian` on the same
functions, and how wide the bars are.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import jacobian as jac

GROUPS = ("smooth", "oscillating", "badly scaled", "float32", "nearly singular", "noisy")
METHODS = ("auto", "richardson", "central", "forward")
TARGET = 0.99


@dataclass(frozen=True)
class Case:
    group: str
    name: str
    f: Callable[[Any], Any]
    truth: Callable[[Any], Any]
    draw: Callable[[np.random.Generator], Any]
    reach: float = 0.25
    """Over which part of its input the function is a power series: the first step that SciPy is told."""


def _diagonal(slope: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: np.diag(slope(x))


def _normal(*shape: int, scale: float = 1.0) -> Callable[[np.random.Generator], Any]:
    return lambda rng: scale * rng.normal(size=shape)


def _between(low: float, high: float, size: int = 6) -> Callable[[np.random.Generator], Any]:
    return lambda rng: rng.uniform(low, high, size)


def _any_scale(rng: np.random.Generator) -> Any:
    return rng.choice([-1.0, 1.0], 6) * 10.0 ** rng.uniform(-8, 8, 6)


def _positive_of_any_scale(rng: np.random.Generator) -> Any:
    return np.abs(_any_scale(rng))


W = np.random.default_rng(7).normal(size=(5, 6))
UNEVEN = 10.0 ** np.linspace(-8, 8, 6)
NEAR = np.random.default_rng(8).normal(size=(4, 4))
NEAR[3] = NEAR[0] + NEAR[1] + 1e-6 * NEAR[3]  # of condition about 1e7


def _softmax(x: Any) -> Any:
    e = np.exp(x - x.max())
    return e / e.sum()


def _saturated(x: Any) -> Any:
    """The slope of the softmax, in extended precision: what is left of one minus nearly one."""
    p = _softmax(x.astype(np.longdouble))
    return np.diag(p * [np.delete(p, k).sum() for k in range(p.size)]) - np.outer(p, p) * (1 - np.eye(p.size))


def _adjugate(A: Any) -> Any:
    """The matrix of cofactors, transposed, in extended precision: of small matrices as good as exact."""
    B = np.zeros_like(A, np.longdouble)
    for i, j in np.ndindex(A.shape):
        a, b, c = np.delete(np.delete(A, i, 0), j, 1).astype(np.longdouble)
        B[j, i] = (-1) ** (i + j) * (a @ np.cross(b, c))
    return B


def _inverse(A: Any) -> Any:
    B = _adjugate(A)
    return B / (A[0].astype(np.longdouble) @ B[:, 0])


def _inverse_slope(A: Any) -> Any:
    B = _inverse(A)
    return -np.einsum("ij,kl->iljk", B, B)


def _solve_slope(A: Any) -> Any:
    B = _inverse(A)
    return -np.einsum("ij,k->ijk", B, B @ np.ones(4))


def _hilbert(rng: np.random.Generator) -> Any:
    return 1 / (np.arange(4)[:, None] + np.arange(4) + 1) + 1e-3 * rng.normal(size=(4, 4))


def _nearly_singular(rng: np.random.Generator) -> Any:
    return NEAR + 1e-9 * rng.normal(size=(4, 4))


def _seeded_noise(x: Any) -> Any:
    seeds = np.abs(np.asarray(x, complex).real).view(np.uint64)
    return 1e-6 * np.array([np.random.default_rng(int(seed)).normal() for seed in seeds])


def _of_single(case: Case) -> Case:
    """The same function of float32; the truth is that of the exact number, in float64."""
    draw, truth = case.draw, case.truth
    return Case(
        "float32", case.name, case.f, lambda x: truth(np.asarray(x, np.float64)),
        lambda rng: draw(rng).astype(np.float32),
    )  # fmt: skip


def _cases() -> Iterator[Case]:
    smooth = [
        ("sin", np.sin, _diagonal(np.cos), _normal(6)),
        ("exp", np.exp, _diagonal(np.exp), _normal(6)),
        ("tanh", np.tanh, _diagonal(lambda x: 1 / np.cosh(x) ** 2), _normal(6)),
        ("log", np.log, _diagonal(lambda x: 1 / x), _between(0.1, 3)),
        ("sqrt near 0.1", np.sqrt, _diagonal(lambda x: 0.5 / np.sqrt(x)), _between(0.05, 0.2)),
        ("cube", lambda x: x**3, _diagonal(lambda x: 3 * x**2), _normal(6)),
        ("Runge", lambda x: 1 / (1 + 25 * x**2), _diagonal(lambda x: -50 * x / (1 + 25 * x**2) ** 2), _normal(6)),
        ("softmax", _softmax, lambda x: np.diag(_softmax(x)) - np.outer(_softmax(x), _softmax(x)), _normal(6)),
        ("layer", lambda x: np.tanh(W @ x), lambda x: W / np.cosh(W @ x)[:, None] ** 2, _normal(6)),
        ("quadratic", lambda x: (x @ x) * x[:3], lambda x: (x @ x) * np.eye(3, 6) + 2 * np.outer(x[:3], x), _normal(6)),
        ("at zero", np.arctan, _diagonal(lambda x: 1 / (1 + x**2)), lambda rng: np.zeros(6)),
    ]
    for name, f, truth, draw in smooth:
        case = Case("smooth", name, f, truth, draw)
        yield case
        yield _of_single(case)
    for k in (30.0, 1e3, 1e5):
        slope = _diagonal(lambda x, k=k: k * np.cos(k * x))
        yield Case("oscillating", f"sin({k:g} x)", lambda x, k=k: np.sin(k * x), slope, _normal(6), 1 / k)
    yield Case(
        "oscillating",
        "chirp",
        lambda x: np.sin(100 * x**2),
        _diagonal(lambda x: 200 * x * np.cos(100 * x**2)),
        _normal(6),
        1e-3,
    )
    yield Case(
        "oscillating",
        "wave on a slope",
        lambda x: 1e3 * x + np.sin(1e3 * x),
        _diagonal(lambda x: 1e3 + 1e3 * np.cos(1e3 * x)),
        _normal(6),
        1e-3,
    )
    yield Case(
        "oscillating",
        "whole periods",
        lambda x: np.sin(2048 * np.pi * x),
        _diagonal(lambda x: 2048 * np.pi * np.cos(2048 * np.pi * x)),
        lambda rng: rng.integers(-64, 64, 6) / 64,
        1e-4,
    )
    for name, f, slope in (
        ("square", np.square, lambda x: 2 * x),
        ("log", lambda x: np.log(np.abs(x.real) if np.isrealobj(x) else x * np.sign(x.real)), lambda x: 1 / x),
        ("1/x", lambda x: 1 / x, lambda x: -1 / x**2),
        ("exp of small", lambda x: np.exp(x * 1e-8), lambda x: 1e-8 * np.exp(x * 1e-8)),
    ):
        yield Case("badly scaled", name, f, _diagonal(slope), _any_scale)
    yield Case("badly scaled", "sqrt", np.sqrt, _diagonal(lambda x: 0.5 / np.sqrt(x)), _positive_of_any_scale)
    yield Case(
        "badly scaled",
        "uneven rows",
        lambda x: UNEVEN[:5] * np.sin(W @ x),
        lambda x: UNEVEN[:5, None] * W * np.cos(W @ x)[:, None],
        _normal(6),
    )
    yield Case(
        "badly scaled",
        "uneven inputs",
        lambda x: np.tanh(W @ (x / UNEVEN)),
        lambda x: W / UNEVEN / np.cosh(W @ (x / UNEVEN))[:, None] ** 2,
        lambda rng: UNEVEN * rng.normal(size=6),
    )
    yield Case("badly scaled", "a large constant", lambda x: 1e8 + np.sin(x), _diagonal(np.cos), _normal(6))
    yield Case("badly scaled", "saturated softmax", _softmax, _saturated, _normal(6, scale=20), 0.02)
    yield Case("badly scaled", "small inputs", np.exp, _diagonal(np.exp), _normal(6, scale=1e-8))
    for name, draw, reach in (("Hilbert", _hilbert, 1e-5), ("condition 1e7", _nearly_singular, 3e-8)):
        yield Case("nearly singular", f"inverse, {name}", np.linalg.inv, _inverse_slope, draw, reach)
        yield Case(
            "nearly singular",
            f"solve, {name}",
            lambda A: np.linalg.solve(A, np.ones(4, A.dtype)),
            _solve_slope,
            draw,
            reach,
        )
        yield Case("nearly singular", f"det, {name}", np.linalg.det, lambda A: _adjugate(A).T, draw)
    yield Case(
        "nearly singular",
        "log close to 0",
        lambda x: np.log(x - 1),
        _diagonal(lambda x: 1 / (x - 1)),
        lambda rng: 1 + 10.0 ** rng.uniform(-8, -1, 6),
    )
    yield Case("noisy", "rounded", lambda x: np.round(np.sin(x), 6), _diagonal(np.cos), _normal(6))
    yield Case("noisy", "rounded to 3", lambda x: np.round(np.exp(x), 3), _diagonal(np.exp), _between(0.5, 3))
    yield Case("noisy", "seeded noise", lambda x: np.sin(x) + _seeded_noise(x), _diagonal(np.cos), _normal(6))
    yield Case(
        "noisy",
        "float32 within",
        lambda x: np.tanh(x.astype(np.float32)).astype(float) if np.isrealobj(x) else None,
        _diagonal(lambda x: 1 / np.cosh(x) ** 2),
        _normal(6),
    )


CASES = tuple(_cases())


@dataclass
class Count:
    """Entries, how many of them are within their error bars, and how wide these are."""

    entries: int = 0
    within: int = 0
    useless: int = 0
    bars: tuple[float, ...] = ()  # bar over error
    widths: tuple[float, ...] = ()  # bar over entry

    @property
    def share(self) -> float:
        return self.within / self.entries if self.entries else 1.0

    def add(self, other: Count) -> None:
        self.entries += other.entries
        self.within += other.within
        self.useless += other.useless
        self.bars += other.bars
        self.widths += other.widths


def count(values: Any, errors: Any, truth: Any, useless: Any) -> Count:
    counted = np.ravel(truth != 0)
    off, bars, sizes = (np.ravel(a)[counted] for a in (np.abs(values - truth), errors, np.abs(truth)))
    known, wide = (off > 0) & np.isfinite(bars), np.isfinite(bars)
    return Count(
        off.size, int(np.count_nonzero(off <= bars)), int(np.count_nonzero(np.ravel(useless)[counted])),
        tuple(map(float, bars[known] / off[known])), tuple(map(float, bars[wide] / sizes[wide])),
    )  # fmt: skip


def run(method: str, draws: int) -> dict[str, Count]:
    """By group, and by case within it."""
    found: dict[str, Count] = {}
    for number, case in enumerate(CASES):
        for draw in range(draws):
            x = case.draw(np.random.default_rng([number, draw]))
            d = jac.finite_difference(case.f, x, method=method)
            one = count(d.values, d.errors, case.truth(x), d.useless)
            for key in (case.group, f"{case.group}: {case.name}"):
                found.setdefault(key, Count()).add(one)
    return found


@dataclass
class Agreement:
    """Entries that SciPy gives; where both agree; where SciPy is as good as asked; and where it is and both agree.

    Beside that, with SciPy's own error bar in place of its tolerance: where both agree, and where that bar holds.
    """

    entries: int = 0
    agree: int = 0
    good: int = 0
    both: int = 0
    agree_by_bar: int = 0
    good_by_bar: int = 0


def scipy_agrees(draws: int) -> Agreement | None:
    """Ours against `scipy.differentiate.jacobian`: apart by no more than our bar and the tolerance SciPy is asked for.

    SciPy's own bar is how much its last step changed; of rounding it knows nothing, so it is asked for what the digits
    of the values allow. Its first step is the function's reach, which ours has to find.
    """
    try:
        from scipy.differentiate import jacobian
    except ImportError:
        return None
    found = Agreement()
    for number, case in enumerate(CASES):
        if case.group in ("float32", "noisy"):
            continue
        rtol = 1e-6 if case.group == "nearly singular" else 1.5e-8  # SciPy's own choice
        for draw in range(draws):
            x = case.draw(np.random.default_rng([number, draw]))

            def columns(points: Any, case: Case = case, x: Any = x) -> Any:
                one_by_one = [np.ravel(case.f(p.reshape(x.shape))) for p in points.reshape(x.size, -1).T]
                return np.stack(one_by_one, axis=-1).reshape(-1, *points.shape[1:])

            first = (np.where(x == 0, 2.0, np.abs(x)) * case.reach).ravel()
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                theirs = jacobian(columns, x.ravel(), initial_step=first, tolerances={"rtol": rtol})
            d, truth = jac.finite_difference(case.f, x), case.truth(x).reshape(theirs.df.shape)
            given = theirs.success & (truth != 0)
            tolerance = np.maximum(theirs.error, rtol * np.abs(theirs.df))
            close = np.abs(theirs.df - d.values.reshape(truth.shape)) <= d.errors.reshape(truth.shape) + tolerance
            good = np.abs(theirs.df - truth) <= tolerance
            strict = np.abs(theirs.df - d.values.reshape(truth.shape)) <= d.errors.reshape(truth.shape) + theirs.error
            found.agree_by_bar += int(np.count_nonzero(given & strict))
            found.good_by_bar += int(np.count_nonzero(given & (np.abs(theirs.df - truth) <= theirs.error)))
            found.entries += int(np.count_nonzero(given))
            found.agree += int(np.count_nonzero(given & close))
            found.good += int(np.count_nonzero(given & good))
            found.both += int(np.count_nonzero(given & close & good))
    return found


def _row(name: str, one: Count) -> str:
    bars = f"{np.median(one.bars):8.1f}" if one.bars else "       –"
    widths = f"{np.median(one.widths):9.1e}" if one.widths else "        –"
    return f"{name:<34} {one.entries:>7} {100 * one.share:>9.2f} % {bars:>12} {widths:>12} {one.useless:>8}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.differences", description=__doc__.partition("?")[0])
    parser.add_argument("--draws", type=int, default=10, help="points per function (default 10)")
    parser.add_argument("--all", action="store_true", help="a row for every function")
    options = parser.parse_args(argv)
    worst = 1.0
    for method in METHODS:
        found = run(method, options.draws)
        total = Count()
        print(f"{method:<34} {'entries':>7} {'within bar':>11} {'bar/error':>12} {'bar/entry':>12} {'useless':>8}")
        for key, one in found.items():
            if key in GROUPS:
                total.add(one)
            if key in GROUPS or options.all:
                print(_row(f"  {key}", one))
        print(_row("  all", total))
        worst = min(worst, total.share) if method in ("auto", "richardson") else worst
    theirs = scipy_agrees(max(1, options.draws // 2))
    share = 1.0
    if theirs is not None:
        share = theirs.agree / theirs.entries
        of = lambda part, whole: f"{100 * part / whole:.2f} %"  # noqa: E731
        print(
            f"scipy.differentiate.jacobian: {of(theirs.agree, theirs.entries)} of {theirs.entries} entries agree within"
        )
        print(f"  our error bar and the tolerance SciPy is asked for (wanted: {100 * TARGET:.0f} %); SciPy is right")
        print(f"  within it in {of(theirs.good, theirs.entries)}, and {of(theirs.both, theirs.good)} of those agree;")
        print(f"  by SciPy's own error bars {of(theirs.agree_by_bar, theirs.entries)} agree,", end=" ")
        print(f"as these hold in {of(theirs.good_by_bar, theirs.entries)}")
    print(
        f"closed forms: with auto and Richardson at least {100 * worst:.2f} % of the entries are within their own "
        f"error bars (wanted: {100 * TARGET:.0f} %)"
    )
    return 0 if min(worst, share) >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
