"""The numbers of a Jacobian: the full tensor, its matrix and blocks, and what NumPy's own functions see of it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from inspect import getattr_static
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from jacobian.errors import ArgumentError, JacobianError, MissingAttributeError, NonFiniteWarning, ShapeError, report
from jacobian.kernel import lower, memory
from jacobian.kernel.callers import warn
from jacobian.kernel.dispatch import is_foreign, materialise_by_calls
from jacobian.kernel.finite import all_finite
from jacobian.kernel.notation import at
from jacobian.kernel.operands import holds_complex, read_only
from jacobian.kernel.pattern import Shape
from jacobian.kernel.structure import Structure
from jacobian.kernel.term import Array, Term

if TYPE_CHECKING:
    from jacobian.kernel.origin import Origin

UNCHANGING = "a Jacobian never changes"
OWN = "A = np.array(J) is an array of your own, to be changed: A[...] = ..."


class Source(Protocol):
    """What several Jacobians come from, each of which has a number there: nothing is found before it is asked for."""

    @property
    def is_ready(self) -> bool:
        """Whether the full tensors are there already."""

    def tensor(self, number: int) -> np.ndarray | None:
        """The full tensor, read-only; None where it can only be had from the terms after all."""

    def told(self, number: int) -> Tensor:
        """The same Jacobian by its terms, with the names that it has there."""

    def origin(self, number: int) -> Origin | None:
        """The function and the point, where they are known."""


def _entrywise(function: np.ufunc) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    """An operator, and the one for the other way round: they see the full tensor."""

    def straight(J: Tensor, other: Any) -> Any:
        return function(J, other)

    def reflected(J: Tensor, other: Any) -> Any:
        return function(other, J)

    return straight, reflected


class Tensor:
    """What `Jacobian` is as an array; the terms and their algebra are in `expression.py`."""

    __slots__ = ("_dense", "_number", "_source", "_terms", "dtype", "in_shape", "names", "out_shape")

    out_shape: Shape
    in_shape: Shape
    dtype: np.dtype[Any]
    names: tuple[str, str]
    _dense: Array
    _terms: tuple[Term, ...] | None
    _source: Source | None
    _number: int  # of this one there

    @property
    def terms(self) -> tuple[Term, ...]:
        """What it is the sum of. Where a program made the tensor, the terms are found when they are asked for."""
        found = self._terms
        if found is None:
            assert self._source is not None
            told = self._source.told(self._number)
            found, self.names = told.terms, told.names  # equal ones, which know what they stand for
            self._terms = found
        return found

    @property
    def origin(self) -> Origin | None:
        """The function and the point that it is of, where they are known."""
        raise NotImplementedError

    @property
    def nbytes(self) -> int:
        """What the terms hold, each array counted once."""
        raise NotImplementedError

    @property
    def structure(self) -> Structure:
        """What the terms prove."""
        raise NotImplementedError

    @property
    def shape(self) -> Shape:
        """Output shape followed by input shape."""
        return self.out_shape + self.in_shape

    @property
    def ndim(self) -> int:
        """How many axes the full tensor has."""
        return len(self.out_shape) + len(self.in_shape)

    @property
    def size(self) -> int:
        """How many entries the full tensor has."""
        return prod(self.shape)

    @property
    def dense_nbytes(self) -> int:
        """What the full tensor would cost."""
        return self.size * self.dtype.itemsize

    # -- numbers ----------------------------------------------------------------------------------------------------

    def tensor(self) -> Array:
        """The full tensor: a read-only ndarray, or a traced array when a factor is traced."""
        if self._dense is None:
            source = self._source
            if source is None or not source.is_ready or memory.is_limited():
                memory.check(self.dense_nbytes, self._told, self._holds)
            computed = None if source is None else source.tensor(self._number)
            self._dense = materialise(self) if computed is None else computed
        return self._dense

    def _told(self) -> str:
        return f"{self.out_shape} × {self.in_shape} {self.dtype}"

    def _holds(self) -> str:
        return f"{memory.human(self.nbytes)}, {self.structure}"

    def product(self, name: str, instead: str) -> Array:
        """The full tensor of what was asked for as `name`, which is how its bill speaks of it."""
        memory.check(self.dense_nbytes, f"{self.shape} {self.dtype}", name=name, instead=instead)
        return self.tensor()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """The full tensor, read-only; `copy=True` or another dtype gives an array of your own."""
        array = self.tensor()
        if dtype is None and not copy and type(array) is np.ndarray:  # as most often
            return array
        if is_foreign(array):
            array = array.__array__()
        if dtype is not None and np.dtype(dtype) != array.dtype:
            return np.asarray(array, dtype)
        return np.array(array) if copy else np.asarray(array)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """NumPy functions see the full tensor."""

        def full(value: Any) -> Any:
            if isinstance(value, Tensor):
                return value.tensor()
            return type(value)(map(full, value)) if isinstance(value, list | tuple) else value

        refuse_as_out(kwargs.get("out"))
        return func(*map(full, args), **{name: full(value) for name, value in kwargs.items()})

    def __len__(self) -> int:
        """The length of the first axis."""
        if not self.shape:
            raise ArgumentError(
                report("a Jacobian of a number by a number has no length", fix="J.item() is the number")
            )
        return int(self.shape[0])

    def __iter__(self) -> Iterator[Any]:
        """The entries along the first axis."""
        return (self[position] for position in range(len(self)))  # type: ignore[index]

    def __contains__(self, value: object) -> bool:
        """Whether an entry equals a number, as of arrays."""
        return bool(np.any(self == value))

    def __setitem__(self, key: Any, value: Any) -> None:
        """Refused: a Jacobian never changes."""
        raise ArgumentError(report(f"{UNCHANGING}: nothing can be assigned to its entries", fix=OWN))

    def __delitem__(self, key: Any) -> None:
        """Refused likewise."""
        raise ArgumentError(report(f"{UNCHANGING}: its entries cannot be deleted", fix="np.delete(J, index, axis)"))

    def __dir__(self) -> list[str]:
        """What it has."""
        return [name for name in super().__dir__() if not isinstance(getattr_static(self, name, None), _Missing)]

    def __abs__(self) -> Any:
        """The magnitude of every entry."""
        return np.abs(self)

    __pow__, __rpow__ = _entrywise(np.power)
    __mod__, __rmod__ = _entrywise(np.remainder)
    __floordiv__, __rfloordiv__ = _entrywise(np.floor_divide)
    __divmod__, __rdivmod__ = _entrywise(np.divmod)
    __rtruediv__ = _entrywise(np.divide)[1]

    def __round__(self, ndigits: int | None = None) -> Any:
        """Every entry rounded to so many decimals; a number as Python rounds it."""
        return np.round(self, ndigits or 0) if self.shape else round(self.item(), ndigits)

    def __format__(self, spec: str) -> str:
        """As text; a Jacobian with one entry is formatted as the number that it is."""
        if not spec:
            return str(self)
        if self.size != 1:
            headline = f"a Jacobian of {self.size} entries is not formatted as a number, by {spec!r}"
            raise ArgumentError(report(headline, fix="np.array2string(np.asarray(J), precision=2), or np.round(J, 2)"))
        return format(self.item(), spec)

    def __bool__(self) -> bool:
        """Whether the number that the Jacobian of a scalar by a scalar is, is not zero."""
        if self.size != 1:
            headline = f"a Jacobian of {self.size} entries is neither true nor false"
            raise ShapeError(report(headline, fix="np.any(J) or np.all(J); J is None, len(J) or J.nnz"))
        return bool(self.item())

    __hash__ = object.__hash__  # each is like itself alone, whatever its entries are

    def __eq__(self, other: object) -> Any:
        """Entry by entry, as arrays are compared; so are the next ones."""
        return self._compared(operator.eq, other)

    def __ne__(self, other: object) -> Any:
        """Entry by entry."""
        return self._compared(operator.ne, other)

    def __lt__(self, other: object) -> Any:
        """Entry by entry."""
        return self._compared(operator.lt, other)

    def __le__(self, other: object) -> Any:
        """Entry by entry."""
        return self._compared(operator.le, other)

    def __gt__(self, other: object) -> Any:
        """Entry by entry."""
        return self._compared(operator.gt, other)

    def __ge__(self, other: object) -> Any:
        """Entry by entry."""
        return self._compared(operator.ge, other)

    def _compared(self, how: Callable[[Any, Any], Any], other: Any) -> Any:
        theirs = other.tensor() if isinstance(other, Tensor) else other
        try:
            return how(self.tensor(), theirs)
        except (ValueError, TypeError) as error:
            if isinstance(error, JacobianError):
                raise
            headline, got = "a Jacobian is compared entry by entry", f"{self.shape} and {np.shape(theirs)}"
            fix = "compare arrays whose shapes fit together; J1 is J2 asks for the same object"
            kind = ShapeError if isinstance(error, ValueError) else ArgumentError
            raise kind(report(f"{headline}: {str(error).strip()}", got=got, fix=fix)) from None

    def item(self, *index: int) -> Any:
        """The number that the Jacobian of a scalar by a scalar is; of any other one the entry at an index."""
        if index:
            return np.asarray(self[index]).item()  # type: ignore[index]
        if self.size != 1:
            headline = f"only a Jacobian with one entry is a number; this one has {self.size}"
            raise ShapeError(report(headline, fix="J[index] is one of them, np.asarray(J) all"))
        return np.asarray(self).item()

    def __float__(self) -> float:
        """The number that the Jacobian of a scalar by a scalar is."""
        return float(self.item())

    def __int__(self) -> int:
        """Likewise, without what follows the point."""
        return int(self.item())

    def matrix(self, order: str = "C") -> np.ndarray:
        """The matrix (∏M) × (∏N) of the flattened groups; `order="F"` is the column-major `vec`."""
        if order not in ("C", "F"):
            raise ArgumentError(report(f"order must be 'C' or 'F', not {order!r}", C="row-major", F="column-major vec"))
        array = self.tensor()
        outs, ins = len(self.out_shape), len(self.in_shape)
        if order == "F":
            array = np.transpose(array, [*range(outs)[::-1], *range(outs, outs + ins)[::-1]])
        flat: np.ndarray = read_only(np.reshape(array, (prod(self.out_shape), prod(self.in_shape))))
        return flat

    def blocks(self) -> Blocks:
        """A matrix of matrices, an object array: the last output and input axis are inside a block, the rest outside.

        A notebook shows it as a table of tables.

        >>> import numpy as np, jacobian as jac
        >>> jac.jacobian(lambda X: X.T)(np.ones((2, 3))).blocks()[0, 1]
        array([[0., 0., 0.],
               [1., 0., 0.]])
        """
        outs, ins = len(self.out_shape), len(self.in_shape)
        array = np.asarray(self.tensor())
        inner = ([outs - 1] if outs else []) + ([outs + ins - 1] if ins else [])
        outer = [axis for axis in range(outs + ins) if axis not in inner]
        array = array.transpose(*outer, *inner)
        rows, cols = prod(self.out_shape[:-1]), prod(self.in_shape[:-1])
        array = read_only(array.reshape(rows, cols, *array.shape[len(outer) :]))
        blocks = np.empty((rows, cols), object).view(Blocks)
        for row in range(rows):
            for col in range(cols):
                blocks[row, col] = array[row, col]
        blocks.whole = self
        return blocks


class Blocks(np.ndarray):
    """A matrix of matrices; `whole` is the Jacobian that it shows, None once something was done to it."""

    whole: Tensor | None = None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows."""
        from jacobian.display.blocks import mimebundle

        return mimebundle(self)


