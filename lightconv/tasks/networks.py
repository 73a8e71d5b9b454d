"""The networks as recipes: each function returns one, freshly initialised, from normalised input to logits."""

import lightconv.nn as nn
from lightconv.tasks.blocks import GlobalMax, Residual


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


def mnist1d_residual(channels: int, blocks: int = 4, dropout: float = 0.1) -> nn.Sequential:
    """Residual blocks at the signal's full length, then each channel's largest response.

    Shapes in MNIST-1D are shifted and stretched: keeping the full length keeps every position alike, the maximum
    over it forgets where the shape was, and four blocks of width 5 on top of the first convolution see 21 of the
    40 samples at once.
    """
    return nn.Sequential(
        nn.Conv1d(1, channels, kernel_size=5, padding=2, bias=False),
        nn.BatchNorm1d(channels),
        nn.ReLU(),
        *(Residual(channels, kernel_size=5) for _ in range(blocks)),
        GlobalMax(),
        nn.Dropout(dropout),
        nn.Linear(channels, 10),
    )


def mnist1d_light() -> nn.Sequential:
    """24 channels: 12,130 parameters."""
    return mnist1d_residual(channels=24)


def mnist1d_tiny() -> nn.Sequential:
    """9 channels: 1,855 parameters, fewer than the notebook's network."""
    return mnist1d_residual(channels=9)
