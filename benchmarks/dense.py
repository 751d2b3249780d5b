"""The dense Jacobian of every workload: ours, the peers', by hand, and what the machine would allow."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import jacobian as jac
from benchmarks import peers
from benchmarks.measure import Effort, agree, interleaved, nothing_known, ours, timed, write_seconds
from benchmarks.memory import memory_of
from benchmarks.workloads import Workload
from jacobian import plan

Call = Callable[[], Any]
TOO_SLOW = 20  # times ours: a peer that far behind is timed once and not again
FAR_BEHIND = 2  # times the best of the same library: that mode does not count, and need not be measured on
MANY = 10  # times the directions of the other mode: this one does not win
TOO_LARGE = 2**29  # bytes
SLOW = 1.0  # seconds of a first call after which only one more is made before measuring
HOPELESS = 10.0  # seconds of a first call after which it is not made again
TURN = 0.01  # seconds of several calls of one order
MOST_CALLS = 100
WARM = 3  # calls until one is played
PATIENCE = 120.0  # seconds after which no further mode of a library is tried


def ours_dense(workload: Workload, order: str = "auto") -> Call:
    """Our call: everything from the function to dense arrays."""
    g = ours(workload, order)
    arguments, finish = workload.arguments, workload.finish
    if finish is not None:
        return lambda: (finish(np, [np.asarray(J) for J in g(*arguments)], *arguments),)
    return lambda: [np.asarray(J) for J in g(*arguments)]


def contestants_of(
    workload: Workload, libraries: list[str], reference: list[np.ndarray], limit: float
) -> tuple[dict[str, Call], dict[str, dict[str, Any]]]:
    """The peers' calls worth timing, and what is known of all: first call, second call, or why there is none."""
    calls: dict[str, Call] = {}
    notes: dict[str, dict[str, Any]] = {}
    for library in libraries:
        found: dict[str, Call] = {}
        begun = time.perf_counter()
        try:
            modes = list(peers.LIBRARIES[library](workload))
        except Exception as error:  # a peer that fails is reported, whatever it raises
            notes[library] = {"failed": _short(error)}
            continue
        if not modes:
            notes[library] = {"failed": "has no such function"}
        for label, call in modes:
            hopeless = _hopeless(label, workload, reference)
            if time.perf_counter() - begun > PATIENCE:
                hopeless = "not tried: its other mode took too long"
            notes[label] = {"failed": hopeless} if hopeless else _introduced(call, reference)
            if "failed" not in notes[label]:
                found[label] = call
        if found:
            best = min(notes[label]["second"] for label in found)
            calls.update({
                label: call for label, call in found.items()
                if notes[label]["second"] <= FAR_BEHIND * best and notes[label]["second"] <= TOO_SLOW * limit
            })  # fmt: skip
    return calls, notes


def _hopeless(label: str, workload: Workload, reference: list[np.ndarray]) -> str | None:
    """Why a mode is not tried: it has many times the directions of the other, and memory for gigabytes of them."""
    inputs = sum(workload.arguments[number].size for number in workload.argnums)
    outputs = max(reference[0].size // workload.arguments[workload.argnums[0]].size, 1)
    held = sum(argument.size for argument in workload.arguments) + outputs
    for mode, directions, others in (("jacfwd", inputs, outputs), ("jacrev", outputs, inputs)):
        if mode in label and directions > MANY * others and 8 * directions * held > TOO_LARGE:
            return f"not tried: {directions} directions, where the other mode has {others}"
    return None


def _introduced(call: Call, reference: list[np.ndarray]) -> dict[str, Any]:
    """First call, comparison with ours, and the next: the fastest of three where they are fast."""
    try:
        start = time.perf_counter()
        result = call()
        first = time.perf_counter() - start
        difference = agree([np.asarray(one) for one in result], reference)
        del result
        if difference is not None:
            return {"first": first, "failed": f"another result: {difference}"}
        if first > HOPELESS:
            return {"first": first, "second": first}
        return {"first": first, "second": min(timed(call) for _ in range(1 if first > SLOW else 3))}
    except Exception as error:  # a peer that fails is reported, whatever it raises
        return {"failed": _short(error)}


def _short(error: BaseException) -> str:
    text = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {text[:100]}"


def multiplications(workload: Workload) -> int:
    """Multiplications of our plan on the way to the dense tensor, counted on shapes alone."""
    traced = jac.trace(workload.plain, *workload.arguments)
    graph = plan.paths(traced.output, [traced.inputs[number] for number in workload.argnums])
    return plan.cost(graph, plan.choose(graph)).multiplications


def run(workload: Workload, libraries: list[str], effort: Effort, peak: float) -> dict[str, Any]:
    """Everything about one workload."""
    call = ours_dense(workload)
    start = time.perf_counter()
    dense = call()
    first = time.perf_counter() - start
    second = min(timed(call) for _ in range(3))
    record: dict[str, Any] = {"name": workload.name, "title": workload.title, "first": {"ours": first}}
    calls, notes = contestants_of(workload, libraries, dense, second)
    contestants: dict[str, Call] = {"ours": call, **calls}
    if workload.hand is not None:
        hand = workload.hand
        contestants["hand"] = lambda: hand(*workload.arguments)
        record["by hand"] = agree(hand(*workload.arguments), dense) or "agrees"
    nbytes = sum(J.nbytes for J in dense)
    del dense
    times = interleaved(contestants, effort)
    record |= {"ours": times.pop("ours"), "hand": times.pop("hand", None), "bytes": nbytes}
    record["first"] |= {label: note["first"] for label, note in notes.items() if "first" in note}
    record["peers"] = {
        label: {"seconds": times.get(label, note.get("second")), "timed": label in times, **note}
        for label, note in notes.items()
    }
    known = {label: entry["seconds"] for label, entry in record["peers"].items() if entry["seconds"] is not None}
    if known:
        best = min(known, key=lambda label: known[label])
        record |= {"best peer": best, "peer": known[best], "peer/ours": known[best] / record["ours"]}
    if record["hand"] is not None:
        record["ours/hand"] = record["ours"] / record["hand"]
    record["multiplications"] = multiplications(workload)
    record["limit"] = write_seconds(nbytes) + record["multiplications"] / peak
    record["memory"] = memory_of(workload)
    return record


@nothing_known()
def orders(workload: Workload, effort: Effort) -> dict[str, Any]:
    """Times of the chosen order and of pure forward and reverse, on average over turns of several calls.

    Two of them are often the same program: after one call what differs is the memory that the one before has left.
    """
    calls: dict[str, Call] = {}
    counts: dict[str, int] = {}
    failed: dict[str, str] = {}
    for order in ("auto", "forward", "reverse"):
        call = ours_dense(workload, order)
        try:
            first = timed(call)
        except Exception as error:  # an order that needs too much memory is reported
            failed[order] = _short(error)
        else:
            if first > HOPELESS:
                failed[order] = f"the first call took {first:.0f} s"
            else:
                played = min(timed(call) for _ in range(WARM))
                counts[order] = max(1, min(MOST_CALLS, int(TURN / played)))
                calls[order] = call
    times = interleaved(calls, effort, counts)
    pure = [times[order] for order in ("forward", "reverse") if order in times]
    ratio = times["auto"] / min(pure) if pure and "auto" in times else None
    return {"name": workload.name, **times, "failed": failed, "auto/best": ratio}
