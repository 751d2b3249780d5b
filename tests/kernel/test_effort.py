"""The effort of a program tells which of several is the quickest, from its lines alone."""

import numpy as np
import pytest

from jacobian.kernel import code
from jacobian.kernel.code import Code, Symbol
from jacobian.kernel.effort import effort
from jacobian.kernel.pairwise import pair
from jacobian.kernel.pattern import Shape
from jacobian.kernel.places import Named, Target, copied

DTYPE = np.dtype(np.float64)


def written(shape: Shape, into: Shape, strides: Shape, times: int = 1) -> float:
    """The effort of writing an array to a view of a result, and of adding others to the same view."""
    program = Code()
    full = program.result("zeros", into, DTYPE)
    for nth in range(times):
        target = Target(full, tuple(range(len(shape))), strides, 0, program.constant(DTYPE), 8, fresh=not nth)
        copied(program, Named(Symbol(f"a{nth}", shape), target.labels), target, dict(enumerate(shape)))
    return effort(program, [str(full)])


def test_a_diagonal_takes_more_than_as_many_neighbours() -> None:
    n = 2**13
    assert written((n,), (n, n), (8 * (n + 1),)) > 5 * written((n,), (n, n), (8,))


def test_a_small_diagonal_stays_in_the_cache() -> None:
    assert written((100,), (100, 100), (808,)) == written((100,), (100, 100), (8,))


def test_adding_where_it_is_far_takes_as_long_again() -> None:
    n = 2**13
    once, twice = (written((n,), (n, n), (8 * (n + 1),), times) for times in (1, 2))
    assert twice > 1.9 * once


def test_only_lines_that_are_needed_count() -> None:
    program = Code()
    a = program.let("inputs[0]", (), (100, 100))
    wanted = program.apply(f"{a} * 2", "multiply", [a, "2"], a.shape)
    before = effort(program, [str(wanted)])
    program.apply(f"{a} * 3", "multiply", [a, "3"], a.shape)
    assert effort(program, [str(wanted)]) == before


def product(left: Shape, right: Shape, out: tuple[int, ...] = (0, 1, 2)) -> float:
    """The effort of a product over axes 0, 1 and 2, where each operand has the axes of which it has more than one."""
    program, sizes = Code(), {0: 60, 1: 60, 2: 60}
    operands = []
    for place, shape in enumerate((left, right)):
        symbol = program.let(f"inputs[{place}]", (), tuple(size for size in shape if size > 1))
        operands.append(Named(symbol, tuple(axis for axis, size in enumerate(shape) if size > 1)))
    result = pair(program, *operands, set(out), out, sizes)
    return effort(program, [str(result.symbol)])


def test_short_inner_loops_take_longer() -> None:
    assert product((60, 60, 1), (1, 60, 60)) > product((60, 1, 1), (1, 60, 60))


def test_a_matrix_product_takes_its_multiplications() -> None:
    program = Code()
    symbols = [program.let(f"inputs[{place}]", (), (300, 300)) for place in range(2)]
    pair(program, Named(symbols[0], (0, 1)), Named(symbols[1], (1, 2)), {0, 2}, (0, 2), dict.fromkeys(range(3), 300))
    (line,) = [line for line in program.lines if line.products]
    assert line.products == 300**3


def test_what_is_zeroed_before_memory_is_used_again_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "WORTHWHILE", 1)
    monkeypatch.setattr(code, "FILLED", 1)
    n = 2**13
    program = Code(reused={})
    full = program.result("zeros", (n, n), DTYPE)
    before = effort(program, [str(full)])
    [memory] = program.memories([str(full)])
    assert memory is not None
    place = ((n,), 0, (8 * (n + 1),))
    memory.added_to(place)
    after = effort(program, [str(full)])
    assert after > before
    memory.added_to(place)
    assert effort(program, [str(full)]) == after


def test_nothing_takes_next_to_nothing() -> None:
    assert written((0, 3), (0, 3), (24, 8)) < written((1, 3), (1, 3), (24, 8))


def test_many_small_products_take_longer_than_a_large_one() -> None:
    efforts = []
    for shapes in (((4000, 3, 2), (4000, 2, 3)), ((3, 8000), (8000, 3))):
        program = Code()
        left, right = (program.let(f"inputs[{k}]", (), shape) for k, shape in enumerate(shapes))
        shape = (*shapes[0][:-1], shapes[1][-1])
        made = program.let(f"matmul({left}, {right})", [left, right], shape, new=True, products=72_000)
        efforts.append(effort(program, [str(made)]))
    assert efforts[0] > 5 * efforts[1]


def test_numbers_take_less_than_arrays() -> None:
    efforts = []
    for shape in ((), (2,)):
        program = Code()
        x = program.let("inputs[0]", (), (3, *shape))
        a, b = (program.let(f"{x}[{k}]", [x], shape) for k in range(2))
        made = program.let(f"{a} * {b}", [a, b], shape, new=True)
        full = program.result("zeros", (4, *shape), DTYPE)
        program.do(f"{full}[2] = {made}", [made], full)
        efforts.append(effort(program, [str(full)]) - effort(program, [str(x)]))
    number, array = efforts
    assert number < array / 2


def test_a_sum_of_an_array_is_no_line_of_numbers() -> None:
    program = Code()
    x = program.let("inputs[0]", (), (3,))
    total = program.let(f"add.reduce({x})", [x], (), new=True)
    entry = program.let(f"{x}[0]", [x], ())
    assert effort(program, [str(total)]) > 1.5 * effort(program, [str(entry)])
