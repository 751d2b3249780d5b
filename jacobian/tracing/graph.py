"""The graph of a traced function: a `Node` per operation, in the order in which they ran."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import count
from types import CodeType, FrameType
from typing import Any, NamedTuple

import numpy as np

from jacobian.errors import ArgumentError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.notation import digits
from jacobian.kernel.term import Array, Scope
from jacobian.ops.registry import NO_NAMES, NO_PARAMS, Op, Params, Point
from jacobian.tracing.keys import NoKeyError, params_key
from jacobian.tracing.naming import Naming
from jacobian.tracing.snapshots import kept_snapshot, unchanged

_LEVELS = count()
_NEVER_CHANGED = frozenset({type(None), type(Ellipsis), bool, int, float, complex, str, slice})
PYTHON_NUMBERS = frozenset({float, int, bool, complex})
_UNKNOWN = object()


class Node:
    """One operation of a trace, or one of its inputs: value, operands, and the local Jacobians."""

    __slots__ = (
        "_key", "_locals", "descriptors", "given", "index", "name_hint", "op", "operands", "params", "parents", "trace",
        "value",
    )  # fmt: skip

    def __init__(
        self,
        trace: Graph,
        op: Op | None,
        value: Array,
        operands: tuple[Array, ...] = (),
        params: Params = NO_PARAMS,
        parents: tuple[tuple[int, Node], ...] = (),
        descriptors: tuple[Hashable, ...] | None = (),
        name: str = "",
    ) -> None:
        self.trace = trace
        self.op = op
        self.value = value
        self.operands = operands
        self.params = params
        self.parents = parents  # (which operand, the node it came from)
        self.given: tuple[tuple[int | str, Node], ...] = ()  # the same without a derivative; or which parameter
        self.descriptors = descriptors  # of the operands, for the key
        self.name_hint = name
        self._locals: dict[int, Jacobian] | None = None  # made when it is asked for: most traces have many nodes
        self._key: Any = _UNKNOWN
        nodes = trace.nodes
        self.index = len(nodes)
        nodes.append(self)
        if trace.code is not None and op is not None:
            trace.find_frame()

    @property
    def shape(self) -> tuple[int, ...]:
        """The value's shape."""
        return shape_of(self.value)

    @property
    def key(self) -> Hashable:
        """Hashable, or None: graphs whose nodes have equal keys in the same order differ in their numbers only.

        That is, they have the same ops, parameters and operands, of the same shapes and dtypes. An op whose rule
        decides something by the values says in `decides` what.
        """
        if self._key is _UNKNOWN:
            self._key = self._make_key()
        key: Hashable = self._key
        return key

    def _make_key(self) -> Hashable:
        op, descriptors = self.op, self.descriptors
        if descriptors is None:
            return None
        if op is None:
            return describe_operand(self.value)
        try:
            params = params_key(self.params, arrays_by_shape=op.family == "elementwise") if self.params else ()
        except NoKeyError:
            return None
        if not op.built_in:  # its shape may depend on anything
            return (op, descriptors, params, describe_operand(self.value))
        if op.dtype_by_value:
            return (op, descriptors, params, describe_operand(self.value))
        return (op, descriptors, params, None if op.decides is None else op.decides(self.operands, self.params))

    @property
    def name(self) -> str:
        """What formulas call it."""
        return self.name_hint or self.trace.naming.of_node(self.index)

    def local(self, operand: int) -> Jacobian:
        """The local Jacobian with respect to one operand; made once."""
        if self._locals is None:
            self._locals = {}
        if operand not in self._locals:
            assert self.op is not None
            self._locals[operand] = self.op.local(self.point, operand)
        return self._locals[operand]

    def forget_locals(self) -> None:
        """Evaluate the rule anew when a local Jacobian is asked for."""
        self._locals = None

    @property
    def point(self) -> Point:
        """What the op's rule is evaluated at."""
        return Point(
            self.value, self.operands, self.params, self.operand_names, self.name,
            called=self.trace.called(self.params) if self.params else NO_NAMES,
        )  # fmt: skip

    @property
    def operand_names(self) -> tuple[str, ...]:
        """The operands as formulas call them: nodes by name, numbers by value, captured arrays by their variable."""
        names = {position: parent.name for position, parent in self.parents}
        return tuple(
            names[k] if k in names else self.trace.constant_name(operand) for k, operand in enumerate(self.operands)
        )

    def __repr__(self) -> str:
        """`v3 = tanh(v2) float64[2,3]`."""
        made = f" = {self.op.name}({', '.join(self.operand_names)})" if self.op else ""
        dtype = getattr(self.value, "dtype", type(self.value).__name__)
        return f"{self.name}{made} {dtype}[{','.join(map(str, self.shape))}]"


class Compared(NamedTuple):
    """An array of truths: the comparison that gave it, by name, and of what; nodes are these themselves."""

    array: np.ndarray
    name: str
    operands: tuple[Any, ...]


