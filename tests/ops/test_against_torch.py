"""Every layer against PyTorch in double precision: values and full Jacobians, by every operand, also at kinks."""

# ruff: noqa: B023 - what is compared is run at once

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import jacobian as jac
from jacobian.errors import KinkWarning
from jacobian.ops import network

torch = pytest.importorskip("torch")
F = torch.nn.functional

RNG = np.random.default_rng(11)


def drawn(*shapes: tuple[int, ...], low: float = -2.0, high: float = 2.0) -> list[np.ndarray]:
    return [np.array(RNG.uniform(low, high, shape)) for shape in shapes]


def compare(ours: Callable[..., Any], theirs: Callable[..., Any], *arrays: np.ndarray, rtol: float = 1e-10) -> None:
    """Values and the Jacobians by every array agree, entry by entry."""
    tensors = [torch.tensor(array) for array in arrays]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # kinks; what PyTorch says of paddings and broadcasts
        expected = theirs(*tensors)
        y, found = jac.value_and_jacobian(ours, tuple(range(len(arrays))))(*arrays)
        several = isinstance(expected, tuple)
        values, results = (y, expected) if several else ((y,), (expected,))
        for number, (value, result) in enumerate(zip(values, results, strict=True)):
            assert np.shape(value) == tuple(result.shape)
            assert_allclose(value, result.numpy(), rtol=rtol, atol=1e-12)
            for k, tensor in enumerate(tensors):

                def alone(one: Any, k: int = k, number: int = number) -> Any:
                    given = theirs(*tensors[:k], one, *tensors[k + 1 :])
                    return given[number] if several else given

                J = (found[number] if several else found)[k]
                derivative = torch.autograd.functional.jacobian(alone, tensor).numpy()
                assert J.shape == derivative.shape
                assert_allclose(np.asarray(J), derivative, rtol=rtol, atol=1e-11)


# -- activations ------------------------------------------------------------------------------------------------------

