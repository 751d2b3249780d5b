"""Every line of a derivation is read again as text and evaluated before it is shown."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np

from jacobian.checking.index_notation import parse
from jacobian.checking.labelled import Evaluation
from jacobian.errors import JacobianError
from jacobian.kernel.pattern import Shape

Array = np.ndarray[Any, np.dtype[Any]]


class Stated(Evaluation):
    """A formula whose labels have known sizes: a label may run along a part of an axis only."""

    def __init__(self, text: str, values: Mapping[str, Any], shapes: tuple[Shape, Shape], sizes: Mapping[str, int]):
        super().__init__(parse(text, "y"), values, *shapes)
        self.sizes = {label: (size, "the derivation") for label, size in sizes.items()}

    def _bind(self, form: ast.AST, size: int, where: str) -> None:
        """Sizes are given."""

    def _bind_delta(self, pair: Any) -> None:
        """Sizes are given."""


def evaluated(text: str, values: Mapping[str, Any], shapes: tuple[Shape, Shape], sizes: Mapping[str, int]) -> Array:
    """The tensor that a line of index notation states."""
    with np.errstate(all="ignore"):
        return Stated(text, values, shapes, sizes).tensor()


def agrees(found: Any, expected: Any) -> bool:
    """Whether two arrays are the same up to rounding; what is not finite must be so at the same places."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        return False
    finite = expected[np.isfinite(expected)]
    scale = float(np.max(np.abs(finite), initial=0.0))
    single = (
        np.finfo(expected.dtype).bits // (2 if expected.dtype.kind == "c" else 1) < 64
        if expected.dtype.kind in "fc"
        else False
    )
    tolerance = 1e-3 if single else 1e-8
    return bool(np.allclose(found, expected, rtol=tolerance, atol=tolerance * max(scale, 1e-4), equal_nan=True))


def is_right(
    text: str, values: Mapping[str, Any], shapes: tuple[Shape, Shape], sizes: Mapping[str, int], expected: Any
) -> bool:
    """Whether a line can be read and states what it should."""
    try:
        return agrees(evaluated(text, values, shapes, sizes), expected)
    except (JacobianError, ValueError, TypeError, IndexError, KeyError, ArithmeticError, RecursionError, SyntaxError):
        return False
