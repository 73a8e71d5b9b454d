"""Max-unpooling in any number of dimensions: every element goes back to where the maximum was, among zeros.

    y[n, c, indices[n, c, o]] = x[n, c, o]

Where windows overlap, several elements may have the same index; the last in row order stays. As in torch, the
gradient of each element is that of its place, whether it stayed or not.
"""

import sys
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from lightconv.functional.dispatch import Operation, float32_for_autocast
from lightconv.functional.geometry import (
    FLOATING,
    Sizes,
    batched,
    check_dtype,
    check_not_empty,
    new_empty,
    numel,
    plane_format,
    show,
    to_integer,
    to_sizes,
)
from lightconv.functional.planes import pick, rows

__all__ = ["max_unpool1d", "max_unpool2d", "max_unpool3d"]


def _definition(x: Tensor, indices: Tensor, size: Sizes) -> Tensor:
    lead = tuple(x.shape[:2])
    zeros = x.new_zeros((*lead, numel(size)))
    if numel(size) == 0:
        return zeros.reshape(*lead, *size)
    # backwards, scatter reads the gradient at every index
    return zeros.scatter(2, rows(indices), rows(x)).reshape(*lead, *size)


def _shape(x: Tensor, indices: Tensor, size: Sizes) -> Tensor:
    return new_empty(x, (*x.shape[:2], *size), plane_format(x))


def _run(x: Tensor, indices: Tensor, size: Sizes) -> Tensor:
    places = numel(size)
    if indices.numel() and places:
        least, most = (int(bound) for bound in torch.aminmax(indices))
        if least < 0 or most >= places:
            raise RuntimeError(
                f"Expected `indices` from 0 to {places - 1} for planes of size {tuple(size)}, "
                f"but got {least if least < 0 else most}."
            )
    if x.device.type == "cpu":
        y = _definition(x, indices, size)
    else:
        y = _last_ones(rows(x), rows(indices), places).reshape(*x.shape[:2], *size)
    return y.contiguous(memory_format=plane_format(x))


def _last_ones(x: Tensor, indices: Tensor, places: int) -> Tensor:
    """`_definition` for devices that scatter in any order: each place looks up the last element it is given."""
    order = torch.arange(x.shape[2], device=x.device).expand(x.shape)
    last = order.new_full((*x.shape[:2], places), -1).scatter_reduce(2, indices, order, "amax")
    return torch.where(last >= 0, x.gather(2, last.clamp(min=0)), 0)


def _aten(x: Tensor, indices: Tensor, size: Sizes) -> Tensor:
    if len(size) == 3:
        return torch.ops.aten.max_unpool3d(x, indices, size, (1, 1, 1), (0, 0, 0))
    if len(size) == 1:
        return torch.ops.aten.max_unpool2d(x.unsqueeze(-1), indices.unsqueeze(-1), (*size, 1)).squeeze(-1)
    return torch.ops.aten.max_unpool2d(x, indices, size)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(inputs[1])


def _gradient(ctx: Any, g: Tensor) -> tuple[Any, ...]:
    (indices,) = ctx.saved_tensors
    return pick(g, indices), None, None


max_unpool = Operation(
    "max_unpool",
    "(Tensor input, Tensor indices, SymInt[] output_size) -> Tensor",
    definition=_definition,
    shape=_shape,
    run=_run,
    save=_save,
    gradient=_gradient,
    aten=_aten,
)


def _output_size(name: str, size: Sizes, kernel_size: Any, stride: Any, padding: Any, output_size: Any) -> Sizes:
    """The spatial size: that of an input which pooling shortens to `size`, or the one asked for among those."""
    axes = len(size)
    kernel = to_sizes(kernel_size, axes, "kernel_size", least=-sys.maxsize)
    strides = kernel if stride is None else to_sizes(stride, axes, "stride", least=-sys.maxsize)
    pads = to_sizes(padding, axes, "padding", least=-sys.maxsize)
    if axes == 3 and any(s < 1 for s in strides):
        raise RuntimeError(f"Expected `stride` of {name} to be positive, but got {show(strides)}.")
    usual = tuple((n - 1) * s + k - 2 * p for n, s, k, p in zip(size, strides, kernel, pads, strict=True))
    if output_size is None:
        wanted = usual
    else:
        try:
            given = tuple(output_size)
        except TypeError:
            raise TypeError(
                f"Expected `output_size` of {name} to be a sequence, but got {show(output_size)}."
            ) from None
        if len(given) == axes + 2:
            given = given[2:]
        if len(given) != axes:
            raise ValueError(
                f"Expected `output_size` of {name} to have {axes} or {axes + 2} elements, but got {show(output_size)}."
            )
        wanted = tuple(to_integer(n, "output_size") for n in given)
        for i, (n, m, s) in enumerate(zip(wanted, usual, strides, strict=True)):
            if not m - s < n < m + s:
                raise ValueError(
                    f"Expected `output_size` of {name} from {m - s + 1} to {m + s - 1} along spatial axis {i} for "
                    f"input size {size[i]}, but got {n}."
                )
    if any(n < 0 for n in wanted):
        raise ValueError(f"Expected an `output_size` of {name} that is not negative, but got {show(wanted)}.")
    return wanted


