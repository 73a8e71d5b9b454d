"""Convolution + max-pooling + ReLU and its gradients, for pooling windows of 4 or 9 elements.

Each function takes the arguments of the operation of that name and returns None for what it does not support.
"""

from functools import lru_cache

import torch
from torch import Tensor

from lightconv.functional.geometry import Sizes, conv_output_size, new_empty
from lightconv.kernels.conv import as_it_lies, geometry, kernel_order, strides_of
from lightconv.kernels.library import Integers, function_for, layout, numerable

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
    last: bool,
) -> tuple[Integers, Sizes] | None:
    size = conv_output_size(shape[2:], weight[2:], stride, pads, dilation)
    out = (shape[0], weight[0], *(n // p for n, p in zip(size, pool, strict=True)))
    if pool[0] * pool[1] not in _WINDOWS or 0 in shape or 0 in out or not numerable(shape[2:], weight[2:], pads):
        return None
    return (
        geometry(
            shape=shape,
            strides=strides,
            out_shape=out,
            out_strides=strides_of(out, last),
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
    """The block's output and, if asked for, the number of each window's winner; these lie in row order."""
    call = function_for("conv_max_pool_relu", x, w, b)
    if call is None:
        return None
    order = layout(x, w)
    x, strides, last = as_it_lies(x, order)
    found = _case(x.shape, strides, w.shape, stride, pads, dilation, groups, pool, torch.get_num_threads(), last)
    if found is None:
        return None
    integers, shape = found
    w = w.contiguous()
    b = b if b is None else b.contiguous()
    y = new_empty(x, shape, order) if last else x.new_empty(shape)
    won = x.new_empty(shape, dtype=torch.int8) if winners else None
    call(
        *(integers.address, x.data_ptr(), w.data_ptr(), None if b is None else b.data_ptr()),
        *(y.data_ptr(), None if won is None else won.data_ptr()),
    )
    return y if last or order is torch.contiguous_format else y.contiguous(memory_format=order), won


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
    order, x_order, threads = kernel_order(layout(y), y.dtype), layout(g, w), torch.get_num_threads()
    written = kernel_order(x_order, g.dtype)
    shape = (g.shape[0], w.shape[1] * groups, *size)
    strides, last = strides_of(shape, written is torch.channels_last), order is torch.channels_last
    found = _case(shape, strides, w.shape, stride, pads, dilation, groups, pool, threads, last)
    if found is None:
        return None
    g, y = g.contiguous(memory_format=order), y.contiguous(memory_format=order)
    w, won = w.contiguous(), won.contiguous()
    x = new_empty(g, shape, written)
    call(*(found[0].address, g.data_ptr(), y.data_ptr(), won.data_ptr(), w.data_ptr(), x.data_ptr()))
    return x if written is x_order else x.contiguous(memory_format=x_order)


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
    order, x_order, threads = kernel_order(layout(y), y.dtype), layout(x), torch.get_num_threads()
    if x_order is torch.contiguous_format and x.stride(3) != 1:
        x = x.contiguous()
    x, strides, _ = as_it_lies(x, x_order)
    weight = (g.shape[1], x.shape[1] // groups, *kernel)
    last = order is torch.channels_last
    found = _case(x.shape, strides, weight, stride, pads, dilation, groups, pool, threads, last)
    if found is None:
        return None
    g, y, won = g.contiguous(memory_format=order), y.contiguous(memory_format=order), won.contiguous()
    w, b = x.new_empty(weight), x.new_empty(weight[:1])
    call(*(found[0].address, x.data_ptr(), g.data_ptr(), y.data_ptr(), won.data_ptr(), w.data_ptr(), b.data_ptr()))
    return w, b
