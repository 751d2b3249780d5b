"""Warnings at points where an op has no derivative, or none that is finite."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any, TypeVar

import numpy as np

from jacobian.errors import JacobianWarning, KinkWarning, NonFiniteWarning
from jacobian.kernel.callers import warn
from jacobian.kernel.recorded import NotRecordableError, Recorded

T = TypeVar("T")

_ARE_TOLD: ContextVar[bool] = ContextVar("kinks are told", default=False)
_LATER: ContextVar[bool] = ContextVar("all is told later", default=False)


def once_told(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function that comes upon no kinks but those which a program has told of: once is enough."""
    return _with(_ARE_TOLD, function, *arguments)


def told_later(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function that evaluates rules which are evaluated once more: then all is told."""
    return _with(_LATER, function, *arguments)


def _with(variable: ContextVar[bool], function: Callable[..., T], *arguments: Any) -> T:
    context = copy_context()
    context.run(variable.set, True)
    return context.run(function, *arguments)


def warn_kink(name: str, condition: Any, taken: str) -> None:
    """Warn that the op is not differentiable where the condition holds, naming the entries and what is taken."""
    if isinstance(condition, Recorded):
        condition.code.call_where(condition, partial(warn_kink, name, taken=taken), condition)
        return
    mask = np.asarray(condition)
    if mask.any() and not _ARE_TOLD.get():
        text = f"{name} is not differentiable {_places(mask)}; {taken} is taken"
        _warn(KinkWarning(text))


def warn_ties(name: str, ties: Any, taken: str) -> None:
    """Warn where more than one entry of a line along the last axis is the best one; every line has at least one."""
    if isinstance(ties, Recorded):  # all at once is quicker than line by line; fewer than one per line: there is NaN
        several = np.count_nonzero(ties) != ties.size // max(ties.shape[-1], 1)
        ties.code.call_where(several, partial(warn_ties, name, taken=taken), ties)
        return
    warn_kink(name, np.count_nonzero(ties, axis=-1) > 1, taken)


def nowhere(condition: Any) -> bool:
    """Whether a condition holds at no entry.

    A rule that is written down asks this where the usual case is much simpler than the rare one: the program is written
    for the usual one, and ends where the condition holds.
    """
    if not isinstance(condition, Recorded):
        return not np.any(condition)
    if np.any(condition.value):
        raise NotRecordableError("a rare case")
    condition.code.refuse_where(condition)
    return True


def usually(function: Callable[..., bool], *arrays: Any) -> bool:
    """Whether a function of arrays says that this is the usual case; a program ends where it says no."""
    recorded = [one for one in arrays if isinstance(one, Recorded)]
    if not recorded:
        return function(*arrays)
    if not function(*(one.value if isinstance(one, Recorded) else one for one in arrays)):
        raise NotRecordableError("a rare case")
    code = recorded[0].code
    given = ", ".join(one.name if isinstance(one, Recorded) else code.literal(one) for one in arrays)
    code.refuse_unless(f"{code.constant(function, function.__name__.strip('_'))}({given})", *recorded)
    return True


def warn_non_finite(name: str, factor: Any) -> None:
    """Warn where a derivative is infinite or NaN; what is traced cannot be looked at and is left alone."""
    if not isinstance(factor, np.ndarray | np.generic | float):
        return
    mask = ~np.isfinite(factor)
    if mask.any():
        text = f"the derivative of {name} is not finite {_places(np.asarray(mask))}"
        _warn(NonFiniteWarning(text))


def _warn(warning: JacobianWarning) -> None:
    """Warn at the user's line, unless this is told later."""
    if not _LATER.get():
        warn(warning)


def _places(mask: np.ndarray) -> str:
    if mask.ndim == 0:
        return "here"
    entries = [f"[{','.join(map(str, entry))}]" for entry in np.argwhere(mask)[:4]]
    count = int(mask.sum())
    more = f" and {count - 4} more" if count > 4 else ""
    return f"at entr{'y' if count == 1 else 'ies'} {', '.join(entries)}{more}"
