"""Resampling of bytes in whole numbers, in 2-D, rounded after each axis."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lightconv.functional.geometry import new_empty
from lightconv.kernels.library import Integers, functions, layout, usable
from lightconv.kernels.resampling import BandLike

# larger numerators would not fit the kernel's 32 bits with a byte
_MOST_BITS = 22


class ByteMatrices:
    """One band (or None) along each of two axes, whose weights are whole numbers divided by a power of two.

    Args:
        size: of the planes that are read.
        bands: for both axes.
    """

    def __init__(self, size: Sequence[int], bands: Sequence[BandLike | None]) -> None:
        self.out = tuple(n if band is None else len(band.index) for n, band in zip(size, bands, strict=True))
        self._arrays: list[np.ndarray] = []
        self._numbers: list[int] = []
        for n, band in zip(size, bands, strict=True):
            self._numbers += (n, n, 0, 0, 0, 0, 0) if band is None else self._as_numbers(band)
        self._integers: dict[tuple[int, int, int], Integers] = {}

    def _as_numbers(self, band: BandLike) -> list[int]:
        bits = next(b for b in range(_MOST_BITS + 1) if not np.any(band.weight * 2.0**b % 1))
        whole = (band.weight.astype(np.float64) * 2**bits).astype(np.int32)
        arrays = [
            np.ascontiguousarray(array, dtype)
            for array, dtype in ((band.index, np.int64), (whole, np.int32), (band.count, np.int64))
        ]
        self._arrays += arrays
        return [band.size, *band.index.shape, bits, *(array.ctypes.data for array in arrays)]

    def integers(self, planes: int, channels: int, threads: int) -> Integers:
        """As the kernel's `ByteGeometry`, of planes of one channel or samples with several last."""
        key = planes, channels, threads
        if key not in self._integers:
            self._integers[key] = Integers(planes, channels, *self._numbers, threads)
        return self._integers[key]


def resample_bytes(x: Tensor, matrices: ByteMatrices) -> Tensor | None:
    """Apply the matrices to (N, C, H, W), the last axis first."""
    kernels = functions()
    if not kernels or not usable(x, dtype=torch.uint8) or x.numel() == 0 or 0 in matrices.out:
        return None
    order = layout(x)
    last = order is torch.channels_last
    x = x if last else x.contiguous()
    y = new_empty(x, (*x.shape[:2], *matrices.out), order)
    planes, channels = (x.shape[0], x.shape[1]) if last else (x.shape[0] * x.shape[1], 1)
    integers = matrices.integers(planes, channels, torch.get_num_threads())
    kernels["resample_bytes"](integers.address, x.data_ptr(), y.data_ptr())
    return y
