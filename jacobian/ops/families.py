"""The families that make an op from one line: elementwise, multilinear, layout, reduction; and `primitive`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.kernel.access import Form, Lookup, Table, affine, combine, constant, lookups, plain
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import CACHE, Access, Pattern, Shape, solve
from jacobian.kernel.term import Array, Factor, Term
from jacobian.ops import texts
from jacobian.ops.kinks import warn_kink
from jacobian.ops.registry import Normalise, Op, Params, Point, Sample, describe, operand_names, register, sample

# -- elementwise --------------------------------------------------------------------------------------------------


def aligned(shape: Shape, out: Shape) -> tuple[Form, ...]:
    """Where an operand of that shape is read for each output position, by NumPy's broadcasting."""
    first = len(out) - len(shape)
    return tuple(
        constant(0) if size == 1 and out[first + axis] != 1 else plain(first + axis) for axis, size in enumerate(shape)
    )


@lru_cache(maxsize=CACHE)
def elementwise_pattern(out: Shape, into: Shape, factor: Shape | None) -> Pattern:
    """`d[i]` on `i|i`, with broadcasting on either side; without a factor when that is None."""
    forms = tuple(plain(axis) for axis in range(len(out)))
    factors = () if factor is None else (Access(aligned(factor, out), factor),)
    return Pattern(out, forms, aligned(into, out), out, into, factors)


def diagonal(out: Shape, into: Shape, factor: Array, label: Any = "", dtype: Any = np.float64) -> Jacobian:
    """The Jacobian of an elementwise map whose derivative is the array `factor` (broadcasting to `out`)."""
    if isinstance(factor, np.generic):
        factor = np.asarray(factor)
    if isinstance(factor, int | float):
        pattern = elementwise_pattern(out, into, None)
        return Jacobian((Term(pattern, scale=factor),), out, into, dtype)
    pattern = elementwise_pattern(out, into, tuple(np.shape(factor)))
    return Jacobian((Term(pattern, (Factor(factor, label),)),), out, into, dtype)


def elementwise(
    function: Callable[..., Any],
    *derivatives: str,
    name: str = "",
    answers: Iterable[Callable[..., Any]] | None = None,
    domain: Any = (-2.0, 2.0),
    special: Callable[[Point, int], str | None] = lambda point, k: None,
    kink: str = "",
    at_kink: str = "",
    note: str = "",
    samples: Sequence[Sample] = (),
    shapes: Sequence[tuple[Shape, ...]] | None = None,
    operands: Sequence[str] = (),
    normalise: Normalise | None = None,
) -> Op:
    """An op that works entry by entry: one derivative per operand, as text in `x` and `y` (`x1`, `x2` when binary).

    Args:
        function: the forward, usually a NumPy ufunc.
        *derivatives: for example `"1 - y**2"`; `"1"`, `"-1"` and `"0"` need no array at all.
        name: of the op; the function's own unless given.
        answers: the NumPy functions it answers for; the function itself unless given.
        domain: from where samples are drawn.
        special: may give a simpler text at some points, such as `"2 * x1"` for a square.
        kink: a condition in `x` and `y` that is true where the function has no derivative.
        at_kink: what is taken there, for the warning and the documentation.
        note: one line of documentation.
        samples: further samples.
        shapes: the operands' shapes in the drawn samples; scalars, vectors, matrices and broadcasting unless given.
        operands: names of the operands.
        normalise: sorts arguments into operands and parameters when there are any.
    """
    count = len(derivatives)
    words = ("x",) if count == 1 else tuple(f"x{k + 1}" for k in range(count))

    def rule(point: Point, k: int) -> Jacobian:
        out, into = tuple(np.shape(point.y)), tuple(np.shape(point.x[k]))
        text = special(point, k) or derivatives[k]
        values = dict(zip(words, point.x, strict=False)) | {"y": point.y} | point.params
        if kink:
            warn_kink(name, texts.evaluate(kink, **values), at_kink)
        if text == "0":
            return Jacobian.zero(out, into)
        if text in ("1", "-1"):
            return diagonal(out, into, int(text))
        factor = texts.evaluate(text, **values)

        def label() -> str:
            named = dict(zip(words, point.names, strict=False)) | {"y": point.out_name}
            shapes = {word: tuple(np.shape(values[word])) for word in named}
            return texts.label(text, named, shapes, len(np.shape(factor)))

        return diagonal(out, into, factor, label)

    name = name or function.__name__
    if shapes is None:
        shapes = [((),) * count, ((3,),) * count, ((2, 3),) * count]
        shapes += [((2, 1), (3,)), ((), (2, 2)), ((3,), ())] if count == 2 else []
    pairs = [f"∂{'y'}/∂{word} = {text}" for word, text in zip(words, derivatives, strict=True)]
    return register(
        Op(
            name, function, rule,
            answers=(function,) if answers is None else answers,
            normalise=normalise or _ufunc_arguments(name),
            samples=[*(sample(*group, domain=domain) for group in shapes), *samples],
            operands=operands or words, family="elementwise", formula=", ".join(pairs),
            note=note + (f"Where {kink}: {at_kink} is taken." if kink else ""), smooth=not kink,
        )
    )  # fmt: skip


