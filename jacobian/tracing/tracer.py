"""`Tracer` stands in for an array while a function runs, and records what NumPy is asked to do to it."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

import numpy as np

from jacobian.errors import JacobianError, TracedAttributeError, report
from jacobian.kernel.callers import composite_called
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.term import Array
from jacobian.ops import contraction, indexing
from jacobian.ops.registry import NO_PARAMS, REGISTRY, Op, Params, as_operand, is_complex
from jacobian.ops.values import array_of, is_traced
from jacobian.tracing import source
from jacobian.tracing.constants import CONSTANT_FUNCTIONS, OF_SHAPES, REFUSED_ATTRIBUTES
from jacobian.tracing.discrete import INDICES, are_plain, converted, discrete, open_graph
from jacobian.tracing.flat import Flat
from jacobian.tracing.graph import PYTHON_NUMBERS, Compared, Graph, Node, describe_operand, shape_of
from jacobian.tracing.memory import KEPT, Memory, Step, link
from jacobian.tracing.methods import Methods
from jacobian.tracing.refusals import (
    ambiguous_truth,
    refuse,
    refuse_conversion,
    refuse_function,
)
from jacobian.tracing.stripped import seen, strip, strip_all
from jacobian.tracing.ufuncs import ufunc_method

_BASIC = (int, slice)
_PACKAGE = __name__.partition(".")[0]
_SEQUENCES = (tuple, list)
_SHARING = frozenset({"layout", "multilinear", "linalg"})
"""Families of ops that may return a view, or the operand itself: a transposition is an einsum."""

WRITERS: dict[Callable[..., Any], Callable[..., Any]] = {}
"""What NumPy's functions that assign into an array do to a traced one; `assignment.py` fills it."""

MAKERS: dict[Callable[..., Any], Callable[..., Any]] = {}
"""NumPy's functions that make an array like a traced one, likewise."""


