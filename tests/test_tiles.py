"""Programs in tiles compute what programs as a whole compute, in a part of their memory."""

from __future__ import annotations

import tracemalloc
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jacobian as jac
from jacobian import programs, replay
from jacobian.errors import KinkWarning, NonFiniteError
from jacobian.kernel import code, threads, tiles
from jacobian.ops.registry import Op, Sample
from jacobian.programs import Memory
from jacobian.tracing.graph import Node
from tests.sampled import at_points, every_sample
from tests.written import texts_of

pytestmark = pytest.mark.usefixtures("no_scripts")

RNG = np.random.default_rng(7)
ANYTHING = {
    "PART": 1, "SMALLEST": 1, "LEAST": 1e-9, "SHORTEST": 1, "BEGINNING": 1e-9, "MOSTLY": 2.0, "WORTHWHILE": 1e9,
    "FOR_BLAS": 1, "ROUGHLY": 1e9,
}  # fmt: skip
WAYS = {
    "in turn": {"HARDLY": -1.0, "PRODUCTS": 0}, "at once": {"HARDLY": 2.0, "LONG": 0.0},
    "narrow": {"HARDLY": -1.0, "CANDIDATES": 0},
}  # fmt: skip


def cut_anything(patch: pytest.MonkeyPatch, way: str) -> None:
    """However small arrays are, they are gone through step by step."""
    for name, value in (ANYTHING | WAYS[way]).items():
        patch.setattr(tiles, name, value)
    patch.setattr(threads, "cores", lambda: 3)


@pytest.fixture(params=["in turn", "at once"])
def small_tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_anything(monkeypatch, request.param)


