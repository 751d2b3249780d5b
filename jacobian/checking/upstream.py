"""Downstream claims: what a node hands on for an upstream, taken for every upstream of a basis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from jacobian.checking.claims import Claim
from jacobian.errors import ShapeError, report

Array = np.ndarray[Any, np.dtype[Any]]

MAX_UPSTREAMS = 4096


class Downstream:
    """A claim as a function of the upstream."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.name = getattr(claim, "upstream_name", None) or "G"
        self.forgotten: str | None = None

    def stacked(self, args: Sequence[Any], values: Mapping[str, Any], shapes: tuple[Any, Any]) -> Array:
        """The claim for every upstream that is 1 at one entry, stacked: the claimed Jacobian."""
        out, _ = shapes
        count = prod(out)
        if count > MAX_UPSTREAMS:
            raise ShapeError(
                report(
                    f"a downstream claim is checked for every entry of the upstream, and there are {count}",
                    limit=MAX_UPSTREAMS, fix="check it on smaller arrays: the formula is the same",
                )
            )  # fmt: skip

        def at(G: Array) -> Array:
            return self.claim.at(args, values, shapes, G)

        basis = np.eye(count).reshape(count, *out)
        found = [at(G) for G in basis]
        shape = found[0].shape
        drawn = np.random.default_rng(5).standard_normal(out)
        answer, nothing = at(drawn), at(np.zeros(out))
        if any(other.shape != shape for other in (*found, answer, nothing)):
            raise ShapeError(report("the claim returns arrays of another shape for another upstream"))
        self._look(np.stack(found), drawn, answer, nothing)
        return np.stack(found).reshape(*out, *shape)

    def _look(self, found: Array, drawn: Array, answer: Array, nothing: Array) -> None:
        """Whether the claim is linear in the upstream, as far as it is finite; or has forgotten it, and stays."""
        finite = np.isfinite(found).all(axis=0) & np.isfinite(answer) & np.isfinite(nothing)
        found, answer, nothing = found[:, finite], answer[finite], nothing[finite]
        scale = max(float(np.abs(found).max(initial=0.0)), float(np.abs(answer).max(initial=0.0)), 1e-300)
        expected = np.tensordot(drawn.reshape(-1), found, axes=1)
        if (
            np.abs(answer - expected).max(initial=0.0) <= 1e-6 * scale
            and np.abs(nothing).max(initial=0.0) <= 1e-9 * scale
        ):
            return
        name = self.name
        if np.abs(answer - nothing).max(initial=0.0) <= 1e-12 * scale:
            self.forgotten = (
                f"The claim does not depend on the upstream {name}: what a node hands on is upstream · local; multiply "
                f"the local Jacobian by {name} and sum over the output's axes."
            )
        else:
            self.forgotten = (
                f"The claim is not linear in the upstream {name}: what a node hands on is upstream · local, so {name} "
                "stands in every term exactly once."
            )
