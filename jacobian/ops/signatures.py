"""What an op is called, and with what."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any


def signature(arguments: Callable[..., Any] | None, operands: Sequence[str]) -> inspect.Signature:
    """What the op is called with: the arguments of the function that sorts them, or the operands by name."""
    found = inspect.signature(arguments) if arguments is not None else inspect.Signature()
    if any(p.kind == p.VAR_POSITIONAL for p in found.parameters.values()) or not found.parameters:
        return inspect.Signature([inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in operands])
    return found.replace(return_annotation=inspect.Signature.empty)


def called_as(name: str, answers: Iterable[Callable[..., Any]]) -> str:
    """What errors call an op: as NumPy does where it answers for a function of NumPy's under another name."""
    known = [f.__name__ for f in answers if (getattr(f, "__module__", None) or "numpy").startswith("numpy")]
    return known[0] if known and name not in known else name
