"""What a person claims, in whichever form: an array, a function, an expression as text, or index notation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from jacobian.checking import index_notation
from jacobian.checking.labelled import Evaluation
from jacobian.errors import ArgumentError, DTypeError, JacobianError, LabelError, NonFiniteError, ShapeError, report
from jacobian.expressions import Expression, did_you_mean
from jacobian.expressions.vocabulary import CONSTANTS, functions
from jacobian.kernel import syntax
from jacobian.kernel.expression import Jacobian

Array = np.ndarray[Any, np.dtype[Any]]

UPSTREAM_NAMES = ("G", "upstream", "g", "u", "grad")
_KINDS = {"U": "text", "S": "text", "O": "objects"}
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class Names:
    """What a claim may speak of: the inputs in order, the output, and what the function calls on the way."""

    inputs: tuple[str, ...]
    output: str
    inner: tuple[str, ...]
    left: Callable[[Sequence[str]], str]
    """The left side of a formula with these labels, or others where they are too few or too many."""

    of_output: tuple[str, ...] = ()
    """What the function calls its output besides, so that a formula may be of these."""

    def upstream_of(self, asked: Sequence[str]) -> str | None:
        """Which of the names that a claim asks for is the upstream: the one name that is nothing else."""
        known = {*self.inputs, self.output, *self.inner}
        strange = [name for name in asked if name not in known]
        if len(strange) == 1:
            return strange[0]
        return next((name for name in strange if name in UPSTREAM_NAMES), None)

    @property
    def known(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(dict.fromkeys((*self.inputs, self.output, *self.inner)))


class Claim(Protocol):
    """A claim that has been read."""

    moves: bool
    """Whether it can be evaluated at other points than the given one."""

    is_exact: bool
    """Whether it names its axes, so that no layout is to be guessed."""

    argnum: int | None
    """The input it speaks of, when it says so itself."""

    unbalanced: tuple[str, ...]
    """Labels that stand once, on the right side alone: their sum is not written."""

    def at(self, args: Sequence[Any], values: Mapping[str, Any], shapes: tuple[Any, Any], upstream: Any) -> Array:
        """The claimed array at a point."""


def read(claim: Any, names: Names, *, downstream: bool) -> Claim:
    """Find out what form a claim has.

    Raises:
        ArgumentError: it is none of the forms, or a function that asks for what there is not.
        ExpressionError: a text that cannot be read.
    """
    if isinstance(claim, str):
        if index_notation.is_formula(claim):
            return Formula(claim, names, downstream=downstream)
        labels = index_notation.labels_without_left_side(claim, {*names.known, *CONSTANTS, *functions()})
        if labels:
            left = f"put in front what it is: {names.left(labels)} = …"
            raise LabelError(report("the claim is index notation without its left side", claim=claim, fix=left))
        return _of_expression(claim, names, downstream=downstream)
    if isinstance(claim, Jacobian):
        return Values(np.asarray(claim))
    if callable(claim):
        return Function(claim, names, downstream=downstream)
    try:
        array = np.asarray(claim)
    except ValueError:
        raise ShapeError(report("the claim is not an array: its rows differ in length")) from None
    if array.dtype.kind in "USO" and isinstance(claim, np.ndarray | list | tuple | complex):
        raise DTypeError(report(f"the claim holds {_KINDS[array.dtype.kind]}, not numbers"))
    if array.dtype.kind not in "iufcb":
        raise ArgumentError(
            report(
                f"a claim is an array, a function or a text, not {type(claim).__name__}",
                fix='claim=W, claim=lambda W, x: W, or claim="dy[i]/dx[j] = W[i,j]"',
            )
        )
    if downstream:
        raise ArgumentError(
            report(
                "a downstream claim is a function of the upstream, not an array",
                fix="claim=lambda A, B, G: G @ B.T",
            )
        )
    return Values(array)


def is_second_order(claim: Any) -> bool:
    """Whether a claim says itself that it is a second derivative."""
    return isinstance(claim, str) and index_notation.is_second_order(claim)


class Values:
    """An array: it can be compared at the given point only."""

    moves, is_exact = False, False
    argnum: int | None = None
    unbalanced: tuple[str, ...] = ()

    def __init__(self, array: Array) -> None:
        self.array = array.astype(float) if array.dtype.kind in "iub" else array

    def at(self, args: Sequence[Any], values: Mapping[str, Any], shapes: tuple[Any, Any], upstream: Any) -> Array:
        """The array itself."""
        return self.array


class Function:
    """A function of the inputs, and of whatever else it asks for by name."""

    moves, is_exact = True, False
    argnum: int | None = None
    unbalanced: tuple[str, ...] = ()

    def __init__(self, function: Callable[..., Any], names: Names, *, downstream: bool) -> None:
        self.function, self.names = function, names
        self.asked, self.upstream_name = self._parameters(downstream)

    def _parameters(self, downstream: bool) -> tuple[tuple[str, ...] | None, str | None]:
        """Which values it is called with, None being the inputs as they come; and what it calls the upstream."""
        try:
            parameters = list(inspect.signature(self.function).parameters.values())
        except (TypeError, ValueError):
            return None, None
        if any(parameter.kind in _VARIADIC for parameter in parameters):
            return None, None
        asked = [p.name for p in parameters if p.default is p.empty]
        upstream = self.names.upstream_of(asked) if downstream else None
        known = {*self.names.known, *([upstream] if upstream else [])}
        unknown = [name for name in asked if name not in known]
        if not unknown:
            return tuple(asked), upstream
        count = len(self.names.inputs)
        if len(asked) == count + downstream and not set(asked[:count]) & known:  # names of its own: by position
            return None, None
        fix = did_you_mean(unknown[0], self.names.known)
        raise ArgumentError(
            report(f"the claim asks for {unknown[0]}, which there is not", known=", ".join(self.names.known), fix=fix)
        )

    def at(self, args: Sequence[Any], values: Mapping[str, Any], shapes: tuple[Any, Any], upstream: Any) -> Array:
        """What the function returns."""
        if self.asked is None:
            given = [*args, *([] if upstream is None else [upstream])]
        else:
            given = [upstream if name == self.upstream_name else values[name] for name in self.asked]
        try:
            result = self.function(*given)
        except JacobianError:
            raise
        except (ValueError, TypeError, IndexError, ArithmeticError, np.linalg.LinAlgError, NameError) as error:
            got = ", ".join(f"{name} {np.shape(value)}" for name, value in zip(self.asked or (), given, strict=False))
            raise ArgumentError(report(f"the claim cannot be evaluated: {error}", got=got or None)) from error
        return _numbers(result)


def _of_expression(text: str, names: Names, *, downstream: bool) -> Function:
    """An expression as text; the one name it uses that is nothing else is the upstream."""
    inputs = [name for name in names.known if name.isidentifier() and not name.startswith("_")]
    used = _names_used(text)
    if downstream:
        inputs += [name for name in used if name in UPSTREAM_NAMES and name not in inputs]
    unknown = [name for name in used if name not in inputs and name not in CONSTANTS and name not in functions()]
    if unknown and unknown[0] not in ("np", "numpy", "linalg", "fft"):
        fix = did_you_mean(unknown[0], [*inputs, *functions()]) or index_notation.captured(unknown[0])
        known = ", ".join(names.known)
        raise LabelError(report(f"the claim uses {unknown[0]}, which is not known", claim=text, known=known, fix=fix))
    expression = Expression(text, inputs)
    asked = [name for name in inputs if name in expression.used]

    def evaluate(*given: Any) -> Any:
        values = dict.fromkeys(inputs, 0.0) | dict(zip(asked, given, strict=True))
        return expression(*(values[name] for name in inputs))

    evaluate.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in asked]
    )
    return Function(evaluate, names, downstream=downstream)


def _names_used(text: str) -> list[str]:
    """The names in an expression, in order; none where it cannot be read, which is told elsewhere."""
    try:
        tree = syntax.expression(text.strip())
    except (SyntaxError, ValueError):
        return []
    return list(dict.fromkeys(index_notation.names_in(tree)))


class Formula:
    """Index notation: the positions say what is meant, so there is no layout to guess."""

    moves, is_exact = True, True

    def __init__(self, text: str, names: Names, *, downstream: bool) -> None:
        self.sides = index_notation.parse(text, names.output)
        if self.sides.into not in names.inputs:
            fix = did_you_mean(self.sides.into, names.inputs) or f"one of {', '.join(names.inputs)}"
            raise LabelError(report(f"there is no input {self.sides.into}", formula=self.sides.text, fix=fix))
        others = {*names.known} - {names.output, *names.of_output}
        if self.sides.out in others and not (downstream and not self.sides.outs):
            headline = f"the formula differentiates {self.sides.out}, but what the function returns is {names.output}"
            fix = f"d{names.output} in place of d{self.sides.out}"
            raise LabelError(report(headline, formula=self.sides.text, fix=fix))
        self.argnum: int | None = names.inputs.index(self.sides.into)
        self.names, self.downstream = names, downstream
        self.unbalanced: tuple[str, ...] = ()

    def spoken(self, out: Sequence[int], into: Sequence[int]) -> Array | None:
        """Of which entries it speaks, where its left side has numbers: `dy[0]/dx[1]` is one; None for all."""
        sides = self.sides
        outs = [None] * len(out) if self.downstream and not sides.outs else [*map(index_notation.number_of, sides.outs)]
        places = [*outs, *map(index_notation.number_of, sides.ins)]
        if all(place is None for place in places):
            return None
        found = np.zeros((*out, *into), bool)
        found[tuple(slice(None) if place is None else place for place in places)] = True
        return found

    def at(self, args: Sequence[Any], values: Mapping[str, Any], shapes: tuple[Any, Any], upstream: Any) -> Array:
        """The full tensor."""
        out, into = shapes
        if self.downstream:
            names = dict.fromkeys(UPSTREAM_NAMES, upstream)
            values = {**names, **values}
            out = () if not self.sides.outs else out
        else:
            values = {**values, self.sides.out: values[self.names.output]} if self.sides.out not in values else values
        evaluation = Evaluation(self.sides, values, out, into)
        tensor = evaluation.tensor()
        self.unbalanced = tuple(sorted(evaluation.unbalanced))
        return _numbers(tensor)


def _numbers(result: Any) -> Array:
    if isinstance(result, Jacobian):
        result = result.tensor()
    try:
        array = np.asarray(result)
    except ValueError:
        raise ShapeError(report("the claim does not return an array: its rows differ in length")) from None
    if array.dtype.kind not in "iufcb":
        raise DTypeError(report(f"the claim returns {_kind(result)}, not an array of numbers"))
    return array.astype(float) if array.dtype.kind in "iub" else array


def _kind(result: Any) -> str:
    return "None" if result is None else f"{type(result).__name__}"


def checked(array: Array) -> Array:
    """The array, if all its entries are finite."""
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        place = ",".join(map(str, bad[0]))
        raise NonFiniteError(
            report(
                f"the claim holds {len(bad)} value{'s' if len(bad) > 1 else ''} that {'are' if len(bad) > 1 else 'is'} "
                "not finite",
                first=f"claim[{place}] = {array[tuple(bad[0])]}" if array.ndim else f"claim = {array}",
            )
        )
    return array
