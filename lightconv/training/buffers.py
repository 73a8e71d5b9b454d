"""Keeping large blocks of memory between the steps of a training program."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_LARGE, _LARGEST = 2**30, 2**31 - 1


def reuse_buffers() -> bool:
    """Have this process keep the memory that it frees; returns whether the C library can be told to.

    A training step frees its large tensors and asks for the same again in the next. By default glibc gives blocks
    that large back to the system at once, which fills each new page with zeros when it is first touched: a good
    part of a step. From here on blocks of less than a gibibyte come from the heap and stay there. The process then
    holds on to the most that it ever needed, which suits a program that trains and nothing else; a library must not
    decide that.

    Only Linux with glibc offers this; elsewhere nothing is changed. (man 3 mallopt: M_MMAP_THRESHOLD,
    M_TRIM_THRESHOLD.)
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return False
    return bool(libc.mallopt(_MMAP_THRESHOLD, _LARGE)) and bool(libc.mallopt(_TRIM_THRESHOLD, _LARGEST))
