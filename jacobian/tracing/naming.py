"""What formulas call the arrays that a function captures: what holds them, else `c`, `c2`, …, and no two alike."""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobian.kernel.term import Array
from jacobian.kernel.words import unused
from jacobian.tracing.captured import held_by

if TYPE_CHECKING:
    from jacobian.tracing.graph import Node


class Naming:
    """The names of the captured arrays of one graph: known at the end of a run, worked out when somebody asks.

    `variables` are the names that the user gives to anything, which nothing else is to bear.
    """

    __slots__ = (
        "_copies",
        "_held",
        "_names",
        "_nodes",
        "_numbered",
        "_roots",
        "_within",
        "letter",
        "numbers",
        "variables",
    )

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes
        self._names: dict[int, str] = {}  # of the user's, by the array's id
        self._numbered: dict[int, str] = {}
        self._held: Sequence[tuple[str, int]] = ()
        self._copies: Sequence[tuple[Callable[[], Any], int]] = ()
        self._roots: Sequence[Any] = ()
        self._within: list[Naming] = []  # of functions that were differentiated within this run
        self.variables: set[str] = set()
        self.letter = "v"  # what nodes without a name of their own are called, with their number
        self.numbers: Mapping[int, int] = {}  # of nodes that are not called by their place in the graph

    def remember(
        self, variables: Iterable[tuple[str, Any]], copies: Mapping[int, tuple[Any, Array]], roots: Sequence[Any]
    ) -> None:  # fmt: skip
        """Note at the end of a run which variables hold which arrays, and what else may: later they may hold others."""
        arrays = [(name, id(value)) for name, value in variables if isinstance(value, np.ndarray)]
        self.variables.update(name for name, _ in arrays)
        self._held = [(name, id(copies[key][1]) if key in copies else key) for name, key in arrays]
        self._copies = [(weakref.ref(original), id(copy)) for original, copy in copies.values()]
        self._roots = roots

    def around(self, inner: Naming) -> None:
        """Use the user's names for arrays of a function that was differentiated within this run, too."""
        self._within.append(inner)

    def like(self, other: Naming) -> None:
        """Use the names that another graph's arrays have from the user, as far as these are part of it."""
        other._recall()
        known = other._constants()  # the others' ids may come again
        self._names = {key: name for key, name in other._names.items() if key in known or not other._nodes}
        self.letter, self.variables = other.letter, other.variables

    def call(self, holders: Iterable[tuple[str, Any]]) -> None:
        """Call arrays by what holds them, the first one first."""
        self._give((name, id(value)) for name, value in holders)

    def of_node(self, index: int) -> str:
        """What a node is called that has no name of its own: `v1` is the first operation."""
        return f"{self.letter}{self.numbers.get(index) or 1 + index - self._inputs}"

    def rename(self, array: Array, name: str) -> None:
        """Call an array otherwise."""
        self._names[id(array)] = name

    def of(self, array: Array) -> str | None:
        """An array's name; None where it is not part of the graph."""
        key = id(array)
        if key not in self._names and key not in self._numbered:
            self._recall()
            self._number()
        return self._names.get(key) or self._numbered.get(key)

    @property
    def _inputs(self) -> int:
        """How many inputs stand before the first operation."""
        return next((place for place, node in enumerate(self._nodes) if node.op is not None), 0)

    @property
    def captured(self) -> dict[str, Array]:
        """The arrays by name, in the order in which they are first used."""
        return {self.of(array) or word: array for word, array in self._constants().values()}

    def is_users(self, array: Array) -> bool:
        """Whether the user has a name for an array."""
        self._recall()
        return id(array) in self._names

    def _recall(self) -> None:
        """Work out what was remembered."""
        held, copies, roots, within = self._held, self._copies, self._roots, self._within
        self._held = self._copies = self._roots = ()
        self._within = []
        self._give(held)
        if roots:
            known = {id(original): key for original, key in ((ref(), key) for ref, key in copies)}
            self._give((name, known.get(id(value), id(value))) for name, value in held_by(roots))
        for inner in within:
            inner._recall()
            self._give((name, key) for key, name in inner._names.items())

    def _give(self, holders: Iterable[tuple[str, int]]) -> None:
        wanted = self._constants().keys() - self._names.keys()
        taken = self._taken()
        for name, key in holders if wanted else ():
            if key in wanted:
                wanted.remove(key)
                self._names[key] = unused(_as_a_word(name), taken)
                taken.add(self._names[key])
            if not wanted:
                return

    def _number(self) -> None:
        """Call the others in the order in which they are used, whoever asks first."""
        taken = {*self.variables, *self._taken(), *self._numbered.values()}
        for key, (word, _) in self._constants().items():
            if key not in self._names and key not in self._numbered:
                self._numbered[key] = unused(word, taken)
                taken.add(self._numbered[key])

    def _taken(self) -> set[str]:
        return {*self._names.values(), *(node.name_hint for node in self._nodes)}

    def _constants(self) -> dict[int, tuple[str, Array]]:
        """The captured arrays by id, and what they are called where nothing holds them."""
        found: dict[int, tuple[str, Array]] = {}
        for node in self._nodes:
            if len(node.parents) < len(node.operands):
                traced = [k for k, _ in node.parents]
                for k, operand in enumerate(node.operands):
                    if k not in traced and np.ndim(operand):
                        found.setdefault(id(operand), ("c", operand))
            for word, value in node.params.items() if node.params else ():
                if isinstance(value, np.ndarray) and value.ndim:
                    found.setdefault(id(value), (word, value))
        return found


def _as_a_word(name: str) -> str:
    """A name as formulas have it: `p_W` of `p['W']`, and nothing that begins with `_`, which claims cannot use."""
    word = name if name.isidentifier() else re.sub(r"\W+", "_", name).rstrip("_")
    return word.lstrip("_") or "c"