SPREAD = np.concatenate([np.linspace(-8, 8, 33) + 0.01, [-30.0, -17.0, 17.0, 30.0]])
ACTIVATIONS: list[tuple[str, dict[str, Any], list[float]]] = [
    ("relu", {}, [0.0]), ("leaky_relu", {}, [0.0]), ("leaky_relu", {"negative_slope": 0.3}, [0.0]), ("elu", {}, [0.0]),
    ("elu", {"alpha": 1.7}, [0.0]), ("selu", {}, [0.0]), ("gelu", {}, [0.0]), ("gelu", {"approximate": "tanh"}, [0.0]),
    ("silu", {}, [0.0]), ("mish", {}, [0.0]), ("sigmoid", {}, [0.0]), ("tanh", {}, [0.0]),
    ("hardtanh", {}, [-1.0, 1.0]),
    ("hardtanh", {"min_val": -0.5, "max_val": 2.0}, [-0.5, 2.0]), ("hardsigmoid", {}, [-3.0, 3.0]),
    ("hardswish", {}, [-3.0, 3.0]), ("relu6", {}, [0.0, 6.0]), ("softsign", {}, [0.0]),
    ("hardshrink", {}, [-0.5, 0.5]), ("hardshrink", {"lambd": 1.25}, [-1.25, 1.25]), ("softshrink", {}, [-0.5, 0.5]),
    ("softshrink", {"lambd": 0.0}, [0.0]), ("logsigmoid", {}, [0.0]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kwargs", "kinks"), ACTIVATIONS, ids=lambda value: str(value))
def test_activations(name: str, kwargs: dict[str, Any], kinks: list[float]) -> None:
    ours, theirs = getattr(network, name), getattr(F, name)
    for x in (SPREAD, np.array(kinks), drawn((2, 3))[0], np.array(0.7)):
        rounded = name in ("hardsigmoid", "hardswish")  # PyTorch has 1/6 in single precision there
        compare(lambda x: ours(x, **kwargs), lambda x: theirs(x, **kwargs), x, rtol=1e-7 if rounded else 1e-9)


@pytest.mark.parametrize("beta", [1.0, 2.5])
def test_softplus_without_pytorchs_threshold(beta: float) -> None:
    x = SPREAD[:-1]
    compare(lambda x: network.softplus(x, beta), lambda x: F.softplus(x, beta, threshold=1e3), x)
    assert_allclose(network.softplus(x, beta), F.softplus(torch.from_numpy(x), beta).numpy(), atol=3e-9)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax_log_softmax_and_logsumexp(axis: int) -> None:
    for (x,) in (drawn((2, 3, 4)), drawn((3, 2), low=-50, high=50), drawn((1, 4))):
        compare(lambda x: network.softmax(x, axis), lambda x: F.softmax(x, axis), x)
        compare(lambda x: network.log_softmax(x, axis), lambda x: F.log_softmax(x, axis), x)
        compare(lambda x: network.logsumexp(x, axis), lambda x: torch.logsumexp(x, axis), x)
        compare(lambda x: network.logsumexp(x, axis, True), lambda x: torch.logsumexp(x, axis, True), x)


# -- layers with weights ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [(), (1,), (4,), (2, 3)])
def test_linear_and_bilinear(batch: tuple[int, ...]) -> None:
    compare(network.linear, F.linear, *drawn((*batch, 3), (2, 3)))
    compare(network.linear, F.linear, *drawn((*batch, 3), (2, 3), (2,)))
    if batch:  # PyTorch demands one
        compare(network.bilinear, F.bilinear, *drawn((*batch, 3), (*batch, 2), (2, 3, 2)))
        compare(network.bilinear, F.bilinear, *drawn((*batch, 3), (*batch, 2), (2, 3, 2), (2,)))


@pytest.mark.parametrize("indices", [np.array(1), np.array([0, 2, 2]), np.array([[1, 0], [3, 1]])])
def test_embedding(indices: np.ndarray) -> None:
    compare(
        lambda W: network.embedding(indices, W), lambda W: F.embedding(torch.from_numpy(indices), W), *drawn((4, 3))
    )


def test_dropout_with_the_mask_that_pytorch_drew() -> None:
    x = torch.from_numpy(drawn((4, 5))[0])
    torch.manual_seed(3)
    y = F.dropout(x, 0.3)
    mask = (y != 0).numpy()
    assert_allclose(network.dropout(x.numpy(), mask, 0.3), y.numpy())
    compare(lambda x: network.dropout(x, mask, 0.3), lambda x: x * torch.from_numpy(mask) / 0.7, x.numpy())


# -- losses -----------------------------------------------------------------------------------------------------------

REDUCTIONS = ["mean", "sum", "none"]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (1, 2, 2)])
def test_losses_of_differences(shape: tuple[int, ...], reduction: str) -> None:
    x, target = drawn(shape, shape)
    at_kink = target.copy()
    for point in (x, at_kink, target + 1.0, target - 1.0):
        for ours, theirs, kwargs in (
            (network.mse, F.mse_loss, {}), (network.l1_loss, F.l1_loss, {}), (network.huber_loss, F.huber_loss, {}),
            (network.huber_loss, F.huber_loss, {"delta": 0.5}), (network.smooth_l1_loss, F.smooth_l1_loss, {}),
            (network.smooth_l1_loss, F.smooth_l1_loss, {"beta": 0.5}),
            (network.smooth_l1_loss, F.smooth_l1_loss, {"beta": 0.0}),
        ):  # fmt: skip
            kwargs = {"reduction": reduction, **kwargs}
            compare(lambda x, t: ours(x, t, **kwargs), lambda x, t: theirs(x, t, **kwargs), point, target)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_binary_cross_entropies(shape: tuple[int, ...], reduction: str) -> None:
    ours, theirs = network.binary_cross_entropy, F.binary_cross_entropy
    x, target = drawn(shape, shape, low=0.01, high=0.99)
    weight = drawn(shape[-1:], low=0.5, high=2.0)[0]
    compare(lambda x, t: ours(x, t, reduction=reduction), lambda x, t: theirs(x, t, reduction=reduction), x, target)
    compare(
        lambda x, t: ours(x, t, weight, reduction),
        lambda x, t: theirs(x, t, torch.from_numpy(weight).expand(shape), reduction=reduction),
        x,
        target,
    )
    ours, theirs = network.binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits
    for scores in (drawn(shape)[0], 40 * drawn(shape)[0]):
        for pos_weight in (None, weight):
            tensor = None if pos_weight is None else torch.from_numpy(pos_weight)
            compare(
                lambda x, t: ours(x, t, weight, reduction, pos_weight),
                lambda x, t: theirs(x, t, torch.from_numpy(weight), reduction=reduction, pos_weight=tensor),
                scores,
                target,
            )


