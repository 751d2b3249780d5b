"""Finite differences with an error bar for every entry, for any callable, traced or not."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import numpy as np

from jacobian.checking.differences import Differences
from jacobian.checking.measured import Measured
from jacobian.checking.measuring import Progress, measure
from jacobian.checking.probe import Output, Probe, map_arrays
from jacobian.errors import ArgumentError, report
from jacobian.kernel.memory import check as check_memory
from jacobian.tracing.run import numbers_of
from jacobian.tracing.tree import map_leaves

METHODS = ("auto", "forward", "central", "richardson", "complex")

PATIENCE = 1.0
"""A bar shows after so many seconds."""


def finite_difference(
    f: Callable[..., Any],
    *args: Any,
    argnums: int | Sequence[int] = 0,
    method: str = "auto",
    progress: bool = False,
    **kwargs: Any,
) -> Any:
    """∂f/∂(argument `argnums`) by differences, with an error bar for every entry.

    Works on any callable, also one that cannot be traced. Every entry has its own step. Steps start at the size of
    the input and go as far up or down as the function asks for; an error bar bounds truncation, rounding and the
    noise of the function's values together.

    Args:
        f: takes and returns arrays, or tuples, lists and dicts of them.
        *args: its positional arguments.
        argnums: which of them to differentiate by; a tuple gives a tuple.
        method: `"forward"` and `"central"` with the best step of each entry; `"richardson"` extrapolates central
            differences; `"complex"` is the complex step, for an `f` that takes complex numbers and is analytic;
            `"auto"` is the complex step where extrapolated differences confirm it, and those elsewhere.
        progress: show a bar on long runs, when tqdm is installed.
        **kwargs: keyword arguments of `f`.

    Shapes:
        `.values` and `.errors` have the shape `y.shape + x.shape`; the nesting is that of `jacobian`.

    Raises:
        ArgumentError: there is no such method or argument, or the complex step is wrong here.
        DTypeError: an argument or the result is not an array of numbers.
        NonFiniteError: an argument or the function's value at it holds NaN or infinity.
        ShapeError: the shape of the result depends on the values of the arguments.
        NoiseError: the function gives values far apart when it is called again.

    Source: C. J. F. Ridders, Advances in Engineering Software 4 (1982) 75-76 (extrapolation); W. Squire and G. Trapp,
    SIAM Review 40 (1998) 110-112 (complex step); J. J. Moré and S. M. Wild, SIAM Journal on Scientific Computing 33
    (2011) 1292-1314 (noise).

    >>> import numpy as np, jacobian as jac
    >>> d = jac.finite_difference(np.sin, np.array([0.0, 1.0]))
    >>> bool(np.all(np.abs(d.values - np.diag(np.cos([0.0, 1.0]))) <= d.errors))
    True
    >>> d.method, bool(d.errors.max() < 1e-14)
    ('complex', True)
    """
    if method not in METHODS:
        raise ArgumentError(report(f"finite_difference: method must be one of {', '.join(METHODS)}, not {method!r}"))
    probe = Probe(f, args, kwargs, numbers_of(argnums, len(args)))
    measured = measure_all(probe, method, progress)
    return nested(probe, args, argnums, [_split(probe, k, one) for k, one in enumerate(measured)])


def measure_all(probe: Probe, method: str, progress: bool) -> list[Measured]:
    """Every column of every input."""
    sizes = [one.value.size for one in probe.inputs]
    check_memory(
        5 * 8 * probe.base.size * sum(sizes),
        f"{probe.base.size} outputs × {sum(sizes)} inputs",
        name="these differences with their error bars",
        instead="argnums, or a function of fewer entries",
    )
    with ticking(sum(sizes), progress) as tick:
        return [measure(probe, moved, np.arange(size), method, tick) for moved, size in enumerate(sizes)]


@contextmanager
def ticking(total: int, wanted: bool) -> Iterator[Progress]:
    """What is told of every column that is done."""
    bars: Any = None
    if wanted:
        with suppress(ImportError):
            bars = importlib.import_module("tqdm.auto")
    if bars is None:
        yield lambda _: None
        return
    with bars.tqdm(total=total, desc="finite differences", unit="column", delay=PATIENCE) as bar:
        yield bar.update


def nested(probe: Probe, args: Sequence[Any], argnums: int | Sequence[int], found: Sequence[Sequence[Any]]) -> Any:
    """`found[input][output]` in the nesting of `jacobian`: the result's, then the arguments'."""
    numbers = numbers_of(argnums, len(args))
    outputs = iter(range(len(probe.outputs)))

    def by_argument(_: Any, __: str) -> Any:
        output = next(outputs)
        parts = []
        for number in numbers:
            inputs = iter(range(probe.first[number], len(found)))
            parts.append(map_arrays(lambda _, __: found[next(inputs)][output], args[number]))  # noqa: B023
        return tuple(parts) if isinstance(argnums, tuple | list) else parts[0]

    return map_leaves(by_argument, probe.result)


def _split(probe: Probe, moved: int, measured: Measured) -> list[Differences]:
    """What was measured of one input, for each output."""
    found = []
    start = 0
    for output in probe.outputs:
        rows = slice(start, start + output.size)
        found.append(_differences_of(probe, moved, output, rows, measured))
        start += output.size
    return found


def _differences_of(probe: Probe, moved: int, output: Output, rows: slice, measured: Measured) -> Differences:
    one = probe.inputs[moved]
    shape = (*output.shape, *one.value.shape)

    def part(array: np.ndarray[Any, Any], dtype: Any = None) -> np.ndarray[Any, Any]:
        return np.array(array[rows].reshape(shape), dtype)

    real = output.dtype if output.dtype.kind == "c" or measured.values.dtype.kind != "c" else measured.values.dtype
    return Differences(
        values=part(measured.values, real),
        errors=part(measured.errors),
        method=measured.method,
        reason=measured.reason,
        steps=part(measured.steps),
        noise=measured.noise[rows].reshape(output.shape),
        noisy=measured.noisy,
        kinks=part(measured.kinks),
        left=part(measured.left),
        right=part(measured.right),
        useless=part(measured.useless),
        one_sided=part(measured.one_sided),
        jumps=part(measured.jumps),
        names=(f"y{output.path}", one.name),
        evaluations=probe.evaluations,
        failure=probe.failure,
        _along=partial(_along, probe, moved, rows),
    )


def _along(probe: Probe, moved: int, rows: slice, column: int, step: float, row: int) -> complex:
    """One entry of the value with one entry of the input moved; what the V-curve is drawn from."""
    point = probe.inputs[moved].value.reshape(-1).copy()
    point[column] += step
    return complex(probe(moved, point)[rows][row])
