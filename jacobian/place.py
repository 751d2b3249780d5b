"""A function, what it was called with, and one leaf of its result: where a Jacobian is taken."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from jacobian import algebra, plan
from jacobian.errors import JacobianWarning
from jacobian.kernel.origin import Origin
from jacobian.kernel.term import Array
from jacobian.tracing.graph import Node
from jacobian.tracing.run import output, run
from jacobian.tracing.tree import leaves, map_arrays, map_leaves


class Place(NamedTuple):
    """A function, what it was called with, and which leaf of its result is meant."""

    f: Callable[..., Any]
    numbers: Sequence[int]
    args: Sequence[Any]
    kwargs: dict[str, Any]
    path: str

    def origin(
        self, points: Sequence[Array], k: int, value: Callable[[], Array], orders: Callable[[], str] | None
    ) -> Origin:  # fmt: skip
        """Where the Jacobian by input number k comes from, of the value there."""
        retrace, tangent = partial(self.nodes_at, points, k), partial(self.tangent_at, points, k)
        return Origin(partial(self.value_at, points, k), points[k], value, orders, self.f, retrace, tangent)

    def value_at(self, points: Sequence[Array], k: int, x: np.ndarray) -> np.ndarray:
        """The value with another input number k, the others as they were."""
        call = self._call([x if position == k else point for position, point in enumerate(points)])
        return np.asarray(self._leaf(self.f(*call, **self.kwargs)))

    def nodes_at(self, points: Sequence[Array], k: int) -> tuple[Any, Node]:
        """The nodes of the output (or its value, where it is no node) and of input number k, from another run."""
        recording = run(self.f, self.numbers, self._call(points), self.kwargs)
        nodes = leaves([recording.inputs[number] for number in self.numbers])
        leaf = self._leaf(recording.result)
        of = output(leaf, self.path, recording.graph)
        if isinstance(of, Node):
            of.name_hint = of.name_hint or recording.name_of(leaf, self.path)
        return of, nodes[k]

    def tangent_at(self, points: Sequence[Array], k: int, step: np.ndarray) -> Array:
        """`J·Δx` by input number k, from another run."""
        of, wrt = self.nodes_at(points, k)
        if not isinstance(of, Node):
            return np.zeros(np.shape(of))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", JacobianWarning)  # told when it was differentiated
            (J,) = plan.accumulate(plan.paths(of, [wrt]), algebra.Numeric(), "auto")
            return np.asarray(J @ step)

    def _call(self, points: Sequence[Array]) -> list[Any]:
        """The positional arguments with these arrays in place of those differentiated by."""
        arrays = iter([copy(point) for point in points])
        call = list(self.args)
        for number in self.numbers:
            call[number] = map_arrays(lambda _, __: next(arrays), call[number])
        return call

    def _leaf(self, result: Any) -> Any:
        found: list[Any] = []
        map_leaves(lambda leaf, path: found.append(leaf) if path == self.path else None, result)
        return found[0]
