"""Evaluating a formula in index notation: arrays whose axes are labels, and their arithmetic."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from jacobian.checking.index_notation import (
    Sides,
    captured,
    factors_of,
    is_delta,
    is_repeated_inside,
    is_sum,
    labels_in,
    names_in,
    number_of,
    positions_of,
    summed_labels,
)
from jacobian.errors import ExpressionError, JacobianError, LabelError, ShapeError, report
from jacobian.expressions import Expression, did_you_mean
from jacobian.expressions.vocabulary import COMPARE, CONSTANTS, functions
from jacobian.ops.registry import Op

Array = np.ndarray[Any, np.dtype[Any]]
Values = Mapping[str, Any]


class Labelled(NamedTuple):
    """An array and the label of each of its axes."""

    array: Array
    labels: tuple[str, ...]

    def over(self, labels: Sequence[str]) -> Array:
        """The array with its axes in this order; a label it does not have becomes an axis of length 1."""
        order = [self.labels.index(label) for label in labels if label in self.labels]
        shape = iter(np.transpose(self.array, order).shape)
        return np.transpose(self.array, order).reshape([next(shape) if label in self.labels else 1 for label in labels])


class Evaluation:
    """One formula at one point. Labels get their sizes from the axes at which they stand."""

    def __init__(self, sides: Sides, values: Values, out_shape: tuple[int, ...], in_shape: tuple[int, ...]) -> None:
        self.sides, self.values = sides, values
        self.shape = out_shape + in_shape
        self.sizes: dict[str, tuple[int, str]] = {}
        self.unbalanced: set[str] = set()  # summed although they stand once: a Σ is missing
        self._cache: dict[str, Any] = {}
        self._outside = 0.0
        for forms, shape, name in ((sides.outs, out_shape, sides.out), (sides.ins, in_shape, sides.into)):
            if len(forms) != len(shape):
                self._fail(
                    f"{name} has {len(shape)} axes, but {len(forms)} positions are given", ShapeError,
                    shape=shape, fix=f"d{name}[{','.join('ijklmnpq'[: len(shape)])}]" if shape else f"d{name}",
                )  # fmt: skip
            for form, size in zip(forms, shape, strict=True):
                self._bind(form, size, name)
        self._bind_all(sides.right)

    def tensor(self) -> Array:
        """The full tensor that the formula states."""
        labels = tuple(sorted(self.sides.free))
        right = self._term(self.sides.right, frozenset(labels))
        tensor = np.zeros(self.shape, np.result_type(right.array.dtype, float))
        sizes = [self._size(label) for label in labels]
        values = np.broadcast_to(right.over(labels), sizes)
        places, inside = [], np.ones(sizes, bool)
        for form, size in zip((*self.sides.outs, *self.sides.ins), self.shape, strict=True):
            place = np.broadcast_to(self._position(form).over(labels), sizes)
            inside = inside & (place >= 0) & (place < size)
            places.append(place)
        if places:
            np.add.at(tensor, tuple(place[inside] for place in places), values[inside])
        else:
            tensor = tensor + values
        return tensor

    # -- sizes ------------------------------------------------------------------------------------------------------

    def _bind_all(self, node: ast.AST) -> None:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Subscript) and not is_delta(inner.value, self.values):
                array = self._plain(inner.value)
                positions = positions_of(inner)
                if array.ndim != len(positions):
                    shown = f"{ast.unparse(inner.value)} has {array.ndim} axes"
                    headline = f"{shown}, but {len(positions)} positions are given: {ast.unparse(inner)}"
                    self._fail(headline, ShapeError, shape=array.shape)
                for position, size in zip(positions, array.shape, strict=True):
                    self._bind(position, size, ast.unparse(inner.value))
        for inner in ast.walk(node):
            pair = isinstance(inner, ast.Subscript) and is_delta(inner.value, self.values)
            if pair or (isinstance(inner, ast.Call) and is_delta(inner.func, self.values)):
                self._bind_delta(positions_of(inner))  # type: ignore[arg-type]

    def _bind(self, form: ast.AST, size: int, where: str) -> None:
        number = number_of(form)
        if number is not None and not 0 <= number < size:
            self._fail(f"there is no position {number} on an axis of {where} that has {size}", ShapeError)
        if number is None and isinstance(form, ast.Constant):
            self._fail(f"{form.value!r} is not a position", fix="labels, whole numbers, +, - and *")
        if not isinstance(form, ast.Name):
            return
        old = self.sizes.setdefault(form.id, (size, where))
        if old[0] != size:
            bound = ", ".join(f"{label}={known} (from {source})" for label, (known, source) in self.sizes.items())
            self._fail(f"label {form.id} is {old[0]} in {old[1]} but {size} in {where}", ShapeError, bound=bound)

    def _bind_delta(self, pair: Sequence[ast.expr]) -> None:
        if len(pair) != 2:
            self._fail(f"δ takes two positions, not {len(pair)}")
        for one, other in (pair, pair[::-1]):
            if isinstance(one, ast.Name) and isinstance(other, ast.Name) and other.id in self.sizes:
                self.sizes.setdefault(one.id, self.sizes[other.id])

    def _size(self, label: str) -> int:
        if label not in self.sizes:
            close = did_you_mean(label, [*self.values, *self.sizes])
            fix = close or f"let it stand alone at an axis, as in A[{label}]"
            self._fail(f"label {label} has no size: no axis is indexed by it alone", fix=fix)
        return self.sizes[label][0]

    # -- values -----------------------------------------------------------------------------------------------------

    def _term(self, node: ast.AST, outer: frozenset[str]) -> Labelled:
        """A sum of products; in each product what is not known outside is summed."""
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            apply = operator.add if isinstance(node.op, ast.Add) else operator.sub
            return _apply(apply, self._term(node.left, outer), self._term(node.right, outer))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            inner = self._term(node.operand, outer)
            return Labelled(-inner.array if isinstance(node.op, ast.USub) else inner.array, inner.labels)
        return self._product(node, outer)

    def _product(self, node: ast.AST, outer: frozenset[str]) -> Labelled:
        factors = factors_of(node)
        here: list[str] = []
        for label in labels_in(node, self.values):
            holders = [factor for factor, _ in factors if labels_in(factor, self.values)[label]]
            if label in outer or (len(holders) == 1 and is_repeated_inside(holders[0], label, self.values)):
                continue
            here.append(label)
            if sum(self._weight(factor, label) for factor in holders) < 2:
                self.unbalanced.add(label)
        known = outer | set(here)
        found = [((self._divisor if below else self._value)(factor, known), below) for factor, below in factors]
        labels = tuple(dict.fromkeys(label for value, _ in found for label in value.labels))
        numbers = {label: place for place, label in enumerate(labels)}
        operands: list[Any] = []
        for value, below in found:
            operands += [1.0 / value.array if below else value.array * 1.0, [numbers[label] for label in value.labels]]
        kept = [label for label in labels if label not in here]
        missing = [label for label in here if label not in labels]  # Σ_j of what does not hold j: n times
        array = np.einsum(*operands, [numbers[label] for label in kept], optimize="greedy")
        for label in missing:
            array = array * self._size(label)
        return Labelled(np.asanyarray(array), tuple(kept))

    def _divisor(self, factor: ast.AST, outer: frozenset[str]) -> Labelled:
        self._outside, before = np.inf, self._outside
        try:
            return self._value(factor, outer)
        finally:
            self._outside = before

    def _weight(self, factor: ast.AST, label: str) -> int:
        """How often a label counts as standing in a factor: twice in a square."""
        power = isinstance(factor, ast.BinOp) and isinstance(factor.op, ast.Pow)
        return labels_in(factor, self.values)[label] + power

    def _value(self, node: ast.AST, outer: frozenset[str]) -> Labelled:
        if isinstance(node, ast.Call) and is_sum(node):
            return self._explicit_sum(node, outer)
        if not labels_in(node, self.values) and not self._uses_labels(node):
            return self._scalar(node)
        match node:
            case ast.BinOp(op=ast.Add() | ast.Sub()) | ast.UnaryOp():
                return self._term(node, outer)
            case ast.BinOp(op=ast.Mult() | ast.Div()):
                return self._product(node, outer)
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return _apply(_power, self._term(left, outer), self._term(right, outer))
            case ast.Subscript(value=value) if is_delta(value, self.values):
                return self._delta(positions_of(node))
            case ast.Call(func=func) if is_delta(func, self.values):
                return self._delta(positions_of(node))
            case ast.Subscript():
                return self._read(node)
            case ast.Name(id=name):
                return Labelled(np.arange(self._size(name)), (name,))
            case ast.List(elts=[condition]):
                return self._value(condition, outer)
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                return self._comparison([left, *comparators], ops, outer)
            case ast.Call():
                return self._call(node, outer)
        self._fail(f"{ast.unparse(node)} cannot be used in a formula")

    def _uses_labels(self, node: ast.AST) -> bool:
        return any(name in self.sizes and name not in self.values for name in names_in(node))

    def _explicit_sum(self, node: ast.Call, outer: frozenset[str]) -> Labelled:
        labels = summed_labels(node)
        unbalanced = set(self.unbalanced)
        value = self._term(node.args[1], (outer - set(labels)) | set(labels))
        self.unbalanced = unbalanced | (self.unbalanced - set(labels))
        kept = [label for label in value.labels if label not in labels]
        times = 1
        for label in labels:
            if label not in value.labels:
                times *= self._size(label)
        axes = tuple(value.labels.index(label) for label in labels if label in value.labels)
        return Labelled(value.array.sum(axis=axes) * times, tuple(kept))

    def _delta(self, pair: Sequence[ast.expr]) -> Labelled:
        return _apply(operator.eq, self._position(pair[0]), self._position(pair[1]))

    def _comparison(self, parts: Sequence[ast.expr], ops: Sequence[ast.cmpop], outer: frozenset[str]) -> Labelled:
        values = [self._position(part) if self._is_position(part) else self._term(part, outer) for part in parts]
        result = Labelled(np.asarray(1.0), ())
        for op, left, right in zip(ops, values, values[1:], strict=False):
            result = _apply(operator.mul, result, _apply(COMPARE[type(op)][1], left, right))
        return result

    def _is_position(self, node: ast.AST) -> bool:
        """Whether it is one here, where a name may also be that of a scalar input."""
        return is_position(node) and not any(name in self.values and name not in self.sizes for name in names_in(node))

    def _position(self, form: ast.AST) -> Labelled:
        """A position as whole numbers: labels, numbers, and their sums and products."""
        match form:
            case ast.Constant(value=int(value)):
                return Labelled(np.asarray(value), ())
            case ast.Name(id=name):
                return Labelled(np.arange(self._size(name)), (name,))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self._position(operand)
                return Labelled(-inner.array, inner.labels)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _WHOLE:
                return _apply(_WHOLE[type(op)], self._position(left), self._position(right))
            case ast.Subscript():
                looked_up = self._read(form)
                return Labelled(looked_up.array.astype(int), looked_up.labels)
        self._fail(f"{ast.unparse(form)} is not a position", fix="labels, whole numbers, +, - and *")

    def _read(self, node: ast.Subscript) -> Labelled:
        """`A[i, j + 1]`; what lies outside the array is 0, and so is what is divided by it."""
        array = self._plain(node.value)
        places = [self._position(position) for position in positions_of(node)]
        labels = tuple(dict.fromkeys(label for place in places for label in place.labels))
        sizes = [self._size(label) for label in labels]
        inside = np.ones(sizes, bool)
        read: list[Array] = []
        for place, size in zip(places, array.shape, strict=True):
            at = np.broadcast_to(place.over(labels), sizes)
            inside = inside & (at >= 0) & (at < size)
            read.append(np.clip(at, 0, size - 1))
        return Labelled(np.where(inside, array[tuple(read)], self._outside), labels)

    def _call(self, node: ast.Call, outer: frozenset[str]) -> Labelled:
        name = ast.unparse(node.func)
        function = functions().get(name)
        if function is None:
            self._fail(f"{name} is not a function a formula may use", fix=did_you_mean(name, functions()))
        elementwise = isinstance(function, np.ufunc) or (isinstance(function, Op) and function.family == "elementwise")
        if not (elementwise or name.rpartition(".")[2] in ("where", "clip")) or node.keywords:
            self._fail(f"{name} works on whole arrays, not on entries", fix=f"take the entry outside: {name}(x)[i]")
        return _apply(function, *(self._term(argument, outer) for argument in node.args))

    def _scalar(self, node: ast.AST) -> Labelled:
        array = self._plain(node)
        if array.ndim:
            letters = ",".join("ijklmn"[: array.ndim])
            shown = ast.unparse(node)
            self._fail(
                f"{shown} has {array.ndim} axes, but no positions are given", ShapeError,
                shape=array.shape, fix=f"{shown}[{letters}]",
            )  # fmt: skip
        return Labelled(array, ())

    def _plain(self, node: ast.AST) -> Array:
        """What holds no label, as an ordinary expression."""
        text = ast.unparse(node)
        if text not in self._cache:
            names = [name for name in dict.fromkeys(names_in(node)) if name in self.values]
            unknown = [
                n for n in names_in(node) if n not in self.values and n not in CONSTANTS and n not in _functions()
            ]
            if unknown:
                known = ", ".join(self.values)
                fix = did_you_mean(unknown[0], [*self.values, *functions()]) or captured(unknown[0])
                self._fail(f"{unknown[0]} is not known", known=known, fix=fix)
            try:
                value = Expression(text, names)(*(self.values[name] for name in names))
            except JacobianError as error:
                if isinstance(error, ExpressionError) and "formula:" not in str(error):
                    raise ExpressionError(f"{error}\n  formula: {self.sides.text}") from None
                raise
            self._cache[text] = np.asanyarray(value)
        found: Array = self._cache[text]
        return found

    def _fail(self, headline: str, kind: type[JacobianError] = LabelError, **lines: Any) -> NoReturn:
        fix = lines.pop("fix", None)
        raise kind(report(headline, formula=self.sides.text, **lines, fix=fix))


def is_position(node: ast.AST) -> bool:
    """Whether a side of a comparison speaks of positions alone, as in `i < j + 1`, not of values, as in `x[i] > 0`."""
    return not any(
        isinstance(inner, ast.Subscript | ast.Call | ast.Div | ast.Pow)
        or (isinstance(inner, ast.Constant) and not isinstance(inner.value, int))
        for inner in ast.walk(node)
    )


def _functions() -> set[str]:
    return {name.partition(".")[0] for name in functions()}


_WHOLE: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip


def _power(base: Array, exponent: Array) -> Array:
    base = base if base.dtype.kind in "fc" else np.asarray(base, float)
    return np.asanyarray(np.power(base, exponent))


def _apply(function: Callable[..., Any], *values: Labelled) -> Labelled:
    """A function of entries, on arrays whose axes are brought together by label."""
    labels = tuple(dict.fromkeys(label for value in values for label in value.labels))
    return Labelled(np.asanyarray(function(*(value.over(labels) for value in values))), labels)
