"""Ops that reduce axes: the reduced ones only the input has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from math import prod
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.kernel.access import constant, plain
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.notation import at
from jacobian.kernel.pattern import CACHE, Access, Pattern, Shape
from jacobian.kernel.term import Array, Factor, Term
from jacobian.ops import texts
from jacobian.ops.families.elementwise import aligned
from jacobian.ops.growth import Growth
from jacobian.ops.kinks import warn_kink
from jacobian.ops.registry import Kink, Normalise, Op, Point, Sample, register, sample


def reduced_axes(axis: Any, rank: int, name: str) -> tuple[int, ...]:
    """The axes a reduction runs over, as non-negative numbers."""
    axes = tuple(range(rank)) if axis is None else tuple(axis) if isinstance(axis, tuple | list) else (axis,)
    for one in axes:
        if not isinstance(one, int | np.integer):
            raise ArgumentError(report(f"{name}: axis must be a whole number or a tuple of them, not {one!r}"))
        if rank == 0 and one in (0, -1):
            continue  # NumPy takes a number for a vector of one entry here
        if not -rank <= one < rank:
            raise ShapeError(report(f"{name}: axis {one} does not exist", got=f"an array of {rank} axes"))
    return tuple(sorted({int(one) % rank for one in axes})) if rank else ()


@lru_cache(maxsize=CACHE)
def reduction_pattern(shape: Shape, axes: tuple[int, ...], keepdims: bool, factors: tuple[Shape, ...]) -> Pattern:
    """Output axes are the kept input axes; the reduced ones only the input has."""
    out = [(constant(0), 1) if a in axes else (plain(a), n) for a, n in enumerate(shape) if keepdims or a not in axes]
    accesses = tuple(Access(aligned(factor, shape), factor) for factor in factors)
    into = tuple(plain(axis) for axis in range(len(shape)))
    return Pattern(shape, tuple(f for f, _ in out), into, tuple(n for _, n in out), shape, accesses)


def reduced(point: Point, factor: Array, label: Any = "", *more: Factor) -> Jacobian:
    """The Jacobian of a reduction with derivative `factor`, which broadcasts to the input's shape, times `more`."""
    shape = tuple(np.shape(point.x[0]))
    axes = reduced_axes(point.params.get("axis"), len(shape), "axis")
    keepdims = bool(point.params.get("keepdims"))
    number = np.ndim(factor) == 0 and isinstance(factor, int | float)
    factors = more if number else (Factor(factor, label), *more)
    pattern = reduction_pattern(shape, axes, keepdims, tuple(tuple(np.shape(one.array)) for one in factors))
    return Jacobian((Term(pattern, factors, scale=factor if number else 1),), pattern.out_shape, shape)


def kept(point: Point) -> Array:
    """The output with its reduced axes kept, so that it broadcasts against the input."""
    shape = np.shape(point.x[0])
    axes = reduced_axes(point.params.get("axis"), len(shape), "axis")
    return np.reshape(point.y, tuple(1 if axis in axes else size for axis, size in enumerate(shape)))


def spelled_output(point: Point, rank: int) -> str:
    """The output at the position that an entry of the input goes into, as a label."""
    axes = reduced_axes(point.params.get("axis"), rank, "axis")
    if not point.params.get("keepdims"):
        return texts.at(point.out_name, [axis for axis in range(rank) if axis not in axes])
    return at(point.out_name, ("0" if axis in axes else f"@{axis}" for axis in range(rank)))


def count_reduced(point: Point) -> int:
    """How many entries go into each output entry."""
    shape = np.shape(point.x[0])
    return prod(shape[axis] for axis in reduced_axes(point.params.get("axis"), len(shape), "axis"))


def _label(point: Point, text: str, shape: tuple[int, ...]) -> Callable[[], str]:
    """A text in `x` and `y` with what these are called."""
    own = tuple(np.shape(point.x[0]))
    named = {"x": point.names[0], "y": spelled_output(point, len(own))}
    return partial(texts.label, text, named, {"x": own, "y": ()}, shape)  # keeps no array alive


def reduction(
    name: str,
    function: Callable[..., Any],
    derivative: str | Callable[[Point], Array | tuple[Array, str]],
    *,
    answers: Iterable[Callable[..., Any]] | None = None,
    normalise: Normalise | None = None,
    samples: Sequence[Sample] = (),
    domain: Any = (-2.0, 2.0),
    note: str = "",
    formula: str = "",
    kink: str = "",
    at_kink: str = "",
    of_complex: str = "complex",
    growth: Growth | None = None,
) -> Op:
    """An op that reduces axes: its derivative by every entry, as text in `x`, `y` (reduced axes kept) and `n`.

    Or a function that gives it, with the text if there is one.

    `where=` is understood for all of them: an entry that is left out has the derivative 0.
    """

    def rule(point: Point, k: int) -> Jacobian:
        mask = point.params.get("where", True)
        n: Any = count_reduced(point)
        if mask is not True:
            shape = np.shape(point.x[0])
            axes = reduced_axes(point.params.get("axis"), len(shape), name)
            n = np.sum(np.broadcast_to(mask, shape), axis=axes, keepdims=True)
        if callable(derivative):
            found = derivative(point)
            factor, text = found if isinstance(found, tuple) else (found, "")
        else:
            text = derivative
            values = point.params | {"x": point.x[0], "y": kept(point), "n": n}
            if kink:
                warn_kink(name, texts.evaluate(kink, **values), at_kink)
            factor = texts.evaluate_finite(name, derivative, values)

        label: Any = _label(point, text, np.shape(factor)) if text else ""
        if mask is not True:
            factor = factor * np.asarray(mask, dtype=np.result_type(point.y))
            label = point.called.get("where", "") if derivative == "1" else ""
        return reduced(point, factor, label)

    samples = [
        *samples,
        sample((4,), domain=domain), sample((2, 3), domain=domain), sample((2, 3), axis=0, domain=domain),
        sample((2, 3, 2), axis=(0, -1), domain=domain), sample((2, 3), axis=-1, keepdims=True, domain=domain),
        sample((), domain=domain), sample((1,), domain=domain),
    ]  # fmt: skip
    text = derivative if isinstance(derivative, str) else formula
    return register(
        Op(
            name, function, rule, answers=(function,) if answers is None else answers, normalise=normalise,
            samples=samples, family="reduction", formula=f"∂y/∂x = {text}",
            note=note, kinks=[Kink(kink, at_kink)] if kink else (),
            of_complex=of_complex, growth=growth,
        )
    )  # fmt: skip
