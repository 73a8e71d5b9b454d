"""Interpolation in any number of dimensions.

It is linear and separable: one banded matrix along each spatial axis, one axis after the other.
`lightconv.functional.interpolation` says which matrix a mode is, `lightconv.functional.separable` how they are applied.
A linear map is its own derivative, and that of its adjoint is the map again, so that the operation comes with its
adjoint and the two give the derivatives of any order.
"""

import functools
import numbers
from collections.abc import Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

from lightconv.functional import interpolation
from lightconv.functional.adaptive_avg_pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from lightconv.functional.bands import Band, gather, transpose
from lightconv.functional.dispatch import Operation, autocasting, compiled, transforming
from lightconv.functional.geometry import Sizes, show, to_sizes, to_truth
from lightconv.functional.separable import COMPILED, HALVES, define, exact_dtype, new_banded, order_of, round_bytes, run
from lightconv.kernels.resampling import Matrices

__all__ = ["interpolate"]

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
_REALS = (torch.float32, torch.float64, *HALVES)


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
    return define(x, _resize_bands(x, size, scales, mode, align_corners, antialias))


def _resize_run(
    x: Tensor, size: Sizes, scales: Sequence[float] | None, mode: str, align_corners: bool, antialias: bool
) -> Tensor:
    if x.dtype == torch.uint8 and mode not in _PICKING:
        return _resize_bytes(x, size, scales, mode, align_corners, antialias)
    if mode not in _PICKING and x.dtype in COMPILED and x.is_cpu and 0 < len(size) < 4:
        factors = None if scales is None else tuple(scales)
        matrices = _resize_matrices(tuple(x.shape[2:]), tuple(size), factors, mode, align_corners, antialias)
        found = compiled("resample", x, matrices)
        if found is not None:
            return found
    return run(x, _resize_bands(x, size, scales, mode, align_corners, antialias))


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
        return run(x, bands, as_bytes=True)
    y = x.to(exact_dtype(bands))
    for i in order_of(bands, last_first=True):
        y = round_bytes(gather(y, 2 + i, bands[i]))  # type: ignore[arg-type]
    return y.to(x.dtype)


def _resize_shape(
    x: Tensor, size: Sizes, scales: Sequence[float] | None, mode: str, align_corners: bool, antialias: bool
) -> Tensor:
    return new_banded(x, size)


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
    return define(g, _adjoint_bands(g, *args))


def _adjoint_run(g: Tensor, *args: Any) -> Tensor:
    return run(g, _adjoint_bands(g, *args))


def _adjoint_shape(g: Tensor, size: Sizes, *args: Any) -> Tensor:
    return new_banded(g, size)


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


# --- the public functions ----------------------------------------------------------------------------------------


def _check_mode(x: Tensor, mode: Any, align_corners: bool | None, antialias: bool) -> str:
    axes = x.dim() - 2
    kernel, dimensions = _MODES.get(mode, (None, ())) if isinstance(mode, str) else (None, ())
    if kernel is None:
        raise NotImplementedError(f"Expected `mode` to be one of {', '.join(_MODES)}, but got {show(mode)}.")
    if mode in (*_PICKING, "area") and align_corners is not None:
        raise ValueError(f"Expected `align_corners` to be None for mode {mode!r}, but got {show(align_corners)}.")
    if antialias and (mode not in ("bilinear", "bicubic", "lanczos") or axes != 2):
        raise ValueError(
            "Expected mode 'bilinear', 'bicubic' or 'lanczos' and an input of 4 dimensions for `antialias`, "
            f"but got {mode!r} and shape {tuple(x.shape)}."
        )
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
    antialias = to_truth(antialias, "antialias")
    recompute_scale_factor = to_truth(recompute_scale_factor, "recompute_scale_factor")
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
    if input.device.type in ("cuda", "xpu") and autocasting(input.device.type) and input.dtype in HALVES:
        input = input.float()  # as torch's autocast does there, but not on a CPU
    return resize(input, out, scales, kernel, bool(align_corners), bool(antialias))
