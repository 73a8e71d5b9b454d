"""Windows of a tensor and the way back: what convolution, pooling and folding have in common.

A kernel element is called a tap. All windows read with tap t a strided slice of the input, x[s * o + d * t]; the
taps are numbered in row order.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from lightconv.functional.dispatch import transforming
from lightconv.functional.geometry import Sizes, memory_format, new_empty, numel, tiles, window_span


def zero_pad(x: Tensor, pads: Sizes, value: float = 0) -> Tensor:
    """(N, C, *size) with zeros (or `value`) around; negative pads crop. `pads`: all low ends, then all high ends."""
    if not any(pads):
        return x
    axes = len(pads) // 2
    order = [p for axis in reversed(range(axes)) for p in (pads[axis], pads[axes + axis])]
    return torch.constant_pad_nd(x, order, value)


def padded_rows(x: Tensor, pads: Sizes, rows: slice) -> Tensor:
    """Some rows (along the first spatial axis) of `zero_pad(x, pads)`, of which nothing else is made."""
    axes, size = len(pads) // 2, x.shape[2]
    start, stop = (min(max(place - pads[0], 0), size) for place in (rows.start, rows.stop))
    low = min(max(pads[0] - rows.start, 0), rows.stop - rows.start)
    high = rows.stop - rows.start - low - (stop - start)
    return zero_pad(x.narrow(2, start, stop - start), (low, *pads[1:axes], high, *pads[axes + 1 :]))


def padded_size(size: Sizes, pads: Sizes) -> Sizes:
    """`size` with `pads` around it."""
    axes = len(size)
    return tuple(size[i] + pads[i] + pads[axes + i] for i in range(axes))


def windows(x: Tensor, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Tensor:
    """View of (N, C, *size) as (N, C, *out, *kernel): element (o, t) is x[s * o + d * t]."""
    for axis, (span, s, d) in enumerate(zip(window_span(kernel, dilation), stride, dilation, strict=True), 2):
        x = x.unfold(axis, span, s)
        if d != 1:
            x = x[..., ::d]
    return x


def taps(kernel: Sizes) -> Iterator[Sizes]:
    """Coordinates of the kernel's elements in row order.

    >>> list(taps((1, 2)))
    [(0, 0), (0, 1)]
    """
    for tap in range(numel(kernel)):
        place = []
        for k in reversed(kernel):
            tap, t = divmod(tap, k)
            place.append(t)
        yield tuple(reversed(place))


def tap_slices(tap: Sizes, out: Sizes, stride: Sizes, dilation: Sizes) -> tuple[Any, ...]:
    """Index of the elements of (..., *size) that the windows `out` read with `tap`."""
    places = zip(tap, out, stride, dilation, strict=True)
    return (..., *(slice(d * t, d * t + s * (n - 1) + 1, s) if n else slice(0, 0) for t, n, s, d in places))


def overlap_add(
    part: Callable[[int], Tensor],
    shape: Sizes,
    out: Sizes,
    size: Sizes,
    kernel: Sizes,
    stride: Sizes,
    dilation: Sizes,
    layout: torch.memory_format | None = None,
) -> Tensor:
    """The adjoint of reading windows: `part(t)`, (*shape, *out), added to the places that tap t reads.

    Returns (*shape, *size), in the layout of the parts if none is given. One tap after the other, hence
    deterministic on every device.
    """
    disjoint = all(s >= e for s, e in zip(stride, window_span(kernel, dilation), strict=True))
    total: Tensor | None = None
    for number, tap in enumerate(taps(kernel)):
        piece = part(number)
        if transforming():
            placed = _place(piece, tap, out, size, stride, dilation)
            total = placed if total is None else total + placed
        else:
            if total is None:
                layout = layout or memory_format(piece)
                total = new_empty(piece, (*shape, *size), layout).zero_()
            if disjoint:
                total[tap_slices(tap, out, stride, dilation)] = piece
            else:
                total[tap_slices(tap, out, stride, dilation)] += piece
    assert total is not None
    return total


def _place(piece: Tensor, tap: Sizes, out: Sizes, size: Sizes, stride: Sizes, dilation: Sizes) -> Tensor:
    """`piece` at the places that `tap` reads, zeros elsewhere, without writing into a tensor."""
    axes = len(out)
    lead = piece.dim() - axes
    for i, (n, s) in enumerate(zip(out, stride, strict=True)):
        if s != 1:
            spread = torch.constant_pad_nd(piece.unsqueeze(lead + i + 1), [0, 0] * (axes - 1 - i) + [0, s - 1])
            piece = spread.reshape(*piece.shape[: lead + i], n * s, *piece.shape[lead + i + 1 :])
    order = []
    for t, n, m, s, d in reversed(list(zip(tap, out, size, stride, dilation, strict=True))):
        order += [d * t, m - d * t - n * s]
    return torch.constant_pad_nd(piece, order)


def pieces(
    out_shape: Sizes, size: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes, bytes_per_output: int, limit: int
) -> Iterator[tuple[slice, slice, slice]]:
    """Cut work on (N, C, *out) so that each piece is within `limit` at `bytes_per_output` for N * out.

    Yields slices of the batch, of the first spatial axis of the output, and of the first spatial axis of the
    padded input, of size `size`, that these rows read.
    """
    bytes_per_row = bytes_per_output * numel(out_shape[3:])
    span = window_span(kernel, dilation)[0]
    for samples, rows in tiles(out_shape[0], out_shape[2], bytes_per_row, limit):
        whole = rows.start == 0 and rows.stop == out_shape[2]
        read = slice(0, size[0]) if whole else slice(rows.start * stride[0], (rows.stop - 1) * stride[0] + span)
        yield samples, rows, read
