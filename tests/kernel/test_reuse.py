"""What a program left in memory that is used again is never seen by its next run."""

import numpy as np
import pytest
from hypothesis import given, settings

from jacobian.kernel import code, lower
from jacobian.kernel.code import Code
from jacobian.kernel.expression import Jacobian
from tests.kernel.strategies import EFFORT, jacobians


@settings(max_examples=800 * EFFORT)  # a few of a hundred have terms that add in places known beforehand
@given(jacobians())
def test_nothing_is_left_of_the_last_run(J: Jacobian) -> None:
    if J.dtype.kind != "f":
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code, "WORTHWHILE", 1)
        writing = Code(reused={})
        found = [lower.given(lower.kind_of(term), f"x{k}") for k, term in enumerate(J.terms)]
        names = [name for _, group in found for name in group]
        result = str(lower.write_tensor(writing, [term for term, _ in found], J.shape, J.dtype))
        program = writing.compile(writing.text(names, [result]))
    numbers = [number for term in J.terms for number in lower.numbers_of(term)]
    spoiled = [x * np.nan if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in numbers]
    [memory] = writing.memories([result])
    for given_numbers in (spoiled, numbers, spoiled, numbers):
        array = program(*given_numbers)
        array = array if memory is None else memory.lend(array)
        if given_numbers is numbers:
            np.testing.assert_allclose(array, J.tensor(), rtol=1e-12, atol=1e-12)
        del array