def test_binary_cross_entropy_at_its_ends() -> None:
    """Where the derivative is infinite PyTorch's number is taken; near these points it is the true one."""
    target = np.array([0.0, 0.0, 1.0, 1.0, 0.5])
    x = np.array([0.0, 1.0, 0.0, 1.0, 0.0])
    compare(
        lambda x: network.binary_cross_entropy(x, target, reduction="sum"),
        lambda x: F.binary_cross_entropy(x, torch.from_numpy(target), reduction="sum"),
        x,
        rtol=1e-6,
    )
    J = jac.jacobian(lambda x: network.binary_cross_entropy(x, 0.0))(1e-20)
    assert_allclose(np.asarray(J), 1.0)


@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
@pytest.mark.parametrize("log_target", [False, True])
def test_kl_divergence(reduction: str, log_target: bool) -> None:
    x, target = drawn((2, 3), (2, 3), low=0.1, high=0.9)
    compare(
        lambda x, t: network.kl_div(np.log(x), t, reduction, log_target),
        lambda x, t: F.kl_div(torch.log(x), t, reduction=reduction, log_target=log_target),
        x,
        target,
    )
    with_zero = np.array([[0.0, 1.0, 0.0], [0.3, 0.0, 0.7]])
    if not log_target:
        compare(
            lambda x: network.kl_div(np.log(x), with_zero, reduction),
            lambda x: F.kl_div(torch.log(x), torch.from_numpy(with_zero), reduction=reduction),
            x,
        )


CLASSES = [
    ((3,), np.array(1)), ((4, 3), np.array([0, 2, 1, 1])), ((1, 3), np.array([2])),
    ((2, 3, 2), np.array([[0, 2], [1, 1]])),
    ((2, 4, 1, 2), np.array([[[0, 3]], [[2, 1]]])), ((3, 3), np.array([0, -100, 2])),
    ((2, 5, 2), np.array([[0, -100], [4, 1]])),
]  # fmt: skip


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("shape", "labels"), CLASSES, ids=lambda value: str(getattr(value, "shape", value)))
def test_losses_of_classes(shape: tuple[int, ...], labels: np.ndarray, reduction: str) -> None:
    (x,) = drawn(shape)
    classes = shape[1] if len(shape) > 1 else shape[0]
    weight = drawn((classes,), low=0.5, high=2.0)[0]
    target, tensor = torch.from_numpy(labels), torch.from_numpy(weight)
    for ours, theirs in ((network.cross_entropy, F.cross_entropy), (network.nll_loss, F.nll_loss)):
        compare(lambda x: ours(x, labels, reduction=reduction), lambda x: theirs(x, target, reduction=reduction), x)
        compare(
            lambda x: ours(x, labels, weight, reduction=reduction),
            lambda x: theirs(x, target, tensor, reduction=reduction),
            x,
        )
    some = -100 if (labels == -100).any() else 1
    for ignored, one in itertools.product({some, -100} if (labels != some).any() else {-100}, (None, weight)):
        given = None if one is None else tensor
        compare(
            lambda x: network.cross_entropy(x, labels, one, ignored, reduction, 0.2),
            lambda x: F.cross_entropy(x, target, given, None, ignored, None, reduction, 0.2),
            x,
        )
        compare(
            lambda x: network.nll_loss(x, labels, one, ignored, reduction),
            lambda x: F.nll_loss(x, target, given, None, ignored, None, reduction),
            x,
        )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 2)])
