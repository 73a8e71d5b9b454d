"""Several layers in one Module."""

from typing import Any

from torch import Tensor

import lightconv.functional as F
from lightconv.nn.conv import Conv2d

__all__ = ["ConvMaxPoolReLU"]


class ConvMaxPoolReLU(Conv2d):
    """Convolution, max-pooling and ReLU: a `Conv2d` with `pool_size`, and its parameters and keys.

    Computes `lightconv.functional.conv_max_pool_relu`, which keeps less for the backward pass than three layers:

        y = relu(max_pool(conv(x), pool_size))

    from (N, C_in, H, W), or without N, to (N, C_out, out // pool_size), where out is the convolution's size.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode: as in `Conv2d`.
        pool_size: size and stride of the pooling windows: one integer, or one for each axis.

    Raises:
        RuntimeError, TypeError: in `forward`, for an input or numbers that do not fit, `pool_size` beyond the
            convolution's output among them.

    >>> import torch
    >>> block = ConvMaxPoolReLU(1, 10, kernel_size=5)
    >>> block(torch.zeros(8, 1, 28, 28)).shape
    torch.Size([8, 10, 12, 12])
    >>> list(block.state_dict())
    ['weight', 'bias']
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Any = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        pool_size: Any = 2,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )
        self.pool_size = pool_size

    def _compute(self, input: Tensor, weight: Tensor, bias: Tensor | None, padding: Any) -> Tensor:
        return F.conv_max_pool_relu(
            input, weight, bias, self.stride, padding, self.dilation, self.groups, self.pool_size
        )

    def extra_repr(self) -> str:
        """The convolution's, and the pool size."""
        return f"{super().extra_repr()}, pool_size={self.pool_size}"
