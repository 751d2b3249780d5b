"""Calls that repeat an earlier one with other numbers are played from a script: none of the user's code is run again.

A script is one straight-line NumPy program for the values and their Jacobians. It is written when a function is called
a second time with arguments of the same shapes, if the function's code and all it reads are known to decide alone what
it does (`tracing/surroundings.py`), and if it looked at no number on its way. What it reads is compared at every call.
Floating-point numbers that are not differentiated by may be free: the script takes them as they come (`free.py`).
Where the script does not apply, the function is traced as ever.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Hashable, Sequence
from functools import partial
from types import FunctionType
from typing import Any
from weakref import ref

import numpy as np

from jacobian import free
from jacobian.glance import glance
from jacobian.kernel.code import NOT_PLAYED
from jacobian.kernel.recorded import NotRecordableError
from jacobian.ops.registry import REGISTRY, Op, promoted
from jacobian.place import Place
from jacobian.played import Calling, Played
from jacobian.programs import MOST_FAILURES, MOST_NODES, Memory
from jacobian.script import PER_STEP, Output, Script, Taken
from jacobian.tracing import snapshots
from jacobian.tracing.graph import Node
from jacobian.tracing.run import Key, numbers_of
from jacobian.tracing.snapshots import kept_snapshot
from jacobian.tracing.surroundings import DIFFERENTIATES, Surroundings, UnknownError
from jacobian.tracing.tree import is_array_list, nested_shapes

REMEMBERED = 250_000  # weight of all scripts together: their steps, and the arrays they hold
HEAVIEST = 125_000  # weight of one script
BY_ITSELF = 8  # weight of a kind of calls, whether it has scripts or not
MOST_VARIANTS = 4  # scripts that differ only in what the function reads, such as captured numbers
MOST_MISSES = 16  # calls for which none of them was written, beside a quarter of the others
PLAYS_TO_EARN = 64  # calls that make up for writing one script more
LOOKED_UP = 64  # calls after which the kind of a function's last call is looked up again, so that it counts as used
MANY_LOOKS = 4  # at the terms of played Jacobians: where most calls need the graph, it is better made at once


NOTHING_FREE = ((), free.NONE, free.NONE)


class Kind:
    """Calls of one function with arguments of the same shapes."""

    def __init__(self, weight: int) -> None:
        self.weight = weight
        self.seen = 0
        self.scripts: tuple[Script, ...] = ()  # the one written last first
        self.latest: Script | None = None  # that was played
        self.hopeless = False
        self.captured: tuple[str, ...] = ()  # variables of the function whose arrays may be free
        self.changing: frozenset[Key] = frozenset()  # arguments of whole numbers that are free, as they change
        self.before: free.Leaves = free.NONE  # what such arguments were
        self.bound: frozenset[Key] = frozenset()  # what cannot be free after all
        self.candidate: Surroundings | None = None  # of the last call that was not played
        self.plays = self.misses = self.written = 0
        self.failures = 0  # in a row
        self.looks = 0  # at terms, less the calls without a look
        self.code: Any = None  # kept alive, as its id is part of the key
        self.numbers: tuple[int, ...] = ()  # of the arguments that are differentiated by
        self.with_values = True  # whether the function's values are wanted beside the Jacobians

    def give_up(self) -> None:
        """Calls of this kind are traced from now on."""
        self.hopeless, self.candidate = True, None
        self.replace(())

    def add(self, script: Script) -> None:
        """One more script; the oldest one goes when there are many."""
        self.written += 1
        self.replace((script, *self.scripts[: MOST_VARIANTS - 1]))

    def replace(self, scripts: tuple[Script, ...]) -> None:
        """Have other scripts."""
        SCRIPTS.grow(self, sum(one.weight for one in scripts) - sum(one.weight for one in self.scripts))
        self.scripts, self.latest = scripts, None

    def play(self, call: Calling, script: Script, taken: Taken) -> Played | None:
        """The values and Jacobians from a script that applies; None where it does not at these numbers."""
        self.plays += 1
        if self.looks:
            self.looks -= 1
        try:
            played = Played(call, script, taken, self)
        except NOT_PLAYED:
            self.failures += 1
            if self.failures >= MOST_FAILURES:
                self.give_up()
            return None
        self.failures = 0
        if script.turn():
            self.latest = script.glance = None
        return played

    def looked(self) -> None:
        """The terms of a Jacobian were asked for, and so the graph."""
        self.looks += 2
        if self.looks >= MANY_LOOKS:
            self.give_up()

    def may_be_written(self) -> bool:
        """Whether another script is worth its while."""
        return self.written < MOST_VARIANTS + self.plays // PLAYS_TO_EARN


SCRIPTS: Memory[Kind] = Memory(Kind, REMEMBERED)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=SCRIPTS.unlock)


class Call:
    """One call: the arrays to differentiate by, and all other things that it depends on."""

    __slots__ = ("_arguments", "_discrete", "compared", "free", "keys", "kind", "leaves", "order", "others", "place")

    def __init__(
        self, kind: Kind, place: Place, order: str, leaves: list[Any], arguments: free.Leaves, discrete: free.Leaves
    ) -> None:  # fmt: skip
        self.kind = kind
        self.place = place
        self.order = order
        self.leaves = leaves
        self._arguments = arguments  # that may be free
        self._discrete = discrete  # that may be when they change
        self._set_free()

    def _set_free(self) -> None:
        """Tell what is free from what is compared."""
        kind, place, arrays = self.kind, self.place, self._arguments
        if kind.changing:
            arrays = arrays | {key: one for key, one in self._discrete.items() if key in kind.changing}
        if kind.captured:
            arrays = arrays | free.captured(place.f, kind.captured)
        if kind.bound:
            arrays = {key: one for key, one in arrays.items() if key not in kind.bound}
        self.free = arrays
        self.keys = tuple(arrays)
        self.compared = [k for k in range(len(place.args)) if k not in place.numbers and k not in arrays]
        self.others: list[Any] = [place.f, *[place.args[k] for k in self.compared]]
        if place.kwargs:
            self.others.append(place.kwargs)

    def play(self) -> Played | None:
        """The values and Jacobians from the script; None where there is none that applies."""
        for script in self.kind.scripts:
            if script.surroundings.are_those_of(self.others, self.keys) and script.is_for(self.leaves):
                return self._play(script)
        return None

    def _play(self, script: Script) -> Played | None:
        if self.kind.latest is not script:
            self.kind.latest = script
            if script.glance is None:
                script.glance = glance(self.place, script, self.keys, self.compared)
        inputs = [kept_snapshot(promoted(leaf, "x")) for leaf in self.leaves]
        given = [free.taken(leaf, borrow=script.is_at_once) for leaves in self.free.values() for leaf in leaves]
        return self.kind.play(self.place[:4], script, (inputs, given, [*inputs, *free.as_inputs(given)]))

    def look_around(self) -> bool:
        """Before a call that was not played: whether a script is to be written after it.

        It is when the last such call found all it reads as it is now.
        """
        kind = self.kind
        if kind.hopeless or kind.failures:
            return False
        if kind.candidate is not None:
            if kind.candidate.are_those_of(self.others, self.keys):
                return kind.may_be_written()
            self._release_changed()
            self._release(0)
        kind.misses += 1
        self._begin()
        if kind.misses > MOST_MISSES + kind.plays // 4:
            kind.give_up()
        return False

    def _begin(self) -> None:
        """Remember all that is read, for the next call to be compared with."""
        kind = self.kind
        kind.before = free.kept(self._discrete) if self._discrete else free.NONE
        try:
            kind.candidate = Surroundings(self.others, self.keys)
        except UnknownError:
            kind.give_up()

    def _release_changed(self) -> None:
        """Let arrays of whole numbers be free from now on that are not what they were."""
        kind = self.kind
        new = frozenset(free.changed(kind.before, self._discrete)) - kind.changing
        if new:
            kind.changing |= new
            self._start_over()

    def _release(self, nbytes: int) -> bool:
        """Let captured arrays be free from now on that are so large, or change; tell whether there are any."""
        kind = self.kind
        names = free.names_of_captured(self.place.f, nbytes)
        new = tuple(name for name in names if name not in kind.captured)
        if new:
            kind.captured += new
            self._start_over()
        return bool(new)

    def _start_over(self) -> None:
        """Other things are free than were before: scripts that take those cannot be played any more."""
        self.kind.replace(())
        self._set_free()

    def write(self, outputs: Sequence[Output | None], inputs: Sequence[Node], result: Any) -> None:
        """After such a call: write the script, if the function did nothing that is not in the graph."""
        kind, surroundings = self.kind, self.kind.candidate
        kind.candidate = None
        nodes = [output for output in outputs if output is not None]
        if surroundings is None or not nodes or len(nodes) < len(outputs):
            return kind.give_up()
        graph = nodes[0].node.trace
        heavy = len(graph.nodes) > MOST_NODES or surroundings.nbytes // PER_STEP > HEAVIEST
        if heavy or not surroundings.are_those_of(self.others, self.keys):
            return kind.give_up()
        if surroundings.nbytes >= snapshots.CAPTURED and self._release(snapshots.CAPTURED):
            return self._begin()
        write = partial(self._script, surroundings, nodes, inputs, result)
        script = write(self.free)
        if script is not None:
            return kind.add(script)
        able = [key for key in self.free if len(self.free) > 1 and write([key]) is not None]
        if not able and self._release(0):  # only what is traced can be looked up in by what is computed
            return self._begin()
        if not self.free:
            return kind.give_up()
        kind.bound |= self.free.keys() - (able if len(able) < len(self.free) else ())
        self._start_over()
        return self._begin()

    def _script(
        self, surroundings: Surroundings, outputs: Sequence[Output], inputs: Sequence[Node], result: Any,
        keys: Collection[Key],
    ) -> Script | None:  # fmt: skip
        """The script that takes these numbers as they come, if it can be written."""
        given: Sequence[Node] = ()
        if keys or outputs[0].node.trace.seen:
            again = free.retraced(self.place, keys, [output.node for output in outputs])
            if again is None:
                return None
            for output, node in zip(outputs, again.outputs, strict=True):
                node.name_hint = output.node.name_hint
            outputs = [output._replace(node=node) for output, node in zip(outputs, again.outputs, strict=True)]
            inputs, given = again.inputs, again.given
        try:
            trees = [self.place.args[number] for number in self.place.numbers]
            script = Script(
                surroundings, outputs, inputs, given, result, self.order, trees, self.leaves,
                with_values=self.kind.with_values,
            )  # fmt: skip
        except NotRecordableError:
            return None
        return script if script.weight <= HEAVIEST else None


class Caller:
    """A function and how it is differentiated, which remembers the kind of its last call."""

    __slots__ = ("_last", "argnums", "f", "order", "with_values")

    def __init__(
        self, f: Callable[..., Any], argnums: int | Sequence[int], order: str, *, with_values: bool
    ) -> None:  # fmt: skip
        self.f = f
        self.argnums = argnums
        self.order = order
        self.with_values = with_values
        self._last: Callable[[], Kind | None] = _nothing

    def play(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Played | None, Call | None]:
        """What a script gives, if there is one for this call; else the call, if it can be one of a kind."""
        kind = self._last()
        script = kind.latest if kind is not None and kind.plays % LOOKED_UP else None
        if kind is not None and script is not None and script.glance is not None and not kwargs:
            found = script.glance(self.f, args)
            if found is not None:
                return kind.play((self.f, kind.numbers, args, kwargs), script, found), None
        call = self.call(args, kwargs)
        return None if call is None else call.play(), call

    def call(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Call | None:
        """The call, if it can be one of a kind: of plain arrays, by a function whose code can be looked at."""
        numbers = numbers_of(self.argnums, len(args))
        function = _function_key(self.f)
        if function is None:
            return None
        leaves: list[Any] = []
        shapes = tuple([_shapes(args[number], leaves) for number in numbers])
        if None in shapes:
            return None
        shapes_of_free, *may_be_free = free.arguments(args, numbers) if len(args) > 1 else NOTHING_FREE
        how = (self.order, self.with_values, numbers)
        key = (function, how, len(args), shapes, shapes_of_free, tuple(kwargs), REGISTRY.changes)
        kind = SCRIPTS.find(key, BY_ITSELF)
        if kind.hopeless:
            return None
        if kind.code is None:
            kind.code, kind.numbers, kind.with_values = _code(self.f), numbers, self.with_values
        self._last = ref(kind)
        return Call(kind, Place(self.f, numbers, args, kwargs, ""), self.order, leaves, *may_be_free)


def _nothing() -> None:
    """No kind is known yet."""


def _shapes(value: Any, leaves: list[Any]) -> Hashable:
    """Nesting, shapes and dtypes of an argument, whose arrays are collected; None for anything but plain numbers."""
    if is_array_list(value):
        leaves.append(value)
        return None if any(isinstance(item, list | complex) for item in value) else len(value)
    return nested_shapes(value, leaves, whole=True)


def _code(f: Any) -> Any:
    """What an id in a key belongs to."""
    if type(f) is partial:
        return _code(f.func)
    if type(f) is FunctionType and DIFFERENTIATES not in f.__dict__:
        return f.__code__
    return _code(f.__dict__[DIFFERENTIATES][0]) if type(f) is FunctionType else f


def _function_key(f: Any) -> Hashable:
    """A function, as far as keys tell them apart; None for what is never looked at more closely."""
    kind: Any = type(f)
    if kind is FunctionType:
        if DIFFERENTIATES not in f.__dict__:
            return id(f.__code__)
        inner_function, *options = f.__dict__[DIFFERENTIATES]
        inner = _function_key(inner_function)
        return None if inner is None else (inner, *map(repr, options))
    if kind is partial:
        inner = _function_key(f.func)
        return None if inner is None else (inner, len(f.args))
    return id(f) if kind is Op or kind is np.ufunc else None
