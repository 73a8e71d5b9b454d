"""Resampling in ONNX: Resize wherever it means the same, elsewhere Gather or a matrix along each axis.

What Resize does not cover was found by comparing onnxruntime with torch over thousands of cases: `antialias`
with `align_corners`, `antialias` to a width of 1, a scale factor that does not change the size, places that
float32 rounds to the other side of a whole number, sizes that it rounds down to one less, and the Lanczos kernel.
Where sizes are open, what would differ at some of them is computed otherwise, or refused.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from lightconv.deploy.files import ExportError
from lightconv.deploy.translation import channels, constant, multiply, spatial, translates, vector
from lightconv.functional.bands import Band
from lightconv.functional.resampling import axis_bands

_PICKS = ("nearest", "nearest-exact")

_OPTIONS: dict[str, dict[str, Any]] = {
    "nearest": {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    "nearest-exact": {
        "mode": "nearest",
        "coordinate_transformation_mode": "half_pixel",
        "nearest_mode": "round_prefer_ceil",
    },
    "linear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
    "cubic": {"mode": "cubic", "coordinate_transformation_mode": "half_pixel", "cubic_coeff_a": -0.75},
}


@translates
def resize(op: Any, input: Any, size: Any, scales: Any, mode: Any, align_corners: Any, antialias: Any) -> Any:
    """Resize if that means the same, and sizes are open or onnxruntime agrees."""
    picks = mode in _PICKS
    if not picks and not input.dtype.is_floating_point():
        raise ExportError(f"Expected floating input for resampling in mode {mode!r}; convert it with .float() first.")
    sizes = spatial(input)
    fixed = sizes is not None and all(isinstance(n, int) for n in size)
    options = dict(_OPTIONS.get(mode, {}))
    if align_corners:
        options["coordinate_transformation_mode"] = "align_corners"
    if antialias:
        options |= {"antialias": 1, "exclude_outside": 1}
        if mode == "cubic":
            options["cubic_coeff_a"] = -0.5
    if not fixed:
        return _resize_open(op, input, size, scales, mode, align_corners, antialias, options)
    assert sizes is not None
    if align_corners:
        scales = None  # where the corners are decides alone
    factors = scales or [None] * len(size)
    # as for float32 in the usual memory format on a CPU, by which torch decides how places are rounded
    bands = axis_bands(torch.empty(0), sizes, size, scales, mode, align_corners, antialias, False)
    plain = scales is None or all(map(_is_plain, sizes, size, scales))
    if picks:
        same = plain and all(
            b is None or np.array_equal(b.index[:, 0], _picked(n, len(b), f, mode))
            for b, n, f in zip(bands, sizes, factors, strict=True)
        )
        return _resize(op, input, size, scales, options) if same else _gather(op, input, bands)
    if not plain or mode == "lanczos" or (antialias and (align_corners or size[-1] == 1)):
        return multiply(op, input, [_matrix(taps) for taps in bands])
    return _resize(op, input, size, scales, options)


def _resize_open(
    op: Any, input: Any, size: Any, scales: Any, mode: Any, align_corners: Any, antialias: Any, options: dict[str, Any]
) -> Any:
    """Resize where sizes are open, unless it would mean something else at some of them."""
    if mode == "lanczos" or (antialias and (align_corners or (scales is None and 1 in size))):
        raise ExportError(f"Expected fixed sizes for resampling in mode {mode!r} with these options.")
    if align_corners:
        whole = scales is not None and all(float(factor).is_integer() for factor in scales)
        return _resize(op, input, size, scales if whole else None, options)
    if scales is not None:
        for n, factor in zip(tuple(input.shape)[2:], scales, strict=True):
            if not _is_same(n if isinstance(n, int) else None, float(factor), mode, antialias):
                raise ExportError(
                    f"Expected fixed sizes for resampling in mode {mode!r} by {factor:g}, which onnxruntime rounds "
                    "otherwise than torch at some sizes."
                )
        return _resize(op, input, size, scales, options)
    if mode not in _PICKS:
        return _resize(op, input, size, None, options)
    for axis, out in enumerate(size, 2):
        input = _pick(op, input, axis, out, mode)
    return input


def _is_same(size: int | None, factor: float, mode: str, antialias: bool) -> bool:
    """Whether Resize by a factor means what it means in torch: sizes, and in the modes that pick which elements."""
    sizes = np.arange(2, 4097) if size is None else np.asarray([size])
    out = (sizes * factor).astype(np.int64)
    if not np.array_equal(out, (sizes.astype(np.float32) * np.float32(factor)).astype(np.int64)):
        return False
    if (factor != 1 and np.any(out == sizes)) or (antialias and np.any(out == 1)):
        return False
    if mode not in _PICKS:
        return True
    for n, m in zip(sizes.tolist(), out.tolist(), strict=True):
        if m == 0 or (n > 128 and n % 1000):  # torch's shortcuts are for less than 128 elements
            continue
        (picked, _) = axis_bands(torch.empty(0), (n, n), (m, m), (factor, factor), mode, False, False, False)
        index = np.arange(m) if picked is None else picked.index[:, 0]
        if not np.array_equal(index, _picked(n, m, factor, mode)):
            return False
    return True


def _pick(op: Any, x: Any, axis: int, out: Any, mode: str) -> Any:
    """Gather with torch's own arithmetic: Resize divides where torch multiplies, and picks others at some sizes."""
    size, float32 = op.Cast(op.Shape(x, start=axis, end=axis + 1), to=1), 1
    count = op.Cast(out, to=7) if not isinstance(out, int) else out
    places = op.Cast(op.Range(0, count, 1), to=float32)
    if mode == "nearest-exact":
        places = op.Add(places, 0.5)
    index = op.Floor(op.Mul(places, op.Div(size, op.Cast(vector(op, [out]), to=float32))))
    return op.Gather(x, op.Cast(op.Min(index, op.Sub(size, 1.0)), to=7), axis=axis)


