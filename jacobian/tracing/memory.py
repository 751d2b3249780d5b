"""Which traced arrays lie in the same memory: what NumPy would show in all of them when one is assigned into.

A traced array is a node of a graph, and nodes never change. What changes is which node an array stands for: when it is
assigned into, through a view or directly, it becomes a new node, and every view of it is read from that again the next
time somebody looks at it.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jacobian.ops.registry import Op, Params

DEPEND_ON_MEMORY = frozenset({"reshape", "ravel"})
"""Ops that return a view or a copy, depending on how an array lies in memory."""


class Memory:
    """What an array shares with its views."""

    __slots__ = ("closed", "scattered", "unsure", "views")

    def __init__(self, *, closed: str = "", scattered: bool = False) -> None:
        self.views: list[weakref.ref[Any]] = []
        self.closed = closed  # why nothing may be assigned into it
        self.scattered = scattered  # whether the user's array has gaps in memory, which its snapshot has not
        self.unsure = False  # whether such an array was reshaped, so that nobody knows if that gave a view


class Step(NamedTuple):
    """How a view is read from the array it is a view of."""

    parent: Any
    op: Op
    operands: Sequence[Any]
    params: Params


KEPT = Memory(closed="it is kept by a graph or a Jacobian")
"""The memory of traced arrays that are values of nodes: they stand for what they stand for."""


def link(result: Any, op: Op, operands: Sequence[Any], params: Params) -> None:
    """Note where NumPy shares memory between a result, which is traced, and an operand."""
    traced = type(result)
    array = _array_below(result, traced)
    for operand in operands:
        if type(operand) is not traced:
            continue
        memory = operand._memory
        if memory is KEPT:
            result._memory = KEPT
            return
        if memory is not None and memory.scattered and op.name in DEPEND_ON_MEMORY:
            memory.unsure = True
            result._memory = memory
        if shares_memory(array, _array_below(operand, traced)):
            if memory is None:
                memory = operand._memory = Memory()
            if operand.graph is not result.graph:
                result._memory = Memory(closed="it is a view of an array of the function around")
                return
            result._memory = memory
            result._step = Step(operand, op, operands, params)
            memory.views.append(weakref.ref(result))
            return


def _array_below(value: Any, traced: Any) -> Any:
    while type(value) is traced:
        value = value.value
    return value


def shares_memory(array: Any, operand: Any) -> bool:
    """Whether a result lies in an operand's memory: it does not when it owns its own, and does when both lie in one."""
    if type(array) is np.ndarray and type(operand) is np.ndarray and array is not operand:
        owner = array.base
        if owner is operand or (owner is not None and owner is operand.base):
            return True
        if owner is None or not array.size:
            return False
    return np.may_share_memory(array, operand)


def is_compact(array: np.ndarray, copy: np.ndarray) -> bool:
    """Whether an array lies in memory as its copy does, but for where axes of one entry lead."""
    if array.flags.c_contiguous:
        return True
    pairs = zip(array.shape, array.strides, copy.strides, strict=True)
    return all(size <= 1 or left * copy.itemsize == right * array.itemsize for size, left, right in pairs)
