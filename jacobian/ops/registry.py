"""What an op is: one declaration with the forward, the Jacobian rule, the samples and the documentation.

Families (`families.py`) make most ops in one line each. Whoever needs more writes a `primitive`: the forward, and for
every operand a rule that returns its Jacobian.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from jacobian.errors import (
    ArgumentError,
    ConvergenceError,
    DTypeError,
    IndexingError,
    JacobianError,
    ShapeError,
    report,
)
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.meanings import Given
from jacobian.kernel.operands import holds_complex
from jacobian.kernel.term import Array
from jacobian.ops.collection import Registry
from jacobian.ops.growth import OF_FAMILIES, Growth
from jacobian.ops.samples import SAME, Kink, Params, Sample, sample
from jacobian.ops.signatures import called_as, signature

__all__ = ["SAME", "Kink", "Params", "Sample", "sample"]  # which others get from here

NO_PARAMS: Params = {}
NO_NAMES: Mapping[str, str] = {}

_NUMBERS = (np.ndarray, np.generic, int, float, complex)  # one tuple: `a | b` is made anew at every look


class Point(NamedTuple):
    """Where a rule is evaluated: the output, the operands, the other arguments, and what formulas call them."""

    y: Array
    x: tuple[Array, ...]
    params: Params
    names: tuple[str, ...]
    out_name: str = "y"
    decided: Any = None  # what the op's `decides` said, where the values themselves are not to be looked at
    called: Mapping[str, str] = NO_NAMES  # what formulas call the arrays among the other arguments, by their word


Rule = Callable[[Point, int], Jacobian]
Normalise = Callable[..., tuple[tuple[Any, ...], Params]]
Decides = Callable[[tuple[Array, ...], Params], Hashable]
Settled = Callable[[Sequence[Any], Params], tuple[tuple[Any, ...], Params]]


def _differentiate(*args: Any) -> Callable[..., Any]:
    """Stands for `jac.jacobian` until somebody needs it: that puts itself in this place."""
    importlib.import_module(f"{__package__.partition('.')[0]}.functional")
    return Op.differentiate(*args)


class Op:
    """An operation with its Jacobian. Call it, or ask for `.jacobian(...)`.

    >>> import numpy as np, jacobian as jac
    >>> jac.ops.matmul(np.eye(2), np.ones((2, 1)))
    array([[1.],
           [1.]])
    >>> print(jac.ops.matmul.jacobian(np.eye(2), np.ones((2, 1))).formula)
    ∂Y[i,k]/∂A[i,j] = B[j,k]
    """

    differentiate: ClassVar[Callable[..., Callable[..., Any]]] = staticmethod(_differentiate)
    """`jac.jacobian`, for composites, which are traced through. It stands to the right and puts itself here."""

    built_in = False

    def __init__(
        self,
        name: str,
        forward: Callable[..., Any],
        rule: Rule,
        *,
        answers: Iterable[Callable[..., Any]] = (),
        normalise: Normalise | None = None,
        samples: Sequence[Sample] = (),
        operands: Sequence[str] = ("x",),
        out_name: str = "y",
        family: str = "primitive",
        formula: str = "",
        note: str = "",
        source: str = "",
        kinks: Sequence[Kink] = (),
        constants: Sequence[int] = (),
        views: bool = False,
        of_complex: str = "complex",
        explain_failure: Callable[..., None] | None = None,
        decides: Decides | None = None,
        aliases: Sequence[str] = (),
        dtype_by_value: bool = False,
        needs: str = "",
        growth: Growth | None = None,
        beside_rule: Callable[..., Any] | None = None,
        settled: Settled | None = None,
    ) -> None:
        self.name = name
        self.aliases = tuple(aliases)  # other names it is found by
        self.forward = forward
        self.rule = rule
        self.answers = tuple(answers)
        self.normalise = normalise or _all_operands
        self.samples = tuple(samples)
        self.operands = tuple(operands)
        self.out_name = out_name
        self.family = family
        self.derivative = formula
        self.kinks = tuple(kinks)
        self.note = " ".join([*([note.strip()] if note else []), *map(str, self.kinks)])
        self.source = source  # the book or paper of the formula
        self.constants = frozenset(constants)  # operands, by place, of which there is no derivative
        self.module = ""  # where it is declared
        self.views = views
        self.of_complex = of_complex  # "complex": dy = J dz; "real part": y is real and dy = real(J dz); or "refused"
        self.explain_failure = explain_failure
        self.decides = decides  # what the rule decides by looking at values: part of a node's key
        self.dtype_by_value = dtype_by_value  # complex for some real operands: not known before it is computed
        self.needs = needs  # the library without which it cannot be computed
        self.beside_rule = beside_rule  # the forward within rounding, with what the rule computes anyway
        self.settled = settled  # positions among the operands, which a trace may leave open, as parameters again
        self.growth = growth or OF_FAMILIES.get(family)  # how large its results may be, where that is known
        self.called = called_as(name, self.answers)
        self.rename(name)
        self._arguments = forward if family == "composite" else normalise

    def rename(self, name: str) -> None:
        """Have that name, and be documented by it."""
        self.name = self.__name__ = self.__qualname__ = name
        self.__doc__ = self._documentation()

    def __getattr__(self, name: str) -> Any:
        """The signature is made when it is asked for: most are never looked at."""
        if name != "__signature__":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self.__signature__ = signature(self._arguments, self.operands)
        return self.__signature__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The value; traced when an argument is."""
        if self.family == "composite":
            return self.compute(args, dict(kwargs))
        operands, params = self.bind(args, kwargs)
        for operand in operands:
            if not isinstance(operand, np.ndarray | np.generic | float | int):
                handler = getattr(type(operand), "__array_function__", None)
                if handler is not None and not isinstance(operand, Jacobian):
                    result = handler(operand, self, (type(operand),), args, kwargs)
                    if result is not NotImplemented:
                        return result
        return self.compute([as_operand(operand) for operand in operands], params)

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[tuple[Any, ...], Params]:
        """Arguments sorted into operands, which can be differentiated, and all others."""
        try:
            return self.normalise(*args, **kwargs)
        except JacobianError:
            raise
        except TypeError as error:
            raise ArgumentError(report(f"{self.called}: {self._told(error)}")) from None

    def compute(self, operands: Sequence[Array], params: Params) -> Any:
        """The forward on bound arguments; what NumPy refuses becomes an error of ours."""
        try:
            return self.forward(*operands, **params)
        except JacobianError as error:
            if error.refused is None or self.family != "composite":
                raise
            raise self._explained(error.refused, operands, params) from None  # this was called, no op within it
        except (ValueError, TypeError, IndexError, np.linalg.LinAlgError, NotImplementedError) as error:
            raise self._explained(error, operands, params) from None

    def _told(self, error: Exception) -> str:
        """The error's text, which is to speak of the function that was called, not of one of ours."""
        return re.sub(r"^[\w.<>]+\(\)", f"{self.called}()", str(error))

    def _explained(self, error: Exception, operands: Sequence[Array], params: Params) -> JacobianError:
        if self.explain_failure is not None:
            try:
                self.explain_failure(self, operands, params)
            except JacobianError as better:
                return better
        kinds: dict[type[Exception], type[JacobianError]] = {IndexError: IndexingError, TypeError: ArgumentError}
        kind = next((ours for theirs, ours in kinds.items() if isinstance(error, theirs)), ShapeError)
        if isinstance(error, np.linalg.LinAlgError) and "converge" in str(error):
            kind = ConvergenceError
        names = argument_names(self, len(operands))
        got = ", ".join(describe(name, operand) for name, operand in zip(names, operands, strict=True))
        extra = ", ".join(f"{name}={value!r}" for name, value in params.items() if value is not None)
        found = kind(report(f"{self.called}: {self._told(error)}", got=got, **{"with": extra or None}))
        found.refused = error
        return found

    def jacobian(self, *args: Any, argnums: int | Sequence[int] = 0, **kwargs: Any) -> Any:
        """The full Jacobian with respect to operand `argnums`; a tuple of them for a tuple of numbers.

        Raises:
            DTypeError: an operand is boolean, text or an object.
            ArgumentError: there is no such operand.
        """
        if self.family == "composite":
            return Op.differentiate(self, argnums)(*args, **kwargs)
        operands, params = self.bind(args, kwargs)
        numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        if not operands:
            headline = f"{self.name}.jacobian needs the operands at which the Jacobian is taken"
            raise ArgumentError(report(headline, fix=f"{self.name}.jacobian({', '.join(self.operands)})"))
        for number in numbers:
            if not -len(operands) <= number < len(operands):
                raise ArgumentError(report(f"{self.name} has {len(operands)} operands; there is no number {number}"))
        wanted = {number % len(operands) for number in numbers}
        values = [
            snapshot(promoted(x, operand_names(self, len(operands))[k]) if k in wanted else as_operand(x))
            for k, x in enumerate(operands)
        ]
        y = np.asarray(self.compute(values, params))
        names = operand_names(self, len(operands))
        for k in wanted:
            if is_complex(values[k]) and not is_complex(y):
                raise not_holomorphic(self.called, names[k], values[k])
        point = Point(y, tuple(values), params, names, self.out_name)
        scope = Given({**dict(zip(names, values, strict=True)), self.out_name: y})
        found = tuple(self.local(point, k % len(operands)).within(scope, self.out_name, names[k]) for k in numbers)
        return found[0] if isinstance(argnums, int) else found

    def local(self, point: Point, k: int) -> Jacobian:
        """The local Jacobian with respect to operand k, named and of the output's dtype."""
        if k in self.constants:
            raise no_derivative(self.name, point.names[k])
        self._refuse_not_holomorphic(point, k)
        J = self.rule(point, k)
        expected = (tuple(np.shape(point.y)), tuple(np.shape(point.x[k])))
        if (J.out_shape, J.in_shape) != expected:
            entrywise = not self.built_in and (J.out_shape, J.in_shape) == (expected[1], ())
            raise ShapeError(
                report(
                    f"{self.name}: the rule of operand {k} returned a Jacobian of the wrong shape",
                    got=f"{J.out_shape} × {J.in_shape}",
                    needed=f"{expected[0]} × {expected[1]} (output × operand)",
                    fix="entry by entry it is a diagonal: np.diag(…), or as text, '3 * x**2'" if entrywise else None,
                )
            )
        dtype = np.result_type(point.y.dtype)
        J.names = (point.out_name, point.names[k])
        if dtype.kind in "fc":
            ends = self.of_complex == "real part" and dtype.kind == "f" and holds_complex(J.terms)
            J.dtype = np.result_type(dtype, np.complex64) if ends and is_complex(point.x[k]) else dtype
        return J

    def _refuse_not_holomorphic(self, point: Point, k: int) -> None:
        """Of complex numbers only what has one complex derivative can be differentiated, and real parts of that."""
        if not is_complex(point.x[k]):
            return
        becomes_real = self.of_complex == "complex" and point.y.dtype.kind != "c"
        if becomes_real or self.of_complex == "refused":
            raise no_complex_derivative(self, self.name, point.names[k], point.x[k])

    def _documentation(self) -> str:
        lines = [f"`{self.name}`: {self.note}" if self.note else f"`{self.name}`."]
        if self.derivative:
            lines.append(f"Derivative: {self.derivative}.")
        if self.aliases:
            lines.append(f"Also called {', '.join(f'`{alias}`' for alias in self.aliases)}.")
        return "\n\n".join(lines)

    def __repr__(self) -> str:
        """Its name and family."""
        return f"<op {self.name} ({self.family})>"


