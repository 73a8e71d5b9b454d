"""The networks as recipes: each function returns one, freshly initialised, from normalised input to logits."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Literal

import lightconv.nn as nn
from lightconv.tasks.blocks import (
    ConvNormPoolReLU,
    ConvNormReLU,
    Cut,
    DigitByDigit,
    GlobalMax,
    Patterns,
    Residual,
    TensAndUnits,
    he_initialise,
)


def mnist1d_book() -> nn.Sequential:
    """Notebook 10.2: three strided convolutions without padding; 2,050 parameters.

    40 samples become 19, 9 and 4, of 15 channels each.
    """
    return nn.Sequential(
        nn.Conv1d(1, 15, kernel_size=3, stride=2),
        nn.ReLU(),
        nn.Conv1d(15, 15, kernel_size=3, stride=2),
        nn.ReLU(),
        nn.Conv1d(15, 15, kernel_size=3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(15 * 4, 10),
    )


def mnist1d_residual(
    channels: int, times: Sequence[int] = (1, 1, 1, 1), dropout: float = 0.1, kernel_size: int = 5
) -> nn.Sequential:
    """Residual blocks at the signal's full length, then each channel's largest response.

    Shapes in MNIST-1D are shifted and stretched: keeping the full length keeps every position alike, the maximum
    over it forgets where the shape was, and four blocks of width 5 on top of the first convolution see 21 of the
    40 samples at once.

    Args:
        channels: of all convolutions.
        times: how often each block's convolution is applied; four blocks once each, by default.
        dropout: share of the channels dropped before the linear layer.
        kernel_size: of the blocks; the first convolution has 5.
    """
    return nn.Sequential(
        nn.Conv1d(1, channels, kernel_size=5, padding=2, bias=False),
        nn.BatchNorm1d(channels),
        nn.ReLU(),
        *(Residual(channels, kernel_size, count) for count in times),
        GlobalMax(),
        nn.Dropout(dropout),
        nn.Linear(channels, 10),
    )


def mnist1d_light(**options: Any) -> nn.Sequential:
    """24 channels: 12,130 parameters. Options are those of :func:`mnist1d_residual`."""
    return mnist1d_residual(**{"channels": 24, **options})


def mnist1d_tiny(**options: Any) -> nn.Sequential:
    """17 channels and one convolution between them, six times: 1,948 parameters, fewer than the notebook's network."""
    return mnist1d_residual(**{"channels": 17, "times": (6,), **options})


def conv_pool_relu(
    channels: Sequence[int],
    features: int,
    classes: int,
    *,
    dropout: float = 0.5,
    norm: bool = False,
    he: Literal["linear", "all", "none"] = "linear",
) -> nn.Sequential:
    """Notebook 10.5's kind of network: convolutions 5x5 without padding, each pooled 2x2, and two linear layers.

    The notebook drops channels between the second convolution and its pooling; dropping them after pooling and ReLU
    gives the same, for both leave a channel of zeros as it is. Its log-softmax is part of the loss here.

    Args:
        channels: of the convolutions.
        features: numbers that are left after the last pooling.
        classes: their number.
        dropout: share of the second convolution's channels that are dropped; 0 leaves the layer out.
        norm: whether a batch normalisation follows each convolution, before its pooling, in place of the bias.
        he: which layers have He's initialisation, ``"linear"``, ``"all"`` or ``"none"``; the others have torch's.
    """
    if he not in ("linear", "all", "none"):
        raise ValueError('`he` may be "linear", "all" or "none"')
    stages: list[nn.Module] = [nn.ConvMaxPoolReLU(*pair, kernel_size=5) for pair in pairwise((1, *channels))]
    if norm:
        stages = [ConvNormPoolReLU(*pair, kernel_size=5) for pair in pairwise((1, *channels))]
    if dropout:
        stages.insert(2, nn.Dropout2d(dropout))
    network = nn.Sequential(*stages, nn.Flatten(), nn.Linear(features, 50), nn.ReLU(), nn.Linear(50, classes))
    for layer in network.modules():
        if (he == "all" and isinstance(layer, nn.Conv2d)) or (he != "none" and isinstance(layer, nn.Linear)):
            he_initialise(layer)
    return network


def mnist_book(**options: Any) -> nn.Sequential:
    """Notebook 10.5: 28x28 becomes 12x12 and 4x4; 21,840 parameters. Options are those of :func:`conv_pool_relu`."""
    return conv_pool_relu((10, 20), features=20 * 4 * 4, classes=10, **options)


