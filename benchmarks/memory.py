"""Memory: the peak of our calls, as NumPy reports it to tracemalloc, beside what is asked for."""

from __future__ import annotations

import gc
import tracemalloc
from functools import partial
from typing import Any

import numpy as np

from benchmarks.measure import ours
from benchmarks.workloads import Workload
from jacobian.kernel import reuse


def peak_of(call: Any) -> tuple[int, Any]:
    """Bytes at the highest point of a call above those before it, and what it returned."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        result = call()
        return tracemalloc.get_traced_memory()[1] - before, result
    finally:
        tracemalloc.stop()


def memory_of(workload: Workload) -> dict[str, Any]:
    """Peaks of our dense Jacobians, of those by hand and of the forward pass alone; sizes; what structure holds."""
    g, arguments = ours(workload), workload.arguments
    structured = sum(J.nbytes for J in g(*arguments))
    reuse.WAITING.give_up()  # as if nothing could be used again: the result counts
    peak, dense = peak_of(lambda: [np.asarray(J) for J in g(*arguments)])
    forward, _ = peak_of(lambda: workload.plain(*arguments))
    by_hand = None if workload.hand is None else peak_of(partial(workload.hand, *arguments))[0]
    size = sum(J.nbytes for J in dense)
    inputs = sum(x.nbytes for x in arguments)
    return {
        "peak": peak, "forward": forward, "by_hand": by_hand, "dense": size, "inputs": inputs, "structured": structured,
        "ratio": peak / (size + inputs), "ratio_by_hand": None if by_hand is None else by_hand / (size + inputs),
    }  # fmt: skip
