"""An op at its samples, as a function of all the floating arrays among its arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from jacobian.ops.registry import REGISTRY, Op, Sample

SAMPLES = [(op, sample) for op in REGISTRY for sample in op.samples]

every_sample = pytest.mark.parametrize(
    ("op", "sample"), SAMPLES, ids=[f"{op.name}-{sample}" for op, sample in SAMPLES]
)  # fmt: skip


def floating(args: Sequence[Any]) -> list[int]:
    """Which arguments are arrays of floating numbers."""
    return [k for k, arg in enumerate(args) if isinstance(arg, np.ndarray) and arg.dtype.kind == "f"]


def at_points(op: Op, sample: Sample, seeds: Sequence[int]) -> tuple[Callable[..., Any], list[list[np.ndarray]]]:
    """The function, and its arguments for every seed; the lists are empty where nothing is differentiated by."""
    draws = [sample.draw(seed)[0] for seed in seeds]
    rest, kwargs = sample.draw(seeds[0])
    numbers = floating(rest)

    def f(*arrays: Any) -> Any:
        args = list(rest)
        for k, array in zip(numbers, arrays, strict=True):
            args[k] = array
        return op(*args, **kwargs)

    return f, [[args[k] for k in numbers] for args in draws]
