"""Guards in programs are arrays beside the factors, or running sums: the numbers are those of the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given

from jacobian.kernel import lower, masks
from jacobian.kernel.access import affine, plain
from jacobian.kernel.code import Code, OtherwiseError
from jacobian.kernel.effort import CALL, effort
from jacobian.kernel.equations import Guard
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Access, Pattern
from jacobian.kernel.term import Factor, Term
from tests.kernel.strategies import dense_of, examples, jacobians

rng = np.random.default_rng(0)


def written(J: Jacobian, *, runs_often: bool = True) -> tuple[Code, str, str]:
    """The program that makes a Jacobian's tensor, its text, and what it returns."""
    code = Code(reused={} if runs_often else None)
    found = [lower.given(lower.kind_of(term), f"x{k}") for k, term in enumerate(J.terms)]
    result = str(lower.write_tensor(code, [term for term, _ in found], J.shape, J.dtype))
    return code, code.text([name for _, group in found for name in group], [result]), result


def run(J: Jacobian) -> tuple[np.ndarray, str]:
    """What the program gives, and its text."""
    code, text, _ = written(J)
    return code.compile(text)(*(number for term in J.terms for number in lower.numbers_of(term))), text


def summed(size: int, guard: Guard, array: np.ndarray) -> Jacobian:
    """`Σ_k array[j, k] · guard(i, k)`, where i and k have the same size."""
    accesses = (Access((plain(1), plain(2)), array.shape),)
    pattern = Pattern((size, len(array), size), (plain(0),), (plain(1),), (size,), (len(array),), accesses, (guard,))
    return Jacobian([Term(pattern, (Factor(array),))], (size,), (len(array),))


@pytest.mark.parametrize("small", [masks.SMALL, 0])
@examples(300)
@given(jacobians())
def test_a_program_follows_the_definition(small: int, J: Jacobian) -> None:
    assume(J.dtype.kind == "f" and any(term.pattern.guards for term in J.terms))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(masks, "SMALL", small)
        np.testing.assert_allclose(run(J)[0], dense_of(J), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("small", [masks.SMALL, 0])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("offset", [-1, 0, 2])
@pytest.mark.parametrize("extent", [1, 3, 7, 20])
def test_a_guard_of_any_width(small: int, sign: int, offset: int, extent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masks, "SMALL", small)
    J = summed(7, Guard(affine(offset, [(0, sign), (2, -sign)]), extent), rng.normal(size=(4, 7)))
    np.testing.assert_allclose(run(J)[0], dense_of(J), atol=1e-12)


RUNNING = {
    "up to one": Guard(affine(0, [(0, 1), (2, -1)]), 200),
    "from one on": Guard(affine(0, [(2, 1), (0, -1)]), 200),
    "from the other end": Guard(affine(0, [(0, -1), (2, -1)])._replace(offset=199), 200),
    "from the other end on": Guard(affine(-199, [(0, 1), (2, 1)]), 200),
}


@pytest.mark.parametrize("name", RUNNING)
def test_a_long_running_sum_is_a_line(name: str) -> None:
    J = summed(200, RUNNING[name], rng.normal(size=(4, 200)))
    found, text = run(J)
    assert "add.accumulate" in text
    assert "contract" not in text
    np.testing.assert_allclose(found, dense_of(J), atol=1e-12)


@pytest.mark.parametrize("name", RUNNING)
def test_a_running_sum_of_ones(name: str) -> None:
    guard = RUNNING[name]
    pattern = Pattern((200, 5, 200), (plain(0),), (plain(1),), (200,), (5,), (), (guard,))
    J = Jacobian([Term(pattern)], (200,), (5,))
    found, text = run(J)
    assert "add.accumulate" in text
    np.testing.assert_array_equal(found, dense_of(J))


def test_what_is_long_and_no_running_sum_is_called_and_counts_as_a_call() -> None:
    J = summed(200, Guard(affine(0, [(0, 1), (2, -1)]), 3), rng.normal(size=(4, 200)))
    found, text = run(J)
    assert "contract" in text
    np.testing.assert_allclose(found, dense_of(J), atol=1e-12)
    code, _, result = written(J)
    assert effort(code, [result]) >= CALL


def test_one_array_serves_for_equal_guards() -> None:
    J = summed(5, Guard(affine(0, [(0, 1), (2, -1)]), 5), rng.normal(size=(3, 5)))
    code, _, _ = written(J + 2 * J)
    assert sum(isinstance(value, np.ndarray) and value.shape == (5, 5) for value in code.constants.values()) == 1


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_zero_times_infinity_is_not_taken_for_a_number(bad: float) -> None:
    array = np.ones((3, 5))
    array[1, 4] = bad  # only the last sum has it
    J = summed(5, Guard(affine(0, [(0, 1), (2, -1)]), 5), array)
    with pytest.raises(OtherwiseError):
        run(J)
    tensor = J.tensor()
    assert np.isfinite(tensor[:4]).all()
    np.testing.assert_array_equal(tensor[4], [5, 4 + bad, 5])


def test_a_program_that_nobody_goes_another_way_for_has_no_masks() -> None:
    J = summed(5, Guard(affine(0, [(0, 1), (2, -1)]), 5), np.ones((3, 5)))
    _, text, _ = written(J, runs_often=False)
    assert "contract" in text
