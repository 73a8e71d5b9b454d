"""Resampling in any number of dimensions: interpolation, repetition, and the book's bilinear upsampling.

All of them are linear and separable: one banded matrix along each spatial axis, one axis after the other.
`lightconv.functional.interpolation` says which matrix a mode is, `lightconv.functional.bands` how it is applied.
A linear map is its own derivative, and that of its adjoint is the map again, so that each operation here comes
with its adjoint and the two give the derivatives of any order.
"""

import functools
import numbers
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor
from torch._prims_common import suggest_memory_format
from torch.overrides import handle_torch_function, has_torch_function_unary

from lightconv.functional import interpolation
from lightconv.functional.adaptive_pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from lightconv.functional.bands import Band, apply, dense_pays, gather, may_multiply, transpose
from lightconv.functional.dispatch import (
    Operation,
    accumulation_dtype,
    autocasting,
    compiled,
    transforming,
    workspace_bytes,
)
from lightconv.functional.geometry import Sizes, numel, show, tiles, to_sizes
from lightconv.kernels.resampling import Matrices

__all__ = ["duplicate", "interpolate", "upsample_bilinear_zeros"]

# name in the public function: name of the kernel, numbers of axes
_MODES = {
    "nearest": ("nearest", (1, 2, 3)),
    "nearest-exact": ("nearest-exact", (1, 2, 3)),
    "linear": ("linear", (1,)),
    "bilinear": ("linear", (2,)),
    "trilinear": ("linear", (3,)),
    "bicubic": ("cubic", (2,)),
    "lanczos": ("lanczos", (2,)),
    "area": ("area", (1, 2, 3)),
}
_PICKING = ("nearest", "nearest-exact")
_HALVES = (torch.float16, torch.bfloat16)
_COMPILED = (torch.float32, *_HALVES)
_REALS = (torch.float32, torch.float64, *_HALVES)

# pieces that stay in a core's cache run faster than the workspace would allow
_CACHED = 2**22

Bands = Sequence[Band | None]


# --- banded matrices along all axes --------------------------------------------------------------------------


def _define(x: Tensor, bands: Bands) -> Tensor:
    """Apply one band along each spatial axis of (N, C, *size); differentiable."""
    dtype = x.dtype
    if not _picks(bands):
        x = x.to(accumulation_dtype(dtype))
    for axis, band in enumerate(bands, 2):
        if band is not None:
            x = gather(x, axis, band)
    return x.to(dtype)


def _picks(bands: Bands) -> bool:
    return all(band is None or band.picks for band in bands)


def _layout(x: Tensor) -> torch.memory_format:
    if x.dim() not in (4, 5) or (x.stride(1) != 1 and x.is_contiguous()):
        return torch.contiguous_format
    return suggest_memory_format(x)


def _empty(x: Tensor, out: Sequence[int]) -> Tensor:
    return torch.empty((*x.shape[:2], *out), dtype=x.dtype, device=x.device, memory_format=_layout(x))


def _run(x: Tensor, bands: Bands, as_bytes: bool = False) -> Tensor:
    """Apply one band along each spatial axis, piece by piece; `as_bytes` rounds after each, the last axis first."""
    if x.dtype in _COMPILED and not as_bytes and 0 < len(bands) < 4:
        found = compiled("resample", x, _matrices(tuple(x.shape[2:]), tuple(bands)))
        if found is not None:
            return found
    out = [x.shape[axis] if band is None else len(band) for axis, band in enumerate(bands, 2)]
    work = _exact(bands) if as_bytes else x.dtype if _picks(bands) else accumulation_dtype(x.dtype)
    order = _order(bands, as_bytes)
    if not order:
        return _empty(x, out).copy_(x)
    layout = _layout(x)
    # as it lies in memory, where the spatial axes begin at 2, or at 1 with the channels last
    first = 2 if layout == torch.contiguous_format else 1
    stored = x if first == 2 else x.movedim(1, -1)
    cost = _row_cost(x, out, work)
    if cost * x.shape[0] * out[0] <= _limit(x):
        y = _run_piece(stored, bands, order, first, work, as_bytes).to(x.dtype)
        return y if first == 2 else y.movedim(-1, 1)
    y = torch.empty((*x.shape[:2], *out), dtype=x.dtype, device=x.device, memory_format=layout)
    result = y if first == 2 else y.movedim(1, -1)
    for samples, rows in tiles(x.shape[0], out[0], cost, _limit(x)):
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
            flat = _round(flat)
        x = flat.reshape(*shape[:at], len(band), *shape[at + 1 :])
    return x


