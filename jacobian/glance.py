"""Calls like an earlier one are known at a glance: by one function that looks at all which might be different."""

from __future__ import annotations

from collections.abc import Sequence

from jacobian.free import taken
from jacobian.ops.registry import REGISTRY, promoted
from jacobian.place import Place
from jacobian.script import Glance, Script
from jacobian.tracing.conditions import Conditions
from jacobian.tracing.run import Key
from jacobian.tracing.snapshots import kept_snapshot
from jacobian.tracing.tree import is_container


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
    keep, promote, take = map(write.hold, (kept_snapshot, promoted, taken))
    inputs = [f"{keep}({promote}({leaf}, 'x'))" for leaf in leaves]
    places = [names[key] if isinstance(key, int) else script.surroundings.places[key] for key in keys]
    given = [f"{take}({one}, borrow={script.is_at_once})" for one in places]
    return write.function([script.surroundings.names[0], "args"], f"([{', '.join(inputs)}], [{', '.join(given)}])")
