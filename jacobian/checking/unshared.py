"""A δ left out of the terms of the truth: an index that output and input share becomes two."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from jacobian.checking import slips
from jacobian.checking.derivation import Derivation, matrix
from jacobian.checking.slips import Mutation
from jacobian.checking.whole import Axes, delta_out_sentence
from jacobian.kernel.access import indices, plain, substitute
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Access, Pattern
from jacobian.kernel.term import Term

MAX_ENTRIES = 2**16


def unshared(D: Derivation, J: Jacobian, axes: Axes) -> Iterator[Mutation]:
    """Each pair of axes that all terms share, unshared in all of them.

    A factor with labels of the input reads the input's label, any other the output's: so do people who write them down.
    """
    if not D.is_whole or D.full.size > MAX_ENTRIES:
        return
    outs = len(axes.out)
    for a, b in axes.pairs():
        terms = [_split(term, a, b - outs) for term in J.terms]
        found = [term for term in terms if term is not None]
        if not found or len(found) < len(terms):
            continue
        value = matrix(Jacobian(found, J.out_shape, J.in_shape, J.dtype))
        text = f"δ[{axes.letters[a]},{axes.letters[b]}]"
        yield Mutation(
            slips.DELTA_OUT, ("unshared", a, b), partial(delta_out_sentence, axes, text), delta=value - D.full
        )


def _split(term: Term, a: int, b: int) -> Term | None:
    """The term with another index at the input's axis b; None where it does not share that of the output's axis a."""
    pattern = term.pattern
    form = pattern.out[a]
    if not form.is_plain or pattern.into[b] != form:
        return None
    (shared,) = indices(form)
    new = {shared: plain(len(pattern.sizes))}
    into = (*pattern.into[:b], plain(len(pattern.sizes)), *pattern.into[b + 1 :])
    only_in = set(indices(*pattern.into)) - set(indices(*pattern.out))
    factors = tuple(
        Access(tuple(substitute(form, new) for form in access.forms), access.shape)
        if _is_of_input(access, only_in)
        else access
        for access in pattern.factors
    )
    sizes = (*pattern.sizes, pattern.sizes[shared])
    return term.over(
        Pattern(sizes, pattern.out, into, pattern.out_shape, pattern.in_shape, factors, pattern.guards, pattern.tables)
    )


def _is_of_input(access: Access, only_in: set[int]) -> bool:
    return bool(set(indices(*access.forms)) & only_in)
