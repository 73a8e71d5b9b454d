"""How a convolution is computed in PyTorch's operations: as products of matrices, a piece at a time.

All windows of a piece are copied into the columns of a matrix, as `unfold` does; the rows of another are weights. A
piece is as large as a core's cache can hold. Where channels lie last, the matrices lie the other way round, so that
runs of channels are copied as they are and results need not be turned. The matrices of depthwise convolutions would be
vectors; these have a file of their own.
"""

import torch
from torch import Tensor

from lightconv.functional import depthwise
from lightconv.functional.depthwise import is_depthwise
from lightconv.functional.dispatch import accumulation_dtype, piece_bytes
from lightconv.functional.geometry import (
    Sizes,
    conv_output_size,
    conv_transpose_output_size,
    memory_format,
    new_empty,
    numel,
    window_span,
)
from lightconv.functional.planes import channels_last
from lightconv.functional.windows import padded_rows, padded_size, pieces, tap_slices, taps, windows, zero_pad

# --- a piece as matrices -----------------------------------------------------------------------------------


def _columns(x: Tensor, kernel: Sizes, stride: Sizes, dilation: Sizes, groups: int) -> Tensor:
    """Windows of (N, C, *size) as a matrix for each group: (groups, elements, N * out)."""
    axes, channels = len(kernel), x.shape[1] // groups
    view = windows(x, kernel, stride, dilation)
    view = view.view(view.shape[0], groups, channels, *view.shape[2:])
    out, within = range(3, 3 + axes), range(3 + axes, 3 + 2 * axes)
    count, elements = view.shape[0] * numel(view.shape[3 : 3 + axes]), channels * numel(kernel)
    if channels_last(x):
        return view.permute(1, 0, *out, *within, 2).reshape(groups, count, elements).mT
    return view.permute(1, 2, *within, 0, *out).reshape(groups, elements, count)


