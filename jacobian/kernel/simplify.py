"""Contracting the terms of a Jacobian without giving up their structure, and merging what then looks the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from math import prod
from typing import Any, NamedTuple

import numpy as np

from jacobian.kernel import notation
from jacobian.kernel.access import indices, plain
from jacobian.kernel.arithmetic import SHAPES, VALUES, Arithmetic
from jacobian.kernel.dispatch import is_foreign
from jacobian.kernel.equations import Guard
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.frames import frame_of
from jacobian.kernel.joint import in_one_scope
from jacobian.kernel.memory import available
from jacobian.kernel.operands import holds_complex
from jacobian.kernel.pattern import Access, Pattern
from jacobian.kernel.places import Labels
from jacobian.kernel.structure import common_axes
from jacobian.kernel.tables import Pool, resolved
from jacobian.kernel.term import Array, Factor, Label, Operator, Term

MANY_TERMS = 4
FEW_KEPT = 16  # terms whose operators are kept: products of sums of them become many
LARGE_MATRIX = 2**22  # entries from which on they are kept
SMALL_BLOCK = 2**16  # entries that are made without a second thought
LONGEST_LABEL = 160
DEEPEST_LABEL = 12


class Core(NamedTuple):
    """A contracted term: its array, the free indices its axes stand for, where it writes, and how it came about."""

    array: Array
    labels: Labels
    bare: Term
    story: Term


class Place(NamedTuple):
    """A term that is to be contracted: which guards before, where it writes, and the new number of each free index."""

    term: Term
    position: dict[int, int]
    guards: tuple[Guard, ...]
    bare: Term


def contracted(J: Jacobian, arithmetic: Arithmetic = VALUES) -> Jacobian:
    """The same Jacobian with connected factors contracted; terms that read and write alike become one.

    Complex terms of a real Jacobian stand for their real part, which is what is left of those that are contracted.
    """
    if len(J.terms) == 1 and _is_settled(J.terms[0]):
        return J
    becomes_real = J.dtype.kind != "c" and holds_complex(J.terms)
    wide = np.result_type(J.dtype, np.complex64) if becomes_real else J.dtype
    places: dict[tuple[Any, bool], list[Place]] = {}
    loose: list[Term] = []
    pool: Pool = {}
    for term in J.terms:
        made_real = becomes_real and holds_complex((term,))
        open_ = _has_open_operator(term) and not (made_real and len(term.factors) > 1)
        if open_ or (len(J.terms) <= FEW_KEPT and is_kept(term)):
            loose.append(term)
            continue
        frame = frame_of(term.pattern)
        if len(frame.parts) > 1 and (len(J.terms) == 1 or term.pattern.entries > arithmetic.few):
            loose.append(_by_parts(term, wide, arithmetic))
            continue
        fills = arithmetic.few > 0 and len(J.terms) > 1 and frame.is_filled
        used = tuple(term.tables[slot] for slot in frame.slots)
        bare = Term(frame.bare.with_guards(()) if fills else frame.bare, (), used)
        if len(J.terms) > MANY_TERMS:
            bare = resolved(bare, pool)
        key = (bare.pattern, tuple(map(id, bare.tables)))
        guards = term.pattern.guards if fills else frame.inner
        places.setdefault((key, made_real), []).append(Place(term, frame.position, guards, bare))
    arrays = _arrays_of(J.terms) if arithmetic.few > 0 else ()
    terms: list[Term] = []
    for (_, made_real), members in places.items():
        if len(members) == 1 and _is_negative(members[0].term, arrays):
            loose.append(members[0].term)
            continue
        total = _sum_of([_core(one, J.dtype, arithmetic) for one in members], arithmetic)
        terms.append(_real_term(total) if made_real else total)
    result = Jacobian([*terms, *loose], J.out_shape, J.in_shape, J.dtype, J.names)
    wants = _wants_collapsing(result) or (arithmetic.few > 0 and takes_in(result) and _is_made(result))
    return collapsed(result, arithmetic) if wants else result


def _core(place: Place, dtype: np.dtype[Any], arithmetic: Arithmetic) -> Core:
    array, labels = arithmetic.core(place.term, dtype, place.guards)
    return Core(array, tuple(place.position[index] for index in labels), place.bare, _story(place.term))


def _arrays_of(terms: Sequence[Term]) -> AbstractSet[tuple[Pattern, int]]:
    """The arrays that some terms read as they are."""
    return {(term.pattern, id(term.factors[0].array)) for term in terms if term.tables and _is_alone(term, 1)}


def _is_negative(term: Term, arrays: Collection[tuple[Pattern, int]]) -> bool:
    """Whether a term is another one's array written elsewhere with a minus: in front, as the array is for both."""
    return _is_alone(term, -1) and (term.pattern, id(term.factors[0].array)) in arrays


