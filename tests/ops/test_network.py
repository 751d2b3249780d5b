"""What networks are made of: values against naive NumPy, structure, kinks and refusals."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import jacobian as jac
from jacobian.errors import ArgumentError, DTypeError, IndexingError, KinkWarning, ShapeError
from jacobian.ops import REGISTRY, network
from jacobian.ops.registry import Op
from tests.differences import central

RNG = np.random.default_rng(3)
X = RNG.normal(size=(4, 3))
IMAGE, KERNEL = RNG.normal(size=(2, 3, 6, 5)), RNG.normal(size=(4, 3, 3, 2))
Q, K, V = RNG.normal(size=(2, 4, 3)), RNG.normal(size=(2, 5, 3)), RNG.normal(size=(2, 5, 2))


def text_of(error: type[Exception], f: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(error) as caught:
        f(*args, **kwargs)
    return str(caught.value)


def naive_softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)


def naive_conv2d(x: np.ndarray, W: np.ndarray, stride: int, padding: int) -> np.ndarray:
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    rows, cols = ((n - k) // stride + 1 for n, k in zip(x.shape[2:], W.shape[2:], strict=True))
    y = np.zeros((len(x), len(W), rows, cols))
    for n, o, h, w in np.ndindex(y.shape):
        window = x[n, :, h * stride : h * stride + W.shape[2], w * stride : w * stride + W.shape[3]]
        y[n, o, h, w] = np.sum(window * W[o])
    return y


# -- how they are reached and called ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", network.__all__)
def test_ops_are_found_in_both_places(name: str) -> None:
    assert isinstance(getattr(network, name), Op)
    assert getattr(jac.ops, name) is getattr(network, name) is REGISTRY[name]


def test_lists_arrays_and_traced_arrays() -> None:
    expected = naive_softmax(X)
    assert_allclose(network.softmax(X.tolist()), expected)
    assert_allclose(network.softmax(X), expected)
    y, J = jac.value_and_jacobian(network.softmax)(X)
    assert_allclose(y, expected)
    assert_allclose(np.asarray(J), np.asarray(network.softmax.jacobian(X)))


# -- values -----------------------------------------------------------------------------------------------------------


def test_linear_multiplies_by_the_transposed_weights() -> None:
    W, b = RNG.normal(size=(2, 3)), RNG.normal(size=2)
    assert_allclose(network.linear(X, W, b), X @ W.T + b)
    assert_allclose(network.linear(X[0], W), W @ X[0])


def test_activations() -> None:
    assert network.relu(np.array([-1.0, 0.0, 2.0])).tolist() == [0.0, 0.0, 2.0]
    assert_allclose(network.sigmoid(X), 1 / (1 + np.exp(-X)))
    assert network.tanh is jac.ops.tanh


def test_nothing_overflows() -> None:
    large = np.array([-1e4, 0.0, 1e4])
    with np.errstate(all="raise", under="ignore"):
        assert network.sigmoid(large).tolist() == [0.0, 0.5, 1.0]
        assert network.softmax(large).tolist() == [0.0, 0.0, 1.0]
        assert network.log_softmax(large).tolist() == [-2e4, -1e4, 0.0]
        assert network.cross_entropy(large, 0) == 2e4
        for f in (network.sigmoid, network.softmax, network.log_softmax, lambda x: network.cross_entropy(x, 0)):
            assert np.isfinite(np.asarray(jac.jacobian(f)(large))).all()


def test_softmax_along_other_axes() -> None:
    assert_allclose(network.softmax(X, axis=0), naive_softmax(X.T).T)
    assert_allclose(network.softmax(X, axis=None), naive_softmax(X.ravel()).reshape(X.shape))
    assert_allclose(network.log_softmax(X, axis=0), np.log(naive_softmax(X.T).T))


def test_cross_entropy_of_class_numbers_and_of_probabilities() -> None:
    labels = np.array([2, 0, 1, 2])
    losses = -np.log(naive_softmax(X))[np.arange(4), labels]
    assert_allclose(network.cross_entropy(X, labels), losses.mean())
    assert_allclose(network.cross_entropy(X, labels.tolist(), reduction="sum"), losses.sum())
    assert_allclose(network.cross_entropy(X, labels, reduction="none"), losses)
    assert_allclose(network.cross_entropy(X, np.eye(3)[labels]), losses.mean())
    assert_allclose(network.cross_entropy(X.T, labels, axis=0), losses.mean())


def test_mean_squared_error() -> None:
    assert_allclose(network.mse(X, 0 * X), np.mean(X**2))
    assert_allclose(network.mse(X, 0 * X, reduction="none"), X**2)


def test_normalisations() -> None:
    y = network.layer_norm(X, 3, np.full(3, 2.0), np.ones(3), eps=0.0)
    assert_allclose(y.mean(axis=1), 1.0)
    assert_allclose(y.std(axis=1), 2.0)
    y = network.batch_norm(X, bias=np.arange(3.0), eps=0.0)
    assert_allclose(y.mean(axis=0), np.arange(3.0), atol=1e-12)
    assert_allclose(y.std(axis=0), 1.0)
    y = network.batch_norm(IMAGE, weight=np.arange(1.0, 4.0), eps=0.0)
    assert_allclose(y.std(axis=(0, 2, 3)), [1.0, 2.0, 3.0])


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (1, 2), (2, 1), (3, 0)])
def test_convolution(stride: int, padding: int) -> None:
    expected = naive_conv2d(IMAGE, KERNEL, stride, padding)
    assert_allclose(network.conv2d(IMAGE, KERNEL, stride=stride, padding=padding), expected)
    b = np.arange(4.0)
    shifted = network.conv2d(IMAGE, KERNEL, b, stride, padding)
    assert_allclose(shifted, expected + b[:, None, None])


def test_dilated_convolution_spreads_the_kernel() -> None:
    spread = np.zeros((4, 3, 5, 3))
    spread[:, :, ::2, ::2] = KERNEL
    assert_allclose(network.conv2d(IMAGE, KERNEL, dilation=2), naive_conv2d(IMAGE, spread, 1, 0))


def test_max_pooling() -> None:
    y = network.max_pool2d(IMAGE, 2, stride=(2, 1))
    assert y.shape == (2, 3, 3, 4)
    for n, c, h, w in np.ndindex(y.shape):
        assert y[n, c, h, w] == IMAGE[n, c, 2 * h : 2 * h + 2, w : w + 2].max()


def test_attention_and_its_masks() -> None:
    scores = Q @ np.swapaxes(K, 1, 2) / np.sqrt(3)
    assert_allclose(network.attention(Q, K, V), naive_softmax(scores) @ V)
    keep = RNG.random((4, 5)) < 0.7
    keep[:, 0] = True
    masked = naive_softmax(np.where(keep, scores, -np.inf)) @ V
    assert_allclose(network.attention(Q, K, V, keep), masked)
    assert_allclose(network.attention(Q, K, V, np.where(keep, 0.0, -1e9)), masked)
    assert_allclose(network.attention(Q, K, V, scale=1.0), naive_softmax(scores * np.sqrt(3)) @ V)


# -- structure --------------------------------------------------------------------------------------------------------


def test_softmax_of_a_batch_is_block_diagonal() -> None:
    J = network.softmax.jacobian(X)
    assert J.structure == "block-diagonal over axis 0"
    assert J.nnz == 4 * 3 * 3
    assert len(J.terms) == 2
    y = network.softmax(X[0])
    assert_allclose(np.asarray(J)[0, :, 0], np.diag(y) - np.outer(y, y))
    assert J.formula == "∂y[i,j]/∂x[k,l] = δ[k,i] * δ[l,j] * y[i,j] - δ[k,i] * y[i,j] * y[i,l]"
    assert network.log_softmax.jacobian(X, axis=0).structure == "block-diagonal over axis 1"


def test_linear_shares_the_batch() -> None:
    W, b = np.ones((2, 3)), np.ones(2)
    by_x, by_W, by_b = network.linear.jacobian(X, W, b, argnums=(0, 1, 2))
    assert by_x.formula == "∂y[b,o]/∂x[b,i] = W[o,i]"
    assert by_x.structure == "block-diagonal over axis 0"
    assert by_W.formula == "∂y[b,o]/∂W[o,i] = x[b,i]"
    assert by_b.nbytes == 0


def test_normalisations_are_block_diagonal() -> None:
    assert network.layer_norm.jacobian(X, 3, np.ones(3)).structure == "block-diagonal over axis 0"
    assert network.batch_norm.jacobian(X, weight=np.ones(3)).structure == "block-diagonal over axis 1"
    by_gamma, by_beta = network.layer_norm.jacobian(X, 3, np.ones(3), np.ones(3), argnums=(1, 2))
    assert by_gamma.nnz == by_beta.nnz == X.size
    assert network.batch_norm.jacobian(IMAGE).structure == "block-diagonal over axis 1"


def test_convolution_stays_windows() -> None:
    J = network.conv2d.jacobian(IMAGE, KERNEL, stride=2)
    assert J.out_shape == (2, 4, 2, 2)
    assert J.nnz == 2 * 4 * 2 * 2 * 3 * 3 * 2
    assert J.nbytes == KERNEL.nbytes
    assert J.formula == "∂y[n,o,h,w]/∂x[n,c,2*h + p,2*w + q] = W[o,c,p,q]"
    padded = network.conv2d.jacobian(IMAGE, KERNEL, padding=1)
    assert padded.formula == "∂y[n,o,h,w]/∂x[n,c,h + p - 1,w + q - 1] = W[o,c,p,q]"
    assert padded.nnz == np.count_nonzero(np.asarray(padded))
    by_W = network.conv2d.jacobian(IMAGE, KERNEL, padding=1, argnums=1)
    assert by_W.formula == "∂y[n,o,h,w]/∂W[o,c,p,q] = x[n,c,h + p - 1,w + q - 1]"
    assert by_W.nbytes == IMAGE.nbytes


def test_a_large_convolution_is_never_built() -> None:
    image, kernel = np.ones((4, 8, 64, 64)), np.ones((16, 8, 3, 3))
    J = jac.jacobian(lambda x: network.relu(network.conv2d(x, kernel, padding=1)))(image)
    assert J.dense_nbytes > 2**36
    assert (J @ image).shape == (4, 16, 64, 64)
    assert J[0, 0, 1, 1, 0, 0, :3, :3].tolist() == np.ones((3, 3)).tolist()


def test_pooling_is_a_look_up() -> None:
    J = network.max_pool2d.jacobian(IMAGE, 2)
    assert J.nnz == 2 * 3 * 3 * 2
    assert J.structure == "block-diagonal over axes 0, 1"


def test_attention_shares_batch_and_queries() -> None:
    by_q, by_k, by_v = network.attention.jacobian(Q, K, V, argnums=(0, 1, 2))
    assert by_q.structure == "block-diagonal over axes 0, 1"
    assert by_k.structure == "block-diagonal over axis 0"
    assert by_v.structure == "block-diagonal over axes 0, 2"
    assert by_v.formula == "∂y[b,i,c]/∂v[b,j,c] = P(q, k)[b,i,j]"


def test_cross_entropy_is_softmax_minus_onehot() -> None:
    labels = np.array([2, 0, 1, 2])
    J = network.cross_entropy.jacobian(X, labels)
    assert_allclose(np.asarray(J), (naive_softmax(X) - np.eye(3)[labels]) / 4)
    assert J.formula == "∂y/∂logits[i,j] = 1/4 * (softmax(logits)[i,j] - onehot[i,j])"
    assert network.cross_entropy.jacobian(X, labels, reduction="none").structure == "block-diagonal over axis 0"


def test_mse_of_every_entry_is_diagonal() -> None:
    J = network.mse.jacobian(X, 0 * X, reduction="none")
    assert J.structure == "diagonal"
    assert J.formula == "∂y[i,j]/∂x[i,j] = 2 * (x[i,j] - target[i,j])"


def test_a_small_network_against_differences() -> None:
    W = RNG.normal(size=(4, 4 * 2 * 2))

    def f(kernel: Any) -> Any:
        hidden = network.max_pool2d(network.sigmoid(network.conv2d(IMAGE, kernel)), 2)
        logits = network.linear(np.reshape(hidden, (2, -1)), W)
        return network.cross_entropy(network.layer_norm(logits), [1, 3])

    assert_allclose(np.asarray(jac.jacobian(f)(KERNEL)), central(f, KERNEL), atol=1e-8)


# -- kinks ------------------------------------------------------------------------------------------------------------


def test_relu_at_zero() -> None:
    with pytest.warns(KinkWarning, match=re.escape("relu is not differentiable at entry [1]; 0 is taken")):
        J = network.relu.jacobian(np.array([-1.0, 0.0, 2.0]))
    assert np.asarray(J).diagonal().tolist() == [0.0, 0.0, 1.0]


def test_ties_of_max_pooling() -> None:
    message = "max_pool2d is not differentiable at entry [0,0]; the first of the equal entries of a window is taken"
    with pytest.warns(KinkWarning, match=re.escape(message)):
        J = network.max_pool2d.jacobian(np.array([[1.0, 3.0], [3.0, 2.0]]), 2)
    assert np.asarray(J).tolist() == [[[[0.0, 1.0], [0.0, 0.0]]]]


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_labels_that_do_not_fit() -> None:
    assert text_of(ShapeError, network.linear, X, np.ones((2, 4))) == (
        "linear: label i is 3 in x but 4 in W\n"
        "  spec:  x[...,i], W[o,i] -> y[...,o]\n"
        "  got:   x float64[4,3], W float64[2,4]\n"
        "  fix:   axis 1 of W must be 3"
    )
    assert text_of(ShapeError, network.linear, X, np.ones((2, 3)), np.ones(1)) == (
        "linear: label o is 2 in W but 1 in b\n"
        "  spec:  x[...,i], W[o,i], b[o] -> y[...,o]\n"
        "  got:   x float64[4,3], W float64[2,3], b float64[1]\n"
        "  fix:   axis 0 of b must be 2"
    )
    assert text_of(ShapeError, network.linear, X, np.ones(3)) == (
        "linear: W must have 2 axes, not 1\n"
        "  spec:  x[...,i], W[o,i] -> y[...,o]\n"
        "  got:   x float64[4,3], W float64[3]"
    )
    assert text_of(ShapeError, network.conv2d, IMAGE, np.ones((4, 2, 3, 3))) == (
        "conv2d: label c is 3 in x but 2 in W\n"
        "  spec:  x[n,c,h,w], W[o,c,p,q] -> y[n,o,h,w]\n"
        "  got:   x float64[2,3,6,5], W float64[4,2,3,3]\n"
        "  fix:   axis 1 of W must be 3"
    )
    assert text_of(ShapeError, network.conv2d, IMAGE, np.ones((4, 3, 7, 3))) == (
        "conv2d: the window is 7 in height, the padded image 6\n"
        "  spec:  x[n,c,h,w], W[o,c,p,q] -> y[n,o,h,w]\n"
        "  got:   x float64[2,3,6,5], W float64[4,3,7,3]"
    )
    assert text_of(ShapeError, network.cross_entropy, X, [0, 1, 2]) == (
        "cross_entropy: label i is 4 in logits but 3 in labels\n"
        "  spec:  logits[i,j], labels[i]\n"
        "  got:   logits float64[4,3], labels int64[3]\n"
        "  fix:   axis 0 of labels must be 4"
    )
    assert text_of(ShapeError, network.cross_entropy, X, X[:, :2]) == (
        "cross_entropy: label j is 3 in logits but 2 in target\n"
        "  spec:  logits[i,j], target[i,j]\n"
        "  got:   logits float64[4,3], target float64[4,2]\n"
        "  fix:   axis 1 of target must be 3"
    )
    assert text_of(ShapeError, network.mse, X, X[0]) == (
        "mse: target must have 2 axes, not 1\n  spec:  x[i,j], target[i,j]\n  got:   x float64[4,3], target float64[3]"
    )
    assert text_of(ShapeError, network.attention, Q, K[..., :2], V) == (
        "attention: label d is 3 in q but 2 in k\n"
        "  spec:  q[...,i,d], k[...,j,d], v[...,j,c] -> y[...,i,c]\n"
        "  got:   q float64[2,4,3], k float64[2,5,2], v float64[2,5,2]\n"
        "  fix:   axis 2 of k must be 3"
    )


def test_other_refusals() -> None:
    assert text_of(IndexingError, network.cross_entropy, X, [0, 1, 3, 0]) == (
        "cross_entropy: labels[2] is 3, but there are 3 classes\n"
        "  got:   logits float64[4,3], labels int64[4]\n"
        "  fix:   labels from 0 to 2"
    )
    assert text_of(DTypeError, network.cross_entropy, X, [True, False]) == (
        "cross_entropy: the target must hold class numbers or probabilities\n  got:   target bool[2]"
    )
    assert text_of(ArgumentError, network.mse, X, X, reduction="max") == (
        "mse: reduction must be 'mean', 'sum' or 'none', not 'max'"
    )
    assert text_of(ShapeError, network.layer_norm, X, 3, np.ones(4)) == (
        "layer_norm: weight must have the shape (3,), not (4,)\n  got:   x float64[4,3], weight float64[4]"
    )
    assert text_of(ArgumentError, network.conv2d, IMAGE, KERNEL, stride=0) == (
        "conv2d: stride must be a whole number of at least 1, or two of them, not 0"
    )
    assert text_of(ShapeError, network.max_pool2d, np.ones((3, 3)), 4) == (
        "max_pool2d: a window of 4 × 4 does not fit the image\n  got:   x float64[3,3]"
    )
    assert text_of(ArgumentError, network.attention, Q, K, V, np.zeros((4, 5), bool)) == (
        "attention: the mask leaves a query nothing to attend to\n  got:   mask bool[4,5]"
    )


# -- properties -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [
        network.relu, network.sigmoid, network.softmax, network.log_softmax, network.layer_norm, network.batch_norm,
        lambda x: network.attention(x, x, x), lambda x: network.cross_entropy(x, [0, 1, 2, 0]),
        lambda x: network.mse(x, x * 2), lambda x: network.max_pool2d(x, 2),
        lambda x: network.linear(x, np.ones((2, 3), np.float32)),
    ],
)  # fmt: skip
def test_float32_stays_float32(f: Any) -> None:
    x = X.astype(np.float32)
    y, J = jac.value_and_jacobian(f)(x)
    assert y.dtype == J.dtype == np.asarray(J).dtype == np.float32
    assert_allclose(np.asarray(J), np.asarray(jac.jacobian(f)(X)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("f", [network.relu, network.softmax, network.layer_norm, network.sigmoid])
def test_empty_batches(f: Any) -> None:
    assert np.asarray(jac.jacobian(f)(np.zeros((0, 3)))).shape == (0, 3, 0, 3)
