"""Convolution, transposed convolution and weight gradient in 1-D to 3-D.

Each function takes the arguments of the operation of that name and returns None for what it does not support.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from lightconv.functional.geometry import Sizes, conv_output_size, conv_transpose_output_size, needed_strides, new_empty
from lightconv.kernels.library import Integers, function_for, layout, numerable

Case = tuple[Integers, Sizes]


def strides_of(shape: Sizes, last: bool = False) -> Sizes:
    """Strides of a tensor whose elements lie in row order, or with the channels last."""
    if last:
        batch, channel, *rest = strides_of((shape[0], *shape[2:], shape[1]))
        return (batch, rest[-1], channel, *rest[:-1])
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def kernel_order(order: torch.memory_format, dtype: torch.dtype) -> torch.memory_format:
    """How kernels write a tensor that is to lie in `order`: planes of floats as such, others in row order."""
    return order if order is torch.channels_last and dtype is torch.float32 else torch.contiguous_format


def as_it_lies(x: Tensor, order: torch.memory_format) -> tuple[Tensor, Sizes, bool]:
    """`x`, for a result in `order`, its strides, and whether kernels write that result with its channels last.

    It is copied only if it lies otherwise than kernels can read it.
    """
    if order is torch.contiguous_format:
        return x, x.stride(), False
    last = kernel_order(order, x.dtype) is torch.channels_last
    if last and not x.is_contiguous():
        return x.contiguous(memory_format=order), strides_of(x.shape, last=True), last
    return x.contiguous(), strides_of(x.shape), last


def geometry(
    *,
    shape: Sizes,
    strides: Sizes,
    out_shape: Sizes,
    out_strides: Sizes,
    weight: Sizes,
    stride: Sizes,
    pads: Sizes,
    dilation: Sizes,
    groups: int,
    threads: int,
    pool: Sizes = (1, 1),
) -> Integers:
    """A convolution of (N, C, *size) to (N, K, *out) as the kernels' `ConvGeometry`."""
    axes = len(stride)
    fill = 3 - axes
    convolved = tuple(n * p for n, p in zip(out_shape[2:], pool, strict=True)) if axes == 2 else out_shape[2:]
    stride = needed_strides(shape[2:], convolved, stride)

    def three(values: Sizes, missing: int) -> Sizes:
        return (missing,) * fill + values[:axes]

    batch, size, out = shape[0], three(shape[2:], 1), three(out_shape[2:], 1)
    x_stride = (*strides[:2], *three(strides[2:], 0))
    y_stride = (*out_strides[:2], *three(out_strides[2:], 0))
    if axes == 1:
        # samples are rows, which one vector may span
        size, out = (1, batch, size[2]), (1, batch, out[2])
        x_stride = (0, x_stride[1], 0, x_stride[0], x_stride[4])
        y_stride = (0, y_stride[1], 0, y_stride[0], y_stride[4])
        batch = 1
    return Integers(
        *(batch, groups, weight[1], weight[0] // groups),
        *size,
        *out,
        *pool,
        *three(weight[2:], 1),
        *three(stride, 1),
        *three(pads, 0),
        *three(dilation, 1),
        *x_stride,
        *y_stride,
        threads,
    )


@lru_cache(4096)
def _conv_case(
    shape: Sizes,
    strides: Sizes,
    weight: Sizes,
    stride: Sizes,
    pads: Sizes,
    dilation: Sizes,
    groups: int,
    threads: int,
    last: bool,
) -> Case | None:
    out = (shape[0], weight[0], *conv_output_size(shape[2:], weight[2:], stride, pads, dilation))
    if 0 in shape or 0 in out or not numerable(shape[2:], weight[2:], pads):
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
        ),
        out,
    )


@lru_cache(4096)
def _transpose_case(
    shape: Sizes,
    strides: Sizes,
    weight: Sizes,
    stride: Sizes,
    pads: Sizes,
    dilation: Sizes,
    groups: int,
    output_padding: Sizes,
    threads: int,
    last: bool,
) -> Case | None:
    size = conv_transpose_output_size(shape[2:], weight[2:], stride, pads, dilation, output_padding)
    out = (shape[0], weight[1] * groups, *size)
    if 0 in shape or 0 in out or not numerable(size, weight[2:], pads):
        return None
    return (
        geometry(
            shape=out,
            strides=strides_of(out, last),
            out_shape=shape,
            out_strides=strides,
            weight=weight,
            stride=stride,
            pads=pads,
            dilation=dilation,
            groups=groups,
            threads=threads,
        ),
        out,
    )


@lru_cache(4096)
def _weight_case(
    shape: Sizes,
    strides: Sizes,
    out_shape: Sizes,
    out_strides: Sizes,
    kernel: Sizes,
    stride: Sizes,
    pads: Sizes,
    dilation: Sizes,
    groups: int,
    threads: int,
) -> Case | None:
    weight = (out_shape[1], shape[1] // groups, *kernel)
    if 0 in shape or 0 in out_shape or not numerable(shape[2:], kernel, pads):
        return None
    return (
        geometry(
            shape=shape,
            strides=strides,
            out_shape=out_shape,
            out_strides=out_strides,
            weight=weight,
            stride=stride,
            pads=pads,
            dilation=dilation,
            groups=groups,
            threads=threads,
        ),
        weight,
    )


def _run(
    kernel: str, case: Callable[..., Case | None], x: Tensor, w: Tensor, b: Tensor | None, *rest: Any
) -> Tensor | None:
    call = function_for(kernel, x, w, b)
    if call is None:
        return None
    order = layout(x, w)
    x, strides, last = as_it_lies(x, order)
    found = case(x.shape, strides, w.shape, *rest, torch.get_num_threads(), last)
    if found is None:
        return None
    integers, shape = found
    w = w.contiguous()
    b = b if b is None else b.contiguous()
    y = new_empty(x, shape, order) if last else x.new_empty(shape)
    call(integers.address, x.data_ptr(), w.data_ptr(), None if b is None else b.data_ptr(), y.data_ptr())
    return y if last or order is torch.contiguous_format else y.contiguous(memory_format=order)


def conv(
    x: Tensor, w: Tensor, b: Tensor | None, stride: Sizes, pads: Sizes, dilation: Sizes, groups: int
) -> Tensor | None:
    """Convolution."""
    return _run("conv", _conv_case, x, w, b, stride, pads, dilation, groups)


def conv_transpose(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    stride: Sizes,
    pads: Sizes,
    dilation: Sizes,
    groups: int,
    output_padding: Sizes,
) -> Tensor | None:
    """Transposed convolution, which is also the gradient of a convolution's input."""
    return _run("conv_transpose", _transpose_case, x, w, b, stride, pads, dilation, groups, output_padding)


def conv_weight(
    x: Tensor, g: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, groups: int
) -> Tensor | None:
    """The gradient of a convolution's weights."""
    call = function_for("conv_weight", x, g)
    if call is None:
        return None
    order = layout(x, g)
    x, x_strides, _ = as_it_lies(x, order)
    g, g_strides, _ = as_it_lies(g, order)
    threads = torch.get_num_threads()
    found = _weight_case(x.shape, x_strides, g.shape, g_strides, kernel, stride, pads, dilation, groups, threads)
    if found is None:
        return None
    integers, shape = found
    w = x.new_empty(shape)
    finite = call(integers.address, x.data_ptr(), g.data_ptr(), w.data_ptr())
    return w if finite else None  # the definition keeps infinities and NaN to the windows that see them
