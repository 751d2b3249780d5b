"""Conditions on values, as the text of a function: it is asked at every call whether all is as it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np

from jacobian.kernel.code import run_text

_NUMBERS = count()  # so that the names in different conditions are different


class Conditions:
    """Statements that give up, by returning None, where something is not as it is demanded."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._constants: dict[str, Any] = {}
        self._names: dict[int, str] = {}

    def hold(self, value: Any) -> str:
        """The name of a value that the text speaks of."""
        known = self._names.get(id(value))
        if known is None:
            known = self._names[id(value)] = f"known{next(_NUMBERS)}"
            self._constants[known] = value  # kept alive, so that its id stays its own
        return known

    def let(self, text: str) -> str:
        """A name for what an expression gives."""
        name = f"part{next(_NUMBERS)}"
        self._lines.append(f"{name} = {text}")
        return name

    def let_all(self, texts: Sequence[str], error: str) -> list[str]:
        """The same for several; to give up where one of them raises that error."""
        if not texts:
            return []
        start = len(self._lines)
        names = [self.let(text) for text in texts]
        tried = [f"    {line}" for line in self._lines[start:]]
        self._lines[start:] = ["try:", *tried, f"except {error}:", "    return None"]
        return names

    def do(self, text: str) -> None:
        """A statement."""
        self._lines.append(text)

    def refuse(self, condition: str) -> None:
        """Give up where that holds."""
        self._lines.append(f"if {condition}: return None")

    def refuse_other_kind(self, name: str, value: Any) -> None:
        """Give up where what has that name differs from a value in its type, or an array in its shape or dtype."""
        condition = f"type({name}) is not {self.hold(type(value))}"
        if type(value) is np.ndarray:
            condition += f" or {name}.shape != {value.shape} or {name}.dtype != {self.hold(value.dtype)}"
        self.refuse(condition)

    def include(self, other: Conditions) -> None:
        """All that others demand, of values that have the same names here."""
        self._lines += other._lines
        self._constants |= other._constants
        self._names |= other._names

    def function(self, arguments: Sequence[str], result: str) -> Callable[..., Any]:
        """The function of these arguments which returns None, or what an expression gives."""
        text = "\n    ".join([f"def met({', '.join(arguments)}):", *self._lines, f"return {result}"])
        found: Callable[..., Any] = run_text(text, dict(self._constants))["met"]
        return found
