"""NumPy's buffers, kept short while large arrays are worked on.

Since its version 2.3 NumPy copies rows of a broadcast or strided operand into a buffer, several at a time, where they
are shorter than that: 8192 entries, unless told otherwise. For rows of some hundred entries that takes two to four
times as long as to work on them where they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

ENTRIES = 512  # rows this long are not copied; much shorter ones are better copied
RAISING: dict[str, Any] = {"divide": "raise", "invalid": "raise", "over": "raise"}
"""For programs: where a number is not finite, what they were written for is done in another way, which tells of it."""

_COPIES_ROWS = tuple(map(int, np.__version__.split(".")[:2])) >= (2, 3)


class ShortBuffers:
    """A `with` block in which buffers are short, and floating-point errors are handled as `np.errstate` is told."""

    __slots__ = ("_state",)

    def __init__(self, **errors: Any) -> None:
        self._state = np.errstate(**errors)

    def __enter__(self) -> None:
        """Shorten them: until the end of the block, which is `np.errstate`'s."""
        self._state.__enter__()
        if _COPIES_ROWS:
            np.setbufsize(ENTRIES)

    def __exit__(self, *error: Any) -> None:
        """Have everything as it was."""
        self._state.__exit__(*error)