def _ufunc_arguments(name: str) -> Normalise:
    def normalise(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], Params]:
        for key, value in kwargs.items():
            if value is None or (key == "where" and value is True) or key in ("casting", "order", "subok"):
                continue
            fix = {"out": "write y = f(x) instead of filling an array", "where": "np.where(condition, f(x), other)"}
            raise ArgumentError(report(f"{name}: {key}= cannot be traced", fix=fix.get(key)))
        return args, {}

    return normalise


# -- multilinear --------------------------------------------------------------------------------------------------


class Einsum(tuple[tuple[str, ...], ...]):
    """Labels of every operand and, last, of the output; a label is any string."""

    def text(self, names: Sequence[str], out_name: str = "Y") -> str:
        """`A[i,j], B[j,k] -> Y[i,k]`."""
        shown = [f"{name}[{','.join(labels)}]" for name, labels in zip((*names, out_name), self, strict=True)]
        return f"{', '.join(shown[:-1])} -> {shown[-1]}"


@lru_cache(maxsize=CACHE)
def _multilinear_pattern(labels: Einsum, shapes: tuple[Shape, ...], k: int) -> tuple[Pattern, tuple[str, ...]]:
    sizes: dict[str, int] = {}
    for group, shape in zip(labels, shapes, strict=False):
        for label, size in zip(group, shape, strict=True):
            sizes[label] = size if sizes.get(label, 1) == 1 else sizes[label]
    number = {label: position for position, label in enumerate(sizes)}
    out = tuple(plain(number[label]) for label in labels[-1])

    def forms(operand: int) -> tuple[Form, ...]:
        return tuple(
            plain(number[label]) if size == sizes[label] else constant(0)
            for label, size in zip(labels[operand], shapes[operand], strict=True)
        )

    others = [operand for operand in range(len(shapes)) if operand != k]
    pattern = Pattern(
        tuple(sizes.values()), out, forms(k), tuple(sizes[label] for label in labels[-1]), shapes[k],
        tuple(Access(forms(operand), shapes[operand]) for operand in others),
    )  # fmt: skip
    return pattern, tuple(sizes)


def multilinear(
    name: str,
    function: Callable[..., Any],
    spec: Callable[..., Einsum],
    *,
    answers: Iterable[Callable[..., Any]] | None = None,
    normalise: Normalise | None = None,
    samples: Sequence[Sample],
    operands: Sequence[str] = ("A", "B"),
    formula: str = "",
    note: str = "",
) -> Op:
    """An op that is linear in every operand: its einsum is its Jacobian.

    `spec(*shapes, **params)` gives the labels of every operand and of the output.
    """

    def rule(point: Point, k: int) -> Jacobian:
        shapes = tuple(tuple(np.shape(x)) for x in point.x)
        pattern, letters = _multilinear_pattern(spec(*shapes, **point.params), shapes, k)
        factors = tuple(Factor(x, name) for j, (x, name) in enumerate(zip(point.x, point.names, strict=True)) if j != k)
        readable = letters if all(len(letter) == 1 for letter in letters) else ()
        return Jacobian((Term(pattern, factors, letters=readable),), pattern.out_shape, pattern.in_shape)

    def explain_failure(op: Op, values: Sequence[Array], params: Params) -> None:
        shapes = [tuple(np.shape(value)) for value in values]
        check_labels(op, spec(*shapes, **params), values)

    return register(
        Op(
            name, function, rule, answers=(function,) if answers is None else answers, normalise=normalise,
            samples=samples, operands=operands, out_name="Y", family="multilinear", formula=formula, note=note,
            explain_failure=explain_failure,
        )
    )  # fmt: skip


