"""Planes: the elements of one channel of one sample. Pooling treats each plane by itself.

Within a plane elements are numbered in row order, as torch counts the indices of max-pooling.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from lightconv.functional.dispatch import Operation, accumulation_dtype, piece_bytes, transforming, workspace_bytes
from lightconv.functional.geometry import Sizes, memory_format, new_empty, numel, tiles


def channels_last(x: Tensor) -> bool:
    """Whether the channels of (N, C, *size) lie side by side, so that it is better read with them as the last axis."""
    known = not (torch.compiler.is_compiling() or transforming())
    return known and memory_format(x) != torch.contiguous_format


def planes(x: Tensor, bytes_per_plane: int) -> Iterator[tuple[slice, slice]]:
    """Slices of the batch and of the channels that cover (N, C, ...) in pieces that a core's cache holds.

    Channels that lie side by side stay together where the workspace allows it.
    """
    limit = piece_bytes(x)
    if channels_last(x):
        limit = max(limit, min(workspace_bytes(), x.shape[1] * bytes_per_plane))
    yield from tiles(x.shape[0], x.shape[1], bytes_per_plane, limit)


def in_one_piece(x: Tensor, bytes_per_plane: int) -> bool:
    """Whether all planes of (N, C, ...) are one piece."""
    return x.shape[0] * x.shape[1] * bytes_per_plane <= piece_bytes(x)


def rows(x: Tensor) -> Tensor:
    """(N, C, *size) with each plane as one row: (N, C, elements)."""
    return x.reshape(x.shape[0], x.shape[1], numel(x.shape[2:]))


def _pick_definition(x: Tensor, indices: Tensor) -> Tensor:
    return rows(x).gather(2, rows(indices)).reshape(indices.shape)


def _pick_shape(x: Tensor, indices: Tensor) -> Tensor:
    return x.new_empty(indices.shape)


def _save_pick(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, indices = inputs
    ctx.save_for_backward(indices)
    ctx.size = tuple(x.shape[2:])


def _pick_gradient(ctx: Any, g: Tensor) -> tuple[Any, ...]:
    (indices,) = ctx.saved_tensors
    return place(g, indices, ctx.size), None


def _place_definition(g: Tensor, indices: Tensor, size: Sizes) -> Tensor:
    lead = tuple(g.shape[:2])
    exact = accumulation_dtype(g.dtype)
    total = g.new_zeros((*lead, numel(size)), dtype=exact)
    return total.scatter_add(2, rows(indices), rows(g).to(exact)).reshape(*lead, *size).to(g.dtype)


def _place_shape(g: Tensor, indices: Tensor, size: Sizes) -> Tensor:
    return new_empty(g, (*g.shape[:2], *size), memory_format(g))


def _place_run(g: Tensor, indices: Tensor, size: Sizes) -> Tensor:
    lead, count, exact = tuple(g.shape[:2]), numel(size), accumulation_dtype(g.dtype)
    if g.device.type == "cpu":
        if not channels_last(g):
            return _place_definition(g, indices, size)
        # all planes of a sample as they lie, in one row
        batch, channels = lead
        total = g.new_zeros((batch, count * channels), dtype=exact)
        at = (indices.movedim(1, -1) * channels).add_(torch.arange(channels))
        total.scatter_add_(1, at.reshape(batch, -1), g.movedim(1, -1).reshape(batch, -1).to(exact))
        return total.reshape(batch, *size, channels).movedim(-1, 1).to(g.dtype)
    # scatter_add of other devices adds in any order; this sorts first
    first = torch.arange(numel(lead), device=g.device).mul_(count).reshape(*lead, 1)
    total = g.new_zeros(numel(lead) * count, dtype=exact)
    total.index_put_(((rows(indices) + first).flatten(),), g.flatten().to(exact), accumulate=True)
    return total.reshape(*lead, *size).to(g.dtype).contiguous(memory_format=memory_format(g))


def _save_place(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(inputs[1])


def _place_gradient(ctx: Any, h: Tensor) -> tuple[Any, ...]:
    (indices,) = ctx.saved_tensors
    return pick(h, indices), None, None


pick: Operation = Operation(
    "pick",
    "(Tensor input, Tensor indices) -> Tensor",
    definition=_pick_definition,
    shape=_pick_shape,
    save=_save_pick,
    gradient=_pick_gradient,
)
"""(N, C, *size) read at (N, C, *out) indices into each plane."""

place: Operation = Operation(
    "place",
    "(Tensor grad, Tensor indices, SymInt[] size) -> Tensor",
    definition=_place_definition,
    shape=_place_shape,
    run=_place_run,
    save=_save_place,
    gradient=_place_gradient,
)
"""The adjoint of `pick`: every element of (N, C, *out) added at its index into a plane of `size`."""
