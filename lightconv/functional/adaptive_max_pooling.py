"""Adaptive max-pooling: the largest elements of a given number of bins along each axis."""

from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

from lightconv.functional.bins import bin_counts, bins, even_windows, longest_bins, mean_bands, with_batch
from lightconv.functional.dispatch import Operation, compiled, float32_for_autocast
from lightconv.functional.geometry import (
    FLOATING,
    Sizes,
    check_dtype,
    check_not_empty,
    new_empty,
    numel,
    plane_format,
    to_truth,
)
from lightconv.functional.max_pooling import max_pool_with_indices, maxima_of
from lightconv.functional.maxima import Reader, number_dtype, winners, winners_fast
from lightconv.functional.planes import channels_last, place, planes
from lightconv.functional.pooling import along
from lightconv.kernels.resampling import Matrices

__all__ = [
    "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d",
    "adaptive_max_pool3d_with_indices",
]


def _readers(x: Tensor, out: Sizes, first: int = 2) -> list[Reader]:
    """How bins read the input. `first` is the first spatial axis: 2, or 1 with the channels last."""
    size = tuple(x.shape[first : first + len(out)])
    longest = longest_bins(size, out)

    def reader(axis: int) -> Reader:
        n, m, k = size[axis], out[axis], longest[axis]
        starts, ends = bins(n, m)

        @cache
        def where(tap: int) -> slice | Tensor:
            if m and n % m == 0:
                return slice(tap, n, n // m)
            # bins that are shorter than the longest read their last element again
            read = [min(s + tap, e - 1) for s, e in zip(starts, ends, strict=True)]
            return torch.tensor(read, dtype=torch.int64, device=x.device)

        return Reader(first + axis, k, numel(longest[axis + 1 :]), where, span=(0, n) if m == 1 else None)

    return [reader(axis) for axis in range(len(size))]


def _indices(won: Tensor, size: Sizes) -> Tensor:
    """The index into a plane of `size` of each winner."""
    out = tuple(won.shape[2:])
    axes = len(size)
    longest = longest_bins(size, out)
    total: Tensor | int = 0
    rest = won.to(torch.int32)
    for axis in range(axes):
        step = numel(longest[axis + 1 :])
        tap = rest // step if axis < axes - 1 else rest
        rest = rest - tap * step
        starts, ends = (
            along(axis, axes, torch.tensor(edge, dtype=torch.int64, device=won.device))
            for edge in bins(size[axis], out[axis])
        )
        total = total + torch.minimum(starts + tap, ends - 1) * numel(size[axis + 1 :])
    assert isinstance(total, Tensor)
    return total


def _windows(window: Sizes) -> tuple[Any, ...]:
    axes = len(window)
    return window, window, (0,) * (2 * axes), (1,) * axes, False


def _shape(x: Tensor, output_size: Sizes) -> tuple[Tensor, Tensor]:
    y = new_empty(x, (*x.shape[:2], *output_size), plane_format(x))
    return y, torch.empty_like(y, dtype=torch.int64)


def _definition(x: Tensor, output_size: Sizes) -> tuple[Tensor, Tensor]:
    size = tuple(x.shape[2:])
    window = even_windows(size, output_size)
    if window:
        return max_pool_with_indices.definition(x, *_windows(window))
    y, won = winners(x, _readers(x, output_size), number_dtype(numel(longest_bins(size, output_size))))
    return y, _indices(won, size)


@lru_cache(maxsize=256)
def _matrices(size: Sizes, output_size: Sizes) -> Matrices:
    """Which elements each bin reads along each axis, as a compiled kernel takes it."""
    return Matrices(size, mean_bands(size, output_size, "float32"))


def _run(x: Tensor, output_size: Sizes) -> tuple[Tensor, Tensor]:
    size = tuple(x.shape[2:])
    x = x.contiguous(memory_format=plane_format(x))  # torch's result lies in row order in 3-D
    found = compiled("max_bins", x, _matrices(size, tuple(output_size)))
    if found is not None:
        return found
    window = even_windows(size, output_size)
    if window:
        return max_pool_with_indices(x, *_windows(window))
    y, indices = _shape(x, output_size)
    last = channels_last(x)
    readers = _readers(x.movedim(1, -1), output_size, 1) if last else _readers(x, output_size)
    dtype = number_dtype(numel(longest_bins(size, output_size)))
    for part in planes(x, 4 * max(numel(size), numel(output_size)) * x.element_size()):
        piece = x[part].movedim(1, -1) if last else x[part]
        best, won = winners_fast(piece, readers, dtype)
        y[part] = best.movedim(-1, 1) if last else best
        indices[part] = _indices(won.movedim(-1, 1) if last else won, size)
    return y, indices


def _aten(x: Tensor, output_size: Sizes) -> tuple[Tensor, Tensor]:
    return getattr(torch.nn.functional, f"adaptive_max_pool{len(output_size)}d_with_indices")(x, output_size)


def _save_indices(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(output[1])
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)
    ctx.size = tuple(inputs[0].shape[2:])


def _gradient(ctx: Any, g: Tensor | None, _: Any) -> tuple[Any, ...]:
    (indices,) = ctx.saved_tensors
    return None if g is None else place(g, indices, ctx.size), None


adaptive_max_pool: Operation = Operation(
    "adaptive_max_pool",
    "(Tensor input, SymInt[] output_size) -> (Tensor, Tensor)",
    definition=_definition,
    shape=_shape,
    run=_run,
    save=_save_indices,
    gradient=_gradient,
    aten=_aten,
)
"""The maxima and their int64 indices into each plane."""


# --- the public functions ---------------------------------------------------------------------------------------


def _adaptive_max_pool_nd(
    function: Any, axes: int, x: Tensor, output_size: Any, return_indices: Any, with_indices: bool = False
) -> Any:
    name = function.__name__
    if has_torch_function_unary(x):
        return handle_torch_function(function, (x,), x, output_size, return_indices=return_indices)
    x, is_batched = with_batch(x, axes, name, output_size)
    if axes == 3:
        x = float32_for_autocast(x)
    check_dtype(x, name, FLOATING)
    check_not_empty(x, name, first=1 if is_batched else 2)
    sizes = bin_counts(name, output_size, x)
    with_indices = with_indices or to_truth(return_indices, "return_indices")
    # graphs show one operation for any size
    window = None if torch.compiler.is_compiling() else even_windows(tuple(x.shape[2:]), sizes)
    if window:
        x = x.contiguous() if axes == 3 else x  # torch's result lies in row order in 3-D
        y, indices = maxima_of(x, _windows(window), with_indices)
    else:
        y, indices = adaptive_max_pool(x, sizes)
    if not is_batched:
        y, indices = y.squeeze(0), None if indices is None else indices.squeeze(0)
    return (y, indices) if with_indices else y


def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """1-D adaptive max-pooling: the largest elements of `output_size` bins along each axis.

        y[n, c, i] = max of x[n, c, j] over  floor(i in / out) <= j < ceil((i + 1) in / out)

    Ties and NaN as in `max_pool1d`. Same meaning as `torch.nn.functional.adaptive_max_pool1d`.

    Args:
        input: (N, C, L), or without N. Floating.
        output_size: elements of the output: one integer.
        return_indices: also return where the maxima were.

    Returns:
        (N, C, L_out), the size being `output_size`. With `return_indices` also an int64 tensor of that shape:
        the index into the plane (L) of each maximum.

    Raises:
        RuntimeError: for shapes, numbers or dtypes that do not fit.
        TypeError: for arguments of another type.

    >>> adaptive_max_pool1d(torch.tensor([[[1.0, 5.0, 3.0, 4.0, 2.0]]]), 2, return_indices=True)
    (tensor([[[5., 4.]]]), tensor([[[1, 3]]]))
    """
    return _adaptive_max_pool_nd(adaptive_max_pool1d, 1, input, output_size, return_indices)


def adaptive_max_pool1d_with_indices(
    input: Tensor, output_size: Any, return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """`adaptive_max_pool1d` with its indices, whatever `return_indices` says.

    >>> adaptive_max_pool1d_with_indices(torch.tensor([[[3.0, 1.0, 1.0, 4.0]]]), 2)
    (tensor([[[3., 4.]]]), tensor([[[0, 3]]]))
    """
    return _adaptive_max_pool_nd(adaptive_max_pool1d_with_indices, 1, input, output_size, return_indices, True)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """2-D adaptive max-pooling: the largest elements of `output_size` bins along each axis.

        y[n, c, i] = max of x[n, c, j] over  floor(i in / out) <= j < ceil((i + 1) in / out)

    Ties and NaN as in `max_pool2d`. Same meaning as `torch.nn.functional.adaptive_max_pool2d`.

    Args:
        input: (N, C, H, W), or without N. Floating.
        output_size: elements of the output along each axis: one integer, or 2 of them; None keeps an axis.
        return_indices: also return where the maxima were.

    Returns:
        (N, C, H_out, W_out), the size being `output_size`. With `return_indices` also an int64 tensor of that shape:
        the index into the plane (H, W) of each maximum.

    Raises:
        RuntimeError: for shapes, numbers or dtypes that do not fit.
        TypeError: for arguments of another type.

    >>> adaptive_max_pool2d(torch.randn(2, 3, 10, 9), (None, 4)).shape
    torch.Size([2, 3, 10, 4])
    """
    return _adaptive_max_pool_nd(adaptive_max_pool2d, 2, input, output_size, return_indices)


def adaptive_max_pool2d_with_indices(
    input: Tensor, output_size: Any, return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """`adaptive_max_pool2d` with its indices, whatever `return_indices` says.

    >>> adaptive_max_pool2d_with_indices(torch.tensor([[[[1.0, 3.0], [6.0, 2.0]]]]), 1)
    (tensor([[[[6.]]]]), tensor([[[[2]]]]))
    """
    return _adaptive_max_pool_nd(adaptive_max_pool2d_with_indices, 2, input, output_size, return_indices, True)


def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """3-D adaptive max-pooling: the largest elements of `output_size` bins along each axis.

        y[n, c, i] = max of x[n, c, j] over  floor(i in / out) <= j < ceil((i + 1) in / out)

    Ties and NaN as in `max_pool3d`. Same meaning as `torch.nn.functional.adaptive_max_pool3d`.

    Args:
        input: (N, C, D, H, W), or without N. Floating.
        output_size: elements of the output along each axis: one integer, or 3 of them; None keeps an axis.
        return_indices: also return where the maxima were.

    Returns:
        (N, C, D_out, H_out, W_out), the size being `output_size`. With `return_indices` also an int64 tensor of that
        shape: the index into the plane (D, H, W) of each maximum.

    Raises:
        RuntimeError: for shapes, numbers or dtypes that do not fit.
        TypeError: for arguments of another type.

    >>> adaptive_max_pool3d(torch.ones(2, 3, 5, 6, 7), 1).shape
    torch.Size([2, 3, 1, 1, 1])
    """
    return _adaptive_max_pool_nd(adaptive_max_pool3d, 3, input, output_size, return_indices)


def adaptive_max_pool3d_with_indices(
    input: Tensor, output_size: Any, return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """`adaptive_max_pool3d` with its indices, whatever `return_indices` says.

    >>> adaptive_max_pool3d_with_indices(torch.arange(8.0).reshape(1, 1, 2, 2, 2), 1)
    (tensor([[[[[7.]]]]]), tensor([[[[[7]]]]]))
    """
    return _adaptive_max_pool_nd(adaptive_max_pool3d_with_indices, 3, input, output_size, return_indices, True)
