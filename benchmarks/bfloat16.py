"""Bfloat16 on the CPU: ours beside ours in float32, and beside torch's bfloat16; operators, and training steps.

python benchmarks/bfloat16.py [--threads 1] [--only step] [--repeats 7] [--quick]

Operators get tensors of the dtype; training steps run under autocast, as with bf16-mixed. Ratios are the other's time
over that of ours in bfloat16: above 1 it is the faster. Allocator as it is.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
import torch.nn.functional as T
from notebooks import NETWORKS
from operators import BOTH, FORWARD, Call, both, channels_last, three_calls
from paired import machine, measure
from results import CHANNELS_LAST, OURS, PLAIN
from steps import CASES, WORK, step, torch_network
from torch import Tensor, nn

import lightconv.functional as F
from lightconv.kernels.library import Library
from lightconv.tasks import networks

LOW, FLOAT32 = torch.bfloat16, "float32"
Candidates = dict[str, Callable[[], object]]
QUICK = ("conv_max_pool_relu 64x10x62x62", "conv2d 64x16x14x28", "mnist100_original")


def operators() -> Iterator[tuple[str, Call, Call, Sequence[Sequence[int]]]]:
    """A name, the call, the same by torch, shapes of the tensors."""

    def shaped(name: str, shapes: Sequence[Sequence[int]], **options: object) -> str:
        words = [f"{key} {value}" for key, value in options.items()]
        return ", ".join([f"{name} {'x'.join(map(str, shapes[0]))} to {shapes[1][0]}, {shapes[1][2]}", *words])

    for x, w in (
        ((64, 1, 128, 128), (10, 1, 5, 5)),
        ((64, 10, 62, 62), (20, 10, 5, 5)),
        ((64, 20, 29, 29), (40, 20, 5, 5)),
        ((64, 40, 12, 12), (80, 40, 5, 5)),
    ):
        yield shaped("conv_max_pool_relu", (x, w)), F.conv_max_pool_relu, three_calls, (x, w, w[:1])
    for x, w, options in (
        ((64, 10, 62, 62), (20, 10, 5, 5), {}),
        ((64, 20, 29, 29), (40, 20, 5, 5), {}),
        ((64, 40, 12, 12), (80, 40, 5, 5), {}),
        ((64, 16, 14, 28), (16, 16, 3, 3), {"padding": 1}),
        ((64, 16, 14, 14), (32, 16, 3, 3), {"padding": 1}),
        ((64, 32, 7, 14), (32, 32, 3, 3), {"padding": 1}),
        ((8, 64, 56, 56), (64, 64, 3, 3), {"padding": 1}),
        ((8, 64, 56, 56), (64, 64, 1, 1), {}),
        ((8, 64, 56, 56), (64, 1, 3, 3), {"padding": 1, "groups": 64}),
        ((8, 3, 224, 224), (64, 3, 7, 7), {"padding": 3, "stride": 2}),
    ):
        ours, torchs = (partial(conv2d, **options) for conv2d in (F.conv2d, T.conv2d))
        yield shaped("conv2d", (x, w), **options), ours, torchs, (x, w)
    x = (64, 10, 124, 124)
    for name in ("max_pool2d", "avg_pool2d"):
        ours, torchs = (partial(getattr(where, name), kernel_size=2) for where in (F, T))
        yield f"{name} {'x'.join(map(str, x))}, 2", ours, torchs, (x,)


def of_operator(which: str, ours: Call, torchs: Call, shapes: Sequence[Sequence[int]]) -> Candidates:
    """What to measure."""
    exact = [torch.randn(*shape) for shape in shapes]
    low = [t.to(LOW) for t in exact]
    found = {OURS: both(ours, low), FLOAT32: both(ours, exact), PLAIN: both(torchs, low)}
    found[CHANNELS_LAST] = both(torchs, channels_last(low))
    return {name: calls[which] for name, calls in found.items()}


def of_step(name: str) -> Candidates:
    """The same of a training step."""
    batch, shape, classes, _ = CASES[name]
    x, y = torch.randn(batch, *shape), torch.randint(0, classes, (batch,))
    loss = T.nll_loss if name in NETWORKS and name != "mnist1d_book" else T.cross_entropy
    mixed = torch.autocast("cpu", LOW)

    def low(model: nn.Module, x: Tensor, loss: Call = T.cross_entropy) -> Callable[[], Tensor]:
        model.forward = mixed(model.forward)
        return step(model, x, y, mixed(loss))

    ours = getattr(networks, name)
    found = {OURS: low(ours(), x), FLOAT32: step(ours(), x, y), PLAIN: low(torch_network(name), x, loss)}
    if x.dim() == 4:
        moved = torch_network(name).to(memory_format=torch.channels_last)
        found[CHANNELS_LAST] = low(moved, x.contiguous(memory_format=torch.channels_last), loss)
    return found


def cases() -> Iterator[tuple[str, str, Callable[[], Candidates]]]:
    """What is computed, how much of it, and what makes its candidates."""
    for name, *case in operators():
        for which in (FORWARD, BOTH):
            yield name, which, partial(of_operator, which, *case)
    for name in CASES:
        yield name, WORK, partial(of_step, name)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--repeats", type=int, default=7, help="timings for each median")
    parser.add_argument("--quick", action="store_true", help="a few cases")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    others = {FLOAT32: "ours in float32", PLAIN: "torch.nn, bfloat16", CHANNELS_LAST: "channels_last, bfloat16"}
    print(f"{machine()}; kernels for {Library().variant}; medians of {chosen.repeats}\n")
    print(f"| case | work | threads | lightconv, ms | {' | '.join(f'× {text}' for text in others.values())} |")
    print("|" + "---|" * (4 + len(others)))
    for name, work, make in cases():
        if chosen.only not in f"{name} {work}" or (chosen.quick and not name.startswith(QUICK)):
            continue
        torch.manual_seed(0)
        seconds = measure(make(), chosen.repeats)
        ratios = [f"{seconds[other] / seconds[OURS]:.2f}" if other in seconds else "" for other in others]
        print(f"| {name} | {work} | {chosen.threads} | {1000 * seconds[OURS]:.3g} | {' | '.join(ratios)} |", flush=True)


if __name__ == "__main__":
    main()
