"""Expressions given as text, `tanh(W @ x + b)`, as Python functions.

The text is parsed by `ast` and walked: it is never evaluated as Python. Names of inputs, numbers, operators, NumPy
functions, a few methods and attributes, indexing and slices are what there is; everything else is an `ExpressionError`
that shows the place.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import keyword
import operator
import re
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

import numpy as np

from jacobian.errors import ExpressionError, JacobianError, report
from jacobian.vocabulary import (
    ATTRIBUTES,
    CONSTANTS,
    MAX_ELEMENTS,
    METHODS,
    UFUNC_METHODS,
    WORDS,
    elements_asked_for,
    functions,
)

Values = Mapping[str, Any]
Action = Callable[[Values], Any]

MAX_LENGTH = 4000
"""The longest text that is read, in characters."""

_MAX_INT = 2**63 - 1

_BINARY: Mapping[type[ast.operator], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.Div: ("/", operator.truediv),
    ast.Pow: ("**", operator.pow),
    ast.MatMult: ("@", operator.matmul),
    ast.Mod: ("%", operator.mod),
    ast.FloorDiv: ("//", operator.floordiv),
}

_UNARY: Mapping[type[ast.unaryop], tuple[str, Callable[[Any], Any]]] = {
    ast.USub: ("-", operator.neg),
    ast.UAdd: ("+", operator.pos),
}

_COMPARE: Mapping[type[ast.cmpop], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
    ast.Eq: ("==", operator.eq),
    ast.NotEq: ("!=", operator.ne),
}

_COMPREHENSION = ("a comprehension", "use functions of whole arrays: sum, stack, einsum, …")

_REFUSED: Mapping[type[ast.AST], tuple[str, str | None]] = {
    ast.Lambda: ("lambda", None),
    ast.ListComp: _COMPREHENSION,
    ast.SetComp: _COMPREHENSION,
    ast.DictComp: _COMPREHENSION,
    ast.GeneratorExp: _COMPREHENSION,
    ast.IfExp: ("if … else", "where(condition, a, b) chooses entry by entry"),
    ast.BoolOp: ("and / or", "logical_and(a, b), logical_or(a, b) work entry by entry"),
    ast.NamedExpr: ("an assignment", "inputs are given after the expression: x=3"),
    ast.Dict: ("a dict", None),
    ast.Set: ("a set", None),
    ast.Starred: ("unpacking with *", "write the arguments out"),
    ast.JoinedStr: ("an f-string", None),
    ast.Await: ("await", None),
    ast.Yield: ("yield", None),
    ast.YieldFrom: ("yield", None),
    ast.Not: ("not", "logical_not(a) works entry by entry"),
    ast.Invert: ("~", "logical_not(a) works entry by entry"),
    ast.BitAnd: ("&", "logical_and(a, b) works entry by entry"),
    ast.BitOr: ("|", "logical_or(a, b) works entry by entry"),
    ast.BitXor: ("^", "a power is written **; logical_xor(a, b) works entry by entry"),
    ast.LShift: ("<<", "multiply by a power: x * 2**n"),
    ast.RShift: (">>", "divide by a power: x / 2**n"),
    ast.In: ("in", None),
    ast.NotIn: ("not in", None),
    ast.Is: ("is", "compare entry by entry with =="),
    ast.IsNot: ("is not", "compare entry by entry with !="),
}


class Expression:
    """An expression given as text, as a function of its inputs.

    Parameters
    ----------
    text
        The expression: names of inputs, numbers, ``+ - * / ** @ % //``, comparisons, NumPy functions by name
        (``tanh(x)``, ``np.linalg.inv(A)``, ``inv(A)``), the layers of `jacobian.ops.network` (``softmax(x)``),
        methods (``x.sum(axis=0)``), ``x.T``, indexing and slices.
    inputs
        The names of its inputs, in the order in which the function takes them.

    Raises
    ------
    ExpressionError
        When the text holds anything else, or a name that is not an input; it shows the place.

    Examples
    --------
    >>> f = Expression("tanh(W @ x) + 1", inputs=("W", "x"))
    >>> f(np.zeros((2, 3)), np.ones(3))
    array([1., 1.])
    >>> f.__signature__
    <Signature (W, x)>
    """

    def __init__(self, text: str, inputs: Iterable[str]) -> None:
        self.text = text.strip()
        self.inputs = tuple(inputs)
        for name in self.inputs:
            check_name(name)
        self.__name__ = "y"
        self.__doc__ = self.text
        self.__signature__ = inspect.Signature(
            [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in self.inputs]
        )
        compiler = _Compiler(self.text, self.inputs)
        try:
            self._action = compiler.compile(_parse(self.text).body)
        except RecursionError:
            raise _error(self.text, None, "the expression is nested too deeply") from None
        self.used = frozenset(compiler.used)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._action(self.__signature__.bind(*args, **kwargs).arguments)

    def __repr__(self) -> str:
        return f"Expression({self.text!r}, inputs={self.inputs!r})"


def check_name(name: str) -> None:
    """Raise an `ExpressionError` unless `name` can be the name of an input.

    >>> check_name("lambda")
    Traceback (most recent call last):
    jacobian.errors.ExpressionError: 'lambda' cannot be the name of an input
      fix:   use a letter followed by letters, digits and underscores, such as x or W1
    """
    legal = name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("_")
    if not legal or name in ("np", "numpy") or unicodedata.normalize("NFKC", name) != name:
        raise ExpressionError(
            report(
                f"{name!r} cannot be the name of an input",
                fix="use a letter followed by letters, digits and underscores, such as x or W1",
            )
        )


def _parse(text: str) -> ast.Expression:
    if not text:
        raise ExpressionError(report("the expression is empty", fix='write one, such as "tanh(W @ x + b)"'))
    if len(text) > MAX_LENGTH:
        raise ExpressionError(
            f"the expression has {len(text)} characters; the longest that is read has {MAX_LENGTH}"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text, mode="eval")
    except SyntaxError as error:
        place = (error.lineno or 1, max((error.offset or 1) - 1, 0), 1)
        raise _error(text, place, f"cannot be read: {error.msg}", _fix_of_syntax(text)) from None
    except (RecursionError, MemoryError):
        raise _error(text, None, "the expression is nested too deeply") from None
    except ValueError as error:
        raise _error(text, None, f"cannot be read: {error}") from None


def _fix_of_syntax(text: str) -> str | None:
    try:
        (statement,) = ast.parse(text).body
    except (SyntaxError, ValueError):
        return None
    if isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign):
        return "leave the assignment out: write the expression, then the inputs as x=3 W=2,3"
    return "write one expression, not a statement"


def _error(
    text: str, place: tuple[int, int, int] | None, headline: str, fix: str | None = None
) -> ExpressionError:
    """Lay out an error with the line of the text and a caret under the columns at `place` (line, column, length)."""
    line, column, length = place or (1, 0, 0)
    shown = text.split("\n")[line - 1].replace("\t", " ")
    caret = "\n    " + " " * min(column, len(shown)) + "^" * max(length, 1) if place else ""
    if len(shown) > 200 and place is None:
        shown = shown[:200] + "…"
    return ExpressionError(report(f"{headline}\n    {shown}{caret}", fix=fix))


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Name what the user may have meant, if anything is close.

    >>> did_you_mean("tahn", ["tan", "tanh", "exp"])
    'did you mean tanh or tan?'
    """
    close = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.6)
    return f"did you mean {' or '.join(close)}?" if close else None


