"""Max-unpooling layers: torch.nn's classes with their arithmetic replaced by lightconv.functional's."""

from typing import Any

import torch
from torch import Tensor

import lightconv.functional as F

__all__ = ["MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d"]


class _MaxUnpool(torch.nn.modules.pooling._MaxUnpoolNd):
    _function: Any

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return self._function(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool1d(_MaxUnpool, torch.nn.MaxUnpool1d):
    """1-D max-unpooling layer; arguments of `torch.nn.MaxUnpool1d`.

    Computes `lightconv.functional.max_unpool1d` of its input. `forward(input, indices, output_size)` picks, among
    the sizes that pooling would have shortened to the input's, the one asked for.

    >>> x = torch.randn(2, 3, 9)
    >>> pooled, indices = F.max_pool1d(x, 2, return_indices=True)
    >>> MaxUnpool1d(2)(pooled, indices, x.shape).shape
    torch.Size([2, 3, 9])
    """

    _function = staticmethod(F.max_unpool1d)


class MaxUnpool2d(_MaxUnpool, torch.nn.MaxUnpool2d):
    """2-D max-unpooling layer; arguments of `torch.nn.MaxUnpool2d`.

    Computes `lightconv.functional.max_unpool2d` of its input. `forward(input, indices, output_size)` picks, among
    the sizes that pooling would have shortened to the input's, the one asked for.

    >>> x = torch.randn(2, 3, 9, 9)
    >>> pooled, indices = F.max_pool2d(x, 2, return_indices=True)
    >>> MaxUnpool2d(2)(pooled, indices, x.shape).shape
    torch.Size([2, 3, 9, 9])
    """

    _function = staticmethod(F.max_unpool2d)


class MaxUnpool3d(_MaxUnpool, torch.nn.MaxUnpool3d):
    """3-D max-unpooling layer; arguments of `torch.nn.MaxUnpool3d`.

    Computes `lightconv.functional.max_unpool3d` of its input. `forward(input, indices, output_size)` picks, among
    the sizes that pooling would have shortened to the input's, the one asked for.

    >>> x = torch.randn(2, 3, 9, 9, 9)
    >>> pooled, indices = F.max_pool3d(x, 2, return_indices=True)
    >>> MaxUnpool3d(2)(pooled, indices, x.shape).shape
    torch.Size([2, 3, 9, 9, 9])
    """

    _function = staticmethod(F.max_unpool3d)
