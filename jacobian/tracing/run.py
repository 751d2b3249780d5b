"""Running a function on tracers: arguments in, a `Trace` out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cached_property, partial
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, DTypeError, JacobianError, NonFiniteError, TraceError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.finite import all_finite
from jacobian.ops.registry import promoted
from jacobian.tracing import operators, writers  # noqa: F401 - give tracers what they can do
from jacobian.tracing.captured import MAX_WRAPPERS, around, code_of, names_around, values_around
from jacobian.tracing.discrete import DISCRETE
from jacobian.tracing.graph import Graph, Node
from jacobian.tracing.memory import Memory, is_compact
from jacobian.tracing.refusals import ambiguous_truth
from jacobian.tracing.snapshots import kept_snapshot
from jacobian.tracing.source import line_that_raised
from jacobian.tracing.stripped import strip_all
from jacobian.tracing.tracer import Tracer
from jacobian.tracing.tree import is_array_list, is_container, leaves, map_leaves

Key = int | str
"""The number of an argument, or the name of a variable that the function captures."""

CO_VARARGS = 4
_NUMBERS = (float, int, complex, np.generic)


class Recording:
    """One run: the graph, the input nodes in the nesting of the arguments, and the result in its own nesting."""

    def __init__(self, graph: Graph, inputs: Any, result: Any) -> None:
        self.graph = graph
        self.inputs = inputs
        self.result = result

    def name_of(self, leaf: Any, path: str) -> str:
        """What formulas call a leaf of the result; a Jacobian by its quotient."""
        return "(∂{}/∂{})".format(*leaf.names) if isinstance(leaf, Jacobian) else f"{self.output_name}{path}"

    @cached_property
    def output_name(self) -> str:
        """What formulas call the result: a name that the user calls nothing else by."""
        return next(name for name in _OUTPUT_NAMES if name not in self.graph.naming.variables)


_OUTPUT_NAMES = ("y", "z", "f", "out", "result", "value of f")
_NODE_LETTERS = ("v", "u", "h", "node", "value of node ")


def argument_names(f: Callable[..., Any], count: int) -> list[str]:
    """What the function calls its positional arguments."""
    names, star = _parameters(f)
    if len(names) < count and (star or not names):
        base = star or "x"
        missing = count - len(names)
        names += [base] if missing == 1 and not star else [f"{base}{k}" for k in range(missing)]
    return names + [f"x{k}" for k in range(len(names), count)]


def _parameters(f: Callable[..., Any]) -> tuple[list[str], str | None]:
    """The positional parameters of a function, and the one that takes all others, if any."""
    if type(f) is partial and not f.keywords:
        names, star = _parameters(f.func)
        return names[len(f.args) :], star
    code = _plain_code(f)
    if code is not None:  # in a twentieth of the time that `inspect` takes
        variables, count = code.co_varnames, code.co_argcount
        star = variables[count + code.co_kwonlyargcount] if code.co_flags & CO_VARARGS else None
        return list(variables[:count]), star
    import inspect

    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    found = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return found, next((p.name for p in parameters if p.kind == p.VAR_POSITIONAL), None)


def _plain_code(f: Any) -> CodeType | None:
    """The code of a Python function, or of the one it wraps, if that is all there is to say of its signature."""
    for _ in range(MAX_WRAPPERS):
        if type(f) is not FunctionType or "__signature__" in f.__dict__:
            return None
        if "__wrapped__" not in f.__dict__:
            return f.__code__
        f = f.__wrapped__  # type: ignore[attr-defined]
    return None


def is_numbers(argnums: Any) -> bool:
    """Whether these are whole numbers, one or several."""
    return all(isinstance(n, int | np.integer) for n in (argnums if isinstance(argnums, tuple | list) else (argnums,)))


def numbers_of(argnums: int | Sequence[int], count: int) -> tuple[int, ...]:
    """`argnums` as non-negative numbers, checked."""
    if type(argnums) is int and 0 <= argnums < count:
        return (argnums,)
    if (
        type(argnums) is tuple
        and argnums
        and set(map(type, argnums)) == {int}
        and 0 <= min(argnums) <= max(argnums) < count
    ):
        return argnums
    wanted = (argnums,) if isinstance(argnums, int | np.integer) else argnums
    if not is_numbers(argnums):
        raise ArgumentError(report(f"argnums must be a whole number or a tuple of them, not {argnums!r}"))
    if not wanted:
        raise ArgumentError(report("argnums is empty: there is nothing to differentiate by", fix="argnums=0"))
    for number in wanted:
        if not -count <= number < count:
            raise ArgumentError(
                report(f"argnums={number}, but the function was called with {count} positional arguments")
            )
    return tuple(int(number) % count for number in wanted)


def run(
    f: Callable[..., Any], argnums: Sequence[int], args: Sequence[Any], kwargs: dict[str, Any],
    free: Collection[Key] | None = None,
) -> Recording:  # fmt: skip
    """Run the function with tracers in place of the arguments `argnums`.

    What is `free` is traced as well: it is not differentiated by, its numbers may be anything, and it cannot be
    assigned into. Where it is told what is free, comparisons stay part of the trace.
    """
    if not callable(f):
        raise ArgumentError(report(f"the first argument must be a function, not {type(f).__name__}"))
    graph = Graph()
    graph.is_open, free = free is not None, free or ()
    names = argument_names(f, len(args))
    inputs: dict[Key, Any] = {}
    call = list(args)
    numbers = [key for key in free if isinstance(key, int)]
    for number in (*argnums, *numbers):
        call[number] = _traced(graph, args[number], names[number], inputs, number, is_free=number in numbers)
    captured = [key for key in free if isinstance(key, str)]
    if captured and isinstance(f, FunctionType):
        values = values_around(f, captured)
        f = around(f, {name: _traced(graph, value, name, inputs, name, is_free=True) for name, value in values})
    graph.code = code_of(f)
    held = _held(call, numbers)
    try:
        result = f(*call, **kwargs)
    except (TypeError, ValueError) as error:
        if isinstance(error.__cause__, JacobianError):  # NumPy wrapped our error in one of its own
            raise error.__cause__ from None
        if str(error).startswith("The truth value of an array"):  # comparisons are plain arrays: NumPy's own error
            raise ambiguous_truth(line_that_raised(error)) from None
        raise
    if held != _held(call, numbers):  # a list was changed: that is not in the graph
        graph.seen = True
    _name_everything(graph, f, _given(names, args, kwargs, inputs), result)
    return Recording(graph, inputs, result)


def _traced(
    graph: Graph, argument: Any, name: str, inputs: dict[Key, Any], key: Key, *, is_free: bool
) -> Any:  # fmt: skip
    if is_array_list(argument):
        argument = promoted(argument, name)

    def tracer(leaf: Any, path: str) -> Tracer:
        is_discrete = is_free and np.asarray(leaf).dtype.kind in DISCRETE
        value = leaf if is_discrete else promoted(leaf, f"{name}{path}")
        if not is_free:
            _check_finite(strip_all(value), f"{name}{path}")
        copy = kept_snapshot(value) if not isinstance(leaf, _NUMBERS) else value[()]  # a number, which nobody changes
        graph.of_complex = graph.of_complex or value.dtype.kind == "c"
        found = Tracer(graph, Node(graph, None, copy, name=f"{name}{path}"), copy)
        if is_free:
            found._memory = Memory(closed="it is not differentiated by")
        elif isinstance(leaf, np.ndarray) and not is_compact(leaf, copy):
            found._memory = Memory(scattered=True)
        return found

    tracers = map_leaves(tracer, argument) if is_container(argument) else tracer(argument, "")
    inputs[key] = map_leaves(lambda leaf, _: leaf.node, tracers)
    return tracers


def _held(call: Sequence[Any], numbers: Sequence[int]) -> list[tuple[str, int]]:
    """What is where in these arguments."""
    found: list[tuple[str, int]] = []
    for number in numbers:
        map_leaves(lambda leaf, path: found.append((path, id(leaf))), call[number])
    return found


def _check_finite(value: Any, name: str, what: str = "the Jacobian there would mean nothing") -> None:
    if all_finite(value):
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


def _given(
    names: Sequence[str], args: Sequence[Any], kwargs: dict[str, Any], traced: Collection[Key]
) -> list[tuple[str, Any]]:  # fmt: skip
    """The arguments that are not traced, every array of them by name."""
    found: list[tuple[str, Any]] = []
    for name, value in (*((names[k], value) for k, value in enumerate(args) if k not in traced), *kwargs.items()):
        if is_container(value):
            map_leaves(lambda leaf, path, name=name: found.append((f"{name}{path}", leaf)), value)  # type: ignore[misc]
        else:
            found.append((name, value))
    return found


def _name_everything(graph: Graph, f: Callable[..., Any], given: Sequence[tuple[str, Any]], result: Any) -> None:
    """Call constants and nodes by what holds them at the end of the run: later it may hold something else."""
    frame, graph.frame, graph.code = graph.frame, None, None
    around_f = list(values_around(f, names_around(f)))[::-1] if hasattr(f, "__code__") else []
    inside = list(frame.f_locals.items()) if frame is not None else []
    graph.remember([*given, *around_f, *inside], [f, *(value for _, value in given)])
    _name_nodes(graph, inside, result)


def _name_nodes(graph: Graph, variables: Sequence[tuple[str, Any]], result: Any) -> None:
    """Call what the function computed by the variables that hold it at its end; the result has names of its own."""
    naming = graph.naming
    taken = {node.name_hint for node in graph.nodes} | naming.variables
    found = {id(leaf.node) for leaf in leaves(result) if isinstance(leaf, Tracer)}
    for name, value in variables:
        if type(value) is not Tracer or value.graph is not graph or name in taken or id(value.node) in found:
            continue
        value.node.name_hint = value.node.name_hint or name
    naming.variables.update(node.name_hint.partition("[")[0] for node in graph.nodes if node.name_hint)
    while any(name.startswith(naming.letter) and name[len(naming.letter) :].isdigit() for name in naming.variables):
        naming.letter = _NODE_LETTERS[_NODE_LETTERS.index(naming.letter) + 1]


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
                fix="return an array, or a tuple, list or dict of arrays"
                if not is_container(value)
                else "return one array here: np.concatenate or np.stack of them",
            )
        )
    return array if array.dtype.kind in "fc" else array.astype(float)


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _check_output(node: Node, path: str) -> None:
    value = strip_all(node.value)
    if not all_finite(value):
        for earlier in node.trace.nodes:
            inner = strip_all(earlier.value)
            if earlier.op is not None and not np.isfinite(inner).all() and _reaches(earlier, node):
                _check_finite(inner, f"{earlier.op.name}(…)", f"it reaches the output{path}")
                return


def _reaches(earlier: Node, later: Node) -> bool:
    return any(node is earlier for node in later.trace.between(later, [earlier]))
