"""Convolution and transposed convolution in any number of dimensions.

A convolution contracts the windows of its input with its weights. With input x (padded by zeros), weight w
and windows counted by o,

    y[n, c, o] = b[c] + sum over i, t of  w[c, i, t] * x[n, i, s * o + d * t]

where t runs over the kernel, s is the stride, d the dilation, and i runs over the input channels of the group
of c (*Understanding Deep Learning*, sections 10.2 and 10.3). Multiplied with an output-shaped g and summed,
this is one trilinear form of (x, w, g), and its three partial derivatives are all there is to compute:

- with respect to g: the convolution;
- with respect to x: the transposed convolution, which adds every window back to the place it was read from;
- with respect to w: the weight gradient.

Each is bilinear in the remaining two, so that the derivative of any of them is made of the other two, to any
order.
"""

from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from lightconv.functional.dispatch import Operation, accumulation_dtype, cast_for_autocast, piece_bytes
from lightconv.functional.geometry import (
    FLOATING,
    Sizes,
    batched,
    check_dtype,
    conv_output_size,
    conv_pads,
    conv_transpose_output_size,
    memory_format,
    new_empty,
    numel,
    show,
    to_groups,
    to_sizes,
    window_span,
)
from lightconv.functional.windows import overlap_add, padded_size, pieces, taps, windows, zero_pad

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


# --- the definition: windows, and their contraction ---------------------------------------------------------


