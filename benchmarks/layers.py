"""Every layer beside torch.nn.functional's function of the same name, forward and forward with backward.

    make bench        (or: python benchmarks/layers.py [--threads 1] [--backend auto] [--only pool])

Ratios are torch's time over ours: above 1 we are faster.
"""

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as T
from paired import machine, measure
from rich.console import Console
from rich.table import Table
from torch import Tensor

import lightconv
import lightconv.functional as F

Case = tuple[str, str, Callable[[Any], Callable[..., Tensor]], tuple[Tensor, ...]]


def cases() -> Iterator[Case]:
    """Name, shape in words, the call given a namespace of functions, and its arguments."""

    def conv(axes: int, x: tuple[int, ...], w: tuple[int, ...], transposed: bool = False, **options: Any) -> Case:
        name = f"conv_transpose{axes}d" if transposed else f"conv{axes}d"
        text = f"{x} * {w}" + "".join(f" {k}={v}" for k, v in options.items())
        return name, text, lambda N: lambda a, b: getattr(N, name)(a, b, **options), (torch.randn(x), torch.randn(w))

    def plane(name: str, x: tuple[int, ...], *args: Any, **options: Any) -> Case:
        text = f"{x} {', '.join(map(str, args))}" + "".join(f" {k}={v}" for k, v in options.items())
        return name, text, lambda N: lambda a: getattr(N, name)(a, *args, **options), (torch.randn(x),)

    yield conv(1, (100, 1, 40), (15, 1, 3), stride=2)
    yield conv(1, (100, 24, 40), (24, 24, 5), padding=2)
    yield conv(2, (64, 1, 28, 28), (10, 1, 5, 5))
    yield conv(2, (64, 1, 128, 128), (10, 1, 5, 5))
    yield conv(2, (64, 10, 62, 62), (20, 10, 5, 5))
    yield conv(2, (64, 20, 29, 29), (40, 20, 5, 5))
    yield conv(2, (8, 64, 56, 56), (64, 64, 3, 3), padding=1)
    yield conv(2, (8, 64, 56, 56), (64, 1, 3, 3), padding=1, groups=64)
    yield conv(3, (2, 8, 16, 32, 32), (8, 8, 3, 3, 3), padding=1)
    yield conv(2, (16, 32, 28, 28), (32, 16, 2, 2), transposed=True, stride=2)
    yield plane("max_pool2d", (64, 10, 124, 124), 2)
    yield plane("max_pool2d", (64, 20, 58, 58), 3, 2)
    yield plane("avg_pool2d", (64, 10, 124, 124), 2)
    yield plane("adaptive_avg_pool2d", (64, 32, 28, 28), 7)
    yield plane("adaptive_max_pool2d", (64, 32, 28, 28), 7)
    yield plane("interpolate", (64, 10, 28, 28), scale_factor=2, mode="bilinear")
    yield plane("interpolate", (64, 10, 28, 28), scale_factor=2, mode="nearest")
    yield plane("interpolate", (64, 1, 28, 56), size=(128, 128), mode="bilinear", antialias=True)
    yield plane("unfold", (16, 16, 28, 28), 3)
    yield plane("fold", (16, 144, 676), 28, 3)
    pooled, indices = T.max_pool2d(torch.randn(64, 10, 124, 124), 2, return_indices=True)
    yield "max_unpool2d", "(64, 10, 62, 62) 2", lambda N: lambda a: N.max_unpool2d(a, indices, 2), (pooled,)
    yield conv(2, (1, 2, 8, 8), (3, 2, 3, 3))
    yield plane("max_pool2d", (1, 2, 8, 8), 2)


def both(call: Callable[..., Tensor], args: tuple[Tensor, ...]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """The forward pass alone, and with the backward pass."""
    leaves = tuple(a.clone().requires_grad_() for a in args)
    seed = torch.randn_like(call(*args))

    def forward() -> Tensor:
        with torch.no_grad():
            return call(*args)

    return forward, lambda: torch.autograd.grad(call(*leaves), leaves, seed)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--only", default="", help="part of a function's name")
    parser.add_argument("--repeats", type=int, default=11)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    lightconv.backend(options.backend)
    torch.manual_seed(0)
    console = Console()
    console.print(f"{machine()}; backend {options.backend}; medians of {options.repeats}, torch / ours")
    table = Table("function", "shapes", "ours, ms", "forward", "ours, ms", "forward + backward", box=None)
    for name, shapes, call, args in cases():
        if options.only not in name:
            continue
        ours, torchs = both(call(F), args), both(call(T), args)
        cells = []
        for mine, other in zip(ours, torchs, strict=True):
            seconds = measure({"ours": mine, "torch": other}, options.repeats)
            cells += [f"{1000 * seconds['ours']:.3f}", f"{seconds['torch'] / seconds['ours']:.2f}"]
        table.add_row(name, shapes, *cells)
    console.print(table)


if __name__ == "__main__":
    main()
