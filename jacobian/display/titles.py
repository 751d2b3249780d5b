"""What a Jacobian is called and what is known of it, line by line."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from itertools import islice
from math import prod
from typing import Any

import numpy as np

from jacobian.display.numbers import number
from jacobian.display.raster import Summary
from jacobian.display.text import clipped, legend
from jacobian.kernel import syntax
from jacobian.kernel.counting import reach
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.memory import human
from jacobian.kernel.notation import letters as letters_but

LONGEST_EXPRESSION = 60


def quotient(J: Jacobian) -> str:
    """The Jacobian with an index for every axis; of a number by a number it is dy/dx.

    >>> quotient(Jacobian.identity((2,)))
    '∂y[i]/∂x[j]'
    """
    out, into = J.names
    first, second = (J.in_shape, J.out_shape) if J.denominator else (J.out_shape, J.in_shape)
    letters = _letters(J)
    above, below = letters[: len(first)], letters[len(first) :]
    sign = "∂" if first or second else "d"
    return f"{sign}{out}{_indexed(above)}/{sign}{into}{_indexed(below)}"


def axes_letters(J: Jacobian) -> tuple[str, str]:
    """The letters of rows and of columns, as in the quotient."""
    outs, ins = len(J.out_shape), len(J.in_shape)
    letters = _letters(J)
    rows, cols = (letters[ins:], letters[:ins]) if J.denominator else (letters[:outs], letters[outs:])
    return ",".join(rows), ",".join(cols)


def _letters(J: Jacobian) -> list[str]:
    """One for every axis; none that the output or the input bears."""
    return list(islice(letters_but(J.names), J.ndim))


def _indexed(letters: list[str]) -> str:
    return f"[{','.join(letters)}]" if letters else ""


def shapes(J: Jacobian) -> str:
    """Both shapes: (2,3)×(4)."""
    return "×".join(f"({','.join(map(str, shape))})" for shape in (J.out_shape, J.in_shape))


def title(J: Jacobian) -> str:
    """Quotient, shapes and, where it can be read, the expression that was differentiated."""
    of = "" if J.origin is None or J.origin.of is None else expression(J.origin.of)
    layout = ", input axes first" if J.denominator else ""
    return f"Jacobian {quotient(J)} {shapes(J)}{f' of {of}' if of else ''}{layout}"


def expression(f: Callable[..., Any]) -> str:
    """What a function returns, if its source is one expression; else its name; empty for a lambda without source.

    >>> expression(np.tanh)
    'tanh'
    """
    name = str(getattr(f, "__name__", ""))
    if (
        str(getattr(f, "__globals__", {}).get("__name__", "")).split(".")[0] == "jacobian"
    ):  # one of ours, around the user's
        return ""
    found = _returned(f, name)
    if found and len(found) <= LONGEST_EXPRESSION:
        return found
    return "" if name == "<lambda>" else name


def _returned(f: Callable[..., Any], name: str) -> str:
    if not inspect.isfunction(f):
        return ""
    try:
        tree = syntax.statements(textwrap.dedent(inspect.getsource(f)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return ""
    if name != "<lambda>":
        (top,) = tree.body if len(tree.body) == 1 else (None,)
        body = getattr(top, "body", [])
        only = body[0] if len(body) == 1 else None
        return ast.unparse(only.value) if isinstance(only, ast.Return) and only.value is not None else ""
    lambdas = [node for node in ast.walk(tree) if isinstance(node, ast.Lambda)]
    return ast.unparse(lambdas[0].body) if len(lambdas) == 1 else ""


def facts(J: Jacobian, summary: Summary | None) -> list[tuple[str, str]]:
    """Formula, structure, how many entries can be other than zero, range, what is not finite, what it costs."""
    where = [("where", told)] if (told := legend(J)) else []
    lines = [("formula", clipped(J.formula)), *where, ("structure", str(J.structure)), ("nnz", _nonzero(J))]
    if summary is not None:
        sampled = "" if summary.whole else ", in a sample"
        if not np.isnan(summary.low):
            what = "magnitudes" if J.dtype.kind == "c" else "values"
            lines.append(("range", f"{what} from {number(summary.low)} to {number(summary.high)}{sampled}"))
        flags = [f"{count:,} {word}" for count, word in ((summary.nans, "NaN"), (summary.infinities, "Inf")) if count]
        if flags:
            lines.append(("not finite", " and ".join(flags) + sampled))
    lines.append(("cost", f"{human(J.dense_nbytes)} dense ({J.dtype}), {human(J.nbytes)} held as terms"))
    return lines


def _nonzero(J: Jacobian) -> str:
    found, size = reach(J.terms, J.shape), prod(J.shape)
    if not size:
        return "no entries"
    share = 100 * found.entries / size
    most = "" if found.exact else "at most "
    return f"{most}{found.entries:,} of {size:,} entries ({share:.3g} %) by structure"
