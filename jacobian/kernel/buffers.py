"""NumPy's buffers, kept short while large arrays are worked on.

Since its version 2.3 NumPy copies rows of a broadcast or strided operand into a buffer, several at a time, where they
are shorter than that: 8192 entries, unless told otherwise. For rows of some hundred entries that takes two to four
times as long as to work on them where they are.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")

ENTRIES = 512  # rows this long are not copied; much shorter ones are better copied
_COPIES_ROWS = tuple(map(int, np.__version__.split(".")[:2])) >= (2, 3)


class _Settings:
    """What NumPy is told of errors and buffers in the context of a call.

    It keeps that in a variable of the context, and takes long to work out its value: which is that is seen the first
    time, and set at once as long as the user's own settings are the same.
    """

    def __init__(self, errors: dict[str, Any], *, are_short: bool) -> None:
        self._errors, self._are_short = errors, are_short
        self._known: tuple[ContextVar[Any], Any, Any] | None = None  # the variable, the user's value, and ours

    def call(self, function: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        """Call a function with these settings from here on."""
        known = self._known
        if known is not None and known[0].get(None) is known[1]:
            known[0].set(known[2])
        else:
            self._tell()
        return function(*arguments)

    def _tell(self) -> None:
        before = copy_context()
        np.errstate(**self._errors).__enter__()
        if self._are_short:
            np.setbufsize(ENTRIES)
        changed = [(one, value) for one, value in copy_context().items() if before.get(one) is not value]
        if len(changed) == 1:
            [(variable, value)] = changed
            self._known = variable, before.get(variable), value


_RAISE: dict[str, Any] = {"divide": "raise", "invalid": "raise", "over": "raise"}
_RAISING, _IGNORING = _Settings(_RAISE, are_short=False), _Settings({"all": "ignore"}, are_short=False)
_TOLD_LATER: dict[str, Any] = {"invalid": "ignore"}  # a result that is NaN is told of by its entries
_SHORT_RAISING, _SHORT = (_Settings(errors, are_short=_COPIES_ROWS) for errors in (_RAISE, _TOLD_LATER))


def with_errors_raised(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function with floating-point errors raised: a program that meets one is not the one to run.

    NumPy is told so in a copy of the context, which ends with the call: nothing of it is left behind, not even by an
    interrupt while NumPy is being told. A `with` block of `np.errstate` that is interrupted as it begins or ends does
    not end for the user.
    """
    return copy_context().run(_RAISING.call, function, arguments)


def with_errors_ignored(function: Callable[..., T], *arguments: Any) -> T:
    """The same with nothing said of them."""
    return copy_context().run(_IGNORING.call, function, arguments)


def with_short_buffers(function: Callable[..., T], *arguments: Any, errors_raised: bool = True) -> T:
    """The same with short buffers, and with errors raised or handled as the caller wants it."""
    return copy_context().run((_SHORT_RAISING if errors_raised else _SHORT).call, function, arguments)
