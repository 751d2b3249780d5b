"""Assignment as a function: the array with some of its entries replaced, or added to, as a new array.

Where an entry is written is said by a path of views and an index: `x.T[1:][0] = v` is `set_item(x, v, 0, path)` with
the path transpose, getitem. Entries that are kept are a δ over what the index leaves out; nothing is ever subtracted,
so that what was overwritten has no influence at all, however large its derivative was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from jacobian.errors import IndexingError, ShapeError, report
from jacobian.kernel.access import Form, Lookup, Table, affine, indices, inside, plain
from jacobian.kernel.equations import Guard
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.indexing import basic_index
from jacobian.kernel.pattern import Pattern, Shape
from jacobian.kernel.positions import positions
from jacobian.kernel.recorded import called
from jacobian.kernel.term import Term
from jacobian.ops.families import gather
from jacobian.ops.families.elementwise import diagonal
from jacobian.ops.indexing import is_basic
from jacobian.ops.registry import REGISTRY, Op, Params, Point, describe, register, sample

Path = tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]
"""Views of views: the name of each op, and its parameters."""

Axis = tuple[int, int, int] | np.ndarray
"""Positions along an axis: (start, step, count), or a list of them."""


def through(path: Path, array: Any) -> Any:
    """The view of an array that a path leads to; a copy where the array lies in memory so that there is no view."""
    for name, params in path:
        array = REGISTRY[name].forward(array, **dict(params))
    return array


def put_through(array: np.ndarray, value: Any, key: Any, path: Path) -> None:
    """Assign into an array through a path, as NumPy does; the last one of several values for one entry remains."""
    view = through(path, array)
    if path and np.size(view) and not np.may_share_memory(view, array):
        key = np.unravel_index(places(array.shape, key, path), array.shape)
        view = array
    view[key] = value


def places(shape: Shape, key: Any, path: Path) -> Any:
    """The flat position of every entry that is picked."""
    numbers = np.arange(int(np.prod(shape)), dtype=np.intp).reshape(shape)
    return through(path, numbers)[key]


def _set_item(x: np.ndarray, v: Any, key: Any, path: Path) -> np.ndarray:
    y = x.copy(order="K")  # lies in memory as before, so that its views are views again
    put_through(y, v, key, path)
    return y


def _set_item_rule(point: Point, k: int) -> Jacobian:
    shape, value, (key, path) = _shape(point.x[0]), point.x[1], (point.params["key"], point.params["path"])
    read = _affine_read(shape, key, path)
    if read is not None:
        kept = _outside(read.terms[0].pattern, shape) if read.terms else (Term(_all(shape)),)
        if kept is not None:
            return Jacobian(kept, shape, shape) if k == 0 else read.T.after(_spread(read.out_shape, _shape(value)))
    winner = np.full(shape, -1, np.intp)  # for every entry of x the one of v that is written there
    strides = _strides(value) if point.decided is None else point.decided[0]
    put_through(winner, _numbered(_shape(value), strides), key, path)
    if k == 0:
        kept_at = _picked(np.flatnonzero(winner < 0), shape)
        return kept_at.T.after(kept_at)
    at = np.flatnonzero(winner >= 0)
    return _picked(at, shape).T.after(_picked(winner.reshape(-1)[at], _shape(value)))


def _decides(operands: tuple[Any, ...], params: Params) -> Any:
    """How value and index lie in memory: NumPy assigns in that order, and the last one of several values remains."""
    key = params["key"]
    if is_basic(key):
        return None
    return _strides(operands[1]), tuple(map(_strides, key if isinstance(key, tuple) else (key,)))


def _strides(array: Any) -> Shape:
    return tuple(getattr(array, "strides", ()))


def _numbered(shape: Shape, strides: Shape) -> np.ndarray:
    """The flat positions of an array, lying in memory as one with these strides does."""
    axes = axes_in_memory(strides) or range(len(shape))
    numbers = np.empty([shape[axis] for axis in axes], np.intp).transpose(np.argsort(axes))
    numbers[...] = np.arange(numbers.size).reshape(shape)
    return numbers


def axes_in_memory(strides: Shape) -> tuple[int, ...]:
    """The axes, the one of the longest steps first."""
    return tuple(sorted(range(len(strides)), key=lambda axis: (-abs(strides[axis]), axis)))


def _shape(array: Any) -> Shape:
    return tuple(np.shape(array))


def _all(shape: Shape) -> Pattern:
    forms = tuple(map(plain, range(len(shape))))
    return Pattern(shape, forms, forms, shape, shape)


def _picked(flat: np.ndarray, shape: Shape) -> Jacobian:
    """The Jacobian of picking entries by their flat positions."""
    if not flat.size:
        return Jacobian.zero(flat.shape, shape)
    return gather(flat.shape, shape, np.unravel_index(flat, shape) if shape else ())


def _spread(out: Shape, into: Shape) -> Jacobian:
    """The Jacobian of broadcasting a value to the entries it is assigned to; leading axes of size 1 are let go."""
    extra = max(0, len(into) - len(out))
    if not extra:
        return diagonal(out, into, 1)
    inner = diagonal(out, into[extra:], 1)
    squeezed = gather(into[extra:], into, [*(np.zeros(into[extra:], int),) * extra, *np.indices(into[extra:])])
    return inner.after(squeezed)


# -- what an index leaves out, where the index is affine --------------------------------------------------------------


def _affine_read(shape: Shape, key: Any, path: Path) -> Jacobian | None:
    """The Jacobian of reading what is written, if it is one affine term or none; each step is one on its own."""
    if not is_basic(key):
        return None
    read = Jacobian((Term(_all(shape)),), shape, shape)
    for name, params in path:
        op, array = REGISTRY[name], _ghost(read.out_shape)
        view = op.forward(array, **dict(params))
        read = op.rule(Point(view, (array,), dict(params), ("x",)), 0).after(read)
    pattern = basic_index(key, read.out_shape)
    read = Jacobian((Term(pattern),), pattern.out_shape, read.out_shape).after(read)
    if not read.terms:
        return read
    first = read.terms[0].pattern
    is_affine = len(read.terms) == 1 and not (first.factors or first.tables or first.guards)
    axes = (*zip(first.out, first.out_shape, strict=True), *zip(first.into, first.in_shape, strict=True))
    stays = all(inside(form, extent, first.sizes, ()) for form, extent in axes)  # else it drops what is outside
    return read if is_affine and stays else None


def _ghost(shape: Shape) -> np.ndarray:
    """One byte that pretends to be a contiguous array: only its shape and its addresses are looked at."""
    steps = tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))
    return as_strided(np.zeros(1, np.int8), shape, steps, writeable=False)


def _outside(pattern: Pattern, shape: Shape) -> tuple[Term, ...] | None:
    """A δ over all positions that a pattern does not read; None if what it reads is neither a box nor a diagonal."""
    uses = Counter(indices(*pattern.into))
    if any(count > 1 for count in uses.values()):
        return _beside_diagonal(pattern, shape, uses)
    parts: list[Axis] = []
    terms: list[Term] = []
    rest: list[Axis] = [(0, 1, size) for size in shape]
    for axis, (form, size) in enumerate(zip(pattern.into, shape, strict=True)):
        order = tuple(dict.fromkeys(indices(form)))
        values = np.ravel(positions(form, order, pattern.sizes, ()))
        read = np.unique(values)
        if len(read) < len(values):
            return None
        holes = _progressions(np.setdiff1d(np.arange(size), read))
        terms += [_box([*parts, hole, *rest[axis + 1 :]], shape) for hole in holes]
        parts += _progressions(read, most=1)
    return tuple(terms)


def _progressions(places: np.ndarray, most: int = 2) -> Iterator[Axis]:
    """Sorted positions as a few arithmetic progressions, or as the list they are."""
    if len(places) == 0:
        return
    steps = np.diff(places)
    breaks = np.flatnonzero(steps != 1) + 1
    if len(steps) == 0 or (steps == steps[0]).all():
        yield int(places[0]), int(steps[0]) if len(steps) else 1, len(places)
    elif len(breaks) < most:
        for run in np.split(places, breaks):
            yield int(run[0]), 1, len(run)
    else:
        yield places


def _box(axes: Sequence[Axis], shape: Shape) -> Term:
    """A δ over the positions that lie in all these axes."""
    sizes: list[int] = []
    tables: list[np.ndarray] = []
    known: list[Table] = []
    forms: list[Form] = []
    for axis, extent in zip(axes, shape, strict=True):
        index = len(sizes)
        if isinstance(axis, np.ndarray):
            forms.append(affine(0, [(Lookup(len(tables), (plain(index),)), 1)]))
            tables.append(np.ascontiguousarray(axis, np.intp))
            known.append(Table(axis.shape, extent))
            sizes.append(len(axis))
        elif axis[2] == 1:
            forms.append(affine(axis[0], []))
        else:
            forms.append(affine(axis[0], [(index, axis[1])]))
            sizes.append(axis[2])
    pattern = Pattern(tuple(sizes), tuple(forms), tuple(forms), shape, shape, (), (), tuple(known))
    return Term(pattern, (), tuple(tables))


def _beside_diagonal(pattern: Pattern, shape: Shape, uses: Counter[int]) -> tuple[Term, ...] | None:
    """A δ over all positions but those of one whole diagonal between two axes, the other axes being read in full."""
    twice = [index for index, count in uses.items() if count > 1]
    if len(twice) != 1 or uses[twice[0]] > 2:
        return None
    (index,) = twice
    first, second = (axis for axis, form in enumerate(pattern.into) if index in indices(form))
    for axis, form in enumerate(pattern.into):
        if axis not in (first, second) and not (form.is_plain and pattern.sizes[form.parts[0][0]] == shape[axis]):  # type: ignore[index]
            return None
    above, left = pattern.into[first], pattern.into[second]
    offset = left.offset - above.offset
    length = min(shape[first] + min(offset, 0), shape[second] - max(offset, 0))
    if any(form.parts != ((index, 1),) for form in (above, left)) or pattern.sizes[index] != length:
        return None
    forms = tuple(map(plain, range(len(shape))))

    def side(sign: int) -> Term:
        beyond = affine(-sign * offset - 1, [(second, sign), (first, -sign)])
        guard = Guard(beyond, shape[first] + shape[second] + abs(offset))
        return Term(Pattern(shape, forms, forms, shape, shape, (), (guard,)))

    return side(1), side(-1)


# -- the ops ----------------------------------------------------------------------------------------------------------


def _does_not_fit(op: Op, operands: Sequence[Any], params: Params) -> None:
    """Tell the shapes apart where NumPy cannot assign."""
    x, v = operands
    try:
        picked = np.shape(places(_shape(x), params["key"], params["path"]))
    except IndexError as error:
        got = f"{describe('x', x)}, {describe('v', v)}"
        raise IndexingError(report(f"{op.called}: {error}", got=got, **{"with": f"key={params['key']!r}"})) from None
    shape = _shape(v)
    raise ShapeError(
        report(
            f"{op.called}: a value of shape {shape} does not fit into entries of shape {picked}",
            got=f"{describe('x', x)}, {describe('v', v)}",
            fix=f"give a value that broadcasts to {picked}",
        )
    )


def _arguments(x: Any, v: Any, key: Any = ..., path: Path = ()) -> tuple[tuple[Any, ...], Params]:
    return (x, v), {"key": key, "path": path}


_ROW: Path = (("getitem", (("key", (slice(None, None, -1), 1)),)),)
_COLUMNS: Path = (("transpose", (("axes", None),)), ("getitem", (("key", slice(1, None)),)))
_FLAT: Path = (("ravel", (("shape", -1), ("order", "C"))),)
_FLAT_COLUMNS: Path = (("transpose", (("axes", None),)), ("reshape", (("shape", -1), ("order", "C"))))
_DIAGONAL: Path = (("einsum", (("subscripts", "ii->i"),)),)

set_item = register(
    Op(
        "set_item", _set_item, _set_item_rule, normalise=_arguments, operands=("x", "v"), family="layout",
        decides=_decides,
        formula="∂y[i]/∂x[i] = 1 where the entry is kept, ∂y[key[j]]/∂v[j] = 1",
        note="x with v assigned to the entries that `key` picks from the view at the end of `path`: x[key] = v as a "
        "function. Of several values for one entry the last one remains.",
        explain_failure=_does_not_fit,
        samples=[
            sample((4,), (), 1), sample((4,), (2,), slice(1, 3)), sample((5,), (3,), slice(None, None, -2)),
            sample((3, 4), (2,), (slice(0, 2), 1)), sample((3, 4), (4,), (Ellipsis, slice(1, 3), slice(None))),
            sample((3, 4), (1, 1, 2), (1, slice(0, 2))), sample((7,), (3,), slice(0, 6, 2)),
            sample((2, 3), (), Ellipsis), sample((), (), key=()), sample((3,), (0,), slice(3, None)),
            sample((4,), (2, 2), [[0, 1], [1, 3]]), sample((3, 4), (4,), np.array([True, False, True])),
            sample((3,), (2,), np.array([True, False, True])), sample((3, 4), (), ([0, 2, 0], [1, 3, 1])),
            sample((3, 4), (3,), slice(None), _ROW), sample((3, 4), (), 0, _COLUMNS),
            sample((3, 4), (2,), [0, 5], _FLAT), sample((2, 3), (5,), slice(1, None), _FLAT),
            sample((3, 3), (3,), slice(None), _DIAGONAL), sample((3, 4), (2,), slice(1, 3), _FLAT_COLUMNS),
            sample((3, 2), (), slice(0, 6, 3), _FLAT), sample((8,), (3,), slice(1, 8, 3)),
            sample((3,), (), np.array(True)),
        ],
    )
)  # fmt: skip
set_item.called = "x[…] = v"  # in errors


def _add_at(x: np.ndarray, v: Any, key: Any, path: Path) -> Any:
    shape = _shape(x)
    at = places(shape, key, path)
    where = np.unravel_index(at, shape) if shape else (np.zeros(np.shape(at), int),)
    return called(_added, x, v, *where)


def _added(x: np.ndarray, v: Any, *where: np.ndarray) -> np.ndarray:
    y = x.copy(order="K")
    values = np.broadcast_to(np.asarray(v, y.dtype), where[0].shape)  # what `np.add.at` itself reads beyond
    np.add.at(np.atleast_1d(y), where if len(where) > 1 else where[0], values)
    return y


def _add_at_rule(point: Point, k: int) -> Jacobian:
    shape = _shape(point.x[0])
    if k == 0:
        return Jacobian.identity(shape)
    at = np.asarray(places(shape, point.params["key"], point.params["path"]))
    if at.size == 0:
        return Jacobian.zero(shape, _shape(point.x[1]))
    read = gather(at.shape, shape, np.unravel_index(at, shape) if shape else ())
    return read.T.after(_spread(at.shape, _shape(point.x[1])))


add_at = register(
    Op(
        "add_at", _add_at, _add_at_rule, normalise=_arguments, operands=("x", "v"), family="layout",
        formula="∂y[i]/∂x[i] = 1, ∂y[key[j]]/∂v[j] = 1",
        note="x with v added to the entries that `key` picks, as often as it picks them: np.add.at as a function.",
        explain_failure=_does_not_fit,
        samples=[
            sample((4,), (3,), [0, 2, 0]), sample((3, 2), (2,), [1, 1]), sample((3, 2), (), ([0, 0, 2], [1, 1, 0])),
            sample((3,), (1,), np.array([True, False, True])), sample((3, 4), (2,), [1, 1], _FLAT), sample((3,), (), 0),
        ],
    )
)  # fmt: skip
add_at.called = "np.add.at"


def _full(shape: Shape, fill: Any, dtype: Any, axes: Sequence[int] | None = None) -> np.ndarray:
    if axes is None:
        return np.full(shape, fill, dtype)
    return np.full([shape[axis] for axis in axes], fill, dtype).transpose(np.argsort(axes))


def _no_rule(point: Point, k: int) -> Jacobian:
    raise AssertionError("it has no operands")


full = register(
    Op(
        "full", _full, _no_rule, operands=(), family="layout",
        normalise=lambda shape, fill=0.0, dtype=np.float64, axes=None: (
            (), {"shape": shape, "fill": fill, "dtype": dtype, "axes": axes},
        ),
        formula="none", note="an array of one number that traced values can be assigned into: np.zeros_like(x).",
        samples=[sample(np.array([2, 3])), sample(np.array([2, 3]), axes=(1, 0))],
    )
)  # fmt: skip
