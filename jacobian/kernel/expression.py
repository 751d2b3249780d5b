"""`Jacobian`: a sum of terms with one output shape and one input shape, and its algebra."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobian.errors import ArgumentError, IndexingError, JacobianError, ShapeError, report
from jacobian.kernel import notation, spec
from jacobian.kernel.access import plain
from jacobian.kernel.explain import explain
from jacobian.kernel.indexing import selection
from jacobian.kernel.intervals import joined
from jacobian.kernel.joint import within
from jacobian.kernel.meanings import Name, portable
from jacobian.kernel.operands import as_array, copied_operand, is_foreign_array, merged, snapshot, with_scalar
from jacobian.kernel.pattern import Access, Pattern, Shape, identity
from jacobian.kernel.shown import Shown
from jacobian.kernel.structure import Structure, count_nonzero_positions, structure_of
from jacobian.kernel.tensor import refuse_as_out
from jacobian.kernel.term import Array, Factor, Scope, Term

if TYPE_CHECKING:
    from jacobian.kernel.origin import Origin
    from jacobian.kernel.tensor import Source


class Jacobian(Shown):
    """The generalized Jacobian `J[j, i] = ∂y_j/∂x_i`: output axes first, then input axes, C-order when flattened.

    It is held as a sum of terms and computed from them; the full tensor exists only when `np.asarray` asks for it.
    Jacobians are immutable snapshots.

    >>> import numpy as np
    >>> J = Jacobian.einsum("jk->ik|ij", np.arange(6.0).reshape(3, 2), i=2)
    >>> J.shape, J.structure
    ((2, 2, 2, 3), 'block-diagonal over axis 0')
    >>> print(J.formula)
    ∂y[i,k]/∂x[i,j] = A[j,k]
    """

    __slots__ = ("_origin", "denominator")
    __array_priority__ = 1000

    out_shape: Shape
    in_shape: Shape
    dtype: np.dtype[Any]
    _origin: Origin | None

    def __init__(
        self,
        terms: Iterable[Term],
        out_shape: Shape,
        in_shape: Shape,
        dtype: Any = np.float64,
        names: tuple[str, str] = ("y", "x"),
        origin: Origin | None = None,
        *,
        denominator: bool = False,
    ) -> None:
        empty = 0 in out_shape or 0 in in_shape
        self._terms = () if empty else tuple([t for t in terms if t.scale != 0 and 0 not in t.pattern.sizes])
        self._source, self._number = None, 0
        self.out_shape = out_shape
        self.in_shape = in_shape
        self.dtype = np.dtype(dtype)
        self.names = names
        self._origin = origin
        self.denominator = denominator  # whether input axes stand first, as after `.T`
        self._dense: Array = None

    # -- making ---------------------------------------------------------------------------------------------------

    @classmethod
    def einsum(cls, text: str, *operands: Any, names: tuple[str, str] = ("y", "x"), **sizes: Any) -> Jacobian:
        """A Jacobian written by hand: `operands -> output axes | input axes`.

        A label that stands on both sides of `|` is a δ, one on neither side is summed, `...` is a batch shared by
        both sides.

        Args:
            text: the specification, `"jk->ik|ij"`.
            *operands: one array per group of labels; their values are copied.
            names: how formulas call output and input.
            **sizes: sizes of labels no operand carries, `i=3`; `batch=(2, 3)` for `...`.

        Raises:
            LabelError: the text cannot be read, or a label has no size.
            ShapeError: operands disagree about a label's size.
            DTypeError: an operand does not hold numbers.

        >>> J = Jacobian.einsum("->i|i", i=3)
        >>> J.structure
        'identity'
        """
        parsed = spec.parse(text)
        arrays = [copied_operand(operand, position + 1) for position, operand in enumerate(operands)]
        pattern, letters = spec.bind(parsed, [tuple(np.shape(array)) for array in arrays], sizes)
        dtype = np.result_type(*(array.dtype for array in arrays)) if arrays else np.dtype(float)
        factors = tuple(Factor(array, chr(ord("A") + k)) for k, array in enumerate(arrays))
        return cls((Term(pattern, factors, letters=letters),), pattern.out_shape, pattern.in_shape, dtype, names)

    @classmethod
    def identity(cls, shape: Shape, dtype: Any = np.float64, names: tuple[str, str] = ("y", "x")) -> Jacobian:
        """The Jacobian of `x -> x`: a δ on every axis."""
        return cls((Term(identity(shape)),), shape, shape, dtype, names)

    @classmethod
    def zero(
        cls, out_shape: Shape, in_shape: Shape, dtype: Any = np.float64, names: tuple[str, str] = ("y", "x")
    ) -> Jacobian:
        """The Jacobian of a function that does not depend on its input."""
        return cls((), out_shape, in_shape, dtype, names)

    @classmethod
    def from_array(
        cls, array: Array, out_ndim: int, label: str = "", dtype: Any = None, *, copy: bool = True
    ) -> Jacobian:
        """A dense Jacobian: a copy of the array, its first `out_ndim` axes being the output's.

        >>> import numpy as np
        >>> Jacobian.from_array(np.ones((2, 3)), 1, "A").formula
        '∂y[i]/∂x[j] = A[i,j]'
        """
        array = np.array(array) if copy and not is_foreign_array(array) else array
        shape = tuple(np.shape(array))
        forms = tuple(plain(axis) for axis in range(len(shape)))
        out, into = shape[:out_ndim], shape[out_ndim:]
        pattern = Pattern(shape, forms[:out_ndim], forms[out_ndim:], out, into, (Access(forms, shape),))
        return cls((Term(pattern, (Factor(array, label),)),), out, into, array.dtype if dtype is None else dtype)

    @classmethod
    def computed(
        cls, source: Source, number: int, out_shape: Shape, in_shape: Shape, dtype: np.dtype[Any],
        names: tuple[str, str],
    ) -> Jacobian:  # fmt: skip
        """A Jacobian whose full tensor can be had without its terms, which are found when they are asked for."""
        J = cls.__new__(cls)  # without a look at terms that are not there yet
        J.out_shape, J.in_shape, J.dtype, J.names = out_shape, in_shape, dtype, names
        J._origin, J.denominator, J._dense = None, False, None
        empty = 0 in out_shape or 0 in in_shape
        J._terms, J._source, J._number = () if empty else None, source, number
        return J

    def _with(self, terms: Iterable[Term], **changes: Any) -> Jacobian:
        kept = {"out_shape": self.out_shape, "in_shape": self.in_shape, "dtype": self.dtype, "names": self.names}
        return Jacobian(terms, **{**kept, **changes})

    @property
    def origin(self) -> Origin | None:
        """The function, the point and the value there, where they are known."""
        if self._origin is None and self._source is not None:
            self._origin = self._source.origin(self._number)
        return self._origin

    @origin.setter
    def origin(self, origin: Origin) -> None:
        self._origin = origin

    # -- looking without materialising --------------------------------------------------------------------------------

    @property
    def nbytes(self) -> int:
        """What the terms hold, each array counted once."""
        arrays = {id(f.array): f.array for term in self.terms for f in term.factors}
        tables = {id(table): table for term in self.terms for table in term.tables}
        return sum(int(array.nbytes) for array in (*arrays.values(), *tables.values()))

    @property
    def nnz(self) -> int:
        """How many entries are not zero by structure; values that happen to be zero are counted."""
        return count_nonzero_positions(self.terms, self.out_shape, self.in_shape)

    @property
    def structure(self) -> Structure:
        """What the terms prove: diagonal, block-diagonal over axes, Kronecker, dense, zero, …"""
        return structure_of(self.terms, self.out_shape, self.in_shape)

    @property
    def formula(self) -> str:
        """The Jacobian in index notation; an index on both sides of the quotient is a δ."""
        return self.formula_of(self.terms)

    @property
    def spelling(self) -> notation.Spelling:
        """What things are called in the formula."""
        return notation.Spelling(self.terms, self.names)

    def formula_of(self, terms: Sequence[Term]) -> str:
        """Some of the terms as they stand in the formula; the denominator layout is told with its axes exchanged."""
        ranks, spelling = (len(self.out_shape), len(self.in_shape)), self.spelling
        if self.denominator:
            told = notation.formula([term.transposed for term in terms], self.names, ranks[::-1], spelling)
            return f"{told}  (input axes first)"
        return notation.formula(terms, self.names, ranks, spelling)

    @property
    def latex(self) -> str:
        """The formula as LaTeX."""
        return notation.latex(self.formula.removesuffix("  (input axes first)"))

    def explain(self) -> str:
        """The terms, how each is contracted, multiplications and bytes, and the orders of elimination compared."""
        return explain(self)

    def __getitem__(self, key: Any) -> Any:
        """Entries by index vectors, output axes first, computed from the terms alone.

        `J[1, 2, 0, :]`, or the two index vectors as tuples: `J[(1, 2), (0, 3)]`.
        """
        if isinstance(key, tuple) and len(key) == 2 and all(isinstance(part, tuple) for part in key):
            for part, shape, side in zip(key, (self.out_shape, self.in_shape), ("output", "input"), strict=True):
                if len(part) != len(shape):
                    raise IndexingError(
                        report(f"the {side} index vector {part} needs {len(shape)} entries", shape=shape)
                    )
            key = key[0] + key[1]
        picked = selection(key, self.shape, self.dtype)
        return (picked @ self._flattened()).product("J[…]", "pick fewer entries at a time")

    def diagonal(self) -> Any:
        """`J[i, i]` for every index vector i of the output; needs `out_shape == in_shape`."""
        if self.out_shape != self.in_shape:
            raise ShapeError(
                report("diagonal: output and input differ in shape", out=self.out_shape, input=self.in_shape)
            )
        forms = tuple(plain(axis) for axis in range(len(self.out_shape)))
        pattern = Pattern(self.out_shape, forms, forms + forms, self.out_shape, self.shape)
        return (Jacobian((Term(pattern),), self.out_shape, self.shape, self.dtype) @ self._flattened()).tensor()

    def _flattened(self) -> Jacobian:
        """The same tensor with all axes on the output side."""
        terms = [
            Term(
                Pattern(
                    t.pattern.sizes, t.pattern.out + t.pattern.into, (), self.shape, (),
                    t.pattern.factors, t.pattern.guards, t.pattern.tables,
                ), t.factors, t.tables, t.scale,
            )
            for t in self.terms
        ]  # fmt: skip
        return self._with(terms, out_shape=self.shape, in_shape=())

    def to_scipy(self, format: str = "csr") -> Any:  # noqa: A002 - SciPy's own name
        """The flattened matrix as a `scipy.sparse` array; needs SciPy."""
        from jacobian.kernel.sparse import to_scipy

        return to_scipy(self, format)

    # -- algebra ----------------------------------------------------------------------------------------------------

    def __matmul__(self, other: Any) -> Any:
        """The generalized dot product over the whole input index vector: with a Jacobian the chain rule, else J·Δx.

        An array may have further axes behind those of the input; they stay.
        """
        if isinstance(other, Jacobian):
            return self.after(other)
        array, ndim = as_array(other), len(self.in_shape)
        if tuple(array.shape[:ndim]) != self.in_shape:
            raise ShapeError(
                report(
                    "J @ dx: dx must have the input's shape",
                    got=f"J {self.out_shape} × {self.in_shape}, dx {tuple(array.shape)}",
                    fix=f"give dx the shape {self.in_shape}",
                )
            )
        product = self.after(Jacobian.from_array(array, ndim, copy=False))
        return snapshot(product.product("J @ dx", "give dx fewer columns at a time"), array)

    def __rmatmul__(self, other: Any) -> Any:
        """The generalized dot product over the whole output index vector, upstream·J.

        An array may have further axes before those of the output; they stay.
        """
        array, ndim = as_array(other), len(self.out_shape)
        lead = array.ndim - ndim
        if lead < 0 or tuple(array.shape[lead:]) != self.out_shape:
            raise ShapeError(
                report(
                    "u @ J: u must have the output's shape",
                    got=f"u {tuple(array.shape)}, J {self.out_shape} × {self.in_shape}",
                    fix=f"give u the shape {self.out_shape}",
                )
            )
        product = Jacobian.from_array(array, lead, copy=False).after(self)
        return snapshot(product.product("u @ J", "give u fewer rows at a time"), array)

    def after(self, first: Jacobian) -> Jacobian:
        """The chain rule, `self @ first`."""
        if self.in_shape != first.out_shape:
            raise ShapeError(
                report(
                    "J2 @ J1: the input of J2 must have the shape of the output of J1",
                    got=f"J2 {self.out_shape} × {self.in_shape}, J1 {first.out_shape} × {first.in_shape}",
                    fix="write the outer function's Jacobian on the left: ∂z/∂x = ∂z/∂y @ ∂y/∂x",
                )
            )
        products = [left.after(right) for left in self.terms for right in first.terms]  # before the names are read
        return Jacobian(
            joined([term for term in products if term is not None]),
            self.out_shape,
            first.in_shape,
            self.dtype if self.dtype == first.dtype else np.result_type(self.dtype, first.dtype),
            (self.names[0], first.names[1]),
        )

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """`c * J`, `u @ J` and `J1 + J2` keep the terms; any other ufunc sees the full tensor."""
        if method == "__call__" and len(inputs) == 2 and not kwargs:
            left, right = inputs
            if ufunc is np.matmul:
                return left.__matmul__(right) if isinstance(left, Jacobian) else right.__rmatmul__(left)
            if ufunc is np.multiply and np.ndim(right if isinstance(left, Jacobian) else left) == 0:
                return left.__mul__(right) if isinstance(left, Jacobian) else right.__rmul__(left)
        refuse_as_out(kwargs.get("out"))
        plain_inputs = [x.tensor() if isinstance(x, Jacobian) else x for x in inputs]
        try:
            return getattr(ufunc, method)(*plain_inputs, **kwargs)
        except (ValueError, TypeError) as error:
            if isinstance(error, JacobianError):
                raise
            kind = ShapeError if isinstance(error, ValueError) else ArgumentError
            raise kind(
                report(f"np.{ufunc.__name__} of the full tensor: {str(error).strip()}", J=repr(self.shape))
            ) from None

    @staticmethod
    def total(jacobians: Sequence[Jacobian]) -> Jacobian:
        """The sum of many of one shape, merged once; at least one must be given."""
        first, *others = jacobians
        if not others:
            return first
        dtypes = {J.dtype for J in jacobians}
        dtype = first.dtype if len(dtypes) == 1 else np.result_type(*dtypes)
        return first._with(merged([term for J in jacobians for term in J.terms]), dtype=dtype)

    def __add__(self, other: Any) -> Any:
        """The sum, term by term; terms that differ only by a number become one. With an array: the full tensor."""
        if not isinstance(other, Jacobian):
            return self if _is_zero(other) else np.add(self, other)
        if self.shape != other.shape or self.out_shape != other.out_shape:
            raise ShapeError(
                report(
                    "J1 + J2: the shapes differ",
                    got=f"J1 {self.out_shape} × {self.in_shape}, J2 {other.out_shape} × {other.in_shape}",
                )
            )
        dtype = self.dtype if self.dtype == other.dtype else np.result_type(self.dtype, other.dtype)
        return self._with(merged((*self.terms, *other.terms)), dtype=dtype)

    __radd__ = __add__

    def __mul__(self, scalar: Any) -> Jacobian:
        """The Jacobian times a number."""
        if np.ndim(scalar) != 0:
            raise ShapeError(
                report(
                    f"c * J: c must be a scalar, not of shape {np.shape(scalar)}",
                    fix="np.asarray(J) for elementwise products, @ for dot products",
                )
            )
        if is_foreign_array(scalar):
            return self._with(with_scalar(term, scalar) for term in self.terms)
        number = np.asarray(scalar).item()
        if np.asarray(scalar).dtype.kind not in "biufc":
            raise ArgumentError(report(f"c * J: c must be a number, not {type(scalar).__name__}"))
        if isinstance(number, complex):
            return self._with((t.scaled(number) for t in self.terms), dtype=np.result_type(self.dtype, np.complex64))
        return self._with(term.scaled(number) for term in self.terms)

    __rmul__ = __mul__

    def __truediv__(self, scalar: Any) -> Jacobian:
        """The Jacobian divided by a number."""
        if np.ndim(scalar) != 0:
            headline = f"J / c: c must be a scalar, not of shape {np.shape(scalar)}"
            raise ShapeError(report(headline, fix="np.asarray(J) / c for elementwise quotients"))
        if not is_foreign_array(scalar):
            if np.asarray(scalar).dtype.kind not in "biufc":
                raise ArgumentError(report(f"J / c: c must be a number, not {type(scalar).__name__}"))
            if scalar == 0:
                raise ArgumentError(report("J / c: c must not be 0"))
        return self.__mul__(1 / scalar)

    def __neg__(self) -> Jacobian:
        """Minus the Jacobian."""
        return self._with(term.scaled(-1) for term in self.terms)

    def __sub__(self, other: Any) -> Any:
        """The difference, term by term. With an array: the full tensor."""
        return self + (-other) if isinstance(other, Jacobian) else np.subtract(self, other)

    def __rsub__(self, other: Any) -> Any:
        """The difference to an array: the full tensor."""
        return -self + other

    def __pos__(self) -> Jacobian:
        """Itself."""
        return self

    @property
    def T(self) -> Jacobian:
        """Input axes first: the denominator layout."""
        return self._with(
            [term.transposed for term in self.terms], out_shape=self.in_shape, in_shape=self.out_shape,
            denominator=not self.denominator,
        )  # fmt: skip

    def __copy__(self) -> Jacobian:
        """Itself: it never changes."""
        return self

    def __deepcopy__(self, memo: Any) -> Jacobian:
        """Itself: it never changes."""
        return self

    def __reduce__(self) -> Any:
        """Pickled as its terms, with every label as text; the function that it came from stays behind."""
        parts = (list(map(portable, self.terms)), self.out_shape, self.in_shape, self.dtype, self.names)
        return partial(Jacobian, denominator=self.denominator), parts

    def named(self, out: str, into: str) -> Jacobian:
        """The same Jacobian with other names in its formula."""
        if self.names == (out, into):
            return self
        names = [old if old == new else new for old, new in zip(self.names, (out, into), strict=True)]
        return self._with(self.terms, names=tuple(names), origin=self.origin, denominator=self.denominator)

    def within(self, scope: Scope, out: str, into: str) -> Jacobian:
        """The same Jacobian with these names, and that scope for them and for all in its formula that has none."""
        terms, names = [within(term, scope) for term in self.terms], (Name(out, scope), Name(into, scope))
        return self._with(terms, names=names, denominator=self.denominator)

    def predict(self, dx: Any) -> Any:
        """First-order approximation: `y + J·Δx` beside `f(x+Δx)`, with the observed order of the remainder."""
        if self.origin is None:
            raise ArgumentError(
                report("predict: this Jacobian does not know its function", fix="take it from jac.jacobian(f)(x)")
            )
        return self.origin.predict(self, dx)


def _is_zero(value: Any) -> bool:
    """The number 0, with which `sum` begins: adding it changes nothing."""
    return isinstance(value, int | float) and value == 0
