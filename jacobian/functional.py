"""`jacobian`, `value_and_jacobian`, `hessian`: from a plain NumPy function to explicit Jacobians."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from jacobian import programs, replay
from jacobian.chain import accumulate, compare_orders
from jacobian.errors import ArgumentError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.term import Array
from jacobian.ops.kinks import once_told
from jacobian.ops.registry import Op
from jacobian.place import Place
from jacobian.script import Output
from jacobian.tracing.graph import Graph, Node
from jacobian.tracing.run import is_numbers, numbers_of, output, run
from jacobian.tracing.surroundings import DIFFERENTIATES
from jacobian.tracing.tracer import Tracer
from jacobian.tracing.tree import is_container, leaves, map_arrays, map_leaves

ORDERS = ("auto", "forward", "reverse")


def value_and_jacobian(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, order: str = "auto"
) -> Callable[..., tuple[Any, Any]]:
    """The function `(…) -> (f(…), Jacobian)`; see `jacobian`.

    >>> import numpy as np, jacobian as jac
    >>> y, J = jac.value_and_jacobian(np.sin)(np.zeros(2))
    >>> y, J.tensor()
    (array([0., 0.]), array([[1., 0.],
           [0., 1.]]))
    """
    return _evaluation("value_and_jacobian", f, argnums, order, with_value=True)


def _refuse_a_point(called: str, f: Any, argnums: Any) -> None:
    """Refuse at once what has another function's call in mind: it would be a function that fails, or a wrong one."""
    if not callable(f):
        fix = f"{called}(f)(x): the function first, then what it returns is called with the point"
        raise ArgumentError(report(f"{called}: the first argument must be a function, not {type(f).__name__}", fix=fix))
    if not is_numbers(argnums):
        fix = f"{called}(f)(x): what it returns is called with the point; argnums=0 says which argument"
        got = repr(argnums) if isinstance(argnums, float | complex | str) else type(argnums).__name__
        headline = f"{called}: argnums must be a whole number or a tuple of them, not {got}"
        raise ArgumentError(report(headline, fix=fix))


def _evaluation(
    called: str, f: Callable[..., Any], argnums: int | Sequence[int], order: str, *, with_value: bool
) -> Callable[..., Any]:  # fmt: skip
    _refuse_a_point(called, f, argnums)
    if order not in ORDERS:
        raise ArgumentError(report(f"order must be one of {', '.join(ORDERS)}, not {order!r}"))

    several = isinstance(argnums, tuple | list)
    caller = replay.Caller(f, argnums, order, with_values=with_value)

    @functools.wraps(f, assigned=("__doc__", "__module__"))
    def evaluate(*args: Any, **kwargs: Any) -> Any:
        played, call = caller.play(args, kwargs)
        if played is None:
            result, values, found = _traced(f, numbers_of(argnums, len(args)), order, args, kwargs, call)
        elif played.script.is_flat and not with_value:  # as most often
            found = played.jacobians()
            return tuple(found) if several else found[0]
        else:
            result, values, found = played.script.result, played.values, played.jacobians()
        if is_container(result) or any(map(is_container, args)):
            trees = [args[number] for number in numbers_of(argnums, len(args))]
            jacobians = _nested(result, found, trees, several=several)
        else:
            jacobians = tuple(found) if several else found[0]
        if not with_value:
            return jacobians
        remaining = iter(values)
        return map_leaves(lambda _, __: _value(next(remaining)), result), jacobians

    setattr(evaluate, DIFFERENTIATES, (f, argnums, order, with_value))
    return evaluate


class Outcome(NamedTuple):
    """What a call gives: the nesting of the result, its values, and the Jacobians of each of them by every input."""

    result: Any
    values: Sequence[Any]
    jacobians: list[Jacobian]


def _nested(result: Any, jacobians: Sequence[Jacobian], trees: Sequence[Any], *, several: bool) -> Any:
    """The Jacobians, nested like the result and within that like the arguments."""
    remaining = iter(jacobians)

    def of_one(_: Any, __: str) -> Any:
        parts = tuple([map_arrays(lambda _, __: next(remaining), tree) for tree in trees])
        return parts if several else parts[0]

    return map_leaves(of_one, result)


def _traced(
    f: Callable[..., Any], numbers: Sequence[int], order: str, args: Sequence[Any], kwargs: dict[str, Any],
    call: replay.Call | None,
) -> Outcome:  # fmt: skip
    """Run the function on tracers, and the chain rule over the graph."""
    to_be_written = call is not None and call.look_around()
    recording = run(f, numbers, args, kwargs)
    nodes = leaves([recording.inputs[number] for number in numbers])
    points = [node.value for node in nodes]
    values: list[Any] = []
    jacobians: list[Jacobian] = []
    outputs: list[Output | None] = []

    def differentiate(leaf: Any, path: str) -> None:
        of, name = output(leaf, path, recording.graph), recording.name_of(leaf, path)
        found = _jacobians(of, nodes, order, name, planned=not to_be_written)
        value = of.value if isinstance(of, Node) else of
        _tell_around(value, recording.graph)
        orders = [partial(compare_orders, of, node) for node in nodes] if isinstance(of, Node) else None
        _attach(found, value, points, Place(f, numbers, args, kwargs, path), orders)
        values.append(value)
        jacobians.extend(found)
        outputs.append(Output(of, name, path) if isinstance(of, Node) else None)

    map_leaves(differentiate, recording.result)
    if to_be_written:
        assert call is not None
        call.write(outputs, nodes, map_leaves(lambda _, __: None, recording.result))
    return Outcome(recording.result, values, jacobians)


