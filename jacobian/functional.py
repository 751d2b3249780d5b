"""`jacobian`, `value_and_jacobian`, `hessian`: from a plain NumPy function to explicit Jacobians."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jacobian import programs
from jacobian.chain import accumulate, compare_orders
from jacobian.errors import ArgumentError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.origin import Origin
from jacobian.kernel.term import Term
from jacobian.ops.registry import Op
from jacobian.tracing.graph import Node
from jacobian.tracing.run import Recording, numbers_of, output, run
from jacobian.tracing.tracer import Tracer
from jacobian.tracing.tree import is_container, leaves, map_leaves

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
    return _evaluation(f, argnums, order, with_value=True)


def _evaluation(
    f: Callable[..., Any], argnums: int | Sequence[int], order: str, *, with_value: bool
) -> Callable[..., tuple[Any, Any]]:
    if order not in ORDERS:
        raise ArgumentError(report(f"order must be one of {', '.join(ORDERS)}, not {order!r}"))

    @functools.wraps(f, assigned=("__doc__", "__module__"))
    def evaluate(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        numbers = numbers_of(argnums, len(args))
        recording = run(f, numbers, args, kwargs)
        inputs = tuple(recording.inputs[number] for number in numbers)
        nodes = leaves(list(inputs))
        outputs: list[tuple[Any, list[Jacobian]]] = []

        def differentiate(leaf: Any, path: str) -> Any:
            of = output(leaf, path, recording.graph)
            found = _jacobians(of, nodes, order, f"{recording.output_name}{path}")
            _attach(found, of, nodes, f, args, kwargs, path, recording)
            outputs.append((of, found))
            remaining = iter(found)
            nested = tuple(map_leaves(lambda _, __: next(remaining), tree) for tree in inputs)
            return nested if isinstance(argnums, tuple | list) else nested[0]

        result = recording.result
        jacobians = map_leaves(differentiate, result) if is_container(result) else differentiate(result, "")
        if not with_value:
            return None, jacobians
        values = iter([_value(of) for of, _ in outputs])
        value = map_leaves(lambda _, __: next(values), result) if is_container(result) else next(values)
        return value, jacobians

    return evaluate


def jacobian(f: Callable[..., Any], argnums: int | Sequence[int] = 0, order: str = "auto") -> Callable[..., Any]:
    """The function that returns the generalized Jacobian `∂y/∂x` of `f` at its arguments.

    Args:
        f: written in plain NumPy; takes and returns arrays, or tuples, lists and dicts of them.
        argnums: which positional arguments to differentiate by; a tuple gives a tuple of Jacobians.
        order: `"forward"`, `"reverse"`, or `"auto"` for the cheapest by shapes.

    Shapes:
        `J.shape == y.shape + x.shape`, numerator layout. Nested results nest their Jacobians like `f`'s output, and
        within that like the argument.

    Raises:
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
    """
    evaluate = _evaluation(f, argnums, order, with_value=False)

    @functools.wraps(f, assigned=("__doc__", "__module__"))
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        return evaluate(*args, **kwargs)[1]

    return differentiated


def hessian(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """The Jacobian of the Jacobian, of shape `y.shape + x.shape + x.shape`.

    >>> import numpy as np, jacobian as jac
    >>> jac.hessian(lambda x: np.sum(x**3))(np.array([1.0, 2.0])).tensor()
    array([[ 6.,  0.],
           [ 0., 12.]])
    """
    return jacobian(jacobian(f, argnums), argnums)


def _jacobians(of: Node | np.ndarray, nodes: Sequence[Node], order: str, name: str) -> list[Jacobian]:
    if not isinstance(of, Node):
        return [Jacobian.zero(tuple(np.shape(of)), node.shape, node.value.dtype, (name, node.name)) for node in nodes]
    of.name_hint = of.name_hint or name  # a node keeps the first name it gets
    tensors = programs.tensors(of, nodes, order)
    if tensors is None:
        return _accumulated(of, nodes, order, name)
    later = functools.cache(lambda: _accumulated(of, nodes, order, name))
    found: list[Jacobian] = []
    for k, ((tensor, dtype), node) in enumerate(zip(tensors, nodes, strict=True)):
        terms = functools.partial(_terms_of, later, k)
        found.append(Jacobian.computed(tensor, terms, of.shape, node.shape, dtype, (name, node.name)))
    return found


def _terms_of(jacobians: Callable[[], list[Jacobian]], k: int) -> tuple[Term, ...]:
    return jacobians()[k].terms


def _accumulated(of: Node, nodes: Sequence[Node], order: str, name: str) -> list[Jacobian]:
    return [J.named(name, node.name) for J, node in zip(accumulate(of, nodes, order), nodes, strict=True)]


def _value(of: Any) -> Any:
    value = of.value if isinstance(of, Node) else of
    return value if isinstance(value, Tracer) else np.array(value)


def _attach(
    found: Sequence[Jacobian], of: Any, nodes: Sequence[Node], f: Callable[..., Any], args: Sequence[Any],
    kwargs: dict[str, Any], path: str, recording: Recording,
) -> None:  # fmt: skip
    """Let every Jacobian remember its function and point, for `predict` and for the orders in `explain`."""
    value = of.value if isinstance(of, Node) else of
    if any(isinstance(known, Tracer) for known in (value, *(node.value for node in nodes))):
        return
    for J, node in zip(found, nodes, strict=True):
        function = _of_one_input(f, args, kwargs, node, recording, path)
        orders = functools.partial(compare_orders, of, node) if isinstance(of, Node) else None
        J.origin = Origin(function, np.asarray(node.value), np.asarray(value), orders)


def _of_one_input(
    f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], node: Node, recording: Recording, path: str
) -> Callable[[np.ndarray], np.ndarray]:
    """The function of one input leaf alone, all others as they were."""
    inputs = recording.inputs

    def function(x: np.ndarray) -> np.ndarray:
        call = list(args)
        for number, tree in inputs.items():
            call[number] = map_leaves(lambda leaf, _: x if leaf is node else leaf.value, tree)
        result = f(*call, **kwargs)
        found: list[Any] = []

        def collect(leaf: Any, place: str) -> None:
            if place == path:
                found.append(leaf)

        map_leaves(collect, result)
        return np.asarray(found[0])

    return function


Op.differentiate = staticmethod(jacobian)