def _is_alone(term: Term, scale: int) -> bool:
    return term.scale == scale and len(term.factors) == 1 and _is_settled(term)


def _real_term(term: Term) -> Term:
    """The real part of a contracted term."""
    factors = tuple(Factor(np.real(factor.array), _real_label(factor.label), factor.scope) for factor in term.factors)
    return Term(term.pattern, factors, term.tables, complex(term.scale).real)


def _real_label(label: Label) -> Label:
    depth = 1 + depth_of(label)
    return Told(lambda: _real_text(label), depth) if depth <= DEEPEST_LABEL else ""


def _real_text(label: Label) -> str:
    text = label if isinstance(label, str) else label()
    return f"real({text})" if text else ""


def shapes_only(J: Jacobian) -> Jacobian:
    """What `contracted` would return, with arrays that have a shape but no numbers: for counting costs."""
    return contracted(J, SHAPES)


def _wants_collapsing(J: Jacobian) -> bool:
    """Whether there are many terms and one array of all blocks would not be much larger than what they hold."""
    if len(J.terms) <= MANY_TERMS:
        return False
    block = _block_size(J)
    held = sum(prod(access.shape) for term in J.terms for access in term.pattern.factors)
    return block <= max(SMALL_BLOCK, 8 * held)


def takes_in(J: Jacobian) -> bool:
    """Whether one of several terms has an entry for all that there is, so that the others are better added there.

    Those of a large result are written where that is, when all of them are known.
    """
    patterns = [term.pattern for term in J.terms]
    if len(patterns) < 2 or not (prod(J.out_shape) == 1 or J.size <= SMALL_BLOCK):
        return False
    block = _block_size(J)
    return any(
        not one.guards and one.entries == block and any(prod(access.shape) == block for access in one.factors)
        for one in patterns
    )


def _is_made(J: Jacobian) -> bool:
    """Whether no term is a product that is left as it is."""
    return all(len(term.factors) < 2 for term in J.terms)


def _block_size(J: Jacobian) -> int:
    """How many entries lie within the blocks that all terms share."""
    shared = dict(common_axes([term.pattern for term in J.terms]))
    return prod(J.out_shape) * prod(size for axis, size in enumerate(J.in_shape) if axis not in shared.values())


def fused(J: Jacobian, arithmetic: Arithmetic = VALUES) -> Jacobian:
    """The same terms with factors that are read alike multiplied into one: a long elementwise chain stays short."""
    return Jacobian([_fused_term(term, arithmetic) for term in J.terms], J.out_shape, J.in_shape, J.dtype, J.names)


def _fused_term(term: Term, arithmetic: Arithmetic) -> Term:
    groups = term.by_access
    if len(groups) == len(term.factors) or term.has_operator:
        return term
    shorter = term.pattern.with_factors(tuple(groups))
    return Term(shorter, tuple(_product(group, arithmetic) for group in groups.values()), term.tables, term.scale)


def _product(factors: Sequence[Factor], arithmetic: Arithmetic) -> Factor:
    if len(factors) == 1:
        return factors[0]
    total = factors[0].array
    for factor in factors[1:]:
        total = arithmetic.multiply(total, factor.array)
    factors, scope = in_one_scope([factor._replace(array=None) for factor in factors], _as_deep)
    labels, rank = [factor.label for factor in factors], np.ndim(total)
    depth = max(map(depth_of, labels))
    return Factor(total, Told(lambda: _product_label(labels, rank), depth + 1) if depth < DEEPEST_LABEL else "", scope)


