"""The chain rule as generalized dot products: `compose`, `Chain`, accumulation over a graph, and `trace`.

For z = f(y), y = g(x) of any shapes, `∂z/∂x = ∂z/∂y · ∂y/∂x`, the dot being a sum over the whole index vector of y.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from jacobian import algebra, plan
from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.memory import human
from jacobian.kernel.origin import Origin
from jacobian.tracing.graph import Graph, Node, find_node
from jacobian.tracing.run import Recording, output, run
from jacobian.tracing.scope import said
from jacobian.tracing.tree import is_container, leaves, map_leaves

MOST_OPS = 6  # of a link, that are named


def accumulate(of: Node, wrt: Sequence[Node], order: str = "auto") -> list[Jacobian]:
    """The Jacobians of one node with respect to others, by the chain rule over the graph between them."""
    return said(plan.accumulate(plan.paths(of, wrt), algebra.Numeric(), order), of, wrt)


def compare_orders(of: Node, wrt: Node) -> str:
    """What each order of elimination costs, side by side."""
    return plan.compare(plan.paths(of, [wrt]))


def compose(*jacobians: Jacobian) -> Jacobian:
    """The chain rule `compose(J3, J2, J1) = J3 @ J2 @ J1`, outermost first, as one dot product of many.

    Nothing is multiplied yet: the product stays a network until it is looked at, and is then contracted in the best
    order. `.explain()` prints that order.

    Raises:
        ArgumentError: nothing to compose, or something is not a Jacobian.
        ShapeError: two neighbours do not fit.

    >>> import numpy as np, jacobian as jac
    >>> J1 = jac.Jacobian.einsum("ij->i|j", np.ones((2, 3)))
    >>> J2 = jac.Jacobian.einsum("i->|i", np.ones(2))
    >>> jac.compose(J2, J1).tensor()
    array([2., 2., 2.])
    """
    if not jacobians:
        raise ArgumentError(report("compose needs at least one Jacobian"))
    for position, J in enumerate(jacobians):
        if not isinstance(J, Jacobian):
            raise ArgumentError(report(f"compose: argument {position} is not a Jacobian but a {type(J).__name__}"))
    for position, (left, right) in enumerate(pairwise(jacobians)):
        if left.in_shape != right.out_shape:
            raise ShapeError(
                report(
                    f"compose: arguments {position} and {position + 1} do not fit",
                    got=f"{left.out_shape} × {left.in_shape} and {right.out_shape} × {right.in_shape}",
                    fix="outermost first: the input of each is the output of the next",
                )
            )
    product = jacobians[-1]
    for J in reversed(jacobians[:-1]):
        product = J @ product
    return product


class Link:
    """One function of a chain, and its local Jacobian at the last point where it was asked for."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function
        self._point: np.ndarray | None = None
        self._found: tuple[np.ndarray, Jacobian] | None = None
        self.ops = ""  # what it consists of, as seen at the last point

    @property
    def point(self) -> np.ndarray | None:
        """The last point where its local Jacobian was asked for."""
        return self._point

    @property
    def name(self) -> str:
        """What the function is called."""
        return getattr(self.function, "__name__", type(self.function).__name__)

    def at(self, x: np.ndarray, names: tuple[str, str] = ("y", "x")) -> tuple[np.ndarray, Jacobian]:
        """Value and local Jacobian, with these names in its formula; the same objects for the same point."""
        known = self._point is not None and self._point.dtype == x.dtype and np.array_equal(self._point, x)
        if self._found is None or not known:
            recording = run(self.function, (0,), (x,), {})
            node, of = recording.inputs[0], output(recording.result, "", recording.graph)
            node.name_hint = names[1]
            if isinstance(of, Node):
                of.name_hint = names[0] if of is not node else names[1]
                (J,) = accumulate(of, [node])
                value = np.asarray(of.value)
            else:
                J, value = Jacobian.zero(np.shape(of), np.shape(x), x.dtype), of
            self._point, self._found = np.array(x), (value, J.named(*names))
            self.ops = _ops_of(recording.graph)
        return self._found


def _ops_of(graph: Graph) -> str:
    """The ops of a run, in the order in which they ran; the first of them when there are many."""
    names = [node.op.name for node in graph.nodes if node.op is not None]
    return ", ".join(names if len(names) <= MOST_OPS else [*names[:MOST_OPS], f"{len(names) - MOST_OPS} more"])


