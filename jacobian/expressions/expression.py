"""A text as a function of named inputs."""

from __future__ import annotations

import ast
import inspect
import keyword
import re
import unicodedata
import warnings
from collections.abc import Iterable
from typing import Any

from jacobian.errors import ExpressionError, report
from jacobian.expressions.compiler import Compiler
from jacobian.expressions.messages import expression_error
from jacobian.kernel import syntax

MAX_LENGTH = 4000
"""The longest text that is read, in characters."""


class Expression:
    """An expression given as text, as a function of its inputs.

    Args:
        text: names of inputs, numbers, ``+ - * / ** @ % //``, comparisons, NumPy functions by name (``tanh(x)``,
            ``np.linalg.inv(A)``, ``inv(A)``), the layers of `jacobian.ops.network` (``softmax(x)``), methods
            (``x.sum(axis=0)``), ``x.T``, indexing and slices.
        inputs: the names of its inputs, in the order in which the function takes them.

    Raises:
        ExpressionError: the text holds anything else, or a name that is not an input; it shows the place.

    >>> import numpy as np
    >>> f = Expression("tanh(W @ x) + 1", inputs=("W", "x"))
    >>> f(np.zeros((2, 3)), np.ones(3))
    array([1., 1.])
    >>> f.__signature__
    <Signature (W, x)>
    """

    def __init__(self, text: str, inputs: Iterable[str]) -> None:
        self.text = " ".join(text.split())
        self.inputs = tuple(inputs)
        for name in self.inputs:
            check_name(name)
        self.__name__ = "y"
        self.__doc__ = self.text
        self.__signature__ = inspect.Signature(
            [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in self.inputs]
        )
        compiler = Compiler(self.text, self.inputs)
        try:
            self._action = compiler.compile(_parse(self.text).body)
        except RecursionError:
            raise expression_error(self.text, None, "the expression is nested too deeply") from None
        self.used = frozenset(compiler.used)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluate the expression at these values of its inputs."""
        try:
            return self._action(self.__signature__.bind(*args, **kwargs).arguments)
        except RecursionError:
            raise expression_error(self.text, None, "the expression is nested too deeply") from None

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
        raise ExpressionError(f"the expression has {len(text)} characters; the longest that is read has {MAX_LENGTH}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return syntax.expression(text)
    except SyntaxError as error:
        place = (max((error.offset or 1) - 1, 0), 1)
        raise expression_error(text, place, f"cannot be read: {error.msg}", _fix_of_syntax(text)) from None
    except (RecursionError, MemoryError):
        raise expression_error(text, None, "the expression is nested too deeply") from None
    except ValueError as error:
        raise expression_error(text, None, f"cannot be read: {error}") from None


_TIMES = (r"(?<![\w.])(\d+\.?\d*)\s*(?=[^\W\d_]|\()", r"(\))\s*(?=\w|\()", r"([^\W\d]\w*)\s+(?=[^\W\d])")
"""Where a product may have been written without its sign: `2x`, `(a) (b)`, `a b`."""


def _is_read(text: str) -> bool:
    try:
        syntax.expression(text)
    except (SyntaxError, ValueError):
        return False
    return True


def _fix_of_syntax(text: str) -> str | None:
    if "\\" in text:
        return r"write it as in Python, not in LaTeX: (a)/(b) for \frac{a}{b}, * for \cdot, x**2 for x^2"
    with_signs = text
    for place in _TIMES:
        with_signs = re.sub(place, r"\1*", with_signs)
    if with_signs != text and _is_read(with_signs):
        return f"write every product with its *: {with_signs}"
    try:
        (statement,) = syntax.statements(text).body
    except (SyntaxError, ValueError):
        return None
    if isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign):
        return "leave the assignment out: write the expression, then the inputs as x=3 W=2,3"
    return "write one expression, not a statement"
