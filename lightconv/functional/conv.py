"""Convolution as torch.nn.functional offers it: `conv1d`, `conv2d`, `conv3d`.

Here arguments are checked and put into one form; `lightconv.functional.convolution` is what they mean.
"""

from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from lightconv.functional.convolution import conv
from lightconv.functional.dispatch import cast_for_autocast
from lightconv.functional.geometry import (
    FLOATING,
    batched,
    check_dtype,
    conv_pads,
    show,
    to_groups,
    to_sizes,
    window_span,
)

__all__ = ["conv1d", "conv2d", "conv3d"]

DTYPES = (*FLOATING, torch.complex128, torch.complex64, torch.complex32, torch.int64)
_UNDILATED_DTYPES = (*DTYPES, torch.int32, torch.int16, torch.int8, torch.uint8)


def check_conv(name: str, x: Tensor, w: Tensor, b: Tensor | None, axes: int, groups: int, transposed: bool) -> None:
    """Raise unless weight and bias fit the input and each other."""
    if not isinstance(w, Tensor):
        raise TypeError(f"Expected `weight` of {name} to be a tensor, but got {show(w)}.")
    if b is not None and not isinstance(b, Tensor):
        raise TypeError(f"Expected `bias` of {name} to be a tensor or None, but got {show(b)}.")
    shape = tuple(w.shape)
    if w.dim() != axes + 2:
        raise RuntimeError(f"Expected `weight` of {name} to have {axes + 2} dimensions, but got shape {shape}.")
    if 0 in shape[2:]:
        raise RuntimeError(f"Expected `weight` of {name} to have a kernel of at least 1, but got shape {shape}.")
    if shape[0] == 0 or shape[0] % groups:
        raise RuntimeError(
            f"Expected dimension 0 of `weight` of {name} to be a positive multiple of groups={groups}, "
            f"but got shape {shape}."
        )
    channels = shape[0] if transposed else shape[1] * groups
    if x.shape[1] != channels:
        raise RuntimeError(
            f"Expected `input` of {name} to have {channels} channels (weight {shape}, groups={groups}), "
            f"but got {x.shape[1]}."
        )
    outputs = shape[1] * groups if transposed else shape[0]
    if b is not None and tuple(b.shape) != (outputs,):
        raise RuntimeError(f"Expected `bias` of {name} to have shape ({outputs},), but got {tuple(b.shape)}.")
    for argument, tensor in (("weight", w), ("bias", b)):
        if tensor is not None and tensor.dtype != x.dtype:
            raise RuntimeError(
                f"Expected `{argument}` of {name} to be {x.dtype} as `input` is, but got {tensor.dtype}."
            )
        if tensor is not None and tensor.device != x.device:
            raise RuntimeError(
                f"Expected `{argument}` of {name} to be on {x.device} as `input` is, but got {tensor.device}."
            )


def conv_arguments(
    name: str,
    axes: int,
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
) -> tuple[tuple[Any, ...], bool]:
    """The arguments of a public convolution, checked, as `conv` takes them, and whether the input has a batch."""
    x, is_batched = batched(x, axes, name)
    groups = to_groups(groups)
    x, w, b = cast_for_autocast(x, w, b)  # type: ignore[assignment]
    check_conv(name, x, w, b, axes, groups, transposed=False)
    kernel = tuple(w.shape[2:])
    strides = to_sizes(stride, axes, "stride", least=1)
    dilations = to_sizes(dilation, axes, "dilation", least=1)
    check_dtype(x, name, _UNDILATED_DTYPES if dilations == (1,) * axes else DTYPES)
    pads = conv_pads(padding, kernel, strides, dilations)
    size = x.shape[2:]
    for i in range(axes):
        if size[i] + pads[i] + pads[axes + i] <= dilations[i] * (kernel[i] - 1):
            raise RuntimeError(
                f"Expected `input` of {name} to be at least as large as the dilated kernel along spatial axis {i}, "
                f"but got {size[i]} + {pads[i] + pads[axes + i]} padding for a kernel that spans "
                f"{window_span(kernel, dilations)[i]}."
            )
    return (x, w, b, strides, pads, dilations, groups), is_batched


