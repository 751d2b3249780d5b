"""Names that are not taken yet: the one way in which formulas tell apart what would bear the same name."""

from __future__ import annotations

from collections.abc import Container
from itertools import count


def unused(name: str, taken: Container[str]) -> str:
    """The name, or with the first number behind it that is free.

    >>> unused("c", {"c", "c2"}), unused("W1", {"W1"})
    ('c3', 'W1_2')
    """
    if name not in taken:
        return name
    joint = "_" if name[-1:].isdigit() else ""
    return next(found for found in (f"{name}{joint}{k}" for k in count(2)) if found not in taken)
