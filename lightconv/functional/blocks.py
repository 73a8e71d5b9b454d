"""Several layers as one operation, which saves less for the backward pass than they do."""

from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from lightconv.functional.conv import conv_arguments
from lightconv.functional.convolution import bias_gradient, conv, conv_transpose, conv_weight, output_padding_for
from lightconv.functional.dispatch import Operation, compiled, only_result_wanted, piece_bytes
from lightconv.functional.geometry import (
    FLOATING,
    Sizes,
    check_dtype,
    conv_output_size,
    memory_format,
    new_empty,
    numel,
    tiles,
    to_sizes,
)
from lightconv.functional.max_pooling import max_pool_winners
from lightconv.functional.winners import max_pool_collect, max_pool_spread

__all__ = ["conv_max_pool_relu"]

_NO_PADS, _ONES = (0, 0, 0, 0), (1, 1)


def _definition(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    stride: Sizes,
    pads: Sizes,
    dilation: Sizes,
    groups: int,
    pool: Sizes,
) -> tuple[Tensor, Tensor]:
    y, won = max_pool_winners(conv(x, w, b, stride, pads, dilation, groups), pool, pool, _NO_PADS, _ONES, False)
    return y.relu(), won


def _shape(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    stride: Sizes,
    pads: Sizes,
    dilation: Sizes,
    groups: int,
    pool: Sizes,
) -> tuple[Tensor, Tensor]:
    size = conv_output_size(tuple(x.shape[2:]), tuple(w.shape[2:]), stride, pads, dilation)
    out = (n // p for n, p in zip(size, pool, strict=True))
    y = new_empty(x, (x.shape[0], w.shape[0], *out), memory_format(x, w))
    # winners lie in row order, whatever the result does
    return y, x.new_empty(y.shape, dtype=torch.int8 if numel(pool) <= 128 else torch.int32)


def _run(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    stride: Sizes,
    pads: Sizes,
    dilation: Sizes,
    groups: int,
    pool: Sizes,
) -> tuple[Tensor, Tensor]:
    y, won = _shape(x, w, b, stride, pads, dilation, groups, pool)
    per_sample = numel(y.shape[1:]) * numel(pool) * x.element_size()
    for samples, _ in tiles(x.shape[0], 1, per_sample, piece_bytes(x)):
        y[samples], won[samples] = _definition(x[samples], w, b, stride, pads, dilation, groups, pool)
    return y, won


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, w, _, *ctx.geometry = inputs
    ctx.save_for_backward(x, w, *output)
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def _gradient(ctx: Any, g: Tensor | None, _: Any) -> tuple[Any, ...]:
    x, w, y, won = ctx.saved_tensors
    grads: list[Any] = [None] * 8
    if g is None:
        return tuple(grads)
    if ctx.needs_input_grad[0]:
        grads[0] = _input_operation(g, w, y, won, tuple(x.shape[2:]), *ctx.geometry)
    if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
        grads[1], grads[2] = _weight_operation(x, g, y, won, tuple(w.shape[2:]), *ctx.geometry)
    return tuple(g if needed else None for g, needed in zip(grads, ctx.needs_input_grad, strict=True))


_GEOMETRY = "SymInt[] stride, SymInt[] pads, SymInt[] dilation, SymInt groups, SymInt[] pool"

_operation: Operation = Operation(
    "conv_max_pool_relu",
    f"(Tensor input, Tensor weight, Tensor? bias, {_GEOMETRY}) -> (Tensor, Tensor)",
    definition=_definition,
    shape=_shape,
    run=_run,
    save=_save,
    gradient=_gradient,
)


# --- the gradient: only the winners of windows that ReLU lets through have one ------------------------------------


def _conv_gradient_of(g: Tensor, y: Tensor, won: Tensor, size: Sizes, pool: Sizes) -> Tensor:
    """The gradient of the convolution's output, of spatial `size`."""
    return max_pool_spread(torch.where(y <= 0, 0, g), won, size, pool, pool, _NO_PADS, _ONES)


def _input_definition(
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
) -> Tensor:
    kernel = tuple(w.shape[2:])
    out = conv_output_size(size, kernel, stride, pads, dilation)
    rest = output_padding_for(size, out, kernel, stride, pads, dilation)
    return conv_transpose(_conv_gradient_of(g, y, won, out, pool), w, None, stride, pads, dilation, groups, rest)


def _input_shape(
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
) -> Tensor:
    return new_empty(g, (g.shape[0], w.shape[1] * groups, *size), memory_format(g, w))


def _weight_definition(
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
) -> tuple[Tensor, Tensor]:
    out = conv_output_size(tuple(x.shape[2:]), kernel, stride, pads, dilation)
    spread = _conv_gradient_of(g, y, won, out, pool)
    return conv_weight(x, spread, kernel, stride, pads, dilation, groups), bias_gradient(torch.where(y <= 0, 0, g))


def _weight_shape(
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
) -> tuple[Tensor, Tensor]:
    return x.new_empty((g.shape[1], x.shape[1] // groups, *kernel)), x.new_empty((g.shape[1],))


def _save_four(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    *tensors, ctx.sizes, stride, pads, dilation, groups, pool = inputs
    ctx.save_for_backward(*tensors)
    ctx.geometry = stride, pads, dilation, groups, pool
    ctx.set_materialize_grads(False)


def _through(x: Tensor, w: Tensor, b: Tensor | None, y: Tensor, won: Tensor, geometry: tuple[Any, ...]) -> Tensor:
    """The block of (x, w, b) with the choices that were made for (y, won): the adjoint of its gradient."""
    stride, pads, dilation, groups, pool = geometry
    h = max_pool_collect(conv(x, w, b, stride, pads, dilation, groups), won, pool, pool, _NO_PADS, _ONES)
    return torch.where(y <= 0, 0, h)


def _input_gradient(ctx: Any, h: Tensor | None) -> tuple[Any, ...]:
    g, w, y, won = ctx.saved_tensors
    grads: list[Any] = [None] * 10
    if h is not None and ctx.needs_input_grad[0]:
        grads[0] = _through(h, w, None, y, won, ctx.geometry)
    if h is not None and ctx.needs_input_grad[1]:
        grads[1] = _weight_operation(h, g, y, won, tuple(w.shape[2:]), *ctx.geometry)[0]
    return tuple(grads)


def _weight_gradient(ctx: Any, h: Tensor | None, b: Tensor | None) -> tuple[Any, ...]:
    x, g, y, won = ctx.saved_tensors
    grads: list[Any] = [None] * 10
    if h is not None and ctx.needs_input_grad[0]:
        grads[0] = _input_operation(g, h, y, won, tuple(x.shape[2:]), *ctx.geometry)
    if ctx.needs_input_grad[1]:
        if h is not None:
            grads[1] = _through(x, h, b, y, won, ctx.geometry)
        elif b is not None:
            grads[1] = torch.where(y <= 0, 0, b.reshape(-1, 1, 1))
    return tuple(grads)


_input_operation: Operation = Operation(
    "conv_max_pool_relu_input",
    f"(Tensor grad, Tensor weight, Tensor output, Tensor winners, SymInt[] size, {_GEOMETRY}) -> Tensor",
    definition=_input_definition,
    shape=_input_shape,
    save=_save_four,
    gradient=_input_gradient,
)

_weight_operation: Operation = Operation(
    "conv_max_pool_relu_weight",
    f"(Tensor input, Tensor grad, Tensor output, Tensor winners, SymInt[] kernel, {_GEOMETRY}) -> (Tensor, Tensor)",
    definition=_weight_definition,
    shape=_weight_shape,
    save=_save_four,
    gradient=_weight_gradient,
)


def conv_max_pool_relu(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    pool_size: Any = 2,
) -> Tensor:
    """relu(max_pool2d(conv2d(input, weight, bias, ...), pool_size)) as one operation.

    The three calls save the convolution's output and 64-bit indices for the backward pass; this saves the result and
    one byte for each of its elements. The convolution's output never exists as a whole.

    Source: the block of notebook 10.5 of *Understanding Deep Learning*.

    Args:
        input: (N, C_in, H, W), or without N; floating.
        weight: (C_out, C_in / groups, kH, kW).
        bias: (C_out,).
        stride: of the convolution, as for `conv2d`.
        padding: of the convolution, as for `conv2d`.
        dilation: of the convolution, as for `conv2d`.
        groups: of the convolution, as for `conv2d`.
        pool_size: size and stride of the pooling windows.

    Returns:
        (N, C_out, H_out, W_out), where H_out and W_out are the convolution's divided by `pool_size`, rounded down.

    Raises:
        RuntimeError: for shapes or numbers that do not fit together.
        TypeError: for arguments of another type.

    >>> conv_max_pool_relu(torch.randn(8, 1, 28, 28), torch.randn(10, 1, 5, 5)).shape
    torch.Size([8, 10, 12, 12])
    """
    if has_torch_function((input, weight, bias)):
        return handle_torch_function(
            conv_max_pool_relu,
            (input, weight, bias),
            input,
            weight,
            bias,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            pool_size=pool_size,
        )
    arguments, is_batched = conv_arguments(
        "conv_max_pool_relu", 2, input, weight, bias, stride, padding, dilation, groups
    )
    pool = to_sizes(pool_size, 2, "pool_size", least=1)
    x, w, _, strides, pads, dilations, _ = arguments
    check_dtype(x, "conv_max_pool_relu", FLOATING)
    size = conv_output_size(tuple(x.shape[2:]), tuple(w.shape[2:]), strides, pads, dilations)
    if size[0] < pool[0] or size[1] < pool[1]:
        raise RuntimeError(
            f"Expected `pool_size` of conv_max_pool_relu to be at most the convolution's output size {size}, "
            f"but got {pool}."
        )
    found = compiled("conv_max_pool_relu", *arguments, pool, False) if only_result_wanted(x, w, arguments[2]) else None
    y, _ = found or _operation(*arguments, pool)
    return y if is_batched else y.squeeze(0)