class Tracer(Methods):
    """An array of a traced function. It behaves like the ndarray it stands for, as far as that can be traced.

    When an array is assigned into that it is a view of, its `node` and `value` are missing until somebody asks.
    """

    __slots__ = ("__weakref__", "_memory", "_step", "graph", "node", "value")
    __array_priority__ = 2000
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, graph: Graph, node: Node, value: Array) -> None:
        self.graph = graph
        self.node = node
        self.value = value
        self._memory: Memory | None = None  # shared with its views, when there are any
        self._step: Step | None = None  # how it is read, when it is a view

    # -- NumPy's protocols --------------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Calls and methods of ufuncs."""
        if method == "__call__":
            if kwargs.get("out") is not None:
                return _writing().ufunc_into(ufunc, inputs, **kwargs)
            op = REGISTRY.find(ufunc)
            if op is not None:
                return record(op, inputs, kwargs)
            kept = None if kwargs else keep(ufunc, inputs)
            if kept is not None:
                return kept
            if ufunc in CONSTANT_FUNCTIONS:
                found = ufunc(*map(seen, inputs), **seen(kwargs))
                return note_comparison(self.graph, ufunc, inputs, found)
            return refuse_function(ufunc)
        if method == "at":
            return _writing().ufunc_at(ufunc, *inputs)
        out = kwargs.pop("out", None)
        if out is None:
            return ufunc_method(ufunc, method, inputs, kwargs, refuse_function)
        call = getattr(ufunc, method)
        return _writing().result_into(f"np.{ufunc.__name__}.{method}", out, lambda: call(*inputs, **kwargs))

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        """All other NumPy functions, and our own ops."""
        if func in WRITERS:
            return WRITERS[func](*args, **kwargs)
        if func in MAKERS:
            return MAKERS[func](self, *args, **kwargs)
        if func is np.astype:
            return _converted(*args, **kwargs)
        op = REGISTRY.find(func)
        if op is not None:
            return record(op, args, kwargs)
        kept = keep(func, args, kwargs)
        if kept is not None:
            return kept
        if func in CONSTANT_FUNCTIONS:
            look = strip if func in OF_SHAPES else seen
            return func(*look(args), **look(kwargs))
        return refuse_function(func)

    def __jacobian_tensor__(self, J: Jacobian) -> Any:
        """The full tensor of a Jacobian with traced factors, recorded as one operation."""
        return record(contraction.tensor, (J,), {})

    def __jacobian_snapshot__(self) -> Tracer:
        """An array of the same value that stays what it is."""
        if self._memory is KEPT:
            return self
        copy = self.__copy__()
        copy._memory = KEPT
        return copy

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Refused where it depends on an input: the trace would end here, silently."""
        return np.array(self._constant("an array"), dtype)

    def __getattr__(self, name: str) -> Any:
        """Refused: no such attribute; names NumPy and IPython probe for are missing without comment."""
        if name in ("node", "value"):
            return _read_again(self, name)
        if name.startswith("_"):
            raise AttributeError(name)
        fix = f"np.{name}(x) may be traced" if hasattr(np, name) else "use a NumPy function that can be traced"
        fix = REFUSED_ATTRIBUTES.get(name, fix)
        raise TracedAttributeError(
            report(f"a traced array has no attribute {name!r}", line=source.shown_line(), fix=fix)
        )

    # -- what it looks like -------------------------------------------------------------------------------------------

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """What `isinstance` sees: the type of the value, so that a function takes the course it takes without a trace.

        This package alone is told the truth.
        """
        if sys._getframe(1).f_globals.get("__name__", "").startswith(_PACKAGE):
            return Tracer
        return type(strip_all(self))

    @property
    def shape(self) -> tuple[int, ...]:
        """The value's shape."""
        return shape_of(self.value)

    @shape.setter
    def shape(self, shape: Any) -> NoReturn:
        refuse("x.shape = … cannot be traced", "x = x.reshape(shape)")

    @property
    def dtype(self) -> np.dtype[Any]:
        """The value's dtype."""
        dtype: np.dtype[Any] = self.value.dtype
        return dtype

    @dtype.setter
    def dtype(self, dtype: Any) -> NoReturn:
        refuse("x.dtype = … cannot be traced", "x = x.astype(dtype)")

    def __len__(self) -> int:
        """The length of the first axis."""
        if not self.shape:  # a TypeError, as NumPy's: `np.iterable` and others ask in this way
            refuse("a scalar has no length, and no entries to go through", "np.atleast_1d(x) has one entry")
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

    def __float__(self) -> float:
        """Refused, as are the next ones, where it depends on an input."""
        return float(self._constant("float"))

    def __int__(self) -> int:
        """A whole number: a constant, as it has no derivative."""
        return int(seen(self))

    def __floor__(self) -> int:
        """The same for `math.floor`."""
        return math.floor(float(seen(self)))

    def __ceil__(self) -> int:
        """The same for `math.ceil`."""
        return math.ceil(float(seen(self)))

    def __trunc__(self) -> int:
        """The same for `math.trunc`."""
        return math.trunc(float(seen(self)))

    def __complex__(self) -> complex:
        """A Python number."""
        return complex(self._constant("complex"))

    def __index__(self) -> int:  # noqa: PLE0305 - it never returns
        """Refused: no traced array holds integers."""
        refuse_conversion("an index")

    def _constant(self, what: str) -> Any:
        """The value of an array that depends on no input, such as `np.zeros_like(x)`; it may leave the trace."""
        if depends_on_input(self.node):
            refuse_conversion(what)
        return self.value

    # -- indexing and copies -----------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Any:
        """Entries by any NumPy index; the index itself is not differentiated."""
        try:
            if type(key) not in _BASIC:
                found = indexing.picked_by(self, key, self._is_position)
                if found is not None:
                    return record_bound(indexing.getitem, *found)
                key = seen(key)
            return record_bound(indexing.getitem, (self,), {"key": key})
        except JacobianError as error:
            raise at_users_line(error) from None

    def _as_discrete(self, dtype: np.dtype[Any]) -> Tracer | None:
        """The array as whole numbers or booleans, if these stay part of the trace."""
        return keep(converted, (self,), {"dtype": dtype})

    def _is_position(self, one: Any) -> bool:
        """Whether that is whole numbers which are part of this trace."""
        return type(one) is Tracer and self.graph.is_open and one.graph is self.graph and one.dtype.kind in INDICES

    def __copy__(self) -> Tracer:
        """Another array of the same value: what is done to one in place is not done to the other."""
        return Tracer(self.graph, self.node, self.value)

    def __deepcopy__(self, memo: Any) -> Tracer:
        """Another array of the same value, in the same trace."""
        return self.__copy__()

    def __reduce__(self) -> NoReturn:
        """Refused: a trace cannot leave its process."""
        refuse("a traced array cannot be pickled", "pickle values before or after the function is differentiated")


def keep(function: Callable[..., Any], operands: Sequence[Any], params: Params = NO_PARAMS) -> Tracer | None:
    """A comparison, or whole numbers, as part of the trace; None where they are a plain array."""
    graph = open_graph(function, operands, Tracer)
    others = [one for one in operands if type(one) is not Tracer]
    if graph is None or not are_plain([*others, *params.values()], Tracer):
        return None
    node = discrete(graph, function, operands, Tracer, params)
    return Tracer(graph, node, node.value)


