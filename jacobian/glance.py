"""Calls like an earlier one are known at a glance: by one function that looks at all which might be different."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jacobian.free import as_input, taken
from jacobian.ops.registry import REGISTRY, promoted
from jacobian.place import Place
from jacobian.script import Glance, Script
from jacobian.tracing import snapshots
from jacobian.tracing.conditions import Conditions
from jacobian.tracing.run import Key
from jacobian.tracing.snapshots import kept_snapshot
from jacobian.tracing.tree import is_container


def _safe(write: Conditions, leaf: str, value: Any, *, is_copied_late: bool) -> str:
    """A name for a number like this one, which it is known to be like, safe from later changes, if not copied later."""
    is_plain = type(value) is np.ndarray and value.dtype.kind == "f"
    if is_plain and _is_small(value):
        return _copied(write, leaf)
    promote = leaf if is_plain else f"{write.hold(promoted)}({leaf}, 'x')"
    safe = f"{write.hold(kept_snapshot)}({promote})"
    return write.let(f"{leaf} if {leaf}.flags.carray else {safe}" if is_plain and is_copied_late else safe)


def _copied(write: Conditions, leaf: str) -> str:
    """A name for a copy of an array."""
    return write.let(f"{leaf}.copy('K')")


def _is_small(value: Any) -> bool:
    """Whether it is an array that is copied whenever it comes: that takes less time than to compare it."""
    return type(value) is np.ndarray and value.nbytes < snapshots.BORROWED


def glance(place: Place, script: Script, keys: Sequence[Key], compared: Sequence[int]) -> Glance | None:
    """That function for a call which the script is for; None where arguments are nested, or given by name."""
    args, write = place.args, Conditions()
    known = sorted({*place.numbers, *(key for key in keys if isinstance(key, int))})
    if place.kwargs or any(is_container(args[number]) for number in known):
        return None
    names = [f"argument{number}" for number in range(len(args))]
    write.refuse(f"len(args) != {len(args)} or {write.hold(REGISTRY)}.changes != {REGISTRY.changes}")
    write.do(f"[{', '.join(names)}] = args")
    for number in known:
        write.refuse_other_kind(names[number], args[number])
    for value, number in zip(script.surroundings.names[1:], compared, strict=True):
        write.do(f"{value} = {names[number]}")
    write.include(script.surroundings.conditions)
    leaves = [names[number] for number in place.numbers]
    if script.strides is not None:
        write.refuse(f"not {write.hold(script.is_for)}([{', '.join(leaves)}])")
    inputs = [
        _safe(write, leaf, args[number], is_copied_late=script.copies_late)
        for leaf, number in zip(leaves, place.numbers, strict=True)
    ]
    take = write.hold(taken)
    given, numbers = [], list(inputs)
    for key in keys:
        one = names[key] if isinstance(key, int) else script.surroundings.places[key]
        if isinstance(key, int) and type(args[key]) is float:
            given.append(one)
            numbers.append(write.let(f"{write.hold(np.float64)}({one})"))
            continue
        if isinstance(key, int) and _is_small(args[key]):
            given.append(_copied(write, one))
        else:
            safe = f"{take}({one}, borrow={script.is_at_once})"
            may_be_borrowed = isinstance(key, int) and type(args[key]) is np.ndarray and script.is_at_once
            given.append(write.let(f"{one} if {one}.flags.carray else {safe}" if may_be_borrowed else safe))
        numbers.append(given[-1] if isinstance(key, int) else f"{write.hold(as_input)}({given[-1]})")
    lists = ", ".join(f"[{', '.join(one)}]" for one in (inputs, given, numbers))
    return write.function([script.surroundings.names[0], "args"], lists)
