"""What a line of a program does to axes, told by its text: which that it reads go along with which that it makes."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from math import isfinite, prod
from typing import Any, NamedTuple

import numpy as np

from jacobian.kernel import syntax
from jacobian.kernel.along import Axes, Labelled, Labels, UnknownError
from jacobian.kernel.code import Code, Symbol
from jacobian.kernel.finite import all_finite, is_bounded
from jacobian.kernel.lines import Line
from jacobian.kernel.pairwise import dots
from jacobian.kernel.primitives import number_or_tie, stable_order
from jacobian.kernel.products import outer
from jacobian.kernel.threads import on_all_cores

_BY_ENTRY = {np.where, np.clip, np.ascontiguousarray, np.real, np.imag, np.conj, outer, number_or_tie}
_ALONG = {np.cumsum, np.cumprod, np.sort, np.argsort, stable_order}  # an axis, the last one unless it is named
_ASKING = {all_finite, is_bounded, isfinite}  # of every entry by itself

Spot = tuple[int, int | None]
"""Where an expression stands in a text."""


class Reading(NamedTuple):
    """A line, read: the axes of what it reads, and writes to, and of what it makes; their labels are its own.

    Of what is `summed` the parts add up; what is `whole` has none. Where the text says a shape, or how many entries an
    array has, `shapes` and `counts` tell of which axes and of which array; `written` is the array that is written to.
    """

    operands: Mapping[str, Axes]
    made: Axes | None
    summed: frozenset[int]
    whole: frozenset[int]
    shapes: Mapping[Spot, Axes]
    counts: Mapping[Spot, str]
    written: str


def read(code: Code, line: Line) -> Reading | None:
    """A line of a program, read; None where it does more than is known here."""
    try:
        [tree] = syntax.statements(line.text).body
        return _Reader(code).read(tree)
    except (UnknownError, ValueError, TypeError, IndexError, KeyError, AttributeError):
        return None  # nobody has thought of such a line: what it does is done as a whole


class _Reader:
    """Goes through the text of one line."""

    def __init__(self, code: Code) -> None:
        self._code = code
        self._labels = Labels()
        self._operands: dict[str, Labelled] = {}
        self._shapes: dict[Spot, Axes] = {}
        self._counts: dict[Spot, str] = {}

    def read(self, tree: ast.stmt) -> Reading:
        """A statement."""
        made, written, summed = None, "", frozenset[int]()
        match tree:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                made = self._array(value)
                summed = made.summed
                if made.shape != self._code.symbols[name].shape:
                    raise UnknownError
            case ast.Assign(targets=[ast.Subscript(ast.Name(id=written), ast.Constant(value=e))], value=value):
                if e is not Ellipsis:
                    raise UnknownError
                self._write(written, self._array(value))
            case ast.AugAssign(target=ast.Name(id=written), op=ast.Add(), value=value):
                summed = self._write_sum(written, self._array(value))
            case ast.Expr(value=ast.Call(keywords=[*_, ast.keyword(arg="out", value=ast.Name(id=written))]) as call):
                summed = self._write_sum(written, self._called(call))
            case ast.If(test=test, body=[_], orelse=[]):
                self._ask(test)
            case _:
                raise UnknownError
        rooted, root = self._labels.rooted, self._labels.root
        return Reading(
            {name: rooted(array.axes) for name, array in self._operands.items()},
            None if made is None else rooted(made.axes), frozenset(map(root, summed)), self._labels.whole,
            {spot: rooted(axes) for spot, axes in self._shapes.items()}, self._counts, written,
        )  # fmt: skip

    def _write(self, place: str, array: Labelled) -> None:
        of = self._named(place)
        if self._labels.by_entry([of, array]).shape != of.shape:
            raise UnknownError

    def _write_sum(self, place: str, array: Labelled) -> frozenset[int]:
        """Write to a place what may be a sum: then parts of it are added there."""
        self._write(place, array._replace(summed=frozenset()))
        return array.summed

    # -- expressions ------------------------------------------------------------------------------------------------

    def _found(self, name: str) -> Any:
        return self._code.symbols.get(name, self._code.constants.get(name))

    def _named(self, name: str) -> Labelled:
        """What a name of the program stands for."""
        if name not in self._operands:
            found = self._found(name)
            if not isinstance(found, np.ndarray | np.generic | Symbol):
                raise UnknownError
            self._operands[name] = self._labels.array(found.shape)
        return self._operands[name]

    def _value(self, node: ast.expr) -> Any:
        """A value that a text says, or has a name for."""
        if isinstance(node, ast.Name) and node.id in self._code.constants:
            return self._code.constants[node.id]
        return ast.literal_eval(node)

    def _array(self, node: ast.expr) -> Labelled:
        labels = self._labels
        match node:
            case ast.Name(id=name):
                return self._named(name)
            case ast.Constant(value=int() | float()):
                return labels.array(())
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return labels.by_entry([self._array(operand)])
            case ast.BinOp(left=left, op=ast.MatMult(), right=right):
                return labels.product(self._array(left), self._array(right))
            case ast.BinOp(left=left, right=right) | ast.Compare(left=left, comparators=[right]):
                return labels.by_entry([self._array(left), self._array(right)])
            case ast.Attribute(value=value, attr="T"):
                array = self._array(value)
                return labels.turned(array, range(len(array.shape))[::-1])
            case ast.Subscript(value=value, slice=key):
                return self._subscript(self._array(value), key)
            case ast.Call(keywords=[*_, ast.keyword(arg="out")]):
                raise UnknownError
            case ast.Call():
                return self._called(node)
        raise UnknownError

    def _called(self, node: ast.Call) -> Labelled:
        words = {str(word.arg): word.value for word in node.keywords if word.arg not in ("out", "order")}
        function, args = node.func, list(node.args)
        if isinstance(function, ast.Attribute):
            owner = self._code.constants.get(function.value.id) if isinstance(function.value, ast.Name) else None
            if not isinstance(owner, np.ufunc):
                return self._method(node, self._array(function.value), function.attr, args)
            called = getattr(owner, function.attr)
        else:
            called = self._value(function)
        if called is on_all_cores:
            called = self._value(args.pop(0))
        if called is np.copyto:
            return self._array(*args)
        return self._result(called, args, {word: ast.literal_eval(value) for word, value in words.items()})

    def _method(self, node: ast.Call, array: Labelled, name: str, args: Sequence[ast.expr]) -> Labelled:
        given = [] if name == "dot" else [self._value(one) for one in args if not self._is_array(one)]
        match name, given:
            case "dot", _:
                return self._dot(array, self._array(args[0]))
            case "reshape", [shape]:
                found = self._labels.reshaped(array, shape)
                self._shapes[spot(node)] = found.axes
                return found
            case "transpose", [tuple() | list() as order] | order:
                return self._labels.turned(array, order)
            case "take", [0]:
                return self._labels.taken(array, [self._positions(args[0])])
            case "astype", [_]:
                return self._labels.by_entry([array])
        raise UnknownError

    def _is_array(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and isinstance(self._found(node.id), np.ndarray | Symbol)

    def _positions(self, node: ast.expr) -> Labelled:
        """An array of positions: one of truths picks as many entries as there are."""
        assert isinstance(node, ast.Name)
        found = self._found(node.id)
        kind = found.kind if isinstance(found, Symbol) else found.dtype
        if kind is None or kind.kind not in "iu":
            raise UnknownError
        return self._named(node.id)

    def _dot(self, left: Labelled, right: Labelled) -> Labelled:
        if len(left.shape) > 2 or len(right.shape) > 2:
            raise UnknownError
        return self._labels.product(left, right)

    def _result(self, function: Any, args: Sequence[ast.expr], words: Mapping[str, Any]) -> Labelled:
        """What a function gives."""
        labels, owner = self._labels, getattr(function, "__self__", None)
        if isinstance(owner, np.ufunc) or function in _ALONG:
            return self._along(function, owner, self._array(args[0]), list(map(ast.literal_eval, args[1:])), words)
        if words:
            raise UnknownError
        if function is np.broadcast_to:
            shape = labels.array(ast.literal_eval(args[1]), whole=True)
            return labels.by_entry([self._array(args[0]), shape])
        if function is np.swapaxes:
            array, (one, other) = self._array(args[0]), map(ast.literal_eval, args[1:])
            order = list(range(len(array.shape)))
            order[one], order[other] = order[other], order[one]
            return labels.turned(array, order)
        if function is np.concatenate and isinstance(args[0], ast.Tuple):
            return labels.joined(list(map(self._array, args[0].elts)), *map(ast.literal_eval, args[1:]))
        if function is np.einsum:
            return labels.einsum(ast.literal_eval(args[0]), list(map(self._array, args[1:])))
        if function is np.array and isinstance(args[0], ast.Call):
            return self._array(args[0])
        return self._of_arrays(function, list(map(self._array, args)))

    def _along(
        self, function: Any, ufunc: Any, array: Labelled, axis: Sequence[Any], words: Mapping[str, Any]
    ) -> Labelled:  # fmt: skip
        """What a function that goes along an axis gives."""
        given = {**dict(zip(("axis",), axis, strict=False)), **words}
        if given.keys() - {"axis", "keepdims"} or len(axis) > 1:
            raise UnknownError
        if function in _ALONG or function.__name__ == "accumulate":
            return self._labels.along(array, given.get("axis"))
        if function.__name__ == "reduce":
            return self._labels.reduced(array, adds=ufunc is np.add, **{"axis": 0, **given})
        raise UnknownError

    def _of_arrays(self, function: Any, operands: Sequence[Labelled]) -> Labelled:
        """What a function of nothing but arrays gives."""
        by_name: dict[Any, Callable[..., Labelled]] = {np.matmul: self._labels.product, np.dot: self._dot}
        if function in by_name:
            return by_name[function](*operands)
        if function in (dots, np.vdot):
            left, right = operands
            return self._labels.inner(left, right, 1 if function is dots else len(left.shape))
        is_by_entry = isinstance(function, np.ufunc) and function.signature is None and function.nout == 1
        if is_by_entry or function in _BY_ENTRY:
            return self._labels.by_entry(operands)
        raise UnknownError

    def _subscript(self, array: Labelled, node: ast.expr) -> Labelled:
        nodes = node.elts if isinstance(node, ast.Tuple) else [node]
        if nodes and all(map(self._is_array, nodes)):
            return self._labels.taken(array, list(map(self._positions, nodes)))
        parts = [part for one in nodes for part in self._parts(one)]
        if all(isinstance(part, int | slice) or part is None or part is Ellipsis for part in parts):
            return self._labels.picked(array, parts)
        raise UnknownError

    def _parts(self, node: ast.expr) -> Sequence[Any]:
        """What part of an index says: a name may stand for all of one."""
        if isinstance(node, ast.Slice):
            ends = (node.lower, node.upper, node.step)
            return [slice(*(None if one is None else ast.literal_eval(one) for one in ends))]
        value = self._value(node)
        return value if isinstance(value, tuple) else [value]

    # -- questions --------------------------------------------------------------------------------------------------

    def _ask(self, test: ast.expr) -> None:
        """A question that holds anywhere if it does in some part, or everywhere if it does in all of them."""
        match test:
            case ast.UnaryOp(op=ast.Not(), operand=ast.BoolOp(op=ast.Or(), values=[ast.Compare(left=squares), more])):
                self._array(squares)  # of all entries they are no less than of some
                self._ask_of(more, _ASKING)
            case ast.UnaryOp(op=ast.Not(), operand=question):
                self._ask_of(question, _ASKING)
            case ast.Compare(left=count, ops=[ast.NotEq()], comparators=[ast.Constant(value=number)]):
                name = self._ask_of(count, {np.count_nonzero})
                if number != prod(self._named(name).shape):
                    raise UnknownError
                self._counts[spot(test)] = name
            case _:
                self._ask_of(test, {np.count_nonzero})

    def _ask_of(self, question: ast.expr, functions: set[Any]) -> str:
        """A question asked by one of the functions; of which array."""
        match question:
            case ast.Call(func=function, args=[ast.Name(id=name)], keywords=[]):
                if self._value(function) in functions:
                    self._named(name)
                    return name
        raise UnknownError


def spot(node: ast.expr) -> Spot:
    """Where an expression stands."""
    return node.col_offset, node.end_col_offset
