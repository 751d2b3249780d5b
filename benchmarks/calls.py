"""Small functions, called a thousand times: what one call costs."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.dense import contestants_of, ours_dense
from benchmarks.measure import Effort, agree, interleaved, ours, timed
from benchmarks.peers import library_of
from benchmarks.workloads import Workload


def run(workload: Workload, libraries: list[str], *, quick: bool) -> dict[str, Any]:
    """Seconds per call of everybody, a thousand calls in turns of fifty, and of the first call."""
    call, hand = ours_dense(workload), workload.hand
    start = time.perf_counter()
    reference = [np.array(value) for value in call()]
    first = {"ours": time.perf_counter() - start}
    calls, notes = contestants_of(workload, libraries, reference, limit=max(timed(call), 0.1))
    first |= {label: note["first"] for label, note in notes.items() if "first" in note}
    contestants = {"ours": call, **calls}
    record: dict[str, Any] = {"name": workload.name, "title": workload.title, "first": first}
    if hand is not None:
        jacobians = [np.asarray(J) for J in ours(workload)(*workload.arguments)]
        record["by hand"] = agree(hand(*workload.arguments), jacobians) or "agrees"
        contestants["hand"] = _by_hand(workload)
    effort = Effort(3, 3, 1.0) if quick else Effort(20, 20, 10.0)
    seconds = interleaved(contestants, effort, calls=10 if quick else 50)
    record["seconds"] = seconds
    record["failed"] = {label: note["failed"] for label, note in notes.items() if "failed" in note}
    for library in ("Autograd", "PyTorch", "JAX"):
        times = [value for label, value in seconds.items() if library_of(label) == library]
        if times:
            record[library] = {"seconds": min(times), "ratio": min(times) / seconds["ours"]}
    return record


def _by_hand(workload: Workload) -> Any:
    hand, arguments, finish = workload.hand, workload.arguments, workload.finish
    assert hand is not None
    if finish is not None:
        return lambda: finish(np, hand(*arguments), *arguments)
    function = workload.plain
    return lambda: (function(*arguments), hand(*arguments))
