"""The functions of NumPy's that leave NaN out: what is there is summed, averaged, compared as ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jacobian.ops.families import composite
from jacobian.ops.registry import refuse_out, sample
from jacobian.ops.values import floating, given

NOTE = "NaN is left out, and has the derivative 0."


def _without(a: Any, instead: float) -> tuple[Any, Any]:
    """The array with another number in the place of NaN, and where numbers are; True if that is everywhere."""
    a = floating(a)
    missing = np.isnan(a)
    return (np.where(missing, instead, a), ~missing) if np.any(missing) else (a, True)


def _neutral(name: str, function: Callable[..., Any], neutral: float) -> Callable[..., Any]:
    """NaN replaced by a number that changes nothing."""

    def without(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, *rest: Any, **options: Any) -> Any:
        refuse_out(name, out)
        options = {key: value for key, value in options.items() if given(value)}
        if rest:
            options = dict(zip(("keepdims", "initial", "where"), rest, strict=False)) | options
        return function(_without(a, neutral)[0], axis=axis, dtype=dtype, **options)

    return without


def _extreme(name: str, function: Callable[..., Any], worst: float) -> Callable[..., Any]:
    """NaN replaced by what every number beats; where there is nothing but NaN, that is the result."""

    def without(
        a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None, where: Any = True
    ) -> Any:
        refuse_out(name, out)
        array, there = _without(a, worst)
        options = {key: value for key, value in (("initial", initial), ("where", where)) if given(value)}
        keepdims = bool(given(keepdims) and keepdims)
        found = function(array, axis=axis, keepdims=keepdims, **{k: v for k, v in options.items() if v is not True})
        if there is True or "initial" in options:
            return found
        return np.where(np.any(there, axis=axis, keepdims=keepdims), found, np.nan)

    return without


def _averaged(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that counts, told by `where` what to count."""

    def without(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, *rest: Any, where: Any = True, **options: Any
    ) -> Any:
        refuse_out(name, out)
        names = ("keepdims",) if function is np.mean else ("ddof", "keepdims")
        options = dict(zip(names, rest, strict=False)) | options
        options = {key: value for key, value in options.items() if given(value)}
        array, there = _without(a, 0.0)
        axis = None if axis in (0, -1) and np.ndim(array) == 0 else axis
        where = True if not given(where) else where
        if there is not True or where is not True:
            options["where"] = np.broadcast_to(np.logical_and(there, where), np.shape(array))
        return function(array, axis=axis, dtype=dtype, **options)

    return without


def _scan(name: str, function: Callable[..., Any], neutral: float) -> Callable[..., Any]:
    def without(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        refuse_out(name, out)
        return function(_without(a, neutral)[0], axis=axis, dtype=dtype)

    return without


REDUCED = [
    sample((4,)), sample((2, 3)), sample((2, 3), axis=0), sample((2, 3, 2), axis=(0, -1)),
    sample((2, 3), axis=-1, keepdims=True), sample(()),
    sample((2, 3), axis=1, where=np.array([True, False, True])),
]  # fmt: skip
SPREAD = [sample((4,), ddof=1), sample((2, 3), axis=1, ddof=1), sample((4,)), sample((2, 3, 2), axis=(0, -1))]
BEST = [
    sample((4,)), sample((2, 3), axis=0), sample((2, 3, 2), axis=(0, -1)), sample((2, 3), axis=-1, keepdims=True),
    sample((2, 3), axis=1, initial=0.0, where=np.array([True, False, True])), sample(()),
]  # fmt: skip
SCANS = [sample((4,)), sample((2, 3), axis=0), sample((2, 3))]

composite("nansum", _neutral("nansum", np.sum, 0.0), answers=(np.nansum,), samples=REDUCED, note=NOTE)
composite("nanprod", _neutral("nanprod", np.prod, 1.0), answers=(np.nanprod,), samples=REDUCED, note=NOTE)
composite("nanmean", _averaged("nanmean", np.mean), answers=(np.nanmean,), samples=REDUCED, note=NOTE)
composite("nanvar", _averaged("nanvar", np.var), answers=(np.nanvar,), samples=SPREAD, note=NOTE)
composite("nanstd", _averaged("nanstd", np.std), answers=(np.nanstd,), samples=SPREAD, note=NOTE)
composite("nanmax", _extreme("nanmax", np.max, -np.inf), answers=(np.nanmax,), samples=BEST, note=NOTE)
composite("nanmin", _extreme("nanmin", np.min, np.inf), answers=(np.nanmin,), samples=[
    *BEST[:4], sample((2, 3), axis=1, initial=0.0),
], note=NOTE)  # fmt: skip
composite("nancumsum", _scan("nancumsum", np.cumsum, 0.0), answers=(np.nancumsum,), samples=SCANS, note=NOTE)
composite("nancumprod", _scan("nancumprod", np.cumprod, 1.0), answers=(np.nancumprod,), samples=SCANS, note=NOTE)
