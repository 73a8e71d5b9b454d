"""Unfold and Fold layers: torch.nn's classes with their arithmetic replaced by lightconv.functional's."""

import torch
from torch import Tensor

import lightconv.functional as F

__all__ = ["Fold", "Unfold"]


class Unfold(torch.nn.Unfold):
    """All windows of the input as columns of a matrix: `lightconv.functional.unfold` as a layer.

    >>> Unfold(3, padding=1)(torch.zeros(2, 4, 8, 8)).shape
    torch.Size([2, 36, 64])
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, *size) to (N, C K, L)."""
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(torch.nn.Fold):
    """Columns of windows added back to their places: `lightconv.functional.fold` as a layer.

    >>> Fold(8, 3, padding=1)(torch.zeros(2, 36, 64)).shape
    torch.Size([2, 4, 8, 8])
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, C K, L) to (N, C, *output_size)."""
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)
