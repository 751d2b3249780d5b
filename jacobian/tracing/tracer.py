"""`Tracer` stands in for an array while a function runs, and records what NumPy is asked to do to it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from jacobian.errors import JacobianError, ShapeError, TracedAttributeError, report
from jacobian.kernel.arraylike import ArrayLike
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.term import Array
from jacobian.ops import contraction, indexing, layout
from jacobian.ops.registry import REGISTRY, Op, Params, as_operand
from jacobian.tracing import source
from jacobian.tracing.constants import CONSTANT_FUNCTIONS, OF_SHAPES
from jacobian.tracing.graph import PYTHON_NUMBERS, Graph, Node, describe_operand, shape_of
from jacobian.tracing.refusals import (
    ambiguous_truth,
    refuse,
    refuse_assignment,
    refuse_conversion,
    refuse_function,
    refuse_rows_of_coefficients,
)
from jacobian.tracing.ufuncs import ufunc_method

_BASIC = (int, slice)
_SEQUENCES = (tuple, list)


class Tracer(ArrayLike):
    """An array of a traced function. It behaves like the ndarray it stands for, as far as that can be traced."""

    __slots__ = ("_alias", "graph", "node", "value")
    __array_priority__ = 2000
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, graph: Graph, node: Node, value: Array) -> None:
        self.graph = graph
        self.node = node
        self.value = value
        self._alias = False

    # -- NumPy's protocols --------------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Calls and methods of ufuncs."""
        if method == "__call__":
            op = REGISTRY.find(ufunc)
            if op is not None:
                if type(inputs[0]) is np.ndarray and inputs[0].ndim and self.shape:
                    refuse_rows_of_coefficients(sys._getframe(1))
                if kwargs.get("out") is not None:
                    refuse(
                        f"np.{ufunc.__name__}(…, out=…), or an in-place operator on a plain array, cannot be traced",
                        "write y = y + x instead of y += x, and leave out= out",
                    )
                return record(op, inputs, kwargs)
            if ufunc in CONSTANT_FUNCTIONS:
                return ufunc(*map(seen, inputs), **kwargs)
            return refuse_function(ufunc)
        if kwargs.pop("out", None) is not None:
            refuse_assignment(f"np.{ufunc.__name__}.{method}(…, out=…)")
        return ufunc_method(ufunc, method, inputs, kwargs, refuse_function)

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        """All other NumPy functions, and our own ops."""
        op = REGISTRY.find(func)
        if op is not None:
            return record(op, args, kwargs)
        if func in CONSTANT_FUNCTIONS:
            look = strip if func in OF_SHAPES else seen
            return func(*look(args), **look(kwargs))
        return refuse_function(func)

    def __jacobian_tensor__(self, J: Jacobian) -> Any:
        """The full tensor of a Jacobian with traced factors, recorded as one operation."""
        return record(contraction.tensor, (J,), {})

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        """Refused: the trace would end here, silently."""
        refuse_conversion("an array")

    def __getattr__(self, name: str) -> NoReturn:
        """Refused: no such attribute; names NumPy and IPython probe for are missing without comment."""
        if name.startswith("_"):
            raise AttributeError(name)
        fix = f"np.{name}(x) may be traced" if hasattr(np, name) else "use a NumPy function that can be traced"
        raise TracedAttributeError(
            report(f"a traced array has no attribute {name!r}", line=source.shown_line(), fix=fix)
        )

    # -- what it looks like -------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The value's shape."""
        return shape_of(self.value)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The value's dtype."""
        dtype: np.dtype[Any] = self.value.dtype
        return dtype

    @property
    def nbytes(self) -> int:
        """Bytes of the value."""
        return self.size * self.dtype.itemsize

    @property
    def itemsize(self) -> int:
        """Bytes of one entry."""
        return self.dtype.itemsize

    def __len__(self) -> int:
        """The length of the first axis."""
        if not self.shape:
            raise ShapeError(report("a scalar has no length", got="a traced array of shape ()"))
        return self.shape[0]

    def __repr__(self) -> str:
        """The value, marked as traced."""
        return f"traced {seen(self)!r}"

    def __str__(self) -> str:
        """The value."""
        return str(seen(self))

    def __format__(self, spec: str) -> str:
        """The value, formatted."""
        return format(seen(self), spec)

    # -- what ends a trace --------------------------------------------------------------------------------------------

    def __bool__(self) -> bool:
        """Control flow follows the value."""
        if self.size != 1:
            raise ambiguous_truth(source.shown_line())
        return bool(seen(self))

    def __float__(self) -> NoReturn:
        """Refused."""
        refuse_conversion("float")

    def __int__(self) -> NoReturn:
        """Refused."""
        refuse_conversion("int")

    def __complex__(self) -> NoReturn:
        """Refused."""
        refuse_conversion("complex")

    def __index__(self) -> int:  # noqa: PLE0305 - it never returns
        """Refused."""
        refuse_conversion("an index")

    # -- indexing and assignment --------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Any:
        """Entries by any NumPy index; the index itself is not differentiated."""
        try:
            return record_bound(indexing.getitem, (self,), {"key": key if type(key) in _BASIC else seen(key)})
        except JacobianError as error:
            raise _at_users_line(error) from None

    def __copy__(self) -> Tracer:
        """Another array of the same value: what is done to one in place is not done to the other."""
        return Tracer(self.graph, self.node, self.value)

    def __deepcopy__(self, memo: Any) -> Tracer:
        """Another array of the same value, in the same trace."""
        return self.__copy__()

    def __reduce__(self) -> NoReturn:
        """Refused: a trace cannot leave its process."""
        refuse("a traced array cannot be pickled", "pickle values before or after the function is differentiated")

    def __setitem__(self, key: Any, value: Any) -> None:
        """Refused: build the result from its parts."""
        refuse_assignment("x[…] = …")

    def _in_place(self, function: Callable[..., Any], other: Any) -> Tracer:
        if self._alias:
            refuse(
                "a traced array is changed in place, but another array may be a view of it",
                "write a new array instead: y = x + 1",
            )
        result = function(self, other)
        if result.shape != self.shape:
            raise ShapeError(
                report(f"in-place result of shape {result.shape} does not fit the array of shape {self.shape}")
            )
        self.graph, self.node, self.value = result.graph, result.node, result.value
        return self

    # -- methods that hand out no array -------------------------------------------------------------------------------

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> Any:
        """Another floating dtype; integers would end the trace."""
        return record(layout.astype, (self,), {"dtype": np.dtype(dtype)})

    def copy(self, order: str = "C") -> Any:
        """A copy."""
        return record(layout.copy, (self,), {})

    def conjugate(self) -> Any:
        """The array itself when it is real."""
        return np.conjugate(self)

    conj = conjugate

    def flatten(self, order: Any = "C") -> Any:
        """One axis, a copy."""
        return np.ravel(self, order=order).copy()

    def compress(self, condition: Any, axis: Any = None) -> Any:
        """Slices along an axis where the condition holds."""
        return np.compress(condition, self, axis=axis)

    def item(self, *args: Any) -> NoReturn:
        """Refused."""
        refuse_conversion("a Python number by .item()")

    def tolist(self) -> NoReturn:
        """Refused."""
        refuse_conversion("a list by .tolist()")

    def sort(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: in place."""
        refuse("x.sort() changes the array in place", "np.sort(x) returns a new array")

    def partition(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: in place."""
        refuse("x.partition(…) changes the array in place", "np.partition(x, k) returns a new array")

    def fill(self, value: Any) -> NoReturn:
        """Refused: in place."""
        refuse_assignment("x.fill(…)")

    def put(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: in place."""
        refuse_assignment("x.put(…)")


def strip(value: Any) -> Any:
    """The value at the bottom of nested traces, through tuples, lists and dicts."""
    return _through(strip_all, value)


def seen(value: Any) -> Any:
    """The same where the function goes on with the numbers: what it does may be otherwise with others."""
    return _through(_look, value)


def _through(bottom: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, Tracer):
        return bottom(value)
    if isinstance(value, _SEQUENCES):
        items = (_through(bottom, item) for item in value)
        return type(value)(items) if not hasattr(value, "_fields") else type(value)(*items)
    if isinstance(value, dict):
        return {name: _through(bottom, item) for name, item in value.items()}
    return value


def _look(value: Any) -> Any:
    while isinstance(value, Tracer):
        value.graph.seen = True
        value = value.value
    return value


def strip_all(value: Any) -> Any:
    """The ndarray at the bottom of nested traces."""
    while isinstance(value, Tracer):
        value = value.value
    return value


def record(op: Op, args: Any, kwargs: Any) -> Any:
    """Run an op on the values of the innermost trace and note it there."""
    if kwargs and kwargs.get("out") is not None:
        refuse(f"{op.called}(…, out=…) cannot be traced", "leave out= out and use the returned array")
    try:
        if op.family == "composite":
            return op.compute(args, kwargs)
        operands, params = op.bind(args, kwargs)
        return record_bound(op, operands, params)
    except JacobianError as error:
        raise _at_users_line(error) from None


def record_bound(op: Op, operands: Sequence[Any], params: Params) -> Any:
    """Run an op on operands that are sorted out already; traces of lower levels record it in their turn."""
    graph = _innermost(operands)
    if graph is None:
        return _params_are_traced(op, params, operands)
    values: list[Array] = []
    parents: list[tuple[int, Node]] = []
    descriptors: list[Any] = []
    nested = False
    for position, operand in enumerate(operands):
        if type(operand) is Tracer and operand.graph is graph:
            node, value = operand.node, operand.value
            parents.append((position, node))
            descriptors.append(node.index)
        elif type(operand) in PYTHON_NUMBERS:
            value = operand
            descriptors.append(type(operand))
        else:
            value = graph.constant(as_operand(operand))
            descriptors.append(describe_operand(value))
        values.append(value)
        nested = nested or type(value) is Tracer
    if params:
        params = graph.fixed(params)
    value = record_bound(op, values, params) if nested else op.compute(values, params)
    known = None if nested or None in descriptors else tuple(descriptors)
    result = Tracer(graph, Node(graph, op, value, tuple(values), params, tuple(parents), known), value)
    if op.family == "layout" and not isinstance(value, np.generic):
        _mark_views(result, operands)
    return result


def _innermost(operands: Sequence[Any]) -> Graph | None:
    """The trace that began last of those the operands belong to."""
    graph: Graph | None = None
    for operand in operands:
        if type(operand) is Tracer and operand.graph is not graph:
            found: Graph = operand.graph
            if graph is None or found.level > graph.level:
                graph = found
    return graph


def _mark_views(result: Tracer, operands: Sequence[Any]) -> None:
    """Where NumPy shares memory between a result and an operand, neither may be changed in place any more."""
    array = strip_all(result.value)
    for operand in operands:
        if isinstance(operand, Tracer) and _shares_memory(array, strip_all(operand.value)):
            operand._alias = result._alias = True


def _shares_memory(array: Any, operand: Any) -> bool:
    """Whether a result lies in an operand's memory: it does not when it owns its own, and does when both lie in one."""
    if type(array) is np.ndarray and type(operand) is np.ndarray and array is not operand:
        owner = array.base
        if owner is None or not array.size:
            return False
        if owner is operand or owner is operand.base:
            return True
    return np.may_share_memory(array, operand)


def _params_are_traced(op: Op, params: Any, operands: Any) -> Any:
    if any(isinstance(value, Tracer) for value in params.values()):
        name = next(name for name, value in params.items() if isinstance(value, Tracer))
        refuse(f"{op.name}: {name}= depends on the input", "only operands can be differentiated")
    return op.compute(operands, params)


def _at_users_line(error: JacobianError) -> JacobianError:
    line = source.shown_line()
    text = str(error)
    if line is None or "  line: " in text:
        return error
    return type(error)(f"{text}\n  line:  {line}")
