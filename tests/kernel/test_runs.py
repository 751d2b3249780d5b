"""Look-ups that count evenly for long are slices; whatever is looked up, the numbers are those of the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from jacobian.kernel.arithmetic import Written
from jacobian.kernel.code import Code
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.runs import FEW, in_runs

from .strategies import dense_of, examples, jacobians, selecting, taking

EVEN = [
    np.roll(np.arange(6), 2), np.roll(np.arange(6), 1)[::-1], np.array([0, 0, 0, 1, 2, 3, 4, 5, 5, 5]),
    np.array([4]), np.array([5, 2, 1, 0]), np.array([2, 2, 2]), np.array([], int), np.arange(6)[1::3],
]  # fmt: skip


def program(J: Jacobian) -> tuple[str, np.ndarray]:
    """The program that knows all of a Jacobian's arrays beforehand, and what it gives."""
    code = Code()
    text = code.text([], [str(Written(code).tensor(J))])
    return text, np.asarray(code.compile(text)())


@given(jacobians())
@examples(400)
def test_with_tables_known_beforehand_the_definition_is_followed(J: Jacobian) -> None:
    np.testing.assert_allclose(program(J)[1], dense_of(J), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("table", EVEN, ids=str)
def test_slices_are_written(table: np.ndarray) -> None:
    weights = np.arange(1.0, len(table) + 1)
    for J in (taking((6,), 0, table), Jacobian.einsum("i->i|i", weights) @ taking((6,), 0, table)):
        for one in (J, J.T, J @ selecting((9,), slice(1, 7)), taking((len(table),), 0, np.arange(len(table))) @ J):
            text, found = program(one)
            assert "write" not in text
            np.testing.assert_array_equal(found, dense_of(one))


def test_rolled_along_every_axis() -> None:
    J = taking((4, 5), 0, np.roll(np.arange(4), 1)) @ taking((4, 5), 1, np.roll(np.arange(5), -2))
    text, found = program(J)
    assert text.count("ndarray(") == 4
    np.testing.assert_array_equal(found, dense_of(J))


def test_as_many_slices_as_are_worth_it() -> None:
    few, many = np.arange(2 * FEW).reshape(2, FEW).T.ravel(), np.random.default_rng(0).permutation(40)
    assert in_runs(taking((8,), 0, few).terms[0].pattern, [few]) is not None
    assert in_runs(taking((40,), 0, many).terms[0].pattern, [many]) is None
    assert "write" in program(taking((40,), 0, many))[0]


def test_a_table_along_two_indices_is_looked_up() -> None:
    table = np.array([[0, 1], [2, 3]])
    assert in_runs(taking((4,), 0, table).terms[0].pattern, [table]) is None


@pytest.mark.parametrize("count", [9, 2000])
def test_many_entries_added_to_few_places_and_to_many(count: int) -> None:
    rng = np.random.default_rng(1)
    table = rng.integers(0, count, (20, 7))
    J = Jacobian.einsum("ij->|ij", rng.normal(size=(20, 7))) @ taking((count,), 0, table)
    np.testing.assert_allclose(program(J)[1], dense_of(J), rtol=1e-12, atol=1e-12)
