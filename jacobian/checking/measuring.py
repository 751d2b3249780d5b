"""The derivatives of one input by differences: blocks of columns, methods, and what is odd about the entries."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jacobian.checking.complex_step import complex_step
from jacobian.checking.jumps import at_the_point, jump_sizes
from jacobian.checking.ladder import KINDS, ORDERS, ROUNDS, RUN, Found, Kind, Ladder
from jacobian.checking.measured import Measured
from jacobian.checking.noise import noise_floor
from jacobian.checking.plane import Part, joined
from jacobian.checking.probe import Array, Probe, indexed
from jacobian.errors import ArgumentError, report

HIGHEST = -4 * RUN
"""The level above which no step is taken."""

BLOCK = 2**21
"""So many values are held at once."""

USELESS = 1e-2
"""An error bar is useless when it is larger than this part of the entry, and no small part of its row either."""

SMALL_PART = 1e-4

Progress = Callable[[int], object]


def typical_scales(x: Array) -> Array:
    """How large every entry of an input is; of zeros, what the others are at most, or one."""
    sizes = np.abs(x.reshape(-1)).astype(float)
    largest = float(np.max(sizes, initial=0.0))
    tiny = float(np.finfo(x.dtype).tiny) / float(np.finfo(x.dtype).eps) ** 2
    return np.where(sizes > tiny, sizes, min(1.0, largest) if largest > tiny else 1.0)


def measure(probe: Probe, moved: int, columns: Array, method: str, progress: Progress = lambda _: None) -> Measured:
    """Derivatives of all outputs by the picked columns of input number `moved`."""
    value = probe.inputs[moved].value
    scales = typical_scales(value)
    with np.errstate(all="ignore"):
        if value.dtype.kind != "c":
            return _measured(probe, moved, columns, scales, method, progress)
        if method == "complex":
            raise ArgumentError(
                report(
                    f"{probe.caller}: the complex step needs a real input",
                    got=f"{probe.inputs[moved].name} of {value.dtype}",
                    fix='method="auto", or method="richardson"',
                )
            )
        plain = "richardson" if method == "auto" else method  # there is no third direction for a complex step
        real = _measured(Part(probe, moved, 1), moved, columns, scales, plain, progress)
        return joined(real, _measured(Part(probe, moved, 1j), moved, columns, scales, plain, lambda _: None))


def _measured(probe: Probe, moved: int, columns: Array, scales: Array, method: str, progress: Progress) -> Measured:
    noise = noise_floor(probe, moved, scales)
    found = _differences(probe, moved, columns, scales, noise, KINDS.get(method, KINDS["richardson"]), progress)
    taken, reason = method, "asked for" if found.values.size else "there are no entries"
    noise = np.maximum(noise, np.max(found.noise, axis=0, initial=0.0))
    useless = _useless(found, scales[columns])
    if found.values.size and method in ("auto", "complex"):
        taken, reason = _with_complex_steps(probe, moved, columns, scales[columns], found, useless, method)
    noisy = method != "complex" and _noisy(probe, noise, np.nan_to_num(np.abs(found.values)) * scales[columns][:, None])
    if noisy:
        reason += f"; the function is noisy, up to {float(np.max(noise)):.1e}"
    if probe.inputs[moved].value.dtype.itemsize < 8:
        reason += f"; of {probe.inputs[moved].value.dtype} input error bars are wide"
    value, errors = found.values.T, found.errors.T
    dtype = np.result_type(*(one.dtype for one in probe.outputs))
    errors = errors + np.finfo(dtype).eps * np.abs(np.where(np.isfinite(value), value, 0.0))  # it is rounded at the end
    errors = errors + float(np.finfo(dtype).tiny) / scales[columns]  # smaller values are lost to underflow
    return Measured(
        columns, value, errors, found.steps.T, noise, noisy, found.kinks.T, found.left.T, found.right.T,
        found.one_sided.T, found.jumps.T, useless.T, _natural(probe, found, scales[columns]).T, taken, reason,
    )  # fmt: skip


def _noisy(probe: Probe, noise: Array, changes: Array) -> bool:
    """Whether there is noise that is more than rounding."""
    sizes = np.maximum(np.abs(probe.base), np.max(changes, axis=0, initial=0.0))
    return bool(np.any(noise > 100 * probe.eps * sizes))


def _differences(
    probe: Probe, moved: int, columns: Array, scales: Array, noise: Array, kind: Kind, progress: Progress
) -> Found:
    block = max(1, BLOCK // (max(probe.base.size, 1) * 4 * RUN))
    found = []
    for start in range(0, len(columns), block):
        part = slice(start, start + block)
        ladder = Ladder(probe, moved, columns[part], scales, noise)
        found.append(_solved(ladder, kind))
        progress(len(columns[part]))
    if not found:
        shape = (0, probe.base.size)
        empty, none = np.zeros(shape), np.zeros(shape, bool)
        return Found(empty, empty, empty, empty, empty, empty, none, empty, empty, none, none, empty)
    return Found(*(np.concatenate([getattr(one, name) for one in found]) for name in vars(found[0])))


def _solved(ladder: Ladder, kind: Kind) -> Found:
    """The best of a first run of steps, extended where a larger or smaller step promises more."""
    everywhere = np.ones(len(ladder.columns), bool)
    ladder = ladder.extended(np.array([*range(RUN), *ladder.sentinels]), everywhere)
    found = ladder.best(kind)
    _extend(ladder, kind, found, everywhere, ROUNDS)
    jumps = jump_sizes(ladder, found, ladder.coarse(kind))
    picked: Array = np.any(jumps > 0, axis=1)
    if picked.any():
        noisy = ladder.with_noise(jumps, picked)
        found.put(picked, noisy.best(kind))
        _extend(noisy, kind, found, picked, ROUNDS)
    _where_one_side_is_missing(ladder, found)
    found.jumps = at_the_point(ladder)
    found.kinks &= ~found.jumps
    found.errors = np.where(found.jumps, np.inf, found.errors)
    found.values = np.where(found.jumps, np.nan, found.values)
    _at_kinks(ladder, found)
    return found


def _extend(ladder: Ladder, kind: Kind, found: Found, columns: Array, rounds: int) -> None:
    """Extend the ladder of the columns that want it, in place; `columns` is where its columns stand in `found`."""
    if not rounds:
        return
    places = np.flatnonzero(columns)
    wanted = _wanted(ladder, found, places)
    finer = (wanted == 1).any(axis=1)
    for direction, picked in ((1, finer), (-1, (wanted == -1).any(axis=1) & ~finer)):
        first = ladder.levels[ladder.run - 1] + 1 if direction > 0 else ladder.levels[0] - RUN
        if not picked.any() or first > ladder.deepest or first < HIGHEST:
            continue
        longer = ladder.extended(np.arange(first, first + RUN), picked)
        where = np.zeros_like(columns)
        where[places[picked]] = True
        found.put(where, longer.best(kind))
        _extend(longer, kind, found, where, rounds - 1)


def _wanted(ladder: Ladder, found: Found, places: Array) -> Array:
    """The direction in which each entry would be better, zero where it is good enough."""
    eps = np.maximum(ladder.probe.eps, float(np.finfo(ladder.x.dtype).eps))
    values, errors, change = np.abs(found.values[places]), found.errors[places], found.change[places]
    with np.errstate(invalid="ignore"):
        good = errors <= eps ** (2 / 3) * np.maximum(values, 1e-2 * change)
        good |= (change == 0) & np.isfinite(errors)
        if ladder.levels[0] < 0:  # no larger step will tell more of what cannot be told from zero
            good |= (values <= errors) & (found.edges[places] < 0)
    return np.where(good | found.kinks[places], 0, found.edges[places])


def _where_one_side_is_missing(ladder: Ladder, found: Found) -> None:
    """At the end of the function's domain differences to the other side are taken."""
    for side in (1, -1):
        missing = np.isinf(found.errors)
        picked: Array = np.any(missing, axis=1)
        if not picked.any():
            return
        other = ladder.extended(np.array([], int), picked).best(Kind(False, ORDERS, side))
        usable = missing[picked] & np.isfinite(other.errors)
        for name in ("values", "errors", "steps", "rounding", "change"):
            whole = getattr(found, name)
            whole[picked] = np.where(usable, getattr(other, name), whole[picked])
        found.one_sided[picked] |= usable