def test_cross_entropy_of_probabilities(shape: tuple[int, ...], reduction: str) -> None:
    x, target = drawn(shape)[0], drawn(shape, low=0.1, high=0.9)[0]
    weight = drawn((3,), low=0.5, high=2.0)[0]
    tensor = torch.from_numpy(weight)
    for smoothing in (0.0, 0.3):
        compare(
            lambda x, t: network.cross_entropy(x, t, reduction=reduction, label_smoothing=smoothing),
            lambda x, t: F.cross_entropy(x, t, reduction=reduction, label_smoothing=smoothing),
            x,
            target,
        )
        compare(
            lambda x, t: network.cross_entropy(x, t, weight, reduction=reduction, label_smoothing=smoothing),
            lambda x, t: F.cross_entropy(x, t, tensor, reduction=reduction, label_smoothing=smoothing),
            x,
            target,
        )


def test_hinge_is_multi_margin_loss_without_its_division() -> None:
    labels = np.array([0, 2, 1, 1])
    at_kinks = np.array([[1.0, 0.0, 2.0], [0.0, 0.5, 1.5], [0.0, 1.0, 0.0], [3.0, 2.0, 1.0]])
    for x in (drawn((4, 3))[0], at_kinks):
        for margin in (1.0, 0.4):
            compare(
                lambda x: network.hinge(x, labels, margin),
                lambda x: 3 * F.multi_margin_loss(x, torch.from_numpy(labels), margin=margin),
                x,
            )


# -- normalisations ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "last"), [((3,), (3,)), ((2, 4), (4,)), ((2, 3, 4), (3, 4)), ((1, 2, 3), (3,)), ((2, 1), (1,))]
)
def test_layer_norm_and_rms_norm(shape: tuple[int, ...], last: tuple[int, ...]) -> None:
    for arrays in (drawn(shape), drawn(shape, last), drawn(shape, last, last)):
        compare(lambda x, *w: network.layer_norm(x, last, *w), lambda x, *w: F.layer_norm(x, last, *w), *arrays)
        compare(
            lambda x, *w: (
                network.layer_norm(x, last, *w, eps=0.1) if len(w) == 2 else network.layer_norm(x, last, eps=0.1)
            ),
            lambda x, *w: F.layer_norm(x, last, *w, eps=0.1) if len(w) == 2 else F.layer_norm(x, last, eps=0.1),
            *arrays,
        )
    for arrays in (drawn(shape), drawn(shape, last)):
        compare(lambda x, *w: network.rms_norm(x, last, *w), lambda x, *w: F.rms_norm(x, last, *w), *arrays)
        compare(lambda x: network.rms_norm(x, last, eps=0.1), lambda x: F.rms_norm(x, last, eps=0.1), arrays[0])


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 2), (1, 3, 2, 2), (2, 3, 1, 2, 1)])
def test_batch_norm(shape: tuple[int, ...]) -> None:
    mean, variance = drawn((3,))[0], drawn((3,), low=0.5, high=2.0)[0]
    tensors = (torch.from_numpy(mean), torch.from_numpy(variance))
    for arrays in (drawn(shape), drawn(shape, (3,)), drawn(shape, (3,), (3,))):
        compare(
            lambda x, *w: network.batch_norm(x, None, None, *w),
            lambda x, *w: F.batch_norm(x, None, None, *w, training=True),
            *arrays,
        )
        compare(
            lambda x, *w: network.batch_norm(x, mean, variance, *w),
            lambda x, *w: F.batch_norm(x, *tensors, *w),
            *arrays,
        )
        compare(
            lambda x, *w: network.batch_norm(x, mean, variance, *w, training=True, eps=0.1),
            lambda x, *w: F.batch_norm(x, *(t.clone() for t in tensors), *w, training=True, eps=0.1),
            *arrays,
        )


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 3, 2, 2), (2, 3, 1, 2, 1)])
def test_instance_norm(shape: tuple[int, ...]) -> None:
    mean, variance = drawn((3,))[0], drawn((3,), low=0.5, high=2.0)[0]
    tensors = (torch.from_numpy(mean), torch.from_numpy(variance))
    for arrays in (drawn(shape), drawn(shape, (3,)), drawn(shape, (3,), (3,))):
        compare(
            lambda x, *w: network.instance_norm(x, None, None, *w),
            lambda x, *w: F.instance_norm(x, None, None, *w),
            *arrays,
        )
        compare(
            lambda x, *w: network.instance_norm(x, mean, variance, *w, use_input_stats=False),
            lambda x, *w: F.instance_norm(x, *tensors, *w, use_input_stats=False),
            *arrays,
        )


