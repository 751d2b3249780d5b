"""A derivation in smaller steps: layers written out in sums, products and exponentials.

A slip inside a layer, such as a mean taken for a constant, is a slip in one of these steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jacobian.checking.derivation import Run
from jacobian.ops.normalisation import VIEWS, Seen, View
from jacobian.ops.registry import Op, Params
from jacobian.tracing.graph import Graph, Node
from jacobian.tracing.stripped import strip_all
from jacobian.tracing.tracer import Tracer, record_bound

Expansion = Callable[[tuple[Any, ...], Params], Any]


def refined(run: Run) -> tuple[Node, Node, dict[int, int]]:
    """Output and input of the same computation in smaller steps, and which old node each new one belongs to."""
    graph = run.trace._graph.without_nodes()
    made: dict[int, Any] = {}
    belongs: dict[int, int] = {}
    for node in run.trace.nodes:
        if node.op is None:
            made[node.index] = input_again(graph, node)
        else:
            operands = operands_again(node, made)
            result = _expanded(node.op, tuple(operands), node.params)
            if result is None:
                result = record_bound(node.op, operands, node.params)
            made[node.index] = result
            if isinstance(result, Tracer):
                result.node.name_hint = node.name_hint or result.node.name_hint or node.name
        for later in range(len(belongs), len(graph.nodes)):
            belongs[later] = node.index
            step = graph.nodes[later]
            step.name_hint = step.name_hint or f"{node.name}.{step.op.name if step.op else ''}"
    assert isinstance(run.of, Node)
    _make_names_differ(graph.nodes)
    return made[run.of.index].node, made[run.wrt.index].node, belongs


def input_again(graph: Graph, node: Node) -> Tracer:
    """An input of another graph that has the same numbers."""
    value = strip_all(node.value)
    return Tracer(graph, Node(graph, None, value, name=node.name), value)


def operands_again(node: Node, made: Mapping[int, Any]) -> list[Any]:
    """The operands of a node with what has been made anew of other nodes in their place."""
    parents = dict(node.parents)
    return [made[parents[k].index] if k in parents else operand for k, operand in enumerate(node.operands)]


def _expanded(op: Op, operands: tuple[Any, ...], params: Params) -> Any:
    """What an op does in smaller steps; None where it is a step itself."""
    expansion = EXPANSIONS.get(op.name)
    if expansion is not None:
        return expansion(operands, params)
    reduction = params.get("reduction")
    if reduction in ("mean", "sum"):  # any loss: one number for each row, then their mean or sum
        losses = record_bound(op, list(operands), {**params, "reduction": "none"})
        return _reduced(_called(losses, "losses"), reduction)
    return None


def _make_names_differ(nodes: list[Node]) -> None:
    """Two of a name are told apart by a prime."""
    taken: set[str] = set()
    for node in nodes:
        name = node.name_hint
        while name and name in taken:
            name += "'"
        node.name_hint = name
        taken.add(name)


def _called(value: Any, name: str) -> Any:
    """The value, which formulas call so unless it has a name."""
    if isinstance(value, Tracer) and not value.node.name_hint:
        value.node.name_hint = name
    return value


def _constant(value: Any) -> Any:
    return strip_all(value)


def _shifted(x: Any, axis: Any) -> Any:
    """The operand less its maximum, which is a constant here: it is there for the sake of numerics only."""
    shift = np.max(_constant(x), axis=axis, keepdims=True)
    shift = np.where(np.isfinite(shift), shift, 0.0)
    found = _called(x - shift, "s")
    if isinstance(x, Tracer):
        x.node.trace.naming.rename(found.node.operands[1], f"max({x.node.name})")
    return found


def _exponentials(x: Any, axis: Any) -> tuple[Any, Any]:
    e = _called(np.exp(_shifted(x, axis)), "e")
    return e, _called(np.sum(e, axis=axis, keepdims=True), "Z")


def _softmax(x: Any, axis: Any) -> Any:
    e, total = _exponentials(x, axis)
    return e / total


def _log_softmax(x: Any, axis: Any) -> Any:
    shifted = _shifted(x, axis)
    e = _called(np.exp(shifted), "e")
    return shifted - np.log(_called(np.sum(e, axis=axis, keepdims=True), "Z"))


def _logsumexp(operands: tuple[Any, ...], params: Params) -> Any:
    if len(operands) != 1 or not set(params) <= {"axis", "keepdims"}:
        return None
    x, axis = operands[0], params.get("axis")
    total = np.sum(_called(np.exp(_shifted(x, axis)), "e"), axis=axis, keepdims=params.get("keepdims", False))
    return np.log(_called(total, "Z"))


def _reduced(losses: Any, reduction: str) -> Any:
    return losses if reduction == "none" else np.mean(losses) if reduction == "mean" else np.sum(losses)


def _cross_entropy(operands: tuple[Any, ...], params: Params) -> Any:
    logits, labels, axis = operands[0], params["labels"], params["axis"]
    logs = _called(_log_softmax(logits, axis), "log p")
    if labels is None:
        target = operands[1]
    else:
        classes = np.shape(logits)[axis]
        ruler = np.expand_dims(np.arange(classes), [k for k in range(np.ndim(logits)) if k != axis % np.ndim(logits)])
        target = (np.expand_dims(labels, axis) == ruler).astype(float)
    return _reduced(-np.sum(target * logs, axis=axis), params["reduction"])


def _mse(operands: tuple[Any, ...], params: Params) -> Any:
    return _reduced((operands[0] - operands[1]) ** 2, params["reduction"])


def _variance(x: Any, axis: Any, ddof: float, keepdims: bool) -> Any:
    mean = _called(np.mean(x, axis=axis, keepdims=True), "μ")
    squares = (x - mean) ** 2
    if not ddof:
        return np.mean(squares, axis=axis, keepdims=keepdims)
    total = np.sum(squares, axis=axis, keepdims=keepdims)
    count = np.size(_constant(x)) / max(np.size(_constant(total)), 1)
    return total / (count - ddof)


def _var(operands: tuple[Any, ...], params: Params) -> Any:
    if len(operands) != 1 or not set(params) <= {"axis", "ddof", "keepdims"}:
        return None
    return _variance(operands[0], params.get("axis"), params.get("ddof", 0), params.get("keepdims", False))


def _std(operands: tuple[Any, ...], params: Params) -> Any:
    variance = _var(operands, params)
    return None if variance is None else np.sqrt(_called(variance, "σ²"))


def _normalisation(seen: Seen) -> Expansion:
    def expansion(operands: tuple[Any, ...], params: Params) -> Any:
        shape = np.shape(operands[0])
        view = seen(shape, params)
        x = operands[0] if view.shape == shape else np.reshape(operands[0], view.shape)
        result = _called(_hat(x, view, params), "x̂")
        weight, bias = (
            np.reshape(value, view.spread) if np.ndim(value) else value for value in (*operands[1:], 1.0, 0.0)[:2]
        )
        if len(operands) > 1:
            result = result * weight
        if len(operands) > 2:
            result = result + bias
        return result if view.shape == shape else np.reshape(result, shape)

    return expansion


def _hat(x: Any, view: View, params: Params) -> Any:
    """What is normalised, before weight and bias."""
    if params.get("statistics") is not None:
        mean, variance = (np.reshape(value, view.spread) for value in params["statistics"])
        return (x - mean) / np.sqrt(variance + params["eps"])
    if view.centred:
        mean = _called(np.mean(x, axis=view.axes, keepdims=True), "μ")
        x = _called(x - mean, "d")
    variance = _called(np.mean(x**2, axis=view.axes, keepdims=True), "σ²" if view.centred else "mean(x²)")
    return x / _called(np.sqrt(variance + params["eps"]), "σ")


def _attention(operands: tuple[Any, ...], params: Params) -> Any:
    q, k, v, *bias = operands
    scores = np.matmul(q, np.matrix_transpose(k)) * params["scale"]
    if bias:
        scores = scores + bias[0]
    keep = np.tri(*np.shape(scores)[-2:]) > 0 if params["causal"] else params["keep"]
    if keep is not None:
        scores = np.where(keep, scores, -1e30)
    return np.matmul(_called(_softmax(_called(scores, "S"), -1), "P"), v)


def _linear(operands: tuple[Any, ...], params: Params) -> Any:
    x, W, *b = operands
    y = np.matmul(x, np.matrix_transpose(W))
    return y + b[0] if b else y


def _norm(operands: tuple[Any, ...], params: Params) -> Any:
    order = params.get("ord", params.get("order", 2))
    if order not in (None, 2) or not set(params) <= {"ord", "order", "axis", "keepdims"}:
        return None
    total = np.sum(operands[0] ** 2, axis=params.get("axis"), keepdims=params.get("keepdims", False))
    return np.sqrt(total)


EXPANSIONS: dict[str, Expansion] = {
    "softmax": lambda operands, params: _softmax(operands[0], params.get("axis", -1)),
    "log_softmax": lambda operands, params: _log_softmax(operands[0], params.get("axis", -1)),
    "cross_entropy": _cross_entropy,
    "mse": _mse,
    "var": _var,
    "std": _std,
    "logsumexp": _logsumexp,
    "attention": _attention,
    "linear": _linear,
    "vector_norm": _norm,
    **{name: _normalisation(seen) for name, seen in VIEWS.items()},
}
