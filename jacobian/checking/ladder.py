"""Differences over a ladder of steps: for every entry the estimate with the smallest error bar.

The steps of a column are powers of two, so that `x ± h` is exact. The ladder has a run of steps in ratio two and, far
below, a few small ones. Small steps are inaccurate, yet they know what happens close to the point: an estimate from
larger steps has to agree with all of them, within their noise. So neither oscillations that the large steps
miss nor kinks nearby are taken for smooth. Where the best estimate stands at an end of the run, the run is
extended there.

Source: C. J. F. Ridders, "Accurate computation of F′(x) and F′(x) F″(x)", Advances in Engineering Software 4 (1982)
75-76, for extrapolation with an error from neighbours in the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from jacobian.checking.noise import ROUNDING, noise_at
from jacobian.checking.probe import Array, Probe

RUN = 6
"""Steps in a run."""

FIRST = 2
"""The largest step of the first run is the size of the input, rounded down to a power of two, over 2**FIRST."""

ORDERS = 6
"""So often an estimate is extrapolated."""

ROUNDS = 9
"""So often a run is extended."""

NOISE_FACTOR = 4.0
"""Standard deviations of noise within an error bar."""

ONE_SIDED_FACTOR = 1.5
"""When the step is halved, a one-sided difference changes by about its error; a central one by three times that."""

SENTINELS = (0.3, 0.48, 0.68)
"""The small steps, as fractions of the digits that the input has."""


@dataclass(frozen=True)
class Kind:
    """A way to difference: whether at both sides, and how often it is extrapolated."""

    central: bool
    orders: int
    side: int = 1

    @property
    def power(self) -> int:
        """By which powers of the step the error of a plain difference goes."""
        return 2 if self.central else 1


KINDS = {"forward": Kind(False, 0), "central": Kind(True, 0), "richardson": Kind(True, ORDERS)}


@dataclass
class Found:
    """For every column and entry of the value: estimate, error bar, the step it rests on, and what is odd."""

    values: Array
    errors: Array
    steps: Array
    rounding: Array  # the part of the bar that is noise
    change: Array  # the larger of both one-sided differences at that step
    edges: Array  # whether a larger step (-1) or a smaller one (1) may be better
    kinks: Array
    left: Array
    right: Array
    one_sided: Array
    jumps: Array
    noise: Array  # of the values

    def put(self, columns: Array, other: Found) -> None:
        """Replace what is known of some columns."""
        for name, value in vars(self).items():
            value[columns] = getattr(other, name)


class Ladder:
    """Values of the function on both sides of the point, for some columns of one input."""

    def __init__(self, probe: Probe, moved: int, columns: Array, scales: Array, noise: Array) -> None:
        self.probe, self.moved, self.columns = probe, moved, columns
        self.noise = np.tile(noise, (len(columns), 1))
        self.noise_afar = self.noise  # of steps beyond the size of the input
        self.x = probe.inputs[moved].value.reshape(-1)
        self.scales = scales
        self.exponents = np.frexp(scales[columns])[1] - 1.0 - FIRST  # of the largest step, for every column
        self.levels: tuple[int, ...] = ()
        shape = (0, len(columns), probe.base.size)
        self.up, self.down = np.zeros(shape, probe.base.dtype), np.zeros(shape, probe.base.dtype)
        self.taken = np.zeros((0, len(columns), 2))  # the steps as the input's digits allow them, right and left

    @property
    def deepest(self) -> int:
        """Steps at lower levels are lost beside the input."""
        return int(np.finfo(self.x.dtype).nmant) - FIRST - 3

    @property
    def sentinels(self) -> tuple[int, ...]:
        """The levels of the small steps."""
        return tuple(sorted({int(self.deepest * part) for part in SENTINELS}))

    def steps(self) -> Array:
        """Every step, by level and column."""
        return np.asarray(np.mean(self.taken, axis=-1))

    @property
    def run(self) -> int:
        """How many levels follow each other from the first on."""
        gaps = np.flatnonzero(np.diff(self.levels) > 1)
        return int(gaps[0]) + 1 if gaps.size else len(self.levels)

    def extended(self, levels: Array, picked: Array) -> Ladder:
        """The ladder of the picked columns with further levels."""
        other = Ladder.__new__(Ladder)
        other.__dict__.update(self.__dict__)
        other.columns, other.exponents = self.columns[picked], self.exponents[picked]
        other.noise, other.noise_afar = self.noise[picked], self.noise_afar[picked]
        new = [level for level in sorted({*map(int, levels)}) if level not in self.levels and level <= self.deepest]
        rows = [other._at(level) for level in new]
        joined = [*self.levels, *new]
        if new and min(new) < 0:
            other.noise_afar = np.maximum(other.noise_afar, other._look_for_noise(min(new)))
        order = sorted(range(len(joined)), key=joined.__getitem__)
        other.levels = tuple(joined[k] for k in order)
        other.up = np.stack([*self.up[:, picked], *(row[0] for row in rows)])[order]
        other.down = np.stack([*self.down[:, picked], *(row[1] for row in rows)])[order]
        other.taken = np.stack([*self.taken[:, picked], *(row[2] for row in rows)])[order]
        return other

    def coarse(self, kind: Kind) -> Found:
        """What the first run alone says, whatever smaller steps do."""
        other = self.extended(np.array([], int), np.ones(len(self.columns), bool))
        first = [k for k, level in enumerate(self.levels) if 0 <= level < RUN]
        other.levels = tuple(self.levels[k] for k in first)
        other.up, other.down, other.taken = self.up[first], self.down[first], self.taken[first]
        return other.best(kind)

    def with_noise(self, noise: Array, picked: Array) -> Ladder:
        """The picked columns of a function whose values are known to be off by as much."""
        other = self.extended(np.array([], int), picked)
        other.noise = np.maximum(other.noise, noise[picked])
        other.noise_afar = np.maximum(other.noise_afar, other.noise)
        return other

    def _look_for_noise(self, level: int) -> Array:
        """The noise of every column one step away from the point."""
        found = []
        for column, exponent in zip(self.columns, self.exponents, strict=True):
            point, scales, step = self.x.copy(), self.scales.copy(), float(np.exp2(exponent - level))
            point[column] += self.x.dtype.type(step)
            scales[column] = max(step, scales[column])
            found.append(noise_at(self.probe, self.moved, point, scales))
        return np.stack(found)

    def _at(self, level: int) -> tuple[Array, Array, Array]:
        """Values to the right and to the left of every column by one step, and the steps taken."""
        moves = [
            [self._moved(int(column), side * float(np.exp2(exponent - level))) for side in (1.0, -1.0)]
            for column, exponent in zip(self.columns, self.exponents, strict=True)
        ]
        up, down = (np.stack([move[side][0] for move in moves]) for side in (0, 1))
        return up, down, np.array([[move[0][1], -move[1][1]] for move in moves])

    def _moved(self, column: int, step: float) -> tuple[Array, float]:
        point = self.x.copy()
        with np.errstate(over="ignore"):
            point[column] += self.x.dtype.type(step)
        taken = float(point[column] - self.x[column])
        if not abs(taken - step) <= 0.1 * abs(step):  # too small or too large for the dtype
            return np.full(self.probe.base.shape, np.nan, self.probe.base.dtype), step
        return self.probe(self.moved, point, f"moved by {step:.3g} in entry {column}"), taken

    def value_at(self, place: int, step: float) -> Array:
        """The value with one of the columns moved."""
        return self._moved(int(self.columns[place]), step)[0]

    # -- what differences say -------------------------------------------------------------------------------------

    def _rounding(self) -> Array:
        """Of every level: what a value may be off by; at least by what one digit of the input makes of it."""
        slopes = np.abs(self.up - self.down) / (2 * self.steps()[..., None])
        digit = np.abs(self.x[self.columns])[None, :, None] * slopes
        sizes = np.maximum(np.maximum(np.abs(self.up), np.abs(self.down)), np.maximum(digit, np.abs(self.probe.base)))
        sizes = np.where(np.isfinite(sizes), sizes, np.abs(self.probe.base))
        afar = np.array(self.levels)[:, None, None] < 0
        noise = np.where(afar, self.noise_afar, self.noise)
        return np.asarray(NOISE_FACTOR * np.maximum(noise, ROUNDING * self.probe.eps * sizes))

    def _differences(self, kind: Kind) -> tuple[Array, Array]:
        """The plain difference of every level, and its noise."""
        h, rounding = self.steps()[:, :, None], self._rounding()
        right, left = self._one_sided_differences()
        if kind.central:  # steps that differ from each other by a digit leave some of the curvature
            uneven = np.abs(self.taken[..., 0] - self.taken[..., 1])[:, :, None]
            return (self.up - self.down) / (2 * h), rounding / h + uneven * np.abs(right - left) / h
        return (right if kind.side > 0 else left), 2 * rounding / h

    def best(self, kind: Kind) -> Found:
        """The estimate with the smallest error bar, for every column and entry."""
        h = self.steps()
        D, N = self._differences(kind)
        shape = D.shape[1:]
        value, bar = np.full(shape, np.nan, D.dtype), np.full(shape, np.inf)
        noise, chosen = np.full(shape, np.inf), np.zeros(shape, int)
        row: list[tuple[Array, Array]] = [(D[0], N[0])]
        for level in range(1, len(self.levels)):
            row, (v, b, n) = self._extrapolate(kind, h, level, D, N, row)
            b = self._in_view_of_smaller_steps(h, level, D, N, v, b)
            better = b < bar
            value, bar = np.where(better, v, value), np.where(better, b, bar)
            noise, chosen = np.where(better, n, noise), np.where(better, level, chosen)
        steps = np.take_along_axis(h[:, :, None], chosen[None], axis=0)[0]
        return Found(
            value, bar, np.where(np.isfinite(bar), steps, np.nan), noise, self._change(chosen),
            self._edges(chosen, bar, noise), *self._kinks(h), np.zeros(shape, bool), np.zeros(shape, bool), self.noise,
        )  # fmt: skip

    def _extrapolate(
        self, kind: Kind, h: Array, level: int, D: Array, N: Array, above: list[tuple[Array, Array]]
    ) -> tuple[list[tuple[Array, Array]], tuple[Array, Array, Array]]:
        """One row of Neville's table; and of this row the best value, its bar, and the noise in that."""
        row = [(D[level], N[level])]
        best, noise = D[level], N[level]
        change = np.abs(D[level] - D[level - 1])
        if level > 1:  # two steps may agree by chance; three hardly do
            shrinks = (h[level - 1] / h[level])[:, None] ** kind.power
            change = np.fmax(change, np.abs(D[level - 1] - D[level - 2]) / shrinks)
        bar = (1 if kind.central else ONE_SIDED_FACTOR) * change + N[level]
        for order in range(min(level, kind.orders)):
            ratio = (h[level - order - 1] / h[level])[:, None] ** kind.power
            (value, rounding), (old, old_rounding) = row[order], above[order]
            new = value + (value - old) / (ratio - 1)
            new_rounding = (ratio * rounding + old_rounding) / (ratio - 1)
            row.append((new, new_rounding))
            spread = np.maximum(np.abs(new - value), np.abs(new - old)) + new_rounding
            better = spread < bar
            best, bar = np.where(better, new, best), np.where(better, spread, bar)
            noise = np.where(better, new_rounding, noise)
        return row, (best, np.where(np.isfinite(best) & np.isfinite(bar), bar, np.inf), noise)

    def _in_view_of_smaller_steps(self, h: Array, level: int, D: Array, N: Array, v: Array, b: Array) -> Array:
        """The bar, widened to what smaller steps say beyond their own noise and curvature."""
        curvature = np.abs(D[level] - v) / h[level][:, None]
        for lower in range(level + 1, len(self.levels)):
            off = np.abs(D[lower] - v)
            excess = off - b - 2 * N[lower] - curvature * h[lower][:, None]
            b = np.where(excess > 0, np.maximum(b, off), b)
        return b

    def _change(self, chosen: Array) -> Array:
        right, left = self._one_sided_differences()
        pick: Callable[[Array], Array] = lambda a: np.take_along_axis(np.abs(a), chosen[None], axis=0)[0]  # noqa: E731
        return np.fmax(np.fmax(pick(right), pick(left)), 0.0)

    def _one_sided_differences(self) -> tuple[Array, Array]:
        right, left = self.taken[..., :1], self.taken[..., 1:]
        return (self.up - self.probe.base) / right, (self.probe.base - self.down) / left

    def _edges(self, chosen: Array, bar: Array, noise: Array) -> Array:
        """-1 where the best step is the largest there is and noise rules, 1 where smaller steps say otherwise."""
        last = self.run - 1
        deepest = np.isfinite(self.up[-1]) & np.isfinite(self.down[-1])
        down = (chosen >= last) | ((bar > 2 * noise) & (chosen >= last - 1))
        down |= np.where(np.isinf(bar), deepest, bar > 64 * noise)
        up = (chosen <= ORDERS) & (bar <= 8 * noise) & np.isfinite(bar)
        return np.where(down, 1, np.where(up, -1, 0))

    def _kinks(self, h: Array) -> tuple[Array, Array, Array]:
        """Where one-sided differences disagree however small the step is; and both of them.

        At a kink the gap between them stays while the step shrinks; at a smooth point it shrinks with it.
        """
        right, left = self._one_sided_differences()
        gap = np.abs(right - left)
        clear = gap > 4 * self._rounding() / h[:, :, None]
        finest = len(gap) - 1 - np.argmax(clear[::-1], axis=0)
        before = np.maximum(finest - 1, 0)
        at: Callable[[Array, Array], Array] = lambda a, k: np.take_along_axis(a, k[None], axis=0)[0]  # noqa: E731
        size, r, l_ = at(gap, finest), at(right, finest), at(left, finest)
        stays = (at(gap, before) <= size / 0.75) & (at(gap, before) >= 0.75 * size)
        stays &= (np.abs(at(right, before) - r) <= 0.25 * size) & (np.abs(at(left, before) - l_) <= 0.25 * size)
        blurred = 4 * self._rounding() / h[:, :, None]  # what would have hidden the gap at smaller steps
        below = np.arange(len(gap))[:, None, None] > finest[None]
        hidden = np.where(below & np.isfinite(gap), gap + blurred < 0.5 * size, False).any(axis=0)
        return clear.any(axis=0) & (finest > 0) & stays & ~hidden, l_, r
