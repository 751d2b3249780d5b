"""Backpropagation, one step per node: upstream · local = downstream, each of them a Jacobian."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from jacobian import plan
from jacobian.chain import Trace
from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.operands import as_numbers
from jacobian.kernel.real import real_part
from jacobian.kernel.simplify import collapsed, contracted
from jacobian.kernel.term import Factor, Term
from jacobian.tracing.graph import Node
from jacobian.tracing.run import run
from jacobian.tracing.stripped import strip_all

SCREEN = 40  # lines


class Step(NamedTuple):
    """What happens at one node.

    `upstream` is ∂z/∂(the node's value), `local` the node's own Jacobian by each operand that depends on the input,
    `downstream` what it hands on to each of them: upstream · local.
    """

    node: Node
    upstream: Jacobian
    local: dict[str, Jacobian]
    downstream: dict[str, Jacobian]

    def __str__(self) -> str:
        """The node, what arrives, and a line for each operand."""
        op = self.node.op.name if self.node.op else "input"
        lines = [f"{self.node!r}", f"  upstream   {self.upstream.formula}"]
        for name, J in self.local.items():
            lines.append(f"  local      {J.formula}")
            lines.append(f"  downstream {self.downstream[name].formula}")
        return "\n".join(lines) if self.local else f"{lines[0]} ({op})\n{lines[1]}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows: the node's table."""
        from jacobian.display.backprop_page import step_mimebundle

        return step_mimebundle(self)


class Backpropagation:
    """All steps from the output back to the inputs, in the order in which backpropagation takes them."""

    def __init__(self, value: np.ndarray, steps: tuple[Step, ...]) -> None:
        self.value = value
        self.steps = steps

    def __iter__(self) -> Iterator[Step]:
        """The steps, the output's first."""
        return iter(self.steps)

    def __len__(self) -> int:
        """How many nodes were visited."""
        return len(self.steps)

    def __getitem__(self, key: int | str) -> Step:
        """A step by position or by its node's name."""
        if isinstance(key, int):
            return self.steps[key]
        for step in self.steps:
            if step.node.name == key:
                return step
        for step in self.steps:
            if key == f"v{step.node.index}":  # it bears a variable's name, and its number still finds it
                return step
        names = ", ".join(step.node.name for step in self.steps)
        raise ArgumentError(report(f"backpropagation visited no node {key!r}", nodes=names))

    @property
    def jacobians(self) -> dict[str, Jacobian]:
        """What arrives at the inputs, by name: the Jacobians of the output, times the upstream if one was given."""
        return {step.node.name: step.upstream for step in self.steps if step.node.op is None}

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes that were visited, in the order in which they ran."""
        return tuple(sorted((step.node for step in self.steps), key=lambda node: node.index))

    def __str__(self) -> str:
        """Every step."""
        return "\n".join(str(step) for step in self.steps)

    def __repr__(self) -> str:
        """The first steps, one screen at most."""
        lines: list[str] = []
        for shown, step in enumerate(self.steps):
            more = str(step).splitlines()
            if shown and len(lines) + len(more) > SCREEN:
                return "\n".join([*lines, f"… {len(self) - shown} more nodes"])
            lines += more
        return "\n".join(lines)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows: the graph of what flows back, and every node's table."""
        from jacobian.display.backprop_page import mimebundle

        return mimebundle(self)

    def svg(self) -> str:
        """The picture of what flows back as the text of an SVG file; needs the extra `graph`.

        Raises:
            MissingExtraError: igraph, which lays it out, is not installed.
        """
        from jacobian.display.backprop_page import picture_file

        return picture_file(self)

    def plot(self, ax: Any = None, **kwargs: Any) -> Any:
        """The graph with what flows back, drawn by matplotlib into `ax` or the current axes.

        Needs the extras `graph` and `plot`. Further arguments are those of `ax.text`, for what stands in the nodes; the
        list of these texts is returned.
        """
        from jacobian.display.graph_plots import plot_backpropagation

        return plot_backpropagation(self, ax, **kwargs)


def backprop(f: Callable[..., Any], *args: Any, upstream: Any = None, **kwargs: Any) -> Backpropagation:
    """Run `f` and walk back: at every node the upstream Jacobian, the local ones, and the downstream ones.

    Without `upstream` the walk starts with ∂z/∂z, a δ on every axis of the output, so tensor outputs work like
    scalar ones; an array of the output's shape (further axes in front are kept) starts it with that instead.

    Raises:
        ArgumentError: the function returned more than one array, or nothing that depends on its inputs.
        ShapeError: `upstream` does not have the output's shape.

    >>> import numpy as np, jacobian as jac
    >>> b = jac.backprop(lambda x: np.sum(np.tanh(x)), np.zeros(2))
    >>> [step.node.name for step in b]
    ['y', 'v1', 'x']
    >>> b.jacobians["x"].tensor()
    array([1., 1.])
    """
    trace = Trace(run(f, range(len(args)), args, kwargs))
    of = trace.output
    if not isinstance(of, Node):
        raise ArgumentError(
            report("backprop needs a function that returns one array that depends on its arguments", fix="return one")
        )
    inputs = [node for node in trace.nodes if node.op is None]
    graph = plan.paths(of, inputs)
    plan.refuse_not_holomorphic(graph)
    if plan.is_complex(of) and any(map(plan.becomes_real, graph.nodes)):
        raise ArgumentError(
            report(
                "backprop: the output is complex and a real part lies on the way, which cannot be seen from behind",
                fix="return the real and the imaginary part, or take jac.jacobian(f)",
            )
        )
    arrived: dict[int, Jacobian] = {of.index: _start(of, upstream)}
    steps: list[Step] = []
    for node in graph.nodes:
        J = arrived.get(node.index)
        if J is None:
            continue
        J = contracted(J if plan.is_complex(node) or plan.is_complex(of) else real_part(J))
        J = J.named(J.names[0], node.name)
        arriving = _called_by_name(J)
        local: dict[str, Jacobian] = {}
        downstream: dict[str, Jacobian] = {}
        for operand, parent in graph.edges[node.index]:
            key = parent.name if parent.name not in local else f"{parent.name} (operand {operand})"
            local[key] = node.local(operand)
            downstream[key] = arriving @ local[key]
            before = arrived.get(parent.index)
            arrived[parent.index] = downstream[key] if before is None else before + downstream[key]
        steps.append(Step(node, J, local, downstream))
    reached = {step.node.index for step in steps}
    steps += [
        Step(node, Jacobian.zero(arrived[of.index].out_shape, node.shape, arrived[of.index].dtype), {}, {})
        for node in inputs if node.index not in reached
    ]  # fmt: skip
    return Backpropagation(np.array(strip_all(of.value)), tuple(steps))


def _called_by_name(J: Jacobian) -> Jacobian:
    """An upstream that is one full array, called ∂z/∂v, so that what is handed on reads as upstream · local."""
    if not any(_is_full(term) for term in J.terms):
        return J
    term, *others = collapsed(J).terms if len(J.terms) > 1 else J.terms
    if others or not _is_full(term):
        return J
    named = term.with_factors((Factor(term.factors[0].array, "/".join(f"∂{name}" for name in J.names)),))
    return Jacobian([named], J.out_shape, J.in_shape, J.dtype, J.names)


def _is_full(term: Term) -> bool:
    """Whether the term is one array of all entries, so that another term costs nothing to add."""
    pattern = term.pattern
    axes = (*pattern.out, *pattern.into)
    plain = all(form.is_plain for form in axes)
    return plain and term.scale == 1 and not pattern.guards and [a.forms for a in pattern.factors] == [axes]


def _start(of: Node, upstream: Any) -> Jacobian:
    if upstream is None:
        return plan.seed(of)
    dtype = np.result_type(of.value, np.float32)
    array = as_numbers(upstream, "backprop: upstream must be an array of numbers", dtype)
    lead = array.ndim - len(of.shape)
    if lead < 0 or array.shape[lead:] != of.shape:
        raise ShapeError(
            report("backprop: upstream must have the output's shape", got=array.shape, fix=f"give it {of.shape}")
        )
    return Jacobian.from_array(array, lead, "upstream").named("L", of.name)
