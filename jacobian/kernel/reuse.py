"""Memory that is used again: for large results of programs that are run often, once nobody holds the last one.

Fresh memory costs more than most results: the machine hands it out page by page, zeroed. A program overwrites the same
entries at every run, so that memory which comes back holds zeros wherever zeros belong; entries that it adds to, or
that depend on the numbers, are set to zero before.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from functools import cache
from itertools import islice
from math import prod
from typing import Any

import numpy as np

from jacobian.kernel import memory
from jacobian.kernel.pattern import Shape
from jacobian.kernel.threads import is_worthwhile, on_all_cores

WORTHWHILE = 2**16  # bytes from which on memory is used again
FILLED = 2**24  # the same where all of it is written: below, what the allocator kept is in the caches more often
SHARE = 32  # a part of the machine's memory that may wait to be used again: the 32nd
LATELY = 8  # of those that wait: what came back before them is no longer in the caches
PATIENCE = 256  # times that other memory comes back while it waits

Place = tuple[Shape, int, Shape]
"""Shape, offset and strides in bytes of entries that a program adds to."""

Listed = list[np.ndarray]
"""Positions in a result as one axis."""


def _references(array: np.ndarray) -> int:
    return sys.getrefcount(array)


def _references_of_one() -> int:
    array = np.empty(0)
    return _references(array)


ALONE = _references_of_one()  # for an array that only one variable holds; how many these are is up to the interpreter


class Reused:
    """The memory of one result. A program takes it by `fresh`, what it made is handed out by `lend`."""

    __slots__ = (
        "_free", "_lent", "_listed", "_overwritten", "dtype", "is_for_once", "make", "nbytes", "shape", "zeroed",
    )  # fmt: skip

    def __init__(self, make: Callable[..., np.ndarray], shape: Shape, dtype: np.dtype[Any]) -> None:
        self.make, self.shape, self.dtype = make, shape, dtype
        self.nbytes = prod(shape) * dtype.itemsize
        self.is_for_once = False  # where nobody knows to which entries it is written
        self.zeroed: dict[Place, bool] = {}  # before the memory is used again; whether on all cores
        self._overwritten: set[Place] = set()
        self._free: list[tuple[np.ndarray, Listed]] = []  # one at most, and where it was written to
        self._lent: dict[int, tuple[object, np.ndarray, Listed]] = {}
        self._listed: dict[int, Listed] = {}  # for arrays that are not lent yet

    def overwritten(self, place: Place) -> None:
        """Say where a program overwrites all that was there, before it adds anything."""
        self._overwritten.add(place)

    def added_to(self, place: Place) -> None:
        """Say where a program adds to what is there."""
        if self.make is not np.empty and place not in self._overwritten and place not in self.zeroed:
            shape, _, strides = place
            self.zeroed[place] = is_worthwhile(shape, strides)

    def fresh(self) -> np.ndarray:
        """An array as after `zeros`, but for entries that the program is going to overwrite."""
        if self.make is np.empty:
            self._exchange(WAITING.last_like(self))
        try:
            full, listed = self._free.pop()
        except IndexError:
            full, listed = self.make(self.shape, self.dtype), None
        self._listed.pop(id(full), None)  # what a run that failed has left there
        if listed is None:
            return full
        WAITING.order.pop(self, None)
        for positions in listed:
            full.reshape(-1)[positions] = 0
        for (shape, offset, strides), on_all in self.zeroed.items():
            place = np.ndarray(shape, self.dtype, full, offset, strides)
            if on_all:
                on_all_cores(np.copyto, 0, out=place)
            else:
                place.fill(0)
        return full

    def _exchange(self, other: Reused) -> None:
        """Take the memory that was in use last, which the caches may still hold, and leave one's own for it.

        Where a program overwrites everything, memory is anybody's.
        """
        if other is not self:
            self._free, other._free = other._free, self._free
            if not other._free:
                WAITING.order.pop(other, None)

    def noted(self, write: Callable[..., np.ndarray | None]) -> Callable[..., None]:
        """A writer whose positions depend on the numbers, and are remembered until the memory is used again."""

        def write_and_note(full: np.ndarray, *numbers: Any) -> None:
            positions = write(full, *numbers)
            if positions is None or positions.nbytes > self.nbytes // 2:
                self.is_for_once = True
            else:
                self._listed.setdefault(id(full), []).append(positions)

        return write_and_note

    def lend(self, full: np.ndarray) -> np.ndarray:
        """The array for others to read, which nobody can make writeable; when they have let go it is used again."""
        if self.is_for_once:
            return full
        read: np.ndarray = np.asarray(memoryview(full.data).toreadonly())
        reference = weakref.ref(read.base, self._comes_back)
        self._lent[id(reference)] = (reference, full, self._listed.pop(id(full), []))
        return read

    def _comes_back(self, reference: object) -> None:
        if id(reference) not in self._lent:  # an interrupt came before it was lent
            return
        _, full, listed = self._lent.pop(id(reference))
        if _references(full) > ALONE or self._free:  # a view of it is in use, or there is one already
            return
        self._free.append((full, listed))
        WAITING.add(self)

    def give_up(self) -> None:
        """Give the memory back to the machine."""
        self._free.clear()


class Waiting:
    """Memories that are not in use, the one that came back last at the end, and when that was."""

    def __init__(self) -> None:
        self.order: dict[Reused, int] = {}
        self.returns = 0

    def last_like(self, one: Reused) -> Reused:
        """Of those that came back lately the last one whose memory could be taken for this one's; itself if none is."""
        for other in islice(reversed(list(self.order)), LATELY):
            if other.make is one.make and other.shape == one.shape and other.dtype == one.dtype:
                return other
        return one

    def give_up(self) -> None:
        """Give all of it back to the machine."""
        for one in list(self.order):
            self.order.pop(one, None)
            one.give_up()

    def add(self, last: Reused) -> None:
        """Let one wait; those that are too many, or wait for too long, are given back to the machine."""
        self.returns += 1
        self.order[last] = self.returns
        held = 0
        for one, since in reversed(list(self.order.items())):
            held += one.nbytes
            if held > most() or self.returns - since > PATIENCE:
                self.order.pop(one, None)
                one.give_up()


WAITING = Waiting()


@cache
def most() -> int:
    """Bytes that may wait."""
    found = memory.installed()
    return 2**28 if found is None else found // SHARE
