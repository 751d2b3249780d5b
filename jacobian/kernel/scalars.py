"""Numbers of Python's in a program that works number by number: NumPy's take three times as long.

A number that is read from an array becomes a `float`, and so does what is computed from such alone. Sums, products,
quotients and square roots are the same to the last bit, other functions to rounding. Where anything else is done with
one it is made a number of NumPy's again. Python, too, raises an error where it divides by zero; whether any number has
grown too large otherwise is seen before anything is said or handed out.
"""

from __future__ import annotations

import ast
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np

from jacobian.kernel import syntax
from jacobian.kernel.code import Code
from jacobian.kernel.finite import all_finite, is_bounded

FEWEST = 6  # results that are numbers, from which on it is worth the time of looking for them
INPUTS = "inputs"  # the list of what a program is given
MOST = 2**16  # characters of a program that is looked at


def _sign(x: float) -> float:
    return 1.0 if x > 0 else -1.0 if x < 0 else 0.0


_EXACT: dict[Any, Callable[..., float]] = {np.sqrt: math.sqrt, np.absolute: abs, np.sign: _sign}
_ROUNDED: dict[Any, Callable[..., float]] = {
    np.sin: math.sin, np.cos: math.cos, np.tan: math.tan, np.exp: math.exp, np.log: math.log, np.tanh: math.tanh,
    np.sinh: math.sinh, np.cosh: math.cosh, np.arcsin: math.asin, np.arccos: math.acos, np.arctan: math.atan,
    np.log1p: math.log1p, np.expm1: math.expm1, np.arctan2: math.atan2,
}  # fmt: skip
_TAKING_FLOATS = (all_finite, is_bounded)
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div)


def with_floats(text: str, code: Code, *, exact: bool) -> str:
    """The same program, one function, with numbers of Python's where it computes with single ones.

    Where it need not be exact they may go through functions, too, which Python rounds otherwise.
    """
    if len(text) > MOST or sum(not symbol.shape for symbol in code.symbols.values()) < FEWEST:
        return text
    functions = _EXACT if exact else _EXACT | _ROUNDED
    refused: set[str] = set()
    while True:
        tree = syntax.statements(text)
        [program] = tree.body
        assert isinstance(program, ast.FunctionDef)
        numbers = _Numbers(code, functions, refused)
        body = [numbers.visit(statement) for statement in program.body]
        in_vain = {name for name in numbers.read if numbers.is_in_vain(name)}
        if not in_vain:
            break
        refused |= in_vain
    if len(numbers.names) < FEWEST:
        return text
    lines = [_on_one_line(ast.fix_missing_locations(statement)) for statement in numbers.with_check(body)]
    return "\n    ".join([text.partition("\n")[0], *lines])


def _item(array: ast.expr, *key: int) -> ast.Call:
    """An entry as a number of Python's."""
    return ast.Call(ast.Attribute(array, "item", ast.Load()), [ast.Constant(k) for k in key], [])


def _on_one_line(statement: ast.stmt) -> str:
    """A statement as programs have it: an `if` or a `for` with what alone it does."""
    return ast.unparse(statement).replace(":\n    ", ": ")


