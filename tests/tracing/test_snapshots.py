"""Large arrays are compared with their last copy instead of being copied again."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian import replay
from jacobian.tracing import snapshots
from jacobian.tracing.snapshots import comparison, kept_snapshot, unchanged


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "_KEPT", {})


def test_the_same_copy_as_long_as_nothing_changes() -> None:
    array = np.arange(200_000.0)
    first = kept_snapshot(array)
    assert kept_snapshot(array) is first
    assert not first.flags.writeable
    array[199_999] = -1
    second = kept_snapshot(array)
    assert second is not first
    assert second[199_999] == -1
    assert first[199_999] == 199_999


@pytest.mark.parametrize("shape", [(10,), (200_000,), (400, 500), (2, 1000, 100)])
@pytest.mark.parametrize("with_memcmp", [True, False])
@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_every_bit_counts(shape: tuple[int, ...], with_memcmp: bool, order: str, monkeypatch: Any) -> None:
    if not with_memcmp:
        monkeypatch.setattr(snapshots, "_memcmp", lambda: None)

    def laid_out(array: np.ndarray) -> np.ndarray:
        return np.repeat(array, 2, axis=-1)[..., ::2] if order == "strided" else np.array(array, order=order)

    zeros = np.zeros(shape)
    read_only = zeros.copy()[...]
    read_only.flags.writeable = False
    for array in (zeros, read_only):
        assert comparison(zeros)(array)
        assert not comparison(zeros + 1)(array)
    assert unchanged(zeros, laid_out(zeros))
    assert not unchanged(zeros, laid_out(-zeros))
    nan = np.full(shape, np.nan)
    assert unchanged(nan, laid_out(nan))
    assert not unchanged(zeros, laid_out(zeros).astype(np.float32))
    assert not unchanged(zeros, laid_out(zeros)[..., :-1])
    assert not comparison(zeros)(laid_out(zeros).astype(np.float32))
    assert not comparison(zeros)(laid_out(zeros)[..., :-1])
    for place in (0, -1):
        array = zeros.copy()
        array.reshape(-1)[place] = 5e-324
        assert not unchanged(zeros, laid_out(array))
        assert not comparison(zeros)(laid_out(array))
        assert comparison(array)(laid_out(array))


def test_a_transposed_array_is_kept_as_well() -> None:
    array = np.arange(200_000.0).reshape(400, 500).T
    assert kept_snapshot(array) is kept_snapshot(array)
    array[3, 4] = -1
    assert kept_snapshot(array)[3, 4] == -1


def test_a_copy_goes_with_its_array() -> None:
    array = np.zeros(200_000)
    kept_snapshot(array)
    assert len(snapshots._KEPT) == 1
    del array
    gc.collect()
    assert not snapshots._KEPT


def test_only_so_much_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "MOST", 4_000_000)
    arrays = [np.full(200_000, float(k)) for k in range(5)]
    for array in arrays:
        kept_snapshot(array)
    assert set(snapshots._KEPT) == {id(array) for array in arrays[-2:]}


def test_smaller_arrays_are_copied() -> None:
    kept_snapshot(np.zeros(10))
    kept_snapshot(np.zeros(20_000))
    assert not snapshots._KEPT


def test_a_jacobian_does_not_change_with_a_large_captured_array() -> None:
    W = np.ones((2000, 100))
    g = jac.jacobian(lambda x: W @ x)
    first = g(np.zeros(100))
    W[3, 4] = 7
    second = g(np.zeros(100))
    W[3, 4] = 8
    assert first[3, 4] == 1
    assert second[3, 4] == 7
    assert g(np.zeros(100))[3, 4] == 8


def test_a_captured_array_that_the_function_itself_changes() -> None:
    W = np.ones(200_000)

    def f(x: np.ndarray) -> np.ndarray:
        W[:] = 1
        y = np.sum(W * x)
        W[5] = 3
        return y + np.sum(W * x)

    for _ in range(4):
        J = np.asarray(jac.jacobian(f)(np.zeros(200_000)))
        assert J[5] == 4
        assert J[6] == 2


@pytest.mark.usefixtures("no_scripts")
def test_a_script_holds_the_copy_that_it_is_compared_with() -> None:
    W, x = np.ones((50, 50)), np.zeros(50)
    g = jac.jacobian(lambda x: np.tanh(W @ x))
    for _ in range(3):
        np.asarray(g(x))
    ((script,),) = [kind.scripts for kind in replay.SCRIPTS]
    _, copy, _ = snapshots._KEPT[id(W)]
    assert any(value is copy for value in script.program.__globals__.values())  # type: ignore[attr-defined]
    W[3, 4] = 5
    assert np.asarray(g(x))[3, 4] == 5
    assert copy[3, 4] == 1