def jacobian(f: Callable[..., Any], argnums: int | Sequence[int] = 0, order: str = "auto") -> Callable[..., Any]:
    """The function that returns the generalized Jacobian `∂y/∂x` of `f` at its arguments.

    Args:
        f: written in plain NumPy; takes and returns arrays, or tuples, lists and dicts of them. What is returned here
            is called with the point: `jacobian(f)(x)`.
        argnums: which positional arguments to differentiate by; a tuple gives a tuple of Jacobians.
        order: `"forward"`, `"reverse"`, or `"auto"` for the cheapest by shapes.

    Shapes:
        `J.shape == y.shape + x.shape`, numerator layout. Nested results nest their Jacobians like `f`'s output, and
        within that like the argument.

    Complex numbers: of a real input the Jacobian of a complex output is complex, and on the way there may be anything
    (`np.abs`, `np.conj`, real parts). Of a complex input z it is the complex derivative `∂y/∂z`, if every op on the
    way from z has one; a function of z that is not holomorphic is to be written in real and imaginary part.

    Raises:
        ArgumentError: `f` is no function, or `argnums` are no numbers but, say, the point; or an op between a complex
            input and the result is not holomorphic: the message names both.
        TraceError: the function does what cannot be traced; the message names the line.
        DTypeError: an argument or the result is not an array of numbers.
        NonFiniteError: an argument or the result holds NaN or infinity.

    Source: generalized Jacobian as in J. Johnson, "Derivatives, Backpropagation, and Vectorization" (2017).

    >>> import numpy as np, jacobian as jac
    >>> W = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> J = jac.jacobian(lambda x: W @ x)(np.ones(2))
    >>> np.asarray(J)
    array([[1., 2.],
           [3., 4.]])
    >>> print(J.formula)
    ∂y[i]/∂x[j] = W[i,j]
    >>> jac.jacobian(lambda z: z**2)(np.array([1 + 2j])).tensor()
    array([[2.+4.j]])
    """
    return _evaluation("jacobian", f, argnums, order, with_value=False)


def hessian(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """The Jacobian of the Jacobian, of shape `y.shape + x.shape + x.shape`.

    >>> import numpy as np, jacobian as jac
    >>> jac.hessian(lambda x: np.sum(x**3))(np.array([1.0, 2.0])).tensor()
    array([[ 6.,  0.],
           [ 0., 12.]])
    """
    _refuse_a_point("hessian", f, argnums)
    return jacobian(jacobian(f, argnums), argnums)


def _jacobians(of: Node | np.ndarray, nodes: Sequence[Node], order: str, name: str, *, planned: bool) -> list[Jacobian]:
    if not isinstance(of, Node):
        return [Jacobian.zero(tuple(np.shape(of)), node.shape, node.value.dtype, (name, node.name)) for node in nodes]
    of.name_hint = of.name_hint or name  # a node keeps the first name it gets
    tensors = programs.tensors(of, nodes, order) if planned else None
    if tensors is None:
        return _accumulated(of, nodes, order, name)
    source = _Planned(tensors, functools.cache(lambda: once_told(_accumulated, of, nodes, order, name)))
    return [
        Jacobian.computed(source, k, of.shape, node.shape, dtype, (name, node.name))
        for k, ((_, dtype), node) in enumerate(zip(tensors, nodes, strict=True))
    ]


class _Planned(NamedTuple):
    """Jacobians whose tensors a program computes."""

    tensors: programs.Tensors
    accumulated: Callable[[], list[Jacobian]]
    is_ready: bool = False

    def tensor(self, number: int) -> np.ndarray | None:
        """What the program gives."""
        return self.tensors[number][0]()

    def told(self, number: int) -> Jacobian:
        """What the chain rule gives."""
        return self.accumulated()[number]

    def origin(self, number: int) -> None:
        """Not known here: every Jacobian is told."""


def _accumulated(of: Node, nodes: Sequence[Node], order: str, name: str) -> list[Jacobian]:
    return [J.named(name, node.name) for J, node in zip(accumulate(of, nodes, order), nodes, strict=True)]


def _tell_around(value: Any, graph: Graph) -> None:
    """Tell the runs around this one that it has looked whether a value of theirs is finite, and what names it knows."""
    while isinstance(value, Tracer):
        value.graph.finite.append(value.node)
        value.graph.naming.around(graph.naming)
        value = value.node.value


def _value(value: Any) -> Any:
    return copy(value) if isinstance(value, Tracer) else np.array(value)


def _attach(
    found: Sequence[Jacobian], value: Array, points: Sequence[Array], place: Place,
    orders: Sequence[Callable[[], str]] | None,
) -> None:  # fmt: skip
    """Let every Jacobian remember its function and point, for `predict` and for the orders in `explain`."""
    if any(isinstance(known, Tracer) for known in (value, *points)):
        return
    for k, J in enumerate(found):
        J.origin = place.origin(points, k, lambda: value, None if orders is None else orders[k])


Op.differentiate = staticmethod(jacobian)
