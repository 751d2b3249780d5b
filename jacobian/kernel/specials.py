"""Guards and operators next to something contracted: applied in linear time, never built where that can be avoided."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from jacobian.kernel.equations import Guard
from jacobian.kernel.guards import apply_guard
from jacobian.kernel.network import contract
from jacobian.kernel.pairwise import Labels
from jacobian.kernel.pattern import Pattern
from jacobian.kernel.term import Operator
from jacobian.kernel.views import read_guard

Special = Guard | Operator


def without_specials(
    specials: list[tuple[Special, Labels]],
    arrays: list[np.ndarray],
    labels: list[Labels],
    pattern: Pattern,
    tables: Sequence[np.ndarray],
    dtype: np.dtype[Any],
) -> None:
    """Apply every guard and operator to what it is contracted with; one that cannot be applied becomes an array."""
    while specials:
        if _apply_one(specials, arrays, labels, pattern, tables, dtype):
            continue
        special, axes = specials.pop()
        if isinstance(special, Operator):
            array = special.dense()
        else:
            array, axes = read_guard(special, pattern, tables, dtype)
        arrays.append(array)
        labels.append(axes)


def _apply_one(
    specials: list[tuple[Special, Labels]],
    arrays: list[np.ndarray],
    labels: list[Labels],
    pattern: Pattern,
    tables: Sequence[np.ndarray],
    dtype: np.dtype[Any],
) -> bool:
    """Apply one guard or operator to what is contracted with it; False when that is not possible."""
    for position, (special, ends) in enumerate(specials):
        others = {label for k, (_, axes) in enumerate(specials) if k != position for label in axes}
        for index in ends:
            if index in pattern.free or index in others:
                continue
            touching = [k for k, axes in enumerate(labels) if index in axes]
            around = {label for k, axes in enumerate(labels) if k not in touching for label in axes}
            kept = tuple(dict.fromkeys(
                label for k in touching for label in labels[k]
                if label != index and (label in around or label in pattern.free or label in others or label in ends)
            ))  # fmt: skip
            far = tuple(end for end in ends if end != index)
            if set(kept) & set(far):
                continue
            if prod(pattern.sizes[k] for k in (*kept, index)) > 16 * prod(pattern.sizes[end] for end in ends):
                continue
            if touching:
                near = contract([arrays[k] for k in touching], [labels[k] for k in touching], (*kept, index))
            else:
                near = np.ones(pattern.sizes[index], dtype)
            applied = _applied(special, near, index, far, ends, pattern, tables)
            if applied is None:
                continue
            for k in reversed(touching):
                del arrays[k], labels[k]
            arrays.append(applied)
            labels.append((*kept, *far))
            del specials[position]
            return True
    return False


def _applied(
    special: Special,
    near: np.ndarray,
    index: int,
    far: Labels,
    ends: Labels,
    pattern: Pattern,
    tables: Sequence[np.ndarray],
) -> np.ndarray | None:
    """Contract the last axis of `near` with the special's index; the special's other indices take its place."""
    if isinstance(special, Operator):
        apply_to = special.apply if ends[1] == index else special.apply_transposed
        return apply_to(near, near.ndim - 1)
    return apply_guard(special, near, index, far, pattern, tables)