def _product_label(labels: list[Label], rank: int) -> str:
    texts = [text if isinstance(text, str) else text() for text in labels]
    texts = [text if notation.is_placed(text) else notation.indexed_label(text, rank) for text in texts]
    return notation.joined(f"({text})" if notation.is_sum(text) else text for text in texts) if all(texts) else ""


class Told:
    """A label made when it is first asked for; it knows how deep labels are nested in it."""

    __slots__ = ("_make", "_text", "depth")

    def __init__(self, make: Callable[[], str], depth: int) -> None:
        self._make: Callable[[], str] | None = make
        self._text = ""
        self.depth = depth

    def __call__(self) -> str:
        """The text; empty when it would be too long to read."""
        if self._make is not None:
            text = self._make()
            self._text, self._make = text if len(text) <= LONGEST_LABEL else "", None
        return self._text


def depth_of(label: Label) -> int:
    """How deep labels are nested in a label."""
    return label.depth if isinstance(label, Told) else 0


def _is_settled(term: Term) -> bool:
    """Whether there is nothing to contract."""
    return frame_of(term.pattern).settled and not term.has_operator


def _has_open_operator(term: Term) -> bool:
    return any(
        isinstance(factor.array, Operator) and set(indices(*access.forms)) <= set(term.pattern.free)
        for factor, access in zip(term.factors, term.pattern.factors, strict=True)
    )


def is_kept(term: Term) -> bool:
    """Whether contracting would build an operator: it would give very many entries, and many more than there are."""
    pattern = term.pattern
    if pattern.entries <= LARGE_MATRIX or not term.has_operator:
        return False
    held = (prod(access.shape) for access, factor in zip(pattern.factors, term.factors, strict=True)
            if not isinstance(factor.array, Operator))  # fmt: skip
    return pattern.entries > 4 * (sum(held) + sum(pattern.sizes))


def _by_parts(term: Term, dtype: np.dtype[Any], arithmetic: Arithmetic) -> Term:
    """Every part contracted for itself; one over no free index is a number, which depends on the point."""
    frame = frame_of(term.pattern)
    scale = term.scale * term.pattern.idle
    factors: list[Factor] = []
    accesses: list[Access] = []
    for part in frame.parts:
        story = Term(part.pattern, tuple(term.factors[k] for k in part.factors), term.tables)
        array, labels = arithmetic.core(story, dtype, ())
        factors.append(_factor(array, [_story(story)], labels))
        accesses.append(Access(tuple(plain(label) for label in labels), tuple(array.shape)))
    used = tuple(term.tables[slot] for slot in frame.slots)
    return Term(frame.bare.with_factors(tuple(accesses)), tuple(factors), used, scale)


def _story(term: Term) -> Term:
    """The term without its arrays: enough to say in a formula what was contracted, and nothing kept alive."""
    factors = tuple(factor._replace(array=None) for factor in term.factors)
    return Term(term.pattern, factors, (), term.scale)


def _told(stories: list[Term], every: Labels) -> str:
    """The label of a contracted factor: the formula of what was contracted, as long as it is short."""
    return notation.sum_text(_one_told(story, every) for story in stories)


def _one_told(story: Term, every: Labels) -> str:
    pattern = story.pattern
    place = {index: every.index(k) for k, index in enumerate(pattern.free) if k in every}
    texts = "".join(factor.text for factor in story.factors)
    unused = (f"@{name}" for name in notation.BOUND if not re.search(rf"@{name}\b", texts))
    names = {index: next(unused, "?") for index in range(len(pattern.sizes)) if index not in place}
    kept = tuple(guard for guard in pattern.guards if guard in frame_of(pattern).inner)
    visible = Pattern(
        pattern.sizes, pattern.out, pattern.into, pattern.out_shape, pattern.in_shape, pattern.factors, kept,
        pattern.tables,
    )  # fmt: skip
    named = names | {index: f"@{k}" for index, k in place.items()}
    return notation.product_text(story.over(visible), named.__getitem__)


