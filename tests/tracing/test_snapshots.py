"""Large arrays are compared with their last copy instead of being copied again."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import jacobian as jac
from jacobian.tracing import snapshots
from jacobian.tracing.snapshots import kept_snapshot, same_entries


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "_KEPT", {})


def test_the_same_copy_as_long_as_nothing_changes() -> None:
    array = np.arange(20_000.0)
    first = kept_snapshot(array)
    assert kept_snapshot(array) is first
    assert not first.flags.writeable
    array[19_999] = -1
    second = kept_snapshot(array)
    assert second is not first
    assert second[19_999] == -1
    assert first[19_999] == 19_999


def test_every_bit_counts() -> None:
    zeros = np.zeros(20_000)
    assert not same_entries(zeros, -zeros)
    nan = np.full(20_000, np.nan)
    assert same_entries(nan, nan.copy())
    assert not same_entries(np.zeros(4), np.zeros(4, np.float32))
    assert not same_entries(np.zeros((4, 3)), np.zeros((3, 4)).T)


def test_a_copy_goes_with_its_array() -> None:
    array = np.zeros(20_000)
    kept_snapshot(array)
    assert len(snapshots._KEPT) == 1
    del array
    gc.collect()
    assert not snapshots._KEPT


def test_only_so_much_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "MOST", 400_000)
    arrays = [np.full(20_000, float(k)) for k in range(5)]
    for array in arrays:
        kept_snapshot(array)
    assert set(snapshots._KEPT) == {id(array) for array in arrays[-2:]}


def test_small_and_transposed_arrays_are_copied() -> None:
    kept_snapshot(np.zeros(10))
    kept_snapshot(np.zeros((200, 100)).T)
    assert not snapshots._KEPT


def test_a_jacobian_does_not_change_with_a_large_captured_array() -> None:
    W = np.ones((200, 100))
    g = jac.jacobian(lambda x: W @ x)
    first = g(np.zeros(100))
    W[3, 4] = 7
    second = g(np.zeros(100))
    W[3, 4] = 8
    assert first[3, 4] == 1
    assert second[3, 4] == 7
    assert g(np.zeros(100))[3, 4] == 8


def test_a_captured_array_that_the_function_itself_changes() -> None:
    W = np.ones(20_000)

    def f(x: np.ndarray) -> np.ndarray:
        W[:] = 1
        y = np.sum(W * x)
        W[5] = 3
        return y + np.sum(W * x)

    for _ in range(4):
        J = np.asarray(jac.jacobian(f)(np.zeros(20_000)))
        assert J[5] == 4
        assert J[6] == 2
