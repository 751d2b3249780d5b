"""The real part of a Jacobian: what is left of a complex one where the numbers are real again."""

from __future__ import annotations

import numpy as np

from jacobian.kernel.expression import Jacobian
from jacobian.kernel.simplify import contracted
from jacobian.kernel.term import Factor, Term


def real_part(J: Jacobian) -> Jacobian:
    """`Re J`, term by term. A real part is no product of factors, so that every term is contracted first."""
    if J.dtype.kind != "c":
        return J
    dtype = np.zeros((), J.dtype).real.dtype
    total = Jacobian.zero(J.out_shape, J.in_shape, dtype, J.names)
    for term in contracted(J).terms:
        total = total + _real_term(term, J, dtype)
    return total


def _real_term(term: Term, J: Jacobian, dtype: np.dtype[np.floating]) -> Jacobian:
    if len(term.factors) > 1:
        whole = Jacobian((term,), J.out_shape, J.in_shape, J.dtype).tensor()
        return Jacobian.from_array(np.real(whole), len(J.out_shape), dtype=dtype)
    factors = tuple(Factor(np.real(factor.array * term.scale)) for factor in term.factors)
    scale = 1 if factors else complex(term.scale).real
    return Jacobian((Term(term.pattern, factors, term.tables, scale),), J.out_shape, J.in_shape, dtype)