def _weights(w: Tensor, groups: int, last: bool) -> Tensor:
    """Weights as a matrix for each group: (groups, C_out / groups, elements)."""
    elements = w.movedim(1, -1) if last else w
    return elements.reshape(groups, w.shape[0] // groups, numel(w.shape[1:]))


def _from_weights(matrix: Tensor, kernel: Sizes, last: bool) -> Tensor:
    """And back: (C_out, C_in / groups, *kernel)."""
    channels = matrix.shape[2] // max(1, numel(kernel))
    rows = matrix.flatten(0, 1)
    return rows.unflatten(1, (*kernel, channels)).movedim(-1, 1) if last else rows.unflatten(1, (channels, *kernel))


def _grouped(g: Tensor, groups: int, last: bool) -> Tensor:
    """(N, C, *out) as a matrix for each group: (groups, C / groups, N * out)."""
    channels, count = g.shape[1] // groups, g.shape[0] * numel(g.shape[2:])
    if last:
        return g.movedim(1, -1).reshape(count, groups, channels).permute(1, 2, 0)
    return g.transpose(0, 1).reshape(groups, channels, count)


def _ungrouped(y: Tensor, batch: int, out: Sizes, last: bool) -> Tensor:
    """And back."""
    if last:
        return y.permute(2, 0, 1).reshape(batch, *out, y.shape[0] * y.shape[1]).movedim(-1, 1)
    return y.reshape(y.shape[0] * y.shape[1], batch, *out).transpose(0, 1)


def _product(a: Tensor, b: Tensor, last: bool = False) -> Tensor:
    if a.dtype == torch.complex32:  # which has no products on a CPU
        return (a.to(torch.complex64) @ b.to(torch.complex64)).to(a.dtype)
    return (b.mT @ a.mT).mT if last else a @ b


# --- the three products of a piece ----------------------------------------------------------------------------


def _convolve(x: Tensor, w: Tensor, stride: Sizes, dilation: Sizes, groups: int) -> Tensor:
    """Convolution of an input that is padded already."""
    kernel = tuple(w.shape[2:])
    out = conv_output_size(tuple(x.shape[2:]), kernel, stride, (0,) * (2 * len(kernel)), dilation)
    last = channels_last(x)
    y = _product(_weights(w, groups, last), _columns(x, kernel, stride, dilation, groups), last)
    return _ungrouped(y, x.shape[0], out, last)


def _spread(g: Tensor, w: Tensor, total: Tensor, stride: Sizes, dilation: Sizes, groups: int) -> None:
    """Transposed convolution, added to a padded input."""
    if is_depthwise(w.shape, groups):
        return depthwise.spread(g, w, total, stride, dilation)
    kernel, out, last = tuple(w.shape[2:]), tuple(g.shape[2:]), channels_last(g)
    cols = _product(_weights(w, groups, last).mT, _grouped(g, groups, last), last).to(total.dtype)
    # (groups, taps, channels, N * out)
    parts = cols.unflatten(1, (numel(kernel), w.shape[1])) if last else cols.unflatten(1, (w.shape[1], numel(kernel)))
    for tap, part in zip(taps(kernel), parts.unbind(1 if last else 2), strict=True):
        total[tap_slices(tap, out, stride, dilation)] += _ungrouped(part, g.shape[0], out, last)


def _correlate(x: Tensor, g: Tensor, kernel: Sizes, stride: Sizes, dilation: Sizes, groups: int) -> Tensor:
    """Weight gradient for an input that is padded already: (C_out, C_in / groups, *kernel)."""
    if is_depthwise((g.shape[1], x.shape[1] // groups), groups):
        return depthwise.correlate(x, g, kernel, stride, dilation)
    last = channels_last(x)
    cols = _columns(x, kernel, stride, dilation, groups)
    return _from_weights(_product(_grouped(g, groups, last), cols.mT), kernel, last)


def read_by(x: Tensor, g: Tensor, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Tensor:
    """The part of the padded input that the windows belonging to `g` read."""
    for axis, (n, s, e) in enumerate(zip(g.shape[2:], stride, window_span(kernel, dilation), strict=True), 2):
        x = x.narrow(axis, 0, (n - 1) * s + e)
    return x


def _cost(x: Tensor, weight: Sizes, groups: int) -> int:
    """Bytes of what lies between for each place of the output, which reads or writes windows of x."""
    copies = 3 if is_depthwise(weight, groups) else numel(weight[2:])
    return x.shape[1] * copies * x.element_size()


# --- all pieces ----------------------------------------------------------------------------------------------


def channel_vector(bias: Tensor, axes: int) -> Tensor:
    """One number for each channel, to be added to (N, C, *size) of so many axes."""
    return bias.reshape(-1, *(1,) * axes)


def conv(x: Tensor, w: Tensor, b: Tensor | None, stride: Sizes, pads: Sizes, dilation: Sizes, groups: int) -> Tensor:
    """The convolution, without autograd."""
    kernel, whole = tuple(w.shape[2:]), padded_size(tuple(x.shape[2:]), pads)
    out = conv_output_size(tuple(x.shape[2:]), kernel, stride, pads, dilation)
    order, cost, limit = memory_format(x, w), _cost(x, w.shape, groups), piece_bytes(x)
    each = is_depthwise(w.shape, groups)
    if x.shape[0] * numel(out) * cost <= limit and not each:
        y = _convolve(zero_pad(x, pads), w, stride, dilation, groups).contiguous(memory_format=order)
    else:
        y = new_empty(x, (x.shape[0], w.shape[0], *out), order)
        for samples, rows, read in pieces(tuple(y.shape), whole, kernel, stride, dilation, cost, limit):
            piece, part = padded_rows(x[samples], pads, read), y[samples, :, rows]
            if each:
                depthwise.convolve(piece, w, part, stride, dilation)
            else:
                part.copy_(_convolve(piece, w, stride, dilation, groups))
    return y if b is None else y.add_(channel_vector(b, len(stride)))


def conv_transpose(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    stride: Sizes,
    pads: Sizes,
    dilation: Sizes,
    groups: int,
    output_padding: Sizes,
) -> Tensor:
    """The transposed convolution, without autograd."""
    kernel = tuple(w.shape[2:])
    out = conv_transpose_output_size(tuple(x.shape[2:]), kernel, stride, pads, dilation, output_padding)
    y = new_empty(x, (x.shape[0], w.shape[1] * groups, *out), memory_format(x, w))
    size = padded_size(out, pads)
    crop = tuple(-p for p in pads)
    cost = _cost(y, w.shape, groups)
    total = y
    for samples, rows, read in pieces(tuple(x.shape), size, kernel, stride, dilation, cost, piece_bytes(x)):
        if rows.start == 0:  # overlapping rows of one sample add up before they are rounded to y's dtype
            total = new_empty(y, (samples.stop - samples.start, y.shape[1], *size), memory_format(y))
            total = total.to(accumulation_dtype(x.dtype)).zero_()
        _spread(x[samples, :, rows], w, total[:, :, read], stride, dilation, groups)
        if rows.stop == x.shape[2]:
            y[samples] = zero_pad(total, crop)
    if x.numel() == 0:
        y.zero_()
    return y if b is None else y.add_(channel_vector(b, len(stride)))


def conv_weight(
    x: Tensor, g: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, groups: int
) -> Tensor:
    """The weight gradient, without autograd."""
    shape = (g.shape[1], x.shape[1] // groups, *kernel)
    total = x.new_zeros(shape, dtype=accumulation_dtype(x.dtype))
    size = padded_size(tuple(x.shape[2:]), pads)
    cost = _cost(x, shape, groups)
    for samples, rows, read in pieces(tuple(g.shape), size, kernel, stride, dilation, cost, piece_bytes(x)):
        piece = padded_rows(x[samples], pads, read)
        part = g[samples, :, rows]
        total += _correlate(read_by(piece, part, kernel, stride, dilation), part, kernel, stride, dilation, groups)
    return total.to(x.dtype)