def materialise(J: Tensor) -> Array:
    """The full tensor of a Jacobian. An array type with the method `__jacobian_tensor__` makes it itself."""
    foreign = [factor.array for term in J.terms for factor in term.factors if is_foreign(factor.array)]
    for array in foreign:
        if hasattr(type(array), "__jacobian_tensor__"):
            return array.__jacobian_tensor__(J)
    halves = J.dtype.kind != "c" and holds_complex(J.terms)  # what `real_part` leaves: their sum is real
    dtype = np.result_type(J.dtype, np.complex64) if halves else J.dtype
    if foreign:
        result = materialise_by_calls(J.terms, J.shape, dtype)
        return np.real(result) if halves else result
    array = lower.materialise(J.terms, J.shape, dtype)
    if J.origin is not None and not all(map(_is_finite, J.terms)):
        _tell_of_nans(J, array)
    if halves:
        return read_only(array.real.copy())
    held = any(factor.array is array for term in J.terms for factor in term.factors)
    return read_only(array.view() if held else array)  # a factor may be the user's own array


def _is_finite(term: Term) -> bool:
    """Whether all that a term multiplies is finite."""
    return bool(np.isfinite(term.scale)) and all(all_finite(factor.array) for factor in term.factors)


def _tell_of_nans(J: Tensor, array: np.ndarray) -> None:
    """Warn of entries that are NaN, which come of what is not finite on the way, at the user's line."""
    nans = np.argwhere(np.isnan(array))
    if len(nans):
        count = "an entry that is NaN" if len(nans) == 1 else f"{len(nans)} entries that are NaN"
        places = list(map(str, nans[0]))
        outs = len(J.out_shape)
        entry = f"∂{at(J.names[0], places[:outs])}/∂{at(J.names[1], places[outs:])}"
        why = "something is infinite or NaN on the way, and infinity times 0 is NaN"
        fix = "[v for v in jac.trace(f, x).nodes if not np.isfinite(v.value).all()] shows where"
        warn(NonFiniteWarning(report(f"∂{J.names[0]}/∂{J.names[1]} holds {count}", first=entry, why=why, fix=fix)))


