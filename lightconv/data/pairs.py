"""Composing pictures of two digits, the numbers 00 to 99, out of pictures of one."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


def compose_pairs(x: np.ndarray, y: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of two digits side by side, labelled ``10 * left + right``.

    Each of the 100 classes has ``count / 100`` pictures, rounded up or down. On either side, the pictures of a digit
    take turns: none is there twice before all others have been there once.

    Args:
        x: pictures of digits, (N, 1, H, W), each digit at least once.
        y: their labels, 0 to 9.
        count: of pictures to make.
        seed: decides which digits meet, and the order.

    Returns:
        (count, 1, H, 2 W) of x's dtype, and int64 (count,).

    >>> x, y = compose_pairs(np.zeros((10, 1, 28, 28), np.uint8), np.arange(10), count=200, seed=0)
    >>> x.shape, sorted(set(np.bincount(y).tolist()))
    ((200, 1, 28, 56), [2])
    """
    random = np.random.default_rng(seed)
    # Which classes are rounded up is left to chance too.
    labels = random.permutation(random.permutation(100)[np.arange(count) % 100])
    left = _in_turn(y, labels // 10, random)
    right = _in_turn(y, labels % 10, random)
    return np.concatenate([x[left], x[right]], axis=3), labels


def split_pairs(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The halves of pictures of two digits, all left ones first: (N, C, H, 2 W) and (N,) to (2 N, C, H, W) and (2 N,).

    >>> split_pairs(torch.zeros(2, 1, 28, 56), torch.tensor([12, 34]))[1]
    tensor([1, 3, 2, 4])
    """
    return torch.cat(x.chunk(2, dim=3)), torch.cat([y // 10, y % 10])


def recombine_halves(
    x: Tensor,
    y: Tensor,
    random: np.random.Generator,
    displace: Callable[[Tensor, np.random.Generator], Tensor] = lambda halves, random: halves,
) -> tuple[Tensor, Tensor]:
    """As many pictures of two digits, put together of the same halves at random; a left half may come to the right.

    Args:
        x: pictures, (N, C, H, 2 W).
        y: their labels ``10 * left + right``, (N,).
        random: decides which halves meet.
        displace: what is done to the halves, (2 N, C, H, W), beforehand.

    >>> x, y = torch.tensor([1, 2, 3, 4]).reshape(2, 1, 1, 2), torch.tensor([12, 34])
    >>> x, y = recombine_halves(x, y, np.random.default_rng(0))
    >>> x.flatten(1).tolist(), y.tolist()
    ([[2, 3], [1, 4]], [23, 14])
    """
    halves, digits = split_pairs(x, y)
    order = torch.from_numpy(random.permutation(len(halves))).to(x.device)
    halves, digits = displace(halves[order], random), digits[order]
    left, right = digits.chunk(2)
    return torch.cat(halves.chunk(2), dim=3), 10 * left + right


def _in_turn(y: np.ndarray, wanted: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """For each wanted digit the index of a picture of it."""
    result = np.empty(len(wanted), np.int64)
    for digit in range(10):
        places = np.flatnonzero(wanted == digit)
        pictures = np.flatnonzero(y == digit)
        rounds = -(-len(places) // len(pictures))
        row = np.concatenate([random.permutation(pictures) for _ in range(rounds)] or [pictures[:0]])
        result[places] = row[: len(places)]
    return result
