"""What the machine itself can do: the rates of matrix multiplication and of copying, with torch's present threads."""

import functools
from collections.abc import Callable

import torch
from paired import clock

_SIDE = 1024


def _best(function: Callable[[], object], repeats: int) -> float:
    """The shortest of some timings: a limit is what the machine can do undisturbed."""
    now, times = clock(), []
    for _ in range(repeats):
        start = now()
        function()
        times.append(now() - start)
    return min(times)


@functools.cache
def multiplications(threads: int) -> float:
    """Floating-point operations a second of a large float32 matrix product."""
    a, b, out = (torch.randn(_SIDE, _SIDE) for _ in range(3))
    return 2 * _SIDE**3 / _best(lambda: torch.mm(a, b, out=out), 15)


@functools.lru_cache(64)
def copy_seconds(bytes_moved: int, threads: int) -> float:
    """Seconds in which as many bytes are read and written by a copy of half of them."""
    source = torch.ones(max(1, bytes_moved // 8))
    target = torch.empty_like(source)
    return _best(lambda: target.copy_(source), 15)


def least_seconds(operations: float, bytes_moved: float) -> float:
    """The time that the machine needs at least: for the arithmetic, or for the memory."""
    threads = torch.get_num_threads()
    return max(operations / multiplications(threads), copy_seconds(int(bytes_moved), threads))


def described() -> str:
    """The rates in words."""
    threads = torch.get_num_threads()
    size = 128 * 2**20
    copied = size / copy_seconds(size, threads)
    return f"matrix product {multiplications(threads) / 1e9:.0f} GFLOP/s, copy {copied / 1e9:.0f} GB/s read and written"