def check_labels(op: Op, labels: Einsum, values: Sequence[Array]) -> None:
    """Raise the error that names the label, both sizes and the way out, when operands disagree."""
    names = operand_names(op, len(values))
    bound: dict[str, tuple[int, str]] = {}
    for name, group, value in zip(names, labels, values, strict=False):
        for axis, (label, size) in enumerate(zip(group, np.shape(value), strict=True)):
            old, owner = bound.setdefault(label, (size, name))
            if old != size and 1 in (old, size):
                bound[label] = (max(old, size), owner if old > size else name)
            elif old != size:
                raise ShapeError(
                    report(
                        f"{op.name}: label {label} is {old} in {owner} but {size} in {name}",
                        spec=labels.text(names, op.out_name),
                        got=", ".join(describe(n, v) for n, v in zip(names, values, strict=True)),
                        bound=_bindings(bound),
                        fix=f"{name}'s {_ordinal(axis)} axis must be {old}",
                    )
                )


def _ordinal(axis: int) -> str:
    names = ("first", "second", "third", "fourth", "fifth")
    return names[axis] if axis < len(names) else f"{axis + 1}th"


def _bindings(bound: dict[str, tuple[int, str]]) -> str:
    owners: dict[str, list[str]] = {}
    for label, (size, owner) in bound.items():
        owners.setdefault(owner, []).append(f"{label}={size}")
    return "; ".join(f"{', '.join(sizes)} (from {owner})" for owner, sizes in owners.items())


# -- layout -------------------------------------------------------------------------------------------------------


def gather(out: Shape, into: Shape, tables: Sequence[np.ndarray], dtype: Any = np.float64) -> Jacobian:
    """The Jacobian of a map that only moves entries: output position o reads input position `tables[axis][o]`.

    Each table is replaced by an affine form where it is one, which is checked on all its entries.
    """
    forms: list[Form] = []
    kept: list[np.ndarray] = []
    for table in tables:
        form = _affine_of(np.broadcast_to(table, out))
        if form is None:
            axes = [axis for axis in range(len(out)) if not _constant_along(table, axis)]
            small = table[tuple(slice(None) if axis in axes else 0 for axis in range(len(out)))]
            kept.append(small)
            form = affine(0, [(Lookup(len(kept) - 1, tuple(plain(axis) for axis in axes)), 1)])
        forms.append(form)
    return from_tables(out, tuple(plain(axis) for axis in range(len(out))), tuple(forms), out, into, kept, dtype)


def from_tables(
    sizes: Shape, out_forms: tuple[Form, ...], in_forms: tuple[Form, ...], out: Shape, into: Shape,
    tables: Sequence[np.ndarray], dtype: Any = np.float64, factors: tuple[tuple[Factor, Access], ...] = (),
) -> Jacobian:  # fmt: skip
    """One term with look-ups; table t holds positions along the axis whose form uses it."""
    bounds: dict[int, int] = {}
    axes = [*zip(out_forms, out, strict=True), *zip(in_forms, into, strict=True)]
    for form, extent in [
        *axes,
        *(pair for _, access in factors for pair in zip(access.forms, access.shape, strict=True)),
    ]:
        for slot in lookups(form):
            bounds[slot] = extent
    owned = tuple(np.ascontiguousarray(table, np.intp) for table in tables)
    known = tuple(Table(table.shape, bounds[slot]) for slot, table in enumerate(owned))
    accesses = tuple(access for _, access in factors)
    pattern = Pattern(sizes, out_forms, in_forms, out, into, accesses, (), known)
    return Jacobian((Term(pattern, tuple(factor for factor, _ in factors), owned),), out, into, dtype)


