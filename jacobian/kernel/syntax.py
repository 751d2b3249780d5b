"""Texts of Python read as syntax trees, by several threads at once."""

import ast

TRIES = 100


def expression(text: str) -> ast.Expression:
    """The tree of an expression.

    Raises:
        SyntaxError: it is none.
    """
    tree = _read(text, "eval")
    assert isinstance(tree, ast.Expression)
    return tree


def statements(text: str) -> ast.Module:
    """The tree of statements.

    Raises:
        SyntaxError: they are none.
    """
    tree = _read(text, "exec")
    assert isinstance(tree, ast.Module)
    return tree


def _read(text: str, mode: str) -> ast.AST:
    """Read a text, again where another thread came between.

    Up to Python 3.11.7 and 3.12.1 all threads count the depth of their trees in one number, and complain when it is
    not what they left it at (CPython's issue 106905). A lock would not keep the threads of others out.
    """
    for _ in range(TRIES - 1):
        try:
            return ast.parse(text, mode=mode)
        except SystemError:
            continue
    return ast.parse(text, mode=mode)