def _max_unpool_nd(
    function: Any,
    axes: int,
    x: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    output_size: Any,
) -> Tensor:
    name = function.__name__
    if has_torch_function((x, indices)):
        return handle_torch_function(
            function,
            (x, indices),
            x,
            indices,
            kernel_size,
            stride=stride,
            padding=padding,
            output_size=output_size,
        )
    x, is_batched = batched(x, axes, name)
    if not isinstance(indices, Tensor):
        raise TypeError(f"Expected `indices` of {name} to be a tensor, but got {show(indices)}.")
    if indices.dtype != torch.int64:
        raise RuntimeError(f"Expected `indices` of {name} to be int64, but got {indices.dtype}.")
    indices = indices if is_batched else indices.unsqueeze(0)
    if indices.shape != x.shape:
        raise RuntimeError(
            f"Expected `indices` of {name} to have the shape of `input`, {tuple(x.shape)}, "
            f"but got {tuple(indices.shape)}."
        )
    if indices.device != x.device:
        raise RuntimeError(f"Expected `indices` of {name} to be on {x.device} as `input` is, but got {indices.device}.")
    x = float32_for_autocast(x)
    check_dtype(x, name, FLOATING)
    check_not_empty(x, name)
    y = max_unpool(x, indices, _output_size(name, tuple(x.shape[2:]), kernel_size, stride, padding, output_size))
    return y if is_batched else y.squeeze(0)


def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Tensor:
    """1-D max-unpooling: maxima go back to where they came from, everything else is zero.

        y[n, c, indices[n, c, o]] = x[n, c, o]

    Of several elements with the same index the last in row order stays; the gradient reaches all of them. Source:
    *Understanding Deep Learning*, section 10.4.2. Same meaning as `torch.nn.functional.max_unpool1d`.

    Args:
        input: (N, C, L), or without N.
        indices: int64, of the same shape: for each element an index into the plane (L_out), as
            `max_pool1d` returns it.
        kernel_size: size of the pooling windows.
        stride: steps from one window to the next, in elements of the output; `kernel_size` if not given.
        padding: what the pooling added at both ends of each axis.
        output_size: the size wanted, with or without batch and channels, less than `stride` away from the usual one.

    Returns:
        (N, C, L_out), with out = (in - 1) stride + k - 2 padding, or `output_size`.

    Raises:
        RuntimeError: for shapes, dtypes or indices that do not fit.
        ValueError: if `output_size` is out of reach.
        TypeError: for arguments of another type.

    >>> import lightconv.functional as F
    >>> maxima, indices = F.max_pool1d(torch.tensor([[[3.0, 1.0, 4.0, 1.0, 5.0]]]), 2, return_indices=True)
    >>> max_unpool1d(maxima, indices, 2, output_size=[5])
    tensor([[[3., 0., 4., 0., 0.]]])
    """
    return _max_unpool_nd(max_unpool1d, 1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Tensor:
    """2-D max-unpooling: maxima go back to where they came from, everything else is zero.

        y[n, c, indices[n, c, o]] = x[n, c, o]

    Of several elements with the same index the last in row order stays; the gradient reaches all of them. Source:
    *Understanding Deep Learning*, section 10.4.2. Same meaning as `torch.nn.functional.max_unpool2d`.

    Args:
        input: (N, C, H, W), or without N.
        indices: int64, of the same shape: for each element an index into the plane (H_out, W_out), as
            `max_pool2d` returns it.
        kernel_size: size of the pooling windows.
        stride: steps from one window to the next, in elements of the output; `kernel_size` if not given.
        padding: what the pooling added at both ends of each axis.
        output_size: the size wanted, with or without batch and channels, less than `stride` away from the usual one.

    Returns:
        (N, C, H_out, W_out), with out = (in - 1) stride + k - 2 padding, or `output_size`.

    Raises:
        RuntimeError: for shapes, dtypes or indices that do not fit.
        ValueError: if `output_size` is out of reach.
        TypeError: for arguments of another type.

    >>> import lightconv.functional as F
    >>> x = torch.tensor([[[[1.0, 3.0, 5.0, 3.0], [6.0, 2.0, 0.0, 8.0], [4.0, 6.0, 1.0, 4.0], [2.0, 8.0, 0.0, 3.0]]]])
    >>> max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2)
    tensor([[[[0., 0., 0., 0.],
              [6., 0., 0., 8.],
              [0., 0., 0., 4.],
              [0., 8., 0., 0.]]]])
    """
    return _max_unpool_nd(max_unpool2d, 2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Tensor:
    """3-D max-unpooling: maxima go back to where they came from, everything else is zero.

        y[n, c, indices[n, c, o]] = x[n, c, o]

    Of several elements with the same index the last in row order stays; the gradient reaches all of them. Source:
    *Understanding Deep Learning*, section 10.4.2. Same meaning as `torch.nn.functional.max_unpool3d`.

    Args:
        input: (N, C, D, H, W), or without N.
        indices: int64, of the same shape: for each element an index into the plane (D_out, H_out, W_out), as
            `max_pool3d` returns it.
        kernel_size: size of the pooling windows.
        stride: steps from one window to the next, in elements of the output; `kernel_size` if not given.
        padding: what the pooling added at both ends of each axis.
        output_size: the size wanted, with or without batch and channels, less than `stride` away from the usual one.

    Returns:
        (N, C, D_out, H_out, W_out), with out = (in - 1) stride + k - 2 padding, or `output_size`.

    Raises:
        RuntimeError: for shapes, dtypes or indices that do not fit.
        ValueError: if `output_size` is out of reach.
        TypeError: for arguments of another type.

    >>> import lightconv.functional as F
    >>> x = torch.randn(2, 4, 8, 9, 9)
    >>> max_unpool3d(*F.max_pool3d(x, 2, return_indices=True), 2, output_size=x.shape).shape
    torch.Size([2, 4, 8, 9, 9])
    """
    return _max_unpool_nd(max_unpool3d, 3, input, indices, kernel_size, stride, padding, output_size)
