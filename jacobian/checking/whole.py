"""Slips in the Jacobian as a whole: its sign, the order of its axes, its δ, its symmetry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import combinations, permutations
from math import prod
from typing import Any

import numpy as np

from jacobian.checking import slips
from jacobian.checking.slips import Mutation
from jacobian.kernel.notation import at

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, ...]
Whole = Callable[[Array], Array]
Group = tuple[tuple[int, int], ...]
"""Pairs of axes that share an index."""

MAX_RANK = 6
LETTERS = "ijklmnpqrstuvw"


class Axes:
    """The axes of a Jacobian `∂out/∂into` as formulas write them."""

    def __init__(self, out: Shape, into: Shape, names: tuple[str, str]) -> None:
        self.out, self.into, self.names = out, into, names
        self.letters = LETTERS[: len(out) + len(into)]

    @property
    def shape(self) -> Shape:
        """The full tensor's shape."""
        return self.out + self.into

    @property
    def quotient(self) -> str:
        """`∂y[i]/∂x[j]`."""
        return self.written(range(len(self.shape)))

    def written(self, order: Any) -> str:
        """The quotient with its labels in another order."""
        letters = [self.letters[k] for k in order]
        out, into = letters[: len(self.out)], letters[len(self.out) :]
        return f"∂{at(self.names[0], out)}/∂{at(self.names[1], into)}"

    def placed(self, places: Mapping[int, int]) -> str:
        """The quotient with whole numbers in the place of some labels: `∂y[1]/∂x[j]`."""
        letters = [str(places.get(k, letter)) for k, letter in enumerate(self.letters)]
        out, into = letters[: len(self.out)], letters[len(self.out) :]
        return f"∂{at(self.names[0], out)}/∂{at(self.names[1], into)}"

    def lifted(self, function: Whole) -> Whole:
        """A function of the full tensor as one of the matrix."""
        return lambda T: function(T.reshape(self.shape)).reshape(prod(self.out), prod(self.into))

    def inner_pairs(self) -> list[tuple[int, int]]:
        """Axes of one size within the output, or within the input."""
        outs, rank = len(self.out), len(self.shape)
        both = [*combinations(range(outs), 2), *combinations(range(outs, rank), 2)]
        return [(a, b) for a, b in both if self.shape[a] == self.shape[b] > 1]

    def pairs(self) -> list[tuple[int, int]]:
        """Which output axis can share an index with which input axis: those of one size, longer than 1."""
        outs = len(self.out)
        return [(a, outs + b) for a, n in enumerate(self.out) for b, m in enumerate(self.into) if n == m > 1]


def sign(axes: Axes) -> Mutation:
    """Minus the truth."""
    return Mutation(
        slips.SIGN,
        ("sign",),
        lambda: f"The sign of {axes.quotient} is wrong: put a minus in front.",
        whole=lambda T: -T,
    )


def permuted(axes: Axes, *, across: bool) -> Iterator[Mutation]:
    """Every order of the axes that leaves the shape as it is: of output or input alone, or `across` both."""
    rank, outs = len(axes.shape), len(axes.out)
    orders = [p for p in _orders(axes.shape) if _keeps(p, axes.shape)]
    orders = [p for p in orders if (p[:outs] != tuple(range(outs)) and p[outs:] != tuple(range(outs, rank))) == across]
    for order in sorted(orders, key=lambda p: sum(a != b for a, b in enumerate(p))):
        yield Mutation(
            slips.AXES, ("axes", order), partial(_permuted_sentence, axes, order),
            whole=axes.lifted(partial(np.transpose, axes=order)),
        )  # fmt: skip


def _orders(shape: Shape) -> Iterator[tuple[int, ...]]:
    """Every order of the axes longer than 1, the others staying where they are."""
    moving = [axis for axis, size in enumerate(shape) if size > 1]
    if len(moving) > MAX_RANK:
        return
    for chosen in permutations(moving):
        order = list(range(len(shape)))
        for axis, source in zip(moving, chosen, strict=True):
            order[axis] = source
        yield tuple(order)


def _keeps(order: tuple[int, ...], shape: Shape) -> bool:
    moves = [(a, b) for a, b in enumerate(order) if a != b]
    return all(shape[a] == shape[b] for a, b in moves) and any(shape[a] > 1 for a, _ in moves)


def _permuted_sentence(axes: Axes, order: tuple[int, ...]) -> str:
    moved = [k for k, a in enumerate(order) if a != k]
    outs = len(axes.out)
    what = axes.names[1] if min(moved) >= outs else axes.names[0] if max(moved) < outs else "output and input"
    labels = " and ".join(axes.letters[k] for k in moved)
    return (
        f"The axes {labels} of {what} are exchanged (transposed): the claim at {axes.quotient} is what belongs at "
        f"{axes.written(order)}; transpose it."
    )


