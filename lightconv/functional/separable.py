"""One banded matrix along each axis: how everything separable is computed, resampling and means over bins.

`lightconv.functional.bands` says what such a matrix is and how it is applied to one axis; here all axes of a tensor
follow one after the other, in differentiable primitives (`define`) and, without autograd, in pieces that a core's
cache holds (`run`).
"""

import functools
from collections.abc import Sequence

import torch
from torch import Tensor
from torch._prims_common import suggest_memory_format

from lightconv.functional.bands import Band, apply, dense_pays, gather, may_multiply
from lightconv.functional.dispatch import accumulation_dtype, compiled, piece_bytes
from lightconv.functional.geometry import Sizes, new_empty, numel, tiles
from lightconv.kernels.pixels import ByteMatrices
from lightconv.kernels.resampling import Matrices

HALVES = (torch.float16, torch.bfloat16)
COMPILED = (torch.float32, *HALVES)

Bands = Sequence[Band | None]

# so few channels are too short a run for matrix products
_FEW_CHANNELS = 16


def define(x: Tensor, bands: Bands) -> Tensor:
    """Apply one band along each spatial axis of (N, C, *size); differentiable."""
    dtype = x.dtype
    if not picks(bands):
        x = x.to(accumulation_dtype(dtype))
    for axis, band in enumerate(bands, 2):
        if band is not None:
            x = gather(x, axis, band)
    return x.to(dtype)


def picks(bands: Bands) -> bool:
    """Whether every output is a copy of one element."""
    return all(band is None or band.picks for band in bands)


def _layout(x: Tensor) -> torch.memory_format:
    if x.dim() not in (4, 5) or (x.stride(1) != 1 and x.is_contiguous()):
        return torch.contiguous_format
    return suggest_memory_format(x)


def new_banded(x: Tensor, out: Sequence[int]) -> Tensor:
    """An empty result of spatial size `out`, which lies in memory as torch's resampling of `x` would."""
    return new_empty(x, (*x.shape[:2], *out), _layout(x))


def run(x: Tensor, bands: Bands, as_bytes: bool = False) -> Tensor:
    """Apply one band along each spatial axis, piece by piece; `as_bytes` rounds after each, the last axis first."""
    if x.dtype in COMPILED and not as_bytes and 0 < len(bands) < 4:
        found = compiled("resample", x, _matrices(tuple(x.shape[2:]), tuple(bands)))
        if found is not None:
            return found
    if as_bytes and len(bands) == 2:
        found = compiled("resample_bytes", x, _byte_matrices(tuple(x.shape[2:]), tuple(bands)))
        if found is not None:
            return found
    out = [x.shape[axis] if band is None else len(band) for axis, band in enumerate(bands, 2)]
    work = exact_dtype(bands) if as_bytes else x.dtype if picks(bands) else accumulation_dtype(x.dtype)
    order = order_of(bands, as_bytes)
    if not order:
        return new_banded(x, out).copy_(x)
    layout = _layout(x)
    if as_bytes and layout == torch.channels_last and x.shape[1] < _FEW_CHANNELS:
        return run(x.contiguous(), bands, as_bytes).contiguous(memory_format=layout)
    # as it lies in memory, where the spatial axes begin at 2, or at 1 with the channels last
    first = 2 if layout == torch.contiguous_format else 1
    stored = x if first == 2 else x.movedim(1, -1)
    cost = _row_cost(x, out, work)
    if cost * x.shape[0] * out[0] <= piece_bytes(x):
        y = _run_piece(stored, bands, order, first, work, as_bytes).to(x.dtype)
        return y if first == 2 else y.movedim(-1, 1)
    y = new_banded(x, out)
    result = y if first == 2 else y.movedim(1, -1)
    for samples, rows in tiles(x.shape[0], out[0], cost, piece_bytes(x)):
        piece, mine = stored[samples], list(bands)
        if rows.stop - rows.start < out[0]:
            low, high = rows.start, rows.stop
            if bands[0] is not None:
                low, high, mine[0] = bands[0].part(rows.start, rows.stop)
            piece = piece.narrow(first, low, high - low)
        piece = _run_piece(piece, mine, order, first, work, as_bytes)
        result[samples].narrow(first, rows.start, rows.stop - rows.start).copy_(piece)
    return y


@functools.lru_cache(maxsize=256)
def _matrices(size: Sizes, bands: tuple[Band | None, ...]) -> Matrices:
    return Matrices(size, bands)


@functools.lru_cache(maxsize=256)
def _byte_matrices(size: Sizes, bands: tuple[Band | None, ...]) -> ByteMatrices:
    return ByteMatrices(size, bands)


def _run_piece(x: Tensor, bands: Bands, order: Sequence[int], first: int, work: torch.dtype, as_bytes: bool) -> Tensor:
    """Apply one band along each of the axes that begin at `first`, in the given order."""
    x = x.to(work).contiguous()
    finite = False
    for i in order:
        band, shape, at = bands[i], x.shape, first + i
        assert band is not None
        flat = x.reshape(numel(shape[:at]), shape[at], numel(shape[at + 1 :]))
        pays = dense_pays(flat, band)
        finite = finite or (pays and may_multiply(flat))
        flat = apply(flat, band, pays and finite)
        if as_bytes:
            flat = round_bytes(flat)
        x = flat.reshape(*shape[:at], len(band), *shape[at + 1 :])
    return x


def _row_cost(x: Tensor, out: Sequence[int], work: torch.dtype) -> int:
    """Bytes that one row of one sample takes, with its input and the steps in between."""
    cost = 3 * x.shape[1] * work.itemsize * max(1, -(-x.shape[2] // max(1, out[0])))
    for n, m in zip(x.shape[3:], out[1:], strict=True):
        cost *= max(n, m)
    return cost


def order_of(bands: Bands, last_first: bool) -> list[int]:
    """The axes to work on: what shrinks most first, the last axis as long as possible on little data."""
    axes = [i for i, band in enumerate(bands) if band is not None]
    if last_first or len(axes) < 2:
        return axes[::-1]

    def growth(i: int) -> tuple[float, int]:
        band = bands[i]
        assert band is not None
        ratio = len(band) / max(1, band.size)
        return ratio, -i if ratio >= 1 else i

    return sorted(axes, key=growth)


def exact_dtype(bands: Bands) -> torch.dtype:
    """The dtype in which sums of bytes are exact."""
    return torch.float64 if any(band and band.dtype == torch.float64 for band in bands) else torch.float32


def round_bytes(x: Tensor) -> Tensor:
    """The nearest byte, halves up."""
    return x.add_(0.5).floor_().clamp_(0, 255)
