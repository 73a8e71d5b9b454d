"""Layers that enlarge or shrink: torch.nn's with lightconv.functional's arithmetic, and two of our own."""

from typing import Any

import torch
from torch import Tensor

import lightconv.functional as F

__all__ = ["BilinearZeros", "Duplicate", "Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d"]


class Upsample(torch.nn.Upsample):
    """Resampling layer with the arguments of `torch.nn.Upsample`; computes `lightconv.functional.interpolate`.

    Args: `size` or `scale_factor`, then `mode`, `align_corners` and `recompute_scale_factor` as in the function.

    >>> Upsample(scale_factor=2, mode="bilinear")(torch.zeros(2, 3, 28, 28)).shape
    torch.Size([2, 3, 56, 56])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Resample (N, C, *size)."""
        return F.interpolate(
            input,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            recompute_scale_factor=self.recompute_scale_factor,
        )


class UpsamplingNearest2d(Upsample, torch.nn.UpsamplingNearest2d):
    """`Upsample` in mode "nearest" for images; arguments of `torch.nn.UpsamplingNearest2d`.

    >>> UpsamplingNearest2d(scale_factor=2)(torch.tensor([[[[1.0, 2.0]]]]))
    tensor([[[[1., 1., 2., 2.],
              [1., 1., 2., 2.]]]])
    """


class UpsamplingBilinear2d(Upsample, torch.nn.UpsamplingBilinear2d):
    """`Upsample` in mode "bilinear" with aligned corners, for images; arguments of `torch.nn.UpsamplingBilinear2d`.

    >>> UpsamplingBilinear2d(size=(1, 5))(torch.tensor([[[[0.0, 1.0, 2.0]]]]))
    tensor([[[[0.0000, 0.5000, 1.0000, 1.5000, 2.0000]]]])
    """


class _ByFactor(torch.nn.Module):
    _function: Any

    def __init__(self, factor: int | tuple[int, ...] = 2) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, input: Tensor) -> Tensor:
        """Enlarge (N, C, *size) to (N, C, *size * factor)."""
        return self._function(input, self.factor)

    def extra_repr(self) -> str:
        """Show the factor."""
        return f"factor={self.factor}"


class Duplicate(_ByFactor):
    """Repeats each element `factor` times along every spatial axis; computes `lightconv.functional.duplicate`.

    Args:
        factor: one whole number or one for each spatial axis.

    >>> Duplicate()(torch.tensor([[[1.0, 2.0]]]))
    tensor([[[1., 1., 2., 2.]]])
    """

    _function = staticmethod(F.duplicate)


class BilinearZeros(_ByFactor):
    """Enlarges linearly, with zeros beyond the last elements; `lightconv.functional.upsample_bilinear_zeros`.

    Args:
        factor: one whole number or one for each spatial axis.

    >>> BilinearZeros()(torch.tensor([[[6.0, 8.0]]]))
    tensor([[[6., 7., 8., 4.]]])
    """

    _function = staticmethod(F.upsample_bilinear_zeros)
