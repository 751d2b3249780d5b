"""What the names in a verdict stand for that nobody gave: `v2 = x**2 (line 3)`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from jacobian.checking.derivation import Derivation, Run
from jacobian.kernel.notation import array_text
from jacobian.tracing.stripped import strip_all
from jacobian.tracing.written import as_computed

LONGEST = 12
"""So many names are told at most."""


def legend(run: Run, D: Derivation | None, why: str) -> tuple[str, ...]:
    """What is told of the names in a sentence, and of those in what is told; then of those in the true formula.

    A derivation in smaller steps has names of its own, `e` and `Z` in a softmax.
    """
    found = _told(_definitions(run, D), why)
    found |= {text.partition(" = ")[0]: text for text in run.jacobian.legend if text.partition(" = ")[0] not in found}
    return tuple(found.values())


def _definitions(run: Run, D: Derivation | None) -> dict[str, str]:
    """Every name that nobody gave, and what it is: nodes with the line that made them, and arrays."""
    given = {node.name for node in run.trace.nodes if node.op is None or node.name_hint} | {*run.captured}
    lines = {node.name: f" (line {line})" for node, line in run.lines.items()}
    own = [strip_all(array) for array in run.trace._graph.naming.captured.values()]
    found: dict[str, str] = {}
    for graph in (run.trace._graph, *([] if D is None else [D.of.trace])):
        captured = graph.naming.captured.items()
        found |= {name: _array(strip_all(one), own) for name, one in captured if not graph.naming.is_users(one)}
        nodes = [node for node in graph.nodes if node.op is not None and node.name not in given]
        found |= {node.name: as_computed(node) + lines.get(node.name, "") for node in nodes}
    return found


def _array(array: Any, own: Sequence[Any]) -> str:
    """An array that the function captured, by its numbers; one of the smaller steps has others at every point."""
    if any(np.array_equal(array, one) for one in own):
        return array_text(array)
    return f"a constant of the shape {np.shape(array)}"


def _told(definitions: dict[str, str], why: str) -> dict[str, str]:
    """The lines of the legend by name, as many as are wanted."""
    if not definitions:
        return {}
    longest_first = sorted(definitions, key=len, reverse=True)
    names = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, longest_first))})(?!\w)")
    found: dict[str, str] = {}
    waiting = names.findall(why)
    while waiting and len(found) < LONGEST:
        name = waiting.pop(0)
        if name not in found:
            found[name] = f"{name} = {definitions[name]}"
            waiting += names.findall(definitions[name])
    return found
