"""Texts are read as syntax trees, whatever other threads read meanwhile."""

import ast
import gc
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from jacobian.kernel import syntax

PROGRAM = "def f(x):\n" + "\n".join(f"    t{k} = (x[{k}] + sin(x) * {k}) ** (2 - x)" for k in range(50))


class Waiting:
    """Lets another thread go on when it is collected, as the objects of users may."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        sum(range(100))


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads that take turns all the time, also while a tree is built."""
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(10, 2, 2)
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*thresholds)


@pytest.mark.usefixtures("restless")
def test_threads_read_at_once() -> None:
    def read(_: int) -> str:
        Waiting()
        return ast.unparse(syntax.statements(PROGRAM))

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(read, range(300))) == {PROGRAM}


def test_read_again_where_python_complains(monkeypatch: pytest.MonkeyPatch) -> None:
    parse, calls = ast.parse, []

    def complaining(text: str, mode: str) -> ast.AST:
        calls.append(text)
        if len(calls) < 3:
            raise SystemError("AST constructor recursion depth mismatch (before=42, after=41)")
        return parse(text, mode=mode)

    monkeypatch.setattr(ast, "parse", complaining)
    assert ast.unparse(syntax.expression("a+b")) == "a + b"
    assert calls == ["a+b"] * 3


def test_complaints_that_stay_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def complaining(text: str, mode: str) -> ast.AST:
        raise SystemError("something else")

    monkeypatch.setattr(ast, "parse", complaining)
    with pytest.raises(SystemError, match=r"^something else$"):
        syntax.statements("a = b")


@pytest.mark.parametrize("read", [syntax.expression, syntax.statements])
def test_what_is_no_python_is_refused(read: Callable[[str], ast.AST]) -> None:
    with pytest.raises(SyntaxError):
        read("a +")
