"""Terms written by hand in index notation, for rules that no family makes."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.kernel.access import affine, plain
from jacobian.kernel.equations import Guard
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Pattern, Shape
from jacobian.kernel.term import Array, Factor, Scalar, Term
from jacobian.ops.families import Einsum, multilinear_pattern
from jacobian.ops.registry import describe

BATCH = "bcdefgh"


def shape_of(array: Array) -> Shape:
    """The shape, also of numbers and of traced arrays."""
    return tuple(np.shape(array))


def written(text: str, *factors: Factor, into: Shape, scale: Scalar = 1) -> Jacobian:
    """One term, as in `"ij,kl->il|jk"`: factors -> output axes | input axes.

    Whatever has more axes than letters has batch axes in front, aligned at the right and broadcast as NumPy does;
    the output has as many of them as the longest. A letter on both sides of `|` is a δ.

    >>> Y = np.eye(2)
    >>> print(written("ij,kl->il|jk", Factor(Y, "Y"), Factor(Y, "Y"), into=(2, 2), scale=-1).formula)
    ∂y[i,l]/∂x[j,k] = -Y[i,j] * Y[k,l]
    """
    left, _, right = text.partition("->")
    out, _, last = right.partition("|")
    groups = [*left.split(","), last] if factors else [last]
    shapes = (*(shape_of(factor.array) for factor in factors), into)
    spare = [letter for letter in BATCH if letter not in text]
    ranks = [len(shape) - len(group) for shape, group in zip(shapes, groups, strict=True)]
    batch = tuple(spare[axis] if axis < len(spare) else f"b{axis}" for axis in range(max(ranks)))
    labels = [(*batch[len(batch) - rank :], *group) for rank, group in zip(ranks, groups, strict=True)]
    return labelled(Einsum((*labels, (*batch, *out))), factors, into, scale)


def labelled(
    labels: Einsum, factors: tuple[Factor, ...], into: Shape, scale: Scalar = 1, out_shape: Shape = ()
) -> Jacobian:
    """One term from the labels of its factors, of the input and, last, of the output.

    The output's shape is needed only when one of its labels is nowhere else.
    """
    shapes = (*(shape_of(factor.array) for factor in factors), into)
    pattern, letters = multilinear_pattern(labels, shapes, len(factors), out_shape)
    readable = letters if all(len(letter) == 1 for letter in letters) else ()
    return Jacobian((Term(pattern, factors, scale=scale, letters=readable),), pattern.out_shape, into)


def summed(*parts: Jacobian) -> Jacobian:
    """The sum of Jacobians, term by term."""
    total: Jacobian = reduce(add, parts)
    return total


def is_traced(value: Any) -> bool:
    """Whether a value stands in for an array."""
    return hasattr(value, "__array_function__") and not isinstance(value, np.ndarray | np.generic)


def constant_array(name: str, what: str, value: Any) -> np.ndarray:
    """An argument that is not differentiated, as an array.

    Raises:
        ArgumentError: it depends on what is differentiated.
    """
    if is_traced(value):
        fix = "compute it outside of the function that is differentiated"
        raise ArgumentError(report(f"{name}: {what} depends on the input, but is not differentiated", fix=fix))
    return np.asarray(value)


def given(*operands: Any) -> tuple[Any, ...]:
    """The operands without those that were left out at the end."""
    kept = list(operands)
    while kept and kept[-1] is None:
        kept.pop()
    return tuple(kept)


def symmetrised(shape: Shape, triangle: str) -> Jacobian:
    """The Jacobian of reading one triangle, `"L"` or `"U"`, of a square matrix and mirroring it."""
    rank, n = len(shape), shape[-1]
    sign = 1 if triangle == "L" else -1
    straight = tuple(plain(axis) for axis in range(rank))
    mirrored = (*straight[:-2], straight[-1], straight[-2])

    def read(out: tuple[object, ...], least: int) -> Term:
        guard = Guard(affine(-least, [(rank - 2, sign), (rank - 1, -sign)]), n)
        return Term(Pattern(shape, out, straight, shape, shape, (), (guard,)))  # type: ignore[arg-type]

    return Jacobian((read(straight, 0), read(mirrored, 1)), shape, shape)


def require(name: str, spec: str, **operands: tuple[str, Array]) -> None:
    """Demand that operands have exactly the labels they are given; a label has one size, and size 1 is no exception.

    A group that starts with `...` may have further axes in front.

    Raises:
        ShapeError: an operand has another number of axes, or a label two sizes.
    """
    bound: dict[str, tuple[int, str]] = {}
    got = ", ".join(describe(operand, value) for operand, (_, value) in operands.items())
    for operand, (group, value) in operands.items():
        letters, shape = group.removeprefix("..."), shape_of(value)
        if len(shape) < len(letters) or (len(shape) > len(letters) and letters == group):
            at_least = "at least " if letters != group else ""
            wanted = f"{at_least}{len(letters)} ax{'is' if len(letters) == 1 else 'es'}"
            raise ShapeError(report(f"{name}: {operand} must have {wanted}, not {len(shape)}", spec=spec, got=got))
        for axis, letter in enumerate(letters, len(shape) - len(letters)):
            size, owner = bound.setdefault(letter, (shape[axis], operand))
            if size != shape[axis]:
                raise ShapeError(
                    report(
                        f"{name}: label {letter} is {size} in {owner} but {shape[axis]} in {operand}",
                        spec=spec, got=got, fix=f"axis {axis} of {operand} must be {size}",
                    )
                )  # fmt: skip
