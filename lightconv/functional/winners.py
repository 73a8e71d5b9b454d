"""Winners: which element of its window each maximum is, and how gradients find the way there.

A maximum passes its gradient to the one element that won. All that the derivatives of max-pooling need, to any
order, is therefore the number of the winning tap of each window, one byte for kernels of up to 128 elements: the
gradient is spread over the winners' places, and the gradient of that is collected from there.
"""

from typing import Any

import torch
from torch import Tensor

from lightconv.functional.dispatch import Operation, accumulation_dtype, transforming
from lightconv.functional.geometry import Sizes, memory_format, new_empty, numel
from lightconv.functional.planes import channels_last, pick, place, planes
from lightconv.functional.pooling import along, at_tap, crop, fitted_pads
from lightconv.functional.windows import overlap_add, padded_size, taps, zero_pad


def winner_places(won: Tensor, size: Sizes, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes) -> Tensor:
    """The index into a plane of `size`, in row order, of each winner."""
    axes = len(kernel)
    start: Tensor | int = 0
    offset: Tensor | int = 0
    for axis in range(axes):
        step = numel(size[axis + 1 :])
        corner = torch.arange(won.shape[2 + axis], device=won.device) * stride[axis] - pads[axis]
        start = start + along(axis, axes, corner * step)
        inner = torch.arange(kernel[axis], device=won.device) * dilation[axis]
        offset = offset + along(axis, axes, inner * step)
    assert isinstance(offset, Tensor)
    last = channels_last(won)
    numbers = won.movedim(1, -1) if last else won
    # under vmap PyTorch 2.6 takes 64-bit numbers alone; elsewhere the smaller ones are faster
    wide = not torch.compiler.is_compiling() and transforming()
    found = offset.flatten().index_select(0, numbers.flatten().to(torch.int64 if wide else torch.int32))
    found = found.reshape(numbers.shape)
    return (found.movedim(-1, 1) if last else found) + start


# --- every element of a gradient added to the place of its window's winner --------------------------------------


def _spread_shape(
    g: Tensor, won: Tensor, size: Sizes, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes
) -> Tensor:
    return new_empty(g, (*g.shape[:2], *size), memory_format(g))


def _spread_definition(
    g: Tensor, won: Tensor, size: Sizes, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes
) -> Tensor:
    lead, out = tuple(g.shape[:2]), tuple(g.shape[2:])
    exact = g.to(accumulation_dtype(g.dtype))
    pads = fitted_pads(size, out, kernel, stride, pads, dilation)
    total = overlap_add(
        lambda tap: torch.where(won == tap, exact, 0),
        lead,
        out,
        padded_size(size, pads),
        kernel,
        stride,
        dilation,
    )
    return crop(total, pads).to(g.dtype)


def _spread_run(
    g: Tensor, won: Tensor, size: Sizes, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes
) -> Tensor:
    y = _spread_shape(g, won, size, kernel, stride, pads, dilation)
    # a window that reads nothing but padding has its winner behind the end
    whole = tuple(max(n, d) for n, d in zip(size, dilation, strict=True))
    beyond = (0,) * len(size) + tuple(n - m for n, m in zip(whole, size, strict=True))
    for part in planes(g, numel(whole) * g.element_size() + 2 * numel(g.shape[2:]) * torch.int64.itemsize):
        if g.device.type == "cpu":
            places = winner_places(won[part], whole, kernel, stride, pads, dilation)
            y[part] = crop(place(g[part], places, whole), beyond)
        else:  # where adding at indices has to sort them first
            y[part] = _spread_definition(g[part], won[part], size, kernel, stride, pads, dilation)
    return y


def _save_spread(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, won, _, *ctx.geometry = inputs
    ctx.save_for_backward(won)


def _spread_gradient(ctx: Any, h: Tensor) -> tuple[Any, ...]:
    (won,) = ctx.saved_tensors
    return max_pool_collect(h, won, *ctx.geometry), None, None, None, None, None, None


# --- its adjoint: a tensor read at the places of the winners ----------------------------------------------------


def _collect_shape(h: Tensor, won: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes) -> Tensor:
    return torch.empty_like(won, dtype=h.dtype)


def _collect_definition(h: Tensor, won: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes) -> Tensor:
    out = tuple(won.shape[2:])
    h = zero_pad(h, fitted_pads(tuple(h.shape[2:]), out, kernel, stride, pads, dilation))
    y: Tensor | None = None
    for number, tap in enumerate(taps(kernel)):
        value = at_tap(h, tap, out, stride, dilation)
        y = value if y is None else torch.where(won == number, value, y)
    assert y is not None
    return y


def _collect_run(h: Tensor, won: Tensor, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes) -> Tensor:
    size, out = tuple(h.shape[2:]), tuple(won.shape[2:])
    y = _collect_shape(h, won, kernel, stride, pads, dilation)
    pads = fitted_pads(size, out, kernel, stride, pads, dilation)
    whole = padded_size(size, pads)
    for part in planes(won, 3 * numel(whole) * h.element_size()):
        indices = winner_places(won[part], whole, kernel, stride, (0,) * len(pads), dilation)
        y[part] = pick(zero_pad(h[part], pads), indices)
    return y


def _save_collect(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    h, won, *ctx.geometry = inputs
    ctx.save_for_backward(won)
    ctx.size = tuple(h.shape[2:])


def _collect_gradient(ctx: Any, g: Tensor) -> tuple[Any, ...]:
    (won,) = ctx.saved_tensors
    return max_pool_spread(g, won, ctx.size, *ctx.geometry), None, None, None, None, None


_WINDOWS = "SymInt[] kernel, SymInt[] stride, SymInt[] pads, SymInt[] dilation"

max_pool_spread: Operation = Operation(
    "max_pool_spread",
    f"(Tensor grad, Tensor winners, SymInt[] size, {_WINDOWS}) -> Tensor",
    definition=_spread_definition,
    shape=_spread_shape,
    run=_spread_run,
    save=_save_spread,
    gradient=_spread_gradient,
)
"""The gradient of max-pooling: every element of `grad` added to the place of its window's winner."""

max_pool_collect: Operation = Operation(
    "max_pool_collect",
    f"(Tensor input, Tensor winners, {_WINDOWS}) -> Tensor",
    definition=_collect_definition,
    shape=_collect_shape,
    run=_collect_run,
    save=_save_collect,
    gradient=_collect_gradient,
)
"""The adjoint of that: the input at the places of the windows' winners."""
