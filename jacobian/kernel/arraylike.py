"""What an array's stand-ins have in common: everything that follows from the shape, or from NumPy's own functions."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

NUMPY: Any = np  # its stubs know of no stand-ins


class Shaped:
    """Something with a shape."""

    __slots__ = ()

    shape: Any  # a tuple of integers

    @property
    def ndim(self) -> int:
        """How many axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many entries."""
        return prod(self.shape)


class ArrayLike(Shaped):
    """An array that speaks NumPy's protocols, with attributes and methods that NumPy has as functions."""

    __slots__ = ()

    @property
    def T(self) -> Any:
        """The axes in reverse."""
        return NUMPY.transpose(self)

    @property
    def mT(self) -> Any:
        """The last two axes exchanged."""
        return NUMPY.matrix_transpose(self)

    @property
    def real(self) -> Any:
        """The real part."""
        return NUMPY.real(self)

    @property
    def imag(self) -> Any:
        """The imaginary part."""
        return NUMPY.imag(self)

    @property
    def flat(self) -> Any:
        """The entries in C-order."""
        return NUMPY.ravel(self)

    def transpose(self, *axes: Any) -> Any:
        """The axes in another order."""
        if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], tuple | list)):
            axes = tuple(axes[0]) if axes[0] is not None else ()
        return NUMPY.transpose(self, axes or None)

    def reshape(self, *shape: Any, order: Any = "C") -> Any:
        """Another shape."""
        if len(shape) == 1 and isinstance(shape[0], tuple | list):
            shape = tuple(shape[0])
        return NUMPY.reshape(self, shape, order=order)

    def __iter__(self) -> Iterator[Any]:
        """The entries along the first axis."""
        return (self[position] for position in range(len(self)))  # type: ignore[index,arg-type]
