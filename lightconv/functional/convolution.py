"""What a convolution is: its definition, and its derivatives.

A convolution contracts the windows of its input with its weights. With input x (padded by zeros), weight w
and windows counted by o,

    y[n, k, o] = b[k] + sum over i, t of  w[k, i, t] * x[n, i, s * o + d * t]

where t runs over the kernel, s is the stride, d the dilation, and i runs over the input channels of the group
of k (*Understanding Deep Learning*, sections 10.2 and 10.3). Multiplied with an output-shaped g and summed,
this is one trilinear form of (x, w, g), and its three partial derivatives are all there is to compute:

- with respect to g: the convolution;
- with respect to x: the transposed convolution, which adds every window back to the place it was read from;
- with respect to w: the weight gradient.

Each is bilinear in the remaining two, so that the derivative of any of them is made of the other two, to any
order. `lightconv.functional.columns` computes the same in pieces, as matrix products.
"""

from typing import Any

import torch
from torch import Tensor

from lightconv.functional import columns
from lightconv.functional.columns import channel_vector
from lightconv.functional.contraction import contract
from lightconv.functional.dispatch import Operation, accumulation_dtype
from lightconv.functional.geometry import (
    Sizes,
    conv_output_size,
    conv_transpose_output_size,
    memory_format,
    new_empty,
    numel,
)
from lightconv.functional.windows import overlap_add, padded_size, windows, zero_pad

# --- the definition: windows, and their contraction ---------------------------------------------------------


def _convolve(x: Tensor, w: Tensor, stride: Sizes, dilation: Sizes, groups: int) -> Tensor:
    """The windows of x, weighted and summed."""
    view = _by_group(windows(x, tuple(w.shape[2:]), stride, dilation), 1, groups)
    return _joined(_contract("ngiOT, gkiT -> ngkO", view, _by_group(w, 0, groups)), 1)


def _spread(g: Tensor, w: Tensor, size: Sizes, stride: Sizes, dilation: Sizes, groups: int) -> Tensor:
    """Each element of g as a weighted window, added to the places in a padded input of `size` that it would read."""
    out, kernel = tuple(g.shape[2:]), tuple(w.shape[2:])
    parts = _contract("ngkO, gkiT -> TngiO", _by_group(g, 1, groups), _by_group(w, 0, groups))
    lead = (g.shape[0], w.shape[1] * groups)
    parts = parts.reshape(numel(kernel), *lead, *out).to(accumulation_dtype(g.dtype))
    return overlap_add(lambda tap: parts[tap], lead, out, size, kernel, stride, dilation)


def _correlate(x: Tensor, g: Tensor, kernel: Sizes, stride: Sizes, dilation: Sizes, groups: int) -> Tensor:
    """The windows of x, weighted by g and summed over all places: the gradient of the weights."""
    view = _by_group(windows(x, kernel, stride, dilation), 1, groups)
    return _joined(_contract("ngiOT, ngkO -> gkiT", view, _by_group(g, 1, groups)), 0)


def _by_group(tensor: Tensor, axis: int, groups: int) -> Tensor:
    """The channels along an axis as (groups, channels of each)."""
    shape = tensor.shape
    return tensor.reshape(*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])


def _joined(tensor: Tensor, axis: int) -> Tensor:
    """And back."""
    shape = tensor.shape
    return tensor.reshape(*shape[:axis], shape[axis] * shape[axis + 1], *shape[axis + 2 :])


def _contract(equation: str, a: Tensor, b: Tensor) -> Tensor:
    """Einstein's sum, in which O stands for all axes of windows and T for all axes of the kernel."""
    axes = (a.dim() - 3) // (2 if "OT" in equation else 1)
    return contract(equation.replace("O", "opq"[:axes]).replace("T", "tuv"[:axes]), a, b)


def _conv_definition(
    x: Tensor, w: Tensor, b: Tensor | None, stride: Sizes, pads: Sizes, dilation: Sizes, groups: int
) -> Tensor:
    y = _convolve(zero_pad(x, pads), w, stride, dilation, groups)
    return y if b is None else y + channel_vector(b, len(stride))


