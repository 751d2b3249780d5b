"""How long a program takes, estimated from its lines: of several that compute the same the quickest is told unrun.

What counts is how much memory is read and written, and how: neighbours one after another, or entries so far apart that
each is a line of the cache by itself, as on the diagonal of a large result. The numbers are nanoseconds on some
machine; only how they compare matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

import numpy as np

from jacobian.kernel.code import Code, Symbol
from jacobian.kernel.finite import MANY
from jacobian.kernel.lines import Line, highest
from jacobian.kernel.pattern import Shape

LINE = 700.0  # calling NumPy, whatever for
NUMBER = 50.0  # an operation on numbers, which are Python's as far as can be
CALL = 50_000.0  # calling the kernel, which then calls NumPy some twenty times
LISTED = 6.0  # writing an entry to a position in a list
LOOP = 12.0  # beginning one of NumPy's inner loops
PRODUCT = 0.02  # a multiplication within BLAS
MATRIX = 40.0  # beginning one product of a stack of matrices
ENTRY = 0.1  # reading an entry, or writing it
LARGE = 0.3  # more, where the array is so large that it does not stay in the cache
FRESH = 0.8  # an entry of memory that is asked of the machine, which hands it out page by page
FAR = 4.0  # going to an entry of a large result that is no neighbour of the last one
FEW = 2**11  # such entries that the cache holds
KEPT = 2**14  # entries whose memory is not given back to the machine between runs; or twice the largest array
CACHED = 2**18  # entries of an array that stays in the cache
ITEM = np.dtype(np.float64).itemsize


def effort(code: Code, results: Sequence[str], checks: Sequence[Line] = ()) -> float:
    """What it takes to compute results, and to make further checks; what is settled is there already."""
    wanted = {*results, *(name for check in checks for name in check.uses)}
    lines = [line for line in (*code.lines_for(wanted), *checks) if line.check or line.target not in code.settled]
    total = sum(line_effort(code, line) for line in lines) + _asked(code, lines, results)
    for name, memory in zip(results, code.memories(results), strict=True):
        places = () if memory is None else memory.zeroed
        total += sum(_written(shape, strides, code.symbols[name]) for shape, _, strides in places)
    return total


def _asked(code: Code, lines: Sequence[Line], results: Sequence[str]) -> float:
    """Asking the machine for memory: for all that is there at once, but for what an allocator keeps between runs.

    The memory of some results is used again, and of zeros only what is written to is given.
    """
    lent = {name for name, memory in zip(results, code.memories(results), strict=True) if memory is not None}
    made = [line for line in lines if line.new or (line.blank and "zeros(" not in line.text)]
    entries = {line.target: float(code.symbols[line.target].size) for line in made}
    entries |= dict.fromkeys(lent, 0.0)
    kept = max(KEPT, 2 * max(entries.values(), default=0.0))
    if sum(entries.values()) <= kept:
        return 0.0
    return FRESH * max(0.0, highest(lines, frozenset(results), entries) - kept)


def effort_to_look(symbol: Symbol) -> float:
    """What it takes to look at the entries of an array; a large one is gone through twice."""
    return LINE + (1 if symbol.size <= MANY else 2) * _through(symbol.size)


def line_effort(code: Code, line: Line) -> float:
    """What one line takes; next to nothing where it only looks at an array in another way."""
    total = (CALL if line.calls else LINE) + PRODUCT * line.products + LISTED * line.listed
    if line.check:
        return total + sum(effort_to_look(code.symbols[name]) for name in line.uses if name in code.symbols)
    operands = [code.symbols[name] for name in line.uses - {line.target} if name in code.symbols]
    if _is_of_numbers(line, code.symbols.get(line.target), operands):
        return NUMBER
    if not line.new and not line.changes:
        return total
    made = code.symbols[line.target]
    places = [symbol for symbol in operands if symbol.strides is not None]
    given = [symbol for symbol in operands if symbol.strides is None]
    total += sum(_through(symbol.size) for symbol in given)
    if line.products:
        total += MATRIX * sum(prod(one.shape[:-2]) for one in ([made] if line.new else places))
    if line.new:
        return total + _through(made.size) + (0.0 if line.products else _loops(made.shape, given))
    for place in places:
        total += _written(place.shape, place.strides or (), made)
        total += 0.0 if line.products else max(_loops(place.shape, given), LOOP * _runs(place))
        if line.adds and len(given) > 1:  # what is added is an array by itself before
            total += 2 * ENTRY * place.size
    if not places:  # a function of its own does it
        entries = max((symbol.size for symbol in given), default=1)
        total += _through(entries) + (FAR * entries if made.size > CACHED and entries > FEW else 0.0)
    return total


def _is_of_numbers(line: Line, made: Symbol | None, operands: Iterable[Symbol]) -> bool:
    """Whether a line makes a number of numbers, reads one, or writes one to an entry."""
    if line.calls or line.products or line.listed:
        return False
    is_single = not any(one.shape for one in operands)
    is_read = not line.new and not line.changes and " if " not in line.text
    return made is not None and (is_single or is_read) and (not made.shape or line.changes)


def _through(entries: int) -> float:
    """Going through an array."""
    return (ENTRY if entries <= CACHED else ENTRY + LARGE) * entries


def _written(shape: Shape, strides: Shape, whole: Symbol) -> float:
    """Going through a view of an array."""
    runs = prod(shape) / max(1, _neighbours(shape, strides))
    return _through(prod(shape)) + (FAR * runs if whole.size > CACHED and runs > FEW else 0.0)


def _runs(place: Symbol) -> float:
    """How many inner loops go through a view: axes that lie one within the other are gone through as one."""
    length, following = 1, 0
    for step, size in sorted((abs(step), size) for step, size in zip(place.strides or (), place.shape, strict=True)):
        if size > 1 and following not in (0, step):
            break
        length, following = length * size, (step * size if size > 1 else following)
    return place.size / max(1, length)


def _neighbours(shape: Shape, strides: Shape) -> int:
    """How many entries of a view follow one another in memory."""
    count = 1
    for step, size in sorted(zip(strides, shape, strict=True)):
        if step == count * ITEM:
            count *= size
    return count


def _loops(shape: Shape, operands: Iterable[Symbol]) -> float:
    """Beginning inner loops: each is as long as the last axes along which every operand changes, or none does."""
    length, kind = 1, None
    wide = [(1,) * (len(shape) - len(one.shape)) + one.shape for one in operands]
    for axis in range(len(shape) - 1, -1, -1):
        if shape[axis] == 1:
            continue
        here = tuple(one[axis] == 1 for one in wide)
        if kind not in (None, here):
            break
        length, kind = length * shape[axis], here
    return LOOP * prod(shape) / max(1, length)
