"""Batches out of tensors that are in memory already."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor


class BatchLoader:
    """Yields whole batches of some tensors, each gathered by one index operation.

    A ``torch.utils.data.DataLoader`` fetches every sample by itself and collates them again; with data in memory
    that costs more than a small network's training step.

    With ``shuffle`` the order is a function of ``(seed, epoch)`` alone: no global random state is read or changed,
    and epoch 7 of a resumed run has the batches of epoch 7 of an uninterrupted one.

    While shuffling, a single sample that is left over joins the batch before it: a batch of one has no spread, and
    nothing that normalises over a batch can train on it.

    With several processes (``rank`` of ``world_size``), each takes every ``world_size``-th sample, so they share
    none. While shuffling, the up to ``world_size - 1`` samples that are left over sit out the epoch, so that all
    processes take equally many steps; otherwise every sample is visited by exactly one process.

    Args:
        tensors: any number of tensors whose first axis counts the samples.
        batch_size: samples a batch and process; the last batch may be smaller (or larger by one, while shuffling).
        shuffle: whether to draw a new order for each epoch.
        seed: what the order depends on, together with the epoch.
        rank: the number of this process.
        world_size: the number of processes.
        pin_memory: whether to gather batches in page-locked memory, from where a GPU fetches them while the CPU
            goes on (``batch.to(device, non_blocking=True)``).

    Raises:
        ValueError: if the tensors differ in length, or a number is out of range.

    >>> loader = BatchLoader(torch.arange(5), batch_size=2)
    >>> [batch.tolist() for (batch,) in loader]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        *tensors: Tensor,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        pin_memory: bool = False,
    ) -> None:
        lengths = {len(tensor) for tensor in tensors}
        if len(lengths) != 1:
            raise ValueError(f"Expected tensors of one length, but got lengths {sorted(lengths)}.")
        if batch_size < 1:
            raise ValueError(f"Expected `batch_size` to be a positive integer, but got {batch_size}.")
        if not 0 <= rank < world_size:
            raise ValueError(f"Expected `rank` to lie in 0...{world_size - 1}, but got {rank}.")
        self.tensors = tensors
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.pin_memory = pin_memory
        self.epoch = 0

    batch_sampler = None  # Lightning looks for it where there is a sampler

    @property
    def sampler(self) -> "BatchLoader":
        """The loader itself: Lightning tells the epoch to ``loader.sampler``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next pass belongs to."""
        self.epoch = epoch

    def indices(self) -> Tensor:
        """This process's samples of the current epoch, in their order."""
        count = len(self.tensors[0])
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(count)
            order = order[: count - count % self.world_size]
        else:
            order = np.arange(count)
        return torch.from_numpy(order[self.rank :: self.world_size])

    def __len__(self) -> int:
        """Batches a pass."""
        count = len(self.tensors[0])
        spare = 0 if self.shuffle else max(0, count % self.world_size - self.rank)
        own = count // self.world_size + (spare > 0)
        return len(self._sizes(own))

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        """Yield the batches."""
        indices = self.indices()
        for index in indices.split(self._sizes(len(indices))):
            yield tuple(self._gather(tensor, index) for tensor in self.tensors)

    def _sizes(self, count: int) -> list[int]:
        whole, left = divmod(count, self.batch_size)
        sizes = [self.batch_size] * whole + [left] * bool(left)
        if self.shuffle and left == 1 and whole:
            sizes[-2:] = [self.batch_size + 1]
        return sizes

    def _gather(self, tensor: Tensor, index: Tensor) -> Tensor:
        if not self.pin_memory:
            return tensor.index_select(0, index)
        # PyTorch gives a page-locked block to somebody else only when the copies out of it are done.
        out = torch.empty((len(index), *tensor.shape[1:]), dtype=tensor.dtype, pin_memory=True)
        return torch.index_select(tensor, 0, index, out=out)