@pytest.mark.parametrize("way", WAYS)
@every_sample
def test_every_sample(op: Op, sample: Sample, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    f, points = at_points(op, sample, (1, 2))
    if not points[0]:
        return
    cut_anything(monkeypatch, way)
    if not isinstance(jac.trace(f, *points[0]).output, Node):
        return
    g = jac.jacobian(f, tuple(range(len(points[0]))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KinkWarning)
        first = [[np.asarray(J) for J in g(*arrays)] for arrays in points]
        for _ in range(2):
            for arrays, expected in zip(points, first, strict=True):
                for J, one in zip(g(*arrays), expected, strict=True):
                    largest = abs(one).max(initial=1.0)
                    np.testing.assert_allclose(np.asarray(J), one, rtol=1e-11, atol=1e-11 * largest)


def mlp(a: Any, b: Any, X: Any, target: Any) -> Any:
    return np.mean((np.tanh(X @ a) @ b - target) ** 2)


def gravity(x: Any) -> Any:
    way = x[None, :, :] - x[:, None, :]
    square = np.sum(way**2, axis=2) + 0.05
    return np.sum(way / (square * np.sqrt(square))[:, :, None], axis=1)


def kernel(x: Any) -> Any:
    return np.sum(np.exp(-0.5 * np.sum((x[:, None, :] - x[None, :, :]) ** 2, axis=2)))


def entropy(w: Any, X: Any, labels: Any) -> Any:
    z = X @ w
    z = z - np.max(z, axis=1, keepdims=True)
    return np.sum(np.log(np.sum(np.exp(z), axis=1)) - z[np.arange(len(X)), labels])


def normalised(w: Any, X: Any) -> Any:
    h = X @ w
    h = (h - np.mean(h, axis=0)) / np.sqrt(np.var(h, axis=0) + 1e-3)
    return np.mean(np.maximum(h, 0.1) ** 2, axis=0)


def likelihood(mean: Any, L: Any, X: Any) -> Any:
    z = np.linalg.solve(L, (X - mean).T)
    return -0.5 * np.sum(z**2) - len(X) * np.log(np.linalg.det(L))


def steps(w: Any, X: Any) -> Any:
    h = X[0]
    for x in X:
        h = np.tanh(h @ w + x)
    return np.sum(np.cumsum(h, axis=1) ** 2)


CASES: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]], tuple[int, ...]]] = {
    "batch": (mlp, [(5, 7), (7, 3), (20, 5), (20, 3)], (0, 1)),
    "all arguments": (mlp, [(5, 7), (7, 3), (20, 5), (20, 3)], (0, 1, 2, 3)),
    "bodies": (gravity, [(9, 3)], (0,)),
    "pairs": (kernel, [(11, 4)], (0,)),
    "normalised": (normalised, [(4, 6), (17, 4)], (0, 1)),
    "likelihood": (likelihood, [(4,), (4, 4), (15, 4)], (0, 1)),
    "steps": (steps, [(5, 5), (4, 6, 5)], (0,)),
    "entries": (lambda x: np.tanh(np.sin(x) * np.exp(-(x**2))), [(23,)], (0,)),
    "sum of entries": (lambda x: np.sum(np.tanh(np.sin(x) * np.exp(-(x**2)))), [(23,)], (0,)),
    "matrix": (lambda A: np.tanh(A) @ np.tanh(A).T, [(6, 4)], (0,)),
}


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("name", CASES)
def test_functions(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    f, shapes, argnums = CASES[name]
    points = [
        [RNG.normal(size=shape) + (3 * np.eye(4) if shape == (4, 4) else 0) for shape in shapes] for _ in range(3)
    ]
    g = jac.jacobian(f, argnums)
    texts = texts_of(g, *points[0], monkeypatch=monkeypatch)
    assert any("in_parts" in text for text in texts)
    for arguments in points:
        plain = [np.asarray(J) for J in jac.jacobian(f, argnums, order="forward")(*arguments)]
        for J, expected in zip(g(*arguments), plain, strict=True):
            np.testing.assert_allclose(np.asarray(J), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["batch", "all arguments", "normalised", "likelihood", "steps"])
def test_narrow_loops(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made of products in the loop but what is cut: the rest is there as a whole, before or after it."""
    cut_anything(monkeypatch, "narrow")
    f, shapes, argnums = CASES[name]
    arguments = [RNG.normal(size=shape) + (3 * np.eye(4) if shape == (4, 4) else 0) for shape in shapes]
    g = jac.jacobian(f, argnums)
    texts = texts_of(g, *arguments, monkeypatch=monkeypatch)
    assert any("in_parts" in text for text in texts)
    plain = [np.asarray(J) for J in jac.jacobian(f, argnums, order="forward")(*arguments)]
    for J, expected in zip(g(*arguments), plain, strict=True):
        np.testing.assert_allclose(np.asarray(J), expected, rtol=1e-10, atol=1e-12)


@settings(max_examples=60)
@given(st.integers(2, 9), st.integers(1, 4), st.integers(1, 5), st.sampled_from(sorted(WAYS)))
def test_any_size(rows: int, inner: int, classes: int, way: str) -> None:
    rng = np.random.default_rng(rows + 10 * inner + 100 * classes)
    w, X, labels = rng.normal(size=(inner, classes)), rng.normal(size=(rows, inner)), rng.integers(0, classes, rows)
    plain = np.asarray(jac.jacobian(entropy, order="forward")(w, X, labels))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replay, "SCRIPTS", Memory(replay.Kind, replay.REMEMBERED))
        cut_anything(patch, way)
        g = jac.jacobian(entropy)
        for _ in range(4):
            np.testing.assert_allclose(np.asarray(g(w, X, labels)), plain, rtol=1e-10, atol=1e-11)


@pytest.mark.usefixtures("small_tiles")
def test_a_mask_of_truths_is_no_list_of_positions() -> None:
    X, valid = RNG.normal(size=(12, 3)), np.ones(12, bool)
    g = jac.jacobian(lambda w, X, valid: np.sum(np.tanh(X @ w)[valid] ** 2))
    for _ in range(5):
        w = RNG.normal(size=(3, 4))
        h = np.tanh(X @ w)
        np.testing.assert_allclose(g(w, X, valid), X.T @ (2 * h * (1 - h**2)))
    assert [kind.failures for kind in replay.SCRIPTS if kind.scripts] == [0]


def large(rows: int) -> list[np.ndarray]:
    return [RNG.normal(size=(64, 128)) / 8, RNG.normal(size=(128, 32)) / 11, RNG.normal(size=(rows, 64)),
            RNG.normal(size=(rows, 32))]  # fmt: skip


def peak_of(f: Callable[[], Any]) -> int:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        f()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def peak_when_played(f: Callable[..., Any], argnums: Any, arguments: list[np.ndarray]) -> int:
    g = jac.jacobian(f, argnums)

    def call() -> None:
        jax = g(*arguments)
        for J in jax if isinstance(jax, tuple) else [jax]:
            np.asarray(J)

    for _ in range(6):
        call()
    return peak_of(call)


def test_memory_does_not_grow_with_the_batch() -> None:
    few, many = (peak_when_played(mlp, (0, 1), large(rows)) for rows in (8_000, 24_000))
    assert many < 1.1 * few < 0.5 * peak_of(lambda: mlp(*large(8_000)))


@pytest.mark.parametrize("kind", [bool, float])
def test_a_mask_is_gone_through_in_parts(kind: type) -> None:
    """Truths, too, though what is multiplied with them has another dtype."""
    a, b, X, target = large(8_000)
    mask = (RNG.random((8_000, 128)) < 0.8).astype(kind)

    def dropped(a: Any, b: Any, X: Any, target: Any, mask: Any) -> Any:
        return np.mean(((np.tanh(X @ a) * mask / 0.8) @ b - target) ** 2)

    assert peak_when_played(dropped, (0, 1), [a, b, X, target, mask]) < X.nbytes


def test_a_large_result_takes_little_more_than_itself() -> None:
    x = RNG.normal(size=(200, 3))
    assert peak_when_played(gravity, 0, [x]) < 1.6 * 8 * x.size**2
    y = RNG.normal(size=300_000)
    assert peak_when_played(lambda y: np.sum(np.tanh(np.sin(y) * np.exp(-(y**2)))), 0, [y]) < 1.6 * y.nbytes


def likely(mean: Any, S: Any, X: Any) -> Any:
    z = X - mean
    return -0.5 * np.trace(z @ np.linalg.solve(S, z.T)) - 0.5 * len(X) * np.linalg.slogdet(S)[1]


def test_little_more_memory_than_what_is_given_and_results() -> None:
    """Where that costs little time: in a few parts, or in parts only where both factors of a product would be there."""
    batch = large(256)
    w, b, X, target = batch
    assert peak_when_played(mlp, (0, 1), batch) < 1.2 * (2 * w.nbytes + 2 * b.nbytes + X.nbytes + target.nbytes)
    given = [RNG.normal(size=40), 2 * np.eye(40) + 0.01, RNG.normal(size=(200, 40))]
    results = given[0].nbytes + given[1].nbytes
    assert peak_when_played(likely, (0, 1), given) < 1.2 * (results + sum(one.nbytes for one in given))


def test_what_is_put_together_lies_where_something_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = texts_of(jac.jacobian(mlp, (0, 1)), *large(256), monkeypatch=monkeypatch)
    (loop,) = [text for text in texts if "in_parts" in text]
    inside = loop[loop.index("    def part") : loop.index("    in_parts(")]
    assert inside.count("matmul(") == 1  # upstream of the hidden layer; other products are made whole
    assert "empty(" not in loop and "zeros(" not in loop


def test_large_inputs_are_copied_when_the_program_has_run() -> None:
    g, w = jac.jacobian(mlp, (0, 1)), large(256)
    for _ in range(4):
        J, _ = g(*w)
    expected, terms = np.array(J), np.asarray(jac.jacobian(mlp)(*w))
    point = w[0].copy()
    J, _ = g(*w)
    w[0][:] = 0.0
    assert J.origin is not None
    np.testing.assert_array_equal(J.origin.point, point)
    np.testing.assert_array_equal(np.asarray(J), expected)
    np.testing.assert_allclose(np.asarray(J), terms, rtol=1e-9, atol=1e-12)
    assert J.formula.startswith("∂y/∂")


def test_parts_of_a_result_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    x = RNG.normal(size=(600, 5))
    g = jac.jacobian(kernel)
    texts = texts_of(g, x, monkeypatch=monkeypatch)
    assert any("in_parts" in text for text in texts)
    weights = np.exp(-0.5 * np.sum((x[:, None, :] - x[None, :, :]) ** 2, axis=2))
    expected = 2 * (weights @ x - np.sum(weights, axis=1)[:, None] * x)
    np.testing.assert_allclose(np.asarray(g(x)), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.usefixtures("small_tiles")
def test_kinks_are_told_as_ever() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.maximum(x, 0.5 * x) + np.abs(x))

    g, x = jac.jacobian(f), np.arange(1.0, 9.0)
    for _ in range(3):
        g(x)
    x[3] = 0.0
    with pytest.warns(KinkWarning) as told:
        J = np.asarray(g(x))
    with pytest.warns(KinkWarning) as expected:
        plain = np.asarray(jac.jacobian(f, order="forward")(x))
    assert {str(one.message) for one in told} == {str(one.message) for one in expected}
    np.testing.assert_array_equal(J, plain)


def test_parts_are_given_up_where_there_are_kinks_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    cut_anything(monkeypatch, "in turn")
    runs: list[int] = []
    monkeypatch.setitem(code._ALWAYS, "in_parts", lambda *given: (runs.append(1), threads.in_parts(*given)))
    g, x = jac.jacobian(lambda x: np.sum(np.abs(2 * x) * x)), np.arange(1.0, 9.0)
    for _ in range(3):
        g(x)
    before, x[3] = len(runs), 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KinkWarning)
        for _ in range(2 * programs.MOST_FAILURES):
            np.testing.assert_allclose(g(x), 4 * x)
    assert len(runs) - before == programs.MOST_FAILURES


@pytest.mark.usefixtures("small_tiles")
def test_a_kink_is_told_once_where_a_later_part_is_not_finite() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.abs(x)) + np.sum(np.sqrt(2 * x - 3))

    g, x = jac.jacobian(f), np.arange(2.0, 9.0)
    for _ in range(3):
        g(x)
    x[0], x[5] = 0.0, 1.0
    with np.errstate(invalid="ignore"), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(NonFiniteError):
            g(x)
    assert len([one for one in told if one.category is KinkWarning]) <= 1


@pytest.mark.usefixtures("small_tiles")
def test_what_is_not_finite_is_found_in_any_part() -> None:
    g = jac.jacobian(lambda x: np.sum(np.log(x) ** 2))
    x = np.arange(1.0, 9.0)
    for _ in range(3):
        g(x)
    x[6] = -1.0
    with np.errstate(invalid="ignore"), pytest.raises(NonFiniteError):
        g(x)
    x[6] = 7.0
    np.testing.assert_allclose(g(x), 2 * np.log(x) / x)


def test_totals_are_the_same_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    cut_anything(monkeypatch, "at once")
    g, x = jac.jacobian(kernel), RNG.normal(size=(40, 4))
    found = [np.asarray(g(x)).tobytes() for _ in range(12)]
    assert len(set(found[3:])) == 1


def test_values_are_computed_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are to be those of the function to the last bit."""
    cut_anything(monkeypatch, "in turn")
    texts = texts_of(jac.value_and_jacobian(kernel), RNG.normal(size=(9, 2)), monkeypatch=monkeypatch)
    assert texts and not any("in_parts" in text for text in texts)


@pytest.mark.parametrize(("rows", "is_cut"), [(40, False), (4000, True)])
def test_what_stays_in_the_cache_is_not_cut(rows: int, is_cut: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = texts_of(jac.jacobian(mlp, (0, 1)), *large(rows), monkeypatch=monkeypatch)
    assert any("in_parts" in text for text in texts) == is_cut


def test_large_matrices_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """BLAS goes through them on all cores, in parts of its own."""
    monkeypatch.setattr(programs, "SMALL_RESULT", 2**20)
    arguments = [RNG.normal(size=shape) for shape in ((500, 500), (500, 500), (500, 500))]
    texts = texts_of(jac.jacobian(lambda A, B, C: np.sum(A @ (B @ C))), *arguments, monkeypatch=monkeypatch)
    assert texts and not any("in_parts" in text for text in texts)


def attention(x: Any) -> Any:
    p = np.exp(x @ x.T)
    return np.sum((p / np.sum(p, axis=1, keepdims=True) @ x) ** 2)


@pytest.mark.parametrize("shape", [(12, 3), (20, 4)])
def test_hessians_of_products_of_an_array_with_itself(shape: tuple[int, int]) -> None:
    """They turn axes around, in lists of numbers."""
    g = jac.hessian(attention)
    for _ in range(4):
        x = 0.5 * RNG.normal(size=shape)
        expected = np.asarray(jac.jacobian(jac.jacobian(attention), order="forward")(x))
        np.testing.assert_allclose(np.asarray(g(x)), expected, rtol=1e-8, atol=1e-9 * abs(expected).max())


def test_parts_in_turn_and_at_once() -> None:
    def part(start: int, stop: int) -> list[tuple[np.ndarray, Any]]:
        return [(total, x[start:stop].sum(axis=0))]

    x, total = RNG.normal(size=(50, 3)), np.zeros(3)
    threads.in_parts(part, 50, 7)
    np.testing.assert_allclose(total, x.sum(axis=0))
    in_turn, total = total, np.zeros(3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "cores", lambda: 3)
        threads.in_parts_at_once(part, 50, 7)
    np.testing.assert_array_equal(total, in_turn)


def test_what_a_part_raises_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def part(start: int, stop: int) -> list[tuple[np.ndarray, Any]]:
        if start == 40:
            raise ZeroDivisionError("in a part")
        return []

    monkeypatch.setattr(threads, "cores", lambda: 3)
    with pytest.raises(ZeroDivisionError, match="in a part"):
        threads.in_parts_at_once(part, 50, 4)
