"""Which lines of a program can be gone through part by part, when an axis of one of its arrays is cut.

From the array the cut goes back to what it is made of, as long as that is large itself, and on to all that is made of
it. Every line is then done before the loop, within it, or after it. What is read after the loop is put together in it,
and what sums over the axis is known after it only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from fractions import Fraction
from functools import cached_property
from math import prod
from typing import NamedTuple

from jacobian.kernel.along import Axes
from jacobian.kernel.axes import Reading, read
from jacobian.kernel.code import Code, Symbol
from jacobian.kernel.lines import Line

SUMS, LATE = "as sums", "late"
SMALLER = 8  # times smaller than the array that is cut is what is computed as a whole, if it can be


class Cut(NamedTuple):
    """An axis that is cut, and how many of its entries belong to each step of the loop."""

    axis: int
    factor: int


class Within(NamedTuple):
    """A line of the loop: which axes of what it reads or writes are cut, those of one label of its reading.

    `way` is how parts come together in memory that is there as a whole: as sums, or along one of its axes.
    """

    line: Line
    reading: Reading
    label: int
    cuts: Mapping[str, Cut]
    made: Cut | None
    way: str

    @property
    def adds(self) -> bool:
        """Whether what it makes, or what it writes, is a sum over the parts."""
        return self.way == SUMS


class Program:
    """The lines of a program, as far as they can be read, and which of its arrays lie in the same memory."""

    def __init__(self, code: Code, lines: Sequence[Line]) -> None:
        self.code = code
        self.lines = lines
        self.makers = {line.target: line for line in reversed(lines) if line.target and not line.changes}
        self._readings: dict[str, Reading | None] = {}
        self._same: dict[str, str] = {}
        for line in lines:
            if not (line.new or line.blank or line.changes) and line.target:
                for name in line.uses:
                    one, other = self.memory(name), self.memory(line.target)
                    if one != other:
                        self._same[one] = other

    def reading(self, line: Line) -> Reading | None:
        """What a line does to axes; None where that is not known."""
        if line.text not in self._readings:
            self._readings[line.text] = read(self.code, line)
        return self._readings[line.text]

    def memory(self, name: str) -> str:
        """One name for all arrays that may lie in the same memory."""
        while name in self._same:
            name = self._same[name]
        return name

    @cached_property
    def changed(self) -> AbstractSet[str]:
        """The memory that is written to after it has been made."""
        return {self.memory(line.target) for line in self.lines if line.changes}

    def can_be_cut(self, line: Line) -> bool:
        """Whether what a line makes may be made part by part: it is known how, and nobody writes to it."""
        return self.reading(line) is not None and self.memory(line.target) not in self.changed

    def whole(self, name: str) -> Symbol | None:
        """The array that a place is a view of."""
        memory = self.memory(name)
        found = next((line.target for line in self.lines if line.blank and self.memory(line.target) == memory), None)
        return None if found is None else self.code.symbols[found]

    def is_in(self, line: Line, memory: AbstractSet[str]) -> bool:
        """Whether a line changes such memory."""
        return line.changes and self.memory(line.target) in memory

    def is_place(self, line: Line) -> bool:
        """Whether a line makes room that is written to later, or says a place in that."""
        made = None if line.changes else self.code.symbols.get(line.target)
        return line.blank or (made is not None and made.strides is not None)

    def touched(self, line: Line) -> set[str]:
        """Which memory of that kind a line reads or writes; it does neither where it says a place in it."""
        if self.is_place(line):
            return set()
        return {self.memory(name) for name in (line.target, *line.uses)} & self.changed


class Sorting:
    """The lines of a program, by what is done before a loop over the steps of an axis, within it and after it."""

    def __init__(self, program: Program, cuts: Mapping[str, Cut], steps: int, *, is_narrow: bool = False) -> None:
        """Sort them; in a narrow loop nothing is made of products but what is cut."""
        self.program = program
        self._is_narrow = is_narrow
        self.steps = steps
        self.before: list[Line] = []
        self.within: list[Within] = []
        self.after: list[Line] = []
        self.together: set[str] = set()  # cut, and read as a whole after the loop
        self.sums: set[str] = set()
        self.added_up: set[str] = set()  # memory that is written to as sums and otherwise
        self.cuts: dict[str, Cut] = {}
        self._least = max(self.symbol(name).size for name in cuts) / SMALLER
        self._late: set[str] = set()  # known after the loop only
        self._memory: dict[str, str] = {}  # how memory that changes is written to
        for name, cut in cuts.items():
            self._go_back(name, cut)
        for line in program.lines:
            self._sort(line)

    def more(self) -> dict[str, Cut]:
        """What is made before the loop, and read in it part by part, as large as it is: it may be made there, too."""
        early = {line.target for line in self.before if self.program.can_be_cut(line)}
        read = ((name, cut) for within in self.within for name, cut in within.cuts.items())
        return {name: cut for name, cut in read if name in early and self.symbol(name).size >= self._least}

    # -- back to what an array is made of ---------------------------------------------------------------------------

    def _go_back(self, name: str, cut: Cut) -> None:
        """Cut an array, and what it is made of."""
        line = self.program.makers.get(name)
        if line is None or name in self.cuts or not self.program.can_be_cut(line):
            return
        reading = self.program.reading(line)
        along = None if reading is None or reading.made is None else reading.made[cut.axis]
        if reading is None or along is None or along.label in reading.whole:
            return
        self.cuts[name] = cut
        for operand, axes in reading.operands.items() if not self._is_narrow else ():
            found = _cut(axes, along.label, cut.factor / along.factor)
            is_made = operand in self.program.code.symbols
            if isinstance(found, Cut) and is_made and self.symbol(operand).size >= self._least:
                self._go_back(operand, found)

    def symbol(self, name: str) -> Symbol:
        """What is known of an array, or of a constant."""
        found = self.program.code.symbols.get(name)
        return Symbol(name, self.program.code.constants[name].shape) if found is None else found

    # -- on to what is made of it -----------------------------------------------------------------------------------

    def _sort(self, line: Line) -> None:
        if self.program.is_place(line):
            self.before.append(line)
            return
        cut = [name for name in line.uses if name in self.cuts]
        touched = self.program.touched(line)
        is_late = bool(line.uses & self._late) or any(self._memory.get(one) == LATE for one in touched)
        if not is_late and not self._is_whole(line) and (cut or line.target in self.cuts):
            within = self._within(line, touched)
            if within is not None and within.way != LATE:
                self._take_in(within)
                return
        is_late = is_late or line.late or bool(cut) or any(one in self._memory for one in touched)
        self.cuts.pop(line.target, None)
        if not is_late:
            self.before.append(line)
            return
        self.after.append(line)
        self.together.update(cut)
        self._late.add(line.target)
        self._memory.update(dict.fromkeys(touched, LATE))

    def _is_whole(self, line: Line) -> bool:
        """Whether a line stays out of a narrow loop: a product, or another view for products only."""
        if not self._is_narrow or line.target in self.cuts:
            return False
        users = [one for one in self.program.lines if line.target in one.uses] if line.view_of else [line]
        return all(one.products for one in users)

    def _take_in(self, within: Within) -> None:
        self.within.append(within)
        line = within.line
        if within.made is not None:
            self.cuts[line.target] = within.made
        elif within.adds and not line.changes:
            self.sums.add(line.target)
            self._late.add(line.target)
        for one in self.program.touched(line):
            if self._memory.setdefault(one, within.way) != within.way:
                self.added_up.add(one)
                self._memory[one] = SUMS

    def _within(self, line: Line, touched: AbstractSet[str]) -> Within | None:
        """The line as one of the loop, if it can be that."""
        reading = self.program.reading(line)
        if reading is None:
            return None
        given = {name: self.cuts[name] for name in (*line.uses, line.target) if name in self.cuts}
        axes = {**reading.operands, **({} if reading.made is None else {line.target: reading.made})}
        steps = {_step(axes[name], cut) for name, cut in given.items()}
        if len(steps) != 1 or None in steps:
            return None
        [(label, ratio)] = (one for one in steps if one is not None)
        cuts = {name: _cut(one, label, ratio) for name, one in axes.items()}
        if label in reading.whole or () in cuts.values():
            return None
        found = {name: cut for name, cut in cuts.items() if isinstance(cut, Cut)}
        if any(found.get(name) != cut for name, cut in given.items()):
            return None
        made = None if reading.made is None else found.pop(line.target, None)
        adds = (reading.made is not None and made is None) or (bool(reading.written) and reading.written not in found)
        if adds and label not in reading.summed:
            return None
        way = self._way(reading, found, touched, adds=adds)
        for one in touched:
            if self._memory.get(one, way) != way and not (way != LATE and line.changes and self._may_add_up(one)):
                return None
        return Within(line, reading, label, found, made, way)

    def _may_add_up(self, memory: str) -> bool:
        """Whether all that was written to some memory may be added to zeros there: nobody has read it."""
        lines = [*self.before, *(within.line for within in self.within)]
        found = [line for line in lines if memory in self.program.touched(line)]
        return all(line.changes for line in found) and not any(line in self.before for line in found)

    def _way(self, reading: Reading, cuts: Mapping[str, Cut], touched: AbstractSet[str], *, adds: bool) -> str:
        """How memory that changes is written to."""
        if adds:
            return SUMS
        places = [name for name in reading.operands if self.program.memory(name) in touched]
        found = [self._axes_of_whole(name, cuts.get(name)) for name in places]
        axes = frozenset.intersection(*found) if found else frozenset([0])
        return f"along {min(axes)}" if axes else LATE

    def _axes_of_whole(self, name: str, cut: Cut | None) -> frozenset[int]:
        """Along which axes of the result a part of a place lies, step by step."""
        whole, place = self.program.whole(name), self.symbol(name)
        if cut is None or cut.factor != 1 or place.strides is None or whole is None or whole.kind is None:
            return frozenset()
        start, *steps = [_digits(step, whole) for step in (place.offset, *place.strides)]
        if any(step < 0 for step in place.strides):
            return frozenset()
        found = set()
        for axis, size in enumerate(whole.shape):
            reach = [step[axis] * (count - 1) for step, count in zip(steps, place.shape, strict=True)]
            if start[axis] + sum(reach) >= size:
                return frozenset()
            others = sum(reach) - reach[cut.axis]
            if start[axis] == 0 and steps[cut.axis][axis] == 1 and not others and size == self.steps:
                found.add(axis)
        return frozenset(found)


def _digits(nbytes: int, whole: Symbol) -> list[int]:
    """How far a number of bytes leads along each axis of an array."""
    assert whole.kind is not None
    found, rest = [], nbytes // whole.kind.itemsize
    for axis in range(whole.ndim):
        step = prod(whole.shape[axis + 1 :])
        found.append(rest // step)
        rest %= step
    return found


def _step(axes: Axes, cut: Cut) -> tuple[int, Fraction] | None:
    """With which label a cut axis goes along, and how many steps of the loop are one of its own."""
    one = axes[cut.axis]
    return None if one is None else (one.label, Fraction(cut.factor, one.factor))


def _cut(axes: Axes, label: int, ratio: Fraction) -> Cut | tuple[()] | None:
    """Where an array is cut along that label; None where it is not, and () where that cannot be done."""
    found = [(axis, one.factor * ratio) for axis, one in enumerate(axes) if one is not None and one.label == label]
    if not found:
        return None
    [(axis, factor), *more] = found
    return () if more or factor.denominator != 1 else Cut(axis, int(factor))