def _constant_along(table: np.ndarray, axis: int) -> bool:
    if table.shape[axis] <= 1 or table.strides[axis] == 0:
        return True
    return bool((np.diff(table, axis=axis) == 0).all())


def _affine_of(table: np.ndarray) -> Form | None:
    """The affine form that the integer table is, checked on every entry; None when it is none."""
    if table.size == 0:
        return constant(0)
    corner = (0,) * table.ndim
    offset = int(table[corner])
    strides: list[tuple[Any, int]] = []
    rebuilt: Any = np.intp(offset)
    for axis, size in enumerate(table.shape):
        if size > 1:
            stride = int(table[tuple(int(a == axis) for a in range(table.ndim))]) - offset
            strides.append((axis, stride))
            rebuilt = rebuilt + stride * np.arange(size).reshape((-1,) + (1,) * (table.ndim - axis - 1))
    return affine(offset, strides) if bool((table == rebuilt).all()) else None


def moved(function: Callable[[np.ndarray], Any], shape: Shape, *, views: bool) -> Jacobian:
    """The Jacobian of a function that only moves entries, found by running it on positions instead of numbers.

    A function known to return views tells its offset and strides, and no memory is touched: the equation
    `flat position read = flat position of the input` is then solved like any other between indices. Any other
    function is run on the array of all positions.
    """
    if 0 in shape or not views:
        count = prod(shape)
        table = np.asarray(function(np.arange(count, dtype=np.intp).reshape(shape)))
        if table.size == 0:
            return Jacobian.zero(table.shape, shape)
        return gather(table.shape, shape, np.unravel_index(table, shape) if shape else ())
    ghost = as_strided(np.zeros(1, np.int8), shape, _contiguous_steps(shape), writeable=False)
    view = function(ghost)  # one byte pretends to be the whole array: only addresses are looked at
    offset = view.__array_interface__["data"][0] - ghost.__array_interface__["data"][0]
    pattern = None if view.size == 0 else _view_pattern(shape, view.shape, int(offset), tuple(view.strides))
    return Jacobian((Term(pattern),) if pattern else (), view.shape, shape)


def _contiguous_steps(shape: Shape) -> Shape:
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


@lru_cache(maxsize=CACHE)
def _view_pattern(shape: Shape, out: Shape, offset: int, strides: Shape) -> Pattern | None:
    """Solve `Σ stride·o + offset = Σ step·i` between output index vector o and input index vector i."""
    rank = len(out)

    def axis_form(index: int, size: int) -> Form:
        return constant(0) if size == 1 else plain(index)

    pattern = Pattern(
        out + shape, tuple(axis_form(axis, size) for axis, size in enumerate(out)),
        tuple(axis_form(rank + axis, size) for axis, size in enumerate(shape)), out, shape,
    )  # fmt: skip
    read = affine(offset, [(axis, step) for axis, step in enumerate(strides) if out[axis] > 1])
    steps = enumerate(_contiguous_steps(shape))
    position = affine(0, [(rank + axis, step) for axis, step in steps if shape[axis] > 1])
    solved = solve(pattern, [combine((1, read), (-1, position))])
    return solved.pattern if solved else None


def layout(
    name: str,
    function: Callable[..., Any],
    *,
    answers: Iterable[Callable[..., Any]] | None = None,
    normalise: Normalise | None = None,
    samples: Sequence[Sample],
    views: bool = True,
    note: str = "",
) -> Op:
    """An op that only moves entries; its Jacobian follows from running it on positions.

    `views` says that the function returns a view of any contiguous array.
    """

    def rule(point: Point, k: int) -> Jacobian:
        shape = tuple(np.shape(point.x[k]))
        return moved(lambda positions: function(positions, **point.params), shape, views=views)

    return register(
        Op(
            name, function, rule, answers=(function,) if answers is None else answers,
            normalise=normalise or first_is_operand, samples=samples, family="layout",
            formula="δ between the positions", note=note, views=views,
        )
    )  # fmt: skip


def first_is_operand(x: Any, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], Params]:
    """Normalise by keyword: everything behind the first argument must be given by name."""
    if args:
        raise TypeError("further arguments must be given by name")
    return (x,), kwargs


# -- reduction ----------------------------------------------------------------------------------------------------


