"""What a sum of terms proves about its Jacobian: diagonal, block-diagonal, Kronecker, … Never read off values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jacobian.kernel import memory
from jacobian.kernel.access import indices
from jacobian.kernel.counting import count_union, distinct, mask
from jacobian.kernel.equations import Guard
from jacobian.kernel.injective import overlapping
from jacobian.kernel.lower import core
from jacobian.kernel.pattern import Pattern, Shape
from jacobian.kernel.positions import positions
from jacobian.kernel.scatter import spread
from jacobian.kernel.term import Term

LISTED = 48  # bytes for every entry that is listed in order to be counted

Pairs = tuple[tuple[int, int], ...]


class Structure(str):
    """A structure as text, `"block-diagonal over axis 0"`, with its `kind` and the shared `axes` (output, input)."""

    kind: str
    axes: Pairs

    def __new__(cls, kind: str, detail: str = "", axes: Pairs = ()) -> Structure:
        """The text is the kind followed by the detail."""
        self = super().__new__(cls, kind + detail)
        self.kind = kind
        self.axes = axes
        return self


def shared_axes(pattern: Pattern) -> Pairs:
    """Pairs of an output and an input axis that are the same plain index: a δ between them."""
    at = {
        form: axis for axis, form in enumerate(pattern.out)
        if form.is_plain and pattern.sizes[next(indices(form))] == pattern.out_shape[axis]
    }  # fmt: skip
    found: dict[int, int] = {}
    for axis, form in enumerate(pattern.into):
        if form in at and pattern.in_shape[axis] == pattern.out_shape[at[form]]:
            found.setdefault(at[form], axis)
    return tuple(sorted(found.items()))


def common_axes(patterns: Sequence[Pattern]) -> Pairs:
    """The pairs that every pattern shares."""
    first, *others = (set(shared_axes(pattern)) for pattern in patterns)
    return tuple(sorted(first.intersection(*others)))


def structure_of(terms: Sequence[Term], out_shape: Shape, in_shape: Shape) -> Structure:
    """The strongest structure that the terms prove."""
    if not terms:
        return Structure("zero")
    kinds = [_of_term(term, out_shape, in_shape) for term in terms]
    if len(terms) == 1:
        return kinds[0]
    shared = _of_pairs(common_axes([term.pattern for term in terms]), out_shape, in_shape)
    if shared is not None:
        return shared
    names = dict.fromkeys(kind.kind for kind in kinds)
    if "dense" in names:
        return Structure("dense")
    return Structure("sum", f" of {len(terms)} terms: {', '.join(names)}")


def _of_pairs(pairs: Pairs, out_shape: Shape, in_shape: Shape) -> Structure | None:
    if not pairs:
        return None
    if len(pairs) == len(out_shape) == len(in_shape):
        if all(out == into for out, into in pairs):
            return Structure("diagonal", axes=pairs)
        return Structure("permuted diagonal", axes=pairs)
    axes = ", ".join(str(out) if out == into else f"{out}|{into}" for out, into in pairs)
    return Structure("block-diagonal", f" over {'axis' if len(pairs) == 1 else 'axes'} {axes}", pairs)


def _of_term(term: Term, out_shape: Shape, in_shape: Shape) -> Structure:
    pattern = term.pattern
    pairs = shared_axes(pattern)
    if pattern.is_identity and term.scale == 1:
        return Structure("identity", axes=pairs)
    found = _of_pairs(pairs, out_shape, in_shape)
    if found is not None:
        if found.kind == "permuted diagonal" and not pattern.factors and term.scale == 1:
            return Structure("permutation", axes=pairs)
        return found
    if not _is_full(pattern, (*out_shape, *in_shape)):
        return _of_positions(term)
    if bands := [band for guard in pattern.guards if (band := _band(guard, pattern)) is not None]:
        straight = len(out_shape) == len(in_shape) == 1
        return Structure(
            "triangular"
            if straight and any(_is_triangular(band, *out_shape, *in_shape) for band in bands)
            else "banded"
        )
    return Structure("sparse" if pattern.guards else _of_factors(pattern))


def _is_full(pattern: Pattern, shape: Shape) -> bool:
    """Whether every entry is written once: each axis is an index of its own that runs along all of it."""
    return pattern.is_plain and tuple(pattern.sizes[index] for index in pattern.free) == shape


def _band(guard: Guard, pattern: Pattern) -> tuple[int, int] | None:
    """The least and the greatest `out position - in position` a guard lets through, if it is about two such axes."""
    strides = dict(guard.form.parts)
    out, into = ([index for index in indices(*forms) if index in strides] for forms in (pattern.out, pattern.into))
    if len(strides) != 2 or not out or not into or (strides[out[0]], strides[into[0]]) not in {(1, -1), (-1, 1)}:
        return None
    low, high = -guard.form.offset, guard.extent - 1 - guard.form.offset
    return (low, high) if strides[out[0]] == 1 else (-high, -low)


def _is_triangular(band: tuple[int, int], rows: int, cols: int) -> bool:
    """Whether all is let through on one side of the main diagonal, or of one beyond, and nothing on the other side."""
    low, high = band
    return (low >= 0 and high >= rows - 1) or (high <= 0 and low <= 1 - cols)


def _of_factors(pattern: Pattern) -> str:
    """Kronecker, outer product or dense, from which factors are connected by indices."""
    out, into = set(indices(*pattern.out)), set(indices(*pattern.into))
    groups: list[set[int]] = []
    for access in pattern.factors:
        group = set(indices(*access.forms))
        if not group:
            continue
        touching = [other for other in groups if other & group]
        groups = [other for other in groups if not other & group] + [group.union(*touching)]
    covered = set().union(*groups) if groups else set()
    if not out or not into or not covered >= out | into:
        return "dense" if covered or not (out and into) else "constant"
    both = [group for group in groups if group & out and group & into]
    if len(both) >= 2:
        return "Kronecker"
    return "dense" if both else "outer product"


def _of_positions(term: Term) -> Structure:
    pattern = term.pattern
    one_per_row = set(pattern.free) <= set(indices(*pattern.out)) and not any(f.has_lookup for f in pattern.out)
    if one_per_row and not overlapping(_only_out(pattern), pattern.out_shape):
        bare = not pattern.factors and not pattern.guards and term.scale * pattern.idle == 1
        return Structure("selection" if bare else "one entry per row")
    if all(form.is_plain for form in pattern.out) and any(len(form.parts) > 1 for form in pattern.into):
        return Structure("windows")
    return Structure("sparse")


def _only_out(pattern: Pattern) -> Pattern:
    return Pattern(pattern.sizes, pattern.out, (), pattern.out_shape, (), (), (), pattern.tables)


def count_nonzero_positions(terms: Sequence[Term], out_shape: Shape, in_shape: Shape) -> int:
    """How many entries the terms reach, each counted once: by arithmetic, or one by one where memory allows."""
    shape = (*out_shape, *in_shape)
    masks = distinct(terms)
    count = count_union(masks, shape)
    if count is not None:
        return count
    entries = sum(one.pattern.entries for one in masks)
    memory.check(
        LISTED * entries, f"{out_shape} × {in_shape}", f"{len(masks)} overlapping terms, {entries:,} entries to list",
        "the list of entries to count", "J.explain() gives a bound",
    )  # fmt: skip
    places = [flat[valid] for flat, valid in (reached(one, shape) for one in masks)]
    return int(np.unique(np.concatenate(places)).size)


def reached(term: Term, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """For every assignment of the free indices, the flat position in the tensor, and whether it is reached."""
    one = mask(term)
    pattern = one.pattern
    sizes = tuple(pattern.sizes[index] for index in pattern.free)
    flat = np.zeros(sizes, np.intp)
    valid = np.ones(sizes, bool)
    for form, extent in zip((*pattern.out, *pattern.into), shape, strict=True):
        value = positions(form, pattern.free, pattern.sizes, term.tables)
        valid &= (value >= 0) & (value < extent)
        flat = flat * extent + value
    if pattern.guards:
        valid &= spread(*core(one, np.dtype(float)), pattern) > 0
    return flat, valid
