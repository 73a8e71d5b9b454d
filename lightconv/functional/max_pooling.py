"""Max-pooling in any number of dimensions: the largest element of every window.

    y[n, c, o] = max over t of  x[n, c, s * o + d * t]

`lightconv.functional.maxima` finds the maximum of every window and which element it is,
`lightconv.functional.winners` takes gradients there.
"""

from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

from lightconv.functional.dispatch import Operation, float32_for_autocast, is_exporting
from lightconv.functional.geometry import (
    FLOATING,
    Sizes,
    batched,
    check_dtype,
    check_not_empty,
    memory_format,
    new_empty,
    numel,
    pool_output_size,
    to_truth,
)
from lightconv.functional.maxima import Reader, largest, number_dtype, winners, winners_fast
from lightconv.functional.planes import planes
from lightconv.functional.pooling import along, fitted_pads, pool_geometry
from lightconv.functional.windows import zero_pad
from lightconv.functional.winners import max_pool_spread, winner_places

__all__ = [
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_pool3d",
    "max_pool3d_with_indices",
]


# --- the definition, and the same plane by plane ----------------------------------------------------------------


def _lowest(dtype: torch.dtype) -> float:
    return -torch.inf if dtype.is_floating_point else torch.iinfo(dtype).min


def _first_taps(out: int, stride: int, low: int, dilation: int, device: torch.device) -> Tensor:
    """The first tap, along one axis, with which each window reads the input and not the padding before it."""
    missing = low - stride * torch.arange(out, device=device)
    return (missing.clamp(min=0) + dilation - 1) // dilation


def _readers(x: Tensor, out: Sizes, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes) -> list[Reader]:
    """How windows read the padded input."""
    axes = len(kernel)

    def reader(axis: int) -> Reader:
        k, n, s, d = kernel[axis], out[axis], stride[axis], dilation[axis]
        step = numel(kernel[axis + 1 :])

        def where(tap: int) -> slice:
            return slice(d * tap, d * tap + s * (n - 1) + 1, s)

        if pads[axis]:
            first = along(axis, axes, _first_taps(n, s, pads[axis], d, x.device) * step)
            return Reader(2 + axis, k, step, where, first.to(number_dtype(numel(kernel))))
        return Reader(2 + axis, k, step, where, span=(0, k) if n == d == 1 else None)

    return [reader(axis) for axis in range(axes)]


def _max_size(x: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, ceil_mode: bool) -> Sizes:
    return pool_output_size(tuple(x.shape[2:]), kernel, stride, pads, dilation, ceil_mode)


def _max_shape(x: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, ceil_mode: bool) -> Tensor:
    out = _max_size(x, kernel, stride, pads, dilation, ceil_mode)
    return new_empty(x, (*x.shape[:2], *out), memory_format(x))


def _winners_shape(
    x: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, ceil_mode: bool
) -> tuple[Tensor, Tensor]:
    y = _max_shape(x, kernel, stride, pads, dilation, ceil_mode)
    return y, torch.empty_like(y, dtype=number_dtype(numel(kernel)))


def _indices_shape(
    x: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, ceil_mode: bool
) -> tuple[Tensor, Tensor]:
    y = _max_shape(x, kernel, stride, pads, dilation, ceil_mode)
    return y, torch.empty_like(y, dtype=torch.int64)


def _winners_definition(
    x: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, ceil_mode: bool
) -> tuple[Tensor, Tensor]:
    out = _max_size(x, kernel, stride, pads, dilation, ceil_mode)
    pads = fitted_pads(tuple(x.shape[2:]), out, kernel, stride, pads, dilation)
    readers = _readers(x, out, kernel, stride, pads, dilation)
    return winners(zero_pad(x, pads, _lowest(x.dtype)), readers, number_dtype(numel(kernel)))


def _max_definition(x: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, ceil_mode: bool) -> Tensor:
    return _winners_definition(x, kernel, stride, pads, dilation, ceil_mode)[0]


def _indices_definition(
    x: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, ceil_mode: bool
) -> tuple[Tensor, Tensor]:
    y, won = _winners_definition(x, kernel, stride, pads, dilation, ceil_mode)
    return y, winner_places(won, tuple(x.shape[2:]), kernel, stride, pads, dilation)


