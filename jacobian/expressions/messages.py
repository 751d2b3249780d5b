"""Errors in an expression: what is wrong, a caret under the place, what may have been meant."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable

from jacobian.errors import ExpressionError, JacobianError, report

_WINDOW = 100
"""How much of a long text is shown around the place, in characters."""

Place = tuple[int, int]
"""First column and how many, in characters."""


def expression_error(text: str, place: Place | None, headline: str, fix: str | None = None) -> ExpressionError:
    """Lay out an error with the text and a caret under the columns at `place` (first column, how many)."""
    return ExpressionError(report(f"{headline}\n{_indented(text, place)}", fix=fix))


def with_place(error: JacobianError, text: str, place: Place | None) -> JacobianError:
    """The same error, showing its place in the expression instead of a line of source code; once is enough."""
    if _indented(text, None) in str(error).split("\n"):
        return error
    headline, *lines = str(error).split("\n")
    kept = [line for line in lines if not line.startswith("  line:") and line.strip(" ^")]
    return type(error)("\n".join([headline, _indented(text, place), *kept]))


def _indented(text: str, place: Place | None) -> str:
    return "\n".join(f"    {line}" for line in snippet(text, place).split("\n"))


def snippet(text: str, place: Place | None) -> str:
    """The text, or what of it stands near the place, and a caret under that.

    >>> print(snippet("abs(z) + 1", (0, 6)))
    abs(z) + 1
    ^^^^^^
    """
    column, length = place or (0, 0)
    start = max(column - _WINDOW // 2, 0) if len(text) > _WINDOW else 0
    shown = text[start : start + _WINDOW]
    marks = " " * (column - start) + "^" * max(min(length, len(shown) - (column - start)), 1)
    return f"{shown}\n{marks}" if place else shown


def place_of(text: str, node: ast.AST) -> Place | None:
    """First column and length of a node, in characters; `ast` counts bytes."""
    if not isinstance(node, ast.expr):
        return None
    line = text.encode()
    start = len(line[: node.col_offset].decode())
    return start, len(line[: node.end_col_offset].decode()) - start


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Name what the user may have meant, if anything is close.

    >>> did_you_mean("tahn", ["tan", "tanh", "exp"])
    'did you mean tanh or tan?'
    """
    close = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.7)
    close.sort(key=lambda other: sorted(other) != sorted(name))  # swapped letters are the likeliest slip
    return f"did you mean {' or '.join(close)}?" if close else None