def _transpose_definition(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    stride: Sizes,
    pads: Sizes,
    dilation: Sizes,
    groups: int,
    output_padding: Sizes,
) -> Tensor:
    kernel = tuple(w.shape[2:])
    out = conv_transpose_output_size(tuple(x.shape[2:]), kernel, stride, pads, dilation, output_padding)
    y = _spread(x, w, padded_size(out, pads), stride, dilation, groups)
    y = zero_pad(y, tuple(-p for p in pads)).to(x.dtype)
    return y if b is None else y + channel_vector(b, len(stride))


def _weight_definition(
    x: Tensor, g: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, groups: int
) -> Tensor:
    read = columns.read_by(zero_pad(x, pads), g, kernel, stride, dilation)
    return _correlate(read, g, kernel, stride, dilation, groups)


# --- shapes, and torch's own operators ----------------------------------------------------------------------


def _conv_shape(
    x: Tensor, w: Tensor, b: Tensor | None, stride: Sizes, pads: Sizes, dilation: Sizes, groups: int
) -> Tensor:
    out = conv_output_size(tuple(x.shape[2:]), tuple(w.shape[2:]), stride, pads, dilation)
    return new_empty(x, (x.shape[0], w.shape[0], *out), memory_format(x, w))


def _conv_aten(
    x: Tensor, w: Tensor, b: Tensor | None, stride: Sizes, pads: Sizes, dilation: Sizes, groups: int
) -> Tensor:
    axes = len(stride)
    low, high = pads[:axes], pads[axes:]
    if low != high:
        x, low = zero_pad(x, pads), (0,) * axes
    return torch.convolution(x, w, b, stride, low, dilation, False, (0,) * axes, groups)


def _transpose_shape(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    stride: Sizes,
    pads: Sizes,
    dilation: Sizes,
    groups: int,
    output_padding: Sizes,
) -> Tensor:
    kernel = tuple(w.shape[2:])
    out = conv_transpose_output_size(tuple(x.shape[2:]), kernel, stride, pads, dilation, output_padding)
    layout = memory_format(x, w)
    return new_empty(x, (x.shape[0], w.shape[1] * groups, *out), layout)


def _transpose_aten(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    stride: Sizes,
    pads: Sizes,
    dilation: Sizes,
    groups: int,
    output_padding: Sizes,
) -> Tensor:
    axes = len(stride)
    low, high = pads[:axes], pads[axes:]
    if low == high and all(p < max(s, d) for p, s, d in zip(output_padding, stride, dilation, strict=True)):
        return torch.convolution(x, w, b, stride, low, dilation, True, output_padding, groups)
    y = torch.convolution(x, w, b, stride, (0,) * axes, dilation, True, (0,) * axes, groups)
    extra = tuple(p - h for p, h in zip(output_padding, high, strict=True))
    if b is None or max(extra) <= 0:
        return zero_pad(y, (*(-p for p in low), *extra))
    y = torch.convolution(x, w, None, stride, (0,) * axes, dilation, True, (0,) * axes, groups)
    return zero_pad(y, (*(-p for p in low), *extra)) + channel_vector(b, axes)


