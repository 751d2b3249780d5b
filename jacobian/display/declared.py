"""What the registry declares of an op, as text: what it answers for, its derivative, its structure, its kinks."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from types import ModuleType
from typing import Any

import numpy as np

from jacobian.errors import JacobianWarning
from jacobian.functional import jacobian
from jacobian.kernel.expression import Jacobian
from jacobian.ops import REGISTRY, texts
from jacobian.ops.registry import Kink, Op, Sample, operand_names, sample
from jacobian.tracing.run import run
from jacobian.tracing.tree import leaves

try:
    import scipy
    import scipy.special
except ImportError:  # its functions are on no page then
    scipy = None
else:
    REGISTRY.later.arrive()

_NAMESPACES: Mapping[str, ModuleType] = {
    "np": np, "np.linalg": np.linalg, "np.fft": np.fft, "np.emath": np.emath,
    "np.lib.stride_tricks": np.lib.stride_tricks, **({"scipy.special": scipy.special} if scipy is not None else {}),
}  # fmt: skip
_SMALL_NUMBERS = (0.0, 1.0, 0.5, 2.0, 3.0)


def known_ops() -> list[Op]:
    """Every op of this package by name; those that need SciPy where SciPy is there."""
    return [op for op in REGISTRY if op.built_in and (not op.needs or sys.modules.get(op.needs) is not None)]


def grouped() -> dict[str, list[Op]]:
    """The same, by the file that declares them."""
    groups: dict[str, list[Op]] = {}
    for op in known_ops():
        groups.setdefault(op.module.removeprefix("jacobian.ops."), []).append(op)
    return dict(sorted(groups.items()))


def title(group: str) -> str:
    """What the file says of itself, in one sentence."""
    found = next(op.module for op in grouped()[group])
    return (sys.modules[found].__doc__ or "").partition("\n")[0]


@cache
def _public_names() -> dict[int, list[str]]:
    names: dict[int, list[str]] = {}
    for space, module in _NAMESPACES.items():
        for name in dir(module):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # names that NumPy is about to drop
                function = getattr(module, name) if not name.startswith("_") else None
            if callable(function):
                names.setdefault(id(function), []).append(f"{space}.{name}")
    return names


def answered(function: Any) -> list[str]:
    """What a user calls a function of NumPy's or SciPy's: `np.abs`, `np.absolute`; nothing for any other function."""
    return _public_names().get(id(function), [])


def answers(op: Op) -> list[str]:
    """The functions of NumPy and SciPy that an op answers for."""
    return list(dict.fromkeys(name for function in op.answers for name in answered(function)))


def signature(op: Op) -> str:
    """How an op is called."""
    found = inspect.signature(op)
    plain = [one.replace(annotation=inspect.Parameter.empty) for one in found.parameters.values()]
    text = str(found.replace(parameters=plain, return_annotation=inspect.Signature.empty))
    return f"{op.name}{text.replace(', /)', ')')}".replace("<no value>", "…")


class Example:
    """An op at a sample: its arguments by name, and the Jacobians of its outputs by every operand."""

    def __init__(self, op: Op, one: Sample) -> None:
        args, kwargs = one.draw()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", JacobianWarning)
            if op.family == "composite":
                numbers = _arrays(args)
                found = jacobian(op, tuple(numbers))(*args, **kwargs) if numbers else ()
                names = _names(op, len(args))
                self.jacobians: list[Jacobian] = [J for J in leaves(found) if isinstance(J, Jacobian)]
                operands: Sequence[Any] = args
            else:
                operands, kwargs = op.bind(args, kwargs)
                numbers = [k for k, x in enumerate(operands) if k not in op.constants and _is_differentiable(x)]
                names = operand_names(op, len(operands))
                self.jacobians = [op.jacobian(*args, argnums=k, **one.kwargs) for k in numbers]
        self.operands = dict(zip(names, operands, strict=True))
        self.arguments = self.operands | {name: value for name, value in kwargs.items() if _is_said(value)}


def _is_said(value: Any) -> bool:
    return value is not None and value is not True and value is not False


def _names(op: Op, count: int) -> Sequence[str]:
    names = list(inspect.signature(op).parameters)
    return names[:count] if len(names) >= count else [f"x{k + 1}" for k in range(count)]


def _arrays(args: Sequence[Any]) -> list[int]:
    """Which arguments of a composite are arrays, or lists of them: a number may be an order, or how many decimals."""
    return [k for k, arg in enumerate(args) if _is_array(arg)]


def _is_array(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(map(_is_array, value))
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _is_differentiable(value: Any) -> bool:
    return isinstance(value, float) or _is_array(value)


@cache
def example(op: Op) -> Example | None:
    """An op at its first sample without a scalar, or its first."""
    samples = [one for one in op.samples if all(type(arg) is not tuple or arg for arg in one.args)] or list(op.samples)
    return Example(op, samples[0]) if samples else None


def derivative(op: Op) -> str:
    """The formula that is declared; else the ops it is written in, or what the example's Jacobians say."""
    if op.derivative:
        return op.derivative
    if op.family == "composite":
        return ", ".join(f"`{name}`" for name in written_in(op))
    found = example(op)
    return "" if found is None else ", ".join(J.formula for J in found.jacobians)


def structure(op: Op) -> str:
    """What is proved of the example's Jacobians; by operand where that differs."""
    found = example(op)
    if found is None:
        return ""
    kinds = list(dict.fromkeys(str(J.structure) for J in found.jacobians))
    if len(kinds) <= 1:
        return "".join(kinds)
    parts = dict.fromkeys(f"by {J.names[1]}: {J.structure}" for J in found.jacobians)
    return "; ".join(parts if op.family != "composite" else kinds)


@cache
def written_in(op: Op) -> tuple[str, ...]:
    """The ops that a composite is written in, on its samples."""
    found: set[str] = set()
    for one in op.samples:
        args, kwargs = one.draw()
        numbers = _arrays(args)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", JacobianWarning)
            nodes = run(op, numbers, args, kwargs).graph.nodes if numbers else []
        found.update(node.op.name for node in nodes if node.op is not None)
    return tuple(sorted(found))


def kinks_met(op: Op) -> Iterator[str]:
    """The ops with kinks that a composite is written in."""
    return (name for name in written_in(op) if REGISTRY[name].kinks)


def kink_sample(op: Op, kink: Kink) -> Sample:
    """Arguments at which a kink is met: those declared, or small numbers for which its condition holds."""
    if kink.at is not None:
        return kink.at
    for numbers in product(_SMALL_NUMBERS, repeat=len(op.operands)):
        _, params = op.bind(numbers, {})
        values = dict(zip(op.operands, map(np.asarray, numbers), strict=True))
        with np.errstate(all="ignore"):
            if np.all(texts.evaluate(kink.where, **params, **values, y=op.compute(numbers, params))):
                return sample(*numbers)
    raise LookupError(f"{op.name}: no example of {kink.where}")


def kink_jacobian(op: Op, kink: Kink) -> list[Any]:
    """The entries of its Jacobians there, one operand after the other."""
    found = Example(op, kink_sample(op, kink)).jacobians
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", JacobianWarning)
        return [value for J in found for value in J.tensor().ravel().tolist()]
