"""Convolution layers: torch.nn's classes with their arithmetic replaced by lightconv.functional's."""

from typing import Any, cast

import torch
from torch import Tensor

import lightconv.functional as F
from lightconv.functional.padding import pad

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
]


class _Conv(torch.nn.modules.conv._ConvNd):
    _function: Any

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.padding_mode == "zeros":
            return self._compute(input, weight, bias, self.padding)
        # torch keeps the amounts as (low, high) of the last axis first
        ends = self._reversed_padding_repeated_twice
        pads = (*ends[::2][::-1], *ends[1::2][::-1])
        return self._compute(pad(input, pads, self.padding_mode), weight, bias, 0)

    def _compute(self, input: Tensor, weight: Tensor, bias: Tensor | None, padding: Any) -> Tensor:
        return self._function(input, weight, bias, self.stride, padding, self.dilation, self.groups)


class _ConvTranspose(torch.nn.modules.conv._ConvTransposeNd):
    _function: Any

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        axes = len(self.kernel_size)
        rest = self._output_padding_for(input, output_size, axes)
        return self._function(
            input, self.weight, self.bias, self.stride, self.padding, rest, self.groups, self.dilation
        )

    def _output_padding_for(self, input: Tensor, output_size: Any, axes: int) -> tuple[int, ...]:
        if output_size is None:
            return self.output_padding
        wanted = tuple(output_size)
        lead = input.dim() - axes
        if len(wanted) == lead + axes:
            wanted = wanted[lead:]
        if len(wanted) != axes:
            raise ValueError(
                f"Expected `output_size` to have {axes} or {lead + axes} elements, but got {tuple(output_size)}."
            )
        padding = cast(tuple[int, ...], self.padding)
        rest = []
        for i, size in enumerate(wanted):
            least = (
                (input.shape[lead + i] - 1) * self.stride[i]
                - 2 * padding[i]
                + self.dilation[i] * (self.kernel_size[i] - 1)
                + 1
            )
            if not least <= size < least + self.stride[i]:
                raise ValueError(
                    f"Expected `output_size` from {least} to {least + self.stride[i] - 1} along spatial axis {i} "
                    f"for input size {input.shape[lead + i]}, but got {size}."
                )
            rest.append(size - least)
        return tuple(rest)


class Conv1d(_Conv, torch.nn.Conv1d):
    """1-D convolution layer; arguments, parameters and initialisation of `torch.nn.Conv1d`.

    Computes `lightconv.functional.conv1d` of its input; with another `padding_mode` than "zeros" the input is
    padded by reflected, replicated or wrapped-around elements first.

    >>> Conv1d(1, 15, 3, stride=2)(torch.zeros(2, 1, 40)).shape
    torch.Size([2, 15, 19])
    """

    _function = staticmethod(F.conv1d)


class Conv2d(_Conv, torch.nn.Conv2d):
    """2-D convolution layer; arguments, parameters and initialisation of `torch.nn.Conv2d`.

    Computes `lightconv.functional.conv2d` of its input; with another `padding_mode` than "zeros" the input is
    padded by reflected, replicated or wrapped-around elements first.

    >>> Conv2d(3, 8, 5, padding="same", padding_mode="reflect")(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 8, 32, 32])
    """

    _function = staticmethod(F.conv2d)


class Conv3d(_Conv, torch.nn.Conv3d):
    """3-D convolution layer; arguments, parameters and initialisation of `torch.nn.Conv3d`.

    Computes `lightconv.functional.conv3d` of its input; with another `padding_mode` than "zeros" the input is
    padded by reflected, replicated or wrapped-around elements first.

    >>> Conv3d(4, 4, 3, groups=4)(torch.zeros(2, 4, 8, 8, 8)).shape
    torch.Size([2, 4, 6, 6, 6])
    """

    _function = staticmethod(F.conv3d)


class ConvTranspose1d(_ConvTranspose, torch.nn.ConvTranspose1d):
    """1-D transposed convolution layer; arguments, parameters and initialisation of `torch.nn.ConvTranspose1d`.

    Computes `lightconv.functional.conv_transpose1d`. `forward(input, output_size)` picks, among the `stride`
    sizes that a convolution would have shortened to the input's, the one asked for.

    >>> ConvTranspose1d(15, 1, 3, stride=2)(torch.zeros(2, 15, 19)).shape
    torch.Size([2, 1, 39])

    Raises:
        ValueError: if `output_size` is out of reach.
    """

    _function = staticmethod(F.conv_transpose1d)


