"""Derivatives as text: `"1 - y**2"` is compiled to compute and kept to print."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from types import CodeType
from typing import Any

import numpy as np

from jacobian.errors import ExpressionError, report
from jacobian.kernel.buffers import with_errors_ignored, with_errors_raised
from jacobian.ops.kinks import warn_non_finite
from jacobian.ops.registry import REGISTRY

_WORD = re.compile(r"[A-Za-z_]\w*")

TAUGHT: dict[str, Callable[..., Any]] = {}
"""Functions that derivatives may name though neither NumPy nor SciPy has them, or has them in a form not traced."""


@lru_cache(maxsize=1024)
def _compiled(text: str) -> tuple[CodeType, dict[str, Any]]:
    """A derivative ready to be evaluated, with what it needs of NumPy's and SciPy's names."""
    code = compile(text, f"<derivative {text}>", "eval")
    found = {word: _meaning(word) for word in _names_in(code) if _is_known(word)}
    return code, {"__builtins__": {}, "np": np, **found}


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


def _meaning(word: str) -> Any:
    """What was taught, NumPy's name, an op of ours, or a function of `scipy.special` where it has been imported."""
    if word in TAUGHT or hasattr(np, word):
        return TAUGHT[word] if word in TAUGHT else getattr(np, word)
    op, function = REGISTRY.built_in(word), getattr(sys.modules.get("scipy.special"), word, None)
    return function if op is None or function in op.answers else op


def _is_known(word: str) -> bool:
    return not word.startswith("_") and _meaning(word) is not None


def check(name: str, text: str, words: Sequence[str] | None) -> None:
    """Refuse a derivative that cannot be read, or that uses a name nobody knows (any, where `words` is None).

    Raises:
        ExpressionError: it is no expression, or a name in it is neither in `words` nor NumPy's, an op's or SciPy's.
    """
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError as error:
        raise ExpressionError(report(f"{name}: the derivative {text!r} cannot be read: {error.msg}")) from None
    REGISTRY.later.arrive()
    used = dict.fromkeys(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    for word in used:
        if words is not None and word not in (*words, "np") and not _is_known(word):
            known = f"{', '.join(words)}, NumPy's and SciPy's names"
            raise ExpressionError(report(f"{name}: the derivative {text!r} uses {word}", known=known))


def evaluate(text: str, **values: Any) -> Any:
    """The value of a derivative for given operands.

    >>> float(evaluate("1 - y**2", y=0.5))
    0.75
    """
    code, scope = _compiled(text)
    return eval(code, scope, values)


def evaluate_finite(name: str, text: str, values: Mapping[str, Any]) -> Any:
    """The same, with a warning of ours that names op and entries where the derivative is not finite."""
    try:
        return with_errors_raised(lambda: evaluate(text, **values))
    except FloatingPointError:
        factor = with_errors_ignored(lambda: evaluate(text, **values))
        warn_non_finite(name, factor)
        return factor


def names_of(params: Mapping[str, Any]) -> dict[str, str]:
    """What formulas call the parameters: arrays by their word, numbers by their digits.

    >>> names_of({"alpha": -0.5, "mode": "none"})
    {'alpha': '(-0.5)'}
    """
    arrays = {word: word for word, value in params.items() if np.ndim(value)}
    numbers = {word: value for word, value in params.items() if type(value) is float}
    shown = {word: text if float(text := f"{value:g}") == value else repr(value) for word, value in numbers.items()}
    return arrays | {word: f"({text})" if text.startswith("-") else text for word, text in shown.items()}


def label(
    text: str, names: Mapping[str, str], shapes: Mapping[str, Sequence[int]], factor: Sequence[int]
) -> str:  # fmt: skip
    """The expression as a factor's label: every operand by its name and its positions along the factor's axes.

    >>> label("x2 * cos(x1)", {"x1": "a", "x2": "b"}, {"x1": (3,), "x2": ()}, (3,))
    'b * cos(a[@0])'
    """

    def written(match: re.Match[str]) -> str:
        word = match.group()
        if word not in names:
            return word
        shape = shapes[word]
        places = range(len(factor) - len(shape), len(factor))
        axes = ",".join("0" if size < factor[k] else f"@{k}" for k, size in zip(places, shape, strict=True))
        return f"{names[word]}[{axes}]" if axes else names[word]

    return _WORD.sub(written, text)
