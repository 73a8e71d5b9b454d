"""Unfold and fold: the windows of a tensor as columns of a matrix, and the columns added back.

They are each other's adjoint. `fold(unfold(x))` is x times the number of windows that read each element.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

from lightconv.functional.dispatch import Operation, accumulation_dtype
from lightconv.functional.geometry import (
    FLOATING,
    Sizes,
    check_dtype,
    conv_output_size,
    numel,
    show,
    to_sizes,
    window_span,
)
from lightconv.functional.windows import overlap_add, padded_size, windows, zero_pad

__all__ = ["fold", "unfold"]


def _unfold(x: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes) -> Tensor:
    axes = len(kernel)
    view = windows(zero_pad(x, pads), kernel, stride, dilation)
    view = view.permute(0, 1, *range(2 + axes, 2 + 2 * axes), *range(2, 2 + axes))
    columns = view.clone(memory_format=torch.contiguous_format)
    return columns.reshape(x.shape[0], x.shape[1] * numel(kernel), numel(view.shape[2 + axes :]))


def _unfold_shape(x: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes) -> Tensor:
    out = conv_output_size(tuple(x.shape[2:]), kernel, stride, pads, dilation)
    return x.new_empty((x.shape[0], x.shape[1] * numel(kernel), numel(out)))


def _fold(cols: Tensor, size: Sizes, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes) -> Tensor:
    axes = len(size)
    out = conv_output_size(size, kernel, stride, pads, dilation)
    batch, channels = cols.shape[0], cols.shape[1] // numel(kernel)
    cols = cols.reshape(batch, channels, numel(kernel), *out)
    total_dtype = accumulation_dtype(cols.dtype)
    total = overlap_add(
        lambda t: cols.select(2, t).to(total_dtype),
        (batch, channels),
        out,
        padded_size(size, pads),
        kernel,
        stride,
        dilation,
    ).to(cols.dtype)
    for i in range(axes):
        if pads[i] or pads[axes + i]:
            total = total.narrow(2 + i, pads[i], size[i])
    return total.contiguous()


def _fold_shape(cols: Tensor, size: Sizes, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes) -> Tensor:
    return cols.new_empty((cols.shape[0], cols.shape[1] // numel(kernel), *size))


def _save_unfold(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, *ctx.geometry = inputs
    ctx.size = tuple(x.shape[2:])


def _save_fold(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, _, *ctx.geometry = inputs


def _unfold_aten(x: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes) -> Tensor:
    if len(kernel) != 2:
        return _unfold(x, kernel, stride, pads, dilation)
    return torch.nn.functional.unfold(x, kernel, dilation, pads[:2], stride)


def _fold_aten(cols: Tensor, size: Sizes, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes) -> Tensor:
    if len(kernel) != 2:
        return _fold(cols, size, kernel, stride, pads, dilation)
    return torch.nn.functional.fold(cols, size, kernel, dilation, pads[:2], stride)


_unfold_operation: Operation = Operation(
    "unfold",
    "(Tensor input, SymInt[] kernel, SymInt[] stride, SymInt[] pads, SymInt[] dilation) -> Tensor",
    definition=_unfold,
    shape=_unfold_shape,
    save=_save_unfold,
    gradient=lambda ctx, g: (_fold_operation(g, ctx.size, *ctx.geometry), None, None, None, None),
    aten=_unfold_aten,
)

_fold_operation: Operation = Operation(
    "fold",
    "(Tensor input, SymInt[] size, SymInt[] kernel, SymInt[] stride, SymInt[] pads, SymInt[] dilation) -> Tensor",
    definition=_fold,
    shape=_fold_shape,
    save=_save_fold,
    gradient=lambda ctx, g: (_unfold_operation(g, *ctx.geometry), None, None, None, None, None),
    aten=_fold_aten,
)


def _geometry(
    kernel_size: Any, dilation: Any, padding: Any, stride: Any, axes: int
) -> tuple[Sizes, Sizes, Sizes, Sizes]:
    kernel = to_sizes(kernel_size, axes, "kernel_size", least=1)
    pads = to_sizes(padding, axes, "padding") * 2
    return (
        kernel,
        to_sizes(stride, axes, "stride", least=1),
        pads,
        to_sizes(dilation, axes, "dilation", least=1),
    )


def _axes(kernel_size: Any) -> int:
    return len(kernel_size) if isinstance(kernel_size, Sequence) else 2


def _check(name: str, x: Tensor, dims: int) -> tuple[Tensor, bool]:
    if not isinstance(x, Tensor):
        raise TypeError(f"Expected `input` of {name} to be a tensor, but got {show(x)}.")
    check_dtype(x, name, (*FLOATING, torch.complex128, torch.complex64, torch.bool))
    if x.dim() not in (dims - 1, dims) or 0 in x.shape[x.dim() - dims + 1 :]:
        raise RuntimeError(
            f"Expected `input` of {name} to have {dims - 1} (unbatched) or {dims} (batched) dimensions, none but the "
            f"batch empty, but got shape {tuple(x.shape)}."
        )
    return (x, True) if x.dim() == dims else (x.unsqueeze(0), False)


def unfold(input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """All windows of the input as columns of a matrix.

        y[n, c K + t, o] = x[n, c, stride * o + dilation * t - padding]

    with K kernel elements t in row order and windows o in row order. The matrix product of the flattened weights
    with it is a convolution (*Understanding Deep Learning*, section 10.2.1: a convolution is a matrix).
    Same meaning as `torch.nn.functional.unfold`, and beyond it in any number of spatial dimensions.

    Args:
        input: (N, C, *size), or without N.
        kernel_size: an integer (two spatial axes, as in torch) or a tuple of one for each spatial axis.
        dilation: steps between the elements of a window.
        padding: zeros added at both ends of each axis.
        stride: steps from one window to the next.

    Returns:
        (N, C K, L), where L is the number of windows.

    Raises:
        RuntimeError: for numbers that do not fit the input.

    >>> unfold(torch.tensor([[[1.0, 2.0, 3.0, 4.0]]]), (3,))
    tensor([[[1., 2.],
             [2., 3.],
             [3., 4.]]])
    """
    if has_torch_function_unary(input):
        return handle_torch_function(
            unfold, (input,), input, kernel_size, dilation=dilation, padding=padding, stride=stride
        )
    axes = _axes(kernel_size)
    x, is_batched = _check("unfold", input, axes + 2)
    kernel, strides, pads, dilations = _geometry(kernel_size, dilation, padding, stride, axes)
    out = conv_output_size(tuple(x.shape[2:]), kernel, strides, pads, dilations)
    if any(n < 1 for n in out):
        raise RuntimeError(
            f"Expected `kernel_size` of unfold to span at most the padded input, "
            f"{padded_size(tuple(x.shape[2:]), pads)}, but got a span of {window_span(kernel, dilations)}."
        )
    y = _unfold_operation(x, kernel, strides, pads, dilations)
    return y if is_batched else y.squeeze(0)


def fold(
    input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Columns of windows added back to the places they were read from: the adjoint of `unfold`.

        y[n, c, stride * o + dilation * t - padding] += x[n, c K + t, o]

    Same meaning as `torch.nn.functional.fold`, and beyond it in any number of spatial dimensions.

    Args:
        input: (N, C K, L), or without N, where L is the number of windows of an input of `output_size`.
        output_size: an integer (the same for all axes) or a tuple of one for each spatial axis.
        kernel_size: an integer (two spatial axes, as in torch) or a tuple of one for each spatial axis.
        dilation: steps between the elements of a window.
        padding: elements cut from both ends of each axis.
        stride: steps from one window to the next.

    Returns:
        (N, C, *output_size).

    Raises:
        RuntimeError: for numbers that do not fit together.

    >>> fold(torch.ones(1, 2, 3), (4,), (2,))
    tensor([[[1., 2., 2., 1.]]])
    """
    if has_torch_function_unary(input):
        return handle_torch_function(
            fold, (input,), input, output_size, kernel_size, dilation=dilation, padding=padding, stride=stride
        )
    axes = _axes(kernel_size)
    x, is_batched = _check("fold", input, 3)
    kernel, strides, pads, dilations = _geometry(kernel_size, dilation, padding, stride, axes)
    size = to_sizes(output_size, axes, "output_size", least=1)
    if x.shape[1] % numel(kernel):
        raise RuntimeError(
            f"Expected dimension 1 of `input` of fold to be a multiple of the {numel(kernel)} kernel elements, "
            f"but got {x.shape[1]}."
        )
    out = conv_output_size(size, kernel, strides, pads, dilations)
    if any(n < 1 for n in out) or x.shape[2] != numel(out):
        raise RuntimeError(
            f"Expected dimension 2 of `input` of fold to count the windows of {size}, {show(out)} of them, "
            f"but got {x.shape[2]}."
        )
    y = _fold_operation(x, size, kernel, strides, pads, dilations)
    return y if is_batched else y.squeeze(0)
