"""Every shape in which a Jacobian can be written down, and how it becomes the full tensor.

A claim is compared as the full tensor `out + in`. Where its shape could be meant in several ways all are tried, the
numerator layout first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, ...]

NUMERATOR = "numerator layout"
DENOMINATOR = "denominator layout"
TRANSPOSED_GRADIENT = "numerator layout of a scalar by a matrix (n×m for m×n)"
"""Only where the matrix is not square: of a square one nothing tells it from a gradient transposed by mistake."""


@dataclass(frozen=True)
class Layout:
    """One way to write a Jacobian: its name, how to get the full tensor from it, and the text of that."""

    name: str
    expand: Callable[[Array], Array]
    convert: str

    @property
    def is_standard(self) -> bool:
        """Whether it is the package's own: the full tensor, output axes first, C-order."""
        return self.name == NUMERATOR


def layouts(shape: Shape, out: Shape, into: Shape, wanted: str | None = None) -> list[Layout]:
    """The layouts that a claim of this shape can have, the likeliest first; only what goes by the name that is wanted.

    >>> [layout.name for layout in layouts((4, 3), (3,), (4,))]
    ['denominator layout']
    >>> [layout.name for layout in layouts((6,), (), (2, 3))]
    ['flattened input, row-major', 'flattened input, column-major vec']
    """
    found: dict[str, Layout] = {}
    for layout in _all(shape, out, into):
        found.setdefault(layout.name, layout)
    if wanted is None:
        return list(found.values())
    if not out and len(into) == 2 and shape == into[::-1] and wanted == "numerator":
        found.setdefault(TRANSPOSED_GRADIENT, Layout(TRANSPOSED_GRADIENT, lambda C: C.T, "C.T"))
    names = (f"{wanted} layout", NUMERATOR) if not out and shape == into else (f"{wanted} layout",)
    return [layout for layout in found.values() if layout.name.startswith(names)]  # a gradient has its input's shape


def _all(shape: Shape, out: Shape, into: Shape) -> Iterator[Layout]:
    full, outs, ins = out + into, len(out), len(into)
    rows, columns = prod(out), prod(into)
    if shape == full:
        yield Layout(NUMERATOR, lambda C: C, "C")
    if shape == into + out and out and into:
        order = (*range(ins, ins + outs), *range(ins))
        yield Layout(DENOMINATOR, lambda C: C.transpose(order), f"C.transpose({_tuple(order)})")
    if not out and len(into) == 2 and shape == into[::-1] != into:
        yield Layout(TRANSPOSED_GRADIENT, lambda C: C.T, "C.T")
    yield from _matrices(shape, out, into)
    yield from _flattened_inputs(shape, out, into)
    if shape != full and _squeezed(shape) == _squeezed(full):
        yield Layout("axes of length 1 more or less", lambda C: C.reshape(full), f"C.reshape({full})")
    if shape != into + out and _squeezed(shape) == _squeezed(into + out):
        order = (*range(ins, ins + outs), *range(ins))
        text = f"C.reshape({into + out}).transpose({_tuple(order)})"
        name = f"{DENOMINATOR}, axes of length 1 more or less"
        yield Layout(name, lambda C: C.reshape(into + out).transpose(order), text)
    if rows > 1 and columns > 1:
        yield from _shared_axes(shape, out, into)
        yield from _blocks(shape, out, into)


def _matrices(shape: Shape, out: Shape, into: Shape) -> Iterator[Layout]:
    """The flattened matrix in either order, and its transpose."""
    full, rows, columns = out + into, prod(out), prod(into)
    simple = len(out) <= 1 and len(into) <= 1
    if shape == (rows, columns) and shape != full:
        yield Layout("matrix, row-major", lambda C: C.reshape(full), f"C.reshape({full})")
    transposed = Layout("transposed matrix, row-major", lambda C: C.T.reshape(full), f"C.T.reshape({full})")
    if simple:
        if shape == (columns, rows) and shape != into + out:
            yield transposed
        return
    backwards = out[::-1] + into[::-1]
    order = (*range(len(out))[::-1], *range(len(out), len(full))[::-1])
    text = f"reshape({backwards}).transpose({_tuple(order)})"
    if shape == (rows, columns):
        yield Layout("matrix, column-major vec", lambda C: C.reshape(backwards).transpose(order), f"C.{text}")
    if shape == (columns, rows):  # after vec: a Kronecker product of square matrices may be right in both
        yield transposed
        name = "transposed matrix, column-major vec"
        yield Layout(name, lambda C: C.T.reshape(backwards).transpose(order), f"C.T.{text}")


