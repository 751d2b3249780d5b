"""A Jacobian against central differences, entry by entry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from jacobian.checking.finite_differences import finite_difference
from jacobian.kernel.expression import Jacobian

Array = np.ndarray[Any, np.dtype[Any]]

FULL_ENTRIES, FULL_COLUMNS = 2**20, 512
"""Up to this many entries and columns every one is compared; beyond, columns drawn at random are."""

SAMPLED_ENTRIES, SAMPLED_COLUMNS = 2**21, 16


@dataclass(frozen=True)
class Comparison:
    """What comparing showed; truthy when nothing differs. `str` of it is one sentence.

    Entries without a usable difference decide nothing: where the function is not finite nearby, or at a kink, where
    the one-sided differences disagree and the Jacobian lies between them.
    """

    extent: str
    entries: int
    differing: int
    undecided: int
    worst: tuple[int, ...]
    difference: float
    ours: float
    theirs: float

    def __bool__(self) -> bool:
        return self.differing == 0

    def __str__(self) -> str:
        if not self.entries:
            return "nothing to compare: the Jacobian has no entries"
        if self.undecided == self.entries:
            return f"undecided: central differences have no usable value in {self.extent}"
        if self.differing:
            verdict = f"differs from central differences in {_some(self.differing, self.entries)}"
        elif self.undecided:
            verdict = f"agrees with central differences in {_some(self.entries - self.undecided, self.entries)}"
        else:
            verdict = f"agrees with central differences in {self.extent}"
        place = f"J[{', '.join(map(str, self.worst))}]" if self.worst else "J"
        text = f"{verdict}; largest difference {self.difference:.1e} at {place}"
        if self.differing:
            text += f": {self.ours:.6g}, not {self.theirs:.6g}"
        return text + (f"; undecided in {_some(self.undecided, self.entries)}" if self.undecided else "")


def _some(count: int, total: int) -> str:
    return "its entry" if total == 1 else f"{count} of {total} entries"


def compare(function: Callable[..., Any], args: Sequence[Array], argnum: int, J: Jacobian) -> Comparison:
    """Hold `J`, the Jacobian of `function` with respect to argument `argnum`, against central differences.

    >>> J = Jacobian.einsum("i->i|i", [2.0, 4.0])
    >>> print(compare(np.square, [np.array([1.0, 3.0])], 0, J))
    differs from central differences in 1 of 4 entries; largest difference 2.0e+00 at J[1, 1]: 4, not 6
    """
    columns, rows = prod(J.in_shape), prod(J.out_shape)
    full = J.size <= FULL_ENTRIES and columns <= FULL_COLUMNS
    if full:
        picked = np.arange(columns)
        extent = f"all {J.size} entries" if J.size > 1 else "its entry"
    else:
        count = max(1, min(SAMPLED_COLUMNS, columns, SAMPLED_ENTRIES // max(rows, 1)))
        picked = np.sort(np.random.default_rng(0).choice(columns, size=count, replace=False))
        extent = f"{count} of {columns} columns, drawn at random"
    if not J.size:
        return Comparison(extent, 0, 0, 0, (), 0.0, 0.0, 0.0)

    x = np.array(args[argnum], dtype=np.result_type(args[argnum], np.float32))
    at = _columns_of(function, args, argnum, x, picked)
    point = x.reshape(-1)[picked]
    found = finite_difference(at, point, method="auto" if full else "central")
    places = np.stack(np.unravel_index(picked, J.in_shape), axis=-1) if J.in_shape else np.zeros((1, 0), int)
    if full:
        ours = np.asarray(J).reshape(*J.out_shape, columns)
    else:
        everything = (slice(None),) * len(J.out_shape)
        ours = np.stack([np.asarray(J[(*everything, *map(int, place))]) for place in places], axis=-1)
    return _judge(ours, found.values, found.errors, extent, places, lambda column: _one_sided(at, point, column))


def _columns_of(
    function: Callable[..., Any], args: Sequence[Array], argnum: int, x: Array, picked: Array
) -> Callable[[Array], Array]:
    """The function of the picked entries of one argument alone, with values that can be subtracted."""

    def at(entries: Array) -> Array:
        moved = x.copy()
        moved.reshape(-1)[picked] = entries
        y = np.asarray(function(*args[:argnum], moved, *args[argnum + 1 :]))
        return y if y.dtype.kind in "fc" else y.astype(np.float64)

    return at


def _one_sided(at: Callable[[Array], Array], point: Array, column: int) -> tuple[Array, Array]:
    """Differences to the right and to the left."""
    step = float(np.sqrt(np.finfo(point.dtype).eps)) * max(abs(float(point[column])), 1.0)
    move = np.zeros_like(point)
    move[column] = step
    with np.errstate(all="ignore"):
        here = at(point)
        return (at(point + move) - here) / step, (here - at(point - move)) / step


def _judge(
    ours: Array,
    theirs: Array,
    errors: Array,
    extent: str,
    places: Array,
    one_sided: Callable[[int], tuple[Array, Array]],
) -> Comparison:
    finite = np.isfinite(theirs) & np.isfinite(errors)
    scale = float(np.max(np.abs(theirs), where=finite, initial=0.0))
    decided = finite & (errors <= 1e-3 * max(scale, float(np.finfo(errors.dtype).tiny)))
    rounding = float(np.sqrt(np.finfo(ours.dtype).eps)) * scale
    with np.errstate(invalid="ignore"):
        difference = np.abs(ours - theirs)
        differs = decided & ~(difference <= 10 * errors + rounding)
    for column in np.flatnonzero(differs.any(axis=tuple(range(differs.ndim - 1)))):
        right, left = one_sided(int(column))
        mine = ours[..., column]
        slack = np.sqrt(rounding * max(scale, rounding))
        kink = (np.abs(right - left) > 10 * slack) & (np.minimum(right, left) - slack <= mine)
        kink &= mine <= np.maximum(right, left) + slack
        differs[..., column] &= ~kink
        decided[..., column] &= ~kink
    weight = np.where(differs if differs.any() else decided, np.nan_to_num(difference, nan=np.inf), -1.0)
    index = tuple(map(int, np.unravel_index(int(np.argmax(weight)), ours.shape)))
    return Comparison(
        extent=extent,
        entries=ours.size,
        differing=int(np.count_nonzero(differs)),
        undecided=int(np.count_nonzero(~decided)),
        worst=(*index[:-1], *map(int, places[index[-1]])),
        difference=float(difference[index]),
        ours=float(ours[index]),
        theirs=float(theirs[index]),
    )