def no_derivative(called: str, name: str) -> ArgumentError:
    """The error for an operand that an op has no derivative by."""
    fix = f"{name} must not depend on what is differentiated by"
    return ArgumentError(report(f"{called}: there is no derivative with respect to {name}", fix=fix))


def no_complex_derivative(op: Op, called: str, name: str, value: Any, line: str | None = None) -> ArgumentError:
    """The error for a complex number on the way that an op's rule does not hold for."""
    fix = "write it with the real and the imaginary part, z.real and z.imag"
    if not op.built_in:
        fix += "; or declare it with holomorphic=True if its rules hold for complex numbers"
    headline = f"{called}: there is no derivative with respect to the complex {name}"
    return ArgumentError(report(headline, got=describe(name, value), line=line, fix=fix))


def not_holomorphic(called: str, name: str, value: Any, line: str | None = None) -> ArgumentError:
    """The error for a function of a complex input that has no complex derivative."""
    headline = f"{called} is not holomorphic: there is no derivative with respect to the complex {name}"
    fix = "write it in real and imaginary part, f(x + 1j*y), and differentiate by the real x and y"
    return ArgumentError(report(headline, got=describe(name, value), line=line, fix=fix))


def is_complex(value: Any) -> bool:
    """Whether an operand holds complex numbers."""
    dtype = getattr(value, "dtype", None)
    return dtype is not None and np.dtype(dtype).kind == "c"


