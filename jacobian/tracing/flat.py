"""`x.flat`: the entries of a traced array in C-order, wherever they lie in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jacobian.kernel.arraylike import NUMPY


class Flat:
    """What NumPy calls a `flatiter`: it reads copies, and assigns into the array itself."""

    __slots__ = ("_next", "base")
    __array_priority__ = 2000
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, array: Any) -> None:
        self.base = array
        self._next = 0

    def copy(self) -> Any:
        """The entries as an array."""
        return NUMPY.copy(NUMPY.ravel(self.base))

    def __getitem__(self, key: Any) -> Any:
        """Entries, as a copy."""
        found = NUMPY.ravel(self.base)[key]
        return found if not np.ndim(found) else NUMPY.copy(found)

    def __setitem__(self, key: Any, value: Any) -> None:
        """Assign to entries; values that are too few are repeated."""
        from jacobian.tracing.writers import assign_flat

        assign_flat(self.base, key, value)

    def __len__(self) -> int:
        """How many entries."""
        return int(self.base.size)

    def __iter__(self) -> Iterator[Any]:
        """Itself, from the first entry."""
        self._next = 0
        return self

    def __next__(self) -> Any:
        """The next entry, as it is now."""
        if self._next >= len(self):
            raise StopIteration
        self._next += 1
        return self[self._next - 1]

    @property
    def index(self) -> int:
        """The place of the next entry."""
        return self._next

    @property
    def coords(self) -> tuple[int, ...]:
        """The same as an index of the array."""
        return tuple(int(place) for place in np.unravel_index(self._next, self.base.shape))

    # NumPy's functions take it as an array.

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Calls and methods of ufuncs."""
        return getattr(ufunc, method)(*map(_as_array, inputs), **kwargs)

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        """All other functions."""
        return func(*map(_as_array, args), **{name: _as_array(value) for name, value in kwargs.items()})

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        """Refused where the array depends on an input."""
        return np.asarray(self.copy(), dtype)

    def _compared(self, function: np.ufunc, other: Any) -> Any:
        return function(self.copy(), _as_array(other))

    def __eq__(self, other: object) -> Any:
        """Entry by entry."""
        return self._compared(np.equal, other)

    def __ne__(self, other: object) -> Any:
        """Entry by entry."""
        return self._compared(np.not_equal, other)

    def __lt__(self, other: Any) -> Any:
        """Entry by entry."""
        return self._compared(np.less, other)

    def __le__(self, other: Any) -> Any:
        """Entry by entry."""
        return self._compared(np.less_equal, other)

    def __gt__(self, other: Any) -> Any:
        """Entry by entry."""
        return self._compared(np.greater, other)

    def __ge__(self, other: Any) -> Any:
        """Entry by entry."""
        return self._compared(np.greater_equal, other)


def _as_array(value: Any) -> Any:
    if isinstance(value, Flat):
        return value.copy()
    return type(value)(map(_as_array, value)) if type(value) in (list, tuple) else value
