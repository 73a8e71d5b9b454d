"""Average pooling in any number of dimensions: the mean of every window.

It is linear. Its gradient is its adjoint, which gives every element of a window an equal share, and the gradient
of the adjoint is average pooling again. Sums are taken along one axis after the other.
"""

from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

from lightconv.functional.dispatch import Operation, accumulation_dtype, float32_for_autocast
from lightconv.functional.geometry import (
    FLOATING,
    Sizes,
    batched,
    check_dtype,
    check_not_empty,
    new_empty,
    numel,
    plane_format,
    pool_output_size,
    show,
    to_integer,
)
from lightconv.functional.planes import in_one_piece, planes
from lightconv.functional.pooling import along, at_tap, crop, fitted_pads, only, pool_geometry, to_flag
from lightconv.functional.windows import overlap_add, padded_size, zero_pad

__all__ = ["avg_pool1d", "avg_pool2d", "avg_pool3d"]


def _divisor(
    size: Sizes,
    out: Sizes,
    kernel: Sizes,
    stride: Sizes,
    pads: Sizes,
    count_include_pad: bool,
    divisor_override: int | None,
    like: Tensor,
) -> int | Tensor:
    """By what the sum of each window is divided: how many elements it has of the input and its padding.

    What `ceil_mode` lets a window read beyond the padding does not count.
    """
    if divisor_override is not None:
        return divisor_override
    axes = len(size)
    counted = pads if count_include_pad else (0,) * len(pads)
    ends = tuple(size[i] + counted[axes + i] for i in range(axes))
    if all(counted[i] == pads[i] and (out[i] - 1) * stride[i] - pads[i] + kernel[i] <= ends[i] for i in range(axes)):
        return numel(kernel)
    product: Tensor | None = None
    for i in range(axes):
        start = torch.arange(out[i], device=like.device) * stride[i] - pads[i]
        count = (start + kernel[i]).clamp(max=ends[i]) - start.clamp(min=-counted[i])
        count = along(i, axes, count.to(like.dtype))
        product = count if product is None else product * count
    assert product is not None
    return product


