"""What terms are multiplied with is multiplied once: the same numbers, in fewer terms where that is less work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jacobian as jac
from jacobian.kernel import factored as module
from jacobian.kernel.arithmetic import VALUES
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.factored import factored, made_once
from jacobian.ops.families import gather
from tests.written import texts_of

SIZES = {"o": 5, "k": 4, "i": 3}
PATHS = [
    ("ok->o|k", "ki->k|i"),
    ("ok->o|k", "k->k|k", "ki->k|i"),
    ("oi->o|i", "i->i|i"),
    ("oi->o|i", "i->i|i", "i->i|i"),
]


def local(spec: str, seed: int) -> Jacobian:
    rng = np.random.default_rng(seed)
    return Jacobian.einsum(spec, rng.normal(size=[SIZES[letter] for letter in spec.partition("->")[0]]))


@st.composite
def sums(draw: st.DrawFn) -> Jacobian:
    """Sums of paths, in which the same local Jacobians come up again and again."""
    locals_ = {spec: [local(spec, seed) for seed in range(2)] for path in PATHS for spec in path}
    terms = []
    for path in draw(st.lists(st.sampled_from(PATHS), min_size=2, max_size=6)):
        first, *others = [locals_[spec][draw(st.integers(0, 1))] for spec in path]
        for other in others:
            first = first @ other
        terms.append(draw(st.sampled_from([1, -1, 0, 2.5])) * first)
    return Jacobian.total(terms)


@settings(max_examples=300)
@given(sums(), st.sampled_from([0, 4]))
def test_the_same_numbers(J: Jacobian, worthwhile: int) -> None:
    expected = np.asarray(J)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WORTHWHILE", worthwhile)
        found = factored(J, VALUES)
    assert len(found.terms) <= len(J.terms)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-12, atol=1e-12)


def test_a_sum_of_products_is_one() -> None:
    U, g, k = local("oi->o|i", 0), local("i->i|i", 1), local("i->i|i", 2)
    J = U @ g - U @ k @ g
    assert (len(J.terms), len(factored(J, VALUES).terms)) == (2, 1)
    np.testing.assert_allclose(np.asarray(factored(J, VALUES)), np.asarray(J), rtol=1e-12)


def test_sums_of_several_products_are_told_apart() -> None:
    (U, V), (a, b, c, d) = [local("oi->o|i", k) for k in range(2)], [local("i->i|i", k) for k in range(4)]
    J = Jacobian.total([U @ a, V @ c, U @ b, V @ d])
    assert len(factored(J, VALUES).terms) == 2
    np.testing.assert_allclose(np.asarray(factored(J, VALUES)), np.asarray(U @ (a + b) + V @ (c + d)), rtol=1e-12)


def test_products_of_matrices_and_vectors_stay_as_they_are() -> None:
    A, B = (Jacobian.einsum("ok->o|k", np.random.default_rng(k).normal(size=(50, 50))) for k in range(2))
    v = Jacobian.einsum("k->k|", np.ones(50))
    J = A @ v + B @ v  # to add A and B takes longer
    assert len(J.terms) == 2
    assert factored(J, VALUES) is J


def differences(rng: np.random.Generator) -> Jacobian:
    """What is made of `x[i] - x[j]`, with weights that have one more axis."""
    ups, downs = rng.integers(0, 6, 9), rng.integers(0, 6, 9)
    apart = gather((9,), (6,), [ups]) - gather((9,), (6,), [downs])
    return Jacobian.einsum("oe,e,e->o|e", rng.normal(size=(4, 9)), rng.normal(size=9), rng.normal(size=9)) @ apart


def test_what_is_written_in_two_places_is_made_once() -> None:
    J = differences(np.random.default_rng(0))
    found = made_once(J, VALUES)
    assert [term.scale for term in found.terms] == [1, -1]
    assert found.terms[0].factors[0].array is found.terms[1].factors[0].array
    assert [len(term.factors) for term in found.terms] == [1, 1]
    np.testing.assert_allclose(np.asarray(found), np.asarray(J), rtol=1e-12, atol=1e-12)


@settings(max_examples=100)
@given(st.integers(0, 2**32), st.sampled_from([1, -1, 3, 0]), st.sampled_from([2, -1, 1]))
def test_twins_beside_others_give_the_same_numbers(seed: int, first: float, second: float) -> None:
    rng = np.random.default_rng(seed)
    J = first * differences(rng)
    J = Jacobian.total([J, second * J, Jacobian.einsum("oi->o|i", rng.normal(size=(4, 6)))])
    np.testing.assert_allclose(np.asarray(made_once(J, VALUES)), np.asarray(J), rtol=1e-11, atol=1e-11)


def test_springs_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    edges, free = np.stack([rng.permutation(7)[:2] for _ in range(12)]), np.eye(7)

    def forces(x: Any) -> Any:
        way = x[edges[:, 1]] - x[edges[:, 0]]
        length = np.sqrt(np.sum(way**2, axis=1))
        return (free[edges[:, 0]] - free[edges[:, 1]]).T @ (((length - 0.7) / length)[:, None] * way)

    g, x = jac.jacobian(forces), rng.normal(size=(7, 2))
    expected = np.asarray(g(x))
    (text,) = texts_of(g, x, monkeypatch=monkeypatch)
    assert text.count("empty(") == 1  # the forces by the ways; one array for both ends
    assert text.count("write") == 2
    np.testing.assert_allclose(np.asarray(g(x)), expected, rtol=1e-10, atol=1e-12)
    assert jac.check(forces, x)


def test_what_arrives_at_one_end_is_added_before_it_is_multiplied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is shared by the ends of a difference that is read beside something else."""
    rng = np.random.default_rng(3)
    i, j, B = rng.integers(0, 8, 20), rng.integers(0, 8, 20), rng.normal(size=(20, 8))

    def flux(x: Any) -> Any:
        return B.T @ (0.5 * (x[i] ** 2 + x[j] ** 2) - 0.5 * np.abs(x[i] + x[j]) * (x[i] - x[j]))

    g, x = jac.jacobian(flux), rng.normal(size=8)
    expected = np.asarray(g(x))
    (text,) = texts_of(g, x, monkeypatch=monkeypatch)
    assert text.count("write") == 2
    np.testing.assert_allclose(np.asarray(g(x)), expected, rtol=1e-10, atol=1e-12)