def _weight_shape(
    x: Tensor, g: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, groups: int
) -> Tensor:
    return x.new_empty((g.shape[1], x.shape[1] // groups, *kernel))


# --- derivatives ------------------------------------------------------------------------------------------------


def _conj(tensor: Tensor) -> Tensor:
    return tensor.conj() if tensor.is_complex() else tensor


def bias_gradient(g: Tensor) -> Tensor:
    """The sum of each output channel."""
    exact = g.to(torch.complex64) if g.dtype == torch.complex32 else g  # which has no sum on a CPU
    return exact.sum(dim=(0, *range(2, g.dim()))).to(g.dtype)


def output_padding_for(size: Sizes, out: Sizes, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes) -> Sizes:
    """The output padding that makes a transposed convolution of `out` give exactly `size`."""
    least = conv_transpose_output_size(out, kernel, stride, pads, dilation, (0,) * len(out))
    return tuple(n - m for n, m in zip(size, least, strict=True))


def _save_pair(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    first, second, *ctx.geometry = inputs
    ctx.save_for_backward(first, second)


def _conv_gradient(ctx: Any, g: Tensor) -> tuple[Any, ...]:
    x, w = ctx.saved_tensors
    _, stride, pads, dilation, groups = ctx.geometry
    kernel = tuple(w.shape[2:])
    grads: list[Any] = [None] * 7
    if ctx.needs_input_grad[0]:
        rest = output_padding_for(tuple(x.shape[2:]), tuple(g.shape[2:]), kernel, stride, pads, dilation)
        grads[0] = conv_transpose(g, _conj(w), None, stride, pads, dilation, groups, rest)
    if ctx.needs_input_grad[1]:
        grads[1] = conv_weight(_conj(x), g, kernel, stride, pads, dilation, groups)
    if ctx.needs_input_grad[2]:
        grads[2] = bias_gradient(g)
    return tuple(grads)


def _transpose_gradient(ctx: Any, g: Tensor) -> tuple[Any, ...]:
    x, w = ctx.saved_tensors
    _, stride, pads, dilation, groups, output_padding = ctx.geometry
    grads: list[Any] = [None] * 8
    pads = _without_spare_windows(pads, output_padding, stride)
    if ctx.needs_input_grad[0]:
        grads[0] = conv(g, _conj(w), None, stride, pads, dilation, groups)
    if ctx.needs_input_grad[1]:
        grads[1] = conv_weight(g, _conj(x), tuple(w.shape[2:]), stride, pads, dilation, groups)
    if ctx.needs_input_grad[2]:
        grads[2] = bias_gradient(g)
    return tuple(grads)


def _without_spare_windows(pads: Sizes, output_padding: Sizes, stride: Sizes) -> Sizes:
    """Pads less the output padding that would be room for another window (it can be where dilation > stride)."""
    axes = len(stride)
    spare = tuple(p // s * s for p, s in zip(output_padding, stride, strict=True))
    return (*pads[:axes], *(high - more for high, more in zip(pads[axes:], spare, strict=True)))


def _weight_gradient(ctx: Any, h: Tensor) -> tuple[Any, ...]:
    x, g = ctx.saved_tensors
    kernel, stride, pads, dilation, groups = ctx.geometry
    grads: list[Any] = [None] * 7
    if ctx.needs_input_grad[0]:
        rest = output_padding_for(tuple(x.shape[2:]), tuple(g.shape[2:]), tuple(kernel), stride, pads, dilation)
        grads[0] = conv_transpose(_conj(g), h, None, stride, pads, dilation, groups, rest)
    if ctx.needs_input_grad[1]:
        grads[1] = conv(_conj(x), h, None, stride, pads, dilation, groups)
    return tuple(grads)


conv = Operation(
    "conv",
    "(Tensor input, Tensor weight, Tensor? bias, SymInt[] stride, SymInt[] pads, SymInt[] dilation, "
    "SymInt groups) -> Tensor",
    definition=_conv_definition,
    shape=_conv_shape,
    run=columns.conv,
    save=_save_pair,
    gradient=_conv_gradient,
    aten=_conv_aten,
)

conv_transpose = Operation(
    "conv_transpose",
    "(Tensor input, Tensor weight, Tensor? bias, SymInt[] stride, SymInt[] pads, SymInt[] dilation, "
    "SymInt groups, SymInt[] output_padding) -> Tensor",
    definition=_transpose_definition,
    shape=_transpose_shape,
    run=columns.conv_transpose,
    save=_save_pair,
    gradient=_transpose_gradient,
    aten=_transpose_aten,
)

conv_weight = Operation(
    "conv_weight",
    "(Tensor input, Tensor grad, SymInt[] kernel, SymInt[] stride, SymInt[] pads, SymInt[] dilation, "
    "SymInt groups) -> Tensor",
    definition=_weight_definition,
    shape=_weight_shape,
    run=columns.conv_weight,
    save=_save_pair,
    gradient=_weight_gradient,
)
