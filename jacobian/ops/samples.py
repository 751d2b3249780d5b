"""What an op is tested on, and shown at: samples of its arguments, and the points where it has no derivative."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

Params = dict[str, Any]
SAME = "the same"


class Sample:
    """Arguments on which every generated test runs. A tuple of ints stands for an array of that shape, drawn anew.

    `domain` says from where: an interval, or a function of (generator, shape).
    """

    def __init__(self, args: tuple[Any, ...], kwargs: Params, domain: Any = (-2.0, 2.0)) -> None:
        self.args = args
        self.kwargs = kwargs
        self.domain = domain

    def draw(self, seed: int = 0) -> tuple[tuple[Any, ...], Params]:
        """The arguments, the same for the same seed."""
        generator = np.random.default_rng(seed)
        return tuple(self._draw(arg, generator) for arg in self.args), dict(self.kwargs)

    def _draw(self, arg: Any, generator: np.random.Generator) -> Any:
        if isinstance(arg, list):
            return [self._draw(item, generator) for item in arg]
        if not (isinstance(arg, tuple) and all(type(size) is int for size in arg)):
            return arg
        if callable(self.domain):
            return self.domain(generator, arg)
        low, high = self.domain
        return np.asarray(generator.uniform(low, high, arg))

    def __str__(self) -> str:
        """Short enough for a test's name."""
        parts = [_brief(arg) for arg in self.args] + [f"{k}={_brief(v)}" for k, v in self.kwargs.items()]
        return ", ".join(parts)


def _brief(arg: Any) -> str:
    if isinstance(arg, np.ndarray):
        return f"array{arg.shape}"
    if callable(arg):  # whose address would be another one in every process
        return str(getattr(arg, "__name__", type(arg).__name__))
    return "(" + ",".join(map(str, arg)) + ")" if isinstance(arg, tuple) else str(arg)


def sample(*args: Any, domain: Any = (-2.0, 2.0), **kwargs: Any) -> Sample:
    """Arguments to test an op on: a tuple of ints is a shape, to be drawn; anything else stands for itself.

    >>> import jacobian as jac
    >>> args, kwargs = jac.sample((2, 3), axis=0).draw(seed=1)
    >>> args[0].shape, kwargs
    ((2, 3), {'axis': 0})
    """
    return Sample(args, kwargs, domain)


class Kink(NamedTuple):
    """A convention: where an op has no derivative, and what is taken there.

    `at` are arguments where that is so. `torch` says what PyTorch takes at them: for an expression in the op's operands
    either `SAME`, or its Jacobian as a flat list of numbers, one operand after the other. Tests hold both to it.
    `warns` is the warning that is given: `KinkWarning`, or `NonFiniteWarning` where what is taken is not finite.
    """

    where: str
    taken: str
    at: Sample | None = None
    torch: Mapping[str, Any] = {}
    warns: str = "KinkWarning"

    def __str__(self) -> str:
        """A sentence."""
        return f"Where {self.where}: {self.taken} is taken."
