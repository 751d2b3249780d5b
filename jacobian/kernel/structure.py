"""What a sum of terms proves about its Jacobian: diagonal, block-diagonal, Kronecker, … Never read off values."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from jacobian.kernel.access import indices, inside
from jacobian.kernel.lower import overlapping, positions
from jacobian.kernel.pattern import Pattern, Shape
from jacobian.kernel.term import Term

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
    return Structure(" + ".join(names))


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
    if pattern.guards and pattern.is_plain:
        return Structure("triangular" if len(out_shape) == len(in_shape) == 1 else "banded")
    if not pattern.is_plain:
        return _of_positions(term)
    return Structure(_of_factors(pattern))


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
    if not out or not into or covered < out | into:
        return "dense" if covered or not (out and into) else "constant"
    both = [group for group in groups if group & out and group & into]
    if len(both) >= 2:
        return "Kronecker"
    return "dense" if both else "outer product"


def _of_positions(term: Term) -> Structure:
    pattern = term.pattern
    one_per_row = set(pattern.free) <= set(indices(*pattern.out)) and not any(f.has_lookup for f in pattern.out)
    if one_per_row and not overlapping(_only_out(pattern), pattern.out_shape):
        return Structure("selection" if not pattern.factors and not pattern.guards else "one entry per row")
    if all(form.is_plain for form in pattern.out) and any(len(form.parts) > 1 for form in pattern.into):
        return Structure("windows")
    return Structure("sparse")


def _only_out(pattern: Pattern) -> Pattern:
    return Pattern(pattern.sizes, pattern.out, (), pattern.out_shape, (), (), (), pattern.tables)


def count_nonzero_positions(terms: Sequence[Term], out_shape: Shape, in_shape: Shape) -> int:
    """How many entries the terms reach, each counted once."""
    shape = (*out_shape, *in_shape)
    patterns = list(dict.fromkeys((term.pattern, tuple(map(id, term.tables))) for term in terms))
    sets = list({(p.out, p.into, p.guards, p.sizes, ids): p for p, ids in patterns}.values())
    if any(p.is_plain and not p.guards and tuple(p.sizes[k] for k in p.free) == shape for p in sets):
        return prod(shape)
    if len(sets) == 1 and not sets[0].guards and not overlapping(sets[0], shape):
        pattern = sets[0]
        if _stays_inside(pattern):
            return prod(pattern.sizes[index] for index in pattern.free)
    found = [_flat_positions(term, shape) for term in terms]
    return int(np.unique(np.concatenate(found)).size) if found else 0


def _stays_inside(pattern: Pattern) -> bool:
    axes = zip((*pattern.out, *pattern.into), (*pattern.out_shape, *pattern.in_shape), strict=True)
    return all(inside(form, extent, pattern.sizes, pattern.tables) for form, extent in axes)


def _flat_positions(term: Term, shape: Shape) -> np.ndarray:
    pattern = term.pattern
    sizes = tuple(pattern.sizes[index] for index in pattern.free)
    flat = np.zeros(sizes, np.intp)
    valid = np.ones(sizes, bool)
    for form, extent in zip((*pattern.out, *pattern.into), shape, strict=True):
        value = positions(form, pattern.free, pattern.sizes, term.tables)
        valid &= (value >= 0) & (value < extent)
        flat = flat * extent + value
    for guard in pattern.guards:
        if set(indices(guard.form)) <= set(pattern.free):
            value = positions(guard.form, pattern.free, pattern.sizes, term.tables)
            valid &= (value >= 0) & (value < guard.extent)
    return flat[valid]
