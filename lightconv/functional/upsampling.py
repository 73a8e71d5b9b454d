"""Enlarging by whole numbers: repetition, and the book's bilinear upsampling with a border of zeros."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

from lightconv.functional.bands import Band, transpose
from lightconv.functional.dispatch import Operation
from lightconv.functional.geometry import Sizes, show, to_sizes
from lightconv.functional.separable import define, new_banded, run

__all__ = ["duplicate", "upsample_bilinear_zeros"]


# --- repetition ------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=128)
def _repeating(size: int, factor: int) -> Band:
    return Band(size, np.arange(size * factor)[:, None] // factor, np.ones((size * factor, 1), np.float32))


def _duplicate_bands(x: Tensor, factor: Sizes) -> list[Band | None]:
    return [_repeating(int(n), int(f)) if f > 1 else None for n, f in zip(x.shape[2:], factor, strict=True)]


def _duplicate_shape(x: Tensor, factor: Sizes) -> Tensor:
    return new_banded(x, [n * f for n, f in zip(x.shape[2:], factor, strict=True)])


def _block_sum_bands(g: Tensor, factor: Sizes) -> list[Band | None]:
    sizes = zip(g.shape[2:], factor, strict=True)
    return transpose([_repeating(int(n) // int(f), int(f)) if f > 1 else None for n, f in sizes])


def _block_sum_shape(g: Tensor, factor: Sizes) -> Tensor:
    return new_banded(g, [n // f for n, f in zip(g.shape[2:], factor, strict=True)])


def _save_factor(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.factor = inputs[1]


repeat_elements = Operation(
    "duplicate",
    "(Tensor input, SymInt[] factor) -> Tensor",
    definition=lambda x, factor: define(x, _duplicate_bands(x, factor)),
    shape=_duplicate_shape,
    run=lambda x, factor: run(x, _duplicate_bands(x, factor)),
    save=_save_factor,
    gradient=lambda ctx, g: (block_sum(g, ctx.factor), None),
)

block_sum: Operation = Operation(
    "block_sum",
    "(Tensor input, SymInt[] factor) -> Tensor",
    definition=lambda g, factor: define(g, _block_sum_bands(g, factor)),
    shape=_block_sum_shape,
    run=lambda g, factor: run(g, _block_sum_bands(g, factor)),
    save=_save_factor,
    gradient=lambda ctx, h: (repeat_elements(h, ctx.factor), None),
)


# --- bilinear with a border of zeros ------------------------------------------------------------------------------


@functools.lru_cache(maxsize=128)
def _tent(size: int, factor: int, dtype: str) -> Band | None:
    if factor == 1:
        return None
    before, rest = np.divmod(np.arange(size * factor), factor)
    share = (rest / factor).astype(dtype)
    count = np.where((rest == 0) | (before + 1 == size), 1, 2)
    return Band(size, np.stack([before, before + 1], 1), np.stack([1 - share, share], 1), count)


def _tents(x: Tensor, size: Sequence[int], factor: Sizes) -> list[Band | None]:
    dtype = "float64" if x.dtype in (torch.float64, torch.complex128) else "float32"
    return [_tent(int(n), int(f), dtype) for n, f in zip(size, factor, strict=True)]


def _zeros_bands(x: Tensor, factor: Sizes) -> list[Band | None]:
    return _tents(x, x.shape[2:], factor)


def _zeros_adjoint_bands(g: Tensor, factor: Sizes) -> list[Band | None]:
    return transpose(_tents(g, [n // f for n, f in zip(g.shape[2:], factor, strict=True)], factor))


bilinear_zeros = Operation(
    "upsample_bilinear_zeros",
    "(Tensor input, SymInt[] factor) -> Tensor",
    definition=lambda x, factor: define(x, _zeros_bands(x, factor)),
    shape=_duplicate_shape,
    run=lambda x, factor: run(x, _zeros_bands(x, factor)),
    save=_save_factor,
    gradient=lambda ctx, g: (bilinear_zeros_adjoint(g, ctx.factor), None),
)

bilinear_zeros_adjoint: Operation = Operation(
    "upsample_bilinear_zeros_adjoint",
    "(Tensor grad, SymInt[] factor) -> Tensor",
    definition=lambda g, factor: define(g, _zeros_adjoint_bands(g, factor)),
    shape=_block_sum_shape,
    run=lambda g, factor: run(g, _zeros_adjoint_bands(g, factor)),
    save=_save_factor,
    gradient=lambda ctx, h: (bilinear_zeros(h, ctx.factor), None),
)


# --- the public functions ----------------------------------------------------------------------------------------


def _check_own(x: Any, factor: Any, name: str) -> Sizes:
    if not isinstance(x, Tensor):
        raise TypeError(f"Expected `input` of {name} to be a tensor, but got {show(x)}.")
    if x.dim() < 3:
        raise RuntimeError(
            f"Expected `input` of {name} to have at least 3 dimensions, (N, C, *size), but got shape {tuple(x.shape)}."
        )
    return to_sizes(factor, x.dim() - 2, "factor", least=1)


def duplicate(input: Tensor, factor: Any = 2) -> Tensor:
    """Enlarge by repeating each element along every spatial axis.

        y[n, c, o] = x[n, c, floor(o / factor)]

    Source: *Understanding Deep Learning*, section 10.4.2, figure 10.12a; notebook 10.4, `duplicate`. The same as
    `interpolate` in mode "nearest" by a whole number, in any dtype and number of dimensions.

    Args:
        input: (N, C, *size).
        factor: output size over input size, one whole number or one for each spatial axis.

    Returns:
        (N, C, *size * factor).

    Raises:
        RuntimeError: for a factor below 1, or an input without spatial axes.
        TypeError: for arguments of another type.

    >>> duplicate(torch.tensor([[[[1, 2], [3, 4]]]]))
    tensor([[[[1, 1, 2, 2],
              [1, 1, 2, 2],
              [3, 3, 4, 4],
              [3, 3, 4, 4]]]])
    """
    if has_torch_function_unary(input):
        return handle_torch_function(duplicate, (input,), input, factor=factor)
    return repeat_elements(input, _check_own(input, factor, "duplicate"))


def upsample_bilinear_zeros(input: Tensor, factor: Any = 2) -> Tensor:
    """Enlarge linearly; beyond the last element of each axis the input counts as zero.

    Along each axis output o reads the input at o / factor, between the elements before and behind:

        y[o] = (1 - r) x[i] + r x[i + 1],     i = floor(o / factor),   r = o / factor - i,   x[size] = 0

    Every factor-th output is an element of the input, and the last ones fade to zero. It is the transposed
    convolution of each channel with a tent of width 2 factor - 1.

    Source: *Understanding Deep Learning*, section 10.4.2, figure 10.12c; notebook 10.4, `bilinear` (the notebook's
    rounding concerns the index of the neighbour, not the value).

    Args:
        input: (N, C, *size), floating or complex.
        factor: output size over input size, one whole number or one for each spatial axis.

    Returns:
        (N, C, *size * factor).

    Raises:
        RuntimeError: for a factor below 1, or an input without spatial axes.
        NotImplementedError: for an input of whole numbers.
        TypeError: for arguments of another type.

    >>> upsample_bilinear_zeros(torch.tensor([[[6.0, 8.0]]]))
    tensor([[[6., 7., 8., 4.]]])
    """
    if has_torch_function_unary(input):
        return handle_torch_function(upsample_bilinear_zeros, (input,), input, factor=factor)
    factors = _check_own(input, factor, "upsample_bilinear_zeros")
    if not (input.is_floating_point() or input.is_complex()):
        raise NotImplementedError(
            f"Expected `input` of upsample_bilinear_zeros to be floating or complex, but got {input.dtype}."
        )
    return bilinear_zeros(input, factors)
