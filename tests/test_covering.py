"""Formulas of what covers only part of an axis, read entry by entry: they give the Jacobian, and read nothing else."""

from __future__ import annotations

import ast
import pickle
import re
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.kernel.meanings import WORD, text_of

MATHS: dict[str, Any] = {name: getattr(np, name) for name in "sin cos exp tanh concatenate pad sum transpose".split()}
N = 5
X = np.linspace(0.4, 1.9, N)
A = np.arange(1.0, N * N + 1).reshape(N, N) % 7 - 2.5


class Reader:
    """One formula, at one assignment of its labels."""

    def __init__(self, arrays: Mapping[str, Any], labels: dict[str, int]) -> None:
        self.arrays, self.labels = arrays, labels

    def value(self, node: ast.expr) -> Any:
        """A sum of products: of those with an indicator that is 0 nothing else is read."""
        match node:
            case ast.BinOp(op=ast.Add()):
                return self.value(node.left) + self.value(node.right)
            case ast.BinOp(op=ast.Sub()):
                return self.value(node.left) - self.value(node.right)
            case ast.UnaryOp():
                return -self.value(node.operand)
            case ast.BinOp(op=ast.Mult() | ast.Div()):
                factors = factors_of(node)
                if any(is_indicator(one) and not self.indicator(one) for one, _ in factors):
                    return 0.0
                return np.prod([1 / self.value(one) if below else self.value(one) for one, below in factors])
            case ast.BinOp(op=ast.Pow()):
                return self.value(node.left) ** self.value(node.right)
            case ast.Call(func=ast.Name(id="Σ"), args=[ast.Constant(value=str(names)), inner]):
                return self.summed(names.split(","), inner)
            case ast.Call(func=ast.Name(id=name), args=[inner]):
                return MATHS[name](self.value(inner))
            case ast.Constant(value=number):
                return number
            case ast.Name(id=name):
                return self.labels[name] if name in self.labels else self.arrays[name]
            case _ if is_indicator(node):
                return float(self.indicator(node))
            case ast.Subscript(value=ast.Name(id=name)):
                array = self.arrays[name]
                places = self.places(node)
                assert len(places) == array.ndim
                inside = [0 <= place < size for place, size in zip(places, array.shape, strict=True)]
                assert all(inside), ast.unparse(node)
                return array[places]
        raise KeyError(ast.unparse(node))

    def places(self, node: ast.Subscript) -> tuple[int, ...]:
        """The positions between brackets."""
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return tuple(self.value(one) for one in inner)

    def indicator(self, node: ast.expr) -> bool:
        """Whether a δ or a condition holds."""
        if isinstance(node, ast.Subscript):
            one, other = self.places(node)
            return bool(one == other)
        assert isinstance(node, ast.List)
        return bool(eval(ast.unparse(node.elts[0]), {}, dict(self.labels)))

    def summed(self, names: list[str], inner: ast.expr) -> Any:
        """Every label goes as far as the axes of the arrays on which it stands alone."""
        ranges = []
        for name in names:
            sizes = [
                self.arrays[one.value.id].shape[axis]
                for one in ast.walk(inner)
                if isinstance(one, ast.Subscript) and isinstance(one.value, ast.Name) and one.value.id in self.arrays
                for axis, place in enumerate(one.slice.elts if isinstance(one.slice, ast.Tuple) else [one.slice])
                if isinstance(place, ast.Name) and place.id == name
            ]
            ranges.append(range(max(sizes)))
        readers = (
            Reader(self.arrays, self.labels | dict(zip(names, at, strict=True))) for at in product(*ranges)
        )  # fmt: skip
        return sum(reader.value(inner) for reader in readers)


def is_indicator(node: ast.expr) -> bool:
    """Whether it is 0 or 1 by the positions alone."""
    is_delta = isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "δ"
    return is_delta or isinstance(node, ast.List)


