"""Ops that reduce axes, and scans. Linear reductions need no array; scans are guards, so they run in linear time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, report
from jacobian.kernel.access import Form, Lookup, affine, plain
from jacobian.kernel.equations import Guard
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Access, Pattern, Shape
from jacobian.kernel.term import Array, Factor, Term
from jacobian.ops import texts
from jacobian.ops.families import (
    along,
    composite,
    count_reduced,
    diagonal,
    elementwise,
    from_tables,
    gather,
    kept,
    moved,
    reduced,
    reduced_axes,
    reduction,
    spelled_output,
)
from jacobian.ops.growth import averaged, largest, summed
from jacobian.ops.kinks import nowhere, warn_kink, warn_ties
from jacobian.ops.registry import SAME, Kink, Normalise, Op, Params, Point, is_complex, register, sample

POSITIVE = (0.3, 2.5)


def arguments(name: str, **defaults: Any) -> Normalise:
    """`(a, axis, dtype, out, keepdims, …)` as reductions take them; `out=` is refused, `dtype=` carried out first."""

    def normalise(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *,
        initial: Any = None, where: Any = True, **rest: Any,
    ) -> tuple[tuple[Any, ...], Params]:  # fmt: skip
        if out is not None:
            raise ArgumentError(report(f"{name}: out= cannot be traced", fix="use the returned array"))
        if dtype is not None:
            a = np.astype(np.asarray(a) if isinstance(a, list | int | float) else a, np.dtype(dtype))
        unknown = set(rest) - set(defaults)
        if unknown:
            raise TypeError(f"unexpected argument {sorted(unknown)[0]!r}")
        params: Params = {"axis": tuple(axis) if isinstance(axis, list) else axis, "keepdims": bool(keepdims)}
        if where is not True:
            params["where"] = np.asarray(where)
        if initial is not None and type(initial).__name__ != "_NoValueType":
            params["initial"] = initial
        return (a,), params | defaults | rest

    return normalise


def _no_dtype(name: str, **defaults: Any) -> Normalise:
    inner = arguments(name, **defaults)

    def normalise(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, **rest: Any) -> Any:
        return inner(a, axis, None, out, keepdims, **rest)

    return normalise


sum = reduction(  # noqa: A001 - NumPy's own name
    "sum", np.sum, "1", normalise=arguments("sum"), growth=summed(largest),
    samples=[sample((2, 3), axis=1, where=np.array([True, False, True]))],
)  # fmt: skip
mean = reduction(
    "mean", np.mean, lambda point: 1 / _count(point), normalise=arguments("mean"), formula="1 / n", growth=averaged,
    samples=[sample((2, 3), axis=1, where=np.array([True, False, True]))],
)  # fmt: skip


def _count(point: Point) -> Any:
    """How many entries count: a number, or an array when `where` decides."""
    mask = point.params.get("where", True)
    if mask is True:
        return count_reduced(point)
    shape = np.shape(point.x[0])
    axes = reduced_axes(point.params.get("axis"), len(shape), "mean")
    return np.sum(np.broadcast_to(mask, shape), axis=axes, keepdims=True).astype(np.result_type(point.y))


def _var_rule(point: Point, k: int) -> Jacobian:
    centred, apart = _centred(point)
    n = _count(point) - point.params["ddof"]
    if not isinstance(n, int | float) or n <= 0:  # it differs from entry to entry, or is none
        return reduced(point, 2.0 * centred / n)
    return reduced(point, centred, apart) * (2.0 / n)


def _std_rule(point: Point, k: int) -> Jacobian:
    """Two factors, of which the one with y is small; where y is 0 it is 0."""
    params, rank = point.params, np.ndim(point.x[0])
    centred, apart = _centred(point)
    y = kept(point)
    warn_kink("std", point.y == 0, "0")
    n = _count(point) - params["ddof"]
    over = np.where(y == 0, 0.0, 1.0 / (n * np.where(y == 0, 1.0, y)))
    if len(reduced_axes(params["axis"], rank, "std")) == rank and not params["keepdims"]:
        over = np.reshape(over, ())
    if not isinstance(n, int | float):
        return reduced(point, centred, "", Factor(over))
    return reduced(point, centred, apart, Factor(over, f"1 / ({n} * {spelled_output(point, rank)})"))


def _centred(point: Point) -> tuple[Array, str]:
    """How far every entry is from the mean, 0 where it is left out; and how a formula says so where none is."""
    x, params, name = point.x[0], point.params, point.names[0]
    mean_x = np.mean(x, axis=params["axis"], keepdims=True, **_where(params))
    centred, rank = _conjugated(x - mean_x), np.ndim(x)
    if "where" in params:
        return centred * np.asarray(params["where"], dtype=np.result_type(point.y)), ""
    mean = texts.over("mean", name, reduced_axes(params["axis"], rank, "mean"), rank)
    return centred, f"({texts.at(name, range(rank))} - {mean})"


def _conjugated(x: Array) -> Array:
    """What a real part is taken of when x is complex."""
    return np.conjugate(x) if is_complex(x) else x


def _where(params: Params) -> Params:
    return {"where": params["where"]} if "where" in params else {}


def _spread_arguments(name: str) -> Normalise:
    inner = arguments(name, ddof=0)

    def normalise(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, **rest: Any
    ) -> Any:
        correction = rest.pop("correction", ddof)
        return inner(a, axis, dtype, out, keepdims, ddof=correction, **rest)

    return normalise


SPREAD = [
    sample((4,), ddof=1), sample((2, 3), axis=1, ddof=1, keepdims=True),
    sample((2, 4), axis=1, where=np.array([True, False, True, True])),
]  # fmt: skip
var = register(
    Op(
        "var", np.var, _var_rule, answers=(np.var,), family="reduction", normalise=_spread_arguments("var"),
        formula="∂y/∂x = 2 (x - mean(x)) / (n - ddof)", of_complex="real part",
        samples=[*SPREAD, sample((4,)), sample((2, 3), axis=0), sample((2, 3, 2), axis=(0, -1))],
    )
)  # fmt: skip
STD_OF_EQUALS = Kink(
    "y == 0", "0", sample(np.array([1.0, 1.0])), torch={"torch.std(x, correction=0)": SAME},
)  # fmt: skip
std = register(
    Op(
        "std", np.std, _std_rule, answers=(np.std,), family="reduction", kinks=[STD_OF_EQUALS],
        normalise=_spread_arguments("std"), formula="∂y/∂x = (x - mean(x)) / ((n - ddof) y)",
        of_complex="real part",
        samples=[*SPREAD, sample((4,)), sample((2, 3), axis=0), sample((2, 3, 2), axis=(0, -1))],
    )
)  # fmt: skip


def _product_of_others(point: Point) -> Array | tuple[Array, str]:
    """Every entry's derivative is the product of all others: y / x, or one product each when there are zeros."""
    x = point.x[0]
    if "where" in point.params:
        x = np.where(point.params["where"], x, 1.0)
    if nowhere(x == 0):
        return kept(point) / x, "y / x"
    shape = tuple(np.shape(x))
    axes = reduced_axes(point.params["axis"], len(shape), "prod")
    rest = [axis for axis in range(len(shape)) if axis not in axes]
    order = [*rest, *axes]
    lines = np.reshape(np.transpose(x, order), (*(shape[axis] for axis in rest), 1, -1))
    itself = np.eye(int(np.shape(lines)[-1]), dtype=bool)
    others = np.prod(np.where(itself, 1.0, lines), axis=-1) * point.params.get("initial", 1.0)
    return np.transpose(np.reshape(others, tuple(shape[axis] for axis in order)), np.argsort(order))


