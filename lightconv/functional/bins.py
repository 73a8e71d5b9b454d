"""Bins: the windows of adaptive pooling, which divide each axis into a given number, as evenly as can be.

Of an axis of n elements, bin i of m is

    floor(i n / m)  to  ceil((i + 1) n / m),  the end not included

so that neighbours may share an element, and bins are repeated where m > n.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from torch import Tensor

from lightconv.functional.bands import Band
from lightconv.functional.geometry import Sizes, batched, show, to_integer


@lru_cache(maxsize=256)
def bins(n: int, m: int) -> tuple[Sizes, Sizes]:
    """Where each of `m` bins of `n` elements starts and ends.

    >>> bins(5, 2)
    ((0, 2), (3, 5))
    """
    starts = tuple(i * n // m for i in range(m))
    return starts, tuple(-(-(i + 1) * n // m) for i in range(m))


def longest_bins(size: Sizes, out: Sizes) -> Sizes:
    """Elements of the longest bin of each axis."""
    each = (zip(*bins(n, m), strict=True) for n, m in zip(size, out, strict=True))
    return tuple(max((end - start for start, end in axis), default=1) for axis in each)


def even_windows(size: Sizes, out: Sizes) -> Sizes | None:
    """The size of the windows side by side that the bins are, where they are such."""
    if all(m and n and n % m == 0 for n, m in zip(size, out, strict=True)):
        return tuple(n // m for n, m in zip(size, out, strict=True))
    return None


@lru_cache(maxsize=256)
def mean_bands(size: Sizes, out: Sizes, dtype: str) -> list[Band]:
    """The means of bins as a matrix for each axis."""

    def band(n: int, m: int) -> Band:
        starts, ends = (np.array(edge, np.int64) for edge in bins(n, m))
        (longest,) = longest_bins((n,), (m,))
        index = np.minimum(starts[:, None] + np.arange(longest), n - 1)
        share = 1 / np.maximum(ends - starts, 1).astype(dtype)
        return Band(n, index, np.repeat(share[:, None], longest, 1), ends - starts)

    return [band(n, m) for n, m in zip(size, out, strict=True)]


# --- arguments of adaptive pooling --------------------------------------------------------------------------------


def with_batch(x: Tensor, axes: int, name: str, output_size: Any) -> tuple[Tensor, bool]:
    """`x` with a batch axis, and whether it had one."""
    several = axes > 1 and isinstance(output_size, Sequence) and not isinstance(output_size, str)
    if several and isinstance(x, Tensor) and x.dim() <= len(output_size):
        raise ValueError(
            f"Expected `input` of {name} to have at least {len(output_size) + 1} dimensions for `output_size` "
            f"{show(output_size)}, but got shape {tuple(x.shape)}."
        )
    return batched(x, axes, name)


def bin_counts(name: str, output_size: Any, x: Tensor) -> Sizes:
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