def _factor(array: Array, stories: list[Term], every: Labels) -> Factor:
    """A contracted factor, with the label that tells how it came about."""
    factors, scope = in_one_scope([factor for story in stories for factor in story.factors], _as_deep)
    if scope is not None:
        rest = iter(factors)
        stories = [story.with_factors(tuple(next(rest) for _ in story.factors)) for story in stories]
    return Factor(array, _label(stories, every), scope)


def _as_deep(label: Label, make: Callable[[], str]) -> Label:
    return Told(make, depth_of(label))


def _label(stories: list[Term], every: Labels) -> Label:
    """Labels tell of labels, up to a depth; below that a contracted factor is just called F1."""
    depth = 1 + max((depth_of(factor.label) for story in stories for factor in story.factors), default=0)
    return Told(lambda: _told(stories, every), depth) if depth <= DEEPEST_LABEL else ""


def _sum_of(members: list[Core], arithmetic: Arithmetic) -> Term:
    bare = members[0].bare
    every: Labels = tuple(sorted({label for member in members for label in member.labels}))
    total: Any = None
    for array, labels, _, _ in members:
        if labels != every and np.ndim(array):
            array = arithmetic.aligned(array, labels, every, bare.pattern.sizes)
        total = array if total is None else arithmetic.add(total, array)
    if not every and not is_foreign(total) and not any(member.story.factors for member in members):
        return Term(bare.pattern, (), bare.tables, np.asarray(total).item())
    shape = tuple(bare.pattern.sizes[k] for k in every)
    if tuple(np.shape(total)) != shape:
        total = arithmetic.broadcast(total, shape)
    access = Access(tuple(plain(k) for k in every), shape)
    factor = _factor(total, [member.story for member in members], every)
    return Term(bare.pattern.with_factors((access,)), (factor,), bare.tables)


def collapsed(J: Jacobian, arithmetic: Arithmetic = VALUES) -> Jacobian:
    """One term instead of many: dense within the blocks that all terms share, block-diagonal between them."""
    if not J.terms:
        return J
    shared = dict(common_axes([term.pattern for term in J.terms]))
    kept = [axis for axis in range(len(J.in_shape)) if axis not in shared.values()]
    block_shape = J.out_shape + tuple(J.in_shape[axis] for axis in kept)
    if prod(block_shape) * J.dtype.itemsize > min(available() // 4, 2**33):
        return J
    terms = [
        Term(
            Pattern(
                t.pattern.sizes, t.pattern.out, tuple(t.pattern.into[axis] for axis in kept), J.out_shape,
                tuple(J.in_shape[axis] for axis in kept), t.pattern.factors, t.pattern.guards, t.pattern.tables,
            ), t.factors, t.tables, t.scale,
        )
        for t in J.terms
    ]  # fmt: skip
    rest = Jacobian(terms, J.out_shape, tuple(J.in_shape[axis] for axis in kept), J.dtype)
    return _block(J, arithmetic.tensor(rest), kept, shared)


def _block(J: Jacobian, block: Array, kept: list[int], shared: dict[int, int]) -> Jacobian:
    """The array of all blocks as a Jacobian; `shared` maps output axes to the input axes that equal them."""
    outs, shape = len(J.out_shape), tuple(block.shape)
    number = {axis: outs + position for position, axis in enumerate(kept)} | {i: o for o, i in shared.items()}
    pattern = Pattern(
        shape, tuple(plain(k) for k in range(outs)), tuple(plain(number[axis]) for axis in range(len(J.in_shape))),
        J.out_shape, J.in_shape, (Access(tuple(plain(k) for k in range(len(shape))), shape),),
    )  # fmt: skip
    return Jacobian((Term(pattern, (Factor(block),)),), J.out_shape, J.in_shape, J.dtype, J.names)
