"""Generated from the registry: what must not change a Jacobian, and what NumPy allows at the edges."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.ops import Op, Sample
from jacobian.ops.registry import Params
from jacobian.tracing.tree import map_leaves
from tests.differences import central
from tests.ops.test_rules import CASES, flat_inputs, one_array, through_numpy, with_input


def jacobian_of(op: Op, args: tuple[Any, ...], kwargs: Params, k: int, x: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return jac.jacobian(lambda v: one_array(through_numpy(op, with_input(args, k, v), kwargs)))(x)


def spaced(x: np.ndarray) -> np.ndarray:
    """The same numbers with gaps between them."""
    wide = np.full(tuple(3 * size + 1 for size in x.shape), np.nan)
    view = wide[(*(slice(1, 3 * size + 1, 3) for size in x.shape), ...)]
    view[...] = x
    return view


def backwards(x: np.ndarray) -> np.ndarray:
    """The same numbers, with negative strides."""
    flip = (slice(None, None, -1),) * x.ndim
    return np.asarray(x[flip].copy()[flip])


def frozen(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "spaced": spaced, "backwards": backwards, "Fortran": lambda x: np.asarray(x, order="F"), "read-only": frozen,
}  # fmt: skip


@pytest.mark.parametrize(("op", "sample"), CASES)
def test_memory_layout_does_not_matter(op: Op, sample: Sample) -> None:
    args, kwargs = sample.draw(4)
    for k, x in enumerate(flat_inputs(args, kwargs)):
        expected = np.asarray(jacobian_of(op, args, kwargs, k, x))
        for name, arranged in LAYOUTS.items():
            found = np.asarray(jacobian_of(op, args, kwargs, k, arranged(x)))
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11, err_msg=name)


def single(args: tuple[Any, ...]) -> tuple[Any, ...]:
    def lower(leaf: Any, _: str) -> Any:
        return leaf.astype(np.float32) if isinstance(leaf, np.ndarray) and leaf.dtype == float else leaf

    return map_leaves(lower, args)


@pytest.mark.parametrize(("op", "sample"), CASES)
def test_single_precision_stays(op: Op, sample: Sample) -> None:
    """The Jacobian has the dtype that the result has in NumPy, and nearly the same numbers."""
    args, kwargs = sample.draw(4)
    low = single(args)
    for k, x in enumerate(flat_inputs(low, kwargs)):
        if x.dtype != np.float32:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = np.asarray(one_array(through_numpy(op, low, kwargs)))
        J = jacobian_of(op, low, kwargs, k, x)
        if y.dtype.kind in "fc":
            assert J.dtype == y.dtype
            assert np.asarray(J).dtype == y.dtype
        expected = np.asarray(jacobian_of(op, args, kwargs, k, flat_inputs(args, kwargs)[k]))
        if expected.shape != np.shape(J):
            continue  # what is cut off by its value is cut off elsewhere
        scale = 1 + np.abs(expected).max(initial=0.0)
        np.testing.assert_allclose(np.asarray(J) / scale, expected / scale, rtol=0, atol=2e-3)


# -- axes -------------------------------------------------------------------------------------------------------------


def first_shape(args: tuple[Any, ...]) -> tuple[int, ...]:
    """The shape of the first array, which is what axes count."""
    found: list[tuple[int, ...]] = []
    map_leaves(lambda leaf, _: found.append(np.shape(leaf)) if isinstance(leaf, np.ndarray) else None, args)
    return found[0] if found else ()


AXES = [case for case in CASES if isinstance(case.values[1].kwargs.get("axis"), int | tuple)]


def same_jacobian(op: Op, sample: Sample, other: Params, keepdims: bool = False) -> None:
    args, kwargs = sample.draw(5)
    for k, x in enumerate(flat_inputs(args, kwargs)):
        expected = np.asarray(jacobian_of(op, args, kwargs, k, x))
        found = np.asarray(jacobian_of(op, args, other, k, x))
        if keepdims:
            found = found.reshape(expected.shape)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("op", "sample"), AXES)
def test_axes_counted_from_the_end(op: Op, sample: Sample) -> None:
    """An axis is the same counted from the other end, wherever NumPy takes it so."""
    args, kwargs = sample.draw(5)
    axis = kwargs["axis"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = through_numpy(op, args, kwargs)
        for rank in (len(first_shape(args)), np.ndim(one_array(plain))):
            other = kwargs | {"axis": _turned(axis, rank)}
            try:
                agrees = np.array_equal(one_array(through_numpy(op, args, other)), one_array(plain))
            except Exception:  # whatever NumPy does with an axis that is not there
                continue
            if agrees:
                same_jacobian(op, sample, other)
                return
    raise AssertionError("NumPy takes no axis from the other end")


def _turned(axis: Any, rank: int) -> Any:
    if isinstance(axis, tuple):
        return tuple(one - rank if one >= 0 else one + rank for one in axis)
    return axis - rank if axis >= 0 else axis + rank


REDUCING = [case for case in CASES if "axis" in case.values[1].kwargs and "keepdims" not in case.values[1].kwargs]


@pytest.mark.parametrize(("op", "sample"), REDUCING)
def test_kept_axes(op: Op, sample: Sample) -> None:
    """Wherever NumPy takes keepdims=, the Jacobian has the same numbers and its axes of size one."""
    args, kwargs = sample.draw(5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            kept = np.shape(through_numpy(op, args, kwargs | {"keepdims": True}))
        except (TypeError, ValueError):
            return
        plain = np.shape(through_numpy(op, args, kwargs))
    if op.name == "vecdot":
        return  # it refuses keepdims= by name
    if np.prod(kept) != np.prod(plain):
        return
    same_jacobian(op, sample, kwargs | {"keepdims": True}, keepdims=True)
    for k, x in enumerate(flat_inputs(args, kwargs)):
        assert jacobian_of(op, args, kwargs | {"keepdims": True}, k, x).out_shape == kept


# -- sizes ------------------------------------------------------------------------------------------------------------


def resized(sample: Sample, change: Callable[[tuple[int, ...]], tuple[int, ...]]) -> Sample | None:
    """The sample with other shapes, if it has arrays that are drawn."""
    changed = 0

    def swap(arg: Any) -> Any:
        nonlocal changed
        if isinstance(arg, list):
            return [swap(item) for item in arg]
        if isinstance(arg, tuple) and all(type(size) is int for size in arg):
            changed += 1
            return change(arg)
        return arg

    args = tuple(swap(arg) for arg in sample.args)
    return Sample(args, sample.kwargs, sample.domain) if changed else None


SHRUNK: dict[str, Callable[[tuple[int, ...]], tuple[int, ...]]] = {
    "no axes": lambda shape: (),
    "one entry": lambda shape: (1,) * len(shape),
    "no entries": lambda shape: (0, *shape[1:]) if shape else (),
    "an empty last axis": lambda shape: (*shape[:-1], 0) if shape else (),
}


QUIRKS = {"einsum", "nanquantile", "nanpercentile"}
"""NumPy takes 0 for 3 in `ii->i`, and forgets the axis of several quantiles of nothing."""


def is_numpys(op: Op) -> bool:
    return any((getattr(f, "__module__", None) or "numpy").startswith("numpy") for f in op.answers)


@pytest.mark.parametrize("shrunk", SHRUNK)
@pytest.mark.parametrize(("op", "sample"), CASES)
def test_sizes_that_numpy_allows(op: Op, sample: Sample, shrunk: str) -> None:
    """Where NumPy returns finite numbers for such shapes, so do we, with the Jacobian that differences show."""
    other = resized(sample, SHRUNK[shrunk])
    if other is None or (op.name in QUIRKS and shrunk.endswith(("entries", "axis"))):
        return
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            args, kwargs = other.draw(6)
            y = one_array(through_numpy(op, args, kwargs))
        except Exception:  # NumPy does not allow it
            return
        y = np.asarray(y)
        if y.dtype.kind not in "fc" or not np.isfinite(y).all():
            return
        for k, x in enumerate(flat_inputs(args, kwargs)):

            def f(value: Any, k: int = k, args: Any = args, kwargs: Any = kwargs) -> Any:
                return one_array(through_numpy(op, with_input(args, k, value), kwargs))

            try:
                J = jac.jacobian(f)(x)
            except jac.errors.ShapeError:
                assert not is_numpys(op), "NumPy takes this"
                continue
            assert J.shape == y.shape + x.shape
            found = np.asarray(J)
            if found.size:
                np.testing.assert_allclose(found, central(f, x), rtol=1e-5, atol=1e-7)
