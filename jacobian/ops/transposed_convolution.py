"""Transposed convolutions: what a convolution reads from a window, they add to it."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Shape
from jacobian.ops.convolution import (
    COARSE,
    KERNEL,
    PLACES,
    Geometry,
    check_operands,
    checked_groups,
    jacobian_of_form,
    numbers_for,
    reach_of,
    with_bias,
)
from jacobian.ops.registry import Normalise, Op, Params, Point, Sample, register, sample
from jacobian.ops.terms import given, shape_of


def _transposed_sizes(name: str, shape: Shape, weight: Shape, params: Params) -> Shape:
    """The sizes of the result in each direction."""
    steps = params["stride"]
    parts = zip(
        PLACES[len(steps)], shape[-len(steps) :], reach_of(weight, params["dilation"]), steps, params["start"],
        params["output_padding"], strict=True,
    )  # fmt: skip
    sizes: list[int] = []
    for place, size, reach, stride, start, more in parts:
        sizes.append((size - 1) * stride + reach - 2 * start + more)
        if sizes[-1] < 1:
            raise ShapeError(
                report(
                    f"{name}: nothing is left in {place}: {size} steps of {stride} with a window of {reach} make "
                    f"{(size - 1) * stride + reach}, the padding takes {2 * start}",
                    got=f"x of shape {shape}, W of shape {weight}",
                )
            )
    return tuple(sizes)


def _spread(x: np.ndarray, W: np.ndarray, params: Params, sizes: Shape) -> np.ndarray:
    """Every entry of a batch times the kernel, added where its window lies."""
    stride, dilation, start, groups = (params[word] for word in ("stride", "dilation", "start", "groups"))
    rank, count, places = len(stride), x.shape[0], x.shape[2:]
    rows = np.reshape(x, (count, groups, x.shape[1] // groups, prod(places)))
    kernels = np.reshape(W, (groups, W.shape[0] // groups, prod(W.shape[1:])))
    parts = np.matmul(np.moveaxis(rows, 2, 3), kernels)  # batch, groups, places, channels · kernel
    parts = np.reshape(parts, (count, groups, *places, *W.shape[1:]))
    parts = np.moveaxis(parts, 2 + rank, 2)  # batch, groups, channels, places, kernel
    whole = tuple(size + 2 * before for size, before in zip(sizes, start, strict=True))
    y = np.zeros((count, groups, W.shape[1], *whole), parts.dtype)
    for within in np.ndindex(*W.shape[2:]):
        window = tuple(
            slice(d * p, d * p + (size - 1) * s + 1, s)
            for d, p, s, size in zip(dilation, within, stride, places, strict=True)
        )
        to: Any = (..., *window)
        y[to] += parts[(..., *within)]
    inside = tuple(slice(before, before + size) for before, size in zip(start, sizes, strict=True))
    kept: Any = (..., *inside)
    return np.reshape(y[kept], (count, groups * W.shape[1], *sizes))


def _conv_transpose(name: str) -> Any:
    def forward(x: np.ndarray, W: np.ndarray, *b: np.ndarray, **params: Any) -> np.ndarray:
        rank = len(params["stride"])
        batched = check_operands(name, rank, (x, W, *b), params["groups"], transposed=True)
        sizes = _transposed_sizes(name, x.shape, W.shape, params)
        y = with_bias(_spread(x if batched else x[None], W, params, sizes), list(b), rank)
        return y if batched else y[0]

    return forward


def _conv_transpose_rule(point: Point, k: int) -> Jacobian:
    params = point.params
    shapes = (shape_of(point.x[0]), shape_of(point.y), shape_of(point.x[1]))
    at = Geometry(*shapes, params["stride"], params["start"], params["dilation"], params["groups"], ("c", "o"))
    return jacobian_of_form(point, k, at, transposed=True)


def _conv_transpose_arguments(name: str, rank: int) -> Normalise:
    def normalise(
        x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
        groups: int = 1, dilation: Any = 1,
    ) -> tuple[tuple[Any, ...], Params]:  # fmt: skip
        steps = numbers_for(f"{name}: stride", stride, rank, 1)
        spread = numbers_for(f"{name}: dilation", dilation, rank, 1)
        more = numbers_for(f"{name}: output_padding", output_padding, rank, 0)
        for one, step, wide in zip(more, steps, spread, strict=True):
            if one and one >= max(step, wide):
                headline = f"{name}: output_padding must be smaller than the stride or the dilation"
                raise ArgumentError(report(headline, got=f"output_padding={more}, stride={steps}, dilation={spread}"))
        return given(x, weight, bias), {
            "stride": steps, "start": numbers_for(f"{name}: padding", padding, rank, 0), "output_padding": more,
            "groups": checked_groups(name, groups), "dilation": spread,
        }  # fmt: skip

    return normalise


def transposed_convolution(rank: int, samples: list[Sample]) -> Op:
    """The transposed convolution in that many directions."""
    name, coarse, kernel = f"conv_transpose{rank}d", ",".join(COARSE[rank]), ",".join(KERNEL[:rank])
    window = ",".join(f"s·{place}+{within}-a" for place, within in zip(COARSE[rank], KERNEL, strict=False))
    return register(
        Op(
            name, _conv_transpose(name), _conv_transpose_rule, normalise=_conv_transpose_arguments(name, rank),
            operands=("x", "W", "b"), family="network", samples=samples,
            formula=f"∂y[n,o,{window}]/∂x[n,c,{coarse}] = W[c,o,{kernel}], ∂y[n,o,{window}]/∂W[c,o,{kernel}] = "
            f"x[n,c,{coarse}], ∂y[n,o,{coarse}]/∂b[o] = 1, for stride s and padding a",
            note=f"x[n,c,{coarse}], or without the batch, and W[c,o,{kernel}], o being a channel within its group: "
            "every entry adds the kernel, times itself, to the window that a convolution would read it from.",
        )
    )  # fmt: skip


conv_transpose1d = transposed_convolution(
    1,
    [
        sample((2, 2, 3), (2, 3, 2), (3,)), sample((2, 3), (2, 1, 3), stride=2, padding=1, output_padding=1),
        sample((1, 4, 3), (4, 2, 2), (4,), groups=2), sample((1, 2, 3), (2, 1, 2), groups=2, dilation=2),
    ],
)  # fmt: skip
conv_transpose2d = transposed_convolution(
    2,
    [
        sample((1, 2, 2, 3), (2, 2, 2, 2), (2,)), sample((1, 1, 2, 2), (1, 2, 3, 2), stride=2, padding=(1, 0)),
        sample((2, 2, 2), (2, 1, 2, 2), (2,), 2, 1, 1, 2), sample((1, 1, 2, 3), (1, 1, 2, 2), dilation=(2, 1)),
    ],
)  # fmt: skip
conv_transpose3d = transposed_convolution(
    3,
    [
        sample((1, 1, 1, 2, 2), (1, 1, 2, 2, 1), (1,)),
        sample((2, 1, 2, 2), (2, 1, 1, 2, 2), groups=2, padding=(0, 1, 0)),
        sample((1, 1, 2, 2, 1), (1, 1, 2, 1, 2), stride=(2, 1, 1), output_padding=(1, 0, 0)),
    ],
)  # fmt: skip