def _max_run(x: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, ceil_mode: bool) -> Tensor:
    y = _max_shape(x, kernel, stride, pads, dilation, ceil_mode)
    out = tuple(y.shape[2:])
    pads = fitted_pads(tuple(x.shape[2:]), out, kernel, stride, pads, dilation)
    readers = _readers(x, out, kernel, stride, pads, dilation)
    for part in planes(x, 2 * numel(x.shape[2:]) * x.element_size()):
        y[part] = largest(zero_pad(x[part], pads, _lowest(x.dtype)), readers)
    return y


def _winners_run(
    x: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, ceil_mode: bool
) -> tuple[Tensor, Tensor]:
    y, won = _winners_shape(x, kernel, stride, pads, dilation, ceil_mode)
    out = tuple(y.shape[2:])
    pads = fitted_pads(tuple(x.shape[2:]), out, kernel, stride, pads, dilation)
    readers = _readers(x, out, kernel, stride, pads, dilation)
    for part in planes(x, 3 * numel(x.shape[2:]) * x.element_size()):
        y[part], won[part] = winners_fast(zero_pad(x[part], pads, _lowest(x.dtype)), readers, won.dtype)
    return y, won


def _indices_run(
    x: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, ceil_mode: bool
) -> tuple[Tensor, Tensor]:
    y, won = _winners_run(x, kernel, stride, pads, dilation, ceil_mode)
    return y, winner_places(won, tuple(x.shape[2:]), kernel, stride, pads, dilation)


def _max_aten(x: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, ceil_mode: bool) -> Tensor:
    function = getattr(torch.nn.functional, f"max_pool{len(kernel)}d")
    return function(x, kernel, stride, pads[: len(kernel)], dilation, ceil_mode)


def _indices_aten(
    x: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, ceil_mode: bool
) -> tuple[Tensor, Tensor]:
    function = getattr(torch.nn.functional, f"max_pool{len(kernel)}d_with_indices")
    return function(x, kernel, stride, pads[: len(kernel)], dilation, ceil_mode)


def _winners_aten(
    x: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, ceil_mode: bool
) -> tuple[Tensor, Tensor]:
    y, indices = _indices_aten(x, kernel, stride, pads, dilation, ceil_mode)
    axes = len(kernel)
    won = torch.zeros_like(indices)
    for axis in range(axes):
        corner = torch.arange(y.shape[2 + axis], device=x.device) * stride[axis] - pads[axis]
        read = indices // numel(x.shape[3 + axis :]) % x.shape[2 + axis]
        won += (read - along(axis, axes, corner)) // dilation[axis] * numel(kernel[axis + 1 :])
    return y, won.to(number_dtype(numel(kernel)))


# --- as operations ---------------------------------------------------------------------------------------------


def _save_winners(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, *geometry, _ = inputs
    ctx.save_for_backward(output[1])
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)
    ctx.size, ctx.geometry = tuple(x.shape[2:]), geometry


def _winners_gradient(ctx: Any, g: Tensor | None, _: Any) -> tuple[Any, ...]:
    (won,) = ctx.saved_tensors
    spread = None if g is None else max_pool_spread(g, won, ctx.size, *ctx.geometry)
    return spread, None, None, None, None, None


def _save_input(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    x, *ctx.geometry = inputs
    ctx.save_for_backward(x)
    if isinstance(output, tuple):
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)


def _max_gradient(ctx: Any, g: Tensor | None, _: Any = None) -> tuple[Any, ...]:
    (x,) = ctx.saved_tensors
    if g is None:
        return None, None, None, None, None, None
    _, won = max_pool_winners(x.detach(), *ctx.geometry)
    return max_pool_spread(g, won, tuple(x.shape[2:]), *ctx.geometry[:-1]), None, None, None, None, None


_WINDOWS = "SymInt[] kernel, SymInt[] stride, SymInt[] pads, SymInt[] dilation"

max_pool: Operation = Operation(
    "max_pool",
    f"(Tensor input, {_WINDOWS}, bool ceil_mode) -> Tensor",
    definition=_max_definition,
    shape=_max_shape,
    run=_max_run,
    save=_save_input,
    gradient=_max_gradient,
    aten=_max_aten,
)
"""The maxima alone."""

