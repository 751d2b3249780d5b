"""An array that writes down what NumPy is asked to do to it: how a rule becomes lines of a program.

A rule is run once on recorded arrays. It may do whatever NumPy's protocols can see; as soon as it looks at a number,
it depends on more than shapes and cannot be written down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, NoReturn

import numpy as np
import opt_einsum

from jacobian.kernel.arraylike import ArrayLike
from jacobian.kernel.code import Code, Symbol, is_number
from jacobian.kernel.network import write_network
from jacobian.kernel.pairwise import dot
from jacobian.kernel.pattern import Shape
from jacobian.kernel.picks import may_be_taken, picks, taken
from jacobian.kernel.places import Labels, Named
from jacobian.kernel.primitives import by_long_rows, by_primitives, by_squares

_INFIX = {
    np.add: "+", np.subtract: "-", np.multiply: "*", np.divide: "/", np.power: "**", np.matmul: "@",
    np.less: "<", np.less_equal: "<=", np.greater: ">", np.greater_equal: ">=", np.equal: "==", np.not_equal: "!=",
}  # fmt: skip
_COMPARING = {np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal}
_IN_PLACE: dict[Any, str] = {np.add: "add", np.subtract: "subtract", np.multiply: "multiply", np.divide: "divide"}
FACTORED = 5  # multiplications of a product that take as long as one of those by which a matrix is factored
EXACT = 2**53  # whole numbers up to which are float64, too: NumPy compares larger ones exactly
_OF_SHAPES = {np.shape, np.ndim, np.size, np.result_type, np.iscomplexobj, np.isrealobj}  # what they say is no number


class NotRecordableError(Exception):
    """A rule asked for numbers, so that what it does cannot be written down once for all."""


def called(function: Callable[..., Any], *args: Any) -> Any:
    """A function of ours that makes a new array, called; where one of its arguments is recorded, for every run."""
    recorded = next((one for one in args if isinstance(one, Recorded)), None)
    return function(*args) if recorded is None else recorded.call(function, *args)


class Recorded(np.lib.mixins.NDArrayOperatorsMixin, ArrayLike, Symbol):
    """An array of a program together with its value in the run that is recorded."""

    __slots__ = ("code", "value")
    __hash__ = object.__hash__

    def __init__(self, code: Code, name: str, value: Any) -> None:
        Symbol.__init__(self, name, tuple(np.shape(value)), rough=True, kind=getattr(value, "dtype", None))
        self.code = code
        self.value = value

    @property
    def dtype(self) -> np.dtype[Any]:
        """The value's dtype."""
        return np.asarray(self.value).dtype

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Calls and methods of ufuncs."""
        if kwargs.get("out") is not None:
            raise NotRecordableError(ufunc.__name__)
        if method != "__call__":
            return self._call(getattr(ufunc, method), inputs, kwargs)
        if ufunc is np.power and _is_square(*inputs) and not kwargs:
            square = self.code.constant(np.square, "square")
            return self._written(lambda texts: f"{texts[0]} ** (2)", np.square, inputs[:1], square.name, new=True)
        if ufunc is np.power and not kwargs and isinstance(inputs[0], Recorded) and not self.code.exact:
            found = by_squares(*inputs)
            if found is not None:
                return found
        if ufunc in _IN_PLACE and not kwargs and not self.code.exact and all(map(_shape, map(_value, inputs))):
            found = by_long_rows(ufunc, *inputs)
            if found is not None:
                return found
        if ufunc in _INFIX and not kwargs:
            bare, sign = self._without_signs(inputs) if ufunc in (np.multiply, np.divide) else (inputs, 1)
            is_dot = ufunc is np.matmul and not self.code.exact and all(0 < np.ndim(_value(one)) < 3 for one in inputs)
            text: Callable[[Sequence[str]], str] = f" {_INFIX[ufunc]} ".join
            if ufunc in _COMPARING and not any(is_number(one) and abs(one) > EXACT for one in bare):
                text = lambda texts: f" {_INFIX[ufunc]} ".join(self._arrays_beside(texts, bare))  # noqa: E731
            result = self._written(
                (lambda texts: dot(*texts)) if is_dot else text, ufunc, bare, _IN_PLACE.get(ufunc, ""),
                new=True, products=_products(ufunc, inputs),
            )  # fmt: skip
            if ufunc is np.multiply:
                self._note_multiple(result, bare)
            if ufunc is np.equal and is_number(bare[1]) and bare[1] == 0 and result.shape:
                self.code.note_zero(result, bare[0])
            if ufunc is np.divide and is_number(bare[0]) and bare[0] == 1:
                self.code.note_reciprocal(result, bare[1])
            return result if sign == 1 else -result
        if ufunc is np.negative and not kwargs:
            result = self._written(lambda texts: f"-{texts[0]}", ufunc, inputs, "negative", new=True)
            self._note_multiple(result, (-1, *inputs))
            return result
        return self._call(ufunc, inputs, kwargs)

    def _arrays_beside(self, spelled: Sequence[str], inputs: Sequence[Any]) -> list[str]:
        """Numbers spelled as arrays, where they stand beside one of these."""
        array = next(one for one in inputs if isinstance(one, Symbol))
        return [str(self.code.beside(words, array)) for words in spelled]

    def _without_signs(self, factors: Sequence[Any]) -> tuple[list[Any], int]:
        """Factors without a minus of their own, and that of all of them: it may meet another one in front of a term."""
        found, sign = [], 1
        for factor in factors:
            number, bare = self.code.multiple(factor) if isinstance(factor, Recorded) else (1, factor)
            found.append(bare if number == -1 else factor)
            sign *= -1 if number == -1 else 1
        return found, sign

    def _note_multiple(self, result: Recorded, factors: Sequence[Any]) -> None:
        """Remember a number times an array that it changes no dtype of."""
        arrays = [one for one in factors if isinstance(one, Recorded)]
        numbers = [one for one in factors if is_number(one)]
        if len(arrays) == len(numbers) == 1 and result.dtype.kind == "f" and result.dtype == arrays[0].dtype:
            self.code.note_multiple(result, numbers[0], arrays[0])

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        """All other NumPy functions."""
        if func in _OF_SHAPES:
            return func(*map(_value, args), **kwargs)
        if func is np.stack and _is_array_of(*args, **kwargs):  # `stack` is slow
            return self._written(lambda texts: f"array({texts[0]})", np.array, (list(args[0]),))
        if func is np.stack and _is_stack(*args, **kwargs):
            return self._stacked(*args, **kwargs)
        if func is np.einsum and not self.code.exact and not kwargs.keys() - {"optimize"}:
            found = self._contracted(*args)
            if found is not None:
                return found
        if func is np.where and len(args) == 3 and _are_numbers(args):
            return self._chosen(*args)
        if func is np.transpose and len(args) == 1:
            axes = tuple(kwargs["axes"]) if isinstance(kwargs.get("axes"), list) else kwargs.get("axes")
            text = ".T" if axes is None else f".transpose({self.code.literal(axes)})"
            result = self._written(lambda texts: texts[0] + text, lambda array: np.transpose(array, axes), (self,))
            if isinstance(axes, tuple) and sorted(axes) == list(range(len(self.shape))):
                self.code.note_transposed(result, self, axes)
            return result
        if func is np.reshape and len(args) == 2 and not kwargs and isinstance(args[1], tuple) and _is_basic(args[1]):
            return self._written(lambda texts: f"{texts[0]}.reshape({args[1]})", lambda a: a.reshape(args[1]), args[:1])
        if (args and isinstance(args[0], Recorded)) or func is np.cross:
            found = by_primitives(func, args, kwargs)
            if found is not None:
                return found
        return self._call(func, args, kwargs)

    def _chosen(self, condition: Any, *values: Any) -> Any:
        """One number or another, for which `where` is slow, and makes an array of."""
        first, second = (np.float64(one) if type(one) is float else one for one in values)
        if getattr(first, "dtype", None) != np.float64 or getattr(second, "dtype", None) != np.float64:
            return self._call(np.where, (condition, *values), {})
        return self._written(
            lambda texts: f"({texts[1]} if {texts[0]} else {texts[2]})", lambda *given: np.where(*given)[()],
            (condition, first, second),
        )  # fmt: skip

    def _stacked(self, arrays: Sequence[Any], axis: int = 0) -> Any:
        """Arrays of one shape side by side: written to a new array, for which `stack` takes five times as long."""
        value = np.stack([_value(one) for one in arrays], axis)
        before = ":, " * (axis % value.ndim)
        parts = [(f"{before}{number}", self._spelled(one), _symbols(one)) for number, one in enumerate(arrays)]
        return Recorded(self.code, self.code.put_together(value.shape, value.dtype, parts).name, value)

    def _contracted(self, equation: Any, *arrays: Any) -> Any:
        """An einsum as the kernel contracts it, by BLAS where it can be; None for one that does more than that."""
        values = list(map(_value, arrays))
        labels = _labels(equation, list(map(_shape, values)))
        dtypes = {getattr(one, "dtype", None) for one in values}
        if labels is None or len(dtypes) > 1 or not dtypes < {np.dtype(np.float32), np.dtype(np.float64)}:
            return None
        symbols = [one if isinstance(one, Symbol) else self.code.constant(one) for one in arrays]
        *given, out = labels
        result = write_network(self.code, list(map(Named, symbols, given)), (), out)
        return Recorded(self.code, result.symbol.name, np.einsum(equation, *values, optimize=True))

    def __getitem__(self, key: Any) -> Any:
        """Entries."""
        if _symbols(key):
            return self.entries_of(self, key if isinstance(key, tuple) else (key,))
        found = None if _is_basic(key) else picks(np.asarray(self.value), key, exact=self.code.exact)
        if found is not None:
            return Recorded(self.code, taken(self.code, self, found).name, self.value[key])
        place = self.code.key(key) if _is_basic(key) else self.code.constant(key)
        return self._written(lambda texts: f"{texts[0]}[{place}]", lambda array: array[key], (self,))

    def entries_of(self, array: Any, key: tuple[Any, ...]) -> Any:
        """Entries of any array at positions that are recorded."""
        if any(isinstance(one, Recorded) and one.dtype.kind not in "iu" for one in key):
            raise NotRecordableError("an index")

        by_take = len(key) == 1 and may_be_taken(array, key[0], exact=self.code.exact)

        def text(texts: Sequence[str]) -> str:
            return f"{texts[0]}.take({texts[1]}, 0)" if by_take else f"{texts[0]}[{', '.join(texts[1:])}]"

        return self._written(text, lambda array, *key: array[key], (array, *key))

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """A function of ours that makes a new array."""
        name = self.code.constant(function, function.__name__)
        return self._written(lambda texts: f"{name}({', '.join(texts)})", function, args, new=True)

    def _call(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        owner = getattr(function, "__self__", None)  # of a method such as `add.reduce`
        method_of = f"{owner.__name__}_" if isinstance(owner, np.ufunc) else ""
        name = self.code.constant(function, method_of + getattr(function, "__name__", "f"))
        keywords = list(kwargs)

        def text(texts: Sequence[str]) -> str:
            count = len(texts) - len(keywords)
            named = [f"{word}={value}" for word, value in zip(keywords, texts[count:], strict=True)]
            return f"{name}({', '.join([*texts[:count], *named])})"

        def run(*values: Any) -> Any:
            count = len(values) - len(keywords)
            return function(*values[:count], **dict(zip(keywords, values[count:], strict=True)))

        entries = isinstance(function, np.ufunc) and function.signature is None and function.nout == 1
        in_place = name.name if entries and not kwargs else ""
        products = _products(function, args)
        new = bool(method_of or products) or isinstance(function, np.ufunc) or function in (np.concatenate, np.where)
        return self._written(text, run, (*args, *kwargs.values()), in_place, new=new, products=products)

    def _written(
        self, text: Callable[[Sequence[str]], str], function: Callable[..., Any], inputs: Sequence[Any],
        in_place: str = "", *, new: bool = False, products: int = 0,
    ) -> Any:  # fmt: skip
        """Write it down; `in_place` is the name of a function of entries, which takes `out=`; `new`: never a view."""
        value = function(*map(_value, inputs))
        spelled = [self._spelled(one) for one in inputs]
        if in_place and isinstance(value, np.ndarray):
            if in_place in _IN_PLACE.values():
                spelled = self._arrays_beside(spelled, inputs)
            given = [one if isinstance(one, Symbol) else words for one, words in zip(inputs, spelled, strict=True)]
            symbol = self.code.apply(text(spelled), in_place, given, value.shape, rough=True, kind=value.dtype)
        else:
            kind = getattr(value, "dtype", None)
            symbol = self.code.let(
                text(spelled), _symbols(inputs), _shape(value), new=new, kind=kind, products=products
            )  # fmt: skip
        if isinstance(value, np.ndarray | np.generic | int | float):  # some functions count, and give Python's numbers
            return Recorded(self.code, symbol.name, value)
        if isinstance(value, tuple) and all(isinstance(part, np.ndarray | np.generic) for part in value):
            parts = [
                Recorded(self.code, self.code.let(f"{symbol}[{k}]", [symbol], _shape(part)).name, part)
                for k, part in enumerate(value)
            ]
            return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
        raise NotRecordableError(type(value).__name__)

    def _spelled(self, value: Any) -> str:
        """An argument as the program's text has it."""
        if isinstance(value, Symbol):
            return value.name
        if isinstance(value, list | tuple) and _symbols(value):
            inner = "".join(f"{self._spelled(one)}, " for one in value)
            return f"[{inner}]" if isinstance(value, list) else f"({inner})"
        return self.code.literal(value)

    def astype(self, dtype: Any) -> Any:
        """Another dtype."""
        return self._written(lambda texts: f"{texts[0]}.astype({texts[1]})", np.ndarray.astype, (self, np.dtype(dtype)))

    def __getattr__(self, name: str) -> Any:
        """Methods that NumPy has as functions."""
        if name.startswith("_") or not hasattr(np.ndarray, name) or not hasattr(np, name):
            raise AttributeError(name)
        function = getattr(np, name)
        return lambda *args, **kwargs: function(self, *args, **kwargs)

    def _refuse(self, *args: Any) -> NoReturn:
        raise NotRecordableError(self.name)

    __bool__ = __float__ = __int__ = __complex__ = __index__ = __array__ = item = tolist = _refuse

    def __len__(self) -> int:
        """The length of the first axis."""
        return int(self.shape[0])


