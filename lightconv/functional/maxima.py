"""The maximum of every window, and which element it is.

The maximum over a box is the maximum along its last axis, then along the one before, and so on. So is the
choice among equals. Torch goes through a window in row order and takes a new element if it is larger than the
best so far, or NaN: the first of equal maxima wins, and the last NaN. Taken along one axis after the other, last
axis first, the same rule picks the same element, in a few steps an axis instead of one for each element of the
window.

Elements carry the numbers of the taps that read them. These grow in row order, so that the number of a window's
winner only ever grows on the way.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Reader(NamedTuple):
    """How the windows read one axis.

    Args:
        axis: which one.
        taps: how many elements the longest window has.
        step: how much the number of an element grows from one tap to the next.
        where: `where(tap)` are the elements that all windows read with a tap, one each: a slice or indices.
        first: where windows begin with padding, the number of the first tap that reads an element, for each
            window (broadcast over the axes that follow).
        span: start and end of the window, if there is only one, without gaps.
    """

    axis: int
    taps: int
    step: int
    where: Callable[[int], slice | Tensor]
    first: Tensor | None = None
    span: tuple[int, int] | None = None


def _read(x: Tensor, axis: int, where: slice | Tensor) -> Tensor:
    if isinstance(where, slice):
        return x[(*(slice(None),) * axis, where)]
    return x.index_select(axis, where)


def number_dtype(taps: int) -> torch.dtype:
    """The smallest of int8 and int32 for this many numbers."""
    return torch.int8 if taps <= 128 else torch.int32


def largest(x: Tensor, readers: Sequence[Reader]) -> Tensor:
    """The maximum of every window, without a rule for ties."""
    if all(reader.span for reader in readers):
        return _only_window(x, readers).amax([reader.axis for reader in readers], keepdim=True)
    for reader in readers:
        best = _read(x, reader.axis, reader.where(0))
        for tap in range(1, reader.taps):
            best = torch.maximum(best, _read(x, reader.axis, reader.where(tap)))
        x = best
    return x


def winners(x: Tensor, readers: Sequence[Reader], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The maximum of every window and the number, of type `dtype`, of the element that it is.

    A window in which nothing exceeds -inf gets the number of its first element.
    """
    numbers: Tensor | None = None
    for reader in reversed(readers):
        best = _read(x, reader.axis, reader.where(0))
        chosen = _first_numbers(best, numbers, reader, dtype)
        for tap in range(1, reader.taps):
            value = _read(x, reader.axis, reader.where(tap))
            better = value > best
            if x.is_floating_point():
                better = better | value.isnan()
            best = torch.where(better, value, best)
            chosen = torch.maximum(chosen, better.to(dtype) * _number(numbers, reader, tap))
        x, numbers = best, chosen
    assert numbers is not None
    return x, numbers


def _first_numbers(best: Tensor, numbers: Tensor | None, reader: Reader, dtype: torch.dtype) -> Tensor:
    where = reader.where(0)
    chosen = torch.zeros_like(best, dtype=dtype) if numbers is None else _read(numbers, reader.axis, where)
    return chosen if reader.first is None else chosen + reader.first


def _number(numbers: Tensor | None, reader: Reader, tap: int) -> Tensor | int:
    """What taking the element at a tap makes of the number, given those along the axes before."""
    own = tap * reader.step
    return own if numbers is None else _read(numbers, reader.axis, reader.where(tap)) + own


def winners_fast(x: Tensor, readers: Sequence[Reader], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The same without autograd, by means of operations that are fast on a CPU."""
    if x.device.type != "cpu":
        return winners(x, readers, dtype)
    if all(reader.span for reader in readers):
        first, last = readers[0].axis, readers[-1].axis
        best, place = _only_window(x, readers).flatten(first, last).max(first)
        shape = (*x.shape[:first], *(1 for _ in readers), *x.shape[last + 1 :])
        best, numbers = best.reshape(shape), place.reshape(shape).to(dtype)
    else:
        best, found = x, None
        for reader in reversed(readers):
            best, found = _along_axis(best, found, reader, dtype)
        assert found is not None
        numbers = found
    # a NaN anywhere makes the sum one; so may infinities, which costs time only
    if x.is_floating_point() and math.isnan(best.sum()):
        return winners(x, readers, dtype)
    return best, numbers


def _only_window(x: Tensor, readers: Sequence[Reader]) -> Tensor:
    for reader in readers:
        assert reader.span is not None
        start, end = reader.span
        x = x.narrow(reader.axis, start, end - start)
    return x


def _along_axis(x: Tensor, numbers: Tensor | None, reader: Reader, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Maxima and numbers along one axis; the numbers are right unless there is a NaN."""
    if reader.axis == x.dim() - 1 and isinstance(reader.where(0), Tensor):
        # rows are picked many times faster than the elements of a row
        x = x.movedim(-1, 0).contiguous()
        numbers = None if numbers is None else numbers.movedim(-1, 0).contiguous()
        best, chosen = _along_axis(x, numbers, reader._replace(axis=0), dtype)
        return best.movedim(0, -1), chosen.movedim(0, -1)
    best = _read(x, reader.axis, reader.where(0))
    chosen = _first_numbers(best, numbers, reader, dtype)
    for tap in range(1, reader.taps):
        value = _read(x, reader.axis, reader.where(tap))
        higher = torch.maximum(value, best)
        # where elements lie side by side, it is faster to compare into a tensor of their own type
        out = torch.empty_like(higher) if 1 in value.stride() else None
        better = torch.gt(value, best, out=out).to(dtype)
        better *= _number(numbers, reader, tap)
        best, chosen = higher, torch.maximum(chosen, better)
    return best, chosen
