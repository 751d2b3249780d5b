"""What is done to large arrays only, done to small ones: every way of writing a program gives the same numbers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian import programs, replay
from jacobian.kernel import code, gathered, lower, network, pairwise, pieces, places, positions, products, threads
from jacobian.kernel.code import Code, Symbol
from jacobian.ops.registry import Op, Sample
from tests.sampled import every_sample, floating
from tests.test_programs import STEPS, program, smooth
from tests.written import texts_of

THRESHOLDS: list[tuple[Any, str, int]] = [
    (code, "LARGE", 1), (products, "LARGE", 1), (network, "LARGE", 1), (products, "WIDE", 1), (products, "CHEAP", 0),
    (pairwise, "LARGE_PRODUCT", 1), (pieces, "SMALL", 1), (pieces, "BLOCK", 2), (positions, "KEPT", 0),
    (threads, "WORTHWHILE", 0), (gathered, "WORTHWHILE", 0),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _all_is_large(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for module, name, value in THRESHOLDS:
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(programs, "PROGRAMS", programs.Memory(programs.Program, programs.REMEMBERED))
    monkeypatch.setattr(replay, "SCRIPTS", replay.Memory(replay.Kind, replay.REMEMBERED))
    forget()
    yield
    forget()


def forget() -> None:
    """Have programs written anew, with the thresholds as they are."""
    for cached in (lower._core_program, lower._tensor_program, network._contraction):
        cached.cache_clear()


@pytest.mark.filterwarnings("ignore::jacobian.errors.JacobianWarning")
@every_sample
def test_every_sample(op: Op, sample: Sample) -> None:
    args, kwargs = sample.draw(1)
    numbers = floating(args)
    if not numbers:
        return
    g = jac.jacobian(lambda *args: op(*args, **kwargs), numbers)
    first, *others = [[np.asarray(J) for J in jac_leaves(g(*args))] for _ in range(4)]
    for found in others:
        for one, expected in zip(found, first, strict=True):
            np.testing.assert_allclose(one, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.filterwarnings("ignore::jacobian.errors.JacobianWarning")
@every_sample
def test_cores_make_no_difference(op: Op, sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    args, kwargs = sample.draw(2)
    numbers = floating(args)
    if not numbers:
        return
    monkeypatch.setattr(code, "WORTHWHILE", 1)
    monkeypatch.setattr(code, "FILLED", 1)
    monkeypatch.setattr(programs, "SMALL_RESULT", 0)
    g = jac.jacobian(lambda *args: op(*args, **kwargs), numbers)
    found = []
    for count in (3, 3, 3, 1, 4, 3):  # the first two while its program is not written yet
        monkeypatch.setattr(threads, "cores", partial(int, count))
        found.append([np.array(J) for J in jac_leaves(g(*args))])
    for others in found[3:]:
        for one, expected in zip(others, found[2], strict=True):
            np.testing.assert_array_equal(one, expected)


def jac_leaves(found: Any) -> list[Any]:
    return [J for one in found for J in jac_leaves(one)] if isinstance(found, tuple | list) else [found]


@pytest.mark.parametrize("order", ["auto", "forward", "reverse"])
@pytest.mark.parametrize("second", sorted(STEPS))
@pytest.mark.parametrize("first", ["tanh", "cumsum", "roll", "matrix", "softmax", "add earlier"])
def test_steps_in_a_row(first: str, second: str, order: str) -> None:
    g, x = jac.jacobian(program([first, second, "quadratic"]), order=order), smooth(1, 2, 3)
    expected, *others = [np.asarray(g(x)) for _ in range(4)]
    for found in others:
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


# -- arrays that are overwritten -------------------------------------------------------------------------------------


def written(code: Code, *results: str) -> str:
    return code.text(["a", "b"], list(results))


def symbols(code: Code, dtypes: str = "dd") -> Any:
    return [
        code.let(name, (), (4,), kind=np.dtype(dtype)) for name, dtype in zip(("a + 0", "b + 0"), dtypes, strict=True)
    ]


def test_an_array_that_is_needed_no_more_is_overwritten() -> None:
    code = Code()
    a, b = symbols(code)
    c = code.apply(f"{a} * {b}", "multiply", [a, b], (4,))
    d = code.apply(f"{c} + {b}", "add", [c, b], (4,))
    text = written(code, d.name)
    assert f"{c} = {a} * {b}" in text  # nobody knows whose a and b are
    assert f"{d} = add({c}, {b}, out={c})" in text
    np.testing.assert_array_equal(code.compile(text)(np.full(4, 2.0), np.full(4, 3.0)), 9)


def test_an_array_that_is_needed_again_is_not() -> None:
    code = Code()
    a, b = symbols(code)
    c = code.apply(f"{a} * {b}", "multiply", [a, b], (4,))
    d = code.apply(f"{c} + {b}", "add", [c, b], (4,))
    e = code.apply(f"{c} * {d}", "multiply", [c, d], (4,))
    text = written(code, e.name)
    assert f"{d} = {c} + {b}" in text
    assert f"{e} = multiply({c}, {d}, out={c})" in text  # but the last time
    assert "out=" not in written(code, c.name, d.name, e.name)
    assert f"{d} = {c} + {b}" in written(code, c.name, d.name)


def test_an_array_of_which_there_is_a_view_is_not() -> None:
    code = Code()
    a, b = symbols(code)
    c = code.apply(f"{a} * {b}", "multiply", [a, b], (4,))
    view = places.reshaped(code, c, (2, 2))
    d = code.apply(f"{c} + {b}", "add", [c, b], (4,))
    e = code.apply(f"{view} + {view}", "add", [view, view], (2, 2))
    assert f"{d} = {c} + {b}" in written(code, d.name, e.name)
    assert f"{e} = add({view}, {view}, out={view})" in written(code, d.name, e.name)  # the last time
    assert f"{e} = {view} + {view}" in written(code, c.name, e.name)
    assert f"{e} = {view} + {view}" in written(code, view.name, e.name)


def test_an_array_that_somebody_may_hold_is_not() -> None:
    code = Code()
    a, b = symbols(code)
    c = code.apply(f"{a} * {b}", "multiply", [a, b], (4,))
    part = code.let(f"{c}[:2]", [c], (2,))  # nobody says that it is a view
    d = code.apply(f"{c} + {b}", "add", [c, b], (4,))
    e = code.let(f"{part} + 1", [part], (2,), new=True)
    text = written(code, d.name, e.name)
    assert f"{d} = {c} + {b}" in text
    np.testing.assert_array_equal(code.compile(text)(np.full(4, 2.0), np.full(4, 3.0))[1], 7)


def test_an_array_of_another_dtype_is_not() -> None:
    code = Code()
    a, b = symbols(code, "fd")
    c = code.apply(f"{a} * {a}", "multiply", [a, a], (4,))
    d = code.apply(f"{c} + {b}", "add", [c, b], (4,))
    assert "out=" not in written(code, d.name)


def test_an_array_is_squared_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    W, V, X = rng.normal(size=(4, 5)), rng.normal(size=(5, 2)), rng.normal(size=(3, 4))
    text = script_of(lambda W: np.sum(np.tanh(X @ W) @ V), W, monkeypatch=monkeypatch)
    assert "square" in text
    assert " ** " not in text


# -- arrays that are computed where they are wanted ------------------------------------------------------------------


def copied(code: Code, symbol: Any) -> Any:
    """The lower half of a new array, to which a symbol is copied."""
    whole = code.array("zeros(8)", (8,))
    half = code.let(f"{whole}[4:]", [whole], (4,), kind=np.dtype(float))
    code.copy(f"copyto({half}, {symbol})", symbol, half, whole)
    return whole


def test_an_array_that_is_copied_is_computed_there() -> None:
    code = Code()
    a, b = symbols(code)
    c = code.apply(f"{a} * {b}", "multiply", [a, b], (4,))
    d = code.apply(f"{c} + {b}", "add", [c, b], (4,))  # may still read it
    whole = copied(code, c)
    text = written(code, str(whole), str(d))
    assert "copyto" not in text
    assert f"{c} = multiply({a}, {b}, out=" in text
    assert f"{d} = {c} + {b}" in text  # and not over what is the result
    full, total = code.compile(text)(np.full(4, 2.0), np.full(4, 3.0))
    np.testing.assert_array_equal(full, [0, 0, 0, 0, 6, 6, 6, 6])
    np.testing.assert_array_equal(total, 9)


def test_an_array_that_is_copied_on_all_cores_is_computed_on_all_cores() -> None:
    code = Code()
    a, b = symbols(code)
    c = code.apply(f"{a} * {b}", "multiply", [a, b], (4,))
    whole = code.array("zeros(8)", (8,))
    half = code.let(f"{whole}[4:]", [whole], (4,), kind=np.dtype(float))
    code.copy(f"on_all_cores(copyto, {c}, out={half})", c, half, whole)
    text = written(code, str(whole))
    assert f"on_all_cores(multiply, {a}, {b}, out={half})" in text
    np.testing.assert_array_equal(code.compile(text)(np.full(4, 2.0), np.full(4, 3.0)), [0, 0, 0, 0, 6, 6, 6, 6])


def copied_and_changed() -> tuple[Code, Symbol, Symbol]:
    """A product that is copied to a place, which changes afterwards: the program, the product, and the array there."""
    code = Code()
    a, b = symbols(code)
    c = code.apply(f"{a} * {b}", "multiply", [a, b], (4,))
    whole = copied(code, c)
    code.do(f"{whole}[:] += 1", [], whole)
    return code, c, whole


def test_an_array_is_read_before_the_place_changes() -> None:
    code, c, whole = copied_and_changed()
    view = places.reshaped(code, c, (2, 2))
    d = code.apply(f"{view} + {view}", "add", [view, view], (2, 2))
    text = written(code, str(whole), str(d))
    assert "copyto" not in text
    full, total = code.compile(text)(np.full(4, 2.0), np.full(4, 3.0))
    np.testing.assert_array_equal(full, [1, 1, 1, 1, 7, 7, 7, 7])
    np.testing.assert_array_equal(total, 12)


def test_an_array_that_can_only_be_read_when_the_place_has_changed_is_copied() -> None:
    code, c, whole = copied_and_changed()
    half = code.let(f"{whole}[:4] + 0", [whole], (4,), new=True, kind=np.dtype(float))
    d = code.apply(f"{c} + {half}", "add", [c, half], (4,))
    text = written(code, str(whole), str(d))
    assert "copyto" in text
    full, total = code.compile(text)(np.full(4, 2.0), np.full(4, 3.0))
    np.testing.assert_array_equal(full, [1, 1, 1, 1, 7, 7, 7, 7])
    np.testing.assert_array_equal(total, 7)


def test_an_array_that_somebody_may_hold_is_copied() -> None:
    code, c, whole = copied_and_changed()
    part = code.let(f"{c}[:2]", [c], (2,))  # nobody says that it is a view
    text = written(code, str(whole), str(part))
    assert "copyto" in text
    full, total = code.compile(text)(np.full(4, 2.0), np.full(4, 3.0))
    np.testing.assert_array_equal(full, [1, 1, 1, 1, 7, 7, 7, 7])
    np.testing.assert_array_equal(total, 6)


def test_an_array_that_is_a_result_itself_is_copied() -> None:
    code = Code()
    a, b = symbols(code)
    c = code.apply(f"{a} * {b}", "multiply", [a, b], (4,))
    whole = copied(code, c)
    assert "copyto" in written(code, str(whole), str(c))


@pytest.mark.parametrize(("dtypes", "shape"), [("ff", (4,)), ("dd", (1,))])
def test_an_array_of_another_dtype_or_shape_is_copied(dtypes: str, shape: tuple[int, ...]) -> None:
    code = Code()
    a, b = symbols(code, dtypes)
    c = code.apply(f"({a} * {b})[: {shape[0]}]", "multiply", [a, b], shape)
    whole = copied(code, c)
    text = written(code, str(whole))
    assert "copyto" in text
    full = code.compile(text)(np.full(4, 2.0, np.float32), np.full(4, 3.0, np.float32))
    np.testing.assert_array_equal(full, [0, 0, 0, 0, 6, 6, 6, 6])


def test_what_only_the_first_results_need_does_not_wait_for_the_later_ones() -> None:
    code = Code()
    a, b = symbols(code)
    c = code.apply(f"{a} * {b}", "multiply", [a, b], (4,))
    d = code.apply(f"exp({c})", "exp", [c], (4,))
    code.constants["exp"] = np.exp
    later = code.apply(f"{d} * {d}", "multiply", [d, d], (4,))
    text = code.text_in_stages(["a", "b"], [d.name], [later.name])
    assert f"{d} = exp({c}, out={c})" in text
    first, start = code.compile(text)(np.zeros(4), np.ones(4))
    np.testing.assert_array_equal(first, 1)
    np.testing.assert_array_equal(start()[0](), 1)


def test_what_only_one_of_the_later_results_needs_is_given_up_by_it() -> None:
    code = Code()
    a, b = symbols(code)
    alone, shared = (
        code.apply(f"{a} {sign} {b}", name, [a, b], (4,)) for sign, name in (("*", "multiply"), ("+", "add"))
    )
    every = code.let(f"{alone}.sum() + {shared}.sum()", [alone, shared], ())
    one = code.apply(f"{alone} * {shared}", "multiply", [alone, shared], (4,))
    other = code.apply(f"{shared} - 1", "subtract", [shared, "1"], (4,))
    text = code.text_in_stages(["a", "b"], [every.name], [one.name, other.name, shared.name])
    assert f"nonlocal {alone}\n" in text
    assert f"del {shared}" not in text
    total, start = code.compile(text)(np.full(4, 2.0), np.full(4, 3.0))
    assert total == 44
    for part, expected in zip(start(), (30, 4, 5), strict=True):
        np.testing.assert_array_equal(part(), expected)


def test_an_array_to_be_written_to_is_made_when_that_begins() -> None:
    code = Code()
    a, b = symbols(code)
    whole = code.array("zeros(8)", (8,))
    half = code.let(f"{whole}[4:]", [whole], (4,))
    c = code.apply(f"{a} * {b}", "multiply", [a, b], (4,))
    code.do(f"{half} += {c}", [half, c], whole)
    text = written(code, str(whole))
    assert text.index(f"{whole} = ") < text.index(f"{half} = ")
    code = Code()
    a, b = symbols(code)
    whole = code.array("zeros(4)", (4,))
    empty = code.array("zeros(4)", (4,))
    c = code.apply(f"{a} * {b}", "multiply", [a, b], (4,))
    code.do(f"{whole}[:] = {c}", [c], whole)
    text = written(code, str(whole), str(empty))
    assert text.index(f"{c} = ") < text.index(f"{whole} = ")
    for found, expected in zip(code.compile(text)(np.full(4, 2.0), np.full(4, 3.0)), (6, 0), strict=True):
        np.testing.assert_array_equal(found, expected)


# -- numbers in front of arrays --------------------------------------------------------------------------------------


def script_of(f: Any, *arrays: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> str:
    """The text of the script for a function, which gives what the chain rule gives."""
    g = jac.jacobian(f, tuple(range(len(arrays))))
    first = [np.asarray(J) for J in g(*arrays)]

    def compared() -> None:
        for one, expected in zip(g(*arrays), first, strict=True):
            np.testing.assert_allclose(np.asarray(one), expected, rtol=1e-12)

    return texts_of(compared, monkeypatch=monkeypatch)[0]


def test_two_minuses_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    text = script_of(lambda x: 1 / (1 + np.exp(-x)), np.linspace(-1, 1, 5), monkeypatch=monkeypatch)
    assert "* (-1)" not in text
    assert text.count(" = -") == 1  # the one that the function asks for


def test_a_minus_that_stays_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.linspace(1, 2, 5)
    script_of(lambda x, z: np.sum(-(x / z) + (-x) * (-z)) - 3 / (-z), x, x + 1, monkeypatch=monkeypatch)


def test_numbers_in_front_are_multiplied_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    text = script_of(lambda x: np.mean(x**2), np.linspace(-1, 1, 5), monkeypatch=monkeypatch)
    assert "* (0.4)" in text


@pytest.mark.parametrize("number", [1e200, 1e-200, 2**600, 0])
def test_numbers_whose_product_is_out_of_range_are_not(number: float, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.array([1e-150, 3e-140])
    script_of(lambda x: number * np.sum(1e-250 * (x * 1e200) ** 2), x, monkeypatch=monkeypatch)
    script_of(lambda x: np.mean(number * x), x, monkeypatch=monkeypatch)


def test_small_outer_products_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    F, H, Z = np.eye(4) + np.eye(4, k=2) / 10, np.eye(2, 4), rng.normal(size=(8, 2))

    def filtered(steps: int) -> Any:
        def likelihood(q: Any) -> Any:
            x, P, total = np.zeros(4), np.eye(4), 0.0
            for z in Z[:steps]:
                P = F @ P @ F.T + np.diag(q)
                V = H @ P @ H.T + np.eye(2)
                e, S = z - H @ F @ x, np.linalg.inv(V)
                K = P @ H.T @ S
                total, x, P = total + e @ S @ e + np.log(np.linalg.det(V)), F @ x + K @ e, P - K @ H @ P
            return total

        return likelihood

    lines = [script_of(filtered(steps), np.arange(1.0, 5.0), monkeypatch=monkeypatch).count(" = ") for steps in (6, 8)]
    assert lines[1] - lines[0] <= 2 * 70, lines


def test_zeros_beyond_guards_are_put_there_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    A, y = rng.normal(size=(12, 3)), rng.normal(size=12)

    def f(s: Any) -> Any:
        K = (A / s) @ (A * s).T + (A * s) @ (A / s).T + np.eye(12) * np.sum(np.exp(s))
        L = np.linalg.cholesky(np.exp(2 * s[0]) * K * np.exp(K / 99) + s[1] * np.eye(12))
        return np.sum(np.linalg.solve(L, y) ** 2) + np.sum(np.log(np.diag(L)))

    text = script_of(f, np.array([1.0, 2.0, 3.0]), monkeypatch=monkeypatch)
    assert 0 < text.count(" = beside") <= 4


def test_a_negative_array_is_subtracted(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    X, C = rng.normal(size=(32, 8)), rng.normal(size=(32, 5))

    def f(W: Any) -> Any:
        z = X @ W
        return np.log(np.sum(np.exp(z), axis=1)) - np.sum(C * z, axis=1)

    text = script_of(f, rng.normal(size=(8, 5)), monkeypatch=monkeypatch)
    assert "* (-1)" not in text
    assert "subtract(" in text


@pytest.mark.parametrize(("left", "right"), [((0, 1), (2, 0)), ((0, 1), (0, 2)), ((1, 0), (2, 0)), ((1, 0), (0, 2))])
def test_factors_that_would_both_be_transposed_change_places(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    sizes = {0: 5, 1: 4, 2: 3}
    arrays = [np.random.default_rng(k).normal(size=[sizes[k] for k in axes]) for k, axes in enumerate((left, right))]
    code = Code()
    given = zip("ab", arrays, (left, right), strict=True)
    named = [places.Named(code.let(name, (), a.shape), axes) for name, a, axes in given]
    found = pairwise.pair(code, *named, {1, 2}, None, sizes)
    text = code.text(["a", "b"], [str(found.symbol)])
    assert text.count(".T") == (left[0] == 0) ^ (right[0] == 2)
    expected = np.einsum(arrays[0], left, arrays[1], right, found.labels)
    np.testing.assert_allclose(code.compile(text)(*arrays), expected)


def test_blocks_of_one_result_are_computed_in_it() -> None:
    code = Code()
    a, b = symbols(code)
    blocks = [code.apply(f"{a} {sign} {b}", name, [a, b], (4,)) for sign, name in (("*", "multiply"), ("+", "add"))]
    whole = code.array("zeros(8)", (8,))
    for k, block in enumerate(reversed(blocks)):
        half = code.let(f"{whole}[{4 * k}:{4 * k + 4}]", [whole], (4,), kind=np.dtype(float))
        code.copy(f"copyto({half}, {block})", block, half, whole)
    text = written(code, str(whole))
    assert "copyto" not in text
    np.testing.assert_array_equal(code.compile(text)(np.full(4, 2.0), np.full(4, 3.0)), [5] * 4 + [6] * 4)


def test_an_array_that_is_copied_to_two_places() -> None:
    code = Code()
    a, b = symbols(code)
    c = code.apply(f"{a} * {b}", "multiply", [a, b], (4,))
    first, second = copied(code, c), copied(code, c)
    text = written(code, str(first), str(second))
    assert text.count("copyto") == 1
    for full in code.compile(text)(np.full(4, 2.0), np.full(4, 3.0)):
        np.testing.assert_array_equal(full, [0] * 4 + [6] * 4)
