"""The best bracketing of a network that is a chain: which neighbours to multiply first.

Factors of a composed term stand in the order of the chain rule. Dynamic programming over intervals of that order finds
the bracketing with the fewest multiplications among all bracketings; no search over arbitrary pairs does so for long
chains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

LONGEST = 128  # the cube of the length is what it takes

Path = list[tuple[int, int]]


def best_bracketing(labels: Sequence[frozenset[int]], sizes: Mapping[int, int], out: frozenset[int]) -> Path:
    """A path as opt_einsum writes it: pairs of positions in the list of what is left, each product put at its end.

    >>> sizes = {0: 40, 1: 2, 2: 40, 3: 1}
    >>> best_bracketing([frozenset({0, 1}), frozenset({1, 2}), frozenset({2, 3})], sizes, frozenset({0, 3}))
    [(1, 2), (0, 1)]
    """
    count = len(labels)
    kept = _kept_labels(labels, out)
    volume: dict[frozenset[int], int] = {}

    def entries(group: frozenset[int]) -> int:
        if group not in volume:
            total = 1
            for label in group:
                total *= sizes[label]
            volume[group] = total
        return volume[group]

    cost: dict[tuple[int, int], int] = {(start, start + 1): 0 for start in range(count)}
    cut: dict[tuple[int, int], int] = {}
    for length in range(2, count + 1):
        for start in range(count - length + 1):
            stop = start + length
            best = -1
            for middle in range(start + 1, stop):
                total = cost[start, middle] + cost[middle, stop]
                if 0 <= best <= total:
                    continue
                total += entries(kept[start, middle] | kept[middle, stop])
                if best < 0 or total < best:
                    best, cut[start, stop] = total, middle
            cost[start, stop] = best
    return _as_path(cut, count)


def _kept_labels(labels: Sequence[frozenset[int]], out: frozenset[int]) -> dict[tuple[int, int], frozenset[int]]:
    """For every interval the labels that its product still carries: those that stand outside it or in the output."""
    count = len(labels)
    before, after = [frozenset[int]()], [frozenset[int]()]
    for position in range(count):
        before.append(before[-1] | labels[position])
        after.append(after[-1] | labels[count - 1 - position])
    kept: dict[tuple[int, int], frozenset[int]] = {}
    for start in range(count):
        inside: frozenset[int] = frozenset()
        for stop in range(start + 1, count + 1):
            inside |= labels[stop - 1]
            kept[start, stop] = inside & (before[start] | after[count - stop] | out)
    return kept


def _as_path(cut: Mapping[tuple[int, int], int], count: int) -> Path:
    """The products in an order in which each finds its factors, without recursion."""
    order: list[tuple[int, int]] = []
    stack = [(0, count)]
    while stack:
        start, stop = stack.pop()
        if stop - start > 1:
            order.append((start, stop))
            middle = cut[start, stop]
            stack += [(start, middle), (middle, stop)]
    left = [(position, position + 1) for position in range(count)]
    path: Path = []
    for start, stop in reversed(order):
        middle = cut[start, stop]
        first, second = sorted((left.index((start, middle)), left.index((middle, stop))))
        path.append((first, second))
        del left[second], left[first]
        left.append((start, stop))
    return path
