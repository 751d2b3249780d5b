"""Convolution and pooling of images `[N,C,H,W]`: windows are affine forms, so that padding and strides cost nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.kernel.access import Form, affine, plain
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Access, Pattern
from jacobian.kernel.term import Factor, Term
from jacobian.ops.families import gather
from jacobian.ops.kinks import warn_ties
from jacobian.ops.registry import Op, Params, Point, describe, register, sample
from jacobian.ops.terms import require, shape_of


def _pair(name: str, value: Any, least: int) -> tuple[int, int]:
    """A whole number, or one for each direction."""
    pair = (value, value) if isinstance(value, int | np.integer) else tuple(value)
    if len(pair) != 2 or not all(isinstance(v, int | np.integer) and v >= least for v in pair):
        raise ArgumentError(report(f"{name} must be a whole number of at least {least}, or two of them, not {value!r}"))
    return int(pair[0]), int(pair[1])


# -- convolution ------------------------------------------------------------------------------------------------------

CONV2D = "x[n,c,h,w], W[o,c,p,q] -> y[n,o,h,w]"


def _conv2d(x: np.ndarray, W: np.ndarray, *b: np.ndarray, stride: Any, padding: Any, dilation: Any) -> Any:
    bias = {"b": ("o", b[0])} if b else {}
    spec = CONV2D.replace(" ->", ", b[o] ->") if b else CONV2D
    require("conv2d", spec, x=("nchw", x), W=("ocpq", W), **bias)
    padded = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))
    reach = tuple(d * (size - 1) + 1 for d, size in zip(dilation, W.shape[2:], strict=True))
    for place, size, needed in zip(("height", "width"), padded.shape[2:], reach, strict=True):
        if size < needed:
            got = ", ".join(describe(name, value) for name, value in (("x", x), ("W", W)))
            headline = f"conv2d: the window is {needed} in {place}, the padded image {size}"
            raise ShapeError(report(headline, spec=spec, got=got))
    windows = sliding_window_view(padded, reach, (2, 3))
    windows = windows[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    y = np.moveaxis(np.tensordot(windows, W, axes=((1, 4, 5), (1, 2, 3))), -1, 1)
    return y + b[0][:, None, None] if b else y


def _window(params: Params) -> list[Form]:
    """Along height and width: `stride·h + dilation·p - padding`; h, w are the indices 2, 3 and p, q are 5, 6."""
    pairs = zip(params["stride"], params["dilation"], params["padding"], (2, 3), (5, 6), strict=True)
    return [affine(-padding, [(at, stride), (inside, dilation)]) for stride, dilation, padding, at, inside in pairs]


def _conv2d_rule(point: Point, k: int) -> Jacobian:
    """One term over n, o, h, w, c, p, q. A window may hang over the edge, where it reads 0 and writes nothing."""
    shape, out = shape_of(point.x[k]), shape_of(point.y)
    if k == 2:
        everywhere = Pattern(out, tuple(plain(axis) for axis in range(4)), (plain(1),), out, shape)
        return Jacobian((Term(everywhere, letters=("n", "o", "h", "w")),), out, shape)
    x, W = shape_of(point.x[0]), shape_of(point.x[1])
    sizes = (*out, *W[1:])
    window = (plain(0), plain(4), *_window(point.params))
    weight = (plain(1), plain(4), plain(5), plain(6))
    into, other = (window, Access(weight, W)) if k == 0 else (weight, Access(window, x))
    pattern = Pattern(sizes, tuple(plain(axis) for axis in range(4)), into, out, shape, (other,))
    factor = Factor(point.x[1 - k], point.names[1 - k])
    return Jacobian((Term(pattern, (factor,), letters=("n", "o", "h", "w", "c", "p", "q")),), out, shape)


def _conv2d_arguments(
    x: Any, W: Any, b: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1
) -> tuple[tuple[Any, ...], Params]:
    return (x, W) if b is None else (x, W, b), {
        "stride": _pair("conv2d: stride", stride, 1),
        "padding": _pair("conv2d: padding", padding, 0),
        "dilation": _pair("conv2d: dilation", dilation, 1),
    }


conv2d = register(
    Op(
        "conv2d", _conv2d, _conv2d_rule, normalise=_conv2d_arguments, operands=("x", "W", "b"), family="network",
        formula="∂y[n,o,h,w]/∂x[n,c,s·h+p-a,s·w+q-a] = W[o,c,p,q], "
        "∂y[n,o,h,w]/∂W[o,c,p,q] = x[n,c,s·h+p-a,s·w+q-a], ∂y[n,o,h,w]/∂b[o] = 1, for stride s and padding a",
        note="images x[N,C,H,W] and W[O,C,KH,KW]; cross-correlation, as networks have it: the kernel is not flipped.",
        samples=[
            sample((1, 2, 4, 4), (2, 2, 2, 2), (2,)), sample((1, 1, 4, 5), (2, 1, 3, 2), stride=2, padding=1),
            sample((2, 1, 3, 3), (1, 1, 2, 2), padding=(1, 0), stride=(2, 1)),
            sample((1, 1, 5, 4), (1, 1, 2, 2), dilation=2),
        ],
    )
)  # fmt: skip

# -- pooling ----------------------------------------------------------------------------------------------------------


def _pool_windows(x: Any, size: tuple[int, int], stride: tuple[int, int]) -> Any:
    """The windows of every output entry as one last axis."""
    *lead, height, width = shape_of(x)
    if size == stride:  # side by side: quicker than windows that may overlap
        rows, columns = height // size[0], width // size[1]
        tiles = x[..., : rows * size[0], : columns * size[1]]
        tiles = np.reshape(tiles, (*lead, rows, size[0], columns, size[1]))
        return np.reshape(np.swapaxes(tiles, -3, -2), (*lead, rows, columns, size[0] * size[1]))
    windows = sliding_window_view(x, size, (-2, -1))[..., :: stride[0], :: stride[1], :, :]
    return np.reshape(windows, (*shape_of(windows)[:-2], size[0] * size[1]))


def _max_pool2d(x: np.ndarray, size: tuple[int, int], stride: tuple[int, int]) -> Any:
    if x.ndim < 2 or x.shape[-2] < size[0] or x.shape[-1] < size[1]:
        raise ShapeError(
            report(f"max_pool2d: a window of {size[0]} × {size[1]} does not fit the image", got=describe("x", x))
        )
    return _pool_windows(x, size, stride).max(axis=-1)


def _max_pool2d_rule(point: Point, k: int) -> Jacobian:
    """An input axis for height and one for width that are tables of the winners' positions."""
    x, (size, stride) = point.x[0], (point.params["size"], point.params["stride"])
    shape, out = shape_of(x), shape_of(point.y)
    windows = _pool_windows(x, size, stride)
    best = np.argmax(windows, axis=-1)
    ties = windows == np.expand_dims(point.y, -1)
    warn_ties("max_pool2d", ties, "the first of the equal entries of a window")
    rulers = [np.arange(extent).reshape((-1,) + (1,) * (len(out) - axis - 1)) for axis, extent in enumerate(out)]
    row, column = rulers[-2] * stride[0] + best // size[1], rulers[-1] * stride[1] + best % size[1]
    return gather(out, shape, [*(np.broadcast_to(ruler, out) for ruler in rulers[:-2]), row, column])


def _pool_arguments(x: Any, size: Any, stride: Any = None) -> tuple[tuple[Any, ...], Params]:
    size = _pair("max_pool2d: size", size, 1)
    return (x,), {"size": size, "stride": size if stride is None else _pair("max_pool2d: stride", stride, 1)}


max_pool2d = register(
    Op(
        "max_pool2d", _max_pool2d, _max_pool2d_rule, normalise=_pool_arguments, family="network", smooth=False,
        formula="∂y[h,w]/∂x[s[h,w],t[h,w]] = 1, the tables s and t saying where the largest entry of a window is",
        note="over the last two axes. Ties: the first of the equal entries of a window is taken, row by row.",
        samples=[sample((1, 2, 4, 4), 2), sample((2, 5, 4), 2, stride=1), sample((4, 6), 2, stride=(2, 3))],
    )
)  # fmt: skip
