"""Derivatives as text: `"1 - y**2"` is compiled to compute and kept to print."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from math import prod
from types import CodeType
from typing import Any

import numpy as np

from jacobian.errors import ExpressionError, report
from jacobian.kernel import notation, syntax
from jacobian.kernel.buffers import with_errors_ignored, with_errors_raised
from jacobian.kernel.notation import digits
from jacobian.ops.kinks import warn_non_finite
from jacobian.ops.registry import NO_NAMES, REGISTRY

_WORD = re.compile(r"(?<![\w.])[^\W\d]\w*")

_NUMBERS = (int, float, np.integer, np.floating)

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


def check(name: str, text: str, words: Collection[str] | None) -> None:
    """Refuse a derivative that cannot be read, or that uses a name nobody knows (any, where `words` is None).

    Raises:
        ExpressionError: it is no expression, `^` stands for a power in it, or a name in it is neither in `words` nor
            NumPy's, an op's or SciPy's.
    """
    try:
        tree = syntax.expression(text)
    except SyntaxError as error:
        raise ExpressionError(report(f"{name}: the derivative {text!r} cannot be read: {error.msg}")) from None
    if any(isinstance(node, ast.BitXor) for node in ast.walk(tree)):
        headline = f"{name}: the derivative {text!r} uses ^, which is no power"
        meant = re.sub(r" *\^ *", "**", text)
        raise ExpressionError(report(headline, fix=f"a power is written **: {meant!r}"))
    REGISTRY.later.arrive()
    used = dict.fromkeys(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    for word in used:
        if words is not None and word not in (*words, "np") and not _is_known(word):
            known = f"{', '.join(words)}, NumPy's and SciPy's names"
            raise ExpressionError(report(f"{name}: the derivative {text!r} uses {word}", known=known))


def in_words(name: str, text: str, operands: Sequence[str], words: Sequence[str]) -> str:
    """A derivative that speaks of operands by their own names, in the words for their places.

    Raises:
        ExpressionError: what `check` refuses, or a name that is one operand's own, and the word for something else.

    >>> in_words("scaled", "2 * t * x2", ("t", "by"), ("x1", "x2"))
    '2 * x1 * x2'
    """
    check(name, text, dict.fromkeys((*operands, *words, "y")))
    own = {operand: word for operand, word in zip(operands, words, strict=False) if operand != word}
    for word in _WORD.findall(text):
        if word in own and word in (*words, "y"):
            what = "the output" if word == "y" else f"operand {words.index(word)}"
            headline = f"{name}: {word} in the derivative {text!r} may be the operand of that name, or {what}"
            raise ExpressionError(report(headline, fix=f"write {own[word]}, or call the operand something else"))
    return _WORD.sub(lambda match: own.get(match[0], match[0]), text)


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


def names_of(params: Mapping[str, Any], called: Mapping[str, str] = NO_NAMES) -> dict[str, str]:
    """What formulas call the parameters: arrays by their name, else by their word, numbers by their digits.

    >>> names_of({"alpha": -0.5, "mode": "none", "mask": np.ones(2)}, {"mask": "inside"})
    {'mask': 'inside', 'alpha': '(-0.5)'}
    """
    found = [word for word, value in params.items() if np.ndim(value) or isinstance(value, np.bool_)]
    arrays = {word: called.get(word, word) for word in found}  # a truth, too: that of a comparison may be another
    numbers = {word: value for word, value in params.items() if isinstance(value, _NUMBERS)}
    return arrays | {word: digits(value) if value >= 0 else f"({digits(value)})" for word, value in numbers.items()}


def at(name: str, axes: Iterable[int]) -> str:
    """A name with its positions along some axes of the factor.

    >>> at("y", (0, 2)), at("y", ())
    ('y[@0,@2]', 'y')
    """
    return notation.at(name, (f"@{axis}" for axis in axes))


def at_flat(name: str, shape: Sequence[int]) -> str:
    """The name of an array of one axis with the position that it has in another shape.

    >>> at_flat("w", (2, 3))
    'w[3*@0 + @1]'
    """
    strides = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
    places = (f"{stride}*@{axis}" if stride > 1 else f"@{axis}" for axis, stride in enumerate(strides))
    return f"{name}[{' + '.join(places)}]"


def over(function: str, name: str, axes: Sequence[int], rank: int) -> str:
    """A reduction of an array over some of its axes, at a position along the others.

    >>> over("mean", "x", (1,), 2), over("sum", "x", (0,), 1)
    ('mean(x, 1)[@0]', 'sum(x)')
    """
    rest = [axis for axis in range(rank) if axis not in axes]
    if not rest:
        return f"{function}({name})"
    return at(f"{function}({name}, {axes[0] if len(axes) == 1 else tuple(axes)})", rest)


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
        name = f"({names[word]})" if names[word].startswith("-") else names[word]
        return f"{name}[{axes}]" if axes else name

    return _WORD.sub(written, text)
