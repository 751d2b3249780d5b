"""What `verify` answers: right, right in another layout, or wrong, and why."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

from jacobian.checking.diagnosis import Diagnosis
from jacobian.checking.tolerance import LAST_DIGITS
from jacobian.kernel.notation import at

RIGHT, ELSEWHERE, WRONG = "right", "right, in another layout", "wrong"

SHOWN_ENTRIES = 3


class Entry(NamedTuple):
    """A wrong entry: the index vectors of output and input, what was claimed, and what is true."""

    out: tuple[int, ...]
    into: tuple[int, ...]
    claimed: complex
    true: complex

    def without_rounding(self, eps: float, left: float = 0.0) -> Entry:
        """The same with 0 for a number that is a few last digits of the other, or no more than what rounding left."""
        claimed, true = abs(self.claimed), abs(self.true)
        if not (isfinite(claimed) and isfinite(true)):
            return self
        return self._replace(
            claimed=0.0 if claimed <= LAST_DIGITS * eps * true else self.claimed,
            true=0.0 if true <= max(LAST_DIGITS * eps * claimed, left) else self.true,
        )  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """A verdict on a hand derivation; truthy when it is right, in whichever layout. `str` of it is the report.

    >>> import numpy as np, jacobian as jac
    >>> verdict = jac.verify(np.sin, np.array([0.5, 1.0]), claim=lambda x: np.diag(-np.cos(x)))
    >>> verdict.verdict, verdict.slip, bool(verdict)
    ('wrong', 'sign', False)
    """

    verdict: str
    quotient: str
    names: tuple[str, str]
    layout: str = ""
    conversion: str = ""
    condition: str = ""
    right_entries: int = 0
    entries: int = 0
    worst: tuple[Entry, ...] = ()
    diagnosis: Diagnosis | None = None
    formula: str = ""
    unexplained: str = ""
    note: str = ""
    compared: str = ""
    zeros: tuple[int, int] = (0, 0)
    """Of the entries, those that are zero by structure: how many of them are right, and how many there are."""
    legend: tuple[str, ...] = ()
    """What the names in it stand for that nobody gave, such as `v2 = x**2 (line 3)`."""

    def __bool__(self) -> bool:
        return self.verdict != WRONG

    @property
    def share(self) -> float:
        """The share of entries that are right."""
        return self.right_entries / self.entries if self.entries else 1.0

    @property
    def slip(self) -> str | None:
        """The name of the slip that was found, the first one when there are two."""
        return None if self.diagnosis is None else self.diagnosis.slip

    def __str__(self) -> str:
        lines = [f"{self.verdict}: {self.quotient}{self._extent()}"]
        if self.verdict == ELSEWHERE:
            lines += [_line("layout", self.layout), _line("convert", f"J = {self.conversion}")]
        if self.condition:
            lines.append(_line("only", self.condition))
        for nth, entry in enumerate(self.worst[:SHOWN_ENTRIES]):
            lines.append(_line("worst" if nth == 0 else "", self.entry_text(entry)))
        if self.diagnosis is not None:
            lines.append(_line("slip", " and ".join(self.diagnosis.slips)))
            lines.append(_line("why", self.diagnosis.sentence))
            if self.diagnosis.also:
                lines.append(_line("or", f"the same numbers as: {', '.join(self.diagnosis.also)}"))
        if self.unexplained:
            lines.append(_line("why", self.unexplained))
        if self.note:
            lines.append(_line("note", self.note))
        if self.verdict == WRONG and self.formula:
            lines.append(_line("correct", self.formula))
        if self.legend:
            lines.append(_line("where", ", ".join(self.legend)))
        return "\n".join(lines)

    __repr__ = __str__

    def _extent(self) -> str:
        if self.verdict != WRONG:
            return f", {self.compared}" if self.compared else ""
        return f", {self._counted()}"

    def _counted(self) -> str:
        """`1 of 3 entries that are not zero by structure are right (33 %)`, and how many of the others."""
        fine, zeros = self.zeros
        own, right = self.entries - zeros, self.right_entries - fine
        if not zeros or not own:
            return f"{self.right_entries} of {self.entries} entries are right ({percent(self.share)})"
        text = f"{right} of {own} entries that are not zero by structure are right ({percent(right / own)})"
        return text if fine == zeros else f"{text}, and {fine} of {zeros} that are"

    def entry_text(self, entry: Entry) -> str:
        """`∂y[0]/∂x[2] = 0.5 is claimed, but it is 0.25`: with six digits, or as many as tell them apart."""
        texts = ((f"{entry.claimed:.{digits}g}", f"{entry.true:.{digits}g}") for digits in range(6, 18))
        claimed, true = next((both for both in texts if both[0] != both[1]), (entry.claimed, entry.true))
        return f"{place(self.names, entry)} = {claimed} is claimed, but it is {true}"


def percent(share: float) -> str:
    """A share in whole percent, of which 0 is nothing and 100 is all."""
    whole = round(100 * share)
    return f"{min(max(whole, share > 0), 100 - (share < 1)):d} %"


def place(names: tuple[str, str], entry: Entry) -> str:
    """An entry by its two index vectors."""
    out, into = (at(name, index) for name, index in zip(names, (entry.out, entry.into), strict=True))
    return f"∂{out}/∂{into}"


def _line(title: str, text: str) -> str:
    first, *rest = text.split("\n")
    return "\n".join([f"  {title:<8} {first}", *(" " * 11 + line for line in rest)])