def column_major(axes: Axes) -> Iterator[Mutation]:
    """Column-major `vec` read as row-major, on both sides or on one."""
    outs, rank = len(axes.out), len(axes.shape)
    for sides in ("both sides", axes.names[1], axes.names[0]):
        order = (
            *(range(outs)[::-1] if sides != axes.names[1] else range(outs)),
            *(range(outs, rank)[::-1] if sides != axes.names[0] else range(outs, rank)),
        )
        if order == tuple(range(rank)):
            continue

        def turned(T: Array, order: tuple[int, ...] = order) -> Array:
            return T.transpose(order).reshape(axes.shape)

        def sentence(sides: str = sides) -> str:
            return (
                f"{axes.names[0]} and {axes.names[1]} are flattened column by column (vec) on {sides}, but read row by "
                f"row: reshape with order='F', or use J.matrix(order='F')."
            )

        yield Mutation(slips.VEC, ("vec", order), sentence, whole=axes.lifted(turned))


def deltas(axes: Axes, shared: frozenset[tuple[int, int]], split: frozenset[tuple[int, int]]) -> Iterator[Mutation]:
    """A δ put in where the truth is dense, and left out where the truth has one.

    `shared` are the pairs of axes that all terms of the truth share, `split` those that only some share.
    """
    pairs = axes.pairs()
    groups: list[Group] = [(pair,) for pair in pairs]
    groups += [(pair,) for pair in axes.inner_pairs()]
    diagonal = tuple((a, b) for a, b in pairs if b - len(axes.out) == a)
    if len(diagonal) > 1:
        groups.insert(0, diagonal)
    for group in groups:
        text = " ".join(f"δ[{axes.letters[a]},{axes.letters[b]}]" for a, b in group)
        if not set(group) <= shared:
            slip = slips.TERM_OUT if set(group) <= split | shared else slips.DELTA_IN
            yield Mutation(
                slip, ("delta in", group), partial(_delta_in_sentence, axes, text, slip),
                whole=axes.lifted(partial(_masked, group)),
            )  # fmt: skip
        if set(group) <= shared:
            for side in (0, 1):
                yield Mutation(
                    slips.DELTA_OUT, ("delta out", group, side),
                    partial(delta_out_sentence, axes, text), whole=axes.lifted(partial(_spread, group, side)),
                )  # fmt: skip


def _delta_in_sentence(axes: Axes, text: str, slip: str) -> str:
    if slip == slips.TERM_OUT:
        return (
            f"Only the diagonal of {axes.quotient} is there: the term without {text}, which fills the entries off the "
            "diagonal, is left out; add it."
        )
    return f"{text} is put in where {axes.quotient} has none: it is dense, not diagonal; compute the other entries too."


def delta_out_sentence(axes: Axes, text: str) -> str:
    """What is said where a δ is left out."""
    return f"{text} is left out: {axes.quotient} is 0 unless these labels agree; multiply by {text}."


def mask_of(shape: Shape, group: Group) -> Array:
    """Whether the paired positions agree."""
    grid = np.indices(shape, sparse=True)
    mask = np.ones(shape, bool)
    for a, b in group:
        mask = mask & (grid[a] == grid[b])
    return mask


def _masked(group: Group, T: Array) -> Array:
    return T * mask_of(T.shape, group)


def _spread(group: Group, side: int, T: Array) -> Array:
    """What stands on the diagonal of the pairs, taken at the output's index or at the input's, at every other entry."""
    for a, b in group:
        T = np.diagonal(T, axis1=a, axis2=b)  # the shared axis is the last now
        other = np.expand_dims(T, -1)
        lengths = other.shape[-2]
        spread = np.broadcast_to(other, (*T.shape, lengths))
        first, second = (-2, -1) if side == 0 else (-1, -2)
        T = _insert(spread, a, b, first, second)
    return T


def _insert(T: Array, a: int, b: int, first: int, second: int) -> Array:
    rank = T.ndim
    rest = list(range(rank - 2))
    order = rest[:]
    order.insert(a, rank + first)
    order.insert(b, rank + second)
    return T.transpose(order)


def symmetries(axes: Axes) -> Iterator[Mutation]:
    """A square matrix input taken for symmetric: the rule for symmetric matrices, or the symmetric part."""
    if len(axes.into) < 2 or axes.into[-1] != axes.into[-2] or axes.into[-1] < 2:
        return
    eye = np.eye(axes.into[-1], dtype=bool)
    name = axes.names[1]

    def swapped(T: Array) -> Array:
        return np.swapaxes(T, -1, -2)

    forms: list[tuple[str, Whole, str]] = [
        ("both minus diagonal", lambda T: np.where(eye, T, T + swapped(T)), f"∂/∂{name} + (∂/∂{name})ᵀ - diag"),
        ("both", lambda T: T + swapped(T), f"∂/∂{name} + (∂/∂{name})ᵀ"),
        ("half", lambda T: (T + swapped(T)) / 2, f"its symmetric part (∂/∂{name} + (∂/∂{name})ᵀ)/2"),
        (
            "lower",
            lambda T: np.tril(np.where(eye, T, T + swapped(T))),
            "the rule for a lower triangle that is mirrored",
        ),
    ]
    for key, function, text in forms:
        yield Mutation(
            slips.SYMMETRY, ("symmetric", key),
            partial(_symmetric_sentence, name, text),
            whole=axes.lifted(function),
        )  # fmt: skip


def _symmetric_sentence(name: str, text: str) -> str:
    return (
        f"{name} is assumed to be symmetric: the claim is {text}; the entries of {name} are independent here, so leave "
        "the transpose out."
    )
