"""Each node of the parsed text as an action: a function of the inputs' values."""

from __future__ import annotations

import ast
import inspect
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from jacobian.errors import JacobianError
from jacobian.expressions.messages import did_you_mean, expression_error, place_of, snippet, with_place
from jacobian.expressions.vocabulary import (
    ATTRIBUTES,
    BINARY,
    COMPARE,
    CONSTANTS,
    MAX_ELEMENTS,
    METHODS,
    REFUSED,
    UFUNC_METHODS,
    UNARY,
    WORDS,
    elements_asked_for,
    functions,
)

Values = Mapping[str, Any]
Action = Callable[[Values], Any]

_MAX_INT = 2**63 - 1

_RUNTIME_ERRORS = (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError)


class Compiler:
    """Turns nodes into actions, functions of the inputs' values; refuses the nodes it does not know."""

    def __init__(self, text: str, inputs: tuple[str, ...]) -> None:
        self.text = text
        self.inputs = inputs
        self.used: set[str] = set()

    def compile(self, node: ast.AST) -> Action:
        """Turn one node, and all below it, into an action."""
        match node:
            case ast.Constant(value=value):
                return self._constant(node, value)
            case ast.Name(id=name):
                return self._name(node, name)
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(node, left, op, right)
            case ast.UnaryOp(op=op, operand=operand):
                return self._unary(node, op, operand)
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                return self._compare(node, left, ops, comparators)
            case ast.Call():
                return self._call(node)
            case ast.Attribute():
                return self._attribute(node)
            case ast.Subscript(value=value, slice=index):
                return self._subscript(node, value, index)
            case ast.Tuple(elts=elements):
                parts = [self.compile(element) for element in elements]
                return lambda values: tuple(part(values) for part in parts)
            case ast.List(elts=elements):
                parts = [self.compile(element) for element in elements]
                return lambda values: [part(values) for part in parts]
            case _:
                self._refuse(node)

    def _constant(self, node: ast.AST, value: object) -> Action:
        if isinstance(value, complex):
            self._fail(node, "complex numbers are not part of an expression")
        if isinstance(value, bytes):
            self._fail(node, "bytes are not part of an expression")
        if isinstance(value, str):
            self._fail(node, "a text is not a value", "texts can only be arguments: norm(A, 'fro')")
        if isinstance(value, int) and abs(value) > _MAX_INT:
            value = float(value) if value < 10**308 else np.inf
        return lambda values: value

    def _name(self, node: ast.AST, name: str) -> Action:
        if name in self.inputs:
            self.used.add(name)
            return lambda values: values[name]
        if name in CONSTANTS:
            return lambda values: CONSTANTS[name]
        if name in functions():
            self._fail(node, f"{name} is a function, not a value", f"call it: {name}(x)")
        if name in ("np", "numpy"):
            self._fail(node, f"{name} is a module, not a value", f"call one of its functions: {name}.tanh(x)")
        if name in ("float", "int", "bool"):
            self._fail(node, f"{name} is a type, not a value", f"name a type as a text: '{name}'")
        self._fail(
            node,
            f"{name} is not given",
            did_you_mean(name, [*self.inputs, *CONSTANTS]) or f"give its shape, {name}=3,4, or its value, {name}=2.5",
        )

    def _binary(self, node: ast.AST, left: ast.expr, op: ast.operator, right: ast.expr) -> Action:
        if type(op) not in BINARY:
            self._refuse(op, at=node)
        symbol, function = BINARY[type(op)]
        first, second = self.compile(left), self.compile(right)
        return self._guarded(node, symbol, lambda values: _arithmetic(function, first(values), second(values)))

    def _unary(self, node: ast.AST, op: ast.unaryop, operand: ast.expr) -> Action:
        if type(op) not in UNARY:
            self._refuse(op, at=node)
        symbol, function = UNARY[type(op)]
        value = self.compile(operand)
        return self._guarded(node, symbol, lambda values: function(_operand(value(values))))

    def _compare(self, node: ast.AST, left: ast.expr, ops: list[ast.cmpop], comparators: list[ast.expr]) -> Action:
        if len(ops) > 1:
            self._fail(node, "comparisons cannot be chained", "write logical_and(a < b, b < c)")
        if type(ops[0]) not in COMPARE:
            self._refuse(ops[0], at=node)
        symbol, function = COMPARE[type(ops[0])]
        first, second = self.compile(left), self.compile(comparators[0])
        return self._guarded(node, symbol, lambda values: function(_operand(first(values)), _operand(second(values))))

    def _subscript(self, node: ast.AST, value: ast.expr, index: ast.expr) -> Action:
        base, key = self.compile(value), self._index(index)
        return self._guarded(node, "indexing", lambda values: base(values)[key(values)])

    def _index(self, index: ast.expr) -> Action:
        match index:
            case ast.Slice(lower=lower, upper=upper, step=step):
                ends = [None if end is None else self.compile(end) for end in (lower, upper, step)]
                return lambda values: slice(*(None if end is None else end(values) for end in ends))
            case ast.Tuple(elts=elements):
                parts = [self._index(element) for element in elements]
                return lambda values: tuple(part(values) for part in parts)
            case _:
                return self.compile(index)

    def _attribute(self, node: ast.Attribute) -> Action:
        name = _dotted(node)
        if name and name not in functions() and name.startswith(("np.", "numpy.")):
            constant = name.partition(".")[2]
            if constant in CONSTANTS:
                return lambda values: CONSTANTS[constant]
            self._unknown_function(node, name)
        if name in functions():
            self._fail(node, f"{name} is a function, not a value", f"call it: {name}(x)")
        attribute = node.attr
        if attribute in METHODS:
            self._fail(node, f".{attribute} is a method", f"call it: .{attribute}()")
        if attribute not in ATTRIBUTES:
            self._fail(
                node,
                f".{attribute} is not an attribute that may be used",
                did_you_mean(attribute, ATTRIBUTES),
            )
        value = self.compile(node.value)
        return self._guarded(node, f".{attribute}", lambda values: getattr(value(values), attribute))

    def _call(self, node: ast.Call) -> Action:
        name, target = self._target(node.func)
        arguments = [self._argument(name, argument) for argument in node.args]
        keywords: dict[str, Action] = {}
        for word in node.keywords:
            if word.arg is None:
                self._fail(word.value, "unpacking with ** is not part of an expression", "write the arguments out")
            if word.arg in ("out", "like", "subok") or word.arg.startswith("_"):
                self._fail(word.value, f"{name}: the argument {word.arg}= may not be given")
            keywords[word.arg] = self._argument(name, word.value)

        def call(values: Values) -> Any:
            args = tuple(argument(values) for argument in arguments)
            kwargs = {word: argument(values) for word, argument in keywords.items()}
            function = target(values)
            asked = elements_asked_for(name, (*_receiver(function), *args), kwargs)
            if asked > MAX_ELEMENTS:
                raise ValueError(f"{asked:.3g} elements are more than the {MAX_ELEMENTS:.0e} allowed")
            return function(*args, **kwargs)

        return self._guarded(node, name, call)

    def _target(self, node: ast.expr) -> tuple[str, Action]:
        """What a call calls: its name for messages, and the action that finds it."""
        name = _dotted(node)
        root = name.partition(".")[0] if name else ""
        if name and root not in self.inputs:
            if name in functions():
                function = functions()[name]
                return name, lambda values: function
            ufunc, _, method = name.rpartition(".")
            if isinstance(functions().get(ufunc), np.ufunc) and method in UFUNC_METHODS:
                bound = getattr(functions()[ufunc], method)
                return name, lambda values: bound
            if isinstance(node, ast.Name) or root in ("np", "numpy", "linalg", "fft"):
                self._unknown_function(node, name)
        if not isinstance(node, ast.Attribute):
            self._fail(node, f"{name or 'this'} is not a function: it cannot be called", "multiply with *")
        if node.attr in ATTRIBUTES:
            self._fail(
                node,
                f".{node.attr} is an attribute, not a method",
                f"leave the parentheses out: .{node.attr}",
            )
        if node.attr not in METHODS:
            hint = f"{node.attr}(x, …) is a function: call it so" if node.attr in functions() else None
            self._fail(
                node,
                f".{node.attr}() is not a method that may be called",
                hint or did_you_mean(node.attr, METHODS),
            )
        owner, method = self.compile(node.value), node.attr
        return method, self._guarded(node, f".{method}", lambda values: getattr(owner(values), method))

    def _argument(self, name: str, node: ast.expr) -> Action:
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            return self.compile(node)
        text = node.value
        einsum = name.rpartition(".")[2] == "einsum" and re.fullmatch(r"[A-Za-z,.\-> ]*", text)
        if text not in WORDS and not einsum:
            self._fail(node, f"{name}: the text {text!r} means nothing here", did_you_mean(text, WORDS))
        return lambda values: text

    def _unknown_function(self, node: ast.AST, name: str) -> NoReturn:
        short = name.rpartition(".")[2]
        known = {known for known in functions() if "." not in known}
        fix: str | None = "only functions that make arrays from arrays, without side effects, may be called"
        if not any(hasattr(place, short) for place in (np, np.linalg, np.fft, np.random)):
            fix = did_you_mean(short, known) or did_you_mean(short.lower(), known)
        self._fail(node, f"{name} is not a function that an expression may call", fix)

    def _refuse(self, node: ast.AST, at: ast.AST | None = None) -> NoReturn:
        what, fix = REFUSED.get(type(node), (type(node).__name__, None))
        self._fail(at or node, f"{what} is not part of an expression", fix)

    def _fail(self, node: ast.AST, headline: str, fix: str | None = None) -> NoReturn:
        raise expression_error(self.text, place_of(self.text, node), headline, fix)

    def line(self, node: ast.AST) -> str:
        """What is being evaluated, as the line of an error."""
        return snippet(self.text, place_of(self.text, node))

    def _guarded(self, node: ast.AST, what: str, action: Action) -> Action:
        """Show the place of whatever goes wrong while the action runs."""

        def guarded(values: Values) -> Any:
            try:
                return action(values)
            except JacobianError as error:
                self._place(node, error)
            except _RUNTIME_ERRORS as error:
                if isinstance(error.__cause__, JacobianError):  # NumPy wrapped our error in one of its own
                    self._place(node, error.__cause__)
                raise expression_error(self.text, place_of(self.text, node), f"{what}: {error}") from error

        return guarded

    def _place(self, node: ast.AST, error: JacobianError) -> NoReturn:
        raise with_place(error, self.text, place_of(self.text, node)) from None


