"""Adaptive pooling: windows that divide each axis into a given number of bins, as evenly as can be.

Of an axis of n elements, bin i of m is

    floor(i n / m)  to  ceil((i + 1) n / m),  the end not included

so that neighbours may share an element, and bins are repeated where m > n. An element j lies in bin i if and only if
i lies in bin j of n elements made of m: the adjoint of summing n elements into m bins is summing m into n. Hence the
gradient of a mean over bins is made of sums over bins, and nothing is scattered.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

from lightconv.functional.bands import Band
from lightconv.functional.dispatch import (
    Operation,
    accumulation_dtype,
    compiled,
    float32_for_autocast,
    transforming,
)
from lightconv.functional.geometry import (
    FLOATING,
    Sizes,
    batched,
    check_dtype,
    check_not_empty,
    numel,
    plane_format,
    show,
    to_integer,
)
from lightconv.functional.maxima import Reader, number_dtype, winners, winners_fast
from lightconv.functional.planes import place, planes
from lightconv.functional.pooling import along
from lightconv.functional.windows import zeros_like_layout
from lightconv.kernels.resampling import Matrices

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d",
    "adaptive_max_pool3d_with_indices",
]


@lru_cache(maxsize=256)
def bins(n: int, m: int) -> tuple[Sizes, Sizes]:
    """Where each of `m` bins of `n` elements starts and ends.

    >>> bins(5, 2)
    ((0, 2), (3, 5))
    """
    starts = tuple(i * n // m for i in range(m))
    return starts, tuple(-(-(i + 1) * n // m) for i in range(m))


def _longest(n: int, m: int) -> int:
    return max((end - start for start, end in zip(*bins(n, m), strict=True)), default=1)


def _longest_bins(size: Sizes, out: Sizes) -> Sizes:
    return tuple(_longest(n, m) for n, m in zip(size, out, strict=True))


# --- mean -------------------------------------------------------------------------------------------------------


# more elements a bin are summed by one reduction instead of one after the other
_LONG = 16


def _channels_last(x: Tensor) -> bool:
    """Whether the elements of a plane lie apart: then bins are better read with the channels as the last axis."""
    return not transforming() and plane_format(x) != torch.contiguous_format


def _sum_bins(x: Tensor, axis: int, m: int) -> Tensor:
    """Sums of m bins along an axis."""
    n = x.shape[axis]
    if n == m or m == 0:
        return x if n == m else x.narrow(axis, 0, 0)
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    if n == 0:
        return x.new_zeros((*before, m, *after))
    if m % n == 0:
        return x.unsqueeze(axis + 1).expand(*before, n, m // n, *after).reshape(*before, m, *after)
    if n % m == 0 and n // m > _LONG:
        return x.reshape(*before, m, n // m, *after).sum(axis + 1)
    if n % m == 0:
        total = x[(*(slice(None),) * axis, slice(0, n, n // m))]
        for tap in range(1, n // m):
            total = total + x[(*(slice(None),) * axis, slice(tap, n, n // m))]
        return total
    starts, ends = bins(n, m)
    if m <= _longest(n, m):
        sums = [x.narrow(axis, s, e - s).sum(axis, keepdim=True) for s, e in zip(starts, ends, strict=True)]
        return torch.cat(sums, axis)
    if n <= _longest(m, n) and not transforming():
        total = zeros_like_layout(x, (*before, m, *after))
        for j, (s, e) in enumerate(zip(*bins(m, n), strict=True)):
            total.narrow(axis, s, e - s).add_(x.narrow(axis, j, 1))
        return total
    return _sum_taps(x, axis, starts, ends)


def _sum_taps(x: Tensor, axis: int, starts: Sizes, ends: Sizes) -> Tensor:
    """The same, all bins at once: their first elements, then their second ones, and so on."""
    n = x.shape[axis]
    # bins that are shorter than the longest read a zero
    padded = torch.cat([x, x.new_zeros((*x.shape[:axis], 1, *x.shape[axis + 1 :]))], axis)
    total: Tensor | None = None
    for tap in range(max(e - s for s, e in zip(starts, ends, strict=True))):
        read = [s + tap if s + tap < e else n for s, e in zip(starts, ends, strict=True)]
        value = padded.index_select(axis, torch.tensor(read, device=x.device))
        total = value if total is None else total + value
    assert total is not None
    return total


def _counts(size: Sizes, out: Sizes, like: Tensor) -> Tensor | int:
    """How many elements each bin has."""
    if all(n % m == 0 for n, m in zip(size, out, strict=True) if m):
        return numel(size) // max(1, numel(out))
    axes = len(size)
    total: Tensor | int = 1
    for axis, (n, m) in enumerate(zip(size, out, strict=True)):
        lengths = [end - start for start, end in zip(*bins(n, m), strict=True)]
        total = total * along(axis, axes, torch.tensor(lengths, dtype=like.dtype, device=like.device))
    return total


def _sums(x: Tensor, output_size: Sizes) -> Tensor:
    """Sums of all bins."""
    axes = len(output_size)
    alone = [2 + i for i, m in enumerate(output_size) if m == 1]
    if alone:
        x = x.sum(alone, keepdim=True)
    last = _channels_last(x)
    x = x.movedim(1, -1) if last else x
    first = 1 if last else 2
    # the axes that shrink most first, so that there is less to do along the others
    for i in sorted(range(axes), key=lambda i: output_size[i] / max(1, x.shape[first + i])):
        x = _sum_bins(x, first + i, output_size[i])
    return x.movedim(-1, 1) if last else x


def _mean_definition(x: Tensor, output_size: Sizes) -> Tensor:
    total = _sums(x.to(accumulation_dtype(x.dtype)), output_size)
    return (total / _counts(tuple(x.shape[2:]), output_size, total)).to(x.dtype)


def _spread_definition(g: Tensor, size: Sizes) -> Tensor:
    exact = g.to(accumulation_dtype(g.dtype))
    return _sums(exact / _counts(size, tuple(g.shape[2:]), exact), size).to(g.dtype)


def _shape(x: Tensor, output_size: Sizes) -> Tensor:
    return x.new_empty((*x.shape[:2], *output_size)).contiguous(memory_format=plane_format(x))


@lru_cache(maxsize=256)
def _matrices(size: Sizes, output_size: Sizes, shares: bool) -> Matrices:
    """Means over bins, a matrix along each axis; with `shares`, the elements' shares in the gradients of means."""

    def lengths(n: int, m: int) -> np.ndarray:
        starts, ends = bins(n, m)
        return np.array(ends) - np.array(starts)

    def matrix(n: int, m: int) -> Band:
        index = np.minimum(np.array(bins(n, m)[0])[:, None] + np.arange(_longest(n, m)), n - 1)
        weight = 1 / lengths(m, n)[index] if shares else np.ones(index.shape)
        return Band(n, index, weight, lengths(n, m))

    pairs = list(zip(size, output_size, strict=True))
    divisors = None if shares else [lengths(*pair) for pair in pairs]
    return Matrices(size, [matrix(*pair) for pair in pairs], divisors)


