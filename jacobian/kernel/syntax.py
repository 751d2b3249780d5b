"""Texts of Python read as syntax trees, by several threads at once."""

import ast
from typing import TypeVar

TRIES = 100

Tree = TypeVar("Tree", bound=ast.AST)


def expression(text: str) -> ast.Expression:
    """The tree of an expression; SyntaxError where it is none."""
    return _read(text, "eval", ast.Expression)


def statements(text: str) -> ast.Module:
    """The tree of statements; SyntaxError where they are none."""
    return _read(text, "exec", ast.Module)


def _read(text: str, mode: str, kind: type[Tree]) -> Tree:
    """Read a text, again where another thread came between.

    Up to Python 3.11.7 and 3.12.1 all threads count the depth of their trees in one number, and complain when it is
    not what they left it at (CPython's issue 106905). A lock would not keep the threads of others out.
    """
    tries = TRIES
    while True:
        try:
            tree = ast.parse(text, mode=mode)
        except SystemError:
            tries -= 1
            if not tries:
                raise
        else:
            assert isinstance(tree, kind)
            return tree
