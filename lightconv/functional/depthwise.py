"""Depthwise convolution, in which each channel is a group of its own: one tap of all windows after the other.

Where a few channels lie last and windows next to each other, the last axis and the channels count as one long axis,
along which taps lie as many elements apart as there are channels: its runs are long enough to be fast.
"""

from typing import Any

import torch
from torch import Tensor

from lightconv.functional.dispatch import accumulation_dtype
from lightconv.functional.geometry import Sizes
from lightconv.functional.planes import channels_last
from lightconv.functional.windows import tap_slices, taps, windows


def is_depthwise(weight: Sizes, groups: int) -> bool:
    """Whether weights of this shape have one input and one output channel in each group."""
    return weight[0] == groups and weight[1] == 1


# channels enough for a run of their own
_MANY = 32


class _Walk:
    """How windows walk over tensors like `x`, with the channels as part of the last axis if that is better.

    Of `x` itself merge() is a view.
    """

    def __init__(self, x: Tensor, stride: Sizes, dilation: Sizes) -> None:
        self.channels, self.stride = x.shape[1], stride
        self.merged = channels_last(x) and stride[-1] == 1 and self.channels < _MANY
        self.dilation = (*dilation[:-1], dilation[-1] * self.channels) if self.merged else dilation

    def merge(self, x: Tensor) -> Tensor:
        """(N, C, *size, n) as (N, 1, *size, n * C), if so."""
        return x.movedim(1, -1).flatten(-2).unsqueeze(1) if self.merged else x

    def part(self, y: Tensor) -> Tensor:
        """And back."""
        return y.squeeze(1).unflatten(-1, (-1, self.channels)).movedim(-1, 1) if self.merged else y

    def weights(self, w: Tensor, out: int) -> list[Tensor]:
        """The weights of each tap, to be multiplied with what `out` windows along the last axis read."""
        each = w.flatten(1).t().contiguous().unbind()
        return [t.repeat(out) if self.merged else t.reshape(-1, *(1,) * (w.dim() - 2)) for t in each]


def _read(view: Tensor, tap: Sizes) -> Tensor:
    """What all windows read with a tap: (N, C, *out) of (N, C, *out, *kernel)."""
    index: Any = (..., *tap)
    return view[index]


def convolve(x: Tensor, w: Tensor, y: Tensor, stride: Sizes, dilation: Sizes) -> None:
    """Convolution of an input that is padded already, written to `y`."""
    kernel, exact = tuple(w.shape[2:]), accumulation_dtype(x.dtype)
    total = y if y.dtype == exact else torch.empty_like(y, dtype=exact)
    walk = _Walk(total, stride, dilation)
    view, to = windows(walk.merge(x.to(exact)), kernel, stride, walk.dilation), walk.merge(total).zero_()
    for tap, weight in zip(taps(kernel), walk.weights(w.to(exact), y.shape[-1]), strict=True):
        to.addcmul_(_read(view, tap), weight)
    if total is not y:
        y.copy_(total)


def spread(g: Tensor, w: Tensor, total: Tensor, stride: Sizes, dilation: Sizes) -> None:
    """Transposed convolution, added to a padded input."""
    out, exact, walk = tuple(g.shape[2:]), total.dtype, _Walk(total, stride, dilation)
    gradient, to = walk.merge(g.to(exact)), walk.merge(total)
    for tap, weight in zip(taps(tuple(w.shape[2:])), walk.weights(w.to(exact), out[-1]), strict=True):
        to[tap_slices(tap, tuple(gradient.shape[2:]), stride, walk.dilation)].addcmul_(gradient, weight)


def correlate(x: Tensor, g: Tensor, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Tensor:
    """Weight gradient, (C, 1, *kernel), for an input that is padded already."""
    exact, walk = accumulation_dtype(x.dtype), _Walk(x, stride, dilation)
    view, gradient = windows(walk.merge(x.to(exact)), kernel, stride, walk.dilation), walk.merge(g.to(exact))
    within = (0, *range(2, g.dim()))
    parts = [walk.part(_read(view, tap) * gradient).sum(within) for tap in taps(kernel)]
    return torch.stack(parts, 1).reshape(g.shape[1], 1, *kernel).to(x.dtype)
