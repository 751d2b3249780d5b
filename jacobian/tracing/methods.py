"""What a traced array has by name: the attributes and methods of an ndarray that say or do more than one function."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.lib.stride_tricks import as_strided

from jacobian.errors import ArgumentError, report
from jacobian.kernel.arraylike import NUMPY, ArrayLike
from jacobian.ops import layout
from jacobian.ops.values import look
from jacobian.tracing.flat import Flat
from jacobian.tracing.refusals import refuse

_TYPE = type  # where an argument of NumPy's has that name


class Methods(ArrayLike):
    """The attributes and methods; `operators.py` adds those that are one function of NumPy's each."""

    __slots__ = ()

    _as_discrete: Any
    _constant: Any
    _memory: Any
    _step: Any
    dtype: Any
    graph: Any
    value: Any

    # -- what is known of the memory ----------------------------------------------------------------------------------

    @property
    def nbytes(self) -> int:
        """Bytes of the value."""
        return int(self.size * self.itemsize)

    @property
    def itemsize(self) -> int:
        """Bytes of one entry."""
        return int(self.dtype.itemsize)

    @property
    def strides(self) -> tuple[int, ...]:
        """How the value lies in memory."""
        strides: tuple[int, ...] = self._below().strides
        return strides

    @strides.setter
    def strides(self, strides: Any) -> NoReturn:
        refuse("x.strides = … cannot be traced", "index, transpose or reshape the array")

    @property
    def flags(self) -> Any:
        """The flags of a view that lies in memory as the value does, and may be written unless this array may not."""
        below = self._below()
        array = as_strided(np.zeros(1, self.dtype), self.shape, below.strides)
        from jacobian.tracing.assignment import why_not_writeable

        if why_not_writeable(self) is not None:  # type: ignore[arg-type]
            array.flags.writeable = False
        return array.flags

    @property
    def base(self) -> Any:
        """The array that it is a view of, or None."""
        one: Any = self
        while one._step is not None:
            one = one._step.parent
        return None if one is self else one

    @property
    def device(self) -> str:
        """Where NumPy's arrays are."""
        return "cpu"

    def to_device(self, device: str, *, stream: Any = None) -> Any:
        """The array itself: there is one device."""
        if device != "cpu" or stream is not None:
            raise ArgumentError(report(f"there is no device {device!r}", fix='NumPy\'s arrays are on the "cpu"'))
        return self

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        """NumPy, whose functions may be traced."""
        return np

    def _below(self) -> np.ndarray:
        """The ndarray at the bottom of nested traces."""
        value: Any = self
        while isinstance(value, Methods):
            value = value.value
        array: np.ndarray = value
        return array

    # -- parts --------------------------------------------------------------------------------------------------------

    @property
    def real(self) -> Any:
        """The real part: the array itself when it is real."""
        return self if self.dtype.kind != "c" else NUMPY.real(self)

    @real.setter
    def real(self, value: Any) -> None:
        if self.dtype.kind == "c":
            refuse("z.real = v cannot be traced where z is complex", "z = v + 1j * z.imag")
        self[...] = value  # type: ignore[index]

    @property
    def imag(self) -> Any:
        """The imaginary part."""
        return NUMPY.imag(self)

    @imag.setter
    def imag(self, value: Any) -> NoReturn:
        refuse("z.imag = v cannot be traced", "z = z.real + 1j * v")

    @property
    def flat(self) -> Any:
        """The entries in C-order, to be read and assigned."""
        return Flat(self)

    @flat.setter
    def flat(self, value: Any) -> None:
        Flat(self)[...] = value

    # -- copies and views ---------------------------------------------------------------------------------------------

    def astype(
        self, dtype: Any, order: Any = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True
    ) -> Any:
        """Another floating dtype; whole numbers and booleans are plain arrays, as they have no derivative."""
        dtype = np.dtype(dtype)
        if not np.can_cast(self.dtype, dtype, casting):  # type: ignore[arg-type]
            raise ArgumentError(report(f"astype: {self.dtype} is not cast to {dtype} with casting={casting!r}"))
        if dtype.kind in "biu":
            kept = self._as_discrete(dtype) if order == "K" else None
            return look(self).astype(dtype, order) if kept is None else kept
        if dtype.kind not in "fc":
            refuse(f"a traced array cannot become one of {dtype.name}", "make it one outside of the function")
        if not copy and dtype == self.dtype:
            return self
        result = layout.astype(self, dtype)
        return result if order == "K" else layout.copy(result, order=order)

    def copy(self, order: Any = "C") -> Any:
        """A copy: what is assigned into one is not seen in the other."""
        return NUMPY.copy(self, order=order) if isinstance(self._below(), np.ndarray) else self

    def view(self, dtype: Any = None, type: Any = None) -> Any:  # noqa: A002 - NumPy's own name
        """Another array of the same memory; its bytes cannot be read as anything else."""
        if isinstance(dtype, _TYPE) and issubclass(dtype, np.ndarray) and dtype is not np.ndarray:
            refuse(f"a traced array cannot become a {dtype.__name__}", "leave it an array; @ is the matrix product")
        if dtype not in (None, np.ndarray) and np.dtype(dtype) != self.dtype:
            refuse(f"x.view({np.dtype(dtype)}) cannot be traced: it reads bytes", "x.astype(dtype) for another dtype")
        return self[...]  # type: ignore[index]

    def reshape(self, *shape: Any, order: Any = "C", copy: Any = None) -> Any:
        """Another shape."""
        if len(shape) == 1 and isinstance(shape[0], tuple | list):
            shape = tuple(shape[0])
        return layout.reshape(self, shape, order=order, copy=copy)

    def flatten(self, order: Any = "C") -> Any:
        """One axis, a copy."""
        return NUMPY.copy(NUMPY.ravel(self, order=order))

    def conjugate(self, out: Any = None) -> Any:
        """The array itself when it is real."""
        if out is not None:
            return NUMPY.conjugate(self, out=out)
        return NUMPY.conjugate(self) if self.dtype.kind == "c" else self

    conj = conjugate

    def compress(self, condition: Any, axis: Any = None, out: Any = None) -> Any:
        """Slices along an axis where the condition holds."""
        return NUMPY.compress(condition, self, axis=axis, out=out)

    # -- what is done in place ----------------------------------------------------------------------------------------

    def sort(self, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> None:
        """Sort the entries along an axis."""
        self[...] = NUMPY.sort(self, axis=axis, kind=kind, order=order, stable=stable)  # type: ignore[index]

    def partition(self, kth: Any, axis: Any = -1, kind: Any = "introselect", order: Any = None) -> None:
        """Bring the entries along an axis into the order of `np.partition`."""
        self[...] = NUMPY.partition(self, kth, axis=axis, kind=kind, order=order)  # type: ignore[index]

    def fill(self, value: Any) -> None:
        """Assign a number to every entry."""
        if np.ndim(value):
            shape = tuple(np.shape(value))
            raise ArgumentError(report(f"x.fill(v) needs a number, not an array of shape {shape}", fix="x[...] = v"))
        self[...] = value  # type: ignore[index]

    def put(self, indices: Any, values: Any, mode: str = "raise") -> None:
        """Assign to entries by their place in C-order."""
        NUMPY.put(self, indices, values, mode=mode)

    # -- what leaves the trace ----------------------------------------------------------------------------------------

    def item(self, *args: Any) -> Any:
        """A Python number; refused where it depends on an input."""
        return self._constant("a Python number by .item()").item(*args)

    def tolist(self) -> Any:
        """Python's lists and numbers; refused where they depend on an input."""
        return self._constant("a list by .tolist()").tolist()
