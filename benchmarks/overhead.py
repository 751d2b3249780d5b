"""What the package itself costs: a node of a trace, and its import."""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import jacobian as jac
from benchmarks.measure import Anew, Effort, interleaved

LINKS = 100
OPERATIONS = 4  # nodes a link has


def chain(np: Any, x: Any) -> Any:
    """A long chain of cheap operations."""
    for _ in range(LINKS):
        x = np.sin(x) * 1.01 + 0.1
        x = x - 0.05
    return x


def per_node(libraries: list[str], effort: Effort) -> list[dict[str, Any]]:
    """Seconds per node: plain NumPy; ours traced, then planned, then dense; Autograd's traced, then dense."""
    rows = []
    for title, x in (("scalar", np.array(0.3)), ("vector of 3", np.linspace(0.1, 0.3, 3))):
        f = lambda x: chain(np, x)  # noqa: E731
        g, again = jac.jacobian(Anew(f)), jac.jacobian(f)
        calls: dict[str, Callable[[], Any]] = {
            "forward": lambda f=f, x=x: f(x),
            "ours, traced": lambda f=f, x=x: jac.trace(f, x),
            "ours, traced and planned": lambda g=g, x=x: g(x),
            "ours, traced, planned and dense": lambda g=g, x=x: np.asarray(g(x)),
            "ours, dense, played from a script": lambda again=again, x=x: np.asarray(again(x)),
        }
        if "autograd" in libraries:
            import autograd
            import autograd.numpy as anp

            h = lambda x: chain(anp, x)  # noqa: E731
            dense = autograd.jacobian(h)
            calls["Autograd, traced"] = lambda h=h, x=x: autograd.make_vjp(h)(x)
            calls["Autograd, dense"] = lambda dense=dense, x=x: dense(x)
        times = interleaved(calls, effort)
        rows.append({"title": title, **{name: t / (LINKS * OPERATIONS) for name, t in times.items()}})
    return rows


IMPORTS = {
    "numpy and opt_einsum": "import numpy, opt_einsum", "jacobian": "import jacobian",
    "jacobian, and what its first use imports": "import jacobian; jacobian.jacobian",
}  # fmt: skip
TIMED = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"


def imports(repeats: int = 15) -> dict[str, float]:
    """Median seconds of importing, each time in a fresh interpreter, in turns."""
    samples: dict[str, list[float]] = {name: [] for name in IMPORTS}
    spec = importlib.util.find_spec("jacobian")
    assert spec is not None
    assert spec.origin is not None
    environment = {**os.environ, "PYTHONPATH": str(Path(spec.origin).parent.parent)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled once
    with tempfile.TemporaryDirectory() as folder:
        environment["PYTHONPYCACHEPREFIX"] = folder
        for turn in range(repeats + 1):
            for name, code in IMPORTS.items():
                command = [sys.executable, "-c", TIMED.format(code)]
                done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
                if turn:  # the first of each fills the caches
                    samples[name].append(float(done.stdout))
    return {name: statistics.median(times) for name, times in samples.items()}
