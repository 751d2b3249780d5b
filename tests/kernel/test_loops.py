"""Loops over parts compute what their lines compute at once, whatever is done before them, in them and after them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jacobian.kernel import code as code_module
from jacobian.kernel.code import Code, Symbol
from jacobian.kernel.cuts import Cut, Program, Sorting
from jacobian.kernel.lines import body, function_text, heights, highest, tuple_text
from jacobian.kernel.loops import Loop

ROWS, COLUMNS = 12, 4
FLOAT = np.dtype(float)
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["add", "multiply", "tanh", "matmul", "gram", "total", "scaled"]), st.integers(0, 99),
        st.integers(0, 99),
    ),
    min_size=4, max_size=14,
)  # fmt: skip


class Lines:
    """A program that is written step by step: matrices of many rows, and what is summed over these."""

    def __init__(self) -> None:
        self.code = Code()
        shapes = [(ROWS, COLUMNS), (ROWS, COLUMNS), (COLUMNS, COLUMNS)]
        self.long, self.short, self.vectors = [], [], []
        for place, shape in enumerate(shapes):
            symbol = self.code.let(f"inputs[{place}]", (), shape, kind=FLOAT)
            (self.short if shape[0] == COLUMNS else self.long).append(symbol)

    def do(self, operation: str, first: int, second: int) -> None:
        a, b = self.long[first % len(self.long)], self.long[second % len(self.long)]
        if operation in {"add", "multiply"}:
            sign = {"add": "+", "multiply": "*"}[operation]
            self.long.append(self.code.apply(f"{a} {sign} {b}", operation, [a, b], a.shape))
        elif operation == "tanh":
            name = str(self.code.constant(np.tanh, "tanh"))
            self.long.append(self.code.apply(f"{name}({a})", name, [a], a.shape))
        elif operation == "matmul":
            M = self.short[second % len(self.short)]
            self.long.append(self._product(a, M, a.shape))
        elif operation == "gram":
            turned = self.code.let(f"{a}.T", [a], a.shape[::-1], view_of=a)
            self.short.append(self._product(turned, b, (COLUMNS, COLUMNS)))
        elif operation == "total":
            self.vectors.append(self.code.let(f"add.reduce({a}, 0)", [a], (COLUMNS,), new=True, kind=FLOAT))
        elif self.vectors:
            v = self.vectors[second % len(self.vectors)]
            self.long.append(self.code.apply(f"{a} * {v}", "multiply", [a, v], a.shape))

    def _product(self, a: Symbol, b: Symbol, shape: tuple[int, int]) -> Symbol:
        text = f"matmul({a}, {b})"
        return self.code.let(text, [a, b], shape, new=True, kind=FLOAT, products=a.size * shape[1])

    def results(self, count: int) -> list[str]:
        made = [line.target for line in self.code.lines if line.new]
        return list(dict.fromkeys([*made[-count:], *(one.name for one in self.short[-1:] if one.name in made)]))


def loops(code: Code, results: Sequence[str]) -> Iterator[Loop]:
    lines, kept = code.lines_in_turn(results), frozenset(results)
    nbytes = {name: float(8 * symbol.size) for name, symbol in code.symbols.items()}
    program = Program(code, lines)
    for line in [line for line in lines if line.new]:
        for is_narrow in (False, True):
            for axis, steps in enumerate(code.symbols[line.target].shape):
                loop = Loop(Sorting(program, {line.target: Cut(axis, 1)}, steps, is_narrow=is_narrow), kept, nbytes)
                if loop.is_possible:
                    yield loop


def run(code: Code, lines: Sequence[object], results: Sequence[str]) -> Sequence[np.ndarray]:
    made = {line.target for line in lines if line.target}  # type: ignore[attr-defined]
    texts = body(lines, frozenset(results), made)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(ROWS, COLUMNS)), rng.normal(size=(ROWS, COLUMNS)), rng.normal(size=(COLUMNS, COLUMNS))]
    found: Sequence[np.ndarray] = code.compile(function_text(["inputs"], texts, tuple_text(results)))(inputs)
    return found


@settings(max_examples=250, deadline=None)
@given(OPERATIONS, st.integers(1, 3), st.sampled_from([1, 5, 12]))
def test_any_loop_computes_the_same(operations: list[tuple[str, int, int]], count: int, step: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code_module, "LARGE", 1)  # arrays are overwritten as soon as they can be
        written = Lines()
        for operation in operations:
            written.do(*operation)
        code, results = written.code, written.results(count)
        if not results:
            return
        expected = run(code, code.lines_in_turn(results), results)
        for loop in loops(code, results):
            found = run(code, loop.lines(step), results)
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9 * max(1.0, abs(other).max()))


def hosted() -> tuple[Lines, Symbol, Symbol]:
    """A product times an array that is there as a whole, which is what another one is made of."""
    written = Lines()
    written.do("tanh", 0, 0)
    slope = written.long[-1]
    written.do("matmul", 1, 0)
    written.do("multiply", written.long.index(slope), len(written.long) - 1)
    product = written.long[-1]
    written.do("gram", len(written.long) - 1, 0)
    return written, slope, product


def narrow(written: Lines, results: Sequence[str]) -> Loop:
    [loop] = [
        loop for loop in loops(written.code, results)
        if loop.sorting.steps == ROWS and [within.line.products > 0 for within in loop.sorting.within] == [True, False]
    ]  # fmt: skip
    return loop


def test_what_is_put_together_takes_the_memory_of_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_module, "LARGE", 1)
    written, slope, product = hosted()
    results = [written.short[-1].name]
    loop = narrow(written, results)
    assert f"{product} = {slope}" in [line.text for line in loop.lines(5)]
    whole = highest(written.code.lines_in_turn(results), frozenset(results), {product.name: 1.0, slope.name: 1.0})
    in_parts = highest(loop.lines(5), frozenset(results), {product.name: 1.0, slope.name: 1.0})
    assert (whole, in_parts) == (1.0, 1.0)


def test_not_of_what_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is made of it before the loop, and needed after it only, is made before it all the same."""
    monkeypatch.setattr(code_module, "LARGE", 1)
    written, slope, product = hosted()
    written.do("tanh", written.long.index(slope), 0)
    again = written.long[-1]
    written.do("gram", written.long.index(product), written.long.index(again))
    results = [one.name for one in written.short[-2:]]
    expected = run(written.code, written.code.lines_in_turn(results), results)
    lines = narrow(written, results).lines(5)
    targets = [line.target or "loop" for line in lines]
    assert targets.index(again.name) < targets.index("loop")
    for one, other in zip(run(written.code, lines, results), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_memory_is_told_line_by_line() -> None:
    written = Lines()
    written.do("tanh", 0, 0)
    written.do("matmul", 2, 0)
    written.do("gram", 3, 3)
    lines = written.code.lines_in_turn([written.short[-1].name])
    nbytes = {name: float(8 * symbol.size) for name, symbol in written.code.symbols.items()}
    found = [height for line, height in heights(lines, frozenset([written.short[-1].name]), nbytes) if line.new]
    long, short = 8.0 * ROWS * COLUMNS, 8.0 * COLUMNS**2
    assert found == [long, 2 * long, long + short]  # the view of what is transposed keeps it alive
