"""The complex step: the imaginary part of `f(x + ih) / h`, which no subtraction spoils.

It is right only where `f` is analytic: `abs`, `conj`, comparisons and real parts break it silently. Whoever uses it
compares it with differences first.

Source: W. Squire and G. Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Review 40
(1998) 110-112.
"""

from __future__ import annotations

import numpy as np

from jacobian.checking.probe import Array, Probe

HALVINGS = {8: 100, 4: 40}
"""How far below the input's size the step is: its square is nothing beside 1, and far from underflow."""

NEIGHBOURS = 3
"""At so many points a digit away the derivative is taken again: how it scatters is how far it is off."""


def complex_step(probe: Probe, moved: int, columns: Array, scales: Array) -> tuple[Array, Array] | str:
    """Values and error bars, by column and entry; or why there are none."""
    value = probe.inputs[moved].value
    if value.dtype.itemsize not in HALVINGS:
        return f"there are no complex numbers of {value.dtype}'s precision"
    if probe.base.dtype.kind == "c":
        return "its value is complex already"
    x = value.reshape(-1).astype(np.result_type(value.dtype, np.complex64))
    at_the_point = probe.complex_value(moved, x)
    if isinstance(at_the_point, str):
        return at_the_point
    if not np.allclose(at_the_point.real, probe.base, rtol=1e-3, atol=1e-3 * float(np.max(np.abs(probe.base)))):
        return "its value at the complex point is another one"
    eps = float(np.finfo(value.dtype).eps)
    generator = np.random.default_rng(1)
    points = [
        x,
        *(x * (1 + eps * generator.choice([-1.0, 1.0], x.size)).astype(value.dtype) for _ in range(NEIGHBOURS)),
    ]
    stretches = 1 + generator.random(len(points))  # of a step of all digits, whose products are rounded
    values, errors = [], []
    for column, scale in zip(columns, scales, strict=True):
        step = float(np.exp2(np.frexp(scale)[1] - 1.0 - HALVINGS[value.dtype.itemsize]))
        found = [
            _slope(probe, moved, point, int(column), step * stretch)
            for point, stretch in zip(points, stretches, strict=True)
        ]
        told = next((one for one in found if isinstance(one, str)), None)
        if told is not None:
            return told
        here, *near = [np.asarray(one) for one in found]
        scatter = np.max([np.abs(there - here) for there in near], axis=0)
        values.append(here)
        errors.append(3 * scatter + 8 * probe.eps * np.abs(here))
    return np.array(values), np.array(errors)


def _slope(probe: Probe, moved: int, point: Array, column: int, step: float) -> Array | str:
    up = point.copy()
    up[column] += 1j * step
    y = probe.complex_value(moved, up)
    return y if isinstance(y, str) else np.asarray(y.imag.astype(float) / step)
