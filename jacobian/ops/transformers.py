"""What transformers are made of: attention, its heads, and rotary positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, ShapeError, report
from jacobian.kernel.access import affine, plain
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.pattern import Access, Pattern
from jacobian.kernel.term import Array, Factor, Term
from jacobian.ops import texts
from jacobian.ops.activations import number
from jacobian.ops.families import composite
from jacobian.ops.layers import linear
from jacobian.ops.registry import Op, Params, Point, as_operand, describe, register, sample
from jacobian.ops.softmaxes import softmax
from jacobian.ops.terms import constant_array, is_traced, require, shape_of, summed, written

# -- attention --------------------------------------------------------------------------------------------------------


def _weights(q: Any, k: Any, bias: Any, params: Params) -> Any:
    """P: what every query takes of every key's value."""
    scores = np.matmul(q, np.matrix_transpose(k)) * params["scale"]
    if bias is not None:
        scores = scores + bias
    keep = params["keep"]
    if params["causal"]:
        keep = np.tri(*shape_of(scores)[-2:], dtype=bool)
    return softmax(scores if keep is None else np.where(keep, scores, -np.inf))


def _attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, *bias: np.ndarray, **params: Any) -> Any:
    given: dict[str, tuple[str, Array]] = {"q": ("...id", q), "k": ("...jd", k), "v": ("...jc", v)}
    require("attention", "q[...,i,d], k[...,j,d], v[...,j,c] -> y[...,i,c]", **given)
    for mask in (*bias, *(() if params["keep"] is None else (params["keep"],))):
        if not np.all(np.any(mask if mask.dtype.kind == "b" else mask > -np.inf, axis=-1)):
            headline = "attention: the mask leaves a query nothing to attend to"
            raise ArgumentError(report(headline, got=describe("mask", mask)))
    return np.matmul(_weights(q, k, bias[0] if bias else None, params), v)


def _attention_rule(point: Point, number: int) -> Jacobian:
    """Through P = softmax(scale q kᵀ): its `δ P - P P` gives two terms, of which the second has the output in it."""
    q, k, _, *bias = point.x
    scale, into = point.params["scale"], shape_of(point.x[number])
    P = _weights(q, k, bias[0] if bias else None, point.params)
    of = f"P({point.names[0]}, {point.names[1]})"
    p, y = Factor(P, of), Factor(point.y, point.out_name)
    named = [Factor(array, name) for array, name in zip(point.x, point.names, strict=True)]
    if number == 0:
        mean = Factor(np.matmul(P, k), texts.at(f"({of} @ {point.names[1]})", range(np.ndim(k))))
        straight = written("ij,jc,jd->ic|id", p, named[2], named[1], into=into, scale=scale)
        return summed(straight, written("ic,id->ic|id", y, mean, into=into, scale=-scale))
    if number == 1:
        straight = written("ij,id,jc->ic|jd", p, named[0], named[2], into=into, scale=scale)
        return summed(straight, written("ij,id,ic->ic|jd", p, named[0], y, into=into, scale=-scale))
    if number == 2:
        return written("ij->ic|jc", p, into=into)
    straight = written("ij,jc->ic|ij", p, named[2], into=into)
    return summed(straight, written("ij,ic->ic|ij", p, y, into=into, scale=-1))


def _attention_arguments(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float | None = None,
) -> tuple[tuple[Any, ...], Params]:  # fmt: skip
    """A mask of booleans is a parameter; one of numbers is added to the scores, and an operand like any other."""
    if dropout_p:
        fix = "softmax, dropout with a mask, and matmul"
        raise ArgumentError(report("attention: dropout_p draws at random, which is not traced", fix=fix))
    if is_causal and attn_mask is not None:
        raise ArgumentError(
            report("attention: a mask is given, and is_causal asks for another", fix="join them in one")
        )
    if len(shape_of(query)) < 2:
        raise ShapeError(report(f"attention: q must have at least 2 axes, not {len(shape_of(query))}"))
    scale = float(max(shape_of(query)[-1], 1)) ** -0.5 if scale is None else number("attention: scale", scale)
    keep = None
    if attn_mask is not None and not is_traced(attn_mask):
        attn_mask = np.asarray(attn_mask)
        if attn_mask.dtype.kind == "b":
            attn_mask, keep = None, attn_mask
    operands = (query, key, value) if attn_mask is None else (query, key, value, attn_mask)
    return operands, {"scale": scale, "keep": keep, "causal": bool(is_causal)}


