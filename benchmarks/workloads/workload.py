"""What a workload is: a function written once over a NumPy-like namespace, its arguments, and its Jacobian by hand."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy

Arrays = list[numpy.ndarray]
Function = Callable[..., Any]


@dataclass
class Workload:
    """A function `f(np, *arguments)` whose dense Jacobians by `argnums` are wanted.

    `function` is called with numpy, jax.numpy, autograd.numpy or torch's look-alike of them as its first argument.
    `variants` holds what a library needs to be told differently to be at its best, or None where it has no such thing.
    """

    name: str
    title: str
    function: Function
    make: Callable[[numpy.random.Generator], Sequence[numpy.ndarray]]
    argnums: tuple[int, ...] = (0,)
    hand: Callable[..., Arrays] | None = None
    variants: dict[str, Function | None] = field(default_factory=dict)
    finish: Function | None = None  # what is done with the Jacobians afterwards: finish(np, jacobians, *arguments)

    @functools.cached_property
    def arguments(self) -> tuple[numpy.ndarray, ...]:
        """The arguments, drawn from a seed that depends on the name alone."""
        return tuple(self.make(numpy.random.default_rng(zlib.crc32(self.name.encode()))))

    def forward(self, library: str, namespace: Any) -> Function | None:
        """The function of the arguments alone, as a library is given it; None where it has no such thing."""
        function = self.variants.get(library, self.function)
        return None if function is None else functools.partial(function, namespace)

    @property
    def plain(self) -> Function:
        """The function of the arguments alone, in plain NumPy."""
        return functools.partial(self.function, numpy)

    def by_hand(self, hand: Callable[..., Arrays]) -> Callable[..., Arrays]:
        """Declare the formula that a person would write."""
        self.hand = hand
        return hand

    def variant(self, *libraries: str) -> Callable[[Function], Function]:
        """Declare how the function is written for some of the libraries."""

        def declare(function: Function) -> Function:
            self.variants.update(dict.fromkeys(libraries, function))
            return function

        return declare

    def without(self, *libraries: str) -> Workload:
        """Declare that libraries have no such function."""
        self.variants.update(dict.fromkeys(libraries))
        return self


class Collection(dict[str, Workload]):
    """Workloads by name."""

    def add(
        self, name: str, title: str, *shapes: tuple[int, ...], argnums: tuple[int, ...] = (0,), make: Any = None,
        scale: float = 1.0,
    ) -> Callable[[Function], Workload]:  # fmt: skip
        """Declare a workload: a decorator of its function. Arguments are normal unless `make` draws them."""

        def declare(function: Function) -> Workload:
            draw = make or (lambda rng: [scale * rng.normal(size=shape) for shape in shapes])
            self[name] = Workload(name, title, function, draw, argnums)
            return self[name]

        return declare

    def larger(self, of: str, title: str, make: Any) -> None:
        """Declare a workload once more, with larger arguments."""
        name = f"{of}-large"
        self[name] = replace(self[of], name=name, title=title, make=make)


def weights(rng: numpy.random.Generator, *shapes: tuple[int, ...]) -> Arrays:
    """Matrices that keep the size of what they are multiplied with."""
    return [rng.normal(size=shape) / numpy.sqrt(shape[-1]) for shape in shapes]


def softmax(np: Any, x: Any) -> Any:
    """Softmax over the last axis: the library's own, or the usual formula where it has none."""
    if hasattr(np, "softmax"):
        return np.softmax(x, -1)
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def logsumexp(np: Any, x: Any) -> Any:
    """The logarithm of summed exponentials over the last axis: the library's own, or the usual formula."""
    if hasattr(np, "logsumexp"):
        return np.logsumexp(x, -1)
    m = np.max(x, axis=-1, keepdims=True)
    return np.log(np.sum(np.exp(x - m), axis=-1)) + m[..., 0]


def diagonal(J: numpy.ndarray, axes: str, kept: str) -> numpy.ndarray:
    """A writable view of the entries whose indices agree where `axes` repeats a letter."""
    return numpy.einsum(f"{axes}->{kept}", J)
