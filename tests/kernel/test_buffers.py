"""Short buffers end with the call, and change no number."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from jacobian.kernel import buffers
from jacobian.kernel.buffers import ENTRIES, with_errors_ignored, with_errors_raised, with_short_buffers

RAISING = {"divide": "raise", "invalid": "raise", "over": "raise"}
NEW = tuple(map(int, np.__version__.split(".")[:2])) >= (2, 3)


def state():
    return np.getbufsize(), np.geterr()


@pytest.fixture(autouse=True)
def as_at_first(monkeypatch):
    """NumPy's own settings are looked for again."""
    for value in list(vars(buffers).values()):
        if isinstance(value, buffers._Settings):
            monkeypatch.setattr(value, "_known", None)


def test_buffers_are_short_inside_only():
    for size in (8192, 1024, 1024, 8192):
        np.setbufsize(size)
        before = state()
        for errors in ({}, {"under": "raise"}, {"under": "raise", "divide": "ignore"}, {"all": "call"}, {}, {}):
            with np.errstate(**errors):
                outside = state()
                expected = ENTRIES if NEW else size
                tolerant = outside[1] | {"invalid": "ignore"}  # NaN is told of in another way
                assert with_short_buffers(state, errors_raised=False) == (expected, tolerant)
                assert with_short_buffers(state) == (expected, outside[1] | RAISING)
                assert with_errors_raised(state) == (size, outside[1] | RAISING)
                assert set(with_errors_ignored(np.geterr).values()) == {"ignore"}
                assert with_errors_ignored(np.getbufsize) == size
                assert state() == outside
        assert state() == before


def test_within_each_other():
    assert with_short_buffers(with_errors_ignored, state) == (
        ENTRIES if NEW else 8192,
        dict.fromkeys(np.geterr(), "ignore"),
    )
    assert with_errors_ignored(with_errors_raised, np.geterr) == dict.fromkeys(np.geterr(), "ignore") | RAISING


@pytest.mark.parametrize("call", [with_short_buffers, with_errors_raised])
def test_an_error_ends_them_too(call):
    before = state()
    with pytest.raises(FloatingPointError):
        call(np.divide, np.ones(3), 0.0)
    assert state() == before


@pytest.mark.parametrize("call", [with_short_buffers, with_errors_raised, with_errors_ignored])
def test_an_interrupt_at_any_moment_leaves_nothing_behind(call):
    before, moments, is_over = state(), 0, False
    while not is_over:
        moments += 1
        is_over = not interrupted(moments, lambda: call(np.add, 1, 2))
        assert state() == before
    assert moments > 10


def interrupted(moment, function):
    """Call a function and interrupt it at the so-manyth call or return; tell whether it came to that."""
    count = 0

    def look(frame, event, argument):
        nonlocal count
        count += 1
        if count == moment:
            sys.setprofile(None)
            raise KeyboardInterrupt

    earlier = sys.getprofile()
    sys.setprofile(look)
    try:
        function()
        sys.setprofile(earlier)
    except KeyboardInterrupt:
        sys.setprofile(earlier)
        return True
    return False


def test_products_are_the_same_to_the_bit():
    rng = np.random.default_rng(0)
    rows, cols = rng.normal(size=(300, 1)), rng.normal(size=700)
    expected = rows * cols + rows[::-1]
    assert np.array_equal(with_short_buffers(lambda: rows * cols + rows[::-1]), expected)