@pytest.mark.parametrize(
    ("shape", "groups"), [((2, 4), 2), ((1, 4, 3), 2), ((2, 6, 2, 2), 3), ((2, 3, 2), 3), ((2, 3, 2), 1)]
)
def test_group_norm(shape: tuple[int, ...], groups: int) -> None:
    channels = (shape[1],)
    for arrays in (drawn(shape), drawn(shape, channels), drawn(shape, channels, channels)):
        compare(lambda x, *w: network.group_norm(x, groups, *w), lambda x, *w: F.group_norm(x, groups, *w), *arrays)


# -- convolutions and pooling -----------------------------------------------------------------------------------------

SIZES = {1: (6,), 2: (5, 4), 3: (3, 4, 3)}
WINDOW = {1: (3,), 2: (2, 3), 3: (2, 2, 1)}
SETTINGS = [
    {}, {"stride": 2}, {"padding": 1}, {"padding": 2, "stride": 2}, {"dilation": 2}, {"dilation": 2, "padding": 2},
    {"stride": 3, "padding": 1}, {"groups": 2}, {"groups": 2, "stride": 2, "padding": 1, "dilation": 2}, {"groups": 4},
    {"padding": "same"}, {"padding": "same", "dilation": 2}, {"padding": "valid"},
]  # fmt: skip


def fits(rank: int, settings: dict[str, Any]) -> bool:
    padding = settings.get("padding", 0)
    padding = 0 if padding == "valid" else 9 if padding == "same" else padding
    reach = [settings.get("dilation", 1) * (size - 1) + 1 for size in WINDOW[rank]]
    return all(size + 2 * padding >= window for size, window in zip(SIZES[rank], reach, strict=True))


