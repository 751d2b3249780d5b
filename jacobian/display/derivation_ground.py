"""What a derivation stands on: the traced function, names that are identifiers, the paths, the true Jacobians."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from jacobian import plan
from jacobian.checking.derivation import Run
from jacobian.display.derivation_nodes import HELPERS, Scope
from jacobian.display.derivation_terms import Book
from jacobian.errors import ArgumentError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.words import unused
from jacobian.tracing.graph import Node
from jacobian.tracing.stripped import strip_all

MAX_ENTRIES = 2**20

_KEYWORDS = frozenset(
    "and as assert async await break class def del for from if import in is lambda not or pass".split()
)
_RESERVED = frozenset({"np", "jac", "J", "where", "mean", "inv", "det", "pi", *HELPERS, *_KEYWORDS})


class Ground:
    """A function at a point, everything in it named."""

    def __init__(self, f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], argnum: int) -> None:
        self.run = Run(f, args, kwargs, argnum)
        self.of, self.wrt = self.run.of, self.run.wrt
        self.scope = Scope()
        self.dropped: list[tuple[Node, Node]] = []
        self._name_everything(args)
        self.book = Book({*self.scope.values, "t"})
        while f"t{len(self.book.tables) or ''}" in self.scope.values:
            self.book.tables.append(np.zeros(0, int))
        self.graph = self._paths()
        self.jacobian = self._true(self.wrt)

    # -- names ---------------------------------------------------------------------------------------------------------

    def _name_everything(self, args: Sequence[Any]) -> None:
        """Every node and every array gets a name that is an identifier and nobody else's."""
        nodes, graph = self.run.trace.nodes, self.run.trace._graph
        naming = graph.naming
        captured = naming.captured
        self.scope.captured = {id(array): name for name, array in captured.items() if naming.is_users(array)}
        taken = set(_RESERVED)

        def own(name: str) -> str:
            name = re.sub(r"\W+", "_", name).strip("_") or "v"
            name = f"v_{name}" if name[0].isdigit() else name
            found = unused(name, _Taken(taken))
            taken.add(found)
            return found

        for node in nodes:
            if node.op is None:
                node.name_hint = own(node.name)
                self.scope.given[node.name_hint] = self.scope.values[node.name_hint] = np.asarray(strip_all(node.value))
        for known, operand in captured.items():
            name = own(known)
            naming.rename(operand, name)
            self.scope.given[name] = self.scope.values[name] = operand
        for name, value in zip(self.run.input_names, args, strict=False):
            if isinstance(value, np.ndarray) and name not in taken and name.isidentifier():
                self.scope.given[name] = self.scope.values[name] = np.array(value)
        for node in nodes:
            if node.op is not None:
                node.name_hint = own(node.name)
                self.scope.values[node.name_hint] = np.asarray(strip_all(node.value))
            node._locals = None

    def _paths(self) -> plan.Paths | None:
        if not isinstance(self.of, Node):
            return None
        graph = plan.paths(self.of, [self.wrt])
        for node in graph.nodes:
            if plan.is_complex(node):
                raise ArgumentError(
                    report(
                        f"derive writes derivations in real numbers; {node.name} is complex",
                        at=repr(node), fix="J.formula states the whole, jac.backprop every node",
                    )
                )  # fmt: skip
            if prod(node.shape) * max(prod(self.of.shape), prod(self.wrt.shape)) > MAX_ENTRIES:
                raise ArgumentError(
                    report(
                        "derive checks every line in numbers, and these arrays are large",
                        got=f"{node.name} {node.shape}, output {self.of.shape}",
                        fix="give smaller ones: the derivation is the same",
                    )
                )
        shorter = plan.without_shifts(graph)
        self.dropped = [
            (node, parent) for node in graph.nodes for edge in graph.edges[node.index]
            if edge not in shorter.edges[node.index] for parent in (edge[1],)
        ]  # fmt: skip
        return shorter

    def _true(self, node: Node) -> Jacobian:
        if isinstance(self.of, Node):
            return self.run.trace.jacobian(self.of, node)
        return Jacobian.zero(self.run.out_shape, node.shape, float, ("y", node.name))


class _Taken:
    """Names that code cannot use, or that stand for something else by now."""

    def __init__(self, names: set[str]) -> None:
        self._names = names

    def __contains__(self, name: object) -> bool:
        return name in self._names or isinstance(getattr(np, str(name), None), np.ufunc)
