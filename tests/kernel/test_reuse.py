"""What a program left in memory that is used again is never seen by its next run."""

import numpy as np
import pytest
from hypothesis import given, settings

from jacobian.kernel import code, lower
from jacobian.kernel.code import Code
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.reuse import Reused
from tests.kernel.strategies import EFFORT, jacobians, selecting
from tests.kernel.test_buffers import interrupted


@settings(max_examples=800 * EFFORT)  # a few of a hundred have terms that add in places known beforehand
@given(jacobians())
def test_nothing_is_left_of_the_last_run(J: Jacobian) -> None:
    if J.dtype.kind != "f":
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code, "WORTHWHILE", 1)
        patch.setattr(code, "FILLED", 1)
        writing = Code(reused={})
        found = [lower.given(lower.kind_of(term), f"x{k}") for k, term in enumerate(J.terms)]
        names = [name for _, group in found for name in group]
        result = str(lower.write_tensor(writing, [term for term, _ in found], J.shape, J.dtype))
        program = writing.compile(writing.text(names, [result]))
    numbers = [number for term in J.terms for number in lower.numbers_of(term)]
    # Beside a guard nothing may be infinite, or NaN.
    spoiled = [np.full_like(x, 1e90) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in numbers]
    [memory] = writing.memories([result])
    for given_numbers in (spoiled, numbers, spoiled, numbers):
        array = program(*given_numbers)
        array = array if memory is None else memory.lend(array)
        if given_numbers is numbers:
            np.testing.assert_allclose(array, J.tensor(), rtol=1e-12, atol=1e-12)
        del array


def placed(J: Jacobian) -> Reused:
    """The memory of the result of a program for a Jacobian."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code, "WORTHWHILE", 1)
        patch.setattr(code, "FILLED", 1)
        writing = Code(reused={})
        found = [lower.given(lower.kind_of(term), f"x{k}")[0] for k, term in enumerate(J.terms)]
        [memory] = writing.memories([str(lower.write_tensor(writing, found, J.shape, J.dtype))])
    assert memory is not None
    return memory


def test_what_is_overwritten_before_something_is_added_is_not_set_to_zero() -> None:
    diagonal = Jacobian.einsum("i->i|i", np.arange(1.0, 5.0))
    assert not placed(diagonal + diagonal).zeroed


def test_what_is_only_added_to_is_set_to_zero_once() -> None:
    straight, mirrored = selecting((4,), slice(None)), selecting((4,), slice(None, None, -1))
    assert len(placed(straight + mirrored + mirrored).zeroed) == 1


def test_diagonals_beside_each_other_are_overwritten() -> None:
    first, second, third = (selecting((6, 5), (slice(k, 4 + k), slice(k, 3 + k))) for k in range(3))
    assert not placed(first + second + third).zeroed


def test_nothing_is_set_to_zero_where_a_term_overwrites_everything() -> None:
    everywhere = Jacobian.einsum("i,j->i|j", np.ones(3), np.ones(3))
    assert not placed(everywhere + Jacobian.identity((3,))).zeroed


def test_an_interrupt_while_an_array_is_lent():
    memory, held = Reused(np.zeros, (3,), np.dtype(float)), []
    moment = 1
    while interrupted(moment, lambda: held.append(memory.lend(memory.fresh()))):
        moment += 1
    assert moment > 5
    assert held
