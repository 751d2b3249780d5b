"""Which code computes and does nothing else: the instructions, names and values of which that is known.

What is not listed here is taken to be able to do anything.
"""

from __future__ import annotations

import math
import sys
from functools import cache, lru_cache
from types import BuiltinFunctionType, CodeType, ModuleType
from typing import Any

import numpy as np

from jacobian.ops.registry import REGISTRY, Op
from jacobian.tracing.constants import ASSIGNING, CONSTANT_FUNCTIONS

_MODULES = frozenset({np, np.linalg, np.fft, math})
_OUR_MODULES = frozenset({"jacobian", "jacobian.ops"})
_TYPES = frozenset({
    bool, int, float, complex, str, tuple, list, dict, set, slice, range, enumerate, zip, map, reversed, filter,
    frozenset, np.ndarray, np.dtype,
})  # fmt: skip
BUILTINS = _TYPES | {
    abs, all, any, divmod, hasattr, isinstance, iter, len, max, min, next, pow, round, sorted, sum,
    ArithmeticError, AttributeError, Exception, IndexError, KeyError, TypeError, ValueError, ZeroDivisionError,
}  # fmt: skip

_MAKERS = frozenset(
    """
    arange array asarray broadcast_shapes diag_indices dtype eye fftfreq finfo full identity iinfo indices ix_ linspace
    logspace ones ones_like ravel_multi_index rfftfreq tri tril_indices triu_indices unravel_index zeros zeros_like
    """.split()
)
_MAKERS |= ASSIGNING  # arrays that were made before are compared afterwards
_CONSTANTS = frozenset("e euler_gamma fft inf linalg nan newaxis ops pi".split())
_NEVER = frozenset("base ctypes data dump dumps empty_like flags setflags strides tofile".split())

_INSTRUCTIONS = frozenset(
    """
    BINARY_OP BINARY_SLICE BINARY_SUBSCR BUILD_CONST_KEY_MAP BUILD_LIST BUILD_MAP BUILD_SET BUILD_SLICE BUILD_STRING
    BUILD_TUPLE CACHE CALL CALL_FUNCTION_EX CALL_INTRINSIC_1 CALL_KW CHECK_EXC_MATCH COMPARE_OP CONTAINS_OP
    CONVERT_VALUE COPY COPY_FREE_VARS DELETE_FAST DELETE_SUBSCR DICT_MERGE DICT_UPDATE END_FOR EXTENDED_ARG
    FORMAT_SIMPLE FORMAT_VALUE FORMAT_WITH_SPEC FOR_ITER GET_ITER GET_LEN IS_OP JUMP_BACKWARD
    JUMP_BACKWARD_NO_INTERRUPT JUMP_FORWARD JUMP_IF_FALSE_OR_POP JUMP_IF_TRUE_OR_POP KW_NAMES LIST_APPEND LIST_EXTEND
    LIST_TO_TUPLE LOAD_ASSERTION_ERROR LOAD_ATTR LOAD_CLOSURE LOAD_CONST LOAD_DEREF LOAD_FAST LOAD_FAST_AND_CLEAR
    LOAD_FAST_BORROW LOAD_FAST_BORROW_LOAD_FAST_BORROW LOAD_FAST_CHECK LOAD_FAST_LOAD_FAST LOAD_GLOBAL
    LOAD_SMALL_INT MAKE_CELL MAKE_FUNCTION MAP_ADD NOP NOT_TAKEN POP_EXCEPT POP_ITER POP_JUMP_BACKWARD_IF_FALSE
    POP_JUMP_BACKWARD_IF_NONE POP_JUMP_BACKWARD_IF_NOT_NONE POP_JUMP_BACKWARD_IF_TRUE POP_JUMP_FORWARD_IF_FALSE
    POP_JUMP_FORWARD_IF_NONE POP_JUMP_FORWARD_IF_NOT_NONE POP_JUMP_FORWARD_IF_TRUE POP_JUMP_IF_FALSE POP_JUMP_IF_NONE
    POP_JUMP_IF_NOT_NONE POP_JUMP_IF_TRUE POP_TOP PRECALL PUSH_EXC_INFO PUSH_NULL RAISE_VARARGS RERAISE RESUME
    RETURN_CONST RETURN_GENERATOR RETURN_VALUE SET_ADD SET_FUNCTION_ATTRIBUTE SET_UPDATE STORE_DEREF STORE_FAST
    STORE_FAST_LOAD_FAST STORE_FAST_STORE_FAST STORE_SLICE STORE_SUBSCR SWAP TO_BOOL UNARY_INVERT UNARY_NEGATIVE
    UNARY_NOT UNARY_POSITIVE UNPACK_EX UNPACK_SEQUENCE YIELD_VALUE
    """.split()
)
"""What CPython's code may do, beside names behind a dot and imports that are known: compute, and fill containers."""