def mnist100_original(**options: Any) -> nn.Sequential:
    """The notebook's two stages at 128x128, which become 62x62 and 29x29: 851,430 parameters."""
    return conv_pool_relu((10, 20), features=20 * 29 * 29, classes=100, **options)


def mnist100_v1(**options: Any) -> nn.Sequential:
    """A third stage, 12x12: 318,470 parameters."""
    return conv_pool_relu((10, 20, 40), features=40 * 12 * 12, classes=100, **options)


def mnist100_v2(**options: Any) -> nn.Sequential:
    """A fourth stage, 4x4: 174,550 parameters."""
    return conv_pool_relu((10, 20, 40, 80), features=80 * 4 * 4, classes=100, **options)


def compact(
    half: Sequence[int], quarter: Sequence[int], kernel_size: int = 5, pool: int = 2, times: int = 0
) -> nn.Sequential:
    """Features of digits side by side: (N, 1, 28, 28 * digits) to (N, the last number of channels, digits).

    The first convolution halves the size at once, a pooling divides it again. What is left of each digit, 7x7 if
    halved, is summed up under one pattern of weights for each channel: unlike an average it knows where something is,
    and it costs a small share of a linear layer over the whole map.

    Args:
        half: channels of the convolutions at half the size, the later ones 3x3.
        quarter: channels of those after the pooling, 3x3; may be none.
        kernel_size: of the first convolution.
        pool: size of the pooling's windows: 2, or 7, which leaves 2x2 places of each digit.
        times: how often one more convolution, 3x3, is applied to the last channels; each time its result is added to
            what it was given.
    """
    channels = (*half, *quarter)[-1]
    return nn.Sequential(
        ConvNormReLU(1, half[0], kernel_size, stride=2),
        *(ConvNormReLU(*pair) for pair in pairwise(half)),
        nn.MaxPool2d(pool),
        *(ConvNormReLU(*pair) for pair in pairwise((half[-1], *quarter))),
        *([Residual(channels, 3, times, dimensions=2)] if times else []),
        Patterns(channels, size=14 // pool),
        nn.BatchNorm1d(channels),
    )


def mnist_compact(half: Sequence[int], quarter: Sequence[int], **options: int) -> nn.Sequential:
    """Features, see :func:`compact` with all its arguments, and a linear layer."""
    return nn.Sequential(compact(half, quarter, **options), nn.Flatten(), nn.Linear((*half, *quarter)[-1], 10))


Head = Literal["plain", "tens_and_units", "digit_by_digit"]
HEADS: dict[Head, Callable[[int], nn.Module]] = {
    "plain": lambda channels: nn.Sequential(nn.Flatten(), nn.Linear(2 * channels, 100)),
    "tens_and_units": TensAndUnits,
    "digit_by_digit": DigitByDigit,
}


def mnist100_compact(
    half: Sequence[int], quarter: Sequence[int], head: Head = "digit_by_digit", cut: bool = False, **options: int
) -> nn.Sequential:
    """Features and one of three heads.

    Args:
        half: as in :func:`compact`.
        quarter: as in :func:`compact`.
        head: ``"plain"``, a hundred logits of all features; ``"tens_and_units"``, twenty of all features;
            ``"digit_by_digit"``, ten of each digit's features by one linear layer.
        cut: whether the picture is cut in the middle first, and one network of a digit sees both halves.
        **options: as in :func:`compact`.
    """
    features = compact(half, quarter, **options)
    return nn.Sequential(Cut(features) if cut else features, HEADS[head]((*half, *quarter)[-1]))


def mnist_light(**options: Any) -> nn.Sequential:
    """Four convolutions: 28,434 parameters. Options are those of :func:`mnist_compact`."""
    return mnist_compact(**{"half": (16, 32), "quarter": (32, 40), **options})


def mnist_tiny(**options: Any) -> nn.Sequential:
    """Three convolutions: 9,402 parameters."""
    return mnist_compact(**{"half": (16, 16), "quarter": (32,), **options})


def mnist100_light(**options: Any) -> nn.Sequential:
    """Four convolutions on the picture as it is: 18,682 parameters. Options are those of :func:`mnist100_compact`."""
    return mnist100_compact(**{"half": (16, 16), "quarter": (32, 32), **options})


def mnist100_tiny(**options: Any) -> nn.Sequential:
    """Three convolutions: 9,402 parameters."""
    return mnist100_compact(**{"half": (16, 16), "quarter": (32,), **options})