@pytest.mark.parametrize("batch", [(2,), (1,), ()])
@pytest.mark.parametrize(
    ("rank", "settings"), [(rank, one) for rank in (1, 2, 3) for one in SETTINGS if fits(rank, one)], ids=str
)
def test_convolution(rank: int, settings: dict[str, Any], batch: tuple[int, ...]) -> None:
    name, groups = f"conv{rank}d", settings.get("groups", 1)
    x, W, b = drawn((*batch, 4, *SIZES[rank]), (4, 4 // groups, *WINDOW[rank]), (4,))
    for arrays in ((x, W), (x, W, b)):
        compare(
            lambda x, W, *b: getattr(network, name)(x, W, *b, **settings),
            lambda x, W, *b: getattr(F, name)(x, W, *b, **settings),
            *arrays,
        )


def test_convolution_with_a_number_for_each_direction() -> None:
    settings = {"stride": (2, 1), "padding": (0, 2), "dilation": (1, 2)}
    arrays = drawn((2, 2, 5, 4), (3, 2, 2, 3), (3,))
    compare(lambda x, W, b: network.conv2d(x, W, b, **settings), lambda x, W, b: F.conv2d(x, W, b, **settings), *arrays)


TRANSPOSED = [
    {}, {"stride": 2}, {"padding": 1}, {"stride": 2, "padding": 1, "output_padding": 1}, {"dilation": 2},
    {"stride": 3, "output_padding": 2}, {"groups": 2}, {"groups": 4, "stride": 2}, {"dilation": 2, "output_padding": 1},
    {"groups": 2, "stride": 2, "padding": 1, "dilation": 2, "output_padding": 1},
]  # fmt: skip


@pytest.mark.parametrize("batch", [(2,), (1,), ()])
@pytest.mark.parametrize("settings", TRANSPOSED, ids=str)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_transposed_convolution(rank: int, settings: dict[str, Any], batch: tuple[int, ...]) -> None:
    name, groups = f"conv_transpose{rank}d", settings.get("groups", 1)
    sizes = {1: (4,), 2: (3, 2), 3: (2, 3, 2)}[rank]
    window = {1: (3,), 2: (2, 3), 3: (2, 2, 3)}[rank]
    x, W, b = drawn((*batch, 4, *sizes), (4, 2, *window), (2 * groups,))
    for arrays in ((x, W), (x, W, b)):
        compare(
            lambda x, W, *b: getattr(network, name)(x, W, *b, **settings),
            lambda x, W, *b: getattr(F, name)(x, W, *b, **settings),
            *arrays,
        )


POOLING = [
    {"kernel_size": 2}, {"kernel_size": 2, "stride": 1}, {"kernel_size": 3, "padding": 1},
    {"kernel_size": 3, "stride": 2, "padding": 1}, {"kernel_size": 2, "ceil_mode": True},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}, {"kernel_size": 1, "stride": 2},
    {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True},
]  # fmt: skip
POOLED = {1: (7,), 2: (5, 6), 3: (3, 4, 5)}


@pytest.mark.parametrize("batch", [(2, 2), (1, 1), (2,)])
@pytest.mark.parametrize("settings", [*POOLING, {"kernel_size": 2, "dilation": 2, "stride": 1}], ids=str)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_max_pooling(rank: int, settings: dict[str, Any], batch: tuple[int, ...]) -> None:
    name = f"max_pool{rank}d"
    x = drawn((*batch, *POOLED[rank]))[0]
    ties = RNG.integers(0, 2, x.shape).astype(float)
    for point in (x, ties):
        compare(lambda x: getattr(network, name)(x, **settings), lambda x: getattr(F, name)(x, **settings), point)


@pytest.mark.parametrize("batch", [(2, 2), (1, 1), (2,)])
@pytest.mark.parametrize("settings", POOLING, ids=str)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_average_pooling(rank: int, settings: dict[str, Any], batch: tuple[int, ...]) -> None:
    name = f"avg_pool{rank}d"
    x = drawn((*batch, *POOLED[rank]))[0]
    more: list[dict[str, Any]] = [{}, {"count_include_pad": False}]
    for kwargs in (*more, *([{"divisor_override": 3}] if rank > 1 else [])):
        kwargs = {**settings, **kwargs}
        compare(lambda x: getattr(network, name)(x, **kwargs), lambda x: getattr(F, name)(x, **kwargs), x)


# -- transformers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [(1,), (2,), (2, 2)])
def test_attention(batch: tuple[int, ...]) -> None:
    arrays = drawn((*batch, 3, 2), (*batch, 4, 2), (*batch, 4, 3))
    ours, theirs = network.attention, F.scaled_dot_product_attention
    compare(ours, theirs, *arrays)
    compare(lambda q, k, v: ours(q, k, v, scale=0.3), lambda q, k, v: theirs(q, k, v, scale=0.3), *arrays)
    compare(lambda q, k, v: ours(q, k, v, is_causal=True), lambda q, k, v: theirs(q, k, v, is_causal=True), *arrays)
    keep = np.array([[True, False, False, True], [True, True, True, True], [False, True, False, False]])
    compare(lambda q, k, v: ours(q, k, v, keep), lambda q, k, v: theirs(q, k, v, torch.from_numpy(keep)), *arrays)
    compare(ours, theirs, *arrays, drawn((3, 4))[0])
    compare(ours, theirs, *arrays, drawn((*batch, 3, 4))[0])


@pytest.mark.parametrize("heads", [1, 2])
def test_multi_head_attention(heads: int) -> None:
    x, W, b, out, shift = drawn((2, 3, 4), (12, 4), (12,), (4, 4), (4,))
    keep = np.tri(3, dtype=bool)

    def theirs(x: Any, W: Any, b: Any, out: Any, shift: Any, mask: Any = None) -> Any:
        x = x.transpose(0, 1)  # theirs has the batch second, and masks that say what to leave out
        y, _ = F.multi_head_attention_forward(
            x, x, x, 4, heads, W, b, None, None, False, 0.0, out, shift, need_weights=False, attn_mask=mask
        )
        return y.transpose(0, 1)

    arrays = (x, W, b, out, shift)
    compare(lambda x, *rest: network.multi_head_attention(x, x, x, heads, *rest), theirs, *arrays)
    leave_out = torch.from_numpy(~keep)
    for kwargs in ({"attn_mask": keep}, {"is_causal": True}):
        compare(
            lambda x, *rest: network.multi_head_attention(x, x, x, heads, *rest, **kwargs),
            lambda *given: theirs(*given, leave_out),
            *arrays,
        )


@pytest.mark.parametrize("interleaved", [True, False])
def test_rotary_embedding_turns_complex_numbers(interleaved: bool) -> None:
    """A pair of features is a complex number, which its position turns."""
    positions = np.array([0, 3, 1])

    def theirs(x: Any) -> Any:
        angle = torch.outer(torch.from_numpy(positions).double(), 100.0 ** (-torch.arange(0, 4, 2).double() / 4))
        turn = torch.polar(torch.ones_like(angle), angle)
        pairs = (
            torch.stack([x[..., 0::2], x[..., 1::2]], -1) if interleaved else torch.stack([x[..., :2], x[..., 2:]], -1)
        )
        turned = torch.view_as_real(torch.view_as_complex(pairs) * turn)
        return turned.flatten(-2) if interleaved else torch.cat([turned[..., 0], turned[..., 1]], -1)

    (x,) = drawn((2, 3, 4))
    compare(lambda x: network.rotary_embedding(x, positions, 100.0, interleaved), theirs, x)
    assert_allclose(network.rotary_embedding(x)[:, 0], x[:, 0])


# -- recurrent networks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_steps_of_recurrent_networks(bias: bool, batch: int) -> None:
    for name, gates in (("rnn_tanh_cell", 1), ("rnn_relu_cell", 1), ("gru_cell", 3)):
        biases = [(2 * gates,), (2 * gates,)] if bias else []
        arrays = drawn((batch, 3), (batch, 2), (2 * gates, 3), (2 * gates, 2), *biases)
        compare(getattr(network, name), getattr(torch, name), *arrays)
    biases = [(8,), (8,)] if bias else []
    arrays = drawn((batch, 3), (batch, 2), (batch, 2), (8, 3), (8, 2), *biases)
    compare(
        lambda x, h, c, *rest: network.lstm_cell(x, (h, c), *rest),
        lambda x, h, c, *rest: torch.lstm_cell(x, [h, c], *rest),
        *arrays,
    )


def test_error_function() -> None:
    x = np.concatenate([np.linspace(-6, 26, 200), [0.0]])
    for name in ("erf", "erfc"):
        ours, theirs = getattr(jac.ops, name), getattr(torch, name)
        assert_allclose(ours(x), theirs(torch.from_numpy(x)).numpy(), rtol=1e-13, atol=0)
        compare(ours, theirs, x[::20])


def test_kinks_warn() -> None:
    for name, kwargs, kinks in ACTIVATIONS:
        op = getattr(network, name)
        if op.kinks and not (name == "elu" and not kwargs):
            with pytest.warns(KinkWarning, match=f"{name} is not differentiable at entr"):
                op.jacobian(np.array(kinks), **kwargs)
