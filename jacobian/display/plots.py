"""Jacobians drawn by matplotlib, after its conventions: into `ax`, giving back the image, never calling `show`."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from jacobian.display.heatmap import Scale
from jacobian.display.raster import Raster, raster
from jacobian.display.titles import quotient
from jacobian.errors import ArgumentError, MissingExtraError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Shape

CELLS = 512


def axes(ax: Any, name: str) -> Any:
    """The axes that were given, else matplotlib's current ones."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise MissingExtraError(report(f"{name} needs matplotlib", fix="pip install 'jacobian[plot]'")) from error
    if ax is not None and not hasattr(ax, "imshow"):
        got = type(ax).__name__
        raise ArgumentError(report(f"{name}: ax= takes matplotlib's axes", got=got, fix="fig, ax = plt.subplots()"))
    return plt.gca() if ax is None else ax


def plot(J: Jacobian, ax: Any = None, **kwargs: Any) -> Any:
    """The heat map: red positive, blue negative, white the small ones, nothing where an entry is zero."""
    ax = axes(ax, "J.plot")
    cells = _cells(J)
    values = np.abs(cells.values) if cells.values.dtype.kind == "c" else cells.values
    hidden = (values == 0) & (cells.known | ~cells.reached)
    peak = Scale.of(values).peak or 1.0
    signed = cells.values.dtype.kind != "c"
    given: dict[str, Any] = {"cmap": "RdBu_r" if signed else "Purples"}
    if "norm" not in kwargs:
        given |= {"vmin": -peak if signed else 0.0, "vmax": peak}
    return _image(J, cells, np.ma.masked_array(values.astype(float), hidden), ax, {**given, **kwargs})


def spy(J: Jacobian, ax: Any = None, **kwargs: Any) -> Any:
    """Which entries the structure reaches."""
    ax = axes(ax, "J.spy")
    cells = _cells(J)
    mask = np.ma.masked_array(np.ones(cells.reached.shape), ~cells.reached)
    return _image(J, cells, mask, ax, {"cmap": "Greys", "vmin": 0.0, "vmax": 2.0, **kwargs})


def _cells(J: Jacobian) -> Raster:
    if J.size:
        return raster(J, CELLS)
    empty = np.zeros((1, 1))
    return Raster(empty, empty > 0, empty == 0, (1, 1), None)


def _image(J: Jacobian, cells: Raster, values: Any, ax: Any, kwargs: dict[str, Any]) -> Any:
    """The cells where their entries are, with rules between the blocks of leading axes."""
    high, wide = (count * each for count, each in zip(cells.values.shape, cells.entries, strict=True))
    given = {
        "extent": (-0.5, wide - 0.5, high - 0.5, -0.5), "interpolation": "nearest",
        "aspect": "equal" if max(high, wide) <= 20 * min(high, wide) else "auto",
    }  # fmt: skip
    image = ax.imshow(values, **{**given, **kwargs})
    ax.set_xlim(-0.5, max(1, prod(J.in_shape)) - 0.5)
    ax.set_ylim(max(1, prod(J.out_shape)) - 0.5, -0.5)
    for place in _blocks(J.out_shape):
        ax.axhline(place, color="gray", linewidth=0.8)
    for place in _blocks(J.in_shape):
        ax.axvline(place, color="gray", linewidth=0.8)
    out, into = quotient(J).replace("$", r"\$").split("/∂") if J.ndim else ("", "")
    ax.set_ylabel(out.removeprefix("∂"))
    ax.set_xlabel(into)
    return image


def _blocks(shape: Shape) -> list[float]:
    """Where the leading axes change, if that is not too often to be seen."""
    if len(shape) < 2 or prod(shape[:-1]) > 64:
        return []
    return [k * shape[-1] - 0.5 for k in range(1, prod(shape[:-1]))]