def _limit(x: Tensor) -> int:
    return min(workspace_bytes(), _CACHED) if x.device.type == "cpu" else workspace_bytes()


def _row_cost(x: Tensor, out: Sequence[int], work: torch.dtype) -> int:
    """Bytes that one row of one sample takes, with its input and the steps in between."""
    cost = 3 * x.shape[1] * work.itemsize * max(1, -(-x.shape[2] // max(1, out[0])))
    for n, m in zip(x.shape[3:], out[1:], strict=True):
        cost *= max(n, m)
    return cost


def _order(bands: Bands, last_first: bool) -> list[int]:
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


def _exact(bands: Bands) -> torch.dtype:
    """The dtype in which sums of bytes are exact."""
    return torch.float64 if any(band and band.dtype == torch.float64 for band in bands) else torch.float32


def _round(x: Tensor) -> Tensor:
    """The nearest byte, halves up."""
    return x.add_(0.5).floor_().clamp_(0, 255)


# --- interpolation ---------------------------------------------------------------------------------------------


def axis_bands(
    x: Tensor,
    size: Sequence[int],
    out: Sequence[int],
    scales: Sequence[float] | None,
    mode: str,
    align_corners: bool,
    antialias: bool,
    channels_last: bool,
) -> list[Band | None]:
    """The bands of all axes for `x`, which may be the input or a gradient."""
    dtype = "float64" if x.dtype == torch.float64 else "float32"
    shortcuts = channels_last
    if mode in _PICKING:
        if x.device.type != "cpu":
            dtype, shortcuts = "float32", mode == "nearest-exact"
        elif len(out) == 2 and sum(out) <= 128:
            shortcuts = True
    factors = _per_axis(scales, out)
    return [
        interpolation.band(mode, int(n), int(m), f, align_corners, antialias, dtype, shortcuts)
        for n, m, f in zip(size, out, factors, strict=True)
    ]


def _per_axis(scales: Sequence[float] | None, size: Sequence[int]) -> Sequence[float | None]:
    return [None] * len(size) if scales is None else scales


def _read_channels_last(x: Tensor, mode: str) -> bool:
    """Whether torch would use its code for channels last, which rounds places in another way."""
    if mode not in _PICKING or x.dim() not in (4, 5) or x.shape[1] <= 3 or transforming():
        return False
    layout = torch.channels_last if x.dim() == 4 else torch.channels_last_3d
    return x.is_contiguous(memory_format=layout)


def _resize_bands(
    x: Tensor, size: Sizes, scales: Sequence[float] | None, mode: str, align_corners: bool, antialias: bool
) -> list[Band | None]:
    last = _read_channels_last(x, mode)
    return axis_bands(x, x.shape[2:], size, scales, mode, align_corners, antialias, last)


def _resize_definition(
    x: Tensor, size: Sizes, scales: Sequence[float] | None, mode: str, align_corners: bool, antialias: bool
) -> Tensor:
    if x.dtype == torch.uint8 and mode not in _PICKING:
        return _resize_bytes(x, size, scales, mode, align_corners, antialias)
    return _define(x, _resize_bands(x, size, scales, mode, align_corners, antialias))


def _resize_run(
    x: Tensor, size: Sizes, scales: Sequence[float] | None, mode: str, align_corners: bool, antialias: bool
) -> Tensor:
    if x.dtype == torch.uint8 and mode not in _PICKING:
        return _resize_bytes(x, size, scales, mode, align_corners, antialias)
    if mode not in _PICKING and x.dtype in _COMPILED and x.is_cpu and 0 < len(size) < 4:
        factors = None if scales is None else tuple(scales)
        matrices = _resize_matrices(tuple(x.shape[2:]), tuple(size), factors, mode, align_corners, antialias)
        found = compiled("resample", x, matrices)
        if found is not None:
            return found
    return _run(x, _resize_bands(x, size, scales, mode, align_corners, antialias))


@functools.lru_cache(maxsize=256)
def _resize_matrices(
    size: Sizes, out: Sizes, scales: Sequence[float] | None, mode: str, align_corners: bool, antialias: bool
) -> Matrices:
    """The bands of all axes, in float32, as a compiled kernel takes them."""
    factors = _per_axis(scales, out)
    return Matrices(
        size,
        [
            interpolation.band(mode, n, m, f, align_corners, antialias, "float32", False)
            for n, m, f in zip(size, out, factors, strict=True)
        ],
    )


def _resize_bytes(
    x: Tensor, size: Sizes, scales: Sequence[float] | None, mode: str, align_corners: bool, antialias: bool
) -> Tensor:
    bands = [
        interpolation.fixed_point(mode, int(n), int(m), f, align_corners, antialias)
        for n, m, f in zip(x.shape[2:], size, _per_axis(scales, size), strict=True)
    ]
    if not transforming():
        return _run(x, bands, as_bytes=True)
    y = x.to(_exact(bands))
    for i in _order(bands, last_first=True):
        y = _round(gather(y, 2 + i, bands[i]))  # type: ignore[arg-type]
    return y.to(x.dtype)


def _resize_shape(
    x: Tensor, size: Sizes, scales: Sequence[float] | None, mode: str, align_corners: bool, antialias: bool
) -> Tensor:
    return _empty(x, size)


def _resize_save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, _, *ctx.options = inputs
    ctx.size = tuple(x.shape[2:])
    ctx.channels_last = _read_channels_last(x, inputs[3])


def _resize_gradient(ctx: Any, g: Tensor) -> tuple[Any, ...]:
    return resize_adjoint(g, ctx.size, *ctx.options, ctx.channels_last), *(None,) * 5


def _adjoint_bands(
    g: Tensor,
    size: Sizes,
    scales: Sequence[float] | None,
    mode: str,
    align_corners: bool,
    antialias: bool,
    channels_last: bool,
) -> list[Band | None]:
    return transpose(axis_bands(g, size, g.shape[2:], scales, mode, align_corners, antialias, channels_last))


def _adjoint_definition(g: Tensor, *args: Any) -> Tensor:
    return _define(g, _adjoint_bands(g, *args))


def _adjoint_run(g: Tensor, *args: Any) -> Tensor:
    return _run(g, _adjoint_bands(g, *args))


def _adjoint_shape(g: Tensor, size: Sizes, *args: Any) -> Tensor:
    return _empty(g, size)


def _adjoint_save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    g, _, *ctx.options, ctx.channels_last = inputs
    ctx.out = tuple(g.shape[2:])


def _adjoint_gradient(ctx: Any, h: Tensor) -> tuple[Any, ...]:
    if ctx.options[1] in _PICKING and not transforming():  # the layout decides how places are rounded
        last = torch.channels_last if h.dim() == 4 else torch.channels_last_3d
        h = h.contiguous(memory_format=last if ctx.channels_last else torch.contiguous_format)
    return resize(h, ctx.out, *ctx.options), *(None,) * 6


def _aten_names(mode: str, axes: int, antialias: bool) -> str:
    if mode in _PICKING:
        return {"nearest": "upsample_nearest", "nearest-exact": "_upsample_nearest_exact"}[mode] + f"{axes}d"
    name = {1: "linear1d", 2: "bilinear2d", 3: "trilinear3d"}[axes] if mode == "linear" else f"bi{mode}2d"
    name = name.replace("bilanczos", "lanczos")
    return f"_upsample_{name}_aa" if antialias else f"upsample_{name}"


def _resize_aten(
    x: Tensor, size: Sizes, scales: Sequence[float] | None, mode: str, align_corners: bool, antialias: bool
) -> Tensor:
    operator = getattr(torch.ops.aten, _aten_names(mode, len(size), antialias))
    options = [] if mode in _PICKING else [align_corners]
    return operator(x, list(size), *options, *_per_axis(scales, size))


def _adjoint_aten(
    g: Tensor,
    size: Sizes,
    scales: Sequence[float] | None,
    mode: str,
    align_corners: bool,
    antialias: bool,
    channels_last: bool,
) -> Tensor:
    operator = getattr(torch.ops.aten, _aten_names(mode, len(size), antialias) + "_backward")
    options = [] if mode in _PICKING else [align_corners]
    shape = [*g.shape[:2], *size]
    return operator(g, list(g.shape[2:]), shape, *options, *_per_axis(scales, size))


resize = Operation(
    "resize",
    "(Tensor input, SymInt[] size, float[]? scales, str mode, bool align_corners, bool antialias) -> Tensor",
    definition=_resize_definition,
    shape=_resize_shape,
    run=_resize_run,
    save=_resize_save,
    gradient=_resize_gradient,
    aten=_resize_aten,
)

resize_adjoint = Operation(
    "resize_adjoint",
    "(Tensor grad, SymInt[] size, float[]? scales, str mode, bool align_corners, bool antialias, "
    "bool channels_last) -> Tensor",
    definition=_adjoint_definition,
    shape=_adjoint_shape,
    run=_adjoint_run,
    save=_adjoint_save,
    gradient=_adjoint_gradient,
    aten=_adjoint_aten,
)


# --- repetition ------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=128)
def _repeating(size: int, factor: int) -> Band:
    return Band(size, np.arange(size * factor)[:, None] // factor, np.ones((size * factor, 1), np.float32))


def _duplicate_bands(x: Tensor, factor: Sizes) -> list[Band | None]:
    return [_repeating(int(n), int(f)) if f > 1 else None for n, f in zip(x.shape[2:], factor, strict=True)]


def _duplicate_shape(x: Tensor, factor: Sizes) -> Tensor:
    return _empty(x, [n * f for n, f in zip(x.shape[2:], factor, strict=True)])


def _block_sum_bands(g: Tensor, factor: Sizes) -> list[Band | None]:
    sizes = zip(g.shape[2:], factor, strict=True)
    return transpose([_repeating(int(n) // int(f), int(f)) if f > 1 else None for n, f in sizes])


def _block_sum_shape(g: Tensor, factor: Sizes) -> Tensor:
    return _empty(g, [n // f for n, f in zip(g.shape[2:], factor, strict=True)])


def _save_factor(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.factor = inputs[1]


repeat_elements = Operation(
    "duplicate",
    "(Tensor input, SymInt[] factor) -> Tensor",
    definition=lambda x, factor: _define(x, _duplicate_bands(x, factor)),
    shape=_duplicate_shape,
    run=lambda x, factor: _run(x, _duplicate_bands(x, factor)),
    save=_save_factor,
    gradient=lambda ctx, g: (block_sum(g, ctx.factor), None),
)

block_sum: Operation = Operation(
    "block_sum",
    "(Tensor input, SymInt[] factor) -> Tensor",
    definition=lambda g, factor: _define(g, _block_sum_bands(g, factor)),
    shape=_block_sum_shape,
    run=lambda g, factor: _run(g, _block_sum_bands(g, factor)),
    save=_save_factor,
    gradient=lambda ctx, h: (repeat_elements(h, ctx.factor), None),
)


# --- bilinear with a border of zeros ------------------------------------------------------------------------------


@functools.lru_cache(maxsize=128)
def _tent(size: int, factor: int, dtype: str) -> Band | None:
    if factor == 1:
        return None
    before, rest = np.divmod(np.arange(size * factor), factor)
    share = (rest / factor).astype(dtype)
    count = np.where((rest == 0) | (before + 1 == size), 1, 2)
    return Band(size, np.stack([before, before + 1], 1), np.stack([1 - share, share], 1), count)


def _tents(x: Tensor, size: Sequence[int], factor: Sizes) -> list[Band | None]:
    dtype = "float64" if x.dtype in (torch.float64, torch.complex128) else "float32"
    return [_tent(int(n), int(f), dtype) for n, f in zip(size, factor, strict=True)]


def _zeros_bands(x: Tensor, factor: Sizes) -> list[Band | None]:
    return _tents(x, x.shape[2:], factor)


def _zeros_adjoint_bands(g: Tensor, factor: Sizes) -> list[Band | None]:
    return transpose(_tents(g, [n // f for n, f in zip(g.shape[2:], factor, strict=True)], factor))


bilinear_zeros = Operation(
    "upsample_bilinear_zeros",
    "(Tensor input, SymInt[] factor) -> Tensor",
    definition=lambda x, factor: _define(x, _zeros_bands(x, factor)),
    shape=_duplicate_shape,
    run=lambda x, factor: _run(x, _zeros_bands(x, factor)),
    save=_save_factor,
    gradient=lambda ctx, g: (bilinear_zeros_adjoint(g, ctx.factor), None),
)

bilinear_zeros_adjoint: Operation = Operation(
    "upsample_bilinear_zeros_adjoint",
    "(Tensor grad, SymInt[] factor) -> Tensor",
    definition=lambda g, factor: _define(g, _zeros_adjoint_bands(g, factor)),
    shape=_block_sum_shape,
    run=lambda g, factor: _run(g, _zeros_adjoint_bands(g, factor)),
    save=_save_factor,
    gradient=lambda ctx, h: (bilinear_zeros(h, ctx.factor), None),
)


# --- the public functions ----------------------------------------------------------------------------------------


def _check_mode(x: Tensor, mode: Any, align_corners: bool | None, antialias: bool) -> str:
    axes = x.dim() - 2
    kernel, dimensions = _MODES.get(mode, (None, ()))
    if mode in (*_PICKING, "area") and align_corners is not None:
        raise ValueError(f"Expected `align_corners` to be None for mode {mode!r}, but got {show(align_corners)}.")
    if antialias and (mode not in ("bilinear", "bicubic", "lanczos") or axes != 2):
        raise ValueError(
            "Expected mode 'bilinear', 'bicubic' or 'lanczos' and an input of 4 dimensions for `antialias`, "
            f"but got {mode!r} and shape {tuple(x.shape)}."
        )
    if kernel is None:
        raise NotImplementedError(f"Expected `mode` to be one of {', '.join(_MODES)}, but got {show(mode)}.")
    if axes not in dimensions:
        _wrong_dimensions(x, mode, dimensions)
    if mode == "lanczos" and (align_corners or not antialias):
        raise ValueError(
            "Expected `antialias` and no `align_corners` for mode 'lanczos', "
            f"but got antialias={antialias}, align_corners={align_corners}."
        )
    return kernel


def _wrong_dimensions(x: Tensor, mode: str, dimensions: Sequence[int]) -> NoReturn:
    needed = " or ".join(str(n + 2) for n in dimensions)
    raise NotImplementedError(
        f"Expected `input` of interpolate to have {needed} dimensions, (N, C, *size), for mode {mode!r}, "
        f"but got shape {tuple(x.shape)}."
    )


def _one_per_axis(value: Any, x: Tensor, name: str) -> list[Any]:
    axes = max(0, x.dim() - 2)
    if not isinstance(value, (list, tuple)):
        return [value] * axes
    if len(value) != axes:
        raise ValueError(
            f"Expected `{name}` of interpolate to be one number or {axes} of them for an input of shape "
            f"{tuple(x.shape)}, but got {show(value)}."
        )
    return list(value)


def _factors(scale_factor: Any, x: Tensor) -> list[float]:
    if type(scale_factor) is int and 0 < scale_factor < 2**31:
        return [float(scale_factor)] * max(0, x.dim() - 2)
    factors = _one_per_axis(scale_factor, x, "scale_factor")
    for factor in factors:
        if type(factor) not in (int, float) and not isinstance(factor, (numbers.Real, torch.SymFloat, torch.SymInt)):
            raise TypeError(f"Expected `scale_factor` of interpolate to be made of numbers, but got {show(factor)}.")
        magnitude: Any = abs(factor)
        if not magnitude < 2**31:
            raise RuntimeError(f"Expected `scale_factor` of interpolate to be finite, but got {show(scale_factor)}.")
    return [float(factor) for factor in factors]


def _times(n: int, factor: float) -> int:
    return n * int(factor) if factor.is_integer() else torch.sym_int(n * factor)


def _check_sizes(x: Tensor, out: Sizes) -> None:
    for n in (*x.shape[2:], *out):
        if n <= 0:
            raise RuntimeError(
                "Expected input and output of interpolate to have at least one element along every spatial axis, "
                f"but got {tuple(x.shape[2:])} and {tuple(out)}."
            )
    if x.shape[1] == 0:
        raise RuntimeError(f"Expected `input` of interpolate to have channels, but got shape {tuple(x.shape)}.")


def _check_dtype(x: Tensor, out: Sizes, mode: str, antialias: bool) -> None:
    accepted: tuple[torch.dtype, ...] = _REALS
    if antialias and x.device.type == "cpu":
        accepted = (torch.float32, torch.float64)
    if mode in (*_PICKING, "bilinear", "bicubic", "lanczos"):
        accepted = (*accepted, torch.uint8)
    if x.dtype in accepted:
        return
    names = ", ".join(str(dtype).removeprefix("torch.") for dtype in accepted)
    how = " with antialias" if antialias else ""
    if antialias and tuple(x.shape[2:]) == tuple(out):  # a copy, which torch allows where no gradient is asked for
        if not (x.requires_grad and torch.is_grad_enabled()):
            return
        how += " and gradient"
    kind = RuntimeError if x.is_complex() and how.endswith("gradient") else NotImplementedError
    raise kind(f"Expected `input` of interpolate to be {names} for mode {mode!r}{how}, but got {x.dtype}.")


def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resample to another size; along each axis an output is a weighted sum of a few elements of the input.

    With the scale s = input size / output size, or 1 / `scale_factor`, output o reads the input around the place

        (o + 1/2) s - 1/2     or, with `align_corners`,     o (in - 1) / (out - 1)

    | mode | dimensions of the input | reads |
    |---|---|---|
    | "nearest" | 3 to 5 | the element at floor(o s) |
    | "nearest-exact" | 3 to 5 | the element that is closest to the place |
    | "linear", "bilinear", "trilinear" | 3, 4, 5 | the two neighbours, by their distance |
    | "bicubic" | 4 | four neighbours, by Keys' cubic with a = -3/4 |
    | "lanczos" | 4 | six neighbours, by a windowed sinc; only with `antialias` |
    | "area" | 3 to 5 | the mean of all elements that belong to the output, as `adaptive_avg_pool` |

    Beyond the ends the last element repeats. With `antialias` the kernel (triangle, Keys' cubic with a = -1/2,
    windowed sinc) is stretched by s where s > 1, so that shrinking averages instead of leaving out elements, and
    elements beyond the ends do not count.

    Source: *Understanding Deep Learning*, section 10.4.2; R. Keys (1981). Same meaning as
    `torch.nn.functional.interpolate`. Bytes are computed in whole numbers and rounded after each axis.

    Args:
        input: (N, C, *size); bytes for the nearest modes, "bilinear", "bicubic" and "lanczos".
        size: output size, one number or one for each spatial axis.
        scale_factor: output size over input size, rounded down; instead of `size`.
        mode: see the table.
        align_corners: let the centres of the first and last elements of input and output coincide (linear, cubic).
        recompute_scale_factor: use the ratio of the sizes as scale, not `scale_factor` itself.
        antialias: stretch the kernel when shrinking.

    Returns:
        (N, C, *output size).

    Raises:
        ValueError: for arguments that exclude or need each other.
        NotImplementedError: for a mode that does not exist for this number of dimensions or dtype.
        RuntimeError: for sizes without elements.
        TypeError: for arguments of another type.

    >>> interpolate(torch.tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    >>> interpolate(torch.tensor([[[1.0, 2.0]]]), size=4, mode="linear")
    tensor([[[1.0000, 1.2500, 1.7500, 2.0000]]])
    >>> interpolate(torch.randn(8, 3, 28, 56), (128, 128), mode="bilinear", antialias=True).shape
    torch.Size([8, 3, 128, 128])
    """
    if has_torch_function_unary(input):
        return handle_torch_function(
            interpolate,
            (input,),
            input,
            size=size,
            scale_factor=scale_factor,
            mode=mode,
            align_corners=align_corners,
            recompute_scale_factor=recompute_scale_factor,
            antialias=antialias,
        )
    if not isinstance(input, Tensor):
        raise TypeError(f"Expected `input` of interpolate to be a tensor, but got {show(input)}.")
    if (size is None) == (scale_factor is None):
        what = "neither" if size is None else f"size={show(size)} and scale_factor={show(scale_factor)}"
        raise ValueError(f"Expected `size` or `scale_factor` of interpolate, one of the two, but got {what}.")
    if size is not None and recompute_scale_factor:
        raise ValueError("Expected `recompute_scale_factor` only together with `scale_factor`, but got a `size`.")
    scales = None
    if size is None:
        factors = _factors(scale_factor, input)
        kernel = _check_mode(input, mode, align_corners, antialias)
        out = tuple([_times(n, f) for n, f in zip(input.shape[2:], factors, strict=True)])
        if not recompute_scale_factor and mode != "area":
            scales = factors
    else:
        sizes = _one_per_axis(size, input, "size")
        kernel = _check_mode(input, mode, align_corners, antialias)
        out = to_sizes(sizes, len(sizes), "size")
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[len(out) - 1](input, out)
    _check_sizes(input, out)
    _check_dtype(input, out, mode, antialias)
    if input.device.type in ("cuda", "xpu") and autocasting(input.device.type) and input.dtype in _HALVES:
        input = input.float()  # as torch's autocast does there, but not on a CPU
    return resize(input, out, scales, kernel, bool(align_corners), bool(antialias))


def _check_own(x: Any, factor: Any, name: str) -> Sizes:
    if not isinstance(x, Tensor):
        raise TypeError(f"Expected `input` of {name} to be a tensor, but got {show(x)}.")
    if x.dim() < 3:
        raise RuntimeError(
            f"Expected `input` of {name} to have at least 3 dimensions, (N, C, *size), but got shape {tuple(x.shape)}."
        )
    return to_sizes(factor, x.dim() - 2, "factor", least=1)


def duplicate(input: Tensor, factor: Any = 2) -> Tensor:
    """Enlarge by repeating each element along every spatial axis.

        y[n, c, o] = x[n, c, floor(o / factor)]

    Source: *Understanding Deep Learning*, section 10.4.2, figure 10.12a; notebook 10.4, `duplicate`. The same as
    `interpolate` in mode "nearest" by a whole number, in any dtype and number of dimensions.

    Args:
        input: (N, C, *size).
        factor: output size over input size, one whole number or one for each spatial axis.

    Returns:
        (N, C, *size * factor).

    Raises:
        RuntimeError: for a factor below 1, or an input without spatial axes.
        TypeError: for arguments of another type.

    >>> duplicate(torch.tensor([[[[1, 2], [3, 4]]]]))
    tensor([[[[1, 1, 2, 2],
              [1, 1, 2, 2],
              [3, 3, 4, 4],
              [3, 3, 4, 4]]]])
    """
    if has_torch_function_unary(input):
        return handle_torch_function(duplicate, (input,), input, factor=factor)
    return repeat_elements(input, _check_own(input, factor, "duplicate"))


def upsample_bilinear_zeros(input: Tensor, factor: Any = 2) -> Tensor:
    """Enlarge linearly; beyond the last element of each axis the input counts as zero.

    Along each axis output o reads the input at o / factor, between the elements before and behind:

        y[o] = (1 - r) x[i] + r x[i + 1],     i = floor(o / factor),   r = o / factor - i,   x[size] = 0

    Every factor-th output is an element of the input, and the last ones fade to zero. It is the transposed
    convolution of each channel with a tent of width 2 factor - 1.

    Source: *Understanding Deep Learning*, section 10.4.2, figure 10.12c; notebook 10.4, `bilinear` (the notebook's
    rounding concerns the index of the neighbour, not the value).

    Args:
        input: (N, C, *size), floating or complex.
        factor: output size over input size, one whole number or one for each spatial axis.

    Returns:
        (N, C, *size * factor).

    Raises:
        RuntimeError: for a factor below 1, or an input without spatial axes.
        NotImplementedError: for an input of whole numbers.
        TypeError: for arguments of another type.

    >>> upsample_bilinear_zeros(torch.tensor([[[6.0, 8.0]]]))
    tensor([[[6., 7., 8., 4.]]])
    """
    if has_torch_function_unary(input):
        return handle_torch_function(upsample_bilinear_zeros, (input,), input, factor=factor)
    factors = _check_own(input, factor, "upsample_bilinear_zeros")
    if not (input.is_floating_point() or input.is_complex()):
        raise NotImplementedError(
            f"Expected `input` of upsample_bilinear_zeros to be floating or complex, but got {input.dtype}."
        )
    return bilinear_zeros(input, factors)
