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
    """

    taps: int
    read: Callable[[Tensor, int], Tensor]
    number: Callable[[int], int | Tensor]


def largest(x: Tensor, readers: Sequence[Reader]) -> Tensor:
    """The maximum of every window, without a rule for ties. `readers`: one for each axis from 2 on."""
    for reader in reversed(readers):
        best = reader.read(x, 0)
        for tap in range(1, reader.taps):
            best = torch.maximum(best, reader.read(x, tap))
        x = best
    return x


def winners(x: Tensor, readers: Sequence[Reader], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The maximum of every window and the number, of type `dtype`, of the element that it is.

    A window in which nothing exceeds -inf gets the number that its first element has.
    """
    return _scan(x, readers, dtype, exact=True)


def winners_fast(x: Tensor, readers: Sequence[Reader], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The same without autograd, by means of operations that are fast on a CPU."""
    if x.device.type != "cpu":
        return _scan(x, readers, dtype, exact=True)
    best, numbers = _scan(x, readers, dtype, exact=False)
    # a NaN anywhere makes the sum one; so may infinities, which costs time only
    if x.is_floating_point() and math.isnan(best.sum()):
        return _scan(x, readers, dtype, exact=True)
    return best, numbers


def _scan(x: Tensor, readers: Sequence[Reader], dtype: torch.dtype, exact: bool) -> tuple[Tensor, Tensor]:
    """Without `exact`, numbers are right unless there is a NaN."""
    numbers: Tensor | None = None
    for reader in reversed(readers):

        def number(tap: int, reader: Reader = reader, before: Tensor | None = numbers) -> int | Tensor:
            own = reader.number(tap)
            return own if before is None else reader.read(before, tap) + own

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
        x, numbers = best, chosen
    assert numbers is not None
    return x, numbers
