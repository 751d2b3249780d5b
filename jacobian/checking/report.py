"""What `jac.check` hands back: a verdict, the worst entries, and who is likely at fault."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from jacobian.checking.judging import Judged
from jacobian.checking.nodes import Nodes
from jacobian.errors import DisagreementError

SHOWN, NAMED, WARNINGS = 5, 3, 2
"""So many of the worst entries are shown; kinks and undecided entries named, and entries of the first wrong node; and
warnings of kinks repeated: all together fits on a screen of 24 lines."""

WIDTH = 120


@dataclass(frozen=True)
class Report:
    """The outcome of `check`: true when every entry that could be decided agrees; `print` shows it.

    Attributes:
        parts: for every output and input what comparing showed, entry by entry.
        kinks: what our Jacobian warned of.
        nodes: what `nodes=True` found.

    >>> import numpy as np, jacobian as jac
    >>> report = jac.check(np.abs, np.array([0.0, 2.0]))
    >>> assert report
    >>> print(report)
    right: 3 of 4 entries agree with finite differences (richardson)
      largest difference 0.0e+00 at ∂y[0]/∂x[1], error bar ...
      kinks     ∂y[0]/∂x[0]: ours 0, between -1 from the left and 1 from the right
                absolute is not differentiable at entry [0]; 0 is taken
    >>> report.raise_if_wrong()
    """

    parts: tuple[Judged, ...]
    kinks: tuple[str, ...] = ()
    nodes: Nodes | None = None

    def __bool__(self) -> bool:
        nodes_right = self.nodes is None or bool(self.nodes)
        return nodes_right and not self.differing and (self.agreeing > 0 or not self.undecided)

    @property
    def entries(self) -> int:
        """How many were compared."""
        return sum(one.ours.size for one in self.parts)

    @property
    def agreeing(self) -> int:
        """How many entries agree."""
        return sum(one.agreed for one in self.parts)

    @property
    def differing(self) -> int:
        """How many differ."""
        return sum(int(np.count_nonzero(one.differ)) for one in self.parts)

    @property
    def undecided(self) -> int:
        """How many have an error bar too wide to tell."""
        return sum(int(np.count_nonzero(one.undecided)) for one in self.parts)

    def raise_if_wrong(self) -> None:
        """Raise the report as an error unless it is true.

        Raises:
            DisagreementError: also an `AssertionError`; its text is the report.
        """
        if not self:
            raise DisagreementError(str(self))

    def __repr__(self) -> str:
        """The verdict alone."""
        return f"<Report {self._verdict()}>"

    def __str__(self) -> str:
        """At most a screen."""
        lines = [self._verdict(), *self._largest(), *self._fault(), *self._left_out(), *self._of_nodes()]
        return "\n".join(line if len(line) <= WIDTH else line[: WIDTH - 1] + "…" for line in lines)

    def _verdict(self) -> str:
        by = f"finite differences ({', '.join(dict.fromkeys(one.method for one in self.parts))})"
        extent = next((one.columns.extent for one in self.parts if one.columns.extent), "")
        extent = f", {extent}" if extent else ""
        if not self.entries:
            return "right: there are no entries to compare"
        if self.differing:
            return f"WRONG: {_of(self.differing, self.entries)} differ from {by}{extent}"
        if self.nodes is not None and not self.nodes:
            return f"WRONG: a node is, though {_of(self.agreeing, self.entries)} agree with {by}{extent}"
        if not self.agreeing and self.undecided:
            return f"UNDECIDED: {by} have no usable value in {_of(self.undecided, self.entries)}{extent}"
        if self.agreeing == self.entries:
            every = f"all {self.entries} entries agree" if self.entries > 1 else "its entry agrees"
            return f"right: {every} with {by}{extent}"
        return f"right: {self.agreeing} of {self.entries} entries agree with {by}{extent}"

    def _worst(self) -> list[tuple[Judged, tuple[int, int]]]:
        """The largest differences of all parts; in wrong ones where any is."""
        parts = [one for one in self.parts if one.differ.any()] or list(self.parts)
        places = [(one, place) for one in parts for place in one.worst[:SHOWN]]
        size = lambda pair: float(np.nan_to_num(pair[0].difference[pair[1]], nan=np.inf))  # noqa: E731
        return sorted(places, key=size, reverse=True)[:SHOWN]

    def _largest(self) -> list[str]:
        worst = self._worst()
        if not worst:
            return []
        if self.differing:
            return [f"  {line}" for line in table(worst)]
        one, place = worst[0]
        where = f"{one.difference[place]:.1e} at {one.entry(place)}, error bar {one.errors[place]:.1e}"
        return [f"  largest difference {where}"]

    def _fault(self) -> list[str]:
        """Which side is likely wrong, told from the differences in error bars."""
        if not self.differing:
            return []
        least = min((one.bars_off(place) for one, place in self._worst()), default=np.inf)
        if least <= 10:
            told = (
                f"not clear: some differences are only {least:.1f} error bars; look at jac.finite_difference(…).plot()"
            )
        else:
            told = "our Jacobian: it is off by more than " + (
                "the rounding of exact differences" if np.isinf(least) else f"{_round_down(least)} error bars"
            )
        return [f"  likely    {told}"]

    def _left_out(self) -> Iterator[str]:
        """Kinks and undecided entries, by name."""
        kinks = [(one, tuple(place)) for one in self.parts for place in np.argwhere(one.kinks)[: NAMED + 1]]
        told = [
            f"{one.entry(p)}: ours {one.ours[p]:.4g}, between {one.left[p]:.4g} from the left "
            f"and {one.right[p]:.4g} from the right"
            for one, p in kinks[:NAMED]
        ]
        count = sum(int(np.count_nonzero(one.kinks)) for one in self.parts)
        yield from titled("kinks", [*told, *_more(count - len(told)), *(self._warned() if kinks else ())])
        wide = [(one, tuple(place)) for one in self.parts for place in np.argwhere(one.undecided)[: NAMED + 1]]
        told = [
            f"{one.entry(p)}: ours {one.ours[p]:.6g}, differences {one.theirs[p]:.6g} ± {one.errors[p]:.1e}"
            for one, p in wide[:NAMED]
        ]
        why = ["an error bar larger than the difference: the differences cannot tell"] if wide else []
        yield from titled("undecided", [*told, *_more(self.undecided - len(told)), *why])

    def _warned(self) -> list[str]:
        return [told.partition("\n")[0] for told in self.kinks[:WARNINGS]]

    def _of_nodes(self) -> Iterator[str]:
        if self.nodes is None:
            return
        some = f"{self.nodes.checked} checked" + (f", {self.nodes.skipped} left out" if self.nodes.skipped else "")
        if self.nodes.judged is None:
            yield from titled("nodes", [f"{some}, every local Jacobian agrees"])
            return
        found = self.nodes.judged
        first = f"{some}; the first wrong one is {self.nodes.node}, by {self.nodes.operand}:"
        yield from titled("nodes", [first, *table([(found, place) for place in found.worst[:NAMED]])])


def table(worst: list[tuple[Judged, tuple[int, int]]]) -> list[str]:
    """Entries with both values, aligned."""
    names = [one.entry(place) for one, place in worst]
    width = max(map(len, names))
    return [
        f"{name:<{width}}  ours {one.ours[p]:.6g}  differences {one.theirs[p]:.6g} ± {one.errors[p]:.1e}"
        f"  off by {one.difference[p]:.1e}"
        for name, (one, p) in zip(names, worst, strict=True)
    ]


def titled(title: str, lines: list[str]) -> Iterator[str]:
    """A title, and lines beside and below it."""
    for number, line in enumerate(lines):
        yield f"  {title if not number else '':<9} {line}"


def _more(count: int) -> list[str]:
    return [f"and {count} more"] if count > 0 else []


def _of(count: int, total: int) -> str:
    return f"{count} of {total} entries"


def _round_down(ratio: float) -> str:
    """A number a person would say: 30, or 1e+05."""
    power = 10 ** np.floor(np.log10(ratio))
    return f"{np.floor(ratio / power) * power:.0e}" if ratio >= 1000 else f"{np.floor(ratio / power) * power:.0f}"
