"""Which axes go along is told right: parts of what a line makes are what it makes of parts."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from jacobian.kernel.along import Axes
from jacobian.kernel.axes import read
from jacobian.kernel.code import Code, Symbol
from jacobian.kernel.finite import all_finite, is_bounded
from jacobian.kernel.lines import Line
from jacobian.kernel.pairwise import dots
from jacobian.kernel.primitives import stable_order
from jacobian.kernel.products import outer

SHAPES = {
    "a": (4, 6), "b": (4, 6), "c": (6, 8), "row": (1, 6), "column": (4, 1), "v": (6,), "w": (6,), "cube": (4, 6, 2),
    "stack": (4, 6, 6), "more": (4, 6, 3),
}  # fmt: skip
NAMED: dict[str, Any] = {
    "tanh": np.tanh, "where": np.where, "cumsum": np.cumsum, "sort": np.sort, "ordered": stable_order,
    "largest": np.maximum.reduce,
    "dots": dots, "outer": outer, "swapaxes": np.swapaxes, "key": (slice(None), None), "first": 0,
    "order": np.array([2, 0, 1]), "turn": [2, 0, 1], "up": np.array([0, 1, 2]),
    "truths": np.ones((4, 6), bool), "dot": np.dot, "running": np.add.accumulate,
}  # fmt: skip

MADE = [
    "a + b", "a * row", "column / a", "-a", "tanh(a)", "a ** (2)", "a > b", "where(a > b, a, row)", "a.T",
    "a.transpose(1, 0)", "cube.transpose((2, 0, 1))", "cube.transpose(turn)",
    "a.dot(c)", "a @ c", "matmul(a, c)", "matmul(stack, more)",
    "v.dot(w)", "a.dot(v)", "v.dot(c)", "dot(a, c)", "matmul(stack, v)", "vdot(a, b)", "add.reduce(a, 1)",
    "add.reduce(a, 0)", "add.reduce(a, axis=(None))", "add.reduce(cube, (0, 2))",
    "add.reduce(a, axis=1, keepdims=True)",
    "largest(a, 1)", "largest(a, axis=(0), keepdims=(True))", "cumsum(a, axis=(1))", "sort(a, axis=(-1))",
    "ordered(a, (1))",
    "add.accumulate(a, -1)", "running(a, 0)", "a.reshape((24,))", "cube.reshape((24, 2))", "cube.reshape((4, 12))",
    "cube.reshape((2, 2, 12))", "a.reshape((8, 3))", "c.reshape((2, 3, 1, 8))", "a[key]", "a[:, None, :]", "a[first]",
    "a[..., 0]", "a[1:3]", "a[::2]", "cube[0:4, :, 1]", "a[order]", "a[order, up]", "a.take(order, 0)",
    "einsum('ij,jk->ik', a, c)", "einsum('ij,ij->i', a, b)", "einsum('ij->ji', a)", "einsum('ij,ik->kj', a, b)",
    "dots(a, b)", "outer(column, row)", "swapaxes(cube, (0), (2))", "array(broadcast_to(row, (4, 6)), order='C')",
    "ascontiguousarray(a)", "multiply(a, row, order='C')", "a.astype(kind)", "(a + b) * add.reduce(c, 1)",
    "concatenate((a, b), (1))", "concatenate((a, row), (0))", "concatenate((a, b, a), (-1))",
    "matmul(a, c) + (1.5)", "tanh(a.dot(c))", "a.dot(c).reshape((32,))",
]  # fmt: skip

WRITTEN = [
    ("place[...] = {a}", "a"), ("place += {a}", "a"), ("multiply({a}, row, out=place)", "a"),
    ("matmul({a}, c, out=product)", "a"), ("product += {a}.dot(c)", "a"),
    ("on_all_cores(add, place, {a}, out=place)", "a"),
    ("on_all_cores(copyto, {a}, out=place)", "a"),
]  # fmt: skip

UNKNOWN = [
    "inv(stack)", "[a, b]", "a[truths]", "a.reshape((4, 7))", "a.take(order)", "cumsum(a)",
    "a[order, 0]", "add.outer(v, w)", "a.sum()", "nobody + a", "frexp(a)", "stack.dot(v)", "add.reduce(a, 1, None)",
    "a[0, 0, 0]", "add(a, b, out=a) + b", "clip(a, out=b)",
]  # fmt: skip


def code_of(**more: tuple[int, ...]) -> tuple[Code, dict[str, np.ndarray]]:
    """A program's names, and arrays for them."""
    code, rng = Code(), np.random.default_rng(3)
    code.constants |= NAMED | {"kind": np.dtype(np.float32), "inv": np.linalg.inv, "concatenate": np.concatenate}
    code.constants |= {"frexp": np.frexp, "clip": np.clip}
    arrays = {name: rng.normal(size=shape) for name, shape in (SHAPES | more).items()}
    code.symbols |= {name: Symbol(name, array.shape) for name, array in arrays.items()}
    return code, arrays


