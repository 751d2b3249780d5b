"""Our Jacobian against differences, entry by entry: what agrees, what differs, what cannot be told.

`jac.check`, its nodes and the command line all judge here.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from jacobian.checking.measured import Measured
from jacobian.checking.measuring import Progress, measure
from jacobian.checking.probe import Array, Probe, indexed
from jacobian.errors import JacobianError, JacobianWarning
from jacobian.functional import jacobian
from jacobian.kernel.expression import Jacobian
from jacobian.tracing.tree import leaves

FULL_ENTRIES, FULL_COLUMNS = 2**22, 2**14
"""Up to this many entries and columns every one is compared; beyond, columns drawn at random are."""

SAMPLED_ENTRIES, SAMPLED_COLUMNS = 2**21, 16

ROUNDING = 64
"""So many last digits a Jacobian may be off, beside the largest entries of its row."""

NEIGHBOURS = 4
"""Where entries differ, our Jacobian is taken at so many points a digit away: what it scatters there is rounding."""

SURELY = 10
"""Where an error bar is useless, a difference counts when it is so many times larger."""


@dataclass(frozen=True)
class Columns:
    """Which columns are compared, and how that is told."""

    picked: Array
    places: Array
    full: bool
    total: int

    @property
    def extent(self) -> str:
        """`16 of 100000 columns, drawn at random`; empty when all are."""
        return "" if self.full else f"{len(self.picked)} of {self.total} columns, drawn at random"


def columns_of(J: Jacobian, entries: int = FULL_ENTRIES, columns: int = FULL_COLUMNS) -> Columns:
    """All columns, or some where all would be too many."""
    total, rows = prod(J.in_shape), prod(J.out_shape)
    full = J.size <= entries and total <= columns
    if full:
        picked = np.arange(total)
    else:
        count = max(1, min(SAMPLED_COLUMNS, total, SAMPLED_ENTRIES // max(rows, 1)))
        picked = np.sort(np.random.default_rng(0).choice(total, size=count, replace=False))
    places = np.stack(np.unravel_index(picked, J.in_shape), axis=-1) if J.in_shape else np.zeros((1, 0), int)
    return Columns(picked, places, full, total)


@dataclass(frozen=True)
class Judged:
    """What comparing showed; every array by entry of the output, flat, and compared column."""

    name: tuple[str, str]
    J: Jacobian
    columns: Columns
    ours: Array
    theirs: Array
    errors: Array
    difference: Array
    differ: Array
    undecided: Array
    kinks: Array  # where ours lies between both sides
    at_kinks: Array
    left: Array
    right: Array
    method: str
    reason: str

    @property
    def agreed(self) -> int:
        """How many entries agree."""
        return self.ours.size - int(np.count_nonzero(self.differ | self.undecided | self.kinks))

    def bars_off(self, place: tuple[int, int]) -> float:
        """How many error bars an entry is off; at a kink, how many beyond both sides."""
        half = float(abs(self.right[place] - self.left[place])) / 2 if self.at_kinks[place] else 0.0
        bar = float(self.errors[place]) - half
        return (float(self.difference[place]) - half) / bar if bar > 0 else np.inf

    @property
    def worst(self) -> list[tuple[int, int]]:
        """Places of entries, the largest differences first: of those that differ, if any do."""
        mask = self.differ if self.differ.any() else ~(self.undecided | self.kinks)
        size = np.nan_to_num(self.difference, nan=np.inf)
        flat = np.flatnonzero(mask)
        order = np.argsort(-size.ravel()[flat], kind="stable")
        return [divmod(int(k), self.ours.shape[1]) for k in flat[order[:16]]]

    def index(self, place: tuple[int, int]) -> tuple[int, ...]:
        """The two index vectors of an entry, one after the other."""
        row = np.unravel_index(place[0], self.J.out_shape) if self.J.out_shape else ()
        return (*map(int, row), *map(int, self.columns.places[place[1]]))

    def entry(self, place: tuple[int, int]) -> str:
        """`∂y[0]/∂x[1, 2]`."""
        index, split = self.index(place), len(self.J.out_shape)
        return f"∂{indexed(self.name[0], index[:split])}/∂{indexed(self.name[1], index[split:])}"


def compare_columns(
    probe: Probe, moved: int, rows: slice, J: Jacobian, columns: Columns, measured: Measured,
    rtol: float | None = None, atol: float = 0.0,
) -> Judged:  # fmt: skip
    """Hold our Jacobian of the outputs `rows` against what was measured of the picked columns."""
    ours = _columns(J, columns)
    theirs, errors = measured.values[rows], measured.errors[rows]
    kinks, left, right = measured.kinks[rows], measured.left[rows], measured.right[rows]
    dtype = probe.inputs[moved].value.dtype if J.dtype.itemsize >= probe.inputs[moved].value.itemsize else J.dtype
    eps = float(np.finfo(dtype).eps)
    with np.errstate(invalid="ignore", over="ignore"):
        sizes = np.nan_to_num(np.abs(theirs))
        rounding = ROUNDING * eps * measured.natural[rows]
        allowed = atol + (np.sqrt(eps) if rtol is None else rtol) * sizes + rounding
        difference = np.abs(ours - theirs)
        within = difference <= allowed + errors
        useless = (measured.useless[rows] & (errors > rounding)) | ~np.isfinite(errors) | ~np.isfinite(theirs)
        surely = np.isfinite(difference) & (difference > SURELY * (allowed + errors))
    differ = np.where(useless & ~kinks, surely, ~within)  # at a kink the bar reaches from one side to the other
    return Judged(
        name=(J.names[0], J.names[1]), J=J, columns=columns, ours=ours, theirs=theirs, errors=errors,
        difference=difference, differ=differ, undecided=useless & ~differ & ~kinks, kinks=kinks & ~differ,
        at_kinks=kinks, left=left, right=right, method=measured.method, reason=measured.reason,
    )  # fmt: skip


def judge(
    probe: Probe, J: Jacobian, method: str, entries: int = FULL_ENTRIES, most: int = FULL_COLUMNS,
    rtol: float | None = None, atol: float = 0.0, progress: Progress = lambda _: None,
) -> Judged:  # fmt: skip
    """The same for a function of one input and one output."""
    columns = columns_of(J, entries, most)
    measured = measure(probe, 0, columns.picked, method, progress)
    return in_view_of_rounding(probe, [compare_columns(probe, 0, slice(None), J, columns, measured, rtol, atol)])[0]


def in_view_of_rounding(probe: Probe, judged: Sequence[Judged]) -> list[Judged]:
    """What differs no more than our Jacobian scatters when the last digits of its inputs change does agree.

    An ill-conditioned Jacobian is inaccurate, not wrong. `judged` holds all inputs of an output, then the next one's.
    """
    if not any(one.differ.any() for one in judged):
        return list(judged)
    scatter = [np.zeros(one.ours.shape) for one in judged]
    first: list[Array] = []  # not what was judged, which may be anybody's
    generator = np.random.default_rng(3)
    for _ in range(NEIGHBOURS):
        near = [
            (x * (1 + float(np.finfo(x.dtype).eps) * generator.choice([-1.0, 1.0], x.shape))).astype(x.dtype)
            for x in (one.value for one in probe.inputs)
        ]
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore", JacobianWarning)
                found = leaves(jacobian(probe.f, argnums=probe.numbers)(*probe.arguments(near), **probe.kwargs))
                here = [_columns(J, one.columns) for J, one in zip(found, judged, strict=True)]
        except JacobianError:  # it has no Jacobian there, so nothing is forgiven
            return list(judged)
        first = first or here
        with np.errstate(invalid="ignore"):  # infinite ones have no difference
            off = [np.abs(one - other) for one, other in zip(here, first, strict=True)]
        scatter = [np.maximum(old, np.where(np.isfinite(new), new, 0)) for old, new in zip(scatter, off, strict=True)]
    return [_forgiven(one, SURELY * off) for one, off in zip(judged, scatter, strict=True)]


def _forgiven(one: Judged, scatter: Array) -> Judged:
    with np.errstate(invalid="ignore"):
        return replace(one, differ=one.differ & ~(~one.at_kinks & (one.difference <= one.errors + scatter)))


def _columns(J: Jacobian, columns: Columns) -> Array:
    """The picked columns of a Jacobian; of a large one from its terms, without making it dense."""
    rows = prod(J.out_shape)
    if columns.full:
        return np.asarray(J).reshape(rows, columns.total)
    everything: tuple[Any, ...] = (slice(None),) * len(J.out_shape)
    picked = [np.asarray(J[(*everything, *map(int, place))]).reshape(rows) for place in columns.places]
    return np.stack(picked, axis=-1)
