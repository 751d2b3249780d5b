"""The function of a derivation as NumPy code, a line for every node, each of them run and compared."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from jacobian.display.declared import answers
from jacobian.display.derivation_check import agrees
from jacobian.kernel.code import run_text
from jacobian.ops.registry import Op
from jacobian.tracing.graph import Node

_INFIX = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**", "matmul": "@", "matvec": "@",
    "vecmat": "@", "remainder": "%", "floor_divide": "//",
}  # fmt: skip

_TEXTS = {
    "negative": "-{0}", "relu": "np.maximum({0}, 0)", "sigmoid": "1 / (1 + np.exp(-{0}))",
    "silu": "{0} / (1 + np.exp(-{0}))", "softplus": "np.logaddexp({0}, 0)", "softsign": "{0} / (1 + np.abs({0}))",
    "logsigmoid": "-np.logaddexp(-{0}, 0)", "logabsdet": "np.linalg.slogdet({0})[1]",
    "sign_of_det": "np.linalg.slogdet({0})[0]", "convolved": "np.convolve({0}, {1})", "outer": "np.outer({0}, {1})",
    "transpose": "{0}.T", "ravel": "{0}.ravel()", "kron_blocks": "np.kron({0}, {1})",
    "where": "np.where({condition}, {0}, {1})", "mse": "np.mean(({0} - {1})**2)",
    "linear": "{0} @ {1}.T + {2}", "running_max": "np.maximum.accumulate({0})",
    "running_min": "np.minimum.accumulate({0})", "mish": "{0} * np.tanh(np.logaddexp({0}, 0))",
    "leaky_relu": "np.where({0} > 0, {0}, {negative_slope} * {0})",
    "elu": "np.where({0} > 0, {0}, {alpha} * np.expm1({0}))",
    "cross_entropy": "-np.mean(log_softmax({0})[np.arange(len({0})), {labels}])",
    "softmax": "softmax({0}, {axis})", "log_softmax": "log_softmax({0}, {axis})", "logsumexp": "logsumexp({0}, {axis})",
}  # fmt: skip

HELPERS: Mapping[str, str] = {
    "softmax": "def softmax(x, axis=-1):\n    e = np.exp(x - np.max(x, axis=axis, keepdims=True))\n"
    "    return e / np.sum(e, axis=axis, keepdims=True)",
    "log_softmax": "def log_softmax(x, axis=-1):\n    d = x - np.max(x, axis=axis, keepdims=True)\n"
    "    return d - np.log(np.sum(np.exp(d), axis=axis, keepdims=True))",
    "logsumexp": "def logsumexp(x, axis=None):\n    m = np.max(x, axis=axis, keepdims=True)\n"
    "    return np.squeeze(m, axis) + np.log(np.sum(np.exp(x - m), axis=axis))",
    "sigmoid": "def sigmoid(x):\n    return 1 / (1 + np.exp(-x))",
    "softplus": "def softplus(x):\n    return np.logaddexp(x, 0)",
    "relu": "def relu(x):\n    return np.maximum(x, 0)",
}
"""Functions that NumPy does not have, as they are written out above a program."""

FEW = 64


class Scope:
    """Names and what they hold: the inputs, constants, and what is computed on the way."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.given: dict[str, Any] = {}  # inputs and constants: what code is run with
        self.captured: dict[int, str] = {}  # what the function calls an array, by its id

    def name_of(self, value: Any) -> str | None:
        """What an array is called here, if it has a name: its own, else that of one that is the same."""
        known = next((name for name, one in self.given.items() if one is value), None)
        return known or next((name for name, one in self.given.items() if _are_same(one, value)), None)

    def text(self, value: Any, base: str = "c") -> str:
        """A value as code: a number, a text, a short list, or the name of an array."""
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, np.ndarray) and value.ndim == 0:
            value = value.item()
        if isinstance(value, slice):
            ends = ["" if end is None else self.text(end) for end in (value.start, value.stop, value.step)]
            return ":".join(ends if ends[2] else ends[:2])
        if value is Ellipsis:
            return "..."
        if isinstance(value, tuple | list) and type(value) in (tuple, list):
            inner = ", ".join(self.text(one, base) for one in value)
            if isinstance(value, list):
                return f"[{inner}]"
            return f"({inner},)" if len(value) == 1 else f"({inner})"
        if isinstance(value, np.ndarray):
            return self.name_of(value) or self._new(value, base)
        return repr(value)

    def _new(self, value: np.ndarray, base: str) -> str:
        base = self.captured.get(id(value), base)
        names = [base, *(f"{base}{k}" for k in range(1, 10_000))]
        name = next(one for one in names if one not in self.values)
        self.given[name] = self.values[name] = value
        return name

    def run(self, code: str) -> Any:
        """The value of an expression."""
        used = {name: text for name, text in HELPERS.items() if re.search(rf"\b{name}\(", code)}
        scope: dict[str, Any] = {"np": np}
        for text in used.values():
            run_text(text, scope)
        with np.errstate(all="ignore"):
            return eval(code, {**scope, **self.values})


