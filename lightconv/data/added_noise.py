"""Noise added to training signals, drawn anew each time."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lightconv.errors import UsageError

WIDTH = 2 / 72  # of the Gaussian that smooths MNIST-1D's own noise, as a share of the signal's length


class AddedNoise:
    """Adds noise of the two kinds that MNIST-1D's signals contain, to the whole of each signal.

    Args:
        smooth: standard deviation of the smooth noise; MNIST-1D's signals have one of 1.
        white: standard deviation of the noise that is independent from sample to sample.

    Raises:
        UsageError: if an amount is negative or not finite.

    >>> noise = AddedNoise(smooth=0.2)
    >>> bool(noise), noise(torch.zeros(3, 1, 40), np.random.default_rng(0)).shape
    (True, torch.Size([3, 1, 40]))
    """

    def __init__(self, smooth: float = 0.0, white: float = 0.0) -> None:
        for name, amount in (("added_noise", smooth), ("added_white_noise", white)):
            if not 0 <= amount < math.inf:
                raise UsageError(f"Expected `{name}` to be 0 or more, but got {amount}.")
        self.smooth = smooth
        self.white = white

    def __bool__(self) -> bool:
        """Whether it does anything."""
        return bool(self.smooth or self.white)

    def __call__(self, x: Tensor, random: np.random.Generator) -> Tensor:
        """Signals (N, 1, L) with noise, on their device and in their dtype."""
        if self.smooth:
            width = WIDTH * x.shape[2]
            reach = math.ceil(3 * width)
            weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / width) ** 2)
            weights *= self.smooth / weights.norm()
            drawn = torch.from_numpy(random.standard_normal((len(x), 1, x.shape[2] + 2 * reach), np.float32))
            x = x + F.conv1d(drawn, weights[None, None]).to(x)
        if self.white:
            x = x + self.white * torch.from_numpy(random.standard_normal(tuple(x.shape), np.float32)).to(x)
        return x
