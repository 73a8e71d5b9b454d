"""Convolution + max-pooling + ReLU and its gradients, for pooling windows of 4 or 9 elements.

Each function takes the arguments of the operation of that name and returns None for what it does not support.
"""

from functools import lru_cache

import torch
from torch import Tensor

from lightconv.functional.geometry import Sizes, conv_output_size
from lightconv.kernels.conv import geometry, row_order
from lightconv.kernels.library import Integers, function_for, layout

_WINDOWS = (4, 9)


@lru_cache(4096)
def _case(
    shape: Sizes,
    strides: Sizes,
    weight: Sizes,
    stride: Sizes,
    pads: Sizes,
    dilation: Sizes,
    groups: int,
    pool: Sizes,
    threads: int,
) -> tuple[Integers, Sizes] | None:
    size = conv_output_size(shape[2:], weight[2:], stride, pads, dilation)
    out = (shape[0], weight[0], *(n // p for n, p in zip(size, pool, strict=True)))
    if pool[0] * pool[1] not in _WINDOWS or 0 in shape or 0 in out:
        return None
    return (
        geometry(
            shape=shape,
            strides=strides,
            out_shape=out,
            out_strides=row_order(out),
            weight=weight,
            stride=stride,
            pads=pads,
            dilation=dilation,
            groups=groups,
            threads=threads,
            pool=pool,
        ),
        out,
    )


def conv_max_pool_relu(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    stride: Sizes,
    pads: Sizes,
    dilation: Sizes,
    groups: int,
    pool: Sizes,
    winners: bool = True,
) -> tuple[Tensor, Tensor | None] | None:
    """The block's output and, if asked for, the number of each window's winner."""
    call = function_for("conv_max_pool_relu", x, w, b)
    if call is None:
        return None
    order = layout(x, w)
    if order is not torch.contiguous_format:
        x = x.contiguous()
    found = _case(x.shape, x.stride(), w.shape, stride, pads, dilation, groups, pool, torch.get_num_threads())
    if found is None:
        return None
    integers, shape = found
    w = w.contiguous()
    b = b if b is None else b.contiguous()
    y, won = x.new_empty(shape), x.new_empty(shape, dtype=torch.int8) if winners else None
    call(
        *(integers.address, x.data_ptr(), w.data_ptr(), None if b is None else b.data_ptr()),
        *(y.data_ptr(), None if won is None else won.data_ptr()),
    )
    if order is torch.contiguous_format:
        return y, won
    return y.contiguous(memory_format=order), None if won is None else won.contiguous(memory_format=order)


def conv_max_pool_relu_input(
    g: Tensor,
    w: Tensor,
    y: Tensor,
    won: Tensor,
    size: Sizes,
    stride: Sizes,
    pads: Sizes,
    dilation: Sizes,
    groups: int,
    pool: Sizes,
) -> Tensor | None:
    """The gradient of the block's input."""
    call = function_for("block_input", g, w, y)
    if call is None or won.dtype is not torch.int8:
        return None
    order = layout(g, w)
    shape = (g.shape[0], w.shape[1] * groups, *size)
    found = _case(shape, row_order(shape), w.shape, stride, pads, dilation, groups, pool, torch.get_num_threads())
    if found is None:
        return None
    g, w, y, won = g.contiguous(), w.contiguous(), y.contiguous(), won.contiguous()
    x = g.new_empty(shape)
    call(*(found[0].address, g.data_ptr(), y.data_ptr(), won.data_ptr(), w.data_ptr(), x.data_ptr()))
    return x if order is torch.contiguous_format else x.contiguous(memory_format=order)


def conv_max_pool_relu_weight(
    x: Tensor,
    g: Tensor,
    y: Tensor,
    won: Tensor,
    kernel: Sizes,
    stride: Sizes,
    pads: Sizes,
    dilation: Sizes,
    groups: int,
    pool: Sizes,
) -> tuple[Tensor, Tensor] | None:
    """The gradients of the block's weights and bias."""
    call = function_for("block_weight", x, g, y)
    if call is None or won.dtype is not torch.int8:
        return None
    if x.stride(3) != 1:
        x = x.contiguous()
    weight = (g.shape[1], x.shape[1] // groups, *kernel)
    found = _case(x.shape, x.stride(), weight, stride, pads, dilation, groups, pool, torch.get_num_threads())
    if found is None:
        return None
    g, y, won = g.contiguous(), y.contiguous(), won.contiguous()
    w, b = x.new_empty(weight), x.new_empty(weight[:1])
    call(*(found[0].address, x.data_ptr(), g.data_ptr(), y.data_ptr(), won.data_ptr(), w.data_ptr(), b.data_ptr()))
    return w, b