def _is_plain(size: int, out: int, factor: float) -> bool:
    """Whether a factor changes the size, or is 1, and gives the same size in float32, with and without rounding."""
    single = np.float32(factor)
    return (size != out or factor == 1) and out == int(np.float32(size) * single) == int(size * float(single))


@translates
def duplicate(op: Any, input: Any, factor: Any) -> Any:
    """Resize by whole numbers."""
    return _resize(op, input, None, factor, _OPTIONS["nearest"])


@translates
def upsample_bilinear_zeros(op: Any, input: Any, factor: Any) -> Any:
    """Every element spreads a tent; tents that reach beyond the first element are cut off there."""
    count = channels(input, "upsample_bilinear_zeros")
    tents = np.ones(())
    for k in factor:
        tents = np.multiply.outer(tents, 1 - np.abs(np.arange(1 - k, k)) / k)
    weight = np.broadcast_to(tents, (count, 1, *tents.shape))
    pads = [*(k - 1 for k in factor), *(0 for _ in factor)]
    return op.ConvTranspose(input, constant(op, weight, input), strides=factor, pads=pads, group=count)


def _resize(op: Any, input: Any, size: Any, scales: Sequence[float] | None, options: dict[str, Any]) -> Any:
    """One node. Given scales for all axes, onnxruntime computes it in its faster, blocked layout."""
    if scales is None:
        scales = _exact_scales(spatial(input), size)
    if scales is None:
        return op.Resize(input, None, None, vector(op, size), axes=list(range(2, len(input.shape))), **options)
    return op.Resize(input, None, constant(op, np.asarray([1, 1, *scales], np.float32)), **options)


def _exact_scales(sizes: Any, out: Any) -> list[float] | None:
    """Ratios of the sizes, if they are known and float32 holds them without rounding."""
    if sizes is None or not all(isinstance(m, int) for m in out):
        return None
    scales = [float(np.float32(m / n)) for n, m in zip(sizes, out, strict=True)]
    exact = all(Fraction(s) * n == m for s, n, m in zip(scales, sizes, out, strict=True))
    return scales if exact else None


def _picked(size: int, out: int, factor: float | None, mode: str) -> np.ndarray:
    """The elements that Resize picks: places computed in float32, as onnxruntime does."""
    scale = np.float32(out) / np.float32(size) if factor is None else np.float32(factor)
    places = np.arange(out, dtype=np.float32)
    if mode == "nearest":
        index = np.floor(places / scale)
    else:
        index = np.floor((places + np.float32(0.5)) / scale - np.float32(0.5) + np.float32(0.5))
    return np.clip(index, 0, size - 1).astype(np.int64)


def _gather(op: Any, x: Any, bands: Sequence[Band | None]) -> Any:
    for axis, picked in enumerate(bands, 2):
        if picked is not None and not np.array_equal(picked.index[:, 0], np.arange(picked.size)):
            x = op.Gather(x, constant(op, picked.index[:, 0].astype(np.int64)), axis=axis)
    return x


def _matrix(taps: Band | None) -> np.ndarray | None:
    if taps is None:
        return None
    matrix = np.zeros((len(taps), taps.size))
    np.add.at(matrix, (np.arange(len(taps))[:, None], taps.index), taps.weight)
    return matrix
