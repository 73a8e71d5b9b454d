"""Operations that torch does not have under one name; each beside an expression of torch that gives the same."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from contract import DTYPES, FLOATS, Call, Layer, Operation, call, few, normal, odd
from torch import Tensor, nn

SIZE = {1: (7,), 2: (5, 4), 3: (3, 2, 4)}
COPIED = tuple(dtype for dtype in DTYPES if dtype not in (torch.complex32, torch.float8_e4m3fn))
AXES = {1: "1d", 2: "2d", 3: "3d"}


def each(n: int, *values: int) -> tuple[int, ...]:
    """The first n of the values: one an axis."""
    return values[:n]


def _spread(value: int | Sequence[int], n: int) -> tuple[int, ...]:
    return (value,) * n if isinstance(value, int) else tuple(value) * (n if len(value) == 1 else 1)


def subsample(input: Tensor, stride: int | Sequence[int] = 2) -> Tensor:
    steps = _spread(stride, input.dim() - 2)
    return input[(slice(None), slice(None), *(slice(None, None, step) for step in steps))].clone()


def duplicate(input: Tensor, factor: int | Sequence[int] = 2) -> Tensor:
    for axis, times in enumerate(_spread(factor, input.dim() - 2), 2):
        input = input.repeat_interleave(times, axis)
    return input


def upsample_bilinear_zeros(input: Tensor, factor: int | Sequence[int] = 2) -> Tensor:
    """One axis after another: a transposed convolution of every channel with a tent, out of autocast's reach."""
    if torch.is_autocast_enabled("cpu"):
        with torch.autocast("cpu", enabled=False):
            return upsample_bilinear_zeros(input, factor)
    for axis, f in enumerate(_spread(factor, input.dim() - 2), 2):
        tent = 1 - torch.arange(1 - f, f, device=input.device).abs().to(input.dtype) / f
        rows = input.movedim(axis, -1)
        wide = F.conv_transpose1d(rows.reshape(-1, 1, rows.shape[-1]), tent[None, None], stride=f)
        wide = wide[..., f - 1 :].reshape(*rows.shape[:-1], rows.shape[-1] * f)
        input = wide.movedim(-1, axis)
    return input


def conv_max_pool_relu(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    pool_size: Any = 2,
) -> Tensor:
    return F.relu(F.max_pool2d(F.conv2d(input, weight, bias, stride, padding, dilation, groups), pool_size))


def scaled(n: int, option: str) -> dict[str, Call]:
    size = SIZE[n]
    x = normal(2, 3, *size)
    return {
        "plain": call(normal(2, 1, *size)),
        "an axis each": call(normal(1, 2, *size), each(n, 2, 3, 1)),
        "three": call(x, 3),
        "one": call(x, 1),
        "list": call(x, [2] * n),
        "by keyword": call(input=x, **{option: 2}),
        "large": call(x, 9),
        "one element": call(normal(2, 3, *(1,) * n)),
        "batch of one": call(normal(1, 1, *size)),
        "empty batch": call(normal(0, 3, *size)),
    }


def fused() -> dict[str, Call]:
    x, w, b = normal(2, 3, 9, 8), normal(4, 3, 3, 3), normal(4)
    return {
        "plain": call(x, w, b),
        "no bias": call(x, w),
        "everything": call(normal(2, 4, 11, 12), normal(6, 2, 2, 3), normal(6), (2, 1), (1, 2), (1, 2), 2, (2, 3)),
        "one channel, 5x5": call(normal(2, 1, 14, 13), normal(10, 1, 5, 5), normal(10)),
        "pool_size 3": call(x, w, b, pool_size=3),
        "pool_size 1": call(x, w, b, pool_size=1),
        "same": call(x, w, b, padding="same"),
        "stride and padding": call(x, w, b, stride=2, padding=1),
        "depthwise": call(x, normal(6, 1, 3, 3), normal(6), groups=3),
        "ties": call(few(2, 2, 8, 8), few(3, 2, 2, 2), few(3)),
        "NaN and infinity": call(odd(2, 3, 9, 8), normal(4, 3, 1, 1), b),
        "unbatched": call(normal(3, 9, 8), w, b),
        "empty batch": call(normal(0, 3, 9, 8), w, b),
        "by keyword": call(input=x, weight=w, bias=b, stride=1, padding=0, dilation=1, groups=1, pool_size=2),
    }


