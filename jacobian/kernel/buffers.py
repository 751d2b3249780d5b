"""NumPy's buffers, kept short while large arrays are worked on.

Since its version 2.3 NumPy copies rows of a broadcast or strided operand into a buffer, several at a time, where they
are shorter than that: 8192 entries, unless told otherwise. For rows of some hundred entries that takes two to four
times as long as to work on them where they are.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")

ENTRIES = 512  # rows this long are not copied; much shorter ones are better copied
RAISING: dict[str, Any] = {"divide": "raise", "invalid": "raise", "over": "raise"}
"""For programs: where a number is not finite, what they were written for is done in another way, which tells of it."""
_IGNORING: dict[str, Any] = {"all": "ignore"}
_COPIES_ROWS = tuple(map(int, np.__version__.split(".")[:2])) >= (2, 3)


def with_errors_raised(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function with floating-point errors raised.

    NumPy is told so in a copy of the context, which ends with the call: nothing of it is left behind, not even by an
    interrupt while NumPy is being told. A `with` block of `np.errstate` that is interrupted as it begins or ends does
    not end for the user.
    """
    return copy_context().run(_told, RAISING, False, function, arguments)


def with_errors_ignored(function: Callable[..., T], *arguments: Any) -> T:
    """The same with nothing said of them."""
    return copy_context().run(_told, _IGNORING, False, function, arguments)


def with_short_buffers(function: Callable[..., T], *arguments: Any, errors: dict[str, Any] = RAISING) -> T:
    """The same with short buffers, and errors handled as `np.errstate` is told."""
    return copy_context().run(_told, errors, _COPIES_ROWS, function, arguments)


def _told(errors: dict[str, Any], are_short: bool, function: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    np.errstate(**errors).__enter__()
    if are_short:
        np.setbufsize(ENTRIES)
    return function(*arguments)
