"""Every op, by its name and by the functions it answers for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobian.ops.later import Later

if TYPE_CHECKING:
    from jacobian.ops.registry import Op


class Registry:
    """Every op by name and by the function it answers for. Filled when `jacobian.ops` is imported."""

    def __init__(self) -> None:
        self._by_name: dict[str, Op] = {}
        self._by_function: dict[Callable[..., Any], Op] = {}
        self._built_in: frozenset[str] = frozenset()
        self.later = Later()
        self.changes = 0  # what was planned before may be done by another op after
        self._sealed = False

    def seal(self) -> None:
        """What is known by now is built in: an op added later does not take its name away."""
        self._built_in = frozenset(self._by_name)
        self._sealed = True
        for op in self._by_name.values():
            op.built_in = True

    @property
    def is_sealed(self) -> bool:
        """Whether the ops of this package are all there."""
        return bool(self._built_in) and not self.later.running

    def built_in(self, name: str) -> Op | None:
        """The op of that name, unless it came after those of the package."""
        return self._by_name.get(name) if not self._sealed or name in self._built_in else None

    @property
    def names(self) -> list[str]:
        """Every name an op is found by."""
        return sorted(self._by_name)

    def add(self, op: Op) -> Op:
        """Make the op known; an op of the same name is replaced unless it is built in."""
        with self.later.lock:
            if self.later.running:
                return self._add_built_in(op)
            for name in (op.name, *op.aliases):
                if name not in self._built_in:
                    self._by_name[name] = op
            for function in op.answers:
                self._by_function[function] = op
            self._by_function[op] = op
            self.changes += 1
        return op

    def _add_built_in(self, op: Op) -> Op:
        """One of the ops that came later: nothing that was planned changes, and what a user declared stays."""
        if op.name in self._built_in:  # such as PyTorch's loss of that name
            op.rename(f"scipy_{op.name}")
        op.built_in = True
        self._built_in |= {op.name}
        self._by_name[op.name] = op
        for function in op.answers:
            self._by_function.setdefault(function, op)
        self._by_function[op] = op
        return op

    def also(self, op: Op, function: Callable[..., Any]) -> None:
        """Let an op answer for one function more, which does the same as those it answers for."""
        op.answers = (*op.answers, function)
        self._by_function.setdefault(function, op)

    def find(self, function: Callable[..., Any]) -> Op | None:
        """The op that answers for a function, if any."""
        op = self._by_function.get(function)
        if op is None and type(function) is np.ufunc and self.later.arrive():
            op = self._by_function.get(function)
        return op

    def __iter__(self) -> Iterator[Op]:
        """All ops, by name, each once."""
        return iter(sorted(dict.fromkeys(self._by_name.values()), key=lambda op: op.name))

    def __getitem__(self, name: str) -> Op:
        """The op of that name."""
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        """Whether there is an op of that name."""
        return name in self._by_name

    def __len__(self) -> int:
        """How many ops there are."""
        return len({*self._by_name.values()})
