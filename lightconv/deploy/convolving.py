"""Convolutions in ONNX, and what is a convolution with fixed kernels there."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lightconv.deploy.translation import channels, constant, translates


@translates
def conv(op: Any, input: Any, weight: Any, bias: Any, stride: Any, pads: Any, dilation: Any, groups: Any) -> Any:
    """One node."""
    return op.Conv(input, weight, bias, strides=stride, pads=pads, dilations=dilation, group=groups)


@translates
def conv_transpose(
    op: Any,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    pads: Any,
    dilation: Any,
    groups: Any,
    output_padding: Any,
) -> Any:
    """One node. Output padding has to be less than the stride: more is less padding, or a kernel of further zeros."""
    axes = len(stride)
    pads, rest, zeros = list(pads), list(output_padding), [0] * axes
    for i, (s, d) in enumerate(zip(stride, dilation, strict=True)):
        if rest[i] < s:
            continue
        less = min(rest[i], pads[axes + i])
        rest[i] -= less
        pads[axes + i] -= less
        if rest[i] >= s:
            zeros[i] = -(-rest[i] // d)
            pads[axes + i] += zeros[i] * d - rest[i]
            rest[i] = 0
    if any(zeros):
        weight = op.Pad(weight, [0] * (4 + axes) + zeros)
    return op.ConvTranspose(
        input, weight, bias, strides=stride, pads=pads, dilations=dilation, group=groups, output_padding=rest
    )


@translates
def pad(op: Any, input: Any, pads: Any, mode: Any) -> Any:
    """One node; batch and channels stay as they are."""
    axes = len(pads) // 2
    both = [0, 0, *pads[:axes], 0, 0, *pads[axes:]]
    return op.Pad(input, both, mode={"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode])


@translates
def unfold(op: Any, input: Any, kernel: Any, stride: Any, pads: Any, dilation: Any) -> Any:
    """A convolution whose kernels each pick one tap of one channel."""
    count = channels(input, "unfold")
    taps = constant(op, _one_tap_each(kernel, count), input)
    picked = op.Conv(input, taps, strides=stride, pads=pads, dilations=dilation, group=count)
    return op.Reshape(picked, [0, count * math.prod(kernel), -1])


@translates
def fold(op: Any, input: Any, size: Any, kernel: Any, stride: Any, pads: Any, dilation: Any) -> Any:
    """The transposed convolution with the same kernels."""
    taps = math.prod(kernel)
    axes = range(len(size))
    spare = [size[i] + pads[i] + pads[i + len(size)] - dilation[i] * (kernel[i] - 1) - 1 for i in axes]
    blocks = [spare[i] // stride[i] + 1 for i in axes]
    count = channels(input, "fold") // taps
    return op.ConvTranspose(
        op.Reshape(input, [0, count * taps, *blocks]),
        constant(op, _one_tap_each(kernel, count), input),
        strides=stride,
        pads=pads,
        dilations=dilation,
        group=count,
        output_padding=[spare[i] % stride[i] for i in axes],
    )


def _one_tap_each(kernel: Sequence[int], count: int) -> np.ndarray:
    taps = math.prod(kernel)
    return np.tile(np.eye(taps).reshape(taps, 1, *kernel), (count, *(1,) * (1 + len(kernel))))


@translates
def conv_max_pool_relu(
    op: Any, input: Any, weight: Any, bias: Any, stride: Any, pads: Any, dilation: Any, groups: Any, pool: Any
) -> Any:
    """Three nodes; nobody asks for the second result, which is for the gradient."""
    y = op.Conv(input, weight, bias, strides=stride, pads=pads, dilations=dilation, group=groups)
    y, won = op.MaxPool(y, kernel_shape=pool, strides=pool)
    return op.Relu(y), won
