"""Every operator beside torch's, forward and forward with backward, on our networks' shapes and on larger ones.

python benchmarks/operators.py [--threads 1] [--backend auto] [--only pool] [--quick] [--channels-last]

Ratios are torch's time over ours: above 1 we are faster. Ours gets its tensors in row order (NCHW); with
--channels-last all candidates get them with the channels last.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as T
from compared import Candidates, Case, options, run
from results import CHANNELS_LAST, COMPILED, OURS, PLAIN
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import lightconv.functional as F

FORWARD, BOTH = "forward", "forward + backward"
Call = Callable[..., Tensor]


def both(call: Call, args: Sequence[Tensor]) -> dict[str, Callable[[], Any]]:
    """The forward pass alone, and with the backward pass to all arguments."""
    leaves = tuple(a.clone().requires_grad_() for a in args)
    with torch.no_grad():
        seed = torch.randn_like(call(*args))

    def forward() -> Tensor:
        with torch.no_grad():
            return call(*args)

    return {FORWARD: forward, BOTH: lambda: torch.autograd.grad(call(*leaves), leaves, seed)}


def channels_last(args: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return tuple(a.contiguous(memory_format=torch.channels_last) if a.dim() == 4 else a for a in args)


def operator(
    section: str,
    name: str,
    ours: Call,
    torchs: Call,
    shapes: Sequence[Sequence[int]],
    *,
    wanted: Sequence[float] = (0, 0),
    against_best: bool = False,
    compiled: bool = False,
    note: str = "",
    given: Callable[[], Sequence[Tensor]] | None = None,
) -> Case:
    """A case of one call.

    Args:
        section: heading of its table.
        name: the call in words.
        ours: the call, of tensors.
        torchs: the same, by torch.
        shapes: of the tensors.
        wanted: ratios that we set out for, forward and forward + backward.
        against_best: whether these are to the best tuned torch instead of to torch.nn.
        compiled: whether torch.compile has something to fuse.
        note: why the figures are what they are.
        given: the tensors, if they are not just random.
    """
    tensors = given or (lambda: [torch.randn(*shape) for shape in shapes])

    def make() -> Sequence[Tensor]:
        return channels_last(tensors()) if everything_last else tensors()

    def work(which: str, tuned: bool) -> Candidates:
        args = make()
        found = {OURS: both(ours, args)[which], PLAIN: both(torchs, args)[which]}
        if tuned and args[0].dim() == 4:
            found[CHANNELS_LAST] = both(torchs, channels_last(args))[which]
        if tuned and compiled:
            torch.compiler.reset()
            found[COMPILED] = both(torch.compile(torchs, dynamic=False), args)[which]
        return found

    def cost(which: str) -> tuple[float, float]:
        args = make()
        operations = 0.0
        if "conv" in name:
            call = both(torchs, args)[which]
            with FlopCounterMode(display=False) as counter:
                call()
                operations = float(counter.get_total_flops())
        with torch.no_grad():
            moved = 4.0 * (sum(a.numel() for a in args) + torchs(*args).numel())
        return operations, moved if which == FORWARD else 2 * moved

    pairs = zip((FORWARD, BOTH), wanted, strict=True)
    return Case(
        *(section, name),
        works={which: partial(work, which) for which in (FORWARD, BOTH)},
        wanted={which: (0.0, ratio) if against_best else (ratio, 0.0) for which, ratio in pairs},
        cost=cost,
        note=note,
    )


def three_calls(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return T.relu(T.max_pool2d(T.conv2d(x, w, b), 2))


# sides of the pictures of the blocks that torch.compile is tried on: it takes its time to start
COMPILED_SIDES = (62, 28)


def blocks(chosen: argparse.Namespace) -> Iterator[Case]:
    """The networks' blocks: convolution 5x5, max-pooling 2x2 and ReLU, against torch's three calls."""
    shapes = [
        (64, 1, 128, 10, (5, 2.5)),
        (64, 10, 62, 20, (2, 2)),
        (64, 20, 29, 40, (2, 2)),
        (64, 40, 12, 80, (1.5, 1.5)),
        (64, 1, 28, 10, (5, 2.5)),
        (64, 10, 12, 20, (2, 2)),
    ]
    for batch, inputs, size, outputs, wanted in shapes[1:3] if chosen.quick else shapes:
        yield operator(
            "Blocks: convolution, max-pooling and ReLU",
            f"conv_max_pool_relu {batch}x{inputs}x{size}x{size} to {outputs}",
            *(F.conv_max_pool_relu, three_calls),
            [(batch, inputs, size, size), (outputs, inputs, 5, 5), (outputs,)],
            wanted=wanted,
            compiled=size in COMPILED_SIDES and not (chosen.quick or chosen.no_compile),
        )


def convolution(
    section: str, axes: int, x: Sequence[int], w: Sequence[int], least: float = 0, name: str = "conv", **rest: Any
) -> Case:
    name = f"{name}{axes}d"
    text = f"{name} {'x'.join(map(str, x))}, kernel {'x'.join(map(str, w))}" + "".join(
        f", {k} {v}" for k, v in rest.items()
    )
    ours, torchs = (partial(call, **rest) for call in (getattr(F, name), getattr(T, name)))
    return operator(section, text, ours, torchs, [x, w], wanted=(least, least), against_best=True)


def convolutions(chosen: argparse.Namespace) -> Iterator[Case]:
    """Convolutions of the networks, and of residual networks."""
    one = "Convolution on the networks' shapes"
    conv2d, conv1d = partial(convolution, one, 2), partial(convolution, one, 1)
    yield conv2d((64, 10, 62, 62), (20, 10, 5, 5), 1)
    yield conv2d((64, 20, 29, 29), (40, 20, 5, 5), 1)
    if not chosen.quick:
        yield conv2d((64, 1, 128, 128), (10, 1, 5, 5), 1)
        yield conv2d((64, 40, 12, 12), (80, 40, 5, 5), 1)
        yield conv2d((64, 1, 28, 28), (10, 1, 5, 5), 1)
        yield conv2d((64, 10, 12, 12), (20, 10, 5, 5), 1)
        yield conv2d((64, 1, 28, 28), (16, 1, 5, 5), 1, stride=2, padding=2)
        yield conv2d((64, 16, 14, 14), (32, 16, 3, 3), 1, padding=1)
        yield conv2d((64, 32, 7, 7), (40, 32, 3, 3), 1, padding=1)
        yield conv2d((64, 32, 7, 14), (32, 32, 3, 3), 1, padding=1)
        yield conv1d((100, 1, 40), (15, 1, 3), 1, stride=2)
        yield conv1d((100, 15, 19), (15, 15, 3), 1, stride=2)
        yield conv1d((100, 24, 40), (24, 24, 5), 1, padding=2)
    two = "Convolution on larger shapes"
    yield convolution(two, 2, (8, 64, 56, 56), (64, 64, 3, 3), 0.8, padding=1)
    if not chosen.quick:
        yield convolution(two, 2, (8, 128, 28, 28), (128, 128, 3, 3), padding=1)
        yield convolution(two, 2, (8, 64, 56, 56), (64, 64, 1, 1))
        yield convolution(two, 2, (8, 64, 56, 56), (64, 1, 3, 3), padding=1, groups=64)
        yield convolution(two, 2, (8, 64, 56, 56), (128, 64, 3, 3), padding=1, stride=2)
        yield convolution(two, 2, (8, 3, 224, 224), (64, 3, 7, 7), padding=3, stride=2)
        yield convolution(two, 3, (2, 8, 16, 32, 32), (8, 8, 3, 3, 3), padding=1)
        yield convolution(two, 2, (16, 32, 28, 28), (32, 16, 2, 2), name="conv_transpose", stride=2)


def plane(name: str, x: Sequence[int], *args: Any, wanted: Sequence[float] = (0, 0), **rest: Any) -> Case:
    words = [str(a) for a in args] + [f"{key} {value}" for key, value in rest.items()]
    ours, torchs = (lambda t, call=call: call(t, *args, **rest) for call in (getattr(F, name), getattr(T, name)))
    text = f"{name} {'x'.join(map(str, x))}, {', '.join(words)}"
    return operator("Pooling and resampling", text, ours, torchs, [x], wanted=wanted)


def planes(chosen: argparse.Namespace) -> Iterator[Case]:
    """Pooling, unpooling, resampling, unfolding."""

    def unpool(*shape: int) -> Case:
        with torch.no_grad():
            pooled, indices = T.max_pool2d(torch.randn(*shape), 2, return_indices=True)
        calls = (lambda t, call=call: call(t, indices, 2) for call in (F.max_unpool2d, T.max_unpool2d))
        text = f"max_unpool2d {'x'.join(map(str, pooled.shape))}, 2"
        section = "Pooling and resampling"
        return operator(section, text, *calls, [pooled.shape], wanted=(1.2, 1.2), given=lambda: [pooled])

    yield plane("max_pool2d", (64, 10, 124, 124), 2, wanted=(4, 2.5))
    yield plane("avg_pool2d", (64, 10, 124, 124), 2, wanted=(4, 0))
    yield unpool(64, 10, 124, 124)
    yield plane("interpolate", (64, 10, 28, 28), scale_factor=2, mode="bilinear", wanted=(1.5, 1.5))
    if chosen.quick:
        return
    yield plane("max_pool2d", (64, 20, 24, 24), 2, wanted=(4, 2.5))
    yield plane("max_pool2d", (64, 20, 58, 58), 3, 2, wanted=(4, 2.5))
    yield plane("max_pool2d", (8, 64, 112, 112), 3, 2, 1, wanted=(4, 2.5))
    yield plane("max_pool1d", (100, 24, 40), 2)
    yield plane("avg_pool2d", (64, 20, 24, 24), 2, wanted=(4, 0))
    yield plane("avg_pool2d", (64, 20, 58, 58), 3, 2, wanted=(4, 0))
    yield plane("avg_pool2d", (8, 512, 7, 7), 7)
    yield plane("adaptive_avg_pool2d", (64, 32, 28, 28), 7)
    yield plane("adaptive_max_pool2d", (64, 32, 28, 28), 7)
    yield unpool(64, 20, 24, 24)
    yield plane("interpolate", (64, 10, 64, 64), scale_factor=2, mode="bilinear", wanted=(1.5, 1.5))
    yield plane("interpolate", (64, 10, 28, 28), scale_factor=2, mode="nearest")
    yield plane("interpolate", (64, 10, 28, 28), scale_factor=2, mode="bicubic")
    yield plane("interpolate", (64, 1, 28, 56), size=(128, 128), mode="bilinear", antialias=True)
    yield plane("unfold", (16, 16, 28, 28), 3)
    yield plane("fold", (16, 144, 676), 28, 3)


def tiny(chosen: argparse.Namespace) -> Iterator[Case]:
    """What a call costs by itself: each of ours beside F.conv2d of the same tiny picture."""
    x, w = (1, 2, 8, 8), (3, 2, 3, 3)
    calls: dict[str, Call] = {
        "conv2d": F.conv2d,
        "max_pool2d": lambda a, _: F.max_pool2d(a, 2),
        "avg_pool2d": lambda a, _: F.avg_pool2d(a, 2),
        "conv_max_pool_relu": F.conv_max_pool_relu,
        "interpolate, bilinear": lambda a, _: F.interpolate(a, scale_factor=2, mode="bilinear"),
    }
    for name, call in calls.items():
        found = operator("Overhead on 1x2x8x8, beside F.conv2d", f"tiny {name}", call, T.conv2d, [x, w])
        yield Case(
            *(found.section, found.name),
            works={FORWARD: found.works[FORWARD]},
            wanted={FORWARD: (1 / 3, 0.0)},
        )


everything_last = False


def cases(chosen: argparse.Namespace) -> Iterator[Case]:
    global everything_last
    everything_last = chosen.channels_last
    for some in (blocks, convolutions, planes, tiny):
        yield from some(chosen)


if __name__ == "__main__":
    parser = options(__doc__)
    parser.add_argument("--channels-last", action="store_true", help="all tensors lie channels last")
    run(cases, parser)
