"""Arrays given as text: a shape to draw, a literal, or a file.

`3,4` is a shape and `()` the shape of a scalar; what has a bracket, a point, an exponent or a sign is a value: `2.5`,
`-2`, `1e-3`, `1+2j`, `[[1, 2], [3, 4]]`; what ends in `.npy` is read from that file.
"""

from __future__ import annotations

import ast
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from jacobian.errors import ShapeError, UsageError, report
from jacobian.expressions.messages import did_you_mean

Array = np.ndarray[Any, np.dtype[Any]]

MAX_ELEMENTS = 10**8
"""The largest array that is drawn, in elements."""

_SHAPE = re.compile(r"\(\s*\)|\(?\s*\d+\s*(,\s*\d+\s*)*,?\s*\)?")
_FORMS = "a shape (3,4), a value (2.5 or [1,2,3]) or a file (A.npy)"


def read_input(name: str, text: str, rng: np.random.Generator) -> Array:
    """The array that a text stands for; a shape is drawn from the standard normal distribution.

    Raises:
        UsageError: the text is none of the three forms, or the file cannot be read.

    >>> rng = np.random.default_rng(0)
    >>> read_input("W", "2,3", rng).shape, read_input("b", "()", rng).shape, read_input("b", "3", rng).shape
    ((2, 3), (), (3,))
    >>> read_input("x", "[1, 2]", rng), read_input("t", "-2", rng), read_input("z", "1+2j", rng)
    (array([1., 2.]), array(-2.), array(1.+2.j))
    """
    text = text.strip()
    if not text:
        raise UsageError(report(f"{name}= has no value", give=_FORMS))
    if _SHAPE.fullmatch(text) and text.startswith("(") == text.endswith(")"):
        return _draw(name, tuple(int(size) for size in re.findall(r"\d+", text)), rng)
    if text.lower().endswith(".npy"):
        return _load(name, Path(text))
    return _literal(name, text)


def read_upstream(text: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """The upstream of an output of this shape: `ones`, or an input whose last axes are the output's.

    Raises:
        UsageError: the text cannot be read.
        ShapeError: its last axes are not the output's.

    >>> read_upstream("ones", (2,), np.random.default_rng(0))
    array([1., 1.])
    """
    upstream = np.ones(shape) if text.strip() == "ones" else read_input("upstream", text, rng)
    lead = upstream.ndim - len(shape)
    if lead < 0 or upstream.shape[lead:] != shape:
        raise ShapeError(
            report(
                "upstream: its last axes must be those of the output",
                got=f"upstream {upstream.shape}, output {shape}",
                fix="leave it out, write --upstream ones, or give that shape",
            )
        )
    return upstream


def _draw(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    if math.prod(shape) > MAX_ELEMENTS:
        raise UsageError(
            f"{name}={','.join(map(str, shape))} has {math.prod(shape):.3g} elements; at most 1e8 are drawn"
        )
    try:
        return np.asarray(rng.standard_normal(shape))
    except ValueError as error:
        raise UsageError(f"{name}: no array can have this shape: {error}") from None


def _load(name: str, path: Path) -> Array:
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        here = path.parent if path.parent.is_dir() else Path()
        fix = did_you_mean(path.name, [other.name for other in here.glob("*.npy")])
        raise UsageError(report(f"{name}: there is no file {path}", fix=fix)) from None
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"{name}: {path} cannot be read: {error}") from None
    if not isinstance(array, np.ndarray):
        raise UsageError(f"{name}: {path} does not hold an array")
    return array


def _literal(name: str, text: str) -> Array:
    try:
        value = float(text)
    except ValueError:
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            if re.search(r"\b(nan|inf|infinity)\b", text, re.IGNORECASE):
                raise UsageError(report(f"{name}={text} is not finite", give=_FORMS)) from None
            raise UsageError(report(f"{name}={text} cannot be read", give=_FORMS)) from None
    if not _numbers_only(value):
        raise UsageError(report(f"{name}={text} does not hold numbers", give=_FORMS))
    try:
        array = np.asarray(value)
        return np.asarray(array, np.complex128 if array.dtype.kind == "c" else np.float64)
    except (ValueError, OverflowError):
        raise UsageError(report(f"{name}={text} is not an array: its rows differ in length", give=_FORMS)) from None


def _numbers_only(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_numbers_only, value))
    return isinstance(value, int | float | complex) and not isinstance(value, bool)