def _at_kinks(ladder: Ladder, found: Found) -> None:
    """At a kink any value between the one-sided derivatives is as good: their mean is given, half their gap the bar."""
    picked: Array = np.any(found.kinks, axis=1)
    if not picked.any():
        return
    kinks, part = found.kinks[picked], ladder.extended(np.array([], int), picked)
    bars = np.zeros(kinks.shape)
    for side, name in ((1, "right"), (-1, "left")):
        whole, one = getattr(found, name), part.best(Kind(False, ORDERS, side))
        usable = one.errors <= 0.1 * np.abs(found.right - found.left)[picked]
        bars += np.where(usable, one.errors, 0.1 * np.abs(found.right - found.left)[picked])
        whole[picked] = np.where(kinks & usable, one.values, whole[picked])
    right, left = found.right[picked], found.left[picked]
    found.values[picked] = np.where(kinks, (left + right) / 2, found.values[picked])
    found.errors[picked] = np.where(kinks, np.abs(right - left) / 2 + bars, found.errors[picked])


def _useless(found: Found, scales: Array) -> Array:
    """Error bars that say nothing: neither small beside the entry nor beside what else changes the same output.

    What never changes at all has a derivative too small to be seen, which is good to know.
    """
    sizes, row = np.nan_to_num(np.abs(found.values)), _row(found, scales)
    with np.errstate(invalid="ignore"):
        good = (found.errors <= USELESS * sizes) | (found.errors <= SMALL_PART * row)
    still = (found.change == 0) & np.isfinite(found.errors)
    return np.asarray(~(good | found.kinks | still))


