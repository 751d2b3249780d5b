"""Random programs called again and again with other numbers: what a call gives is what a first call gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jacobian as jac
from jacobian import programs, replay
from jacobian.kernel import code
from jacobian.programs import Memory
from jacobian.tracing import snapshots
from jacobian.tracing.tree import leaves
from tests import test_programs
from tests.test_large import THRESHOLDS, forget
from tests.test_programs import LIMIT, QUICK, SHAPES, Step

NEVER_PLAYED = ("matrix", "tensordot", "windows")
STEPS: dict[str, Step] = {
    **{name: step for name, step in test_programs.STEPS.items() if name not in NEVER_PLAYED},
    "sort": lambda x, y: np.sort(x, axis=-1) if x.ndim else x,
}
REUSED: list[tuple[Any, str, int]] = [
    (programs, "SMALL_RESULT", 0), (code, "WORTHWHILE", 1), (code, "FILLED", 1)
]  # fmt: skip
BORROWED: list[tuple[Any, str, int]] = [
    (programs, "SMALL_RESULT", 12), (snapshots, "BORROWED", 104), (snapshots, "CAPTURED", 104)
]  # fmt: skip
AT_ONCE: list[tuple[Any, str, int]] = [
    (programs, "SMALL_RESULT", 2**20), (code, "WORTHWHILE", 1), (code, "FILLED", 1), (snapshots, "BORROWED", 104),
    (snapshots, "CAPTURED", 104)
]  # fmt: skip

Function = Callable[..., Any]
Given = Callable[[np.ndarray], None]


def function(names: list[str], returned: str) -> tuple[Function, Given]:
    """A function of two arrays and a number that reads a variable around it, and what gives that another value."""
    steps = [STEPS[name] for name in names]
    weight = np.ones(())

    def f(x: Any, y: Any, t: float) -> Any:
        before, value = y, x * weight
        for step in steps:
            after = step(value, before)
            if after.size <= LIMIT and after.ndim <= 4:
                before, value = value, after
        if returned == "one":
            return value * t
        return {"last": value, "first": x, "before": before * t} if returned == "several" else x

    def give(array: np.ndarray) -> None:
        nonlocal weight
        weight = array

    return f, give


@contextmanager
def first_time() -> Iterator[None]:
    """Nothing is remembered inside, and what was is remembered afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replay, "SCRIPTS", Memory(replay.Kind, replay.REMEMBERED))
        patch.setattr(programs, "PROGRAMS", Memory(programs.Program, programs.REMEMBERED))
        yield


@contextmanager
def thresholds(values: list[tuple[Any, str, int]]) -> Iterator[None]:
    with first_time(), pytest.MonkeyPatch.context() as patch:
        for module, name, value in values:
            patch.setattr(module, name, value)
        forget()
        yield
    forget()


def assert_close(found: Any, expected: Any) -> None:
    found, expected = np.asarray(found), np.asarray(expected)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 * (1 + np.max(np.abs(expected), initial=0)))


Held = list[tuple[Any, np.ndarray]]
"""Jacobians and arrays, with the numbers they have to keep."""


def compared(f: Function, give: Given, argnums: Any, order: str, rng: np.random.Generator, shape: Any) -> None:
    """Call it again and again; whatever is held keeps its numbers."""
    g, plain = jac.value_and_jacobian(f, argnums, order), jac.value_and_jacobian(f, argnums, order)
    held: Held = []
    x, y, weight = (np.array(rng.normal(size=shape)) for _ in range(3))
    for turn in range(7):
        for array in (x, y, weight):
            array[...] = rng.normal(size=shape)
        give(weight if turn % 3 else weight.copy())
        found = compared_once(g, plain, (x, y.copy(order="F"), float(rng.normal())), rng)
        held += found if turn in (1, 3) else []  # the memory of the others can be used again
        del found
    for one, expected in held:
        assert_close(one, expected)


def compared_once(g: Function, plain: Function, args: tuple[Any, ...], rng: np.random.Generator) -> Held:
    """Compare with a first call."""
    found = g(*args)
    with first_time():
        expected = plain(*args)
    for one, other in zip(leaves(found[0]), leaves(expected[0]), strict=True):
        assert_close(one, other)
    held: Held = []
    for J, other in zip(leaves(found[1]), leaves(expected[1]), strict=True):
        numbers = np.array(other)
        assert_close(J, numbers)
        held += [(J, numbers), (np.asarray(J).T, numbers.T)]
        if rng.random() < 0.2:
            dx = rng.normal(size=J.in_shape)
            assert_close(J @ dx, other @ dx)
            assert J.explain()
    return held


@pytest.mark.filterwarnings("ignore::jacobian.errors.KinkWarning")
@settings(QUICK, max_examples=120)
@given(
    st.lists(st.sampled_from(sorted(STEPS)), max_size=6), st.sampled_from(["one", "several", "an input"]), SHAPES,
    st.sampled_from([0, 1, (0, 1), (1, 0)]), st.sampled_from(["auto", "auto", "forward", "reverse"]),
    st.sampled_from([[], REUSED, BORROWED, AT_ONCE, THRESHOLDS, THRESHOLDS + REUSED]), st.integers(0, 2**32),
)  # fmt: skip
def test_every_call_gives_what_a_first_call_gives(
    names: list[str], returned: str, shape: tuple[int, ...], argnums: Any, order: str, values: Any, seed: int
) -> None:
    with thresholds(values):
        compared(*function(names, returned), argnums, order, np.random.default_rng(seed), shape)


@pytest.mark.filterwarnings("ignore::jacobian.errors.KinkWarning")
@pytest.mark.parametrize("returned", ["one", "several", "an input"])
def test_these_functions_are_played(returned: str) -> None:
    with thresholds([]):
        f, give = function(sorted(STEPS), returned)
        compared(f, give, (0, 1), "auto", np.random.default_rng(0), (2, 3))
        assert sum(kind.plays for kind in replay.SCRIPTS) > 1
