"""Activations, entry by entry. Where one has a kink, the value taken is the one that PyTorch takes."""

from __future__ import annotations

from inspect import Parameter, Signature
from math import pi, sqrt
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, report
from jacobian.ops.families import elementwise
from jacobian.ops.registry import SAME, Normalise, Params, Point, sample
from jacobian.ops.special import erfc
from jacobian.ops.texts import evaluate


def _numbers(name: str, demand: str = "", **defaults: float) -> Normalise:
    """`(x, a, b, …)`: the operand, then numbers that are not differentiated, and what is demanded of them."""
    words = [Parameter(word, Parameter.POSITIONAL_OR_KEYWORD, default=value) for word, value in defaults.items()]
    signature = Signature([Parameter("x", Parameter.POSITIONAL_OR_KEYWORD), *words])

    def normalise(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], Params]:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        params = {word: number(f"{name}: {word}", bound.arguments[word]) for word in defaults}
        if demand and not evaluate(demand, **params):
            got = ", ".join(f"{word}={value:g}" for word, value in params.items())
            raise ArgumentError(report(f"{name} needs {demand}", got=got))
        return (bound.arguments["x"],), params

    normalise.__signature__ = signature  # type: ignore[attr-defined]
    return normalise


def number(what: str, value: Any) -> float:
    """A parameter that has to be one number."""
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        return float(value)
    raise ArgumentError(report(f"{what} must be a number, not {type(value).__name__}"))


# -- straight pieces --------------------------------------------------------------------------------------------------

relu = elementwise(
    lambda x: np.maximum(x, 0), "where(x > 0, 1.0, 0.0)", name="relu", answers=(), of_complex="refused",
    kink="x == 0", at_kink="0", torch={"torch.nn.functional.relu(x)": SAME},
    note="max(x, 0).",
)  # fmt: skip
leaky_relu = elementwise(
    lambda x, negative_slope: np.where(x > 0, x, negative_slope * x), "where(x > 0, 1.0, negative_slope)",
    name="leaky_relu", answers=(), of_complex="refused", normalise=_numbers("leaky_relu", negative_slope=0.01),
    kink="(x == 0) & (negative_slope != 1)", at_kink="negative_slope",
    torch={"torch.nn.functional.leaky_relu(x)": SAME},
    note="x where x > 0, negative_slope · x elsewhere.",
    samples=[sample((2, 3), 0.3), sample((3,), negative_slope=-1.0), sample((3,), np.float64(1.0))],
)  # fmt: skip


hardtanh = elementwise(
    lambda x, min_val, max_val: np.minimum(np.maximum(x, min_val), max_val),
    "where((x > min_val) & (x < max_val), 1.0, 0.0)",
    name="hardtanh", answers=(), of_complex="refused",
    normalise=_numbers("hardtanh", "min_val <= max_val", min_val=-1.0, max_val=1.0),
    kink="(x == min_val) | (x == max_val)", at_kink="0",
    torch={"torch.nn.functional.hardtanh(x)": SAME},
    note="x, cut off at min_val and max_val.",
    samples=[sample((2, 3), -0.5, 1.5)],
)  # fmt: skip
relu6 = elementwise(
    lambda x: np.clip(x, 0.0, 6.0), "where((x > 0) & (x < 6), 1.0, 0.0)", name="relu6", answers=(),
    kink="(x == 0) | (x == 6)", at_kink="0",
    torch={"torch.nn.functional.relu6(x)": SAME},
    note="x, cut off at 0 and 6.", samples=[sample((9,), domain=(-3.0, 9.0))],
)  # fmt: skip
hardsigmoid = elementwise(
    lambda x: np.clip(x + 3.0, 0.0, 6.0) / 6.0, "where((x > -3) & (x < 3), 1 / 6, 0.0)", name="hardsigmoid",
    answers=(), kink="abs(x) == 3", at_kink="0",
    torch={"torch.nn.functional.hardsigmoid(x)": SAME},
    note="(x + 3) / 6, cut off at 0 and 1.",
    samples=[sample((9,), domain=(-5.0, 5.0))],
)  # fmt: skip
hardswish = elementwise(
    lambda x: x * (np.clip(x + 3.0, 0.0, 6.0) / 6.0), "where(x >= 3, 1.0, where(x > -3, x / 3 + 0.5, 0.0))",
    name="hardswish", answers=(), of_complex="refused", kink="abs(x) == 3", at_kink="0 at -3 and 1 at 3",
    torch={"torch.nn.functional.hardswish(x)": SAME},
    note="x · hardsigmoid(x).",
    samples=[sample((9,), domain=(-5.0, 5.0))],
)  # fmt: skip
hardshrink = elementwise(
    lambda x, lambd: np.where(np.abs(x) > lambd, x, 0.0), "where(abs(x) > lambd, 1.0, 0.0)",
    name="hardshrink", answers=(), of_complex="refused", normalise=_numbers("hardshrink", lambd=0.5),
    torch={"torch.nn.functional.hardshrink(x)": SAME},
    kink="abs(x) == lambd", at_kink="0", note="x where |x| > lambd, 0 elsewhere.",
    samples=[sample((2, 3), 1.0)],
)  # fmt: skip
softshrink = elementwise(
    lambda x, lambd: np.sign(x) * np.maximum(np.abs(x) - lambd, 0), "where(abs(x) > lambd, 1.0, 0.0)",
    name="softshrink", answers=(), of_complex="refused", normalise=_numbers("softshrink", "lambd >= 0", lambd=0.5),
    torch={"torch.nn.functional.softshrink(x)": SAME},
    kink="abs(x) == lambd", at_kink="0",
    note="x, drawn towards 0 by lambd.", samples=[sample((2, 3), 1.0)],
)  # fmt: skip
softsign = elementwise(
    lambda x: x / (1 + np.abs(x)), "1 / (1 + abs(x))**2", name="softsign", answers=(), note="x / (1 + |x|).",
    of_complex="refused",
)  # fmt: skip

