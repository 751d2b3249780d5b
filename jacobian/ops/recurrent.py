"""One step of recurrent networks, with the weights given: compositions of linear maps, sigmoid and tanh."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.ops.activations import relu, sigmoid
from jacobian.ops.families import composite
from jacobian.ops.layers import linear
from jacobian.ops.registry import as_operand, sample
from jacobian.ops.terms import shape_of


def _checked(name: str, gates: int, operands: dict[str, Any]) -> list[Any]:
    """The operands as arrays, of shapes that fit: x[...,i], h[...,j], w_ih[gates·j,i], w_hh[gates·j,j], biases."""
    found = {what: None if value is None else as_operand(value) for what, value in operands.items()}
    shapes = {what: () if value is None else shape_of(value) for what, value in found.items()}
    if not shapes["x"] or not shapes["h"]:
        raise ShapeError(report(f"{name} needs x[...,i] and h[...,j]", got=_told(shapes)))
    inputs, hidden, batch = shapes["x"][-1], shapes["h"][-1], shapes["x"][:-1]
    rows = gates * hidden
    needed = {
        "h": (*batch, hidden), "c": (*batch, hidden), "w_ih": (rows, inputs), "w_hh": (rows, hidden), "b_ih": (rows,),
        "b_hh": (rows,),
    }  # fmt: skip
    for what, shape in needed.items():
        if found.get(what) is not None and shapes[what] != shape:
            headline = f"{name}: {what} must have the shape {shape}, not {shapes[what]}"
            spec = "x[...,i], h[...,j], w_ih[g,i], w_hh[g,j], b_ih[g], b_hh[g], g = " + f"{gates} j" * (gates > 1)
            spec = spec if gates > 1 else "x[...,i], h[...,j], w_ih[j,i], w_hh[j,j], b_ih[j], b_hh[j]"
            raise ShapeError(report(headline, spec=spec, got=_told(shapes)))
    return list(found.values())


def _told(shapes: dict[str, Any]) -> str:
    return ", ".join(f"{what}[{','.join(map(str, shape))}]" for what, shape in shapes.items() if shape)


def _parts(array: Any, count: int) -> list[Any]:
    """The last axis in equal parts."""
    size = shape_of(array)[-1] // count
    return [array[..., k * size : (k + 1) * size] for k in range(count)]


# -- the plain one ----------------------------------------------------------------------------------------------------


def _rnn(name: str, activation: Callable[[Any], Any]) -> Callable[..., Any]:
    def step(x: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
        operands = {"x": x, "h": hx, "w_ih": w_ih, "w_hh": w_hh, "b_ih": b_ih, "b_hh": b_hh}
        x, h, w_ih, w_hh, b_ih, b_hh = _checked(name, 1, operands)
        return activation(linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh))

    return step


_RNN = [sample((2, 3), (2, 2), (2, 3), (2, 2), (2,), (2,)), sample((3,), (2,), (2, 3), (2, 2))]
rnn_tanh_cell = composite(
    "rnn_tanh_cell", _rnn("rnn_tanh_cell", np.tanh), samples=_RNN,
    formula="∂h'[j]/∂h[k] = (1 - h'[j]²) w_hh[j,k], ∂h'[j]/∂x[i] = (1 - h'[j]²) w_ih[j,i]",
    note="h' = tanh(w_ih x + b_ih + w_hh h + b_hh), one step of a recurrent network; leading axes are a batch.",
)  # fmt: skip
rnn_relu_cell = composite(
    "rnn_relu_cell", _rnn("rnn_relu_cell", relu), samples=_RNN,
    formula="∂h'[j]/∂h[k] = [h'[j] > 0] w_hh[j,k], ∂h'[j]/∂x[i] = [h'[j] > 0] w_ih[j,i]",
    note="h' = relu(w_ih x + b_ih + w_hh h + b_hh), one step of a recurrent network; leading axes are a batch.",
)  # fmt: skip

# -- long short-term memory -------------------------------------------------------------------------------------------


def _lstm_cell(x: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> tuple[Any, Any]:
    if not isinstance(hx, tuple | list) or len(hx) != 2:
        raise ArgumentError(report("lstm_cell: hx must be the pair (h, c)", got=type(hx).__name__))
    operands = {"x": x, "h": hx[0], "c": hx[1], "w_ih": w_ih, "w_hh": w_hh, "b_ih": b_ih, "b_hh": b_hh}
    x, h, c, w_ih, w_hh, b_ih, b_hh = _checked("lstm_cell", 4, operands)
    i, f, g, o = _parts(linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh), 4)
    new = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(new), new


lstm_cell = composite(
    "lstm_cell", _lstm_cell,
    formula="∂c'[j]/∂c[j] = σ(f[j]), ∂h'[j]/∂c[j] = σ(o[j]) (1 - tanh(c'[j])²) σ(f[j])",
    note="one step of long short-term memory, hx = (h, c), returns (h', c'): i, f, g, o are the quarters of "
    "w_ih x + b_ih + w_hh h + b_hh, c' = σ(f) c + σ(i) tanh(g), h' = σ(o) tanh(c'); leading axes are a batch.",
    samples=[
        sample((2, 3), [(2, 2), (2, 2)], (8, 3), (8, 2), (8,), (8,)), sample((3,), [(1,), (1,)], (4, 3), (4, 1)),
    ],
)  # fmt: skip

# -- the gated recurrent unit -----------------------------------------------------------------------------------------


def _gru_cell(x: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    operands = {"x": x, "h": hx, "w_ih": w_ih, "w_hh": w_hh, "b_ih": b_ih, "b_hh": b_hh}
    x, h, w_ih, w_hh, b_ih, b_hh = _checked("gru_cell", 3, operands)
    from_x, from_h = _parts(linear(x, w_ih, b_ih), 3), _parts(linear(h, w_hh, b_hh), 3)
    reset, update = (sigmoid(a + b) for a, b in zip(from_x[:2], from_h[:2], strict=True))
    new = np.tanh(from_x[2] + reset * from_h[2])
    return new + update * (h - new)


gru_cell = composite(
    "gru_cell", _gru_cell, formula="that of its sigmoids and its tanh; ∂h'[j]/∂h[j] holds σ(z[j])",
    note="one step of the gated recurrent unit: r, z, n are the thirds of w_ih x + b_ih and of w_hh h + b_hh, "
    "n' = tanh(n_x + σ(r) n_h), h' = (1 - σ(z)) n' + σ(z) h; leading axes are a batch.",
    samples=[sample((2, 3), (2, 2), (6, 3), (6, 2), (6,), (6,)), sample((3,), (1,), (3, 3), (3, 1))],
)  # fmt: skip
