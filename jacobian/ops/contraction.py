"""Products and contractions: linear in every operand, so that the einsum is the Jacobian."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, LabelError, ShapeError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Access, Pattern, Shape
from jacobian.kernel.tensor import materialise as tensor_of
from jacobian.kernel.term import Array, Operator, Term
from jacobian.ops.families import Einsum, multilinear
from jacobian.ops.registry import Op, Params, Point, describe, is_complex, register, sample

LETTERS = "ijklmnpqrstuvwabcdefgh"


def batch_labels(ranks: Sequence[int], used: str) -> list[tuple[str, ...]]:
    """Labels of leading batch axes that broadcast, aligned at the right."""
    count = max(ranks, default=0)
    spare = [letter for letter in "bcdefgh" if letter not in used]
    names = [spare[axis] if axis < len(spare) else f"b{axis}" for axis in range(count)]
    return [tuple(names[count - rank :]) for rank in ranks]


def _matmul_labels(a: Shape, b: Shape) -> Einsum:
    left, right = ("j",) if len(a) == 1 else ("i", "j"), ("j",) if len(b) == 1 else ("j", "k")
    batch = batch_labels([max(0, len(a) - 2), max(0, len(b) - 2)], "ijk")
    out = (*max(batch, key=len), *left[:-1], *right[1:])
    return Einsum(((*batch[0], *left), (*batch[1], *right), out))


matmul = multilinear(
    "matmul", np.matmul, _matmul_labels, answers=(np.matmul, np.linalg.matmul),
    formula="∂Y[i,k]/∂A[i,j] = B[j,k], ∂Y[i,k]/∂B[j,k] = A[i,j]",
    samples=[
        sample((2, 3), (3, 4)), sample((3,), (3,)), sample((2, 3), (3,)), sample((3,), (3, 2)),
        sample((2, 2, 3), (3, 2)), sample((2, 1, 2, 3), (3, 3, 2)), sample((1, 1), (1, 1)),
    ],
)  # fmt: skip


def _dot_labels(a: Shape, b: Shape) -> Einsum:
    if not a or not b:
        left, right = tuple(LETTERS[: len(a)]), tuple(LETTERS[: len(b)])
        return Einsum((left, right, left or right))
    left = tuple(LETTERS[k] for k in range(len(a) - 1))
    right = tuple(LETTERS[len(a) + k] for k in range(len(b) - 1))
    shared = LETTERS[len(a) - 1]
    b_labels = (shared,) if len(b) == 1 else (*right[:-1], shared, right[-1])
    return Einsum(((*left, shared), b_labels, left + right))


dot = multilinear(
    "dot", np.dot, _dot_labels,
    samples=[sample((2, 3), (3, 2)), sample((3,), (3,)), sample((), (2,)), sample((2, 3), (2, 3, 2)), sample((2,), ())],
)  # fmt: skip
inner = multilinear(
    "inner", np.inner,
    lambda a, b: _dot_labels(a, b) if not a or not b else Einsum((
        tuple(LETTERS[: len(a)]), (*LETTERS[len(a) : len(a) + len(b) - 1], LETTERS[len(a) - 1]),
        (*LETTERS[: len(a) - 1], *LETTERS[len(a) : len(a) + len(b) - 1]),
    )),
    samples=[sample((3,), (3,)), sample((2, 3), (4, 3)), sample((2, 2, 3), (3,))],
)  # fmt: skip


def _outer(a: np.ndarray, b: np.ndarray) -> Any:
    for name, value in (("A", a), ("B", b)):
        if np.ndim(value) != 1:
            raise ShapeError(report(f"outer: {name} must be a vector", got=describe(name, value)))
    return np.outer(a, b)


outer = multilinear(
    "outer", _outer, lambda a, b: Einsum((("i",), ("j",), ("i", "j"))), answers=(),
    samples=[sample((2,), (3,))], note="of two vectors; `np.outer` flattens its arguments first.",
)  # fmt: skip


def _vecdot_labels(a: Shape, b: Shape, axis: int = -1) -> Einsum:
    first, second = batch_labels([len(a) - 1, len(b) - 1], "i")
    out = max(first, second, key=len)
    return Einsum((_with_label("i", first, axis), _with_label("i", second, axis), out))


def _with_label(label: str, others: tuple[str, ...], axis: int) -> tuple[str, ...]:
    place = axis % (len(others) + 1)
    return (*others[:place], label, *others[place:])


def _conjugated(array: Array) -> Any:
    """The first operand as `vecdot` and `vecmat` take it, so that they are linear in what they are given."""
    return np.conjugate(array) if is_complex(array) else array


def _vecdot(A: Array, B: Array, axis: int = -1) -> Any:
    return np.vecdot(_conjugated(np.moveaxis(A, axis, -1)), np.moveaxis(B, axis, -1))


vecdot = multilinear(
    "vecdot", _vecdot, _vecdot_labels, note="the complex conjugate of the first operand is taken before.",
    answers=(np.vecdot, np.linalg.vecdot), normalise=lambda A, B, axis=-1: ((_conjugated(A), B), {"axis": axis}),
    samples=[sample((3,), (3,)), sample((2, 3), (3,)), sample((3, 2), (3, 2), axis=0)],
)  # fmt: skip
matvec = multilinear(
    "matvec", np.matvec, lambda a, b: _batched(a, b, ("i", "j"), ("j",), ("i",)),
    samples=[sample((2, 3), (3,)), sample((2, 2, 3), (3,))],
) if hasattr(np, "matvec") else None  # fmt: skip
vecmat = multilinear(
    "vecmat", lambda A, B: np.vecmat(_conjugated(A), B), lambda a, b: _batched(a, b, ("j",), ("j", "i"), ("i",)),
    answers=(np.vecmat,), normalise=lambda A, B: ((_conjugated(A), B), {}),
    note="the complex conjugate of the first operand is taken before.",
    samples=[sample((3,), (3, 2)), sample((2, 3), (3, 2))],
) if hasattr(np, "vecmat") else None  # fmt: skip


def _batched(a: Shape, b: Shape, left: tuple[str, ...], right: tuple[str, ...], out: tuple[str, ...]) -> Einsum:
    batch = batch_labels([len(a) - len(left), len(b) - len(right)], "ijk")
    return Einsum(((*batch[0], *left), (*batch[1], *right), (*max(batch, key=len), *out)))


def _tensordot_axes(axes: Any, ranks: tuple[int, int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if isinstance(axes, int | np.integer):
        count = int(axes)
        return tuple(range(ranks[0] - count, ranks[0])), tuple(range(count))
    first, second = (tuple(group) if isinstance(group, list | tuple) else (group,) for group in axes)
    return tuple(a % max(ranks[0], 1) for a in first), tuple(b % max(ranks[1], 1) for b in second)


def _tensordot_labels(a: Shape, b: Shape, axes: Any = 2) -> Einsum:
    first, second = _tensordot_axes(axes, (len(a), len(b)))
    left = list(LETTERS[: len(a)])
    fresh = iter(LETTERS[len(a) :])
    right = [left[first[second.index(axis)]] if axis in second else next(fresh) for axis in range(len(b))]
    out = [name for axis, name in enumerate(left) if axis not in first]
    out += [name for axis, name in enumerate(right) if axis not in second]
    return Einsum((tuple(left), tuple(right), tuple(out)))


tensordot = multilinear(
    "tensordot", np.tensordot, _tensordot_labels, answers=(np.tensordot, np.linalg.tensordot),
    normalise=lambda a, b, axes=2: ((a, b), {"axes": axes}),
    samples=[
        sample((2, 3), (2, 3)), sample((2, 3), (3, 2), axes=1), sample((2,), (3,), axes=0),
        sample((2, 3, 4), (4, 2), axes=([0, 2], [1, 0])), sample((2, 3), (3,), axes=(-1, 0)),
    ],
)  # fmt: skip


def _kron_labels(a: Shape, b: Shape) -> Einsum:
    left, right = tuple(LETTERS[: len(a)]), tuple(LETTERS[len(a) : len(a) + len(b)])
    return Einsum((left, right, tuple(name for pair in zip(left, right, strict=True) for name in pair)))


kron_blocks = multilinear(
    "kron_blocks",
    lambda A, B: np.einsum(_as_text(_kron_labels(np.shape(A), np.shape(B))), A, B), _kron_labels, answers=(),
    samples=[sample((2, 3), (3, 2)), sample((2,), (3,))],
    note="the Kronecker product before its axes are joined: Y[i,k,j,l] = A[i,j] B[k,l]. `np.kron` reshapes it.",
)  # fmt: skip


kron_blocks.called = "kron"  # in errors


def _as_text(labels: Einsum) -> str:
    return f"{','.join(map(''.join, labels[:-1]))}->{''.join(labels[-1])}"


# -- einsum -------------------------------------------------------------------------------------------------------


def einsum_labels(*shapes: Shape, subscripts: str) -> Einsum:
    """The labels of an einsum string, with `...` spelled out and a missing output made as NumPy makes it."""
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    groups = left.split(",")
    if len(groups) != len(shapes):
        raise LabelError(report(f"einsum: {len(groups)} groups of labels for {len(shapes)} operands", spec=subscripts))
    ranks = [len(shape) - len(group.replace("...", "")) for group, shape in zip(groups, shapes, strict=True)]
    for number, (group, rank) in enumerate(zip(groups, ranks, strict=True)):
        if rank < 0 or (rank and "..." not in group):
            raise LabelError(
                report(
                    f"einsum: operand {number + 1} has {len(shapes[number])} axes, its labels are {group!r}",
                    spec=subscripts, got=f"shape {shapes[number]}",
                )
            )  # fmt: skip
    batch = batch_labels([rank if "..." in group else 0 for group, rank in zip(groups, ranks, strict=True)], text)
    operands = [_spelled(group, labels) for group, labels in zip(groups, batch, strict=True)]
    longest = max(batch, key=len)
    if arrow:
        out = _spelled(right, longest)
    else:
        names = [name for group in groups for name in group.replace("...", "")]
        out = (*longest, *sorted(name for name in set(names) if names.count(name) == 1))
    known = {name for group in operands for name in group}
    for name in out:
        if name not in known:
            raise LabelError(report(f"einsum: output label {name} is in no operand", spec=subscripts))
    return Einsum((*operands, out))


def _spelled(group: str, batch: tuple[str, ...]) -> tuple[str, ...]:
    head, dots, tail = group.partition("...")
    return (*head, *(batch if dots else ()), *tail)


def _einsum_arguments(*args: Any, optimize: Any = False, **rest: Any) -> tuple[tuple[Any, ...], Params]:
    if any(value is not None and key == "out" for key, value in rest.items()):
        raise ArgumentError(report("einsum: out= cannot be traced"))
    if not args:
        raise TypeError("it needs a specification and operands")
    if isinstance(args[0], str):
        return args[1:], {"subscripts": args[0]}
    operands, sublists = args[: len(args) // 2 * 2 : 2], args[1 : len(args) // 2 * 2 : 2]
    spell = "".join
    letters = {
        number: LETTERS_ALL[k] for k, number in enumerate(sorted({n for s in sublists for n in s if n is not ...}))
    }
    texts = [spell("..." if n is ... else letters[n] for n in sublist) for sublist in sublists]
    out = f"->{spell('...' if n is ... else letters[n] for n in args[-1])}" if len(args) % 2 else ""
    return operands, {"subscripts": ",".join(texts) + out}


LETTERS_ALL = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

einsum = multilinear(
    "einsum", lambda *operands, subscripts: np.einsum(subscripts, *operands, optimize=len(operands) > 2), einsum_labels,
    answers=(np.einsum,), normalise=_einsum_arguments, operands=("A", "B", "C"),
    note="repeated labels within an operand are its diagonal, missing ones are summed.",
    samples=[
        sample("ij,jk->ik", (2, 3), (3, 2)), sample("ii->i", (3, 3)), sample("ii", (3, 3)), sample("ij->", (2, 3)),
        sample("ij->ji", (2, 3)), sample("i,j,k->ijk", (2,), (3,), (2,)), sample("...i,i->...", (2, 3), (3,)),
        sample("bij,bjk->bik", (2, 2, 3), (2, 3, 2)), sample("iij,j->i", (2, 2, 3), (3,)),
        sample("ij,ij", (2, 3), (2, 3)),
        sample("...ij,...jk->...ik", (2, 2, 3), (3, 2)), sample("ij,kl->il", (2, 3), (2, 2)),
    ],
)  # fmt: skip


# -- the tensor of a Jacobian: what makes the kernel differentiable ----------------------------------------------


def _tensor_arguments(J: Jacobian) -> tuple[tuple[Any, ...], Params]:
    return tuple(term.factors[place].array for term, place in _places(J)), {"skeleton": J}


def _places(J: Jacobian) -> list[tuple[Term, int]]:
    """Every array in the terms: its term and which factor it is. Operators hold nothing that could be traced."""
    return [
        (term, place)
        for term in J.terms for place, factor in enumerate(term.factors) if not isinstance(factor.array, Operator)
    ]  # fmt: skip


def _filled(term: Term, arrays: Iterator[Array]) -> Term:
    """The term with other arrays in place of its own."""
    return term.with_factors(
        tuple(f if isinstance(f.array, Operator) else f._replace(array=next(arrays)) for f in term.factors)
    )


def _tensor(*arrays: Array, skeleton: Jacobian) -> Array:
    remaining = map(np.asarray, arrays)
    terms = [_filled(term, remaining) for term in skeleton.terms]
    return tensor_of(Jacobian(terms, skeleton.out_shape, skeleton.in_shape, skeleton.dtype, skeleton.names))


def _tensor_rule(point: Point, k: int) -> Jacobian:
    """A term is linear in each factor: its derivative by one is the term that writes where that factor was read."""
    skeleton: Jacobian = point.params["skeleton"]
    places = _places(skeleton)
    term, own = places[k]
    first = next(number for number, (other, _) in enumerate(places) if other is term)
    filled, pattern = _filled(term, iter(point.x[first:])), term.pattern
    others = [position for position in range(len(term.factors)) if position != own]
    access = pattern.factors[own]
    derived = Pattern(
        pattern.sizes, pattern.out + pattern.into, access.forms, skeleton.shape, access.shape,
        tuple(Access(*pattern.factors[position]) for position in others), pattern.guards, pattern.tables,
    )  # fmt: skip
    factors = tuple(filled.factors[position] for position in others)
    return Jacobian((Term(derived, factors, term.tables, term.scale),), skeleton.shape, access.shape)


tensor: Op = register(
    Op(
        "tensor", _tensor, _tensor_rule, normalise=_tensor_arguments, family="multilinear", operands=("F",),
        formula="the term that writes where the factor was read", of_complex="real part",
        note="the full tensor of a Jacobian, as a function of the arrays in its terms: what makes Jacobians of "
        "Jacobians possible without losing structure.",
        samples=[
            sample(Jacobian.einsum("jk->ik|ij", np.arange(6.0).reshape(3, 2), i=2)),
            sample(Jacobian.einsum("i->i|i", np.arange(3.0)) @ Jacobian.einsum("ij->i|j", np.ones((3, 2)))),
        ],
    )
)  # fmt: skip
