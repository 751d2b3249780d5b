"""Layers: structure that is kept, dtypes, odd inputs, empty and single batches, and what is refused in full."""

# ruff: noqa: B023 - functions that are made in a loop are called at once

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import jacobian as jac
from jacobian.errors import ArgumentError, DTypeError, IndexingError, NonFiniteWarning, ShapeError
from jacobian.ops import REGISTRY, network
from jacobian.ops.registry import Op, Sample

RNG = np.random.default_rng(5)
X = RNG.normal(size=(4, 3))
LABELS = np.array([2, 0, 1, 2])
IMAGE = RNG.normal(size=(2, 4, 6, 5))
KEEP = np.tri(4, dtype=bool)

LAYERS = [REGISTRY[name] for name in network.__all__]
SAMPLES = [pytest.param(op, one, id=f"{op.name}-{one}") for op in LAYERS for one in op.samples]


def text_of(error: type[Exception], f: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(error) as caught:
        f(*args, **kwargs)
    return str(caught.value)


def mapped(value: Any, change: Any) -> Any:
    """The arguments with every array of floats changed."""
    if isinstance(value, list | tuple):
        return type(value)(mapped(one, change) for one in value)
    return change(value) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def arrays_in(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [array for one in value for array in arrays_in(one)]
    return [value] if isinstance(value, np.ndarray) and value.dtype.kind == "f" else []


def differentiable(op: Op, args: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(k for k, arg in enumerate(args) if arrays_in(arg))


def jacobians(op: Op, args: Any, kwargs: Any) -> list[Any]:
    """The value and the Jacobians by everything that can be differentiated, flat."""
    y, found = jac.value_and_jacobian(lambda *given: op(*given, **kwargs), differentiable(op, args))(*args)
    flat: list[Any] = []

    def collect(value: Any) -> None:
        if isinstance(value, list | tuple):
            for one in value:
                collect(one)
        else:
            flat.append(value)

    collect(y)
    collect(found)
    return flat


# -- how they are found -----------------------------------------------------------------------------------------------


def test_aliases_name_the_same_op_and_are_listed() -> None:
    for alias, name in {
        "mse_loss": "mse", "mae": "l1_loss", "bce": "binary_cross_entropy", "nll": "nll_loss", "huber": "huber_loss",
        "bce_with_logits": "binary_cross_entropy_with_logits", "scaled_dot_product_attention": "attention",
    }.items():  # fmt: skip
        assert getattr(jac.ops, alias) is getattr(jac.ops, name) is REGISTRY[alias]
        assert {alias, name} <= set(dir(jac.ops))
        assert f"`{alias}`" in (REGISTRY[name].__doc__ or "")
    assert [op.name for op in REGISTRY].count("mse") == 1
    assert len(REGISTRY) == len(list(REGISTRY)) < len(REGISTRY.names)


@pytest.mark.parametrize("op", LAYERS, ids=lambda op: op.name)
def test_every_layer_tells_its_formula_and_what_it_is_called_with(op: Op) -> None:
    assert op.note or op.name == "tanh"
    assert op.derivative and f"Derivative: {op.derivative}." in (op.__doc__ or "")
    assert op.name in dir(jac.ops)
    parameters = inspect.signature(op).parameters
    assert parameters and not any(p.kind is p.VAR_POSITIONAL for p in parameters.values())


# -- structure --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_convolutions_stay_windows(groups: int) -> None:
    W = RNG.normal(size=(4, 4 // groups, 3, 2))
    by_x, by_W, by_b = network.conv2d.jacobian(IMAGE, W, np.ones(4), 2, 1, 1, groups, argnums=(0, 1, 2))
    assert by_x.nbytes == W.nbytes and by_W.nbytes == IMAGE.nbytes and by_b.nbytes == 0
    assert 20 * by_W.nbytes < by_W.dense_nbytes * groups and 100 * by_x.nbytes < by_x.dense_nbytes
    assert by_x.nnz == np.count_nonzero(np.asarray(by_x)) and by_W.nnz == np.count_nonzero(np.asarray(by_W))
    both = "block-diagonal over axes 0, 1" if groups == 4 else "block-diagonal over axis 0"
    assert by_x.structure == both


def test_formulas_of_convolutions() -> None:
    W = RNG.normal(size=(4, 2, 3, 2))
    grouped = network.conv2d.jacobian(IMAGE, W, stride=2, padding=1, groups=2)
    assert grouped.formula == "∂y[n,2*g + o,h,w]/∂x[n,2*g + c,2*h + p - 1,2*w + q - 1] = W[2*g + o,c,p,q] * [o < 2]"
    depthwise = network.conv2d.jacobian(IMAGE, W[:, :1], groups=4)
    assert depthwise.formula == "∂y[n,g,h,w]/∂x[n,g,h + p,w + q] = W[g,0,p,q]"
    transposed = network.conv_transpose2d.jacobian(IMAGE, W, stride=2, padding=1)
    assert transposed.formula == "∂y[n,o,2*h + p - 1,2*w + q - 1]/∂x[n,c,h,w] = W[c,o,p,q]"
    flat = network.conv1d.jacobian(IMAGE[0, 0], RNG.normal(size=(2, 6, 3)), dilation=2)
    assert flat.formula == "∂y[o,l]/∂x[c,l + 2*p] = W[o,c,p]"
    deep = network.conv3d.jacobian(IMAGE[None], RNG.normal(size=(1, 2, 1, 2, 2)))
    assert deep.formula == "∂y[n,o,d,h,w]/∂x[n,c,d + p,h + q,w + r] = W[o,c,p,q,r]"


def test_a_transposed_convolution_is_a_convolution_transposed() -> None:
    W = RNG.normal(size=(3, 4, 3, 2))
    J = network.conv2d.jacobian(IMAGE, W, stride=2, padding=1)
    y = np.zeros(J.out_shape)
    back = network.conv_transpose2d.jacobian(y, W, stride=2, padding=1, output_padding=(1, 1))
    assert back.out_shape == IMAGE.shape
    assert_allclose(np.asarray(back), np.asarray(J.T))
    assert back.nbytes == W.nbytes


def test_large_layers_are_never_built() -> None:
    image, kernel = np.ones((2, 8, 32, 32)), np.ones((8, 4, 3, 3))

    def f(x: Any) -> Any:
        hidden = network.gelu(network.conv2d(x, kernel, padding=1, groups=2))
        return network.avg_pool2d(network.silu(network.conv_transpose2d(hidden, kernel, stride=2, groups=2)), 2)

    J = jac.jacobian(f)(image)
    assert J.dense_nbytes > 2**30
    assert (J @ image).shape == J.out_shape
    assert J.nbytes < J.dense_nbytes / 1000
    assert J.structure == "block-diagonal over axis 0"


def test_batches_stay_block_diagonal() -> None:
    first = {
        "layer_norm": (X, 3, np.ones(3)), "rms_norm": (X, 3, np.ones(3)), "group_norm": (IMAGE, 2, np.ones(4)),
        "bilinear": (X, X, np.ones((2, 3, 3))), "rotary_embedding": (IMAGE[..., :4],), "linear": (X, np.ones((2, 3))),
        "gru_cell": (X, X, np.ones((9, 3)), np.ones((9, 3))), "rnn_tanh_cell": (X, X, np.ones((3, 3)), np.ones((3, 3))),
        "attention": (IMAGE[0], IMAGE[0], IMAGE[0], None, 0.0, True),
        "multi_head_attention": (IMAGE[0], IMAGE[1], IMAGE[0], 5, np.ones((15, 5))), "avg_pool2d": (IMAGE, 2),
        "conv_transpose2d": (IMAGE, np.ones((4, 1, 2, 2))), "instance_norm": (IMAGE,), "max_pool2d": (IMAGE, 2),
    }  # fmt: skip
    for name, args in first.items():
        assert REGISTRY[name].jacobian(*args).structure.startswith("block-diagonal over ax"), name
        assert 0 in dict(REGISTRY[name].jacobian(*args).structure.axes), name
    for name in ("nll_loss", "hinge", "cross_entropy"):
        J = REGISTRY[name].jacobian(X, LABELS, reduction="none")
        assert J.structure == "block-diagonal over axis 0", name
    assert network.nll_loss.jacobian(X, LABELS, reduction="none").nnz == 4
    assert network.batch_norm.jacobian(IMAGE).structure == "block-diagonal over axis 1"
    assert network.instance_norm.jacobian(IMAGE).structure == "block-diagonal over axes 0, 1"


def test_layers_of_entries_are_diagonal() -> None:
    for op in LAYERS:
        if op.family == "elementwise":
            assert op.jacobian(*op.samples[-1].draw(1)[0], **op.samples[-1].kwargs).structure in ("diagonal", "dense")
    running = network.batch_norm.jacobian(IMAGE, np.ones(4), np.ones(4), np.ones(4), np.ones(4))
    assert running.structure == "diagonal" and running.nbytes == 2 * 4 * 8
    assert network.dropout.jacobian(X, X > 0).structure == "diagonal"
    assert network.binary_cross_entropy_with_logits.jacobian(X, 0 * X, reduction="none").structure == "diagonal"


def test_look_ups() -> None:
    J = network.embedding.jacobian(np.array([0, 2, 2]), RNG.normal(size=(5, 3)), argnums=1)
    assert J.formula == "∂y[i,j]/∂weight[t[i],j] = 1"
    assert J.nnz == 9 and J.nbytes == 3 * np.intp().itemsize


def test_average_pooling_needs_no_array() -> None:
    J = network.avg_pool2d.jacobian(IMAGE, 2)
    assert J.nbytes == 0 and J.formula == "∂y[i,j,k,l]/∂x[i,j,2*k + m,2*l + n] = 1/4 * [m < 2] * [n < 2]"
    assert network.avg_pool2d.jacobian(IMAGE, 3, 2, 1, count_include_pad=False).nbytes == 3 * 3 * 8


def test_formulas_hold_the_numbers_that_were_given() -> None:
    assert network.leaky_relu.jacobian(X[0], 0.2).formula == "∂y[i]/∂x[i] = where(x[i] > 0, 1.0, 0.2)"
    J = network.huber_loss.jacobian(X[0], X[1], reduction="none", delta=0.5)
    assert J.formula == "∂y[i]/∂x[i] = clip(x[i] - target[i], -0.5, 0.5)"
    assert network.silu.jacobian(X[0]).formula == "∂y[i]/∂x[i] = sigmoid(x[i]) + y[i] * sigmoid(-x[i])"


# -- stability --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    "elu selu gelu silu softplus mish sigmoid logsigmoid hardswish softsign softmax log_softmax erf erfc".split(),
)
def test_nothing_overflows(name: str) -> None:
    large = np.array([-1e4, -800.0, -40.0, 0.5, 40.0, 800.0, 1e4])
    op = REGISTRY[name]
    with np.errstate(all="raise", under="ignore"):
        y, J = jac.value_and_jacobian(op)(large)
    assert np.isfinite(y).all() and np.isfinite(np.asarray(J)).all()
    if op.family == "elementwise":
        straight = {"gelu": 1.0, "silu": 1.0, "softplus": 1.0, "mish": 1.0, "elu": 1.0, "hardswish": 1.0}
        assert_allclose(np.asarray(J)[-1, -1], straight.get(name, np.asarray(J)[-1, -1]))


def test_losses_of_large_scores_are_finite() -> None:
    scores, target = np.array([-1e4, 1e4, -50.0, 50.0]), np.array([1.0, 0.0, 1.0, 1.0])
    with np.errstate(all="raise", under="ignore"):
        y, J = jac.value_and_jacobian(lambda x: jac.ops.bce_with_logits(x, target, reduction="none"))(scores)
    assert_allclose(y, [1e4, 1e4, 50.0, 0.0], atol=1e-12)
    assert_allclose(np.diag(J), [-1.0, 1.0, -1.0, 0.0], atol=1e-12)


def test_gelu_keeps_its_digits_where_it_is_small() -> None:
    """x Φ(x) for x = -8: written with 1 + erf it would be 0 or have one digit."""
    assert_allclose(network.gelu(-8.0), -8 * 6.220960574271785e-16, rtol=1e-12)


# -- dtypes and odd inputs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("op", "one"), SAMPLES)
def test_float32_stays_float32(op: Op, one: Sample) -> None:
    args, kwargs = one.draw(4)
    expected = jacobians(op, args, kwargs)
    for value, double in zip(
        jacobians(op, mapped(args, lambda x: x.astype(np.float32)), kwargs), expected, strict=True
    ):
        assert value.dtype == np.float32
        assert_allclose(np.asarray(value), np.asarray(double), rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize(("op", "one"), SAMPLES)
def test_strided_and_read_only_inputs(op: Op, one: Sample) -> None:
    args, kwargs = one.draw(4)

    def strided(x: np.ndarray) -> np.ndarray:
        wide = np.full([2 * size for size in x.shape], 7.0)
        wide[tuple(slice(None, None, 2) for _ in x.shape)] = x
        return np.asarray(wide[tuple(slice(None, None, 2) for _ in x.shape)])

    def read_only(x: np.ndarray) -> np.ndarray:
        x = np.asfortranarray(x)
        x.flags.writeable = False
        return x

    expected = jacobians(op, args, kwargs)
    for change in (strided, read_only):
        for value, plain in zip(jacobians(op, mapped(args, change), kwargs), expected, strict=True):
            assert_allclose(np.asarray(value), np.asarray(plain), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("op", "one"), SAMPLES)
def test_plain_arrays_lists_and_traced_arrays_give_the_same(op: Op, one: Sample) -> None:
    args, kwargs = one.draw(4)
    y = op(*args, **kwargs)
    for value, again in zip(y if isinstance(y, tuple) else (y,), jacobians(op, args, kwargs), strict=False):
        assert_allclose(value, again, rtol=1e-13)
    listed = op(*mapped(args, lambda x: x.tolist()), **kwargs)
    assert_allclose(np.asarray(listed), np.asarray(y), rtol=1e-13)


def test_whole_numbers_become_floats() -> None:
    for op in (network.gelu, network.softplus, network.elu, network.hardtanh, network.layer_norm, network.silu):
        y, J = jac.value_and_jacobian(op)(np.array([[3, 2, 4]]))
        assert y.dtype == J.dtype == np.float64
    assert network.avg_pool1d(np.array([1, 2, 4, 5]), 2).tolist() == [1.5, 4.5]
    assert network.max_pool1d(np.array([1, 2, 4, 5]), 3, 1, 1).tolist() == [2, 4, 5, 5]


EMPTY = {
    "linear": (np.zeros((0, 3)), np.ones((2, 3)), np.ones(2)),
    "conv2d": (np.zeros((0, 4, 6, 5)), np.ones((2, 4, 3, 3))),
    "conv1d": (np.zeros((0, 4, 6)), np.ones((2, 2, 3)), np.ones(2), 1, 1, 1, 2),
    "conv_transpose2d": (np.zeros((0, 4, 6, 5)), np.ones((4, 2, 3, 3)), np.ones(2)),
    "max_pool2d": (np.zeros((0, 2, 4, 4)), 2), "avg_pool2d": (np.zeros((0, 2, 4, 4)), 2),
    "layer_norm": (np.zeros((0, 3)), 3, np.ones(3), np.ones(3)),
    "batch_norm": (np.zeros((0, 3)), None, None, np.ones(3)), "group_norm": (np.zeros((0, 4)), 2, np.ones(4)),
    "instance_norm": (np.zeros((0, 3, 4)),), "rms_norm": (np.zeros((0, 3)), 3), "attention": (np.zeros((0, 2, 3)),) * 3,
    "bilinear": (np.zeros((0, 3)), np.zeros((0, 3)), np.ones((2, 3, 3))), "rotary_embedding": (np.zeros((0, 2, 4)),),
    "gru_cell": (np.zeros((0, 3)), np.zeros((0, 2)), np.ones((6, 3)), np.ones((6, 2))), "gelu": (np.zeros((0, 3)),),
}  # fmt: skip


@pytest.mark.parametrize("name", EMPTY)
def test_empty_batches(name: str) -> None:
    op, args = REGISTRY[name], EMPTY[name]
    y, *found = jacobians(op, args, {})
    assert y.shape[0] == 0
    for J, x in zip(found, arrays_in(args), strict=True):
        assert J.shape == y.shape + x.shape and np.asarray(J).size == 0


def test_losses_of_empty_batches() -> None:
    nothing, labels = np.zeros((0, 3)), np.zeros(0, int)
    for f in (
        lambda x, how: network.mse(x, x, how), lambda x, how: network.cross_entropy(x, labels, reduction=how),
        lambda x, how: network.nll_loss(x, labels, reduction=how),
        lambda x, how: network.hinge(x, labels, reduction=how),
    ):  # fmt: skip
        assert f(nothing, "sum") == 0
        assert f(nothing, "none").size == 0
        assert "there is no mean of no losses" in text_of(ArgumentError, f, nothing, "mean")
    assert text_of(ArgumentError, network.cross_entropy, X, np.full(4, -100)) == (
        "cross_entropy: there is no mean of no losses\n  got:   losses float64[4]\n  fix:   reduction='sum', which is 0"
    )


def test_other_masks_and_labels_of_the_same_shape_are_seen() -> None:
    """Programs are remembered by shapes: constants that differ in their numbers alone must not be mixed up."""
    for seed in range(4):
        generator = np.random.default_rng(seed)
        mask, labels = generator.random(X.shape) < 0.5, generator.integers(0, 3, 4)
        slope, weight = float(generator.random()), generator.random(3)
        for f, expected in (
            (lambda x: network.dropout(x, mask) * 2, np.diag(4.0 * mask.ravel())),
            (lambda x: network.leaky_relu(x, slope) * 2, np.diag(np.where(X.ravel() > 0, 2.0, 2 * slope))),
            (lambda x: network.nll_loss(x, labels, weight, reduction="sum"), -np.eye(3)[labels] * weight),
            (lambda x: network.batch_norm(x, weight, weight, eps=0.0), np.diag(np.tile(weight**-0.5, 4))),
            (lambda x: network.layer_norm(x, 3, slope) / slope, np.asarray(network.layer_norm.jacobian(X))),
        ):  # fmt: skip
            J = np.asarray(jac.jacobian(f)(X))
            assert_allclose(J.reshape(np.shape(expected)), expected, atol=1e-12)


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_parameters_of_activations() -> None:
    assert text_of(ArgumentError, network.hardtanh, X, 2.0, 1.0) == (
        "hardtanh needs min_val <= max_val\n  got:   min_val=2, max_val=1"
    )
    assert text_of(ArgumentError, network.softplus, X, beta=0) == "softplus needs beta > 0\n  got:   beta=0"
    assert text_of(ArgumentError, network.softshrink, X, -1) == "softshrink needs lambd >= 0\n  got:   lambd=-1"
    assert text_of(ArgumentError, network.elu, X, X) == "elu: alpha must be a number, not ndarray"
    assert text_of(ArgumentError, network.elu, X, 1.0, 2.0) == "elu: too many positional arguments"
    assert text_of(ArgumentError, network.gelu, X, "erf") == "gelu: approximate must be 'none' or 'tanh', not 'erf'"


def test_convolutions_that_do_not_fit() -> None:
    line, W = IMAGE[:, :, :, 0], np.ones((4, 2, 3))
    spec = "  spec:  x[n,c,l], W[o,c,p] -> y[n,o,l]\n"
    got = "  got:   x float64[2,4,6], W float64[4,2,3]"
    assert text_of(ShapeError, network.conv1d, line, W) == (
        f"conv1d: label c is 4 in x but 2 in W\n{spec}{got}\n  fix:   axis 1 of W must be 4"
    )
    assert text_of(ShapeError, network.conv1d, line, W, groups=3) == (
        f"conv1d: 4 channels of x cannot be divided into 3 groups\n{spec}{got}"
    )
    assert text_of(ShapeError, network.conv1d, line, W[:3], groups=2) == (
        f"conv1d: 3 channels of y, axis 0 of W, cannot be divided into 2 groups\n{spec}{got.replace('64[4', '64[3')}"
    )
    assert text_of(ShapeError, network.conv1d, line, W, groups=4) == (
        f"conv1d: each of the 4 groups of x has 1 channels, W has 2\n{spec}{got}\n  fix:   axis 1 of W must be 1"
    )
    assert text_of(ShapeError, network.conv1d, line, W, np.ones(3), groups=2) == (
        "conv1d: b must have the shape (4,), not (3,)\n"
        "  spec:  x[n,c,l], W[o,c,p], b[o] -> y[n,o,l]\n"
        "  got:   x float64[2,4,6], W float64[4,2,3], b float64[3]"
    )
    assert text_of(ShapeError, network.conv1d, line, np.ones((4, 4, 9)), padding=1) == (
        f"conv1d: the window is 9 in length, the padded image 8\n{spec}  got:   x float64[2,4,6], W float64[4,4,9]"
    )
    assert text_of(ShapeError, network.conv3d, line, W) == (
        "conv3d: x must have 5 axes, not 3\n"
        "  spec:  x[n,c,d,h,w], W[o,c,p,q,r] -> y[n,o,d,h,w]\n"
        "  got:   x float64[2,4,6], W float64[4,2,3]"
    )
    assert text_of(ArgumentError, network.conv1d, line, W, padding="half") == (
        "conv1d: padding must be whole numbers, 'valid' or 'same', not 'half'"
    )
    assert text_of(ArgumentError, network.conv1d, line, W, stride=2, padding="same") == (
        "conv1d: padding 'same' needs stride 1, not (2,)"
    )
    assert text_of(ArgumentError, network.conv3d, line, W, dilation=(1, 2)) == (
        "conv3d: dilation must be a whole number of at least 1, or three of them, not (1, 2)"
    )
    assert text_of(ArgumentError, network.conv1d, line, W, groups=0) == (
        "conv1d: groups must be a whole number of at least 1, not 0"
    )


def test_transposed_convolutions_that_do_not_fit() -> None:
    line, W = IMAGE[:, :, :, 0], np.ones((3, 2, 3))
    spec = "  spec:  x[n,c,l], W[c,o,p] -> y[n,o,l]\n"
    got = "  got:   x float64[2,4,6], W float64[3,2,3]"
    assert text_of(ShapeError, network.conv_transpose1d, line, W) == (
        f"conv_transpose1d: label c is 4 in x but 3 in W\n{spec}{got}\n  fix:   axis 0 of W must be 4"
    )
    assert text_of(ShapeError, network.conv_transpose1d, line, W, groups=3) == (
        f"conv_transpose1d: 4 channels of x cannot be divided into 3 groups\n{spec}{got}"
    )
    assert text_of(ShapeError, network.conv_transpose1d, line, W, groups=2) == (
        f"conv_transpose1d: x has 4 channels, W has 3\n{spec}{got}\n  fix:   axis 0 of W must be 4"
    )
    assert text_of(ArgumentError, network.conv_transpose1d, line, W, output_padding=1) == (
        "conv_transpose1d: output_padding must be smaller than the stride or the dilation\n"
        "  got:   output_padding=(1,), stride=(1,), dilation=(1,)"
    )
    assert text_of(ShapeError, network.conv_transpose1d, line, np.ones((4, 2, 3)), padding=4) == (
        "conv_transpose1d: nothing is left in length: 6 steps of 1 with a window of 3 make 8, the padding takes 8\n"
        "  got:   x of shape (2, 4, 6), W of shape (4, 2, 3)"
    )


def test_pooling_that_does_not_fit() -> None:
    assert text_of(ShapeError, network.avg_pool2d, X, (7, 2), 1, (1, 0)) == (
        "avg_pool2d: a window of 7 × 2 does not fit the image, padded by 1 × 0\n  got:   x float64[4,3]"
    )
    assert text_of(ShapeError, network.max_pool1d, X, 3, dilation=2) == (
        "max_pool1d: a window of 5 does not fit the image\n  got:   x float64[4,3]"
    )
    assert text_of(ShapeError, network.max_pool3d, X, 2) == (
        "max_pool3d: x must have at least 3 axes, not 2\n  got:   x float64[4,3]"
    )
    assert text_of(ArgumentError, network.max_pool2d, X, 2, padding=2) == (
        "max_pool2d: padding must be at most half of the window\n  got:   padding=(2, 2), kernel_size=(2, 2)"
    )
    assert text_of(ShapeError, network.max_pool1d, np.ones(1), 2, 1, 1, 2) == (
        "max_pool1d: a window lies altogether in the padding\n  got:   x float64[1]"
    )
    assert text_of(ArgumentError, network.avg_pool2d, X, 2, divisor_override=0) == (
        "avg_pool2d: divisor_override must be a whole number of at least 1, not 0"
    )


def test_normalisations_that_do_not_fit() -> None:
    assert text_of(ShapeError, network.layer_norm, X, (4, 3, 1)) == (
        "layer_norm: normalized_shape (4, 3, 1) is not the shape of the last axes of x\n  got:   x of shape (4, 3)"
    )
    assert text_of(ArgumentError, network.rms_norm, X, np.ones(3)) == (
        "rms_norm: normalized_shape must be the sizes of the last axes of x, not an array of shape (3,)\n"
        "  fix:   rms_norm(x, x.shape[-1:], weight)"
    )
    assert text_of(ShapeError, network.group_norm, X, 2) == (
        "group_norm: 3 channels cannot be divided into 2 groups\n  got:   x of shape (4, 3)"
    )
    assert text_of(ShapeError, network.group_norm, IMAGE, 2, np.ones(2)) == (
        "group_norm: weight must have the shape (4,), not (2,)\n  got:   x float64[2,4,6,5], weight float64[2]"
    )
    assert text_of(ArgumentError, network.group_norm, X, 0) == (
        "group_norm: num_groups must be a whole number of at least 1, not 0"
    )
    assert text_of(ShapeError, network.batch_norm, X[0]) == (
        "batch_norm: x[n,c,…] must have at least 2 axes\n  got:   x of shape (3,)"
    )
    assert text_of(ArgumentError, network.batch_norm, X[:1]) == (
        "batch_norm: a single value has no variance, each mean must be over at least two\n  got:   x of shape (1, 3)"
    )
    assert text_of(ShapeError, network.batch_norm, X, np.ones(2), np.ones(3)) == (
        "batch_norm: running_mean must have the shape (3,), not (2,)\n  got:   x of shape (4, 3)"
    )
    assert text_of(ArgumentError, network.batch_norm, X, np.ones(3)) == (
        "batch_norm: running_mean and running_var must be given together"
    )
    assert text_of(ArgumentError, network.batch_norm, X, np.ones(3), -np.ones(3)) == (
        "batch_norm: running_var holds numbers below 0"
    )
    assert text_of(ShapeError, network.instance_norm, X) == (
        "instance_norm: x[n,c,h,…] must have at least 3 axes\n  got:   x of shape (4, 3)"
    )


def test_losses_that_do_not_fit() -> None:
    assert text_of(ShapeError, network.l1_loss, X, X[:2]) == (
        "l1_loss: label i is 4 in x but 2 in target\n"
        "  spec:  x[i,j], target[i,j]\n"
        "  got:   x float64[4,3], target float64[2,3]\n"
        "  fix:   axis 0 of target must be 4"
    )
    assert text_of(ArgumentError, network.kl_div, X, X, "batch") == (
        "kl_div: reduction must be 'mean', 'batchmean', 'sum' or 'none', not 'batch'"
    )
    assert text_of(ArgumentError, network.kl_div, X, -np.abs(X)) == (
        "kl_div: the target holds probabilities below 0\n  fix:   log_target=True?"
    )
    assert text_of(ArgumentError, network.huber_loss, X, X, delta=0) == "huber_loss: delta must be positive, not 0"
    assert text_of(ArgumentError, network.smooth_l1_loss, X, X, beta=-1) == (
        "smooth_l1_loss: beta must not be negative, but is -1"
    )
    assert text_of(ArgumentError, network.binary_cross_entropy, np.array([0.5, 1.5]), np.ones(2)) == (
        "binary_cross_entropy: x[1] is 1.5, no probability\n"
        "  fix:   binary_cross_entropy_with_logits takes scores of any size"
    )
    assert text_of(ShapeError, network.binary_cross_entropy_with_logits, X, X, np.ones(2)) == (
        "binary_cross_entropy_with_logits: weight does not broadcast to the shape of x\n"
        "  got:   x of shape (4, 3), weight float64[2]"
    )
    assert text_of(IndexingError, network.nll_loss, X, [0, 1, -1, 0]) == (
        "nll_loss: labels[2] is -1, but there are 3 classes\n"
        "  got:   x float64[4,3], labels int64[4]\n"
        "  fix:   labels from 0 to 2"
    )
    assert text_of(DTypeError, network.hinge, X, X[:, 0]) == (
        "hinge: labels must be class numbers\n  got:   labels float64[4]"
    )
    assert text_of(ShapeError, network.hinge, X, [0, 1]) == (
        "hinge: label i is 4 in scores but 2 in labels\n"
        "  spec:  scores[i,j], labels[i]\n"
        "  got:   scores float64[4,3], labels int64[2]\n"
        "  fix:   axis 0 of labels must be 4"
    )
    assert text_of(ShapeError, network.cross_entropy, X, LABELS, np.ones(4)) == (
        "cross_entropy: weight must have one number for each of the 3 classes\n  got:   weight float64[4]"
    )
    assert text_of(ShapeError, network.cross_entropy, X, LABELS, axis=2) == (
        "cross_entropy: axis 2 does not exist\n  got:   an array of 2 axes"
    )
    assert text_of(ArgumentError, network.cross_entropy, X, LABELS, label_smoothing=2) == (
        "cross_entropy: label_smoothing must be between 0 and 1, not 2"
    )


def test_layers_with_weights_that_do_not_fit() -> None:
    assert text_of(ShapeError, network.bilinear, X, X, np.ones((2, 3, 4))) == (
        "bilinear: label j is 3 in x2 but 4 in W\n"
        "  spec:  x1[...,i], x2[...,j], W[o,i,j] -> y[...,o]\n"
        "  got:   x1 float64[4,3], x2 float64[4,3], W float64[2,3,4]\n"
        "  fix:   axis 2 of W must be 3"
    )
    assert text_of(ShapeError, network.bilinear, X, X[:2], np.ones((2, 3, 3))) == (
        "bilinear: the batch is (4,) in x1 but (2,) in x2\n"
        "  spec:  x1[...,i], x2[...,j], W[o,i,j] -> y[...,o]\n"
        "  got:   x1 float64[4,3], x2 float64[2,3], W float64[2,3,3]"
    )
    assert text_of(IndexingError, network.embedding, [0, 4], X) == (
        "embedding: indices[1] is 4, but there are 4 rows in W\n"
        "  got:   indices int64[2]\n"
        "  fix:   whole numbers from 0 to 3"
    )
    assert text_of(DTypeError, network.embedding, [0.5], X) == (
        "embedding: indices must be whole numbers\n  got:   indices float64[1]"
    )
    assert text_of(ShapeError, network.dropout, X, np.ones(4, bool)) == (
        "dropout: the mask does not broadcast to the shape of x\n  got:   x of shape (4, 3), mask bool[4]"
    )
    assert text_of(DTypeError, network.dropout, X, X) == (
        "dropout: the mask must hold booleans, or zeros and ones\n  got:   mask float64[4,3]"
    )
    assert text_of(ArgumentError, network.dropout, X, X > 0, 2) == "dropout: p must be between 0 and 1, not 2"
    assert text_of(ShapeError, network.gru_cell, X, X, np.ones((9, 3)), np.ones((9, 2))) == (
        "gru_cell: w_hh must have the shape (9, 3), not (9, 2)\n"
        "  spec:  x[...,i], h[...,j], w_ih[g,i], w_hh[g,j], b_ih[g], b_hh[g], g = 3 j\n"
        "  got:   x[4,3], h[4,3], w_ih[9,3], w_hh[9,2]"
    )
    assert text_of(ShapeError, network.rnn_tanh_cell, X, X[:2], np.ones((3, 3)), np.ones((3, 3))) == (
        "rnn_tanh_cell: h must have the shape (4, 3), not (2, 3)\n"
        "  spec:  x[...,i], h[...,j], w_ih[j,i], w_hh[j,j], b_ih[j], b_hh[j]\n"
        "  got:   x[4,3], h[2,3], w_ih[3,3], w_hh[3,3]"
    )
    assert text_of(ArgumentError, network.lstm_cell, X, X, X, X) == (
        "lstm_cell: hx must be the pair (h, c)\n  got:   ndarray"
    )


def test_attention_that_does_not_fit() -> None:
    assert text_of(ArgumentError, network.attention, X, X, X, dropout_p=0.1) == (
        "attention: dropout_p draws at random, which is not traced\n  fix:   softmax, dropout with a mask, and matmul"
    )
    assert text_of(ArgumentError, network.attention, X, X, X, KEEP, is_causal=True) == (
        "attention: a mask is given, and is_causal asks for another\n  fix:   join them in one"
    )
    assert text_of(ArgumentError, network.attention, X, X, X, np.full((4, 4), -np.inf)) == (
        "attention: the mask leaves a query nothing to attend to\n  got:   mask float64[4,4]"
    )
    assert text_of(ShapeError, network.attention, X[0], X, X) == "attention: q must have at least 2 axes, not 1"
    assert text_of(ShapeError, network.multi_head_attention, X, X, X, 2, np.ones((9, 3))) == (
        "multi_head_attention: 3 features cannot be divided into 2 heads"
    )
    assert text_of(ShapeError, network.multi_head_attention, X, X, X, 3, np.ones((3, 3))) == (
        "multi_head_attention: in_proj_weight must have the shape (9, 3), not (3, 3)"
    )
    assert text_of(ShapeError, network.multi_head_attention, X, X[:, :2], X, 3, np.ones((9, 3))) == (
        "multi_head_attention: key must be [...,i,3]\n  got:   key float64[4,2]"
    )
    assert text_of(ArgumentError, network.multi_head_attention, X, X, X, 0, np.ones((9, 3))) == (
        "multi_head_attention: num_heads must be a whole number of at least 1, not 0"
    )
    assert text_of(ShapeError, network.rotary_embedding, X) == (
        "rotary_embedding needs x[...,t,d] with an even number d of features\n  got:   x of shape (4, 3)"
    )
    assert text_of(ShapeError, network.rotary_embedding, X.T, np.arange(4)) == (
        "rotary_embedding: positions must have the shape (3,), not (4,)\n  got:   x of shape (3, 4)"
    )


def test_what_is_constant_cannot_be_traced() -> None:
    for what, f in {
        "batch_norm: running_mean": lambda v: network.batch_norm(X, v, v),
        "cross_entropy: weight": lambda v: network.cross_entropy(X, LABELS, v),
        "hinge: labels": lambda v: network.hinge(X, v),
        "binary_cross_entropy_with_logits: pos_weight": lambda v: jac.ops.bce_with_logits(X, X, pos_weight=v),
        "dropout: the mask": lambda v: network.dropout(X, v),
        "embedding: indices": lambda v: network.embedding(v, X),
        "rotary_embedding: positions": lambda v: network.rotary_embedding(X.T[:, :4], v),
    }.items():
        text = text_of(ArgumentError, jac.jacobian(f), np.ones(3))
        assert text.startswith(
            f"{what} depends on the input, but is not differentiated\n"
            "  fix:   compute it outside of the function that is differentiated"
        )
    text = text_of(ArgumentError, jac.jacobian(lambda v: network.leaky_relu(X, v[0])), np.ones(3))
    assert text.startswith("leaky_relu: negative_slope must be a number, not Tracer")


def test_an_infinite_derivative_is_told() -> None:
    with pytest.warns(NonFiniteWarning, match="the derivative of kl_div is not finite at entry"):
        network.kl_div.jacobian(np.zeros(2), np.array([0.0, 1.0]), argnums=1)
