"""The elements that each mode of interpolation reads along one axis, and their weights.

With the scale s (input size over output size, or one over the factor asked for), output o stands at

    (o + 1/2) s - 1/2     or, with aligned corners,     o (in - 1) / (out - 1)

on the input (*Understanding Deep Learning*, section 10.4.2). "linear" weighs the two neighbours of that place by
their distance, "cubic" four of them by Keys' kernel with a = -3/4, "nearest-exact" takes the closest one, and
"nearest" the one at floor(o s). With antialias the kernel (triangle, Keys with a = -1/2, or Lanczos' windowed
sinc) is stretched by the scale where that is above 1, so that shrinking averages over all that it leaves out.

R. Keys, *Cubic convolution interpolation for digital image processing*, IEEE Transactions on Acoustics, Speech,
and Signal Processing 29 (1981). C. Duchon, *Lanczos filtering in one and two dimensions*, Journal of Applied
Meteorology 18 (1979).

Results are to equal torch's, where the place is computed in the dtype of the weights (float32 for half precision)
and rounding decides between neighbours. So the arithmetic here keeps torch's dtypes and order.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from lightconv.functional.bands import Band

REACH = {"linear": 1, "cubic": 2, "lanczos": 3}


@functools.lru_cache(maxsize=512)
def band(
    mode: str,
    size: int,
    out: int,
    factor: float | None,
    align_corners: bool,
    antialias: bool,
    dtype: str,
    shortcuts: bool,
) -> Band | None:
    """The matrix of one axis, or None if it stays as it is.

    Args:
        mode: "nearest", "nearest-exact", "linear", "cubic" or "lanczos".
        size: input size.
        out: output size.
        factor: the factor that gave the output size, if it is to decide the scale.
        align_corners: whether the first and last elements of input and output coincide.
        antialias: whether to stretch the kernel when shrinking.
        dtype: "float32" or "float64", of the weights.
        shortcuts: for the nearest modes, whether to compute as torch's channels-last code does: in float32,
            and "nearest" without any computation where the output is as large or twice as large.
    """
    real = np.dtype(dtype).type
    if mode in ("nearest", "nearest-exact"):
        return _nearest(mode, size, out, factor, real, shortcuts)
    if antialias:
        return None if size == out else _antialiased(mode, size, out, _scale(size, out, factor, align_corners, real))
    scale = _scale(size, out, factor, align_corners, real)
    return (_linear if mode == "linear" else _cubic)(size, out, scale, align_corners)


def _scale(size: int, out: int, factor: float | None, align_corners: bool, real: Any) -> Any:
    if align_corners:
        return real(size - 1) / real(out - 1) if out > 1 else real(0)
    return real(1 / factor) if factor is not None and factor > 0 else real(size) / real(out)


def _floor(place: np.ndarray) -> np.ndarray:
    # torch calls floorf, so that places of any dtype are rounded to float32 first
    return np.floor(place.astype(np.float32)).astype(np.int64)


def _fused(a: Any, b: Any, c: Any, real: Any) -> np.ndarray:
    """a * b + c rounded once, as processors compute it; for float64 each step is rounded."""
    return (np.asarray(a, np.float64) * np.asarray(b, np.float64) + np.asarray(c, np.float64)).astype(real)


def _places(out: int, scale: Any, align_corners: bool) -> np.ndarray:
    real = type(scale)
    o = np.arange(out).astype(real)
    return o * scale if align_corners else _fused(o + real(0.5), scale, -0.5, real)


def _nearest(mode: str, size: int, out: int, factor: float | None, real: Any, shortcuts: bool) -> Band:
    o = np.arange(out)
    exact = mode == "nearest-exact"
    if shortcuts:
        scale = _scale(size, out, factor, False, np.float32)
        if exact:
            index = _floor((o + 0.5) * float(scale))
        elif out in (size, 2 * size):
            index = o * size // out
        else:
            index = _floor(o.astype(np.float32) * scale)
    else:
        scale = _scale(size, out, factor, False, real)
        if exact:
            index = _floor(np.maximum(_places(out, scale, False), real(0)).astype(np.float64) + 0.5)
        else:
            index = _floor(o.astype(real) * scale)
    return Band(size, np.minimum(index, size - 1)[:, None], np.ones((out, 1), real))


def _between(places: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The element before each place, and how far behind it the place is."""
    index = np.minimum(_floor(places), size - 1)
    return index, np.clip(places - index.astype(places.dtype), 0, 1)


def _linear(size: int, out: int, scale: Any, align_corners: bool) -> Band:
    if size == out:
        index, rest = np.arange(out), np.zeros(out, type(scale))
        after = index
    else:
        index, rest = _between(np.maximum(_places(out, scale, align_corners), type(scale)(0)), size)
        after = np.minimum(index + 1, size - 1)
    return Band(size, np.stack([index, after], 1), np.stack([1 - rest, rest], 1))