def columns(x: Tensor, kernel: Sizes, stride: Sizes, dilation: Sizes, groups: int) -> Tensor:
    """Windows of (N, C, *size) as a matrix for each group: (groups, C / groups * kernel, N * out)."""
    axes = len(kernel)
    view = windows(x, kernel, stride, dilation)
    view = view.reshape(view.shape[0], groups, x.shape[1] // groups, *view.shape[2:])
    out = range(3, 3 + axes)
    within = range(3 + axes, 3 + 2 * axes)
    count = view.shape[0] * numel(view.shape[3 : 3 + axes])
    view = view.permute(1, 2, *within, 0, *out)
    return view.reshape(groups, (x.shape[1] // groups) * numel(kernel), count)


def add_columns(
    cols: Tensor, batch: int, out: Sizes, size: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes
) -> Tensor:
    """The adjoint of `columns`: every window's elements added to the places they were read from."""
    groups = cols.shape[0]
    channels = cols.shape[1] // numel(kernel)
    cols = cols.reshape(groups, channels, numel(kernel), batch, *out)
    shape = (groups, channels, batch)
    total = overlap_add(lambda t: cols.select(2, t), shape, out, size, kernel, stride, dilation)
    return total.reshape(groups * channels, batch, *size).transpose(0, 1)


def _channel_vector(bias: Tensor, axes: int) -> Tensor:
    return bias.reshape(-1, *(1,) * axes)


def _product(a: Tensor, b: Tensor) -> Tensor:
    # no matrix product of complex halves exists on a CPU
    if a.dtype == torch.complex32:
        return (a.to(torch.complex64) @ b.to(torch.complex64)).to(torch.complex32)
    return a @ b


def _is_depthwise(w: Tensor, groups: int) -> bool:
    """Whether each channel is a group of its own: then a matrix product would be one of vectors."""
    return w.shape[0] == groups and w.shape[1] == 1


def _element(view: Tensor, tap: Sizes) -> Tensor:
    """What all windows read with a tap: (N, C, *out) of (N, C, *out, *kernel)."""
    index: Any = (..., *tap)
    return view[index]


def _tap_weight(w: Tensor, tap: int) -> Tensor:
    """Weights of a depthwise convolution for one tap, to be multiplied with (N, C, *out)."""
    return _channel_vector(w.reshape(w.shape[0], numel(w.shape[2:])).select(1, tap), w.dim() - 2)


def _matrix(w: Tensor, groups: int) -> Tensor:
    """Weights as a matrix for each group: (groups, C_out / groups, C_in / groups * kernel)."""
    return w.reshape(groups, w.shape[0] // groups, numel(w.shape[1:]))


def _grouped(g: Tensor, groups: int) -> Tensor:
    """(N, C, *out) as a matrix for each group: (groups, C / groups, N * out)."""
    return g.transpose(0, 1).reshape(groups, g.shape[1] // groups, g.shape[0] * numel(g.shape[2:]))


def _convolve(x: Tensor, w: Tensor, stride: Sizes, dilation: Sizes, groups: int) -> Tensor:
    """Convolution of an input that is padded already."""
    kernel = tuple(w.shape[2:])
    if _is_depthwise(w, groups):
        exact = accumulation_dtype(x.dtype)
        view, weight = windows(x.to(exact), kernel, stride, dilation), w.to(exact)
        total = _element(view, (0,) * len(kernel)) * _tap_weight(weight, 0)
        for number, tap in enumerate(taps(kernel)):
            if number:
                total += _element(view, tap) * _tap_weight(weight, number)
        return total.to(x.dtype)
    out = conv_output_size(tuple(x.shape[2:]), kernel, stride, (0,) * (2 * len(kernel)), dilation)
    y = _product(_matrix(w, groups), columns(x, kernel, stride, dilation, groups))
    return y.reshape(w.shape[0], x.shape[0], *out).transpose(0, 1)


def _spread(g: Tensor, w: Tensor, size: Sizes, stride: Sizes, dilation: Sizes, groups: int) -> Tensor:
    """Transposed convolution onto a padded input of `size`."""
    kernel = tuple(w.shape[2:])
    if _is_depthwise(w, groups):
        exact = accumulation_dtype(g.dtype)
        gradient, weight = g.to(exact), w.to(exact)
        shape, out = (g.shape[0], g.shape[1]), tuple(g.shape[2:])

        def part(number: int) -> Tensor:
            return gradient * _tap_weight(weight, number)

        return overlap_add(part, shape, out, size, kernel, stride, dilation)
    cols = _product(_matrix(w, groups).transpose(1, 2), _grouped(g, groups))
    cols = cols.to(accumulation_dtype(g.dtype))
    return add_columns(cols, g.shape[0], tuple(g.shape[2:]), size, kernel, stride, dilation)


def _correlate(x: Tensor, g: Tensor, kernel: Sizes, stride: Sizes, dilation: Sizes, groups: int) -> Tensor:
    """Weight gradient for an input that is padded already: (C_out, C_in / groups, *kernel)."""
    if x.shape[1] == g.shape[1] == groups:
        exact = accumulation_dtype(x.dtype)
        view, gradient = windows(x.to(exact), kernel, stride, dilation), g.to(exact)
        parts = [bias_gradient(_element(view, tap) * gradient) for tap in taps(kernel)]
        return torch.stack(parts, 1).reshape(groups, 1, *kernel).to(x.dtype)
    cols = columns(x, kernel, stride, dilation, groups)
    w = _product(_grouped(g, groups), cols.transpose(1, 2))
    return w.reshape(g.shape[1], x.shape[1] // groups, *kernel)


# --- the same, piece by piece --------------------------------------------------------------------------------


def _conv_definition(
    x: Tensor, w: Tensor, b: Tensor | None, stride: Sizes, pads: Sizes, dilation: Sizes, groups: int
) -> Tensor:
    y = _convolve(zero_pad(x, pads), w, stride, dilation, groups)
    return y if b is None else y + _channel_vector(b, len(stride))


def _conv_shape(
    x: Tensor, w: Tensor, b: Tensor | None, stride: Sizes, pads: Sizes, dilation: Sizes, groups: int
) -> Tensor:
    out = conv_output_size(tuple(x.shape[2:]), tuple(w.shape[2:]), stride, pads, dilation)
    return new_empty(x, (x.shape[0], w.shape[0], *out), memory_format(x, w))


def _conv_run(
    x: Tensor, w: Tensor, b: Tensor | None, stride: Sizes, pads: Sizes, dilation: Sizes, groups: int
) -> Tensor:
    y = _conv_shape(x, w, b, stride, pads, dilation, groups)
    kernel = tuple(w.shape[2:])
    size = padded_size(tuple(x.shape[2:]), pads)
    cost = x.shape[1] * numel(kernel) * x.element_size()
    for samples, rows, read in pieces(tuple(y.shape), size, kernel, stride, dilation, cost, piece_bytes(x)):
        piece = zero_pad(x[samples], pads)[:, :, read]
        y[samples, :, rows] = _convolve(piece, w, stride, dilation, groups)
    return y if b is None else y.add_(_channel_vector(b, len(stride)))


def _conv_aten(
    x: Tensor, w: Tensor, b: Tensor | None, stride: Sizes, pads: Sizes, dilation: Sizes, groups: int
) -> Tensor:
    axes = len(stride)
    low, high = pads[:axes], pads[axes:]
    if low != high:
        x, low = zero_pad(x, pads), (0,) * axes
    return torch.convolution(x, w, b, stride, low, dilation, False, (0,) * axes, groups)


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
    return y if b is None else y + _channel_vector(b, len(stride))


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


def _transpose_run(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    stride: Sizes,
    pads: Sizes,
    dilation: Sizes,
    groups: int,
    output_padding: Sizes,
) -> Tensor:
    y = _transpose_shape(x, w, b, stride, pads, dilation, groups, output_padding)
    axes = len(stride)
    kernel = tuple(w.shape[2:])
    size = padded_size(tuple(y.shape[2:]), pads)
    crop = tuple(-p for p in pads)
    cost = y.shape[1] * numel(kernel) * x.element_size()
    total = y
    for samples, rows, read in pieces(tuple(x.shape), size, kernel, stride, dilation, cost, piece_bytes(x)):
        if rows.start == 0:  # overlapping rows of one sample add up before they are rounded to y's dtype
            count = samples.stop - samples.start
            total = x.new_zeros((count, y.shape[1], *size), dtype=accumulation_dtype(x.dtype))
        piece = (read.stop - read.start, *size[1:])
        total[:, :, read] += _spread(x[samples, :, rows], w, piece, stride, dilation, groups)
        if rows.stop == x.shape[2]:
            y[samples] = zero_pad(total, crop)
    if x.numel() == 0:
        y.zero_()
    return y if b is None else y.add_(_channel_vector(b, axes))


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
    return zero_pad(y, (*(-p for p in low), *extra)) + _channel_vector(b, axes)


def _weight_definition(
    x: Tensor, g: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, groups: int
) -> Tensor:
    return _correlate(_used(zero_pad(x, pads), g, kernel, stride, dilation), g, kernel, stride, dilation, groups)


def _used(x: Tensor, g: Tensor, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Tensor:
    """The part of the padded input that the windows belonging to `g` read."""
    for axis, (n, s, e) in enumerate(zip(g.shape[2:], stride, window_span(kernel, dilation), strict=True), 2):
        x = x.narrow(axis, 0, (n - 1) * s + e)
    return x


def _weight_shape(
    x: Tensor, g: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, groups: int
) -> Tensor:
    return x.new_empty((g.shape[1], x.shape[1] // groups, *kernel))


def _weight_run(
    x: Tensor, g: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, groups: int
) -> Tensor:
    shape = (g.shape[1], x.shape[1] // groups, *kernel)
    total = x.new_zeros(shape, dtype=accumulation_dtype(x.dtype))
    size = padded_size(tuple(x.shape[2:]), pads)
    cost = x.shape[1] * numel(kernel) * x.element_size()
    for samples, rows, read in pieces(tuple(g.shape), size, kernel, stride, dilation, cost, piece_bytes(x)):
        piece = zero_pad(x[samples], pads)[:, :, read]
        part = g[samples, :, rows]
        total += _correlate(_used(piece, part, kernel, stride, dilation), part, kernel, stride, dilation, groups)
    return total.to(x.dtype)


# --- derivatives ------------------------------------------------------------------------------------------------


def _conj(tensor: Tensor) -> Tensor:
    return tensor.conj() if tensor.is_complex() else tensor


def bias_gradient(g: Tensor) -> Tensor:
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
    run=_conv_run,
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
    run=_transpose_run,
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
    run=_weight_run,
    save=_save_pair,
    gradient=_weight_gradient,
)


# --- the public functions ----------------------------------------------------------------------------------------


def _check_conv(name: str, x: Tensor, w: Tensor, b: Tensor | None, axes: int, groups: int, transposed: bool) -> None:
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


_DTYPES = (*FLOATING, torch.complex128, torch.complex64, torch.complex32, torch.int64)
_UNDILATED_DTYPES = (*_DTYPES, torch.int32, torch.int16, torch.int8, torch.uint8)


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
    _check_conv(name, x, w, b, axes, groups, transposed=False)
    kernel = tuple(w.shape[2:])
    strides = to_sizes(stride, axes, "stride", least=1)
    dilations = to_sizes(dilation, axes, "dilation", least=1)
    check_dtype(x, name, _UNDILATED_DTYPES if dilations == (1,) * axes else _DTYPES)
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
    _check_conv(name, x, w, b, axes, groups, transposed=True)
    strides = to_sizes(stride, axes, "stride", least=1)
    dilations = to_sizes(dilation, axes, "dilation", least=1)
    check_dtype(x, name, _DTYPES)
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

    >>> x = torch.tensor([[[1.0, 2.0]]])
    >>> conv_transpose1d(x, torch.tensor([[[1.0, 10.0, 100.0]]]), stride=2)
    tensor([[[  1.,  10., 102.,  20., 200.]]])
    """
    return _conv_transpose_nd(
        conv_transpose1d, 1, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


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

    >>> conv_transpose2d(torch.randn(8, 16, 16, 16), torch.randn(16, 3, 2, 2), stride=2).shape
    torch.Size([8, 3, 32, 32])
    """
    return _conv_transpose_nd(
        conv_transpose2d, 2, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


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

    >>> conv_transpose3d(torch.randn(2, 4, 6, 14, 14), torch.randn(4, 1, 3, 3, 3), groups=4).shape
    torch.Size([2, 4, 8, 16, 16])
    """
    return _conv_transpose_nd(
        conv_transpose3d, 3, input, weight, bias, stride, padding, output_padding, groups, dilation
    )
