"""How many names of NumPy's are differentiated, by us, Autograd and MyGrad: `python -m benchmarks.coverage`.

Counted are the public names of ufuncs and of functions that dispatch. A name is handled if a call of it on an array
that is differentiated goes on with the derivative, be it 0; a peer may handle it under its own name for the same.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jacobian.ops.registry import REGISTRY
from jacobian.tracing.constants import CONSTANT_FUNCTIONS
from jacobian.tracing.writers import MAKERS, WRITERS

PLACES = ("np", "np.linalg", "np.fft", "np.emath")


def _names() -> Iterator[tuple[str, str, Any]]:
    for place in PLACES:
        space = importlib.import_module(place.replace("np", "numpy", 1)) if place != "np.emath" else np.emath
        for name in sorted(dir(space)):
            function = getattr(space, name)
            if not name.startswith("_") and isinstance(function, np.ufunc | type(np.sum)):
                yield place, name, function


def _handled(function: Any) -> bool:
    return REGISTRY.find(function) is not None or function in MAKERS or function in WRITERS


def ours() -> dict[str, dict[str, int]]:
    """For every place, how many names there are, and how many are handled, constant and refused."""
    found = {place: {"names": 0, "handled": 0, "constant": 0, "refused": 0} for place in PLACES}
    for place, _, function in _names():
        handled, constant = _handled(function), function in CONSTANT_FUNCTIONS
        found[place]["names"] += 1
        found[place]["handled" if handled else "constant" if constant else "refused"] += 1
    return found


def _autograd() -> Callable[[str, str, Any], bool]:
    core, tracer = importlib.import_module("autograd.core"), importlib.import_module("autograd.tracer")
    nowhere = tracer.notrace_primitives[importlib.import_module("autograd.numpy.numpy_boxes").ArrayBox]

    def handles(place: str, name: str, function: Any) -> bool:
        try:
            space = importlib.import_module(f"autograd.numpy{place.removeprefix('np')}")
        except ImportError:
            return False
        theirs = getattr(space, name, None)
        if not callable(theirs):
            return False
        written = not hasattr(theirs, "fun") and str(getattr(theirs, "__module__", "")).startswith("autograd")
        return theirs in core.primitive_vjps or theirs in nowhere or written

    return handles


def _mygrad() -> Callable[[str, str, Any], bool]:
    package, base = importlib.import_module("mygrad"), importlib.import_module("mygrad.tensor_base")
    known = {*base._REGISTERED_UFUNC, *base._REGISTERED_CONST_ONLY_UFUNC, *base._REGISTERED_DIFFERENTIABLE_NUMPY_FUNCS}

    def handles(place: str, name: str, function: Any) -> bool:
        space = package if place == "np" else getattr(package, place.removeprefix("np."), None)
        theirs = getattr(space, name, None)
        if name == "save":  # it writes a file
            return False
        return function in known or (callable(theirs) and "mygrad" in str(getattr(theirs, "__module__", "")))

    return handles


PEERS = {"Autograd": _autograd, "MyGrad": _mygrad}


def theirs(peer: str) -> dict[str, int] | None:
    """For every place, how many of the names that are not constant a peer handles; None where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            handles = PEERS[peer]()
    except ImportError:
        return None
    found = dict.fromkeys(PLACES, 0)
    for place, name, function in _names():
        found[place] += function not in CONSTANT_FUNCTIONS and handles(place, name, function)
    return found


def beyond(peer: str) -> list[str]:
    """The names that a peer handles and we do not."""
    handles = PEERS[peer]()
    return [
        f"{place}.{name}"
        for place, name, function in _names()
        if not _handled(function) and function not in CONSTANT_FUNCTIONS and handles(place, name, function)
    ]


def table() -> str:
    """The table as the README shows it."""
    counts, peers = ours(), {peer: theirs(peer) for peer in PEERS}
    lines = ["| | names | constant | refused | handled | Autograd | MyGrad |", "|---|---|---|---|---|---|---|"]
    total = {key: sum(counts[place][key] for place in PLACES) for key in counts["np"]}
    for place, row in [*counts.items(), ("all", total)]:
        cells: list[Any] = [row["names"], row["constant"], row["refused"], row["handled"]]
        cells += ["–" if found is None else found.get(place, sum(found.values())) for found in peers.values()]
        lines.append(f"| {f'`{place}`' if place != 'all' else 'all'} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
    for peer in PEERS:
        if theirs(peer) is not None:
            print(f"{peer} beyond ours: {', '.join(beyond(peer)) or 'none'}")