def factors_of(node: ast.expr, *, below: bool = False) -> list[tuple[ast.expr, bool]]:
    """The factors of a product, and whether each divides."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
        right = below != isinstance(node.op, ast.Div)
        return factors_of(node.left, below=below) + factors_of(node.right, below=right)
    return [(node, below)]


def parsed(text: str) -> ast.expr:
    """As Python reads it: `[i = 2]` is a comparison, a sum reaches to the next plus or minus outside brackets."""
    text = re.sub(r"\[(\w+) = (\d+)\]", r"[\1 == \2]", text)
    while found := list(re.finditer(r"Σ_([\w,]+) ", text)):
        start, depth = found[-1].end(), 0
        end = len(text)
        for place in range(start, len(text)):
            depth += (text[place] in "([") - (text[place] in ")]")
            if depth < 0 or (depth == 0 and text[place : place + 3] in (" + ", " - ")):
                end = place
                break
        text = f'{text[: found[-1].start()]}Σ("{found[-1][1]}", {text[start:end]}){text[end:]}'
    return ast.parse(text, mode="eval").body


def arrays_of(J: jac.Jacobian) -> dict[str, Any]:
    """The arrays that a formula speaks of, by what they are called in it."""
    found: dict[str, Any] = {}
    spelling = J.spelling
    for factor in (factor for term in J.terms for factor in term.factors):
        here, there = (WORD.findall(text) for text in (spelling.label(factor), text_of(factor, J.names)))
        if len(here) != len(there):
            found[spelling.label(factor)] = factor.array
        for word, own in zip(here, there, strict=False):
            held = None if factor.scope is None else factor.scope.holds(own)
            if held is not None or here == [spelling.label(factor)]:
                found[word] = factor.array if held is None else held
    return found


def read(J: jac.Jacobian) -> np.ndarray:
    """What the formula says, entry by entry; what no assignment of the labels on the left reaches is 0."""
    named = arrays_of(J)
    left, _, right = J.formula.partition(" = ")
    body = parsed(right)
    sides = re.fullmatch(r"∂(?:\w+|\(.*\))(\[.*\])?/∂\w+(\[.*\])?", left)
    assert sides is not None
    forms = [ast.parse(one, mode="eval").body for side in sides.groups() if side for one in side[1:-1].split(",")]
    labels = sorted({one.id for form in forms for one in ast.walk(form) if isinstance(one, ast.Name)})
    found = np.zeros(J.shape)
    for at in product(range(max(J.shape)), repeat=len(labels)):
        reader = Reader(named, dict(zip(labels, at, strict=True)))
        place = tuple(reader.value(form) for form in forms)
        if all(0 <= one < size for one, size in zip(place, J.shape, strict=True)):
            found[place] += reader.value(body)
    return found


def assigned(part: Any, before: int, after: int) -> Any:
    """A part assigned into zeros."""
    whole = np.zeros_like(part, shape=before + len(part) + after)
    whole[before : before + len(part)] = part
    return whole


PLACED: list[Callable[[Any, int, int], Any]] = [
    assigned,
    lambda part, before, after: np.pad(part, (before, after)),
    lambda part, before, after: np.concatenate([np.zeros(before), part, np.zeros(after)]),
]
ELEMENTWISE: list[Callable[[Any], Any]] = [lambda x: 3 * x, lambda x: x**2, np.sin, lambda x: x, lambda x: (1 - x) ** 2]


def program(seed: int) -> Callable[[Any], Any]:
    """A random sum of parts: cut out, mapped, put somewhere; summed or not, some through a matrix."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(rng.integers(1, 4)):
        first, last = sorted(rng.choice(N + 1, 2, replace=False).tolist())
        before = int(rng.integers(N - (last - first) + 1))
        key = slice(first, last) if rng.random() < 0.8 else slice(last - N - 1, first - N - 1 if first else None, -1)
        parts.append((key, rng.integers(len(ELEMENTWISE)), rng.integers(len(PLACED)), before, rng.integers(4)))
    is_total = bool(rng.integers(2))

    def f(x: Any) -> Any:
        total = 0.0
        for key, mapped, placed, before, through in parts:
            part = ELEMENTWISE[mapped](x[key])
            whole = PLACED[placed](part, before, N - before - len(part))
            whole = A @ whole if through == 0 else whole * x if through == 1 else whole
            total = total + (whole**2 if is_total else whole)
        return np.sum(total) if is_total else total

    return f


@pytest.mark.parametrize("seed", range(150))
def test_what_covers_part_of_an_axis_is_told_as_such(seed: int) -> None:
    f = program(seed)
    for J in (jac.jacobian(f)(X), jac.hessian(lambda x: np.sum(f(x)))(X)):
        found = read(J)
        np.testing.assert_allclose(found, np.asarray(J), rtol=1e-9, atol=1e-9, err_msg=f"{J.formula} {J.legend}")


def assigning(x: Any) -> Any:
    """The first two entries, times three, and squares."""
    y = np.zeros_like(x)
    y[:2] = 3 * x[:2]
    return y + x**2


