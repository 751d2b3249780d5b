"""Guards in programs: an array of zeros and ones beside the factors, or a running sum of what they are contracted with.

A small array is contracted with the others by BLAS in less time than it takes to begin anything else. But zero times
infinity is no zero: a program with such an array ends where a factor is not finite.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from jacobian.kernel.access import indices
from jacobian.kernel.code import Code, OtherwiseError, Symbol
from jacobian.kernel.equations import Guard
from jacobian.kernel.finite import all_finite
from jacobian.kernel.guards import scan_of
from jacobian.kernel.network import ones, write_network
from jacobian.kernel.pattern import Pattern
from jacobian.kernel.places import Labels, Named
from jacobian.kernel.specials import Means, Special, apply_one
from jacobian.kernel.views import read_guard

SMALL = 2**14  # entries of a guard as an array, up to which a product with it takes no longer than a running sum


def with_guards(
    code: Code, factors: Sequence[Named], guards: Sequence[Guard], pattern: Pattern, tables: Sequence[Symbol],
    dtype: np.dtype[Any],
) -> list[Named] | None:  # fmt: skip
    """The factors with guards beside them as arrays, or contracted with what they sum; None where neither will do.

    Nor will it for a program whose numbers may be anything: when it ends, nobody goes another way.
    """
    known = code.arrays(tables)
    if code.reused is None or (known is None and any(guard.form.has_lookup for guard in guards)):
        return None
    small = [guard for guard in guards if prod(pattern.sizes[k] for k in set(indices(guard.form))) <= SMALL]
    masks = [_mask(code, factors, guard, pattern, known or (), dtype) for guard in small]
    rest = [guard for guard in guards if guard not in small]
    return _scanned(code, [*factors, *masks], rest, pattern, dtype)


def _mask(
    code: Code, factors: Sequence[Named], guard: Guard, pattern: Pattern, tables: Sequence[np.ndarray],
    dtype: np.dtype[Any],
) -> Named:  # fmt: skip
    """A guard as an array, which is only there if all factors are finite."""
    array, labels = read_guard(guard, pattern, tables, dtype)
    array = np.array(array, order="C")
    mask = code.made_once(("mask", array.shape, dtype, array.tobytes()), lambda: array, "mask")
    uses = list(dict.fromkeys(named.symbol for named in factors if not _is_finite_constant(code, named.symbol)))
    if uses:
        text = f"{code.constant(_beside_finite, 'beside')}({mask}, {', '.join(map(str, uses))})"
        mask = code.let(text, uses, mask.shape, view_of=mask)
    return Named(mask, labels)


def _is_finite_constant(code: Code, symbol: Symbol) -> bool:
    known = code.arrays([symbol])
    return known is not None and all_finite(known[0])


def _beside_finite(mask: np.ndarray, *factors: Any) -> np.ndarray:
    """The mask, if the factors are finite."""
    if not all(map(all_finite, factors)):
        raise OtherwiseError
    return mask


def _scanned(
    code: Code, arrays: Sequence[Named], guards: Sequence[Guard], pattern: Pattern, dtype: np.dtype[Any]
) -> list[Named] | None:
    """The arrays with guards applied to them that are running sums; None unless all are."""
    symbols, labels = [named.symbol for named in arrays], [named.labels for named in arrays]
    specials: list[tuple[Special, Labels]] = [(guard, tuple(dict.fromkeys(indices(guard.form)))) for guard in guards]
    means = Means(partial(_contracted, code), partial(ones, code), partial(_running_sum, code))
    while specials:
        if not apply_one(specials, symbols, labels, pattern, (), dtype, means):
            return None
    return list(map(Named, symbols, labels))


def _contracted(code: Code, symbols: Sequence[Symbol], labels: Sequence[Labels], out: Labels) -> Symbol:
    return write_network(code, list(map(Named, symbols, labels)), (), out).symbol


def _running_sum(
    code: Code, guard: Guard, near: Symbol, index: int, far: Labels, pattern: Pattern, _: Sequence[Any]
) -> Symbol | None:  # fmt: skip
    """The running sum that a guard is, as lines; None where it is none."""
    scan = scan_of(guard, index, far, pattern.sizes)
    if scan is None:
        return None
    shape = (*near.shape[:-1], pattern.sizes[far[0]])
    given = f"{near}[..., ::-1]" if scan.from_end else str(near)
    sums = code.let(f"add.accumulate({given}, -1)", [near], shape, new=True, kind=near.kind)
    return code.let(f"{sums}[..., ::-1]", [sums], shape, rough=True, view_of=sums) if scan.turned else sums