prod = reduction(
    "prod", np.prod, _product_of_others, normalise=arguments("prod"), formula="product of the other entries",
    samples=[sample(np.array([2.0, 0.0, 3.0])), sample(np.array([[0.0, 0.0], [1.0, 2.0]]), axis=1)],
)  # fmt: skip


def _extreme(name: str, function: Any, argument: Any) -> Op:
    def rule(point: Point, k: int, called: str = name) -> Jacobian:
        x, params = point.x[0], point.params
        shape = tuple(np.shape(x))
        axes = reduced_axes(params["axis"], len(shape), name)
        rest = [axis for axis in range(len(shape)) if axis not in axes]
        if "where" in params:
            x = np.where(params["where"], x, -np.inf if name == "max" else np.inf)
        if np.size(x) == 0:
            return Jacobian.zero(tuple(np.shape(point.y)), shape)
        if not shape:
            reached = point.y == x if "initial" in params or "where" in params else True
            label = f"({point.names[0]} == {point.out_name})" if reached is not True else "1"
            return diagonal((), (), np.asarray(reached, dtype=np.result_type(point.y)), label)
        kept_shape = tuple(shape[axis] for axis in rest)
        values = np.reshape(np.transpose(x, (*rest, *axes)), (*kept_shape, -1))
        best = argument(values, axis=-1, keepdims=True)
        y = np.reshape(point.y, (*kept_shape, 1))
        may_miss = "initial" in params or "where" in params  # the initial value may win over all entries
        reached = np.take_along_axis(values, best, -1) if may_miss else y
        warn_ties(called, values == reached, "the first of the equal entries")
        tables = _places(best[..., 0], rest, axes, shape)
        J = gather(kept_shape, shape, [tables[axis] for axis in range(len(shape))])
        if may_miss:
            won = (y == reached)[..., 0]
            J = diagonal(kept_shape, kept_shape, won * 1.0).after(J)
        return _with_kept_axes(J, point, axes) if params["keepdims"] else J

    return register(
        Op(
            name, function, rule, answers=(function, getattr(np, "a" + name)), normalise=_no_dtype(name),
            family="reduction", formula=f"an input axis table[i], table = arg{name}(x)", growth=largest,
            kinks=[
                Kink(
                    "entries are equal", "the first of them", sample(np.array([2.0, 2.0])),
                    torch={f"torch.{name}(x, 0).values": SAME, f"torch.{name}(x)": [0.5, 0.5],
                           f"torch.a{name}(x, 0)": [0.5, 0.5]},
                )
            ],
            samples=[
                sample((4,)), sample((2, 3)), sample((2, 3), axis=0), sample((2, 3, 2), axis=(0, -1)), sample(()),
                sample((2, 3), axis=-1, keepdims=True), sample((2, 3), axis=1, initial=0.0),
                sample((2, 3), axis=1, initial=0.0, where=np.array([True, False, True])),
            ],
        )
    )  # fmt: skip


