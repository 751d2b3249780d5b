"""`jac.check`: ours against finite differences, entry by entry, with a report that fits on a screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jacobian.checking.finite_differences import METHODS, ticking
from jacobian.checking.judging import Judged, columns_of, compare_columns, in_view_of_rounding
from jacobian.checking.kinked import kinks_noted
from jacobian.checking.measuring import measure
from jacobian.checking.nodes import check_nodes
from jacobian.checking.probe import Probe
from jacobian.checking.report import Report
from jacobian.checking.tolerance import refuse_odd
from jacobian.errors import ArgumentError, report
from jacobian.functional import jacobian
from jacobian.tracing.run import numbers_of
from jacobian.tracing.tree import leaves


def check(
    f: Callable[..., Any],
    *args: Any,
    argnums: int | Sequence[int] = 0,
    nodes: bool = False,
    method: str = "auto",
    rtol: float | None = None,
    atol: float = 0.0,
    progress: bool = False,
    **kwargs: Any,
) -> Report:
    """Is the Jacobian of `f` right? Ours against finite differences, every entry by itself.

    An entry agrees when |ours - difference| is at most the tolerance plus the error bar of that entry; no norm over
    the array is taken. Entries whose bar is too wide to tell are undecided. At a kink, where one-sided differences
    disagree, ours has to lie between them; such entries are named, not counted. Of Jacobians beyond four million
    entries, or with very many columns, columns drawn at random are compared, and the report says so.

    Args:
        f: written in plain NumPy, as for `jacobian`.
        *args: its positional arguments.
        argnums: which of them to differentiate by.
        nodes: also hold the local Jacobian of every node against differences of its op, and name the first wrong one:
            a primitive with a wrong rule is found inside a large function.
        method: of the differences, see `finite_difference`.
        rtol: tolerance relative to the entry; the square root of the input's precision unless given.
        atol: tolerance added to it.
        progress: show a bar on long runs, when tqdm is installed.
        **kwargs: keyword arguments of `f`.

    Returns:
        A `Report`: true when every entry that could be decided agrees; print it to read it.

    Raises:
        What `jacobian` and `finite_difference` raise; that the Jacobian is wrong is no error: see
        `Report.raise_if_wrong`.

    >>> import numpy as np, jacobian as jac
    >>> print(jac.check(np.sin, np.array([0.0, 1.0])))
    right: all 4 entries agree with finite differences (complex)
      largest difference ... at ∂y[...]/∂x[...], error bar ...
    >>> cube = jac.primitive(lambda x: x**3, "2 * x**2", name="cube")
    >>> report = jac.check(lambda x: np.sum(cube(np.sin(x))), np.array([1.0, 2.0]), nodes=True)
    >>> bool(report)
    False
    >>> print(report)
    WRONG: 2 of 2 entries differ from finite differences (complex)
      ∂y/∂x[0]  ours 0.765147  differences 1.14772 ± ...  off by ...
      ∂y/∂x[1]  ours -0.688159  differences -1.03224 ± ...  off by ...
      likely    our Jacobian: it is off by more than ... error bars
      nodes     2 checked; the first wrong one is v2 = cube(v1) float64[2], by v1:
                ∂v2[1]/∂v1[1]  ours 1.65364  differences 2.48047 ± ...  off by ...
                ∂v2[0]/∂v1[0]  ours 1.41615  differences 2.12422 ± ...  off by ...
    """
    _refuse(method)
    refuse_odd("check", rtol=rtol, atol=atol)
    numbers = tuple(dict.fromkeys(numbers_of(argnums, len(args))))
    with kinks_noted():
        probe = Probe(f, args, kwargs, numbers, "check")
    with kinks_noted() as kinks:
        found = leaves(jacobian(f, argnums=numbers)(*args, **kwargs))
    with kinks_noted():  # those of the function itself, where it is moved to
        judged = _judged(probe, found, method, rtol, atol, progress)
        wrong = check_nodes(f, args, kwargs, numbers, rtol, atol) if nodes else None
    return Report(tuple(judged), tuple(dict.fromkeys(kinks)), wrong)


def _refuse(method: str) -> None:
    if method not in METHODS:
        raise ArgumentError(report(f"check: method must be one of {', '.join(METHODS)}, not {method!r}"))


def _judged(
    probe: Probe, found: Sequence[Any], method: str, rtol: float | None, atol: float, progress: bool
) -> list[Judged]:
    """Every output by every input, in the order of `found`; each input is moved once for all outputs."""
    count = len(probe.inputs)
    judged: dict[int, Judged] = {}
    with ticking(sum(one.value.size for one in probe.inputs), progress) as tick:
        for moved in range(count):
            ours = [found[output * count + moved] for output in range(len(probe.outputs))]
            columns = columns_of(ours[int(np.argmax([J.size for J in ours]))])
            measured = measure(probe, moved, columns.picked, method, tick)
            start = 0
            for number, (J, output) in enumerate(zip(ours, probe.outputs, strict=True)):
                rows = slice(start, start := start + output.size)
                place = number * count + moved
                judged[place] = compare_columns(probe, moved, rows, J, columns, measured, rtol, atol)
    return [one for one in in_view_of_rounding(probe, [judged[k] for k in sorted(judged)]) if one.ours.size]
