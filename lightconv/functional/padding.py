"""Padding by what is there: reflected, replicated or wrapped around.

Made of slices put side by side, whose gradients are deterministic on every device.
"""

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

from lightconv.functional.dispatch import export_operator
from lightconv.functional.geometry import Sizes, batched, show

MODES = ("reflect", "replicate", "circular")


def _definition(x: Tensor, pads: Sizes, mode: str) -> Tensor:
    axes = len(pads) // 2
    for i in range(axes):
        axis, low, high, n = 2 + i, pads[i], pads[axes + i], x.shape[2 + i]
        if mode == "circular":
            before, after = x.narrow(axis, n - low, low), x.narrow(axis, 0, high)
        elif mode == "reflect":
            before = x.narrow(axis, 1, low).flip(axis)
            after = x.narrow(axis, n - 1 - high, high).flip(axis)
        else:
            shape = list(x.shape)
            shape[axis] = low
            before = x.narrow(axis, 0, 1).expand(shape)
            shape[axis] = high
            after = x.narrow(axis, n - 1, 1).expand(shape)
        if low or high:
            x = torch.cat([before, x, after], axis)
    return x


def _shape(x: Tensor, pads: Sizes, mode: str) -> Tensor:
    axes = len(pads) // 2
    return x.new_empty((*x.shape[:2], *(x.shape[2 + i] + pads[i] + pads[axes + i] for i in range(axes))))


_pad = export_operator("pad", "(Tensor input, SymInt[] pads, str mode) -> Tensor", _definition, _shape)


def pad(input: Tensor, pads: Sizes, mode: str) -> Tensor:
    """Extend every spatial axis of (N, C, *size) or (C, *size) by `pads` (all low ends, then all high ends).

    Args:
        input: batched or not; `pads` tells how many axes are spatial.
        pads: non-negative amounts.
        mode: "reflect" (without repeating the border), "replicate" or "circular".

    >>> pad(torch.tensor([[[1, 2, 3]]]), (2, 1), "reflect")
    tensor([[[3, 2, 1, 2, 3, 2]]])

    Raises:
        RuntimeError: if an axis is too short for its padding.
    """
    if has_torch_function_unary(input):
        return handle_torch_function(pad, (input,), input, pads, mode)
    axes = len(pads) // 2
    input, is_batched = batched(input, axes, "pad")
    for i, n in enumerate(input.shape[2:]):
        most = {"reflect": n - 1, "circular": n}.get(mode)
        if most is None:
            if n < 1:
                raise RuntimeError(f"Expected at least one element to replicate along spatial axis {i}, but got none.")
        elif pads[i] > most or pads[axes + i] > most:
            raise RuntimeError(
                f"Expected `padding` of at most {most} in mode '{mode}' along spatial axis {i} of size {n}, "
                f"but got {show((pads[i], pads[axes + i]))}."
            )
    y = _pad(input, pads, mode)
    return y if is_batched else y.squeeze(0)
