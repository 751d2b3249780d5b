"""Pooling over the last axes: the largest entry of every window, or its mean. Windows are affine forms or look-ups."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.kernel.access import affine, plain
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Access, Pattern
from jacobian.kernel.term import Factor, Term
from jacobian.ops.convolution import numbers_for
from jacobian.ops.families import gather
from jacobian.ops.kinks import warn_ties
from jacobian.ops.registry import SAME, Kink, Op, Params, Point, Sample, describe, register, sample
from jacobian.ops.terms import shape_of

_AXES = {1: "the last axis", 2: "the last two axes", 3: "the last three axes"}


class Windows(NamedTuple):
    """Where windows lie along one axis."""

    places: int
    kernel: int
    stride: int
    padding: int
    dilation: int
    size: int

    @property
    def reach(self) -> int:
        """How many entries a window spans."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def behind(self) -> int:
        """What has to be added at the end for the last window to fit."""
        return max((self.places - 1) * self.stride + self.reach - self.padding - self.size, 0)

    @property
    def real(self) -> np.ndarray:
        """How many entries of every window are not padding."""
        first = np.arange(self.places)[:, None] * self.stride - self.padding
        read = first + np.arange(self.kernel) * self.dilation
        return np.asarray(((read >= 0) & (read < self.size)).sum(axis=1))

    @property
    def counted(self) -> np.ndarray:
        """The same with the padding that was asked for, but not what ceil_mode adds."""
        first = np.arange(self.places) * self.stride - self.padding
        return np.minimum(first + self.kernel, self.size + self.padding) - first


