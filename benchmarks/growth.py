"""How a training step of notebook 10.5's two blocks grows with the batch and with the picture.

python benchmarks/growth.py [--threads 1] [--quick]
"""

import argparse
from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as T
from compared import Candidates, Case, options, run
from notebooks import Pictures
from results import CHANNELS_LAST, OURS, PLAIN
from steps import WORK, step

from lightconv.tasks.networks import conv_pool_relu

BATCHES, SIZES = (1, 4, 16, 64, 256), (16, 28, 64, 128, 256)


def candidates(tuned: bool, batch: int, size: int) -> Candidates:
    features = 20 * (((size - 4) // 2 - 4) // 2) ** 2
    x, y = torch.randn(batch, 1, size, size), torch.randint(0, 10, (batch,))

    def theirs() -> Pictures:
        return Pictures((10, 20), features, 10)

    found = {OURS: step(conv_pool_relu((10, 20), features, 10), x, y), PLAIN: step(theirs(), x, y, T.nll_loss)}
    if tuned:
        last = torch.channels_last
        found[CHANNELS_LAST] = step(theirs().to(memory_format=last), x.contiguous(memory_format=last), y, T.nll_loss)
    return found


def cases(chosen: argparse.Namespace) -> Iterator[Case]:
    pairs = [(batch, 28) for batch in BATCHES] + [(16, size) for size in SIZES]
    for batch, size in dict.fromkeys(pairs[::2] if chosen.quick else pairs):
        name = f"batch {batch} of 1x{size}x{size}"
        works = {WORK: partial(candidates, batch=batch, size=size)}
        yield Case("Growth: training step of notebook 10.5's layers", name, works, {})


if __name__ == "__main__":
    run(cases, options(__doc__))