class Graph:
    """What one run of a function recorded. Later graphs have a higher level, so nested traces do not mix."""

    def __init__(self) -> None:
        self.level = next(_LEVELS)
        self.nodes: list[Node] = []
        self.assigned = False  # whether an array was assigned into: then it matters how arrays lie in memory
        self.seen = False  # whether the function looked at a number: with others it may take another course
        self.is_open = False  # whether comparisons stay part of it
        self.finite: list[Node] = []  # results of functions that were differentiated within this one: they must be
        self.of_complex = False  # whether an input is complex: then nodes that are not holomorphic are noted
        self.notes: dict[int, tuple[str, str | None]] = {}  # of those nodes: what the user called, and the line
        self.code: CodeType | None = None  # of the function, until its frame is found
        self.frame: FrameType | None = None  # of the function: what its variables hold gets their names
        self.naming = Naming(self.nodes)
        self.scope: Scope | None = None  # what its names stand for, once a Jacobian of it is to know that
        self.compared: dict[int, Compared] = {}  # by the id of what it gave
        self._snapshots: dict[int, tuple[Any, Array]] = {}

    def find_frame(self) -> None:
        """Look for the function's frame, at its first operation; it keeps its variables after the function is done."""
        code, self.code = self.code, None
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and frame.f_code is not code:
            frame = frame.f_back
        self.frame = frame

    def constant(self, value: Any) -> Array:
        """A value that is not traced, safe from later changes: copied unless nobody can change it."""
        if not isinstance(value, np.ndarray):
            return value
        known = self._snapshots.get(id(value))
        if known is not None and known[0] is value and unchanged(known[1], value):
            return known[1]
        copy = kept_snapshot(value)
        if copy is not value:
            self._snapshots[id(value)] = (value, copy)
            if id(value) in self.compared:
                self.compared[id(copy)] = self.compared[id(value)]._replace(array=copy)
        return copy

    def fixed(self, params: Params) -> Params:
        """The parameters of an op, safe from later changes like constants."""
        for value in params.values():
            if type(value) not in _NEVER_CHANGED and not _is_plain_tuple(value):
                return {name: self._fixed(value) for name, value in params.items()}
        return params

    def _fixed(self, value: Any) -> Any:
        if type(value) is np.ndarray:
            return self.constant(value)
        return type(value)(map(self._fixed, value)) if type(value) in (tuple, list) else value

    def constant_name(self, value: Any) -> str:
        """A captured array by what held it, else by a number of its own: `c`, `c2`; a number by its digits."""
        if np.ndim(value) == 0 and isinstance(value, int | float | np.number | np.ndarray):
            return digits(np.asarray(value).item()) if np.asarray(value).dtype.kind in "iuf" else str(value)
        return self.naming.of(value) or "c"

    def called(self, params: Params) -> dict[str, str]:
        """What formulas call the arrays among the parameters of an op."""
        arrays = {word: value for word, value in params.items() if isinstance(value, np.ndarray) and value.ndim}
        return {word: self.naming.of(value) or word for word, value in arrays.items()}

    def without_nodes(self) -> Graph:
        """Another graph without nodes in which the constants of this one bear the names that the user gave them."""
        graph = Graph()
        graph.naming.like(self.naming)
        return graph

    again = without_nodes

    def remember(self, variables: Iterable[tuple[str, Any]], roots: Sequence[Any]) -> None:
        """The run is over: note what holds the constants, and let go what they are copies of."""
        self.naming.remember(variables, self._snapshots, roots)
        self._snapshots.clear()

    def between(self, of: Node, wrt: Sequence[Node]) -> Iterator[Node]:
        """Every node on a path from one of `wrt` to `of`, last first, both ends included."""
        last = of.index
        first = min((node.index for node in wrt), default=last)
        depends = [False] * (last + 1)
        for node in wrt:
            if node.index <= last:
                depends[node.index] = True
        for node in self.nodes[first : last + 1]:
            if not depends[node.index]:
                depends[node.index] = any(depends[parent.index] for _, parent in node.parents if parent.index >= first)
        wanted = {last} if depends[last] else set()
        for index in range(last, first - 1, -1):
            if index in wanted:
                node = self.nodes[index]
                yield node
                wanted.update(p.index for _, p in node.parents if p.index >= first and depends[p.index])


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape of an array, or of what NumPy would make one of."""
    try:
        shape: tuple[int, ...] = value.shape
    except AttributeError:
        return tuple(np.shape(value))
    return shape


def describe_operand(value: Any) -> Hashable:
    """What a key says of a value that is not traced: shape and dtype, or a Python number's type; None of any other."""
    kind: Any = type(value)
    if kind in PYTHON_NUMBERS:
        found: Hashable = kind
        return found
    return (value.shape, value.dtype) if kind is np.ndarray or isinstance(value, np.generic) else None


def _is_plain_tuple(value: Any) -> bool:
    return type(value) is tuple and _NEVER_CHANGED.issuperset(map(type, value))


def find_node(nodes: Sequence[Node], key: Any) -> Node:
    """A node by itself, by number or by name."""
    if isinstance(key, Node):
        return key
    if isinstance(key, int) and -len(nodes) <= key < len(nodes):
        return nodes[key]
    for node in nodes:
        if node.name == key:
            return node
    for node in nodes:
        if key == f"v{node.index}":  # it bears a variable's name, and its number still finds it
            return node
    names = ", ".join(node.name for node in nodes[:20])
    raise ArgumentError(report(f"there is no node {key!r} in this trace", nodes=names))
