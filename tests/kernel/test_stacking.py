"""Terms that differ only in arrays and places are one product, which gives the same numbers."""

from collections.abc import Sequence

import numpy as np
import pytest

import jacobian as jac
from jacobian.kernel.access import affine, plain
from jacobian.kernel.code import Code, OtherwiseError, Symbol
from jacobian.kernel.lower import Given, write_tensor
from jacobian.kernel.network import LONG_SUM, write_network
from jacobian.kernel.pattern import Access, Pattern
from jacobian.kernel.places import Named

rng = np.random.default_rng(0)
FLOAT = np.dtype(np.float64)
ROWS, COLS = 3, 128


def scaled_rows(position: int, place: int, read: int) -> Given:
    """Rows of one large matrix from `read` on, each times a number, written to rows from `place` on."""
    pattern = Pattern(
        (ROWS, COLS), (affine(place, {0: 1}),), (plain(1),), (9, ), (COLS,),
        (Access((plain(0),), (ROWS,)), Access((affine(read, {0: 1}), plain(1)), (12, COLS))),
    )  # fmt: skip
    own = Symbol(f"a{position}", (ROWS,), kind=FLOAT)
    return Given(pattern, (own, Symbol("W", (12, COLS), rough=True, kind=FLOAT)), (), "", (False, False))


def written(code: Code, cells: Sequence[tuple[int, int]]) -> tuple[str, list[str]]:
    """The program for such terms, and its arguments."""
    terms = [scaled_rows(k, place, read) for k, (place, read) in enumerate(cells)]
    names = [*(f"a{k}" for k in range(len(cells))), "W"]
    return code.text(names, [str(write_tensor(code, terms, (9, COLS), FLOAT))]), names


def expected(cells: Sequence[tuple[int, int]], scales: np.ndarray, W: np.ndarray) -> np.ndarray:
    """The same, term by term."""
    found = np.zeros((9, COLS))
    for (place, read), scale in zip(cells, scales, strict=True):
        found[place : place + ROWS] += scale[:, None] * W[read : read + ROWS]
    return found


GRID = [(0, 0), (3, 0), (6, 0), (0, 3), (3, 3), (6, 3)]
STACKED = {
    "a whole grid": GRID,
    "in another order": GRID[::-1],
    "places only": [(0, 3), (3, 3), (6, 3)],
    "summed only": [(3, 0), (3, 3), (3, 6), (3, 9)],
    "one is missing": GRID[:-1],
}
ALONE = {
    "places at no regular distances": [(0, 0), (1, 0), (5, 0)],
    "reads at no regular distances": [(0, 0), (0, 2), (0, 9)],
    "most are missing": [(0, 0), (3, 3), (6, 6)],
    "too few": [(0, 0), (3, 0)],
    "places that overlap": [(0, 0), (1, 0), (2, 0)],
}


@pytest.mark.parametrize("name", [*STACKED, *ALONE])
def test_stacked_or_not_the_numbers_are_the_same(name: str) -> None:
    cells = (STACKED | ALONE)[name]
    scales, W = rng.normal(size=(len(cells), ROWS)), rng.normal(size=(12, COLS))
    code = Code(reused={})
    text, _ = written(code, cells)
    np.testing.assert_allclose(code.compile(text)(*scales, W), expected(cells, scales, W), atol=1e-12)


@pytest.mark.parametrize("name", STACKED)
def test_what_fits_together_is_one_term(name: str) -> None:
    text, _ = written(Code(reused={}), STACKED[name])
    assert text.count("multiply(") + text.count("matmul(") == 1


@pytest.mark.parametrize("name", ALONE)
def test_what_does_not_is_left_alone(name: str) -> None:
    text, _ = written(Code(reused={}), ALONE[name])
    assert text.count("multiply(") == len(ALONE[name])


def test_zeros_stand_for_missing_terms_only_where_all_is_finite() -> None:
    cells = GRID[:-1]
    scales, W = rng.normal(size=(5, ROWS)), rng.normal(size=(12, COLS))
    for number in (np.inf, -np.inf, np.nan):
        W[4, 1] = number
        code = Code(reused={})
        program = code.compile(written(code, cells)[0])
        with pytest.raises(OtherwiseError):
            program(*scales, W)
        alone = Code()  # a program that is run whatever the numbers are
        np.testing.assert_array_equal(
            np.isfinite(alone.compile(written(alone, cells)[0])(*scales, W)), np.isfinite(expected(cells, scales, W))
        )


def test_a_recurrence_computes_its_steps_in_one_stack() -> None:
    W, U, X = rng.normal(size=(40, 40)) / 7, rng.normal(size=(40, 30)), rng.normal(size=(6, 30))

    def run(W: np.ndarray, X: np.ndarray) -> np.ndarray:
        h = np.tanh(U @ X[0])
        for x in X[1:]:
            h = np.tanh(W @ h + U @ x)
        return h

    g = jac.jacobian(run, (0, 1))
    first = [np.array(J) for J in g(W, X)]
    for _ in range(3):
        for J, known in zip(g(W, X), first, strict=True):
            np.testing.assert_allclose(np.asarray(J), known, atol=1e-12)


def test_gates_that_read_one_matrix_give_what_they_gave_when_traced() -> None:
    W, x = rng.normal(size=(3 * 64, 128)), rng.normal(size=128) / 9

    def gates(x: np.ndarray, W: np.ndarray) -> np.ndarray:
        z = W @ x
        a, b, c = np.tanh(z[:64]), np.tanh(z[64:128]), np.tanh(z[128:])
        return np.concatenate([a * b * c, a + b])

    g = jac.jacobian(gates)
    first = np.array(g(x, W))
    for _ in range(3):
        np.testing.assert_allclose(np.asarray(g(x, W)), first, atol=1e-12)
    W[150, 3], x[3] = 1e300, 0.0  # where the sum of all is no number that a float holds it is done in another way
    W[151, 3] = 1e308
    W[152, 3] = 1e308
    again = [np.asarray(jac.jacobian(gates)(x, W)), np.asarray(g(x, W))]
    np.testing.assert_allclose(*again, rtol=1e-12)


@pytest.mark.parametrize("kind", [FLOAT, np.dtype(np.float32)], ids=str)
@pytest.mark.parametrize("out", [(0, 1), (0, 2), (1, 2), (0,), (1,), (2,), ()])
def test_axes_side_by_side_are_summed_by_a_product_with_ones(out: tuple[int, ...], kind: np.dtype) -> None:
    a = rng.normal(size=(30, 20, 10)).astype(kind)
    code = Code()
    result = write_network(code, [Named(Symbol("a", a.shape, kind=kind), (0, 1, 2))], (), out)
    text = code.text(["a"], [str(result.symbol)])
    found = code.compile(text)(a)
    together = out != (1,) and 0 < a.size / max(1, found.size) <= LONG_SUM
    assert ("matmul(" in text) == together
    np.testing.assert_allclose(
        found, a.sum(tuple({0, 1, 2} - set(out))), rtol=1e-4, atol=1e-4 if kind != FLOAT else 1e-12
    )
    assert found.dtype == kind