def refuse_as_out(out: Any) -> None:
    """Refuse to write what a function of NumPy's gives to a Jacobian."""
    if any(isinstance(one, Tensor) for one in (out if isinstance(out, tuple) else (out,))):
        raise ArgumentError(report(f"{UNCHANGING}: nothing can be written to it by out=", fix=OWN))


_CHANGING = {"byteswap", "fill", "partition", "put", "resize", "setfield", "setflags", "sort"}


class _Missing:
    """What arrays have and a Jacobian does not: the error says what has it.

    One for every name, as a `__getattr__` for all would be asked for what NumPy looks for in vain in every `asarray`.
    """

    def __init__(self, name: str) -> None:
        call = "(...)" if callable(getattr(np.ndarray, name)) else ""
        fix = f"np.asarray(J).{name}{call}, of the full tensor"
        if call and callable(getattr(np, name, None)):
            fix += f"; np.{name}(J, ...) sees it, too"
        if name in _CHANGING:
            fix = f"A = np.array(J) is an array of your own: A.{name}(...)"
        self._text = report(f"a Jacobian has no {name}, which arrays have", fix=fix)

    def __get__(self, J: Tensor | None, kind: type[Tensor]) -> Any:
        raise MissingAttributeError(self._text)


for _name in dir(np.ndarray):
    if not _name.startswith("_") and not hasattr(Tensor, _name):
        setattr(Tensor, _name, _Missing(_name))
