"""Which functions, methods, attributes and words an expression given as text may use.

Everything here is a choice about what is *allowed*: NumPy functions that take part in NumPy's own dispatch
(and so can be traced), a few that make constant arrays, and the layers of `jacobian.ops.network`. What
reads or writes files, runs a function of the user's, changes its argument in place, draws random numbers or
answers with text is left out.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from jacobian.ops import network, special
from jacobian.ops.registry import Op

MAX_ELEMENTS = 10**8
"""An expression may not ask for a constant array of more elements than this."""

CONSTANTS: Mapping[str, Any] = {
    "pi": np.pi,
    "e": np.e,
    "euler_gamma": np.euler_gamma,
    "inf": np.inf,
    "newaxis": None,
}

METHODS = frozenset(
    "all any argmax argmin argsort astype choose clip compress conj conjugate copy cumprod cumsum "
    "diagonal dot flatten max mean min nonzero prod ravel repeat reshape round searchsorted squeeze std "
    "sum swapaxes take trace transpose var".split()
)

UFUNC_METHODS = frozenset({"accumulate", "outer", "reduce", "reduceat"})

ATTRIBUTES = frozenset("T mT real imag shape ndim size eigenvalues eigenvectors sign logabsdet Q R U S Vh".split())

WORDS = frozenset(
    "float32 float64 int32 int64 bool float int C F A K L U fro nuc constant edge reflect symmetric wrap "
    "linear_ramp maximum mean minimum median full valid same left right clip raise reduced complete ij xy "
    "greedy optimal sum none batchmean tanh ortho forward backward linear lower higher midpoint nearest hazen weibull "
    "inverted_cdf averaged_inverted_cdf closest_observation interpolated_inverted_cdf median_unbiased normal_unbiased "
    "r f b fb unscaled".split()
)
"""Texts that may be passed to a function; the subscripts of `einsum` are the only others."""

_PLACES: Mapping[str, ModuleType] = {"np": np, "np.linalg": np.linalg, "np.fft": np.fft}

_MAKERS = frozenset(
    "arange array asarray bartlett blackman diag_indices eye fftfreq full hamming hanning identity "
    "indices kaiser ones rfftfreq tri tril_indices triu_indices zeros".split()
)

_DISPATCHED_BUT_REFUSED = frozenset(
    "apply_along_axis apply_over_axes array2string array_repr array_str busday_count busday_offset "
    "can_cast common_type copyto datetime_as_string einsum_path empty_like fill_diagonal histogram "
    "histogram2d histogram_bin_edges histogramdd is_busday may_share_memory min_scalar_type packbits "
    "piecewise place put put_along_axis putmask result_type save savetxt savez savez_compressed "
    "shares_memory unpackbits bitwise_left_shift bitwise_right_shift left_shift right_shift".split()
)

BINARY: Mapping[type[ast.operator], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.Div: ("/", operator.truediv),
    ast.Pow: ("**", operator.pow),
    ast.MatMult: ("@", operator.matmul),
    ast.Mod: ("%", operator.mod),
    ast.FloorDiv: ("//", operator.floordiv),
}

UNARY: Mapping[type[ast.unaryop], tuple[str, Callable[[Any], Any]]] = {
    ast.USub: ("-", operator.neg),
    ast.UAdd: ("+", operator.pos),
}

COMPARE: Mapping[type[ast.cmpop], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
    ast.Eq: ("==", operator.eq),
    ast.NotEq: ("!=", operator.ne),
}

_COMPREHENSION = ("a comprehension", "use functions of whole arrays: sum, stack, einsum, …")

REFUSED: Mapping[type[ast.AST], tuple[str, str | None]] = {
    ast.Lambda: ("lambda", None),
    ast.ListComp: _COMPREHENSION,
    ast.SetComp: _COMPREHENSION,
    ast.DictComp: _COMPREHENSION,
    ast.GeneratorExp: _COMPREHENSION,
    ast.IfExp: ("if … else", "where(condition, a, b) chooses entry by entry"),
    ast.BoolOp: ("and / or", "logical_and(a, b), logical_or(a, b) work entry by entry"),
    ast.NamedExpr: ("an assignment", "inputs are given after the expression: x=3"),
    ast.Dict: ("a dict", None),
    ast.Set: ("a set", None),
    ast.Starred: ("unpacking with *", "write the arguments out"),
    ast.JoinedStr: ("an f-string", None),
    ast.Await: ("await", None),
    ast.Yield: ("yield", None),
    ast.YieldFrom: ("yield", None),
    ast.Not: ("not", "logical_not(a) works entry by entry"),
    ast.Invert: ("~", "logical_not(a) works entry by entry"),
    ast.BitAnd: ("&", "logical_and(a, b) works entry by entry"),
    ast.BitOr: ("|", "logical_or(a, b) works entry by entry"),
    ast.BitXor: ("^", "a power is written **; logical_xor(a, b) works entry by entry"),
    ast.LShift: ("<<", "multiply by a power: x * 2**n"),
    ast.RShift: (">>", "divide by a power: x / 2**n"),
    ast.In: ("in", None),
    ast.NotIn: ("not in", None),
    ast.Is: ("is", "compare entry by entry with =="),
    ast.IsNot: ("is not", "compare entry by entry with !="),
}

_Sizes = tuple[tuple[int, str], ...]
"""The arguments that say how large the answer is: position and keyword."""

_SIZES: Mapping[str, _Sizes] = {
    **dict.fromkeys(("zeros", "ones", "full"), ((0, "shape"),)),
    **dict.fromkeys(("eye", "tri"), ((0, "N"), (1, "M"))),
    **dict.fromkeys(("bartlett", "blackman", "hamming", "hanning", "kaiser"), ((0, "M"),)),
    **dict.fromkeys(("linspace", "logspace", "geomspace"), ((2, "num"),)),
    **dict.fromkeys(("tril_indices", "triu_indices"), ((0, "n"), (2, "m"))),
    **dict.fromkeys(("fftfreq", "rfftfreq"), ((0, "n"),)),
    **dict.fromkeys(("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"), ((1, "n"),)),
    **dict.fromkeys(("fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn"), ((1, "s"),)),
    "identity": ((0, "n"),),
    "diag_indices": ((0, "n"), (1, "ndim")),
    "indices": ((0, "dimensions"),),
    "broadcast_to": ((1, "shape"),),
    "resize": ((1, "new_shape"),),
    "vander": ((1, "N"),),
    "bincount": ((2, "minlength"),),
    "polyint": ((1, "m"),),
}


@cache
def functions() -> dict[str, Callable[..., Any]]:
    """Every function an expression may call, by each name it may be called by.

    >>> functions()["inv"] is functions()["np.linalg.inv"] is np.linalg.inv
    True
    >>> "save" in functions()
    False
    """
    found: dict[str, Callable[..., Any]] = {}
    for place, module in _PLACES.items():
        for name in dir(module):
            function = getattr(module, name)
            if _may_be_called(name, function):
                found.setdefault(name, function)
                if place != "np":
                    found[f"{place[3:]}.{name}"] = function
                found[f"{place}.{name}"] = found[f"numpy{place[2:]}.{name}"] = function
    for layers in (network, special):
        for name, value in vars(layers).items():
            if isinstance(value, Op) and not name.startswith("_"):
                found.setdefault(name, value)
    return found


def _may_be_called(name: str, function: object) -> bool:
    if name.startswith("_") or name in _DISPATCHED_BUT_REFUSED:
        return False
    return isinstance(function, np.ufunc | type(np.sum)) or name in _MAKERS


def elements_asked_for(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> float:
    """How many elements a call of the function of this name would make out of nothing; 0 when it would not.

    >>> elements_asked_for("zeros", ((1000, 1000),), {})
    1000000.0
    >>> elements_asked_for("tanh", (np.ones(3),), {})
    0.0
    """
    name = name.rpartition(".")[2]
    if name == "arange":
        return _elements_of_range(args, kwargs)
    if name in ("tile", "repeat", "pad", "diag", "diagflat") and args:
        return _elements_grown(name, args[0], args[1] if len(args) > 1 else next(iter(kwargs.values()), 0))
    sizes = _SIZES.get(name, ())
    asked = [args[at] if at < len(args) else kwargs.get(keyword) for at, keyword in sizes]
    total = math.prod(_product(size) for size in asked) if asked else 0.0
    square = name in ("eye", "tri", "identity", "tril_indices", "triu_indices") and asked[1:] in ([], [None])
    return total * total if square else total


def _elements_grown(name: str, array: Any, by: Any) -> float:
    """Elements of an array that is repeated, padded or put on a diagonal."""
    if name in ("tile", "repeat"):
        return _product(by) * float(np.size(array))
    widths = [abs(int(one)) for one in np.ravel(by) if isinstance(one, int | np.integer)]
    margin = 2 * max(widths, default=0)
    if name == "pad":
        return math.prod(float(size + margin) for size in np.shape(array))
    return float(np.size(array) + margin) ** 2 if name == "diagflat" or np.ndim(array) == 1 else 0.0


def _product(size: Any) -> float:
    """The product of the whole numbers in a shape, however nested; traced arrays and `None` count as 1."""
    if isinstance(size, tuple | list):
        return math.prod(_product(one) for one in size)
    if isinstance(size, np.ndarray):
        return float(max(np.abs(size).sum(), 1)) if size.dtype.kind in "iu" else 1.0
    return float(max(abs(int(size)), 1)) if isinstance(size, int | np.integer) else 1.0


def _elements_of_range(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> float:
    given = (*args, *(kwargs.get(word) for word in ("start", "stop", "step")[len(args) :]))
    numbers = [float(one) for one in given if isinstance(one, int | float | np.number)]
    start, stop, step = {0: (0.0, 0.0, 1.0), 1: (0.0, *numbers, 1.0), 2: (*numbers, 1.0)}.get(
        len(numbers), tuple(numbers)
    )
    return abs(stop - start) / abs(step) if step else 0.0
