"""Short buffers end with their block, and change no number."""

from __future__ import annotations

import numpy as np
import pytest

from jacobian.kernel.buffers import ENTRIES, ShortBuffers

NEW = tuple(map(int, np.__version__.split(".")[:2])) >= (2, 3)


def test_buffers_are_short_inside_only():
    before = np.getbufsize(), np.geterr()
    with ShortBuffers(divide="raise"):
        inside = np.getbufsize(), np.geterr()["divide"]
    assert inside == (ENTRIES if NEW else before[0], "raise")
    assert (np.getbufsize(), np.geterr()) == before


def test_an_error_ends_them_too():
    before = np.getbufsize(), np.geterr()
    with pytest.raises(FloatingPointError), ShortBuffers(divide="raise"):
        np.divide(np.ones(3), 0.0)
    assert (np.getbufsize(), np.geterr()) == before


def test_products_are_the_same_to_the_bit():
    rng = np.random.default_rng(0)
    rows, cols = rng.normal(size=(300, 1)), rng.normal(size=700)
    expected = rows * cols + rows[::-1]
    with ShortBuffers():
        assert np.array_equal(rows * cols + rows[::-1], expected)
