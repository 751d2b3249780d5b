"""What is drawn is what is there: cells against the full tensor, structure against the terms, over many Jacobians."""

import warnings

import numpy as np
import pytest

import jacobian as jac
from jacobian.display import raster as module
from jacobian.display.edges import index_vectors, part, shown
from jacobian.display.raster import block_of, raster
from jacobian.display.reach import boxes

RNG = np.random.default_rng(0)
W = RNG.normal(size=(4, 3))

FUNCTIONS = {
    "matmul": (lambda X: X @ W, RNG.normal(size=(6, 4))),
    "elementwise": (np.tanh, RNG.normal(size=24)),
    "gram": (lambda X: X @ X.T, RNG.normal(size=(4, 5))),
    "rolled": (lambda x: np.roll(x, 3) - 2 * x * x[::-1], RNG.normal(size=23)),
    "running sum": (np.cumsum, RNG.normal(size=20)),
    "sorted": (np.sort, RNG.normal(size=21)),
    "gathered": (lambda x: x[np.array([3, 3, 0, 7])] ** 2, RNG.normal(size=9)),
    "convolved": (lambda x: np.convolve(x, np.array([1.0, 2.0, 3.0])), RNG.normal(size=17)),
    "triangle": (np.triu, RNG.normal(size=(4, 4))),
    "banded": (lambda A: np.triu(np.tril(A, 1), -1) @ A, RNG.normal(size=(4, 4))),
    "total": (np.sum, RNG.normal(size=(3, 4))),
    "spread": (lambda x: x * np.arange(12.0).reshape(3, 4), np.float64(2.0)),
    "reshaped": (lambda X: X.reshape(3, 8).T * 2, RNG.normal(size=(4, 6))),
    "strided": (lambda x: x[1::3] * x[:-1:3], RNG.normal(size=19)),
    "complex": (lambda x: np.fft.fft(x), RNG.normal(size=8)),
    "inverse": (np.linalg.inv, RNG.normal(size=(3, 3)) + 3 * np.eye(3)),
    "concatenated": (lambda x: np.concatenate([x, np.zeros(4), x[:2] ** 2]), RNG.normal(size=6)),
    "float32": (lambda x: np.exp(x), RNG.normal(size=5).astype(np.float32)),
}


def jacobian_of(name: str) -> jac.Jacobian:
    f, x = FUNCTIONS[name]
    return jac.jacobian(f)(x)


def structural(J: jac.Jacobian) -> np.ndarray:
    return module._mask(J)


def greatest(matrix: np.ndarray, entries: tuple[int, int], grid: tuple[int, int]) -> np.ndarray:
    """The greatest magnitude in every block, by hand."""
    found = np.zeros(grid)
    for r in range(grid[0]):
        for c in range(grid[1]):
            rows = slice(r * entries[0], (r + 1) * entries[0])
            block = np.abs(matrix[rows, c * entries[1] : (c + 1) * entries[1]])
            found[r, c] = block.max(initial=0)
    return found


