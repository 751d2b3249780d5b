"""Where a term reads and writes: affine forms of indices, and look-ups in integer tables.

An index is a number; its size stands in the pattern that owns it. The position along one axis is a `Form`

    offset + Σ stride · atom,        atom = an index, or a look-up `table[forms]`

A form may leave its axis. What it reads there is zero and what it writes there is dropped, so that a window over a
padded array, say, needs no special case: the window may hang over the edge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple


class Lookup(NamedTuple):
    """The atom `tables[table][args]`: a position that depends on data."""

    table: int
    args: tuple[Form, ...]


class Table(NamedTuple):
    """What is known of an integer table without its data: its shape, and that 0 <= value < bound.

    Along the axis `distinct`, if there is one, no value comes twice, as in a permutation.
    """

    shape: tuple[int, ...]
    bound: int
    distinct: int | None = None


Atom = int | Lookup


class Form(NamedTuple):
    """`offset + Σ stride · atom`; the parts are sorted, with strides that are not zero."""

    offset: int
    parts: tuple[tuple[Atom, int], ...]

    @property
    def is_plain(self) -> bool:
        """Whether the form is one index and nothing else."""
        return self.offset == 0 and len(self.parts) == 1 and self.parts[0][1] == 1 and type(self.parts[0][0]) is int

    @property
    def has_lookup(self) -> bool:
        """Whether a table is involved."""
        return any(isinstance(atom, Lookup) for atom, _ in self.parts)


def constant(offset: int) -> Form:
    """The form that is one fixed position."""
    return Form(offset, ())


def plain(index: int) -> Form:
    """The form that is one index."""
    return Form(0, ((index, 1),))


def affine(offset: int, strides: Mapping[Atom, int] | Sequence[tuple[Atom, int]]) -> Form:
    """Build a form from strides by atom; equal atoms are added and zero strides dropped."""
    total: dict[Atom, int] = {}
    for atom, stride in strides.items() if isinstance(strides, Mapping) else strides:
        total[atom] = total.get(atom, 0) + stride
    parts = [(atom, stride) for atom, stride in total.items() if stride]
    if len(parts) > 1:
        parts.sort(key=_order)
    return Form(offset, tuple(parts))


def _order(part: tuple[Atom, int]) -> tuple[bool, int]:
    atom = part[0]
    return (True, atom.table) if isinstance(atom, Lookup) else (False, atom)


def combine(*scaled: tuple[int, Form], offset: int = 0) -> Form:
    """The form `offset + Σ factor · form`."""
    parts: list[tuple[Atom, int]] = []
    for factor, form in scaled:
        offset += factor * form.offset
        parts += [(atom, factor * stride) for atom, stride in form.parts]
    return affine(offset, parts)


def substitute(form: Form, bindings: Mapping[int, Form]) -> Form:
    """Replace indices by forms, also inside look-ups."""
    if not any(_touches(atom, bindings) for atom, _ in form.parts):
        return form
    scaled: list[tuple[int, Form]] = [(1, constant(form.offset))]
    for atom, stride in form.parts:
        if isinstance(atom, Lookup):
            inner = tuple(substitute(arg, bindings) for arg in atom.args)
            scaled.append((stride, Form(0, ((Lookup(atom.table, inner), 1),))))
        else:
            scaled.append((stride, bindings.get(atom, plain(atom))))
    return combine(*scaled)


def _touches(atom: Atom, bindings: Mapping[int, Form]) -> bool:
    if isinstance(atom, Lookup):
        return any(_touches(inner, bindings) for arg in atom.args for inner, _ in arg.parts)
    return atom in bindings


def relabel(form: Form, index: Callable[[int], int], table: Callable[[int], int]) -> Form:
    """Rename every index and every table slot."""
    return affine(form.offset, [(_relabel(atom, index, table), stride) for atom, stride in form.parts])


def _relabel(atom: Atom, index: Callable[[int], int], table: Callable[[int], int]) -> Atom:
    if isinstance(atom, Lookup):
        return Lookup(table(atom.table), tuple(relabel(arg, index, table) for arg in atom.args))
    return index(atom)


def indices(*forms: Form) -> Iterator[int]:
    """Every index of the forms, in order, with repeats, look-ups included."""
    for form in forms:
        for atom, _ in form.parts:
            if isinstance(atom, Lookup):
                yield from indices(*atom.args)
            else:
                yield atom


def layers(*forms: Form) -> Iterator[Form]:
    """The forms and those inside their look-ups."""
    for form in forms:
        yield form
        for atom, _ in form.parts:
            if isinstance(atom, Lookup):
                yield from layers(*atom.args)


def lookups(*forms: Form) -> Iterator[int]:
    """Every table slot the forms use, in order, with repeats."""
    for form in forms:
        for atom, _ in form.parts:
            if isinstance(atom, Lookup):
                yield atom.table
                yield from lookups(*atom.args)


def span(form: Form, sizes: Sequence[int], tables: Sequence[Table]) -> tuple[int, int]:
    """The least and the greatest value the form can take (both included); sizes must not be zero."""
    low = high = form.offset
    for atom, stride in form.parts:
        reach = stride * ((tables[atom.table].bound if isinstance(atom, Lookup) else sizes[atom]) - 1)
        if reach < 0:
            low += reach
        else:
            high += reach
    return low, high


def inside(form: Form, extent: int, sizes: Sequence[int], tables: Sequence[Table]) -> bool:
    """Whether the form provably stays on an axis of that extent."""
    low, high = span(form, sizes, tables)
    return low >= 0 and high < extent