class _Numbers(ast.NodeTransformer):
    """Goes through the statements of a program in turn, and knows which names are floats by then."""

    def __init__(self, code: Code, functions: dict[Any, Callable[..., float]], refused: Collection[str]) -> None:
        self._code = code
        self._functions = functions
        self._refused = refused
        self.names: set[str] = set()
        self.uses: Counter[str] = Counter()  # of each in what is a float again
        self.elsewhere: Counter[str] = Counter()  # where it had to be made a number of NumPy's
        self._carried: dict[str, set[str]] = {}  # by which numbers each is infinite, or NaN, as soon as they are
        self.read: set[str] = set()  # from arrays, which NumPy sees to
        self._made: set[str] = set()  # of a number of NumPy's, which takes a line's time more

    # -- what is a number -------------------------------------------------------------------------------------------

    def visit_Assign(self, node: ast.Assign) -> Any:
        """A number becomes one of Python's; anything else is as it was."""
        [target] = node.targets
        if isinstance(target, ast.Name) and target.id not in self._refused and self._is_single(target.id):
            value = self._input(target.id, node.value) or self._number(node.value)
            made = self._single(target.id, node.value) if value is None else None
            if made is not None:
                return ast.copy_location(ast.Assign([target], made), node)
            if value is not None and not isinstance(value, ast.Constant):
                self.names.add(target.id)
                carried = set(_carried(value))
                self._carried[target.id] = carried.union(*map(self._carried.__getitem__, carried))
                if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
                    self.read.add(target.id)
                self.uses.update(name.id for name in ast.walk(value) if isinstance(name, ast.Name))
                return ast.copy_location(ast.Assign([target], value), node)
        is_stored = isinstance(target, ast.Subscript) and self._is_float(node.value)
        return node if is_stored else self.generic_visit(node)

    def _input(self, name: str, node: ast.expr) -> ast.expr | None:
        """A read of an input that is a number."""
        is_read = isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == INPUTS
        return _item(node) if is_read and self._code.symbols[name].kind == np.float64 else None

    def _single(self, name: str, node: ast.expr) -> ast.expr | None:
        """What NumPy computes, as a number of Python's."""
        if self._code.symbols[name].kind != np.float64 or not isinstance(node, ast.Call | ast.BinOp):
            return None
        value = self.visit(node)
        self._carried[name] = set()
        for names in (self._made, self.read, self.names):
            names.add(name)
        return ast.Call(ast.Name("float", ast.Load()), [value], [])

    def is_in_vain(self, name: str) -> bool:
        """Whether a number had better stay as NumPy gives it."""
        return self.elsewhere[name] + (name in self._made) > self.uses[name]

    def _is_single(self, name: str) -> bool:
        symbol = self._code.symbols.get(name)
        return symbol is not None and not symbol.shape and symbol.kind in (None, np.float64)

    def _is_float(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id in self.names

    def _number(self, node: ast.expr) -> ast.expr | None:
        """The expression in numbers of Python's, if it can be said so and is no number of NumPy's."""
        if isinstance(node, ast.Constant):
            return node if type(node.value) in (int, float) else None
        if isinstance(node, ast.Name):
            return node if node.id in self.names else self._constant(node.id)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            operand = self._number(node.operand)
            return None if operand is None else ast.UnaryOp(node.op, operand)
        if isinstance(node, ast.BinOp):
            return self._operation(node)
        if isinstance(node, ast.Subscript):
            return self._entry(node)
        if isinstance(node, ast.IfExp):
            one, other = self._number(node.body), self._number(node.orelse)
            return None if one is None or other is None else ast.IfExp(self.visit(node.test), one, other)
        return self._call(node) if isinstance(node, ast.Call) and not node.keywords else None

    def _constant(self, name: str) -> ast.Constant | None:
        value = self._code.constants.get(name)
        if not isinstance(value, np.ndarray | np.generic) or value.dtype != np.float64 or value.shape:
            return None
        return ast.Constant(float(value)) if math.isfinite(value) else None

    def _operation(self, node: ast.BinOp) -> ast.expr | None:
        left, right = self._number(node.left), self._number(node.right)
        if left is None or right is None:
            return None
        if isinstance(node.op, ast.Pow):  # a power of Python's may be complex
            is_square = isinstance(left, ast.Name) and isinstance(right, ast.Constant) and right.value == 2
            return ast.BinOp(left, ast.Mult(), left) if is_square else None
        return ast.BinOp(left, node.op, right) if isinstance(node.op, _ARITHMETIC) else None

    def _entry(self, node: ast.Subscript) -> ast.expr | None:
        """A read of one entry of an array."""
        assert isinstance(node.value, ast.Name)
        symbol = self._code.symbols.get(node.value.id)
        key = self._key(node.slice)
        if symbol is None or symbol.kind != np.float64 or key is None or len(key) != len(symbol.shape):
            return None
        return _item(node.value, *key)

    def _key(self, node: ast.expr) -> tuple[int, ...] | None:
        try:
            key = self._code.constants[node.id] if isinstance(node, ast.Name) else ast.literal_eval(node)
        except (KeyError, ValueError):
            return None
        parts = key if isinstance(key, tuple) else (key,)
        return parts if all(type(part) is int for part in parts) else None

    def _call(self, node: ast.Call) -> ast.expr | None:
        function = self._code.constants.get(node.func.id) if isinstance(node.func, ast.Name) else None
        ours = self._functions.get(function) if isinstance(function, np.ufunc) else None
        given = list(map(self._number, node.args))
        if ours is None or None in given:
            return None
        name = self._code.constant(ours, ours.__name__).name
        return ast.Call(ast.Name(name, ast.Load()), [one for one in given if one is not None], [])

    # -- where numbers go -------------------------------------------------------------------------------------------

    def visit_Name(self, node: ast.Name) -> Any:
        """Wherever nothing else is known a float becomes a number of NumPy's."""
        if node.id not in self.names or not isinstance(node.ctx, ast.Load):
            return node
        self.elsewhere[node.id] += 1
        float64 = self._code.constant(np.float64, "float64").name
        return ast.Call(ast.Name(float64, ast.Load()), [node], [])

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        """Beside an array of float64 a float is as good."""
        for number, other in ((node.left, node.right), (node.right, node.left)):
            if self._is_float(number) and isinstance(other, ast.Name):
                symbol = self._code.symbols.get(other.id)
                if symbol is not None and symbol.shape and symbol.kind == np.float64:
                    return node
        return self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> Any:
        """Of two floats."""
        found = [one for one in map(self._number, (node.left, *node.comparators)) if one is not None]
        if len(found) <= len(node.comparators) or not any(map(self._is_float, found)):
            return self.generic_visit(node)
        self.uses.update(one.id for one in found if isinstance(one, ast.Name))
        compared = ast.Compare(found[0], node.ops, found[1:])
        return ast.Call(ast.Name(self._code.constant(np.bool_, "bool").name, ast.Load()), [compared], [])

    def visit_Call(self, node: ast.Call) -> Any:
        """Some functions of ours look at floats, too."""
        function = self._code.constants.get(node.func.id) if isinstance(node.func, ast.Name) else None
        if function in _TAKING_FLOATS and all(map(self._is_float, node.args)):
            return node
        return self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        """What is added to an entry may be a float."""
        is_added = isinstance(node.target, ast.Subscript) and self._is_float(node.value)
        return node if is_added else self.generic_visit(node)

    def visit_List(self, node: ast.List) -> Any:
        """What an array is made of, or a list of results."""
        return self._as_they_are(node)

    def visit_Tuple(self, node: ast.Tuple) -> Any:
        """A key, a shape, or results."""
        return self._as_they_are(node) if isinstance(node.ctx, ast.Load) else node

    def _as_they_are(self, node: Any) -> Any:
        node.elts = [one if self._is_float(one) else self.visit(one) for one in node.elts]
        return node

    def with_check(self, body: Sequence[ast.stmt]) -> list[ast.stmt]:
        """The statements with a look at all numbers: at those that no other one carries on."""
        made = {
            statement.targets[0].id: place for place, statement in enumerate(body)
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
        }  # fmt: skip
        known = self.read.union(*self._carried.values())
        unknown = [name for name in self._carried if name not in known]
        if not unknown:
            return list(body)
        place = 1 + max(made[name] for name in unknown)
        finite = self._code.constant(math.isfinite, "isfinite").name
        check = f"if not {finite}({' + '.join(unknown)}): raise OtherwiseError"
        return [*body[:place], *syntax.statements(check).body, *body[place:]]


def _carried(node: ast.expr) -> Iterator[str]:
    """The names in an expression without which it cannot be finite: not those that it is divided by."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.UnaryOp):
        yield from _carried(node.operand)
    elif isinstance(node, ast.BinOp):
        yield from _carried(node.left)
        if not isinstance(node.op, ast.Div):
            yield from _carried(node.right)
