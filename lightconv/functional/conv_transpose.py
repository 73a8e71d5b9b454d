"""Transposed convolution as torch.nn.functional offers it: `conv_transpose1d`, `conv_transpose2d`, `conv_transpose3d`.

Here arguments are checked and put into one form; `lightconv.functional.convolution` is what they mean.
"""

from typing import Any

from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from lightconv.functional.conv import DTYPES, check_conv
from lightconv.functional.convolution import conv_transpose
from lightconv.functional.dispatch import cast_for_autocast
from lightconv.functional.geometry import batched, check_dtype, conv_transpose_output_size, show, to_groups, to_sizes

__all__ = ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


def _conv_transpose_nd(
    function: Any,
    axes: int,
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: Any,
    dilation: Any,
) -> Tensor:
    name = function.__name__
    if has_torch_function((x, w, b)):
        return handle_torch_function(
            function,
            (x, w, b),
            x,
            w,
            b,
            stride=stride,
            padding=padding,
            output_padding=output_padding,
            groups=groups,
            dilation=dilation,
        )
    x, is_batched = batched(x, axes, name)
    groups = to_groups(groups)
    x, w, b = cast_for_autocast(x, w, b)  # type: ignore[assignment]
    check_conv(name, x, w, b, axes, groups, transposed=True)
    strides = to_sizes(stride, axes, "stride", least=1)
    dilations = to_sizes(dilation, axes, "dilation", least=1)
    check_dtype(x, name, DTYPES)
    rest = to_sizes(output_padding, axes, "output_padding")
    if isinstance(padding, str):
        raise TypeError(f"Expected `padding` of {name} to be made of integers, but got {padding!r}.")
    pads = to_sizes(padding, axes, "padding") * 2
    for r, s, d in zip(rest, strides, dilations, strict=True):
        if r >= s and r >= d:
            raise RuntimeError(
                f"Expected `output_padding` of {name} to be smaller than stride or dilation, but got {show(rest)} "
                f"for stride {show(strides)} and dilation {show(dilations)}."
            )
    out = conv_transpose_output_size(tuple(x.shape[2:]), tuple(w.shape[2:]), strides, pads, dilations, rest)
    least = 0 if x.shape[0] == 0 else 1
    if any(n == 0 for n in x.shape[2:]) or any(n < least for n in out):
        raise RuntimeError(
            f"Expected `input` of {name} to be large enough for an output, but got spatial size "
            f"{tuple(x.shape[2:])}, which would give {show(out)}."
        )
    y = conv_transpose(x, w, b, strides, pads, dilations, groups, rest)
    return y if is_batched else y.squeeze(0)


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """1-D transposed convolution, the adjoint of `conv1d`: each input element adds a weighted window to the output.

        y[n, c, stride * o + dilation * t - padding] += weight[i, c, t] * x[n, i, o]

    Source: *Understanding Deep Learning*, section 10.4; Dumoulin and Visin (2016), chapter 4. Same meaning as
    `torch.nn.functional.conv_transpose1d`, `groups` before `dilation` included.

    Args:
        input: (N, C_in, L), or without N.
        weight: (C_in, C_out / groups, kL).
        bias: (C_out,), added to each output channel.
        stride: steps from one window to the next, in elements of the output.
        padding: elements cut from both ends of each axis of the output.
        output_padding: elements added at the high end of each axis; less than stride or dilation.
        groups: channels are divided into this many groups that do not see each other.
        dilation: steps between the elements of a window.

    Returns:
        (N, C_out, L_out), with out = (in - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1.

    Raises:
        RuntimeError: for shapes, dtypes or numbers that do not fit together.
        TypeError: for arguments of another type.

    >>> import torch
    >>> x = torch.tensor([[[1.0, 2.0]]])
    >>> conv_transpose1d(x, torch.tensor([[[1.0, 10.0, 100.0]]]), stride=2)
    tensor([[[  1.,  10., 102.,  20., 200.]]])
    """
    return _conv_transpose_nd(
        conv_transpose1d, 1, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """2-D transposed convolution, the adjoint of `conv2d`: each input element adds a weighted window to the output.

        y[n, c, stride * o + dilation * t - padding] += weight[i, c, t] * x[n, i, o]

    Source: *Understanding Deep Learning*, section 10.4; Dumoulin and Visin (2016), chapter 4. Same meaning as
    `torch.nn.functional.conv_transpose2d`, `groups` before `dilation` included.

    Args:
        input: (N, C_in, H, W), or without N.
        weight: (C_in, C_out / groups, kH, kW).
        bias: (C_out,), added to each output channel.
        stride: steps from one window to the next, in elements of the output.
        padding: elements cut from both ends of each axis of the output.
        output_padding: elements added at the high end of each axis; less than stride or dilation.
        groups: channels are divided into this many groups that do not see each other.
        dilation: steps between the elements of a window.

    Returns:
        (N, C_out, H_out, W_out), with out = (in - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1.

    Raises:
        RuntimeError: for shapes, dtypes or numbers that do not fit together.
        TypeError: for arguments of another type.

    >>> import torch
    >>> conv_transpose2d(torch.randn(8, 16, 16, 16), torch.randn(16, 3, 2, 2), stride=2).shape
    torch.Size([8, 3, 32, 32])
    """
    return _conv_transpose_nd(
        conv_transpose2d, 2, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """3-D transposed convolution, the adjoint of `conv3d`: each input element adds a weighted window to the output.

        y[n, c, stride * o + dilation * t - padding] += weight[i, c, t] * x[n, i, o]

    Source: *Understanding Deep Learning*, section 10.4; Dumoulin and Visin (2016), chapter 4. Same meaning as
    `torch.nn.functional.conv_transpose3d`, `groups` before `dilation` included.

    Args:
        input: (N, C_in, D, H, W), or without N.
        weight: (C_in, C_out / groups, kD, kH, kW).
        bias: (C_out,), added to each output channel.
        stride: steps from one window to the next, in elements of the output.
        padding: elements cut from both ends of each axis of the output.
        output_padding: elements added at the high end of each axis; less than stride or dilation.
        groups: channels are divided into this many groups that do not see each other.
        dilation: steps between the elements of a window.

    Returns:
        (N, C_out, D_out, H_out, W_out), with out = (in - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1.

    Raises:
        RuntimeError: for shapes, dtypes or numbers that do not fit together.
        TypeError: for arguments of another type.

    >>> import torch
    >>> conv_transpose3d(torch.randn(2, 4, 6, 14, 14), torch.randn(4, 1, 3, 3, 3), groups=4).shape
    torch.Size([2, 4, 8, 16, 16])
    """
    return _conv_transpose_nd(
        conv_transpose3d, 3, input, weight, bias, stride, padding, output_padding, groups, dilation
    )
