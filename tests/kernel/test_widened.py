"""Operands of large products are written out where that is worth it, which changes no number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jacobian.kernel import pairwise
from jacobian.kernel.code import Code, Symbol
from jacobian.kernel.pairwise import Named, product

WRITTEN = "broadcast_to"


def written(a: Any, b: Any, shape: Any) -> tuple[str, np.ndarray]:
    """The program for a product, whose operands have axes of size 1 where they carry none; what it gives, checked."""
    rng = np.random.default_rng(0)
    code, arrays, named = Code(), [], []
    for name, own in (("a", a), ("b", b)):
        array = rng.normal(size=[size for size in own if size > 1][::-1]).T
        labels = tuple(axis for axis, size in enumerate(own) if size > 1)
        arrays.append(array)
        named.append(Named(Symbol(name, array.shape, rough=True), labels))
    out = tuple(range(len(shape)))
    result = product(code, *named, out, dict(enumerate(shape)), None)
    text = code.text(["a", "b"], [str(result.symbol)])
    found = code.compile(text)(*arrays)
    np.testing.assert_array_equal(found, arrays[0].reshape(a) * arrays[1].reshape(b))
    return text, found


@pytest.mark.parametrize(
    ("a", "b", "shape", "copies"),
    [
        pytest.param((30, 1, 30, 1), (1, 30, 1, 30), (30, 30, 30, 30), 2, id="both, over two axes"),
        pytest.param((50, 1, 8, 1), (1, 50, 1, 8), (50, 50, 8, 8), 2, id="both, where three axes would be too many"),
        pytest.param((12, 24, 24, 1), (12, 1, 1, 24), (12, 24, 24, 24), 1, id="the last axis, where both are too many"),
        pytest.param((8, 8, 50, 1), (8, 1, 1, 100), (8, 8, 50, 100), 0, id="not one alone of long rows"),
        pytest.param((4, 1, 50, 1), (1, 4, 1, 100), (4, 4, 50, 100), 0, id="nothing for few uses"),
        pytest.param((10, 1, 10, 1), (1, 10, 1, 10), (10, 10, 10, 10), 0, id="nothing of small ones"),
    ],
)  # fmt: skip
def test_which_are_written_out(a: Any, b: Any, shape: Any, copies: int) -> None:
    assert written(a, b, shape)[0].count(WRITTEN) == copies


def test_long_rows_that_are_transposed_are_made_contiguous() -> None:
    text, _ = written((20, 1, 300), (1, 20, 300), (20, 20, 300))
    assert text.count("ascontiguousarray") + text.count(WRITTEN) == 2


@pytest.mark.parametrize("cheap", [0, 1, 8, 100])
def test_numbers_are_the_same_whatever_is_cheap(cheap: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairwise, "WIDE", 1)
    monkeypatch.setattr(pairwise, "CHEAP", cheap)
    for a, b in (((3, 1, 5, 1), (1, 4, 1, 6)), ((3, 4, 5, 1), (3, 1, 1, 6)), ((3, 4, 1, 1), (1, 1, 5, 6))):
        written(a, b, (3, 4, 5, 6))