def gravity(x: Any) -> Any:
    way = x[None, :, :] - x[:, None, :]
    square = np.sum(way**2, axis=2) + 0.05
    return np.sum(way / (square * np.sqrt(square))[:, :, None], axis=1)


def test_what_arrives_at_a_node_read_twice_is_multiplied_once(monkeypatch: pytest.MonkeyPatch) -> None:
    g = jac.jacobian(gravity)
    x = np.random.default_rng(1).normal(size=(9, 3))
    expected = np.asarray(g(x))
    (text,) = texts_of(g, x, monkeypatch=monkeypatch)
    # r³, its derivative, the derivative of the square, twice -1, and two for the chain rule: not one more for r itself
    assert text.count(" * ") + text.count("multiply(") == 7
    np.testing.assert_allclose(np.asarray(g(x)), expected, rtol=1e-10)


def test_conditions_about_other_tables_are_other_conditions() -> None:
    """What is contracted once for two terms must not depend on where they look up."""

    def f(v: Any) -> Any:
        v = np.concatenate([v, 0.5 * v[:2]])
        return np.roll(v, 1) + np.roll(v, -1) - 3 * np.roll(v, 2)

    for size in (2, 3, 4, 7):
        expected = np.stack([f(row) for row in np.eye(size)], axis=1)
        J = jac.jacobian(f)
        for k in range(5):
            np.testing.assert_allclose(np.asarray(J(np.arange(float(size)) + k)), expected, atol=1e-14)


@pytest.mark.parametrize("order", ["auto", "forward", "reverse"])
def test_a_number_before_a_transform_is_left_to_the_kernel(order: str) -> None:
    def f(v: Any) -> Any:
        v = 1.5 * np.concatenate([v, 0.5 * v[..., :2]], axis=-1)
        return np.fft.irfft(np.fft.rfft(v), v.shape[-1])

    for shape in ((2,), (3,), (2, 2)):
        x = np.random.default_rng(0).normal(size=shape)
        expected = np.moveaxis([f(row.reshape(shape)) for row in np.eye(x.size)], 0, -1).reshape((*f(x).shape, *shape))
        J = jac.jacobian(f, order=order)
        for _ in range(4):
            np.testing.assert_allclose(np.asarray(J(x)), expected, atol=1e-14)
