"""Solving `in2 = out1` by substitution: every solution is found once, and maps that can stay symbolic do."""

from __future__ import annotations

from itertools import pairwise, product
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from jacobian.kernel.access import Form, Lookup, Table, affine, combine, constant, plain, relabel, span, substitute
from jacobian.kernel.equations import Guard, NoSolutionError, System
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.frames import frame_of
from jacobian.kernel.pattern import Composed, Pattern, identity, solve
from jacobian.kernel.term import Term

from .strategies import (
    LAYOUT_KINDS,
    RESHAPE_KINDS,
    chains,
    examples,
    placed,
    product_of,
    reshaping,
    run,
    selecting,
    value_of,
    windows,
)


def is_symbolic(J: Jacobian) -> bool:
    """No array, no table, no one-hot factor: the indices say it all."""
    return all(
        not term.factors and not term.tables and all(guard.extent > 1 for guard in term.pattern.guards)
        for term in J.terms
    )


def check(J: Jacobian, function: Any, *, bare: bool = True) -> None:
    """The Jacobian is that of the function, symbolic and, when `bare`, without any guard."""
    x = np.arange(1.0, prod(J.in_shape) + 1).reshape(J.in_shape)
    assert_array_equal(J @ x, function(x))
    assert is_symbolic(J)
    if bare:
        assert not any(term.pattern.guards for term in J.terms)


# -- every solution once --------


@st.composite
def systems(draw: st.DrawFn) -> tuple[tuple[int, ...], list[Form], list[Guard]]:
    sizes = tuple(draw(st.lists(st.integers(1, 7), min_size=1, max_size=4)))
    part = st.tuples(st.integers(0, len(sizes) - 1), st.sampled_from([1, -1, 2, -2, 3, -3, 4, 6, -6, 12]))
    form = st.builds(affine, st.integers(-6, 6), st.lists(part, max_size=4))
    equations = draw(st.lists(form, max_size=3))
    guards = draw(st.lists(st.builds(Guard, form, st.integers(1, 5)), max_size=2))
    return sizes, equations, guards


@given(systems())
@examples(350)
def test_every_solution_is_found_once(system: Any) -> None:
    """A pattern writes each solution to a place of its own, so a place counted twice or left out would show."""
    sizes, equations, guards = system
    pattern = Pattern(sizes, tuple(map(plain, range(len(sizes)))), (), sizes, (), (), tuple(guards))
    expected = np.zeros(sizes)
    for index in product(*map(range, sizes)):
        expected[index] = all(value_of(e, index, ()) == 0 for e in equations) and all(
            0 <= value_of(g.form, index, ()) < g.extent for g in guards
        )
    solved = solve(pattern, equations)
    found = np.zeros(sizes)
    if solved is not None:
        p = solved.pattern
        for index in product(*map(range, p.sizes)):
            if all(0 <= value_of(g.form, index, ()) < g.extent for g in p.guards):
                at = tuple(int(value_of(form, index, ())) for form in p.out)
                if all(0 <= k < n for k, n in zip(at, sizes, strict=True)):
                    found[at] += solved.times
    assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("equation", "sizes"),
    [
        (constant(1), (3,)),
        (affine(1, [(0, 2)]), (3,)),
        (affine(-5, [(0, 1)]), (3,)),
        (affine(1, [(0, 1)]), (3,)),
        (affine(1, [(0, 2), (1, 4)]), (3, 3)),
        (affine(-100, [(0, 2), (1, -3)]), (3, 3)),
    ],
)
def test_a_contradiction_is_no_solution(equation: Form, sizes: tuple[int, ...]) -> None:
    with pytest.raises(NoSolutionError):
        System(sizes, ()).solve([equation])
    assert solve(identity(sizes), [equation]) is None


def test_a_range_that_cannot_be_met_is_no_solution() -> None:
    assert solve(identity((3,)), [], [(affine(3, [(0, 1)]), 3)]) is None
    assert solve(identity((3,)), [], [(affine(0, [(0, 1)]), 0)]) is None


def test_an_equation_that_nothing_solves_becomes_one_hot() -> None:
    solved = solve(identity((5, 5, 5)), [affine(0, [(0, 2), (1, 3), (2, -4)])])
    assert solved is not None
    assert [guard.extent for guard in solved.pattern.guards] == [1]


def test_two_tables_meet_in_a_one_hot_factor() -> None:
    t = np.array([2, 0, 2])
    lookup = Form(0, ((Lookup(0, (plain(0),)), 1),))
    take = Jacobian(
        [Term(Pattern((3,), (plain(0),), (lookup,), (3,), (4,), (), (), (Table((3,), 3),)), (), (t,))], (3,), (4,)
    )
    J = take @ take.T
    assert_array_equal(np.asarray(J), (t[:, None] == t[None]).astype(float))
    assert "one-hot factor [t[i] - t[j] = 0]: this equation has no substitution" in J.explain()


