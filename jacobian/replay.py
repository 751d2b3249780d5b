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
from jacobian.errors import JacobianError
from jacobian.kernel.code import OtherwiseError
from jacobian.kernel.recorded import NotRecordableError
from jacobian.ops.registry import REGISTRY, Op, promoted
from jacobian.played import Played
from jacobian.programs import MOST_FAILURES, MOST_NODES, Memory
from jacobian.script import PER_STEP, Output, Script
from jacobian.tracing.graph import Node
from jacobian.tracing.run import Key, numbers_of
from jacobian.tracing.snapshots import kept_snapshot
from jacobian.tracing.surroundings import DIFFERENTIATES, Surroundings, UnknownError
from jacobian.tracing.tree import is_array_list, is_container, nested_shapes

REMEMBERED = 250_000  # weight of all scripts together: their steps, and the arrays they hold
HEAVIEST = 125_000  # weight of one script
BY_ITSELF = 8  # weight of a kind of calls, whether it has scripts or not
MOST_VARIANTS = 4  # scripts that differ only in what the function reads, such as captured numbers
MOST_MISSES = 16  # calls for which none of them was written, beside a quarter of the others
PLAYS_TO_EARN = 64  # calls that make up for writing one script more
LOOKED_UP = 64  # calls after which the kind of a function's last call is looked up again, so that it counts as used
MANY_LOOKS = 4  # at the terms of played Jacobians: where most calls need the graph, it is better made at once


class Kind:
    """Calls of one function with arguments of the same shapes."""

    def __init__(self, weight: int) -> None:
        self.weight = weight
        self.seen = 0
        self.numbers: tuple[int, ...] = ()  # of the arguments that are differentiated by
        self.others: tuple[Any, ...] = ()  # of those that may be free
        self._glance: list[tuple[Any, Any, Any]] | None = None
        self._changes = 0
        self.scripts: tuple[Script, ...] = ()  # the one written last first
        self.hopeless = False
        self.captured: tuple[str, ...] = ()  # variables of the function whose arrays may be free
        self.bound: frozenset[Key] = frozenset()  # what cannot be free after all
        self.candidate: Surroundings | None = None  # of the last call that was not played
        self.plays = self.misses = self.written = 0
        self.failures = 0  # in a row
        self.looks = 0  # at terms, less the calls without a look
        self.code: Any = None  # kept alive, as its id is part of the key

    def set_off(self, f: Any, numbers: tuple[int, ...], others: Sequence[Key], args: Sequence[Any]) -> None:
        """Before the first call: what its function is, and what else can be told of the next ones at a glance."""
        self.code = _code(f)
        self.numbers = numbers
        self.others = tuple(others)
        self._changes = REGISTRY.changes
        if not any(map(is_container, args)):
            self._glance = [_at_a_glance(one) for one in args]

    def is_at_a_glance_of(self, args: Sequence[Any]) -> bool:
        """Whether another call of the same function, with these arguments alone, is seen to be of this kind."""
        glance = self._glance
        if glance is None or len(args) != len(glance) or self.hopeless or self._changes != REGISTRY.changes:
            return False
        for value, (kind, shape, dtype) in zip(args, glance, strict=True):
            if type(value) is not kind or (shape is not None and (value.shape != shape or value.dtype != dtype)):
                return False
        return True

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
        self.scripts = scripts

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

    __slots__ = ("_arguments", "args", "f", "free", "keys", "kind", "kwargs", "leaves", "numbers", "order", "others")

    def __init__(
        self, kind: Kind, caller: Caller, args: Sequence[Any], kwargs: dict[str, Any], leaves: list[Any],
        arguments: free.Leaves,
    ) -> None:  # fmt: skip
        self.kind = kind
        self.f = caller.f
        self.order = caller.order
        self.numbers = kind.numbers
        self.args = args
        self.kwargs = kwargs
        self.leaves = leaves
        self._arguments = arguments  # that may be free
        self._set_free()

    def _set_free(self) -> None:
        """Tell what is free from what is compared."""
        kind, arrays = self.kind, self._arguments
        if kind.captured:
            arrays = arrays | free.captured(self.f, kind.captured)
        if kind.bound:
            arrays = {key: one for key, one in arrays.items() if key not in kind.bound}
        self.free = arrays
        self.keys = tuple(arrays)
        self.others: list[Any] = [self.f]
        if len(self.args) > 1:
            self.others += [one for k, one in enumerate(self.args) if k not in self.numbers and k not in arrays]
        if self.kwargs:
            self.others.append(self.kwargs)

    def play(self) -> Played | None:
        """The values and Jacobians from the script; None where there is none that applies."""
        for script in self.kind.scripts:
            if script.surroundings.are_those_of(self.others, self.keys) and script.is_for(self.leaves):
                return self._play(script)
        return None

    def _play(self, script: Script) -> Played | None:
        kind, played = self.kind, None
        inputs = [kept_snapshot(promoted(leaf, "x")) for leaf in self.leaves]
        given: list[Any] = []
        if self.free:
            given = [free.taken(leaf, borrow=script.is_at_once) for leaves in self.free.values() for leaf in leaves]
        kind.plays += 1
        if kind.looks:
            kind.looks -= 1
        try:
            played = Played(self, script, inputs, given, kind)
            kind.failures = 0
        except (OtherwiseError, ArithmeticError, ValueError, JacobianError):  # tracing will tell
            kind.failures += 1
            if kind.failures >= MOST_FAILURES:
                kind.give_up()
        return played

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
            self._release(0)
        kind.misses += 1
        self._begin()
        if kind.misses > MOST_MISSES + kind.plays // 4:
            kind.give_up()
        return False

    def _begin(self) -> None:
        """Remember all that is read, for the next call to be compared with."""
        try:
            self.kind.candidate = Surroundings(self.others, self.keys)
        except UnknownError:
            self.kind.give_up()

    def _release(self, nbytes: int) -> bool:
        """Let captured arrays be free from now on that are so large, or change; tell whether there are any."""
        kind = self.kind
        names = free.names_of_captured(self.f, nbytes)
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
        if surroundings.nbytes >= free.LARGE and self._release(free.LARGE):
            return self._begin()
        write = partial(self._script, surroundings, nodes, inputs, result)
        if graph.seen and self.free and write(()) is None:  # whatever is free, this one looks at its numbers
            return kind.give_up()
        script = write(self.free)
        if script is not None:
            return kind.add(script)
        if not self.free:
            return kind.give_up()
        able = [key for key in self.free if len(self.free) > 1 and write([key]) is not None]
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
            again = free.retraced(self, keys, [output.node for output in outputs])
            if again is None:
                return None
            for output, node in zip(outputs, again.outputs, strict=True):
                node.name_hint = output.node.name_hint
            outputs = [output._replace(node=node) for output, node in zip(outputs, again.outputs, strict=True)]
            inputs, given = again.inputs, again.given
        try:
            script = Script(surroundings, outputs, inputs, given, result, self.order, self.leaves)
        except NotRecordableError:
            return None
        return script if script.weight <= HEAVIEST else None


