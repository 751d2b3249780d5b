"""Functions that NumPy does not have."""

from __future__ import annotations

from typing import Any

import numpy as np

from jacobian.kernel.term import Array
from jacobian.ops.families import reduction


def _logsumexp(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    high = np.max(x, axis=axis, keepdims=True)
    high = np.where(np.isfinite(high), high, 0.0)
    total = np.log(np.sum(np.exp(x - high), axis=axis, keepdims=True)) + high
    return total if keepdims else np.squeeze(total, axis=axis) if axis is not None else np.reshape(total, ())


logsumexp = reduction(
    "logsumexp", _logsumexp, "exp(x - y)", answers=(), note="log Σ exp(x), shifted by the maximum.",
    normalise=lambda x, axis=None, keepdims=False: ((x,), {"axis": axis, "keepdims": keepdims}),
)  # fmt: skip
