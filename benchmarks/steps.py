"""A training step of every network, ours beside torch.nn's: forward, loss, backward, optimizer.

python benchmarks/steps.py [--threads 1] [--only original] [--quick]

torch.nn's networks are the notebooks' own code where there is a notebook, else `lightconv.revert` of ours. Against the
best tuned torch both sides reuse large buffers, and torch may have channels_last and, of one network of each kind,
torch.compile, which takes a minute to start: with channels_last, where there are pictures.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as T
from compared import Candidates, Case, options, run
from notebooks import NETWORKS
from results import CHANNELS_LAST, COMPILED, OURS, PLAIN
from torch import Tensor, nn

import lightconv
from lightconv.tasks import networks

# batch, shape of a sample, classes, and the ratios that we set out for
CASES: dict[str, tuple[int, tuple[int, ...], int, tuple[float, float]]] = {
    "mnist100_original": (64, (1, 128, 128), 100, (3.5, 1.6)),
    "mnist100_v1": (64, (1, 128, 128), 100, (2.5, 1.3)),
    "mnist100_v2": (64, (1, 128, 128), 100, (2.5, 1.3)),
    "mnist100_light": (64, (1, 28, 56), 100, (0, 0)),
    "mnist100_tiny": (64, (1, 28, 56), 100, (0, 0)),
    "mnist_book": (64, (1, 28, 28), 10, (0, 0)),
    "mnist_light": (64, (1, 28, 28), 10, (0, 0)),
    "mnist_tiny": (64, (1, 28, 28), 10, (0, 0)),
    "mnist1d_book": (100, (1, 40), 10, (0, 0)),
    "mnist1d_light": (100, (1, 40), 10, (0, 0)),
    "mnist1d_tiny": (100, (1, 40), 10, (0, 0)),
}
COMPILED_CASES = ("mnist100_original", "mnist_book", "mnist_light", "mnist1d_light")
WORK = "training step"


def step(
    model: nn.Module, x: Tensor, y: Tensor, loss: Callable[[Tensor, Tensor], Tensor] = T.cross_entropy
) -> Callable[[], Tensor]:
    """One training step as a call."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.5)
    model.train()

    def run_step() -> Tensor:
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return value

    return run_step


def torch_network(name: str) -> nn.Module:
    """The same network of torch.nn's layers."""
    if name in NETWORKS:
        return NETWORKS[name]()
    return lightconv.revert(getattr(networks, name)(), report=lambda summary: None)


def candidates(
    name: str, tuned: bool, batch: int, shape: tuple[int, ...], classes: int, compile_too: bool
) -> Candidates:
    """Ours, torch.nn's, and with `tuned` what else torch can do."""
    x, y = torch.randn(batch, *shape), torch.randint(0, classes, (batch,))
    # the notebooks' networks end in log-softmax, which is cross entropy's first half
    loss = T.nll_loss if name in NETWORKS and name != "mnist1d_book" else T.cross_entropy
    found = {OURS: step(getattr(networks, name)(), x, y), PLAIN: step(torch_network(name), x, y, loss)}
    if not tuned:
        return found
    last = x.dim() == 4
    if last:
        moved = torch_network(name).to(memory_format=torch.channels_last)
        found[CHANNELS_LAST] = step(moved, x.contiguous(memory_format=torch.channels_last), y, loss)
    if compile_too:
        torch.compiler.reset()
        if last:
            moved = torch_network(name).to(memory_format=torch.channels_last)
            both = step(torch.compile(moved), x.contiguous(memory_format=torch.channels_last), y, loss)
            found[f"{COMPILED}, {CHANNELS_LAST}"] = both
        else:
            found[COMPILED] = step(torch.compile(torch_network(name)), x, y, loss)
    return found


def cases(chosen: argparse.Namespace) -> Iterator[Case]:
    for name, (batch, shape, classes, wanted) in CASES.items():
        if chosen.quick and name not in ("mnist100_original", "mnist_book", "mnist1d_book"):
            continue
        yield Case(
            *("Training steps", f"{name}, batch {batch} of {'x'.join(map(str, shape))}"),
            works={
                WORK: partial(
                    candidates,
                    name,
                    batch=batch,
                    shape=shape,
                    classes=classes,
                    compile_too=name in COMPILED_CASES and not (chosen.quick or chosen.no_compile),
                )
            },
            wanted={WORK: wanted},
        )


if __name__ == "__main__":
    run(cases, options(__doc__))