def _kernel(x: Tensor, output_size: Sizes, shares: bool) -> Tensor | None:
    """Means or shares by a compiled kernel, if there is one."""
    if x.dtype != torch.float32 or not x.numel() or 0 in output_size:
        return None
    size = tuple(x.shape[2:])
    # torch's result lies in row order in 3-D
    x = x.contiguous() if len(size) == 3 else x
    whole, parts = (output_size, size) if shares else (size, output_size)
    if any(n != 1 for n in parts):
        return compiled("resample", x, _matrices(size, output_size, shares))
    windows = (whole, whole, (0,) * (2 * len(whole)), False, True, None)
    return compiled("avg_pool_spread", x, whole, *windows) if shares else compiled("avg_pool", x, *windows)


def _by_planes(definition: Any, shares: bool) -> Any:
    def run(x: Tensor, output_size: Sizes) -> Tensor:
        found = _kernel(x, output_size, shares)
        if found is not None:
            return found
        y = _shape(x, output_size)
        each = max(numel(x.shape[2:]), numel(output_size))
        for part in planes(tuple(x.shape), 2 * each * accumulation_dtype(x.dtype).itemsize):
            y[part] = definition(x[part], output_size)
        return y

    return run


def _mean_aten(x: Tensor, output_size: Sizes) -> Tensor:
    return getattr(torch.nn.functional, f"adaptive_avg_pool{len(output_size)}d")(x, output_size)