attention = register(
    Op(
        "attention", _attention, _attention_rule, normalise=_attention_arguments, operands=("q", "k", "v", "mask"),
        family="network",
        formula="∂y[i,c]/∂v[j,c] = P[i,j], ∂y[i,c]/∂q[i,d] = s Σ_j P[i,j] (v[j,c] - y[i,c]) k[j,d], "
        "∂y[i,c]/∂k[j,d] = s P[i,j] q[i,d] (v[j,c] - y[i,c]), P = softmax(s q kᵀ)",
        aliases=("scaled_dot_product_attention",),
        note="softmax(s q kᵀ + mask) v, s = 1/√d unless given; leading axes are a batch. A mask of booleans says which "
        "keys take part; with is_causal, query i sees keys 0 to i. A query that sees none is refused, where PyTorch "
        "says 0.",
        samples=[
            sample((3, 2), (4, 2), (4, 3)), sample((2, 3, 2), (2, 3, 2), (2, 3, 1), np.tri(3, dtype=bool)),
            sample((2, 2), (3, 2), (3, 2), (2, 3), scale=0.7), sample((2, 1, 2, 2), (1, 3, 2), (2, 2, 3, 2)),
            sample((2, 3, 2), (2, 4, 2), (2, 4, 1), is_causal=True),
        ],
    )
)  # fmt: skip

# -- heads ------------------------------------------------------------------------------------------------------------