max_pool_with_indices: Operation = Operation(
    "max_pool_with_indices",
    f"(Tensor input, {_WINDOWS}, bool ceil_mode) -> (Tensor, Tensor)",
    definition=_indices_definition,
    shape=_indices_shape,
    run=_indices_run,
    save=_save_input,
    gradient=_max_gradient,
    aten=_indices_aten,
)
"""The maxima and their int64 indices into each plane: what exported graphs show."""

max_pool_winners: Operation = Operation(
    "max_pool_winners",
    f"(Tensor input, {_WINDOWS}, bool ceil_mode) -> (Tensor, Tensor)",
    definition=_winners_definition,
    shape=_winners_shape,
    run=_winners_run,
    save=_save_winners,
    gradient=_winners_gradient,
    aten=_winners_aten,
)
"""The maxima and the number of each window's winning tap, which is all that is saved for the gradient."""

# --- the public functions ---------------------------------------------------------------------------------------

_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def maxima_of(x: Tensor, windows: tuple[Any, ...], with_indices: bool) -> tuple[Tensor, Tensor | None]:
    """The maxima, and their indices if wanted, by that operation which saves the least for the backward pass."""
    if is_exporting():
        return max_pool_with_indices(x, *windows) if with_indices else (max_pool(x, *windows), None)
    if with_indices or (x.requires_grad and torch.is_grad_enabled()):
        y, won = max_pool_winners(x, *windows)
        return y, winner_places(won, tuple(x.shape[2:]), *windows[:-1]) if with_indices else None
    return max_pool(x, *windows), None


def _max_pool_nd(
    function: Any,
    axes: int,
    x: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: Any,
    return_indices: Any,
    with_indices: bool = False,
) -> Any:
    name = function.__name__
    if has_torch_function_unary(x):
        return handle_torch_function(
            function,
            (x,),
            x,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            ceil_mode=ceil_mode,
            return_indices=return_indices,
        )
    x, is_batched = batched(x, axes, name)
    with_indices = with_indices or to_truth(return_indices, "return_indices")
    if axes == 3 and not with_indices:
        x = float32_for_autocast(x)
    check_dtype(x, name, FLOATING if axes == 1 and not with_indices else FLOATING + _INTEGERS)
    check_not_empty(x, name)
    windows = pool_geometry(name, x, kernel_size, stride, padding, dilation, ceil_mode)
    y, indices = maxima_of(x, windows, with_indices)
    if not is_batched:
        y, indices = y.squeeze(0), None if indices is None else indices.squeeze(0)
    return y if indices is None else (y, indices)