# -- what stays symbolic --------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((4, 6), (8, 3)), ((8, 3), (4, 6)), ((24,), (4, 6)), ((2, 3, 4), (6, 4)), ((2, 3, 4), (2, 12)),
        ((6, 4), (2, 3, 4)), ((2, 12), (8, 3)), ((12, 2), (3, 8)), ((1, 5), (5,)), ((5, 1, 1), (1, 5)),
        ((2, 8), (4, 4)), ((4, 9), (6, 6)), ((6, 6), (4, 9)), ((2, 2, 2, 2), (4, 4)), ((), (1, 1)),
    ],
)  # fmt: skip
def test_reshape_is_symbolic(old: tuple[int, ...], new: tuple[int, ...]) -> None:
    J = reshaping(old, new)
    check(J, lambda x: x.reshape(new), bare=not {4, 9} <= {*old, *new})
    assert J.nnz == prod(old)


@pytest.mark.parametrize("shapes", [[(4, 6), (8, 3), (2, 12)], [(24,), (4, 6), (8, 3), (24,)], [(4, 6), (24,), (8, 3)]])
def test_reshape_after_reshape_stays_symbolic(shapes: list[tuple[int, ...]]) -> None:
    J = reshaping(shapes[0], shapes[1])
    for old, new in pairwise(shapes[1:]):
        J = reshaping(old, new) @ J
    check(J, lambda x: x.reshape(shapes[-1]))


def test_there_and_back_again_is_the_identity() -> None:
    for one, other in (((4, 6), (8, 3)), ((2, 3, 4), (24,)), ((4, 6), (24,))):
        J = reshaping(other, one) @ reshaping(one, other)
        check(J, lambda x: x)
        assert J.nnz == prod(one)
        assert J.structure == "identity"


def test_slice_after_concatenate_stays_symbolic() -> None:
    both = placed((6,), 0, 0, 12) + 3 * placed((6,), 0, 6, 12)

    def doubled(x: np.ndarray) -> np.ndarray:
        return np.concatenate([x, 3 * x])

    for key in (slice(2, 5), slice(7, 11), slice(3, 9), slice(None, None, 2), slice(None, None, -1), slice(10, 1, -3)):
        check(selecting((12,), key) @ both, lambda x, key=key: doubled(x)[key])
    assert len((selecting((12,), slice(2, 5)) @ both).terms) == 1


def test_concatenate_after_slice_stays_symbolic() -> None:
    halves = placed((3,), 0, 3, 6) @ selecting((6,), slice(0, 3)) + placed((3,), 0, 0, 6) @ selecting((6,), slice(3, 6))
    check(halves, lambda x: np.roll(x, 3))
    check(halves @ halves, lambda x: x)


def test_slice_after_slice_stays_symbolic() -> None:
    J = selecting((5,), slice(None, None, -2)) @ selecting((20,), slice(3, 18, 3))
    check(J, lambda x: x[3:18:3][::-2])
    assert J.structure == "selection"


