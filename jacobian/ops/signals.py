"""Along one line: convolution and correlation as windows, unwrapped phases, slopes and areas of sampled functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.kernel.access import affine, plain
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Access, Pattern
from jacobian.kernel.term import Factor, Term
from jacobian.ops.families import composite
from jacobian.ops.kinks import warn_kink
from jacobian.ops.registry import Kink, Op, Params, Point, describe, register, sample
from jacobian.ops.terms import shape_of
from jacobian.ops.values import array_of, dtype_of, floating, given, look, refuse_traced

# -- convolution and correlation --------------------------------------------------------------------------------------

MODES = ("full", "same", "valid")


def _start(length: int, window: int, mode: str) -> int:
    """Which entry of the full convolution is the first one that is kept, for the longer and the shorter operand."""
    short = min(length, window)
    return {"full": 0, "same": short - 1 - short // 2, "valid": short - 1}[mode]


def _correlated_from(length: int, window: int, mode: str) -> int:
    """The same for a correlation, which NumPy computes the other way round where the window is the longer one."""
    if mode == "same" and length < window:
        return length // 2
    return _start(length, window, mode)


def _lines_arguments(name: str) -> Any:
    def normalise(a: Any, v: Any, mode: Any = "full") -> tuple[tuple[Any, ...], Params]:
        mode = {0: "valid", 1: "same", 2: "full"}.get(mode, mode)
        if mode not in MODES:
            raise ArgumentError(report(f"{name}: mode must be one of {', '.join(MODES)}, not {mode!r}"))
        return (array_of(a), array_of(v)), {"mode": mode}

    return normalise


def _convolved_rule(point: Point, k: int) -> Jacobian:
    """`y[n] = Σ_m v[m] a[n + start - m]`; where that lies outside a, a window reads 0 and writes nothing."""
    a, v = (shape_of(x) for x in point.x)
    start = _start(a[0], v[0], point.params["mode"])
    return _windows(point, k, affine(start, [(0, 1), (1, -1)]))


def _correlated_rule(point: Point, k: int) -> Jacobian:
    """`y[n] = Σ_m v[m] a[n + start - (len(v) - 1) + m]`."""
    a, v = (shape_of(x) for x in point.x)
    start = _correlated_from(a[0], v[0], point.params["mode"])
    return _windows(point, k, affine(start - v[0] + 1, [(0, 1), (1, 1)]))


def _windows(point: Point, k: int, place: Any) -> Jacobian:
    """One term over the output's index n and the window's index m."""
    a, v, out = shape_of(point.x[0]), shape_of(point.x[1]), shape_of(point.y)
    line, window = (place,), (plain(1),)
    into, other = (line, Access(window, v)) if k == 0 else (window, Access(line, a))
    pattern = Pattern((*out, *v), (plain(0),), into, out, shape_of(point.x[k]), (other,))
    factor = Factor(point.x[1 - k], point.names[1 - k])
    return Jacobian((Term(pattern, (factor,), letters=("n", "m")),), out, pattern.in_shape)


def _require_lines(name: str, **operands: Any) -> None:
    got = ", ".join(describe(operand, value) for operand, value in operands.items())
    for operand, value in operands.items():
        if np.ndim(value) != 1 or np.size(value) == 0:
            raise ShapeError(report(f"{name}: {operand} must be a vector that is not empty", got=got))


def _convolved(a: Any, v: Any, mode: Any) -> Any:
    _require_lines("convolve", a=a, v=v)
    return np.convolve(a, v, mode)


def _correlated(a: Any, v: Any, mode: Any) -> Any:
    _require_lines("correlate", a=a, v=v)
    return np.correlate(a, np.conjugate(v), mode)


LINES = [
    sample(*shapes, mode=mode)
    for mode in MODES
    for shapes in (((5,), (3,)), ((2,), (4,)), ((4,), (4,)), ((6,), (4,)), ((3,), (1,)))
]
convolved = register(
    Op(
        "convolved", _convolved, _convolved_rule, normalise=_lines_arguments("convolve"),
        operands=("a", "v"), family="multilinear", formula="∂y[n]/∂a[n+s-m] = v[m], ∂y[n]/∂v[m] = a[n+s-m]",
        note="`np.convolve` of two vectors.", samples=LINES,
    )
)  # fmt: skip
correlated = register(
    Op(
        "correlated", _correlated, _correlated_rule,
        normalise=_lines_arguments("correlate"),
        operands=("a", "v"), family="multilinear", formula="∂y[n]/∂a[n+s+m] = v[m], ∂y[n]/∂v[m] = a[n+s+m]",
        note="`np.correlate` without its conjugate.", samples=LINES,
    )
)  # fmt: skip


def _convolve(a: Any, v: Any, mode: Any = "full") -> Any:
    return convolved(np.atleast_1d(array_of(a)), np.atleast_1d(array_of(v)), mode=mode)


def _correlate(a: Any, v: Any, mode: Any = "valid") -> Any:
    v = array_of(v)
    return correlated(a, np.conjugate(v) if v.dtype.kind == "c" else v, mode=mode)


convolve = composite("convolve", _convolve, answers=(np.convolve,), samples=LINES)
correlate = composite("correlate", _correlate, answers=(np.correlate,), samples=[*LINES, sample((4,), (2,))])

# -- phases and sequences ---------------------------------------------------------------------------------------------


def _unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * np.pi) -> Any:
    """The phases plus whole periods, which do not change with the phases."""
    refuse_traced("unwrap", discont=discont, period=period)
    p = floating(p)
    seen = look(p)
    jumps = np.diff(seen, axis=axis)
    limit = period / 2 if discont is None else max(discont, period / 2)
    turned = np.mod(np.abs(jumps) - period / 2, period) == 0
    warn_kink("unwrap", turned & (np.abs(jumps) >= limit), "the derivative without a jump")
    turns = np.round((np.unwrap(seen, discont, axis, period=period) - seen) / period)
    return p + (turns * period).astype(seen.dtype)


unwrap = composite(
    "unwrap", _unwrap, answers=(np.unwrap,), note="whole periods are added: the derivative is that of the identity.",
    kinks=[Kink("a jump is half a period", "the derivative without it", sample(np.array([0.0, np.pi])))],
    samples=[sample((5,), domain=(-9.0, 9.0)), sample((2, 4), axis=0, period=1.0), sample((4,), discont=4.0)],
)  # fmt: skip


def _linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None,
    axis: int = 0, *, device: Any = None,
) -> Any:  # fmt: skip
    """`start (1 - t) + stop t`, so that both ends are met."""
    refuse_traced("linspace", num=num)
    wanted = dtype_of(start, stop)
    start, stop = floating(start), floating(stop)
    ends = start + (stop - start) * 0
    t = _places(num, endpoint, np.ndim(ends), wanted)
    if wanted != ends.dtype:
        start, stop = (np.astype(end, wanted) for end in (start, stop))
    y = np.moveaxis(start * (1 - t) + stop * t, 0, axis) if np.ndim(ends) else start * (1 - t) + stop * t
    if dtype is not None:
        y = np.astype(y, np.dtype(dtype))
    parts = num - 1 if endpoint else num
    return (y, (stop - start) / parts if parts > 0 else np.nan) if retstep else y


def _places(num: int, endpoint: bool, rank: int, dtype: Any) -> Any:
    parts = num - 1 if endpoint else num
    real = np.zeros((), dtype).real.dtype
    return (np.arange(num) / max(parts, 1)).reshape((-1,) + (1,) * rank).astype(real)


def _logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Any:
    shape = np.broadcast_shapes(np.shape(start), np.shape(stop), np.shape(base))
    start, stop = (np.broadcast_to(floating(end), shape) for end in (start, stop))
    y = np.power(base, _linspace(start, stop, num, endpoint))
    y = np.moveaxis(y, 0, axis)
    return y if dtype is None else np.astype(y, np.dtype(dtype))


def _geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:  # fmt: skip
    start, stop = floating(start), floating(stop)
    if np.any(start == 0) or np.any(stop == 0):
        raise ArgumentError(report("geomspace: a geometric sequence cannot include 0"))
    if dtype is not None and np.dtype(dtype).kind == "c":
        start, stop = start * (1 + 0j), stop * (1 + 0j)
    start, stop = (np.astype(end, np.result_type(end, np.float64)) for end in (start, stop))  # as NumPy does
    ratio = stop / start
    t = _places(num, endpoint, np.ndim(ratio), ratio.dtype)
    y = np.moveaxis(start * np.power(ratio, t), 0, axis)
    return y if dtype is None else np.astype(y, np.dtype(dtype))


ENDS = (0.5, 2.5)
linspace = composite(
    "linspace", _linspace, answers=(np.linspace,),
    samples=[
        sample((), (), 5), sample((), 2.0), sample((2,), (2,), 3), sample((2,), (), 4, axis=-1),
        sample((), (), 4, endpoint=False), sample((), (), 3, retstep=True), sample((), (), 1), sample((), (), 0),
    ],
)  # fmt: skip
logspace = composite(
    "logspace", _logspace, answers=(np.logspace,),
    samples=[
        sample((), (), 4), sample((2,), (), 3, axis=1), sample((), (), 4, base=2.0),
        sample((), (), 3, False, (), domain=ENDS),
        sample((2,), (2,), 3, base=np.array([2.0, 3.0])),
    ],
)  # fmt: skip
geomspace = composite(
    "geomspace", _geomspace, answers=(np.geomspace,),
    samples=[
        sample((), (), 4, domain=ENDS), sample((2,), (), 3, axis=-1, domain=ENDS), sample((), (), 1, domain=ENDS),
        sample((), (), 4, endpoint=False, domain=(-2.5, -0.5)),
    ],
)  # fmt: skip


def _cumulative(name: str, scan: Any, first: float) -> Any:
    def function(
        x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False
    ) -> Any:
        if given(out):
            raise ArgumentError(report(f"{name}: out= cannot be traced", fix="use the returned array"))
        x = floating(np.atleast_1d(array_of(x)))
        if axis is None:
            if np.ndim(x) > 1:
                raise ArgumentError(report(f"{name}: an array of {np.ndim(x)} axes needs axis="))
            axis = 0
        y = scan(x, axis=axis, dtype=dtype)
        if not include_initial:
            return y
        shape = tuple(1 if at == axis % np.ndim(y) else size for at, size in enumerate(np.shape(y)))
        return np.concatenate([np.full(shape, first, y.dtype), y], axis=axis)

    return function


cumulative_sum = composite(
    "cumulative_sum", _cumulative("cumulative_sum", np.cumsum, 0.0),
    answers=(np.cumulative_sum,) if hasattr(np, "cumulative_sum") else (),
    samples=[sample((4,)), sample((2, 3), axis=0), sample((2, 3), axis=-1, include_initial=True)],
)  # fmt: skip
cumulative_prod = composite(
    "cumulative_prod", _cumulative("cumulative_prod", np.cumprod, 1.0),
    answers=(np.cumulative_prod,) if hasattr(np, "cumulative_prod") else (),
    samples=[sample((4,), domain=ENDS), sample((2, 3), axis=0), sample((2, 3), axis=-1, include_initial=True)],
)  # fmt: skip