class _Compiler:
    """Turns each node into an action, a function of the inputs' values, and refuses the nodes it does not know."""

    def __init__(self, text: str, inputs: tuple[str, ...]) -> None:
        self.text = text
        self.inputs = inputs
        self.used: set[str] = set()

    def compile(self, node: ast.AST) -> Action:
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
        self._fail(
            node,
            f"{name} is not given",
            did_you_mean(name, [*self.inputs, *CONSTANTS])
            or f"give its shape, {name}=3,4, or its value, {name}=2.5",
        )

    def _binary(self, node: ast.AST, left: ast.expr, op: ast.operator, right: ast.expr) -> Action:
        if type(op) not in _BINARY:
            self._refuse(op, at=node)
        symbol, function = _BINARY[type(op)]
        first, second = self.compile(left), self.compile(right)
        return self._guarded(node, symbol, lambda values: _arithmetic(function, first(values), second(values)))

    def _unary(self, node: ast.AST, op: ast.unaryop, operand: ast.expr) -> Action:
        if type(op) not in _UNARY:
            self._refuse(op, at=node)
        symbol, function = _UNARY[type(op)]
        value = self.compile(operand)
        return self._guarded(node, symbol, lambda values: function(_operand(value(values))))

    def _compare(
        self, node: ast.AST, left: ast.expr, ops: list[ast.cmpop], comparators: list[ast.expr]
    ) -> Action:
        if len(ops) > 1:
            self._fail(node, "comparisons cannot be chained", "write logical_and(a < b, b < c)")
        if type(ops[0]) not in _COMPARE:
            self._refuse(ops[0], at=node)
        symbol, function = _COMPARE[type(ops[0])]
        first, second = self.compile(left), self.compile(comparators[0])
        return self._guarded(
            node, symbol, lambda values: function(_operand(first(values)), _operand(second(values)))
        )

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
                node, f".{attribute} is not an attribute that may be used", did_you_mean(attribute, ATTRIBUTES)
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
            if word.arg in ("out", "like", "order", "subok") or word.arg.startswith("_"):
                self._fail(word.value, f"{name}: the argument {word.arg}= may not be given")
            keywords[word.arg] = self._argument(name, word.value)

        def call(values: Values) -> Any:
            args = tuple(argument(values) for argument in arguments)
            kwargs = {word: argument(values) for word, argument in keywords.items()}
            function = target(values)
            asked = elements_asked_for(name, (*_receiver(function), *args), kwargs)
            if asked > MAX_ELEMENTS:
                raise ValueError(f"{asked:.3g} elements; the most that may be asked for is {MAX_ELEMENTS:.0e}")
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
            if isinstance(node, ast.Name) or root in ("np", "numpy"):
                self._unknown_function(node, name)
        if not isinstance(node, ast.Attribute):
            self._fail(node, f"{name or 'this'} is not a function: it cannot be called", "multiply with *")
        if node.attr in ATTRIBUTES:
            self._fail(node, f".{node.attr} is an attribute, not a method", f"leave the parentheses out: .{node.attr}")
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
        fix = did_you_mean(short, known) or did_you_mean(short.lower(), known)
        self._fail(node, f"{name} is not a function that an expression may call", fix)

    def _refuse(self, node: ast.AST, at: ast.AST | None = None) -> NoReturn:
        what, fix = _REFUSED.get(type(node), (type(node).__name__, None))
        self._fail(at or node, f"{what} is not part of an expression", fix)

    def _fail(self, node: ast.AST, headline: str, fix: str | None = None) -> NoReturn:
        raise _error(self.text, _place(self.text, node), headline, fix)

    def _guarded(self, node: ast.AST, what: str, action: Action) -> Action:
        """Show the place of whatever goes wrong while the action runs."""

        def guarded(values: Values) -> Any:
            try:
                return action(values)
            except JacobianError:
                raise
            except (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError) as error:
                raise _error(self.text, _place(self.text, node), f"{what}: {error}") from error

        return guarded


def _place(text: str, node: ast.AST) -> tuple[int, int, int] | None:
    """Line, column and length of a node, in characters; `ast` counts bytes."""
    if not isinstance(node, ast.expr):
        return None
    line = text.split("\n")[node.lineno - 1].encode()
    end = node.end_col_offset if node.end_lineno == node.lineno else len(line)
    start = len(line[: node.col_offset].decode())
    return node.lineno, start, len(line[:end].decode()) - start


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
    """Apply an operator; whole numbers that would grow past 64 bits go on as floats, so that nothing hangs."""
    left, right = _operand(left), _operand(right)
    if isinstance(left, int) and isinstance(right, int):
        if function is operator.pow and abs(left) > 1 and abs(right) * left.bit_length() > 64:
            left = float(left)
        result = function(left, right)
        result = float(result) if isinstance(result, int) and abs(result) > _MAX_INT else result
    else:
        result = function(left, right)
    if isinstance(result, complex) and not isinstance(result, np.generic):
        raise ValueError(f"the result {result:.4g} is complex")
    return result