def _flattened_inputs(shape: Shape, out: Shape, into: Shape) -> Iterator[Layout]:
    """Only the input, or only the output, flattened."""
    outs, full = len(out), out + into
    if len(into) > 1 and shape == (*out, prod(into)):
        order = (*range(outs), *range(outs, len(full))[::-1])
        swapped = out + into[::-1]
        yield Layout("flattened input, row-major", lambda C: C.reshape(full), f"C.reshape({full})")
        yield Layout(
            "flattened input, column-major vec", lambda C: C.reshape(swapped).transpose(order),
            f"C.reshape({swapped}).transpose({_tuple(order)})",
        )  # fmt: skip
    if len(out) > 1 and shape == (prod(out), *into):
        order = (*range(outs)[::-1], *range(outs, len(full)))
        swapped = out[::-1] + into
        yield Layout("flattened output, row-major", lambda C: C.reshape(full), f"C.reshape({full})")
        yield Layout(
            "flattened output, column-major vec", lambda C: C.reshape(swapped).transpose(order),
            f"C.reshape({swapped}).transpose({_tuple(order)})",
        )  # fmt: skip


def _shared_axes(shape: Shape, out: Shape, into: Shape) -> Iterator[Layout]:
    """Axes that output and input share, written once: the diagonal of an elementwise map, the blocks of a batch."""
    full = out + into
    for count in range(min(len(out), len(into)), 0, -1):
        if out[:count] != into[:count] or shape != out + into[count:] or shape == full:
            continue

        def expand(C: Array, count: int = count) -> Array:
            tensor = np.zeros(full, C.dtype)
            diagonal = np.einsum(tensor, [*range(len(out)), *range(count), *range(len(out), len(full) - count)],
                                 [*range(len(out)), *range(len(out), len(full) - count)])  # fmt: skip
            diagonal[...] = C
            return tensor

        what = "the diagonal alone" if shape == out == into else "one block for each index of the shared axes"
        axes = ", ".join(map(str, range(count)))
        yield Layout(what, expand, f"zeros of shape {full}, with C where axes {axes} of output and input agree")


def _blocks(shape: Shape, out: Shape, into: Shape) -> Iterator[Layout]:
    """A matrix by a matrix as a matrix of matrices."""
    if len(out) != 2 or len(into) != 2:
        return
    (m, n), (p, q) = out, into
    if shape == (m, p, n, q):
        yield Layout("blocks, as J.blocks()", lambda C: C.transpose(0, 2, 1, 3), "C.transpose(0, 2, 1, 3)")
    if shape == (m * p, n * q):
        yield Layout(
            "a block ∂y[i,j]/∂X for every i, j", lambda C: C.reshape(m, p, n, q).transpose(0, 2, 1, 3),
            f"C.reshape({m}, {p}, {n}, {q}).transpose(0, 2, 1, 3)",
        )  # fmt: skip
    if shape == (p * m, q * n):
        yield Layout(
            "a block ∂Y/∂x[i,j] for every i, j", lambda C: C.reshape(p, m, q, n).transpose(1, 3, 0, 2),
            f"C.reshape({p}, {m}, {q}, {n}).transpose(1, 3, 0, 2)",
        )  # fmt: skip


def downstream_layouts(shape: Shape, out: Shape, into: Shape) -> list[Layout]:
    """The same for what a node hands on, stacked over every entry of the upstream: `out + shape of the claim`."""
    outs, full = len(out), out + into
    found: list[Layout] = []
    if shape == into:
        found.append(Layout(NUMERATOR, lambda C: C, "C"))
    elif _squeezed(shape) == _squeezed(into):
        found.append(Layout("axes of length 1 more or less", lambda C: C.reshape(full), f"C.reshape({into})"))
    elif len(into) > 1 and prod(shape) == prod(into) and len(_squeezed(shape)) == 1:
        order = (*range(outs), *range(outs, len(full))[::-1])
        turn = tuple(range(len(into))[::-1])
        found.append(Layout("flattened, row-major", lambda C: C.reshape(full), f"C.reshape({into})"))
        found.append(
            Layout(
                "flattened, column-major vec", lambda C: C.reshape(out + into[::-1]).transpose(order),
                f"C.reshape({into[::-1]}).transpose({_tuple(turn)})",
            )
        )  # fmt: skip
    return found


def _squeezed(shape: Shape) -> Shape:
    return tuple(size for size in shape if size != 1)


def _tuple(order: tuple[int, ...]) -> str:
    return ", ".join(map(str, order))


def accepted(out: Shape, into: Shape) -> str:
    """The shapes a claim may have, for errors: the full tensor, the denominator layout and the matrices."""
    shapes = [out + into, into + out, (prod(out), prod(into)), (prod(into), prod(out))]
    return ", ".join(dict.fromkeys(map(str, shapes)))
