"""Sizes and arguments: how they are normalised, checked and turned into output shapes.

Everything here is arithmetic on integers (also symbolic ones, so that traced graphs stay dynamic). The
layers differ in what they compute, not in how they walk over their input, and that walk is described once:
an axis of size `n`, padded by `low` and `high`, read by a window of `k` elements, `d` apart, every `s`
elements, gives

    floor((n + low + high - d (k - 1) - 1) / s) + 1

windows (Dumoulin and Visin, *A guide to convolution arithmetic for deep learning*, 2016, section 2.4).
"""

import math
import operator
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor

Sizes = tuple[int, ...]
FLOATING = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_TOO_LARGE = 2**31  # no tensor is as wide, and kernels number the elements of a plane by 32-bit integers


def show(value: object) -> str:
    """`value` as it would be typed, short enough for one sentence."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if shape := getattr(value, "shape", ()):
        return f"a {type(value).__module__}.{type(value).__qualname__} of shape {shape}"
    text = repr(tuple(value)) if isinstance(value, (torch.Size, list)) else repr(value)
    return text if len(text) < 80 else text[:77] + "..."


def to_integer(value: Any, name: str) -> int:
    """`value` if it is an integer, no bool among them."""
    if type(value) is int or isinstance(value, torch.SymInt):
        return value  # type: ignore[return-value]
    if isinstance(value, (bool, float, str)) or value is None:
        raise TypeError(f"Expected `{name}` to be made of integers, but got {show(value)}.")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"Expected `{name}` to be made of integers, but got {show(value)}.") from None


def to_sizes(value: Any, spatial: int, name: str, least: int = 0) -> Sizes:
    """One integer, or a sequence of one or `spatial` of them, as a tuple of `spatial`, each >= `least`.

    >>> to_sizes(3, 2, "stride"), to_sizes([1, 2], 2, "stride")
    ((3, 3), (1, 2))
    """
    if type(value) is int and least <= value < _TOO_LARGE:
        return (value,) * spatial
    if isinstance(value, Sequence) and not isinstance(value, str):
        sizes = tuple(to_integer(v, name) for v in value)
        if len(sizes) == 1:
            sizes *= spatial
        if len(sizes) != spatial:
            _wrong_sizes(value, spatial, name, least)
    else:
        sizes = (to_integer(value, name),) * spatial
    for size in sizes:
        if size < least:
            _wrong_sizes(value, spatial, name, least)
        if type(size) is int and size >= _TOO_LARGE:
            raise RuntimeError(f"Expected `{name}` to be below 2^31, but got {show(value)}.")
    return sizes


def _wrong_sizes(value: Any, spatial: int, name: str, least: int) -> NoReturn:
    kind = "positive integer" if least == 1 else "non-negative integer" if least == 0 else "integer"
    many = f" or {spatial} of them" if spatial > 1 else ""
    raise RuntimeError(f"Expected `{name}` to be one {kind}{many}, but got {show(value)}.")


def to_truth(value: Any, name: str) -> bool:
    """`value` as a condition takes it, where torch takes anything that is true or false."""
    try:
        return bool(value)
    except (RuntimeError, ValueError):  # an array of several
        raise TypeError(f"Expected `{name}` to be True or False, but got {show(value)}.") from None


def to_groups(groups: Any) -> int:
    """`groups` as a positive integer."""
    groups = to_integer(groups, "groups")
    if groups < 1:
        raise RuntimeError(f"Expected `groups` to be a positive integer, but got {groups}.")
    return groups


def batched(input: Tensor, spatial: int, name: str, empty_channels: bool = True) -> tuple[Tensor, bool]:
    """`input` with a batch axis, and whether it had one."""
    if not isinstance(input, Tensor):
        raise TypeError(f"Expected `input` of {name} to be a tensor, but got {show(input)}.")
    if input.layout is not torch.strided or input.is_nested:
        kind = "a nested one" if input.is_nested else str(input.layout).removeprefix("torch.")
        raise NotImplementedError(f"Expected `input` of {name} to be a dense tensor, but got {kind}.")
    if input.dim() == spatial + 2:
        return input, True
    if input.dim() == spatial + 1:
        return input.unsqueeze(0), False
    raise RuntimeError(
        f"Expected `input` of {name} to have {spatial + 1} (unbatched) or {spatial + 2} (batched) dimensions, "
        f"but got shape {tuple(input.shape)}."
    )


def check_dtype(input: Tensor, name: str, dtypes: Sequence[torch.dtype]) -> None:
    """Raise unless `input` of the function `name` has one of `dtypes`."""
    if input.dtype not in dtypes:
        known = ", ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)
        raise NotImplementedError(f"Expected `input` of {name} to be one of {known}, but got {input.dtype}.")


def check_not_empty(input: Tensor, name: str, first: int = 1) -> None:
    """Raise if any dimension of `input` from `first` on is empty."""
    if 0 in input.shape[first:]:
        raise RuntimeError(
            f"Expected `input` of {name} to be empty along the batch at most, but got shape {tuple(input.shape)}."
        )


def window_span(kernel: Sizes, dilation: Sizes) -> Sizes:
    """Elements from the first to the last that a window reads, both counted: d (k - 1) + 1 for each axis."""
    return tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))


def conv_output_size(size: Sizes, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes) -> Sizes:
    """Number of windows for each axis; `pads` are all the low ends, then all the high ends.

    >>> conv_output_size((28,), (5,), (2,), (0, 0), (1,))
    (12,)
    """
    axes = len(size)
    return tuple(
        [(size[i] + pads[i] + pads[axes + i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in range(axes)]
    )


def conv_transpose_output_size(
    size: Sizes, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, output_padding: Sizes
) -> Sizes:
    """Size of the input for which a convolution gives `size` outputs, `output_padding` longer than the least.

    >>> conv_transpose_output_size((12,), (5,), (2,), (0, 0), (1,), (1,))
    (28,)
    """
    axes = len(size)
    return tuple(
        (size[i] - 1) * stride[i] - pads[i] - pads[axes + i] + dilation[i] * (kernel[i] - 1) + output_padding[i] + 1
        for i in range(axes)
    )


def needed_strides(size: Sizes, out: Sizes, stride: Sizes) -> Sizes:
    """`stride`, but where there is one window only no more than `size`: no second one starts there.

    >>> needed_strides((8, 8), (1, 4), (1000, 2))
    (8, 2)
    """
    return tuple(min(s, n) if m == 1 else s for n, m, s in zip(size, out, stride, strict=True))


def pool_output_size(size: Sizes, kernel: Sizes, stride: Sizes, pads: Sizes, dilation: Sizes, ceil_mode: bool) -> Sizes:
    """Number of windows for each axis; with `ceil_mode` also one that reaches beyond the high end.

    That window still has to start within the input or the padding at the low end.

    >>> pool_output_size((5,), (2,), (2,), (0, 0), (1,), True)
    (3,)
    """
    if not ceil_mode:
        return conv_output_size(size, kernel, stride, pads, dilation)
    axes = len(size)
    reach = (*pads[:axes], *(high + s - 1 for high, s in zip(pads[axes:], stride, strict=True)))
    most = conv_output_size(size, kernel, stride, reach, dilation)
    starts = tuple((size[i] + pads[i] - 1) // stride[i] + 1 for i in range(axes))
    return tuple(map(_smaller, most, starts))


def _smaller(m: int, n: int) -> int:
    """The smaller one; sizes that torch.export leaves open are compared in the graph."""
    return min(m, n) if isinstance(m, int) and isinstance(n, int) else torch.sym_min(m, n)  # type: ignore[no-any-return]


def same_pads(kernel: Sizes, dilation: Sizes) -> Sizes:
    """Pads that keep the size at stride 1; an odd one goes to the high end, as in torch.

    >>> same_pads((3, 4), (1, 1))
    (1, 1, 1, 2)
    """
    total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return (*(t // 2 for t in total), *(t - t // 2 for t in total))


def conv_pads(padding: Any, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Sizes:
    """Numbers, 'same' or 'valid' as the amounts before and after each axis."""
    if isinstance(padding, str):
        if padding == "valid":
            return (0,) * (2 * len(kernel))
        if padding == "same":
            if any(s != 1 for s in stride):
                raise RuntimeError(f"Expected stride 1 for padding='same', but got stride {show(stride)}.")
            return same_pads(kernel, dilation)
        raise RuntimeError(f"Expected `padding` to be integers, 'same' or 'valid', but got {padding!r}.")
    return to_sizes(padding, len(kernel), "padding") * 2


def memory_format(*tensors: Tensor) -> torch.memory_format:
    """The layout in which a result keeps its arguments' order: channels last if any of them has it."""
    for tensor in tensors:
        if tensor.dim() == 4:
            layout = torch.channels_last
        elif tensor.dim() == 5:
            layout = torch.channels_last_3d
        else:
            continue
        if tensor.is_contiguous(memory_format=layout) and not tensor.is_contiguous():
            return layout
    return torch.contiguous_format


