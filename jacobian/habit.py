"""Whether those who call a function want the tensors of its Jacobians each time: then they come with the call."""

from __future__ import annotations

import sys
from typing import NamedTuple, Protocol

import numpy as np

ENOUGH = 3  # calls in a row whose tensors were all asked for


class Tensors(Protocol):
    """What has tensors."""

    def tensor(self, k: int) -> np.ndarray | None:
        """One of them."""


class Habit:
    """Whether the tensors of a call are asked for before the next call, in most cases."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.asked = 0  # since the last call
        self.streak = 0
        self.enough = ENOUGH

    def give_up(self) -> None:
        """Never say so again."""
        self.enough = sys.maxsize

    def after_a_call(self) -> bool:
        """Whether all tensors of the calls before were asked for, often enough in a row.

        Where that ended, twice as many are wanted the next time.
        """
        was_certain = self.streak >= self.enough
        self.streak = self.streak + 1 if self.asked >= self.count else 0
        self.asked = 0
        if was_certain and not self.streak:
            self.enough *= 2
        return self.streak >= self.enough


class Noted(NamedTuple):
    """Tensors, of which it is noted when they are asked for."""

    tensors: Tensors
    habit: Habit

    def tensor(self, k: int) -> np.ndarray | None:
        """One of them."""
        self.habit.asked += 1
        return self.tensors.tensor(k)
