"""Adaptive average pooling: the means of a given number of bins along each axis.

Means of bins are one small matrix for each axis, and their gradient is its adjoint. Bins of one size are the windows
of `avg_pool`, those that are the whole axis its mean.
"""

from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

from lightconv.functional.avg_pooling import avg_pool, avg_pool_spread
from lightconv.functional.bands import transpose
from lightconv.functional.bins import bin_counts, even_windows, mean_bands, with_batch
from lightconv.functional.dispatch import Operation, float32_for_autocast
from lightconv.functional.geometry import FLOATING, Sizes, check_dtype, check_not_empty, new_empty, plane_format
from lightconv.functional.separable import Bands, define, run

__all__ = ["adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"]


def _bands(x: Tensor, size: Sizes, out: Sizes) -> Bands:
    bands = mean_bands(tuple(size), tuple(out), "float64" if x.dtype == torch.float64 else "float32")
    return [None if n == m else band for n, m, band in zip(size, out, bands, strict=True)]


def _windows(window: Sizes) -> tuple[Any, ...]:
    return window, window, (0,) * (2 * len(window)), False, True, None


def _shape(x: Tensor, output_size: Sizes) -> Tensor:
    return new_empty(x, (*x.shape[:2], *output_size), plane_format(x))


def _definition(x: Tensor, output_size: Sizes) -> Tensor:
    size = tuple(x.shape[2:])
    if all(m == 1 for m in output_size):
        return x.mean(tuple(range(2, x.dim())), keepdim=True)
    window = even_windows(size, output_size)
    if window:
        return avg_pool.definition(x, *_windows(window))
    return define(x, _bands(x, size, output_size))


def _run(x: Tensor, output_size: Sizes) -> Tensor:
    size = tuple(x.shape[2:])
    window = even_windows(size, output_size)
    if window and not x.is_complex():
        return avg_pool(x, *_windows(window))
    if window or 0 in size:
        return _definition(x, output_size)
    return run(x.contiguous(memory_format=plane_format(x)), _bands(x, size, output_size))


def _spread_definition(g: Tensor, size: Sizes) -> Tensor:
    out = tuple(g.shape[2:])
    window = even_windows(size, out)
    if window:
        return avg_pool_spread.definition(g, size, *_windows(window))
    return define(g, transpose(_bands(g, size, out)))


def _spread_run(g: Tensor, size: Sizes) -> Tensor:
    out = tuple(g.shape[2:])
    window = even_windows(size, out)
    if window and not g.is_complex():
        return avg_pool_spread(g, size, *_windows(window))
    if window or 0 in size:
        return _spread_definition(g, size)
    return run(g.contiguous(memory_format=plane_format(g)), transpose(_bands(g, size, out)))


def _aten(x: Tensor, output_size: Sizes) -> Tensor:
    return getattr(torch.nn.functional, f"adaptive_avg_pool{len(output_size)}d")(x, output_size)


def _save_size(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.size = tuple(inputs[0].shape[2:])


adaptive_avg_pool: Operation = Operation(
    "adaptive_avg_pool",
    "(Tensor input, SymInt[] output_size) -> Tensor",
    definition=_definition,
    shape=_shape,
    run=_run,
    save=_save_size,
    gradient=lambda ctx, g: (adaptive_avg_pool_spread(g, ctx.size), None),
    aten=_aten,
)

adaptive_avg_pool_spread: Operation = Operation(
    "adaptive_avg_pool_spread",
    "(Tensor grad, SymInt[] size) -> Tensor",
    definition=_spread_definition,
    shape=_shape,
    run=_spread_run,
    save=_save_size,
    gradient=lambda ctx, h: (adaptive_avg_pool(h, ctx.size), None),
)
"""The adjoint of the mean: every bin's share for each of its elements."""


# --- the public functions ---------------------------------------------------------------------------------------


def _adaptive_avg_pool_nd(function: Any, axes: int, x: Tensor, output_size: Any) -> Tensor:
    name = function.__name__
    if has_torch_function_unary(x):
        return handle_torch_function(function, (x,), x, output_size)
    x, is_batched = with_batch(x, axes, name, output_size)
    if axes == 3:
        x = float32_for_autocast(x)
    sizes = bin_counts(name, output_size, x)
    if all(m == 1 for m in sizes):  # torch takes the mean of everything by another function, which knows more
        check_dtype(x, name, (*FLOATING, torch.complex64, torch.complex128))
    else:
        check_dtype(x, name, FLOATING)
        check_not_empty(x, name, first=1 if axes == 3 and is_batched else 2)
    y = adaptive_avg_pool(x, sizes)
    return y if is_batched else y.squeeze(0)


def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """1-D adaptive average pooling: the means of `output_size` bins along each axis.

        y[n, c, i] = mean of x[n, c, j] over  floor(i in / out) <= j < ceil((i + 1) in / out)

    Same meaning as `torch.nn.functional.adaptive_avg_pool1d`.

    Args:
        input: (N, C, L), or without N. Floating; also complex, if every `output_size` is 1.
        output_size: elements of the output: one integer.

    Returns:
        (N, C, L_out), the size being `output_size`.

    Raises:
        RuntimeError: for shapes, numbers or dtypes that do not fit.
        TypeError: for arguments of another type.

    >>> adaptive_avg_pool1d(torch.tensor([[[1.0, 2.0, 3.0, 4.0, 5.0]]]), 2)
    tensor([[[2., 4.]]])
    """
    return _adaptive_avg_pool_nd(adaptive_avg_pool1d, 1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """2-D adaptive average pooling: the means of `output_size` bins along each axis.

        y[n, c, i] = mean of x[n, c, j] over  floor(i in / out) <= j < ceil((i + 1) in / out)

    Same meaning as `torch.nn.functional.adaptive_avg_pool2d`.

    Args:
        input: (N, C, H, W), or without N. Floating; also complex, if every `output_size` is 1.
        output_size: elements of the output along each axis: one integer, or 2 of them; None keeps an axis.

    Returns:
        (N, C, H_out, W_out), the size being `output_size`.

    Raises:
        RuntimeError: for shapes, numbers or dtypes that do not fit.
        TypeError: for arguments of another type.

    >>> adaptive_avg_pool2d(torch.randn(2, 3, 10, 9), (None, 4)).shape
    torch.Size([2, 3, 10, 4])
    """
    return _adaptive_avg_pool_nd(adaptive_avg_pool2d, 2, input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """3-D adaptive average pooling: the means of `output_size` bins along each axis.

        y[n, c, i] = mean of x[n, c, j] over  floor(i in / out) <= j < ceil((i + 1) in / out)

    Same meaning as `torch.nn.functional.adaptive_avg_pool3d`.

    Args:
        input: (N, C, D, H, W), or without N. Floating; also complex, if every `output_size` is 1.
        output_size: elements of the output along each axis: one integer, or 3 of them; None keeps an axis.

    Returns:
        (N, C, D_out, H_out, W_out), the size being `output_size`.

    Raises:
        RuntimeError: for shapes, numbers or dtypes that do not fit.
        TypeError: for arguments of another type.

    >>> adaptive_avg_pool3d(torch.ones(2, 3, 5, 6, 7), 1).shape
    torch.Size([2, 3, 1, 1, 1])
    """
    return _adaptive_avg_pool_nd(adaptive_avg_pool3d, 3, input, output_size)
