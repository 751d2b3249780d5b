"""Linear in every operand: the einsum is the Jacobian."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from jacobian.errors import ShapeError, report
from jacobian.kernel.access import Form, constant, plain
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import CACHE, Access, Pattern, Shape
from jacobian.kernel.term import Array, Factor, Term
from jacobian.ops.registry import Normalise, Op, Params, Point, Sample, describe, operand_names, register


class Einsum(tuple[tuple[str, ...], ...]):
    """Labels of every operand and, last, of the output; a label is any string."""

    def text(self, names: Sequence[str], out_name: str = "Y") -> str:
        """`A[i,j], B[j,k] -> Y[i,k]`."""
        shown = [f"{name}[{','.join(labels)}]" for name, labels in zip((*names, out_name), self, strict=True)]
        return f"{', '.join(shown[:-1])} -> {shown[-1]}"


@lru_cache(maxsize=CACHE)
def multilinear_pattern(
    labels: Einsum, shapes: tuple[Shape, ...], k: int, out_shape: Shape = ()
) -> tuple[Pattern, tuple[str, ...]]:
    """The derivative of an einsum by operand k, the other operands being factors, and the letter of every index.

    The output's shape is needed only when one of its labels is in no operand.
    """
    sizes: dict[str, int] = {}
    for group, shape in zip(labels if out_shape else labels[:-1], (*shapes, out_shape), strict=False):
        for label, size in zip(group, shape, strict=True):
            sizes[label] = size if sizes.get(label, 1) == 1 else sizes[label]
    number = {label: position for position, label in enumerate(sizes)}
    out = tuple(plain(number[label]) for label in labels[-1])

    def forms(operand: int) -> tuple[Form, ...]:
        return tuple(
            plain(number[label]) if size == sizes[label] else constant(0)
            for label, size in zip(labels[operand], shapes[operand], strict=True)
        )

    others = [operand for operand in range(len(shapes)) if operand != k]
    pattern = Pattern(
        tuple(sizes.values()), out, forms(k), tuple(sizes[label] for label in labels[-1]), shapes[k],
        tuple(Access(forms(operand), shapes[operand]) for operand in others),
    )  # fmt: skip
    return pattern, tuple(sizes)


def multilinear(
    name: str,
    function: Callable[..., Any],
    spec: Callable[..., Einsum],
    *,
    answers: Iterable[Callable[..., Any]] | None = None,
    normalise: Normalise | None = None,
    samples: Sequence[Sample],
    operands: Sequence[str] = ("A", "B"),
    formula: str = "",
    note: str = "",
) -> Op:
    """An op that is linear in every operand: its einsum is its Jacobian.

    `spec(*shapes, **params)` gives the labels of every operand and of the output.
    """

    def rule(point: Point, k: int) -> Jacobian:
        shapes = tuple(tuple(np.shape(x)) for x in point.x)
        pattern, letters = multilinear_pattern(spec(*shapes, **point.params), shapes, k)
        named = enumerate(zip(point.x, point.names, strict=True))
        factors = tuple(Factor(_array(x, point.y), name) for j, (x, name) in named if j != k)
        readable = letters if all(len(letter) == 1 for letter in letters) else ()
        return Jacobian((Term(pattern, factors, letters=readable),), pattern.out_shape, pattern.in_shape)

    def explain_failure(op: Op, values: Sequence[Array], params: Params) -> None:
        shapes = [tuple(np.shape(value)) for value in values]
        check_labels(op, spec(*shapes, **params), values)

    return register(
        Op(
            name, function, rule, answers=(function,) if answers is None else answers, normalise=normalise,
            samples=samples, operands=operands, out_name="Y", family="multilinear", formula=formula, note=note,
            explain_failure=explain_failure,
        )
    )  # fmt: skip


def _array(operand: Array, result: Array) -> Array:
    """An operand as an array: a number written in the code, as in `np.dot(2, x)`, has the result's dtype."""
    return operand if hasattr(operand, "dtype") else np.asarray(operand, getattr(result, "dtype", None))


def check_labels(op: Op, labels: Einsum, values: Sequence[Array]) -> None:
    """Raise the error that names the label, both sizes and the way out, when operands disagree."""
    names = operand_names(op, len(values))
    bound: dict[str, tuple[int, str]] = {}
    for name, group, value in zip(names, labels, values, strict=False):
        if len(group) != np.ndim(value):
            raise ShapeError(
                report(
                    f"{op.name}: {name} has the labels {','.join(group)}, but {np.ndim(value) or 'no'} axes",
                    spec=labels.text(names, op.out_name),
                    got=", ".join(describe(n, v) for n, v in zip(names, values, strict=True)),
                    fix="a number is multiplied by *" if np.ndim(value) == 0 else None,
                )
            )
        for axis, (label, size) in enumerate(zip(group, np.shape(value), strict=True)):
            old, owner = bound.setdefault(label, (size, name))
            if old != size and 1 in (old, size):
                bound[label] = (max(old, size), owner if old > size else name)
            elif old != size:
                raise ShapeError(
                    report(
                        f"{op.name}: label {label} is {old} in {owner} but {size} in {name}",
                        spec=labels.text(names, op.out_name),
                        got=", ".join(describe(n, v) for n, v in zip(names, values, strict=True)),
                        bound=_bindings(bound),
                        fix=f"{name}'s {_ordinal(axis)} axis must be {old}",
                    )
                )


def _ordinal(axis: int) -> str:
    names = ("first", "second", "third", "fourth", "fifth")
    return names[axis] if axis < len(names) else f"{axis + 1}th"


def _bindings(bound: dict[str, tuple[int, str]]) -> str:
    owners: dict[str, list[str]] = {}
    for label, (size, owner) in bound.items():
        owners.setdefault(owner, []).append(f"{label}={size}")
    return "; ".join(f"{', '.join(sizes)} (from {owner})" for owner, sizes in owners.items())