def _save_size(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.size = tuple(inputs[0].shape[2:])


adaptive_avg_pool: Operation = Operation(
    "adaptive_avg_pool",
    "(Tensor input, SymInt[] output_size) -> Tensor",
    definition=_mean_definition,
    shape=_shape,
    run=_by_planes(_mean_definition, False),
    save=_save_size,
    gradient=lambda ctx, g: (adaptive_avg_pool_spread(g, ctx.size), None),
    aten=_mean_aten,
)

adaptive_avg_pool_spread: Operation = Operation(
    "adaptive_avg_pool_spread",
    "(Tensor grad, SymInt[] size) -> Tensor",
    definition=_spread_definition,
    shape=_shape,
    run=_by_planes(_spread_definition, True),
    save=_save_size,
    gradient=lambda ctx, h: (adaptive_avg_pool(h, ctx.size), None),
)
"""The adjoint of the mean: every bin's share for each of its elements."""


# --- maximum ----------------------------------------------------------------------------------------------------


def _readers(x: Tensor, out: Sizes, first: int = 2) -> list[Reader]:
    """How bins read the input. `first` is the first spatial axis: 2, or 1 with the channels last."""
    size = tuple(x.shape[first : first + len(out)])
    longest = _longest_bins(size, out)

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
    longest = _longest_bins(size, out)
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


def _max_shape(x: Tensor, output_size: Sizes) -> tuple[Tensor, Tensor]:
    y = _shape(x, output_size)
    return y, torch.empty_like(y, dtype=torch.int64)


def _max_definition(x: Tensor, output_size: Sizes) -> tuple[Tensor, Tensor]:
    size = tuple(x.shape[2:])
    y, won = winners(x, _readers(x, output_size), number_dtype(numel(_longest_bins(size, output_size))))
    return y, _indices(won, size)


def _max_run(x: Tensor, output_size: Sizes) -> tuple[Tensor, Tensor]:
    if x.dtype in FLOATING and x.numel() and 0 not in output_size:
        # torch's result lies in row order in 3-D
        plain = x.contiguous() if len(output_size) == 3 else x
        found = compiled("max_bins", plain, _matrices(tuple(x.shape[2:]), output_size, False))
        if found is not None:
            return found
    y, indices = _max_shape(x, output_size)
    size = tuple(x.shape[2:])
    last = _channels_last(x)
    readers = _readers(x.movedim(1, -1), output_size, 1) if last else _readers(x, output_size)
    dtype = number_dtype(numel(_longest_bins(size, output_size)))
    for part in planes(tuple(x.shape), 4 * max(numel(size), numel(output_size)) * x.element_size()):
        piece = x[part].movedim(1, -1) if last else x[part]
        best, won = winners_fast(piece, readers, dtype)
        y[part] = best.movedim(-1, 1) if last else best
        indices[part] = _indices(won.movedim(-1, 1) if last else won, size)
    return y, indices


def _max_aten(x: Tensor, output_size: Sizes) -> tuple[Tensor, Tensor]:
    return getattr(torch.nn.functional, f"adaptive_max_pool{len(output_size)}d_with_indices")(x, output_size)


def _save_indices(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(output[1])
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)
    ctx.size = tuple(inputs[0].shape[2:])


def _max_gradient(ctx: Any, g: Tensor | None, _: Any) -> tuple[Any, ...]:
    (indices,) = ctx.saved_tensors
    return None if g is None else place(g, indices, ctx.size), None


adaptive_max_pool: Operation = Operation(
    "adaptive_max_pool",
    "(Tensor input, SymInt[] output_size) -> (Tensor, Tensor)",
    definition=_max_definition,
    shape=_max_shape,
    run=_max_run,
    save=_save_indices,
    gradient=_max_gradient,
    aten=_max_aten,
)
"""The maxima and their int64 indices into each plane."""


# --- the public functions ---------------------------------------------------------------------------------------


def _batched(x: Tensor, axes: int, name: str, output_size: Any) -> tuple[Tensor, bool]:
    several = axes > 1 and isinstance(output_size, Sequence) and not isinstance(output_size, str)
    if several and isinstance(x, Tensor) and x.dim() <= len(output_size):
        raise ValueError(
            f"Expected `input` of {name} to have at least {len(output_size) + 1} dimensions for `output_size` "
            f"{show(output_size)}, but got shape {tuple(x.shape)}."
        )
    return batched(x, axes, name)


def _sizes(name: str, output_size: Any, x: Tensor) -> Sizes:
    """`output_size` for each axis; None keeps an axis, where there are several."""
    axes = x.dim() - 2
    if isinstance(output_size, Sequence) and not isinstance(output_size, str):
        wanted: tuple[Any, ...] = tuple(output_size)
        if len(wanted) != axes:
            raise RuntimeError(
                f"Expected `output_size` of {name} to be one integer or {axes} of them, but got {show(output_size)}."
            )
    else:
        wanted = (to_integer(output_size, "output_size"),) * axes
    keep = axes > 1
    sizes = tuple(
        n if v is None and keep else to_integer(v, "output_size") for v, n in zip(wanted, x.shape[2:], strict=True)
    )
    if any(v < 0 for v in sizes):
        raise RuntimeError(f"Expected `output_size` of {name} not to be negative, but got {show(output_size)}.")
    return sizes


def _adaptive_avg_pool_nd(function: Any, axes: int, x: Tensor, output_size: Any) -> Tensor:
    name = function.__name__
    if has_torch_function_unary(x):
        return handle_torch_function(function, (x,), x, output_size)
    x, is_batched = _batched(x, axes, name, output_size)
    if axes == 3:
        x = float32_for_autocast(x)
    sizes = _sizes(name, output_size, x)
    if all(m == 1 for m in sizes):  # torch takes the mean of everything by another function, which knows more
        check_dtype(x, name, (*FLOATING, torch.complex64, torch.complex128))
    else:
        check_dtype(x, name, FLOATING)
        check_not_empty(x, name, first=1 if axes == 3 and is_batched else 2)
    y = adaptive_avg_pool(x, sizes)
    return y if is_batched else y.squeeze(0)


def _adaptive_max_pool_nd(
    function: Any, axes: int, x: Tensor, output_size: Any, return_indices: Any, with_indices: bool = False
) -> Any:
    name = function.__name__
    if has_torch_function_unary(x):
        return handle_torch_function(function, (x,), x, output_size, return_indices=return_indices)
    x, is_batched = _batched(x, axes, name, output_size)
    if axes == 3:
        x = float32_for_autocast(x)
    check_dtype(x, name, FLOATING)
    check_not_empty(x, name, first=1 if is_batched else 2)
    y, indices = adaptive_max_pool(x, _sizes(name, output_size, x))
    if not is_batched:
        y, indices = y.squeeze(0), indices.squeeze(0)
    return (y, indices) if with_indices or return_indices else y


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