def _row(found: Found, scales: Array) -> Array:
    """How an entry would be if its output changed with this input as much as it does with any."""
    changes = np.nan_to_num(np.abs(found.values)) * scales[:, None]
    return np.asarray(np.max(changes, axis=0, initial=0.0)[None] / scales[:, None])


def _natural(probe: Probe, found: Found, scales: Array) -> Array:
    return np.maximum(_row(found, scales), np.abs(probe.base)[None] / scales[:, None])


def _with_complex_steps(
    probe: Probe, moved: int, columns: Array, scales: Array, found: Found, useless: Array, method: str
) -> tuple[str, str]:
    """Replace what differences confirm; returns the method taken and why."""
    asked = method == "complex"
    made = complex_step(probe, moved, columns, scales)
    if isinstance(made, str):
        if asked:
            raise ArgumentError(
                report(
                    f"{probe.caller}: the complex step needs a function that takes complex numbers",
                    got=made,
                    fix='method="auto", or method="richardson"',
                )
            )
        return "richardson", f"extrapolated, every entry with its own steps; no complex step: {made}"
    values, bars = made
    bars = bars + 2 * probe.eps * _natural(
        probe, found, scales
    )  # what cancels on the way leaves no trace in the scatter
    with np.errstate(invalid="ignore"):
        off = np.abs(values - found.values)
        tolerated = 10 * (found.errors + bars) + 1e-3 * probe.eps ** (1 / 3) * np.abs(values)
        differ = ~found.kinks & ~useless & ~(off <= tolerated)
    if differ.any():
        return "richardson", _not_analytic(probe, moved, columns, values, found, differ, asked)
    better = ~useless & ~found.kinks & (bars <= found.errors)
    found.values = np.where(better, values, found.values)
    found.errors = np.where(better, bars, found.errors)
    if not better.any() and not asked:
        return "richardson", "extrapolated, every entry with its own steps: the complex step is no better anywhere"
    return "complex", "the function takes complex numbers, and extrapolated differences confirm the complex step"


def _not_analytic(
    probe: Probe, moved: int, columns: Array, values: Array, found: Found, differ: Array, asked: bool
) -> str:
    column, place = map(int, np.argwhere(differ)[0])
    one = probe.inputs[moved]
    index = np.unravel_index(int(columns[column]), one.value.shape) if one.value.ndim else ()
    entry = f"∂{probe.entry_name(place)}/∂{indexed(one.name, index)}"
    if asked:
        raise ArgumentError(
            report(
                f"{probe.caller}: the complex step is wrong here, the function is not analytic",
                entry=entry,
                got=f"{values[column, place]:.6g} by complex step, {found.values[column, place]:.6g} by differences",
                why="abs, conj, real parts or comparisons of complex numbers, or branches",
                fix='method="auto", or method="richardson"',
            )
        )
    return f"extrapolated; the complex step is wrong at {entry}: the function is not analytic"