def _attributes() -> frozenset[str]:
    """Names behind a dot that mean the same at every call: of arrays, containers, NumPy and our own ops."""
    REGISTRY.later.arrive()
    return _names(REGISTRY.later.arrived)


@cache
def _names(arrived: tuple[str, ...]) -> frozenset[str]:
    """The same, where SciPy's functions are among them or not."""
    spaces = (np, np.linalg, np.fft)
    names = {name for space in spaces for name, value in vars(space).items() if is_harmless(value)}
    names |= {name for op in REGISTRY if op.built_in for name in (op.name, *op.aliases)}
    names |= {"reduce", "accumulate", "outer", "at"}
    names |= {name for kind in (np.ndarray, list, dict, tuple, set, str, slice) for name in dir(kind)}
    names |= {*dir(math), *_MAKERS, *_CONSTANTS}
    for library in arrived:
        names |= {*library.split(".")}
        names |= {name for name, value in vars(sys.modules[library]).items() if is_harmless(value)}
    return frozenset(name for name in names if not name.startswith("_")) - _NEVER


@lru_cache(maxsize=1024)
def global_names(code: CodeType) -> tuple[str, ...] | None:
    """The names that code reads in its module, functions inside it included; None if it may do more than compute."""
    import dis

    found: dict[str, None] = {}
    for instruction in dis.get_instructions(code):
        if not _computes(instruction.opname, instruction.argval, code):
            return None
        if instruction.opname == "LOAD_GLOBAL":
            found[instruction.argval] = None
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner = global_names(constant)
            if inner is None:
                return None
            found |= dict.fromkeys(inner)
    return tuple(found)


@lru_cache(maxsize=1024)
def names_within(code: CodeType) -> frozenset[str]:
    """All names that code speaks of but for its own variables, and functions inside it."""
    inner = [names_within(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return frozenset(code.co_names).union(*inner)


def _computes(name: str, argument: Any, code: CodeType) -> bool:
    """Whether an instruction of that code does nothing but compute."""
    if name in ("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM"):
        return argument in _attributes()
    if name == "IMPORT_NAME":
        return _is_known(argument)
    if name == "STORE_DEREF" and argument in code.co_freevars:  # a variable of the function around
        return False
    return name in _INSTRUCTIONS


def _is_known(name: str) -> bool:
    """Whether a module has been imported that does nothing but compute."""
    module = sys.modules.get(name)
    return module is not None and is_harmless(module)


def _holds_ops(module: ModuleType) -> bool:
    """Whether it is a module for whose functions there are ops, or the package around it."""
    REGISTRY.later.arrive()
    name = module.__name__
    return any(library == name or library.startswith(f"{name}.") for library in REGISTRY.later.arrived)


def is_harmless(value: Any) -> bool:
    """Whether a value is a function, a type or a module that does the same at every call, and nothing else."""
    if isinstance(value, ModuleType):
        return value in _MODULES or value.__name__ in _OUR_MODULES or _holds_ops(value)
    if isinstance(value, type):
        return value in BUILTINS or issubclass(value, np.generic)
    if isinstance(value, Op):
        return value.built_in
    if isinstance(value, BuiltinFunctionType) and (value in BUILTINS or getattr(math, value.__name__, None) is value):
        return True
    try:
        op = REGISTRY.find(value)
    except TypeError:  # it cannot be looked up
        return False
    if op is not None:
        return op.built_in
    name = getattr(value, "__name__", "")
    return value in CONSTANT_FUNCTIONS or (name in _MAKERS and getattr(np, name, None) is value)