def _products(function: Callable[..., Any], args: Sequence[Any]) -> int:
    """About how many multiplications a function of matrices makes."""
    shapes = [_shape(_value(one)) for one in args]
    if function is np.einsum and isinstance(args[0], str):
        _, path = opt_einsum.contract_path(args[0], *shapes[1:], shapes=True)
        return int(path.opt_cost)
    if function in (np.matmul, np.dot) and all(shapes[:2]):
        return prod(shapes[0]) * (shapes[1][-1] if len(shapes[1]) > 1 else 1)
    module = getattr(function, "__module__", "")  # ufuncs of SciPy have none
    is_linear_algebra = module == "numpy.linalg" or getattr(function, "family", "") == "linalg"
    return of_linear_algebra(shapes[0]) if shapes and is_linear_algebra else 0


def of_linear_algebra(shape: Shape) -> int:
    """How many multiplications of a product of matrices take as long as to factor a matrix, or to invert it."""
    is_square = len(shape) > 1 and shape[-1] == shape[-2]
    return FACTORED * prod(shape) * shape[-1] if is_square else 0


def _is_square(base: Any, exponent: Any) -> bool:
    """Whether NumPy squares: then it can do so in place."""
    return isinstance(base, Recorded) and base.dtype.kind == "f" and is_number(exponent) and exponent == 2


