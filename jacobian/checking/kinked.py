"""On a kink: whether a claim that differs from what is taken there is as good as that.

Right beside a kink the function has one derivative or another. A claim on it is right where it is a mixture of these.
Where few different ones are found the weights of the mixture are looked for. Where there are many it is looked at row
by row: a row is a mixture if along every direction it lies between the smallest and the largest of theirs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np

from jacobian.checking.derivation import Run
from jacobian.checking.mixtures import NEAR, blocks, distinct, is_mixture
from jacobian.checking.verdict import Entry, place
from jacobian.errors import KinkWarning, NonFiniteWarning

Array = np.ndarray[Any, np.dtype[Any]]

BESIDE = 2.0**-30
"""How far beside the point, for inputs as large as they are; and then nearer, to see what stays."""

NEARER = 2.0**-12
"""So many times nearer: at a kink the gap between derivatives stays, where a function bends it shrinks."""

STAYS, VANISHES = 0.1, 0.02
"""A gap that changes by a tenth does not stay; what becomes fifty times smaller goes to zero."""

FIRST, DRAWN, MAX_COLUMNS, MAX_ROWS, MAX_ENTRIES = 4, 32, 16, 8, 2**16
SHOWN = 3

MIXED = "any mixture of the derivatives beside it is right"
PART_BY_PART, ROW_BY_ROW = (f"{MIXED}, which is looked at {part} by {part}" for part in ("part", "row"))
"""How it is looked at where too many derivatives lie beside the point: parts have no row and no column in common."""


@contextmanager
def kinks_noted(*, not_finite: bool = False) -> Iterator[list[str]]:
    """What kinks are warned of is told by whoever asked, and what is not finite; other warnings are given as ever."""
    found: list[str] = []
    others: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", KinkWarning)
            warnings.simplefilter("always", NonFiniteWarning)
            yield found
    finally:
        for one in caught:
            if issubclass(one.category, KinkWarning):
                found.append(str(one.message))
            elif not (not_finite and issubclass(one.category, NonFiniteWarning)):
                others.append(one)
    for one in others:
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


class Beside:
    """The derivatives that a function has right beside a point: one where it is smooth, several where it has a kink."""

    def __init__(
        self, here: Run, argnum: int, at: Callable[[Sequence[Any]], Run | None], told: Sequence[str],
        names: tuple[str, str],
    ) -> None:  # fmt: skip
        self.here, self.argnum, self.at, self.told, self.names = here, argnum, at, told, names
        self.shape = prod(here.out_shape), prod(here.wrt.shape)
        given = np.asarray(here.args[argnum])
        self.given = given.astype(np.result_type(given, np.float64)) if given.dtype.kind != "c" else given
        self.step = BESIDE * (float(np.abs(self.given).max(initial=0.0)) or 1.0)

    def around(self, columns: Array, claimed: Array) -> Array | None:
        """The derivatives around the point, stacked; None where there is no kink, or nothing can be said.

        Entries without a kink are what they are at the point. One that has no value there is what it is around it,
        and stays NaN where it does not come to anything.
        """
        true = self.here.tensor.reshape(self.shape)
        unknown = bool(np.isnan(true).any())
        if true.dtype.kind == "c" or true.size > MAX_ENTRIES or not (unknown or self.here.has_branches):
            return None
        drawn = np.random.default_rng(23).standard_normal((DRAWN, self.shape[1]))
        first = [one for one in self._derivatives(drawn[:FIRST], NEARER) if one is not None]
        if not first or not (unknown or self.told or np.any(_spread(np.stack(first)))):
            return None
        axes = np.eye(self.shape[1])[columns[:MAX_COLUMNS]]
        self.along = np.concatenate([drawn, axes, *self._towards(claimed)])
        steps = np.concatenate([self.along, -self.along])
        pairs = zip(self._derivatives(steps, NEARER), self._derivatives(steps, 1.0), strict=True)
        both = [(near, far) for near, far in pairs if near is not None and far is not None]
        return _settled(true, *(np.stack(one) for one in zip(*both, strict=True))) if both else None

    def _towards(self, claimed: Array) -> list[Array]:
        """Along what a row claims it is farthest from what it may be: so the directions of some rows are looked at."""
        rows = claimed[np.isfinite(claimed).all(axis=1) & claimed.any(axis=1)][:MAX_ROWS]
        return [row[None] / np.abs(row).max() for row in rows]

    def _derivatives(self, steps: Any, times: float) -> list[Array | None]:
        found: list[Array | None] = []
        for step in steps:
            moved = self.given + times * self.step * np.reshape(step, self.given.shape)
            run = self.at([*self.here.args[: self.argnum], moved, *self.here.args[self.argnum + 1 :]])
            found.append(None if run is None else run.tensor.reshape(self.shape))
        return found


def _settled(true: Array, near: Array, far: Array) -> Array:
    """What the derivatives beside a point go to: those of the nearer steps, where the gap between them stays."""
    gap, wider = np.ptp(near, axis=0), np.ptp(far, axis=0)
    size, larger = np.abs(near).max(axis=0), np.abs(far).max(axis=0)
    stays = _spread(near) & (np.abs(gap - wider) <= STAYS * gap)
    calm = np.isnan(true) & (np.abs(near - far).max(axis=0) <= STAYS * size)
    found = np.where(stays | calm, near, true)
    return np.where(np.isnan(true) & (size <= VANISHES * larger), 0.0, found)


class Kink:
    """A claim on a kink: which of its entries may be what they are there, and what may be said of the others."""

    def __init__(self, beside: Beside, around: Array, claimed: Array, off: Array) -> None:
        self.beside, self.around, self.claimed = beside, around, claimed
        true = beside.here.tensor.reshape(off.shape)
        self.many = np.isfinite(around).all(axis=0) & (_spread(around) | np.isnan(true))
        self.off, self.on = off, off & self.many
        self.rule = MIXED
        self.good = self.on & self._mixed()

    @property
    def accepted(self) -> Array:
        """The claim as a tensor, with the truth where it is as good."""
        true = self.beside.here.tensor
        known = self.good.reshape(true.shape) & np.isfinite(true)
        return np.where(known, true, self.claimed.reshape(true.shape))

    def _mixed(self) -> Array:
        """Which entries belong to a mixture: all together, or part by part where too many derivatives lie beside."""
        whole = self._weighed(self.many)
        if whole is not None:
            return np.full(self.off.shape, whole)
        good = np.zeros(self.off.shape, bool)
        parts = list(blocks(self.many))
        self.rule = PART_BY_PART if len(parts) > 1 else MIXED
        for block in parts:
            if not np.any(block & self.off):
                continue
            found = self._weighed(block)
            if found is None and np.count_nonzero(block.any(axis=1)) > 1:
                self.rule = ROW_BY_ROW
            good |= block & (self._row_by_row(block)[:, None] if found is None else found)
        return good

    def _weighed(self, part: Array) -> bool | None:
        """Whether some entries belong to one mixture; None where not all derivatives beside are known."""
        points, complete = distinct(self.around[:, part])
        if not complete or not np.isfinite(self.claimed[part]).all():
            return None
        return is_mixture(points, self.claimed[part])

    def _row_by_row(self, part: Array) -> Array:
        """Which rows lie between those of the derivatives beside the kink, along every direction."""
        along = np.concatenate([np.eye(self.around.shape[-1]), self.beside.along]).T
        around, claimed = np.where(part, self.around, 0.0), np.where(part, self.claimed, 0.0)
        theirs, mine = around @ along, claimed @ along
        slack = NEAR * (np.abs(around).max(axis=0) @ np.abs(along))
        inside = (mine >= theirs.min(axis=0) - slack) & (mine <= theirs.max(axis=0) + slack)
        return np.asarray(inside.all(axis=1))

    def reason(self, chosen: Array) -> str:
        """Why entries are wrong there: one is not between the derivatives beside it, or all are and are no mixture."""
        low, high = self.around.min(axis=0), self.around.max(axis=0)
        slack = NEAR * np.maximum(np.abs(low), np.abs(high))
        inside = (self.claimed >= low - slack) & (self.claimed <= high + slack)
        if not np.all(inside[chosen]):
            return f"{self.rule}: {self.note(chosen)}"
        return f"{self.rule}; the entries lie between these, but together they are no mixture: {self.note(self.many)}"

    def note(self, chosen: Array) -> str:
        """Where the kink is, what is claimed there and what is taken."""
        flat = np.flatnonzero(chosen)
        entries = [self._entry(int(k)) for k in flat[:SHOWN]]
        more = f" and {len(flat) - SHOWN} more" if len(flat) > SHOWN else ""
        told = f" ({'; '.join(self.beside.told)})" if self.beside.told else ""
        return f"{'; '.join(entries)}{more}{told}"

    def _entry(self, flat: int) -> str:
        here = self.beside.here
        row, column = divmod(flat, self.around.shape[-1])
        out, into = (tuple(map(int, np.unravel_index(k, shape))) if shape else ()
                     for k, shape in ((row, here.out_shape), (column, here.wrt.shape)))  # fmt: skip
        beside = self.around[:, row, column]
        beside = np.where(np.abs(beside) <= NEAR * np.abs(beside).max(), 0.0, beside)  # the step beside bends a little
        low, high = float(beside.min()), float(beside.max())
        taken = float(here.tensor.reshape(self.claimed.shape)[row, column])
        claimed = float(self.claimed[row, column])
        where = place(self.beside.names, Entry(out, into, claimed, taken))
        between = f"{low:.6g} beside it" if low == high else f"between {low:.6g} and {high:.6g}"
        told = "the chain rule gives no value" if np.isnan(taken) else f"{taken:.6g} is taken"
        return f"{where} is {between}, {claimed:.6g} is claimed, {told}"


def _spread(around: Array) -> Array:
    """At which entries derivatives differ."""
    low, high = around.min(axis=0), around.max(axis=0)
    largest = np.abs(around).max(axis=0)
    return np.asarray(high - low > NEAR * largest)
