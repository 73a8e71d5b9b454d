"""Linear layers in one form: which element of the output reads which element of the input, along each axis.

A convolution reads, for its output o and tap t, the input at s * o + p[t]; a transposed convolution writes, from its
input o, to the output at s * o + p[t]. The places p, the stride s and one number for the output's size are all that
matters along an axis. At stride 1 the two are the same with the signs of p turned round.

Average pooling, and batch normalisation in evaluation mode, are convolutions that treat every channel by itself.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

import lightconv.nn
from lightconv.functional.geometry import Sizes, conv_pads, numel, same_pads, to_sizes, window_span
from lightconv.functional.windows import taps
from lightconv.surgery.pairs import computes_as

CONVOLUTIONS = {getattr(nn, f"Conv{kind}{n}d"): n for kind in ("", "Transpose") for n in (1, 2, 3)}
AVERAGES = {nn.AvgPool1d: 1, nn.AvgPool2d: 2, nn.AvgPool3d: 3}
NORMS = {nn.BatchNorm1d: 1, nn.BatchNorm2d: 2, nn.BatchNorm3d: 3, nn.SyncBatchNorm: None}


@dataclass(frozen=True)
class Axis:
    """One spatial axis.

    - `stride`: s;
    - `places`: p[t] for each tap;
    - `size`: c, where n inputs give (n + c) // s + 1 outputs, or (n - 1) s + c if transposed.
    """

    stride: int
    places: tuple[int, ...]
    size: int

    def length(self, n: int, transposed: bool) -> int:
        """Number of outputs for n inputs."""
        return (n - 1) * self.stride + self.size if transposed else (n + self.size) // self.stride + 1

    def turned(self, transposed: bool) -> "Axis":
        """The same map at stride 1 as a transposed convolution, or back (`transposed`: what it is now)."""
        return Axis(1, tuple(-p for p in self.places), self.size + (-2 if transposed else 2))


@dataclass(frozen=True)
class Linear:
    """A linear layer.

    - `transposed`: whether it writes its places, or reads them;
    - `weight`: (C_out, C_in / groups, taps in row order over the axes);
    - `padding_mode`: what lies outside of the input; "zeros" unless a convolution reads there and says otherwise.
    """

    transposed: bool
    weight: Tensor
    bias: Tensor | None
    groups: int
    axes: tuple[Axis, ...]
    padding_mode: str = "zeros"


def conv_like(module: nn.Module) -> bool:
    """Whether the module is a convolution or transposed convolution that computes as torch.nn's does."""
    return computes_as(module, *CONVOLUTIONS) is not None


def norm_like(module: nn.Module) -> bool:
    """Whether the module is a batch normalisation that computes as torch.nn's does."""
    return computes_as(module, *NORMS) is not None


def refusal(module: nn.Module) -> str:
    """Why the module is not a linear layer of a known kind, or an empty sentence."""
    name = type(module).__name__
    if any(is_lazy(p) for p in module.parameters()):
        return f"{name} has parameters that are not initialised; run it once"
    if any(p.is_meta for p in module.parameters()):
        return f"{name} has parameters on the meta device, which have no values"
    if conv_like(module):
        return ""
    if norm_like(module):
        if module.training:
            return f"{name} in training mode depends on the batch; call eval() first"
        return "" if module.running_mean is not None else f"{name} keeps no running statistics"
    kind = computes_as(module, *AVERAGES)
    if kind is not None:
        padded = any(to_sizes(module.padding, AVERAGES[kind], "padding"))
        if module.ceil_mode or (padded and not module.count_include_pad):
            return f"{name} divides by other numbers at the border (ceil_mode, or count_include_pad=False)"
        return ""
    return f"{name} is not a convolution, a transposed convolution, AvgPool, or BatchNorm in evaluation mode"


def spatial(module: nn.Module) -> int | None:
    """Number of spatial axes of a linear layer; None if it takes any."""
    kind = computes_as(module, *CONVOLUTIONS, *AVERAGES, *NORMS)
    return {**CONVOLUTIONS, **AVERAGES, **NORMS}[kind]


def linear(module: nn.Module, channels: int, axes: int, dtype: torch.dtype) -> Linear:
    """The form of a layer that `refusal` has nothing against; weights in `dtype`, detached, on the CPU.

    Args:
        channels: channels of its input, where the layer does not say.
        axes: spatial axes, where the layer does not say.
    """
    if conv_like(module):
        return _of_conv(module, dtype)
    if norm_like(module):
        scale, shift = norm_affine(module, dtype)
        return Linear(False, scale.reshape(-1, 1, 1), shift, len(scale), (Axis(1, (0,), -1),) * axes)
    kernel, stride, padding = (
        to_sizes(getattr(module, name), axes, name) for name in ("kernel_size", "stride", "padding")
    )
    divisor = getattr(module, "divisor_override", None) or numel(kernel)
    weight = torch.full((channels, 1, numel(kernel)), 1 / divisor, dtype=dtype)
    return Linear(False, weight, None, channels, _reading(kernel, stride, padding * 2, (1,) * axes))


