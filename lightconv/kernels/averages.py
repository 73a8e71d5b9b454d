"""Average pooling and its gradient, in 1-D to 3-D, float32: a matrix of ones along each axis, and a division.

Windows of 2 x 2 side by side, and those that are whole planes, have kernels of their own.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightconv.functional.geometry import Sizes, pool_output_size
from lightconv.kernels.library import Integers, function, layout, usable
from lightconv.kernels.pooling import geometry
from lightconv.kernels.resampling import Matrices, resample

# fewer windows than lanes of the widest vectors are worked on one by one
_LANES = 16
# a kernel by itself and what it is told, or matrices
_How = tuple[str, Integers] | Matrices


@dataclass
class _Windows:
    """The windows of one axis as a matrix; see `Matrices`."""

    size: int
    index: np.ndarray
    weight: np.ndarray
    count: np.ndarray

    @classmethod
    def between(cls, size: int, low: np.ndarray, high: np.ndarray, weights: np.ndarray | None = None) -> "_Windows":
        """Windows from `low` to `high`, the end not included, of an axis of `size` elements."""
        low, high = np.clip(low, 0, size), np.clip(high, 0, size)
        count = np.maximum(high - low, 0)
        index = np.minimum(low[:, None] + np.arange(max(1, count.max())), size - 1)
        return cls(size, index, np.ones(index.shape) if weights is None else weights[index], count)


def _means(n: int, m: int, kernel: int, stride: int, pads: tuple[int, int], include: bool) -> tuple[_Windows, Any]:
    """Sums of m windows of n elements, and how many elements each counts."""
    begin = stride * np.arange(m) - pads[0]
    low, high = (-pads[0], n + pads[1]) if include else (0, n)
    counts = np.minimum(begin + kernel, high) - np.maximum(begin, low)
    return _Windows.between(n, begin, begin + kernel), counts


def _shares(n: int, m: int, kernel: int, stride: int, pads: tuple[int, int], counts: Any) -> _Windows:
    """The adjoint of means: each element's sum of its share in the windows that it lies in."""
    place = np.arange(n) + pads[0]
    return _Windows.between(m, -((kernel - 1 - place) // stride), place // stride + 1, 1 / counts)


@lru_cache(4096)
def _avg_case(
    shape: Sizes,
    size: Sizes | None,
    kernel: Sizes,
    stride: Sizes,
    pads: Sizes,
    ceil_mode: bool,
    include: bool,
    divisor: int | None,
    threads: int,
    last: bool,
) -> tuple[_How, Sizes] | None:
    """For the means of a tensor of `shape`, or, given the `size` of its planes, for their gradients of `shape`.

    With the channels `last` there are matrices only.
    """
    axes = len(kernel)
    ones = (1,) * axes
    out = pool_output_size(shape[2:], kernel, stride, pads, ones, ceil_mode) if size is None else shape[2:]
    planes = shape[2:] if size is None else size
    if 0 in shape or 0 in planes or 0 in out:
        return None
    whole = (*shape[:2], *(out if size is None else planes))
    halves = kernel == stride == (2, 2) and not any(pads) and all(2 * m <= n for n, m in zip(planes, out, strict=True))
    if size is None and halves and math.prod(whole) >= _LANES and not last:
        return ("avg_pool", geometry(shape, out, kernel, stride, pads, ones, threads, divisor or 4)), whole
    if kernel == tuple(planes) and out == ones and not any(pads) and not last:
        count = math.prod(kernel)
        name = "plane_mean" if size is None else "plane_spread"
        return (name, Integers(shape[0] * shape[1], count, divisor or count, threads)), whole
    each = list(zip(planes, out, kernel, stride, zip(pads[:axes], pads[axes:], strict=True), strict=True))
    sums, counts = zip(*(_means(*axis, include) for axis in each), strict=True)
    if divisor is not None:
        counts = (*(np.ones(m) for m in out[:-1]), np.full(out[-1], divisor))
    if size is None:
        return Matrices(planes, sums, counts), whole
    return Matrices(out, [_shares(*axis, count) for axis, count in zip(each, counts, strict=True)]), whole


def _avg(
    x: Tensor,
    size: Sizes | None,
    kernel: Sizes,
    stride: Sizes,
    pads: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor | None:
    if not usable(x, dtype=x.dtype):
        return None
    size = None if size is None else tuple(size)
    options = ceil_mode, count_include_pad, divisor_override
    # torch keeps channels_last of planes, not of volumes
    last = layout(x) is torch.channels_last
    found = _avg_case(x.shape, size, kernel, stride, pads, *options, torch.get_num_threads(), last)
    if found is None:
        return None
    how, shape = found
    x = x if last else x.contiguous()
    if isinstance(how, Matrices):
        return resample(x, how)
    kernel_name, integers = how
    call = function(kernel_name, x.dtype)
    if call is None:
        return None
    y = x.new_empty(shape)
    call(integers.address, x.data_ptr(), y.data_ptr())
    return y


def avg_pool(
    x: Tensor,
    kernel: Sizes,
    stride: Sizes,
    pads: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor | None:
    """The mean of every window."""
    return _avg(x, None, kernel, stride, pads, ceil_mode, count_include_pad, divisor_override)


def avg_pool_spread(
    g: Tensor,
    size: Sizes,
    kernel: Sizes,
    stride: Sizes,
    pads: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor | None:
    """The gradient of average pooling."""
    return _avg(g, size, kernel, stride, pads, ceil_mode, count_include_pad, divisor_override)