def _conv_nd(
    function: Any,
    axes: int,
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
) -> Tensor:
    if has_torch_function((x, w, b)):
        return handle_torch_function(
            function, (x, w, b), x, w, b, stride=stride, padding=padding, dilation=dilation, groups=groups
        )
    arguments, is_batched = conv_arguments(function.__name__, axes, x, w, b, stride, padding, dilation, groups)
    y = conv(*arguments)
    return y if is_batched else y.squeeze(0)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """1-D convolution (cross-correlation): each output is a window of the input weighted and summed.

        y[n, c, o] = bias[c] + sum over i, t of  weight[c, i, t] * x[n, i, stride * o + dilation * t]

    Source: *Understanding Deep Learning*, section 10.2. Same meaning as `torch.nn.functional.conv1d`.

    Args:
        input: (N, C_in, L), or without N.
        weight: (C_out, C_in / groups, kL).
        bias: (C_out,), added to each output channel.
        stride: steps from one window to the next, in elements.
        padding: zeros added at both ends of each axis; "same" keeps the size (stride 1 only), "valid" adds none.
        dilation: steps between the elements of a window.
        groups: channels are divided into this many groups that do not see each other.

    Returns:
        (N, C_out, L_out), with out = floor((in + 2 padding - dilation (k - 1) - 1) / stride) + 1.

    Raises:
        RuntimeError: for shapes, dtypes or numbers that do not fit together.
        TypeError: for arguments of another type.

    >>> x = torch.tensor([[[1.0, 2.0, 4.0, 8.0]]])
    >>> conv1d(x, torch.tensor([[[-1.0, 0.0, 1.0]]]), padding=1)
    tensor([[[ 2.,  3.,  6., -4.]]])
    """
    return _conv_nd(conv1d, 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """2-D convolution (cross-correlation): each output is a window of the input weighted and summed.

        y[n, c, o] = bias[c] + sum over i, t of  weight[c, i, t] * x[n, i, stride * o + dilation * t]

    Source: *Understanding Deep Learning*, section 10.3. Same meaning as `torch.nn.functional.conv2d`.

    Args:
        input: (N, C_in, H, W), or without N.
        weight: (C_out, C_in / groups, kH, kW).
        bias: (C_out,), added to each output channel.
        stride: steps from one window to the next, in elements.
        padding: zeros added at both ends of each axis; "same" keeps the size (stride 1 only), "valid" adds none.
        dilation: steps between the elements of a window.
        groups: channels are divided into this many groups that do not see each other.

    Returns:
        (N, C_out, H_out, W_out), with out = floor((in + 2 padding - dilation (k - 1) - 1) / stride) + 1.

    Raises:
        RuntimeError: for shapes, dtypes or numbers that do not fit together.
        TypeError: for arguments of another type.

    >>> conv2d(torch.randn(8, 3, 32, 32), torch.randn(16, 3, 5, 5), stride=2, padding=2).shape
    torch.Size([8, 16, 16, 16])
    """
    return _conv_nd(conv2d, 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """3-D convolution (cross-correlation): each output is a window of the input weighted and summed.

        y[n, c, o] = bias[c] + sum over i, t of  weight[c, i, t] * x[n, i, stride * o + dilation * t]

    Source: *Understanding Deep Learning*, section 10.3. Same meaning as `torch.nn.functional.conv3d`.

    Args:
        input: (N, C_in, D, H, W), or without N.
        weight: (C_out, C_in / groups, kD, kH, kW).
        bias: (C_out,), added to each output channel.
        stride: steps from one window to the next, in elements.
        padding: zeros added at both ends of each axis; "same" keeps the size (stride 1 only), "valid" adds none.
        dilation: steps between the elements of a window.
        groups: channels are divided into this many groups that do not see each other.

    Returns:
        (N, C_out, D_out, H_out, W_out), with out = floor((in + 2 padding - dilation (k - 1) - 1) / stride) + 1.

    Raises:
        RuntimeError: for shapes, dtypes or numbers that do not fit together.
        TypeError: for arguments of another type.

    >>> conv3d(torch.randn(2, 4, 8, 16, 16), torch.randn(4, 1, 3, 3, 3), groups=4).shape
    torch.Size([2, 4, 6, 14, 14])
    """
    return _conv_nd(conv3d, 3, input, weight, bias, stride, padding, dilation, groups)