def _places(best: Any, rest: Sequence[int], axes: Sequence[int], shape: Shape) -> dict[int, Any]:
    """For every input axis a table over the kept ones: where the best entry is, a place among all reduced axes."""
    where = np.unravel_index(best, tuple(shape[axis] for axis in axes)) if len(axes) > 1 else (best,)
    tables: dict[int, Any] = dict(zip(axes, where, strict=True))
    for place, axis in enumerate(rest):
        ruler = np.arange(shape[axis]).reshape((-1,) + (1,) * (len(rest) - place - 1))
        tables[axis] = np.broadcast_to(ruler, tuple(shape[a] for a in rest))
    return tables


def _with_kept_axes(J: Jacobian, point: Point, axes: tuple[int, ...]) -> Jacobian:
    return moved(lambda positions: np.expand_dims(positions, axes), J.out_shape, views=True).after(J)


max = _extreme("max", np.max, np.argmax)  # noqa: A001
min = _extreme("min", np.min, np.argmin)  # noqa: A001

# -- scans --------------------------------------------------------------------------------------------------------


def _scan_arguments(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> tuple[tuple[Any, ...], Params]:
    if dtype is not None:
        a = np.astype(a, np.dtype(dtype))
    if out is not None:
        raise ArgumentError(report("a scan with out= cannot be traced", fix="use the returned array"))
    return (a,), {"axis": None if axis in (0, -1) and np.ndim(a) == 0 else axis}


def scan(point: Point, factors: tuple[tuple[Factor, str], ...] = ()) -> Jacobian:
    """`[0 <= i - j]` along one axis and δ on the others, times factors over `"out"` or `"in"` positions."""
    shape, axis = tuple(np.shape(point.x[0])), point.params["axis"]
    if axis is None:
        flat = moved(lambda positions: positions.reshape(-1), shape, views=True)
        axis, shape = 0, flat.out_shape
        after: Jacobian | None = flat
    else:
        after = None
    axis %= len(shape)
    rank, size = len(shape), shape[axis]
    out = tuple(plain(a) for a in range(rank))
    into = tuple(plain(rank) if a == axis else plain(a) for a in range(rank))
    guard = Guard(affine(0, [(axis, 1), (rank, -1)]), size)
    accesses = tuple(Access(out if side == "out" else into, shape) for _, side in factors)
    pattern = Pattern((*shape, size), out, into, shape, shape, accesses, (guard,))
    J = Jacobian((Term(pattern, tuple(factor for factor, _ in factors)),), shape, shape)
    return J if after is None else J.after(after)


cumsum = register(
    Op(
        "cumsum", np.cumsum, lambda point, k: scan(point), answers=(np.cumsum,), normalise=_scan_arguments,
        family="reduction", formula="∂y[i]/∂x[j] = [j <= i]", note="applied in linear time, never built.",
        growth=summed(largest),
        samples=[sample((4,)), sample((2, 3), axis=0), sample((2, 3), axis=-1), sample((2, 3))],
    )
)  # fmt: skip


def _cumprod_rule(point: Point, k: int) -> Jacobian:
    x = point.x[0]
    if nowhere(x == 0):
        flat = (-1,) if point.params["axis"] is None else tuple(np.shape(x))
        rank = len(flat)
        own = texts.at(point.names[0], range(rank)) if np.ndim(x) == rank else _raveled(point.names[0], np.shape(x))
        y = Factor(np.reshape(point.y, flat), texts.at(point.out_name, range(rank)))
        return scan(point, ((y, "out"), (Factor(np.reshape(1 / x, flat), f"1 / {own}"), "in")))
    axis = point.params["axis"]
    if axis is None:
        raveled = moved(lambda positions: positions.reshape(-1), tuple(np.shape(x)), views=True)
        return _products_without_one(np.reshape(x, (-1,)), 0).after(raveled)
    return _products_without_one(x, axis % np.ndim(x))


def _raveled(name: str, shape: Sequence[int]) -> str:
    """An entry of an array that has been made flat."""
    return f"ravel({name})[@0]" if shape else name


def _products_without_one(x: Array, axis: int) -> Jacobian:
    """The general rule: the product of all entries up to i but j, built as an array over (i, j)."""
    shape = tuple(np.shape(x))
    size, rank = shape[axis], len(shape)
    lines = np.moveaxis(x, axis, -1)
    here = np.arange(size)
    use = (here[None, None, :] <= here[:, None, None]) & (here[None, None, :] != here[None, :, None])
    products = np.prod(np.where(use, lines[..., None, None, :], 1.0), axis=-1)
    products = products * (here[None, :] <= here[:, None])
    others = [a for a in range(rank) if a != axis]
    out = tuple(plain(a) for a in range(rank))
    into = tuple(plain(rank) if a == axis else plain(a) for a in range(rank))
    access = Access((*(plain(a) for a in others), plain(axis), plain(rank)), tuple(np.shape(products)))
    pattern = Pattern((*shape, size), out, into, shape, shape, (access,))
    return Jacobian((Term(pattern, (Factor(products),)),), shape, shape)


cumprod = register(
    Op(
        "cumprod", np.cumprod, _cumprod_rule, answers=(np.cumprod,), normalise=_scan_arguments, family="reduction",
        formula="∂y[i]/∂x[j] = [j <= i] y[i] / x[j]",
        samples=[
            sample((4,), domain=POSITIVE), sample((2, 3), axis=1, domain=POSITIVE), sample((2, 3), domain=POSITIVE),
            sample(np.array([2.0, 0.0, 3.0, 1.5]), axis=0), sample(np.array([[2.0, 0.0], [3.0, 1.5]])),
        ],
    )
)  # fmt: skip


def _bincount_rule(point: Point, k: int) -> Jacobian:
    """Every weight is written where its bin is: an output axis table[i]."""
    size = int(np.size(point.x[0]))
    out = (Form(0, ((Lookup(0, (plain(0),)), 1),)),)
    return from_tables((size,), out, (plain(0),), tuple(np.shape(point.y)), (size,), [point.params["x"]])


def _bincount_arguments(x: Any, /, weights: Any = None, minlength: int = 0) -> tuple[tuple[Any, ...], Params]:
    if weights is None:
        raise ArgumentError(report("bincount: without weights= the counts are whole numbers, and have no derivative"))
    return (weights,), {"x": np.asarray(x), "minlength": minlength}


bincount = register(
    Op(
        "bincount", lambda weights, x, minlength: np.bincount(x, weights, minlength), _bincount_rule,
        answers=(np.bincount,), normalise=_bincount_arguments, family="reduction", operands=("weights",),
        formula="∂y[x[i]]/∂weights[i] = 1", samples=[sample(np.array([0, 1, 0, 3]), weights=np.ones(4))],
    )
)  # fmt: skip

# accumulate keeps the entry that was the best so far: an input axis table[i]


def _running_best(name: str, ufunc: np.ufunc) -> Op:
    def rule(point: Point, k: int) -> Jacobian:
        x, axis = point.x[0], point.params["axis"]
        shape = tuple(np.shape(x))
        axis %= len(shape)
        before, first = (slice(None),) * axis, np.zeros((*shape[:axis], int(shape[axis] > 0), *shape[axis + 1 :]), bool)
        again = x[(*before, slice(1, None))] == point.y[(*before, slice(None, -1))]
        warn_kink(
            f"{ufunc.__name__}.accumulate", np.concatenate([first, again], axis), "the last of the equal entries"
        )  # fmt: skip
        places = np.arange(shape[axis]).reshape((-1,) + (1,) * (len(shape) - axis - 1))
        table = np.maximum.accumulate(np.where(x == point.y, places, 0), axis)  # each stays until the next one comes
        return along(table, axis, shape, shape)

    return register(
        Op(
            name, ufunc.accumulate, rule, family="reduction",
            kinks=[Kink("entries are equal", "the last of them", sample(np.array([1.0, 1.0])),
                        torch={f"torch.cum{name[-3:]}(x, 0).values": SAME})],
            normalise=lambda x, axis=0: ((x,), {"axis": axis}), formula="an input axis table[i]",
            note=f"`np.{ufunc.__name__}.accumulate`, the best entry so far.",
            samples=[sample((5,)), sample((3, 4), axis=1)],
        )
    )  # fmt: skip


running_max = _running_best("running_max", np.maximum)
running_min = _running_best("running_min", np.minimum)

# -- written in terms of others ------------------------------------------------------------------------------------


def _average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False) -> Any:
    if weights is None:
        result = np.mean(a, axis=axis, keepdims=bool(keepdims) and keepdims is not np._NoValue)
        total: Any = np.size(a) / np.size(result)
    else:
        if np.shape(weights) != np.shape(a) and axis is not None:
            shape = [1] * np.ndim(a)
            shape[axis] = -1
            weights = np.reshape(weights, shape)
        weights = np.broadcast_to(weights, np.shape(a))
        total = np.sum(weights, axis=axis)
        result = np.sum(a * weights, axis=axis) / total
    return (result, total) if returned else result


composite("average", _average, answers=(np.average,), samples=[sample((4,)), sample((2, 3), axis=0)])
composite(
    "ptp",
    lambda a, axis=None, out=None, keepdims=False: (
        np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)
    ),
    answers=(np.ptp,), samples=[sample((4,)), sample((2, 3), axis=1)],
)  # fmt: skip
round = elementwise(  # noqa: A001
    np.round, "0", name="round", answers=(np.round, np.around), at_kink="0",
    kink="abs(x * 10.0**decimals - rint(x * 10.0**decimals)) == 0.5", torch={"torch.round(x)": SAME},
    normalise=lambda a, decimals=0, out=None: ((a,), {"decimals": decimals}),
)  # fmt: skip
