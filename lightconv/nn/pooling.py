"""Pooling layers: torch.nn's classes with their arithmetic replaced by lightconv.functional's."""

from typing import Any

import torch
from torch import Tensor

import lightconv.functional as F
from lightconv.functional.geometry import to_integer

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "Subsample",
]


class _MaxPool(torch.nn.modules.pooling._MaxPoolNd):
    _function: Any

    def forward(self, input: Tensor) -> Any:
        return self._function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )


class _AvgPool(torch.nn.modules.pooling._AvgPoolNd):
    _function: Any
    _further: tuple[str, ...] = ("divisor_override",)

    def forward(self, input: Tensor) -> Tensor:
        further = (getattr(self, name) for name in self._further)
        return self._function(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad, *further
        )


class _AdaptiveAvgPool(torch.nn.modules.pooling._AdaptiveAvgPoolNd):
    _function: Any

    def forward(self, input: Tensor) -> Tensor:
        return self._function(input, self.output_size)


class _AdaptiveMaxPool(torch.nn.modules.pooling._AdaptiveMaxPoolNd):
    _function: Any

    def forward(self, input: Tensor) -> Any:
        return self._function(input, self.output_size, self.return_indices)


class MaxPool1d(_MaxPool, torch.nn.MaxPool1d):
    """1-D max-pooling layer; arguments of `torch.nn.MaxPool1d`.

    Computes `lightconv.functional.max_pool1d` of its input; with `return_indices` the output is a pair.

    >>> MaxPool1d(2)(torch.zeros(2, 3, 8)).shape
    torch.Size([2, 3, 4])
    """

    _function = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool, torch.nn.MaxPool2d):
    """2-D max-pooling layer; arguments of `torch.nn.MaxPool2d`.

    Computes `lightconv.functional.max_pool2d` of its input; with `return_indices` the output is a pair.

    >>> MaxPool2d(2)(torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 3, 4, 4])
    """

    _function = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPool, torch.nn.MaxPool3d):
    """3-D max-pooling layer; arguments of `torch.nn.MaxPool3d`.

    Computes `lightconv.functional.max_pool3d` of its input; with `return_indices` the output is a pair.

    >>> MaxPool3d(2)(torch.zeros(2, 3, 8, 8, 8)).shape
    torch.Size([2, 3, 4, 4, 4])
    """

    _function = staticmethod(F.max_pool3d)


class AvgPool1d(_AvgPool, torch.nn.AvgPool1d):
    """1-D average pooling layer; arguments of `torch.nn.AvgPool1d`.

    Computes `lightconv.functional.avg_pool1d` of its input.

    >>> AvgPool1d(3, stride=2, padding=1)(torch.zeros(2, 3, 8)).shape
    torch.Size([2, 3, 4])
    """

    _function = staticmethod(F.avg_pool1d)
    _further = ()


class AvgPool2d(_AvgPool, torch.nn.AvgPool2d):
    """2-D average pooling layer; arguments of `torch.nn.AvgPool2d`.

    Computes `lightconv.functional.avg_pool2d` of its input.

    >>> AvgPool2d(3, stride=2, padding=1)(torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 3, 4, 4])
    """

    _function = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPool, torch.nn.AvgPool3d):
    """3-D average pooling layer; arguments of `torch.nn.AvgPool3d`.

    Computes `lightconv.functional.avg_pool3d` of its input.

    >>> AvgPool3d(3, stride=2, padding=1)(torch.zeros(2, 3, 8, 8, 8)).shape
    torch.Size([2, 3, 4, 4, 4])
    """

    _function = staticmethod(F.avg_pool3d)


class AdaptiveAvgPool1d(_AdaptiveAvgPool, torch.nn.AdaptiveAvgPool1d):
    """1-D adaptive average pooling layer; arguments of `torch.nn.AdaptiveAvgPool1d`.

    Computes `lightconv.functional.adaptive_avg_pool1d` of its input.

    >>> AdaptiveAvgPool1d(3)(torch.zeros(2, 3, 8)).shape
    torch.Size([2, 3, 3])
    """

    _function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool, torch.nn.AdaptiveAvgPool2d):
    """2-D adaptive average pooling layer; arguments of `torch.nn.AdaptiveAvgPool2d`.

    Computes `lightconv.functional.adaptive_avg_pool2d` of its input.

    >>> AdaptiveAvgPool2d(3)(torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 3, 3, 3])
    """

    _function = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool, torch.nn.AdaptiveAvgPool3d):
    """3-D adaptive average pooling layer; arguments of `torch.nn.AdaptiveAvgPool3d`.

    Computes `lightconv.functional.adaptive_avg_pool3d` of its input.

    >>> AdaptiveAvgPool3d(3)(torch.zeros(2, 3, 8, 8, 8)).shape
    torch.Size([2, 3, 3, 3, 3])
    """

    _function = staticmethod(F.adaptive_avg_pool3d)


class AdaptiveMaxPool1d(_AdaptiveMaxPool, torch.nn.AdaptiveMaxPool1d):
    """1-D adaptive max-pooling layer; arguments of `torch.nn.AdaptiveMaxPool1d`.

    Computes `lightconv.functional.adaptive_max_pool1d` of its input; with `return_indices` the output is a pair.

    >>> AdaptiveMaxPool1d(3)(torch.zeros(2, 3, 8)).shape
    torch.Size([2, 3, 3])
    """

    _function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool, torch.nn.AdaptiveMaxPool2d):
    """2-D adaptive max-pooling layer; arguments of `torch.nn.AdaptiveMaxPool2d`.

    Computes `lightconv.functional.adaptive_max_pool2d` of its input; with `return_indices` the output is a pair.

    >>> AdaptiveMaxPool2d(3)(torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 3, 3, 3])
    """

    _function = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool, torch.nn.AdaptiveMaxPool3d):
    """3-D adaptive max-pooling layer; arguments of `torch.nn.AdaptiveMaxPool3d`.

    Computes `lightconv.functional.adaptive_max_pool3d` of its input; with `return_indices` the output is a pair.

    >>> AdaptiveMaxPool3d(3)(torch.zeros(2, 3, 8, 8, 8)).shape
    torch.Size([2, 3, 3, 3, 3])
    """

    _function = staticmethod(F.adaptive_max_pool3d)


class Subsample(torch.nn.Module):
    """Keep the first element of every block along each spatial axis.

    Computes `lightconv.functional.subsample` of its input, (N, C, ...) with any number of spatial axes.

    Args:
        stride: size of the blocks: one integer, or one for each axis.

    Raises:
        TypeError: if `stride` is not made of integers.
        ValueError: if it is not positive.

    >>> Subsample(2)(torch.zeros(2, 3, 5, 6)).shape
    torch.Size([2, 3, 3, 3])
    """

    def __init__(self, stride: Any = 2) -> None:
        super().__init__()
        steps = stride if isinstance(stride, (tuple, list)) else (stride,)
        if any(to_integer(step, "stride") < 1 for step in steps):
            raise ValueError(f"Expected `stride` to be positive, but got {stride}.")
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        """Keep the first elements of (N, C, *size)."""
        return F.subsample(input, self.stride)

    def extra_repr(self) -> str:
        """Show the stride."""
        return f"stride={self.stride}"
