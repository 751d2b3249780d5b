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

SAMPLED_COLUMNS, SAMPLED_ENTRIES = 16, 2**22


@dataclass(frozen=True)
class Comparison:
    """What comparing showed; truthy when nothing differs. `str` of it is one sentence.

    Entries whose differences have no usable error bar, at kinks or where the function is not finite, decide nothing.
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
        text = f"{verdict}; largest difference {self.difference:.1e} at {place}: {self.ours:.6g}, not {self.theirs:.6g}"
        if not self.differing:
            text = f"{verdict}; largest difference {self.difference:.1e} at {place}"
        return text + (f"; undecided in {_some(self.undecided, self.entries)}" if self.undecided else "")


def _some(count: int, total: int) -> str:
    return "its entry" if total == 1 else f"{count} of {total} entries"


def compare(function: Callable[..., Any], args: Sequence[Array], argnum: int, J: Jacobian) -> Comparison:
    """Hold `J`, the Jacobian of `function` with respect to argument `argnum`, against central differences.

    >>> J = Jacobian.einsum("i->i|i", [2.0, 4.0])
    >>> print(compare(np.square, [np.array([1.0, 3.0])], 0, J))
    differs from central differences in 1 of 4 entries; largest difference 2.0e+00 at J[1, 1]: 4, not 6
    """
    columns = prod(J.in_shape)

    def smooth(*inputs: Any) -> Array:
        y = np.asarray(function(*inputs))
        return y if y.dtype.kind in "fc" else y.astype(np.float64)

    if J.size <= FULL_ENTRIES and columns <= FULL_COLUMNS:
        found = finite_difference(smooth, *args, argnums=argnum)
        extent = f"all {J.size} entries" if J.size > 1 else "its entry"
        return _judge(np.asarray(J), np.asarray(found.values), np.asarray(found.errors), extent)
    count = max(1, min(SAMPLED_COLUMNS, columns, SAMPLED_ENTRIES // max(prod(J.out_shape), 1)))
    flat = np.sort(np.random.default_rng(0).choice(columns, size=count, replace=False))
    x = np.array(args[argnum], dtype=np.result_type(args[argnum], np.float32))

    def at(picked: Array) -> Any:
        moved = x.copy()
        moved.reshape(-1)[flat] = picked
        return smooth(*args[:argnum], moved, *args[argnum + 1 :])

    places = np.stack(np.unravel_index(flat, J.in_shape), axis=-1)
    everything = (slice(None),) * len(J.out_shape)
    ours = np.stack([np.asarray(J[(*everything, *map(int, place))]) for place in places], axis=-1)
    found = finite_difference(at, x.reshape(-1)[flat], argnums=0)
    extent = f"{len(flat)} of {columns} columns, drawn at random"
    return _judge(ours, np.asarray(found.values), np.asarray(found.errors), extent, places)


def _judge(ours: Array, theirs: Array, errors: Array, extent: str, places: Array | None = None) -> Comparison:
    if not ours.size:
        return Comparison(extent, 0, 0, 0, (), 0.0, 0.0, 0.0)
    finite = np.isfinite(theirs) & np.isfinite(errors)
    scale = float(np.max(np.abs(theirs), where=finite, initial=0.0))
    decided = finite & (errors <= 1e-3 * max(scale, np.finfo(theirs.dtype).tiny))
    with np.errstate(invalid="ignore"):
        difference = np.abs(ours - theirs)
        tolerance = 10 * errors + np.sqrt(np.finfo(ours.dtype).eps) * scale
        differs = decided & ~(difference <= tolerance)
    weight = np.where(differs if differs.any() else decided, difference, -1.0)
    worst = np.unravel_index(int(np.argmax(np.nan_to_num(weight, nan=np.inf, posinf=np.inf))), ours.shape)
    index = tuple(map(int, worst))
    shown = index if places is None else (*index[:-1], *map(int, places[index[-1]]))
    return Comparison(
        extent=extent,
        entries=ours.size,
        differing=int(np.count_nonzero(differs)),
        undecided=int(np.count_nonzero(~decided)),
        worst=shown,
        difference=float(difference[index]),
        ours=float(ours[index]),
        theirs=float(theirs[index]),
    )