def refuse_out(name: str, out: Any) -> None:
    """Raise the error for a function that is asked to fill an array."""
    if out is not None:
        raise ArgumentError(report(f"{name}: out= cannot be traced", fix="use the returned array"))


def as_operand(value: Any) -> Any:
    """An operand as rules see it: numbers stay Python's, so that float32 stays float32; lists become arrays."""
    if type(value) is np.ndarray and value.dtype.kind != "O":
        return value
    if isinstance(value, np.ndarray):
        return _plain(value)
    if isinstance(value, _NUMBERS) or hasattr(value, "__array_function__"):
        return value.tensor() if isinstance(value, Jacobian) else value
    return _plain(np.asarray(value), type(value))


def _plain(array: np.ndarray, given: type | None = None) -> np.ndarray:
    """The array, unless it is of a kind that means something else by the same operations, or holds no numbers."""
    given = given or type(array)
    name = f"{given.__module__.partition('.')[0]}.{given.__name__}"
    if isinstance(array, np.ma.MaskedArray):
        why, fix = "masked arrays are not taken: the mask would be lost", "m.filled(0), or np.where with m.mask"
    elif isinstance(array, np.matrix):
        why, fix = "np.matrix is not taken: its * is a matrix product", "np.asarray(M), and @ for matrix products"
    elif array.dtype.kind == "O" and given is not type(None):
        why, fix = "an operand holds Python objects", "give an array of numbers; of a sparse matrix, S.toarray()"
    else:
        return array
    raise DTypeError(report(why, got=f"{name} of {array.dtype}, shape {array.shape}", fix=fix))


