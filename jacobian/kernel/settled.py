"""What depends on nothing that a program is given: computed once, when it is written, instead of at every run.

The Jacobian of a linear map is always the same, and so is that of its linear steps before the first one that is not.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from jacobian.kernel.buffers import with_errors_raised
from jacobian.kernel.code import NOT_PLAYED, Code

LARGEST = 2**20  # bytes of an array that is kept
MOST = 2**22  # bytes of all that are kept for a program
ITEM = np.dtype(np.float64).itemsize


def settled(code: Code, given: Collection[str]) -> set[str]:
    """The arrays that depend on nothing of what is given, and are small enough to be kept."""
    made = {line.target for line in code.lines if not line.check}
    varying = {name for name in made if code.symbols[name].size * ITEM > LARGEST}.union(given)
    before = -1
    while before != len(varying):  # an array varies with all that is written to it later
        before = len(varying)
        varying.update(line.target for line in code.lines if not line.uses.isdisjoint(varying))
    return made - varying


def settle(code: Code, results: Sequence[str]) -> None:
    """Compute what is settled, and leave out the lines that do so; nobody can change results that stay the same."""
    _compute(code, results)
    for name in set(results) - code.settled:
        value = code.constants.get(name)
        if isinstance(value, np.ndarray) and value.nbytes <= LARGEST:
            code.constants[name] = _own(value)


def _compute(code: Code, results: Sequence[str]) -> None:
    """Have values instead of lines; all of these stay where there is an error."""
    rest = [line for line in code.lines_for(results) if line.check or line.target not in code.settled]
    wanted = sorted(code.settled.intersection({*results, *(name for line in rest for name in line.uses)}))
    if not wanted:
        return
    try:
        values = with_errors_raised(code.compile(code.text((), wanted, checks=False, always_several=True)))
    except (*NOT_PLAYED, TypeError):  # the program itself will tell
        return
    if sum(map(_nbytes, values)) > MOST:
        return
    for name, value in zip(wanted, values, strict=True):
        code.constants[name] = _own(value)
    code.lines = [line for line in code.lines if line.check or line.target not in code.settled]
    code.reused = {name: memory for name, memory in (code.reused or {}).items() if name not in code.settled}


def _nbytes(value: Any) -> int:
    """What a value holds: a function may have given several arrays."""
    return sum(map(_nbytes, value)) if isinstance(value, list | tuple) else np.asarray(value).nbytes


def _own(value: Any) -> Any:
    """A value that nobody can write to: an array in memory that is read-only, which its owner's flag alone is not."""
    if not isinstance(value, np.ndarray) or not value.size:
        return value
    return np.frombuffer(value.tobytes(), value.dtype).reshape(value.shape)
