"""What no family covers: composites of other ops, and a user's own primitive."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.term import Array
from jacobian.ops.families.elementwise import elementwise
from jacobian.ops.registry import Kink, Op, Params, Point, Sample, register, sample


def composite(
    name: str,
    function: Callable[..., Any],
    *,
    answers: Iterable[Callable[..., Any]] = (),
    samples: Sequence[Sample],
    formula: str = "",
    note: str = "",
    aliases: Sequence[str] = (),
    kinks: Sequence[Kink] = (),
) -> Op:
    """A function written in terms of other ops: traced through, so that its Jacobian is theirs."""

    def rule(point: Point, k: int) -> Jacobian:
        raise AssertionError("a composite is traced through")

    return register(
        Op(
            name, function, rule, answers=answers, samples=samples, family="composite", formula=formula, note=note,
            aliases=aliases, kinks=kinks,
        )
    )  # fmt: skip


def primitive(
    forward: Callable[..., Any],
    *rules: Any,
    name: str = "",
    samples: Sequence[Any] = (),
    answers: Iterable[Callable[..., Any]] = (),
    operands: Sequence[str] = (),
    formula: str = "",
    note: str = "",
    holomorphic: bool = False,
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
        holomorphic: whether the rules hold for complex operands too, as dy = J dx; these are refused unless they do.

    Raises:
        ArgumentError: there is no rule, or one is neither text nor a function.
        ExpressionError: a derivative cannot be read.

    >>> import numpy as np, jacobian as jac
    >>> cube = jac.primitive(lambda x: x**3, "3 * x**2", name="cube")
    >>> jac.jacobian(lambda x: cube(x).sum())(np.array([1.0, 2.0])).tensor()
    array([ 3., 12.])
    """
    if not rules:
        raise ArgumentError(report("primitive needs a Jacobian rule for every operand", fix="primitive(forward, rule)"))
    if not callable(forward):
        raise ArgumentError(report(f"primitive: the forward must be a function, not {type(forward).__name__}"))
    name = name or getattr(forward, "__name__", "primitive")
    of_complex = "complex" if holomorphic else "refused"
    found = [sample(*one) if not isinstance(one, Sample) else one for one in samples]
    if all(isinstance(rule, str) for rule in rules):
        return elementwise(
            forward,
            *rules,
            name=name,
            answers=answers,
            operands=operands,
            samples=found,
            note=note,
            of_complex=of_complex,
        )

    for number, one in enumerate(rules):
        if not callable(one):
            kinds = "every rule a function, or every rule a text"
            raise ArgumentError(report(f"{name}: rule {number} is {type(one).__name__}, no function", fix=kinds))

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
            operands=operands or _parameters(forward, len(rules)), formula=formula, note=note,
            of_complex=of_complex,
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