# -- exponential pieces -----------------------------------------------------------------------------------------------


def _sigmoid(x: Any) -> Any:
    """Without overflow: exp is only asked for what has no positive real part."""
    right = np.real(x) >= 0
    small = np.exp(np.where(right, -x, x)) if np.iscomplexobj(x) else np.exp(-np.abs(x))
    return np.where(right, 1.0, small) / (1.0 + small)


sigmoid = elementwise(_sigmoid, "y * (1 - y)", name="sigmoid", answers=(), note="1 / (1 + exp(-x)), stable.")
logsigmoid = elementwise(
    lambda x: -np.logaddexp(0, -x), "sigmoid(-x)", name="logsigmoid", answers=(), note="log sigmoid(x), stable.",
)  # fmt: skip


softplus = elementwise(
    lambda x, beta: np.logaddexp(0, beta * x) / beta, "sigmoid(beta * x)", name="softplus", answers=(),
    normalise=_numbers("softplus", "beta > 0", beta=1.0),
    note="log(1 + exp(beta x)) / beta, stable. PyTorch takes x itself above a threshold; here it needs none.",
    samples=[sample((2, 3), 2.5), sample((3,), domain=(-60.0, 60.0))],
)  # fmt: skip
silu = elementwise(
    lambda x: x * _sigmoid(x), "sigmoid(x) + y * sigmoid(-x)", name="silu", answers=(), of_complex="refused",
    note="x · sigmoid(x), also known as swish.",
)  # fmt: skip
mish = elementwise(
    lambda x: x * np.tanh(np.logaddexp(0, x)),
    "tanh(softplus(x)) + x * sigmoid(x) * (1 - tanh(softplus(x))**2)", name="mish", answers=(),
    note="x · tanh(softplus(x)).",
)  # fmt: skip


def _elu(x: Any, alpha: float) -> Any:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


elu = elementwise(
    _elu, "where(x > 0, 1.0, alpha * exp(where(x > 0, 0.0, x)))", name="elu", answers=(), of_complex="refused",
    normalise=_numbers("elu", alpha=1.0), kink="(x == 0) & (alpha != 1)", at_kink="alpha",
    torch={"torch.nn.functional.elu(x, 2.0)": SAME}, kink_at=(0.0, 2.0),
    note="x where x > 0, alpha (exp(x) - 1) elsewhere.", samples=[sample((2, 3), 2.0), sample((3,), alpha=-0.5)],
)  # fmt: skip

ALPHA, SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
"""With these, activations keep mean 0 and variance 1. Source: G. Klambauer et al., "Self-normalizing neural networks"
(2017)."""

selu = elementwise(
    lambda x: SCALE * _elu(x, ALPHA), f"where(x > 0, {SCALE}, {SCALE * ALPHA} * exp(where(x > 0, 0.0, x)))",
    name="selu", answers=(), of_complex="refused", kink="x == 0", at_kink=f"{SCALE * ALPHA:.4f}, as from the left",
    torch={"torch.nn.functional.selu(x)": SAME},
    note=f"scale · elu(x, alpha) with scale {SCALE:.4f} and alpha {ALPHA:.4f}.",
)  # fmt: skip

# -- gelu -------------------------------------------------------------------------------------------------------------

BEND, CUBIC = sqrt(2 / pi), 0.044715


def _gelu(x: Any, approximate: str) -> Any:
    if approximate == "none":
        return x * (erfc.forward(-x / sqrt(2)) / 2)
    return x * _sigmoid(2 * BEND * (x + CUBIC * x**3))  # (1 + tanh u) / 2 is sigmoid(2 u), without loss of digits


def _gelu_arguments(x: Any, approximate: str = "none") -> tuple[tuple[Any, ...], Params]:
    if approximate not in ("none", "tanh"):
        raise ArgumentError(report(f"gelu: approximate must be 'none' or 'tanh', not {approximate!r}"))
    return (x,), {"approximate": approximate}


_INNER = f"sigmoid({2 * BEND} * (x + {CUBIC} * x**3))"
_TANH = f"{_INNER} + y * (1 - {_INNER}) * {2 * BEND} * (1 + {3 * CUBIC} * x**2)"


def _gelu_text(point: Point, k: int) -> str | None:
    return _TANH if point.params["approximate"] == "tanh" else None


gelu = elementwise(
    _gelu, "erfc(-x / sqrt(2)) / 2 + x * exp(-x**2 / 2) / sqrt(2 * pi)", name="gelu", answers=(),
    of_complex="refused", normalise=_gelu_arguments, special=_gelu_text,
    note="x Φ(x), Φ being the normal distribution; with approximate='tanh', x (1 + tanh u) / 2 = x · sigmoid(2 u), "
    "u = √(2/π) (x + 0.044715 x³).",
    samples=[sample((2, 3), "tanh"), sample((3,), approximate="tanh", domain=(-6.0, 6.0))],
)  # fmt: skip