def _heads(x: Any, count: int) -> Any:
    """`[...,i,e]` as `[...,head,i,e]`."""
    shape = shape_of(x)
    return np.swapaxes(np.reshape(x, (*shape[:-1], count, shape[-1] // count)), -3, -2)


def _part(array: Any, third: int, size: int) -> Any:
    """Rows for the queries, the keys or the values."""
    return None if array is None else array[third * size : (third + 1) * size]


def _check_heads(count: Any, sizes: dict[str, tuple[Any, tuple[int, ...]]], width: int) -> None:
    name = "multi_head_attention"
    if not isinstance(count, int | np.integer) or count < 1:
        raise ArgumentError(report(f"{name}: num_heads must be a whole number of at least 1, not {count!r}"))
    if width % count:
        raise ShapeError(report(f"{name}: {width} features cannot be divided into {count} heads"))
    for what, (array, needed) in sizes.items():
        if array is not None and shape_of(array) != needed:
            raise ShapeError(report(f"{name}: {what} must have the shape {needed}, not {shape_of(array)}"))


def _multi_head_attention(
    query: Any, key: Any, value: Any, num_heads: int, in_proj_weight: Any, in_proj_bias: Any = None,
    out_proj_weight: Any = None, out_proj_bias: Any = None, attn_mask: Any = None, is_causal: bool = False,
) -> Any:  # fmt: skip
    inputs = [as_operand(x) for x in (query, key, value)]
    for what, x in zip(("query", "key", "value"), inputs, strict=True):
        if len(shape_of(x)) < 2 or shape_of(x)[-1] != shape_of(inputs[0])[-1]:
            needed = f"[...,i,{shape_of(inputs[0])[-1]}]" if shape_of(inputs[0]) else "[...,i,e]"
            raise ShapeError(report(f"multi_head_attention: {what} must be {needed}", got=describe(what, x)))
    width = shape_of(inputs[0])[-1]
    weights = [
        None if w is None else as_operand(w) for w in (in_proj_weight, in_proj_bias, out_proj_weight, out_proj_bias)
    ]
    needed_shapes = ((3 * width, width), (3 * width,), (width, width), (width,))
    words = ("in_proj_weight", "in_proj_bias", "out_proj_weight", "out_proj_bias")
    _check_heads(num_heads, dict(zip(words, zip(weights, needed_shapes, strict=True), strict=True)), width)
    q, k, v = (
        _heads(linear(x, _part(weights[0], third, width), _part(weights[1], third, width)), int(num_heads))
        for third, x in enumerate(inputs)
    )
    y = np.swapaxes(attention(q, k, v, attn_mask, is_causal=is_causal), -3, -2)
    y = np.reshape(y, (*shape_of(y)[:-2], width))
    return y if weights[2] is None else linear(y, weights[2], weights[3])


multi_head_attention = composite(
    "multi_head_attention", _multi_head_attention,
    formula="that of linear, attention and linear",
    note="the heads of attention side by side: query, key and value times the thirds of in_proj_weight[3e,e], "
    "attention of every e/num_heads features, the results times out_proj_weight[e,e]. Axes are [...,i,e], the batch "
    "first. A mask broadcasts to [...,head,i,j] and says, as for attention, which keys take part; PyTorch's "
    "MultiheadAttention says which do not.",
    samples=[
        sample((2, 4), (3, 4), (3, 4), 2, (12, 4), (12,), (4, 4), (4,)),
        sample((2, 2, 2), (2, 2, 2), (2, 2, 2), 1, (6, 2), None, (2, 2), is_causal=True),
        sample((2, 2), (2, 2), (2, 2), 2, (6, 2), attn_mask=np.eye(2, dtype=bool)),
    ],
)  # fmt: skip

# -- rotary positions -------------------------------------------------------------------------------------------------


def _rotary_arguments(
    x: Any, positions: Any = None, base: float = 10000.0, interleaved: bool = True
) -> tuple[tuple[Any, ...], Params]:
    name, shape = "rotary_embedding", shape_of(x)
    if len(shape) < 2 or shape[-1] % 2:
        wanted = "x[...,t,d] with an even number d of features"
        raise ShapeError(report(f"{name} needs {wanted}", got=f"x of shape {shape}"))
    if positions is not None:
        positions = constant_array(name, "positions", positions)
        if positions.shape != (shape[-2],):
            headline = f"{name}: positions must have the shape ({shape[-2]},), not {positions.shape}"
            raise ShapeError(report(headline, got=f"x of shape {shape}"))
    base = number(f"{name}: base", base)
    if base <= 0:
        raise ArgumentError(report(f"{name}: base must be positive, not {base:g}"))
    return (x,), {"positions": positions, "base": base, "interleaved": bool(interleaved)}


def _rotations(shape: tuple[int, ...], params: Params, dtype: Any) -> np.ndarray:
    """R[t,i,a,b]: for position t and pair i the matrix that turns the pair by t / base**(2 i / d)."""
    positions = np.arange(shape[-2]) if params["positions"] is None else params["positions"]
    angle = np.multiply.outer(positions, params["base"] ** (-np.arange(0, shape[-1], 2) / max(shape[-1], 1)))
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2).astype(dtype)


def _float_dtype(x: Any) -> Any:
    return x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)


def _rotary(x: np.ndarray, **params: Any) -> Any:
    R = _rotations(x.shape, params, _float_dtype(x))
    front, half = x.shape[:-1], x.shape[-1] // 2
    neighbours = params["interleaved"]
    pairs = np.reshape(x, (*front, half, 2)) if neighbours else np.swapaxes(np.reshape(x, (*front, 2, half)), -1, -2)
    turned = np.einsum("tiab,...tib->...tia", R, pairs)
    return np.reshape(turned if neighbours else np.swapaxes(turned, -1, -2), x.shape)


def _rotary_rule(point: Point, k: int) -> Jacobian:
    """One term: in every pair a matrix of two rows and columns."""
    shape = shape_of(point.y)
    front, pairs = len(shape) - 1, shape[-1] // 2
    sizes = (*shape[:-1], pairs, 2, 2)
    i, a, b = front, front + 1, front + 2
    stride, step = (2, 1) if point.params["interleaved"] else (1, pairs)
    straight = tuple(plain(axis) for axis in range(front))
    out, into = (affine(0, [(i, stride), (within, step)]) for within in (a, b))
    access = Access((plain(front - 1), plain(i), plain(a), plain(b)), (shape[-2], pairs, 2, 2))
    pattern = Pattern(sizes, (*straight, out), (*straight, into), shape, shape, (access,))
    factor = Factor(_rotations(shape, point.params, np.result_type(point.y)))
    return Jacobian((Term(pattern, (factor,)),), shape, shape)


rotary_embedding = register(
    Op(
        "rotary_embedding", _rotary, _rotary_rule, normalise=_rotary_arguments, family="network",
        formula="∂y[t,2i+a]/∂x[t,2i+b] = R[t,i,a,b], R[t,i] = [[cos φ, -sin φ], [sin φ, cos φ]], φ = t / base**(2i/d)",
        note="x[...,t,d] whose pairs of features are turned by their positions t (0, 1, 2, … unless given). Pairs are "
        "neighbours, or, with interleaved=False, feature i and feature i + d/2. Source: J. Su et al., RoFormer (2021).",
        samples=[
            sample((3, 4)), sample((2, 2, 4), np.array([5, 1]), interleaved=False), sample((1, 2, 2, 2), base=100.0),
        ],
    )
)  # fmt: skip
