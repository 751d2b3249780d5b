"""How far rounding may have moved an entry: it is computed again with every step off in its last digits.

What is left where large terms cancel moves by the rounding of these terms, and what is small because it belongs to a
small output or a large input moves by little. So no entry is judged by how large another one is.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from jacobian.algebra import Numeric
from jacobian.checking.derivation import Run
from jacobian.errors import JacobianError
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.term import Factor, Operator, Term
from jacobian.plan import accumulate, paths
from jacobian.tracing.graph import Node
from jacobian.tracing.stripped import strip_all

Array = np.ndarray[Any, np.dtype[Any]]

FAILURES = (JacobianError, ArithmeticError, ValueError, TypeError, IndexError, KeyError, AttributeError, NameError,
            RuntimeError, np.linalg.LinAlgError)  # fmt: skip
"""Where something cannot be computed with other digits, nothing is known of its rounding."""

DRAWS, HARDER_DRAWS = 3, 2
"""So often everything is computed with its last digits off, and with `HARDER` times as much off."""

HARDER = 4096

SAFETY = 8
"""Rounding may be so many times what was seen."""

SURELY = 128
"""What is wrong by so many times more than one draw shows is no rounding."""

GROWS = 32
"""What does not grow with the shaking, up to this factor, is a jump from one branch to another, not rounding."""

UNSEEN = 4
"""So many last digits of an output nobody sees."""

MAX_OPERATOR = 2**18
"""Operators with more entries are not made dense to be shaken."""


class Shake:
    """Puts arrays off in their last digits, every entry by itself."""

    def __init__(self, rng: np.random.Generator, times: int = 1) -> None:
        self.rng, self.times = rng, times

    def __call__(self, value: Any) -> Any:
        """A number or an array, each entry times a little more or less than 1; whole numbers are what they are."""
        array = np.asarray(value)
        if array.dtype.kind not in "fc":
            return value
        sizes = self.rng.uniform(2, 6, array.shape) * np.where(self.rng.random(array.shape) < 0.5, -1, 1)
        eps = float(np.finfo(array.dtype).eps)
        return np.asarray(array * (1 + self.times * eps * sizes), array.dtype)

    def number(self, value: Any) -> Any:
        """A plain number in double precision."""
        return value * (1 + self.times * 2.0**-52 * float(self.rng.uniform(2, 6)) * self.rng.choice([-1.0, 1.0]))


class Rounding:
    """How far rounding may have moved every entry of what is computed; `plain` is how it came out."""

    def __init__(self, compute: Callable[[Shake], Array], plain: Array) -> None:
        self.compute, self.plain = compute, plain

    @cached_property
    def glimpse(self) -> Array:
        """What one draw shows, which is enough where nothing that is wrong is nearly as small."""
        return SAFETY * self._moved(0, HARDER)

    @cached_property
    def full(self) -> Array:
        """What all draws show."""
        gently, hard = (
            np.max([self._moved(draw, times) for draw in range(count)], axis=0)
            for count, times in ((DRAWS, 1), (HARDER_DRAWS, HARDER))
        )
        return SAFETY * np.where(gently <= GROWS * hard, gently, 0.0)

    def _moved(self, draw: int, times: int) -> Array:
        """How far one draw moves every entry, for as many digits as are rounded."""
        shake = Shake(np.random.default_rng([41, draw]), times)
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                found = np.asarray(self.compute(shake))
                moved = np.abs(found - self.plain) / times
        except FAILURES:
            return np.zeros(self.plain.shape)
        return moved if moved.shape == self.plain.shape and np.isfinite(moved).all() else np.zeros(self.plain.shape)


def enough(truth: Rounding, claim: Rounding | None, expand: Callable[[Array], Array], beyond: Array) -> Array:
    """The rounding of a truth and of a claim together; `expand` brings what is the claim's to a matrix.

    `beyond` is by how much every entry is wrong: where one draw shows that no rounding can be as large, more are not
    made.
    """

    def both(of: Callable[[Rounding], Array]) -> Array:
        found = of(truth).reshape(beyond.shape)
        return found if claim is None else found + expand(of(claim))

    seen = both(lambda one: one.glimpse)
    if not np.any((beyond > 0) & (beyond <= SURELY * seen)):
        return seen
    return both(lambda one: one.full)


# -- of the truth ------------------------------------------------------------------------------------------------------


def of_truth(run: Run) -> Rounding:
    """How far rounding may have moved the entries of the true Jacobian."""
    of, wrt = run.of, run.wrt
    if not isinstance(of, Node):
        return Rounding(lambda shake: run.tensor, run.tensor)
    return Rounding(lambda shake: np.asarray(accumulate(paths(of, [wrt]), Shaken(of, shake), "auto")[0]), run.tensor)


class Shaken(Numeric):
    """Computes with every value on the way, and every number in a local Jacobian, off in its last digits."""

    def __init__(self, of: Node, shake: Shake) -> None:
        self.shake = shake
        self.values: dict[int, Any] = {}
        self.locals: dict[tuple[int, int], Jacobian] = {}
        for node in of.trace.nodes[: of.index + 1]:
            self.values[node.index] = self._value(node)

    def _value(self, node: Node) -> Any:
        if node.op is None:
            return strip_all(node.value)
        value = node.op.compute(self._operands(node), node.params)
        return value if node.op.family == "layout" else self.shake(value)  # what only moves is not rounded

    def _operands(self, node: Node) -> list[Any]:
        operands = [strip_all(operand) for operand in node.operands]
        for position, parent in node.parents:
            operands[position] = self.values[parent.index]
        return operands

    def local(self, node: Node, operand: int) -> Jacobian:
        """The rule at the values that are off. A rule with kinks stays on its side of them: it keeps the true ones."""
        key = node.index, operand
        if key not in self.locals:
            assert node.op is not None
            point = node.point
            if not node.op.kinks:
                point = point._replace(y=np.asarray(self.values[node.index]), x=tuple(self._operands(node)))
            J = node.op.local(point, operand)
            self.locals[key] = Jacobian(map(self._term, J.terms), J.out_shape, J.in_shape, J.dtype, J.names)
        return self.locals[key]

    def _term(self, term: Term) -> Term:
        factors = tuple(Factor(self._array(factor.array), factor.label) for factor in term.factors)
        return Term(term.pattern, factors, term.tables, self.shake.number(term.scale), term.letters)

    def _array(self, array: Any) -> Any:
        array = strip_all(array)
        if isinstance(array, Operator):
            return self.shake(array.dense()) if np.prod(array.shape) <= MAX_OPERATOR else array
        return self.shake(array)


def unseen(run: Run, claimed: Array) -> Array:
    """What a zero may stand for in an array, which does not say how it was computed.

    It is nothing but rounding where the output keeps its digits even when the input becomes twice as large: so
    `y * (1 - y)` comes out as 0 for a sigmoid far to the right.
    """
    y, x = (np.abs(np.asarray(strip_all(value)).reshape(-1)) for value in (run.values[run.output_name], run.wrt.value))
    eps = float(np.finfo(np.result_type(y, np.float32)).eps)
    per = np.divide(1.0, x, out=np.zeros(x.shape), where=x > 0)
    return np.where(claimed == 0, UNSEEN * eps * np.outer(y, per), 0.0)


# -- of a claim --------------------------------------------------------------------------------------------------------


class Rough(np.ndarray[Any, np.dtype[Any]]):
    """An array with which every computation comes out off in its last digits."""

    shake: Shake | None = None

    def __array_finalize__(self, other: Any) -> None:
        self.shake = getattr(other, "shake", None)

    def __getitem__(self, key: Any) -> Any:
        return rough(super().__getitem__(key), self.shake)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        shake = self.shake or next(one.shake for one in inputs if isinstance(one, Rough))
        plain = [one.view(np.ndarray) if isinstance(one, Rough) else one for one in inputs]
        if out is not None:
            options["out"] = tuple(one.view(np.ndarray) if isinstance(one, Rough) else one for one in out)
        found = getattr(ufunc, method)(*plain, **options)
        if found is None or shake is None:
            return found
        if isinstance(found, tuple):
            return tuple(rough(one, shake) for one in found)
        if ufunc not in EXACT:
            off = shake(found)
            found = off if out is None else _written(found, off)
        return rough(found, shake) if out is None else out[0]

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        found = super().__array_function__(function, types, args, kwargs)
        if self.shake is None or not isinstance(found, np.ndarray | np.generic):
            return found
        module = getattr(function, "__module__", "")
        computes = function in COMPUTING or module in ("numpy.linalg", "numpy.fft")
        return rough(self.shake(found) if computes else found, self.shake)


EXACT = frozenset({
    np.maximum, np.minimum, np.fmax, np.fmin, np.absolute, np.fabs, np.negative, np.positive, np.sign, np.floor,
    np.ceil, np.trunc, np.rint, np.copysign, np.conjugate, np.heaviside,
})  # fmt: skip
"""What is not rounded; shaken, it would fall on the other side of a comparison."""

COMPUTING = frozenset({np.dot, np.inner, np.vdot, np.einsum, np.tensordot, np.convolve, np.correlate, np.interp})
"""Functions of NumPy that compute by themselves, not by a ufunc."""


def _written(into: Array, values: Any) -> Array:
    into[...] = values
    return into


def rough(value: Any, shake: Shake | None) -> Any:
    """An array or a number of floating point as one that computes with its last digits off; anything else as it is."""
    if not isinstance(value, np.ndarray | np.generic | float | complex) or np.asarray(value).dtype.kind not in "fc":
        return value
    found = np.asarray(value).view(Rough)
    found.shake = shake
    return found


def given(shake: Shake, args: Sequence[Any], values: Mapping[str, Any], exact: Sequence[str]) -> tuple[Any, Any]:
    """What a claim is evaluated on: the inputs as they are, what was computed from them off in its last digits."""
    found = {name: rough(value if name in exact else shake(value), shake) for name, value in values.items()}
    return [rough(one, shake) for one in args], found