class Caller:
    """A function and how it is differentiated, which remembers the kind of its last call."""

    __slots__ = ("_last", "argnums", "f", "order")

    def __init__(self, f: Callable[..., Any], argnums: int | Sequence[int], order: str) -> None:
        self.f = f
        self.argnums = argnums
        self.order = order
        self._last: Callable[[], Kind | None] = _nothing

    def call(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Call | None:
        """The call, if it can be one of a kind: of plain arrays, by a function whose code can be looked at."""
        kind = self._last()
        if kind is not None and kind.plays % LOOKED_UP and not kwargs and kind.is_at_a_glance_of(args):
            leaves = [args[number] for number in kind.numbers]
            return Call(kind, self, args, kwargs, leaves, {number: [args[number]] for number in kind.others})
        return self._looked_up(numbers_of(self.argnums, len(args)), args, kwargs)

    def _looked_up(self, numbers: tuple[int, ...], args: Sequence[Any], kwargs: dict[str, Any]) -> Call | None:
        function = _function_key(self.f)
        if function is None:
            return None
        leaves: list[Any] = []
        shapes = tuple([_shapes(args[number], leaves) for number in numbers])
        if None in shapes:
            return None
        free_shapes, free_leaves = free.arguments(args, numbers) if len(args) > len(numbers) else ((), free.NONE)
        key = (function, self.order, numbers, len(args), shapes, free_shapes, tuple(kwargs), REGISTRY.changes)
        kind = SCRIPTS.find(key, BY_ITSELF)
        if kind.hopeless:
            return None
        if kind.code is None:
            kind.set_off(self.f, numbers, list(free_leaves), args)
        self._last = ref(kind)
        return Call(kind, self, args, kwargs, leaves, free_leaves)


def _at_a_glance(value: Any) -> tuple[Any, Any, Any]:
    """What decides on the kind of a call: shape and dtype of an array, else the type."""
    kind: Any = type(value)
    return (kind, value.shape, value.dtype) if kind is np.ndarray else (kind, None, None)


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
