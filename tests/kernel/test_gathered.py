"""What is looked up is gathered before it is multiplied: the same numbers, whether that is less work or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jacobian as jac
from jacobian.kernel import gathered as module
from jacobian.kernel.arithmetic import VALUES
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.gathered import gathered
from jacobian.ops.families import gather
from tests.written import texts_of

SIZES = st.integers(1, 4)


@st.composite
def chains(draw: st.DrawFn) -> Jacobian:
    """Weights after a look-up, of some rank, in what a matrix product gives."""
    rows, inner, cols, picked = draw(SIZES), draw(SIZES), draw(SIZES), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    product = Jacobian.einsum("hk->ih|ik", rng.normal(size=(cols, inner)), i=rows)
    if draw(st.booleans()):  # whole rows
        table = rng.integers(0, rows, size=picked)
        axes = [np.broadcast_to(table[:, None], (picked, cols)), np.broadcast_to(np.arange(cols), (picked, cols))]
    else:  # entries of every column, as a sort picks them
        table = rng.integers(0, rows, size=(picked, cols))
        axes = [table, np.broadcast_to(np.arange(cols), (picked, cols))]
    look = gather((picked, cols), (rows, cols), axes)
    spec = draw(st.sampled_from(["nh->|nh", "nh->h|nh", "an->ah|nh", "nh->n|nh"]))
    sizes = {"n": picked, "h": cols, "a": 2}
    weights = rng.normal(size=[sizes[letter] for letter in spec.partition("->")[0]])
    given_sizes = {letter: sizes[letter] for letter in "nh" if letter not in spec.partition("->")[0]}
    return Jacobian.einsum(spec, weights, **given_sizes) @ look @ product


@settings(max_examples=200)
@given(chains(), st.sampled_from([0.0, 2.0]))
def test_the_same_numbers(J: Jacobian, worthwhile: float) -> None:
    expected = np.asarray(J)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WORTHWHILE", worthwhile)
        found = gathered(J, VALUES)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-12, atol=1e-12)


def projected(x: Any, w: Any, c: Any) -> Any:
    return np.sum(c * np.sort(x @ w, axis=0) ** 2)


def test_a_projection_that_is_sorted_is_multiplied_last(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, w, c = rng.normal(size=(60, 3)), rng.normal(size=(3, 30)), rng.normal(size=(60, 1))
    g = jac.jacobian(lambda x: projected(x, w, c))
    expected = np.asarray(g(x))
    (text,) = texts_of(g, x, monkeypatch=monkeypatch)
    assert text.index("write") < text.rindex("dot(")
    np.testing.assert_allclose(np.asarray(g(x)), expected, rtol=1e-12)


def test_few_look_ups_stay_as_they_are() -> None:
    J = Jacobian.einsum("n->|n", np.ones(2)) @ gather((2,), (500,), [np.array([3, 400])])
    assert gathered(J, VALUES) is J