def reduced_axes(axis: Any, rank: int, name: str) -> tuple[int, ...]:
    """The axes a reduction runs over, as non-negative numbers."""
    axes = tuple(range(rank)) if axis is None else tuple(axis) if isinstance(axis, tuple | list) else (axis,)
    for one in axes:
        if not isinstance(one, int | np.integer):
            raise ArgumentError(report(f"{name}: axis must be a whole number or a tuple of them, not {one!r}"))
        if not -rank <= one < rank:
            raise ShapeError(report(f"{name}: axis {one} does not exist", got=f"an array of {rank} axes"))
    return tuple(sorted({int(one) % rank for one in axes}))


@lru_cache(maxsize=CACHE)
def reduction_pattern(shape: Shape, axes: tuple[int, ...], keepdims: bool, factor: Shape | None) -> Pattern:
    """Output axes are the kept input axes; the reduced ones only the input has."""
    out = [(constant(0), 1) if a in axes else (plain(a), n) for a, n in enumerate(shape) if keepdims or a not in axes]
    factors = () if factor is None else (Access(aligned(factor, shape), factor),)
    into = tuple(plain(axis) for axis in range(len(shape)))
    return Pattern(shape, tuple(f for f, _ in out), into, tuple(n for _, n in out), shape, factors)


def reduced(point: Point, factor: Array, label: Any = "") -> Jacobian:
    """The Jacobian of a reduction with derivative `factor`, which broadcasts to the input's shape."""
    shape = tuple(np.shape(point.x[0]))
    axes = reduced_axes(point.params.get("axis"), len(shape), "axis")
    keepdims = bool(point.params.get("keepdims"))
    number = np.ndim(factor) == 0 and isinstance(factor, int | float)
    pattern = reduction_pattern(shape, axes, keepdims, None if number else tuple(np.shape(factor)))
    term = Term(pattern, scale=factor) if number else Term(pattern, (Factor(factor, label),))
    return Jacobian((term,), pattern.out_shape, shape)


def kept(point: Point) -> Array:
    """The output with its reduced axes kept, so that it broadcasts against the input."""
    shape = np.shape(point.x[0])
    axes = reduced_axes(point.params.get("axis"), len(shape), "axis")
    return np.reshape(point.y, tuple(1 if axis in axes else size for axis, size in enumerate(shape)))


def count_reduced(point: Point) -> int:
    """How many entries go into each output entry."""
    shape = np.shape(point.x[0])
    return prod(shape[axis] for axis in reduced_axes(point.params.get("axis"), len(shape), "axis"))


def reduction(
    name: str,
    function: Callable[..., Any],
    derivative: str | Callable[[Point], Array],
    *,
    answers: Iterable[Callable[..., Any]] | None = None,
    normalise: Normalise | None = None,
    samples: Sequence[Sample] = (),
    domain: Any = (-2.0, 2.0),
    note: str = "",
    formula: str = "",
    kink: str = "",
    at_kink: str = "",
) -> Op:
    """An op that reduces axes: its derivative by every entry, as text in `x`, `y` (reduced axes kept) and `n`.

    `where=` is understood for all of them: an entry that is left out has the derivative 0.
    """

    def rule(point: Point, k: int) -> Jacobian:
        mask = point.params.get("where", True)
        n: Any = count_reduced(point)
        if mask is not True:
            shape = np.shape(point.x[0])
            axes = reduced_axes(point.params.get("axis"), len(shape), name)
            n = np.sum(np.broadcast_to(mask, shape), axis=axes, keepdims=True)
        label: Any = ""
        if callable(derivative):
            factor = derivative(point)
        else:
            values = point.params | {"x": point.x[0], "y": kept(point), "n": n}
            if kink:
                warn_kink(name, texts.evaluate(kink, **values), at_kink)
            factor = texts.evaluate(derivative, **values)

            def label() -> str:
                shapes = {word: tuple(np.shape(values[word])) for word in ("x", "y")}
                named = {"x": point.names[0], "y": point.out_name}
                return texts.label(derivative, named, shapes, len(np.shape(factor)))

        if mask is not True:
            factor = factor * np.asarray(mask, dtype=np.result_type(point.y))
        return reduced(point, factor, label)

    samples = [
        *samples,
        sample((4,), domain=domain), sample((2, 3), domain=domain), sample((2, 3), axis=0, domain=domain),
        sample((2, 3, 2), axis=(0, -1), domain=domain), sample((2, 3), axis=-1, keepdims=True, domain=domain),
        sample((), domain=domain), sample((1,), domain=domain),
    ]  # fmt: skip
    text = derivative if isinstance(derivative, str) else formula
    return register(
        Op(
            name, function, rule, answers=(function,) if answers is None else answers, normalise=normalise,
            samples=samples, family="reduction", formula=f"∂y/∂x = {text}", note=note, smooth=not kink,
        )
    )  # fmt: skip


