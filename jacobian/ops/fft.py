"""Discrete Fourier transforms: operators along one axis, applied in n log n and built only when looked at.

Along several axes it is one after the other. Half a spectrum, as NumPy returns or reads it, is a part of the same
matrix: `irfft(z)` is the real part of a complex product, and has a derivative where input and output are real.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.kernel.access import plain
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Access, Pattern
from jacobian.kernel.real import RealPart
from jacobian.kernel.term import Array, Factor, Operator, Term
from jacobian.ops.families import composite
from jacobian.ops.registry import Normalise, Op, Params, Point, Sample, describe, refuse_out, register, sample
from jacobian.ops.terms import shape_of

SMALL = 2**16  # entries of a matrix that is kept


class Fourier(Operator):
    """`exp(±2πi k j / n)`, scaled by the norm, for `k < rows` and `j < cols`; 0 from position n on.

    With `half` the columns are half a spectrum, which stands for the other half as well: all but the first one, and
    the one in the middle of an even n, count twice.
    """

    def __init__(
        self, n: int, shape: tuple[int, int], dtype: np.dtype[Any], norm: Any, *, inverse: bool, half: bool
    ) -> None:
        self.n = n
        self.shape = shape
        self.dtype = dtype
        self.norm = norm
        self.inverse = inverse
        self.times: np.ndarray | None = None
        if half and shape[1]:
            self.times = np.zeros(shape[1], np.zeros((), dtype).real.dtype)
            self.times[: n // 2 + 1] = 2
            self.times[0] = 1
            if n % 2 == 0 and n // 2 < shape[1]:
                self.times[n // 2] = 1

    def apply(self, array: Any, axis: int) -> Any:
        """The transform along an axis."""
        return self._transformed(self._counted(array, axis), axis, self.shape[0])

    def apply_transposed(self, array: Any, axis: int) -> Any:
        """The same transform, for the matrix is symmetric where it is square."""
        return self._counted(self._transformed(array, axis, self.shape[1]), axis)

    def real_apply(self, array: Any, axis: int) -> Any:
        """The real part of the transform."""
        if self.times is not None:
            return self._of_half(array, axis, self.shape[0])
        return self._real_transformed(array, axis, self.shape[0])

    def real_apply_transposed(self, array: Any, axis: int) -> Any:
        """The real part of the transform, for the matrix is symmetric where it is square."""
        return self._counted(self._real_transformed(array, axis, self.shape[1]), axis)

    def between(self, array: np.ndarray, other: Operator, *, is_real: bool) -> np.ndarray | None:
        """What a filter is: an entry depends on `k - j` alone, or on `k + j`, and all are entries of one transform."""
        if not isinstance(other, Fourier) or other.n != self.n or other.times is not None:
            return None
        (rows, count), cols = self.shape, other.shape[1]
        if max(rows, cols) > self.n:
            return None
        whole = Fourier(
            self.n, (self.n, count), self.dtype, self.norm, inverse=self.inverse, half=self.times is not None
        )  # fmt: skip
        entries = (whole.real_apply if is_real else whole.apply)(array, array.ndim - 1) * other.scale
        step = -1 if self.inverse != other.inverse else 1
        first = 0 if step > 0 else cols - 1  # so far behind its beginning lies the entry of the first row and column
        windows = np.take(entries, (np.arange(rows + cols - 1) - first) % self.n, axis=-1)[..., first:]
        strides = (*windows.strides, step * windows.strides[-1])
        shape = (*windows.shape[:-1], rows, cols)
        return np.ascontiguousarray(np.lib.stride_tricks.as_strided(windows, shape, strides, writeable=False))

    @property
    def scale(self) -> float:
        """The magnitude of every entry."""
        powers = {"ortho": 0.5, "forward": 0.0 if self.inverse else 1.0}
        return float(self.n ** -powers.get(self.norm or "", 1.0 if self.inverse else 0.0))

    def dense(self) -> np.ndarray:
        """The matrix itself; a small one is often asked for again."""
        if prod(self.shape) > SMALL:
            return super().dense()
        return _small_matrix(self.n, self.shape, self.dtype, self.norm, self.inverse, self.times is not None)

    def _counted(self, array: Any, axis: int) -> Any:
        return array if self.times is None else array * self.times.reshape((-1,) + (1,) * (np.ndim(array) - axis - 1))

    def _transformed(self, array: Any, axis: int, length: int) -> Any:
        """The first entries of the transform of so many as there are; real numbers need half of the work."""
        real = array.dtype.kind != "c" and length <= self.n // 2 + 1
        whole, half = (np.fft.ifft, np.fft.ihfft) if self.inverse else (np.fft.fft, np.fft.rfft)
        return _first((half if real else whole)(array, self.n, axis, self.norm), axis, length)

    def _real_transformed(self, array: Any, axis: int, length: int) -> Any:
        """The real part of that: of half a spectrum the transform of one with the symmetry that a real result has."""
        count, middle = array.shape[axis], self.n // 2 + 1
        if array.dtype.kind == "c" and count <= middle:
            halves = np.full((count,) + (1,) * (array.ndim - axis - 1), 0.5, np.zeros((), self.dtype).real.dtype)
            halves[0] = 1
            if self.n % 2 == 0:
                halves[self.n // 2 :] = 1
            return self._of_half(array * halves, axis, length)
        return np.real(self._transformed(array, axis, length))

    def _of_half(self, array: Any, axis: int, length: int) -> Any:
        """The transform of what is half of a symmetric spectrum: real."""
        return _first((np.fft.irfft if self.inverse else np.fft.hfft)(array, self.n, axis, self.norm), axis, length)

    def __str__(self) -> str:
        """An entry as a formula, `@0` and `@1` being its row and column."""
        first = f"@1 % {self.n // 2} == 0" if self.n % 2 == 0 else "@1 == 0"  # and the one in the middle
        counted = "" if self.times is None else f"(2 - ({first})) * "
        divisor = {"ortho": f" / sqrt({self.n})", "forward": "" if self.inverse else f" / {self.n}"}
        default = f" / {self.n}" if self.inverse else ""
        sign = "" if self.inverse else "-"
        return f"{counted}exp({sign}2j * pi * @0 * @1 / {self.n}){divisor.get(self.norm or '', default)}"


@lru_cache(maxsize=8)
def _small_matrix(
    n: int, shape: tuple[int, int], dtype: np.dtype[Any], norm: Any, inverse: bool, half: bool
) -> np.ndarray:  # fmt: skip
    matrix = Operator.dense(Fourier(n, shape, dtype, norm, inverse=inverse, half=half))
    matrix.setflags(write=False)
    return matrix


def _first(array: Any, axis: int, length: int) -> Any:
    """So many entries along an axis; zeros where there are none."""
    if array.shape[axis] > length:
        return array[(*(slice(None),) * axis, slice(length))]
    missing = length - array.shape[axis]
    return np.pad(array, [(0, missing if k == axis else 0) for k in range(array.ndim)]) if missing else array


def _transform(name: str, function: Callable[..., Any], samples: Sequence[Sample], formula: str, note: str = "") -> Op:
    """A transform along one axis: the operator there, a δ on every other axis."""
    inverse, half, from_half = name in ("ifft", "irfft", "ihfft"), name in ("rfft", "ihfft"), name in ("irfft", "hfft")

    def rule(point: Point, k: int) -> Jacobian:
        into, out = shape_of(point.x[0]), shape_of(point.y)
        axis = point.params["axis"] % len(into)
        given = point.params["n"]
        n = out[axis] if not half else into[axis] if given is None else int(given)
        dtype = np.result_type(point.y.dtype, np.complex64)
        operator: Operator = Fourier(
            n, (out[axis], into[axis]), dtype, point.params["norm"], inverse=inverse, half=from_half
        )
        label = str(operator)
        if from_half and point.x[0].dtype.kind != "c":
            operator, label = RealPart(operator), f"real({label})"
        return along_axis(operator, label, axis, into, out)

    return register(
        Op(
            name, function, rule, answers=(function,), normalise=_arguments(name), family="fft", samples=samples,
            formula=formula, note=note, explain_failure=_explained, of_complex="real part" if from_half else "complex",
        )
    )  # fmt: skip


def along_axis(operator: Operator, label: str, axis: int, into: tuple[int, ...], out: tuple[int, ...]) -> Jacobian:
    """The Jacobian that is an operator along one axis and a δ on the others."""
    rank = len(into)
    rows = tuple(map(plain, range(rank)))
    columns = tuple(plain(rank) if position == axis else form for position, form in enumerate(rows))
    access = Access((plain(axis), plain(rank)), operator.shape)
    pattern = Pattern((*out, into[axis]), rows, columns, out, into, (access,))
    return Jacobian((Term(pattern, (Factor(operator, label),)),), out, into, operator.dtype)


def _arguments(name: str) -> Normalise:
    def normalise(
        a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None
    ) -> tuple[tuple[Any, ...], Params]:
        refuse_out(name, out)
        return (a,), {"n": n, "axis": axis, "norm": norm}

    return normalise


def _explained(op: Op, operands: Sequence[Array], params: Params) -> None:
    """Say what is wrong with the arguments of a transform."""
    shape, n, axis, norm = shape_of(operands[0]), params["n"], params["axis"], params["norm"]
    got = describe("x", operands[0])
    if norm not in (None, "backward", "ortho", "forward"):
        raise ArgumentError(report(f"{op.name}: norm must be 'backward', 'ortho' or 'forward', not {norm!r}"))
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(report(f"{op.name}: axis {axis} does not exist", got=got))
    if n is not None and n < 1:
        raise ArgumentError(report(f"{op.name}: n must be at least 1, not {n}", got=got))
    if op.name in ("rfft", "ihfft") and operands[0].dtype.kind == "c":
        raise ArgumentError(
            report(f"{op.name}: x must be real", got=got, fix="np.fft.fft(x), or the real part of x, x.real")
        )
    if n is None and (shape[axis] == 0 or op.name in ("irfft", "hfft")):
        raise ShapeError(report(f"{op.name}: there are no points along axis {axis}", got=got, fix="give n="))


LENGTHS = [
    sample((4,)), sample((5,)), sample((1,)), sample((2, 3), axis=0), sample((2, 3, 2), axis=-2), sample((5,), 3),
    sample((4,), 7), sample((2, 3), 4, 0), sample((6,), norm="ortho"), sample((5,), norm="forward"),
    sample((4,), 6, norm="backward"),
]  # fmt: skip
HALVES = [
    sample((4,)), sample((3,), 5), sample((1,), 1), sample((2, 3), axis=0), sample((2, 3, 2), axis=-2, n=3),
    sample((5,), 4), sample((3,), 8), sample((2, 3), 3, 0), sample((4,), norm="ortho"), sample((4,), 7, norm="forward"),
]  # fmt: skip

fft = _transform(
    "fft", np.fft.fft, LENGTHS, "∂y[k]/∂x[j] = exp(-2πi k j / n)",
    "applied in n log n, never built. Its Jacobian is complex.",
)  # fmt: skip
ifft = _transform("ifft", np.fft.ifft, LENGTHS, "∂y[k]/∂x[j] = exp(2πi k j / n) / n", "see `fft`.")
rfft = _transform(
    "rfft", np.fft.rfft, LENGTHS, "∂y[k]/∂x[j] = exp(-2πi k j / n), k <= n / 2", "the first half of `fft`."
)  # fmt: skip
irfft = _transform(
    "irfft", np.fft.irfft, HALVES, "∂y[k]/∂x[j] = Re(c[j] exp(2πi k j / n)) / n, c = 1, 2, 2, …",
    "the real part of a product: half a spectrum stands for the other half, so all but its first entry, and its last "
    "for even n, count twice.",
)  # fmt: skip
hfft = _transform(
    "hfft", np.fft.hfft, HALVES, "∂y[k]/∂x[j] = Re(c[j] exp(-2πi k j / n)), c = 1, 2, 2, …", "see `irfft`."
)  # fmt: skip
ihfft = _transform("ihfft", np.fft.ihfft, LENGTHS, "∂y[k]/∂x[j] = exp(2πi k j / n) / n, k <= n / 2", "see `rfft`.")

# -- several axes: one after the other --------------------------------------------------------------------------------


def _lengths(name: str, a: Any, s: Any, axes: Any) -> tuple[list[Any], list[int]]:
    """The length, or None for that of the array, of every axis to transform, and the axes."""
    shape = np.shape(a)
    if axes is None:
        axes = range(-len(shape if s is None else s), 0)
    lengths = [None] * len(axes) if s is None else list(s)
    if len(lengths) != len(axes):
        raise ShapeError(report(f"{name}: s and axes differ in length", s=tuple(lengths), axes=tuple(axes)))
    found = [shape[axis] if n == -1 else n for n, axis in zip(lengths, axes, strict=True)]
    return found, list(axes)


def _several(name: str, function: Callable[..., Any], axes: Any, along: str) -> Op:
    first = {"rfft": rfft, "irfft": irfft}.get(along)
    others = ifft if along in ("ifft", "irfft") else fft

    def transformed(a: Any, s: Any = None, axes: Any = axes, norm: str | None = None, out: Any = None) -> Any:
        refuse_out(name, out)
        lengths, axes = _lengths(name, a, s, axes)
        if first is not None and not axes:
            raise ArgumentError(report(f"{name}: there must be an axis to transform", got=describe("a", a)))
        steps = [(others, n, axis) for n, axis in zip(lengths, axes, strict=True)]
        if along == "irfft":
            steps = [*steps[:-1], (irfft, lengths[-1], axes[-1])]
        else:
            steps = [*([(first, lengths[-1], axes[-1])] if first else steps[-1:]), *reversed(steps[:-1])]
        for op, n, axis in steps:
            a = op(a, n, axis, norm)
        return a

    real = along == "irfft"
    return composite(
        name, transformed, answers=(function,), note=f"`{along}` and `{others.name}`, one axis after the other.",
        samples=[
            sample((2, 3)), sample((3, 2, 3), s=[4, 3], axes=[0, 1]), sample((2, 3), axes=[1, 0], norm="ortho"),
            sample((3, 4), s=[2, 5] if real else [2, -1], axes=[-2, -1], norm="forward"),
        ],
    )  # fmt: skip


LAST_TWO = (-2, -1)
fft2 = _several("fft2", np.fft.fft2, LAST_TWO, "fft")
ifft2 = _several("ifft2", np.fft.ifft2, LAST_TWO, "ifft")
rfft2 = _several("rfft2", np.fft.rfft2, LAST_TWO, "rfft")
irfft2 = _several("irfft2", np.fft.irfft2, LAST_TWO, "irfft")
fftn = _several("fftn", np.fft.fftn, None, "fft")
ifftn = _several("ifftn", np.fft.ifftn, None, "ifft")
rfftn = _several("rfftn", np.fft.rfftn, None, "rfft")
irfftn = _several("irfftn", np.fft.irfftn, None, "irfft")

# -- shifts -----------------------------------------------------------------------------------------------------------


def _shift(name: str, function: Callable[..., Any], sign: int) -> Op:
    def shifted(x: Any, axes: Any = None) -> Any:
        shape = np.shape(x)
        axes = tuple(range(len(shape))) if axes is None else (axes,) if np.ndim(axes) == 0 else tuple(axes)
        halves = tuple(sign * (shape[axis] // 2) for axis in axes)
        return np.roll(x, halves, axes) if axes else x

    return composite(
        name, shifted, answers=(function,), note="a `roll` by half of every axis.",
        samples=[sample((4,)), sample((5,)), sample((2, 3)), sample((2, 3), 1), sample((2, 3, 3), axes=[0, -1])],
    )  # fmt: skip


fftshift = _shift("fftshift", np.fft.fftshift, 1)
ifftshift = _shift("ifftshift", np.fft.ifftshift, -1)
