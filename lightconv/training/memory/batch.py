"""Dividing a batch, whatever it is made of."""

from itertools import pairwise
from typing import Any

from lightning.pytorch.utilities.data import extract_batch_size
from torch import Tensor
from torch.utils._pytree import tree_map


def batch_size(batch: Any) -> int:
    """Samples in a batch: a tensor, or tensors in tuples, lists and dictionaries."""
    return extract_batch_size(batch)


def part(batch: Any, start: int, stop: int) -> Any:
    """Samples ``start`` to before ``stop``: every tensor with one row a sample cut, anything else as it is.

    >>> import torch
    >>> part({"x": torch.arange(4), "of": torch.tensor(4)}, 1, 3)
    {'x': tensor([1, 2]), 'of': tensor(4)}
    """
    count = batch_size(batch)

    def cut(leaf: Any) -> Any:
        return leaf[start:stop] if isinstance(leaf, Tensor) and leaf.dim() and leaf.shape[0] == count else leaf

    return tree_map(cut, batch)


def evenly(count: int, most: int) -> list[tuple[int, int]]:
    """``count`` samples in as few runs of at most ``most`` as will do, as equal as can be: (start, stop).

    >>> evenly(10, 4)
    [(0, 4), (4, 7), (7, 10)]
    """
    runs = -(-count // most)
    size, rest = divmod(count, runs)
    starts = [i * size + min(i, rest) for i in range(runs + 1)]
    return list(pairwise(starts))
