"""The real part of a Jacobian: what is left of a complex one where the numbers are real again."""

from __future__ import annotations

from typing import Any

import numpy as np

from jacobian.kernel.expression import Jacobian
from jacobian.kernel.notation import is_placed
from jacobian.kernel.operands import holds_complex, is_complex
from jacobian.kernel.simplify import contracted, is_kept
from jacobian.kernel.term import Factor, Operator, Term


def real_part(J: Jacobian) -> Jacobian:
    """`Re J`, term by term. A real part is no product of factors, so that every term is contracted first.

    Only operators on the way to many entries are not: contracting would build them. There `Re J` is `(J + J*) / 2`.
    """
    if J.dtype.kind != "c":
        return J
    dtype = np.zeros((), J.dtype).real.dtype
    total = Jacobian.zero(J.out_shape, J.in_shape, dtype, J.names)
    for term in contracted(Jacobian(J.terms, J.out_shape, J.in_shape, dtype, J.names)).terms:
        total = total + _real_term(term, J, dtype)
    return total


def _halves(term: Term) -> tuple[Term, ...]:
    """`Re T` as `T/2 + T*/2`, or as the real part of the only factor that is complex."""
    complex_ones = [factor for factor in term.factors if is_complex(factor)]
    if len(complex_ones) == 1 and not isinstance(term.scale, complex):
        return (term.with_factors(tuple(map(_real_factor, term.factors))),)
    conjugate = term.with_factors(tuple(map(_conjugate_factor, term.factors)))
    mirrored = Term(conjugate.pattern, conjugate.factors, term.tables, complex(term.scale).conjugate(), term.letters)
    return term.scaled(0.5), mirrored.scaled(0.5)


def _real_factor(factor: Factor) -> Factor:
    if not is_complex(factor):
        return factor
    real = RealPart(factor.array) if isinstance(factor.array, Operator) else np.real(factor.array)
    return Factor(real, lambda: f"real({factor.text})" if is_placed(factor.text) else "", factor.scope)


def _conjugate_factor(factor: Factor) -> Factor:
    if not is_complex(factor):
        return factor
    array = factor.array
    conjugate = Conjugate(array) if isinstance(array, Operator) else np.conjugate(array)
    return Factor(conjugate, lambda: f"conj({factor.text})" if is_placed(factor.text) else "", factor.scope)


def _real_term(term: Term, J: Jacobian, dtype: np.dtype[np.floating]) -> Jacobian:
    if not holds_complex((term,)):
        return Jacobian((term,), J.out_shape, J.in_shape, dtype)
    alone = len(term.factors) == 1 and isinstance(term.factors[0].array, Operator)
    if alone or is_kept(term):
        return Jacobian(_halves(term), J.out_shape, J.in_shape, dtype)
    if len(term.factors) > 1:
        whole = Jacobian((term,), J.out_shape, J.in_shape, J.dtype).tensor()
        return Jacobian.from_array(np.real(whole), len(J.out_shape), dtype=dtype)
    if isinstance(term.scale, complex) or not term.factors:
        factors = tuple(Factor(np.real(factor.array * term.scale)) for factor in term.factors)
        scale = 1 if factors else complex(term.scale).real
    else:
        factors, scale = tuple(map(_real_factor, term.factors)), term.scale
    return Jacobian((Term(term.pattern, factors, term.tables, scale),), J.out_shape, J.in_shape, dtype)


class RealPart(Operator):
    """The real part of a complex operator."""

    def __init__(self, whole: Operator) -> None:
        self.whole = whole
        self.shape = whole.shape
        self.dtype = np.zeros((), whole.dtype).real.dtype

    def apply(self, array: Any, axis: int) -> Any:
        """To the real and to the imaginary part."""
        return _by_parts(self.whole.apply, array, axis)

    def apply_transposed(self, array: Any, axis: int) -> Any:
        """To the real and to the imaginary part."""
        return _by_parts(self.whole.apply_transposed, array, axis)

    @property
    def nbytes(self) -> int:
        """What the operator holds."""
        return self.whole.nbytes


def _by_parts(apply: Any, array: Any, axis: int) -> Any:
    if array.dtype.kind != "c":
        return np.real(apply(array, axis))
    return np.real(apply(np.real(array), axis)) + 1j * np.real(apply(np.imag(array), axis))


class Conjugate(Operator):
    """The complex conjugate of an operator, not transposed."""

    def __init__(self, whole: Operator) -> None:
        self.whole = whole
        self.shape = whole.shape
        self.dtype = whole.dtype

    def apply(self, array: Any, axis: int) -> Any:
        """What the operator makes of the conjugate, conjugated."""
        return np.conjugate(self.whole.apply(np.conjugate(array), axis))

    def apply_transposed(self, array: Any, axis: int) -> Any:
        """What the operator makes of the conjugate, conjugated."""
        return np.conjugate(self.whole.apply_transposed(np.conjugate(array), axis))

    @property
    def nbytes(self) -> int:
        """What the operator holds."""
        return self.whole.nbytes
