"""One banded matrix along each axis, in 1-D to 3-D, float32; and the maxima of what the rows of matrices read."""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from lightconv.functional.geometry import new_empty
from lightconv.kernels.library import Integers, functions, layout, usable


class BandLike(Protocol):
    """What `lightconv.functional.bands.Band` has."""

    size: int
    index: np.ndarray
    weight: np.ndarray
    count: np.ndarray


class Rows:
    """A band as the kernel reads it: its numbers, and the arrays that they point to."""

    def __init__(self, band: BandLike) -> None:
        self.size, self.out, self.taps = band.size, *band.index.shape
        self._arrays = [
            np.ascontiguousarray(array, dtype)
            for array, dtype in ((band.index, np.int64), (band.weight, np.float32), (band.count, np.int64))
        ]
        self.numbers = self.size, self.out, self.taps, *(array.ctypes.data for array in self._arrays)


class Matrices:
    """One band (or None) along each axis, and what each output is divided by, along the last two axes.

    Args:
        size: of the planes that are read.
        bands: one for each axis.
        divisors: numbers along each axis, by whose product outputs are divided; the last axis has a band then.

    With the channels last two axes become the first two of three, the last of which is the channels.
    """

    def __init__(
        self, size: Sequence[int], bands: Sequence[BandLike | None], divisors: Sequence[np.ndarray] | None = None
    ) -> None:
        self.rows = [None if band is None else Rows(band) for band in bands]
        self.out = tuple(n if rows is None else rows.out for n, rows in zip(size, self.rows, strict=True))
        self._axes = [
            (n, n, 0, 0, 0, 0) if rows is None else rows.numbers for n, rows in zip(size, self.rows, strict=True)
        ]
        self._divisors = [np.ascontiguousarray(d, np.float32) for d in (divisors or ())]
        self._one = np.ones(1, np.float32)
        self._integers: dict[tuple[int, int, int], Integers] = {}

    def integers(self, planes: int, threads: int, channels: int = 0) -> Integers:
        """As the kernel's `BandGeometry`, of planes, or of samples with this many channels last."""
        found = self._integers.get((planes, threads, channels))
        if found is None:
            before, after = (0, 1) if channels else (3 - len(self._axes), 0)
            one = self._one.ctypes.data
            divisors = [one] * before + [d.ctypes.data for d in self._divisors] + [one] * after
            numbers: list[Any] = [1, 1, 0, 0, 0, 0] * before
            for axis in self._axes:
                numbers += axis
            numbers += [channels, channels, 0, 0, 0, 0] * after
            found = Integers(planes, *numbers, *(divisors if self._divisors else (0, 0, 0)), threads)
            self._integers[planes, threads, channels] = found
        return found


def resample(x: Tensor, matrices: Matrices) -> Tensor | None:
    """Apply the matrices to (N, C, *size)."""
    kernels = functions()
    if not kernels or not usable(x) or x.numel() == 0 or 0 in matrices.out:
        return None
    order, threads = layout(x), torch.get_num_threads()
    if order is torch.channels_last:
        y = new_empty(x, (*x.shape[:2], *matrices.out), order)
        integers = matrices.integers(x.shape[0], threads, channels=x.shape[1])
        kernels["resample"](integers.address, x.data_ptr(), y.data_ptr())
        return y
    x = x.contiguous()
    y = x.new_empty((*x.shape[:2], *matrices.out))
    integers = matrices.integers(x.shape[0] * x.shape[1], threads)
    kernels["resample"](integers.address, x.data_ptr(), y.data_ptr())
    return y if order is torch.contiguous_format else y.contiguous(memory_format=order)


def max_bins(x: Tensor, bins: Matrices) -> tuple[Tensor, Tensor] | None:
    """The largest of the elements that each output reads, whatever its weights, and their indices into the planes."""
    kernels = functions()
    if not kernels or not usable(x) or x.numel() == 0 or 0 in bins.out or math.prod(x.shape[2:]) >= 2**31:
        return None
    order, shape = layout(x), (*x.shape[:2], *bins.out)
    if order is torch.channels_last:
        y = new_empty(x, shape, order)
        indices = torch.empty_like(y, dtype=torch.int64)
        integers = bins.integers(x.shape[0], torch.get_num_threads(), channels=x.shape[1])
        kernels["max_bins_last"](integers.address, x.data_ptr(), y.data_ptr(), indices.data_ptr())
        return y, indices
    x = x.contiguous()
    y = x.new_empty(shape)
    indices = torch.empty_like(y, dtype=torch.int64)
    integers = bins.integers(x.shape[0] * x.shape[1], torch.get_num_threads())
    kernels["max_bins"](integers.address, x.data_ptr(), y.data_ptr(), indices.data_ptr())
    if order is torch.contiguous_format:
        return y, indices
    return y.contiguous(memory_format=order), indices.contiguous(memory_format=order)
