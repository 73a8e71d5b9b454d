"""The maximum of every window, and which element it is.

The maximum over a box is the maximum along its last axis, then along the one before, and so on. So is the
choice among equals. Torch goes through a window in row order and takes a new element if it is larger than the
best so far, or NaN: the first of equal maxima wins, and the last NaN. Taken along one axis after the other, last
axis first, the same rule picks the same element, in a few steps an axis instead of one for each element of the
window.

Elements carry numbers that grow in row order within every window, so that the number of a window's winner only
ever grows on the way.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Reader(NamedTuple):
    """How the windows read one axis.

    `read(x, tap)` has the elements that all windows read with a tap, one each along the axis; `number(tap)` is
    what this adds to their number, one integer or one for each window (broadcast over the axes that follow).
    Where windows are few and long, `spans` tells where they start and end, and `step` how much the number grows from
    one element to the next: then going through the windows is less work than going through the taps.
    """

    axis: int
    taps: int
    read: Callable[[Tensor, int], Tensor]
    number: Callable[[int], int | Tensor]
    spans: Sequence[tuple[int, int]] = ()
    first: Sequence[int] = ()
    step: int = 1


def largest(x: Tensor, readers: Sequence[Reader]) -> Tensor:
    """The maximum of every window, without a rule for ties."""
    if all(len(reader.spans) == 1 for reader in readers):
        return _only_window(x, readers).amax([reader.axis for reader in readers], keepdim=True)
    for reader in reversed(readers):
        if reader.spans:
            spans = [x.narrow(reader.axis, start, end - start) for start, end in reader.spans]
            x = torch.cat([span.amax(reader.axis, keepdim=True) for span in spans], reader.axis)
            continue
        best = reader.read(x, 0)
        for tap in range(1, reader.taps):
            best = torch.maximum(best, reader.read(x, tap))
        x = best
    return x


def winners(x: Tensor, readers: Sequence[Reader], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The maximum of every window and the number, of type `dtype`, of the element that it is.

    A window in which nothing exceeds -inf gets the number that its first element has.
    """
    numbers: Tensor | None = None
    for reader in reversed(readers):
        x, numbers = _through_taps(x, numbers, reader, dtype, exact=True)
    assert numbers is not None
    return x, numbers


def winners_fast(x: Tensor, readers: Sequence[Reader], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The same without autograd, by means of operations that are fast on a CPU."""
    if x.device.type != "cpu":
        return winners(x, readers, dtype)
    if all(len(reader.spans) == 1 for reader in readers):
        box = _only_window(x, readers)
        best, place = box.flatten(readers[0].axis, readers[-1].axis).max(readers[0].axis)
        shape = [n if axis < readers[0].axis or axis > readers[-1].axis else 1 for axis, n in enumerate(x.shape)]
        best, numbers = best.reshape(shape), place.reshape(shape).to(dtype)
    else:
        best, found = x, None
        for reader in reversed(readers):
            through = _through_spans if reader.spans else _through_taps
            best, found = through(best, found, reader, dtype)
        assert found is not None
        numbers = found
    # a NaN anywhere makes the sum one; so may infinities, which costs time only
    if x.is_floating_point() and math.isnan(best.sum()):
        return winners(x, readers, dtype)
    return best, numbers


def _only_window(x: Tensor, readers: Sequence[Reader]) -> Tensor:
    for reader in readers:
        ((start, end),) = reader.spans
        x = x.narrow(reader.axis, start, end - start)
    return x


def _through_taps(
    x: Tensor, numbers: Tensor | None, reader: Reader, dtype: torch.dtype, exact: bool = False
) -> tuple[Tensor, Tensor]:
    """Maximum along one axis, tap by tap. Without `exact`, numbers are right unless there is a NaN."""

    def number(tap: int) -> int | Tensor:
        own = reader.number(tap)
        return own if numbers is None else reader.read(numbers, tap) + own

    best = reader.read(x, 0)
    chosen = number(0)
    for tap in range(1, reader.taps):
        value = reader.read(x, tap)
        better = value > best
        if exact and x.is_floating_point():
            better = better | value.isnan()
        best = torch.where(better, value, best) if exact else torch.maximum(value, best)
        taken = better.to(dtype) * number(tap)
        chosen = torch.maximum(chosen, taken) if isinstance(chosen, Tensor) else taken
    if not isinstance(chosen, Tensor) or chosen.shape != best.shape:
        chosen = torch.zeros_like(best, dtype=dtype) + chosen
    return best, chosen


def _through_spans(x: Tensor, numbers: Tensor | None, reader: Reader, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Maximum along one axis, window by window; numbers are right unless there is a NaN."""
    best, chosen = [], []
    for (start, end), first in zip(reader.spans, reader.first, strict=True):
        value, place = x.narrow(reader.axis, start, end - start).max(reader.axis, keepdim=True)
        number = place.to(dtype) * reader.step + first
        if numbers is not None:
            number += numbers.narrow(reader.axis, start, end - start).gather(reader.axis, place)
        best.append(value)
        chosen.append(number)
    return torch.cat(best, reader.axis), torch.cat(chosen, reader.axis)
