"""Building blocks of the networks."""

from typing import Literal

import torch
from torch import Tensor

import lightconv.nn as nn


class Residual(nn.Module):
    """relu(x + norm(conv(x))) at unchanged size, as often as told: (N, C, L), or (N, C, H, W) for two dimensions.

    Each time has the same convolution and a normalisation of its own: depth that costs 2 C parameters.
    """

    def __init__(self, channels: int, kernel_size: int, times: int = 1, dimensions: Literal[1, 2] = 1) -> None:
        super().__init__()
        conv, norm = (nn.Conv1d, nn.BatchNorm1d) if dimensions == 1 else (nn.Conv2d, nn.BatchNorm2d)
        self.conv = conv(channels, channels, kernel_size, padding=kernel_size // 2, bias=False)
        self.norms = nn.ModuleList(norm(channels) for _ in range(times))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        for norm in self.norms:
            x = (x + norm(self.conv(x))).relu()
        return x


class GlobalMax(nn.Module):
    """The largest value of each channel: (N, C, *spatial) to (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        """Reduce all spatial axes."""
        return x.flatten(2).amax(2)


class ConvNormReLU(nn.Sequential):
    """relu(norm(conv(x))), padded to keep the size or, with a stride, to divide it: (N, C, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )


class ConvNormPoolReLU(nn.Sequential):
    """relu(max_pool(norm(conv(x)))), unpadded, pooled 2x2: (N, C, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel_size, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.MaxPool2d(2),
            nn.ReLU(),
        )


class Patterns(nn.Module):
    """Each square part of a map, summed up under its channel's pattern of weights.

    A depthwise convolution with kernel and stride of the part's size, (N, C, s, s * parts) to (N, C, parts), but
    without windows that overlap a product and a sum are all there is to do.
    """

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, size, size).uniform_(-1 / size, 1 / size))

    def forward(self, x: Tensor) -> Tensor:
        """One number for each channel and part."""
        parts = x.unflatten(3, (-1, self.weight.shape[2]))
        return (parts * self.weight.unsqueeze(2)).sum((2, 4))


class Cut(nn.Module):
    """A network of one digit, applied to both halves of a picture: (N, 1, H, 2 W) to (N, C, 2).

    Args:
        network: maps (N, 1, H, W) to (N, C, 1).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Features of both halves."""
        halves = x.unflatten(3, (2, -1)).movedim(3, 1).flatten(0, 1)
        return self.network(halves).unflatten(0, (-1, 2)).squeeze(3).transpose(1, 2)


class TensAndUnits(nn.Module):
    """Logits of the numbers 00 to 99, each the sum of its two digits': (N, C, 2) to (N, 100).

    Their softmax is the product of one over the tens and one over the units, each of which sees all features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * channels, 20)

    def forward(self, x: Tensor) -> Tensor:
        """Logits in the order of the numbers."""
        return _numbers(*self.linear(x.flatten(1)).split(10, dim=1))


class DigitByDigit(nn.Module):
    """Logits of the numbers 00 to 99, each the sum of its two digits', read alike: (N, C, 2) to (N, 100).

    One linear layer reads the left digit off the left features and the right digit off the right ones.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits in the order of the numbers."""
        return _numbers(*self.linear(x.transpose(1, 2)).unbind(1))


def _numbers(tens: Tensor, units: Tensor) -> Tensor:
    return (tens.unsqueeze(2) + units.unsqueeze(1)).flatten(1)


def he_initialise(layer: nn.Linear | nn.Conv2d) -> None:
    """Draw a layer's weights anew from He's uniform distribution, and set its biases, if any, to zero.

    K. He et al., "Delving Deep into Rectifiers", ICCV 2015.
    """
    nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
