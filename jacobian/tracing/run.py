"""Running a function on tracers: arguments in, a `Trace` out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, DTypeError, JacobianError, NonFiniteError, TraceError, report
from jacobian.kernel.expression import Jacobian
from jacobian.ops.registry import promoted, snapshot
from jacobian.tracing import operators  # noqa: F401 - gives tracers their operators
from jacobian.tracing.graph import Graph, Node
from jacobian.tracing.refusals import ambiguous_truth
from jacobian.tracing.source import line_that_raised
from jacobian.tracing.tracer import Tracer, strip_all
from jacobian.tracing.tree import is_array_list, is_container, map_leaves


class Recording:
    """One run: the graph, the input nodes in the nesting of the arguments, and the result in its own nesting."""

    def __init__(self, graph: Graph, inputs: Any, result: Any) -> None:
        self.graph = graph
        self.inputs = inputs
        self.result = result
        taken = {node.name.partition("[")[0] for node in graph.nodes if node.op is None} | set(graph.captured)
        self.output_name = next(name for name in ("y", "z", "f", "out", "result", "value of f") if name not in taken)


def argument_names(f: Callable[..., Any], count: int) -> list[str]:
    """What the function calls its positional arguments."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    star = next((p.name for p in parameters if p.kind == p.VAR_POSITIONAL), None)
    if len(names) < count and (star or not names):
        base = star or "x"
        missing = count - len(names)
        names += [base] if missing == 1 and not star else [f"{base}{k}" for k in range(missing)]
    return names + [f"x{k}" for k in range(len(names), count)]


def numbers_of(argnums: int | Sequence[int], count: int) -> tuple[int, ...]:
    """`argnums` as non-negative numbers, checked."""
    wanted = (argnums,) if isinstance(argnums, int | np.integer) else argnums
    if not isinstance(wanted, tuple | list) or not all(isinstance(n, int | np.integer) for n in wanted):
        raise ArgumentError(report(f"argnums must be a whole number or a tuple of them, not {argnums!r}"))
    if not wanted:
        raise ArgumentError(report("argnums is empty: there is nothing to differentiate by", fix="argnums=0"))
    for number in wanted:
        if not -count <= number < count:
            raise ArgumentError(
                report(f"argnums={number}, but the function was called with {count} positional arguments")
            )
    return tuple(int(number) % count for number in wanted)


def run(f: Callable[..., Any], argnums: Sequence[int], args: Sequence[Any], kwargs: dict[str, Any]) -> Recording:
    """Run the function with tracers in place of the arguments `argnums`."""
    if not callable(f):
        raise ArgumentError(report(f"the first argument must be a function, not {type(f).__name__}"))
    graph = Graph()
    names = argument_names(f, len(args))
    inputs: dict[int, Any] = {}
    call = list(args)
    for number in argnums:
        call[number] = _traced(graph, args[number], names[number], inputs, number)
    try:
        result = f(*call, **kwargs)
    except (TypeError, ValueError) as error:
        if isinstance(error.__cause__, JacobianError):  # NumPy wrapped our error in one of its own
            raise error.__cause__ from None
        if str(error).startswith("The truth value of an array"):  # comparisons are plain arrays: NumPy's own error
            raise ambiguous_truth(line_that_raised(error)) from None
        raise
    _name_constants(graph, f, names, args, kwargs)
    return Recording(graph, inputs, result)


def _traced(graph: Graph, argument: Any, name: str, inputs: dict[int, Any], number: int) -> Any:
    if is_array_list(argument):
        argument = promoted(argument, name)

    def node(leaf: Any, path: str) -> Node:
        value = promoted(leaf, f"{name}{path}")
        _check_finite(strip_all(value), f"{name}{path}")
        return Node(graph, None, snapshot(value), name=f"{name}{path}")

    nodes = map_leaves(node, argument) if is_container(argument) else node(argument, "")
    inputs[number] = nodes
    if isinstance(nodes, Node):
        return Tracer(graph, nodes, nodes.value)
    return map_leaves(lambda leaf, _: Tracer(graph, leaf, leaf.value), nodes)


def _check_finite(value: Any, name: str, what: str = "the Jacobian there would mean nothing") -> None:
    if not isinstance(value, np.ndarray | np.generic) or np.isfinite(value).all():
        return
    value = np.asarray(value)
    bad = np.argwhere(~np.isfinite(value))
    first = ",".join(map(str, bad[0]))
    entry = f"{name}[{first}]" if np.ndim(value) else name
    raise NonFiniteError(
        report(
            f"{name} holds {len(bad)} value{'' if len(bad) == 1 else 's'} that {'is' if len(bad) == 1 else 'are'} "
            "not finite",
            first=f"{entry} = {value[tuple(bad[0])]}",
            why=what,
        )
    )


def _name_constants(graph: Graph, f: Callable[..., Any], names: list[str], args: Sequence[Any], kwargs: Any) -> None:
    variables: dict[str, Any] = {}
    code = getattr(f, "__code__", None)
    if code is not None:
        scope = getattr(f, "__globals__", {})
        variables = {name: scope[name] for name in code.co_names if isinstance(scope.get(name), np.ndarray)}
        for name, cell in zip(code.co_freevars, f.__closure__ or (), strict=False):
            try:
                variables[name] = cell.cell_contents
            except ValueError:  # not assigned yet
                continue
    variables |= {name: value for name, value in zip(names, args, strict=False) if isinstance(value, np.ndarray)}
    variables |= {name: value for name, value in kwargs.items() if isinstance(value, np.ndarray)}
    graph.name_constants({name: value for name, value in variables.items() if isinstance(value, np.ndarray)})


def output(value: Any, path: str, graph: Graph) -> Node | np.ndarray:
    """A leaf of the result: its node, or a constant array when it does not depend on the input."""
    if isinstance(value, Jacobian):
        value = value.tensor()
    if isinstance(value, Tracer) and value.graph is graph:
        _check_output(value.node, path)
        return value.node
    if isinstance(value, Tracer):
        return value  # type: ignore[return-value] # belongs to an outer trace: constant here
    try:
        array = np.asarray(value)
    except (ValueError, TraceError):
        array = np.asarray(None)
    if array.dtype.kind not in "iufcb" or value is None:
        raise DTypeError(
            report(
                f"the function returned {_kind(value)} where an array is needed",
                at=f"output{path}" if path else None,
                fix="return an array, or a tuple, list or dict of arrays",
            )
        )
    return array if array.dtype.kind in "fc" else array.astype(float)


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _check_output(node: Node, path: str) -> None:
    value = strip_all(node.value)
    if isinstance(value, np.ndarray | np.generic) and not np.isfinite(value).all():
        for earlier in node.trace.nodes:
            inner = strip_all(earlier.value)
            if earlier.op is not None and not np.isfinite(inner).all() and _reaches(earlier, node):
                _check_finite(inner, f"{earlier.op.name}(…)", f"it reaches the output{path}")
                return


def _reaches(earlier: Node, later: Node) -> bool:
    return any(node is earlier for node in later.trace.between(later, [earlier]))
