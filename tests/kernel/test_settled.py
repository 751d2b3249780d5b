"""What depends on no input is computed when a program is written, and is the same at every run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jacobian as jac
from jacobian.kernel import settled as module
from jacobian.kernel.code import Code
from jacobian.kernel.settled import settle, settled

FLOAT = np.dtype(float)
M = np.random.default_rng(0).normal(size=(6, 6))


def texts_of(J: Callable[..., Any], *arguments: Any) -> list[str]:
    """The programs that are written in the first calls."""
    texts: list[str] = []
    compiled = Code.compile
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Code, "compile", lambda code, text: texts.append(text) or compiled(code, text))
        for _ in range(4):
            np.asarray(J(*arguments))
    return texts


def heat(u: Any) -> Any:
    for _ in range(5):
        u = u + 0.2 * (np.roll(u, 1) - 2 * u + np.roll(u, -1))
    return u


def test_a_linear_map_has_the_same_jacobian_at_every_call() -> None:
    J = jac.jacobian(heat)
    u = np.arange(9.0)
    first = np.asarray(J(u))
    assert_allclose(first, np.stack([heat(row) for row in np.eye(9)], axis=1), atol=1e-15)
    text = texts_of(J, u)[-1]
    assert len([line for line in text.split("\n") if "del " not in line]) == 4  # the input is read, and looked at
    found = [np.asarray(J(u + k)) for k in range(3)]
    for one in found:
        assert_allclose(one, first, rtol=1e-15)
        with pytest.raises(ValueError, match="read-only"):
            one[0, 0] = 1
        with pytest.raises(ValueError, match="cannot set WRITEABLE flag"):
            one.setflags(write=True)


def test_what_is_not_finite_is_looked_at_as_ever() -> None:
    J = jac.jacobian(heat)
    for _ in range(4):
        J(np.arange(9.0))
    with pytest.raises(jac.errors.JacobianError, match="nan"):
        J(np.full(9, np.nan))


def test_linear_steps_before_one_that_is_not() -> None:
    def f(u: Any) -> Any:
        return np.tanh(M @ (M @ (M @ u)))

    u = np.linspace(-1, 1, 6)
    J = jac.jacobian(f)
    text = texts_of(J, u)[-1]
    assert_allclose(np.asarray(J(u)), (1 - f(u) ** 2)[:, None] * (M @ M @ M), rtol=1e-12)
    assert text.count("@") + text.count("dot(") <= 5, text  # three steps of the value, the input looked at


def test_captured_arrays_that_change() -> None:
    A = np.eye(4)

    def f(x: Any) -> Any:
        return A @ (A @ x)

    J = jac.jacobian(f)
    for k in range(12):
        if k % 4 == 3:
            A[0, k // 4] += 1
        assert_array_equal(np.asarray(J(np.arange(4.0) + k)), A @ A)


def test_earlier_ones_stay_as_they_are() -> None:
    A = np.eye(3)
    J = jac.jacobian(lambda x: A @ (2 * x))
    earlier = [np.asarray(J(np.ones(3))) for _ in range(4)]
    A += 1
    later = np.asarray(J(np.ones(3)))
    for one in earlier:
        assert_array_equal(one, 2 * np.eye(3))
    assert_array_equal(later, 2 * (np.eye(3) + 1))


def written(size: int) -> tuple[Code, list[str]]:
    """One array that is settled, one that changes with an input later on, and one that is made of both."""
    code = Code(reused={})
    x = code.let("inputs[0]", (), (size,), kind=FLOAT)
    k = code.constant(np.arange(float(size)))
    same = code.apply(f"{k} * 2", "multiply", [k, "2"], (size,))
    full = code.array(f"zeros(({size},))", (size,))
    code.do(f"{full}[0] = 1", [], full)
    code.do(f"{full}[1] = {x}[0]", [x], full)
    both = code.apply(f"{same} + {full}", "add", [same, full], (size,))
    return code, [str(one) for one in (x, same, full, both)]


def test_what_is_settled_is_told_from_what_is_written_to_later() -> None:
    code, [x, same, full, both] = written(5)
    assert settled(code, [x]) == {same}
    code.settled = {same}
    settle(code, [both])
    assert [line.target for line in code.lines] == [x, full, full, full, both]
    assert_array_equal(code.constants[same], 2 * np.arange(5.0))
    assert code.is_own(same) and code.is_own(both) and not code.is_own(x)
    given = np.full(5, 0.5)
    for _ in range(2):
        assert_array_equal(code.compile(code.text(["inputs"], [both]))([given]), [1, 2.5, 4, 6, 8])


@pytest.mark.parametrize("limit", ["LARGEST", "MOST"])
def test_large_arrays_are_computed_anew(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code, [x, same, _, both] = written(5)
    monkeypatch.setattr(module, limit, 39)
    code.settled = settled(code, [x])
    assert code.settled == (set() if limit == "LARGEST" else {same})
    lines = list(code.lines)
    settle(code, [both])
    assert code.lines == lines and same not in code.constants


def test_several_arrays_that_a_function_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    code = Code()
    x = code.let("inputs[0]", (), (3,), kind=FLOAT)
    given = code.constant(np.arange(12.0).reshape(4, 3))
    several = code.let(f"{code.constant(np.linalg.svd, 'svd')}({given})", [given], ())
    vectors = code.let(f"{several}[2]", [several], (3, 3), kind=FLOAT)
    product = code.let(f"{vectors}.dot({x})", [vectors, x], (3,), new=True, kind=FLOAT)
    monkeypatch.setattr(module, "LARGEST", 40)  # less than the vectors have
    code.settled = settled(code, [str(x)])
    assert code.settled == {str(several)}
    settle(code, [str(product)])
    assert [line.target for line in code.lines] == [str(x), str(vectors), str(product)]
    right = np.linalg.svd(np.arange(12.0).reshape(4, 3))[2]
    assert_allclose(code.compile(code.text(["inputs"], [str(product)]))([np.ones(3)]), right @ np.ones(3))


def test_what_ends_with_an_error_is_left_to_do_so() -> None:
    code = Code()
    zero = code.constant(np.zeros(3))
    bad = code.let(f"1 / {zero}", [zero], (3,), new=True, kind=FLOAT)
    code.settled = settled(code, [])
    assert code.settled == {str(bad)}
    settle(code, [str(bad)])
    assert [line.target for line in code.lines] == [str(bad)]


def test_nobody_can_write_to_what_is_kept() -> None:
    J = jac.jacobian(lambda x: np.cumsum(x))  # NumPy's own function would not be played
    found = [np.asarray(J(np.ones(4) + k)) for k in range(5)][-1]
    memory: Any = found
    while isinstance(memory, np.ndarray):
        with pytest.raises(ValueError, match="WRITEABLE"):
            memory.setflags(write=True)
        memory = memory.base
    assert isinstance(memory, bytes)