def cut(array: np.ndarray, axes: Axes, label: int, start: int, stop: int) -> np.ndarray:
    """Some steps of an array along a label."""
    for axis, one in enumerate(axes):
        if one is not None and one.label == label:
            entries = [slice(None)] * array.ndim
            entries[axis] = slice(int(start * one.factor), int(stop * one.factor))
            return array[tuple(entries)]
    return array


def steps_of(shapes: list[tuple[tuple[int, ...], Axes]], label: int) -> int:
    """How many steps there are along a label, of which each is a whole number of entries in every array."""
    found = {
        Fraction(shape[axis]) / one.factor
        for shape, axes in shapes for axis, one in enumerate(axes) if one is not None and one.label == label
    }  # fmt: skip
    [steps] = found
    assert steps.denominator == 1
    return int(steps)


@pytest.mark.parametrize("text", MADE)
def test_parts_of_what_is_made(text: str) -> None:
    code, arrays = code_of()
    scope = code.constants | arrays
    whole = eval(text, scope)
    code.symbols["y"] = Symbol("y", np.shape(whole))
    reading = read(code, Line("y", f"y = {text}", frozenset()))
    assert reading is not None and reading.made is not None
    labels = {one.label for axes in reading.operands.values() for one in axes if one is not None}
    for label in labels - reading.whole:
        shapes = [(np.shape(scope[name]), axes) for name, axes in reading.operands.items()]
        shapes += [(np.shape(whole), reading.made)]
        fine = max(
            one.factor.denominator for _, axes in shapes for one in axes if one is not None and one.label == label
        )
        steps = steps_of(shapes, label)
        found = []
        for start, stop in ((0, fine), (fine, steps)):
            parts = {name: cut(scope[name], axes, label, start, stop) for name, axes in reading.operands.items()}
            words = text
            for axes in reading.shapes.values():  # the only one there is
                words = words.replace(str(whole.shape), str(tuple(
                    -1 if one is not None and one.label == label else size
                    for one, size in zip(axes, whole.shape, strict=True)
                )))  # fmt: skip
            found.append(eval(words, scope | parts))
        if label in reading.summed:
            np.testing.assert_allclose(found[0] + found[1], whole, rtol=1e-12, atol=1e-12)
        else:
            [axis] = [k for k, one in enumerate(reading.made) if one is not None and one.label == label]
            np.testing.assert_allclose(np.concatenate(found, axis), whole, rtol=1e-12, atol=1e-12)


def test_something_goes_along_in_most_lines() -> None:
    """So that the test above tests something."""
    free = []
    for text in MADE:
        code, arrays = code_of()
        code.symbols["y"] = Symbol("y", np.shape(eval(text, code.constants | arrays)))
        reading = read(code, Line("y", f"y = {text}", frozenset()))
        assert reading is not None
        labels = {one.label for axes in reading.operands.values() for one in axes if one is not None}
        free += [text] if labels - reading.whole else []
    assert len(free) > 0.9 * len(MADE)


@pytest.mark.parametrize(("text", "operand"), WRITTEN)
def test_what_is_written_goes_along_with_its_place(text: str, operand: str) -> None:
    code, _ = code_of(place=(4, 6), product=(4, 8))
    reading = read(code, Line("", text.format(a=operand), frozenset()))
    assert reading is not None and reading.made is None
    place = reading.operands[reading.written]
    assert place[0] == reading.operands[operand][0] is not None
    assert reading.summed == ({reading.operands["c"][0].label} if "c" in reading.operands else frozenset())  # type: ignore[union-attr]


@pytest.mark.parametrize("text", UNKNOWN)
def test_what_is_not_known_is_not_read(text: str) -> None:
    code, _ = code_of()
    code.symbols["y"] = Symbol("y", (4, 6))
    assert read(code, Line("y", f"y = {text}", frozenset())) is None


def test_a_line_that_makes_another_shape_than_the_program_says_is_not_read() -> None:
    code, _ = code_of()
    code.symbols["y"] = Symbol("y", (6, 4))
    assert read(code, Line("y", "y = a + b", frozenset())) is None


@pytest.mark.parametrize(
    ("text", "is_known"),
    [
        ("if not (vdot(a, a) < bound or bounded(a)): raise OtherwiseError", True),
        ("if not finite(a): raise OtherwiseError", True),
        ("if not usual(a): raise OtherwiseError", False),
        ("if count_nonzero(a) != 24: say(a == 0)", True),
        ("if count_nonzero(a) != 23: say(a == 0)", False),
        ("if count_nonzero(a): say(a)", True),
        ("if first: say(a)", False),
    ],
)
def test_questions(text: str, is_known: bool) -> None:
    code, _ = code_of()
    code.constants |= {"finite": all_finite, "bounded": is_bounded, "bound": 1.0, "usual": np.all, "say": print}
    assert (read(code, Line("", text, frozenset(), check=True)) is not None) == is_known
