"""Straight-line NumPy programs: what is to be computed is written down once and run as often as wanted.

The kernel writes its contractions this way, so that everything indices decide is decided once per pattern; the chain
rule over a graph writes all of its contractions into one program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod
from typing import Any, NamedTuple

import numpy as np

Shape = tuple[int, ...]

LARGE = 2**10  # entries from which on memory is given back, or written again, as soon as that can be done


class OtherwiseError(Exception):
    """Raised by a program at numbers for which it was not written."""


_FUNCTIONS = "add ascontiguousarray broadcast_to copyto dot einsum empty matmul multiply ndarray zeros"
_ALWAYS = {"OtherwiseError": OtherwiseError} | {name: getattr(np, name) for name in _FUNCTIONS.split()}


class Symbol:
    """An array of a program: its name and its shape. Two symbols are the same array when they are the same object.

    `rough` says that it may be a view with strides that BLAS does not take.
    """

    __slots__ = ("name", "rough", "shape")

    def __init__(self, name: str, shape: Shape, *, rough: bool = False) -> None:
        self.name = name
        self.shape = shape
        self.rough = rough

    @property
    def ndim(self) -> int:
        """How many axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many entries."""
        return prod(self.shape)

    def __str__(self) -> str:
        """The name, as the program's text has it."""
        return self.name


class Line(NamedTuple):
    """One statement: what it assigns, if anything, and which names it reads."""

    target: str
    text: str
    uses: frozenset[str]
    always: bool = False


class Code:
    """A program under construction. Equal expressions are computed once."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.constants: dict[str, Any] = dict(_ALWAYS)
        self._known: dict[str, Symbol] = {}
        self._constant_names: dict[int, Symbol] = {}
        self._large: set[str] = set()
        self._count = 0

    def fresh(self, prefix: str = "t") -> str:
        """A name that is not used yet."""
        self._count += 1
        return f"{prefix}{self._count}"

    def let(
        self, text: str, uses: Iterable[Symbol], shape: Shape, *, rough: bool = False, always: bool = False
    ) -> Symbol:
        """Assign an expression to a new name; `always` says that it is to run even if nobody uses the name."""
        known = self._known.get(text)
        if known is not None:
            return known
        symbol = Symbol(self.fresh(), shape, rough=rough)
        self.lines.append(Line(symbol.name, f"{symbol.name} = {text}", frozenset(use.name for use in uses), always))
        self._known[text] = symbol
        if symbol.size >= LARGE:
            self._large.add(symbol.name)
        return symbol

    def array(self, text: str, shape: Shape, uses: Iterable[Symbol] = ()) -> Symbol:
        """A new array to be written to: never the same as another."""
        symbol = Symbol(self.fresh("full"), shape)
        self.lines.append(Line(symbol.name, f"{symbol} = {text}", frozenset(use.name for use in uses)))
        self._large.add(symbol.name)
        return symbol

    def do(self, text: str, uses: Iterable[Symbol], changed: Symbol) -> None:
        """A statement that changes an array."""
        self._known = {key: symbol for key, symbol in self._known.items() if symbol is not changed}
        self.lines.append(Line("", text, frozenset(use.name for use in (*uses, changed))))

    def refuse_where(self, condition: Symbol) -> None:
        """End the program where the condition holds anywhere: then it is not the one to run."""
        test = f"{condition}.any()" if condition.shape else str(condition)
        self.lines.append(Line("", f"if {test}: raise OtherwiseError", frozenset([condition.name])))

    def constant(self, value: Any, prefix: str = "k") -> Symbol:
        """A value that is always the same."""
        known = self._constant_names.get(id(value))
        if known is None:
            known = Symbol(self.fresh(prefix), tuple(np.shape(value)) if isinstance(value, np.ndarray) else ())
            self.constants[known.name] = value  # kept alive, so that its id stays its own
            self._constant_names[id(value)] = known
        return known

    def mark(self) -> tuple[int, int]:
        """Where the program stands, for `back_to`."""
        return len(self.lines), len(self._known)

    def back_to(self, mark: tuple[int, int]) -> None:
        """Forget what was written since, of which nothing is used; nothing may have been changed since."""
        del self.lines[mark[0] :]
        for key in list(self._known)[mark[1] :]:
            del self._known[key]

    def _needed(self, kept: set[str]) -> list[Line]:
        """The lines that what is kept depends on, and those that change or check something."""
        needed = set(kept)
        lines: list[Line] = []
        for line in reversed(self.lines):
            if not line.target or line.always or line.target in needed:
                needed |= line.uses
                lines.append(line)
        return lines[::-1]

    def text(self, arguments: Iterable[str], result: str) -> str:
        """The program as a function; large arrays are given up after their last use."""
        kept = set(result.replace("(", " ").replace(")", " ").replace(",", " ").split())
        lines = self._needed(kept)
        last = {name: position for position, line in enumerate(lines) for name in (*line.uses, line.target)}
        done: dict[int, list[str]] = {}
        for name in sorted(self._large.intersection(last) - kept):
            done.setdefault(last[name], []).append(name)
        body: list[str] = []
        for position, line in enumerate(lines):
            body.append(line.text)
            if position in done:
                body.append(f"del {', '.join(done[position])}")
        return "\n    ".join([f"def program({', '.join(arguments)}):", *body, f"return {result}"])

    def compile(self, arguments: Iterable[str], result: str) -> Callable[..., Any]:
        """The program as a function of those arguments."""
        namespace = self.constants
        exec(compile(self.text(arguments, result), "<jacobian program>", "exec"), namespace)
        program: Callable[..., Any] = namespace["program"]
        return program