def _all_operands(*operands: Any) -> tuple[tuple[Any, ...], Params]:
    return operands, {}


def operand_names(op: Op, count: int) -> tuple[str, ...]:
    """Names for `count` operands: those declared, numbered when there are more."""
    if count <= len(op.operands):
        return op.operands[:count]
    return tuple(f"{op.operands[-1]}{k + 1}" for k in range(count))


def argument_names(op: Op, count: int) -> tuple[str, ...]:
    """The same as the user knows them: those of a composite are the parameters of its function."""
    given = tuple(getattr(op, "__signature__").parameters) if op.family == "composite" else ()  # noqa: B009
    return given[:count] if count <= len(given) else operand_names(op, count)


def describe(name: str, value: Any) -> str:
    """`A float64[2,3]`; of a list that holds traced arrays, `A [float64[2], float64[3]]`."""
    if isinstance(value, list | tuple) and any(hasattr(one, "__array_function__") for one in value):
        return f"{name} [{', '.join(describe('', one).strip() for one in value)}]"
    return f"{name} {getattr(value, 'dtype', type(value).__name__)}[{','.join(map(str, np.shape(value)))}]"


def promoted(value: Any, name: str) -> Array:
    """A value to differentiate with respect to: floating or complex, integers become float64; all else is refused."""
    if type(value) is np.ndarray and value.dtype.kind == "f":
        return value
    if hasattr(value, "__array_function__") and not isinstance(value, np.ndarray | np.generic):
        return value
    try:
        array = np.asarray(value)
    except ValueError:
        raise DTypeError(report(f"{name} is not an array: its rows differ in length")) from None
    if isinstance(value, np.ma.MaskedArray):
        raise DTypeError(report(f"cannot differentiate with respect to {name}: it is masked", fix=f"{name}.filled(0)"))
    if isinstance(value, np.matrix):  # its * and ** are other ones
        headline = f"cannot differentiate with respect to {name}: np.matrix is not taken, its * is a matrix product"
        raise DTypeError(report(headline, fix=f"np.asarray({name}), and @ for matrix products"))
    if array.dtype.kind in "iu":
        return array.astype(np.float64)
    if array.dtype.kind in "fc":
        return array
    kinds = {"b": "booleans", "U": "text", "S": "text", "O": "Python objects", "M": "dates"}
    what = kinds.get(array.dtype.kind, str(array.dtype))
    raise DTypeError(
        report(
            f"cannot differentiate with respect to {name}: it holds {what}",
            got=describe(name, array),
            fix=f"give floating-point numbers, for example {name}.astype(float)" if what == "booleans" else
            "give floating-point numbers",
        )
    )  # fmt: skip


def snapshot(array: Array) -> Array:
    """The array, or a read-only copy when its owner could still change it."""
    if not isinstance(array, np.ndarray):
        keep = getattr(array, "__jacobian_snapshot__", None)  # a traced array: it may be assigned into
        return array if keep is None else keep()
    if array.base is None and not array.flags.writeable:
        return array
    copy = array.copy("K")
    copy.setflags(write=False)
    return copy


REGISTRY = Registry()
_FAMILIES = f"{__package__}.families."


def register(op: Op) -> Op:
    """Add an op to the registry and return it."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_FAMILIES):
        frame = frame.f_back
    op.module = frame.f_globals.get("__name__", "")
    return REGISTRY.add(op)