def _are_numbers(arrays: Sequence[Any]) -> bool:
    return not any(map(np.shape, map(_value, arrays)))


def _is_array_of(arrays: Sequence[Any], axis: Any = 0, **others: Any) -> bool:
    """Whether a stack of these is what `array` makes of them."""
    if others or type(axis) is not int or not isinstance(arrays, list | tuple):
        return False
    if _are_numbers(arrays):
        return axis in (0, -1)
    return axis == 0 and len({(np.shape(one), getattr(one, "dtype", None)) for one in map(_value, arrays)}) == 1


def _is_stack(arrays: Sequence[Any], axis: Any = 0, **others: Any) -> bool:
    """Whether it is one of arrays of the same shape, along an axis that there is."""
    if others or type(axis) is not int or not isinstance(arrays, list | tuple):
        return False
    shapes = {np.shape(one) for one in map(_value, arrays)}
    return len(shapes) == 1 and -1 - len(*shapes) <= axis <= len(*shapes)


def _labels(equation: Any, shapes: Sequence[Shape]) -> list[Labels] | None:
    """The labels of an einsum's operands and of its result, as numbers; None unless the kernel's networks say it."""
    if not isinstance(equation, str) or len(shapes) < 2:
        return None
    given, arrow, out = equation.replace(" ", "").partition("->")
    groups = [*given.split(","), out]
    pairs = [pair for group, shape in zip(groups, shapes, strict=False) for pair in zip(group, shape, strict=False)]
    is_plain = (
        bool(arrow) and "." not in equation and list(map(len, groups[:-1])) == list(map(len, shapes))
        and all(len(set(group)) == len(group) for group in groups) and len(set(pairs)) == len(dict(pairs))
    )  # fmt: skip
    number = {letter: k for k, letter in enumerate(dict(pairs))}
    return [tuple(number[letter] for letter in group) for group in groups] if is_plain else None


def _is_basic(key: Any) -> bool:
    """Whether an index picks by numbers and slices alone: its text then says all of it."""
    if isinstance(key, tuple):
        return all(map(_is_basic, key))
    if isinstance(key, slice):
        return all(one is None or type(one) is int for one in (key.start, key.stop, key.step))
    return key is None or key is Ellipsis or type(key) is int


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(value.shape) if isinstance(value, np.ndarray | np.generic) else ()


def _value(argument: Any) -> Any:
    if isinstance(argument, Recorded):
        return argument.value
    if isinstance(argument, list | tuple) and _symbols(argument):
        return type(argument)(map(_value, argument))
    return argument


def _symbols(argument: Any) -> list[Symbol]:
    """Every symbol in an argument or in lists of them."""
    if isinstance(argument, Symbol):
        return [argument]
    return [symbol for one in argument for symbol in _symbols(one)] if isinstance(argument, list | tuple) else []