def norm_affine(norm: Any, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Batch normalisation in evaluation mode as scale * x + shift, for each channel."""
    mean, variance = (value.detach().to("cpu", dtype) for value in (norm.running_mean, norm.running_var))
    scale = torch.rsqrt(variance + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight.detach().to("cpu", dtype)
    shift = -mean * scale
    return scale, shift if norm.bias is None else shift + norm.bias.detach().to("cpu", dtype)


def _reading(kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes) -> tuple[Axis, ...]:
    axes = len(kernel)
    span = window_span(kernel, dilation)
    return tuple(
        Axis(
            stride[i],
            tuple(dilation[i] * t - pads[i] for t in range(kernel[i])),
            pads[i] + pads[axes + i] - span[i],
        )
        for i in range(axes)
    )


def _of_conv(module: Any, dtype: torch.dtype) -> Linear:
    kernel, stride, dilation, groups = module.kernel_size, module.stride, module.dilation, module.groups
    weight = module.weight.detach().to("cpu", dtype)
    bias = None if module.bias is None else module.bias.detach().to("cpu", dtype)
    if not module.transposed:
        pads = conv_pads(module.padding, kernel, stride, dilation)
        mode = module.padding_mode if any(pads) else "zeros"
        return Linear(False, weight.flatten(2), bias, groups, _reading(kernel, stride, pads, dilation), mode)
    padding, rest = module.padding, module.output_padding
    span = window_span(kernel, dilation)
    axes = tuple(
        Axis(
            stride[i],
            tuple(dilation[i] * t - int(padding[i]) for t in range(kernel[i])),
            span[i] - 2 * int(padding[i]) + rest[i],
        )
        for i in range(len(kernel))
    )
    return Linear(True, swapped(weight.flatten(2), groups), bias, groups, axes)


def swapped(weight: Tensor, groups: int) -> Tensor:
    """(C_in, C_out / groups, taps) as (C_out, C_in / groups, taps), or the other way round."""
    rows, columns, k = weight.shape
    return weight.reshape(groups, rows // groups, columns, k).transpose(1, 2).reshape(groups * columns, -1, k)


def layer(form: Linear, like: nn.Module) -> nn.Module:
    """A layer of lightconv.nn that computes the form, with the dtype, device and mode of `like`.

    Amounts of padding that differ between the ends of an axis have no place in a layer (other than "same"): the
    kernel is made longer by zeros instead.
    """
    geometry = [_geometry(axis, form.transposed, even=True) for axis in form.axes]
    padding: Any = tuple(g.low for g in geometry)
    if not form.transposed and all(axis.stride == 1 for axis in form.axes):
        natural = [_geometry(axis, False, even=False) for axis in form.axes]
        pads = (*(g.low for g in natural), *(g.high for g in natural))
        uneven = any(g.low != g.high for g in natural)
        if uneven and pads == same_pads(tuple(g.kernel for g in natural), tuple(g.dilation for g in natural)):
            geometry, padding = natural, "same"
    kernel = tuple(g.kernel for g in geometry)
    options: dict[str, object] = {"output_padding": tuple(g.low - g.high for g in geometry)}
    if not form.transposed:
        options = {"padding_mode": form.padding_mode}
    inputs = form.weight.shape[1] * form.groups
    kind = getattr(lightconv.nn, f"Conv{'Transpose' if form.transposed else ''}{len(form.axes)}d")
    parameter = next(like.parameters())
    result = kind(
        inputs,
        form.weight.shape[0],
        kernel,
        stride=tuple(axis.stride for axis in form.axes),
        padding=padding,
        dilation=tuple(g.dilation for g in geometry),
        groups=form.groups,
        bias=form.bias is not None,
        device=parameter.device,
        dtype=parameter.dtype,
        **options,
    )
    numbers = [{p: i for i, p in enumerate(axis.places)} for axis in form.axes]
    counts = [len(axis.places) for axis in form.axes]
    weight = form.weight.new_zeros(*form.weight.shape[:2], numel(kernel))
    for number, tap in enumerate(taps(kernel)):
        old = [at.get(g.first + g.dilation * t) for at, g, t in zip(numbers, geometry, tap, strict=True)]
        if None not in old:
            weight[:, :, number] = form.weight[:, :, row_number(old, counts)]
    if form.transposed:
        weight = swapped(weight, form.groups)
    with torch.no_grad():
        result.weight.copy_(weight.reshape(result.weight.shape))
        if form.bias is not None:
            result.bias.copy_(form.bias)
    return result.requires_grad_(any(p.requires_grad for p in like.parameters())).train(like.training)


def row_number(index: Sequence[Any], sizes: Sequence[int]) -> int:
    """Position, in row order, of the element at `index` of an array of `sizes`."""
    number = 0
    for i, n in zip(index, sizes, strict=True):
        number = number * n + i
    return number


@dataclass(frozen=True)
class _Geometry:
    """One axis as a layer has it: padding at both ends, kernel size, dilation, place of the first tap."""

    low: int
    high: int
    kernel: int
    dilation: int
    first: int


def _geometry(axis: Axis, transposed: bool, even: bool) -> _Geometry:
    """One axis as a layer has it.

    With `even`, the kernel is made longer until the amounts of padding are equal, or, if transposed, differ by an
    output padding that is allowed.
    """
    first, last = min(axis.places), max(axis.places)
    low = -first
    high = axis.size + first + (last - first + 1)
    if transposed:
        high = last + 1 - axis.size
    before = after = 0
    if even:
        before = max(0, -low)
        if transposed:
            before += max(0, high - (low + before))
            rest = low + before - high
            after = rest if rest >= axis.stride else 0
        else:
            after = max(0, -high)
            before += max(0, high + after - (low + before))
            after += max(0, low + before - (high + after))
    gaps = [p - first for p in axis.places] + [before, after]
    dilation = math.gcd(*gaps) or 1
    kernel = (last - first + before + after) // dilation + 1
    return _Geometry(low + before, high + after, kernel, dilation, first - before)
