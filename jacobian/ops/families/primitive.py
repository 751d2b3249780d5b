"""What no family covers: composites of other ops, and a user's own primitive."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.term import Array
from jacobian.ops import texts
from jacobian.ops.families.elementwise import elementwise, words_for
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

    A rule is called as `rule(y, *operands, **params)`, the output first, and returns a `Jacobian`, or an array of shape
    output + operand. Text is the derivative of an op that works entry by entry, as in `"1 - y**2"`, whose output has
    the shape that its operands have together; in it `y` is the output, and the operands are known by their names and as
    `x`, or `x1`, `x2` where there are several. The op works inside traced functions, and is checked like the built-in
    ones by `jac.check`.

    Args:
        forward: operands first, all other arguments by keyword.
        *rules: one per operand.
        name: the forward's own unless given.
        samples: arguments to test it on: tuples of arrays, or `sample(...)`.
        answers: NumPy functions it answers for.
        operands: names of the operands, for formulas and in texts; the forward's own unless given.
        formula: the derivative as documentation shows it.
        note: one line of documentation.
        holomorphic: whether the rules hold for complex operands too, as dy = J dx; these are refused unless they do.

    Raises:
        ArgumentError: there is no rule, or one is neither text nor a function; when it is used, the forward gives no
            array, or a rule takes other arguments or gives no numbers.
        ExpressionError: a derivative cannot be read, or uses a name that is not known or may be two things.
        ShapeError: when it is used, a Jacobian has the wrong shape, or text is the derivative of what does not work
            entry by entry.

    >>> import numpy as np, jacobian as jac
    >>> cube = jac.primitive(lambda x: x**3, "3 * x**2", name="cube")
    >>> jac.jacobian(lambda x: cube(x).sum())(np.array([1.0, 2.0])).tensor()
    array([ 3., 12.])
    >>> by_A, by_x = lambda y, A, x: jac.ops.matmul.jacobian(A, x), lambda y, A, x: A
    >>> times = jac.primitive(lambda A, x: A @ x, by_A, by_x, name="times")
    >>> jac.jacobian(times, argnums=1)(np.ones((2, 3)), np.ones(3)).shape
    (2, 3)
    """
    if not rules:
        raise ArgumentError(report("primitive needs a Jacobian rule for every operand", fix="primitive(forward, rule)"))
    if not callable(forward):
        raise ArgumentError(report(f"primitive: the forward must be a function, not {type(forward).__name__}"))
    name = name or getattr(forward, "__name__", "primitive")
    of_complex = "complex" if holomorphic else "refused"
    found = [sample(*one) if not isinstance(one, Sample) else one for one in samples]
    operands = operands or _parameters(forward, len(rules))
    if all(isinstance(rule, str) for rule in rules):
        return elementwise(
            _checked(name, forward, entry_by_entry=True),
            *(texts.in_words(name, rule, operands, words_for(len(rules))) for rule in rules),
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
        _refuse_other_arguments(name, rules[k], k, point)
        J = rules[k](point.y, *point.x, **point.params)
        if isinstance(J, Jacobian):
            return J
        return Jacobian.from_array(_as_numbers(name, J, k, point), np.ndim(point.y), f"∂{name}")

    def normalise(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], Params]:
        return args, kwargs

    return register(
        Op(
            name, _checked(name, forward), rule, answers=answers, normalise=normalise, samples=found,
            operands=operands or ("x",), formula=formula, note=note,
            of_complex=of_complex,
        )
    )  # fmt: skip


def _checked(name: str, forward: Callable[..., Any], *, entry_by_entry: bool = False) -> Callable[..., Any]:
    """The forward, whose result is looked at: nothing else can be differentiated, or be what a text is about."""
    if isinstance(forward, np.ufunc):
        return forward

    @wraps(forward)
    def checked(*operands: Any, **params: Any) -> Any:
        y = forward(*operands, **params)
        y = np.asarray(y) if isinstance(y, int | float | complex) else y
        if getattr(getattr(y, "dtype", None), "kind", "") not in tuple("biufc"):
            kind = f"one of {y.dtype}" if hasattr(y, "dtype") else type(y).__name__
            fix = "return np.array(…)" if isinstance(y, list | tuple) else None
            raise ArgumentError(report(f"{name}: the forward must return an array of numbers, not {kind}", fix=fix))
        if entry_by_entry and np.shape(y) != _together(operands):
            got = ", ".join(f"{np.shape(operand)}" for operand in operands)
            headline = f"{name}: its derivative is text, but it does not work entry by entry"
            fix = "give its Jacobian: a function, called as rule(y, *operands)"
            raise ShapeError(report(headline, got=f"operands of the shape {got}, output {np.shape(y)}", fix=fix))
        return y

    return checked


def _together(operands: Sequence[Any]) -> tuple[int, ...] | None:
    """The shape that operands have together by NumPy's broadcasting."""
    try:
        return np.broadcast_shapes(*map(np.shape, operands))
    except ValueError:
        return None


def _refuse_other_arguments(name: str, rule: Callable[..., Any], k: int, point: Point) -> None:
    try:
        taken = inspect.signature(rule)
    except (TypeError, ValueError):
        return
    try:
        taken.bind(point.y, *point.x, **point.params)
    except TypeError as error:
        words = ", ".join(["y", *point.names, *(f"{word}=…" for word in point.params)])
        raise ArgumentError(
            report(
                f"{name}: rule {k} does not take the output and the operands: {error}",
                got=f"rule{taken}", fix=f"a rule is called as rule({words})",
            )
        ) from None  # fmt: skip


def _as_numbers(name: str, J: Any, k: int, point: Point) -> Array:
    """What a rule returned, as an array of numbers."""
    if hasattr(J, "__array_function__") and not isinstance(J, np.ndarray):  # traced
        return J
    try:
        array = np.asarray(J)
    except ValueError:  # rows that differ in length
        array = np.asarray(None)
    if array.dtype.kind not in "biufc":
        kind = type(J).__name__ if array.dtype.kind != "O" or J is None else f"{type(J).__name__} of objects"
        raise ArgumentError(report(f"{name}: rule {k} must return a Jacobian or an array of numbers, not {kind}"))
    if array.dtype.kind == "c" and np.result_type(point.y).kind != "c":
        raise ArgumentError(report(f"{name}: rule {k} returns complex numbers, but the output is real"))
    return array.astype(float) if array.dtype.kind in "biu" else array


def _parameters(forward: Callable[..., Any], count: int) -> tuple[str, ...]:
    try:
        names = list(inspect.signature(forward).parameters)
    except (TypeError, ValueError):
        names = []
    names = names[: getattr(forward, "nin", len(names))]  # a ufunc's others are none of its operands
    return tuple(names[:count]) if len(names) >= count else ()