def _are_same(one: Any, other: Any) -> bool:
    if not isinstance(one, np.ndarray) or not isinstance(other, np.ndarray):
        return False
    return one.shape == other.shape and one.dtype == other.dtype and np.array_equal(one, other)


def node_code(node: Node, scope: Scope) -> str | None:
    """The expression that computes a node, in NumPy; None when there is none that gives its value."""
    assert node.op is not None
    operands = [name if len(name) else "c" for name in _operands(node, scope)]
    for text in _candidates(node.op, node, operands, scope):
        try:
            if agrees(scope.run(text), node.value):
                return text
        except Exception:  # whatever a guess raises, it is none
            continue
    return None


def _operands(node: Node, scope: Scope) -> Iterator[str]:
    parents = dict(node.parents)
    for k, operand in enumerate(node.operands):
        yield parents[k].name if k in parents else scope.text(operand)


def _candidates(op: Op, node: Node, operands: list[str], scope: Scope) -> Iterator[str]:
    numbers = [f"({one})" if one.startswith("-") else one for one in operands]
    if op.name in _INFIX and len(operands) == 2:
        sign = _INFIX[op.name]
        yield (sign if sign == "**" else f" {sign} ").join(numbers)
    if op.name == "getitem":
        yield f"{operands[0]}[{_key(node, scope)}]"
    if op.name == "reshape":
        yield f"{operands[0]}.reshape{tuple(node.shape)}".replace(",)", ")")
    if op.name == "einsum":
        yield f"np.einsum({', '.join([*(repr(v) for v in node.params.values() if isinstance(v, str)), *operands])})"
    params = {name: scope.text(value, name) for name, value in node.params.items() if value is not None}
    if op.name in _TEXTS:
        filled = {"axis": "None"} | {name: scope.text(value, name) for name, value in node.params.items()}
        with suppress(IndexError, KeyError):
            yield _TEXTS[op.name].format(*numbers, **filled)
    for name in _shortest(answers(op)):
        plain = {k: v for k, v in params.items() if v not in ("False", "None", "()")}
        for chosen in (plain, params, {}):
            yield f"{name}({', '.join([*operands, *(f'{k}={v}' for k, v in chosen.items())])})"
            yield f"{name}({', '.join([*operands, *chosen.values()])})"
            together = f"({', '.join(operands)})"
            yield f"{name}({', '.join([together, *(f'{k}={v}' for k, v in chosen.items())])})"


def _shortest(names: list[str]) -> list[str]:
    return sorted(names, key=lambda name: (name.count("."), name not in _USUAL))


_USUAL = {"np.abs", "np.concatenate", "np.max", "np.min", "np.transpose", "np.power", "np.arcsin", "np.arctan"}


def _key(node: Node, scope: Scope) -> str:
    values = list(node.params.values())
    key = values[0] if len(values) == 1 else tuple(values)
    if isinstance(key, tuple):
        return ", ".join(scope.text(one, "rows") for one in key)
    return scope.text(key, "rows")
