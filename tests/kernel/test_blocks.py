"""Terms written to where the same is looked up are added up before: the numbers are those of the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jacobian.kernel import blocks
from jacobian.kernel.access import Lookup, Table, affine, plain
from jacobian.kernel.arithmetic import Written
from jacobian.kernel.code import Code
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Access, Pattern
from jacobian.kernel.term import Factor, Term
from tests.kernel.strategies import dense_of, examples, shapes, terms

rng = np.random.default_rng(0)
TABLE = np.array([3, 0, 3, 1, 1, 2, 0, 3, 2, 1, 3, 0])  # no runs, and places that are met again


def run(J: Jacobian) -> tuple[np.ndarray, str]:
    """What the program gives, and its text: all arrays are constants, the same ones by the same name."""
    code = Code()
    text = code.text([], [str(Written(code).tensor(J))])
    return code.compile(text)(), text


def block(*, offset: int = 0, diagonal: bool = False, table: np.ndarray = TABLE) -> Term:
    """A block of (12, 2, 3) written to (12, 2) × (4, 3), the third axis by a look-up: all of it, or a diagonal."""
    sizes = (12, 2) if diagonal else (12, 2, 3)
    into = (affine(offset, [(Lookup(0, (plain(0),)), 1)]), plain(1 if diagonal else 2))
    access = Access(tuple(map(plain, range(len(sizes)))), sizes)
    pattern = Pattern(sizes, (plain(0), plain(1)), into, (12, 2), (5, 3), (access,), (), (Table((12,), 4),))
    return Term(pattern, (Factor(rng.normal(size=sizes)),), (table,))


def jacobian(*terms_: Term) -> Jacobian:
    return Jacobian(list(terms_), (12, 2), (5, 3))


def test_a_list_of_positions_is_gone_through_once() -> None:
    J = jacobian(block(), block(diagonal=True), block().scaled(-2))
    found, text = run(J)
    assert text.count("write") == 1
    np.testing.assert_allclose(found, dense_of(J), atol=1e-12)


@pytest.mark.parametrize(
    "other", [block(offset=1), block(table=TABLE[::-1].copy())], ids=["another place", "another table"]
)
def test_what_is_written_elsewhere_stays_apart(other: Term) -> None:
    J = jacobian(block(), other)
    found, text = run(J)
    assert text.count("write") == 2
    np.testing.assert_allclose(found, dense_of(J), atol=1e-12)


def test_a_block_much_larger_than_what_is_written_is_not_made() -> None:
    size, place = 2000, Access((plain(0),), (2000,))
    into = (affine(0, [(Lookup(0, (plain(0),)), 1)]), plain(0))
    table = rng.integers(0, 4, size)
    pattern = Pattern((size,), (), into, (), (4, size), (place,), (), (Table((size,), 4),))
    two = [Term(pattern, (Factor(rng.normal(size=size)),), (table,)) for _ in range(2)]
    one = Jacobian(two, (), (4, size))
    column = Pattern((size, 1), (), (into[0], plain(1)), (), (4, size), (place,), (), pattern.tables)
    other = Jacobian([term.over(column) for term in two], (), (4, size))
    assert run(one)[1].count("write") == 1
    assert run(other)[1].count("write") == 2
    np.testing.assert_allclose(run(other)[0], dense_of(other), atol=1e-12)


@pytest.mark.parametrize("per_write", [blocks.PER_WRITE, 2**20])
@examples(200)
@given(st.data())
def test_terms_of_one_pattern_follow_the_definition(per_write: int, data: st.DataObject) -> None:
    out, into = data.draw(shapes()), data.draw(shapes())
    first = data.draw(terms(out, into))
    assume(any(form.has_lookup for form in (*first.pattern.out, *first.pattern.into)))
    second = first.with_factors(tuple(Factor(np.asarray(factor.array) + 1) for factor in first.factors)).scaled(-3)
    J = Jacobian([first, second, data.draw(terms(out, into))], out, into)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "PER_WRITE", per_write)
        np.testing.assert_allclose(run(J)[0], dense_of(J), rtol=1e-9, atol=1e-9)