# -- anything else ------------------------------------------------------------------------------------------------


def composite(
    name: str,
    function: Callable[..., Any],
    *,
    answers: Iterable[Callable[..., Any]],
    samples: Sequence[Sample],
    note: str = "",
) -> Op:
    """A function written in terms of other ops: traced through, so that its Jacobian is theirs."""

    def rule(point: Point, k: int) -> Jacobian:
        raise AssertionError("a composite is traced through")

    return register(Op(name, function, rule, answers=answers, samples=samples, family="composite", note=note))


def primitive(
    forward: Callable[..., Any],
    *rules: Any,
    name: str = "",
    samples: Sequence[Any] = (),
    answers: Iterable[Callable[..., Any]] = (),
    operands: Sequence[str] = (),
    formula: str = "",
    note: str = "",
    smooth: bool = True,
) -> Op:
    """A user's own op: the forward on arrays, and for every operand its Jacobian rule.

    A rule is called as `rule(y, *operands, **params)` and returns a `Jacobian`, or an array of shape
    output + operand. Text is the derivative of an elementwise op, as in `"1 - y**2"`. The op works inside traced
    functions, and is checked like the built-in ones by `jac.check`.

    Args:
        forward: operands first, all other arguments by keyword.
        *rules: one per operand.
        name: the forward's own unless given.
        samples: arguments to test it on: tuples of arrays, or `sample(...)`.
        answers: NumPy functions it answers for.
        operands: names of the operands for formulas; the forward's own unless given.
        formula: the derivative as documentation shows it.
        note: one line of documentation.
        smooth: whether it has a second derivative everywhere.

    Raises:
        ArgumentError: there is no rule.

    >>> import numpy as np, jacobian as jac
    >>> cube = jac.primitive(lambda x: x**3, "3 * x**2", name="cube")
    >>> jac.jacobian(lambda x: cube(x).sum())(np.array([1.0, 2.0])).tensor()
    array([ 3., 12.])
    """
    if not rules:
        raise ArgumentError(report("primitive needs a Jacobian rule for every operand", fix="primitive(forward, rule)"))
    name = name or getattr(forward, "__name__", "primitive")
    found = [sample(*one) if not isinstance(one, Sample) else one for one in samples]
    if all(isinstance(rule, str) for rule in rules):
        return elementwise(forward, *rules, name=name, answers=answers, operands=operands, samples=found, note=note)

    def rule(point: Point, k: int) -> Jacobian:
        if k >= len(rules):
            raise ArgumentError(report(f"{name} has no Jacobian rule for operand {k}", got=f"{len(rules)} rules"))
        J = rules[k](point.y, *point.x, **point.params)
        return J if isinstance(J, Jacobian) else Jacobian.from_array(_as_float(J), np.ndim(point.y), f"∂{name}")

    def normalise(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], Params]:
        return args, kwargs

    return register(
        Op(
            name, forward, rule, answers=answers, normalise=normalise, samples=found,
            operands=operands or _parameters(forward, len(rules)), formula=formula, note=note, smooth=smooth,
        )
    )  # fmt: skip


def _as_float(J: Any) -> Array:
    return J if hasattr(J, "__array_function__") else np.asarray(J, dtype=float)


def _parameters(forward: Callable[..., Any], count: int) -> tuple[str, ...]:
    try:
        names = list(inspect.signature(forward).parameters)
    except (TypeError, ValueError):
        names = []
    return tuple(names[:count]) if len(names) >= count else ("x",)