def plane_format(tensor: Tensor) -> torch.memory_format:
    """`memory_format` where torch keeps it for pictures only, not for volumes."""
    return memory_format(tensor) if tensor.dim() == 4 else torch.contiguous_format


def new_empty(x: Tensor, shape: Sizes, layout: torch.memory_format) -> Tensor:
    """A tensor of this shape and layout, of the type and on the device of `x`, with nothing in it yet."""
    if layout == torch.contiguous_format:
        return x.new_empty(shape)
    return x.new_empty((shape[0], *shape[2:], shape[1])).movedim(-1, 1)


def tiles(batch: int, rows: int, bytes_per_row: int, limit: int) -> Iterator[tuple[slice, slice]]:
    """Slices of the batch and of the rows that cover both, each within `limit` bytes where one row is.

    A row is one step along the first spatial axis of the output. Whole samples are kept together while
    they fit; a sample too large for that is cut into rows.
    """
    per_sample = max(1, rows * bytes_per_row)
    if per_sample <= limit:
        step = limit // per_sample
        for start in range(0, batch, step):
            yield slice(start, min(start + step, batch)), slice(0, rows)
        return
    step = max(1, limit // max(1, bytes_per_row))
    for sample in range(batch):
        for start in range(0, rows, step):
            yield slice(sample, sample + 1), slice(start, min(start + step, rows))


def numel(sizes: Sequence[int]) -> int:
    """Product of `sizes`, 1 for none."""
    return math.prod(sizes)
