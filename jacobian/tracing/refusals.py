"""What cannot be traced: the errors that name the call, the user's line and the way out."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import numpy as np

from jacobian.errors import ShapeError, TraceError, report
from jacobian.ops.registry import REGISTRY
from jacobian.tracing import source
from jacobian.tracing.constants import ASSIGNING, REFUSED
from jacobian.tracing.libraries import instead

_BUILDERS = frozenset(
    "array asarray asanyarray ascontiguousarray asfortranarray asarray_chkfinite fromiter matrix asmatrix "
    "require".split()
)
ASSIGNABLE = (
    "out = np.zeros_like(x) or np.zeros(shape, like=x) can be assigned into, as can x.copy(); "
    "or collect the parts in a list and np.stack(parts) or np.concatenate(parts)"
)
_ELSEWHERE = "write it with NumPy functions that can be traced, or declare it with jac.primitive(forward, rule)"
_POLYNOMIALS = "numpy.polynomial"
_TRACED_POLYNOMIALS = (
    "np.polyval(c[::-1], x), np.polymul, np.polyder, … take traced arrays; polyval(x, c), chebval(x, c), … take traced "
    "positions, and chebvander(x, degree) @ c takes traced coefficients"
)


def refuse(headline: str, fix: str) -> NoReturn:
    """Raise the error with the user's line."""
    raise TraceError(report(headline, line=source.shown_line(), fix=fix))


def refuse_conversion(what: str) -> NoReturn:
    """Raise the error for code that asks a traced array for a plain number or array."""
    library = source.library()
    if library is not None:
        found = instead(source.called()) if library == "scipy" else None
        if found is not None:
            refuse(f"{found[0]} takes plain numbers only, no traced array", f"use {found[1]}, which can be traced")
        refuse(f"{library} needs plain numbers where it is given a traced array", _ELSEWHERE)
    if source.assigns_to_item():
        refuse_assignment("out[…] = x where out is a plain array")
    if source.passes_through(_POLYNOMIALS):
        refuse("numpy.polynomial makes plain arrays of what it is given, and cannot be traced", _TRACED_POLYNOMIALS)
    call = source.called()
    name = call.rpartition(".")[2]
    if name in _BUILDERS:
        fix = "np.stack([x0, x1]) for a list of traced values; leave np.asarray(x) out, x is an array already"
        fix += ", or if it is a Jacobian, x.tensor()"
        refuse(f"{call} cannot be traced", fix)
    if name in ASSIGNING:
        refuse_assignment(f"{call}(out, …) where out is a plain array")
    if name in REFUSED:
        refuse(f"{call} cannot be traced: {REFUSED[name][0]}", REFUSED[name][1])
    kind = getattr(np, name, None)
    if isinstance(kind, type) and issubclass(kind, np.generic):
        what = call
    elif what in ("an array", "an index"):
        _refuse_known(call)
        refuse(
            "a traced array is used where NumPy needs a plain one, such as an index, a size, or an entry of a tuple",
            "indices, sizes and axes must not depend on the input; np.stack([x0, x1]) builds arrays of traced values",
        )
    fix = "keep the array: NumPy functions take it (np.sin(x) instead of math.sin(x)), and so do comparisons"
    refuse(f"a traced array is turned into {what}", fix)


def _refuse_known(call: str) -> None:
    """Raise the error for what NumPy does without asking the arrays that it is given."""
    if source.passes_through("numpy", "_vectorize_call"):
        refuse("np.vectorize cannot be traced", "call the function on the array itself, or np.stack([f(v) for v in x])")
    if source.passes_through("numpy.lib._index_tricks"):
        refuse("np.r_[…] and np.c_[…] cannot be traced", "np.concatenate, np.hstack or np.column_stack")
    owner, _, name = call.rpartition(".")
    function: Any = getattr(np, name, None)
    if owner not in ("", "np", "numpy") and hasattr(np.ndarray, name) and REGISTRY.find(function) is not None:
        refuse(f"{call}(x) is a method of a plain array, which cannot be traced", f"np.{name}({owner}, x)")


def ambiguous_truth(line: str | None) -> ShapeError:
    """The error for an array that is asked whether it is true."""
    fix = "np.where(condition, a, b) chooses entry by entry; .any() or .all() asks about all entries"
    return ShapeError(report("an array of several entries is neither true nor false", line=line, fix=fix))


def refuse_assignment(call: str) -> NoReturn:
    """Raise the error for assignment into an array."""
    refuse(f"{call} cannot be traced", ASSIGNABLE)


def refuse_out(called: str, *, ufunc: bool = False) -> NoReturn:
    """Raise the error for a function that is to put a traced result into a plain array."""
    if ufunc:
        what = f"{called}(…, out=…), or an in-place operator on a plain array, cannot be traced"
        refuse(what, f"write y = y + x instead of y += x; leave out= out; or {ASSIGNABLE}")
    refuse(
        f"{called}(…, out=…) cannot be traced where out is a plain array", "leave out= out and use the returned array"
    )


def refuse_function(function: Any) -> NoReturn:
    """Raise the error for a function that no op answers for."""
    name = getattr(function, "__name__", str(function))
    module = getattr(function, "__module__", "") or _home(function, name)
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):
        module = f"np.{owner.__name__}"
    if name in REFUSED:
        shown = name.removeprefix("_")
        refuse(f"{module}.{shown} cannot be traced: {REFUSED[name][0]}", REFUSED[name][1])
    refuse(f"{module}.{name} cannot be traced: no op answers for it", _ELSEWHERE)


def _home(function: Any, name: str) -> str:
    """The module of a ufunc, which does not tell."""
    special = sys.modules.get("scipy.special")
    own = getattr(special, name, None) is function or name.startswith("_")
    return "scipy.special" if special is not None and isinstance(function, np.ufunc) and own else "numpy"
