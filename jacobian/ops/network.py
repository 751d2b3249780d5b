"""What networks are made of: plain functions of plain arrays that can also be traced, and keep their structure.

Names, conventions and the order of arguments are those of `torch.nn.functional`: `linear` multiplies by the transposed
weights, images are `[N,C,H,W]`, and where a mask is true a key takes part. An axis is called `axis`, as in NumPy.
"""

from __future__ import annotations

from jacobian.ops.activations import (
    elu,
    gelu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    logsigmoid,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softplus,
    softshrink,
    softsign,
)
from jacobian.ops.classification import cross_entropy, hinge, nll_loss
from jacobian.ops.convolution import conv1d, conv2d, conv3d
from jacobian.ops.elementwise import tanh
from jacobian.ops.layers import bilinear, dropout, embedding, linear
from jacobian.ops.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    huber_loss,
    kl_div,
    l1_loss,
    mse,
    smooth_l1_loss,
)
from jacobian.ops.normalisation import batch_norm, group_norm, instance_norm, layer_norm, rms_norm
from jacobian.ops.pooling import avg_pool1d, avg_pool2d, avg_pool3d, max_pool1d, max_pool2d, max_pool3d
from jacobian.ops.recurrent import gru_cell, lstm_cell, rnn_relu_cell, rnn_tanh_cell
from jacobian.ops.softmaxes import log_softmax, softmax
from jacobian.ops.special import erf, erfc, logsumexp
from jacobian.ops.transformers import attention, multi_head_attention, rotary_embedding
from jacobian.ops.transposed_convolution import conv_transpose1d, conv_transpose2d, conv_transpose3d

__all__ = [
    "attention", "avg_pool1d", "avg_pool2d", "avg_pool3d", "batch_norm", "bilinear", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
    "conv_transpose3d", "cross_entropy", "dropout", "elu", "embedding", "erf", "erfc", "gelu", "group_norm",
    "gru_cell", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "hinge", "huber_loss", "instance_norm",
    "kl_div", "l1_loss", "layer_norm", "leaky_relu", "linear", "log_softmax", "logsigmoid", "logsumexp",
    "lstm_cell", "max_pool1d", "max_pool2d", "max_pool3d", "mish", "mse", "multi_head_attention", "nll_loss",
    "relu", "relu6", "rms_norm", "rnn_relu_cell", "rnn_tanh_cell", "rotary_embedding", "selu", "sigmoid", "silu",
    "smooth_l1_loss", "softmax", "softplus", "softshrink", "softsign", "tanh",
]  # fmt: skip
