"""Banded matrices: one axis of a resampling, whatever it is.

Resampling is linear and treats every axis by itself. Along one axis it is a matrix in which each row holds a
few neighbouring numbers: output o is the weighted sum of its taps,

    y[o] = sum over t < count[o] of  weight[o, t] * x[index[o, t]]

and so is its adjoint, which sends the gradient of each output back to the elements it was read from: the same
numbers, listed by element instead of by output. Nothing is scattered, hence the order of every sum is fixed.
"""

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from lightconv.functional.dispatch import recording, transforming

# longer sums are one reduction instead of a step for each tap
_LONG = 16
# outputs that share a matrix where an axis is too long for one matrix
_TILE = 64


class Band:
    """The matrix of one axis.

    Args:
        size: elements of the axis that is read.
        index: (outputs, taps) the element that each tap reads.
        weight: (outputs, taps) its weight, in the dtype in which sums are kept.
        count: (outputs,) taps in use; the rest of a row is ignored, whatever stands there. All by default.
    """

    def __init__(self, size: int, index: np.ndarray, weight: np.ndarray, count: np.ndarray | None = None) -> None:
        self.size = size
        self.count = np.full(len(index), index.shape[1]) if count is None else count
        self.used = np.arange(index.shape[1]) < self.count[:, None]
        self.index = np.where(self.used, index, 0)
        self.weight = np.where(self.used, weight, 0)
        self._on_device: dict[torch.device, tuple[Tensor, Tensor, Tensor]] = {}
        self._parts: dict[tuple[int, int], tuple[int, int, Band]] = {}

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def taps(self) -> int:
        """Taps of the longest row."""
        return self.index.shape[1]

    @cached_property
    def least(self) -> int:
        """Taps of the shortest row."""
        return int(self.count.min()) if len(self) else self.taps

    @cached_property
    def plain(self) -> bool:
        """Whether all weights are 1, so that nothing needs to be multiplied."""
        return bool((self.weight[self.used] == 1).all())

    @cached_property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        return torch.from_numpy(self.weight[:0]).dtype

    @cached_property
    def picks(self) -> bool:
        """Whether every output is a copy of one element."""
        return self.taps == 1 and self.least == 1 and self.plain

    @cached_property
    def repeats(self) -> int:
        """k if every element is read by k outputs in a row, 0 otherwise."""
        k, rest = divmod(len(self), self.size) if self.size else (0, 1)
        if rest or not self.picks:
            return 0
        return k if np.array_equal(self.index[:, 0], np.arange(len(self)) // k) else 0

    @cached_property
    def transposed(self) -> "Band":
        """The adjoint."""
        used = self.used
        element, weight = self.index[used], self.weight[used]
        output = np.broadcast_to(np.arange(len(self))[:, None], used.shape)[used]
        order = np.argsort(element, kind="stable")
        element, weight, output = element[order], weight[order], output[order]
        count = np.bincount(element, minlength=self.size)
        place = np.arange(len(element)) - (np.cumsum(count) - count)[element]
        shape = (self.size, max(1, int(count.max(initial=0))))
        index, weights = np.zeros(shape, np.int64), np.zeros(shape, self.weight.dtype)
        index[element, place], weights[element, place] = output, weight
        band = Band(len(self), index, weights, count)
        band.__dict__["transposed"] = self
        return band

    def part(self, start: int, stop: int) -> tuple[int, int, "Band"]:
        """The elements (first, after the last) that outputs from `start` to before `stop` read, and their matrix."""
        if (start, stop) not in self._parts:
            used = self.used[start:stop]
            index = np.where(used, self.index[start:stop], self.size)
            low = min(int(index.min()), self.size - 1)
            high = max(low, int(np.where(used, index, low).max())) + 1
            rows = Band(high - low, index - low, self.weight[start:stop], self.count[start:stop])
            self._parts[start, stop] = (low, high, rows)
        return self._parts[start, stop]

    def tables(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Index, weight and unused taps as (taps, outputs) tensors."""
        faking = torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FAKE) is not None
        if device in self._on_device and not faking:
            return self._on_device[device]
        with torch.inference_mode(False):
            tables = (
                torch.tensor(self.index.T, device=device),
                torch.tensor(self.weight.T, device=device),
                torch.tensor(~self.used.T, device=device),
            )
        if type(tables[0]) is Tensor and not faking and not transforming():
            self._on_device[device] = tables
        return tables

    @cached_property
    def _blocks(self) -> list[tuple[slice, slice, np.ndarray]]:
        whole = len(self) * self.size <= 4 * _TILE * _TILE
        step = max(1, len(self)) if whole else _TILE
        found = []
        for start in range(0, len(self), step):
            stop = min(start + step, len(self))
            low, high, rows = (0, self.size, self) if whole else self.part(start, stop)
            dense = np.zeros((high - low, stop - start), self.weight.dtype)
            output = np.broadcast_to(np.arange(stop - start)[:, None], rows.used.shape)
            np.add.at(dense, (rows.index[rows.used], output[rows.used]), rows.weight[rows.used])
            found.append((slice(start, stop), slice(low, high), dense))
        return found

    @cached_property
    def width(self) -> int:
        """Elements that the dense form multiplies for each output, at most."""
        return max((read.stop - read.start for _, read, _ in self._blocks), default=0)

    @cached_property
    def matrices(self) -> list[tuple[slice, slice, Tensor]]:
        """Outputs, the elements they read, and the dense matrix in between, transposed: (elements, outputs)."""
        with torch.inference_mode(False):
            return [(written, read, torch.tensor(dense)) for written, read, dense in self._blocks]


def gather(x: Tensor, axis: int, band: Band) -> Tensor:
    """Apply a band along `axis` by reading one tap of all outputs at a time; differentiable.

    Each output sees its own taps and nothing else, so that infinities and NaN stay where they belong.
    """
    index, weight, spare = band.tables(x.device)
    tail = (1,) * (x.dim() - 1 - axis)
    if band.taps > _LONG:
        y = x.index_select(axis, index.t().flatten())
        y = y.reshape(*x.shape[:axis], len(band), band.taps, *x.shape[axis + 1 :])
        if band.least < band.taps:
            y = y.masked_fill(spare.t().reshape(len(band), band.taps, *tail), 0)
        if not band.plain:
            y = y * weight.t().reshape(len(band), band.taps, *tail)
        return y.sum(axis + 1, dtype=y.dtype)
    total: Tensor | None = None
    for tap in range(band.taps):
        piece = x.index_select(axis, index[tap])
        if tap >= band.least:
            piece = piece.masked_fill_(spare[tap].reshape(-1, *tail), 0)
        if not band.plain:
            piece = piece.mul_(weight[tap].reshape(-1, *tail))
        total = piece if total is None else total.add_(piece)
    assert total is not None
    return total


def multiply(x: Tensor, band: Band) -> Tensor:
    """Apply a band to the middle axis of a contiguous (outer, n, inner) as a product with small dense matrices.

    Only for finite elements: those that an output does not read are multiplied by zero.
    """
    outer, _, inner = x.shape
    if len(band.matrices) == 1:
        matrix = band.matrices[0][2]
        return (x.squeeze(2) @ matrix).unsqueeze(2) if inner == 1 else matrix.t() @ x
    y = x.new_empty((outer, len(band), inner))
    for written, read, matrix in band.matrices:
        if inner == 1:
            torch.mm(x[:, read, 0], matrix, out=y[:, written, 0])
        else:
            y[:, written] = matrix.t() @ x[:, read]
    return y


def apply(x: Tensor, band: Band, dense: bool) -> Tensor:
    """Apply a band to the middle axis of a contiguous (outer, n, inner), by dense matrices if told so."""
    if band.repeats:
        copies = x.unsqueeze(2).expand(-1, -1, band.repeats, -1).clone(memory_format=torch.contiguous_format)
        return copies.view(x.shape[0], len(band), x.shape[2])
    if band.transposed.repeats:
        return fold_repeats(x, band.transposed.repeats)
    if dense:
        return multiply(x, band)
    return gather(x, 1, band)


def fold_repeats(x: Tensor, repeats: int) -> Tensor:
    """The sum of every `repeats` neighbours along the middle axis of (outer, n, inner)."""
    blocks = x.unflatten(1, (x.shape[1] // repeats, repeats))
    if repeats > _LONG:
        return blocks.sum(2, dtype=x.dtype)
    total = blocks[:, :, 0].clone()
    for i in range(1, repeats):
        total += blocks[:, :, i]
    return total


def dense_pays(x: Tensor, band: Band) -> bool:
    """Whether dense matrices are faster than gathering, provided that (outer, n, inner) is finite."""
    if x.dtype != band.dtype or x.device.type != "cpu" or band.picks or band.transposed.repeats:
        return False
    # nanoseconds for each output, as measured on one core: gathering copies whole rows of `inner` elements,
    # element by element if they are short; a product does some 20 multiplications
    return band.width / 20 < band.taps * (4 if x.shape[2] < 8 else 0.7)


def _products_keep_float32() -> bool:
    """Whether matrix products are not allowed to round to bfloat16 (see torch.set_float32_matmul_precision)."""
    matmul = getattr(torch.backends.mkldnn, "matmul", None)
    if matmul is None:
        return torch.get_float32_matmul_precision() == "highest"
    return matmul.fp32_precision in ("none", "ieee")


def may_multiply(x: Tensor) -> bool:
    """Whether products with dense matrices are exact: `x` is known to be finite, and its dtype is kept."""
    if type(x) is not Tensor or recording():
        return False  # a stand-in that has no values
    if x.dtype == torch.float32 and not _products_keep_float32():
        return False
    return math.isfinite(x.sum().item())


def transpose(bands: Sequence[Band | None]) -> list[Band | None]:
    """The adjoint of each axis; None is an axis that stays as it is."""
    return [None if band is None else band.transposed for band in bands]