def _avg_shape(
    x: Tensor,
    kernel: Sizes,
    stride: Sizes,
    pads: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    out = pool_output_size(tuple(x.shape[2:]), kernel, stride, pads, (1,) * len(kernel), ceil_mode)
    return new_empty(x, (*x.shape[:2], *out), plane_format(x))


def _avg_definition(
    x: Tensor,
    kernel: Sizes,
    stride: Sizes,
    pads: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    axes = len(kernel)
    ones = (1,) * axes
    size = tuple(x.shape[2:])
    out = pool_output_size(size, kernel, stride, pads, ones, ceil_mode)
    total = zero_pad(x.to(accumulation_dtype(x.dtype)), fitted_pads(size, out, kernel, stride, pads, ones))
    alone = [axis for axis in range(axes) if out[axis] == 1]
    for axis in alone:
        if total.shape[2 + axis] > kernel[axis]:
            total = total.narrow(2 + axis, 0, kernel[axis])
    if alone:
        total = total.sum([2 + axis for axis in alone], keepdim=True)
    for axis in range(axes):
        if axis in alone:
            continue
        here = (*out[: axis + 1], *total.shape[3 + axis :])
        step = only(stride, axis, 1)
        line = [at_tap(total, only((tap,) * axes, axis, 0), here, step, ones) for tap in range(kernel[axis])]
        total = line[0] + line[1] if len(line) > 1 else line[0]
        for piece in line[2:]:
            total += piece
    divisor = _divisor(size, out, kernel, stride, pads, count_include_pad, divisor_override, total)
    if not (x.is_floating_point() or x.is_complex()):
        return torch.div(total, divisor, rounding_mode="trunc")
    return (total / divisor).to(x.dtype)


def _avg_run(
    x: Tensor,
    kernel: Sizes,
    stride: Sizes,
    pads: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    rest = (kernel, stride, pads, ceil_mode, count_include_pad, divisor_override)
    cost = 2 * numel(x.shape[2:]) * accumulation_dtype(x.dtype).itemsize
    if in_one_piece(x, cost):
        return _avg_definition(x, *rest).contiguous(memory_format=plane_format(x))
    y = _avg_shape(x, *rest)
    for part in planes(x, cost):
        y[part] = _avg_definition(x[part], *rest)
    return y


def _avg_aten(
    x: Tensor,
    kernel: Sizes,
    stride: Sizes,
    pads: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    axes = len(kernel)
    function = getattr(torch.nn.functional, f"avg_pool{axes}d")
    extra = () if axes == 1 else (divisor_override,)
    return function(x, kernel, stride, pads[:axes], ceil_mode, count_include_pad, *extra)


def _save_avg(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, *ctx.rest = inputs
    ctx.size = tuple(x.shape[2:])


def _avg_gradient(ctx: Any, g: Tensor) -> tuple[Any, ...]:
    return avg_pool_spread(g, ctx.size, *ctx.rest), None, None, None, None, None, None


def _avg_spread_shape(
    g: Tensor,
    size: Sizes,
    kernel: Sizes,
    stride: Sizes,
    pads: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    return new_empty(g, (*g.shape[:2], *size), plane_format(g))


def _avg_spread_definition(
    g: Tensor,
    size: Sizes,
    kernel: Sizes,
    stride: Sizes,
    pads: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    axes = len(kernel)
    ones = (1,) * axes
    out = tuple(g.shape[2:])
    fitted = fitted_pads(size, out, kernel, stride, pads, ones)
    whole = padded_size(size, fitted)
    total = g.to(accumulation_dtype(g.dtype))
    total = total / _divisor(size, out, kernel, stride, pads, count_include_pad, divisor_override, total)
    for axis in range(axes):
        if out[axis] == 1:
            total = total.expand(*total.shape[: 2 + axis], kernel[axis], *total.shape[3 + axis :])
            total = zero_pad(total, (*(0,) * (axes + axis), whole[axis] - kernel[axis], *(0,) * (axes - 1 - axis)))
            continue
        here, grown = (*whole[:axis], *out[axis:]), (*whole[: axis + 1], *out[axis + 1 :])

        def share(tap: int, total: Tensor = total) -> Tensor:
            return total

        walk = (here, grown, only(kernel, axis, 1), only(stride, axis, 1), ones)
        total = overlap_add(share, tuple(g.shape[:2]), *walk)
    return crop(total, fitted).to(g.dtype)


def _avg_spread_run(
    g: Tensor,
    size: Sizes,
    kernel: Sizes,
    stride: Sizes,
    pads: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    rest = (size, kernel, stride, pads, ceil_mode, count_include_pad, divisor_override)
    cost = 2 * numel(size) * accumulation_dtype(g.dtype).itemsize
    if in_one_piece(g, cost):
        return _avg_spread_definition(g, *rest).contiguous(memory_format=plane_format(g))
    y = _avg_spread_shape(g, *rest)
    for part in planes(g, cost):
        y[part] = _avg_spread_definition(g[part], *rest)
    return y


def _save_avg_spread(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, _, *ctx.rest = inputs


def _avg_spread_gradient(ctx: Any, h: Tensor) -> tuple[Any, ...]:
    return avg_pool(h, *ctx.rest), None, None, None, None, None, None, None


_MEAN = (
    "SymInt[] kernel, SymInt[] stride, SymInt[] pads, bool ceil_mode, bool count_include_pad, SymInt? divisor_override"
)

avg_pool: Operation = Operation(
    "avg_pool",
    f"(Tensor input, {_MEAN}) -> Tensor",
    definition=_avg_definition,
    shape=_avg_shape,
    run=_avg_run,
    save=_save_avg,
    gradient=_avg_gradient,
    aten=_avg_aten,
)

avg_pool_spread: Operation = Operation(
    "avg_pool_spread",
    f"(Tensor grad, SymInt[] size, {_MEAN}) -> Tensor",
    definition=_avg_spread_definition,
    shape=_avg_spread_shape,
    run=_avg_spread_run,
    save=_save_avg_spread,
    gradient=_avg_spread_gradient,
)
"""The adjoint of average pooling."""


# --- the public functions ---------------------------------------------------------------------------------------


def _avg_pool_nd(
    function: Any,
    axes: int,
    x: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: Any,
    count_include_pad: Any,
    **divisor: Any,
) -> Tensor:
    name = function.__name__
    if has_torch_function_unary(x):
        return handle_torch_function(
            function,
            (x,),
            x,
            kernel_size,
            stride=stride,
            padding=padding,
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
            **divisor,
        )
    x, is_batched = batched(x, axes, name)
    if axes == 3:
        x = float32_for_autocast(x)
    # torch has no means of volumes in half precision on a CPU
    full = (torch.float64, torch.float32)
    check_dtype(x, name, ((full if axes == 3 and x.device.type == "cpu" else FLOATING) + (torch.int64,)))
    check_not_empty(x, name)
    kernel, strides, pads, _, ceil = pool_geometry(name, x, kernel_size, stride, padding, 1, ceil_mode)
    include = to_flag(count_include_pad, "count_include_pad")
    override = divisor.get("divisor_override")
    if override is not None:
        override = to_integer(override, "divisor_override")
        if override == 0:
            raise RuntimeError(f"Expected `divisor_override` of {name} to be None or not zero, but got 0.")
    if axes == 3 and any(n < k for n, k in zip(x.shape[2:], kernel, strict=True)):
        raise RuntimeError(
            f"Expected `input` of {name} to be at least as large as `kernel_size`, whatever the padding, but got "
            f"{tuple(x.shape[2:])} for {show(kernel)}."
        )
    y = avg_pool(x, kernel, strides, pads, ceil, include, override)
    return y if is_batched else y.squeeze(0)


def avg_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """1-D average pooling: the mean of every window.

        y[n, c, o] = sum over t of  x[n, c, stride * o + t - padding]  /  number of t

    Source: *Understanding Deep Learning*, section 10.4.1 (mean pooling). Same meaning as
    `torch.nn.functional.avg_pool1d`.

    Args:
        input: (N, C, L), or without N. Floating or int64 (divided towards zero).
        kernel_size: size of the windows.
        stride: steps from one window to the next, in elements; `kernel_size` if not given.
        padding: zeros added at both ends of each axis, at most half of `kernel_size`.
        ceil_mode: keep a last window that reaches beyond the high end, if it starts within input or padding.
        count_include_pad: count the zeros of the padding among the elements of a window.

    Returns:
        (N, C, L_out), with out = floor((in + 2 padding - k) / stride) + 1 (`ceil_mode`: the ceiling).

    Raises:
        RuntimeError: for shapes or numbers that do not fit together, or a dtype that torch does not average.
        TypeError: for arguments of another type.

    >>> avg_pool1d(torch.tensor([[[2.0, 4.0, 6.0]]]), 2, stride=1)
    tensor([[[3., 5.]]])
    >>> avg_pool1d(torch.tensor([[[2.0, 4.0, 6.0]]]), 2, padding=1, count_include_pad=False)
    tensor([[[2., 5.]]])
    """
    return _avg_pool_nd(
        avg_pool1d,
        1,
        input,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
    )


def avg_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """2-D average pooling: the mean of every window.

        y[n, c, o] = sum over t of  x[n, c, stride * o + t - padding]  /  number of t

    Source: *Understanding Deep Learning*, section 10.4.1 (mean pooling). Same meaning as
    `torch.nn.functional.avg_pool2d`.

    Args:
        input: (N, C, H, W), or without N. Floating or int64 (divided towards zero).
        kernel_size: size of the windows.
        stride: steps from one window to the next, in elements; `kernel_size` if not given.
        padding: zeros added at both ends of each axis, at most half of `kernel_size`.
        ceil_mode: keep a last window that reaches beyond the high end, if it starts within input or padding.
        count_include_pad: count the zeros of the padding among the elements of a window.
        divisor_override: divide every sum by this number instead.

    Returns:
        (N, C, H_out, W_out), with out = floor((in + 2 padding - k) / stride) + 1 (`ceil_mode`: the ceiling).

    Raises:
        RuntimeError: for shapes or numbers that do not fit together, or a dtype that torch does not average.
        TypeError: for arguments of another type.

    >>> x = torch.tensor([[[[1.0, 3.0, 5.0, 3.0], [6.0, 2.0, 0.0, 8.0], [4.0, 6.0, 1.0, 4.0], [2.0, 8.0, 0.0, 3.0]]]])
    >>> avg_pool2d(x, 2)
    tensor([[[[3., 4.],
              [5., 2.]]]])
    """
    return _avg_pool_nd(
        avg_pool2d,
        2,
        input,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override=divisor_override,
    )


def avg_pool3d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """3-D average pooling: the mean of every window.

        y[n, c, o] = sum over t of  x[n, c, stride * o + t - padding]  /  number of t

    Source: *Understanding Deep Learning*, section 10.4.1 (mean pooling). Same meaning as
    `torch.nn.functional.avg_pool3d`.

    Args:
        input: (N, C, D, H, W), or without N. Floating or int64 (divided towards zero); on a CPU no halves.
        kernel_size: size of the windows.
        stride: steps from one window to the next, in elements; `kernel_size` if not given.
        padding: zeros added at both ends of each axis, at most half of `kernel_size`.
        ceil_mode: keep a last window that reaches beyond the high end, if it starts within input or padding.
        count_include_pad: count the zeros of the padding among the elements of a window.
        divisor_override: divide every sum by this number instead.

    Returns:
        (N, C, D_out, H_out, W_out), with out = floor((in + 2 padding - k) / stride) + 1 (`ceil_mode`: the ceiling).

    Raises:
        RuntimeError: for shapes or numbers that do not fit together, or a dtype that torch does not average.
        TypeError: for arguments of another type.

    >>> avg_pool3d(torch.ones(2, 4, 8, 16, 16), 2, divisor_override=1).unique()
    tensor([8.])
    """
    return _avg_pool_nd(
        avg_pool3d,
        3,
        input,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override=divisor_override,
    )
