"""Entry by entry: the derivative is text, compiled to compute and kept to print."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, report
from jacobian.kernel.access import Form, constant, plain
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import CACHE, Access, Pattern, Shape
from jacobian.kernel.term import Array, Factor, Term
from jacobian.ops import texts
from jacobian.ops.growth import Growth
from jacobian.ops.kinks import warn_kink
from jacobian.ops.registry import REGISTRY, Kink, Normalise, Op, Params, Point, Sample, register, sample


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
    if isinstance(factor, int | float | complex):
        pattern = elementwise_pattern(out, into, None)
        return Jacobian((Term(pattern, scale=factor),), out, into, dtype)
    pattern = elementwise_pattern(out, into, tuple(np.shape(factor)))
    return Jacobian((Term(pattern, (Factor(factor, label),)),), out, into, dtype)


def words_for(count: int) -> tuple[str, ...]:
    """What derivatives as text call so many operands."""
    return ("x",) if count == 1 else tuple(f"x{k + 1}" for k in range(count))


def elementwise(
    function: Callable[..., Any],
    *derivatives: str | None,
    name: str = "",
    answers: Iterable[Callable[..., Any]] | None = None,
    domain: Any = (-2.0, 2.0),
    special: Callable[[Point, int], str | None] | None = None,
    kink: str = "",
    at_kink: str = "",
    kink_at: Sequence[float] = (),
    singular: str = "",
    at_singular: str = "",
    torch: Mapping[str, Any] | None = None,
    note: str = "",
    samples: Sequence[Sample] = (),
    shapes: Sequence[tuple[Shape, ...]] | None = None,
    operands: Sequence[str] = (),
    normalise: Normalise | None = None,
    of_complex: str = "complex",
    growth: Growth | None = None,
) -> Op:
    """An op that works entry by entry: one derivative per operand, as text in `x` and `y` (`x1`, `x2` when binary).

    Args:
        function: the forward, usually a NumPy ufunc.
        *derivatives: for example `"1 - y**2"`; `"1"`, `"-1"` and `"0"` need no array at all. None where there is none:
            the operand must not depend on an input.
        name: of the op; the function's own unless given.
        answers: the NumPy functions it answers for; the function itself unless given.
        domain: from where samples are drawn.
        special: may give a simpler text at some points, such as `"2 * x1"` for a square.
        kink: a condition in `x` and `y` that is true where the function has no derivative.
        at_kink: what is taken there, for the warning and the documentation.
        kink_at: operands where that is so, for the documentation; found among small numbers unless given.
        singular: a condition likewise that is true where the derivative is not finite.
        at_singular: what it is there.
        torch: what PyTorch takes there; see `Kink`.
        note: one line of documentation.
        samples: further samples.
        shapes: the operands' shapes in the drawn samples; scalars, vectors, matrices and broadcasting unless given.
        operands: names of the operands.
        normalise: sorts arguments into operands and parameters when there are any.
        of_complex: what the derivative by a complex operand is; see `Op`.
        growth: how large the result may be, from how large the operands are; see `ops/growth.py`.
    """
    count = len(derivatives)
    words = words_for(count)
    name = name or function.__name__
    for one in (*derivatives, *([kink] if kink else [])) if REGISTRY.is_sealed else ():  # ours are tested instead
        if one is not None:
            texts.check(name, one, (*words, "y") if normalise is None else None)

    def decides(operands: tuple[Array, ...], params: Params) -> tuple[str | None, ...]:
        assert special is not None
        point = Point(None, operands, params, ())
        return tuple(special(point, k) for k in range(count))

    def decided(point: Point, k: int) -> str:
        """The text for this point: the general one, unless it has a simpler one."""
        general = derivatives[k]
        assert general is not None  # `constants` of the op
        if special is None:
            return general
        return (point.decided[k] if point.decided is not None else special(point, k)) or general

    def rule(point: Point, k: int) -> Jacobian:
        if k >= count:
            raise ArgumentError(
                report(f"{name} has no derivative for operand {k}", got=", ".join(map(str, derivatives)))
            )
        out, into = tuple(np.shape(point.y)), tuple(np.shape(point.x[k]))
        text = decided(point, k)
        values = dict(zip(words, point.x, strict=False)) | {"y": point.y} | point.params
        if kink:
            warn_kink(name, texts.evaluate(kink, **values), at_kink)
        if text == "0":
            return Jacobian.zero(out, into)
        if text in ("1", "-1"):
            return diagonal(out, into, int(text))
        factor = texts.evaluate_finite(name, text, values)

        named = texts.names_of(point.params, point.called)
        named |= dict(zip(words, point.names, strict=False)) | {"y": point.out_name}
        shapes = {word: tuple(np.shape(values[word])) for word in named}
        label = partial(texts.label, text, named, shapes, np.shape(factor))  # keeps no array alive
        return diagonal(out, into, factor, label)

    if shapes is None:
        shapes = [((),) * count, ((3,),) * count, ((2, 3),) * count]
        shapes += [((2, 1), (3,)), ((), (2, 2)), ((3,), ())] if count == 2 else []
    names = dict(zip(words, operands or words, strict=False))
    place = sample(*kink_at) if kink_at else None
    kinks = [Kink(_renamed(kink, names), at_kink, place, torch or {})] if kink else []
    kinks += [Kink(_renamed(singular, names), at_singular, place, torch or {}, "NonFiniteWarning")] if singular else []
    pairs = [f"∂y/∂{word} = {text}" for word, text in zip(words, derivatives, strict=True) if text is not None]
    return register(
        Op(
            name, function, rule,
            answers=(function,) if answers is None else answers,
            normalise=normalise or _ufunc_arguments(name),
            samples=[*(sample(*group, domain=domain) for group in shapes), *samples],
            operands=operands or words, family="elementwise", formula=_renamed(", ".join(pairs), names),
            note=note, kinks=kinks, constants=[k for k, text in enumerate(derivatives) if text is None],
            decides=decides if special is not None else None, of_complex=of_complex, growth=growth,
        )
    )  # fmt: skip


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """A text about `x1` and `x2`, about the operands by their own names."""
    return re.sub(r"\bx\d*\b", lambda word: names.get(word[0], word[0]), text)


def _ufunc_arguments(name: str) -> Normalise:
    def normalise(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], Params]:
        for key, value in kwargs.items():
            if value is None or (key == "where" and value is True) or key in ("casting", "order", "subok"):
                continue
            fix = {"out": "write y = f(x) instead of filling an array", "where": "np.where(condition, f(x), other)"}
            raise ArgumentError(report(f"{name}: {key}= cannot be traced", fix=fix.get(key)))
        return args, {}

    return normalise
