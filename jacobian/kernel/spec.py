"""Index notation as text: `"jk->ik|ij"` is operands `->` output axes `|` input axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jacobian.errors import LabelError, ShapeError, report
from jacobian.kernel.access import Form, constant, indices, plain
from jacobian.kernel.pattern import Access, Pattern, Shape

ELLIPSIS = "..."


class Spec(NamedTuple):
    """A parsed specification; every group is a tuple of labels, `...` being one of them."""

    operands: tuple[tuple[str, ...], ...]
    out: tuple[str, ...]
    into: tuple[str, ...]

    def __str__(self) -> str:
        """The specification as it is written."""
        return f"{','.join(map(''.join, self.operands))}->{''.join(self.out)}|{''.join(self.into)}"


def parse(text: str) -> Spec:
    """Read `"jk->ik|ij"`.

    >>> parse("jk->ik|ij").into
    ('i', 'j')
    """
    if not isinstance(text, str):
        raise LabelError(report(f"a spec is text such as 'jk->ik|ij', not {type(text).__name__}", got=repr(text)))
    compact = text.replace(" ", "")
    if compact.count("->") != 1:
        raise LabelError(report(f"spec {text!r} needs exactly one '->'", form="operands -> output axes | input axes"))
    left, right = compact.split("->")
    if right.count("|") != 1:
        raise LabelError(
            report(
                f"spec {text!r} needs exactly one '|' after '->'",
                form="operands -> output axes | input axes",
                fix="put the output's labels before '|' and the input's behind it, for example 'jk->ik|ij'",
            )
        )
    out, into = right.split("|")
    operands = tuple(_labels(group, text) for group in left.split(",")) if left else ()
    return Spec(operands, _labels(out, text), _labels(into, text))


def _labels(group: str, text: str) -> tuple[str, ...]:
    head, dots, tail = group.partition(ELLIPSIS)
    for character in head + tail:
        if not character.isalpha():
            raise LabelError(
                report(
                    f"spec {text!r}: {character!r} is not a label",
                    fix="labels are single letters; '...' may stand once in a group for shared batch axes",
                )
            )
    return (*head, *([ELLIPSIS] if dots else []), *tail)


def bind(
    spec: Spec, shapes: Sequence[Shape], sizes: Mapping[str, int | Sequence[int]]
) -> tuple[Pattern, tuple[str, ...]]:
    """The pattern of a specification for operands of those shapes, and a letter for each of its indices.

    Sizes of labels no operand carries come by keyword.
    """
    if not spec.operands and len(shapes) == 1:
        spec = spec._replace(operands=((),))  # nothing before '->' stands for one scalar, if one is given
    _check_count(spec, shapes)
    bound: dict[str, tuple[int, str]] = {}
    batch: Shape | None = None
    for position, (labels, shape) in enumerate(zip(spec.operands, shapes, strict=True)):
        name = f"operand {position + 1}"
        around = len(labels) - (ELLIPSIS in labels)
        if len(shape) < around or (ELLIPSIS not in labels and len(shape) != around):
            raise ShapeError(
                report(
                    f"{name} has {len(shape)} axes but its labels {''.join(labels)!r} name {around}",
                    spec=spec,
                    got=f"{name} of shape {shape}",
                )
            )
        if ELLIPSIS in labels:
            start = labels.index(ELLIPSIS)
            mine = shape[start : start + len(shape) - around]
            batch = _broadcast(spec, batch, mine, name)
            shape = shape[:start] + shape[start + len(shape) - around :]
        for label, size in zip((label for label in labels if label != ELLIPSIS), shape, strict=True):
            _bind(spec, bound, label, size, name)
    for label, given in sizes.items():
        if label == "batch":
            if all(ELLIPSIS not in group for group in (*spec.operands, spec.out, spec.into)):
                raise LabelError(report("batch= given, but the spec has no '...'", spec=spec))
            wanted = tuple(given) if isinstance(given, Sequence) else (given,)
            batch = _broadcast(spec, batch, tuple(_size(spec, "'...'", size) for size in wanted), "batch=")
            continue
        if label not in {*spec.out, *spec.into, *(one for group in spec.operands for one in group)}:
            raise LabelError(report(f"size given for label {label}, which the spec does not use", spec=spec))
        _bind(spec, bound, label, _size(spec, label, given), f"keyword {label}={given}")
    pattern = _pattern(spec, shapes, {label: size for label, (size, _) in bound.items()}, batch)
    spare = (letter for letter in "bcdefgha" if letter not in bound)
    return pattern, (*(next(spare, f"b{axis}") for axis in range(len(batch or ()))), *bound)


def _size(spec: Spec, label: str, given: object) -> int:
    if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < 0:
        raise LabelError(report(f"the size of label {label} must be a whole number, not {given!r}", spec=spec))
    return int(given)


def _check_count(spec: Spec, shapes: Sequence[Shape]) -> None:
    if len(spec.operands) != len(shapes):
        raise ShapeError(
            report(
                f"the spec names {len(spec.operands)} operands but {len(shapes)} were given",
                spec=spec,
                got=", ".join(map(str, shapes)) or "no operand",
            )
        )


def _bind(spec: Spec, bound: dict[str, tuple[int, str]], label: str, size: int, where: str) -> None:
    old = bound.setdefault(label, (size, where))
    if old[0] != size:
        raise ShapeError(
            report(
                f"label {label} is {old[0]} in {old[1]} but {size} in {where}",
                spec=spec,
                bound=", ".join(f"{name}={number} (from {origin})" for name, (number, origin) in bound.items()),
            )
        )


def _broadcast(spec: Spec, batch: Shape | None, more: Shape, where: str) -> Shape:
    if batch is None:
        return more
    long, short = (batch, more) if len(batch) >= len(more) else (more, batch)
    merged = list(long)
    for axis in range(1, len(short) + 1):
        pair = {long[-axis], short[-axis]}
        if len(pair - {1}) > 1:
            raise ShapeError(report(f"batch axes {batch} and {more} ({where}) do not broadcast", spec=spec))
        merged[-axis] = max(pair - {1}, default=1)
    return tuple(merged)


def _pattern(spec: Spec, shapes: Sequence[Shape], sizes: Mapping[str, int], batch: Shape | None) -> Pattern:
    axes = (*spec.out, *spec.into)
    if ELLIPSIS in axes and batch is None:
        raise LabelError(report("no operand says what '...' is", spec=spec, fix="give it: batch=(2, 3)"))
    for label in axes:
        if label != ELLIPSIS and label not in sizes:
            raise LabelError(
                report(
                    f"label {label} has no size: no operand carries it",
                    spec=spec,
                    fix=f"give it as a keyword: {label}=3",
                )
            )
    batch = batch or ()
    index = {label: position + len(batch) for position, label in enumerate(sizes)}
    all_sizes = (*batch, *sizes.values())

    def forms(labels: tuple[str, ...], shape: Shape | None) -> tuple[Form, ...]:
        found: list[Form] = []
        for label in labels:
            if label != ELLIPSIS:
                found.append(plain(index[label]))
                continue
            count = len(batch) if shape is None else len(shape) - len(labels) + 1
            for axis in range(len(batch) - count, len(batch)):
                narrow = shape is not None and shape[len(found)] == 1 and batch[axis] != 1
                found.append(constant(0) if narrow else plain(axis))
        return tuple(found)

    out, into = forms(spec.out, None), forms(spec.into, None)
    accesses = tuple(Access(forms(labels, shape), shape) for labels, shape in zip(spec.operands, shapes, strict=True))
    out_shape, in_shape = (tuple(all_sizes[next(indices(form))] for form in group) for group in (out, into))
    return Pattern(all_sizes, out, into, out_shape, in_shape, accesses)