def _windows(name: str, x: Any, params: Params) -> list[Windows]:
    """The windows along the last axes.

    Raises:
        ShapeError: there are too few axes, or a window does not fit.
    """
    shape, kernel = shape_of(x), params["kernel_size"]
    rank = len(kernel)
    if len(shape) < rank:
        needed = f"{rank} ax{'is' if rank == 1 else 'es'}"
        raise ShapeError(report(f"{name}: x must have at least {needed}, not {len(shape)}", got=describe("x", x)))
    found: list[Windows] = []
    parts = zip(kernel, params["stride"], params["padding"], params["dilation"], shape[-rank:], strict=True)
    for size, stride, padding, dilation, extent in parts:
        one = Windows(0, size, stride, padding, dilation, extent)
        room = extent + 2 * padding - one.reach
        count = -(-room // stride) + 1 if params["ceil_mode"] else room // stride + 1
        if params["ceil_mode"] and (count - 1) * stride >= extent + padding:
            count -= 1  # the last window has to start inside
        if count < 1:
            shown = " × ".join(map(str, (d * (k - 1) + 1 for d, k in zip(params["dilation"], kernel, strict=True))))
            padded = f", padded by {' × '.join(map(str, params['padding']))}" if any(params["padding"]) else ""
            headline = f"{name}: a window of {shown} does not fit the image{padded}"
            raise ShapeError(report(headline, got=describe("x", x)))
        found.append(one._replace(places=count))
    return found


def _cut(x: Any, windows: list[Windows], fill: float) -> Any:
    """The entries of every window as one last axis."""
    rank = len(windows)
    if all((one.stride, one.padding, one.dilation, one.behind) == (one.kernel, 0, 1, 0) for one in windows):
        return _tiles(x, windows)
    edges = [(0, 0)] * (np.ndim(x) - rank) + [(one.padding, one.behind) for one in windows]
    padded = np.pad(x, edges, constant_values=fill) if any(map(any, edges)) else x
    axes = tuple(range(-rank, 0))
    cut = sliding_window_view(padded, tuple(one.reach for one in windows), axes)
    steps = [slice(0, (one.places - 1) * one.stride + 1, one.stride) for one in windows]
    spread = [slice(None, None, one.dilation) for one in windows]
    key: Any = (..., *steps, *spread)
    cut = cut[key]
    return np.reshape(cut, (*shape_of(cut)[:-rank], prod(one.kernel for one in windows)))


def _tiles(x: Any, windows: list[Windows]) -> Any:
    """The same where windows lie side by side, which is quicker to read than windows that may overlap."""
    rank, lead = len(windows), shape_of(x)[: -len(windows)]
    inside: Any = (..., *(slice(0, one.places * one.kernel) for one in windows))
    parts = np.reshape(x[inside], (*lead, *(size for one in windows for size in (one.places, one.kernel))))
    first = len(lead)
    order = (
        *range(first),
        *(first + 2 * axis for axis in range(rank)),
        *(first + 2 * axis + 1 for axis in range(rank)),
    )
    places = tuple(one.places for one in windows)
    return np.reshape(np.transpose(parts, order), (*lead, *places, prod(one.kernel for one in windows)))


def _arguments(name: str, rank: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any = 1) -> Params:
    kernel = numbers_for(f"{name}: kernel_size", kernel_size, rank, 1)
    edges = numbers_for(f"{name}: padding", padding, rank, 0)
    spread = numbers_for(f"{name}: dilation", dilation, rank, 1)
    for size, edge, wide in zip(kernel, edges, spread, strict=True):
        if 2 * edge > wide * (size - 1) + 1:
            got = f"padding={edges}, kernel_size={kernel}" + (f", dilation={spread}" if max(spread) > 1 else "")
            raise ArgumentError(report(f"{name}: padding must be at most half of the window", got=got))
    return {
        "kernel_size": kernel, "stride": kernel if stride is None else numbers_for(f"{name}: stride", stride, rank, 1),
        "padding": edges, "dilation": spread,
    }  # fmt: skip


# -- the largest entry ------------------------------------------------------------------------------------------------


def _max_pool(name: str) -> Any:
    def forward(x: np.ndarray, **params: Any) -> Any:
        windows = _windows(name, x, params)
        if any((one.real == 0).any() for one in windows):
            raise ShapeError(report(f"{name}: a window lies altogether in the padding", got=describe("x", x)))
        fill = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
        return _cut(x, windows, fill).max(axis=-1)

    return forward


def _max_pool_rule(name: str) -> Any:
    def rule(point: Point, k: int) -> Jacobian:
        """For every axis a table of the winners' positions."""
        x = point.x[0]
        shape, out = shape_of(x), shape_of(point.y)
        if not prod(shape):
            return Jacobian.zero(out, shape)
        windows = _windows(name, x, point.params)
        cut = _cut(x, windows, -np.inf)
        best = np.argmax(cut, axis=-1)
        warn_ties(name, cut == np.expand_dims(point.y, -1), "the first of the equal entries of a window")
        tables: list[Any] = [
            np.broadcast_to(np.arange(extent).reshape((-1,) + (1,) * (len(out) - axis - 1)), out)
            for axis, extent in enumerate(out)
        ]
        for axis, one in reversed(list(enumerate(windows, len(out) - len(windows)))):
            tables[axis] = tables[axis] * one.stride - one.padding + best % one.kernel * one.dilation
            best = best // one.kernel
        return gather(out, shape, tables)

    return rule


def max_pooling(rank: int, samples: list[Sample]) -> Op:
    """Max pooling over that many last axes."""
    name = f"max_pool{rank}d"

    def normalise(
        x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
    ) -> tuple[tuple[Any, ...], Params]:
        params = _arguments(name, rank, kernel_size, stride, padding, dilation)
        return (x,), params | {"ceil_mode": bool(ceil_mode)}

    places = ",".join("dhw"[-rank:])
    tables = ",".join(f"{table}[{places}]" for table in "rst"[-rank:])
    return register(
        Op(
            name, _max_pool(name), _max_pool_rule(name), normalise=normalise, family="network",
            formula=f"∂y[{places}]/∂x[{tables}] = 1, the tables saying where the largest entry of a window is",
            note=f"over {_AXES[rank]}. Padding never wins.",
            kinks=[
                Kink(
                    "entries of a window are equal", "the first of them, row by row,",
                    sample(np.ones((1, *(2,) * rank)), 2),
                    torch={f"torch.nn.functional.{name}(x, 2)": SAME},
                )
            ],
            samples=samples,
        )
    )  # fmt: skip


# -- the mean ---------------------------------------------------------------------------------------------------------


def _divisor(windows: list[Windows], params: Params) -> np.ndarray | float:
    """What the sum of a window is divided by; an array where windows differ."""
    if params["divisor_override"] is not None:
        return float(params["divisor_override"])
    counts = [one.counted if params["count_include_pad"] else one.real for one in windows]
    if all((count == one.kernel).all() for count, one in zip(counts, windows, strict=True)):
        return float(prod(one.kernel for one in windows))
    total = np.ones((), np.intp)
    for count in counts:
        total = np.multiply.outer(total, count)
    return np.asarray(total)


def _avg_pool(name: str) -> Any:
    def forward(x: np.ndarray, **params: Any) -> Any:
        windows = _windows(name, x, params)
        total = _cut(x, windows, 0).sum(axis=-1)
        divisor = _divisor(windows, params)
        dtype = total.dtype if total.dtype.kind == "f" else np.dtype(float)
        return total / (divisor.astype(dtype) if isinstance(divisor, np.ndarray) else divisor)

    return forward


def _avg_pool_rule(name: str) -> Any:
    def rule(point: Point, k: int) -> Jacobian:
        """One term over the output's axes and those of a window, with 1/n as a number where all windows are alike."""
        shape, out = shape_of(point.x[0]), shape_of(point.y)
        windows = _windows(name, point.x[0], point.params)
        rank, first = len(windows), len(out) - len(windows)
        straight = tuple(plain(axis) for axis in range(len(out)))
        window = [
            affine(-one.padding, [(first + axis, one.stride), (len(out) + axis, one.dilation)])
            for axis, one in enumerate(windows)
        ]
        sizes = (*out, *(one.kernel for one in windows))
        divisor = _divisor(windows, point.params)
        constant = not isinstance(divisor, np.ndarray)
        into = (*straight[:first], *window)
        factors = () if constant else (Access(straight[first:], out[first:]),)
        pattern = Pattern(sizes, straight, into, out, shape, factors)
        if not isinstance(divisor, np.ndarray):
            return Jacobian((Term(pattern, scale=1 / divisor),), out, shape)
        entry = ",".join(f"@{axis}" for axis in range(rank))
        weights = 1 / divisor.astype(np.result_type(point.y))
        return Jacobian((Term(pattern, (Factor(weights, f"(1/n[{entry}])"),)),), out, shape)

    return rule


def average_pooling(rank: int, samples: list[Sample]) -> Op:
    """Average pooling over that many last axes."""
    name = f"avg_pool{rank}d"

    def normalise(
        x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: int | None = None,
    ) -> tuple[tuple[Any, ...], Params]:  # fmt: skip
        whole = isinstance(divisor_override, int | np.integer) and not isinstance(divisor_override, bool)
        if divisor_override is not None and not (whole and divisor_override >= 1):
            headline = f"{name}: divisor_override must be a whole number of at least 1, not {divisor_override!r}"
            raise ArgumentError(report(headline))
        return (x,), _arguments(name, rank, kernel_size, stride, padding) | {
            "ceil_mode": bool(ceil_mode), "count_include_pad": bool(count_include_pad),
            "divisor_override": divisor_override,
        }  # fmt: skip

    places = "dhw"[-rank:]
    window = ",".join(f"s·{place}+{within}-a" for place, within in zip(places, "pqr", strict=False))
    return register(
        Op(
            name, _avg_pool(name), _avg_pool_rule(name), normalise=normalise, family="network", samples=samples,
            formula=f"∂y[{','.join(places)}]/∂x[{window}] = 1/n, for stride s and padding a",
            note=f"over {_AXES[rank]}. Every sum is divided by the size of "
            "the window, without the padding in it where count_include_pad is false, or by divisor_override.",
        )
    )  # fmt: skip


max_pool1d = max_pooling(
    1, [sample((2, 5), 2), sample((1, 2, 5), 3, 1, 1), sample((6,), 2, dilation=2, ceil_mode=True)]
)
max_pool2d = max_pooling(
    2,
    [
        sample((1, 2, 4, 4), 2), sample((2, 5, 4), 2, stride=1), sample((4, 6), 2, stride=(2, 3)),
        sample((1, 4, 5), 3, 2, 1), sample((5, 4), 2, ceil_mode=True),
    ],
)  # fmt: skip
max_pool3d = max_pooling(3, [sample((1, 2, 3, 2), 2, 1), sample((2, 2, 3), 2, 1, [0, 1, 0])])
avg_pool1d = average_pooling(
    1, [sample((2, 5), 2), sample((1, 2, 5), 3, 1, 1), sample((5,), 2, 2, 1, count_include_pad=False)]
)
avg_pool2d = average_pooling(
    2,
    [
        sample((1, 2, 4, 4), 2), sample((1, 4, 5), [3, 2], 2, [1, 0], False, False),
        sample((5, 4), 2, 2, 1, True), sample((3, 4), 2, 1, divisor_override=3),
        sample((5, 5), 2, 2, 1, ceil_mode=True, count_include_pad=False),
    ],
)  # fmt: skip
avg_pool3d = average_pooling(
    3, [sample((1, 2, 3, 2), 2, 1), sample((2, 2, 3), 2, 1, [0, 1, 0], count_include_pad=False)]
)