def _converted(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    return x.astype(dtype, copy=copy)


def record(op: Op, args: Any, kwargs: Any) -> Any:
    """Run an op on the values of the innermost trace and note it there."""
    if kwargs and kwargs.get("out") is not None:
        rest = {name: value for name, value in kwargs.items() if name != "out"}
        return _writing().result_into(op.called, kwargs["out"], lambda: record(op, args, rest))
    try:
        if op.family == "composite":
            return op.compute(args, kwargs)
        operands, params = op.bind(args, kwargs)
        return record_bound(op, operands, params)
    except JacobianError as error:
        raise at_users_line(error) from None


def record_bound(op: Op, operands: Sequence[Any], params: Params) -> Any:
    """Run an op on operands that are sorted out already; traces of lower levels record it in their turn."""
    graph = _innermost(operands) or _innermost(params.values())
    if graph is None:
        return op.compute(operands, params)
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
        elif type(operand) is Flat or (type(operand) in _SEQUENCES and is_traced(operand)):
            return record_bound(op, [_joined(one) for one in operands], params)
        else:
            value = graph.constant(as_operand(operand))
            if type(value) is Tracer:
                value = value.__jacobian_snapshot__()
            descriptors.append(describe_operand(value))
        values.append(value)
        nested = nested or type(value) is Tracer
    given: list[tuple[str, Node]] = []
    for name, param in params.items():
        if type(param) is Tracer:
            if not graph.is_open or param.graph is not graph or param.dtype.kind != "b":
                refuse(f"{op.name}: {name}= depends on the input", "only operands can be differentiated")
            given.append((name, param.node))
            params = {**params, name: param.value}
    if params:
        params = graph.fixed(params)
    if nested:
        value = record_bound(op, values, params)
        value._memory = KEPT
    else:
        value = op.compute(values, params)
    known = None if nested or None in descriptors else tuple(descriptors)
    node = Node(graph, op, value, tuple(values), params, tuple(parents), known)
    if given:
        node.given = tuple(given)
    result = Tracer(graph, node, value)
    if graph.of_complex and (op.of_complex == "refused" or not is_complex(value)):
        _note(result.node)
    if (op.family in _SHARING or not op.built_in) and not isinstance(value, np.generic):
        link(result, op, operands, params)
    return result


def _joined(operand: Any) -> Any:
    """A list that holds traced numbers as one array, and so are the entries of `x.flat`."""
    if type(operand) is Flat:
        return operand.copy()
    return array_of(operand) if type(operand) in _SEQUENCES and is_traced(operand) else operand


def _note(node: Node) -> None:
    """Remember who called an op that is not holomorphic, should it turn out to lie on the way from a complex input."""
    if node.op is not None and any(is_complex(parent.value) for _, parent in node.parents):
        node.trace.notes[node.index] = (composite_called() or node.op.called, source.shown_line())


def note_comparison(graph: Graph, ufunc: np.ufunc, operands: Sequence[Any], found: Any) -> Any:
    """Remember what an array of truths tells, for formulas; returns it."""
    if type(found) is np.ndarray and all(one.graph is graph for one in operands if type(one) is Tracer):
        told = tuple(one.node if type(one) is Tracer else graph.constant(as_operand(one)) for one in operands)
        graph.compared[id(found)] = Compared(found, ufunc.__name__, told)
    return found


_VALUE: Any = Tracer.__dict__["value"]  # the slot itself, which does not ask `__getattr__` when it is empty


def is_outdated(view: Tracer) -> bool:
    """Whether the array that it is a view of was assigned into since somebody looked at it."""
    try:
        _VALUE.__get__(view)
    except AttributeError:
        return True
    return False


def _read_again(view: Tracer, name: str) -> Any:
    """The node, or the value, of a view whose array was assigned into, as that array is now."""
    chain: list[Step] = []
    outdated: list[Tracer] = []
    one = view
    while is_outdated(one):
        assert one._step is not None
        outdated.append(one)
        chain.append(one._step)
        one = one._step.parent
    for one, step in zip(reversed(outdated), reversed(chain), strict=True):
        found = record_bound(step.op, step.operands, step.params)
        one.node, one.value = found.node, found.value
    return getattr(view, name)


def depends_on_input(node: Node) -> bool:
    """Whether a node is an input of its trace, or computed from one."""
    nodes, known = [node], {node.index}
    while nodes:
        one = nodes.pop()
        if one.op is None:
            return True
        new = [parent for _, parent in (*one.parents, *one.given) if parent.index not in known]
        known.update(parent.index for parent in new)
        nodes += new
    return False


def is_number(array: Tracer) -> bool:
    """Whether it stands for a number of Python's or NumPy's, which nobody can change."""
    return isinstance(strip_all(array.value), np.generic)


def _writing() -> Any:
    """The module that assigns; it is made of what stands here."""
    from jacobian.tracing import assignment

    return assignment


def _innermost(operands: Iterable[Any]) -> Graph | None:
    """The trace that began last of those the operands belong to."""
    graph: Graph | None = None
    for operand in operands:
        if type(operand) is Tracer and operand.graph is not graph:
            found: Graph = operand.graph
            if graph is None or found.level > graph.level:
                graph = found
    return graph


def at_users_line(error: JacobianError) -> JacobianError:
    """The error with the line of the user's code, unless it tells one."""
    line = source.shown_line()
    text = str(error)
    if line is None or "  line: " in text:
        return error
    told = type(error)(f"{text}\n  line:  {line}")
    told.refused = error.refused
    return told