def test_a_slice_of_a_transposed_slice_stays_symbolic() -> None:
    scatter = selecting((20,), slice(1, None, 3)).T  # writes 1 + 3i
    J = selecting((20,), slice(None, None, 2)) @ scatter  # reads 2j
    check(J, lambda x: np.array([x[(2 * j - 1) // 3] if (2 * j - 1) % 3 == 0 and j else 0 for j in range(10)]))


@pytest.mark.parametrize(
    ("count", "width", "stride", "step", "pad"), [(6, 3, 1, 1, 1), (3, 3, 2, 1, 1), (4, 2, 2, 3, 2)]
)
def test_window_after_pad_stays_symbolic(count: int, width: int, stride: int, step: int, pad: int) -> None:
    n = 6
    padded = placed((n,), 0, pad, n + 2 * pad)
    J = windows((n + 2 * pad,), 0, count, width, stride, step, 0) @ padded

    def function(x: np.ndarray) -> np.ndarray:
        at = stride * np.arange(count)[:, None] + step * np.arange(width)
        return np.take(np.concatenate([np.pad(x, pad), np.zeros(20)]), at)

    check(J, function)
    assert len(J.terms) == 1
    assert_array_equal(np.asarray(J), np.asarray(windows((n,), 0, count, width, stride, step, pad)))


def test_window_after_window_stays_symbolic() -> None:
    first = windows((12,), 0, 5, 4, 2, 1, 0)
    second = windows((5, 4), 0, 3, 2, 1, 2, 0)
    slide = np.lib.stride_tricks.sliding_window_view
    check(second @ first, lambda x: slide(x, 4)[::2][np.arange(3)[:, None] + 2 * np.arange(2)])


def test_pooling_after_convolution_keeps_no_one_hot_factor() -> None:
    kernel = np.array([1.0, -2, 3])
    J = Jacobian.einsum("k->h|hk", kernel, h=8) @ windows((8,), 0, 8, 3, 1, 1, 1)
    pooled = Jacobian.einsum("->h|hk", h=4, k=2) @ windows((8,), 0, 4, 2, 2, 1, 0) @ J
    assert not any(term.pattern.guards for term in pooled.terms)
    x = np.arange(1.0, 9)
    assert_array_equal(pooled @ x, np.correlate(np.pad(x, 1), kernel, "valid").reshape(4, 2).sum(1))


def test_patches_of_an_image_stay_symbolic() -> None:
    """(8, 6) into patches of 4 by 3, which vision transformers take: reshape, transpose, reshape."""
    swapped = Jacobian.einsum("->abij|aibj", a=2, i=4, b=2, j=3)
    J = reshaping((2, 2, 4, 3), (4, 12)) @ swapped @ reshaping((8, 6), (2, 4, 2, 3))
    check(J, lambda x: x.reshape(2, 4, 2, 3).transpose(0, 2, 1, 3).reshape(4, 12))
    back = J.T @ J
    assert_array_equal(back.matrix(), np.eye(48))


def test_upsampling_and_strided_reading_cancel() -> None:
    up = placed((5,), 0, 0, 15, step=3)
    J = selecting((15,), slice(None, None, 3)) @ up
    assert J.structure == "identity"
    assert (selecting((15,), slice(1, None, 3)) @ up).structure == "zero"


@given(chains(kinds=LAYOUT_KINDS, most=5))
@examples(150)
def test_slices_pads_and_transposes_never_need_a_one_hot_factor(chain: Any) -> None:
    J = product_of(chain)
    check(J, lambda x: run(chain, x), bare=False)


@given(chains(kinds=RESHAPE_KINDS, most=5))
@examples(150)
def test_reshapes_and_transposes_agree_with_numpy(chain: Any) -> None:
    J = product_of(chain)
    x = np.arange(1.0, prod(J.in_shape) + 1).reshape(J.in_shape)
    assert_array_equal(J @ x, run(chain, x))
    assert not any(term.factors or term.tables for term in J.terms)


def test_large_sizes_are_as_easy_as_small_ones() -> None:
    n = 10**6
    J = reshaping((1000, 1000), (n,)) @ reshaping((n,), (1000, 1000))
    assert J.structure == "identity"
    K = selecting((n,), slice(1, None)) @ placed((n - 1,), 0, 1, n)
    assert K.structure == "identity"
    assert reshaping((n, 6), (n // 2, 12)).nnz == 6 * n


# -- patterns --------


def test_patterns_are_equal_by_what_they_say() -> None:
    assert identity((2, 3)) == identity((2, 3))
    assert hash(identity((2, 3))) == hash(identity((2, 3)))
    assert identity((2, 3)) != identity((3, 2))
    assert identity((2,)) != "identity"


def test_composing_with_the_identity_gives_the_same_object() -> None:
    term = selecting((5,), slice(1, 3)).terms[0]
    assert term.after(Term(identity((5,)))) is term
    assert Term(identity((2,))).after(term) is term


def test_a_sum_over_nothing_that_is_mentioned_is_counted() -> None:
    pattern = Pattern((2, 3), (plain(0),), (plain(0),), (2,), (2,))
    assert solve(pattern, []) == Composed(identity((2,)), 3)


def test_the_frame_of_a_term_is_where_it_writes() -> None:
    J = Jacobian.einsum("ij,jk->ki|i", np.ones((2, 3)), np.ones((3, 4)))
    written = frame_of(J.terms[0].pattern).bare
    assert written.sizes == (4, 2)
    assert written.out == (plain(0), plain(1))
    assert written.into == (plain(1),)
    assert not written.factors


# -- forms --------


def test_forms_are_added_and_substituted() -> None:
    form = affine(1, [(0, 2), (1, 3), (0, -2)])
    assert form == Form(1, ((1, 3),))
    assert substitute(form, {1: affine(2, [(5, 4)])}) == Form(7, ((5, 12),))
    lookup = Form(0, ((Lookup(0, (plain(1),)), 1),))
    assert substitute(lookup, {1: affine(2, [(5, 4)])}) == Form(0, ((Lookup(0, (Form(2, ((5, 4),)),)), 1),))
    assert substitute(lookup, {7: constant(0)}) is lookup
    assert combine((2, plain(0)), (-2, plain(0)), offset=3) == constant(3)
    assert relabel(lookup, lambda k: k + 1, lambda t: t + 2) == Form(0, ((Lookup(2, (plain(2),)), 1),))


def test_the_span_of_a_form() -> None:
    form = affine(1, [(0, 2), (1, -3), (Lookup(0, (plain(0),)), -1)])
    assert span(form, (3, 2), [Table((3,), 5)]) == (1 - 3 - 4, 1 + 4)
