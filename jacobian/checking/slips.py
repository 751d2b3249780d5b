"""The slips that are looked for, by name, and a slip made in a derivation."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from jacobian.checking.derivation import Changes, Derivation

Array = np.ndarray[Any, np.dtype[Any]]

AXES = "axes permuted"
VEC = "column-major vec"
SIGN = "sign"
CONSTANT = "constant factor"
FACTOR_OUT = "factor left out"
FACTOR_TWICE = "factor used twice"
WRONG_POINT = "wrong point"
LINK_OUT = "link left out"
LINK_ORDER = "links in the wrong order"
TRANSPOSE = "W instead of Wᵀ"
TERM_OUT = "term left out"
PATH_OUT = "path left out"
DELTA_OUT = "δ left out"
DELTA_IN = "δ put in"
NOT_SUMMED = "broadcast axis not summed"
MEAN_OUT = "1/n left out"
MEAN_TWICE = "1/n applied twice"
NORMALISER = "normalisation treated as constant"
SYMMETRY = "symmetry assumed"
NO_SYMMETRY = "symmetry not assumed"
UPSTREAM = "upstream forgotten"
SECOND_ORDER = "second-order factor 2"
POWER = "wrong power"
FLIPPED = "kernel flipped"
ORDER = "entries in another order"
OTHER_INPUT = "by another input"
NOT_TAKEN = "derivative not taken"
OTHER_FUNCTION = "derivative of another function"
INTEGRATED = "integrated"
LINEAR = "product or chain rule not used"
INSIDE = "inner derivative put inside"
EXCHANGED = "arguments exchanged"
FUNCTIONS = "functions exchanged"
POINT_ONLY = "right at the given point only"
CONJUGATE = "conjugate"

SLIPS = (
    AXES, VEC, SIGN, CONSTANT, FACTOR_OUT, FACTOR_TWICE, WRONG_POINT, LINK_OUT, LINK_ORDER, TRANSPOSE, TERM_OUT,
    PATH_OUT, DELTA_OUT, DELTA_IN, NOT_SUMMED, MEAN_OUT, MEAN_TWICE, NORMALISER, SYMMETRY, NO_SYMMETRY, UPSTREAM,
    SECOND_ORDER, POWER, FLIPPED, ORDER, NOT_TAKEN, OTHER_FUNCTION, INTEGRATED, LINEAR, INSIDE, EXCHANGED, FUNCTIONS,
    OTHER_INPUT, POINT_ONLY, CONJUGATE,
)  # fmt: skip


@dataclass(frozen=True)
class Mutation:
    """One slip: other local Jacobians, something added to the whole, or the whole turned into something else.

    `key` says which slip it is, so that the same can be made at another point. `kin` is shared by slips that are the
    same at different nodes: a person who forgets σ′ once may forget it everywhere. One that is made `alone` is a rule
    nobody proved: with a second slip it gives so many numbers that some pair would fit by accident.
    """

    slip: str
    key: Hashable
    sentence: Callable[[], str]
    changes: Changes | None = None
    delta: Array | None = None
    whole: Callable[[Array], Array] | None = None
    kin: Hashable = None
    alone: bool = False

    def of(self, derivation: Derivation) -> Array:
        """The Jacobian that a person who slips so arrives at."""
        if self.whole is not None:
            return self.whole(derivation.full)
        if self.changes is not None:
            return derivation.total(self.changes)
        assert self.delta is not None
        return derivation.truth + self.delta
