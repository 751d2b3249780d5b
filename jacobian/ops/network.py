"""What networks are made of: plain functions of plain arrays that can also be traced, and keep their structure.

Names and conventions are those of `torch.nn.functional`: `linear` multiplies by the transposed weights, images are
`[N,C,H,W]`, and where a mask is true a key takes part.
"""

from __future__ import annotations

from jacobian.ops.activations import relu, sigmoid
from jacobian.ops.softmaxes import log_softmax, softmax
from jacobian.ops.convolution import conv2d, max_pool2d
from jacobian.ops.elementwise import tanh
from jacobian.ops.layers import bilinear, dropout, embedding, linear
from jacobian.ops.transformers import attention
from jacobian.ops.losses import cross_entropy, mse
from jacobian.ops.normalisation import batch_norm, layer_norm

__all__ = [
    "attention", "batch_norm", "conv2d", "cross_entropy", "layer_norm", "linear", "log_softmax", "max_pool2d", "mse",
    "relu", "sigmoid", "softmax", "tanh",
]  # fmt: skip
