"""Max-pooling, its gradient, and unpooling, in 1-D to 3-D, float32.

Each function takes the arguments of the operation of that name and returns None for what it does not support.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from lightconv.functional.geometry import Sizes, needed_strides, new_empty, pool_output_size
from lightconv.kernels.library import Function, Integers, function, functions, layout, numerable, usable

# tensors of more taps number them by 32-bit integers
_BYTE_TAPS = 128


def geometry(
    shape: Sizes,
    out: Sizes,
    kernel: Sizes,
    stride: Sizes,
    pads: Sizes,
    dilation: Sizes,
    threads: int,
    divisor: int = 0,
    together: bool = False,
) -> Integers:
    """As the kernels' `PoolGeometry`; 1-D planes `together` are the rows of one, which a vector may span."""
    axes = len(kernel)
    planes, size = shape[0] * shape[1], shape[2:]
    stride = needed_strides(size, out, stride)
    if axes == 1 and together:
        size, out = (planes, *size), (planes, *out)
        kernel, stride, pads, dilation = (1, *kernel), (1, *stride), (0, pads[0], 0, pads[1]), (1, *dilation)
        planes, axes = 1, 2

    def three(values: Sizes, missing: int) -> Sizes:
        return (missing,) * (3 - axes) + tuple(values)

    return Integers(
        planes,
        *three(size, 1),
        *three(out, 1),
        *three(kernel, 1),
        *three(stride, 1),
        *three(pads[:axes], 0),
        *three(dilation, 1),
        *(divisor, threads),
    )


@lru_cache(4096)
def _max_case(
    shape: Sizes, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, ceil_mode: bool, threads: int, last: bool
) -> tuple[Integers, Sizes] | None:
    out = pool_output_size(shape[2:], kernel, stride, pads, dilation, ceil_mode)
    if 0 in shape or 0 in out or not numerable(shape[2:], kernel, pads):
        return None
    whole = (*shape[:2], *out)
    if last:
        return geometry((shape[0], 1, *shape[2:]), out, kernel, stride, pads, dilation, threads), whole
    return geometry(shape, out, kernel, stride, pads, dilation, threads, together=True), whole


def _max(
    wanted: bool, x: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, ceil_mode: bool
) -> tuple[Tensor, Tensor | None] | None:
    if not usable(x, dtype=x.dtype):
        return None
    order = layout(x)
    last = order is not torch.contiguous_format
    call = function("max_pool_last" if last else "max_pool", x.dtype)
    if call is None:
        return None
    found = _max_case(x.shape, kernel, stride, pads, dilation, ceil_mode, torch.get_num_threads(), last)
    if found is None:
        return None
    integers, shape = found
    x = x if last else x.contiguous()
    y = new_empty(x, shape, order)
    wide = math.prod(kernel) > _BYTE_TAPS
    won = torch.empty_like(y, dtype=torch.int32 if wide else torch.int8) if wanted else None
    pointers = x.data_ptr(), y.data_ptr(), None if won is None else won.data_ptr(), int(wide)
    if last:
        call(integers.address, x.shape[1], *pointers)
    else:
        call(integers.address, *pointers)
    return y, won


def max_pool(x: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, ceil_mode: bool) -> Tensor | None:
    """The maxima alone."""
    found = _max(False, x, kernel, stride, pads, dilation, ceil_mode)
    return None if found is None else found[0]


def max_pool_winners(
    x: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, ceil_mode: bool
) -> tuple[Tensor, Tensor | None] | None:
    """The maxima and the number of each window's winning tap."""
    return _max(True, x, kernel, stride, pads, dilation, ceil_mode)


@lru_cache(4096)
def _spread_case(
    shape: Sizes, size: Sizes, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, threads: int, last: bool
) -> tuple[Integers, Sizes] | None:
    if 0 in shape or 0 in size or not numerable(size, kernel, pads):
        return None
    planes = (shape[0], 1, *size) if last else (*shape[:2], *size)
    return geometry(planes, shape[2:], kernel, stride, pads, dilation, threads), (*shape[:2], *size)


def max_pool_spread(
    g: Tensor, won: Tensor, size: Sizes, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes
) -> Tensor | None:
    """The gradient of max-pooling."""
    if not usable(g, dtype=g.dtype):
        return None
    order = layout(g)
    last = order is not torch.contiguous_format
    call = function("max_pool_spread_last" if last else "max_pool_spread", g.dtype)
    if call is None:
        return None
    found = _spread_case(g.shape, tuple(size), kernel, stride, pads, dilation, torch.get_num_threads(), last)
    if found is None:
        return None
    integers, shape = found
    x = new_empty(g, shape, order)
    won = won.contiguous(memory_format=order)
    if last:
        wide = int(won.dtype is torch.int32)
        call(integers.address, g.shape[1], g.data_ptr(), won.data_ptr(), wide, x.data_ptr())
        return x
    g = g.contiguous()
    call(integers.address, g.data_ptr(), won.data_ptr(), int(won.dtype is torch.int32), x.data_ptr())
    return x


def _at_indices(call: Function, values: Tensor, indices: Tensor, shape: Sizes, *arguments: int) -> Tensor | None:
    y = values.new_empty(shape)
    values, indices = values.contiguous(), indices.contiguous()
    inside = call(*arguments, torch.get_num_threads(), values.data_ptr(), indices.data_ptr(), y.data_ptr())
    return y if inside else None  # the definition has the words for a wrong index


def _countable(kernels: dict[str, Function], x: Tensor, indices: Tensor, size: Sizes) -> bool:
    return (
        bool(kernels)
        and usable(x)
        and indices.dtype is torch.int64
        and type(indices) is Tensor
        and indices.is_cpu
        and x.numel() > 0
        and indices.numel() > 0
        and 0 not in size
    )


def max_unpool(x: Tensor, indices: Tensor, size: Sizes) -> Tensor | None:
    """Every element at its index into a plane of `size`."""
    kernels = functions()
    if not _countable(kernels, x, indices, size) or x.shape != indices.shape or layout(x) != torch.contiguous_format:
        return None
    planes, count, whole = x.shape[0] * x.shape[1], math.prod(x.shape[2:]), math.prod(size)

    def call(threads: int, *pointers: int) -> int:
        return kernels["unpool"](planes, count, whole, threads, 0, *pointers)

    return _at_indices(call, x, indices, (*x.shape[:2], *size))


def place(g: Tensor, indices: Tensor, size: Sizes) -> Tensor | None:
    """Every element added at its index into a plane of `size`."""
    kernels = functions()
    if not _countable(kernels, g, indices, size) or g.shape != indices.shape or layout(g) != torch.contiguous_format:
        return None
    planes, count, whole = g.shape[0] * g.shape[1], math.prod(g.shape[2:]), math.prod(size)

    def call(threads: int, *pointers: int) -> int:
        return kernels["unpool"](planes, count, whole, threads, 1, *pointers)

    return _at_indices(call, g, indices, (*g.shape[:2], *size))
