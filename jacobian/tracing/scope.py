"""What the names in the formulas of one run stand for: its nodes and the arrays that its function captured."""

from __future__ import annotations

import re
import weakref
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from jacobian.kernel.expression import Jacobian
from jacobian.kernel.notation import array_text, digits
from jacobian.kernel.written import Written
from jacobian.tracing.graph import Graph, Node
from jacobian.tracing.stripped import strip_all
from jacobian.tracing.written import compared_entry, definition, node_entry

SMALL = 2**20
"""Bytes up to which what a run computed is kept for formulas alone."""

SHORT = 8
"""Characters of a number that somebody wrote as a decimal."""


class RunScope:
    """The scope of a run.

    A Jacobian that was made of others does not keep large runs alive: of their arrays it knows those that are still
    there, and that the others are like nothing else.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph: Graph | None = graph
        self._alive = weakref.ref(graph)
        self._held: Mapping[str, Any] | None = None
        self._written: dict[str, Written | None] = {}
        if sum(getattr(node.value, "nbytes", 0) for node in graph.nodes) > SMALL:
            self._graph, self._held = None, {name: _weakly(one) for name, one in _by_name(graph).items()}

    @cached_property
    def decimals(self) -> frozenset[float]:
        """Those among the operands; `1 / 3` is none."""
        graph = self._alive()
        numbers = {one for node in (graph.nodes if graph else ()) for one in node.operands if isinstance(one, float)}
        return frozenset(abs(float(one)) for one in numbers if not one.is_integer() and len(digits(one)) <= SHORT)

    def holds(self, word: str) -> Any:
        """The array of that name; of one that is gone, what is like nothing else."""
        if self._held is None:
            assert self._graph is not None
            self._held = _by_name(self._graph)
        held = self._held.get(word)
        array = held() if isinstance(held, weakref.ref) else held
        return held if array is None else array

    def written(self, word: str) -> Written | None:
        """A node, or a comparison, that has no name of the user's, as a short text; as long as the run is there."""
        if word not in self._written:
            graph = self._alive()
            self._written[word] = None if graph is None else _written(graph, word)
        return self._written[word]

    def defined(self, word: str) -> str | None:
        """What a node, or an array, is that has no name of the user's; as long as the run is there."""
        graph = self._alive()
        return None if graph is None else _defined(graph, word)


def _defined(graph: Graph, word: str) -> str | None:
    node = next((node for node in graph.nodes if node.name == word), None)
    if node is not None:
        return definition(node)
    array = graph.naming.captured.get(word)
    return None if array is None or graph.naming.is_users(array) else array_text(strip_all(array))


def _written(graph: Graph, word: str) -> Written | None:
    node = next((node for node in graph.nodes if node.name == word), None)
    if node is not None:
        return None if node.name_hint else node_entry(node)
    array = graph.naming.captured.get(word)
    compared = graph.compared.get(id(array))
    return None if compared is None or graph.naming.is_users(array) else compared_entry(graph, compared)


def _weakly(array: Any) -> Any:
    return weakref.ref(array) if isinstance(array, np.ndarray) else array


def _by_name(graph: Graph) -> dict[str, Any]:
    """What every name stands for; that of an argument which holds several, for all of them."""
    arrays = {node.name: strip_all(node.value) for node in graph.nodes}
    arrays |= {name: strip_all(array) for name, array in graph.naming.captured.items()}
    groups: dict[str, list[Any]] = {}
    for name, array in arrays.items():
        base = re.split(r"[\[.]", name, maxsplit=1)[0]
        if base != name:
            groups.setdefault(base, []).append(array)
    return {name: tuple(members) for name, members in groups.items()} | arrays


def said(found: Sequence[Jacobian], of: Node, wrt: Sequence[Node]) -> list[Jacobian]:
    """Jacobians of a node by others, named, which know what their formulas speak of."""
    graph = of.trace
    if graph.scope is None:
        graph.scope = RunScope(graph)
    scope = graph.scope
    return [J.within(scope, of.name, one.name) for J, one in zip(found, wrt, strict=True)]
