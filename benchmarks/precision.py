"""How far results and gradients are from float64, ours beside torch's: `python benchmarks/precision.py`.

The error of an element is taken relative to the sum of the absolute values of what it sums up, which is what rounding
is relative to, but at least to the smallest normal number. It is printed in units of the dtype's epsilon: 1 is about
the rounding of the result itself. Each figure is the largest over all elements of three draws.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as torchs
from torch import Tensor

import lightconv
import lightconv.functional as ours

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
DRAWS = 3
Function = Callable[..., Tensor]

CASES: dict[str, tuple[str, list[tuple[int, ...]], dict[str, Any]]] = {
    "conv2d, 25 terms": ("conv2d", [(4, 1, 28, 28), (10, 1, 5, 5)], {}),
    "conv2d, 250 terms": ("conv2d", [(4, 10, 28, 28), (20, 10, 5, 5)], {}),
    "conv2d, 2,304 terms": ("conv2d", [(2, 256, 14, 14), (64, 256, 3, 3)], {"padding": 1}),
    "conv_transpose2d": ("conv_transpose2d", [(4, 20, 12, 12), (20, 10, 5, 5)], {"stride": 2}),
    "max_pool2d": ("max_pool2d", [(4, 10, 28, 28)], {"kernel_size": 2}),
    "avg_pool2d, 3x3": ("avg_pool2d", [(4, 10, 28, 28)], {"kernel_size": 3}),
    "avg_pool2d, 28x28": ("avg_pool2d", [(4, 10, 28, 28)], {"kernel_size": 28}),
    "adaptive_avg_pool2d": ("adaptive_avg_pool2d", [(4, 10, 29, 31)], {"output_size": 7}),
    "bilinear x2": ("interpolate", [(4, 4, 28, 28)], {"scale_factor": 2, "mode": "bilinear"}),
    "bilinear to 128": ("interpolate", [(4, 1, 28, 56)], {"size": (128, 128), "mode": "bilinear", "antialias": True}),
}


def gradients(function: Function, arguments: list[Tensor], options: dict[str, Any], g: Tensor) -> list[Tensor]:
    """The result and the gradient of each argument, given the result's."""
    leaves = [argument.clone().requires_grad_() for argument in arguments]
    result = function(*leaves, **options)
    return [result.detach(), *torch.autograd.grad(result, leaves, g.to(result.dtype))]


def errors(
    name: str, shapes: list[tuple[int, ...]], options: dict[str, Any], dtype: torch.dtype
) -> Iterator[list[float]]:
    """For each implementation, the errors of the result and of the gradients."""
    kind, totals = torch.finfo(dtype), dict[str, list[float]]()
    for seed in range(DRAWS):
        generator = torch.Generator().manual_seed(seed)
        drawn = [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]
        exact = [t.double() for t in drawn]
        theirs = getattr(torchs, name)
        g = torch.randn(theirs(*exact, **options).shape, generator=generator).to(dtype)
        expected = gradients(theirs, exact, options, g.double())
        scale = gradients(theirs, [t.abs() for t in exact], options, g.double().abs())
        for who, backend, function in (
            ("torch", "auto", theirs),
            ("ours", "auto", getattr(ours, name)),
            ("definition", "definition", getattr(ours, name)),
        ):
            try:
                with lightconv.backend(backend):
                    found = gradients(function, drawn, options, g)
            except NotImplementedError:  # torch does not have every operator in every dtype
                totals[who] = []
                continue
            worst = [
                float(((f.double() - e).abs() / s.abs().clamp_min(kind.tiny)).max() / kind.eps)
                for f, e, s in zip(found, expected, scale, strict=True)
            ]
            totals[who] = [max(pair) for pair in zip(worst, totals.get(who, worst), strict=True)]
    yield from totals.values()


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}; result / gradient of the input / gradient of the weight, in epsilons\n")
    print("| operator | dtype | torch | lightconv | its definition |\n|---|---|---|---|---|")
    for title, (name, shapes, options) in CASES.items():
        for dtype in DTYPES:
            cells = [" / ".join(f"{e:.2g}" for e in row) or "not there" for row in errors(name, shapes, options, dtype)]
            print(f"| {title} | {str(dtype).removeprefix('torch.')} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
