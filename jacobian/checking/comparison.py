"""A Jacobian against central differences, entry by entry, in one sentence: what the command line prints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jacobian.checking.judging import judge
from jacobian.checking.probe import Array, Probe
from jacobian.kernel.expression import Jacobian

FULL_ENTRIES, FULL_COLUMNS = 2**20, 512
"""Up to this many entries and columns every one is compared; beyond, columns drawn at random are."""


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

    They are extrapolated, and the tolerance of every entry is its own error bar; see `jac.check`.

    >>> J = Jacobian.einsum("i->i|i", [2.0, 4.0])
    >>> print(compare(np.square, [np.array([1.0, 3.0])], 0, J))
    differs from central differences in 1 of 4 entries; largest difference 2.0e+00 at J[1, 1]: 4, not 6
    """
    if not J.size:
        return Comparison("", 0, 0, 0, (), 0.0, 0.0, 0.0)
    found = judge(Probe(function, args, {}, (argnum,), "compare"), J, "richardson", FULL_ENTRIES, FULL_COLUMNS)
    left_out = int(np.count_nonzero(found.undecided | found.kinks))
    place = next(iter(found.worst), (0, 0))
    return Comparison(
        extent=found.columns.extent or (f"all {J.size} entries" if J.size > 1 else "its entry"),
        entries=found.ours.size,
        differing=int(np.count_nonzero(found.differ)),
        undecided=left_out,
        worst=found.index(place),
        difference=float(found.difference[place]),
        ours=found.ours[place].item(),
        theirs=found.theirs[place].item(),
    )