def _dotted(node: ast.AST) -> str | None:
    """`np.linalg.inv` for the node that says so; None for what is no chain of names."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attribute):
            before = _dotted(value)
            return before and f"{before}.{attribute}"
        case _:
            return None


def _receiver(function: Any) -> tuple[Any, ...]:
    """The array a bound method belongs to; nothing for a plain function."""
    owner = getattr(function, "__self__", None)
    return () if owner is None or isinstance(owner, np.ufunc) or inspect.ismodule(owner) else (owner,)


def _operand(value: Any) -> Any:
    if isinstance(value, tuple | list | str) or value is None or value is Ellipsis:
        raise TypeError(f"operators need arrays or numbers, not {value!r}; write array([…])")
    return value


def _arithmetic(function: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    """Apply an operator; whole numbers that would grow past 64 bits go on as floats: nothing hangs."""
    left, right = _operand(left), _operand(right)
    whole = isinstance(left, int) and isinstance(right, int)
    if whole and function is operator.pow and abs(left) > 1 and abs(right) * left.bit_length() > 64:
        left = float(left)
    try:
        result = function(left, right)
    except OverflowError:
        raise ValueError("the result is too large for a float") from None
    if isinstance(result, int) and abs(result) > _MAX_INT:
        return float(result)
    given = any(isinstance(operand, complex) and not isinstance(operand, float) for operand in (left, right))
    if isinstance(result, complex) and not isinstance(result, np.generic) and not given:
        raise ValueError(f"the result {result:.4g} is complex")
    return result