@pytest.mark.parametrize("cells", [100, 7, 3, 1])
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("way", ["dense", "listed"])
def test_cells_show_the_entry_of_greatest_magnitude(
    name: str, cells: int, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    J = jacobian_of(name)
    monkeypatch.setattr(module, "DENSE_ENTRIES", 10**6 if way == "dense" else -1)
    found = raster(J, cells)
    assert max(found.values.shape) <= cells
    matrix = J.matrix()
    assert np.allclose(np.abs(found.values), greatest(matrix, found.entries, found.values.shape), rtol=1e-6)
    assert np.array_equal(found.reached, greatest(structural(J), found.entries, found.values.shape) > 0)
    assert found.known.all()
    assert found.summary is not None
    assert found.summary.whole
    if not found.pooled:
        assert np.allclose(found.values, matrix, rtol=1e-6)
    if J.dtype.kind == "f":
        reached = matrix[structural(J)]
        assert np.allclose([found.summary.low, found.summary.high], [reached.min(), reached.max()], rtol=1e-6)


@pytest.mark.parametrize("cells", [100, 7, 3, 1])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_sample_never_leaves_out_what_may_be_there(name: str, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    J = jacobian_of(name)
    monkeypatch.setattr(module, "DENSE_ENTRIES", -1)
    monkeypatch.setattr(module, "LISTED_ENTRIES", -1)
    found = raster(J, cells)
    truth = greatest(structural(J), found.entries, found.values.shape) > 0
    assert not (truth & ~found.reached).any()
    matrix = J.matrix()
    for r, c in np.argwhere(found.values != 0):
        rows = slice(r * found.entries[0], (r + 1) * found.entries[0])
        block = matrix[rows, c * found.entries[1] : (c + 1) * found.entries[1]]
        assert np.isclose(block, found.values[r, c], rtol=1e-6).any()
    assert (found.values[found.reached & ~found.known] == 0).all()
    if cells == 100:  # a cell is an entry: nothing is left to be rough about
        for term in J.terms:
            assert not (boxes(term, found.values.shape, found.entries)[0] & ~truth).any() or name in (
                "banded",
                "sorted",
            )


def test_a_sample_finds_a_value_in_every_cell_of_a_batch() -> None:
    X, W1, W2 = RNG.normal(size=(4096, 64)), RNG.normal(size=(64, 128)), RNG.normal(size=(128, 32))
    J = jac.jacobian(lambda X: np.tanh(X @ W1) @ W2)(X)
    found = raster(J, 64)
    assert found.entries == (64 * 32, 64 * 64)
    assert np.array_equal(found.reached, np.eye(64, dtype=bool))
    assert np.array_equal(found.values != 0, np.eye(64, dtype=bool))
    assert np.isclose(J[320:384, :, 320:384, :], found.values[5, 5]).any()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_some_rows_and_columns_are_those_of_the_matrix(name: str) -> None:
    J = jacobian_of(name)
    matrix = J.matrix()
    rows, cols = shown(matrix.shape[0], 4), shown(matrix.shape[1], 4)
    rows, cols = ([k for k in side if k >= 0] for side in (rows, cols))
    found = part(J, rows, cols, 10**9)
    assert found is not None
    assert np.allclose(found.values, matrix[np.ix_(rows, cols)], rtol=1e-6)
    assert np.array_equal(found.reached, structural(J)[np.ix_(rows, cols)])


def test_what_would_cost_much_is_not_computed() -> None:
    D = RNG.normal(size=(300, 300))
    J = jac.jacobian(lambda x: D @ np.tanh(D @ x))(RNG.normal(size=300))
    assert part(J, [0, 1], [0, 1], 100) is None
    assert part(J, [0, 1], [0, 1], 10**6) is not None


def test_nan_wins_and_infinity_is_counted() -> None:
    values = np.array([1.0, np.nan, -np.inf, 2.0])
    J = jac.Jacobian.einsum("i->i|i", values)
    found = raster(J, 1)
    assert np.isnan(found.values).all()
    assert found.summary == (1.0, 2.0, 1, 1, True)


def test_entries_that_share_a_place_are_added() -> None:
    J = jac.Jacobian.einsum("i->i|i", np.ones(300)) - jac.Jacobian.einsum("i->i|i", np.ones(300) * 3)
    assert (np.diag(raster(J, 300).values) == -2).all()


def test_whole_blocks_of_inner_axes_share_a_cell() -> None:
    assert block_of((100, 100), 106) == 100
    assert block_of((4, 4), 100) == 1
    assert block_of((10_000,), 100) == 100
    assert block_of((4096, 32), 64) == 2048


def test_index_vectors() -> None:
    assert index_vectors([0, 5], (2, 3)) == [(0, 0), (1, 2)]
    assert index_vectors([0], ()) == [()]


def test_traced_numbers_are_left_alone() -> None:
    seen: list[str] = []

    def f(x: np.ndarray) -> np.ndarray:
        J = jac.jacobian(lambda x: np.sum(x**3))(x)
        seen.append(repr(J))
        return J @ np.ones(2)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        jac.jacobian(f)(np.ones(2))
    assert all("\n" not in text for text in seen if "x" in text)


def test_axes_that_are_none_of_matplotlibs_are_refused() -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(jac.errors.ArgumentError) as error:
        jac.jacobian(np.sin)(np.ones(3)).plot(ax=3)
    assert str(error.value) == ("J.plot: ax= takes matplotlib's axes\n  got:   int\n  fix:   fig, ax = plt.subplots()")
