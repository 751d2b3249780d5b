"""What is said to write every entry once does so, by listing all assignments."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jacobian as jac
from jacobian.kernel.access import Form, Lookup, Table, affine, plain
from jacobian.kernel.injective import is_injective, overlapping
from jacobian.kernel.pattern import Pattern

from .strategies import Map, chains, examples, product_of, value_of


def written_twice(pattern: Pattern, tables: list[np.ndarray], apart: set[int] | None = None) -> bool:
    """Whether two assignments of the free indices, those in `apart` being equal, have the same position."""
    seen: set[tuple[Any, ...]] = set()
    for values in product(*(range(pattern.sizes[index]) for index in pattern.free)):
        index = [0] * len(pattern.sizes)
        for one, value in zip(pattern.free, values, strict=True):
            index[one] = value
        position = tuple(int(value_of(form, index, tables)) for form in (*pattern.out, *pattern.into))
        key = (*position, *(index[one] for one in sorted(apart or ())))
        if key in seen:
            return True
        seen.add(key)
    return False


def forms(draw: st.DrawFn, sizes: list[int], tables: list[np.ndarray]) -> Form:
    """A form of one or two indices, or of a look-up, whose table has the size of what it is asked for."""
    parts: dict[Any, int] = {}
    for _ in range(draw(st.integers(1, 2))):
        index, stride = draw(st.integers(0, len(sizes) - 1)), draw(st.sampled_from([1, 1, 2, 3]))
        atom: Any = index
        if draw(st.booleans()):
            step = draw(st.sampled_from([1, -1]))
            arg = affine(0 if step == 1 else sizes[index] - 1, {index: step})
            atom = Lookup(len(tables), (arg,))
            tables.append(np.array(draw(st.permutations(range(sizes[index])))))
        parts[atom] = stride
    return affine(draw(st.integers(0, 2)), parts)


@given(st.data())
@examples(400)
def test_permutations_that_are_told_to_be_injective_are(data: st.DataObject) -> None:
    sizes = [data.draw(st.integers(1, 4)) for _ in range(data.draw(st.integers(1, 3)))]
    tables: list[np.ndarray] = []
    draw: Any = data.draw
    out = tuple(forms(draw, sizes, tables) for _ in range(data.draw(st.integers(1, 3))))
    known = tuple(Table(table.shape, len(table), data.draw(st.sampled_from([0, None]))) for table in tables)
    extents = tuple(40 for _ in out)
    pattern = Pattern(tuple(sizes), out, (), extents, (), (), (), known)
    clash = set(overlapping(pattern, extents))
    assert not written_twice(pattern, tables, clash)


@given(chains())
@examples(100)
def test_chains_that_are_told_to_be_injective_are(maps: list[Map]) -> None:
    J = product_of(maps)
    for term in J.terms:
        if term.pattern.entries <= 4000 and is_injective(term.pattern):
            assert not written_twice(term.pattern, list(term.tables))


def two(into: Form, table: Table, n: int = 4) -> Pattern:
    return Pattern((n, 3), (plain(1),), (into,), (3,), (n,), (), (), (table,))


@pytest.mark.parametrize(("arg", "table", "expected"), [
    (plain(0), Table((4,), 4, 0), []),
    (affine(3, {0: -1}), Table((4,), 4, 0), []),
    (plain(0), Table((4,), 4), [0]),
    (affine(1, {0: 1}), Table((4,), 4, 0), [0]),  # beyond the table's end the last entry is read once more
    (affine(0, {0: 1, 1: 1}), Table((6,), 6, 0), []),  # the other index is told by its own axis
])  # fmt: skip
def test_a_permutation_tells_its_index(arg: Form, table: Table, expected: list[int]) -> None:
    assert overlapping(two(affine(0, {Lookup(0, (arg,)): 1}), table), (3, 4)) == expected


def test_an_index_that_is_looked_up_beside_itself_is_not_told() -> None:
    form = affine(0, {Lookup(0, (plain(0),)): 1, 0: 1})
    assert overlapping(two(form, Table((4,), 4, 0)), (3, 4)) == [0]


def test_only_the_axis_that_is_distinct_is_told() -> None:
    table = Table((4, 3), 4, 0)
    along = Pattern(
        (4, 3), (plain(1),), (affine(0, {Lookup(0, (plain(0), plain(1))): 1}),), (3,), (4,), (), (), (table,)
    )
    across = Pattern(
        (3, 4), (plain(1),), (affine(0, {Lookup(0, (plain(1), plain(0))): 1}),), (4,), (4,), (), (), (table,)
    )
    assert overlapping(along, (3, 4)) == []
    assert overlapping(across, (4, 4)) == [0]


@pytest.mark.parametrize("axis", [0, 1, None])
def test_sorted_entries_come_from_one_place_each(axis: int | None) -> None:
    x = np.random.default_rng(0).normal(size=(5, 7))
    J = jac.jacobian(lambda x: np.sort(x, axis=axis))(x)
    assert all(is_injective(term.pattern) for term in J.terms)
    assert J.nnz == 35


def weighted(x: Any) -> Any:
    return np.sum(np.arange(x.shape[0]) ** 2 * np.sort(x, axis=0)[:, 0] / np.sum(x))


def largest(x: Any) -> Any:
    top = np.sort(x, axis=None)[-6:]
    return np.exp(top) / np.sum(np.exp(top))


@pytest.mark.parametrize("f", [weighted, largest, lambda x: np.partition(x, 3, axis=0) ** 2, lambda x: np.sort(x, 1)])
def test_programs_write_to_sorted_places(f: Any) -> None:
    rng = np.random.default_rng(1)
    played, fresh = jac.jacobian(f), jac.jacobian(f, order="forward")
    for shape in ((40, 3), (400, 3)):  # sorted stably, or otherwise where that is quicker
        for k in range(4):
            x = rng.normal(size=shape)
            expected = np.asarray(jac.jacobian(lambda x: f(x), order="reverse")(x))
            np.testing.assert_allclose(np.asarray(played(x)), expected, rtol=1e-12, atol=1e-15)
            if k < 2:
                np.testing.assert_allclose(np.asarray(fresh(x)), expected, rtol=1e-12, atol=1e-15)