class ConvTranspose2d(_ConvTranspose, torch.nn.ConvTranspose2d):
    """2-D transposed convolution layer; arguments, parameters and initialisation of `torch.nn.ConvTranspose2d`.

    Computes `lightconv.functional.conv_transpose2d`. `forward(input, output_size)` picks, among the `stride`
    sizes that a convolution would have shortened to the input's, the one asked for.

    >>> ConvTranspose2d(8, 3, 2, stride=2)(torch.zeros(2, 8, 16, 16)).shape
    torch.Size([2, 3, 32, 32])

    Raises:
        ValueError: if `output_size` is out of reach.
    """

    _function = staticmethod(F.conv_transpose2d)


class ConvTranspose3d(_ConvTranspose, torch.nn.ConvTranspose3d):
    """3-D transposed convolution layer; arguments, parameters and initialisation of `torch.nn.ConvTranspose3d`.

    Computes `lightconv.functional.conv_transpose3d`. `forward(input, output_size)` picks, among the `stride`
    sizes that a convolution would have shortened to the input's, the one asked for.

    >>> ConvTranspose3d(4, 4, 3, groups=4)(torch.zeros(2, 4, 6, 6, 6)).shape
    torch.Size([2, 4, 8, 8, 8])

    Raises:
        ValueError: if `output_size` is out of reach.
    """

    _function = staticmethod(F.conv_transpose3d)


class LazyConv1d(_Conv, torch.nn.LazyConv1d):  # type: ignore[misc]
    """`Conv1d` that takes the number of its input channels from the first input it sees.

    >>> LazyConv1d(4, 3)(torch.zeros(1, 2, 6)).shape
    torch.Size([1, 4, 4])
    """

    cls_to_become = Conv1d  # type: ignore[assignment]
    _function = staticmethod(F.conv1d)


class LazyConvTranspose1d(_ConvTranspose, torch.nn.LazyConvTranspose1d):  # type: ignore[misc]
    """`ConvTranspose1d` that takes the number of its input channels from the first input it sees.

    >>> LazyConvTranspose1d(4, 3)(torch.zeros(1, 2, 6)).shape
    torch.Size([1, 4, 8])
    """

    cls_to_become = ConvTranspose1d  # type: ignore[assignment]
    _function = staticmethod(F.conv_transpose1d)


class LazyConv2d(_Conv, torch.nn.LazyConv2d):  # type: ignore[misc]
    """`Conv2d` that takes the number of its input channels from the first input it sees.

    >>> LazyConv2d(4, 3)(torch.zeros(1, 2, 6, 6)).shape
    torch.Size([1, 4, 4, 4])
    """

    cls_to_become = Conv2d  # type: ignore[assignment]
    _function = staticmethod(F.conv2d)


class LazyConvTranspose2d(_ConvTranspose, torch.nn.LazyConvTranspose2d):  # type: ignore[misc]
    """`ConvTranspose2d` that takes the number of its input channels from the first input it sees.

    >>> LazyConvTranspose2d(4, 3)(torch.zeros(1, 2, 6, 6)).shape
    torch.Size([1, 4, 8, 8])
    """

    cls_to_become = ConvTranspose2d  # type: ignore[assignment]
    _function = staticmethod(F.conv_transpose2d)


class LazyConv3d(_Conv, torch.nn.LazyConv3d):  # type: ignore[misc]
    """`Conv3d` that takes the number of its input channels from the first input it sees.

    >>> LazyConv3d(4, 3)(torch.zeros(1, 2, 6, 6, 6)).shape
    torch.Size([1, 4, 4, 4, 4])
    """

    cls_to_become = Conv3d  # type: ignore[assignment]
    _function = staticmethod(F.conv3d)


class LazyConvTranspose3d(_ConvTranspose, torch.nn.LazyConvTranspose3d):  # type: ignore[misc]
    """`ConvTranspose3d` that takes the number of its input channels from the first input it sees.

    >>> LazyConvTranspose3d(4, 3)(torch.zeros(1, 2, 6, 6, 6)).shape
    torch.Size([1, 4, 8, 8, 8])
    """

    cls_to_become = ConvTranspose3d  # type: ignore[assignment]
    _function = staticmethod(F.conv_transpose3d)