class Chain:
    """A composition `z = f3(f2(f1(x)))`, outermost function first, with every local Jacobian at hand.

    Each function only needs what arrives from above and its own local Jacobian. Replacing one leaves the others'
    local Jacobians the identical objects, as long as their inputs stay the same.

    >>> import numpy as np, jacobian as jac
    >>> net = jac.Chain(np.sum, np.tanh, lambda x: 2 * x)
    >>> x = np.zeros(3)
    >>> net.jacobian(x).tensor()
    array([2., 2., 2.])
    >>> [J.structure for J in net.locals(x)]
    ['dense', 'diagonal', 'diagonal']
    """

    def __init__(self, *functions: Callable[[Any], Any] | Link) -> None:
        if not functions:
            raise ArgumentError(report("Chain needs at least one function"))
        for position, function in enumerate(functions):
            if not callable(function) and not isinstance(function, Link):
                raise ArgumentError(report(f"Chain: argument {position} is not a function but {function!r}"))
        self.links = tuple(f if isinstance(f, Link) else Link(f) for f in functions)

    def __call__(self, x: Any) -> Any:
        """The value z."""
        for link in reversed(self.links):
            x = link.function(x)
        return x

    def __len__(self) -> int:
        """How many functions."""
        return len(self.links)

    def _run(self, x: Any) -> list[tuple[np.ndarray, Jacobian]]:
        found: list[tuple[np.ndarray, Jacobian]] = []
        value = np.asarray(x)
        inner = ["x", *(f"y{k + 1}" for k in range(len(self) - 1)), "z"]
        for link, into, out in zip(reversed(self.links), inner, inner[1:], strict=False):
            found.append(link.at(value, (out, into)))
            value = found[-1][0]
        return found[::-1]

    def values(self, x: Any) -> tuple[np.ndarray, ...]:
        """The output of every function, outermost first."""
        return tuple(np.array(value) for value, _ in self._run(x))

    def locals(self, x: Any) -> tuple[Jacobian, ...]:
        """The local Jacobian of every function at its own input, outermost first."""
        return tuple(J for _, J in self._run(x))

    def upstreams(self, x: Any) -> tuple[Jacobian, ...]:
        """What arrives at every function from above, ∂z/∂(its output), outermost first."""
        locals_ = self.locals(x)
        arriving = Jacobian.identity(locals_[0].out_shape, locals_[0].dtype, ("z", "z"))
        found: list[Jacobian] = []
        for J in locals_:
            found.append(arriving)
            arriving = arriving @ J
        return tuple(found)

    def downstreams(self, x: Any) -> tuple[Jacobian, ...]:
        """What every function hands on, upstream · local, outermost first."""
        return tuple(up @ J for up, J in zip(self.upstreams(x), self.locals(x), strict=True))

    def jacobian(self, x: Any) -> Jacobian:
        """∂z/∂x: the generalized dot product of all local Jacobians."""
        z, J = self.values(x)[0], compose(*self.locals(x)).named("z", "x")
        J.origin = Origin(self, np.array(x, J.dtype), lambda: z)
        return J

    def replace(self, position: int, function: Callable[[Any], Any]) -> Chain:
        """The chain with one function exchanged; all other links are shared with this chain."""
        if type(position) is not int or not -len(self) <= position < len(self):
            raise ArgumentError(report(f"replace: there is no link {position!r}", got=f"{len(self)} links"))
        links: list[Any] = list(self.links)
        links[position] = function
        return Chain(*links)

    def costs(self, x: Any) -> dict[str, plan.Cost]:
        """What multiplying the local Jacobians costs: `"forward"`, `"reverse"`, and `"best"` for the best order."""
        return {order: _chain_cost(self.locals(x), order) for order in ("forward", "reverse", "best")}

    def __repr__(self) -> str:
        """`Chain z = f3(f2(f1(x)))`."""
        return f"Chain z = {'('.join(link.name for link in self.links)}(x{')' * len(self)}"

    def explain(self, x: Any) -> str:
        """One row per link, then forward, reverse and the best order of multiplication with their costs.

        In a notebook the text is shown as tables.
        """
        from jacobian.display.chain_page import Explanation, html
        from jacobian.display.orders import orders

        locals_ = self.locals(x)
        rows = [f"Chain of {len(self)}: {repr(self).removeprefix('Chain ')}"]
        for link, J in zip(self.links, locals_, strict=True):
            rows.append(f"  {link.name:<14} {J.out_shape} × {J.in_shape}  {J.structure}  {human(J.nbytes)}")
        rows += map(str, self.costs(x).values())
        rows += [f"{order.name:<12} {order.bracketing}" for order in orders(locals_)[:3]]
        rows.append(self.jacobian(x).explain())
        return Explanation.of("\n".join(rows), partial(html, self, np.array(x)))

    def plot(self, x: Any, ax: Any = None, **kwargs: Any) -> Any:
        """The multiplications of every order as bars, drawn by matplotlib into `ax` or the current axes.

        Further arguments are those of `ax.bar`, whose container is returned.
        """
        from jacobian.display.graph_plots import plot_chain

        return plot_chain(self, x, ax, **kwargs)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows: the links at the last point where they were asked for."""
        from jacobian.display.chain_page import html, unevaluated

        points = [link.point for link in self.links]
        known = points[-1] is not None and all(point is not None for point in points)
        return {"text/plain": repr(self), "text/html": html(self, points[-1]) if known else unevaluated(self)}


def _chain_cost(locals_: Sequence[Jacobian], order: str) -> plan.Cost:
    counting = algebra.Counting()
    if order == "best":
        counting.contract(compose(*locals_))
    else:
        rest = list(locals_) if order == "reverse" else list(locals_)[::-1]
        total = rest[0]
        for J in rest[1:]:
            total = counting.contract(total @ J if order == "reverse" else J @ total)
    return plan.Cost(order, counting.multiplications, counting.nbytes, counting.largest)


class Trace:
    """The graph of one run of a function: its nodes, and the Jacobian of any node with respect to any other."""

    def __init__(self, recording: Recording) -> None:
        self._graph: Graph = recording.graph
        self.inputs = recording.inputs
        results = leaves(recording.result)
        outputs = [output(leaf, "", recording.graph) for leaf in results]
        found = [(leaf, of) for leaf, of in zip(results, outputs, strict=True) if isinstance(of, Node)]
        for position, (leaf, of) in enumerate(found):
            of.name_hint = of.name_hint or recording.name_of(leaf, "" if len(found) == 1 else str(position))
        result = recording.result
        named = iter(outputs)
        self.output: Any = map_leaves(lambda _, __: next(named), result) if is_container(result) else outputs[0]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Inputs first, then every operation in the order in which it ran."""
        return tuple(self._graph.nodes)

    def node(self, key: Any) -> Node:
        """A node by number or name."""
        return find_node(self.nodes, key)

    def jacobian(self, of: Any = None, wrt: Any = 0, order: str = "auto") -> Jacobian:
        """The Jacobian of node `of` (the output unless given) with respect to node `wrt`."""
        of = self.output if of is None else of
        if of is self.output and not isinstance(of, Node):
            raise ArgumentError(
                report("the output is no single node of this trace", fix="say of= which node: trace.nodes lists them")
            )
        of, wrt = find_node(self.nodes, of), find_node(self.nodes, wrt)
        if wrt.index > of.index:
            return Jacobian.zero(of.shape, wrt.shape, plan.seed(of).dtype, (of.name, wrt.name))
        return accumulate(of, [wrt], order)[0].named(of.name, wrt.name)

    def __repr__(self) -> str:
        """One line per node."""
        lines = [f"Trace of {len(self.nodes)} nodes"]
        shown = [repr(node) for node in self.nodes]
        if len(shown) > 40:
            shown = [*shown[:20], f"… {len(shown) - 40} more …", *shown[-20:]]
        return "\n".join([*lines, *(f"  {line}" for line in shown)])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows: the graph, and in a table every node and every local Jacobian."""
        from jacobian.display.graph_page import mimebundle

        return mimebundle(self)

    def svg(self) -> str:
        """The picture of the graph as the text of an SVG file; needs the extra `graph`.

        Raises:
            MissingExtraError: igraph, which lays it out, is not installed.
        """
        from jacobian.display.graph_page import picture_file

        return picture_file(self)

    def plot(self, ax: Any = None, **kwargs: Any) -> Any:
        """The graph, drawn by matplotlib into `ax` or the current axes; needs the extras `graph` and `plot`.

        Further arguments are those of `ax.text`, for what stands in the nodes; the list of these texts is returned.
        """
        from jacobian.display.graph_plots import plot_trace

        return plot_trace(self, ax, **kwargs)


def trace(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Trace:
    """Run a function and keep its graph; all positional arguments are inputs that can be differentiated by.

    >>> import numpy as np, jacobian as jac
    >>> t = jac.trace(lambda x: np.sum(np.sin(x) ** 2), np.zeros(3))
    >>> [node.op.name for node in t.nodes[1:]]
    ['sin', 'power', 'sum']
    >>> print(t.jacobian(of="v1", wrt="x").formula)
    ∂v1[i]/∂x[i] = cos(x[i])
    """
    return Trace(run(f, range(len(args)), args, kwargs))