P = np.array([1.0, 2.0, 3.0])
Q = np.arange(9.0).reshape(3, 3) + 0.5
TOLD: list[tuple[Callable[[Any], Any], str]] = [
    (lambda x: np.concatenate([2 * x[:-1], np.zeros(1)]) + x**2, "2 * δ[j,i] * x[i] + 2 * δ[j,i] * [i < 2]"),
    (assigning, "2 * δ[j,i] * x[i] + 3 * δ[j,i] * [i < 2]"),
    (lambda x: np.pad(2 * x[1:], (1, 0)) + x, "δ[j,i] + 2 * δ[j,i] * [i >= 1]"),
    (lambda x: np.pad(2 * x[1:2], (1, 1)) + x, "δ[j,i] + 2 * δ[j,i] * [i = 1]"),
    (lambda x: np.pad(2 * x[:-1], (1, 0)) + x, "δ[j,i] + 2 * δ[i,j + 1]"),
    (lambda x: Q @ np.pad((Q @ x)[:2], (0, 1)), "Σ_k Q[i,k] * Q[k,j] * [k < 2]"),
]


@pytest.mark.parametrize(("f", "right"), TOLD)
def test_a_range_is_told_where_the_axes_do_not_tell_it(f: Callable[[Any], Any], right: str) -> None:
    assert jac.jacobian(f)(P).formula.partition(" = ")[2] == right


def test_ranges_can_be_read_by_verify() -> None:
    assert jac.verify(assigning, P, claim=jac.jacobian(assigning)(P).formula)
    wrong = jac.jacobian(assigning)(P).formula.replace(" * [i < 2]", "")
    assert not jac.verify(assigning, P, claim=wrong)


def test_a_hessian_tells_ranges_and_latex_does() -> None:
    H = jac.hessian(lambda x: np.sum((1 - x[:-1]) ** 2))(P)
    assert H.formula == "∂(∂y/∂x)[i]/∂x[i] = 2 * [i < 2]"
    assert H.latex.endswith(r"= 2\,\left[i \lt 2\right]")
    assert "[i < 2]" in repr(H)


def test_an_array_has_one_name_in_the_hessian() -> None:
    given = jac.hessian(lambda x, A: x @ A @ x)(P, Q)
    captured = jac.hessian(lambda x: 0.5 * np.sum((Q @ x) ** 2))(P)
    assert (given.formula.partition(" = ")[2], given.legend) == ("A[i,j] + A[j,i]", [])
    assert (captured.formula.partition(" = ")[2], captured.legend) == ("Σ_k Q[k,i] * Q[k,j]", [])


def test_equal_arrays_of_one_number_are_not_taken_for_one() -> None:
    ones = np.ones(3)
    H = jac.hessian(lambda x: np.sum(x**2 * (ones @ x)))(ones)
    np.testing.assert_allclose(read(H), np.asarray(H))


def test_the_legend_of_rosenbrock_tells_everything_once() -> None:
    for derive in (jac.jacobian, jac.hessian):
        J = derive(lambda x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))(P)
        np.testing.assert_allclose(read(J), np.asarray(J))
        told = [one.partition(" = ")[2] for one in J.legend]
        assert len(told) == len(set(told)) > 0


def test_the_legend_says_what_is_of_another_run() -> None:
    squared, tanh = jac.jacobian(lambda x: x**3), jac.jacobian(lambda x: np.tanh(Q @ x))
    assert (squared(P) + squared(2 * P)).legend == ["x2 = [2, 4, 6]"]
    assert (tanh(P / 9) + tanh(P / 8)).legend == ["y2 = y of another run"]


def test_the_product_of_all_entries_has_a_formula() -> None:
    assert jac.jacobian(np.prod)(P).formula == "∂y/∂a[i] = y / a[i]"


def test_a_factor_of_two_runs_knows_both() -> None:
    def f(x: Any) -> Any:
        z = np.zeros_like(x)
        z[1:3] = 3 * x[3:5]
        return np.sum((z * x) ** 2)

    H = jac.hessian(f)(X)
    np.testing.assert_allclose(read(H), np.asarray(H))
    assert pickle.loads(pickle.dumps(H)).formula == H.formula


def test_what_is_not_0_beyond_the_end_of_an_array_is_guarded() -> None:
    J = jac.jacobian(lambda x: np.convolve(np.sin(x), np.cos(x)))(X)
    assert J.formula.endswith("- sin(x[i - j]) * sin(x[j]) * [0 <= i - j < 5]")
    np.testing.assert_allclose(read(J), np.asarray(J))