def max_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """1-D max-pooling: the largest element of every window.

        y[n, c, o] = max over t of  x[n, c, stride * o + dilation * t - padding]

    Of equal maxima the first in row order is the one: it has the index and gets the whole gradient. A window with
    NaN in it gives NaN, and the last one's index. Source: *Understanding Deep Learning*, section 10.4.1. Same meaning
    as `torch.nn.functional.max_pool1d`, `ceil_mode` before `return_indices` included.

    Args:
        input: (N, C, L), or without N. Floating, or integers with `return_indices`.
        kernel_size: size of the windows.
        stride: steps from one window to the next, in elements; `kernel_size` if not given.
        padding: elements of -inf at both ends of each axis, at most half of `kernel_size`.
        dilation: steps between the elements of a window.
        ceil_mode: keep a last window that reaches beyond the high end, if it starts within input or padding.
        return_indices: also return where the maxima were.

    Returns:
        (N, C, L_out), with out = floor((in + 2 padding - dilation (k - 1) - 1) / stride) + 1 (`ceil_mode`: the
        ceiling). With `return_indices` also an int64 tensor of that shape: the index into the plane (L) of each
        maximum, as `max_unpool1d` takes it.

    Raises:
        RuntimeError: for shapes or numbers that do not fit together, or a dtype that torch does not pool.
        TypeError: for arguments of another type.

    >>> x = torch.tensor([[[3.0, 1.0, 4.0, 1.0, 5.0]]])
    >>> max_pool1d(x, 2)
    tensor([[[3., 4.]]])
    >>> max_pool1d(x, 2, ceil_mode=True, return_indices=True)
    (tensor([[[3., 4., 5.]]]), tensor([[[0, 2, 4]]]))
    """
    return _max_pool_nd(max_pool1d, 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool1d_with_indices(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    """`max_pool1d` with its indices, whatever `return_indices` says.

    >>> max_pool1d_with_indices(torch.tensor([[[3.0, 1.0, 1.0, 4.0]]]), 2)
    (tensor([[[3., 4.]]]), tensor([[[0, 3]]]))
    """
    return _max_pool_nd(
        max_pool1d_with_indices, 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, True
    )


def max_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """2-D max-pooling: the largest element of every window.

        y[n, c, o] = max over t of  x[n, c, stride * o + dilation * t - padding]

    Of equal maxima the first in row order is the one: it has the index and gets the whole gradient. A window with
    NaN in it gives NaN, and the last one's index. Source: *Understanding Deep Learning*, section 10.4.1. Same meaning
    as `torch.nn.functional.max_pool2d`, `ceil_mode` before `return_indices` included.

    Args:
        input: (N, C, H, W), or without N. Floating or integers.
        kernel_size: size of the windows.
        stride: steps from one window to the next, in elements; `kernel_size` if not given.
        padding: elements of -inf at both ends of each axis, at most half of `kernel_size`.
        dilation: steps between the elements of a window.
        ceil_mode: keep a last window that reaches beyond the high end, if it starts within input or padding.
        return_indices: also return where the maxima were.

    Returns:
        (N, C, H_out, W_out), with out = floor((in + 2 padding - dilation (k - 1) - 1) / stride) + 1 (`ceil_mode`: the
        ceiling). With `return_indices` also an int64 tensor of that shape: the index into the plane (H, W) of each
        maximum, as `max_unpool2d` takes it.

    Raises:
        RuntimeError: for shapes or numbers that do not fit together, or a dtype that torch does not pool.
        TypeError: for arguments of another type.

    >>> x = torch.tensor([[[[1.0, 3.0, 5.0, 3.0], [6.0, 2.0, 0.0, 8.0], [4.0, 6.0, 1.0, 4.0], [2.0, 8.0, 0.0, 3.0]]]])
    >>> max_pool2d(x, 2)
    tensor([[[[6., 8.],
              [8., 4.]]]])
    """
    return _max_pool_nd(max_pool2d, 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d_with_indices(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    """`max_pool2d` with its indices, whatever `return_indices` says.

    >>> max_pool2d_with_indices(torch.tensor([[[[1.0, 3.0], [6.0, 2.0]]]]), 2)
    (tensor([[[[6.]]]]), tensor([[[[2]]]]))
    """
    return _max_pool_nd(
        max_pool2d_with_indices, 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, True
    )


def max_pool3d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """3-D max-pooling: the largest element of every window.

        y[n, c, o] = max over t of  x[n, c, stride * o + dilation * t - padding]

    Of equal maxima the first in row order is the one: it has the index and gets the whole gradient. A window with
    NaN in it gives NaN, and the last one's index. Source: *Understanding Deep Learning*, section 10.4.1. Same meaning
    as `torch.nn.functional.max_pool3d`, `ceil_mode` before `return_indices` included.

    Args:
        input: (N, C, D, H, W), or without N. Floating or integers.
        kernel_size: size of the windows.
        stride: steps from one window to the next, in elements; `kernel_size` if not given.
        padding: elements of -inf at both ends of each axis, at most half of `kernel_size`.
        dilation: steps between the elements of a window.
        ceil_mode: keep a last window that reaches beyond the high end, if it starts within input or padding.
        return_indices: also return where the maxima were.

    Returns:
        (N, C, D_out, H_out, W_out), with out = floor((in + 2 padding - dilation (k - 1) - 1) / stride) + 1
        (`ceil_mode`: the ceiling). With `return_indices` also an int64 tensor of that shape: the index into the plane
        (D, H, W) of each maximum, as `max_unpool3d` takes it.

    Raises:
        RuntimeError: for shapes or numbers that do not fit together, or a dtype that torch does not pool.
        TypeError: for arguments of another type.

    >>> max_pool3d(torch.randn(2, 4, 8, 16, 16), 3, stride=2, padding=1).shape
    torch.Size([2, 4, 4, 8, 8])
    """
    return _max_pool_nd(max_pool3d, 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d_with_indices(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    """`max_pool3d` with its indices, whatever `return_indices` says.

    >>> max_pool3d_with_indices(torch.arange(8.0).reshape(1, 1, 2, 2, 2), 2)
    (tensor([[[[[7.]]]]]), tensor([[[[[7]]]]]))
    """
    return _max_pool_nd(
        max_pool3d_with_indices, 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, True
    )
