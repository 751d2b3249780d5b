"""Entries of the true derivative that are infinite or have no value at the given point: what is said of them."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobian.checking.derivation import Run
from jacobian.checking.verdict import Entry, place

if TYPE_CHECKING:
    from jacobian.checking.case import Case

Array = np.ndarray[Any, np.dtype[Any]]

SHOWN = 3


def entries(run: Run, chosen: Array) -> Array:
    """Which of some entries are not finite."""
    return np.asarray(chosen & ~np.isfinite(run.tensor).reshape(chosen.shape))


def told(case: Case, off: Array) -> str:
    """Why no number is right at these entries."""
    found, more = _listed(case, entries(case.here, off))
    return f"{'; '.join(found)}{more}: no finite number is right there"


def as_claimed(case: Case, as_good: Array | None) -> str:
    """What is said of a claim that is right; `as_good` are entries of which a kink tells."""
    spoken, tensor = case.spoken(case.here), case.here.tensor
    claimed = tensor if spoken is None else np.where(spoken, tensor, 0.0)
    odd = ~np.isfinite(claimed).reshape(prod(case.here.out_shape), prod(case.here.wrt.shape))
    found, more = _listed(case, odd if as_good is None else odd & ~as_good)
    return f"{'; '.join(found)}{more}, as claimed" if found else ""


def _listed(case: Case, chosen: Array) -> tuple[list[str], str]:
    flat = np.flatnonzero(chosen)
    more = f" and {len(flat) - SHOWN} more" if len(flat) > SHOWN else ""
    return [_told_one(case, int(k)) for k in flat[:SHOWN]], more


def _told_one(case: Case, flat: int) -> str:
    """`∂y[0]/∂x[0] is infinite`."""
    tensor, outs = case.here.tensor, len(case.here.out_shape)
    index = tuple(map(int, np.unravel_index(flat, tensor.shape))) if tensor.ndim else ()
    value = tensor.reshape(-1)[flat]
    what = "has no value" if np.isnan(value) else "is minus infinity" if value < 0 else "is infinite"
    return f"{place(case.axes.names, Entry(index[:outs], index[outs:], 0, 0))} {what}"
