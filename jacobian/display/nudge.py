"""One input is moved: the output's first-order approximation y + J·Δx beside f(x+Δx), over a range of Δx."""

from __future__ import annotations

import warnings
from time import perf_counter
from typing import Any

import numpy as np

from jacobian.kernel.expression import Jacobian
from jacobian.kernel.origin import Origin
from jacobian.kernel.pattern import Shape

SAMPLES = 41
FEWEST = 9
PATIENCE = 0.25  # seconds that all calls of the function may take together


def nudge(J: Jacobian, j: Shape, i: Shape, slope: float) -> dict[str, Any] | None:
    """What output j does while input i moves by Δx: f(x+Δx) and y + J·Δx at every sample; None where f cannot tell.

    >>> import numpy as np, jacobian as jac
    >>> J = jac.jacobian(lambda x: x**2)(np.array([3.0]))
    >>> moved = nudge(J, (0,), (0,), 6.0)
    >>> moved["dx"][0], moved["actual"][0], moved["linear"][0]
    (-3.0, 0.0, -9.0)
    """
    origin = J.origin
    if origin is None:
        return None
    at = float(np.asarray(origin.point)[i])
    y = float(np.asarray(origin.value)[j])
    reach = max(abs(at), 1.0)
    started = perf_counter()
    if _moved(origin, j, i, 0.0) is None:
        return None
    samples = _affordable(perf_counter() - started)
    dx = np.linspace(-reach, reach, samples)
    actual = [y if step == 0 else _moved(origin, j, i, float(step)) for step in dx]
    return {
        "dx": [float(step) for step in dx], "linear": [y + slope * float(step) for step in dx], "actual": actual,
        "x": at, "y": y,
    }  # fmt: skip


def _affordable(seconds: float) -> int:
    """An odd number of samples, so that one of them is Δx = 0."""
    most = int(PATIENCE / max(seconds, 1e-9))
    return SAMPLES if most >= SAMPLES else max(FEWEST, most - 1 + most % 2)


def _moved(origin: Origin, j: Shape, i: Shape, step: float) -> float | None:
    """f_j(x + Δx), None where the function has no finite real value."""
    x = np.array(origin.point, dtype=np.result_type(origin.point, np.float32))
    x[i] += step
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = float(np.asarray(origin.function(x))[j])
    except Exception:  # the user's function may refuse a point, in whatever words
        return None
    return value if np.isfinite(value) else None
