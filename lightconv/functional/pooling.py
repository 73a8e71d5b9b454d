"""Pooling: every window of a plane becomes one number.

With input x, padded, and windows counted by o,

    y[n, c, o] = max or mean over t of  x[n, c, s * o + d * t]

where t runs over the kernel, s is the stride and d the dilation (*Understanding Deep Learning*, section 10.4.1).
Here is what maximum and mean have in common, and subsampling, which takes the first element of every window.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

from lightconv.functional.geometry import Sizes, pool_output_size, show, to_sizes, window_span
from lightconv.functional.windows import tap_slices

__all__ = ["subsample"]


def fitted_pads(size: Sizes, out: Sizes, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes) -> Sizes:
    """`pads`, extended at the high ends to what the last windows read where they reach beyond."""
    axes = len(size)
    span = window_span(kernel, dilation)
    reach = tuple((out[i] - 1) * stride[i] + span[i] - size[i] - pads[i] for i in range(axes))
    return (*pads[:axes], *(max(high, more) for high, more in zip(pads[axes:], reach, strict=True)))


def only(values: Sizes, axis: int, rest: int) -> Sizes:
    """`values[axis]` for this axis and `rest` for the others."""
    return tuple(v if i == axis else rest for i, v in enumerate(values))


def along(axis: int, axes: int, vector: Tensor) -> Tensor:
    """A vector along one of the spatial axes."""
    return vector.reshape(-1, *(1,) * (axes - 1 - axis))


def at_tap(x: Tensor, tap: Sizes, out: Sizes, stride: Sizes, dilation: Sizes) -> Tensor:
    """The elements of the padded (N, C, *size) that the windows `out` read with `tap`, as a view."""
    if tuple(x.shape[2:]) == out:  # indexing all of it makes an alias, which batched gradients do not know
        return x
    return x[tap_slices(tap, out, stride, dilation)]


def crop(x: Tensor, pads: Sizes) -> Tensor:
    """What `zero_pad` was given, as a view."""
    if not any(pads):
        return x
    axes = len(pads) // 2
    inner: list[Any] = [slice(pads[i], x.shape[2 + i] - pads[axes + i]) for i in range(axes)]
    return x[(..., *inner)]


def to_flag(value: Any, name: str) -> bool:
    """`value` if it is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"Expected `{name}` to be True or False, but got {show(value)}.")
    return value


def pool_geometry(
    name: str, x: Tensor, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: Any
) -> tuple[Sizes, Sizes, Sizes, Sizes, bool]:
    """Kernel, stride, pads, dilation and mode, checked with an input that has a batch axis."""
    axes = x.dim() - 2
    kernel = to_sizes(kernel_size, axes, "kernel_size", least=1)
    same = stride is None or (isinstance(stride, Sequence) and len(stride) == 0)
    strides = kernel if same else to_sizes(stride, axes, "stride", least=1)
    pads = to_sizes(padding, axes, "padding")
    dilations = to_sizes(dilation, axes, "dilation", least=1)
    ceil = to_flag(ceil_mode, "ceil_mode")
    # torch.compile warns of caches, and symbolic sizes have no hash
    check = _check_windows.__wrapped__ if torch.compiler.is_compiling() else _check_windows
    try:
        check(name, x.shape[2:], kernel, strides, pads, dilations, ceil)
    except TypeError:
        _check_windows.__wrapped__(name, x.shape[2:], kernel, strides, pads, dilations, ceil)
    return kernel, strides, pads * 2, dilations, ceil


@lru_cache(1024)
def _check_windows(
    name: str, size: Sizes, kernel: Sizes, strides: Sizes, pads: Sizes, dilations: Sizes, ceil: bool
) -> None:
    if any(p > k // 2 for p, k in zip(pads, kernel, strict=True)):
        raise RuntimeError(
            f"Expected `padding` of {name} to be at most half of the kernel size {show(kernel)}, but got {show(pads)}."
        )
    out = pool_output_size(tuple(size), kernel, strides, pads * 2, dilations, ceil)
    if any(n < 1 for n in out):
        raise RuntimeError(
            f"Expected `input` of {name} to be at least as large as the dilated kernel along every axis, but got "
            f"{tuple(size)} with padding {show(pads)} for a kernel that spans {window_span(kernel, dilations)}."
        )


def subsample(input: Tensor, stride: Any = 2) -> Tensor:
    """Keep the first element of every block of `stride` elements along each spatial axis.

        y[n, c, o] = x[n, c, stride * o]

    Source: *Understanding Deep Learning*, section 10.4.1 and notebook 10.4.

    Args:
        input: (N, C, ...), any number of spatial axes, any dtype.
        stride: size of the blocks: one integer, or one for each axis.

    Returns:
        (N, C, ...) with out = ceil(in / stride), a copy.

    Raises:
        RuntimeError: if there is no spatial axis, or `stride` is not positive or not as long as there are axes.
        TypeError: for arguments of another type.

    >>> import torch
    >>> subsample(torch.arange(5).reshape(1, 1, 5))
    tensor([[[0, 2, 4]]])
    >>> subsample(torch.zeros(2, 3, 5, 6), (1, 4)).shape
    torch.Size([2, 3, 5, 2])
    """
    if has_torch_function_unary(input):
        return handle_torch_function(subsample, (input,), input, stride=stride)
    if not isinstance(input, Tensor):
        raise TypeError(f"Expected `input` of subsample to be a tensor, but got {show(input)}.")
    if input.dim() < 3:
        raise RuntimeError(
            "Expected `input` of subsample to have batch, channel and at least one spatial dimension, but got shape "
            f"{tuple(input.shape)}."
        )
    steps = to_sizes(stride, input.dim() - 2, "stride", least=1)
    firsts: list[Any] = [slice(None, None, step) for step in steps]
    return input[(..., *firsts)].clone()