def _cubic(size: int, out: int, scale: Any, align_corners: bool) -> Band:
    index, rest = _between(_places(out, scale, align_corners), size)
    other = 1 - rest
    near = [_keys_near(rest, -0.75), _keys_near(other, -0.75)]
    weight = [_keys_far(rest + 1, -0.75), *near, _keys_far(other + 1, -0.75)]
    taps = np.clip(index[:, None] + np.arange(-1, 3), 0, size - 1)
    return Band(size, taps, np.stack(weight, 1))


def _keys_near(t: np.ndarray, a: float) -> np.ndarray:
    """Keys' kernel for distances below 1."""
    real = t.dtype
    return _fused(_fused(a + 2, t, -(a + 3), real) * t, t, 1, real)


def _keys_far(t: np.ndarray, a: float) -> np.ndarray:
    """Keys' kernel for distances from 1 to 2."""
    real = t.dtype
    return _fused(_fused(_fused(a, t, -5 * a, real), t, 8 * a, real), t, -4 * a, real)


def _triangle(t: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(t), 0)


def _keys(t: np.ndarray, a: float) -> np.ndarray:
    t = np.abs(t)
    return np.where(t < 1, _keys_near(t, a), np.where(t < 2, _keys_far(t, a), 0)).astype(t.dtype)


def _windowed_sinc(t: np.ndarray) -> np.ndarray:
    return np.where(np.abs(t) < 3, np.sinc(t) * np.sinc(t / 3), 0).astype(t.dtype)


_KERNELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": _triangle,
    "cubic": functools.partial(_keys, a=-0.5),
    "lanczos": _windowed_sinc,
}


def _antialiased(mode: str, size: int, out: int, scale: Any) -> Band:
    real = type(scale)
    stretch = max(scale, real(1))
    support = REACH[mode] * stretch
    longest = math.ceil(support) * 2 + 1
    centre = ((np.arange(out) + 0.5) * float(scale)).astype(real)
    first = np.maximum(np.trunc((centre - support).astype(np.float64) + 0.5).astype(np.int64), 0)
    stop = np.minimum(np.trunc((centre + support).astype(np.float64) + 0.5).astype(np.int64), size)
    count = np.clip(stop - first, 0, longest)
    taps = int(count.max(initial=1))
    index = first[:, None] + np.arange(taps)
    used = np.arange(taps) < count[:, None]
    distance = ((index.astype(real) - centre[:, None]).astype(np.float64) + 0.5) * float(1 / stretch)
    weight = np.where(used, _KERNELS[mode](distance.astype(real)), 0).astype(real)
    total = np.zeros(out, real)
    for tap in range(taps):
        total += weight[:, tap]
    weight /= np.where(total == 0, 1, total)[:, None]
    return Band(size, index, weight, count)


# --- bytes ------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=128)
def fixed_point(
    mode: str, size: int, out: int, factor: float | None, align_corners: bool, antialias: bool
) -> Band | None:
    """The matrix of one axis for bytes, or None if the axis stays as it is.

    Its weights are whole numbers divided by a power of two, so large that the largest numerator fits 16 bits.
    They are kept in float32 if that holds all sums without rounding, else in float64.
    """
    if size == out:
        return None
    scale = _scale(size, out, factor, align_corners, np.float64)
    if antialias:
        real = _antialiased(mode, size, out, scale)
        largest = real.weight.max(initial=0)
    else:
        real, largest = _bounded(mode, size, out, scale, align_corners)
    bits = 0
    while bits < 22 and int(0.5 + largest * 2 ** (bits + 1)) < 2**15:
        bits += 1
    scaled = real.weight * 2**bits
    whole = np.trunc(scaled + np.where(scaled < 0, -0.5, 0.5))
    highest = 255 * np.abs(whole).sum(1).max(initial=0) + 2 ** (bits - 1)
    dtype = np.float32 if highest < 2**24 else np.float64
    return Band(size, real.index, (whole / 2**bits).astype(dtype), real.count)


def _bounded(mode: str, size: int, out: int, scale: Any, align_corners: bool) -> tuple[Band, float]:
    """Without antialias: taps beyond the ends add their weights to the last element. Also the largest weight met."""
    reach = REACH[mode]
    places = _places(out, scale, align_corners)
    index, rest = _between(places if mode == "cubic" else np.maximum(places, 0), size)
    kernel = functools.partial(_keys, a=-0.75) if mode == "cubic" else _triangle
    unbound = index - reach + 1
    first = np.maximum(unbound, 0)
    count = np.clip(np.minimum(index + reach + 1, size) - first, 0, 2 * reach)
    weight = np.zeros((out, 2 * reach))
    largest, rows, place = 0.0, np.arange(out), np.zeros(out, np.int64)
    for tap in range(2 * reach):
        element = unbound + tap
        place = np.where(element <= 0, 0, np.where(element >= size - 1, count - 1, place))
        weight[rows, place] += kernel(tap + 1 - reach - rest)
        largest = max(largest, weight[rows, place].max(initial=0))
        place = place + 1
    return Band(size, first[:, None] + np.arange(2 * reach), weight, count), largest
