"""Free arguments: numbers that a function is not differentiated by, whose values a script leaves open.

Floating-point numbers are free from the start. Arrays of whole numbers and booleans, such as the labels of a batch, are
once they change between calls: as long as they do not, a script knows better what to do with them.

Whether a function only computes with them is seen by tracing it once more with these arguments traced, too. One that
looks at their numbers (`if t > 0`), assigns into them or cannot be traced in them has none that are free.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Hashable, Sequence
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from jacobian.kernel.term import Array
from jacobian.place import Place
from jacobian.tracing import snapshots
from jacobian.tracing.captured import names_around, values_around
from jacobian.tracing.discrete import DISCRETE
from jacobian.tracing.graph import Graph, Node
from jacobian.tracing.run import Key, output, run
from jacobian.tracing.snapshots import MIDDLING, kept_snapshot
from jacobian.tracing.tree import FLOATS, leaves, map_leaves, nested_shapes

Leaves = dict[Key, list[Any]]
"""The arrays and numbers of each."""

NONE: Leaves = {}


class Retraced(NamedTuple):
    """The nodes of another run in which free arguments are traced: outputs, inputs, and what else is given."""

    outputs: list[Node]
    inputs: list[Node]
    given: list[Node]


def arguments(args: Sequence[Any], numbers: Sequence[int]) -> tuple[Hashable, Leaves, Leaves]:
    """Which arguments may be free: their nesting and shapes, and their arrays by the argument's number.

    Those of whole numbers and booleans stand apart.
    """
    found: Leaves = {}
    discrete: Leaves = {}
    shapes: list[Hashable] = []
    for number, value in enumerate(args):
        if number not in numbers:
            arrays: list[Any] = []
            shape = nested_shapes(value, arrays, whole=False)
            shapes.append(shape)
            if shape is not None and arrays:
                found[number] = arrays
            elif type(value) is np.ndarray and value.dtype.kind in DISCRETE and value.ndim:
                discrete[number] = [value]
                shapes[-1] = (value.shape, value.dtype)
    return tuple(shapes), found, discrete


def changed(before: Leaves, after: Leaves) -> list[Key]:
    """Which arrays are not what they were."""
    return [
        key for key, [array] in after.items()
        if key in before and not (array is before[key][0] or np.array_equal(array, before[key][0]))
    ]  # fmt: skip


def kept(arrays: Leaves) -> Leaves:
    """The same, safe from later changes."""
    return {key: [kept_snapshot(array) for array in leaves] for key, leaves in arrays.items()}


def taken(leaf: Any, *, borrow: bool) -> Any:
    """A number, or an array that is safe from later changes, unless it is large and may be borrowed."""
    if type(leaf) is not np.ndarray or (borrow and is_borrowed(leaf)):
        return leaf
    return kept_snapshot(leaf, MIDDLING)  # it often comes again


def as_inputs(given: Sequence[Any]) -> list[Array]:
    """What was taken as a script's inputs: numbers like those that it was written for."""
    return list(map(as_input, given))


def as_input(one: Any) -> Array:
    """The same for one of them."""
    return np.float64(one) if type(one) is float else one


def is_borrowed(array: Any) -> bool:
    """Whether an array is so large that neither a copy of it is made nor a look taken whether it is as it was."""
    return (
        type(array) is np.ndarray
        and array.nbytes >= snapshots.BORROWED
        and array.flags.writeable
        and array.flags.c_contiguous
    )


def names_of_captured(f: Any, nbytes: int) -> list[str]:
    """The variables around a function that hold numbers for it which may be free, of at least so many bytes each."""
    if type(f) is not FunctionType or f.__dict__:
        return []
    values = values_around(f, names_around(f))
    return [name for name, value in values if _may_be_free(value) and np.asarray(value).nbytes >= nbytes]


def captured(f: Any, names: Sequence[str]) -> Leaves:
    """What variables around a function hold, if that may be free now: it may have been something else before."""
    return {name: [value] for name, value in values_around(f, names) if _may_be_free(value)}


def _may_be_free(value: Any) -> bool:
    return type(value) in FLOATS or (type(value) is np.ndarray and value.dtype.kind == "f")


def retraced(place: Place, free: Collection[Key], outputs: Sequence[Node]) -> Retraced | None:
    """Another run with all of this traced; None where the function did anything but compute the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they have been given
        try:
            recording = run(place.f, place.numbers, place.args, place.kwargs, free)
            found = _outputs(recording.result, recording.graph)
        except Exception:  # whatever the user's function raises where it is given no plain array
            return None
    if recording.graph.seen or not all(map(_is_same, found, outputs)):
        return None
    return Retraced(
        found,
        leaves([recording.inputs[number] for number in place.numbers]),
        leaves([recording.inputs[key] for key in free]),
    )


def _outputs(result: Any, graph: Graph) -> list[Any]:
    found: list[Any] = []
    map_leaves(lambda leaf, path: found.append(output(leaf, path, graph)), result)
    return found


def _is_same(node: Any, known: Node) -> bool:
    """Whether one run computed what the other did: a number that is traced no longer gives way in dtypes, for one."""
    if not isinstance(node, Node):
        return False
    value, other = np.asarray(node.value), np.asarray(known.value)
    return value.dtype == other.dtype and np.array_equal(value, other)
