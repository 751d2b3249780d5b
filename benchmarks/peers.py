"""The other tools, each at its best: jitted JAX, torch.func and Autograd, in forward and in reverse mode."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.workloads import Workload

Call = Callable[[], Any]


class JaxNumPy:
    """jax.numpy, with the functions that JAX keeps elsewhere."""

    def __init__(self) -> None:
        import jax

        self.softmax, self.logsumexp = jax.nn.softmax, jax.nn.logsumexp

    def __getattr__(self, name: str) -> Any:
        """Anything else is jax.numpy's."""
        return getattr(importlib.import_module("jax.numpy"), name)


class TorchNumPy:
    """PyTorch under NumPy's names: what is called the same is PyTorch's own."""

    def __init__(self) -> None:
        import torch

        self._torch = torch

    def __getattr__(self, name: str) -> Any:
        """Anything else is torch's."""
        return getattr(self._torch, name)

    def max(self, x: Any, axis: Any, keepdims: bool = False) -> Any:
        """torch.amax."""
        return self._torch.amax(x, axis, keepdim=keepdims)

    def sort(self, x: Any) -> Any:
        """torch.sort without the places."""
        return self._torch.sort(x).values

    def std(self, x: Any, axis: int) -> Any:
        """torch.std without Bessel's correction."""
        return self._torch.std(x, dim=axis, correction=0)

    def transpose(self, x: Any, axes: Any) -> Any:
        """torch.permute."""
        return self._torch.permute(x, axes)

    def flip(self, x: Any, axis: int) -> Any:
        """torch.flip of one axis."""
        return self._torch.flip(x, (axis,))

    def pad(self, x: Any, widths: tuple[int, int]) -> Any:
        """torch.nn.functional.pad of a vector."""
        return self._torch.nn.functional.pad(x, widths)


def jax_calls(workload: Workload) -> Iterator[tuple[str, Call]]:
    """Jitted `jacfwd` and `jacrev`; what they return is waited for and counts as it is."""
    import jax

    jax.config.update("jax_enable_x64", True)
    namespace = JaxNumPy()
    function = workload.forward("jax", namespace)
    if function is None:
        return
    arguments = [jax.device_put(np.asarray(x)) for x in workload.arguments]
    for mode, transform in (("jacfwd", jax.jacfwd), ("jacrev", jax.jacrev)):
        derivative = jax.jit(_finished(transform(function, workload.argnums), workload, namespace))
        yield f"JAX {mode}", lambda derivative=derivative: jax.block_until_ready(derivative(*arguments))


def torch_calls(workload: Workload) -> Iterator[tuple[str, Call]]:
    """`torch.func.jacfwd` and `jacrev`, plain and without recording for further derivatives."""
    import torch

    namespace = TorchNumPy()
    function = workload.forward("torch", namespace)
    if function is None:
        return
    arguments = [torch.from_numpy(np.array(x)) for x in workload.arguments]
    for mode, transform in (("jacfwd", torch.func.jacfwd), ("jacrev", torch.func.jacrev)):
        derivative = _finished(transform(function, workload.argnums), workload, namespace)
        yield f"PyTorch {mode}", functools.partial(derivative, *arguments)
        yield f"PyTorch {mode}, no_grad", functools.partial(torch.no_grad()(derivative), *arguments)


def autograd_calls(workload: Workload) -> Iterator[tuple[str, Call]]:
    """`autograd.jacobian` by every argument."""
    import autograd

    namespace = importlib.import_module("autograd.numpy")
    function = workload.forward("autograd", namespace)
    if function is None:
        return
    single = [autograd.jacobian(function, number) for number in workload.argnums]
    derivative = _finished(lambda *args: [by(*args) for by in single], workload, np)
    yield "Autograd", functools.partial(derivative, *workload.arguments)


def _finished(derivative: Callable[..., Any], workload: Workload, namespace: Any) -> Callable[..., Any]:
    finish = workload.finish
    if finish is None:
        return derivative
    return lambda *args: (finish(namespace, derivative(*args), *args),)


LIBRARIES: dict[str, Callable[[Workload], Iterator[tuple[str, Call]]]] = {
    "jax": jax_calls, "torch": torch_calls, "autograd": autograd_calls,
}  # fmt: skip


def installed() -> list[str]:
    """The libraries that can be imported here."""
    return [name for name in LIBRARIES if importlib.util.find_spec(name) is not None]


def library_of(label: str) -> str:
    """The library that a contestant belongs to."""
    return label.partition(" ")[0]
