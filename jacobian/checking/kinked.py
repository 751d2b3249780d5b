"""On a kink: whether a claim that differs from what is taken there is as good as that.

Right beside a kink the function has one derivative or another. A claim on it is right where it is a mixture of these:
its row, along every direction, lies between the smallest and the largest of theirs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from jacobian.checking.derivation import Run
from jacobian.checking.verdict import Entry, place
from jacobian.errors import KinkWarning

Array = np.ndarray[Any, np.dtype[Any]]

BESIDE = 2.0**-30
"""How far beside the point, for inputs as large as they are: farther than rounding, nearer than anything bends."""

FIRST, DRAWN, MAX_COLUMNS, MAX_ENTRIES = 4, 32, 16, 2**16
DIRECTIONS = 24
NEAR = 1e-6
SHOWN = 3


@contextmanager
def kinks_noted() -> Iterator[list[str]]:
    """What kinks are warned of is told by whoever asked; all other warnings are given as ever."""
    found: list[str] = []
    others: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", KinkWarning)
            yield found
    finally:
        for one in caught:
            if issubclass(one.category, KinkWarning):
                found.append(str(one.message))
            else:
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

    def around(self, columns: Array) -> Array | None:
        """The derivatives around the point, stacked; None where there is no kink, or nothing can be said."""
        if not self.here.has_branches or self.here.tensor.dtype.kind == "c" or self.here.tensor.size > MAX_ENTRIES:
            return None
        rng = np.random.default_rng(23)
        drawn = rng.standard_normal((DRAWN, self.shape[1]))
        found = self._derivatives(drawn[:FIRST])
        if not self._differ(found) and not self.told:
            return None
        axes = np.eye(self.shape[1])[columns[:MAX_COLUMNS]]
        found += self._derivatives([*drawn[FIRST:], *axes, *-axes])
        return np.stack(found) if self._differ(found) else None

    def _derivatives(self, steps: Any) -> list[Array]:
        found = []
        for step in steps:
            moved = self.given + self.step * np.reshape(step, self.given.shape)
            run = self.at([*self.here.args[: self.argnum], moved, *self.here.args[self.argnum + 1 :]])
            if run is not None:
                found.append(run.tensor.reshape(self.shape))
        return found

    def _differ(self, found: list[Array]) -> bool:
        return bool(np.any(_spread(np.stack(found)))) if found else False


class Kink:
    """A claim on a kink: which of its entries may be what they are there, and what may be said of the others."""

    def __init__(self, beside: Beside, around: Array, claimed: Array, off: Array) -> None:
        self.beside, self.around, self.claimed = beside, around, claimed
        self.off, self.on = off, off & _spread(around)
        self.good = self.on & self._is_mixture[:, None]

    @property
    def accepted(self) -> Array:
        """The claim as a tensor, with the truth where it is as good."""
        true = self.beside.here.tensor
        return np.where(self.good.reshape(true.shape), true, self.claimed.reshape(true.shape))

    @cached_property
    def _is_mixture(self) -> Array:
        """Which rows of the claim lie between those of the derivatives beside the kink, along every direction."""
        columns = self.around.shape[-1]
        drawn = np.random.default_rng(29).standard_normal((columns, DIRECTIONS))
        along = np.concatenate([np.eye(columns), np.ones((columns, 1)), drawn], axis=1)
        elsewhere = self.off & ~self.on  # what is wrong there is another matter
        mixed = np.where(elsewhere, self.beside.here.tensor.reshape(self.off.shape), self.claimed)
        theirs, mine = self.around @ along, mixed @ along
        slack = NEAR * (np.abs(self.around).max(axis=0) @ np.abs(along))
        inside = (mine >= theirs.min(axis=0) - slack) & (mine <= theirs.max(axis=0) + slack)
        return np.asarray(inside.all(axis=1))

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
        return f"{where} is between {low:.6g} and {high:.6g}, {claimed:.6g} is claimed, {taken:.6g} is taken"


def _spread(around: Array) -> Array:
    """At which entries derivatives differ."""
    low, high = around.min(axis=0), around.max(axis=0)
    largest = np.abs(around).max(axis=0)
    return np.asarray(high - low > NEAR * largest)
