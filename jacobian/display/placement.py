"""Where the nodes of a graph stand: layer under layer, laid out by igraph after Sugiyama.

Layers are the longest way from an input; an input stands just above what first uses it. An edge that skips layers gets
a place of its own in each of them, so that it runs past the nodes and not through them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from jacobian.errors import MissingExtraError, report

Edge = tuple[int, int]
Place = tuple[float, int]
"""Column, which may be a fraction, and layer."""


class Placement(NamedTuple):
    """A place for every node, and for every edge the places it passes on its way."""

    nodes: tuple[Place, ...]
    ways: tuple[tuple[Place, ...], ...]

    @property
    def columns(self) -> float:
        """The last column; the first is 0."""
        return max((place[0] for place in self._all()), default=0.0)

    @property
    def layers(self) -> int:
        """How many layers there are."""
        return max((place[1] for place in self.nodes), default=-1) + 1

    def _all(self) -> tuple[Place, ...]:
        return (*self.nodes, *(place for way in self.ways for place in way))


def layout_library() -> Any:
    """The module `igraph`.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import igraph
    except ImportError as error:
        raise MissingExtraError(
            report("the picture of a graph needs igraph, which lays it out", fix="pip install 'jacobian[graph]'")
        ) from error
    return igraph


def layers_of(count: int, edges: Sequence[Edge]) -> list[int]:
    """The layer of every node; edges lead from a node to a later one.

    >>> layers_of(4, [(0, 2), (1, 3), (2, 3)])
    [0, 1, 1, 2]
    """
    parents: list[list[int]] = [[] for _ in range(count)]
    users: list[list[int]] = [[] for _ in range(count)]
    for start, stop in edges:
        parents[stop].append(start)
        users[start].append(stop)
    layer = [0] * count
    for node in range(count):
        layer[node] = max((layer[parent] + 1 for parent in parents[node]), default=0)
    for node in range(count):
        if not parents[node] and users[node]:
            layer[node] = min(layer[user] for user in users[node]) - 1
    return layer


def place(count: int, edges: Sequence[Edge]) -> Placement:
    """Lay out a graph whose edges lead from a node to a later one."""
    igraph = layout_library()
    layers = layers_of(count, edges)
    chains: list[list[int]] = []
    short: list[Edge] = []
    for start, stop in edges:
        between = range(layers[start] + 1, layers[stop])
        chain = list(range(len(layers), len(layers) + len(between)))
        layers += between
        chains.append(chain)
        stations = [start, *chain, stop]
        short += pairwise(stations)
    if not layers:
        return Placement((), ())
    found = igraph.Graph(len(layers), short, directed=True).layout_sugiyama(layers=layers, hgap=1, vgap=1)
    leftmost = min(column for column, _ in found.coords)
    places = [(column - leftmost, layer) for (column, _), layer in zip(found.coords, layers, strict=True)]
    return Placement(tuple(places[:count]), tuple(tuple(places[k] for k in chain) for chain in chains))