def fused_errors() -> dict[str, tuple[Call, str | None]]:
    x, w, b = normal(2, 3, 9, 8), normal(4, 3, 3, 3), normal(4)
    return {
        "too few axes": (call(normal(9, 8), w, b), "input"),
        "other number of channels": (call(normal(2, 5, 9, 8), w, b), "input"),
        "stride zero": (call(x, w, b, stride=0), "stride"),
        "pool_size zero": (call(x, w, b, pool_size=0), "pool_size"),
        "pool_size larger than the convolution's output": (call(x, w, b, pool_size=9), None),
        "bias of another length": (call(x, w, normal(5)), "bias"),
        "kernel larger than the input": (call(x, normal(4, 3, 12, 12), b), None),
    }


OPERATIONS = [
    *(
        Operation(
            "subsample",
            n,
            scaled(n, "stride"),
            signature="input, stride=2",
            theirs=subsample,
            label=AXES[n],
            dtypes=COPIED,
            exact=True,
        )
        for n in AXES
    ),
    *(
        Operation(
            "duplicate",
            n,
            scaled(n, "factor"),
            signature="input, factor=2",
            theirs=duplicate,
            label=AXES[n],
            dtypes=COPIED,
            exact=True,
        )
        for n in AXES
    ),
    *(
        Operation(
            "upsample_bilinear_zeros",
            n,
            scaled(n, "factor"),
            signature="input, factor=2",
            theirs=upsample_bilinear_zeros,
            label=AXES[n],
            dtypes=FLOATS,
        )
        for n in AXES
    ),
    Operation(
        "conv_max_pool_relu",
        2,
        fused(),
        fused_errors(),
        signature="input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, pool_size=2",
        theirs=conv_max_pool_relu,
        dtypes=FLOATS,
        large=call(normal(32, 8, 20, 20), normal(8, 8, 5, 5), normal(8)),
    ),
]


class Subsample(nn.Module):
    def __init__(self, stride: int | Sequence[int] = 2) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        return subsample(input, self.stride)

    def extra_repr(self) -> str:
        return f"stride={self.stride}"


class Duplicate(nn.Module):
    def __init__(self, factor: int | Sequence[int] = 2) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, input: Tensor) -> Tensor:
        return duplicate(input, self.factor)

    def extra_repr(self) -> str:
        return f"factor={self.factor}"


class BilinearZeros(Duplicate):
    def forward(self, input: Tensor) -> Tensor:
        return upsample_bilinear_zeros(input, self.factor)


class ConvMaxPoolReLU(nn.Conv2d):
    def __init__(self, *args: Any, pool_size: Any = 2, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pool_size = pool_size

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(F.max_pool2d(super().forward(input), self.pool_size))

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, pool_size={self.pool_size}"


def scaled_modules(option: str) -> dict[str, tuple[Call, Call]]:
    return {
        **{f"{n}-D": (call(), call(normal(2, 3, *SIZE[n]))) for n in AXES},
        "three": (call(3), call(normal(2, 3, 5, 6))),
        "an axis each": (call((1, 3)), call(normal(2, 3, 5, 6))),
        "by keyword": (call(**{option: 2}), call(normal(2, 3, 5, 6))),
    }


LAYERS = [
    Layer("Subsample", scaled_modules("stride"), theirs=Subsample),
    Layer("Duplicate", scaled_modules("factor"), theirs=Duplicate),
    Layer("BilinearZeros", scaled_modules("factor"), theirs=BilinearZeros),
    Layer(
        "ConvMaxPoolReLU",
        {
            "plain": (call(3, 4, 3), call(normal(2, 3, 9, 8))),
            "no bias": (call(3, 4, 2, bias=False), call(normal(2, 3, 9, 8))),
            "pool_size 3": (call(3, 4, 3, padding=1, pool_size=3), call(normal(2, 3, 9, 8))),
            "everything": (
                call(4, 6, (2, 3), stride=(2, 1), padding=1, dilation=(1, 2), groups=2, pool_size=(2, 3)),
                call(normal(2, 4, 11, 12)),
            ),
            "same": (call(3, 4, 3, padding="same"), call(normal(2, 3, 9, 8))),
            "circular": (call(3, 4, 3, padding=1, padding_mode="circular"), call(normal(2, 3, 9, 8))),
            "unbatched": (call(3, 4, 3), call(normal(3, 9, 8))),
        },
        {"groups do not divide": (call(4, 6, 3, groups=3), "in_channels")},
        theirs=ConvMaxPoolReLU,
    ),
]
