"""What is never made dense: structured Jacobians, and how their time grows with the size of the problem."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import jacobian as jac
from benchmarks.measure import Anew, Effort, interleaved, timed
from benchmarks.workloads.workload import softmax, weights
from jacobian import algebra

Function = Callable[[Any], Any]
Case = tuple[int, Function, np.ndarray]


def contracted(f: Function, x: np.ndarray) -> jac.Jacobian:
    """The Jacobian with its products computed, still structured."""
    return algebra.Numeric().contract(jac.jacobian(f)(x))


def mlp(X: Any, W1: np.ndarray, W2: np.ndarray) -> Any:
    """Two layers over a batch."""
    return np.tanh(X @ W1) @ W2


def _mlps(sizes: list[int]) -> Iterator[Case]:
    rng = np.random.default_rng(1)
    W1, W2 = rng.normal(size=(64, 128)) / 8, rng.normal(size=(128, 32)) / 11
    for n in sizes:
        yield n, partial(mlp, W1=W1, W2=W2), rng.normal(size=(n, 64))


def _elementwise(sizes: list[int]) -> Iterator[Case]:
    rng = np.random.default_rng(2)
    for n in sizes:
        yield n, lambda x: np.tanh(np.sin(x) * x) + np.exp(-(x**2)), rng.normal(size=n)


def _attention(sizes: list[int]) -> Iterator[Case]:
    rng = np.random.default_rng(3)
    for n in sizes:
        Q, K, V = rng.normal(size=(3, n, 16))
        yield n, lambda Q, K=K, V=V: softmax(np, Q @ K.T / math.sqrt(16)) @ V, Q


def _sines(sizes: list[int]) -> Iterator[Case]:
    for n in sizes:

        def f(x: Any, n: int = n) -> Any:
            for _ in range(n):
                x = np.sin(x)
            return x

        yield n, f, np.linspace(0, 1, 16)


def _layers(sizes: list[int]) -> Iterator[Case]:
    (W,) = weights(np.random.default_rng(4), (16, 16))
    for n in sizes:

        def f(x: Any, n: int = n) -> Any:
            for _ in range(n // 2):
                x = np.tanh(W @ x)
            return x

        yield n, f, np.linspace(-1, 1, 16)


SWEEPS: dict[str, tuple[str, list[int], Callable[[list[int]], Iterator[Case]], Any]] = {
    "mlp-batch": ("batch of an MLP 64→128→32", [256, 512, 1024, 2048, 4096, 8192], _mlps, contracted),
    "elementwise-length": ("entries of an elementwise chain", [10**3, 10**4, 10**5, 10**6], _elementwise, contracted),
    "attention-length": ("length of attention, by Q, width 16", [32, 64, 128, 256, 512], _attention, contracted),
    "depth-elementwise": ("nodes sin(x)", [50, 100, 200, 500, 1000, 2000], _sines, None),
    "depth-layers": ("nodes of layers tanh(W x)", [50, 100, 200, 500, 1000, 2000], _layers, None),
}


def exponent(sizes: list[int], seconds: list[float]) -> float:
    """The slope of time against size, both as logarithms, over the upper half of the range."""
    upper = slice(len(sizes) // 2 - (len(sizes) < 5), None)
    return float(np.polyfit(np.log(sizes[upper]), np.log(seconds[upper]), 1)[0])


def sweep(name: str, effort: Effort, *, quick: bool) -> dict[str, Any]:
    """Times at every size beside the forward pass's, what the Jacobian holds, and how each time grows."""
    title, sizes, cases, make = SWEEPS[name]
    sizes = sizes[:-2] if quick else sizes
    rows = []
    for n, f, x in cases(sizes):
        if make is None:
            row = {"size": n, **_by_depth(f, x, effort)}
        else:
            row = {"size": n, **interleaved({"ours": partial(make, f, x), "forward": partial(f, x)}, effort)}
        rows.append({**row, "bytes": (make or (lambda f, x: jac.jacobian(f)(x)))(f, x).nbytes})
    who = [name for name in rows[0] if name not in ("size", "bytes")]
    slopes = {name: exponent(sizes, [row[name] for row in rows]) for name in who}
    return {"name": name, "title": title, "rows": rows, "exponents": slopes}


def _by_depth(f: Function, x: np.ndarray, effort: Effort) -> dict[str, float]:
    """The first call, calls that are traced and planned anew, and calls that are played."""
    anew, again = jac.jacobian(Anew(f)), jac.jacobian(f)
    gc.collect()  # what others have left would be collected in the one call that is timed
    first = timed(lambda: jac.jacobian(Anew(f))(x))
    calls = {"traced and planned": partial(anew, x), "played": partial(again, x), "forward": partial(f, x)}
    for call in calls.values():
        for _ in range(2):  # programs are written at the second call, and run from the third on
            call()
    return {"first call": first, **interleaved(calls, effort)}


def large_batch(effort: Effort) -> dict[str, Any]:
    """A batch of 4096 through the MLP: the structured Jacobian, what is asked of it, and the forward pass."""
    ((_, f, X),) = _mlps([4096])
    played, g = jac.jacobian(f), jac.jacobian(Anew(f))
    direction = np.random.default_rng(6).normal(size=X.shape)
    calls: dict[str, Callable[[], Any]] = {
        "forward": lambda: f(X),
        "the Jacobian": lambda: played(X),
        "the Jacobian, its terms looked at": lambda: g(X).nbytes,
        "the Jacobian and J @ dx": lambda: g(X) @ direction,
        "the Jacobian, its products computed": lambda: contracted(f, X),
    }
    J = g(X)
    times = interleaved(calls, effort)
    return {"times": times, "bytes": J.nbytes, "dense": J.dense_nbytes}


SCANS: dict[str, Function] = {
    "np.cumsum": lambda x: np.sum(np.sin(np.cumsum(x))),
    "np.cumprod": lambda x: np.sum(np.sin(np.cumprod(1 + 1e-3 * x))),
    "np.maximum.accumulate": lambda x: np.sum(np.sin(np.maximum.accumulate(x))),
    "np.fft.rfft": lambda x: np.sum(np.abs(np.fft.rfft(x)) ** 1.5),
    "np.fft.rfft and irfft": lambda x: np.sum(np.fft.irfft(np.fft.rfft(x) * np.hanning(x.size // 2 + 1), x.size) ** 2),
    "np.fft.fft and ifft": lambda x: np.sum(np.real(np.fft.ifft(np.fft.fft(x) * np.exp(1j * np.arange(x.size)))) ** 2),
}


def scans(effort: Effort, n: int = 100_000) -> list[dict[str, Any]]:
    """Scans and transforms of many entries on the way to one number: the dense gradient next to the forward pass."""
    x = np.random.default_rng(5).normal(size=n)
    rows: list[dict[str, Any]] = []
    for name, f in SCANS.items():
        g = jac.jacobian(f)
        try:
            times = interleaved({"ours": lambda g=g: np.asarray(g(x)), "forward": lambda f=f: f(x)}, effort)
        except jac.errors.JacobianError as error:
            rows.append({"name": name, "failed": f"not yet: {str(error).splitlines()[0]}"})
        else:
            rows.append({"name": name, **times, "ratio": times["ours"] / times["forward"]})
    return rows
