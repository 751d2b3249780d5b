"""Arrays that are masked: kept where a condition holds, or where it does not, and zero elsewhere.

`mask * a + logical_not(mask) * b`, which the chain rule makes of `np.where`, is one choice, `where(mask, a, b)`.
"""

from __future__ import annotations

from typing import NamedTuple

ONE = "(1.0)"  # as a program's text has it


class Masked(NamedTuple):
    """Where something is kept, and what: an array's name, or a number's text. The mask is told by its name."""

    mask: str
    is_opposite: bool
    kept: str = ONE

    def choice(self, other: Masked) -> str | None:
        """Their sum as a choice; None where they do not complete each other."""
        if self.mask != other.mask or self.is_opposite == other.is_opposite:
            return None
        first, second = (other, self) if self.is_opposite else (self, other)
        return f"({self.mask}, {first.kept}, {second.kept})"
