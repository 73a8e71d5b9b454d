"""Unfold and fold: torch's for pictures, and the same in one and three dimensions."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from contract import Call, Layer, Operation, call, normal, odd
from torch import Tensor

SIZE = {1: (9,), 2: (6, 7), 3: (4, 5, 3)}
KERNEL = {1: (3,), 2: (3, 2), 3: (2, 3, 2)}


def each(n: int, *values: int) -> tuple[int, ...]:
    """The first n of the values: one an axis."""
    return values[:n]


def _spread(value: Any, n: int) -> tuple[int, ...]:
    return (value,) * n if isinstance(value, int) else tuple(value) * (n if len(value) == 1 else 1)


def unfold_in_n(
    input: Tensor,
    kernel_size: Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Tensor:
    """The truth where torch has none: every tap of the kernel is a strided slice of the padded input."""
    F.unfold(input.new_zeros(1, 1, 1, 1), 1)  # raises for dtypes that torch does not unfold
    n = len(kernel_size)
    if input.dim() == n + 1:
        return unfold_in_n(input[None], kernel_size, dilation, padding, stride)[0]
    d, p, s = (_spread(v, n) for v in (dilation, padding, stride))
    spatial = input.shape[2:]
    count = [(spatial[a] + 2 * p[a] - d[a] * (kernel_size[a] - 1) - 1) // s[a] + 1 for a in range(n)]
    if min(count) < 1:
        raise RuntimeError("the kernel is larger than the padded input")
    padded = input.new_zeros(*input.shape[:2], *(spatial[a] + 2 * p[a] for a in range(n)))
    padded[(..., *(slice(p[a], p[a] + spatial[a]) for a in range(n)))] = input
    taps = []
    for k in itertools.product(*(range(size) for size in kernel_size)):
        taps.append(
            padded[(..., *(slice(k[a] * d[a], k[a] * d[a] + s[a] * (count[a] - 1) + 1, s[a]) for a in range(n)))]
        )
    return torch.stack(taps, 2).reshape(input.shape[0], input.shape[1] * len(taps), math.prod(count))


def fold_in_n(
    input: Tensor,
    output_size: Sequence[int],
    kernel_size: Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Tensor:
    """The truth where torch has none: the transpose of `unfold_in_n`, which says to which element each entry goes."""
    F.fold(input.new_zeros(1, 1, 1), 1, 1)  # raises for dtypes that torch does not fold
    if input.dim() == 2:
        return fold_in_n(input[None], output_size, kernel_size, dilation, padding, stride)[0]
    channels, rest = divmod(input.shape[1], math.prod(kernel_size))
    places = torch.arange(1, math.prod(output_size) + 1, dtype=torch.float64, device=input.device).reshape(
        1, 1, *output_size
    )
    where = unfold_in_n(places, kernel_size, dilation, padding, stride).long().reshape(-1)
    if rest or input.shape[2] * math.prod(kernel_size) != len(where):
        raise RuntimeError("the input is not made of windows")
    columns = input.reshape(input.shape[0], channels, where.shape[0])
    out = input.new_zeros(input.shape[0], channels, math.prod(output_size) + 1)  # the first collects the padding
    return out.index_add(2, where, columns)[..., 1:].reshape(input.shape[0], channels, *output_size)


def unfoldings(n: int) -> dict[str, Call]:
    size, kernel = SIZE[n], KERNEL[n]
    x = normal(2, 3, *size)
    cases = {
        "all different": call(x, kernel, each(n, 1, 2, 1), each(n, 2, 1, 0), each(n, 3, 1, 2)),
        "plain": call(x, kernel),
        "stride": call(x, kernel, stride=2),
        "padding": call(x, kernel, padding=1),
        "dilation": call(x, (2,) * n, dilation=2),
        "kernel of one element": call(x, (1,) * n),
        "kernel as large as the input": call(x, size),
        "lists": call(x, [2] * n, [1] * n, [1] * n, [2] * n),
        "by keyword": call(input=x, kernel_size=kernel, dilation=1, padding=0, stride=1),
        "NaN and infinity": call(odd(2, 3, *size), kernel, padding=1),
        "unbatched": call(normal(3, *size), kernel, padding=1),
        "empty batch": call(normal(0, 3, *size), kernel),
        "batch of one": call(normal(1, 1, *size), kernel),
    }
    if n == 2:
        cases["one number"] = call(x, 2, 2, 1, 2)
    return cases


def foldings(n: int) -> dict[str, Call]:
    size, kernel = SIZE[n], KERNEL[n]

    def columns(batch: tuple[int, ...], options: dict[str, Any], kernel: Sequence[int] = kernel) -> Any:
        shape = unfold_in_n(torch.zeros(1, 1, *size), kernel, **options).shape
        return normal(*batch, 3 * shape[1], shape[2])

    different = {"dilation": each(n, 1, 2, 1), "padding": each(n, 2, 1, 0), "stride": each(n, 3, 1, 2)}
    cases = {
        "all different": call(columns((2,), different), size, kernel, **different),
        "plain": call(columns((2,), {}), size, kernel),
        "stride": call(columns((2,), {"stride": 2}), size, kernel, stride=2),
        "stride larger than the kernel": call(columns((2,), {"stride": 4}), size, kernel, stride=4),
        "padding": call(columns((2,), {"padding": 1}), size, kernel, padding=1),
        "dilation": call(columns((2,), {"dilation": 2}, (2,) * n), size, (2,) * n, dilation=2),
        "kernel of one element": call(columns((2,), {}, (1,) * n), size, (1,) * n),
        "kernel as large as the output": call(columns((2,), {}, size), size, size),
        "lists": call(columns((2,), {}), list(size), list(kernel), [1] * n, [0] * n, [1] * n),
        "by keyword": call(
            input=columns((2,), {}), output_size=size, kernel_size=kernel, dilation=1, padding=0, stride=1
        ),
        "unbatched": call(columns((), {"padding": 1}), size, kernel, padding=1),
        "empty batch": call(columns((0,), {}), size, kernel),
    }
    if n == 2:
        cases["one number"] = call(normal(2, 12, 9), 6, 2, 1, 0, 2)
    return cases


def unfold_errors() -> dict[str, tuple[Call, str | None]]:
    x = normal(2, 3, 6, 7)
    return {
        "too few axes": (call(normal(6, 7), 2), "input"),
        "too many axes": (call(normal(2, 3, 4, 5, 6), 2), "input"),
        "kernel zero": (call(x, 0), "kernel_size"),
        "negative kernel": (call(x, (2, -1)), "kernel_size"),
        "stride zero": (call(x, 2, stride=0), "stride"),
        "dilation zero": (call(x, 2, dilation=0), "dilation"),
        "negative padding": (call(x, 2, padding=-1), "padding"),
        "too many strides": (call(x, 2, stride=(1, 1, 1)), "stride"),
        "kernel larger than the input": (call(x, 9), None),
        "no channels": (call(normal(2, 0, 6, 7), 2), None),
        "an empty axis": (call(normal(2, 3, 0, 7), 2), None),
        "input is a list": (call([1.0], 2), "input"),
        "fractional kernel": (call(x, 2.5), "kernel_size"),
    }


def fold_errors() -> dict[str, tuple[Call, str | None]]:
    return {
        "too few axes": (call(normal(9), (6, 6), 2), "input"),
        "too many axes": (call(normal(2, 3, 4, 5), (6, 6), 2), "input"),
        "channels that do not divide": (call(normal(2, 13, 25), (6, 6), 2), "input"),
        "other number of windows": (call(normal(2, 12, 24), (6, 6), 2), None),
        "kernel zero": (call(normal(2, 12, 25), (6, 6), 0), "kernel_size"),
        "stride zero": (call(normal(2, 12, 25), (6, 6), 2, stride=0), "stride"),
        "dilation zero": (call(normal(2, 12, 25), (6, 6), 2, dilation=0), "dilation"),
        "negative padding": (call(normal(2, 12, 25), (6, 6), 2, padding=-1), "padding"),
        "output_size zero": (call(normal(2, 12, 25), (0, 6), 2), "output_size"),
        "too many output sizes": (call(normal(2, 12, 25), (6, 6, 6), 2), "output_size"),
        "kernel larger than the output": (call(normal(2, 64, 1), (6, 6), 8), None),
        "no channels": (call(normal(2, 0, 25), (6, 6), 2), None),
        "input is a list": (call([1.0], (6, 6), 2), "input"),
    }


UNFOLD = "input, kernel_size, dilation=1, padding=0, stride=1"
FOLD = "input, output_size, kernel_size, dilation=1, padding=0, stride=1"
OPERATIONS = [
    *(
        Operation(
            "unfold",
            n,
            unfoldings(n),
            unfold_errors() if n == 2 else {},
            signature=UNFOLD,
            theirs=None if n == 2 else unfold_in_n,
            label=f"{n}d",
            exact=True,
        )
        for n in (1, 2, 3)
    ),
    *(
        Operation(
            "fold",
            n,
            foldings(n),
            fold_errors() if n == 2 else {},
            signature=FOLD,
            theirs=None if n == 2 else fold_in_n,
            label=f"{n}d",
        )
        for n in (1, 2, 3)
    ),
]

LAYERS = [
    Layer(
        "Unfold",
        {
            "plain": (call(2), call(normal(2, 3, 6, 7))),
            "everything": (call((3, 2), (1, 2), (2, 1), (3, 1)), call(normal(2, 3, 6, 7))),
            "unbatched": (call(kernel_size=2, padding=1), call(normal(3, 6, 7))),
        },
        {"no kernel": (call(), None)},
    ),
    Layer(
        "Fold",
        {
            "plain": (call((6, 6), 2), call(normal(2, 12, 25))),
            "everything": (call((6, 7), (3, 2), (1, 2), (2, 1), (3, 1)), call(normal(2, 18, 21))),
            "unbatched": (call(output_size=6, kernel_size=2, stride=2), call(normal(12, 9))),
        },
        {"no kernel": (call(6), None)},
    ),
]
