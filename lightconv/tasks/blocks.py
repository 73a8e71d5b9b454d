"""Building blocks of the networks."""

from torch import Tensor

import lightconv.nn as nn


class Residual(nn.Module):
    """relu(x + norm(conv(x))) at unchanged size: (N, C, L) to (N, C, L)."""

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, kernel_size, padding=kernel_size // 2, bias=False)
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        return (x + self.norm(self.conv(x))).relu()


class GlobalMax(nn.Module):
    """The largest value of each channel: (N, C, *spatial) to (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        """Reduce all spatial axes."""
        return x.flatten(2).amax(2)
