"""Programs in tiles: what is long along some axis is gone through part by part, and each part stays in the cache.

Lines whose arrays go along with that axis become a loop over its parts. What they sum over it is added up, what is read
after the loop is put together, and nothing else is ever there as a whole: a batch of any size takes as much memory as
one part of it.

So it is done where memory is large; and where it is more than what is given and what results, if that costs little.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil
from typing import NamedTuple

import numpy as np

from jacobian.kernel.code import Code, Symbol
from jacobian.kernel.cuts import Cut, Program, Sorting
from jacobian.kernel.effort import LINE, PRODUCT, line_effort
from jacobian.kernel.lines import Line, body, function_text, highest, tuple_text
from jacobian.kernel.loops import Loop

PART = 2**20  # bytes of arrays that are there at once while a part is gone through: they stay in the cache
FOR_BLAS = 2**21  # the same beside products, which BLAS makes on all cores as long as they are large
SMALLEST = 2**18  # the same where there is less memory to spare
ROOM = 1.18  # times what is given and what results is the memory that a program may take without further thought
LEAST = 3 * 2**19  # bytes of all parts, from which on they are told apart
FEWEST = 2**16  # the same where they are so for the sake of memory, if that costs little:
LITTLE = 0.2  # of the time at most
NEARLY = 1.1  # times the memory of the best loop is as good as that: then what counts is the time
SHORTEST = 8  # steps of a part
ROUGHLY = 2  # times as large a part may be
BEGINNING = 8  # times as long as its lines take to begin is what a part should take
MOSTLY = 0.55  # of the time within BLAS, from which on its matrices should stay as large as they are
HARDLY = 0.05  # of the time within BLAS, below which parts may be gone through on all cores: BLAS uses these itself
LONG = 2e4  # nanoseconds that a line takes in a part, from which on it is worthwhile to do two of them at once
SCATTERED = 1.5  # nanoseconds more to write an entry where rows of a part lie apart
SHARED = 2**18  # multiplications from which on a product is made on all cores by BLAS
WAITING = 8e3  # nanoseconds until they have come together
SLOW = 3.0  # nanoseconds for an entry of a function that is no arithmetic
MOST_LINES = 1000  # of a program that is looked at
FEW_LINES = 200  # of one that takes little memory
CANDIDATES = 4  # arrays that are tried
PRODUCTS = 4  # products that are tried, with loops that make nothing else of products
WORTHWHILE = 0.8  # of the memory that is needed otherwise

_SLOW = {
    np.exp, np.exp2, np.expm1, np.log, np.log2, np.log10, np.log1p, np.sin, np.cos, np.tan, np.sinh, np.cosh, np.tanh,
    np.arcsin, np.arccos, np.arctan, np.arcsinh, np.arccosh, np.arctanh, np.arctan2, np.hypot, np.power, np.cbrt,
    np.logaddexp,
}  # fmt: skip


def text_in_tiles(code: Code, arguments: Iterable[str], results: Sequence[str], held: float) -> str | None:
    """A program as a function that returns all results as a tuple; None where a loop saves too little.

    So many bytes are `held` for it beside what is given.
    """
    lines = in_tiles(code, code.lines_in_turn(results), frozenset(results), held)
    if lines is None:
        return None
    made = {line.target for line in lines if line.target}
    return function_text(arguments, body(lines, frozenset(results), made), tuple_text(results))


class Tiled(NamedTuple):
    """A program in tiles: how it is cut, about how many bytes it takes, how much longer it takes, but for caches."""

    loop: Loop
    step: int
    way: str
    peak: float
    extra: float
    is_cached: bool


def in_tiles(code: Code, lines: Sequence[Line], kept: frozenset[str], held: float = 0.0) -> list[Line] | None:
    """The lines with a loop among them; None where that saves too little, or costs too much."""
    nbytes = {name: _nbytes(symbol) for name, symbol in code.symbols.items()}
    before, goal = highest(lines, kept, nbytes), _goal(lines, kept, nbytes) - held
    is_small = before < LEAST
    if len(lines) > (FEW_LINES if is_small else MOST_LINES) or (is_small and (before < FEWEST or before <= goal)):
        return None
    choice = _Choice(code, lines, goal)
    loops = _loops(Program(code, lines), kept, nbytes)
    found = [one for loop in loops if loop.is_possible for one in (choice.tiled(loop),) if one is not None]
    found = [one for one in found if one.peak <= WORTHWHILE * before]
    found = [one for one in found if one.is_cached] or found
    enough = max(goal, NEARLY * min((one.peak for one in found), default=0.0))
    best = min((one for one in found if one.peak <= enough), key=lambda one: one.extra, default=None)
    return None if best is None else best.loop.lines(best.step, best.way)


def _goal(lines: Sequence[Line], kept: frozenset[str], nbytes: Mapping[str, float]) -> float:
    """How many bytes a program may make without further thought."""
    given = sum(nbytes[line.target] for line in lines if not (line.uses or line.blank or line.check))
    return ROOM * (given + sum(nbytes.get(name, 0.0) for name in kept))


def _loops(program: Program, kept: frozenset[str], nbytes: Mapping[str, float]) -> Iterator[Loop]:
    """Loops over the axes of arrays, each with as few lines as that needs, and with more of what is made before."""
    seen: set[frozenset[str]] = set()
    made = sorted((line for line in program.lines if line.new), key=lambda line: -nbytes[line.target])
    for line in made[:CANDIDATES]:
        for axis, steps in enumerate(program.code.symbols[line.target].shape):
            more, cuts = {line.target: Cut(axis, 1)}, dict[str, Cut]()
            while more and steps >= 2 * SHORTEST:
                cuts |= more
                sorting = Sorting(program, cuts, steps)
                if not _is_seen(sorting, seen):
                    yield Loop(sorting, kept, nbytes)
                more = {one: cut for one, cut in sorting.more().items() if one not in cuts}
    for line in [line for line in made if line.products][:PRODUCTS]:
        for axis, steps in enumerate(program.code.symbols[line.target].shape):
            sorting = Sorting(program, {line.target: Cut(axis, 1)}, steps, is_narrow=True)
            if steps >= 2 * SHORTEST and not _is_seen(sorting, seen):
                yield Loop(sorting, kept, nbytes)


def _is_seen(sorting: Sorting, seen: set[frozenset[str]]) -> bool:
    """Whether there has been a loop of these lines; from now on there has."""
    lines = frozenset(within.line.text for within in sorting.within)
    is_seen = lines in seen
    seen.add(lines)
    return is_seen


def _nbytes(symbol: Symbol) -> float:
    return float(symbol.size * (8 if symbol.kind is None else symbol.kind.itemsize))


class _Choice:
    """How many parts a loop should have, if it is worthwhile."""

    def __init__(self, code: Code, lines: Sequence[Line], goal: float) -> None:
        self._code = code
        self._goal = goal
        self._efforts = {line.text: self._effort_of(line) for line in lines}
        self._effort = sum(self._efforts.values())

    def tiled(self, loop: Loop) -> Tiled | None:
        """The program with that loop: in parts that stay in the cache, or for the sake of memory alone."""
        lines, steps = [within.line for within in loop.sorting.within], loop.sorting.steps
        effort = sum(self._efforts[line.text] for line in lines)
        by_blas = PRODUCT * sum(line.products for line in lines) / effort
        enough = self._enough(loop)
        most = min(steps // SHORTEST, int(effort / (BEGINNING * LINE * len(loop.inner))))
        alive = loop.part(1)
        if alive < LEAST or by_blas > MOSTLY or alive > ROUGHLY * PART * most:
            return self._in_parts(loop, enough)
        part = min(PART if by_blas < HARDLY else FOR_BLAS, max(SMALLEST, self._goal - loop.beside[0]))
        count = min(ceil(alive / part), most)
        is_at_once = by_blas < HARDLY and effort >= LONG * count * len(loop.inner)
        count = max(min(2 * count, most) if is_at_once else count, enough)
        return self._in_parts(loop, count, is_at_once=is_at_once, is_cached=True)

    def _enough(self, loop: Loop) -> int:
        """How many parts there must be at least for no more memory than is wanted; 0 where that costs much."""
        at, others = loop.beside
        spare, most = self._goal - at, loop.sorting.steps // SHORTEST
        if spare <= 0 or others > self._goal or loop.part(1 / most) > spare:
            return 0
        least = max(1, ceil(loop.part(1) / spare))
        count = next(count for count in range(least, most + 1) if loop.part(1 / count) <= spare)
        return count if self._extra(loop, count) <= LITTLE * self._effort else 0

    def _in_parts(
        self, loop: Loop, count: int, *, is_at_once: bool = False, is_cached: bool = False
    ) -> Tiled | None:  # fmt: skip
        if count < 2:
            return None
        steps = loop.sorting.steps
        step = ceil(steps / count)
        way = "in_parts_at_once" if is_at_once else "in_parts"
        at, others = loop.beside
        peak = max(at + loop.part(step / steps), others)
        return Tiled(loop, step, way, peak, self._extra(loop, count), is_cached)

    def _extra(self, loop: Loop, count: int) -> float:
        """How much longer it takes in parts: lines begin, rows lie apart, and cores wait for one another."""
        products = [within.line.products for within in loop.sorting.within if within.line.products]
        more = sum(count * _product(one / count) - _product(one) for one in products)
        return LINE * (count - 1) * len(loop.inner) + SCATTERED * loop.scattered + max(more, 0.0)

    def _effort_of(self, line: Line) -> float:
        """What a line takes, with functions that are no arithmetic, and with products as BLAS makes them."""
        function = None if line.call is None else self._code.constants.get(line.call.function)
        slow = SLOW * self._code.symbols[line.target].size if function in _SLOW else 0.0
        return line_effort(self._code, line) + slow + _product(line.products) - PRODUCT * line.products


def _product(multiplications: float) -> float:
    """What a product takes: BLAS makes a large one on all cores, as if there were two of them."""
    is_shared = multiplications >= SHARED
    return PRODUCT * multiplications + WAITING if is_shared else 2 * PRODUCT * multiplications
