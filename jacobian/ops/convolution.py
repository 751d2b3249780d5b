"""Convolutions and transposed convolutions: windows are affine forms, so that padding, strides and groups cost nothing.

Both are one trilinear form of a fine array, a coarse array and a kernel W:

    coarse[n, m·g + o, h]    fine[n, k·g + c, s·h + d·p - a]    W[m·g + o, c, p]

for group g, stride s, dilation d and padding a (h and p standing for one index for each direction). A convolution sums
the fine array into the coarse one, a transposed convolution the coarse array into the fine one. A window may hang over
the edge, where it reads 0 and writes nothing.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.kernel.access import Form, affine, constant, plain
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import CACHE, Access, Pattern, Shape
from jacobian.kernel.term import Factor, Term
from jacobian.ops.registry import Normalise, Op, Params, Point, Sample, describe, register, sample
from jacobian.ops.terms import given, require, shape_of

Pairs = tuple[tuple[int, int], ...]

PLACES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
_HOW_MANY = {1: "a tuple of one", 2: "two of them", 3: "three of them"}
COARSE = {1: "l", 2: "hw", 3: "dhw"}
KERNEL = "pqr"


def numbers_for(what: str, value: Any, rank: int, least: int) -> Shape:
    """A whole number, or one for each direction, as one for each."""
    found = (value,) * rank if isinstance(value, int | np.integer) else tuple(value) if np.iterable(value) else ()
    if len(found) != rank or not all(isinstance(v, int | np.integer) and v >= least for v in found):
        known = f"a whole number of at least {least}, or {_HOW_MANY[rank]}"
        raise ArgumentError(report(f"{what} must be {known}, not {value!r}"))
    return tuple(int(v) for v in found)


# -- the trilinear form -----------------------------------------------------------------------------------------------


class Geometry(NamedTuple):
    """All that decides where entries meet."""

    coarse: Shape
    fine: Shape
    weight: Shape
    stride: Shape
    start: Shape  # the padding before the first entry
    dilation: Shape
    groups: int
    letters: tuple[str, str] = ("o", "c")  # of channels in the coarse and in the fine array

    @property
    def rank(self) -> int:
        """The number of directions."""
        return len(self.stride)


class Meeting(NamedTuple):
    """The indices of the form with their letters, and where the three arrays are read."""

    sizes: Shape
    letters: tuple[str, ...]
    coarse: tuple[Form, ...]
    fine: tuple[Form, ...]
    weight: tuple[Form, ...]


@lru_cache(maxsize=CACHE)
def meeting(at: Geometry) -> Meeting:
    """Number the indices: the batch, the group, channel and place in the coarse array, channel and place in W."""
    sizes: list[int] = []
    letters: list[str] = []

    def index(letter: str, size: int) -> int:
        sizes.append(size)
        letters.append(letter)
        return len(sizes) - 1

    batch = [plain(index("n", at.coarse[0]))] if len(at.coarse) == at.rank + 2 else []
    group = index("g", at.groups) if at.groups > 1 else None

    def channel(letter: str, size: int) -> tuple[Form, Form]:
        """The place within the group, and among all channels."""
        if group is None:
            inner = plain(index(letter, size))
            return inner, inner
        if size == 1:
            return constant(0), plain(group)
        inner = plain(index(letter, size))
        return inner, affine(0, [*inner.parts, (group, size)])

    _, coarse_channel = channel(at.letters[0], at.weight[0] // at.groups)
    places = [index(letter, size) for letter, size in zip(COARSE[at.rank], at.coarse[-at.rank :], strict=True)]
    inner, fine_channel = channel(at.letters[1], at.weight[1])
    kernel = [index(letter, size) for letter, size in zip(KERNEL, at.weight[2:], strict=False)]
    windows = [
        affine(-start, [(place, stride), (within, dilation)])
        for start, stride, dilation, place, within in zip(at.start, at.stride, at.dilation, places, kernel, strict=True)
    ]
    return Meeting(
        tuple(sizes), tuple(letters), (*batch, coarse_channel, *map(plain, places)), (*batch, fine_channel, *windows),
        (coarse_channel, inner, *map(plain, kernel)),
    )  # fmt: skip


def jacobian_of_form(point: Point, k: int, at: Geometry, *, transposed: bool) -> Jacobian:
    """One term; by the bias it has no factor."""
    out, into = shape_of(point.y), shape_of(point.x[k])
    if k == 2:
        batched = len(out) - at.rank - 1
        everywhere = tuple(plain(axis) for axis in range(len(out)))
        pattern = Pattern(out, everywhere, (plain(batched),), out, into)
        letters = ("n",) * batched + ("o", *COARSE[at.rank])
        return Jacobian((Term(pattern, letters=letters),), out, into)
    found = meeting(at)
    written, read = (found.fine, found.coarse) if transposed else (found.coarse, found.fine)
    operand, other = (read, found.weight) if k == 0 else (found.weight, read)
    access = Access(other, shape_of(point.x[1 - k]))
    pattern = Pattern(found.sizes, written, operand, out, into, (access,))
    factor = Factor(point.x[1 - k], point.names[1 - k])
    return Jacobian((Term(pattern, (factor,), letters=found.letters),), out, into)


# -- what is refused --------------------------------------------------------------------------------------------------


def _spec(rank: int, batched: bool, transposed: bool, bias: bool) -> str:
    batch, kernel = "n," * batched, ",".join(KERNEL[:rank])
    coarse = ",".join(COARSE[rank])
    weight = f"W[{'c,o' if transposed else 'o,c'},{kernel}]"
    return f"x[{batch}c,{coarse}], {weight}{', b[o]' * bias} -> y[{batch}o,{coarse}]"


def check_operands(name: str, rank: int, operands: tuple[Any, ...], groups: int, *, transposed: bool) -> bool:
    """Refuse operands that do not fit; says whether there is a batch."""
    x, W, *bias = operands
    batched = np.ndim(x) != rank + 1
    spec = _spec(rank, batched, transposed, bool(bias))
    kernel, coarse = KERNEL[:rank], COARSE[rank]
    image = f"n{'c'}{coarse}" if batched else f"c{coarse}"
    if groups == 1:
        labels = ("co" if transposed else "oc") + kernel
        named = {"b": ("o", bias[0])} if bias else {}
        require(name, spec, x=(image, x), W=(labels, W), **named)
        return batched
    require(name, spec, x=(image, x))
    require(name, spec, W=(f"ab{kernel}", W))
    got = ", ".join(describe(what, value) for what, value in zip("xWb", operands, strict=False))
    channels = x.shape[-rank - 1]
    divided = [("channels of x", channels)] + [("channels of y, axis 0 of W,", W.shape[0])] * (not transposed)
    for what, size in divided:
        if size % groups:
            headline = f"{name}: {size} {what} cannot be divided into {groups} groups"
            raise ShapeError(report(headline, spec=spec, got=got))
    needed = channels if transposed else channels // groups
    axis = 0 if transposed else 1
    if W.shape[axis] != needed:
        each = "x has" if transposed else f"each of the {groups} groups of x has"
        headline = f"{name}: {each} {needed} channels, W has {W.shape[axis]}"
        raise ShapeError(report(headline, spec=spec, got=got, fix=f"axis {axis} of W must be {needed}"))
    made = W.shape[1] * groups if transposed else W.shape[0]
    if bias and bias[0].shape != (made,):
        headline = f"{name}: b must have the shape ({made},), not {bias[0].shape}"
        raise ShapeError(report(headline, spec=spec, got=got))
    return batched


# -- convolution ------------------------------------------------------------------------------------------------------


def reach_of(weight: Shape, dilation: Shape) -> Shape:
    """How many entries a window spans in each direction."""
    return tuple(d * (size - 1) + 1 for d, size in zip(dilation, weight[2:], strict=True))


def _convolved(x: np.ndarray, W: np.ndarray, stride: Shape, dilation: Shape, groups: int) -> np.ndarray:
    """A batch of padded images with a kernel, as a matrix product for each group."""
    rank = len(stride)
    windows = sliding_window_view(x, reach_of(W.shape, dilation), tuple(range(2, 2 + rank)))
    steps = tuple(slice(None, None, step) for step in (*stride, *dilation))
    windows = windows[(slice(None), slice(None), *steps)]
    count, places = x.shape[0], windows.shape[2 : 2 + rank]
    split = np.reshape(windows, (count, groups, x.shape[1] // groups, *windows.shape[2:]))
    rows = np.moveaxis(split, (1, 2), (0, 2 + rank))  # groups, batch, places, channels, kernel
    rows = np.reshape(rows, (groups, count * prod(places), prod(W.shape[1:])))
    kernels = np.reshape(W, (groups, W.shape[0] // groups, prod(W.shape[1:])))
    y = np.reshape(np.matmul(rows, np.swapaxes(kernels, 1, 2)), (groups, count, *places, W.shape[0] // groups))
    return np.reshape(np.moveaxis(y, (0, -1), (1, 2)), (count, W.shape[0], *places))


def with_bias(y: np.ndarray, bias: list[np.ndarray], rank: int) -> np.ndarray:
    """The bias of every channel added, if there is one."""
    return y + np.reshape(bias[0], (-1, *(1,) * rank)) if bias else y


def _conv(name: str) -> Any:
    def forward(x: np.ndarray, W: np.ndarray, *b: np.ndarray, **params: Any) -> np.ndarray:
        stride, padding, dilation, groups = (params[word] for word in ("stride", "padding", "dilation", "groups"))
        rank = len(stride)
        batched = check_operands(name, rank, (x, W, *b), groups, transposed=False)
        padded = np.pad(x if batched else x[None], ((0, 0), (0, 0), *padding))
        for place, size, needed in zip(PLACES[rank], padded.shape[2:], reach_of(W.shape, dilation), strict=True):
            if size < needed:
                got = ", ".join(describe(what, value) for what, value in (("x", x), ("W", W)))
                headline = f"{name}: the window is {needed} in {place}, the padded image {size}"
                raise ShapeError(report(headline, spec=_spec(rank, batched, False, bool(b)), got=got))
        y = with_bias(_convolved(padded, W, stride, dilation, groups), list(b), rank)
        return y if batched else y[0]

    return forward


def _conv_rule(point: Point, k: int) -> Jacobian:
    params = point.params
    start = tuple(before for before, _ in params["padding"])
    shapes = (shape_of(point.y), shape_of(point.x[0]), shape_of(point.x[1]))
    at = Geometry(*shapes, params["stride"], start, params["dilation"], params["groups"])
    return jacobian_of_form(point, k, at, transposed=False)


def _padding(name: str, value: Any, rank: int, weight: Any, stride: Shape, dilation: Shape) -> Pairs:
    """What is added before and behind in each direction."""
    if not isinstance(value, str):
        return tuple((size, size) for size in numbers_for(f"{name}: padding", value, rank, 0))
    if value == "valid":
        return ((0, 0),) * rank
    if value != "same":
        raise ArgumentError(report(f"{name}: padding must be whole numbers, 'valid' or 'same', not {value!r}"))
    if any(step != 1 for step in stride):
        raise ArgumentError(report(f"{name}: padding 'same' needs stride 1, not {stride}"))
    shape = shape_of(weight)
    totals = [size - 1 for size in reach_of(shape, dilation)] if len(shape) == rank + 2 else [0] * rank
    return tuple((total // 2, total - total // 2) for total in totals)


def checked_groups(name: str, value: Any) -> int:
    """The number of groups."""
    if not isinstance(value, int | np.integer) or value < 1:
        raise ArgumentError(report(f"{name}: groups must be a whole number of at least 1, not {value!r}"))
    return int(value)


def _conv_arguments(name: str, rank: int) -> Normalise:
    def normalise(
        x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
    ) -> tuple[tuple[Any, ...], Params]:
        steps = numbers_for(f"{name}: stride", stride, rank, 1)
        spread = numbers_for(f"{name}: dilation", dilation, rank, 1)
        return given(x, weight, bias), {
            "stride": steps, "padding": _padding(name, padding, rank, weight, steps, spread), "dilation": spread,
            "groups": checked_groups(name, groups),
        }  # fmt: skip

    return normalise


def convolution(rank: int, samples: list[Sample]) -> Op:
    """The convolution in that many directions."""
    name, coarse, kernel = f"conv{rank}d", ",".join(COARSE[rank]), ",".join(KERNEL[:rank])
    window = ",".join(f"s·{place}+{within}-a" for place, within in zip(COARSE[rank], KERNEL, strict=False))
    return register(
        Op(
            name, _conv(name), _conv_rule, normalise=_conv_arguments(name, rank), operands=("x", "W", "b"),
            family="network", samples=samples,
            formula=f"∂y[n,o,{coarse}]/∂x[n,c,{window}] = W[o,c,{kernel}], ∂y[n,o,{coarse}]/∂W[o,c,{kernel}] = "
            f"x[n,c,{window}], ∂y[n,o,{coarse}]/∂b[o] = 1, for stride s and padding a",
            note=f"x[n,c,{coarse}], or without the batch, and W[o,c,{kernel}], c being a channel within its group; "
            "cross-correlation, as networks have it: the kernel is not flipped. Padding may be 'valid' or 'same'.",
        )
    )  # fmt: skip


conv1d = convolution(
    1,
    [
        sample((2, 2, 5), (3, 2, 2), (3,)), sample((2, 5), (1, 2, 3), stride=2, padding=1),
        sample((1, 4, 4), (4, 2, 2), (4,), padding="same", groups=2),
        sample((1, 2, 5), (2, 1, 2), dilation=2, groups=2),
    ],
)  # fmt: skip
conv2d = convolution(
    2,
    [
        sample((1, 2, 4, 4), (2, 2, 2, 2), (2,)), sample((1, 1, 4, 5), (2, 1, 3, 2), stride=2, padding=1),
        sample((2, 1, 3, 3), (1, 1, 2, 2), padding=(1, 0), stride=(2, 1)),
        sample((1, 1, 5, 4), (1, 1, 2, 2), dilation=2), sample((2, 3, 3), (4, 1, 2, 2), (4,), padding=1, groups=2),
    ],
)  # fmt: skip
conv3d = convolution(
    3,
    [
        sample((1, 1, 2, 3, 2), (1, 1, 2, 2, 1), (1,)),
        sample((2, 2, 2, 3), (2, 1, 1, 2, 2), padding=(0, 1, 0), groups=2),
        sample((1, 1, 3, 3, 3), (1, 1, 2, 2, 2), stride=(1, 2, 1), dilation=(2, 1, 1)),
    ],
)  # fmt: skip
